"""WSGI applications under ASGI: one runs in a thread, and what it reads and sends goes by way of the event loop.

Rule 1: the application meets a server by PEP 3333: text is bytes seen as latin-1, the body is a file, headers go out
        with the first bytes of the body and not before, and what it returned is closed on every way out.
Rule 2: the event loop never waits for the thread, but the thread waits for it: until a piece of the body that it
        reads has come, until a piece that it sends has gone out. So nothing piles up on either side.
Rule 3: the thread itself touches nothing of the event loop's: it asks the task of the ASGI call, which does one thing
        after the other.
Rule 4: once the call is over, because the client is gone or the server has cancelled it, the thread learns that at
        its next read or write. Nothing else can stop a thread.
"""

from __future__ import annotations

import asyncio
import io
import re
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from threading import Lock
from types import TracebackType
from typing import Any, TypeAlias, TypeVar
from wsgiref.types import WSGIApplication, WSGIEnvironment
from wsgiref.util import is_hop_by_hop

from .asgi_types import Message, Receive, Scope, Send, require_type
from .datastructures import Headers, MutableHeaders
from .exceptions import ClientDisconnect
from .requests import Request
from .status import has_no_body
from .urls import path_under_root

T = TypeVar("T")
ExceptionInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
"""What `sys.exc_info()` gives."""


class WSGIAdapter:
    """An ASGI application that has a WSGI application answer (PEP 3333). For HTTP only.

    At most `threads` requests run at once, each in a thread that sees the caller's context variables; others wait.
    An exception of the application goes on to the caller; after the first bytes it breaks the response off. The
    application's Content-Length is kept to: what goes beyond it is dropped, what falls short raises RuntimeError.
    Raises ValueError for `threads` below 1.
    """

    def __init__(self, wsgi_app: WSGIApplication, *, threads: int = 10) -> None:
        self._app = wsgi_app
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="wsgi")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP connection. Raises RuntimeError for a connection of another kind.

        An OSError out of `send` is raised in the application, and goes on to the caller from there. So does the
        ClientDisconnect, there an OSError too, by which reading the body fails when the client goes away. A client
        that is seen to go while it is answered ends the call quietly.
        """
        require_type(scope, "http")
        request = Request(scope, receive)
        desk = _Desk(request, send)
        answer = _Answer(desk, request.method)
        run = partial(copy_context().run, answer.run, self._app, _environ(request, desk))
        work = asyncio.get_running_loop().run_in_executor(self._threads, run)
        try:
            await desk.serve(work)
            await work
        except _ClientGone:
            if not answer.started:
                raise
        finally:
            work.cancel()  # where it has not begun; one that runs is told by the desk
            await desk.close()


class _ClientGone(ClientDisconnect, OSError):
    """The client is gone. An OSError too: that is what WSGI applications know of files that cannot be read."""


class _Desk:
    """Where the thread asks for what only the event loop can do, and waits for it."""

    def __init__(self, request: Request, send: Send) -> None:
        self._request = request
        self._chunks = request.stream()
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._asked: asyncio.Queue[tuple[Callable[[], Awaitable[Any]], Future[Any]] | None] = asyncio.Queue()
        self._lock = Lock()
        self._open = True
        self._reply: Future[Any] | None = None
        self._watch: asyncio.Task[None] | None = None

    # In the thread

    def read(self) -> bytes | None:
        """The next chunk of the request's body, or None after the last. Raises _ClientGone."""
        return self._ask(self._next_chunk)

    def send(self, message: Message) -> None:
        """Send a message, and wait until that is done. Raises what `send` raises, and _ClientGone."""
        self._ask(partial(self._deliver, message))

    def check(self) -> None:
        """Raises _ClientGone where nothing can be read or sent any more."""
        if not self._open:
            raise _ClientGone(_OVER)

    def _ask(self, step: Callable[[], Awaitable[T]]) -> T:
        reply: Future[T] = Future()
        with self._lock:
            self.check()
            self._reply = reply
            self._loop.call_soon_threadsafe(self._asked.put_nowait, (step, reply))
        return reply.result()

    # In the event loop

    async def serve(self, work: asyncio.Future[None]) -> None:
        """Do what the thread asks for until `work`, which runs there, is done."""
        work.add_done_callback(lambda _: self._asked.put_nowait(None))
        while (asked := await self._asked.get()) is not None:
            step, reply = asked
            try:
                settle = partial(reply.set_result, await step())
            except Exception as error:  # noqa: BLE001 - whatever it is, the thread raises it, in `_ask`
                settle = partial(reply.set_exception, error)
            if not reply.done():
                settle()

    async def close(self) -> None:
        """End the call: the thread, if it still runs, gets _ClientGone instead of what it asks for."""
        self._hang_up()
        if self._watch is not None:
            self._watch.cancel()
            # Where `receive` failed, that tells nothing about the response: if it matters, `send` fails as well.
            await asyncio.gather(self._watch, return_exceptions=True)
        close_chunks = getattr(self._chunks, "aclose", None)
        if close_chunks is not None:
            await close_chunks()

    async def _next_chunk(self) -> bytes | None:
        try:
            return await anext(self._chunks, None)
        except ClientDisconnect as error:
            self._open = False  # to read again must not look like the end of the body
            raise _ClientGone(str(error)) from error

    async def _deliver(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError:
            self._open = False  # the application may catch it, and go on
            raise
        if message.get("more_body") and self._watch is None:
            self._watch = asyncio.create_task(self._hang_up_on_disconnect())

    async def _hang_up_on_disconnect(self) -> None:
        """Not every server tells by `send` that the client is gone (ASGI HTTP, Disconnected Client)."""
        await self._request.receive()
        self._hang_up()

    def _hang_up(self) -> None:
        with self._lock:
            self._open = False
            if self._reply is not None and not self._reply.done():
                self._reply.set_exception(_ClientGone(_OVER))


class _Answer:
    """What the application answers, on its way to the desk. All of it happens in the thread."""

    def __init__(self, desk: _Desk, method: str) -> None:
        self._desk = desk
        self._is_head = method == "HEAD"
        self._start: Message | None = None
        self._has_body = True
        self._room: int | None = None
        self.started = False

    def run(self, app: WSGIApplication, environ: WSGIEnvironment) -> None:
        """Call the application and send all that it gives. Raises what it raises, and what sending raises."""
        try:
            chunks = app(environ, self.start_response)
            try:
                self._send_all(chunks)
            finally:
                close = getattr(chunks, "close", None)
                if close is not None:
                    close()
        except (
            StopIteration
        ) as error:  # which a future of asyncio does not take: nobody would hear of the end
            raise RuntimeError("the application raised StopIteration") from error

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExceptionInfo | None = None
    ) -> Callable[[bytes], None]:
        """PEP 3333, The start_response() Callable. Headers are only kept here; a second call may replace them.

        Raises ValueError for a status or a header that cannot be sent, RuntimeError for a second call without
        `exc_info`, and the exception in `exc_info` where the first headers have been sent.
        """
        error = None if exc_info is None else exc_info[1]
        if error is None and self._start is not None:
            raise RuntimeError(
                "start_response was called before: to replace what was given then, pass exc_info"
            )
        try:
            if error is not None and self.started:
                raise error
        finally:
            # They hold the traceback, and with it this frame, which would hold them for ever (PEP 3333).
            del exc_info, error
        code = _status_code(status)
        fields = _fields(headers)
        self._has_body = not (self._is_head or has_no_body(code))
        self._room = _content_length(fields) if self._has_body else 0
        if has_no_body(code) and "content-length" in fields:
            del fields["content-length"]
        self._start = {"type": "http.response.start", "status": code, "headers": fields.raw}
        return self.write

    def write(self, data: bytes) -> None:
        """PEP 3333, The write() Callable: send a piece of the body at once. Raises RuntimeError past Content-Length."""
        if not self._take(data) and self._has_body:
            raise RuntimeError(
                "write() goes beyond the Content-Length that start_response was given: correct that"
            )

    def _send_all(self, chunks: Iterable[bytes]) -> None:
        for chunk in chunks:
            if not self._take(chunk):
                break  # PEP 3333, Handling the Content-Length Header: the rest is not asked for
        self._begin()
        if self._room:
            raise RuntimeError(
                f"the body ended {self._room} bytes before the Content-Length that start_response was given: correct "
                "that, or leave it out"
            )
        self._desk.send({"type": "http.response.body", "body": b""})

    def _take(self, chunk: bytes) -> bool:
        """Send a piece of the body, so far as there is room. Gives whether there was for all of it."""
        if not isinstance(chunk, bytes):
            raise TypeError(
                f"a WSGI body is an iterable of bytes, and {type(chunk).__name__} came: return [b'...'] or yield bytes"
            )
        self._desk.check()
        if not chunk:
            return True
        self._begin()
        part = chunk[: self._room]
        if part:
            self._desk.send({"type": "http.response.body", "body": part, "more_body": True})
        if self._room is not None:
            self._room -= len(part)
        return len(part) == len(chunk)

    def _begin(self) -> None:
        """Send status and headers, unless that is done."""
        if self._start is None:
            raise RuntimeError("start_response was not called: call it before the first bytes of the body")
        if not self.started:
            self.started = True
            self._desk.send(self._start)


class _Body(io.RawIOBase):
    """The body of a request as a file that waits for what has not come yet; `io.BufferedReader` does the rest."""

    def __init__(self, read_chunk: Callable[[], bytes | None]) -> None:
        self._read_chunk = read_chunk
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = self._read_chunk()
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def _environ(request: Request, desk: _Desk) -> WSGIEnvironment:
    """PEP 3333, environ Variables; the paths by ASGI HTTP, WSGI Compatibility."""
    scope = request.scope
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": _as_latin1((scope.get("root_path") or "").rstrip("/")),
        "PATH_INFO": _as_latin1(path_under_root(scope)),
        "QUERY_STRING": (scope.get("query_string") or b"").decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope.get('http_version') or '1.1'}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme") or "http",
        "wsgi.input": io.BufferedReader(_Body(desk.read)),
        "wsgi.input_terminated": True,  # not in PEP 3333: a body without Content-Length may be read to its end
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,  # for all that is known here
        "wsgi.run_once": False,
    }
    environ.update(_address_variables(scope))
    environ.update(_header_variables(request.headers))
    return environ


def _as_latin1(path: str) -> str:
    """Text whose characters are the path's bytes in UTF-8 (PEP 3333, Unicode Issues)."""
    return path.encode("utf-8", "surrogatepass").decode("latin-1")


def _address_variables(scope: Scope) -> Iterator[tuple[str, str]]:
    """RFC 3875, sections 4.1.8, 4.1.14 and 4.1.15. What is not known, or a unix socket, still needs some name."""
    host, port = scope.get("server") or ("", None)
    if not host or port is None:
        host, port = "localhost", 443 if scope.get("scheme") == "https" else 80
    yield "SERVER_NAME", f"[{host}]" if ":" in host else host
    yield "SERVER_PORT", str(port)
    if scope.get("client"):
        yield "REMOTE_ADDR", scope["client"][0]
        yield "REMOTE_PORT", str(scope["client"][1])


def _header_variables(headers: Headers) -> Iterator[tuple[str, str]]:
    """RFC 3875, section 4.1.18. Values of one name are joined (RFC 9110, section 5.3; cookies: RFC 9113, 8.2.3)."""
    for name in headers:
        if name in ("content-type", "content-length"):
            yield name.upper().replace("-", "_"), headers[name]
        elif "_" not in name and name not in _NOT_PASSED_ON:
            joint = "; " if name == "cookie" else ","
            yield f"HTTP_{name.upper().replace('-', '_')}", joint.join(headers.getlist(name))


def _status_code(status: str) -> int:
    if not _STATUS.fullmatch(status):
        raise ValueError(f"{status!r} is no status of a final response: write it as '200 OK'")
    return int(status[:3])


def _fields(headers: Iterable[tuple[str, str]]) -> MutableHeaders:
    fields = MutableHeaders(headers)
    for name in fields:
        if is_hop_by_hop(name):
            raise ValueError(
                f"{name} is for the server to send, not for applications: leave it out (PEP 3333)"
            )
    return fields


def _content_length(fields: Headers) -> int | None:
    value = fields.get("content-length")
    if value is not None and not _DIGITS.fullmatch(value):
        raise ValueError(
            f"content-length {value!r} is no number of bytes: use digits (RFC 9110, section 8.6)"
        )
    return None if value is None else int(value)


_OVER = "the call is over: the client is gone, or the server has stopped it"
_NOT_PASSED_ON = frozenset({"transfer-encoding", "proxy"})
"""The body comes decoded; and HTTP_PROXY, as a variable, names a proxy for requests to others (CVE-2016-5385).

Nor are names with `_`: their variable would be that of the name with `-`, which is perhaps what a proxy has set.
"""
_STATUS = re.compile(r"[2-9][0-9]{2}(?: [^\x00-\x1f\x7f]*)?")
_DIGITS = re.compile(r"[0-9]{1,18}")
