"""Gives the learner's application."""

from greeter import app as learners_app


def app() -> object:
    """The application."""
    return learners_app
