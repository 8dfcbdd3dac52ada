"""What the parts of a Python module are, as far as more than one of the author's tools asks.

Rule 1: nodes of libcst in, answers out: nothing here changes a tree.
Rule 2: a question that only one tool asks is answered there.
"""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

TYPE_MAKERS = frozenset(
    {"TypeVar", "ParamSpec", "TypeVarTuple", "NewType", "namedtuple", "NamedTuple", "TypedDict"}
)
"""Calls that make a type: what they are assigned to belongs to annotations, not to behaviour."""


def dotted(node: cst.CSTNode | None) -> str:
    """`a.b.c` of a name, an attribute, or what is called or subscripted there; empty for anything else."""
    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute):
        left = dotted(node.value)
        return f"{left}.{node.attr.value}" if left else ""
    if isinstance(node, cst.Call):
        return dotted(node.func)
    if isinstance(node, cst.Subscript):
        return dotted(node.value)
    return ""


def last_name(node: cst.CSTNode | None) -> str:
    """The last part of `dotted(node)`: the name of a decorator, a base class or a function that is called."""
    return dotted(node).rsplit(".", 1)[-1]


def is_private(name: str) -> bool:
    """Whether a name begins with an underscore and is no dunder."""
    return name.startswith("_") and not is_dunder(name)


def is_dunder(name: str) -> bool:
    """Whether a name is like `__init__`."""
    return name.startswith("__") and name.endswith("__") and len(name) > 4


def is_text(node: cst.CSTNode | None) -> bool:
    """Whether an expression is a string literal of any kind (f-strings too)."""
    return isinstance(node, cst.SimpleString | cst.ConcatenatedString | cst.FormattedString)


def is_docstring(statement: cst.CSTNode) -> bool:
    """Whether a statement is nothing but a string literal."""
    match statement:
        case cst.SimpleStatementLine(body=[cst.Expr(value=value)]):
            return is_text(value)
    return False


def is_type_checking(statement: cst.CSTNode) -> bool:
    """Whether a statement is `if TYPE_CHECKING:`."""
    return isinstance(statement, cst.If) and last_name(statement.test) == "TYPE_CHECKING"


def is_type_expression(value: cst.BaseExpression) -> bool:
    """Whether a value that is assigned to a name at module level only serves annotations.

    A union, a subscripted type, `TypeVar(...)` and the like; a plain name or attribute is an alias of a class
    when it is capitalised.
    """
    match value:
        case cst.Call():
            return last_name(value) in TYPE_MAKERS
        case cst.BinaryOperation(left=left, operator=cst.BitOr(), right=right):
            return all(is_type_expression(side) or _is_none(side) for side in (left, right))
        case cst.Subscript(value=of):
            return is_type_expression(of) or last_name(of) in (
                "dict",
                "list",
                "tuple",
                "set",
                "frozenset",
                "type",
            )
        case cst.Name() | cst.Attribute():
            name = last_name(value)
            return name[:1].isupper() and not name.isupper() and name not in ("True", "False", "None")
    return False


def is_type_alias(statement: cst.CSTNode) -> bool:
    """Whether a statement at module level defines a type and nothing else."""
    match statement:
        case cst.SimpleStatementLine(body=[cst.TypeAlias()]):
            return True
        case cst.SimpleStatementLine(body=[cst.AnnAssign(annotation=annotation)]):
            return last_name(annotation.annotation) == "TypeAlias"
        case cst.SimpleStatementLine(
            body=[cst.Assign(targets=[cst.AssignTarget(target=cst.Name())], value=value)]
        ):
            return is_type_expression(value)
    return False


def decorator_names(node: cst.FunctionDef | cst.ClassDef) -> tuple[str, ...]:
    """The last parts of the names of a definition's decorators."""
    return tuple(last_name(decorator.decorator) for decorator in node.decorators)


def is_overload(node: cst.CSTNode) -> bool:
    """Whether a node is a function decorated with `overload`."""
    return isinstance(node, cst.FunctionDef) and "overload" in decorator_names(node)


def statements(body: cst.BaseSuite) -> tuple[cst.BaseStatement | cst.BaseSmallStatement, ...]:
    """The statements of a block, or the small ones on the line of a `def f(): ...`."""
    return tuple(body.body)


def own_nodes(function: cst.FunctionDef) -> Iterator[cst.CSTNode]:
    """All nodes of a function's body that belong to itself, not to a function or class inside it."""
    pending: list[cst.CSTNode] = [function.body]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(
            child
            for child in reversed(node.children)
            if not isinstance(child, cst.FunctionDef | cst.ClassDef | cst.Lambda)
        )


def is_generator(function: cst.FunctionDef) -> bool:
    """Whether a function yields."""
    return any(isinstance(node, cst.Yield) for node in own_nodes(function))


def _is_none(node: cst.BaseExpression) -> bool:
    return (isinstance(node, cst.Name) and node.value == "None") or is_text(node)
