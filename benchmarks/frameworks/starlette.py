"""Starlette, for the application of `frameworks`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from frameworks import CHUNK, CHUNKS, DATA


def make(routes: int, middleware: int) -> Starlette:
    """The application."""
    table: list[Any] = [Route(f"/r{number}/{{number:int}}/{{word}}", numbered) for number in range(routes)]
    table += [
        Route("/hello", hello),
        Route("/json", data),
        Route("/down", down),
        Route("/up", up, methods=["POST"]),
        Route("/form", form, methods=["POST"]),
        WebSocketRoute("/echo", echo),
    ]
    layers = [
        Middleware(BaseHTTPMiddleware, dispatch=_layer(f"x-layer-{number}")) for number in range(middleware)
    ]
    return Starlette(routes=table, middleware=layers)


async def hello(request: Request) -> Response:
    return PlainTextResponse("Hello, world!")


async def data(request: Request) -> Response:
    return JSONResponse(DATA)


async def numbered(request: Request) -> Response:
    return PlainTextResponse(str(request.path_params["number"]))


async def down(request: Request) -> Response:
    return StreamingResponse(chunks())


async def chunks() -> AsyncIterator[bytes]:
    for _ in range(CHUNKS):
        yield CHUNK


async def up(request: Request) -> Response:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
    return PlainTextResponse(str(size))


async def form(request: Request) -> Response:
    async with request.form() as fields:
        file: Any = fields["file"]
        return PlainTextResponse(str(file.size))


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


def _layer(name: str) -> Any:
    async def layer(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers[name] = "1"
        return response

    return layer
