"""Requests: a connection as a handler wants to see it.

Rule 1: nothing is read or parsed before somebody asks for it, and then once.
Rule 2: what a server may leave out of a scope has its default here (ASGI HTTP, HTTP connection scope).
Rule 3: one place calls `receive`, and what came is kept in order until it is read: nobody's look ahead loses a chunk.
Rule 4: the body is read once. After its last chunk, `receive` is called only to learn whether the client is gone.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import AsyncIterator
from functools import cached_property
from math import isfinite
from typing import Any, NamedTuple, NoReturn

from .asgi_types import Message, Receive, Scope, require_type
from .datastructures import Headers, QueryParams, State
from .exceptions import ClientDisconnect, HTTPException
from .formdata import FormData, FormLimits, parse_urlencoded
from .multipart import parse_multipart
from .urls import URL


class Address(NamedTuple):
    """One end of a connection."""

    host: str
    port: int


class InvalidJSON(HTTPException, ValueError):
    """A request's body is no JSON: status 400, with the place in `detail`."""

    def __init__(self, detail: str) -> None:
        super().__init__(400, detail)


class HTTPConnection:
    """What an HTTP request and the handshake of a WebSocket have in common: all that stands in the scope."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    @property
    def app(self) -> Any:
        """The application that handles the connection. Raises RuntimeError where there is none."""
        if "fastasgi.app" not in self.scope:
            raise RuntimeError("the scope names no application: this connection is not handled by a FastASGI")
        return self.scope["fastasgi.app"]

    @cached_property
    def headers(self) -> Headers:
        """The headers, in the order in which they came; names ignore case, values are latin-1."""
        return Headers(raw=self.scope.get("headers") or ())

    @cached_property
    def query_params(self) -> QueryParams:
        """The fields of the query string, decoded."""
        return QueryParams(self.scope.get("query_string") or b"")

    @cached_property
    def cookies(self) -> dict[str, str]:
        """The cookies by name, of all Cookie headers (RFC 6265, section 5.4); the first of a name counts."""
        return _cookies("; ".join(self.headers.getlist("cookie")))

    @cached_property
    def url(self) -> URL:
        """The URL that was asked for, as far as the scope tells it."""
        return URL.from_scope(self._scope_with())

    @cached_property
    def base_url(self) -> URL:
        """The URL of the application's root, without a query; http or https for a WebSocket too."""
        scheme = self.scope.get("scheme") or "http"
        root = self.scope.get("fastasgi.root_path", self.scope.get("root_path", ""))
        secure = {"ws": "http", "wss": "https"}.get(scheme, scheme)
        return URL.from_scope(self._scope_with(scheme=secure, path=root, query_string=b""))

    @property
    def client(self) -> Address | None:
        """Where the connection comes from, or None where the server does not tell."""
        client = self.scope.get("client")
        return None if client is None else Address(client[0], int(client[1]))  # one server gives it as text

    @property
    def path_params(self) -> dict[str, Any]:
        """The values of the path's parameters, by name; empty before a route was found."""
        params: dict[str, Any] = self.scope.get("path_params", {})
        return params

    @cached_property
    def state(self) -> State:
        """What the lifespan and the middleware left for this connection (ASGI lifespan, Lifespan State)."""
        return State(self.scope.setdefault("state", {}))

    def url_for(self, name: str, /, **params: Any) -> URL:
        """The full URL of the application's route `name` with these path parameters.

        Raises ValueError where no route of that name takes them.
        """
        base = self.base_url
        return base.replace(path=base.path.rstrip("/") + self.app.url_for(name, **params))

    def _scope_with(self, **keys: Any) -> Scope:
        """The scope with headers that can be read again, and other `keys`."""
        return {**self.scope, "headers": self.headers.raw, **keys}


class Request(HTTPConnection):
    """One HTTP request.

    `scope` and `receive` are those of the ASGI call; without `receive` there is a request, but no body to read.
    Raises RuntimeError for a scope of another kind.
    """

    def __init__(self, scope: Scope, receive: Receive | None = None) -> None:
        require_type(scope, "http")
        super().__init__(scope)
        self._receive = receive or _no_receive
        self._body: bytes | None = None
        self._form: FormData | None = None
        self._taken = False
        self._forwarded = False

    @property
    def method(self) -> str:
        """The method, as it came: methods are case-sensitive (RFC 9110, section 9.1)."""
        method: str = self.scope["method"]
        return method

    async def stream(self) -> AsyncIterator[bytes]:
        """The body in chunks, as they come; none is empty.

        After `body()`, the whole body once more. Raises RuntimeError where the body was streamed before, and
        ClientDisconnect where the client goes away before its end (ASGI HTTP, Disconnect).
        """
        if self._body is not None:
            if self._body:
                yield self._body
            return
        if self._taken and not self._inbox.broken:
            raise RuntimeError(
                "the body was streamed already, here or by the application further in: "
                "read it by body() before that, which keeps it"
            )
        self._taken = True
        while (event := await self._inbox.event()) is not None:
            if chunk := _chunk(event):
                yield chunk

    async def body(self) -> bytes:
        """The whole body, read at the first call and kept. Raises what `stream` raises."""
        if self._body is None:
            async with self._inbox.reading:  # whoever had to wait gets it from `stream` once more
                self._body = b"".join([chunk async for chunk in self.stream()])
        return self._body

    async def text(self) -> str:
        """The body as text, in the Content-Type's charset (default UTF-8); undecodable bytes become U+FFFD.

        Raises HTTPException(415) for a charset that is not known.
        """
        charset = _charset(self.headers.get("content-type", ""))
        if not _CHARSETS.fullmatch(charset):
            raise HTTPException(415, f"charset {charset!r} is not known: send UTF-8")
        body = await self.body()
        try:
            return body.decode(charset, "replace")
        except LookupError:
            raise HTTPException(415, f"charset {charset!r} is not known: send UTF-8") from None

    async def json(self) -> Any:
        """The value that the body holds as JSON (RFC 8259), whatever the Content-Type says.

        Raises InvalidJSON, which is a ValueError and an HTTPException(400), for anything else.
        """
        return _json(await self.body())

    async def form(self, limits: FormLimits | None = None) -> FormData:
        """The fields of a form, urlencoded or multipart; empty where there is no Content-Type. Read once.

        Raises HTTPException: 400 for a malformed body, 413 for one over `limits`, 415 for another content type.
        """
        async with self._inbox.reading:
            form = self._form
            self._form = await self._read_form(limits or FormLimits()) if form is None else form
        return self._form

    async def _read_form(self, limits: FormLimits) -> FormData:
        content_type = self.headers.get("content-type", "")
        kind = content_type.partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            return await parse_multipart(self.stream(), content_type, limits)
        if kind == "application/x-www-form-urlencoded":
            return await parse_urlencoded(self.stream(), limits)
        if kind:
            raise HTTPException(
                415, f"{kind} is no form: send application/x-www-form-urlencoded or multipart/form-data"
            )
        return FormData()

    async def close(self) -> None:
        """Close the files of the form, if it was read, and stop looking out for events."""
        try:
            if "_inbox" in self.__dict__:
                await self._inbox.close()
        finally:
            if self._form is not None:
                await self._form.close()

    async def is_disconnected(self) -> bool:
        """Whether the client is known to be gone, without waiting. Chunks that come on the way are kept."""
        return await self._inbox.look()

    async def receive(self) -> Message:
        """An ASGI `receive` for whoever answers the request: gives `http.disconnect`, once the client is gone.

        It takes no chunk away from the body's reader, and gives none: an application further in gets `forward`.
        """
        await self._inbox.disconnect()
        return {"type": "http.disconnect"}

    async def forward(self) -> Message:
        """An ASGI `receive` for an application further in, which gets the body although `body()` has read it.

        Where this request has not read it, events pass as they are, and the body is the application's: it cannot
        be read here any more. Raises RuntimeError where the body was streamed away.
        """
        if self._body is not None:
            return await self._forward_kept(self._body)
        if self._taken and not self._forwarded and not self._inbox.broken:
            raise RuntimeError(
                "the body was streamed away before the application: read it by body(), which keeps it"
            )
        self._taken = self._forwarded = True
        try:
            event = await self._inbox.event()
        except ClientDisconnect:
            return {"type": "http.disconnect"}
        return event or await self.receive()

    async def _forward_kept(self, body: bytes) -> Message:
        if self._forwarded:
            return await self.receive()
        self._forwarded = True
        return {"type": "http.request", "body": body, "more_body": False}

    @cached_property
    def _inbox(self) -> _Inbox:
        return _Inbox(self._receive)


LOOK_AHEAD = 64 * 1024
"""How many bytes of an unread body are kept, at least, while somebody wants to know whether the client is gone."""


class _Inbox:
    """The one place that calls `receive`. Events are kept in order until they are read; several tasks may wait.

    Whoever only looks for an event never cancels the call of `receive`: not every server keeps the event then.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._events: deque[Message] = deque()
        self._size = 0
        self._complete = False
        self._receiving = False
        self._received = asyncio.Event()
        self._room = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self.reading = asyncio.Lock()
        self.gone = False

    @property
    def broken(self) -> bool:
        """Whether the body breaks off."""
        return self.gone and not self._complete

    async def event(self) -> Message | None:
        """The next event of the body, or None after the last. Raises ClientDisconnect where the body breaks off."""
        while not self._events:
            if self._complete:
                return None
            if self.gone:
                raise ClientDisconnect("the client went away before the end of its request")
            await self._take()
        event = self._events.popleft()
        self._size -= _size(event)
        self._room.set()
        return event

    async def disconnect(self) -> None:
        """Wait until the client is gone."""
        while not self.gone:
            if self._is_full():
                self._room.clear()
                await self._room.wait()
            else:
                await self._take()

    async def look(self) -> bool:
        """Take the events that are there. Gives whether the client is gone."""
        while not (self.gone or self._is_full()):
            looking = self._looking = self._looking or asyncio.create_task(self._take())
            await asyncio.sleep(0)  # its turn: enough for an event that is there
            if not looking.done() or looking.cancelled():
                break
            if self._looking is looking:
                self._looking = None
            looking.result()
        return self.gone

    async def close(self) -> None:
        """Stop looking."""
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _take(self) -> None:
        """Wait until there is something new. Of several who do, one calls `receive`; if it stops, another goes on."""
        if self._receiving:
            await self._received.wait()
            return
        self._receiving = True
        self._received.clear()
        try:
            self._keep(await self._receive())
        finally:
            self._receiving = False
            self._received.set()

    def _keep(self, event: Message) -> None:
        if event["type"] == "http.disconnect":
            self.gone = True
        elif not self._complete:
            self._events.append(event)
            self._size += _size(event)
            self._complete = event["type"] == "http.request" and not event.get("more_body", False)

    def _is_full(self) -> bool:
        return self._size >= LOOK_AHEAD and not self._complete


def _chunk(event: Message) -> bytes:
    """The bytes in an event of the body (ASGI HTTP, Request). Raises RuntimeError for any other event."""
    if event["type"] != "http.request":
        raise RuntimeError(f"expected http.request or http.disconnect from the server, got {event['type']!r}")
    body = event.get("body", b"")
    if not isinstance(body, bytes):
        raise RuntimeError(f"expected bytes as `body` of http.request, got {type(body).__name__}")
    return body


def _size(event: Message) -> int:
    body = event.get("body")
    return len(body) if isinstance(body, bytes) else 0


async def _no_receive() -> NoReturn:
    raise RuntimeError("this request was made without `receive`: its body cannot be read")


def _cookies(header: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in header.split(";"):
        name, equals, value = pair.partition("=")
        name = name.strip(_BLANKS)
        if equals and name:
            found.setdefault(name, _unquoted(value.strip(_BLANKS)))
    return found


def _unquoted(value: str) -> str:
    """The value of a cookie without quotes and escapes, as `Response.set_cookie` and `http.cookies` write them."""
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)) if found[1] else found[2], value[1:-1])


def _charset(content_type: str) -> str:
    """The charset that a Content-Type names, or UTF-8 (RFC 9110, section 8.3.2)."""
    named = (value for name, value in _PARAMETER.findall(content_type) if name.lower() == "charset")
    return next(named, "").strip('"') or "utf-8"


def _json(body: bytes) -> Any:
    try:
        return _decoded(body.decode())
    except UnicodeDecodeError as error:
        raise InvalidJSON(f"the body is not UTF-8: byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise InvalidJSON(
            f"the body is no JSON: {error.msg}: line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise InvalidJSON("the body is nested too deeply") from None


def _decoded(text: str) -> Any:
    try:
        return _JSON.decode(text)
    except _NoNumber as refused:
        # Whatever stands before it is well-formed, and nothing there but a string can hold the same text.
        number = str(refused)
        place = next(each.start() for each in _JSON_TOKEN.finditer(text) if each[0].startswith(number))
        raise json.JSONDecodeError(f"{number[:20]} is no number in JSON", text, place) from None


class _NoNumber(ValueError):
    """Its text is no number. NaN and infinity are no JSON (RFC 8259, section 6), though Python reads them unless told
    otherwise, and makes infinity of any number that is too large for a float.
    """


def _int(text: str) -> int:
    try:
        return int(text)
    except ValueError:  # more digits than Python takes
        raise _NoNumber(text) from None


def _float(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise _NoNumber(text)
    return number


_JSON = json.JSONDecoder(parse_constant=_float, parse_float=_float, parse_int=_int)
_JSON_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[^][{}:,"\s]+')
_BLANKS = " \t"
"""What may stand around a cookie's name and value (RFC 6265, section 5.2); other white space belongs to them."""
_PARAMETER = re.compile(r';[ \t]*([^\s;="]+)=("(?:[^"\\]|\\.)*"|[^\s;"]*)')
_CHARSETS = re.compile(
    r"utf-?(8|16|32)([-_]?[bl]e)?|us-ascii|ascii|latin-?1|(iso|windows|cp|koi8|gb|big5|euc|shift|sjis)[-_a-z0-9]*",
    re.IGNORECASE,
)
"""The charsets of text. Python has codecs of other things too, and some that a client could keep busy for minutes."""
_ESCAPED = re.compile(r"\\(?:([0-3][0-7][0-7])|(.))")
