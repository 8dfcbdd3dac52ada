"""The doctor: what a sandbox really protects on this machine.

Rule 1: nothing is read off a version or a setting: each protection is tried by a worker that means harm.
Rule 2: the worker's word counts only against the sandbox; that a thing did not happen is seen from outside.
Rule 3: it tells, it does not mend: no setting of the machine is changed.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from grader.judge import ending, sandboxes
from grader.judge.client import Guards, Worker

Protection = Literal["files", "network", "processes", "memory", "time", "identity"]
PROTECTIONS: tuple[Protection, ...] = ("files", "network", "processes", "memory", "time", "identity")
"""What a sandbox is examined for, in the order of the table."""

_READ_ANYWHERE = 1 << 2
_SHORT = Guards(cpu_seconds=0.5, wall_seconds=1.0)


@dataclass(frozen=True, slots=True)
class Check:
    """One protection: whether it `held`, what was tried and what came of it, and what to do if it did not."""

    protection: Protection
    held: bool
    words: str
    cure: str = ""


def examine(name: str) -> tuple[Check, ...]:
    """Try every protection of the sandbox `name`, for real. Raises SandboxUnavailable, with the cure.

    It takes a few seconds, since two of the attempts end by a guard on time.
    """
    sandboxes.available(name)
    with ExitStack() as stack:
        bench = _Bench(name, stack)
        findings: dict[Protection, _Finding] = {
            "files": _files(bench),
            "network": _network(bench),
            "processes": _processes(bench),
            "memory": _memory(bench),
            "time": _time(bench),
            "identity": _identity(bench),
        }
    return tuple(_check(name, protection, findings[protection]) for protection in PROTECTIONS)


def protects(checks: Sequence[Check]) -> bool:
    """Whether a sandbox that was examined may hold other people's code: all but identity must have held."""
    return all(check.held for check in checks if check.protection != "identity")


@dataclass(frozen=True, slots=True)
class _Finding:
    """What was tried, in words, and what of it was possible."""

    tried: str
    possible: Sequence[str]


class _Bench:
    """A tree with our own bad submission, a slot, and the baits around it."""

    def __init__(self, name: str, stack: ExitStack) -> None:
        self.name = name
        self.slot = stack.enter_context(sandboxes.Slot())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fastasgi-doctor-")))
        folder.chmod(0o755)
        self.tree = folder / "tree"
        self.tree.mkdir()
        (self.tree / "probe.py").write_bytes(Path(__file__).with_name("attempts.py").read_bytes())
        # Open to everybody, so that the sandbox and not its mode is what protects it.
        self.bait = folder / "bait" / "secret"
        self.bait.parent.mkdir()
        self.bait.parent.chmod(0o777)
        self.bait.write_bytes(b"secret")
        self.bait.chmod(0o666)

    @contextmanager
    def worker(self) -> Iterator[Worker]:
        """A fresh worker on the tree."""
        worker = Worker.start(self.name, self.tree, slot=self.slot)
        try:
            yield worker
        finally:
            worker.close()

    def attempt(self, function: str, **values: object) -> list[str]:
        """What a fresh worker could do of what `function` tries."""
        with self.worker() as worker:
            return [str(entry) for entry in worker.call(function, values)]


# --- the protections


def _files(bench: _Bench) -> _Finding:
    suites = Path(__file__).resolve().parents[2] / "tests"
    possible = bench.attempt("read_files", bait=str(bench.bait), judge=os.getpid(), suites=str(suites))
    possible += bench.attempt("write_files", bait=str(bench.bait))
    with suppress(FileNotFoundError):
        if bench.bait.read_bytes() == b"secret" and len(list(bench.bait.parent.iterdir())) == 1:
            return _Finding("read, list, change and fill what is not its own", possible)
    return _Finding("read, list, change and fill what is not its own", [*possible, "harm the bait"])


def _network(bench: _Bench) -> _Finding:
    name = f"fastasgi-doctor-{os.getpid()}"
    with ExitStack() as stack:
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        path = bench.bait.with_name("door")
        unix = stack.enter_context(_unix_server(str(path)))
        path.chmod(0o777)
        servers = {"TCP": tcp, "a datagram": udp, "a Unix socket": unix}
        if sys.platform.startswith("linux"):
            servers["an abstract socket"] = stack.enter_context(_unix_server("\0" + name))
        possible = bench.attempt(
            "use_network", tcp=tcp.getsockname()[1], udp=udp.getsockname()[1], path=str(path), abstract=name
        )
        path.unlink()
        reached = [f"reach the judge by {kind}" for kind, server in servers.items() if _was_reached(server)]
    return _Finding("connect to servers on this machine, send a datagram, open a port", possible or reached)


def _unix_server(address: str) -> socket.socket:
    server = socket.socket(socket.AF_UNIX)
    server.bind(address)
    server.listen()
    return server


def _was_reached(server: socket.socket) -> bool:
    server.setblocking(False)
    try:
        if server.type == socket.SOCK_DGRAM:
            server.recv(1)
        else:
            server.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def _processes(bench: _Bench) -> _Finding:
    with _victim() as victim:
        possible = bench.attempt("harm_process", pid=victim.pid)
        if victim.poll() is not None:
            possible.append("end another process")
    with bench.worker() as worker:
        possible += [str(entry) for entry in worker.call("make_processes", {})]
    if _left_in(bench.tree):
        possible.append("outlive its judge's word to end")
    return _Finding("fork, start a program, stay behind, signal and read other processes", possible)


@contextmanager
def _victim() -> Iterator[subprocess.Popen[bytes]]:
    """A process of the judge's own user that waits to be ended."""
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _left_in(tree: Path) -> bool:
    """Whether a process still works in `tree`."""
    left = False
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            left = left or process.cwd() == str(tree)
    return left


def _memory(bench: _Bench) -> _Finding:
    return _Finding("take 4 GiB of memory, at once and in pieces", bench.attempt("take_memory"))


def _time(bench: _Bench) -> _Finding:
    possible = [name for name in ("compute for ever", "sleep for ever") if not _is_ended(bench, name)]
    return _Finding("compute for ever, sleep for ever", possible)


def _is_ended(bench: _Bench, name: str) -> bool:
    try:
        with bench.worker() as worker:
            worker.guards, pid = _SHORT, worker.started.process.pid
            worker.call(name.replace(" ", "_"), {})
    except ending.TimedOut:
        return not psutil.pid_exists(pid)
    raise AssertionError("unreachable: the call never returns")


def _identity(bench: _Bench) -> _Finding:
    possible = bench.attempt("become_another")
    with bench.worker() as worker:
        inside = worker.call("who", {})
        outside = worker.started.identity()
    if inside["capabilities"] & ~_READ_ANYWHERE:
        possible.append("use capabilities of root")
    apart = outside.uid != os.geteuid() if hasattr(os, "geteuid") else False
    if not apart and inside["pid"] == outside.pid:
        possible.append("act as the user who runs the grader")
    return _Finding("become root, keep root's capabilities, act as you", possible)


# --- words


def _check(name: str, protection: Protection, finding: _Finding) -> Check:
    if not finding.possible:
        return Check(protection, True, f"tried to {finding.tried}: nothing of it was possible")
    could = ", ".join(dict.fromkeys(finding.possible))
    return Check(protection, False, f"tried to {finding.tried}; it could: {could}", _cure(name, protection))


def _cure(name: str, protection: Protection) -> str:
    if name == "bubblewrap":
        return "this should hold: please report it, with the versions of bwrap and of the kernel (uname -r)."
    try:
        sandboxes.available("bubblewrap")
    except sandboxes.SandboxUnavailable as unavailable:
        better = f"bubblewrap would hold it, but {unavailable}"
    else:
        better = "use --sandbox bubblewrap."
    if name == "user" and protection == "identity" and not sandboxes.is_root():
        return f"run the grader as root, which gives each worker a uid of its own; or {better}"
    return better
