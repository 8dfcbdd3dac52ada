"""As plain as can be: all but a BytesIO goes to a thread, and what has begun of a body is one bytes object."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from io import BytesIO

from .datastructures import Headers, MultiDict, QueryParams
from .exceptions import HTTPException


@dataclass(frozen=True)
class FormLimits:
    max_fields: int = 1000
    max_files: int = 1000
    max_part_size: int = 1048576


class UploadFile:
    def __init__(self, file, *, filename="", headers=None, size=None):
        self.file = file
        self.filename = filename
        self.headers = headers or Headers()
        self.size = size

    @property
    def content_type(self):
        return self.headers["content-type"] if "content-type" in self.headers else None

    async def read(self, size=-1):
        return await self._call(self.file.read, size)

    async def write(self, data):
        def write_and_measure():
            self.file.write(data)
            return self.file.tell()

        end = await self._call(write_and_measure)
        if self.size is not None and end > self.size:
            self.size = end

    async def seek(self, offset):
        await self._call(self.file.seek, offset)

    async def close(self):
        await self._call(self.file.close)

    async def _call(self, function, *args):
        if isinstance(self.file, BytesIO):
            return function(*args)
        return await asyncio.to_thread(function, *args)


class FormData(MultiDict):
    async def close(self):
        failed = None
        for _, value in self.multi_items():
            if not isinstance(value, str):
                try:
                    await value.close()
                except Exception as error:
                    failed = error
        if failed is not None:
            raise failed

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, error, traceback):
        await self.close()


async def parse_urlencoded(chunks, limits=FormLimits()):
    pairs = []

    def check(field):
        name, _, value = field.partition(b"=")
        if len(pairs) >= limits.max_fields:
            raise HTTPException(413, f"at most {limits.max_fields} fields")
        if max(len(name), len(value)) > limits.max_part_size:
            raise HTTPException(413, f"at most {limits.max_part_size} bytes")

    begun = b""
    async for chunk in chunks:
        *complete, begun = (begun + chunk).split(b"&")
        for field in filter(None, complete):
            check(field)
            pairs.extend(QueryParams(field).multi_items())
        if begun:
            check(begun)
    return FormData(pairs + QueryParams(begun).multi_items())
