"""The ways in which an exchange with a worker ends badly, each with its outcome and words for the learner.

Rule 1: what must end a test at once is a BaseException: as an Exception, Hypothesis would run it hundreds of times.
Rule 2: what may be shrunk to a smaller example is an Exception.
"""

from __future__ import annotations

from typing import ClassVar

from grader.report import Outcome
from grader.transcript import Error, Event

WAITS = "your code waits for ever: it awaits something, and nothing can happen any more"


class Ending(Exception):
    """An exchange ended badly, and a smaller example may be looked for."""

    outcome: ClassVar[Outcome] = "crashed"


class Crashed(Ending):
    """The worker died, or sent what no worker of ours sends."""


class OutOfMemory(Ending):
    """The submission wanted more memory than it has."""

    outcome = "out_of_memory"


class Flooded(Ending):
    """The submission sent or returned more than can be judged."""

    outcome = "failed"


class FinalEnding(BaseException):
    """An exchange ended badly, and the test ends with it."""

    outcome: ClassVar[Outcome] = "judge_error"


class TimedOut(FinalEnding):
    """The submission used up its CPU seconds, or the wall clock's last resort."""

    outcome = "timed_out"


class Stalled(FinalEnding):
    """The submission waits, and nothing will ever come. Carries what happened until then."""

    outcome = "stalled"

    def __init__(self, words: str = WAITS, events: tuple[Event, ...] = ()) -> None:
        super().__init__(words)
        self.events = events


class NotAttempted(FinalEnding):
    """The stub's marker was raised."""

    outcome = "not_attempted"


class Exhausted(FinalEnding):
    """A test has used up its restarts, or its examples after the first failure: what was found last stands."""


class ImportFailed(Exception):
    """The submission raised on import. Carries the `error` that crossed."""

    def __init__(self, error: Error) -> None:
        super().__init__(str(error))
        self.error = error
