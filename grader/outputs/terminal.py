"""A verdict for the learner: what is not met yet, shown by the smallest case, and what to do about it.

Rule 1: the order is: the rule; the smallest case or the conversation; expected and received; the learner's
        own traceback; where to read; how to get a hint.
Rule 2: one failure in full, the others in one line each, unless asked for all.
Rule 3: what came from the submission passes `visible`. No frame of the grader, pytest or Hypothesis is shown.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from grader.course import Exercise
from grader.outputs.comparison import comparison
from grader.outputs.place import Place
from grader.outputs.screen import Screen, columns, indented, styled, visible
from grader.progress import first_to_mend
from grader.report import WORDS, Outcome, Report, RequirementResult
from grader.transcript import ARROWS, Frame, Line

ADVICE: Mapping[Outcome, str] = {
    "passed": "",
    "failed": "",
    "not_attempted": "Replace that line by your code.",
    "timed_out": "Look for a `while` whose condition never changes, or for work that explodes with the input.",
    "stalled": (
        "If that is `await receive()`, it is called once more after the last event: find the condition that "
        "should have ended the loop. If it is a task, a future, a queue or a lock of yours, nobody is left who "
        "would end, set, fill or release it."
    ),
    "out_of_memory": (
        "Look for a list or a buffer that grows at every step, "
        "or for a number from the input that decides how much you allocate."
    ),
    "crashed": ("Look for sys.exit(), os._exit() or a recursion without an end. To stop half-way, raise."),
    "blocked": "Fix the import first; then this one is judged.",
    "judge_error": "This is a fault of the grader, not of your code, and no verdict on it. Run it again.",
}
"""One sentence of what to do, for each outcome whose case does not say it by itself."""
STYLES: Mapping[Outcome, str] = {
    "passed": "green",
    "failed": "bold red",
    "not_attempted": "yellow",
    "blocked": "dim",
    "judge_error": "bold magenta",
}
MARKS: Mapping[Outcome, str] = {"passed": "✓", "not_attempted": "·", "blocked": "·", "judge_error": "!"}
ARROW_STYLES: Mapping[str, str] = {
    "received": "cyan",
    "sent": "green",
    "send_failed": "red",
    "raised": "bold red",
    "waits": "bold yellow",
}
PROBE = "probe.py"
"""The file of ours that runs beside the learner's code; its frames tell a learner nothing."""
DIFFERS = "your code's answer differs"
"""What the judge says of a comparison that needs no words."""
ALIKE = 0.7
"""From this likeness on, a test's title only repeats the rule."""
MAX_OUTPUT = 20
"""Lines of what the submission printed that are shown, from the end."""


def show_report(
    screen: Screen, report: Report, exercise: Exercise, place: Place, *, verbose: bool = False
) -> None:
    """Print the verdict on one exercise: the first failure in full (all if `verbose`), then the points."""
    screen.print(_headline(report))
    for note in report.notes:
        screen.print(styled(("Note: ", "yellow"), visible(note)))
    if not report.valid:
        _show_judge_errors(screen, report)
    elif _untouched(report) and not exercise.parts:
        screen.print("", *_start_here(report, exercise, place))
        return
    elif not report.earned:
        _show_failures(screen, report, exercise, place, verbose=verbose)
    if report.output.strip():
        screen.print("", _label("Your code printed"), indented(_tail(report.output)))
    if not report.earned or verbose:
        screen.print("", _points(report, None if verbose else first_to_mend(report), screen.console.width))


def one_line(report: Report) -> Text:
    """The verdict on one exercise in a line: mark, name, points, and what is open first."""
    first = first_to_mend(report)
    outcome: Outcome = first.outcome if first else "passed"
    pieces: list[str | tuple[str, str]] = [
        _mark(outcome),
        f" {_name(report)}  {report.points}/{report.max_points}",
    ]
    if first:
        pieces.append(f"  {first.id}: {WORDS[first.outcome]}: {visible(first.sentence)}")
    return styled(*pieces)


def points_text(earned: int, most: int) -> str:
    """`7 of 10 points`."""
    return f"{earned} of {most} point{'' if most == 1 else 's'}"


def _name(report: Report) -> str:
    return report.exercise.rsplit("/", 1)[-1]


def _headline(report: Report) -> Text:
    mark: Outcome = "passed" if report.earned else ("failed" if report.valid else "judge_error")
    style = "bold green" if report.earned else "bold"
    return styled(
        _mark(mark),
        " ",
        (f"{_name(report)}: {points_text(report.points, report.max_points)}", style),
        (f"  ({report.profile} profile, {report.sandbox} sandbox)", "dim"),
    )


def _mark(outcome: Outcome) -> tuple[str, str]:
    return MARKS.get(outcome, "✗"), STYLES.get(outcome, "bold red")


def _untouched(report: Report) -> bool:
    return all(entry.outcome == "not_attempted" for entry in report.requirements)


def _import_failed(report: Report) -> bool:
    return any(entry.outcome == "blocked" for entry in report.requirements)


def _start_here(report: Report, exercise: Exercise, place: Place) -> Iterator[RenderableType]:
    """What to do with a stub that nobody touched."""
    first = report.requirements[0]
    yield "Nothing is written yet."
    steps = columns("left")
    steps.add_row("Read", f"grader show {exercise.name}")
    steps.add_row("Open", styled((place.file, "bold")))
    steps.add_row("Write", "your code in place of each `raise NotImplementedError(...)`")
    steps.add_row("Start with", styled((first.id, "bold"), ": ", first.sentence))
    steps.add_row("Stuck?", f"grader hint {exercise.name}")
    yield indented(steps)


def _show_judge_errors(screen: Screen, report: Report) -> None:
    screen.print("", styled((ADVICE["judge_error"], "bold magenta")))
    for entry in report.requirements:
        if entry.outcome == "judge_error":
            screen.print(indented(styled((entry.id, "bold"), f": {visible(entry.message)}")))
    screen.print(
        "If it stays, report it with the output of `grader doctor`. Your points do not change by it."
    )


def _show_failures(
    screen: Screen, report: Report, exercise: Exercise, place: Place, *, verbose: bool
) -> None:
    first = first_to_mend(report)
    shown = [entry for entry in report.requirements if entry.lost]
    for entry in shown if verbose or first is None else [first]:
        parts = _import_failure if _import_failed(report) else _failure
        screen.print("", *parts(entry, exercise, place, screen.width))


def _failure(
    entry: RequirementResult, exercise: Exercise, place: Place, width: int
) -> Iterator[RenderableType]:
    """One requirement that is not met, in full."""
    yield styled(
        _mark(entry.outcome),
        " ",
        (entry.id, "bold"),
        f"  {WORDS[entry.outcome]}  ",
        (f"({points_text(entry.points, entry.max_points)})", "dim"),
    )
    yield indented(styled((visible(entry.sentence), "bold")))
    title = _title(entry)
    if title:
        yield indented(styled("Checked here: ", visible(title)))
    yield from _case(entry, exercise, place, width)
    if exercise.parts:
        yield from _block("Which module", styled(_at_fault(entry)))
    yield ""
    yield indented(_where_next(entry, exercise, place))


def _import_failure(
    entry: RequirementResult, exercise: Exercise, place: Place, width: int
) -> Iterator[RenderableType]:
    """The file could not be imported: the rule does not matter yet, the error does."""
    yield styled(_mark(entry.outcome), " ", ("Your file could not be imported", "bold"), f": {place.file}")
    yield from _case(entry, exercise, place, width)


def _case(entry: RequirementResult, exercise: Exercise, place: Place, width: int) -> Iterator[RenderableType]:
    """What the case shows: inputs, conversation, the words for it, both sides, the learner's own frames."""
    if entry.outcome == "not_attempted":
        yield from _block("What to write", styled(_unwritten(entry.message)))
        return
    inner = width - 4
    if entry.counterexample and not _told_by(entry.transcript, entry):
        yield from _block("Smallest input that shows it", _inputs(entry))
    lines = [line for line in entry.transcript if line.kind != "note" or line.text != entry.message]
    if lines:
        lines += _ending(entry)
        yield from _block(_transcript_label(lines), _transcript(lines))
    words = " ".join(part for part in (_said(entry), ADVICE[entry.outcome]) if part)
    if words:
        yield from _block("What is wrong", styled(words))
    if entry.expected is not None or entry.received is not None:
        yield ""
        for part in comparison(entry.expected, entry.received, inner):
            yield indented(part)
    frames = [frame for frame in entry.traceback if frame.file != PROBE]
    if frames:
        yield from _block("In your code", _traceback(frames, exercise, place))


def _at_fault(entry: RequirementResult) -> str:
    """Which of several modules judged together is at fault, how that was found, and what to do."""
    names = [name.rsplit("/", 1)[-1] for name in entry.at_fault]
    if not names:
        return (
            "This could not be told: with the reference's in place of any single one of yours the rule is still not "
            "met. `grader check --all` judges each module alone."
        )
    alone = f"`grader check {' '.join(names)}` judges {'it' if len(names) == 1 else 'each'} alone."
    if entry.outcome == "not_attempted":
        return f"{names[0]}. {alone}"
    if len(names) == 1:
        return f"{names[0]}: with the reference's {names[0]} in place of yours the rule is met. {alone}"
    return (
        f"{' or '.join(names)}, or how they fit together: with the reference's in place of any one of them the rule "
        f"is met. {alone}"
    )


def _unwritten(message: str) -> str:
    """What still raises the stub's marker, `<exercise>: <qualified name>`, and what to do about it."""
    name = visible(message.partition(": ")[2]) or "This part"
    return f"{name} still raises NotImplementedError. {ADVICE['not_attempted']}"


def _said(entry: RequirementResult) -> str:
    """The message as a sentence; empty where both sides of a comparison, or the transcript, say the same."""
    message = visible(entry.message)
    if message == DIFFERS and entry.expected is not None and entry.received is not None:
        return ""
    if any(line.kind == "raised" and message == f"your code raised {line.text}" for line in entry.transcript):
        return ""
    end = "" if not message or message.endswith((".", "?", "!", ":")) else "."
    word = message.partition(" ")[0]
    return (message[:1].upper() + message[1:] if word.isalpha() else message) + end


def _block(label: str, part: RenderableType) -> Iterator[RenderableType]:
    yield ""
    yield indented(_label(label))
    yield indented(part, 4)


def _label(text: str) -> Text:
    return styled((text, "underline"))


def _title(entry: RequirementResult) -> str:
    """The title of the test that did not pass, where it tells more than the rule."""
    title = next((test.title for test in entry.tests if test.outcome != "passed"), "")
    alike = difflib.SequenceMatcher(None, title.casefold(), entry.sentence.casefold()).ratio()
    return "" if alike > ALIKE else title


def _told_by(transcript: Sequence[Line], entry: RequirementResult) -> bool:
    """Whether a call in the transcript already shows every input."""
    return any(
        line.kind == "called"
        and all(f"{value.name}={value.text}" in line.text for value in entry.counterexample)
        for line in transcript
    )


def _inputs(entry: RequirementResult) -> RenderableType:
    table = columns("left")
    for value in entry.counterexample:
        table.add_row(styled((visible(value.name), "bold")), styled("= ", visible(value.text)))
    return table


def _transcript_label(transcript: Sequence[Line]) -> str:
    if any(line.kind in ("received", "sent", "send_failed", "waits") for line in transcript):
        return "The conversation (← your code received, → your code sent)"
    return "What was called"


def _ending(entry: RequirementResult) -> list[Line]:
    """The line that the judge does not write: where the code waits."""
    if entry.outcome != "stalled" or any(line.kind == "waits" for line in entry.transcript):
        return []
    return [Line(kind="waits", text="here, for something that never comes")]


def _transcript(transcript: Sequence[Line]) -> RenderableType:
    several = len({line.conversation for line in transcript}) > 1
    table = columns("left", "left") if several else columns("left")
    for line in transcript:
        style = ARROW_STYLES.get(line.kind, "dim")
        row: list[RenderableType] = [styled((ARROWS[line.kind], style)), styled(visible(line.text))]
        table.add_row(*([f"[{line.conversation + 1}]", *row] if several else row))
    return table


def _traceback(frames: Sequence[Frame], exercise: Exercise, place: Place) -> RenderableType:
    pieces: list[str | tuple[str, str]] = []
    for frame, same in groupby(frames):
        times = len(list(same))
        pieces.append((f"{_own_path(frame.file, exercise, place)}:{frame.line}", "bold"))
        pieces.append(f" in {visible(frame.function)}" if frame.function else "")
        pieces.append("\n" if times == 1 else ", again and again\n")
        if frame.source.strip():
            pieces.append(f"    {visible(frame.source.strip())}\n")
    return _without_last_newline(styled(*pieces))


def _without_last_newline(text: Text) -> Text:
    text.rstrip()
    return text


def _own_path(file: str, exercise: Exercise, place: Place) -> str:
    """The learner's path of a file of the worker's tree."""
    file = visible(file)
    if file == exercise.home + ".py":
        return place.file
    if (exercise.package or exercise.parts) and file.startswith(exercise.home + "/"):
        return place.file + file.removeprefix(exercise.home)
    return file


def _where_next(entry: RequirementResult, exercise: Exercise, place: Place) -> RenderableType:
    table = columns("left")
    if entry.read:
        table.add_row("Read", f'{place.text or "the chapter"}, "{entry.read}"')
    if entry.source:
        table.add_row("Source", entry.source)
    table.add_row("Hint", f"grader hint {exercise.name}")
    return table


def _tail(output: str) -> Text:
    lines = [
        _repeated(line, len(list(same))) for line, same in groupby(visible(output).rstrip("\n").split("\n"))
    ]
    left_out = len(lines) - MAX_OUTPUT
    if left_out > 0:
        lines = [f"... {left_out} lines before ...", *lines[-MAX_OUTPUT:]]
    return styled("\n".join(lines))


def _repeated(line: str, times: int) -> str:
    """One line for a line that was printed several times in a row: every example prints it once."""
    return line if times == 1 else f"{line}   ({times} times)"


def _points(report: Report, shown: RequirementResult | None, width: int) -> RenderableType:
    """A line for each requirement; the sentence of those that are open and not shown above."""
    taken = 14 + max(len(entry.id) + len(WORDS[entry.outcome]) for entry in report.requirements)
    table = columns("left", "left", "right", "left", last_width=max(12, width - taken))
    for entry in report.requirements:
        style = STYLES.get(entry.outcome, "bold red")
        tells = entry.lost and entry is not shown
        row: tuple[Any, ...] = (
            styled(_mark(entry.outcome)),
            entry.id,
            f"{entry.points}/{entry.max_points}",
            styled((WORDS[entry.outcome], style)),
            _told_in_the_list(entry) if tells else ("shown above" if entry is shown else ""),
        )
        table.add_row(*row)
    return table


def _told_in_the_list(entry: RequirementResult) -> str:
    names = " or ".join(name.rsplit("/", 1)[-1] for name in entry.at_fault)
    return (f"{names}: " if names else "") + visible(entry.sentence)
