"""Tripling numbers, and counting how often."""

from __future__ import annotations

from .sums import add


class Tripler:
    """Gives three times a number, and counts its calls."""

    calls: int

    def __init__(self) -> None:
        self.calls = 0

    def __repr__(self) -> str:
        return f"Tripler(calls={self.calls})"

    def __call__(self, number: int) -> int:
        """Give three times the number."""
        self.calls += 1
        return add(number, number, number)
