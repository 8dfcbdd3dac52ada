"""The documents stay true: what they show is generated, what they name exists."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    path for pattern in ("*.md", "exercises/**/*.md", "samples/*.md") for path in ROOT.glob(pattern)
)


def test_the_picture_is_what_the_terminal_shows() -> None:
    picture = runpy.run_path(str(ROOT / "docs" / "make_terminal.py"))["picture"]
    assert picture() == (ROOT / "docs" / "terminal.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", document.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    missing = [link for link in local if not (document.parent / link).exists()]
    assert missing == []


def test_commands_of_the_readme_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    programs = re.findall(r"^\$ (bin/\w+)", readme, flags=re.MULTILINE)
    assert programs == ["bin/judge", "bin/test"]
    assert all((ROOT / program).stat().st_mode & 0o111 for program in programs)


def test_the_gate_calls_the_test_command_of_the_readme() -> None:
    assert "bin/test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_benchmarks_that_are_named_exist() -> None:
    named = re.search(
        r"^`python benchmarks/<name>\.py`.*?They are never tests",
        _contributing(),
        flags=re.MULTILINE | re.DOTALL,
    )
    assert named is not None
    names = set(re.findall(r"`(\w+)`", named[0]))
    assert names == {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - {"figures", "in_process"}


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [*project["project"]["dependencies"]]
    for group in (project["dependency-groups"], project["project"]["optional-dependencies"]):
        wanted += [entry for entries in group.values() for entry in entries]
    names = {re.split(r"[<>=~ ]", entry)[0].lower().replace("_", "-") for entry in wanted}
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert names - {name.lower().replace("_", "-") for name in pinned} == set()


def _contributing() -> str:
    return (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
