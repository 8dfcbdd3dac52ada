"""Twice as much."""


def double(number: int) -> int:
    """Give twice `number`; raise TypeError for a str."""
    raise NotImplementedError("double: double")
