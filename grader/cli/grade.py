"""The teacher's commands: grade, replay, doctor.

Rule 1: other people's code is judged in a sandbox that holds; a weaker one only by its name, never silently.
Rule 2: results go to standard output, notices and progress to standard error.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grader.cli.check import known_sandbox, options_of, write_json
from grader.cli.context import (
    BAD_INPUT,
    EARNED,
    JUDGE_FAULT,
    NOT_EARNED,
    Setting,
    UsageProblem,
    leave,
    setting_of,
)

if TYPE_CHECKING:
    from grader.cli.batch import Done
    from grader.grading import Options
    from grader.report import Report, Result

SECRET = "GRADER_SECRET"
"""The environment variable of the course's secret: with it, nobody can know the examples beforehand."""


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
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Show every verdict in full, also for several submissions."),
    ] = False,
) -> None:
    """Judge other people's submissions, in a sandbox.

    The environment variable GRADER_SECRET keys the examples, so that nobody can know them beforehand.
    """
    from grader.cli.batch import Task, judge_all, tasks_of

    setting = setting_of(context)
    exercises = [setting.course.exercise(name) for name in exercise or ()]
    options = _options(
        setting, sandbox=sandbox, profile=profile, seed=seed, imports=allow_import or (), others=True
    )
    options = replace(options, alone=jobs == 1)
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
        for done in in_order if verbose or len(in_order) == 1 else ():
            _show_in_full(setting, done, verbose=verbose)
        _show(setting, in_order, options)
    for done in in_order:
        if done.refused:
            setting.notice(done.refused)
    leave(_exit_code(in_order))


def replay(
    context: typer.Context,
    report: Annotated[Path, typer.Argument(metavar="REPORT", help="A file that --json or --out wrote.")],
    submission: Annotated[
        Path | None, typer.Option(help="The submission to play it on; without it: your own files.")
    ] = None,
    sandbox: Annotated[
        str | None,
        typer.Option(help="bubblewrap, user or process. Default: process on your own, else bubblewrap."),
    ] = None,
    json: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the results; - prints them.")
    ] = None,
) -> None:
    """Play the counterexamples of a report again."""
    from grader.grading import replay as play
    from grader.report import Result
    from grader.submission import open_submission

    setting = setting_of(context)
    failed = [entry for result in _read(report) for entry in result.reports if not entry.earned]
    if not failed:
        setting.screen.print(f"{report}: everything in it is earned; there is nothing to play again.")
        leave(EARNED)
    own = submission is None
    judged = open_submission(submission or setting.course.root, setting.course)
    chosen = sandbox or ("process" if own else None)
    options = _options(setting, sandbox=chosen, others=not own)
    played = tuple(play(setting.course, entry, judged, _as_in(entry, options)) for entry in failed)
    result = Result(submission=judged.name, reports=played)
    if json != "-":
        _show_played(setting, failed, played, own=own)
    if json is not None:
        write_json(setting, json, [result])
    leave(result.exit_code)


def doctor(
    context: typer.Context,
    sandbox: Annotated[
        list[str] | None, typer.Option(help="Examine this sandbox only (repeatable). Default: all three.")
    ] = None,
) -> None:
    """Try each protection for real; say what holds here."""
    from grader.judge.doctor import examine, protects
    from grader.judge.sandboxes import OTHERS_CODE, SANDBOXES, SandboxUnavailable
    from grader.outputs.pages import show_examination, show_unavailable

    setting = setting_of(context)
    for name in sandbox or ():
        known_sandbox(name)
    fit = []
    for name in sandbox or SANDBOXES:
        try:
            checks = examine(name)
        except SandboxUnavailable as unavailable:
            show_unavailable(setting.screen, name, str(unavailable))
        else:
            show_examination(setting.screen, name, checks)
            fit += [name] if protects(checks) else []
    usable = [name for name in OTHERS_CODE if name in fit]
    if sandbox:
        leave(EARNED if len(fit) == len(set(sandbox)) else NOT_EARNED)
    setting.screen.print(
        f"Other people's code: --sandbox {' or --sandbox '.join(usable)}."
        if usable
        else "Other people's code: no sandbox of this machine holds enough. Do what is said above."
    )
    leave(EARNED if usable else NOT_EARNED)


def _options(
    setting: Setting,
    *,
    sandbox: str | None,
    profile: str = "local",
    seed: str = "0",
    imports: Sequence[str] = (),
    others: bool,
) -> Options:
    """The options of a run. Raises SandboxUnavailable: never a weaker sandbox than was asked for."""
    from grader.judge.sandboxes import OTHERS_CODE, available, default_for_grade

    chosen = sandbox or default_for_grade()
    options = options_of(profile=profile, sandbox=chosen, seed=seed, imports=imports)
    available(chosen)
    if others and chosen not in OTHERS_CODE:
        setting.notice(f"the sandbox {chosen} guards against accidents, not against attackers.")
    return replace(options, secret=os.environ.get(SECRET, "").encode())


def _show_played(setting: Setting, before: Sequence[Report], played: Sequence[Report], *, own: bool) -> None:
    from grader.outputs.place import place_elsewhere, place_of
    from grader.outputs.terminal import show_report

    for entry, again in zip(before, played, strict=True):
        exercise = setting.course.exercise(again.exercise)
        place = (place_of if own else place_elsewhere)(setting.course, exercise)
        if entry.submission != again.submission:
            setting.notice(f"{exercise.name}: the files are not those that the report was made of.")
        show_report(setting.screen, again, exercise, place)
        setting.screen.print()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageProblem(f"{folder}: cannot be made ({error.strerror}). Name another folder.") from error


@contextmanager
def _progress(setting: Setting, planned: int) -> Iterator[Callable[[], None]]:
    """A bar of the submissions that are done, on a terminal; nothing elsewhere."""
    if not setting.errors.terminal:
        yield lambda: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=setting.errors.console, transient=True) as progress:
        task = progress.add_task("submissions", total=planned)
        yield lambda: progress.advance(task)


def _show(setting: Setting, finished: Sequence[Done], options: Options) -> None:
    """The table: submission, points, how many requirements ended how."""
    from grader.outputs.screen import columns, styled, visible
    from grader.report import total

    table = columns("left", "right")
    for done in finished:
        if done.result is None:
            table.add_row(visible(done.task.name), "-", styled(("refused", "red")))
            continue
        earned, most = total(done.result.reports)
        words = _words(done.result) + ("   (judged before)" if done.again else "")
        table.add_row(visible(done.task.name), f"{earned}/{most}", words)
    setting.screen.print(table)
    keyed = "" if options.secret else f" Without a secret ({SECRET}) the examples can be known beforehand."
    setting.screen.print(
        "",
        styled(
            (f"{options.profile} profile, {options.sandbox} sandbox, round {options.seed}.{keyed}", "dim")
        ),
    )


def _show_in_full(setting: Setting, done: Done, *, verbose: bool) -> None:
    """The verdicts on one submission, as its learner would read them."""
    from grader.outputs.place import place_elsewhere
    from grader.outputs.terminal import show_report

    if done.result is None:
        return
    for report in done.result.reports:
        exercise = setting.course.exercise(report.exercise)
        show_report(
            setting.screen, report, exercise, place_elsewhere(setting.course, exercise), verbose=verbose
        )
        setting.screen.print()


def _words(result: Result) -> str:
    """`9 earned, 1 waits for ever`."""
    from grader.report import WORDS

    counted = Counter(entry.outcome for report in result.reports for entry in report.requirements)
    return ", ".join(f"{counted[outcome]} {word}" for outcome, word in WORDS.items() if counted[outcome])


def _exit_code(finished: Sequence[Done]) -> int:
    codes = [BAD_INPUT if done.result is None else done.result.exit_code for done in finished]
    return next((code for code in (JUDGE_FAULT, BAD_INPUT, NOT_EARNED) if code in codes), EARNED)


def _read(path: Path) -> tuple[Result, ...]:
    from grader.report import read_results

    try:
        return read_results(path)
    except OSError as error:
        raise UsageProblem(f"{path}: cannot be read ({error.strerror}). Check the path.") from error
    except ValueError as error:
        raise UsageProblem(f"{error}. Name a file that --json or --out wrote.") from error


def _as_in(report: Report, options: Options) -> Options:
    """The options, with the seed, the profile and the imports by which the report came to be."""
    return replace(options, seed=report.seed, profile=report.profile, imports=report.imports_allowed)
