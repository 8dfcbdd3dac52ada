"""The reference's middleware chain: against the order that its description foretells, and rule by rule."""

from __future__ import annotations

import asyncio
import gc
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastasgi_reference.exceptions import ClientDisconnect
from fastasgi_reference.middleware.chain import CallNext, MiddlewareChain
from fastasgi_reference.requests import Request
from fastasgi_reference.responses import BackgroundTasks, Response, StreamingResponse, text_response
from tests.reference.conversation import (
    Log,
    Message,
    ProtocolBroken,
    body_events,
    http_scope,
    lifespan_scope,
    play,
    websocket_scope,
)
from tests.reference.rules import enforces

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
GONE = {"type": "http.disconnect"}
MULTIPART = [(b"content-type", b"multipart/form-data; boundary=b")]
FILE = b'--b\r\ncontent-disposition: form-data; name="f"; filename="f"\r\n\r\ncontent\r\n--b--\r\n'


def part(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


def sends(*messages: Message, error: BaseException | None = None) -> Callable[..., Awaitable[None]]:
    """An application that sends these messages, and then raises."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)
        if error is not None:
            raise error

    return app


def chained(app: Any, *functions: Any) -> MiddlewareChain:
    chain = MiddlewareChain(app)
    for function in functions:
        chain.add_function(function)
    return chain


async def passes(request: Request, call_next: CallNext) -> Any:
    return await call_next(request)


async def ask(app: Any, *events: Message, **options: Any) -> Log:
    """One request; afterwards nothing may be left running."""
    keys = options.pop("scope", {})
    log = await play(app, http_scope(**keys), events or None, **options)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return log


# ----------------------------------------------------------------------------------------------------------------
# The onion. What happens is foretold from a description, without running anything.


class Failure(Exception):
    pass


@dataclass
class Course:
    """How a layer behaves: what it writes down until its response begins, or it raises, and what comes then."""

    journal: list[str]
    answers: str | None
    raises: str | None
    rest: Callable[[bool], tuple[list[str], str | None]]
    """Given whether the response is wanted: what is written down in the end, and what is raised."""


def nothing_more(wanted: bool) -> tuple[list[str], str | None]:
    return [], None


def foretold(layers: list[tuple[str, str]], place: int, app: str) -> Course:
    """How the layer at `place` and all further in behave."""
    if place == len(layers):
        return of_the_application(app)
    kind, does = layers[place]
    me, begins = str(place), f"in {place}"
    if does == "before":
        return Course([begins], None, me, nothing_more)
    if does == "short":
        own = (lambda wanted: ([], None)) if kind == "function" else partial(ends, me)
        return Course([begins], me, None, own)
    inner = foretold(layers, place + 1, app)
    journal = [begins, *inner.journal]
    if inner.raises is not None:
        if does == "catch":
            own = nothing_more if kind == "function" else partial(ends, me)
            return Course([*journal, f"caught {place}"], me, None, own)
        return Course([*journal, f"failed {place}"], None, inner.raises, nothing_more)
    if kind == "asgi":
        return Course(journal, inner.answers, None, partial(wrapped, me, inner, does == "after"))
    journal.append(f"out {place}")
    dropped = inner.rest(False)[0]
    if does == "after":
        return Course([*journal, *dropped], None, me, nothing_more)
    if does == "twice":
        return Course([*journal, *dropped], None, "twice", nothing_more)
    if does == "drop":
        return Course(journal, me, None, lambda wanted: (dropped, None))
    return Course(journal, inner.answers, None, inner.rest)


def of_the_application(app: str) -> Course:
    if app == "raises":
        return Course(["app"], None, "app", nothing_more)

    def rest(wanted: bool) -> tuple[list[str], str | None]:
        if not wanted:
            return ["app cancelled"], None
        return (["app ends"], None) if app == "answers" else (["app breaks"], "app")

    return Course(["app"], "app", None, rest)


def ends(me: str, wanted: bool) -> tuple[list[str], str | None]:
    return [f"{'out' if wanted else 'cancelled'} {me}"], None


def wrapped(me: str, inner: Course, raises: bool, wanted: bool) -> tuple[list[str], str | None]:
    journal, error = inner.rest(wanted)
    if not wanted:
        return [*journal, f"cancelled {me}"], None
    if error is not None:
        return [*journal, f"failed {me}"], error
    return [*journal, f"out {me}"], me if raises else None


class Onion:
    """The same layers for real."""

    def __init__(self, layers: list[tuple[str, str]], app: str) -> None:
        self.journal: list[str] = []
        self.does = app
        self.chain = MiddlewareChain(self.app)
        for place, (kind, does) in enumerate(layers):
            if kind == "asgi":
                self.chain.add(self.asgi, me=str(place), does=does)
            else:
                self.chain.add_function(self.function(str(place), does))

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        self.journal.append("app")
        if self.does == "raises":
            raise Failure("app")
        try:
            await send(START)
            await send(part(b"ap"))
            if self.does == "breaks":
                self.journal.append("app breaks")
                raise Failure("app")
            await send(part(b"p", more=False))
        except asyncio.CancelledError:
            self.journal.append("app cancelled")
            raise
        self.journal.append("app ends")

    def asgi(self, app: Any, *, me: str, does: str) -> Any:
        async def layer(scope: Any, receive: Any, send: Any) -> None:
            self.journal.append(f"in {me}")
            if does == "before":
                raise Failure(me)
            try:
                if does == "short":
                    await text_response(me)(scope, receive, send)
                else:
                    await inner(scope, receive, send)
            except asyncio.CancelledError:
                self.journal.append(f"cancelled {me}")
                raise
            self.journal.append(f"out {me}")
            if does == "after":
                raise Failure(me)

        async def inner(scope: Any, receive: Any, send: Any) -> None:
            begun: list[Message] = []

            async def noted(message: Message) -> None:
                begun.append(message)
                await send(message)

            try:
                await app(scope, receive, noted)
            except Failure:
                if does != "catch" or begun:
                    self.journal.append(f"failed {me}")
                    raise
                self.journal.append(f"caught {me}")
                await text_response(me)(scope, receive, send)

        return layer

    def function(self, me: str, does: str) -> Any:
        async def layer(request: Request, call_next: CallNext) -> Any:
            self.journal.append(f"in {me}")
            if does == "before":
                raise Failure(me)
            if does == "short":
                return me
            try:
                response = await call_next(request)
            except Failure:
                self.journal.append(f"{'caught' if does == 'catch' else 'failed'} {me}")
                if does == "catch":
                    return me
                raise
            self.journal.append(f"out {me}")
            if does == "after":
                raise Failure(me)
            if does == "twice":
                try:
                    await call_next(request)
                except RuntimeError:
                    raise Failure("twice") from None
            if does == "drop":
                return text_response(me)
            return StreamingResponse(response.chunks()) if does == "chunks" else response

        return layer


FUNCTION = ["pass", "pass", "chunks", "before", "after", "short", "drop", "twice", "catch"]
ASGI = ["pass", "pass", "before", "after", "short", "catch"]
LAYER = st.one_of(
    st.tuples(st.just("function"), st.sampled_from(FUNCTION)),
    st.tuples(st.just("asgi"), st.sampled_from(ASGI)),
)


@enforces("APP-MW-03", "APP-MW-04", "HTTP-RESP-14", "HTTP-RESP-16", "HTTP-RESP-18")
@settings(max_examples=300)
@given(layers=st.lists(LAYER, max_size=5), app=st.sampled_from(["answers", "breaks", "raises"]))
@example(
    layers=[("asgi", "catch"), ("function", "drop"), ("asgi", "pass"), ("function", "chunks")], app="breaks"
)
async def test_the_onion_does_what_its_description_foretells(layers: list[tuple[str, str]], app: str) -> None:
    course = foretold(layers, 0, app)
    onion = Onion(layers, app)
    log = await ask(onion.chain)
    if course.raises is not None:
        assert (log.sent, str(log.raised), onion.journal) == ([], course.raises, course.journal)
        return
    journal, error = course.rest(True)
    assert onion.journal == course.journal + journal
    assert (None if log.raised is None else str(log.raised)) == error
    if error == "app":
        assert (log.body, log.complete) == (b"ap", False)
    else:
        assert (log.body.decode(), log.complete) == (course.answers, True)


# ----------------------------------------------------------------------------------------------------------------
# Adding


async def test_the_first_added_is_outermost_whatever_its_kind() -> None:
    journal: list[str] = []

    def asgi(app: Any, *, name: str) -> Any:
        async def layer(scope: Any, receive: Any, send: Any) -> None:
            journal.append(name)
            await app(scope, receive, send)

        return layer

    async def function(request: Request, call_next: CallNext) -> Any:
        journal.append("function")
        return await call_next(request)

    chain = MiddlewareChain(sends(START, part(b"", more=False)))
    chain.add(asgi, name="first")
    chain.add_function(function)
    chain.add(asgi, name="last")
    await ask(chain)
    assert journal == ["first", "function", "last"]


@pytest.mark.parametrize("scope", [http_scope(), websocket_scope(), lifespan_scope(), {"type": "mqtt"}])
async def test_after_the_first_event_nothing_is_added(scope: dict[str, Any]) -> None:
    calls: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        calls.append(scope["type"])

    chain = MiddlewareChain(app)
    await play(chain, scope)

    def refused(app: Any) -> Any:
        raise AssertionError("it was added")

    for add in (lambda: chain.add(refused), lambda: chain.add_function(passes)):
        with pytest.raises(RuntimeError, match="once the application has begun to serve"):
            add()
    await play(chain, scope)
    assert calls == [scope["type"]] * 2


async def test_a_layer_is_made_once() -> None:
    made: list[Any] = []

    def layer(app: Any, *, option: int) -> Any:
        made.append((app, option))
        return app

    app = sends(START, part(b"", more=False))
    chain = MiddlewareChain(app)
    chain.add(layer, option=7)
    assert made == []
    await ask(chain)
    await ask(chain)
    assert made == [(app, 7)]


@pytest.mark.parametrize("wrong", [None, "middleware", 1])
async def test_what_cannot_be_called_is_refused(wrong: Any) -> None:
    chain = MiddlewareChain(sends(START, part(b"app", more=False)))
    with pytest.raises(TypeError, match="a class or function that takes an application"):
        chain.add(wrong)
    with pytest.raises(TypeError, match="no async function"):
        chain.add_function(wrong)
    with pytest.raises(TypeError, match="no async function"):
        chain.add_function(lambda request, call_next: None)  # type: ignore[arg-type,return-value]
    assert (await ask(chain)).body == b"app"


async def test_an_option_may_be_called_factory_or_app_s_name() -> None:
    def layer(app: Any, *, factory: str) -> Any:
        assert factory == "f"
        return app

    chain = MiddlewareChain(sends(START, part(b"app", more=False)))
    chain.add(layer, factory="f")
    assert (await ask(chain)).body == b"app"


async def test_a_layer_that_cannot_be_made_fails_each_event() -> None:
    def layer(app: Any) -> Any:
        raise LookupError("no configuration")

    chain = MiddlewareChain(sends(START))
    chain.add(layer)
    for _ in range(2):
        assert isinstance((await ask(chain)).raised, LookupError)


@enforces("LIFE-APP-03", "LIFE-APP-04")
async def test_a_layer_that_cannot_be_made_fails_the_startup() -> None:
    error = LookupError("no configuration")

    def layer(app: Any) -> Any:
        raise error

    chain = MiddlewareChain(sends(START))
    chain.add(layer)
    log = await play(chain, lifespan_scope(), [{"type": "lifespan.startup"}], end="raise")
    assert log.sent == [{"type": "lifespan.startup.failed", "message": "LookupError: no configuration"}]
    assert (log.raised, log.received) == (error, 1)


class CallableObject:
    async def __call__(self, request: Request, call_next: CallNext) -> Any:
        response = await call_next(request)
        response.headers["x-object"] = "1"
        return response


async def with_option(request: Request, call_next: CallNext, *, option: str) -> Any:
    response = await call_next(request)
    response.headers["x-option"] = option
    return response


async def test_objects_and_partials_are_functions_too() -> None:
    app = sends(START, part(b"", more=False))
    log = await ask(chained(app, CallableObject(), partial(with_option, option="o")))
    assert (log.header("x-object"), log.header("x-option")) == ("1", "o")


@enforces("APP-MW-03", "LIFE-APP-10")
@pytest.mark.parametrize("scope", [websocket_scope(), lifespan_scope(), {"type": "mqtt"}])
async def test_other_connections_go_past_functions_untouched(scope: dict[str, Any]) -> None:
    calls: list[Any] = []

    async def app(*arguments: Any) -> None:
        calls.append(arguments)

    async def refuses(request: Request, call_next: CallNext) -> Any:
        raise AssertionError

    async def nobody(*arguments: Any) -> Any:
        raise AssertionError

    await chained(app, refuses)(scope, nobody, nobody)
    assert calls == [(scope, nobody, nobody)]


# ----------------------------------------------------------------------------------------------------------------
# call_next


@pytest.mark.parametrize(
    ("value", "body", "content_type"),
    [
        ({"a": 1}, b'{"a":1}', "application/json"),
        ("text", b"text", "text/plain; charset=utf-8"),
        (b"bytes", b"bytes", "application/octet-stream"),
        (None, b"", None),
    ],
)
async def test_what_a_function_returns_becomes_the_response(
    value: Any, body: bytes, content_type: Any
) -> None:
    async def function(request: Request, call_next: CallNext) -> Any:
        return value

    log = await ask(chained(sends(), function))
    assert (log.body, log.header("content-type")) == (body, content_type)


@enforces("APP-MW-04")
@pytest.mark.parametrize(
    "error", [LookupError(), ClientDisconnect(), OSError(), ExceptionGroup("", [ValueError()])]
)
@pytest.mark.parametrize("depth", [1, 3])
async def test_call_next_raises_what_the_application_raised(error: Exception, depth: int) -> None:
    seen: list[BaseException] = []

    async def function(request: Request, call_next: CallNext) -> Any:
        try:
            return await call_next(request)
        except Exception as raised:
            seen.append(raised)
            raise

    log = await ask(chained(sends(error=error), *[function] * depth))
    assert log.raised is error
    assert seen == [error] * depth
    assert log.sent == []


async def test_an_application_without_a_response_is_an_error() -> None:
    log = await ask(chained(sends(), passes, passes))
    assert isinstance(log.raised, RuntimeError)
    assert "without a response" in str(log.raised)


@enforces("HTTP-DISC-01")
async def test_an_application_without_a_response_since_the_client_is_gone_is_none() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert await receive() == GONE

    log = await ask(chained(app, passes, passes), GONE)
    assert (log.sent, type(log.raised)) == ([], ClientDisconnect)


async def test_call_next_is_called_once() -> None:
    calls: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        calls.append(scope["path"])
        await text_response("app")(scope, receive, send)

    async def retries(request: Request, call_next: CallNext) -> Any:
        response = await call_next(request)
        with pytest.raises(RuntimeError, match="call_next was called twice"):
            await call_next(request)
        return response

    log = await ask(chained(app, retries))
    assert (log.body, calls) == (b"app", ["/"])


async def test_call_next_is_not_tried_again_after_a_failure() -> None:
    async def retries(request: Request, call_next: CallNext) -> Any:
        with pytest.raises(LookupError):
            await call_next(request)
        with pytest.raises(RuntimeError, match="twice"):
            await call_next(request)
        return "gave up"

    assert (await ask(chained(sends(error=LookupError()), retries))).body == b"gave up"


async def test_call_next_is_not_called_when_the_middleware_has_ended() -> None:
    kept: list[Any] = []

    async def short(request: Request, call_next: CallNext) -> Any:
        kept.extend([request, call_next])
        return "short"

    await ask(chained(sends(), short))
    request, call_next = kept
    with pytest.raises(RuntimeError, match="when its middleware had ended"):
        await call_next(request)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_the_response_can_be_changed_before_it_is_returned() -> None:
    done: list[str] = []

    async def work() -> None:
        done.append("work")

    async def function(request: Request, call_next: CallNext) -> Any:
        response = await call_next(request)
        assert (response.status_code, response.media_type) == (200, "text/plain")
        response.status_code = 418
        response.headers["x-a"] = "b"
        response.set_cookie("c", "d")
        response.background = work
        return response

    log = await ask(chained(sends(START, part(b"a"), part(b"b", more=False)), function))
    assert (log.status, log.body, log.header("x-a"), done) == (418, b"ab", "b", ["work"])
    assert (log.header("set-cookie") or "").startswith("c=d")
    assert log.header("content-type") == "text/plain"


@enforces("HTTP-RESP-11")
@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("depth", [1, 2])
async def test_a_status_without_body_leaves_none(status: int, depth: int) -> None:
    async def function(request: Request, call_next: CallNext) -> Any:
        response = await call_next(request)
        response.status_code = status
        return response

    log = await ask(chained(text_response("a body", headers={"etag": '"1"'}), *[function] * depth))
    assert (log.status, log.body, log.header("content-length"), log.header("etag")) == (
        status,
        b"",
        None,
        '"1"',
    )
    assert log.complete
    trailers = {"type": "http.response.trailers", "headers": []}
    log = await ask(
        chained(sends(START, part(b"a"), part(b"b", more=False), trailers), function), checked=False
    )
    assert log.sent[1:] == [part(b""), part(b"", more=False), trailers]


async def test_the_body_of_a_response_that_passes_is_not_at_hand() -> None:
    async def function(request: Request, call_next: CallNext) -> Any:
        response = await call_next(request)
        with pytest.raises(RuntimeError, match="still to come"):
            _ = response.body
        with pytest.raises(RuntimeError, match="passes through"):
            response.body = b"other"
        return response

    assert (await ask(chained(text_response("app"), function))).body == b"app"


@enforces("HTTP-RESP-07", "HTTP-RESP-08", "HTTP-RESP-09")
@given(chunks=st.lists(st.binary(max_size=3), max_size=5))
async def test_another_response_can_be_made_of_the_chunks(chunks: list[bytes]) -> None:
    seen: list[bytes] = []

    async def shout(request: Request, call_next: CallNext) -> Any:
        response = await call_next(request)

        async def louder() -> AsyncIterator[bytes]:
            async for chunk in response.chunks():
                seen.append(chunk)
                yield chunk.upper()

        return StreamingResponse(louder(), response.status_code, {"x-a": "b"})

    messages = [
        START | {"status": 201},
        {"type": "http.response.body", "more_body": True},
        *map(part, chunks),
    ]
    log = await ask(chained(sends(*messages, part(b"end", more=False)), shout))
    assert (log.status, log.header("x-a"), log.complete) == (201, "b", True)
    assert log.body == b"".join(chunks).upper() + b"END"
    assert seen == [chunk for chunk in chunks if chunk] + [b"end"]


async def test_work_in_the_background_keeps_no_chunk_waiting() -> None:
    journal: list[str] = []
    tasks = BackgroundTasks()
    tasks.add_task(journal.append, "work")

    async def copies(request: Request, call_next: CallNext) -> Any:
        return StreamingResponse((await call_next(request)).chunks())

    async def joins(request: Request, call_next: CallNext) -> Any:
        return b"".join([chunk async for chunk in (await call_next(request)).chunks()])

    async def send(message: Message) -> None:
        journal.append("last" if message.get("more_body") is not True and "body" in message else "sent")

    async def receive() -> Message:
        raise AssertionError

    for function in (copies, joins):
        journal.clear()
        await chained(Response("a", background=tasks), function)(http_scope(), receive, send)
        assert journal[-2:] == ["last", "work"]


async def test_work_in_the_background_that_fails_after_chunks_is_raised() -> None:
    async def joins(request: Request, call_next: CallNext) -> Any:
        return b"".join([chunk async for chunk in (await call_next(request)).chunks()])

    error = LookupError()
    trailers = {"type": "http.response.trailers", "headers": []}
    log = await ask(chained(sends(START, part(b"a"), part(b"b", more=False), trailers, error=error), joins))
    assert (log.body, log.complete, log.raised) == (b"ab", True, error)


@pytest.mark.parametrize("depth", [1, 2])
async def test_what_was_taken_as_chunks_is_not_returned_as_well(depth: int) -> None:
    async def reads(request: Request, call_next: CallNext) -> Any:
        response = await call_next(request)
        assert b"".join([chunk async for chunk in response.chunks()]) == b"app"
        with pytest.raises(RuntimeError, match="taken already"):
            await anext(response.chunks())
        return response

    log = await ask(chained(text_response("app"), *[passes] * (depth - 1), reads))
    assert isinstance(log.raised, RuntimeError)
    assert "taken already: return another one" in str(log.raised)
    assert log.sent == []


async def test_chunks_raise_what_the_application_raises() -> None:
    error = LookupError()

    async def reads(request: Request, call_next: CallNext) -> Any:
        response = await call_next(request)
        got = []
        with pytest.raises(LookupError):
            got.extend([chunk async for chunk in response.chunks()])
        return "instead"

    assert (await ask(chained(sends(START, part(b"a"), error=error), reads))).body == b"instead"


@pytest.mark.parametrize("kind", ["pathsend", "zerocopysend"])
async def test_a_file_that_the_server_sends_passes_but_has_no_chunks(kind: str, tmp_path: Any) -> None:
    async def reads(request: Request, call_next: CallNext) -> Any:
        response = await call_next(request)
        return b"".join([chunk async for chunk in response.chunks()])

    path = tmp_path / "file"
    path.write_bytes(b"content")
    with path.open("rb") as file:
        message = {"type": f"http.response.{kind}", "path": str(path), "file": file}
        scope = {"extensions": {message["type"]: {}}}
        log = await ask(chained(sends(START, message), passes), scope=scope)
        assert (log.sent[1], log.raised) == (message, None)
        log = await ask(chained(sends(START, message), reads), scope=scope)
    assert isinstance(log.raised, RuntimeError)
    assert "is a file that the server sends" in str(log.raised)


@enforces("APP-MW-03", "APP-MW-05", "HTTP-RESP-04", "HTTP-RESP-06", "HTTP-RESP-07", "EXT-TRAIL-01")
@pytest.mark.parametrize("depth", [1, 2])
async def test_messages_pass_with_all_that_is_in_them(depth: int) -> None:
    headers = ((b"set-cookie", b"a"), [b"set-cookie", b"\xff"])
    messages: list[Message] = [
        {"type": "http.response.debug", "info": {"a": object()}},
        {"type": "http.response.early_hint", "links": [b"</a>"]},
        {"type": "http.response.start", "status": 200, "headers": headers, "trailers": True, "zzz": 1},
        {"type": "http.response.push", "path": "/a", "headers": []},
        {"type": "http.response.body", "more_body": True, "zzz": 1},
        {"type": "http.response.body"},
        {"type": "http.response.trailers", "headers": [(b"x", b"y")]},
    ]
    before = [dict(message) for message in messages]
    log = await ask(chained(sends(*messages), *[passes] * depth), checked=False)
    assert log.raised is None
    passed = [message for message in log.sent if message["type"] != "http.response.start"]
    assert passed == [message for message in messages if message["type"] != "http.response.start"]
    assert log.types == [message["type"] for message in messages]
    assert list(map(tuple, log.start["headers"])) == list(map(tuple, headers))
    assert (log.start["trailers"], log.start["zzz"]) == (True, 1)
    assert messages == before


async def test_a_start_without_headers_passes() -> None:
    log = await ask(
        chained(sends({"type": "http.response.start", "status": 200}, part(b"", more=False)), passes)
    )
    assert (log.headers, log.raised) == ([], None)


# ----------------------------------------------------------------------------------------------------------------
# As it comes


@enforces("HTTP-RESP-18")
@pytest.mark.parametrize("depth", [1, 3])
async def test_a_message_goes_on_before_the_next_is_made(depth: int) -> None:
    journal: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in (START, part(b"1"), part(b"2"), part(b"", more=False)):
            journal.append(f"app {message.get('body', b'start').decode()}")
            await send(message)

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        await asyncio.sleep(0)
        journal.append(f"sent {message.get('body', b'start').decode()}")

    await chained(app, *[passes] * depth)(http_scope(), receive, send)
    each = ["start", "1", "2", ""]
    assert journal == [f"{who} {what}" for what in each for who in ("app", "sent")]


@enforces("APP-ERR-01", "HTTP-DISC-03", "HTTP-DISC-04")
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("handles", [False, True])
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize(
    "error", [ConnectionResetError("gone"), RuntimeError("wrong order"), ProtocolBroken("no")]
)
async def test_an_error_out_of_send_reaches_the_application_as_itself(
    place: int, handles: bool, depth: int, error: Exception
) -> None:
    seen: list[BaseException] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            for message in (START, part(b"1"), part(b"", more=False)):
                await send(message)
        except Exception as raised:
            seen.append(raised)
            if not handles:
                raise

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)
        if len(sent) > place:
            raise error

    async def receive() -> Message:
        raise AssertionError

    call = chained(app, *[passes] * depth)(http_scope(), receive, send)
    if handles:
        await call
    else:
        with pytest.raises(type(error)) as raised:
            await call
        assert raised.value is error
    assert seen == [error]
    assert len(sent) == place + 1


async def test_an_application_that_gives_a_slow_send_up_stays_in_step() -> None:
    sent: list[bytes] = []
    journal: list[str] = []
    slow = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await send(part(b"slow"))
        slow.set()
        await send(part(b"next"))
        journal.append(f"after next: {sent!r}")
        await send(part(b"", more=False))

    async def send(message: Message) -> None:
        if message.get("body") == b"slow":
            await slow.wait()
        sent.append(message.get("body", b"start"))

    async def receive() -> Message:
        raise AssertionError

    await chained(app, passes)(http_scope(), receive, send)
    assert sent == [b"start", b"slow", b"next", b""]
    assert journal == ["after next: [b'start', b'slow', b'next']"]


@pytest.mark.parametrize("error", [None, ConnectionResetError()])
async def test_a_send_that_was_given_up_may_still_fail(error: Exception | None) -> None:
    slow = asyncio.Event()
    sent: list[Message] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await send(START)
        slow.set()

    async def send(message: Message) -> None:
        sent.append(message)
        await slow.wait()
        if error is not None:
            raise error

    async def receive() -> Message:
        raise AssertionError

    await chained(app, passes)(http_scope(), receive, send)
    assert len(sent) == 1


async def test_several_tasks_of_an_application_may_send() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await asyncio.gather(*(send(part(b"%d" % number)) for number in range(5)))
        await send(part(b"", more=False))

    log = await ask(chained(app, passes, passes))
    assert (sorted(log.body), log.complete) == (sorted(b"01234"), True)


# ----------------------------------------------------------------------------------------------------------------
# The body of the request


async def echo(scope: Any, receive: Any, send: Any) -> None:
    request = Request(scope, receive)
    await Response(await request.body())(scope, request.receive, send)


@enforces("HTTP-REQ-03", "HTTP-REQ-06", "APP-MW-03")
@pytest.mark.parametrize("how", ["not", "body", "json", "disconnected", "text"])
@pytest.mark.parametrize("depth", [1, 2])
async def test_the_body_is_read_in_middleware_and_again_further_in(
    how: Literal["not", "body", "json", "disconnected", "text"], depth: int
) -> None:
    async def reads(request: Request, call_next: CallNext) -> Any:
        if how == "body":
            assert await request.body() == b"[1, 2]"
        elif how == "json":
            assert await request.json() == [1, 2]
        elif how == "text":
            assert await request.text() == "[1, 2]"
        elif how == "disconnected":
            assert not await request.is_disconnected()
        return await call_next(request)

    end: Any = "block" if how == "disconnected" else "raise"
    log = await ask(chained(echo, *[reads] * depth), *body_events(b"[1,", b"", b" 2]"), end=end)
    assert (log.body, log.raised) == (b"[1, 2]", None)


async def test_a_body_that_was_streamed_away_is_an_error_and_no_hang() -> None:
    async def streams(request: Request, call_next: CallNext) -> Any:
        assert [chunk async for chunk in request.stream()] == [b"a", b"b"]
        return await call_next(request)

    log = await ask(chained(echo, streams), *body_events(b"a", b"b"))
    assert isinstance(log.raised, RuntimeError)
    assert "streamed away before the application" in str(log.raised)


@enforces("HTTP-DISC-01", "HTTP-REQ-05")
async def test_a_client_that_goes_while_middleware_reads_is_a_disconnect() -> None:
    async def reads(request: Request, call_next: CallNext) -> Any:
        return await request.body()

    for app in (chained(echo, reads), chained(echo, passes), chained(echo, passes, reads)):
        log = await ask(app, {"type": "http.request", "body": b"a", "more_body": True}, GONE)
        assert (log.sent, type(log.raised)) == ([], ClientDisconnect)


async def test_whoever_waits_for_the_disconnect_further_in_gets_it() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "http.request"
        assert await receive() == GONE
        await text_response("gone")(scope, receive, send)

    async def reads(request: Request, call_next: CallNext) -> Any:
        await request.body()
        return await call_next(request)

    for function in (passes, reads):
        assert (await ask(chained(app, function), *body_events(b"a"), GONE)).body == b"gone"


async def test_a_form_that_middleware_has_read_is_closed() -> None:
    files = []

    async def reads(request: Request, call_next: CallNext) -> Any:
        form = await request.form()
        files.append(form["f"])
        raise LookupError

    await ask(chained(echo, reads), *body_events(FILE), scope={"method": "POST", "headers": MULTIPART})
    assert files[0].file.closed


async def test_middleware_may_hand_on_another_request() -> None:
    async def rewrites(request: Request, call_next: CallNext) -> Any:
        return await call_next(Request({**request.scope, "path": "/other"}, request.forward))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = await Request(scope, receive).body()
        await text_response(f"{scope['path']} {body!r}")(scope, receive, send)

    scope = http_scope()
    log = await play(chained(app, rewrites), scope, body_events(b"a"))
    assert (log.body, scope["path"]) == (b"/other b'a'", "/")


# ----------------------------------------------------------------------------------------------------------------
# Context variables


WHO: ContextVar[str] = ContextVar("who", default="nobody")
SEEN: ContextVar[list[str]] = ContextVar("seen")


async def test_context_variables_go_in_and_come_out_again() -> None:
    journal: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        journal.append(f"app: {WHO.get()}")
        WHO.set("app")
        await send(START)
        WHO.set("app, streaming")
        await send(part(b"", more=False))
        WHO.set("app, at its end")

    async def function(request: Request, call_next: CallNext) -> Any:
        journal.append(f"before: {WHO.get()}")
        WHO.set("function")
        response = await call_next(request)
        journal.append(f"after: {WHO.get()}")
        return response

    def asgi(app: Any) -> Any:
        async def layer(scope: Any, receive: Any, send: Any) -> None:
            WHO.set("outside")
            await app(scope, receive, send)
            journal.append(f"at the end: {WHO.get()}")

        return layer

    chain = MiddlewareChain(app)
    chain.add(asgi)
    chain.add_function(function)
    chain.add_function(passes)
    await ask(chain)
    assert journal == [
        *["before: outside", "app: function", "after: app", "at the end: app, at its end"],
    ]
    assert WHO.get() == "nobody"


async def test_what_middleware_sets_after_call_next_is_not_undone() -> None:
    seen: list[str] = []

    async def function(request: Request, call_next: CallNext) -> Any:
        token = WHO.set("before")
        response = await call_next(request)
        WHO.set("after")
        WHO.reset(token)
        SEEN.set(["after"])
        return response

    def asgi(app: Any) -> Any:
        async def layer(scope: Any, receive: Any, send: Any) -> None:
            SEEN.set(["outside"])
            await app(scope, receive, send)
            seen.extend([WHO.get(), *SEEN.get()])

        return layer

    chain = MiddlewareChain(text_response("app"))
    chain.add(asgi)
    chain.add_function(function)
    await ask(chain)
    assert seen == ["nobody", "after"]


async def test_context_variables_come_out_of_an_application_that_raises() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        WHO.set("app")
        raise LookupError

    async def function(request: Request, call_next: CallNext) -> Any:
        with pytest.raises(LookupError):
            await call_next(request)
        seen.append(WHO.get())
        return ""

    await ask(chained(app, function))
    assert seen == ["app"]


# ----------------------------------------------------------------------------------------------------------------
# Background work and cancellation


@pytest.mark.parametrize("depth", [1, 3])
async def test_background_work_runs_after_the_last_byte(depth: int) -> None:
    journal: list[str] = []
    tasks = BackgroundTasks()
    tasks.add_task(journal.append, "first")
    tasks.add_task(journal.append, "second")

    async def send(message: Message) -> None:
        await asyncio.sleep(0)
        journal.append(message["type"])

    async def receive() -> Message:
        return GONE  # the client reads its answer, and hangs up

    await chained(Response("a", background=tasks), *[passes] * depth)(http_scope(), receive, send)
    assert journal == ["http.response.start", "http.response.body", "first", "second"]


async def test_background_work_that_fails_is_raised() -> None:
    error = LookupError()
    tasks = BackgroundTasks()

    async def fails() -> None:
        raise error

    tasks.add_task(fails)
    log = await ask(chained(Response("a", background=tasks), passes, passes))
    assert (log.complete, log.raised) == (True, error)


@pytest.mark.parametrize("where", ["before", "start", "body"])
@pytest.mark.parametrize("depth", [1, 3])
async def test_a_cancelled_call_leaves_no_task(where: str, depth: int) -> None:
    ended: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            if where != "before":
                await send(START)
            if where == "body":
                await send(part(b"a"))
            await Request(scope, receive).receive()
        finally:
            await asyncio.sleep(0)
            ended.append(where)

    log = await ask(chained(app, *[passes] * depth), stop_when_parked=True)
    assert (log.parked, ended) == (True, [where])
    assert len(log.sent) == ["before", "start", "body"].index(where)


@pytest.mark.parametrize("depth", [1, 2])
async def test_a_timeout_around_call_next_ends_what_is_further_in(depth: int) -> None:
    journal: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            journal.append("app ended")

    async def impatient(request: Request, call_next: CallNext) -> Any:
        try:
            async with asyncio.timeout(0):
                return await call_next(request)
        except TimeoutError:
            return text_response("too slow", 504)

    log = await ask(chained(app, impatient, *[passes] * (depth - 1)))
    assert (log.status, log.body, journal) == (504, b"too slow", ["app ended"])


async def test_call_next_may_run_in_a_task_of_ones_own() -> None:
    async def function(request: Request, call_next: CallNext) -> Any:
        return await asyncio.wait_for(call_next(request), timeout=None)

    async def racing(request: Request, call_next: CallNext) -> Any:
        calling = asyncio.ensure_future(call_next(request))
        await asyncio.wait({calling})
        return calling.result()

    assert (await ask(chained(text_response("app"), function, racing))).body == b"app"


async def test_an_application_that_cleans_up_by_sending_does_not_hang() -> None:
    errors: list[BaseException] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send(START)
        finally:
            try:
                await send(part(b"", more=False))
            except OSError as error:
                errors.append(error)

    async def drops(request: Request, call_next: CallNext) -> Any:
        await call_next(request)
        return "other"

    log = await ask(chained(app, drops))
    assert (log.body, [type(error) for error in errors]) == (b"other", [ConnectionAbortedError])


async def test_an_application_that_was_dropped_before_it_ran_is_ended() -> None:
    async def drops(request: Request, call_next: CallNext) -> Any:
        calling = asyncio.ensure_future(call_next(request))
        calling.cancel()
        await asyncio.wait({calling})
        return "other"

    assert (await ask(chained(text_response("app"), drops))).body == b"other"


async def test_an_abandoned_stream_of_chunks_ends_the_application() -> None:
    journal: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send(START)
            while True:
                await send(part(b"a"))
        finally:
            journal.append("ended")

    async def first(request: Request, call_next: CallNext) -> Any:
        response = await call_next(request)
        chunks = response.chunks()
        chunk = await anext(chunks)
        await chunks.aclose()  # type: ignore[attr-defined]
        return chunk

    log = await ask(chained(app, first))
    assert (log.body, journal) == (b"a", ["ended"])


async def test_an_endless_stream_ends_when_the_client_goes() -> None:
    pulled: list[int] = []

    async def numbers() -> AsyncIterator[str]:
        try:
            for number in range(1000):
                pulled.append(number)
                yield str(number)
        finally:
            pulled.append(-1)

    async def shout(request: Request, call_next: CallNext) -> Any:
        return StreamingResponse((await call_next(request)).chunks())

    for functions in ([passes], [shout], [passes, shout, passes]):
        pulled.clear()
        log = await ask(chained(StreamingResponse(numbers()), *functions), fail_send_at=3)
        assert isinstance(log.raised, ConnectionResetError)
        assert pulled[-1] == -1
        assert len(pulled) <= 6


async def test_no_exception_is_left_for_nobody() -> None:
    left: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: left.append(context))

    async def drops(request: Request, call_next: CallNext) -> Any:
        await call_next(request)
        return "other"

    for app in (
        sends(START, part(b"a"), error=LookupError()),
        sends(error=LookupError()),
        sends(START),
        sends(),
    ):
        for functions in ([passes], [drops], [passes, drops], [drops, passes]):
            await ask(chained(app, *functions), checked=False)
            await ask(chained(app, *functions), checked=False, fail_send_at=0)
    gc.collect()
    assert left == []


# ----------------------------------------------------------------------------------------------------------------
# Apart from each other


@enforces("APP-CALL-03", "APP-MW-02")
@given(order=st.lists(st.integers(0, 3), max_size=20))
async def test_calls_at_the_same_time_stay_apart(order: list[int]) -> None:
    turns: list[asyncio.Queue[bytes]] = [asyncio.Queue() for _ in range(4)]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        number = int(scope["path"][1:])
        body = await Request(scope, receive).body()
        WHO.set(f"app {number}")
        await send(START | {"headers": [(b"x-path", scope["path"].encode())]})
        while (turn := await turns[number].get()) != b"":
            await send(part(body + turn))
        await send(part(b"", more=False))

    async def function(request: Request, call_next: CallNext) -> Any:
        body = await request.body()
        response = await call_next(request)
        response.headers["x-body"] = body.decode()
        response.headers["x-who"] = WHO.get()
        return response

    chain = chained(app, function, passes)
    calls = [
        asyncio.ensure_future(play(chain, http_scope("POST", f"/{number}"), body_events(b"%d" % number)))
        for number in range(4)
    ]
    for number in order:
        turns[number].put_nowait(b".")
        await asyncio.sleep(0)
    for queue in turns:
        queue.put_nowait(b"")
    for number, log in enumerate(await asyncio.gather(*calls)):
        assert log.header("x-path") == f"/{number}"
        assert (log.header("x-body"), log.header("x-who")) == (str(number), f"app {number}")
        assert log.body == b"%d." % number * order.count(number)
    assert WHO.get() == "nobody"


@enforces("APP-MW-01")
async def test_the_callers_scope_is_not_changed_by_the_chain() -> None:
    scope = http_scope()
    before = dict(scope)
    await play(chained(text_response("app"), passes, passes), scope)
    assert scope == before
    assert all(scope[key] is before[key] for key in before)


# ----------------------------------------------------------------------------------------------------------------
# What a changed response leaves of the body


@enforces("HTTP-RESP-11", "HTTP-RESP-12")
@pytest.mark.parametrize("kind", ["http.response.pathsend", "http.response.zerocopysend"])
async def test_a_file_that_the_server_would_send_is_not_sent_where_there_is_no_body(kind: str) -> None:
    async def empties(request: Request, call_next: CallNext) -> Response:
        response = await call_next(request)
        response.status_code = 204
        return response

    with tempfile.TemporaryFile() as file:
        message = {"type": kind, "path": "/a"} if kind.endswith("pathsend") else {"type": kind, "file": file}
        app = chained(sends(START, message), empties)
        log = await play(app, http_scope(extensions={kind: {}}))
    assert log.types == ["http.response.start", "http.response.body"]
    assert (log.status, log.body, log.complete) == (204, b"", True)


@enforces("HTTP-RESP-12")
async def test_a_head_that_middleware_answers_by_get_has_no_body() -> None:
    async def by_get(request: Request, call_next: CallNext) -> Response:
        return await call_next(Request({**request.scope, "method": "GET"}, request.forward))

    log = await play(chained(text_response("a body"), by_get), http_scope("HEAD"))
    assert (log.header("content-length"), log.body) == ("6", b"")


async def test_a_variable_that_is_reset_further_in_is_reset_further_out() -> None:
    variable: ContextVar[str] = ContextVar("variable")
    seen = []

    async def sets(scope: Any, receive: Any, send: Any) -> None:
        token = variable.set("in")
        await text_response("x")(scope, receive, send)
        variable.reset(token)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await chained(sets, passes)(scope, receive, send)
        seen.append(variable.get("unset"))

    await play(app, http_scope())
    assert seen == ["unset"]
