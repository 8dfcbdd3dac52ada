"""Handlers: calling a function with what it names, and taking what it returns.

Rule 1: a function says what it wants by the names of its parameters; it gets those and nothing else.
Rule 2: what cannot be called is found out when a route is attached, not when a request comes.
Rule 3: a plain function never holds the event loop up: it runs in a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from .requests import HTTPConnection
from .responses import Response


class Handler:
    """A function that answers connections, ready to be called.

    `endpoint` is any callable. `kind` is the class of connection that it answers, `Request` or `WebSocket`: the
    connection goes to each parameter that is annotated with that class or HTTPConnection (a string will do) or
    has the class's name in lower case. Raises ValueError for a callable that does not tell its parameters.
    """

    def __init__(self, endpoint: Callable[..., Any], kind: type[HTTPConnection]) -> None:
        raise NotImplementedError("handlers: Handler.__init__")

    def check(self, names: Collection[str], template: str) -> None:
        """Raises ValueError where the path `template` has no parameter for one that the function needs.

        `names` are those of the template's parameters.
        """
        raise NotImplementedError("handlers: Handler.check")

    async def __call__(self, connection: HTTPConnection, params: Mapping[str, Any]) -> Any:
        """Call the function for one connection, with the path's parameters that it names; gives what it returns.

        Raises what the function raises.
        """
        raise NotImplementedError("handlers: Handler.__call__")


def to_response(value: Any) -> Response:
    """What a handler returned, as a response.

    A Response stays as it is; a dict or a list becomes JSON, a str plain text, bytes `application/octet-stream`,
    None an empty body. Raises TypeError for anything else.
    """
    raise NotImplementedError("handlers: to_response")
