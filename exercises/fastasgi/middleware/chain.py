"""The middleware chain: applications around an application, as an onion.

Rule 1: what was added first is outermost: it sees a request first and its response last.
Rule 2: the chain is closed by the first connection, of whatever kind; adding after that is an error.
Rule 3: a function gets HTTP only; connections of other kinds go past it untouched.
Rule 4: a message goes on when the next one asks for it: nothing is collected, a slow client slows the sender, and
        an exception on either side of `call_next` reaches the other as itself.
Rule 5: nothing that a call has started outlives it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from ..asgi_types import ASGIApp, Receive, Scope, Send
from ..requests import Request
from ..responses import Response

CallNext: TypeAlias = Callable[[Request], Awaitable[Response]]
"""Runs the rest of the chain for a request and gives its response, as soon as that begins."""
MiddlewareFunction: TypeAlias = Callable[[Request, CallNext], Awaitable[Any]]
"""`async def middleware(request, call_next)`; what it returns becomes the response, as a handler's value does."""


class MiddlewareChain:
    """An ASGI application: `app` with middleware around it."""

    def __init__(self, app: ASGIApp) -> None:
        raise NotImplementedError("chain: MiddlewareChain.__init__")

    def add(self, factory: Callable[..., ASGIApp], /, **options: Any) -> None:
        """Put an ASGI middleware inside of those that were added before; it is made by `factory(app, **options)`.

        Raises RuntimeError once the first connection has come, TypeError for what cannot be called.
        """
        raise NotImplementedError("chain: MiddlewareChain.add")

    def add_function(self, function: MiddlewareFunction) -> None:
        """Put `async def function(request, call_next)` inside of those that were added before.

        Raises what `add` raises, and TypeError for a plain function, which could not await `call_next`.
        """
        raise NotImplementedError("chain: MiddlewareChain.add_function")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the chain for one connection. Raises what comes out of it, and what a middleware refuses to be made of.

        That fails a startup: a server would take a mere exception for an application without lifespan.
        """
        raise NotImplementedError("chain: MiddlewareChain.__call__")
