"""The client: an application, driven in memory by the test that awaits it.

Rule 1: to the application it is a server that does all that ASGI allows, on the loop of the test, and nothing kinder.
Rule 2: each call of the application has a task of its own, and has ended when the client's method or block has.
Rule 3: what the application does wrong is raised in the test, whether the application noticed or not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

from ..asgi_types import Scope
from ..status import CloseCode
from ..urls import URL
from .call import Call, Connection, as_asgi3
from .channel import Channel
from .cookies import CookieJar
from .exchange import Exchange
from .failures import TooManyRedirects
from .forms import Fields, Files
from .lifespan import Lifespan
from .request import (
    Body,
    Content,
    HeaderSource,
    Request,
    make_request,
    merge_headers,
    redirected,
    with_cookies,
)
from .response import Response
from .server import Server
from .session import WebSocketSession
from .target import make_url, with_scheme_for
from .upload import uploading
from .watch import Watch

USUAL_EXTENSIONS = (
    "http.response.debug",
    "http.response.early_hint",
    "http.response.trailers",
    "websocket.http.response",
)
"""The extensions that a client offers unless it is told others: those by which an application can only say more."""


class HandshakeOptions(TypedDict, total=False):
    """What may be said of a request or a handshake beside its URL.

    `params` are put at the end of the query; `cookies` are sent with those of the jar, this once.
    """

    params: Fields | None
    headers: HeaderSource | None
    cookies: Mapping[str, str] | None


class Options(HandshakeOptions, total=False):
    """What may be said of a request besides.

    Its body is one of `content`, `json` (None is none: send that as `content`), `data` (a form) and `files` (a form
    in parts, with `data` as its other fields).
    """

    content: Content | None
    json: Any
    data: Fields | None
    files: Files | None
    follow_redirects: bool | None


class TestClient:
    """A client for any ASGI application, of version 3 or 2. `async with TestClient(app) as client` runs its lifespan.

    Used without `async with` it makes requests all the same, without a lifespan and without state.
    `base_url` and `root_path` stand before each path; `client` is the address that it seems to come from; `headers` go
    out with each request, and so do the `cookies` of its jar.
    With `raise_server_exceptions` what the application raises is raised in the test; without, the test sees what a
    client would. `timeout` is how many seconds of the loop's clock the application may be silent, None for ever.
    `extensions` are those that the scopes offer, of `EXTENSIONS`.
    """

    __test__ = False

    def __init__(
        self,
        app: Callable[..., Any],
        *,
        base_url: str = "http://testserver",
        root_path: str = "",
        raise_server_exceptions: bool = True,
        client: tuple[str, int] | None = ("testclient", 50000),
        headers: HeaderSource | None = None,
        cookies: CookieJar | None = None,
        follow_redirects: bool = True,
        max_redirects: int = 20,
        timeout: float | None = 30.0,
        extensions: Iterable[str] = USUAL_EXTENSIONS,
    ) -> None:
        """Raises ValueError for a base URL, root path or extension that is none."""
        self.headers = merge_headers([("user-agent", "testclient"), ("accept", "*/*")], headers or ())
        self.cookies = CookieJar() if cookies is None else cookies
        self._app = as_asgi3(app)
        self._base_url = make_url(base_url)
        self._server = Server(root_path, client, frozenset(extensions))
        self._surface = raise_server_exceptions
        self._follow_redirects = follow_redirects
        self._max_redirects = max_redirects
        self._watch = Watch(timeout)
        self._calls: set[Call] = set()
        self._lifespan: Lifespan | None = None

    @property
    def state(self) -> dict[str, Any] | None:
        """What the application has put into the lifespan's state, or None where there is no lifespan."""
        return None if self._lifespan is None else self._lifespan.state

    @property
    def lifespan_error(self) -> Exception | None:
        """The exception by which the application said that it has no lifespan, or None (ASGI Lifespan, Scope)."""
        return None if self._lifespan is None else self._lifespan.refusal

    async def request(self, method: str, url: str, **options: Unpack[Options]) -> Response:
        """Ask for `url` and read the whole response.

        `url` is a path below the base URL, written as it is to go out, or a whole URL. Returns when the application's
        call has ended. Raises ProtocolError if it broke the protocol, Stalled if it waits for ever, what it raised
        (or TruncatedResponse), TooManyRedirects, and ValueError or TypeError for arguments that make no request.
        """
        async with self.stream(method, url, **options) as response:
            await response.read()
        return response

    async def get(self, url: str, **options: Unpack[Options]) -> Response:
        """`request` with the method GET."""
        return await self.request("GET", url, **options)

    async def head(self, url: str, **options: Unpack[Options]) -> Response:
        """`request` with the method HEAD."""
        return await self.request("HEAD", url, **options)

    async def options(self, url: str, **options: Unpack[Options]) -> Response:
        """`request` with the method OPTIONS."""
        return await self.request("OPTIONS", url, **options)

    async def post(self, url: str, **options: Unpack[Options]) -> Response:
        """`request` with the method POST."""
        return await self.request("POST", url, **options)

    async def put(self, url: str, **options: Unpack[Options]) -> Response:
        """`request` with the method PUT."""
        return await self.request("PUT", url, **options)

    async def patch(self, url: str, **options: Unpack[Options]) -> Response:
        """`request` with the method PATCH."""
        return await self.request("PATCH", url, **options)

    async def delete(self, url: str, **options: Unpack[Options]) -> Response:
        """`request` with the method DELETE."""
        return await self.request("DELETE", url, **options)

    @asynccontextmanager
    async def stream(self, method: str, url: str, **options: Unpack[Options]) -> AsyncIterator[Response]:
        """Ask for `url`, and inside the block read the response while the application still makes it.

        Leaving the block before the end is a client that disconnects. Takes and raises what `request` does.
        """
        request = self._make_request(method, url, options)
        follow = options.get("follow_redirects")
        follow = self._follow_redirects if follow is None else follow
        history: list[Response] = []
        while True:
            async with self._open(request) as response:
                response.history = history
                if not (follow and response.is_redirect):
                    yield response
                    return
                await response.read()
            history = [*history, response]
            if len(history) > self._max_redirects:
                raise TooManyRedirects(
                    f"{history[0].url} was redirected more than {self._max_redirects} times, at last to "
                    f"{response.headers['location']}: look for a loop, or raise max_redirects"
                )
            request = redirected(request, response.status_code, response.headers)

    @asynccontextmanager
    async def websocket(
        self, url: str, *, subprotocols: Sequence[str] = (), **options: Unpack[HandshakeOptions]
    ) -> AsyncIterator[WebSocketSession]:
        """Open a websocket, and speak over it inside the block. Leaving the block closes it, with 1000.

        Raises WebSocketRefused if the application refuses the handshake, and what `request` does.
        """
        request = self._make_handshake(url, subprotocols, options)
        offers = _listed(request.headers.getlist("sec-websocket-protocol"))
        channel = Channel(f"websocket {request.url.path}", offers, self._server.extensions)
        scope = self._scope("websocket", request) | {"subprotocols": offers}
        async with self._call(scope, channel) as call:
            await call.until(lambda: channel.answered or channel.over)
            if channel.accepted is None:
                raise self._refusal(channel, call, request.url)
            self.cookies.store(request.url, channel.accepted.headers.getlist("set-cookie"))
            yield WebSocketSession(channel.accepted, channel, call)
            channel.leave(CloseCode.NORMAL)

    async def __aenter__(self) -> Self:
        if self._lifespan is not None:
            raise RuntimeError("the client is in use already: leave its block, or make another client")
        self._lifespan = Lifespan(self._app, self._watch)
        try:
            await self._lifespan.start()
        except BaseException:
            self._lifespan = None
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lifespan, self._lifespan = self._lifespan, None
        assert lifespan is not None  # __aenter__ made it
        try:
            try:
                for call in list(self._calls):
                    await call.close()
            finally:
                await lifespan.stop()
        except Exception as failure:
            if error is None:
                raise
            error.add_note(f"The application ended badly, too: {failure!r}")

    @asynccontextmanager
    async def _open(self, request: Request) -> AsyncIterator[Response]:
        """Send one request, and show its response inside the block."""
        exchange = Exchange(
            f"{request.method} {request.url.path}",
            method=request.method,
            takes_trailers="trailers" in request.headers.get("te", "").lower(),
            offered=self._server.extensions,
        )
        scope = self._scope("http", request) | {"method": request.method}
        async with (
            self._call(scope, exchange) as call,
            uploading(request.content, exchange, call),
        ):
            await call.until(lambda: exchange.head is not None or exchange.gone)
            failure = exchange.cause or (call.failure() if call.ended else None)
            if failure is not None or exchange.head is None:
                raise failure or RuntimeError("the client was left while it waited for a response")
            response = Response(request.url, exchange.head, exchange, call)
            response.cookies = self.cookies.store(request.url, response.headers.getlist("set-cookie"))
            yield response

    @asynccontextmanager
    async def _call(self, scope: Scope, connection: Connection) -> AsyncIterator[Call]:
        async with Call(self._app, scope, connection, self._watch, surface=self._surface) as call:
            self._calls.add(call)
            try:
                yield call
            finally:
                self._calls.discard(call)

    def _make_request(self, method: str, url: str, options: Options) -> Request:
        return make_request(
            method,
            self._url("http", url, options.get("params")),
            Body(options.get("content"), options.get("json"), options.get("data"), options.get("files")),
            merge_headers(self.headers, options.get("headers") or ()),
            options.get("cookies"),
        )

    def _make_handshake(self, url: str, subprotocols: Sequence[str], options: HandshakeOptions) -> Request:
        """The request that opens a websocket (RFC 6455, section 4.1)."""
        asked = [("sec-websocket-protocol", ", ".join(subprotocols))] if subprotocols else []
        given = merge_headers(self.headers, options.get("headers") or ())
        return make_request(
            "GET",
            self._url("websocket", url, options.get("params")),
            Body(),
            merge_headers([*_HANDSHAKE, *asked], given),
            options.get("cookies"),
        )

    def _url(self, kind: str, url: str, params: Fields | None) -> URL:
        return with_scheme_for(kind, make_url(url, self._base_url, self._server.root_path, params))

    def _scope(self, kind: str, request: Request) -> dict[str, Any]:
        headers = with_cookies(request.headers, self.cookies.for_url(request.url))
        return self._server.scope(kind, replace(request, headers=headers), self.state)

    def _refusal(self, channel: Channel, call: Call, url: URL) -> BaseException:
        """Why there is no websocket."""
        failure = call.failure() if call.ended else None
        if channel.refusal is not None:
            self.cookies.store(url, channel.refusal.headers.getlist("set-cookie"))
        return (
            failure or channel.refusal or RuntimeError("the client was left while it waited for a handshake")
        )


def _listed(values: Iterable[str]) -> list[str]:
    """The elements of a header that is a list (RFC 9110, section 5.6.1)."""
    return [element.strip() for value in values for element in value.split(",") if element.strip()]


_HANDSHAKE = (
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),  # that of RFC 6455, section 1.3: nobody checks it here
    ("sec-websocket-version", "13"),
)
