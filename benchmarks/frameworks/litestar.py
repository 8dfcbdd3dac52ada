"""Litestar, for the application of `frameworks`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from litestar import Litestar, MediaType, Request, WebSocket, get, post, websocket
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.exceptions import WebSocketDisconnect
from litestar.params import Body
from litestar.response import Stream

from frameworks import CHUNK, CHUNKS, DATA


def make(routes: int, middleware: int) -> Litestar:
    """The application."""
    table: list[Any] = [
        get(f"/r{number}/{{number:int}}/{{word:str}}", media_type=MediaType.TEXT)(numbered)
        for number in range(routes)
    ]
    table += [hello, data, down, up, form, echo]
    layers = [_layer(f"x-layer-{number}".encode()) for number in range(middleware)]
    return Litestar(route_handlers=table, middleware=layers, openapi_config=None, logging_config=None)


async def numbered(number: int, word: str) -> str:
    return str(number)


@get("/hello", media_type=MediaType.TEXT)
async def hello() -> str:
    return "Hello, world!"


@get("/json")
async def data() -> dict[str, Any]:
    return DATA


@get("/down")
async def down() -> Stream:
    return Stream(chunks())


async def chunks() -> AsyncIterator[bytes]:
    for _ in range(CHUNKS):
        yield CHUNK


@post("/up", media_type=MediaType.TEXT, status_code=200)
async def up(request: Request[Any, Any, Any]) -> str:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
    return str(size)


@post("/form", media_type=MediaType.TEXT, status_code=200)
async def form(
    data: Annotated[dict[str, UploadFile], Body(media_type=RequestEncodingType.MULTI_PART)],
) -> str:
    return str(len(await data["file"].read()))


@websocket("/echo")
async def echo(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        return


def _layer(name: bytes) -> Any:
    def factory(app: Any) -> Any:
        async def layer(scope: Any, receive: Any, send: Any) -> None:
            async def adding(message: Any) -> None:
                if message["type"] == "http.response.start":
                    message["headers"] = [*message["headers"], (name, b"1")]
                await send(message)

            await app(scope, receive, adding)

        return layer

    return factory
