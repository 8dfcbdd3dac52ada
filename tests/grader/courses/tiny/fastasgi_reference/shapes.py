"""Rectangles."""

from .sizes import sides


def area(text: str) -> int:
    """The area of `text`, such as "2x3". Raises ValueError for a side below 0."""
    width, height = sides(text)
    if width < 0 or height < 0:
        raise ValueError("a side is below 0")
    return width * height
