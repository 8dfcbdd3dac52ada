"""Runs beside the submission: makes its responses from values, and what values cannot carry.

Rule 1: a maker gives an ASGI application; one for a plain response is the response itself.
Rule 2: what is done with a stream, its background and `send` goes into one log, in order, which is sent at the end
        as a message of the type `probe.log`.
Rule 3: what a stream goes through is kept alive by the log, so that nothing but the submission closes it.
Rule 4: the local time is never UTC, so that one that is taken for the other shows on every machine.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from fastasgi import responses
from fastasgi.datastructures import Headers, MutableHeaders
from fastasgi.exceptions import HTTPException

App = Callable[..., Awaitable[Any]]
TURNS = 5
"""Turns of the event loop after which a task that was cancelled is over."""
os.environ["TZ"] = "EST5"
if hasattr(time, "tzset"):
    time.tzset()


# --- responses whose body is at hand ------------------------------------------------------------------------


def response(**arguments: Any) -> App:
    return responses.Response(**arguments)


def attributes(**arguments: Any) -> dict[str, Any]:
    """What a response says of itself."""
    made = responses.Response(**arguments)
    return {"status_code": made.status_code, "body": made.body, "media_type": made.media_type}


def header_values(name: str, **arguments: Any) -> list[str]:
    """The headers of a name that a response has as soon as it is made."""
    return list(responses.Response(**arguments).headers.getlist(name))


def stream_of_list(**arguments: Any) -> App:
    return responses.StreamingResponse([b"x"], **arguments)


def changed(arguments: dict[str, Any], changes: list[list[Any]]) -> App:
    """A response after changes, each a list of its kind and what it takes."""
    made = responses.Response(**arguments)
    for kind, *values in changes:
        if kind == "set header":
            made.headers[values[0]] = values[1]
        elif kind == "append header":
            made.headers.append(*values)
        elif kind == "delete header":
            del made.headers[values[0]]
        else:
            setattr(made, kind, *values)
    return made


def derived(status_code: int, headers: list[tuple[str, str]]) -> dict[str, Any]:
    """The start message of a response whose class calls no `__init__`, and has no body of its own."""

    class Passing(responses.Response):
        def __init__(self) -> None:
            self.status_code = status_code
            self.headers = responses.Response(headers=headers).headers

        @property
        def body(self) -> bytes:
            raise RuntimeError("start_message() has asked for the body")

    return dict(Passing().start_message())


def given_after(form: str, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The headers that the caller gave, after those of the response were changed."""
    given: Any = _AS[form](headers)
    made = responses.Response(b"x", headers=given)
    made.headers["x-new"] = "1"
    made.headers["x-a"] = "changed"
    made.headers.append("x-a", "appended")
    return given if form == "list" else list(given.items())


_AS: dict[str, Callable[[Any], Any]] = {
    "dict": dict,
    "list": list,
    "Headers": Headers,
    "MutableHeaders": MutableHeaders,
}


def start_messages() -> list[Any]:
    """What `start_message` gives after the message that it gave before was spoilt."""
    made = responses.Response(b"abc", 201, {"x-a": "1"})
    first = made.start_message()
    kept = {**first, "headers": [tuple(pair) for pair in first["headers"]]}
    if isinstance(first["headers"], list):
        first["headers"].clear()
    first["status"] = 500
    return [kept, made.start_message()]


def after_message_changed() -> App:
    """A response that was sent before, to somebody who has changed the messages."""
    made = responses.Response(b"abc", headers={"x-a": "1"})

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def spoil(message: Any) -> None:
            if isinstance(message.get("headers"), list):
                message["headers"].append((b"spoilt", b""))
            message["status"] = 500

        await made(scope, receive, spoil)
        await made(scope, receive, send)

    return app


# --- kinds of responses -------------------------------------------------------------------------------------


def text(*, text: str, **arguments: Any) -> App:
    return responses.text_response(text, **arguments)


def html(*, html: str, **arguments: Any) -> App:
    return responses.html_response(html, **arguments)


def json(*, value: Any, **arguments: Any) -> App:
    return responses.json_response(value, **arguments)


def json_of_object() -> App:
    return responses.json_response({"a": [object()]})


def redirect(*, url: str, **arguments: Any) -> App:
    return responses.redirect_response(url, **arguments)


def redirect_to_object(url: str) -> App:
    """A redirect to what is no str, but has one: a URL, for example."""

    class Link:
        def __str__(self) -> str:
            return url

    return responses.redirect_response(Link())


def error(status_code: int, detail: str | None, headers: dict[str, str] | None) -> App:
    return responses.error_response(HTTPException(status_code, detail, headers))


# --- cookies ------------------------------------------------------------------------------------------------


def cookies(calls: list[dict[str, Any]], headers: list[tuple[str, str]] | None = None) -> list[str]:
    """The `set-cookie` headers after some calls of `set_cookie`."""
    made = responses.Response(headers=headers)
    for arguments in calls:
        made.set_cookie(**arguments)
    return made.headers.getlist("set-cookie")


def deleted(**arguments: Any) -> list[str]:
    made = responses.Response()
    made.delete_cookie(**arguments)
    return made.headers.getlist("set-cookie")


def refused_cookie(**arguments: Any) -> list[Any]:
    """Whether `set_cookie` raised ValueError, and the `set-cookie` headers after it."""
    made = responses.Response()
    try:
        made.set_cookie(**arguments)
    except ValueError:
        return ["ValueError", made.headers.getlist("set-cookie")]
    return ["no error", made.headers.getlist("set-cookie")]


# --- the log, background, streams ---------------------------------------------------------------------------


class Failed(LookupError):
    """What a stream's iterator, a background, or a task raises where it is told to."""


class Log:
    """What was done, in order, as words."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.kept: list[Any] = []
        self.loop_thread = threading.get_ident()

    async def background(self) -> None:
        self.words.append("background run")

    async def failing_background(self) -> None:
        self.words.append("background run")
        raise Failed("the background failed")

    def of(self, made: App) -> App:
        """An application that is `made`, with what is sent noted. Its last message is the log, and how long it took."""

        async def app(scope: Any, receive: Any, send: Any) -> Any:
            async def noting(message: Any) -> None:
                what = _part(message)
                try:
                    await send(message)
                except OSError:
                    self.words.append(f"{what} failed")
                    raise
                self.words.append(f"{what} sent")

            before = asyncio.all_tasks()
            begun = asyncio.get_running_loop().time()
            try:
                return await made(scope, receive, noting)
            finally:
                for _ in range(TURNS):  # one that was cancelled may need some
                    await asyncio.sleep(0)
                if asyncio.all_tasks() - before:
                    self.words.append("task left running")
                seconds = asyncio.get_running_loop().time() - begun
                await send({"type": "probe.log", "log": list(self.words), "seconds": seconds})

        return app


def _part(message: Any) -> str:
    if message["type"] != "http.response.body":
        return str(message["type"]).rpartition(".")[2]
    return "chunk" if message.get("more_body", False) else "end"


def with_background(fails: bool = False, **arguments: Any) -> App:
    log = Log()
    background = log.failing_background if fails else log.background
    return log.of(responses.Response(background=background, **arguments))


def stream(form: str, chunks: list[Any], **arguments: Any) -> App:
    """A stream of that form of iterable, with a background. "wait" waits for ever, "fail" and "time out" raise."""
    log = Log()
    given = FORMS[form](log, chunks)
    log.kept.append(given)
    return log.of(responses.StreamingResponse(given, background=log.background, **arguments))


class AsyncIterable:
    """An asynchronous iterator that can be closed, and is no generator."""

    def __init__(self, log: Log, chunks: Iterable[Any]) -> None:
        self.log = log
        self.chunks = iter(chunks)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        self.log.words.append("chunk asked for")
        chunk = next(self.chunks, None)
        if chunk is None:
            raise StopAsyncIteration
        if chunk == "wait":
            await asyncio.Event().wait()
        return _chunk(chunk)

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.log.words.append("closed")


class PlainIterator:
    """A plain iterator that can be closed, and is no generator."""

    def __init__(self, log: Log, chunks: Iterable[Any]) -> None:
        self.log = log
        self.chunks = iter(chunks)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        in_loop = threading.get_ident() == self.log.loop_thread
        self.log.words.append("chunk asked for in the event loop's thread" if in_loop else "chunk asked for")
        return _chunk(next(self.chunks))

    def close(self) -> None:
        self.log.words.append("closed")


async def _async_generator(log: Log, chunks: Iterable[Any]) -> AsyncIterator[Any]:
    source = AsyncIterable(log, chunks)
    try:
        async for chunk in source:
            yield chunk
    finally:
        await source.aclose()


def _generator(log: Log, chunks: Iterable[Any]) -> Iterator[Any]:
    source = PlainIterator(log, chunks)
    try:
        yield from source
    finally:
        source.close()


@dataclass(eq=False)
class AsyncIterableWithGenerator:
    """An asynchronous iterable that makes a generator to be gone through, and can be closed itself."""

    log: Log
    chunks: Iterable[Any]

    def __aiter__(self) -> AsyncIterator[Any]:
        made = _async_generator(self.log, self.chunks)
        self.log.kept.append(made)
        return made

    async def aclose(self) -> None:
        self.log.words.append("iterable closed")


@dataclass(eq=False)
class IterableWithGenerator:
    """A plain iterable that makes a generator to be gone through, and can be closed itself."""

    log: Log
    chunks: Iterable[Any]

    def __iter__(self) -> Iterator[Any]:
        made = _generator(self.log, self.chunks)
        self.log.kept.append(made)
        return made

    def close(self) -> None:
        self.log.words.append("iterable closed")


FORMS: dict[str, Callable[[Log, Iterable[Any]], Any]] = {
    "asynchronous generator": _async_generator,
    "asynchronous iterator": AsyncIterable,
    "generator": _generator,
    "iterator": PlainIterator,
    "list": lambda log, chunks: list(chunks),
    "asynchronous iterable with a generator": AsyncIterableWithGenerator,
    "iterable with a generator": IterableWithGenerator,
    "what is no iterable": lambda log, chunks: log,
    "a generator function that nobody called": lambda log, chunks: _generator,
    "str": lambda log, chunks: "abc",
    "bytes": lambda log, chunks: b"abc",
}


def _chunk(chunk: Any) -> Any:
    if chunk == "fail":
        raise Failed("the iterator failed")
    if chunk == "time out":
        raise TimeoutError("the iterator's own")
    return chunk


async def tasks(steps: list[dict[str, Any]], times: int) -> dict[str, Any]:
    """What was run, and what raised, when tasks of these kinds are added and run so many times."""
    ran: list[Any] = []
    loop_thread = threading.get_ident()

    def begin(number: int, args: Any, kwargs: Any) -> None:
        where = "event loop" if threading.get_ident() == loop_thread else "thread"
        ran.append([f"task {number}", where, list(args), kwargs])

    def end(number: int, fails: bool) -> None:
        ran.append([f"end of task {number}"])
        if fails:
            raise Failed("a task failed")

    def coroutine_function(number: int, fails: bool) -> Any:
        async def task(*args: Any, **kwargs: Any) -> None:
            begin(number, args, kwargs)
            await asyncio.sleep(1)
            end(number, fails)

        return task

    def plain(number: int, fails: bool) -> Any:
        def task(*args: Any, **kwargs: Any) -> None:
            begin(number, args, kwargs)
            end(number, fails)

        return task

    added = responses.BackgroundTasks()
    for number, step in enumerate(steps):
        function = (plain if step["kind"] == "plain" else coroutine_function)(number, step["fails"])
        added.add_task(function, *step["args"], **step["kwargs"])
    try:
        for _ in range(times):
            await added()
    except Failed:
        return {"ran": ran, "raised": "what the task raised"}
    return {"ran": ran, "raised": None}
