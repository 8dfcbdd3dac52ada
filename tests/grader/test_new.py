"""A new exercise works at once, takes the next free place, and overwrites nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from grader.authoring import stubs
from grader.authoring.mistakes import read_mistakes, submission_of
from grader.authoring.new import NewError, start
from grader.authoring.pool import Task, judge_all
from grader.authoring.sheets import sheet_problems
from grader.authoring.suites import stray_problems, suite_problems
from grader.course import Course
from grader.grading import Options, judge
from grader.submission import of_files

NUMBERS = Path(__file__).parent / "tiny_courses" / "numbers"


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """A copy of the tiny course, to change."""
    shutil.copytree(NUMBERS, tmp_path / "numbers", ignore=shutil.ignore_patterns("__pycache__", ".grader"))
    return Course(tmp_path / "numbers")


@pytest.mark.parametrize(
    ("exercise_id", "place", "solution"),
    [
        ("01_first/two_times", (1, 3), "solutions/01_first/two_times.py"),
        ("fastasgi/two_times", (4, 1), "fastasgi_reference/two_times.py"),
        ("fastasgi/middleware/two_times", (4, 1), "fastasgi_reference/middleware/two_times.py"),
    ],
)
def test_a_new_exercise_works_at_once(
    course: Course, exercise_id: str, place: tuple[int, int], solution: str
) -> None:
    started = start(course, exercise_id)
    fresh = Course(course.root)
    exercise = fresh.exercise("two_times")
    assert (exercise.chapter, exercise.place) == place
    assert fresh.root / solution in started.files
    assert sheet_problems(fresh, exercise) == ()
    assert suite_problems(fresh, exercise) == ()
    assert stray_problems(fresh) == ()
    assert stubs.check(fresh) == ()

    contents = [fresh.solution(exercise).read_bytes(), fresh.stub(exercise).read_bytes()]
    for mistake in read_mistakes(fresh, exercise):
        contents += submission_of(fresh, exercise, mistake).files(exercise).values()
    tasks = [
        Task(of_files("it", {exercise.target + ".py": content}), Options(profile="watch"))
        for content in contents
    ]
    solved, untouched, *wrong = (report for _, report in judge_all(fresh, exercise, tasks, judge, jobs=2))
    assert solved.points == exercise.max_points
    assert [entry.outcome for entry in untouched.requirements] == ["not_attempted"]
    assert [report.points for report in wrong] == [0, 0]


def test_the_author_is_told_what_to_do_next(course: Course) -> None:
    steps = "\n".join(start(course, "01_first/two_times").next_steps)
    for named in (
        "exercises/01_first/two_times.md",
        "tests/suites/01_first/two_times/",
        "author validate two_times",
    ):
        assert named in steps


@pytest.mark.parametrize(
    ("exercise_id", "words"),
    [
        ("two_times", "name it like"),
        ("first/two_times", "name it like"),
        ("01_first/inner/two_times", "name it like"),
        ("07_none/two_times", "there is no folder exercises/07_none"),
        ("01_first/Two-Times", "Two-Times is no module name"),
        ("01_first/class", "class is no module name"),
        ("01_first/json", "the standard library has a module json"),
        ("01_first/test_two", "pytest collects files of that name"),
        ("01_first/triple", "fastasgi/triple has that name"),
        ("fastasgi/../double", "is no module name"),
    ],
)
def test_a_name_that_cannot_be_is_refused(course: Course, exercise_id: str, words: str) -> None:
    before = sorted(course.root.rglob("*"))
    with pytest.raises(NewError, match=words):
        start(course, exercise_id)
    assert sorted(course.root.rglob("*")) == before


def test_nothing_is_overwritten(course: Course) -> None:
    mine = course.root / "solutions" / "01_first" / "two_times.py"
    mine.write_text("# mine\n", encoding="utf-8")
    before = sorted(course.root.rglob("*"))
    with pytest.raises(NewError, match=r"two_times\.py: is there already"):
        start(course, "01_first/two_times")
    assert mine.read_text(encoding="utf-8") == "# mine\n"
    assert sorted(course.root.rglob("*")) == before
