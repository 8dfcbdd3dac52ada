"""One buffer, one compiled regex for delimiters, and a method for what is being read."""

import re
import tempfile
from dataclasses import dataclass
from typing import TypeAlias

from fastasgi.datastructures import Headers
from fastasgi.exceptions import HTTPException
from fastasgi.formdata import FormData, FormLimits, UploadFile

TOKEN = rb"[A-Za-z0-9!#$%&'*+\-.^_`|~]+"
PARAMETER = re.compile(
    r'[ \t]*;[ \t]*(?:(?P<name>[^ \t;="]+)=(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^ \t;"]+)))?[ \t]*',
    re.DOTALL,
)


class MultipartError(HTTPException):
    def __init__(self, words):
        super().__init__(400, words)


@dataclass(frozen=True)
class PartBegin:
    headers: Headers
    name: str
    filename: str | None


@dataclass(frozen=True)
class PartData:
    data: bytes


@dataclass(frozen=True)
class PartEnd:
    pass


Event: TypeAlias = PartBegin | PartData | PartEnd


class MultipartParser:
    def __init__(self, boundary):
        mark = b"\r\n--" + re.escape(boundary)
        self.delimiter = re.compile(mark + rb"(?:(?P<last>--)|[ \t]{0,100}\r\n)")
        self.hold = len(boundary) + 4 + 100 + 1
        self.buffer = bytearray(b"\r\n")
        self.read = self.read_preamble

    def feed(self, data):
        self.buffer += data
        events = []
        while self.read(events):
            pass
        return events

    def finish(self):
        if self.read != self.read_epilogue:
            raise MultipartError("the end is missing")

    def read_preamble(self, events):
        return self.read_to_delimiter(lambda data: None, lambda: None)

    def read_data(self, events):
        def hand_on(data):
            if data:
                events.append(PartData(bytes(data)))

        return self.read_to_delimiter(hand_on, lambda: events.append(PartEnd()))

    def read_to_delimiter(self, hand_on, end):
        found = self.delimiter.search(self.buffer)
        if found is None:
            certain = len(self.buffer) - self.hold
            if certain > 0:
                hand_on(self.buffer[:certain])
                del self.buffer[:certain]
            return False
        hand_on(self.buffer[: found.start()])
        end()
        last = found["last"]
        del self.buffer[: found.end()]
        self.read = self.read_epilogue if last else self.read_headers
        return True

    def read_headers(self, events):
        if self.buffer.startswith(b"\r\n"):
            raise MultipartError("a part without headers")
        end = self.buffer.find(b"\r\n\r\n")
        if end > 16_500 or end < 0 and len(self.buffer) > 16_500:
            raise MultipartError("too many headers")
        if end < 0:
            return False
        events.append(begin(bytes(self.buffer[:end])))
        del self.buffer[: end + 4]
        self.read = self.read_data
        return True

    def read_epilogue(self, events):
        self.buffer.clear()
        return False


def begin(head):
    fields = []
    for line in head.split(b"\r\n"):
        found = re.fullmatch(rb"(" + TOKEN + rb"):[ \t]*(.*?)[ \t]*", line, re.DOTALL)
        if not found:
            raise MultipartError("an ill-formed header")
        fields.append(found.groups())
    found = [value for name, value in fields if name.lower() == b"content-disposition"]
    if len(found) != 1:
        raise MultipartError("one Content-Disposition, please")
    kind, parameters = parameters_of(found[0].decode("utf-8", "replace"))
    if kind != "form-data" or "name" not in parameters:
        raise MultipartError("no form-data, or no name")
    for key in parameters:
        for escape, char in (("%22", '"'), ("%0[Dd]", "\r"), ("%0[Aa]", "\n")):
            parameters[key] = re.sub(escape, char, parameters[key])
    return PartBegin(Headers(raw=fields), parameters["name"], parameters.get("filename"))


def parameters_of(text):
    kind = re.match(r"[^; \t]*", text.lstrip(" \t"))[0]
    rest = text.lstrip(" \t")[len(kind) :]
    parameters = {}
    for found in PARAMETER.finditer(rest):
        if found["name"]:
            value = found["bare"]
            if value is None:
                value = re.sub(r'\\(["\\])', r"\1", found["quoted"])
            parameters.setdefault(found["name"].lower(), value)
    return kind.lower(), parameters


async def parse_multipart(chunks, content_type, limits=FormLimits()):
    kind, parameters = parameters_of(content_type)
    boundary = parameters.get("boundary", "")
    if kind != "multipart/form-data" or not 1 <= len(boundary) <= 70:
        raise MultipartError(f"{content_type}: no form")
    parser = MultipartParser(boundary.encode())
    pairs = []
    texts = files = 0
    name, current = "", None
    try:
        async for chunk in chunks:
            for event in parser.feed(chunk):
                if isinstance(event, PartBegin):
                    name = event.name
                    if event.filename is None:
                        current = bytearray()
                        texts += 1
                    else:
                        files += 1
                        spool = tempfile.SpooledTemporaryFile(max_size=1024 * 1024)
                        current = UploadFile(spool, filename=event.filename, headers=event.headers, size=0)
                        pairs.append((name, current))
                    if texts > limits.max_fields or files > limits.max_files:
                        raise HTTPException(413, "too many parts")
                elif isinstance(event, PartData) and isinstance(current, bytearray):
                    current += event.data
                    if len(current) > limits.max_part_size:
                        raise HTTPException(413, "too long a text")
                elif isinstance(event, PartData):
                    await current.write(event.data)
                elif isinstance(current, bytearray):
                    pairs.append((name, current.decode("utf-8", "replace")))
                else:
                    await current.seek(0)
        parser.finish()
    except BaseException:
        await FormData(pairs).close()
        raise
    return FormData(pairs)
