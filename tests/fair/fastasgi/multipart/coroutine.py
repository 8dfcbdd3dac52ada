"""The parser is a generator that asks for more bytes; names are read character by character; files are closed by a stack."""

from __future__ import annotations

import string
from collections.abc import AsyncIterable, Generator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import Union

from .datastructures import Headers
from .exceptions import HTTPException
from .formdata import FormData, FormLimits, UploadFile


class MultipartError(HTTPException):
    """400."""

    def __init__(self, detail="malformed multipart body", status_code=400):
        super().__init__(status_code, detail)


@dataclass(frozen=True, slots=True)
class PartBegin:
    headers: Headers
    name: str
    filename: str | None = None


@dataclass(frozen=True, slots=True)
class PartData:
    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnd: ...


Event = Union[PartBegin, PartData, PartEnd]
TOKEN = frozenset((string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~").encode())


class MultipartParser:
    def __init__(self, boundary: bytes) -> None:
        self._events: list[Event] = []
        self._closed = False
        self._run = self._body(b"\r\n--" + boundary)
        next(self._run)

    def feed(self, data: bytes) -> list[Event]:
        self._events = []
        self._run.send(data)
        return self._events

    def finish(self) -> None:
        if not self._closed:
            raise MultipartError("the closing delimiter is missing")

    def _body(self, delimiter: bytes) -> Generator[None, bytes, None]:
        """All of a body: each `yield` is a wait for more bytes."""
        rest = yield from self._lines(b"\r\n", delimiter, None)
        while rest is not None:
            rest = yield from self._head(rest)
            rest = yield from self._lines(rest, delimiter, self._events_data)
            self._events.append(PartEnd())
        self._closed = True
        while True:
            yield

    def _events_data(self, data: bytes) -> None:
        if data:
            self._events.append(PartData(data))

    def _lines(self, buffer, delimiter, take) -> Generator[None, bytes, bytes | None]:
        """Up to the next delimiter; returns what follows its line, or None after the closing one."""
        start = 0
        while True:
            found = buffer.find(delimiter, start)
            if found < 0:
                keep = min(len(buffer), len(delimiter) - 1)
                if take:
                    take(buffer[: len(buffer) - keep])
                buffer = buffer[len(buffer) - keep :] + (yield)
                start = 0
                continue
            after = found + len(delimiter)
            line = buffer[after : after + 102]
            blanks = len(line) - len(line.lstrip(b" \t"))
            if line.startswith(b"--"):
                if take:
                    take(buffer[:found])
                return None
            if line[blanks:].startswith(b"\r\n"):
                if take:
                    take(buffer[:found])
                return buffer[after + blanks + 2 :]
            if line == b"-" or (line[blanks:] in (b"", b"\r") and blanks <= 100 and len(line) < 102):
                if take:
                    take(buffer[:found])
                buffer = buffer[found:] + (yield)
                start = 0
            else:
                start = after

    def _head(self, buffer: bytes) -> Generator[None, bytes, bytes]:
        lines = []
        taken = 0
        while True:
            line, end, rest = buffer.partition(b"\r\n")
            if taken + len(line) > 16_384:
                raise MultipartError("the headers are too long")
            if not end:
                buffer += yield
            elif line:
                lines.append(line)
                taken += len(line) + 2
                buffer = rest
            else:
                self._events.append(begin_of(lines))
                return rest


def begin_of(lines: list[bytes]) -> PartBegin:
    raw = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or not TOKEN.issuperset(name):
            raise MultipartError(f"no header: {line!r}")
        raw.append((name, value.strip(b" \t")))
    values = [value for name, value in raw if name.lower() == b"content-disposition"]
    if len(values) != 1:
        raise MultipartError(f"{len(values)} times Content-Disposition")
    value = Value(values[0].decode(errors="replace"))
    if value.type != "form-data" or "name" not in value.parameters:
        raise MultipartError(f"no form-data with a name: {values[0]!r}")
    filename = value.parameters.get("filename")
    return PartBegin(
        Headers(raw=raw), plain(value.parameters["name"]), None if filename is None else plain(filename)
    )


def plain(text: str) -> str:
    first, *others = text.split("%")
    for other in others:
        char = {"22": '"', "0d": "\r", "0a": "\n"}.get(other[:2].lower())
        first += "%" + other if char is None else char + other[2:]
    return first


@dataclass
class Value:
    """A header's value, read character by character."""

    text: str
    at: int = 0
    type: str = ""
    parameters: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        self.type = self.until(";").strip(" \t").lower()
        while self.at < len(self.text):
            self.at += 1
            name = self.until("=;").strip(" \t").lower()
            if self.text[self.at : self.at + 1] == "=":
                self.at += 1
                value = (
                    self.quoted()
                    if self.text[self.at : self.at + 1] == '"'
                    else self.until(";").rstrip(" \t")
                )
                self.parameters.setdefault(name, value)
            self.until(";")

    def until(self, ends: str) -> str:
        start = self.at
        while self.at < len(self.text) and self.text[self.at] not in ends:
            self.at += 1
        return self.text[start : self.at]

    def quoted(self) -> str:
        found = []
        self.at += 1
        while self.at < len(self.text) and self.text[self.at] != '"':
            if self.text[self.at] == "\\" and self.text[self.at + 1 : self.at + 2] in ('"', "\\"):
                self.at += 1
            found.append(self.text[self.at])
            self.at += 1
        self.at += 1
        return "".join(found)


class Texts:
    def __init__(self, limit):
        self.pieces, self.left = [], limit

    async def write(self, data):
        self.left -= len(data)
        if self.left < 0:
            raise HTTPException(413, "a text is too long")
        self.pieces.append(data)

    async def value(self):
        return b"".join(self.pieces).decode("utf-8", errors="replace")


class Files:
    def __init__(self, upload):
        self.upload, self.write = upload, upload.write

    async def value(self):
        await self.upload.seek(0)
        return self.upload


async def parse_multipart(
    chunks: AsyncIterable[bytes], content_type: str, limits: FormLimits = FormLimits()
) -> FormData:
    value = Value(content_type)
    boundary = value.parameters.get("boundary", "")
    if value.type != "multipart/form-data" or not boundary or len(boundary) > 70:
        raise MultipartError(f"not multipart/form-data with a boundary: {content_type!r}")
    parser = MultipartParser(boundary.encode("ascii", "replace"))
    form = []
    left = {Texts: limits.max_fields, Files: limits.max_files}
    async with AsyncExitStack() as files:
        async for chunk in chunks:
            for event in parser.feed(chunk):
                match event:
                    case PartBegin(headers, name, filename):
                        kind = Texts if filename is None else Files
                        left[kind] -= 1
                        if left[kind] < 0:
                            raise HTTPException(413, "too many parts")
                        if kind is Texts:
                            part = Texts(limits.max_part_size)
                        else:
                            spool = SpooledTemporaryFile(1 << 20)
                            upload = UploadFile(spool, size=0, filename=filename, headers=headers)
                            files.push_async_callback(upload.close)
                            part = Files(upload)
                    case PartData(data):
                        await part.write(data)
                    case PartEnd():
                        form.append((name, await part.value()))
        parser.finish()
        files.pop_all()
    return FormData(form)
