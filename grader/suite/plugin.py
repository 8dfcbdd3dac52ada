"""The pytest plugin: collects a suite as a plan, runs it in plan order, and keeps each test's verdict.

Rule 1: settings and seed are set on each test before each run; `@given` bound its own at decoration.
Rule 2: the seed depends on the course's secret, the round, the exercise and the test, and on nothing else.
Rule 3: a test without a known requirement, or a suite that cannot be imported, is a `BrokenSuite`: our own fault.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import hashlib
import hmac
import inspect
import time
import warnings
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase
from hypothesis.errors import HypothesisDeprecationWarning, HypothesisException

from grader.course import Exercise
from grader.report import Outcome, Planned
from grader.suite.fixtures import SUBMISSION
from grader.suite.loaded import EXAMPLES, Inputs, LoadedSuite
from grader.suite.marks import MARK, Unmet
from grader.suite.recorder import STATE, Recorder, Verdict
from grader.suite.submission import Submission

PROFILES = {"watch": 20, "local": 100, "official": 300}
"""Examples a property, by profile."""


class BrokenSuite(Exception):
    """A suite is wrong: the judge's own fault, and never the learner's."""


@dataclass(frozen=True)
class Plan:
    """What a run of the suite depends on.

    `replay` gives stored inputs by test id instead of generated ones. With `remember`, a property that passed is tried
    on the same inputs the next time, without Hypothesis, which is called in as soon as one of them fails.
    """

    exercise: Exercise
    examples: int
    seed: str
    secret: bytes = b""
    shrink: bool = True
    stop_first: bool = False
    replay: dict[str, dict[str, Any]] | None = None
    remember: bool = False

    def seed_of(self, test: str) -> int:
        """The seed of one test: HMAC(secret, seed, exercise, test)."""
        message = "\0".join((self.seed, self.exercise.id, test)).encode()
        return int.from_bytes(hmac.digest(self.secret, message, hashlib.sha256)[:8], "big")


class SuitePlugin:
    """One run of one suite on one submission.

    `opening()` is called once the plan is made, and tells why nothing can be judged, or None; `on_test` is called with
    a test's title, requirement and outcome after each.
    """

    def __init__(
        self,
        plan: Plan,
        suite: LoadedSuite,
        submission: Submission,
        opening: Callable[[], Verdict | None],
        on_test: Callable[[str, str, Outcome], None],
    ) -> None:
        self.plan = plan
        self.planned: tuple[Planned, ...] = ()
        self.titles: dict[str, str] = {}
        self.verdicts: dict[str, Verdict] = {}
        self.seconds: dict[str, float] = {}
        self.broken: list[str] = []
        self._suite = suite
        self._kept: dict[str, list[Inputs]] = {}
        self._recorder = Recorder(submission)
        self._submission = submission
        self.blocked: Verdict | None = None
        self._opening = opening
        self._on_test = on_test

    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[SUBMISSION] = self._submission
        config.addinivalue_line("markers", f"{MARK}(id): the requirement that a test proves")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.broken.append(str(report.longrepr))

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        known = {entry.id: number for number, entry in enumerate(self.plan.exercise.requirements)}
        for item in items:
            if _requirement(item) not in known:
                self.broken.append(f"{item.nodeid}: marks no requirement of {self.plan.exercise.id}")
        if self.broken:
            return
        items.sort(key=lambda item: known[_requirement(item)])
        if self.plan.replay is not None:
            items[:] = [item for item in items if item.name in self.plan.replay]
        by_requirement: dict[str, list[str]] = {entry.id: [] for entry in self.plan.exercise.requirements}
        for item in items:
            by_requirement[_requirement(item)].append(item.name)
            self.titles[item.name] = _title(item)
            self._prepare(item)
        self.planned = tuple(Planned(name, tuple(tests)) for name, tests in by_requirement.items())

    def pytest_runtestloop(self) -> bool | None:
        if not self.broken:
            self.blocked = self._opening()
        return True if self.blocked or self.broken else None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        started = time.perf_counter()
        self._recorder.begin_test()
        failure: BaseException | None = None
        try:
            yield
        except (KeyboardInterrupt, pytest.exit.Exception):  # a person's wish, not the submission's doing
            raise
        except BaseException as error:  # noqa: BLE001 - every ending of a test becomes a verdict
            failure = error
        verdict = self._recorder.verdict(failure)
        self.verdicts[item.name] = verdict
        if verdict.outcome == "passed" and item.name in self._kept:
            self._suite.remember(self._key(item.name), self._kept[item.name])
        self.seconds[item.name] = time.perf_counter() - started
        self._on_test(self.titles[item.name], _requirement(item), verdict.outcome)
        if self.plan.stop_first and verdict.outcome != "passed":
            item.session.shouldfail = "a requirement is lost"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:  # setup or teardown: nothing of the submission runs there
            self.broken.append(str(report.longrepr))

    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> None:
        self._recorder.compare(op, left, right)

    def _prepare(self, item: pytest.Item) -> None:
        function = item.obj  # type: ignore[attr-defined]
        if not hasattr(function, "hypothesis"):
            return
        written = self._suite.property_of(item.name, function)
        stored = (self.plan.replay or {}).get(item.name)
        function._hypothesis_internal_use_settings = self._settings(generate=not stored)
        function._hypothesis_internal_use_seed = self.plan.seed_of(item.name)
        setattr(function, EXAMPLES, [] if stored else list(written.examples))
        if stored:
            hypothesis.example(**stored)(function)
        inputs = self._suite.inputs.get(self._key(item.name)) if self.plan.remember else None
        if self.plan.remember and inputs is None:
            self._kept[item.name] = []
        function.hypothesis.inner_test = inner = self._recorded(written.inner, self._kept.get(item.name))
        if inputs is not None:
            item.obj = self._again(function, inner, inputs)  # type: ignore[attr-defined]

    def _key(self, test: str) -> tuple[str, int, int]:
        return test, self.plan.seed_of(test), self.plan.examples

    def _again(
        self, function: Callable[..., Any], inner: Callable[..., Any], inputs: Sequence[Inputs]
    ) -> Callable[..., Any]:
        """The test on remembered inputs. What fails on one is judged by Hypothesis, live, and never passes."""

        @functools.wraps(function)
        def run(**fixtures: Any) -> None:
            try:
                with asyncio.Runner() as runner, warnings.catch_warnings():
                    warnings.simplefilter("ignore", HypothesisDeprecationWarning)  # of assume()
                    for each in inputs:
                        done = inner(**fixtures, **copy.deepcopy(dict(each)))
                        if done is not None:
                            runner.run(done)
            except Exception as error:
                self._recorder.begin_test()
                function(**fixtures)
                if not isinstance(error, HypothesisException):
                    raise Unmet(STATE) from error

        return run

    def _settings(self, *, generate: bool) -> hypothesis.settings:
        phases = [Phase.explicit]
        if generate:
            phases.append(Phase.generate)
        if generate and self.plan.shrink:
            phases.append(Phase.shrink)
        return hypothesis.settings(
            max_examples=self.plan.examples,
            database=None,
            deadline=None,
            derandomize=False,
            print_blob=False,
            report_multiple_bugs=False,
            phases=phases,
            suppress_health_check=list(HealthCheck),
            verbosity=hypothesis.Verbosity.quiet,
        )

    def _recorded(self, inner: Callable[..., Any], kept: list[Inputs] | None) -> Callable[..., Any]:
        recorder = self._recorder

        def keep(inputs: Inputs) -> None:
            if kept is not None:
                kept.append({name: value for name, value in inputs.items() if value is not self._submission})

        if inspect.iscoroutinefunction(inner):

            @functools.wraps(inner)
            async def run_async(*args: Any, **kwargs: Any) -> None:
                recorder.begin_example(kwargs)
                try:
                    await inner(*args, **kwargs)
                except BaseException as error:
                    recorder.failed(error)
                    raise
                keep(kwargs)

            return run_async

        @functools.wraps(inner)
        def run(*args: Any, **kwargs: Any) -> None:
            recorder.begin_example(kwargs)
            try:
                inner(*args, **kwargs)
            except BaseException as error:
                recorder.failed(error)
                raise
            keep(kwargs)

        return run


def _requirement(item: pytest.Item) -> str:
    mark = item.get_closest_marker(MARK)
    return str(mark.args[0]) if mark is not None and mark.args else ""


def _title(item: pytest.Item) -> str:
    documented = inspect.getdoc(item.obj)  # type: ignore[attr-defined]
    return documented.splitlines()[0] if documented else item.name
