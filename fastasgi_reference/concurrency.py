"""Plain functions beside the event loop: in threads, so that nobody else has to wait for them.

Rule 1: a thread sees the context variables of the one who started it (PEP 567).
Rule 2: an iterator that was begun in threads is also closed in one, however its reader ends.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
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
        getattr(function, "__call__", None)  # noqa: B004 - the function itself is wanted, not whether there is one
    )


async def run_in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a plain function in a thread and give what it returns, or raise what it raises.

    A thread cannot be cancelled: whoever stops waiting for it leaves it to end by itself.
    """
    return await asyncio.to_thread(function, *args, **kwargs)


async def iterate_in_thread(items: Iterable[T]) -> AsyncIterator[T]:
    """Go through a plain iterable with each step in a thread.

    At the end its `close()` is called if it has one, also where the reader stops before (PEP 342).
    """
    iterator = await asyncio.to_thread(iter, items)
    step = Lock()  # a step whose reader was cancelled may still be running when `close` comes
    try:
        while (item := await asyncio.to_thread(_next, iterator, step)) is not _END:
            yield item
    finally:
        await asyncio.to_thread(_close, iterator, step)


_END: Any = object()


def _next(iterator: Iterator[T], step: Lock) -> T:
    with step:
        return next(iterator, _END)


def _close(iterator: Iterator[Any], step: Lock) -> None:
    close = getattr(iterator, "close", None)
    if close is not None:
        with step:
            close()
