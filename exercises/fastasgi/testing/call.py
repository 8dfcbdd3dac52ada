"""The call: an application at work on one connection, in a task of its own.

Rule 1: it moves events and messages, and knows no protocol: that is the connection's, which does no I/O.
Rule 2: an application's call is ended before its client goes on: by its own return, or, when nothing else can end it,
        by cancelling it. No task outlives the block that began it.
Rule 3: what went wrong is told once: the protocol's fault first, then the application's exception.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Protocol

from ..asgi_types import Message, Receive, Scope, Send
from .failures import ClientGone, ProtocolError, Stalled, WebSocketClosed, WebSocketRefused
from .watch import Complain, Watch


class Connection(Protocol):
    """What a call needs of a connection: an Exchange, a Channel, or the Questions of a lifespan."""

    label: str

    @property
    def fault(self) -> ProtocolError | None:
        """The first rule that the application broke."""

    @property
    def gone(self) -> bool:
        """Whether it was the client who ended the connection."""

    @property
    def congested(self) -> bool:
        """Whether `send` must wait until the client has read on."""

    def next_event(self) -> Message | None:
        """What `receive` gives now, or None where it must wait."""

    def take(self, message: Message) -> None:
        """What `send` was given."""

    def leave(self) -> None:
        """The client goes away, if anything is still to come."""

    def end(self, error: BaseException | None) -> None:
        """The application's call has ended."""

    def awaited(self) -> str:
        """In words, what the application owes."""


class Call:
    """One call of an application. `async with` it: leaving the block leaves the connection, and awaits the call."""

    def __init__(
        self,
        app: Callable[..., Any],
        scope: Scope,
        connection: Connection,
        watch: Watch,
        *,
        surface: bool = True,
    ) -> None:
        """Call `app`. With `surface`, an exception that it raises is raised in the test, too."""
        self.ended = False
        self.error: BaseException | None = None
        self.listening = 0
        self._connection = connection
        self._watch = watch
        self._surface = surface
        self._bells: list[asyncio.Future[None]] = []
        self._asked = 0
        self._cancelled = False
        self._task = asyncio.create_task(self._run(app, scope), name=f"application: {connection.label}")
        self._task.add_done_callback(self._end)

    async def until(self, ready: Callable[[], bool]) -> None:
        """Wait for `ready()`, or for the end of the call. Raises Stalled where neither will come."""
        try:
            await self._wait(lambda: ready() or self.ended, self._complaint)
        except Stalled as stalled:
            raise self._connection.fault or stalled from None

    async def until_asked(self, ready: Callable[[], bool]) -> None:
        """Wait for `ready()`, for ever if need be: it depends on what the application asks for."""
        await self._wait(ready)

    def changed(self) -> None:
        """Something has happened: whoever waits looks again."""
        for bell in self._bells:
            if not bell.done():
                bell.set_result(None)

    def failure(self) -> BaseException | None:
        """What the test must be told of the call, if anything went wrong."""
        if self._connection.fault is not None:
            return self._connection.fault
        is_quiet = not self._surface or (self.error is not None and self._is_farewell(self.error))
        return None if is_quiet and isinstance(self.error, Exception) else self.error

    async def close(self, *, hurry: bool = False) -> None:
        """Leave the connection and wait for the end of the call. In a hurry, only one that listens is waited for.

        Raises Stalled where it does not end; it is cancelled then.
        """
        self._connection.leave()
        self.changed()
        try:
            if self.listening or not hurry:
                await self._wait(lambda: self.ended, self._complaint)
        finally:
            if not self.ended:
                self._cancelled = self._task.cancel()
                await asyncio.wait({self._task}, timeout=self._watch.patience)

    async def __aenter__(self) -> Call:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        failure: BaseException | None
        try:
            await self.close(hurry=isinstance(error, Stalled | ProtocolError | asyncio.CancelledError))
            failure = self.failure()
        except Stalled as stalled:
            failure = self._connection.fault or (stalled if error is None else None)
        if failure is None or failure is error:
            return
        if error is None or isinstance(error, WebSocketClosed | WebSocketRefused):
            raise failure  # a websocket's end is what the client sees of it: this is why
        error.add_note(f"The application's call ended badly, too: {failure!r}")

    async def _run(self, app: Callable[..., Any], scope: Scope) -> None:
        await app(scope, self._receive, self._send)

    def _end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self.error = task.exception()
        elif not self._cancelled:
            self.error = RuntimeError(f"{self._connection.label}: the application cancelled its own call")
        if not self._cancelled:
            self._connection.end(self.error)
        self.ended = True
        self.changed()

    async def _receive(self) -> Message:
        self._asked += 1
        if self._asked % _SPINS == 0:
            await asyncio.sleep(0)
        if (event := self._connection.next_event()) is not None:
            return event  # at once: frameworks ask in a cancelled scope whether the client is gone
        self.listening += 1
        self.changed()
        try:
            while (event := self._connection.next_event()) is None:
                await self._pause()
            return event
        finally:
            self.listening -= 1
            self.changed()

    async def _send(self, message: Message, /) -> None:
        self._connection.take(message)
        self.changed()
        await asyncio.sleep(0)  # what was sent can be seen before the application goes on
        await self._wait(lambda: not self._connection.congested)

    async def _wait(self, ready: Callable[[], bool], complain: Complain | None = None) -> None:
        while not ready():
            await self._pause(complain)

    async def _pause(self, complain: Complain | None = None) -> None:
        bell = asyncio.get_running_loop().create_future()
        self._bells.append(bell)
        try:
            await self._watch.pause(bell, complain)
        finally:
            self._bells.remove(bell)

    def _complaint(self, how: str) -> Stalled:
        return Stalled(f"{self._connection.label}: the application {self._connection.awaited()} {how}")

    def _is_farewell(self, error: BaseException) -> bool:
        """Whether an exception only says that the client is gone (ASGI 3.0, Error handling)."""
        if isinstance(error, BaseExceptionGroup):
            return all(self._is_farewell(each) for each in error.exceptions)
        names = {each.__name__ for each in type(error).__mro__}
        return isinstance(error, ClientGone) or (self._connection.gone and not names.isdisjoint(_FAREWELLS))


def as_asgi3(app: Callable[..., Any]) -> Callable[..., Awaitable[None]]:
    """The application itself, or what makes one of ASGI 2, `app(scope)(receive, send)`, look like one of ASGI 3.

    Which it is, is told by how many arguments it takes, whatever it is made of (ASGI 3.0, Legacy applications).
    """
    if _takes(app, 3) or not _takes(app, 1):
        return app

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope)(receive, send)

    return call


def _takes(function: Callable[..., Any], number: int) -> bool:
    try:
        inspect.signature(function).bind(*range(number))
    except (TypeError, ValueError):
        return False
    return True


_FAREWELLS = ("ClientDisconnect", "WebSocketDisconnect")
"""What frameworks, this one and others, call the exceptions by which they pass on that the client is gone."""
_SPINS = 100
"""Each so many calls of `receive`, others get their turn: an application that only asks must not stop the loop."""
