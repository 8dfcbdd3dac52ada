"""Everything is one context manager: the hooks are wrapped around the body, and the manager around the hooks."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from typing import Any, Callable, TypeAlias

from .asgi_types import require_type

Hook: TypeAlias = Callable[[], Any]
Manager: TypeAlias = Callable[[Any], Any]


class Lifespan:
    def __init__(self, manager=None, *, app=None):
        self._make = (lambda: manager(app)) if manager else nullcontext
        self._steps = {"startup": (), "shutdown": ()}

    def on_startup(self, hook):
        self._steps["startup"] += (hook,)
        return hook

    def on_shutdown(self, hook):
        self._steps["shutdown"] += (hook,)
        return hook

    async def __call__(self, scope, receive, send):
        require_type(scope, "lifespan")

        async def expect(phase):
            event = await receive()
            if event["type"] != f"lifespan.{phase}":
                raise RuntimeError(f"got {event}, when lifespan.{phase} was due")

        async def tell(phase, errors):
            if not errors:
                return await send({"type": f"lifespan.{phase}.complete"})
            await send({"type": f"lifespan.{phase}.failed", "message": f"it failed: {errors[-1]}"})
            raise errors[-1]

        await expect("startup")
        ready, asked, trouble = False, False, []
        try:
            async with self._make() as state:
                keep(state, scope)
                for hook in self._steps["startup"]:
                    await called(hook)
                ready = True
                async with self._hooks_after(trouble):
                    await tell("startup", [])
                    await expect("shutdown")
                    asked = True
        except Exception as error:
            if ready and not asked:
                raise
            if not ready:
                await tell("startup", [error])
            trouble.append(error)
        await tell("shutdown", trouble)

    @asynccontextmanager
    async def _hooks_after(self, trouble) -> AsyncIterator[None]:
        async def guarded(hook):
            try:
                await called(hook)
            except Exception as error:
                trouble.append(error)

        async with AsyncExitStack() as stack:
            for hook in self._steps["shutdown"]:
                stack.push_async_callback(guarded, hook)
            yield


def keep(state, scope):
    if state:
        if scope.get("state") is None:
            raise RuntimeError("this server keeps no state")
        scope["state"] |= state


async def called(hook):
    value = hook()
    return await value if inspect.isawaitable(value) else value
