"""The author's commands: stubs, validate, mutate, new.

Rule 1: they are the only ones that import the author's tools.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from grader.cli.check import known_sandbox, progress_of
from grader.cli.context import EARNED, NOT_EARNED, Setting, UsageProblem, leave, setting_of

if TYPE_CHECKING:
    from grader.authoring.problem import Problem


def app_of(markup: Literal["rich"] | None) -> typer.Typer:
    """The commands, as one app; `markup` is how help is printed."""
    author = typer.Typer(
        name="author", help="For authors of exercises.", no_args_is_help=True, rich_markup_mode=markup
    )
    for command in (stubs, validate, mutate, new):
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


def validate(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="X...", help="Exercises. Without any: the whole course.")
    ] = None,
    sandbox: Annotated[
        list[str] | None,
        typer.Option(
            help="Judge the solution in this one (repeatable). Default: all that this machine gives."
        ),
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes that judge. Default: one a CPU.")] = None,
) -> None:
    """Prove exercises: stubs earn nothing, answers all, mistakes are caught."""
    from grader.authoring.validate import render, validate_course
    from grader.authoring.validate import validate as prove

    setting = setting_of(context)
    chosen = [setting.course.exercise(name) for name in names or ()]
    sandboxes = _sandboxes(sandbox or ())
    problems: list[Problem] = []
    for exercise in chosen or setting.course.exercises:
        with status_of(setting, exercise.name) as on_step:
            found = prove(setting.course, exercise, sandboxes, on_step, jobs=jobs)
        problems += found
        setting.screen.print(f"{exercise.id}: {_problems_text(len(found))}")
    if not chosen:
        problems += validate_course(setting.course)
    setting.screen.print("", render(problems))
    leave(NOT_EARNED if problems else EARNED)


def new(
    context: typer.Context,
    exercise_id: Annotated[str, typer.Argument(metavar="ID", help="Like 02_asgi_specification/foo.")],
) -> None:
    """Start an exercise: a small one that works, in all of its files."""
    from grader.authoring.new import NewError, start
    from grader.outputs.place import shown_path

    setting = setting_of(context)
    with author_can_mend(NewError):
        started = start(setting.course, exercise_id)
    setting.screen.print(*(f"written: {shown_path(path)}" for path in started.files), "")
    setting.screen.print(*(f"{number}. {step}" for number, step in enumerate(started.next_steps, start=1)))


def _sandboxes(named: Sequence[str]) -> tuple[str, ...]:
    """Those that were named, or all that this machine gives."""
    from grader.judge.sandboxes import SANDBOXES, SandboxUnavailable, available

    for name in named:
        known_sandbox(name)
        available(name)
    if named:
        return tuple(named)
    found = []
    for name in reversed(SANDBOXES):  # all but the solution is judged in the first: the quickest to start
        with suppress(SandboxUnavailable):
            available(name)
            found.append(name)
    return tuple(found)


def _problems_text(count: int) -> str:
    return "proved" if count == 0 else f"{count} problem{'' if count == 1 else 's'}"


@contextmanager
def status_of(setting: Setting, label: str) -> Iterator[Callable[[str], None]]:
    """A line that says what is being judged, on a terminal; nothing elsewhere."""
    try:
        yield lambda words: setting.errors.status(f"{label}: {words}")
    finally:
        setting.errors.status("")
