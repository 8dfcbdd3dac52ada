"""The reference's application: the parts together, under servers that leave out what they can."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastasgi_reference.applications import FastASGI
from fastasgi_reference.exceptions import HTTPException
from fastasgi_reference.file_responses import FileResponse
from fastasgi_reference.middleware.chain import CallNext
from fastasgi_reference.middleware.proxy_headers import ProxyHeaders
from fastasgi_reference.paths import Converter
from fastasgi_reference.requests import Request
from fastasgi_reference.responses import BackgroundTasks, Response, StreamingResponse, text_response
from fastasgi_reference.routing import APIRouter
from fastasgi_reference.websockets import WebSocket, WebSocketDisconnect
from tests.reference.conversation import (
    Log,
    Message,
    body_events,
    http_scope,
    lifespan_scope,
    play,
    websocket_scope,
)
from tests.reference.rules import enforces

CONNECT = {"type": "websocket.connect"}
DISCONNECT = {"type": "websocket.disconnect", "code": 1001}
STARTUP = {"type": "lifespan.startup"}
SHUTDOWN = {"type": "lifespan.shutdown"}
OFFERED = [
    "websocket.http.response",
    "http.response.pathsend",
    "http.response.zerocopysend",
    "http.response.debug",
]


def text(data: str) -> Message:
    return {"type": "websocket.receive", "text": data}


async def through(request: Request, call_next: CallNext) -> Any:
    response = await call_next(request)
    response.headers["x-through"] = request.url.path
    return response


class Through:
    """A middleware that counts what passes."""

    def __init__(self, app: Any, *, seen: list[str]) -> None:
        self._app = app
        self._seen = seen

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self._seen.append(scope["type"])
        await self._app(scope, receive, send)


class Everything:
    """An application that has everything in it, and what it writes down."""

    def __init__(self, path: Path) -> None:
        self.journal: list[str] = []
        self.passed: list[str] = []
        path.write_bytes(b"content of a file")
        self.app = app = FastASGI(lifespan=self.lifespan)
        app.add_middleware(Through, seen=self.passed)
        app.middleware(through)
        app.on_event("startup")(lambda: self.journal.append("startup"))
        app.on_event("shutdown")(lambda: self.journal.append("shutdown"))
        app.add_exception_handler(LookupError, self.missing)
        app.get("/json/{n:int}")(self.json)
        app.get("/plain")(lambda: "plain")
        app.get("/stream")(self.stream)
        app.get("/file")(lambda: FileResponse(path))
        app.post("/echo")(self.echo)
        app.get("/background")(self.background)
        app.get("/missing")(self.missed)
        app.get("/broken")(self.broken)
        app.get("/late")(self.late)
        app.websocket("/chat/{name}")(self.chat)
        app.websocket("/denied")(self.denied)
        app.websocket("/broken")(self.broken_socket)
        child = FastASGI()
        child.get("/")(lambda: "child")
        app.mount("/child", child)

    @asynccontextmanager
    async def lifespan(self, app: Any) -> AsyncIterator[dict[str, Any]]:
        self.journal.append("enter")
        yield {}
        self.journal.append("exit")

    async def json(self, request: Request, n: int) -> Any:
        request.state.seen = n
        return {
            "n": n,
            "url": request.url.path,
            "query": len(request.query_params),
            "headers": request.headers.getlist("x"),
            "cookies": request.cookies,
            "link": request.url_for("json", n=n).path,
        }

    async def missing(self, request: Request, error: Exception) -> Response:
        return text_response("missing", 404)

    async def chunks(self) -> AsyncIterator[str]:
        try:
            yield "one"
            yield "two"
            yield "three"
        finally:
            self.journal.append("closed")

    async def stream(self) -> Response:
        return StreamingResponse(self.chunks())

    async def echo(self, request: Request) -> bytes:
        return await request.body()

    async def background(self) -> Response:
        tasks = BackgroundTasks()
        tasks.add_task(self.journal.append, "background")
        return Response("background", background=tasks)

    async def missed(self) -> None:
        raise KeyError("missed")

    async def broken(self) -> None:
        raise ZeroDivisionError

    async def late(self) -> Response:
        async def breaks() -> AsyncIterator[str]:
            yield "half"
            raise ZeroDivisionError

        return StreamingResponse(breaks())

    async def chat(self, websocket: WebSocket, name: str) -> None:
        try:
            await websocket.accept(["chat"], headers={"x-name": name})
            await websocket.send_text(
                f"{websocket.url.path} {len(websocket.query_params)} {websocket.subprotocol}"
            )
            async for said in websocket.iter_text():
                await websocket.send_text(said)
        except WebSocketDisconnect as error:
            self.journal.append(f"disconnect {error.code}")
            raise
        finally:
            self.journal.append("left")

    async def denied(self, websocket: WebSocket) -> None:
        await websocket.deny(text_response("no", 401))

    async def broken_socket(self, websocket: WebSocket) -> None:
        await websocket.accept()
        raise ZeroDivisionError


@pytest.fixture
def everything(tmp_path: Path) -> Everything:
    return Everything(tmp_path / "file.txt")


REQUESTS = [
    *[("GET", "/json/7"), ("HEAD", "/json/7"), ("GET", "/plain"), ("GET", "/stream"), ("GET", "/file")],
    *[("POST", "/echo"), ("GET", "/background"), ("GET", "/missing"), ("GET", "/broken"), ("GET", "/late")],
    *[("GET", "/nowhere"), ("PUT", "/plain"), ("GET", "/plain/"), ("GET", "/child"), ("GET", "/child/")],
]
SOCKETS = ["/chat/a", "/denied", "/broken", "/nowhere", "/child/"]


def plain(log: Log) -> Any:
    """A log without what differs from one run to the next."""
    return [
        {**message, "headers": [pair for pair in message.get("headers", ()) if pair[0] != b"date"]}
        for message in log.sent
    ], type(log.raised)


# ----------------------------------------------------------------------------------------------------------------
# What a server may leave out, and may add


@enforces(
    *["APP-SCOPE-04", "APP-SCOPE-05", "HTTP-SCOPE-01", "HTTP-SCOPE-03", "HTTP-SCOPE-06", "HTTP-SCOPE-14"],
    *["HTTP-SCOPE-15", "HTTP-SCOPE-16", "HTTP-SCOPE-18"],
)
@pytest.mark.parametrize(
    "keys",
    [
        *[{"asgi": ...}, {"asgi": {}}, {"asgi": {"version": "3.0"}}, {"asgi": {"spec_version": "2.4"}}],
        *[{"scheme": ...}, {"raw_path": ...}, {"raw_path": None}, {"root_path": ...}, {"client": ...}],
        *[{"client": None}, {"client": ["::1", 5000]}, {"server": ...}, {"server": None}, {"state": ...}],
        *[
            {"server": ["/run/app.sock", None]},
            {"extensions": ...},
            {"extensions": None},
            {"http_version": ...},
        ],
        *[{"http_version": "2"}, {"zzz": object()}, {"path_params": {}}],
    ],
)
async def test_each_optional_key_of_a_request_may_be_missing(
    everything: Everything, keys: dict[str, Any]
) -> None:
    for method, path in REQUESTS:
        events = body_events(b"a", b"b") if method == "POST" else body_events()
        expected = await play(everything.app, http_scope(method, path), events)
        log = await play(everything.app, http_scope(method, path, **keys), events)
        assert plain(log) == plain(expected), (method, path)


@enforces("WS-SCOPE-01", "APP-SCOPE-04", "APP-SCOPE-05", "HTTP-SCOPE-16")
@pytest.mark.parametrize(
    "keys",
    [
        *[{"asgi": {"spec_version": "2.5"}}, {"http_version": ...}, {"scheme": ...}, {"raw_path": ...}],
        *[
            {"query_string": ...},
            {"query_string": None},
            {"root_path": ...},
            {"headers": ...},
            {"client": ...},
        ],
        *[{"client": None}, {"server": ...}, {"server": None}, {"subprotocols": ...}, {"subprotocols": None}],
        *[{"extensions": ...}, {"extensions": None}, {"state": ...}, {"zzz": object()}, {"method": "GET"}],
    ],
)
async def test_each_optional_key_of_a_websocket_may_be_missing(
    everything: Everything, keys: dict[str, Any]
) -> None:
    for path in SOCKETS:
        expected = await play(everything.app, websocket_scope(path), [CONNECT, text("hello"), DISCONNECT])
        log = await play(everything.app, websocket_scope(path, **keys), [CONNECT, text("hello"), DISCONNECT])
        assert plain(log) == plain(expected), path


@enforces("APP-SCOPE-04", "WS-ACC-04", "WS-CLOSE-03")
@pytest.mark.parametrize("asgi", [..., {}, {"version": "3.0"}])
async def test_a_websocket_server_that_tells_no_version_gets_what_the_oldest_knows(
    everything: Everything, asgi: Any
) -> None:
    for path in SOCKETS:
        log = await play(everything.app, websocket_scope(path, asgi=asgi), [CONNECT, DISCONNECT])
        for message in log.sent:
            assert message.keys() <= {"type", "subprotocol", "text", "code"}


@enforces("LIFE-APP-06", "APP-SCOPE-04", "APP-SCOPE-05", "LIFE-APP-10")
@pytest.mark.parametrize(
    "keys", [{}, {"asgi": ...}, {"asgi": {}}, {"asgi": {"version": "3.0"}}, {"state": ...}, {"zzz": object()}]
)
async def test_each_optional_key_of_a_lifespan_may_be_missing(
    everything: Everything, keys: dict[str, Any]
) -> None:
    log = await play(everything.app, lifespan_scope(**keys), [STARTUP, SHUTDOWN], end="raise")
    assert log.types == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert log.raised is None
    assert everything.journal == ["enter", "startup", "shutdown", "exit"]
    assert everything.passed == ["lifespan"]


@enforces("APP-EVT-02")
async def test_keys_of_events_that_nobody_knows_are_ignored(everything: Everything) -> None:
    for scope, events in (
        (http_scope("POST", "/echo"), body_events(b"a", b"b")),
        (websocket_scope("/chat/a"), [CONNECT, text("hello"), DISCONNECT]),
        (lifespan_scope(), [STARTUP, SHUTDOWN]),
    ):
        expected = await play(everything.app, scope, events)
        log = await play(everything.app, scope, [{**event, "zzz": 1} for event in events])
        assert plain(log) == plain(expected)


@enforces("APP-SCOPE-06", "EXT-DENY-01", "EXT-DEBUG-01", "EXT-PATH-01", "EXT-ZC-01")
@pytest.mark.parametrize("extensions", [..., None, {}, {"tls": {}}, *({name: {}} for name in OFFERED)])
async def test_no_message_of_an_extension_is_sent_unless_it_is_offered(
    everything: Everything, extensions: Any
) -> None:
    offered = extensions if isinstance(extensions, dict) else {}
    for method, path in REQUESTS:
        log = await play(everything.app, http_scope(method, path, extensions=extensions))
        assert set(log.types) <= {"http.response.start", "http.response.body", *offered}
    for path in SOCKETS:
        log = await play(everything.app, websocket_scope(path, extensions=extensions), [CONNECT, DISCONNECT])
        denials = {kind for kind in log.types if kind.startswith("websocket.http.response.")}
        assert not denials or "websocket.http.response" in offered
        assert bool(denials) is (path == "/denied" and "websocket.http.response" in offered)


@enforces("HTTP-SCOPE-09", "HTTP-SCOPE-10", "HTTP-SCOPE-11", "HTTP-SCOPE-13")
@pytest.mark.parametrize(
    "form",
    [
        list,
        tuple,
        iter,
        lambda pairs: (pair for pair in pairs),
        lambda pairs: tuple(list(pair) for pair in pairs),
        lambda pairs: (iter(pair) for pair in pairs),
        lambda pairs: dict.fromkeys(pairs),
    ],
)
async def test_headers_may_come_in_any_form_and_are_read_as_often_as_one_likes(
    everything: Everything, form: Callable[[Any], Any]
) -> None:
    pairs = [(b"X", b"1"), (b"cookie", b"a=b"), (b"x", b"2"), (b"Cookie", b"c=d,e"), (b"host", b"h")]
    log = await play(everything.app, http_scope(path="/json/1", headers=form(pairs)))
    told = json.loads(log.body)
    assert (told["headers"], told["cookies"]) == (["1", "2"], {"a": "b", "c": "d,e"})
    log = await play(everything.app, websocket_scope("/chat/a", headers=form(pairs)), [CONNECT, DISCONNECT])
    assert log.raised is None


@enforces("APP-SCOPE-01", "APP-SCOPE-02", "APP-SCOPE-03")
@pytest.mark.parametrize("kind", ["mqtt.5", "HTTP", "", "http.request"])
async def test_connections_of_other_kinds_are_refused_by_raising(everything: Everything, kind: str) -> None:
    for scope in ({"type": kind}, http_scope(type=kind)):
        log = await play(everything.app, scope)
        assert isinstance(log.raised, RuntimeError)
        assert (log.sent, log.received) == ([], 0)


@enforces("APP-MW-01", "APP-MW-02")
async def test_the_servers_scope_stays_as_it_was(everything: Everything) -> None:
    for scope in (
        *[http_scope(method, path, state=...) for method, path in REQUESTS],
        *[websocket_scope(path, state=...) for path in SOCKETS],
        lifespan_scope(state=...),
    ):
        headers = list(scope.get("headers", ()))
        before = dict(scope)
        events = {"websocket": [CONNECT, DISCONNECT], "lifespan": [STARTUP, SHUTDOWN]}.get(scope["type"])
        await play(everything.app, scope, events)
        assert scope == before
        assert list(scope.get("headers", ())) == headers


# ----------------------------------------------------------------------------------------------------------------
# The order from the outside in


class Failure(Exception):
    pass


def raising(error: Exception) -> Callable[[], Awaitable[None]]:
    async def endpoint() -> None:
        raise error

    return endpoint


async def test_handled_errors_are_responses_to_middleware_and_others_are_exceptions() -> None:
    app = FastASGI(exception_handlers={Failure: lambda request, error: text_response("handled", 418)})
    seen: list[Any] = []

    @app.middleware
    async def watch(request: Request, call_next: CallNext) -> Any:
        try:
            response = await call_next(request)
        except Exception as error:
            seen.append(type(error))
            raise
        seen.append(response.status_code)
        return response

    app.get("/handled")(raising(Failure()))
    app.get("/http")(raising(HTTPException(409)))
    app.get("/broken")(raising(ZeroDivisionError()))
    for path in ("/handled", "/http", "/none", "/broken"):
        await play(app, http_scope(path=path))
    assert seen == [418, 409, 404, ZeroDivisionError]


async def test_what_middleware_raises_meets_the_same_handlers() -> None:
    app = FastASGI()
    app.exception_handler(Failure)(lambda request, error: text_response("handled", 418))

    @app.middleware
    async def fails(request: Request, call_next: CallNext) -> Any:
        raise {"/failure": Failure(), "/http": HTTPException(403)}.get(request.url.path, ZeroDivisionError())

    got = [await play(app, http_scope(path=path)) for path in ("/failure", "/http", "/other")]
    assert [log.status for log in got] == [418, 403, 500]
    assert [type(log.raised) for log in got] == [type(None), type(None), ZeroDivisionError]


@enforces("HTTP-RESP-14", "HTTP-RESP-15")
@pytest.mark.parametrize("debug", [False, True])
async def test_an_error_without_a_handler_is_a_500_and_goes_on_as_itself(debug: bool) -> None:
    error = Failure("<secret>")
    app = FastASGI(debug=debug)
    app.middleware(through)
    app.get("/")(raising(error))
    log = await play(app, http_scope())
    assert (log.status, log.raised, log.complete) == (500, error, True)
    assert (log.body == b"Internal Server Error") is not debug
    assert (b"&lt;secret&gt;" in log.body) is debug


@pytest.mark.parametrize("key", [Exception, 500])
async def test_a_handler_for_everything_acts_outside_all_middleware(key: Any) -> None:
    app = FastASGI()
    seen: list[str] = []

    @app.middleware
    async def watch(request: Request, call_next: CallNext) -> Any:
        try:
            return await call_next(request)
        except Failure:
            seen.append("failure")
            raise

    @app.exception_handler(key)
    async def sorry(request: Request, error: Exception) -> Response:
        return text_response("sorry", 500)

    error = Failure()
    app.get("/")(raising(error))
    log = await play(app, http_scope())
    assert (log.body, seen) == (b"sorry", ["failure"])
    assert log.raised is (error if key == 500 else None)


@enforces("HTTP-RESP-14", "APP-MW-04")
async def test_an_error_in_an_application_within_is_answered_once_and_goes_on() -> None:
    error = Failure()
    app, child = FastASGI(), FastASGI()
    app.mount("/child", child)
    app.exception_handler(Exception)(lambda request, error: text_response("outer", 500))
    child.get("/")(raising(error))
    log = await play(app, http_scope(path="/child/"))
    assert (log.body, log.raised) == (b"Internal Server Error", error)
    child.exception_handler(Failure)(lambda request, error: text_response("inner", 418))
    log = await play(app, http_scope(path="/child/"))
    assert (log.body, log.raised) == (b"inner", None)


@enforces("LIFE-APP-10", "APP-MW-03")
async def test_every_kind_of_connection_goes_through_the_middleware(everything: Everything) -> None:
    await play(everything.app, lifespan_scope(), [STARTUP, SHUTDOWN])
    log = await play(everything.app, http_scope(path="/plain"))
    await play(everything.app, websocket_scope("/nowhere"), [CONNECT])
    assert everything.passed == ["lifespan", "http", "websocket"]
    assert log.header("x-through") == "/plain"


@pytest.mark.parametrize(
    ("scope", "events"),
    [(http_scope(), None), (websocket_scope(), [CONNECT]), (lifespan_scope(), [STARTUP, SHUTDOWN])],
)
async def test_after_the_first_event_no_middleware_is_added(scope: Any, events: Any) -> None:
    app = FastASGI()
    await play(app, scope, events)
    with pytest.raises(RuntimeError, match="once the application has begun to serve"):
        app.add_middleware(Through, seen=[])
    with pytest.raises(RuntimeError, match="once the application has begun to serve"):
        app.middleware(through)
    assert (await play(app, http_scope())).header("x-through") is None


async def test_routes_may_be_added_at_any_time() -> None:
    app, router = FastASGI(), APIRouter()
    app.include_router(router, "/r", name="r")
    assert (await play(app, http_scope(path="/r/x"))).status == 404
    router.get("/x", name="x")(lambda: "x")
    assert (await play(app, http_scope(path="/r/x"))).body == b"x"
    assert app.url_for("r:x") == "/r/x"


# ----------------------------------------------------------------------------------------------------------------
# Clients that go


@enforces("HTTP-DISC-03", "HTTP-DISC-04", "APP-ERR-01", "HTTP-DISC-02")
@pytest.mark.parametrize("gone", [OSError("gone"), ConnectionResetError(), BrokenPipeError()])
async def test_an_oserror_out_of_send_at_any_place_is_a_disconnect(
    everything: Everything, gone: OSError
) -> None:
    asked: list[Any] = []

    async def never(request: Request, error: Exception) -> str:
        asked.append(error)
        return "never"

    for key in (OSError, Exception, 500):
        everything.app.add_exception_handler(key, never)
    for method, path in REQUESTS:
        if path in ("/broken", "/late"):
            continue
        whole = await play(everything.app, http_scope(method, path))
        for place in range(len(whole.sent)):
            everything.journal.clear()
            log = await play(everything.app, http_scope(method, path), fail_send_at=place, error=gone)
            assert (len(log.sent), log.raised, asked) == (place + 1, gone, []), (method, path, place)
            begun = path == "/stream" and place > 0
            assert everything.journal == (["closed"] if begun else [])
    assert asyncio.all_tasks() == {asyncio.current_task()}


@enforces("WS-DISC-03", "WS-CLOSE-04")
@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_websocket_handler_learns_it_too(everything: Everything, place: int) -> None:
    events = [CONNECT, text("a"), text("b")]
    log = await play(everything.app, websocket_scope("/chat/a"), events, fail_send_at=place)
    assert (len(log.sent), log.raised) == (place + 1, None)
    assert everything.journal == ["disconnect 1006", "left"]


@enforces("HTTP-RESP-16")
async def test_a_response_that_breaks_stays_half(everything: Everything) -> None:
    log = await play(everything.app, http_scope(path="/late"))
    assert log.types == ["http.response.start", "http.response.body"]
    assert (log.complete, type(log.raised)) == (False, ZeroDivisionError)


@enforces("WS-CLOSE-05")
async def test_a_websocket_handler_that_breaks_closes_and_the_error_goes_on(everything: Everything) -> None:
    log = await play(everything.app, websocket_scope("/broken"), [CONNECT])
    assert (log.sent[-1]["code"], type(log.raised)) == (1011, ZeroDivisionError)


@pytest.mark.parametrize("path", ["/stream", "/chat/a"])
async def test_a_cancelled_call_leaves_nothing_behind(everything: Everything, path: str) -> None:
    scope = http_scope(path=path) if path == "/stream" else websocket_scope(path)
    stuck = asyncio.Event()

    async def receive() -> Message:
        return CONNECT if scope["type"] == "websocket" else {"type": "http.request"}

    async def send(message: Message) -> None:
        if message["type"] != "http.response.start":
            stuck.set()
            await asyncio.Event().wait()

    call = asyncio.ensure_future(everything.app(scope, receive, send))
    await stuck.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert everything.journal == (["closed"] if path == "/stream" else ["left"])


# ----------------------------------------------------------------------------------------------------------------
# State and lifespan


@enforces("LIFE-APP-07", "LIFE-APP-08", "LIFE-APP-12")
async def test_what_the_lifespan_gives_is_the_state_of_each_request() -> None:
    database = object()

    @asynccontextmanager
    async def lifespan(app: FastASGI) -> AsyncIterator[dict[str, Any]]:
        app.state.started = True
        yield {"database": database}

    app = FastASGI(lifespan=lifespan)
    seen: list[Any] = []

    @app.get("/")
    async def index(request: Request) -> None:
        seen.extend([request.state.database, request.app.state.started, request.app])
        request.state.mine = 1

    state: dict[str, Any] = {}
    log = await play(app, lifespan_scope(state=state), [STARTUP, SHUTDOWN])
    assert (log.raised, state) == (None, {"database": database})
    copy = dict(state)
    await play(app, http_scope(state=copy))
    assert seen == [database, True, app]
    assert state == {"database": database}


@enforces("LIFE-APP-12")
async def test_requests_are_served_where_no_lifespan_ever_ran(everything: Everything) -> None:
    for keys in ({}, {"state": ...}):
        assert (await play(everything.app, http_scope(path="/json/1", **keys))).status == 200


@enforces("LIFE-APP-03", "LIFE-APP-05")
@pytest.mark.parametrize("event", ["startup", "shutdown"])
async def test_a_hook_that_fails_is_told_to_the_server(event: str) -> None:
    error = Failure("no database")
    app = FastASGI()

    @app.on_event(event)
    async def fails() -> None:
        raise error

    log = await play(app, lifespan_scope(), [STARTUP, SHUTDOWN])
    assert log.sent[-1] == {"type": f"lifespan.{event}.failed", "message": "Failure: no database"}
    assert log.raised is error


def test_there_are_two_events() -> None:
    with pytest.raises(ValueError, match="there is no event 'start': use 'startup' or 'shutdown'"):
        FastASGI().on_event("start")


# ----------------------------------------------------------------------------------------------------------------
# Making one


class Empty(APIRouter):
    """A router that is false while it has no routes."""

    def __len__(self) -> int:
        return len(self.routes)


async def test_a_router_of_ones_own_is_taken_whatever_it_is() -> None:
    router = Empty()
    app = FastASGI(router=router)
    assert app.router is router
    app.get("/")(lambda: "here")
    assert len(router) == 1
    assert (await play(app, http_scope())).body == b"here"


@pytest.mark.parametrize(
    "options", [{"converters": {"hex": Converter("[0-9a-f]", str, str)}}, {"redirect_slashes": False}]
)
def test_a_router_has_its_own_options(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="belong to the router"):
        FastASGI(router=APIRouter(), **options)
    FastASGI(**options)


@pytest.mark.parametrize("slashes", [True, False])
async def test_slashes_are_redirected_unless_told_otherwise(slashes: bool) -> None:
    app = FastASGI(redirect_slashes=slashes)
    app.get("/a")(lambda: "a")
    assert (await play(app, http_scope(path="/a/"))).status == (307 if slashes else 404)


def test_decorators_give_back_what_they_decorate() -> None:
    app = FastASGI()

    def function() -> None:
        pass

    async def handler(request: Request, error: Exception) -> None:
        pass

    assert app.get("/")(function) is function
    assert app.on_event("startup")(function) is function
    assert app.on_event("shutdown")(function) is function
    assert app.exception_handler(404)(handler) is handler
    assert app.middleware(through) is through
    with pytest.raises(ValueError, match="neither a status"):
        app.exception_handler(99)(handler)
    with pytest.raises(ValueError, match="needs x"):
        app.get("/y")(lambda x: x)


async def test_an_application_is_named_in_the_scope_of_each_connection() -> None:
    seen: list[Any] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["type"], scope["fastasgi.app"], scope.get("fastasgi.root_path")))

    app = FastASGI()
    app.add_middleware(lambda _: inner)
    of_another = {"fastasgi.app": object(), "fastasgi.root_path": "/around"}
    for scope in (
        http_scope(root_path="/api", **of_another),
        websocket_scope(root_path=...),
        lifespan_scope(),
    ):
        await play(app, scope)
    assert seen == [("http", app, None), ("websocket", app, None), ("lifespan", app, None)]


@enforces("HTTP-SCOPE-06")
async def test_links_begin_with_the_prefix_that_a_proxy_tells() -> None:
    app, inner = FastASGI(), APIRouter()
    app.add_middleware(ProxyHeaders)

    @app.get("/x")
    @inner.get("/y")
    async def link(request: Request) -> str:
        return str(request.url_for("link"))

    app.mount("/m", inner)
    headers = [(b"host", b"h"), (b"x-forwarded-prefix", b"/api")]
    for path in ("/x", "/m/y"):
        assert (await play(app, http_scope(path=path, headers=headers))).body == b"http://h/api/x"


@enforces("LIFE-APP-03")
async def test_a_middleware_that_cannot_be_made_fails_the_startup() -> None:
    def refuses(app: Any) -> Any:
        raise TypeError("no such option")

    app = FastASGI()
    app.add_middleware(refuses)
    log = await play(app, lifespan_scope(), [{"type": "lifespan.startup"}])
    assert log.sent == [{"type": "lifespan.startup.failed", "message": "TypeError: no such option"}]
    assert isinstance(log.raised, TypeError)
    with pytest.raises(RuntimeError, match="add it before"):
        app.add_middleware(refuses)
    assert isinstance((await play(app, http_scope())).raised, TypeError)


# ----------------------------------------------------------------------------------------------------------------
# Apart from each other


@enforces("APP-CALL-01", "APP-CALL-02", "APP-CALL-03")
@given(said=st.lists(st.integers(0, 5), max_size=20))
async def test_calls_at_the_same_time_stay_apart(said: list[int]) -> None:
    app = FastASGI()
    app.middleware(through)

    @app.post("/{name}")
    async def echo(request: Request, name: str) -> Response:
        request.state.name = name

        async def chunks() -> AsyncIterator[bytes]:
            async for chunk in request.stream():
                yield request.state.name.encode() + chunk

        return StreamingResponse(chunks(), headers={"x-name": name})

    @app.websocket("/{name}")
    async def chat(websocket: WebSocket, name: str) -> None:
        await websocket.accept(headers={"x-name": name})
        websocket.state.name = name
        async for said in websocket.iter_text():
            await websocket.send_text(websocket.state.name + said)

    count = 6
    queues: list[asyncio.Queue[Message]] = [asyncio.Queue() for _ in range(count)]
    sent: list[list[Message]] = [[] for _ in range(count)]

    def call(number: int) -> Awaitable[None]:
        async def receive(*nothing: None) -> Message:
            return await queues[number].get()

        async def send(message: Message, /) -> None:
            sent[number].append(message)

        path = f"/{number}"
        scope = websocket_scope(path, state=...) if number % 2 else http_scope("POST", path, state=...)
        return app(scope, receive, send)

    calls = [asyncio.ensure_future(call(number)) for number in range(count)]
    for number in range(1, count, 2):
        queues[number].put_nowait(CONNECT)
    for place, number in enumerate(said):
        request = {"type": "http.request", "body": b"%d " % place, "more_body": True}
        queues[number].put_nowait(text(f"{place} ") if number % 2 else request)
        await asyncio.sleep(0)
    for number in range(count):
        queues[number].put_nowait(DISCONNECT if number % 2 else {"type": "http.request"})
    await asyncio.gather(*calls)
    for number, messages in enumerate(sent):
        assert (b"x-name", str(number).encode()) in messages[0]["headers"]
        told = "".join(m.get("text", "") if number % 2 else m["body"].decode() for m in messages[1:])
        assert told == "".join(f"{number}{place} " for place, each in enumerate(said) if each == number)
