"""Runs beside the submission: makes applications of plain values, and writes down what their parts have seen.

Rule 1: every function and middleware writes a line into the journal of its application; it is sent after all else.
Rule 2: nothing is judged here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastasgi.applications import FastASGI
from fastasgi.exceptions import HTTPException
from fastasgi.paths import Converter
from fastasgi.requests import Request
from fastasgi.responses import text_response
from fastasgi.routing import APIRouter
from fastasgi.websockets import WebSocket

Journal = list[str]


class Failure(Exception):
    """An exception of the application's own."""


def error_of(name: str) -> Exception:
    """A new exception, by its name."""
    if name.startswith("HTTPException"):
        return HTTPException(int(name.split()[1]))
    return Failure("<failure>") if name == "Failure" else ZeroDivisionError("<division>")


KEYS: dict[str, Any] = {
    "Failure": Failure,
    "ArithmeticError": ArithmeticError,
    "HTTPException": HTTPException,
    "Exception": Exception,
    "LookupError": LookupError,
    "404": 404,
    "409": 409,
    "500": 500,
}


def app(
    middleware: list[dict[str, Any]] = [],  # noqa: B006 - never changed
    handlers: list[str] = [],  # noqa: B006 - never changed
    given: str = "constructor",
    debug: bool = False,
    asked: str = "",
    **options: Any,
) -> Any:
    """An application with middleware, from the outside in, and a handler for each of some errors.

    `given` tells how the handlers are given: by the constructor, the decorator, or a method, or after a first
    connection ("later"). `asked` is for the reader.
    """
    journal: Journal = []
    made = {KEYS[name]: handler_of(name, journal) for name in handlers}
    at_once = made if given == "constructor" else None
    application = FastASGI(debug=debug, exception_handlers=at_once, **options)
    add_routes(application, journal)
    for layer in middleware:
        add_layer(application, layer, journal)

    async def journaled(scope: Any, receive: Any, send: Any) -> None:
        if given == "later":
            await quietly(application)
            journal.clear()
        for key, handler in made.items():
            if given == "decorator":
                same = application.exception_handler(key)(handler)
                assert same is handler, "exception_handler does not give the function back"
            elif given != "constructor":
                application.add_exception_handler(key, handler)
        try:
            await application(scope, receive, send)
        finally:
            await send({"type": "probe.journal", "lines": list(journal)})

    return journaled


async def quietly(application: Any) -> None:
    """Have the application answer a request that nobody looks at."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        pass

    scope = {"type": "http", "method": "GET", "path": "/plain", "query_string": b"", "headers": []}
    await application(scope, receive, send)


def add_routes(application: Any, journal: Journal) -> None:
    """The routes of each application."""

    @application.get("/plain")
    async def plain() -> str:
        journal.append("function")
        return "plain"

    @application.get("/raise/{name}")
    async def fails(name: str) -> None:
        journal.append("function")
        raise error_of(name)

    @application.get("/scope")
    async def scope_of(request: Request) -> dict[str, Any]:
        return told(request.scope, application)

    @application.websocket("/socket/{name}")
    async def socket(websocket: WebSocket, name: str) -> None:
        journal.append("function")
        await websocket.accept()
        await websocket.send_json({"name": name, **told(websocket.scope, application)})

    @application.get("/state")
    async def state(request: Request) -> dict[str, Any]:
        seen = dict(request.scope["state"])
        request.state.mine = seen.get("mine", 0) + 1
        return seen


def told(scope: Any, application: Any) -> dict[str, Any]:
    """What of a scope counts here; the headers are read twice."""
    headers = scope["headers"]
    twice = [[[name.decode(), value.decode()] for name, value in headers] for _ in range(2)]
    return {
        "its own application": scope["fastasgi.app"] is application,
        "headers": twice[0],
        "headers, read again": twice[1],
        "fastasgi.root_path": scope.get("fastasgi.root_path", "(absent)"),
        "state": sorted(scope["state"]) if isinstance(scope.get("state"), dict) else "no dict",
        "x.extra": scope.get("x.extra", "(absent)"),
    }


def add_layer(application: Any, layer: dict[str, Any], journal: Journal) -> None:
    """A middleware that writes down what passes, and may raise before it calls what is further in."""
    name, error = layer["name"], layer.get("raises")

    if layer["kind"] == "class":
        application.add_middleware(Watching, name=name, error=error, journal=journal)
        return

    async def function(request: Any, call_next: Any) -> Any:
        journal.append(f"{name}: in")
        if error is not None:
            raise error_of(error)
        try:
            response = await call_next(request)
        except Exception as caught:
            journal.append(f"{name}: {type(caught).__name__}")
            raise
        journal.append(f"{name}: {response.status_code}")
        return response

    same = application.middleware(function)
    assert same is function, "middleware does not give the function back"


class Watching:
    """An ASGI middleware that writes down what passes."""

    def __init__(self, app: Any, *, name: str, error: str | None, journal: Journal) -> None:
        self.app, self.name, self.error, self.journal = app, name, error, journal

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        kind = "" if scope["type"] == "http" else f" {scope['type']}"
        self.journal.append(f"{self.name}: in{kind}")
        if self.error is not None and scope["type"] == "http":
            raise error_of(self.error)

        async def watched(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.journal.append(f"{self.name}: {message['status']}")
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as caught:
            self.journal.append(f"{self.name}: {type(caught).__name__}")
            raise


def seeing(asked: str = "") -> Any:
    """An application whose outermost middleware sends what it sees of the scope."""
    application = FastASGI()
    add_routes(application, [])

    def factory(app: Any) -> Any:
        async def middleware(scope: Any, receive: Any, send: Any) -> None:
            seen = {
                "names the application": scope.get("fastasgi.app") is application,
                "state": scope.get("state", "(absent)"),
                "headers": [list(pair) for pair in scope.get("headers", [])],
            }
            await send({"type": "probe.scope", "seen": seen})
            await app(scope, receive, send)

        return middleware

    application.add_middleware(factory)
    return application


def handler_of(name: str, journal: Journal) -> Any:
    async def handler(request: Any, error: Any) -> Any:
        journal.append(f"handler for {name}")
        return text_response(f"handler for {name}", 418)

    return handler


# --- making and adding --------------------------------------------------------------------------------------


def refused(what: str) -> None:
    """Do one thing with a new application that may be refused."""
    application = FastASGI()
    hex_converter = {"hex": Converter("[0-9a-f]+", str, str)}
    needs = {"x": lambda x: x, "nothing": lambda: "", "name": lambda name: name}
    actions: dict[str, Callable[[], Any]] = {
        "on_event startup": lambda: application.on_event("startup"),
        "on_event shutdown": lambda: application.on_event("shutdown"),
        "on_event start": lambda: application.on_event("start"),
        "on_event Startup": lambda: application.on_event("Startup"),
        "handler for 404": lambda: application.add_exception_handler(404, print),
        "handler for 99": lambda: application.add_exception_handler(99, print),
        "decorator for KeyError": lambda: application.exception_handler(KeyError)(print),
        "decorator for a text": lambda: application.exception_handler("KeyError")(print),
        "constructor's handler for int": lambda: FastASGI(exception_handlers={int: print}),
        "a function that needs nothing": lambda: application.get("/")(needs["nothing"]),
        "a function that needs x": lambda: application.get("/")(needs["x"]),
        "an included function that needs x": lambda: application.include_router(router_of(needs["x"])),
        "a router with a function that needs x": lambda: FastASGI(router=router_of(needs["x"])),
        "a router alone": lambda: FastASGI(router=APIRouter()),
        "converters alone": lambda: FastASGI(converters=hex_converter),
        "no redirects alone": lambda: FastASGI(redirect_slashes=False),
        "a router and converters": lambda: FastASGI(router=APIRouter(), converters=hex_converter),
        "a router and no redirects": lambda: FastASGI(router=APIRouter(), redirect_slashes=False),
    }
    actions[what]()


def router_of(function: Any) -> Any:
    router = APIRouter()
    router.get("/")(function)
    return router


def everything(asked: str = "") -> Any:
    """An application to which something is added in every way."""
    application, inner, child = FastASGI(), APIRouter(), FastASGI()
    inner.add_route("/x", lambda: "inner", name="x")
    child.add_route("/x", lambda: "child", name="x")
    application.add_route("/{n:int}", lambda: "low", methods=["GET", "put"], name="number")
    application.add_route("/{word}", lambda: "high", name="word", priority=1, methods=["PUT"])
    application.include_router(inner, "/inner", name="in")
    application.mount("/child", child, name="child")
    unnamed, bare = FastASGI(), APIRouter()
    unnamed.add_route("/x", lambda: "unnamed", name="x of a mount without a name")
    application.mount("/unnamed", unnamed)
    bare.add_route("/bare", lambda: "bare", name="bare")
    application.include_router(bare)

    async def socket(websocket: WebSocket, room: str = "of a route that comes later") -> None:
        await websocket.accept()
        await websocket.send_json({"room": room})

    application.add_websocket_route("/ws/{other}", socket, name="low")
    application.add_websocket_route("/ws/{room}", socket, name="ws", priority=1)
    decorate: Any = application.post("/posted", name="posted", priority=2)
    posted: Any = decorate(lambda: "posted")
    assert posted() == "posted", "a decorator does not give the function back"
    application.add_route("/tie/{first}", lambda: "first")
    application.get("/tie/{second}")(lambda: "second")
    application.add_websocket_route("/tie/{room}", socket)
    application.websocket("/tie/{second}")(socket)
    added: list[int] = []

    async def growing(scope: Any, receive: Any, send: Any) -> None:
        if not added:
            await quietly(application)
            application.get("/later", name="later")(lambda: "later")
            added.append(1)
        await application(scope, receive, send)

    growing.url_for = application.url_for  # type: ignore[attr-defined]
    return growing


def url_for(name: str, values: dict[str, Any]) -> Any:
    return everything().url_for(name, **values)


def with_options(kind: str, asked: str = "") -> Any:
    """An application with options for its router."""
    upper = {"upper": Converter("[a-z]+", str.upper, str.lower)}
    if kind == "router":
        router = Empty(converters=upper)
        application = FastASGI(router=router)
        assert application.router is router, "app.router is not the router that was given"
    else:
        application = FastASGI(converters=upper, redirect_slashes=kind == "redirects")

    async def function(word: str) -> str:
        return word

    application.get("/{word:upper}")(function)
    return application


class Empty(APIRouter):
    """A router that counts as false while it has no routes."""

    def __len__(self) -> int:
        return len(self.routes)


async def added_late(kind: str, first: str) -> str:
    """Add a middleware after a first connection."""
    application = FastASGI()
    events = {
        "websocket": [{"type": "websocket.connect"}],
        "lifespan": [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}],
    }.get(first, [])

    async def receive() -> dict[str, Any]:
        return events.pop(0) if events else {"type": f"{first}.disconnect", "code": 1000}

    async def send(message: Any) -> None:
        pass

    if first != "nothing":
        scope = {"type": first, "path": "/", "headers": [], "query_string": b"", "method": "GET", "state": {}}
        await application(scope, receive, send)
    add_layer(application, {"name": "late", "kind": kind}, [])
    return "added"


# --- lifespan ------------------------------------------------------------------------------------------------


def living(asked: str = "", **state: Any) -> Any:
    """An application with a manager, which gives `state`, and hooks; the journal tells their order."""
    journal: Journal = []

    @asynccontextmanager
    async def manager(application: Any) -> AsyncIterator[dict[str, Any]]:
        journal.append(f"enter with {type(application).__name__}")
        application.state.ready = True
        yield state
        journal.append("exit")

    application = FastASGI(lifespan=manager)
    application.add_middleware(Watching, name="m", error=None, journal=journal)

    def hook(name: str) -> Callable[[], None]:
        return lambda: journal.append(name)

    for event in ("startup", "shutdown"):
        for number in (1, 2):
            function = hook(f"{event} {number}")
            assert application.on_event(event)(function) is function, (
                "on_event does not give the function back"
            )

    async def journaled(scope: Any, receive: Any, send: Any) -> None:
        try:
            await application(scope, receive, send)
        finally:
            ready = getattr(application.state, "ready", False)
            await send({"type": "probe.journal", "lines": list(journal), "app.state.ready": ready})

    return journaled


def without_lifespan(asked: str = "") -> Any:
    """An application with a manager that never gets the chance to run."""

    @asynccontextmanager
    async def manager(application: Any) -> AsyncIterator[dict[str, Any]]:
        yield {"database": "open"}

    application = FastASGI(lifespan=manager)
    add_routes(application, [])
    return application


# --- one application in another -----------------------------------------------------------------------------


def nested(inner: list[str] = [], outer: list[str] = [], asked: str = "") -> Any:  # noqa: B006 - never changed
    """An application with another one at /child; each has handlers for some errors."""
    journal: Journal = []
    outer_handlers = {KEYS[name]: handler_of(f"outer {name}", journal) for name in outer}
    inner_handlers = {KEYS[name]: handler_of(f"inner {name}", journal) for name in inner}
    parent, child = FastASGI(exception_handlers=outer_handlers), FastASGI(exception_handlers=inner_handlers)
    add_routes(parent, journal)
    add_routes(child, journal)

    @child.get("/link/{n:int}")
    async def link(request: Request, n: int) -> str:
        mine = request.app is child
        return f"{request.url_for('link', n=n)}{'' if mine else ' of another application'}"

    parent.mount("/child", child)
    return parent
