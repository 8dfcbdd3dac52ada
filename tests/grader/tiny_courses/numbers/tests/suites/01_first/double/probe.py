"""Calls the learner's `double`."""

from __future__ import annotations

import double as learners


def double(number: int) -> object:
    """What `double` gives."""
    return learners.double(number)
