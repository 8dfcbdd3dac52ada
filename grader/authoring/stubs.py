"""Stubs: what the learner starts from, generated from the solution.

Rule 1: a stub shows what a sheet may show: public signatures, types, docstrings, plain public constants, data
        classes without logic, and a `__repr__` that reads only public attributes.
Rule 2: nothing else crosses: no private name, no table, no regex, no body, no comment. A private name stays
        only where a public signature cannot be read without it.
Rule 3: every body raises `NotImplementedError("<exercise>: <qualified name>")`; the judge knows a stub by it.
        An async generator keeps an unreachable `yield`: without it a caller would get a coroutine.
Rule 4: same solution, same bytes. No formatter is run: blank lines and imports are laid out as `ruff` would.
Rule 5: a module of the framework that is no exercise is given to the learner whole.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import libcst as cst

from grader.authoring.course_map import course_map
from grader.authoring.syntax import (
    decorator_names,
    dotted,
    is_docstring,
    is_generator,
    is_overload,
    is_private,
    is_text,
    is_type_alias,
    is_type_checking,
    last_name,
    own_nodes,
    statements,
)
from grader.course import FRAMEWORK, Course, Exercise

LINE_LENGTH = 110
"""The longest line that an import is joined to, as the project's formatter has it."""
YIELD = "yield  # never reached: it makes this an async generator"
"""The statement that keeps an async generator's stub one."""
CACHES = frozenset({"cache", "lru_cache"})
"""Decorators that tell how a function works, not how it is called."""
ENUMS = frozenset({"Enum", "IntEnum", "StrEnum", "Flag", "IntFlag"})
"""Bases whose class attributes are members."""
DATA_BASES = ENUMS | {"NamedTuple", "TypedDict", "Protocol"}
"""Bases of classes whose attributes are their whole meaning."""
DATA_DECORATORS = frozenset({"dataclass", "define", "frozen", "mutable"})
"""Decorators of such classes."""

TYPE_VARIABLES = frozenset({"ParamSpec", "TypeVar", "TypeVarTuple"})
"""What makes a name that only annotations read."""

Drifted = Literal["missing", "differs"]


class StubError(Exception):
    """No stub can be made: names the exercise's file and why."""


@dataclass(frozen=True, slots=True)
class Drift:
    """A file of the learner's that is not what the solution gives: where, and how."""

    path: Path
    how: Drifted


def stubs_of(course: Course, exercise: Exercise) -> dict[Path, bytes]:
    """The stub's files as they have to be, by path. Empty where the exercise has no solution of its own.

    Raises StubError where a solution is no Python.
    """
    base, solution = course.stub(exercise), course.solution(exercise)
    if not solution.exists():
        return {}
    made: dict[Path, bytes] = {}
    for path in course.files(exercise, solution).values():
        target = base / path.relative_to(solution) if exercise.package else base
        try:
            made[target] = make_stub(path.read_text(encoding="utf-8"), exercise.name).encode()
        except (cst.ParserSyntaxError, SyntaxError, UnicodeDecodeError) as error:
            raise StubError(f"{path}: no stub can be made of it, since it is no Python: {error}") from error
    return made


def given(course: Course) -> dict[Path, bytes]:
    """The framework's modules that are no exercise, by the path at which the learner has them, whole."""
    answers = {
        path
        for exercise in course.exercises
        if exercise.in_framework
        for path in course.files(exercise, course.solution(exercise)).values()
    }
    return {
        course.root / "exercises" / FRAMEWORK / path.relative_to(course.reference): path.read_bytes()
        for path in sorted(course.reference.rglob("*"))
        if path.is_file() and path not in answers and "__pycache__" not in path.parts
    }


def shared(course: Course) -> dict[Path, bytes]:
    """The files that belong to no one exercise: what is given, and the map of the course."""
    return given(course) | {course.root / "exercises" / "README.md": course_map(course).encode()}


def wanted(course: Course, exercises: Iterable[Exercise] | None = None) -> dict[Path, bytes]:
    """All files that `sync` writes for these exercises, or for all of them and what they share."""
    files = shared(course) if exercises is None else {}
    for exercise in course.exercises if exercises is None else exercises:
        files |= stubs_of(course, exercise)
    return files


def check(course: Course, exercises: Iterable[Exercise] | None = None) -> tuple[Drift, ...]:
    """Which of the learner's files are not what the solutions give."""
    drifts: list[Drift] = []
    for path, content in wanted(course, exercises).items():
        if not path.is_file():
            drifts.append(Drift(path, "missing"))
        elif path.read_bytes() != content:
            drifts.append(Drift(path, "differs"))
    return tuple(drifts)


def sync(course: Course, exercises: Iterable[Exercise] | None = None) -> tuple[Path, ...]:
    """Write the files that `check` complains of, and give their paths. Replaces what stood there."""
    files = wanted(course, exercises)
    written = tuple(drift.path for drift in check(course, exercises))
    for path in written:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[path])
    return written


def make_stub(source: str, name: str) -> str:
    """The stub of a solution's source, for the exercise called `name`.

    Raises libcst.ParserSyntaxError where the source is no Python.
    """
    module = cst.parse_module(source).visit(_WithoutComments())
    assert isinstance(module, cst.Module)
    slots = _with_exports_left(_select(module, name))
    slots = _with_imports_pruned(slots)
    body = _laid_out(slots, blank_lines=2, after_docstring=1)
    return _code(body)


def _code(body: Iterable[cst.BaseStatement]) -> str:
    """The text of statements at module level."""
    fitting = (cst.SimpleStatementLine, cst.BaseCompoundStatement)
    lines = [statement for statement in body if isinstance(statement, fitting)]
    return cst.Module(lines, has_trailing_newline=bool(lines)).code


@dataclass(frozen=True, slots=True)
class _Slot:
    """A statement of the solution: what is left of it, or None, and the blank lines that stood before it."""

    statement: cst.BaseStatement | None
    blanks: int


class _WithoutComments(cst.CSTTransformer):
    """Takes out every comment but a linter's directive, which loses its reason."""

    def leave_EmptyLine(  # noqa: N802 - libcst calls it by this name
        self, original_node: cst.EmptyLine, updated_node: cst.EmptyLine
    ) -> cst.EmptyLine | cst.RemovalSentinel:
        return updated_node if updated_node.comment is None else cst.RemoveFromParent()

    def leave_TrailingWhitespace(  # noqa: N802 - libcst calls it by this name
        self, original_node: cst.TrailingWhitespace, updated_node: cst.TrailingWhitespace
    ) -> cst.TrailingWhitespace:
        comment = updated_node.comment
        if comment is None:
            return updated_node
        directive = re.match(
            r"# (?:fmt: skip|noqa: [A-Z]+\d+(?:, ?[A-Z]+\d+)*|type: ignore\[[\w, -]+\])", comment.value
        )
        if directive is None:
            return updated_node.with_changes(comment=None, whitespace=cst.SimpleWhitespace(""))
        return updated_node.with_changes(comment=cst.Comment(directive[0]))


# What stays


def _select(module: cst.Module, name: str) -> tuple[_Slot, ...]:
    """The statements that stay, with every private one that those cannot be read without."""
    needed: frozenset[str] = frozenset()
    defined = {made for statement in module.body for made in _names_defined(statement)}
    while True:
        slots = _Selection(name, needed).slots(module.body)
        kept = tuple(slot.statement for slot in slots if slot.statement is not None)
        there = {made for statement in kept for made in _names_defined(statement)}
        missing = (_names_used(kept) & defined) - there
        if not missing - needed:
            return slots
        needed |= missing


@dataclass(frozen=True, slots=True)
class _Selection:
    """Chooses what stays of a block of statements; names in `needed` stay although they are private."""

    name: str
    needed: frozenset[str]
    scope: tuple[str, ...] = ()
    data: bool = False
    error: bool = False
    protocol: bool = False

    def slots(self, body: Sequence[cst.BaseStatement]) -> tuple[_Slot, ...]:
        slots: list[_Slot] = []
        for index, statement in enumerate(body):
            describes = index == 0 or (
                slots[-1].statement is not None and _is_assignment(slots[-1].statement)
            )
            kept = (statement if describes else None) if is_docstring(statement) else self.keep(statement)
            slots.append(_Slot(kept, _blanks(statement)))
        return tuple(slots)

    def keep(self, statement: cst.BaseStatement) -> cst.BaseStatement | None:
        """What stays of one statement, or None."""
        match statement:
            case cst.FunctionDef():
                return self._function(statement)
            case cst.ClassDef():
                return self._class(statement)
            case cst.SimpleStatementLine(body=[cst.Import() | cst.ImportFrom()]):
                return statement
            case cst.SimpleStatementLine(body=[small]):
                return self._assignment(statement, small)
            case cst.If() if is_type_checking(statement):
                return statement
        return statement if self.needed & set(_names_defined(statement)) and not self.scope else None

    def _hidden(self, name: str) -> bool:
        return is_private(name) and (bool(self.scope) or name not in self.needed)

    def _assignment(
        self, line: cst.SimpleStatementLine, small: cst.BaseSmallStatement
    ) -> cst.SimpleStatementLine | None:
        names = _names_defined(line)
        if not names or "__slots__" in names or any(self._hidden(name) for name in names):
            return None
        if is_type_alias(line) or names == ("__all__",) or (not self.scope and self.needed & set(names)):
            return line
        match small:
            case cst.Assign(value=value):
                return line if self.data or _is_plain(value) else None
            case cst.AnnAssign(value=value):
                if value is None or self.data or _is_plain(value):
                    return line
                bare = small.with_changes(value=None, equal=cst.MaybeSentinel.DEFAULT)
                return line.with_changes(body=[bare])
        return None

    def _class(self, node: cst.ClassDef) -> cst.ClassDef | None:
        if self._hidden(node.name.value):
            return None
        bases = {last_name(base.value) for base in node.bases}
        inner = replace(
            self,
            scope=(*self.scope, node.name.value),
            data=bool(bases & DATA_BASES or DATA_DECORATORS & set(decorator_names(node))),
            error=any(_names_an_exception(base) for base in bases),
            protocol="Protocol" in bases,
        )
        if not isinstance(node.body, cst.IndentedBlock):
            return node
        body = _laid_out(inner.slots(node.body.body), blank_lines=1, after_docstring=1)
        body = body or (_line("pass"),)
        return node.with_changes(body=node.body.with_changes(body=body, footer=()), lines_after_decorators=())

    def _function(self, node: cst.FunctionDef) -> cst.FunctionDef | None:
        name = node.name.value
        if self._hidden(name):
            return None
        if name == "__repr__":
            return node if _reads_only_public(node) else None
        if self._is_interface(node) or (self.error and name == "__init__" and _only_stores(node)):
            return node
        return self._stub(node)

    def _is_interface(self, node: cst.FunctionDef) -> bool:
        promised = self.protocol or {"overload", "abstractmethod"} & set(decorator_names(node))
        return bool(promised) and all(_is_empty(statement) for statement in statements(node.body))

    def _stub(self, node: cst.FunctionDef) -> cst.FunctionDef:
        qualified = ".".join((*self.scope, node.name.value))
        body: list[cst.BaseStatement] = [_line(f'raise NotImplementedError("{self.name}: {qualified}")')]
        if node.asynchronous is not None and is_generator(node):
            body.append(_line(YIELD))
        first = next(iter(node.body.body), None)
        if isinstance(first, cst.SimpleStatementLine) and is_docstring(first):
            body.insert(0, first.with_changes(leading_lines=()))
        decorators = [
            decorator
            for decorator in node.decorators
            if last_name(decorator.decorator) not in CACHES and not is_private(dotted(decorator.decorator))
        ]
        return node.with_changes(
            body=cst.IndentedBlock(body=body), decorators=decorators, lines_after_decorators=()
        )


def _line(code: str) -> cst.SimpleStatementLine:
    statement = cst.parse_statement(code)
    assert isinstance(statement, cst.SimpleStatementLine)
    return statement


def _is_plain(value: cst.BaseExpression) -> bool:
    """Whether a value is a number, a text, a truth value, arithmetic on such, or a flat tuple of such."""
    match value:
        case cst.BaseNumber() | cst.SimpleString() | cst.ConcatenatedString() | cst.Ellipsis():
            return not is_text(value) or not _has_hole(value)
        case cst.Name(value="True" | "False" | "None"):
            return True
        case cst.UnaryOperation(expression=inner):
            return _is_plain(inner)
        case cst.BinaryOperation(left=left, right=right):
            return _is_plain(left) and _is_plain(right)
        case cst.Tuple(elements=elements):
            return all(_is_plain(e.value) and not isinstance(e.value, cst.Tuple) for e in elements)
    return False


def _has_hole(text: cst.BaseExpression) -> bool:
    if isinstance(text, cst.ConcatenatedString):
        return _has_hole(text.left) or _has_hole(text.right)
    return isinstance(text, cst.FormattedString)


def _is_empty(statement: cst.CSTNode) -> bool:
    """Whether a statement is a docstring, `...` or `pass`."""
    if isinstance(statement, cst.SimpleStatementLine):
        return is_docstring(statement) or all(_is_empty(small) for small in statement.body)
    return isinstance(statement, cst.Pass) or (
        isinstance(statement, cst.Expr)
        and (isinstance(statement.value, cst.Ellipsis) or is_text(statement.value))
    )


def _names_an_exception(base: str) -> bool:
    known = getattr(builtins, base, None)
    return (isinstance(known, type) and issubclass(known, BaseException)) or base.endswith(
        ("Error", "Exception")
    )


def _only_stores(node: cst.FunctionDef) -> bool:
    """Whether an `__init__` only calls `super().__init__` and stores parameters in public attributes."""
    if not _reads_only_public(node):
        return False
    for statement in statements(node.body):
        if _is_empty(statement):
            continue
        match statement:
            case cst.SimpleStatementLine(body=[cst.Expr(value=cst.Call(func=called))]):
                if dotted(called) != "super.__init__":
                    return False
            case cst.SimpleStatementLine(
                body=[cst.Assign(targets=[cst.AssignTarget(target=target)], value=cst.Name())]
                | cst.AnnAssign(target=target, value=cst.Name())
            ):
                if not dotted(target).startswith("self."):
                    return False
            case _:
                return False
    return True


def _reads_only_public(node: cst.FunctionDef) -> bool:
    names = {found.value for found in own_nodes(node) if isinstance(found, cst.Name)}
    return not any(is_private(name) for name in names)


def _is_assignment(statement: cst.BaseStatement) -> bool:
    match statement:
        case cst.SimpleStatementLine(body=[cst.Assign() | cst.AnnAssign() | cst.TypeAlias()]):
            return True
    return False


def _names_defined(statement: cst.BaseStatement) -> tuple[str, ...]:
    """The names that a statement of a block defines there, imports apart."""
    match statement:
        case cst.FunctionDef(name=cst.Name(value=name)) | cst.ClassDef(name=cst.Name(value=name)):
            return (name,)
        case cst.SimpleStatementLine(body=[cst.Assign(targets=targets)]):
            return tuple(name for target in targets for name in _target_names(target.target))
        case cst.SimpleStatementLine(body=[cst.AnnAssign(target=cst.Name(value=name))]):
            return (name,)
        case cst.SimpleStatementLine(body=[cst.TypeAlias(name=cst.Name(value=name))]):
            return (name,)
        case cst.If() | cst.Try():
            return tuple(_nested_names(statement))
    return ()


def _nested_names(statement: cst.If | cst.Try) -> Iterator[str]:
    pending: list[cst.CSTNode] = [statement]
    while pending:
        node = pending.pop()
        for child in node.children:
            if isinstance(child, cst.FunctionDef | cst.ClassDef | cst.SimpleStatementLine):
                yield from _names_defined(child)
            else:
                pending.append(child)


def _target_names(target: cst.BaseExpression) -> Iterator[str]:
    if isinstance(target, cst.Name):
        yield target.value
    elif isinstance(target, cst.Tuple | cst.List):
        for element in target.elements:
            yield from _target_names(element.value)


def _with_exports_left(slots: tuple[_Slot, ...]) -> tuple[_Slot, ...]:
    """The slots with an `__all__` that names only what is left."""
    kept = tuple(slot.statement for slot in slots if slot.statement is not None)
    there = {name for statement in kept for name in (*_names_defined(statement), *_names_imported(statement))}
    return tuple(replace(slot, statement=_exporting(slot.statement, there)) for slot in slots)


def _exporting(statement: cst.BaseStatement | None, there: set[str]) -> cst.BaseStatement | None:
    match statement:
        case cst.SimpleStatementLine(
            body=[
                cst.Assign(
                    targets=[cst.AssignTarget(target=cst.Name(value="__all__"))],
                    value=cst.List(elements=elements) | cst.Tuple(elements=elements),
                ) as small
            ]
        ):
            names = [e.value.raw_value for e in elements if isinstance(e.value, cst.SimpleString)]
            if there.issuperset(names):
                return statement
            value = cst.parse_expression(repr([name for name in names if name in there]).replace("'", '"'))
            return statement.with_changes(body=[small.with_changes(value=value)])
    return statement


def _names_imported(statement: cst.BaseStatement) -> Iterator[str]:
    match statement:
        case cst.SimpleStatementLine(body=[cst.Import(names=[*names]) | cst.ImportFrom(names=[*names])]):
            for alias in names:
                bound = alias.asname.name if alias.asname is not None else alias.name
                yield dotted(bound).split(".", 1)[0]


# Imports


def _names_used(kept: Sequence[cst.BaseStatement], *, exports: bool = False) -> frozenset[str]:
    """The names that statements read, also in annotations that are texts; with `exports` in `__all__` too."""
    tree = ast.parse(_code(kept))
    used = {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    for node in ast.walk(tree):
        for annotation in _annotations(node):
            used |= {name for text in _texts(annotation) for name in _names_in_text(text)}
        if exports and isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            used |= set(_texts(node.value))
    return frozenset(used)


def _annotations(node: ast.AST) -> Iterator[ast.expr]:
    """What of a node is a type: an annotation, or the value of an alias."""
    if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
        yield node.annotation
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
        yield node.returns
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript | ast.BinOp):
        yield node.value


def _texts(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            yield inner.value


def _names_in_text(text: str) -> set[str]:
    try:
        expression = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError):
        return set()
    return {node.id for node in ast.walk(expression) if isinstance(node, ast.Name)}


def _with_imports_pruned(slots: tuple[_Slot, ...]) -> tuple[_Slot, ...]:
    """The slots with only those imports and type variables that what stays reads."""
    while True:
        kept = tuple(slot.statement for slot in slots if slot.statement is not None)
        used = _names_used(kept, exports=True)
        pruned = tuple(replace(slot, statement=_prune(slot.statement, used)) for slot in slots)
        if all(new.statement is old.statement for new, old in zip(pruned, slots, strict=True)):
            return pruned
        slots = pruned


def _prune(statement: cst.BaseStatement | None, used: frozenset[str]) -> cst.BaseStatement | None:
    """The statement without what nothing reads, the very same where there is no such thing, or None."""
    match statement:
        case cst.If(body=cst.IndentedBlock(body=body) as block) if is_type_checking(statement):
            left = [(line, _prune(line, used)) for line in body]
            if all(old is new for old, new in left):
                return statement
            lines = [new for _, new in left if new is not None]
            return statement.with_changes(body=block.with_changes(body=lines)) if lines else None
        case cst.SimpleStatementLine(body=[cst.Import(names=names) as small]):
            return _prune_line(statement, small, names, used)
        case cst.SimpleStatementLine(body=[cst.ImportFrom(names=[*names]) as small]):
            if last_name(small.module) == "__future__" and not small.relative:
                return statement
            return _prune_line(statement, small, names, used)
        case cst.SimpleStatementLine(body=[cst.Assign(value=cst.Call() as call)]):
            unread = last_name(call) in TYPE_VARIABLES and not used & set(_names_defined(statement))
            return None if unread else statement
    return statement


def _prune_line(
    line: cst.SimpleStatementLine,
    small: cst.Import | cst.ImportFrom,
    names: Sequence[cst.ImportAlias],
    used: frozenset[str],
) -> cst.SimpleStatementLine | None:
    left = [alias for alias in names if _is_used(alias, used)]
    if len(left) == len(names):
        return line
    if not left:
        return None
    last = left[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
    comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    flat = [*(alias.with_changes(comma=comma) for alias in left[:-1]), last]
    changes: dict[str, object] = {"names": flat}
    if isinstance(small, cst.ImportFrom):
        changes |= {"lpar": None, "rpar": None}
    joined = line.with_changes(body=[small.with_changes(**changes)], leading_lines=())
    text = cst.Module(body=[joined]).code.rstrip("\n")
    if len(text) <= LINE_LENGTH or not isinstance(small, cst.ImportFrom):
        return joined
    head, _, tail = text.partition(" import ")
    exploded = "".join(f"    {name},\n" for name in tail.split(", "))
    return _line(f"{head} import (\n{exploded})")


def _is_used(alias: cst.ImportAlias, used: frozenset[str]) -> bool:
    if alias.asname is not None and isinstance(alias.asname.name, cst.Name):
        bound = alias.asname.name.value
        return bound in used or bound == dotted(alias.name)
    return dotted(alias.name).split(".", 1)[0] in used


# Blank lines


def _blanks(statement: cst.BaseStatement) -> int:
    lines: Sequence[cst.EmptyLine] = getattr(statement, "leading_lines", ())
    return len(lines)


def _laid_out(
    slots: Sequence[_Slot], *, blank_lines: int, after_docstring: int
) -> tuple[cst.BaseStatement, ...]:
    """What is left of the slots, with the formatter's blank lines: `blank_lines` around definitions."""
    laid: list[cst.BaseStatement] = []
    waiting = 0
    for slot in slots:
        waiting = max(waiting, slot.blanks)
        if slot.statement is None:
            continue
        count = _blanks_before(laid, slot.statement, min(waiting, blank_lines), blank_lines, after_docstring)
        laid.append(slot.statement.with_changes(leading_lines=[cst.EmptyLine(indent=False)] * count))
        waiting = 0
    return tuple(laid)


def _blanks_before(
    laid: Sequence[cst.BaseStatement],
    statement: cst.BaseStatement,
    waiting: int,
    around: int,
    after_docstring: int,
) -> int:
    if not laid:
        return 0
    before = laid[-1]
    if is_overload(before) and isinstance(statement, cst.FunctionDef):
        return waiting
    definitions = (cst.FunctionDef, cst.ClassDef)
    if isinstance(statement, definitions) or isinstance(before, definitions):
        return around
    if len(laid) == 1 and is_docstring(before):
        return after_docstring
    if _is_import(before) and _is_import(statement):
        return min(waiting, 1)
    if _is_import(before):
        return max(waiting, 1)
    return waiting


def _is_import(statement: cst.BaseStatement) -> bool:
    match statement:
        case cst.SimpleStatementLine(body=[cst.Import() | cst.ImportFrom()]):
            return True
    return False
