"""The reference's WSGI adapter, with the standard library's validator between it and the applications."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.validate import validator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.wrappers import Request as WerkzeugRequest

from fastasgi_reference.exceptions import ClientDisconnect
from fastasgi_reference.requests import Request
from fastasgi_reference.wsgi import WSGIAdapter
from tests.reference.conversation import (
    PATIENCE,
    Log,
    body_events,
    http_scope,
    lifespan_scope,
    play,
    websocket_scope,
)
from tests.reference.rules import enforces

TEXT = [("Content-Type", "text/plain")]
DISCONNECT = {"type": "http.disconnect"}
VERSIONS = [..., {"version": "3.0", "spec_version": "2.3"}, {"version": "3.0", "spec_version": "2.5"}]


async def ask(app: Any, scope: dict[str, Any] | None = None, events: Any = None, **options: Any) -> Log:
    """Play one request to a WSGI application that keeps to PEP 3333, as the validator sees to."""
    return await play(WSGIAdapter(validator(app)), scope or http_scope(), events, **options)


async def ask_sloppy(
    app: Any, scope: dict[str, Any] | None = None, events: Any = None, **options: Any
) -> Log:
    """The same for an application that does what the validator would not let pass."""
    return await play(WSGIAdapter(app), scope or http_scope(), events, **options)


async def environ_of(scope: dict[str, Any], events: Any = None) -> dict[str, Any]:
    found: list[dict[str, Any]] = []

    def app(environ: Any, start_response: Any) -> Any:
        found.append(environ)
        return hello(environ, start_response)

    log = await ask(app, scope, events)
    assert log.raised is None
    return found[0]


def hello(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    return [b"hello"]


def echo(environ: Any, start_response: Any) -> Iterable[bytes]:
    body = environ["wsgi.input"].read(-1)
    start_response("200 OK", TEXT)
    return [body]


class Chunks:
    """A WSGI iterable that tells how far it was gone through, and whether it was closed."""

    def __init__(self, *chunks: Any) -> None:
        self.chunks = list(chunks)
        self.asked = 0
        self.closed = 0

    def __call__(self, environ: Any, start_response: Callable[..., Any]) -> Chunks:
        start_response("200 OK", TEXT)
        return self

    def __iter__(self) -> Chunks:
        return self

    def __next__(self) -> bytes:
        self.asked += 1
        if not self.chunks:
            raise StopIteration
        chunk = self.chunks.pop(0)
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    def close(self) -> None:
        self.closed += 1


# The environ


async def test_the_environ_of_a_plain_request() -> None:
    environ = await environ_of(http_scope(query_string=b"a=%20b", path="/x/y"))
    text = {key: value for key, value in environ.items() if "." not in key}
    assert text == {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/x/y",
        "QUERY_STRING": "a=%20b",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "5000",
        "HTTP_HOST": "testserver",
    }
    assert environ["wsgi.version"] == (1, 0)
    assert environ["wsgi.url_scheme"] == "http"
    assert (environ["wsgi.multithread"], environ["wsgi.run_once"]) == (True, False)


async def test_errors_go_to_stderr() -> None:
    found: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        found.append(environ["wsgi.errors"])
        return hello(environ, start_response)

    await ask_sloppy(app)
    assert found == [sys.stderr]


@enforces("HTTP-SCOPE-02", "HTTP-SCOPE-06", "HTTP-SCOPE-07")
@pytest.mark.parametrize(
    ("path", "root_path", "script_name", "path_info"),
    [
        ("/", "", "", "/"),
        ("", "", "", ""),
        ("/api/x", "/api", "/api", "/x"),
        ("/api/", "/api", "/api", "/"),
        ("/api", "/api", "/api", ""),
        ("/api/x", "/api/", "/api", "/x"),
        ("/x", "/", "", "/x"),
        ("/foobar", "/foo", "/foo", "/foobar"),
        ("/aXb/c", "/a.b", "/a.b", "/aXb/c"),
        ("/elsewhere", "/api", "/api", "/elsewhere"),
        ("/a%20b+c", "", "", "/a%20b+c"),
        ("/é/\u20ac", "/é", "/\xc3\xa9", "/\xe2\x82\xac"),
    ],
)
async def test_paths_are_the_bytes_of_utf_8_seen_as_latin_1(
    path: str, root_path: str, script_name: str, path_info: str
) -> None:
    environ = await environ_of(http_scope(path=path, root_path=root_path))
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script_name, path_info)


async def test_no_path_is_an_error() -> None:
    environ = await environ_of(http_scope() | {"path": "/\ud800", "root_path": None})
    assert environ["PATH_INFO"].startswith("/")


@enforces("HTTP-SCOPE-10", "HTTP-SCOPE-11", "HTTP-SCOPE-12", "HTTP-SCOPE-13")
async def test_headers_become_variables() -> None:
    lines = [
        (b"X-Token", b"\xff"),
        (b"accept", b"a"),
        (b"cookie", b"a=1,2"),
        (b"Accept", b"b, c"),
        (b"cookie", b"b=3"),
        (b"Content-Type", b"text/plain"),
        (b"content-length", b"4"),
        (b"content-length", b"4"),
    ]
    environ = await environ_of(http_scope("POST", headers=iter(lines)), body_events(b"body"))
    assert environ["HTTP_X_TOKEN"] == "\xff"
    assert environ["HTTP_ACCEPT"] == "a,b, c"
    assert environ["HTTP_COOKIE"] == "a=1,2; b=3"
    assert (environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"]) == ("text/plain", "4")
    assert not {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"} & environ.keys()


async def test_headers_that_would_pass_for_another_are_left_out() -> None:
    lines = [
        (b"x-forwarded-for", b"real"),
        (b"x_forwarded_for", b"forged"),
        (b"x-forwarded_for", b"forged"),
        (b"content_type", b"forged"),
        (b"proxy", b"http://evil.com"),
        (b"transfer-encoding", b"chunked"),
    ]
    environ = await environ_of(http_scope(headers=lines))
    assert {key for key in environ if key.startswith(("HTTP_", "CONTENT_"))} == {"HTTP_X_FORWARDED_FOR"}
    assert environ["HTTP_X_FORWARDED_FOR"] == "real"


@enforces("APP-SCOPE-04", "HTTP-SCOPE-01", "HTTP-SCOPE-03", "HTTP-SCOPE-14", "HTTP-SCOPE-15", "HTTP-SCOPE-16")
async def test_what_a_server_may_leave_out() -> None:
    absent = dict.fromkeys(
        ("asgi", "http_version", "scheme", "raw_path", "root_path", "headers", "client", "server", "state"),
        ...,
    )
    environ = await environ_of(http_scope(**absent, extensions=None))
    assert environ["wsgi.url_scheme"] == "http"
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("localhost", "80")
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert not {"REMOTE_ADDR", "REMOTE_PORT"} & environ.keys()


@enforces("HTTP-SCOPE-14", "HTTP-SCOPE-15", "HTTP-SCOPE-18")
@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"server": ["example.com", 8000]}, {"SERVER_NAME": "example.com", "SERVER_PORT": "8000"}),
        ({"server": ("::1", 80)}, {"SERVER_NAME": "[::1]", "SERVER_PORT": "80"}),
        ({"server": ("/run/app.sock", None)}, {"SERVER_NAME": "localhost", "SERVER_PORT": "80"}),
        ({"server": None, "scheme": "https"}, {"SERVER_NAME": "localhost", "SERVER_PORT": "443"}),
        ({"server": ("", 0)}, {"SERVER_NAME": "localhost", "SERVER_PORT": "80"}),
        ({"client": ["::1", 7]}, {"REMOTE_ADDR": "::1", "REMOTE_PORT": "7"}),
        ({"scheme": "https"}, {"wsgi.url_scheme": "https"}),
        ({"http_version": "2"}, {"SERVER_PROTOCOL": "HTTP/2"}),
        ({"query_string": b"\xff"}, {"QUERY_STRING": "\xff"}),
    ],
)
async def test_the_ends_of_the_connection(keys: dict[str, Any], expected: dict[str, str]) -> None:
    environ = await environ_of(http_scope(**keys))
    assert {key: environ[key] for key in expected} == expected


@enforces("HTTP-SCOPE-17")
@pytest.mark.parametrize("method", ["POST", "PROPFIND", "get"])
async def test_the_method_is_as_it_came(method: str) -> None:
    found: list[str] = []

    def app(environ: Any, start_response: Any) -> Any:
        found.append(environ["REQUEST_METHOD"])
        return hello(environ, start_response)

    await ask_sloppy(app, http_scope(method))
    assert found == [method]


async def test_a_framework_reads_the_request_as_it_was_made() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        request = WerkzeugRequest(environ)
        found.append((request.method, request.url, request.cookies.to_dict(), request.form.to_dict()))
        return hello(environ, start_response)

    found: list[Any] = []
    lines = [(b"host", b"example.com"), (b"cookie", b"a=1"), (b"cookie", b"b=2")]
    lines += [(b"content-type", b"application/x-www-form-urlencoded"), (b"transfer-encoding", b"chunked")]
    scope = http_scope("POST", "/api/é x", root_path="/api", query_string=b"q=%C3%A9", headers=lines)
    log = await ask_sloppy(app, scope, body_events(b"x=1&y", b"", b"=%C3%A9"))
    assert log.body == b"hello"
    assert found == [("POST", "http://example.com/api/é%20x?q=é", {"a": "1", "b": "2"}, {"x": "1", "y": "é"})]


# The body of the request


@enforces("HTTP-REQ-01", "HTTP-REQ-02", "HTTP-REQ-03")
@given(chunks=st.lists(st.binary(max_size=12)), sizes=st.lists(st.integers(1, 20), min_size=1))
async def test_the_body_is_read_however_it_comes(chunks: list[bytes], sizes: list[int]) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        body = environ["wsgi.input"]
        pieces = [body.read(size) for size in sizes]
        pieces.append(body.read(-1))
        assert body.read(1) == b""
        start_response("200 OK", TEXT)
        return [b"".join(pieces)]

    log = await ask(app, http_scope("POST"), body_events(*chunks), end="raise")
    assert (log.body, log.raised) == (b"".join(chunks), None)


@enforces("HTTP-REQ-01", "HTTP-REQ-02")
async def test_a_body_may_be_absent() -> None:
    assert (await ask(echo, events=[{"type": "http.request"}], end="raise")).body == b""


async def test_the_body_has_lines() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        body = environ["wsgi.input"]
        found.extend(
            [body.readline(), body.readline(3), next(iter(body)), *body.readlines(), body.readline()]
        )
        return hello(environ, start_response)

    found: list[bytes] = []
    await ask(app, http_scope("POST"), body_events(b"a\nb", b"bbb\nc\n", b"d\n", b"e"))
    assert found == [b"a\n", b"bbb", b"b\n", b"c\n", b"d\n", b"e", b""]


async def test_a_large_body_comes_whole() -> None:
    chunks = [bytes([number]) * 50_000 for number in range(20)]
    assert (await ask(echo, http_scope("POST"), body_events(*chunks))).body == b"".join(chunks)


@enforces("HTTP-REQ-04")
async def test_a_body_that_nobody_reads_is_not_waited_for() -> None:
    log = await ask(hello, http_scope("POST"), [{"type": "http.request", "body": b"a", "more_body": True}])
    assert (log.body, log.raised) == (b"hello", None)


@enforces("HTTP-REQ-04")
async def test_nothing_of_the_body_is_asked_for_before_it_is_read_or_the_answer_has_begun() -> None:
    log = await ask(hello, http_scope("HEAD"), [], end="raise")
    assert (log.status, log.received) == (200, 0)


@enforces("HTTP-REQ-04")
async def test_no_more_of_the_body_is_taken_than_is_read() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        found.append(environ["wsgi.input"].read(1))
        found.append(received[0])
        return hello(environ, start_response)

    async def receive() -> Any:
        received[0] += 1
        return {"type": "http.request", "body": b"x" * 10_000, "more_body": True}

    async def send(message: Any) -> None:
        pass

    found: list[Any] = []
    received = [0]
    await WSGIAdapter(validator(app))(http_scope("POST"), receive, send)
    assert found == [b"x", 1]


@enforces("HTTP-REQ-04")
async def test_an_answer_can_begin_before_the_body_has_come() -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        yield from iter(environ["wsgi.input"].readline, b"")

    async def receive() -> Any:
        if len(events) < 2:
            await heard.wait()
        if not events:
            await asyncio.Event().wait()
        return events.pop(0)

    async def send(message: Any) -> None:
        sent.append(message.get("body"))
        if message.get("body") == b"one\n":
            heard.set()

    events = body_events(b"one\n", b"two\n")
    heard = asyncio.Event()
    sent: list[Any] = []
    await asyncio.wait_for(WSGIAdapter(app)(http_scope("POST"), receive, send), PATIENCE)
    assert sent == [None, b"one\n", b"two\n", b""]


@enforces("HTTP-REQ-05", "HTTP-DISC-01")
@pytest.mark.parametrize("before", [[], [{"type": "http.request", "body": b"a", "more_body": True}]])
async def test_a_client_that_leaves_in_mid_body_is_an_error_that_applications_know(before: list[Any]) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        with pytest.raises(OSError, match="client") as caught:
            environ["wsgi.input"].read(-1)
        found.append(caught.value)
        return echo(environ, start_response)

    found: list[Any] = []
    log = await ask(app, http_scope("POST"), [*before, DISCONNECT], end="disconnect")
    assert isinstance(found[0], ClientDisconnect)
    assert isinstance(log.raised, ClientDisconnect)
    assert log.sent == []


async def test_a_stream_that_is_no_generator_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stream:
        chunks = iter([b"a", b"", b"b"])

        def __aiter__(self) -> Stream:
            return self

        async def __anext__(self) -> bytes:
            for chunk in self.chunks:
                return chunk
            raise StopAsyncIteration

    monkeypatch.setattr(Request, "stream", lambda request: Stream())
    assert (await ask(echo)).body == b"ab"


@enforces("APP-EVT-01")
async def test_an_event_that_is_none_is_an_error() -> None:
    log = await ask(echo, events=[{"type": "http.bogus"}])
    assert isinstance(log.raised, RuntimeError)
    assert log.sent == []


# The response


@enforces("HTTP-RESP-01", "HTTP-RESP-02", "HTTP-RESP-03", "HTTP-RESP-04")
async def test_status_headers_and_body() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response(
            "404 Not Here", [*TEXT, ("Set-Cookie", "a=\xe9"), ("Content-Length", "5"), ("Set-Cookie", "b=2")]
        )
        return [b"hel", b"", b"lo"]

    log = await ask(app)
    assert (log.status, log.body, log.complete) == (404, b"hello", True)
    assert log.start["headers"] == [
        (b"content-type", b"text/plain"),
        (b"set-cookie", b"a=\xe9"),
        (b"content-length", b"5"),
        (b"set-cookie", b"b=2"),
    ]
    assert [message.get("body") for message in log.sent] == [None, b"hel", b"lo", b""]


@enforces("HTTP-RESP-17")
@pytest.mark.parametrize("chunks", [[], [b""], [b"", b""]])
async def test_an_empty_body_still_is_a_response(chunks: list[bytes]) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        return list(chunks)

    log = await ask(app)
    assert (log.types, log.body) == (["http.response.start", "http.response.body"], b"")


async def test_headers_wait_for_the_first_bytes() -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        yield b""
        try:
            raise LookupError("mine")
        except LookupError:
            start_response("500 Sorry", [*TEXT, ("x-a", "b")], sys.exc_info())
        yield b"sorry"

    log = await ask(app)
    assert (log.status, log.header("x-a"), log.body, log.raised) == (500, "b", b"sorry", None)
    assert log.types.count("http.response.start") == 1


@enforces("HTTP-RESP-14", "HTTP-RESP-16")
async def test_after_the_first_bytes_the_error_is_raised_again() -> None:
    mine = LookupError("mine")

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        yield b"a"
        try:
            raise mine
        except LookupError:
            start_response("500 Sorry", TEXT, sys.exc_info())

    log = await ask(app)
    assert log.raised is mine
    assert (log.status, log.body, log.complete) == (200, b"a", False)


@pytest.mark.parametrize("exc_info", [None, (None, None, None)])
async def test_start_response_twice_is_an_error(exc_info: Any) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        start_response("201 Created", TEXT, exc_info)

    log = await ask_sloppy(app)
    assert isinstance(log.raised, RuntimeError)
    assert "pass exc_info" in str(log.raised)
    assert log.sent == []


@pytest.mark.parametrize("chunks", [[], [b"a"]])
async def test_no_start_response_is_an_error(chunks: list[bytes]) -> None:
    body = Chunks(*chunks)
    log = await ask_sloppy(lambda environ, start_response: body)
    assert "start_response was not called" in str(log.raised)
    assert (log.sent, body.closed) == ([], 1)


async def test_a_generator_may_call_start_response_when_it_is_first_asked() -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        yield b"a"

    assert (await ask(app)).body == b"a"


async def test_write_comes_before_what_is_returned() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", TEXT)
        write(b"a")
        write(b"")
        write(b"b")
        return [b"c"]

    log = await ask(app)
    assert [message.get("body") for message in log.sent] == [None, b"a", b"b", b"c", b""]


async def test_write_waits_until_the_piece_is_sent() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", TEXT)
        for number in range(3):
            write(b"a")
            sent_at_write.append((number, len(sent)))
        return []

    async def send(message: Any) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        sent.append(message)

    async def receive() -> Any:
        await asyncio.Event().wait()

    sent: list[Any] = []
    sent_at_write: list[tuple[int, int]] = []
    await WSGIAdapter(validator(app))(http_scope(), receive, send)
    assert sent_at_write == [(0, 2), (1, 3), (2, 4)]


async def test_the_next_chunk_is_asked_for_when_the_one_before_is_sent() -> None:
    async def send(message: Any) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        asked_at_send.append(body.asked)

    async def receive() -> Any:
        await asyncio.Event().wait()

    body = Chunks(b"a", b"b", b"c")
    asked_at_send: list[int] = []
    await WSGIAdapter(body)(http_scope(), receive, send)
    assert asked_at_send == [1, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("status", "words"),
    [("200", None), ("299 ", None), ("OK", "200 OK"), ("99 Low", "200 OK"), ("100 Continue", "200 OK"),
     ("1000 High", "200 OK"), ("2000", "200 OK"), ("200 OK\r\nx: y", "200 OK"), ("\u0662\u0660\u0660 OK", "200 OK")],
)  # fmt: skip
async def test_a_status_is_three_digits_and_a_reason(status: str, words: str | None) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response(status, TEXT)
        return [b"a"]

    log = await ask_sloppy(app)
    assert (log.raised is None) is (words is None)
    assert words is None or (isinstance(log.raised, ValueError) and words in str(log.raised))


@enforces("HTTP-RESP-10", "HTTP-RESP-13", "HTTP-RESP-05")
@pytest.mark.parametrize(
    ("header", "words"),
    [
        (("Connection", "close"), "leave it out"),
        (("Transfer-Encoding", "chunked"), "leave it out"),
        (("keep-alive", "1"), "leave it out"),
        (("Upgrade", "h2c"), "leave it out"),
        (("x-a", "b\r\nset-cookie: c"), "cannot stand in a value"),
        (("x-a\r\n", "b"), "is no name"),
        ((":status", "200"), "is no name"),
        (("", "b"), "is no name"),
        (("x-a", "\u20ac"), "not in latin-1"),
        (("Content-Length", "five"), "use digits"),
        (("Content-Length", "-1"), "use digits"),
    ],
)
async def test_a_header_that_cannot_be_sent_is_refused(header: tuple[str, str], words: str) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [header])
        return [b"a"]

    log = await ask_sloppy(app)
    assert isinstance(log.raised, ValueError)
    assert words in str(log.raised)
    assert log.sent == []


@enforces("HTTP-RESP-07")
@pytest.mark.parametrize("wrong", ["text", bytearray(b"a"), 5, None])
async def test_a_chunk_is_bytes(wrong: Any) -> None:
    body = Chunks(wrong)
    log = await ask_sloppy(body)
    assert isinstance(log.raised, TypeError)
    assert "yield bytes" in str(log.raised)
    assert (log.sent, body.closed) == ([], 1)


async def test_bytes_alone_are_no_iterable_of_bytes() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        return b"hello"

    log = await ask_sloppy(app)
    assert "and int came: return [b'...']" in str(log.raised)


# Content-Length, HEAD, and statuses without a body


def sized(length: int, *chunks: bytes) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [*TEXT, ("Content-Length", str(length))])
        return body

    body = Chunks(*chunks)
    app.body = body  # type: ignore[attr-defined]
    return app


@enforces("HTTP-RESP-10")
@pytest.mark.parametrize(
    ("length", "chunks", "asked"),
    [
        (5, [b"hello"], 2),
        (5, [b"he", b"llo"], 3),
        (5, [b"hello", b" world", b"!"], 2),
        (5, [b"hel", b"low", b"orld"], 2),
        (5, [b"hello", b"", b""], 4),
        (0, [], 1),
        (0, [b"x"], 1),
    ],
)
async def test_what_goes_beyond_the_content_length_is_not_sent(
    length: int, chunks: list[bytes], asked: int
) -> None:
    app = sized(length, *chunks)
    log = await ask_sloppy(app)
    assert (log.body, log.complete, log.raised) == (b"hello"[:length], True, None)
    assert log.header("content-length") == str(length)
    assert (app.body.asked, app.body.closed) == (asked, 1)


@enforces("HTTP-RESP-16")
@pytest.mark.parametrize("chunks", [[], [b"hell"]])
async def test_a_body_short_of_its_content_length_breaks_off(chunks: list[bytes]) -> None:
    app = sized(5, *chunks)
    log = await ask_sloppy(app)
    assert isinstance(log.raised, RuntimeError)
    assert "bytes before the Content-Length" in str(log.raised)
    assert (log.complete, app.body.closed) == (False, 1)


async def test_writing_beyond_the_content_length_is_an_error() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [("Content-Length", "3")])
        write(b"abcd")
        return []

    log = await ask_sloppy(app)
    assert "goes beyond the Content-Length" in str(log.raised)
    assert (log.body, log.complete) == (b"abc", False)


@enforces("HTTP-RESP-12")
@pytest.mark.parametrize("chunks", [[], [b""], [b"", b"hel", b"lo"]])
async def test_head_gets_the_headers_and_no_bytes(chunks: list[bytes]) -> None:
    app = sized(5, *chunks)
    log = await ask_sloppy(app, http_scope("HEAD"))
    assert (log.status, log.header("content-length"), log.body) == (200, "5", b"")
    assert (log.types, log.complete, log.raised) == (
        ["http.response.start", "http.response.body"],
        True,
        None,
    )
    assert app.body.closed == 1
    assert app.body.asked <= 2


async def test_head_takes_what_is_written_and_sends_none_of_it() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", TEXT)
        write(b"a")
        write(b"b")
        return []

    log = await ask(app, http_scope("HEAD"))
    assert (log.body, log.complete, log.raised) == (b"", True, None)


@enforces("HTTP-RESP-11")
@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_a_body_has_neither_body_nor_length(status: int) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response(f"{status} Nothing", [("Content-Length", "5"), ("x-a", "b")])
        return [b"hello"]

    log = await ask_sloppy(app)
    assert (log.status, log.body, log.complete, log.raised) == (status, b"", True, None)
    assert log.headers == [("x-a", "b")]


# Ends


@enforces("APP-MW-04")
async def test_an_error_before_the_response_goes_on_to_the_server() -> None:
    mine = LookupError("mine")

    def app(environ: Any, start_response: Any) -> Any:
        raise mine

    log = await ask(app)
    assert log.raised is mine
    assert log.sent == []


async def test_a_stray_stop_iteration_is_an_error_too() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        return next(iter([]))

    log = await ask_sloppy(app)
    assert isinstance(log.raised, RuntimeError)
    assert isinstance(log.raised.__cause__, StopIteration)


@enforces("HTTP-RESP-16")
async def test_an_error_in_the_body_breaks_it_off_and_closes_it() -> None:
    body = Chunks(b"a", LookupError("mine"))
    log = await ask_sloppy(body)
    assert isinstance(log.raised, LookupError)
    assert (log.body, log.complete, body.closed) == (b"a", False, 1)


async def test_what_was_returned_is_closed_once_after_the_last_byte() -> None:
    def close() -> None:
        sent_at_close.append(len(sent))

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        await asyncio.Event().wait()

    body = Chunks(b"a")
    body.close = close  # type: ignore[method-assign]
    sent: list[Any] = []
    sent_at_close: list[int] = []
    await WSGIAdapter(body)(http_scope(), receive, send)
    assert sent_at_close == [3]


async def test_an_iterable_that_cannot_be_gone_through_is_closed_too() -> None:
    class Broken:
        closed = 0

        def __iter__(self) -> Iterator[bytes]:
            raise LookupError("no iterator")

        def close(self) -> None:
            self.closed += 1

    body = Broken()
    log = await ask_sloppy(lambda environ, start_response: body)
    assert isinstance(log.raised, LookupError)
    assert body.closed == 1


@enforces("HTTP-DISC-03", "HTTP-DISC-04")
@pytest.mark.parametrize("fails_at", [0, 1, 2, 4])
async def test_a_send_that_fails_stops_and_closes_the_body(fails_at: int) -> None:
    body = Chunks(b"a", b"b", b"c")
    log = await ask_sloppy(body, fail_send_at=fails_at)
    assert isinstance(log.raised, ConnectionResetError)
    assert (len(log.sent), body.closed) == (fails_at + 1, 1)
    assert body.asked <= fails_at + 1


@enforces("APP-ERR-01")
async def test_an_application_that_does_not_mind_a_failed_send_cannot_go_on_sending() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", TEXT)
        for _ in range(3):
            with pytest.raises(OSError, match="client"):
                write(b"a")
        return body

    body = Chunks(b"b")
    log = await ask_sloppy(app, fail_send_at=1)
    assert (log.types, log.raised) == (["http.response.start", "http.response.body"], None)
    assert body.closed == 1


@enforces("HTTP-DISC-04")
@pytest.mark.parametrize("asgi", VERSIONS)
@pytest.mark.parametrize("piece", [b"a", b""])
async def test_a_stream_without_end_ends_when_the_client_goes(asgi: Any, piece: bytes) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        try:
            yield b"first"
            while True:
                yield piece
        finally:
            ends.append("closed")

    ends: list[str] = []
    log = await ask_sloppy(app, http_scope(asgi=asgi), [{"type": "http.request"}, DISCONNECT])
    assert (ends, log.raised, log.complete) == (["closed"], None, False)


@enforces("HTTP-DISC-04")
async def test_a_client_that_goes_during_a_send_frees_the_thread() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", TEXT)
        write(b"a")
        with pytest.raises(ClientDisconnect):
            write(b"b")
        freed.set()
        return []

    async def receive() -> Any:
        await stuck.wait()
        return DISCONNECT

    async def send(message: Any) -> None:
        if message.get("body") == b"b":
            stuck.set()
            assert await asyncio.to_thread(freed.wait, PATIENCE)

    stuck, freed = asyncio.Event(), threading.Event()
    await WSGIAdapter(app)(http_scope(), receive, send)
    assert freed.is_set()


@enforces("HTTP-REQ-03")
async def test_watching_for_the_client_takes_nothing_away_from_the_body() -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        yield b"first"
        yield environ["wsgi.input"].read(1)
        yield environ["wsgi.input"].read(-1)

    log = await ask(app, http_scope("POST"), body_events(b"ab", b"c", b"d"))
    assert (log.body, log.raised) == (b"firstabcd", None)


async def test_a_receive_that_fails_while_the_response_goes_out_does_not_matter() -> None:
    log = await ask_sloppy(Chunks(b"a", b"b"), events=[], end="raise")
    assert (log.body, log.raised) == (b"ab", None)


async def test_a_cancelled_call_leaves_no_thread_waiting_and_nothing_open() -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        try:
            yield b"a"
            yield b"b"
        finally:
            closed.set()

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        if message.get("body"):
            sending.set()
            await asyncio.Event().wait()

    sending, closed = asyncio.Event(), threading.Event()
    call = asyncio.create_task(WSGIAdapter(app)(http_scope(), receive, send))
    await sending.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await asyncio.to_thread(closed.wait, PATIENCE)


async def test_a_call_cancelled_while_the_application_works_ends_it_at_its_next_step() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        loop.call_soon_threadsafe(working.set)
        assert go_on.wait(PATIENCE)
        try:
            environ["wsgi.input"].read(1)
        except OSError as error:
            ends.append(error)
            raise
        finally:
            ended.set()

    async def receive() -> Any:
        raise AssertionError("nobody should ask any more")

    async def send(message: Any) -> None:
        raise AssertionError("nobody should send any more")

    loop = asyncio.get_running_loop()
    working, go_on, ended = asyncio.Event(), threading.Event(), threading.Event()
    ends: list[Any] = []
    call = asyncio.create_task(WSGIAdapter(app)(http_scope(), receive, send))
    await working.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    go_on.set()
    assert await asyncio.to_thread(ended.wait, PATIENCE)
    assert [type(error).__mro__[1] for error in ends] == [ClientDisconnect]


async def test_a_call_cancelled_before_a_thread_was_free_never_runs() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        ran.append(environ["PATH_INFO"])
        loop.call_soon_threadsafe(working.set)
        assert go_on.wait(PATIENCE)
        return hello(environ, start_response)

    async def neither(message: Any = None) -> Any:
        raise AssertionError("nobody should receive or send")

    loop = asyncio.get_running_loop()
    working, go_on = asyncio.Event(), threading.Event()
    ran: list[str] = []
    adapter = WSGIAdapter(app, threads=1)
    first = asyncio.create_task(play(adapter, http_scope(path="/first")))
    await working.wait()
    second = asyncio.create_task(adapter(http_scope(path="/second"), neither, neither))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    go_on.set()
    assert (await first).body == b"hello"
    assert (await play(adapter, http_scope(path="/third"))).body == b"hello"
    assert ran == ["/first", "/third"]


# Threads


async def test_the_event_loop_goes_on_while_the_application_works() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        assert go_on.wait(PATIENCE)
        return hello(environ, start_response)

    go_on = threading.Event()
    call = asyncio.create_task(ask(app))
    await asyncio.sleep(0)
    go_on.set()
    assert (await call).body == b"hello"


@enforces("APP-CALL-03")
async def test_requests_run_side_by_side_but_no_more_than_there_are_threads() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        with lock:
            running.append(environ["PATH_INFO"])
            most.append(len(running))
        pair.wait(PATIENCE)
        with lock:
            running.remove(environ["PATH_INFO"])
        start_response("200 OK", TEXT)
        return [environ["PATH_INFO"].encode()]

    lock, pair = threading.Lock(), threading.Barrier(2)
    running: list[str] = []
    most: list[int] = []
    adapter = WSGIAdapter(validator(app), threads=2)
    paths = [f"/{number}" for number in range(6)]
    logs = await asyncio.gather(*(play(adapter, http_scope(path=path)) for path in paths))
    assert [log.body.decode() for log in logs] == paths
    assert max(most) == 2


async def test_the_thread_sees_the_callers_context() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        yield variable.get().encode()
        variable.set("theirs")
        yield variable.get().encode()

    variable.set("ours ")
    assert (await ask(app)).body == b"ours theirs"
    assert variable.get() == "ours "


async def test_the_body_is_read_and_the_answer_sent_by_the_task_of_the_call() -> None:
    async def receive() -> Any:
        if not events:
            await asyncio.Event().wait()
        tasks.add(asyncio.current_task())
        return events.pop(0)

    async def send(message: Any) -> None:
        tasks.add(asyncio.current_task())

    events = body_events(b"a", b"b")
    tasks: set[Any] = set()
    await WSGIAdapter(validator(echo))(http_scope("POST"), receive, send)
    assert tasks == {asyncio.current_task()}


def test_there_is_at_least_one_thread() -> None:
    with pytest.raises(ValueError, match="must be greater than 0"):
        WSGIAdapter(hello, threads=0)


# The rest


@enforces("APP-SCOPE-02", "APP-SCOPE-03")
@pytest.mark.parametrize("scope", [websocket_scope(), lifespan_scope(), {"type": "mqtt"}])
async def test_another_kind_of_connection_is_refused(scope: dict[str, Any]) -> None:
    log = await play(WSGIAdapter(hello), scope, [])
    assert isinstance(log.raised, RuntimeError)
    assert log.sent == []


@enforces("APP-SCOPE-05", "APP-EVT-02")
async def test_keys_that_are_not_known_do_not_matter() -> None:
    log = await ask(echo, http_scope(zzz=object()), [{"type": "http.request", "body": b"a", "zzz": 1}])
    assert log.body == b"a"


@enforces("APP-CALL-01", "APP-CALL-02")
async def test_the_scope_is_not_changed() -> None:
    scope = http_scope()
    before = dict(scope)
    await ask(hello, scope)
    assert scope == before
