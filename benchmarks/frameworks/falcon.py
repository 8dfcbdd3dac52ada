"""Falcon (asgi), for the application of `frameworks`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import falcon.asgi
from falcon import MEDIA_TEXT, WebSocketDisconnected

from frameworks import CHUNK, CHUNKS, DATA


def make(routes: int, middleware: int) -> falcon.asgi.App:
    """The application."""
    app = falcon.asgi.App(middleware=[_Layer(f"x-layer-{number}") for number in range(middleware)])
    for number in range(routes):
        app.add_route(f"/r{number}/{{number:int}}/{{word}}", Numbered())
    app.add_route("/hello", Hello())
    app.add_route("/json", Data())
    app.add_route("/down", Down())
    app.add_route("/up", Up())
    app.add_route("/form", Form())
    app.add_route("/echo", Echo())
    return app


class Hello:
    async def on_get(self, req: Any, resp: Any) -> None:
        resp.content_type = MEDIA_TEXT
        resp.text = "Hello, world!"


class Data:
    async def on_get(self, req: Any, resp: Any) -> None:
        resp.media = DATA


class Numbered:
    async def on_get(self, req: Any, resp: Any, number: int, word: str) -> None:
        resp.content_type = MEDIA_TEXT
        resp.text = str(number)


class Down:
    async def on_get(self, req: Any, resp: Any) -> None:
        resp.stream = chunks()


async def chunks() -> AsyncIterator[bytes]:
    for _ in range(CHUNKS):
        yield CHUNK


class Up:
    async def on_post(self, req: Any, resp: Any) -> None:
        size = 0
        async for chunk in req.stream:
            size += len(chunk)
        resp.content_type = MEDIA_TEXT
        resp.text = str(size)


class Form:
    async def on_post(self, req: Any, resp: Any) -> None:
        size = 0
        async for part in await req.get_media():
            size += len(await part.stream.read())
        resp.content_type = MEDIA_TEXT
        resp.text = str(size)


class Echo:
    async def on_websocket(self, req: Any, ws: Any) -> None:
        await ws.accept()
        try:
            while True:
                await ws.send_text(await ws.receive_text())
        except WebSocketDisconnected:
            return


class _Layer:
    def __init__(self, name: str) -> None:
        self._name = name

    async def process_response(self, req: Any, resp: Any, resource: Any, succeeded: bool) -> None:
        resp.set_header(self._name, "1")
