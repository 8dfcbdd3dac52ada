"""The reference's responses: their messages, headers and cookies, and streams, which are closed whatever happens."""

from __future__ import annotations

import asyncio
import contextvars
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from http import HTTPStatus
from http.cookies import SimpleCookie
from typing import Any, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastasgi_reference.asgi_types import Message
from fastasgi_reference.datastructures import Headers
from fastasgi_reference.exceptions import HTTPException
from fastasgi_reference.requests import Request
from fastasgi_reference.responses import (
    BackgroundTasks,
    Response,
    StreamingResponse,
    error_response,
    html_response,
    json_response,
    redirect_response,
    text_response,
)
from fastasgi_reference.urls import URL
from tests.reference.conversation import (
    Log,
    body_events,
    http_scope,
    lifespan_scope,
    play,
    websocket_scope,
)
from tests.reference.rules import enforces

UNHURRIED = settings(deadline=None)
NAMES = st.text("abcXYZ-", min_size=1).map(lambda name: f"x-{name}")
VALUES = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"))
COOKIE_NAMES = st.text("abcXYZ019!#$%&'*+-.^_`|~", min_size=1)
COOKIE_VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
OLD = {"version": "3.0", "spec_version": "2.3"}
"""What a server says which tells by `receive` alone that the client is gone."""
DISCONNECT: Message = {"type": "http.disconnect"}


async def played(response: Response, method: str = "GET", **keys: Any) -> Log:
    log = await play(response, http_scope(method, **keys), [], end="raise")
    assert log.raised is None
    assert log.received == 0
    return log


class Bytes(bytes):
    """Bytes of another class."""


class Text(str):
    """Text of another class."""

    __slots__ = ()


# ---- a response whose body is at hand


@enforces(
    "HTTP-RESP-01",
    "HTTP-RESP-02",
    "HTTP-RESP-03",
    "HTTP-RESP-07",
    "HTTP-RESP-08",
    "HTTP-RESP-10",
    "APP-CALL-02",
)
@pytest.mark.parametrize(
    ("content", "media_type", "body", "content_type"),
    [
        (None, None, b"", None),
        ("", None, b"", "text/plain; charset=utf-8"),
        ("é", None, "é".encode(), "text/plain; charset=utf-8"),
        (Text("x"), None, b"x", "text/plain; charset=utf-8"),
        (b"\xff", None, b"\xff", "application/octet-stream"),
        (Bytes(b"x"), None, b"x", "application/octet-stream"),
        (bytearray(b"x"), None, b"x", "application/octet-stream"),
        (memoryview(b"abc")[1:], None, b"bc", "application/octet-stream"),
        ("x", "text/html", b"x", "text/html; charset=utf-8"),
        ("x", "text/csv; Charset=latin-1", b"x", "text/csv; Charset=latin-1"),
        ("{}", "application/json", b"{}", "application/json"),
        (b"x", "text/html", b"x", "text/html"),
        (None, "text/html", b"", "text/html"),
    ],
)
async def test_content_becomes_a_body_and_the_headers_that_describe_it(
    content: Any, media_type: str | None, body: bytes, content_type: str | None
) -> None:
    response = Response(content, media_type=media_type)
    assert response.media_type == content_type
    log = await played(response)
    assert log.types == ["http.response.start", "http.response.body"]
    assert (log.status, log.body) == (200, body)
    assert log.header("content-type") == content_type
    assert log.header("content-length") == str(len(body))
    assert log.header("transfer-encoding") is None
    assert response.body == body
    assert type(response.body) is bytes


@pytest.mark.parametrize("content", [1, True, [b"x"], {"a": 1}, object(), iter(()), float("nan")])
def test_content_of_another_type_is_refused(content: Any) -> None:
    with pytest.raises(TypeError, match="json_response"):
        Response(content)


def test_text_that_is_no_unicode_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        Response("\ud800")


@enforces("HTTP-RESP-02")
@pytest.mark.parametrize("status", [200, HTTPStatus.CREATED, 404, 599, 999])
async def test_a_status_goes_out_as_an_int(status: int) -> None:
    response = Response("x", status)
    assert type((await played(response)).start["status"]) is int
    response.status_code = HTTPStatus.IM_A_TEAPOT
    log = await played(response)
    assert (log.status, type(log.start["status"])) == (418, int)


@pytest.mark.parametrize("status", [-1, 0, 100, 101, 103, 199, 1000, HTTPStatus.CONTINUE, True])
def test_a_status_that_ends_no_exchange_is_refused(status: int) -> None:
    with pytest.raises(ValueError, match="200 to 999"):
        Response("x", status)
    with pytest.raises(ValueError, match="200 to 999"):
        StreamingResponse([b"x"], status)


@enforces("HTTP-RESP-11")
@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_body_has_no_length_either(status: int) -> None:
    for response in (
        Response("x", status),
        Response("x", status, {"Content-Length": "1"}),
        StreamingResponse([b"x"], status, {"content-length": "1"}),
    ):
        log = await played(response)
        assert log.types == ["http.response.start", "http.response.body"]
        assert (log.body, log.header("content-length")) == (b"", None)


@enforces("HTTP-RESP-11")
async def test_the_status_that_counts_is_that_at_the_end() -> None:
    response = Response("x")
    response.status_code = 204
    log = await played(response)
    assert (log.status, log.body, log.header("content-length")) == (204, b"", None)


@enforces("HTTP-RESP-12")
async def test_head_has_the_headers_of_get_and_no_body() -> None:
    response = Response("hello", headers={"x": "1"})
    head, get = await played(response, "HEAD"), await played(response)
    assert head.start == get.start
    assert (head.body, get.body) == (b"", b"hello")


async def test_a_body_that_is_set_sets_the_length() -> None:
    response = Response("x", headers={"content-length": "7", "x": "1"})
    assert response.headers.getlist("content-length") == ["1"]
    response.body = b"abc"
    assert (await played(response)).header("content-length") == "3"
    response.body = cast(bytes, "é")
    log = await played(response)
    assert (log.body, log.header("content-length")) == ("é".encode(), "2")
    with pytest.raises(TypeError, match="bytes or str"):
        response.body = cast(bytes, 5)


async def test_a_response_can_be_sent_again_and_nothing_of_it_is_lent_out() -> None:
    response = Response("x", headers=[("a", "1")])
    first = await played(response)
    first.sent[0]["headers"].clear()
    second = await played(response)
    assert second.headers == [
        ("a", "1"),
        ("content-type", "text/plain; charset=utf-8"),
        ("content-length", "1"),
    ]
    assert second.sent[0] is not first.sent[0]


@enforces("APP-SCOPE-01", "APP-SCOPE-02", "APP-SCOPE-03")
@pytest.mark.parametrize("scope", [websocket_scope(), lifespan_scope(), {"type": "mqtt.5"}])
@pytest.mark.parametrize("response", [Response("x"), StreamingResponse([b"x"])])
async def test_only_http_is_answered(scope: dict[str, Any], response: Response) -> None:
    log = await play(response, scope, [])
    assert isinstance(log.raised, RuntimeError)
    assert log.sent == []


# ---- headers


@enforces("HTTP-RESP-03", "HTTP-RESP-04")
@UNHURRIED
@given(st.lists(st.tuples(NAMES, VALUES), max_size=6), st.sampled_from([list, tuple, iter, Headers]))
@example([("x-a", "1"), ("x-b", "2"), ("X-A", "3")], list)
async def test_headers_go_out_as_they_were_given(
    headers: list[tuple[str, str]], form: Callable[[Any], Any]
) -> None:
    for response in (Response("x", headers=form(headers)), StreamingResponse([b"x"], headers=form(headers))):
        log = await played(response)
        assert [pair for pair in log.headers if pair[0].startswith("x-")] == [
            (name.lower(), value) for name, value in headers
        ]


async def test_the_caller_s_headers_win_and_are_never_changed() -> None:
    given = {"Content-Type": "text/x", "X": "1"}
    response = Response("x", headers=given, media_type="text/html")
    response.headers["x"] = "2"
    response.headers.append("y", "3")
    assert given == {"Content-Type": "text/x", "X": "1"}
    log = await played(response)
    assert [value for name, value in log.headers if name == "content-type"] == ["text/x"]
    assert (log.header("x"), log.header("y")) == ("2", "3")


@enforces("HTTP-RESP-13", "HTTP-RESP-05")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x", "a\r\nset-cookie: b=1"),
        ("x", "a\n"),
        ("x", "\r"),
        ("x", "a\0"),
        ("x\r\ny", "a"),
        ("x ", "a"),
        ("", "a"),
        (":status", "200"),
        ("x:y", "a"),
        ("é", "a"),
        ("x", "☃"),
    ],
)
def test_a_header_that_would_be_another_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="header"):
        Response("x", headers={name: value})
    response = Response("x")
    with pytest.raises(ValueError, match="header"):
        response.headers[name] = value


@pytest.mark.parametrize("media_type", ["text/plain\r\nx: 1", "text/☃"])
def test_a_media_type_that_would_be_another_header_is_refused(media_type: str) -> None:
    with pytest.raises(ValueError, match="header"):
        Response("x", media_type=media_type)
    with pytest.raises(ValueError, match="header"):
        StreamingResponse([b"x"], media_type=media_type)


# ---- responses of a kind


async def test_text_and_html() -> None:
    text = await played(text_response("é", 201, {"x": "1"}))
    assert (text.status, text.body, text.header("x")) == (201, "é".encode(), "1")
    assert text.header("content-type") == "text/plain; charset=utf-8"
    html = await played(html_response("<p>&", 400, [("x", "1")]))
    assert (html.status, html.body, html.header("x")) == (400, b"<p>&", "1")
    assert html.header("content-type") == "text/html; charset=utf-8"


async def test_json_is_compact_and_utf_8() -> None:
    log = await played(json_response({"é": [1, 2.5, None, True], "b": {}}, 201, {"x": "1"}))
    assert log.body == '{"é":[1,2.5,null,true],"b":{}}'.encode()
    assert (log.status, log.header("content-type"), log.header("x")) == (201, "application/json", "1")


@UNHURRIED
@given(JSON)
async def test_a_request_reads_what_a_json_response_writes(value: Any) -> None:
    try:
        response = json_response(value)
    except UnicodeEncodeError:
        return  # text that is no Unicode
    read = Request(http_scope("POST"), one_event({"type": "http.request", "body": response.body}))
    assert await read.json() == value
    assert json.loads(response.body) == value


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), [{"a": -float("inf")}], {float("nan"): 1}, "\ud800"]
)
def test_json_that_others_could_not_read_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"JSON|surrogates"):
        json_response(value)


def test_json_of_a_value_within_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(ValueError, match="Circular"):
        json_response(value)


@pytest.mark.parametrize("value", [object(), b"x", {1, 2}, datetime.now(UTC), {(1, 2): 3}])
def test_json_of_what_json_does_not_know_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        json_response(value)


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("/a", "/a"),
        ("https://a.test:8/b?c=d&e#f", "https://a.test:8/b?c=d&e#f"),
        (URL("/a?b"), "/a?b"),
        ("/a b/é", "/a%20b/%C3%A9"),
        ("/a%20b?c=%2F+", "/a%20b?c=%2F+"),
        ("/a\r\nset-cookie: b=1", "/a%0D%0Aset-cookie:%20b=1"),
        ("/\\evil.test", "/%5Cevil.test"),
        ("http://[::1]/", "http://[::1]/"),
    ],
)
@enforces("HTTP-RESP-13")
async def test_a_redirect_leads_to_the_url(url: object, location: str) -> None:
    log = await played(redirect_response(url, headers={"x": "1", "Location": "/elsewhere"}))
    assert (log.status, log.body, log.header("content-length")) == (307, b"", "0")
    assert [value for name, value in log.headers if name == "location"] == [location]


@pytest.mark.parametrize("status", [301, 302, HTTPStatus.SEE_OTHER, 307, 308])
async def test_a_redirect_s_status(status: int) -> None:
    assert (await played(redirect_response("/", status))).status == status


@pytest.mark.parametrize("status", [200, 304, 299, 400])
def test_a_status_that_is_no_redirect_is_refused(status: int) -> None:
    with pytest.raises(ValueError, match="no redirect"):
        redirect_response("/", status)


async def test_an_error_is_its_own_response() -> None:
    log = await played(error_response(HTTPException(405, "no é", {"allow": "GET"})))
    assert (log.status, log.body, log.header("allow")) == (405, "no é".encode(), "GET")
    assert log.header("content-type") == "text/plain; charset=utf-8"
    log = await played(error_response(HTTPException(204)))
    assert (log.status, log.body, log.header("content-length")) == (204, b"", None)


# ---- cookies


def cookie(response: Response) -> str:
    [value] = response.headers.getlist("set-cookie")
    return value


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "k=v; Path=/; SameSite=Lax"),
        ({"samesite": None, "path": None}, "k=v"),
        ({"max_age": 0}, "k=v; Max-Age=0; Path=/; SameSite=Lax"),
        ({"max_age": -1, "samesite": "strict"}, "k=v; Max-Age=-1; Path=/; SameSite=Strict"),
        (
            {"expires": datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)},
            "k=v; Expires=Wed, 02 Jan 2030 03:04:05 GMT; Path=/; SameSite=Lax",
        ),
        (
            {"expires": datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=5)))},
            "k=v; Expires=Tue, 01 Jan 2030 22:04:05 GMT; Path=/; SameSite=Lax",
        ),
        ({"domain": "a.test", "path": "/x"}, "k=v; Path=/x; Domain=a.test; SameSite=Lax"),
        (
            {"secure": True, "httponly": True, "samesite": "none", "partitioned": True},
            "k=v; Path=/; SameSite=None; Secure; HttpOnly; Partitioned",
        ),
    ],
)
def test_a_cookie_and_its_attributes(options: dict[str, Any], expected: str) -> None:
    response = Response()
    response.set_cookie("k", "v", **options)
    assert cookie(response) == expected
    [morsel] = SimpleCookie(expected.replace("; Partitioned", "")).values()  # which is too new for it
    assert (morsel.key, morsel.value) == ("k", "v")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", "k="),
        ("abc==", "k=abc=="),
        ("!#$%&'()*+-./:<=>?@[]^_`{|}~", "k=!#$%&'()*+-./:<=>?@[]^_`{|}~"),
        ("a b", 'k="a b"'),
        ("a,b;c", r'k="a\054b\073c"'),
        ('"\\', r'k="\"\\"'),
    ],
)
def test_only_what_no_cookie_may_hold_is_quoted(value: str, expected: str) -> None:
    response = Response()
    response.set_cookie("k", value, path=None, samesite=None)
    assert cookie(response) == expected


@UNHURRIED
@given(st.dictionaries(COOKIE_NAMES, COOKIE_VALUES, max_size=4))
@example({"k": " a "})
@example({"k": '"quoted"'})
@example({"k": "\\073"})
async def test_a_request_reads_the_cookies_that_a_response_sets(cookies: dict[str, str]) -> None:
    response = Response()
    for name, value in cookies.items():
        response.set_cookie(name, value)
    sent = [value.partition("; Path=/")[0] for value in response.headers.getlist("set-cookie")]
    for headers in ([(b"cookie", each.encode()) for each in sent], [(b"cookie", "; ".join(sent).encode())]):
        assert Request(http_scope(headers=headers)).cookies == cookies
    for each, (name, value) in zip(sent, cookies.items(), strict=True):
        if name[0] != "$":  # which the standard library takes for something else
            assert SimpleCookie(each)[name].value == value


@enforces("HTTP-RESP-04")
async def test_each_cookie_has_a_header_of_its_own() -> None:
    response = Response("x", headers=[("set-cookie", "z=0")])
    response.set_cookie("b", "1")
    response.set_cookie("a", "2")
    response.set_cookie("b", "3", path="/x")
    log = await played(response)
    cookies = [value.partition(";")[0] for name, value in log.headers if name == "set-cookie"]
    assert cookies == ["z=0", "b=1", "a=2", "b=3"]


@enforces("HTTP-RESP-13")
@pytest.mark.parametrize(
    ("key", "value", "options"),
    [
        ("", "v", {}),
        ("a b", "v", {}),
        ("a=b", "v", {}),
        ("a;b", "v", {}),
        ("a\r\n", "v", {}),
        ("é", "v", {}),
        ("k", "a\r\nx: 1", {}),
        ("k", "a\0", {}),
        ("k", "a\tb", {}),
        ("k", "\x7f", {}),
        ("k", "é", {}),
        ("k", "☃", {}),
        ("k", "v", {"path": "/; Domain=evil.test"}),
        ("k", "v", {"path": "/\n"}),
        ("k", "v", {"path": "/é"}),
        ("k", "v", {"domain": "a.test; Secure"}),
        ("k", "v", {"domain": "a\0"}),
        ("k", "v", {"samesite": "Lax; Secure"}),
        ("k", "v", {"samesite": "whatever"}),
        ("k", "v", {"samesite": "none"}),
        ("k", "v", {"partitioned": True}),
        ("k", "v", {"expires": datetime(2030, 1, 1)}),  # noqa: DTZ001 - that is the mistake
    ],
)
def test_a_cookie_that_would_be_something_else_is_refused(
    key: str, value: str, options: dict[str, Any]
) -> None:
    response = Response()
    with pytest.raises(ValueError, match=r"."):
        response.set_cookie(key, value, **options)
    assert "set-cookie" not in response.headers


def test_a_cookie_is_deleted_by_the_attributes_that_it_was_set_with() -> None:
    response = Response()
    response.delete_cookie("k")
    epoch = "Expires=Thu, 01 Jan 1970 00:00:00 GMT"
    assert cookie(response) == f"k=; Max-Age=0; {epoch}; Path=/; SameSite=Lax"
    response = Response()
    attributes: dict[str, Any] = {
        "path": "/x", "domain": "a.test", "secure": True, "httponly": True, "samesite": "none", "partitioned": True,
    }  # fmt: skip
    response.delete_cookie("k", **attributes)
    response.set_cookie("k", "v", **attributes)
    deleted, was = response.headers.getlist("set-cookie")
    assert deleted.replace(f"Max-Age=0; {epoch}; ", "") == was.replace("k=v", "k=")


# ---- background


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("make", [partial(Response, "x"), partial(StreamingResponse, [b"x"])])
async def test_background_comes_after_the_last_byte(make: Callable[..., Response], method: str) -> None:
    sent: list[str] = []

    async def background() -> None:
        sent.append("background")

    async def send(message: Message, /) -> None:
        sent.append(message["type"])
        assert "background" not in sent

    response = make(background=background)
    await response(http_scope(method), never, send)
    assert sent[-2:] == ["http.response.body", "background"]
    assert sent.count("background") == 1


@enforces("HTTP-DISC-03", "APP-ERR-01")
@pytest.mark.parametrize("place", [0, 1])
async def test_a_failed_send_is_raised_and_nothing_follows(place: int) -> None:
    ran: list[str] = []

    async def background() -> None:
        ran.append("background")

    error = BrokenPipeError("gone")
    log = await play(Response("x", background=background), http_scope(), fail_send_at=place, error=error)
    assert log.raised is error
    assert len(log.sent) == place + 1
    assert ran == []


async def test_what_background_raises_is_raised() -> None:
    async def background() -> None:
        raise LookupError("in the background")

    log = await play(Response("x", background=background), http_scope())
    assert isinstance(log.raised, LookupError)
    assert log.complete


async def test_background_tasks_of_any_kind_run_in_order() -> None:
    ran: list[tuple[Any, ...]] = []
    loop_thread = threading.get_ident()

    async def with_await(*args: Any, **kwargs: Any) -> None:
        await asyncio.sleep(0)
        ran.append((args, kwargs, threading.get_ident() == loop_thread))

    def plain(*args: Any, **kwargs: Any) -> None:
        ran.append((args, kwargs, threading.get_ident() == loop_thread))

    def decorated(*args: Any, **kwargs: Any) -> Awaitable[None]:
        return with_await(*args, **kwargs)

    class Callable:
        async def __call__(self, number: int) -> None:
            await with_await(number)

    tasks = BackgroundTasks()
    tasks.add_task(with_await, 1, a=2)
    tasks.add_task(plain, 3, function=4)
    tasks.add_task(partial(with_await, 5), 6)
    tasks.add_task(decorated, 7)
    tasks.add_task(Callable(), 8)
    tasks.add_task(ran.append, (9,))
    log = await play(Response("x", background=tasks), http_scope())
    assert log.raised is None
    assert ran == [
        ((1,), {"a": 2}, True),
        ((3,), {"function": 4}, False),
        ((5, 6), {}, True),
        ((7,), {}, True),
        ((8,), {}, True),
        (9,),
    ]


async def test_a_background_task_that_raises_stops_the_rest() -> None:
    ran: list[int] = []

    def fail() -> None:
        raise LookupError("second")

    tasks = BackgroundTasks()
    tasks.add_task(ran.append, 1)
    tasks.add_task(fail)
    tasks.add_task(ran.append, 3)
    with pytest.raises(LookupError, match="second"):
        await tasks()
    assert ran == [1]


# ---- streams


async def until(condition: Callable[[], bool]) -> None:
    """Let others go on until it holds."""
    while not condition():  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0)


async def never() -> Message:
    raise AssertionError("receive was called")


def one_event(event: Message) -> Callable[[], Awaitable[Message]]:
    async def receive() -> Message:
        return event

    return receive


class Source:
    """Chunks to go through, asynchronously; notes what is done with it. A `wait` holds the chunk after it up."""

    def __init__(self, *chunks: Any, error: Exception | None = None) -> None:
        self.chunks = list(chunks)
        self.error = error
        self.log: list[str] = []
        self.pulled = 0
        self.tasks: set[Any] = set()

    async def generator(self) -> AsyncIterator[Any]:
        self.tasks.add(asyncio.current_task())
        try:
            for chunk in self.chunks:
                self.pulled += 1
                if isinstance(chunk, asyncio.Event):
                    await chunk.wait()
                else:
                    yield chunk
            if self.error is not None:
                raise self.error
        except BaseException as error:
            self.log.append(type(error).__name__)
            raise
        finally:
            self.tasks.add(asyncio.current_task())
            await asyncio.sleep(0)
            self.log.append("closed")


class Plain(Iterator[Any]):
    """A plain iterator, with the threads in which it is used."""

    def __init__(self, *chunks: Any) -> None:
        self.chunks = list(chunks)
        self.threads: set[int] = set()
        self.closed = 0
        self.begun = threading.Event()
        self.go = threading.Event()
        self.go.set()

    def __next__(self) -> Any:
        self.threads.add(threading.get_ident())
        self.begun.set()
        self.go.wait()
        if not self.chunks:
            raise StopIteration
        return self.chunks.pop(0)

    def close(self) -> None:
        self.threads.add(threading.get_ident())
        self.closed += 1


class Container:
    """An iterable that is no iterator, and has something to close of its own, as a WSGI response has."""

    def __init__(self, *chunks: Any) -> None:
        self.iterators: list[Plain] = []
        self.chunks = chunks
        self.closed = 0

    def __iter__(self) -> Plain:
        self.iterators.append(Plain(*self.chunks))
        return self.iterators[-1]

    def close(self) -> None:
        self.closed += 1


class AsyncContainer:
    """An asynchronous iterable that is no iterator, and has something to close of its own."""

    def __init__(self, *chunks: Any) -> None:
        self.source = Source(*chunks)
        self.closed = 0

    def __aiter__(self) -> AsyncIterator[Any]:
        return self.source.generator()

    async def aclose(self) -> None:
        assert self.source.log[-1:] in ([], ["closed"])
        self.closed += 1


class AsyncFile(AsyncIterator[bytes]):
    """An asynchronous iterator whose closing is called `close`."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = list(chunks)
        self.closed = 0

    async def __anext__(self) -> bytes:
        if not self.chunks:
            raise StopAsyncIteration
        return self.chunks.pop(0)

    async def close(self) -> None:
        self.closed += 1


def generated(*chunks: Any) -> Iterator[Any]:
    yield from chunks


@enforces("HTTP-RESP-01", "HTTP-RESP-07", "HTTP-RESP-08", "HTTP-RESP-09", "HTTP-RESP-10")
@pytest.mark.parametrize("version", ["2.0", "2.3", "2.4", "2.10"])
@pytest.mark.parametrize(
    "make",
    [
        lambda *chunks: Source(*chunks).generator(),
        AsyncContainer,
        AsyncFile,
        lambda *chunks: list(chunks),
        lambda *chunks: chunks,
        generated,
        Plain,
        Container,
    ],
)
async def test_a_stream_of_any_kind_of_iterable(make: Callable[..., Any], version: str) -> None:
    response = StreamingResponse(make(b"a", "é", b"", Bytes(b"b"), bytearray(b"c")))
    log = await play(response, http_scope(asgi={"version": "3.0", "spec_version": version}), [])
    assert log.raised is None
    assert [message["body"] for message in log.sent[1:]] == [b"a", "é".encode(), b"", b"b", b"c", b""]
    assert [message.get("more_body", False) for message in log.sent[1:]] == [True] * 5 + [False]
    assert log.headers == []
    assert (log.received == 0) == (version in ("2.4", "2.10"))


@enforces("HTTP-RESP-17")
@pytest.mark.parametrize("make", [list, Source().generator, Plain, AsyncContainer])
async def test_a_stream_of_nothing_ends_with_one_message(make: Callable[[], Any]) -> None:
    log = await played(StreamingResponse(make()))
    assert log.types == ["http.response.start", "http.response.body"]
    assert log.complete


@pytest.mark.parametrize(
    ("media_type", "headers", "expected"),
    [
        (None, None, []),
        ("text/csv", None, [("content-type", "text/csv; charset=utf-8")]),
        ("application/x-ndjson", {"x": "1"}, [("x", "1"), ("content-type", "application/x-ndjson")]),
        (
            "text/csv",
            {"Content-Type": "a/b", "Content-Length": "1"},
            [("content-type", "a/b"), ("content-length", "1")],
        ),
    ],
)
async def test_the_headers_of_a_stream(
    media_type: str | None, headers: dict[str, str] | None, expected: list[tuple[str, str]]
) -> None:
    response = StreamingResponse([b"x"], 206, headers, media_type)
    log = await played(response)
    assert (log.status, log.headers) == (206, expected)
    assert response.media_type == dict(expected).get("content-type")


async def function() -> AsyncIterator[bytes]:
    yield b"never called"


@pytest.mark.parametrize("chunks", [b"x", "x", bytearray(b"x"), memoryview(b"x"), 5, None, function])
def test_what_is_no_stream_is_refused(chunks: Any) -> None:
    with pytest.raises(TypeError, match="use Response"):
        StreamingResponse(chunks)


def test_the_body_of_a_stream_is_not_at_hand() -> None:
    response = StreamingResponse([b"x"])
    with pytest.raises(RuntimeError, match="chunks"):
        _ = response.body
    with pytest.raises(RuntimeError, match="chunks"):
        response.body = b"x"
    assert "content-length" not in response.headers


@enforces("HTTP-RESP-16")
@pytest.mark.parametrize("chunk", [5, None, ["x"]])
@pytest.mark.parametrize("version", ["2.3", "2.5"])
async def test_a_chunk_of_another_type_ends_the_stream_in_an_error(chunk: Any, version: str) -> None:
    source = Source(b"a", chunk, b"b")
    log = await play(StreamingResponse(source.generator()), with_version(version))
    assert isinstance(log.raised, TypeError)
    assert not log.complete
    assert source.log[-1] == "closed"


def with_version(version: str, method: str = "GET") -> dict[str, Any]:
    return http_scope(method, asgi={"version": "3.0", "spec_version": version})


# ---- streams end: the iterator is closed


@enforces("HTTP-RESP-16", "HTTP-RESP-14")
@pytest.mark.parametrize("version", ["2.3", "2.5"])
@pytest.mark.parametrize("error", [LookupError("2nd chunk"), TimeoutError("its own")])
async def test_an_iterator_that_raises_leaves_the_response_without_an_end(
    version: str, error: Exception
) -> None:
    ran: list[str] = []

    async def background() -> None:
        ran.append("background")

    source = Source(b"a", error=error)
    log = await play(StreamingResponse(source.generator(), background=background), with_version(version))
    assert log.raised is error
    assert log.types == ["http.response.start", "http.response.body"]
    assert not log.complete
    assert (source.log[-1], ran) == ("closed", [])


async def test_a_plain_iterator_that_raises_is_closed_too() -> None:
    class Failing(Plain):
        def __next__(self) -> Any:
            raise LookupError("at once")

    chunks = Failing()
    log = await play(StreamingResponse(chunks), http_scope())
    assert isinstance(log.raised, LookupError)
    assert chunks.closed == 1


@enforces("HTTP-DISC-03", "HTTP-DISC-04", "APP-ERR-01")
@pytest.mark.parametrize("version", ["2.3", "2.5"])
@pytest.mark.parametrize("place", [0, 1, 2, 3])
async def test_a_send_that_fails_stops_and_closes_the_iterator(place: int, version: str) -> None:
    ran: list[str] = []

    async def background() -> None:
        ran.append("background")

    for chunks in (Source(b"a", b"b"), Plain(b"a", b"b"), Container(b"a", b"b"), AsyncContainer(b"a", b"b")):
        given: Any = chunks.generator() if isinstance(chunks, Source) else chunks
        error = ConnectionResetError("gone")
        response = StreamingResponse(given, background=background)
        log = await play(response, with_version(version), fail_send_at=place, error=error)
        assert log.raised is error
        assert len(log.sent) == place + 1
        assert ran == []
        assert_closed(chunks, pulled=min(place, 2))


def assert_closed(chunks: Source | Plain | Container | AsyncContainer, pulled: int) -> None:
    """Nothing more was taken than what was sent, and all that was begun or given is closed, once."""
    if isinstance(chunks, Source):
        assert chunks.pulled == pulled
        assert chunks.log[-1:] == (["closed"] if pulled else [])
    elif isinstance(chunks, Plain):
        assert chunks.closed == 1
        assert threading.get_ident() not in chunks.threads
    elif isinstance(chunks, Container):
        assert chunks.closed == 1
        assert [iterator.closed for iterator in chunks.iterators] == [1] * bool(pulled)
    else:
        assert chunks.closed == 1
        assert_closed(chunks.source, pulled)


@enforces("HTTP-RESP-11", "HTTP-RESP-12")
@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
@pytest.mark.parametrize("version", ["2.3", "2.5"])
async def test_a_stream_that_is_not_wanted_is_not_pulled_but_closed(
    method: str, status: int, version: str
) -> None:
    for chunks in (Source(b"a"), Plain(b"a"), Container(b"a"), AsyncContainer(b"a")):
        given: Any = chunks.generator() if isinstance(chunks, Source) else chunks
        log = await play(StreamingResponse(given, status, {"x": "1"}), with_version(version, method), [])
        assert log.raised is None
        assert (log.types, log.body) == (["http.response.start", "http.response.body"], b"")
        assert (log.status, log.header("x"), log.received) == (status, "1", 0)
        assert_closed(chunks, pulled=0)
    file = AsyncFile(b"a")
    await play(StreamingResponse(file, status), with_version(version, method), [])
    assert file.closed == 1


async def test_a_stream_is_closed_on_the_wrong_connection_too() -> None:
    chunks = Plain(b"a")
    log = await play(StreamingResponse(chunks), websocket_scope(), [])
    assert isinstance(log.raised, RuntimeError)
    assert chunks.closed == 1


async def test_a_stream_that_can_be_gone_through_again_can_be_sent_again() -> None:
    response = StreamingResponse([b"a", b"b"])
    first, second = await asyncio.gather(played(response), played(response))
    assert first.body == second.body == b"ab"


@enforces("HTTP-DISC-04")
@pytest.mark.parametrize("version", ["2.3", "2.5"])
async def test_a_cancelled_stream_is_closed_in_its_own_task(version: str) -> None:
    source = Source(b"a", asyncio.Event())
    sent: list[Message] = []

    async def send(message: Message, /) -> None:
        sent.append(message)

    task = asyncio.create_task(StreamingResponse(source.generator())(with_version(version), blocks, send))
    await until(lambda: source.pulled == 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert source.log == ["CancelledError", "closed"]
    assert source.tasks == {task}
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]


async def blocks() -> Message:
    await asyncio.Event().wait()
    raise AssertionError("never reached")


@enforces("HTTP-DISC-04")
@pytest.mark.parametrize("version", ["2.3", "2.5"])
async def test_a_stream_that_is_cancelled_in_send_is_closed_in_its_own_task(version: str) -> None:
    source = Source(b"a", b"b")
    blocked = asyncio.Event()

    async def send(message: Message, /) -> None:
        if message["type"] == "http.response.body":
            blocked.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(StreamingResponse(source.generator())(with_version(version), blocks, send))
    await blocked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert source.log == ["GeneratorExit", "closed"]
    assert (source.tasks, source.pulled) == ({task}, 1)


@pytest.mark.parametrize("version", ["2.3", "2.5"])
async def test_a_stream_that_is_cancelled_again_and_again_ends_as_cancelled(version: str) -> None:
    source = Source(b"a", asyncio.Event())

    async def send(message: Message, /) -> None: ...

    task = asyncio.create_task(StreamingResponse(source.generator())(with_version(version), blocks, send))
    await until(lambda: source.pulled == 2)
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)
    assert task.cancelled()
    assert source.log[0] == "CancelledError"


@enforces("HTTP-DISC-04")
@pytest.mark.parametrize("version", ["2.3", "2.5"])
@pytest.mark.parametrize("times", [1, 3])
async def test_a_plain_iterator_is_closed_after_the_step_in_which_it_was_left(
    version: str, times: int
) -> None:
    chunks = Plain(b"a", b"b")
    chunks.go.clear()

    async def send(message: Message, /) -> None: ...

    task = asyncio.create_task(StreamingResponse(chunks)(with_version(version), blocks, send))
    await asyncio.to_thread(chunks.begun.wait)
    for _ in range(times):
        task.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
    assert chunks.closed == 0
    chunks.go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: chunks.closed > 0)
    assert chunks.closed == 1
    assert threading.get_ident() not in chunks.threads


# ---- streams and clients that go away


def vanishing(after: Callable[[], bool]) -> Callable[[], Awaitable[Message]]:
    """A `receive` that tells that the client is gone, as soon as `after()`."""

    async def receive() -> Message:
        await until(after)
        return DISCONNECT

    return receive


@enforces("HTTP-DISC-04")
async def test_a_stream_that_waits_is_stopped_when_the_client_goes() -> None:
    ran: list[str] = []

    async def background() -> None:
        ran.append("background")

    sent: list[Message] = []

    async def send(message: Message, /) -> None:
        sent.append(message)

    source = Source(b"a", asyncio.Event())
    response = StreamingResponse(source.generator(), background=background)
    await response(http_scope(asgi=OLD), vanishing(lambda: source.pulled == 2), send)
    assert source.log == ["CancelledError", "closed"]
    assert source.tasks == {asyncio.current_task()}
    assert [message.get("more_body") for message in sent] == [None, True]
    assert ran == []
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@enforces("HTTP-DISC-04")
async def test_a_stream_that_never_waits_is_stopped_when_the_client_goes() -> None:
    """Under a server whose `send` never waits, nor fails when the client is gone."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x"

    async def send(message: Message, /) -> None:
        nonlocal sent
        sent += 1

    await StreamingResponse(endless())(http_scope(asgi=OLD), vanishing(lambda: sent > 3), send)
    assert 3 < sent < 100


async def test_events_before_the_disconnect_are_passed_over() -> None:
    source = Source(b"a", asyncio.Event())
    log = await play(
        StreamingResponse(source.generator()), http_scope(asgi=OLD), body_events(b"1", b"2"), end="disconnect"
    )
    assert log.raised is None
    assert (log.received, log.complete) == (3, False)
    assert source.log[-1] == "closed"


async def test_a_stream_that_takes_its_cancellation_for_its_end_is_not_complete() -> None:
    async def stubborn() -> AsyncIterator[bytes]:
        yield b"a"
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    log = await play(StreamingResponse(stubborn()), http_scope(asgi=OLD), [], end="disconnect")
    assert log.raised is None
    assert not log.complete


async def test_a_disconnect_that_tells_that_all_was_sent_stops_nothing() -> None:
    """A server may say so while its `send` of the last message is still at work (ASGI HTTP, Disconnect)."""
    ran: list[str] = []
    complete = asyncio.Event()

    async def background() -> None:
        ran.append("background")

    async def receive() -> Message:
        await complete.wait()
        return DISCONNECT

    async def send(message: Message, /) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body"):
            complete.set()
            for _ in range(5):
                await asyncio.sleep(0)
            ran.append("sent")

    await StreamingResponse([b"a"], background=background)(http_scope(asgi=OLD), receive, send)
    assert ran == ["sent", "background"]


async def test_a_receive_that_fails_says_nothing_about_the_response() -> None:
    log = await play(StreamingResponse(Source(b"a", b"b").generator()), http_scope(asgi=OLD), [], end="raise")
    assert log.raised is None
    assert (log.received, log.body, log.complete) == (1, b"ab", True)


async def test_nobody_watches_any_more_when_the_stream_has_ended() -> None:
    watching: list[str] = []

    async def receive() -> Message:
        watching.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            watching.append("ended")
        raise AssertionError("never reached")

    async def send(message: Message, /) -> None: ...

    await StreamingResponse([b"a", b"b"])(http_scope(asgi=OLD), receive, send)
    assert watching == ["begun", "ended"]


@enforces("HTTP-REQ-03")
@UNHURRIED
@given(st.lists(st.binary(max_size=5), max_size=6), st.sampled_from(["2.0", "2.3", "2.5"]))
async def test_an_echo_streams_all_of_the_body_back(chunks: list[bytes], version: str) -> None:
    async def echo(scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        await StreamingResponse(request.stream())(scope, request.receive, send)

    log = await play(echo, with_version(version, "POST"), body_events(*chunks))
    assert log.raised is None
    assert log.body == b"".join(chunks)
    assert log.complete


async def test_a_stream_is_pulled_no_faster_than_it_is_sent() -> None:
    source = Source(*[b"x"] * 5)
    ahead: list[int] = []
    sent = 0

    async def send(message: Message, /) -> None:
        nonlocal sent
        await asyncio.sleep(0)
        ahead.append(source.pulled - sent)
        sent += message["type"] == "http.response.body"

    await StreamingResponse(source.generator())(http_scope(), never, send)
    assert max(ahead) == 1


async def test_a_plain_generator_keeps_its_context_from_step_to_step() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="outside")

    def generator() -> Iterator[str]:
        yield variable.get()
        token = variable.set("inside")
        yield variable.get()
        variable.reset(token)
        yield variable.get()

    variable.set("caller")
    log = await played(StreamingResponse(generator()))
    assert [message["body"] for message in log.sent[1:-1]] == [b"caller", b"inside", b"caller"]
    assert variable.get() == "caller"


@enforces("APP-CALL-03")
async def test_responses_side_by_side_know_nothing_of_each_other() -> None:
    def response(place: int) -> Response:
        chunks = [b"%d" % place, b"-", b"%d" % place]
        return StreamingResponse(Source(*chunks).generator() if place % 2 else iter(chunks))

    responses: Iterable[Awaitable[Log]] = [played(response(place)) for place in range(6)]
    assert [log.body for log in await asyncio.gather(*responses)] == [b"%d-%d" % (n, n) for n in range(6)]
