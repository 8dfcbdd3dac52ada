"""Makes processes in every way that there is. Bounded: forty of each, and a child ends by itself."""

import ctypes
import os
import subprocess
import sys
import time


def attack():
    found = []
    libc = ctypes.CDLL(None, use_errno=True)
    for _ in range(40):
        try:
            child = os.fork()
        except OSError:
            continue
        if child == 0:
            _stay()
        found.append("fork")
    for name, start in {
        "subprocess": lambda: subprocess.Popen([sys.executable, "-c", "import time; time.sleep(5)"]),
        "posix_spawn": lambda: os.posix_spawn(sys.executable, [sys.executable, "-c", ""], {}),
        "exec": lambda: os.execv("/nowhere", ["/nowhere"]) if _may_exec() else _refuse(),
        "system": lambda: None if os.system("exit 7") == 7 << 8 else _refuse(),
        "multiprocessing": lambda: _multiprocess(),
    }.items():
        try:
            start()
        except (OSError, ImportError):
            continue
        found.append(name)
    if libc.syscall(ctypes.c_long(56), ctypes.c_long(17), None, None, None, None) >= 0:
        found.append("clone")
    return found


def _stay():
    os.setsid()
    if os.fork() == 0:
        time.sleep(5)
    os._exit(0)


def _may_exec():
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.execve(b"/nowhere", None, None) == -1 and ctypes.get_errno() != 1


def _refuse():
    raise OSError


def _multiprocess():
    import multiprocessing

    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(5,))
    process.start()
