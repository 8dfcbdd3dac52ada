"""What a Tripler promises."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from grader.suite import Submission, requirement


@requirement("TRIPLE-01")
@given(numbers=st.lists(st.integers(), min_size=1, max_size=5))
@example(numbers=[3])
def test_thrice(submission: Submission, numbers: list[int]) -> None:
    """A Tripler gives three times the number."""
    given, _ = submission.call("triple", numbers=numbers)
    assert given == [3 * number for number in numbers]


@requirement("TRIPLE-02")
@given(numbers=st.lists(st.integers(), max_size=5))
@example(numbers=[])
@example(numbers=[3, 4])
def test_counts(submission: Submission, numbers: list[int]) -> None:
    """A Tripler counts its calls."""
    _, calls = submission.call("triple", numbers=numbers)
    assert calls == len(numbers)
