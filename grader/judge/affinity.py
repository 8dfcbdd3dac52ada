"""Affinity: judge and worker on one CPU while they talk.

Rule 1: it only saves time: the two take turns, and a wake-up across CPUs costs more than the call itself.
Rule 2: what cannot be had, or was not there before, is left as it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROCESSOR = 36
"""The field of /proc/self/task/<tid>/stat that tells the CPU, counted from 0 behind the command's name: proc(5)."""


@contextmanager
def here() -> Iterator[None]:
    """Keep the calling thread on the CPU that it is on while the context lasts."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    with suppress(OSError):
        os.sched_setaffinity(0, {_cpu()})
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setaffinity(0, before)


def join(pid: int) -> None:
    """Put a process on the CPUs of the calling thread."""
    if hasattr(os, "sched_setaffinity"):
        with suppress(OSError):
            os.sched_setaffinity(pid, os.sched_getaffinity(0))


def _cpu() -> int:
    status = Path("/proc/thread-self/stat").read_text(encoding="ascii", errors="replace")
    return int(status.rpartition(")")[2].split()[PROCESSOR])
