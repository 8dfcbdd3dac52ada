"""The same submission gives the same bytes: alone, after fifty others, in another order, and in another process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from grader import submission
from grader.course import Course, Exercise
from grader.grading import Options, judge
from grader.report import Result, encode, steady

CHECKOUT = Path(__file__).parents[2]
OPTIONS = Options(profile="watch", seed="steady")
RIGHT = "def double(n):\n    if isinstance(n, str): raise TypeError('no')\n    return 2 * n\n"
WRONG = """
class Answer:
    pass


def double(n):
    if n == 1000:
        raise LookupError(f"{Answer()!r} {object()!r} in {__file__}")
    return {"a": {1, 2}, "b": {str(k) for k in range(9)}, "c": Answer(), "d": repr(Answer())}
"""
DYING = "import os\n\n\ndef double(n):\n    os._exit(3)\n"
GREETS = """
async def app(scope, receive, send):
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": repr(object()).encode()})
    await send({"type": "http.response.body", "body": b"once more"})
"""
HANGS_UP = "import os\n\n\nasync def app(scope, receive, send):\n    await receive()\n    os._exit(0)\n"
SUBMISSIONS = {
    "right": ("double", RIGHT),
    "wrong": ("double", WRONG),
    "dying": ("double", DYING),
    "greets": ("greeter", GREETS),
    "hangs_up": ("greeter", HANGS_UP),
}
OTHERS = [
    ("double", RIGHT), ("double", "def double(n:\n"), ("double", ""), ("double", "import numpy\n"),
    ("double", "def double(n): return n\n"), ("greeter", GREETS), ("greeter", "app = None\n"),
    ("shapes", "def area(text): return 1\n"), ("shapes", "from .sizes import nothing\n"), ("greeter", ""),
]  # fmt: skip

JUDGE = """
import sys
from pathlib import Path
from grader import submission
from grader.course import Course
from grader.grading import Options, judge
from grader.report import Result, encode, steady

root, name, source, seed = sys.argv[1:]
course = Course(Path(root))
exercise = course.exercise(name)
made = submission.of_files("x", {exercise.target + ".py": Path(source).read_bytes()})
report = judge(course, exercise, made, Options(profile="watch", seed=seed))
sys.stdout.buffer.write(encode(Result("x", (steady(report),))))
"""


def steady_bytes(course: Course, exercise: Exercise, source: bytes) -> bytes:
    """What a report on the submission says, without times and output."""
    made = submission.of_files("x", {exercise.target + ".py": source})
    return encode(Result("x", (steady(judge(course, exercise, made, OPTIONS)),)))


def steady_bytes_elsewhere(course: Course, exercise: Exercise, source: bytes, folder: Path) -> bytes:
    """The same, in another process with other hashes and another folder to stand in."""
    script, handed_in = folder / "judge.py", folder / "handed_in.py"
    script.write_text(JUDGE, encoding="utf-8")
    handed_in.write_bytes(source)
    command = [sys.executable, str(script), str(course.root), exercise.name, str(handed_in), OPTIONS.seed]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONHASHSEED": "4711"}
    return subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE).stdout


@pytest.fixture(scope="module")
def alone(tiny: Course) -> dict[str, bytes]:
    """Each submission, judged in the order in which they stand."""
    return {
        name: steady_bytes(tiny, tiny.exercise(exercise), source.encode())
        for name, (exercise, source) in SUBMISSIONS.items()
    }


def test_the_submissions_differ(alone: dict[str, bytes]) -> None:
    assert len(set(alone.values())) == len(SUBMISSIONS)
    assert b'"outcome":"crashed"' in alone["dying"]
    assert b"0x7" not in b"".join(alone.values())


def test_the_order_of_exercises_does_not_matter(tiny: Course, alone: dict[str, bytes]) -> None:
    reverse = {
        name: steady_bytes(tiny, tiny.exercise(exercise), source.encode())
        for name, (exercise, source) in reversed(SUBMISSIONS.items())
    }
    assert reverse == alone


def test_fifty_others_before_do_not_matter(tiny: Course, alone: dict[str, bytes]) -> None:
    for number in range(50):
        exercise, source = OTHERS[number % len(OTHERS)]
        steady_bytes(tiny, tiny.exercise(exercise), source.encode())
    after = {
        name: steady_bytes(tiny, tiny.exercise(exercise), source.encode())
        for name, (exercise, source) in SUBMISSIONS.items()
    }
    assert after == alone


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_another_process_does_not_matter(
    tiny: Course, alone: dict[str, bytes], tmp_path: Path, name: str
) -> None:
    exercise, source = SUBMISSIONS[name]
    assert steady_bytes_elsewhere(tiny, tiny.exercise(exercise), source.encode(), tmp_path) == alone[name]


# --- the course itself

REAL = [exercise.name for exercise in Course(CHECKOUT).exercises]


@pytest.mark.parametrize("name", REAL)
def test_the_courses_own_exercises_are_steady(name: str, tmp_path: Path) -> None:
    course = Course(CHECKOUT)
    exercise = course.exercise(name)
    if exercise.package or not course.solution(exercise).is_file():
        pytest.skip("an exercise of several files, or one without an answer yet")
    source = course.solution(exercise).read_bytes()
    stub = b"def app(*args):\n    raise ValueError(object())\n"
    here = steady_bytes(course, exercise, source)
    steady_bytes(course, exercise, stub)
    assert steady_bytes(course, exercise, source) == here
    assert steady_bytes_elsewhere(course, exercise, source, tmp_path) == here
