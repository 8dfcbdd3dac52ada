"""Reads the judge's memory, signals it, and takes hold of its descriptors."""

# ruff: noqa: B023 - written as an attacker would

import ctypes
import fcntl
import os
import signal
import socket


def attack(judge):
    found = []
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long

    class Vector(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

    buffer = ctypes.create_string_buffer(8)
    local, remote = Vector(ctypes.addressof(buffer), 8), Vector(ctypes.addressof(buffer), 8)
    for pid in (judge, os.getppid()):
        if libc.process_vm_readv(pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0) > 0:
            found.append("process_vm_readv")
        if libc.process_vm_writev(pid, ctypes.byref(local), 0, ctypes.byref(remote), 0, 0) >= 0:
            found.append("process_vm_writev")
        if libc.ptrace(0x4206, pid, None, None) == 0:
            found.append("ptrace")
        if libc.syscall(ctypes.c_long(434), pid, 0) >= 0:
            found.append("pidfd_open")
        for name, send in {
            "kill": lambda: os.kill(pid, 0),
            "killpg": lambda: os.killpg(os.getpgid(pid) if pid == judge else 0, signal.SIGCONT),
            "everybody": lambda: os.kill(-1, signal.SIGCONT),
            "tgkill": lambda: _demand(libc.syscall(ctypes.c_long(234), pid, pid, 0)),
            "queue": lambda: _demand(libc.sigqueue(pid, signal.SIGCONT, None)),
            "priority": lambda: os.setpriority(os.PRIO_PROCESS, pid, 10),
            "affinity": lambda: os.sched_setaffinity(pid, {0}),
            "limits": lambda: __import__("resource").prlimit(pid, 7, (10, 10)),
            "owner": lambda: fcntl.fcntl(socket.socketpair()[0], fcntl.F_SETOWN, pid),
        }.items():
            try:
                send()
            except (OSError, ValueError):
                continue
            found.append(name)
    return found


def _demand(result):
    if result < 0:
        raise OSError
