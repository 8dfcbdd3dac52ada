"""The reference's forms beside those of others: python-multipart, werkzeug and Starlette read what they read, and what
httpx and werkzeug send is read back. Only where all of them follow the same RFC: no malformed body is here.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import parse_qsl

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from python_multipart.multipart import MultipartParser as PythonMultipartParser
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers as StarletteHeaders
from starlette.datastructures import UploadFile as StarletteUploadFile
from starlette.formparsers import FormParser, MultiPartParser
from werkzeug.datastructures import Headers as WerkzeugHeaders
from werkzeug.sansio import multipart as werkzeug

from fastasgi_reference.formdata import FormData, UploadFile, parse_urlencoded
from fastasgi_reference.multipart import MultipartParser, PartBegin, PartData, PartEnd, parse_multipart

Parts = list[tuple[str, str | None, bytes]]
"""Name, file name and data of each part."""

UNHURRIED = settings(deadline=None)
NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters='%\\"'), max_size=20)
BOUNDARIES = st.from_regex(rb"[0-9A-Za-z'()+_,./:=?-]{1,70}", fullmatch=True)


@dataclass(frozen=True)
class Form:
    """A form, and the body in which it is sent."""

    boundary: bytes
    parts: Parts
    padding: bytes = b""

    @property
    def body(self) -> bytes:
        line = b"--" + self.boundary
        parts = [line + self.padding + b"\r\n" + head(name, file) + data for name, file, data in self.parts]
        return b"\r\n".join([*parts, line + b"--" + self.padding + b"\r\n"])


def head(name: str, filename: str | None) -> bytes:
    lines = f'Content-Disposition: form-data; name="{name}"'
    if filename is not None:
        lines += f'; filename="{filename}"\r\nContent-Type: application/octet-stream'
    return lines.encode() + b"\r\n\r\n"


@st.composite
def forms(draw: st.DrawFn) -> Form:
    """Forms with data that is full of near delimiters, but has none (RFC 2046, section 5.1.1)."""
    boundary = draw(BOUNDARIES)
    line = b"--" + boundary
    near = [
        b"\r",
        b"\n",
        b"\r\n",
        b"-",
        b"--",
        b"\r\n--",
        b" ",
        line,
        b"\n" + line,
        b"\r\n" + line[:-1],
        b"\xff",
    ]
    data = st.lists(st.sampled_from(near) | st.binary(max_size=8), max_size=10).map(b"".join)
    # Werkzeug takes a bare LF or CR for the end of a line.
    data = data.filter(lambda data: not re.search(rb"(\A|[\r\n])%s" % re.escape(line), data))
    return Form(boundary, draw(st.lists(st.tuples(NAMES, st.none() | NAMES, data), max_size=4)))


def split(body: bytes, places: Iterable[int]) -> list[bytes]:
    cuts = [0, *sorted(min(place, len(body)) for place in places), len(body)]
    return [body[start:end] for start, end in pairwise(cuts)]


async def chunked(chunks: Iterable[bytes]) -> AsyncGenerator[bytes, None]:
    for chunk in chunks:
        yield chunk


def read_by_reference(boundary: bytes, chunks: Iterable[bytes]) -> Parts:
    parser = MultipartParser(boundary)
    parts: Parts = []
    for chunk in chunks:
        for event in parser.feed(chunk):
            match event:
                case PartBegin(name=name, filename=filename):
                    parts.append((name, filename, b""))
                case PartData(data=data):
                    parts[-1] = (*parts[-1][:2], parts[-1][2] + data)
                case PartEnd():
                    pass
    parser.finish()
    return parts


def read_by_python_multipart(boundary: bytes, chunks: Iterable[bytes]) -> Parts:
    heads: list[bytearray] = []
    datas: list[bytearray] = []

    def begin() -> None:
        heads.append(bytearray())
        datas.append(bytearray())

    def header_value(data: bytes, start: int, end: int) -> None:
        if not heads[-1].endswith(b"|"):
            heads[-1].extend(data[start:end])

    def header_end() -> None:
        heads[-1].extend(b"|")  # only the first header counts here

    def body(data: bytes, start: int, end: int) -> None:
        datas[-1].extend(data[start:end])

    parser = PythonMultipartParser(
        boundary,
        {
            "on_part_begin": begin,
            "on_header_value": header_value,
            "on_header_end": header_end,
            "on_part_data": body,
        },
    )
    for chunk in chunks:
        parser.write(chunk)
    parser.finalize()
    return [
        (*names(bytes(first).rstrip(b"|")), bytes(data)) for first, data in zip(heads, datas, strict=True)
    ]


def names(disposition: bytes) -> tuple[str, str | None]:
    _, options = parse_options_header(disposition)
    filename = options.get(b"filename")
    return options[b"name"].decode(), None if filename is None else filename.decode()


def read_by_werkzeug(boundary: bytes, body: bytes) -> Parts:
    """All at once: in chunks its decoder loses or adds bytes of line ends (werkzeug issues 3065 and 3285)."""
    decoder = werkzeug.MultipartDecoder(boundary)
    decoder.receive_data(body)
    decoder.receive_data(None)
    parts: Parts = []
    while not isinstance(event := decoder.next_event(), werkzeug.Epilogue):
        if isinstance(event, werkzeug.Field):
            parts.append((event.name, None, b""))
        elif isinstance(event, werkzeug.File):
            parts.append((event.name, event.filename, b""))
        elif isinstance(event, werkzeug.Data):
            parts[-1] = (*parts[-1][:2], parts[-1][2] + event.data)
    return parts


@UNHURRIED
@given(form=forms(), places=st.lists(st.integers(0, 600), max_size=10))
@example(form=Form(b"b", []), places=[])
@example(form=Form(b"b", [("a", None, b""), ("b", "", b"\r"), ("c", "f", b"\r\n")]), places=[50, 60])
def test_parts_are_those_of_python_multipart(form: Form, places: list[int]) -> None:
    chunks = split(form.body, places)
    assert (
        read_by_reference(form.boundary, chunks)
        == read_by_python_multipart(form.boundary, chunks)
        == form.parts
    )


@UNHURRIED
@given(form=forms(), padding=st.text(" \t", max_size=3))
@example(form=Form(b"b", []), padding="")
@example(form=Form(b"b", [("a", None, b""), ("b", "", b"\r"), ("c", "f", b"\r\n")]), padding=" ")
def test_parts_are_those_of_werkzeug(form: Form, padding: str) -> None:
    form = Form(form.boundary, form.parts, padding.encode())
    assert (
        read_by_reference(form.boundary, [form.body])
        == read_by_werkzeug(form.boundary, form.body)
        == form.parts
    )


@pytest.mark.parametrize(
    "disposition",
    [
        r'form-data; name="a"; filename="b"',
        r'form-data; name="a\"b"; filename="\"c\""',
        r'form-data; name="a\\b"; filename="c\\"',
        r"form-data; name=a; filename=b.txt",
        r'form-data; name="a;b"; filename="c; d=e"',
        r'form-data; name="é"; filename="€.txt"',
        r'FORM-DATA;name="a";FILENAME=""',
        r'form-data; name="a%20b"; filename="100%"',
        r"form-data; name=a; filename=b; size=3",
    ],
)
def test_names_are_those_of_all_others(disposition: str) -> None:
    body = b"--b\r\nContent-Disposition: " + disposition.encode() + b"\r\n\r\nx\r\n--b--\r\n"
    ours = read_by_reference(b"b", [body])
    assert ours == read_by_python_multipart(b"b", [body])
    assert ours == read_by_werkzeug(b"b", body)


def test_backslashes_are_those_of_python_multipart() -> None:
    """Werkzeug drops them; browsers write them as they are."""
    body = b'--b\r\nContent-Disposition: form-data; name="a\\b"; filename="c\\d.txt"\r\n\r\nx\r\n--b--\r\n'
    assert (
        read_by_reference(b"b", [body])
        == read_by_python_multipart(b"b", [body])
        == [("a\\b", "c\\d.txt", b"x")]
    )


def test_escaped_quotes_are_those_of_werkzeug() -> None:
    """Python-multipart leaves them as they are; browsers, httpx, requests and curl all write `%22`."""
    body = b'--b\r\nContent-Disposition: form-data; name="%22a%22"; filename="b%22"\r\n\r\nx\r\n--b--\r\n'
    assert read_by_reference(b"b", [body]) == read_by_werkzeug(b"b", body) == [('"a"', 'b"', b"x")]


@UNHURRIED
@given(form=forms(), places=st.lists(st.integers(0, 600), max_size=10))
async def test_forms_are_those_of_starlette(form: Form, places: list[int]) -> None:
    content_type = f'multipart/form-data; boundary="{form.boundary.decode()}"'
    chunks = split(form.body, places)
    headers = StarletteHeaders({"content-type": content_type})
    async with await parse_multipart(chunked(chunks), content_type) as ours:
        theirs = await MultiPartParser(headers, chunked(chunks)).parse()
        assert len(ours.multi_items()) == len(theirs.multi_items())
        for (name, value), (other_name, other) in zip(ours.multi_items(), theirs.multi_items(), strict=True):
            assert name == other_name
            if isinstance(value, UploadFile):
                assert isinstance(other, StarletteUploadFile)
                assert (value.filename, value.size) == (other.filename, other.size)
                assert value.headers.raw == other.headers.raw
                assert await value.read() == await other.read()
            else:
                # Starlette reads as latin-1 what is not UTF-8.
                assert value == other or "\ufffd" in value
        await theirs.close()


# What clients send

SENDABLE = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="%"), min_size=1, max_size=20
)


@UNHURRIED
@given(
    fields=st.dictionaries(SENDABLE, st.text(st.characters(exclude_categories=["Cs"])), max_size=3),
    files=st.lists(st.tuples(SENDABLE, SENDABLE, st.binary(max_size=200)), min_size=1, max_size=3),
)
@example(fields={'"\\': "é\r\n"}, files=[('\\"', 'a"\\b".txt', b"\r\n--")])
@example(fields={"a\\": ""}, files=[("f\\", "f\\", b"")])
async def test_what_httpx_sends_is_read_back(
    fields: dict[str, str], files: list[tuple[str, str, bytes]]
) -> None:
    request = httpx.Request(
        "POST", "http://x/", data=fields, files=[(name, (filename, data)) for name, filename, data in files]
    )
    body = request.read()
    async with await parse_multipart(chunked([body]), request.headers["content-type"]) as form:
        expected: Parts = [(name, None, value.encode()) for name, value in fields.items()]
        assert await parts_of(form) == expected + list(files)


@UNHURRIED
@given(parts=st.lists(st.tuples(NAMES, st.none() | NAMES, st.binary(max_size=50)), min_size=1, max_size=3))
async def test_what_werkzeug_sends_is_read_back(parts: Parts) -> None:
    encoder = werkzeug.MultipartEncoder(b"frontier")
    body = encoder.send_event(werkzeug.Preamble(data=b""))
    for name, filename, data in parts:
        if filename is None:
            data = data.hex().encode()
            body += encoder.send_event(werkzeug.Field(name=name, headers=WerkzeugHeaders()))
        else:
            body += encoder.send_event(werkzeug.File(name=name, filename=filename, headers=WerkzeugHeaders()))
        body += encoder.send_event(werkzeug.Data(data=b"x" + data, more_data=False))
    body += encoder.send_event(werkzeug.Epilogue(data=b""))
    async with await parse_multipart(chunked([body]), "multipart/form-data; boundary=frontier") as form:
        assert await parts_of(form) == [
            (name, filename, b"x" + (data.hex().encode() if filename is None else data))
            for name, filename, data in parts
        ]


async def parts_of(form: FormData) -> Parts:
    parts: Parts = []
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            parts.append((name, value.filename, await value.read()))
        else:
            parts.append((name, None, value.encode()))
    return parts


# Urlencoded forms


@UNHURRIED
@given(body=st.text("ab=&+%2C3é;", max_size=40), places=st.lists(st.integers(0, 40), max_size=5))
async def test_urlencoded_forms_are_those_of_the_standard_library(body: str, places: list[int]) -> None:
    form = await parse_urlencoded(chunked(split(body.encode(), places)))
    assert form.multi_items() == parse_qsl(body, keep_blank_values=True)


@UNHURRIED
@given(
    body=st.text("ab=&+%2C3;", max_size=40).filter(lambda body: not re.search("(^|&)=", body)),
    places=st.lists(st.integers(0, 40), max_size=5),
)
async def test_urlencoded_forms_are_those_of_starlette(body: str, places: list[int]) -> None:
    chunks = split(body.encode(), places)
    ours = await parse_urlencoded(chunked(chunks))
    theirs = await FormParser(StarletteHeaders(), chunked(chunks)).parse()
    assert ours.multi_items() == theirs.multi_items()
