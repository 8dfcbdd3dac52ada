"""The proof of an exercise finds each thing that can be wrong with it, and nothing where nothing is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import libcst
import pytest

from grader.authoring.problem import Problem
from grader.authoring.stubs import make_stub
from grader.authoring.trivial import Behaviour, exceptions_of, trivial, trivial_submissions
from grader.authoring.validate import fair_solutions, render, validate, validate_course
from grader.course import Course, Exercise
from grader.grading import Options
from grader.report import Outcome, Report
from grader.submission import Submission
from grader.suite.plugin import BrokenSuite

NUMBERS = Path(__file__).parent / "tiny_courses" / "numbers"
MakeReport = Callable[..., Report]
Outcomes = dict[str, Outcome]

NOTHING: Outcomes = {"DOUBLE-01": "not_attempted", "DOUBLE-02": "not_attempted"}
BOTH: Outcomes = {"DOUBLE-01": "failed", "DOUBLE-02": "failed"}
RIGHT: dict[str, Outcomes] = {
    "the stub": NOTHING,
    "every function returns None": BOTH,
    "every function returns its argument": BOTH,
    "every function raises TooLarge": BOTH,
    "the solution": {},
    "by_shifting.py": {},
    "Squares the number": {"DOUBLE-01": "failed"},
    "Gives the number back": BOTH,
    "Refuses the limit itself": {"DOUBLE-02": "failed"},
    "Has no limit": {"DOUBLE-02": "failed"},
    "Raises an exception of another kind": {"DOUBLE-02": "failed"},
    "Forgets negative numbers": {"DOUBLE-01": "failed"},
}
"""What a right judge says of each submission to `double`."""


class FakeJudge:
    """Gives each submission, by its name, the outcomes that it was told."""

    def __init__(self, make_report: MakeReport, told: dict[str, Outcomes] | None = None) -> None:
        self.judged: list[tuple[str, Options]] = []
        self._make_report = make_report
        self._outcomes = RIGHT | (told or {})

    def __call__(
        self, course: Course, exercise: Exercise, submission: Submission, options: Options
    ) -> Report:
        self.judged.append((submission.name, options))
        return self._make_report(exercise, self._outcomes[submission.name])


@pytest.fixture
def tiny(tmp_path: Path) -> Course:
    """A copy of the tiny course, to change."""
    shutil.copytree(NUMBERS, tmp_path / "numbers", ignore=shutil.ignore_patterns("__pycache__", ".grader"))
    return Course(tmp_path / "numbers")


@pytest.fixture
def proved(tiny: Course, make_report: MakeReport) -> Callable[..., list[str]]:
    """Validates `double` as it lies there, judged as it is told; gives the problems as texts."""

    def prove(told: dict[str, Outcomes] | None = None) -> list[str]:
        course = Course(tiny.root)
        found = validate(course, course.exercise("double"), judge=FakeJudge(make_report, told), jobs=1)
        return [str(problem) for problem in found]

    return prove


Prove = Callable[..., list[str]]


def change(course: Course, path: str, old: str, new: str) -> None:
    """Replace a text that stands in a file of the course."""
    file = course.root / path
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


SHEET = "exercises/01_first/double.md"
SUITE = "tests/suites/01_first/double/test_double.py"
GALLERY = "tests/suites/01_first/double/mistakes.toml"


# What is judged


def test_nothing_is_wrong_with_the_tiny_exercise(proved: Prove) -> None:
    assert proved() == []


def test_the_real_judge_agrees(tiny: Course) -> None:
    steps: list[str] = []
    assert validate(tiny, tiny.exercise("double"), on_step=steps.append, jobs=2) == ()
    assert steps[:2] == ["sheet and suite are read", "the stub earns nothing"]
    assert len(steps) == 1 + len(RIGHT)


def test_the_solution_is_judged_in_each_sandbox_and_the_rest_in_the_first(
    tiny: Course, make_report: MakeReport
) -> None:
    judge = FakeJudge(make_report)
    assert validate(tiny, tiny.exercise("double"), ("user", "process"), judge=judge, jobs=1) == ()
    assert [options.sandbox for name, options in judge.judged if name == "the solution"] == [
        "user",
        "process",
    ]
    assert {options.sandbox for name, options in judge.judged if name != "the solution"} == {"user"}
    assert {name for name, _ in judge.judged} == set(RIGHT)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (
            {"the stub": {"DOUBLE-01": "not_attempted"}},
            "DOUBLE-02 is earned by a submission that does nothing: the stub",
        ),
        ({"the stub": NOTHING | {"DOUBLE-02": "failed"}}, "is failed, not not_attempted"),
        (
            {"every function returns None": {"DOUBLE-01": "failed"}},
            "DOUBLE-02 is earned by a submission that does nothing: every function returns None",
        ),
        (
            {"every function raises TooLarge": {"DOUBLE-01": "failed"}},
            "DOUBLE-02 is earned by a submission that does nothing: every function raises TooLarge",
        ),
        (
            {"the solution": {"DOUBLE-01": "stalled"}},
            "solutions/01_first/double.py: is right, but loses DOUBLE-01 in process (stalled)",
        ),
        (
            {"by_shifting.py": {"DOUBLE-02": "failed"}},
            "tests/fair/01_first/double/by_shifting.py: is right, but loses DOUBLE-02",
        ),
        ({"Has no limit": {}}, "mistake 'Has no limit' is not caught: it earns everything"),
        (
            {"Has no limit": {"DOUBLE-01": "failed"}},
            "mistake 'Has no limit' must lose DOUBLE-02, but earns it and loses DOUBLE-01",
        ),
        ({"Has no limit": BOTH}, "mistake 'Has no limit' also loses DOUBLE-01"),
        ({"the solution": {"DOUBLE-01": "judge_error"}}, "DOUBLE-01: the judge failed"),
    ],
)  # fmt: skip
def test_what_a_report_shows_to_be_wrong_is_told(
    proved: Prove, told: dict[str, Outcomes], words: str
) -> None:
    assert any(words in problem for problem in proved(told))


def test_what_may_be_lost_is_no_problem(proved: Prove) -> None:
    assert proved({"Refuses the limit itself": BOTH}) == []


def test_a_broken_suite_is_a_problem_and_ends_the_judging(tiny: Course) -> None:
    def judge(course: Course, exercise: Exercise, submission: Submission, options: Options) -> Report:
        raise BrokenSuite("no fixture 'submision'")

    found = validate(tiny, tiny.exercise("double"), judge=judge, jobs=1)
    assert [problem.what for problem in found] == ["the suite is broken: no fixture 'submision'"]


# What is read


def test_a_stub_that_is_not_the_solutions_is_told(tiny: Course, proved: Prove) -> None:
    change(tiny, "exercises/01_first/double.py", "NotImplementedError", "ValueError")
    (problem,) = proved()
    assert problem.startswith("exercises/01_first/double.py: the stub is not what the solution gives.")


def test_a_missing_solution_ends_it(tiny: Course, proved: Prove) -> None:
    (tiny.root / "solutions/01_first/double.py").unlink()
    assert any("solutions/01_first/double.py is missing" in problem for problem in proved())


def test_a_mistake_that_does_not_fit_is_told_and_the_others_judged(
    tiny: Course, make_report: MakeReport
) -> None:
    change(tiny, GALLERY, "left + right", "left - right")
    judge = FakeJudge(make_report)
    (problem,) = validate(tiny, tiny.exercise("double"), judge=judge, jobs=1)
    assert "'left - right' stands nowhere in _sum, not once" in problem.what
    assert {name for name, _ in judge.judged} == set(RIGHT) - {"Squares the number"}


@pytest.mark.parametrize(("minutes", "needed"), [(10, None), (44, None), (45, 12)])
def test_a_long_exercise_needs_more_mistakes(
    tiny: Course, proved: Prove, minutes: int, needed: int | None
) -> None:
    change(tiny, SHEET, "minutes: 10", f"minutes: {minutes}")
    expected = (
        [] if needed is None else [f"there are 6 mistakes of the {needed} that {minutes} minutes ask for"]
    )
    assert [problem.split(": ", 1)[1].split(". ")[0] for problem in proved()] == expected


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("minutes: 10", "minutes: soon", "minutes is 'soon'"),
        ("difficulty: 1", "difficulty: 6", "difficulty is 6"),
        ("points: 2", "points: 0", "DOUBLE-01 is worth 0 points"),
        ("points: 2", "points: 1.5", "DOUBLE-01 is worth 1.5 points"),
        ("points: 2", "points: true", "DOUBLE-01 is worth True points"),
        ("id: DOUBLE-02", "id: DOUBLE-01", "requirement DOUBLE-01 occurs 2 times"),
        ("id: DOUBLE-02", "id: double_2", "requirement id 'double_2' is ill-formed"),
        ("gives twice the number.", "should give twice.", 'the sentence of DOUBLE-01 says "should"'),
        ("gives twice the number.", "gives twice", "the sentence of DOUBLE-01 does not end with a period"),
        ("gives twice the number.", "gives twice" + " as much" * 20 + ".", "the sentence of DOUBLE-01 has 1"),
        (
            "`double` raises TooLarge for a number over LIMIT, and only then.",
            "`double` gives twice the number.",
            "the sentence of DOUBLE-01 occurs twice",
        ),
        ('source: "course policy: Numbers"', 'source: ""', "DOUBLE-01 has no source"),
        ("[APP-CALL-01]", "[APP-CALL-99]", "the ASGI rule APP-CALL-99 is cited"),
        ("read: Numbers", "read: Figures", "has no heading 'Figures'"),
        ("builds_on: []", "builds_on: [01_first/none]", "01_first/none, which is no exercise"),
        ("builds_on: []", "builds_on: [fastasgi/triple]", "fastasgi/triple, which comes later"),
        ("- **DOUBLE-02** A", "- **DOUBLE-03** A", "DOUBLE-02 has no rule"),
        ("- **DOUBLE-02** A", "- **DOUBLE-03** A", "## Rules has DOUBLE-03, which is no requirement"),
        ("- **DOUBLE-02** A", "- A", "begins with no requirement"),
        ("Somebody needs", "As DOUBLE-07 says, somebody needs", "DOUBLE-07 is cited"),
        ("## Story", "## Tale", "the section ## Story is missing"),
        ("## Story", "## Tale", "unknown section ## Tale"),
        ("Somebody needs twice as much.", "", "the section ## Story is empty"),
        ("## API", "## Hints\n\nNone.\n\n## API", "the sections are not in order"),
        ("### Closer", "Closer", "there are 2 hints"),
        ("assert double(21) == 42", "assert double(21) = 42", "the example is no Python"),
        ("```python", "```", "## Example holds no ```python block"),
    ],
)  # fmt: skip
def test_a_sheet_that_is_wrong_is_told(
    tiny: Course, old: str, new: str, words: str, make_report: MakeReport
) -> None:
    change(tiny, SHEET, old, new)
    exercise = tiny.exercise("double")

    def judge(course: Course, exercise: Exercise, submission: Submission, options: Options) -> Report:
        raise BrokenSuite("not of interest here")

    found = [problem for problem in validate(tiny, exercise, judge=judge, jobs=1) if problem.where == SHEET]
    assert any(words in problem.what for problem in found), found


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('@requirement("DOUBLE-02")\n', "", "test_too_large proves 0 requirements"),
        ("@given(over", '@requirement("DOUBLE-01")\n@given(over', "proves 2 requirements"),
        ('@requirement("DOUBLE-02")', '@requirement("DOUBLE-09")', "DOUBLE-09, which the sheet does"),
        ('@requirement("DOUBLE-02")', '@requirement("DOUBLE-01")', "DOUBLE-02 has no test"),
        ('    """`double` gives twice the number."""\n', "", "test_twice has no title"),
        (
            "Over the limit `double` raises TooLarge; at the limit it does not.",
            "`double` gives twice the number.",
            "2 tests have the title",
        ),
        ("LIMIT = 10**18", "from grader.transcript import Line", "imports grader.transcript"),
        ("@given(over", "@settings(max_examples=5)\n@given(over", "sets max_examples"),
        ("LIMIT = 10**18", "LIMIT = 10**18\ntime.sleep(1)", "sleeps"),
        ("LIMIT = 10**18", "LIMIT = ", "is no Python"),
    ],
)  # fmt: skip
def test_a_suite_that_is_wrong_is_told(tiny: Course, proved: Prove, old: str, new: str, words: str) -> None:
    change(tiny, SUITE, old, new)
    assert any(words in problem for problem in proved())


@pytest.mark.parametrize(
    ("gone", "words"), [("probe.py", "there is no probe.py"), ("test_double.py", "there is no test_*.py")]
)
def test_a_suite_that_lacks_a_file_is_told(tiny: Course, proved: Prove, gone: str, words: str) -> None:
    (tiny.root / "tests/suites/01_first/double" / gone).unlink()
    assert any(words in problem for problem in proved())


# What lies about


def test_nothing_lies_about_in_the_tiny_course(tiny: Course) -> None:
    assert validate_course(tiny) == ()


@pytest.mark.parametrize(
    "path",
    [
        "exercises/notes.md.txt",
        "exercises/01_first/conftest.py",
        "exercises/fastasgi/extra.py",
        "solutions/01_first/other.py",
        "solutions/fastasgi/triple.py",
        "tests/suites/01_first/double/helper.py",
        "tests/suites/01_first/gone/probe.py",
        "tests/fair/01_first/double/notes.txt",
        "tests/fair/01_first/gone/by_shifting.py",
    ],
)
def test_a_stray_file_is_told(tiny: Course, path: str) -> None:
    stray = tiny.root / path
    stray.parent.mkdir(parents=True, exist_ok=True)
    stray.write_text("", encoding="utf-8")
    assert [problem.where for problem in validate_course(tiny)] == [path]


def test_what_tools_leave_behind_is_not(tiny: Course) -> None:
    left = tiny.root / "exercises/01_first/__pycache__/double.cpython-311.pyc"
    left.parent.mkdir()
    left.write_bytes(b"")
    assert validate_course(tiny) == ()


def test_a_given_module_that_was_changed_is_told(tiny: Course) -> None:
    change(tiny, "exercises/fastasgi/sums.py", "sum(numbers)", "0")
    assert [problem.where for problem in validate_course(tiny)] == ["exercises/fastasgi/sums.py"]


# Trivial submissions and other right ones


SOURCE = '''
from elsewhere import NotFoundError, other


class GoneError(Exception):
    """Gone."""


class Box:
    """Holds. Raises GoneError if it is empty."""

    def __init__(self, first: int) -> None:
        self._first = first

    def get(self, key: str) -> int:
        """Get it.

        Raises KeyError, or NotFoundError; never Something.
        """
        return other(key)

    @staticmethod
    def make(size: int) -> None:
        raise OSError("x")

    def none(self) -> int:
        return 1

    async def each(self, key: str):
        yield key
'''


def test_the_exceptions_are_those_documented_or_raised() -> None:
    assert exceptions_of(SOURCE) == ("GoneError", "KeyError", "NotFoundError", "OSError")


def stub_of(source: str) -> libcst.Module:
    """The stub of a solution, parsed."""
    return libcst.parse_module(make_stub(source, "box"))


@pytest.mark.parametrize(
    ("behaviour", "bodies"),
    [
        (Behaviour("returns None"), ["return", "return None", "return None", "return None", "return"]),
        (Behaviour("returns its argument"), ["return", "return key", "return size", "return self", "return"]),
        (Behaviour("raises GoneError", "GoneError"), ["return", *["raise GoneError.__new__(GoneError)"] * 4]),
    ],
)
def test_every_body_behaves_as_it_is_told(behaviour: Behaviour, bodies: list[str]) -> None:
    made = trivial(stub_of(SOURCE), SOURCE, behaviour)
    lines = [line.strip() for line in made.splitlines()]
    assert [line for line in lines if line.startswith(("return", "raise"))] == bodies
    assert "NotImplementedError" not in made
    libcst.parse_module(made)


def test_an_exception_that_is_imported_is_imported_again() -> None:
    made = trivial(stub_of(SOURCE), SOURCE, Behaviour("raises NotFoundError", "NotFoundError"))
    assert "from elsewhere import NotFoundError" in made


def test_an_exercise_has_a_trivial_submission_for_each_behaviour(tiny: Course) -> None:
    names = [submission.name for submission in trivial_submissions(tiny, tiny.exercise("double"))]
    assert names == [name for name in RIGHT if name.startswith("every function")]


def test_a_fair_solution_may_name_imports_in_its_header(tiny: Course) -> None:
    folder = tiny.fair(tiny.exercise("double"))
    (folder / "with_help.py").write_text(
        "# another\n# imports: attr, yaml.nodes\n\nx = 1\n# imports: os\n", encoding="utf-8"
    )
    found = {path.name: imports for path, _, imports in fair_solutions(tiny, tiny.exercise("double"))}
    assert found == {"by_shifting.py": (), "with_help.py": ("attr", "yaml.nodes")}


def test_problems_are_shown_with_place_and_cure() -> None:
    assert render([]) != render([Problem("a", "b.md", "the title is empty", "Give it one")])
    assert (
        str(Problem("a", "b.md", "the title is empty", "Give it one"))
        == "b.md: the title is empty. Give it one."
    )
