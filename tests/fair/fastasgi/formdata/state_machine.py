"""A machine that takes one byte at a time; two classes of files, of which the upload takes the one that fits."""

from __future__ import annotations

from asyncio import shield
from contextlib import AsyncExitStack
from dataclasses import dataclass
from io import BytesIO
from typing import AsyncIterable, BinaryIO, Iterator, NamedTuple, Protocol
from urllib.parse import unquote_to_bytes

from . import concurrency, datastructures, exceptions


class Limits(NamedTuple):
    fields: int
    size: int


@dataclass(frozen=True, order=True)
class FormLimits:
    max_fields: int = 10**3
    max_files: int = 10**3
    max_part_size: int = 2**20


class Place(Protocol):
    async def run(self, step, /, *args): ...


class Memory:
    async def run(self, step, /, *args):
        return step(*args)


class Disk:
    async def run(self, step, /, *args):
        return await shield(concurrency.run_in_thread(step, *args))


class UploadFile:
    __slots__ = ("_place", "file", "filename", "headers", "size")

    def __init__(
        self,
        file: BinaryIO,
        *,
        filename: str = "",
        headers: datastructures.Headers | None = None,
        size: int | None = None,
    ) -> None:
        self.file, self.filename, self.size = file, filename, size
        self.headers = datastructures.Headers() if headers is None else headers
        self._place: Place = Memory() if isinstance(file, BytesIO) else Disk()

    content_type = property(lambda self: self.headers.get("Content-Type"))

    async def read(self, size: int = -1) -> bytes:
        return await self._place.run(self.file.read, size)

    async def write(self, data: bytes) -> None:
        await self._place.run(self._append, data)

    async def seek(self, offset: int) -> None:
        await self._place.run(self.file.seek, offset)

    async def close(self) -> None:
        await self._place.run(self._close)

    def _append(self, data: bytes) -> None:
        start = self.file.tell()
        self.file.write(data)
        match self.size:
            case None:
                pass
            case known if start + len(data) > known:
                self.size = start + len(data)

    def _close(self) -> None:
        if not self.file.closed:
            self.file.close()


class FormData(datastructures.MultiDict[str | UploadFile]):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._uploads = [value for _, value in self.multi_items() if isinstance(value, UploadFile)]

    async def close(self) -> None:
        async with AsyncExitStack() as stack:
            for upload in self._uploads:
                stack.push_async_callback(upload.close)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exception) -> bool:
        await self.close()
        return False


def fields_of(limits: Limits) -> Iterator[None]:
    """Takes a body by `send`, a byte at a time, and None at its end; returns the pairs."""
    pairs: list[tuple[str, str]] = []
    parts = [bytearray()]
    while (byte := (yield)) is not None:
        if byte == ord("&"):
            finish(parts, pairs)
            parts = [bytearray()]
            continue
        if len(pairs) >= limits.fields:
            raise exceptions.HTTPException(413, "send fewer fields")
        if byte == ord("=") and len(parts) == 1:
            parts.append(bytearray())
            continue
        parts[-1].append(byte)
        if len(parts[-1]) > limits.size:
            raise exceptions.HTTPException(413, "send shorter fields")
    finish(parts, pairs)
    return pairs


def finish(parts: list[bytearray], pairs: list[tuple[str, str]]) -> None:
    if parts == [b""]:
        return
    name, value = (
        unquote_to_bytes(bytes(part).replace(b"+", b" ")).decode("utf-8", "replace")
        for part in [*parts, bytearray()][:2]
    )
    pairs.append((name, value))


async def parse_urlencoded(chunks: AsyncIterable[bytes], limits: FormLimits | None = None) -> FormData:
    limits = FormLimits() if limits is None else limits
    machine = fields_of(Limits(limits.max_fields, limits.max_part_size))
    next(machine)
    async for chunk in chunks:
        for byte in chunk:
            machine.send(byte)
    try:
        machine.send(None)
    except StopIteration as end:
        return FormData(end.value)
    raise RuntimeError("the machine goes on after its end")
