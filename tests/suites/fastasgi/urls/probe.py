"""Runs beside the submission: makes URLs from texts and scopes, and asks them.

Rule 1: one question a function, so that what is not written yet costs its own requirements only.
Rule 2: values in, values out: a URL crosses as its text.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastasgi import urls
from fastasgi.urls import URL

# --- reading ------------------------------------------------------------------------------------------------


def text(url: str) -> str:
    return str(URL(url))


def component(url: str, name: str) -> Any:
    return getattr(URL(url), name)


def equal(url: str, other: str) -> list[bool]:
    """What `==` and `!=` say of two URLs, and of a URL and a text, and whether the hashes are the same."""
    one, two = URL(url), URL(other)
    return [one == two, one != two, one == other, one != other, hash(one) == hash(two)]


def equal_to(url: str, value: Any) -> Any:
    """What `==` says of a URL and another value."""
    return URL(url) == value


def value_of_key(url: str) -> str:
    """What a dict gives for the text, whose key is the URL."""
    return {URL(url): "found"}.get(url, "not found")  # type: ignore[call-overload, no-any-return]


def shown(url: str) -> str:
    return repr(URL(url))


# --- from a scope -------------------------------------------------------------------------------------------


def from_scope(scope: dict[str, Any]) -> str:
    return str(URL.from_scope(scope))


def path_under_root(scope: dict[str, Any]) -> Any:
    return urls.path_under_root(scope)


# --- changing -----------------------------------------------------------------------------------------------


def replaced(url: str, changes: dict[str, Any]) -> str:
    return str(URL(url).replace(**changes))


def unchanged(url: str, changes: dict[str, Any]) -> str:
    """The text of a URL after another was made from it."""
    one = URL(url)
    one.replace(**changes)
    return str(one)


def included(url: str, params: dict[str, Any]) -> str:
    return str(URL(url).include_query_params(**params))


def with_query(url: str, params: dict[str, Any]) -> str:
    return str(URL(url).replace_query_params(**params))


def removed(url: str, names: str | Iterable[str]) -> str:
    return str(URL(url).remove_query_params(names))
