"""The commands, for learners, teachers and authors.

Rule 1: a command reads its words, calls what does the work, prints, and sets the exit code; nothing else.
Rule 2: exit codes: 0 all earned, 1 something not earned, 2 usage or bad input, 3 the judge's own fault.
Rule 3: what is slow to import is imported inside the command that needs it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from grader import __version__
from grader.cli import author, check, grade, learn
from grader.cli.context import BAD_INPUT, JUDGE_FAULT, Setting, UsageProblem, setting_of, with_root
from grader.course import CourseError

MARKUP: Literal["rich"] | None = "rich" if sys.stdout is not None and sys.stdout.isatty() else None
"""How help is printed: with colours and panels on a terminal, as plain text elsewhere."""

app = typer.Typer(
    name="grader",
    help="The judge of the course. Without a command: where am I, what is next.",
    invoke_without_command=True,
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=MARKUP,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for panel, commands in {
    "Learner": (learn.list_, learn.show, check.check, learn.watch, learn.hint, learn.solution, learn.reset),
    "Teacher": (grade.grade, grade.replay, grade.doctor),
}.items():
    for command in commands:
        app.command(command.__name__.rstrip("_"), rich_help_panel=panel)(command)
app.add_typer(author.app_of(MARKUP), rich_help_panel="Author")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"grader {__version__}")
        raise typer.Exit


@app.callback()
def home(
    context: typer.Context,
    course: Annotated[
        Path | None,
        typer.Option(help="The course's folder; else $GRADER_COURSE, else the nearest folder upwards."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """The judge of the course. Without a command: where am I, what is next."""
    with_root(context, course)
    if context.invoked_subcommand is None:
        from grader.outputs.pages import show_home

        setting = setting_of(context)
        show_home(setting.screen, setting.course, setting.memory.load())


def run(arguments: Sequence[str], setting: Setting | None = None) -> int:
    """Run one command line; gives its exit code."""
    try:
        app(args=list(arguments), prog_name="grader", obj=setting or Setting())
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 0
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - the outermost frame: Python's own exit code would say "not earned"
        return _explained(error)
    return 0


def main() -> None:
    """The entry point of the command `grader`."""
    sys.exit(run(sys.argv[1:]))


def _explained(error: Exception) -> int:
    """Print a line for what the caller can mend, else the traceback; gives the exit code."""
    from grader.judge.overlay import NotInstalled
    from grader.judge.sandboxes import SandboxUnavailable
    from grader.submission import SubmissionRefused

    if isinstance(error, (CourseError, UsageProblem, SubmissionRefused, SandboxUnavailable, NotInstalled)):
        print(f"grader: {error}", file=sys.stderr)
        return BAD_INPUT
    import traceback

    traceback.print_exception(error)
    print(
        "grader: this is a fault of the grader, not of your code. Please report what stands above.",
        file=sys.stderr,
    )
    return JUDGE_FAULT


__all__ = ["app", "main", "run"]
