"""The application: the parts of the framework put together, and the names by which a user calls them.

Rule 1: a connection goes through, from the outside in: the outer error boundary, the middleware, the inner error
        boundary, the router. Lifespan goes through the same middleware, to the hooks.
Rule 2: nothing is decided here that a part could decide: an application only hands on.
Rule 3: the server's scope is copied once, on entry; what the framework writes, it writes into the copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from .asgi_types import ASGIApp, Receive, Scope, Send
from .errors import ErrorHandler
from .lifespan import Hook, Manager
from .middleware.chain import MiddlewareFunction
from .paths import Converter
from .routing import APIRouter, RouteDecorators

M = TypeVar("M", bound=MiddlewareFunction)
H = TypeVar("H", bound=Hook)
X = TypeVar("X", bound=ErrorHandler)


class FastASGI(RouteDecorators):
    """An ASGI application.

    `debug` shows the traceback of an exception that has no handler. `lifespan` is called with the application
    and gives an asynchronous context manager, entered at startup and exited at shutdown; the mapping that it
    gives becomes `request.state`. `converters` are kinds of path parameters beside the five. `redirect_slashes`
    sends `/a/` to `/a`, or the other way, where only that exists. `router` takes the place of a plain APIRouter.
    Raises ValueError for converters or redirect_slashes beside a router, which has its own.
    """

    def __init__(
        self,
        *,
        debug: bool = False,
        lifespan: Manager | None = None,
        exception_handlers: Mapping[int | type[Exception], ErrorHandler] | None = None,
        converters: Mapping[str, Converter] | None = None,
        redirect_slashes: bool = True,
        router: APIRouter | None = None,
    ) -> None:
        raise NotImplementedError("applications: FastASGI.__init__")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection (ASGI, Applications). Raises what has no handler, and for connections of other kinds."""
        raise NotImplementedError("applications: FastASGI.__call__")

    def add_route(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        methods: Iterable[str] = ("GET",),
        name: str | None = None,
        priority: int = 0,
    ) -> None:
        raise NotImplementedError("applications: FastASGI.add_route")

    def add_websocket_route(
        self, path: str, endpoint: Callable[..., Any], *, name: str | None = None, priority: int = 0
    ) -> None:
        raise NotImplementedError("applications: FastASGI.add_websocket_route")

    def include_router(self, router: APIRouter, prefix: str = "", *, name: str = "") -> None:
        """Put the routes of a router here, below `prefix`; see `APIRouter.include_router`."""
        raise NotImplementedError("applications: FastASGI.include_router")

    def mount(self, path: str, app: ASGIApp, *, name: str = "") -> None:
        """Have an ASGI application answer everything at `path` and below it; see `Mount`."""
        raise NotImplementedError("applications: FastASGI.mount")

    def url_for(self, name: str, /, **params: Any) -> str:
        """The path of the route called `name`, below this application's root; see `APIRouter.url_for`."""
        raise NotImplementedError("applications: FastASGI.url_for")

    def middleware(self, function: M) -> M:
        """A decorator: `async def function(request, call_next)` goes inside of the middleware added before.

        Raises RuntimeError once the first connection has come; see `MiddlewareChain.add_function`.
        """
        raise NotImplementedError("applications: FastASGI.middleware")

    def add_middleware(self, factory: Callable[..., ASGIApp], /, **options: Any) -> None:
        """Put the ASGI middleware `factory(app, **options)` inside of those added before; see `MiddlewareChain.add`."""
        raise NotImplementedError("applications: FastASGI.add_middleware")

    def on_event(self, event: str) -> Callable[[H], H]:
        """A decorator: the function is a step of `"startup"`, or of `"shutdown"`. Raises ValueError for others."""
        raise NotImplementedError("applications: FastASGI.on_event")

    def exception_handler(self, key: int | type[Exception]) -> Callable[[X], X]:
        """A decorator: the function `(request, error)` answers a status or a class of exceptions.

        Raises ValueError for a key that is neither; see `ExceptionHandlers`.
        """
        raise NotImplementedError("applications: FastASGI.exception_handler")

    def add_exception_handler(self, key: int | type[Exception], handler: ErrorHandler) -> None:
        """Have `handler(request, error)` answer a status or a class of exceptions; see `ExceptionHandlers.add`."""
        raise NotImplementedError("applications: FastASGI.add_exception_handler")
