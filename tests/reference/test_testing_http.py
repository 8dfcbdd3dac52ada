"""The test client's HTTP: what an application is given, what of its answers is shown, and what is held against it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from fastasgi_reference.exceptions import ClientDisconnect
from fastasgi_reference.testing import (
    EXTENSIONS,
    ClientGone,
    ProtocolError,
    Stalled,
    TestClient,
    TruncatedResponse,
)
from tests.reference.rules import enforces

Message = dict[str, Any]
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

START: Message = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
BODY: Message = {"type": "http.response.body", "body": b"hello"}
MORE: Message = {"type": "http.response.body", "body": b"hello", "more_body": True}
LAST: Message = {"type": "http.response.body"}


def saying(*messages: Any) -> App:
    """An application that sends these messages and returns."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


class Spy:
    """An application that keeps its scopes and all events of the request's body, and answers with the body."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        self.events: list[Message] = []

    @property
    def scope(self) -> Scope:
        return self.scopes[-1]

    async def __call__(self, scope: Scope, receive: Receive, send: Send, /) -> None:
        self.scopes.append(scope)
        body = b""
        while True:
            event = await receive()
            self.events.append(event)
            body += event["body"]
            if not event["more_body"]:
                break
        await send(START)
        await send({"type": "http.response.body", "body": body})

    def header(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.scope["headers"] if key == name]


# The scope


@enforces("SRV-01", "SRV-02", "SRV-HTTP-09")
async def test_each_request_has_a_fresh_scope_that_says_what_is_spoken() -> None:
    spy = Spy()
    client = TestClient(spy)
    await client.get("/")
    await client.get("/")
    first, second = spy.scopes
    assert type(first) is dict
    assert first["type"] == "http"
    assert first["asgi"] == {"version": "3.0", "spec_version": "2.5"}
    assert (first["http_version"], first["scheme"]) == ("1.1", "http")
    assert first == second
    assert first is not second
    assert first["asgi"] is not second["asgi"]
    assert "state" not in first


@enforces("SRV-HTTP-01")
async def test_a_method_goes_out_in_upper_case() -> None:
    spy = Spy()
    client = TestClient(spy)
    await client.request("propfind", "/")
    for method in ("get", "post", "put", "patch", "delete", "head", "options"):
        await getattr(client, method)("/")
    methods = [scope["method"] for scope in spy.scopes]
    assert methods == ["PROPFIND", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]


@enforces("SRV-HTTP-02", "SRV-HTTP-03", "SRV-HTTP-04")
@pytest.mark.parametrize(
    ("url", "path", "raw_path", "query"),
    [
        ("", "/", b"/", b""),
        ("/caf%C3%A9%2Fx?y", "/café/x", b"/caf%C3%A9%2Fx", b"y"),
        ("/café x?é=a b#part", "/café x", b"/caf%C3%A9%20x", b"%C3%A9=a%20b"),
        ("/a%2520b", "/a%20b", b"/a%2520b", b""),
        ("/100%?100%", "/100%", b"/100%25", b"100%25"),
        ("/%FF", "/\N{REPLACEMENT CHARACTER}", b"/%FF", b""),
        ("/a+b;c=1,2:@", "/a+b;c=1,2:@", b"/a+b;c=1,2:@", b""),
        ("/?a=1?b/c&a=%20", "/", b"/", b"a=1?b/c&a=%20"),
        ("?a=1", "/", b"/", b"a=1"),
        ("a/b", "/a/b", b"/a/b", b""),
        ("//other/x", "//other/x", b"//other/x", b""),
        ("/a/../b/./", "/a/../b/./", b"/a/../b/./", b""),
        ("/a\r\nb\\[]", "/a\r\nb\\[]", b"/a%0D%0Ab%5C%5B%5D", b""),
        ("http:/x", "/http:/x", b"/http:/x", b""),
        ("http://other/x?y", "/x", b"/x", b"y"),
    ],
)
async def test_a_url_becomes_path_raw_path_and_query(
    url: str, path: str, raw_path: bytes, query: bytes
) -> None:
    spy = Spy()
    await TestClient(spy).get(url)
    assert (spy.scope["path"], spy.scope["raw_path"], spy.scope["query_string"]) == (path, raw_path, query)


async def test_params_go_to_the_end_of_the_query() -> None:
    spy = Spy()
    params = {"q": "a b&c+é", "n": [1, 2.5], "yes": True, "no": False, "none": None}
    await TestClient(spy).get("/?x=1", params=params)
    assert spy.scope["query_string"] == b"x=1&q=a%20b%26c%2B%C3%A9&n=1&n=2.5&yes=true&no=false&none="
    await TestClient(spy).get("/", params=[("a", "1"), ("a", "2")])
    assert spy.scope["query_string"] == b"a=1&a=2"


@enforces("SRV-HTTP-05")
async def test_headers_go_out_as_bytes_in_order_with_their_duplicates() -> None:
    spy = Spy()
    await TestClient(spy).get("/", headers=[("X-T", "1"), ("x-u", "\xff"), ("x-t", "2")])
    own = [pair for pair in spy.scope["headers"] if pair[0].startswith(b"x-")]
    assert own == [(b"x-t", b"1"), (b"x-u", b"\xff"), (b"x-t", b"2")]


async def test_a_requests_headers_go_before_the_clients_and_those_before_its_own() -> None:
    spy = Spy()
    client = TestClient(spy, headers={"Accept": "text/html", "x-a": "1"})
    await client.get("/", headers={"X-A": "2", "host": "elsewhere"})
    assert spy.header(b"accept") == [b"text/html"]
    assert spy.header(b"x-a") == [b"2"]
    assert spy.header(b"host") == [b"elsewhere"]
    assert spy.header(b"user-agent") == [b"testclient"]


@enforces("SRV-HTTP-07", "SRV-HTTP-08")
@pytest.mark.parametrize(
    ("base_url", "host", "server", "scheme"),
    [
        ("http://testserver", b"testserver", ("testserver", 80), "http"),
        ("http://testserver:80", b"testserver", ("testserver", 80), "http"),
        ("https://testserver:443", b"testserver", ("testserver", 443), "https"),
        ("https://testserver", b"testserver", ("testserver", 443), "https"),
        ("HTTP://Example.com:8000/", b"example.com:8000", ("example.com", 8000), "http"),
        ("http://[::1]:8000", b"[::1]:8000", ("::1", 8000), "http"),
        ("http://bücher.example", b"xn--bcher-kva.example", ("xn--bcher-kva.example", 80), "http"),
    ],
)
async def test_host_names_the_port_only_where_it_is_not_the_schemes_own(
    base_url: str, host: bytes, server: tuple[str, int], scheme: str
) -> None:
    spy = Spy()
    await TestClient(spy, base_url=base_url).get("/")
    assert spy.header(b"host") == [host]
    assert spy.scope["headers"][0] == (b"host", host)
    assert spy.scope["server"] == server
    assert spy.scope["scheme"] == scheme


@enforces("SRV-HTTP-08")
async def test_the_client_has_the_address_that_it_is_given() -> None:
    spy = Spy()
    await TestClient(spy).get("/")
    assert spy.scope["client"] == ("testclient", 50000)
    await TestClient(spy, client=("10.0.0.1", 1)).get("/")
    assert spy.scope["client"] == ("10.0.0.1", 1)
    await TestClient(spy, client=None).get("/")
    assert spy.scope["client"] is None


@enforces("SRV-HTTP-10")
async def test_the_path_includes_the_root_path() -> None:
    spy = Spy()
    client = TestClient(spy, root_path="/a pi")
    response = await client.get("/x%20y")
    assert (spy.scope["path"], spy.scope["root_path"]) == ("/a pi/x y", "/a pi")
    assert spy.scope["raw_path"] == b"/a%20pi/x%20y"
    assert response.url == "http://testserver/a%20pi/x%20y"
    await client.get("")
    assert spy.scope["path"] == "/a pi"
    await client.get("http://testserver/a%20pi/z")
    assert spy.scope["path"] == "/a pi/z"
    await TestClient(spy, base_url="http://testserver/v1/", root_path="/api").get("x")
    assert spy.scope["path"] == "/api/v1/x"


async def test_a_url_outside_of_the_root_path_is_not_for_the_application() -> None:
    with pytest.raises(ValueError, match="does not lie under root_path '/api'"):
        await TestClient(Spy(), root_path="/api").get("http://testserver/apis")


@pytest.mark.parametrize("root_path", ["api", "/api/", "/"])
def test_a_root_path_begins_with_a_slash_and_ends_without(root_path: str) -> None:
    with pytest.raises(ValueError, match="is no root_path"):
        TestClient(Spy(), root_path=root_path)


@enforces("SRV-EXT-01")
async def test_nothing_is_said_of_an_encryption_that_there_is_not() -> None:
    spy = Spy()
    for base_url in ("http://testserver", "https://testserver"):
        await TestClient(spy, base_url=base_url, extensions=EXTENSIONS).get("/")
        assert "tls" not in spy.scope["extensions"]


@enforces("SRV-09")
async def test_extensions_are_those_that_are_asked_for() -> None:
    spy = Spy()
    await TestClient(spy).get("/")
    usual: dict[str, Any] = {
        "http.response.debug": {},
        "http.response.early_hint": {},
        "http.response.trailers": {},
    }
    assert spy.scope["extensions"] == usual
    await TestClient(spy, extensions=EXTENSIONS).get("/")
    assert spy.scope["extensions"] == usual | {"http.response.pathsend": {}, "http.response.zerocopysend": {}}
    await TestClient(spy, extensions=()).get("/")
    assert spy.scope["extensions"] == {}
    with pytest.raises(ValueError, match=r"does not know the extension http\.response\.push: choose of"):
        TestClient(spy, extensions=["http.response.push"])


# The request's body


@enforces("SRV-HTTP-11", "SRV-10")
async def test_an_empty_body_is_one_event() -> None:
    spy = Spy()
    response = await TestClient(spy).get("/")
    assert spy.events == [{"type": "http.request", "body": b"", "more_body": False}]
    assert response.content == b""


@enforces("SRV-HTTP-11", "SRV-10")
async def test_a_body_of_bytes_comes_whole_and_one_in_chunks_comes_chunk_by_chunk() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"a"
        yield b""
        yield b"b"

    spy = Spy()
    client = TestClient(spy)
    assert (await client.post("/", content=b"abc")).content == b"abc"
    assert spy.header(b"content-length") == [b"3"]
    assert (await client.post("/", content=[b"a", b"bc"])).content == b"abc"
    assert spy.header(b"transfer-encoding") == [b"chunked"]
    assert spy.header(b"content-length") == []
    spy.events.clear()
    assert (await client.post("/", content=chunks())).content == b"ab"
    assert [event["body"] for event in spy.events] == [b"a", b"", b"b", b""]
    assert [event["more_body"] for event in spy.events] == [True, True, True, False]


async def test_methods_that_expect_a_body_say_that_there_is_none() -> None:
    spy = Spy()
    for method in ("post", "put", "patch"):
        await getattr(TestClient(spy), method)("/")
        assert spy.header(b"content-length") == [b"0"]
    await TestClient(spy).delete("/")
    assert spy.header(b"content-length") == []


async def test_a_chunk_is_made_when_the_application_asks_for_it() -> None:
    made: list[str] = []

    async def chunks() -> AsyncIterator[bytes]:
        for name in ("first", "second", "third"):
            made.append(name)
            yield name.encode()
        made.append("end")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert made == []
        await receive()
        for _ in range(10):
            await asyncio.sleep(0)
        assert made == ["first"]
        await receive()
        await send(START)
        await send(LAST)

    await TestClient(app).post("/", content=chunks())
    assert made == ["first", "second"]


async def test_an_application_that_stops_waiting_for_a_chunk_loses_nothing() -> None:
    more = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        await more.wait()
        yield b"late"

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        impatient = asyncio.ensure_future(receive())
        for _ in range(5):
            await asyncio.sleep(0)
        impatient.cancel()
        more.set()
        event = await receive()
        await send(START)
        await send({"type": "http.response.body", "body": event["body"]})

    assert (await TestClient(app).post("/", content=chunks())).content == b"late"


async def test_two_that_ask_at_once_get_an_event_each() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        events = await asyncio.gather(receive(), receive(), receive())
        await send(START)
        await send({"type": "http.response.body", "body": b"".join(event["body"] for event in events)})

    assert (await TestClient(app).post("/", content=iter([b"a", b"b"]))).content == b"ab"


async def test_a_body_that_fails_is_a_client_that_leaves() -> None:
    seen: list[Message] = []

    def chunks() -> Any:
        yield b"a"
        raise LookupError("no more")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while not seen or seen[-1]["type"] == "http.request":
            seen.append(await receive())
        await send(START)

    with pytest.raises(LookupError, match="no more"):
        await TestClient(app).post("/", content=chunks())
    assert seen == [{"type": "http.request", "body": b"a", "more_body": True}, {"type": "http.disconnect"}]


async def test_a_body_that_fails_while_the_response_is_read_is_told_there() -> None:
    go = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"a"
        await go.wait()
        raise LookupError("no more")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        while (await receive())["type"] != "http.disconnect":
            await send(MORE)

    async with TestClient(app).stream("POST", "/", content=chunks()) as response:
        parts = response.iter_bytes()
        assert await anext(parts) == b"hello"
        go.set()
        with pytest.raises(LookupError, match="no more"):
            await anext(parts)


async def test_chunks_that_nobody_asks_for_are_not_made_and_their_generator_is_closed() -> None:
    log: list[str] = []

    async def chunks() -> AsyncIterator[bytes]:
        try:
            yield b"a"
            yield b"b"
        finally:
            log.append("closed")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(START)
        await send(LAST)

    assert (await TestClient(app).post("/", content=chunks())).status_code == 200
    assert log == ["closed"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("text", "a str is no content"),
        ({"a": 1}, "a dict is no content"),
        (bytearray(b"a"), "a bytearray is no content"),
        (["text"], "a chunk of content is bytes, not the str 'text'"),
    ],
)
async def test_content_is_bytes(content: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        await TestClient(Spy()).post("/", content=content)


async def test_json_goes_out_compact_and_as_utf_8() -> None:
    spy = Spy()
    response = await TestClient(spy).post("/", json={"a": [1, "é"], "b": None})
    assert response.content == '{"a":[1,"é"],"b":null}'.encode()
    assert response.json() == {"a": [1, "é"], "b": None}
    assert spy.header(b"content-type") == [b"application/json"]
    with pytest.raises(ValueError, match="not JSON compliant"):
        await TestClient(spy).post("/", json=float("nan"))


async def test_data_goes_out_as_a_form() -> None:
    spy = Spy()
    response = await TestClient(spy).post("/", data={"a": "x y&é", "b": ["1", 2]})
    assert response.content == b"a=x+y%26%C3%A9&b=1&b=2"
    assert spy.header(b"content-type") == [b"application/x-www-form-urlencoded"]
    with pytest.raises(TypeError, match="decode it, or send it in `files`"):
        await TestClient(spy).post("/", data={"a": b"bytes"})
    for ready in ("a=b", b"a=b"):
        with pytest.raises(TypeError, match="a body that is ready goes into `content`"):
            await TestClient(spy).post("/", data=ready)  # type: ignore[arg-type]


async def test_files_go_out_as_a_multipart_form(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_bytes(b"from disk")
    spy = Spy()
    with (tmp_path / "note.txt").open("rb") as file:
        files: Any = [
            ("f", b"bare"),
            ("f", ('a"\r\nb.txt', file)),
            ("g", ("c.json", b"{}", "application/json")),
        ]
        response = await TestClient(spy).post("/", data={"é": "1\n2"}, files=files)
    assert spy.header(b"content-type") == [b"multipart/form-data; boundary=form-boundary-0"]
    octets = "content-type: application/octet-stream"
    parts = [
        'content-disposition: form-data; name="é"\r\n\r\n1\n2',
        f'content-disposition: form-data; name="f"; filename="f"\r\n{octets}\r\n\r\nbare',
        f'content-disposition: form-data; name="f"; filename="a%22%0D%0Ab.txt"\r\n{octets}\r\n\r\nfrom disk',
        'content-disposition: form-data; name="g"; filename="c.json"\r\ncontent-type: application/json\r\n\r\n{}',
    ]
    expected = "".join(f"--form-boundary-0\r\n{part}\r\n" for part in parts) + "--form-boundary-0--\r\n"
    assert response.content == expected.encode()


async def test_the_boundary_of_a_form_does_not_occur_in_it(tmp_path: Path) -> None:
    spy = Spy()
    await TestClient(spy).post("/", files={"f": b"--form-boundary-0--"})
    assert spy.header(b"content-type") == [b"multipart/form-data; boundary=form-boundary-1"]
    (tmp_path / "note.txt").write_text("text")
    with (tmp_path / "note.txt").open() as file, pytest.raises(TypeError, match="open it in binary mode"):
        await TestClient(spy).post("/", files={"f": file})  # type: ignore[arg-type]


async def test_a_request_has_one_body() -> None:
    with pytest.raises(ValueError, match="content and json are bodies of different kinds"):
        await TestClient(Spy()).post("/", content=b"a", json=1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("GE T", "/"), "'GE T' is no method"),
        (("GET", "http://me:secret@testserver/"), "send credentials in an authorization header"),
        (("GET", "http:///x"), "needs a host"),
        (("GET", "http://testserver:port/"), "testserver:port"),
    ],
)
async def test_what_makes_no_request_is_refused(arguments: tuple[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        await TestClient(Spy()).request(*arguments)


def test_a_base_url_is_a_whole_url() -> None:
    with pytest.raises(ValueError, match="'testserver' is no whole URL"):
        TestClient(Spy(), base_url="testserver")


# receive after the body


@enforces("SRV-HTTP-12")
async def test_receive_waits_until_the_response_is_complete_and_then_gives_a_disconnect() -> None:
    log: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "http.request"

        async def listen() -> None:
            log.append((await receive())["type"])

        listener = asyncio.create_task(listen())
        await send(START)
        await send(MORE)
        for _ in range(10):
            await asyncio.sleep(0)
        log.append("waiting")
        await send(LAST)
        await listener
        log.append((await receive())["type"])

    await TestClient(app).get("/")
    assert log == ["waiting", "http.disconnect", "http.disconnect"]


@enforces("SRV-HTTP-12")
async def test_after_the_response_an_unread_body_is_gone() -> None:
    events: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send(BODY)
        events.append(await receive())

    await TestClient(app).post("/", content=b"unread")
    assert events == [{"type": "http.disconnect"}]


@enforces("SRV-HTTP-12")
async def test_an_application_that_waits_for_more_than_the_body_is_found_at_once() -> None:
    log: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        log.append(await receive())
        log.append(await receive())

    with pytest.raises(
        Stalled, match=r"GET /x: the application has not sent http.response.start and never will"
    ):
        await TestClient(app, timeout=None).get("/x")
    assert [event["type"] for event in log] == ["http.request", "http.disconnect"]


# The response


@enforces("SRV-HTTP-14")
async def test_what_may_be_absent_has_its_default() -> None:
    response = await TestClient(saying({"type": "http.response.start", "status": 404}, LAST)).get("/")
    assert (response.status_code, response.headers.raw, response.content) == (404, [], b"")


@enforces("SRV-HTTP-18")
async def test_headers_keep_their_order_and_their_duplicates() -> None:
    headers = [
        [b"x-b", b"1"],
        (b"set-cookie", b"a=1"),
        [b"x-a", b"2"],
        [b"set-cookie", b"b=2"],
        [b"x-b", b"\xff"],
    ]
    response = await TestClient(saying({**START, "headers": (tuple(pair) for pair in headers)}, BODY)).get(
        "/"
    )
    assert response.headers.raw == [tuple(pair) for pair in headers]
    assert response.headers.getlist("Set-Cookie") == ["a=1", "b=2"]
    assert response.cookies == {"a": "1", "b": "2"}


@enforces("SRV-HTTP-13")
async def test_transfer_encoding_is_the_servers_and_ignored() -> None:
    headers = [(b"transfer-encoding", b"chunked"), (b"x-a", b"1")]
    response = await TestClient(saying({**START, "headers": headers}, BODY)).get("/")
    assert response.headers.raw == [(b"x-a", b"1")]
    assert response.content == b"hello"


@enforces("SRV-HTTP-21")
@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_a_response_that_has_no_body_shows_none(method: str, status: int) -> None:
    headers = [(b"content-length", b"7")] if status != 204 else []
    app = saying({**START, "status": status, "headers": headers}, MORE, BODY)
    response = await TestClient(app).request(method, "/")
    assert response.status_code == status
    assert response.content == b""


@enforces("SRV-HTTP-16", "SRV-06")
async def test_what_comes_after_the_response_changes_nothing() -> None:
    app = saying(START, BODY, BODY, {**START, "status": 500}, {"type": "http.bogus"}, "no message")
    response = await TestClient(app).get("/")
    assert (response.status_code, response.content) == (200, b"hello")
    assert response.ignored == [BODY, {**START, "status": 500}, {"type": "http.bogus"}, "no message"]


@enforces("SRV-04")
async def test_keys_that_nobody_knows_are_no_error() -> None:
    response = await TestClient(saying({**START, "zzz": object()}, {**BODY, "zzz": 1})).get("/")
    assert response.content == b"hello"


@enforces("SRV-HTTP-19")
async def test_a_stream_shows_headers_and_chunks_while_the_application_runs() -> None:
    seen = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await seen.wait()
        seen.clear()
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await seen.wait()
        await send({"type": "http.response.body", "more_body": True})
        await send({"type": "http.response.body", "body": b"last"})

    async with TestClient(app).stream("GET", "/") as response:
        assert response.status_code == 200
        with pytest.raises(RuntimeError, match="has not been read"):
            response.text  # noqa: B018 - looking at it is the test
        seen.set()
        chunks = response.iter_bytes()
        assert await anext(chunks) == b"first"
        seen.set()
        assert await response.read() == b"last"
        assert response.content == b"last"
        with pytest.raises(StopAsyncIteration):
            await anext(chunks)
        with pytest.raises(RuntimeError, match=r"in `response\.content`"):
            response.iter_bytes()


async def test_a_request_and_its_response_may_run_side_by_side() -> None:
    heard = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        await heard.wait()
        yield b"two"

    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        while (event := await receive())["more_body"]:
            await send({"type": "http.response.body", "body": event["body"], "more_body": True})
        await send(LAST)

    async with TestClient(echo).stream("POST", "/", content=chunks()) as response:
        parts = response.iter_bytes()
        assert await anext(parts) == b"one"
        heard.set()
        assert [part async for part in parts] == [b"two"]


async def test_send_waits_for_a_client_that_does_not_read() -> None:
    sent = 0

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send(START)
        while True:
            await send({"type": "http.response.body", "body": b"x" * 10_000, "more_body": True})
            sent += 1

    async with TestClient(endless).stream("GET", "/") as response:
        for _ in range(100):
            await asyncio.sleep(0)
        assert sent == 6  # the seventh fills the buffer of 64 KiB, and waits
        await anext(response.iter_bytes())
        for _ in range(100):
            await asyncio.sleep(0)
        assert sent == 7


@enforces("SRV-02", "SRV-07", "SRV-HTTP-15")
async def test_a_client_that_leaves_is_an_os_error_for_send_and_none_for_the_test() -> None:
    log: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["asgi"]["spec_version"] == "2.5"
        await receive()
        await send(START)
        await send(MORE)
        log.append(await receive())
        try:
            await send(MORE)
        except OSError as error:
            log.append(type(error))
            raise

    async with TestClient(app).stream("GET", "/") as response:
        assert await anext(response.iter_bytes()) == b"hello"
    assert log == [{"type": "http.disconnect"}, ClientGone]
    with pytest.raises(RuntimeError, match="inside the block of `stream`"):
        await response.read()


@enforces("SRV-07")
@pytest.mark.parametrize("kind", ["group", "our own"])
async def test_other_words_for_a_client_that_has_left_are_no_error_either(kind: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await receive()
        await receive()
        try:
            await send(MORE)
        except OSError as error:
            if kind == "group":
                raise ExceptionGroup("tasks", [ExceptionGroup("more", [error])]) from None
            raise ClientDisconnect from error

    async with TestClient(app).stream("GET", "/"):
        pass


async def test_a_farewell_of_a_client_that_has_not_left_is_an_error() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ClientDisconnect

    with pytest.raises(ClientDisconnect):
        await TestClient(app).get("/")


async def test_what_an_application_gets_wrong_after_the_client_has_left_is_an_error() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        try:
            while True:
                await send(MORE)
        except OSError:
            raise ZeroDivisionError("in the cleanup") from None

    with pytest.raises(ZeroDivisionError, match="in the cleanup"):
        async with TestClient(app).stream("GET", "/"):
            pass


# What is held against the application

SEVEN: Message = {**START, "headers": [(b"content-length", b"7")]}
BROKEN: dict[str, tuple[list[Any], str]] = {
    "body before start": (
        [BODY],
        "GET /: http.response.body came before the response's start; expected there: http.response.start .*body",
    ),
    "second start": (
        [START, START],
        "http.response.start came after the response's start; expected there: http.response.body .*Response start",
    ),
    "start inside the body": ([START, MORE, START], "http.response.start came inside the response's body"),
    "no dict": (["http.response.start"], r"'http.response.start' is no message.*ASGI 3.0, Events"),
    "no type": ([{"status": 200}], "is no message: send a dict with a str 'type'"),
    "type of bytes": ([{"type": b"http.response.start"}], "is no message"),
    "unknown type": ([{"type": "http.bogus"}], "http.bogus is neither in .*expected there: http.response.start"),
    "other protocol": ([{"type": "websocket.accept"}], "websocket.accept does not belong to .* 'http'"),
    "extension that is not offered": ([START, {"type": "http.response.pathsend", "path": "/x"}],
                                      "http.response.pathsend is neither in the specification"),
    "no status": ([{"type": "http.response.start"}], "http.response.start has no 'status', which is mandatory"),
    "status of str": ([{**START, "status": "200"}], "wrong 'status': the str '200' is not an int"),
    "status of bool": ([{**START, "status": True}], "wrong 'status': the bool True is not an int"),
    "interim status": ([{**START, "status": 100}], "100 is no status of a final response: use 200 to 999"),
    "status too large": ([{**START, "status": 1000}], "1000 is no status of a final response"),
    "header of str": ([{**START, "headers": [("a", "b")]}], "wrong 'headers': the str 'a' is not bytes: encode it"),
    "value of bytearray": ([{**START, "headers": [(b"a", bytearray(b"b"))]}], "the bytearray .* is not bytes: pass"),
    "header of three": ([{**START, "headers": [(b"a", b"b", b"c")]}], "is no pair of a name and a value"),
    "header of bytes": ([{**START, "headers": [b"a: b"]}], "is no pair of a name and a value"),
    "headers of int": ([{**START, "headers": 3}], "the int 3 is no iterable of"),
    "header of int": ([{**START, "headers": [3]}], "is no iterable of"),
    "headers in a dict": ([{**START, "headers": {b"a": b"b"}}], "a mapping is no iterable .*headers.items"),
    "upper case": ([{**START, "headers": [(b"X-A", b"1")]}], "'X-A' is not in lower case: send b'x-a'"),
    "pseudo header": ([{**START, "headers": [(b":status", b"1")]}], "':status' is a pseudo header"),
    "name with a space": ([{**START, "headers": [(b"x a", b"1")]}], "'x a' is no name of a header"),
    "empty name": ([{**START, "headers": [(b"", b"1")]}], "b'' is no name of a header"),
    "end of line": ([{**START, "headers": [(b"x", b"1\r\ny: 2")]}], "the value of b'x' has a CR, LF or NUL"),
    "trailers of int": ([{**START, "trailers": 1}], "wrong 'trailers': the int 1 is not a bool"),
    "two lengths": ([{**START, "headers": [(b"content-length", b"1"), (b"content-length", b"2")]}],
                    r"needs one content-length, in digits \(RFC 9110, section 8.6\)"),
    "length of words": ([{**START, "headers": [(b"content-length", b"-1")]}], "needs one content-length, in digits"),
    "body of str": ([START, {**BODY, "body": "hello"}], "wrong 'body': the str 'hello' is not bytes: encode it"),
    "body of memoryview": ([START, {**BODY, "body": memoryview(b"")}], "wrong 'body': the memoryview"),
    "more_body of None": ([START, {**BODY, "more_body": None}], "wrong 'more_body': the NoneType None is not a bool"),
    "too long": ([SEVEN, MORE, MORE],
                 "http.response.body makes a body of 10 bytes, and content-length says 7"),
    "too short": ([SEVEN, BODY], "makes a body of 5 bytes, and content-length says 7"),
}  # fmt: skip


@enforces("SRV-03", "SRV-HTTP-17")
@pytest.mark.parametrize(("messages", "words"), BROKEN.values(), ids=BROKEN)
async def test_what_breaks_the_protocol_is_raised_out_of_send_and_then_in_the_test(
    messages: list[Any], words: str
) -> None:
    caught: list[ProtocolError] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        *before, broken = messages
        for message in before:
            await send(message)
        with pytest.raises(ProtocolError) as raised:
            await send(broken)
        caught.append(raised.value)
        if not before:
            await send(START)
        await send(LAST)

    with pytest.raises(ProtocolError, match=words) as raised:
        await TestClient(app, raise_server_exceptions=False).get("/")
    assert raised.value is caught[0]


async def test_a_message_that_is_refused_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"hello")
    start = {**START, "headers": [(b"content-length", b"5")]}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message, accepted in [
            (BODY, False),
            ({**START, "headers": [(b"content-length", b"5"), (b"content-length", b"6")]}, False),
            (start, True),
            ({**BODY, "body": b"too long"}, False),
            (LAST, False),
            ({"type": "http.response.pathsend", "path": str(tmp_path / "nowhere")}, False),
            ({"type": "http.response.pathsend", "path": str(tmp_path / "a.txt")}, True),
        ]:
            if accepted:
                await send(message)
            else:
                with pytest.raises(ProtocolError):
                    await send(message)

    with pytest.raises(ProtocolError, match="came before"):  # noqa: PT012 - the end of the block raises
        async with TestClient(app, extensions=EXTENSIONS).stream("GET", "/") as response:
            assert response.headers["content-length"] == "5"
            assert await response.read() == b"hello"
            assert response.ignored == []


async def test_only_the_first_fault_is_told() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for broken in (BODY, START | {"status": "200"}):
            with pytest.raises(ProtocolError):
                await send(broken)
        raise ZeroDivisionError

    with pytest.raises(ProtocolError, match=r"http\.response\.body came before"):
        await TestClient(app).get("/")


@enforces("SRV-HTTP-17")
@pytest.mark.parametrize("raise_server_exceptions", [True, False])
@pytest.mark.parametrize(
    ("messages", "words"),
    [
        (
            [],
            "GET /: the application returned before the response's start; expected before: http.response.start",
        ),
        ([START], "returned after the response's start; expected before: http.response.body"),
        ([START, MORE], "returned inside the response's body; expected before: http.response.body"),
    ],
)
async def test_a_response_that_does_not_end_is_a_fault(
    messages: list[Any], words: str, raise_server_exceptions: bool
) -> None:
    client = TestClient(saying(*messages), raise_server_exceptions=raise_server_exceptions)
    with pytest.raises(ProtocolError, match=words):
        await client.get("/")
    with pytest.raises(ProtocolError, match=words):
        async with client.stream("GET", "/") as response:
            await response.read()


async def test_a_length_is_not_held_against_what_has_no_body() -> None:
    head = {**START, "headers": [(b"content-length", b"100")]}
    assert (await TestClient(saying(head, LAST)).head("/")).headers["content-length"] == "100"
    assert (await TestClient(saying({**head, "status": 304}, LAST)).get("/")).content == b""


# Exceptions


def failing(*messages: Message) -> App:
    """An application that sends these messages and then raises."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await saying(*messages)(scope, receive, send)
        raise ZeroDivisionError("a bug")

    return app


@enforces("SRV-05")
@pytest.mark.parametrize("messages", [[], [START], [START, MORE], [START, BODY]])
async def test_what_the_application_raises_is_raised_in_the_test(messages: list[Message]) -> None:
    with pytest.raises(ZeroDivisionError, match="a bug"):
        await TestClient(failing(*messages)).get("/")


@enforces("SRV-05")
async def test_without_that_the_test_sees_what_a_client_would() -> None:
    before = await TestClient(failing(), raise_server_exceptions=False).get("/")
    assert (before.status_code, before.text) == (500, "Internal Server Error")
    assert (await TestClient(failing(), raise_server_exceptions=False).head("/")).content == b""
    after = await TestClient(failing(START, BODY), raise_server_exceptions=False).get("/")
    assert (after.status_code, after.text) == (200, "hello")


@enforces("SRV-05", "SRV-HTTP-17")
async def test_a_response_that_is_cut_off_never_looks_complete() -> None:
    client = TestClient(failing(START, MORE), raise_server_exceptions=False)
    with pytest.raises(TruncatedResponse, match="GET /: the connection was cut"):
        await client.get("/")
    async with client.stream("GET", "/") as response:
        chunks = response.iter_bytes()
        assert await anext(chunks) == b"hello"
        with pytest.raises(TruncatedResponse):
            await anext(chunks)


async def test_an_error_while_a_stream_is_read_is_raised_there() -> None:
    with pytest.raises(ZeroDivisionError, match="a bug"):  # noqa: PT012 - the block is a stream that fails
        async with TestClient(failing(START, MORE)).stream("GET", "/") as response:
            chunks = response.iter_bytes()
            assert await anext(chunks) == b"hello"
            await anext(chunks)


async def test_a_tests_own_error_is_kept_and_the_applications_is_noted() -> None:
    go = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await go.wait()
        raise ZeroDivisionError("a bug")

    with pytest.raises(LookupError, match="the test's own") as raised:  # noqa: PT012 - the same
        async with TestClient(app).stream("GET", "/"):
            go.set()
            raise LookupError("the test's own")
    assert raised.value.__notes__ == ["The application's call ended badly, too: ZeroDivisionError('a bug')"]


async def test_what_is_no_exception_but_an_outcome_is_never_hidden() -> None:
    class Outcome(BaseException):
        pass

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise Outcome

    with pytest.raises(Outcome):
        await TestClient(app, raise_server_exceptions=False).get("/")


async def test_an_application_that_cancels_itself_is_told() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise asyncio.CancelledError

    with pytest.raises(RuntimeError, match="GET /: the application cancelled its own call"):
        await TestClient(app).get("/")


# Extensions


@enforces("SRV-EXT-07")
async def test_debug_information_is_shown() -> None:
    info = {"template": object()}
    debug = {"type": "http.response.debug", "info": info}
    assert (await TestClient(saying(debug, START, BODY)).get("/")).debug is info
    assert (await TestClient(saying(START, BODY)).get("/")).debug is None


@enforces("SRV-EXT-04")
async def test_early_hints_are_shown_whether_they_come_before_or_after_the_start() -> None:
    def hint(link: bytes) -> Message:
        return {"type": "http.response.early_hint", "links": iter([link])}

    debug = {"type": "http.response.debug", "info": {}}
    app = saying(hint(b"<1>"), debug, hint(b"<2>"), START, hint(b"<3>"), MORE, hint(b"<4>"), LAST)
    response = await TestClient(app).get("/")
    assert response.early_hints == ["<1>", "<2>", "<3>", "<4>"]
    assert response.content == b"hello"


@enforces("SRV-HTTP-20", "SRV-EXT-05")
async def test_trailers_are_waited_for_and_go_to_clients_that_take_them() -> None:
    trailer = {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]}
    app = saying({**START, "trailers": True}, MORE, LAST, {**trailer, "more_trailers": True}, trailer)
    response = await TestClient(app).get("/", headers={"te": "trailers"})
    assert response.trailers.raw == [(b"x-sum", b"1"), (b"x-sum", b"1")]
    assert response.content == b"hello"
    assert (await TestClient(app).get("/")).trailers.raw == []


async def test_trailers_that_were_announced_must_come() -> None:
    with pytest.raises(
        ProtocolError, match=r"returned after the body, when .*expected before: http.response.trailers"
    ):
        await TestClient(saying({**START, "trailers": True}, BODY)).get("/")


async def test_trailers_that_are_not_offered_are_not_waited_for() -> None:
    response = await TestClient(saying({**START, "trailers": True}, BODY), extensions=()).get("/")
    assert response.content == b"hello"


@enforces("SRV-EXT-03")
async def test_a_path_sends_the_whole_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"content")
    path = {"type": "http.response.pathsend", "path": str(tmp_path / "a.txt")}
    client = TestClient(
        saying({**START, "headers": [(b"content-length", b"7")]}, path), extensions=EXTENSIONS
    )
    assert (await client.get("/")).content == b"content"


@enforces("SRV-EXT-02")
async def test_an_open_file_is_sent_from_an_offset_and_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"0123456789")
    with (tmp_path / "a.txt").open("rb") as file:
        send = {"type": "http.response.zerocopysend", "file": file, "more_body": True}
        app = saying(
            START,
            {**send, "offset": 2, "count": 3},
            {**BODY, "more_body": True},
            {**send, "count": 1},
            send,
            {**send, "offset": 8, "count": 100},
            {**send, "offset": 0, "count": 0, "more_body": False},
        )
        response = await TestClient(app, extensions=EXTENSIONS).get("/")
        assert response.content == b"234" + b"hello" + b"0" + b"123456789" + b"89"
        assert not file.closed


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([START, {"type": "http.response.debug", "info": {}}], "http.response.debug came after"),
        ([{"type": "http.response.debug", "info": {1: 2}}], "is no dict whose keys are str"),
        ([{"type": "http.response.debug", "info": {}}] * 2, "http.response.debug came after the debug information"),
        ([{"type": "http.response.early_hint", "links": b"<a>"}], "is no iterable of bytes"),
        ([{"type": "http.response.early_hint", "links": None}], "is no iterable of bytes"),
        ([{"type": "http.response.early_hint", "links": ["<a>"]}], "the str '<a>' is not bytes"),
        ([START, {"type": "http.response.trailers", "headers": []}], "http.response.trailers came after"),
        ([START, {"type": "http.response.pathsend", "path": "a.txt"}], "'a.txt' is no absolute path"),
        ([START, {"type": "http.response.pathsend", "path": b"/a"}], "the bytes b'/a' is not a str: decode it"),
        ([START, {"type": "http.response.pathsend", "path": 3}], "the int 3 is not a str: pass a str"),
        ([START, {"type": "http.response.pathsend", "path": "/nowhere/a.txt"}], "a file that cannot be read"),
        ([START, MORE, {"type": "http.response.pathsend", "path": "/a"}], "pathsend came inside the response's body"),
        ([START, {"type": "http.response.zerocopysend", "file": b"a"}], "has no file descriptor"),
        ([START, {"type": "http.response.zerocopysend"}], "has no 'file', which is mandatory"),
    ],
)  # fmt: skip
async def test_extensions_have_their_rules(messages: list[Message], words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        await TestClient(saying(*messages), extensions=EXTENSIONS).get("/")


# Applications


@enforces("SRV-08")
async def test_applications_of_asgi_2_are_served() -> None:
    class Old:
        def __init__(self, scope: Scope) -> None:
            self.scope = scope

        async def __call__(self, receive: Receive, send: Send) -> None:
            await send(START)
            await send({"type": "http.response.body", "body": self.scope["path"].encode()})

    assert (await TestClient(Old).get("/class")).text == "/class"
    assert (await TestClient(lambda scope: Old(scope)).get("/function")).text == "/function"


async def test_what_takes_three_arguments_is_an_application_whatever_it_is() -> None:
    app = saying(START, BODY)

    class Endpoint:
        def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
            self.arguments = scope, receive, send

        def __await__(self) -> Any:
            return app(*self.arguments).__await__()

    class Wrapped:
        def __call__(self, *arguments: Any) -> Awaitable[None]:
            return app(*arguments)

    for each in (app, Endpoint, Wrapped(), lambda scope, receive, send: app(scope, receive, send)):
        assert (await TestClient(each).get("/")).text == "hello"


async def test_a_call_has_a_context_of_its_own() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen = variable.get()
        variable.set("the application's")
        await send(START)
        await send({"type": "http.response.body", "body": seen.encode()})

    variable.set("the test's")
    assert (await TestClient(app).get("/")).text == "the test's"
    assert variable.get() == "the test's"


async def test_requests_run_side_by_side() -> None:
    all_there = asyncio.Barrier(5)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await all_there.wait()
        await send(START)
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    client = TestClient(app)
    responses = await asyncio.gather(*(client.get(f"/{number}") for number in range(5)))
    assert [response.text for response in responses] == ["/0", "/1", "/2", "/3", "/4"]


async def test_a_call_has_ended_when_its_response_is_there() -> None:
    log: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send(BODY)
        for _ in range(10):
            await asyncio.sleep(0)
        log.append("background work")

    await TestClient(app).get("/")
    assert log == ["background work"]
