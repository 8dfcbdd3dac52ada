"""Mutants are small and stable; they leave alone what no sheet can demand; and they measure a suite."""

from __future__ import annotations

import ast
import shutil
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from mutmut.mutation.mutators import mutation_operators

from grader.authoring.mutants import OPERATORS, Mutant, mutants
from grader.authoring.mutate import MutateError, Step, mutate, render, summary
from grader.course import Course, Exercise
from grader.grading import Options
from grader.report import Report
from grader.submission import Submission

NUMBERS = Path(__file__).parent / "tiny_courses" / "numbers"
MakeReport = Callable[..., Report]


def made(source: str) -> tuple[Mutant, ...]:
    return mutants(textwrap.dedent(source).lstrip("\n"))


def changes(source: str, operator: str) -> list[str]:
    """What an operator changes in a function's body, as `old -> new`."""
    found = made(
        "async def f(a, b, receive, send):\n"
        + textwrap.indent(textwrap.dedent(source).strip("\n"), "    ")
        + "\n"
    )
    return [f"{mutant.old} -> {mutant.new}" for mutant in found if mutant.operator == operator]


# Operators

TRY = """
try:
    send()
except OSError:
    return 1
"""


@pytest.mark.parametrize(
    ("operator", "source", "expected"),
    [
        ("swap_op", "return a < b", ["return a < b -> return a <= b"]),
        ("swap_op", "return a + b", ["return a + b -> return a - b"]),
        ("swap_op", "return a and b", ["return a and b -> return a or b"]),
        ("keywords", "return a in b", ["return a in b -> return a not in b"]),
        ("number", "return 5", ["return 5 -> return 6", "return 5 -> return 4"]),
        ("number", "return 0", ["return 0 -> return 1", "return 0 -> return -1"]),
        ("string", "return 'ab'", ["return 'ab' -> return 'XXabXX'", "return 'ab' -> return 'AB'"]),
        ("empty", "return b'ab'", ["return b'ab' -> return b\"\""]),
        ("empty", "return f'{a}-{b}'", ["return f'{a}-{b}' -> return f'{a}{b}'"]),
        ("negated", "if a:\n    send()", ["if a -> if not (a)"]),
        ("negated", "if a == b:\n    send()", []),
        ("half", "return a or b", ["return a or b -> return a", "return a or b -> return b"]),
        ("removed", "send(a)", ["send(a) -> pass"]),
        ("removed", "a.b = 1", ["a.b = 1 -> pass"]),
        ("removed", "for x in a:\n    b = x", ["for x in a -> for x in ()"]),
        ("removed", "a = b", []),
        ("nothing_returned", "return a", ["return a -> return None"]),
        ("slice", "return a[b:]", [
            "return a[b:] -> return a[:]",
            "return a[b:] -> return a[b + 1:]",
            "return a[b:] -> return a[b - 1:]",
        ]),
        ("number", "return a[1:]", ["return a[1:] -> return a[2:]", "return a[1:] -> return a[0:]"]),
        ("first_or_last", "return a[0]", ["return a[0] -> return a[-1]"]),
        ("first_or_last", "return a[-1]", ["return a[-1] -> return a[0]"]),
        ("first_or_last", "return min(a)", ["return min(a) -> return max(a)"]),
        ("dropped_default", "return a.get('k', b)", ["return a.get('k', b) -> return a['k']"]),
        ("forgotten", "return {'a': a, 'b': b}", [
            "return {'a': a, 'b': b} -> return {'b': b}",
            "return {'a': a, 'b': b} -> return {'a': a, }",
        ]),
        ("shared", "return dict(a)", ["return dict(a) -> return a"]),
        ("shared", "return a.copy()", ["return a.copy() -> return a"]),
        ("shared", "return {**a}", ["return {**a} -> return a"]),
        ("shared", "return list(a)", ["return list(a) -> return a"]),
        ("swallowed", "raise ValueError('words')", [
            "raise ValueError(...) -> pass",
            "raise ValueError(...) -> return",
        ]),
        ("swallowed", TRY, ["except OSError: return 1 -> except OSError: pass"]),
        ("twice", "await send(a)", ["await send(a) -> await send(a); await send(a)"]),
        ("twice", "yield a", ["yield a -> yield a; yield a"]),
        ("unread", "a = await receive()", ["a = await receive() -> a = {}"]),
        ("exception", "raise ValueError", ["raise ValueError -> raise Exception"]),
        ("exception", "raise Refused(status=400)", ["raise Refused(status=400) -> raise Exception(400)"]),
        ("exception", "raise a", []),
        ("exception", TRY, ["except OSError: return 1 -> except Exception: return 1"]),
        ("raw_case", "return a.lower()", ["return a.lower() -> return a"]),
        ("regex", "return re.match(r'[0-9]{1,2}$', a)", [
            "return re.match(r'[0-9]{1,2}$', a) -> return re.match(r'[0-9]{2,2}$', a)",
            "return re.match(r'[0-9]{1,2}$', a) -> return re.match(r'[0-9]{0,2}$', a)",
            "return re.match(r'[0-9]{1,2}$', a) -> return re.match(r'[0-9]{1,3}$', a)",
            "return re.match(r'[0-9]{1,2}$', a) -> return re.match(r'[0-9]{1,1}$', a)",
            "return re.match(r'[0-9]{1,2}$', a) -> return re.match(r'\\d{1,2}$', a)",
        ]),
    ],
)  # fmt: skip
def test_an_operator_makes_its_changes(operator: str, source: str, expected: list[str]) -> None:
    assert changes(source, operator) == expected


def test_every_operator_of_ours_is_tried_above() -> None:
    (table,) = (mark.args[1] for mark in test_an_operator_makes_its_changes.pytestmark)  # type: ignore[attr-defined]
    of_mutmut = {made.__name__.removeprefix("operator_") for _, made in mutation_operators}
    assert {name for name, _ in OPERATORS} - of_mutmut <= {operator for operator, _, _ in table}


# What is left alone


@pytest.mark.parametrize(
    "source",
    [
        '"""Words."""\n',
        '__all__ = ["a", "b"]\n',
        "from a import b\n",
        "Scope = dict[str, int]\n",
        "Both = Left | None\n",
        'T = TypeVar("T", bound=int)\n',
        "if TYPE_CHECKING:\n    X = 1\n",
        "class Box:\n    def __repr__(self) -> str:\n        return str(1 + 1)\n",
        "class Box(Base, flag=True):\n    size: Literal[1]\n",
        "@overload\ndef f(a: int = 1) -> int: ...\n",
        '@decorated("words", 1)\ndef f(a: Literal["x"]) -> Literal[1]:\n    """Words."""\n',
    ],
)
def test_what_no_sheet_demands_is_left_alone(source: str) -> None:
    assert made(source) == ()


@pytest.mark.parametrize(
    "message", ["'words'", "f'words {a + 1}'", "'words ' 'and more'", "'words %s' % a", "f'{a}' + 'words'"]
)
def test_the_text_of_a_message_is_left_alone(message: str) -> None:
    found = made(f"def f(a):\n    raise ValueError({message})\n")
    assert {mutant.operator for mutant in found} == {"swallowed", "exception"}


def test_what_else_an_exception_carries_is_not() -> None:
    assert "raise HTTPException(413, ...) -> raise HTTPException(414, ...)" in changes(
        "raise HTTPException(413, 'words')", "number"
    )


# Identity


SOURCE = """
    LIMIT = 3


    class Box:
        def size(self, a):
            # a comment
            if a > 1:
                return a + 1
            return a + 1


    def size(a):
        def inner(b):
            return b + 1

        return inner(a)
"""


def test_ids_name_operator_place_and_change() -> None:
    ids = [mutant.id for mutant in made(SOURCE)]
    assert "swap_op@Box.size: a > 1 -> a >= 1" in ids
    assert "swap_op@Box.size: return a + 1 -> return a - 1" in ids
    assert "swap_op@Box.size: return a + 1 -> return a - 1 #2" in ids
    assert "swap_op@size.inner: return b + 1 -> return b - 1" in ids
    assert "number@module: LIMIT = 3 -> LIMIT = 4" in ids
    assert len(set(ids)) == len(ids)


def test_ids_do_not_depend_on_lines_or_comments() -> None:
    moved = "\n\n# more\n" + textwrap.dedent(SOURCE).replace(
        "# a comment\n", "# another\n            # and one\n"
    )
    assert [mutant.id for mutant in mutants(moved)] == [mutant.id for mutant in made(SOURCE)]


def test_the_same_source_gives_the_same_mutants() -> None:
    assert made(SOURCE) == made(SOURCE)


def test_every_mutant_is_one_change_that_python_reads() -> None:
    source = (NUMBERS / "solutions" / "01_first" / "double.py").read_text(encoding="utf-8")
    found = mutants(source)
    meanings = {ast.dump(ast.parse(mutant.source)) for mutant in found}
    assert len(meanings) == len(found) > 10
    assert ast.dump(ast.parse(source)) not in meanings
    for mutant in found:
        assert mutant.source.count("\n") >= source.count("\n") - 1


# Measuring


class FakeJudge:
    """Says that a submission loses a requirement exactly if its source holds one of the texts."""

    def __init__(self, make_report: MakeReport, caught: tuple[str, ...] = (), broken: str = "\0") -> None:
        self.judged: list[str] = []
        self.profiles: list[str] = []
        self._make_report = make_report
        self._caught = caught
        self._broken = broken

    def __call__(
        self, course: Course, exercise: Exercise, submission: Submission, options: Options
    ) -> Report:
        source = next(iter(submission.files(exercise).values())).decode()
        self.judged.append(submission.name)
        self.profiles.append(options.profile)
        lost = exercise.requirements[0].id
        if self._broken in source:
            return self._make_report(exercise, {lost: "judge_error"})
        return self._make_report(
            exercise, {lost: "failed"} if any(text in source for text in self._caught) else "passed"
        )


@pytest.fixture
def tiny(tmp_path: Path) -> Course:
    """A copy of the tiny course, to change. Its `double` has a solution with four mutants."""
    shutil.copytree(NUMBERS, tmp_path / "numbers", ignore=shutil.ignore_patterns("__pycache__", ".grader"))
    course = Course(tmp_path / "numbers")
    course.solution(course.exercise("double")).write_text(
        "def double(n: int) -> int:\n    return n + 2\n", encoding="utf-8"
    )
    return course


MINUS = "swap_op@double: return n + 2 -> return n - 2"
THREE = "number@double: return n + 2 -> return n + 3"
ONE = "number@double: return n + 2 -> return n + 1"
NOTHING = "nothing_returned@double: return n + 2 -> return None"
ALL = ("n - 2", "n + 3", "n + 1", "None")


def listed(course: Course, *ids: str) -> None:
    text = "".join(f'[[equivalent]]\nmutant = "{name}"\nreason = "No caller can tell."\n' for name in ids)
    (course.suite(course.exercise("double")) / "mutants.toml").write_text(text, encoding="utf-8")


def test_a_mutant_that_loses_a_point_is_caught(tiny: Course, make_report: MakeReport) -> None:
    measured = mutate(tiny, tiny.exercise("double"), jobs=1, judge=FakeJudge(make_report, ALL))
    assert set(measured.caught) == {MINUS, THREE, ONE, NOTHING}
    assert measured.passed
    assert summary(measured) == "01_first/double: 4 mutants, 4 caught, 0 survived, 0 equivalent"


def test_a_survivor_is_shown_with_its_diff(tiny: Course, make_report: MakeReport) -> None:
    measured = mutate(tiny, tiny.exercise("double"), jobs=1, judge=FakeJudge(make_report, ("n - 2", "None")))
    assert [specimen.id for specimen in measured.survivors] == [THREE, ONE]
    assert measured.survivors[0].diff.splitlines()[-2:] == ["-    return n + 2", "+    return n + 3"]
    assert not measured.passed
    assert render(measured)


def test_a_listed_survivor_is_no_defect(tiny: Course, make_report: MakeReport) -> None:
    listed(tiny, THREE)
    measured = mutate(
        tiny, tiny.exercise("double"), jobs=1, judge=FakeJudge(make_report, ("n - 2", "n + 1", "None"))
    )
    assert [entry.mutant for entry in measured.equivalent] == [THREE]
    assert measured.passed


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ((MINUS,), "is caught, so it is not equivalent"),
        (("swap_op@double: gone -> away",), "there is no mutant 'swap_op@double: gone -> away'"),
        ((THREE, THREE), "is listed more than once"),
    ],
)
def test_a_list_that_does_not_fit_is_an_error(
    tiny: Course, make_report: MakeReport, ids: tuple[str, ...], words: str
) -> None:
    listed(tiny, *ids)
    measured = mutate(
        tiny, tiny.exercise("double"), jobs=1, judge=FakeJudge(make_report, ("n - 2", "n + 1", "None"))
    )
    assert any(words in error for error in measured.errors)
    assert not measured.passed


def test_a_list_without_reasons_is_refused(tiny: Course, make_report: MakeReport) -> None:
    path = tiny.suite(tiny.exercise("double")) / "mutants.toml"
    path.write_text(f'[[equivalent]]\nmutant = "{THREE}"\nreason = " "\n', encoding="utf-8")
    with pytest.raises(MutateError, match="needs a mutant and a reason"):
        mutate(tiny, tiny.exercise("double"), jobs=1, judge=FakeJudge(make_report))


def test_a_mutant_that_the_judge_fails_on_is_neither(tiny: Course, make_report: MakeReport) -> None:
    measured = mutate(
        tiny, tiny.exercise("double"), jobs=1, judge=FakeJudge(make_report, ALL[:3], broken="None")
    )
    assert NOTHING not in measured.caught
    assert [NOTHING in error for error in measured.errors] == [True]


def test_a_solution_that_loses_something_measures_nothing(tiny: Course, make_report: MakeReport) -> None:
    with pytest.raises(MutateError, match="the solution itself loses DOUBLE-01"):
        mutate(tiny, tiny.exercise("double"), jobs=1, judge=FakeJudge(make_report, ("n + 2",)))


def test_steps_are_told_in_order(tiny: Course, make_report: MakeReport) -> None:
    steps: list[Step] = []
    mutate(tiny, tiny.exercise("double"), jobs=1, judge=FakeJudge(make_report, ALL[:1]), on_step=steps.append)
    assert [(step.done, step.planned) for step in steps] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [step.mutant for step in steps if step.caught] == [MINUS]


def test_what_is_not_caught_on_few_examples_is_judged_on_many(tiny: Course, make_report: MakeReport) -> None:
    judge = FakeJudge(make_report, ("n - 2", "n + 3", "n + 1"))
    measured = mutate(tiny, tiny.exercise("double"), jobs=1, judge=judge)
    told = list(zip(judge.judged, judge.profiles, strict=True))
    assert [name for name, profile in told if profile == "local"] == ["solution", NOTHING]
    assert {name for name, profile in told if profile == "watch"} == {"solution", NOTHING, *measured.caught}
    assert len(told) == 7, "none is judged twice on as many"


# What has been judged


def again(course: Course, make_report: MakeReport) -> list[str]:
    """Which mutants are judged by a further run."""
    judge = FakeJudge(make_report, ALL[:2])
    measured = mutate(Course(course.root), course.exercise("double"), jobs=1, judge=judge)
    assert len(measured.caught) == 2
    return [name for name in dict.fromkeys(judge.judged) if name != "solution"]


def test_nothing_is_judged_twice(tiny: Course, make_report: MakeReport) -> None:
    assert len(again(tiny, make_report)) == 4
    assert again(tiny, make_report) == []


@pytest.mark.parametrize(
    "change",
    [
        "tests/suites/01_first/double/test_double.py",
        "tests/suites/01_first/double/probe.py",
        "exercises/01_first/double.md",
        "solutions/01_first/double.py",
    ],
)
def test_what_a_verdict_depends_on_makes_it_void(tiny: Course, make_report: MakeReport, change: str) -> None:
    again(tiny, make_report)
    with (tiny.root / change).open("a", encoding="utf-8") as file:
        file.write("\n# a comment\n")
    assert len(again(tiny, make_report)) == 4


def test_what_it_does_not_depend_on_does_not(tiny: Course, make_report: MakeReport) -> None:
    again(tiny, make_report)
    (tiny.reference / "sums.py").write_text("# another\n", encoding="utf-8")
    listed(tiny)
    assert again(tiny, make_report) == []


def test_a_line_that_was_cut_off_is_judged_again(tiny: Course, make_report: MakeReport) -> None:
    again(tiny, make_report)
    (stored,) = (tiny.state / "mutants").rglob("*.jsonl")
    stored.write_text(stored.read_text(encoding="utf-8")[:-4], encoding="utf-8")
    assert len(again(tiny, make_report)) == 1


# With the real judge


def test_the_tiny_suite_catches_every_mutant_in_several_processes(tmp_path: Path) -> None:
    shutil.copytree(NUMBERS, tmp_path / "numbers", ignore=shutil.ignore_patterns("__pycache__", ".grader"))
    course = Course(tmp_path / "numbers")
    measured = mutate(course, course.exercise("triple"), jobs=2)
    assert measured.total > 10
    assert measured.passed, [specimen.diff for specimen in measured.survivors] or measured.errors
