"""The transcript: everything that crossed the boundary in one example, in order.

Rule 1: an event holds values as they crossed; a `Line` holds their text, for people and for reports.
Rule 2: text is a function of the value alone: no address, no clock, no order of a set.
Rule 3: text from the submission is shown, never interpreted: what is not printable is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

MAX_TEXT = 400
"""Characters of one value's text; the middle of a longer one is left out."""
MAX_LINES = 60
"""Lines of one transcript in a report; the middle of a longer one is left out."""
ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]{6,}")
"""Where an object lies, as its `repr` tells it: another place in each process."""

Kind = Literal[
    "called", "received", "sent", "send_failed", "cancelled", "returned", "raised", "waits", "note"
]

ENDS = frozenset({"returned", "raised", "cancelled"})
"""The kinds of event with which a call ends."""
ARROWS: Mapping[str, str] = {
    "called": "call",
    "received": "←",
    "sent": "→",
    "send_failed": "→ failed",
    "cancelled": "cancelled",
    "returned": "returned",
    "raised": "raised",
    "waits": "waits",
    "note": "",
}
"""What stands before a line: ← is what the app received, → what it sent."""


class Frame(msgspec.Struct, frozen=True):
    """One frame of the learner's own traceback: `file` relative to the tree, `line` from 1."""

    file: str
    line: int
    function: str
    source: str


@dataclass(frozen=True, slots=True)
class Error:
    """An exception of the submission, as it crossed.

    `names` are the class names along its MRO, the most derived first; `attributes` the declared ones that it had
    (status_code, headers, code, reason...); `traceback` the learner's own frames, outermost first; `own` whether
    it came out of a line of theirs, and not of the probe, which their code may have called.
    """

    names: tuple[str, ...]
    message: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    traceback: tuple[Frame, ...] = ()
    own: bool = False

    @property
    def name(self) -> str:
        """The name of the exception's class."""
        return self.names[0]

    def __str__(self) -> str:
        return f"{self.name}: {self.message}" if self.message else self.name


class Raised(Exception):
    """The submission's code raised. Carries the `error` that crossed."""

    def __init__(self, error: Error) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: its kind, its value, and in which conversation (counted from 0)."""

    kind: Kind
    value: Any = None
    conversation: int = 0


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event as text."""

    kind: Kind
    text: str
    conversation: int = 0

    def __str__(self) -> str:
        arrow = ARROWS[self.kind]
        return f"{arrow} {self.text}".strip()


@dataclass(frozen=True, slots=True)
class Transcript:
    """The whole of one ASGI conversation (or several interleaved), as the worker reported it.

    `scopes` are the scopes after the call, one a conversation; `identities[i][key]` tells whether the value at
    `key` of scope i is still the very object that the app was given.
    """

    events: tuple[Event, ...]
    scopes: tuple[dict[str, Any], ...] = ()
    identities: tuple[dict[str, bool], ...] = ()

    def of(self, conversation: int) -> Transcript:
        """The events of one conversation alone."""
        return Transcript(
            tuple(event for event in self.events if event.conversation == conversation),
            self.scopes[conversation : conversation + 1],
            self.identities[conversation : conversation + 1],
        )

    @property
    def sent(self) -> list[Any]:
        """The messages that were sent, in order (also those whose send failed)."""
        return [event.value for event in self.events if event.kind in ("sent", "send_failed")]

    @property
    def received(self) -> list[Any]:
        """The messages that were received, in order."""
        return [event.value for event in self.events if event.kind == "received"]

    @property
    def sequence(self) -> list[str]:
        """What happened, in order: `"← type"` and `"→ type"` of the messages, then how the call ended."""
        return [_step(event) for event in self.events]

    @property
    def raised(self) -> Error | None:
        """What the app raised, or None if it returned."""
        end = self._end
        return end.value if end is not None and end.kind == "raised" else None

    @property
    def returned(self) -> Any:
        """What the app returned. Raises `Raised` with the app's error if it raised."""
        end = self._end
        if end is not None and end.kind == "raised":
            raise Raised(end.value)
        return end.value if end is not None else None

    @property
    def _end(self) -> Event | None:
        """How the call ended: messages of a task that it left running may stand behind it."""
        return next((event for event in reversed(self.events) if event.kind in ENDS), None)


def _step(event: Event) -> str:
    if event.kind in ("received", "sent", "send_failed") and isinstance(event.value, dict):
        return f"{ARROWS[event.kind]} {event.value.get('type')}"
    return event.kind


def lines(events: Iterable[Event]) -> tuple[Line, ...]:
    """The events as text, at most `MAX_LINES` of them."""
    whole = tuple(events)
    if len(whole) <= MAX_LINES:
        return _lines(whole)
    head, tail = whole[: MAX_LINES // 2], whole[-(MAX_LINES // 2) :]
    left_out = len(whole) - len(head) - len(tail)
    return (*_lines(head), Line(kind="note", text=f"... {left_out} more lines ..."), *_lines(tail))


def _lines(events: Iterable[Event]) -> tuple[Line, ...]:
    return tuple(
        Line(kind=event.kind, text=text_of_event(event), conversation=event.conversation) for event in events
    )


def text_of_event(event: Event) -> str:
    """One event's value as text."""
    if event.kind == "called":
        name, values = event.value
        return f"{name}({arguments(values)})"
    if event.kind == "raised":
        return plain(str(event.value))
    if event.kind == "send_failed":
        message, error = event.value if isinstance(event.value, tuple) else (event.value, "OSError")
        return f"{text(message)} (the send raised {error})"
    if event.kind in ("waits", "note", "cancelled"):
        return plain(str(event.value or ""))
    return text(event.value)


def arguments(values: Mapping[str, Any]) -> str:
    """Named values as a call shows them: `template='/', path='/x'`."""
    return ", ".join(f"{name}={text(value)}" for name, value in values.items())


def text(value: Any) -> str:
    """A value as a Python literal, its middle left out if it is longer than `MAX_TEXT`."""
    return plain(_literal(value))


def _literal(value: Any) -> str:
    if isinstance(value, bytes) and len(value) > MAX_TEXT:
        return f"{value[: MAX_TEXT // 8]!r} ... ({len(value)} bytes)"
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return f"{value[: MAX_TEXT // 8]!r} ... ({len(value)} characters)"
    if type(value) is int and value.bit_length() > MAX_TEXT * 4:  # Python refuses to write too many digits
        return f"{shorten(hex(value))} ({value.bit_length()} bits)"
    if type(value) is dict:
        return "{" + ", ".join(f"{_literal(key)}: {_literal(item)}" for key, item in value.items()) + "}"
    if type(value) is list:
        return "[" + ", ".join(_literal(item) for item in value) + "]"
    if type(value) is tuple:
        return "(" + ", ".join(_literal(item) for item in value) + ("," if len(value) == 1 else "") + ")"
    if type(value) in (set, frozenset) and value:
        return "{" + ", ".join(sorted(_literal(item) for item in value)) + "}"
    return repr(value)


def shorten(whole: str, limit: int = MAX_TEXT) -> str:
    """`whole`, its middle left out if it is longer than `limit` characters."""
    if len(whole) <= limit:
        return whole
    half = (limit - 5) // 2
    return f"{whole[:half]} ... {whole[-half:]}"


def plain(untrusted: str) -> str:
    """Text of the submission with what a terminal might obey escaped, so that it cannot pass for ours."""
    bounded = shorten(untrusted, 8 * MAX_TEXT)
    escaped = bounded if bounded.isprintable() else "".join(map(_escaped, bounded))
    return shorten(ADDRESS.sub("at 0x...", escaped))


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
