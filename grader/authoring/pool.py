"""Judging many submissions of the author's own, several at a time.

Rule 1: results come in the order of the tasks, whatever ends first.
Rule 2: with one job nothing is started: the judge runs in this process.
Rule 3: a judge's process is replaced after `RECYCLED_AFTER` tasks, and ends when its parent does.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

from grader.course import Course, Exercise
from grader.grading import Options
from grader.report import Report
from grader.submission import Submission

RECYCLED_AFTER = 100
"""Tasks of one process."""
AHEAD = 3
"""Tasks handed out for each process."""


class Judge(Protocol):
    """What judges: `grader.grading.judge`, or a stand-in for it."""

    def __call__(
        self, course: Course, exercise: Exercise, submission: Submission, options: Options
    ) -> Report:
        """Judge one exercise of one submission."""


@dataclass(frozen=True)
class Task:
    """One submission to judge, and how."""

    submission: Submission
    options: Options


def cores() -> int:
    """How many processes are worth while: the CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def judge_all(
    course: Course, exercise: Exercise, tasks: Iterable[Task], judge: Judge, jobs: int
) -> Iterator[tuple[Task, Report]]:
    """Judge the tasks in order, `jobs` at a time. Raises what the judge raises; the rest is then given up."""
    if jobs <= 1:
        for task in tasks:
            yield task, judge(course, exercise, task.submission, task.options)
        return
    with ExitStack() as stack:
        pool = ProcessPoolExecutor(
            jobs,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_end_with_parent,
            max_tasks_per_child=RECYCLED_AFTER,
        )
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        waiting: deque[tuple[Task, Future[Report]]] = deque()
        for task in tasks:
            waiting.append((task, pool.submit(judge, course, exercise, task.submission, task.options)))
            if len(waiting) >= AHEAD * jobs:
                yield _first(waiting)
        while waiting:
            yield _first(waiting)


def _end_with_parent() -> None:
    """Let a judge's process end when the one that started it is gone, however it went."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "only a child is initialised"

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _first(waiting: deque[tuple[Task, Future[Report]]]) -> tuple[Task, Report]:
    task, future = waiting.popleft()
    return task, future.result()
