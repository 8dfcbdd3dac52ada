"""The author's commands: stubs, validate, mutate, new.

Rule 1: they are the only ones that import the author's tools.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

import typer

from grader.cli.check import progress_of
from grader.cli.context import EARNED, NOT_EARNED, UsageProblem, leave, setting_of


def app_of(markup: Literal["rich"] | None) -> typer.Typer:
    """The commands, as one app; `markup` is how help is printed."""
    author = typer.Typer(
        name="author", help="For authors of exercises.", no_args_is_help=True, rich_markup_mode=markup
    )
    for command in (stubs, mutate):
        author.command()(command)
    return author


def stubs(
    context: typer.Context,
    check: Annotated[bool, typer.Option("--check", help="Only compare; exit with 1 if one differs.")] = False,
) -> None:
    """Make the stubs anew from the solutions."""
    from grader.authoring.stubs import StubError, sync
    from grader.authoring.stubs import check as drifts_of
    from grader.outputs.place import shown_path

    setting = setting_of(context)
    if not check:
        with author_can_mend(StubError):
            written = sync(setting.course)
        setting.screen.print(*(f"written: {shown_path(path)}" for path in written))
        setting.screen.print(f"{len(written)} files written.")
        return
    with author_can_mend(StubError):
        drifts = drifts_of(setting.course)
    setting.screen.print(*(f"{drift.how}: {shown_path(drift.path)}" for drift in drifts))
    setting.screen.print(
        "The stubs are what the solutions give." if not drifts else "Make them anew: grader author stubs"
    )
    if drifts:
        leave(NOT_EARNED)


def mutate(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="X", help="An exercise: its name, id or file.")],
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes that judge. Default: one a CPU.")] = None,
) -> None:
    """Judge mutants of the solution: which does the suite not catch?"""
    from grader.authoring.mutate import MutateError, render
    from grader.authoring.mutate import mutate as measure

    setting = setting_of(context)
    exercise = setting.course.exercise(name)
    with author_can_mend(MutateError), progress_of(setting, exercise.name) as on_step:
        measurement = measure(setting.course, exercise, jobs=jobs, on_step=on_step)
    setting.screen.print(render(measurement))
    leave(EARNED if measurement.passed else NOT_EARNED)


@contextmanager
def author_can_mend(*errors: type[Exception]) -> Iterator[None]:
    """Turn these errors, whose line says what the author has to do, into a UsageProblem."""
    try:
        yield
    except errors as error:
        raise UsageProblem(str(error)) from error
