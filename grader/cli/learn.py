"""The learner's commands beside `check`: list, show, hint, reset, solution, watch.

Rule 1: nothing of the learner's is overwritten without being asked, nor without a copy.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from grader.cli.context import NOT_EARNED, Setting, UsageProblem, leave, setting_of
from grader.course import Exercise

Name = Annotated[
    str | None,
    typer.Argument(metavar="X", help="An exercise: its name, id or file. Without it: the one at hand."),
]
Named = Annotated[str, typer.Argument(metavar="X", help="An exercise: its name, id or file.")]


def at_hand(setting: Setting, name: str | None) -> Exercise:
    """The exercise called `name`, or the one to go on with. Raises UnknownExercise, UsageProblem."""
    if name is not None:
        return setting.course.exercise(name)
    exercise = setting.memory.load().at_hand(setting.course)
    if exercise is None:
        raise UsageProblem(
            "every exercise is earned, so none is at hand. Name one (`grader list` shows them)."
        )
    return exercise


def list_(context: typer.Context) -> None:
    """Show the map: what is done, points, minutes."""
    from grader.outputs.pages import show_map

    setting = setting_of(context)
    show_map(setting.screen, setting.course, setting.memory.load())


def show(context: typer.Context, name: Name = None) -> None:
    """Show the sheet of an exercise."""
    from grader.outputs.pages import show_sheet

    setting = setting_of(context)
    exercise = at_hand(setting, name)
    setting.memory.update(lambda progress: progress.at(exercise))
    show_sheet(setting.screen, setting.course, exercise)


def hint(
    context: typer.Context,
    name: Name = None,
    whole: Annotated[bool, typer.Option("--all", help="Show all hints at once.")] = False,
) -> None:
    """Show the next hint; each call shows one more."""
    from grader.outputs.pages import show_hints

    setting = setting_of(context)
    exercise = at_hand(setting, name)
    if not exercise.hints:
        raise UsageProblem(
            f"{exercise.name}: its sheet holds no hint. `grader show {exercise.name}` shows the sheet."
        )
    if whole:
        show_hints(setting.screen, exercise, first=1, last=len(exercise.hints))
        return
    number = setting.memory.update(lambda progress: progress.with_hint(exercise)).hints[exercise.id]
    show_hints(setting.screen, exercise, first=number, last=number)


def solution(
    context: typer.Context,
    name: Named,
    spoil: Annotated[bool, typer.Option("--spoil", help="Show it although it is not earned yet.")] = False,
) -> None:
    """Show the answer, once the exercise is earned."""
    setting = setting_of(context)
    exercise = _with_files(setting, name, "solution")
    base = setting.course.solution(exercise)
    if not base.exists():
        raise UsageProblem(
            f"{exercise.name}: this copy of the course comes without answers. Ask your teacher."
        )
    if not spoil and not setting.memory.load().ever_earned(exercise):
        setting.errors.print(
            f"grader: {exercise.name} is not earned yet, so its answer stays hidden. "
            f"`grader hint {exercise.name}` helps on; `--spoil` shows the answer all the same."
        )
        leave(NOT_EARNED)
    for path in setting.course.files(exercise, base).values():
        _show_code(setting, path)


def _with_files(setting: Setting, name: str, command: str) -> Exercise:
    """The exercise of that name. Raises UsageProblem for one that is composed of others."""
    exercise = setting.course.exercise(name)
    if exercise.parts:
        raise UsageProblem(
            f"{exercise.name}: has no file of its own: it judges your {len(exercise.parts)} modules together. "
            f"Name one of them: grader {command} {exercise.parts[0].name}"
        )
    return exercise


def _show_code(setting: Setting, path: Path) -> None:
    from grader.outputs.place import shown_path

    code = path.read_text(encoding="utf-8")
    if not setting.screen.terminal:
        setting.screen.print(f"# {shown_path(path)}", code)
        return
    from rich.syntax import Syntax

    setting.screen.print(f"# {shown_path(path)}", Syntax(code, "python", theme="ansi_dark", word_wrap=True))


def reset(
    context: typer.Context,
    name: Named,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Put the stub back; what you had is kept."""
    from grader.authoring.stubs import stubs_of
    from grader.outputs.place import shown_path
    from grader.progress import back_up, write_files

    setting = setting_of(context)
    exercise = _with_files(setting, name, "reset")
    base = setting.course.stub(exercise)
    stubs = stubs_of(setting.course, exercise)
    if not stubs:
        raise UsageProblem(
            f"{exercise.name}: this copy of the course has no answers, so the stub cannot be made anew. "
            f"`git restore {shown_path(base)}` brings the one back that came with it."
        )
    extra = sorted(set(setting.course.files(exercise, base).values()) - set(stubs)) if base.is_dir() else []
    if not extra and all(path.is_file() and path.read_bytes() == content for path, content in stubs.items()):
        setting.screen.print(f"{shown_path(base)} is the untouched stub already.")
        return
    if not yes and not _agreed(setting, shown_path(base)):
        setting.screen.print("Nothing was changed.")
        return
    copy = back_up(setting.course, exercise)
    write_files(stubs)
    for path in extra:
        path.unlink()
    setting.memory.update(lambda progress: progress.without_verdict(exercise))
    setting.screen.print(f"{shown_path(base)} is the stub again.")
    if copy is not None:
        setting.screen.print(f"What you had is kept in {shown_path(copy)}")


def _agreed(setting: Setting, file: str) -> bool:
    if not sys.stdin.isatty():
        raise UsageProblem(
            f"{file}: would be replaced by the stub, and there is no terminal to ask on. Add --yes to do it."
        )
    return typer.confirm(f"Replace {file} by the stub? (Your file is kept in a backup.)", err=True)


def watch(
    context: typer.Context,
    name: Name = None,
    sandbox: Annotated[str, typer.Option(help="bubblewrap, user or process.")] = "process",
    seed: Annotated[str, typer.Option(help="Chooses the examples.")] = "0",
) -> None:
    """Check the exercise at hand whenever you save it."""
    from grader.watch import watch as run_watch

    setting = setting_of(context)
    run_watch(
        setting.course, setting.screen, setting.memory, setting.judge, at_hand(setting, name), sandbox, seed
    )
