"""Figures: run something several times and print medians and ratios side by side."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

RUNS = 7


def seconds(work: Callable[[], Any]) -> float:
    """Wall-clock seconds of one run."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def side_by_side(
    works: Mapping[str, Callable[[], Any]], runs: int = RUNS, warm_up: int = 1
) -> dict[str, list[float]]:
    """Run the works in turn, A B A B ..., so that a drift of the machine hits all alike; seconds by name."""
    for _ in range(warm_up):
        for work in works.values():
            work()
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(runs):
        for name, work in works.items():
            taken[name].append(seconds(work))
    return taken


def table(taken: Mapping[str, list[float]], unit: str = "ms") -> None:
    """Print the median, minimum and maximum by name."""
    scale = {"s": 1.0, "ms": 1e3, "us": 1e6}[unit]
    for name, values in taken.items():
        shown = (statistics.median(values), min(values), max(values))
        print(
            f"  {name:<44}"
            + "".join(f"{value * scale:>11.1f}" for value in shown)
            + f" {unit} (median, min, max)"
        )


def ratio(words: str, taken: Mapping[str, list[float]], above: str, below: str, goal: float) -> None:
    """Print the median of the ratios of paired runs, and the goal."""
    ratios = [a / b for a, b in zip(taken[above], taken[below], strict=True)]
    print(f"  {words}: {statistics.median(ratios):.2f} times (goal: at most {goal})")


def bound(words: str, values: list[float], goal: float, unit: str = "ms") -> None:
    """Print a median and the goal that it is held against."""
    scale = {"s": 1.0, "ms": 1e3, "us": 1e6}[unit]
    print(f"  {words}: {statistics.median(values) * scale:.1f} {unit} (goal: under {goal} {unit})")
