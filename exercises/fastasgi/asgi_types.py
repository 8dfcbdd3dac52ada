"""The words of ASGI as types: scope, message, receive, send, application.

Rule 1: all of them are plain data and plain callables; nothing of the framework's own crosses to a server.
Rule 2: what a server may leave out has its default here, so that nobody else has to know it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
"""What is known of a connection when it begins (ASGI, Connection scope)."""
Message: TypeAlias = MutableMapping[str, Any]
"""One event of a connection, either way; `type` tells which (ASGI, Events)."""
Receive: TypeAlias = Callable[[], Awaitable[Message]]
"""Waits for the next event from the client and gives it."""
Send: TypeAlias = Callable[[Message], Awaitable[None]]
"""Takes an event for the client. OSError out of it: the client is gone (HTTP & WebSocket 2.4)."""
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
"""An application: called once for each connection (ASGI, Applications)."""


def spec_version(scope: Scope) -> tuple[int, ...]:
    """The version of the protocol's specification that the server speaks, such as (2, 4).

    A server that does not say speaks 2.0 (ASGI, Applications). Numbers, never text: 2.10 comes after 2.9.
    """
    version = (scope.get("asgi") or {}).get("spec_version", "2.0")
    return tuple(int(part) for part in version.split("."))


def extension(scope: Scope, name: str) -> Mapping[str, Any] | None:
    """What the server says of the extension `name`, or None where it does not offer it (ASGI, Extensions)."""
    offered: Mapping[str, Mapping[str, Any]] = scope.get("extensions") or {}
    return offered.get(name)


def require_type(scope: Scope, *kinds: str) -> None:
    """Raises RuntimeError for a connection of another type than `kinds`.

    That is how an application says that it does not speak a protocol: it raises and sends nothing (ASGI, Protocol
    specifications; Lifespan).
    """
    if scope["type"] not in kinds:
        raise RuntimeError(f"this answers connections of type {' or '.join(kinds)}, not {scope['type']!r}")
