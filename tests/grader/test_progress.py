"""What the grader remembers, and that it never loses it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from grader.course import Course, CourseError
from grader.progress import Memory, Progress, back_up, first_to_mend, remember, write_files


@pytest.fixture
def notices() -> list[str]:
    """The lines that the learner was told."""
    return []


@pytest.fixture
def memory(course: Course, notices: list[str]) -> Memory:
    """The memory of the tiny course."""
    return Memory.of(course, notices.append)


def test_nothing_is_remembered_at_first_and_reading_writes_nothing(course: Course, memory: Memory) -> None:
    assert memory.load() == Progress()
    assert not course.state.exists()


def test_a_verdict_is_remembered_across_readers(course: Course, memory: Memory, make_report: Any) -> None:
    first = course.exercise("first")
    remember(memory, first, make_report(first, {"FIRST-02": "failed"}))
    standing = Memory.of(course, print).load().standings[first.id]
    assert (standing.points, standing.max_points, standing.earned, standing.open) == (2, 4, False, "FIRST-02")


def test_once_earned_stays_so_when_a_later_verdict_is_worse(
    course: Course, memory: Memory, make_report: Any
) -> None:
    first = course.exercise("first")
    remember(memory, first, make_report(first))
    remember(memory, first, make_report(first, "failed"))
    progress = memory.load()
    assert progress.ever_earned(first)
    assert not progress.complete(first)


def test_a_verdict_with_the_judges_own_fault_changes_nothing(
    course: Course, memory: Memory, make_report: Any
) -> None:
    first = course.exercise("first")
    remember(memory, first, make_report(first))
    remember(memory, first, make_report(first, {"FIRST-01": "judge_error"}))
    assert memory.load().complete(first)


def test_the_exercise_at_hand_is_the_last_open_one_that_was_checked(
    course: Course, memory: Memory, make_report: Any
) -> None:
    first, second = course.exercises
    assert memory.load().at_hand(course) == first
    remember(memory, second, make_report(second, "failed"))
    assert memory.load().at_hand(course) == second
    remember(memory, second, make_report(second))
    assert memory.load().at_hand(course) == first
    remember(memory, first, make_report(first))
    assert memory.load().at_hand(course) is None


def test_the_next_open_exercise_after_the_last_begins_again_at_the_first(
    course: Course, make_report: Any
) -> None:
    first, second = course.exercises
    assert Progress().next_open(course, after=second) == first
    assert Progress().with_report(make_report(first)).next_open(course, after=second) is None


def test_hints_are_counted_up_to_the_last(course: Course, memory: Memory) -> None:
    first = course.exercise("first")
    seen = [memory.update(lambda progress: progress.with_hint(first)).hints[first.id] for _ in range(4)]
    assert seen == [1, 2, 3, 3]


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b'{"version": 1, "current": 3}', b"\xff\xfe", b"null"])
def test_a_broken_file_is_kept_aside_and_said(
    course: Course, memory: Memory, notices: list[str], broken: bytes
) -> None:
    course.state.mkdir()
    memory.path.write_bytes(broken)
    memory.update(lambda progress: progress.at(course.exercise("second")))
    assert memory.load().current.endswith("second")
    assert (course.state / "progress.broken-1.json").read_bytes() == broken
    assert len(notices) == 1
    assert "progress.broken-1.json" in notices[0]


def test_a_second_broken_file_does_not_replace_the_first(course: Course, memory: Memory) -> None:
    course.state.mkdir()
    for content in (b"one", b"two"):
        memory.path.write_bytes(content)
        memory.load()
    kept = [(course.state / f"progress.broken-{number}.json").read_bytes() for number in (1, 2)]
    assert kept == [b"one", b"two"]


def test_a_newer_format_is_left_alone(course: Course, memory: Memory) -> None:
    course.state.mkdir()
    memory.path.write_bytes(b'{"version": 2, "current": "x", "more": 1}')
    with pytest.raises(CourseError, match="format 2"):
        memory.update(lambda progress: progress.at(course.exercise("first")))
    assert memory.path.read_bytes() == b'{"version": 2, "current": "x", "more": 1}'


def test_two_memories_do_not_undo_each_other(course: Course, memory: Memory, make_report: Any) -> None:
    first, second = course.exercises
    other = Memory.of(course, print)
    remember(memory, first, make_report(first))
    other.update(lambda progress: progress.with_hint(second))
    remember(memory, second, make_report(second))
    progress = other.load()
    assert progress.complete(first)
    assert progress.complete(second)
    assert progress.hints == {second.id: 1}


def test_what_is_remembered_is_ignored_by_git(course: Course, memory: Memory) -> None:
    memory.update(lambda progress: progress.at(course.exercise("first")))
    assert (course.state / ".gitignore").read_text(encoding="utf-8") == "*\n"


def test_where_nothing_can_be_written_the_verdict_is_not_lost(
    course: Course, memory: Memory, notices: list[str], make_report: Any
) -> None:
    course.state.write_text("a file where the folder should be", encoding="utf-8")
    first = course.exercise("first")
    assert remember(memory, first, make_report(first)).complete(first)
    assert "cannot be written" in notices[0]


def test_each_backup_has_a_place_of_its_own(course: Course) -> None:
    first = course.exercise("first")
    copies = []
    for text in ("one", "two"):
        course.stub(first).write_text(text, encoding="utf-8")
        copy = back_up(course, first)
        assert copy is not None
        copies.append(copy)
    assert [copy.read_text(encoding="utf-8") for copy in copies] == ["one", "two"]
    assert copies[0] == course.state / "backups" / first.id / "1" / "first.py"


def test_what_is_not_there_needs_no_backup(course: Course) -> None:
    course.stub(course.exercise("first")).unlink()
    assert back_up(course, course.exercise("first")) is None


def test_files_are_written_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file.py"
    write_files({target: b"text"})
    assert target.read_bytes() == b"text"
    assert list(target.parent.iterdir()) == [target]


def test_what_was_tried_is_mended_before_what_is_not_written(course: Course, make_report: Any) -> None:
    first = course.exercise("first")
    report = make_report(first, {"FIRST-01": "not_attempted", "FIRST-02": "failed", "FIRST-03": "failed"})
    found = first_to_mend(report)
    assert found is not None
    assert found.id == "FIRST-02"
    assert first_to_mend(make_report(first)) is None
