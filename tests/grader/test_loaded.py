"""A running watch: what is remembered saves time and never changes a verdict."""

from __future__ import annotations

import os
from pathlib import Path

from grader import submission
from grader.course import Course
from grader.grading import Options, judge
from grader.judge import affinity
from grader.report import Report, steady
from grader.suite.loaded import load

LIVE = Options(profile="watch", seed="loaded")
AGAIN = Options(profile="watch", seed="loaded", remember=True)
LIVE_EXAMPLES = 20
"""Of profile watch; the pinned ones come on top."""
RIGHT = "def double(n):\n    if isinstance(n, str): raise TypeError('no')\n    return 2 * n\n"
WRONG = RIGHT.replace("return 2 * n", "return 2 * n if n < 70_000 else 0")
FORGETFUL = """
calls = 0


def double(n):
    global calls
    if isinstance(n, str): raise TypeError('no')
    calls += 1
    return 0 if calls == 3 else 2 * n
"""
GREETER = "async def app(scope, receive, send):\n    raise RuntimeError('not today')\n"


def judged(course: Course, name: str, source: str, options: Options) -> Report:
    exercise = course.exercise(name)
    made = submission.of_files("x", {exercise.target + ".py": source.encode()})
    return judge(course, exercise, made, options)


def remembering(course: Course, source: str) -> Report:
    """The report on `source` after a right submission has passed in the same process."""
    assert judged(course, "double", RIGHT, AGAIN).earned
    return judged(course, "double", source, AGAIN)


def test_a_right_submission_earns_the_same_again(tiny: Course) -> None:
    assert steady(remembering(tiny, RIGHT)) == steady(judged(tiny, "double", RIGHT, LIVE))


def test_inputs_are_remembered_once_a_property_has_passed(tiny: Course) -> None:
    judged(tiny, "double", RIGHT, AGAIN)
    suite = load(tiny.suite(tiny.exercise("double")))
    (inputs,) = [inputs for (test, *_), inputs in suite.inputs.items() if test == "test_an_int_is_doubled"]
    assert len(inputs) > LIVE_EXAMPLES
    assert all(set(each) == {"number"} for each in inputs)


def test_a_wrong_submission_gets_the_counterexample_that_it_gets_live(tiny: Course) -> None:
    report = remembering(tiny, WRONG)
    assert [entry.outcome for entry in report.requirements] == ["failed", "passed"]
    assert steady(report) == steady(judged(tiny, "double", WRONG, LIVE))


def test_what_fails_on_remembered_inputs_never_passes(tiny: Course) -> None:
    first = remembering(tiny, FORGETFUL).requirements[0]
    assert first.outcome == "failed"
    assert "keeps state between calls" in first.message


def test_endings_that_end_a_test_at_once_do_so_on_remembered_inputs(tiny: Course) -> None:
    stub = "def double(n):\n    raise NotImplementedError('double: double')\n"
    assert {entry.outcome for entry in remembering(tiny, stub).requirements} == {"not_attempted"}


def test_asynchronous_properties_are_remembered_too(tiny: Course) -> None:
    right = tiny.solution(tiny.exercise("greeter")).read_text(encoding="utf-8")
    reports = [judged(tiny, "greeter", right, AGAIN) for _ in range(2)]
    assert all(report.earned for report in reports)
    assert not judged(tiny, "greeter", GREETER, AGAIN).earned


def test_a_suite_that_has_changed_is_loaded_anew(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text("x = 1\n")
    before = load(tmp_path)
    assert load(tmp_path) is before
    (tmp_path / "test_x.py").write_text("x = 100\n")
    assert load(tmp_path) is not before


def test_the_judge_gets_its_cpus_back(tiny: Course) -> None:
    before = os.sched_getaffinity(0)
    with affinity.here():
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before
    alone = Options(profile="watch", seed="loaded", alone=True)
    assert steady(judged(tiny, "double", RIGHT, alone)) == steady(judged(tiny, "double", RIGHT, LIVE))
    assert os.sched_getaffinity(0) == before
