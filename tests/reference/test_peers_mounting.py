"""Applications inside applications: others' inside FastASGI, and FastASGI inside others'.

Whatever is inside sees a root_path that has grown, makes links that lead back to it, and answers its own errors.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi import HTTPException as FastAPIException
from starlette.applications import Starlette
from starlette.exceptions import HTTPException as StarletteException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route, Router, WebSocketRoute
from starlette.websockets import WebSocket as StarletteWebSocket

from fastasgi_reference import APIRouter, FastASGI, HTTPException, Request, Response, StaticFiles, WebSocket
from fastasgi_reference.middleware.chain import CallNext
from fastasgi_reference.monitoring import Health
from fastasgi_reference.testing import TestClient, WebSocketClosed, WebSocketRefused
from fastasgi_reference.wsgi import WSGIAdapter
from tests.reference.example import FILES, create_app, opening_hours
from tests.reference.example import lifespan as open_library
from tests.reference.example_checks import book
from tests.reference.rules import enforces

ROOTS = pytest.mark.parametrize("root", ["", "/proxy"])


def hosting(prefix: str, app: Any) -> FastASGI:
    """An application of ours with another below `prefix`."""
    host = FastASGI()
    host.mount(prefix, app)

    @host.get("/own")
    async def own() -> str:
        return "own"

    return host


# Starlette inside


async def tell_starlette(request: StarletteRequest) -> JSONResponse:
    return JSONResponse(
        {
            "path": request.url.path,
            "root_path": request.scope["root_path"],
            "params": request.path_params,
            "link": str(request.url_for("tell", number=3)),
        }
    )


async def fail_starlette(request: StarletteRequest) -> None:
    raise ZeroDivisionError


async def refuse_starlette(request: StarletteRequest) -> None:
    raise StarletteException(418, "short and stout")


async def talk_starlette(websocket: StarletteWebSocket) -> None:
    await websocket.accept(subprotocol="talk")
    await websocket.send_text(f"{websocket.url.path} {websocket.path_params['number']}")
    await websocket.close(4000, "enough")


def starlette() -> Starlette:
    """An application of Starlette's."""
    return Starlette(
        routes=[
            Route("/tell/{number:int}", tell_starlette, name="tell"),
            Route("/fail", fail_starlette),
            Route("/refuse", refuse_starlette),
            WebSocketRoute("/talk/{number:int}", talk_starlette),
        ]
    )


@ROOTS
@enforces("HTTP-SCOPE-06", "HTTP-SCOPE-08")
async def test_starlette_inside_sees_the_whole_path_and_its_root(root: str) -> None:
    for prefix, path, outer in (("/in", "/in", {}), ("/t/{tenant}", "/t/ab", {"tenant": "ab"})):
        async with TestClient(hosting(prefix, starlette()), root_path=root) as client:
            told = (await client.get(f"{path}/tell/1")).json()
            assert (told["path"], told["root_path"]) == (f"{root}{path}/tell/1", f"{root}{path}")
            assert told["params"] == {**outer, "number": 1}
            assert (await client.get("/own")).text == "own"


@ROOTS
async def test_links_of_starlette_inside_lead_back_to_it(root: str) -> None:
    async with TestClient(hosting("/in", starlette()), root_path=root) as client:
        assert (await client.get("/in/tell/1")).json()["link"] == f"http://testserver{root}/in/tell/3"


async def test_starlette_inside_answers_its_own_errors() -> None:
    async with TestClient(hosting("/in", starlette()), raise_server_exceptions=False) as client:
        missing = await client.get("/in/nowhere")
        assert (missing.status_code, missing.text) == (404, "Not Found")
        refused = await client.get("/in/refuse")
        assert (refused.status_code, refused.text) == (418, "short and stout")
        assert (await client.post("/in/refuse")).status_code == 405
        assert (await client.get("/in/fail")).status_code == 500
    async with TestClient(hosting("/in", starlette())) as client:
        with pytest.raises(ZeroDivisionError):
            await client.get("/in/fail")


@ROOTS
async def test_starlette_inside_redirects_slashes_within_the_root(root: str) -> None:
    async with TestClient(hosting("/in", starlette()), root_path=root) as client:
        response = await client.get("/in/tell/1/", follow_redirects=False)
        assert response.headers["location"] == f"http://testserver{root}/in/tell/1"


async def test_websockets_of_starlette_inside() -> None:
    async with TestClient(hosting("/in", starlette())) as client:
        async with client.websocket("/in/talk/5", subprotocols=["talk"]) as websocket:
            assert await websocket.receive_text() == "/in/talk/5 5"
            with pytest.raises(WebSocketClosed) as closed:
                await websocket.receive()
            assert (closed.value.code, closed.value.reason) == (4000, "enough")
        with pytest.raises(WebSocketRefused):
            async with client.websocket("/in/talk/x"):
                pass


async def test_our_middleware_sees_what_starlette_inside_answers() -> None:
    host = hosting("/in", starlette())
    seen: list[tuple[str, int]] = []

    @host.middleware
    async def watch(request: Request, call_next: CallNext) -> Response:
        response = await call_next(request)
        seen.append((request.url.path, response.status_code))
        response.headers["x-watched"] = "yes"
        return response

    async with TestClient(host) as client:
        for path in ("/in/tell/1", "/in/nowhere", "/own"):
            assert (await client.get(path)).headers["x-watched"] == "yes"
    assert seen == [("/in/tell/1", 200), ("/in/nowhere", 404), ("/own", 200)]


async def test_a_bare_router_of_starlette_inside() -> None:
    async def tell(request: StarletteRequest) -> PlainTextResponse:
        return PlainTextResponse(request.url.path)

    async with TestClient(hosting("/in", Router([Route("/tell", tell)]))) as client:
        assert (await client.get("/in/tell")).text == "/in/tell"


async def test_a_bare_router_of_starlette_inside_answers_its_own_errors() -> None:
    async with TestClient(hosting("/in", Router()), raise_server_exceptions=False) as client:
        assert (await client.get("/in/nowhere")).status_code == 404


async def test_fastapi_inside() -> None:
    api = FastAPI()

    @api.get("/items/{number}")
    async def show(number: int, request: StarletteRequest, note: str = "") -> dict[str, Any]:
        if number == 0:
            raise FastAPIException(404, "there is no item 0")
        return {"number": number, "note": note, "tenant": request.path_params["tenant"]}

    async with TestClient(hosting("/{tenant}/api", api)) as client:
        shown = await client.get("/ab/api/items/5", params={"note": "Ærø"})
        assert shown.json() == {"number": 5, "note": "Ærø", "tenant": "ab"}
        missing = await client.get("/ab/api/items/0")
        assert (missing.status_code, missing.json()) == (404, {"detail": "there is no item 0"})
        assert (await client.get("/ab/api/items/x")).status_code == 422
        described = (await client.get("/ab/api/openapi.json")).json()
        assert described["servers"] == [{"url": "/ab/api"}]


# FastASGI inside


class Stamp(BaseHTTPMiddleware):
    """A middleware of Starlette's that marks each response, and answers one exception."""

    async def dispatch(
        self, request: StarletteRequest, call_next: Callable[[StarletteRequest], Awaitable[Any]]
    ) -> Any:
        response = await call_next(request)
        response.headers["x-stamp"] = request.url.path
        return response


@asynccontextmanager
async def name_the_host(app: Starlette) -> AsyncIterator[Mapping[str, Any]]:
    yield {"host": "starlette"}


def guest() -> FastASGI:
    """An application of ours, with each way to answer."""
    app = FastASGI()

    @app.get("/tell/{number:int}")
    async def tell(request: Request, number: int) -> dict[str, Any]:
        return {
            "url": str(request.url),
            "root_path": request.scope["root_path"],
            "params": request.path_params,
            "link": str(request.url_for("tell", number=3)),
            "host": request.state.host,
        }

    @app.get("/fail")
    async def fail() -> None:
        raise ZeroDivisionError

    @app.get("/refuse")
    async def refuse() -> None:
        raise HTTPException(418, "short and stout")

    @app.exception_handler(404)
    async def explain(request: Request, error: HTTPException) -> Response:
        return Response("nothing below " + request.scope["root_path"], 404)

    @app.websocket("/talk/{number:int}")
    async def talk(websocket: WebSocket, number: int) -> None:
        await websocket.accept(subprotocol=["talk"])
        await websocket.send_text(f"{websocket.url} {number} {websocket.url_for('tell', number=number)}")
        await websocket.close(4000, "enough")

    return app


def hosted(*, middleware: bool = False) -> Starlette:
    """An application of Starlette's with ours inside, once at a fixed path and once at one with a parameter."""
    return Starlette(
        routes=[Mount("/in", guest()), Mount("/t/{tenant}", guest())],
        lifespan=name_the_host,
        middleware=[Middleware(Stamp)] if middleware else [],
    )


@ROOTS
@pytest.mark.parametrize("middleware", [False, True], ids=["plain", "behind middleware"])
@enforces("HTTP-SCOPE-06")
async def test_fastasgi_inside_sees_the_whole_path_and_its_root(root: str, middleware: bool) -> None:
    async with TestClient(hosted(middleware=middleware), root_path=root) as client:
        for path, outer in (("/in", {}), ("/t/ab", {"tenant": "ab"})):
            response = await client.get(f"{path}/tell/1?q=%C3%A9")
            assert response.json() == {
                "url": f"http://testserver{root}{path}/tell/1?q=%C3%A9",
                "root_path": f"{root}{path}",
                "params": {**outer, "number": 1},
                "link": f"http://testserver{root}{path}/tell/3",
                "host": "starlette",
            }
            assert response.headers.get("x-stamp") == (f"{root}{path}/tell/1" if middleware else None)
            slash = await client.get(f"{path}/tell/1/", follow_redirects=False)
            assert slash.headers["location"] == f"{root}{path}/tell/1"


@pytest.mark.parametrize("middleware", [False, True], ids=["plain", "behind middleware"])
@enforces("HTTP-RESP-15")
async def test_fastasgi_inside_answers_its_own_errors(middleware: bool) -> None:
    host = hosted(middleware=middleware)
    async with TestClient(host, raise_server_exceptions=False) as client:
        missing = await client.get("/in/nowhere")
        assert (missing.status_code, missing.text) == (404, "nothing below /in")
        refused = await client.get("/in/refuse")
        assert (refused.status_code, refused.text) == (418, "short and stout")
        assert (await client.post("/in/refuse")).headers["allow"] == "GET, HEAD"
        failed = await client.get("/in/fail")
        assert (failed.status_code, failed.text) == (500, "Internal Server Error")
    async with TestClient(host) as client:
        with pytest.raises(ZeroDivisionError):
            await client.get("/in/fail")


@ROOTS
async def test_websockets_of_fastasgi_inside(root: str) -> None:
    async with TestClient(hosted(middleware=True), root_path=root) as client:
        async with client.websocket("/in/talk/5", subprotocols=["talk"]) as websocket:
            assert websocket.subprotocol == "talk"
            link = f"http://testserver{root}/in/tell/5"
            assert await websocket.receive_text() == f"ws://testserver{root}/in/talk/5 5 {link}"
            with pytest.raises(WebSocketClosed) as closed:
                await websocket.receive()
            assert (closed.value.code, closed.value.reason) == (4000, "enough")
        with pytest.raises(WebSocketRefused):
            async with client.websocket("/in/talk/x"):
                pass


async def test_the_example_inside_starlette_which_opens_the_library() -> None:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[Mapping[str, Any]]:
        async with open_library(FastASGI()) as state:
            yield state

    async with TestClient(Starlette(routes=[Mount("/library", create_app())], lifespan=lifespan)) as client:
        added = await client.post("/library/books", json=book())
        assert added.headers["location"] == "http://testserver/library/books/1"
        me = await client.post("/library/login", data={"name": "Ada"})
        assert (str(me.url), me.json()) == ("http://testserver/library/me", {"name": "Ada"})
        assert "lending library" in (await client.get("/library/pages/")).text
        hours = await client.post("/library/hours/today", content=b"four")
        assert hours.text.startswith("Thank you for 4 bytes to /today below /library/hours.")
        async with client.websocket("/library/sockets/echo") as websocket:
            await websocket.send_bytes(b"\x00")
            assert await websocket.receive_bytes() == b"\x00"


# Parts of FastASGI inside, without an application of ours


def parts() -> Starlette:
    """Parts of ours, each by itself in an application of Starlette's."""
    router = APIRouter()

    @router.get("/tell/{number:int}")
    async def tell(request: Request, number: int) -> dict[str, Any]:
        return {"path": request.url.path, "params": request.path_params}

    return Starlette(
        routes=[
            Mount("/router", router),
            Mount("/files", StaticFiles(FILES)),
            Mount("/wsgi", WSGIAdapter(opening_hours)),
            Mount("/health", Health()),
        ]
    )


async def test_parts_of_fastasgi_inside() -> None:
    async with TestClient(parts()) as client:
        told = (await client.get("/router/tell/1")).json()
        assert told == {"path": "/router/tell/1", "params": {"number": 1}}
        assert (await client.get("/files/rules.txt")).text.startswith("1. Whoever")
        assert "to /today below /wsgi." in (await client.get("/wsgi/today")).text
        assert (await client.get("/health/ready")).json()["ready"] is True


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/router/nowhere", 404), ("POST", "/router/tell/1", 405), ("GET", "/files/nothing", 404)],
)
async def test_parts_of_fastasgi_inside_answer_their_own_errors(method: str, path: str, status: int) -> None:
    async with TestClient(parts(), raise_server_exceptions=False) as client:
        assert (await client.request(method, path)).status_code == status


@pytest.mark.xfail(
    reason="a part of ours inside Starlette inside FastASGI takes the outermost application for its own",
    strict=True,
)
async def test_parts_of_fastasgi_inside_starlette_inside_fastasgi_answer_their_own_errors() -> None:
    async with TestClient(hosting("/host", parts()), raise_server_exceptions=False) as client:
        assert (await client.get("/host/files/rules.txt")).status_code == 200
        for path in ("/host/files/nothing", "/host/router/nowhere"):
            assert (await client.get(path)).status_code == 404


# FastASGI inside FastASGI


@ROOTS
async def test_fastasgi_inside_fastasgi(root: str) -> None:
    inner = guest()
    middle = FastASGI()
    middle.mount("/middle", inner, name="inner")
    outer = FastASGI()
    outer.mount("/outer", middle, name="middle")

    @asynccontextmanager
    async def lifespan(app: FastASGI) -> AsyncIterator[Mapping[str, Any]]:
        yield {"host": "outer"}

    host = FastASGI(lifespan=lifespan)
    host.mount("/host", outer, name="outer")
    async with TestClient(host, root_path=root) as client:
        told = (await client.get("/host/outer/middle/tell/1")).json()
        assert told["root_path"] == f"{root}/host/outer/middle"
        assert told["link"] == f"http://testserver{root}/host/outer/middle/tell/3"
        assert told["host"] == "outer"
        missing = await client.get("/host/outer/middle/nowhere")
        assert (missing.status_code, missing.text) == (404, f"nothing below {root}/host/outer/middle")
    assert host.url_for("outer:middle:inner:tell", number=7) == "/host/outer/middle/tell/7"
