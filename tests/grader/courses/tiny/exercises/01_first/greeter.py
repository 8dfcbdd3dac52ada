"""Says hello."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any


async def app(
    scope: Mapping[str, Any],
    receive: Callable[[], Awaitable[Mapping[str, Any]]],
    send: Callable[[Mapping[str, Any]], Awaitable[None]],
) -> None:
    """Greet the path."""
    raise NotImplementedError("greeter: app")
