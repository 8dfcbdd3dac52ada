"""200 submissions in one judge: memory, processes, descriptors and files.

python benchmarks/memory.py [SANDBOX]
"""

from __future__ import annotations

import gc
import statistics
import sys
import tempfile
from pathlib import Path

import psutil

from grader.course import Course
from grader.grading import Options, judge
from grader.submission import of_files

ROOT = Path(__file__).resolve().parent.parent
SUBMISSIONS = 200


def main() -> None:
    """Print the figures."""
    course = Course(ROOT)
    exercise = course.exercise("paths")
    solution = course.solution(exercise).read_bytes()
    options = Options(profile="watch", sandbox=sys.argv[1] if len(sys.argv) > 1 else "process")
    me = psutil.Process()
    resident: list[int] = []
    before = _leftovers(me)
    for number in range(SUBMISSIONS):
        source = solution + f"\n# submission {number}\n".encode()
        judge(course, exercise, of_files(str(number), {exercise.target + ".py": source}), options)
        resident.append(me.memory_info().rss)
        if number == 0:
            before = _leftovers(me)
    gc.collect()
    first, second = statistics.median(resident[:100]), statistics.median(resident[100:])
    print(f"{SUBMISSIONS} submissions of paths in one judge, profile watch, sandbox {options.sandbox}")
    print(
        f"  median resident memory, submissions 1 to 100: {first / 2**20:.1f} MiB, 101 to 200: {second / 2**20:.1f} MiB"
    )
    print(f"  growth: {100 * (second / first - 1):.2f} % (goal: within 5 %)")
    print(
        f"  processes, descriptors, threads, files in the temporary folder: {before} before, {_leftovers(me)} after"
    )


def _leftovers(me: psutil.Process) -> tuple[int, int, int, int]:
    files = sum(
        1 for path in Path(tempfile.gettempdir()).iterdir() if path.name.startswith(("grader-", "worker-"))
    )
    return len(me.children(recursive=True)), me.num_fds(), me.num_threads(), files


if __name__ == "__main__":
    main()
