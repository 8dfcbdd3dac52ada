"""The reference's error handlers and boundaries: who answers what, at which of the two, and what goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastasgi_reference.errors import ErrorBoundary, ExceptionHandlers
from fastasgi_reference.exceptions import ClientDisconnect, HTTPException
from fastasgi_reference.requests import Request
from fastasgi_reference.responses import Response, StreamingResponse, text_response
from fastasgi_reference.status import HTTPStatus
from tests.reference.conversation import (
    Log,
    Message,
    body_events,
    http_scope,
    lifespan_scope,
    play,
    websocket_scope,
)
from tests.reference.rules import enforces

START = {"type": "http.response.start", "status": 200, "headers": []}
PART = {"type": "http.response.body", "body": b"part", "more_body": True}
END = {"type": "http.response.body", "body": b""}
MULTIPART = [(b"content-type", b"multipart/form-data; boundary=b")]
FILE = b'--b\r\ncontent-disposition: form-data; name="f"; filename="f"\r\n\r\ncontent\r\n--b--\r\n'


class Missing(LookupError):
    pass


class Gone(Missing):
    pass


class Teapot(HTTPException):
    def __init__(self) -> None:
        super().__init__(418, "short and stout")


def raising(error: BaseException, *before: Message) -> Callable[[Any, Any, Any], Awaitable[None]]:
    """An application that sends some messages and raises."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in before:
            await send(dict(message))
        raise error

    return app


def says(text: str) -> Callable[[Request, Exception], Awaitable[Any]]:
    async def handler(request: Request, error: Exception) -> Any:
        return text

    return handler


def both(app: Any, handlers: ExceptionHandlers, *, debug: bool = False) -> ErrorBoundary:
    """The two boundaries of an application."""
    return ErrorBoundary(ErrorBoundary(app, handlers), handlers, outermost=True, debug=debug)


async def fail(error: BaseException, handlers: dict[Any, Any] | None = None, **options: Any) -> Log:
    return await play(both(raising(error), ExceptionHandlers(handlers), **options), http_scope())


# ----------------------------------------------------------------------------------------------------------------
# Which handler


@pytest.mark.parametrize(
    ("error", "keys", "inner", "outer"),
    [
        (HTTPException(404), [404, HTTPException, Exception], 404, 404),
        (HTTPException(404), [HTTPException, Exception, 405], HTTPException, HTTPException),
        (Teapot(), [418, Teapot, HTTPException], 418, 418),
        (Teapot(), [Teapot, HTTPException], Teapot, Teapot),
        (Teapot(), [HTTPException], HTTPException, HTTPException),
        (HTTPException(404), [HTTPStatus.NOT_FOUND], 404, 404),
        (Gone(), [Exception, LookupError, Missing], Missing, Missing),
        (Gone(), [Exception, LookupError], LookupError, LookupError),
        (Gone(), [Exception, Gone, LookupError], Gone, Gone),
        (Gone(), [Exception, ValueError], None, Exception),
        (Gone(), [500, ValueError], None, None),
        (Gone(), [], None, None),
        (HTTPException(500), [500, HTTPException], None, 500),
        (HTTPException(500), [HTTPException], HTTPException, HTTPException),
        (HTTPException(503), [500, Exception, 503], 503, 503),
        (Exception(), [Exception], None, Exception),
    ],
)
def test_the_status_counts_first_and_then_the_nearest_class(
    error: Exception, keys: list[Any], inner: Any, outer: Any
) -> None:
    handlers = {key: says(str(key)) for key in keys}
    found = ExceptionHandlers(handlers)
    assert found.find(error) is (None if inner is None else handlers[inner])
    assert found.find(error, outermost=True) is (None if outer is None else handlers[outer])
    assert found.last_resort is handlers.get(500)


@given(
    keys=st.sets(st.sampled_from([404, 500, HTTPException, Teapot, Missing, LookupError, Exception])),
    error=st.sampled_from([HTTPException(404), HTTPException(500), Teapot(), Gone(), ValueError()]),
    outermost=st.booleans(),
)
def test_any_set_of_handlers_is_searched_by_status_and_then_along_the_mro(
    keys: set[Any], error: Exception, outermost: bool
) -> None:
    handlers = {key: says(str(key)) for key in keys}
    status = getattr(error, "status_code", None)
    order = [status, *type(error).__mro__]
    if not outermost:
        order = [] if status == 500 and 500 in keys else [key for key in order if key is not Exception]
    nearest = next((key for key in order if key in keys | {HTTPException}), None)
    found = ExceptionHandlers(handlers).find(error, outermost=outermost)
    if nearest is HTTPException and HTTPException not in keys:
        assert found not in [None, *handlers.values()]  # an HTTPException has an answer without any handler
    else:
        assert found is handlers.get(nearest)


def test_a_later_handler_takes_the_place_of_an_earlier_one() -> None:
    first, second = says("first"), says("second")
    handlers = ExceptionHandlers({404: first, LookupError: first})
    handlers.add(404, second)
    handlers.add(LookupError, second)
    assert handlers.find(HTTPException(404)) is handlers.find(KeyError()) is second


@pytest.mark.parametrize(
    "key", [199, 1000, -404, True, "404", 404.0, None, BaseException, KeyboardInterrupt, int, ValueError()]
)
def test_a_key_is_a_status_or_a_class_of_exceptions(key: Any) -> None:
    with pytest.raises(ValueError, match=r"neither a status .* nor a class"):
        ExceptionHandlers({key: says("")})


# ----------------------------------------------------------------------------------------------------------------
# What has a handler


@enforces("HTTP-RESP-14")
@pytest.mark.parametrize("plain", [False, True])
async def test_what_a_handler_returns_is_the_answer(plain: bool) -> None:
    seen: list[Any] = []
    error = Gone("x")

    async def handler(request: Request, raised: Exception) -> Any:
        seen.extend([request.url.path, raised])
        return {"gone": True}

    def in_a_thread(request: Request, raised: Exception) -> Any:
        seen.extend([request.url.path, raised])
        return {"gone": True}

    log = await fail(error, {Missing: in_a_thread if plain else handler})
    assert (log.status, log.body, log.raised) == (200, b'{"gone":true}', None)
    assert seen == ["/", error]


async def test_an_http_exception_is_answered_without_a_handler() -> None:
    log = await fail(HTTPException(401, "who are you?", {"www-authenticate": "Basic"}))
    assert (log.status, log.body, log.raised) == (401, b"who are you?", None)
    assert log.header("www-authenticate") == "Basic"
    assert log.header("content-type") == "text/plain; charset=utf-8"


@enforces("HTTP-RESP-11")
@pytest.mark.parametrize("status", [204, 304])
async def test_an_http_exception_of_a_status_without_body_has_none(status: int) -> None:
    log = await fail(HTTPException(status, "nobody reads this", {"etag": '"1"'}))
    assert (log.status, log.body, log.header("content-length")) == (status, b"", None)
    assert log.header("etag") == '"1"'


@enforces("HTTP-RESP-12")
async def test_head_gets_no_body_of_an_error() -> None:
    handlers = ExceptionHandlers({LookupError: says("missing")})
    for error in (HTTPException(404), Missing(), ValueError()):
        log = await play(both(raising(error), handlers), http_scope("HEAD"))
        assert log.body == b""
        assert int(log.header("content-length") or 0) > 0


async def test_what_has_a_handler_is_answered_inside_so_that_middleware_sees_it() -> None:
    handlers = ExceptionHandlers({LookupError: says("missing")})
    response = ["http.response.start", "http.response.body"]
    for error, expected in {
        Missing(): response,
        HTTPException(404): response,
        HTTPException(500): response,
        ValueError(): ["ValueError"],
    }.items():
        seen: list[str] = []
        inner = ErrorBoundary(raising(error), handlers)
        await play(ErrorBoundary(watched(inner, seen), handlers, outermost=True), http_scope())
        assert seen == expected


def watched(app: Any, seen: list[str]) -> Any:
    """A middleware that notes what it sees."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        async def noted(message: Message) -> None:
            seen.append(message["type"])
            await send(message)

        try:
            await app(scope, receive, noted)
        except Exception as error:
            seen.append(type(error).__name__)
            raise

    return wrapped


@pytest.mark.parametrize("key", [Exception, 500])
async def test_a_handler_for_everything_acts_outermost_only(key: Any) -> None:
    error = HTTPException(500) if key == 500 else ValueError()
    handlers = ExceptionHandlers({key: says("sorry")})
    inner = await play(ErrorBoundary(raising(error), handlers), http_scope())
    assert (inner.sent, inner.raised) == ([], error)
    outer = await play(ErrorBoundary(raising(error), handlers, outermost=True), http_scope())
    assert (outer.body, outer.raised) == (b"sorry", None)


async def test_what_middleware_raises_meets_the_same_handlers() -> None:
    handlers = ExceptionHandlers({LookupError: says("missing")})
    outer = ErrorBoundary(raising(Missing()), handlers, outermost=True)
    log = await play(outer, http_scope())
    assert (log.body, log.raised) == (b"missing", None)
    log = await play(ErrorBoundary(raising(HTTPException(403)), handlers, outermost=True), http_scope())
    assert (log.status, log.raised) == (403, None)


async def test_a_handler_may_answer_by_a_response_of_its_own_with_background_work() -> None:
    done: list[str] = []

    async def work() -> None:
        done.append("work")

    async def handler(request: Request, error: Exception) -> Response:
        return Response("teapot", 418, {"x-a": "b"}, background=work)

    log = await fail(Missing(), {LookupError: handler})
    assert (log.status, log.header("x-a"), done) == (418, "b", ["work"])


# ----------------------------------------------------------------------------------------------------------------
# What has none


@enforces("HTTP-RESP-14", "HTTP-RESP-15", "APP-MW-04")
@pytest.mark.parametrize("debug", [False, True])
async def test_an_error_without_a_handler_is_a_500_and_goes_on_as_itself(debug: bool) -> None:
    error = ValueError("secret")
    log = await fail(error, debug=debug)
    assert log.types == ["http.response.start", "http.response.body"]
    assert log.complete
    assert log.status == 500
    assert log.raised is error
    assert (b"secret" in log.body) is debug
    if not debug:
        assert log.body == b"Internal Server Error"
        assert log.header("content-type") == "text/plain; charset=utf-8"


async def test_the_handler_for_500_makes_the_page_and_the_error_still_goes_on() -> None:
    error = ValueError("secret")
    seen: list[Exception] = []

    async def page(request: Request, raised: Exception) -> Response:
        seen.append(raised)
        return text_response("sorry", 500)

    for debug in (False, True):
        log = await fail(error, {500: page}, debug=debug)
        assert (log.status, log.body, log.raised) == (500, b"sorry", error)
    assert seen == [error, error]


async def test_a_handler_for_exception_ends_it() -> None:
    log = await fail(ValueError(), {Exception: says("sorry"), 500: says("not this")})
    assert (log.body, log.raised) == (b"sorry", None)


async def test_a_debug_page_escapes_what_it_shows() -> None:
    log = await fail(ValueError("<script>alert('&\"')</script>"), debug=True)
    assert log.header("content-type") == "text/html; charset=utf-8"
    assert b"<script" not in log.body
    assert b"&lt;script&gt;alert(&#x27;&amp;&quot;&#x27;)&lt;/script&gt;" in log.body
    assert b"Traceback" in log.body


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize("error", [ValueError("half \udce9 name"), Unspeakable(), ValueError("\0\x1b[2J")])
async def test_a_debug_page_is_made_for_any_error(error: Exception) -> None:
    log = await fail(error, debug=True)
    assert (log.status, log.raised, log.complete) == (500, error, True)
    assert type(error).__name__.encode() in log.body


async def test_an_error_in_a_group_is_no_http_exception() -> None:
    error = ExceptionGroup("several", [HTTPException(404)])
    log = await fail(error)
    assert (log.status, log.raised) == (500, error)


@pytest.mark.parametrize("error", [asyncio.CancelledError(), GeneratorExit()])
async def test_what_is_no_exception_of_the_applications_passes(error: BaseException) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError

    app = both(raising(error), ExceptionHandlers({Exception: says("no"), 500: says("no")}))
    with pytest.raises(type(error)) as raised:
        await app(http_scope(), receive, send)
    assert raised.value is error
    assert sent == []


# ----------------------------------------------------------------------------------------------------------------
# Nothing is answered twice


@enforces("HTTP-RESP-14", "HTTP-RESP-16")
@pytest.mark.parametrize(
    "error", [ValueError(), HTTPException(404), Missing(), ClientDisconnect(), OSError()]
)
@pytest.mark.parametrize("before", [[START], [START, PART], [START, PART, END]])
async def test_after_the_response_has_begun_an_error_only_passes(
    error: Exception, before: list[Message]
) -> None:
    called: list[Exception] = []

    async def handler(request: Request, raised: Exception) -> None:
        called.append(raised)

    handlers = ExceptionHandlers(dict.fromkeys((Exception, 500, 404, LookupError, OSError), handler))
    log = await play(both(raising(error, *before), handlers), http_scope())
    assert (log.sent, log.raised, called) == (before, error, [])


@enforces("APP-SCOPE-06", "EXT-DEBUG-01")
@pytest.mark.parametrize("kind", ["http.response.debug", "http.response.early_hint"])
async def test_what_comes_before_the_response_does_not_begin_it(kind: str) -> None:
    message = {"type": kind, "info": {}, "links": []}
    error = ValueError()
    scope = http_scope(extensions={kind: {}})
    log = await play(both(raising(error, message), ExceptionHandlers()), scope, checked=False)
    assert log.types == [kind, "http.response.start", "http.response.body"]
    assert (log.status, log.raised) == (500, error)


@enforces("HTTP-DISC-03", "HTTP-DISC-02", "APP-ERR-01")
@pytest.mark.parametrize("gone", [OSError("gone"), ConnectionResetError(), BrokenPipeError(), TimeoutError()])
@pytest.mark.parametrize(
    "before", [[START, PART, END], [{"type": "http.response.debug", "info": {}}, START, END]]
)
async def test_an_oserror_out_of_send_is_a_disconnect_wherever_it_comes(
    before: list[Message], gone: OSError
) -> None:
    called: list[Exception] = []

    async def handler(request: Request, raised: Exception) -> None:
        called.append(raised)

    handlers = ExceptionHandlers({Exception: handler, OSError: handler, 500: handler})
    app = both(raising(ValueError("never reached"), *before), handlers)
    for place in range(len(before)):
        scope = http_scope(extensions={"http.response.debug": {}})
        log = await play(app, scope, fail_send_at=place, error=gone)
        assert (len(log.sent), log.raised, called) == (place + 1, gone, [])


@enforces("HTTP-DISC-03")
@given(place=st.integers(0, 3), answers=st.sampled_from(["handler", "page", "http"]))
async def test_an_oserror_while_an_error_is_answered_is_not_answered_again(place: int, answers: str) -> None:
    gone = ConnectionResetError()

    async def stream() -> AsyncIterator[str]:
        yield "a"
        yield "b"

    async def handler(request: Request, error: Exception) -> Response:
        return StreamingResponse(stream())

    error = HTTPException(404) if answers == "http" else ValueError()
    handlers = ExceptionHandlers({ValueError: handler} if answers == "handler" else {})
    log = await play(both(raising(error), handlers), http_scope(), fail_send_at=place, error=gone)
    if place < len(log.sent):
        assert log.raised is gone
        assert len(log.sent) == place + 1
    assert log.types.count("http.response.start") == 1


async def test_an_oserror_of_the_applications_own_is_an_error() -> None:
    error = FileNotFoundError("config")
    log = await fail(error)
    assert (log.status, log.raised) == (500, error)
    log = await fail(error, {OSError: says("no file")})
    assert (log.body, log.raised) == (b"no file", None)


async def test_a_client_disconnect_is_answered_by_nobody() -> None:
    error = ClientDisconnect()
    log = await fail(error, {Exception: says("no"), ClientDisconnect: says("no"), 500: says("no")})
    assert (log.sent, log.raised) == ([], error)


@enforces("HTTP-DISC-01")
@pytest.mark.parametrize("error", [Missing(), ValueError(), HTTPException(400)])
async def test_a_client_disconnect_out_of_a_handler_is_answered_by_nobody(error: Exception) -> None:
    async def reads(request: Request, raised: Exception) -> bytes:
        return await request.body()

    handlers = ExceptionHandlers({Missing: reads, 500: reads, 400: reads})
    log = await play(both(raising(error), handlers), http_scope(), [{"type": "http.disconnect"}])
    assert log.sent == []
    assert isinstance(log.raised, ClientDisconnect)


# ----------------------------------------------------------------------------------------------------------------
# Handlers that fail


@pytest.mark.parametrize("returned", [1, {1}, object()])
async def test_a_handler_that_returns_no_response_is_a_500(returned: Any) -> None:
    log = await fail(Missing(), {LookupError: lambda request, error: returned})
    assert log.status == 500
    assert isinstance(log.raised, TypeError)


async def test_an_error_of_a_handler_meets_the_outer_boundary() -> None:
    error = ZeroDivisionError()

    async def breaks(request: Request, raised: Exception) -> None:
        raise error

    log = await fail(Missing(), {LookupError: breaks})
    assert (log.status, log.raised) == (500, error)
    log = await fail(Missing(), {LookupError: breaks, ArithmeticError: says("divided")})
    assert (log.body, log.raised) == (b"divided", None)


@pytest.mark.parametrize("key", [Exception, 500])
@pytest.mark.parametrize("debug", [False, True])
async def test_an_error_of_the_last_handler_is_a_500_all_the_same(key: Any, debug: bool) -> None:
    error = ZeroDivisionError()

    async def breaks(request: Request, raised: Exception) -> None:
        raise error

    log = await fail(Missing("first"), {key: breaks}, debug=debug)
    assert (log.status, log.raised) == (500, error)
    assert (b"ZeroDivisionError" in log.body) is debug
    assert (b"first" in log.body) is debug  # what was handled is in the traceback, too


@enforces("HTTP-RESP-16")
@pytest.mark.parametrize("key", [Missing, Exception])
async def test_an_answer_that_fails_half_way_stays_half(key: Any) -> None:
    error = ZeroDivisionError()

    async def stream() -> AsyncIterator[str]:
        yield "half"
        raise error

    async def breaks(request: Request, raised: Exception) -> Response:
        return StreamingResponse(stream())

    log = await fail(Missing(), {key: breaks})
    assert log.types == ["http.response.start", "http.response.body"]
    assert (log.complete, log.raised) == (False, error)


# ----------------------------------------------------------------------------------------------------------------
# The request of a handler


@pytest.mark.parametrize("error", [Missing(), ValueError()])
async def test_a_handler_reads_the_body_that_nobody_has_read(error: Exception) -> None:
    async def reads(request: Request, raised: Exception) -> bytes:
        return await request.body()

    log = await play(
        both(raising(error), ExceptionHandlers({Missing: reads, 500: reads})),
        http_scope("POST"),
        body_events(b"a", b"b"),
        end="raise",
    )
    assert log.body == b"ab"


async def test_a_handler_does_not_wait_for_a_body_that_was_read() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise Missing

    async def reads(request: Request, raised: Exception) -> bytes:
        return await request.body()

    log = await play(
        both(app, ExceptionHandlers({Missing: reads})), http_scope("POST"), body_events(b"a", b"b")
    )
    assert log.status == 500
    assert log.received == 1
    assert isinstance(log.raised, RuntimeError)


async def test_a_form_that_a_handler_has_read_is_closed() -> None:
    files = []

    async def reads(request: Request, raised: Exception) -> str:
        form = await request.form()
        files.append(form["f"])
        return "read"

    app = both(raising(Missing()), ExceptionHandlers({Missing: reads}))
    log = await play(app, http_scope("POST", headers=MULTIPART), body_events(FILE))
    assert (log.body, files[0].file.closed) == (b"read", True)


async def test_a_stream_of_a_handler_stops_when_the_client_goes_under_an_old_server() -> None:
    waits = asyncio.Event()

    async def stream() -> AsyncIterator[str]:
        yield "a"
        await waits.wait()

    async def handler(request: Request, raised: Exception) -> Response:
        return StreamingResponse(stream())

    scope = http_scope(asgi={"version": "3.0"})
    log = await play(both(raising(Missing()), ExceptionHandlers({Missing: handler})), scope, end="disconnect")
    assert log.raised is None
    assert not log.complete


# ----------------------------------------------------------------------------------------------------------------
# Everything else passes


@enforces("APP-MW-03", "APP-MW-04")
@pytest.mark.parametrize("scope", [websocket_scope(), lifespan_scope(), {"type": "mqtt"}])
@pytest.mark.parametrize("outermost", [False, True])
async def test_other_connections_pass_through(scope: dict[str, Any], outermost: bool) -> None:
    calls: list[Any] = []
    error = HTTPException(404)

    async def app(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 2:
            raise error

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError

    boundary = ErrorBoundary(app, ExceptionHandlers({404: says("no")}), outermost=outermost)
    await boundary(scope, receive, send)
    with pytest.raises(HTTPException) as raised:
        await boundary(scope, receive, send)
    assert raised.value is error
    assert calls == [(scope, receive, send)] * 2


@enforces("APP-MW-03", "APP-MW-05", "APP-MW-01")
async def test_what_goes_well_passes_untouched() -> None:
    sent = [START, PART, {"type": "http.response.zzz", "zzz": 1}, END, {"type": "http.response.trailers"}]
    before = [dict(message) for message in sent]
    got: list[Message] = []
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        assert (await receive())["zzz"] == 1
        for message in sent:
            await send(message)

    scope = http_scope()
    events = iter([{"type": "http.request", "zzz": 1}])

    async def receive() -> Message:
        return next(events)

    async def send(message: Message) -> None:
        got.append(message)

    await both(app, ExceptionHandlers())(scope, receive, send)
    assert all(one is other for one, other in zip(got, sent, strict=True))
    assert sent == before
    assert scopes[0] is scope


@enforces("APP-CALL-03")
@given(order=st.permutations(range(5)))
async def test_calls_at_the_same_time_stay_apart(order: list[int]) -> None:
    turns = [asyncio.Event() for _ in order]
    all_in = asyncio.Barrier(len(order) + 1)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        number = int(scope["path"][1:])
        await all_in.wait()
        await turns[number].wait()
        if number % 2:
            await send(START)
        raise Missing(str(number))

    async def handler(request: Request, raised: Exception) -> str:
        return f"{request.url.path} {raised}"

    boundary = both(app, ExceptionHandlers({Missing: handler}))
    calls = [asyncio.ensure_future(play(boundary, http_scope(path=f"/{number}"))) for number in range(5)]
    await all_in.wait()
    for number in order:
        turns[number].set()
        await calls[number]
    for number, call in enumerate(calls):
        log = call.result()
        if number % 2:
            assert (log.sent, str(log.raised)) == ([START], str(number))
        else:
            assert (log.body, log.raised) == (f"/{number} {number}".encode(), None)
