"""The example application under the drivers and inside the middleware of others, in memory.

What holds under real servers is in test_peers_servers.py; applications inside applications in test_peers_mounting.py.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import warnings
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager
from functools import wraps
from threading import Thread
from typing import Any, ParamSpec
from wsgiref.types import StartResponse, WSGIEnvironment

import httpx
import pytest
from asgi_lifespan import LifespanManager
from asgiref.compatibility import guarantee_single_callable, is_double_callable
from asgiref.testing import ApplicationCommunicator
from asgiref.wsgi import WsgiToAsgi
from starlette.applications import Starlette
from starlette.exceptions import HTTPException, StarletteDeprecationWarning
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket as StarletteWebSocket
from werkzeug.exceptions import NotFound
from werkzeug.routing import Map, Rule
from werkzeug.utils import redirect
from werkzeug.wrappers import Request as WerkzeugRequest
from werkzeug.wrappers import Response as WerkzeugResponse

from fastasgi_reference import APIRouter, FastASGI, Request, StaticFiles, WebSocket
from fastasgi_reference.middleware.compress import Compress
from fastasgi_reference.monitoring import Health
from fastasgi_reference.testing import TestClient, WebSocketClosed, WebSocketRefused
from fastasgi_reference.wsgi import WSGIAdapter
from tests.reference.conversation import http_scope, lifespan_scope, websocket_scope
from tests.reference.example import FILES, Book, create_app
from tests.reference.example_checks import CHECKS, PICTURE, Check, book, each_of
from tests.reference.rules import enforces

with warnings.catch_warnings():
    # It would rather be used with a successor of httpx, which it does not need.
    warnings.simplefilter("ignore", StarletteDeprecationWarning)
    from starlette.testclient import TestClient as StarletteClient
    from starlette.testclient import WebSocketDenialResponse
    from starlette.websockets import WebSocketDisconnect

P = ParamSpec("P")
LIMIT = 30.0
"""Seconds after which a conversation that hangs fails its test."""


def in_time(test: Callable[P, None]) -> Callable[P, None]:
    """A decorator: a test that is not over in time fails. Its thread is left to itself: nothing else can stop it."""

    @wraps(test)
    def bounded(*args: P.args, **kwargs: P.kwargs) -> None:
        outcome: Future[None] = Future()

        def run() -> None:
            try:
                test(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised below
                outcome.set_exception(error)
            else:
                outcome.set_result(None)

        Thread(target=run, daemon=True).start()
        outcome.result(LIMIT)

    return bounded


@asynccontextmanager
async def started(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application that has been started; at the end of the block that is shut down."""
    async with (
        asyncio.timeout(LIMIT),
        LifespanManager(app) as manager,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(manager.app), base_url="http://library.test"
        ) as client,
    ):
        yield client


# asgi-lifespan and httpx


@each_of(CHECKS)
async def test_the_example_answers_alike_in_memory(check: Check) -> None:
    async with started(create_app()) as client:
        await check(client)


async def test_an_application_that_cannot_start_tells_the_driver_why() -> None:
    app = FastASGI()

    @app.on_event("startup")
    async def fail() -> None:
        raise RuntimeError("the library is on fire")

    with pytest.raises(RuntimeError, match="on fire"):
        async with LifespanManager(app):
            pass


# asgiref


@pytest.mark.parametrize(
    "app",
    [
        FastASGI(),
        APIRouter(),
        StaticFiles(FILES),
        Health(),
        Compress(FastASGI()),
        WSGIAdapter(lambda e, s: []),
    ],
    ids=lambda app: type(app).__name__,
)
@enforces("APP-CALL-01")
def test_whatever_is_an_application_is_of_asgi_3(app: Any) -> None:
    assert not is_double_callable(app)  # type: ignore[no-untyped-call]
    assert guarantee_single_callable(app) is app  # type: ignore[no-untyped-call]


def driven(app: Any, scope: dict[str, Any]) -> Any:
    """One call of an application by asgiref, which has no types."""
    communicator: Any = ApplicationCommunicator
    return communicator(app, scope)


async def test_lifespan_http_and_websocket_under_asgiref() -> None:
    app = create_app()
    state: dict[str, Any] = {}
    lifespan = driven(app, lifespan_scope(state=state))
    await lifespan.send_input({"type": "lifespan.startup"})
    assert (await lifespan.receive_output(LIMIT))["type"] == "lifespan.startup.complete"
    state["library"].add(Book(**book()))

    http = driven(app, http_scope(path="/books/1", state=dict(state)))
    await http.send_input({"type": "http.request"})
    start, body = await http.receive_output(LIMIT), await http.receive_output(LIMIT)
    assert start["status"] == 200
    assert json.loads(body["body"])["title"] == "Flatland"
    await http.wait(LIMIT)

    websocket = driven(app, websocket_scope("/sockets/echo", state=dict(state)))
    await websocket.send_input({"type": "websocket.connect"})
    assert (await websocket.receive_output(LIMIT))["type"] == "websocket.accept"
    await websocket.send_input({"type": "websocket.receive", "bytes": None, "text": "hello"})
    assert await websocket.receive_output(LIMIT) == {"type": "websocket.send", "text": "hello"}
    await websocket.send_input({"type": "websocket.disconnect", "code": 1000})
    await websocket.wait(LIMIT)
    assert await websocket.receive_nothing(timeout=0)

    await lifespan.send_input({"type": "lifespan.shutdown"})
    assert (await lifespan.receive_output(LIMIT))["type"] == "lifespan.shutdown.complete"
    await lifespan.wait(LIMIT)


async def test_an_application_that_raises_under_asgiref() -> None:
    app = FastASGI()

    @app.get("/")
    async def fail() -> None:
        raise ZeroDivisionError

    http = driven(app, http_scope())
    await http.send_input({"type": "http.request"})
    with pytest.raises(ZeroDivisionError):
        await http.wait(LIMIT)
    assert http.output_queue.get_nowait()["status"] == 500


# WSGI


def old_library(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """An application of werkzeug's: routes, links, forms with files, cookies, redirects, errors."""
    urls = Map([Rule("/", endpoint="index"), Rule("/cards/<int:number>", endpoint="card")]).bind_to_environ(
        environ
    )
    with WerkzeugRequest(environ) as request:
        try:
            endpoint, values = urls.match()
        except NotFound as error:
            return error.get_response(environ)(environ, start_response)
        if endpoint == "card":
            response = WerkzeugResponse(f"{values['number']} {request.args['q']} {request.cookies['c']}")
            response.set_cookie("a", "1")
            response.set_cookie("b", "2")
        elif request.method == "POST":
            file = request.files["scan"]
            response = WerkzeugResponse(f"{file.filename} {len(file.read())} {request.form['note']}", 201)
        else:
            response = redirect(urls.build("card", {"number": 7}, force_external=True))
        return response(environ, start_response)


@pytest.mark.parametrize("wrap", [WSGIAdapter, WsgiToAsgi], ids=["WSGIAdapter", "asgiref"])
async def test_an_application_of_werkzeug_answers_alike_under_both_adapters(wrap: Any) -> None:
    app = FastASGI()
    app.mount("/old", wrap(old_library))
    async with started(app) as client:
        index = await client.get("/old/")
        assert (index.status_code, index.headers["location"]) == (302, "http://library.test/old/cards/7")
        card = await client.get("/old/cards/7", params={"q": "Ærø"}, headers={"cookie": "c=3"})
        assert card.text == "7 Ærø 3"
        assert [text.partition(";")[0] for text in card.headers.get_list("set-cookie")] == ["a=1", "b=2"]
        posted = await client.post("/old/", files={"scan": ("søn.png", PICTURE)}, data={"note": "N° 5"})
        assert (posted.status_code, posted.text) == (201, f"søn.png {len(PICTURE)} N° 5")
        assert (await client.get("/old/nowhere")).status_code == 404
        assert (await client.head("/old/nowhere")).content == b""


# Starlette's middleware


def teller() -> FastASGI:
    """An application that tells much, fails in several ways, and has its state from a lifespan."""

    @asynccontextmanager
    async def lifespan(app: FastASGI) -> AsyncIterator[Mapping[str, Any]]:
        yield {"pages": 1000}

    app = FastASGI(lifespan=lifespan)

    @app.get("/tell")
    async def tell(request: Request) -> str:
        pages: int = request.state.pages
        return "once upon a time " * pages

    @app.post("/echo")
    async def echo(request: Request) -> bytes:
        return await request.body()

    @app.get("/fail")
    async def fail() -> None:
        raise ZeroDivisionError

    @app.websocket("/talk")
    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(text)

    return app


class Stamp(BaseHTTPMiddleware):
    """A middleware by the class that Starlette has for that."""

    async def dispatch(self, request: StarletteRequest, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["x-stamp"] = request.url.path
        return response


def inside(factory: Any, **options: Any) -> Any:
    """The application with the middleware of another among its own."""
    app = teller()
    app.add_middleware(factory, **options)
    return app


def outside(factory: Any, **options: Any) -> Any:
    """The application with the middleware of another around it."""
    return factory(teller(), **options)


PLACES = pytest.mark.parametrize("place", [inside, outside])


@PLACES
async def test_starlettes_gzip(place: Any) -> None:
    async with started(place(GZipMiddleware)) as client:
        packed = await client.get("/tell")
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.text == "once upon a time " * 1000
        assert (await client.post("/echo", content=b"short")).content == b"short"


@PLACES
async def test_starlettes_cors(place: Any) -> None:
    origin = {"origin": "https://example.org"}
    async with started(place(CORSMiddleware, allow_origins=["https://example.org"])) as client:
        preflight = await client.options("/tell", headers={**origin, "access-control-request-method": "GET"})
        assert preflight.status_code == 200
        response = await client.get("/nowhere", headers=origin)
        assert response.status_code == 404
        assert response.headers["access-control-allow-origin"] == "https://example.org"


@PLACES
async def test_starlettes_trusted_host_and_https_redirect(place: Any) -> None:
    async with started(place(TrustedHostMiddleware, allowed_hosts=["library.test"])) as client:
        assert (await client.get("/tell")).status_code == 200
        assert (await client.get("/tell", headers={"host": "other.test"})).status_code == 400
    async with started(place(HTTPSRedirectMiddleware)) as client:
        assert (await client.get("/tell")).headers["location"] == "https://library.test/tell"


@PLACES
async def test_starlettes_base_middleware(place: Any) -> None:
    async with started(place(Stamp)) as client:
        response = await client.post("/echo", content=PICTURE)
        assert (response.content, response.headers["x-stamp"]) == (PICTURE, "/echo")
        with pytest.raises(ZeroDivisionError):
            await client.get("/fail")


@PLACES
async def test_starlettes_sessions(place: Any) -> None:
    pytest.importorskip("itsdangerous", reason="Starlette's sessions need it")
    from starlette.middleware.sessions import SessionMiddleware

    app = FastASGI()

    @app.get("/count")
    async def count(request: Request) -> dict[str, int]:
        session = request.scope["session"]
        session["visits"] = session.get("visits", 0) + 1
        return {"visits": session["visits"]}

    if place is inside:
        app.add_middleware(SessionMiddleware, secret_key="secret")
        wrapped: Any = app
    else:
        wrapped = SessionMiddleware(app, secret_key="secret")
    async with started(wrapped) as client:
        assert [(await client.get("/count")).json()["visits"] for _ in range(3)] == [1, 2, 3]


@PLACES
@pytest.mark.parametrize("factory", [GZipMiddleware, Stamp])
@in_time
def test_websockets_pass_starlettes_middleware(place: Any, factory: Any) -> None:
    with StarletteClient(place(factory)) as client, client.websocket_connect("/talk") as websocket:
        websocket.send_text("hello")
        assert websocket.receive_text() == "hello"


@pytest.mark.parametrize("packed", [True, False])
async def test_our_compression_serves_an_application_of_starlette(packed: bool) -> None:
    def lines() -> Iterable[bytes]:
        yield from [b"a line\n"] * 1000

    async def tell(request: StarletteRequest) -> StreamingResponse:
        return StreamingResponse(lines(), media_type="text/plain")

    app = Starlette(routes=[Route("/", tell)], middleware=[Middleware(Compress)])
    coding = {"accept-encoding": "gzip" if packed else "identity"}
    async with started(app) as client, client.stream("GET", "/", headers=coding) as response:
        raw = b"".join([chunk async for chunk in response.aiter_raw()])
        assert response.headers.get("content-encoding") == ("gzip" if packed else None)
        assert (gzip.decompress(raw) if packed else raw) == b"a line\n" * 1000


# Starlette's test client


@in_time
def test_starlettes_client_asks_by_http() -> None:
    with StarletteClient(create_app(), follow_redirects=False) as client:
        added = client.post("/books", json=book())
        assert (added.status_code, added.headers["location"]) == (201, "http://testserver/books/1")
        files = {"cover": ("cover.png", PICTURE, "image/png")}
        assert client.put("/books/1/cover", files=files).json()["size"] == len(PICTURE)
        assert client.get("/books/1/cover").content == PICTURE
        assert client.head("/books/1").content == b""
        assert client.post("/login", data={"name": "Ada"}).status_code == 303
        assert client.get("/me").json() == {"name": "Ada"}
        assert client.post("/books/1/loan").status_code == 202
        assert client.get("/mails").json() == ["Ada has Flatland"]
        assert client.post("/echo", content=PICTURE).content == PICTURE


@in_time
def test_starlettes_client_speaks_by_websocket() -> None:
    with StarletteClient(create_app()) as client:
        with client.websocket_connect("/sockets/echo", subprotocols=["shout"]) as websocket:
            assert websocket.accepted_subprotocol == "shout"
            websocket.send_text("hello")
            assert websocket.receive_text() == "HELLO"
            websocket.send_bytes(b"")
            assert websocket.receive_bytes() == b""
            websocket.close(4001)
        with pytest.raises(WebSocketDenialResponse) as denied, client.websocket_connect("/sockets/books/1"):
            pass
        assert (denied.value.status_code, denied.value.text) == (401, "log in first")
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/sockets/nothing"):
            pass
        client.post("/login", data={"name": "Ada"})
        with (
            client.websocket_connect("/sockets/books/1") as websocket,
            pytest.raises(WebSocketDisconnect) as closed,
        ):
            websocket.receive_text()
        # This client does not say which version it speaks. That means 2.0, which knows no reasons.
        assert (closed.value.code, closed.value.reason) == (4004, "")


@in_time
def test_starlettes_client_sees_failures() -> None:
    with StarletteClient(teller()) as client, pytest.raises(ZeroDivisionError):
        client.get("/fail")
    with StarletteClient(teller(), raise_server_exceptions=False) as client:
        assert (client.get("/fail").status_code, client.get("/fail").text) == (500, "Internal Server Error")


@enforces("HTTP-SCOPE-06")
@in_time
def test_starlettes_client_may_give_a_root_path() -> None:
    with StarletteClient(create_app(), root_path="/shelf") as client:
        assert (
            client.post("/shelf/books", json=book()).headers["location"] == "http://testserver/shelf/books/1"
        )
        assert client.get("/shelf/books/1").json()["title"] == "Flatland"


# Our own test client


@enforces("LIFE-APP-02", "LIFE-APP-07")
async def test_what_is_made_at_startup_is_gone_after_shutdown() -> None:
    async with TestClient(create_app()) as client:
        library = (client.state or {})["library"]
        assert library.covers.exists()
    assert not library.covers.exists()


async def test_our_client_asks_the_example_by_http() -> None:
    async with TestClient(create_app()) as client:
        added = await client.post("/books", json=book())
        assert (added.status_code, added.headers["location"]) == (201, "http://testserver/books/1")
        cover = await client.put(
            "/books/1/cover", files={"cover": ("søn.png", PICTURE, "image/png")}, data={"caption": "In 2 D"}
        )
        assert cover.json() == {"file": "søn.png", "size": len(PICTURE), "caption": "In 2 D"}
        assert (await client.get("/books/1/cover", headers={"range": "bytes=1-3"})).content == b"PNG"
        me = await client.post("/login", data={"name": "Ada"})
        assert (me.json(), [each.status_code for each in me.history]) == ({"name": "Ada"}, [303])
        assert (await client.post("/books/1/loan")).status_code == 202
        assert (await client.get("/mails")).json() == ["Ada has Flatland"]
        assert "lending library" in (await client.post("/logout")).text
        assert (await client.get("/me")).status_code == 401
        assert (await client.delete("/books/1")).status_code == 204


async def test_our_client_sees_streams_of_the_example_while_they_are_made() -> None:
    parts: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def content() -> AsyncIterator[bytes]:
        while (part := await parts.get()) is not None:
            yield part

    async with TestClient(create_app()) as client:
        parts.put_nowait(b"one")  # the response begins with its first chunk, since it may be compressed
        async with client.stream("POST", "/echo", content=content()) as response:
            chunks = response.iter_bytes()
            assert await anext(chunks) == b"one"
            parts.put_nowait(b"two")
            assert await anext(chunks) == b"two"
            parts.put_nowait(None)
            assert await response.read() == b""
        async with client.stream("GET", "/news") as response:
            await client.post("/books", json=book())
            event = await anext(response.iter_bytes())
            assert event.startswith(b"event: book\nid: 1\ndata: {")
        library = (client.state or {})["library"]
        assert [number for number, _ in library] == [1]


async def test_our_client_speaks_with_the_example_by_websocket() -> None:
    async with TestClient(create_app()) as client:
        async with client.websocket("/sockets/echo", subprotocols=["other", "shout"]) as websocket:
            assert websocket.subprotocol == "shout"
            await websocket.send_text("hello")
            assert await websocket.receive_text() == "HELLO"
        with pytest.raises(WebSocketRefused) as refused:
            async with client.websocket("/sockets/books/1"):
                pass
        assert refused.value.status_code == 401
        await client.post("/login", data={"name": "Ada"})
        async with client.websocket("/sockets/books/1") as websocket:
            with pytest.raises(WebSocketClosed) as closed:
                await websocket.receive()
        assert (closed.value.code, closed.value.reason) == (4004, "there is no book 1")


async def test_our_client_asks_an_application_of_starlette() -> None:
    async def show(request: StarletteRequest) -> JSONResponse:
        async with request.form() as form:
            file: Any = form["file"]
            shown = {"size": len(await file.read()), "name": file.filename}
        shown |= {"query": request.query_params["q"], "who": request.state.who}
        return JSONResponse(shown | {"link": str(request.url_for("show"))})

    async def fail(request: StarletteRequest) -> None:
        raise HTTPException(418, "short and stout", {"x-tea": "yes"})

    async def tell(request: StarletteRequest) -> StreamingResponse:
        async def count() -> AsyncIterator[str]:
            for number in range(3):
                yield str(number)

        return StreamingResponse(count())

    async def echo(websocket: StarletteWebSocket) -> None:
        await websocket.accept(subprotocol="b")
        await websocket.send_json(await websocket.receive_json())
        await websocket.close(4000, "enough")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        yield {"who": "Ada"}

    routes = [
        Route("/show", show, methods=["POST"]),
        Route("/fail", fail),
        Route("/tell", tell),
        WebSocketRoute("/echo", echo),
    ]
    async with TestClient(Starlette(routes=routes, lifespan=lifespan)) as client:
        shown = await client.post("/show", params={"q": "Ærø"}, files={"file": ("a.txt", b"hello")})
        assert shown.json() == {
            "size": 5, "name": "a.txt", "query": "Ærø", "who": "Ada", "link": "http://testserver/show",
        }  # fmt: skip
        failed = await client.get("/fail")
        assert (failed.status_code, failed.text, failed.headers["x-tea"]) == (418, "short and stout", "yes")
        assert (await client.get("/tell")).text == "012"
        assert (await client.get("/tell/")).text == "012"  # it was redirected
        async with client.websocket("/echo", subprotocols=["a", "b"]) as websocket:
            await websocket.send_json({"a": [1]})
            assert await websocket.receive_json() == {"a": [1]}
            with pytest.raises(WebSocketClosed) as closed:
                await websocket.receive()
        assert (closed.value.code, closed.value.reason) == (4000, "enough")
