"""Beside the probe: what a learner might have written."""

import asyncio
import sys


async def wait(seconds):
    await asyncio.sleep(seconds)


class Teapot(LookupError):
    status_code = 418

    def __init__(self, detail):
        super().__init__(detail)
        self.detail = detail
        self.headers = {"x-tea": (b"green", 1)}
        self.secret = object()
        self._private = 1


class Silent(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class Leaver(Exception):
    def __str__(self):
        sys.exit(3)


class Long(Exception):
    def __init__(self):
        super().__init__("long")
        self.document = "x" * 600_000
        self.other = "y" * 600_000
        self.huge = 1 << 60_000


class Guarded(Exception):
    @property
    def detail(self):
        raise KeyboardInterrupt


RAISED = {
    "ValueError": lambda: ValueError("wrong"),
    "Teapot": lambda: Teapot("short and stout"),
    "SystemExit": lambda: SystemExit(3),
    "KeyboardInterrupt": lambda: KeyboardInterrupt("stop"),
    "CancelledError": lambda: asyncio.CancelledError("gone"),
    "GeneratorExit": lambda: GeneratorExit(),
    "Silent": lambda: Silent(),
    "Leaver": lambda: Leaver(),
    "Long": lambda: Long(),
    "Guarded": lambda: Guarded(),
    "Address": lambda: ValueError(f"{object()!r} in {__file__}"),
    "Surrogate": lambda: ValueError("\ud800"),
    "Colour": lambda: ValueError("\x1b[31mPASSED\x1b[0m\nPASSED"),
    "Named": lambda: type("AssertionError\nPASSED", (Exception,), {})("x"),
    "Group": lambda: ExceptionGroup("two", [ValueError("a"), KeyError("b")]),
    "StopIteration": lambda: StopIteration(7),
}


def raise_it(name):
    raise RAISED[name]()


def wrong_place():
    nothing_there  # noqa: B018, F821
