"""The official run of `paths` in bubblewrap and in process, against the same examples without a boundary.

python benchmarks/sandboxes.py
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from functools import partial
from pathlib import Path

import pytest
from figures import ratio, side_by_side, table

from grader.course import Course
from grader.grading import Options, judge
from grader.judge import overlay, sandboxes
from grader.submission import of_files

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Print the figures."""
    course = Course(ROOT)
    exercise = course.exercise("paths")
    own = {exercise.target + ".py": course.solution(exercise).read_bytes()}
    with tempfile.TemporaryDirectory() as folder:
        overlay.compose(course, exercise, own, Path(folder))
        os.environ |= {"BENCH_TREE": folder, "BENCH_EXAMPLES": "300", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        sys.path.insert(0, str(ROOT / "benchmarks"))

        def bare() -> None:
            arguments = ["-q", "-p", "in_process", "-p", "no:cacheprovider", "--import-mode=importlib"]
            arguments += ["-p", "pytest_asyncio.plugin", "-c", str(ROOT / "grader/suite/pytest.ini")]
            with contextlib.redirect_stdout(io.StringIO()):
                code = pytest.main([*arguments, str(course.suite(exercise))])
            assert code == 0, f"the bare run failed: {code}"

        def judged(sandbox: str) -> None:
            options = Options(profile="official", sandbox=sandbox, alone=True)
            report = judge(course, exercise, of_files("solution", own), options)
            assert report.earned, report

        works = {"in process, no boundary": bare}
        for sandbox in sandboxes.SANDBOXES:
            with contextlib.suppress(sandboxes.SandboxUnavailable):
                sandboxes.available(sandbox)
                works[sandbox] = partial(judged, sandbox)
        taken = side_by_side(works)
    print("official run of paths (300 examples a property), warm judge")
    table(taken)
    ratio("process / no boundary", taken, "process", "in process, no boundary", 1.6)
    if "bubblewrap" in taken:
        ratio("bubblewrap / process", taken, "bubblewrap", "process", 1.3)


if __name__ == "__main__":
    main()
