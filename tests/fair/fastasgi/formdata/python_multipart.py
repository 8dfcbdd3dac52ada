# imports: python_multipart
"""The fields by the callbacks of python-multipart, decoded by hand; files on disk by an executor; closing all at once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, Optional, Union

from python_multipart.multipart import QuerystringParser

from .datastructures import Headers, MultiDict
from .exceptions import HTTPException


@dataclass(frozen=True, slots=True)
class FormLimits:
    max_fields: int = 1_000
    max_files: int = 1_000
    max_part_size: int = 1 << 20


@dataclass(eq=False)
class UploadFile:
    file: BinaryIO
    _: Any = field(default=None, repr=False, kw_only=True)
    filename: str = field(default="", kw_only=True)
    headers: Headers = field(default=None, kw_only=True)  # type: ignore[assignment]
    size: Optional[int] = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.headers is None:
            self.headers = Headers({})

    @property
    def content_type(self) -> Optional[str]:
        return dict(self.headers).get("content-type")

    async def read(self, size: int = -1) -> bytes:
        data: bytes = await self._run(0, self.file.read, size)
        return data

    async def write(self, data: bytes) -> None:
        await self._run(len(data), self._write, data)

    def _write(self, data: bytes) -> None:
        end = self.file.tell() + self.file.write(data)
        if self.size is not None:
            self.size = sorted((self.size, end))[1]

    async def seek(self, offset: int) -> None:
        await self._run(0, self.file.seek, offset, 0)

    async def close(self) -> None:
        await self._run(0, self.file.close)

    async def _run(self, more: int, step: Any, *args: Any) -> Any:
        if self._in_memory(more):
            return step(*args)
        return await asyncio.get_running_loop().run_in_executor(None, partial(step, *args))

    def _in_memory(self, more: int) -> bool:
        if isinstance(self.file, SpooledTemporaryFile):
            spool: Any = self.file
            return not spool._rolled and not (more and 0 < spool._max_size < spool.tell() + more)
        return isinstance(self.file, BytesIO)


class FormData(MultiDict[Union[str, UploadFile]]):
    async def close(self) -> None:
        uploads = [value for key in self for value in self.getlist(key) if isinstance(value, UploadFile)]
        ended = await asyncio.gather(*(upload.close() for upload in uploads), return_exceptions=True)
        for error in ended:
            if isinstance(error, BaseException):
                raise error

    async def __aenter__(self) -> FormData:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()


class _Fields:
    def __init__(self, limits: FormLimits) -> None:
        self.limits = limits
        self.pairs: list[list[bytearray]] = []
        names = ("on_field_start", "on_field_name", "on_field_data")
        self.parser = QuerystringParser({name: getattr(self, name) for name in names})  # type: ignore[misc]

    def on_field_start(self) -> None:
        if len(self.pairs) == self.limits.max_fields:
            raise HTTPException(413, "too many fields")
        self.pairs.append([bytearray(), bytearray()])

    def on_field_name(self, data: bytes, start: int, end: int) -> None:
        self._extend(0, data[start:end])

    def on_field_data(self, data: bytes, start: int, end: int) -> None:
        self._extend(1, data[start:end])

    def _extend(self, which: int, data: bytes) -> None:
        self.pairs[-1][which] += data
        if len(self.pairs[-1][which]) > self.limits.max_part_size:
            raise HTTPException(413, "too long a field")


def _decoded(data: bytearray) -> str:
    spaced = bytes(data).replace(b"+", b" ")
    plain = re.sub(rb"%([0-9A-Fa-f]{2})", lambda escape: bytes([int(escape[1], 16)]), spaced)
    return plain.decode("utf-8", "replace")


async def parse_urlencoded(chunks: AsyncIterable[bytes], limits: FormLimits = FormLimits()) -> FormData:
    fields = _Fields(limits)
    async for chunk in chunks:
        fields.parser.write(chunk)
    fields.parser.finalize()
    return FormData((_decoded(name), _decoded(value)) for name, value in fields.pairs)
