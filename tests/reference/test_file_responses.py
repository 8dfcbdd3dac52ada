"""The reference's file responses: how a file is described, what is sent of it, and how it is read."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.http import parse_options_header

from fastasgi_reference.file_responses import FileResponse
from tests.reference.conversation import Log, http_scope, lifespan_scope, play, websocket_scope
from tests.reference.rules import enforces

DATA = bytes(range(256)) * 4
NANOSECONDS = 1_700_000_000_123_456_789
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"  # that, to the second
EARLIER, LATER = "Tue, 14 Nov 2023 22:13:19 GMT", "Tue, 14 Nov 2023 22:13:21 GMT"
ETAG = f'"{NANOSECONDS:x}-400"'
CHUNK = 64 * 1024


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of 1024 bytes, last modified at DATE."""
    return written(tmp_path / "data.bin", DATA)


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    os.utime(path, ns=(NANOSECONDS, NANOSECONDS))
    return path


def removed(path: Path) -> None:
    path.unlink()


def get(method: str = "GET", **headers: str | list[str]) -> dict[str, Any]:
    """An HTTP scope with these headers; `if_match` stands for `if-match`."""
    pairs = [
        (name.replace("_", "-").encode(), value.encode("latin-1"))
        for name, values in headers.items()
        for value in ([values] if isinstance(values, str) else values)
    ]
    return http_scope(method, headers=pairs)


async def answer(path: Path, scope: dict[str, Any] | None = None, **options: Any) -> Log:
    log = await play(FileResponse(path, **options), get() if scope is None else scope)
    assert log.raised is None
    assert log.complete
    assert not is_open(path)
    length = log.header("content-length")
    if (
        length is not None
        and (scope is None or scope["method"] != "HEAD")
        and log.types[-1].endswith(".body")
    ):
        assert len(log.body) == int(length)
    return log


def is_open(path: Path) -> bool:
    """Whether this process has the file open (Linux)."""
    return str(path) in {os.path.realpath(number) for number in Path("/proc/self/fd").iterdir()}


def parts(log: Log) -> Iterator[tuple[str, str, bytes]]:
    """Of a multipart/byteranges body: the type, the range, and the bytes of each part."""
    media_type = log.header("content-type")
    assert media_type is not None
    boundary = media_type.removeprefix("multipart/byteranges; boundary=").encode()
    first, *middle, last = (b"\r\n" + log.body).split(b"\r\n--" + boundary)
    assert (first, last) == (b"", b"--\r\n")
    for part in middle:
        head, _, data = part.partition(b"\r\n\r\n")
        found = re.fullmatch(rb"\r\ncontent-type: (.*)\r\ncontent-range: (.*)", head)
        assert found is not None
        yield found[1].decode(), found[2].decode(), data


# --- how a file is described ----------------------------------------------------------------------------------


@enforces("HTTP-RESP-01", "HTTP-RESP-08", "HTTP-RESP-10")
async def test_a_file_is_sent_with_its_description(path: Path) -> None:
    log = await answer(path)
    assert log.status == 200
    assert dict(log.headers) == {
        "content-type": "application/octet-stream",
        "content-length": "1024",
        "last-modified": DATE,
        "etag": ETAG,
        "accept-ranges": "bytes",
    }
    assert log.body == DATA
    assert log.types == ["http.response.start", "http.response.body"]


def test_before_it_is_sent_a_response_says_nothing_of_a_length() -> None:
    assert "content-length" not in FileResponse("a").headers


async def test_the_etag_is_strong_and_tells_apart_what_the_date_does_not(path: Path) -> None:
    first = (await answer(path)).header("etag")
    os.utime(path, ns=(NANOSECONDS, NANOSECONDS + 1))
    second = (await answer(path)).header("etag")
    written(path, DATA + b"x")
    os.utime(path, ns=(NANOSECONDS, NANOSECONDS + 1))
    third = (await answer(path)).header("etag")
    assert first is not None
    assert re.fullmatch(r'"[^"]+"', first)
    assert len({first, second, third}) == 3


async def test_a_file_from_the_future_or_from_before_1970_has_a_date_all_the_same(path: Path) -> None:
    os.utime(path, (2**33, 2**33))
    modified = (await answer(path)).header("last-modified")
    assert modified is not None
    assert "2242" not in modified
    os.utime(path, ns=(-500_000_000, -500_000_000))
    assert (await answer(path)).header("last-modified") == "Wed, 31 Dec 1969 23:59:59 GMT"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.txt", "text/plain; charset=utf-8"),
        ("A.HTML", "text/html; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.json", "application/json"),
        ("a.svg", "image/svg+xml"),
        ("a.png", "image/png"),
        ("a.woff2", "font/woff2"),
        ("a.webp", "image/webp"),
        ("a.wasm", "application/wasm"),
        ("a.tar", "application/x-tar"),
        ("a.tar.gz", "application/gzip"),
        ("a.tgz", "application/gzip"),
        ("a.svgz", "application/octet-stream"),
        ("a.unknown", "application/octet-stream"),
        ("Makefile", "application/octet-stream"),
        (".html", "application/octet-stream"),
        ("a.html?.png", "image/png"),
    ],
)
async def test_the_media_type_follows_from_the_last_suffix(name: str, expected: str, tmp_path: Path) -> None:
    log = await answer(written(tmp_path / name, b""))
    assert log.header("content-type") == expected
    assert log.header("content-encoding") is None


async def test_what_the_caller_says_of_the_file_wins_but_for_its_length(path: Path) -> None:
    headers = {
        "ETag": 'W/"mine"',
        "Last-Modified": EARLIER,
        "Content-Type": "a/b",
        "Content-Length": "5",
        "X": "y",
    }
    log = await answer(path, headers=headers, filename="a.txt")
    assert dict(log.headers) == {
        "etag": 'W/"mine"',
        "last-modified": EARLIER,
        "content-type": "a/b",
        "content-length": "1024",
        "x": "y",
        "content-disposition": 'attachment; filename="a.txt"',
        "accept-ranges": "bytes",
    }
    assert (await answer(path, media_type="c/d")).header("content-type") == "c/d"
    assert (await answer(path, get(if_none_match='"mine"'), headers=headers)).status == 304
    assert (await answer(path, get(if_modified_since=EARLIER), headers=headers)).status == 304


@enforces("APP-CALL-03", "APP-MW-05")
async def test_a_response_can_be_sent_any_number_of_times(path: Path) -> None:
    headers = {"x": "y"}
    response = FileResponse(path, headers=headers)
    scopes = [
        get(),
        get(range="bytes=0-1,5-6"),
        get(range="bytes=9999-"),
        get(if_none_match="*"),
        get("HEAD"),
        get(),
    ]
    logs = await asyncio.gather(*(play(response, scope) for scope in scopes))
    assert [log.status for log in logs] == [200, 206, 416, 304, 200, 200]
    assert logs[0].sent == logs[-1].sent
    assert headers == {"x": "y"}


# --- its name -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("report.pdf", 'filename="report.pdf"'),
        ("my report (2).pdf", 'filename="my report (2).pdf"'),
        ("é€.txt", "filename=\"__.txt\"; filename*=UTF-8''%C3%A9%E2%82%AC.txt"),
        ('a"b.txt', "filename=\"a_b.txt\"; filename*=UTF-8''a%22b.txt"),
        ("a\\", "filename=\"a_\"; filename*=UTF-8''a%5C"),
        ("100%25.txt", "filename=\"100_25.txt\"; filename*=UTF-8''100%2525.txt"),
        (
            "a\r\nset-cookie: b\0",
            "filename=\"a__set-cookie: b_\"; filename*=UTF-8''a%0D%0Aset-cookie%3A%20b%00",
        ),
        ("../../etc/passwd", "filename=\".._.._etc_passwd\"; filename*=UTF-8''..%2F..%2Fetc%2Fpasswd"),
        ("it's*.txt\x7f", "filename=\"it's*.txt_\"; filename*=UTF-8''it%27s%2A.txt%7F"),
        ("\udcff.txt", "filename=\"_.txt\"; filename*=UTF-8''%3F.txt"),
        ("{a+b}.txt", "filename=\"{a+b}.txt\"; filename*=UTF-8''%7Ba+b%7D.txt"),
        ("", 'filename=""'),
    ],
)
@pytest.mark.parametrize("disposition", ["attachment", "inline"])
async def test_the_file_name_is_written_so_that_it_stays_a_name(
    disposition: str, name: str, expected: str, path: Path
) -> None:
    log = await answer(path, filename=name, disposition=disposition)
    assert log.header("content-disposition") == f"{disposition}; {expected}"


@given(name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
@enforces("HTTP-RESP-13")
def test_any_file_name_can_be_read_back(name: str) -> None:
    value = FileResponse("a", filename=name).headers["content-disposition"]
    assert value.isascii()
    assert value.isprintable()
    kind, options = parse_options_header(value)
    assert kind == "attachment"
    assert options == {"filename": name}


async def test_without_a_file_name_there_is_no_disposition(path: Path) -> None:
    assert (await answer(path)).header("content-disposition") is None


async def test_the_media_type_is_that_of_the_name_under_which_it_is_saved(path: Path) -> None:
    assert (await answer(path, filename="a.csv")).header("content-type") == "text/csv; charset=utf-8"
    assert (await answer(path, filename="data:text/html,a.png")).header("content-type") == "image/png"


@pytest.mark.parametrize("disposition", ["", "form-data", 'attachment; filename="x"', "Attachment"])
def test_a_disposition_is_one_of_two(disposition: str) -> None:
    with pytest.raises(ValueError, match="use 'attachment' or 'inline'"):
        FileResponse("a", disposition=disposition)


# --- HEAD, other methods, other statuses ----------------------------------------------------------------------


@enforces("HTTP-RESP-12")
async def test_head_has_the_headers_of_get_and_reads_nothing(path: Path) -> None:
    os.truncate(path, 2**40)  # it is all holes, and would take an hour to read
    head = await answer(path, get("HEAD", range="bytes=0-1"))
    assert head.header("content-length") == str(2**40)
    assert head.body == b""
    part = await answer(path, get(range=f"bytes={2**40 - 3}-"))
    assert part.body == b"\0\0\0"
    written(path, DATA)
    assert (await answer(path, get("HEAD"))).headers == (await answer(path)).headers


@pytest.mark.parametrize("method", ["POST", "PUT", "get"])
async def test_preconditions_and_ranges_are_for_get_and_head(method: str, path: Path) -> None:
    log = await answer(path, get(method, if_none_match="*", if_match='"x"', range="bytes=0-1"))
    assert log.status == 200
    assert log.body == DATA


async def test_preconditions_and_ranges_are_for_what_would_be_a_success(path: Path) -> None:
    for status in (404, 500):
        log = await answer(
            path, get(if_none_match="*", if_match='"x"', range="bytes=0-1"), status_code=status
        )
        assert log.status == status
        assert log.body == DATA
        assert log.header("accept-ranges") is None
    created = await answer(path, get(range="bytes=0-1"), status_code=201)
    assert (created.status, created.body) == (201, DATA)
    assert (await answer(path, get(if_none_match="*"), status_code=201)).status == 304


@enforces("HTTP-RESP-11")
@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_a_body_gets_none(status: int, path: Path) -> None:
    log = await answer(path, status_code=status)
    assert log.body == b""
    assert log.header("content-length") is None


# --- preconditions (RFC 9110, section 13) ---------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        # If-None-Match: weak comparison, lists, *
        ({"if_none_match": ETAG}, 304),
        ({"if_none_match": f"W/{ETAG}"}, 304),
        ({"if_none_match": f'"a", W/"b,c" ,{ETAG}'}, 304),
        ({"if_none_match": ['"a"', ETAG]}, 304),
        ({"if_none_match": " * "}, 304),
        ({"if_none_match": '"a"'}, 200),
        ({"if_none_match": f'"a, {ETAG[1:]}'}, 200),
        ({"if_none_match": ETAG.strip('"')}, 200),
        ({"if_none_match": ""}, 200),
        ({"if_none_match": '"*"'}, 200),
        # If-Modified-Since, in all three formats; ignored beside If-None-Match, malformed or doubled
        ({"if_modified_since": DATE}, 304),
        ({"if_modified_since": LATER}, 304),
        ({"if_modified_since": EARLIER}, 200),
        ({"if_modified_since": "Tuesday, 14-Nov-23 22:13:20 GMT"}, 304),
        ({"if_modified_since": "Tue Nov 14 22:13:20 2023"}, 304),
        ({"if_modified_since": "Tue Nov  7 22:13:20 2023"}, 200),
        ({"if_modified_since": "Mon, 01 Jan 2300 00:00:00 GMT"}, 304),
        ({"if_modified_since": DATE, "if_none_match": '"a"'}, 200),
        ({"if_modified_since": EARLIER, "if_none_match": ETAG}, 304),
        ({"if_modified_since": DATE, "if_none_match": ""}, 200),
        ({"if_modified_since": [DATE, DATE]}, 200),
        ({"if_modified_since": "1700000000"}, 200),
        ({"if_modified_since": ""}, 200),
        ({"if_modified_since": "Tue, 31 Feb 2300 22:13:20 GMT"}, 200),
        ({"if_modified_since": "Tue, 14 Nov 2023 22:13:60 GMT"}, 200),
        ({"if_modified_since": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}, 200),
        ({"if_modified_since": "Tue, 14 Nov 2023 22:13:20 +99999999"}, 200),
        # If-Match: strong comparison
        ({"if_match": ETAG}, 200),
        ({"if_match": f'"a", {ETAG}'}, 200),
        ({"if_match": "*"}, 200),
        ({"if_match": '"a"'}, 412),
        ({"if_match": f"W/{ETAG}"}, 412),
        ({"if_match": ETAG.strip('"')}, 412),
        ({"if_match": ""}, 412),
        # If-Unmodified-Since; ignored beside If-Match
        ({"if_unmodified_since": DATE}, 200),
        ({"if_unmodified_since": LATER}, 200),
        ({"if_unmodified_since": EARLIER}, 412),
        ({"if_unmodified_since": "yesterday"}, 200),
        ({"if_unmodified_since": EARLIER, "if_match": ETAG}, 200),
        ({"if_unmodified_since": LATER, "if_match": '"a"'}, 412),
        # In order: what is to be so comes before what is not to be so
        ({"if_match": '"a"', "if_none_match": ETAG}, 412),
        ({"if_match": ETAG, "if_none_match": ETAG}, 304),
        ({"if_unmodified_since": EARLIER, "if_modified_since": DATE}, 412),
        ({"if_unmodified_since": DATE, "if_modified_since": DATE}, 304),
    ],
)
async def test_preconditions(headers: dict[str, Any], status: int, method: str, path: Path) -> None:
    log = await answer(path, get(method, **headers))
    assert log.status == status
    assert log.body == (DATA if status == 200 and method == "GET" else b"")


async def test_preconditions_come_before_the_range(path: Path) -> None:
    assert (await answer(path, get(range="bytes=0-1", if_none_match=ETAG))).status == 304
    assert (await answer(path, get(range="bytes=0-1", if_match='"a"'))).status == 412
    assert (await answer(path, get(range="bytes=9999-", if_none_match=ETAG))).status == 304
    assert (await answer(path, get(range="bytes=0-1", if_match=ETAG, if_none_match='"a"'))).status == 206


@enforces("HTTP-RESP-11", "HTTP-RESP-04")
async def test_a_304_keeps_what_caches_want_and_says_nothing_of_the_content(path: Path) -> None:
    headers = [
        ("cache-control", "no-cache"),
        ("vary", "accept"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
    ]
    log = await answer(path, get(if_none_match="*"), headers=headers, filename="a.txt")
    assert log.headers[:4] == headers
    assert log.header("etag") == ETAG
    names = {name for name, _ in log.headers}
    assert not names & {"content-length", "content-type", "content-disposition"}


@pytest.mark.parametrize("headers", [{"if_match": '"a"'}, {"range": "bytes=9999-"}])
async def test_a_refusal_has_no_body_and_says_nothing_of_the_content(
    headers: dict[str, str], path: Path
) -> None:
    log = await answer(path, get(**headers), filename="a.txt")
    assert log.header("content-length") == "0"
    assert log.header("content-type") is None
    assert log.header("content-disposition") is None


async def test_an_etag_of_the_callers_that_is_weak_never_matches_strongly(path: Path) -> None:
    headers = {"etag": 'W/"v"'}
    assert (await answer(path, get(if_match='W/"v"'), headers=headers)).status == 412
    assert (await answer(path, get(if_none_match='"v"'), headers=headers)).status == 304
    assert (await answer(path, get(if_range='W/"v"', range="bytes=0-1"), headers=headers)).status == 200


# --- ranges (RFC 9110, section 14) ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=1000-", 1000, 1023),
        ("bytes=0-", 0, 1023),
        ("bytes=0-1023", 0, 1023),
        ("bytes=1023-99999999999999999999999999", 1023, 1023),
        ("bytes=-1", 1023, 1023),
        ("bytes=-1024", 0, 1023),
        ("bytes=-99999999999999999999999999", 0, 1023),
        ("BYTES=0-0", 0, 0),
        ("bytes= 1-2 ,", 1, 2),
        ("bytes=,,\t1-2", 1, 2),
        ("bytes=0000001-02", 1, 2),
        ("bytes=5-5,9999-", 5, 5),
        ("bytes=5-9,0-5", 0, 9),
        ("bytes=5-9,5-9", 5, 9),
        ("bytes=-5,0-1020", 0, 1023),
    ],
)
async def test_one_range(value: str, first: int, last: int, path: Path) -> None:
    log = await answer(path, get(range=value))
    assert log.status == 206
    assert log.header("content-range") == f"bytes {first}-{last}/1024"
    assert log.header("content-type") == "application/octet-stream"
    assert log.header("etag") == ETAG
    assert log.body == DATA[first : last + 1]


async def test_several_ranges_are_parts_in_the_order_asked_for(path: Path) -> None:
    log = await answer(path, get(range="bytes=1000-1003, 0-1,9999-, 2-3,-1"), media_type="a/b")
    assert log.status == 206
    assert log.header("content-range") is None
    assert list(parts(log)) == [
        ("a/b", "bytes 1000-1003/1024", DATA[1000:1004]),
        ("a/b", "bytes 0-1/1024", DATA[0:2]),
        ("a/b", "bytes 2-3/1024", DATA[2:4]),
        ("a/b", "bytes 1023-1023/1024", DATA[1023:]),
    ]


async def test_ranges_that_overlap_are_sent_once_where_the_first_of_them_stands(path: Path) -> None:
    log = await answer(path, get(range="bytes=100-199,0-9,50-120,190-299,120-130"))
    assert [(places, data) for _, places, data in parts(log)] == [
        ("bytes 50-299/1024", DATA[50:300]),
        ("bytes 0-9/1024", DATA[:10]),
    ]


async def test_parts_have_a_type_also_where_the_response_has_none(path: Path) -> None:
    response = FileResponse(path)
    del response.headers["content-type"]
    log = await play(response, get(range="bytes=0-1,4-5"))
    assert [media_type for media_type, _, _ in parts(log)] == ["application/octet-stream"] * 2


@pytest.mark.parametrize("value", ["bytes=1024-", "bytes=1024-2000", "bytes=-0", "bytes=5000-,-0,2000-3000"])
async def test_ranges_beyond_the_file_are_refused_with_its_size(value: str, path: Path) -> None:
    log = await answer(path, get(range=value))
    assert log.status == 416
    assert log.header("content-range") == "bytes */1024"
    assert log.body == b""


@pytest.mark.parametrize(
    "value",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=a-b",
        "bytes=1-0",
        "bytes=5-4,0-1",
        "bytes=0-1,x",
        "bytes=0-1;2-3",
        "bytes=0 - 1",
        "bytes=--5",
        "bytes=-5-10",
        "bytes=+1-2",
        "bytes=1_0-20",
        "bytes=0x1-0x2",
        "bytes=\xb2-\xb3",
        "bytes=0-1=",
        "bytes =0-1",
        "bytes: 0-1",
        "items=0-1",
        "lines=0-1",
        "bytes=" + "9" * 5000 + "-",
        ["bytes=0-1", "bytes=4-5"],
    ],
)
async def test_what_is_no_range_of_bytes_counts_for_nothing(value: str | list[str], path: Path) -> None:
    log = await answer(path, get(range=value))
    assert log.status == 200
    assert log.body == DATA


async def test_a_flood_of_ranges_gets_the_file_once(path: Path) -> None:
    few = await answer(path, get(range="bytes=" + ",".join(f"{2 * n}-{2 * n}" for n in range(100))))
    assert len(list(parts(few))) == 100
    many = await answer(path, get(range="bytes=" + ",".join(f"{2 * n}-{2 * n}" for n in range(101))))
    assert (many.status, many.body) == (200, DATA)
    again = await answer(path, get(range="bytes=" + ",".join(["0-"] * 100)))
    assert (again.status, again.body) == (206, DATA)


@pytest.mark.parametrize(
    ("value", "status"), [("bytes=0-", 416), ("bytes=-0", 416), ("bytes=0-,-1", 200), ("bytes=-5", 200)]
)
async def test_of_an_empty_file_there_is_no_range_but_all_of_it(
    value: str, status: int, tmp_path: Path
) -> None:
    log = await answer(written(tmp_path / "x", b""), get(range=value))
    assert log.status == status
    assert log.header("content-range") == ("bytes */0" if status == 416 else None)


SPECS = st.one_of(
    st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda pair: f"{pair[0]}-{sum(pair)}"),
    st.integers(0, 30).map("{}-".format),
    st.integers(0, 30).map("-{}".format),
)


@given(size=st.integers(1, 25), specs=st.lists(SPECS, min_size=1, max_size=8))
@example(size=1, specs=["-1", "0-0"])
async def test_of_any_ranges_just_the_bytes_that_are_there_are_sent_once(size: int, specs: list[str]) -> None:
    data = bytes(range(size))
    wanted = {number for spec in specs for number in places(spec, size)}
    with TemporaryDirectory() as directory:
        log = await answer(written(Path(directory, "x"), data), get(range=f"bytes={','.join(specs)}"))
    if log.header("content-range") is None:
        got = [(ranged, data) for _, ranged, data in parts(log)]
    else:
        got = [(log.header("content-range"), log.body)] if log.status == 206 else []
    assert log.status == (206 if wanted else 416)
    assert sorted(b"".join(part for _, part in got)) == sorted(wanted)
    for ranged, part in got:
        assert ranged == f"bytes {part[0]}-{part[-1]}/{size}"


def places(spec: str, size: int) -> range:
    """What a range names, the slow and simple way."""
    first, _, last = spec.partition("-")
    if not first:
        return range(size)[-int(last) :] if int(last) else range(0)
    return range(size)[int(first) : int(last) + 1 if last else size]


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (ETAG, 206),
        (f"W/{ETAG}", 200),
        ('"a"', 200),
        (ETAG.strip('"'), 200),
        ("*", 200),
        ("", 200),
        (DATE, 206),
        (EARLIER, 200),
        (LATER, 200),
        ("Tuesday, 14-Nov-23 22:13:20 GMT", 206),
        ("yesterday", 200),
    ],
)
async def test_if_range_sends_the_range_of_the_very_same_file_only(
    value: str, status: int, path: Path
) -> None:
    log = await answer(path, get(range="bytes=0-9", if_range=value))
    assert (log.status, log.body) == (status, DATA[:10] if status == 206 else DATA)
    assert (await answer(path, get(if_range=value))).status == 200
    beyond = await answer(path, get(range="bytes=9999-", if_range=value))
    assert beyond.status == (416 if status == 206 else 200)


async def test_a_download_that_was_cut_off_is_resumed_or_begun_anew(path: Path) -> None:
    response = FileResponse(path)
    transport = httpx.ASGITransport(response)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        whole = await client.get("/")
        assert whole.content == DATA
        rest = await client.get("/", headers={"range": "bytes=500-", "if-range": whole.headers["etag"]})
        assert rest.status_code == 206
        assert whole.content[:500] + rest.content == DATA
        again = await client.get("/", headers={"if-none-match": whole.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        head = await client.head("/")
        assert head.headers["content-length"] == "1024"
        written(path, b"new")
        changed = await client.get("/", headers={"range": "bytes=500-", "if-range": whole.headers["etag"]})
        assert (changed.status_code, changed.content) == (200, b"new")


# --- how it is read -------------------------------------------------------------------------------------------


@enforces("HTTP-RESP-08")
@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
async def test_a_file_comes_in_chunks_of_64_kib_and_the_last_ends_it(size: int, tmp_path: Path) -> None:
    data = os.urandom(size)
    log = await answer(written(tmp_path / "x", data))
    assert log.body == data
    chunks = [message["body"] for message in log.sent[1:]]
    assert all(len(chunk) == CHUNK for chunk in chunks[:-1])
    assert [message["more_body"] for message in log.sent[1:-1]] == [True] * (len(chunks) - 1)
    assert len(chunks) == max(1, -(-size // CHUNK))


@enforces("HTTP-RESP-16")
@pytest.mark.parametrize("left", [CHUNK, CHUNK + 10, 0])
async def test_a_file_that_shrinks_does_not_end_as_if_it_were_complete(left: int, tmp_path: Path) -> None:
    path = written(tmp_path / "x", b"x" * (3 * CHUNK))
    response = FileResponse(path, background=never)
    log = Log()

    async def send(message: dict[str, Any]) -> None:
        log.sent.append(message)
        if message["type"] == "http.response.body":
            os.truncate(path, left)

    with pytest.raises(RuntimeError, match=r"has shrunk while it was sent.*os\.replace"):
        await response(get(), silent, send)
    assert not log.complete
    assert not is_open(path)


async def test_of_a_file_that_grows_just_what_was_promised_is_sent(tmp_path: Path) -> None:
    path = written(tmp_path / "x", b"x" * (2 * CHUNK))
    log = Log()

    async def send(message: dict[str, Any]) -> None:
        log.sent.append(message)
        written(path, b"x" * (9 * CHUNK))

    await FileResponse(path)(get(), silent, send)
    assert log.complete
    assert len(log.body) == 2 * CHUNK


@pytest.mark.parametrize("place", [0, 1, 2])
@enforces("APP-ERR-01", "HTTP-DISC-03", "HTTP-DISC-04")
async def test_when_the_client_goes_away_the_file_is_closed_and_nothing_else_happens(
    place: int, tmp_path: Path
) -> None:
    path = written(tmp_path / "x", b"x" * (9 * CHUNK))
    log = await play(FileResponse(path, background=never), get(), fail_send_at=place)
    assert isinstance(log.raised, ConnectionResetError)
    assert len(log.sent) == place + 1
    assert not is_open(path)


@enforces("HTTP-DISC-01", "HTTP-DISC-04")
async def test_a_server_whose_send_does_not_raise_is_asked_whether_the_client_is_there(
    tmp_path: Path,
) -> None:
    path = written(tmp_path / "x", b"")
    os.truncate(path, 2**40)
    scope = get() | {"asgi": {"version": "3.0", "spec_version": "2.3"}}
    events = [{"type": "http.request", "more_body": True}, {"type": "http.request"}]
    log = await play(FileResponse(path, background=never), scope, events, end="disconnect")
    assert log.raised is None
    assert not log.complete
    assert not is_open(path)


@enforces("APP-SCOPE-04")
@pytest.mark.parametrize("asgi", [..., {}, {"version": "3.0"}, {"version": "3.0", "spec_version": "2.3"}])
async def test_under_such_a_server_a_file_is_sent_as_well(asgi: Any, tmp_path: Path) -> None:
    path = written(tmp_path / "x", b"x" * (3 * CHUNK))
    scope = {key: value for key, value in (get() | {"asgi": asgi}).items() if value is not ...}
    log = await answer(path, scope)
    assert len(log.body) == 3 * CHUNK


@enforces("APP-EVT-01")
async def test_an_error_of_receive_is_not_taken_for_a_disconnect(tmp_path: Path) -> None:
    path = written(tmp_path / "x", b"")
    os.truncate(path, 2**40)
    scope = get() | {"asgi": {"version": "3.0", "spec_version": "2.3"}}
    log = await play(FileResponse(path), scope, [], end="raise")
    assert type(log.raised).__name__ == "Exhausted"
    assert not is_open(path)


@pytest.mark.parametrize("turns", range(12))
async def test_a_response_that_is_cancelled_closes_its_file(turns: int, tmp_path: Path) -> None:
    path = written(tmp_path / "x", b"x" * (3 * CHUNK))

    async def send(message: dict[str, Any]) -> None:
        if not message.get("more_body", True):
            await asyncio.Event().wait()

    task = asyncio.ensure_future(FileResponse(path, background=never)(get(), silent, send))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not is_open(path)


async def silent() -> Any:
    """A `receive` of a client that says nothing more."""
    await asyncio.Event().wait()


async def never() -> None:
    raise AssertionError("the background was called")


# --- files that cannot be sent --------------------------------------------------------------------------------


async def refused(path: Path, scope: dict[str, Any] | None = None) -> OSError:
    log = await play(FileResponse(path), get() if scope is None else scope)
    assert log.sent == []
    assert isinstance(log.raised, OSError)
    assert "takes the path of a regular file that can be read. Raise HTTPException(404)" in str(log.raised)
    assert str(path) in str(log.raised)
    return log.raised


@enforces("HTTP-RESP-14")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_file_that_is_missing_is_an_error_before_anything_is_sent(
    method: str, tmp_path: Path
) -> None:
    assert isinstance(await refused(tmp_path / "missing", get(method)), FileNotFoundError)


async def test_a_directory_is_no_file(tmp_path: Path) -> None:
    assert isinstance(await refused(tmp_path), IsADirectoryError)
    assert not is_open(tmp_path)


async def test_what_is_neither_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert (await refused(tmp_path / "pipe")).errno == errno.EINVAL
    assert not is_open(tmp_path / "pipe")
    assert (await refused(Path("/dev/null"))).errno == errno.EINVAL
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        assert (await refused(tmp_path / "socket")).errno == errno.ENXIO


# --- ASGI -----------------------------------------------------------------------------------------------------


PATHSEND = {"http.response.pathsend": {}}
ZEROCOPY = {"http.response.zerocopysend": {}}


@enforces("EXT-PATH-01", "EXT-PATH-02")
@pytest.mark.parametrize("extensions", [PATHSEND, PATHSEND | ZEROCOPY])
async def test_a_whole_file_is_left_to_a_server_that_sends_files(
    extensions: dict[str, Any], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    response = FileResponse(path.name)
    monkeypatch.chdir("/")
    log = await play(response, get() | {"extensions": extensions})
    assert log.sent[1:] == [{"type": "http.response.pathsend", "path": str(path)}]
    assert log.header("content-length") == "1024"
    assert log.header("content-type") == "application/octet-stream"


@enforces("EXT-PATH-01")
@pytest.mark.parametrize(
    ("scope", "status"),
    [
        (get("HEAD"), 200),
        (get(if_none_match="*"), 304),
        (get(range="bytes=0-"), 206),
        (get(range="bytes=0-1,4-5"), 206),
        (get(range="bytes=9999-"), 416),
    ],
)
async def test_no_other_response_is_left_to_it(scope: dict[str, Any], status: int, path: Path) -> None:
    log = await answer(path, scope | {"extensions": PATHSEND})
    assert log.status == status
    assert set(log.types[1:]) == {"http.response.body"}


@enforces("EXT-ZC-01", "EXT-ZC-02")
@pytest.mark.parametrize(
    ("scope", "copied"),
    [
        (get(), [(0, 1024, False)]),
        (get(range="bytes=10-19"), [(10, 10, False)]),
        (get(range="bytes=1000-1003,0-1"), [(1000, 4, True), (0, 2, True)]),
    ],
)
async def test_a_server_that_copies_files_is_given_the_open_file_and_the_places(
    scope: dict[str, Any], copied: list[Any], path: Path
) -> None:
    log, body = Log(), b""

    async def send(message: dict[str, Any]) -> None:
        nonlocal body
        log.sent.append(message)
        if message["type"] == "http.response.zerocopysend":
            assert is_open(path)
            body += os.pread(message["file"].fileno(), message["count"], message["offset"])
        else:
            body += message.get("body", b"")

    await FileResponse(path)(scope | {"extensions": ZEROCOPY}, silent, send)
    sent = [message for message in log.sent if message["type"] == "http.response.zerocopysend"]
    assert [(message["offset"], message["count"], message["more_body"]) for message in sent] == copied
    assert log.complete
    assert len(body) == int(log.header("content-length") or -1)
    assert not is_open(path)
    assert sent[0]["file"].closed


@enforces("APP-SCOPE-06")
@pytest.mark.parametrize("extensions", [..., None, {}, {"http.response.push": {}}])
async def test_without_an_offer_nothing_is_left_to_the_server(extensions: Any, path: Path) -> None:
    scope = {key: value for key, value in (get() | {"extensions": extensions}).items() if value is not ...}
    assert (await answer(path, scope)).types == ["http.response.start", "http.response.body"]


async def test_an_empty_file_needs_no_help(tmp_path: Path) -> None:
    log = await answer(written(tmp_path / "x", b""), get() | {"extensions": PATHSEND | ZEROCOPY})
    assert log.sent[1:] == [{"type": "http.response.body", "body": b""}]


@enforces("APP-SCOPE-02", "APP-SCOPE-03")
@pytest.mark.parametrize("scope", [websocket_scope(), lifespan_scope(), {"type": "mqtt"}])
async def test_a_file_is_for_http_alone(scope: dict[str, Any], path: Path) -> None:
    log = await play(FileResponse(path), scope)
    assert isinstance(log.raised, RuntimeError)
    assert log.sent == []


@enforces("HTTP-SCOPE-09", "HTTP-SCOPE-11")
@pytest.mark.parametrize("headers", [..., (), iter([[b"RANGE", b"bytes=0-1"]])])
async def test_request_headers_may_be_of_any_form(headers: Any, path: Path) -> None:
    log = await answer(path, http_scope(headers=headers))
    assert log.status == (200 if headers in (..., ()) else 206)


async def test_the_background_follows_the_last_byte_and_the_file_is_closed_by_then(path: Path) -> None:
    events = []

    async def send(message: dict[str, Any]) -> None:
        events.append(message["type"])

    async def remove() -> None:
        events.append(is_open(path))
        removed(path)

    await FileResponse(path, background=remove)(get(), silent, send)
    assert events == ["http.response.start", "http.response.body", False]
    assert isinstance(await refused(path), FileNotFoundError)
