"""Make docs/conformance.md: which tests hold the reference to which rules of ASGI, and which exercises enforce them.

python docs/make_conformance.py [--check]

The rules stand in docs/asgi_rules.toml; a test names those that it enforces by `@enforces(...)`, a requirement of an
exercise those that it cites. docs/conformance.toml has the reason why no test enforces a rule (`reason`), or why no
exercise does yet (`planned`). A rule with neither, or with both, is an error.
"""

from __future__ import annotations

import sys
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from grader.course import Course

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests" / "reference"
TARGET = ROOT / "docs" / "conformance.md"
PARTS = {
    1: "What an application or framework owes",
    2: "What a server or test client owes: `fastasgi.testing`",
}
HEAD = """\
# Conformance

Every rule of ASGI 3.0 that [asgi_rules.toml](asgi_rules.toml) lists, the requirements of exercises that hold a learner
to it, and the tests in `tests/reference/` that fail where the reference breaks it. Made by
`python docs/make_conformance.py`; a check compares.
"""


class Collector:
    """A plugin of pytest that notes, for each collected test, which rules it enforces."""

    def __init__(self) -> None:
        self.tests: dict[str, set[str]] = defaultdict(set)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Take the marks of all tests; a parametrized one counts once."""
        for item in session.items:
            for mark in item.iter_markers("enforces"):
                for rule in mark.args:
                    self.tests[rule].add(f"{item.path.stem}: {item.originalname}")  # type: ignore[attr-defined]


def collected() -> dict[str, set[str]]:
    """The names of the tests by rule. Raises RuntimeError where tests cannot be collected."""
    collector = Collector()
    code = pytest.main(
        ["--collect-only", "-qqq", "--no-header", "-p", "no:cacheprovider", f"--rootdir={ROOT}", str(TESTS)],
        plugins=[collector],
    )
    if code != pytest.ExitCode.OK:
        raise RuntimeError(f"the tests in {TESTS} cannot be collected: run pytest --collect-only there")
    return collector.tests


def cited() -> dict[str, list[str]]:
    """The requirements of exercises that cite each rule, in the course's order."""
    found: dict[str, list[str]] = defaultdict(list)
    for exercise in Course(ROOT).exercises:
        for requirement in exercise.requirements:
            for rule in requirement.asgi:
                found[rule].append(f"{exercise.name} {requirement.id}")
    return found


def untaught(
    rules: list[dict[str, Any]],
    taught: dict[str, list[str]],
    reasons: dict[str, str],
    planned: dict[str, str],
) -> list[str]:
    """What is wrong with the exercises' share of the table, a line each. Rules of part 2 are chapter 6's alone."""
    owed = {rule["id"] for rule in rules if rule["part"] == 1 and rule["id"] not in reasons}
    found = [
        f"{rule}: docs/conformance.toml plans it, but it needs no plan" for rule in planned.keys() - owed
    ]
    found += [
        f"{rule}: {', '.join(taught[rule])} cites it, so it is planned no more; mend docs/conformance.toml"
        for rule in planned.keys() & taught.keys()
    ]
    found += [
        f"{rule}: no exercise cites it; let one, or say in docs/conformance.toml which one will"
        for rule in owed - taught.keys() - planned.keys()
    ]
    return sorted(found)


def problems(rules: list[dict[str, Any]], tests: dict[str, set[str]], reasons: dict[str, str]) -> list[str]:
    """What is wrong with the tests' share of the table, a line each."""
    known = {rule["id"] for rule in rules}
    found = [
        f"{rule}: a test enforces it, but docs/asgi_rules.toml has no such rule"
        for rule in tests.keys() - known
    ]
    found += [
        f"{rule}: docs/conformance.toml has a reason for it, but there is no such rule"
        for rule in reasons.keys() - known
    ]
    found += [
        f"{rule}: no test enforces it; mark one, or say why in docs/conformance.toml"
        for rule in known - tests.keys() - reasons.keys()
    ]
    found += [
        f"{rule}: a test enforces it, so it needs no reason in docs/conformance.toml"
        for rule in tests.keys() & reasons.keys()
    ]
    return sorted(found)


def page(
    rules: list[dict[str, Any]],
    tests: dict[str, set[str]],
    reasons: dict[str, str],
    taught: dict[str, list[str]],
    planned: dict[str, str],
) -> str:
    """The page as Markdown."""
    lines = [HEAD]
    for part, title in PARTS.items():
        own = [rule for rule in rules if rule["part"] == part]
        enforced = sum(rule["id"] in tests for rule in own)
        learned = sum(rule["id"] in taught for rule in own)
        lines += [
            f"## {title}",
            "",
            f"{enforced} of {len(own)} rules have tests, {learned} have exercises; the others say why not.",
            "",
        ]
        lines += ["| rule | level | what it says | exercises | tests |", "|---|---|---|---|---|"]
        lines += [
            f"| {rule['id']} | {rule['level']} | {rule['sentence']} | {_taught(rule['id'], taught, planned)} "
            f"| {_enforced(rule['id'], tests, reasons)} |"
            for rule in own
        ]
        lines.append("")
    return "\n".join(lines)


def _taught(rule: str, taught: dict[str, list[str]], planned: dict[str, str]) -> str:
    return f"*{planned[rule]}*" if rule in planned else "<br>".join(taught.get(rule, ()))


def _enforced(rule: str, tests: dict[str, set[str]], reasons: dict[str, str]) -> str:
    if rule in reasons:
        return f"*{reasons[rule]}*"
    return "<br>".join(sorted(tests[rule]))


def main() -> int:
    """Write the page, or with --check tell whether it is up to date."""
    rules = tomllib.loads((ROOT / "docs" / "asgi_rules.toml").read_text(encoding="utf-8"))["rule"]
    exceptions = tomllib.loads((ROOT / "docs" / "conformance.toml").read_text(encoding="utf-8"))
    reasons, planned = exceptions["reason"], exceptions.get("planned", {})
    tests, taught = collected(), cited()
    if found := problems(rules, tests, reasons) + untaught(rules, taught, reasons, planned):
        print("\n".join(found))
        return 1
    made = page(rules, tests, reasons, taught, planned)
    if "--check" in sys.argv[1:]:
        if TARGET.is_file() and TARGET.read_text(encoding="utf-8") == made:
            return 0
        print(f"{TARGET.relative_to(ROOT)}: is not what the tests say. Run python docs/make_conformance.py.")
        return 1
    TARGET.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
