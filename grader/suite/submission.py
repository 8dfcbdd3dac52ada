"""The submission, as a suite talks to it: three verbs over the boundary.

Rule 1: one worker serves the whole exercise, so that state kept by mistake shows; after a crash a fresh one follows.
Rule 2: everything that crosses is remembered until the next example begins.
Rule 3: the stub's marker ends a test at once, whichever verb it came through.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, overload

from grader.judge import affinity, ending
from grader.judge.client import Worker
from grader.judge.script import Script
from grader.judge.session import Session
from grader.report import Resources
from grader.transcript import Error, Event, Raised, Transcript

MAX_OUTPUT = 64 << 10
"""Characters that are kept of what the submission printed."""
RESTARTS = 10
"""Fresh workers that one test may use up."""


class Submission:
    """The submission under judgement: `start` launches a worker; `names` are the exercises', for the stubs' markers."""

    def __init__(self, start: Callable[[], Worker], *names: str, together: bool = False) -> None:
        self._start = start
        self._together = together
        self._marker = re.compile(rf"(?:{'|'.join(map(re.escape, names))}): [\w.]+")
        self._launched: Worker | None = None
        self._worker: Worker | None = None
        self._restarts = 0
        self.events: list[Event] = []
        self._workers: list[Worker] = []

    def call(self, function: str, /, **values: Any) -> Any:
        """Call a function of the probe with values; returns its value. Raises `Raised` with the submission's error."""
        self.events.append(Event("called", (function, values)))
        with self._exchange() as worker:
            value = worker.call(function, values)
        self.events.append(Event("returned", value))
        return value

    @overload
    def converse(self, script: Script, /, *, maker: str = "app", **config: Any) -> Transcript: ...
    @overload
    def converse(self, script: Sequence[Script], /, *, maker: str = "app", **config: Any) -> Transcript: ...
    def converse(
        self, script: Script | Sequence[Script], /, *, maker: str = "app", **config: Any
    ) -> Transcript:
        """Play a script, or several interleaved, to the ASGI callable that the probe's `maker(**config)` returns."""
        scripts = [script] if isinstance(script, Script) else list(script)
        self._made(maker, config)
        with self._exchange() as worker:
            transcript = worker.converse(scripts, config, maker)
            self.events.extend(transcript.events)
            for event in transcript.events:
                if event.kind == "raised":
                    self._look_for_marker(event.value)
        return transcript

    @asynccontextmanager
    async def session(
        self, *, real_time: bool = False, maker: str = "app", **config: Any
    ) -> AsyncIterator[Session]:
        """The ASGI application that the probe's `maker(**config)` returns, live."""
        self._made(maker, config)
        with self._exchange() as worker:
            async with Session(worker, config, self._record, real_time=real_time, maker=maker) as session:
                yield session

    def launch(self) -> None:
        """Start a worker, if none runs, without waiting for it. Raises SandboxUnavailable, Ending."""
        if self._launched is None and self._worker is None:
            self._launched = self._start()

    def _made(self, maker: str, config: dict[str, Any]) -> None:
        if config or maker != "app":
            self.events.append(Event("called", (maker, config)))

    def open(self) -> None:
        """Have a worker with the submission imported. Raises ImportFailed, Ending, FinalEnding."""
        self.launch()
        launched, self._launched = self._launched, None
        if launched is not None:
            self._workers.append(launched)
            self._worker = launched.ready()
            if self._together:
                affinity.join(self._worker.started.identity().pid)

    def begin_test(self) -> None:
        """A new test has the full number of restarts."""
        self._restarts = 0

    def begin_example(self) -> None:
        """Forget what crossed in the example before."""
        self.events.clear()

    def close(self) -> None:
        """End the worker."""
        for worker in (self._launched, self._worker):
            if worker is not None:
                worker.close()
        self._launched = self._worker = None

    def resources(self) -> Resources:
        """What the workers used, once they have ended."""
        used = [worker.started for worker in self._workers]
        return Resources(
            cpu_seconds=round(sum(started.cpu_seconds() for started in used), 4),
            peak_bytes=max((started.peak_bytes() for started in used), default=0),
            workers=len(used),
        )

    def output(self) -> str:
        """What the workers printed, once they have ended, capped."""
        return "".join(worker.output() for worker in self._workers)[:MAX_OUTPUT]

    @contextmanager
    def _exchange(self) -> Iterator[Worker]:
        try:
            self._restart()
            assert self._worker is not None
            yield self._worker
        except Raised as error:
            if not self.events or self.events[-1].value is not error.error:
                self.events.append(Event("raised", error.error))
            self._look_for_marker(error.error)
            raise
        except ending.Stalled as stalled:
            self.events.extend(stalled.events)
            self.close()
            raise
        except ending.NotAttempted:
            raise
        except (ending.Ending, ending.FinalEnding) as bad:
            self.events.append(Event("note", str(bad)))
            self.close()
            raise

    def _restart(self) -> None:
        if self._worker is not None and self._worker.closed:
            self._worker = None
        if self._worker is not None:
            return
        if self._restarts >= RESTARTS:
            raise ending.Exhausted(f"the process died {RESTARTS} times in this test")
        self._restarts += 1
        try:
            self.open()
        except ending.ImportFailed as failed:
            raise ending.Crashed(f"your file could be imported once, but not again: {failed}") from failed

    def _record(self, event: Event) -> None:
        self.events.append(event)
        if event.kind == "raised":
            self._look_for_marker(event.value)

    def _look_for_marker(self, error: Error) -> None:
        if error.name == "NotImplementedError" and self._marker.fullmatch(error.message):
            raise ending.NotAttempted(error.message)
        return
