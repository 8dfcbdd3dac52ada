"""The commands, run as their users run them, with a judge made by hand where the verdict is not the point."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from grader import __version__
from grader.cli import run
from grader.cli.context import Setting
from grader.course import Course, Exercise
from grader.report import Outcome, Report, read_results
from grader.submission import Submission

REPOSITORY = Path(__file__).parents[2]


@dataclass
class FakeJudge:
    """Gives the outcomes that a test sets by exercise name, and keeps what it was asked."""

    make_report: Callable[..., Report]
    outcomes: dict[str, dict[str, Outcome] | Outcome] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)

    def __call__(
        self, course: Course, exercise: Exercise, submission: Submission, options: Any, on_test: Any
    ) -> Report:
        self.asked.append((exercise.name, options))
        return self.make_report(
            exercise,
            self.outcomes.get(exercise.name, "passed"),
            submission=submission.digest(exercise),
            seed=options.seed,
            profile=options.profile,
            sandbox=options.sandbox,
            keyed=bool(options.secret),
            suite=_suite_digest(course, exercise),
        )


def _suite_digest(course: Course, exercise: Exercise) -> Any:
    from grader.grading import suite_digest

    return suite_digest(course, exercise)


@pytest.fixture
def judge(make_report: Any) -> FakeJudge:
    """A judge that gives full marks unless told otherwise."""
    return FakeJudge(make_report)


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def grader(
    course: Course, judge: FakeJudge, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Runs a command line in the tiny course; gives the exit code and what came on both streams."""
    monkeypatch.chdir(course.root)
    monkeypatch.delenv("GRADER_COURSE", raising=False)
    monkeypatch.delenv("GRADER_SECRET", raising=False)

    def call(*words: str) -> tuple[int, str, str]:
        code = run(words, Setting(judge_with=judge))
        out, err = capsys.readouterr()
        return code, out, err

    return call


def one_line(text: str) -> str:
    """The text, which must be one line of our own."""
    assert text.startswith("grader: ")
    assert text.count("\n") == 1
    return text


# --- where am I


def test_the_first_time_it_tells_where_to_begin(grader: Run) -> None:
    code, out, err = grader()
    assert (code, err) == (0, "")
    assert "Begin with first" in out


def test_the_version(grader: Run) -> None:
    assert grader("--version") == (0, f"grader {__version__}\n", "")


def test_the_map_and_a_sheet(grader: Run) -> None:
    assert "second" in grader("list")[1]
    assert grader("show", "second")[1].startswith("# The second one\n")


def test_show_without_a_name_shows_what_is_at_hand(grader: Run) -> None:
    grader("show", "second")
    assert grader("show")[1].startswith("# The second one\n")


def test_outside_of_a_course_it_says_what_to_do(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, course: Course
) -> None:
    assert run(["--course", str(tmp_path / "no"), "list"]) == 2
    assert "Name your clone" in one_line(capsys.readouterr().err)
    assert run(["--course", str(course.root), "list"]) == 0


# --- bad words


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("check", "secnd"), "Did you mean second?"),
        (("check", "first", "--all"), "exclude"),
        (("check", "--profile", "huge"), "watch, local, official"),
        (("check", "--sandbox", "jail"), "bubblewrap, user, process"),
        (("check", "--submission", "nowhere"), "no such file"),
        (("check", "first", "second", "--debug"), "just one"),
        (("grade", "first.txt", "--sandbox", "process", "--exercise", "nope"), "no such exercise"),
        (("grade", ".", "--sandbox", "jail"), "no such sandbox"),
        (("replay", "nowhere.json"), "cannot be read"),
        (("reset", "nope"), "no such exercise"),
        (("doctor", "--sandbox", "jail"), "no such sandbox"),
        (("author", "new", "bad name"), "bad name"),
    ],
)
def test_bad_input_is_told_in_one_line_and_exits_with_2(
    grader: Run, words: tuple[str, ...], told: str
) -> None:
    code, out, err = grader(*words)
    assert (code, out) == (2, "")
    assert told in one_line(err)


@pytest.mark.parametrize(
    "words", [("--nope",), ("nope",), ("check", "--seed"), ("grade",), ("hint", "a", "b")]
)
def test_typers_own_errors_exit_with_2(grader: Run, words: tuple[str, ...]) -> None:
    code, out, err = grader(*words)
    assert (code, out) == (2, "")
    assert "Error: " in err


def test_a_fault_of_ours_exits_with_3(grader: Run, judge: FakeJudge) -> None:
    judge.outcomes["first"] = {"FIRST-01": "judge_error"}
    code, out, _ = grader("check", "first")
    assert code == 3
    assert "fault of the grader" in out


def test_an_exception_of_ours_exits_with_3(
    course: Course, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Report:
        raise ZeroDivisionError("ours")

    monkeypatch.chdir(course.root)
    assert run(["check", "first"], Setting(judge_with=broken)) == 3
    err = capsys.readouterr().err
    assert "ZeroDivisionError: ours" in err
    assert "not of your code" in err


# --- check


def test_check_without_a_name_goes_on_where_the_learner_is(grader: Run, judge: FakeJudge) -> None:
    judge.outcomes["second"] = "not_attempted"
    assert grader("check")[0] == 0
    code, out, _ = grader("check")
    assert [name for name, _ in judge.asked] == ["first", "second"]
    assert code == 1
    assert "Nothing is written yet." in out
    assert "exercises/01_introduction/second.py" in out


def test_check_says_when_everything_is_earned(grader: Run, judge: FakeJudge) -> None:
    assert grader("check", "--all")[0] == 0
    asked = len(judge.asked)
    code, out, _ = grader("check")
    assert code == 0
    assert "Every exercise is earned" in out
    assert len(judge.asked) == asked


@pytest.mark.parametrize(
    ("outcomes", "words", "told"),
    [
        ({"FIRST-02": "failed"}, (), False),
        ({"FIRST-02": "failed", "FIRST-03": "stalled"}, (), True),
        ({"FIRST-02": "failed", "FIRST-03": "stalled"}, ("-v",), False),
        ({"FIRST-01": "failed", "FIRST-02": "blocked", "FIRST-03": "blocked"}, (), False),
    ],
)
def test_check_says_how_to_see_what_else_is_lost(
    grader: Run, judge: FakeJudge, outcomes: dict[str, Outcome], words: tuple[str, ...], told: bool
) -> None:
    judge.outcomes["first"] = outcomes
    last = grader("check", "first", *words)[1].splitlines()[-1]
    assert last.startswith("Then: grader check first")
    assert ("-v" in last) == told


def test_check_of_several_shows_a_line_for_each(grader: Run, judge: FakeJudge) -> None:
    judge.outcomes["second"] = {"SECOND-02": "failed"}
    code, out, _ = grader("check", "first", "second")
    assert code == 1
    assert out.splitlines() == [
        "✓ first  4/4",
        "✗ second  2/4  SECOND-02: not met: `second` takes no argument.",
        "",
        "Together 6 of 8 points.",
        "In full: grader check second",
    ]


def test_check_hands_its_options_to_the_judge(grader: Run, judge: FakeJudge) -> None:
    grader("check", "first", "--profile", "watch", "--seed", "7", "--sandbox", "user", "--debug")
    (_, options) = judge.asked[0]
    assert (options.profile, options.seed, options.sandbox, options.debug) == ("watch", "7", "user", True)


def test_debugging_takes_few_examples_unless_told_otherwise(grader: Run, judge: FakeJudge) -> None:
    grader("check", "first", "--debug")
    grader("check", "first")
    assert [options.profile for _, options in judge.asked] == ["watch", "local"]


def test_json_on_standard_output_stands_alone(grader: Run, judge: FakeJudge) -> None:
    judge.outcomes["first"] = "failed"
    code, out, err = grader("check", "first", "--json", "-")
    assert (code, err) == (1, "")
    result = json.loads(out)
    assert result["schema"] == "fastasgi-course/result/1"
    assert [report["exercise"] for report in result["reports"]] == ["01_introduction/first"]


def test_json_into_a_file(grader: Run, tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    code, out, _ = grader("check", "first", "--json", str(target))
    assert code == 0
    assert "first: 4 of 4 points" in out
    assert read_results(target)[0].exit_code == 0
    code, _, err = grader("check", "first", "--json", str(tmp_path / "no" / "result.json"))
    assert code == 2
    assert "cannot be written" in one_line(err)


def test_a_submission_elsewhere_leaves_the_own_progress_alone(
    grader: Run, course: Course, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "first.py").write_text("x = 1\n", encoding="utf-8")
    assert grader("check", "first", "--submission", str(tmp_path / "other"))[0] == 0
    assert not course.state.exists()


# --- hint, solution, reset


def test_each_call_gives_the_next_hint(grader: Run) -> None:
    firsts = [grader("hint", "first")[1].splitlines()[0] for _ in range(4)]
    assert firsts == ["Hint 1 of 3", "Hint 2 of 3", "Hint 3 of 3", "Hint 3 of 3"]
    assert grader("hint", "second", "--all")[1].count("Hint ") == 3


def test_the_answer_is_shown_once_earned(grader: Run, judge: FakeJudge) -> None:
    code, out, err = grader("solution", "first")
    assert (code, out) == (1, "")
    assert "--spoil" in one_line(err)
    assert "return 1" in grader("solution", "first", "--spoil")[1]
    grader("check", "first")
    judge.outcomes["first"] = "failed"
    grader("check", "first")
    assert "return 1" in grader("solution", "first")[1]


def test_without_answers_that_is_said(grader: Run, course: Course) -> None:
    course.solution(course.exercise("first")).unlink()
    for words in (("solution", "first", "--spoil"), ("reset", "first", "--yes")):
        code, _, err = grader(*words)
        assert code == 2
        assert "answers" in one_line(err)


def test_reset_keeps_what_was_there(grader: Run, course: Course) -> None:
    stub = course.stub(course.exercise("first"))
    stub.write_text("my = 'work'\n", encoding="utf-8")
    code, out, _ = grader("reset", "first", "--yes")
    assert code == 0
    assert 'raise NotImplementedError("first: first")' in stub.read_text(encoding="utf-8")
    copy = course.state / "backups" / "01_introduction" / "first" / "1" / "first.py"
    assert copy.read_text(encoding="utf-8") == "my = 'work'\n"
    assert copy.relative_to(course.root).as_posix() in out
    assert "untouched stub already" in grader("reset", "first", "--yes")[1]


def test_reset_does_nothing_unasked(grader: Run, course: Course) -> None:
    stub = course.stub(course.exercise("first"))
    stub.write_text("my = 'work'\n", encoding="utf-8")
    code, _, err = grader("reset", "first")
    assert code == 2
    assert "--yes" in one_line(err)
    assert stub.read_text(encoding="utf-8") == "my = 'work'\n"


def test_after_a_reset_the_points_are_gone_but_not_the_right_to_the_answer(
    grader: Run, course: Course
) -> None:
    grader("check", "first")
    course.stub(course.exercise("first")).write_text("my = 'work'\n", encoding="utf-8")
    grader("reset", "first", "--yes")
    assert "first   0/4" in grader("list")[1]
    assert grader("solution", "first")[0] == 0


# --- grade


@pytest.fixture
def handed_in(tmp_path: Path) -> Path:
    """A folder with the submissions of anna (one exercise), ben (two) and cleo (none)."""
    folder = tmp_path / "handed_in"
    for name, files in {"anna": ["first"], "ben": ["first", "second"], "cleo": []}.items():
        (folder / name).mkdir(parents=True)
        for file in files:
            (folder / name / f"{file}.py").write_text(f"# {name}\n", encoding="utf-8")
    return folder


def test_one_submission_is_shown_in_full(grader: Run, judge: FakeJudge, handed_in: Path) -> None:
    judge.outcomes["first"] = {"FIRST-02": "failed"}
    code, out, err = grader("grade", str(handed_in / "anna"), "--sandbox", "process")
    assert code == 1
    assert "✗ FIRST-02  not met" in out
    assert "anna  2/4  2 earned, 1 not met" in out
    assert "not against attackers" in err
    assert judge.asked[0][1].profile == "official"


def test_several_submissions_are_a_line_each(grader: Run, handed_in: Path) -> None:
    code, out, err = grader(
        "grade", *(str(handed_in / name) for name in ("ben", "cleo", "anna")), "--sandbox", "process"
    )
    assert code == 2
    assert [line.split()[:2] for line in out.splitlines()[:3]] == [
        ["ben", "8/8"],
        [str(handed_in / "cleo"), "-"],
        ["anna", "4/4"],
    ]
    assert "cleo: holds no file of any exercise" in err


def test_grade_prints_a_line_of_json_for_each(grader: Run, handed_in: Path) -> None:
    code, out, _ = grader(
        "grade", str(handed_in / "anna"), str(handed_in / "ben"), "--sandbox", "process", "--json", "-"
    )
    assert code == 0
    assert [json.loads(line)["submission"] for line in out.splitlines()] == ["anna", "ben"]


def test_grade_judges_only_the_exercise_that_is_asked_for(
    grader: Run, judge: FakeJudge, handed_in: Path
) -> None:
    grader("grade", str(handed_in / "ben"), "--sandbox", "process", "--exercise", "second")
    assert [name for name, _ in judge.asked] == ["second"]


def test_a_stored_result_is_not_judged_again(
    grader: Run, judge: FakeJudge, handed_in: Path, tmp_path: Path
) -> None:
    words = ("grade", str(handed_in / "anna"), str(handed_in / "ben"), "--sandbox", "process")
    out = tmp_path / "out"
    assert grader(*words, "--out", str(out))[0] == 0
    assert sorted(path.name for path in out.iterdir()) == ["anna.json", "ben.json"]
    assert len(judge.asked) == 3
    assert grader(*words, "--out", str(out))[1].count("(judged before)") == 2
    assert len(judge.asked) == 3


@pytest.mark.parametrize("change", ["submission", "suite", "seed", "profile", "secret", "broken"])
def test_a_stored_result_that_would_come_out_otherwise_is_judged_again(
    grader: Run,
    judge: FakeJudge,
    course: Course,
    handed_in: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
) -> None:
    words = ["grade", str(handed_in / "anna"), "--sandbox", "process", "--out", str(tmp_path)]
    grader(*words)
    match change:
        case "submission":
            (handed_in / "anna" / "first.py").write_text("# changed\n", encoding="utf-8")
        case "suite":
            suite = course.suite(course.exercise("first"))
            suite.mkdir(parents=True)
            (suite / "probe.py").write_text("", encoding="utf-8")
        case "seed":
            words += ["--seed", "2"]
        case "profile":
            words += ["--profile", "local"]
        case "secret":
            monkeypatch.setenv("GRADER_SECRET", "s")
        case "broken":
            (tmp_path / "anna.json").write_text("{", encoding="utf-8")
    assert "(judged before)" not in grader(*words)[1]
    assert len(judge.asked) == 2
    assert "(judged before)" in grader(*words)[1]


def test_a_result_with_our_fault_is_never_stored(
    grader: Run, judge: FakeJudge, handed_in: Path, tmp_path: Path
) -> None:
    judge.outcomes["first"] = {"FIRST-01": "judge_error"}
    words = ("grade", str(handed_in / "anna"), "--sandbox", "process", "--out", str(tmp_path / "out"))
    assert grader(*words)[0] == 3
    assert list((tmp_path / "out").iterdir()) == []


def test_two_submissions_of_one_name_are_not_mixed_up(grader: Run, handed_in: Path, tmp_path: Path) -> None:
    twin = tmp_path / "elsewhere" / "anna"
    twin.mkdir(parents=True)
    (twin / "first.py").write_text("", encoding="utf-8")
    code, _, err = grader(
        "grade", str(handed_in / "anna"), str(twin), "--sandbox", "process", "--out", str(tmp_path / "out")
    )
    assert code == 2
    assert "anna.json" in err


def test_a_weaker_sandbox_is_never_taken_silently(
    grader: Run, judge: FakeJudge, handed_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grader.judge import sandboxes

    monkeypatch.setattr(sandboxes, "_bubblewrap_problem", lambda: "the program bwrap is not installed.")
    code, _, err = grader("grade", str(handed_in / "anna"))
    assert code == 2
    assert "bwrap is not installed" in one_line(err)
    assert judge.asked == []


# --- the author's


def test_stubs_are_compared_and_written(grader: Run, course: Course) -> None:
    code, out, _ = grader("author", "stubs", "--check")
    assert code == 1
    assert "differs: exercises/01_introduction/first.py" in out
    assert grader("author", "stubs")[0] == 0
    assert grader("author", "stubs", "--check")[0] == 0


def test_a_new_exercise_is_started(grader: Run, course: Course) -> None:
    code, out, _ = grader("author", "new", "01_introduction/third")
    assert code == 0
    assert "exercises/01_introduction/third.md" in out
    assert Course(course.root).exercise("third").chapter == 1


# --- start


@pytest.mark.parametrize("words", [["--help"], ["list"], ["show", "first"], ["hint", "first"], []])
def test_what_is_slow_is_not_imported_for_the_quick_commands(course: Course, words: list[str]) -> None:
    script = (
        "import sys; from grader.cli import run; code = run(sys.argv[1:]);"
        "slow = {'pytest', 'hypothesis', 'libcst', 'httpx', 'watchfiles', 'psutil', 'asyncio'};"
        "slow &= set(sys.modules);"
        "sys.exit(f'{code} {slow}' if code or slow else 0)"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        check=False, capture_output=True, text=True, cwd=course.root, env=environment,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_it_runs_as_a_module(course: Course) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "grader", "nope"],
        check=False, capture_output=True, text=True, cwd=course.root,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    assert done.returncode == 2
