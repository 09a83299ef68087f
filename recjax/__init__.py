"""recjax: build, compare and reproduce retrieval models for recommendation, in JAX.

Import modules, not functions: `from recjax import losses, samplers`. The nouns are in `recjax.types`,
the settings in `recjax.configs`; docs/design.md shows the way of the data.
"""

__version__ = "0.1.0"
