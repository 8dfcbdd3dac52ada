"""`grader check paths` from a cold start, against bare pytest on the same suite with the solution in its own process.

python benchmarks/check.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from figures import ratio, side_by_side, table

from grader.course import Course
from grader.judge import overlay

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Print the figures."""
    course = Course(ROOT)
    exercise = course.exercise("paths")
    with tempfile.TemporaryDirectory() as folder:
        tree, submission = Path(folder, "tree"), Path(folder, "paths.py")
        tree.mkdir()
        solution = course.solution(exercise).read_bytes()
        submission.write_bytes(solution)
        overlay.compose(course, exercise, {exercise.target + ".py": solution}, tree)
        bare = [sys.executable, "-m", "pytest", "-q", "-p", "in_process", "--import-mode=importlib"]
        bare += ["-c", str(ROOT / "grader/suite/pytest.ini"), str(course.suite(exercise))]
        environment = os.environ | {
            "BENCH_TREE": str(tree), "BENCH_EXAMPLES": "100", "PYTHONPATH": str(ROOT / "benchmarks"),
        }  # fmt: skip
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        judged = [sys.executable, "-m", "grader", "check", "paths", "--submission", str(submission)]

        def run(command: list[str]) -> None:
            subprocess.run(command, check=True, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL)

        taken = side_by_side({"grader check paths": lambda: run(judged), "bare pytest": lambda: run(bare)})
    print("grader check paths, cold, profile local (100 examples a property)")
    table(taken)
    ratio("grader check / bare pytest", taken, "grader check paths", "bare pytest", 1.5)


if __name__ == "__main__":
    main()
