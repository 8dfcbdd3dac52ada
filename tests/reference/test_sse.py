"""The reference's server-sent events: what is written is read back by the standard's own rules; time is simulated."""

from __future__ import annotations

import asyncio
import contextvars
import selectors
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastasgi_reference.datastructures import Headers
from fastasgi_reference.sse import EventStream, ServerSentEvent, last_event_id
from tests.reference.conversation import Log, http_scope, play, websocket_scope
from tests.reference.rules import enforces

HEARTBEAT = b": heartbeat\n\n"
OLD = {"version": "3.0", "spec_version": "2.3"}


class Clock(selectors.SelectSelector):
    """A selector that does not wait: where there is nothing to do before a timer, it is that time at once."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout:
            self.now += timeout
        return ready


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only while everybody waits, and then takes none."""

    def __init__(self) -> None:
        self.clock = Clock()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now


def simulate(main: Coroutine[Any, Any, Log]) -> Log:
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(main)


def now() -> float:
    return asyncio.get_running_loop().time()


class Source:
    """Events at certain times, as an iterator that tells what is done to it."""

    def __init__(self, *steps: tuple[float, Any]) -> None:
        self.steps = list(steps)
        self.asked = 0
        self.closed = 0
        self.interrupted = 0
        self.begun = asyncio.Event()

    def __aiter__(self) -> Source:
        return self

    async def __anext__(self) -> Any:
        self.asked += 1
        self.begun.set()
        if not self.steps:
            raise StopAsyncIteration
        pause, event = self.steps.pop(0)
        try:
            await asyncio.sleep(pause)
        except asyncio.CancelledError:
            self.interrupted += 1
            raise
        if isinstance(event, Exception):
            raise event
        return event

    async def aclose(self) -> None:
        self.closed += 1


async def events(*items: ServerSentEvent | str) -> AsyncIterator[ServerSentEvent | str]:
    for item in items:
        yield item


def read(stream: bytes) -> list[dict[str, Any]]:
    """What an EventSource makes of a stream (WHATWG HTML, sections 9.2.5 and 9.2.6), written from its rules."""
    found: list[dict[str, Any]] = []
    text = stream.decode().removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    data, kind, last_id, retry = "", "", "", None
    for line in text.split("\n")[:-1]:
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                data += value + "\n"
            elif name == "event":
                kind = value
            elif name == "id" and "\0" not in value:
                last_id = value
            elif name == "retry" and value.isascii() and value.isdigit():
                retry = int(value)
        else:
            if data:
                found.append({"data": data[:-1], "event": kind or "message", "id": last_id, "retry": retry})
            data, kind = "", ""
    return found


# Events


@pytest.mark.parametrize(
    ("event", "written"),
    [
        (ServerSentEvent("hello"), b"data: hello\n\n"),
        (ServerSentEvent(""), b"data: \n\n"),
        (ServerSentEvent("é\U0001f600"), "data: é\U0001f600\n\n".encode()),
        (ServerSentEvent(" a"), b"data:  a\n\n"),
        (ServerSentEvent("a\nb\r\nc\rd"), b"data: a\ndata: b\ndata: c\ndata: d\n\n"),
        (ServerSentEvent("a\n"), b"data: a\ndata: \n\n"),
        (ServerSentEvent("\n\r"), b"data: \ndata: \ndata: \n\n"),
        (ServerSentEvent("a\u2028b\x0bc\x1cd\x85e"), "data: a\u2028b\x0bc\x1cd\x85e\n\n".encode()),
        (ServerSentEvent("a", event="tick", id="7", retry=250), b"event: tick\nid: 7\nretry: 250\ndata: a\n\n"),
        (ServerSentEvent("a", event="", id="", retry=0), b"event: \nid: \nretry: 0\ndata: a\n\n"),
        (ServerSentEvent("a", comment="b\nc\rd"), b": b\n: c\n: d\ndata: a\n\n"),
        (ServerSentEvent("a", comment="data: x\n\ndata: y"), b": data: x\n: \n: data: y\ndata: a\n\n"),
        (ServerSentEvent(None, retry=5000), b"retry: 5000\n\n"),
        (ServerSentEvent(None), b"\n"),
    ],
)  # fmt: skip
def test_encode(event: ServerSentEvent, written: bytes) -> None:
    assert event.encode() == written


TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\r\n: \0\u2028"))
LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0") | st.sampled_from(": "))


@given(
    batch=st.lists(
        st.builds(
            ServerSentEvent, TEXT, event=st.none() | LINE, id=st.none() | LINE,
            retry=st.none() | st.integers(0, 10**9), comment=st.none() | TEXT,
        )
    )
)  # fmt: skip
@example([ServerSentEvent("a\r"), ServerSentEvent("\nb")])
@example([ServerSentEvent("\ufeff", comment="\ufeff")])
def test_what_is_written_is_read_back(batch: list[ServerSentEvent]) -> None:
    def newlines(text: str) -> str:
        return text.replace("\r\n", "\n").replace("\r", "\n")

    expected, last_id, retry = [], "", None
    for event in batch:
        last_id = event.id if event.id is not None else last_id
        retry = event.retry if event.retry is not None else retry
        kind = event.event or "message"
        expected.append({"data": newlines(event.data or ""), "event": kind, "id": last_id, "retry": retry})
    assert read(b"".join(event.encode() for event in batch)) == expected


@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "a\0b", "\r\n", "x\ndata: forged\n\n"])
@pytest.mark.parametrize("field", ["event", "id"])
def test_a_field_of_one_line_takes_no_more(field: str, bad: str) -> None:
    with pytest.raises(ValueError, match=rf"^{field}=.*has to be one line"):
        ServerSentEvent("a", **{field: bad})


@pytest.mark.parametrize("retry", [-1, True, 1.5, "10"])
def test_retry_is_whole_milliseconds(retry: Any) -> None:
    with pytest.raises(ValueError, match="give whole milliseconds"):
        ServerSentEvent("a", retry=retry)


@pytest.mark.parametrize("data", [{"a": 1}, b"a", 5])
def test_data_is_text(data: Any) -> None:
    with pytest.raises(TypeError, match=r"encode it, for example by json\.dumps"):
        ServerSentEvent(data)


def test_an_event_is_a_value() -> None:
    event = ServerSentEvent("a", id="1")
    assert event == ServerSentEvent("a", id="1")
    with pytest.raises(AttributeError):
        event.data = "b"  # type: ignore[misc]


# The response


@enforces("HTTP-RESP-01", "HTTP-RESP-03", "HTTP-RESP-08")
async def test_a_stream_of_events_and_texts() -> None:
    stream = EventStream(events("a", ServerSentEvent("b", event="tick"), "c\nd"))
    log = await play(stream, http_scope(), end="block")
    assert (log.status, log.raised, log.complete) == (200, None, True)
    assert log.headers == [
        ("content-type", "text/event-stream; charset=utf-8"),
        ("cache-control", "no-store"),
        ("x-accel-buffering", "no"),
    ]
    assert [message["body"] for message in log.sent[1:]] == [
        b"data: a\n\n",
        b"event: tick\ndata: b\n\n",
        b"data: c\ndata: d\n\n",
        b"",
    ]


@enforces("HTTP-RESP-17")
async def test_a_stream_without_events_is_complete() -> None:
    log = await play(EventStream(events()), http_scope())
    assert (log.body, log.complete, log.raised) == (b"", True, None)


async def test_status_and_headers_may_be_given_and_are_not_changed() -> None:
    given_headers = {"Cache-Control": "no-cache", "x-a": "b"}
    log = await play(EventStream(events(), status_code=418, headers=given_headers), http_scope())
    assert log.status == 418
    assert (log.header("cache-control"), log.header("x-a")) == ("no-cache", "b")
    assert given_headers == {"Cache-Control": "no-cache", "x-a": "b"}


@enforces("HTTP-RESP-12", "HTTP-RESP-11")
@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204)])
async def test_where_there_is_no_body_the_source_is_closed_and_never_asked(method: str, status: int) -> None:
    source = Source((0, "a"))
    log = await play(EventStream(source, status_code=status), http_scope(method))
    assert (log.body, log.complete, log.header("content-type")) == (
        b"",
        True,
        "text/event-stream; charset=utf-8",
    )
    assert (source.asked, source.closed) == (0, 1)


@enforces("APP-SCOPE-02")
async def test_another_kind_of_connection_is_refused() -> None:
    log = await play(EventStream(events("a")), websocket_scope(), [])
    assert isinstance(log.raised, RuntimeError)
    assert log.sent == []


@enforces("APP-SCOPE-04")
@pytest.mark.parametrize("asgi", [..., None, {}])
async def test_a_server_that_does_not_tell_its_version_will_do(asgi: Any) -> None:
    log = await play(EventStream(events("a")), http_scope(asgi=asgi))
    assert (log.body, log.raised) == (b"data: a\n\n", None)


async def test_the_scope_is_not_changed() -> None:
    scope = http_scope()
    before = {**scope, "asgi": dict(scope["asgi"])}
    await play(EventStream(events("a")), scope)
    assert scope == before


async def test_the_next_event_is_asked_for_when_the_one_before_is_sent() -> None:
    source = Source((0, "a"), (0, "b"), (0, "c"))
    asked_at_send = []

    async def send(message: Any) -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        asked_at_send.append(source.asked)

    async def receive() -> Any:
        await asyncio.Event().wait()

    await EventStream(source)(http_scope(), receive, send)
    assert asked_at_send == [0, 1, 2, 3, 4]


def test_an_event_that_came_during_a_heartbeat_brings_no_other_one_early() -> None:
    async def main() -> Log:
        source = Source((1.5, "a"), (0, "b"))
        asked_at_send = []

        async def send(message: Any) -> None:
            await asyncio.sleep(1 if message.get("body") == HEARTBEAT else 0)
            asked_at_send.append(source.asked)

        async def receive() -> Any:
            await asyncio.Event().wait()

        await EventStream(source, heartbeat=1)(http_scope(), receive, send)
        assert asked_at_send == [0, 1, 1, 2, 3]
        return Log()

    simulate(main())


@pytest.mark.parametrize("wrong", [["a"], "a", b"a", None, events])
def test_events_are_an_asynchronous_iterable(wrong: Any) -> None:
    with pytest.raises(TypeError, match="asynchronous iterable"):
        EventStream(wrong)


@pytest.mark.parametrize("heartbeat", [0, -1, 0.0, float("nan")])
def test_a_heartbeat_takes_time(heartbeat: float) -> None:
    with pytest.raises(ValueError, match="give seconds above 0, or None"):
        EventStream(events(), heartbeat=heartbeat)


# Heartbeats


@pytest.mark.parametrize(
    ("heartbeat", "steps", "written"),
    [
        (2, [(1, "a"), (1, "b")], ["a", "b"]),
        (2, [(5, "a")], [HEARTBEAT, HEARTBEAT, "a"]),
        (2, [(1.5, "a"), (1.5, "b"), (2.5, "c")], ["a", "b", HEARTBEAT, "c"]),
        (None, [(25, "a")], ["a"]),
        (0.5, [(1.25, "a"), (0, "b")], [HEARTBEAT, HEARTBEAT, "a", "b"]),
    ],
)
def test_a_comment_is_sent_where_no_event_comes_for_a_while(
    heartbeat: float | None, steps: list[tuple[float, str]], written: list[Any]
) -> None:
    source = Source(*steps)
    log = simulate(play(EventStream(source, heartbeat=heartbeat), http_scope()))
    expected = [each if each == HEARTBEAT else f"data: {each}\n\n".encode() for each in written]
    assert [message["body"] for message in log.sent[1:-1]] == expected
    assert (log.raised, log.complete) == (None, True)
    assert (source.interrupted, source.closed) == (0, 1)


def test_a_heartbeat_comes_every_fifteen_seconds_unless_told_otherwise() -> None:
    async def main() -> Log:
        return await play(EventStream(Source((29, "a"))), http_scope())

    assert simulate(main()).body == HEARTBEAT + b"data: a\n\n"


def test_a_page_sees_no_heartbeats() -> None:
    log = simulate(play(EventStream(Source((2.5, "a"), (2.5, "b")), heartbeat=1), http_scope()))
    assert log.body.count(HEARTBEAT) == 4
    assert [event["data"] for event in read(log.body)] == ["a", "b"]


# Ends


class Room:
    """A server of which the test tells when the client goes."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.gone = asyncio.Event()

    async def receive(self) -> Any:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)


@enforces("HTTP-DISC-04", "HTTP-DISC-01")
@pytest.mark.parametrize("asgi", [OLD, OLD | {"spec_version": "2.5"}, {}])
@pytest.mark.parametrize("heartbeat", [15, None])
async def test_a_silent_stream_ends_when_the_client_goes(
    asgi: dict[str, Any], heartbeat: float | None
) -> None:
    source = Source((0, "a"), (10**6, "never"))
    ran: list[str] = []

    async def background() -> None:
        ran.append("background")

    log = await play(
        EventStream(source, heartbeat=heartbeat, background=background),
        http_scope(asgi=asgi),
        [{"type": "http.request"}, {"type": "http.disconnect"}],
    )
    assert (log.raised, log.complete, ran) == (None, False, [])
    assert source.closed == 1


@enforces("HTTP-DISC-04")
async def test_the_step_under_way_is_cancelled_when_the_client_goes() -> None:
    room = Room()
    source = Source((10**6, "never"))
    call = asyncio.create_task(EventStream(source)(http_scope(), room.receive, room.send))
    await source.begun.wait()
    room.gone.set()
    await call
    assert (source.interrupted, source.closed) == (1, 1)
    assert [message["type"] for message in room.sent] == ["http.response.start"]


@enforces("HTTP-DISC-03", "HTTP-DISC-04")
@pytest.mark.parametrize("fails_at", [0, 1, 2])
async def test_a_send_that_fails_stops_and_closes_the_source(fails_at: int) -> None:
    source = Source((0, "a"), (0, "b"), (0, "c"))
    log = await play(EventStream(source), http_scope(), fail_send_at=fails_at)
    assert isinstance(log.raised, ConnectionResetError)
    assert len(log.sent) == fails_at + 1
    assert (source.asked, source.closed) == (fails_at, 1)


@enforces("HTTP-DISC-03")
def test_a_heartbeat_that_cannot_be_sent_ends_the_stream() -> None:
    source = Source((100, "never"))
    log = simulate(play(EventStream(source, heartbeat=1), http_scope(), fail_send_at=2))
    assert isinstance(log.raised, ConnectionResetError)
    assert (source.interrupted, source.closed) == (1, 1)


@enforces("HTTP-RESP-16")
@pytest.mark.parametrize("wrong", [LookupError("mine"), 5, b"a", None])
async def test_a_source_that_fails_breaks_the_stream_off(wrong: Any) -> None:
    source = Source((0, "a"), (0, wrong))
    log = await play(EventStream(source), http_scope())
    assert isinstance(log.raised, LookupError if isinstance(wrong, LookupError) else TypeError)
    assert (log.body, log.complete, source.closed) == (b"data: a\n\n", False, 1)


async def test_the_cancellation_of_the_call_reaches_the_source() -> None:
    room = Room()
    source = Source((10**6, "never"))
    call = asyncio.create_task(EventStream(source)(http_scope(), room.receive, room.send))
    await source.begun.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (source.interrupted, source.closed) == (1, 1)


async def test_a_call_cancelled_before_the_source_has_begun_closes_it_all_the_same() -> None:
    source = Source((0, "a"))
    room = Room()

    async def send(message: Any) -> None:
        asyncio.get_running_loop().call_soon(call.cancel)

    call = asyncio.create_task(EventStream(source)(http_scope(), room.receive, send))
    with pytest.raises(asyncio.CancelledError):
        await call
    assert source.closed == 1


async def test_what_the_source_raises_when_it_is_closed_is_not_lost() -> None:
    async def source() -> AsyncIterator[str]:
        try:
            yield "a"
        finally:
            raise LookupError("in the cleanup")

    log = await play(EventStream(source()), http_scope(), fail_send_at=1)
    assert isinstance(log.raised, LookupError)


async def test_a_stream_that_has_ended_has_nothing_more_for_a_second_call() -> None:
    stream = EventStream(events("a"), heartbeat=None)
    assert (await play(stream, http_scope())).body == b"data: a\n\n"
    assert (await play(stream, http_scope())).body == b""


async def test_an_iterator_that_cannot_be_closed_will_do() -> None:
    class Countdown:
        left = 2

        def __aiter__(self) -> Countdown:
            return self

        async def __anext__(self) -> str:
            if not self.left:
                raise StopAsyncIteration
            self.left -= 1
            return str(self.left)

    log = await play(EventStream(Countdown()), http_scope())
    assert log.body == b"data: 1\n\ndata: 0\n\n"


@pytest.mark.parametrize("fail_send_at", [None, 2])
async def test_the_source_runs_in_one_task_from_its_first_step_to_its_last(fail_send_at: int | None) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    tasks: set[Any] = set()

    async def source() -> AsyncIterator[str]:
        token = variable.set("mine")
        try:
            for text in "abc":
                tasks.add(asyncio.current_task())
                assert variable.get() == "mine"
                yield text
        finally:
            tasks.add(asyncio.current_task())
            variable.reset(token)

    log = await play(EventStream(source()), http_scope(), fail_send_at=fail_send_at)
    assert (log.raised is None) is (fail_send_at is None)
    assert len(tasks) == 1


async def test_a_source_may_keep_tasks_of_its_own_while_it_gives_events() -> None:
    async def source() -> AsyncIterator[str]:
        async with asyncio.TaskGroup() as group:
            group.create_task(broken())
            yield "a"
            ready.set()
            await asyncio.Event().wait()

    ready = asyncio.Event()

    async def broken() -> None:
        await ready.wait()
        raise LookupError("in the background of the source")

    log = await play(EventStream(source()), http_scope())
    assert isinstance(log.raised, ExceptionGroup)


async def test_background_runs_after_the_last_event() -> None:
    log_at: list[str] = []

    async def background() -> None:
        log_at.append("background")

    async def source() -> AsyncIterator[str]:
        yield "a"
        log_at.append("end")

    log = await play(EventStream(source(), background=background), http_scope())
    assert (log.complete, log_at) == (True, ["end", "background"])


# Last-Event-ID


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ([], None),
        ([(b"last-event-id", b"")], None),
        ([(b"Last-Event-ID", b"7")], "7"),
        ([(b"last-event-id", "né\u2028".encode())], "né\u2028"),
        ([(b"last-event-id", b"\xff")], "\xff"),
    ],
)
def test_last_event_id(raw: list[tuple[bytes, bytes]], expected: str | None) -> None:
    assert last_event_id(Headers(raw=raw)) == expected


def test_last_event_id_of_any_mapping() -> None:
    assert last_event_id({}) is None
    assert last_event_id({"last-event-id": "\u20ac"}) == "\u20ac"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), min_size=1))
def test_an_id_comes_back_as_it_was_given(text: str) -> None:
    sent = read(ServerSentEvent("a", id=text).encode())[0]["id"]
    assert last_event_id(Headers(raw=[(b"last-event-id", sent.encode())])) == text
