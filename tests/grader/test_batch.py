"""Many submissions at once: what kills a judge's process costs its own line, and no other."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from grader.cli.batch import Task, judge_all
from grader.cli.context import Setting
from grader.course import Course
from grader.grading import Options

RIGHT = "def double(n):\n    if isinstance(n, str): raise TypeError('no')\n    return 2 * n\n"
DYING = """
import os

from grader import grading


def judge(course, exercise, submission, options, on_test=None):
    if "bob" in submission.name:
        os._exit(9)
    return grading.judge(course, exercise, submission, options, on_test)
"""


@pytest.fixture
def setting(tiny: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setting:
    """A judge whose process dies over whatever bob hands in."""
    (tmp_path / "dying_judge.py").write_text(DYING, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return Setting(root=tiny.root, judge_with=importlib.import_module("dying_judge").judge)


def test_a_judge_that_dies_costs_one_line(setting: Setting, tiny: Course, tmp_path: Path) -> None:
    tasks = []
    for name in ("ada", "bob", "cy"):
        path = tmp_path / f"{name}.py"
        path.write_text(RIGHT, encoding="utf-8")
        tasks.append(Task(path, name, (tiny.exercise("double").id,), None))
    finished = {done.task.name: done for done in judge_all(setting, tasks, Options(profile="watch"), jobs=2)}
    assert sorted(finished) == ["ada", "bob", "cy"]
    assert "died twice" in finished["bob"].refused
    assert [finished[name].result.exit_code for name in ("ada", "cy")] == [0, 0]  # type: ignore[union-attr]
