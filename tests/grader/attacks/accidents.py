"""Accidents and mischief that every sandbox must outlive, `process` too."""

# ruff: noqa: PTH102, PTH123, PTH211 - written as an attacker would

import os
import signal
import tempfile
import threading


def flood_output(megabytes):
    """Print more than anybody wants to read: past Python, straight to the descriptors."""
    written = 0
    block = bytes(1 << 20)
    for descriptor in (1, 2):
        for _ in range(megabytes):
            try:
                written += os.write(descriptor, block)
            except OSError:
                break
    print("still here")
    return written


def fill_scratch():
    """Deep and wide folders, folders that nobody may enter, links that lead elsewhere, files without end."""
    top = tempfile.mkdtemp()
    for number in range(50):
        os.symlink("/", f"{top}/link{number}")
        os.mkdir(f"{top}/closed{number}", 0)
    os.chdir(top)
    for _ in range(100):
        os.mkdir("d")
        os.chdir("d")
    size = 0
    try:
        with open(top + "/big", "wb", buffering=0) as file:
            while size < 64 << 20:
                size += file.write(bytes(1 << 20))
    except OSError:
        pass
    return size


def close_everything():
    os.closerange(0, 64)


def write_everywhere():
    for descriptor in range(64):
        try:
            os.write(descriptor, b"\xff" * 4096)
        except OSError:
            continue
    return "done"


def ignore_signals():
    for number in signal.valid_signals():
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            continue
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while True:
        pass


def threads_that_never_end(count):
    made = 0
    for _ in range(count):
        try:
            threading.Thread(target=threading.Event().wait).start()
        except RuntimeError:
            break
        made += 1
    return made


def take_memory_in_pieces():
    held = []
    while len(held) < 4096:
        held.append(bytearray(1 << 20))
    return len(held)


def end_itself(number):
    os.kill(os.getpid(), number)
