"""The client: the judge's end of one worker.

Rule 1: whatever comes from a worker is a value, or it is a crash of the submission. It is never run and never trusted.
Rule 2: every exchange is guarded: CPU seconds seen from outside, wall clock as the last resort, bytes and frames.
Rule 3: the calling thread writes and reads; no thread of ours, no event loop of ours.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.judge import ending, sandboxes
from grader.judge.script import Script
from grader.transcript import Error, Event, Frame, Kind, Raised, Transcript, plain
from grader.worker import wire
from grader.worker.driver import MAX_EVENTS

TICK = 0.25
"""Seconds between two looks at the worker's clock."""
DEATH = 2.0
"""Seconds that a worker which hung up has to die, so that its exit code can be told."""
MAX_DESCRIBED = 20
"""Frames, class names and attributes of one exception that are kept."""
OUTPUT_BYTES = 64 << 10
"""Bytes of each of stdout and stderr that are kept."""
KINDS: Mapping[str, Kind] = {
    "received": "received", "sent": "sent", "send_failed": "send_failed",
    "cancelled": "cancelled", "returned": "returned", "raised": "raised",
}  # fmt: skip
"""The kinds of event that a worker may report."""


@dataclass(frozen=True, slots=True)
class Guards:
    """Limits of one exchange: seconds of CPU, seconds of wall clock, bytes and frames from the worker."""

    cpu_seconds: float = 3.0
    wall_seconds: float = 30.0
    bytes: int = 16 << 20
    frames: int = 50_000


NO_GUARDS = Guards(cpu_seconds=float("inf"), wall_seconds=float("inf"))
"""For a person at a debugger's prompt."""


class Worker:
    """One running worker, with the submission imported."""

    def __init__(self, started: sandboxes.Started, guards: Guards) -> None:
        self.started = started
        self.guards = guards
        self.held: dict[str, bool] = {}
        self.channel: socket.socket = started.channel
        self.frames = wire.Frames()
        self._reader = wire.Reader()
        self._serial = 0
        self._printed = ""

    @classmethod
    def launch(
        cls,
        sandbox: str,
        tree: Path,
        *,
        slot: sandboxes.Slot,
        imports: Sequence[str] = (),
        guards: Guards | None = None,
        debug: bool = False,
    ) -> Worker:
        """Start a worker on a composed tree, order it to import the probe, and do not wait for it: see `ready`.

        Raises SandboxUnavailable, Ending.
        """
        started = sandboxes.start(sandbox, tree, slot=slot, debug=debug)
        worker = cls(started, guards or (NO_GUARDS if debug else Guards()))
        order = {
            "policy": started.policy,
            "root": started.root,
            "imports": list(imports),
            "output_bytes": 0 if debug else OUTPUT_BYTES,
        }
        try:
            worker.send("start", order)
        except BaseException:
            worker.close()
            raise
        return worker

    @classmethod
    def start(cls, sandbox: str, tree: Path, **options: Any) -> Worker:
        """`launch`, and wait until the worker is `ready`."""
        return cls.launch(sandbox, tree, **options).ready()

    def ready(self) -> Worker:
        """Wait until the submission is imported.

        Raises ImportFailed if it raised, Ending or FinalEnding if it died or hung; the worker has ended then.
        """
        try:
            self._import()
        except BaseException:
            self.close()
            raise
        return self

    def _import(self) -> None:
        answers = self.answers()
        kind, *payload = next(answers)  # nothing of the submission has run yet: this one can be trusted
        if kind != "confined":
            raise sandboxes.SandboxUnavailable(
                f"{self.started.sandbox}: {payload[0]} `grader doctor` tells more."
            )
        self.held = payload[0]
        kind, *payload = next(answers)
        if kind == "import_failed" and payload:
            raise ending.ImportFailed(self.error_of(payload[0]))
        if kind != "ready":
            raise _unexpected(kind)

    def call(self, function: str, values: Mapping[str, Any]) -> Any:
        """Call a function of the probe; returns its value. Raises `Raised`, Ending or FinalEnding."""
        kind, *payload = next(self.exchange("call", function, dict(values)))
        return self.value_of(kind, payload)

    def converse(
        self, scripts: Sequence[Script], config: Mapping[str, Any], maker: str = "app"
    ) -> Transcript:
        """Play scripts to the application that the probe's function `maker` makes.

        Raises `Raised` if the probe could not make it, Ending or FinalEnding; a Stalled carries the `transcript`.
        """
        events: list[Event] = []
        played = [script.as_values() for script in scripts]
        for kind, *payload in self.exchange("converse", played, maker, dict(config)):
            if kind == "events":
                events.extend(self._event(entry, len(scripts)) for entry in _list(payload))
                if len(events) > MAX_EVENTS + len(scripts):
                    raise ending.Flooded(f"more than {MAX_EVENTS} messages in one conversation")
            elif kind == "ended":
                return self._transcript(events, _list(payload), len(scripts))
            elif kind == "stalled":
                events.extend(self._waits(index, len(scripts)) for index in _list(payload))
                raise ending.Stalled(events=tuple(events))
            else:
                self.value_of(kind, payload)
        raise AssertionError("unreachable: exchange() ends only by raising")

    def exchange(self, verb: str, *payload: Any) -> Iterator[list[Any]]:
        """Send a frame and give the frames that answer it. Ends only by raising, or when the caller stops."""
        self.send(verb, *payload)
        yield from self.answers()

    def send(self, verb: str, *payload: Any) -> None:
        """Send a frame that begins an exchange. Raises Crashed, TimedOut."""
        self._serial += 1
        data = self.live_frame(verb, *payload)
        self.channel.settimeout(min(self.guards.wall_seconds, 3600.0))
        try:
            self.channel.sendall(data)
        except TimeoutError:
            raise ending.TimedOut("your code does not give control back") from None
        except OSError:
            raise self.crash() from None

    def live_frame(self, verb: str, *payload: Any) -> bytes:
        """A frame of the exchange that is open."""
        return wire.frame(wire.encode([self._serial, verb, *payload]))

    def answers(self) -> Iterator[list[Any]]:
        """The frames of the exchange that is open, as they come."""
        clock = Clock(self)
        received = frames = 0
        try:
            while True:
                for payload in self.frames:
                    frames += 1
                    if received > self.guards.bytes or frames > self.guards.frames:
                        raise ending.Crashed("the process sent more than can be judged")
                    yield self.parse(payload)
                data = self._receive(clock)
                received += len(data)
                self.frames.feed(data)
        except wire.WireError as error:
            raise ending.Crashed(f"the process sent {error}") from error

    def parse(self, payload: bytes) -> list[Any]:
        """A payload as kind and what follows. Raises Crashed for anything but an answer to the open exchange."""
        try:
            parts = self._reader.decode(payload)
        except wire.WireError as error:
            raise ending.Crashed(f"the process sent {error}") from error
        if (
            type(parts) is not list
            or len(parts) < 2
            or type(parts[1]) is not str
            or type(parts[0]) is not int
        ):
            raise ending.Crashed("the process sent a frame of an unknown form")
        if parts[0] != self._serial:
            raise ending.Crashed("the process answered a question that was not asked")
        return parts[1:]

    def crash(self) -> ending.Ending:
        """The ending of a worker that hung up."""
        code = self.started.exit_code(DEATH)
        self.close()
        return ending.Crashed(_how_it_died(code))

    @property
    def closed(self) -> bool:
        """Whether the worker has been ended."""
        return self.channel.fileno() < 0

    def close(self) -> None:
        """End the worker and everything that it started. May be called twice."""
        self._printed = self.output()
        self.started.kill()
        self.channel.close()

    def output(self) -> str:
        """What the submission printed so far, capped."""
        if self.started.output < 0:
            return self._printed
        whole = os.pread(self.started.output, 2 * OUTPUT_BYTES, 0)
        return whole.decode("utf-8", "replace")

    def _receive(self, clock: Clock) -> bytes:
        while True:
            self.channel.settimeout(TICK)
            try:
                data = self.channel.recv(1 << 16)
            except TimeoutError:
                clock.check()
                continue
            except OSError:
                raise self.crash() from None
            if not data:
                raise self.crash()
            clock.look()  # at one who says a byte at a time, too
            return data

    def value_of(self, kind: str, payload: list[Any]) -> Any:
        """The value of the frame that ends an exchange. Raises what else the frame says."""
        if kind == "returned" and payload:
            return payload[0]
        if kind == "raised" and payload:
            raise Raised(self.error_of(payload[0]))
        if kind == "flooded" and payload and type(payload[0]) is str:
            raise ending.Flooded(plain(payload[0]))
        if kind == "stalled":
            raise ending.Stalled
        raise _unexpected(kind)

    def _event(self, entry: Any, conversations: int) -> Event:
        try:
            conversation, kind, value = entry
        except (TypeError, ValueError):
            raise ending.Crashed("the process sent an event of an unknown form") from None
        if type(kind) is not str or kind not in KINDS or not _is_index(conversation, conversations):
            raise ending.Crashed("the process sent an event of an unknown form")
        if kind in ("raised", "cancelled"):
            value = self.error_of(value)
        return Event(KINDS[kind], value, conversation)

    def _waits(self, conversation: Any, conversations: int) -> Event:
        if not _is_index(conversation, conversations):
            raise ending.Crashed("the process sent an event of an unknown form")
        return Event("waits", "for an event that will never come", conversation)

    def _transcript(self, events: list[Event], snapshots: list[Any], conversations: int) -> Transcript:
        ends = [event.conversation for event in events if event.kind in ("returned", "raised", "cancelled")]
        if sorted(ends) != list(range(conversations)):
            raise ending.Crashed("the process sent a transcript without an end")
        if len(snapshots) != conversations or not all(_is_snapshot(entry) for entry in snapshots):
            raise ending.Crashed("the process sent a transcript without its scopes")
        scopes, identities = zip(*snapshots, strict=True)
        return Transcript(tuple(events), tuple(scopes), tuple(identities))

    def error_of(self, described: Any) -> Error:
        """The exception that a worker describes, made safe to show.

        Raises OutOfMemory for a MemoryError, Crashed if it describes none.
        """
        try:
            names = tuple(plain(_text(name)) for name in described["names"][:MAX_DESCRIBED])
            frames = tuple(self._frame(*frame) for frame in described["traceback"][-MAX_DESCRIBED:])
            attributes = dict(list(dict(described["attributes"]).items())[:MAX_DESCRIBED])
            message = self._normal(_text(described["message"]))
            own = described["own"] is True
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ending.Crashed("the process sent an exception of an unknown form") from None
        if names[:1] == ("MemoryError",):
            raise ending.OutOfMemory("your code asked for more memory than it has")
        return Error(names or ("Exception",), message, attributes, frames, own)

    def _frame(self, file: str, line: int, function: str, source: str) -> Frame:
        if not _is_index(line, 1 << 31):
            raise TypeError
        return Frame(plain(_text(file)), line, plain(_text(function)), plain(_text(source)))

    def _normal(self, message: str) -> str:
        """A message without addresses and without the tree's own place."""
        shown = message.replace(self.started.root.rstrip("/") + "/", "")
        return re.sub(r"\b0x[0-9a-fA-F]{5,}", "0x...", shown)


class Clock:
    """The guards of one exchange; a session is one."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._started = time.monotonic()
        self._due = self._started + TICK
        self._cpu: float | None = None

    def look(self) -> None:
        """`check`, if a tick has passed since the last time. Raises TimedOut."""
        if time.monotonic() >= self._due:
            self.check()

    def check(self) -> None:
        """Raise TimedOut when the worker has used up what it may."""
        self._due = time.monotonic() + TICK
        guards = self._worker.guards
        used = self._worker.started.cpu_seconds()
        if self._cpu is None:  # the first look comes a tick after the start
            self._cpu = max(0.0, used - TICK)
        if used - self._cpu > guards.cpu_seconds:
            raise ending.TimedOut(
                f"your code was still busy after {guards.cpu_seconds:g} seconds of computing: a loop that never ends?"
            )
        if time.monotonic() - self._started > guards.wall_seconds:
            raise ending.TimedOut(
                f"your code gave no answer within {guards.wall_seconds:g} seconds: it sleeps, or blocks its thread"
            )


def _unexpected(kind: str) -> ending.Crashed:
    return ending.Crashed(f"the process sent a frame that does not belong here: {plain(kind)}")


def _is_snapshot(entry: Any) -> bool:
    return type(entry) is list and len(entry) == 2 and all(type(part) is dict for part in entry)


def _is_index(value: Any, end: int) -> bool:
    return type(value) is int and 0 <= value < end


def _list(payload: list[Any]) -> list[Any]:
    """The one list that a frame carries. Raises Crashed."""
    if len(payload) != 1 or type(payload[0]) is not list:
        raise ending.Crashed("the process sent a frame of an unknown form")
    whole: list[Any] = payload[0]
    return whole


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError
    return value


def _how_it_died(code: int | None) -> str:
    if code == 0:
        return "your code ended the process (os._exit or the like)"
    if code is not None and code < 0:
        return f"the process was killed by signal {-code} while your code ran"
    return "the process ended while your code ran"
