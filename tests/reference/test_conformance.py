"""The table of conformance: a rule without test, exercise or reason is found. (`tox -e docs` compares the table.)"""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "docs" / "make_conformance.py"


def test_a_rule_without_a_test_or_with_a_needless_reason_is_found() -> None:
    rules = [{"id": "A-1"}, {"id": "A-2"}, {"id": "A-3"}]
    found = runpy.run_path(str(SCRIPT))["problems"](
        rules, {"A-1": {"t"}, "A-9": {"t"}}, {"A-1": "r", "A-2": "r", "A-8": "r"}
    )
    assert [problem.partition(":")[0] for problem in found] == ["A-1", "A-3", "A-8", "A-9"]


def test_a_rule_without_an_exercise_or_with_a_needless_plan_is_found() -> None:
    rules = [{"id": f"A-{number}", "part": 1} for number in range(1, 6)] + [{"id": "B-1", "part": 2}]
    found = runpy.run_path(str(SCRIPT))["untaught"](
        rules, {"A-1": ["x X-01"], "A-4": ["x X-01"]}, {"A-3": "r"}, {"A-3": "p", "A-4": "p", "A-5": "p"}
    )
    assert [problem.partition(":")[0] for problem in found] == ["A-2", "A-3", "A-4"]
