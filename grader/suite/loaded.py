"""A suite that is loaded: its modules, its properties as they were written, the inputs that passed before.

Rule 1: a suite whose files have not changed is imported once, however many submissions it judges.
Rule 2: between two runs its modules are not to be found by name, so that two suites never meet.
Rule 3: remembered inputs only save time: what fails on them is judged live, and never passes.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

EXAMPLES = "hypothesis_explicit_examples"
"""Where Hypothesis keeps the examples that are pinned to a test."""

Inputs = Mapping[str, Any]


@dataclass(frozen=True)
class Property:
    """A test with `@given`, as its author wrote it: the test itself, and the examples pinned to it."""

    inner: Callable[..., Any]
    examples: tuple[Any, ...]


@dataclass(frozen=True)
class LoadedSuite:
    """One suite. `inputs` holds, by test, seed and number of examples, all inputs of a test that passed."""

    folder: Path
    modules: dict[str, ModuleType] = field(default_factory=dict)
    properties: dict[str, Property] = field(default_factory=dict)
    inputs: dict[tuple[str, int, int], tuple[Inputs, ...]] = field(default_factory=dict)

    def property_of(self, test: str, function: Any) -> Property:
        """The test's property, as it was before any run changed it."""
        if test not in self.properties:
            self.properties[test] = Property(
                function.hypothesis.inner_test, tuple(getattr(function, EXAMPLES, ()))
            )
        return self.properties[test]

    def remember(self, key: tuple[str, int, int], inputs: list[Inputs]) -> None:
        """Keep the inputs of a test that passed, if they can be used again."""
        try:
            self.inputs[key] = tuple(copy.deepcopy(each) for each in inputs)
        except (TypeError, ValueError, AttributeError):  # one that cannot be copied, such as st.data()
            self.inputs.pop(key, None)

    @contextmanager
    def importable(self) -> Iterator[None]:
        """Let pytest find the modules that are loaded already, and take away what it has loaded."""
        sys.modules.update(self.modules)
        try:
            yield
        finally:
            for name, module in list(sys.modules.items()):
                if Path(getattr(module, "__file__", None) or "/").is_relative_to(self.folder):
                    self.modules[name] = sys.modules.pop(name)


def load(folder: Path) -> LoadedSuite:
    """The suite in `folder`: the same again as long as no file in it has changed."""
    files = ((path, path.stat()) for path in sorted(folder.rglob("*.py")))
    return _loaded(folder, tuple((str(path), status.st_mtime_ns, status.st_size) for path, status in files))


@lru_cache(maxsize=64)
def _loaded(folder: Path, stamp: tuple[tuple[str, int, int], ...]) -> LoadedSuite:
    return LoadedSuite(folder)
