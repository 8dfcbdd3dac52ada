"""Routing: from a path to the one who answers it, and back from a name to the path.

Rule 1: a router is a table of routes in order; where it includes another router, that one's routes stand in its
        place, as they are now and not as they were when it was included.
Rule 2: `lookup` alone decides which routes fit a path. What follows (methods, 404, 405, redirects) is the same
        for every router.
Rule 3: whatever is wrong with a route is said when it is added, and then nothing is changed.
Rule 4: a path is what stands below the root_path; it is decoded already, and no slash is dropped from it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Self, TypeVar

from .asgi_types import ASGIApp, Receive, Scope, Send
from .paths import Converter

E = TypeVar("E", bound=Callable[..., Any])


class Route(ABC):
    """One line of a router's table.

    `template` is its whole path, with all prefixes; `name` is what `url_for` calls it; of the routes of one
    router, those with a higher `priority` come first. `methods` are those that it answers, upper-case; empty
    where that does not matter. `kinds` are the types of connections that it answers.
    """

    kinds: ClassVar[frozenset[str]]
    methods: frozenset[str]
    priority = 0

    def __init__(self, template: str, name: str, converters: Mapping[str, Converter]) -> None:
        raise NotImplementedError("routing: Route.__init__")

    def under(self, prefix: str, name: str, converters: Mapping[str, Converter]) -> Self:
        """The same route below `prefix`, whose parameters may be of the kinds `converters`, and below `name`.

        Raises ValueError where prefix and path do not go together.
        """
        raise NotImplementedError("routing: Route.under")

    @property
    def templates(self) -> tuple[str, ...]:
        """The templates of the paths that the route fits."""
        raise NotImplementedError("routing: Route.templates")

    def serves(self, scope: Scope) -> bool:
        """Whether the route answers this connection, given that it fits the path."""
        raise NotImplementedError("routing: Route.serves")

    def url_for(self, name: str, params: Mapping[str, Any]) -> str | None:
        """The path of the route called `name`, percent-encoded, or None where that is another one.

        Raises ValueError for parameters that the route does not take.
        """
        raise NotImplementedError("routing: Route.url_for")

    def check(self) -> None:
        """Raises ValueError where the route's function needs what its path does not give; a Mount has none."""
        raise NotImplementedError("routing: Route.check")

    @abstractmethod
    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a connection that fits; `scope["path_params"]` has the values of the path's parameters."""


class HTTPRoute(Route):
    """A function that answers requests of some methods; what it returns becomes the response."""

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        methods: Iterable[str] = ("GET",),
        name: str | None = None,
        priority: int = 0,
        converters: Mapping[str, Converter] | None = None,
    ) -> None:
        raise NotImplementedError("routing: HTTPRoute.__init__")

    def check(self) -> None:
        raise NotImplementedError("routing: HTTPRoute.check")

    def serves(self, scope: Scope) -> bool:
        raise NotImplementedError("routing: HTTPRoute.serves")

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError("routing: HTTPRoute.handle")


class WebSocketRoute(Route):
    """A function that answers WebSockets; when it ends, so does the connection."""

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        name: str | None = None,
        priority: int = 0,
        converters: Mapping[str, Converter] | None = None,
    ) -> None:
        raise NotImplementedError("routing: WebSocketRoute.__init__")

    def check(self) -> None:
        raise NotImplementedError("routing: WebSocketRoute.check")

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError("routing: WebSocketRoute.handle")


class Mount(Route):
    """An ASGI application that answers everything at a path and below it.

    It sees a root_path that has grown by that path, and the whole path as before (ASGI HTTP, scope, root_path).
    Its lifespan is its own business: who mounts it does not run it.
    """

    def __init__(
        self, path: str, app: ASGIApp, *, name: str = "", converters: Mapping[str, Converter] | None = None
    ) -> None:
        raise NotImplementedError("routing: Mount.__init__")

    @property
    def templates(self) -> tuple[str, ...]:
        raise NotImplementedError("routing: Mount.templates")

    def url_for(self, name: str, params: Mapping[str, Any]) -> str | None:
        """The path of a file or route of the application: as `name:route`, or by `name` and a `path`."""
        raise NotImplementedError("routing: Mount.url_for")

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError("routing: Mount.handle")


class RouteDecorators(ABC):
    """The decorators by which a router, and an application, get their routes."""

    def route(
        self, path: str, *, methods: Iterable[str] = ("GET",), name: str | None = None, priority: int = 0
    ) -> Callable[[E], E]:
        """A decorator: the function answers requests of `methods` for `path`; see `add_route`."""
        raise NotImplementedError("routing: RouteDecorators.route")

    def get(self, path: str, *, name: str | None = None, priority: int = 0) -> Callable[[E], E]:
        """A decorator: the function answers GET, and HEAD with it (RFC 9110, section 9.3.2)."""
        raise NotImplementedError("routing: RouteDecorators.get")

    def head(self, path: str, *, name: str | None = None, priority: int = 0) -> Callable[[E], E]:
        """A decorator: the function answers HEAD alone."""
        raise NotImplementedError("routing: RouteDecorators.head")

    def post(self, path: str, *, name: str | None = None, priority: int = 0) -> Callable[[E], E]:
        """A decorator: the function answers POST."""
        raise NotImplementedError("routing: RouteDecorators.post")

    def put(self, path: str, *, name: str | None = None, priority: int = 0) -> Callable[[E], E]:
        """A decorator: the function answers PUT."""
        raise NotImplementedError("routing: RouteDecorators.put")

    def patch(self, path: str, *, name: str | None = None, priority: int = 0) -> Callable[[E], E]:
        """A decorator: the function answers PATCH."""
        raise NotImplementedError("routing: RouteDecorators.patch")

    def delete(self, path: str, *, name: str | None = None, priority: int = 0) -> Callable[[E], E]:
        """A decorator: the function answers DELETE."""
        raise NotImplementedError("routing: RouteDecorators.delete")

    def options(self, path: str, *, name: str | None = None, priority: int = 0) -> Callable[[E], E]:
        """A decorator: the function answers OPTIONS."""
        raise NotImplementedError("routing: RouteDecorators.options")

    def websocket(self, path: str, *, name: str | None = None, priority: int = 0) -> Callable[[E], E]:
        """A decorator: the function answers WebSockets; see `add_websocket_route`."""
        raise NotImplementedError("routing: RouteDecorators.websocket")

    @abstractmethod
    def add_route(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        methods: Iterable[str] = ("GET",),
        name: str | None = None,
        priority: int = 0,
    ) -> None:
        """Have `endpoint` answer requests of `methods` for `path`, a template of `compile_path`.

        It is called with the path's parameters that it names and, as `request`, with the Request; what it returns
        becomes the response. `name` (default: the function's) is for `url_for`; of the routes of one router,
        those with a higher `priority` come first. Raises ValueError for a path, methods or a function that cannot
        work, and then nothing is changed.
        """

    @abstractmethod
    def add_websocket_route(
        self, path: str, endpoint: Callable[..., Any], *, name: str | None = None, priority: int = 0
    ) -> None:
        """Have `endpoint` answer WebSockets for `path`; it is called as `add_route` says, with a WebSocket."""


class APIRouter(RouteDecorators):
    """A table of routes, and an ASGI application that hands each connection to the one that fits.

    `prefix` stands before each of its paths; `converters` are kinds of parameters beside the five, by name. With
    `redirect_slashes`, a path that nothing fits is sent to the one with, or without, a slash at its end if that
    fits. Inside an application a path or method that nothing fits raises HTTPException, 404 or 405; called bare
    the router answers by itself.
    """

    def __init__(
        self,
        prefix: str = "",
        *,
        converters: Mapping[str, Converter] | None = None,
        redirect_slashes: bool = True,
    ) -> None:
        raise NotImplementedError("routing: APIRouter.__init__")

    def add_route(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        methods: Iterable[str] = ("GET",),
        name: str | None = None,
        priority: int = 0,
    ) -> None:
        raise NotImplementedError("routing: APIRouter.add_route")

    def add_websocket_route(
        self, path: str, endpoint: Callable[..., Any], *, name: str | None = None, priority: int = 0
    ) -> None:
        raise NotImplementedError("routing: APIRouter.add_websocket_route")

    def mount(self, path: str, app: ASGIApp, *, name: str = "") -> None:
        """Have an ASGI application answer everything at `path` and below it; see `Mount`."""
        raise NotImplementedError("routing: APIRouter.mount")

    def include_router(self, router: APIRouter, prefix: str = "", *, name: str = "") -> None:
        """Put the routes of another router here, below `prefix`; what is added to it later counts too.

        With `name`, its routes are called `name:route`. Raises ValueError where paths and prefix do not go
        together, and for a router that includes this one.
        """
        raise NotImplementedError("routing: APIRouter.include_router")

    def attach(self) -> None:
        """Tell the router that it is the whole table of an application: from now on all its prefixes are known.

        Raises ValueError where a function needs what its path does not give, now and for what is added later.
        """
        raise NotImplementedError("routing: APIRouter.attach")

    def check(self) -> None:
        """Raises ValueError where a function needs what its path does not give."""
        raise NotImplementedError("routing: APIRouter.check")

    @property
    def routes(self) -> tuple[Route, ...]:
        """The table as it is now, in order, with the routes of all included routers at their places."""
        raise NotImplementedError("routing: APIRouter.routes")

    def lookup(self, path: str) -> Iterator[tuple[Route, dict[str, Any]]]:
        """All routes that fit `path`, the part below root_path, in the table's order, with their parameters.

        A router with another way of finding them overrides this.
        """
        raise NotImplementedError("routing: APIRouter.lookup")

    def url_for(self, name: str, /, **params: Any) -> str:
        """The path, percent-encoded, of the route called `name` with these parameters.

        Of several routes of that name, the first that takes the parameters. Raises ValueError where none does.
        """
        raise NotImplementedError("routing: APIRouter.url_for")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection, HTTP or WebSocket.

        A route that fits path and method wins over any that fits the path alone. Raises RuntimeError for a
        connection of another kind, and what the route raises.
        """
        raise NotImplementedError("routing: APIRouter.__call__")
