"""What `double` promises."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from grader.suite import Submission, raised, requirement

LIMIT = 10**18


@requirement("DOUBLE-01")
@given(number=st.integers(-(10**20), LIMIT))
@example(number=3)
@example(number=-3)
@example(number=0)
def test_twice(submission: Submission, number: int) -> None:
    """`double` gives twice the number."""
    assert submission.call("double", number=number) == number + number


@requirement("DOUBLE-02")
@given(over=st.integers(1, 10**20))
@example(over=1)
def test_too_large(submission: Submission, over: int) -> None:
    """Over the limit `double` raises TooLarge; at the limit it does not."""
    with raised("TooLarge") as caught:
        submission.call("double", number=LIMIT + over)
    assert "ValueError" in caught.error.names, "TooLarge must be a ValueError"
    assert type(submission.call("double", number=LIMIT)) is int, "the limit itself must be doubled"
