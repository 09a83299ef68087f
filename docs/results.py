"""Writes docs/results.md: every study that names published numbers, ours beside them, out of results/*.json.

python docs/results.py
"""

import ast
import importlib
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from recjax import reports  # noqa: E402  from the checkout
from recjax.study import Study  # noqa: E402

HEAD = """# Published numbers, and ours

Written by `python docs/results.py` out of `results/`; our numbers come from the command below each table: means
± standard deviations over seeds; published is what the source prints, mostly of one run. What was tuned was tuned on
a part of the training data alone, and the test part was judged after the last step.
"""


def page() -> str:
    return "\n".join([HEAD, *map(section, studies())])


def studies() -> list[str]:
    """The names of the experiments that have published numbers and results."""
    names = [path.stem for path in sorted((ROOT / "results").glob("*.json"))]
    return [name for name in names if (ROOT / "experiments" / f"{name}.py").is_file() and plan(name).published]


def plan(name: str) -> Study:
    module = importlib.import_module(f"experiments.{name}")
    return module.get_study() if hasattr(module, "get_study") else Study({}, (), (), lambda path, found: None)


def section(name: str) -> str:
    result = json.loads((ROOT / "results" / f"{name}.json").read_text())
    words = ast.get_docstring(ast.parse((ROOT / "experiments" / f"{name}.py").read_text())) or ""
    title, _, rest = words.partition("\n")
    source, claim = (_between(rest, *ends) for ends in (("Source:", "Claim:"), ("Claim:", "Run:")))
    seeds = ", ".join(map(str, result["seeds"]))
    return f"""## {title.removesuffix(".")}

**Source.** {source}

**Claim.** {claim}

Seeds {seeds}; [results/{name}.json](../results/{name}.json), [experiments/{name}.py](../experiments/{name}.py):

{reports.beside(result["rows"], plan(name).published)}

```bash
{result["command"]}
```
"""


def _between(text: str, start: str, end: str) -> str:
    found = " ".join(text.split(start)[1].split(end, maxsplit=1)[0].split())
    return found[0].upper() + found[1:]


if __name__ == "__main__":
    (ROOT / "docs" / "results.md").write_text(page())
