"""The worker's event loop: virtual time, threads at work, and the word for "nothing can ever happen"."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest

from grader.worker.loop import Stall, VirtualTimeLoop, stall_when_idle

AGES = 10.0**6


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[VirtualTimeLoop]:
    """A loop that stalls when it is idle for good. It sees no threads that other tests, or libraries, have left."""
    every, before = threading.enumerate, set(threading.enumerate())
    monkeypatch.setattr(threading, "enumerate", lambda: [each for each in every() if each not in before])
    made = VirtualTimeLoop()
    asyncio.set_event_loop(made)
    made.on_idle = stall_when_idle
    yield made
    made.clean()
    asyncio.set_event_loop(None)
    made.close()


def test_a_sleep_costs_nothing(loop: VirtualTimeLoop) -> None:
    async def main() -> float:
        await asyncio.sleep(AGES)
        return loop.time()

    assert loop.run_until_complete(main()) == pytest.approx(AGES)


@pytest.mark.parametrize("seconds", [10**7, 10**9, 0.1])
def test_the_clock_never_stands_still(loop: VirtualTimeLoop, seconds: float) -> None:
    loop.jump(10**9)
    loop.run_until_complete(asyncio.sleep(seconds))
    assert loop.time() == pytest.approx(10**9 + seconds)


def test_sleepers_wake_in_the_order_of_their_times(loop: VirtualTimeLoop) -> None:
    woken: list[float] = []

    async def sleeper(seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append(seconds)

    async def main() -> None:
        await asyncio.gather(*(sleeper(seconds) for seconds in (3e5, 1e5, 2e5, 0)))

    loop.run_until_complete(main())
    assert woken == [0, 1e5, 2e5, 3e5]


def test_a_timeout_comes_before_a_longer_sleep(loop: VirtualTimeLoop) -> None:
    async def main() -> None:
        await asyncio.wait_for(asyncio.sleep(AGES), AGES - 1)

    with pytest.raises(asyncio.TimeoutError):
        loop.run_until_complete(main())
    assert loop.time() == pytest.approx(AGES - 1)


def test_a_thread_of_the_executor_is_awaited(loop: VirtualTimeLoop) -> None:
    async def main() -> tuple[int, bool]:
        started = loop.time()
        value = await asyncio.to_thread(lambda: sum(range(1000)))
        return value, loop.time() - started < AGES

    assert loop.run_until_complete(asyncio.wait_for(main(), AGES)) == (499500, True)


def test_a_thread_of_the_submission_is_awaited(loop: VirtualTimeLoop) -> None:
    async def main() -> str:
        future: asyncio.Future[str] = loop.create_future()
        go = threading.Event()

        def work() -> None:
            go.wait()
            loop.call_soon_threadsafe(future.set_result, "done")

        threading.Thread(target=work).start()
        loop.call_later(0.001, go.set)
        return await future

    assert loop.run_until_complete(main()) == "done"


def test_time_does_not_jump_while_a_thread_is_at_work(loop: VirtualTimeLoop) -> None:
    async def main() -> float:
        release = threading.Event()
        work = asyncio.ensure_future(asyncio.to_thread(release.wait))
        loop.call_later(0.001, release.set)
        sleeper = asyncio.ensure_future(asyncio.sleep(AGES))
        await work
        sleeper.cancel()
        return loop.time()

    assert loop.run_until_complete(main()) < AGES


def test_nothing_to_do_is_a_stall(loop: VirtualTimeLoop) -> None:
    with pytest.raises(Stall):
        loop.run_until_complete(asyncio.Event().wait())


def test_a_thread_that_ends_without_a_word_is_a_stall(loop: VirtualTimeLoop) -> None:
    async def main() -> None:
        threading.Thread(target=lambda: None).start()
        await asyncio.Event().wait()

    with pytest.raises(Stall):
        loop.run_until_complete(main())


def test_a_submission_cannot_swallow_a_stall(loop: VirtualTimeLoop) -> None:
    async def main() -> str:
        try:
            await asyncio.Event().wait()
        except BaseException:  # noqa: BLE001 - what a submission might write
            return "swallowed"
        return "woken"

    with pytest.raises(Stall):
        loop.run_until_complete(main())


# --- what an exchange leaves


async def _sleeper(seen: list[str]) -> None:
    try:
        await asyncio.sleep(AGES)
    finally:
        seen.append("task")


async def _generator(seen: list[str]) -> AsyncIterator[int]:
    try:
        yield 1
    finally:
        seen.append("generator")


def _leave_task(loop: VirtualTimeLoop, seen: list[str]) -> Coroutine[Any, Any, object]:
    async def main() -> object:
        kept = loop.create_task(_sleeper(seen))
        await asyncio.sleep(0)
        return kept

    return main()


def _leave_generator(loop: VirtualTimeLoop, seen: list[str]) -> Coroutine[Any, Any, object]:
    async def main() -> object:
        kept = _generator(seen)
        await anext(kept)
        return kept

    return main()


def _drop_generator(loop: VirtualTimeLoop, seen: list[str]) -> Coroutine[Any, Any, object]:
    async def main() -> None:
        async for _ in _generator(seen):
            break

    return main()


def _leave_grandchild(loop: VirtualTimeLoop, seen: list[str]) -> Coroutine[Any, Any, object]:
    async def parent() -> None:
        try:
            await asyncio.sleep(AGES)
        finally:
            kept.append(loop.create_task(_sleeper(seen)))
            await asyncio.sleep(5)

    async def main() -> None:
        kept.append(loop.create_task(parent()))
        await asyncio.sleep(0)

    kept: list[object] = []
    return main()


@pytest.mark.parametrize(
    ("leave", "expected"),
    [
        (_leave_task, ["task"]),
        (_leave_generator, ["generator"]),
        (_drop_generator, ["generator"]),
        (_leave_grandchild, []),
    ],
)
def test_what_is_left_is_ended(
    loop: VirtualTimeLoop,
    leave: Callable[[VirtualTimeLoop, list[str]], Coroutine[Any, Any, object]],
    expected: list[str],
) -> None:
    seen: list[str] = []
    kept = loop.run_until_complete(leave(loop, seen))
    loop.clean()
    assert seen[: len(expected)] == expected
    assert asyncio.all_tasks(loop) == set()
    del kept


def test_timers_that_are_left_never_ring(loop: VirtualTimeLoop) -> None:
    rung: list[int] = []

    async def main() -> None:
        loop.call_later(10, rung.append, 1)

    loop.run_until_complete(main())
    loop.clean()
    loop.run_until_complete(asyncio.sleep(AGES))
    assert rung == []


def test_a_task_that_will_not_end_is_a_stall(loop: VirtualTimeLoop) -> None:
    async def stubborn() -> None:
        while not released:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    async def main() -> object:
        task = loop.create_task(stubborn())
        await asyncio.sleep(0)
        return task

    released: list[int] = []
    task = loop.run_until_complete(main())
    with pytest.raises(Stall):
        loop.clean()
    released.append(1)
    del task
