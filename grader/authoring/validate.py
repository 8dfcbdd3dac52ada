"""The proof of an exercise: doing nothing earns nothing, right answers earn everything, wrong ones do not.

Rule 1: what can be read is checked first; without a solution and a gallery to be read, nothing is judged.
Rule 2: every claim is shown on a submission: stub, trivial ones, solution, other right ones, mistakes. The right ones
are judged on as many examples as a learner's; the wrong ones on few, since pinned examples have to catch them.
Rule 3: a problem is returned, never raised; only what keeps us from judging at all is raised.
Rule 4: nothing here prints.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from grader import grading
from grader.authoring import mistakes, stubs
from grader.authoring.imports import import_problems
from grader.authoring.mistakes import Mistake, MistakeError, read_mistakes, submission_of
from grader.authoring.pool import Judge, Task, cores, judge_all
from grader.authoring.problem import Problem
from grader.authoring.sheets import is_whole, sheet_problems
from grader.authoring.stubs import StubError
from grader.authoring.suites import stray_problems, suite_problems
from grader.authoring.trivial import trivial_submissions
from grader.course import Course, Exercise
from grader.grading import Options
from grader.report import Report, RequirementResult
from grader.submission import Submission, of_files
from grader.suite.plugin import BrokenSuite

MISTAKES = 6
"""Mistakes that every exercise needs."""
MISTAKES_OF_LONG_ONES = 12
"""Mistakes that an exercise of `LONG` minutes or more needs."""
LONG = 45
"""From how many minutes on an exercise is long."""
IMPORTS_HEADER = re.compile(r"# imports: *([\w.]+(?:, *[\w.]+)*)\s*$")
"""The comment at the head of a fair solution that names further imports."""

Step = Callable[[str], None]
"""Is told, in words, what has just been proved or judged."""


class CannotJudge(Exception):
    """The exercise lacks something without which nothing can be judged: names it."""


@dataclass(frozen=True)
class Claim:
    """A submission, in words, and what its report must look like: `problems` gives what is wrong with it."""

    words: str
    task: Task
    problems: Callable[[Report], Iterator[Problem]]


def validate(
    course: Course,
    exercise: Exercise,
    sandboxes: Sequence[str] = ("process",),
    on_step: Step | None = None,
    *,
    judge: Judge = grading.judge,
    jobs: int | None = None,
) -> tuple[Problem, ...]:
    """Everything that is wrong with an exercise; empty if it is proved.

    The solution is judged in each of the `sandboxes`, everything else in the first. `on_step` is told of each
    submission that is done. Raises what the judge raises where it cannot work at all (SandboxUnavailable).
    """
    tell = on_step or _silent
    found = [*sheet_problems(course, exercise), *suite_problems(course, exercise)]
    tell("sheet and suite are read")
    try:
        found += [*_files_problems(course, exercise), *_gallery_problems(course, exercise)]
        found += import_problems(course, exercise)
        claims = tuple(_claims(course, exercise, sandboxes))
    except (CannotJudge, StubError, MistakeError) as error:
        return (*found, Problem(exercise.id, exercise.id, str(error), "Then validate again"))
    reports = judge_all(course, exercise, [claim.task for claim in claims], judge, jobs or cores())
    try:
        for claim, (_, report) in zip(claims, reports, strict=True):
            found += _ours(exercise, claim, report) or claim.problems(report)
            tell(claim.words)
    except BrokenSuite as error:
        found.append(
            _in_suite(course, exercise, f"the suite is broken: {error}", "Mend it, then judge again")
        )
    return tuple(found)


def validate_course(course: Course) -> tuple[Problem, ...]:
    """What is wrong with the course as a whole: files of no exercise, given files and the map out of step."""
    stale = tuple(
        Problem("", str(path.relative_to(course.root)), "is not what the course gives", _RESTUB)
        for path, content in stubs.shared(course).items()
        if not path.is_file() or path.read_bytes() != content
    )
    return (*stray_problems(course), *stale)


_RESTUB = "Run `grader author stubs`"


def _files_problems(course: Course, exercise: Exercise) -> Iterator[Problem]:
    """Whether the stub is what the solution gives. Raises CannotJudge without a solution, StubError."""
    for source in exercise.sources:
        solution = course.solution(source)
        if not solution.exists():
            raise CannotJudge(f"{solution.relative_to(course.root)} is missing: write the solution")
    for drift in stubs.check(course, [exercise]):
        words = {"missing": "the stub is missing", "differs": "the stub is not what the solution gives"}[
            drift.how
        ]
        yield Problem(exercise.id, str(drift.path.relative_to(course.root)), words, _RESTUB)


def _gallery_problems(course: Course, exercise: Exercise) -> Iterator[Problem]:
    """Whether every mistake fits the solution, and whether there are enough. Raises MistakeError."""
    problem = partial(
        Problem, exercise.id, str((course.suite(exercise) / mistakes.FILE).relative_to(course.root))
    )
    gallery = read_mistakes(course, exercise)
    long = is_whole(exercise.minutes) and exercise.minutes >= LONG
    needed = MISTAKES_OF_LONG_ONES if long else MISTAKES
    if len(gallery) < needed:
        what = f"there are {len(gallery)} mistakes of the {needed} that {exercise.minutes} minutes ask for"
        yield problem(what, "Add mistakes that learners make")
    for mistake in gallery:
        try:
            submission_of(course, exercise, mistake)
        except MistakeError as error:
            yield problem(str(error), "Mend the entry")


def _fitting(course: Course, exercise: Exercise) -> Iterator[tuple[Mistake, Submission]]:
    """The mistakes that fit the solution, as submissions."""
    for mistake in read_mistakes(course, exercise):
        with suppress(MistakeError):
            yield mistake, submission_of(course, exercise, mistake)


def _claims(course: Course, exercise: Exercise, sandboxes: Sequence[str]) -> Iterator[Claim]:
    options = Options(profile="local", sandbox=sandboxes[0], shrink=False)
    few = replace(options, profile="watch")
    stub = of_files("the stub", _stub_files(course, exercise))
    yield Claim("the stub earns nothing", Task(stub, few), partial(_stub, course, exercise))
    for submission in trivial_submissions(course, exercise):
        words = f"a submission in which {submission.name} earns nothing"
        yield Claim(words, Task(submission, few), partial(_earns_nothing, course, exercise, submission.name))
    answer = _answer(course, exercise)
    for sandbox in sandboxes:
        task = Task(of_files("the solution", answer), replace(options, sandbox=sandbox))
        where = str(course.solution(exercise).relative_to(course.root))
        yield Claim(
            f"the solution earns everything in {sandbox}", task, partial(_earns_all, exercise, where, sandbox)
        )
    for path, submission, imports in fair_solutions(course, exercise):
        where = str(path.relative_to(course.root))
        task = Task(submission, replace(options, imports=imports))
        yield Claim(f"{path.name} earns everything", task, partial(_earns_all, exercise, where, sandboxes[0]))
    yield from _grounds(course, exercise, few)
    yield from _mistakes(course, exercise, few)


def _answer(course: Course, exercise: Exercise) -> dict[str, bytes]:
    return {path: file.read_bytes() for path, file in course.answers(exercise).items()}


def _stub_files(course: Course, exercise: Exercise) -> dict[str, bytes]:
    if exercise.parts:
        files: dict[str, bytes] = {}
        for part in exercise.parts:
            files |= _stub_files(course, part)
        return files
    made = stubs.stubs_of(course, exercise)
    base = course.stub(exercise)
    if not exercise.package:
        return {exercise.target + ".py": made[base]}
    return {
        f"{exercise.target}/{path.relative_to(base).as_posix()}": content for path, content in made.items()
    }


def _mistakes(course: Course, exercise: Exercise, options: Options) -> Iterator[Claim]:
    for mistake, submission in _fitting(course, exercise):
        words = f"mistake: {mistake.title}"
        yield Claim(words, Task(submission, options), partial(_mistake, course, exercise, mistake))


def _grounds(course: Course, exercise: Exercise, options: Options) -> Iterator[Claim]:
    """The solution among other right solutions of the modules that it stands on; for parts, these alone."""
    below = exercise.parts or tuple(_needed(course, exercise))
    fair = {each.id: found for each in below if (found := tuple(fair_solutions(course, each)))}
    for number in range(max(map(len, fair.values()), default=0)):
        chosen = {name: found[number % len(found)] for name, found in fair.items()}
        files = _answer(course, exercise)
        for _, submission, _ in chosen.values():
            files |= submission.contents
        where = ", ".join(str(path.relative_to(course.root)) for path, *_ in chosen.values())
        own = None if exercise.parts else (exercise.id, *chosen)
        imports = tuple(sorted({name for *_, imports in chosen.values() for name in imports}))
        task = Task(of_files(f"ground {number + 1}", files), replace(options, own=own, imports=imports))
        words = f"everything is earned on other right modules, {number + 1}"
        yield Claim(words, task, partial(_earns_all, exercise, f"the solution with {where}", options.sandbox))


def _needed(course: Course, exercise: Exercise) -> Iterator[Exercise]:
    """The framework's modules that an exercise builds on, directly or not, in the course's order."""
    needed = set(exercise.builds_on)
    for each in reversed(course.exercises):  # what is built on comes before
        if each.id in needed:
            needed.update(each.builds_on)
    yield from (each for each in course.exercises if each.id in needed and each.in_framework)


def fair_solutions(course: Course, exercise: Exercise) -> Iterator[tuple[Path, Submission, tuple[str, ...]]]:
    """Other right solutions: where each lies, the submission, the further imports that its header names."""
    folder = course.fair(exercise)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_dir() == exercise.package and path.name != "__pycache__":
            files = {name: file.read_bytes() for name, file in course.files(exercise, path).items()}
            texts = [content.decode("utf-8", "replace") for content in files.values()]
            imports = sorted({name for text in texts for name in _header_imports(text)})
            yield path, of_files(path.name, files), tuple(imports)


def _header_imports(text: str) -> Iterator[str]:
    """The names in the `# imports: ...` comment before a file's first statement."""
    for line in text.splitlines():
        if line and not line.startswith("#"):
            return
        if found := IMPORTS_HEADER.match(line):
            yield from (name.strip() for name in found[1].split(","))


# What each claim demands of a report


def _ours(exercise: Exercise, claim: Claim, report: Report) -> tuple[Problem, ...]:
    """The requirements that the judge itself failed on."""
    return tuple(
        Problem(
            exercise.id,
            claim.words,
            f"{entry.id}: the judge failed: {entry.message}",
            "Mend the suite or the judge",
        )
        for entry in report.requirements
        if entry.outcome == "judge_error"
    )


def _stub(course: Course, exercise: Exercise, report: Report) -> Iterator[Problem]:
    yield from _earns_nothing(course, exercise, "the stub", report)
    for entry in report.requirements:
        for test in entry.tests:
            if test.outcome not in ("not_attempted", "blocked"):
                what = (
                    f"{entry.id}: on the stub, the test {test.title!r} is {test.outcome}, not not_attempted"
                )
                yield _in_suite(course, exercise, what, "Let the test call the learner's code first")


def _earns_nothing(course: Course, exercise: Exercise, who: str, report: Report) -> Iterator[Problem]:
    for entry in report.requirements:
        if entry.points:
            what = f"{entry.id} is earned by a submission that does nothing: {who}"
            yield _in_suite(course, exercise, what, "Add a positive control to its tests")


def _earns_all(exercise: Exercise, where: str, sandbox: str, report: Report) -> Iterator[Problem]:
    for entry in report.requirements:
        if entry.outcome != "passed":
            what = f"is right, but loses {entry.id} in {sandbox} ({_why(entry)})"
            yield Problem(
                exercise.id, where, what, "Mend it, or the test that asks for more than the sheet says"
            )


def _why(entry: RequirementResult) -> str:
    inputs = ", ".join(f"{value.name}={value.text}" for value in entry.counterexample)
    return "; ".join(part for part in (entry.outcome, entry.message, inputs) if part)


def _mistake(course: Course, exercise: Exercise, mistake: Mistake, report: Report) -> Iterator[Problem]:
    where = str((course.suite(exercise) / mistakes.FILE).relative_to(course.root))
    lost = {entry.id for entry in report.requirements if entry.outcome != "passed"}
    problem = partial(Problem, exercise.id, where)
    if not lost:
        yield problem(
            f"mistake {mistake.title!r} is not caught: it earns everything", "Add an example that shows it"
        )
        return
    for name in mistake.must:
        if name not in lost:
            instead = ", ".join(sorted(lost))
            what = f"mistake {mistake.title!r} must lose {name}, but earns it and loses {instead}"
            yield problem(what, "Add an example that shows it")
    if exercise.parts:
        yield from _blame(exercise, mistake, report, problem)
    for name in sorted(lost - {*mistake.must, *mistake.may}):
        what = f"mistake {mistake.title!r} also loses {name}"
        yield problem(what, f"Let its tests ask only for {name}, or add it to `may`")


def _blame(
    exercise: Exercise, mistake: Mistake, report: Report, problem: Callable[[str, str], Problem]
) -> Iterator[Problem]:
    """Whether what a mistake in one of the parts must lose is put down to this part."""
    wrong = f"{exercise.home}/{mistake.file}".removesuffix(".py")
    for entry in report.requirements:
        blamed = ", ".join(entry.at_fault) or "no module"
        if entry.id in mistake.must and entry.outcome != "passed" and entry.at_fault != (wrong,):
            what = f"mistake {mistake.title!r} is in {wrong}, but {entry.id} blames {blamed}"
            yield problem(what, "Let the tests show it in one module, or move it to `may`")


def _silent(words: str) -> None:
    pass


def _in_suite(course: Course, exercise: Exercise, what: str, cure: str) -> Problem:
    return Problem(exercise.id, str(course.suite(exercise).relative_to(course.root)), what, cure)


def render(problems: Sequence[Problem]) -> RenderableType:
    """What the author reads: a paragraph for each problem, then how many there are."""
    parts: list[RenderableType] = [
        Text.assemble((problem.where, "bold"), f": {problem.what}. ", (f"{problem.cure}.", "italic"))
        for problem in problems
    ]
    count = len(problems)
    words = "No problem found." if not count else f"{count} problem{'s' if count > 1 else ''}."
    return Group(*parts, Text(words, style="bold red" if count else "green"))
