"""Plain functions beside the event loop: in threads, so that nobody else has to wait for them.

Rule 1: a thread sees the context variables of the one who started it (PEP 567).
Rule 2: the steps of an iterator come one at a time, in one context, as if it were gone through in one thread.
Rule 3: an iterator that was begun in threads is also closed in one, however its reader ends.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterable
from contextvars import copy_context
from functools import partial
from threading import Lock
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling `function` gives a coroutine: an `async def`, a partial of one, an async `__call__`."""
    while isinstance(function, partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(type(function), "__call__", None)  # noqa: B004 - not of itself: calling a class makes an object
    )


async def call(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call a function of either kind: a coroutine is awaited, a plain function is called in a thread.

    Of a plain function that gives a coroutine, as a decorator around an `async def` does, that is awaited too.
    """
    if is_async(function):
        return await function(*args, **kwargs)
    value = await run_in_thread(function, *args, **kwargs)
    return await value if inspect.isawaitable(value) else value


async def run_in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a plain function in a thread and give what it returns, or raise what it raises.

    A StopIteration comes as a RuntimeError, as out of any coroutine (PEP 479).
    A thread cannot be cancelled: whoever stops waiting for it leaves it to end by itself.
    """
    return await asyncio.to_thread(_guarded, function, *args, **kwargs)


def _guarded(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return function(*args, **kwargs)
    except StopIteration as error:  # a future refuses it, and whoever awaits that would wait for ever
        raise RuntimeError(f"{function!r} raised StopIteration") from error


async def iterate_in_thread(items: Iterable[T]) -> AsyncIterator[T]:
    """Go through a plain iterable with each step in a thread.

    At the end the iterator's `close()` is called if it has one, also where the reader stops before (PEP 342).
    """
    steps = _Steps()
    iterator: Any = items
    try:
        iterator = await steps.take(iter, items)
        while (item := await steps.take(next, iterator, _END)) is not _END:
            yield item
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            await asyncio.shield(steps.take(close))  # a cancelled close still closes


_END: Any = object()


class _Steps:
    """The steps of one iterator, each in a thread, one at a time, and all in the same context."""

    def __init__(self) -> None:
        self._lock = Lock()  # a step whose reader was cancelled may still be running when `close` comes
        self._context = copy_context()

    async def take(self, step: Callable[..., Any], /, *args: Any) -> Any:
        return await run_in_thread(self._take, step, *args)

    def _take(self, step: Callable[..., Any], /, *args: Any) -> Any:
        with self._lock:
            return self._context.run(step, *args)
