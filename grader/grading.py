"""Grading: an exercise and a submission become a report.

Rule 1: a plan is made first; a planned test without a result is our own fault, never the learner's.
Rule 2: same submission, seed and profile: the same report, but for durations, resources and captured output.
Rule 3: every worker is ended, and every file of a run is gone, whatever happens.
"""

from __future__ import annotations

import hashlib
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import hypothesis
import hypothesis.configuration
import msgspec
import pytest
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

from grader import __version__, transcript
from grader.blame import with_blame
from grader.course import Course, Exercise
from grader.judge import affinity, ending, overlay, sandboxes
from grader.judge.client import Guards, Worker
from grader.report import (
    Durations,
    Finding,
    Outcome,
    Planned,
    Report,
    RequirementResult,
    SuiteDigest,
    TestResult,
    Value,
)
from grader.submission import Submission
from grader.suite import Submission as Subject
from grader.suite.loaded import LoadedSuite, load
from grader.suite.plugin import PROFILES, BrokenSuite, Plan, SuitePlugin
from grader.suite.recorder import Verdict
from grader.transcript import Error
from grader.worker import wire

IMPORT_TRIES = 2
"""How often a file whose import hangs or dies is tried."""
UNUSED_PLUGINS = (
    "cacheprovider", "debugging", "doctest", "faulthandler", "junitxml", "legacypath", "logging", "pastebin", "recwarn",
    "setuponly", "setupplan", "stepwise", "terminal", "threadexception", "unittest", "unraisableexception", "warnings",
)  # fmt: skip
"""Plugins of pytest's own that a suite has no use for: each costs start-up, two of them a garbage collection a run."""
CI_MARKS = ("CI", "BUILD_NUMBER")
"""Variables by which pytest tells that it runs on CI."""
BLOCKED = Verdict(
    "blocked", Finding(message="this could not be judged, since your file could not be imported")
)


@dataclass(frozen=True)
class Options:
    """How to judge: profile, sandbox, seed (the round's, or the caller's), the course's secret, further imports.

    Without `shrink` the first counterexample stands as it was found; `stop_first` ends at the first test that fails;
    `debug` gives the worker the terminal. `remember` tries a property that has passed in this process on the same
    inputs again, without Hypothesis. `alone` says that no other judge runs beside this one. `guards` are the limits of
    each exchange, where they are not the usual ones. `own` are the ids of the exercises whose modules are the
    submission's, where that is not just the exercise itself (or its parts); the others are the reference's.
    """

    profile: str = "local"
    sandbox: str = "process"
    seed: str = "0"
    secret: bytes = b""
    imports: tuple[str, ...] = ()
    shrink: bool = True
    stop_first: bool = False
    debug: bool = False
    remember: bool = False
    alone: bool = False
    guards: Guards | None = None
    own: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Step:
    """One test is done: its title, its requirement, its outcome, how many are done and planned.

    Where the module at fault is looked for, a module is what is done: then the requirement is empty.
    """

    test: str
    requirement: str
    outcome: Outcome
    done: int
    planned: int


def judge(
    course: Course,
    exercise: Exercise,
    submission: Submission,
    options: Options = Options(),
    on_test: Callable[[Step], None] | None = None,
) -> Report:
    """Judge one exercise of one submission.

    Raises BrokenSuite if the course's own files are wrong, SandboxUnavailable, NotInstalled.
    """
    report = _Run(course, exercise, submission, options, on_test).report()
    if not exercise.parts or report.earned or not report.valid or options.own or options.stop_first:
        return report
    lost = _lost(report)

    suspects = [part for part in exercise.parts if not _is_the_answer(course, part, submission)]
    swapped = 0

    def retry(parts: Sequence[Exercise]) -> Report:
        nonlocal swapped
        swapped += 1
        again = replace(options, own=tuple(part.id for part in parts), shrink=False, debug=False)
        tried = _Run(course, exercise, submission, again, None, replay=lost).report()
        if on_test is not None:
            on_test(Step("a module is swapped", "", "passed", swapped, max(swapped, len(suspects))))
        return tried

    return with_blame(report, exercise.parts, suspects, retry)


def replay(course: Course, report: Report, submission: Submission, options: Options) -> Report:
    """Judge the counterexamples of a report again, and nothing else: a report of its failed requirements.

    A counterexample whose values are stored is played as it is; any other is found again by the report's seed.
    """
    exercise = course.exercise(report.exercise)
    return _Run(course, exercise, submission, options, None, replay=_lost(report)).report()


def _is_the_answer(course: Course, exercise: Exercise, submission: Submission) -> bool:
    """Whether what was handed in is the course's own answer, so that to swap it would change nothing."""
    answer = course.answers(exercise)
    return all(file.is_file() for file in answer.values()) and submission.files(exercise) == {
        path: file.read_bytes() for path, file in answer.items()
    }


class _Run:
    """One run of one suite on one submission."""

    def __init__(
        self,
        course: Course,
        exercise: Exercise,
        submission: Submission,
        options: Options,
        on_test: Callable[[Step], None] | None,
        replay: dict[str, dict[str, Any]] | None = None,
    ) -> None:
        self._course = course
        self._exercise = exercise
        self._submission = submission
        self._options = options
        self._on_test = on_test
        self._replay = replay
        self._imports = tuple(sorted({*exercise.imports, *options.imports}))

    def report(self) -> Report:
        """Judge."""
        started = time.perf_counter()
        learners = self._learners()
        own = {path: content for each in learners for path, content in self._submission.files(each).items()}
        with sandboxes.Slot() as slot, tempfile.TemporaryDirectory(prefix="grader-") as scratch:
            tree = Path(scratch)
            tree.chmod(0o755)
            overlay.compose(self._course, self._exercise, own, tree, self._imports, replaced=learners)
            launch = partial(self._start, tree, slot)
            subject = Subject(launch, *(each.name for each in learners), together=self._options.alone)
            missing = next(
                filter(None, (_missing(each, self._submission.files(each)) for each in learners)), ""
            )
            try:
                if not missing:
                    subject.launch()  # it imports while pytest collects
                plugin = self._run(subject, partial(self._opening, subject, missing))
            finally:
                subject.close()
        if plugin.blocked is not None:
            plugin.verdicts.update(_blocked(plugin.planned, plugin.blocked))
        return self._assemble(plugin, subject, time.perf_counter() - started)

    def _learners(self) -> tuple[Exercise, ...]:
        """The exercises whose modules are the submission's."""
        if self._options.own is None:
            return self._exercise.sources
        return tuple(self._course.exercise(name) for name in self._options.own)

    def _start(self, tree: Path, slot: sandboxes.Slot) -> Worker:
        return Worker.launch(
            self._options.sandbox, tree, slot=slot, imports=self._imports, guards=self._options.guards,
            debug=self._options.debug,
        )  # fmt: skip

    def _opening(self, subject: Subject, missing: str) -> Verdict | None:
        """What the first requirement is told when the submission cannot be imported."""
        if missing:
            return Verdict("failed", Finding(message=missing))
        for attempt in range(1, IMPORT_TRIES + 1):
            try:
                subject.open()
            except ending.ImportFailed as failed:
                return Verdict("failed", _import_finding(self._exercise, failed.error))
            except (ending.Ending, ending.FinalEnding) as bad:
                if attempt == IMPORT_TRIES:
                    message = f"your file could not be imported: {transcript.plain(str(bad))}"
                    return Verdict(bad.outcome, Finding(message=message))
            else:
                return None
        return None

    def _run(self, subject: Subject, opening: Callable[[], Verdict | None]) -> SuitePlugin:
        options = self._options
        plan = Plan(
            self._exercise, PROFILES[options.profile], options.seed, options.secret, options.shrink,
            options.stop_first, self._replay, options.remember,
        )  # fmt: skip
        suite = load(self._course.suite(self._exercise))
        done = 0

        def step(title: str, requirement: str, outcome: Outcome) -> None:
            nonlocal done
            done += 1
            if self._on_test is not None:
                planned = sum(len(entry.tests) for entry in plugin.planned)
                self._on_test(Step(title, requirement, outcome, done, planned))

        plugin = SuitePlugin(plan, suite, subject, opening, step)
        _steady_hypothesis(self._course.state / "hypothesis")
        with affinity.here() if options.alone else nullcontext():
            _run_pytest(suite, plugin)
        if plugin.broken:
            raise BrokenSuite(f"{self._exercise.id}: the suite is broken: {plugin.broken[0]}")
        return plugin

    def _assemble(self, plugin: SuitePlugin, subject: Subject, seconds: float) -> Report:
        entries = tuple(
            self._requirement(planned, plugin) for planned in plugin.planned if self._wanted(planned)
        )
        return Report(
            exercise=self._exercise.id,
            title=self._exercise.title,
            points=sum(entry.points for entry in entries),
            max_points=sum(entry.max_points for entry in entries),
            submission=self._submission.digest(self._exercise),
            suite=suite_digest(self._course, self._exercise),
            seed=self._options.seed,
            keyed=bool(self._options.secret),
            profile=self._options.profile,
            sandbox=self._options.sandbox,
            plan=plugin.planned,
            requirements=entries,
            imports_allowed=self._options.imports,
            durations=Durations(
                round(seconds, 4), {name: round(took, 4) for name, took in plugin.seconds.items()}
            ),
            resources=subject.resources(),
            output=subject.output(),
        )

    def _wanted(self, planned: Planned) -> bool:
        return self._replay is None or bool(planned.tests)

    def _requirement(self, planned: Planned, plugin: SuitePlugin) -> RequirementResult:
        demanded = self._exercise.requirement(planned.requirement)
        unjudged = Verdict("blocked", BLOCKED.finding) if self._options.stop_first else NO_RESULT
        verdicts = {test: plugin.verdicts.get(test, unjudged) for test in planned.tests}
        decisive = _decisive(list(verdicts.values()))
        finding = decisive.finding or Finding(message="")
        return RequirementResult(
            id=demanded.id,
            sentence=demanded.sentence,
            source=demanded.source,
            outcome=decisive.outcome,
            points=demanded.points if decisive.outcome == "passed" else 0,
            max_points=demanded.points,
            tests=tuple(
                TestResult(test, plugin.titles[test], verdict.outcome) for test, verdict in verdicts.items()
            ),
            message=finding.message,
            counterexample=finding.counterexample,
            transcript=finding.transcript,
            expected=finding.expected,
            received=finding.received,
            traceback=finding.traceback,
            read=demanded.read,
            asgi=demanded.asgi,
            hint="" if decisive.outcome == "passed" else f"grader hint {self._exercise.name}",
        )


NO_RESULT = Verdict("judge_error", Finding(message="the judge has no result for this test"))
NO_TEST = Verdict("judge_error", Finding(message="the suite has no test for this requirement"))


def _decisive(verdicts: Sequence[Verdict]) -> Verdict:
    """`judge_error` goes before all; else the first test that did not pass."""
    if not verdicts:
        return NO_TEST
    ours = [verdict for verdict in verdicts if verdict.outcome == "judge_error"]
    lost = [verdict for verdict in verdicts if verdict.outcome != "passed"]
    return next(iter((*ours, *lost, *verdicts)))


def _blocked(planned: Sequence[Planned], first: Verdict) -> dict[str, Verdict]:
    tests = [test for entry in planned for test in entry.tests]
    opening = set(planned[0].tests) if planned else set()
    return {test: first if test in opening else BLOCKED for test in tests}


def _missing(exercise: Exercise, own: dict[str, bytes]) -> str:
    """Words for a submission that lacks the file, or whose file is empty or no text."""
    where = f"exercises/{exercise.id}" + ("/" if exercise.package else ".py")
    if not own:
        return f"{where} is missing. Restore it with `grader reset {exercise.name}`."
    for path, content in own.items():
        if not exercise.package and not content.strip():
            return f"{where} is empty. Restore the stub with `grader reset {exercise.name}`."
        try:
            content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            if b"coding" not in content[:200]:
                return f"{path}: byte {error.start} is no UTF-8. Save the file in the encoding UTF-8."
    return ""


def _import_finding(exercise: Exercise, error: Error) -> Finding:
    words = {
        "SyntaxError": "Python cannot read your file",
        "IndentationError": "Python cannot read your file",
        "TabError": "Python cannot read your file",
    }.get(error.name, "your file could not be imported")
    return Finding(message=f"{words}: {transcript.plain(str(error))}", traceback=error.traceback)


def _lost(report: Report) -> dict[str, dict[str, Any]]:
    """The tests that a report's requirements were lost by, and the inputs of each as far as they are stored."""
    return {
        _decisive_test(entry): _stored(entry.counterexample) for entry in report.requirements if entry.lost
    }


def _decisive_test(entry: RequirementResult) -> str:
    """The test whose counterexample the requirement shows."""
    return next(test.id for test in entry.tests if test.outcome == entry.outcome)


def _stored(values: Sequence[Value]) -> dict[str, Any]:
    """The inputs of a counterexample, or nothing if one of them is not stored."""
    if any(entry.value is msgspec.UNSET for entry in values):
        return {}
    try:
        return {entry.name: wire.from_json(entry.value) for entry in values}
    except wire.WireError:
        return {}


def suite_digest(course: Course, exercise: Exercise) -> SuiteDigest:
    """What a result depends on besides the submission."""
    whole = hashlib.sha256()
    files = [course.sheet(exercise), *sorted(course.suite(exercise).rglob("*.py"))]
    for path in files:
        whole.update(path.name.encode() + b"\0" + path.read_bytes())
    return SuiteDigest(
        files=whole.hexdigest(),
        grader=__version__,
        hypothesis=hypothesis.__version__,
        python=platform.python_version(),
    )


def _run_pytest(suite: LoadedSuite, plugin: SuitePlugin) -> None:
    """Run a suite in this process, with no other plugin than those that a suite needs, and leave no trace."""
    arguments = [
        str(suite.folder), "-c", str(Path(__file__).parent / "suite" / "pytest.ini"), f"--rootdir={suite.folder}",
        "--import-mode=importlib", "--noconftest", "-s", "-p", "pytest_asyncio.plugin", "-p", "grader.suite.fixtures",
    ]  # fmt: skip
    for name in UNUSED_PLUGINS:
        arguments += ["-p", f"no:{name}"]
    with _plain_environment(), suite.importable():
        code = pytest.main(arguments, plugins=[plugin])
    if code == pytest.ExitCode.INTERRUPTED and not plugin.broken:
        raise KeyboardInterrupt
    if code in (
        pytest.ExitCode.USAGE_ERROR,
        pytest.ExitCode.INTERNAL_ERROR,
        pytest.ExitCode.NO_TESTS_COLLECTED,
    ):
        plugin.broken.append(f"pytest ended with {pytest.ExitCode(code).name}")


@contextmanager
def _plain_environment() -> Iterator[None]:
    """The judge's environment, but for what would change pytest.

    On CI it writes the whole difference of two values, which takes minutes for a list of some thousands.
    """
    before = dict(os.environ)
    for name in CI_MARKS:
        os.environ.pop(name, None)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    try:
        yield
    finally:
        os.environ.pop("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
        os.environ.update(before)


def _steady_hypothesis(home: Path) -> None:
    """Let the same seed give the same inputs whatever else was imported: no constants mined from local modules.

    `home` is where Hypothesis keeps its tables of Unicode.
    """
    providers._get_local_constants = Constants
    hypothesis.configuration.set_hypothesis_home_dir(home)
