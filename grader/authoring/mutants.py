"""Mutants: a solution with one small change each, of which a good suite catches all.

Rule 1: source in, sources out: nothing here runs or judges.
Rule 2: same source, same mutants in the same order with the same ids. An id holds no line number:
        `operator@qualified.name: old -> new`, and ` #2` where that would name a second one.
Rule 3: what no sheet can demand is left alone: docstrings, annotations, types, imports, decorators,
        `__all__`, `__repr__` and the text of an exception's message.

The general operators are those of mutmut (https://github.com/boxed/mutmut): its `mutation.mutators` are
functions from a node of libcst to changed nodes, and need nothing of its runner. Its walk over a file is not
used: that leaves decorated functions and module code out, and knows no messages. cosmic-ray's operators can
be applied in memory too, but to trees of parso, not to those that ours read. The operators of this field are
ours.
"""

from __future__ import annotations

import ast
import itertools
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import libcst as cst
from mutmut.mutation.mutators import mutation_operators

from grader.authoring.syntax import (
    is_docstring,
    is_overload,
    is_text,
    is_type_alias,
    is_type_checking,
    last_name,
)

MAX_TEXT = 60
"""Characters of context that an id shows around a change."""
MODULE = "module"
"""Where a change is that is in no function or class."""
UNTOUCHED_NAMES = frozenset({"__all__", "__slots__"})
"""What is assigned to these is no behaviour."""
OBVIOUS_CALLS = frozenset({"len", "isinstance", "issubclass", "super", "cast", "TypeVar", "hasattr", "range"})
"""Calls whose arguments are not taken away: the mutant would only raise TypeError."""

Operator = Callable[[cst.CSTNode], Iterable[cst.CSTNode]]
"""From a node to what it is changed into, one mutant each; nothing for nodes that it does not know."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One small change of a solution: its stable id, where it is, what it changes, and the changed source."""

    id: str
    operator: str
    where: str
    old: str
    new: str
    source: str = field(repr=False)


def mutants(source: str) -> tuple[Mutant, ...]:
    """All mutants of a source, each once. Raises libcst.ParserSyntaxError where it is no Python."""
    module = cst.parse_module(source)
    texts = _Texts(module)
    seen = {_meaning(source)}
    made: list[Mutant] = []
    count: Counter[str] = Counter()
    for index, statement in enumerate(module.body):
        finder = _Finder(texts)
        finder.walk(statement)
        for change in finder.changes:
            changed = texts.with_change(index, change)
            meaning = _meaning(changed)
            if meaning is None or meaning in seen:
                continue
            seen.add(meaning)
            made.append(_mutant(change, changed, count))
    return tuple(made)


@dataclass(frozen=True, slots=True)
class _Change:
    operator: str
    where: str
    node: cst.CSTNode
    into: cst.CSTNode
    old: str
    new: str


def _mutant(change: _Change, source: str, count: Counter[str]) -> Mutant:
    name = f"{change.operator}@{change.where}: {change.old} -> {change.new}"
    count[name] += 1
    ordinal = f" #{count[name]}" if count[name] > 1 else ""
    return Mutant(name + ordinal, change.operator, change.where, change.old, change.new, source)


def _meaning(source: str) -> str | None:
    """What Python reads in a source, or None if it cannot be compiled. Equal meanings are one mutant."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        try:
            tree = ast.parse(source)
            compile(tree, "mutant", "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            return None
    return ast.dump(tree)


class _Texts:
    """The text of a module's statements, so that a change rewrites only the one that it is in."""

    def __init__(self, module: cst.Module) -> None:
        self._module = module
        self._before = "".join(module.code_for_node(line) for line in module.header)
        self._after = "".join(module.code_for_node(line) for line in module.footer)
        self._pieces = [module.code_for_node(statement) for statement in module.body]

    def of(self, node: cst.CSTNode) -> str:
        """A node's text on one line: of a block its head alone, of an exception without its message."""
        match node:
            case cst.If(test=test):
                return f"if {self.of(test)}"
            case cst.While(test=test):
                return f"while {self.of(test)}"
            case cst.For(target=target, iter=iterated):
                return f"for {self.of(target)} in {self.of(iterated)}"
            case cst.ExceptHandler(type=kind, body=body):
                return f"except {self.of(kind) if kind else ''}: {self.of(body)}"
            case cst.Try(body=body):
                return f"try {self.of(body)}"
            case cst.SimpleStatementLine(body=small):
                return "; ".join(
                    self.of(one.with_changes(semicolon=cst.MaybeSentinel.DEFAULT)) for one in small
                )
            case cst.Raise(exc=cst.Call(args=args) as call):
                return f"raise {self.of(call.func)}({', '.join(self._argument(arg) for arg in args)})"
        return " ".join(self._module.code_for_node(node).split())

    def _argument(self, arg: cst.Arg) -> str:
        if is_text(arg.value):
            return "..."
        return self.of(arg.with_changes(comma=cst.MaybeSentinel.DEFAULT))

    def with_change(self, index: int, change: _Change) -> str:
        """The module's source with a change in the statement at `index`."""
        statement = self._module.body[index]
        changed = (
            change.into if change.node is statement else statement.deep_replace(change.node, change.into)
        )
        assert isinstance(changed, cst.CSTNode)
        piece = self._module.code_for_node(changed)
        pieces = (*self._pieces[:index], piece, *self._pieces[index + 1 :])
        return self._before + "".join(pieces) + self._after


class _Finder:
    """Walks one statement of a module and collects every change of every operator."""

    def __init__(self, texts: _Texts) -> None:
        self.changes: list[_Change] = []
        self._texts = texts
        self._above: list[cst.CSTNode] = []

    def walk(self, node: cst.CSTNode) -> None:
        if _is_left_alone(node, self._above):
            return
        for name, operator in OPERATORS:
            for into in operator(node):
                if not _is_left_alone_by(name, node, into, self._above):
                    self.changes.append(self._change(name, node, into))
        self._above.append(node)
        for child in node.children:
            self.walk(child)
        self._above.pop()

    def _change(self, operator: str, node: cst.CSTNode, into: cst.CSTNode) -> _Change:
        definitions = cst.FunctionDef | cst.ClassDef
        where = (
            ".".join(above.name.value for above in self._above if isinstance(above, definitions)) or MODULE
        )
        old, new = self._shown(node, into)
        return _Change(operator, where, node, into, old, new)

    def _shown(self, node: cst.CSTNode, into: cst.CSTNode) -> tuple[str, str]:
        """The change as text, with as much of what surrounds it as stays short."""
        shown, changed = node, into
        old = self._texts.of(node)
        for above in reversed(self._above):
            wider = self._texts.of(above)
            if not _is_context(above) or len(wider) > MAX_TEXT:
                break
            replaced = above.deep_replace(node, into)
            assert isinstance(replaced, cst.CSTNode)
            shown, changed, old = above, replaced, wider
        new = self._texts.of(changed if shown is not node else into)
        return _short(old.removesuffix(",")), _short(new.removesuffix(","))


def _is_context(node: cst.CSTNode) -> bool:
    """Whether a node around a change helps to tell where it is: an expression, or a line of its own."""
    return isinstance(
        node,
        cst.BaseExpression | cst.ComparisonTarget | cst.BaseSmallStatement | cst.SimpleStatementLine | cst.Arg
        | cst.SubscriptElement | cst.Index | cst.Slice | cst.BaseElement | cst.BaseDictElement | cst.Param,
    )  # fmt: skip


def _short(text: str) -> str:
    if len(text) <= 2 * MAX_TEXT:
        return text
    return f"{text[:MAX_TEXT]} ... {text[-MAX_TEXT // 2 :]}"


# What is left alone


def _is_left_alone(node: cst.CSTNode, above: Sequence[cst.CSTNode]) -> bool:
    """Whether nothing in a node is changed."""
    parent = above[-1] if above else None
    match node:
        case (
            cst.Annotation()
            | cst.Decorator()
            | cst.Import()
            | cst.ImportFrom()
            | cst.Global()
            | cst.Nonlocal()
        ):
            return True
        case cst.BaseParenthesizableWhitespace() | cst.EmptyLine() | cst.TrailingWhitespace():
            return True
        case cst.FunctionDef(name=cst.Name(value=name)):
            return name == "__repr__" or is_overload(node)
        case cst.SimpleStatementLine(body=[cst.Assign(targets=targets)]):
            names = {last_name(target.target) for target in targets}
            if names & UNTOUCHED_NAMES:
                return True
        case cst.Arg():
            if isinstance(parent, cst.ClassDef) or _is_type_of_cast(node, parent):
                return True
    if is_docstring(node) or is_type_checking(node) or (not above and is_type_alias(node)):
        return True
    return (is_text(node) or isinstance(node, cst.BinaryOperation)) and _is_message(node, above)


def _is_type_of_cast(node: cst.Arg, parent: cst.CSTNode | None) -> bool:
    return isinstance(parent, cst.Call) and last_name(parent) == "cast" and parent.args[0] is node


def _is_message(node: cst.CSTNode, above: Sequence[cst.CSTNode]) -> bool:
    """Whether a text is (or is joined into) an argument of the exception that a `raise` statement makes."""
    if isinstance(node, cst.BinaryOperation) and not (is_text(node.left) or is_text(node.right)):
        return False
    match above:
        case [*_, cst.Raise(), cst.Call(), cst.Arg()]:
            return True
    return False


def _is_left_alone_by(
    operator: str, node: cst.CSTNode, into: cst.CSTNode, above: Sequence[cst.CSTNode]
) -> bool:
    """Whether one operator's change of a node says nothing about behaviour."""
    parent = above[-1] if above else None
    if operator == "arg_removal" and isinstance(node, cst.Call) and isinstance(into, cst.Call):
        if last_name(node) in OBVIOUS_CALLS:
            return True
        return _says_the_same(node, into) or (isinstance(parent, cst.Raise) and _loses_message(node, into))
    return isinstance(node, cst.Tuple) and isinstance(
        parent, cst.AssignTarget | cst.For | cst.CompFor | cst.Del
    )


def _says_the_same(node: cst.Call, into: cst.Call) -> bool:
    """Whether a call differs only by `None` for `False`, or by `.get(key)` for `.get(key, None)`."""
    if last_name(node) == "get" and len(into.args) == 1 and into.args[0] is node.args[0]:
        return True
    return len(node.args) == len(into.args) and all(
        old is new or _is_name(old.value, "False") for old, new in zip(node.args, into.args, strict=True)
    )


def _loses_message(node: cst.Call, into: cst.Call) -> bool:
    """Whether the first argument that differs is the text of a message."""
    for old, new in itertools.zip_longest(node.args, into.args):
        if old is not new:
            return old is not None and (
                is_text(old.value) or isinstance(old.value, cst.Name | cst.BinaryOperation)
            )
    return False


# The operators of this field


def _before(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """A number less by one (mutmut has the greater one)."""
    if isinstance(node, cst.Integer):
        value = node.evaluated_value - 1
        yield cst.Integer(str(value)) if value >= 0 else _negative(cst.Integer(str(-value)))


def _empty(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """A text or bytes that is empty; a piece of an f-string that is gone."""
    if isinstance(node, cst.SimpleString) and node.raw_value:
        yield cst.SimpleString('b""' if "b" in node.prefix.lower() else '""')
    if isinstance(node, cst.FormattedStringText):
        yield node.with_changes(value="")


def _regex(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """A regex (a raw text) whose counts, quantifiers or classes are a little off."""
    if not isinstance(node, cst.SimpleString) or "r" not in node.prefix.lower():
        return
    for pattern, change in REGEX_CHANGES:
        for found in re.finditer(pattern, node.value):
            for new in change(found[0]):
                yield node.with_changes(value=node.value[: found.start()] + new + node.value[found.end() :])


REGEX_CHANGES: tuple[tuple[str, Callable[[str], tuple[str, ...]]], ...] = (
    (r"(?<=[{,])\d+(?=[,}])", lambda count: (str(int(count) + 1), str(int(count) - 1))),
    (r"(?<!\\)\+", lambda _: ("*",)),
    (r"(?<!\\)\*", lambda _: ("+",)),
    (r"(?<=[\])}\w])\?", lambda _: ("",)),
    (r"\[0-9\]", lambda _: (r"\d",)),
    (r"\[\^", lambda _: ("[",)),
    (r"(?<=\()\?[a-z]+:", lambda _: ("?:",)),
)
"""What in a regex is changed, and into what. What is no regex then is caught by its first use."""


def _negated(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """A condition turned round, where mutmut has no other way to do so (`==`, `is`, `in`, `not`)."""
    if isinstance(node, cst.If | cst.While | cst.IfExp | cst.CompIf) and not _has_opposite(node.test):
        yield node.with_changes(test=_not(node.test))


def _half(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """One side of `and` or `or` alone."""
    if isinstance(node, cst.BooleanOperation):
        yield _grouped(node.left)
        yield _grouped(node.right)


def _removed(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """A statement that does nothing; an `else` that is gone."""
    match node:
        case cst.SimpleStatementLine(body=[cst.Expr() | cst.AugAssign() | cst.Del() | cst.Assert()]):
            yield _with_small(node, cst.Pass())
        case cst.SimpleStatementLine(body=[cst.Return(value=None) | cst.Break() | cst.Continue()]):
            yield _with_small(node, cst.Pass())
        case cst.SimpleStatementLine(
            body=[cst.Assign(targets=[cst.AssignTarget(target=cst.Attribute() | cst.Subscript())])]
        ):
            yield _with_small(node, cst.Pass())
        case cst.Finally() | cst.Else():
            yield node.with_changes(body=_PASS)
        case cst.For(asynchronous=None):
            yield node.with_changes(iter=cst.Tuple([], lpar=[cst.LeftParen()], rpar=[cst.RightParen()]))


def _nothing_returned(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """`return None` for a value."""
    if isinstance(node, cst.Return) and node.value is not None and not _is_name(node.value, "None"):
        yield node.with_changes(value=cst.Name("None"), whitespace_after_return=cst.SimpleWhitespace(" "))


def _slice_bounds(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """A bound of a slice that is gone, or off by one (chunks, prefixes)."""
    if not isinstance(node, cst.Slice):
        return
    for bound in ("lower", "upper"):
        value = getattr(node, bound)
        if value is None:
            continue
        yield node.with_changes(**{bound: None})
        if not isinstance(value, cst.Integer):
            for operator in (cst.Add(), cst.Subtract()):
                moved = cst.BinaryOperation(_grouped(value), operator, cst.Integer("1"))
                yield node.with_changes(**{bound: moved})


def _first_or_last(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """The last for the first and the reverse: `[0]` and `[-1]`, `min` and `max`, both ends of a queue."""
    match node:
        case cst.Index(value=cst.Integer(value="0")):
            yield node.with_changes(value=_negative(cst.Integer("1")))
        case cst.Index(value=cst.UnaryOperation(operator=cst.Minus(), expression=cst.Integer(value="1"))):
            yield node.with_changes(value=cst.Integer("0"))
        case cst.Call(func=cst.Name(value=name)) if name in OTHER_FUNCTION:
            yield node.with_changes(func=cst.Name(OTHER_FUNCTION[name]))
        case cst.Call(func=cst.Attribute(attr=cst.Name(value=name)) as func) if name in OTHER_METHOD:
            yield node.with_changes(func=func.with_changes(attr=cst.Name(OTHER_METHOD[name])))
        case cst.Call(func=cst.Name(value="reversed" | "sorted"), args=[cst.Arg(value=value), *_]):
            yield _grouped(value)


OTHER_FUNCTION: Mapping[str, str] = {"min": "max", "max": "min", "any": "all", "all": "any"}
OTHER_METHOD: Mapping[str, str] = {
    "popleft": "pop", "appendleft": "append", "startswith": "endswith", "endswith": "startswith",
    "update": "setdefault", "match": "search", "fullmatch": "match", "getlist": "get",
}  # fmt: skip


def _dropped_default(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """`d[k]` for `d.get(k)` and `d.get(k, default)` (mutmut has `d.get(k)` for the latter)."""
    match node:
        case cst.Call(func=cst.Attribute(value=value, attr=cst.Name(value="get")), args=[key, *_]):
            if key.star == "" and key.keyword is None:
                index = cst.SubscriptElement(cst.Index(key.value))
                yield cst.Subscript(value, [index], lpar=node.lpar, rpar=node.rpar)


def _forgotten(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """A dict without one of its keys, a list, set or tuple without one of its members."""
    if not isinstance(node, cst.Dict | cst.List | cst.Set | cst.Tuple):
        return
    elements = list(node.elements)
    if len(elements) == 1 and not isinstance(node, cst.Dict | cst.List):
        return
    for index in range(len(elements)):
        left = [*elements[:index], *elements[index + 1 :]]
        if isinstance(node, cst.Tuple) and len(left) == 1:
            left = [left[0].with_changes(comma=cst.Comma())]
        yield node.with_changes(elements=left)


def _shared(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """The thing itself where a copy is made of it."""
    match node:
        case cst.Call(func=cst.Name(value=name), args=[cst.Arg(star="", keyword=None, value=value)]) if (
            name in COPIES
        ):
            yield _grouped(value)
        case cst.Call(func=cst.Attribute(value=value, attr=cst.Name(value="copy")), args=[]):
            yield _grouped(value)
        case cst.Dict(elements=[cst.StarredDictElement(value=value)]):
            yield _grouped(value)
        case cst.List(elements=[cst.StarredElement(value=value)]):
            yield _grouped(value)
        case cst.Tuple(elements=[cst.StarredElement(value=value)]):
            yield _grouped(value)


COPIES = frozenset(
    {"dict", "list", "tuple", "set", "frozenset", "bytes", "bytearray", "str", "int", "copy", "deepcopy"}
)


def _swallowed(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Nothing where an exception was raised, and nothing done about one that was caught."""
    match node:
        case cst.SimpleStatementLine(body=[cst.Raise()]):
            yield _with_small(node, cst.Pass())
            yield _with_small(node, cst.Return())
        case cst.ExceptHandler(body=cst.IndentedBlock()):
            yield node.with_changes(body=_PASS)


def _twice(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """A message sent twice, a chunk yielded twice, a hook run twice."""
    match node:
        case cst.SimpleStatementLine(body=[cst.Expr(value=cst.Await() | cst.Yield()) as small]):
            again = small.with_changes(semicolon=cst.Semicolon(whitespace_after=cst.SimpleWhitespace(" ")))
            yield node.with_changes(body=[again, small])


def _unread(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """An event that is not awaited: `{}` for `await receive()`."""
    match node:
        case cst.Await(expression=cst.Call(args=[]) as call) if "receive" in last_name(call):
            yield cst.Dict([])


def _exception(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """`Exception` for the class that is raised or caught."""
    match node:
        case cst.Raise(exc=cst.Call(func=func, args=args) as call) if _is_class(func):
            plain = [arg.with_changes(keyword=None, equal=cst.MaybeSentinel.DEFAULT) for arg in args]
            yield node.with_changes(exc=call.with_changes(func=cst.Name("Exception"), args=plain))
        case cst.Raise(exc=cst.Name() | cst.Attribute() as raised) if _is_class(raised):
            yield node.with_changes(exc=cst.Name("Exception"))
        case cst.ExceptHandler(type=cst.Name() | cst.Attribute() | cst.Tuple()):
            yield node.with_changes(type=cst.Name("Exception"))


def _raw_case(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """A text whose case or edges are left as they came."""
    match node:
        case cst.Call(func=cst.Attribute(value=value, attr=cst.Name(value=name))) if name in NORMALISERS:
            yield _grouped(value)


NORMALISERS = frozenset({"lower", "upper", "casefold", "title", "strip", "lstrip", "rstrip", "removeprefix"})


def _not(test: cst.BaseExpression) -> cst.BaseExpression:
    return cst.UnaryOperation(cst.Not(whitespace_after=cst.SimpleWhitespace(" ")), _parenthesised(test))


def _parenthesised(value: cst.BaseExpression) -> cst.BaseExpression:
    return value if value.lpar else value.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def _grouped(value: cst.BaseExpression) -> cst.BaseExpression:
    """The value, in parentheses unless it holds together by itself."""
    simple = (
        cst.Name
        | cst.Attribute
        | cst.Call
        | cst.Subscript
        | cst.BaseNumber
        | cst.BaseString
        | cst.Dict
        | cst.List
    )
    return value if isinstance(value, simple) else _parenthesised(value)


def _negative(value: cst.BaseExpression) -> cst.UnaryOperation:
    return cst.UnaryOperation(cst.Minus(), value)


def _with_small(line: cst.SimpleStatementLine, small: cst.BaseSmallStatement) -> cst.SimpleStatementLine:
    return line.with_changes(body=[small])


_PASS = cst.IndentedBlock([cst.SimpleStatementLine([cst.Pass()])])


def _has_opposite(test: cst.BaseExpression) -> bool:
    opposite = cst.Equal | cst.NotEqual | cst.Is | cst.IsNot | cst.In | cst.NotIn
    match test:
        case cst.Comparison(comparisons=[cst.ComparisonTarget(operator=operator)]):
            return isinstance(operator, opposite)
        case cst.UnaryOperation(operator=cst.Not()):
            return True
    return False


def _is_name(node: cst.CSTNode, name: str) -> bool:
    return isinstance(node, cst.Name) and node.value == name


def _is_class(node: cst.BaseExpression) -> bool:
    return last_name(node)[:1].isupper()


def _of_mutmut(kind: type[cst.CSTNode], operator: Operator) -> Operator:
    def changed(node: cst.CSTNode) -> Iterable[cst.CSTNode]:
        return operator(node) if isinstance(node, kind) else ()

    return changed


OPERATORS: tuple[tuple[str, Operator], ...] = (
    *((made.__name__.removeprefix("operator_"), _of_mutmut(kind, made)) for kind, made in mutation_operators),
    ("number", _before),
    ("empty", _empty),
    ("regex", _regex),
    ("negated", _negated),
    ("half", _half),
    ("removed", _removed),
    ("nothing_returned", _nothing_returned),
    ("slice", _slice_bounds),
    ("first_or_last", _first_or_last),
    ("dropped_default", _dropped_default),
    ("forgotten", _forgotten),
    ("shared", _shared),
    ("swallowed", _swallowed),
    ("twice", _twice),
    ("unread", _unread),
    ("exception", _exception),
    ("raw_case", _raw_case),
)
"""All operators by name: mutmut's, then ours. The name is the first part of a mutant's id."""
