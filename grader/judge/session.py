"""A live application: the judge's end of a worker's session.

Rule 1: a session is itself an ASGI application, so that httpx and real servers can drive the submission.
Rule 2: the submission's virtual time advances only when the judge has nothing to send.
Rule 3: when nothing can happen at either end, every connection ends as stalled.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import httpx

from grader.judge import ending
from grader.judge.client import TICK, Clock, Worker
from grader.transcript import Error, Event, Raised
from grader.worker import wire

SETTLE = 50
"""Turns of the judge's loop after which it has nothing to send."""

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class Violation(AssertionError):
    """The submission broke the protocol: says how."""


class Session:
    """One live application in a worker; use it as an async context manager, and as an ASGI application.

    `record` takes every event as it happens. With `real_time` (under a real server) the worker's clock is the wall's.
    """

    def __init__(
        self, worker: Worker, config: Mapping[str, Any], record: Callable[[Event], None], *, real_time: bool = False
    ) -> None:
        self._worker = worker
        self._config = config
        self._record = record
        self._real_time = real_time
        self._connections: dict[int, asyncio.Queue[Any]] = {}
        self._opened = self._sent = 0
        self._lock = asyncio.Lock()
        self._frames = wire.Frames()
        self._clock = Clock(worker)
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken: BaseException | None = None

    async def __aenter__(self) -> Self:
        """Make the application. Raises `Raised` if the probe cannot, Ending or FinalEnding."""
        for kind, *payload in self._worker.exchange("session", dict(self._config), self._real_time):
            if kind == "opened":
                break
            self._worker.value_of(kind, payload)
        self._loop = asyncio.get_running_loop()
        self._worker.channel.setblocking(False)
        self._loop.add_reader(self._worker.channel, self._readable)
        self._guard = self._loop.call_later(TICK, self._check)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cancel what still runs and close the application."""
        if self._worker.channel.fileno() >= 0:
            self._loop.remove_reader(self._worker.channel)
        self._guard.cancel()
        for task in self._tasks:
            task.cancel()
        if self._broken is not None:
            self._worker.close()
            return
        self._worker.send("close")
        for kind_of_frame, *_ in self._worker.answers():
            if kind_of_frame == "closed":
                return

    def client(self, base_url: str = "http://testserver", **options: Any) -> httpx.AsyncClient:
        """An httpx client of the application. A response that breaks the protocol raises Violation."""
        transport = httpx.ASGITransport(app=self._checked)
        return httpx.AsyncClient(transport=transport, base_url=base_url, **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> Any:
        """One connection. Returns what the application returned. Raises `Raised`, Ending or FinalEnding."""
        number, self._opened = self._opened, self._opened + 1
        queue: asyncio.Queue[Any] = asyncio.Queue()
        self._connections[number] = queue
        ended = False
        try:
            await self._write("open", number, dict(scope))
            while True:
                if self._broken is not None:
                    raise self._broken
                kind, value = await queue.get()
                if kind == "receive":
                    self._start(self._deliver(number, receive))
                elif kind == "send":
                    await self._take(number, value, send)
                elif kind == "ended":
                    ended = True
                    return self._result(number, *value)
        finally:
            del self._connections[number]
            if not ended and self._broken is None:
                self._start(self._write("cancel", number))

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Run the lifespan protocol around a block. Raises Violation if startup or shutdown fails."""
        events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        answers: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
        call = asyncio.ensure_future(self(scope, events.get, answers.put))
        call.add_done_callback(lambda _: answers.put_nowait(None))
        await self._phase("startup", events, answers, call)
        try:
            yield
        finally:
            await self._phase("shutdown", events, answers, call)
            await call

    async def _phase(
        self,
        phase: str,
        events: asyncio.Queue[dict[str, Any]],
        answers: asyncio.Queue[dict[str, Any] | None],
        call: asyncio.Future[Any],
    ) -> None:
        events.put_nowait({"type": f"lifespan.{phase}"})
        answer = await answers.get()
        if answer is None:
            call.result()
            raise Violation(f"your application ended before it answered lifespan.{phase}")
        if answer.get("type") != f"lifespan.{phase}.complete":
            call.cancel()
            raise Violation(f"your application answered lifespan.{phase} with {answer!r}")

    async def _checked(self, scope: Any, receive: Any, send: Any) -> None:
        order = _ResponseOrder()

        async def checked_send(message: Any) -> None:
            order.take(message)
            await send(message)

        await self(scope, receive, checked_send)
        order.finish()

    async def _deliver(self, number: int, receive: Receive) -> None:
        event = await receive()
        if number in self._connections:
            self._record(Event("received", event, number))
            await self._write("event", number, event)

    async def _take(self, number: int, message: Any, send: Send) -> None:
        try:
            self._record(Event("sent", message, number))
            await send(message)
        except OSError as error:
            await self._write("acknowledge", number, [type(error).__name__, str(error)])
        else:
            await self._write("acknowledge", number, None)

    def _result(self, number: int, kind: str, value: Any) -> Any:
        if kind == "returned":
            self._record(Event("returned", value, number))
            return value
        error: Error = self._worker.error_of(value)
        self._record(Event("raised", error, number))
        raise Raised(error)

    async def _write(self, verb: str, *payload: Any) -> None:
        async with self._lock:
            self._sent += 1
            try:
                await self._loop.sock_sendall(self._worker.channel, self._worker.live_frame(verb, *payload))
            except OSError:
                self._hung_up()

    def _start(self, work: Any) -> None:
        task: asyncio.Task[None] = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _readable(self) -> None:
        try:
            data = self._worker.channel.recv(1 << 16)
            if not data:
                return self._hung_up()
            self._frames.feed(data)
            for payload in self._frames:
                self._dispatch(*self._worker.parse(payload))
        except BlockingIOError:
            return
        except wire.WireError as error:
            self._fail(ending.Crashed(f"the process sent {error}"))
        except OSError:
            self._hung_up()
        except ending.Ending as error:
            self._fail(error)

    def _hung_up(self) -> None:
        if self._broken is None:
            self._loop.remove_reader(self._worker.channel)  # before the crash closes it
            self._fail(self._worker.crash())

    def _dispatch(self, kind: str, *payload: Any) -> None:
        self._clock = Clock(self._worker)
        if kind == "idle" and len(payload) == 2:
            has_timer, seen = payload
            self._start(self._settle(has_timer is True, seen))
            return
        if kind not in ("receive", "send", "ended") or not payload or type(payload[0]) is not int:
            raise ending.Crashed("the process sent a frame that does not belong here")
        number, *rest = payload
        if len(rest) != {"receive": 0, "send": 1, "ended": 2}[kind]:
            raise ending.Crashed("the process sent a frame of an unknown form")
        if number in self._connections:
            self._connections[number].put_nowait((kind, rest if kind == "ended" else (rest or [None])[0]))

    async def _settle(self, has_timer: bool, seen: int) -> None:
        for _ in range(SETTLE):
            if self._sent != seen:  # the worker has not seen all of our frames: its news is stale
                return
            await asyncio.sleep(0)
        if has_timer:
            await self._write("advance")
        elif self._connections:
            self._fail(ending.Stalled())

    def _fail(self, error: BaseException) -> None:
        if self._broken is None:
            self._broken = error
        for queue in self._connections.values():
            queue.put_nowait(("broken", None))

    def _check(self) -> None:
        try:
            self._clock.check()
        except ending.TimedOut as error:
            self._fail(error)
        else:
            self._guard = self._loop.call_later(TICK, self._check)


class _ResponseOrder:
    """The order of the messages of one HTTP response, as a server enforces it. ASGI HTTP, Response Start and Body."""

    def __init__(self) -> None:
        self._state = "start"

    def take(self, message: Any) -> None:
        """One message. Raises Violation where it cannot stand."""
        kind = message.get("type") if isinstance(message, dict) else None
        if kind not in ("http.response.start", "http.response.body"):
            raise Violation(f"your application sent {message!r}, which is no message of an HTTP response")
        if self._state == "done":
            raise Violation(f"your application sent {kind} after the response was complete")
        if (kind == "http.response.start") != (self._state == "start"):
            second = "a second http.response.start" if kind == "http.response.start" else f"{kind} before http.response.start"
            raise Violation(f"your application sent {second}")
        self._state = "body"
        if kind == "http.response.body" and not message.get("more_body", False):
            self._state = "done"

    def finish(self) -> None:
        """The application has returned. Raises Violation if the response is not complete."""
        if self._state == "start":
            raise Violation("your application returned without sending a response")
        if self._state == "body":
            raise Violation("your application returned before the response was complete (a last http.response.body)")
