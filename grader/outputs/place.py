"""Where a learner finds what a page names: paths as they would type them from where they are.

Rule 1: every path comes from the course; here it is only written relative to the current folder.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from grader.course import Course, Exercise


@dataclass(frozen=True)
class Place:
    """The places of one exercise, as text: the learner's file, the sheet, the chapter's text ("" if none)."""

    file: str
    sheet: str
    text: str


def place_of(course: Course, exercise: Exercise) -> Place:
    """The places of `exercise`, seen from the current folder."""
    text = course.chapter_text(exercise.chapter)
    return Place(
        file=shown_path(course.stub(exercise)),
        sheet=shown_path(course.sheet(exercise)),
        text=shown_path(text) if text else "",
    )


def place_elsewhere(course: Course, exercise: Exercise) -> Place:
    """The same for a submission that is not the learner's own: its file as the worker's tree names it."""
    return replace(
        place_of(course, exercise), file=exercise.home + ("" if exercise.package or exercise.parts else ".py")
    )


def shown_path(path: Path) -> str:
    """The path relative to the current folder if it lies below it, else the whole path."""
    try:
        return path.resolve().relative_to(Path.cwd().resolve()).as_posix()
    except ValueError:
        return os.fspath(path)
