"""What `area` must do."""

from hypothesis import example, given
from hypothesis import strategies as st

from grader.suite import Submission, raised, requirement

SIDE = st.integers(0, 99)


@requirement("SHAPE-01")
@given(width=SIDE, height=SIDE)
def test_area(submission: Submission, width: int, height: int) -> None:
    """The area is the product of the sides."""
    assert submission.call("area", text=f"{width}x{height}") == width * height


@requirement("SHAPE-02")
@given(width=st.integers(-99, -1))
@example(width=-1)
def test_no_side_below_zero(submission: Submission, width: int) -> None:
    """A side below 0 raises ValueError."""
    assert submission.call("area", text="1x1") == 1
    with raised("ValueError"):
        submission.call("area", text=f"{width}x2")
