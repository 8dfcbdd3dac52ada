"""The reference's multipart forms: the parser's events, the form that is made of them, limits and malformed bodies."""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
import threading
import tracemalloc
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import FrozenInstanceError, dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastasgi_reference.datastructures import Headers
from fastasgi_reference.exceptions import HTTPException
from fastasgi_reference.formdata import FormData, FormLimits, UploadFile
from fastasgi_reference.multipart import (
    Event,
    MultipartError,
    MultipartParser,
    PartBegin,
    PartData,
    PartEnd,
    parse_multipart,
)

UNHURRIED = settings(deadline=None)
MEGABYTE = 1024 * 1024
BOUNDARY = b"frontier"
CONTENT_TYPE = "multipart/form-data; boundary=frontier"
END = b"--frontier--\r\n"
HEADER_BYTES = 16 * 1024
"""What the headers of a part may have together."""


@dataclass(frozen=True)
class Part:
    """A part as a client means it."""

    name: str
    data: bytes
    filename: str | None = None
    headers: Sequence[tuple[str, str]] = ()


def encode(parts: Iterable[Part], boundary: bytes = BOUNDARY, padding: bytes = b"") -> bytes:
    """The body that a browser sends for `parts` (WHATWG HTML, multipart form data), with `padding` in delimiters."""
    lines = [encode_part(part, boundary, padding) for part in parts]
    return b"".join(lines) + b"--" + boundary + b"--" + padding + b"\r\n"


def encode_part(part: Part, boundary: bytes = BOUNDARY, padding: bytes = b"") -> bytes:
    disposition = f'form-data; name="{escape(part.name)}"'
    if part.filename is not None:
        disposition += f'; filename="{escape(part.filename)}"'
    headers = [("Content-Disposition", disposition), *part.headers]
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return b"--" + boundary + padding + b"\r\n" + head.encode() + b"\r\n" + part.data + b"\r\n"


def escape(text: str) -> str:
    return text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")


def part_with(disposition: bytes, *headers: bytes) -> bytes:
    """A body of one part with this Content-Disposition and these header lines."""
    lines = [b"--frontier", b"Content-Disposition: " + disposition, *headers, b"", b"data", END]
    return b"\r\n".join(lines)


def split(body: bytes, places: Iterable[int]) -> list[bytes]:
    """`body` cut at `places`, which need not be in order, or in the body at all."""
    cuts = [0, *sorted(min(place, len(body)) for place in places), len(body)]
    return [body[start:end] for start, end in pairwise(cuts)]


def single_bytes(body: bytes) -> list[bytes]:
    return split(body, range(len(body)))


def parse(*chunks: bytes, boundary: bytes = BOUNDARY) -> list[Event]:
    """The events of a whole body, with adjacent PartData joined."""
    parser = MultipartParser(boundary)
    events: list[Event] = []
    for chunk in chunks:
        for event in parser.feed(chunk):
            if isinstance(event, PartData) and isinstance(events[-1], PartData):
                events[-1] = PartData(events[-1].data + event.data)
            else:
                events.append(event)
    parser.finish()
    return events


def parsed_parts(events: Iterable[Event]) -> list[tuple[str, str | None, bytes]]:
    """Name, file name and data of each part. Checks that a part is a beginning, data and an end."""
    kinds = "".join(type(event).__name__[4] for event in events)
    assert re.fullmatch("(BD*E)*", kinds), kinds
    parts: list[tuple[str, str | None, bytes]] = []
    for event in events:
        if isinstance(event, PartBegin):
            parts.append((event.name, event.filename, b""))
        elif isinstance(event, PartData):
            assert event.data != b""
            name, filename, data = parts[-1]
            parts[-1] = (name, filename, data + event.data)
    return parts


def one_part(body: bytes) -> PartBegin:
    """What begins the only part of `body`."""
    begin, data, end = parse(body)
    assert (data, end) == (PartData(b"data"), PartEnd())
    assert isinstance(begin, PartBegin)
    return begin


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NAMES = TEXT.filter(lambda text: not re.search(r'%(22|0[AaDd])|\\["\\]|\\$', text))
"""What browsers write unambiguously."""
BOUNDARIES = st.one_of(
    st.sampled_from([b"frontier", b"-", b"--", b"x", b"----WebKitFormBoundaryA1", b"a b", b"a--", b"y" * 70]),
    st.from_regex(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]", fullmatch=True),
)


def pieces(boundary: bytes) -> st.SearchStrategy[bytes]:
    """Bytes with much in them that is nearly a delimiter."""
    delimiter = b"\r\n--" + boundary
    near = [
        b"\r",
        b"\n",
        b"\r\n",
        b"-",
        b"--",
        b" ",
        b"\t",
        b"x",
        b"\0\xff",
        delimiter[:-1],
        delimiter,
        boundary,
    ]
    return st.lists(st.sampled_from(near) | st.binary(max_size=5), max_size=12).map(b"".join)


@st.composite
def forms(draw: st.DrawFn) -> tuple[bytes, list[Part]]:
    """A boundary and parts in which no line begins with it (RFC 2046, section 5.1.1)."""
    boundary = draw(BOUNDARIES)
    data = pieces(boundary).filter(lambda data: b"\r\n--" + boundary not in b"\r\n" + data)
    headers = st.sampled_from([(), [("Content-Type", "text/plain")], [("X-A", "1"), ("x-a", "2")]])
    part = st.builds(Part, NAMES, data, st.none() | NAMES, headers)
    return boundary, draw(st.lists(part, max_size=4))


PLACES = st.lists(st.integers(0, 800), max_size=20)


# The events of well-formed bodies


@UNHURRIED
@given(form=forms(), padding=st.text(" \t", max_size=5), places=PLACES)
@example(form=(b"b", []), padding="", places=[])
@example(form=(b"b", [Part("a", b"")]), padding="", places=list(range(80)))
@example(form=(b"b", [Part("a", b"\r\n--"), Part("b", b"\r", "")]), padding=" ", places=list(range(200)))
def test_what_is_encoded_is_read_back_however_it_is_split(
    form: tuple[bytes, list[Part]], padding: str, places: list[int]
) -> None:
    boundary, parts = form
    body = encode(parts, boundary, padding.encode())
    for chunks in ([body], split(body, places), single_bytes(body)):
        events = parse(*chunks, boundary=boundary)
        assert parsed_parts(events) == [(part.name, part.filename, part.data) for part in parts]
        begins = [event for event in events if isinstance(event, PartBegin)]
        assert [begin.headers.multi_items()[1:] for begin in begins] == [
            [(name.lower(), value) for name, value in part.headers] for part in parts
        ]


def expected(body: bytes, boundary: bytes) -> list[bytes] | None:
    """The data of the parts in a body whose headers are all `h`, by another way: all at once. None: malformed."""
    line = re.compile(rb"\r\n--%s(?:(--)|[ \t]{0,128}(?=\r\n))" % re.escape(boundary))
    body = b"\r\n" + body
    datas: list[bytes] = []
    found = line.search(body)
    while found is not None and not found[1]:
        head = b'\r\nContent-Disposition: form-data; name="a"\r\n'
        if not body.startswith(head + b"\r\n", found.end()):
            return None
        start = found.end() + len(head)
        found = line.search(body, start)
        datas.append(body[start + 2 : found.start()] if found else b"")
    return None if found is None else datas


@st.composite
def junk(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A boundary, and a body of anything that occurs in bodies, in any order."""
    boundary = draw(st.sampled_from([b"b", b"-", b"--", b"frontier"]))
    line = b"--" + boundary
    head = b'Content-Disposition: form-data; name="a"\r\n\r\n'
    tokens = [
        b"\r\n",
        b"\r",
        b"\n",
        b"-",
        b" ",
        b"x",
        line,
        b"\r\n" + line,
        line + b"--",
        line + b"\r\n" + head,
        head,
    ]
    return boundary, draw(st.lists(st.sampled_from(tokens), max_size=15).map(b"".join))


@UNHURRIED
@given(case=junk(), places=PLACES)
@example(case=(b"b", b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n--b--'), places=[])
@example(case=(b"b", b"\r\n--b--"), places=[1])
@example(case=(b"b", b"x--b--\r\n--b--"), places=[])
def test_any_body_gives_the_same_events_however_it_is_split(
    case: tuple[bytes, bytes], places: list[int]
) -> None:
    boundary, body = case
    datas = expected(body, boundary)
    for chunks in ([body], split(body, places), single_bytes(body)):
        if datas is None:
            with pytest.raises(MultipartError):
                parse(*chunks, boundary=boundary)
        else:
            parts = parsed_parts(parse(*chunks, boundary=boundary))
            assert parts == [("a", None, data) for data in datas]


@UNHURRIED
@given(before=pieces(b"frontier"), after=pieces(b"frontier"), places=PLACES)
@example(before=b"--frontier", after=b"\r\n--frontier\r\nno part", places=[])
@example(before=b"--frontierX", after=b"", places=[])
def test_preamble_and_epilogue_are_ignored(before: bytes, after: bytes, places: list[int]) -> None:
    body = b"x" + before + b"\r\n" + encode([Part("a", b"data")]).rstrip() + after
    for chunks in ([body], split(body, places), single_bytes(body)):
        if re.search(rb"\r\n--frontier(--|[ \t]*\r\n)", before + b"\r\n"):
            continue  # it is no preamble
        assert parsed_parts(parse(*chunks)) == [("a", None, b"data")]


def test_the_events_are_plain_frozen_data() -> None:
    body = encode([Part("a", b"x"), Part("f", b"", "f.txt", [("Content-Type", "text/plain")])])
    disposition = 'form-data; name="f"; filename="f.txt"'
    assert parse(body) == [
        PartBegin(Headers({"content-disposition": 'form-data; name="a"'}), "a", None),
        PartData(b"x"),
        PartEnd(),
        PartBegin(
            Headers([("Content-Disposition", disposition), ("Content-Type", "text/plain")]), "f", "f.txt"
        ),
        PartEnd(),
    ]
    with pytest.raises(FrozenInstanceError):
        PartData(b"x").data = b"y"  # type: ignore[misc]


def test_events_come_as_soon_as_they_are_known() -> None:
    parser = MultipartParser(BOUNDARY)
    assert parser.feed(b'--frontier\r\nContent-Disposition: form-data; name="a"\r\n\r') == []
    assert [type(event) for event in parser.feed(b"\n")] == [PartBegin]
    assert parser.feed(b"some data") == [PartData(b"some data")]
    assert parser.feed(b"\r\n--frontie") == []
    assert parser.feed(b"x\r") == [PartData(b"\r\n--frontiex")]
    assert parser.feed(b"") == []
    assert parser.feed(b"\n--frontier-") == []
    assert parser.feed(b"-") == [PartEnd()]
    assert parser.feed(b"anything") == []
    parser.finish()


def test_data_is_passed_on_in_one_piece() -> None:
    parser = MultipartParser(BOUNDARY)
    parser.feed(encode_part(Part("a", b""))[:-2])
    chunk = b"\r\n--frontierX" * 10_000
    assert parser.feed(chunk) == [PartData(chunk)]


# Delimiters


@pytest.mark.parametrize(
    "data",
    [
        b"--frontier--",  # not at the start of a line
        b"x--frontier\r\n",
        b"\n--frontier\n",  # a bare LF ends no line
        b"\n--frontier\r\n",
        b"\r--frontier\r\n",
        b"\r\n--frontier\n",
        b"\r\n--frontier\r\r\n",
        b"\r\n--frontier2\r\n",  # the boundary is the beginning of another one
        b"\r\n--frontier-2\r\n",
        b"\r\n--frontier x\r\n",
        b"\r\n--Frontier\r\n",
        b"\r\n -- frontier\r\n",
        b"\r\n-frontier\r\n",
        b"\r\n--frontier" + b" " * 129 + b"\r\n",
        b"\r\n--frontier" + b"\t" * 1000 + b"\r\n",
        b"\r\n\r\n",
        b"\r",
        b"-",
        b"\r\n--frontie",
    ],
)
def test_what_is_not_exactly_a_delimiter_is_data(data: bytes) -> None:
    body = encode([Part("a", b"1" + data), Part("b", data[:-1] + b"2")])
    for chunks in ([body], single_bytes(body)):
        assert parsed_parts(parse(*chunks)) == [("a", None, b"1" + data), ("b", None, data[:-1] + b"2")]


@pytest.mark.parametrize("padding", [b"", b" ", b"\t", b" \t" * 64])
def test_blanks_may_follow_a_boundary_on_its_line(padding: bytes) -> None:
    body = encode([Part("a", b"1"), Part("b", b"2")], padding=padding)
    for chunks in ([body], single_bytes(body)):
        assert parsed_parts(parse(*chunks)) == [("a", None, b"1"), ("b", None, b"2")]


@pytest.mark.parametrize("ending", [b"", b"\r\n", b"\n", b" \r\n", b"-", b"x", b"\r\n--frontier\r\n\r\n"])
def test_the_closing_delimiter_needs_nothing_after_it(ending: bytes) -> None:
    body = encode_part(Part("a", b"1")) + b"--frontier--" + ending
    assert parsed_parts(parse(body)) == [("a", None, b"1")]


def test_a_part_may_end_where_its_data_would_begin() -> None:
    head = b'--frontier\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
    body = head + head + END
    for chunks in ([body], single_bytes(body)):
        assert parsed_parts(parse(*chunks)) == [("a", None, b"")] * 2


@pytest.mark.parametrize(
    "boundary", [b"x", b"y" * 70, b"a b", b"'()+_,-./:=?", b"-----------$a@{}", b"a--", b"."]
)
def test_boundaries(boundary: bytes) -> None:
    body = encode([Part("a", b"x" + boundary)], boundary)
    assert parsed_parts(parse(body, boundary=boundary)) == [("a", None, b"x" + boundary)]


@pytest.mark.parametrize(
    "boundary", [b"", b"y" * 71, b"a ", b" ", b"a\r\nb", b"a\n", b"\xc3\xa9", b"a\0b", b"a\tb"]
)
def test_what_is_no_boundary_is_refused(boundary: bytes) -> None:
    with pytest.raises(MultipartError, match="1 to 70 visible ASCII characters"):
        MultipartParser(boundary)


# Headers of a part


@pytest.mark.parametrize(
    ("disposition", "name", "filename"),
    [
        (b"form-data; name=a", "a", None),
        (b'form-data; name="a"', "a", None),
        (b'form-data; name=""', "", None),
        (b'form-data; name=" a;b=c, d "', " a;b=c, d ", None),
        (b'form-data;name="a";filename="b"', "a", "b"),
        (b'form-data \t; \tname="a" ;filename=b\t', "a", "b"),
        (b'form-data; filename="b"; name="a"', "a", "b"),
        (b'Form-Data; NAME="a"; FileName="b"', "a", "b"),
        (b'form-data; name="a"; filename=""', "a", ""),
        (b'form-data; name="a"; filename="b.txt"; size=3; x="y"', "a", "b.txt"),
        (b'form-data;; name="a"; ;', "a", None),
        # UTF-8
        ('form-data; name="é"; filename="€\u2028𝄞.txt"'.encode(), "é", "€\u2028𝄞.txt"),
        ("form-data; name=é; filename=a\u00a0b".encode(), "é", "a\u00a0b"),
        (b'form-data; name="\xe9"; filename="\xff\xfe"', "\ufffd", "\ufffd\ufffd"),
        (b'form-data; name="a"; filename="a\x1b\x7f"', "a", "a\x1b\x7f"),
        # Browsers' escapes, and nothing else that looks like one
        (b'form-data; name="a%22b"; filename="%0D%0a%0d%0A"', 'a"b', "\r\n\r\n"),
        (b'form-data; name="%20%41%"; filename="100%.txt"', "%20%41%", "100%.txt"),
        (b'form-data; name="%2522"; filename="%25%2522"', "%2522", "%25%2522"),
        (b'form-data; name="&#8364;"', "&#8364;", None),
        # Quoted pairs (RFC 9110, section 5.6.4)
        (rb'form-data; name="a\"b"; filename="\"\""', 'a"b', '""'),
        (rb'form-data; name="a\\b"; filename="\\\\"', "a\\b", "\\\\"),
        (rb'form-data; name="\\\""', '\\"', None),
        (rb'form-data; name="a\"; filename=\"b"', 'a"; filename="b', None),
        # Browsers' backslashes
        (rb'form-data; name="a\b"; filename="C:\dir\a.txt"', "a\\b", "C:\\dir\\a.txt"),
        (rb'form-data; name="a\"; filename="b.txt"', "a\\", "b.txt"),
        (rb'form-data; name="a"; filename="b\"', "a", "b\\"),
        (rb'form-data; name="a"; filename="C:\\dir\"', "a", "C:\\\\dir\\"),
        (rb"form-data; name=a\b; filename=\\c", "a\\b", "\\\\c"),
        # The client's word, whatever it is
        (b'form-data; name="a"; filename="../../etc/passwd"', "a", "../../etc/passwd"),
        (b'form-data; name="__proto__[a]"', "__proto__[a]", None),
        # RFC 7578, section 4.2: no extended parameters
        (b"form-data; name=\"a\"; filename*=UTF-8''b.txt", "a", None),
        (b'form-data; name="a"; filename="b"; filename*=UTF-8\'\'c', "a", "b"),
        (b'form-data; name="a"; filename*=UTF-8\'\'c; filename="b"', "a", "b"),
        (b'form-data; name*=UTF-8\'\'x; name="a"; filename*0="b"; filename*1="c"', "a", None),
    ],
)
def test_names(disposition: bytes, name: str, filename: str | None) -> None:
    for part in (part_with(disposition), part_with(disposition, b"Content-Type: text/plain; name=x")):
        begin = one_part(part)
        assert (begin.name, begin.filename) == (name, filename)


@UNHURRIED
@given(name=NAMES, filename=NAMES)
@example(name='"\r\n"', filename="a\\b")
def test_names_of_browsers_are_read_back(name: str, filename: str) -> None:
    begin = one_part(encode([Part(name, b"data", filename)]))
    assert (begin.name, begin.filename) == (name, filename)


@UNHURRIED
@given(name=TEXT, filename=TEXT)
@example(name='\\"', filename='"; filename="\\')
def test_names_of_clients_that_follow_the_rfc_are_read_back(name: str, filename: str) -> None:
    def quoted(text: str) -> str:
        return '"' + re.sub(r'(["\\])', r"\\\1", text.translate(unsendable)) + '"'

    unsendable = {ord(character): None for character in "\r\n%"}
    begin = one_part(part_with(f"form-data; name={quoted(name)}; filename={quoted(filename)}".encode()))
    assert (begin.name, begin.filename) == (name.translate(unsendable), filename.translate(unsendable))


def test_headers_are_kept_in_order_and_found_in_any_case() -> None:
    lines = [
        b"X-A: 1",
        b"Content-Type:text/plain",
        b"x-a:\t2 \t",
        b"Empty:",
        b"X-Latin: \xe9",
        b"X-Colon: a:\x0b",
    ]
    headers = one_part(part_with(b"form-data; name=a", *lines)).headers
    assert headers.raw == [
        (b"content-disposition", b"form-data; name=a"),
        (b"x-a", b"1"),
        (b"content-type", b"text/plain"),
        (b"x-a", b"2"),
        (b"empty", b""),
        (b"x-latin", b"\xe9"),
        (b"x-colon", b"a:\x0b"),
    ]
    assert headers["CONTENT-TYPE"] == "text/plain"


def test_the_name_may_stand_in_any_header_line_and_case() -> None:
    body = b'--frontier\r\nX: 1\r\ncontent-DISPOSITION:form-data; name="a"\r\n\r\ndata\r\n' + END
    assert one_part(body).name == "a"


def test_a_folded_header_is_one_header() -> None:
    begin = one_part(part_with(b'form-data;\r\n name="a";\r\n\tfilename="b"', b"X-A: 1\r\n  2", b"X-B: 3"))
    assert (begin.name, begin.filename) == ("a", "b")
    assert begin.headers["x-a"] == "1  2"
    assert begin.headers["x-b"] == "3"


def test_a_part_may_have_sixteen_headers() -> None:
    lines = [b"X-%d: 1" % number for number in range(16)]
    assert len(one_part(part_with(b"form-data; name=a", *lines[:15])).headers) == 16
    with pytest.raises(MultipartError, match="17 headers: send at most 16"):
        parse(part_with(b"form-data; name=a", *lines))


def headers_of(size: int) -> bytes:
    """A body of one part with that many bytes of headers."""
    rest = size - len("Content-Disposition: form-data; name=a\r\nX: ")
    return part_with(b"form-data; name=a", b"X: " + b"x" * rest)


def test_a_part_may_have_sixteen_kilobytes_of_headers() -> None:
    for chunks in ([headers_of(HEADER_BYTES)], single_bytes(headers_of(HEADER_BYTES))):
        assert len(one_part(b"".join(chunks)).headers["x"]) > 16_000
        assert parse(*chunks)[1:] == [PartData(b"data"), PartEnd()]
    for chunks in ([headers_of(HEADER_BYTES + 1)], single_bytes(headers_of(HEADER_BYTES + 1))):
        with pytest.raises(MultipartError, match="more than 16384 bytes of headers"):
            parse(*chunks)


def test_headers_that_do_not_end_are_refused_as_soon_as_they_are_too_long() -> None:
    parser = MultipartParser(BOUNDARY)
    parser.feed(b"--frontier\r\nX: ")
    fed = iter(range(len("X: "), 2 * HEADER_BYTES))
    with pytest.raises(MultipartError, match="bytes of headers"):
        all(parser.feed(b"x") == [] for _ in fed)
    assert next(fed) <= HEADER_BYTES + len("\r\n\r\n")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (part_with(b"form-data"), "send it as form-data; name="),
        (part_with(b'form-data; filename="b"'), "send it as form-data; name="),
        (part_with(b"form-data; name*=UTF-8''a"), "send it as form-data; name="),
        (part_with(b'attachment; name="a"'), "send it as form-data; name="),
        (part_with(b'; name="a"'), "send it as form-data; name="),
        (part_with(b'name="a"'), "send it as form-data; name="),
        (part_with(b"form-data; name"), "ill-formed"),
        (part_with(b"form-data; name="), "ill-formed"),
        (part_with(b"form-data; name=a b"), "ill-formed"),
        (part_with(b'form-data; name="a'), "ill-formed"),
        (part_with(b'form-data; name=a"'), "ill-formed"),
        (part_with(b'form-data; name="a"b'), "ill-formed"),
        (part_with(b'form-data; name="a" filename="b"'), "ill-formed"),
        (part_with(b'form-data; name="a", filename="b"'), "ill-formed"),
        (part_with(b'form-data; name="a"; ="b"'), "ill-formed"),
        (part_with(b'form-data; name="a"; name="b"'), "has a parameter twice"),
        (part_with(b'form-data; name="a"; filename="b"; FILENAME="c"'), "has a parameter twice"),
        (
            part_with(b"form-data; name=a", b"Content-Disposition: form-data; name=b"),
            "2 Content-Disposition headers",
        ),
        (part_with(b"form-data; name=a", b"no colon"), "is no header"),
        (part_with(b"form-data; name=a", b": no name"), "is no header"),
        (part_with(b"form-data; name=a", b"X : 1"), "is no header"),
        (part_with(b"form-data; name=a", b"X\xe9: 1"), "is no header"),
        (part_with(b"form-data; name=a", b"X: 1\nY: 2"), "is no header"),
        (part_with(b"form-data; name=a", b"X: 1\rY: 2"), "is no header"),
        (part_with(b"form-data; name=a", b"X: 1\0"), "is no header"),
        (part_with(b"form-data; name=a\r"), "is no header"),
        (b"--frontier\r\n X: folded onto nothing\r\n\r\ndata\r\n" + END, "is no header"),
        (b"--frontier\r\n\r\ndata\r\n" + END, "0 Content-Disposition headers"),
        (b"--frontier\r\nContent-Type: text/plain\r\n\r\ndata\r\n" + END, "0 Content-Disposition headers"),
        (b"--frontier\r\nContent-Disposition: form-data; name=a\r\n--frontier--\r\n\r\n", "is no header"),
        (b"--frontier\r\n--frontier\r\n\r\n", "is no header"),
    ],
)
def test_what_is_malformed_is_a_bad_request(body: bytes, words: str) -> None:
    for chunks in ([body], single_bytes(body)):
        with pytest.raises(MultipartError, match=words) as refused:
            parse(*chunks)
        assert refused.value.status_code == 400
        assert isinstance(refused.value, HTTPException)


@pytest.mark.parametrize("length", range(len(encode([Part("a", b"1"), Part("b", b"2", "f")])) - 2))
def test_what_is_truncated_anywhere_is_an_error(length: int) -> None:
    body = encode([Part("a", b"1"), Part("b", b"2", "f")])[:length]
    with pytest.raises(MultipartError, match=r"ends before the closing|no line that begins"):
        parse(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\n",
        b"a=1&b=2",
        b"--other\r\n\r\n--other--",
        b"--frontier",
        b"x--frontier--",
        b"\n--frontier--",
        b"--frontier\n\n--frontier--\n",
        b"frontier--\r\n",
    ],
)
def test_a_body_without_its_boundary_is_an_error(body: bytes) -> None:
    with pytest.raises(MultipartError, match="no line that begins with the boundary"):
        parse(body)


def test_a_body_with_bare_line_feeds_is_an_error() -> None:
    with pytest.raises(MultipartError):
        parse(encode([Part("a", b"1")]).replace(b"\r\n", b"\n"))


def test_after_an_error_a_parser_gives_nothing_but_errors() -> None:
    parser = MultipartParser(BOUNDARY)
    with pytest.raises(MultipartError, match="0 Content-Disposition"):
        parser.feed(b"--frontier\r\n\r\n")
    for chunk in (b"", encode([Part("a", b"1")])):
        with pytest.raises(MultipartError, match="malformed before"):
            parser.feed(chunk)
    with pytest.raises(MultipartError):
        parser.finish()


# Work and memory


FLOODS = {
    "data": b"x",
    "line ends": b"\r\n",
    "carriage returns": b"\r",
    "beginnings of delimiters": b"\r\n--",
    "delimiters but for the last byte": b"\r\n--frontie",
    "delimiters but for the first byte": b"\n--frontier",
    "false delimiters": b"\r\n--frontierX",
    "false closing delimiters": b"\r\n--frontier-X",
    "padding": b"\r\n--frontier" + b" " * 127 + b"x",
    "hyphens": b"-",
}


@contextmanager
def traced_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


def test_a_parser_that_has_failed_keeps_nothing() -> None:
    parser = MultipartParser(BOUNDARY)
    with traced_memory():
        for chunk in (b"--frontier\r\n\r\n", b"", b""):
            with pytest.raises(MultipartError):
                parser.feed(chunk + b"x" * MEGABYTE)
        assert tracemalloc.get_traced_memory()[0] < MEGABYTE // 2


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
@pytest.mark.parametrize("place", ["preamble", "data", "epilogue"])
@pytest.mark.parametrize("step", [1, 1000])
def test_the_parser_keeps_nothing_that_it_can_hand_on(flood: bytes, place: str, step: int) -> None:
    start = {"preamble": b"", "data": encode_part(Part("a", b""))[:-2], "epilogue": END}[place]
    parser = MultipartParser(BOUNDARY)
    parser.feed(start)
    chunks = split(flood * (6_000 // len(flood)), range(0, 6_000, step))
    kept = 0
    with traced_memory():
        for chunk in chunks:
            parser.feed(chunk)
            kept = max(kept, tracemalloc.get_traced_memory()[0])
    assert kept < step + 2_000


def calls_for(body: bytes, step: int) -> int:
    """How many calls, of Python's functions and of C's, it takes to parse a body."""
    chunks = split(body, range(0, len(body), step))
    calls = 0

    def count(_: Any, event: str, __: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    parser = MultipartParser(BOUNDARY)
    sys.setprofile(count)
    try:
        for chunk in chunks:
            parser.feed(chunk)
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
@pytest.mark.parametrize("step", [1, 100, 1_000_000])
def test_twice_the_data_is_twice_the_work(flood: bytes, step: int) -> None:
    small, large = (encode([Part("a", flood * (size // len(flood)), "f")]) for size in (3_000, 6_000))
    assert calls_for(large, step) <= 2 * calls_for(small, step) + 20


def test_many_parts_in_one_chunk_are_work_in_proportion() -> None:
    small, large = (encode([Part("a", b"x")] * count) for count in (200, 400))
    assert calls_for(large, 1_000_000) <= 2 * calls_for(small, 1_000_000) + 20


@pytest.mark.parametrize(
    "disposition",
    [
        b'form-data; name="' + b"\\" * 16_000,
        b'form-data; name="' + b'\\"' * 8_000,
        b"form-data; name=a" + b" " * 16_000 + b"b",
        b"form-data; name=a" + b" ;" * 8_000 + b"b",
        b"form-data" + b";a=b" * 4_000,
        b"form-data; name=a; " + b"x" * 16_000,
    ],
    ids=range(6),
)
def test_hostile_parameters_are_refused_at_once(disposition: bytes) -> None:
    """Were one of the patterns to try all ways to read them, this test would not end."""
    with pytest.raises(MultipartError, match="ill-formed") as refused:
        parse(part_with(disposition))
    assert len(refused.value.detail) < 300


@pytest.mark.parametrize("name", ["\\" * 15_999, "%" * 16_000, "%0" * 8_000, ";" * 16_000], ids=range(4))
def test_strange_names_are_read_at_once(name: str) -> None:
    assert one_part(part_with(f'form-data; name="{name}"'.encode())).name == name


# Forms


async def chunked(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def parse_form(
    *chunks: bytes, content_type: str = CONTENT_TYPE, limits: FormLimits | None = None
) -> FormData:
    if limits is None:
        return await parse_multipart(chunked(*chunks), content_type)
    return await parse_multipart(chunked(*chunks), content_type, limits)


async def contents(form: FormData) -> list[tuple[str, str | tuple[str, bytes]]]:
    """The texts and the files' names and contents; closes the files."""
    found: list[tuple[str, str | tuple[str, bytes]]] = []
    async with form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                data = await value.read()
                assert value.size == len(data)
                found.append((name, (value.filename, data)))
            else:
                found.append((name, value))
    return found


class WatchedSpool(tempfile.SpooledTemporaryFile[bytes]):
    """A spooled file that notes the threads in which it has rolled to disk, and may be full."""

    rolled_in: list[int]
    full = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.rolled_in = []

    def rollover(self) -> None:
        self.rolled_in.append(threading.get_ident())
        super().rollover()

    def write(self, data: Any) -> int:
        if self.full:
            raise OSError("no space left on device")
        return super().write(data)

    def close(self) -> None:
        super().close()
        if self.full:
            raise OSError("no space left on device")


@pytest.fixture
def spools(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[WatchedSpool]]:
    """All spooled files that are made during a test."""
    made: list[WatchedSpool] = []

    def make(*arguments: Any, **options: Any) -> WatchedSpool:
        made.append(WatchedSpool(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", make)
    yield made
    for spool in made:
        assert spool.closed


@UNHURRIED
@given(form=forms(), places=PLACES)
async def test_a_form_is_read_back_however_it_is_split(
    form: tuple[bytes, list[Part]], places: list[int]
) -> None:
    boundary, parts = form
    read = await parse_form(
        *split(encode(parts, boundary), places),
        content_type=f'multipart/form-data; boundary="{boundary.decode()}"',
    )
    assert await contents(read) == [
        (
            part.name,
            part.data.decode("utf-8", "replace") if part.filename is None else (part.filename, part.data),
        )
        for part in parts
    ]


async def test_a_file_knows_its_headers_and_is_at_its_start() -> None:
    headers = [("Content-Type", "image/png"), ("X-A", "1")]
    async with await parse_form(encode([Part("f", b"data", "a.png", headers)])) as form:
        file = form["f"]
        assert isinstance(file, UploadFile)
        assert (file.filename, file.content_type, file.headers["x-a"], file.size) == (
            "a.png",
            "image/png",
            "1",
            4,
        )
        assert await file.read(2) == b"da"
        assert await file.read() == b"ta"
        await file.write(b"!")
        assert file.size == 5


async def test_an_empty_file_name_is_a_file() -> None:
    body = encode([Part("f", b"", ""), Part("f", b"x", ""), Part("f", b"", None)])
    assert await contents(await parse_form(body)) == [("f", ("", b"")), ("f", ("", b"x")), ("f", "")]


async def test_fields_of_a_name_keep_their_order() -> None:
    body = encode([Part("a", b"1"), Part("b", b"x", "f"), Part("a", b"2"), Part("b", b"y"), Part("", b"3")])
    form = await parse_form(body)
    assert form["a"] == "1"
    assert form.getlist("a") == ["1", "2"]
    assert await contents(form) == [("a", "1"), ("b", ("f", b"x")), ("a", "2"), ("b", "y"), ("", "3")]


async def test_an_empty_form() -> None:
    for body in (END, b"--frontier--", b"\r\n" + END, b"preamble\r\n" + END):
        assert await parse_form(body) == FormData()


async def test_text_is_utf_8_whatever_is_said_of_it() -> None:
    latin = [("Content-Type", "text/plain; charset=iso-8859-1")]
    parts = [
        Part("_charset_", b"iso-8859-1"),
        Part("a", "é€".encode(), headers=latin),
        Part("b", b"\xe9\xff", headers=latin),
        Part("c", b"\xef\xbb\xbfx"),
        Part("d", b"\0\r\n"),
    ]
    for chunks in ([encode(parts)], single_bytes(encode(parts))):
        form = await parse_form(*chunks, content_type=CONTENT_TYPE + "; charset=iso-8859-1")
        assert form.multi_items() == [
            ("_charset_", "iso-8859-1"),
            ("a", "é€"),
            ("b", "\ufffd\ufffd"),
            ("c", "\ufeffx"),
            ("d", "\0\r\n"),
        ]


async def test_a_transfer_encoding_is_ignored() -> None:
    part = Part("f", b"YWJj", "a.txt", [("Content-Transfer-Encoding", "base64"), ("Content-Length", "1")])
    assert await contents(await parse_form(encode([part]))) == [("f", ("a.txt", b"YWJj"))]


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; boundary=frontier",
        'multipart/form-data; boundary="frontier"',
        "Multipart/Form-Data;BOUNDARY=frontier;",
        "multipart/form-data; charset=utf-8; boundary=frontier; x=y",
        'multipart/form-data; boundary="front\\ier" ',
    ],
)
async def test_content_types(content_type: str) -> None:
    boundary = "front\\ier" if "\\" in content_type else "frontier"
    form = await parse_form(encode([Part("a", b"1")], boundary.encode()), content_type=content_type)
    assert form == FormData({"a": "1"})


@pytest.mark.parametrize(
    ("content_type", "words"),
    [
        ("", "send the form as multipart/form-data"),
        ("multipart/form-data", "send the form as multipart/form-data; boundary="),
        ("multipart/mixed; boundary=frontier", "send the form as multipart/form-data"),
        ("application/x-www-form-urlencoded", "send the form as multipart/form-data"),
        ("multipart/form-data; boundary=", "ill-formed"),
        ('multipart/form-data; boundary=""', "1 to 70 visible ASCII characters"),
        ("multipart/form-data; boundary=" + "y" * 71, "1 to 70 visible ASCII characters"),
        ("multipart/form-data; boundary=é", "1 to 70 visible ASCII characters"),
        ("multipart/form-data; boundary=frontier; boundary=other", "twice"),
        ("multipart/form-data; boundary=front ier", "ill-formed"),
        ("multipart/form-data boundary=frontier", "send the form as multipart/form-data"),
    ],
)
async def test_other_content_types_are_refused(content_type: str, words: str) -> None:
    with pytest.raises(MultipartError, match=words) as refused:
        await parse_form(encode([Part("a", b"1")]), content_type=content_type)
    assert refused.value.status_code == 400


# Limits


async def test_a_thousand_fields_and_a_thousand_files_are_enough() -> None:
    fields = [Part("a", b"1")] * 1000
    files = [Part("f", b"1", "")] * 1000
    assert len(await contents(await parse_form(encode(fields + files)))) == 2000
    for parts, words in (
        (fields + fields[:1], "more than 1000 fields"),
        (files + files[:1], "more than 1000 files"),
    ):
        with pytest.raises(HTTPException, match=words) as refused:
            await parse_form(encode(parts))
        assert refused.value.status_code == 413


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (FormLimits(max_fields=1, max_files=3), "413: .*more than 1 fields"),
        (FormLimits(max_fields=2, max_files=2), "413: .*more than 2 files"),
        (FormLimits(max_fields=0, max_files=3), "413: .*more than 0 fields"),
        (FormLimits(max_fields=2, max_files=0), "413: .*more than 0 files"),
    ],
)
async def test_fields_and_files_are_counted_apart(
    limits: FormLimits, words: str, spools: list[WatchedSpool]
) -> None:
    body = encode(
        [Part("f", b"1", "x"), Part("a", b""), Part("f", b"", ""), Part("f", b"", ""), Part("a", b"")]
    )
    await contents(await parse_form(body, limits=FormLimits(max_fields=2, max_files=3)))
    with pytest.raises(HTTPException, match=words):
        await parse_form(body, limits=limits)


@pytest.mark.parametrize("step", [MEGABYTE * 2, 5000])
async def test_a_text_may_have_a_megabyte(step: int) -> None:
    body = encode([Part("a", b"x" * MEGABYTE), Part("b", b"y" * MEGABYTE)])
    assert [
        len(value) for _, value in await contents(await parse_form(*split(body, range(0, len(body), step))))
    ] == [
        MEGABYTE,
        MEGABYTE,
    ]
    body = encode([Part("f", b"", "f"), Part("a", b"x" * (MEGABYTE + 1))])
    with pytest.raises(HTTPException, match=f"more than {MEGABYTE} bytes") as refused:
        await parse_form(*split(body, range(0, len(body), step)))
    assert refused.value.status_code == 413


@pytest.mark.parametrize("data", [b"12345678", b"\xc3\xa9" * 4, b"\r\n--fron", b"\r\r\r\r\r\r\r\r"])
async def test_the_size_of_a_text_is_summed_over_its_chunks(data: bytes) -> None:
    limits = FormLimits(max_part_size=8)
    for body, fits in ((encode([Part("a", data)]), True), (encode([Part("a", data + b"x")]), False)):
        for chunks in ([body], split(body, range(0, len(body), 3)), single_bytes(body)):
            if fits:
                assert await parse_form(*chunks, limits=limits) == FormData({"a": data.decode()})
            else:
                with pytest.raises(HTTPException, match=r"413: .*more than 8 bytes"):
                    await parse_form(*chunks, limits=limits)


async def test_the_size_of_a_file_is_not_limited() -> None:
    body = encode([Part("f", b"x" * 100, "f")])
    assert await contents(await parse_form(body, limits=FormLimits(max_part_size=8))) == [
        ("f", ("f", b"x" * 100))
    ]


async def test_a_form_over_a_limit_is_not_read_on() -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        yield encode_part(Part("a", b""))[:-2]
        while True:
            taken += 1
            yield b"x" * 10

    with pytest.raises(HTTPException, match="413"):
        await parse_multipart(endless(), CONTENT_TYPE, FormLimits(max_part_size=35))
    assert taken == 4


# Files: in memory or on disk, and closed


async def test_a_file_stays_in_memory_up_to_a_megabyte(spools: list[WatchedSpool]) -> None:
    body = encode([Part("f", b"x" * MEGABYTE, "f"), Part("g", b"y" * (MEGABYTE + 1), "g")])
    form = await parse_form(*split(body, range(0, len(body), 65536)))
    small, large = spools
    assert small.rolled_in == []
    assert len(large.rolled_in) == 1
    assert threading.get_ident() not in large.rolled_in
    assert await contents(form) == [("f", ("f", b"x" * MEGABYTE)), ("g", ("g", b"y" * (MEGABYTE + 1)))]


FILES = encode_part(Part("f", b"x", "f")) + encode_part(Part("g", b"y" * (MEGABYTE + 1), "g"))
"""The beginning of a body: a small file and a large one."""


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        (b"", "ends before the closing delimiter"),
        (b"--frontier\r\nContent-Disposition: form-data; name=a", "ends before the closing delimiter"),
        (encode_part(Part("h", b"z", "h")), "ends before the closing delimiter"),
        (b"--frontier\r\n\r\n", "Content-Disposition"),
        (encode_part(Part("a", b"")) + encode_part(Part("a", b"")), "more than 1 fields"),
        (encode_part(Part("h", b"", "h")) + encode_part(Part("h", b"", "h")), "more than 3 files"),
        (encode_part(Part("a", b"x" * 11)), "more than 10 bytes"),
    ],
)
async def test_an_error_closes_all_files(rest: bytes, words: str, spools: list[WatchedSpool]) -> None:
    limits = FormLimits(max_fields=1, max_files=3, max_part_size=10)
    with pytest.raises(HTTPException, match=words):
        await parse_form(*split(FILES + rest, range(0, len(FILES), 65536)), limits=limits)
    assert len(spools) >= 2
    assert all(spool.closed for spool in spools)


async def test_an_error_of_the_body_closes_all_files(spools: list[WatchedSpool]) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield FILES[:-100]
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        await parse_multipart(broken(), CONTENT_TYPE)
    assert [spool.closed for spool in spools] == [True, True]


async def test_a_cancellation_closes_all_files(spools: list[WatchedSpool]) -> None:
    waiting = asyncio.Event()

    async def stalled() -> AsyncIterator[bytes]:
        yield FILES[:-100]
        waiting.set()
        await asyncio.Event().wait()

    parsing = asyncio.create_task(parse_multipart(stalled(), CONTENT_TYPE))
    await waiting.wait()
    parsing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await parsing
    assert [spool.closed for spool in spools] == [True, True]


async def test_a_cancellation_while_a_file_is_written_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go = threading.Event(), threading.Event()

    class SlowSpool(tempfile.SpooledTemporaryFile[bytes]):
        def rollover(self) -> None:
            begun.set()
            go.wait(10)
            super().rollover()

    spool = SlowSpool(max_size=MEGABYTE)
    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", lambda **_: spool)
    parsing = asyncio.create_task(parse_form(encode([Part("f", b"x" * (MEGABYTE + 1), "f")])))
    await asyncio.to_thread(begun.wait, 10)
    parsing.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not spool.closed
    assert not parsing.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await parsing
    assert spool.closed


async def test_a_full_disk_is_an_error_that_closes_all_files(
    spools: list[WatchedSpool], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def filling() -> AsyncIterator[bytes]:
        yield encode_part(Part("f", b"x", "f"))
        monkeypatch.setattr(WatchedSpool, "full", True)
        yield encode_part(Part("g", b"y", "g"))

    with pytest.raises(OSError, match="no space left"):
        await parse_multipart(filling(), CONTENT_TYPE)
    assert [spool.closed for spool in spools] == [True, True]


async def test_a_file_that_cannot_be_closed_does_not_hide_why_it_is_closed(
    spools: list[WatchedSpool], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def filling() -> AsyncIterator[bytes]:
        yield encode_part(Part("f", b"x", "f"))
        monkeypatch.setattr(WatchedSpool, "full", True)
        yield b"--frontier\r\n\r\n"

    with pytest.raises(MultipartError, match="Content-Disposition"):
        await parse_multipart(filling(), CONTENT_TYPE)
    assert spools[0].closed


async def test_the_body_is_read_to_its_end() -> None:
    ended = False

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal ended
        yield encode([Part("a", b"1")])
        yield b"epilogue"
        ended = True

    assert await parse_multipart(chunks(), CONTENT_TYPE) == FormData({"a": "1"})
    assert ended
