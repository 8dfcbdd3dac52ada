"""The modules that a learner is given: threads beside the loop, statuses, exceptions, and the words of ASGI."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import gc
import threading
from collections.abc import AsyncIterator, Awaitable, Iterator
from functools import partial, wraps
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastasgi_reference.asgi_types import extension, require_type, spec_version
from fastasgi_reference.concurrency import call, is_async, iterate_in_thread, run_in_thread
from fastasgi_reference.exceptions import ClientDisconnect, HTTPException
from fastasgi_reference.status import CloseCode, has_no_body, phrase
from tests.reference.conversation import http_scope, lifespan_scope, websocket_scope
from tests.reference.rules import enforces

UNHURRIED = settings(deadline=None)
VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="outside")


# ---- concurrency: which functions are asynchronous


async def with_await(value: Any = None) -> Any:
    return value, threading.get_ident()


def plain(value: Any = None) -> Any:
    return value, threading.get_ident()


def gives_coroutine(value: Any = None) -> Awaitable[Any]:
    return with_await(value)


@wraps(plain)
async def awaiting_wrapper(value: Any = None) -> Any:
    return await with_await(value)


class Awaited:
    """An object that is called with `await`, and has a method to await."""

    async def __call__(self, value: Any = None) -> Any:
        return await with_await(value)

    async def method(self, value: Any = None) -> Any:
        return await with_await(value)


class Called:
    """An object that is called."""

    def __call__(self, value: Any = None) -> Any:
        return plain(value)


async def asynchronous_generator() -> AsyncIterator[None]:
    yield


ASYNC: list[Any] = [
    with_await, awaiting_wrapper, partial(with_await, 1), partial(partial(with_await), 1), Awaited(), Awaited().method,
    Awaited().__call__, partial(Awaited(), 1),
]  # fmt: skip
PLAIN: list[Any] = [plain, gives_coroutine, wraps(with_await)(plain), partial(plain, 1), Called(), len, print]


@pytest.mark.parametrize("function", ASYNC)
def test_a_function_whose_call_gives_a_coroutine_is_async(function: Any) -> None:
    assert is_async(function)


@pytest.mark.parametrize("function", [*PLAIN, asynchronous_generator, Awaited, Called, 5, None])
def test_any_other_function_is_not(function: Any) -> None:
    assert not is_async(function)


@pytest.mark.parametrize(
    "function", [with_await, gives_coroutine, awaiting_wrapper, Awaited(), partial(Awaited())]
)
async def test_call_runs_what_is_to_be_awaited_here(function: Any) -> None:
    assert await call(function, value=7) == (7, threading.get_ident())


@pytest.mark.parametrize("function", [plain, partial(plain), Called()])
async def test_call_runs_plain_functions_in_a_thread(function: Any) -> None:
    value, thread = await call(function, 7)
    assert (value, thread != threading.get_ident()) == (7, True)


# ---- concurrency: functions in threads


async def test_a_function_in_a_thread_gets_its_arguments_and_the_context() -> None:
    def function(*args: Any, **kwargs: Any) -> Any:
        VARIABLE.set("of the thread")
        return args, kwargs, threading.get_ident()

    VARIABLE.set("of the caller")
    args, kwargs, thread = await run_in_thread(function, 1, function=2, func=3)
    assert (args, kwargs) == ((1,), {"function": 2, "func": 3})
    assert thread != threading.get_ident()
    assert await run_in_thread(VARIABLE.get) == "of the caller"
    assert VARIABLE.get() == "of the caller"


@pytest.mark.parametrize("error", [LookupError("its own"), KeyboardInterrupt(), asyncio.CancelledError()])
async def test_what_a_function_in_a_thread_raises_is_raised(error: BaseException) -> None:
    def function() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        await run_in_thread(function)
    assert caught.value is error


async def test_stop_iteration_comes_out_of_a_thread_as_a_runtime_error() -> None:
    """No future takes one: whoever awaited it would wait for ever."""
    with pytest.raises(RuntimeError, match="StopIteration") as caught:
        await run_in_thread(next, iter(()))
    assert isinstance(caught.value.__cause__, StopIteration)


async def test_who_is_cancelled_does_not_wait_for_the_thread() -> None:
    begun, go, ended = threading.Event(), threading.Event(), threading.Event()

    def function() -> None:
        begun.set()
        go.wait()
        ended.set()

    task = asyncio.create_task(run_in_thread(function))
    await asyncio.to_thread(begun.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not ended.is_set()
    go.set()
    await asyncio.to_thread(ended.wait)


# ---- concurrency: iterables in threads


class Steps(Iterator[int]):
    """An iterator that notes the threads in which it is used, and whether two ever met. A step waits for `go`."""

    def __init__(self, count: int = 3, *, error: Exception | None = None) -> None:
        self.left = list(range(count))
        self.error = error
        self.log: list[str] = []
        self.begun = threading.Event()
        self.go = threading.Event()
        self.go.set()
        self._busy = threading.Lock()

    def _note(self, what: str) -> None:
        assert threading.get_ident() != threading.main_thread().ident
        assert self._busy.acquire(blocking=False)
        self.log.append(what)
        self.begun.set()
        self.go.wait()
        self._busy.release()

    def __iter__(self) -> Steps:
        self._note("iter")
        return self

    def __next__(self) -> int:
        self._note("next")
        if self.left:
            return self.left.pop(0)
        raise StopIteration if self.error is None else self.error

    def close(self) -> None:
        self._note("close")


async def test_an_iterable_is_gone_through_and_closed_in_threads() -> None:
    steps = Steps(2)
    assert [item async for item in iterate_in_thread(steps)] == [0, 1]
    assert steps.log == ["iter", "next", "next", "next", "close"]


@UNHURRIED
@given(st.lists(st.integers()))
async def test_all_items_come_in_order(items: list[int]) -> None:
    assert [item async for item in iterate_in_thread(items)] == items
    assert [item async for item in iterate_in_thread(iter(items))] == items
    assert [item async for item in iterate_in_thread(item for item in items)] == items


async def test_nothing_is_done_before_the_first_item_is_asked_for() -> None:
    steps = Steps()
    items: Any = iterate_in_thread(steps)
    await items.aclose()
    assert steps.log == []


async def test_an_iterator_that_raises_is_closed() -> None:
    steps = Steps(1, error=LookupError("its own"))
    items = iterate_in_thread(steps)
    assert await anext(items) == 0
    with pytest.raises(LookupError, match="its own"):
        await anext(items)
    assert steps.log[-1] == "close"


async def test_a_reader_that_stops_closes_it() -> None:
    steps = Steps()
    items: Any = iterate_in_thread(steps)
    assert await anext(items) == 0
    await items.aclose()
    assert steps.log == ["iter", "next", "close"]


async def test_an_iterator_that_is_abandoned_is_closed() -> None:
    steps = Steps()
    async for item in iterate_in_thread(steps):
        assert item == 0
        break
    gc.collect()
    while "close" not in steps.log:  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0)
    assert steps.log.count("close") == 1


async def test_what_is_no_iterable_is_an_error() -> None:
    with pytest.raises(TypeError, match="iterable"):
        await anext(iterate_in_thread(5))  # type: ignore[arg-type]


@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize("place", ["iter", "next"])
async def test_an_iterator_is_closed_after_the_step_in_which_its_reader_was_cancelled(
    place: str, times: int
) -> None:
    steps = Steps()
    items: Any = iterate_in_thread(steps)
    if place == "next":
        await anext(items)
    steps.begun.clear()
    steps.go.clear()
    reader = asyncio.create_task(anext(items))
    await asyncio.to_thread(steps.begun.wait)
    for _ in range(times):
        reader.cancel()
        for _ in range(4):
            await asyncio.sleep(0)
    assert "close" not in steps.log
    steps.go.set()
    with pytest.raises(asyncio.CancelledError):
        await reader
    while "close" not in steps.log:  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0)
    assert steps.log[-1] == "close"
    assert steps.log.count("close") == 1


async def test_the_steps_of_an_iterator_share_one_context_which_is_nobody_else_s() -> None:
    def generator() -> Iterator[str]:
        yield VARIABLE.get()
        token = VARIABLE.set("inside")
        yield VARIABLE.get()
        VARIABLE.reset(token)
        yield VARIABLE.get()

    VARIABLE.set("caller")
    assert [item async for item in iterate_in_thread(generator())] == ["caller", "inside", "caller"]
    assert VARIABLE.get() == "caller"


async def test_iterators_do_not_wait_for_each_other() -> None:
    slow, quick = Steps(), Steps(1)
    slow.go.clear()
    items: Any = iterate_in_thread(slow)
    reader = asyncio.create_task(anext(items))
    await asyncio.to_thread(slow.begun.wait)
    assert [item async for item in iterate_in_thread(quick)] == [0]
    slow.go.set()
    assert await reader == 0


# ---- status


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (200, "OK"),
        (404, "Not Found"),
        (HTTPStatus.IM_A_TEAPOT, "I'm a Teapot"),
        (299, ""),
        (999, ""),
        (-1, ""),
    ],
)
def test_the_phrase_of_a_status(code: int, expected: str) -> None:
    assert phrase(code) == expected


@UNHURRIED
@given(st.integers(100, 999))
def test_only_some_statuses_have_no_body(code: int) -> None:
    assert has_no_body(code) == (code // 100 == 1 or code in (204, 304))


def test_close_codes_are_numbers() -> None:
    assert int(CloseCode.NORMAL) == 1000
    assert {int(code) for code in CloseCode} == {*range(1000, 1004), *range(1005, 1016)}


# ---- exceptions


@pytest.mark.parametrize(
    ("args", "detail", "headers", "text"),
    [
        ((404,), "Not Found", None, "404: Not Found"),
        ((HTTPStatus.CONFLICT, "taken"), "taken", None, "409: taken"),
        ((405, None, {"allow": "GET"}), "Method Not Allowed", {"allow": "GET"}, "405: Method Not Allowed"),
        ((400, ""), "", None, "400: "),
        ((999,), "", None, "999: "),
        ((204,), "No Content", None, "204: No Content"),
    ],
)
def test_an_http_exception_is_an_answer(
    args: tuple[Any, ...], detail: str, headers: dict[str, str] | None, text: str
) -> None:
    error = HTTPException(*args)
    assert (error.status_code, error.detail, error.headers) == (args[0], detail, headers)
    assert type(error.status_code) is int
    assert str(error) == text
    again = copy.copy(error)
    assert (again.status_code, again.detail, again.headers) == (args[0], detail, headers)


def test_an_http_exception_keeps_headers_of_its_own() -> None:
    headers = {"allow": "GET"}
    error = HTTPException(405, headers=headers)
    headers["allow"] = "POST"
    assert error.headers == {"allow": "GET"}


@pytest.mark.parametrize("code", [-1, 0, 100, 199, 1000, True, HTTPStatus.CONTINUE])
def test_an_http_exception_ends_an_exchange(code: int) -> None:
    with pytest.raises(ValueError, match="200 to 999"):
        HTTPException(code)


def test_a_disconnect_is_no_answer() -> None:
    assert not issubclass(ClientDisconnect, HTTPException | OSError)
    assert str(ClientDisconnect("gone")) == "gone"


# ---- the words of ASGI


@enforces("APP-SCOPE-04")
@pytest.mark.parametrize(
    ("asgi", "expected"),
    [
        ({"spec_version": "2.4"}, (2, 4)),
        ({"spec_version": "2.10"}, (2, 10)),
        ({"version": "3.0"}, (2, 0)),
        ({}, (2, 0)),
        (None, (2, 0)),
        (..., (2, 0)),
    ],
)
def test_a_spec_version_is_numbers(asgi: object, expected: tuple[int, ...]) -> None:
    assert spec_version(http_scope(asgi=asgi)) == expected


def test_spec_versions_are_compared_as_numbers() -> None:
    assert spec_version(http_scope(asgi={"spec_version": "2.10"})) > spec_version(
        http_scope(asgi={"spec_version": "2.9"})
    )


@enforces("APP-SCOPE-06")
@pytest.mark.parametrize("extensions", [..., None, {}, {"other": {}}])
def test_an_extension_that_is_not_offered(extensions: object) -> None:
    assert extension(http_scope(extensions=extensions), "tls") is None


def test_an_extension_that_is_offered_though_it_says_nothing() -> None:
    assert extension(http_scope(extensions={"tls": {}}), "tls") == {}
    assert extension(http_scope(extensions={"tls": {"a": 1}}), "tls") == {"a": 1}


@enforces("APP-SCOPE-01", "APP-SCOPE-02")
@pytest.mark.parametrize(
    ("scope", "kinds", "right"),
    [
        (http_scope(), ["http"], True),
        (websocket_scope(), ["http", "websocket"], True),
        (websocket_scope(), ["http"], False),
        (lifespan_scope(), ["http", "websocket"], False),
        ({"type": "HTTP"}, ["http"], False),
    ],
)
def test_a_connection_of_another_type_is_refused(
    scope: dict[str, Any], kinds: list[str], right: bool
) -> None:
    if right:
        require_type(scope, *kinds)
    else:
        with pytest.raises(RuntimeError, match=f"{' or '.join(kinds)}, not '{scope['type']}'"):
            require_type(scope, *kinds)


def test_a_connection_without_type_is_an_error() -> None:
    with pytest.raises(KeyError):
        require_type({}, "http")
