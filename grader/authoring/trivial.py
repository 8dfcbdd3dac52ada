"""Trivial submissions: a stub whose every function does one thing, whatever it is asked. They earn nothing.

Rule 1: they come from the stub, so that every name is there and only the behaviour is missing.
Rule 2: a constructor always succeeds: an object that cannot be made would hide what its methods do.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from grader.authoring.stubs import make_stub
from grader.authoring.syntax import decorator_names, is_generator, last_name, statements
from grader.course import Course, Exercise
from grader.submission import Submission, of_files

CONSTRUCTORS = frozenset({"__init__", "__post_init__", "__init_subclass__"})
"""Functions that always do nothing."""


def trivial_submissions(course: Course, exercise: Exercise) -> tuple[Submission, ...]:
    """Submissions that return None, return the argument, or raise an exception that is documented."""
    sources = {path: file.read_text(encoding="utf-8") for path, file in course.answers(exercise).items()}
    stubs = {path: cst.parse_module(make_stub(source, exercise.name)) for path, source in sources.items()}
    raised = sorted({name for source in sources.values() for name in exceptions_of(source)})
    behaviours = [Behaviour("returns None"), Behaviour("returns its argument")]
    behaviours += [Behaviour(f"raises {name}", name) for name in raised]
    return tuple(
        of_files(
            f"every function {behaviour.words}",
            {path: trivial(stubs[path], source, behaviour).encode() for path, source in sources.items()},
        )
        for behaviour in behaviours
    )


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What every function of a trivial submission does, in words, and the exception that it raises."""

    words: str
    exception: str = ""


def trivial(stub: cst.Module, source: str, behaviour: Behaviour) -> str:
    """The stub of a solution's source, with bodies that behave so."""
    code = stub.visit(_Bodies(behaviour)).code
    if behaviour.exception:
        code += "".join(f"\n{line}\n" for line in _imports_of(behaviour.exception, source))
    return code


def exceptions_of(source: str) -> tuple[str, ...]:
    """The exceptions that a module's docstrings name after "raises", or that it raises, if it knows them."""
    tree = ast.parse(source)
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc is not None:
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            names.add(ast.unparse(raised))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
            for sentence in re.findall(r"[Rr]aises?:?\s([^.;]*)", ast.get_docstring(node) or ""):
                names.update(re.findall(r"\b[A-Z]\w+", sentence))
    return tuple(sorted(name for name in names if _is_exception(name, tree)))


def _is_exception(name: str, tree: ast.Module) -> bool:
    known = getattr(builtins, name, None)
    if isinstance(known, type):
        return issubclass(known, Exception)
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name and not name.startswith("_"):
            return any(_is_exception(ast.unparse(base), tree) for base in node.bases)
        if isinstance(node, ast.ImportFrom) and any(
            (alias.asname or alias.name) == name for alias in node.names
        ):
            return name.endswith(("Error", "Exception", "Disconnect"))
    return False


def _imports_of(name: str, source: str) -> Iterator[str]:
    """The import that gives a solution the name, if it is imported."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    yield ast.unparse(ast.ImportFrom(node.module, [alias], node.level))


class _Bodies(cst.CSTTransformer):
    """Puts a behaviour in the place of each marker of a stub."""

    def __init__(self, behaviour: Behaviour) -> None:
        super().__init__()
        self._behaviour = behaviour
        self._classes = 0

    def visit_ClassDef(self, node: cst.ClassDef) -> None:  # noqa: N802 - libcst calls it by this name
        self._classes += 1

    def leave_ClassDef(  # noqa: N802 - libcst calls it by this name
        self, original_node: cst.ClassDef, updated_node: cst.ClassDef
    ) -> cst.ClassDef:
        self._classes -= 1
        return updated_node

    def leave_FunctionDef(  # noqa: N802 - libcst calls it by this name
        self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef
    ) -> cst.FunctionDef:
        body = [
            self._statement(updated_node)
            if isinstance(line, cst.BaseStatement) and _is_marker(line)
            else line
            for line in statements(updated_node.body)
        ]
        return updated_node.with_changes(body=updated_node.body.with_changes(body=body))

    def _statement(self, function: cst.FunctionDef) -> cst.BaseStatement:
        name = function.name.value
        if self._behaviour.exception and name not in CONSTRUCTORS:
            raised = self._behaviour.exception
            return cst.parse_statement(f"raise {raised}.__new__({raised})")
        if is_generator(function) or name in CONSTRUCTORS:
            return cst.parse_statement("return")
        if self._behaviour.words == "returns its argument":
            return cst.parse_statement(f"return {self._argument(function)}")
        return cst.parse_statement("return None")

    def _argument(self, function: cst.FunctionDef) -> str:
        """The first parameter; of a method the first after `self`, if there is one."""
        parameters = function.params
        names = [
            one.name.value
            for one in (*parameters.posonly_params, *parameters.params, *parameters.kwonly_params)
        ]
        own = self._classes > 0 and "staticmethod" not in decorator_names(function)
        return next(iter(names[1:] or names if own else names), "None")


def _is_marker(statement: cst.BaseStatement) -> bool:
    match statement:
        case cst.SimpleStatementLine(body=[cst.Raise(exc=cst.Call() as call)]):
            return last_name(call) == "NotImplementedError"
    return False
