"""Calls `area`."""

from fastasgi.shapes import area as learners_area


def area(text: str) -> object:
    """What the learner's function gives."""
    return learners_area(text)
