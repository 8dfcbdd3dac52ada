"""A list of what is still to be undone, and no contextlib: the manager's two methods are called by hand."""

from __future__ import annotations

from inspect import isawaitable
from typing import Any, Awaitable, Callable, Mapping, TypeAlias, TypeVar

from fastasgi.asgi_types import Receive, Scope, Send

Hook: TypeAlias = Callable[[], "Awaitable[None] | None"]
Manager: TypeAlias = Callable[[Any], Any]
H = TypeVar("H")


class Lifespan:
    def __init__(self, manager: Manager | None = None, *, app: Any = None) -> None:
        self.manager = manager
        self.app = app
        self.first: list[Hook] = []
        self.last: list[Hook] = []

    def on_startup(self, hook: H) -> H:
        self.first.append(hook)
        return hook

    def on_shutdown(self, hook: H) -> H:
        self.last.insert(0, hook)
        return hook

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            raise RuntimeError(f"a lifespan is asked for, not {scope['type']}")
        if (event := await receive())["type"] != "lifespan.startup":
            raise RuntimeError(f"{event['type']} instead of lifespan.startup")
        undo: list[Hook] = []
        try:
            await self.start(scope, undo)
        except Exception as error:
            await finish(undo)
            await send({"type": "lifespan.startup.failed", "message": f"startup: {error}"})
            raise
        except BaseException:
            await finish(undo)
            raise
        undo[:0] = self.last
        try:
            await send({"type": "lifespan.startup.complete"})
            event = await receive()
            if event["type"] != "lifespan.shutdown":
                raise RuntimeError(f"{event['type']} instead of lifespan.shutdown")
        except BaseException:
            await finish(undo)
            raise
        errors = await finish(undo)
        if errors:
            await send({"type": "lifespan.shutdown.failed", "message": "; ".join(map(str, errors))})
            raise errors[0]
        await send({"type": "lifespan.shutdown.complete"})

    async def start(self, scope: Scope, undo: list[Hook]) -> None:
        if self.manager is not None:
            made = self.manager(self.app)
            leave = made.__aexit__
            state: Mapping[str, Any] | None = await made.__aenter__()
            undo.append(lambda: leave(None, None, None))
            if state:
                if not isinstance(scope.get("state"), dict):
                    raise RuntimeError("there is state, but no dict to keep it in")
                for key in state:
                    scope["state"][key] = state[key]
        for hook in self.first:
            await step(hook)


async def step(hook: Hook) -> None:
    result = hook()
    if isawaitable(result):
        await result


async def finish(undo: list[Hook]) -> list[Exception]:
    """Do all of it, and give what was raised meanwhile."""
    errors = []
    for hook in undo:
        try:
            await step(hook)
        except Exception as error:
            errors.append(error)
    return errors
