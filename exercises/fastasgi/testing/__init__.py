"""Testing: a client that drives any ASGI application in memory, and holds it to the protocol.

    async with TestClient(app) as client:
        response = await client.get("/items/3")
        assert response.json() == {"id": 3}

Read `conversation` for the rules of the protocol as tables, `exchange`, `channel` and `lifespan` for the three kinds
of connection, `call` for how an application is run, and `client` for how all of it is put together.
"""

from __future__ import annotations

from .client import USUAL_EXTENSIONS, TestClient
from .cookies import CookieJar
from .failures import (
    ClientGone,
    LifespanFailed,
    ProtocolError,
    Stalled,
    StatusError,
    TooManyRedirects,
    TruncatedResponse,
    WebSocketClosed,
    WebSocketRefused,
)
from .messages import EXTENSIONS
from .response import Response
from .session import WebSocketSession

__all__ = [
    "EXTENSIONS",
    "USUAL_EXTENSIONS",
    "ClientGone",
    "CookieJar",
    "LifespanFailed",
    "ProtocolError",
    "Response",
    "Stalled",
    "StatusError",
    "TestClient",
    "TooManyRedirects",
    "TruncatedResponse",
    "WebSocketClosed",
    "WebSocketRefused",
    "WebSocketSession",
]
