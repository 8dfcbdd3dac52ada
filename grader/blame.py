"""Blame: which module of a composed submission is at fault, found by swapping modules with the reference's.

Rule 1: what still raises the stub's marker names its module itself; nothing is tried for it.
Rule 2: a module is at fault if a requirement that is lost is met as soon as the reference's stands in its place.
Rule 3: where several modules would each mend it, the one that also breaks it alone among the reference's is at fault.
Rule 4: nothing is guessed: no module, or several, means that it could not be told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from grader.course import Exercise
from grader.report import Report, RequirementResult

Retry = Callable[[Sequence[Exercise]], Report]
"""Judges what was lost again, with these parts of the submission only and the reference's modules for the others."""


def with_blame(
    report: Report, parts: Sequence[Exercise], suspects: Sequence[Exercise], retry: Retry
) -> Report:
    """The report, each requirement that is lost with the ids of the parts that may be at fault.

    `suspects` are those of the parts that are not the reference's, to the letter. One id: this part is. Several: one of
    them, or how they fit. None: swapping one part does not mend it.
    """
    tried = [entry.id for entry in report.requirements if _is_to_be_tried(entry)]
    mended: dict[str, list[Exercise]] = {name: [] for name in tried}
    if tried:
        for part in suspects:
            for name in _met(retry([other for other in parts if other is not part])) & mended.keys():
                mended[name].append(part)
    _narrow(mended, retry)
    entries = tuple(_with_fault(entry, parts, mended.get(entry.id, ())) for entry in report.requirements)
    return msgspec.structs.replace(report, requirements=entries)


def _narrow(mended: dict[str, list[Exercise]], retry: Retry) -> None:
    """Keep of several parts those that lose the requirement alone, if there are any."""
    doubtful = {part.id: part for parts in mended.values() if len(parts) > 1 for part in parts}
    met_alone = {name: _met(retry([part])) for name, part in doubtful.items()}
    for name, parts in mended.items():
        if len(parts) > 1:
            mended[name] = [part for part in parts if name not in met_alone[part.id]] or parts


def _is_to_be_tried(entry: RequirementResult) -> bool:
    return entry.outcome not in ("passed", "blocked", "not_attempted", "judge_error")


def _met(report: Report) -> set[str]:
    return {entry.id for entry in report.requirements if entry.outcome == "passed"}


def _with_fault(
    entry: RequirementResult, parts: Sequence[Exercise], mended: Sequence[Exercise]
) -> RequirementResult:
    if entry.outcome == "not_attempted":
        unwritten = entry.message.partition(":")[0]
        mended = [part for part in parts if part.name == unwritten]
    return msgspec.structs.replace(entry, at_fault=tuple(part.id for part in mended))
