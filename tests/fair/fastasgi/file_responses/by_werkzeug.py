# imports: werkzeug, markupsafe
"""Dates, tags and ranges read by Werkzeug; the body goes out as a StreamingResponse over a plain generator."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike, fspath, fstat
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from werkzeug.datastructures import ETags
from werkzeug.http import http_date, parse_date, parse_etags, unquote_etag

from fastasgi.asgi_types import extension, require_type
from fastasgi.concurrency import run_in_thread
from fastasgi.datastructures import Headers, MutableHeaders
from fastasgi.responses import Response, StreamingResponse


@dataclass
class Plan:
    status: int
    headers: MutableHeaders
    first: int = 0
    count: int = 0


class FileResponse(Response):
    def __init__(
        self,
        path: str | PathLike[str],
        *,
        status_code: int = 200,
        headers: Any = None,
        media_type: str | None = None,
        filename: str | None = None,
        disposition: str = "attachment",
        background: Any = None,
    ) -> None:
        Response.__init__(self, None, status_code, headers, media_type, background)
        del self.headers["content-length"]
        if disposition not in {"inline", "attachment"}:
            raise ValueError(disposition)
        if filename is not None:
            ascii_name = re.sub(r"[^ !#-\[\]-~]", "?", filename)
            text = f'{disposition}; filename="{ascii_name}"'
            if not re.fullmatch(r"[A-Za-z0-9 ._()-]*", filename):
                text += "; filename*=UTF-8''" + quote(filename, safe="")
            self.headers.setdefault("content-disposition", text)
        self._file = Path(fspath(path)).absolute()
        self._named_like = filename or self._file.name

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        require_type(scope, "http")
        file = await run_in_thread(open, self._file, "rb", 0)
        try:
            plan = await run_in_thread(self._plan, scope, file)
            await self._carry_out(plan, file, scope, receive, send)
        finally:
            await run_in_thread(file.close)
        if self.background:
            await self.background()

    async def _carry_out(self, plan: Plan, file: BinaryIO, scope: Any, receive: Any, send: Any) -> None:
        full = plan.count and plan.status not in (206, 304)
        if full and extension(scope, "http.response.pathsend") is not None:
            start = {"type": "http.response.start", "status": plan.status, "headers": plan.headers.raw}
            await send(start)
            await send({"type": "http.response.pathsend", "path": str(self._file)})
            return
        if plan.count == 0:
            start = {"type": "http.response.start", "status": plan.status, "headers": plan.headers.raw}
            await send(start)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        chunks = read(file, plan.first, plan.count)
        new = scope | {"asgi": {"version": "3.0", "spec_version": "2.5"}}  # it raises, or it does not matter
        await StreamingResponse(chunks, plan.status, plan.headers)(new, receive, send)

    def _plan(self, scope: Any, file: BinaryIO) -> Plan:
        found = fstat(file.fileno())
        headers = self._describe(found.st_mtime_ns, found.st_size)
        asked = Headers(raw=scope["headers"])
        plan = Plan(self.status_code, headers, 0, found.st_size)
        getting = scope["method"] in ("GET", "HEAD") and self.status_code < 400
        failed = self._failed(asked, headers) if getting else 0
        if failed:
            return Plan(failed, without(headers, "content-length"))
        if scope["method"] == "HEAD":
            plan.count = 0
        elif getting and self._same(asked, headers):
            self._cut(plan, asked.get("range", ""))
        return plan

    def _describe(self, modified: int, size: int) -> MutableHeaders:
        headers = MutableHeaders(self.headers)
        headers["content-length"] = str(size)
        headers.setdefault("last-modified", http_date(modified // 10**9))
        headers.setdefault("etag", f'"{modified}.{size}"')
        headers.setdefault("content-type", self._guess())
        if self.status_code == 200:
            headers.setdefault("accept-ranges", "bytes")
        return headers

    def _guess(self) -> str:
        guessed, encoding = mimetypes.guess_type(self._named_like, strict=True)
        if guessed is None or encoding:
            return "application/octet-stream"
        return guessed + ("; charset=utf-8" if guessed[:5] == "text/" else "")

    @staticmethod
    def _failed(asked: Headers, headers: Headers) -> int:
        tag, weak = unquote_etag(headers["etag"])
        modified = parse_date(headers["last-modified"]) or datetime.now(UTC)
        if "if-match" in asked:
            if not tags(asked["if-match"]).contains(tag) or weak:
                if asked["if-match"].strip() != "*":
                    return 412
        elif (date := parse_date(asked.get("if-unmodified-since"))) is not None and modified > date:
            return 412
        if "if-none-match" in asked:
            return 304 if tags(asked["if-none-match"]).contains_weak(tag) else 0
        date = parse_date(asked.get("if-modified-since"))
        return 304 if date is not None and modified <= date else 0

    @staticmethod
    def _same(asked: Headers, headers: Headers) -> bool:
        if "if-range" not in asked:
            return True
        value = asked["if-range"]
        if value.endswith('"'):
            return value == headers["etag"] and value.startswith('"')
        return parse_date(value) is not None and parse_date(value) == parse_date(headers["last-modified"])

    @staticmethod
    def _cut(plan: Plan, text: str) -> None:
        found = re.fullmatch(r"(?i:bytes)=(?:([0-9]{1,30})-([0-9]{1,30})?|-([0-9]{1,30}))", text)
        if found is None or (found[2] and int(found[2]) < int(found[1])):
            return
        size = plan.count
        if found[3]:
            first, last = max(size - int(found[3]), 0), size - 1
        else:
            first, last = int(found[1]), min(int(found[2] or size), size - 1)
        plan.first, plan.count, plan.status = first, max(last - first + 1, 0), 206
        plan.headers["content-range"] = f"bytes {first}-{last}/{size}"
        if plan.count == 0:
            plan.status = 416
            plan.headers["content-range"] = f"bytes */{size}"
        plan.headers["content-length"] = str(plan.count)


def tags(value: str) -> ETags:
    """The tags of a list; Werkzeug takes those without quotes for strong ones."""
    if value.strip() == "*":
        return ETags(star_tag=True)
    return parse_etags(", ".join(re.findall(r'(?:W/)?"[^"]*"', value)))


def without(headers: MutableHeaders, name: str) -> MutableHeaders:
    del headers[name]
    return headers


def read(file: BinaryIO, first: int, count: int) -> Iterator[bytes]:
    file.seek(first)
    while count > 0:
        data = file.read(min(count, 16_384))
        if data == b"":
            raise RuntimeError("the file is shorter than it was")
        count -= len(data)
        yield data
