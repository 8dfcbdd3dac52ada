"""Takes another identity, other namespaces, other rights."""

# ruff: noqa: PTH101 - written as an attacker would

import ctypes
import os
import resource


def attack():
    found = []
    libc = ctypes.CDLL(None, use_errno=True)
    for name, take in {
        "uid": lambda: os.setresuid(0, 0, 0),
        "other uid": lambda: os.setuid(1),
        "gid": lambda: os.setgid(1),
        "groups": lambda: os.setgroups([0]),
        "session": os.setsid,
        "chroot": lambda: os.chroot("."),
        "limits": lambda: resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30)),
        "chmod": lambda: os.chmod(".", 0o777),
        "utime": lambda: os.utime("probe.py"),
    }.items():
        try:
            take()
        except (OSError, ValueError):
            continue
        found.append(name)
    for name, answer in {
        "user namespace": libc.unshare(0x10000000),
        "mount": libc.mount(b"none", b"/tmp", b"tmpfs", 0, None),
        "personality": libc.personality(0x0040000),
        "parent-death signal": libc.prctl(1, 0, 0, 0, 0),
        "dumpable": libc.prctl(4, 1, 0, 0, 0),
        "bpf": libc.syscall(ctypes.c_long(321), 0, None, 0),
        "perf": libc.syscall(ctypes.c_long(298), None, 0, -1, -1, 0),
        "handles": libc.syscall(ctypes.c_long(304), 3, None, 0),
    }.items():
        if answer >= 0:
            found.append(name)
    return found
