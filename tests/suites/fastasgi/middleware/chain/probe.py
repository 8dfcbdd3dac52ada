"""Runs beside the submission: puts layers around an application, all made of values, and notes what happens.

Rule 1: whoever is called notes it, by a message `probe.note` past the chain: a transcript tells the whole story.
Rule 2: nothing is judged here.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import Any

from fastasgi.middleware.chain import MiddlewareChain
from fastasgi.requests import Request
from fastasgi.responses import Response, StreamingResponse, text_response

App = Callable[..., Awaitable[Any]]
NOTE = "probe.note"
"""The key of the scope under which everybody finds the way to take a note."""
WHO: ContextVar[str] = ContextVar("who", default="nobody")
ANSWER: list[dict[str, Any]] = [
    {"type": "http.response.start", "status": 200, "headers": []},
    {"type": "http.response.body", "body": b"app"},
]


class Failure(Exception):
    """What an application or a layer of the probe raises."""


# --- the application further in -----------------------------------------------------------------------------


def inner(messages: Sequence[dict[str, Any]] = ANSWER, **does: Any) -> App:
    """An application that sends these messages, when it has received so many events as `receives` says.

    `raises` after so many of them, `notes` each before it is sent, `waits` for ever before the last note, `works` a
    while after the last message. Of what it is sent it notes errors, of a cancellation that it came.
    """

    async def app(scope: Any, receive: Any, send: Any) -> None:
        note = scope[NOTE]
        await note(does.get("name", "app"))
        for _ in range(does.get("receives", 0)):
            await receive()
        try:
            await answer(note, send)
        except asyncio.CancelledError:
            await note("app is cancelled")
            raise

    async def answer(note: Any, send: Any) -> None:
        for number, message in enumerate(messages):
            if does.get("raises") == number:
                raise Failure("app")
            if does.get("notes"):
                await note(f"makes {number}")
            before = copy.deepcopy(message)
            await sending(send, message, note)
            if message != before:
                await note("app finds its message changed")
        if does.get("raises") == len(messages):
            raise Failure("app")
        if does.get("waits"):
            await asyncio.Event().wait()
        if does.get("works"):
            await asyncio.sleep(1)
            await note("app has worked")

    return app


async def sending(send: Any, message: Any, note: Any) -> None:
    try:
        await send(message)
    except OSError as error:
        await note(f"app's send raises {type(error).__name__}")
        raise


# --- layers -------------------------------------------------------------------------------------------------


class Layer:
    """An ASGI middleware, which notes a request and the beginning of its response."""

    def __init__(self, app: App, *, name: str, answers: bool = False) -> None:
        self.app = app
        self.name = name
        self.answers = answers

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def seen(message: Any) -> None:
            if message["type"] == "http.response.start":
                await scope[NOTE](f"{self.name} sees the response")
            await send(message)

        await scope[NOTE](self.name)
        if self.answers:
            await text_response(self.name)(scope, receive, send)
        else:
            await self.app(scope, receive, seen)


def function(name: str, answers: bool = False) -> Callable[..., Awaitable[Any]]:
    """A function that does the same."""

    async def middleware(request: Any, call_next: Any) -> Any:
        await request.scope[NOTE](name)
        if answers:
            return name
        response = await call_next(request)
        await request.scope[NOTE](f"{name} sees the response")
        return response

    return middleware


async def passes(request: Any, call_next: Any) -> Any:
    """A function that does nothing."""
    return await call_next(request)


def noted(chain: App) -> App:
    """The chain as the judge sees it: whoever is called finds the way to take a note in the scope."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def note(text: str) -> None:
            await send({"type": NOTE, "text": text})

        await chain({**scope, NOTE: note}, receive, send)

    return app


def alone(chain: App) -> App:
    """The same for one connection at a time: notes in the end how many tasks are left running."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        before = asyncio.all_tasks()
        try:
            await noted(chain)(scope, receive, send)
        finally:
            left = asyncio.all_tasks() - before
            await send({"type": NOTE, "text": f"{len(left)} tasks are left running"})

    return app


def chain_of(app: App, *functions: Any) -> Any:
    chain = MiddlewareChain(app)
    for each in functions:
        chain.add_function(each)
    return chain


# --- the onion ----------------------------------------------------------------------------------------------


def onion(kinds: list[str], answering: int | None = None) -> App:
    """Layers of these kinds, called by their places, around an application. The one at `answering` answers itself."""
    chain = MiddlewareChain(inner())
    for place, kind in enumerate(kinds):
        name, answers = f"{kind} {place}", place == answering
        if kind == "asgi":
            chain.add(Layer, name=name, answers=answers)
        else:
            chain.add_function(function(name, answers))
    return noted(chain)


# --- making and adding --------------------------------------------------------------------------------------


async def made(kinds: list[str], options: list[dict[str, Any]]) -> list[Any]:
    """Serves connections of these kinds with a layer for each of the options.

    Gives the options that the factories were called with, and how many of them were given what is further in.
    """
    calls: list[Any] = []
    given: list[App] = []

    def factory(app: App, **options: Any) -> App:
        calls.append(options)
        given.append(app)
        return app

    app = inner([])
    chain = MiddlewareChain(app)
    for each in options:
        chain.add(factory, **each)
    for kind in kinds:
        await served(chain, kind)
    return [calls, sum(each is app for each in given)]


async def answering(scope: Any, receive: Any, send: Any) -> None:
    """An application that notes itself, and answers HTTP."""
    await scope[NOTE]("app")
    for message in ANSWER if scope["type"] == "http" else ():
        await send(message)


async def add_after(kind: str | None, how: str) -> list[str]:
    """Serves a connection of that kind, if any; then adds a layer. Gives the notes of a connection after that."""
    chain = MiddlewareChain(answering)
    chain.add(Layer, name="first")
    if kind is not None:
        await served(chain, kind)
    add_layer(chain, how)
    return await served(chain, "http")


async def serve_after_refusal(kind: str, how: str) -> list[str]:
    """The same, but takes a RuntimeError for granted."""
    chain = MiddlewareChain(answering)
    chain.add(Layer, name="first")
    await served(chain, kind)
    with suppress(RuntimeError):
        add_layer(chain, how)
    return await served(chain, "http")


def add_layer(chain: Any, how: str) -> None:
    if how == "add":
        chain.add(Layer, name="late")
    else:
        chain.add_function(function("late"))


async def served(chain: App, kind: str) -> list[str]:
    """The notes of one connection on its way in, until its application is called."""
    notes: list[str] = []

    async def note(text: str) -> None:
        notes.append(text)

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None: ...

    with suppress(RuntimeError):  # the application may send no response: a function may say so
        await chain({"type": kind, "method": "GET", "path": "/", "headers": [], NOTE: note}, receive, send)
    return notes[: notes.index("app") + 1] if "app" in notes else notes


def add_value(value: Any, how: str) -> None:
    chain = MiddlewareChain(inner([]))
    if how == "add":
        chain.add(value)
    else:
        chain.add_function(value)


class LikeAFunction:
    async def __call__(self, request: Any, call_next: Any) -> Any:
        return await function("object")(request, call_next)

    def plain(self, request: Any, call_next: Any) -> Any:
        return call_next(request)


async def with_option(request: Any, call_next: Any, *, name: str) -> Any:
    return await function(name)(request, call_next)


async def add_kind(kind: str) -> list[str]:
    """Adds a function of this kind, and gives the notes of a request."""
    kinds: dict[str, Any] = {
        "async def": function("async def"),
        "partial": partial(with_option, name="partial"),
        "object": LikeAFunction(),
        "def": lambda request, call_next: None,
        "method": LikeAFunction().plain,
        "class": LikeAFunction,
    }
    chain = MiddlewareChain(answering)
    chain.add_function(kinds[kind])
    return await served(chain, "http")


def unmakeable(breaks: bool = True) -> App:
    """A chain of which one layer cannot be made; or can, for comparison."""

    def factory(app: App) -> App:
        if breaks:
            raise Failure("no configuration")
        return app

    chain = MiddlewareChain(echo)
    chain.add(factory)
    return chain


async def add_and_serve(kinds: list[str]) -> list[str]:
    """How each of these connections ends, where a layer cannot be made."""
    chain = unmakeable()
    ends = []
    for kind in kinds:
        try:
            await served(chain, kind) if kind != "lifespan" else await lifespan(chain)
        except Failure as error:
            ends.append(str(error))
        else:
            ends.append("returned")
    return ends


async def lifespan(chain: App) -> None:
    async def receive() -> Any:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None: ...

    await chain({"type": "lifespan"}, receive, send)


# --- other kinds of connections -----------------------------------------------------------------------------


def around_echo(functions: int) -> App:
    """Functions around an application that sends back all that it gets."""

    async def notices(request: Any, call_next: Any) -> Any:
        await request.scope[NOTE]("function")
        return await call_next(request)

    return noted(chain_of(echo, *[notices] * functions))


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Sends the scope, and then two events."""
    await send({"type": "probe.scope", "scope": {key: scope[key] for key in scope if key != NOTE}})
    for _ in range(2):
        event = await receive()
        await send({"type": "probe.event", "event": event})


# --- responses ----------------------------------------------------------------------------------------------


def returning(value: Any, outside: int = 0) -> App:
    """A function that returns a value, inside of others that do nothing."""

    async def returns(request: Any, call_next: Any) -> Any:
        return value

    return noted(chain_of(inner(), *[passes] * outside, returns))


def returning_response(status: int, headers: list[Any], body: bytes) -> App:
    return returning(Response(body, status, [tuple(pair) for pair in headers]))


def streaming(outside: int = 0) -> App:
    """A function that answers with a stream, of which no more than one piece ever comes."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        await asyncio.Event().wait()

    async def streams(request: Any, call_next: Any) -> Any:
        return StreamingResponse(pieces())

    return noted(chain_of(inner(), *[passes] * outside, streams))


def changing(messages: list[dict[str, Any]], changes: list[list[Any]], functions: int = 1) -> App:
    """Functions of which the innermost looks at the response and changes it, as these changes say."""

    async def looks(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        is_one = "a Response" if isinstance(response, Response) else type(response).__name__
        await request.scope[NOTE](
            f"{is_one} {response.status_code} {[tuple(pair) for pair in response.headers.raw]}"
        )
        for change, *arguments in changes:
            change_response(response, change, arguments)
        return response

    return noted(chain_of(inner(messages), *[passes] * (functions - 1), looks))


def change_response(response: Any, change: str, arguments: list[Any]) -> None:
    if change == "status":
        response.status_code = arguments[0]
    elif change == "set":
        response.headers[arguments[0]] = arguments[1]
    elif change == "append":
        response.headers.append(*arguments)
    elif change == "delete":
        with suppress(KeyError):
            del response.headers[arguments[0]]


def passing(messages: list[dict[str, Any]], functions: int = 1, **does: Any) -> App:
    """Functions that do nothing around an application that sends these messages."""
    return noted(chain_of(inner(messages, **does), *[passes] * functions))


def catching(messages: list[dict[str, Any]], raises: int, functions: int, catcher: int | None) -> App:
    """Functions around an application that raises after so many messages; one of them catches that."""

    def watches(place: int) -> Callable[..., Awaitable[Any]]:
        async def middleware(request: Any, call_next: Any) -> Any:
            try:
                response = await call_next(request)
            except Exception as error:
                await request.scope[NOTE](f"{place} catches {type(error).__name__}: {error}")
                if place == catcher:
                    return text_response("caught")
                raise
            await request.scope[NOTE](f"{place} sees the response")
            return response

        return middleware

    return noted(chain_of(inner(messages, raises=raises), *map(watches, range(functions))))


def raising(when: str, outside: int = 0) -> App:
    """A function that raises before it has a response, or after that."""

    async def raises(request: Any, call_next: Any) -> Any:
        if when == "after":
            await call_next(request)
        raise Failure("function")

    return noted(chain_of(inner(), *[passes] * outside, raises))


def calling_twice(fails: bool = False) -> App:
    """A function that calls `call_next` once more."""

    async def again(request: Any, call_next: Any) -> Any:
        response: Any = text_response("gave up")
        with suppress(Failure):
            response = await call_next(request)
        try:
            await call_next(request)
        except RuntimeError:
            await request.scope[NOTE]("the second call_next raises RuntimeError")
        else:
            await request.scope[NOTE]("the second call_next gives a response")
        return response

    return noted(chain_of(inner(raises=0 if fails else None), again))


# --- requests -----------------------------------------------------------------------------------------------


def reading(how: str, functions: int = 1, *, wants: bool = True) -> App:
    """Functions that read the body around an application that reads it too, if it wants it, and sends it back."""

    async def reads(request: Any, call_next: Any) -> Any:
        if how == "body":
            await request.scope[NOTE](f"function reads {await request.body()!r}")
        elif how == "text":
            await request.scope[NOTE](f"function reads {(await request.text()).encode()!r}")
        return await call_next(request)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", wants
        while more:
            event = await receive()
            body, more = body + event.get("body", b""), event.get("more_body", False)
        await Response(body)(scope, receive, send)

    return noted(chain_of(app, *[reads] * functions))


def rewriting(path: str, functions: int = 1) -> App:
    """Functions that hand on another request, of another path, around an application that tells its path and body."""

    async def rewrites(request: Any, call_next: Any) -> Any:
        return await call_next(
            Request({**request.scope, "path": request.scope["path"] + path}, request.forward)
        )

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = await Request(scope, receive).body()
        await text_response(f"{scope['path']} {body!r}")(scope, receive, send)

    return noted(chain_of(app, *[rewrites] * functions))


def with_variable(value: str, functions: int = 1) -> App:
    """Functions of which the outermost sets a context variable, which the application tells."""

    async def sets(request: Any, call_next: Any) -> Any:
        WHO.set(value)
        return await call_next(request)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await text_response(WHO.get())(scope, receive, send)

    return noted(chain_of(app, sets, *[passes] * (functions - 1)))


def told_apart(functions: int = 2) -> App:
    """Functions around an application that sends back its path, slowly."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for piece in scope["path"]:
            await send({"type": "http.response.body", "body": piece.encode(), "more_body": True})
        await send({"type": "http.response.body"})

    return noted(chain_of(app, *[passes] * functions))


# --- what is left -------------------------------------------------------------------------------------------


def dropping(messages: list[dict[str, Any]], outside: int = 0, inside: int = 0, **does: Any) -> App:
    """A function that takes the application's response and returns another."""

    async def drops(request: Any, call_next: Any) -> Any:
        await call_next(request)
        return text_response("another")

    layers = [*[passes] * outside, drops, *[passes] * inside]
    return alone(chain_of(inner(messages, **does), *layers))


def giving_up(inside: int = 0) -> App:
    """A function that waits ten seconds for an application that never answers, and then returns a response."""

    async def impatient(request: Any, call_next: Any) -> Any:
        try:
            async with asyncio.timeout(10):
                return await call_next(request)
        except TimeoutError:
            return text_response("too slow")

    return alone(chain_of(inner([], waits=True), impatient, *[passes] * inside))


def ending(messages: list[dict[str, Any]], functions: int = 1, **does: Any) -> App:
    """Like `passing`, and notes what is left."""
    return alone(chain_of(inner(messages, **does), *[passes] * functions))


def with_form(fails: bool) -> App:
    """A function that reads a form with a file in it, and then returns or raises; what comes of the file is noted."""
    files: list[Any] = []

    async def reads(request: Any, call_next: Any) -> Any:
        form = await request.form()
        files.append(form["file"].file)
        await request.scope[NOTE](f"the file is {'closed' if files[0].closed else 'open'}")
        if fails:
            raise Failure("function")
        return text_response("read")

    chain = noted(chain_of(inner(), reads))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await chain(scope, receive, send)
        finally:
            await send({"type": NOTE, "text": f"the file is {'closed' if files[0].closed else 'open'}"})

    return app
