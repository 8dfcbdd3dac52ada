"""The price of the boundary: start of a worker, one `call`, one `converse`, in each sandbox.

Judge and worker share a CPU, as they do in a run that is alone on the machine.

python benchmarks/boundary.py
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from figures import RUNS, bound

from grader.judge import affinity, sandboxes
from grader.judge.client import Worker
from grader.judge.script import Script

PROBE = """
def echo(value):
    return value

def app():
    async def app(scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"Hello"})
    return app
"""
TIMES = 500


def main() -> None:
    """Print the figures."""
    script = Script(scope={"type": "http", "path": "/"}, events=[{"type": "http.request"}])
    with tempfile.TemporaryDirectory() as folder, sandboxes.Slot() as slot, affinity.here():
        Path(folder, "probe.py").write_text(PROBE)
        for sandbox in sandboxes.SANDBOXES:
            try:
                sandboxes.available(sandbox)
            except sandboxes.SandboxUnavailable as error:
                print(f"{sandbox}: {error}")
                continue
            starts, calls, conversations = [], [], []
            for _ in range(RUNS + 1):
                began = time.perf_counter()
                worker = Worker.start(sandbox, Path(folder), slot=slot)
                starts.append(time.perf_counter() - began)
                affinity.join(worker.started.identity().pid)
                calls.append(_each(partial(worker.call, "echo", {"value": "/items/1"})))
                conversations.append(_each(partial(worker.converse, [script], {})))
                worker.close()
            print(sandbox)
            bound("start of a worker, until the submission is imported", starts[1:], 100)
            bound("one call", calls[1:], 120, "us")
            bound("one converse (a receive and two sends)", conversations[1:], 300, "us")


def _each(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    for _ in range(TIMES):
        work()
    return (time.perf_counter() - began) / TIMES


if __name__ == "__main__":
    main()
