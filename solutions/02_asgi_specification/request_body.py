"""The body of a request: chunk by chunk, or whole.

Rule 1: an event is asked for only when its chunk is wanted, and none after the last.
Rule 2: a body is complete when its last event says so. A disconnect before that is an error, never an end.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]


class ClientDisconnect(Exception):
    """The client went away before the request's body was complete."""


class BodyTooLarge(Exception):
    """The request's body is longer than the caller allows."""


async def stream_body(receive: Receive) -> AsyncIterator[bytes]:
    """Iterate over the body's chunks as they come, in order and without the empty ones.

    `receive` is awaited once for each event that is needed, and not after the last.
    Raises ClientDisconnect on `http.disconnect`, and RuntimeError on an event of a type that is neither this
    nor `http.request` (ASGI HTTP 2.5, "Request" and "Disconnect").
    """
    more = True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ClientDisconnect("the client went away before the body was complete")
        if event["type"] != "http.request":
            raise RuntimeError(f"expected http.request or http.disconnect, got {event['type']}")
        more = event.get("more_body", False)
        chunk: bytes = event.get("body", b"")
        if chunk:
            yield chunk


async def read_body(receive: Receive, *, limit: int | None = None) -> bytes:
    """Read the whole body: its chunks, joined in order.

    `limit` is the most bytes that the body may have; None sets no limit.
    Raises BodyTooLarge as soon as more bytes than `limit` have come, and whatever `stream_body` raises.
    """
    body = bytearray()
    async for chunk in stream_body(receive):
        body += chunk
        if limit is not None and len(body) > limit:
            raise BodyTooLarge(f"the body has more than {limit} bytes")
    return bytes(body)
