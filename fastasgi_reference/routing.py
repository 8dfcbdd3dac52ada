"""Routing: from a path to the one who answers it, and back from a name to the path.

Rule 1: a router is a table of routes in order; where it includes another router, that one's routes stand in its
        place, as they are now and not as they were when it was included.
Rule 2: `lookup` alone decides which routes fit a path. What follows (methods, 404, 405, redirects) is the same
        for every router.
Rule 3: whatever is wrong with a route is said when it is added, and then nothing is changed.
Rule 4: a path is what stands below the root_path; it is decoded already, and no slash is dropped from it.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeVar
from urllib.parse import quote
from weakref import WeakSet

from .asgi_types import ASGIApp, Receive, Scope, Send, require_type
from .exceptions import HTTPException
from .handlers import Handler, to_response
from .paths import Converter, compile_path
from .requests import Request
from .responses import error_response, redirect_response
from .urls import path_under_root
from .websockets import WebSocket

E = TypeVar("E", bound=Callable[..., Any])


class Route(ABC):
    """One line of a router's table.

    `template` is its whole path, with all prefixes; `name` is what `url_for` calls it; of the routes of one
    router, those with a higher `priority` come first. `methods` are those that it answers, upper-case; empty
    where that does not matter. `kinds` are the types of connections that it answers.
    """

    kinds: ClassVar[frozenset[str]]
    methods: frozenset[str] = frozenset()
    priority = 0

    def __init__(self, template: str, name: str, converters: Mapping[str, Converter]) -> None:
        self._place(template, name, converters)

    def _place(self, template: str, name: str, converters: Mapping[str, Converter]) -> None:
        self.template = template
        self.name = name
        self.converters = converters
        self._compiled = compile_path(template, converters)
        self.match: Callable[[str], dict[str, Any] | None] = self._compiled.match
        """The values of the path's parameters where the route fits a path, else None."""

    def under(self, prefix: str, name: str, converters: Mapping[str, Converter]) -> Self:
        """The same route below `prefix`, whose parameters may be of the kinds `converters`, and below `name`.

        Raises ValueError where prefix and path do not go together.
        """
        route = copy(self)
        route._place(prefix + self.template, name + self.name, _merged(converters, self.converters))
        return route

    @property
    def templates(self) -> tuple[str, ...]:
        """The templates of the paths that the route fits."""
        return (self.template,)

    def serves(self, scope: Scope) -> bool:
        """Whether the route answers this connection, given that it fits the path."""
        return scope["type"] in self.kinds

    def url_for(self, name: str, params: Mapping[str, Any]) -> str | None:
        """The path of the route called `name`, percent-encoded, or None where that is another one.

        Raises ValueError for parameters that the route does not take.
        """
        return self._compiled.format(**params) if name == self.name else None

    def check(self) -> None:  # noqa: B027 - not each kind of route has something to check
        """Raises ValueError where the route's function needs what its path does not give; a Mount has none."""

    @abstractmethod
    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a connection that fits; `scope["path_params"]` has the values of the path's parameters."""


class HTTPRoute(Route):
    """A function that answers requests of some methods; what it returns becomes the response."""

    kinds = frozenset({"http"})

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
        super().__init__(path, _name(endpoint, name), converters or {})
        self.priority = priority
        self.methods = _methods(methods)
        self._handler = Handler(endpoint, Request)

    def check(self) -> None:
        self._handler.check(_parameters(self.template), self.template)

    def serves(self, scope: Scope) -> bool:
        return scope["type"] == "http" and scope["method"] in self.methods

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = to_response(await self._handler(request, scope["path_params"]))
            await response(scope, request.receive, send)
        finally:
            await request.close()


class WebSocketRoute(Route):
    """A function that answers WebSockets; when it ends, so does the connection."""

    kinds = frozenset({"websocket"})

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        name: str | None = None,
        priority: int = 0,
        converters: Mapping[str, Converter] | None = None,
    ) -> None:
        super().__init__(path, _name(endpoint, name), converters or {})
        self.priority = priority
        self._handler = Handler(endpoint, WebSocket)

    def check(self) -> None:
        self._handler.check(_parameters(self.template), self.template)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with WebSocket(scope, receive, send) as websocket:
            await self._handler(websocket, scope["path_params"])


class Mount(Route):
    """An ASGI application that answers everything at a path and below it.

    It sees a root_path that has grown by that path, and the whole path as before (ASGI HTTP, scope, root_path).
    Its lifespan is its own business: who mounts it does not run it.
    """

    kinds = frozenset({"http", "websocket"})

    def __init__(
        self, path: str, app: ASGIApp, *, name: str = "", converters: Mapping[str, Converter] | None = None
    ) -> None:
        if not callable(app):
            raise ValueError(f"{app!r} cannot be called: mount an ASGI application")
        super().__init__(path.rstrip("/") + _BELOW, name, converters or {})
        self.app = app

    def _place(self, template: str, name: str, converters: Mapping[str, Converter]) -> None:
        super()._place(template, name, converters)
        self._root = compile_path(self.templates[0], converters)
        self.match = self._match

    @property
    def templates(self) -> tuple[str, ...]:
        return (self.template.removesuffix(_BELOW), self.template)

    def _match(self, path: str) -> dict[str, Any] | None:
        """The values of the parameters, and what stands below the mounted path as `path`."""
        found = self._compiled.match(path)
        if found is None and (found := self._root.match(path)) is not None:
            found["path"] = ""
        return found

    def url_for(self, name: str, params: Mapping[str, Any]) -> str | None:
        """The path of a file or route of the application: as `name:route`, or by `name` and a `path`."""
        if self.name and name == self.name:
            return self._compiled.format(**{**params, **_without_slash(params)})
        # A router that was included by name has put `name:` before; of a mount without a name, that is all.
        prefix = f"{self.name.removesuffix(':')}:" if self.name else ""
        inner = getattr(self.app, "url_for", None)
        if inner is None or not name.startswith(prefix):
            return None
        own = _parameters(self.templates[0])
        root = self._root.format(**{key: value for key, value in params.items() if key in own})
        others = {key: value for key, value in params.items() if key not in own}
        return root + str(inner(name.removeprefix(prefix), **others))

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        params = dict(scope["path_params"])
        rest = params.pop("path")
        path = _whole_path(scope)
        root = path[: len(path) - len(rest)].removesuffix("/")
        inner = {**scope, "path": path, "root_path": root, "path_params": params}
        inner.setdefault(
            "fastasgi.root_path", scope.get("root_path") or ""
        )  # where links of the application begin
        await self.app(inner, receive, send)


class RouteDecorators(ABC):
    """The decorators by which a router, and an application, get their routes."""

    def route(
        self, path: str, *, methods: Iterable[str] = ("GET",), name: str | None = None, priority: int = 0
    ) -> Callable[[E], E]:
        """A decorator: the function answers requests of `methods` for `path`; see `add_route`."""

        def register(endpoint: E) -> E:
            self.add_route(path, endpoint, methods=methods, name=name, priority=priority)
            return endpoint

        return register

    def get(self, path: str, *, name: str | None = None, priority: int = 0) -> Callable[[E], E]:
        """A decorator: the function answers GET, and HEAD with it (RFC 9110, section 9.3.2)."""
        return self.route(path, methods=("GET",), name=name, priority=priority)

    def head(self, path: str, *, name: str | None = None, priority: int = 0) -> Callable[[E], E]:
        """A decorator: the function answers HEAD alone."""
        return self.route(path, methods=("HEAD",), name=name, priority=priority)

    def post(self, path: str, *, name: str | None = None, priority: int = 0) -> Callable[[E], E]:
        """A decorator: the function answers POST."""
        return self.route(path, methods=("POST",), name=name, priority=priority)

    def put(self, path: str, *, name: str | None = None, priority: int = 0) -> Callable[[E], E]:
        """A decorator: the function answers PUT."""
        return self.route(path, methods=("PUT",), name=name, priority=priority)

    def patch(self, path: str, *, name: str | None = None, priority: int = 0) -> Callable[[E], E]:
        """A decorator: the function answers PATCH."""
        return self.route(path, methods=("PATCH",), name=name, priority=priority)

    def delete(self, path: str, *, name: str | None = None, priority: int = 0) -> Callable[[E], E]:
        """A decorator: the function answers DELETE."""
        return self.route(path, methods=("DELETE",), name=name, priority=priority)

    def options(self, path: str, *, name: str | None = None, priority: int = 0) -> Callable[[E], E]:
        """A decorator: the function answers OPTIONS."""
        return self.route(path, methods=("OPTIONS",), name=name, priority=priority)

    def websocket(self, path: str, *, name: str | None = None, priority: int = 0) -> Callable[[E], E]:
        """A decorator: the function answers WebSockets; see `add_websocket_route`."""

        def register(endpoint: E) -> E:
            self.add_websocket_route(path, endpoint, name=name, priority=priority)
            return endpoint

        return register

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
        self.prefix = _prefix(prefix)
        self.converters = dict(converters or {})
        self._redirect_slashes = redirect_slashes
        self._entries: list[Route | _Included] = []
        self._table: tuple[Route, ...] | None = None
        self._includers: WeakSet[APIRouter] = WeakSet()
        self._attached = False
        self._checked = False

    def add_route(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        methods: Iterable[str] = ("GET",),
        name: str | None = None,
        priority: int = 0,
    ) -> None:
        template = self.prefix + _path(path)
        self._add(
            HTTPRoute(
                template, endpoint, methods=methods, name=name, priority=priority, converters=self.converters
            )
        )

    def add_websocket_route(
        self, path: str, endpoint: Callable[..., Any], *, name: str | None = None, priority: int = 0
    ) -> None:
        template = self.prefix + _path(path)
        self._add(
            WebSocketRoute(template, endpoint, name=name, priority=priority, converters=self.converters)
        )

    def mount(self, path: str, app: ASGIApp, *, name: str = "") -> None:
        """Have an ASGI application answer everything at `path` and below it; see `Mount`."""
        template = self.prefix + _path(path.rstrip("/"))
        self._add(Mount(template, app, name=name, converters=self.converters))

    def include_router(self, router: APIRouter, prefix: str = "", *, name: str = "") -> None:
        """Put the routes of another router here, below `prefix`; what is added to it later counts too.

        With `name`, its routes are called `name:route`. Raises ValueError where paths and prefix do not go
        together, and for a router that includes this one.
        """
        if self in router._family():
            raise ValueError("a router cannot include itself, nor one that includes it")
        included = _Included(router, self.prefix + _prefix(prefix), f"{name}:" if name else "")
        for route in included.routes(self.converters):
            self._check_placed(route)
        router._includers.add(self)
        self._append(included)

    def attach(self) -> None:
        """Tell the router that it is the whole table of an application: from now on all its prefixes are known.

        Raises ValueError where a function needs what its path does not give, now and for what is added later.
        """
        self.check()
        self._attached = True

    def check(self) -> None:
        """Raises ValueError where a function needs what its path does not give."""
        for route in self.routes:
            route.check()
        self._checked = True

    @property
    def routes(self) -> tuple[Route, ...]:
        """The table as it is now, in order, with the routes of all included routers at their places."""
        if self._table is None:
            self._table = tuple(self._flattened())
        return self._table

    def lookup(self, path: str) -> Iterator[tuple[Route, dict[str, Any]]]:
        """All routes that fit `path`, the part below root_path, in the table's order, with their parameters.

        A router with another way of finding them overrides this.
        """
        for route in self.routes:
            params = route.match(path)
            if params is not None:
                yield route, params

    def url_for(self, name: str, /, **params: Any) -> str:
        """The path, percent-encoded, of the route called `name` with these parameters.

        Of several routes of that name, the first that takes the parameters. Raises ValueError where none does.
        """
        reasons = []
        for route in self.routes:
            try:
                path = route.url_for(name, params)
            except ValueError as error:
                reasons.append(str(error))
            else:
                if path is not None:
                    return path
        raise ValueError(
            "; ".join(reasons) or f"no route is called {name!r}: give the name of one of the routes"
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection, HTTP or WebSocket.

        A route that fits path and method wins over any that fits the path alone. Raises RuntimeError for a
        connection of another kind, and what the route raises.
        """
        require_type(scope, "http", "websocket")
        if not self._checked:
            self.check()
        allowed: frozenset[str] = frozenset()
        for route, params in self.lookup(path_under_root(scope)):
            if route.serves(scope):
                await route.handle(_found(scope, route, params), receive, send)
                return
            allowed |= route.methods
        await self._refuse(scope, receive, send, allowed)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, allowed: frozenset[str]) -> None:
        """Answer a connection that no route serves; `allowed` are the methods of those that fit its path."""
        if scope["type"] == "websocket":
            await WebSocket(scope, receive, send).close()
            return
        location = None if allowed else self._other_form(scope)
        if location is not None:
            await redirect_response(location)(scope, receive, send)
            return
        error = (
            HTTPException(405, headers={"allow": ", ".join(sorted(allowed))})
            if allowed
            else HTTPException(404)
        )
        if "fastasgi.app" in scope:
            raise error
        await error_response(error)(scope, receive, send)

    def _other_form(self, scope: Scope) -> str | None:
        """Where to redirect to: the path with, or without, a slash at its end, if a route fits that."""
        if not self._redirect_slashes:
            return None
        other, whole = (_toggled(path) for path in (path_under_root(scope), _whole_path(scope)))
        if not whole or not any("http" in route.kinds for route, _ in self.lookup(other)):
            return None
        query = quote(scope.get("query_string") or b"", safe=_QUERY_CHARACTERS)
        # Never //host: that would lead to another server.
        path = "/" + quote(whole.lstrip("/"), safe=_PATH_CHARACTERS, errors="surrogatepass")
        return f"{path}?{query}" if query else path

    def _add(self, route: Route) -> None:
        self._check_placed(route)
        self._append(route)

    def _append(self, entry: Route | _Included) -> None:
        self._entries.append(entry)
        self._changed()

    def _changed(self) -> None:
        self._table = None
        self._checked = False
        for router in self._includers:
            router._changed()

    def _flattened(self) -> Iterator[Route]:
        for entry in sorted(self._entries, key=lambda entry: -entry.priority):
            if isinstance(entry, Route):
                yield entry
            else:
                yield from entry.routes(self.converters)

    def _check_placed(self, route: Route) -> None:
        """Raises ValueError where a route of this router cannot work in an application that this is part of."""
        if self._attached:
            route.check()
        for router in self._includers:
            for entry in router._entries:
                if isinstance(entry, _Included) and entry.router is self:
                    router._check_placed(route.under(entry.prefix, entry.name, router.converters))

    def _family(self) -> Iterator[APIRouter]:
        yield self
        for entry in self._entries:
            if isinstance(entry, _Included):
                yield from entry.router._family()


@dataclass(frozen=True, slots=True)
class _Included:
    """The place at which a router stands in another one."""

    router: APIRouter
    prefix: str
    name: str
    priority: ClassVar[int] = 0

    def routes(self, converters: Mapping[str, Converter]) -> Iterator[Route]:
        return (route.under(self.prefix, self.name, converters) for route in self.router.routes)


def _found(scope: Scope, route: Route, params: dict[str, Any]) -> Scope:
    """The scope for a route that was found. Who watches from outside learns its template."""
    trace = scope.get("fastasgi.trace")
    if trace is not None:
        trace["route"] = trace.get("route", "").removesuffix(_BELOW) + route.template
    outer = scope.get("path_params")
    return {**scope, "path_params": {**outer, **params} if outer else params}


def _whole_path(scope: Scope) -> str:
    """The path with its root_path: a server may have left that out, and then it is put back."""
    return (scope.get("root_path") or "").rstrip("/") + path_under_root(scope)


def _path(path: str) -> str:
    if path and not path.startswith("/"):
        raise ValueError(f"the path {path!r} does not begin with a slash: write {'/' + path!r}")
    return path


def _without_slash(params: Mapping[str, Any]) -> dict[str, str]:
    """The `path` below a mount, which may be written with the slash that stands before it there."""
    path = params.get("path")
    return {"path": path.removeprefix("/")} if isinstance(path, str) else {}


def _prefix(prefix: str) -> str:
    if prefix.endswith("/"):
        raise ValueError(
            f"the prefix {prefix!r} ends in a slash: the paths below it bring theirs, leave it out"
        )
    return _path(prefix)


def _methods(methods: Iterable[str]) -> frozenset[str]:
    """The methods in upper case, HEAD with GET."""
    if isinstance(methods, str):
        raise ValueError(f"methods are a list of names, not one text: write methods=[{methods!r}]")
    given = tuple(methods)
    if not given:
        raise ValueError("a route without methods answers nothing: write methods=['GET'], or leave it out")
    if wrong := [name for name in given if not _TOKEN.fullmatch(name)]:
        raise ValueError(f"{wrong[0]!r} is no method: write one or more of ASCII letters and !#$%&'*+-.^_`|~")
    names = frozenset(name.upper() for name in given)
    return names | {"HEAD"} if "GET" in names else names


def _name(endpoint: Callable[..., Any], name: str | None) -> str:
    return getattr(endpoint, "__name__", type(endpoint).__name__) if name is None else name


def _parameters(template: str) -> set[str]:
    """The names of a template's parameters; that it is well-formed has been seen by `compile_path`."""
    return set(re.findall(r"\{(\w+)", template))


def _merged(outer: Mapping[str, Converter], inner: Mapping[str, Converter]) -> Mapping[str, Converter]:
    different = sorted(name for name in outer.keys() & inner.keys() if outer[name] != inner[name])
    if different:
        raise ValueError(
            f"converter {different[0]!r} means one thing in a prefix and another below it: rename one"
        )
    return {**outer, **inner}


def _toggled(path: str) -> str:
    return path[:-1] if path.endswith("/") else path + "/"


_BELOW = "/{path:path}"
"""What a Mount's template ends in: everything below its path."""
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""What a method is (RFC 9110, sections 5.6.2 and 9.1)."""
_PATH_CHARACTERS = "/:@!$&'()*+,;="
_QUERY_CHARACTERS = _PATH_CHARACTERS + "?[]%"
"""What a path, and a query that is encoded already, may hold as they are (RFC 3986, sections 3.3 and 3.4).
Browsers send `[` and `]` in a query as they are."""
