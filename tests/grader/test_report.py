"""The report: its schema, its storage, its words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest

from grader import grading, report, submission
from grader.course import Course
from grader.report import Outcome, Report, Result

COMMITTED = Path(report.__file__).parents[1] / "docs" / "result.schema.json"
MakeReport = Callable[..., Report]


def test_the_committed_schema_is_that_of_the_code() -> None:
    """`python -m grader.report > docs/result.schema.json` writes it."""
    assert json.loads(COMMITTED.read_text(encoding="utf-8")) == report.json_schema()


@pytest.fixture
def validator() -> jsonschema.Draft202012Validator:
    """Checks an object against the schema."""
    schema = report.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize(
    "source", ["def double(n): return 2 * n if n < 1000 else '\\ud800\\x1b'\n", "def double(n:\n"]
)
def test_a_real_report_fits_the_schema_and_comes_back_whole(
    tiny: Course, validator: jsonschema.Draft202012Validator, source: str
) -> None:
    made = grading.judge(
        tiny,
        tiny.exercise("double"),
        submission.of_files("x", {"double.py": source.encode()}),
        grading.Options(profile="watch"),
    )
    line = report.encode(Result("x", (made,)))
    assert line.count(b"\n") == 1
    validator.validate(json.loads(line))
    assert report.decode(line) == Result("x", (made,))


@pytest.mark.parametrize(
    "broken", [{"schema": "fastasgi-course/result/2"}, {"submission": 1}, {"reports": {}}, {"reports": [{}]}]
)
def test_the_schema_refuses_what_the_code_refuses(
    course: Course,
    make_report: MakeReport,
    validator: jsonschema.Draft202012Validator,
    broken: dict[str, Any],
) -> None:
    whole = json.loads(report.encode(Result("x", (make_report(course.exercise("first")),))))
    validator.validate(whole)
    changed = {**whole, **broken}
    assert list(validator.iter_errors(changed))
    with pytest.raises(ValueError, match="no result of the schema"):
        report.decode(json.dumps(changed))


@pytest.mark.parametrize("outcome", get_args(Outcome))
def test_exit_codes_and_validity(course: Course, make_report: MakeReport, outcome: Outcome) -> None:
    earned = make_report(course.exercise("first"))
    made = make_report(course.exercise("second"), {"SECOND-02": outcome})
    expected = {"passed": 0, "judge_error": 3}.get(outcome, 1)
    assert Result("x", (earned, made)).exit_code == expected
    assert made.valid == (outcome != "judge_error")
    assert made.earned == (outcome == "passed")
    assert (made.first_open is None) == (outcome == "passed")
    assert report.total((earned, made)) == (4 + (4 if outcome == "passed" else 2), 8)
    assert report.WORDS[outcome]


def test_results_are_stored_one_a_line(course: Course, make_report: MakeReport, tmp_path: Path) -> None:
    results = tuple(Result(name, (make_report(course.exercise("first")),)) for name in ("a", "b\n", "c"))
    path = tmp_path / "results.jsonl"
    path.write_bytes(b"".join(map(report.encode, results)))
    assert report.read_results(path) == results


@pytest.mark.parametrize(
    "broken", [b"", b"{", b"null", b"[]", b'{"submission": 1}', b'"\xff"', b"[" * 100_000]
)
def test_a_broken_line_is_named(
    course: Course, make_report: MakeReport, tmp_path: Path, broken: bytes
) -> None:
    path = tmp_path / "results.jsonl"
    good = report.encode(Result("a", (make_report(course.exercise("first")),)))
    path.write_bytes(good + broken + b"\n" + good)
    with pytest.raises(ValueError, match=r"results\.jsonl:2: this is no result of the schema"):
        report.read_results(path)


def test_a_steady_report_has_neither_times_nor_output(course: Course, make_report: MakeReport) -> None:
    exercise = course.exercise("first")
    noisy = make_report(
        exercise,
        durations=report.Durations(1.5, {"x": 1.0}),
        resources=report.Resources(1.0, 2, 3),
        output="hello",
    )
    assert report.steady(noisy) == make_report(exercise)
    assert report.steady(make_report(exercise, "failed")) != make_report(exercise)
