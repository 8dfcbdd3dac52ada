"""What a solution imports: an exercise builds on the exercises whose modules its solution uses.

Rule 1: it is read, never run; imports for type checkers alone do not count.
Rule 2: what a sheet names may be more than what is imported: a chapter may want to be read in order.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from grader.authoring.problem import Problem
from grader.course import Course, Exercise


def import_problems(course: Course, exercise: Exercise) -> Iterator[Problem]:
    """The exercises of the framework that a solution imports, but its sheet does not name in `builds_on`."""
    named = {*exercise.builds_on, exercise.id}
    where = str(course.sheet(exercise).relative_to(course.root))
    for imported in sorted(imported_exercises(course, exercise) - named):
        yield Problem(exercise.id, where, f"the solution imports {imported}", "Name it in `builds_on`")


def imported_exercises(course: Course, exercise: Exercise) -> set[str]:
    """The ids of the framework's exercises that the solution of an exercise imports. Empty for a composed one."""
    by_module = {each.module: each.id for each in course.exercises if each.in_framework}
    found: set[str] = set()
    if exercise.parts:
        return found
    for path, file in course.files(exercise, course.solution(exercise)).items():
        package = path.removesuffix(".py").split("/")[:-1]
        for module in _imported(ast.parse(file.read_text(encoding="utf-8")), package):
            found |= {by_module[module]} if module in by_module else set()
    return found


def _imported(tree: ast.AST, package: list[str]) -> Iterator[str]:
    """The modules that the code below a node imports, by their whole names, each with what is imported from it."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                continue
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = package[: len(package) - level + 1] if level else []
                whole = ".".join([*base, *([module] if module else [])])
                yield whole
                yield from (f"{whole}.{alias.name}" for alias in names)
        yield from _imported(node, package)
