"""An exercise that is composed of others: all of their files are judged together, and the one at fault is named."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from grader.authoring.imports import import_problems, imported_exercises
from grader.authoring.mutate import MutateError, mutate
from grader.authoring.stubs import sync
from grader.authoring.trivial import trivial_submissions
from grader.authoring.validate import validate
from grader.cli import run
from grader.cli.context import Setting
from grader.course import Course, CourseError
from grader.grading import Options, Step, judge
from grader.outputs.place import place_of
from grader.outputs.screen import Screen
from grader.outputs.terminal import show_report
from grader.report import Report
from grader.submission import of_files, open_submission
from grader.watch import saved_exercises

FRONT = """
---
title: {title}
chapter: 1
place: {place}
difficulty: 1
minutes: 5
{more}
requirements:
{requirements}
---

## Story

Rooms and their floors.

## API

`{name}`

## Rules

{rules}

## Example

```python
print("{name}")
```

## Hints

### One

Read.

### Two

Think.

### Three

Write.
"""
RULES = {
    "sizes": {"SIZES-01": "`sides` gives both sides as ints."},
    "shapes": {"SHAPES-01": "`area` multiplies the sides."},
    "whole": {
        "WHOLE-01": "The area of a text is that of its sides.",
        "WHOLE-02": "A text of one number is a square.",
    },
}
SIZES = '''"""Sides."""


def sides(text: str) -> tuple[int, int]:
    """The two sides of `text`, such as "2x3", or "2" for a square. Raises ValueError for others."""
    width, _, height = text.partition("x")
    return int(width), int(height or width)
'''
SHAPES = '''"""Rectangles."""

from .sizes import sides


def area(text: str) -> int:
    """The area of `text`, such as "2x3"."""
    width, height = sides(text)
    return int(width) * int(height)
'''
PROBES = {
    "sizes": "from fastasgi.sizes import sides as own\n\n\ndef sides(text):\n    return own(text)\n",
    "shapes": "from fastasgi.shapes import area as own\n\n\ndef area(text):\n    return own(text)\n",
    "whole": "from fastasgi.shapes import area as own\n\n\ndef area(text):\n    return own(text)\n",
}
HEAD = '"""What is demanded."""\n\nfrom grader.suite import Submission, requirement\n'
SUITES = {
    "sizes": '''

@requirement("SIZES-01")
def test_sides(submission: Submission) -> None:
    """Two sides, or one twice."""
    assert submission.call("sides", text="2x3") == (2, 3)
    assert submission.call("sides", text="4") == (4, 4)
''',
    "shapes": '''

@requirement("SHAPES-01")
def test_area(submission: Submission) -> None:
    """Width times height."""
    assert submission.call("area", text="2x3") == 6
''',
    "whole": '''

@requirement("WHOLE-01")
def test_area(submission: Submission) -> None:
    """Two sides make an area."""
    assert submission.call("area", text="2x3") == 6


@requirement("WHOLE-02")
def test_square(submission: Submission) -> None:
    """One side makes an area."""
    assert submission.call("area", text="4") == 16
''',
}
MISTAKES = """[[mistake]]
title = "Adds the sides"
file = "shapes.py"
in = "area"
replace = [{old = "* int", new = "+ int"}]
must = ["WHOLE-01", "WHOLE-02"]

[[mistake]]
title = "Knows no squares"
file = "sizes.py"
in = "sides"
replace = [{old = "height or width", new = "height"}]
must = ["WHOLE-02"]
"""
FRACTIONS = SIZES.replace("int(width), int(height or width)", 'f"{width}.", f"{height or width}."')
LENIENT = SHAPES.replace("int(width) * int(height)", "int(float(width)) * int(float(height))")
ADDING = SHAPES.replace("* int", "+ int")
NO_SQUARES = SIZES.replace("height or width", "height")


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """Two modules of the framework, `sizes` and `shapes`, and `whole`, which is composed of them."""
    root = tmp_path / "course"
    for name, answer in {"sizes": SIZES, "shapes": SHAPES, "whole": None}.items():
        exercise_id = f"fastasgi/{name}" if answer else f"01_first/{name}"
        more = "" if answer else "composed_of: [fastasgi/sizes, fastasgi/shapes]"
        more = "builds_on: [fastasgi/sizes]" if name == "shapes" else more
        write(root / f"exercises/{exercise_id}.md", sheet(name, more))
        write(root / f"tests/suites/{exercise_id}/probe.py", PROBES[name])
        write(root / f"tests/suites/{exercise_id}/test_{name}.py", HEAD + SUITES[name])
        if answer:
            write(root / f"fastasgi_reference/{name}.py", answer)
    write(root / "fastasgi_reference/__init__.py", '"""Rooms."""\n')
    write(root / "exercises/01_first/README.md", "# 1. First\n")
    write(root / "tests/suites/01_first/whole/mistakes.toml", MISTAKES)
    made = Course(root)
    sync(made)
    return made


def sheet(name: str, more: str) -> str:
    """A sheet with the rules of `RULES`."""
    demanded = "\n".join(
        f'  - {{id: {rule}, points: 1, sentence: "{words}", source: arithmetic}}'
        for rule, words in RULES[name].items()
    )
    rules = "\n".join(f"- **{rule}** {words}" for rule, words in RULES[name].items())
    place = list(RULES).index(name) + 1
    text = FRONT.format(
        title=name, place=place, more=more or "imports: []", requirements=demanded, rules=rules, name=name
    )
    return dedent(text).lstrip()


def write(path: Path, text: str) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


Judged = Callable[..., Report]


@pytest.fixture
def judged(course: Course) -> Judged:
    """Judges `whole` on the modules that are given, each the reference's unless it is named."""

    def report(
        sizes: str = SIZES, shapes: str = SHAPES, exercise: str = "whole", **options: object
    ) -> Report:
        files = {"fastasgi/sizes.py": sizes.encode(), "fastasgi/shapes.py": shapes.encode()}
        made = Options(profile="watch", **options)  # type: ignore[arg-type]
        return judge(course, course.exercise(exercise), of_files("one", files), made)

    return report


def faults(report: Report) -> dict[str, tuple[str, ...]]:
    """What a report says of each requirement that is lost."""
    return {entry.id: entry.at_fault for entry in report.requirements if entry.outcome != "passed"}


def test_the_files_of_all_parts_are_judged_together(judged: Judged) -> None:
    assert judged().earned
    assert judged(FRACTIONS, LENIENT).earned, "what fits together is right, whatever passes between"


def test_the_module_at_fault_is_named(judged: Judged) -> None:
    assert faults(judged(shapes=ADDING)) == dict.fromkeys(("WHOLE-01", "WHOLE-02"), ("fastasgi/shapes",))
    assert faults(judged(sizes=NO_SQUARES)) == {"WHOLE-02": ("fastasgi/sizes",)}


def test_each_swap_is_told(course: Course) -> None:
    files = {"fastasgi/sizes.py": NO_SQUARES.encode(), "fastasgi/shapes.py": LENIENT.encode()}
    steps: list[Step] = []
    judge(
        course, course.exercise("whole"), of_files("one", files), Options(profile="watch"), steps.append
    )  # fmt: skip
    assert [(step.done, step.planned) for step in steps if not step.requirement] == [(1, 2), (2, 2)]
    assert [(step.done, step.planned) for step in steps if step.requirement] == [(1, 2), (2, 2)]


def test_of_two_that_would_mend_it_the_one_that_is_wrong_alone_is_named(judged: Judged) -> None:
    shapes = SHAPES.replace("sides(text)", "sides(text[::-1])").replace("* int", "- int")
    report = judged(SIZES.replace("int(width)", "0 * int(width)"), shapes)
    assert set(faults(report)) == {"WHOLE-01", "WHOLE-02"}
    assert faults(judged(FRACTIONS)) == dict.fromkeys(("WHOLE-01", "WHOLE-02"), ("fastasgi/sizes",))


def test_modules_that_are_each_right_but_do_not_fit_are_both_named(judged: Judged) -> None:
    sizes = SIZES.replace("int(width), int(height or width)", "float(width), float(height or width)")
    shapes = SHAPES.replace("    return", "    if type(width) is not int: raise TypeError(width)\n    return")
    assert faults(judged(sizes, shapes)) == dict.fromkeys(
        ("WHOLE-01", "WHOLE-02"), ("fastasgi/sizes", "fastasgi/shapes")
    )


def test_what_swapping_one_module_does_not_mend_could_not_be_told(judged: Judged) -> None:
    report = judged(NO_SQUARES, ADDING)
    assert faults(report) == {"WHOLE-01": ("fastasgi/shapes",), "WHOLE-02": ()}


def test_a_stub_names_itself(course: Course, judged: Judged) -> None:
    stub = (course.root / "exercises/fastasgi/sizes.py").read_text(encoding="utf-8")
    report = judged(sizes=stub)
    assert {entry.outcome for entry in report.requirements} == {"not_attempted"}
    assert faults(report) == dict.fromkeys(("WHOLE-01", "WHOLE-02"), ("fastasgi/sizes",))


def test_a_part_that_is_missing_is_named(course: Course) -> None:
    submission = of_files("one", {"fastasgi/sizes.py": SIZES.encode()})
    report = judge(course, course.exercise("whole"), submission, Options(profile="watch"))
    assert report.requirements[0].message.startswith("exercises/fastasgi/shapes.py is missing")
    assert not submission.holds(course.exercise("whole"))
    assert submission.holds(course.exercise("sizes"))


def test_modules_of_a_submission_may_stand_around_another(judged: Judged) -> None:
    alone = judged(NO_SQUARES, ADDING, exercise="shapes")
    assert faults(alone) == {"SHAPES-01": ()}
    half = SHAPES.replace("int(width) * int(height)", "int(width) * int(height) // 2")
    double = SIZES.replace("int(width),", "2 * int(width),")
    assert not judged(double, half, exercise="shapes").earned
    assert judged(double, half, exercise="shapes", own=("fastasgi/shapes", "fastasgi/sizes")).earned


def test_a_report_has_the_same_bytes_twice(judged: Judged) -> None:
    assert judged(FRACTIONS).requirements == judged(FRACTIONS).requirements


def test_a_proof_holds_on_other_right_modules_too(course: Course) -> None:
    whole = course.exercise("whole")
    few = "there are 2 mistakes of the 6 that 5 minutes ask for"
    steps: list[str] = []
    write(
        course.root / "tests/fair/fastasgi/sizes/by_split.py",
        SIZES.replace('partition("x")', 'partition("x")[:]'),
    )
    assert [problem.what for problem in validate(course, whole, on_step=steps.append, jobs=1)] == [few]
    assert "everything is earned on other right modules, 1" in steps
    write(course.root / "tests/fair/fastasgi/sizes/by_split.py", FRACTIONS)
    assert [problem.where for problem in validate(course, whole, jobs=1)][1:] == [
        "the solution with tests/fair/fastasgi/sizes/by_split.py"
    ] * 2


def test_a_sheet_names_the_exercises_that_its_solution_imports(course: Course) -> None:
    shapes = course.exercise("shapes")
    assert imported_exercises(course, shapes) == {"fastasgi/sizes"}
    assert imported_exercises(course, course.exercise("sizes")) == set()
    assert list(import_problems(course, shapes)) == []
    path = course.sheet(shapes)
    path.write_text(
        path.read_text(encoding="utf-8").replace("builds_on: [fastasgi/sizes]", ""), encoding="utf-8"
    )
    fresh = Course(course.root)
    found = [problem.what for problem in validate(fresh, fresh.exercise("shapes"), jobs=1)]
    assert "the solution imports fastasgi/sizes" in found


@pytest.mark.parametrize(
    ("line", "imported"),
    [
        ("from . import sizes", True),
        ("from fastasgi.sizes import sides", True),
        ("import fastasgi.sizes", True),
        ("def late():\n    from .sizes import sides", True),
        ("from .sizes_of_others import sides", False),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .sizes import sides", False),
    ],
)
def test_an_import_is_seen_however_it_is_written(course: Course, line: str, imported: bool) -> None:
    write(course.root / "fastasgi_reference/shapes.py", f'"""Shapes."""\n\n{line}\n')
    assert imported_exercises(course, course.exercise("shapes")) == (
        {"fastasgi/sizes"} if imported else set()
    )


def test_a_mistake_that_is_put_down_to_another_module_is_a_problem(course: Course) -> None:
    whole = course.exercise("whole")
    gallery = course.suite(whole) / "mistakes.toml"
    gallery.write_text(MISTAKES.replace("* int", "* 0 * int"), encoding="utf-8")
    wrong = SHAPES.replace("sides(text)", "sides(text) if 'x' in text else sides(text + 'x0')")
    write(course.root / "fastasgi_reference/shapes.py", wrong)
    found = [problem.what for problem in validate(course, whole, jobs=1)]
    assert any("blames" in what for what in found)


def test_what_has_no_file_of_its_own_cannot_be_reset_shown_or_mutated(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("reset", "solution"):
        assert run((command, "whole"), Setting(root=course.root)) == 2
        told = " ".join(capsys.readouterr().err.split())
        assert f"judges your 2 modules together. Name one of them: grader {command} sizes" in told
    with pytest.raises(MutateError, match="composed of other exercises"):
        mutate(course, course.exercise("whole"))


def test_the_map_links_to_the_folder(course: Course) -> None:
    text = (course.root / "exercises/README.md").read_text(encoding="utf-8")
    assert "| [whole](01_first/whole.md) | whole | [fastasgi/](fastasgi) |" in text


def test_a_save_of_a_part_is_one_of_the_whole(course: Course) -> None:
    assert saved_exercises(course, [course.root / "exercises/fastasgi/sizes.py"]) == {
        "fastasgi/sizes",
        "01_first/whole",
    }


def test_a_clone_is_taken_with_all_parts(course: Course) -> None:
    whole = course.exercise("whole")
    submission = open_submission(course.root, course, [whole])
    assert set(submission.files(whole)) == {"fastasgi/sizes.py", "fastasgi/shapes.py"}


def test_trivial_submissions_hold_every_part(course: Course) -> None:
    whole = course.exercise("whole")
    assert all(submission.holds(whole) for submission in trivial_submissions(course, whole))


@pytest.mark.parametrize("named", ["fastasgi/none", "01_first/whole"])
def test_a_part_that_is_none_is_told(course: Course, named: str) -> None:
    path = course.root / "exercises/01_first/whole.md"
    path.write_text(
        path.read_text(encoding="utf-8").replace("fastasgi/sizes,", f"{named},"), encoding="utf-8"
    )
    with pytest.raises(CourseError, match=f"composed_of names {named}"):
        _ = Course(course.root).exercises


def shown(course: Course, report: Report) -> str:
    """What the learner reads, in lines as long as they like."""
    output = io.StringIO()
    screen = Screen(output)
    whole = course.exercise("whole")
    show_report(screen, report, whole, place_of(course, whole), verbose=True)
    return output.getvalue()


def test_the_learner_reads_which_module_it_is(course: Course, judged: Judged) -> None:
    one = shown(course, judged(sizes=NO_SQUARES))
    assert "sizes: with the reference's sizes in place of yours the rule is met." in one
    assert "`grader check sizes` judges it alone." in one
    assert "exercises/fastasgi/sizes.py:7 in sides" in one
    assert "This could not be told" in shown(
        course, judged(NO_SQUARES, SHAPES.replace("int(width) *", "0 *"))
    )
    stub = (course.root / "exercises/fastasgi/sizes.py").read_text(encoding="utf-8")
    assert "sizes. `grader check sizes` judges it alone." in shown(course, judged(stub, ADDING))
