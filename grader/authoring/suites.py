"""The lint of a suite, and of what lies about: read, never run.

Rule 1: a test proves one requirement that the sheet has, and its docstring begins with a title of its own.
Rule 2: a suite uses `grader.suite` and nothing else of the grader, and leaves the number of examples alone.
Rule 3: each file below exercises/, solutions/, tests/suites/ and tests/fair/ is one that the course computes.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from grader.authoring import mistakes
from grader.authoring.problem import Problem
from grader.authoring.stubs import given
from grader.course import Course, Exercise

EQUIVALENT = "mutants.toml"
"""The list of equivalent mutants, in the folder of a suite."""
IGNORED = frozenset({"__pycache__", ".mypy_cache", ".ruff_cache", ".hypothesis", ".DS_Store"})
"""Names of files and folders that tools leave behind; git ignores them."""

Test = ast.FunctionDef | ast.AsyncFunctionDef


def suite_problems(course: Course, exercise: Exercise) -> tuple[Problem, ...]:
    """Everything that is wrong with the files of an exercise's suite, as far as can be read."""
    folder = course.suite(exercise)
    where = partial(_problem, course, exercise.id)
    if not (folder / "probe.py").is_file():
        return (
            where(
                folder, "there is no probe.py", "Write the calls that the suite makes on the learner's code"
            ),
        )
    files = sorted(folder.glob("test_*.py"))
    if not files:
        return (where(folder, "there is no test_*.py", "Write a test for each requirement"),)
    found: list[Problem] = []
    titles: Counter[str] = Counter()
    proved: set[str] = set()
    for path in files:
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except SyntaxError as error:
            found.append(where(path, f"is no Python: {error}", "Mend it"))
            continue
        found += [where(path, what, cure) for what, cure in _habits(tree)]
        for test in _tests(tree):
            found += [where(path, what, cure) for what, cure in _marks(test, exercise)]
            titles[_title(test)] += 1
            proved.update(_requirements(test))
    for title, count in titles.items():
        if title and count > 1:
            found.append(where(folder, f"{count} tests have the title {title!r}", "Say how they differ"))
    for requirement in exercise.requirements:
        if requirement.id not in proved:
            found.append(
                where(folder, f"{requirement.id} has no test", "Write one, or take the requirement out")
            )
    return tuple(found)


def stray_problems(course: Course) -> tuple[Problem, ...]:
    """Every file of the course's four trees that belongs to no exercise."""
    wanted = set(_wanted(course))
    packages = tuple(_packages(course))
    return tuple(
        _problem(
            course, "", path, "belongs to no exercise", "Take it away, or write the sheet that it belongs to"
        )
        for tree in ("exercises", "solutions", "tests/suites", "tests/fair")
        for path in _files(course.root / tree)
        if path not in wanted and not any(path.is_relative_to(folder) for folder in packages)
    )


def _wanted(course: Course) -> Iterator[Path]:
    root = course.root
    yield root / "exercises" / "README.md"
    yield from (folder / "README.md" for folder in (root / "exercises").iterdir() if folder.is_dir())
    yield from given(course)
    for exercise in course.exercises:
        yield course.sheet(exercise)
        suite = course.suite(exercise)
        yield from (suite / name for name in ("probe.py", mistakes.FILE, EQUIVALENT))
        yield from suite.glob("test_*.py")
        if not exercise.package and not exercise.parts:
            yield from (course.stub(exercise), course.solution(exercise))
            yield from course.fair(exercise).glob("*.py")


def _packages(course: Course) -> Iterator[Path]:
    """The folders whose content is up to the exercise."""
    for exercise in course.exercises:
        if exercise.package:
            yield from (course.stub(exercise), course.solution(exercise), course.fair(exercise))


def _files(tree: Path) -> Iterator[Path]:
    if tree.is_dir():
        for path in sorted(tree.rglob("*")):
            if path.is_file() and not IGNORED & set(path.relative_to(tree).parts):
                yield path


def _tests(tree: ast.Module) -> Iterator[Test]:
    for node in ast.walk(tree):
        if isinstance(node, Test) and node.name.startswith("test_"):
            yield node


def _title(test: Test) -> str:
    return (ast.get_docstring(test) or "").split("\n", 1)[0].strip()


def _requirements(test: Test) -> Iterator[str]:
    for decorator in test.decorator_list:
        match decorator:
            case ast.Call(func=ast.Name(id="requirement"), args=[ast.Constant(value=str(name))]):
                yield name


def _marks(test: Test, exercise: Exercise) -> Iterator[tuple[str, str]]:
    known = {requirement.id for requirement in exercise.requirements}
    names = tuple(_requirements(test))
    if len(names) != 1:
        yield f"{test.name} proves {len(names)} requirements", 'Mark it with exactly one @requirement("ID")'
    for name in names:
        if name not in known:
            yield f"{test.name} proves {name}, which the sheet does not have", "Name one that it has"
    if not _title(test):
        yield f"{test.name} has no title", "Begin its docstring with a line for the learner"


def _habits(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        for module in _imported(node):
            if module.split(".")[0] == "grader" and module.split(".")[:2] != ["grader", "suite"]:
                yield f"line {node.lineno} imports {module}", "Import from grader.suite"  # type: ignore[attr-defined]
        if isinstance(node, ast.keyword) and node.arg == "max_examples":
            yield f"line {node.value.lineno} sets max_examples", "Leave the number of examples to the profile"
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("time.sleep", "asyncio.sleep"):
            yield f"line {node.lineno} sleeps", "Wait for an event"


def _imported(node: ast.AST) -> tuple[str, ...]:
    match node:
        case ast.Import(names=names):
            return tuple(alias.name for alias in names)
        case ast.ImportFrom(module=str(module), level=0):
            return (module,)
    return ()


def _problem(course: Course, exercise: str, path: Path, what: str, cure: str) -> Problem:
    return Problem(exercise, str(path.relative_to(course.root)), what, cure)
