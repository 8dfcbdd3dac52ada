"""The reference's handlers: what a function is called with, where it runs, and what its value becomes."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator
from functools import partial, wraps
from typing import Any, Protocol

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastasgi_reference.handlers import Handler, to_response
from fastasgi_reference.requests import HTTPConnection, Request
from fastasgi_reference.responses import Response, StreamingResponse, text_response
from fastasgi_reference.websockets import WebSocket
from tests.reference.conversation import Log, http_scope, play, websocket_scope
from tests.reference.rules import enforces

UNHURRIED = settings(deadline=None)
REQUEST = Request(http_scope())


class Store(Protocol):
    """A class of annotations that does not like to be asked for its subclasses."""

    name: str


async def call(endpoint: Callable[..., Any], /, **params: Any) -> Any:
    """What `endpoint` gives for REQUEST, on a route whose path has these parameters."""
    handler = Handler(endpoint, Request)
    handler.check(params, "/template")
    return await handler(REQUEST, params)


# ---- what a function is called with


async def test_a_function_gets_the_parameters_that_it_names_and_no_others() -> None:
    async def endpoint(b: int, c: str = "default") -> Any:
        return b, c

    assert await call(endpoint, a=1, b=2) == (2, "default")
    assert await call(endpoint, a=1, b=2, c=3) == (2, 3)


async def test_a_function_may_ask_for_nothing() -> None:
    async def endpoint() -> str:
        return "nothing"

    assert await call(endpoint, a=1) == "nothing"


def annotated(annotation: Any, default: Any = ...) -> Callable[..., Any]:
    """A function with one parameter `it` of this annotation."""

    async def required(it: Any) -> Any:
        return it

    async def optional(it: Any = default) -> Any:
        return it

    endpoint = required if default is ... else optional
    endpoint.__annotations__["it"] = annotation
    return endpoint


@pytest.mark.parametrize(
    "annotation",
    [
        Request,
        HTTPConnection,
        "Request",
        "'Request'",
        '"Request"',
        "fastasgi.Request",
        "HTTPConnection",
        "f.HTTPConnection",
    ],
)
async def test_the_request_goes_to_the_parameter_that_is_annotated_so(annotation: Any) -> None:
    assert await call(annotated(annotation)) is REQUEST
    assert await call(annotated(annotation, default=None)) is REQUEST
    assert await call(annotated(annotation), it=5) is REQUEST


class Derived(Request):
    """A class that a request is not of."""


@pytest.mark.parametrize(
    "annotation",
    [
        object, "object", Any, "Any", int, "int", WebSocket, "WebSocket", Hashable, Store, Derived, "Derived",
        "MyRequest", "list[Request]", list[Request], None, "", Request | None,
    ],
)  # fmt: skip
async def test_the_request_goes_to_no_other_parameter(annotation: Any) -> None:
    assert await call(annotated(annotation), it=5) == 5
    assert await call(annotated(annotation, default=6)) == 6
    with pytest.raises(ValueError, match="needs it"):
        Handler(annotated(annotation), Request).check((), "/")


async def test_the_request_goes_to_the_parameter_that_is_called_so_whatever_its_annotation() -> None:
    async def bare(request, id):  # type: ignore[no-untyped-def]  # noqa: A002
        return request, id

    async def typed(id: int, request: Any = None) -> Any:  # noqa: A002
        return request, id

    for endpoint in (bare, typed):
        assert await call(endpoint, id=7) == (REQUEST, 7)


async def test_the_request_may_be_asked_for_twice() -> None:
    async def endpoint(request: Any, again: Request) -> Any:
        return request, again

    assert await call(endpoint) == (REQUEST, REQUEST)


async def test_a_websocket_handler_gets_the_websocket_and_no_request() -> None:
    async def never() -> Any:
        raise AssertionError("nothing is received")

    websocket = WebSocket(websocket_scope(), never, lambda message: never())

    async def endpoint(websocket: Any, it: WebSocket, other: HTTPConnection, id: int) -> Any:  # noqa: A002
        return websocket, it, other, id

    assert await Handler(endpoint, WebSocket)(websocket, {"id": 7}) == (websocket, websocket, websocket, 7)
    for annotation in (Request, "Request"):
        with pytest.raises(ValueError, match="needs it"):
            Handler(annotated(annotation), WebSocket).check((), "/")


async def test_positional_parameters_keep_their_places() -> None:
    async def required(a: int, request: Request, b: int, /, c: int) -> Any:
        return a, request, b, c

    async def defaulted(a: int = 1, request: Any = None, b: int = 2, /, *, c: int = 3) -> Any:
        return a, request, b, c

    assert await call(required, c=30, b=20, a=10) == (10, REQUEST, 20, 30)
    assert await call(defaulted) == (1, REQUEST, 2, 3)
    assert await call(defaulted, b=20) == (1, REQUEST, 20, 3)
    assert await call(defaulted, a=10, c=30) == (10, REQUEST, 2, 30)


async def test_star_parameters_get_nothing() -> None:
    async def endpoint(request: Request, *args: Any, id: int, **kwargs: Any) -> Any:  # noqa: A002
        return args, id, kwargs

    assert await call(endpoint, id=7, other=8) == ((), 7, {})


@UNHURRIED
@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.booleans(), st.sampled_from(["place", "any", "name"])),
        unique_by=lambda each: each[0],
    ),
    st.dictionaries(st.sampled_from("abcdef"), st.integers()),
)
async def test_any_signature_is_called_with_what_it_names(
    parameters: list[tuple[str, bool, str]], params: dict[str, int]
) -> None:
    order = ["place", "any", "name"]
    parameters = sorted(parameters, key=lambda each: (order.index(each[2]), each[1] and each[2] != "name"))
    positional = [each for each in parameters if each[2] != "name"]
    if sorted(positional, key=lambda each: each[1]) != positional:
        return  # no parameter without default may follow one with
    endpoint = defined(parameters)
    missing = {name for name, optional, _ in parameters if not optional} - params.keys()
    if missing:
        with pytest.raises(ValueError, match="needs " + ", ".join(sorted(missing))):
            Handler(endpoint, Request).check(params, "/")
    else:
        expected = {name: params.get(name, f"default {name}") for name, _, _ in parameters}
        assert await call(endpoint, **params) == expected


def defined(parameters: list[tuple[str, bool, str]]) -> Callable[..., Any]:
    """A function with these parameters (name, whether it has a default, kind) that gives what it was called with."""
    names = [name for name, _, _ in parameters]
    groups = {"place": "", "any": "", "name": ""}
    for name, optional, kind in parameters:
        groups[kind] += f"{name}='default {name}', " if optional else f"{name}, "
    signature = groups["place"] + "/, " * bool(groups["place"]) + groups["any"]
    signature += "*, " * bool(groups["name"]) + groups["name"]
    namespace: dict[str, Any] = {}
    body = f"{{key: value for key, value in locals().items() if key in {names}}}"
    exec(f"async def endpoint({signature}): return {body}", namespace)
    endpoint: Callable[..., Any] = namespace["endpoint"]
    return endpoint


# ---- what is wrong is found out when a route is attached


def test_a_parameter_that_nobody_fills_is_an_error_that_names_the_cure() -> None:
    async def endpoint(request: Request, zone: str, id: int, limit: int = 10) -> None: ...  # noqa: A002

    handler = Handler(endpoint, Request)
    handler.check({"id", "zone"}, "/{zone}/{id}")
    handler.check(["zone", "id", "limit", "more"], "/{zone}/{id}/{limit}/{more}")
    with pytest.raises(
        ValueError, match=r"endpoint needs id, zone, but the path '/a' .* Write \{id\} .*query_params"
    ):
        handler.check((), "/a")


def test_a_websocket_handler_without_its_websocket_is_an_error() -> None:
    async def endpoint(request: Any) -> None: ...

    with pytest.raises(ValueError, match="needs request"):
        Handler(endpoint, WebSocket).check((), "/")


@pytest.mark.parametrize("endpoint", [5, "name", None, object()])
def test_what_cannot_be_called_is_no_handler(endpoint: Any) -> None:
    with pytest.raises(ValueError, match="cannot be called"):
        Handler(endpoint, Request)


def test_what_does_not_tell_its_parameters_is_no_handler() -> None:
    with pytest.raises(ValueError, match="signature"):
        Handler(dict, Request)


def test_a_callable_without_a_name_is_named_by_its_class() -> None:
    async def endpoint(zone: str) -> None: ...

    with pytest.raises(ValueError, match="partial needs zone"):
        Handler(partial(endpoint), Request).check((), "/")


# ---- any kind of callable


class Methods:
    """Handlers that are methods."""

    async def with_await(self, request: Request, id: int) -> Any:  # noqa: A002
        return request, id

    def plain(self, request: Request, id: int) -> Any:  # noqa: A002
        return request, id

    @classmethod
    async def of_class(cls, request: Request, id: int) -> Any:  # noqa: A002
        return request, id

    @staticmethod
    def static(request: Request, id: int) -> Any:  # noqa: A002
        return request, id


class Awaited:
    """An object that is called with `await`."""

    async def __call__(self, request: Request, id: int) -> Any:  # noqa: A002
        return request, id


class Called:
    """An object that is called."""

    def __call__(self, request: Request, id: int) -> Any:  # noqa: A002
        return request, id


def passing(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator without `await` of its own."""

    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def awaiting(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator with `await` of its own, around either kind."""

    @wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        value = function(*args, **kwargs)
        return await value if asyncio.iscoroutine(value) else value

    return wrapper


async def three(request: Request, id: int, extra: int) -> Any:  # noqa: A002
    return request, id


@pytest.mark.parametrize(
    "endpoint",
    [
        Methods().with_await,
        Methods().plain,
        Methods.of_class,
        Methods.static,
        Awaited(),
        Called(),
        Called().__call__,
        passing(Methods().with_await),
        passing(Methods().plain),
        awaiting(Methods().with_await),
        awaiting(Methods().plain),
        passing(awaiting(passing(Methods().plain))),
        partial(three, extra=1),
        partial(partial(three, extra=1)),
        partial(Awaited()),
        passing(partial(Called())),
        lambda request, id: Methods().with_await(request, id),  # noqa: A006
    ],
)
async def test_any_callable_is_a_handler(endpoint: Callable[..., Any]) -> None:
    assert await call(endpoint, id=7) == (REQUEST, 7)


async def test_a_class_is_called_itself_not_its_objects() -> None:
    class Page:
        def __init__(self, id: int) -> None:  # noqa: A002
            self.id = id

        async def __call__(self) -> None:
            raise AssertionError("nobody calls the object")

    page = await call(Page, id=7)
    assert isinstance(page, Page)
    assert page.id == 7


# ---- where it runs


async def test_a_plain_function_runs_in_a_thread_with_the_context_of_its_caller() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("seen")

    def plain() -> Any:
        return threading.get_ident(), variable.get()

    async def with_await() -> Any:
        return threading.get_ident(), variable.get()

    thread, seen = await call(plain)
    assert (thread != threading.get_ident(), seen) == (True, "seen")
    assert await call(with_await) == (threading.get_ident(), "seen")


async def test_a_plain_function_does_not_hold_the_loop_up() -> None:
    go = threading.Event()

    def plain() -> str:
        go.wait()
        return "went"

    waiting = asyncio.create_task(call(plain))
    await asyncio.sleep(0)
    go.set()
    assert await waiting == "went"


async def test_a_coroutine_of_a_plain_function_is_awaited_on_the_loop() -> None:
    async def inner() -> int:
        return threading.get_ident()

    def plain() -> Awaitable[int]:
        return inner()

    assert await call(plain) == threading.get_ident()


@pytest.mark.parametrize(
    "error", [LookupError("its own"), OSError("its own"), asyncio.CancelledError("its own")]
)
async def test_what_a_handler_raises_is_raised_as_it_is(error: BaseException) -> None:
    async def with_await() -> None:
        raise error

    def plain() -> None:
        raise error

    for endpoint in (with_await, plain):
        with pytest.raises(type(error)) as caught:
            await call(endpoint)
        assert caught.value is error


async def test_a_plain_handler_that_raises_stop_iteration_does_not_hang() -> None:
    def plain() -> str:
        return next(iter(()))

    with pytest.raises(RuntimeError, match="StopIteration"):
        await call(plain)


async def test_a_handler_that_lacks_an_argument_is_not_called_with_another() -> None:
    async def endpoint(a: int, b: int = 2, /) -> Any:
        return a, b

    with pytest.raises(KeyError):
        await Handler(endpoint, Request)(REQUEST, {"b": 3})


# ---- what the value becomes


async def answered(value: Any) -> Log:
    log = await play(to_response(value), http_scope(), [])
    assert log.raised is None
    return log


@enforces("HTTP-RESP-01", "HTTP-RESP-10")
@pytest.mark.parametrize(
    ("value", "content_type", "body"),
    [
        ({"a": [1, None]}, "application/json", b'{"a":[1,null]}'),
        ({}, "application/json", b"{}"),
        ([], "application/json", b"[]"),
        (OrderedDict(a=1), "application/json", b'{"a":1}'),
        (defaultdict(list), "application/json", b"{}"),
        ("é", "text/plain; charset=utf-8", "é".encode()),
        ("", "text/plain; charset=utf-8", b""),
        (b"\xff", "application/octet-stream", b"\xff"),
        (b"", "application/octet-stream", b""),
        (None, None, b""),
    ],
)
async def test_a_value_becomes_a_response(value: Any, content_type: str | None, body: bytes) -> None:
    log = await answered(value)
    assert (log.status, log.body) == (200, body)
    assert log.header("content-type") == content_type
    assert log.header("content-length") == str(len(body))


async def test_a_response_stays_as_it_is() -> None:
    for response in (Response("x"), StreamingResponse([b"x"]), text_response("x", 404)):
        assert to_response(response) is response


def generator() -> Iterator[str]:
    yield "never"


async def asynchronous_generator() -> AsyncIterator[str]:
    yield "never"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (1, "int"), (True, "bool"), (1.5, "float"), ((1, 2), "tuple"), ({1}, "set"), (object(), "object"),
        (bytearray(b"x"), "bytearray"), (iter("x"), "str_"), (generator(), "generator"),
        (asynchronous_generator(), "async_generator"), (Response, "type"),
    ],
)  # fmt: skip
def test_any_other_value_is_an_error_that_names_the_cure(value: Any, name: str) -> None:
    with pytest.raises(TypeError, match=rf"returned {name}\w*: return a Response, dict.*StreamingResponse"):
        to_response(value)


@pytest.mark.parametrize("endpoint", [generator, asynchronous_generator])
async def test_a_generator_is_no_response_but_can_be_streamed(endpoint: Callable[..., Any]) -> None:
    value = await call(endpoint)
    with pytest.raises(TypeError, match="StreamingResponse takes a generator"):
        to_response(value)
    assert (await answered(StreamingResponse(value))).body == b"never"


def test_json_that_cannot_be_written_is_an_error() -> None:
    with pytest.raises(TypeError):
        to_response({"a": object()})
    with pytest.raises(ValueError, match="JSON"):
        to_response([float("nan")])
