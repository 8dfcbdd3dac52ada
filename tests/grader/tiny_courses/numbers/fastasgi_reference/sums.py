"""Adding: given to the learner whole."""

from __future__ import annotations


def add(*numbers: int) -> int:
    """Give the sum of the numbers."""
    return sum(numbers)
