"""No framework: ASGI by hand, for the application of `frameworks`. The measure of what there is to win."""

from __future__ import annotations

import json
import re
from typing import Any

from frameworks import CHUNK, CHUNKS, DATA


def make(routes: int, middleware: int) -> Any:
    """The application, without a multipart form."""
    route = re.compile(r"/r(\d+)/(\d+)/([^/]+)")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        if scope["type"] == "websocket":
            await _echo(receive, send)
        elif path == "/hello":
            await _send(send, b"Hello, world!", b"text/plain; charset=utf-8")
        elif path == "/json":
            body = json.dumps(DATA, separators=(",", ":")).encode()
            await _send(send, body, b"application/json")
        elif path == "/down":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(CHUNKS):
                await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        elif path == "/up":
            size, more = 0, True
            while more:
                event = await receive()
                size, more = size + len(event.get("body", b"")), event.get("more_body", False)
            await _send(send, str(size).encode(), b"text/plain; charset=utf-8")
        elif found := route.fullmatch(path):
            await _send(send, str(int(found[2])).encode(), b"text/plain; charset=utf-8")

    for number in range(middleware):
        app = _with_header(app, f"x-layer-{number}".encode())
    return app


def _with_header(app: Any, name: bytes) -> Any:
    async def layer(scope: Any, receive: Any, send: Any) -> None:
        async def adding(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((name, b"1"))
            await send(message)

        await app(scope, receive, adding)

    return layer


async def _send(send: Any, body: bytes, media_type: bytes) -> None:
    headers = [(b"content-length", str(len(body)).encode()), (b"content-type", media_type)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _echo(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"]})
