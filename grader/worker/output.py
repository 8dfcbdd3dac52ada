"""What the submission prints: to a file of the judge's, up to a limit, then silently to nowhere.

Rule 1: printing too much never raises in the submission, and never reaches the judge's own output.
"""

from __future__ import annotations

import io
import os
import sys
from typing import cast


class CappedFile(io.RawIOBase):
    """Writes to a descriptor until `limit` bytes are written in all, and swallows the rest."""

    def __init__(self, descriptor: int, limit: int) -> None:
        self._descriptor = descriptor
        self._left = limit

    def writable(self) -> bool:
        """Always."""
        return True

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def write(self, data: object, /) -> int:
        """Take all of it, pass on what still fits."""
        whole = bytes(data)  # type: ignore[call-overload]
        part = whole[: self._left]
        self._left -= len(part)
        try:
            while part:
                part = part[os.write(self._descriptor, part) :]
        except OSError:  # the file has reached its limit, or the submission has closed it
            self._left = 0
        return len(whole)


def cap_output(limit: int) -> None:
    """Let `sys.stdout` and `sys.stderr` write at most `limit` bytes each. 0 leaves them as they are."""
    if limit:
        sys.stdout = _writer(1, limit)
        sys.stderr = _writer(2, limit)
        vars(sys).update(__stdout__=sys.stdout, __stderr__=sys.stderr)


def _writer(descriptor: int, limit: int) -> io.TextIOWrapper:
    raw = cast("io.BufferedWriter", CappedFile(descriptor, limit))  # unbuffered: nothing is lost in a crash
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)
