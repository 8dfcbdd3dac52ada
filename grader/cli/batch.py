"""Many submissions, one after another or in several processes, each judged once.

Rule 1: a submission that cannot be taken, or that the judge does not survive, spoils nothing but its own line.
Rule 2: a stored result counts only if it would come out the same: by digests, seed, profile, sandbox...
Rule 3: a result with a judge's error is never stored.
"""

from __future__ import annotations

import multiprocessing
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from grader.cli.context import Setting, UsageProblem
from grader.course import Course, Exercise
from grader.submission import Submission, SubmissionRefused, open_submission

if TYPE_CHECKING:
    from grader.grading import Options
    from grader.report import Report, Result

RECYCLE_AFTER = 100
"""Submissions after which a process of the pool is replaced by a fresh one."""
DIED = "the judge's own process died twice while it judged this one. Look at it alone, with --jobs 1."


@dataclass(frozen=True)
class Task:
    """One submission to judge. Without `exercises` (ids): all that it holds files of."""

    path: Path
    name: str
    exercises: tuple[str, ...]
    stored: Path | None


@dataclass(frozen=True)
class Done:
    """A task's end: its result, or why the submission was refused. `again`: the stored result was taken."""

    task: Task
    result: Result | None = None
    refused: str = ""
    again: bool = False


def tasks_of(
    course: Course, paths: Sequence[Path], exercises: Sequence[Exercise], out: Path | None
) -> list[Task | Done]:
    """The tasks, in the order of the paths; a submission that is refused is done already.

    Raises UsageProblem where two submissions would be stored in the same file.
    """
    tasks: list[Task | Done] = []
    stored: dict[Path, Path] = {}
    ids = tuple(exercise.id for exercise in exercises)
    for path in paths:
        try:
            name = open_submission(path, course, exercises).name
        except SubmissionRefused as refused:
            tasks.append(Done(Task(path, str(path), ids, None), refused=str(refused)))
            continue
        target = out / (re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("_.") + ".json") if out else None
        if target is not None and stored.setdefault(target, path) != path:
            raise UsageProblem(
                f"{path}: its result would be stored in {target}, as that of {stored[target]}. "
                "Rename one, or grade them into two folders."
            )
        tasks.append(Task(path, name, ids, target))
    return tasks


def judge_all(setting: Setting, tasks: Sequence[Task], options: Options, jobs: int) -> Iterator[Done]:
    """Judge the tasks, in `jobs` processes; yields each as it is done."""
    if jobs == 1 or len(tasks) == 1:
        for task in tasks:
            yield judge_one(setting, task, options)
        return
    left = dict.fromkeys(tasks)
    yield from _pooled(setting, left, options, jobs)
    for task in tuple(
        left
    ):  # a process died, and took the others' tasks with it: now each has one of its own
        alone = {task: None}
        yield from _pooled(setting, alone, options, jobs=1)
        if alone:
            yield Done(task, refused=f"{task.path}: {DIED}")


def _pooled(setting: Setting, left: dict[Task, None], options: Options, jobs: int) -> Iterator[Done]:
    """Judge the tasks `left` in a pool, and take out those that are done: all, if no process dies."""
    pool = ProcessPoolExecutor(
        max_workers=min(jobs, len(left)),
        mp_context=multiprocessing.get_context("spawn"),
        max_tasks_per_child=RECYCLE_AFTER,
    )
    fresh = Setting(root=setting.course.root, judge_with=setting.judge_with)
    try:
        futures = {pool.submit(judge_one, fresh, task, options): task for task in left}
        for future in as_completed(futures):
            done = future.result()
            del left[futures[future]]
            yield done
    except BrokenProcessPool:
        return
    finally:
        pool.shutdown(cancel_futures=True)


def judge_one(setting: Setting, task: Task, options: Options) -> Done:
    """Judge one submission, or take the stored result if it would be the same."""
    from grader.report import Result, encode

    course = setting.course
    try:
        wanted = [course.exercise(exercise_id) for exercise_id in task.exercises]
        submission = open_submission(task.path, course, wanted)
    except SubmissionRefused as refused:
        return Done(task, refused=str(refused))
    exercises = wanted or [exercise for exercise in course.exercises if submission.holds(exercise)]
    earlier = _stored(task.stored)
    if earlier is not None and _same(earlier, course, exercises, submission, options):
        return Done(task, earlier, again=True)
    reports = tuple(setting.judge(exercise, submission, options) for exercise in exercises)
    result = Result(submission=submission.name, reports=reports)
    if task.stored is not None and all(report.valid for report in reports):
        written = task.stored.with_name(task.stored.name + ".new")
        written.write_bytes(encode(result))
        written.replace(task.stored)
    return Done(task, result)


def _stored(path: Path | None) -> Result | None:
    """The result that an earlier run left; None where there is none, or where it cannot be read."""
    from grader.report import read_results

    if path is None or not path.is_file():
        return None
    try:
        results = read_results(path)
    except ValueError:
        return None
    return results[0] if len(results) == 1 else None


def _same(
    result: Result, course: Course, exercises: Sequence[Exercise], submission: Submission, options: Options
) -> bool:
    """Whether judging again would give this result."""
    if [report.exercise for report in result.reports] != [exercise.id for exercise in exercises]:
        return False
    return all(
        report.valid and _judged_by(report) == _would_be_judged_by(course, exercise, submission, options)
        for report, exercise in zip(result.reports, exercises, strict=True)
    )


def _judged_by(report: Report) -> tuple[object, ...]:
    how = (report.seed, report.profile, report.sandbox, report.keyed, report.imports_allowed)
    return (report.submission, report.suite, *how)


def _would_be_judged_by(
    course: Course, exercise: Exercise, submission: Submission, options: Options
) -> tuple[object, ...]:
    from grader.grading import suite_digest

    how = (options.seed, options.profile, options.sandbox, bool(options.secret), options.imports)
    return (submission.digest(exercise), suite_digest(course, exercise), *how)
