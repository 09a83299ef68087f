"""What is made once and serves several runs: compiled programs, a held-out part on the device, baselines."""

from collections.abc import Callable, Hashable
from typing import Any

import jax

from recjax.clock import Clock


class Shared(dict[Hashable, Any]):
    """Values by what they are of. A run alone has one of its own; the trials of a program have one together."""

    def once(self, name: Hashable, make: Callable[[], Any]) -> Any:
        """The value of that name, made the first time.

        >>> shared = Shared()
        >>> shared.once("tables", lambda: [1]) is shared.once("tables", lambda: [2])
        True
        """
        if name not in self:
            self[name] = make()
        return self[name]

    def compile(
        self, name: Hashable, clock: Clock, function: Callable, *arguments: Any, donate: tuple[int, ...] = ()
    ) -> Callable:
        """The program of that name for arguments of these shapes; who wants it first pays for it, on its clock."""
        leaves, structure = jax.tree.flatten(jax.eval_shape(lambda *given: given, *arguments))
        shapes = tuple(map(str, leaves))
        return self.once((name, structure, shapes), lambda: clock.compile(function, *arguments, donate=donate))
