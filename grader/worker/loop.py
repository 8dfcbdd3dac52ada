"""The worker's event loop: virtual time, and a word for "nothing can ever happen".

Rule 1: while idle the loop jumps to its next timer, so a sleep costs nothing and no verdict depends on speed.
Rule 2: it jumps only when no thread is at work; while one is, time passes as it does.
Rule 3: when nothing is runnable, no timer is set and no thread is at work, the owner is asked what to do.
"""

from __future__ import annotations

import asyncio
import math
import selectors
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, TypeVar, TypeVarTuple
from weakref import WeakSet

THREADS = 4
"""Threads of the executor."""
POOL = "pool-of-the-loop"
RESOLUTION = 1e-9
"""Seconds by which a timer may come early."""
LOOK = 0.02
"""Seconds after which a loop that waits for a thread looks again: one that ends without a word wakes nobody."""
ROUNDS = 20
"""How often tasks are cancelled that come up while others are."""
Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


class Stall(BaseException):
    """Nothing is runnable, and nothing ever will be."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock moves only when it is idle.

    `on_idle(timeout)` is asked when nothing is runnable: `timeout` is the seconds to the next timer, or None if there
    is none. It returns how many seconds to jump, or None to wait for a descriptor; or raises, which ends the run.
    """

    _clock_resolution: float
    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]
    _asyncgens: WeakSet[AsyncGenerator[Any]]

    def __init__(self) -> None:
        self._now = 0.0
        self._busy_threads = 0
        self.real_time = False
        self.on_idle: Callable[[float | None], float | None] = _jump
        super().__init__(_IdleSelector(self))
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix=POOL)
        self.set_default_executor(self._pool)

    def time(self) -> float:
        """Seconds of virtual time since the loop was made."""
        return self._now

    def jump(self, seconds: float) -> None:
        """Move the clock. As it grows its steps grow too: a timer must still be seen to be due."""
        self._now += seconds
        self._clock_resolution = max(RESOLUTION, 2 * math.ulp(self._now))

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Arguments], Result], *args: *Arguments
    ) -> asyncio.Future[Result]:
        """As in asyncio; counted, so that the loop knows that a thread is at work."""
        future = super().run_in_executor(executor, func, *args)
        self._busy_threads += 1
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _: Any) -> None:
        self._busy_threads -= 1

    def clean(self) -> None:
        """End what an exchange has left: tasks, timers, open asynchronous generators. Raises Stall for what stays."""
        self.on_idle = stall_when_idle
        for _ in range(ROUNDS):
            tasks = asyncio.all_tasks(self)
            generators = [] if tasks else self._last_things()
            if not (tasks or generators or self._ready):
                return
            self.run_until_complete(_end(tasks, generators))
        raise Stall

    def _last_things(self) -> list[AsyncGenerator[Any]]:
        """Cancel the timers, and give the generators that are open, once."""
        for timer in self._scheduled:
            timer.cancel()
        generators = list(self._asyncgens)
        self._asyncgens.clear()
        return generators

    @property
    def threads_at_work(self) -> bool:
        """Whether a thread, of the executor or of the submission's own, may still call back."""
        if self._busy_threads:
            return True
        return any(
            thread is not threading.main_thread() and not thread.name.startswith(POOL)
            for thread in threading.enumerate()
        )


async def _end(tasks: Iterable[asyncio.Task[Any]], generators: Iterable[AsyncGenerator[Any]]) -> None:
    for task in tasks:
        task.cancel()
    closing = [generator.aclose() for generator in generators]
    await asyncio.gather(asyncio.sleep(0), *tasks, *closing, return_exceptions=True)


def stall_when_idle(timeout: float | None) -> float | None:
    """What an idle loop does outside a conversation: jump to the next timer, or raise Stall if there is none."""
    if timeout is None:
        raise Stall
    return timeout


def _jump(timeout: float | None) -> float | None:
    return timeout


class _IdleSelector(selectors.DefaultSelector):
    """Asks the loop's owner before it would block."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is not None and timeout <= 0 and len(self.get_map()) == 1:
            return []  # there is work, and nothing to hear but the loop's own wake-up call
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        if self._loop.real_time or self._loop.threads_at_work:
            return self._wait(timeout)
        seconds = self._loop.on_idle(timeout)
        if seconds is None:
            return super().select(None)
        self._loop.jump(seconds)
        return []

    def _wait(self, timeout: float | None) -> list[Any]:
        """Let time pass as it does, but for no longer than until the next look at the threads."""
        limit = timeout if self._loop.real_time else min(LOOK, LOOK if timeout is None else timeout)
        started = time.monotonic()
        events = super().select(limit)
        self._loop.jump(time.monotonic() - started if events or limit is None else limit)
        return events
