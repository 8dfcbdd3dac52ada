"""The package as a whole: what it hands out, what it imports, and that each public name says what it is."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import fastasgi_reference

ROOT = Path(fastasgi_reference.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
MODULES = sorted(found.name for found in pkgutil.walk_packages([str(ROOT)], "fastasgi_reference."))


def test_names_are_imported_when_they_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = imported_afresh(monkeypatch)
    assert not [name for name in sys.modules if name.startswith("fastasgi_reference.")]
    assert fresh.compile_path("/").match("/") == {}
    assert "fastasgi_reference.paths" in sys.modules
    assert "fastasgi_reference.applications" not in sys.modules


@pytest.mark.parametrize("name", fastasgi_reference.__all__)
def test_every_name_that_the_package_announces_is_there(name: str) -> None:
    assert getattr(fastasgi_reference, name).__name__ == name
    assert name in dir(fastasgi_reference)


def test_the_package_has_no_other_names() -> None:
    with pytest.raises(AttributeError, match="module 'fastasgi_reference' has no attribute 'compile_paths'"):
        fastasgi_reference.compile_paths  # noqa: B018 - looking it up is the test


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_imports_the_standard_library_and_its_neighbours_by_relative_imports(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        else:
            continue
        assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_of_a_module_says_what_it_is(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    silent = [where for where, found in public(module) if not inspect.getdoc(found)]
    assert silent == []


def public(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """The classes and functions that a module defines without an underscore, and the methods of those classes."""
    for name, found in vars(module).items():
        if name.startswith("_") or getattr(found, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(found) or inspect.isclass(found):
            yield name, found
        if inspect.isclass(found):
            for method in [each for each in vars(found) if not each.startswith("_")]:
                member = getattr(found, method)  # by getattr: what a class inherits, documents it too
                if inspect.isfunction(member) or isinstance(vars(found)[method], property):
                    yield f"{name}.{method}", member


def imported_afresh(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The package as a new process would import it."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "fastasgi_reference"]:
        monkeypatch.delitem(sys.modules, name)
    return importlib.import_module("fastasgi_reference")
