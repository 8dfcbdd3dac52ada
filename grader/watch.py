"""Watch mode: judges the exercise at hand whenever it is saved.

Rule 1: what happens is decided by `Watch`, which is fed events and yields actions; it does no I/O.
Rule 2: there is never more than one run: a save during a run asks for exactly one more, and a thorough run that a
    save has made stale is abandoned for it.
Rule 3: an exercise is done only by the `local` profile, which follows a `watch` run that earned everything.
Rule 4: what a run says about a file that was saved since is not shown.
Rule 5: the terminal is given back as it was found, however the watch ends.
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import select
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from grader.course import Course, Exercise
from grader.outputs.pages import show_hints, show_map
from grader.outputs.place import place_of
from grader.outputs.screen import Screen, styled
from grader.outputs.terminal import show_report
from grader.progress import Memory, remember
from grader.report import Report

if TYPE_CHECKING:
    from grader.grading import Options, Step
    from grader.submission import Submission

    Judge = Callable[[Exercise, Submission, Options, Callable[[Step], None] | None], Report]

QUICK = "watch"
"""The profile of the first run after a save."""
THOROUGH = "local"
"""The profile that decides that an exercise is done."""
KEYS = "n next   h hint   l list   c check again   q quit"
ESCAPES = re.compile(rb"\x1b(?:\[[0-9;]*[ -/]*[@-~]|O.)?")
"""What a terminal sends for arrows and function keys, which mean nothing here."""
SAVE_STEP_MS = 20
"""Milliseconds without a further change after which a save is told."""


@dataclass(frozen=True)
class Saved:
    """Files of these exercises were saved (ids)."""

    exercises: frozenset[str]


@dataclass(frozen=True)
class Key:
    """A key was pressed."""

    key: str


@dataclass(frozen=True)
class Verdict:
    """A run ended with this report."""

    report: Report


@dataclass(frozen=True)
class Refused:
    """A run could not begin: why, in one line."""

    message: str


@dataclass(frozen=True)
class Abandoned:
    """A run ended before its time, as it was told to."""


@dataclass(frozen=True)
class Stepped:
    """A test of the run is done."""

    done: int
    planned: int


@dataclass(frozen=True)
class Failed:
    """The grader itself failed in a run."""

    error: BaseException


Event = Saved | Key | Verdict | Refused | Abandoned | Stepped | Failed


@dataclass(frozen=True)
class Run:
    """Judge the exercise by this profile."""

    exercise: Exercise
    profile: str


@dataclass(frozen=True)
class Abandon:
    """End the run under way."""


@dataclass(frozen=True)
class Remember:
    """Keep this verdict."""

    exercise: Exercise
    report: Report


@dataclass(frozen=True)
class Go:
    """Keep that the learner is at this exercise."""

    exercise: Exercise


@dataclass(frozen=True)
class Show:
    """Show this verdict; `done` if the exercise is earned."""

    exercise: Exercise
    report: Report
    done: bool


@dataclass(frozen=True)
class Say:
    """Show a line."""

    line: str


@dataclass(frozen=True)
class Tell:
    """Show how far the run is."""

    profile: str
    done: int
    planned: int


@dataclass(frozen=True)
class Hint:
    """Show the next hint."""

    exercise: Exercise


@dataclass(frozen=True)
class Map:
    """Show the map of the course."""

    exercise: Exercise


@dataclass(frozen=True)
class Quit:
    """Leave."""


Action = Run | Abandon | Remember | Go | Show | Say | Tell | Hint | Map | Quit


@dataclass
class Watch:
    """What the watch knows: the exercise at hand, the run under way, whether another one is due.

    `next_open` gives the exercise to go on with after the one it takes, or None.
    """

    exercise: Exercise
    next_open: Callable[[Exercise], Exercise | None]
    running: str = field(default="", init=False)
    due: bool = field(default=False, init=False)
    done: bool = field(default=False, init=False)

    def start(self) -> Iterator[Action]:
        """What to do first."""
        yield Go(self.exercise)
        yield from self._judge()

    def feed(self, event: Event) -> Iterator[Action]:
        """What to do about an event."""
        match event:
            case Saved(exercises):
                yield from self._saved(exercises)
            case Key(key):
                yield from self._pressed(key)
            case Verdict(report):
                yield from self._judged(report)
            case Refused(message):
                yield from self._refused(message)
            case Abandoned():
                self.running = ""
                if self.due:
                    yield from self._judge()
            case Stepped(done, planned):
                if self.running == THOROUGH and not self.due:
                    yield Tell(self.running, done, planned)
            case Failed(error):
                raise error

    def _judge(self) -> Iterator[Action]:
        """Run now, or once more after the run under way."""
        if self.running:
            if self.running == THOROUGH and not self.due:
                yield Abandon()
            self.due = True
            return
        self.due = False
        self.done = False
        self.running = QUICK
        yield Run(self.exercise, QUICK)

    def _saved(self, exercises: frozenset[str]) -> Iterator[Action]:
        if self.exercise.id in exercises:
            yield from self._judge()
        elif len(exercises) == 1:
            other = next(iter(exercises)).rsplit("/", 1)[-1]
            yield Say(
                f"You saved {other}; this watches {self.exercise.name}. For the other: grader watch {other}"
            )

    def _judged(self, report: Report) -> Iterator[Action]:
        profile, self.running = self.running, ""
        if self.due:
            yield from self._judge()
        elif profile == QUICK and report.earned:
            self.running = THOROUGH
            yield Run(self.exercise, THOROUGH)
            yield Tell(THOROUGH, 0, sum(len(entry.tests) for entry in report.plan))
        else:
            self.done = report.earned
            yield Remember(self.exercise, report)
            yield Show(self.exercise, report, self.done)

    def _refused(self, message: str) -> Iterator[Action]:
        self.running = ""
        yield Say(message)
        if self.due:
            yield from self._judge()

    def _pressed(self, key: str) -> Iterator[Action]:
        match key:
            case "q" | "\x04":
                yield Quit()
            case "h":
                yield Hint(self.exercise)
            case "l":
                yield Map(self.exercise)
            case "c" | "\n" | "\r":
                yield from self._judge()
            case "n" if self.done:
                yield from self._next()
            case "n":
                yield Say(f"{self.exercise.name} is not earned yet. N leaves it for later.")
            case "N":
                yield from self._next()
            case _:
                yield Say(KEYS)

    def _next(self) -> Iterator[Action]:
        following = self.next_open(self.exercise)
        if following is None:
            yield Say("No other exercise is open.")
            return
        self.exercise = following
        self.done = False
        yield Go(following)
        yield from self._judge()


class Stopped(KeyboardInterrupt):
    """The run is not wanted any more. As a KeyboardInterrupt, it ends the judge quietly and at once."""


@dataclass(frozen=True)
class Shell:
    """Does what `Watch` decides: prints, remembers, and runs the judge in one thread of its own."""

    course: Course
    screen: Screen
    memory: Memory
    judge: Judge
    sandbox: str
    seed: str
    events: queue.SimpleQueue[Event] = field(default_factory=queue.SimpleQueue)
    stopping: threading.Event = field(default_factory=threading.Event)
    abandoned: threading.Event = field(default_factory=threading.Event)
    runs: queue.SimpleQueue[Run | None] = field(default_factory=queue.SimpleQueue)

    def next_open(self, exercise: Exercise) -> Exercise | None:
        """The open exercise after this one."""
        return self.memory.load().next_open(self.course, after=exercise)

    def follow(self, watch: Watch) -> None:
        """Feed events to the watch, and do what it says, until it quits."""
        actions: Iterable[Action] = watch.start()
        while all(self._do(action) for action in actions):
            actions = watch.feed(self.events.get())

    def serve(self) -> None:
        """Judge each run that is asked for, until None comes. One thread runs this for the whole watch."""
        while (run := self.runs.get()) is not None:
            self.events.put(self.outcome(run))

    def outcome(self, run: Run) -> Event:
        """Judge a run, and give what came of it."""
        from grader.course import CourseError
        from grader.grading import Options
        from grader.judge.sandboxes import SandboxUnavailable
        from grader.submission import SubmissionRefused, open_submission

        options = Options(
            profile=run.profile,
            sandbox=self.sandbox,
            seed=self.seed,
            remember=run.profile == QUICK,
            alone=True,
        )
        self.abandoned.clear()
        try:
            submission = open_submission(self.course.root, self.course, [run.exercise])
            return Verdict(self.judge(run.exercise, submission, options, self._on_test))
        except (CourseError, SubmissionRefused, SandboxUnavailable) as refused:
            return Refused(str(refused))
        except KeyboardInterrupt:  # ours, or what the judge makes of it
            return Abandoned()
        except BaseException as error:  # noqa: BLE001 - carried to the thread that can end the program
            return Failed(error)

    def _on_test(self, step: Step) -> None:
        if self.stopping.is_set() or self.abandoned.is_set():
            raise Stopped
        self.events.put(Stepped(step.done, step.planned))

    def _do(self, action: Action) -> bool:
        """Do one action; False if it was the last."""
        match action:
            case Run():
                self.screen.status(f"Judging {action.exercise.name} ...")
                self.runs.put(action)
            case Abandon():
                self.abandoned.set()
            case Tell(profile, done, planned):
                self.screen.status(
                    f"The quick run passed; judging with more examples ({profile}): {done} of {planned}"
                )
            case Remember(exercise, report):
                remember(self.memory, exercise, report)
            case Go(exercise):
                self.memory.update(lambda progress: progress.at(exercise))
            case Show():
                self._show(action)
            case Say(line):
                self._print(line)
            case Hint(exercise):
                self._hint(exercise)
            case Map(exercise):
                self.screen.status("")
                show_map(self.screen, self.course, self.memory.load(), current=exercise)
                self._print(KEYS)
            case Quit():
                return False
        return True

    def _show(self, action: Show) -> None:
        self.screen.clear()
        self.screen.status("")
        show_report(self.screen, action.report, action.exercise, place_of(self.course, action.exercise))
        self.screen.print()
        if action.done:
            following = self.next_open(action.exercise)
            self.screen.print(
                styled(("Done.", "bold green"), f" n goes on with {following.name}: {following.title}")
                if following
                else styled(("Done. Every exercise is earned.", "bold green"))
            )
        self._print(KEYS)

    def _hint(self, exercise: Exercise) -> None:
        self.screen.status("")
        if not exercise.hints:
            self._print("The sheet of this exercise holds no hint.")
            return
        number = self.memory.update(lambda progress: progress.with_hint(exercise)).hints[exercise.id]
        show_hints(self.screen, exercise, first=number, last=number)
        self._print(KEYS)

    def _print(self, line: str) -> None:
        self.screen.status("")
        self.screen.print(styled((line, "dim")))


def watch(
    course: Course,
    screen: Screen,
    memory: Memory,
    judge: Judge,
    exercise: Exercise,
    sandbox: str,
    seed: str,
    keyboard: TextIO | None = None,
) -> None:
    """Watch until the learner quits. Keys are read where `keyboard` (else standard input) is a terminal."""
    shell = Shell(course, screen, memory, judge, sandbox, seed)
    machine = Watch(exercise, shell.next_open)
    saver = threading.Thread(target=tell_saves, args=(course, shell.events.put, shell.stopping), daemon=True)
    judging = threading.Thread(target=shell.serve, daemon=True)
    saver.start()
    judging.start()
    try:
        with keys_of(keyboard or sys.stdin, lambda key: shell.events.put(Key(key))):
            screen.print(f"Watching {place_of(course, exercise).file}. Ctrl-C ends it.")
            shell.follow(machine)
    except KeyboardInterrupt:
        screen.print()
    finally:
        screen.status("")
        shell.stopping.set()
        shell.runs.put(None)
        judging.join()
        saver.join()


def saved_exercises(course: Course, paths: Iterable[Path]) -> frozenset[str]:
    """The ids of the exercises whose files (or folders) these paths are or lie in."""
    places = {place for path in paths for place in (path, *path.parents)}
    return frozenset(
        exercise.id
        for exercise in course.exercises
        if any(course.stub(source) in places for source in exercise.sources)
    )


def tell_saves(course: Course, put: Callable[[Event], None], stopping: threading.Event) -> None:
    """Tell `put` of each save of an exercise's file, until `stopping` is set."""
    from watchfiles import watch as changes_below

    for changes in changes_below(
        course.root / "exercises", step=SAVE_STEP_MS, debounce=10 * SAVE_STEP_MS, stop_event=stopping
    ):
        saved = saved_exercises(course, (Path(path) for _, path in changes))
        if saved:
            put(Saved(saved))


@contextlib.contextmanager
def keys_of(keyboard: TextIO, put: Callable[[str], None]) -> Iterator[None]:
    """Hand each pressed key to `put` while the context lasts. Without a terminal: no keys."""
    try:
        import termios
        import tty
    except ImportError:  # Windows: the watch works, without keys
        yield
        return
    if not keyboard.isatty():
        yield
        return
    descriptor = keyboard.fileno()
    before = termios.tcgetattr(descriptor)
    wake, waker = os.pipe()
    reader = threading.Thread(target=_read_keys, args=(descriptor, wake, put), daemon=True)
    try:
        tty.setcbreak(descriptor)
        reader.start()
        yield
    finally:
        os.write(waker, b".")
        reader.join()
        with contextlib.suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        os.close(wake)
        os.close(waker)


def _read_keys(descriptor: int, wake: int, put: Callable[[str], None]) -> None:
    while True:
        ready, _, _ = select.select([descriptor, wake], [], [])
        if wake in ready:
            return
        try:
            pressed = os.read(descriptor, 64)
        except OSError:
            pressed = b""
        if not pressed:  # the terminal is gone
            put("q")
            return
        for key in ESCAPES.sub(b"", pressed).decode("utf-8", "replace"):
            put(key)
