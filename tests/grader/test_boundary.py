"""The two verbs that block: `call` and `converse`, through a real worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from grader.judge import ending
from grader.judge.client import NO_GUARDS, OUTPUT_BYTES, Guards, Worker
from grader.judge.script import Script
from grader.transcript import Frame, Raised, Transcript
from grader.worker.wire import Foreign, Once, Opaque

LEARNER = "learner"
Start = Callable[..., Worker]


@pytest.fixture(scope="module")
def learner() -> str:
    """The text of the module beside the probe."""
    from pathlib import Path

    return Path(__file__).with_name("probes").joinpath("learner.py").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def calls(start_shared: Start, learner: str) -> Worker:
    """A worker for calls that leave it whole."""
    return start_shared("calls", learner=learner)


@pytest.fixture(scope="module")
def apps(start_shared: Start, learner: str) -> Worker:
    """A worker for conversations that leave it whole."""
    return start_shared("apps", learner=learner)


@pytest.fixture
def fresh_calls(start_worker: Start, learner: str) -> Worker:
    """A worker that a test may break."""
    return start_worker("calls", learner=learner)


@pytest.fixture
def fresh_apps(start_worker: Start, learner: str) -> Worker:
    """A worker that a test may break."""
    return start_worker("apps", learner=learner)


def converse(worker: Worker, name: str, *scripts: Script, **config: Any) -> Transcript:
    """Play scripts, or an empty one, to the application of that name."""
    return worker.converse(scripts or [Script()], {"name": name, **config})


def events(count: int) -> list[dict[str, Any]]:
    """Numbered events."""
    return [{"type": "event", "n": number} for number in range(count)]


# --- call


def test_a_value_comes_back_as_it_went(calls: Worker) -> None:
    value = {"a": [(1, b"x"), {"s"}], "b": None}
    assert calls.call("echo", {"value": value}) == value


def test_a_one_shot_iterable_and_an_unknown_object_are_made_in_the_worker(calls: Worker) -> None:
    assert calls.call("consume", {"values": Once([b"a", b"b"])}) == [True, [b"a", b"b"], []]
    assert calls.call("kind_of", {"value": Opaque("Thing")}) == "Thing"


def test_a_coroutine_that_is_returned_is_an_object_like_any_other(calls: Worker) -> None:
    assert repr(calls.call("coroutine", {})) == "<a coroutine object>"


def test_an_asynchronous_probe_is_awaited_in_virtual_time(calls: Worker) -> None:
    assert calls.call("slept", {"seconds": 10**6}) == "woken"


def test_a_task_that_is_left_does_not_run_on_in_the_next_call(calls: Worker) -> None:
    calls.call("leave_a_task", {})
    assert calls.call("what_was_left", {}) == ["cancelled"]


def test_an_unknown_function_is_an_attribute_error(calls: Worker) -> None:
    with pytest.raises(Raised) as caught:
        calls.call("nothing_of_that_name", {})
    assert caught.value.error.name == "AttributeError"


def test_a_submission_finds_neither_the_worker_nor_msgspec(calls: Worker) -> None:
    assert calls.call("where", {})[1:] == ([], False)


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("ValueError", ("ValueError", "Exception", "BaseException")),
        ("SystemExit", ("SystemExit", "BaseException")),
        ("KeyboardInterrupt", ("KeyboardInterrupt", "BaseException")),
        ("CancelledError", ("CancelledError", "BaseException")),
        ("GeneratorExit", ("GeneratorExit", "BaseException")),
        ("StopIteration", ("StopIteration", "Exception", "BaseException")),
        ("Teapot", ("Teapot", "LookupError", "Exception", "BaseException")),
        ("Group", ("ExceptionGroup", "BaseExceptionGroup", "Exception", "BaseException")),
        ("Named", ("AssertionError\\nPASSED", "Exception", "BaseException")),
    ],
)
def test_an_exception_crosses_as_the_names_of_its_classes(
    calls: Worker, name: str, names: tuple[str, ...]
) -> None:
    with pytest.raises(Raised) as caught:
        calls.call("raise_it", {"name": name})
    assert caught.value.error.names == names


def test_an_exception_carries_its_attributes(calls: Worker) -> None:
    with pytest.raises(Raised) as caught:
        calls.call("raise_it", {"name": "Teapot"})
    error = caught.value.error
    assert error.message == "short and stout"
    secret = error.attributes["secret"]
    assert error.attributes == {
        "detail": "short and stout",
        "headers": {"x-tea": (b"green", 1)},
        "status_code": 418,
        "secret": secret,
    } or isinstance(secret, Foreign)
    assert sorted(error.attributes) == ["detail", "headers", "secret", "status_code"]
    assert error.attributes["headers"] == {"x-tea": (b"green", 1)}
    assert error.attributes["status_code"] == 418


def test_a_traceback_has_the_learners_own_frames_only(calls: Worker) -> None:
    with pytest.raises(Raised) as caught:
        calls.call("raise_it", {"name": "ValueError"})
    (frame,) = caught.value.error.traceback
    assert frame == Frame("learner.py", frame.line, "raise_it", "raise RAISED[name]()")


@pytest.mark.parametrize(
    ("raises", "own"),
    [
        ("def callback():\n    1 / 0", False),
        ("callback = lambda: int('x', 99)", False),
        ("callback = 7", True),
    ],
)
def test_whose_line_raised_is_known(start_worker: Start, raises: str, own: bool) -> None:
    probe = f"import learner\n{raises}\n\n\ndef run():\n    learner.go(callback)\n"
    with pytest.raises(Raised) as caught:
        start_worker(probe, learner="def go(callback):\n    callback()\n").call("run", {})
    assert caught.value.error.own == own
    assert [frame.file for frame in caught.value.error.traceback] == ["learner.py"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Silent", "(its __str__ raises)"),
        ("Leaver", "(its __str__ raises)"),
        ("Address", "<object object at 0x...> in learner.py"),
        ("Surrogate", "\\ud800"),
        ("Guarded", ""),
    ],
)
def test_a_message_is_made_steady(calls: Worker, name: str, message: str) -> None:
    with pytest.raises(Raised) as caught:
        calls.call("raise_it", {"name": name})
    assert caught.value.error.message == message


def test_an_exception_with_large_attributes_crosses_without_them(calls: Worker) -> None:
    with pytest.raises(Raised) as caught:
        calls.call("raise_it", {"name": "Long"})
    error = caught.value.error
    assert (error.message, error.attributes["document"], error.attributes["other"]) == ("long", None, None)


@pytest.mark.parametrize(
    ("function", "values"),
    [("large", {"size": 2 << 20}), ("many", {"count": 200_000}), ("deep", {"depth": 500})],
)
def test_a_value_that_is_too_large_is_a_flood_and_says_so(calls: Worker, function: str, values: Any) -> None:
    with pytest.raises(ending.Flooded, match="cannot be judged"):
        calls.call(function, values)


@pytest.mark.parametrize("size", range((1 << 20) - 1040, (1 << 20) + 20, 13))
def test_there_is_no_gap_between_what_crosses_and_what_floods(calls: Worker, size: int) -> None:
    try:
        assert len(calls.call("large", {"size": size})) == size
    except ending.Flooded:
        assert size > (1 << 20) - 1040


def test_a_huge_int_crosses(calls: Worker) -> None:
    assert calls.call("huge", {}) == 1 << 100_000


def test_output_is_captured_and_capped(fresh_calls: Worker) -> None:
    assert fresh_calls.call("print_it", {"text": "hello", "times": 1}) is False
    assert fresh_calls.output() == "hello\nto stderr\n"
    assert fresh_calls.call("print_it", {"text": "x" * 1000, "times": 5000}) is False
    assert fresh_calls.call("write_to_descriptors", {"times": 100}) == "full"
    fresh_calls.close()
    assert fresh_calls.output().startswith("hello\nto stderr\nxxx")
    assert len(fresh_calls.output()) <= 2 * OUTPUT_BYTES


def test_waiting_for_ever_is_told_at_once(fresh_calls: Worker) -> None:
    with pytest.raises(ending.Stalled):
        fresh_calls.call("wait_for_ever", {})


@pytest.mark.parametrize(
    ("function", "values", "words"),
    [
        ("exit_now", {"code": 0}, "ended the process"),
        ("exit_now", {"code": 7}, "the process ended"),
        ("kill_itself", {}, "killed by signal 9"),
    ],
)
def test_a_death_is_a_crash_with_words(fresh_calls: Worker, function: str, values: Any, words: str) -> None:
    with pytest.raises(ending.Crashed, match=words):
        fresh_calls.call(function, values)
    assert fresh_calls.closed


@pytest.mark.parametrize("function", ["memory", "pieces"])
def test_too_much_memory_is_told(fresh_calls: Worker, function: str) -> None:
    fresh_calls.guards = NO_GUARDS  # to touch a gigabyte takes seconds where the machine has to find it first
    values = {"size": 4 << 30} if function == "memory" else {}
    with pytest.raises(ending.OutOfMemory):
        fresh_calls.call(function, values)
    assert fresh_calls.call("echo", {"value": 1}) == 1


def test_a_recursion_is_the_learners_exception(calls: Worker) -> None:
    with pytest.raises(Raised) as caught:
        calls.call("recurse", {})
    assert caught.value.error.name == "RecursionError"


@pytest.mark.parametrize("function", ["loop", "block", "wait_beside_a_thread"])
def test_no_answer_is_a_timeout(fresh_calls: Worker, function: str) -> None:
    fresh_calls.guards = Guards(cpu_seconds=0.3, wall_seconds=0.5)
    with pytest.raises(ending.TimedOut):
        fresh_calls.call(function, {})


def test_a_thread_that_never_ends_does_no_harm_to_a_call(fresh_calls: Worker) -> None:
    assert fresh_calls.call("thread_for_ever", {}) == "started"
    assert fresh_calls.call("echo", {"value": 1}) == 1


# --- import


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("import msgspec", "ModuleNotFoundError"),
        ("import worker.main", "ModuleNotFoundError"),
        ("import sys\nsys.exit(0)", "SystemExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("def f(:\n  pass", "SyntaxError"),
        ("1/0", "ZeroDivisionError"),
    ],
)
def test_what_the_import_raises_is_told(start_worker: Start, source: str, name: str) -> None:
    with pytest.raises(ending.ImportFailed) as caught:
        start_worker("import learner\n", learner=source)
    assert caught.value.error.name == name
    assert {frame.file for frame in caught.value.error.traceback} == {"learner.py"}


def test_a_death_on_import_is_a_crash(start_worker: Start) -> None:
    with pytest.raises(ending.Crashed):
        start_worker("import os\nos._exit(0)\n")


# --- converse


def test_everything_is_told_in_order(apps: Worker) -> None:
    told = converse(apps, "hello", Script(events=[{"type": "http.request"}]))
    assert told.sequence == ["← http.request", "→ http.response.start", "→ http.response.body", "returned"]
    assert told.received == [{"type": "http.request"}]
    assert told.sent[0]["headers"] == [(b"content-type", b"text/plain")]
    assert told.returned is None
    assert told.raised is None


def test_what_the_app_returns_and_raises_is_told(apps: Worker) -> None:
    assert converse(apps, "returns").returned == (1, "two")
    told = converse(apps, "raises")
    assert told.sequence == ["raised"]
    assert told.raised is not None
    assert (told.raised.name, told.raised.message) == ("ValueError", "wrong")
    with pytest.raises(Raised):
        _ = told.returned


@pytest.mark.parametrize(
    "what", ["SystemExit", "KeyboardInterrupt", "CancelledError", "Leaver", "GeneratorExit"]
)
def test_no_exception_of_an_app_gets_out_of_it(apps: Worker, what: str) -> None:
    told = converse(apps, "raises", what=what)
    assert told.raised is not None
    assert told.raised.name == what


def test_an_app_that_is_no_coroutine_function_is_told(apps: Worker) -> None:
    told = converse(apps, "no_coroutine")
    assert told.raised is not None
    assert told.raised.name == "TypeError"


def test_a_probe_that_cannot_make_the_app_raises(apps: Worker) -> None:
    with pytest.raises(Raised):
        converse(apps, "an app of no name")


def test_the_end_of_a_script(apps: Worker) -> None:
    gone = Script(scope={"type": "http"}, events=events(1), end="disconnect")
    assert converse(apps, "reads", gone, times=3).received[1:] == [{"type": "http.disconnect"}] * 2
    closed = Script(scope={"type": "websocket"}, end="disconnect")
    assert converse(apps, "reads", closed, times=1).received == [
        {"type": "websocket.disconnect", "code": 1006}
    ]
    told = converse(apps, "reads", Script(end="raise"), times=1)
    assert told.raised is not None
    assert told.raised.name == "RuntimeError"


def test_waiting_after_the_last_event_is_a_stall_that_tells_what_happened(fresh_apps: Worker) -> None:
    with pytest.raises(ending.Stalled) as caught:
        converse(fresh_apps, "echo", Script(events=events(1)), Script(events=events(1), end="disconnect"))
    assert [event.kind for event in caught.value.events if event.conversation == 0] == [
        "received",
        "sent",
        "waits",
    ]
    assert [event.kind for event in caught.value.events if event.conversation == 1][-1] == "returned"


def test_an_event_waits_for_the_sends_that_it_comes_after(apps: Worker) -> None:
    script = Script(events=events(3), after={0: 0, 2: 2}, end="disconnect")
    steps = [step[0] for step in converse(apps, "echo", script).sequence]
    assert steps == ["←", "→", "←", "→", "←", "→", "←", "r"]


def test_an_event_that_waits_for_too_many_sends_is_a_stall(fresh_apps: Worker) -> None:
    with pytest.raises(ending.Stalled):
        converse(fresh_apps, "reads", Script(events=events(1), after={0: 1}), times=1)


@pytest.mark.parametrize(
    ("script", "failures"),
    [
        (Script(fail_sends={1: "BrokenPipeError"}), ["BrokenPipeError"]),
        (
            Script(fail_sends={0: "ConnectionAbortedError", 3: "TimeoutError"}),
            ["ConnectionAbortedError", "TimeoutError"],
        ),
        (Script(fail_from=2), ["ConnectionResetError"] * 2),
        (Script(fail_sends={0: "BrokenPipeError"}, fail_from=3), ["BrokenPipeError", "ConnectionResetError"]),
        (Script(fail_sends={0: "ValueError"}), ["OSError"]),
    ],
)
def test_sends_fail_as_the_script_orders(apps: Worker, script: Script, failures: list[str]) -> None:
    told = converse(apps, "send_failed", script)
    assert told.returned == failures
    assert len(told.sent) == 4
    assert [event.kind for event in told.events].count("send_failed") == len(failures)


def test_a_blocked_call_is_cancelled(apps: Worker) -> None:
    told = converse(apps, "cleans_up", Script(events=events(1), cancel_when_blocked=True))
    assert told.sequence == ["← event", "→ cleaned", "cancelled"]
    assert told.raised is None


def test_a_call_that_swallows_its_cancellation_goes_on(apps: Worker) -> None:
    told = converse(apps, "stubborn", Script(cancel_when_blocked=True))
    assert told.sequence == ["→ swallowed", "returned"]


def test_a_call_that_swallows_and_waits_again_is_a_stall(fresh_apps: Worker) -> None:
    with pytest.raises(ending.Stalled):
        converse(fresh_apps, "stubborn", Script(cancel_when_blocked=True), times=2)


def test_a_cancelled_error_of_the_apps_own_is_raised_not_cancelled(apps: Worker) -> None:
    told = converse(apps, "raises", Script(cancel_when_blocked=True), what="CancelledError")
    assert told.sequence == ["raised"]


def test_interleaved_conversations_are_told_alike_each_time(apps: Worker) -> None:
    scripts = [Script(events=events(count), end="disconnect") for count in (3, 1, 2)]
    first = converse(apps, "echo", *scripts)
    assert [len(first.of(index).sent) for index in range(3)] == [3, 1, 2]
    assert [event.conversation for event in first.events[:3]] == [0, 1, 2]
    assert first.of(1).returned is None
    for _ in range(5):
        assert converse(apps, "echo", *scripts) == first


def test_a_message_is_told_as_it_was_when_it_was_sent(apps: Worker) -> None:
    event = {"type": "event"}
    scope = {"type": "http", "headers": [(b"a", b"1")]}
    told = converse(apps, "changes_what_it_sent", Script(scope=scope, events=[event]))
    assert told.sent[0] == {"type": "first", "headers": [[b"a", b"b"]]}
    assert told.sent[1] == {"type": "second", "headers": [[b"a", b"b"], 1]}
    assert told.received == [event]
    assert told.scopes[0]["headers"] == [(b"a", b"1"), (b"new", b"1")]


def test_enums_cross_as_values_in_messages_and_bytearrays_do_not(apps: Worker) -> None:
    (message,) = converse(apps, "enums").sent
    assert (type(message["type"]), message["type"]) == (str, "http.response.start")
    assert (type(message["status"]), message["status"]) == (int, 200)
    assert type(message["raw"]) is Foreign


def test_the_scope_after_the_call_and_the_identities_are_told(apps: Worker) -> None:
    scope = {"type": "http", "path": "/", "state": {}, "headers": [(b"a", b"b")], "server": ("a", 1)}
    told = converse(apps, "fills_the_scope", Script(scope=scope))
    after = told.scopes[0]
    assert after["path"] == "/x"
    assert after["pair"] == (1, [2])
    assert after["headers"] == [(b"a", b"b")]
    assert after["state"] == {"db": after["state"]["db"]}
    assert type(after["app"]) is Foreign
    identities = told.identities[0]
    assert identities == {"type": True, "path": False, "state": True, "headers": False, "server": True}


def test_a_scope_that_is_too_large_afterwards_is_a_flood(fresh_apps: Worker) -> None:
    with pytest.raises(ending.Flooded):
        converse(fresh_apps, "huge_scope")


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("sends", {"times": 20_000}),
        ("sends", {"times": 100, "size": 500_000}),
        ("sends", {"times": 1, "size": 2 << 20}),
        ("swallows_everything", {}),
    ],
)
def test_too_much_is_a_flood(fresh_apps: Worker, name: str, config: dict[str, Any]) -> None:
    with pytest.raises(ending.Flooded):
        converse(fresh_apps, name, **config)


def test_much_is_no_flood(apps: Worker) -> None:
    told = converse(apps, "sends", times=5_000, size=500)
    assert [message["number"] for message in told.sent] == list(range(5_000))


def test_what_is_left_running_does_not_leak_into_the_next_conversation(fresh_apps: Worker) -> None:
    told = converse(fresh_apps, "leaves_a_task")
    assert told.sequence == ["→ sent", "returned"]
    told = converse(fresh_apps, "leaves_a_generator")
    assert told.sequence == ["returned"]
    told = converse(fresh_apps, "what_was_left")
    assert told.sequence == ["returned"]
    assert told.returned == ["closed"]


def test_messages_after_the_end_do_not_hide_the_end(apps: Worker) -> None:
    told = converse(apps, "task_after_the_end", Script(), Script(events=events(2), end="disconnect"))
    assert told.of(0).returned == "early"


def test_a_task_that_exits_is_the_submissions_error(fresh_apps: Worker) -> None:
    with pytest.raises(Raised) as caught:
        converse(fresh_apps, "task_that_exits")
    assert caught.value.error.name == "SystemExit"
    assert converse(fresh_apps, "returns").returned == (1, "two")


def test_time_passes_at_no_cost(apps: Worker) -> None:
    told = converse(apps, "sleeps", Script(events=events(1)), seconds=10**9)
    assert told.sequence[-1] == "returned"


def test_a_loop_of_sleeps_is_a_timeout(fresh_apps: Worker) -> None:
    fresh_apps.guards = Guards(cpu_seconds=0.3)
    with pytest.raises(ending.TimedOut):
        converse(fresh_apps, "heartbeat")
