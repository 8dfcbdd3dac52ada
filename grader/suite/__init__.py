"""What a suite is written with: the submission, `@requirement`, `raised`, scripts.

Suites import from here and from `grader.suite.strategies`, and from nowhere else in the grader.
"""

from grader.judge.script import Script
from grader.suite.marks import raised, requirement
from grader.suite.submission import Submission
from grader.transcript import Error, Raised, Transcript
from grader.worker.wire import Foreign, Once, Opaque

__all__ = [
    "Error",
    "Foreign",
    "Once",
    "Opaque",
    "Raised",
    "Script",
    "Submission",
    "Transcript",
    "raised",
    "requirement",
]
