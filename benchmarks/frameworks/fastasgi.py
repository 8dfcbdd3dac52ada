"""The reference, for the application of `frameworks`; `make_radix` uses its RadixRouter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from fastasgi_reference import (
    FastASGI,
    RadixRouter,
    Request,
    Response,
    StreamingResponse,
    WebSocket,
    json_response,
    text_response,
)
from frameworks import CHUNK, CHUNKS, DATA


def make(routes: int, middleware: int, router: Any = None) -> FastASGI:
    """The application."""
    app = FastASGI(router=router)
    for number in range(routes):
        app.add_route(f"/r{number}/{{number:int}}/{{word}}", numbered)
    app.add_route("/hello", hello)
    app.add_route("/json", data)
    app.add_route("/down", down)
    app.add_route("/up", up, methods=["POST"])
    app.add_route("/form", form, methods=["POST"])
    app.add_websocket_route("/echo", echo)
    for number in range(middleware):
        app.middleware(_layer(f"x-layer-{number}"))
    return app


def make_radix(routes: int, middleware: int) -> FastASGI:
    """The application on a RadixRouter."""
    return make(routes, middleware, RadixRouter())


async def hello() -> Response:
    return text_response("Hello, world!")


async def data() -> Response:
    return json_response(DATA)


async def numbered(number: int, word: str) -> Response:
    return text_response(str(number))


async def down() -> Response:
    return StreamingResponse(chunks())


async def chunks() -> AsyncIterator[bytes]:
    for _ in range(CHUNKS):
        yield CHUNK


async def up(request: Request) -> Response:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
    return text_response(str(size))


async def form(request: Request) -> Response:
    file: Any = (await request.form())["file"]
    return text_response(str(file.size))


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
