"""Grading: bad submissions end in the right word and earn nothing, and a run depends on nothing but what it states."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis.internal.conjecture import providers

from grader import grading, submission
from grader.course import Course
from grader.grading import Options, Step, judge
from grader.judge.client import Guards
from grader.report import Outcome, Report, Result, decode, encode, steady
from grader.suite.plugin import PROFILES, BrokenSuite

QUICK = Guards(cpu_seconds=0.4)
SMALL = Options(profile="watch", guards=QUICK)
RIGHT = """
def double(n):
    if isinstance(n, str):
        raise TypeError("a str is no number")
    return 2 * n
"""


def judged(course: Course, source: str | bytes, name: str = "double", options: Options = SMALL) -> Report:
    """The report on a submission of one file."""
    exercise = course.exercise(name)
    code = source.encode() if isinstance(source, str) else source
    made = judge(course, exercise, submission.of_files("x", {exercise.target + ".py": code}), options)
    assert decode(encode(Result("x", (made,)))).reports == (made,)
    return made


def outcomes(report: Report) -> list[Outcome]:
    """How each requirement ended."""
    return [entry.outcome for entry in report.requirements]


@pytest.mark.parametrize("name", ["double", "greeter", "shapes"])
@pytest.mark.parametrize("profile", ["watch", "local"])
def test_a_solution_earns_everything(tiny: Course, name: str, profile: str) -> None:
    exercise = tiny.exercise(name)
    source = tiny.solution(exercise).read_bytes()
    report = judged(tiny, source, name, Options(profile=profile))
    assert report.earned
    assert (report.points, report.max_points) == (exercise.max_points, exercise.max_points)


@pytest.mark.parametrize("name", ["double", "greeter", "shapes"])
def test_a_stub_earns_nothing_and_is_not_written_yet(tiny: Course, name: str) -> None:
    exercise = tiny.exercise(name)
    report = judged(tiny, tiny.stub(exercise).read_bytes(), name)
    assert set(outcomes(report)) == {"not_attempted"}
    assert report.points == 0


# --- what cannot be imported

UNREADABLE: list[tuple[str | bytes, Outcome, str]] = [
    ("def double(n:\n    return 1\n", "failed", "Python cannot read your file: SyntaxError"),
    ("def double(n):\nreturn 1\n", "failed", "Python cannot read your file: IndentationError"),
    ("def double(n):\n\tif n:\n        return 1\n", "failed", "Python cannot read your file: TabError"),
    (b"def double(n): return 1\0", "failed", "Python cannot read your file"),
    ("", "failed", "is empty. Restore the stub"),
    (" \n", "failed", "is empty. Restore the stub"),
    (b"# \xff\ndef double(n): return 2 * n\n", "failed", "byte 2 is no UTF-8"),
    (b"# coding: nothing\ndef double(n): return 2 * n\n", "failed", "Python cannot read your file"),
    ("def other(n): return 2 * n\n", "failed", "cannot import name 'double'"),
    ("import nothing_of_that_name\n", "failed", "may import only the standard library"),
    ("import msgspec\n", "failed", "may import only the standard library"),
    ("from helpers import double\n", "failed", "Helpers of your own belong into the exercise's file"),
    ("from probe import double\n", "failed", "cannot import name 'double'"),
    ("1 / 0\n", "failed", "ZeroDivisionError"),
    ("import sys\nsys.exit(0)\n", "failed", "SystemExit"),
    ("import os\nos._exit(0)\n", "crashed", "ended the process"),
    ("while True: pass\n", "timed_out", "still busy"),
    ("x = bytearray(4 << 30)\n", "out_of_memory", "memory"),
    ("def f(): f()\nf()\n", "failed", "RecursionError"),
]


@pytest.mark.parametrize(
    ("source", "outcome", "words"), UNREADABLE, ids=[str(case[2])[:40] for case in UNREADABLE]
)
def test_a_file_that_cannot_be_imported(
    tiny: Course, source: str | bytes, outcome: Outcome, words: str
) -> None:
    report = judged(tiny, source)
    assert outcomes(report) == [outcome, "blocked"]
    assert words in report.requirements[0].message
    assert report.requirements[0].message.isprintable()
    assert report.points == 0
    assert report.valid


def test_a_byte_order_mark_and_a_stated_encoding_are_read(tiny: Course) -> None:
    assert judged(tiny, b"\xef\xbb\xbf" + RIGHT.encode()).earned
    assert judged(tiny, b"# coding: latin-1\nx = '\xe4'\n" + RIGHT.encode()).earned


def test_a_file_that_is_not_there(tiny: Course) -> None:
    report = judge(tiny, tiny.exercise("double"), submission.of_files("x", {}), SMALL)
    assert outcomes(report) == ["failed", "blocked"]
    assert report.requirements[0].message.startswith("exercises/01_first/double.py is missing.")


def test_a_module_has_its_neighbours_but_not_its_own_answer(tiny: Course) -> None:
    right = tiny.solution(tiny.exercise("shapes")).read_text(encoding="utf-8")
    assert judged(tiny, right, "shapes").earned
    for line in (
        "from fastasgi.shapes import area",
        "from fastasgi_reference.shapes import area",
        "from .help import area",
    ):
        report = judged(tiny, line + "\n", "shapes")
        assert outcomes(report) == ["failed", "blocked"]
        assert report.points == 0


# --- what goes wrong in a call: what `double` does with a number, the outcome, words

MISBEHAVING: list[tuple[str, Outcome, str]] = [
    ("return 2 * n + 1", "failed", "your code's answer differs"),
    ("return None", "failed", "your code's answer differs"),
    ("pass", "failed", "your code's answer differs"),
    ("return str(2 * n)", "failed", "your code's answer differs"),
    ("return float(2 * n)", "passed", ""),
    ("return [2 * n]", "failed", "your code's answer differs"),
    ("raise ValueError(n)", "failed", "your code raised ValueError"),
    ("raise AssertionError('passed')", "failed", "your code raised AssertionError"),
    ("raise NotImplementedError('something else')", "failed", "your code raised NotImplementedError"),
    ("while True: pass", "timed_out", "still busy"),
    ("return double(n)", "failed", "RecursionError"),
    ("import os; os._exit(0)", "crashed", "ended the process"),
    ("import os, signal; os.kill(os.getpid(), 9)", "crashed", "killed by signal 9"),
    ("import sys; sys.exit(0)", "failed", "SystemExit"),
    ("raise KeyboardInterrupt", "failed", "KeyboardInterrupt"),
    ("return len(bytearray(4 << 30))", "out_of_memory", "memory"),
    ("return bytes(2 << 20)", "failed", "cannot be judged"),
    ("return wait()", "failed", "your code's answer differs"),
    ("return Always(2 * n)", "failed", "your code's answer differs"),
    ("return Number(2 * n)", "failed", "your code's answer differs"),
    ("return Text(2 * n)", "failed", "your code's answer differs"),
    ("return Meta('int', (), {})()", "failed", "your code's answer differs"),
    ("seen.append(n); return 2 * n if len(seen) < 9 else 0", "failed", ""),
    (
        "import builtins; builtins.isinstance = lambda *_: True; return 2 * n + 1",
        "crashed",
        "the process ended",
    ),
]
HELPERS = """
seen = []


async def wait():
    pass


class Always:
    def __init__(self, n): pass
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 1
    __class__ = int


class Number(int):
    def __eq__(self, other): return True
    def __hash__(self): return 1


class Text(str):
    def __eq__(self, other): return True
    def __hash__(self): return 1


class Meta(type):
    def __eq__(cls, other): return True
    def __hash__(cls): return 1
    def __instancecheck__(cls, other): return True


def double(n):
    if isinstance(n, str):
        raise TypeError("a str is no number")
    {body}
"""


@pytest.mark.parametrize(
    ("body", "outcome", "words"), MISBEHAVING, ids=[case[0][:40] for case in MISBEHAVING]
)
def test_what_a_call_may_do(tiny: Course, body: str, outcome: Outcome, words: str) -> None:
    report = judged(tiny, HELPERS.replace("{body}", body))
    first = report.requirements[0]
    assert first.outcome == outcome
    assert words in first.message
    assert first.points == (2 if outcome == "passed" else 0)
    assert report.valid
    assert "judge_error" not in outcomes(report)


def test_memory_in_small_pieces_runs_out(tiny: Course) -> None:
    body = "kept = []\n    while True: kept.append(bytearray(1 << 24))"
    options = Options(profile="watch", guards=Guards(cpu_seconds=30), stop_first=True)
    assert outcomes(judged(tiny, HELPERS.replace("{body}", body), options=options))[0] == "out_of_memory"


def test_two_answers_to_one_input_have_their_words(tiny: Course) -> None:
    body = "seen.append(n); return 0 if len(seen) == 5 else 2 * n"
    report = judged(tiny, HELPERS.replace("{body}", body), options=Options(guards=QUICK))
    assert report.requirements[0].outcome == "failed"
    assert "the same input gave two different answers" in report.requirements[0].message


def test_a_thread_that_never_ends_does_no_harm(tiny: Course) -> None:
    lines = "import threading, time\nthreading.Thread(target=time.sleep, args=(3600,), daemon=True).start()\n"
    assert judged(tiny, lines + RIGHT).earned


def test_an_application_that_waits_for_ever_is_told_at_once(tiny: Course) -> None:
    source = "async def app(scope, receive, send):\n    while True:\n        await receive()\n"
    report = judged(tiny, source, "greeter")
    assert report.requirements[0].outcome == "stalled"
    assert [line.kind for line in report.requirements[0].transcript] == ["received", "waits"]
    assert report.points == 0


def test_monkeypatches_stay_in_the_worker(tiny: Course) -> None:
    source = (
        RIGHT
        + """
import asyncio, builtins, json, sys
for module in (asyncio, json):
    for name in dir(module):
        if not name.startswith("__"):
            setattr(module, name, lambda *_, **__: True)
builtins.len = builtins.type = lambda *_: 1
"""
    )
    report = judged(tiny, source)
    assert "judge_error" not in outcomes(report)
    assert json.loads("[1]") == [1]
    assert judged(tiny, RIGHT).earned


# --- words for the learner


def test_a_counterexample_is_the_smallest_and_both_sides_are_told(tiny: Course) -> None:
    first = judged(tiny, HELPERS.replace("{body}", "return 2 * n if n < 77 else 0")).requirements[0]
    assert [(value.name, value.text, value.value) for value in first.counterexample] == [
        ("number", "1000", 1000)
    ]
    assert (first.expected, first.received) == ("2000", "0")
    assert [str(line) for line in first.transcript] == ["call double(number=1000)", "returned 0"]
    assert first.hint == "grader hint double"


def test_a_traceback_is_the_learners(tiny: Course) -> None:
    first = judged(
        tiny, "def double(n):\n    return help_me(n)\n\n\ndef help_me(n):\n    return n.x\n"
    ).requirements[0]
    assert [(frame.file, frame.line, frame.function) for frame in first.traceback] == [
        ("double.py", 2, "double"),
        ("double.py", 6, "help_me"),
    ]


def test_a_traceback_has_its_ends(tiny: Course) -> None:
    endless = "def double(n):\n    return again(n)\n\n\ndef again(n):\n    return again(n)\n"
    frames = judged(tiny, endless).requirements[0].traceback
    assert len(frames) == 20
    assert [frame.function for frame in frames] == ["double"] + ["again"] * 19


def test_where_a_conversation_broke_off_is_told_although_the_check_reads_messages(tiny: Course) -> None:
    source = "async def app(scope, receive, send):\n    await receive()\n    {what}\n"
    broken = judged(tiny, source.format(what="b'\\xe9'.decode()"), "greeter").requirements[0]
    assert [(frame.file, frame.line) for frame in broken.traceback] == [("greeter.py", 3)]
    quiet = judged(tiny, source.format(what="return"), "greeter").requirements[0]
    assert (quiet.outcome, quiet.traceback) == ("failed", ())


def test_an_answer_that_cannot_be_compared_is_a_failure(tiny: Course, suite: Callable[..., Course]) -> None:
    course = suite('    assert submission.call("double", number=number)["x"].lower() == "y"')
    raised = {"1": "TypeError", "{}": "KeyError: 'x'", "{'x': 1}": "AttributeError", "None": "TypeError"}
    for answer, error in raised.items():
        report = judged(course, f"def double(n): return {answer}\n")
        assert report.requirements[0].outcome == "failed"
        assert "form" in report.requirements[0].message
        assert f": to read it raises {error}" in report.requirements[0].message


def test_what_is_printed_is_kept_apart(tiny: Course) -> None:
    report = judged(tiny, "print('at import')\n" + RIGHT.replace("return", "print('PASSED'); return"))
    assert report.earned
    assert report.output.startswith("at import\nPASSED\n")
    assert steady(report).output == ""


# --- what a run depends on


@pytest.fixture
def suite(tiny: Course, tmp_path: Path) -> Callable[..., Course]:
    """Makes a copy of the tiny course whose suite of `double` has one property with that body."""
    import shutil

    def made(
        body: str, header: str = "@given(number=st.integers())", requirement: str = "DOUBLE-01"
    ) -> Course:
        root = tmp_path / f"course{len(list(tmp_path.iterdir()))}"
        shutil.copytree(tiny.root, root)
        takes = "submission, number" if header else "submission"
        place = root / "tests" / "suites" / "01_first" / "double" / "test_double.py"
        place.write_text(
            "from hypothesis import given, strategies as st\nfrom grader.suite import raised, requirement\n\n"
            f'@requirement("{requirement}")\n{header}\ndef test_property({takes}):\n{body}\n\n'
            '@requirement("DOUBLE-02")\ndef test_other(submission):\n'
            '    assert submission.call("double", number=1) == 2\n',
            encoding="utf-8",
        )
        return Course(root)

    return made


PRINTS = "def double(n):\n    print(n)\n    return 2 * n\n"
CALLS = '    assert submission.call("double", number=number) == 2 * number'


def inputs(course: Course, **options: Any) -> list[str]:
    """The inputs that a run hands over, in order."""
    return judged(course, PRINTS, options=Options(**options)).output.splitlines()


def test_a_profile_sets_the_number_of_examples_in_a_judge_that_is_used_again(
    suite: Callable[..., Course],
) -> None:
    course = suite(CALLS)
    for profile in ("watch", "official", "local", "watch"):
        assert len(inputs(course, profile=profile)) == PROFILES[profile] + 1
    assert PROFILES == {"watch": 20, "local": 100, "official": 300}


def test_seed_and_secret_change_the_inputs_and_nothing_else_does(suite: Callable[..., Course]) -> None:
    course = suite(CALLS)
    first = inputs(course, profile="watch")
    assert inputs(course, profile="watch") == first
    assert inputs(course, profile="watch", seed="1") != first
    assert inputs(course, profile="watch", secret=b"s") != first
    assert inputs(course, profile="watch", secret=b"s") != inputs(course, profile="watch", secret=b"t")


def test_an_unrelated_import_does_not_change_the_inputs(suite: Callable[..., Course], tmp_path: Path) -> None:
    course = suite(CALLS)
    first = inputs(course)
    (tmp_path / "unrelated_module.py").write_text(f"X = {list(range(7_000, 7_500))}\n", encoding="utf-8")
    sys.path.insert(0, str(tmp_path))
    try:
        __import__("unrelated_module")
        assert inputs(course) == first
    finally:
        sys.path.remove(str(tmp_path))
        del sys.modules["unrelated_module"]
    assert not providers._get_local_constants()


def test_a_report_tells_what_it_depends_on(tiny: Course) -> None:
    report = judged(tiny, RIGHT, options=Options(profile="watch", seed="round-2", secret=b"s"))
    assert (report.seed, report.keyed, report.profile, report.sandbox) == (
        "round-2",
        True,
        "watch",
        "process",
    )
    assert report.suite == grading.suite_digest(tiny, tiny.exercise("double"))
    assert [planned.requirement for planned in report.plan] == ["DOUBLE-01", "DOUBLE-02"]


def test_each_test_is_told_as_it_ends(tiny: Course) -> None:
    steps: list[Step] = []
    exercise = tiny.exercise("double")
    judge(tiny, exercise, submission.of_files("x", {"double.py": PRINTS.encode()}), SMALL, steps.append)
    assert steps == [
        Step("An int is doubled, however large.", "DOUBLE-01", "passed", 1, 2),
        Step("A str raises TypeError, and an int does not.", "DOUBLE-02", "failed", 2, 2),
    ]


def test_a_long_difference_costs_nothing_on_ci_either(
    suite: Callable[..., Course], monkeypatch: pytest.MonkeyPatch
) -> None:
    """pytest writes the whole difference there: for these lists it would take minutes."""
    monkeypatch.setenv("CI", "true")
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", raising=False)
    body = '    assert submission.call("double", number=1) == [n * n % 7 for n in range(3000)]'
    report = judged(suite(body, ""), "def double(n):\n    return [n * n * n % 11 for n in range(3000)]\n")
    assert report.requirements[0].outcome == "failed"
    assert os.environ["CI"] == "true"
    assert "PYTEST_DISABLE_PLUGIN_AUTOLOAD" not in os.environ


def test_a_run_that_is_interrupted_ends(suite: Callable[..., Course]) -> None:
    with pytest.raises(KeyboardInterrupt):
        judged(suite("    raise KeyboardInterrupt", ""), RIGHT)


# --- our own faults


@pytest.mark.parametrize(
    ("body", "requirement", "words"),
    [("    pass", "DOUBLE-99", "marks no requirement"), ("    pass pass", "DOUBLE-01", "broken")],
)
def test_a_broken_suite_is_no_fault_of_the_learner(
    suite: Callable[..., Course], body: str, requirement: str, words: str
) -> None:
    with pytest.raises(BrokenSuite, match=words):
        judged(suite(body, requirement=requirement), RIGHT)


def test_an_error_of_the_suites_own_is_the_judges(suite: Callable[..., Course]) -> None:
    report = judged(suite("    nothing_of_that_name"), RIGHT)
    assert outcomes(report) == ["judge_error", "passed"]
    assert not report.valid


def test_a_requirement_without_a_test_is_the_judges_fault(suite: Callable[..., Course]) -> None:
    report = judged(suite(CALLS, requirement="DOUBLE-02"), RIGHT)
    assert outcomes(report) == ["judge_error", "passed"]
    assert "no test" in report.requirements[0].message
