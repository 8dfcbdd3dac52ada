"""Twice as much."""


def double(number: int) -> int:
    """Give twice `number`; raise TypeError for a str."""
    if isinstance(number, str):
        raise TypeError("a str is no number")
    return 2 * number
