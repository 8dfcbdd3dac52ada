"""The application: the parts of the framework put together, and the names by which a user calls them.

Rule 1: a connection goes through, from the outside in: the outer error boundary, the middleware, the inner error
        boundary, the router. Lifespan goes through the same middleware, to the hooks.
Rule 2: nothing is decided here that a part could decide: an application only hands on.
Rule 3: the server's scope is copied once, on entry; what the framework writes, it writes into the copy.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar

from .asgi_types import ASGIApp, Receive, Scope, Send
from .datastructures import State
from .errors import ErrorBoundary, ErrorHandler, ExceptionHandlers
from .lifespan import Hook, Lifespan, Manager
from .middleware.chain import MiddlewareChain, MiddlewareFunction
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
        if router is not None and (converters or not redirect_slashes):
            raise ValueError(
                "converters and redirect_slashes belong to the router: give them to it when you make it"
            )
        self.state = State()
        if router is None:
            router = APIRouter(converters=converters, redirect_slashes=redirect_slashes)
        self.router = router
        self.router.attach()
        self._lifespan = Lifespan(lifespan, app=self)
        self._handlers = ExceptionHandlers(exception_handlers)
        self._inner = ErrorBoundary(self.router, self._handlers)
        self._chain = MiddlewareChain(self._dispatch)
        self._app = ErrorBoundary(self._chain, self._handlers, outermost=True, debug=debug)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection (ASGI, Applications). Raises what has no handler, and for connections of other kinds."""
        await self._app(self._entered(scope), receive, send)

    def _entered(self, scope: Scope) -> Scope:
        """The scope for everything further in: a copy that names the application, with headers to read twice."""
        entered = {**scope, "fastasgi.app": self}
        if scope["type"] != "lifespan":
            entered.pop("fastasgi.root_path", None)  # that of an application around this one
            entered.setdefault("state", {})
            if not isinstance(entered.get("headers"), list | tuple):
                entered["headers"] = [tuple(pair) for pair in entered.get("headers") or ()]
        return entered

    def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        app = self._lifespan if scope["type"] == "lifespan" else self._inner
        return app(scope, receive, send)

    def add_route(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        methods: Iterable[str] = ("GET",),
        name: str | None = None,
        priority: int = 0,
    ) -> None:
        self.router.add_route(path, endpoint, methods=methods, name=name, priority=priority)

    def add_websocket_route(
        self, path: str, endpoint: Callable[..., Any], *, name: str | None = None, priority: int = 0
    ) -> None:
        self.router.add_websocket_route(path, endpoint, name=name, priority=priority)

    def include_router(self, router: APIRouter, prefix: str = "", *, name: str = "") -> None:
        """Put the routes of a router here, below `prefix`; see `APIRouter.include_router`."""
        self.router.include_router(router, prefix, name=name)

    def mount(self, path: str, app: ASGIApp, *, name: str = "") -> None:
        """Have an ASGI application answer everything at `path` and below it; see `Mount`."""
        self.router.mount(path, app, name=name)

    def url_for(self, name: str, /, **params: Any) -> str:
        """The path of the route called `name`, below this application's root; see `APIRouter.url_for`."""
        return self.router.url_for(name, **params)

    def middleware(self, function: M) -> M:
        """A decorator: `async def function(request, call_next)` goes inside of the middleware added before.

        Raises RuntimeError once the first connection has come; see `MiddlewareChain.add_function`.
        """
        self._chain.add_function(function)
        return function

    def add_middleware(self, factory: Callable[..., ASGIApp], /, **options: Any) -> None:
        """Put the ASGI middleware `factory(app, **options)` inside of those added before; see `MiddlewareChain.add`."""
        self._chain.add(factory, **options)

    def on_event(self, event: str) -> Callable[[H], H]:
        """A decorator: the function is a step of `"startup"`, or of `"shutdown"`. Raises ValueError for others."""
        if event not in ("startup", "shutdown"):
            raise ValueError(f"there is no event {event!r}: use 'startup' or 'shutdown'")
        return self._lifespan.on_startup if event == "startup" else self._lifespan.on_shutdown

    def exception_handler(self, key: int | type[Exception]) -> Callable[[X], X]:
        """A decorator: the function `(request, error)` answers a status or a class of exceptions.

        Raises ValueError for a key that is neither; see `ExceptionHandlers`.
        """

        def register(handler: X) -> X:
            self.add_exception_handler(key, handler)
            return handler

        return register

    def add_exception_handler(self, key: int | type[Exception], handler: ErrorHandler) -> None:
        """Have `handler(request, error)` answer a status or a class of exceptions; see `ExceptionHandlers.add`."""
        self._handlers.add(key, handler)
