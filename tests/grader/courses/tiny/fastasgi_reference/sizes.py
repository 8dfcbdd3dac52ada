"""Given: the sides of a shape."""


def sides(text: str) -> list[int]:
    """The numbers in `text`, such as "2x3"."""
    return [int(part) for part in text.split("x")]
