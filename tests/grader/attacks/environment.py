"""Looks for secrets in the environment and in what the system tells about the processes."""

# ruff: noqa: PTH123, PTH208, SIM115 - written as an attacker would

import ctypes
import os


def attack(judge):
    found = [value for value in os.environ.values() if "hunter2" in value]
    get = ctypes.CDLL(None).getenv
    get.restype = ctypes.c_char_p
    found += [name for name in ("COURSE_SECRET", "HOME", "PATH", "USER") if get(name.encode())]
    for pid in (judge, os.getppid(), "self", "thread-self"):
        for name in ("environ", "cmdline", "maps", "mem", "root", "fd"):
            path = f"/proc/{pid}/{name}"
            try:
                found.append(os.listdir(path) if name in ("root", "fd") else open(path, "rb").read(1))
            except OSError:
                continue
    return [str(entry) for entry in found]
