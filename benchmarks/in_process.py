"""A pytest plugin that runs a suite with the solution in the same process: the bare run that the judge is held against.

`pytest -p in_process SUITE_FOLDER`, with the environment variables BENCH_TREE (a composed tree) and BENCH_EXAMPLES.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import hypothesis
import pytest

from grader.transcript import Error, Raised


class InProcess:
    """The submission's verb `call`, without a boundary."""

    def __init__(self) -> None:
        sys.path.insert(0, os.environ["BENCH_TREE"])
        self._probe = importlib.import_module("probe")

    def call(self, function: str, /, **values: Any) -> Any:
        """Call a function of the probe."""
        try:
            return getattr(self._probe, function)(**values)
        except Exception as error:  # noqa: BLE001 - whatever the solution raises
            names = tuple(kind.__name__ for kind in type(error).__mro__)
            raise Raised(Error(names, str(error))) from None


@pytest.fixture(scope="session")
def submission() -> InProcess:
    """The solution, in this process."""
    return InProcess()


def pytest_configure(config: pytest.Config) -> None:
    """Know the suite's mark, and use the judge's number of examples."""
    config.addinivalue_line("markers", "requirement(id): the requirement that a test proves")
    hypothesis.settings.register_profile(
        "bench",
        max_examples=int(os.environ["BENCH_EXAMPLES"]),
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("bench")
