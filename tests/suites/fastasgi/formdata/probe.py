"""Runs beside the submission: makes uploads and forms from values, uses them, and tells what became of them.

Rule 1: a file is of a kind in `FILES`. Each is a real file that also notes, of each of its steps, whether that was
        done in the event loop's thread, and whether the file was on disk then.
Rule 2: nothing is judged here.
"""

from __future__ import annotations

import io
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from fastasgi import formdata
from fastasgi.datastructures import Headers, MultiDict

Log = list[tuple[str, bool, bool]]
"""Of each step on a file: what, whether in the event loop's thread, and whether the file was on disk afterwards."""
logs: list[Log] = [[]]
"""The log of the files that are made now."""
loop_thread: list[int] = [0]
"""The thread in which the event loop runs."""
files: list[Any] = []
"""The files of the last form."""
asked: list[int] = [0]
"""How many chunks of the last form were asked for."""


def _begin() -> None:
    logs[0] = []
    files.clear()
    loop_thread[0] = threading.get_ident()


# --- files --------------------------------------------------------------------------------------------------


class _Noting:
    """What notes its steps."""

    def __init__(self) -> None:
        self.log = logs[0]

    def note(self, step: str, on_disk: bool) -> None:
        self.log.append((step, threading.get_ident() == loop_thread[0], on_disk))


class _OnDisk(_Noting, io.BufferedRandom):
    """A temporary file on disk."""

    def __init__(self) -> None:
        _Noting.__init__(self)
        raw = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - it is closed with this one
        io.BufferedRandom.__init__(self, raw)  # type: ignore[arg-type]

    def read(self, size: int | None = -1, /) -> bytes:
        self.note("read", on_disk=True)
        return super().read(size)

    def write(self, data: Any, /) -> int:
        self.note("write", on_disk=True)
        return super().write(data)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self.note("seek", on_disk=True)
        return super().seek(offset, whence)

    def close(self) -> None:
        if not self.closed:
            self.note("close", on_disk=True)
        super().close()


class _Spooled(_Noting, tempfile.SpooledTemporaryFile[bytes]):
    """A temporary file that moves to disk."""

    on_disk = False

    def __init__(self, max_size: int) -> None:
        _Noting.__init__(self)
        tempfile.SpooledTemporaryFile.__init__(self, max_size=max_size)

    def rollover(self) -> None:
        self.on_disk = True
        super().rollover()

    def read(self, *args: Any) -> bytes:
        return self._noted("read", lambda: super(_Spooled, self).read(*args))

    def write(self, data: Any) -> int:
        return self._noted("write", lambda: super(_Spooled, self).write(data))

    def seek(self, *args: Any) -> int:
        return self._noted("seek", lambda: super(_Spooled, self).seek(*args))

    def close(self) -> None:
        if not self.closed:
            self._noted("close", super().close)

    def _noted(self, step: str, act: Callable[[], Any]) -> Any:
        try:
            return act()
        finally:
            self.note(step, self.on_disk)


class _Unclosable(io.BytesIO):
    """A file in memory whose closing fails, as that of a file does when the disk is full."""

    def close(self) -> None:
        if not self.closed:
            super().close()
            raise OSError("no space left on device")


FILES: dict[str, Callable[[], Any]] = {
    "a BytesIO": io.BytesIO,
    "a file on disk": _OnDisk,
    "a SpooledTemporaryFile(max_size=10)": lambda: _Spooled(10),
    "a SpooledTemporaryFile(max_size=1)": lambda: _Spooled(1),
    "a file that cannot be closed": _Unclosable,
}


def _file(kind: str, content: bytes) -> Any:
    """A file of that kind, with this content, at its start."""
    file = FILES[kind]()
    if content:
        file.write(content)
        file.seek(0)
    return file


# --- uploads ------------------------------------------------------------------------------------------------


def described(content: bytes, place: int, options: dict[str, Any]) -> dict[str, Any]:
    """What an upload says of itself. Headers are given as raw pairs."""
    file = io.BytesIO(content)
    file.seek(place)
    if "headers" in options:
        options = options | {"headers": Headers(raw=options["headers"])}
    upload = formdata.UploadFile(file, **options)  # type: ignore[arg-type]
    return {
        "file is the one that was given": upload.file is file,
        "place": file.tell(),
        "filename": upload.filename,
        "headers": [list(pair) for pair in upload.headers.multi_items()],
        "content_type": upload.content_type,
        "size": upload.size,
    }


async def steps(kind: str, content: bytes, steps: list[list[Any]]) -> dict[str, Any]:
    """What each step on an upload returned (of reads), what the file holds in the end, and whether it is closed."""
    upload = _upload(kind, content, len(content))
    read = [await _step(upload, *step) for step in steps]
    if upload.file.closed:
        return {"read": read, "closed": True}
    upload.file.seek(0)
    return {"read": read, "closed": False, "content": upload.file.read()}


async def sizes(kind: str, content: bytes, size: int | None, steps: list[list[Any]]) -> list[Any]:
    """The size of an upload after each step."""
    upload = _upload(kind, content, size)
    found = []
    for step in steps:
        await _step(upload, *step)
        found.append(upload.size)
    return found


async def steps_on_disk(kind: str, content: bytes, steps: list[list[Any]]) -> list[list[str]]:
    """The steps on a file while it was on disk: what was done, and in which kind of thread."""
    upload = _upload(kind, content, len(content))
    before = len(logs[0])
    for step in steps:
        await _step(upload, *step)
    on_disk = [(step, in_loop) for step, in_loop, was_on_disk in logs[0][before:] if was_on_disk]
    return [[step, "in the event loop's thread" if in_loop else "in a thread"] for step, in_loop in on_disk]


def _upload(kind: str, content: bytes, size: int | None) -> Any:
    _begin()
    return formdata.UploadFile(_file(kind, content), size=size)


def steps_that_wait(content: bytes, steps: list[list[Any]]) -> list[list[Any]]:
    """Each step on an upload in memory: what it returned (of reads), or "waits" if it was not done at once."""
    upload = _upload("a BytesIO", content, len(content))
    return [[step[0], _at_once(_step(upload, *step))] for step in steps]


async def _step(upload: Any, method: str, *args: Any) -> Any:
    value = await getattr(upload, method)(*args)
    return value if method == "read" else None


def _at_once(coroutine: Any) -> Any:
    """What a coroutine returns without ever giving way to an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    except NotImplementedError:
        raise
    except RuntimeError:  # there is no event loop in which one could wait
        return "waits"
    coroutine.close()
    return "waits"


# --- forms --------------------------------------------------------------------------------------------------


def _form(values: Iterable[list[str]]) -> Any:
    """A form of [name, value], where a value that is a kind of file becomes an upload of it."""
    _begin()
    pairs = []
    for name, value in values:
        if value in FILES:
            files.append(_file(value, b""))
            pairs.append((name, formdata.UploadFile(files[-1])))
        else:
            pairs.append((name, value))
    return formdata.FormData(pairs)


async def closed_form(values: list[list[str]], times: int = 1) -> dict[str, Any]:
    """A form that was closed: what is in it, and which of its files are closed, before and after."""
    form = _form(values)
    pairs = form.multi_items()
    before = [file.closed for file in files]
    for _ in range(times):
        await form.close()
    return {
        "is a MultiDict": isinstance(form, MultiDict),
        "values": [[name, value if isinstance(value, str) else "file"] for name, value in pairs],
        "closed before": before,
        "closed": [file.closed for file in files],
    }


async def form_in_a_block(values: list[list[str]], error: str | None) -> dict[str, Any]:
    """A form in an `async with` block, which ends with an exception if `error` is its message."""
    form = _form(values)
    try:
        async with form as entered:
            found = {"entered is the form": entered is form, "closed in the block": [f.closed for f in files]}
            if error is not None:
                raise KeyError(error)
    except KeyError as raised:
        return {**found, "raised": raised.args[0], "closed": [file.closed for file in files]}
    return {**found, "raised": None, "closed": [file.closed for file in files]}


def left_open() -> int:
    """How many files of the last form are open."""
    return sum(not file.closed for file in files)


# --- the parser ---------------------------------------------------------------------------------------------


async def parse(chunks: list[bytes], limits: dict[str, int] | None = None) -> list[list[Any]]:
    """The pairs of a form."""
    return _pairs(await _parse(_chunks(chunks), limits))


async def repeated(start: bytes, fill: bytes, times: int, end: bytes) -> list[list[int]]:
    """The lengths of each name and value of a form of `times` times `fill` between `start` and `end`."""
    pairs = _pairs(await _parse(_chunks([start, *[fill] * times, end]), None))
    return [[len(name), len(value)] for name, value in pairs]


async def parse_what_breaks(chunks: list[bytes]) -> list[list[Any]]:
    """The pairs of a form whose chunks raise ConnectionError behind the last."""
    return _pairs(await _parse(_chunks(chunks, ConnectionError("gone")), None))


def default_limits() -> dict[str, int]:
    """The limits where nothing else is said."""
    limits = formdata.FormLimits()
    return {name: getattr(limits, name) for name in ("max_fields", "max_files", "max_part_size")}


def chunks_asked_for() -> int:
    """How many chunks of the last form were asked for."""
    return asked[0]


async def _parse(chunks: Any, limits: dict[str, int] | None) -> Any:
    if limits is None:
        return await formdata.parse_urlencoded(chunks)
    return await formdata.parse_urlencoded(chunks, formdata.FormLimits(**limits))


def _pairs(form: Any) -> list[list[Any]]:
    if not isinstance(form, formdata.FormData):
        raise TypeError(f"parse_urlencoded must return a FormData, not a {type(form).__name__}")
    return [list(pair) for pair in form.multi_items()]


async def _chunks(pieces: Iterable[bytes], error: Exception | None = None) -> AsyncIterator[bytes]:
    asked[0] = 0
    for piece in pieces:
        asked[0] += 1
        yield piece
    if error is not None:
        raise error
