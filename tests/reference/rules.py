"""The mark by which a test says which rules of ASGI it enforces, by their ids in `docs/asgi_rules.toml`."""

from __future__ import annotations

import pytest

enforces = pytest.mark.enforces
"""`@enforces("HTTP-REQ-03")`: this test fails where the rule is broken. `docs/conformance.md` is made from these."""
