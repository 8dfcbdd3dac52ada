"""A running `grader watch` on a solved exercise: from save to the verdict of profile `watch`.

python benchmarks/watch.py [EXERCISE]
"""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from figures import RUNS, bound, table

from grader.course import Course

ROOT = Path(__file__).resolve().parent.parent
VERDICT = b"The quick run passed"
DONE = b"Done."


def main() -> None:
    """Print the figures."""
    names = sys.argv[1:] or [exercise.name for exercise in Course(ROOT).exercises]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "course")
        ignored = shutil.ignore_patterns(".git", ".tox", ".venv", ".grader", "__pycache__")
        shutil.copytree(ROOT, copy, ignore=ignored)
        taken = {name: _watched(Course(copy), name) for name in names}
    print("from save to the verdict of profile watch (20 examples a property), in a running watch")
    table(taken)
    for name, values in taken.items():
        bound(name, values, 500)


def _watched(course: Course, name: str) -> list[float]:
    exercise = course.exercise(name)
    stub, solution = course.stub(exercise), course.solution(exercise).read_bytes()
    stub.write_bytes(solution)
    ours, theirs = pty.openpty()
    watch = subprocess.Popen(
        [sys.executable, "-m", "grader", "--course", str(course.root), "watch", name],
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=course.root, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    taken = []
    terminal = Terminal(ours)
    try:
        terminal.wait_for(DONE)
        for number in range(RUNS):
            began = time.perf_counter()
            stub.write_bytes(solution + f"\n# save {number}\n".encode())
            terminal.wait_for(VERDICT)
            taken.append(time.perf_counter() - began)
        os.write(ours, b"q")
        watch.wait(timeout=10)
    finally:
        watch.kill()
        os.close(ours)
    return taken


class Terminal:
    """Our end of a pseudo-terminal."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._seen = b""

    def wait_for(self, wanted: bytes) -> None:
        """Read until `wanted` has come; what comes after it is kept for the next call."""
        while wanted not in self._seen:
            self._seen += os.read(self._descriptor, 1 << 16)
        self._seen = self._seen.partition(wanted)[2]


if __name__ == "__main__":
    main()
