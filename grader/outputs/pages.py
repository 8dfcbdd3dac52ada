"""The learner's pages besides the verdict: where am I, the map of the course, a sheet, a hint.

Rule 1: a page only shows; what is remembered is read by the caller.
Rule 2: every page ends with what to type next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from grader.course import SECTIONS, Course, Exercise
from grader.outputs.place import place_of, shown_path
from grader.outputs.screen import Screen, columns, indented, styled
from grader.outputs.terminal import points_text
from grader.progress import Progress, Standing

if TYPE_CHECKING:
    from grader.judge.doctor import Check

COURSE_TITLE = "Building an ASGI framework"
STARS = "*****"
"""A difficulty of n is shown as n of these."""


def show_home(screen: Screen, course: Course, progress: Progress) -> None:
    """Where the learner is and what is next."""
    screen.print(styled((COURSE_TITLE, "bold")))
    exercise = progress.at_hand(course)
    if exercise is None:
        screen.print("", *_all_done(course))
    elif progress.fresh:
        screen.print("", *_welcome(course, exercise))
    else:
        screen.print("", *_on_the_way(course, progress, exercise))


def _welcome(course: Course, exercise: Exercise) -> Iterator[RenderableType]:
    yield (
        f"Welcome. You build a web framework, in {len(course.exercises)} exercises; "
        "after each, a judge shows you the smallest case that does not work yet."
    )
    yield ""
    yield styled(
        "Begin with ", (exercise.name, "bold"), f": {exercise.title} (about {exercise.minutes} minutes)."
    )
    yield indented(_steps(course, exercise, first=True))
    yield ""
    yield "`grader list` shows the whole course, `grader --help` every command."


def _on_the_way(course: Course, progress: Progress, exercise: Exercise) -> Iterator[RenderableType]:
    yield _tally(course, progress)
    yield ""
    standing = progress.standings.get(exercise.id)
    yield styled(
        "Next: ",
        (exercise.name, "bold"),
        f": {exercise.title} (about {exercise.minutes} minutes)",
        _so_far(standing),
    )
    if standing and standing.open:
        yield indented(_open_requirement(exercise, standing))
    yield indented(_steps(course, exercise, first=False))


def _all_done(course: Course) -> Iterator[RenderableType]:
    yield styled(
        ("Every exercise is earned", "bold green"), f", all {len(course.exercises)} of them. Congratulations."
    )
    yield "`grader check --all` judges everything once more."


def _so_far(standing: Standing | None) -> str:
    return f", {points_text(standing.points, standing.max_points)} so far." if standing else "."


def _open_requirement(exercise: Exercise, standing: Standing) -> Text:
    for requirement in exercise.requirements:
        if requirement.id == standing.open:
            return styled("Open: ", (requirement.id, "bold"), f": {requirement.sentence}")
    return styled("")


def _steps(course: Course, exercise: Exercise, *, first: bool) -> RenderableType:
    place = place_of(course, exercise)
    table = columns("left")
    if first and place.text:
        table.add_row("Read", place.text)
    table.add_row("Task", f"grader show {exercise.name}")
    table.add_row("Write", place.file)
    table.add_row("Check", f"grader check {exercise.name}    (or `grader watch`: checks whenever you save)")
    table.add_row("Stuck?", f"grader hint {exercise.name}")
    return table


def _tally(course: Course, progress: Progress) -> Text:
    done = sum(progress.complete(exercise) for exercise in course.exercises)
    earned = sum(progress.standings[e.id].points for e in course.exercises if e.id in progress.standings)
    most = sum(exercise.max_points for exercise in course.exercises)
    return styled(f"{done} of {len(course.exercises)} exercises, {points_text(earned, most)}.")


def show_map(screen: Screen, course: Course, progress: Progress, *, current: Exercise | None = None) -> None:
    """All exercises by chapter: done or not, points of the last verdict, minutes; `current` is marked."""
    current = current or progress.at_hand(course)
    for chapter, exercises in groupby(course.exercises, key=lambda exercise: exercise.chapter):
        text = course.chapter_text(chapter)
        screen.print(
            styled(
                (course.chapter_title(chapter), "bold"), (f"   {shown_path(text)}" if text else "", "dim")
            ),
            indented(_chapter(list(exercises), progress, current)),
            "",
        )
    screen.print(_tally(course, progress))
    if current is not None:
        screen.print(f"Next: grader show {current.name}, grader check {current.name}")


def _chapter(exercises: Sequence[Exercise], progress: Progress, current: Exercise | None) -> RenderableType:
    table = columns("left", "left", "right", "right")
    for exercise in exercises:
        standing = progress.standings.get(exercise.id)
        at_hand = current is not None and exercise.id == current.id
        table.add_row(
            _state(progress, exercise, at_hand=at_hand),
            styled((exercise.name, "bold" if at_hand else "")),
            f"{standing.points if standing else 0}/{exercise.max_points}",
            f"{exercise.minutes} min",
            exercise.title + ("   (you are here)" if at_hand else ""),
        )
    return table


def _state(progress: Progress, exercise: Exercise, *, at_hand: bool) -> Text:
    if progress.complete(exercise):
        return styled(("✓", "green"))
    return styled((">", "bold yellow") if at_hand else ("·", "dim"))


def show_sheet(screen: Screen, course: Course, exercise: Exercise) -> None:
    """The sheet without its hints: as formatted text on a terminal, as Markdown elsewhere."""
    text = _sheet_text(course, exercise)
    if not screen.terminal:
        screen.print(text)
        return
    from rich.markdown import Markdown

    screen.print(Markdown(text, code_theme="ansi_dark"))


def _sheet_text(course: Course, exercise: Exercise) -> str:
    place = place_of(course, exercise)
    stars = STARS[: exercise.difficulty]
    facts = [
        f"- chapter: {course.chapter_title(exercise.chapter)}" + (f" ({place.text})" if place.text else ""),
        f"- {exercise.minutes} minutes, difficulty {stars}, {exercise.max_points} points",
        f"- write: {place.file}",
        f"- importable: the standard library{''.join(f', {name}' for name in exercise.imports)}",
    ]
    if exercise.builds_on:
        facts.append(f"- builds on: {', '.join(name.rsplit('/', 1)[-1] for name in exercise.builds_on)}")
    facts.append(f"- points: {', '.join(f'{entry.id} {entry.points}' for entry in exercise.requirements)}")
    sections = [
        f"## {heading}\n\n{exercise.section(heading)}"
        for heading in SECTIONS
        if heading != "Hints" and exercise.section(heading)
    ]
    ending = (
        f"Check: `grader check {exercise.name}`. {len(exercise.hints)} hints: `grader hint {exercise.name}`."
    )
    blocks = [f"# {exercise.title}", "\n".join(facts), *sections, ending]
    return "\n\n".join(blocks)


def show_examination(screen: Screen, name: str, checks: Sequence[Check]) -> None:
    """What a sandbox holds on this machine, one line a protection, with the cure where it does not hold."""
    screen.print(styled((name, "bold")))
    table = columns("left", "left")
    for check in checks:
        held = styled(("held", "green") if check.held else ("not held", "bold red"))
        table.add_row(check.protection, held, check.words)
        if check.cure:
            table.add_row("", "", styled("-> ", check.cure))
    screen.print(indented(table), "")


def show_unavailable(screen: Screen, name: str, why: str) -> None:
    """A sandbox that this machine does not give, and the cure."""
    screen.print(styled((name, "bold")), indented(styled(("not available", "bold red"), f": {why}")), "")


def show_hints(screen: Screen, exercise: Exercise, *, first: int, last: int) -> None:
    """The hints from number `first` to `last` (from 1), and how to get more."""
    for number in range(first, last + 1):
        screen.print(
            styled((f"Hint {number} of {len(exercise.hints)}", "bold")), *_markdown(screen, exercise, number)
        )
    if last < len(exercise.hints):
        screen.print(f"One more: grader hint {exercise.name}")
    else:
        screen.print(f"That was the last one. The answer itself: grader solution {exercise.name} --spoil")


def _markdown(screen: Screen, exercise: Exercise, number: int) -> Iterator[RenderableType]:
    text = exercise.hints[number - 1]
    if not screen.terminal:
        yield text
        yield ""
        return
    from rich.markdown import Markdown

    yield Markdown(text, code_theme="ansi_dark")
    yield ""
