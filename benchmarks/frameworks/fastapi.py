"""FastAPI, for the application of `frameworks`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Request, Response, UploadFile, WebSocket
from fastapi.responses import PlainTextResponse, StreamingResponse

from frameworks import CHUNK, CHUNKS, DATA


def make(routes: int, middleware: int) -> FastAPI:
    """The application."""
    app = FastAPI(openapi_url=None)
    for number in range(routes):
        app.add_api_route(f"/r{number}/{{number}}/{{word}}", numbered, response_class=PlainTextResponse)
    app.add_api_route("/hello", hello, response_class=PlainTextResponse)
    app.add_api_route("/json", data)
    app.add_api_route("/down", down)
    app.add_api_route("/up", up, methods=["POST"])
    app.add_api_route("/form", form, methods=["POST"], response_class=PlainTextResponse)
    app.add_api_websocket_route("/echo", echo)
    for number in range(middleware):
        app.middleware("http")(_layer(f"x-layer-{number}"))
    return app


async def hello() -> str:
    return "Hello, world!"


async def data() -> Any:
    return DATA


async def numbered(number: int, word: str) -> str:
    return str(number)


async def down() -> StreamingResponse:
    return StreamingResponse(chunks())


async def chunks() -> AsyncIterator[bytes]:
    for _ in range(CHUNKS):
        yield CHUNK


async def up(request: Request) -> PlainTextResponse:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
    return PlainTextResponse(str(size))


async def form(file: UploadFile) -> str:
    return str(file.size)


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
