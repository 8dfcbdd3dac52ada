"""Handlers: calling a function with what it names, and taking what it returns.

Rule 1: a function says what it wants by the names of its parameters; it gets those and nothing else.
Rule 2: what cannot be called is found out when a route is attached, not when a request comes.
Rule 3: a plain function never holds the event loop up: it runs in a thread.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from inspect import Parameter
from typing import Any

from .concurrency import is_async, run_in_thread
from .requests import HTTPConnection
from .responses import Response, json_response


class Handler:
    """A function that answers connections, ready to be called.

    `endpoint` is any callable. `kind` is the class of connection that it answers, `Request` or `WebSocket`: the
    connection goes to each parameter that is annotated with that class or HTTPConnection (a string will do) or
    has the class's name in lower case. Raises ValueError for a callable that does not tell its parameters.
    """

    def __init__(self, endpoint: Callable[..., Any], kind: type[HTTPConnection]) -> None:
        self.endpoint = endpoint
        self._is_async = is_async(endpoint)
        parameters = _parameters(endpoint)
        self._connection = [each.name for each in parameters if _takes(each, kind)]
        self._named = [each.name for each in parameters if each.name not in self._connection]
        self._required = {each.name for each in parameters if each.default is Parameter.empty}
        self._positional = [each.name for each in parameters if each.kind is Parameter.POSITIONAL_ONLY]
        self._defaults = {
            each.name: each.default
            for each in parameters
            if each.name in self._positional and each.name not in self._required
        }

    def check(self, names: Collection[str], template: str) -> None:
        """Raises ValueError where the path `template` has no parameter for one that the function needs.

        `names` are those of the template's parameters.
        """
        missing = sorted(self._required - set(self._connection) - set(names))
        if missing:
            raise ValueError(
                f"{_name(self.endpoint)} needs {', '.join(missing)}, but the path {template!r} has no such parameter. "
                f"Write {{{missing[0]}}} into the path, or give it a default. (Query parameters are not passed: read "
                "request.query_params.)"
            )

    async def __call__(self, connection: HTTPConnection, params: Mapping[str, Any]) -> Any:
        """Call the function for one connection, with the path's parameters that it names; gives what it returns.

        Raises what the function raises.
        """
        arguments = dict(self._defaults)  # by place, none can be left out
        for name in self._named:
            if name in params:
                arguments[name] = params[name]
        for name in self._connection:
            arguments[name] = connection
        positional = [arguments.pop(name) for name in self._positional] if self._positional else ()
        if self._is_async:
            return await self.endpoint(*positional, **arguments)
        value = await run_in_thread(self.endpoint, *positional, **arguments)
        return await value if inspect.isawaitable(value) else value


def to_response(value: Any) -> Response:
    """What a handler returned, as a response.

    A Response stays as it is; a dict or a list becomes JSON, a str plain text, bytes `application/octet-stream`,
    None an empty body. Raises TypeError for anything else.
    """
    if isinstance(value, Response):
        return value
    if isinstance(value, (dict, list)):
        return json_response(value)
    if value is None or isinstance(value, (str, bytes)):
        return Response(value)
    raise TypeError(
        f"a handler returned {type(value).__name__}: return a Response, dict, list, str, bytes or None"
        " (StreamingResponse takes a generator)"
    )


def _parameters(endpoint: Callable[..., Any]) -> list[Parameter]:
    """The parameters that can be filled by name or place: all but `*args` and `**kwargs`."""
    if not callable(endpoint):
        raise ValueError(f"{endpoint!r} cannot be called: a handler is a function")
    parameters = inspect.signature(endpoint).parameters.values()
    return [each for each in parameters if each.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)]


def _takes(parameter: Parameter, kind: type[HTTPConnection]) -> bool:
    """Whether the connection goes to this parameter: as what it is, or as an HTTPConnection."""
    annotation = parameter.annotation
    classes = kind.__mro__[:-1]  # no `issubclass`, which a Protocol or an ABC answers as it likes
    if isinstance(annotation, str):
        annotated = annotation.strip("'\"").rpartition(".")[2] in {each.__name__ for each in classes}
    else:
        annotated = annotation in classes
    return annotated or parameter.name == kind.__name__.lower()


def _name(endpoint: Callable[..., Any]) -> str:
    return getattr(endpoint, "__name__", type(endpoint).__name__)
