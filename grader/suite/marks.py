"""Marks of a suite's tests: which requirement a test proves, and which exception a block must raise.

Rule 1: a test proves one requirement.
Rule 2: a demanded exception is one that the submission raised; the judge's own never count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from grader.transcript import Error, Raised

MARK = "requirement"
Test = TypeVar("Test", bound=Callable[..., Any])


class Unmet(AssertionError):
    """The submission did not do what was demanded: says what it did instead."""


def requirement(requirement_id: str) -> Callable[[Test], Test]:
    """Mark a test as a proof of the requirement of that id."""
    mark = pytest.mark.requirement(requirement_id)

    def decorate(test: Test) -> Test:
        marked: Test = mark(test)
        return marked

    return decorate


class Caught:
    """What `raised` caught."""

    error: Error


@contextmanager
def raised(name: str) -> Iterator[Caught]:
    """Demand that the submission raises an exception whose class, or a base of it, is called `name`.

    Raises Unmet, in the learner's words, if it raises another or none.
    """
    caught = Caught()
    try:
        yield caught
    except Raised as error:
        if name not in error.error.names:
            raise Unmet(f"your code must raise {name} here, but it raised {error.error}") from error
        caught.error = error.error
    else:
        raise Unmet(f"your code must raise {name} here, but it raised nothing")
