"""Measuring a suite: every mutant of the solution is judged, and those that earn everything have survived.

Rule 1: a mutant is caught when it loses a point. Where the judge itself fails, that is an error.
Rule 2: what has been judged is not judged again, until the solution, the suite, the ground that it stands on
        or the judge changes.
Rule 3: a survivor is killed by a better property, or listed in `mutants.toml` with the reason why no caller
        can tell it from the solution. A list that does not fit is an error.
Rule 4: nothing here prints.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.syntax import Syntax
from rich.text import Text

from grader import grading
from grader.authoring.pool import Judge, Task, cores, judge_all
from grader.authoring.suites import EQUIVALENT
from grader.course import FRAMEWORK, Course, Exercise
from grader.grading import Options
from grader.report import Report
from grader.submission import Submission, of_files

if TYPE_CHECKING:
    from grader.authoring.mutants import Mutant

CACHE = "mutants"
"""The folder of what has been judged, in the course's state."""
SHOWN_SURVIVORS = 50
"""Survivors that are shown with their diff."""


class MutateError(Exception):
    """The suite cannot be measured: says why and what to do."""


@dataclass(frozen=True, slots=True)
class Specimen:
    """A mutant as a submission: its id (with its file, if the exercise is a package), its diff, its files."""

    id: str
    diff: str
    submission: Submission


@dataclass(frozen=True, slots=True)
class Equivalent:
    """An entry of `mutants.toml`: a mutant that no caller can tell from the solution, and why."""

    mutant: str
    reason: str


@dataclass(frozen=True, slots=True)
class Step:
    """One mutant is done: its id, whether it was caught, how many are done and planned."""

    mutant: str
    caught: bool
    done: int
    planned: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """What became of all mutants of one exercise.

    `caught` are ids; `survivors` those that earn everything and are not listed; `equivalent` those that are
    listed; `errors` what is wrong with the list or the judge, in words.
    """

    exercise: str
    caught: tuple[str, ...]
    survivors: tuple[Specimen, ...]
    equivalent: tuple[Equivalent, ...]
    errors: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every mutant is caught or listed with a reason, and nothing else is wrong."""
        return not self.survivors and not self.errors

    @property
    def total(self) -> int:
        """How many mutants there are."""
        return len(self.caught) + len(self.survivors) + len(self.equivalent)


def mutate(
    course: Course,
    exercise: Exercise,
    *,
    jobs: int | None = None,
    on_step: Callable[[Step], None] | None = None,
    judge: Judge = grading.judge,
) -> Measurement:
    """Judge all mutants of an exercise's solution that have not been judged yet, `jobs` at a time.

    Raises MutateError where the solution is missing or does not earn everything itself, or `mutants.toml` is
    wrong; and what the judge raises.
    """
    listed = read_equivalent(course, exercise)
    specimens = tuple(_specimens(course, exercise))
    fates = _Fates(course, exercise, _key(course, exercise))
    solution = of_files("solution", _solution(course, exercise))
    unknown = (specimen.submission for specimen in specimens if not fates.known(specimen))
    tasks = [Task(submission, OPTIONS) for submission in (solution, *unknown)]
    fresh = judge_all(
        course, exercise, tasks, partial(_until_lost, judge), jobs if jobs is not None else cores()
    )
    _check_solution(exercise, next(fresh)[1])
    for done, specimen in enumerate(specimens, start=1):
        if not fates.known(specimen):
            fates.learn(specimen, next(fresh)[1])
        if on_step is not None:
            on_step(Step(specimen.id, fates.of(specimen) == CAUGHT, done, len(specimens)))
    return _measurement(course, exercise, specimens, fates, listed)


def _until_lost(
    judge: Judge, course: Course, exercise: Exercise, submission: Submission, options: Options
) -> Report:
    """Judge on few examples first, which most mutants do not survive, and what does on all."""
    report = judge(course, exercise, submission, replace(options, profile="watch"))
    return judge(course, exercise, submission, options) if report.earned else report


OPTIONS = Options(profile="local", shrink=False, stop_first=True)
"""How a mutant is judged: until it loses something, whatever the smallest counterexample may be."""
CAUGHT, SURVIVED, UNJUDGED = "caught", "survived", "unjudged"


def read_equivalent(course: Course, exercise: Exercise) -> tuple[Equivalent, ...]:
    """The list of equivalent mutants; empty where there is none. Raises MutateError."""
    path = course.suite(exercise) / EQUIVALENT
    if not path.is_file():
        return ()
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("equivalent", [])
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MutateError(f"{path}: is no TOML: {error}. Mend the file.") from error
    read: list[Equivalent] = []
    for number, entry in enumerate(entries, start=1):
        match entry:
            case {"mutant": str(mutant), "reason": str(reason), **rest} if reason.strip() and not rest:
                read.append(Equivalent(mutant, reason))
            case _:
                raise MutateError(
                    f"{path}: [[equivalent]] {number} needs a mutant and a reason, and no more."
                )
    return tuple(read)


def _specimens(course: Course, exercise: Exercise) -> Iterator[Specimen]:
    mutants = _mutants()
    files = _solution(course, exercise)
    for path, content in files.items():
        source = content.decode("utf-8")
        for mutant in mutants(source):
            name = (
                f"{path.removeprefix(exercise.target + '/')}: {mutant.id}" if exercise.package else mutant.id
            )
            changed = {**files, path: mutant.source.encode()}
            yield Specimen(name, _diff(path, source, mutant), of_files(name, changed))


def _mutants() -> Callable[[str], tuple[Mutant, ...]]:
    """What makes mutants. It stands on a tool that only authors need to install."""
    try:
        from grader.authoring.mutants import mutants
    except ModuleNotFoundError as error:
        raise MutateError(
            f"{error.name} is not installed. Install it: python -m pip install {error.name}"
        ) from error
    return mutants


def _solution(course: Course, exercise: Exercise) -> dict[str, bytes]:
    if exercise.parts:
        raise MutateError(
            f"{exercise.id}: is composed of other exercises, and has no code to mutate. Mutate those."
        )
    base = course.solution(exercise)
    if not base.exists():
        raise MutateError(
            f"{exercise.id}: {base} is missing, so there is nothing to mutate. Write the solution."
        )
    return {path: file.read_bytes() for path, file in course.files(exercise, base).items()}


def _diff(path: str, source: str, mutant: Mutant) -> str:
    lines = difflib.unified_diff(
        source.splitlines(), mutant.source.splitlines(), path, path, n=2, lineterm=""
    )
    return "\n".join(list(lines)[2:])


def _check_solution(exercise: Exercise, report: Report) -> None:
    lost = report.first_open
    if lost is not None:
        raise MutateError(
            f"{exercise.id}: the solution itself loses {lost.id} ({lost.message or lost.outcome}), so no "
            f"mutant can be told from it. `grader author validate {exercise.name}` says more."
        )


class _Fates:
    """What became of each mutant that was judged under this key, kept in a file, a line each."""

    def __init__(self, course: Course, exercise: Exercise, key: str) -> None:
        folder = course.state / CACHE / exercise.id
        self._path = folder / f"{key}.jsonl"
        self._exercise = exercise
        self._fates: dict[str, str] = {}
        for stale in folder.glob("*.jsonl"):
            if stale != self._path:
                stale.unlink()
        if self._path.is_file():
            self._fates.update(_complete_lines(self._path))

    def known(self, specimen: Specimen) -> bool:
        return self._name(specimen) in self._fates

    def of(self, specimen: Specimen) -> str:
        return self._fates[self._name(specimen)]

    def learn(self, specimen: Specimen, report: Report) -> None:
        name = self._name(specimen)
        self._fates[name] = _fate(report)
        if self._fates[name] != UNJUDGED:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([name, self._fates[name]]) + "\n")

    def _name(self, specimen: Specimen) -> str:
        return specimen.submission.digest(self._exercise)


def _complete_lines(path: Path) -> Iterator[tuple[str, str]]:
    """The entries of a file whose last line may have been cut off."""
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("]\n"):
            name, fate = json.loads(line)
            yield name, fate


def _fate(report: Report) -> str:
    if not report.valid:
        return UNJUDGED
    return SURVIVED if report.earned else CAUGHT


def _measurement(
    course: Course,
    exercise: Exercise,
    specimens: Sequence[Specimen],
    fates: _Fates,
    listed: Sequence[Equivalent],
) -> Measurement:
    by_id = {specimen.id: fates.of(specimen) for specimen in specimens}
    named = {entry.mutant for entry in listed}
    survivors = tuple(s for s in specimens if by_id[s.id] == SURVIVED and s.id not in named)
    where = course.suite(exercise) / EQUIVALENT
    return Measurement(
        exercise=exercise.id,
        caught=tuple(mutant for mutant, fate in by_id.items() if fate == CAUGHT),
        survivors=survivors,
        equivalent=tuple(entry for entry in listed if by_id.get(entry.mutant) == SURVIVED),
        errors=(*_wrong_entries(where, listed, by_id), *_unjudged(by_id)),
    )


def _wrong_entries(where: Path, listed: Sequence[Equivalent], fates: Mapping[str, str]) -> Iterator[str]:
    for entry in listed:
        if entry.mutant not in fates:
            yield f"{where}: there is no mutant {entry.mutant!r}. Take it out, or quote its id of now."
        elif fates[entry.mutant] == CAUGHT:
            yield f"{where}: {entry.mutant!r} is caught, so it is not equivalent. Take the entry out."
        if [other.mutant for other in listed].count(entry.mutant) > 1:
            yield f"{where}: {entry.mutant!r} is listed more than once. Keep one entry."


def _unjudged(fates: Mapping[str, str]) -> Iterator[str]:
    for mutant, fate in fates.items():
        if fate == UNJUDGED:
            yield f"{mutant}: the judge itself failed on this mutant. Judge it alone, and mend the judge."


def _key(course: Course, exercise: Exercise) -> str:
    """The digest of all that a verdict on a mutant depends on besides the mutant."""
    whole = hashlib.sha256(repr((OPTIONS, grading.suite_digest(course, exercise))).encode())
    for path in _ground(course, exercise):
        whole.update(f"{path.name}\0".encode() + path.read_bytes())
    return whole.hexdigest()[:16]


def _ground(course: Course, exercise: Exercise) -> Iterator[Path]:
    """The solution, the judge's own modules, and the reference if the exercise may stand on it."""
    own = tuple(course.files(exercise, course.solution(exercise)).values())
    yield from own
    judging = Path(grading.__file__).parent
    for folder in ("suite", "judge", "worker"):
        yield from sorted((judging / folder).rglob("*.py"))
    yield from (judging / f"{name}.py" for name in ("grading", "transcript", "report"))
    probe = course.suite(exercise) / "probe.py"
    readers = (path.read_text(encoding="utf-8") for path in (*own, probe) if path.is_file())
    if exercise.in_framework or any(FRAMEWORK in text for text in readers):
        yield from sorted(course.reference.rglob("*.py"))


def render(measurement: Measurement) -> RenderableType:
    """What the author reads: how many were caught, then each survivor with its diff, then what is wrong."""
    parts: list[RenderableType] = []
    for specimen in measurement.survivors[:SHOWN_SURVIVORS]:
        parts += [Text(f"survived: {specimen.id}", style="bold red"), Syntax(specimen.diff, "diff"), Text("")]
    if len(measurement.survivors) > SHOWN_SURVIVORS:
        parts.append(Text(f"... and {len(measurement.survivors) - SHOWN_SURVIVORS} more survivors"))
    parts += [Text(error, style="red") for error in measurement.errors]
    parts.append(Text(summary(measurement), style="green" if measurement.passed else "bold"))
    if measurement.survivors:
        parts.append(Text(f"Kill each with a better property, or list it in {EQUIVALENT} with the reason."))
    return Group(*parts)


def summary(measurement: Measurement) -> str:
    """One line: how many mutants there are, and what became of them."""
    return (
        f"{measurement.exercise}: {measurement.total} mutants, {len(measurement.caught)} caught, "
        f"{len(measurement.survivors)} survived, {len(measurement.equivalent)} equivalent"
    )
