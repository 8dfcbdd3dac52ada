"""The reference's forms: uploaded files, closing, and the urlencoded parser with its limits."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastasgi_reference.datastructures import Headers, MultiDict
from fastasgi_reference.exceptions import HTTPException
from fastasgi_reference.formdata import FormData, FormLimits, UploadFile, parse_urlencoded

UNHURRIED = settings(deadline=None)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
MEGABYTE = 1024 * 1024


async def chunked(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def parse(*chunks: bytes, limits: FormLimits | None = None) -> list[tuple[str, Any]]:
    form = await parse_urlencoded(chunked(*chunks), limits or FormLimits())
    return form.multi_items()


def split(body: bytes, places: Iterable[int]) -> list[bytes]:
    """`body` cut at `places`, which need not be in order, or in the body at all."""
    cuts = [0, *sorted(min(place, len(body)) for place in places), len(body)]
    return [body[start:end] for start, end in pairwise(cuts)]


class DiskFile:
    """A file that is not in memory. Notes what was done, and in which threads; each step waits for `go`."""

    def __init__(self, content: bytes = b"") -> None:
        self.content = BytesIO(content)
        self.log: list[str] = []
        self.threads: set[int] = set()
        self.begun = threading.Event()
        self.go = threading.Event()
        self.go.set()

    def read(self, size: int = -1) -> bytes:
        return cast(bytes, self._step("read", lambda: self.content.read(size)))

    def write(self, data: bytes) -> int:
        return cast(int, self._step("write", lambda: self.content.write(data)))

    def seek(self, offset: int) -> int:
        return cast(int, self._step("seek", lambda: self.content.seek(offset)))

    def tell(self) -> int:
        return self.content.tell()

    def close(self) -> None:
        self._step("close", lambda: None)

    def _step(self, name: str, act: Callable[[], Any]) -> Any:
        self.threads.add(threading.get_ident())
        self.begun.set()
        self.log.append(f"{name} begins")
        self.go.wait(10)
        self.log.append(f"{name} ends")
        return act()


class MemoryFile(BytesIO):
    """A file in memory that notes in which threads it was used."""

    def __init__(self, content: bytes = b"") -> None:
        super().__init__(content)
        self.threads: set[int] = set()

    def read(self, size: int | None = -1) -> bytes:
        self.threads.add(threading.get_ident())
        return super().read(size)

    def write(self, data: Any) -> int:
        self.threads.add(threading.get_ident())
        return super().write(data)


class WatchedSpool(tempfile.SpooledTemporaryFile[bytes]):
    """A spooled file that notes in which threads it was written and has rolled to disk."""

    def __init__(self, max_size: int) -> None:
        super().__init__(max_size=max_size)
        self.written_in: list[int] = []
        self.rolled_in: list[int] = []

    def write(self, data: Any) -> int:
        self.written_in.append(threading.get_ident())
        return super().write(data)

    def rollover(self) -> None:
        self.rolled_in.append(threading.get_ident())
        super().rollover()


def disk_upload(content: bytes = b"", **options: Any) -> tuple[UploadFile, DiskFile]:
    file = DiskFile(content)
    return UploadFile(cast(BinaryIO, file), **options), file


# UploadFile


async def test_an_upload_has_what_it_was_made_with() -> None:
    file = BytesIO(b"abc")
    headers = Headers({"Content-Type": "text/plain", "X-A": "1"})
    upload = UploadFile(file, filename="a.txt", headers=headers, size=3)
    assert upload.file is file
    assert (upload.filename, upload.size, upload.content_type) == ("a.txt", 3, "text/plain")
    assert upload.headers == headers
    assert repr(upload) == f"UploadFile(filename='a.txt', size=3, headers={headers!r})"


async def test_an_upload_may_know_nothing_but_its_file() -> None:
    upload = UploadFile(BytesIO())
    assert (upload.filename, upload.size, upload.content_type) == ("", None, None)
    assert upload.headers == Headers()
    await upload.write(b"abc")
    assert upload.size is None


@UNHURRIED
@given(data=st.binary(), size=st.integers(0, 10), offset=st.integers(0, 10))
async def test_reading_and_seeking(data: bytes, size: int, offset: int) -> None:
    for upload in (UploadFile(BytesIO(data)), disk_upload(data)[0]):
        assert await upload.read(size) == data[:size]
        assert await upload.read() == data[size:]
        assert await upload.read() == b""
        await upload.seek(offset)
        assert await upload.read(-1) == data[offset:]


@UNHURRIED
@given(
    pieces=st.lists(st.tuples(st.integers(0, 20), st.binary(max_size=20))), limit=st.sampled_from([0, 1, 10])
)
async def test_the_size_is_that_of_the_file_wherever_it_was_written(
    pieces: list[tuple[int, bytes]], limit: int
) -> None:
    file = BytesIO()
    spool = tempfile.SpooledTemporaryFile(max_size=limit)  # noqa: SIM115 - the upload closes it
    upload = UploadFile(cast(BinaryIO, spool), size=0)
    for place, data in pieces:
        file.seek(min(place, len(file.getvalue())))
        await upload.seek(min(place, len(file.getvalue())))
        file.write(data)
        await upload.write(data)
    await upload.seek(0)
    assert await upload.read() == file.getvalue()
    assert upload.size == len(file.getvalue())
    await upload.close()


async def test_what_is_in_memory_is_used_without_a_thread() -> None:
    file = MemoryFile()
    upload = UploadFile(file)
    await upload.write(b"abc")
    await upload.seek(0)
    assert await upload.read() == b"abc"
    assert file.threads == {threading.get_ident()}
    await upload.close()
    await upload.close()
    assert file.closed


async def test_what_is_on_disk_is_used_in_threads(tmp_path: Path) -> None:
    upload, file = disk_upload(size=0)
    await upload.write(b"abc")
    await upload.seek(1)
    assert await upload.read(1) == b"b"
    await upload.close()
    assert file.log == [
        f"{step} {time}" for step in ("write", "seek", "read", "close") for time in ("begins", "ends")
    ]
    assert threading.get_ident() not in file.threads
    assert upload.size == 3


async def test_a_file_of_ones_own_can_be_an_upload(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"abc")
    upload = UploadFile(path.open("rb"), filename="a.txt")
    assert await upload.read() == b"abc"
    await upload.close()
    assert upload.file.closed


async def test_the_write_that_rolls_a_spooled_file_to_disk_is_in_a_thread() -> None:
    spool = WatchedSpool(max_size=10)
    upload = UploadFile(cast(BinaryIO, spool), size=0)
    await upload.write(b"x" * 10)
    assert spool.rolled_in == []
    await upload.write(b"")
    assert spool.rolled_in == []
    assert spool.written_in == [threading.get_ident()] * 2
    await upload.write(b"y")
    assert len(spool.rolled_in) == 1
    assert spool.rolled_in != [threading.get_ident()]
    await upload.seek(9)
    assert await upload.read() == b"xy"
    await upload.close()
    await upload.close()
    assert spool.closed


async def test_a_spooled_file_may_have_rolled_before() -> None:
    spool = tempfile.SpooledTemporaryFile(max_size=10)  # noqa: SIM115 - the upload closes it
    spool.write(b"x" * 11)
    upload = UploadFile(cast(BinaryIO, spool))
    await upload.seek(0)
    assert await upload.read() == b"x" * 11
    await upload.close()
    assert spool.closed


async def test_a_spooled_file_in_memory_can_be_closed_twice() -> None:
    upload = UploadFile(cast(BinaryIO, WatchedSpool(max_size=10)))
    await upload.write(b"abc")
    await upload.close()
    await upload.close()
    assert upload.file.closed


async def test_a_file_is_closed_only_after_a_write_that_nobody_waits_for_any_more() -> None:
    upload, file = disk_upload()
    file.go.clear()
    writing = asyncio.create_task(upload.write(b"abc"))
    await asyncio.to_thread(file.begun.wait, 10)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    closing = asyncio.create_task(upload.close())
    for _ in range(10):
        await asyncio.sleep(0)
    assert file.log == ["write begins"]
    file.go.set()
    await closing
    assert file.log == ["write begins", "write ends", "close begins", "close ends"]


async def test_a_file_that_is_just_rolling_is_not_touched_from_elsewhere() -> None:
    class SlowSpool(WatchedSpool):
        begun, go = threading.Event(), threading.Event()

        def rollover(self) -> None:
            self.begun.set()
            self.go.wait(10)
            super().rollover()

    spool = SlowSpool(max_size=1)
    upload = UploadFile(cast(BinaryIO, spool))
    writing = asyncio.create_task(upload.write(b"abc"))
    await asyncio.to_thread(spool.begun.wait, 10)
    writing.cancel()
    closing = asyncio.create_task(upload.close())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not spool.closed
    spool.go.set()
    await closing
    assert spool.closed


async def test_a_file_is_closed_also_if_closing_is_cancelled() -> None:
    upload, file = disk_upload()
    file.go.clear()
    closing = asyncio.create_task(upload.close())
    await asyncio.to_thread(file.begun.wait, 10)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    file.go.set()
    await upload.close()  # waits for the other, which is alone with the file
    assert file.log[:2] == ["close begins", "close ends"]


async def test_a_file_is_closed_also_if_closing_is_cancelled_before_a_thread_is_free() -> None:
    with ThreadPoolExecutor(max_workers=1) as only_thread:
        asyncio.get_running_loop().set_default_executor(only_thread)
        upload, file = disk_upload()
        go = threading.Event()
        busy = asyncio.create_task(asyncio.to_thread(go.wait, 10))
        closing = asyncio.create_task(upload.close())
        for _ in range(10):
            await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert file.log == []
        go.set()
        await busy
        await asyncio.to_thread(lambda: None)  # comes after all that the thread had to do
        assert file.log == ["close begins", "close ends"]


# FormData


async def test_a_form_is_a_multidict_of_fields_and_files() -> None:
    upload = UploadFile(BytesIO(b"abc"), filename="a.txt")
    form = FormData([("a", "1"), ("file", upload), ("a", "2")])
    assert isinstance(form, MultiDict)
    assert form["a"] == "1"
    assert form.getlist("a") == ["1", "2"]
    assert form["file"] is upload
    assert form.multi_items() == [("a", "1"), ("file", upload), ("a", "2")]
    assert form == FormData([("file", upload), ("a", "1"), ("a", "2")])
    assert FormData() == FormData([])


async def test_closing_a_form_closes_all_its_files() -> None:
    memory, (upload, disk) = BytesIO(), disk_upload()
    async with FormData([("a", UploadFile(memory)), ("b", "text"), ("a", upload)]) as form:
        assert isinstance(form, FormData)
        assert not memory.closed
        assert disk.log == []
    assert memory.closed
    assert disk.log == ["close begins", "close ends"]
    await form.close()


async def test_a_form_is_closed_when_its_block_fails() -> None:
    memory = BytesIO()
    with pytest.raises(ZeroDivisionError):
        async with FormData([("a", UploadFile(memory))]):
            1 / 0  # noqa: B018 - raising is all it is for
    assert memory.closed


async def test_a_file_that_cannot_be_closed_does_not_keep_others_open() -> None:
    class Full(BytesIO):
        def close(self) -> None:
            super().close()
            raise OSError("no space left on device")

    files = [BytesIO(), Full(), BytesIO()]
    with pytest.raises(OSError, match="no space left"):
        await FormData([("a", UploadFile(file)) for file in files]).close()
    assert all(file.closed for file in files)


async def test_a_form_whose_closing_is_cancelled_closes_all_its_files() -> None:
    first, last = BytesIO(), BytesIO()
    upload, disk = disk_upload()
    disk.go.clear()
    form = FormData([("a", UploadFile(first)), ("b", upload), ("c", UploadFile(last))])
    closing = asyncio.create_task(form.close())
    await asyncio.to_thread(disk.begun.wait, 10)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert first.closed
    assert last.closed
    disk.go.set()
    await upload.close()
    assert disk.log[:2] == ["close begins", "close ends"]


def test_the_limits_are_those_of_the_course_and_cannot_be_changed() -> None:
    limits = FormLimits()
    assert (limits.max_fields, limits.max_files, limits.max_part_size) == (1000, 1000, MEGABYTE)
    with pytest.raises(FrozenInstanceError):
        limits.max_fields = 1  # type: ignore[misc]
    assert FormLimits(max_files=3) == FormLimits(1000, 3)


# parse_urlencoded


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", []),
        (b"a=1&b=2&a=3", [("a", "1"), ("b", "2"), ("a", "3")]),
        (b"a=&b&=c&=", [("a", ""), ("b", ""), ("", "c"), ("", "")]),
        (b"&&a=1&&&b=2&&", [("a", "1"), ("b", "2")]),
        (b"a=b=c==", [("a", "b=c==")]),
        (b"a=1;b=2", [("a", "1;b=2")]),
        (b"a+b=c+d%2B%20", [("a b", "c d+ ")]),
        (b"%61%26=%3D%26", [("a&", "=&")]),
        (b"a=%&b=%4&c=%zz&d=%u20AC", [("a", "%"), ("b", "%4"), ("c", "%zz"), ("d", "%u20AC")]),
        (b"caf%C3%A9=\xe2\x82\xac", [("café", "€")]),
        (b"a=%FF%C3&b=\xff", [("a", "�" * 2), ("b", "�")]),
        (b"a=%00%0D%0A", [("a", "\0\r\n")]),
        (b"a=1\r\n", [("a", "1\r\n")]),
        (b"_charset_=latin-1&a=%E9", [("_charset_", "latin-1"), ("a", "�")]),
        (b"a[]=1&a[b][c]=2", [("a[]", "1"), ("a[b][c]", "2")]),
    ],
)
async def test_urlencoded(body: bytes, expected: list[tuple[str, str]]) -> None:
    assert await parse(body) == expected


async def test_a_body_without_chunks_is_an_empty_form() -> None:
    form = await parse_urlencoded(chunked())
    assert isinstance(form, FormData)
    assert form == FormData()


@UNHURRIED
@given(pairs=st.lists(st.tuples(TEXT, TEXT), max_size=20), places=st.lists(st.integers(0, 300)))
async def test_what_is_encoded_is_read_back_however_it_is_split(
    pairs: list[tuple[str, str]], places: list[int]
) -> None:
    assert await parse(*split(urlencode(pairs).encode(), places)) == pairs


@UNHURRIED
@given(
    body=st.text("a=&+%20;\xe9", max_size=30).map(lambda text: text.encode()),
    places=st.lists(st.integers(0, 30)),
)
@example(body=b"a=1&&b=%4", places=[2, 3, 4, 5])
@example(body=b"%C3%A9=x", places=[1, 2, 3, 4, 5])
async def test_any_split_gives_the_same_form(body: bytes, places: list[int]) -> None:
    whole = await parse(body)
    assert await parse(*split(body, places)) == whole
    assert await parse(*split(body, range(len(body)))) == whole


def fields(count: int) -> bytes:
    return b"&".join(b"f%d=x" % number for number in range(count))


async def test_a_thousand_fields_are_enough() -> None:
    assert len(await parse(fields(1000))) == 1000
    assert len(await parse(b"&&" + fields(1000) + b"&" * 5000)) == 1000
    with pytest.raises(HTTPException, match="more than 1000 fields") as refused:
        await parse(fields(1001))
    assert refused.value.status_code == 413


@pytest.mark.parametrize("body", [b"a&b&c", b"a=1&b=2&c", b"a&b&=", b"a=&a=&a="])
async def test_one_field_over_the_limit_is_too_many(body: bytes) -> None:
    assert len(await parse(body, limits=FormLimits(max_fields=3))) == 3
    for chunks in ([body], split(body, range(len(body)))):
        with pytest.raises(HTTPException, match=r"413: .*more than 2 fields"):
            await parse(*chunks, limits=FormLimits(max_fields=2))


async def test_a_form_may_be_allowed_no_fields() -> None:
    assert await parse(b"&", limits=FormLimits(max_fields=0)) == []
    with pytest.raises(HTTPException, match="413"):
        await parse(b"a", limits=FormLimits(max_fields=0))


@pytest.mark.parametrize("step", [MEGABYTE * 2, 4096])
async def test_a_value_may_have_a_megabyte(step: int) -> None:
    body = b"first=1&a=" + b"x" * MEGABYTE
    chunks = split(body, range(0, len(body), step))
    assert await parse(*chunks, b"&b=2") == [("first", "1"), ("a", "x" * MEGABYTE), ("b", "2")]
    with pytest.raises(HTTPException, match=f"more than {MEGABYTE} bytes") as refused:
        await parse(*chunks, b"x", b"&b=2")
    assert refused.value.status_code == 413


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        (b"name=abcd", True),
        (b"name=abcde", False),
        (b"name=a&name=abcd", True),
        (b"name=%41%4", False),
        (b"name=====&=", True),
        (b"name======", False),
        (b"name", True),
        (b"names", False),
        (b"names=", False),
        (b"names=a", False),
    ],
)
async def test_names_and_values_are_measured_as_they_are_sent(body: bytes, fits: bool) -> None:
    for chunks in ([body], split(body, range(len(body)))):
        if fits:
            assert await parse(*chunks, limits=FormLimits(max_part_size=4)) == await parse(body)
        else:
            with pytest.raises(HTTPException, match=r"413: .*more than 4 bytes"):
                await parse(*chunks, limits=FormLimits(max_part_size=4))


@pytest.mark.parametrize(("chunk", "pulled"), [(b"a&", 4), (b"xyz", 3), (b"=z=", 4)])
async def test_a_body_over_a_limit_is_not_read_on(chunk: bytes, pulled: int) -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield chunk

    with pytest.raises(HTTPException, match="413"):
        await parse_urlencoded(endless(), FormLimits(max_fields=3, max_part_size=8))
    assert taken == pulled


async def test_an_error_of_the_body_goes_through() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"a=1&b"
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        await parse_urlencoded(broken())


async def test_empty_fields_take_no_memory_and_count_for_nothing() -> None:
    async def flood() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b"&" * 10_000

    tracemalloc.start()
    assert await parse_urlencoded(flood(), FormLimits(max_fields=0)) == FormData()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200_000
