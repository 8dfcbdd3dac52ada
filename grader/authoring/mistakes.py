"""The gallery of mistakes: wrong submissions, each an edit of the solution and what it must lose.

Rule 1: an edit is text for text inside one named part of the solution, and matches there exactly once. A
        solution that moved on breaks the gallery aloud.
Rule 2: what is named in `must` must not be earned, what is in `may` need not be; everything else must be.
Rule 3: nothing here judges.
"""

from __future__ import annotations

import ast
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.course import Course, Exercise
from grader.submission import Submission, of_files

FILE = "mistakes.toml"
"""The gallery's name in the folder of a suite."""
FIELDS = frozenset({"title", "in", "replace", "body", "must", "may", "file"})
"""The keys of a `[[mistake]]`."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class MistakeError(Exception):
    """A gallery is wrong or does not fit its solution: names file, mistake, what is wrong, what to do."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A text that stands exactly once in a part of the solution, and what it becomes."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mistake:
    """A wrong submission: in words, where the solution is changed, and what it costs.

    `where` is the qualified name of a function, method or class, or empty for the whole module. Either
    `edits` are made there, or `body` is its whole new body. `file` names the module of an exercise that is a
    package, or is composed of others.
    """

    title: str
    where: str
    must: tuple[str, ...]
    may: tuple[str, ...] = ()
    edits: tuple[Edit, ...] = ()
    body: str | None = None
    file: str = ""


def read_mistakes(course: Course, exercise: Exercise) -> tuple[Mistake, ...]:
    """The exercise's gallery, in order; empty where there is none. Raises MistakeError."""
    path = course.suite(exercise) / FILE
    if not path.is_file():
        return ()
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MistakeError(f"{path}: is no TOML: {error}. Mend the file.") from error
    entries = table.get("mistake", [])
    if set(table) - {"mistake"} or not isinstance(entries, list):
        raise MistakeError(f"{path}: holds more than [[mistake]] entries. Take the rest out.")
    known = frozenset(requirement.id for requirement in exercise.requirements)
    mistakes = tuple(_read(entry, number, path, known) for number, entry in enumerate(entries, start=1))
    for mistake in mistakes:
        if [other.title for other in mistakes].count(mistake.title) > 1:
            raise MistakeError(
                f"{path}: two mistakes are called {mistake.title!r}. Give each words of its own."
            )
    return mistakes


def submission_of(course: Course, exercise: Exercise, mistake: Mistake) -> Submission:
    """The solution with the mistake in it. Raises MistakeError, naming the gallery, if it does not fit."""
    gallery = course.suite(exercise) / FILE
    files = course.answers(exercise)
    several = exercise.package or exercise.parts
    target = f"{exercise.home}/{mistake.file}" if several else next(iter(files))
    if target not in files:
        there = ", ".join(sorted(path.removeprefix(exercise.home + "/") for path in files))
        raise MistakeError(
            f'{gallery}: mistake {mistake.title!r}: file = "{mistake.file}" is none of {there}.'
        )
    contents = {path: file.read_bytes() for path, file in files.items()}
    try:
        wrong = apply(files[target].read_text(encoding="utf-8"), mistake)
    except MistakeError as error:
        raise MistakeError(f"{gallery}: {error}") from error
    return of_files(mistake.title, contents | {target: wrong.encode()})


def apply(source: str, mistake: Mistake) -> str:
    """The source with the mistake in it. Raises MistakeError that names it and what does not match."""
    parts = tuple(_parts(source, mistake))
    wrong = source if mistake.body is None else _with_body(source, parts, mistake)
    for edit in mistake.edits:
        wrong = _with_edit(wrong, edit, mistake)
    try:
        ast.parse(wrong)
    except SyntaxError as error:
        raise _wrong(mistake, f"makes no Python (line {error.lineno}: {error.msg}). Mend its text") from error
    if wrong == source:
        raise _wrong(mistake, "changes nothing. Make it an error, or take it out")
    return wrong


def _read(entry: Any, number: int, path: Path, known: frozenset[str]) -> Mistake:
    if (
        not isinstance(entry, Mapping)
        or not isinstance(entry.get("title"), str)
        or not entry["title"].strip()
    ):
        raise MistakeError(f"{path}: mistake {number} has no title. Say in words what is wrong in it.")
    mistake = Mistake(
        title=entry["title"],
        where=_text(entry, "in", path) or "",
        must=_ids(entry, "must", path, known),
        may=_ids(entry, "may", path, known),
        edits=tuple(_edit(edit, entry, path) for edit in entry.get("replace", ())),
        body=_text(entry, "body", path),
        file=_text(entry, "file", path) or "",
    )
    complaint = _complaint(entry, mistake)
    if complaint:
        raise MistakeError(f"{path}: mistake {mistake.title!r}: {complaint}.")
    return mistake


def _complaint(entry: Mapping[str, Any], mistake: Mistake) -> str | None:
    if unknown := sorted(set(entry) - FIELDS):
        return f"unknown key {', '.join(unknown)}; there are {', '.join(sorted(FIELDS))}"
    if "in" not in entry:
        return 'has no `in`: name the part of the solution that it changes, "" for all of it'
    if bool(mistake.edits) == (mistake.body is not None):
        return "needs either `replace` or `body`"
    if mistake.body is not None and not mistake.where:
        return "a `body` needs the name of a function in `in`"
    if not mistake.must:
        return "has no `must`: name the requirements that it loses"
    if both := sorted(set(mistake.must) & set(mistake.may)):
        return f"{', '.join(both)} is in `must` and in `may`: keep one"
    return None


def _text(entry: Mapping[str, Any], key: str, path: Path) -> str | None:
    value = entry.get(key)
    if value is not None and not isinstance(value, str):
        raise MistakeError(f"{path}: mistake {entry['title']!r}: `{key}` is not a text.")
    return value


def _ids(entry: Mapping[str, Any], key: str, path: Path, known: frozenset[str]) -> tuple[str, ...]:
    ids = entry.get(key, [])
    where = f"{path}: mistake {entry['title']!r}: `{key}`"
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise MistakeError(f"{where} is no list of requirement ids.")
    if unknown := [one for one in ids if one not in known]:
        raise MistakeError(f"{where} names {', '.join(unknown)}, which the sheet does not have.")
    return tuple(ids)


def _edit(edit: Any, entry: Mapping[str, Any], path: Path) -> Edit:
    match edit:
        case {"old": str(old), "new": str(new), **rest} if old and not rest:
            return Edit(old, new)
    raise MistakeError(
        f"{path}: mistake {entry['title']!r}: an entry of `replace` is {edit}, "
        'not { old = "...", new = "..." } with an `old` that is not empty.'
    )


def _with_edit(source: str, edit: Edit, mistake: Mistake) -> str:
    found = [
        at
        for start, end in _spans(source, mistake)
        for at in range(start, end)
        if source.startswith(edit.old, at, end)
    ]
    if len(found) != 1:
        count = "nowhere" if not found else f"{len(found)} times"
        place = mistake.where or "the module"
        raise _wrong(
            mistake, f"{edit.old!r} stands {count} in {place}, not once. Quote it as it stands there now"
        )
    return source[: found[0]] + edit.new + source[found[0] + len(edit.old) :]


def _with_body(source: str, parts: tuple[Definition, ...], mistake: Mistake) -> str:
    if len(parts) != 1 or isinstance(parts[0], ast.ClassDef):
        raise _wrong(mistake, f"a `body` needs one function, and {mistake.where} is not one. Use `replace`")
    function = parts[0]
    lines = source.splitlines(keepends=True)
    first, last = function.body[0], function.body[-1]
    if first.lineno == function.lineno:
        raise _wrong(mistake, f"the body of {mistake.where} stands on the line of its `def`. Use `replace`")
    indent = " " * first.col_offset
    body = textwrap.indent(textwrap.dedent(mistake.body or "").strip("\n") + "\n", indent)
    kept_to = _end(first) if ast.get_docstring(function, clean=False) is not None else _start(first) - 1
    return "".join(lines[:kept_to]) + body + "".join(lines[_end(last) :])


def _spans(source: str, mistake: Mistake) -> Iterator[tuple[int, int]]:
    """Where the part of the source that the mistake changes begins and ends, counted in characters."""
    if not mistake.where:
        yield 0, len(source)
        return
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for part in _parts(source, mistake):
        yield starts[_start(part) - 1], starts[_end(part)]


def _parts(source: str, mistake: Mistake) -> Iterator[Definition]:
    """The definitions of the name that the mistake changes; a property has one for each of its functions."""
    if not mistake.where:
        return
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise _wrong(
            mistake, f"an edit before left no Python (line {error.lineno}). Mend its text"
        ) from error
    found = [node for name, node in definitions(tree) if name == mistake.where]
    if not found:
        raise _wrong(
            mistake, f"the solution has no {mistake.where}. Name a function, method or class that it has"
        )
    yield from found


def definitions(tree: ast.AST, scope: str = "") -> Iterator[tuple[str, Definition]]:
    """All functions and classes below a node with their qualified names, those inside functions too."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Definition):
            name = f"{scope}{node.name}"
            yield name, node
            yield from definitions(node, name + ".")
        else:
            yield from definitions(node, scope)


def _start(node: ast.stmt) -> int:
    """The first line of a statement, its decorators' included, from 1."""
    decorators = node.decorator_list if isinstance(node, Definition) else []
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _end(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


def _wrong(mistake: Mistake, what: str) -> MistakeError:
    return MistakeError(f"mistake {mistake.title!r}: {what}.")
