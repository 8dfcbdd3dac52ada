"""What the grader remembers of a learner: the exercise at hand, last verdicts, hints seen, backups of files.

Rule 1: it lies below `Course.state`, is JSON, and decides nothing: no points come from here.
Rule 2: a file that cannot be read is never overwritten: it is moved aside, and the notice says where.
Rule 3: a file is written whole or not at all; what is changed is read again just before.
Rule 4: nothing of the learner's is overwritten without a copy below `backups`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from grader.course import Course, CourseError, Exercise
from grader.report import Report, RequirementResult

VERSION = 1
"""The version of the file's format."""


def first_to_mend(report: Report) -> RequirementResult | None:
    """The requirement to look at first, or None if all are earned.

    What was tried and is wrong goes before what is not written yet or could not be judged.
    """
    opened = [entry for entry in report.requirements if entry.outcome != "passed"]
    tried = [entry for entry in opened if entry.outcome not in ("not_attempted", "blocked")]
    return next(iter(tried or opened), None)


class Standing(msgspec.Struct, frozen=True, omit_defaults=True):
    """The last verdict on an exercise.

    `earned` stays true once all was earned; `open` is the id of the requirement to look at first, "" if none;
    `digest` is the submission's, so that a change since then can be seen.
    """

    points: int
    max_points: int
    digest: str
    earned: bool = False
    open: str = ""

    @property
    def complete(self) -> bool:
        """Whether the last verdict gave all points."""
        return self.points == self.max_points


class Progress(msgspec.Struct, frozen=True):
    """All that is remembered. `current` is the id of the exercise at hand; the maps are by exercise id."""

    version: int = VERSION
    current: str = ""
    standings: dict[str, Standing] = {}
    hints: dict[str, int] = {}

    @property
    def fresh(self) -> bool:
        """Whether nothing was ever checked."""
        return not self.standings

    def complete(self, exercise: Exercise) -> bool:
        """Whether the last verdict on the exercise gave all points."""
        standing = self.standings.get(exercise.id)
        return standing is not None and standing.complete

    def ever_earned(self, exercise: Exercise) -> bool:
        """Whether the exercise was ever earned in full."""
        standing = self.standings.get(exercise.id)
        return standing is not None and standing.earned

    def at(self, exercise: Exercise) -> Progress:
        """The same with `exercise` at hand."""
        return msgspec.structs.replace(self, current=exercise.id)

    def with_report(self, report: Report) -> Progress:
        """The same after a verdict. One with a judge's error changes nothing."""
        if not report.valid:
            return self
        first = first_to_mend(report)
        before = self.standings.get(report.exercise)
        standing = Standing(
            points=report.points,
            max_points=report.max_points,
            digest=report.submission,
            earned=report.earned or (before is not None and before.earned),
            open=first.id if first else "",
        )
        return msgspec.structs.replace(self, standings={**self.standings, report.exercise: standing})

    def without_verdict(self, exercise: Exercise) -> Progress:
        """The same without points for the exercise, after its file was reset. Once earned stays so."""
        before = self.standings.get(exercise.id)
        if before is None:
            return self
        standing = msgspec.structs.replace(before, points=0, digest="", open="")
        return msgspec.structs.replace(self, standings={**self.standings, exercise.id: standing})

    def with_hint(self, exercise: Exercise) -> Progress:
        """The same with one hint more seen."""
        seen = min(self.hints.get(exercise.id, 0) + 1, len(exercise.hints))
        return msgspec.structs.replace(self, hints={**self.hints, exercise.id: seen})

    def next_open(self, course: Course, after: Exercise | None = None) -> Exercise | None:
        """The first exercise that is not complete: in the course's order, or the next one behind `after`."""
        order = list(course.exercises)
        if after is not None:
            place = next(index for index, exercise in enumerate(order) if exercise.id == after.id)
            order = [*order[place + 1 :], *order[:place]]
        return next((exercise for exercise in order if not self.complete(exercise)), None)

    def at_hand(self, course: Course) -> Exercise | None:
        """The exercise to go on with: the current one unless complete, else the first open one."""
        for exercise in course.exercises:
            if exercise.id == self.current and not self.complete(exercise):
                return exercise
        return self.next_open(course)


@dataclass(frozen=True)
class Memory:
    """The file of the progress. `notice` is called with a line for the learner when the file was broken."""

    path: Path
    notice: Callable[[str], None]

    @classmethod
    def of(cls, course: Course, notice: Callable[[str], None]) -> Memory:
        """The memory of a checkout of the course."""
        return cls(course.state / "progress.json", notice)

    def load(self) -> Progress:
        """What is remembered. A broken file is moved aside. Raises CourseError for another format."""
        try:
            content = self.path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return Progress()
        try:
            version = msgspec.json.decode(content, type=_Version).version
            if version == VERSION:
                return msgspec.json.decode(content, type=Progress)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return self._set_aside()
        raise CourseError(
            f"{self.path}: was written by another grader (format {version}, this one reads {VERSION}). "
            "Update the grader, or move the file away to start anew."
        )

    def update(self, change: Callable[[Progress], Progress]) -> Progress:
        """Change what is remembered, from what the file holds now; gives the new state."""
        before = self.load()
        after = change(before)
        if after != before:
            self._write(after)
        return after

    def _write(self, progress: Progress) -> None:
        written = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        try:
            make_state_folder(self.path.parent)
            written.write_bytes(msgspec.json.format(msgspec.json.encode(progress), indent=1) + b"\n")
            written.replace(self.path)
        except OSError as error:
            self.notice(f"{self.path}: cannot be written ({error.strerror}), so nothing new is remembered.")

    def _set_aside(self) -> Progress:
        aside = _free(self.path.with_name("progress.broken"), ".json")
        self.path.replace(aside)
        self.notice(
            f"{self.path}: could not be read; it is kept as {aside.name} and your progress starts anew. "
            "Your code is untouched: `grader check --all` counts it again."
        )
        return Progress()


class _Version(msgspec.Struct):
    version: int


def remember(memory: Memory, exercise: Exercise, report: Report) -> Progress:
    """Keep a verdict on the learner's own files, and that they are at this exercise unless it is complete."""

    def change(progress: Progress) -> Progress:
        after = progress.with_report(report)
        return after if after.complete(exercise) else after.at(exercise)

    return memory.update(change)


def make_state_folder(folder: Path) -> None:
    """Make the folder of what is remembered; git is told to leave it alone."""
    folder.mkdir(parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")


def back_up(course: Course, exercise: Exercise) -> Path | None:
    """Copy the learner's file (or folder) below `backups`; gives the copy's path, or None without one."""
    source = course.stub(exercise)
    if not source.exists():
        return None
    make_state_folder(course.state)
    folder = _free(course.state / "backups" / exercise.id, "", numbered=True)
    folder.mkdir(parents=True)
    copy = folder / source.name
    if source.is_dir():
        shutil.copytree(source, copy, symlinks=True)
    else:
        shutil.copy2(source, copy)
    return copy


def write_files(files: Mapping[Path, bytes]) -> None:
    """Write contents to their paths, each whole or not at all."""
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        written = path.with_name(path.name + ".new")
        written.write_bytes(content)
        written.replace(path)


def _free(base: Path, suffix: str, *, numbered: bool = False) -> Path:
    """The first path `base-1`, `base-2`... (or `base/1`... if `numbered`) that is not taken."""
    number = 1
    while True:
        path = base / str(number) if numbered else base.with_name(f"{base.name}-{number}{suffix}")
        if not path.exists():
            return path
        number += 1
