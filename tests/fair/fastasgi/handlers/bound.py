"""`inspect` does the work: BoundArguments for each call, Parameters that are sorted when the Handler is made."""

from __future__ import annotations

from inspect import BoundArguments, Parameter, signature
from typing import Any

from fastasgi.concurrency import call
from fastasgi.requests import HTTPConnection
from fastasgi.responses import Response, json_response

STARS = {Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD}


class Handler:
    def __init__(self, endpoint, kind):
        if not callable(endpoint):
            raise ValueError(f"{endpoint} is no function")
        self.endpoint = endpoint
        self.signature = signature(endpoint)
        self.parameters = {
            name: parameter
            for name, parameter in self.signature.parameters.items()
            if parameter.kind not in STARS
        }
        self.connections = {
            name
            for name, parameter in self.parameters.items()
            if name == kind.__name__.lower() or self.means(parameter.annotation, kind)
        }

    @staticmethod
    def means(annotation, kind):
        if isinstance(annotation, str):
            return annotation.split(".")[-1] in (kind.__name__, "HTTPConnection")
        return annotation is kind or annotation is HTTPConnection

    def check(self, names, template):
        missing = [
            name
            for name, parameter in self.parameters.items()
            if parameter.default is Parameter.empty and name not in self.connections and name not in names
        ]
        if missing:
            raise ValueError(f"{self.endpoint} needs {missing}, which {template} does not have")

    async def __call__(self, connection, params):
        given: dict[str, Any] = {}
        for name in self.parameters:
            if name in self.connections:
                given[name] = connection
            elif name in params:
                given[name] = params[name]
        bound = BoundArguments(self.signature, given)
        bound.apply_defaults()
        return await call(self.endpoint, *bound.args, **bound.kwargs)


def to_response(value: Any) -> Response:
    match value:
        case Response():
            return value
        case dict() | list():
            return json_response(value)
        case None | str() | bytes():
            return Response(value)
    raise TypeError(f"return something else than {value!r}")
