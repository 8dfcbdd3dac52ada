"""Runs the submission's ASGI callable live: the judge holds the other end of every receive and send.

Rule 1: `receive` asks the judge for an event, `send` waits until the judge has acknowledged the message.
Rule 2: virtual time moves only when the judge says `advance`; in real time (under a server) it is left alone.
Rule 3: when nothing is runnable the judge is told once, and again only after something has happened. It is also told
    how many of its frames have been seen, so that it knows when the news is stale.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

from . import wire
from .driver import App, describe, os_error
from .loop import VirtualTimeLoop


class Session:
    """One live application, until the judge closes it or hangs up."""

    def __init__(
        self, loop: VirtualTimeLoop, app: App, channel: int, serial: int, root: str, real_time: bool
    ) -> None:
        self._loop = loop
        self._app = app
        self._channel = channel
        self._serial = serial
        self._root = root
        self._real_time = real_time
        self._frames = wire.Frames()
        self._reader = wire.Reader(trusted=True)
        self._connections: dict[int, Connection] = {}
        self._closed: asyncio.Future[None] = loop.create_future()
        self._state: dict[str, Any] = {}
        self._seen = 0
        self._told_idle = self._advance = False
        self._verbs: dict[str, Callable[..., None]] = {
            "open": self._open,
            "event": lambda number, event: self._to(number, lambda connection: connection.deliver(event)),
            "acknowledge": lambda number, error: self._to(
                number, lambda connection: connection.acknowledge(error)
            ),
            "cancel": lambda number: self._to(number, Connection.cancel),
            "advance": self._allow_advance,
            "close": lambda: self._closed.set_result(None),
        }

    def run(self) -> None:
        """Serve the judge's frames until it closes the session. Raises Stall for a task that will not end."""
        self._loop.on_idle = self._on_idle
        self._loop.real_time = self._real_time
        self._loop.add_reader(self._channel, self._readable)
        try:
            self._loop.run_until_complete(self._closed)
        finally:
            self._loop.remove_reader(self._channel)
        self._loop.real_time = False
        for connection in self._connections.values():
            connection.cancel()
        self._loop.clean()

    def write(self, parts: list[Any]) -> None:
        """Send a frame of this session to the judge."""
        data = wire.frame_of([self._serial, *parts])
        while data:
            try:
                data = data[os.write(self._channel, data) :]
            except BlockingIOError:
                time.sleep(0)

    def _readable(self) -> None:
        data = os.read(self._channel, 1 << 16)
        if not data:
            os._exit(0)
        self._told_idle = False
        self._frames.feed(data)
        for payload in self._frames:
            self._seen += 1
            _, verb, *arguments = self._reader.decode(payload)
            self._verbs[verb](*arguments)

    def _open(self, number: int, scope: dict[str, Any]) -> None:
        if "state" in scope:  # as a server does it: the lifespan's own dict, a shallow copy for all others
            scope["state"] = self._state if scope["type"] == "lifespan" else self._state.copy()
        connection = Connection(number, self)
        self._connections[number] = connection
        connection.task = self._loop.create_task(connection.run(self._app, scope, self._root))

    def _to(self, number: int, action: Callable[[Connection], None]) -> None:
        """Do something with a connection, unless it has ended meanwhile."""
        connection = self._connections.get(number)
        if connection is not None:
            action(connection)

    def _allow_advance(self) -> None:
        self._advance = True

    def _on_idle(self, timeout: float | None) -> float | None:
        if self._advance and timeout is not None:
            self._advance = False
            return timeout
        if not self._told_idle:
            self._told_idle = True
            self.write(["idle", timeout is not None, self._seen])
        return None

    def forget(self, number: int) -> None:
        """A connection has ended."""
        del self._connections[number]


class Connection:
    """One call of the live application."""

    def __init__(self, number: int, session: Session) -> None:
        self.task: asyncio.Task[None] | None = None
        self._number = number
        self._session = session
        self._waiting: list[asyncio.Future[Any]] = []
        self._asked = 0
        self._events: list[Any] = []
        self._acknowledgements: list[asyncio.Future[None]] = []
        self._gone = False

    async def run(self, app: App, scope: dict[str, Any], root: str) -> None:
        """Call the application and tell the judge how the call ended."""
        try:
            result = await app(scope, self.receive, self.send)
        except BaseException as error:  # noqa: BLE001 - the submission's own, to be shown to its author
            kind, value = "raised", wire.packed(describe(error, root))
        else:
            kind, value = "returned", _packed(result)
        self._session.forget(self._number)
        self._session.write(["ended", self._number, kind, value])

    async def receive(self, /) -> Any:
        """Ask the judge for the next event. One that comes after its `receive` was cancelled goes to the next."""
        if self._events:
            return self._events.pop(0)
        if self._gone:
            raise os_error("ConnectionResetError")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        if self._asked < len(self._waiting):
            self._asked += 1
            self._session.write(["receive", self._number])
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self._events.insert(0, future.result())
            raise
        finally:
            if future in self._waiting:
                self._waiting.remove(future)

    async def send(self, message: Any, /) -> None:
        """Hand the judge a message and wait for its acknowledgement. Once the call is cancelled, nobody listens."""
        if self._gone:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._acknowledgements.append(future)
        self._session.write(["send", self._number, _packed(message)])
        await future

    def deliver(self, event: Any) -> None:
        """The event that answers the oldest `receive` that still waits."""
        self._asked -= 1
        while self._waiting:
            future = self._waiting.pop(0)
            if not future.done():
                future.set_result(event)
                return
        self._events.append(event)

    def acknowledge(self, error: list[str] | None) -> None:
        """The judge has taken the oldest message, or refuses it: `[class name, message]`."""
        future = self._acknowledgements.pop(0)
        if future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(_error(*error))

    def cancel(self) -> None:
        """The server cancels the call."""
        self._gone = True
        if self.task is not None:
            self.task.cancel()


def _error(name: str, message: str) -> Exception:
    return RuntimeError(message) if name == "RuntimeError" else os_error(name)


def _packed(value: Any) -> Any:
    try:
        return wire.packed(value, enums=True)
    except wire.WireError:
        return wire.packed(wire.Foreign(("value that is too large",)))
