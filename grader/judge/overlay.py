"""The composed tree: what the worker sees.

Rule 1: the reference stands in it under the learner's name, as bytecode that no time stamp can invalidate.
Rule 2: a module under judgement is the learner's source, and the reference's own is not there to be imported.
Rule 3: of the suite only the probe is there. No test, no sheet, no other submission.
"""

from __future__ import annotations

import importlib.util
import py_compile
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from grader.course import FRAMEWORK, Course, Exercise
from grader.worker.imports import EXTRA


class NotInstalled(Exception):
    """An import that was allowed is not installed here."""


def compose(
    course: Course,
    exercise: Exercise,
    own: Mapping[str, bytes],
    tree: Path,
    imports: Iterable[str] = (),
    *,
    replaced: Sequence[Exercise] | None = None,
) -> None:
    """Write into the empty folder `tree` what the worker of `exercise` sees; `own` are the learner's files.

    The reference's modules of the exercises `replaced` (else of the exercise itself, or of its parts) are left out.
    Raises NotInstalled for an allowed import that is not to be found.
    """
    for path, code in _reference(course.reference, _stamp(course.reference)).items():
        if not any(_is_of(path, each) for each in (exercise.sources if replaced is None else replaced)):
            _write(tree / path, code)
    for path, source in own.items():
        _write(tree / path, source)
    _write(tree / "probe.py", (course.suite(exercise) / "probe.py").read_bytes())
    for name in imports:
        _add_import(name, tree / EXTRA)


def _is_of(path: str, exercise: Exercise) -> bool:
    if not exercise.in_framework:
        return False
    return path == exercise.target + ".pyc" or path.startswith(exercise.target + "/")


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o644)


def _stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    if not folder.is_dir():
        return ()
    found = ((path.relative_to(folder).as_posix(), path.stat()) for path in sorted(folder.rglob("*.py")))
    return tuple((name, status.st_mtime_ns, status.st_size) for name, status in found)


@lru_cache(maxsize=4)
def _reference(folder: Path, stamp: tuple[tuple[str, int, int], ...]) -> dict[str, bytes]:
    """The reference's modules as bytecode, by path in the tree. `stamp` renews the cache when a file changes."""
    with tempfile.TemporaryDirectory() as scratch:
        return {
            f"{FRAMEWORK}/{name}c": _compiled(folder / name, f"{FRAMEWORK}/{name}", Path(scratch) / "out.pyc")
            for name, *_ in stamp
        }


def _compiled(source: Path, shown: str, target: Path) -> bytes:
    py_compile.compile(
        str(source), str(target), dfile=shown, doraise=True,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )  # fmt: skip
    return target.read_bytes()


def _add_import(name: str, folder: Path) -> None:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise NotInstalled(
            f"{name}: is allowed as an import but not installed here. Install it beside the grader."
        )
    ignored = shutil.ignore_patterns("__pycache__")
    if spec.submodule_search_locations:
        shutil.copytree(spec.submodule_search_locations[0], folder / name, ignore=ignored)
    else:
        folder.mkdir(exist_ok=True)
        shutil.copy(spec.origin, folder)
