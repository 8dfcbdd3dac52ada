"""The reference's requests: what is read of a scope, and the body, however its events come and whoever waits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from http.cookies import SimpleCookie
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastasgi_reference.datastructures import Headers
from fastasgi_reference.exceptions import ClientDisconnect, HTTPException
from fastasgi_reference.formdata import FormLimits, UploadFile
from fastasgi_reference.requests import LOOK_AHEAD, Address, HTTPConnection, InvalidJSON, Request
from tests.reference.conversation import Message, body_events, http_scope, websocket_scope
from tests.reference.rules import enforces

UNHURRIED = settings(deadline=None)
DISCONNECT: Message = {"type": "http.disconnect"}
URLENCODED = "application/x-www-form-urlencoded"
BODIES = st.binary(max_size=40)
CUTS = st.lists(st.integers(0, 40), max_size=6)
COOKIE_NAMES = st.text("abcXYZ019!#%&'*+-.^_`|~", min_size=1)
COOKIE_VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


class Server:
    """The server's side of `receive`: it gives `events` in turn and then waits for ever, or until there are more.

    An event is taken off when `receive` is called, and given some turns of the loop (`turns`) later: whoever cancels
    the call in between loses the event, as under some servers.
    """

    def __init__(self, *events: Message, turns: int = 0) -> None:
        self.events = list(events)
        self.turns = turns
        self.calls = 0
        self.under_way = 0
        self._more = asyncio.Event()

    def give(self, *events: Message) -> None:
        self.events.extend(events)
        self._more.set()

    async def receive(self, /) -> Message:
        self.calls += 1
        self.under_way += 1
        try:
            while not self.events:
                self._more.clear()
                await self._more.wait()
            event = self.events.pop(0)
            for _ in range(self.turns):
                await asyncio.sleep(0)
            return event
        finally:
            self.under_way -= 1


def with_headers(*headers: tuple[str, str]) -> Request:
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return Request(http_scope(headers=raw))


def with_body(*chunks: bytes, content_type: str = "") -> Request:
    headers = [(b"content-type", content_type.encode("latin-1"))] if content_type else []
    return Request(http_scope("POST", headers=headers), Server(*body_events(*chunks)).receive)


def connection(*events: Message, turns: int = 0) -> tuple[Request, Server]:
    server = Server(*events, turns=turns)
    return Request(http_scope("POST"), server.receive), server


def request_event(body: bytes = b"", *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def split(body: bytes, places: Iterable[int]) -> list[bytes]:
    """`body` cut at `places`, in any order; a place that comes twice gives an empty chunk."""
    cuts = [0, *sorted(min(place, len(body)) for place in places), len(body)]
    return [body[start:end] for start, end in pairwise(cuts)]


async def collected(chunks: AsyncIterator[bytes]) -> list[bytes]:
    return [chunk async for chunk in chunks]


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


# ---- the scope


@enforces("HTTP-SCOPE-09", "HTTP-SCOPE-10", "HTTP-SCOPE-11")
@pytest.mark.parametrize("form", [list, tuple, iter, lambda pairs: ([name, value] for name, value in pairs)])
def test_headers_come_in_any_form_of_iterable_in_order_and_any_case(form: Callable[[Any], Any]) -> None:
    request = Request(http_scope(headers=form([(b"X-Token", b"1"), (b"b", b"2"), (b"x-token", b"3")])))
    for _ in range(2):  # an iterable that can be read only once is read once
        assert request.headers.multi_items() == [("x-token", "1"), ("b", "2"), ("x-token", "3")]
    assert request.headers["X-TOKEN"] == "1"
    assert request.headers.getlist("x-token") == ["1", "3"]


@enforces("HTTP-SCOPE-12")
def test_header_bytes_are_latin_1() -> None:
    assert Request(http_scope(headers=[(b"x", b"\xff\x00")])).headers["x"] == "\xff\x00"


def test_a_scope_without_headers_has_none() -> None:
    assert Request(http_scope(headers=...)).headers == Headers()


@enforces("HTTP-SCOPE-04")
def test_the_query_is_decoded_when_it_is_parsed() -> None:
    params = Request(http_scope(query_string=b"a=%C3%A9&b=x+y%2B&a=2&c")).query_params
    assert params.multi_items() == [("a", "é"), ("b", "x y+"), ("a", "2"), ("c", "")]
    assert params["a"] == "é"


@enforces("HTTP-SCOPE-05", "WS-SCOPE-01")
def test_a_query_may_be_empty_and_that_of_a_websocket_absent_or_none() -> None:
    assert not Request(http_scope(query_string=b"")).query_params
    assert not HTTPConnection(websocket_scope(query_string=...)).query_params
    assert not HTTPConnection(websocket_scope(query_string=None)).query_params


@enforces("HTTP-SCOPE-01", "HTTP-SCOPE-03")
def test_the_url_needs_neither_scheme_nor_raw_path() -> None:
    request = Request(http_scope(path="/a b", scheme=..., raw_path=..., query_string=b"q=%20"))
    assert request.url == "http://testserver/a%20b?q=%20"
    assert request.url.scheme == "http"


@enforces("HTTP-SCOPE-02", "HTTP-SCOPE-06")
def test_the_path_is_not_decoded_again_and_has_the_root_path_in_it_already() -> None:
    request = Request(http_scope(path="/api/a%20b+c", root_path="/api"))
    assert request.url == "http://testserver/api/a%2520b+c"


@enforces("HTTP-SCOPE-15")
@pytest.mark.parametrize(
    ("server", "expected"),
    [
        (("a", 80), "http://a/"),
        (["a", 81], "http://a:81/"),
        (None, "/"),
        (..., "/"),
        (["/run/sock", None], "/"),
    ],
)
def test_the_url_of_a_request_without_host(server: object, expected: str) -> None:
    assert Request(http_scope(headers=[], server=server)).url == expected


def test_a_url_and_the_headers_can_be_read_in_either_order_though_headers_come_once() -> None:
    request = Request(http_scope(headers=iter([(b"Host", b"a.test")])))
    assert request.url == "http://a.test/"
    assert request.headers["host"] == "a.test"


@enforces("HTTP-SCOPE-14")
@pytest.mark.parametrize(
    ("client", "expected"),
    [
        (("1.2.3.4", 5), Address("1.2.3.4", 5)),
        (["::1", 0], Address("::1", 0)),
        (("1.2.3.4", "5"), Address("1.2.3.4", 5)),
        (None, None),
        (..., None),
    ],
)
def test_the_client(client: object, expected: Address | None) -> None:
    assert Request(http_scope(client=client)).client == expected


def test_an_address_names_its_parts() -> None:
    client = Request(http_scope(client=("1.2.3.4", 5))).client
    assert client is not None
    assert (client.host, client.port) == ("1.2.3.4", 5)


@enforces("HTTP-SCOPE-16")
def test_state_is_the_scope_s_or_begins_empty() -> None:
    state = {"database": object()}
    request = Request(http_scope(state=state))
    assert request.state.database is state["database"]
    request.state.user = "Ada"
    assert state["user"] == "Ada"
    scope = http_scope(state=...)
    Request(scope).state.user = "Ada"
    assert Request(scope).state.user == "Ada"


@enforces("HTTP-SCOPE-17")
@pytest.mark.parametrize("method", ["GET", "get", "PROPFIND", "M-SEARCH"])
def test_a_method_is_kept_as_it_came(method: str) -> None:
    assert Request(http_scope(method)).method == method


def test_path_params_are_empty_before_a_route_was_found() -> None:
    assert Request(http_scope()).path_params == {}
    assert Request(http_scope(path_params={"id": 7})).path_params == {"id": 7}


@enforces("APP-SCOPE-04", "APP-SCOPE-05")
def test_keys_of_the_scope_that_nobody_knows_or_sends_do_not_matter() -> None:
    request = Request({"type": "http", "method": "GET", "path": "/x", "zzz": object()})
    assert request.url == "/x"
    assert request.headers == Headers()
    assert request.cookies == {}
    assert request.client is None


@enforces("APP-SCOPE-01", "APP-SCOPE-02")
@pytest.mark.parametrize("scope", [websocket_scope(), {"type": "lifespan"}, {"type": "mqtt.5"}])
def test_only_http_makes_a_request(scope: Any) -> None:
    with pytest.raises(RuntimeError, match="http"):
        Request(scope)


def test_what_is_parsed_once_is_kept() -> None:
    request = with_headers(("cookie", "a=1"))
    assert request.headers is request.headers
    assert request.query_params is request.query_params
    assert request.cookies is request.cookies
    assert request.url is request.url
    assert request.state is request.state


class Application:
    """What `url_for` asks of an application."""

    def url_for(self, name: str, /, **params: Any) -> str:
        return f"/{name}/{'/'.join(map(str, params.values()))}"


def inside(application: Any) -> dict[str, Any]:
    """What an application adds to the scope."""
    return {"fastasgi.app": application}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, "http://testserver"),
        ({"root_path": "/api", "path": "/api/x"}, "http://testserver/api"),
        (
            {"root_path": "/api/sub", "path": "/api/sub/x", "fastasgi.root_path": "/api"},
            "http://testserver/api",
        ),
        ({"scheme": "https", "query_string": b"q=1"}, "https://testserver"),
        ({"scheme": ...}, "http://testserver"),
    ],
)
def test_the_base_url_and_urls_below_it(keys: dict[str, Any], expected: str) -> None:
    request = Request(http_scope(**keys, **inside(Application())))
    assert str(request.base_url).rstrip("/") == expected
    assert request.url_for("item", name="a", id=7) == f"{expected}/item/a/7"


@pytest.mark.parametrize(("scheme", "expected"), [("ws", "http"), ("wss", "https"), (..., "http")])
def test_a_websocket_links_to_http(scheme: object, expected: str) -> None:
    connection = HTTPConnection(websocket_scope(scheme=scheme, **inside(Application())))
    assert connection.url_for("x", a=1) == f"{expected}://testserver/x/1"


def test_a_path_stays_a_path_where_there_is_no_host() -> None:
    class Slashes(Application):
        def url_for(self, name: str, /, **params: Any) -> str:
            return "//elsewhere.example/x"

    request = Request(http_scope(headers=[], server=None, **inside(Slashes())))
    assert request.url_for("x").netloc == ""
    assert request.url_for("x").path == "//elsewhere.example/x"


def test_a_request_outside_of_an_application_says_so() -> None:
    application = Application()
    assert Request(http_scope(**inside(application))).app is application
    with pytest.raises(RuntimeError, match="FastASGI"):
        _ = Request(http_scope()).app


# ---- cookies


@enforces("HTTP-SCOPE-13")
def test_cookies_of_several_headers_come_together() -> None:
    request = with_headers(("cookie", "a=1; b=x,y"), ("host", "h"), ("Cookie", "c=3"))
    assert request.cookies == {"a": "1", "b": "x,y", "c": "3"}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", {}),
        ("a=1", {"a": "1"}),
        ("a=1;b=2;;  c=3 ;", {"a": "1", "b": "2", "c": "3"}),
        ("a = 1 ;\tb\t=\t2", {"a": "1", "b": "2"}),
        ("a=1; a=2", {"a": "1"}),
        ("a=b=c==", {"a": "b=c=="}),
        ("a=", {"a": ""}),
        ("a", {}),
        ("=a", {}),
        ("=a=b; b=1", {"b": "1"}),
        ('a="x y"', {"a": "x y"}),
        ('a=""', {"a": ""}),
        ('a="', {"a": '"'}),
        ('a="x', {"a": '"x'}),
        (r'a="x\073 \"y\" \\"', {"a": 'x; "y" \\'}),
        (r'a="\400\08\x"', {"a": "40008x"}),
        ('a="x\\"', {"a": "x\\"}),
        ("a=%20+", {"a": "%20+"}),
        ("a=\xe9", {"a": "\xe9"}),
        ("A=1; a=2", {"A": "1", "a": "2"}),
        ("$Version=1; a=1; $Path=/", {"$Version": "1", "a": "1", "$Path": "/"}),
        ("a[]={x:1}; b=(c)", {"a[]": "{x:1}", "b": "(c)"}),
    ],
)
def test_a_cookie_header(header: str, expected: dict[str, str]) -> None:
    assert with_headers(("cookie", header)).cookies == expected


@pytest.mark.parametrize("space", ["\xa0", "\x85", "\x0b", "\x0c", "\x1c", "\x1f"])
def test_a_cookie_s_name_is_not_rid_of_what_is_no_blank(space: str) -> None:
    """Else one that any subdomain may set, `\\xa0__Host-id`, would pass for one that only this host can set."""
    cookies = with_headers(("cookie", f"{space}__Host-id=evil; __Host-id=good{space}")).cookies
    assert cookies == {f"{space}__Host-id": "evil", "__Host-id": f"good{space}"}


def test_a_quoted_cookie_full_of_backslashes_is_read_in_one_go() -> None:
    value = "\\" * 200_000
    assert with_headers(("cookie", f'a="{value}"')).cookies == {"a": value[::2]}


@UNHURRIED
@given(st.dictionaries(COOKIE_NAMES, COOKIE_VALUES, max_size=4))
def test_cookies_agree_with_the_standard_library_s(cookies: dict[str, str]) -> None:
    jar = SimpleCookie()
    for name, value in cookies.items():
        jar[name] = value
    header = jar.output(attrs=[], header="", sep=";").strip()
    assert with_headers(("cookie", header)).cookies == cookies
    assert {name: morsel.value for name, morsel in SimpleCookie(header).items()} == cookies


@UNHURRIED
@given(st.text(st.characters(max_codepoint=255)))
def test_no_cookie_header_is_an_error(header: str) -> None:
    for name, value in with_headers(("cookie", header)).cookies.items():
        assert name in header
        assert name.strip(" \t") == name
        assert len(value) <= len(header)


# ---- the body


@enforces("HTTP-REQ-03", "HTTP-REQ-06", "APP-CALL-02", "APP-EVT-02")
@UNHURRIED
@given(BODIES, CUTS, st.integers(0, 2), st.booleans())
@example(b"", [], 0, False)
@example(b"ab", [0, 0, 1, 2, 2], 0, False)
async def test_any_split_of_a_body_is_the_same_body(
    body: bytes, cuts: list[int], turns: int, streamed: bool
) -> None:
    chunks = split(body, cuts)
    request, server = connection(*[event | {"zzz": 1} for event in body_events(*chunks)], turns=turns)
    if streamed:
        assert await collected(request.stream()) == [chunk for chunk in chunks if chunk]
    else:
        assert await request.body() == body
        assert await request.body() == body
        assert b"".join(await collected(request.stream())) == body
    assert server.calls == len(chunks)


@enforces("HTTP-REQ-01", "HTTP-REQ-02")
async def test_events_without_body_or_more_body() -> None:
    request, server = connection({"type": "http.request", "more_body": True}, {"type": "http.request"})
    assert await request.body() == b""
    assert server.calls == 2


@enforces("HTTP-REQ-04")
async def test_the_stream_gives_a_chunk_as_soon_as_it_has_come() -> None:
    request, server = connection(request_event(b"a", more=True))
    stream = request.stream()
    assert await anext(stream) == b"a"
    server.give(request_event(b"b"))
    assert await collected(stream) == [b"b"]


async def test_nothing_is_read_before_somebody_asks() -> None:
    request, server = connection(*body_events(b"a"))
    request.stream()
    assert request.headers["host"] == "testserver"
    await request.close()
    assert server.calls == 0


async def test_several_may_wait_for_the_body_at_once() -> None:
    request, server = connection(*body_events(b'{"a"', b": 1}"), turns=2)
    bodies: Any = await asyncio.gather(request.body(), request.json(), request.text(), request.body())
    assert list(bodies) == [b'{"a": 1}', {"a": 1}, '{"a": 1}', b'{"a": 1}']
    assert server.calls == 2


async def test_one_who_stops_waiting_for_the_body_does_not_stop_the_others() -> None:
    request, server = connection()
    first, second = asyncio.create_task(request.body()), asyncio.create_task(request.body())
    await turns(3)
    second.cancel()
    await turns(3)
    server.give(*body_events(b"a"))
    assert await first == b"a"


async def test_the_body_can_be_streamed_again_after_body() -> None:
    request, _ = connection(*body_events(b"a", b"b"))
    assert await request.body() == b"ab"
    assert await collected(request.stream()) == [b"ab"]
    assert await collected(request.stream()) == [b"ab"]


async def test_a_body_that_was_streamed_is_gone() -> None:
    request, _ = connection(*body_events(b"a", b"b"))
    assert await collected(request.stream()) == [b"a", b"b"]
    with pytest.raises(RuntimeError, match=r"body\(\)"):
        await request.body()
    with pytest.raises(RuntimeError, match=r"body\(\)"):
        await collected(request.stream())


async def test_a_body_of_which_something_was_streamed_is_gone() -> None:
    request, _ = connection(*body_events(b"a", b"b"))
    stream = request.stream()
    assert await anext(stream) == b"a"
    with pytest.raises(RuntimeError, match=r"body\(\)"):
        await request.body()
    assert await collected(stream) == [b"b"]


@enforces("HTTP-REQ-05", "HTTP-DISC-01", "HTTP-DISC-02")
@pytest.mark.parametrize("chunks", [[], [b"a"], [b"a", b""]])
async def test_a_body_that_breaks_off_is_no_body(chunks: list[bytes]) -> None:
    request, server = connection(*[request_event(chunk, more=True) for chunk in chunks], DISCONNECT)
    for _ in range(2):
        with pytest.raises(ClientDisconnect):
            await request.body()
    with pytest.raises(ClientDisconnect):
        await collected(request.stream())
    assert server.calls == len(chunks) + 1
    assert await request.is_disconnected()


@enforces("HTTP-DISC-01")
async def test_a_stream_gives_what_came_before_the_client_went() -> None:
    request, _ = connection(request_event(b"a", more=True), DISCONNECT)
    stream = request.stream()
    assert await anext(stream) == b"a"
    with pytest.raises(ClientDisconnect):
        await anext(stream)


@enforces("APP-EVT-01")
@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"type": "http.bogus"}, "http.bogus"),
        ({"type": "websocket.receive", "bytes": b"x"}, "websocket.receive"),
        ({"type": "http.request", "body": "text"}, "str"),
        ({"type": "http.request", "body": None}, "NoneType"),
        ({"type": "http.request", "body": bytearray(b"x")}, "bytearray"),
    ],
)
@pytest.mark.parametrize("polled", [False, True])
async def test_an_invalid_event_is_an_error_for_who_reads_the_body(
    event: Message, words: str, polled: bool
) -> None:
    request, _ = connection(event)
    if polled:
        assert not await request.is_disconnected()
    with pytest.raises(RuntimeError, match=words):
        await request.body()


async def test_an_event_without_type_is_an_error() -> None:
    request, _ = connection({})
    with pytest.raises(KeyError):
        await request.body()


async def test_a_request_without_receive_has_no_body() -> None:
    with pytest.raises(RuntimeError, match="without `receive`"):
        await Request(http_scope()).body()


# ---- is the client gone?


async def test_a_client_is_there_until_it_goes() -> None:
    request, server = connection(*body_events(b"ab"))
    assert not await request.is_disconnected()
    server.give(DISCONNECT)
    assert await request.is_disconnected()
    assert await request.is_disconnected()
    assert await request.body() == b"ab"


@enforces("HTTP-DISC-01")
async def test_a_disconnect_is_seen_behind_chunks_that_are_kept() -> None:
    request, _ = connection(*body_events(b"a", b"b"), DISCONNECT)
    assert await request.is_disconnected()
    assert await collected(request.stream()) == [b"a", b"b"]


@enforces("HTTP-DISC-01")
async def test_a_disconnect_in_the_middle_is_seen_and_breaks_the_body_off() -> None:
    request, _ = connection(request_event(b"a", more=True), DISCONNECT)
    assert await request.is_disconnected()
    with pytest.raises(ClientDisconnect):
        await request.body()


@enforces("HTTP-REQ-03")
@UNHURRIED
@given(
    BODIES, CUTS, st.integers(0, 3), st.lists(st.sampled_from(["poll", "read", "turn", "wait"]), max_size=20)
)
@example(b"ab", [1], 1, ["poll", "turn", "poll", "read", "read"])
@example(b"ab", [1], 1, ["wait", "read", "poll", "read"])
async def test_whoever_looks_for_a_disconnect_takes_no_chunk_away(
    body: bytes, cuts: list[int], slowness: int, steps: list[str]
) -> None:
    chunks = split(body, cuts)
    request, server = connection(*body_events(*chunks), turns=slowness)
    stream, waiting, read = request.stream(), [], []
    for step in steps:
        if step == "poll":
            assert not await request.is_disconnected()
        elif step == "turn":
            await asyncio.sleep(0)
        elif step == "wait":
            waiting.append(asyncio.create_task(request.receive()))
        else:
            read.append(await anext(stream, b""))
        assert server.under_way <= 1
    read += await collected(stream)
    assert b"".join(read) == body
    assert not await request.is_disconnected()
    server.give(DISCONNECT)
    assert await asyncio.gather(*waiting) == [DISCONNECT] * len(waiting)
    await request.receive()
    assert await request.is_disconnected()
    assert server.under_way == 0


async def test_a_slow_server_s_disconnect_is_seen_by_a_later_look() -> None:
    request, _ = connection(DISCONNECT, turns=5)
    seen = [await request.is_disconnected() for _ in range(6)]
    assert seen == sorted(seen)
    assert seen[-1]


async def test_two_may_look_at_once() -> None:
    request, server = connection(*body_events(b"a", b"b"), turns=1)
    seen = await asyncio.gather(*(request.is_disconnected() for _ in range(3)))
    assert seen == [False] * 3
    await turns(5)
    assert await request.body() == b"ab"
    server.give(DISCONNECT)
    for expected in (False, True):  # it takes the server a turn
        assert await asyncio.gather(*(request.is_disconnected() for _ in range(3))) == [expected] * 3
    assert server.under_way == 0


async def test_what_comes_after_the_last_chunk_is_no_body() -> None:
    request, _ = connection(*body_events(b"a"), *body_events(b"b"), DISCONNECT)
    assert await request.is_disconnected()
    assert await request.body() == b"a"


async def test_no_more_of_a_body_is_kept_than_the_look_ahead_and_an_event() -> None:
    half = bytes(LOOK_AHEAD // 2 + 1)
    request, server = connection(*[request_event(half, more=True) for _ in range(5)], DISCONNECT)
    assert not await request.is_disconnected()
    assert not await request.is_disconnected()
    assert server.calls == 2
    stream = request.stream()
    for _ in range(4):
        await anext(stream)
    assert await request.is_disconnected()


async def test_a_disconnect_is_seen_behind_a_whole_body_of_any_size() -> None:
    body = bytes(3 * LOOK_AHEAD)
    request, _ = connection(*body_events(body), DISCONNECT)
    assert await request.is_disconnected()
    assert await request.body() == body


async def test_who_waits_for_the_disconnect_waits_for_room_too() -> None:
    whole = bytes(LOOK_AHEAD)
    request, server = connection(*[request_event(whole, more=True) for _ in range(3)], DISCONNECT)
    gone = asyncio.create_task(request.receive())
    await turns(5)
    assert server.calls == 1
    stream = request.stream()
    for _ in range(3):
        await anext(stream)
    assert await gone == DISCONNECT
    with pytest.raises(ClientDisconnect):
        await anext(stream)


async def test_a_failing_receive_is_told_to_who_looks() -> None:
    async def receive() -> Message:
        raise OSError("no server any more")

    request = Request(http_scope(), receive)
    for _ in range(2):
        with pytest.raises(OSError, match="any more"):
            await request.is_disconnected()


async def test_a_receive_that_is_cancelled_while_others_wait_is_called_again() -> None:
    request, server = connection()
    reader, gone = asyncio.create_task(request.body()), asyncio.create_task(request.receive())
    await turns(2)
    assert server.calls == 1
    reader.cancel()
    await turns(3)
    assert (server.calls, server.under_way) == (2, 1)
    server.give(DISCONNECT)
    assert await gone == DISCONNECT


async def test_close_stops_the_look_that_is_under_way() -> None:
    request, server = connection()
    assert not await request.is_disconnected()
    assert server.under_way == 1
    await request.close()
    assert server.under_way == 0
    assert not await request.is_disconnected()
    await request.close()
    await request.close()
    assert server.under_way == 0
    server.give(DISCONNECT)
    assert await request.is_disconnected()


async def test_however_many_look_however_often_one_task_waits_and_none_after_close() -> None:
    before = asyncio.all_tasks()
    request, _ = connection(*body_events(b"a"))
    for _ in range(3):
        await asyncio.gather(*(request.is_disconnected() for _ in range(3)))
    assert len(asyncio.all_tasks() - before) == 1
    await request.close()
    assert asyncio.all_tasks() == before


async def test_close_does_not_cancel_one_who_is_looking() -> None:
    request, _ = connection()
    looking = asyncio.create_task(request.is_disconnected())
    await asyncio.sleep(0)
    await request.close()
    assert await looking is False


# ---- the body for an application further in


async def forwarded(request: Request, count: int) -> list[Any]:
    return [await request.forward() for _ in range(count)]


async def test_events_are_forwarded_as_they_are() -> None:
    events: list[Message] = [
        {"type": "http.request", "more_body": True, "zzz": 1},
        {"type": "http.custom"},
        request_event(b"a"),
    ]
    request, _ = connection(*events, DISCONNECT)
    assert await forwarded(request, 5) == [*events, DISCONNECT, DISCONNECT]


async def test_events_are_forwarded_after_a_look() -> None:
    events = body_events(b"a", b"", b"b")
    request, _ = connection(*events, DISCONNECT)
    assert await request.is_disconnected()
    assert await forwarded(request, 4) == [*events, DISCONNECT]


async def test_a_body_that_was_read_is_forwarded_whole() -> None:
    request, server = connection(*body_events(b"a", b"b"))
    assert await request.body() == b"ab"
    assert await request.forward() == request_event(b"ab")
    server.give(DISCONNECT)
    assert await request.forward() == DISCONNECT
    assert await request.body() == b"ab"


async def test_a_body_that_was_streamed_cannot_be_forwarded() -> None:
    request, _ = connection(*body_events(b"a"))
    await collected(request.stream())
    with pytest.raises(RuntimeError, match=r"body\(\)"):
        await request.forward()


async def test_a_body_that_was_forwarded_cannot_be_read() -> None:
    """It would be waited for for ever: nothing more comes before the response."""
    request, _ = connection(*body_events(b"a"))
    await request.forward()
    with pytest.raises(RuntimeError, match="further in"):
        await request.body()


@enforces("HTTP-DISC-01")
async def test_a_body_that_broke_off_is_forwarded_as_a_disconnect() -> None:
    request, _ = connection(request_event(b"a", more=True), DISCONNECT)
    with pytest.raises(ClientDisconnect):
        await request.body()
    assert await forwarded(request, 2) == [DISCONNECT, DISCONNECT]


# ---- text and JSON


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("", "é".encode(), "é"),
        ("text/plain", b"\xff", "\ufffd"),
        ("text/plain; charset=latin-1", b"\xff", "ÿ"),
        ('TEXT/PLAIN;a=b ; CHARSET="ISO-8859-1"', b"\xff", "ÿ"),
        ('text/plain; a="; charset=latin-1"; charset=utf-8', "é".encode(), "é"),
        ("text/plain; charset=latin-1; charset=utf-8", b"\xff", "ÿ"),
        ("text/plain; charset=", b"a", "a"),
        ('text/plain; a="unclosed; charset=latin-1', b"\xff", "ÿ"),
        ("text/plain; charset=utf-16-le", b"a\0b", "a\ufffd"),
        (";;;", b"a", "a"),
    ],
)
async def test_text(content_type: str, body: bytes, expected: str) -> None:
    assert await with_body(body, content_type=content_type).text() == expected


@pytest.mark.parametrize(
    "charset", ["klingon", "base64", "undefined", "idna", "a\0b", "../etc", "\xff", "x" * 10_000]
)
async def test_a_charset_that_is_not_known_is_the_client_s_mistake(charset: str) -> None:
    request = with_body(b"abc", content_type=f"text/plain; charset={charset}")
    with pytest.raises(HTTPException, match="UTF-8") as caught:
        await request.text()
    assert caught.value.status_code == 415


async def test_a_content_type_full_of_semicolons_is_read_in_one_go() -> None:
    assert await with_body(b"a", content_type='text/plain; a="' + ";" * 500_000).text() == "a"


@UNHURRIED
@given(st.text(st.characters(max_codepoint=255)))
async def test_no_content_type_is_more_than_the_client_s_mistake(content_type: str) -> None:
    with suppress(HTTPException):
        await with_body(b"a", content_type=content_type).text()


@UNHURRIED
@given(JSON, st.booleans())
async def test_json_reads_what_json_writes(value: Any, escaped: bool) -> None:
    text = json.dumps(value, ensure_ascii=escaped)
    try:
        body = text.encode()
    except UnicodeEncodeError:
        return
    assert await with_body(*split(body, [3, 7]), content_type="text/plain").json() == value


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "line 1, column 1"),
        (b"{", "line 1, column 2"),
        (b'{"a": 1,\n "b" 2}', "line 2, column 6"),
        (b"[1] x", "line 1, column 5"),
        (b"\xff", "not UTF-8: byte 0"),
        (b'"\xc3', "not UTF-8: byte 1"),
        (b'"\xed\xa0\x80"', "not UTF-8: byte 1"),
        ("[1]".encode("utf-16-le"), "line 1, column 2"),
        (b"\xef\xbb\xbf[1]", "line 1, column 1"),
        (b"NaN", "NaN is no number in JSON: line 1, column 1"),
        (b'{"NaN": "\\"NaN",\n"b": [1, -Infinity]}', "-Infinity is no number in JSON: line 2, column 10"),
        (b"[Infinity]", "Infinity is no number in JSON: line 1, column 2"),
        (b"[1, NaNs]", "NaN is no number in JSON: line 1, column 5"),
        (b'["1e999", 1e308, -1e999]', "-1e999 is no number in JSON: line 1, column 18"),
        (b"[" + b"1" * 20 + b", " + b"1" * 10_000 + b"]", "line 1, column 24"),
        (b"[" * 1_000_000, "nested too deeply"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply"),
        (b"'a'", "line 1, column 1"),
        (b'"a\nb"', "line 1, column 3"),
    ],
)
async def test_what_is_no_json_is_a_400_that_names_the_place(body: bytes, words: str) -> None:
    with pytest.raises(InvalidJSON) as caught:
        await with_body(body).json()
    error = caught.value
    assert isinstance(error, ValueError)
    assert isinstance(error, HTTPException)
    assert error.status_code == 400
    assert words in error.detail
    assert len(error.detail) < 200


async def test_numbers_that_are_large_but_finite_are_exact() -> None:
    assert await with_body(b"[1" + b"0" * 400 + b", -1.5e308, 12345678901234567890]").json() == [
        10**400,
        -1.5e308,
        12345678901234567890,
    ]


# ---- forms


@pytest.mark.parametrize("content_type", [URLENCODED, URLENCODED.upper(), URLENCODED + " ; charset=utf-8"])
async def test_an_urlencoded_form(content_type: str) -> None:
    request = with_body(b"a=1&", b"b=x+y&a=2", content_type=content_type)
    form = await request.form()
    assert form.multi_items() == [("a", "1"), ("b", "x y"), ("a", "2")]
    assert await request.form() is form


MULTIPART = (
    b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    b'--B\r\nContent-Disposition: form-data; name="f"; filename="x.txt"\r\n\r\nhello\r\n--B--\r\n'
)


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data; boundary=B", 'Multipart/Form-Data;Boundary="B"']
)
async def test_a_multipart_form_and_its_files_which_close_closes(content_type: str) -> None:
    request = with_body(*split(MULTIPART, [10, 100]), content_type=content_type)
    form = await request.form()
    assert form["a"] == "1"
    file = form["f"]
    assert isinstance(file, UploadFile)
    assert await file.read() == b"hello"
    await request.close()
    assert file.file.closed


async def test_several_may_wait_for_the_form_at_once() -> None:
    request, _ = connection(*body_events(b"a=", b"1"), turns=2)
    request.scope["headers"] = [(b"content-type", URLENCODED.encode())]
    first, second = await asyncio.gather(request.form(), request.form())
    assert first is second
    assert first["a"] == "1"


async def test_a_form_can_be_read_after_body() -> None:
    request = with_body(b"a=1", content_type=URLENCODED)
    assert await request.body() == b"a=1"
    assert (await request.form())["a"] == "1"


async def test_a_body_cannot_be_read_after_a_form() -> None:
    request = with_body(b"a=1", content_type=URLENCODED)
    await request.form()
    with pytest.raises(RuntimeError, match=r"body\(\)"):
        await request.body()


async def test_a_request_without_content_type_has_an_empty_form() -> None:
    request, server = connection(*body_events(b"a=1"))
    assert not await request.form()
    assert server.calls == 0


@pytest.mark.parametrize(
    ("content_type", "body", "limits", "status"),
    [
        ("application/json", b"{}", None, 415),
        ("multipart/mixed; boundary=B", MULTIPART, None, 415),
        ("multipart/form-data", MULTIPART, None, 400),
        ("multipart/form-data; boundary=B", MULTIPART[:-6], None, 400),
        ("multipart/form-data; boundary=B", MULTIPART, FormLimits(max_files=0), 413),
        ("multipart/form-data; boundary=B", MULTIPART, FormLimits(max_fields=0), 413),
        (URLENCODED, b"a=1&b=2", FormLimits(max_fields=1), 413),
        (URLENCODED, b"&".join([b"a=1"] * 1001), None, 413),
    ],
)
async def test_what_is_no_form_or_too_large_a_one(
    content_type: str, body: bytes, limits: FormLimits | None, status: int
) -> None:
    request = with_body(body, content_type=content_type)
    with pytest.raises(HTTPException) as caught:
        await request.form(limits)
    assert caught.value.status_code == status
    await request.close()


@enforces("HTTP-REQ-05")
async def test_a_form_that_breaks_off_is_no_form() -> None:
    request, _ = connection(request_event(MULTIPART[:-20], more=True), DISCONNECT)
    request.scope["headers"] = [(b"content-type", b"multipart/form-data; boundary=B")]
    with pytest.raises(ClientDisconnect):
        await request.form()


# ---- requests side by side


@enforces("APP-CALL-03")
async def test_requests_know_nothing_of_each_other() -> None:
    async def read(place: int) -> tuple[str, bytes]:
        request, _ = connection(*body_events(b"%d" % place, b"-", b"%d" % place), turns=place % 3)
        request.scope["path"] = f"/{place}"
        return request.url.path, await request.body()

    assert await asyncio.gather(*map(read, range(9))) == [
        (f"/{place}", b"%d-%d" % (place, place)) for place in range(9)
    ]


@pytest.mark.parametrize(
    "charset", ["punycode", "idna", "unicode_escape", "hex", "rot13", "utf-7", "iso-8859-99"]
)
async def test_a_codec_that_is_no_charset_is_refused(charset: str) -> None:
    request = with_body(b"a", content_type=f"text/plain; charset={charset}")
    with pytest.raises(HTTPException) as caught:
        await request.text()
    assert caught.value.status_code == 415
