"""Leaves things in the kernel that outlive a process: shared memory, queues, semaphores, keys, files."""

# ruff: noqa: PTH111, PTH123 - written as an attacker would

import ctypes
import os


def attack():
    found = []
    libc = ctypes.CDLL(None, use_errno=True)
    for name, made in {
        "shared memory": libc.shmget(4711, 4096, 0o1666),
        "a semaphore": libc.semget(4711, 1, 0o1666),
        "a message queue": libc.msgget(4711, 0o1666),
        "a POSIX queue": libc.syscall(ctypes.c_long(240), b"fastasgi", 0o102, 0o666, None),
        "a key": libc.syscall(ctypes.c_long(248), b"user", b"fastasgi", b"x", 1, -4),
    }.items():
        if made >= 0:
            found.append(name)
    for path in (
        "/var/tmp/fastasgi-left",
        "/run/fastasgi-left",
        "/work-left",
        os.path.expanduser("~/fastasgi-left"),
    ):
        try:
            open(path, "w").close()
        except OSError:
            continue
        found.append(path)
    try:
        os.mkfifo("left")
        found.append("a pipe in the tree")
    except OSError:
        pass
    return found
