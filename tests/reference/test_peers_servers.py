"""The example application under real servers, asked by real clients.

What the servers do alike is in two tables of checks: what any client sees, and what only shows on a connection of
one's own. Where they go ways of their own, the framework has to cope with each:

| what                                    | uvicorn               | hypercorn                | granian               |
|-----------------------------------------|-----------------------|--------------------------|-----------------------|
| spec_version of HTTP, of WebSockets     | 2.3, 2.4              | 2.1, 2.3                 | 2.3, 2.3              |
| extensions of HTTP/1.1                  | none                  | none                     | pathsend              |
| ports in `client` and `server`          | int                   | int                      | str                   |
| a `root_path` option                    | is put before `path`  | leaves `path` as it came | as hypercorn          |
| connection after a crash (500)          | closed                | stays                    | stays                 |
| 100 Continue                            | once the body is read | at once                  | once the body is read |
| large body that nobody reads            | swallowed             | may hang                 | may reset             |
| headers of websocket.accept             | sent                  | sent                     | dropped               |
| websocket.send to a client that is gone | OSError               | nothing                  | nothing               |
| code and reason of a client's close     | both                  | 1006, none               | code, none            |
| code where the client is lost           | 1005 or 1006          | 1006                     | 1005                  |
| exit code after SIGTERM                 | that of the signal    | 0                        | 0                     |
| exit code where startup failed          | 3                     | 1                        | 1                     |

All of them have `state` and `raw_path`, send names of headers in lower case, drop the body of HEAD, and offer the
denial response of WebSockets.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

import h11
import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.reference.example_checks import ANSWERED_EARLY, CHECKS, Check, add, book, each_of, log_in
from tests.reference.probes import CHUNK, FAREWELL
from tests.reference.rules import enforces
from tests.reference.servers import PEERS, Peer, Server, complaints, running, starting
from tests.reference.wire import connected

APP = "tests.reference.probes:app"
BROKEN = "tests.reference.probes:broken"
LIMIT = 30.0
"""Seconds after which a conversation that hangs fails its test."""
STEADY = 20
"""How often in a row a number is looked at and found unchanged, until it counts as standing still."""
EXPECTED = r"Crash: |ClientDisconnect: the client went away|RuntimeError: this answers .* not 'websocket'"
"""Exceptions that do go on to a server: without a handler; of a client that left; of applications for HTTP only."""
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""A client that is not given one makes one, which takes longer than most tests."""

# How websockets are implemented does not matter to start, end and root path.
EACH_HTTP = pytest.mark.parametrize(
    "peer", [peer for peer in PEERS if not peer.name.endswith("-websockets")], ids=lambda peer: peer.name
)
LiveCheck: TypeAlias = Callable[[str], Awaitable[None]]


@dataclass(frozen=True)
class OwnWays:
    """What a server does in a way of its own; see the table above."""

    http_version: str
    websocket_version: str
    extensions: tuple[str, ...]
    port: type
    root_in_path: bool
    closes_after_crash: bool
    continues_at_once: bool
    swallows_unread: bool
    accept_headers: bool
    websocket_send_tells: bool
    client_close: tuple[int, str]
    client_lost: tuple[int, ...]
    failed_start: int


OWN_WAYS = {
    "uvicorn": OwnWays(
        http_version="2.3",
        websocket_version="2.4",
        extensions=(),
        port=int,
        root_in_path=True,
        closes_after_crash=True,
        continues_at_once=False,
        swallows_unread=True,
        accept_headers=True,
        websocket_send_tells=True,
        client_close=(4001, "büro"),
        client_lost=(1005, 1006),
        failed_start=3,
    ),
    "hypercorn": OwnWays(
        http_version="2.1",
        websocket_version="2.3",
        extensions=(),
        port=int,
        root_in_path=False,
        closes_after_crash=False,
        continues_at_once=True,
        swallows_unread=False,
        accept_headers=True,
        websocket_send_tells=False,
        client_close=(1006, ""),
        client_lost=(1006,),
        failed_start=1,
    ),
    "granian": OwnWays(
        http_version="2.3",
        websocket_version="2.3",
        extensions=("http.response.pathsend", "websocket.http.response"),
        port=str,
        root_in_path=False,
        closes_after_crash=False,
        continues_at_once=False,
        swallows_unread=False,
        accept_headers=False,
        websocket_send_tells=False,
        client_close=(4001, ""),
        client_lost=(1005,),
        failed_start=1,
    ),
}


@pytest.fixture(scope="module", params=PEERS, ids=lambda peer: peer.name)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """One server of each kind for all tests of this file. What it has complained of fails the last one."""
    yield from served(request.param)


@pytest.fixture(scope="module", params=[peer for peer in PEERS if peer.http2], ids=lambda peer: peer.name)
def http2_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """One server of each kind that speaks HTTP/2."""
    yield from served(request.param)


def served(peer: Peer) -> Iterator[Server]:
    """A server, which has nothing unexpected in its log when it has ended."""
    with running(peer, APP) as server:
        yield server
    assert complaints(server.log.text, expected=EXPECTED) == []


@pytest.fixture
def ways(server: Server) -> OwnWays:
    """The server's own ways."""
    return OWN_WAYS[server.peer.name.partition("-")[0]]


def http_client(url: str, *, http2: bool = False) -> httpx.AsyncClient:
    """A client that uses no proxy; over HTTP/2, it knows beforehand that the server speaks that."""
    return httpx.AsyncClient(
        base_url=url, http1=not http2, http2=http2, verify=NO_TLS, trust_env=False, timeout=LIMIT
    )


def open_websocket(url: str, path: str, **options: Any) -> connect:
    """A websocket to this path of the server, to be entered; it uses no proxy."""
    return connect(url.replace("http", "ws", 1) + path, proxy=None, max_size=None, **options)


class Peephole:
    """What a handler notes under one token."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.token = uuid4().hex

    async def look(self, *, until: str = "") -> Any:
        """What was noted so far, or as soon as there is a note of the name `until`."""
        return (await self.client.get(f"/probes/notes/{self.token}", params={"until": until})).json()

    async def tell(self, **facts: Any) -> None:
        """Note something, for the handler to see."""
        await self.client.post(f"/probes/notes/{self.token}", json=facts)

    async def steady(self, name: str) -> int:
        """The number of this name, once it stands still: who works without waiting gets on between two looks."""
        seen: list[int] = []
        while len(seen) < STEADY or len(set(seen[-STEADY:])) > 1:
            seen.append((await self.look()).get(name, 0))
        return seen[-1]


@asynccontextmanager
async def peeping(url: str) -> AsyncIterator[Peephole]:
    """Inside the block one sees what a handler sees, over a connection beside that which is looked at."""
    async with http_client(url) as client:
        yield Peephole(client)


async def refusal(url: str, path: str, **options: Any) -> Any:
    """The response by which a websocket is refused."""
    with pytest.raises(InvalidStatus) as refused:
        async with open_websocket(url, path, **options):
            pass
    return refused.value.response


async def end_of(websocket: ClientConnection) -> tuple[int, str]:
    """The code and reason by which the server closes; messages before that are left unread."""
    try:
        while True:
            await websocket.recv()
    except ConnectionClosed:
        assert websocket.close_code is not None
    return websocket.close_code, websocket.close_reason or ""


@each_of(CHECKS)
async def test_the_example_answers_alike_over_http_1(server: Server, check: Check) -> None:
    async with asyncio.timeout(LIMIT), http_client(server.url) as client:
        await check(client)


@each_of(CHECKS)
async def test_the_example_answers_alike_over_http_2(http2_server: Server, check: Check) -> None:
    if http2_server.peer.name == "hypercorn" and check in ANSWERED_EARLY:
        pytest.skip(
            "a response before the end of its request ends hypercorn's HTTP/2 connection, now and then"
        )
    async with asyncio.timeout(LIMIT), http_client(http2_server.url, http2=True) as client:
        assert (await client.get("/books")).http_version == "HTTP/2"
        await check(client)


# What shows on a connection of one's own


async def a_connection_stays_after_errors_that_were_answered(url: str) -> None:
    async with connected(url) as wire:
        for method, target, headers, body, status in (
            ("GET", "/nowhere", (), b"", 404),
            ("PATCH", "/books", (), b"", 405),
            ("POST", "/books", (), b"{", 400),
            ("POST", "/books", (), b"{}", 422),
            ("POST", "/login", ("content-type: text/plain",), b"name=a", 415),
            ("GET", "/me", (), b"", 401),
            ("GET", "/rules", ("range: bytes=9999-",), b"", 416),
            ("GET", "/books/999999", (), b"", 404),
            ("GET", "/rules", (), b"", 200),
        ):
            assert (await wire.ask(method, target, *headers, body=body)).status == status


async def a_crash_is_a_bare_500(url: str) -> None:
    async with connected(url) as wire:
        reply = await wire.ask("GET", "/probes/crash")
        assert (reply.status, reply.body) == (500, b"Internal Server Error")


@enforces("HTTP-RESP-16")
async def a_crash_in_the_middle_cuts_the_body_off(url: str) -> None:
    async with connected(url) as wire:
        await wire.write(wire.request("GET", "/probes/crash-midway"))
        assert (await wire.head()).status_code == 200
        assert await wire.chunk() == b"one"
        with pytest.raises(h11.RemoteProtocolError, match="without sending complete message body"):
            await wire.chunk()


async def a_small_body_that_nobody_reads_is_not_taken_for_a_request(url: str) -> None:
    smuggled = b"GET /probes/crash HTTP/1.1\r\nhost: x\r\n\r\n"
    async with connected(url) as wire:
        assert (await wire.ask("POST", "/probes/unread", body=smuggled)).body == b"unread"
        assert (await wire.ask("GET", "/rules")).status == 200


async def head_sends_no_body_and_the_next_response_follows(url: str) -> None:
    async with connected(url) as wire:
        for target in ("/rules", "/books.csv", "/pages/", "/probes/crash-midway"):
            await wire.write(wire.request("HEAD", target))
            assert (await wire.read("HEAD")).status == 200
        assert (await wire.ask("GET", "/rules")).body.startswith(b"1. Whoever borrows")


async def a_body_is_asked_for_by_100_continue(url: str) -> None:
    async with connected(url) as wire:
        await wire.write(wire.request("POST", "/echo", "content-length: 5", "expect: 100-continue"))
        assert await wire.interim() == 100
        await wire.write(b"hello")
        assert (await wire.read()).body == b"hello"


async def requests_in_one_go_are_answered_in_order(url: str) -> None:
    async with connected(url) as wire:
        post = wire.request("POST", "/echo", "content-length: 3") + b"one"
        await wire.write(post + wire.request("GET", "/me") + wire.request("GET", "/rules"))
        assert [(await wire.read()).status for _ in range(3)] == [200, 401, 200]


async def a_stream_to_http_1_0_ends_with_the_connection(url: str) -> None:
    async with connected(url) as wire:
        await wire.write(b"POST /echo HTTP/1.0\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello")
        assert (await wire.read()).body == b"hello"
        assert await wire.is_closed()


@enforces("HTTP-REQ-04")
async def an_echo_comes_while_the_body_is_still_being_sent(url: str) -> None:
    async with connected(url) as wire:
        await wire.write(wire.request("POST", "/echo", "transfer-encoding: chunked"))
        await wire.write(b"3\r\none\r\n")
        assert (await wire.head()).status_code == 200
        assert await wire.chunk() == b"one"
        await wire.write(b"3\r\ntwo\r\n")
        assert await wire.chunk() == b"two"
        await wire.write(b"0\r\n\r\n")
        assert await wire.chunk() == b""


async def a_chunk_goes_out_before_the_next_one_is_made(url: str) -> None:
    for coding in ("identity", "gzip"):
        async with peeping(url) as hole:
            request = hole.client.stream(
                "GET", f"/probes/steps/{hole.token}", headers={"accept-encoding": coding}
            )
            async with request as response:
                chunks = response.aiter_bytes()
                assert await anext(chunks) == b"one"
                await hole.tell(go=True)
                assert b"".join([chunk async for chunk in chunks]) == b"two"


@enforces("HTTP-DISC-04")
async def a_download_that_is_left_is_closed(url: str) -> None:
    async with peeping(url) as hole, connected(url) as wire:
        await wire.write(wire.request("GET", f"/probes/download/{hole.token}/100000"))
        await wire.head()
        assert await wire.chunk()
        wire.break_off()
        assert (await hole.look(until="closed"))["made"] < 100_000


@enforces("HTTP-REQ-05")
async def an_upload_that_is_left_is_a_disconnect(url: str) -> None:
    async with peeping(url) as hole, connected(url) as wire:
        await wire.write(wire.request("POST", f"/probes/upload/{hole.token}", "content-length: 1000"))
        await wire.write(b"some")
        assert (await hole.look(until="read"))["read"] == 4
        wire.break_off()
        assert (await hole.look(until="ended"))["ended"] == "ClientDisconnect"


async def a_handler_that_waits_sees_the_client_leave(url: str) -> None:
    async with peeping(url) as hole, connected(url) as wire:
        await wire.write(wire.request("GET", f"/probes/wait/{hole.token}"))
        await hole.look(until="begun")
        wire.break_off()
        assert (await hole.look(until="gone"))["gone"] is True


async def a_silent_event_stream_that_is_left_is_closed(url: str) -> None:
    async with peeping(url) as hole, connected(url) as wire:
        await wire.write(wire.request("GET", f"/probes/events/{hole.token}"))
        assert (await wire.head()).status_code == 200
        assert await wire.chunk() == b"data: hello\n\n"
        wire.break_off()
        assert (await hole.look(until="closed"))["closed"]


async def a_slow_reader_slows_the_handler_and_gets_everything(url: str) -> None:
    size = 400
    async with peeping(url) as hole, connected(url, window=16 * 1024) as wire:
        await wire.write(wire.request("GET", f"/probes/download/{hole.token}/{size}"))
        await wire.head()
        assert await hole.steady("made") < size
        got = 0
        while chunk := await wire.chunk():
            got += len(chunk)
        assert got == size * len(CHUNK)
        assert (await hole.look(until="closed"))["made"] == size


@enforces("APP-CALL-03")
async def requests_at_the_same_time_stay_apart(url: str) -> None:
    names = [f"reader {number}" for number in range(20)]
    async with peeping(url) as hole:
        responses = await asyncio.gather(
            *(
                hole.client.get(
                    f"/probes/meet/{hole.token}/{len(names)}", params={"name": name}, headers={"x-name": name}
                )
                for name in names
            )
        )
        assert [response.json() for response in responses] == [
            {"name": name, "query": name} for name in names
        ]


async def news_come_as_server_sent_events(url: str) -> None:
    async with http_client(url) as client:
        known = (await add(client, title="Old")).rpartition("/")[2]
        await add(client, title="New")
        async with client.stream("GET", "/news", headers={"last-event-id": "none of ours"}) as response:
            assert response.status_code == 200
        async with client.stream("GET", "/news", headers={"last-event-id": known}) as response:
            assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
            lines = response.aiter_lines()
            assert await next_event(lines) == ("book", book("New"))
            await add(client, title="Newer")
            assert await next_event(lines) == ("book", book("Newer"))


async def next_event(lines: AsyncIterator[str]) -> tuple[str, Any]:
    """The next event of a stream: its type, and its data."""
    fields = {}
    while line := await anext(lines):
        name, _, value = line.partition(": ")
        fields[name] = value
    return fields["event"], json.loads(fields["data"])


@enforces("WS-RECV-01", "WS-SEND-01")
async def messages_of_any_kind_are_echoed(url: str) -> None:
    async with open_websocket(url, "/sockets/echo") as websocket:
        for message in ("", b"", "naïve \N{GRINNING FACE}", b"\xff\0", "x" * 1_000_000, b"x" * 1_000_000):
            await websocket.send(message)
            assert await websocket.recv() == message
        await websocket.send(["frag", "ment", "ed"])
        assert await websocket.recv() == "fragmented"


@enforces("WS-ACC-02")
async def the_subprotocol_is_the_first_that_both_know(url: str) -> None:
    for offered, chosen, answer in (
        (None, None, "hello"),
        (["strange"], None, "hello"),
        (["strange", "plain", "shout"], "plain", "hello"),
        (["shout", "plain"], "shout", "HELLO"),
    ):
        async with open_websocket(url, "/sockets/echo", subprotocols=offered) as websocket:
            assert websocket.subprotocol == chosen
            await websocket.send("hello")
            assert await websocket.recv() == answer


@enforces("EXT-DENY-01", "EXT-DENY-02")
async def a_stranger_is_refused_by_a_response(url: str) -> None:
    response = await refusal(url, "/sockets/books/1")
    assert (response.status_code, response.body) == (401, b"log in first")
    assert response.headers["www-authenticate"] == "Cookie"


@enforces("WS-CLOSE-02")
async def a_reader_asks_about_a_book_by_json(url: str) -> None:
    async with http_client(url) as client:
        path = (await add(client)).removeprefix(url)
        cookie = (await log_in(client, "Ada \N{CAT}")).headers["set-cookie"].partition(";")[0]
    headers = {"cookie": f"{cookie}; other=1"}
    async with open_websocket(url, f"/sockets{path}", additional_headers=headers) as websocket:
        await websocket.send('"title"')
        assert json.loads(await websocket.recv()) == {"title": "Flatland"}
        await websocket.send(b'"year"')
        assert json.loads(await websocket.recv()) == {"year": 1884}
        await websocket.send('"colour"')
        assert await end_of(websocket) == (1008, "ask for title, author, year")
    async with open_websocket(url, f"/sockets{path}", additional_headers=headers) as websocket:
        await websocket.send("title")
        assert await end_of(websocket) == (1007, "ask in JSON")
    async with open_websocket(url, "/sockets/books/999999", additional_headers=headers) as websocket:
        assert await end_of(websocket) == (4004, "there is no book 999999")


@enforces("WS-404-01", "WS-CLOSE-01")
async def a_websocket_that_nobody_accepts_is_refused(url: str) -> None:
    for path in ("/sockets/nothing", "/books", "/probes/silent", "/probes/crash-early"):
        assert (await refusal(url, path)).status_code == 403
    for path in (
        "/pages/",
        "/hours/",
    ):  # applications for HTTP, which raise; a server makes something of that
        assert (await refusal(url, path)).status_code in (403, 500)


async def a_crash_in_a_websocket_is_1011(url: str) -> None:
    async with open_websocket(url, "/probes/crash") as websocket:
        assert (await end_of(websocket))[0] == 1011


async def a_websocket_that_is_left_while_it_sends_is_ended(url: str) -> None:
    async with peeping(url) as hole, open_websocket(url, f"/probes/flood/{hole.token}") as websocket:
        await websocket.recv()
        websocket.transport.abort()
        await hole.look(until="ended")


async def a_slow_reader_of_a_websocket_slows_the_handler(url: str) -> None:
    flood = {"compression": None, "max_queue": 1}
    async with peeping(url) as hole, open_websocket(url, f"/probes/flood/{hole.token}", **flood) as websocket:
        sent = await hole.steady("sent")
        for _ in range(sent + 10):
            assert await websocket.recv() == CHUNK
        websocket.transport.abort()
        await hole.look(until="ended")


LIVE_CHECKS: tuple[LiveCheck, ...] = (
    a_connection_stays_after_errors_that_were_answered,
    a_crash_is_a_bare_500,
    a_crash_in_the_middle_cuts_the_body_off,
    a_small_body_that_nobody_reads_is_not_taken_for_a_request,
    head_sends_no_body_and_the_next_response_follows,
    a_body_is_asked_for_by_100_continue,
    requests_in_one_go_are_answered_in_order,
    a_stream_to_http_1_0_ends_with_the_connection,
    an_echo_comes_while_the_body_is_still_being_sent,
    a_chunk_goes_out_before_the_next_one_is_made,
    a_download_that_is_left_is_closed,
    an_upload_that_is_left_is_a_disconnect,
    a_handler_that_waits_sees_the_client_leave,
    a_silent_event_stream_that_is_left_is_closed,
    a_slow_reader_slows_the_handler_and_gets_everything,
    requests_at_the_same_time_stay_apart,
    news_come_as_server_sent_events,
    messages_of_any_kind_are_echoed,
    the_subprotocol_is_the_first_that_both_know,
    a_stranger_is_refused_by_a_response,
    a_reader_asks_about_a_book_by_json,
    a_websocket_that_nobody_accepts_is_refused,
    a_crash_in_a_websocket_is_1011,
    a_websocket_that_is_left_while_it_sends_is_ended,
    a_slow_reader_of_a_websocket_slows_the_handler,
)


@each_of(LIVE_CHECKS)
async def test_connections_are_treated_alike(server: Server, check: LiveCheck) -> None:
    async with asyncio.timeout(LIMIT):
        await check(server.url)


# Their own ways


async def test_the_scopes_are_those_of_the_table(server: Server, ways: OwnWays) -> None:
    async with asyncio.timeout(LIMIT), http_client(server.url) as client:
        scope = (await client.get("/probes/%73cope?a=%C3%A9", headers=[(b"X-Upper", "É".encode())])).json()
    assert scope["asgi"] == {"version": "3.0", "spec_version": ways.http_version}
    assert tuple(scope["extensions"]) == ways.extensions
    assert (scope["path"], scope["raw_path"]) == ("/probes/scope", "/probes/%73cope")
    assert scope["query_string"] == "a=%C3%A9"
    assert ["x-upper", "Ã\x89"] in scope["headers"]
    assert {type(address[1]) for address in (scope["client"], scope["server"])} == {ways.port}
    offer = open_websocket(server.url, "/probes/scope", subprotocols=["a", "b"])
    async with asyncio.timeout(LIMIT), offer as websocket:
        scope = json.loads(await websocket.recv())
    assert scope["asgi"] == {"version": "3.0", "spec_version": ways.websocket_version}
    assert "websocket.http.response" in scope["extensions"]
    assert (scope["scheme"], scope["subprotocols"]) == ("ws", ["a", "b"])


async def test_after_a_crash_the_connection_stays_or_not(server: Server, ways: OwnWays) -> None:
    async with asyncio.timeout(LIMIT), connected(server.url) as wire:
        assert (await wire.ask("GET", "/probes/crash")).status == 500
        if ways.closes_after_crash:
            assert await wire.is_closed()
        else:
            assert (await wire.ask("GET", "/rules")).status == 200


async def test_a_body_that_nobody_reads_is_asked_for_or_not(server: Server, ways: OwnWays) -> None:
    async with asyncio.timeout(LIMIT), connected(server.url) as wire:
        await wire.write(wire.request("POST", "/probes/unread", "content-length: 5", "expect: 100-continue"))
        if ways.continues_at_once:
            assert await wire.interim() == 100
        assert (await wire.read()).body == b"unread"


async def test_a_large_body_that_nobody_reads_is_swallowed_or_not(server: Server, ways: OwnWays) -> None:
    if not ways.swallows_unread:
        pytest.skip("the client may not get as far as the response")
    async with asyncio.timeout(LIMIT), connected(server.url) as wire:
        assert (await wire.ask("POST", "/probes/unread", body=bytes(2_000_000))).body == b"unread"
        assert (await wire.ask("GET", "/rules")).status == 200


async def test_headers_of_an_accepted_websocket_reach_the_client(server: Server, ways: OwnWays) -> None:
    async with asyncio.timeout(LIMIT), open_websocket(server.url, "/sockets/echo") as websocket:
        assert websocket.response is not None
        assert ("x-request-id" in websocket.response.headers) is ways.accept_headers


async def test_the_client_says_why_it_closes_a_websocket(server: Server, ways: OwnWays) -> None:
    async with asyncio.timeout(LIMIT), peeping(server.url) as hole:
        async with open_websocket(server.url, f"/probes/listen/{hole.token}") as websocket:
            await websocket.close(4001, "büro")
        seen = await hole.look(until="ended")
    assert (seen["code"], seen["reason"]) == ways.client_close


async def test_the_client_of_a_websocket_is_lost(server: Server, ways: OwnWays) -> None:
    async with (
        asyncio.timeout(LIMIT),
        peeping(server.url) as hole,
        open_websocket(server.url, f"/probes/listen/{hole.token}") as websocket,
    ):
        websocket.transport.abort()
        assert (await hole.look(until="ended"))["code"] in ways.client_lost


async def test_a_handler_that_only_sends_learns_that_the_client_is_gone(
    server: Server, ways: OwnWays
) -> None:
    if not ways.websocket_send_tells:
        pytest.skip("a server before 2.4 tells that by `receive` alone")
    async with (
        asyncio.timeout(LIMIT),
        peeping(server.url) as hole,
        open_websocket(server.url, f"/probes/send-only/{hole.token}") as websocket,
    ):
        await websocket.recv()
        websocket.transport.abort()
        assert (await hole.look(until="ended"))["code"] == 1006


# From start to end


@EACH_HTTP
@enforces("LIFE-APP-03")
def test_a_server_whose_application_does_not_start_ends(peer: Peer) -> None:
    with starting(peer, BROKEN) as server:
        code = server.wait()
        assert code == OWN_WAYS[peer.name.partition("-")[0]].failed_start
        assert "the library is on fire" in server.log.text


@EACH_HTTP
@enforces("LIFE-APP-02", "LIFE-APP-07")
async def test_a_server_that_stops_finishes_what_it_has_begun(peer: Peer) -> None:
    with running(peer, APP) as server:
        async with asyncio.timeout(LIMIT), http_client(server.url) as client, connected(server.url) as wire:
            covers = (await client.get("/probes/scope")).json()["covers"]
            assert exists(covers)
            hole = Peephole(client)
            await wire.write(wire.request("POST", f"/probes/upload/{hole.token}", "content-length: 8"))
            await wire.write(b"half")
            await hole.look(until="read")
            server.ask_to_stop()
            await until_refused(server.url)
            await wire.write(b"half")
            assert json.loads((await wire.read()).body) == {"read": 8}
        assert await asyncio.to_thread(server.wait) == peer.exit_code
    assert server.log.text.count(FAREWELL) == 1
    assert not exists(covers)
    # What comes while the server stops, such as the attempts to connect above, is for the server to close.
    connections = (
        r"Exception ignored in: <(socket\.socket|function _SelectorTransport)|unclosed (<socket|transport)"
    )
    assert complaints(server.log.text, expected=f"{EXPECTED}|{connections}") == []


def exists(path: str) -> bool:
    """Whether there is such a file or directory."""
    return Path(path).exists()


async def until_refused(url: str) -> None:
    """Wait until the server takes no connections any more."""
    while True:
        try:
            async with connected(url):
                pass
        except ConnectionError:
            return


@EACH_HTTP
@enforces("HTTP-SCOPE-06")
async def test_a_root_path_is_in_the_links(peer: Peer) -> None:
    with running(peer, APP, root_path="/shelf") as server:
        async with asyncio.timeout(LIMIT), http_client(server.url) as client:
            link = await add(client)
            assert link.startswith(f"{server.url}/shelf/books/")
            path = link.removeprefix(server.url)
            stripped = path.removeprefix("/shelf")
            shown = await client.get(stripped)  # a proxy takes the root_path off
            assert (shown.status_code, shown.json()["url"]) == (200, link)
            scope = (await client.get("/probes/scope")).json()
            assert scope["root_path"] == "/shelf"
            root_in_path = OWN_WAYS[peer.name.partition("-")[0]].root_in_path
            assert scope["path"] == ("/shelf/probes/scope" if root_in_path else "/probes/scope")
            assert (await client.get("/pages")).headers["location"] == "/shelf/pages/"
            whole = await client.get(path)  # or it does not
            assert whole.status_code == (404 if root_in_path else 200)
