"""Records and functions: the table is put together on demand, and a sum of counters tells whether it is still true."""

from __future__ import annotations

import re
from abc import ABC
from dataclasses import dataclass, field, replace
from functools import partialmethod
from typing import Any
from urllib.parse import quote

from .asgi_types import require_type
from .exceptions import HTTPException
from .handlers import Handler, to_response
from .paths import compile_path
from .requests import Request
from .responses import error_response, redirect_response
from .urls import path_under_root
from .websockets import WebSocket

TOKEN = set("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
REST = "/{path:path}"


@dataclass(eq=False)
class Route:
    """One record for all kinds; `handler` is None for a mount, `app` for the others."""

    kind: str
    template: str
    name: str
    converters: dict[str, Any]
    priority: int = 0
    methods: frozenset[str] = frozenset()
    handler: Any = None
    app: Any = None
    compiled: list[Any] = field(init=False)

    def __post_init__(self):
        self.compiled = [compile_path(template, self.converters) for template in self.templates]

    @property
    def templates(self):
        return (self.template,) if self.app is None else (self.template, self.template.removesuffix(REST))

    def match(self, path):
        for compiled in self.compiled:
            found = compiled.match(path)
            if found is not None:
                return found if self.app is None else {"path": "", **found}
        return None

    def takes(self, scope):
        if self.kind == "http":
            return scope["type"] == "http" and scope["method"] in self.methods
        return self.kind in ("any", scope["type"])

    def check(self):
        if self.handler is not None:
            self.handler.check(names_in(self.template), self.template)


def names_in(template):
    return {each.partition(":")[0] for each in re.findall(r"\{([^}]*)\}", template)}


def whole_path(scope):
    return (scope.get("root_path") or "").rstrip("/") + path_under_root(scope)


async def serve_http(route, scope, receive, send):
    request = Request(scope, receive)
    try:
        response = to_response(await route.handler(request, scope["path_params"]))
        await response(scope, request.receive, send)
    finally:
        await request.close()


async def serve_websocket(route, scope, receive, send):
    async with WebSocket(scope, receive, send) as websocket:
        await route.handler(websocket, scope["path_params"])


async def serve_any(route, scope, receive, send):
    whole = whole_path(scope)
    params = dict(scope["path_params"])
    rest = params.pop("path")
    root = whole[: len(whole) - len(rest)]
    inner = dict(scope)
    inner["path"] = whole
    inner["root_path"] = root[:-1] if root.endswith("/") else root
    inner["path_params"] = params
    if "fastasgi.root_path" not in inner:
        inner["fastasgi.root_path"] = scope.get("root_path") or ""
    await route.app(inner, receive, send)


SERVE = {"http": serve_http, "websocket": serve_websocket, "any": serve_any}


class RouteDecorators(ABC):
    def route(self, path, *, methods=("GET",), name=None, priority=0):
        def decorate(endpoint):
            self.add_route(path, endpoint, methods=methods, name=name, priority=priority)
            return endpoint

        return decorate

    def websocket(self, path, *, name=None, priority=0):
        def decorate(endpoint):
            self.add_websocket_route(path, endpoint, name=name, priority=priority)
            return endpoint

        return decorate

    get = partialmethod(route, methods=["GET"])
    head = partialmethod(route, methods=["HEAD"])
    post = partialmethod(route, methods=["POST"])
    put = partialmethod(route, methods=["PUT"])
    patch = partialmethod(route, methods=["PATCH"])
    delete = partialmethod(route, methods=["DELETE"])
    options = partialmethod(route, methods=["OPTIONS"])


@dataclass
class Inclusion:
    router: Any
    prefix: str
    name: str
    priority: int = 0


class APIRouter(RouteDecorators):
    def __init__(self, prefix="", *, converters=None, redirect_slashes=True):
        self.prefix = self.checked(prefix, is_prefix=True)
        self.converters = {**(converters or {})}
        self.redirect_slashes = redirect_slashes
        self.entries = []
        self.count = 0
        self.attached = False
        self.known = (-1, ())
        self.verified = -1

    @staticmethod
    def checked(path, is_prefix=False):
        if path and path[0] != "/":
            raise ValueError(f"{path!r} must begin with a slash")
        if is_prefix and path.endswith("/"):
            raise ValueError(f"{path!r} must not end in a slash")
        return path

    def age(self):
        """How often something was added, here and in all that is included."""
        return self.count + sum(each.router.age() for each in self.entries if isinstance(each, Inclusion))

    def insert(self, entry):
        self.entries.append(entry)
        self.count += 1

    def named(self, name, endpoint):
        return getattr(endpoint, "__name__", type(endpoint).__name__) if name is None else name

    def add_route(self, path, endpoint, *, methods=("GET",), name=None, priority=0):
        if isinstance(methods, str):
            raise ValueError("methods must be a list")
        wanted = {method.upper() for method in methods}
        if not wanted or not all(method and set(method) <= TOKEN for method in wanted):
            raise ValueError(f"these are no methods: {wanted}")
        if "GET" in wanted:
            wanted.add("HEAD")
        self.add(
            "http",
            path,
            self.named(name, endpoint),
            priority=priority,
            methods=frozenset(wanted),
            handler=Handler(endpoint, Request),
        )

    def add_websocket_route(self, path, endpoint, *, name=None, priority=0):
        handler = Handler(endpoint, WebSocket)
        self.add("websocket", path, self.named(name, endpoint), priority=priority, handler=handler)

    def mount(self, path, app, *, name=""):
        if not callable(app):
            raise ValueError(f"{app!r} is no application")
        self.add("any", self.checked(path).rstrip("/") + REST, name, app=app)

    def add(self, kind, path, name, **options):
        route = Route(kind, self.prefix + self.checked(path), name, self.converters, **options)
        if self.attached:
            route.check()
        self.insert(route)

    def include_router(self, router, prefix="", *, name=""):
        below = [router]
        for each in below:
            below.extend(entry.router for entry in each.entries if isinstance(entry, Inclusion))
        if any(each is self for each in below):
            raise ValueError("a router cannot be part of itself")
        inclusion = Inclusion(router, self.prefix + self.checked(prefix, is_prefix=True), name and name + ":")
        for route in self.placed(inclusion):
            if self.attached:
                route.check()
        self.insert(inclusion)

    def placed(self, inclusion):
        return [
            replace(
                route,
                template=inclusion.prefix + route.template,
                name=inclusion.name + route.name,
                converters={**self.converters, **route.converters},
            )
            for route in inclusion.router.routes
        ]

    @property
    def routes(self):
        age = self.age()
        if self.known[0] != age:
            table = []
            for entry in sorted(self.entries, key=lambda entry: entry.priority, reverse=True):
                table.extend([entry] if isinstance(entry, Route) else self.placed(entry))
            self.known = (age, tuple(table))
        return self.known[1]

    def lookup(self, path):
        return ((route, found) for route in self.routes if (found := route.match(path)) is not None)

    def check(self):
        for route in self.routes:
            route.check()
        self.verified = self.age()

    def attach(self):
        self.check()
        self.attached = True

    def url_for(self, name, /, **params):
        for route in self.routes:
            for attempt in self.attempts(route, name, params):
                try:
                    return attempt()
                except ValueError:
                    continue
        raise ValueError(f"nothing called {name!r} takes {params}")

    def attempts(self, route, name, params):
        """Ways in which a route might write the path, each of which may raise ValueError."""
        if route.app is None:
            if route.name == name:
                yield lambda: route.compiled[0].format(**params)
            return
        if route.name and route.name == name and isinstance(params.get("path"), str):
            rest = params["path"]
            yield lambda: route.compiled[0].format(**params | {"path": rest[1:] if rest[:1] == "/" else rest})
        if hasattr(route.app, "url_for") and (not route.name or name.startswith(f"{route.name}:")):
            own = names_in(route.templates[1])
            mine = {key: value for key, value in params.items() if key in own}
            theirs = {key: value for key, value in params.items() if key not in own}
            inner = name[len(route.name) + 1 :] if route.name else name
            yield lambda: route.compiled[1].format(**mine) + str(route.app.url_for(inner, **theirs))

    async def __call__(self, scope, receive, send):
        require_type(scope, "http", "websocket")
        if self.verified != self.age():
            self.check()
        is_http = scope["type"] == "http"
        candidates = list(self.lookup(path_under_root(scope)))
        for route, params in candidates:
            if route.takes(scope):
                trace = scope.get("fastasgi.trace")
                if isinstance(trace, dict):
                    trace["route"] = trace.get("route", "").removesuffix(REST) + route.template
                inner = {**scope, "path_params": {**scope.get("path_params", {}), **params}}
                return await SERVE[route.kind](route, inner, receive, send)
        if not is_http:
            return await WebSocket(scope, receive, send).close()
        allowed = sorted(set().union(*(route.methods for route, _ in candidates)))
        if allowed:
            error = HTTPException(405, headers={"Allow": ", ".join(allowed)})
        elif location := self.elsewhere(scope):
            return await redirect_response(location)(scope, receive, send)
        else:
            error = HTTPException(404)
        if "fastasgi.app" in scope:
            raise error
        await error_response(error)(scope, receive, send)

    def elsewhere(self, scope):
        def other(path):
            return path.removesuffix("/") if path.endswith("/") else path + "/"

        whole = other(whole_path(scope))
        found = self.lookup(other(path_under_root(scope)))
        if not (self.redirect_slashes and whole and any(route.kind != "websocket" for route, _ in found)):
            return None
        location = "/" + quote(whole.lstrip("/"), safe="/", errors="surrogatepass")
        query = (scope.get("query_string") or b"").decode("latin-1")
        return location + ("?" + query if query else "")
