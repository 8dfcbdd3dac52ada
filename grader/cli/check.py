"""The command `check`: judge exercises and show what is not met yet.

Rule 1: what is remembered changes only by a verdict on the learner's own files.
Rule 2: with `--json -` standard output holds the result alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from grader.cli.context import EARNED, Setting, UsageProblem, leave, setting_of
from grader.course import Exercise

if TYPE_CHECKING:
    from grader.grading import Options
    from grader.report import Report, Result
    from grader.submission import Submission

PROFILES = ("watch", "local", "official")
"""The profiles, from few examples to many."""
OWN = "."
"""What `check` calls the learner's own submission."""


class Counted(Protocol):
    """How far a run is: what `progress_of` shows."""

    @property
    def done(self) -> int:
        """How many are done."""

    @property
    def planned(self) -> int:
        """How many there are."""


def check(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="X...", help="Exercises: names, ids or files. Without any: the one at hand."),
    ] = None,
    whole: Annotated[bool, typer.Option("--all", help="Check every exercise.")] = False,
    submission: Annotated[
        Path | None, typer.Option(help="Judge this folder, zip or .py file instead of your own.")
    ] = None,
    sandbox: Annotated[str, typer.Option(help="bubblewrap, user or process.")] = "process",
    seed: Annotated[str, typer.Option(help="Chooses the examples.")] = "0",
    profile: Annotated[
        str | None,
        typer.Option(help="How many examples: watch, local (the default; watch with --debug) or official."),
    ] = None,
    json: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the result as JSON; - prints it.")
    ] = None,
    debug: Annotated[
        bool, typer.Option("--debug", help="Give your code the terminal, so that breakpoint() works.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every failure in full.")] = False,
) -> None:
    """Judge your code and show what it does not do yet."""
    setting = setting_of(context)
    exercises = _chosen(setting, names or [], whole=whole)
    if not exercises:
        setting.screen.print("Every exercise is earned. `grader check --all` judges them once more.")
        leave(EARNED)
    options = options_of(
        profile=profile or ("watch" if debug else "local"), sandbox=sandbox, seed=seed, debug=debug
    )
    if debug and len(exercises) > 1:
        raise UsageProblem("--debug gives the terminal to one exercise. Name just one.")
    judged = _open(setting, submission, exercises)
    result = _judged(setting, judged, exercises, options, own=submission is None)
    if json != "-":
        _show(setting, exercises, result.reports, own=submission is None, verbose=verbose)
    if json is not None:
        write_json(setting, json, [result])
    leave(result.exit_code)


def options_of(
    *, profile: str, sandbox: str, seed: str, debug: bool = False, imports: Sequence[str] = ()
) -> Options:
    """The options of a run. Raises UsageProblem for a profile or a sandbox that does not exist."""
    from grader.grading import Options

    if profile not in PROFILES:
        raise UsageProblem(f"--profile {profile}: no such profile. It is one of {', '.join(PROFILES)}.")
    known_sandbox(sandbox)
    return Options(
        profile=profile, sandbox=sandbox, seed=seed, debug=debug, imports=tuple(imports), alone=True
    )


def known_sandbox(name: str) -> None:
    """Raise UsageProblem for a sandbox that does not exist."""
    from grader.judge.sandboxes import SANDBOXES

    if name not in SANDBOXES:
        raise UsageProblem(f"--sandbox {name}: no such sandbox. It is one of {', '.join(SANDBOXES)}.")


def write_json(setting: Setting, target: str, results: Sequence[Result]) -> None:
    """Write results, one a line, to the file `target` or, for "-", to standard output."""
    from grader.report import encode

    content = b"".join(encode(result) for result in results)
    if target == "-":
        typer.echo(content.decode(), nl=False)
        return
    try:
        Path(target).write_bytes(content)
    except OSError as error:
        raise UsageProblem(f"{target}: cannot be written ({error.strerror}). Name another file.") from error
    setting.notice(f"the result is in {target}")


@contextmanager
def progress_of(setting: Setting, label: str) -> Iterator[Callable[[Counted], None] | None]:
    """A line that shows which test of how many is done, on a terminal; nothing elsewhere."""
    if not setting.errors.terminal:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn())
    with Progress(
        *columns, console=setting.errors.console, transient=True, redirect_stdout=False
    ) as progress:
        task = progress.add_task(label, total=None)
        yield lambda step: progress.update(task, completed=step.done, total=step.planned)


def _chosen(setting: Setting, names: Sequence[str], *, whole: bool) -> list[Exercise]:
    if whole and names:
        raise UsageProblem("--all and names exclude each other. Give one of them.")
    if whole:
        return list(setting.course.exercises)
    if names:
        return list({exercise.id: exercise for exercise in map(setting.course.exercise, names)}.values())
    exercise = setting.memory.load().at_hand(setting.course)
    return [exercise] if exercise else []


def _open(setting: Setting, path: Path | None, exercises: Sequence[Exercise]) -> Submission:
    from grader.submission import open_submission

    return open_submission(path if path is not None else setting.course.root, setting.course, exercises)


def _judged(
    setting: Setting, submission: Submission, exercises: Sequence[Exercise], options: Options, *, own: bool
) -> Result:
    from grader.progress import remember
    from grader.report import Result

    reports: list[Report] = []
    for exercise in exercises:
        if options.debug:
            report = setting.judge(exercise, submission, options)
        else:
            with progress_of(setting, exercise.name) as on_test:
                report = setting.judge(exercise, submission, options, on_test)
        reports.append(report)
        if own:
            remember(setting.memory, exercise, report)
    return Result(submission=OWN if own else submission.name, reports=tuple(reports))


def _show(
    setting: Setting, exercises: Sequence[Exercise], reports: Sequence[Report], *, own: bool, verbose: bool
) -> None:
    from grader.outputs.place import place_elsewhere, place_of
    from grader.outputs.terminal import one_line, points_text, show_report
    from grader.report import total

    screen = setting.screen
    if len(reports) == 1 or verbose:
        for exercise, report in zip(exercises, reports, strict=True):
            place = (place_of if own else place_elsewhere)(setting.course, exercise)
            show_report(screen, report, exercise, place, verbose=verbose)
            screen.print()
    else:
        screen.print(*map(one_line, reports), "")
    if len(reports) > 1:
        screen.print(f"Together {points_text(*total(reports))}.")
    screen.print(_next(setting, exercises, reports, own=own, verbose=verbose))


def _next(
    setting: Setting, exercises: Sequence[Exercise], reports: Sequence[Report], *, own: bool, verbose: bool
) -> str:
    """The last line: what to type next."""
    for exercise, report in zip(exercises, reports, strict=True):
        if not report.earned and len(reports) > 1:
            return f"In full: grader check {exercise.name}"
        if not report.earned:
            hidden = not verbose and sum(entry.lost for entry in report.requirements) > 1
            return f"Then: grader check {exercise.name}" + "    (-v explains all that is lost)" * hidden
    following = setting.memory.load().next_open(setting.course) if own else None
    if following is not None:
        return f"Next: grader show {following.name}    ({following.title}, {following.minutes} minutes)"
    return "Every exercise is earned." if own else "All earned."
