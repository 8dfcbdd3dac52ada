"""The teacher's commands: grade, replay, doctor.

Rule 1: other people's code is judged in a sandbox that holds; a weaker one only by its name, never silently.
Rule 2: results go to standard output, notices and progress to standard error.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grader.cli.check import options_of, write_json
from grader.cli.context import BAD_INPUT, EARNED, JUDGE_FAULT, NOT_EARNED, Setting, UsageProblem, leave, setting_of

if TYPE_CHECKING:
    from grader.cli.batch import Done
    from grader.grading import Options
    from grader.report import Report, Result
    from grader.submission import Submission

PANEL = "Teacher"
SECRET = "GRADER_SECRET"
"""The environment variable that holds the course's secret: with it, nobody can know the examples beforehand."""


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command(rich_help_panel=PANEL)(grade)
    app.command(rich_help_panel=PANEL)(replay)
    app.command(rich_help_panel=PANEL)(doctor)


def grade(
    context: typer.Context,
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Submissions: clones, folders, zips or .py files.")
    ],
    exercise: Annotated[
        list[str] | None, typer.Option(help="Judge this exercise (repeatable). Default: all that are there.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that judge at the same time.")] = 1,
    out: Annotated[
        Path | None, typer.Option(help="Keep one result file per submission here; go on where it ended.")
    ] = None,
    sandbox: Annotated[
        str | None, typer.Option(help="bubblewrap (the default), user, or process: see `grader doctor`.")
    ] = None,
    seed: Annotated[str, typer.Option(help="The round: chooses the examples.")] = "0",
    profile: Annotated[str, typer.Option(help="How many examples: watch, local or official.")] = "official",
    json: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the results, one a line; - prints them.")
    ] = None,
    allow_import: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Let submissions import this too (repeatable).")
    ] = None,
) -> None:
    """Judge other people's submissions, in a sandbox."""
    from grader.cli.batch import Task, judge_all, tasks_of

    setting = setting_of(context)
    options = _options(setting, sandbox=sandbox, profile=profile, seed=seed, imports=allow_import or ())
    exercises = [setting.course.exercise(name) for name in exercise or ()]
    if out is not None:
        _make_folder(out)
    tasks = tasks_of(setting.course, paths, exercises, out)
    finished = {entry.task.path: entry for entry in tasks if not isinstance(entry, Task)}
    with _progress(setting, len(tasks)) as advance:
        for done in judge_all(setting, [task for task in tasks if isinstance(task, Task)], options, jobs):
            finished[done.task.path] = done
            advance()
    in_order = [finished[path] for path in dict.fromkeys(paths)]
    if json is not None:
        write_json(setting, json, [done.result for done in in_order if done.result is not None])
    if json != "-":
        _show(setting, in_order, options)
    for done in in_order:
        if done.refused:
            setting.notice(done.refused)
    leave(_exit_code(in_order))
