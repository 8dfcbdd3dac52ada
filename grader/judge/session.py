"""A live application: the judge's end of a worker's session.

Rule 1: a session is itself an ASGI application, so that httpx and real servers can drive the submission.
Rule 2: the submission's virtual time advances only when the judge has nothing to send.
Rule 3: when nothing can happen at either end, every connection ends as stalled.
Rule 4: sends are taken one after another; a `receive` waits beside them, as the application asked for it.
Rule 5: what breaks a session is raised by it, whatever the block inside made of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Self

import httpx

from grader.judge import ending
from grader.judge.client import TICK, Clock, Worker
from grader.transcript import Error, Event, Raised, text
from grader.worker import wire

SETTLE = 50
"""Turns of the judge's loop after which it has nothing to send."""

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class Violation(AssertionError):
    """The submission broke the protocol: says how."""


@dataclass(frozen=True, slots=True)
class _Connection:
    """One call of the application: what the worker says of it, and where its events come from."""

    receive: Receive
    inbox: asyncio.Queue[tuple[str, Any]] = field(default_factory=asyncio.Queue)


class Session:
    """One live application in a worker; use it as an async context manager, and as an ASGI application.

    `record` takes every event as it happens. With `real_time` (under a real server) the worker's clock is the wall's.
    """

    def __init__(
        self,
        worker: Worker,
        config: Mapping[str, Any],
        record: Callable[[Event], None],
        *,
        real_time: bool = False,
        maker: str = "app",
    ) -> None:
        self._worker = worker
        self._config = config
        self._maker = maker
        self._record = record
        self._real_time = real_time
        self._connections: dict[int, _Connection] = {}
        self._opened = self._sent = self._taken = self._bytes = 0
        self._outgoing = bytearray()
        self._ended = asyncio.Event()
        self._closing = self._has_state = False
        self._clock = Clock(worker)
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken: BaseException | None = None

    async def __aenter__(self) -> Self:
        """Make the application. Raises `Raised` if the probe cannot, Ending or FinalEnding."""
        for kind, *payload in self._worker.exchange(
            "session", self._maker, dict(self._config), self._real_time
        ):
            if kind == "opened":
                break
            self._worker.value_of(kind, payload)
        self._loop = asyncio.get_running_loop()
        self._worker.channel.setblocking(False)
        self._loop.add_reader(self._worker.channel, self._readable)
        self._guard = self._loop.call_later(TICK, self._check)
        self._take_frames(b"")  # what came with "opened"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cancel what still runs and close the application. Raises Ending or FinalEnding if the session ended so."""
        for task in self._tasks:
            task.cancel()
        broken_inside = self._broken is not None
        if not broken_inside:
            self._write("close")
            self._closing = True
            await self._ended.wait()
        self._guard.cancel()
        self._let_go()
        if self._broken is not None:
            self._worker.close()
            if broken_inside or error is None:
                raise self._broken

    def client(self, base_url: str = "http://testserver", **options: Any) -> httpx.AsyncClient:
        """An httpx client of the application. A response that breaks the protocol raises Violation.

        It shows bodies as they were sent, and no `content-encoding`: nothing is decoded in the judge.
        """
        transport = httpx.ASGITransport(app=self._checked)
        return httpx.AsyncClient(transport=transport, base_url=base_url, **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> Any:
        """One connection. Returns what the application returned. Raises `Raised`, Ending or FinalEnding."""
        number, self._opened = self._opened, self._opened + 1
        connection = _Connection(receive)
        self._connections[number] = connection
        ended = False
        try:
            self._write("open", number, dict(scope))
            while True:
                if self._broken is not None:
                    raise self._broken
                kind, value = await connection.inbox.get()
                if kind == "send":
                    await self._take(number, value, send)
                elif kind == "ended":
                    ended = True
                    return self._result(number, *value)
                elif kind == "failed":
                    raise value
        finally:
            del self._connections[number]
            if not ended:
                self._write("cancel", number)

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Run the lifespan protocol around a block. Raises Violation if startup or shutdown fails."""
        events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        answers: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
        call = asyncio.ensure_future(self(scope, events.get, answers.put))
        call.add_done_callback(lambda _: answers.put_nowait(None))
        await self._phase("startup", events, answers, call)
        self._has_state = True
        try:
            yield
        except BaseException:  # what the block raised counts, and not how the shutdown went after it
            call.cancel()
            raise
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
        if _type_of(answer) != f"lifespan.{phase}.complete":
            call.cancel()
            raise Violation(f"your application answered lifespan.{phase} with {text(answer)}")

    async def _checked(self, scope: Any, receive: Any, send: Any) -> None:
        order = _ResponseOrder()

        async def checked_send(message: Any) -> None:
            order.take(message)
            await send(_undecoded(message))

        given = (
            {**scope, "state": {}} if self._has_state else scope
        )  # as a server does it; the worker fills it
        await self(given, receive, checked_send)
        order.finish()

    async def _deliver(self, number: int, connection: _Connection) -> None:
        event = await connection.receive()
        if number in self._connections:
            self._record(Event("received", event, number))
            self._write("event", number, event)

    async def _take(self, number: int, message: Any, send: Send) -> None:
        try:
            self._record(Event("sent", message, number))
            await send(message)
        except OSError as error:
            self._write("acknowledge", number, [type(error).__name__, str(error)])
        else:
            self._write("acknowledge", number, None)

    def _result(self, number: int, kind: str, value: Any) -> Any:
        if kind == "returned":
            self._record(Event("returned", value, number))
            return value
        error: Error = self._worker.error_of(value)
        self._record(Event("raised", error, number))
        raise Raised(error)

    def _write(self, verb: str, *payload: Any) -> None:
        """Send a frame as soon as the channel takes it; none after "close". Raises WireError."""
        if self._broken is None and not self._closing:
            self._outgoing += self._worker.live_frame(verb, *payload)
            self._sent += 1
            self._flush()

    def _flush(self) -> None:
        channel = self._worker.channel
        try:
            while self._outgoing:
                del self._outgoing[: channel.send(self._outgoing)]
        except BlockingIOError:
            self._loop.add_writer(channel, self._flush)
        except OSError:
            self._hung_up()
        else:
            self._loop.remove_writer(channel)

    def _let_go(self) -> None:
        """Watch the channel no more."""
        if self._worker.channel.fileno() >= 0:
            self._loop.remove_reader(self._worker.channel)
            self._loop.remove_writer(self._worker.channel)

    def _start(self, work: Coroutine[Any, Any, None], connection: _Connection | None = None) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(partial(self._finished, connection))

    def _finished(self, connection: _Connection | None, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and connection is not None:
            connection.inbox.put_nowait(("failed", error))
        elif error is not None:
            self._fail(error)

    def _readable(self) -> None:
        try:
            data = self._worker.channel.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._take_frames(data)
        else:
            self._hung_up()

    def _take_frames(self, data: bytes) -> None:
        guards = self._worker.guards
        self._bytes += len(data)
        self._worker.frames.feed(data)
        try:
            for payload in self._worker.frames:
                self._taken += 1
                if self._taken > guards.frames or self._bytes > guards.bytes:
                    raise ending.Flooded("your application sent more messages than can be judged")
                self._dispatch(*self._worker.parse(payload))
        except wire.WireError as error:
            self._fail(ending.Crashed(f"the process sent {error}"))
        except (ending.Ending, ending.Stalled) as error:
            self._fail(error)

    def _hung_up(self) -> None:
        if self._broken is None:
            self._let_go()  # before the crash closes it
            self._fail(self._worker.crash())

    def _dispatch(self, kind: str, *payload: Any) -> None:
        if kind == "idle" and len(payload) == 2:  # the clock goes on: a loop of timers alone is no progress
            has_timer, seen = payload
            self._start(self._settle(has_timer is True, seen))
            return
        if self._closing and kind == "closed":
            self._ended.set()
            return
        if self._closing and kind == "stalled":
            raise ending.Stalled("your code started a task that does not end when it is cancelled")
        if kind not in ("receive", "send", "ended") or not payload or type(payload[0]) is not int:
            raise ending.Crashed("the process sent a frame that does not belong here")
        number, *rest = payload
        if len(rest) != {"receive": 0, "send": 1, "ended": 2}[kind]:
            raise ending.Crashed("the process sent a frame of an unknown form")
        connection = self._connections.get(number)
        if connection is None:
            return
        if kind == "receive":
            self._start(self._deliver(number, connection), connection)
        else:
            connection.inbox.put_nowait((kind, rest if kind == "ended" else rest[0]))

    async def _settle(self, has_timer: bool, seen: int) -> None:
        for _ in range(SETTLE):
            if self._sent != seen:  # the worker has not seen all of our frames: its news is stale
                return
            await asyncio.sleep(0)
        if has_timer:
            self._write("advance")
        elif self._connections:
            self._fail(ending.Stalled())

    def _fail(self, error: BaseException) -> None:
        if self._broken is None:
            self._broken = error
        self._ended.set()
        for connection in self._connections.values():
            connection.inbox.put_nowait(("broken", None))

    def _check(self) -> None:
        try:
            self._clock.check()
        except ending.TimedOut as error:
            self._fail(error)
        else:
            self._guard = self._loop.call_later(TICK, self._check)


def _type_of(message: Any) -> str | None:
    kind = message.get("type") if isinstance(message, dict) else None
    return kind if isinstance(kind, str) else None


def _undecoded(message: dict[str, Any]) -> dict[str, Any]:
    """The message without a content-encoding: httpx would decode it in the judge, however large it becomes."""
    if "headers" not in message:
        return message
    kept = [pair for pair in message["headers"] if pair[0].lower() != b"content-encoding"]
    return message | {"headers": kept}


class _ResponseOrder:
    """The messages of one HTTP response, as a server enforces them. ASGI HTTP, Response Start and Response Body."""

    def __init__(self) -> None:
        self._state = "start"

    def take(self, message: Any) -> None:
        """One message. Raises Violation where it cannot stand."""
        kind = _type_of(message)
        if kind not in ("http.response.start", "http.response.body"):
            raise Violation(f"your application sent {text(message)}, which is no message of an HTTP response")
        if self._state == "done":
            raise Violation(f"your application sent {kind} after the response was complete")
        if (kind == "http.response.start") != (self._state == "start"):
            second = (
                "a second http.response.start"
                if kind == "http.response.start"
                else f"{kind} before http.response.start"
            )
            raise Violation(f"your application sent {second}")
        if kind == "http.response.start":
            _check_start(message)
        else:
            _check_body(message)
        self._state = "body"
        if kind == "http.response.body" and not message.get("more_body", False):
            self._state = "done"

    def finish(self) -> None:
        """The application has returned. Raises Violation if the response is not complete."""
        if self._state == "start":
            raise Violation("your application returned without sending a response")
        if self._state == "body":
            raise Violation(
                "your application returned before the response was complete (a last http.response.body)"
            )


def _check_start(message: dict[str, Any]) -> None:
    status, headers = message.get("status"), message.get("headers", ())
    if type(status) is not int:
        raise Violation(f"the status of your response must be an int, but it is {text(status)}")
    if type(headers) not in (list, tuple):
        raise Violation(f"the headers of your response must be a list of pairs, but they are {text(headers)}")
    for pair in headers:
        if type(pair) not in (list, tuple) or len(pair) != 2 or any(type(part) is not bytes for part in pair):
            raise Violation(f"a header must be a pair of bytes, name and value, but one is {text(pair)}")


def _check_body(message: dict[str, Any]) -> None:
    body = message.get("body", b"")
    if type(body) is not bytes:
        raise Violation(f"the body of a message must be bytes, but it is {text(body)}")
