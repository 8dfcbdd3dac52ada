"""A submission that speaks for the worker: it finds the channel among its descriptors and writes what it likes."""

import os
import stat
import sys
import threading
import time


def channel():
    for descriptor in range(256):
        try:
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                return descriptor
        except OSError:
            continue
    raise LookupError("no channel")


def write(raw, then="exit"):
    descriptor = channel()
    if then == "close":
        os.close(descriptor)
        time.sleep(3600)
    while raw:
        raw = raw[os.write(descriptor, raw) :]
    if then == "exit":
        os._exit(0)
    if then == "hang":
        time.sleep(3600)
    return "genuine"


def endless(raw):
    descriptor = channel()
    while True:
        os.write(descriptor, raw)


def drip(raw):
    descriptor = channel()
    os.write(descriptor, raw)
    while True:
        os.write(descriptor, b"\0")
        time.sleep(0.01)


def read_for_ever():
    while True:
        os.read(channel(), 1)


def genuine():
    return "genuine"


def app(function="write", **values):
    async def app(scope, receive, send):
        globals()[function](**values)

    return app


def break_json():
    import asyncio
    import builtins
    import json

    for module in (json, asyncio):
        for name in dir(module):
            if not name.startswith("__"):
                setattr(module, name, None)
    builtins.isinstance = lambda *_: True
    builtins.type = builtins.len = builtins.vars = None
    return "genuine"


def break_worker():
    import gc

    for found in gc.get_objects():
        if type(found).__name__ in ("Worker", "Reader", "Encoder", "Frames") and hasattr(found, "__dict__"):
            found.__dict__.clear()
    return "genuine"


def lie_about_names():
    class Meta(type):
        def __getattribute__(cls, name):
            return "str"

    class Liar(metaclass=Meta):
        __class__ = str

        def __eq__(self, other):
            return True

        def __hash__(self):
            return 1

    return Liar()


def writes_beside(raw):
    descriptor = channel()
    threading.Thread(target=lambda: [os.write(descriptor, raw) for _ in range(50)], daemon=True).start()
    return sys.getrefcount(None) and "genuine"
