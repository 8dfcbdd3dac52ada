"""The worker: one process that runs one exercise of one submission, beside a probe of ours.

Rule 1: the judge speaks first; every frame of the worker answers one of the judge's and bears its serial number.
Rule 2: the process is confined before anything of the submission is imported.
Rule 3: nothing here judges. No expected value ever comes here.
Rule 4: when the judge hangs up, the worker ends.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import sys
import traceback
from collections.abc import Coroutine
from types import ModuleType
from typing import Any

from . import confine, driver, imports, live, wire
from .driver import describe
from .loop import Stall, VirtualTimeLoop, stall_when_idle
from .output import cap_output


class Worker:
    """The worker's end of the channel."""

    def __init__(self, channel: int) -> None:
        self._channel = channel
        self._frames = wire.Frames()
        self._reader = wire.Reader(trusted=True)
        self._serial = 0
        self._root = ""
        self._probe = ModuleType("probe")
        self._loop: VirtualTimeLoop | None = None

    @property
    def loop(self) -> VirtualTimeLoop:
        """The one event loop, made when it is first needed."""
        if self._loop is None:
            self._loop = VirtualTimeLoop()
            asyncio.set_event_loop(self._loop)
        return self._loop

    def serve(self) -> None:
        """Answer the judge's frames until it hangs up."""
        while True:
            self._serial, verb, *arguments = self._reader.decode(self._read())
            self._write(getattr(self, "do_" + verb)(*arguments))

    def do_start(self, order: dict[str, Any]) -> list[Any]:
        """Confine the process and say so; then import the probe, and with it the submission."""
        try:
            self._write(["confined", confine.confine(order["policy"])])
        except confine.NotConfined as error:
            return ["not_confined", str(error)]
        self._root = order["root"]
        cap_output(order["output_bytes"])
        imports.install(self._root, order["imports"])
        try:
            self._probe = __import__("probe")
        except BaseException as error:  # noqa: BLE001 - whatever the submission raises on import
            return ["import_failed", describe(error, self._root)]
        return ["ready"]

    def do_call(self, name: str, values: dict[str, Any]) -> list[Any]:
        """Call a function of the probe."""
        try:
            function = getattr(self._probe, name)
            value = function(**values)
            if inspect.iscoroutine(value):
                value = self._awaited(value) if inspect.iscoroutinefunction(function) else _closed(value)
        except Stall:
            return ["stalled", []]
        except BaseException as error:  # noqa: BLE001 - the submission's own, to be shown to its author
            return self._raised(error)
        return self._returned(value)

    def do_converse(self, scripts: list[dict[str, Any]], maker: str, config: dict[str, Any]) -> list[Any]:
        """Run scripted conversations with the application that the probe makes."""
        try:
            app = getattr(self._probe, maker)(**config)
            return driver.converse(self.loop, app, scripts, self._write, self._root)
        except driver.Flood as flood:
            return ["flooded", str(flood)]
        except Stall:
            return ["stalled", []]
        except BaseException as error:  # noqa: BLE001 - the submission's own, to be shown to its author
            return self._raised(error)

    def do_session(self, maker: str, config: dict[str, Any], real_time: bool) -> list[Any]:
        """Run the application that the probe makes, live, until the judge closes it."""
        try:
            app = getattr(self._probe, maker)(**config)
        except BaseException as error:  # noqa: BLE001 - the submission's own, to be shown to its author
            return self._raised(error)
        self._write(["opened"])
        try:
            live.Session(self.loop, app, self._channel, self._serial, self._root, real_time).run()
        except Stall:
            return ["stalled", []]
        return ["closed"]

    def _awaited(self, value: Coroutine[Any, Any, Any]) -> Any:
        self.loop.on_idle = stall_when_idle
        try:
            return self.loop.run_until_complete(value)
        finally:
            self.loop.clean()

    def _returned(self, value: Any) -> list[Any]:
        try:
            return ["returned", wire.packed(value)]
        except wire.WireError as error:
            return ["flooded", f"a value cannot be judged: {error}"]
        except MemoryError as error:
            return self._raised(error)

    def _raised(self, error: BaseException) -> list[Any]:
        description = describe(error, self._root)
        if isinstance(error, MemoryError):  # let go of what its frames hold before anything is encoded
            traceback.clear_frames(error.__traceback__)
            error.__traceback__ = None
            gc.collect()
        return ["raised", description]

    def _read(self) -> bytes:
        while True:
            for payload in self._frames:
                return payload
            data = os.read(self._channel, 1 << 16)
            if not data:
                os._exit(0)
            self._frames.feed(data)

    def _write(self, parts: list[Any]) -> None:
        data = wire.frame_of([self._serial, *parts])
        while data:
            data = data[os.write(self._channel, data) :]


def _closed(coroutine: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
    coroutine.close()  # so that Python does not warn that nobody awaited it
    return coroutine


def main(inherited: int) -> None:
    """Take the channel off its well-known number and serve."""
    channel = os.dup(inherited)
    os.set_inheritable(channel, False)
    if inherited == 0:
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
    else:
        os.close(inherited)
    sys.argv[:] = ["worker"]
    Worker(channel).serve()
