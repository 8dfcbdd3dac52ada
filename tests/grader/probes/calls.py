"""Functions that a suite calls: what they return, raise or leave behind."""

import asyncio
import os
import sys
import threading
import time

import learner

left = []


def echo(value):
    return value


def consume(values):
    return [values is iter(values), list(values), list(values)]


def kind_of(value):
    return type(value).__name__


def raise_it(name):
    return learner.raise_it(name)


def coroutine():
    return learner.wait(0)


async def slept(seconds):
    await asyncio.sleep(seconds)
    return "woken"


async def wait_for_ever():
    await asyncio.Event().wait()


async def leave_a_task():
    async def late():
        try:
            await asyncio.sleep(5)
        finally:
            left.append("cancelled")
        left.append("ran")

    left.append(asyncio.create_task(late()))
    await asyncio.sleep(0)


async def what_was_left():
    await asyncio.sleep(100)
    return [entry for entry in left if isinstance(entry, str)]


def print_it(text, times):
    for _ in range(times):
        print(text)
    sys.stderr.write("to stderr\n")
    return sys.stdout.closed


def write_to_descriptors(times):
    for _ in range(times):
        try:
            os.write(1, b"x" * 65536)
        except OSError:
            return "full"
    return "all written"


def large(size):
    return bytes(size)


def many(count):
    return [None] * count


def deep(depth):
    value = None
    for _ in range(depth):
        value = [value]
    return value


def huge():
    return 1 << 100_000


def exit_now(code):
    os._exit(code)


def kill_itself():
    import signal

    os.kill(os.getpid(), signal.SIGKILL)


def loop():
    while True:
        pass


def block():
    time.sleep(3600)


def thread_for_ever():
    threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
    return "started"


async def wait_beside_a_thread():
    thread_for_ever()
    await asyncio.Event().wait()


def memory(size):
    return len(bytearray(size))


def pieces():
    kept = []
    while True:
        kept.append(bytearray(1 << 20))


def recurse():
    return recurse()


def where():
    return (
        sorted(os.listdir(".")),
        list(sys.modules["__main__"].__dict__.get("Worker", "")),
        "msgspec" in sys.modules,
    )
