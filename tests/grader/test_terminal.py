"""What a learner reads, compared with golden files.

`REMAKE_GOLDEN=1 pytest tests/grader/test_terminal.py` makes them anew.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grader.course import Course, Exercise
from grader.outputs.pages import show_hints, show_home, show_map, show_sheet
from grader.outputs.place import Place
from grader.outputs.screen import Screen, visible
from grader.outputs.terminal import one_line, show_report
from grader.progress import Progress
from grader.report import Report, Value
from grader.transcript import Frame, Line

GOLDEN = Path(__file__).parent / "golden"
PLACE = Place(
    file="exercises/01_introduction/first.py",
    sheet="exercises/01_introduction/first.md",
    text="exercises/01_introduction/README.md",
)
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
CALL = {
    "message": "your code's answer differs",
    "counterexample": (Value("number", "0"),),
    "transcript": (
        Line(kind="called", text="first(number=0)"),
        Line(kind="returned", text="'0'"),
    ),
    "expected": "0",
    "received": "'0'",
}
CONVERSATION = {
    "message": "no message may follow the last chunk",
    "counterexample": (Value("chunks", "[b'a', b'']"),),
    "transcript": (
        Line(kind="received", text="{'type': 'http.request', 'body': b'a', 'more_body': False}"),
        Line(kind="sent", text="{'type': 'http.response.start', 'status': 200, 'headers': []}"),
        Line(
            kind="send_failed", text="{'type': 'http.response.body', 'body': b''} (the send raised OSError)"
        ),
        Line(kind="raised", text="RuntimeError: twice"),
    ),
    "traceback": (
        Frame("probe.py", 3, "app", "return await first.app(scope)"),
        Frame("first.py", 7, "app", "    raise RuntimeError('twice')"),
    ),
}
INTERLEAVED = {
    "message": "each conversation gets its own answer",
    "transcript": (
        Line(kind="received", text="{'type': 'http.request', 'body': b'one'}", conversation=0),
        Line(kind="received", text="{'type': 'http.request', 'body': b'two'}", conversation=1),
        Line(kind="sent", text="{'type': 'http.response.body', 'body': b'two'}", conversation=0),
    ),
    "expected": "{'one': b'one', 'two': b'two'}",
    "received": "{'one': b'two', 'two': b'two'}",
}
SYNTAX = {
    "message": "Python cannot read your file: SyntaxError: expected ':' (first.py, line 3)",
    "traceback": (Frame("first.py", 3, "", "def first()"),),
}
RECURSION = {
    "message": "your code raised RecursionError: maximum recursion depth exceeded",
    "traceback": (
        Frame("first.py", 3, "first", "return again(n)"),
        *[Frame("first.py", 7, "again", "    return again(n)")] * 19,
    ),
}
STALLED = {
    "message": "your code waits for ever: it awaits something, and nothing can happen any more",
    "transcript": (Line(kind="received", text="{'type': 'http.request', 'body': b'', 'more_body': False}"),),
}
LONG = {
    "message": "your code's answer differs",
    "expected": repr(
        [{"type": "http.response.start", "status": 200, "headers": [(b"a", b"1"), (b"b", b"2")]}] * 3
    ),
    "received": repr(
        [{"type": "http.response.start", "status": 200, "headers": [(b"a", b"1"), (b"b", b"2")]}] * 2
        + [{"type": "http.response.start", "status": 500, "headers": [(b"a", b"1"), (b"b", b"2")]}]
    ),
}
HOSTILE = {
    "message": "\x1b[2Jcleared [bold red]shout[/] \u202eevil",
    "expected": "'\x1b[31m[/red]'",
    "received": "'\r\x08'",
    "counterexample": (Value("text", "'[link=x]y[/link]'"),),
    "traceback": (Frame("first.py", 1, "<lambda>", "raise \x1b]0;title\x07"),),
}


@pytest.fixture
def first(course: Course) -> Exercise:
    """The first exercise of the tiny course."""
    return course.exercise("first")


def plain(show: Callable[[Screen], None]) -> str:
    """What `show` prints into a pipe."""
    file = io.StringIO()
    show(Screen(file, terminal=False))
    return file.getvalue()


def on_terminal(show: Callable[[Screen], None], width: int) -> str:
    """What `show` prints on a terminal of that width."""
    file = io.StringIO()
    show(Screen(file, terminal=True, width=width))
    return file.getvalue()


def rendered(report: Report, exercise: Exercise, *, verbose: bool = False) -> str:
    """The verdict as it is printed into a pipe."""
    return plain(lambda screen: show_report(screen, report, exercise, PLACE, verbose=verbose))


def check_golden(name: str, text: str) -> None:
    """Compare with the golden file of that name."""
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("REMAKE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


CASES: dict[str, tuple[Any, dict[str, dict[str, Any]], dict[str, Any]]] = {
    "passed": ("passed", {}, {}),
    "failed_call": ({"FIRST-02": "failed"}, {"FIRST-02": CALL}, {}),
    "failed_conversation": (
        {"FIRST-01": "failed", "FIRST-03": "failed"},
        {"FIRST-01": CONVERSATION, "FIRST-03": CALL},
        {"output": "hello\n" * 30 + "".join(f"{number}\n" for number in range(25))},
    ),
    "failed_interleaved": ({"FIRST-01": "failed"}, {"FIRST-01": INTERLEAVED}, {}),
    "failed_long": ({"FIRST-01": "failed"}, {"FIRST-01": LONG}, {}),
    "syntax_error": (
        {"FIRST-01": "failed", "FIRST-02": "blocked", "FIRST-03": "blocked"},
        {"FIRST-01": SYNTAX},
        {},
    ),
    "not_attempted": ("not_attempted", {}, {}),
    "partly_attempted": (
        {"FIRST-02": "not_attempted"},
        {"FIRST-02": {"message": "first: first is a stub"}},
        {},
    ),
    "recursion": ({"FIRST-01": "failed"}, {"FIRST-01": RECURSION}, {}),
    "stalled": ({"FIRST-01": "stalled"}, {"FIRST-01": STALLED}, {}),
    "timed_out": (
        {"FIRST-01": "timed_out"},
        {"FIRST-01": {"message": "your code was still busy after 3 seconds of computing"}},
        {},
    ),
    "crashed": ({"FIRST-01": "crashed"}, {"FIRST-01": {"message": "your code ended the process"}}, {}),
    "out_of_memory": (
        {"FIRST-01": "out_of_memory"},
        {"FIRST-01": {"message": "your code asked for more memory than it has"}},
        {},
    ),
    "judge_error": ({"FIRST-02": "judge_error"}, {"FIRST-02": {"message": "the judge has no result"}}, {}),
    "hostile": (
        {"FIRST-01": "failed"},
        {"FIRST-01": HOSTILE},
        {"output": "\x1b[1mPASSED\x1b[0m\nall [green]earned[/green]\r\n"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_verdict_reads_as_agreed(name: str, first: Exercise, make_report: Any) -> None:
    outcomes, findings, fields = CASES[name]
    check_golden(name, rendered(make_report(first, outcomes, findings, **fields), first))


def test_verbose_shows_every_failure_in_full(first: Exercise, make_report: Any) -> None:
    outcomes, findings, _ = CASES["failed_conversation"]
    check_golden("verbose", rendered(make_report(first, outcomes, findings), first, verbose=True))


@pytest.mark.parametrize("name", CASES)
def test_into_a_pipe_goes_plain_text(name: str, first: Exercise, make_report: Any) -> None:
    outcomes, findings, fields = CASES[name]
    text = rendered(make_report(first, outcomes, findings, **fields), first)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u2500-\u259f\u202e]", text)
    assert not re.search(r" $", text, flags=re.MULTILINE)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("width", [30, 60, 200])
def test_a_terminal_of_any_width_shows_the_same_words(
    name: str, width: int, first: Exercise, make_report: Any
) -> None:
    outcomes, findings, fields = CASES[name]
    report = make_report(first, outcomes, findings, **fields)
    text = ANSI.sub("", on_terminal(lambda screen: show_report(screen, report, first, PLACE), width))
    assert max(map(len, text.split("\n"))) <= min(width, 110)
    finding = next(iter(findings.values()), {})
    for line in finding.get("transcript", ()):
        assert "".join(line.text.split()) in "".join(text.split())


def test_no_colour_where_the_reader_wants_none(
    first: Exercise, make_report: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = make_report(first, {"FIRST-01": "failed"}, {"FIRST-01": CALL})
    coloured = re.compile(r"\x1b\[[0-9;]*3[0-7]")

    def show(screen: Screen) -> None:
        show_report(screen, report, first, PLACE)

    monkeypatch.setenv("TERM", "xterm-256color")
    assert coloured.search(on_terminal(show, 80))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not coloured.search(on_terminal(show, 80))


def test_a_stream_that_cannot_encode_our_signs_gets_others() -> None:
    raw = io.BytesIO()
    screen = Screen(io.TextIOWrapper(raw, encoding="ascii"), terminal=False)
    screen.print("✓ ← 'é' →")
    assert raw.getvalue() == b"+ <- '\\xe9' ->\n"


@pytest.mark.parametrize(
    ("untrusted", "shown"),
    [
        ("a\tb", "a   b"),
        ("a\nb", "a\nb"),
        ("\x1b[0m", "\\x1b[0m"),
        ("\u202e", "\\u202e"),
        ("\ud800", "\\ud800"),
        ("é", "é"),
    ],
)
def test_what_is_not_seen_is_escaped(untrusted: str, shown: str) -> None:
    assert visible(untrusted) == shown


def test_one_line_tells_the_first_that_is_open(first: Exercise, make_report: Any) -> None:
    report = make_report(first, {"FIRST-01": "not_attempted", "FIRST-02": "failed"})
    assert plain(lambda screen: screen.print(one_line(report))) == (
        "✗ first  1/4  FIRST-02: not met: `first` takes no argument.\n"
    )


def test_the_first_page_tells_where_to_begin(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(course.root)
    check_golden("home_first", plain(lambda screen: show_home(screen, course, Progress())))


def test_the_first_page_tells_what_is_next(
    course: Course, make_report: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(course.root)
    first, second = course.exercises
    progress = (
        Progress().with_report(make_report(first)).with_report(make_report(second, {"SECOND-02": "failed"}))
    )
    check_golden("home_next", plain(lambda screen: show_home(screen, course, progress)))
    done = progress.with_report(make_report(second))
    check_golden("home_done", plain(lambda screen: show_home(screen, course, done)))


def test_the_map_shows_points_and_the_place(
    course: Course, make_report: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(course.root)
    progress = Progress().with_report(make_report(course.exercise("first")))
    check_golden("map", plain(lambda screen: show_map(screen, course, progress)))


def test_the_sheet_shows_all_but_the_hints(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(course.root)
    text = plain(lambda screen: show_sheet(screen, course, course.exercise("first")))
    check_golden("sheet", text)
    assert "Think of a number" not in text


def test_the_sheet_is_formatted_on_a_terminal(course: Course) -> None:
    text = on_terminal(lambda screen: show_sheet(screen, course, course.exercise("first")), 60)
    assert "## Story" not in text
    assert "[bold]first[/bold]" in ANSI.sub("", text)


def test_hints_tell_how_to_get_the_next(first: Exercise) -> None:
    text = plain(lambda screen: show_hints(screen, first, first=1, last=1))
    assert text == "Hint 1 of 3\nThink of a number.\n\nOne more: grader hint first\n"
    assert "--spoil" in plain(lambda screen: show_hints(screen, first, first=3, last=3))
