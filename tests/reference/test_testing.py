"""The test client as a client: responses, redirects, cookies, waiting in vain, and applications of others."""

from __future__ import annotations

import asyncio
import contextlib
import runpy
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from fastasgi_reference.testing import (
    EXTENSIONS,
    CookieJar,
    ProtocolError,
    Stalled,
    StatusError,
    TestClient,
    TooManyRedirects,
    WebSocketClosed,
    WebSocketRefused,
)
from tests.reference.rules import enforces

Message = dict[str, Any]
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

THIS = Path(__file__).read_bytes()
SOLUTIONS = Path(__file__).parents[2] / "solutions"


async def respond(send: Send, body: bytes = b"", status: int = 200, **headers: str) -> None:
    """Send a whole response; an underscore in a header's name stands for a hyphen."""
    pairs = [(name.replace("_", "-").encode(), value.encode("utf-8")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def answering(body: bytes = b"", status: int = 200, **headers: str) -> App:
    """An application that always answers so."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, body, status, **headers)

    return app


async def body_of(receive: Receive) -> bytes:
    """The whole body of a request."""
    body = b""
    while (event := await receive())["more_body"]:
        body += event["body"]
    return body + bytes(event["body"])


# Responses


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("é".encode(), "text/plain", "é"),
        (b"\xe9", "text/plain; charset=latin-1", "é"),
        (b"\xe9", 'text/plain; x=y; Charset="ISO-8859-1"', "é"),
        ("é".encode(), "text/plain; charset=bogus", "é"),
        (b"\xe9", "", "\N{REPLACEMENT CHARACTER}"),
    ],
)
async def test_text_is_read_in_the_charset_that_the_response_names(
    body: bytes, content_type: str, text: str
) -> None:
    assert (await TestClient(answering(body, content_type=content_type)).get("/")).text == text


async def test_json_is_read_and_what_is_none_is_an_error() -> None:
    assert (await TestClient(answering(b'{"a": [1]}')).get("/")).json() == {"a": [1]}
    with pytest.raises(ValueError, match="Expecting value"):
        (await TestClient(answering(b"no")).get("/")).json()


async def test_a_body_that_was_read_is_read() -> None:
    response = await TestClient(answering(b"a")).get("/")
    assert await response.read() == response.content == b"a"


@pytest.mark.parametrize(
    ("status", "is_success", "is_error"),
    [(200, True, False), (204, True, False), (304, False, False), (400, False, True), (599, False, True)],
)
async def test_a_status_is_told_and_can_be_raised(status: int, is_success: bool, is_error: bool) -> None:
    response = await TestClient(answering(status=status)).get("/a")
    assert response.status_code == status
    assert response.is_success is is_success
    if not is_error:
        assert response.raise_for_status() is response
        return
    with pytest.raises(StatusError, match=f"{status}.* for http://testserver/a") as raised:
        response.raise_for_status()
    assert raised.value.response is response


async def test_a_response_is_shown_by_its_status() -> None:
    assert repr(await TestClient(answering(status=404)).get("/")) == "<Response 404 Not Found>"


# Redirects


class Redirects:
    """An application that redirects each path in a table, and else tells what it was asked; it keeps all requests."""

    def __init__(self, targets: dict[str, tuple[int, str]]) -> None:
        self.targets = targets
        self.requests: list[tuple[str, str, bytes]] = []
        self.headers: dict[bytes, bytes] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.requests.append((scope["method"], scope["path"], await body_of(receive)))
        self.headers = dict(scope["headers"])
        status, location = self.targets.get(scope["path"], (200, ""))
        if status == 200 or scope["query_string"]:
            await respond(send, scope["query_string"])
        else:
            await respond(send, b"elsewhere", status, location=location)


@pytest.mark.parametrize(
    ("method", "status", "after"),
    [
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("POST", 303, "GET"),
        ("PUT", 303, "GET"),
        ("PUT", 302, "PUT"),
        ("HEAD", 303, "HEAD"),
        ("GET", 301, "GET"),
        ("POST", 307, "POST"),
        ("POST", 308, "POST"),
        ("DELETE", 308, "DELETE"),
    ],
)
async def test_a_redirect_keeps_or_changes_method_and_body(method: str, status: int, after: str) -> None:
    app = Redirects({"/a": (status, "/b"), "/b": (status, "/c")})
    headers = {"content-type": "text/x", "content-language": "en", "x-a": "1"}
    response = await TestClient(app).request(method, "/a", content=b"body", headers=headers)
    kept = b"body" if after == method != "GET" or status in (307, 308) or method == "GET" else b""
    assert app.requests == [(method, "/a", b"body"), (after, "/b", kept), (after, "/c", kept)]
    assert (b"content-type" in app.headers) is (b"content-length" in app.headers) is bool(kept)
    assert (b"content-language" in app.headers) is bool(kept)
    assert app.headers[b"x-a"] == b"1"
    assert response.url == "http://testserver/c"
    assert [each.url for each in response.history] == ["http://testserver/a", "http://testserver/b"]
    assert [each.status_code for each in response.history] == [status, status]
    assert [each.content for each in response.history] == [b"" if method == "HEAD" else b"elsewhere"] * 2


async def test_redirects_are_followed_or_not_as_is_said() -> None:
    app = Redirects({"/a": (302, "/b")})
    assert (await TestClient(app).get("/a", follow_redirects=False)).status_code == 302
    client = TestClient(app, follow_redirects=False)
    response = await client.get("/a")
    assert (response.status_code, response.is_redirect, response.history) == (302, True, [])
    assert (await client.get("/a", follow_redirects=True)).status_code == 200


async def test_a_redirect_without_location_and_other_3xx_are_responses() -> None:
    assert (await TestClient(answering(status=302)).get("/")).status_code == 302
    assert (await TestClient(answering(status=300, location="/a")).get("/")).status_code == 300


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/b?x=1#part", "http://testserver/b?x=1"),
        ("b", "http://testserver/d/b"),
        ("../b", "http://testserver/b"),
        ("?x=1", "http://testserver/d/a?x=1"),
        ("//other/b", "http://other/b"),
        ("https://other:8443/b", "https://other:8443/b"),
        ("/é b%20", "http://testserver/%C3%A9%20b%20"),
    ],
)
async def test_a_location_is_resolved_against_the_url(location: str, url: str) -> None:
    app = Redirects({"/d/a": (307, location)})
    response = await TestClient(app).get("/d/a", follow_redirects=True)
    assert response.url == url


@pytest.mark.parametrize("location", ["mailto:a@b", "ftp://testserver/", "app://callback"])
async def test_a_redirect_out_of_http_is_an_error(location: str) -> None:
    with pytest.raises(ValueError, match="which is not HTTP: pass follow_redirects=False"):
        await TestClient(Redirects({"/": (302, location)})).get("/")


async def test_a_loop_of_redirects_ends() -> None:
    app = Redirects({"/a": (302, "/b"), "/b": (302, "/a")})
    words = "http://testserver/a was redirected more than 3 times, at last to /a: look for a loop"
    with pytest.raises(TooManyRedirects, match=words):
        await TestClient(app, max_redirects=3).get("/a")
    assert len(app.requests) == 4
    app.requests.clear()
    with pytest.raises(TooManyRedirects, match="more than 20 times"):
        await TestClient(app).get("/a")
    assert len(app.requests) == 21
    assert (await TestClient(Redirects({"/a": (302, "/b")}), max_redirects=1).get("/a")).status_code == 200


CREDENTIALS = {"authorization": "a", "proxy-authorization": "b", "cookie": "c=d", "host": "here", "x-a": "1"}


@pytest.mark.parametrize(
    ("location", "same_origin"),
    [
        ("http://testserver:80/b", True),
        ("/b", True),
        ("https://testserver/b", False),
        ("http://testserver:8000/b", False),
        ("http://other/b", False),
        ("http://sub.testserver/b", False),
    ],
)
@pytest.mark.parametrize("status", [302, 307])
async def test_credentials_do_not_follow_to_another_origin(
    location: str, same_origin: bool, status: int
) -> None:
    app = Redirects({"/a": (status, location)})
    await TestClient(app, headers=CREDENTIALS).get("/a", cookies={"e": "f"})
    kept = {name: app.headers.get(name.encode()) for name in CREDENTIALS}
    if same_origin:
        assert kept == {
            name: value.encode() for name, value in (CREDENTIALS | {"cookie": "c=d; e=f"}).items()
        }
    else:
        host = location.partition("//")[2].partition("/")[0].encode()
        assert kept == dict.fromkeys(CREDENTIALS) | {"host": host, "x-a": b"1"}


async def test_a_body_that_can_be_made_once_is_not_sent_twice() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"a"

    app = Redirects({"/a": (307, "/b"), "/c": (303, "/b")})
    for content in (chunks(), iter([b"a"])):
        with pytest.raises(
            ValueError, match="its body, an iterator, cannot be sent twice: pass bytes or a list"
        ):
            await TestClient(app).post("/a", content=content)
    await TestClient(app).post("/a", content=[b"a", b"b"])
    assert app.requests[-2:] == [("POST", "/a", b"ab"), ("POST", "/b", b"ab")]
    await TestClient(app).post("/c", content=chunks())
    assert app.requests[-1] == ("GET", "/b", b"")


async def test_a_stream_follows_redirects_and_streams_the_last() -> None:
    async with TestClient(Redirects({"/a": (302, "/b?x")})).stream("GET", "/a") as response:
        assert response.history[0].content == b"elsewhere"
        assert [chunk async for chunk in response.iter_bytes()] == [b"x"]


async def test_a_redirect_under_a_root_path_stays_there() -> None:
    app = Redirects({"/api/a": (307, "/api/a/")})
    response = await TestClient(app, root_path="/api").get("/a")
    assert response.url == "http://testserver/api/a/"
    with pytest.raises(ValueError, match="does not lie under root_path"):
        await TestClient(Redirects({"/api/a": (307, "/login")}), root_path="/api").get("/a")


# Cookies


class Clock:
    """A clock that stands still until it is set."""

    now = 1_000_000_000.0

    def __call__(self) -> float:
        return self.now


async def cookies(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that sets the cookies of its query, and tells those that it was sent."""
    wanted = parse_qs(scope["query_string"].decode()).get("set", [])
    headers = [(b"set-cookie", value.encode("latin-1")) for value in wanted]
    sent = [value for name, value in scope["headers"] if name == b"cookie"]
    assert len(sent) <= 1
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept", "headers": headers})
        await send({"type": "websocket.send", "bytes": b"".join(sent)})
        return
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"".join(sent)})


@pytest.mark.parametrize(
    ("set_cookie", "url", "sent"),
    [
        ("a=b", "http://example.com/", "a=b"),
        ("a=b", "http://example.com/x/y", "a=b"),
        ('  a = "b c, d" ; HttpOnly; SameSite=Lax; Partitioned', "http://example.com/", 'a="b c, d"'),
        ("a=", "http://example.com/", "a="),
        ("a=b=c", "http://example.com/", "a=b=c"),
        ("a", "http://example.com/", ""),
        ("=b", "http://example.com/", ""),
        ("", "http://example.com/", ""),
        # for which hosts
        ("a=b", "http://sub.example.com/", ""),
        ("a=b", "http://other.com/", ""),
        ("a=b; Domain=example.com", "http://sub.example.com/", "a=b"),
        ("a=b; Domain=.EXAMPLE.com", "http://sub.example.com/", "a=b"),
        ("a=b; Domain=example.com", "http://badexample.com/", ""),
        ("a=b; Domain=", "http://example.com/", "a=b"),
        ("a=b; Domain=", "http://sub.example.com/", ""),
        ("a=b; Domain=sub.example.com", "http://sub.example.com/", ""),
        ("a=b; Domain=com", "http://example.com/", ""),
        ("a=b; Domain=other.com", "http://other.com/", ""),
        # for which paths
        ("a=b; Path=/x", "http://example.com/x", "a=b"),
        ("a=b; Path=/x", "http://example.com/x/y", "a=b"),
        ("a=b; Path=/x", "http://example.com/xy", ""),
        ("a=b; Path=/x", "http://example.com/", ""),
        ("a=b; Path=/x/", "http://example.com/x/y", "a=b"),
        ("a=b; Path=/x/", "http://example.com/x", ""),
        ("a=b; Path=x", "http://example.com/", "a=b"),
        # for which schemes
        ("a=b; Secure", "http://example.com/", ""),
        ("a=b; Secure", "https://example.com/", "a=b"),
        # for how long
        ("a=b; Max-Age=10", "http://example.com/", "a=b"),
        ("a=b; Max-Age=1", "http://example.com/", "a=b"),
        ("a=b; Max-Age=0", "http://example.com/", ""),
        ("a=b; Max-Age=-1", "http://example.com/", ""),
        ("a=b; Max-Age=soon", "http://example.com/", "a=b"),
        ("a=b; Expires=Sun, 09 Sep 2001 01:46:41 GMT", "http://example.com/", "a=b"),
        ("a=b; Expires=Sun, 09-Sep-2001 01:46:41 GMT", "http://example.com/", "a=b"),
        ("a=b; Expires=Sun, 09 Sep 2001 01:46:40 GMT", "http://example.com/", ""),
        ("a=b; Expires=Sun, 09 Sep 2001 01:46:40", "http://example.com/", ""),
        ("a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=10", "http://example.com/", "a=b"),
        ("a=b; Expires=never", "http://example.com/", "a=b"),
        ("a=b; Max-Age=0; Max-Age=10", "http://example.com/", "a=b"),
    ],
)  # fmt: skip
async def test_a_cookie_goes_where_it_is_for(set_cookie: str, url: str, sent: str) -> None:
    client = TestClient(cookies, base_url="http://example.com", cookies=CookieJar(clock=Clock()))
    await client.get("/", params={"set": set_cookie})
    assert (await client.get(url)).text == sent


@pytest.mark.parametrize(
    ("path", "asked", "sent"),
    [
        ("/d/e", "/d", "a=b"),
        ("/d/e", "/d/f", "a=b"),
        ("/d/e", "/", ""),
        ("/d/", "/d/f", "a=b"),
        ("/d", "/", "a=b"),
    ],
)
async def test_a_cookie_without_a_path_is_for_the_folder_that_it_came_from(
    path: str, asked: str, sent: str
) -> None:
    client = TestClient(cookies)
    await client.get(path, params={"set": "a=b"})
    assert (await client.get(asked)).text == sent


async def test_an_address_has_no_hosts_below_it() -> None:
    client = TestClient(cookies, base_url="http://127.0.0.1")
    await client.get("/", params={"set": ["a=b; Domain=0.0.1", "c=d; Domain=127.0.0.1"]})
    assert (await client.get("/")).text == "c=d"


async def test_cookies_for_longer_paths_come_first_then_those_set_earlier() -> None:
    client = TestClient(cookies)
    await client.get("/", params={"set": ["a=1; Path=/", "b=2; Path=/x", "c=3; Path=/", "d=4; Path=/x"]})
    await client.get("/", params={"set": "a=5; Path=/"})
    assert (await client.get("/x")).text == "b=2; d=4; a=5; c=3"


async def test_a_cookie_expires_and_is_deleted() -> None:
    clock = Clock()
    client = TestClient(cookies, cookies=CookieJar(clock=clock))
    response = await client.get("/", params={"set": ["a=b; Max-Age=10", "c=d", "e=f; Max-Age=0", "g=h"]})
    assert response.cookies == {"a": "b", "c": "d", "g": "h"}
    response = await client.get(
        "/", params={"set": ["g=; Max-Age=0", "c=D", "c=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"]}
    )
    assert response.cookies == {}
    assert dict(client.cookies) == {"a": "b"}
    clock.now += 9
    assert (await client.get("/")).text == "a=b"
    clock.now += 1
    assert (await client.get("/")).text == ""
    assert len(client.cookies) == 0


async def test_the_jar_is_the_tests_own_too() -> None:
    client = TestClient(cookies)
    client.cookies.set("a", "1")
    client.cookies.set("b", "2", domain=".Example.com", path="/x")
    client.cookies.set("a", "3", path="/y")
    assert (await client.get("/")).text == "a=1"
    assert (await client.get("http://sub.example.com/x")).text == "b=2; a=1"
    assert (client.cookies["a"], client.cookies.get("c"), "b" in client.cookies) == ("3", None, True)
    assert (list(client.cookies), len(client.cookies)) == (["a", "b"], 2)
    client.cookies.discard("a")
    assert dict(client.cookies) == {"b": "2"}
    client.cookies.clear()
    assert dict(client.cookies) == {}
    with pytest.raises(ValueError, match="has a semicolon"):
        await client.get("/", cookies={"a": "b; c=d"})


async def test_what_a_request_says_itself_goes_before_the_jar() -> None:
    client = TestClient(cookies)
    client.cookies.set("a", "jar")
    client.cookies.set("b", "jar")
    response = await client.get("/", headers={"cookie": "c=header; a=header"}, cookies={"d": "own"})
    assert response.text == "c=header; a=header; d=own; b=jar"
    assert (await client.get("/")).text == "a=jar; b=jar"


@enforces("SRV-HTTP-05")
async def test_there_is_one_header_of_cookies() -> None:
    client = TestClient(cookies)
    client.cookies.set("a", "1")
    assert (await client.get("/", headers=[("cookie", "b=2"), ("cookie", "c=3")])).text == "b=2; c=3; a=1"


async def test_websockets_share_the_jar() -> None:
    client = TestClient(cookies, base_url="https://testserver")
    await client.get("/", params={"set": "a=1; Secure"})
    async with client.websocket("/", params={"set": "b=2"}) as ws:
        assert await ws.receive_bytes() == b"a=1"
    assert (await client.get("/")).text == "a=1; b=2"


async def test_a_cookie_that_a_redirect_sets_or_deletes_goes_before_what_the_request_said() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/logout":
            await respond(send, b"", 303, location="/", set_cookie="session=; Max-Age=0; Path=/")
        else:
            await cookies(scope, receive, send)

    response = await TestClient(app).get("/logout", cookies={"session": "x", "theme": "dark"})
    assert response.text == "theme=dark"
    assert (await TestClient(app).get("/logout", cookies={"session": "x"})).text == ""


# Waiting in vain


async def never(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that waits for something that nobody but itself knows of."""
    await asyncio.Event().wait()


async def test_patience_ends_where_nothing_else_can_tell() -> None:
    with pytest.raises(
        Stalled, match=r"GET /: the application has not sent http.response.start for 0 seconds"
    ):
        await TestClient(never, timeout=0).get("/")


async def test_an_application_that_only_asks_does_not_stop_the_loop() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send)
        while True:
            await receive()

    with pytest.raises(Stalled, match="the application has not returned for 0 seconds"):
        await TestClient(app, timeout=0).get("/")


async def test_one_who_waits_for_a_task_of_the_application_is_not_in_vain() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def answer() -> None:
            for _ in range(20):
                await asyncio.sleep(0)
            await respond(send, b"late")

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(answer())
            while (await receive())["type"] != "http.disconnect":
                pass

    assert (await TestClient(app, timeout=None).get("/")).text == "late"


async def test_it_is_in_vain_once_that_task_has_ended() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def work() -> None:
            for _ in range(20):
                await asyncio.sleep(0)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(work())
            while (await receive())["type"] != "http.disconnect":
                pass

    with pytest.raises(Stalled, match="every task waits"):
        await TestClient(app, timeout=None).get("/")


async def test_one_who_waits_for_a_timer_is_not_in_vain() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        try:
            async with asyncio.timeout(0.001):
                await receive()
        except TimeoutError:
            await respond(send, b"late")

    assert (await TestClient(app, timeout=None).get("/")).text == "late"


@pytest.mark.parametrize("turns", range(6))
async def test_a_timer_that_is_due_just_when_all_wait_counts(
    monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    loop = asyncio.get_running_loop()
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now)

    def later(rounds: int) -> None:
        nonlocal now
        now += 0 if rounds else 1
        if rounds:
            loop.call_soon(later, rounds - 1)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        loop.call_later(1, asyncio.current_task().cancel)  # type: ignore[union-attr]
        loop.call_soon(later, turns)
        with contextlib.suppress(asyncio.CancelledError):
            await receive()
        await respond(send, b"late")

    assert (await TestClient(app, timeout=None).get("/")).text == "late"


async def test_a_timer_that_was_cancelled_helps_nobody() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asyncio.get_running_loop().call_later(1000, print).cancel()
        await receive()
        await receive()

    with pytest.raises(Stalled, match="every task waits"):
        await TestClient(app).get("/")


async def test_a_tests_own_time_limit_comes_before() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()

    async with TestClient(app).websocket("/") as ws:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await ws.receive_text()


async def test_it_is_seen_while_a_lifespan_and_a_websocket_wait_too() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        answer = {"lifespan": "lifespan.startup.complete", "websocket": "websocket.accept"}
        await receive()
        if scope["type"] in answer:
            await send({"type": answer[scope["type"]]})
        await receive()
        if scope["type"] == "lifespan":
            await send({"type": "lifespan.shutdown.complete"})

    async with TestClient(app, timeout=None) as client, client.websocket("/"):
        with pytest.raises(Stalled, match="every task waits"):
            await client.get("/")


def test_it_is_seen_on_one_loop_after_another() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if scope["path"] == "/stuck":
            await receive()
        await respond(send)

    client = TestClient(app, timeout=None)

    async def use() -> None:
        await asyncio.create_task(client.get("/"))

    async def wait_in_vain() -> None:
        with pytest.raises(Stalled, match="every task waits"):
            await client.get("/stuck")

    asyncio.run(use())
    asyncio.run(wait_in_vain())


async def test_a_fault_is_told_rather_than_the_wait_that_it_led_to() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(ProtocolError):
            await send({"type": "http.response.body"})
        await receive()
        await receive()

    with pytest.raises(ProtocolError, match=r"http\.response\.body came before"):
        await TestClient(app).get("/")


async def test_a_fault_is_told_where_the_application_does_not_end_either() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        with pytest.raises(ProtocolError):
            await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})
        await never(scope, receive, send)

    with pytest.raises(ProtocolError, match=r"http\.response\.start came after"):
        await TestClient(app, timeout=0).get("/")


async def test_an_application_that_does_not_end_when_the_client_has_left_is_told_and_cancelled() -> None:
    log: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        try:
            await never(scope, receive, send)
        finally:
            log.append("cancelled")

    with pytest.raises(Stalled, match="GET /: the application has not returned for 0 seconds"):
        async with TestClient(app, timeout=0).stream("GET", "/"):
            pass
    assert log == ["cancelled"]


async def test_a_test_that_is_cancelled_is_a_client_that_leaves() -> None:
    log: list[str] = []
    there = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        there.set()
        log.append((await receive())["type"])
        await asyncio.sleep(0)
        log.append("end")

    task = asyncio.create_task(TestClient(app).get("/"))
    await there.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == ["http.disconnect", "end"]


async def test_an_application_that_does_not_listen_is_cancelled_with_the_test() -> None:
    log: list[str] = []
    there = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        there.set()
        try:
            await never(scope, receive, send)
        finally:
            log.append("cancelled")

    task = asyncio.create_task(TestClient(app).get("/"))
    await there.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == ["cancelled"]


# Applications of others


async def echo_body(request: Request) -> JSONResponse:
    return JSONResponse({"body": (await request.body()).decode(), "query": dict(request.query_params)})


async def form(request: Request) -> JSONResponse:
    async with request.form() as data:
        fields: dict[str, Any] = {}
        for name, value in data.multi_items():
            fields[name] = value if isinstance(value, str) else [value.filename, (await value.read()).hex()]
        return JSONResponse(fields)


async def numbers(request: Request) -> StreamingResponse:
    async def chunks() -> AsyncIterator[str]:
        for number in range(3):
            yield f"{number}\n"

    return StreamingResponse(chunks(), background=BackgroundTask(request.state.log.append, "background"))


async def poll(request: Request) -> StreamingResponse:
    async def chunks() -> AsyncIterator[str]:
        while not await request.is_disconnected():
            yield "tick"
            await asyncio.sleep(0)

    return StreamingResponse(chunks())


async def file(request: Request) -> FileResponse:
    return FileResponse(__file__)


async def chat(websocket: WebSocket) -> None:
    if "chat" not in websocket.scope["subprotocols"]:
        await websocket.send_denial_response(PlainTextResponse("speak chat", status_code=426))
        return
    await websocket.accept(subprotocol="chat")
    async for text in websocket.iter_text():
        if text == "bye":
            await websocket.close(4000, "as you like")
            return
        await websocket.send_text(text.upper())


def starlette(*, middleware: bool = False) -> Starlette:
    """An application of Starlette's with a bit of everything."""

    async def timing(request: Request, call_next: Callable[[Request], Awaitable[Any]]) -> Any:
        response = await call_next(request)
        response.headers["x-timing"] = "1"
        return response

    class lifespan:  # noqa: N801 - it stands for a function
        def __init__(self, app: Starlette) -> None:
            self.log: list[str] = []

        async def __aenter__(self) -> dict[str, Any]:
            return {"log": self.log}

        async def __aexit__(self, *error: object) -> None:
            self.log.append("shutdown")

    routes = [
        Route("/body", echo_body, methods=["GET", "POST"]),
        Route("/form", form, methods=["POST"]),
        Route("/numbers", numbers),
        Route("/poll", poll),
        Route("/file", file),
        WebSocketRoute("/chat", chat),
        Mount("/sub", routes=[Route("/body/", echo_body, name="inner")]),
    ]
    stack = [Middleware(BaseHTTPMiddleware, dispatch=timing)] if middleware else []
    return Starlette(routes=routes, middleware=stack, lifespan=lifespan)


@pytest.mark.parametrize("middleware", [False, True])
async def test_an_application_of_starlettes(middleware: bool) -> None:
    async with TestClient(starlette(middleware=middleware), root_path="/base") as client:
        response = await client.post("/body?a=1", content=[b"he", b"llo"])
        assert response.json() == {"body": "hello", "query": {"a": "1"}}
        assert ("x-timing" in response.headers) is middleware
        assert (await client.get("/numbers")).text == "0\n1\n2\n"
        assert client.state is not None
        assert client.state["log"] == ["background"]
        assert (await client.get("/sub/body")).url == "http://testserver/base/sub/body/"
        assert (await client.get("/nowhere")).status_code == 404
        log = client.state["log"]
    assert log == ["background", "shutdown"]


async def test_a_stream_of_starlettes_that_polls_for_a_disconnect() -> None:
    async with TestClient(starlette()) as client, client.stream("GET", "/poll") as response:
        assert await anext(response.iter_bytes()) == b"tick"


@pytest.mark.parametrize("extensions", [EXTENSIONS, ()])
async def test_a_file_of_starlettes(extensions: Any) -> None:
    async with TestClient(starlette(), extensions=extensions) as client:
        assert (await client.get("/file")).content == THIS
        part = await client.get("/file", headers={"range": "bytes=3-5"})
        assert (part.status_code, part.content) == (206, THIS[3:6])


async def test_a_websocket_of_starlettes() -> None:
    async with TestClient(starlette()) as client:
        async with client.websocket("/chat", subprotocols=["chat"]) as ws:
            await ws.send_text("hello")
            assert await ws.receive_text() == "HELLO"
            await ws.send_text("bye")
            with pytest.raises(WebSocketClosed, match="closed with 4000: as you like"):
                await ws.receive_text()
        with pytest.raises(WebSocketRefused) as raised:
            async with client.websocket("/chat"):
                pass
    assert (raised.value.status_code, raised.value.body) == (426, b"speak chat")


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\\"), min_size=1)
"""What may name a field. (A backslash is itself in HTML, and escapes the next character for the one who reads here.)"""


@given(
    fields=st.dictionaries(NAMES, st.text(), max_size=3),
    content=st.binary(max_size=50),
    filename=st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="\\"), min_size=1),
)
async def test_forms_are_read_by_others_as_they_were_meant(
    fields: dict[str, str], content: bytes, filename: str
) -> None:
    client = TestClient(starlette())
    assert (await client.post("/form", data=fields)).json() == fields
    response = await client.post("/form", data=fields, files={"a file": (filename, content)})
    shown = {_in_a_header(name): value for name, value in fields.items()}
    assert response.json() == shown | {"a file": [_in_a_header(filename), content.hex()]}


def _in_a_header(name: str) -> str:
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


@given(path=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="?#%")))
async def test_a_path_arrives_as_it_was_written(path: str) -> None:
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await respond(send)

    response = await TestClient(app).get(f"/{path}")
    assert scopes[0]["path"] == f"/{path}"
    assert unquote(scopes[0]["raw_path"].decode("ascii")) == f"/{path}"
    assert response.url.path == scopes[0]["raw_path"].decode("ascii")


async def test_the_first_exercises_answer() -> None:
    app = runpy.run_path(str(SOLUTIONS / "01_introduction" / "hello_asgi.py"))["app"]
    async with TestClient(app) as client:
        assert isinstance(client.lifespan_error, ValueError)
        response = await client.get("/")
        assert (response.status_code, response.text) == (200, "Hello, ASGI!")
        assert response.headers["content-length"] == "12"
        with pytest.raises(ValueError, match="speaks http only, not websocket"):
            async with client.websocket("/"):
                pass


async def test_the_answer_to_the_exercise_on_bodies() -> None:
    solution = runpy.run_path(str(SOLUTIONS / "02_asgi_specification" / "request_body.py"))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, await solution["read_body"](receive, limit=5))

    client = TestClient(app)
    assert (await client.post("/", content=[b"a", b"", b"bc"])).content == b"abc"
    with pytest.raises(solution["BodyTooLarge"]):
        await client.post("/", content=b"123456")
