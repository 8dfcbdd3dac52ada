"""A problem: something that is wrong with an exercise, for its author.

Rule 1: a problem names the file, what is wrong there, and what to do.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong: with which exercise (empty: the course), where, what, and what to do about it."""

    exercise: str
    where: str
    what: str
    cure: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. {self.cure}."
