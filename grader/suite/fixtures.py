"""The fixture of every suite: the submission under judgement."""

from __future__ import annotations

import pytest

from grader.suite.submission import Submission

SUBMISSION = pytest.StashKey[Submission]()
"""Where the plugin of a run keeps its submission."""


@pytest.fixture(scope="session")
def submission(pytestconfig: pytest.Config) -> Submission:
    """The submission under judgement."""
    return pytestconfig.stash[SUBMISSION]
