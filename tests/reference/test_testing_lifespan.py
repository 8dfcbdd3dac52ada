"""The test client's lifespan: startup, state, shutdown, and applications that do it wrong or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fastasgi_reference.testing import LifespanFailed, ProtocolError, Stalled, TestClient
from tests.reference.rules import enforces

Message = dict[str, Any]
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

STARTED: Message = {"type": "lifespan.startup.complete"}
STOPPED: Message = {"type": "lifespan.shutdown.complete"}


async def answer(send: Send, text: str = "hello") -> None:
    """Answer a request with this text."""
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": text.encode()})


class App:
    """An application that answers requests, and the two events of a lifespan with these messages; it keeps a log.

    A message that is an exception is raised instead.
    """

    def __init__(
        self, *startup: Any, shutdown: Any = (STOPPED,), state: dict[str, Any] | None = None
    ) -> None:
        self.log: list[str] = []
        self.scopes: list[Scope] = []
        self.startup = startup or (STARTED,)
        self.shutdown = shutdown
        self.state = state or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        if scope["type"] != "lifespan":
            self.log.append(scope["type"])
            await answer(send)
            return
        for answers in (self.startup, self.shutdown):
            self.log.append((await receive())["type"])
            scope["state"].update(self.state)
            for message in answers:
                if isinstance(message, BaseException):
                    raise message
                await send(message)
        self.log.append("end")


@enforces("LIFE-SRV-01", "LIFE-SRV-02", "LIFE-SRV-05")
async def test_startup_comes_before_the_first_request_and_shutdown_after_the_last() -> None:
    app = App()
    async with TestClient(app) as client:
        assert app.log == ["lifespan.startup"]
        assert (await client.get("/")).text == "hello"
    assert app.log == ["lifespan.startup", "http", "lifespan.shutdown", "end"]
    scope = app.scopes[0]
    assert (scope["type"], scope["asgi"]) == ("lifespan", {"version": "3.0", "spec_version": "2.0"})


@enforces("LIFE-SRV-01", "LIFE-SRV-02")
async def test_a_slow_startup_is_waited_for_on_the_loop_of_the_requests() -> None:
    loops: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        loops.append(asyncio.get_running_loop())
        if scope["type"] == "http":
            assert loops[1:-1] == ["started"]
            await answer(send)
            return
        await receive()
        for _ in range(10):
            await asyncio.sleep(0)
        loops.append("started")
        await send(STARTED)
        await receive()
        await send(STOPPED)

    async with TestClient(app) as client:
        await client.get("/")
    assert loops == [asyncio.get_running_loop(), "started", asyncio.get_running_loop()]


@enforces("LIFE-SRV-07", "SRV-HTTP-22")
async def test_each_connection_gets_a_shallow_copy_of_the_state() -> None:
    shared: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            assert scope["state"] == {}
            scope["state"].update(shared=shared, own=1)
            await send(STARTED)
            await receive()
            assert scope["state"] == {"shared": shared, "own": 1}
            await send(STOPPED)
            return
        assert scope["state"] == {"shared": shared, "own": 1}
        assert scope["state"]["shared"] is shared
        scope["state"]["own"] = scope["state"]["new"] = 2
        if scope["type"] == "http":
            await answer(send)
        else:
            await send({"type": "websocket.close"})

    async with TestClient(app) as client:
        await client.get("/")
        await client.get("/")
        with pytest.raises(Exception, match="403"):
            async with client.websocket("/"):
                pass
        assert client.state == {"shared": shared, "own": 1}
    assert client.state is None


async def test_without_a_lifespan_there_is_no_state() -> None:
    app = App()
    client = TestClient(app)
    assert (await client.get("/")).text == "hello"
    assert "state" not in app.scopes[0]
    assert app.log == ["http"]
    assert client.state is None
    assert client.lifespan_error is None


async def test_a_client_can_be_entered_again_but_not_twice_at_once() -> None:
    app = App(state={"a": 1})
    client = TestClient(app)
    for _ in range(2):
        async with client:
            assert client.state == {"a": 1}
            with pytest.raises(RuntimeError, match="in use already"):
                await client.__aenter__()
    assert app.log == ["lifespan.startup", "lifespan.shutdown", "end"] * 2
    assert app.scopes[0]["state"] is not app.scopes[1]["state"]


@enforces("LIFE-SRV-03")
@pytest.mark.parametrize("on_scope", [True, False])
async def test_an_application_that_raises_has_no_lifespan(on_scope: bool) -> None:
    events: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if not on_scope:
                events.append((await receive())["type"])
            raise LookupError("only http")
        assert "state" not in scope
        await answer(send)

    async with TestClient(app) as client:
        assert str(client.lifespan_error) == "only http"
        assert client.state is None
        assert (await client.get("/")).text == "hello"
    assert events == ([] if on_scope else ["lifespan.startup"])


async def test_what_is_no_exception_but_an_outcome_is_no_way_to_say_that() -> None:
    class Outcome(BaseException):
        pass

    with pytest.raises(Outcome):
        await TestClient(App(Outcome())).__aenter__()


@enforces("LIFE-SRV-04")
async def test_a_failed_startup_is_told_and_nothing_is_served() -> None:
    error = LookupError("no database")
    failed = {"type": "lifespan.startup.failed", "message": "no database"}
    app = App(failed, error)
    with pytest.raises(LifespanFailed, match=r"lifespan\.startup\.failed: no database") as raised:
        await TestClient(app).__aenter__()
    assert (raised.value.phase, raised.value.message, raised.value.__cause__) == (
        "startup",
        "no database",
        error,
    )
    assert app.log == ["lifespan.startup"]


@enforces("LIFE-SRV-04")
async def test_no_shutdown_follows_a_failed_startup() -> None:
    app = App({"type": "lifespan.startup.failed"})
    client = TestClient(app)
    with pytest.raises(LifespanFailed, match="the application does not say why"):
        await client.__aenter__()
    assert app.log == ["lifespan.startup"]
    assert client.state is None
    with pytest.raises(LifespanFailed):
        await client.__aenter__()


@enforces("LIFE-SRV-06")
async def test_a_failed_shutdown_is_told() -> None:
    error = LookupError("a bug")
    app = App(shutdown=({"type": "lifespan.shutdown.failed", "message": "not closed"}, error))
    with pytest.raises(LifespanFailed, match="not closed") as raised:
        async with TestClient(app):
            pass
    assert (raised.value.phase, raised.value.__cause__) == ("shutdown", error)


@enforces("LIFE-SRV-06")
async def test_a_failed_shutdown_does_not_hide_the_tests_own_error() -> None:
    app = App(shutdown=({"type": "lifespan.shutdown.failed", "message": "not closed"},))
    with pytest.raises(LookupError, match="the test's own") as raised:
        async with TestClient(app):
            raise LookupError("the test's own")
    [note] = raised.value.__notes__
    assert note.startswith(
        "The application ended badly, too: LifespanFailed('lifespan.shutdown.failed: not closed'"
    )


@enforces("LIFE-SRV-08")
async def test_an_application_may_end_early() -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await answer(send)

    async def only_startup(scope: Scope, receive: Receive, send: Send) -> None:
        await (send(STARTED) if scope["type"] == "lifespan" else answer(send))

    for app, state in ((silent, None), (only_startup, {})):
        async with TestClient(app) as client:
            assert client.state == state
            assert client.lifespan_error is None
            assert (await client.get("/")).text == "hello"


@enforces("LIFE-SRV-09")
async def test_what_is_raised_between_startup_and_shutdown_is_told_at_the_end() -> None:
    app = App(STARTED, LookupError("a bug"))
    with pytest.raises(LookupError, match="a bug"):
        async with TestClient(app) as client:
            assert (await client.get("/")).text == "hello"
    assert app.log == ["lifespan.startup", "http"]


@enforces("LIFE-SRV-09")
async def test_what_is_raised_at_shutdown_is_told() -> None:
    with pytest.raises(LookupError, match="a bug"):
        async with TestClient(App(shutdown=(LookupError("a bug"),))):
            pass


@enforces("LIFE-SRV-05")
async def test_connections_are_closed_before_shutdown() -> None:
    log: list[str] = []

    both = asyncio.Barrier(3)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send(STARTED)
            await receive()
            log.append("shutdown")
            await send(STOPPED)
            return
        await receive()
        await both.wait()
        log.append((await receive())["type"])

    async def websocket(client: TestClient) -> None:
        async with client.websocket("/"):
            pass

    async with TestClient(app) as client:
        waiting = [asyncio.create_task(client.get("/")), asyncio.create_task(websocket(client))]
        await both.wait()
    for task in waiting:
        with pytest.raises(RuntimeError, match="the client was left while it waited for a"):
            await task
    assert sorted(log[:2]) == ["http.disconnect", "websocket.disconnect"]
    assert log[2:] == ["shutdown"]


# What is held against the application


@enforces("SRV-03")
@pytest.mark.parametrize(
    ("startup", "words"),
    [
        (
            [STARTED, STARTED],
            "startup.complete came (between|in answer to lifespan.shutdown); .*expected there",
        ),
        (
            [STOPPED],
            "lifespan.shutdown.complete came in answer to lifespan.startup; expected there: lifespan.startup",
        ),
        (
            [{"type": "http.response.start", "status": 200}],
            "raise an exception, .*for a scope of a type that you do",
        ),
        ([{"type": "lifespan.startup"}], "lifespan.startup is neither in the specification"),
        (
            [{"type": "lifespan.startup.failed", "message": b"a"}],
            "wrong 'message': the bytes b'a' is not a str",
        ),
    ],
)
async def test_what_breaks_the_protocol_at_startup_is_told(startup: list[Message], words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        async with TestClient(App(*startup)):
            pass


@enforces("LIFE-SRV-05")
@pytest.mark.parametrize(
    ("shutdown", "words"),
    [
        (
            [],
            "returned without a message in answer to lifespan.shutdown; expected: lifespan.shutdown.complete or",
        ),
        ([STARTED], "lifespan.startup.complete came in answer to lifespan.shutdown"),
        ([STOPPED, STOPPED], "lifespan.shutdown.complete came after lifespan.shutdown.complete"),
    ],
)
async def test_what_breaks_the_protocol_at_shutdown_is_told(shutdown: list[Message], words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        async with TestClient(App(shutdown=shutdown)):
            pass


async def test_taking_the_startup_and_returning_without_a_word_is_a_fault() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    with pytest.raises(
        ProtocolError, match=r"lifespan: the application returned without a message in answer to"
    ):
        await TestClient(app).__aenter__()


# Waiting in vain


@enforces("LIFE-SRV-08")
async def test_an_application_that_waits_instead_of_answering_is_found_at_once() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            await receive()

    with pytest.raises(
        Stalled, match=r"lifespan: the application has not sent lifespan\.startup\.complete or"
    ):
        await TestClient(app, timeout=None).__aenter__()


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (None, "has not sent lifespan.shutdown.complete or"),
        (STOPPED, "lifespan: the application has not returned"),
    ],
)
async def test_an_application_that_waits_at_shutdown_is_found_at_once(
    last: Message | None, words: str
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(STARTED)
        await receive()
        if last is not None:
            await send(last)
        await receive()

    with pytest.raises(Stalled, match=words):
        async with TestClient(app, timeout=None):
            pass


async def test_a_failed_startup_is_told_even_if_the_application_goes_on_waiting() -> None:
    ended: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await receive()
            await send({"type": "lifespan.startup.failed", "message": "no"})
            await receive()
        finally:
            ended.append("cancelled")

    with pytest.raises(LifespanFailed, match="no"):
        await TestClient(app, timeout=None).__aenter__()
    assert ended == ["cancelled"]
