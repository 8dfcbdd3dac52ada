"""Classes with types: entries are kept sorted as they come, and whoever has included a router is told of changes."""

from __future__ import annotations

import string
from abc import ABC, abstractmethod
from bisect import insort
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol

from fastasgi.asgi_types import ASGIApp, Receive, Scope, Send
from fastasgi.exceptions import HTTPException
from fastasgi.handlers import Handler, to_response
from fastasgi.paths import Converter, compile_path
from fastasgi.requests import HTTPConnection, Request
from fastasgi.responses import error_response, redirect_response
from fastasgi.urls import path_under_root
from fastasgi.websockets import WebSocket

Params = dict[str, Any]
Converters = Mapping[str, Converter]
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
TCHAR: Final = frozenset(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~")
PLAIN: Final = frozenset(string.ascii_letters + string.digits + "-._~/!$&'()*+,;=:@")


class Target(Protocol):
    """The one who answers, wherever its route stands."""

    methods: frozenset[str]
    kinds: frozenset[str]

    def suits(self, scope: Scope) -> bool: ...
    def verify(self, template: str) -> None: ...
    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class Function:
    def __init__(self, endpoint: Callable[..., Any], kind: type[HTTPConnection]) -> None:
        self.handler = Handler(endpoint, kind)

    def verify(self, template: str) -> None:
        self.handler.check(parameters(template), template)


class Page(Function):
    kinds = frozenset(["http"])

    def __init__(self, endpoint: Callable[..., Any], methods: Iterable[str]) -> None:
        super().__init__(endpoint, Request)
        if isinstance(methods, (str, bytes)):
            raise ValueError("several methods, please, in a list")
        given = [str(method).upper() for method in methods]
        if not given or any(not method or not TCHAR.issuperset(method) for method in given):
            raise ValueError(f"{given} are not methods")
        self.methods = frozenset([*given, "HEAD"] if "GET" in given else given)

    def suits(self, scope: Scope) -> bool:
        return scope["type"] == "http" and scope["method"] in self.methods

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            value = await self.handler(request, request.path_params)
            await to_response(value)(scope, request.receive, send)
        finally:
            await request.close()


class Socket(Function):
    kinds = frozenset(["websocket"])
    methods: frozenset[str] = frozenset()

    def suits(self, scope: Scope) -> bool:
        return scope["type"] == "websocket"

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with WebSocket(scope, receive, send) as websocket:
            await self.handler(websocket, websocket.path_params)


class Mounted:
    kinds = frozenset(["http", "websocket"])
    methods: frozenset[str] = frozenset()

    def __init__(self, app: ASGIApp) -> None:
        if not callable(app):
            raise ValueError(f"{app} cannot be called")
        self.app = app

    def suits(self, scope: Scope) -> bool:
        return True

    def verify(self, template: str) -> None:
        pass

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        params = scope["path_params"].copy()
        below = params.pop("path")
        path = complete(scope)
        root = path.removesuffix(below).removesuffix("/") if below else path.removesuffix("/")
        outermost = scope.get("fastasgi.root_path", scope.get("root_path") or "")
        changes = {
            "path": path,
            "root_path": root,
            "path_params": params,
            "fastasgi.root_path": outermost,
        }
        await self.app(scope | changes, receive, send)


class Route:
    def __init__(
        self, path: str, name: str, converters: Converters, target: Target, priority: int = 0
    ) -> None:
        self.name, self.converters, self.target, self.priority = name, converters, target, priority
        self.is_mount = isinstance(target, Mounted)
        self.path = path
        self.template = path + "/{path:path}" if self.is_mount else path
        self.templates = tuple(dict.fromkeys([self.template, path]))
        self.own = compile_path(path, converters)
        self.full = compile_path(self.template, converters)

    def match(self, path: str) -> Params | None:
        found = self.full.match(path)
        if found is None and self.is_mount:
            exact = self.own.match(path)
            return None if exact is None else exact | {"path": ""}
        return found

    def below(self, prefix: str, names: str, converters: Converters) -> Route:
        both = {**self.converters, **converters}
        return Route(prefix + self.path, names + self.name, both, self.target, self.priority)

    def links(self, name: str, params: Params) -> Iterator[str]:
        """The paths that this route can give; there may be none."""
        if name == self.name and not (self.is_mount and not name):
            with suppress(ValueError, AttributeError):
                given = (
                    params | {"path": params.get("path", None).removeprefix("/")} if self.is_mount else params
                )
                yield self.full.format(**given)
        ask = getattr(getattr(self.target, "app", None), "url_for", None)
        if ask is not None and (self.name == "" or name.startswith(self.name + ":")):
            after = name[len(self.name) + 1 :] if self.name else name
            own = parameters(self.path)
            inner = {key: value for key, value in params.items() if key not in own}
            with suppress(ValueError):
                root = self.own.format(**{key: params[key] for key in own & params.keys()})
                yield root + ask(after, **inner)


class Included:
    priority = 0

    def __init__(self, router: APIRouter, prefix: str, names: str) -> None:
        self.router, self.prefix, self.names = router, prefix, names


class RouteDecorators(ABC):
    def route(
        self,
        path: str,
        *,
        methods: Iterable[str] = ("GET",),
        name: str | None = None,
        priority: int = 0,
    ) -> Decorator:
        def keep(endpoint: Callable[..., Any]) -> Callable[..., Any]:
            self.add_route(path, endpoint, methods=methods, name=name, priority=priority)
            return endpoint

        return keep

    def websocket(self, path: str, *, name: str | None = None, priority: int = 0) -> Decorator:
        def keep(endpoint: Callable[..., Any]) -> Callable[..., Any]:
            self.add_websocket_route(path, endpoint, name=name, priority=priority)
            return endpoint

        return keep

    def get(self, path: str, **options: Any) -> Decorator:
        return self.route(path, methods=["GET"], **options)

    def head(self, path: str, **options: Any) -> Decorator:
        return self.route(path, methods=["HEAD"], **options)

    def post(self, path: str, **options: Any) -> Decorator:
        return self.route(path, methods=["POST"], **options)

    def put(self, path: str, **options: Any) -> Decorator:
        return self.route(path, methods=["PUT"], **options)

    def patch(self, path: str, **options: Any) -> Decorator:
        return self.route(path, methods=["PATCH"], **options)

    def delete(self, path: str, **options: Any) -> Decorator:
        return self.route(path, methods=["DELETE"], **options)

    def options(self, path: str, **options: Any) -> Decorator:
        return self.route(path, methods=["OPTIONS"], **options)

    @abstractmethod
    def add_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None: ...
    @abstractmethod
    def add_websocket_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None: ...


class APIRouter(RouteDecorators):
    def __init__(
        self,
        prefix: str = "",
        *,
        converters: Converters | None = None,
        redirect_slashes: bool = True,
    ) -> None:
        self._prefix = as_prefix(prefix)
        self._converters = dict(converters or {})
        self._redirects = redirect_slashes
        self._entries: list[Route | Included] = []
        self._parents: list[APIRouter] = []
        self._attached = False
        self._stale()

    def _stale(self) -> None:
        self._table: tuple[Route, ...] | None = None
        self._fine = False
        for parent in self._parents:
            parent._stale()

    def _insert(self, entry: Route | Included, new: Iterable[Route]) -> None:
        for route in new:
            if self._attached:
                route.target.verify(route.template)
        insort(self._entries, entry, key=lambda each: -each.priority)
        self._stale()

    def _insert_route(
        self, path: str, name: str | None, endpoint: Any, target: Target, priority: int
    ) -> None:
        if name is None:
            name = getattr(endpoint, "__name__", endpoint.__class__.__name__)
        route = Route(self._prefix + as_path(path), name, self._converters, target, priority)
        self._insert(route, [route])

    def add_route(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        methods: Iterable[str] = ("GET",),
        name: str | None = None,
        priority: int = 0,
    ) -> None:
        self._insert_route(path, name, endpoint, Page(endpoint, methods), priority)

    def add_websocket_route(
        self, path: str, endpoint: Callable[..., Any], *, name: str | None = None, priority: int = 0
    ) -> None:
        self._insert_route(path, name, endpoint, Socket(endpoint, WebSocket), priority)

    def mount(self, path: str, app: ASGIApp, *, name: str = "") -> None:
        self._insert_route(as_path(path.rstrip("/")), name, app, Mounted(app), 0)

    def include_router(self, router: APIRouter, prefix: str = "", *, name: str = "") -> None:
        if router is self or router in self._ancestors():
            raise ValueError("routers cannot include each other in a circle")
        entry = Included(router, self._prefix + as_prefix(prefix), f"{name}:" if name else "")
        self._insert(entry, list(self._expanded(entry)))
        router._parents.append(self)

    def _ancestors(self) -> Generator[APIRouter, None, None]:
        for parent in self._parents:
            yield parent
            yield from parent._ancestors()

    def _expanded(self, entry: Route | Included) -> Iterable[Route]:
        if isinstance(entry, Route):
            return [entry]
        return [
            route.below(entry.prefix, entry.names, self._converters)
            for each in entry.router._entries
            for route in entry.router._expanded(each)
        ]

    @property
    def routes(self) -> tuple[Route, ...]:
        if self._table is None:
            self._table = tuple(route for entry in self._entries for route in self._expanded(entry))
        return self._table

    def lookup(self, path: str) -> Iterator[tuple[Route, Params]]:
        for route in self.routes:
            if (params := route.match(path)) is not None:
                yield route, params

    def check(self) -> None:
        for route in self.routes:
            route.target.verify(route.template)
        self._fine = True

    def attach(self) -> None:
        self.check()
        self._attached = True

    def url_for(self, name: str, /, **params: Any) -> str:
        for route in self.routes:
            for link in route.links(name, params):
                return link
        raise ValueError(f"there is no {name!r} for {sorted(params)}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            raise RuntimeError(f"a router knows nothing of {scope['type']}")
        if not self._fine:
            self.check()
        methods: set[str] = set()
        for route, params in self.lookup(path_under_root(scope)):
            if route.target.suits(scope):
                note(scope, route.template)
                all_params = {**(scope.get("path_params") or {}), **params}
                await route.target.answer({**scope, "path_params": all_params}, receive, send)
                return
            methods.update(route.target.methods)
        if scope["type"] == "websocket":
            await WebSocket(scope, receive, send).close()
        elif methods:
            await refuse(
                HTTPException(405, headers={"allow": ", ".join(sorted(methods))}), scope, receive, send
            )
        elif (other := self._elsewhere(scope)) is not None:
            await redirect_response(other)(scope, receive, send)
        else:
            await refuse(HTTPException(404), scope, receive, send)

    def _elsewhere(self, scope: Scope) -> str | None:
        if not self._redirects:
            return None
        whole = flipped(complete(scope))
        hits = self.lookup(flipped(path_under_root(scope)))
        if whole == "" or all("http" not in route.target.kinds for route, _ in hits):
            return None
        while whole.startswith("//"):
            whole = whole[1:]
        encoded = "".join(
            each if each in PLAIN else "".join(f"%{byte:02X}" for byte in each.encode(errors="replace"))
            for each in whole
        )
        query = (scope.get("query_string") or b"").decode("ascii", "replace")
        return f"{encoded}?{query}" if query else encoded


async def refuse(error: HTTPException, scope: Scope, receive: Receive, send: Send) -> None:
    if "fastasgi.app" in scope:
        raise error
    await error_response(error)(scope, receive, send)


def note(scope: Scope, template: str) -> None:
    if (trace := scope.get("fastasgi.trace")) is not None:
        outer = trace.get("route", "")
        trace["route"] = outer.removesuffix("/{path:path}") + template


def complete(scope: Scope) -> str:
    return (scope.get("root_path") or "").rstrip("/") + path_under_root(scope)


def flipped(path: str) -> str:
    return path[:-1] if path[-1:] == "/" else path + "/"


def parameters(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def as_path(path: str) -> str:
    if path and not path.startswith("/"):
        raise ValueError(f"/{path}, not {path}")
    return path


def as_prefix(prefix: str) -> str:
    if prefix.endswith("/"):
        raise ValueError(f"{prefix.rstrip('/')}, not {prefix}")
    return as_path(prefix)
