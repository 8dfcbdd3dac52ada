"""Runs the submission's ASGI callable: scripted (`converse`) or live (`session`).

Rule 1: what happens is written down when it happens, as a snapshot; later changes of a message do not show.
Rule 2: the driver knows ASGI's calling convention and no more: it never judges a message.
Rule 3: `receive` and `send` have positional-only signatures and yield to the loop once, as a server's may.
"""

from __future__ import annotations

import asyncio
import builtins
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from . import wire
from .loop import Stall, VirtualTimeLoop

MAX_EVENTS = 10_000
"""Events of one exchange."""
MAX_BYTES = 8 << 20
"""Bytes of all events of one exchange."""
FLUSH = 64 << 10
"""Bytes after which events are handed to the judge; fewer than the items that a frame may hold."""
MAX_ATTRIBUTE = 32 << 10
"""Bytes of one attribute of an exception."""
MAX_FRAMES = 20
"""Frames of a traceback: of more, the outermost and the innermost."""
PROBE = "probe.py"
"""The probe's file: ours, and never shown to a learner."""
DECLARED = ("status_code", "status", "detail", "headers", "code", "reason")
"""Attributes of an exception that cross even if they are no instance attributes."""

App = Callable[..., Awaitable[Any]]
Write = Callable[[list[Any]], None]


class Flood(BaseException):
    """The submission made more, or larger, events than an exchange holds; says which."""


class Log:
    """The events of one exchange, handed to the judge in frames. A flood that the submission swallows stays one."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._pending: list[Any] = []
        self._events = self._bytes = self._held = 0
        self._closed = False
        self._flood: Flood | None = None

    def add(self, conversation: int, kind: str, value: Any) -> None:
        """Snapshot a value. Raises Flood. Nothing more is taken once the log is closed."""
        if self._closed:
            return
        snapshot = self.snapshot(value)
        size = len(bytes(snapshot))
        self._events += 1
        self._bytes += size
        if self._events > MAX_EVENTS or self._bytes > MAX_BYTES:
            raise self._flooded(
                f"more than {MAX_EVENTS} messages, or {MAX_BYTES >> 20} MiB, in one conversation"
            )
        if self._held + size > FLUSH:
            self.flush()
        self._pending.append([conversation, kind, snapshot])
        self._held += size

    def flush(self) -> None:
        """Hand over what is pending."""
        if self._pending:
            self._write(["events", self._pending])
        self._pending, self._held = [], 0

    def close(self) -> None:
        """Hand over what is pending, and take no more. Raises the Flood that the submission swallowed."""
        if self._flood is not None:
            raise self._flood
        self.flush()
        self._closed = True

    def snapshot(self, value: Any) -> Any:
        """A value as it is now. Raises Flood for one that is too large, and whenever there was a flood."""
        if self._flood is not None:
            raise self._flood
        try:
            return wire.packed(value, enums=True)
        except wire.WireError as error:
            raise self._flooded(f"a value cannot be judged: {error}") from error

    def _flooded(self, words: str) -> Flood:
        self._flood = Flood(words)
        return self._flood


class Conversation:
    """One scripted call of an application."""

    def __init__(self, index: int, script: dict[str, Any], log: Log) -> None:
        self.index = index
        self.scope: dict[str, Any] = script["scope"]
        self.originals = dict(self.scope)
        self.cancel_when_blocked: bool = script["cancel_when_blocked"]
        self.cancelled = False
        self.waiting = False
        self._events: list[Any] = script["events"]
        self._after: dict[int, int] = script["after"]
        self._end: str = script["end"]
        self._fails: dict[int, str] = script["fail_sends"]
        self._fail_from: int | None = script["fail_from"]
        self._log = log
        self._given = self._sends = 0
        self._woken: list[asyncio.Future[None]] = []

    async def receive(self, /) -> Any:
        """The next event of the script, once it is due; after the last, what the script's end says."""
        await asyncio.sleep(0)
        if self._given < len(self._events):
            due = self._after.get(self._given, 0)
            while self._sends < due:
                await self._wait()
            event = self._events[self._given]
            self._given += 1
        else:
            event = await self._ending()
        self._log.add(self.index, "received", event)
        return event

    async def send(self, message: Any, /) -> None:
        """Write the message down; raise the OSError that the script orders for it."""
        await asyncio.sleep(0)
        number, self._sends = self._sends, self._sends + 1
        failure = self._fails.get(number)
        if failure is None and self._fail_from is not None and number >= self._fail_from:
            failure = "ConnectionResetError"
        self._log.add(self.index, "sent" if failure is None else "send_failed", message)
        for future in self._woken:
            if not future.done():
                future.set_result(None)
        if failure is not None:
            raise os_error(failure)

    async def _ending(self) -> dict[str, Any]:
        if self._end == "block":
            while True:
                await self._wait()
        if self._end == "raise":
            raise RuntimeError("receive() was called although no event was left")
        if self.scope.get("type") == "websocket":
            return {"type": "websocket.disconnect", "code": 1006}
        return {"type": "http.disconnect"}

    async def _wait(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._woken.append(future)
        self.waiting = True
        try:
            await future
        finally:
            self.waiting = False
            self._woken.remove(future)

    def snapshot(self) -> Any:
        """The scope after the call, and which of its values are still the objects that the app was given."""
        missing = object()
        same = {key: self.scope.get(key, missing) is value for key, value in self.originals.items()}
        return self._log.snapshot([self.scope, same])


def _channel(conversation: Conversation) -> tuple[Any, Any]:
    """`receive` and `send` as plain functions, from which no attribute leads to the script or the log.

    It keeps honest mistakes apart from the script, and no more: a transcript remains the worker's own testimony.
    """

    async def receive() -> Any:
        return await conversation.receive()

    async def send(message: Any, /) -> None:
        await conversation.send(message)

    return receive, send


def os_error(name: str) -> OSError:
    """An OSError of the builtin class `name`, as a server raises it when the client is gone."""
    kind = getattr(builtins, name, OSError)
    error = kind("the connection is closed")
    return error if isinstance(error, OSError) else OSError(name)


def converse(
    loop: VirtualTimeLoop, app: App, scripts: list[dict[str, Any]], write: Write, root: str
) -> list[Any]:
    """Run the conversations, interleaved if there are several, and return the frame that ends the exchange."""
    log = Log(write)
    conversations = [Conversation(index, script, log) for index, script in enumerate(scripts)]

    async def one(conversation: Conversation) -> None:
        try:
            result = await app(conversation.scope, *_channel(conversation))
        except (Flood, Stall):
            raise
        except BaseException as error:  # noqa: BLE001 - the submission's own, to be shown to its author
            ordered = conversation.cancelled and isinstance(error, asyncio.CancelledError)
            log.add(conversation.index, "cancelled" if ordered else "raised", describe(error, root))
        else:
            log.add(conversation.index, "returned", result)

    tasks: list[asyncio.Task[None]] = []

    def on_idle(timeout: float | None) -> float | None:
        if timeout is not None:
            return timeout
        for conversation, task in zip(conversations, tasks, strict=True):
            if conversation.cancel_when_blocked and not task.done():
                conversation.cancelled = task.cancel()
                conversation.cancel_when_blocked = False
                return 0.0
        raise Stall

    async def all_of_them() -> None:
        tasks.extend(loop.create_task(one(conversation)) for conversation in conversations)
        await (tasks[0] if len(tasks) == 1 else asyncio.gather(*tasks))

    loop.on_idle = on_idle
    try:
        loop.run_until_complete(all_of_them())
    except Stall:
        log.close()
        return ["stalled", [conversation.index for conversation in conversations if conversation.waiting]]
    except (SystemExit, KeyboardInterrupt):
        loop.clean()  # one of a task that the submission started: asyncio lets them through
        raise
    snapshots = [conversation.snapshot() for conversation in conversations]
    log.close()
    loop.clean()
    return ["ended", snapshots]


def describe(error: BaseException, root: str) -> dict[str, Any]:
    """An exception as it crosses: class names, message, attributes, frames below `root`, and whose line raised."""
    prefix = root.rstrip("/") + "/"
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(prefix)
    ]
    return {
        "names": list(wire.class_names(type(error))),
        "message": _message(error),
        "attributes": _attributes(error),
        "traceback": _shown(error, frames, prefix),
        "own": bool(frames) and frames[-1].filename != prefix + PROBE,
    }


def _message(error: BaseException) -> str:
    try:
        text = str.__str__(str(error))
    except BaseException:  # noqa: BLE001 - a __str__ of the submission's own may raise anything
        return "(its __str__ raises)"
    return text[:2000].encode("utf-8", "backslashreplace").decode()


def _attributes(error: BaseException) -> dict[str, Any]:
    found: dict[str, Any] = {}
    try:
        own = {name: value for name, value in vars(error).items() if type(name) is str and name[:1] != "_"}
        for name in DECLARED:
            if name not in own and hasattr(error, name):
                own[name] = getattr(error, name)
    except BaseException:  # noqa: BLE001 - properties of the submission's own may raise anything
        return found
    for name, value in own.items():
        if name.startswith("_") or len(found) >= 20:
            continue
        found[name] = _attribute(value)
    return found


def _attribute(value: Any) -> Any:
    try:
        snapshot = wire.packed(value, enums=True)
    except wire.WireError:
        return None
    return snapshot if len(bytes(snapshot)) <= MAX_ATTRIBUTE else None


def _shown(error: BaseException, frames: list[traceback.FrameSummary], prefix: str) -> list[list[Any]]:
    shown = [
        [frame.filename.removeprefix(prefix), frame.lineno or 0, frame.name, (frame.line or "")[:500]]
        for frame in frames
        if frame.filename != prefix + PROBE
    ]
    if isinstance(error, SyntaxError) and (error.filename or "").startswith(prefix):
        source = (error.text or "").rstrip("\n")[:500]
        shown.append([str(error.filename).removeprefix(prefix), error.lineno or 0, "", source])
    return shown if len(shown) <= MAX_FRAMES else shown[: MAX_FRAMES // 2] + shown[-MAX_FRAMES // 2 :]
