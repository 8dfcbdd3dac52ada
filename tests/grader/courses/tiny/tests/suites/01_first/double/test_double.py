"""What `double` must do."""

from hypothesis import example, given
from hypothesis import strategies as st

from grader.suite import Submission, raised, requirement


@requirement("DOUBLE-01")
@given(number=st.integers())
@example(number=1000)
def test_an_int_is_doubled(submission: Submission, number: int) -> None:
    """An int is doubled, however large."""
    assert submission.call("double", number=number) == number + number


@requirement("DOUBLE-02")
def test_a_str_is_refused(submission: Submission) -> None:
    """A str raises TypeError, and an int does not."""
    assert submission.call("double", number=3) == 6
    with raised("TypeError"):
        submission.call("double", number="three")
