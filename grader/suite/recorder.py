"""The recorder: what the failing example that stands showed.

Rule 1: an example is recorded when it fails, so that the last one recorded is the smallest that was found.
Rule 2: only what the worker did can fail a test. What breaks without it is the judge's own fault.
Rule 3: no frame of the grader, pytest or Hypothesis is ever part of a finding.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from hypothesis.errors import Flaky, HypothesisException, StopTest

from grader import transcript
from grader.judge import ending
from grader.judge.session import Violation
from grader.report import Finding, Outcome, Value
from grader.suite.marks import Unmet
from grader.suite.submission import Submission
from grader.transcript import Error, Raised
from grader.worker import wire

AFTER_FAILURE = 2_000
"""Examples that a test may run after its first failure: the bound of shrinking, by count and never by time."""
TEST_SECONDS = 120
"""Seconds of wall clock of one test: a last resort, far above what any right submission takes."""
FORM = "your answer does not have the form that the sheet describes"
STATE = "your code keeps state between calls: the same input gave two different answers"
SHAPE_ERRORS = (
    TypeError, LookupError, AttributeError, ValueError, ArithmeticError, RecursionError, httpx.HTTPError,
    httpx.InvalidURL,)  # fmt: skip
"""What a test raises when an answer is of another form than it reads."""


@dataclass(frozen=True)
class Comparison:
    """The comparison of an assertion that failed."""

    operator: str
    left: Any
    right: Any


@dataclass(frozen=True)
class Verdict:
    """How a test ended, and what it found."""

    outcome: Outcome
    finding: Finding | None = None


class Recorder:
    """Follows the examples of one test after another."""

    def __init__(self, submission: Submission) -> None:
        self._submission = submission
        self._values: Mapping[str, Any] = {}
        self._comparison: Comparison | None = None
        self._last: Verdict | None = None
        self._after_failure = 0
        self._started = time.monotonic()

    def begin_test(self) -> None:
        """A new test: nothing is found yet."""
        self._submission.begin_test()
        self._started = time.monotonic()
        self._last, self._after_failure = None, 0
        self.begin_example({})

    def begin_example(self, values: Mapping[str, Any]) -> None:
        """A new example with these inputs.

        Raises Exhausted when a failing test has run enough of them, and TimedOut when it has taken too long.
        """
        if time.monotonic() - self._started > TEST_SECONDS:
            raise ending.TimedOut(
                f"one test took more than {TEST_SECONDS} seconds: your code sleeps, or is very slow"
            )
        if self._last is not None:
            self._after_failure += 1
            if self._after_failure > AFTER_FAILURE:
                raise ending.Exhausted("no smaller example was found")
        self._submission.begin_example()
        self._comparison = None
        self._values = {name: value for name, value in values.items() if value is not self._submission}

    def compare(self, operator: str, left: Any, right: Any) -> None:
        """An assertion compares, and fails."""
        self._comparison = Comparison(operator, left, right)

    def failed(self, error: BaseException) -> None:
        """The example failed. Control flow of Hypothesis is no failure."""
        if isinstance(error, (HypothesisException, StopTest, ending.Exhausted)):
            return
        self._last = self._verdict(error)

    def verdict(self, error: BaseException | None) -> Verdict:
        """How the test ended that raised `error`, or nothing."""
        if error is None:
            return Verdict("passed")
        if isinstance(error, Flaky):
            return self._flaky()
        if isinstance(error, HypothesisException):
            return Verdict("judge_error", Finding(message=_named(error)))
        if self._last is None:
            self.failed(error)
        return self._last or Verdict("judge_error", Finding(message=_named(error)))

    def _flaky(self) -> Verdict:
        if self._last is None:
            return Verdict("failed", Finding(message=STATE))
        assert self._last.finding is not None
        finding = self._last.finding
        return Verdict(
            "failed",
            Finding(message=STATE, counterexample=finding.counterexample, transcript=finding.transcript),
        )

    def _verdict(self, error: BaseException) -> Verdict:
        if isinstance(error, (ending.Ending, ending.FinalEnding)):
            return Verdict(error.outcome, self._finding(transcript.plain(str(error))))
        if isinstance(error, Raised):
            return Verdict("failed", self._raised(error))
        if isinstance(error, (Unmet, Violation)):
            return Verdict("failed", self._finding(transcript.plain(str(error)), cause=error.__cause__))
        if isinstance(error, AssertionError):
            return Verdict("failed", self._asserted(error))
        if isinstance(error, SHAPE_ERRORS) and self._submission.events:
            return Verdict(
                "failed", self._finding(f"{FORM}: to read it raises {transcript.plain(_named(error))}")
            )
        return Verdict("judge_error", Finding(message=_named(error)))

    def _raised(self, error: Raised) -> Finding:
        return self._finding(f"your code raised {transcript.plain(str(error.error))}", cause=error)

    def _asserted(self, error: AssertionError) -> Finding:
        words = _own_words(error)
        compared = self._comparison
        if compared is None:
            return self._finding(words or "the check does not hold")
        left, right = transcript.text(compared.left), transcript.text(compared.right)
        if compared.operator == "==":
            return self._finding(words or "your code's answer differs", expected=right, received=left)
        return self._finding(words or f"this does not hold: {left} {compared.operator} {right}")

    def _finding(
        self,
        message: str,
        *,
        cause: BaseException | None = None,
        expected: str | None = None,
        received: str | None = None,
    ) -> Finding:
        return Finding(
            message=message,
            counterexample=tuple(_value(name, value) for name, value in self._values.items()),
            transcript=transcript.lines(self._submission.events),
            expected=expected,
            received=received,
            traceback=cause.error.traceback if isinstance(cause, Raised) else self._last_raised(),
        )

    def _last_raised(self) -> tuple[transcript.Frame, ...]:
        """Where a conversation broke off, if that was the last that happened, and by a line of the submission's."""
        events = self._submission.events
        error = events[-1].value if events and events[-1].kind == "raised" else None
        return error.traceback if isinstance(error, Error) and error.own else ()


def _value(name: str, value: Any) -> Value:
    try:
        return Value(name, transcript.text(value), wire.to_json(value))
    except wire.WireError:
        return Value(name, transcript.text(value))


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _own_words(error: AssertionError) -> str:
    """The words that the suite's author gave to an assertion, without pytest's explanation of it."""
    whole = str(error)
    words = whole.split("\nassert ", 1)[0]
    return "" if words.startswith("assert ") else transcript.plain(words)
