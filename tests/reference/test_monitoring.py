"""The reference's monitoring, read by those who will read it: logging's machinery, Prometheus' own parser, probes."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import queue
import selectors
import types
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from fastasgi_reference.concurrency import run_in_thread
from fastasgi_reference.exceptions import ClientDisconnect
from fastasgi_reference.monitoring import (
    AccessLog,
    Health,
    Metrics,
    RequestIDFilter,
    RequestIDs,
    SlowRequests,
    request_id,
)
from tests.reference.conversation import (
    Log,
    Message,
    body_events,
    http_scope,
    lifespan_scope,
    play,
    websocket_scope,
)
from tests.reference.rules import enforces

CONNECT = {"type": "websocket.connect"}


class Clock:
    """A clock, in seconds, that stands still until it is turned."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Lines(logging.Handler):
    """A log that keeps its records, and the lines that a formatter makes of them."""

    def __init__(self, format: str = "%(message)s") -> None:  # noqa: A002 - as logging calls it
        super().__init__()
        self.setFormatter(logging.Formatter(format))
        self.records: list[logging.LogRecord] = []
        self.lines: list[str] = []
        self.logger = logging.Logger("test")  # noqa: LOG001 - known to nobody else
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.lines.append(self.format(record))

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the only record."""
        (record,) = self.records
        assert isinstance(record.args, dict)
        return record.args


class Answer:
    """An application that answers each request alike, with messages that it keeps, and then does some `work`."""

    def __init__(
        self, status: int = 200, *, headers: Any = (), work: Callable[[], object] = lambda: None
    ) -> None:
        self.start = {"type": "http.response.start", "status": status, "headers": headers}
        self.body = {"type": "http.response.body", "body": b"answer"}
        self.work = work

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send(self.start)
        await send(self.body)
        self.work()


async def silent(scope: Any, receive: Any, send: Any) -> None:
    """An application that does nothing at all."""


def raising(error: BaseException, *messages: Message) -> Any:
    """An application that sends these messages and then raises."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)
        raise error

    return app


START: Message = {"type": "http.response.start", "status": 200, "headers": []}
PART: Message = {"type": "http.response.body", "body": b"part", "more_body": True}


# What all of them leave alone


def watchers() -> dict[str, Callable[[Any], Any]]:
    return {
        "RequestIDs": lambda app: RequestIDs(app, make=lambda: "id-1"),
        "AccessLog": lambda app: AccessLog(app, logger=Lines().logger),
        "Metrics": Metrics().middleware,
        "SlowRequests": lambda app: SlowRequests(app, threshold=math.inf, report=print),
    }


all_watchers = pytest.mark.parametrize("watch", watchers().values(), ids=watchers())
wordless = pytest.mark.parametrize(
    "watch", [watch for name, watch in watchers().items() if name != "RequestIDs"], ids=list(watchers())[1:]
)


@all_watchers
@enforces("APP-MW-03", "LIFE-APP-10")
async def test_a_lifespan_passes_through_untouched(watch: Any) -> None:
    given: list[Any] = []

    async def inner(*arguments: Any) -> None:
        given.extend(arguments)

    async def receive() -> Message:
        raise AssertionError("not here")

    async def send(message: Message, /) -> None:
        raise AssertionError("not here")

    scope = lifespan_scope()
    await watch(inner)(scope, receive, send)
    assert [each is other for each, other in zip(given, (scope, receive, send), strict=True)] == [True] * 3


@wordless
@enforces("APP-MW-03", "HTTP-RESP-06", "HTTP-RESP-07")
async def test_messages_go_through_as_they_are(watch: Any) -> None:
    messages: list[Message] = [
        {"type": "http.response.debug", "info": {"template": "page"}},
        {"type": "http.response.start", "status": 200, "trailers": True, "zzz": 1},
        {"type": "http.response.early_hint", "links": [b"</style.css>; rel=preload"]},
        {"type": "http.response.body", "more_body": True},
        {"type": "http.response.body"},
        {"type": "http.response.trailers", "headers": ((b"x-sum", b"1"),)},
    ]
    seen: list[Message] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.extend([await receive(), await receive()])
        for message in messages:
            await send(message)

    extensions = {"http.response.debug": {}, "http.response.early_hint": {}, "http.response.trailers": {}}
    events = body_events(b"a", b"b")
    log = await play(watch(inner), http_scope("POST", extensions=extensions), events)
    assert (log.sent, seen) == (messages, events)


@wordless
@enforces("APP-MW-03")
async def test_a_websocket_goes_through_as_it_is(watch: Any) -> None:
    messages: list[Message] = [
        {"type": "websocket.accept", "headers": [(b"x-a", b"1")]},
        {"type": "websocket.send", "text": ""},
        {"type": "websocket.send", "bytes": b"\x00"},
        {"type": "websocket.close", "code": 4000, "reason": "done"},
    ]

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        assert await receive() == CONNECT
        for message in messages:
            await send(message)

    assert (await play(watch(inner), websocket_scope(), [CONNECT])).sent == messages


@all_watchers
@enforces("APP-MW-04")
@pytest.mark.parametrize(
    "error", [LookupError("bug"), OSError("disk"), asyncio.CancelledError(), ClientDisconnect()]
)
async def test_exceptions_come_out_as_they_were(watch: Any, error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        await watch(raising(error))(http_scope(), body_events, body_events)
    assert caught.value is error


@all_watchers
@enforces("APP-MW-01")
async def test_the_scope_of_the_caller_is_not_changed(watch: Any) -> None:
    scope = http_scope(headers=[(b"x-request-id", b"theirs")])
    await watch(Answer())(scope, body_events, _swallow)
    assert scope == http_scope(headers=[(b"x-request-id", b"theirs")])


@all_watchers
@enforces("APP-MW-05")
async def test_messages_that_the_application_keeps_stay_as_they_are(watch: Any) -> None:
    inner = Answer(headers=[(b"x-a", b"1")])
    app = watch(inner)
    first, second = await play(app, http_scope()), await play(app, http_scope())
    assert first.sent == second.sent
    assert inner.start == {"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"1")]}


@all_watchers
@enforces("HTTP-SCOPE-09")
async def test_headers_that_can_be_read_once_reach_the_application(watch: Any) -> None:
    async def inner(scope: Any, receive: Any, send: Any) -> None:
        headers = [tuple(pair) for pair in scope["headers"]]
        await Answer(headers=headers)(scope, receive, send)

    log = await play(watch(inner), http_scope(headers=iter([[b"x-token", b"1"]])))
    assert log.header("x-token") == "1"


@all_watchers
@enforces("HTTP-SCOPE-14")
async def test_a_scope_may_lack_what_is_optional(watch: Any) -> None:
    scope = http_scope(headers=..., client=..., server=..., state=..., extensions=..., asgi=..., raw_path=...)
    assert (await play(watch(Answer()), scope)).status == 200
    socket = websocket_scope(
        headers=..., client=None, state=..., asgi=..., subprotocols=..., query_string=None
    )
    close = raising(LookupError(), {"type": "websocket.close"})
    assert (await play(watch(close), socket, [CONNECT])).types == ["websocket.close"]


# Request ids


async def test_each_request_has_an_id_of_its_own() -> None:
    seen = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.append(request_id.get())
        seen.append(await run_in_thread(request_id.get))
        seen.append(await asyncio.create_task(asyncio.to_thread(request_id.get)))
        await Answer()(scope, receive, send)

    app = RequestIDs(inner)
    ids = [(await play(app, http_scope())).header("x-request-id") for _ in range(2)]
    assert seen == [ids[0]] * 3 + [ids[1]] * 3
    assert len(set(ids)) == 2
    assert all(each is not None and len(each) == 32 for each in ids)


@enforces("APP-CALL-03")
async def test_requests_that_are_answered_together_keep_their_ids() -> None:
    meeting = asyncio.Barrier(3)
    numbers = iter(range(3))

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        before = request_id.get()
        await meeting.wait()
        assert request_id.get() == before
        await Answer(headers=[(b"x-seen", before.encode())])(scope, receive, send)

    app = RequestIDs(inner, make=lambda: f"id-{next(numbers)}")
    logs = await asyncio.gather(*(play(app, http_scope()) for _ in range(3)))
    assert [log.header("x-seen") for log in logs] == [log.header("x-request-id") for log in logs]
    assert sorted(str(log.header("x-seen")) for log in logs) == ["id-0", "id-1", "id-2"]


@pytest.mark.parametrize("inner", [Answer(), raising(LookupError("bug")), raising(asyncio.CancelledError())])
async def test_after_a_request_its_id_is_gone(inner: Any) -> None:
    assert request_id.get() == "-"
    with suppress(LookupError, asyncio.CancelledError):
        await RequestIDs(inner)(http_scope(), body_events, _swallow)
    assert request_id.get() == "-"


async def _swallow(message: Message, /) -> None:
    return None


async def answered_id(scope: dict[str, Any], **options: Any) -> str | None:
    app = RequestIDs(Answer(), make=lambda: "made", **options)
    return (await play(app, scope)).header(options.get("header", "x-request-id").lower())


async def test_an_id_from_outside_is_taken_only_on_trust() -> None:
    scope = http_scope(headers=[(b"X-Request-ID", b"theirs-1")])
    assert await answered_id(scope) == "made"
    assert await answered_id(scope, trust=True) == "theirs-1"
    assert await answered_id(http_scope(), trust=True) == "made"


@pytest.mark.parametrize(
    "value",
    [b"", b"a b", b"a\nb", b"a\x1b[31m", b"\xe9", b'a"b', b"a;b", b"a,b", b"%0a", b"a" * 129, b"ok\n"],
)
async def test_an_id_from_outside_has_to_be_harmless(value: bytes) -> None:
    assert await answered_id(http_scope(headers=[(b"x-request-id", value)]), trust=True) == "made"


@pytest.mark.parametrize(
    "value", ["a" * 128, "Root=1-67891233-abcdef", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"]
)
async def test_the_usual_forms_of_ids_are_harmless(value: str) -> None:
    assert await answered_id(http_scope(headers=[(b"x-request-id", value.encode())]), trust=True) == value


async def test_two_ids_from_outside_are_none() -> None:
    headers = [(b"x-request-id", b"one"), (b"x-request-id", b"two")]
    assert await answered_id(http_scope(headers=headers), trust=True) == "made"


async def test_the_header_of_an_id_can_be_chosen_and_is_there_once() -> None:
    assert await answered_id(http_scope(), header="X-Correlation-ID") == "made"
    log = await play(
        RequestIDs(Answer(headers=[(b"x-request-id", b"theirs")]), make=lambda: "ours"), http_scope()
    )
    assert log.headers == [("x-request-id", "ours")]
    with pytest.raises(ValueError, match="x request id"):
        RequestIDs(Answer(), header="x request id")


@enforces("HTTP-RESP-06")
async def test_an_id_is_added_to_a_response_without_headers() -> None:
    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    log = await play(RequestIDs(inner, make=lambda: "id-1"), http_scope())
    assert log.headers == [("x-request-id", "id-1")]


@enforces("WS-ACC-04", "WS-SCOPE-01")
@pytest.mark.parametrize(
    ("asgi", "headers"),
    [("2.5", [(b"x-request-id", b"id-1")]), ("2.10", [(b"x-request-id", b"id-1")]), ("2.0", None)],
)
async def test_an_accepted_websocket_carries_its_id_if_the_server_can_send_it(
    asgi: str, headers: Any
) -> None:
    async def inner(scope: Any, receive: Any, send: Any) -> None:
        assert request_id.get() == "id-1"
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})

    scope = websocket_scope(asgi={"version": "3.0", "spec_version": asgi})
    log = await play(RequestIDs(inner, make=lambda: "id-1"), scope, [CONNECT])
    assert log.sent[0].get("headers") == headers
    assert log.sent[1] == {"type": "websocket.close"}


async def test_a_websocket_that_is_denied_carries_its_id() -> None:
    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
        await send({"type": "websocket.http.response.body"})

    scope = websocket_scope(extensions={"websocket.http.response": {}})
    log = await play(RequestIDs(inner, make=lambda: "id-1"), scope, [CONNECT])
    assert log.headers == [("x-request-id", "id-1")]


async def test_log_records_know_the_request_that_they_belong_to() -> None:
    lines = Lines("[%(request_id)s] %(message)s")
    lines.addFilter(RequestIDFilter())

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        lines.logger.warning("in a task")
        await run_in_thread(lines.logger.warning, "in a thread")
        await Answer()(scope, receive, send)

    await play(RequestIDs(inner, make=lambda: "id-1"), http_scope())
    lines.logger.warning("outside")
    assert lines.lines == ["[id-1] in a task", "[id-1] in a thread", "[-] outside"]


async def test_a_log_record_keeps_its_request_on_the_way_through_a_queue() -> None:
    lines = Lines("[%(request_id)s] %(message)s")
    lines.addFilter(RequestIDFilter())
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    sender = QueueHandler(records)
    sender.addFilter(RequestIDFilter())
    logger = logging.Logger("queued")  # noqa: LOG001 - known to nobody else
    logger.addHandler(sender)

    listener = QueueListener(records, lines)
    listener.start()
    await play(RequestIDs(Answer(work=lambda: logger.warning("hello")), make=lambda: "id-1"), http_scope())
    listener.stop()
    assert lines.lines == ["[id-1] hello"]


# Access log


async def logged(app: Any, scope: dict[str, Any], *arguments: Any, **options: Any) -> dict[str, Any]:
    """The fields of the one line that is logged for this connection."""
    lines = Lines()
    await play(AccessLog(app, logger=lines.logger, clock=Clock()), scope, *arguments, **options)
    return lines.fields


async def test_a_request_is_logged_in_one_line() -> None:
    clock, lines = Clock(), Lines("%(levelname)s %(message)s")

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        clock.now += 0.25
        await send({"type": "http.response.start", "status": 201, "headers": []})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        await send({"type": "http.response.body", "more_body": True})
        clock.now += 0.5
        await send({"type": "http.response.body", "body": b"de"})

    app = RequestIDs(AccessLog(inner, logger=lines.logger, clock=clock), make=lambda: "id-1")
    await play(app, http_scope("POST", "/items", query_string=b"token=secret"))
    assert lines.lines == ['INFO 127.0.0.1 "POST /items" 201 5 0.750000 id-1 complete']
    assert lines.fields == {
        "client": "127.0.0.1",
        "method": "POST",
        "path": "/items",
        "status": 201,
        "bytes": 5,
        "seconds": 0.75,
        "request_id": "id-1",
        "outcome": "complete",
    }


async def test_the_id_is_known_also_where_it_is_given_further_in() -> None:
    ended = await logged(RequestIDs(Answer(), make=lambda: "id-1"), http_scope())
    failed = await logged(RequestIDs(raising(LookupError()), make=lambda: "id-2"), http_scope())
    assert (ended["request_id"], failed["request_id"]) == ("id-1", "id-2")
    assert (await logged(Answer(), http_scope()))["request_id"] == "-"


async def test_work_after_the_response_is_not_part_of_the_request() -> None:
    clock, lines = Clock(), Lines()

    def work() -> None:
        assert len(lines.lines) == 1
        clock.now += 10
        raise LookupError("bug")

    app = AccessLog(Answer(work=work), logger=lines.logger, clock=clock)
    log = await play(app, http_scope())
    assert isinstance(log.raised, LookupError)
    assert (lines.fields["seconds"], lines.fields["outcome"]) == (0, "complete")


@pytest.mark.parametrize(
    ("app", "status", "outcome"),
    [
        (raising(LookupError("bug")), 500, "raised LookupError"),
        (raising(OSError("disk")), 500, "raised OSError"),
        (raising(LookupError("bug"), START, PART), 200, "raised LookupError"),
        (raising(ClientDisconnect()), "-", "disconnected"),
        (raising(ClientDisconnect(), START), 200, "disconnected"),
        (raising(asyncio.CancelledError()), "-", "cancelled"),
        (raising(asyncio.CancelledError(), START), 200, "cancelled"),
        (silent, 500, "incomplete"),
    ],
)
@enforces("APP-MW-04")
async def test_what_goes_wrong_is_logged_too(app: Any, status: object, outcome: str) -> None:
    fields = await logged(app, http_scope())
    assert (fields["status"], fields["outcome"]) == (status, outcome)


async def test_a_response_that_stops_half_way_is_incomplete() -> None:
    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(PART)

    fields = await logged(inner, http_scope())
    assert (fields["status"], fields["bytes"], fields["outcome"]) == (200, 4, "incomplete")


@enforces("HTTP-DISC-03")
@pytest.mark.parametrize(("failing", "size"), [(0, 0), (1, 0), (2, 4)])
async def test_a_client_that_is_gone_when_something_is_sent_is_logged_as_gone(
    failing: int, size: int
) -> None:
    app = raising(LookupError("never reached"), START, PART, PART)
    fields = await logged(app, http_scope(), fail_send_at=failing)
    assert (fields["status"], fields["bytes"], fields["outcome"]) == (200, size, "disconnected")


async def test_a_client_that_leaves_while_it_is_waited_for_is_logged_as_gone() -> None:
    async def inner(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    fields = await logged(inner, http_scope(), end="disconnect")
    assert (fields["status"], fields["outcome"]) == ("-", "disconnected")


async def test_a_bug_that_shows_when_the_client_leaves_is_still_a_bug() -> None:
    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise LookupError("bug")

    fields = await logged(inner, http_scope(), [{"type": "http.disconnect"}])
    assert (fields["status"], fields["outcome"]) == ("-", "raised LookupError")


@enforces("HTTP-DISC-02")
async def test_a_disconnect_after_the_response_says_nothing() -> None:
    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await Answer()(scope, receive, send)
        await receive()
        await receive()

    fields = await logged(inner, http_scope(), end="disconnect")
    assert (fields["status"], fields["outcome"]) == (200, "complete")


async def test_files_that_the_server_sends_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "page"
    file.write_bytes(b"x" * 100)

    async def by_path(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send({"type": "http.response.pathsend", "path": str(file)})

    async def by_descriptor(scope: Any, receive: Any, send: Any) -> None:
        with file.open("rb") as opened:
            await send(START)
            await send({"type": "http.response.zerocopysend", "file": opened, "count": 60, "more_body": True})
            await send({"type": "http.response.zerocopysend", "file": opened})

    scope = http_scope(extensions={"http.response.pathsend": {}, "http.response.zerocopysend": {}})
    first, second = await logged(by_path, scope), await logged(by_descriptor, scope)
    assert (first["bytes"], first["outcome"]) == (100, "complete")
    assert (second["bytes"], second["outcome"]) == (60, "complete")
    file.unlink()
    assert (await logged(by_path, scope))["outcome"] == "complete"


@given(
    text=st.text(max_size=20)
    | st.sampled_from(["\r\n", "\x1b[2J", "\u2028", "\x85", '" 200 5', "\ud800", "%0A", "\x00"])
)
@example(text='/ok" 200 0 0.000000 - complete\n203.0.113.9 "GET /forged')
async def test_nothing_that_a_client_sends_can_forge_a_line(text: str) -> None:
    lines = Lines()
    app = AccessLog(Answer(), logger=lines.logger, clock=Clock())
    for forged in ({"path": f"/{text}"}, {"method": text}, {"client": (text, 1)}):
        await app(http_scope() | forged, body_events, _swallow)
    for line in lines.lines:
        assert line.isascii()
        assert line.isprintable()
        _, method, path, status, size, seconds, name, outcome = line.split(" ")
        assert (status, size, seconds, name, outcome) == ("200", "6", "0.000000", "-", "complete")
        assert (method[0], path[-1], line.count('"')) == ('"', '"', 2)


async def test_two_paths_never_look_alike() -> None:
    paths = ["/a\nb", "/a%0Ab", "/a%250Ab", "/é", "/%C3%A9", "/", "/\ud800"]
    seen = {(await logged(Answer(), http_scope() | {"path": path}))["path"] for path in paths}
    assert len(seen) == len(paths)


async def test_an_id_cannot_forge_a_line_either() -> None:
    fields = await logged(RequestIDs(Answer(), make=lambda: 'a b"'), http_scope())
    assert fields["request_id"] == "a%20b%22"


async def test_a_line_tells_what_came_not_what_was_made_of_it() -> None:
    async def rewriting(scope: Any, receive: Any, send: Any) -> None:
        scope.update(path="/inner", method="PUT", client=("10.0.0.1", 1), root_path="/mounted")
        await Answer()(scope, receive, send)

    fields = await logged(rewriting, http_scope("GET", "/outer"))
    assert (fields["client"], fields["method"], fields["path"]) == ("127.0.0.1", "GET", "/outer")


@pytest.mark.parametrize(
    ("client", "expected"), [(None, "-"), (..., "-"), (["::1", 5], "::1"), (("", None), "")]
)
@enforces("HTTP-SCOPE-14")
async def test_a_client_may_be_unknown(client: Any, expected: str) -> None:
    assert (await logged(Answer(), http_scope(client=client)))["client"] == expected


def conversing(*messages: Message, then: BaseException | None = None) -> Any:
    """A WebSocket application that takes the connect, sends these messages, and waits for the client to go."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        for message in messages:
            await send(message)
        if then is not None:
            raise then
        while messages[-1]["type"] in ("websocket.accept", "websocket.send"):
            if (await receive())["type"] == "websocket.disconnect":
                return

    return app


ACCEPT = {"type": "websocket.accept"}
CLOSE = {"type": "websocket.close"}
LEAVE = {"type": "websocket.disconnect", "code": 1001}


@pytest.mark.parametrize(
    ("app", "events", "status", "size", "outcome"),
    [
        (conversing(ACCEPT, CLOSE), [CONNECT], 101, 0, "complete"),
        (
            conversing(
                ACCEPT, {"type": "websocket.send", "text": "é"}, {"type": "websocket.send", "bytes": b"abc"}
            ),
            [CONNECT, LEAVE],
            101,
            5,
            "complete",
        ),
        (
            conversing(ACCEPT),
            [CONNECT, {"type": "websocket.receive", "text": "hi"}, LEAVE],
            101,
            0,
            "complete",
        ),
        (conversing(CLOSE), [CONNECT], 403, 0, "complete"),
        (conversing(ACCEPT, then=LookupError()), [CONNECT], 101, 0, "raised LookupError"),
        (conversing(then=LookupError()), [CONNECT], 500, 0, "raised LookupError"),
        (conversing(then=ClientDisconnect()), [LEAVE], "-", 0, "disconnected"),
    ],
)
async def test_a_websocket_is_logged_when_it_has_ended(
    app: Any, events: list[Message], status: object, size: int, outcome: str
) -> None:
    fields = await logged(app, websocket_scope("/chat"), events)
    assert (fields["method"], fields["path"]) == ("WEBSOCKET", "/chat")
    assert (fields["status"], fields["bytes"], fields["outcome"]) == (status, size, outcome)


async def test_a_websocket_that_leaves_before_it_is_answered_is_logged_as_gone() -> None:
    async def inner(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "websocket.disconnect":
            pass

    fields = await logged(inner, websocket_scope(), [CONNECT, LEAVE])
    assert (fields["status"], fields["outcome"]) == ("-", "disconnected")


async def test_a_websocket_that_is_denied_is_logged_with_its_status() -> None:
    app = conversing(
        {"type": "websocket.http.response.start", "status": 401, "headers": []},
        {"type": "websocket.http.response.body", "body": b"no"},
    )
    scope = websocket_scope(extensions={"websocket.http.response": {}})
    fields = await logged(app, scope, [CONNECT])
    assert (fields["status"], fields["bytes"], fields["outcome"]) == (401, 2, "complete")


@enforces("WS-DISC-03")
async def test_a_websocket_that_breaks_while_it_is_sent_to_is_logged_as_gone() -> None:
    app = conversing(ACCEPT, {"type": "websocket.send", "text": "hello"})
    fields = await logged(app, websocket_scope(), [CONNECT], fail_send_at=1)
    assert (fields["status"], fields["bytes"], fields["outcome"]) == (101, 0, "disconnected")


async def test_without_a_logger_of_ones_own_the_log_is_fastasgi_access(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "fastasgi.access"):
        await play(AccessLog(Answer()), http_scope())
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("fastasgi.access", "INFO")
    assert record.getMessage().startswith('127.0.0.1 "GET /" 200 6 0.')


# Metrics

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(page: str) -> Samples:
    """The page as Prometheus reads it: values by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def found(route: str, app: Any) -> Any:
    """A router that has just this route."""

    async def router(scope: Any, receive: Any, send: Any) -> None:
        scope["fastasgi.trace"]["route"] = route
        await app(scope, receive, send)

    return router


async def test_requests_are_counted_by_method_route_and_status() -> None:
    metrics = Metrics(clock=Clock())
    app = metrics.middleware(found("/items/{id}", Answer()))
    for n in range(3):
        await play(app, http_scope(path=f"/items/{n}"))
    await play(metrics.middleware(found("/items/{id}", Answer(404))), http_scope("DELETE"))
    samples = read(metrics.render())
    assert samples[key("requests_total", method="GET", route="/items/{id}", status="200")] == 3
    assert samples[key("requests_total", method="DELETE", route="/items/{id}", status="404")] == 1
    assert samples[key("request_duration_seconds_count", method="GET", route="/items/{id}")] == 3
    assert samples[key("requests_in_progress")] == 0


def test_before_the_first_request_the_page_is_complete_and_empty() -> None:
    page = Metrics().render()
    assert [(family.name, family.type) for family in text_string_to_metric_families(page)] == [
        ("requests", "counter"),
        ("request_duration_seconds", "histogram"),
        ("requests_in_progress", "gauge"),
    ]
    assert read(page) == {key("requests_in_progress"): 0}


async def test_the_page_is_the_same_whatever_came_first() -> None:
    pages = []
    for paths in (["/a", "/b", "/b"], ["/b", "/a", "/b"]):
        metrics = Metrics(clock=Clock(), buckets=[1])
        for path in paths:
            await play(metrics.middleware(found(path, Answer())), http_scope())
        pages.append(metrics.render())
    assert pages[0] == pages[1]
    assert pages[0].splitlines() == [
        "# HELP requests_total HTTP requests that have ended.",
        "# TYPE requests_total counter",
        'requests_total{method="GET",route="/a",status="200"} 1',
        'requests_total{method="GET",route="/b",status="200"} 2',
        "# HELP request_duration_seconds How long HTTP requests took.",
        "# TYPE request_duration_seconds histogram",
        'request_duration_seconds_bucket{method="GET",route="/a",le="1.0"} 1',
        'request_duration_seconds_bucket{method="GET",route="/a",le="+Inf"} 1',
        'request_duration_seconds_sum{method="GET",route="/a"} 0.0',
        'request_duration_seconds_count{method="GET",route="/a"} 1',
        'request_duration_seconds_bucket{method="GET",route="/b",le="1.0"} 2',
        'request_duration_seconds_bucket{method="GET",route="/b",le="+Inf"} 2',
        'request_duration_seconds_sum{method="GET",route="/b"} 0.0',
        'request_duration_seconds_count{method="GET",route="/b"} 2',
        "# HELP requests_in_progress HTTP requests that have not ended.",
        "# TYPE requests_in_progress gauge",
        "requests_in_progress 0",
    ]
    assert pages[0].endswith("\n")


@given(
    durations=st.lists(st.integers(0, 80), max_size=20),
    bounds=st.sets(st.integers(1, 70), min_size=1, max_size=5),
)
@example(durations=[8, 9], bounds={8})
async def test_a_histogram_counts_what_took_at_most_so_long(durations: list[int], bounds: set[int]) -> None:
    clock = Clock()
    metrics = Metrics(clock=clock, buckets=sorted(bound / 8 for bound in bounds))
    for eighths in durations:

        async def inner(scope: Any, receive: Any, send: Any, eighths: int = eighths) -> None:
            clock.now += eighths / 8
            await Answer()(scope, receive, send)

        await play(metrics.middleware(inner), http_scope())
    samples = read(metrics.render())
    labels = {"method": "GET", "route": "unmatched"}
    if durations:
        for bound in (*bounds, math.inf):
            le = "+Inf" if math.isinf(bound) else str(bound / 8)
            expected = sum(eighths <= bound for eighths in durations)
            assert samples[key("request_duration_seconds_bucket", **labels, le=le)] == expected
        assert samples[key("request_duration_seconds_sum", **labels)] == sum(durations) / 8
        assert samples[key("request_duration_seconds_count", **labels)] == len(durations)
    else:
        assert samples == {key("requests_in_progress"): 0}


async def test_no_client_can_add_a_time_series() -> None:
    metrics = Metrics(clock=Clock())
    app = metrics.middleware(Answer(404))
    for n in range(20):
        await play(app, http_scope(f"METHOD{n}", f"/{n}", headers=[(b"x-forwarded-for", b"%d" % n)]))
    await play(app, http_scope("get"))
    samples = read(metrics.render())
    assert {name: value for name, value in samples.items() if name[0] == "requests_total"} == {
        key("requests_total", method="other", route="unmatched", status="404"): 21
    }


@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]
)
async def test_the_methods_of_http_are_known(method: str) -> None:
    metrics = Metrics(clock=Clock())
    await play(metrics.middleware(Answer()), http_scope(method))
    assert key("requests_total", method=method, route="unmatched", status="200") in read(metrics.render())


@given(route=st.text(st.characters(exclude_categories=["Cs"])))
@example(route='/{a}"\\\n\\n')
async def test_any_template_can_be_a_label(route: str) -> None:
    metrics = Metrics(clock=Clock())
    await play(metrics.middleware(found(route, Answer())), http_scope())
    assert key("requests_total", method="GET", route=route, status="200") in read(metrics.render())


@pytest.mark.parametrize(
    ("app", "options", "status"),
    [
        (raising(LookupError("bug")), {}, "500"),
        (raising(LookupError("bug"), START), {}, "200"),
        (silent, {}, "500"),
        (raising(asyncio.CancelledError()), {}, "none"),
        (raising(ClientDisconnect()), {}, "none"),
        (Answer(), {"fail_send_at": 1}, "200"),
    ],
)
async def test_what_goes_wrong_is_counted_and_does_not_stay_in_progress(
    app: Any, options: dict[str, Any], status: str
) -> None:
    metrics = Metrics(clock=Clock())
    await play(metrics.middleware(app), http_scope(), **options)
    samples = read(metrics.render())
    assert samples[key("requests_total", method="GET", route="unmatched", status=status)] == 1
    assert samples[key("requests_in_progress")] == 0


async def test_requests_are_in_progress_until_their_response_is_complete() -> None:
    clock = Clock()
    metrics = Metrics(clock=clock)
    seen = []

    def look() -> None:
        seen.append(read(metrics.render())[key("requests_in_progress")])

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        look()
        await send(START)
        await send(PART)
        look()
        await send({"type": "http.response.body"})
        look()
        clock.now += 100  # background work

    await play(metrics.middleware(inner), http_scope())
    assert seen == [1, 1, 0]
    samples = read(metrics.render())
    assert samples[key("request_duration_seconds_sum", method="GET", route="unmatched")] == 0


async def test_a_request_that_is_cancelled_while_it_waits_does_not_stay_in_progress() -> None:
    metrics = Metrics(clock=Clock())

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await receive()

    log = await play(metrics.middleware(inner), http_scope(), [], stop_when_parked=True)
    assert log.parked
    assert read(metrics.render())[key("requests_in_progress")] == 0


async def test_only_http_is_counted() -> None:
    metrics = Metrics(clock=Clock())
    await play(metrics.middleware(conversing(CLOSE)), websocket_scope(), [CONNECT])
    assert read(metrics.render()) == {key("requests_in_progress"): 0}


async def test_all_who_watch_share_one_trace() -> None:
    lines, outer, inner = Lines(), Metrics(clock=Clock()), Metrics(clock=Clock())
    app = RequestIDs(inner.middleware(found("/a", Answer())), make=lambda: "id-1")
    app = AccessLog(outer.middleware(app), logger=lines.logger)  # type: ignore[assignment]
    await play(app, http_scope())
    for metrics in (outer, inner):
        assert key("requests_total", method="GET", route="/a", status="200") in read(metrics.render())
    assert lines.fields["request_id"] == "id-1"


async def test_two_requests_do_not_share_a_trace() -> None:
    metrics = Metrics(clock=Clock())
    routes = iter([found("/a", Answer()), Answer()])
    for app in routes:
        await play(metrics.middleware(app), http_scope())
    assert key("requests_total", method="GET", route="unmatched", status="200") in read(metrics.render())


async def test_the_endpoint_answers_by_the_page() -> None:
    metrics = Metrics(clock=Clock())
    log = await play(metrics.endpoint, http_scope(path="/metrics"))
    assert (log.status, log.body.decode()) == (200, metrics.render())
    assert log.header("content-type") == "text/plain; version=0.0.4; charset=utf-8"
    head = await play(metrics.endpoint, http_scope("HEAD"))
    assert (head.headers, head.body) == (log.headers, b"")
    post = await play(metrics.endpoint, http_scope("POST"))
    assert (post.status, post.header("allow")) == (405, "GET, HEAD")


@pytest.mark.parametrize("buckets", [[], [1, 1], [2, 1], [1, math.inf], [math.nan]])
def test_buckets_are_finite_and_ascending(buckets: list[float]) -> None:
    with pytest.raises(ValueError, match="finite numbers in ascending order"):
        Metrics(buckets=buckets)


# Health


async def probe(app: Any, path: str, **keys: Any) -> tuple[int, Any]:
    log = await play(app, http_scope(path=path, **keys))
    assert log.header("content-type") == "application/json"
    assert log.header("cache-control") == "no-store"
    return log.status, json.loads(log.body)


async def _true() -> bool:
    return True


async def _false() -> bool:
    return False


async def test_an_application_is_ready_when_all_checks_say_so() -> None:
    app = Health({"plain": lambda: True, "async": _true, "lambda": lambda: _true()})
    assert await probe(app, "/ready") == (
        200,
        {"ready": True, "checks": {"plain": True, "async": True, "lambda": True}},
    )
    assert await probe(Health({}), "/ready") == (200, {"ready": True, "checks": {}})


@pytest.mark.parametrize("check", [lambda: False, _false, lambda: _false(), lambda: None])
async def test_one_check_that_says_no_is_enough(check: Any) -> None:
    app = Health({"good": _true, "bad": check})
    assert await probe(app, "/ready") == (503, {"ready": False, "checks": {"good": True, "bad": False}})


async def test_a_check_that_raises_has_not_passed_and_tells_the_log_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def plain() -> bool:
        raise ConnectionError("password=hunter2 refused")

    async def coroutine() -> bool:
        raise LookupError("secret")

    app = Health({"plain": plain, "async": coroutine, "good": _true})
    log = await play(app, http_scope(path="/ready"))
    assert (log.status, log.raised) == (503, None)
    assert json.loads(log.body)["checks"] == {"plain": False, "async": False, "good": True}
    assert not any(word in str(log.sent) for word in ("hunter2", "secret", "Error"))
    assert {record.name for record in caplog.records} == {"fastasgi.health"}
    assert "hunter2" in caplog.text
    assert "the check 'async' raised" in caplog.text


async def test_to_be_alive_no_check_is_called() -> None:
    def never() -> bool:
        raise AssertionError("called")

    assert await probe(Health({"never": never}), "/health") == (200, {"alive": True})


async def test_checks_run_at_the_same_time_and_plain_ones_beside_the_loop() -> None:
    meeting = asyncio.Barrier(2)
    loop = asyncio.get_running_loop()

    async def meet() -> bool:
        await meeting.wait()
        return True

    def from_a_thread() -> bool:
        return asyncio.run_coroutine_threadsafe(meet(), loop).result()

    assert (await probe(Health({"a": meet, "b": from_a_thread}), "/ready"))[0] == 200


async def test_checks_that_are_given_later_do_not_count() -> None:
    checks: dict[str, Any] = {"a": _true}
    app = Health(checks)
    checks["b"] = _false
    assert (await probe(app, "/ready"))[0] == 200


@enforces("HTTP-SCOPE-06", "HTTP-SCOPE-07")
async def test_health_can_be_mounted_anywhere() -> None:
    app = Health({})
    assert (await probe(app, "/internal/ready", root_path="/internal"))[0] == 200
    assert (await play(app, http_scope(path="/internal/other", root_path="/internal"))).status == 404
    assert (await play(app, http_scope(path="/health/more"))).status == 404


async def test_health_is_asked_by_get_and_head() -> None:
    app = Health({"bad": _false})
    log = await play(app, http_scope("POST", "/ready"))
    assert (log.status, log.header("allow")) == (405, "GET, HEAD")
    log = await play(app, http_scope("HEAD", "/ready"))
    assert (log.status, log.body) == (503, b"")


@enforces("APP-SCOPE-02", "APP-SCOPE-03")
@pytest.mark.parametrize("app", [Health({}), Metrics().endpoint])
@pytest.mark.parametrize("scope", [lifespan_scope(), websocket_scope(), {"type": "mqtt.5"}])
async def test_an_application_for_http_refuses_other_connections(app: Any, scope: dict[str, Any]) -> None:
    log = await play(app, scope)
    assert isinstance(log.raised, RuntimeError)
    assert log.sent == []


# Slow requests


class Idle(selectors.SelectSelector):
    """Where nothing is ready, time passes at once instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "nothing will ever happen"
            self.now += timeout
        return ready


class Loop(asyncio.SelectorEventLoop):
    """An event loop with a time of its own, that jumps to the next timer."""

    def __init__(self) -> None:
        self._idle = Idle()
        super().__init__(self._idle)

    def time(self) -> float:
        return self._idle.now


Run = Callable[[Awaitable[Any]], Any]


@pytest.fixture
def run() -> Iterator[Run]:
    """Runs a coroutine in such a loop."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        yield runner.run  # type: ignore[misc]


async def innermost(seconds: float) -> None:
    await asyncio.sleep(seconds)


def lasting(seconds: float) -> Any:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        secret = "hunter2"  # noqa: F841 - it must not show
        await innermost(seconds)
        await Answer()(scope, receive, send)

    return handler


def test_a_request_that_takes_too_long_is_reported_once_with_where_it_stands(run: Run) -> None:
    reports: list[str] = []
    app = RequestIDs(SlowRequests(lasting(100), threshold=5, report=reports.append), make=lambda: "id-1")
    log: Log = run(play_quickly(app, http_scope("PUT", "/slow\nway")))
    assert log.status == 200
    (report,) = reports
    title, *stack = report.splitlines()
    assert title == "127.0.0.1 PUT /slow%0Away id-1: still running after 5 s"
    assert calls(report)[-3:] == ["handler", "innermost", "sleep"]
    assert "    await asyncio.sleep(seconds)" in stack
    assert f'"{__file__}"' in report
    assert "hunter2" not in report.replace('secret = "hunter2"', "")


def calls(report: str) -> list[str]:
    """The functions in the stack of a report."""
    return [line.rpartition(" in ")[2] for line in report.splitlines() if line.startswith("  File ")]


async def play_quickly(app: Any, scope: dict[str, Any]) -> Log:
    """Like `play`, whose time limit would be reached at once where time jumps."""
    log = Log()

    async def send(message: Message, /) -> None:
        log.sent.append(message)

    await app(scope, body_events, send)
    return log


def test_the_report_comes_when_the_threshold_is_reached(run: Run) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        times: list[float] = []
        began = loop.time()
        app = SlowRequests(lasting(7), threshold=2.5, report=lambda _: times.append(loop.time() - began))
        await asyncio.gather(*(play_quickly(app, http_scope()) for _ in range(2)))
        assert times == [2.5, 2.5]
        assert loop.time() - began == 7

    run(scenario())


@pytest.mark.parametrize(
    "inner", [lasting(1), raising(LookupError("bug")), raising(asyncio.CancelledError())]
)
def test_a_request_that_ends_in_time_is_not_reported_later(run: Run, inner: Any) -> None:
    reports: list[str] = []

    async def scenario() -> None:
        with suppress(LookupError, asyncio.CancelledError):
            await play_quickly(SlowRequests(inner, threshold=2, report=reports.append), http_scope())
        await asyncio.sleep(100)

    run(scenario())
    assert reports == []


def test_a_generator_that_serves_as_a_coroutine_is_followed(run: Run) -> None:
    @types.coroutine
    def step() -> Any:
        yield from innermost(10)

    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await step()

    reports: list[str] = []
    run(play_quickly(SlowRequests(handler, threshold=1, report=reports.append), http_scope()))
    assert calls(reports[0])[-4:] == ["handler", "step", "innermost", "sleep"]


def test_an_id_that_is_given_further_in_is_reported(run: Run) -> None:
    reports: list[str] = []
    app = SlowRequests(RequestIDs(lasting(9), make=lambda: "id-1"), threshold=1, report=reports.append)
    run(play_quickly(app, http_scope()))
    assert reports[0].startswith("127.0.0.1 GET / id-1: ")


def test_a_websocket_may_last(run: Run) -> None:
    reports: list[str] = []

    async def chat(scope: Any, receive: Any, send: Any) -> None:
        await innermost(1000)

    run(play_quickly(SlowRequests(chat, threshold=1, report=reports.append), websocket_scope()))
    assert reports == []


@pytest.mark.parametrize("threshold", [0, -1, math.nan])
def test_a_threshold_is_above_zero(threshold: float) -> None:
    with pytest.raises(ValueError, match="give a number of seconds above 0"):
        SlowRequests(Answer(), threshold=threshold, report=print)
