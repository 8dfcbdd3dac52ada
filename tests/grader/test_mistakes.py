"""A mistake is an edit that matches exactly once; what does not fit is told with the mistake's name."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path

import pytest

from grader.authoring.mistakes import Edit, Mistake, MistakeError, apply, read_mistakes, submission_of
from grader.course import Course

NUMBERS = Path(__file__).parent / "tiny_courses" / "numbers"
SOURCE = '''"""A module."""

LIMIT = 3


class Box:
    """Holds."""

    def __init__(self) -> None:
        self.value = 1

    @property
    def size(self) -> int:
        """How large."""
        # in its own way
        if self.value > LIMIT:
            return 0
        return self.value

    @size.setter
    def size(self, new: int) -> None:
        self.value = new

    def twice(self) -> int:
        return self.value + self.value


def twice(value: int) -> int:
    return value + value


def short() -> int: return 1
'''


def mistake(where: str, *edits: tuple[str, str], body: str | None = None) -> Mistake:
    return Mistake("Wrong", where, ("A-01",), edits=tuple(Edit(*edit) for edit in edits), body=body)


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """A copy of the tiny course, to change."""
    shutil.copytree(NUMBERS, tmp_path / "numbers", ignore=shutil.ignore_patterns("__pycache__", ".grader"))
    return Course(tmp_path / "numbers")


def gallery(course: Course, text: str) -> Course:
    """The course with that gallery for `double`."""
    path = course.suite(course.exercise("double")) / "mistakes.toml"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return course


# Edits


def test_an_edit_is_made_in_its_part_alone() -> None:
    assert apply(SOURCE, mistake("twice", ("value + value", "value"))) == SOURCE.replace(
        "    return value + value", "    return value"
    )
    assert apply(SOURCE, mistake("Box.twice", ("self.value + self.value", "0"))) == SOURCE.replace(
        "self.value + self.value", "0"
    )


def test_the_whole_module_can_be_meant() -> None:
    assert apply(SOURCE, mistake("", ("LIMIT = 3", "LIMIT = 4"))) == SOURCE.replace("LIMIT = 3", "LIMIT = 4")


def test_a_class_can_be_meant_with_its_decorators_and_methods() -> None:
    assert "self.value = 2" in apply(SOURCE, mistake("Box", ("self.value = 1", "self.value = 2")))
    assert "@size.getter" in apply(SOURCE, mistake("Box.size", ("@property", "@size.getter")))


def test_several_edits_are_made_in_turn() -> None:
    made = apply(SOURCE, mistake("", ("LIMIT = 3", "LIMIT = 4\nLOW = 1"), ("LOW = 1", "LOW = 0")))
    assert "LIMIT = 4\nLOW = 0\n" in made


def test_a_body_replaces_all_but_the_docstring() -> None:
    made = apply(SOURCE, mistake("twice", body="\nif value:\n    return 1\nreturn 0\n"))
    assert (
        "def twice(value: int) -> int:\n    if value:\n        return 1\n    return 0\n\n\ndef short" in made
    )


def test_a_body_keeps_the_docstring() -> None:
    source = 'def f() -> int:\n    """Words."""\n    x = 1\n    return x\n'
    assert apply(source, mistake("f", body="return 2")) == 'def f() -> int:\n    """Words."""\n    return 2\n'


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (mistake("twice", ("valve", "x")), r"mistake 'Wrong': 'valve' stands nowhere in twice, not once"),
        (mistake("twice", ("value", "x")), r"'value' stands 3 times in twice"),
        (mistake("", ("self.value + self", "self +")), r"makes no Python \(line \d+: .*\)"),
        (mistake("thrice", ("a", "b")), r"the solution has no thrice"),
        (mistake("Box.thrice", body="pass"), r"the solution has no Box.thrice"),
        (mistake("twice", ("value + value", "value + value")), r"changes nothing"),
        (mistake("Box.size", body="return 1"), r"a `body` needs one function, and Box.size is not one"),
        (mistake("Box", body="pass"), r"a `body` needs one function, and Box is not one"),
        (mistake("short", body="return 2"), r"stands on the line of its `def`"),
    ],
)
def test_what_does_not_fit_is_told(wrong: Mistake, words: str) -> None:
    with pytest.raises(MistakeError, match=words):
        apply(SOURCE, wrong)


def test_overlapping_matches_count() -> None:
    with pytest.raises(MistakeError, match="stands 2 times"):
        apply("x = 'aaa'\n", mistake("", ("aa", "b")))


# Galleries


def test_the_gallery_of_a_course(course: Course) -> None:
    exercise = course.exercise("double")
    read = read_mistakes(course, exercise)
    assert [entry.title for entry in read][:2] == ["Squares the number", "Gives the number back"]
    assert read[2].must == ("DOUBLE-02",)
    assert read[2].may == ("DOUBLE-01",)
    made = submission_of(course, exercise, read[0])
    assert made.name == "Squares the number"
    assert b"left * right" in made.files(exercise)["double.py"]


def test_an_exercise_without_a_gallery_has_no_mistakes(course: Course) -> None:
    exercise = course.exercise("double")
    (course.suite(exercise) / "mistakes.toml").unlink()
    assert read_mistakes(course, exercise) == ()


GOOD = """
    [[mistake]]
    title = "Wrong"
    in = "double"
    replace = [{ old = "a", new = "b" }]
    must = ["DOUBLE-01"]
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('title = "Wrong"\n', "", "mistake 1 has no title"),
        ('in = "double"\n', "", "mistake 'Wrong': has no `in`"),
        ("DOUBLE-01", "DOUBLE-09", "`must` names DOUBLE-09, which the sheet does not have"),
        ('must = ["DOUBLE-01"]', "must = []", "has no `must`"),
        ('must = ["DOUBLE-01"]', 'must = "DOUBLE-01"', "`must` is no list"),
        ("must =", 'may = ["DOUBLE-01"]\n    must =', "DOUBLE-01 is in `must` and in `may`"),
        ("must =", 'note = "x"\n    must =', "unknown key note"),
        ("must =", 'body = "pass"\n    must =', "needs either `replace` or `body`"),
        ('old = "a"', 'old = ""', "an `old` that is not empty"),
        ('old = "a"', 'older = "a"', "an entry of `replace` is"),
        ("[[mistake]]", "[[mistake]", "is no TOML"),
        ("[[mistake]]", "[[mistakes]]", "holds more than"),
        (GOOD, GOOD + GOOD, "two mistakes are called 'Wrong'"),
    ],
)
def test_a_gallery_that_is_wrong_is_told(course: Course, old: str, new: str, words: str) -> None:
    gallery(course, GOOD.replace(old, new, 1))
    with pytest.raises(MistakeError, match=words) as caught:
        read_mistakes(course, course.exercise("double"))
    assert "mistakes.toml" in str(caught.value)


def test_a_mistake_that_does_not_fit_names_its_gallery(course: Course) -> None:
    gallery(course, GOOD.replace('old = "a"', 'old = "valve"'))
    exercise = course.exercise("double")
    with pytest.raises(
        MistakeError, match=r"mistakes\.toml: mistake 'Wrong': 'valve' stands nowhere in double"
    ):
        submission_of(course, exercise, read_mistakes(course, exercise)[0])
