"""Lifespan: what an application does before its first connection and after its last.

Rule 1: one call, both messages: startup is answered, then the same call waits for shutdown.
Rule 2: what was entered is exited, and in reverse order, however the call ends; shutdown hooks run only if
        startup came to its end.
Rule 3: one step that fails at shutdown keeps no other from its turn, and the server is told of it.
Rule 4: state goes into the dict that the server gave, never into another one (ASGI lifespan, Lifespan State).
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeAlias, TypeVar

from .asgi_types import Receive, Scope, Send, require_type

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
        self._manager = manager
        self._app = app
        self._startup: list[Hook] = []
        self._shutdown: list[Hook] = []

    def on_startup(self, hook: H) -> H:
        """Have `hook` called at startup, after those that were added before. Gives it back, as a decorator does."""
        self._startup.append(hook)
        return hook

    def on_shutdown(self, hook: H) -> H:
        """Have `hook` called at shutdown, before those that were added before. Gives it back."""
        self._shutdown.append(hook)
        return hook

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one lifespan connection (ASGI lifespan).

        A step that fails is told to the server by `startup.failed` or `shutdown.failed`, and raised. Raises
        RuntimeError for a connection of another kind, and for events out of order.
        """
        require_type(scope, "lifespan")
        await _expect("lifespan.startup", receive)
        phase = "startup"
        try:
            async with AsyncExitStack() as stack:
                await self._start(stack, scope)
                phase = "service"
                failure = await self._serve(receive, send)
                phase = "shutdown"
            if phase != "shutdown":
                raise RuntimeError(
                    "the lifespan manager has swallowed an exception: have it raise that again"
                )
            if failure is not None:
                raise failure
        except Exception as error:
            if phase != "service":
                await send(
                    {"type": f"lifespan.{phase}.failed", "message": f"{type(error).__name__}: {error}"}
                )
            raise
        await send({"type": "lifespan.shutdown.complete"})

    async def _start(self, stack: AsyncExitStack, scope: Scope) -> None:
        """Enter the manager, which is exited by the stack, and run the hooks."""
        if self._manager is not None:
            manager = self._manager(self._app)
            if not hasattr(manager, "__aenter__"):
                raise TypeError(
                    "a lifespan is an asynchronous context manager: decorate it by @asynccontextmanager"
                )
            _keep(await stack.enter_async_context(manager), scope)
        for hook in self._startup:
            await _run(hook)

    async def _serve(self, receive: Receive, send: Send) -> Exception | None:
        """Wait for shutdown, and run its hooks.

        Gives, and does not raise, what one of them has raised: it is no reason for the manager to be exited
        otherwise than by its code after `yield`.
        """
        asked = False
        try:
            try:
                await send({"type": "lifespan.startup.complete"})
                await _expect("lifespan.shutdown", receive)
                asked = True
            finally:
                await _run_back(self._shutdown)
        except Exception as error:
            if not asked:
                raise
            return error
        return None


def _keep(state: Mapping[str, Any] | None, scope: Scope) -> None:
    if not state:
        return
    if scope.get("state") is None:
        raise RuntimeError(
            "the lifespan yields state, but this server does not keep any (it gives no scope['state'])"
        )
    scope["state"].update(state)


async def _run(hook: Hook) -> None:
    done = hook()
    if inspect.isawaitable(done):
        await done


async def _run_back(hooks: Sequence[Hook]) -> None:
    """Run hooks from the last to the first. Of several that fail, the exceptions are chained."""
    if hooks:
        try:
            await _run(hooks[-1])
        finally:
            await _run_back(hooks[:-1])


async def _expect(kind: str, receive: Receive) -> None:
    event = await receive()
    if event["type"] != kind:
        raise RuntimeError(f"expected {kind} from the server, got {event['type']!r}")
