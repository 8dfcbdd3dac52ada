"""Trace: a dict that goes with one connection, in which those further in tell those further out.

Rule 1: it stands in the scope under "fastasgi.trace", put there by the outermost who wants to know something.
Rule 2: a router writes the template of the route that it has found under "route", RequestIDs its id under
        "request_id". Where there is no dict, nobody wants to know.
"""

from __future__ import annotations

from urllib.parse import quote

from ..asgi_types import Scope

TRACE = "fastasgi.trace"
"""The key of the dict in a scope."""


def traced(scope: Scope) -> Scope:
    """A scope with a trace in it: this one where it has one, else a copy (ASGI, Middleware)."""
    return scope if TRACE in scope else {**scope, TRACE: {}}


def origin_of(scope: Scope) -> dict[str, str]:
    """The `client`, `method` and `path` of a connection, percent-encoded, so that none can forge a line of a log.

    The client is its host, or "-" where the server does not know it. A WebSocket's method is "WEBSOCKET". The
    path is without the query, which often holds secrets.
    """
    host, _ = scope.get("client") or ("-", None)
    return {
        "client": harmless(str(host)),
        "method": harmless(scope.get("method", "WEBSOCKET")),
        "path": harmless(scope["path"]),
    }


def harmless(text: str) -> str:
    """`text` with all but visible ASCII percent-encoded, and `"` and `%` too: one word in the line of a log."""
    return quote(text, safe="/:@!$&'()*+,;=[]", errors="backslashreplace")
