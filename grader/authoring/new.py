"""A new exercise: a small one that works, in all of its files, for the author to turn into the real one.

Rule 1: nothing is overwritten but the map of the course, which is generated.
Rule 2: what is written can be judged at once: the solution earns everything, the stub nothing.
"""

from __future__ import annotations

import keyword
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from grader.authoring import mistakes
from grader.authoring.course_map import course_map
from grader.authoring.stubs import make_stub
from grader.course import FRAMEWORK, Course, Exercise

FRAMEWORK_CHAPTER = 4
"""The chapter of an exercise of the framework, until its author says otherwise."""
MINUTES = 30
"""What a new exercise says it takes."""


class NewError(Exception):
    """The exercise cannot be started: one line that says why and what to do."""


@dataclass(frozen=True, slots=True)
class Started:
    """What was written, and what the author does next, step by step."""

    exercise: str
    files: tuple[Path, ...]
    next_steps: tuple[str, ...]


def start(course: Course, exercise_id: str) -> Started:
    """Write a skeleton for the exercise, at the next free place of its chapter. Raises NewError."""
    _check_id(course, exercise_id)
    exercise = _described(course, exercise_id)
    contents = _contents(course, exercise)
    for path in contents:
        if path.exists():
            raise NewError(
                f"{path}: is there already, and nothing is overwritten. Move it away, or take another name."
            )
    for path, text in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    _map_anew(Course(course.root))
    return Started(exercise_id, tuple(contents), _next_steps(course, exercise))


def _map_anew(course: Course) -> None:
    (course.root / "exercises" / "README.md").write_text(course_map(course), encoding="utf-8")


def _check_id(course: Course, exercise_id: str) -> None:
    match exercise_id.split("/"):
        case [folder, *inner, name] if folder == FRAMEWORK or (
            not inner and re.fullmatch(r"\d\d_[a-z0-9_]+", folder)
        ):
            pass
        case _:
            raise NewError(f"{exercise_id}: name it like 02_asgi_specification/foo or {FRAMEWORK}/foo.")
    for part in (*inner, name):
        if not re.fullmatch(r"[a-z][a-z0-9_]*", part) or keyword.iskeyword(part):
            raise NewError(f"{exercise_id}: {part} is no module name. Use lower-case letters, digits and _.")
    if name in sys.stdlib_module_names:
        raise NewError(
            f"{exercise_id}: the standard library has a module {name}, which it would hide. Take another."
        )
    if name.startswith("test_") or name.endswith("_test") or name == "conftest":
        raise NewError(f"{exercise_id}: pytest collects files of that name. Take another.")
    if not (course.root / "exercises" / folder).is_dir():
        raise NewError(f"{exercise_id}: there is no folder exercises/{folder}. Make the chapter first.")
    for other in course.exercises:
        if other.name == name:
            raise NewError(f"{exercise_id}: {other.id} has that name, and names are unique. Take another.")


def _described(course: Course, exercise_id: str) -> Exercise:
    folder, _, name = exercise_id.partition("/")
    chapter = FRAMEWORK_CHAPTER if folder == FRAMEWORK else int(folder[:2])
    places = [other.place for other in course.exercises if other.chapter == chapter]
    title = name.rsplit("/", 1)[-1].replace("_", " ").capitalize()
    return Exercise(exercise_id, title, chapter, max(places, default=0) + 1, 1, MINUTES, (), "")


def _contents(course: Course, exercise: Exercise) -> dict[Path, str]:
    suite = course.suite(exercise)
    words = {
        "title": exercise.title,
        "chapter": str(exercise.chapter),
        "place": str(exercise.place),
        "minutes": str(exercise.minutes),
        "id": exercise.id,
        "module": exercise.module,
        "prefix": re.sub(r"[^A-Z0-9]", "-", exercise.name.upper()),
    }
    return {
        course.sheet(exercise): _filled(SHEET, words),
        course.solution(exercise): SOLUTION,
        course.stub(exercise): make_stub(SOLUTION, exercise.name),
        suite / "probe.py": _filled(PROBE, words),
        suite / f"test_{exercise.name}.py": _filled(SUITE, words),
        suite / mistakes.FILE: _filled(MISTAKES, words),
    }


def _filled(template: str, words: dict[str, str]) -> str:
    return re.sub(r"<(\w+)>", lambda found: words[found[1]], template)


def _next_steps(course: Course, exercise: Exercise) -> tuple[str, ...]:
    def where(path: Path) -> str:
        return str(path.relative_to(course.root))

    return (
        f"Write the rules first: {where(course.sheet(exercise))} says what is demanded, and nothing else is.",
        f"Write the answer: {where(course.solution(exercise))}; `grader author stubs` makes the stub of it.",
        f"Write the suite: {where(course.suite(exercise))}/; `grader check {exercise.name}` judges the stub.",
        f"Add mistakes that learners make: {mistakes.FILE} beside it; 6, or 12 from 45 minutes on.",
        f"Add other right solutions: {where(course.fair(exercise))}/*.py, each in a style of its own.",
        f"Prove it: `grader author validate {exercise.name}`, then `grader author mutate {exercise.name}`.",
    )


SHEET = """---
title: <title>
chapter: <chapter>
place: <place>
difficulty: 1
minutes: <minutes>
builds_on: []
imports: []
requirements:
  - id: <prefix>-01
    points: 2
    sentence: "`double(number)` gives twice the number."
    source: "course policy: say which"
---

## Story

Why somebody would want this.

## API

```python
def double(number: int) -> int: ...
```

## Rules

- **<prefix>-01** `double(number)` takes any int and gives twice its value, as an int.

## Example

```python
from <module> import double

assert double(21) == 42
```

## Hints

### A nudge

What is the number, added to itself?

### Closer

Python has an operator for it.

### Nearly the answer

`number * 2`.
"""

SOLUTION = '''"""Doubling: say here what the module is about, and its rules."""

from __future__ import annotations


def double(number: int) -> int:
    """Give twice the number."""
    return number * 2
'''

PROBE = '''"""Turns values into calls on the learner's code. Runs beside the submission."""

from __future__ import annotations

from <module> import double as learners_double


def double(number: int) -> object:
    """What the learner's `double` gives."""
    return learners_double(number)
'''

SUITE = '''"""What `double` promises."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from grader.suite import Submission, requirement


@requirement("<prefix>-01")
@given(number=st.integers())
@example(number=3)
def test_double_gives_twice_the_number(submission: Submission, number: int) -> None:
    """`double` gives twice the number, whatever its size and sign."""
    assert submission.call("double", number=number) == number + number
'''

MISTAKES = """# Wrong submissions: each must lose what it names, and nothing else.

[[mistake]]
title = "Squares the number"
in = "double"
replace = [{ old = "number * 2", new = "number**2" }]
must = ["<prefix>-01"]

[[mistake]]
title = "Doubles positive numbers only"
in = "double"
body = "return number * 2 if number > 0 else number"
must = ["<prefix>-01"]
"""
