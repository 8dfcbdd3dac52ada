"""The course: which exercises there are, what each demands, and where its files lie.

Rule 1: an exercise is declared once, by the front matter of its sheet. Nothing is registered elsewhere.
Rule 2: every path is computed from the exercise's id. No path is typed twice.
Rule 3: nothing here runs, reads or imports code of an exercise.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import frontmatter
import yaml

FRAMEWORK = "fastasgi"
"""The package that the learner builds: an exercise `fastasgi/x` is a module of it."""
REFERENCE = "fastasgi_reference"
"""The package of the answers to `fastasgi/*`, and the ground that a single module is judged on."""
SECTIONS = ("Story", "API", "Rules", "Example", "Where we differ from Starlette", "Hints")
"""The headings of a sheet's body, in order. All are mandatory but the one on Starlette."""
MIN_HINTS = 3


class CourseError(Exception):
    """The course's own files are wrong: names the file, what is wrong there and what to do."""


class UnknownExercise(CourseError):
    """No exercise has the name that was asked for."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One promise that an exercise demands, worth whole points.

    `sentence` is the rule as the learner reads it; `source` its place in a specification or in the course's
    policies; `asgi` the ids of rules in `docs/asgi_rules.toml`; `read` the heading in the chapter's text.
    """

    id: str
    points: int
    sentence: str
    source: str
    asgi: tuple[str, ...] = ()
    read: str = ""


@dataclass(frozen=True, slots=True)
class Exercise:
    """One exercise, as its sheet declares it.

    `composed_of` names the exercises whose files it is judged on, all of them together, where it has none of its own;
    `parts` are these exercises.
    """

    id: str
    title: str
    chapter: int
    place: int
    difficulty: int
    minutes: int
    requirements: tuple[Requirement, ...]
    body: str
    builds_on: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    package: bool = False
    composed_of: tuple[str, ...] = ()
    parts: tuple[Exercise, ...] = ()

    @property
    def sources(self) -> tuple[Exercise, ...]:
        """The exercises whose files are the learner's: its parts, else itself."""
        return self.parts or (self,)

    @property
    def name(self) -> str:
        """The last part of the id: what a learner types."""
        return PurePosixPath(self.id).name

    @property
    def max_points(self) -> int:
        """The sum of the points of all requirements."""
        return sum(requirement.points for requirement in self.requirements)

    @property
    def in_framework(self) -> bool:
        """Whether the exercise is a module of the learner's framework."""
        return self.id.startswith(FRAMEWORK + "/")

    @property
    def module(self) -> str:
        """The dotted name under which the worker imports the learner's code."""
        return self.id.replace("/", ".") if self.in_framework else self.name

    @property
    def target(self) -> str:
        """Where the learner's file (or package) lies in the worker's tree, without a suffix."""
        return self.module.replace(".", "/")

    @property
    def home(self) -> str:
        """What holds all of the learner's files in the worker's tree: its target, or the folder of its parts'."""
        return self.target if not self.parts else os.path.commonpath([part.target for part in self.parts])

    @property
    def hints(self) -> tuple[str, ...]:
        """The hints of the sheet, from a nudge to a near-answer."""
        parts = re.split(r"^### .*$", self.section("Hints"), flags=re.MULTILINE)
        return tuple(part.strip() for part in parts[1:])

    def section(self, heading: str) -> str:
        """The text under `## heading` of the sheet, or an empty string."""
        found = re.search(
            rf"^## {re.escape(heading)}\s*$\n(.*?)(?=^## |\Z)", self.body, flags=re.MULTILINE | re.DOTALL
        )
        return found[1].strip() if found else ""

    def requirement(self, requirement_id: str) -> Requirement:
        """The requirement of that id. Raises KeyError where there is none."""
        for requirement in self.requirements:
            if requirement.id == requirement_id:
                return requirement
        raise KeyError(requirement_id)


@dataclass(frozen=True)
class Course:
    """A checkout of the course at `root`."""

    root: Path

    @classmethod
    def find(cls, start: Path | None = None) -> Course:
        """The course around `start`: `$GRADER_COURSE`, else the nearest folder upwards that is one.

        Raises CourseError where no folder upwards holds `exercises/` and `tests/suites/`.
        """
        named = os.environ.get("GRADER_COURSE")
        here = Path(named) if named else (start or Path.cwd())
        candidates = [here] if named else [here, *here.parents, Path(__file__).parent.parent]
        for folder in candidates:
            if (folder / "exercises").is_dir() and (folder / "tests" / "suites").is_dir():
                return cls(folder.resolve())
        raise CourseError(
            f"{here}: this is not in a course (no folder upwards holds exercises/ and tests/suites/). "
            "Change to your clone of the course, or name it with --course."
        )

    @cached_property
    def exercises(self) -> tuple[Exercise, ...]:
        """All exercises in the order of chapter and place. Raises CourseError for a sheet that is wrong."""
        found = sorted(self._sheets(), key=lambda exercise: (exercise.chapter, exercise.place, exercise.id))
        found = [_with_parts(exercise, found) for exercise in found]
        names: dict[str, str] = {}
        for exercise in found:
            if exercise.name in names:
                raise CourseError(
                    f"{exercise.id}: its name is taken by {names[exercise.name]}: "
                    "the last part of an id is what a learner types. Rename one."
                )
            names[exercise.name] = exercise.id
        return tuple(found)

    def exercise(self, name: str) -> Exercise:
        """The exercise that the learner calls `name`: its id, its last part, or the path of its file.

        Raises UnknownExercise, with the nearest names.
        """
        wanted = _plain_name(name)
        for exercise in self.exercises:
            if wanted in (exercise.id, exercise.name, exercise.module):
                return exercise
        raise UnknownExercise(f"{name}: no such exercise. {self._suggest(wanted)}")

    def stub(self, exercise: Exercise) -> Path:
        """The learner's file, or folder if the exercise is a package or has parts."""
        if exercise.parts:
            return Path(os.path.commonpath([self.stub(part) for part in exercise.parts]))
        return self._code("exercises/" + exercise.id, exercise)

    def solution(self, exercise: Exercise) -> Path:
        """The answer's file, or folder if the exercise is a package."""
        if exercise.in_framework:
            return self._code(REFERENCE + exercise.id.removeprefix(FRAMEWORK), exercise)
        return self._code("solutions/" + exercise.id, exercise)

    def sheet(self, exercise: Exercise) -> Path:
        """The sheet's file."""
        return self.root / "exercises" / (exercise.id + ".md")

    def suite(self, exercise: Exercise) -> Path:
        """The folder of what grades the exercise: probe.py, test_*.py, mistakes.toml, mutants.toml."""
        return self.root / "tests" / "suites" / exercise.id

    def fair(self, exercise: Exercise) -> Path:
        """The folder of other right solutions, each a file (or a folder for a package)."""
        return self.root / "tests" / "fair" / exercise.id

    def chapter_text(self, chapter: int) -> Path | None:
        """The file of a chapter's text, or None where there is none."""
        return next(iter(sorted((self.root / "exercises").glob(f"{chapter:02}_*/README.md"))), None)

    def chapter_title(self, chapter: int) -> str:
        """The heading of a chapter's text, else a title made of its folder's name, else "Chapter N"."""
        text = self.chapter_text(chapter)
        if text is not None:
            heading = re.search(r"^# +(.+?)\s*$", text.read_text(encoding="utf-8"), flags=re.MULTILINE)
            if heading:
                return heading[1]
        for folder in sorted((self.root / "exercises").glob(f"{chapter:02}_*")):
            return f"{chapter} {folder.name[3:].replace('_', ' ').capitalize()}"
        return f"Chapter {chapter}"

    @property
    def reference(self) -> Path:
        """The folder of the framework's reference."""
        return self.root / REFERENCE

    @property
    def state(self) -> Path:
        """The folder for what the grader remembers: progress, hints seen, backups. Ignored by git."""
        return self.root / ".grader"

    def answers(self, exercise: Exercise) -> dict[str, Path]:
        """The files of the exercise's answer, its parts' included, by path in the worker's tree."""
        found: dict[str, Path] = {}
        for source in exercise.sources:
            found |= self.files(source, self.solution(source))
        return found

    def files(self, exercise: Exercise, base: Path) -> dict[str, Path]:
        """The exercise's files below `base` (a stub's or a solution's place), by path in the worker's tree."""
        if not exercise.package:
            return {exercise.target + ".py": base}
        return {
            f"{exercise.target}/{path.relative_to(base).as_posix()}": path
            for path in sorted(base.rglob("*.py"))
        }

    def _code(self, relative: str, exercise: Exercise) -> Path:
        return self.root / (relative if exercise.package else relative + ".py")

    def _sheets(self) -> Iterator[Exercise]:
        base = self.root / "exercises"
        for path in sorted(base.rglob("*.md")):
            if path.name != "README.md":
                yield read_sheet(path, path.relative_to(base).with_suffix("").as_posix())

    def _suggest(self, wanted: str) -> str:
        import difflib

        names = [exercise.name for exercise in self.exercises]
        near = difflib.get_close_matches(wanted.rsplit("/", 1)[-1], names, n=3)
        if near:
            return f"Did you mean {' or '.join(near)}?"
        return "`grader list` shows them all."


def read_sheet(path: Path, exercise_id: str) -> Exercise:
    """Read the sheet at `path` as the exercise `exercise_id`. Raises CourseError that names the field."""
    try:
        post = frontmatter.loads(path.read_text(encoding="utf-8"))
        fields: dict[str, Any] = dict(post.metadata)
        return Exercise(
            id=exercise_id,
            requirements=tuple(_requirement(entry) for entry in fields.pop("requirements")),
            body=post.content,
            builds_on=tuple(fields.pop("builds_on", ())),
            imports=tuple(fields.pop("imports", ())),
            composed_of=tuple(fields.pop("composed_of", ())),
            package=path.with_suffix("").is_dir(),
            **fields,
        )
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise CourseError(f"{path}: the sheet's front matter is wrong: {error!r}") from error


def _with_parts(exercise: Exercise, known: Sequence[Exercise]) -> Exercise:
    """The exercise with the exercises that it is composed of. Raises CourseError."""
    if not exercise.composed_of:
        return exercise
    by_id = {each.id: each for each in known if not each.composed_of}
    if unknown := [name for name in exercise.composed_of if name not in by_id]:
        raise CourseError(
            f"{exercise.id}: composed_of names {', '.join(unknown)}: no exercise with files of its own. "
            "Use the ids of such exercises."
        )
    return replace(exercise, parts=tuple(by_id[name] for name in exercise.composed_of))


def _requirement(entry: dict[str, Any]) -> Requirement:
    return Requirement(
        id=entry["id"],
        points=entry["points"],
        sentence=entry["sentence"],
        source=entry["source"],
        asgi=tuple(entry.get("asgi", ())),
        read=entry.get("read", ""),
    )


def _plain_name(name: str) -> str:
    plain = name.replace(os.sep, "/").removesuffix("/").removesuffix(".py").removesuffix(".md")
    return plain.split("exercises/", 1)[-1].removeprefix("./")
