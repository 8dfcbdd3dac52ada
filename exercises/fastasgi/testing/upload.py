"""The upload: a request's body on its way to the application, as fast as that asks for it.

Rule 1: a chunk is made when the application waits for it and none is left, never before.
Rule 2: an iterator of the test's runs in a task of its own: an application that stops waiting for it loses nothing.
Rule 3: where making a chunk fails, the client leaves: a body that was cut off must not look complete.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager

from .call import Call
from .exchange import Exchange
from .request import Content


@asynccontextmanager
async def uploading(content: Content, exchange: Exchange, call: Call) -> AsyncIterator[None]:
    """Inside the block, `content` is sent; what is not asked for by its end is never sent."""
    if isinstance(content, bytes):
        exchange.feed(content, more=False)
        call.changed()
        yield
        return
    task = asyncio.create_task(_upload(content, exchange, call))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _upload(content: AsyncIterable[bytes] | Iterable[bytes], exchange: Exchange, call: Call) -> None:
    try:
        async with aclosing(_chunks(content)) as chunks:
            while await _is_wanted(exchange, call):
                chunk = await anext(chunks, None)
                exchange.feed(chunk or b"", more=chunk is not None)
                call.changed()
    except Exception as error:  # noqa: BLE001 - whatever it is: it is the test's own, and told there
        exchange.leave(error)
        call.changed()
    finally:
        if isinstance(content, AsyncGenerator):
            await content.aclose()


async def _is_wanted(exchange: Exchange, call: Call) -> bool:
    """Wait until the application asks for more, or never will."""
    await call.until_asked(
        lambda: exchange.over or exchange.uploaded or (exchange.starved and call.listening > 0)
    )
    return not exchange.over and not exchange.uploaded


async def _chunks(content: AsyncIterable[bytes] | Iterable[bytes]) -> AsyncGenerator[bytes, None]:
    if isinstance(content, AsyncIterable):
        async for chunk in content:
            yield _checked(chunk)
    else:
        for chunk in content:
            yield _checked(chunk)


def _checked(chunk: object) -> bytes:
    if not isinstance(chunk, bytes):
        raise TypeError(f"a chunk of content is bytes, not the {type(chunk).__name__} {chunk!r}")
    return chunk
