"""Another right answer."""

LIMIT = 1_000_000_000_000_000_000


class TooLarge(ValueError):
    pass


def double(number):
    if number <= LIMIT:
        return number << 1
    raise TooLarge
