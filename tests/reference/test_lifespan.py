"""The reference's lifespan: hooks and a manager that fail anywhere, under servers that say anything."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from fastasgi_reference.lifespan import Lifespan
from tests.reference.conversation import (
    Checker,
    Log,
    Message,
    http_scope,
    lifespan_scope,
    play,
    websocket_scope,
)
from tests.reference.rules import enforces

STARTUP = {"type": "lifespan.startup"}
SHUTDOWN = {"type": "lifespan.shutdown"}
COMPLETE = {"type": "lifespan.startup.complete"}
ENDED = {"type": "lifespan.shutdown.complete"}


async def run(lifespan: Lifespan, *events: Message, **options: Any) -> Log:
    return await play(lifespan, lifespan_scope(), events or (STARTUP, SHUTDOWN), **options)


def failed(phase: str, message: str) -> Message:
    return {"type": f"lifespan.{phase}.failed", "message": message}


class Journal:
    """What the steps of a lifespan write down."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def hook(
        self, name: str, error: BaseException | None = None, *, plain: bool = False
    ) -> Callable[[], Any]:
        def step() -> None:
            self.steps.append(name)
            if error is not None:
                raise error

        async def asynchronous() -> None:
            await asyncio.sleep(0)
            step()

        return step if plain else asynchronous

    def manager(
        self, state: Any = None, *, enter: Exception | None = None, leave: Exception | None = None
    ) -> Callable[[Any], Any]:
        @asynccontextmanager
        async def manage(app: Any) -> AsyncIterator[Any]:
            self.hook("enter", enter, plain=True)()
            try:
                yield state
            except BaseException as error:
                self.steps.append(f"thrown {type(error).__name__}")
                raise
            finally:
                self.hook("exit", leave, plain=True)()

        return manage


# ----------------------------------------------------------------------------------------------------------------
# The order of things


@enforces("LIFE-APP-01", "LIFE-APP-02", "LIFE-APP-10")
async def test_hooks_run_in_order_and_back_with_the_manager_outermost() -> None:
    journal = Journal()
    lifespan = Lifespan(journal.manager())
    lifespan.on_shutdown(journal.hook("down 1"))
    lifespan.on_startup(journal.hook("up 1"))
    lifespan.on_startup(journal.hook("up 2", plain=True))
    lifespan.on_shutdown(journal.hook("down 2", plain=True))

    async def send(message: Message, /) -> None:
        journal.steps.append(message["type"].removeprefix("lifespan."))

    events = iter([STARTUP, SHUTDOWN])

    async def receive() -> Message:
        event = next(events)
        journal.steps.append(event["type"].removeprefix("lifespan."))
        return event

    expected = [
        *["startup", "enter", "up 1", "up 2", "startup.complete"],
        *["shutdown", "down 2", "down 1", "exit", "shutdown.complete"],
    ]
    await lifespan(lifespan_scope(), receive, send)
    assert journal.steps == expected
    events = iter([STARTUP, SHUTDOWN])
    await lifespan(lifespan_scope(), receive, send)  # once for each call
    assert journal.steps == expected * 2


@enforces("LIFE-APP-01", "LIFE-APP-02")
async def test_between_startup_and_shutdown_the_call_waits() -> None:
    journal = Journal()
    lifespan = Lifespan(journal.manager())
    log = await run(lifespan, STARTUP, stop_when_parked=True)
    assert (log.sent, log.parked) == ([COMPLETE], True)
    assert journal.steps == ["enter", "thrown CancelledError", "exit"]
    assert log.raised is None  # the cancellation went through


@enforces("LIFE-APP-06", "APP-SCOPE-04", "APP-SCOPE-05", "APP-EVT-02")
@pytest.mark.parametrize(
    "keys", [{"asgi": ...}, {"state": ...}, {"asgi": {}}, {"zzz": object()}, {"asgi": None}]
)
async def test_only_the_type_of_the_scope_is_needed(keys: dict[str, Any]) -> None:
    events = [{**STARTUP, "zzz": 1}, {**SHUTDOWN, "zzz": 1}]
    log = await play(Lifespan(), lifespan_scope(**keys), events, end="raise")
    assert (log.sent, log.raised) == ([COMPLETE, ENDED], None)


@enforces("APP-SCOPE-02")
@pytest.mark.parametrize("scope", [http_scope(), websocket_scope(), {"type": "mqtt"}])
async def test_connections_of_other_kinds_are_refused(scope: dict[str, Any]) -> None:
    log = await play(Lifespan(), scope)
    assert isinstance(log.raised, RuntimeError)
    assert (log.sent, log.received) == ([], 0)


def test_hooks_are_given_back_as_decorators_do() -> None:
    lifespan = Lifespan()

    def hook() -> None:
        pass

    assert lifespan.on_startup(hook) is hook
    assert lifespan.on_shutdown(hook) is hook


async def test_the_manager_gets_the_application() -> None:
    seen: list[Any] = []

    @asynccontextmanager
    async def manager(app: Any) -> AsyncIterator[None]:
        seen.append(app)
        yield

    app = object()
    await run(Lifespan(manager, app=app))
    await run(Lifespan(manager))
    assert seen == [app, None]


async def test_startup_and_shutdown_run_in_one_task() -> None:
    tasks: list[Any] = []

    async def hook() -> None:
        tasks.append(asyncio.current_task())

    @asynccontextmanager
    async def manager(app: Any) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            group.create_task(hook())
            tasks.append(asyncio.current_task())
            yield

    lifespan = Lifespan(manager)
    lifespan.on_startup(hook)
    lifespan.on_shutdown(hook)
    log = await run(lifespan)
    assert log.raised is None
    assert len(set(tasks)) == 2  # the one of the group, and the one of all else


# ----------------------------------------------------------------------------------------------------------------
# State


@enforces("LIFE-APP-07", "LIFE-APP-08")
async def test_state_goes_into_the_dict_that_the_server_gave() -> None:
    database = object()
    state = {"server": 1}
    seen: list[Any] = []

    async def send(message: Message) -> None:
        seen.append(dict(state))

    events = iter([STARTUP, SHUTDOWN])

    async def receive() -> Message:
        return next(events)

    lifespan = Lifespan(Journal().manager({"database": database}))
    await lifespan(lifespan_scope(state=state), receive, send)
    assert state == seen[0] == {"server": 1, "database": database}
    assert state["database"] is database


@enforces("LIFE-APP-09", "LIFE-APP-04")
@pytest.mark.parametrize("kept", [..., None])
async def test_state_without_a_server_that_keeps_it_fails_the_startup(kept: Any) -> None:
    journal = Journal()
    log = await play(Lifespan(journal.manager({"a": 1})), lifespan_scope(state=kept), [STARTUP, SHUTDOWN])
    assert log.types == ["lifespan.startup.failed"]
    assert "this server does not keep any" in log.sent[0]["message"]
    assert isinstance(log.raised, RuntimeError)
    assert journal.steps == ["enter", "thrown RuntimeError", "exit"]


@enforces("LIFE-APP-06")
@pytest.mark.parametrize("state", [None, {}])
async def test_no_state_needs_no_server_that_keeps_it(state: Any) -> None:
    log = await play(Lifespan(Journal().manager(state)), lifespan_scope(state=...), [STARTUP, SHUTDOWN])
    assert log.sent == [COMPLETE, ENDED]


# ----------------------------------------------------------------------------------------------------------------
# Failures


@enforces("LIFE-APP-03", "LIFE-APP-04", "LIFE-APP-11")
async def test_a_startup_hook_that_fails_ends_it() -> None:
    journal, error = Journal(), LookupError("no database")
    lifespan = Lifespan(journal.manager())
    lifespan.on_startup(journal.hook("up 1", error))
    lifespan.on_startup(journal.hook("up 2"))
    lifespan.on_shutdown(journal.hook("down"))
    log = await run(lifespan, end="raise")
    assert log.sent == [failed("startup", "LookupError: no database")]
    assert (log.raised, log.received) == (error, 1)
    assert journal.steps == ["enter", "up 1", "thrown LookupError", "exit"]


@enforces("LIFE-APP-03")
async def test_a_manager_that_cannot_be_entered_fails_the_startup() -> None:
    journal, error = Journal(), LookupError("no database")
    lifespan = Lifespan(journal.manager(enter=error))
    lifespan.on_startup(journal.hook("up"))
    lifespan.on_shutdown(journal.hook("down"))
    log = await run(lifespan)
    assert (log.sent, log.raised) == ([failed("startup", "LookupError: no database")], error)
    assert journal.steps == ["enter"]


@enforces("LIFE-APP-05", "LIFE-APP-11")
async def test_a_shutdown_hook_that_fails_stops_no_other_step() -> None:
    journal, error = Journal(), LookupError("still busy")

    @asynccontextmanager
    async def manager(app: Any) -> AsyncIterator[None]:
        yield
        journal.steps.append("exit")  # not in a `finally`, and reached all the same

    lifespan = Lifespan(manager)
    lifespan.on_shutdown(journal.hook("down 1"))
    lifespan.on_shutdown(journal.hook("down 2", error))
    lifespan.on_shutdown(journal.hook("down 3"))
    log = await run(lifespan)
    assert (log.sent, log.raised) == ([COMPLETE, failed("shutdown", "LookupError: still busy")], error)
    assert journal.steps == ["down 3", "down 2", "down 1", "exit"]


@enforces("LIFE-APP-05")
async def test_a_manager_that_cannot_be_exited_fails_the_shutdown() -> None:
    journal, error = Journal(), LookupError("still busy")
    lifespan = Lifespan(journal.manager(leave=error))
    lifespan.on_shutdown(journal.hook("down", ValueError()))
    log = await run(lifespan)
    assert (log.sent, log.raised) == ([COMPLETE, failed("shutdown", "LookupError: still busy")], error)
    assert journal.steps == ["enter", "down", "exit"]


@enforces("LIFE-APP-05")
async def test_of_several_shutdown_hooks_that_fail_none_is_forgotten() -> None:
    journal, first, second = Journal(), LookupError("first"), ValueError("second")
    lifespan = Lifespan()
    lifespan.on_shutdown(journal.hook("down 1", second))
    lifespan.on_shutdown(journal.hook("down 2", first))
    log = await run(lifespan)
    assert log.types == ["lifespan.startup.complete", "lifespan.shutdown.failed"]
    assert isinstance(log.raised, ValueError)
    assert log.raised.__context__ is first


@pytest.mark.parametrize("manager", [lambda app: None, lambda app: threading.Lock(), lambda app: iter(())])
async def test_what_is_no_asynchronous_context_manager_fails_the_startup(manager: Any) -> None:
    log = await run(Lifespan(manager))
    assert log.types == ["lifespan.startup.failed"]
    assert "decorate it by @asynccontextmanager" in log.sent[0]["message"]
    assert isinstance(log.raised, TypeError)


async def test_a_generator_that_is_not_decorated_fails_the_startup() -> None:
    async def manager(app: Any) -> AsyncIterator[None]:
        yield

    log = await run(Lifespan(manager))  # type: ignore[arg-type]
    assert isinstance(log.raised, TypeError)


@asynccontextmanager
async def swallows(app: Any) -> AsyncIterator[None]:
    with suppress(BaseException):
        yield


@enforces("LIFE-APP-03", "LIFE-APP-04")
async def test_a_startup_failure_is_told_even_where_the_manager_swallows_it() -> None:
    lifespan = Lifespan(swallows)
    lifespan.on_startup(Journal().hook("up", LookupError()))
    log = await run(lifespan, end="raise")
    assert log.types == ["lifespan.startup.failed"]
    assert isinstance(log.raised, RuntimeError)
    assert log.received == 1


@enforces("LIFE-APP-05")
async def test_a_shutdown_failure_is_told_even_where_the_manager_swallows() -> None:
    lifespan = Lifespan(swallows)
    lifespan.on_shutdown(Journal().hook("down", LookupError("busy")))
    log = await run(lifespan)
    assert log.sent == [COMPLETE, failed("shutdown", "LookupError: busy")]


@enforces("LIFE-APP-13")
async def test_a_manager_that_swallows_hides_no_mistake_of_the_server() -> None:
    log = await run(Lifespan(swallows), STARTUP, STARTUP)
    assert log.sent == [COMPLETE]
    assert isinstance(log.raised, RuntimeError)


@enforces("APP-ERR-01")
@pytest.mark.parametrize("place", [0, 1])
async def test_what_was_entered_is_exited_when_send_fails(place: int) -> None:
    journal, error = Journal(), OSError("gone")
    lifespan = Lifespan(journal.manager())
    lifespan.on_shutdown(journal.hook("down"))
    log = await run(lifespan, fail_send_at=place, error=error)
    assert (len(log.sent), log.raised) == (place + 1, error)
    assert journal.steps[-1] == "exit"
    assert journal.steps.count("down") == journal.steps.count("exit") == 1


# ----------------------------------------------------------------------------------------------------------------
# Servers that say something else


@enforces("LIFE-APP-13", "APP-EVT-01")
@pytest.mark.parametrize("event", [SHUTDOWN, {"type": "lifespan.zzz"}, {"type": "http.request"}])
async def test_what_comes_before_startup_is_refused(event: Message) -> None:
    journal = Journal()
    lifespan = Lifespan(journal.manager())
    lifespan.on_startup(journal.hook("up"))
    lifespan.on_shutdown(journal.hook("down"))
    log = await run(lifespan, event)
    assert isinstance(log.raised, RuntimeError)
    assert (log.sent, journal.steps) == ([], [])


@enforces("LIFE-APP-13", "APP-EVT-01")
@pytest.mark.parametrize("event", [STARTUP, {"type": "lifespan.zzz"}])
async def test_what_comes_instead_of_shutdown_is_refused(event: Message) -> None:
    journal = Journal()
    lifespan = Lifespan(journal.manager())
    lifespan.on_startup(journal.hook("up"))
    lifespan.on_shutdown(journal.hook("down"))
    log = await run(lifespan, STARTUP, event)
    assert isinstance(log.raised, RuntimeError)
    assert log.sent == [COMPLETE]
    assert journal.steps == ["enter", "up", "down", "thrown RuntimeError", "exit"]


# ----------------------------------------------------------------------------------------------------------------
# Any steps, any events


class LifespanMachine(RuleBasedStateMachine):
    """One lifespan call after another, against what the steps that it was given foretell."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.journal = Journal()
        self.up: list[bool] = []
        self.down: list[bool] = []
        self.call: asyncio.Task[None] | None = None

    def teardown(self) -> None:
        self.runner.close()

    @initialize(manager=st.sampled_from([None, "fine", "enter", "leave"]))
    def make(self, manager: str | None) -> None:
        self.manager = manager
        errors = {"enter": "enter", "leave": "leave"}
        options = {errors[manager]: LookupError(manager)} if manager in errors else {}
        self.lifespan = Lifespan(None if manager is None else self.journal.manager({"a": 1}, **options))  # type: ignore[arg-type]

    @precondition(lambda self: self.call is None)
    @rule(fails=st.booleans(), plain=st.booleans())
    def add_startup(self, fails: bool, plain: bool) -> None:
        name = f"up {len(self.up)}"
        self.up.append(fails)
        self.lifespan.on_startup(self.journal.hook(name, LookupError(name) if fails else None, plain=plain))

    @precondition(lambda self: self.call is None)
    @rule(fails=st.booleans(), plain=st.booleans())
    def add_shutdown(self, fails: bool, plain: bool) -> None:
        name = f"down {len(self.down)}"
        self.down.append(fails)
        self.lifespan.on_shutdown(self.journal.hook(name, LookupError(name) if fails else None, plain=plain))

    @precondition(lambda self: self.call is None)
    @rule(
        event=st.sampled_from(["lifespan.startup", "lifespan.startup", "lifespan.shutdown", "lifespan.zzz"])
    )
    def begin(self, event: str) -> None:
        """A new call, and its first event."""
        self.journal.steps.clear()
        self.sent: list[Message] = []
        self.state: dict[str, Any] = {}
        checker = Checker({"type": "lifespan"})
        self.events: asyncio.Queue[Message] = asyncio.Queue()
        self.idle = False

        async def receive() -> Message:
            self.idle = self.events.empty()
            return await self.events.get()

        async def send(message: Message, /) -> None:
            checker.check(message)
            self.sent.append(message)

        async def start() -> asyncio.Task[None]:
            return asyncio.ensure_future(self.lifespan(lifespan_scope(state=self.state), receive, send))

        self.call = self.runner.run(start())
        raised = self.give(event)
        if event != "lifespan.startup":
            self.over(raised, RuntimeError, [], [])
            return
        entered, exited = ([] if self.manager is None else ["enter"]), self.exit_steps("thrown LookupError")
        ups = [f"up {number}" for number in range(len(self.up))]
        if self.manager == "enter":
            self.over(raised, LookupError, ["enter"], ["lifespan.startup.failed"])
        elif True in self.up:
            steps = entered + ups[: self.up.index(True) + 1] + exited
            self.over(raised, LookupError, steps, ["lifespan.startup.failed"])
        else:
            assert self.call is not None
            assert not self.call.done()
            assert self.journal.steps == entered + ups
            assert self.sent == [COMPLETE]
            assert self.state == ({} if self.manager is None else {"a": 1})

    @precondition(lambda self: self.call is not None)
    @rule(event=st.sampled_from(["lifespan.shutdown", "lifespan.shutdown", "lifespan.startup", "cancel"]))
    def end(self, event: str) -> None:
        """The second event, or the server gives the call up."""
        before = list(self.journal.steps)
        raised = self.give(event)
        downs = [f"down {number}" for number in reversed(range(len(self.down)))]
        if event == "lifespan.shutdown":
            fails = True in self.down or self.manager == "leave"
            told = ["lifespan.startup.complete", f"lifespan.shutdown.{'failed' if fails else 'complete'}"]
            steps = before + downs + self.exit_steps()
            self.over(raised, LookupError if fails else None, steps, told)
            return
        own = asyncio.CancelledError if event == "cancel" else RuntimeError
        last = LookupError if True in self.down else own
        steps = before + downs + self.exit_steps(f"thrown {last.__name__}")
        kind = LookupError if self.manager == "leave" else last
        self.over(raised, kind, steps, ["lifespan.startup.complete"])

    def exit_steps(self, *thrown: str) -> list[str]:
        return [] if self.manager is None else [*thrown, "exit"]

    def give(self, event: str) -> BaseException | None:
        """Give the call one event, or cancel it, and let it run until it waits or ends."""
        assert self.call is not None
        call = self.call

        async def turn() -> None:
            self.idle = False
            if event == "cancel":
                call.cancel()
            else:
                self.events.put_nowait({"type": event})
            while not (call.done() or self.idle):  # noqa: ASYNC110 - what ends it is no event
                await asyncio.sleep(0)

        self.runner.run(turn())
        if not call.done():
            return None
        return asyncio.CancelledError() if call.cancelled() else call.exception()

    def over(self, raised: BaseException | None, kind: Any, steps: list[str], told: list[str]) -> None:
        assert self.call is not None
        assert self.call.done()
        assert type(raised) is (type(None) if kind is None else kind)
        assert self.journal.steps == steps
        assert [message["type"] for message in self.sent] == told
        self.call = None

    @invariant()
    def nothing_else_runs(self) -> None:
        async def tasks() -> set[Any]:
            return asyncio.all_tasks() - {asyncio.current_task()}

        assert self.runner.run(tasks()) <= {self.call}


@enforces(
    *["LIFE-APP-01", "LIFE-APP-02", "LIFE-APP-03", "LIFE-APP-04", "LIFE-APP-05", "LIFE-APP-07"],
    *["LIFE-APP-11", "LIFE-APP-13"],
)
def test_any_steps_and_any_events() -> None:
    run_state_machine_as_test(
        LifespanMachine, settings=settings(max_examples=60, stateful_step_count=12, deadline=None)
    )


@enforces("APP-CALL-03")
@given(order=st.permutations(range(3)))
async def test_lifespans_at_the_same_time_stay_apart(order: list[int]) -> None:
    journal = Journal()
    lifespan = Lifespan(journal.manager({"a": 1}))
    states: list[dict[str, Any]] = [{} for _ in order]
    queues: list[asyncio.Queue[Message]] = [asyncio.Queue() for _ in order]
    started = asyncio.Barrier(len(order) + 1)

    def call(number: int) -> Awaitable[None]:
        async def send(message: Message) -> None:
            if message == COMPLETE:
                await started.wait()

        return lifespan(lifespan_scope(state=states[number]), queues[number].get, send)

    calls = [asyncio.ensure_future(call(number)) for number in range(3)]
    for queue in queues:
        queue.put_nowait(STARTUP)
    await started.wait()
    for place, number in enumerate(order, start=1):
        queues[number].put_nowait(SHUTDOWN)
        await calls[number]
        assert journal.steps.count("exit") == place
    assert states == [{"a": 1}] * 3
    assert journal.steps == ["enter"] * 3 + ["exit"] * 3
