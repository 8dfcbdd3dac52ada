"""Lifespan: what an application does before its first connection and after its last.

Rule 1: one call, both messages: startup is answered, then the same call waits for shutdown.
Rule 2: what was entered is exited, and in reverse order, however the call ends; shutdown hooks run only if
        startup came to its end.
Rule 3: one step that fails at shutdown keeps no other from its turn, and the server is told of it.
Rule 4: state goes into the dict that the server gave, never into another one (ASGI lifespan, Lifespan State).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias, TypeVar

from .asgi_types import Receive, Scope, Send

Hook: TypeAlias = Callable[[], Awaitable[None] | None]
"""A step of startup or shutdown. A plain function is called in the event loop: nothing else runs there yet."""
Manager: TypeAlias = Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any] | None]]
"""Called with the application; entered at startup, it gives the state, or None. Exited at shutdown."""
H = TypeVar("H", bound=Hook)


class Lifespan:
    """The steps of an application's startup and shutdown, as an ASGI application for lifespan connections.

    `manager` is outermost: it is entered before the first hook and exited after the last. `app` is what it is
    called with.
    """

    def __init__(self, manager: Manager | None = None, *, app: Any = None) -> None:
        raise NotImplementedError("lifespan: Lifespan.__init__")

    def on_startup(self, hook: H) -> H:
        """Have `hook` called at startup, after those that were added before. Gives it back, as a decorator does."""
        raise NotImplementedError("lifespan: Lifespan.on_startup")

    def on_shutdown(self, hook: H) -> H:
        """Have `hook` called at shutdown, before those that were added before. Gives it back."""
        raise NotImplementedError("lifespan: Lifespan.on_shutdown")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one lifespan connection (ASGI lifespan).

        A step that fails is told to the server by `startup.failed` or `shutdown.failed`, and raised. Raises
        RuntimeError for a connection of another kind, and for events out of order.
        """
        raise NotImplementedError("lifespan: Lifespan.__call__")
