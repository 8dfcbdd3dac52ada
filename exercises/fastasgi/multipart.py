"""Multipart forms: the body of `multipart/form-data` (RFC 7578, RFC 2046), as events and as a form.

Rule 1: MultipartParser does no I/O; it turns bytes into events, and adjacent PartData joined, the events are the
        same wherever the bytes were split.
Rule 2: no byte is looked at again and again, and none is kept that can be handed on: between two calls the
        parser holds what may be a delimiter, or a part's headers, and both are bounded.
Rule 3: lines end with CR LF and nothing else; a delimiter stands at the start of a line, and what is not
        exactly a delimiter is data.
Rule 4: the parser is in one of the states of `_State`, which tells of each what it reads and what ends it.
Rule 5: a form that cannot be read whole is not read at all: its files are closed before the error goes out.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import AsyncIterable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import BinaryIO, TypeAlias, cast

from .datastructures import Headers
from .exceptions import HTTPException
from .formdata import FormData, FormLimits, UploadFile

MAX_HEADERS = 16
"""How many headers a part may have. RFC 7578, section 4.8, knows three."""
MAX_HEADER_BYTES = 16 * 1024
"""How long the headers of a part may be, together, with the line ends between them."""
MAX_PADDING = 128
"""How many spaces and tabs may follow a boundary on its line (RFC 2046, section 5.1.1, transport-padding)."""
SPOOL_SIZE = 1024 * 1024
"""How many bytes of a file stay in memory; a larger one is on disk."""


class MultipartError(HTTPException):
    """The body is no well-formed multipart form: 400."""

    def __init__(self, detail: str) -> None:
        super().__init__(400, detail)


@dataclass(frozen=True, slots=True)
class PartBegin:
    """A part has begun: all of its headers, and what its Content-Disposition says.

    `name` is the field's name, `filename` the file's, or None for a part that is no file. Both are UTF-8 (bytes
    that are not become U+FFFD) with `%22`, `%0D` and `%0A` decoded, which is how browsers write `"`, CR and LF.
    """

    headers: Headers
    name: str
    filename: str | None


@dataclass(frozen=True, slots=True)
class PartData:
    """Some bytes of the part that has begun last; never none."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part that has begun last is complete."""


Event: TypeAlias = PartBegin | PartData | PartEnd
"""A part is a PartBegin, any number of PartData, and a PartEnd."""


class MultipartParser:
    """A parser of one body: `feed` it all chunks, then call `finish`.

    A delimiter is a line (RFC 2046, section 5.1.1): at the body's very start or after CR LF, `--`, the boundary,
    then spaces or tabs and CR LF. The closing one has `--` after the boundary; what follows it is ignored.
    """

    def __init__(self, boundary: bytes) -> None:
        """`boundary` is that of the Content-Type, without the two hyphens.

        Raises MultipartError unless it has 1 to 70 visible ASCII characters (spaces count, but not at the end).
        RFC 2046 allows fewer; but there are clients which use others, and no other does harm.
        """
        if not _BOUNDARY.fullmatch(boundary):
            raise MultipartError(
                f"{boundary[:100]!r} is no boundary: use 1 to 70 visible ASCII characters (RFC 2046, section 5.1.1)."
            )
        self._delimiter = b"\r\n--" + boundary
        self._state = _State.PREAMBLE
        self._buffer = b"\r\n"  # as if a line had ended: a delimiter may stand at the very start
        self._at = 0  # up to here the buffer is done with
        self._new = 0  # from here on it has not been searched for the end of headers
        self._line_end = 2  # the length of a CR LF at `_at` that is no data, but may belong to a delimiter

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes of the body, and give the events that they complete.

        Raises MultipartError for what is malformed: a part without exactly one well-formed
        `Content-Disposition: form-data` that has a name (RFC 7578, section 4.2), an ill-formed header, more than
        MAX_HEADERS or MAX_HEADER_BYTES of them. After an error every call raises one.
        """
        self._new = len(self._buffer)
        self._buffer += data
        events: list[Event] = []
        try:
            while self._step(events):
                pass
        except MultipartError:
            self._state, self._buffer = _State.FAILED, b""
            raise
        self._buffer, self._at = self._buffer[self._at :], 0
        return events

    def finish(self) -> None:
        """Say that the body has ended. Raises MultipartError if the closing delimiter has not come."""
        if self._state is _State.PREAMBLE:
            raise MultipartError("The body has no line that begins with the boundary of its Content-Type.")
        if self._state is not _State.EPILOGUE:
            raise MultipartError("The body ends before the closing delimiter: send all of it.")

    def _step(self, events: list[Event]) -> bool:
        """Go on to the next state, if the buffer has what ends this one."""
        if self._state is _State.BODY:
            return self._read_lines(events)
        if self._state is _State.HEADERS:
            return self._read_headers(events)
        if self._state is _State.PREAMBLE:
            return self._read_lines([])  # as a body, but nobody hears of it
        if self._state is _State.FAILED:
            raise MultipartError("The body was malformed before: use a new parser for another body.")
        self._at = len(self._buffer)
        return False

    def _read_headers(self, events: list[Event]) -> bool:
        begin = self._at + len(
            "\r\n"
        )  # the end of the delimiter's line, which an empty line may follow at once
        limit = begin + MAX_HEADER_BYTES + len("\r\n\r\n")
        end = self._buffer.find(b"\r\n\r\n", max(self._at, self._new - len("\r\n\r")), limit)
        if end >= 0:
            events.append(_part_begin(self._buffer[begin:end]))
            self._at, self._line_end = end + len("\r\n"), len("\r\n")
            self._state = _State.BODY
            return True
        if len(self._buffer) >= limit:
            raise MultipartError(f"A part has more than {MAX_HEADER_BYTES} bytes of headers: send fewer.")
        return False

    def _read_lines(self, events: list[Event]) -> bool:
        """Read what stands before a delimiter, and the delimiter, as far as they are there."""
        begin, after_boundary = self._find_delimiter()
        if begin > self._at + self._line_end:
            events.append(PartData(self._buffer[self._at + self._line_end : begin]))
        if begin > self._at:
            self._at, self._line_end = begin, 0
        if after_boundary is None:
            return False
        events.append(PartEnd())
        self._at = after_boundary.end()
        self._state = _State.EPILOGUE if after_boundary["closing"] else _State.HEADERS
        return True

    def _find_delimiter(self) -> tuple[int, re.Match[bytes] | None]:
        """Where the next delimiter begins, and what follows its boundary; None: it is not all there yet."""
        at = self._at
        while (begin := self._buffer.find(self._delimiter, at)) >= 0:
            at = begin + len(self._delimiter)
            if found := _AFTER_BOUNDARY.match(self._buffer, at):
                return begin, None if found["unfinished"] is not None else found
        return self._begun_delimiter(at), None

    def _begun_delimiter(self, start: int) -> int:
        """Where the end of the buffer may be the beginning of a delimiter; the end itself, if it may not.

        A delimiter has no CR but its first byte: only the buffer's last one comes into question.
        """
        begin = self._buffer.rfind(b"\r", max(start, len(self._buffer) - len(self._delimiter) + 1))
        if begin >= 0 and self._delimiter.startswith(self._buffer[begin:]):
            return begin
        return len(self._buffer)


class _State(Enum):
    """What the parser reads next, and what ends that."""

    PREAMBLE = auto()
    """Ignored, up to a delimiter: then HEADERS, or EPILOGUE if it is the closing one."""
    HEADERS = auto()
    """The headers of a part, up to an empty line: PartBegin, then BODY."""
    BODY = auto()
    """PartData, up to a delimiter: PartEnd, then HEADERS, or EPILOGUE if it is the closing one."""
    EPILOGUE = auto()
    """Ignored, for ever."""
    FAILED = auto()
    """Nothing: an error has been raised."""


async def parse_multipart(
    chunks: AsyncIterable[bytes],
    content_type: str,
    limits: FormLimits = FormLimits(),  # noqa: B008 - it is frozen
) -> FormData:
    """Read a form that was sent as `multipart/form-data`.

    `chunks` are the body, split anywhere; `content_type` is its Content-Type, with the boundary (quoted or not).
    A part with a `filename`, also an empty one, becomes an UploadFile, wound back to its start; any other
    becomes text: UTF-8, with U+FFFD for undecodable bytes, whatever a `charset` or a field `_charset_` says.
    `filename*` (RFC 7578, section 4.2) and Content-Transfer-Encoding (section 4.7) are ignored.
    Raises MultipartError (400) for a malformed or truncated body and for another content type, and
    HTTPException(413) as soon as one of the `limits` is known to be passed. On any error, also one of `chunks`,
    and when cancelled, all files are closed.
    """
    parser = MultipartParser(_boundary(content_type))
    builder = _FormBuilder(limits)
    try:
        async for chunk in chunks:
            for event in parser.feed(chunk):
                await builder.take(event)
        parser.finish()
    except BaseException:  # a cancellation, too
        # Nobody will see these files: that one could not be written to its end does not matter any more.
        with suppress(OSError):
            await builder.form().close()
        raise
    return builder.form()


class _FormBuilder:
    """Makes a form from a parser's events."""

    def __init__(self, limits: FormLimits) -> None:
        self._limits = limits
        self._pairs: list[tuple[str, str | UploadFile]] = []
        self._files = 0
        self._name = ""
        self._file: UploadFile | None = None  # None: the part is a text, and `_text` what has come of it
        self._text = bytearray()

    def form(self) -> FormData:
        return FormData(self._pairs)

    async def take(self, event: Event) -> None:
        if isinstance(event, PartBegin):
            self._begin(event)
        elif isinstance(event, PartEnd):
            await self._end()
        elif self._file is None:
            self._extend_text(event.data)
        else:
            await self._file.write(event.data)

    def _begin(self, part: PartBegin) -> None:
        self._name = part.name
        if part.filename is None:
            self._begin_text()
        else:
            self._begin_file(part.filename, part.headers)

    def _begin_text(self) -> None:
        if len(self._pairs) - self._files >= self._limits.max_fields:
            raise HTTPException(413, f"The form has more than {self._limits.max_fields} fields: send fewer.")
        self._file = None
        self._text.clear()

    def _begin_file(self, filename: str, headers: Headers) -> None:
        if self._files >= self._limits.max_files:
            raise HTTPException(413, f"The form has more than {self._limits.max_files} files: send fewer.")
        spool = tempfile.SpooledTemporaryFile(max_size=SPOOL_SIZE)  # noqa: SIM115 - the form closes it
        self._file = UploadFile(cast(BinaryIO, spool), filename=filename, headers=headers, size=0)
        self._files += 1
        self._pairs.append((self._name, self._file))  # now, not at its end: so that it is closed in any case

    def _extend_text(self, data: bytes) -> None:
        if len(self._text) + len(data) > self._limits.max_part_size:
            raise HTTPException(413, f"A field has more than {self._limits.max_part_size} bytes: send less.")
        self._text += data

    async def _end(self) -> None:
        if self._file is None:
            self._pairs.append((self._name, self._text.decode("utf-8", "replace")))
        else:
            await self._file.seek(0)


def _boundary(content_type: str) -> bytes:
    media_type, parameters = _header_value(content_type)
    if media_type != "multipart/form-data" or "boundary" not in parameters:
        raise MultipartError(
            f"The content type is {content_type[:100]!r}: send the form as multipart/form-data; boundary=..."
        )
    return parameters["boundary"].encode()


def _part_begin(block: bytes) -> PartBegin:
    """What the headers of a part, with the line ends between them, tell."""
    fields = _header_fields(block)
    dispositions = [value for name, value in fields if name.lower() == b"content-disposition"]
    if len(dispositions) != 1:
        raise MultipartError(f"A part has {len(dispositions)} Content-Disposition headers: send one.")
    kind, parameters = _header_value(dispositions[0].decode("utf-8", "replace"))
    if kind != "form-data" or "name" not in parameters:
        raise MultipartError(f'A part is {dispositions[0][:100]!r}: send it as form-data; name="..."')
    names = {key: _unescaped(value) for key, value in parameters.items()}
    return PartBegin(Headers(raw=fields), names["name"], names.get("filename"))


def _header_fields(block: bytes) -> list[tuple[bytes, bytes]]:
    """The headers in a part's head. A line that begins with a blank goes on with the one before (RFC 5322, 2.2.3)."""
    lines = _FOLD.sub(b"", block).split(b"\r\n") if block else []
    if len(lines) > MAX_HEADERS:
        raise MultipartError(f"A part has {len(lines)} headers: send at most {MAX_HEADERS}.")
    fields = []
    for line in lines:
        found = _HEADER.fullmatch(line)
        if found is None:
            raise MultipartError(f"{line[:100]!r} is no header of a part: send it as name: value.")
        fields.append((found["name"], found["value"].strip(b" \t")))
    return fields


def _header_value(header: str) -> tuple[str, dict[str, str]]:
    """A header's value and its parameters: `form-data; name="a"` is `("form-data", {"name": "a"})`.

    A backslash makes the `"` or the backslash after it literal (RFC 9110, section 5.6.4); before anything else
    it is literal itself. Browsers escape no backslash: a header that cannot be read by the RFC, such as
    `form-data; name="a\\"; filename="b"`, is read as if it came from one.
    """
    value, semicolon, rest = header.partition(";")
    parameters = _parameters(semicolon + rest)
    if parameters is None:
        parameters = _parameters(semicolon + rest.replace("\\", "\\\\"))
    if parameters is None:
        raise MultipartError(
            f'{header[:100]!r} is ill-formed, or has a parameter twice: send value; name="..."'
        )
    return value.strip(" \t").lower(), parameters


def _parameters(text: str) -> dict[str, str] | None:
    """The parameters by lower-case name; None if they are ill-formed or one of them comes twice."""
    parameters: dict[str, str] = {}
    at = 0
    while at < len(text):
        found = _PARAMETER.match(text, at)
        if found is None:
            return None
        at = found.end()
        name, token, quoted = found.groups()
        if name is None:
            continue  # nothing between two semicolons: RFC 9110, section 5.6.6
        if name.lower() in parameters:
            return None
        parameters[name.lower()] = token or _QUOTED_PAIR.sub(r"\1", quoted)
    return parameters


def _unescaped(text: str) -> str:
    """Undo the three escapes of browsers (WHATWG HTML, multipart form data); no other `%` means anything."""
    return _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), text) if "%" in text else text


_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_BOUNDARY = re.compile(rb"[ -~]{0,69}[!-~]")
_AFTER_BOUNDARY = re.compile(
    rb"(?P<closing>--)|[ \t]{0,%d}(?=\r\n)|(?P<unfinished>(?:-|[ \t]{0,%d}\r?)\Z)"
    % (MAX_PADDING, MAX_PADDING)
)
_FOLD = re.compile(rb"\r\n(?=[ \t])")
_HEADER = re.compile(rb"(?P<name>%s):(?P<value>[^\r\n\0]*)" % _TOKEN.encode())
_PARAMETER = re.compile(
    rf'[ \t]*;[ \t]*(?:({_TOKEN})=(?:([^ \t";]+)|"((?:[^"\\]|\\.)*)")[ \t]*)?'  # name, token, quoted
)
_QUOTED_PAIR = re.compile(r'\\(["\\])')
_ESCAPE = re.compile("%(22|0[AaDd])")
