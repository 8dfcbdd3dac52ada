"""Turns scripted conversations into calls on the learner's two functions. Runs beside the submission."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import request_body


def app(
    function: str, *, take: int | None = None, exact: bool = False, **options: Any
) -> Callable[..., Awaitable[Any]]:
    """An application that calls `function` on its `receive`.

    `read_body` is called with the `options`, and what it gives is what the application returns; a bytearray
    passes as bytes there, unless `exact`. Each chunk of `stream_body` is sent on as `probe.chunk`, so that it
    stands in the transcript where it was handed over. The consumer stops after `take` chunks, if any.
    """

    async def read(scope: Any, receive: Any, send: Any) -> Any:
        body = await request_body.read_body(receive, **options)
        return bytes(body) if type(body) is bytearray and not exact else body

    async def stream(scope: Any, receive: Any, send: Any) -> None:
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

    return {"read_body": read, "stream_body": stream}[function]


async def close(chunks: Any) -> None:
    """End an async generator, as whoever stops early must; other iterators need no end."""
    aclose = getattr(chunks, "aclose", None)
    if aclose is not None:
        await aclose()
