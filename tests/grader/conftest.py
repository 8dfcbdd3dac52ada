"""What several tests of the grader need: tiny courses, workers, and reports made by hand."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from grader.course import Course, Exercise
from grader.judge import sandboxes
from grader.judge.client import Worker
from grader.report import (
    Outcome,
    Planned,
    Report,
    RequirementResult,
    SuiteDigest,
    TestResult,
)

HERE = Path(__file__).parent
collect_ignore = ["courses", "probes"]
hypothesis.settings.register_profile("grader", deadline=None, database=None, derandomize=True)
hypothesis.settings.load_profile("grader")

SHEET = """---
title: {title}
chapter: {chapter}
place: {place}
difficulty: 2
minutes: 20
builds_on: []
imports: []
requirements:
  - {{id: {prefix}-01, points: 1, sentence: "`{name}` returns 1.", source: "ASGI 3.0, Calls", read: Calls}}
  - {{id: {prefix}-02, points: 2, sentence: "`{name}` takes no argument.", source: "course policy: Calls"}}
  - {{id: {prefix}-03, points: 1, sentence: "`{name}` never raises.", source: "course policy: Calls"}}
---

## Story

Once there was [bold]{name}[/bold].

## API

`def {name}() -> int`

## Rules

- **{prefix}-01** It returns 1.

## Example

```python
assert {name}() == 1
```

## Hints

### A nudge

Think of a number.

### More

The number is small.

### Nearly

The number is 1.
"""
SOLUTION = '''"""One."""


def {name}() -> int:
    """Give 1."""
    return 1
'''


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """A course of two exercises in one chapter, `first` and `second`, with untouched stubs."""
    root = tmp_path / "course"
    (root / "tests" / "suites").mkdir(parents=True)
    chapter = root / "exercises" / "01_introduction"
    answers = root / "solutions" / "01_introduction"
    chapter.mkdir(parents=True)
    answers.mkdir(parents=True)
    (root / "fastasgi_reference").mkdir()
    (chapter / "README.md").write_text("# 1. Introduction\n\n## Calls\n", encoding="utf-8")
    for place, name in enumerate(("first", "second"), start=1):
        sheet = SHEET.format(title=f"The {name} one", chapter=1, place=place, name=name, prefix=name.upper())
        (chapter / f"{name}.md").write_text(sheet, encoding="utf-8")
        (chapter / f"{name}.py").write_text(
            f'raise NotImplementedError("{name}: {name}")\n', encoding="utf-8"
        )
        (answers / f"{name}.py").write_text(SOLUTION.format(name=name), encoding="utf-8")
    return Course(root)


MakeReport = Callable[..., Report]


@pytest.fixture
def make_report() -> MakeReport:
    """Makes a report: `make_report(exercise, {"FIRST-02": "failed"}, {"FIRST-02": {"message": "..."}})`."""
    return report_of


def report_of(
    exercise: Exercise,
    outcomes: dict[str, Outcome] | Outcome = "passed",
    findings: dict[str, dict[str, Any]] | None = None,
    **fields: Any,
) -> Report:
    """A report on `exercise`: outcomes by requirement (or one for all), findings by requirement."""
    results = []
    for demanded in exercise.requirements:
        outcome = outcomes if isinstance(outcomes, str) else outcomes.get(demanded.id, "passed")
        test = f"test_{demanded.id.lower()}"
        finding = {
            "tests": (TestResult(test, demanded.sentence, outcome),),
            **(findings or {}).get(demanded.id, {}),
        }
        results.append(
            RequirementResult(
                id=demanded.id,
                sentence=demanded.sentence,
                source=demanded.source,
                outcome=outcome,
                points=demanded.points if outcome == "passed" else 0,
                max_points=demanded.points,
                read=demanded.read,
                **finding,
            )
        )
    made: dict[str, Any] = {
        "exercise": exercise.id,
        "title": exercise.title,
        "points": sum(result.points for result in results),
        "max_points": exercise.max_points,
        "submission": "0" * 64,
        "suite": SuiteDigest("1" * 64, "0.1.0", "6", "3.11"),
        "seed": "0",
        "keyed": False,
        "profile": "local",
        "sandbox": "process",
        "plan": tuple(Planned(result.id, tuple(test.id for test in result.tests)) for result in results),
        "requirements": tuple(results),
    }
    return Report(**{**made, **fields})


# --- courses and workers that run


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """The tiny course, in a folder of its own: `double`, `greeter`, `fastasgi/shapes`, each with a real suite."""
    root = tmp_path_factory.mktemp("courses") / "tiny"
    shutil.copytree(HERE / "courses" / "tiny", root, ignore=shutil.ignore_patterns("__pycache__"))
    return Course(root)


@pytest.fixture(scope="session")
def slot() -> Iterator[sandboxes.Slot]:
    """A slot for the workers of all tests."""
    with sandboxes.Slot() as held:
        yield held


class Starter:
    """Starts workers in the sandbox `process`; ends them all."""

    def __init__(self, folder: Path, slot: sandboxes.Slot) -> None:
        self._folder = folder
        self._slot = slot
        self._workers: list[Worker] = []

    def __call__(self, probe: str, **files: str) -> Worker:
        """A worker with `probes/<probe>.py` as its probe, or with that text; `files` are modules beside it."""
        return self.launch(probe, **files).ready()

    def launch(self, probe: str, **files: str) -> Worker:
        """A worker that may still be importing."""
        tree = self._folder / f"tree{len(self._workers)}"
        tree.mkdir()
        named = HERE / "probes" / f"{probe}.py"
        source = probe if "\n" in probe else named.read_text(encoding="utf-8")
        for name, text in {**files, "probe": source}.items():
            (tree / f"{name}.py").write_text(text, encoding="utf-8")
        worker = Worker.launch("process", tree, slot=self._slot)
        self._workers.append(worker)
        return worker

    def close(self) -> None:
        """End all."""
        for worker in self._workers:
            worker.close()


@pytest.fixture
def start_worker(tmp_path: Path, slot: sandboxes.Slot) -> Iterator[Starter]:
    """Starts workers: `start_worker("calls")`."""
    starter = Starter(tmp_path, slot)
    yield starter
    starter.close()


@pytest.fixture(scope="module")
def start_shared(tmp_path_factory: pytest.TempPathFactory, slot: sandboxes.Slot) -> Iterator[Starter]:
    """Starts workers that all tests of a module may use: only for those that no test breaks."""
    starter = Starter(tmp_path_factory.mktemp("trees"), slot)
    yield starter
    starter.close()
