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
from email.message import Message as Fields
from functools import cached_property
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
        if "app" not in self.scope:
            raise RuntimeError("the scope names no application: this connection is not handled by a FastASGI")
        return self.scope["app"]

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
        root = self.scope.get("app_root_path", self.scope.get("root_path", ""))
        secure = {"ws": "http", "wss": "https"}.get(scheme, scheme)
        return URL.from_scope(self._scope_with(type="http", scheme=secure, path=root, query_string=b""))

    @property
    def client(self) -> Address | None:
        """Where the connection comes from, or None where the server does not tell."""
        client = self.scope.get("client")
        return None if client is None else Address(*client)

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
        return URL(str(self.base_url).rstrip("/") + self.app.url_for(name, **params))

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
        self._streamed = False
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
        if self._streamed:
            raise RuntimeError(
                "the body was streamed already: read it by body(), which keeps it, and ask again"
            )
        self._streamed = True
        while (chunk := await self._inbox.chunk()) is not None:
            yield chunk

    async def body(self) -> bytes:
        """The whole body, read at the first call. Raises what `stream` raises."""
        if self._body is None:
            self._body = b"".join([chunk async for chunk in self.stream()])
        return self._body

    async def text(self) -> str:
        """The body as text, in the Content-Type's charset (default UTF-8); undecodable bytes become U+FFFD.

        Raises HTTPException(415) for a charset that is not known.
        """
        charset = _charset(self.headers.get("content-type", ""))
        body = await self.body()
        try:
            return body.decode(charset, "replace")
        except (LookupError, UnicodeError):
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
        if self._form is None:
            self._form = await self._read_form(limits or FormLimits())
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
        """Close the files of the form, if it was read."""
        if self._form is not None:
            await self._form.close()

    async def is_disconnected(self) -> bool:
        """Whether the client is known to be gone, without waiting. Chunks that come on the way are kept."""
        try:
            async with asyncio.timeout(0):
                await self._inbox.disconnect()
        except TimeoutError:
            pass
        return self._inbox.gone

    async def receive(self) -> Message:
        """An ASGI `receive` for whoever answers the request: gives `http.disconnect`, once the client is gone.

        It takes no chunk away from the body's reader.
        """
        await self._inbox.disconnect()
        return {"type": "http.disconnect"}

    async def forward(self) -> Message:
        """An ASGI `receive` for an application further in, which gets the body although `body()` has read it.

        While this request has read nothing, events pass as they are. Raises RuntimeError where the body was
        streamed away.
        """
        if "_inbox" not in self.__dict__ and self._body is None:
            return await self._receive()
        if self._forwarded:
            return await self.receive()
        if self._body is not None:
            self._forwarded = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        if self._streamed:
            raise RuntimeError(
                "the body was streamed away before the application: read it by body(), which keeps it"
            )
        return await self._forward_chunk()

    async def _forward_chunk(self) -> Message:
        try:
            chunk = await self._inbox.chunk()
        except ClientDisconnect:
            return {"type": "http.disconnect"}
        self._forwarded = chunk is None
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

    @cached_property
    def _inbox(self) -> _Inbox:
        return _Inbox(self._receive)


LOOK_AHEAD = 64 * 1024
"""How many bytes of an unread body are kept, at least, while somebody wants to know whether the client is gone."""


class _Inbox:
    """The one place that calls `receive`. What it gives is kept in order; several tasks may wait for it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._complete = False
        self._turn = asyncio.Lock()
        self._room = asyncio.Event()
        self.gone = False

    async def chunk(self) -> bytes | None:
        """The next chunk, or None after the last. Raises ClientDisconnect where the body breaks off."""
        while not self._chunks:
            if self._complete:
                return None
            if self.gone:
                raise ClientDisconnect("the client went away before the end of its request")
            async with self._turn:
                if not (self._chunks or self._complete or self.gone):
                    self._keep(await self._receive())
        chunk = self._chunks.popleft()
        self._size -= len(chunk)
        self._room.set()
        return chunk

    async def disconnect(self) -> None:
        """Wait until the client is gone."""
        while not self.gone:
            if self._is_full():
                self._room.clear()
                await self._room.wait()
                continue
            async with self._turn:
                if not (self.gone or self._is_full()):
                    self._keep(await self._receive())

    def _is_full(self) -> bool:
        return self._size >= LOOK_AHEAD and not self._complete

    def _keep(self, event: Message) -> None:
        if event["type"] == "http.disconnect":
            self.gone = True
        elif event["type"] != "http.request":
            raise RuntimeError(
                f"expected http.request or http.disconnect from the server, got {event['type']!r}"
            )
        elif not self._complete:
            self._complete = not event.get("more_body", False)
            self._add(event.get("body", b""))

    def _add(self, body: Any) -> None:
        if not isinstance(body, bytes):
            raise RuntimeError(f"expected bytes as `body` of http.request, got {type(body).__name__}")
        if body:
            self._chunks.append(body)
            self._size += len(body)


async def _no_receive() -> NoReturn:
    raise RuntimeError("this request was made without `receive`: its body cannot be read")


def _cookies(header: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in header.split(";"):
        name, equals, value = pair.partition("=")
        if equals and name.strip():
            found.setdefault(name.strip(), _unquoted(value.strip()))
    return found


def _unquoted(value: str) -> str:
    """The value of a cookie without quotes and escapes, as `Response.set_cookie` and `http.cookies` write them."""
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)) if found[1] else found[2], value[1:-1])


def _charset(content_type: str) -> str:
    fields = Fields()
    fields["content-type"] = content_type
    return fields.get_content_charset("utf-8")


def _json(body: bytes) -> Any:
    try:
        return _JSON.decode(body.decode())
    except UnicodeDecodeError as error:
        raise InvalidJSON(f"the body is not UTF-8: byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise InvalidJSON(
            f"the body is no JSON: {error.msg}: line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise InvalidJSON("the body is nested too deeply") from None
    except ValueError as error:
        raise InvalidJSON(f"the body is no JSON: {error}") from None


def _no_constant(name: str) -> NoReturn:
    """NaN and infinity are no JSON (RFC 8259, section 6), though Python reads them unless told otherwise."""
    raise ValueError(f"{name} is no number in JSON")


_JSON = json.JSONDecoder(parse_constant=_no_constant)
_ESCAPED = re.compile(r"\\(?:([0-3][0-7][0-7])|(.))")
