"""Doubling numbers that are not too large."""

from __future__ import annotations

LIMIT = 10**18
"""The largest number that is doubled."""


class TooLarge(ValueError):
    """The number is over the limit."""


def double(number: int) -> int:
    """Give twice the number.

    Raises TooLarge for a number over `LIMIT`.
    """
    raise NotImplementedError("double: double")
