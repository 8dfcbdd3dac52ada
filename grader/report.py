"""The report: one result model, from which everything else is rendered.

Rule 1: frozen data, with a schema and a version. Nothing here judges or prints.
Rule 2: same submission and seed, same bytes, but for `durations`, `resources` and `output`.
Rule 3: a report with a `judge_error` is invalid: it is never exported.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import msgspec

from grader.transcript import Frame, Line

Schema = Literal["fastasgi-course/result/1"]
SCHEMA: Schema = "fastasgi-course/result/1"
"""The name and version of the result's schema."""

Outcome = Literal[
    "passed",
    "failed",
    "not_attempted",
    "timed_out",
    "stalled",
    "out_of_memory",
    "crashed",
    "blocked",
    "judge_error",
]
"""How a test or a requirement ended; a closed set."""

WORDS: dict[Outcome, str] = {
    "passed": "earned",
    "failed": "not met",
    "not_attempted": "not written yet",
    "timed_out": "took too long",
    "stalled": "waits for ever",
    "out_of_memory": "ran out of memory",
    "crashed": "the process died",
    "blocked": "could not be judged",
    "judge_error": "the judge failed",
}
"""The outcome in the learner's words."""


class Value(msgspec.Struct, frozen=True, omit_defaults=True):
    """One input of a counterexample: its name, its text, and the value itself (`wire.to_json`) where it has one."""

    name: str
    text: str
    value: Any = msgspec.UNSET


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a test that did not pass found.

    `message` says in words what is wrong; `expected` and `received` are the two sides of the comparison that failed, as
    text; `traceback` holds the learner's own frames; `counterexample` the smallest inputs that show it.
    """

    message: str
    counterexample: tuple[Value, ...] = ()
    transcript: tuple[Line, ...] = ()
    expected: str | None = None
    received: str | None = None
    traceback: tuple[Frame, ...] = ()


class TestResult(msgspec.Struct, frozen=True):
    """How one planned test ended. `title` is the first line of its docstring."""

    __test__ = False

    id: str
    title: str
    outcome: Outcome


class RequirementResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """How one requirement ended: as its first test in plan order that did not pass, with what that test found.

    `at_fault` are the ids of the exercises one of which is at fault, where several are judged together.
    """

    id: str
    sentence: str
    source: str
    outcome: Outcome
    points: int
    max_points: int
    tests: tuple[TestResult, ...]
    message: str = ""
    counterexample: tuple[Value, ...] = ()
    transcript: tuple[Line, ...] = ()
    expected: str | None = None
    received: str | None = None
    traceback: tuple[Frame, ...] = ()
    read: str = ""
    asgi: tuple[str, ...] = ()
    hint: str = ""
    at_fault: tuple[str, ...] = ()

    @property
    def lost(self) -> bool:
        """Whether it is not earned for a reason of its own, and not because something else stops all."""
        return self.outcome not in ("passed", "blocked")


class Planned(msgspec.Struct, frozen=True):
    """A requirement that is to be judged, and the ids of its tests in order."""

    requirement: str
    tests: tuple[str, ...]


class SuiteDigest(msgspec.Struct, frozen=True):
    """What judged: the digest of the suite's files, and the versions that a result depends on."""

    files: str
    grader: str
    hypothesis: str
    python: str


class Durations(msgspec.Struct, frozen=True):
    """Seconds of wall clock, for the whole and for each test by id."""

    total: float = 0.0
    tests: dict[str, float] = {}


class Resources(msgspec.Struct, frozen=True):
    """What the worker used, seen from outside: CPU seconds, peak memory in bytes, and how many workers it took."""

    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    workers: int = 0


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """One exercise of one submission, judged.

    `seed` is the round's or the caller's; with the course's secret (`keyed`) the examples cannot be known beforehand.
    `output` is what the submission printed, capped.
    """

    exercise: str
    title: str
    points: int
    max_points: int
    submission: str
    suite: SuiteDigest
    seed: str
    keyed: bool
    profile: str
    sandbox: str
    plan: tuple[Planned, ...]
    requirements: tuple[RequirementResult, ...]
    schema: Schema = SCHEMA
    imports_allowed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    durations: Durations = Durations()
    resources: Resources = Resources()
    output: str = ""

    @property
    def valid(self) -> bool:
        """Whether no test ended by the judge's own fault."""
        return all(requirement.outcome != "judge_error" for requirement in self.requirements)

    @property
    def earned(self) -> bool:
        """Whether every requirement is earned."""
        return all(requirement.outcome == "passed" for requirement in self.requirements)

    @property
    def first_open(self) -> RequirementResult | None:
        """The first requirement that is not earned."""
        return next((entry for entry in self.requirements if entry.outcome != "passed"), None)


class Result(msgspec.Struct, frozen=True, rename={"schema_": "schema"}):
    """All reports on one submission. `submission` is its name, for people; the digests stand in the reports."""

    submission: str
    reports: tuple[Report, ...]
    schema_: Schema = SCHEMA

    @property
    def exit_code(self) -> int:
        """0 all earned, 1 something not earned, 3 the judge's own fault."""
        if not all(report.valid for report in self.reports):
            return 3
        return 0 if all(report.earned for report in self.reports) else 1


def encode(result: Result) -> bytes:
    """The result as one line of JSON, keys in the order of the model."""
    return msgspec.json.encode(result) + b"\n"


def decode(line: bytes | str) -> Result:
    """Read a result back. Raises ValueError that says where it does not fit the schema."""
    try:
        return msgspec.json.decode(line, type=Result)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"this is no result of the schema {SCHEMA}: {error}") from error


def read_results(path: Path) -> tuple[Result, ...]:
    """The results stored in a file, one a line. Raises ValueError that names the line, OSError."""
    results = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            results.append(decode(line))
        except ValueError as error:
            raise ValueError(f"{path}:{number}: {error}") from error
    return tuple(results)


def steady(report: Report) -> Report:
    """The report without what may differ between two runs: durations, resources and captured output."""
    return msgspec.structs.replace(report, durations=Durations(), resources=Resources(), output="")


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a result. `python -m grader.report > docs/result.schema.json` writes it."""
    schema = msgspec.json.decode(msgspec.json.encode(msgspec.json.schema(Result)))  # no tuple stays one
    for definition in schema["$defs"].values():
        # Python 3.13 drops the indentation of docstrings, 3.12 does not.
        if "description" in definition:
            definition["description"] = inspect.cleandoc(definition["description"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": SCHEMA, **schema}


def total(reports: Iterable[Report]) -> tuple[int, int]:
    """Points earned and points to earn, over several reports."""
    counted = tuple(reports)
    return sum(report.points for report in counted), sum(report.max_points for report in counted)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
