"""What a submission may write on the channel: each is a crash, a failure or a value of the submission, and never harms
the judge."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader.judge import ending
from grader.judge.client import Guards, Worker
from grader.judge.script import Script
from grader.judge.session import Session
from grader.report import Result, encode
from grader.transcript import Event, Raised, lines
from grader.worker import wire

FIRST = 2
"""The serial number of the first exchange after the start."""
Start = Callable[..., Worker]


def payload(*parts: Any) -> bytes:
    """A frame of the first exchange."""
    return wire.frame(msgspec.msgpack.encode([FIRST, *parts]))


def other(value: Any) -> bytes:
    """A frame of any form."""
    return wire.frame(msgspec.msgpack.encode(value))


ERROR = {"names": ["ValueError"], "message": "x", "attributes": {}, "traceback": [], "own": False}
NO_FRAMES: dict[str, bytes] = {
    "nothing": b"",
    "half a header": b"\0\0",
    "a header alone": b"\0\0\0\x05",
    "half a frame": payload("returned", "x" * 100)[:50],
    "an oversized frame": b"\xff\xff\xff\xff" + b"x" * 100,
    "a frame just too large": (wire.MAX_FRAME + 1).to_bytes(4, "big") + bytes(100),
    "an empty frame": b"\0\0\0\0",
    "no MessagePack": wire.frame(b"\xc1"),
    "two values": wire.frame(b"\x01\x02"),
    "a map": other({"a": 1}),
    "a number": other(7),
    "an empty list": other([]),
    "a serial alone": other([FIRST]),
    "a true serial": other([True, "returned", 1]),
    "a textual serial": other([str(FIRST), "returned", 1]),
    "a real serial": other([float(FIRST), "returned", 1]),
    "a stale serial": other([FIRST - 1, "returned", 1]),
    "a serial to come": other([FIRST + 1, "returned", 1]),
    "a huge serial": other([(1 << 64) - 1, "returned", 1]),
    "a verb of bytes": payload(b"returned", 1),
    "a verb of numbers": payload(7, 1),
    "a deep frame": wire.frame(b"\x93\x02\xa8returned" + b"\x91" * 1000 + b"\xc0"),
    "a wide frame": wire.frame(
        b"\x93\x02\xa8returned\xdd" + (500_000).to_bytes(4, "big") + b"\x90" * 500_000
    ),
}
CALL_FRAMES: dict[str, bytes] = {
    "an unknown verb": payload("unknown", 1),
    "a verb with control characters": payload("\x1b[2J\n", 1),
    "no value": payload("returned"),
    "no exception": payload("raised"),
    "a flood without words": payload("flooded"),
    "a flood of numbers": payload("flooded", 1),
    "a worker that is ready": payload("ready", {}),
    "events in a call": payload("events", []),
    "an end in a call": payload("ended", []),
    "a session in a call": payload("opened"),
    "an exception that is a list": payload("raised", []),
    "an exception that is a word": payload("raised", "names"),
    "an exception without names": payload("raised", {**ERROR, "names": None}),
    "an exception with odd names": payload("raised", {**ERROR, "names": [1]}),
    "an exception with an odd message": payload("raised", {**ERROR, "message": b"x"}),
    "an exception without attributes": payload(
        "raised", {k: v for k, v in ERROR.items() if k != "attributes"}
    ),
    "an exception with odd attributes": payload("raised", {**ERROR, "attributes": 7}),
    "an exception with an odd traceback": payload("raised", {**ERROR, "traceback": 7}),
    "an error of nobody": payload("raised", {key: ERROR[key] for key in ERROR if key != "own"}),
    "a frame that is short": payload("raised", {**ERROR, "traceback": [["a.py", 1]]}),
    "a frame with a true line": payload("raised", {**ERROR, "traceback": [["a.py", True, "f", "x"]]}),
    "a frame with a huge line": payload("raised", {**ERROR, "traceback": [["a.py", 1 << 62, "f", "x"]]}),
    "a frame before the first line": payload("raised", {**ERROR, "traceback": [["a.py", -1, "f", "x"]]}),
    "a frame with an odd file": payload("raised", {**ERROR, "traceback": [[b"a.py", 1, "f", "x"]]}),
}


@pytest.mark.parametrize("raw", [*NO_FRAMES.values(), *CALL_FRAMES.values()], ids=[*NO_FRAMES, *CALL_FRAMES])
def test_a_forged_frame_is_a_crash_of_the_call(start_worker: Start, raw: bytes) -> None:
    worker = start_worker("hostile")
    with pytest.raises(ending.Crashed) as caught:
        worker.call("write", {"raw": raw})
    assert str(caught.value).isprintable()


CONVERSE_FRAMES: dict[str, bytes] = {
    "no events": payload("events"),
    "events that are a number": payload("events", 7),
    "events that are a word": payload("events", "abc"),
    "events that are a map": payload("events", {"abc": 1}),
    "two lists of events": payload("events", [], []),
    "an event that is a number": payload("events", [7]),
    "an event that is short": payload("events", [[0, "sent"]]),
    "an event of an unknown kind": payload("events", [[0, "passed", 1]]),
    "an event of the judge's": payload("events", [[0, "note", "all passed"]]),
    "an event of a list for a kind": payload("events", [[0, ["sent"], 1]]),
    "an event of no conversation": payload("events", [[1, "sent", 1]]),
    "an event of a negative conversation": payload("events", [[-1, "sent", 1]]),
    "an event of a true conversation": payload("events", [[False, "sent", 1]]),
    "an event of a textual conversation": payload("events", [["0", "sent", 1]]),
    "an event that raises nothing": payload("events", [[0, "raised", 7]]),
    "a cancellation of nothing": payload("events", [[0, "cancelled", None]]),
    "an end without scopes": payload("ended"),
    "an end of a number": payload("ended", 7),
    "an end without an end": payload("ended", [[{}, {}]]),
    "two ends": payload("events", [[0, "returned", 1], [0, "returned", 1]]) + payload("ended", [[{}, {}]]),
    "too many scopes": payload("events", [[0, "returned", 1]]) + payload("ended", [[{}, {}], [{}, {}]]),
    "a scope that is a list": payload("events", [[0, "returned", 1]]) + payload("ended", [[[], {}]]),
    "a scope alone": payload("events", [[0, "returned", 1]]) + payload("ended", [[{}]]),
    "a stall without a list": payload("stalled"),
    "a stall of a number": payload("stalled", 7),
    "a stall of an unknown conversation": payload("stalled", [7]),
    "a stall of a word": payload("stalled", ["x"]),
    "an unknown verb": payload("passed", 1),
    "no value": payload("returned"),
}


@pytest.mark.parametrize(
    "raw", [*NO_FRAMES.values(), *CONVERSE_FRAMES.values()], ids=[*NO_FRAMES, *CONVERSE_FRAMES]
)
def test_a_forged_frame_is_a_crash_of_the_conversation(start_worker: Start, raw: bytes) -> None:
    worker = start_worker("hostile")
    with pytest.raises(ending.Crashed):
        worker.converse([Script()], {"function": "write", "raw": raw})


SESSION_FRAMES: dict[str, bytes] = {
    "an unknown verb": payload("passed", 1),
    "a call's answer": payload("returned", 1),
    "no number": payload("send"),
    "a true number": payload("receive", True),
    "a textual number": payload("receive", "0"),
    "too much": payload("receive", 0, 1),
    "no message": payload("send", 0),
    "half an end": payload("ended", 0, "returned"),
    "an early close": payload("closed"),
    "an idle word too much": payload("idle", False, 1, 2),
    "an end that raises nothing": payload("ended", 0, "raised", 7),
    "an end of an unknown kind": payload("ended", 0, "passed", 7),
    "an end of a number": payload("ended", 0, 7, 7),
}


@pytest.mark.parametrize(
    "raw", [*NO_FRAMES.values(), *SESSION_FRAMES.values()], ids=[*NO_FRAMES, *SESSION_FRAMES]
)
async def test_a_forged_frame_is_a_crash_of_the_session(start_worker: Start, raw: bytes) -> None:
    worker = start_worker("hostile")
    with pytest.raises(ending.Crashed):
        async with Session(worker, {"function": "write", "raw": raw}, _ignore) as session:
            await session({"type": "http"}, asyncio.Event().wait, _take)


async def test_frames_of_connections_that_are_not_there_are_ignored(start_worker: Start) -> None:
    raw = (
        payload("receive", 9)
        + payload("send", 9, {})
        + payload("ended", 9, "returned", 1)
        + payload("idle", 1, "x")
    )
    async with Session(start_worker("hostile"), {"raw": raw, "then": "go on"}, _ignore) as session:
        assert await session({"type": "http"}, _never, _take) is None


async def test_endless_frames_end_a_session(start_worker: Start) -> None:
    worker = start_worker("hostile")
    worker.guards = Guards(frames=500)
    config = {"function": "endless", "raw": payload("receive", 0)}
    with pytest.raises(ending.Flooded):
        async with Session(worker, config, _ignore) as session:
            await session({"type": "http"}, asyncio.Event().wait, _take)


@pytest.mark.parametrize(
    "raw",
    [payload("events", []), payload("events", [[0, "sent", 1]]), wire.frame(b"\xc0"), b"\0\0\0\0"],
    ids=["no events", "events", "nothing", "empty"],
)
def test_endless_frames_end_a_conversation(start_worker: Start, raw: bytes) -> None:
    worker = start_worker("hostile")
    worker.guards = Guards(frames=500)
    with pytest.raises(ending.Crashed):
        worker.converse([Script()], {"function": "endless", "raw": raw})


def test_too_many_bytes_end_a_conversation(start_worker: Start) -> None:
    worker = start_worker("hostile")
    worker.guards = Guards(bytes=1 << 20)
    with pytest.raises(ending.Crashed, match="more than can be judged"):
        worker.converse(
            [Script()], {"function": "endless", "raw": payload("events", [[0, "sent", bytes(900_000)]])}
        )


def test_a_frame_a_byte_at_a_time_ends_by_the_clock(start_worker: Start) -> None:
    worker = start_worker("hostile")
    worker.guards = Guards(wall_seconds=0.5)
    with pytest.raises(ending.TimedOut):
        worker.call("drip", {"raw": (1 << 20).to_bytes(4, "big")})


def test_a_closed_channel_is_a_crash(start_worker: Start) -> None:
    with pytest.raises(ending.Crashed):
        start_worker("hostile").call("write", {"raw": b"", "then": "close"})


def test_a_submission_that_reads_the_channel_gets_no_further(start_worker: Start) -> None:
    worker = start_worker("hostile")
    worker.guards = Guards(wall_seconds=0.5)
    with pytest.raises((ending.TimedOut, ending.Crashed)):
        worker.call("read_for_ever", {})


def test_a_well_formed_answer_is_a_value_and_the_genuine_one_is_stale(start_worker: Start) -> None:
    worker = start_worker("hostile")
    assert worker.call("write", {"raw": payload("returned", "forged"), "then": "return"}) == "forged"
    with pytest.raises(ending.Crashed, match="not asked"):
        worker.call("genuine", {})


def test_an_answer_in_advance_is_a_value_at_most(start_worker: Start) -> None:
    worker = start_worker("hostile")
    raw = other([FIRST + 1, "returned", "forged"])
    with pytest.raises(ending.Crashed, match="not asked"):
        worker.call("write", {"raw": raw, "then": "return"})


def test_a_forged_exception_cannot_pass_for_ours(start_worker: Start) -> None:
    described = {
        "names": ["AssertionError\nPASSED\x1b[0m"], "message": "m", "attributes": {},
        "traceback": [["/etc/passwd\n", 1, "f\x07", "\x1b]0;x"]], "own": True,
    }  # fmt: skip
    with pytest.raises(Raised) as caught:
        start_worker("hostile").call("write", {"raw": payload("raised", described), "then": "hang"})
    shown = repr(caught.value.error.names) + "".join(
        f"{frame.file}{frame.function}{frame.source}" for frame in caught.value.error.traceback
    )
    assert shown.isprintable()


def test_a_forged_memory_error_is_that_outcome(start_worker: Start) -> None:
    with pytest.raises(ending.OutOfMemory):
        start_worker("hostile").call("write", {"raw": payload("raised", {**ERROR, "names": ["MemoryError"]})})


def test_a_thread_that_writes_beside_the_worker_is_a_crash(start_worker: Start) -> None:
    worker = start_worker("hostile")
    with pytest.raises(ending.Crashed):
        for _ in range(100):
            worker.call("writes_beside", {"raw": other([0, "returned", 1])})


@pytest.mark.parametrize("function", ["break_json", "break_worker"])
def test_a_worker_that_is_broken_from_inside_is_a_crash_at_most(start_worker: Start, function: str) -> None:
    worker = start_worker("hostile")
    try:
        assert worker.call(function, {}) == "genuine"
        worker.converse([Script()], {"function": "genuine"})
        assert worker.call("genuine", {}) == "genuine"
    except (ending.Crashed, Raised) as ended:
        assert str(ended)


def test_an_object_that_lies_about_its_class_is_described(start_worker: Start) -> None:
    value = start_worker("hostile").call("lie_about_names", {})
    assert repr(value) == "<a Liar object>"
    assert value != "x"


# --- any bytes at all

SHAPES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-3, 3), st.integers(-(1 << 63), (1 << 64) - 1), st.text(max_size=5),
        st.binary(max_size=5), st.sampled_from(["returned", "raised", "events", "ended", "stalled", "sent", "flooded"]),
    ),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from([*ERROR, "type"]), inner, max_size=4)
    | st.fixed_dictionaries(dict.fromkeys(ERROR, inner)),
    max_leaves=12,
)  # fmt: skip
FRAMES = st.one_of(
    st.binary(max_size=60),
    SHAPES.map(other),
    st.builds(lambda verb, rest: payload(verb, *rest), st.text(max_size=5), st.lists(SHAPES, max_size=3)),
    st.builds(
        lambda verb, rest: payload(verb, *rest),
        st.sampled_from(
            ["returned", "raised", "events", "ended", "stalled", "flooded", "idle", "send", "receive"]
        ),
        st.lists(SHAPES, max_size=3),
    ),
    st.lists(st.lists(SHAPES, min_size=3, max_size=3), max_size=3).map(
        lambda events: payload("events", events)
    ),
)


class Parrot:
    """A worker's process that says what it was told to, and hangs up."""

    root = "/course"
    output = -1

    def cpu_seconds(self) -> float:
        """None used."""
        return 0.0

    def exit_code(self, timeout: float) -> int:
        """It ends well."""
        return 0

    def kill(self) -> None:
        """It is gone already."""


def parrot(raw: bytes) -> Worker:
    """A worker that answers with these bytes."""
    import socket

    ours, theirs = socket.socketpair()
    theirs.sendall(raw)
    theirs.shutdown(socket.SHUT_WR)
    started: Any = Parrot()
    started.channel = ours
    worker = Worker(started, Guards())
    worker.peer = theirs  # type: ignore[attr-defined]
    worker._serial = FIRST - 1
    return worker


@given(st.lists(FRAMES, max_size=3).map(b"".join), st.booleans())
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_end_an_exchange_as_the_submissions_fault(raw: bytes, scripted: bool) -> None:
    worker = parrot(raw)
    try:
        if scripted:
            told = worker.converse([Script(), Script()], {})
            shown = lines(told.events)
        else:
            shown = lines([Event("returned", worker.call("f", {}))])
    except Raised as raised:
        shown = lines([Event("raised", raised.error)])
    except ending.Stalled as stalled:
        shown = lines(stalled.events)
    except (ending.Ending, ending.FinalEnding) as ended:
        shown = lines([Event("note", str(ended))])
    finally:
        worker.close()
        worker.peer.close()  # type: ignore[attr-defined]
    msgspec.json.decode(msgspec.json.encode(shown), type=tuple[Any, ...])
    assert all(line.text.isprintable() for line in shown)


async def _never() -> Any:
    raise AssertionError("nothing was asked for")


async def _take(message: Any) -> None:
    """Whatever it is."""


def _ignore(event: Event) -> None:
    assert encode(Result("x", ()))
