"""Runs beside the submission: writes files into a temporary folder, and serves them by it.

Rule 1: each call has a folder and a file of its own; that the same file is asked for twice, it takes one call.
Rule 2: a request's headers may hold `<etag>`: the tag by which the file was described in an earlier GET. In
        `<bare etag>` it lacks its double quotes.
Rule 3: what was done is told by the last message, of the type `probe.log`, where a test asks for it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastasgi.file_responses import FileResponse

App = Callable[..., Awaitable[Any]]
Headers = list[tuple[str, str]]
MODIFIED = 1_700_000_000_123_456_789
"""When a file was last changed, in nanoseconds: Tue, 14 Nov 2023 22:13:20 GMT, and a bit."""


def content(size: int) -> bytes:
    """Bytes of which those at 251 places in a row all differ."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


@contextmanager
def a_file(name: str, size: int) -> Iterator[Path]:
    """A file that was last changed at MODIFIED."""
    with a_folder() as folder:
        path = Path(folder, name)
        write(path, size)
        yield path


@contextmanager
def a_folder() -> Iterator[str]:
    """A folder whose name, another one each time, does not show in an error."""
    with TemporaryDirectory() as folder:
        try:
            yield folder
        except Exception as error:
            error.args = tuple(_nameless(each, folder) for each in error.args)
            if isinstance(error, OSError):
                error.strerror = _nameless(error.strerror, folder)
                error.filename = _nameless(error.filename, folder)
            raise


def _nameless(value: Any, folder: str) -> Any:
    return value.replace(folder, "<folder>") if isinstance(value, str) else value


def write(path: Path, size: int, modified: int = MODIFIED) -> None:
    with path.open("wb") as file:
        file.write(content(size))
        file.flush()
        os.utime(file.fileno(), ns=(modified, modified))  # of a path, no sandbox allows it


# --- one request --------------------------------------------------------------------------------------------


def served(
    size: int = 1024,
    *,
    name: str = "data.bin",
    path_as: str = "Path",
    method: str = "GET",
    headers: Headers | None = None,
    extensions: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
) -> App:
    """A response with a file of that size, and a request with these headers. `options` are the response's."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with a_file(name, size) as path:
            response = FileResponse(PATHS[path_as](path), **(options or {}))
            pairs = headers or []
            if any("etag>" in value for _, value in pairs):
                tag = (await described(response))["etag"]
                pairs = [(each, _with_tag(value, tag)) for each, value in pairs]
            asked = request(scope, method, pairs) | {"extensions": extensions}

            async def naming(message: Any) -> None:
                await send(_named(message, path))

            await response(asked, receive, naming)

    return app


PATHS: dict[str, Callable[[Path], Any]] = {
    "Path": lambda path: path,
    "str": str,
    "relative": os.path.relpath,
}


def served_in_a_zone(**config: Any) -> App:
    """What `served` does, where the clocks go forward on 26 March 2023, from two to three."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with a_zone("CET-1CEST,M3.5.0,M10.5.0/3"):
            await served(**config)(scope, receive, send)

    return app


@contextmanager
def a_zone(name: str) -> Iterator[None]:
    """Lets this process have a time zone."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    try:
        yield
    finally:
        del os.environ["TZ"]
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()


def request(scope: Any, method: str, headers: Headers) -> dict[str, Any]:
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return {**scope, "method": method, "headers": pairs}


def _with_tag(value: str, tag: str) -> str:
    return value.replace("<etag>", tag).replace("<bare etag>", tag.strip('"'))


def _named(message: Any, path: Path) -> Any:
    """A message in which the path of the file, if it is absolute, is `<the file>`."""
    given = message.get("path")
    if isinstance(given, str) and os.path.isabs(given) and os.path.samefile(given, path):  # noqa: PTH117, PTH121
        return {**message, "path": "<the file>"}
    return message


async def described(response: App) -> dict[str, str]:
    """The headers that a GET without conditions is answered with, by their names."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        await asyncio.Event().wait()

    scope = {"type": "http", "asgi": {"spec_version": "2.5"}, "method": "GET", "headers": []}
    await response(scope, receive, send)
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in sent[0]["headers"]}


# --- other questions ----------------------------------------------------------------------------------------


def made(**options: Any) -> None:
    """Only make the response."""
    FileResponse("data.bin", **options)


def disposition(**options: Any) -> str | None:
    """The `content-disposition` that a response has as soon as it is made."""
    return FileResponse("data.bin", **options).headers.get("content-disposition")


async def tags() -> dict[str, str]:
    """The entity tags of a file: twice untouched, touched by a nanosecond, and of other sizes.

    Size and time of the last three are written with the same digits as those of the first, one after the other.
    """
    with a_file("data.bin", 10) as path:
        response = FileResponse(path)
        found = {"first": (await described(response))["etag"], "again": (await described(response))["etag"]}
        write(path, 10, MODIFIED + 1)
        found["a nanosecond later"] = (await described(response))["etag"]
        write(path, 11)
        found["of another size"] = (await described(response))["etag"]
        for size, modified in ((0x5A, MODIFIED // 16), (910, MODIFIED // 10), (101, MODIFIED % 10**18)):
            write(path, size, modified)
            found[f"of {size} bytes"] = (await described(response))["etag"]
        return found


def missing(what: str, method: str) -> App:
    """A response with what is no file, or with a file."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with a_file("data.bin", 10) as path:
            given = {"a file": path, "nothing": path.with_name("other"), "a directory": path.parent}[what]
            await FileResponse(given)(request(scope, method, []), receive, send)

    return app


def late() -> App:
    """A response that is made before its file is there."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with a_folder() as folder:
            path = Path(folder, "data.bin")
            response = FileResponse(path)
            write(path, 10)
            await response(request(scope, "GET", []), receive, send)

    return app


# --- what was done ------------------------------------------------------------------------------------------


def watched(
    size: int,
    *,
    method: str = "GET",
    headers: Headers | None = None,
    extensions: dict[str, Any] | None = None,
    becomes: int | None = None,
    hangs: bool = False,
) -> App:
    """A file with a log of what is sent, and of the file at the end.

    After the first chunk the file `becomes` another size, or `send` hangs.
    """

    async def app(scope: Any, receive: Any, send: Any) -> None:
        words: list[str] = []

        async def background() -> None:
            words.append("background run")

        with a_file("data.bin", size) as path:

            async def noting(message: Any) -> None:
                part = _part(message)
                try:
                    await send(message)
                except OSError:
                    words.append(f"{part} failed")
                    raise
                words.append(f"{part} sent")
                if part == "chunk" and becomes is not None:
                    resize(path, becomes)
                if part == "chunk" and hangs:
                    await asyncio.Event().wait()

            response = FileResponse(path, background=background)
            before = set(open_files(path))
            try:
                asked = request(scope, method, headers or []) | {"extensions": extensions}
                await response(asked, receive, noting)
            finally:
                words.append("file left open" if set(open_files(path)) - before else "file closed")
                await send({"type": "probe.log", "log": words})

    return app


def resize(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)


def _part(message: Any) -> str:
    if message["type"] != "http.response.body":
        return str(message["type"]).rpartition(".")[2]
    return "chunk" if message.get("more_body", False) else "end"


def open_files(path: Path) -> Iterator[int]:
    """The descriptors under which this process has the file open."""
    wanted = path.stat()
    for number in range(256):
        try:
            found = os.fstat(number)
        except OSError:
            continue
        if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
            yield number


_opened: list[tuple[str, bool]] = []
"""Each path that was opened, and whether by the main thread; the interpreter itself tells (PEP 578)."""


def _note_opened(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        _opened.append((os.fsdecode(arguments[0]), threading.current_thread() is threading.main_thread()))


sys.addaudithook(_note_opened)


async def opened_in(size: int) -> list[str]:
    """In which kinds of threads the file was opened while it was served."""
    with a_file("data.bin", size) as path:
        response = FileResponse(path)
        _opened.clear()
        await described(response)
        found = {main for name, main in _opened if Path(name).name == "data.bin"}
    return sorted("the event loop's" if main else "another" for main in found)
