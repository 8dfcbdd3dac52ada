"""The chapters' texts stay true: their excerpts are the reference's code, and their own code runs."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import inspect
import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXCERPTS = runpy.run_path(str(ROOT / "docs" / "make_excerpts.py"))
TEXT = ROOT / "exercises" / "04_implementation" / "README.md"


@pytest.fixture
def fastasgi(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The reference under the learner's name."""
    source = ROOT / "fastasgi_reference"
    spec = importlib.util.spec_from_file_location(
        "fastasgi", source / "__init__.py", submodule_search_locations=[str(source)]
    )
    assert spec is not None
    assert spec.loader is not None
    before = set(sys.modules)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "fastasgi", module)
    spec.loader.exec_module(module)
    yield
    for name in [name for name in set(sys.modules) - before if name.startswith("fastasgi.")]:
        del sys.modules[name]


@pytest.mark.parametrize("path", EXCERPTS["TEXTS"], ids=lambda path: path.parent.name)
def test_excerpts_are_what_the_reference_holds(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text == EXCERPTS["filled"](text), "run python docs/make_excerpts.py"


def test_an_excerpt_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"requests\.py has no Request\.nothing"):
        EXCERPTS["filled"]("<!-- from requests.py: Request.nothing -->\n```python\n```\n")


def sections() -> list[tuple[str, str]]:
    """The title of each section, and its code that is no excerpt."""
    own = EXCERPTS["EXCERPT"].sub("", TEXT.read_text(encoding="utf-8"))
    parts = [part.partition("\n") for part in own.split("\n## ")[1:]]
    return [
        (title, "\n".join(re.findall(r"```python\n(.*?)```", body, flags=re.DOTALL)))
        for title, _, body in parts
    ]


@pytest.mark.usefixtures("fastasgi")
@pytest.mark.parametrize(("title", "code"), sections(), ids=[title for title, _ in sections()])
def test_the_code_of_a_section_runs(title: str, code: str) -> None:
    names: dict[str, Any] = {}
    compiled = compile(code, title, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    running = eval(compiled, names)
    if inspect.iscoroutine(running):
        asyncio.run(running)
