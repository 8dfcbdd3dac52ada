"""A slot for each parameter that knows its value; partials; responses by singledispatch."""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass
from typing import Any, Callable, Iterable

from fastasgi import responses
from fastasgi.concurrency import is_async, run_in_thread

MISSING = object()


@dataclass
class Slot:
    """One parameter, and where its value comes from."""

    parameter: inspect.Parameter
    kinds: tuple[type, ...]

    def __post_init__(self) -> None:
        annotation = self.parameter.annotation
        self.name = self.parameter.name
        by_name = self.name == self.kinds[0].__name__.lower()
        if type(annotation) is str:
            _, _, last = annotation.rpartition(".")
            by_type = any(last == kind.__name__ for kind in self.kinds)
        else:
            by_type = any(annotation is kind for kind in self.kinds)
        self.is_connection = by_name or by_type
        self.is_needed = self.parameter.default is self.parameter.empty and not self.is_connection

    def value(self, connection: Any, params: Any) -> Any:
        if self.is_connection:
            return connection
        if self.name in params:
            return params[self.name]
        return MISSING if self.parameter.default is self.parameter.empty else self.parameter.default


class Handler:
    def __init__(self, endpoint: Callable[..., Any], kind: type) -> None:
        self.endpoint = endpoint
        try:
            parameters = inspect.signature(endpoint).parameters
        except TypeError as error:
            raise ValueError(str(error)) from error
        base = next(each for each in reversed(kind.__mro__) if each.__name__ == "HTTPConnection")
        self.slots = [
            Slot(parameter, (kind, base))
            for parameter in parameters.values()
            if not str(parameter).startswith("*")
        ]

    def check(self, names: Iterable[str], template: str) -> None:
        needed = {slot.name for slot in self.slots if slot.is_needed}
        if not needed <= set(names):
            words = " and ".join(sorted(needed - set(names)))
            raise ValueError(f"the path {template} gives no {words}")

    async def __call__(self, connection: Any, params: Any) -> Any:
        args, kwargs = [], {}
        for slot in self.slots:
            value = slot.value(connection, params)
            if slot.parameter.kind is slot.parameter.POSITIONAL_ONLY:
                args.append(value)
            elif value is not MISSING:
                kwargs[slot.name] = value
        step = functools.partial(self.endpoint, *args, **kwargs)
        value = step() if is_async(self.endpoint) else await run_in_thread(step)
        while inspect.isawaitable(value):
            value = await value
        return value


@functools.singledispatch
def to_response(value: Any) -> responses.Response:
    raise TypeError(f"{type(value)} cannot be answered with: wrap it in a Response")


@to_response.register
def _(value: responses.Response) -> responses.Response:
    return value


@to_response.register(dict)
@to_response.register(list)
def _(value: Any) -> responses.Response:
    return responses.json_response(value)


@to_response.register(str)
@to_response.register(bytes)
@to_response.register(type(None))
def _(value: Any) -> responses.Response:
    return responses.Response(value)
