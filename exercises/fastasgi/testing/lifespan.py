"""The lifespan: startup before the first request, shutdown after the last, in one call of the application.

Rule 1: `lifespan.shutdown` comes after a startup that was completed, and never otherwise (ASGI Lifespan, Scope).
Rule 2: an application that raises instead of answering `lifespan.startup` has no lifespan, and that is no fault.
Rule 3: no answer is waited for that cannot come: a call that has ended answers nothing more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from ..asgi_types import Message
from .call import Call
from .conversation import LIFESPAN, Conversation, Life
from .failures import LifespanFailed, ProtocolError, Stalled
from .watch import Watch


class Questions:
    """The two questions of a lifespan and the application's answers, without I/O and without tasks."""

    gone = congested = False

    def __init__(self) -> None:
        self.label = "lifespan"
        self.message = ""
        self._talk = Conversation(LIFESPAN, self.label)
        self._inbox: deque[Message] = deque([{"type": "lifespan.startup"}])

    @property
    def state(self) -> Life:
        """Where the lifespan stands."""
        return self._talk.state

    @property
    def fault(self) -> ProtocolError | None:
        """The first rule that the application broke."""
        return self._talk.fault

    def stop(self) -> None:
        """Ask the application to shut down."""
        self._talk.state = Life.STOPPING
        self._inbox.append({"type": "lifespan.shutdown"})

    def leave(self) -> None:
        """There is no client that could leave: what ends a lifespan is `stop`."""

    def next_event(self) -> Message | None:
        """What `receive` gives now, or None where it must wait."""
        return self._inbox.popleft() if self._inbox else None

    def take(self, message: Message) -> None:
        """What `send` was given. Raises ProtocolError."""
        self.message = self._talk.take(message).get("message", "")

    def end(self, error: BaseException | None) -> None:
        """The application's call has ended, with `error` if it raised one."""
        if error is None and self._is_asked() and not self._inbox:
            self._talk.broken(
                f"the application returned without a message {self.state.value}; expected: {self._talk.expected()}",
                "ASGI Lifespan, Scope",
            )

    def awaited(self) -> str:
        """In words, what the application owes."""
        return f"has not sent {self._talk.expected()}" if self._is_asked() else "has not returned"

    def _is_asked(self) -> bool:
        return self.state in (Life.STARTING, Life.STOPPING)


class Lifespan:
    """Runs the lifespan of an application.

    `state` is the namespace that it fills at startup, None while there is no lifespan; `refusal` the exception by
    which it said that it has none.
    """

    def __init__(self, app: Callable[..., Any], watch: Watch) -> None:
        self.state: dict[str, Any] | None = None
        self.refusal: Exception | None = None
        self._namespace: dict[str, Any] = {}
        self._questions = Questions()
        asgi = {"version": "3.0", "spec_version": "2.0"}
        scope = {"type": "lifespan", "asgi": asgi, "state": self._namespace}
        self._call = Call(app, scope, self._questions, watch)

    async def start(self) -> None:
        """Wait until the application has started, or has said that it has no lifespan.

        Raises LifespanFailed on `lifespan.startup.failed`, ProtocolError and Stalled.
        """
        if await self._answer() is Life.UP:
            self.state = self._namespace
            return
        await self._end("startup")
        error = self._call.error
        if error is not None and not isinstance(error, Exception):
            raise error
        self.refusal = error

    async def stop(self) -> None:
        """Ask the application to shut down and wait until its call has ended.

        Raises LifespanFailed on `lifespan.shutdown.failed`, ProtocolError, Stalled, and what the application raised
        since it was started.
        """
        if self.state is None:
            return
        self.state = None
        if not self._call.ended:
            self._questions.stop()
            self._call.changed()
            await self._answer()
        await self._end("shutdown")
        if self._call.error is not None:
            raise self._call.error

    async def _answer(self) -> Life:
        """Wait for the answer to the last question, or for the end of the call."""
        asked = self._questions.state
        try:
            await self._call.until(lambda: self._questions.state is not asked)
        except BaseException as error:
            await self._call.__aexit__(type(error), error, None)
            raise
        return self._questions.state

    async def _end(self, phase: str) -> None:
        """Wait for the end of the call, and raise what the application has answered or broken."""
        failed = self._questions.state in (Life.FAILED, Life.BROKEN)
        try:
            await self._call.close()
        except Stalled:
            if not failed:  # else there is something better to be told
                raise
        if self._questions.fault is not None:
            raise self._questions.fault
        if failed:
            raise LifespanFailed(phase, self._questions.message) from self._call.error
