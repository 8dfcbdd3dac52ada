"""One pure function decides about status and places, a generator of chunks sends; tags by a hash, one range at most."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import mimetypes
import os
import stat
import string
from email.utils import format_datetime, parsedate_to_datetime
from datetime import datetime, timezone
from urllib.parse import quote_from_bytes

from fastasgi.asgi_types import extension, require_type
from fastasgi.datastructures import Headers, MutableHeaders
from fastasgi.responses import Response

PLAIN = set(string.ascii_letters + string.digits + " -._()")
PIECE = 50_000


def http_date(moment):
    return format_datetime(moment, usegmt=True)


def read_date(text):
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def read_tags(values):
    """The tags of a list, each as (weak, text); None for `*`."""
    rest = ",".join(values).strip()
    if rest == "*":
        return None
    tags = []
    while rest:
        weak = rest.startswith("W/")
        start = 2 if weak else 0
        if rest[start : start + 1] == '"' and (end := rest.find('"', start + 1)) > 0:
            tags.append((weak, rest[start : end + 1]))
            rest = rest[end + 1 :]
        else:
            rest = rest.partition(",")[2] if "," in rest else ""
        rest = rest.lstrip(" \t,")
    return tags


def weakly(tag, tags):
    return tags is None or tag.removeprefix("W/") in {text for _, text in tags}


def strongly(tag, tags):
    return tags is None or (False, tag) in tags


def precondition(asked, tag, modified):
    if "if-match" in asked:
        if not strongly(tag, read_tags(asked.getlist("if-match"))):
            return 412
    elif (limit := read_date(asked.get("if-unmodified-since", ""))) and modified and modified > limit:
        return 412
    if "if-none-match" in asked:
        if weakly(tag, read_tags(asked.getlist("if-none-match"))):
            return 304
    elif (limit := read_date(asked.get("if-modified-since", ""))) and modified and modified <= limit:
        return 304
    return None


def if_range(asked, tag, modified):
    if "if-range" not in asked:
        return True
    value = asked["if-range"]
    if '"' in value:
        return value == tag and not tag.startswith("W/")
    return modified is not None and read_date(value) == modified


def number(text):
    if text.strip("0123456789") or len(text) > 30:
        raise ValueError(text)
    return int(text)


def read_range(value, size):
    """(first, stop), False if it is not there, None for what is no range."""
    unit, _, spec = value.partition("=")
    first, dash, last = spec.partition("-")
    if unit.lower() != "bytes" or not dash:
        return None
    try:
        if not first:
            length = number(last)
            places = (max(0, size - length), size)
        else:
            places = (number(first), min(number(last) + 1, size) if last else size)
            if last and number(last) < number(first):
                return None
    except ValueError:
        return None
    return places if places[0] < places[1] else False


class FileResponse(Response):
    def __init__(
        self,
        path,
        *,
        status_code=200,
        headers=None,
        media_type=None,
        filename=None,
        disposition="attachment",
        background=None,
    ):
        if disposition != "attachment" and disposition != "inline":
            raise ValueError(f"{disposition} is no disposition")
        kind = media_type
        if kind is None:
            kind = mimetypes.guess_type("x" + os.path.splitext(filename or os.fspath(path))[1])[0]
            kind = kind or "application/octet-stream"
            kind += "; charset=utf-8" if kind.startswith("text/") else ""
        super().__init__(b"", status_code, headers, kind, background)
        if filename is not None and "content-disposition" not in self.headers:
            self.headers.append("content-disposition", f"{disposition}; {self._name(filename)}")
        self._path = os.path.join(os.getcwd(), path)

    @staticmethod
    def _name(filename):
        if PLAIN.issuperset(filename):
            return f'filename="{filename}"'
        return "filename*=UTF-8''" + quote_from_bytes(filename.encode(), safe="!#$&+-.^_`|~")

    def _described(self, found):
        headers = MutableHeaders(self.headers)
        headers["content-length"] = str(found.st_size)
        modified = datetime.fromtimestamp(found.st_mtime_ns // 1_000_000_000, timezone.utc)
        headers.setdefault("Last-Modified", http_date(modified))
        state = f"{found.st_size}/{found.st_mtime_ns}/{found.st_ino}"
        headers.setdefault("ETag", '"' + hashlib.sha256(state.encode()).hexdigest()[:20] + '"')
        if self.status_code == 200:
            headers.setdefault("Accept-Ranges", "bytes")
        return headers

    def _decide(self, scope, headers, size):
        """Status and places; changes the headers."""
        method, status = scope["method"], self.status_code
        asked = Headers(raw=scope["headers"])
        tag, modified = headers["etag"], read_date(headers["last-modified"])
        if method in {"GET", "HEAD"} and status < 400:
            failed = precondition(asked, tag, modified)
            if failed == 304:
                del headers["content-length"]
            if failed == 412:
                headers["content-length"] = "0"
            if failed:
                return failed, (0, 0)
        if method == "HEAD":
            return status, (0, 0)
        if method == "GET" and status == 200 and "range" in asked and if_range(asked, tag, modified):
            places = read_range(asked["range"], size)
            if places is False:
                headers["content-range"] = f"bytes */{size}"
                headers["content-length"] = "0"
                return 416, (0, 0)
            if places is not None:
                headers["content-range"] = f"bytes {places[0]}-{places[1] - 1}/{size}"
                headers["content-length"] = str(places[1] - places[0])
                return 206, places
        return status, (0, size)

    async def __call__(self, scope, receive, send):
        require_type(scope, "http")
        descriptor = await asyncio.to_thread(os.open, self._path, os.O_RDONLY)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(f"{self._path} is no file")
            headers = self._described(found)
            status, places = self._decide(scope, headers, found.st_size)
            await send({"type": "http.response.start", "status": status, "headers": headers.raw})
            whole = status not in (206, 304, 412, 416) and scope["method"] != "HEAD"
            if whole and extension(scope, "http.response.pathsend") is not None:
                await send({"type": "http.response.pathsend", "path": os.path.abspath(self._path)})
            else:
                async with contextlib.aclosing(self._pieces(descriptor, *places)) as pieces:
                    async for piece in pieces:
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body"})
        finally:
            os.close(descriptor)
        if self.background is not None:
            await self.background()

    async def _pieces(self, descriptor, start, stop):
        while start < stop:
            piece = await asyncio.to_thread(os.pread, descriptor, min(PIECE, stop - start), start)
            if not piece:
                raise RuntimeError(f"{self._path} has lost its end")
            yield piece
            start += len(piece)
