"""Requests: a connection as a handler wants to see it.

Rule 1: nothing is read or parsed before somebody asks for it, and then once.
Rule 2: what a server may leave out of a scope has its default here (ASGI HTTP, HTTP connection scope).
Rule 3: one place calls `receive`, and what came is kept in order until it is read: nobody's look ahead loses a chunk.
Rule 4: the body is read once. After its last chunk, `receive` is called only to learn whether the client is gone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import cached_property
from typing import Any, NamedTuple

from .asgi_types import Message, Receive, Scope
from .datastructures import Headers, QueryParams, State
from .exceptions import HTTPException
from .formdata import FormData, FormLimits
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
        raise NotImplementedError("requests: HTTPConnection.__init__")

    @property
    def app(self) -> Any:
        """The application that handles the connection. Raises RuntimeError where there is none."""
        raise NotImplementedError("requests: HTTPConnection.app")

    @cached_property
    def headers(self) -> Headers:
        """The headers, in the order in which they came; names ignore case, values are latin-1."""
        raise NotImplementedError("requests: HTTPConnection.headers")

    @cached_property
    def query_params(self) -> QueryParams:
        """The fields of the query string, decoded."""
        raise NotImplementedError("requests: HTTPConnection.query_params")

    @cached_property
    def cookies(self) -> dict[str, str]:
        """The cookies by name, of all Cookie headers (RFC 6265, section 5.4); the first of a name counts."""
        raise NotImplementedError("requests: HTTPConnection.cookies")

    @cached_property
    def url(self) -> URL:
        """The URL that was asked for, as far as the scope tells it."""
        raise NotImplementedError("requests: HTTPConnection.url")

    @cached_property
    def base_url(self) -> URL:
        """The URL of the application's root, without a query; http or https for a WebSocket too."""
        raise NotImplementedError("requests: HTTPConnection.base_url")

    @property
    def client(self) -> Address | None:
        """Where the connection comes from, or None where the server does not tell."""
        raise NotImplementedError("requests: HTTPConnection.client")

    @property
    def path_params(self) -> dict[str, Any]:
        """The values of the path's parameters, by name; empty before a route was found."""
        raise NotImplementedError("requests: HTTPConnection.path_params")

    @cached_property
    def state(self) -> State:
        """What the lifespan and the middleware left for this connection (ASGI lifespan, Lifespan State)."""
        raise NotImplementedError("requests: HTTPConnection.state")

    def url_for(self, name: str, /, **params: Any) -> URL:
        """The full URL of the application's route `name` with these path parameters.

        Raises ValueError where no route of that name takes them.
        """
        raise NotImplementedError("requests: HTTPConnection.url_for")


class Request(HTTPConnection):
    """One HTTP request.

    `scope` and `receive` are those of the ASGI call; without `receive` there is a request, but no body to read.
    Raises RuntimeError for a scope of another kind.
    """

    def __init__(self, scope: Scope, receive: Receive | None = None) -> None:
        raise NotImplementedError("requests: Request.__init__")

    @property
    def method(self) -> str:
        """The method, as it came: methods are case-sensitive (RFC 9110, section 9.1)."""
        raise NotImplementedError("requests: Request.method")

    async def stream(self) -> AsyncIterator[bytes]:
        """The body in chunks, as they come; none is empty.

        After `body()`, the whole body once more. Raises RuntimeError where the body was streamed before, and
        ClientDisconnect where the client goes away before its end (ASGI HTTP, Disconnect).
        """
        raise NotImplementedError("requests: Request.stream")
        yield  # never reached: it makes this an async generator

    async def body(self) -> bytes:
        """The whole body, read at the first call and kept. Raises what `stream` raises."""
        raise NotImplementedError("requests: Request.body")

    async def text(self) -> str:
        """The body as text, in the Content-Type's charset (default UTF-8); undecodable bytes become U+FFFD.

        Raises HTTPException(415) for a charset that is not known.
        """
        raise NotImplementedError("requests: Request.text")

    async def json(self) -> Any:
        """The value that the body holds as JSON (RFC 8259), whatever the Content-Type says.

        Raises InvalidJSON, which is a ValueError and an HTTPException(400), for anything else.
        """
        raise NotImplementedError("requests: Request.json")

    async def form(self, limits: FormLimits | None = None) -> FormData:
        """The fields of a form, urlencoded or multipart; empty where there is no Content-Type. Read once.

        Raises HTTPException: 400 for a malformed body, 413 for one over `limits`, 415 for another content type.
        """
        raise NotImplementedError("requests: Request.form")

    async def close(self) -> None:
        """Close the files of the form, if it was read, and stop looking out for events."""
        raise NotImplementedError("requests: Request.close")

    async def is_disconnected(self) -> bool:
        """Whether the client is known to be gone, without waiting. Chunks that come on the way are kept."""
        raise NotImplementedError("requests: Request.is_disconnected")

    async def receive(self) -> Message:
        """An ASGI `receive` for whoever answers the request: gives `http.disconnect`, once the client is gone.

        It takes no chunk away from the body's reader, and gives none: an application further in gets `forward`.
        """
        raise NotImplementedError("requests: Request.receive")

    async def forward(self) -> Message:
        """An ASGI `receive` for an application further in, which gets the body although `body()` has read it.

        Where this request has not read it, events pass as they are, and the body is the application's: it cannot
        be read here any more. Raises RuntimeError where the body was streamed away.
        """
        raise NotImplementedError("requests: Request.forward")


LOOK_AHEAD = 64 * 1024
"""How many bytes of an unread body are kept, at least, while somebody wants to know whether the client is gone."""
