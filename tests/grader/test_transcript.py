"""The transcript: what it tells of a conversation, and how values are written down."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader import transcript
from grader.transcript import Error, Event, Line, Raised, Transcript

TOLD = Transcript(
    (
        Event("received", {"type": "http.request"}),
        Event("sent", {"type": "http.response.start"}, 1),
        Event("send_failed", {"type": "http.response.body"}),
        Event("sent", "odd"),
        Event("returned", 7),
        Event("raised", Error(("ValueError", "Exception"), "wrong"), 1),
        Event("sent", {"type": "late"}),
    ),
    ({"type": "a"}, {"type": "b"}),
    ({"type": True}, {"type": False}),
)


def test_a_transcript_tells_what_happened() -> None:
    first = TOLD.of(0)
    assert first.sequence == ["← http.request", "→ failed http.response.body", "sent", "returned", "→ late"]
    assert first.received == [{"type": "http.request"}]
    assert first.sent == [{"type": "http.response.body"}, "odd", {"type": "late"}]
    assert (first.returned, first.raised) == (7, None)
    assert (first.scopes, first.identities) == (({"type": "a"},), ({"type": True},))


def test_a_transcript_tells_what_was_raised() -> None:
    second = TOLD.of(1)
    assert second.raised == Error(("ValueError", "Exception"), "wrong")
    assert str(second.raised) == "ValueError: wrong"
    with pytest.raises(Raised, match="wrong"):
        _ = second.returned


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"b": (1,), "a": [b"x", None]}, "{'b': (1,), 'a': [b'x', None]}"),
        ({3, 1, 2}, "{1, 2, 3}"),
        (frozenset(), "frozenset()"),
        ("a\nb", "'a\\nb'"),
        ("\ud800", "'\\ud800'"),
        ("\u202e", "'\\u202e'"),
        ("<object at 0x7f00deadbeef>", "'<object at 0x...>'"),
        (b"<object at 0x7f00deadbeef>", "b'<object at 0x...>'"),
        ("0xdeadbeef", "'0xdeadbeef'"),
        ("x" * 500, f"'{'x' * 50}' ... (500 characters)"),
        (b"x" * 500, f"b'{'x' * 50}' ... (500 bytes)"),
    ],
)
def test_a_value_is_written_as_a_literal(value: Any, expected: str) -> None:
    assert transcript.text(value) == expected


HUGE = 1 << 60_000


@pytest.mark.parametrize(
    "value", [HUGE, -HUGE, [HUGE], {HUGE: {HUGE}}], ids=["one", "negative", "list", "dict"]
)
def test_an_int_of_too_many_digits_is_written(value: Any) -> None:
    written = transcript.text(value)
    assert "0x" in written
    assert len(written) <= transcript.MAX_TEXT


def test_the_order_of_a_set_does_not_show() -> None:
    words = [f"w{number}" for number in range(30)]
    assert transcript.text(set(words)) == transcript.text(dict.fromkeys(words[::-1]).keys() | set())


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_plain_text_is_printable_and_short(untrusted: str) -> None:
    shown = transcript.plain(untrusted * 3)
    assert shown.isprintable()
    assert len(shown) <= transcript.MAX_TEXT
    shown.encode("utf-8")


def test_printable_text_stays_as_it_is() -> None:
    assert transcript.plain("Grüße, 世界 'x' \\n") == "Grüße, 世界 'x' \\n"
    assert transcript.plain("a\x1b[31m\r\nb\x00") == "a\\x1b[31m\\r\\nb\\x00"


def test_a_long_transcript_loses_its_middle() -> None:
    made = transcript.lines(Event("sent", number) for number in range(1000))
    assert len(made) == transcript.MAX_LINES + 1
    assert [made[0].text, made[-1].text] == ["0", "999"]
    assert made[transcript.MAX_LINES // 2] == Line("note", "... 940 more lines ...")


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Event("called", ("match", {"path": "/", "n": 1})), "call match(path='/', n=1)"),
        (Event("received", {"type": "x"}), "← {'type': 'x'}"),
        (Event("sent", {"type": "x"}), "→ {'type': 'x'}"),
        (Event("returned", None), "returned None"),
        (Event("raised", Error(("E\n",), "m\x1b")), "raised E\\n: m\\x1b"),
        (Event("cancelled", Error(("CancelledError",), "")), "cancelled CancelledError"),
        (Event("waits", "for an event"), "waits for an event"),
        (Event("note", "the process died"), "the process died"),
    ],
)
def test_each_kind_of_event_has_its_line(event: Event, line: str) -> None:
    assert str(transcript.lines([event])[0]) == line
