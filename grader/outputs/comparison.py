"""Expected against received: one below the other where they are short, a diff of lines where they are long.

Rule 1: a value is laid out by parsing its text as a literal; nothing is evaluated.
Rule 2: where both are one long line, the place where they part is told.
"""

from __future__ import annotations

import ast
import difflib
import pprint
from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from grader.outputs.screen import columns, indented, styled, visible

MAX_LINES = 40
"""Lines of a diff that are shown."""
MAX_LITERAL = 20_000
"""Characters of a value that is laid out over lines."""
EXPECTED = "green"
RECEIVED = "red"


def comparison(expected: str | None, received: str | None, width: int) -> Iterator[RenderableType]:
    """What was expected and what came, as text of their values; None where that side is not known."""
    if expected is None or received is None or _short(expected, received, width):
        yield _side_by_side(expected, received)
        return
    left, right = _laid_out(expected, width - 8), _laid_out(received, width - 8)
    if len(left) == len(right) == 1:
        yield _side_by_side(expected, received)
        yield indented(_parting(expected, received))
        return
    yield styled("Expected (", ("-", EXPECTED), ") and received (", ("+", RECEIVED), ")")
    yield indented(_diff(left, right))


def _short(expected: str, received: str, width: int) -> bool:
    return "\n" not in expected + received and max(len(expected), len(received)) <= width - 14


def _side_by_side(expected: str | None, received: str | None) -> RenderableType:
    table = columns("left")
    if expected is not None:
        table.add_row("Expected", styled((visible(expected), EXPECTED)))
    if received is not None:
        table.add_row("Received", styled((visible(received), RECEIVED)))
    return table


def _laid_out(text: str, width: int) -> list[str]:
    """The lines of a value's text: one item a line where it is a literal too long for one."""
    if "\n" in text or len(text) > MAX_LITERAL:
        return visible(text).split("\n")
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return [visible(text)]
    # Narrower than the screen, so that equal parts of two values fall on equal lines.
    return visible(pprint.pformat(value, width=min(width, 60), sort_dicts=False)).split("\n")


def _diff(left: list[str], right: list[str]) -> Text:
    marked = [line for line in difflib.ndiff(left, right) if not line.startswith("?")]
    lines = _near_changes(marked)
    styles = {"-": EXPECTED, "+": RECEIVED, " ": "dim"}
    return Text("\n", overflow="fold").join(Text(line, style=styles.get(line[:1], "dim")) for line in lines)


def _near_changes(marked: list[str]) -> list[str]:
    """The changed lines and two around each, at most `MAX_LINES`."""
    changed = [index for index, line in enumerate(marked) if line[:1] in "-+"]
    near = {index + offset for index in changed for offset in range(-2, 3)} & set(range(len(marked)))
    shown: list[str] = []
    last = -1
    for index in sorted(near):
        if index != last + 1:
            shown.append("  ...")
        shown.append(marked[index])
        last = index
    if last + 1 < len(marked):
        shown.append("  ...")
    if len(shown) > MAX_LINES:
        return [*shown[:MAX_LINES], f"  ... and {len(shown) - MAX_LINES} more lines"]
    return shown


def _parting(expected: str, received: str) -> Text:
    same = next(
        (index for index, pair in enumerate(zip(expected, received, strict=False)) if pair[0] != pair[1]),
        min(len(expected), len(received)),
    )
    return styled(
        f"They part after {same} characters: expected ",
        (_around(expected, same), EXPECTED),
        ", received ",
        (_around(received, same), RECEIVED),
    )


def _around(text: str, index: int) -> str:
    start, end = max(0, index - 12), index + 20
    return visible(f"{'...' if start else ''}{text[start:end]}{'...' if end < len(text) else ''}")
