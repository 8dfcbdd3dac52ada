"""The table of conformance: a rule with neither a test nor a reason is found. (`tox -e docs` compares the table.)"""

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
