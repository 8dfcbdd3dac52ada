"""Runs beside the submission: feeds bytes to its parser, and turns events and forms into values.

Rule 1: an event is a list: the name of its class, then what counts of it. Nothing is judged here.
Rule 2: whatever files are opened while a form is read are known, so that one can ask whether they are closed.
"""

from __future__ import annotations

import asyncio
import tempfile
import tracemalloc
from collections.abc import AsyncIterator, Iterable
from typing import Any

from fastasgi import formdata, multipart

opened: list[Any] = []
"""The files that were opened since the last form was begun."""
asked: list[int] = [0]
"""How many chunks of the last form were asked for."""


def _note_files() -> None:
    """Note the file of each UploadFile, and each spooled file, when it is made."""
    make_upload = formdata.UploadFile.__init__
    make_spool = tempfile.SpooledTemporaryFile.__init__

    def upload(self: Any, *args: Any, **options: Any) -> None:
        opened.append(args[0] if args else options.get("file"))
        make_upload(self, *args, **options)

    def spool(self: Any, *args: Any, **options: Any) -> None:
        make_spool(self, *args, **options)
        opened.append(self)

    formdata.UploadFile.__init__ = upload  # type: ignore[method-assign]
    tempfile.SpooledTemporaryFile.__init__ = spool  # type: ignore[method-assign, assignment]


_note_files()


# --- the parser ---------------------------------------------------------------------------------------------


def events_as_they_are(boundary: bytes, chunks: list[bytes]) -> list[list[Any]]:
    """All events of a whole body."""
    parser = multipart.MultipartParser(boundary)
    events = [_listed(event) for chunk in chunks for event in parser.feed(chunk)]
    parser.finish()
    return events


def events(boundary: bytes, chunks: list[bytes]) -> list[list[Any]]:
    """All events of a whole body, the data joined, and none of it left out or empty."""
    return _joined(events_as_they_are(boundary, chunks))


def events_after(boundary: bytes, chunks: list[bytes]) -> list[list[list[Any]]]:
    """The events of each call of `feed`. The body does not end."""
    parser = multipart.MultipartParser(boundary)
    return [_joined([_listed(event) for event in parser.feed(chunk)]) for chunk in chunks]


def events_of_each(boundary: bytes, bodies: list[list[bytes]]) -> list[list[list[Any]]]:
    """The events of bodies that are fed in turn, each to a parser of its own."""
    parsers = [multipart.MultipartParser(boundary) for _ in bodies]
    found: list[list[Any]] = [[] for _ in bodies]
    for turn in range(max(map(len, bodies))):
        for number, chunks in enumerate(bodies):
            for chunk in chunks[turn : turn + 1]:
                found[number] += map(_listed, parsers[number].feed(chunk))
    for parser in parsers:
        parser.finish()
    return [_joined(each) for each in found]


def headers(boundary: bytes, chunks: list[bytes]) -> list[list[Any]]:
    """The headers of each part, names in lower case."""
    parser = multipart.MultipartParser(boundary)
    found = [event for chunk in chunks for event in parser.feed(chunk)]
    parser.finish()
    return [_pairs(event.headers) for event in found if isinstance(event, multipart.PartBegin)]


def header(boundary: bytes, chunks: list[bytes], name: str) -> Any:
    """What the first part's headers answer to that name."""
    parser = multipart.MultipartParser(boundary)
    found = [event for chunk in chunks for event in parser.feed(chunk)]
    parser.finish()
    return found[0].headers.get(name)


def bytes_kept(boundary: bytes, start: bytes, fill: bytes, times: int) -> int:
    """How much more memory is in use after the parser was fed `start`, and then `times` times `fill`."""
    parser = multipart.MultipartParser(boundary)
    parser.feed(start)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(times):
            parser.feed(fill)
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


def _listed(event: Any) -> list[Any]:
    if isinstance(event, multipart.PartBegin):
        return ["PartBegin", event.name, event.filename]
    if isinstance(event, multipart.PartData):
        return ["PartData", event.data]
    if isinstance(event, multipart.PartEnd):
        return ["PartEnd"]
    return [event]


def _joined(events: Iterable[list[Any]]) -> list[list[Any]]:
    joined: list[list[Any]] = []
    for event in events:
        if event[0] != "PartData":
            joined.append(event)
        elif joined and joined[-1][0] == "PartData":
            joined[-1][1] += bytes(event[1])
        elif event[1]:
            joined.append(["PartData", bytes(event[1])])
    return joined


def _pairs(headers: Any) -> list[Any]:
    return [[name.lower(), value] for name, value in headers.multi_items()]


# --- the form -----------------------------------------------------------------------------------------------


async def form(
    chunks: list[bytes],
    content_type: str = "multipart/form-data; boundary=XX",
    limits: dict[str, int] | None = None,
) -> list[list[Any]]:
    """Name and value of each part; a file is a dict of what is known of it. The files are closed in the end."""
    return await _values(await _read(_chunks(chunks), content_type, limits))


async def repeated(start: bytes, fill: bytes, times: int, end: bytes) -> list[Any]:
    """Name and length of each value of a form, made of `times` times `fill` between `start` and `end`."""
    pieces = [start, *[fill] * times, end]
    found = await _values(await _read(_chunks(pieces), "multipart/form-data; boundary=XX", None))
    return [[name, len(value)] for name, value in found]


async def form_that_breaks(chunks: list[bytes]) -> None:
    """A form whose chunks raise ConnectionError behind the last."""
    await _read(_chunks(chunks, error=ConnectionError("gone")), "multipart/form-data; boundary=XX", None)


async def form_that_is_cancelled(chunks: list[bytes]) -> str:
    """How the reading of a form ended that was cancelled when it waited for a chunk behind the last."""
    waiting = asyncio.Event()
    reading = asyncio.ensure_future(
        _read(_chunks(chunks, waiting=waiting), "multipart/form-data; boundary=XX", None)
    )
    done = asyncio.ensure_future(waiting.wait())
    await asyncio.wait([reading, done], return_when=asyncio.FIRST_COMPLETED)
    done.cancel()
    reading.cancel()
    try:
        await reading
    except asyncio.CancelledError:
        return "cancelled"
    return "returned"


async def large_file(start: bytes, times: int, end: bytes) -> dict[str, int]:
    """How much memory was in use, at most while a form with one file of zeros was read, and then.

    The zeros are `times` times 64 KiB, and what `end` begins with.
    What a spooled file writes to disk is swallowed: here is too little disk for a large file.
    """
    disk, tempfile.TemporaryFile = tempfile.TemporaryFile, _Disk  # type: ignore[assignment, misc]
    tracemalloc.start()
    try:
        pieces = (piece for part in ([start], [bytes(65536)] * times, [end]) for piece in part)
        read = await _read(_chunks(pieces), "multipart/form-data; boundary=XX", None)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        tempfile.TemporaryFile = disk  # type: ignore[misc]
    [[_, file]] = await _values(read)
    return {"kept": kept, "peak": peak, "size": file["size"], "zeros": file["data"].count(0)}


class _Disk:
    """A file that remembers how long it is, and takes all of its bytes for zeros."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self._place = self._size = 0
        self.closed = False

    def write(self, data: bytes) -> int:
        self._place += len(data)
        self._size = max(self._size, self._place)
        return len(data)

    def read(self, size: int = -1) -> bytes:
        left = self._size - self._place
        count = left if size is None or size < 0 else min(size, left)
        self._place += count
        return bytes(count)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._place = offset + {0: 0, 1: self._place, 2: self._size}[whence]
        return self._place

    def tell(self) -> int:
        return self._place

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def left_open() -> int:
    """How many of the files are not closed that were opened for the last form."""
    return sum(not file.closed for file in {id(file): file for file in opened}.values())


def chunks_asked_for() -> int:
    """How many chunks of the last form were asked for."""
    return asked[0]


async def _read(chunks: Any, content_type: str, limits: dict[str, int] | None) -> Any:
    opened.clear()
    if limits is None:
        return await multipart.parse_multipart(chunks, content_type)
    return await multipart.parse_multipart(chunks, content_type, formdata.FormLimits(**limits))


async def _chunks(
    pieces: Iterable[bytes], error: Exception | None = None, waiting: asyncio.Event | None = None
) -> AsyncIterator[bytes]:
    asked[0] = 0
    for piece in pieces:
        asked[0] += 1
        yield piece
    if error is not None:
        raise error
    if waiting is not None:
        waiting.set()
        await asyncio.Event().wait()


async def _values(form: Any) -> list[list[Any]]:
    async with form:
        return [[name, await _value(value)] for name, value in form.multi_items()]


async def _value(value: Any) -> Any:
    if not isinstance(value, formdata.UploadFile):
        return value
    return {
        "filename": value.filename,
        "headers": _pairs(value.headers),
        "size": value.size,
        "data": await value.read(),
    }
