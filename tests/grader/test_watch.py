"""Watch mode: the decisions by themselves, then the shell around them with a judge made by hand."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import queue
import termios
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.course import Course, Exercise
from grader.outputs.screen import Screen
from grader.progress import Memory
from grader.report import Report
from grader.watch import (
    Abandon,
    Abandoned,
    Action,
    Failed,
    Go,
    Hint,
    Key,
    Map,
    Quit,
    Refused,
    Remember,
    Run,
    Saved,
    Say,
    Shell,
    Show,
    Stepped,
    Tell,
    Verdict,
    Watch,
    keys_of,
    saved_exercises,
    tell_saves,
    watch,
)


@pytest.fixture
def first(course: Course) -> Exercise:
    """The exercise that is watched."""
    return course.exercise("first")


@pytest.fixture
def second(course: Course) -> Exercise:
    """The exercise after it."""
    return course.exercise("second")


@pytest.fixture
def machine(first: Exercise, second: Exercise) -> Watch:
    """A watch on `first` whose first run is under way; `second` is open."""
    watch = Watch(first, lambda exercise: second if exercise == first else None)
    assert list(watch.start()) == [Go(first), Run(first, "watch")]
    return watch


def fed(watch: Watch, *events: Any) -> list[Action]:
    """What the watch does about the events, in order."""
    return [action for event in events for action in watch.feed(event)]


def save(exercise: Exercise) -> Saved:
    """A save of the exercise's file."""
    return Saved(frozenset((exercise.id,)))


def test_a_failed_quick_run_is_shown_and_kept(machine: Watch, first: Exercise, make_report: Any) -> None:
    report = make_report(first, "failed")
    assert fed(machine, Verdict(report)) == [Remember(first, report), Show(first, report, done=False)]


def test_done_is_said_only_by_the_thorough_run(machine: Watch, first: Exercise, make_report: Any) -> None:
    report = make_report(first)
    planned = sum(len(entry.tests) for entry in report.plan)
    assert fed(machine, Verdict(report)) == [Run(first, "local"), Tell("local", 0, planned)]
    assert fed(machine, Verdict(report)) == [Remember(first, report), Show(first, report, done=True)]


def test_the_thorough_run_may_still_fail(machine: Watch, first: Exercise, make_report: Any) -> None:
    report = make_report(first, {"FIRST-03": "failed"})
    fed(machine, Verdict(make_report(first)))
    assert fed(machine, Verdict(report)) == [Remember(first, report), Show(first, report, done=False)]


def test_saves_during_a_run_ask_for_one_more_run(machine: Watch, first: Exercise, make_report: Any) -> None:
    report = make_report(first, "failed")
    assert fed(machine, save(first), save(first), Key("c")) == []
    assert fed(machine, Verdict(report)) == [Run(first, "watch")]
    assert fed(machine, Verdict(report)) == [Remember(first, report), Show(first, report, done=False)]


def test_a_save_during_the_thorough_run_begins_again_with_the_quick_one(
    machine: Watch, first: Exercise, make_report: Any
) -> None:
    fed(machine, Verdict(make_report(first)))
    assert fed(machine, save(first), save(first)) == [Abandon()]
    assert fed(machine, Stepped(1, 2)) == []
    assert fed(machine, Abandoned()) == [Run(first, "watch")]


def test_a_stale_thorough_run_that_ends_all_the_same_is_not_shown(
    machine: Watch, first: Exercise, make_report: Any
) -> None:
    fed(machine, Verdict(make_report(first)), save(first))
    assert fed(machine, Verdict(make_report(first))) == [Run(first, "watch")]


def test_a_save_when_nothing_runs_begins_a_run(machine: Watch, first: Exercise, make_report: Any) -> None:
    fed(machine, Verdict(make_report(first, "failed")))
    assert fed(machine, save(first)) == [Run(first, "watch")]


def test_a_save_of_another_exercise_is_told_and_not_judged(
    machine: Watch, first: Exercise, second: Exercise
) -> None:
    (said,) = fed(machine, save(second))
    assert isinstance(said, Say)
    assert "grader watch second" in said.line
    assert fed(machine, Saved(frozenset((second.id, "another")))) == []


def test_the_thorough_run_tells_how_far_it_is(machine: Watch, first: Exercise, make_report: Any) -> None:
    assert fed(machine, Stepped(1, 9)) == []
    fed(machine, Verdict(make_report(first)))
    assert fed(machine, Stepped(1, 9)) == [Tell("local", 1, 9)]


def test_next_waits_until_the_exercise_is_earned(
    machine: Watch, first: Exercise, second: Exercise, make_report: Any
) -> None:
    fed(machine, Verdict(make_report(first, "failed")))
    (said,) = fed(machine, Key("n"))
    assert isinstance(said, Say)
    fed(machine, save(first), Verdict(make_report(first)), Verdict(make_report(first)))
    assert fed(machine, Key("n")) == [Go(second), Run(second, "watch")]
    assert machine.exercise == second


def test_an_exercise_can_be_left_for_later(
    machine: Watch, first: Exercise, second: Exercise, make_report: Any
) -> None:
    fed(machine, Verdict(make_report(first, "failed")))
    assert fed(machine, Key("N")) == [Go(second), Run(second, "watch")]
    fed(machine, Verdict(make_report(second, "failed")))
    assert fed(machine, Key("N")) == [Say("No other exercise is open.")]


def test_moving_on_during_a_run_drops_its_verdict(
    machine: Watch, first: Exercise, second: Exercise, make_report: Any
) -> None:
    assert fed(machine, Key("N")) == [Go(second)]
    assert fed(machine, Verdict(make_report(first))) == [Run(second, "watch")]


def test_keys(machine: Watch, first: Exercise) -> None:
    assert fed(machine, Key("h"), Key("l"), Key("q")) == [Hint(first), Map(first), Quit()]
    (said,) = fed(machine, Key("x"))
    assert isinstance(said, Say)
    assert "q quit" in said.line


def test_a_refused_run_is_told_and_the_next_save_tries_again(machine: Watch, first: Exercise) -> None:
    assert fed(machine, Refused("too large"), save(first)) == [Say("too large"), Run(first, "watch")]


def test_a_refused_run_does_not_swallow_a_save(machine: Watch, first: Exercise) -> None:
    assert fed(machine, save(first), Refused("too large")) == [Say("too large"), Run(first, "watch")]


def test_a_fault_of_the_grader_ends_the_watch(machine: Watch) -> None:
    with pytest.raises(RuntimeError, match="ours"):
        fed(machine, Failed(RuntimeError("ours")))


def test_which_exercise_a_path_belongs_to(course: Course, first: Exercise) -> None:
    stub = course.stub(first)
    assert saved_exercises(course, [stub, stub.with_name("notes.py")]) == {first.id}
    assert saved_exercises(course, [stub.with_suffix(".md")]) == frozenset()


class InTurn(queue.SimpleQueue[Any]):
    """Events in a given order: each is there once the runs before it were judged."""

    def __init__(self, keys: Iterator[Any], judge: Callable[[], None]) -> None:
        super().__init__()
        self._given, self._judge = keys, judge

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """The next event: a verdict if one is due, else the next that was given."""
        self._judge()
        return super().get(block=False) if self.qsize() else next(self._given)


def played(
    course: Course, reports: list[Report], *events: Any, terminal: bool = False
) -> tuple[str, Memory, list[str]]:
    """Play a whole watch in one thread: the judge gives `reports` in turn, then come the events."""
    file, profiles = io.StringIO(), []
    given = iter(reports)

    def judge(exercise: Exercise, submission: Any, options: Any, on_test: Any) -> Report:
        profiles.append(options.profile)
        return next(given)

    memory = Memory.of(course, pytest.fail)
    screen = Screen(file, terminal=terminal, width=80 if terminal else None)
    shell = Shell(course, screen, memory, judge, "process", "0", InTurn(iter(events), lambda: serve()))

    def serve() -> None:
        while shell.runs.qsize():
            run = shell.runs.get()
            assert run is not None
            shell.events.put(shell.outcome(run))

    shell.follow(Watch(course.exercise("first"), shell.next_open))
    return file.getvalue(), memory, profiles


def test_a_watch_from_failure_to_the_next_exercise(course: Course, make_report: Any) -> None:
    first, second = course.exercises
    reports = [
        make_report(first, {"FIRST-02": "failed"}),
        make_report(first),
        make_report(first),
        make_report(second, "not_attempted"),
    ]
    text, memory, profiles = played(course, reports, Key("h"), save(first), Key("n"), Key("l"), Key("q"))
    assert profiles == ["watch", "watch", "local", "watch"]
    assert (
        text.index("FIRST-02  not met")
        < text.index("Hint 1 of 3")
        < text.index("Done. n goes on with second")
    )
    assert text.index("Nothing is written yet.") < text.index("(you are here)")
    progress = memory.load()
    assert progress.complete(first)
    assert progress.current == second.id
    assert progress.hints == {first.id: 1}


def test_the_place_is_kept_across_restarts(course: Course, make_report: Any) -> None:
    first, second = course.exercises
    reports = [make_report(first, "failed"), make_report(second, "failed")]
    _, memory, _ = played(course, reports, Key("N"), Key("q"))
    assert memory.load().at_hand(course) == second


def test_the_last_exercise_ends_in_congratulations(course: Course, make_report: Any) -> None:
    first, second = course.exercises
    Memory.of(course, pytest.fail).update(lambda progress: progress.with_report(make_report(second)))
    text, _, _ = played(course, [make_report(first), make_report(first)], Key("q"))
    assert "Every exercise is earned." in text


def test_into_a_pipe_the_watch_writes_no_control_characters(course: Course, make_report: Any) -> None:
    first = course.exercise("first")
    text, _, _ = played(course, [make_report(first, "failed")], Key("q"))
    assert "\x1b" not in text
    assert "\r" not in text


def test_a_submission_that_is_refused_is_told(course: Course) -> None:
    course.stub(course.exercise("first")).write_bytes(b"#" * (2 << 20))
    text, _, profiles = played(course, [], Key("q"))
    assert "first.py: is larger than 1 MiB" in text
    assert profiles == []


def test_keys_are_read_and_the_terminal_is_given_back() -> None:
    master, slave = pty.openpty()
    pressed: queue.SimpleQueue[str] = queue.SimpleQueue()
    with os.fdopen(slave, "r", encoding="utf-8") as keyboard:
        before = termios.tcgetattr(slave)
        with keys_of(keyboard, pressed.put):
            assert not termios.tcgetattr(slave)[3] & (termios.ICANON | termios.ECHO)
            os.write(master, b"n")
            assert pressed.get(timeout=10) == "n"
            os.write(master, b"\x1b[A")
            os.write(master, b"q")
            assert pressed.get(timeout=10) == "q"
        assert termios.tcgetattr(slave) == before
        with pytest.raises(RuntimeError), keys_of(keyboard, pressed.put):
            raise RuntimeError
        assert termios.tcgetattr(slave) == before
    os.close(master)


def test_a_terminal_that_is_gone_quits() -> None:
    master, slave = pty.openpty()
    pressed: queue.SimpleQueue[str] = queue.SimpleQueue()
    with os.fdopen(slave, "r", encoding="utf-8") as keyboard, keys_of(keyboard, pressed.put):
        os.close(master)
        assert pressed.get(timeout=10) == "q"


def test_without_a_terminal_there_are_no_keys(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("q", encoding="utf-8")
    with (tmp_path / "keys").open(encoding="utf-8") as keyboard, keys_of(keyboard, pytest.fail):
        pass


def test_the_whole_watch_ends_with_a_key_and_leaves_no_thread(course: Course, make_report: Any) -> None:
    master, slave = pty.openpty()
    file = io.StringIO()
    first = course.exercise("first")

    def judge(exercise: Exercise, submission: Any, options: Any, on_test: Any) -> Report:
        os.write(master, b"q")
        return make_report(exercise, "failed")

    before = threading.active_count()
    with os.fdopen(slave, "r", encoding="utf-8") as keyboard:
        settings = termios.tcgetattr(slave)
        memory = Memory.of(course, pytest.fail)
        watch(course, Screen(file, terminal=False), memory, judge, first, "process", "0", keyboard)
        assert termios.tcgetattr(slave) == settings
    os.close(master)
    assert threading.active_count() == before
    assert "Watching" in file.getvalue()


def test_a_key_during_a_run_ends_the_run_after_the_test_at_hand(course: Course, make_report: Any) -> None:
    master, slave = pty.openpty()
    first = course.exercise("first")
    ended = []

    def judge(exercise: Exercise, submission: Any, options: Any, on_test: Any) -> Report:
        os.write(master, b"q")
        for done in range(1_000_000):
            try:
                on_test(Stepped(done, 1_000_000))
            except KeyboardInterrupt:
                ended.append(done)
                raise
        return make_report(exercise)

    with os.fdopen(slave, "r", encoding="utf-8") as keyboard:
        memory = Memory.of(course, pytest.fail)
        watch(course, Screen(io.StringIO(), terminal=False), memory, judge, first, "process", "0", keyboard)
    os.close(master)
    assert len(ended) == 1


def test_a_save_is_told(course: Course, first: Exercise) -> None:
    told: queue.SimpleQueue[Any] = queue.SimpleQueue()
    stopping = threading.Event()
    saver = threading.Thread(target=tell_saves, args=(course, told.put, stopping))
    saver.start()
    event = None
    for attempt in range(200):  # nothing tells when the watch of the folder has begun
        course.stub(first).write_text(f"# {attempt}\n", encoding="utf-8")
        with contextlib.suppress(queue.Empty):
            event = told.get(timeout=0.2)
            break
    stopping.set()
    saver.join()
    assert event == save(first)
