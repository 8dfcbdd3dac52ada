"""The test client's websockets: the handshake, messages both ways, who closes and how, and what is held against it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fastasgi_reference.testing import (
    ClientGone,
    ProtocolError,
    Stalled,
    TestClient,
    WebSocketClosed,
    WebSocketRefused,
    WebSocketSession,
)
from tests.reference.rules import enforces

Message = dict[str, Any]
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

ACCEPT: Message = {"type": "websocket.accept"}
TEXT: Message = {"type": "websocket.send", "text": "hello"}
CLOSE: Message = {"type": "websocket.close", "code": 4000, "reason": "enough"}
DENY: Message = {"type": "websocket.http.response.start", "status": 401, "headers": [(b"x-a", b"1")]}
DENIED: Message = {"type": "websocket.http.response.body", "body": b"who are you?"}


class Spy:
    """An application that accepts, sends some messages, and keeps its scope and all events to the disconnect."""

    def __init__(self, *messages: Message, accept: Message = ACCEPT) -> None:
        self.scope: Scope = {}
        self.events: list[Message] = []
        self.messages = (accept, *messages)

    async def __call__(self, scope: Scope, receive: Receive, send: Send, /) -> None:
        self.scope = scope
        self.events.append(await receive())
        for message in self.messages:
            await send(message)
        while self.events[-1]["type"] != "websocket.disconnect":
            self.events.append(await receive())


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that sends back whatever it gets."""
    await receive()
    await send(ACCEPT)
    while (event := await receive())["type"] == "websocket.receive":
        await send(event | {"type": "websocket.send"})


def saying(*messages: Any) -> App:
    """An application that takes the connect, sends these messages and returns."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for message in messages:
            await send(message)

    return app


async def refusal(client: TestClient, url: str = "/") -> WebSocketRefused:
    """The refusal that opening a websocket ends in."""
    with pytest.raises(WebSocketRefused) as raised:
        async with client.websocket(url):
            raise AssertionError("the handshake was accepted")
    return raised.value


# The handshake


@enforces("SRV-01", "SRV-WS-03", "SRV-HTTP-03")
async def test_the_scope_is_that_of_a_websocket() -> None:
    spy = Spy()
    client = TestClient(spy, root_path="/api", client=None)
    async with client.websocket(
        "/caf%C3%A9?a=%20", params={"b": 1}, headers={"x-a": "1"}, cookies={"c": "d"}
    ):
        pass
    headers = dict(spy.scope.pop("headers"))
    assert spy.scope == {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/api/café",
        "raw_path": b"/api/caf%C3%A9",
        "query_string": b"a=%20&b=1",
        "root_path": "/api",
        "client": None,
        "server": ("testserver", 80),
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
    }
    assert headers[b"host"] == b"testserver"
    assert headers[b"upgrade"] == b"websocket"
    assert headers[b"sec-websocket-version"] == b"13"
    assert headers[b"x-a"] == b"1"
    assert headers[b"cookie"] == b"c=d"


@enforces("SRV-WS-03")
@pytest.mark.parametrize(
    ("base_url", "url", "scheme", "server"),
    [
        ("https://testserver", "/", "wss", ("testserver", 443)),
        ("http://testserver", "wss://other:8443/", "wss", ("other", 8443)),
        ("http://testserver", "http://other/", "ws", ("other", 80)),
    ],
)
async def test_the_scheme_is_ws_or_wss(base_url: str, url: str, scheme: str, server: Any) -> None:
    spy = Spy()
    async with TestClient(spy, base_url=base_url).websocket(url):
        pass
    assert (spy.scope["scheme"], spy.scope["server"]) == (scheme, server)


@enforces("SRV-WS-03")
async def test_subprotocols_are_read_from_the_header() -> None:
    spy = Spy(accept={**ACCEPT, "subprotocol": "b"})
    client = TestClient(spy)
    async with client.websocket("/", subprotocols=["a", "b"]) as ws:
        assert ws.subprotocol == "b"
    assert spy.scope["subprotocols"] == ["a", "b"]
    assert (b"sec-websocket-protocol", b"a, b") in spy.scope["headers"]
    async with client.websocket("/", headers={"sec-websocket-protocol": "b,c"}) as ws:
        assert ws.subprotocol == "b"
    assert spy.scope["subprotocols"] == ["b", "c"]


@enforces("SRV-WS-12")
async def test_the_headers_of_accept_reach_the_client() -> None:
    headers = [(b"x-a", b"1"), (b"set-cookie", b"a=b"), (b"x-a", b"2")]
    client = TestClient(Spy(accept={**ACCEPT, "headers": iter(headers)}))
    async with client.websocket("/") as ws:
        assert ws.headers.raw == headers
        assert ws.subprotocol is None
    assert dict(client.cookies) == {"a": "b"}


@enforces("SRV-WS-01")
async def test_connect_comes_first_and_nothing_before_the_handshake_is_answered() -> None:
    log: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        log.append((await receive())["type"])

        async def listen() -> None:
            log.append((await receive())["type"])

        listener = asyncio.create_task(listen())
        for _ in range(10):
            await asyncio.sleep(0)
        log.append("accept")
        await send(ACCEPT)
        await listener

    async with TestClient(app).websocket("/") as ws:
        log.append("open")
        await ws.send_text("hello")
    assert log == ["websocket.connect", "accept", "open", "websocket.receive"]


@enforces("SRV-WS-02")
async def test_a_close_before_accept_is_a_403() -> None:
    events: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(CLOSE)
        events.append(await receive())
        with pytest.raises(ClientGone):
            await send(CLOSE)

    refused = await refusal(TestClient(app))
    assert (refused.status_code, refused.headers.raw, refused.body) == (403, [], b"")
    assert str(refused) == "the handshake was answered with 403 Forbidden"
    assert events == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]


@enforces("SRV-WS-14")
async def test_a_denial_response_is_shown() -> None:
    deny = {**DENY, "headers": [(b"x-a", b"1"), (b"set-cookie", b"a=b")]}
    client = TestClient(saying(deny, {**DENIED, "more_body": True}, DENIED))
    refused = await refusal(client)
    assert refused.status_code == 401
    assert refused.headers["x-a"] == "1"
    assert refused.body == b"who are you?who are you?"
    assert dict(client.cookies) == {"a": "b"}


@enforces("SRV-WS-14")
@pytest.mark.parametrize("late", [ACCEPT, TEXT, CLOSE])
async def test_after_a_denial_response_no_message_of_a_websocket_may_come(late: Message) -> None:
    with pytest.raises(
        ProtocolError, match=r"after the complete response that denies .* expected there: nothing"
    ):
        async with TestClient(saying(DENY, DENIED, late)).websocket("/"):
            pass


async def test_what_comes_after_a_denial_reaches_nobody() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await saying(DENY, DENIED)(scope, receive, send)
        for late in (DENY, DENIED):
            with pytest.raises(ClientGone):
                await send(late)

    assert (await refusal(TestClient(app))).body == b"who are you?"


@enforces("SRV-09")
async def test_a_denial_that_is_not_offered_is_a_fault() -> None:
    with pytest.raises(
        ProtocolError, match=r"websocket\.http\.response\.start is neither in the specification"
    ):
        async with TestClient(saying(DENY, DENIED), extensions=()).websocket("/"):
            pass


# Messages


@enforces("SRV-WS-04", "SRV-10")
async def test_messages_are_whole_and_of_one_kind() -> None:
    spy = Spy()
    async with TestClient(spy).websocket("/") as ws:
        await ws.send_text("é")
        await ws.send_text("")
        await ws.send_bytes(b"\xff")
        await ws.send_bytes(b"")
        await ws.send_json({"a": [1, "é"]})
    assert spy.events[1:-1] == [
        {"type": "websocket.receive", "text": "é"},
        {"type": "websocket.receive", "text": ""},
        {"type": "websocket.receive", "bytes": b"\xff"},
        {"type": "websocket.receive", "bytes": b""},
        {"type": "websocket.receive", "text": '{"a":[1,"é"]}'},
    ]


async def test_what_is_sent_comes_back() -> None:
    async with TestClient(echo).websocket("/") as ws:
        await ws.send_text("text")
        assert await ws.receive_text() == "text"
        await ws.send_bytes(b"bytes")
        assert await ws.receive_bytes() == b"bytes"
        await ws.send_json([1, None])
        assert await ws.receive_json() == [1, None]
        await ws.send_bytes(b"[2]")
        assert await ws.receive_json() == [2]
        await ws.send_text("")
        assert await ws.receive() == ""


async def test_the_wrong_kind_is_an_error_that_names_both() -> None:
    async with TestClient(echo).websocket("/") as ws:
        await ws.send_text("text")
        with pytest.raises(RuntimeError, match="receive_bytes got a message of text, 'text'"):
            await ws.receive_bytes()
        await ws.send_bytes(b"bytes")
        with pytest.raises(RuntimeError, match="receive_text got a message of bytes, b'bytes'"):
            await ws.receive_text()
        with pytest.raises(TypeError, match="use send_bytes"):
            await ws.send_text(b"bytes")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="use send_text"):
            await ws.send_bytes("text")  # type: ignore[arg-type]


@enforces("SRV-WS-05", "SRV-04")
async def test_an_absent_key_a_none_and_an_empty_text_are_in_order() -> None:
    messages: list[Message] = [
        {"type": "websocket.send", "text": "", "bytes": None, "zzz": 1},
        {"type": "websocket.send", "bytes": b""},
    ]
    async with TestClient(Spy(*messages)).websocket("/") as ws:
        assert await ws.receive_text() == ""
        assert await ws.receive_bytes() == b""


async def test_send_waits_for_a_client_that_does_not_read() -> None:
    sent = 0

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await receive()
        await send(ACCEPT)
        while True:
            await send({"type": "websocket.send", "bytes": b"x" * 10_000})
            sent += 1

    async with TestClient(endless).websocket("/") as ws:
        for _ in range(100):
            await asyncio.sleep(0)
        assert sent == 6
        await ws.receive()
        for _ in range(100):
            await asyncio.sleep(0)
        assert sent == 7


# The end


async def test_what_cannot_go_over_the_wire_is_refused() -> None:
    spy = Spy()
    async with TestClient(spy).websocket("/") as ws:
        with pytest.raises(ValueError, match="surrogates not allowed"):
            await ws.send_text("\ud800")
        for code in (1005, 999, 5000):
            with pytest.raises(ValueError, match=f"{code} never goes over the wire"):
                await ws.close(code)
        with pytest.raises(ValueError, match="more than 123 bytes"):
            await ws.close(1000, "x" * 124)
        await ws.close(4999, "x" * 123)
    assert spy.events[1:] == [{"type": "websocket.disconnect", "code": 4999, "reason": "x" * 123}]


@enforces("SRV-WS-06", "SRV-WS-13")
@pytest.mark.parametrize(
    ("close", "code", "reason"),
    [
        (lambda ws: ws.close(), 1000, ""),
        (lambda ws: ws.close(4001, "bye"), 4001, "bye"),
        (lambda ws: ws.close(None), 1005, ""),
        (lambda ws: ws.abort(), 1006, ""),
    ],
)
async def test_a_client_that_closes_is_a_disconnect_after_all_that_it_has_sent(
    close: Callable[[WebSocketSession], Awaitable[None]], code: int, reason: str
) -> None:
    spy = Spy(TEXT)
    async with TestClient(spy).websocket("/") as ws:
        await ws.send_text("1")
        await ws.send_text("2")
        await close(ws)
        await ws.close(4002)
        with pytest.raises(WebSocketClosed) as raised:
            await ws.send_text("3")
        assert (raised.value.code, raised.value.reason) == (code, reason)
        with pytest.raises(WebSocketClosed):
            await ws.receive_text()
    assert [event.get("text") for event in spy.events[1:3]] == ["1", "2"]
    assert spy.events[3:] == [{"type": "websocket.disconnect", "code": code, "reason": reason}]
    assert type(spy.events[3]["code"]) is int


@enforces("SRV-WS-06")
async def test_leaving_the_block_closes_and_awaits_the_application() -> None:
    spy = Spy()
    async with TestClient(spy).websocket("/"):
        pass
    assert spy.events[-1] == {"type": "websocket.disconnect", "code": 1000, "reason": ""}


@enforces("SRV-WS-06")
async def test_leaving_the_block_by_an_error_is_a_lost_connection() -> None:
    spy = Spy()
    with pytest.raises(LookupError):
        async with TestClient(spy).websocket("/"):
            raise LookupError
    assert spy.events[-1] == {"type": "websocket.disconnect", "code": 1006, "reason": ""}


@enforces("SRV-WS-06", "SRV-WS-07")
@pytest.mark.parametrize(
    ("close", "code", "reason"),
    [
        (CLOSE, 4000, "enough"),
        ({"type": "websocket.close"}, 1000, ""),
        ({"type": "websocket.close", "code": 3000, "reason": None}, 3000, ""),
        *(({"type": "websocket.close", "code": code}, code, "") for code in (1003, 1007, 1014, 4999)),
    ],
)
async def test_a_server_that_closes_is_seen_on_both_sides(close: Message, code: int, reason: str) -> None:
    spy = Spy(TEXT, close)
    async with TestClient(spy).websocket("/") as ws:
        assert await ws.receive_text() == "hello"
        for _ in range(2):
            with pytest.raises(WebSocketClosed) as raised:
                await ws.receive_text()
            assert (raised.value.code, raised.value.reason) == (code, reason)
        with pytest.raises(WebSocketClosed, match=f"closed with {code}"):
            await ws.send_text("late")
    assert spy.events[-1] == {"type": "websocket.disconnect", "code": code, "reason": reason}


@enforces("SRV-WS-08", "SRV-07")
async def test_send_after_the_client_has_closed_is_an_os_error_that_the_test_never_sees() -> None:
    caught: list[type[OSError]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        assert (await receive())["type"] == "websocket.disconnect"
        for message in (CLOSE, ACCEPT, TEXT):
            try:
                await send(message)
            except OSError as error:
                caught.append(type(error))
        await send(TEXT)

    async with TestClient(app).websocket("/"):
        pass
    assert caught == [ClientGone, ClientGone, ClientGone]


@enforces("SRV-WS-08", "SRV-06")
async def test_send_after_ones_own_close_reaches_nobody_and_is_no_fault() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await saying(ACCEPT, CLOSE)(scope, receive, send)
        for message in (TEXT, CLOSE):
            with pytest.raises(
                ClientGone, match=r"websocket /: the websocket is closed, and .* reaches nobody"
            ):
                await send(message)

    async with TestClient(app).websocket("/") as ws:
        with pytest.raises(WebSocketClosed, match="closed with 4000: enough"):
            await ws.receive()


@enforces("SRV-WS-09")
async def test_an_application_that_returns_closes() -> None:
    async with TestClient(saying(ACCEPT, TEXT)).websocket("/") as ws:
        assert await ws.receive_text() == "hello"
        with pytest.raises(WebSocketClosed, match="1000"):
            await ws.receive_text()


@enforces("SRV-WS-09")
@pytest.mark.parametrize("messages", [[], [DENY]])
async def test_an_application_that_returns_without_an_answer_is_at_fault(messages: list[Message]) -> None:
    with pytest.raises(
        ProtocolError, match=r"websocket /: the application returned .*; expected before: websocket"
    ):
        async with TestClient(saying(*messages)).websocket("/"):
            pass


def failing(*messages: Message) -> App:
    """An application that takes the connect, sends these messages and raises."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await saying(*messages)(scope, receive, send)
        raise ZeroDivisionError("a bug")

    return app


@enforces("SRV-05", "SRV-WS-09")
@pytest.mark.parametrize("messages", [[], [ACCEPT], [ACCEPT, CLOSE], [CLOSE], [DENY], [DENY, DENIED]])
async def test_what_the_application_raises_is_raised_in_the_test(messages: list[Message]) -> None:
    with pytest.raises(ZeroDivisionError, match="a bug"):
        async with TestClient(failing(*messages)).websocket("/") as ws:
            await ws.receive()


@enforces("SRV-05", "SRV-WS-09")
async def test_without_that_the_test_sees_what_a_client_would() -> None:
    for before in ([], [DENY]):
        refused = await refusal(TestClient(failing(*before), raise_server_exceptions=False))
        assert refused.status_code == 500
    async with TestClient(failing(ACCEPT), raise_server_exceptions=False).websocket("/") as ws:
        with pytest.raises(WebSocketClosed, match="1011"):
            await ws.receive()


async def closed(ws: WebSocketSession) -> None:
    """Send until the websocket turns out to be closed."""
    while True:
        await ws.send_text("late")


async def test_an_error_after_a_close_that_the_test_has_caught_is_raised_at_the_end_of_the_block() -> None:
    with pytest.raises(ZeroDivisionError, match="a bug"):  # noqa: PT012 - the block ends well, and its end fails
        async with TestClient(failing(ACCEPT, CLOSE)).websocket("/") as ws:
            with pytest.raises(WebSocketClosed, match="closed with 4000"):
                await closed(ws)


# What is held against the application

BROKEN: dict[str, tuple[list[Any], str]] = {
    "send before accept": (
        [TEXT],
        "send came before the handshake was answered; expected there: websocket.accept or websocket.close .*Send",
    ),
    "second accept": (
        [ACCEPT, ACCEPT],
        "accept came after websocket.accept; expected there: websocket.send or websocket.close .*Accept",
    ),
    "accept after close": ([ACCEPT, CLOSE, ACCEPT], "websocket.accept came after websocket.close; .* nothing"),
    "accept after refusal": ([CLOSE, ACCEPT], "websocket.accept came after the handshake was refused"),
    "send after refusal": ([CLOSE, TEXT], "websocket.send came after the handshake was refused"),
    "denial after accept": ([ACCEPT, DENY], "websocket.http.response.start came after websocket.accept"),
    "denial's body first": ([DENIED], "websocket.http.response.body came before the handshake was answered"),
    "accept in a denial": (
        [DENY, ACCEPT],
        "accept came inside the response that denies the handshake; expected there: websocket.http.response.body",
    ),
    "http response": ([{"type": "http.response.start", "status": 200}], "does not belong to .* 'websocket'"),
    "both kinds": ([ACCEPT, {**TEXT, "bytes": b"a"}], "websocket.send has bytes and text: exactly one must be there"),
    "neither kind": ([ACCEPT, {"type": "websocket.send"}], "websocket.send has neither bytes nor text"),
    "text of bytes": ([ACCEPT, {**TEXT, "text": b"a"}], "wrong 'text': the bytes b'a' is not a str: decode it"),
    "bytes of str": ([ACCEPT, {"type": "websocket.send", "bytes": "a"}], "wrong 'bytes': the str 'a' is not bytes"),
    "lone surrogate": ([ACCEPT, {**TEXT, "text": "\ud800"}], "wrong 'text': .*surrogates not allowed"),
    "subprotocol of bytes": ([{**ACCEPT, "subprotocol": b"a"}], "wrong 'subprotocol': the bytes b'a'"),
    "subprotocol that nobody offers": ([{**ACCEPT, "subprotocol": "b"}], "chose the subprotocol 'b', .* offers a "),
    "subprotocol as header": ([{**ACCEPT, "headers": [(b"sec-websocket-protocol", b"a")]}],
                              "sec-websocket-protocol must not be among them"),
    "upper case": ([{**ACCEPT, "headers": [(b"X-A", b"1")]}], "'X-A' is not in lower case"),
    "code of str": ([ACCEPT, {**CLOSE, "code": "1000"}], "wrong 'code': the str '1000' is not an int"),
    "code 1005": ([ACCEPT, {**CLOSE, "code": 1005}], "wrong 'code': 1005 never goes over the wire"),
    "code 1006": ([ACCEPT, {**CLOSE, "code": 1006}], "1006 never goes over the wire"),
    "code 1015": ([ACCEPT, {**CLOSE, "code": 1015}], "1015 never goes over the wire"),
    "code 2999": ([ACCEPT, {**CLOSE, "code": 2999}], "2999 never goes over the wire"),
    "code 5000": ([ACCEPT, {**CLOSE, "code": 5000}], "5000 never goes over the wire"),
    "code 1004": ([ACCEPT, {**CLOSE, "code": 1004}], "1004 never goes over the wire"),
    "code 200": ([ACCEPT, {**CLOSE, "code": 200}], "200 never goes over the wire"),
    "reason of bytes": ([ACCEPT, {**CLOSE, "reason": b"a"}], "wrong 'reason': the bytes b'a' is not a str"),
    "long reason": ([ACCEPT, {**CLOSE, "reason": "é" * 62}], "wrong 'reason': it has more than 123 bytes"),
}  # fmt: skip


@enforces("SRV-03", "SRV-WS-05", "SRV-WS-10", "SRV-WS-12")
@pytest.mark.parametrize(("messages", "words"), BROKEN.values(), ids=BROKEN)
async def test_what_breaks_the_protocol_is_raised_out_of_send_and_then_in_the_test(
    messages: list[Any], words: str
) -> None:
    caught: list[ProtocolError] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        *before, broken = messages
        await saying(*before)(scope, receive, send)
        with pytest.raises(ProtocolError) as raised:
            await send(broken)
        caught.append(raised.value)
        if not before:
            await send(ACCEPT)

    async def talk() -> None:
        async with TestClient(app, raise_server_exceptions=False).websocket("/", subprotocols=["a"]) as ws:
            await ws.receive()

    with pytest.raises(ProtocolError, match=words) as raised:
        await talk()
    assert raised.value is caught[0]


async def test_a_subprotocol_that_was_not_asked_for_is_a_fault_where_none_was() -> None:
    with pytest.raises(ProtocolError, match=r"chose the subprotocol 'a', and the client offers none"):
        async with TestClient(saying({**ACCEPT, "subprotocol": "a"})).websocket("/"):
            pass


async def test_the_longest_reason_is_in_order() -> None:
    async with TestClient(saying(ACCEPT, {**CLOSE, "reason": "é" * 61 + "a"})).websocket("/") as ws:
        with pytest.raises(WebSocketClosed) as raised:
            await ws.receive()
        assert raised.value.reason == "é" * 61 + "a"


# Waiting in vain


async def test_an_application_that_asks_before_it_answers_is_found_at_once() -> None:
    events: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        events.append(await receive())
        events.append(await receive())

    with pytest.raises(Stalled, match=r"has not sent websocket\.accept or websocket\.close and never will"):
        async with TestClient(app, timeout=None).websocket("/"):
            pass
    assert events[1] == {"type": "websocket.disconnect", "code": 1006, "reason": ""}


async def test_waiting_for_a_message_that_cannot_come_is_found_at_once() -> None:
    async with TestClient(echo, timeout=None).websocket("/") as ws:
        with pytest.raises(Stalled, match="every task waits"):
            await ws.receive_text()
        await ws.send_text("now")
        assert await ws.receive_text() == "now"
