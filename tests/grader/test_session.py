"""The live application: both ends of a session, with a real worker, httpx and a real server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from grader.judge import ending
from grader.judge.client import Guards, Worker
from grader.judge.session import Session, Violation
from grader.suite import Submission, raised
from grader.transcript import Event, Raised

Open = Callable[..., contextlib.AbstractAsyncContextManager[Session]]
HTTP = {"type": "http", "path": "/", "headers": []}
START = {"type": "http.response.start", "status": 200, "headers": []}
LAST = {"type": "http.response.body", "body": b"x"}
MORE = {**LAST, "more_body": True}


@pytest.fixture
def learner() -> str:
    """The text of the module beside the probe."""
    return Path(__file__).with_name("probes").joinpath("learner.py").read_text(encoding="utf-8")


@pytest.fixture
def worker(start_worker: Callable[..., Worker], learner: str) -> Worker:
    """A fresh worker with all applications."""
    return start_worker("apps", learner=learner)


@pytest.fixture
def events() -> list[Event]:
    """What sessions recorded."""
    return []


@pytest.fixture
def open_session(worker: Worker, events: list[Event]) -> Open:
    """Opens sessions: `open_session("hello")`."""

    def opened(name: str, *, real_time: bool = False, **config: Any) -> Session:
        return Session(worker, {"name": name, **config}, events.append, real_time=real_time)

    return opened


class Peer:
    """The judge's end of one connection: events to be received, messages that were sent."""

    def __init__(self, *events: Any) -> None:
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        self.sent: asyncio.Queue[Any] = asyncio.Queue()
        for event in events:
            self.events.put_nowait(event)

    async def receive(self) -> Any:
        """The next event."""
        return await self.events.get()

    async def send(self, message: Any) -> None:
        """Take a message."""
        self.sent.put_nowait(message)

    @property
    def messages(self) -> list[Any]:
        """What was sent and not looked at yet."""
        return [self.sent.get_nowait() for _ in range(self.sent.qsize())]


# --- httpx


async def test_httpx_speaks_to_the_application(open_session: Open, events: list[Event]) -> None:
    async with open_session("hello") as session, session.client() as client:
        response = await client.get("/some/path")
    assert (response.status_code, response.text) == (200, "Hello")
    assert [event.kind for event in events] == ["received", "sent", "sent", "returned"]


async def test_many_requests_in_a_row_never_stall_falsely(open_session: Open) -> None:
    async with open_session("races") as session, session.client() as client:
        for _ in range(200):
            assert (await client.get("/")).text == "Hello"


@pytest.mark.parametrize("name", ["hello", "sleeps", "in_a_thread"])
async def test_many_requests_at_once(open_session: Open, name: str) -> None:
    async with open_session(name) as session, session.client() as client:
        responses = await asyncio.gather(*(client.get("/") for _ in range(30)))
    assert [response.text for response in responses] == ["Hello"] * 30


async def test_one_worker_serves_session_after_session(open_session: Open) -> None:
    for _ in range(50):
        async with open_session("hello") as session, session.client() as client:
            assert (await client.get("/")).text == "Hello"
            peer = Peer()
            left = asyncio.ensure_future(session(HTTP, peer.receive, peer.send))
            await asyncio.sleep(0)
            left.cancel()


async def test_a_call_and_a_conversation_follow_a_session(open_session: Open, worker: Worker) -> None:
    from grader.judge.script import Script

    async with open_session("hello") as session, session.client() as client:
        await client.get("/")
    assert worker.converse([Script()], {"name": "returns"}).returned == (1, "two")


async def test_a_large_body_crosses_both_ways(open_session: Open) -> None:
    peer = Peer({"type": "event", "body": b"x" * 900_000}, {"type": "disconnect"})
    async with open_session("echo") as session:
        await session(HTTP, peer.receive, peer.send)
    (message,) = peer.messages
    assert message == {"type": "echo", "event": {"type": "event", "body": b"x" * 900_000}}


async def test_a_session_may_be_left_while_large_messages_are_on_their_way(open_session: Open) -> None:
    for _ in range(3):
        peer = Peer()
        async with open_session("slow_reader") as session:
            call = asyncio.ensure_future(session(HTTP, peer.receive, peer.send))
            await peer.sent.get()
            call.cancel()
    async with open_session("hello") as session, session.client() as client:
        assert (await client.get("/")).text == "Hello"


async def test_a_session_may_be_left_while_a_large_event_is_on_its_way(open_session: Open) -> None:
    async with open_session("echo") as session:
        peer = Peer({"type": "event", "body": b"x" * 1_000_000})
        asked = asyncio.Event()

        async def receive() -> Any:
            asked.set()
            return await peer.receive()

        call = asyncio.ensure_future(session(HTTP, receive, peer.send))
        await asked.wait()
        call.cancel()
    async with open_session("hello") as session, session.client() as client:
        assert (await client.get("/")).text == "Hello"


async def test_an_event_that_cannot_cross_is_the_tests_own_error(open_session: Open) -> None:
    from grader.worker.wire import WireError

    peer = Peer({"type": "event", "body": bytes(2 << 20)})
    async with open_session("echo") as session:
        with pytest.raises(WireError):
            await session(HTTP, peer.receive, peer.send)


# --- the judge holds the other end


async def test_an_acknowledgement_that_is_withheld_holds_the_application_back(open_session: Open) -> None:
    gate, arrived = asyncio.Event(), asyncio.Event()
    taken: list[Any] = []

    async def slow(message: Any) -> None:
        taken.append(message)
        arrived.set()
        if len(taken) == 3:
            await gate.wait()

    async with open_session("gate") as session, session.client() as client:
        streaming = asyncio.ensure_future(session(HTTP, Peer().receive, slow))
        await arrived.wait()
        progress = [(await client.get("/progress")).text for _ in range(5)]
        gate.set()
        await streaming
        finished = (await client.get("/progress")).text
    assert progress[-1] == "2"
    assert finished == "5"
    assert len(taken) == 7


async def test_a_disconnect_reaches_the_application_while_a_send_is_held_back(open_session: Open) -> None:
    """What a framework does that listens beside its answer."""
    held, listening = asyncio.Event(), asyncio.Event()
    peer = Peer({"type": "http.request"})

    async def receive() -> Any:
        if peer.events.empty():
            listening.set()
        return await peer.receive()

    async def send(message: Any) -> None:
        await listening.wait()
        held.set()

    async with open_session("races") as session:
        assert await session(HTTP, receive, send) is None
    assert held.is_set()


@pytest.mark.parametrize("error", [ConnectionResetError, BrokenPipeError, TimeoutError, OSError])
async def test_an_os_error_of_send_reaches_the_application(open_session: Open, error: type[OSError]) -> None:
    async def broken(message: Any) -> None:
        if message["number"] % 2:
            raise error("gone")

    async with open_session("send_failed") as session:
        assert await session(HTTP, Peer().receive, broken) == [error.__name__] * 2


async def test_any_other_error_of_send_is_the_tests_own(open_session: Open) -> None:
    async def wrong(message: Any) -> None:
        raise LookupError("mine")

    async with open_session("hello") as session:
        with pytest.raises(LookupError, match="mine"):
            await session(HTTP, Peer({}).receive, wrong)


async def test_a_cancelled_call_is_cancelled_in_the_application(open_session: Open) -> None:
    reached = asyncio.Event()
    peer = Peer({"type": "http.request"})

    async def receive() -> Any:
        if peer.events.empty():
            reached.set()
        return await peer.receive()

    async with open_session("tells_cancel") as session, session.client() as client:
        call = asyncio.ensure_future(session(HTTP, receive, peer.send))
        await reached.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (await client.get("/seen")).text == "cancelled,went on"


async def test_events_that_come_after_a_timeout_are_not_lost(open_session: Open) -> None:
    peer = Peer()
    empties = 0

    async def send(message: Any) -> None:
        nonlocal empties
        empties += 1
        if empties % 2 == 0:
            peer.events.put_nowait({"type": "event", "n": empties})

    async with open_session("polls") as session:
        got, empty = await session(HTTP, peer.receive, send)
    assert got == [2, 4, 6]
    assert empty == 6


async def test_interleaved_connections_do_not_mix(open_session: Open) -> None:
    peers = [Peer({"type": "event", "n": number}) for number in range(5)]
    async with open_session("echo") as session:
        calls = [asyncio.ensure_future(session(HTTP, peer.receive, peer.send)) for peer in peers]
        for number, peer in reversed(list(enumerate(peers))):
            assert (await peer.sent.get())["event"]["n"] == number
            peer.events.put_nowait({"type": "disconnect"})
        assert await asyncio.gather(*calls) == [None] * 5


async def test_websocket_messages_go_both_ways(open_session: Open) -> None:
    peer = Peer({"type": "websocket.connect"})
    async with open_session("websocket") as session:
        call = asyncio.ensure_future(session({"type": "websocket", "path": "/"}, peer.receive, peer.send))
        assert (await peer.sent.get())["type"] == "websocket.accept"
        for word in ("one", "two"):
            peer.events.put_nowait({"type": "websocket.receive", "text": word})
            assert await peer.sent.get() == {"type": "websocket.send", "text": word.upper()}
        peer.events.put_nowait({"type": "websocket.disconnect", "code": 1000})
        assert await call is None


# --- time


async def test_time_advances_when_the_judge_has_nothing_to_send(open_session: Open) -> None:
    async with open_session("sleeps", seconds=10**7) as session, session.client() as client:
        assert (await client.get("/")).text == "Hello"


async def test_waiting_at_both_ends_is_a_stall(open_session: Open) -> None:
    peer = Peer()
    with pytest.raises(ending.Stalled):
        async with open_session("echo") as session:
            await session(HTTP, peer.receive, peer.send)


async def test_a_stall_ends_every_connection(open_session: Open) -> None:
    peers = [Peer(), Peer()]
    with pytest.raises(ending.Stalled):
        async with open_session("echo") as session:
            calls = [asyncio.ensure_future(session(HTTP, peer.receive, peer.send)) for peer in peers]
            ends = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(end) for end in ends] == [ending.Stalled] * 2


async def test_a_loop_of_timers_is_no_progress(open_session: Open, worker: Worker) -> None:
    worker.guards = Guards(cpu_seconds=0.3)
    with pytest.raises(ending.TimedOut):
        async with open_session("heartbeat") as session:
            await session(HTTP, Peer().receive, Peer().send)


async def test_a_loop_that_never_ends_is_a_timeout(open_session: Open, worker: Worker) -> None:
    worker.guards = Guards(cpu_seconds=0.3)
    with pytest.raises(ending.TimedOut):
        async with open_session("computes") as session:
            await session(HTTP, Peer().receive, Peer().send)


async def test_an_endless_response_is_a_flood(open_session: Open, worker: Worker) -> None:
    worker.guards = Guards(frames=300)
    with pytest.raises(ending.Flooded):
        async with open_session("endless") as session, session.client() as client:
            await client.get("/")


async def test_a_task_that_will_not_end_is_told_when_the_session_closes(open_session: Open) -> None:
    with pytest.raises(ending.Stalled, match="cancelled"):
        async with open_session("never_ends") as session:
            waits = asyncio.Event()

            async def receive() -> Any:
                waits.set()
                await asyncio.Event().wait()

            call = asyncio.ensure_future(session(HTTP, receive, Peer().send))
            await waits.wait()
            call.cancel()


# --- lifespan and state


async def test_state_is_shared_by_identity_and_its_dict_is_not(open_session: Open) -> None:
    async with open_session("state") as session, session.lifespan(), session.client() as client:
        answers = [(await client.get("/")).text for _ in range(2)]
    assert answers == ["1 True ['mine', 'seen']", "2 True ['mine', 'seen']"]


async def test_there_is_no_state_without_a_lifespan(open_session: Open) -> None:
    async with open_session("state") as session, session.client() as client:
        with raised("KeyError"):
            await client.get("/")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"startup": "failed"}, "answered lifespan.startup with {'type': 'lifespan.startup.failed'}"),
        ({"startup": None}, "ended before it answered lifespan.startup"),
        ({"startup": "odd"}, r"answered lifespan.startup with \['odd'\]"),
        ({"shutdown": "failed"}, "answered lifespan.shutdown with .*failed"),
        ({"end": "early"}, "ended before it answered lifespan.shutdown"),
    ],
)
async def test_a_broken_lifespan_has_words(open_session: Open, config: dict[str, Any], words: str) -> None:
    with pytest.raises(Violation, match=words):
        async with open_session("lifespan", **config) as session, session.lifespan():
            pass


@pytest.mark.parametrize(
    ("config", "name"), [({"startup": "raise"}, "Teapot"), ({"shutdown": "raise"}, "ValueError")]
)
async def test_a_lifespan_that_raises_raises(open_session: Open, config: dict[str, Any], name: str) -> None:
    with pytest.raises(Raised) as caught:
        async with open_session("lifespan", **config) as session, session.lifespan():
            pass
    assert caught.value.error.name == name


async def test_an_application_that_does_not_return_after_shutdown_is_a_stall(open_session: Open) -> None:
    with pytest.raises(ending.Stalled):
        async with open_session("lifespan", end="stay") as session, session.lifespan():
            pass


async def test_the_error_of_the_block_counts_and_not_the_shutdown_after_it(open_session: Open) -> None:
    with pytest.raises(LookupError, match="mine"):
        async with open_session("lifespan", shutdown="failed") as session, session.lifespan():
            raise LookupError("mine")


# --- the protocol


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([], "returned without sending a response"),
        ([LAST], "http.response.body before http.response.start"),
        ([START, START], "a second http.response.start"),
        ([START], "returned before the response was complete"),
        ([START, MORE], "returned before the response was complete"),
        ([START, LAST, LAST], "sent http.response.body after the response was complete"),
        ([START, LAST, START], "sent http.response.start after the response was complete"),
        (
            [{"type": "http.response.end"}],
            "{'type': 'http.response.end'}, which is no message of an HTTP response",
        ),
        ([{}], "{}, which is no message"),
        ([["http.response.start"]], "which is no message"),
        ([{"type": ["http.response.start"]}], "which is no message"),
        ([{"type": b"http.response.start"}], "which is no message"),
        ([None], "None, which is no message"),
        ([{"type": "x", "size": 1 << 60_000}], "which is no message"),
        ([START | {"status": "200"}, LAST], "the status of your response must be an int, but it is '200'"),
        ([START | {"headers": {b"a": b"b"}}, LAST], "must be a list of pairs, but they are {b'a': b'b'}"),
        ([START | {"headers": [("a", "b")]}, LAST], "must be a pair of bytes, name and value, but one is"),
        ([START | {"headers": [[b"a"]]}, LAST], "must be a pair of bytes, name and value, but one is"),
        ([START, {"type": "http.response.body", "body": "text"}], "must be bytes, but it is 'text'"),
    ],
)
async def test_a_broken_response_has_words(open_session: Open, messages: list[Any], words: str) -> None:
    async with open_session("protocol", messages=messages) as session, session.client() as client:
        with pytest.raises(Violation, match=words):
            await client.get("/")


async def test_a_right_response_is_no_violation(open_session: Open) -> None:
    async with (
        open_session("protocol", messages=[START, MORE, MORE, LAST]) as session,
        session.client() as client,
    ):
        assert (await client.get("/")).content == b"xxx"


@pytest.mark.parametrize("messages", [[], [START], [START, MORE], [START, LAST]])
async def test_a_crash_in_the_middle_is_the_applications_error(
    open_session: Open, messages: list[Any]
) -> None:
    async with open_session("protocol", messages=messages, crash=True) as session, session.client() as client:
        with pytest.raises(Raised) as caught:
            await client.get("/")
        assert caught.value.error.name == "ValueError"
        assert caught.value.error.traceback[-1].file == "learner.py"


async def test_a_probe_that_cannot_make_the_application_raises(open_session: Open) -> None:
    with pytest.raises(Raised):
        async with open_session("an app of no name"):
            pass


# --- death


@pytest.mark.parametrize("name", ["dies", "exits_in_a_task"])
async def test_a_death_in_mid_session_is_a_crash(open_session: Open, worker: Worker, name: str) -> None:
    with pytest.raises(ending.Crashed, match="ended the process"):
        async with open_session(name) as session, session.client() as client:
            await client.get("/")
    assert worker.closed


async def test_a_death_is_told_even_if_the_block_swallows_it(open_session: Open) -> None:
    with pytest.raises(ending.Crashed):
        async with open_session("dies") as session, session.client() as client:
            with contextlib.suppress(ending.Crashed):
                await client.get("/")


@pytest.fixture
def subject(start_worker: Any, learner: str) -> Submission:
    """The submission as a suite has it; a fresh worker follows a dead one."""
    return Submission(lambda: start_worker.launch("apps", learner=learner), "apps")


async def test_a_fresh_worker_follows_a_dead_one(subject: Submission) -> None:
    with pytest.raises(ending.Crashed):
        async with subject.session(name="dies") as session, session.client() as client:
            await client.get("/")
    async with subject.session(name="hello") as session, session.client() as client:
        assert (await client.get("/")).text == "Hello"


async def test_the_stubs_marker_ends_a_test_through_any_net(subject: Submission) -> None:
    with pytest.raises(ending.NotAttempted):
        async with subject.session(name="stub") as session:
            with raised("Exception"):
                await session(HTTP, Peer().receive, Peer().send)


# --- a real server


@contextlib.asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """The application under uvicorn on a free port of the loopback; gives its address."""
    import socket

    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="on", ws="none"))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    started = asyncio.Event()
    startup = server.startup

    async def told(**options: Any) -> None:
        await startup(**options)
        started.set()

    server.startup = told  # type: ignore[method-assign]
    running = asyncio.ensure_future(server._serve(sockets=[listener]))
    try:
        waiting = asyncio.ensure_future(started.wait())
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
        listener.close()


async def test_the_application_runs_under_a_real_server(open_session: Open) -> None:
    async with open_session("state", real_time=True) as session, serving(session) as address:
        async with httpx.AsyncClient(base_url=address) as client:
            answers = [(await client.get("/")).text for _ in range(3)]
    assert answers == [f"{number} True ['mine', 'seen']" for number in (1, 2, 3)]


async def test_a_streamed_answer_comes_through_a_real_server(open_session: Open) -> None:
    messages = [START, *[MORE] * 50, LAST]
    async with open_session("protocol", real_time=True, messages=messages) as session:
        async with serving(_without_lifespan(session)) as address, httpx.AsyncClient() as client:
            assert (await client.get(address)).content == b"x" * 51


def _without_lifespan(session: Session) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await session(scope, receive, send)

    return app
