"""What the doctor's worker tries: the probe of a submission that means harm, in harmless and bounded forms.

Rule 1: this file runs in a worker, as `probe.py` of a tree of its own; the judge only reads its text.
Rule 2: each function gives the names of what it could do; what was refused is not in the list.
Rule 3: nothing is destroyed: the targets are the doctor's own baits, and every loop has an end.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

REFUSED = (OSError, MemoryError, AttributeError, ImportError, RuntimeError, ValueError)


def done(attempts: dict[str, Callable[[], object]]) -> list[str]:
    """The names of the attempts that were not refused."""
    return [name for name, attempt in attempts.items() if _succeeds(attempt)]


def _succeeds(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except REFUSED:
        return False
    return True


def read_files(bait: str, judge: int, suites: str) -> list[str]:
    """Read what is not the submission's."""
    return done(
        {
            "read a file of another folder": lambda: _read(bait),
            "list another folder": lambda: _list(str(Path(bait).parent)),
            "list the course's suites": lambda: _list(suites),
            "read the judge's environment": lambda: _read(f"/proc/{judge}/environ"),
            "list the machine's processes": lambda: _list("/proc"),
        }
    )


def write_files(bait: str) -> list[str]:
    """Change what is not the submission's, and fill the disk with one file."""
    return done(
        {
            "overwrite a file of another folder": lambda: _write(bait, b"changed"),
            "make a file in another folder": lambda: _write(bait + ".new", b"new"),
            "change the permissions of a file": lambda: Path(bait).chmod(0o600),
            "rename a file of another folder": lambda: Path(bait).rename(bait + ".moved"),
            "change the course's tree": lambda: _write("new.py", b""),
            "write a file of 8 MiB": lambda: _write(_scratch(), bytes(8 << 20)),
        }
    )


def use_network(tcp: int, udp: int, path: str, abstract: str) -> list[str]:
    """Reach the doctor's own servers."""
    return done(
        {
            "connect by TCP": lambda: socket.create_connection(("127.0.0.1", tcp), 2),
            "send a datagram": lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", udp)),
            "connect to a Unix socket": lambda: socket.socket(socket.AF_UNIX).connect(path),
            "connect to an abstract socket": lambda: socket.socket(socket.AF_UNIX).connect("\0" + abstract),
            "open a port": lambda: socket.create_server(("127.0.0.1", 0)),
        }
    )


def make_processes() -> list[str]:
    """Start processes, and leave one behind that has left the worker's session."""
    return done(
        {
            "fork": lambda: _fork(lambda: None),
            "start a program": lambda: subprocess.run([sys.executable, "-c", ""], check=True, timeout=5),
            "leave a process behind": lambda: _fork(_stay),
        }
    )


def harm_process(pid: int) -> list[str]:
    """Signal a process that is not the worker's, and read its memory."""
    return done(
        {
            "signal another process": lambda: os.kill(pid, signal.SIGTERM),
            "attach to another process": lambda: _attach(pid),
            "read another process's memory": lambda: _read(f"/proc/{pid}/mem", 0),
        }
    )


def take_memory() -> list[str]:
    """Take 4 GiB at once, and in pieces. No page of it is touched."""
    import mmap

    return done(
        {
            "take 4 GiB at once": lambda: mmap.mmap(-1, 4 << 30),
            "take 4 GiB in pieces": lambda: [mmap.mmap(-1, 32 << 20) for _ in range(128)],
        }
    )


def become_another() -> list[str]:
    """Take another identity."""
    return done(
        {
            "become root": lambda: os.setuid(0 if os.getuid() else 1),
            "take another group": lambda: os.setgroups([0]),
            "mount a file system": _mount,
        }
    )


def who() -> dict[str, int]:
    """The worker's own view of itself. `capabilities` as a bit set; see capget(2)."""
    import ctypes
    import struct

    header, data = struct.pack("Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
    try:
        ctypes.CDLL(None).capget(header, data)
    except AttributeError:  # no Linux
        return {"uid": os.getuid(), "pid": os.getpid(), "capabilities": 0}
    low, _, _, high, _, _ = struct.unpack("6I", data.raw)
    return {"uid": os.getuid(), "pid": os.getpid(), "capabilities": low | high << 32}


def compute_for_ever() -> None:
    """Never give control back. The judge ends it."""
    while True:
        pass


def sleep_for_ever() -> None:
    """Block the thread. The judge ends it."""
    time.sleep(3600)


def _read(path: str, size: int = 1) -> bytes:
    with Path(path).open("rb") as file:
        return file.read(size)


def _list(path: str) -> list[Path]:
    return list(Path(path).iterdir())


def _write(path: str, content: bytes) -> None:
    with Path(path).open("wb", buffering=0) as file:
        if file.write(content) < len(content):
            raise OSError("cut short")


def _scratch() -> str:
    import tempfile

    return str(Path(tempfile.gettempdir(), "big"))


def _fork(work: Callable[[], None]) -> None:
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    os.waitpid(child, 0)


def _stay() -> None:
    os.setsid()
    if os.fork() == 0:
        time.sleep(10)
        os._exit(0)


def _attach(pid: int) -> None:
    import ctypes

    attach, detach = 16, 17
    trace = ctypes.CDLL(None).ptrace
    if trace(attach, pid, None, None) != 0:
        raise OSError("refused")
    trace(detach, pid, None, None)


def _mount() -> None:
    import ctypes

    if ctypes.CDLL(None).mount(b"none", b"/tmp", b"tmpfs", 0, None) != 0:
        raise OSError("refused")
