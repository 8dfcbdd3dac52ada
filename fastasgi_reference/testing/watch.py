"""The watch: it sees when everybody waits for somebody else, and nobody will ever come.

Rule 1: it speaks up only where it is sure: each task of the loop waits in this client, and no timer runs.
        A task that is anywhere else may yet do something, so that nothing is said.
Rule 2: where it cannot be sure, patience decides: so many seconds of the loop's clock without any event.
Rule 3: it tells the test, never the application: that may well be right to wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias
from weakref import WeakSet

from .failures import Stalled

Complain: TypeAlias = Callable[[str], Stalled]
"""Makes the error for a test that waits in vain, from how that is known."""

_ROUNDS = 3
"""Turns of the loop in which nothing may change before all count as waiting: a cancellation takes one or two."""


@dataclass(eq=False, slots=True)
class _Pause:
    task: asyncio.Task[Any] | None
    bell: asyncio.Future[None]
    complain: Complain | None
    timer: asyncio.TimerHandle | None = None

    def give_up(self, how: str) -> None:
        if self.complain is not None and not self.bell.done():
            self.bell.set_exception(self.complain(how))


class Watch:
    """Over all waits of one client and of the applications' calls that it has made."""

    def __init__(self, patience: float | None) -> None:
        """`patience` is how many seconds a test waits for one event; None is for ever."""
        self.patience = patience
        self._pauses: set[_Pause] = set()
        self._at_work: WeakSet[asyncio.Task[Any]] = WeakSet()
        self._looking: asyncio.AbstractEventLoop | None = None  # one that ended early never looked

    async def pause(self, bell: asyncio.Future[None], complain: Complain | None = None) -> None:
        """Wait until somebody rings. A test says how it complains; a wait without that may last for ever.

        Raises what `complain` makes where nobody will ring.
        """
        pause = _Pause(asyncio.current_task(), bell, complain)
        if complain is not None and self.patience is not None:
            how = f"for {self.patience:g} seconds"
            pause.timer = bell.get_loop().call_later(self.patience, pause.give_up, how)
        self._pauses.add(pause)
        self._look_soon()
        try:
            await bell
        finally:
            self._pauses.discard(pause)
            if pause.timer is not None:
                pause.timer.cancel()

    def _look_soon(self, _: object = None) -> None:
        loop = asyncio.get_running_loop()
        if self._looking is not loop:
            self._looking = loop
            loop.call_soon(self._look, _ROUNDS)

    def _look(self, rounds: int) -> None:
        waiting = {pause.task for pause in self._pauses if not pause.bell.done()}
        at_work = asyncio.all_tasks() - waiting
        in_vain = (
            not at_work and not self._is_timer_running()
        )  # asked in each round: one that is due is in no list
        if in_vain and rounds:
            asyncio.get_running_loop().call_soon(self._look, rounds - 1)
            return
        self._looking = None
        if in_vain:
            self._give_up()
        for task in at_work - set(self._at_work):  # when one of them ends, the others may all be waiting
            self._at_work.add(task)
            task.add_done_callback(self._look_soon)

    def _give_up(self) -> None:
        for pause in self._pauses:
            pause.give_up("and never will: every task waits, and receive() has nothing more to give")

    def _is_timer_running(self) -> bool:
        """Whether a timer of somebody else may still wake a task.

        asyncio has no public way to ask. A loop without this list is taken to have a timer, and patience decides.
        """
        timers = getattr(asyncio.get_running_loop(), "_scheduled", None)
        ours = [pause.timer for pause in self._pauses]
        return timers is None or any(not timer.cancelled() and timer not in ours for timer in timers)
