"""Structural pattern matching, and a BytesIO to write into."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from io import BytesIO


class ClientDisconnect(Exception): ...


class BodyTooLarge(Exception): ...


async def _pieces(receive) -> AsyncGenerator[tuple[bytes, bool], None]:
    more = True
    while more:
        match await receive():
            case {"type": "http.request", **rest}:
                more = rest.get("more_body", False)
                yield rest.get("body", b""), more
            case {"type": "http.disconnect"}:
                raise ClientDisconnect
            case other:
                raise RuntimeError(f"unexpected event: {other!r}")


async def stream_body(receive) -> AsyncGenerator[bytes, None]:
    async for piece, _ in _pieces(receive):
        if piece != b"":
            yield piece


async def read_body(receive, *, limit: int | None = None) -> bytes:
    with BytesIO() as buffer:
        async for piece, _ in _pieces(receive):
            buffer.write(piece)
            if limit is not None and buffer.tell() > limit:
                raise BodyTooLarge(f"over {limit}")
        return buffer.getvalue()
