"""What every command needs: the course, the screens, the memory, the judge.

Rule 1: it is made once by `main` and handed down as the context's object; nothing is global.
Rule 2: what is slow to import is imported where it is used.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from grader.course import Course
from grader.outputs.screen import Screen
from grader.progress import Memory

if TYPE_CHECKING:
    from grader.course import Exercise
    from grader.grading import Options, Step
    from grader.report import Report
    from grader.submission import Submission

    Judge = Callable[
        [Course, Exercise, Submission, Options, Callable[[Step], None] | None],
        Report,
    ]
    """Judges one exercise of one submission."""

EARNED = 0
NOT_EARNED = 1
BAD_INPUT = 2
JUDGE_FAULT = 3


class UsageProblem(Exception):
    """The caller's words or files do not fit: one line of what, where, what to do."""


@dataclass(frozen=True)
class Setting:
    """How the commands reach the world. `judge` is the real one unless a test gives another."""

    root: Path | None = None
    judge_with: Judge | None = None

    @cached_property
    def course(self) -> Course:
        """The course that was named, or the one around this folder. Raises CourseError, UsageProblem."""
        if self.root is None:
            return Course.find()
        root = self.root
        if not ((root / "exercises").is_dir() and (root / "tests" / "suites").is_dir()):
            raise UsageProblem(
                f"{root}: is no course (it lacks exercises/ or tests/suites/). Name your clone of the course."
            )
        return Course(root.resolve())

    @cached_property
    def screen(self) -> Screen:
        """Where results go."""
        return Screen(sys.stdout)

    @cached_property
    def errors(self) -> Screen:
        """Where notices and progress go."""
        return Screen(sys.stderr)

    @cached_property
    def memory(self) -> Memory:
        """What is remembered of the learner."""
        return Memory.of(self.course, self.notice)

    def notice(self, line: str) -> None:
        """Tell the caller something beside the result."""
        self.errors.print(f"grader: {line}")

    def judge(
        self,
        exercise: Exercise,
        submission: Submission,
        options: Options,
        on_test: Callable[[Step], None] | None = None,
    ) -> Report:
        """Judge one exercise."""
        if self.judge_with is not None:
            return self.judge_with(self.course, exercise, submission, options, on_test)
        from grader.grading import judge

        return judge(self.course, exercise, submission, options, on_test)


def setting_of(context: typer.Context) -> Setting:
    """The setting that `main` handed down."""
    return context.find_object(Setting) or Setting()


def with_root(context: typer.Context, root: Path | None) -> None:
    """Name the course for all commands below."""
    context.obj = replace(setting_of(context), root=root) if root else setting_of(context)


def leave(code: int) -> NoReturn:
    """End the command with this exit code."""
    raise typer.Exit(code)
