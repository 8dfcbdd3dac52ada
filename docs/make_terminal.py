"""Make docs/terminal.svg: what the terminal shows for one of the samples, judged for real.

python docs/make_terminal.py [--check]
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from rich.text import Text

from grader.course import Course
from grader.grading import Options, judge
from grader.outputs.place import place_of
from grader.outputs.screen import Screen
from grader.outputs.terminal import show_report
from grader.submission import open_submission

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "terminal.svg"
COMMAND = "grader check request_body"
WIDTH = 100


def picture() -> str:
    """The SVG: the same bytes whenever sample, suite and words are the same."""
    from rich.console import Console

    course = Course(ROOT)
    exercise = course.exercise("request_body")
    report = judge(course, exercise, open_submission(ROOT / "samples" / "eager", course), Options())
    shown = io.StringIO()
    show_report(Screen(shown, width=WIDTH, terminal=True), report, exercise, place_of(course, exercise))
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, legacy_windows=False)
    console.print(Text(f"$ {COMMAND}", style="bold"))
    console.print(Text.from_ansi(shown.getvalue()))
    return console.export_svg(title=COMMAND, unique_id="terminal")


def main() -> int:
    """Write the picture, or with --check tell whether it is up to date."""
    if "--check" in sys.argv[1:]:
        if TARGET.read_text(encoding="utf-8") == picture():
            return 0
        print(
            f"{TARGET.relative_to(ROOT)}: is not what the terminal shows. Run python docs/make_terminal.py."
        )
        return 1
    TARGET.write_text(picture(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
