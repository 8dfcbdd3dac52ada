"""Tripling numbers, and counting how often."""

from __future__ import annotations


class Tripler:
    """Gives three times a number, and counts its calls."""

    calls: int

    def __init__(self) -> None:
        raise NotImplementedError("triple: Tripler.__init__")

    def __repr__(self) -> str:
        return f"Tripler(calls={self.calls})"

    def __call__(self, number: int) -> int:
        """Give three times the number."""
        raise NotImplementedError("triple: Tripler.__call__")
