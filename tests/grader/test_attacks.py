"""Submissions that mean harm, each in a sandbox: nothing is read or harmed, and nothing is left."""

from __future__ import annotations

import os
import platform
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from grader.judge import ending, sandboxes
from grader.judge.client import NO_GUARDS, Guards, Worker

ATTACKS = Path(__file__).with_name("attacks")
ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="where others' code is judged")
others_code = pytest.mark.parametrize("sandbox", sandboxes.OTHERS_CODE, indirect=True)
every_sandbox = pytest.mark.parametrize("sandbox", sandboxes.SANDBOXES, indirect=True)

Run = Callable[..., Worker]


@pytest.fixture
def sandbox(request: pytest.FixtureRequest) -> str:
    """The name of a sandbox that this machine can give."""
    try:
        sandboxes.available(request.param)
    except sandboxes.SandboxUnavailable as unavailable:
        pytest.skip(str(unavailable))
    return str(request.param)


@pytest.fixture
def run(sandbox: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Starts a worker on an attack; afterwards no process, no file and nothing in the kernel may be left."""
    monkeypatch.setenv("COURSE_SECRET", "hunter2")
    before = _left_behind()
    with sandboxes.Slot() as slot, tempfile.TemporaryDirectory() as folder:
        tree, scratch = Path(folder, "tree"), Path(folder, "scratch")
        tree.mkdir()
        scratch.mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(scratch))
        started: list[Worker] = []

        def start(attack: str) -> Worker:
            (tree / "probe.py").write_bytes((ATTACKS / f"{attack}.py").read_bytes())
            started.append(Worker.start(sandbox, tree, slot=slot))
            return started[-1]

        yield start
        for worker in started:
            worker.close()
        assert _processes(slot.uid, tree) == []
        assert list(tree.iterdir()) == [tree / "probe.py"]
        assert list(scratch.iterdir()) == []
    assert _left_behind() - before == set()


def _left_behind() -> set[str]:
    """What an attack could leave outside of its folders: files, and entries of System V."""
    folders = [Path("/dev/shm"), Path("/var/tmp"), Path("/run")]
    files = [str(path) for folder in folders if folder.is_dir() for path in folder.glob("*fastasgi*")]
    kernel = [
        f"{kind} {line.split()[1]}"
        for kind in ("shm", "sem", "msg")
        for line in Path(f"/proc/sysvipc/{kind}").read_text(encoding="ascii").splitlines()[1:]
    ]
    return {*files, *kernel}


def _processes(uid: int | None, tree: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and (
                process.uids().real == uid or process.cwd() == str(tree)
            ):
                found.append(process)
        except psutil.Error:
            continue
    return found


def _values(attack: str, port: int) -> Mapping[str, Any]:
    paths = [ROOT, ROOT / "tests" / "suites", ROOT / "solutions", ROOT / "grader" / "judge", Path(sys.prefix)]
    return {
        "read_everything": {"paths": [str(path) for path in paths]},
        "environment": {"judge": os.getpid()},
        "network": {"port": port},
        "other_processes": {"judge": os.getpid()},
    }.get(attack, {})


# --- attacks on what lies outside


@others_code
@pytest.mark.parametrize(
    "attack",
    ["read_everything", "environment", "network", "other_processes", "fork_bomb", "leftovers", "identity"],
)
def test_nothing_is_to_be_had(run: Run, attack: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert run(attack).call("attack", _values(attack, server.getsockname()[1])) == []
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


@others_code
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the old entry is that of x86")
def test_the_32_bit_entry_leads_nowhere(run: Run) -> None:
    worker = run("old_doors")
    try:
        assert worker.call("attack", {}) == []
    except ending.Crashed:
        assert worker.started.exit_code(5) == -signal.SIGSEGV, "the kernel has no such entry"


# --- accidents and mischief inside


@every_sandbox
def test_a_flood_of_output_is_capped_and_the_worker_goes_on(run: Run) -> None:
    worker = run("accidents")
    limit = sandboxes.Limits().file_bytes
    assert worker.call("flood_output", {"megabytes": 64}) <= limit
    assert os.fstat(worker.started.output).st_size <= limit


@every_sandbox
def test_whatever_is_in_the_scratch_folder_is_removed(run: Run) -> None:
    assert run("accidents").call("fill_scratch", {}) <= sandboxes.Limits().file_bytes


@every_sandbox
@pytest.mark.parametrize("mischief", ["close_everything", "write_everywhere"])
def test_mischief_with_the_channel_is_a_crash_and_a_fresh_worker_is_well(run: Run, mischief: str) -> None:
    worker = run("accidents")
    with pytest.raises((ending.Crashed, ending.Flooded)):
        worker.call(mischief, {})
    worker.close()
    assert run("accidents").call("threads_that_never_end", {"count": 1}) == 1


@every_sandbox
def test_who_ignores_every_signal_is_ended_all_the_same(run: Run) -> None:
    worker = run("accidents")
    worker.guards = Guards(cpu_seconds=0.5)
    with pytest.raises(ending.TimedOut):
        worker.call("ignore_signals", {})


@every_sandbox
def test_threads_that_never_end_do_not_keep_the_worker(run: Run, sandbox: str) -> None:
    made = run("accidents").call("threads_that_never_end", {"count": 100})
    if sandbox != "process" and (sandbox == "bubblewrap" or sandboxes.is_root()):
        assert made < sandboxes.Limits().processes
    assert made >= 32


@every_sandbox
def test_memory_in_small_pieces_ends_too(run: Run) -> None:
    worker = run("accidents")
    worker.guards = NO_GUARDS  # how long a machine takes to hand out the memory is not asked here
    with pytest.raises(ending.OutOfMemory):
        worker.call("take_memory_in_pieces", {})
    assert worker.started.peak_bytes() <= sandboxes.Limits().memory_bytes
