"""What the submission may import: the standard library, the course's tree, and what the sheet names.

Rule 1: every sandbox enforces the same list, so that a verdict does not depend on the sandbox.
Rule 2: the worker's own modules are not to be found by their names.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

EXTRA = ".imports"
"""The folder of the tree that holds what the sheet allows beyond the standard library."""


class Gate:
    """A finder that stands before all others and refuses what is not on the list."""

    def __init__(self, root: str, allowed: Iterable[str]) -> None:
        self._extra = str(Path(root) / EXTRA)
        self._allowed = frozenset(allowed)
        own = (Path(entry).stem for entry in _entries(root))
        self._known = frozenset(own) | sys.stdlib_module_names

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Let a known name pass to the other finders; raise ModuleNotFoundError for any other."""
        top = name.partition(".")[0]
        if top in self._allowed:
            return PathFinder.find_spec(name, path or [self._extra], target)
        if top in self._known or top.startswith(
            "_sysconfigdata_"
        ):  # named after the platform, and on no list
            return None
        raise ModuleNotFoundError(
            f"No module named {name!r}: an exercise may import only the standard library"
            f"{self._others()}. Helpers of your own belong into the exercise's file.",
            name=name,
        )

    def _others(self) -> str:
        return "".join(f", {name}" for name in sorted(self._allowed))


def _entries(root: str) -> list[str]:
    return [entry.name for entry in Path(root).iterdir()]


def install(root: str, allowed: Iterable[str]) -> None:
    """Put the tree on the path and the gate before all finders; hide the worker's own modules."""
    sys.meta_path.insert(0, Gate(root, allowed))
    sys.path.insert(0, root)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("msgspec", "worker")]:
        del sys.modules[name]
    sys.modules.pop("__main__", None)
    sys.modules["__main__"] = ModuleType("__main__")
