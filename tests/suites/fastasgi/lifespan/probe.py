"""Runs beside the submission: makes a lifespan of steps that are described by values, and notes what they do.

Rule 1: a step notes what it does; before the next message of the conversation the notes are sent, as `probe.note`.
Rule 2: nothing is judged here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

from fastasgi.lifespan import Lifespan

App = Callable[..., Awaitable[Any]]
NOTES: ContextVar[list[str]] = ContextVar("notes")
"""What was noted in this call, and was not sent yet."""


class Failure(Exception):
    """What a step of the probe raises."""


def note(text: str) -> None:
    NOTES.get().append(text)


# --- steps --------------------------------------------------------------------------------------------------


def hook(name: str, does: str = "async") -> Callable[[], Any]:
    """A hook that notes its name: async, plain, one that gives an awaitable, raises, or waits for ever."""

    def plain() -> None:
        note(name)
        if does == "raises":
            raise Failure(name)

    def in_the_loop() -> None:
        asyncio.get_running_loop()
        note(name)

    async def asynchronous() -> None:
        await asyncio.sleep(0)
        note(name)
        if does == "raises late":
            raise Failure(name)
        if does == "waits":
            await asyncio.Event().wait()

    kinds = {"plain": in_the_loop, "raises": plain, "awaitable": lambda: asynchronous()}
    return kinds.get(does, asynchronous)


def manager(does: str, state: Any = None) -> Callable[[Any], Any]:
    """A manager that notes that it is entered and exited, and raises at one of both if it is told to."""

    @asynccontextmanager
    async def surely(app: Any) -> AsyncIterator[Any]:
        note("enter")
        if does == "enter raises":
            raise Failure("enter")
        try:
            yield state
        finally:
            note("exit")
            if does == "exit raises":
                raise Failure("exit")

    @asynccontextmanager
    async def behind_the_yield(app: Any) -> AsyncIterator[Any]:
        note("enter")
        yield state
        note("exit")

    @asynccontextmanager
    async def with_tasks(app: Any) -> AsyncIterator[Any]:
        async with asyncio.TaskGroup():
            note("enter")
            yield state
            note("exit")

    class OfItsOwn:
        def __init__(self, app: Any) -> None: ...

        async def __aenter__(self) -> Any:
            note("enter")
            return state

        async def __aexit__(self, *error: Any) -> None:
            note("exit")

    @asynccontextmanager
    async def names_the_application(app: Any) -> AsyncIterator[Any]:
        note(f"enter for {app}")
        yield state
        note("exit")

    def impossible(app: Any) -> Any:
        note("enter")

    kinds: dict[str, Any] = {
        "behind the yield": behind_the_yield,
        "with tasks": with_tasks,
        "a class": OfItsOwn,
        "names the application": names_the_application,
        "impossible": impossible,
    }
    return kinds.get(does, surely)


# --- the application ----------------------------------------------------------------------------------------


def app(
    up: list[str] | None = None,
    down: list[str] | None = None,
    manages: str | None = None,
    state: dict[str, Any] | None = None,
    breaks: str | None = None,
    named: str | None = None,
) -> App:
    """A lifespan with these hooks and this manager. The server fails when the message `breaks` is sent."""
    lifespan = Lifespan(None if manages is None else manager(manages, state), app=named)
    for number, does in enumerate(up or []):
        lifespan.on_startup(hook(f"up {number}", does))
    for number, does in enumerate(down or []):
        lifespan.on_shutdown(hook(f"down {number}", does))
    return noted(lifespan, breaks)


def noted(lifespan: App, breaks: str | None = None) -> App:
    """The lifespan, with notes in the conversation."""

    async def call(scope: Any, receive: Any, send: Any) -> None:
        notes: list[str] = []
        NOTES.set(notes)

        async def flush() -> None:
            while notes:
                await send({"type": "probe.note", "text": notes.pop(0)})

        async def noted_receive() -> Any:
            await flush()
            event = await receive()
            if breaks == "receive" and event["type"] == "lifespan.shutdown":
                raise ConnectionResetError("the server is broken")
            return event

        async def noted_send(message: Any) -> None:
            await flush()
            await send(message)
            if message["type"] == breaks:
                raise ConnectionResetError("the server is broken")

        try:
            await lifespan(scope, noted_receive, noted_send)
        finally:
            await flush()

    return call


def with_state(state: dict[str, Any] | None) -> App:
    """A lifespan whose manager gives this state; when the startup is complete, what the server has is sent."""
    lifespan = Lifespan(manager("fine", state))

    async def call(scope: Any, receive: Any, send: Any) -> None:
        NOTES.set([])
        kept = scope.get("state")

        async def telling(message: Any) -> None:
            if message["type"] == "lifespan.startup.complete":
                await send({"type": "probe.state", "state": None if kept is None else dict(kept)})
            await send(message)

        await lifespan(scope, receive, telling)

    return call


def same_object(how: str) -> bool:
    """Whether what adds a hook gives the very hook back."""
    lifespan = Lifespan()
    one = hook("one")
    return (lifespan.on_startup if how == "startup" else lifespan.on_shutdown)(one) is one


async def times(calls: int) -> list[list[str]]:
    """What the steps note in calls of one lifespan, one after another."""
    lifespan = Lifespan(manager("fine"))
    lifespan.on_startup(hook("up"))
    lifespan.on_shutdown(hook("down"))
    return [await one_call(lifespan) for _ in range(calls)]


async def one_call(lifespan: App) -> list[str]:
    notes: list[str] = []
    NOTES.set(notes)
    events = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> Any:
        return {"type": next(events)}

    async def send(message: Any) -> None:
        notes.append(message["type"])

    await lifespan({"type": "lifespan"}, receive, send)
    return notes
