"""Turns scripted conversations into calls on the learner's two functions. Runs beside the submission."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import request_body

App = Callable[..., Awaitable[Any]]


def read_body_unchanged(**options: Any) -> App:
    """An application that calls `read_body` on its `receive`, and returns what that gives, whatever it is."""

    async def app(scope: Any, receive: Any, send: Any) -> Any:
        return await request_body.read_body(receive, **options)

    return app


def read_body(**options: Any) -> App:
    """The same, but a bytearray passes as bytes: that difference counts once, where it is looked for."""

    async def app(scope: Any, receive: Any, send: Any) -> Any:
        body = await request_body.read_body(receive, **options)
        return bytes(body) if type(body) is bytearray else body

    return app


def stream_body(take: int | None = None) -> App:
    """An application that sends each chunk of `stream_body` on as `probe.chunk`, where it was handed over.

    The consumer stops after `take` chunks, if any.
    """

    async def app(scope: Any, receive: Any, send: Any) -> None:
        chunks = request_body.stream_body(receive)
        if take == 0:
            return
        taken = 0
        async for chunk in chunks:
            await send({"type": "probe.chunk", "body": chunk})
            taken += 1
            if taken == take:
                break
        await close(chunks)

    return app


async def close(chunks: Any) -> None:
    """End an async generator, as whoever stops early must; other iterators need no end."""
    aclose = getattr(chunks, "aclose", None)
    if aclose is not None:
        await aclose()
