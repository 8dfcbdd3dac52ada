"""Says hello."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any


async def app(
    scope: Mapping[str, Any],
    receive: Callable[[], Awaitable[Mapping[str, Any]]],
    send: Callable[[Mapping[str, Any]], Awaitable[None]],
) -> None:
    """Greet the path."""
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": f"Hello, {scope['path']}".encode()})
