"""Hands out the learner's application. Runs beside the submission."""

from __future__ import annotations

from typing import Any

import hello_asgi


def app() -> Any:
    """The learner's `app`, as it is."""
    return hello_asgi.app
