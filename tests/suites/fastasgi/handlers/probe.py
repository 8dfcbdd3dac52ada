"""Runs beside the submission: makes functions with any signature, and has them called.

Rule 1: a function returns what it was called with, by name; the connection crosses as THE_CONNECTION.
Rule 2: what cannot cross (callables, generators, objects) stands here by name.
Rule 3: nothing is judged here.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import threading
from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import fastasgi
from fastasgi import requests, websockets
from fastasgi.handlers import Handler, to_response
from fastasgi.requests import HTTPConnection, Request
from fastasgi.responses import Response, StreamingResponse, text_response
from fastasgi.websockets import WebSocket

THE_CONNECTION = "the connection"
KINDS: dict[str, type[HTTPConnection]] = {"Request": Request, "WebSocket": WebSocket}
NAMES = {
    "fastasgi": fastasgi,
    "requests": requests,
    "websockets": websockets,
    "Request": Request,
    "WebSocket": WebSocket,
    "HTTPConnection": HTTPConnection,
    "Any": Any,
}
"""What annotations of a signature may name. Others can stand there as strings only."""


async def _nothing(*_: Any) -> Any:
    raise RuntimeError("nothing is received or sent here")


def _connection(kind: str) -> Any:
    scope = {"type": kind.lower() if kind == "WebSocket" else "http", "method": "GET", "path": "/"}
    return WebSocket(scope, _nothing, _nothing) if kind == "WebSocket" else Request(scope, _nothing)


def _function(signature: str, plain: bool = False) -> Callable[..., Any]:
    """A function of that signature that returns the values of its parameters by name."""
    source = f"{'' if plain else 'async '}def endpoint({signature}): return dict(locals())"
    namespace: dict[str, Any] = dict(NAMES)
    exec(compile(source, "<endpoint>", "exec", dont_inherit=True), namespace)
    function: Callable[..., Any] = namespace["endpoint"]
    return function


# --- what a function is called with -------------------------------------------------------------------------


async def called_with(
    signature: str, params: dict[str, Any], kind: str = "Request", plain: bool = False
) -> dict[str, Any]:
    """What `async def endpoint(<signature>)` is called with for a connection, and these parameters of the path.

    If it is `plain`, `def endpoint(<signature>)`.
    """
    connection = _connection(kind)
    arguments = await Handler(_function(signature, plain), KINDS[kind])(connection, params)
    return {name: THE_CONNECTION if value is connection else value for name, value in arguments.items()}


async def params_after(signature: str, params: dict[str, Any]) -> dict[str, Any]:
    """What `params` is after a call."""
    await Handler(_function(signature), Request)(_connection("Request"), params)
    return params


def check(signature: str, names: list[str], template: str, kind: str = "Request") -> str:
    """Check a function of that signature against the names of a path's parameters."""
    Handler(_function(signature), KINDS[kind]).check(names, template)
    return "fine"


# --- any callable -------------------------------------------------------------------------------------------


def _asked(request: Any, id: Any) -> list[Any]:  # noqa: A002
    return [THE_CONNECTION if isinstance(request, Request) else request, id]


class _Methods:
    async def method(self, request: Any, id: Any) -> Any:  # noqa: A002
        return _asked(request, id)

    def plain(self, request: Any, id: Any) -> Any:  # noqa: A002
        return _asked(request, id)

    @classmethod
    async def of_class(cls, request: Any, id: Any) -> Any:  # noqa: A002
        return _asked(request, id)

    @staticmethod
    def static(request: Any, id: Any) -> Any:  # noqa: A002
        return _asked(request, id)


class _Awaited:
    async def __call__(self, request: Any, id: Any) -> Any:  # noqa: A002
        return _asked(request, id)


class _Called:
    def __call__(self, request: Any, id: Any) -> Any:  # noqa: A002
        return _asked(request, id)


class _Page(list[Any]):
    """A class whose objects are values, and whose objects can be called, which nobody should do."""

    def __init__(self, request: Any, id: Any) -> None:  # noqa: A002
        super().__init__(_asked(request, id))

    async def __call__(self) -> Any:
        raise AssertionError("the class is the handler, not its objects")


async def _three(extra: Any, request: Any, id: Any) -> Any:  # noqa: A002
    return [*_asked(request, id), extra][:2]


def _plainly(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator without `await`: what it makes of an `async def` is no `async def`."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def _awaiting(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator with `await`."""

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return wrapper


ENDPOINTS: dict[str, Any] = {
    "a method": _Methods().method,
    "a plain method": _Methods().plain,
    "a class method": _Methods.of_class,
    "a static method": _Methods.static,
    "an object with async __call__": _Awaited(),
    "an object with __call__": _Called(),
    "a class": _Page,
    "a partial": functools.partial(_three, "extra"),
    "a partial by name": functools.partial(_three, extra="extra"),
    "a partial of a partial": functools.partial(functools.partial(_three, extra="extra")),
    "a partial of an object": functools.partial(_Awaited()),
    "a plain decorator around an async method": _plainly(_Methods().method),
    "a plain decorator around a plain method": _plainly(_Methods().plain),
    "an async decorator": _awaiting(_Methods().method),
    "two decorators": _plainly(_awaiting(_Methods().method)),
    "a lambda": lambda request, id: _asked(request, id),  # noqa: A006
    "a lambda that gives a coroutine": lambda request, id: _Methods().method(request, id),  # noqa: A006
    "5": 5,
    "a text": "name",
    "None": None,
    "an object": object(),
    "dict": dict,
}


async def call_endpoint(endpoint: str) -> list[Any]:
    """What an endpoint gives that wants `request` and `id`."""
    handler = Handler(ENDPOINTS[endpoint], Request)
    handler.check({"id"}, "/{id}")
    value = await handler(_connection("Request"), {"id": 7})
    return list(value)


def check_endpoint(endpoint: str, names: list[str]) -> str:
    """Check an endpoint that wants `request` and `id`."""
    Handler(ENDPOINTS[endpoint], Request).check(names, "/")
    return "fine"


def make_handler(endpoint: str) -> str:
    """Only make a Handler of it."""
    Handler(ENDPOINTS[endpoint], Request)
    return "made"


# --- where it runs ------------------------------------------------------------------------------------------

USER: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")


def _plain() -> dict[str, Any]:
    return {"thread": threading.get_ident(), "user": USER.get()}


async def _coroutine() -> dict[str, Any]:
    return _plain()


PLACES: dict[str, Callable[[], Any]] = {
    "async def": _coroutine,
    "def": _plain,
    "a plain decorator around async def": _plainly(_coroutine),
}


async def where(function: str) -> dict[str, Any]:
    """Where a function is called and runs, and what it sees of a context variable that its caller has set to ada."""
    token = USER.set("ada")
    try:
        with _threads_counted() as asked:
            found = await Handler(PLACES[function], Request)(_connection("Request"), {})
    finally:
        USER.reset(token)
    places = {True: "on the event loop", False: "in a thread"}
    runs = places[found["thread"] == threading.get_ident()]
    return {"called": places[not asked], "runs": runs, "user": found["user"]}


@contextlib.contextmanager
def _threads_counted() -> Iterator[list[Any]]:
    """Gives a list of what threads are asked to do as long as this lasts."""
    loop: Any = asyncio.get_running_loop()
    run, asked = loop.run_in_executor, []

    def counted(executor: Any, function: Any, *args: Any) -> Any:
        asked.append(function)
        return run(executor, function, *args)

    loop.run_in_executor = counted
    try:
        yield asked
    finally:
        del loop.run_in_executor


class Trouble(Exception):
    """What a handler raises."""


ERRORS = {"Trouble": Trouble("its own"), "OSError": OSError("its own"), "LookupError": LookupError("its own")}


async def raises(error: str, plain: bool) -> str:
    """What comes out of a handler that raises: its exception, or nothing. Raises any other."""

    def in_thread() -> None:
        raise ERRORS[error]

    async def on_loop() -> None:
        raise ERRORS[error]

    try:
        await Handler(in_thread if plain else on_loop, Request)(_connection("Request"), {})
    except Exception as caught:
        if caught is not ERRORS[error]:
            raise
        return "the very exception"
    return "nothing"


async def at_the_same_time(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each of several calls of one handler got, all under way at the same time."""

    async def endpoint(a: Any = "default a", b: Any = "default b", *, c: Any = "default c") -> Any:
        await asyncio.sleep(1)
        return {"a": a, "b": b, "c": c}

    handler = Handler(endpoint, Request)
    return list(await asyncio.gather(*(handler(_connection("Request"), params) for params in calls)))


# --- what the value becomes ---------------------------------------------------------------------------------


def _generator() -> Iterator[str]:
    yield "never"


async def _asynchronous_generator() -> AsyncIterator[str]:
    yield "never"


class _Own(Response):
    pass


VALUES: dict[str, Callable[[], Any]] = {
    "OrderedDict(a=1)": lambda: OrderedDict(a=1),
    "defaultdict(list)": lambda: defaultdict(list),
    "class Page(list)": lambda: _Page(1, 2),
    "bytearray(b'x')": lambda: bytearray(b"x"),
    "iter('x')": lambda: iter("x"),
    "a generator": _generator,
    "an asynchronous generator": _asynchronous_generator,
    "the class Response": lambda: Response,
    "object()": object,
}
RESPONSES: dict[str, Callable[[], Response]] = {
    "Response('x')": lambda: Response("x"),
    "Response(status_code=204)": lambda: Response(status_code=204),
    "text_response('x', 404)": lambda: text_response("x", 404),
    "StreamingResponse([b'x'])": lambda: StreamingResponse([b"x"]),
    "class Own(Response)": lambda: _Own("x"),
}


def app(value: Any) -> Callable[..., Awaitable[None]]:
    """The response that a value becomes, as an application."""
    return to_response(value)


def app_of(made: str) -> Callable[..., Awaitable[None]]:
    """The same for a value that cannot cross."""
    return to_response(VALUES[made]())


def refuse(value: Any) -> str:
    """Make a response of a value."""
    to_response(value)
    return "made"


def refuse_made(made: str) -> str:
    """The same for a value that cannot cross."""
    to_response(VALUES[made]())
    return "made"


def becomes(value: Any) -> str:
    """What a value becomes: a response, or what else."""
    response = to_response(value)
    return "a response" if isinstance(response, Response) else f"a {type(response).__name__}"


def stays(response: str) -> bool:
    """Whether a response stays the object that it is."""
    given = RESPONSES[response]()
    return to_response(given) is given
