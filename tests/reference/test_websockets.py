"""The reference's WebSocket: against a table of states, and against servers that leave out or make up what they can."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from fastasgi_reference.file_responses import FileResponse
from fastasgi_reference.responses import Response, StreamingResponse, json_response, text_response
from fastasgi_reference.routing import APIRouter
from fastasgi_reference.status import CloseCode
from fastasgi_reference.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from tests.reference.conversation import (
    Checker,
    Log,
    Message,
    ProtocolBroken,
    http_scope,
    lifespan_scope,
    play,
    websocket_scope,
)
from tests.reference.rules import enforces

CONNECT = {"type": "websocket.connect"}
DISCONNECT = {"type": "websocket.disconnect", "code": 1001, "reason": "away"}
DENIAL = {"websocket.http.response": {}}
ASGI_20: dict[str, Any] = {"version": "3.0", "spec_version": "2.0"}


def text(data: str) -> Message:
    return {"type": "websocket.receive", "text": data}


def data(data: bytes) -> Message:
    return {"type": "websocket.receive", "bytes": data}


async def converse(
    handler: Callable[[WebSocket], Awaitable[None]], *events: Message, scope: Any = None, **options: Any
) -> Log:
    """Run a handler for one connection as a route does; CONNECT comes first."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with WebSocket(scope, receive, send) as websocket:
            await handler(websocket)

    return await play(app, scope or websocket_scope(), [CONNECT, *events], **options)


def types(*names: str) -> list[str]:
    return [f"websocket.{name}" for name in names]


# ----------------------------------------------------------------------------------------------------------------
# The table


class Machine(RuleBasedStateMachine):
    """One connection, done to it whatever one likes, against what each state allows."""

    state = "new"

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.sent: list[Message] = []
        self.events: list[Message] = []
        self.send_fails = False

    def teardown(self) -> None:
        self.runner.close()

    @initialize(
        denial=st.booleans(), first=st.sampled_from(["connect", "connect", "connect", "disconnect", "zzz"])
    )
    def open(self, denial: bool, first: str) -> None:
        scope = websocket_scope(extensions=DENIAL if denial else {})
        self.denial, self.first = denial, first
        self.checker = Checker(scope)
        self.websocket = WebSocket(scope, self.receive, self.send)

    async def receive(self) -> Message:
        assert self.events, "it would wait for an event that is not owed"
        return self.events.pop(0)

    async def send(self, message: Message, /) -> None:
        self.sent.append(message)
        self.checker.check(message)
        if self.send_fails:
            raise ConnectionResetError

    def do(self, what: Awaitable[Any], expected: Any = None, *sent: str) -> Any:
        """Do something: it gives or raises what is expected, and sends messages of these types."""
        self.sent.clear()

        async def doing() -> Any:
            return await what

        try:
            result = self.runner.run(doing())
        except ProtocolBroken:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
            result = type(error)
        assert result == expected
        assert [message["type"] for message in self.sent] == [f"websocket.{name}" for name in sent]
        assert not self.events
        assert self.websocket.connection_state is WebSocketState[self.state.upper()]
        return result

    def connected(self) -> Any:
        """The first event comes, if it has not come; gives what is then raised."""
        if self.state != "new":
            return None
        self.events.append({"type": f"websocket.{self.first}"})
        self.state = {"connect": "connecting", "disconnect": "disconnected", "zzz": "closed"}[self.first]
        return {"connect": None, "disconnect": WebSocketDisconnect, "zzz": RuntimeError}[self.first]

    @rule(fails=st.booleans())
    def accept(self, fails: bool) -> None:
        raised = self.connected()
        if raised or self.state != "connecting":
            self.do(self.websocket.accept(), raised or RuntimeError)
            return
        self.send_fails = fails
        self.state = "disconnected" if fails else "open"
        self.do(self.websocket.accept(), WebSocketDisconnect if fails else None, "accept")

    @rule(kind=st.sampled_from(["text", "bytes"]), fails=st.booleans())
    def say(self, kind: str, fails: bool) -> None:
        said = self.websocket.send_text("a") if kind == "text" else self.websocket.send_bytes(b"a")
        if self.state == "open":
            self.send_fails = fails
            self.state = "disconnected" if fails else "open"
            self.do(said, WebSocketDisconnect if fails else None, "send")
        else:
            self.do(said, WebSocketDisconnect if self.state == "disconnected" else RuntimeError)

    @rule(event=st.sampled_from(["text", "bytes", "disconnect", "zzz", "connect"]))
    def listen(self, event: str) -> None:
        if self.state != "open":
            self.do(self.websocket.receive(), RuntimeError)
        elif event == "text":
            self.events.append(text("a"))
            self.do(self.websocket.receive(), "a")
        elif event == "bytes":
            self.events.append(data(b"a"))
            self.do(self.websocket.receive(), b"a")
        elif event == "disconnect":
            self.events.append(DISCONNECT)
            self.state = "disconnected"
            self.do(self.websocket.receive(), WebSocketDisconnect)
        else:
            self.events.append({"type": f"websocket.{event}"})
            self.do(self.websocket.receive(), RuntimeError)

    @rule(said=st.lists(st.text(max_size=3), max_size=3))
    def iterate(self, said: list[str]) -> None:
        async def all_of_it() -> list[str]:
            return [each async for each in self.websocket.iter_text()]

        if self.state == "open":
            self.events.extend([*map(text, said), DISCONNECT])
            self.state = "disconnected"
            self.do(all_of_it(), said)
        else:
            self.do(all_of_it(), [] if self.state in ("closed", "disconnected") else RuntimeError)

    @rule(fails=st.booleans())
    def close(self, fails: bool) -> None:
        raised = self.connected()
        if raised or self.state in ("closed", "disconnected"):
            self.do(self.websocket.close(), RuntimeError if raised is RuntimeError else None)
            return
        self.send_fails = fails
        self.state = "disconnected" if fails else "closed"
        self.do(self.websocket.close(), None, "close")

    @rule()
    def deny(self) -> None:
        raised = self.connected()
        if raised or self.state != "connecting":
            self.do(self.websocket.deny(text_response("no", 401)), raised or RuntimeError)
            return
        self.state = "closed"
        self.send_fails = False
        sent = ["http.response.start", "http.response.body"] if self.denial else ["close"]
        self.do(self.websocket.deny(text_response("no", 401)), None, *sent)

    @rule(
        error=st.sampled_from([None, ValueError, WebSocketDisconnect, asyncio.CancelledError]),
        fails=st.booleans(),
    )
    def leave(self, error: type[BaseException] | None, fails: bool) -> None:
        """The handler ends."""

        async def leaving() -> str:
            try:
                async with self.websocket as same:
                    assert same is self.websocket
                    if error is not None:
                        raise error
            except (ValueError, asyncio.CancelledError) as raised:
                return type(raised).__name__
            return "quietly"

        ends = "quietly" if error in (None, WebSocketDisconnect) else error.__name__  # type: ignore[union-attr]
        if error is asyncio.CancelledError:
            self.do(leaving(), ends)
            return
        was = self.state
        raised = self.connected()
        if raised is RuntimeError or self.state in ("closed", "disconnected"):
            self.do(leaving(), RuntimeError if raised is RuntimeError else ends)
            return
        self.send_fails = fails
        self.state = "disconnected" if fails else "closed"
        self.do(leaving(), ends, "close")
        assert self.sent[0]["code"] == (1011 if error is ValueError and was == "open" else 1000)


@enforces(
    *["WS-CONN-01", "WS-CONN-02", "WS-ACC-01", "WS-SEND-02", "WS-DISC-02", "WS-DISC-03", "WS-CLOSE-01"],
    *["WS-CLOSE-04", "WS-CLOSE-05", "EXT-DENY-01", "EXT-DENY-02", "WS-LIFE-01", "APP-EVT-01"],
)
def test_each_state_allows_what_the_table_says() -> None:
    run_state_machine_as_test(
        Machine, settings=settings(max_examples=150, stateful_step_count=10, deadline=None)
    )


# ----------------------------------------------------------------------------------------------------------------
# How a connection ends


@enforces("WS-LIFE-01", "WS-CLOSE-02")
async def test_a_handler_that_returns_while_open_closes_normally() -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()

    log = await converse(handler)
    assert log.sent[1:] == [{"type": "websocket.close", "code": 1000, "reason": ""}]
    assert (log.raised, log.received) == (None, 1)


@enforces("WS-CONN-01", "WS-CLOSE-01")
async def test_a_handler_that_never_accepts_refuses() -> None:
    async def handler(websocket: WebSocket) -> None:
        pass

    log = await converse(handler)
    assert (log.types, log.raised, log.received) == (types("close"), None, 1)


@enforces("WS-CLOSE-05", "APP-MW-04")
@pytest.mark.parametrize("accepts", [False, True])
async def test_a_handler_that_raises_closes_and_the_error_goes_on(accepts: bool) -> None:
    error = LookupError()

    async def handler(websocket: WebSocket) -> None:
        if accepts:
            await websocket.accept()
        raise error

    log = await converse(handler)
    assert (log.sent[-1]["type"], log.sent[-1]["code"]) == ("websocket.close", 1011 if accepts else 1000)
    assert log.raised is error


@enforces("WS-CLOSE-04")
@pytest.mark.parametrize("raises", [False, True])
async def test_a_handler_that_has_closed_is_not_closed_again(raises: bool) -> None:
    error = LookupError()

    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close(4001, "enough")
        await websocket.close()
        if raises:
            raise error

    log = await converse(handler)
    assert log.sent[1:] == [{"type": "websocket.close", "code": 4001, "reason": "enough"}]
    assert log.raised is (error if raises else None)


@enforces("WS-CLOSE-04", "WS-CONN-02")
@pytest.mark.parametrize("events", [[CONNECT, DISCONNECT], [DISCONNECT]])
async def test_a_client_that_goes_ends_it_quietly(events: list[Message]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with WebSocket(scope, receive, send) as websocket:
            await websocket.accept()
            await websocket.receive()

    log = await play(app, websocket_scope(), events, end="raise")
    assert log.types == types("accept")[: len(events) - 1]
    assert (log.raised, log.received) == (None, len(events))


@enforces("WS-CONN-02")
async def test_a_client_that_has_gone_before_it_was_answered_gets_nothing() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with WebSocket(scope, receive, send):
            pass

    log = await play(app, websocket_scope(), [DISCONNECT], end="raise")
    assert (log.sent, log.raised, log.received) == ([], None, 1)


def test_a_disconnect_says_what_it_is() -> None:
    assert (WebSocketDisconnect().code, WebSocketDisconnect().reason) == (1000, "")
    assert repr(WebSocketDisconnect(1001, "away")) == "WebSocketDisconnect(1001, 'away')"


async def test_a_disconnect_of_another_connection_ends_this_one_normally() -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        raise WebSocketDisconnect(1006)

    log = await converse(handler)
    assert (log.sent[-1]["code"], log.raised) == (1000, None)


async def test_a_cancelled_handler_is_left_to_the_server() -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive()

    log = await converse(handler, stop_when_parked=True)
    assert (log.types, log.raised, log.parked) == (types("accept"), None, True)


@enforces("WS-CONN-01", "APP-EVT-01")
@pytest.mark.parametrize("events", [[text("early")], [text("early"), text("still")]])
async def test_a_server_that_begins_otherwise_is_not_waited_for(events: list[Message]) -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with WebSocket(scope, receive, send) as websocket:
            await handler(websocket)

    log = await play(app, websocket_scope(), events)
    assert isinstance(log.raised, RuntimeError)
    assert (log.sent, log.received) == ([], 1)


@enforces("APP-SCOPE-02")
@pytest.mark.parametrize("scope", [http_scope(), lifespan_scope(), {"type": "mqtt"}])
def test_connections_of_other_kinds_are_refused(scope: dict[str, Any]) -> None:
    async def never(*arguments: Any) -> Any:
        raise AssertionError

    with pytest.raises(RuntimeError, match="this answers connections of type websocket"):
        WebSocket(scope, never, never)


# ----------------------------------------------------------------------------------------------------------------
# Accept


@enforces("WS-SCOPE-01", "APP-SCOPE-04", "APP-SCOPE-05")
@pytest.mark.parametrize(
    "missing",
    [
        *["asgi", "http_version", "scheme", "raw_path", "query_string", "root_path", "headers", "client"],
        *["server", "subprotocols", "extensions", "state"],
    ],
)
@pytest.mark.parametrize("how", [..., None])
async def test_every_optional_key_may_be_missing(missing: str, how: Any) -> None:
    if how is None and missing in ("root_path", "http_version"):
        how = ...  # these may be missing, but not None

    async def handler(websocket: WebSocket) -> None:
        await websocket.accept(["a"])
        assert websocket.subprotocols == []
        await websocket.send_text(f"{websocket.url.path} {len(websocket.query_params)} {websocket.client}")
        websocket.state.seen = True
        assert websocket.headers.get("x") is None
        assert websocket.cookies == {}

    log = await converse(handler, scope=websocket_scope("/p", zzz=object(), **{missing: how}))
    assert log.raised is None
    assert log.types == types("accept", "send", "close")
    assert log.sent[1]["text"].startswith("/p 0 ")


@enforces("WS-ACC-02", "WS-ACC-01")
@pytest.mark.parametrize(
    ("offered", "wanted", "chosen"),
    [
        (["a", "b"], "b", "b"),
        (["a", "b"], ["b", "a"], "a"),
        (["x", "b"], ("a", "b"), "b"),
        (["a"], ["b"], None),
        (["a"], [], None),
        (["a"], None, None),
        (["chat.v2"], ["chat"], None),
        ([], ["a"], None),
        (None, ["a"], None),
        (("a",), "a", "a"),
    ],
)
async def test_the_first_subprotocol_that_the_client_offers_and_the_application_knows_is_taken(
    offered: Any, wanted: Any, chosen: str | None
) -> None:
    async def handler(websocket: WebSocket) -> None:
        assert websocket.subprotocol is None
        await websocket.accept(wanted)
        assert websocket.subprotocol == chosen

    log = await converse(handler, scope=websocket_scope(subprotocols=offered))
    assert (log.raised, log.sent[0]["subprotocol"]) == (None, chosen)


@enforces("WS-ACC-02", "WS-ACC-03")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"subprotocol": "b"}, r"'b' is none of those that the client offers: \['a'\]"),
        ({"subprotocol": ""}, "'' is none of those"),
        ({"headers": {"Sec-WebSocket-Protocol": "a"}}, "choose a subprotocol by accept"),
        ({"headers": {"x": "a\r\nb: c"}}, "CR, LF and NUL"),
        ({"headers": {":status": "101"}}, "is no name of a header"),
    ],
)
async def test_a_wrong_accept_is_refused_before_anything_is_sent(options: dict[str, Any], words: str) -> None:
    async def handler(websocket: WebSocket) -> None:
        with pytest.raises(ValueError, match=words):
            await websocket.accept(**options)
        assert websocket.connection_state is WebSocketState.NEW
        await websocket.accept()

    log = await converse(handler, scope=websocket_scope(subprotocols=["a"]))
    assert (log.raised, log.types) == (None, types("accept", "close"))


@enforces("WS-ACC-03", "WS-ACC-04", "WS-CLOSE-03")
@pytest.mark.parametrize(
    ("asgi", "headers", "reason"),
    [
        (..., False, False),
        (None, False, False),
        ({"version": "3.0"}, False, False),
        ({"spec_version": "2.0"}, False, False),
        ({"spec_version": "2.1"}, True, False),
        ({"spec_version": "2.2"}, True, False),
        ({"spec_version": "2.3"}, True, True),
        ({"spec_version": "2.10"}, True, True),
        ({"spec_version": "3.0"}, True, True),
    ],
)
async def test_what_an_old_server_does_not_know_is_not_sent(asgi: Any, headers: bool, reason: bool) -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept(headers={"X-A": "1", "set-cookie": "é"})
        await websocket.close(1000, "bye")

    log = await converse(handler, scope=websocket_scope(asgi=asgi))
    accept, close = log.sent
    assert accept.get("headers") == ([(b"x-a", b"1"), (b"set-cookie", b"\xe9")] if headers else None)
    assert close.get("reason") == ("bye" if reason else None)


@enforces("WS-DISC-03", "HTTP-DISC-02")
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("gone", [OSError(), ConnectionResetError("reset")])
async def test_an_oserror_out_of_send_is_a_disconnect(place: int, gone: OSError) -> None:
    raised: list[WebSocketDisconnect] = []

    async def handler(websocket: WebSocket) -> None:
        try:
            await websocket.accept()
            await websocket.send_text("a")
        except WebSocketDisconnect as error:
            raised.append(error)
            raise

    log = await converse(handler, fail_send_at=place, error=gone)
    assert (log.raised, len(log.sent)) == (None, place + 1)
    assert [(error.code, error.reason, error.__cause__) for error in raised] == [(1006, "", gone)] * (
        place < 2
    )


async def test_another_error_out_of_send_is_no_disconnect() -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()

    error = RuntimeError("the server says no")
    log = await converse(handler, fail_send_at=0, error=error)
    assert log.raised is error


# ----------------------------------------------------------------------------------------------------------------
# Receive


@enforces("WS-RECV-01")
@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"text": "a"}, "a"),
        ({"text": ""}, ""),
        ({"text": "a", "bytes": None}, "a"),
        ({"bytes": b"a"}, b"a"),
        ({"bytes": b""}, b""),
        ({"bytes": b"", "text": None, "zzz": 1}, b""),
    ],
)
async def test_a_message_is_text_or_bytes_and_may_be_empty(event: Message, expected: Any) -> None:
    got: list[Any] = []

    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        got.append(await websocket.receive())

    await converse(handler, {"type": "websocket.receive", **event})
    assert got == [expected]
    assert type(got[0]) is type(expected)


@enforces("WS-RECV-02", "APP-EVT-01", "WS-CLOSE-05")
@pytest.mark.parametrize(
    "event",
    [
        {"type": "websocket.receive"},
        {"type": "websocket.receive", "text": None, "bytes": None},
        {"type": "websocket.receive", "text": "a", "bytes": b"a"},
        {"type": "websocket.receive", "text": "", "bytes": b""},
        {"type": "websocket.receive", "text": b"a"},
        {"type": "websocket.receive", "bytes": "a"},
        {"type": "websocket.receive", "bytes": bytearray(b"a")},
        {"type": "websocket.connect"},
        {"type": "http.request"},
    ],
)
async def test_what_is_no_message_raises(event: Message) -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive()

    log = await converse(handler, event)
    assert isinstance(log.raised, RuntimeError)
    assert "websocket.receive" in str(log.raised)
    assert log.sent[-1]["code"] == 1011


@pytest.mark.parametrize(
    ("method", "event", "words"),
    [
        ("receive_text", data(b"a"), "receive_text got bytes.*use receive_bytes"),
        ("receive_bytes", text("a"), "receive_bytes got text.*use receive_text"),
    ],
)
async def test_a_message_of_the_other_kind_raises_and_names_both(
    method: str, event: Message, words: str
) -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        with pytest.raises(RuntimeError, match=words):
            await getattr(websocket, method)()
        await websocket.send_text("still open")

    log = await converse(handler, event)
    assert (log.raised, log.types) == (None, types("accept", "send", "close"))


@enforces("WS-DISC-01")
@pytest.mark.parametrize(
    ("event", "code", "reason"),
    [
        ({"code": 1001, "reason": "away"}, 1001, "away"),
        ({"code": 1000}, 1000, ""),
        ({"code": 1006, "reason": None, "zzz": 1}, 1006, ""),
        ({}, 1005, ""),
        ({"code": None}, 1005, ""),
    ],
)
async def test_a_disconnect_tells_why(event: Message, code: int, reason: str) -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        with pytest.raises(WebSocketDisconnect) as raised:
            await websocket.receive_text()
        assert (raised.value.code, raised.value.reason) == (code, reason)
        with pytest.raises(RuntimeError, match="left by the client"):
            await websocket.receive_text()
        with pytest.raises(WebSocketDisconnect) as again:
            await websocket.send_text("too late")
        assert again.value.code == 1006

    log = await converse(handler, {"type": "websocket.disconnect", **event})
    assert (log.raised, log.types, log.received) == (None, types("accept"), 2)


@pytest.mark.parametrize(
    ("state", "words"), [("new", "not yet connected. Await accept"), ("closed", "closed by this side.?$")]
)
async def test_what_a_state_does_not_allow_raises_and_names_the_cure(state: str, words: str) -> None:
    async def handler(websocket: WebSocket) -> None:
        if state == "closed":
            await websocket.accept()
            await websocket.close()
        for what in (websocket.receive, websocket.receive_text, lambda: websocket.send_bytes(b"a")):
            with pytest.raises(RuntimeError, match=words):
                await what()

    log = await converse(handler)
    assert log.raised is None


# ----------------------------------------------------------------------------------------------------------------
# Iterators


@enforces("WS-RECV-01", "WS-CLOSE-04")
@given(said=st.lists(st.text(max_size=5), max_size=5))
async def test_iterators_give_all_messages_and_end_on_disconnect(said: list[str]) -> None:
    got: list[Any] = []

    async def texts(websocket: WebSocket) -> None:
        await websocket.accept()
        got.extend([each async for each in websocket.iter_text()])
        assert websocket.connection_state is WebSocketState.DISCONNECTED

    async def parts(websocket: WebSocket) -> None:
        await websocket.accept()
        got.extend([each async for each in websocket.iter_bytes()])

    async def values(websocket: WebSocket) -> None:
        await websocket.accept()
        got.extend([each async for each in websocket.iter_json()])

    raw = [each.encode("utf-8", "surrogatepass") for each in said]
    for handler, events, expected in (
        (texts, map(text, said), said),
        (parts, map(data, raw), raw),
        (values, map(text, map(json.dumps, said)), said),
    ):
        got.clear()
        log = await converse(handler, *events, DISCONNECT, end="raise")
        assert (log.raised, log.types, got) == (None, types("accept"), expected)


async def test_an_iterator_ends_where_its_body_closes() -> None:
    got: list[str] = []

    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        async for said in websocket.iter_text():
            got.append(said)
            if said == "bye":
                await websocket.close()

    log = await converse(handler, text("hello"), text("bye"), text("too late"), end="raise")
    assert (log.raised, log.types, got) == (None, types("accept", "close"), ["hello", "bye"])


async def test_an_iterator_raises_what_its_messages_raise() -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        async for _ in websocket.iter_text():
            pass

    log = await converse(handler, data(b"a"))
    assert isinstance(log.raised, RuntimeError)
    assert log.sent[-1]["code"] == 1011


async def test_nobody_iterates_before_accept() -> None:
    async def handler(websocket: WebSocket) -> None:
        with pytest.raises(RuntimeError, match="Await accept"):
            await anext(websocket.iter_text())

    assert (await converse(handler)).raised is None


# ----------------------------------------------------------------------------------------------------------------
# Send and JSON


@enforces("WS-SEND-01", "APP-SCOPE-07", "APP-CALL-02")
async def test_a_message_is_sent_as_what_it_is() -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("")
        await websocket.send_bytes(b"")
        await websocket.send_json({"é": [1, None]})
        await websocket.send_json("é", mode="bytes")

    log = await converse(handler)
    assert log.sent[1:-1] == [
        {"type": "websocket.send", "text": ""},
        {"type": "websocket.send", "bytes": b""},
        {"type": "websocket.send", "text": '{"é":[1,null]}'},
        {"type": "websocket.send", "bytes": '"é"'.encode()},
    ]


@enforces("WS-SEND-01")
@pytest.mark.parametrize(
    ("method", "wrong", "kind"),
    [
        ("send_text", b"a", TypeError),
        ("send_text", None, TypeError),
        ("send_bytes", "a", TypeError),
        ("send_bytes", bytearray(b"a"), TypeError),
        ("send_json", float("nan"), ValueError),
        ("send_json", object(), TypeError),
    ],
)
async def test_what_is_no_message_is_not_sent(method: str, wrong: Any, kind: type[Exception]) -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        with pytest.raises(kind):
            await getattr(websocket, method)(wrong)

    log = await converse(handler)
    assert (log.raised, log.types) == (None, types("accept", "close"))


@pytest.mark.parametrize("event", [text('{"a": "é"}'), data('{"a": "é"}'.encode())])
async def test_json_comes_in_either_kind(event: Message) -> None:
    got: list[Any] = []

    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        got.append(await websocket.receive_json())

    await converse(handler, event)
    assert got == [{"a": "é"}]


@pytest.mark.parametrize(
    "event",
    [
        text(""),
        text("{"),
        text("NaN"),
        text("[-Infinity]"),
        text("[" * 100_000),
        data(b"\xff"),
        data('"a"'.encode("utf-16")),
    ],
)
async def test_what_is_no_json_is_a_value_error(event: Message) -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        with pytest.raises(ValueError, match=r".+"):
            await websocket.receive_json()
        await websocket.send_text("still open")

    log = await converse(handler, event)
    assert (log.raised, log.types) == (None, types("accept", "send", "close"))


# ----------------------------------------------------------------------------------------------------------------
# Close


@enforces("WS-CLOSE-02", "WS-CLOSE-05", "APP-SCOPE-07")
@given(code=st.integers(-1, 5100), reason=st.text(max_size=130))
@example(code=1000, reason="é" * 61 + "a")
@example(code=1000, reason="é" * 62)
@example(code=1006, reason="")
@example(code=1015, reason="")
async def test_a_close_is_sent_as_given_or_refused(code: int, reason: str) -> None:
    sendable = (1000 <= code <= 1014 and code not in (1004, 1005, 1006)) or 3000 <= code <= 4999

    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        if sendable and len(reason.encode()) <= 123:
            await websocket.close(code, reason)
        else:
            with pytest.raises(ValueError, match=r"no close code|at most 123 bytes"):
                await websocket.close(code, reason)
            await websocket.close(4999, "refused")

    log = await converse(handler)
    right = sendable and len(reason.encode()) <= 123
    expected = (code, reason) if right else (4999, "refused")
    assert (log.sent[1]["code"], log.sent[1]["reason"]) == expected
    assert (log.raised, len(log.sent)) == (None, 2)


async def test_a_close_code_goes_out_as_a_plain_number() -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close(CloseCode.POLICY_VIOLATION)

    log = await converse(handler)
    assert type(log.sent[1]["code"]) is int


@enforces("WS-CLOSE-04")
async def test_two_tasks_that_close_send_one_close() -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        await asyncio.gather(websocket.close(4001), websocket.close(4002))

    log = await converse(handler)
    assert [message["code"] for message in log.sent[1:]] == [4001]


@enforces("WS-DISC-02")
async def test_a_reader_learns_that_another_task_has_closed() -> None:
    closed = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with WebSocket(scope, receive, send) as websocket:
            await websocket.accept()
            reading = asyncio.ensure_future(websocket.receive())
            await asyncio.sleep(0)
            await websocket.close(4000)
            closed.set()
            with pytest.raises(WebSocketDisconnect):
                await reading

    sent: list[Message] = []

    async def receive() -> Message:
        if not sent:
            return dict(CONNECT)
        await closed.wait()
        return dict(DISCONNECT)

    async def send(message: Message) -> None:
        sent.append(message)

    await app(websocket_scope(), receive, send)
    assert [message["type"] for message in sent] == types("accept", "close")


# ----------------------------------------------------------------------------------------------------------------
# Denial


async def numbers() -> AsyncIterator[str]:
    yield "1"
    yield "2"


@enforces("EXT-DENY-01", "EXT-DENY-02", "APP-SCOPE-06", "APP-SCOPE-08", "EXT-PATH-01")
@pytest.mark.parametrize(
    "make",
    [
        lambda path: text_response("no", 401, {"www-authenticate": "Basic"}),
        lambda path: json_response({"no": 1}, 403),
        lambda path: StreamingResponse(numbers()),
        lambda path: StreamingResponse(iter(["a", "b"])),
        lambda path: FileResponse(path),
        lambda path: Response(None, 204),
    ],
)
@pytest.mark.parametrize("asgi", [..., {"spec_version": "2.3"}, {"spec_version": "2.5"}])
async def test_a_denial_is_a_response_and_nothing_after_it(make: Any, asgi: Any, tmp_path: Any) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")

    async def handler(websocket: WebSocket) -> None:
        await websocket.deny(make(path))
        await websocket.close()
        with pytest.raises(RuntimeError, match="closed by this side"):
            await websocket.accept()

    extensions = DENIAL | {"http.response.pathsend": {}, "http.response.zerocopysend": {}}
    log = await converse(handler, scope=websocket_scope(asgi=asgi, extensions=extensions))
    assert log.raised is None
    assert log.complete
    assert set(log.types) == {"websocket.http.response.start", "websocket.http.response.body"}


@enforces("EXT-DENY-01", "APP-SCOPE-06", "WS-CLOSE-01")
@pytest.mark.parametrize("extensions", [..., None, {}, {"tls": {}}])
async def test_a_server_without_denials_gets_a_close(extensions: Any) -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.deny(text_response("no", 401))

    log = await converse(handler, scope=websocket_scope(extensions=extensions))
    assert (log.types, log.raised) == (types("close"), None)


@enforces("EXT-DENY-02")
async def test_after_accept_nothing_is_denied() -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        with pytest.raises(RuntimeError, match="cannot deny: the connection is open"):
            await websocket.deny(text_response("no"))

    log = await converse(handler, scope=websocket_scope(extensions=DENIAL))
    assert (log.raised, log.types) == (None, types("accept", "close"))


@enforces("EXT-DENY-02", "HTTP-RESP-16")
async def test_a_denial_that_fails_half_way_stays_half() -> None:
    error = LookupError()

    async def breaks() -> AsyncIterator[str]:
        yield "half"
        raise error

    async def handler(websocket: WebSocket) -> None:
        await websocket.deny(StreamingResponse(breaks()))

    log = await converse(handler, scope=websocket_scope(extensions=DENIAL))
    assert (log.raised, log.complete, len(log.sent)) == (error, False, 2)


@enforces("WS-CLOSE-05", "WS-CLOSE-01")
async def test_a_denial_that_fails_before_it_begins_is_a_close() -> None:
    error = LookupError()

    async def breaks(scope: Any, receive: Any, send: Any) -> None:
        raise error

    async def handler(websocket: WebSocket) -> None:
        await websocket.deny(breaks)

    log = await converse(handler, scope=websocket_scope(extensions=DENIAL))
    assert (log.raised, log.types) == (error, types("close"))


@enforces("WS-DISC-03")
@pytest.mark.parametrize("place", [0, 1])
async def test_a_client_that_goes_during_a_denial_ends_it_quietly(place: int) -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.deny(text_response("no"))

    log = await converse(handler, scope=websocket_scope(extensions=DENIAL), fail_send_at=place)
    assert (log.raised, len(log.sent)) == (None, place + 1)


async def test_a_denial_streams_until_the_client_goes_under_an_old_server() -> None:
    waits = asyncio.Event()

    async def endless() -> AsyncIterator[str]:
        yield "a"
        await waits.wait()

    async def handler(websocket: WebSocket) -> None:
        await websocket.deny(StreamingResponse(endless()))

    scope = websocket_scope(asgi=ASGI_20, extensions=DENIAL)
    log = await converse(handler, text("ignored"), DISCONNECT, scope=scope)
    assert (log.raised, log.complete) == (None, False)


# ----------------------------------------------------------------------------------------------------------------
# Apart from each other


@enforces("APP-CALL-03")
@given(order=st.lists(st.integers(0, 3), max_size=16))
async def test_connections_at_the_same_time_stay_apart(order: list[int]) -> None:
    router = APIRouter()

    @router.websocket("/{name}")
    async def echo(websocket: WebSocket, name: str) -> None:
        await websocket.accept()
        async for said in websocket.iter_text():
            await websocket.send_text(f"{name}: {said}")

    queues: list[asyncio.Queue[Message]] = [asyncio.Queue() for _ in range(4)]
    sent: list[list[Message]] = [[] for _ in range(4)]

    def call(number: int) -> Awaitable[None]:
        async def send(message: Message, /) -> None:
            sent[number].append(message)

        return router(websocket_scope(f"/{number}"), queues[number].get, send)

    calls = [asyncio.ensure_future(call(number)) for number in range(4)]
    for queue in queues:
        queue.put_nowait(CONNECT)
    for place, number in enumerate(order):
        queues[number].put_nowait(text(str(place)))
        await asyncio.sleep(0)
    for queue in queues:
        queue.put_nowait(DISCONNECT)
    await asyncio.gather(*calls)
    for number in range(4):
        said = [f"{number}: {place}" for place, each in enumerate(order) if each == number]
        assert [message["text"] for message in sent[number][1:]] == said
