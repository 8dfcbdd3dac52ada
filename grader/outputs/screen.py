"""The screen: where everything for people is printed, on a terminal or into a pipe.

Rule 1: into a pipe goes plain text: no colour, no box, no wrapping, no blanks at the end of a line.
Rule 2: text of a submission passes `visible`: nothing in it can move the cursor, hide, or pass for ours.
Rule 3: strings are printed as they are; markup of rich is never parsed.
"""

from __future__ import annotations

import unicodedata
from typing import TextIO

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

PLAIN_WIDTH = 100_000
"""The width of a screen that is no terminal: nothing is ever wrapped there."""
MAX_WIDTH = 110
"""Columns that are used of a wider terminal: longer lines are hard to read."""
ASCII = {"←": "<-", "→": "->", "✓": "+", "✗": "x", "·": "-", "…": "..."}
"""What is printed instead of our own signs on a stream that cannot encode them."""
UNSEEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
"""Categories of Unicode that are shown as escapes: control, format, surrogate, private, unassigned."""


class Screen:
    """Prints renderables and strings on one stream."""

    def __init__(self, file: TextIO, *, width: int | None = None, terminal: bool | None = None) -> None:
        """Takes the stream; `width` and `terminal` are found out where they are not given."""
        self._file = file
        self.console = Console(
            file=file, width=width, force_terminal=terminal, highlight=False, markup=False, emoji=False
        )
        self.terminal = self.console.is_terminal
        self.console.width = min(self.console.width, MAX_WIDTH) if self.terminal else PLAIN_WIDTH

    @property
    def width(self) -> int:
        """The columns to fill: those of the terminal, or 80 where there is none."""
        return self.console.width if self.terminal else 80

    def print(self, *parts: RenderableType) -> None:
        """Print each part on lines of its own; without a part, an empty line."""
        with self.console.capture() as captured:
            for part in parts or ("",):
                self.console.print(part)
        text = captured.get()
        if not self.terminal:
            text = "\n".join(line.rstrip(" ") for line in text.split("\n"))
        self._file.write(_encodable(text, getattr(self._file, "encoding", None) or "utf-8"))
        self._file.flush()

    def status(self, line: str) -> None:
        """Show a line that the next print replaces, on a terminal; nothing elsewhere."""
        if self.terminal:
            self._file.write(f"\r\x1b[2K{_encodable(line, self._file.encoding or 'utf-8')[: self.width - 1]}")
            self._file.flush()

    def clear(self) -> None:
        """Empty the terminal; nothing where there is none."""
        self.console.clear()


def _encodable(text: str, encoding: str) -> str:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        for sign, plain in ASCII.items():
            text = text.replace(sign, plain)
        return text.encode(encoding, "backslashreplace").decode(encoding)
    return text


def visible(untrusted: str) -> str:
    """Text of the submission: every character but a newline that is not seen is replaced by its escape."""
    return "".join(_visible(character) for character in untrusted.expandtabs(4))


def _visible(character: str) -> str:
    if character == "\n" or unicodedata.category(character) not in UNSEEN:
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def indented(part: RenderableType, by: int = 2) -> Padding:
    """The part, moved to the right."""
    return Padding(part, (0, 0, 0, by), expand=False)


def columns(*fixed: str, last_width: int | None = None) -> Table:
    """A table without lines: a column, never wrapped, for each justification in `fixed`, and a last one.

    The last is wrapped, or cut at `last_width`. Rows are added by `add_row`.
    """
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for justify in fixed:
        table.add_column(justify="right" if justify == "right" else "left", no_wrap=True)
    table.add_column(
        overflow="fold" if last_width is None else "ellipsis",
        no_wrap=last_width is not None,
        max_width=last_width,
    )
    return table


def styled(*pieces: str | tuple[str, str]) -> Text:
    """One text made of plain strings and (string, style) pairs. Long words are broken, never cut."""
    return Text.assemble(*pieces, overflow="fold")
