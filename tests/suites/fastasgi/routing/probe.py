"""Runs beside the submission: turns tables of plain values into routers, and asks them.

Rule 1: a table is a list of entries, each a dict that begins with the method which adds it:
        {"add_route": path, "methods": [...], "name": ..., "priority": ...}, {"add_websocket_route": path, ...},
        {"mount": path, "name": ...}, {"include_router": prefix, "router": its name in `tables`, "name": ...}.
        The table "root" is the one that is asked.
Rule 2: the functions tell what they were called with; nothing is judged here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from fastasgi.exceptions import HTTPException
from fastasgi.paths import Converter
from fastasgi.requests import Request
from fastasgi.responses import StreamingResponse
from fastasgi.routing import APIRouter, RouteDecorators
from fastasgi.websockets import WebSocket

Entry = dict[str, Any]
Tables = dict[str, list[Entry]]


def app(
    tables: Tables,
    prefixes: dict[str, str] | None = None,
    redirect_slashes: bool = True,
    late: bool = False,
    later: Tables | None = None,
    asked: str = "",
) -> Any:
    """The router "root". With `late`, routers are included before they have routes.

    What is in `later` is added after the router has answered a connection. `asked` is for the reader.
    """
    routers = built(tables, prefixes or {}, late, redirect_slashes=redirect_slashes)
    root = routers["root"]
    if not later:
        return root

    async def grown(scope: Any, receive: Any, send: Any) -> None:
        if later:
            await quietly(root)
            for name in list(later):
                for entry in later.pop(name):
                    add(routers[name], entry, routers)
        await root(scope, receive, send)

    return grown


def choosy(tables: Tables, without: str, asked: str = "") -> Any:
    """A router whose `lookup` never gives routes with the template `without`."""

    class Choosy(APIRouter):
        def lookup(self, path: str) -> Iterator[tuple[Any, dict[str, Any]]]:
            for route in self.routes:
                params = route.match(path)
                if params is not None and route.template != without:
                    yield route, params

    root = Choosy()
    for entry in tables["root"]:
        add(root, entry, {})
    return root


def uploads(asked: str = "") -> Any:
    """A router whose functions read a form; another route tells whether its file is closed."""
    files: list[Any] = []
    router = APIRouter()

    async def upload(request: Request, fails: int) -> str:
        form = await request.form()
        files.append(form["file"])
        if fails:
            raise LookupError("the function's own error")
        return "done"

    router.add_route("/upload/{fails:int}", upload, methods=["POST"])

    async def asked_after(scope: Any, receive: Any, send: Any) -> None:
        try:
            await router(scope, receive, send)
        finally:
            await send({"type": "probe.closed", "closed": [file.file.closed for file in files]})

    return asked_after


def functions(asked: str = "") -> Any:
    """A router whose functions return, or raise, something of each kind; one is an object of a router further in."""
    router = APIRouter()
    inner = APIRouter("/inner")
    inner.add_route("/{word}", Answering())
    router.include_router(inner)

    @router.get("/plain/{number:int}/{word}")
    def plain(word: str, number: int, other: str = "default") -> list[Any]:
        return [number, word, other]

    @router.get("/text")
    async def text() -> str:
        return "some text"

    @router.get("/news")
    async def news() -> StreamingResponse:
        return StreamingResponse(one_and_no_more())

    @router.websocket("/call/{number:int}/{word}")
    async def call(websocket: WebSocket, word: str, number: int, other: str = "default") -> None:
        await websocket.accept()
        await websocket.send_json({"number": number, "word": word, "other": other})

    @router.get("/error")
    async def error() -> None:
        raise LookupError("the function's own error")

    @router.get("/refusal")
    async def refusal() -> None:
        raise HTTPException(418)

    return router


async def one_and_no_more() -> AsyncIterator[bytes]:
    yield b"one"
    await asyncio.Event().wait()


class Answering:
    """An object that answers as a function does."""

    async def __call__(self, word: str) -> str:
        return word


async def quietly(router: Any) -> None:
    """Have the router answer a connection that nobody looks at."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        pass

    scope = {"type": "http", "method": "GET", "path": "/before", "query_string": b"", "headers": []}
    await router(scope, receive, send)


# --- questions to a table -----------------------------------------------------------------------------------


def url_for(tables: Tables, url: str, values: dict[str, Any], prefixes: dict[str, str] | None = None) -> Any:
    return built(tables, prefixes or {}, False)["root"].url_for(url, **values)


def templates(tables: Tables, prefixes: dict[str, str] | None = None, late: bool = False) -> list[Any]:
    """The template of each route of the table."""
    return [route.template for route in built(tables, prefixes or {}, late)["root"].routes]


def lookup(tables: Tables, path: str) -> list[Any]:
    """What `lookup` gives: template and parameters of each route."""
    found = built(tables, {}, False)["root"].lookup(path)
    return [[route.template, params] for route, params in found]


def route_of(tables: Tables, path: str) -> dict[str, Any]:
    """What the only route tells of itself."""
    (route,) = built(tables, {}, False)["root"].routes
    return {
        "template": route.template,
        "templates": list(route.templates),
        "converters": sorted(route.converters),
        "match": route.match(path),
    }


def same_objects(tables: Tables, later: Tables) -> dict[str, bool]:
    """Whether `routes` is one object while nothing changes, and another one after something was added."""
    routers = built(tables, {}, False)
    root = routers["root"]
    first = root.routes
    told = {"a tuple": type(first) is tuple, "the same while nothing is added": root.routes is first}
    for name, entries in later.items():
        for entry in entries:
            add(routers[name], entry, routers)
    return told | {"the same after something was added": root.routes is first}


def added(tables: Tables, entry: Entry, router: str = "root", attached: bool = False) -> list[str]:
    """Add an entry to a router, as the very last thing. Gives the templates of all routes."""
    routers = built(tables, {}, False)
    if attached:
        routers["root"].attach()
    add(routers[router], entry, routers)
    return [route.template for route in routers["root"].routes]


def left(tables: Tables, entry: Entry, router: str = "root", attached: bool = False) -> list[str]:
    """The templates of all routes after an entry was refused."""
    routers = built(tables, {}, False)
    if attached:
        routers["root"].attach()
    try:
        add(routers[router], entry, routers)
    except ValueError:
        return [route.template for route in routers["root"].routes]
    raise LookupError("the entry was not refused")


def check(tables: Tables, method: str) -> None:
    """Call `check` or `attach`."""
    getattr(built(tables, {}, False)["root"], method)()


def decorated(method: str, path: str, options: dict[str, Any]) -> list[Any]:
    """What a decorator calls, of a class of its own, and whether it gives the function back."""
    calls: list[Any] = []

    class Recorder(RouteDecorators):
        def add_route(
            self, path: str, endpoint: Any, *, methods: Any = ("GET",), name: Any = None, priority: int = 0
        ) -> None:
            names = {method.upper() for method in methods}
            names |= {"HEAD"} if "GET" in names else set()  # whether a decorator says so or add_route
            calls.append(["add_route", path, endpoint is function, sorted(names), name, priority])

        def add_websocket_route(
            self, path: str, endpoint: Any, *, name: Any = None, priority: int = 0
        ) -> None:
            calls.append(["add_websocket_route", path, endpoint is function, name, priority])

    async def function() -> None:
        pass

    given = getattr(Recorder(), method)(path, **options)(function)
    return [*calls, given is function]


def changed_converters(path: str) -> Any:
    """A router whose mapping of converters is emptied after it was made."""
    converters = {"hex": HEX}
    router = APIRouter(converters=converters)
    converters.clear()
    router.add_route("/{n:hex}", telling("route"))
    (route,) = router.routes
    return route.match(path)


def unknown_converter() -> None:
    """A router without converters, after one with them."""
    APIRouter(converters={"hex": HEX})
    APIRouter().add_route("/{n:hex}", telling("route"))


def with_converters(asked: str = "") -> Any:
    """Two routers, one in the other, with converters of their own; a third around both shares one of them."""
    inner = APIRouter("/{a:hex}", converters={"hex": HEX})
    inner.add_route("/route/{b:hex}", telling("route"), name="route")
    inner.add_websocket_route("/socket/{b:hex}", telling_socket("socket"))
    inner.mount("/mount/{b:hex}", Echo("mount"))
    outer = APIRouter(converters={"two": TWO})
    outer.include_router(inner, "/{c:two}")
    outermost = APIRouter(converters={"hex": HEX})
    outermost.include_router(outer)
    return outermost


def link_with_converters(values: dict[str, Any]) -> Any:
    return with_converters().url_for("route", **values)


HEX = Converter("[0-9a-f]+", lambda text: int(text, 16), lambda value: f"{value:x}")
TWO = Converter("[a-z]{2}", str.upper, str.lower)


# --- making routers -----------------------------------------------------------------------------------------


def built(tables: Tables, prefixes: dict[str, str], late: bool, **options: Any) -> dict[str, Any]:
    """A router for each table, by its name; "root" with `options`. With `late`, included before it is filled."""
    routers = {"root": APIRouter(prefixes.get("root", ""), **options)}

    def fill(name: str) -> None:
        for entry in tables[name]:
            inner = entry.get("router", name)
            is_new = inner not in routers
            if is_new:
                routers[inner] = APIRouter(prefixes.get(inner, ""))
            if is_new and not late:
                fill(inner)
            add(routers[name], entry, routers)
            if is_new and late:
                fill(inner)

    fill("root")
    return routers


def add(router: Any, entry: Entry, routers: dict[str, Any]) -> None:
    """Add one entry to a router."""
    method = next(iter(entry))
    options = {key: value for key, value in entry.items() if key in ("methods", "name", "priority")}
    if method == "add_route":
        router.add_route(entry[method], endpoint_of(entry, telling), **options)
    elif method == "add_websocket_route":
        router.add_websocket_route(entry[method], endpoint_of(entry, telling_socket), **options)
    elif method == "mount":
        router.mount(entry[method], application_of(entry, routers), **options)
    elif method == "APIRouter":
        APIRouter(entry[method])
    else:
        router.include_router(routers[entry["router"]], entry[method], **options)


def endpoint_of(entry: Entry, make: Callable[[str], Any]) -> Any:
    if "function" in entry:
        return FUNCTIONS[entry["function"]]
    return make(entry.get("name") or next(iter(entry.values())))


def application_of(entry: Entry, routers: dict[str, Any]) -> Any:
    """What is mounted: the router of a table, something that cannot be called, or an echo."""
    if "app" in entry:
        return FUNCTIONS[entry["app"]]
    if "table" in entry:
        router = APIRouter()
        for each in entry["table"]:
            add(router, each, routers)
        return router
    return Echo(entry.get("name") or entry["mount"])


def telling(tag: str) -> Any:
    async def endpoint(request: Request) -> dict[str, Any]:
        return {"route": tag, "params": request.path_params}

    return endpoint


def telling_socket(tag: str) -> Any:
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(json.dumps({"route": tag, "params": websocket.path_params}))

    return endpoint


class Echo:
    """An ASGI application that tells what it was called with."""

    def __init__(self, tag: str) -> None:
        self.tag = tag

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        told = {"mount": self.tag, "params": scope.get("path_params")}
        told |= {key: scope.get(key) for key in ("root_path", "path", "fastasgi.root_path", "x.extra")}
        text = json.dumps(told)
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
            await send({"type": "websocket.send", "text": text})
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": text.encode(), "more_body": False})


async def needs_a(a: str) -> str:
    return a


async def needs_a_and_b(a: str, b: str) -> str:
    return a + b


async def may_have_b(a: str, b: str = "default") -> str:
    return a + b


FUNCTIONS: dict[str, Any] = {
    "(a)": needs_a,
    "(a, b)": needs_a_and_b,
    "(a, b='default')": may_have_b,
    "None": None,
    "a text": "a text",
}
