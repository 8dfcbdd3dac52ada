"""A stub shows what a sheet may show, and nothing else; it is laid out as the project's formatter would."""

from __future__ import annotations

import ast
import importlib
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from grader.authoring import stubs
from grader.authoring.stubs import make_stub
from grader.course import Course

ROOT = Path(__file__).parents[2]
NUMBERS = Path(__file__).parent / "tiny_courses" / "numbers"

EVERYTHING = '''#!/usr/bin/env python
# SECRET licence
"""A module.

Its rules # are no comment.
"""

from __future__ import annotations

import functools
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from enum import Enum
from json import (
    dumps,
    loads,
)
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

if TYPE_CHECKING:
    from types import TracebackType
    from uuid import UUID

# SECRET table
__all__ = ["PUBLIC_TABLE", "Colour", "compile_path", "read"]

Receive = Callable[[], Awaitable["MutableMapping[str, Any]"]]
_T = TypeVar("_T")
_DEFAULT = 100
_SECRET_NUMBER = 3
MAX = 1 << 20
"""Bytes at most."""
METHODS = ("GET", "HEAD")
TABLE: dict[str, int] = {"SECRET": 1}
"""A table."""
PUBLIC_TABLE = {"SECRET": 2}
"""Another table."""
PATTERN = re.compile(r"SECRET\\d+")


class ClientGoneError(Exception):
    """Gone."""


class ToLearn(ValueError):  # noqa: E501 - SECRET reason
    """Too large."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit}")
        self.limit = limit


class TalkativeError(ClientGoneError):
    """Computes its message."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"SECRET {limit + _SECRET_NUMBER}")


class Colour(Enum):
    """A colour."""

    RED = "red"  # SECRET
    PAIR = ("a", "b")

    @property
    def loud(self) -> str:
        """The name, louder."""
        return self.value.upper()


@dataclass(frozen=True)
class Converter:
    """Reads and writes."""

    regex: str
    parse: Callable[[str], Any] = field(default=str)
    _hidden: int = 0

    def __post_init__(self) -> None:
        print("SECRET")


class Reader(Protocol):
    """Reads."""

    limit: int

    def read(self, n: int = ...) -> bytes: ...

    async def close(self) -> None: ...


class CompiledPath:
    """A compiled template."""

    __slots__ = ("_names", "template")

    template: str
    media_type = "text/plain"
    _names: tuple[str, ...]
    table = {"SECRET": 1}

    def __init__(self, template: str, uuid: UUID | None = None) -> None:
        # SECRET
        self.template = template

    def __repr__(self) -> str:
        return f"CompiledPath({self.template!r})"

    def _private(self) -> str:
        return "SECRET"

    @functools.lru_cache
    def match(self, path: str, *, limit: int = _DEFAULT) -> dict[str, Any] | None:
        """Match.

        Raises:
            ValueError: # is no comment either.
        """

        def inner() -> None:
            """SECRET."""

        inner()
        return loads(dumps({}))

    async def stream(self) -> AsyncIterator[bytes]:
        """Chunks."""
        yield b"SECRET"

    async def collect(self) -> bytes:
        async def inner() -> AsyncIterator[bytes]:
            yield b""

        return b"".join([chunk async for chunk in inner()])

    @asynccontextmanager
    async def life(self) -> AsyncIterator[None]:
        yield

    @contextmanager
    def held(self) -> Iterator[None]:
        yield


class Sealed:
    def __init__(self) -> None:
        self._names = "SECRET"

    def __repr__(self) -> str:
        return f"Sealed({self._names})"


@overload
def read(a: int) -> int: ...
@overload
def read(a: str) -> str: ...


def read(a: int | str) -> int | str:
    return a


def _helper(x: _T) -> _T:
    """SECRET."""
    return x


def identity(x: _T) -> _T:
    return _helper(x)


@functools.cache
def compile_path(template: str) -> CompiledPath:
    return CompiledPath(template)


if __name__ == "__main__":
    print(compile_path("SECRET"))
'''


def stub(source: str, name: str = "paths") -> str:
    return make_stub(textwrap.dedent(source).lstrip("\n"), name)


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """A copy of the tiny course, to change."""
    shutil.copytree(NUMBERS, tmp_path / "numbers", ignore=shutil.ignore_patterns("__pycache__", ".grader"))
    return Course(tmp_path / "numbers")


# What crosses


def test_nothing_secret_crosses() -> None:
    made = stub(EVERYTHING)
    assert "SECRET" not in made
    for name in (
        "_private",
        "_helper",
        "_hidden",
        "_names",
        "_SECRET_NUMBER",
        "inner",
        "lru_cache",
        "re",
        "dumps",
    ):
        assert name not in {node.id for node in ast.walk(ast.parse(made)) if isinstance(node, ast.Name)}
        assert not re.search(rf"\b{name}\b", made)


def test_what_is_public_stays() -> None:
    made = stub(EVERYTHING)
    for line in (
        "Its rules # are no comment.",
        "            ValueError: # is no comment either.",
        '"""Bytes at most."""',
        "MAX = 1 << 20",
        'METHODS = ("GET", "HEAD")',
        "TABLE: dict[str, int]",
        '"""A table."""',
        'Receive = Callable[[], Awaitable["MutableMapping[str, Any]"]]',
        '    PAIR = ("a", "b")',
        '    media_type = "text/plain"',
        "    template: str",
        "    parse: Callable[[str], Any] = field(default=str)",
        '        return f"CompiledPath({self.template!r})"',
        "    def read(self, n: int = ...) -> bytes: ...",
        "        self.limit = limit",
        "    @asynccontextmanager",
    ):
        assert f"\n{line}\n" in made


def test_a_private_name_stays_where_a_public_signature_needs_it() -> None:
    made = stub(EVERYTHING)
    assert "\n_DEFAULT = 100\n" in made
    assert '\n_T = TypeVar("_T")\n' in made


def test_a_type_variable_that_nothing_reads_goes() -> None:
    made = stub(
        """
        from typing import ParamSpec, TypeVar

        T = TypeVar("T")
        P = ParamSpec("P")


        def same(value: T) -> T:
            return _helped(value)


        def _helped(*args: P.args) -> T:
            return args[0]
        """
    )
    assert '\nT = TypeVar("T")\n' in made
    assert "P" not in made.replace('"""', "")


def test_every_public_body_is_the_marker() -> None:
    markers = [line.strip() for line in stub(EVERYTHING).splitlines() if "NotImplementedError" in line]
    assert markers == [
        f'raise NotImplementedError("paths: {name}")'
        for name in (
            "TalkativeError.__init__",
            "Colour.loud",
            "Converter.__post_init__",
            "CompiledPath.__init__",
            "CompiledPath.match",
            "CompiledPath.stream",
            "CompiledPath.collect",
            "CompiledPath.life",
            "CompiledPath.held",
            "Sealed.__init__",
            "read",
            "identity",
            "compile_path",
        )
    ]


def test_an_async_generator_stays_one_and_a_coroutine_too() -> None:
    tree = ast.parse(stub(EVERYTHING))
    generators = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncFunctionDef)
        and any(isinstance(inner, ast.Yield) for inner in ast.walk(node))
    }
    assert generators == {"stream", "life"}


def test_a_repr_that_reads_private_attributes_goes() -> None:
    made = stub(EVERYTHING)
    assert "Sealed(" not in made
    assert made.count("def __repr__") == 1


def test_all_names_only_what_is_left() -> None:
    assert '\n__all__ = ["Colour", "compile_path", "read"]\n' in stub(EVERYTHING)


def test_imports_under_type_checking_are_pruned() -> None:
    made = stub(EVERYTHING)
    assert "if TYPE_CHECKING:\n    from uuid import UUID\n\n" in made
    gone = stub(
        """
        from typing import TYPE_CHECKING

        if TYPE_CHECKING:
            from uuid import UUID


        def f() -> int:
            made: UUID = g()
            return made.int
        """
    )
    assert "import" not in gone


def test_a_text_that_is_no_annotation_keeps_no_import() -> None:
    made = stub(
        """
        import json

        KIND = "json"


        def f() -> str:
            return json.dumps(KIND)
        """
    )
    assert "import" not in made


def test_a_directive_stays_without_its_reason() -> None:
    assert "class ToLearn(ValueError):  # noqa: E501\n" in stub(EVERYTHING)


@pytest.mark.parametrize(
    ("count", "start"),
    [
        (2, "from somewhere import a_long_name_0, a_long_name_1\n"),
        (9, "from somewhere import (\n    a_long_name_0,\n"),
    ],
)
def test_an_import_that_lost_a_name_is_joined_if_it_fits(count: int, start: str) -> None:
    names = [f"a_long_name_{number}" for number in range(count)]
    imported = "".join(f"    {name},\n" for name in [*names, "other"])
    parameters = ", ".join(f"x{number}: {name}" for number, name in enumerate(names))
    made = stub(f"from somewhere import (\n{imported})\n\n\ndef f({parameters}) -> None:\n    other()\n")
    assert made.startswith(start)
    assert "other" not in made


# How it is laid out


@pytest.mark.parametrize(
    "source",
    [
        EVERYTHING,
        *(path.read_text(encoding="utf-8") for path in sorted((ROOT / "fastasgi_reference").rglob("*.py"))),
        *(path.read_text(encoding="utf-8") for path in sorted((ROOT / "solutions").rglob("*.py"))),
        *(path.read_text(encoding="utf-8") for path in sorted((ROOT / "grader" / "authoring").glob("*.py"))),
    ],
    ids=lambda source: source.splitlines()[0][:40],
)
def test_the_formatter_and_the_linter_have_nothing_to_say(source: str, tmp_path: Path) -> None:
    pytest.importorskip("ruff")
    path = tmp_path / "made.py"
    path.write_text(stub(source), encoding="utf-8")
    config = ["--config", str(ROOT / "pyproject.toml"), "--no-cache", str(path)]
    formatted = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--diff", *config],
        capture_output=True,
        text=True,
        check=False,
    )
    assert formatted.returncode == 0, formatted.stdout
    linted = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--ignore", "RUF100,TID252", *config],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert linted.returncode == 0, linted.stdout


def test_a_stub_can_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "made_by_stubs.py").write_text(stub(EVERYTHING), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("made_by_stubs")
    with pytest.raises(NotImplementedError, match=r"^paths: read$"):
        module.read(1)


def test_a_stub_of_a_stub_is_the_same() -> None:
    once = stub(EVERYTHING)
    assert stub(once) == once


# A course's stubs


def test_the_tiny_course_is_in_step(course: Course) -> None:
    assert stubs.check(course) == ()


def test_a_changed_and_a_missing_stub_are_told_and_mended(course: Course) -> None:
    double, triple = (course.stub(course.exercise(name)) for name in ("double", "triple"))
    wanted = double.read_bytes()
    double.write_text("def double(number):\n    return 2 * number\n", encoding="utf-8")
    triple.unlink()
    assert {(drift.path, drift.how) for drift in stubs.check(course)} == {
        (double, "differs"),
        (triple, "missing"),
    }
    assert set(stubs.sync(course)) == {double, triple}
    assert double.read_bytes() == wanted
    assert stubs.check(course) == ()


def test_a_module_that_is_no_exercise_is_given_whole(course: Course) -> None:
    given = course.root / "exercises" / "fastasgi" / "sums.py"
    assert stubs.given(course)[given] == (course.reference / "sums.py").read_bytes()
    given.unlink()
    assert [(drift.path, drift.how) for drift in stubs.check(course)] == [(given, "missing")]


def test_stubs_of_one_exercise_leave_the_others_alone(course: Course) -> None:
    double, triple = (course.exercise(name) for name in ("double", "triple"))
    for exercise in (double, triple):
        course.stub(exercise).unlink()
    assert stubs.sync(course, [double]) == (course.stub(double),)
    assert not course.stub(triple).exists()


def test_a_solution_that_is_no_python_is_named(course: Course) -> None:
    solution = course.solution(course.exercise("double"))
    solution.write_text("def double(:\n", encoding="utf-8")
    with pytest.raises(stubs.StubError, match=r"double\.py: no stub can be made of it"):
        stubs.check(course)


def test_an_exercise_without_a_solution_has_no_stub(course: Course) -> None:
    exercise = course.exercise("double")
    course.solution(exercise).unlink()
    assert stubs.stubs_of(course, exercise) == {}


def test_a_package_has_a_stub_for_each_of_its_modules(course: Course) -> None:
    base = course.root / "solutions" / "01_first" / "shop"
    for name, text in {"__init__.py": "", "till.py": "def pay() -> int:\n    return 1\n"}.items():
        base.mkdir(exist_ok=True)
        (base / name).write_text(text, encoding="utf-8")
    (course.root / "exercises" / "01_first" / "shop").mkdir()
    sheet = course.sheet(course.exercise("double")).read_text(encoding="utf-8")
    (course.root / "exercises" / "01_first" / "shop.md").write_text(sheet, encoding="utf-8")
    fresh = Course(course.root)
    made = stubs.stubs_of(fresh, fresh.exercise("shop"))
    assert {path.name: content for path, content in made.items()} == {
        "__init__.py": b"",
        "till.py": b'def pay() -> int:\n    raise NotImplementedError("shop: pay")\n',
    }
