"""Slow requests: where a request stands that does not come to its end.

Rule 1: a timer of the event loop watches each request, and ends with it.
Rule 2: what is reported is code, by file and line, without any values: those belong to a client.
"""

from __future__ import annotations

import asyncio
import traceback
from asyncio import Task
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, cast

from ..asgi_types import ASGIApp, Receive, Scope, Send
from .request_ids import id_of
from .trace import origin_of, traced


class SlowRequests:
    """Middleware that reports HTTP requests that have been running for `threshold` seconds of the event loop's time.

    `report` gets a text, once for a request: which it is, and the calls that it is in, the innermost last. What keeps
    the loop itself busy shows only when it lets go. The list ends early at an asynchronous generator, at an
    `__await__` made from a coroutine, and at a task of its own, into which Python offers no view from outside.
    Background work of a response counts as part of its request here.
    WebSockets are meant to last and pass through, as does all else. Raises ValueError for a threshold that is not
    above 0.
    """

    def __init__(self, app: ASGIApp, *, threshold: float, report: Callable[[str], None]) -> None:
        if not threshold > 0:
            raise ValueError(f"threshold={threshold!r}: give a number of seconds above 0")
        self._app = app
        self._threshold = threshold
        self._report = report

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the connection on, with a timer beside it (ASGI, Middleware)."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        title = "{client} {method} {path}".format_map(origin_of(scope))
        scope = traced(scope)
        task = cast("Task[Any]", asyncio.current_task())  # there is one, since something awaits this

        def dump() -> None:
            stack = "".join(_stack(task).format())
            self._report(f"{title} {id_of(scope)}: still running after {self._threshold} s\n{stack}")

        timer = asyncio.get_running_loop().call_later(self._threshold, dump)
        try:
            await self._app(scope, receive, send)
        finally:
            timer.cancel()


def _stack(task: Task[Any]) -> traceback.StackSummary:
    return traceback.StackSummary.extract((frame, frame.f_lineno) for frame in _frames(task))


def _frames(task: Task[Any]) -> Iterator[FrameType]:
    """The frames of a task that waits, outermost first. (`Task.get_stack` has the outermost alone.)"""
    step: Any = task.get_coro()
    while step is not None:  # a coroutine, a generator that serves as one, or at the end what they wait for
        frame = getattr(step, "cr_frame", None) or getattr(step, "gi_frame", None)
        if frame is not None:
            yield frame
        step = getattr(step, "cr_await", None) or getattr(step, "gi_yieldfrom", None)
