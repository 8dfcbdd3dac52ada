"""Runs beside the submission: applications that go wrong inside of its boundaries, and handlers for that.

Rule 1: classes and functions cannot cross: exceptions, keys and handlers have names, which are looked up here.
Rule 2: every handler notes that it was called. Behind everything else a message `probe.called` tells of it.
Rule 3: values in, values out; nothing is judged here.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any

from fastasgi import errors
from fastasgi.exceptions import ClientDisconnect, HTTPException
from fastasgi.responses import Response, StreamingResponse, text_response

App = Callable[..., Awaitable[Any]]


class Missing(LookupError): ...


class Gone(Missing): ...


class Teapot(HTTPException):
    def __init__(self) -> None:
        super().__init__(418, "short and stout", {"x-pot": "tea"})


class Mine(Exception): ...


ERRORS: Mapping[str, Callable[[], BaseException]] = {
    "Exception": lambda: Exception("secret"),
    "ValueError": lambda: ValueError("secret"),
    "Mine": lambda: Mine("<script>secret('&\"')</script>"),
    "LookupError": lambda: LookupError("secret"),
    "Missing": lambda: Missing("secret"),
    "Gone": lambda: Gone("secret"),
    "FileNotFoundError": lambda: FileNotFoundError("secret"),
    "HTTPException(404)": lambda: HTTPException(404),
    "HTTPException(401)": lambda: HTTPException(401, "who are you?", {"www-authenticate": "Basic"}),
    "HTTPException(304)": lambda: HTTPException(304, "nobody reads this", {"etag": '"1"'}),
    "HTTPException(500)": lambda: HTTPException(500, "on purpose"),
    "Teapot": Teapot,
    "ClientDisconnect": ClientDisconnect,
    "CancelledError": asyncio.CancelledError,
}
"""What an application may raise, by name."""
KEYS: Mapping[str, Any] = {
    **{kind.__name__: kind for kind in (Exception, ValueError, LookupError, Missing, Gone, Teapot, Mine)},
    **{kind.__name__: kind for kind in (HTTPException, OSError, ClientDisconnect, BaseException)},
    **{kind.__name__: kind for kind in (KeyboardInterrupt, int, asyncio.CancelledError)},
    "HTTPStatus.NOT_FOUND": HTTPStatus.NOT_FOUND,
    "an instance": ValueError(),
}
"""What a handler may be for, by name; a status, and whatever else, stands for itself."""
_called: ContextVar[list[str]] = ContextVar("called")
_files: ContextVar[list[Any]] = ContextVar("files")
_loop: ContextVar[int] = ContextVar("loop")


def key_of(key: Any) -> Any:
    """The class, or the status, that a key's name stands for."""
    return KEYS.get(key, key) if isinstance(key, str) else key


def made(error: str) -> Any:
    """The exception that a name stands for."""
    return ERRORS[error]()


# --- the handlers, alone ------------------------------------------------------------------------------------


def add(key: Any, made_with: bool) -> str:
    """Add a handler for a key, or make the handlers with one."""
    if made_with:
        errors.ExceptionHandlers({key_of(key): _says("")})
    else:
        errors.ExceptionHandlers().add(key_of(key), _says(""))
    return "added"


def find(error: str, keys: list[Any], outermost: bool | None) -> Any:
    """The key whose handler is found for an exception, "another" for one that was not added, or None."""
    added = {key_of(key): _says(str(key)) for key in keys}
    handlers = errors.ExceptionHandlers(added)
    options = {} if outermost is None else {"outermost": outermost}
    found = handlers.find(made(error), **options)
    return None if found is None else next((key for key in keys if added[key_of(key)] is found), "another")


# --- boundaries ---------------------------------------------------------------------------------------------


def app(
    boundary: str = "both",
    handlers: list[list[Any]] | None = None,
    later: list[list[Any]] | None = None,
    middleware: str = "",
    debug: bool = False,
    plans: dict[str, dict[str, Any]] | None = None,
    **plan: Any,
) -> App:
    """An application inside of one boundary, "inner" or "outermost", or of both with a middleware between them.

    `handlers` are pairs of a key and what its handler does; those in `later` are added when the boundaries
    stand. The application does what `plans` has for the path, else what `plan` says; see `going_wrong`.
    The middleware adds a header to the response and, if it is named, raises that exception beforehand.
    """
    known = errors.ExceptionHandlers({key_of(key): HANDLERS[kind](str(key)) for key, kind in handlers or []})
    whole = going_wrong(plans or {}, plan)
    if boundary in ("inner", "both"):
        whole = errors.ErrorBoundary(whole, known)
    if boundary == "both":
        whole = passing(whole, middleware)
    if boundary in ("outermost", "both"):
        whole = errors.ErrorBoundary(whole, known, outermost=True, **({"debug": True} if debug else {}))
    for key, kind in later or []:
        known.add(key_of(key), HANDLERS[kind](str(key)))
    return telling(whole)


def going_wrong(plans: Mapping[str, Mapping[str, Any]], plan: Mapping[str, Any]) -> App:
    """An application that receives `reads` times, sends what is in `sends`, and raises `raises`, if any.

    With `echoes`, it sends what it has received; with `swallows`, an OSError out of `send` does not end it.
    """

    async def app(scope: Any, receive: Any, send: Any) -> Any:
        now = plans.get(scope.get("path", ""), plan)
        for _ in range(now.get("reads", 0)):
            event = await receive()
            if now.get("echoes", False):
                await send({"type": "x.echo", "event": event})
        for message in now.get("sends", []):
            try:
                await send(message)
            except OSError:
                if not now.get("swallows", False):
                    raise
        for _ in range(now.get("waits", 0)):
            await receive()
        if now.get("raises"):
            raise made(now["raises"])
        return "returned"

    return app


def passing(app: App, raises: str) -> App:
    """A middleware that adds a header to each response that it sees, or raises."""

    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        async def with_header(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), (b"x-seen", b"by middleware")]}
            await send(message)

        if raises:
            raise made(raises)
        await app(scope, receive, with_header)

    return middleware


def telling(app: App) -> App:
    """Tell at the end which handlers were called, and whether the files that they have read are closed."""

    async def outer(scope: Any, receive: Any, send: Any) -> Any:
        called: list[str] = []
        files: list[Any] = []
        _called.set(called)
        _files.set(files)
        _loop.set(threading.get_ident())
        try:
            return await app(scope, receive, send)
        finally:
            with suppress(OSError):  # of a script in which everything fails
                if called:
                    await send({"type": "probe.called", "handlers": called})
                if files:
                    await send({"type": "probe.closed", "files": [file.closed for file in files]})

    return outer


# --- what handlers do ---------------------------------------------------------------------------------------


def _says(key: str) -> Any:
    """Says for what it is."""

    async def handler(request: Any, error: Any) -> Any:
        _called.get().append(key)
        return text_response(f"handled as {key}", 299)

    return handler


def _tells(key: str) -> Any:
    """Says what it was called with."""

    async def handler(request: Any, error: Any) -> Any:
        _called.get().append(key)
        return {
            "method": request.method,
            "path": request.url.path,
            "error": type(error).__name__,
            "says": str(error),
        }

    return handler


def _plain(key: str) -> Any:
    """A plain function that says what it was called with, and where."""

    def handler(request: Any, error: Any) -> Any:
        _called.get().append(key)
        where = "on the event loop" if threading.get_ident() == _loop.get() else "in a thread"
        return [request.url.path, type(error).__name__, where]

    return handler


def _returns(value: Any) -> Any:
    """A handler that returns this."""

    def of(key: str) -> Any:
        async def handler(request: Any, error: Any) -> Any:
            _called.get().append(key)
            return value

        return handler

    return of


def _raises(name: str) -> Any:
    """A handler that raises."""

    def of(key: str) -> Any:
        async def handler(request: Any, error: Any) -> Any:
            _called.get().append(key)
            raise made(name)

        return handler

    return of


def _streams(key: str) -> Any:
    """Its response never ends by itself: it waits until the client goes."""

    async def chunks() -> AsyncIterator[str]:
        yield "one"
        await asyncio.Event().wait()

    async def handler(request: Any, error: Any) -> Any:
        _called.get().append(key)
        return StreamingResponse(chunks())

    return handler


def _half(key: str) -> Any:
    """Its response raises in the middle."""

    async def chunks() -> AsyncIterator[str]:
        yield "half"
        raise ValueError("in the middle of the answer")

    async def handler(request: Any, error: Any) -> Any:
        _called.get().append(key)
        return StreamingResponse(chunks())

    return handler


def _reads(key: str) -> Any:
    """Answers with the body."""

    async def handler(request: Any, error: Any) -> Any:
        _called.get().append(key)
        return await request.body()

    return handler


def _uploads(key: str) -> Any:
    """Answers with what is in the form's file, which it leaves open."""

    async def handler(request: Any, error: Any) -> Any:
        _called.get().append(key)
        form = await request.form()
        _files.get().append(form["file"].file)
        return Response(await form["file"].read(), 299)

    return handler


HANDLERS: Mapping[str, Callable[[str], Any]] = {
    "says": _says,
    "tells": _tells,
    "plain": _plain,
    "text": _returns("text"),
    "bytes": _returns(b"bytes"),
    "nothing": _returns(None),
    "a number": _returns(1),
    "a set": _returns({1}),
    "raises ValueError": _raises("ValueError"),
    "raises Missing": _raises("Missing"),
    "raises HTTPException(404)": _raises("HTTPException(404)"),
    "raises ClientDisconnect": _raises("ClientDisconnect"),
    "streams": _streams,
    "breaks half-way": _half,
    "reads": _reads,
    "uploads": _uploads,
}
