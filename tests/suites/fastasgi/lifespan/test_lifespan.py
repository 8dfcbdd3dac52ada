"""Judges the lifespan by a table: what an event means in a state, and what has to happen then.

Rule 1: `foretold` walks through the events of a case by the table, and gives all that has to happen, in order.
Rule 2: steps note what they do; `steps` is all that did happen.
Rule 3: a test about one kind of failure lets nothing else fail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from grader.suite import Script, Submission, Transcript, raised, requirement
from grader.suite import strategies as asgi

STARTUP, SHUTDOWN = "lifespan.startup", "lifespan.shutdown"
BOTH = (STARTUP, SHUTDOWN)
FAILING = frozenset({"raises", "raises late"})
"""Hooks that raise."""


# --- the table ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """Hooks and a manager as the probe makes them, the events that come, and where the server breaks."""

    up: Sequence[str] = ()
    down: Sequence[str] = ()
    manages: str | None = None
    events: Sequence[str] = BOTH
    breaks: str | None = None

    @property
    def config(self) -> dict[str, Any]:
        """What the probe is told."""
        return {
            "up": list(self.up),
            "down": list(self.down),
            "manages": self.manages,
            "breaks": self.breaks,
        }


@dataclass
class Walk:
    """One call: in which state it is, and what has happened."""

    case: Case
    state: str = "new"
    steps: list[str] = field(default_factory=list)

    def start(self) -> None:
        """Enter the manager and run the startup hooks, up to the first that raises."""
        case, fails = self.case, self.case.manages in ("enter raises", "impossible")
        if case.manages is not None:
            self.steps.append("enter")
        for number, does in enumerate(case.up):
            if fails:
                break
            self.steps.append(f"up {number}")
            fails = does in FAILING
            if fails:
                self.leave()
        if fails:
            self.end("→ lifespan.startup.failed", "raised")
        elif self.send("→ lifespan.startup.complete"):
            self.state = "started"
        else:
            self.clean_up("raised")

    def stop(self) -> None:
        """Run the shutdown hooks, exit the manager, and tell how it went."""
        if self.case.breaks == "receive":
            self.steps.pop()
            self.clean_up("raised", f"← {SHUTDOWN}")
            return
        self.run_back()
        self.leave()
        if FAILING & set(self.case.down) or self.case.manages == "exit raises":
            self.end("→ lifespan.shutdown.failed", "raised")
        else:
            fine = self.send("→ lifespan.shutdown.complete")
            self.end("returned" if fine else "raised")

    def refuse(self) -> None:
        """A wrong event."""
        if self.state == "new":
            self.end("raised")
        else:
            self.clean_up("raised")

    def clean_up(self, how: str, *before: str) -> None:
        """The call ends without a shutdown."""
        self.steps += before
        self.run_back()
        self.leave()
        self.end(how)

    def run_back(self) -> None:
        self.steps += [f"down {number}" for number in reversed(range(len(self.case.down)))]

    def leave(self) -> None:
        if self.case.manages not in (None, "enter raises", "impossible"):
            self.steps.append("exit")

    def send(self, step: str) -> bool:
        """Whether the server takes the message."""
        self.steps.append(step)
        return step != f"→ {self.case.breaks}"

    def end(self, *steps: str) -> None:
        self.steps += steps
        self.state = "over"


TABLE: Mapping[tuple[str, str], Callable[[Walk], None]] = {
    ("new", STARTUP): Walk.start,
    ("started", SHUTDOWN): Walk.stop,
}
"""What an event means in a state. Everything else is refused."""


def foretold(case: Case) -> list[str]:
    """All that has to happen. A call that still waits after the last event is cancelled."""
    walk = Walk(case)
    for event in case.events:
        if walk.state != "over":
            walk.steps.append(f"← {event}")
            TABLE.get((walk.state, event), Walk.refuse)(walk)
    if walk.state == "started":
        walk.clean_up("cancelled")
    return walk.steps


# --- what happened ------------------------------------------------------------------------------------------


def run(submission: Submission, case: Case, scope: Mapping[str, Any] | None = None) -> Transcript:
    """The conversation of a case."""
    script = Script(
        scope=scope or asgi.lifespan_scope(),
        events=[{"type": event} for event in case.events],
        end="block",
        cancel_when_blocked=True,
    )
    return submission.converse(script, **case.config)


def steps(transcript: Transcript) -> list[str]:
    """All that happened, in order: notes, types of events and messages, and how the call ended."""
    found = []
    for event, step in zip(transcript.events, transcript.sequence, strict=True):
        is_note = event.kind == "sent" and event.value.get("type") == "probe.note"
        found.append(event.value["text"] if is_note else step)
    return found


def messages(transcript: Transcript, kind: str) -> list[Any]:
    """The messages of that type that were sent."""
    return [message for message in transcript.sent if message.get("type") == kind]


def tells(submission: Submission, case: Case, kind: str, reasons: set[str]) -> None:
    """What was foretold happens; the message of that kind, and the exception, tell one of the reasons."""
    transcript = run(submission, case)
    assert steps(transcript) == foretold(case)
    [message] = messages(transcript, kind)
    words = message.get("message")
    assert any(reason in str(words) for reason in reasons), f"`message` has to hold {reasons}, not {words!r}"
    assert transcript.raised is not None
    assert (transcript.raised.name, transcript.raised.message) in {("Failure", reason) for reason in reasons}


# --- what is drawn ------------------------------------------------------------------------------------------

FINE = st.lists(st.just("async"), max_size=2)
ANY = st.lists(st.sampled_from(["async", "raises", "raises late"]), max_size=3)
MANAGERS = st.sampled_from([None, "fine"])


# ---- SPAN-01: startup ----------------------------------------------------------------------------


@requirement("SPAN-01")
@given(up=st.lists(st.just("async"), max_size=5))
@example(up=[])
@example(up=["async"])
@example(up=["async", "async", "async"])
def test_startup_hooks_run_in_order(submission: Submission, up: list[str]) -> None:
    """On `lifespan.startup` the hooks run in the order in which they were added; then it is answered, once."""
    case = Case(up, events=[STARTUP])
    transcript = run(submission, case)
    expected = foretold(case)[:-1]
    assert steps(transcript)[: len(expected)] == expected
    assert messages(transcript, "lifespan.startup.complete") == [{"type": "lifespan.startup.complete"}]


# ---- SPAN-02: shutdown ---------------------------------------------------------------------------


@requirement("SPAN-02")
@given(up=FINE, down=st.lists(st.just("async"), max_size=5))
@example(up=[], down=[])
@example(up=["async"], down=["async", "async", "async"])
def test_shutdown_hooks_run_back(submission: Submission, up: list[str], down: list[str]) -> None:
    """The same call waits for `lifespan.shutdown`, runs the hooks that were added last first, answers and returns."""
    case = Case(up, down)
    transcript = run(submission, case)
    assert steps(transcript) == foretold(case)
    assert messages(transcript, "lifespan.shutdown.complete") == [{"type": "lifespan.shutdown.complete"}]


# ---- SPAN-03: hooks ------------------------------------------------------------------------------


@requirement("SPAN-03")
@given(
    up=st.lists(st.sampled_from(["plain", "async", "awaitable"]), max_size=3),
    down=st.lists(st.sampled_from(["plain", "async", "awaitable"]), max_size=3),
)
@example(up=["plain"], down=["async"])
@example(up=["async"], down=["plain"])
@example(up=["awaitable"], down=["awaitable"])
def test_hooks_are_async_or_plain(submission: Submission, up: list[str], down: list[str]) -> None:
    """A plain hook is called in the event loop; what a hook returns is awaited, if it can be."""
    case = Case(up, down)
    assert steps(run(submission, case)) == foretold(case)


@requirement("SPAN-03")
@given(how=st.sampled_from(["startup", "shutdown"]))
@example(how="startup")
@example(how="shutdown")
def test_a_hook_is_given_back(submission: Submission, how: str) -> None:
    """`on_startup` and `on_shutdown` return the hook, so that they can stand as decorators above a function."""
    assert submission.call("same_object", how=how) is True


# ---- SPAN-04: the manager ------------------------------------------------------------------------


@requirement("SPAN-04")
@given(manages=st.sampled_from(["fine", "a class", "behind the yield", "with tasks"]), up=FINE, down=FINE)
@example(manages="fine", up=[], down=[])
@example(manages="fine", up=["async"], down=["async"])
@example(manages="a class", up=[], down=[])
@example(manages="with tasks", up=[], down=[])
def test_the_manager_is_outermost(
    submission: Submission, manages: str, up: list[str], down: list[str]
) -> None:
    """The manager is entered before the first hook and exited after the last, and before the answer."""
    case = Case(up, down, manages)
    assert steps(run(submission, case)) == foretold(case)


@requirement("SPAN-04")
@given(named=st.sampled_from([None, "my application"]))
@example(named="my application")
@example(named=None)
def test_the_manager_gets_the_application(submission: Submission, named: str | None) -> None:
    """The manager is called with the `app` that the Lifespan was made with, or None."""
    script = Script(scope=asgi.lifespan_scope(), events=[{"type": event} for event in BOTH])
    transcript = submission.converse(script, manages="names the application", named=named)
    expected = foretold(Case(manages="fine"))
    expected[1] = f"enter for {named}"
    assert steps(transcript) == expected


# ---- SPAN-05, SPAN-06: state ---------------------------------------------------------------------


STATES = st.dictionaries(st.sampled_from(["database", "cache"]), st.integers(0, 9), max_size=2)


def state_kept(submission: Submission, scope: Mapping[str, Any], state: dict[str, int] | None) -> Transcript:
    """A whole conversation with a manager that gives this state."""
    script = Script(scope=scope, events=[{"type": event} for event in BOTH])
    return submission.converse(script, maker="with_state", state=state)


@requirement("SPAN-05")
@given(state=st.none() | STATES, server=STATES)
@example(state={"database": 1}, server={})
@example(state={"database": 1}, server={"cache": 2})
@example(state={"database": 1}, server={"database": 2})
@example(state=None, server={"cache": 2})
def test_state_goes_into_the_dict_of_the_server(
    submission: Submission, state: dict[str, int] | None, server: dict[str, int]
) -> None:
    """The manager's items are in the server's own dict, beside its own, when the startup is answered."""
    transcript = state_kept(submission, asgi.lifespan_scope(state=server), state)
    _ = transcript.returned
    [told] = messages(transcript, "probe.state")
    assert told["state"] == server | (state or {}), (
        "what the server's dict held when the startup was answered"
    )
    assert transcript.scopes[0]["state"] == server | (state or {})
    assert transcript.identities[0]["state"], 'update the dict at scope["state"], do not replace it'


@requirement("SPAN-06")
@given(
    scope=st.sampled_from(
        [
            {"type": "lifespan"},
            {"type": "lifespan", "state": None},
            {"type": "lifespan", "asgi": {"version": "3.0"}},
            {"type": "lifespan", "asgi": {}, "x.id": 1},
        ]
    ),
    state=st.none() | st.just({}),
)
@example(scope={"type": "lifespan"}, state=None)
@example(scope={"type": "lifespan"}, state={})
@example(scope={"type": "lifespan", "state": None}, state=None)
def test_only_the_type_is_needed(
    submission: Submission, scope: dict[str, Any], state: dict[str, int] | None
) -> None:
    """Where there is no state to keep, a scope needs no more than its type."""
    transcript = state_kept(submission, scope, state)
    assert transcript.returned is None
    kinds = [message["type"] for message in transcript.sent if message["type"].startswith("lifespan")]
    assert kinds == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@requirement("SPAN-06")
@given(scope=st.sampled_from([{"type": "lifespan"}, {"type": "lifespan", "state": None}]))
@example(scope={"type": "lifespan"})
@example(scope={"type": "lifespan", "state": None})
def test_state_that_nobody_keeps_fails_the_startup(submission: Submission, scope: dict[str, Any]) -> None:
    """State is kept by a server that has a dict for it; another one's startup fails with a RuntimeError."""
    kept = state_kept(submission, asgi.lifespan_scope(), {"database": 1})
    assert kept.scopes[0]["state"] == {"database": 1}
    lost = state_kept(submission, scope, {"database": 1})
    assert [message["type"] for message in lost.sent if message["type"] != "probe.note"] == [
        "lifespan.startup.failed"
    ]
    with raised("RuntimeError"):
        _ = lost.returned


# ---- SPAN-07, SPAN-08: a startup that fails ------------------------------------------------------


@requirement("SPAN-07")
@given(before=FINE, does=st.sampled_from(["raises", "raises late"]), after=FINE, down=FINE)
@example(before=[], does="raises", after=[], down=[])
@example(before=["async"], does="raises late", after=["async"], down=["async"])
def test_a_startup_hook_that_raises_ends_the_startup(
    submission: Submission, before: list[str], does: str, after: list[str], down: list[str]
) -> None:
    """After a startup hook that raises no other step is begun; the server is told, and the exception raised."""
    case = Case([*before, does, *after], down)
    tells(submission, case, "lifespan.startup.failed", {f"up {len(before)}"})


@requirement("SPAN-07")
@given(up=FINE, down=FINE)
@example(up=[], down=[])
@example(up=["async"], down=["async"])
def test_a_manager_that_cannot_be_entered_ends_the_startup(
    submission: Submission, up: list[str], down: list[str]
) -> None:
    """A manager that raises when it is entered fails the startup as a hook does; it is not exited."""
    tells(submission, Case(up, down, "enter raises"), "lifespan.startup.failed", {"enter"})


@requirement("SPAN-07")
@given(up=FINE, down=FINE)
@example(up=["async"], down=["async"])
def test_a_manager_that_is_none_ends_the_startup(
    submission: Submission, up: list[str], down: list[str]
) -> None:
    """What is no asynchronous context manager fails the startup, as any exception does."""
    case = Case(up, down, "impossible")
    assert steps(run(submission, case)) == foretold(case)


@requirement("SPAN-08")
@given(before=FINE, manages=st.sampled_from(["fine", "a class"]), down=FINE)
@example(before=[], manages="fine", down=[])
@example(before=["async"], manages="a class", down=["async"])
def test_a_manager_is_exited_before_the_failure_is_told(
    submission: Submission, before: list[str], manages: str, down: list[str]
) -> None:
    """Where a startup hook raises, the manager that was entered is exited, and then the server is told."""
    case = Case([*before, "raises"], down, manages)
    assert steps(run(submission, case)) == foretold(case)


# ---- SPAN-09: a shutdown that fails --------------------------------------------------------------


@requirement("SPAN-09")
@given(down=ANY.filter(FAILING.intersection), manages=MANAGERS)
@example(down=["raises"], manages=None)
@example(down=["async", "raises", "async"], manages=None)
@example(down=["raises", "raises late"], manages=None)
@example(down=["async", "raises late"], manages="fine")
def test_a_shutdown_hook_that_raises_stops_no_other_step(
    submission: Submission, down: list[str], manages: str | None
) -> None:
    """All shutdown hooks have their turn, and the manager; then the server is told, and the exception raised."""
    reasons = {f"down {number}" for number, does in enumerate(down) if does in FAILING}
    tells(submission, Case(["async"], down, manages), "lifespan.shutdown.failed", reasons)


@requirement("SPAN-09")
@given(down=ANY)
@example(down=["raises"])
@example(down=["async", "raises late", "async"])
def test_a_hook_that_raises_is_not_the_managers_affair(submission: Submission, down: list[str]) -> None:
    """The manager is exited as if all had gone well: what stands behind its `yield` runs, without a `finally` too."""
    case = Case((), down, "behind the yield")
    assert steps(run(submission, case)) == foretold(case)


@requirement("SPAN-09")
@given(down=ANY)
@example(down=[])
@example(down=["async"])
@example(down=["raises"])
def test_a_manager_that_cannot_be_exited_fails_the_shutdown(submission: Submission, down: list[str]) -> None:
    """A manager that raises when it is exited fails the shutdown as a hook does."""
    reasons = {f"down {number}" for number, does in enumerate(down) if does in FAILING} | {"exit"}
    tells(submission, Case((), down, "exit raises"), "lifespan.shutdown.failed", reasons)


# ---- SPAN-10, SPAN-11: other ends ----------------------------------------------------------------


@requirement("SPAN-10")
@given(
    event=st.sampled_from([SHUTDOWN, "lifespan.reload", "http.request"]), up=FINE, down=FINE, manages=MANAGERS
)
@example(event=SHUTDOWN, up=["async"], down=["async"], manages="fine")
@example(event="lifespan.reload", up=["async"], down=["async"], manages=None)
@example(event=SHUTDOWN, up=[], down=[], manages=None)
def test_a_first_event_that_is_no_startup_is_refused(
    submission: Submission, event: str, up: list[str], down: list[str], manages: str | None
) -> None:
    """The first event is `lifespan.startup`; any other raises RuntimeError, and no step runs."""
    due = Case(up, down, manages)
    assert steps(run(submission, due)) == foretold(due)
    refused(submission, Case(up, down, manages, [event, *BOTH]))


@requirement("SPAN-10")
@given(event=st.sampled_from([STARTUP, "lifespan.reload", "http.request"]), up=FINE)
@example(event=STARTUP, up=["async"])
@example(event="lifespan.reload", up=["async"])
@example(event=STARTUP, up=[])
def test_a_second_event_that_is_no_shutdown_is_refused(
    submission: Submission, event: str, up: list[str]
) -> None:
    """The second event is `lifespan.shutdown`; any other raises RuntimeError, a second startup too."""
    due = Case(up)
    assert steps(run(submission, due)) == foretold(due)
    refused(submission, Case(up, events=[STARTUP, event, SHUTDOWN]))


def refused(submission: Submission, case: Case) -> None:
    """What was foretold happens, and what is raised is a RuntimeError."""
    transcript = run(submission, case)
    assert steps(transcript) == foretold(case)
    with raised("RuntimeError"):
        _ = transcript.returned


@requirement("SPAN-10")
@given(extra=st.sampled_from([{"x.id": 1}, {"message": "now"}, {"state": {}}]))
@example(extra={"x.id": 1})
def test_other_keys_of_an_event_are_ignored(submission: Submission, extra: dict[str, Any]) -> None:
    """Keys of an event that nobody knows change nothing."""
    events = [{"type": event} | extra for event in BOTH]
    case = Case(["async"], ["async"])
    script = Script(scope=asgi.lifespan_scope(), events=events)
    assert steps(submission.converse(script, **case.config)) == foretold(case)


@requirement("SPAN-11")
@given(up=FINE, down=FINE, manages=MANAGERS)
@example(up=[], down=["async"], manages=None)
@example(up=[], down=[], manages="fine")
@example(up=["async"], down=["async", "async"], manages="fine")
def test_a_call_that_is_cancelled_is_cleaned_up(
    submission: Submission, up: list[str], down: list[str], manages: str | None
) -> None:
    """A call that is cancelled while it waits runs the shutdown hooks and exits the manager all the same."""
    case = Case(up, down, manages, [STARTUP])
    assert steps(run(submission, case)) == foretold(case)


@requirement("SPAN-11")
@given(event=st.sampled_from([STARTUP, "lifespan.reload"]), down=FINE, manages=MANAGERS)
@example(event=STARTUP, down=["async"], manages=None)
@example(event=STARTUP, down=[], manages="fine")
@example(event="lifespan.reload", down=["async", "async"], manages="fine")
def test_a_wrong_event_is_cleaned_up_after(
    submission: Submission, event: str, down: list[str], manages: str | None
) -> None:
    """Where a wrong event ends the service, the shutdown hooks run and the manager is exited, once."""
    refused(submission, Case(["async"], down, manages, [STARTUP, event]))


@requirement("SPAN-11")
@given(
    breaks=st.sampled_from(["lifespan.startup.complete", "receive", "lifespan.shutdown.complete"]),
    down=FINE,
    manages=MANAGERS,
)
@example(breaks="lifespan.startup.complete", down=["async"], manages="fine")
@example(breaks="receive", down=["async"], manages="fine")
@example(breaks="lifespan.shutdown.complete", down=["async"], manages="fine")
def test_a_server_that_breaks_is_cleaned_up_after(
    submission: Submission, breaks: str, down: list[str], manages: str | None
) -> None:
    """Where the server's `send` or `receive` raises, hooks and manager have their turn, once, and it is raised."""
    case = Case(["async"], down, manages, breaks=breaks)
    transcript = run(submission, case)
    assert steps(transcript) == foretold(case)
    assert transcript.raised is not None
    assert transcript.raised.name == "ConnectionResetError"


@requirement("SPAN-11")
@given(before=FINE, down=FINE, manages=MANAGERS)
@example(before=["async"], down=["async"], manages="fine")
@example(before=[], down=["async"], manages=None)
def test_a_startup_that_is_cancelled_exits_the_manager(
    submission: Submission, before: list[str], down: list[str], manages: str | None
) -> None:
    """Where a call is cancelled in the middle of its startup, the manager is exited, and no shutdown hook runs."""
    whole = Case(before, down, manages)
    assert steps(run(submission, whole)) == foretold(whole)
    transcript = run(submission, Case([*before, "waits"], down, manages, [STARTUP]))
    entered, exited = (["enter"], ["exit"]) if manages else ([], [])
    ups = [f"up {number}" for number in range(len(before) + 1)]
    assert steps(transcript) == [f"← {STARTUP}", *entered, *ups, *exited, "cancelled"]


# ---- SPAN-12: other connections ------------------------------------------------------------------


@requirement("SPAN-12")
@given(scope=st.sampled_from([asgi.http_scope(), asgi.websocket_scope(), {"type": "mqtt"}]), manages=MANAGERS)
@example(scope=asgi.http_scope(), manages="fine")
@example(scope=asgi.websocket_scope(), manages=None)
@example(scope={"type": "mqtt"}, manages=None)
def test_other_connections_are_refused(
    submission: Submission, scope: dict[str, Any], manages: str | None
) -> None:
    """A lifespan is served; a connection of another kind raises RuntimeError, with nothing received, sent or run."""
    case = Case(["async"], ["async"], manages)
    assert steps(run(submission, case)) == foretold(case)
    transcript = run(submission, case, scope)
    assert steps(transcript) == ["raised"]
    with raised("RuntimeError"):
        _ = transcript.returned


# ---- SPAN-13: calls ------------------------------------------------------------------------------


@requirement("SPAN-13")
@given(calls=st.integers(2, 4))
@example(calls=2)
def test_each_call_runs_all_steps(submission: Submission, calls: int) -> None:
    """A second call of the same Lifespan runs all steps once more."""
    one = ["enter", "up", "lifespan.startup.complete", "down", "exit", "lifespan.shutdown.complete"]
    assert submission.call("times", calls=calls) == [one] * calls


@requirement("SPAN-13")
@given(waits=st.lists(st.booleans(), min_size=2, max_size=3))
@example(waits=[False, False])
@example(waits=[True, False])
@example(waits=[False, True])
def test_calls_at_the_same_time_stay_apart(submission: Submission, waits: list[bool]) -> None:
    """Calls of the same Lifespan may overlap: each runs its own steps, and exits its own manager."""
    cases = [Case(["async"], [], "fine", [STARTUP] if still_waits else BOTH) for still_waits in waits]
    scripts = [
        Script(
            scope=asgi.lifespan_scope(),
            events=[{"type": event} for event in case.events],
            cancel_when_blocked=True,
        )
        for case in cases
    ]
    transcript = submission.converse(scripts, **cases[0].config)
    assert [steps(transcript.of(number)) for number in range(len(cases))] == [*map(foretold, cases)]
