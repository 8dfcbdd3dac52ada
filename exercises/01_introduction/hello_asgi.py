"""The smallest ASGI application: one answer to every HTTP request.

Rule 1: it speaks http alone. Any other kind of connection is refused by raising, before anything is sent.
Rule 2: no call keeps anything for another: each has its own scope, receive and send.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request with status 200 and the text `Hello, ASGI!`.

    `scope` tells what kind of connection this is, `receive` gives what the client sends, `send` takes what
    it shall get. Raises an exception on any scope whose type is not "http", and sends nothing then (ASGI 3.0,
    "Protocol specifications").
    """
    raise NotImplementedError("hello_asgi: app")
