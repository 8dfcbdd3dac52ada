# imports: werkzeug, markupsafe
"""Cookies and dates by Werkzeug, a TaskGroup for clients that leave, an exit stack for what is to be closed."""

from __future__ import annotations

import re
from asyncio import TaskGroup
from collections import deque
from collections.abc import AsyncIterable, Iterable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from json import JSONEncoder
from typing import Any

from werkzeug.http import dump_cookie

from fastasgi import asgi_types, concurrency, status
from fastasgi.datastructures import Headers, MutableHeaders
from fastasgi.exceptions import HTTPException

ENCODER = JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":"))
PLAIN_TEXT = re.compile(r"[\x20-\x7e]*\Z")


class Response:
    def __init__(
        self,
        content: Any = None,
        status_code: int = 200,
        headers: Any = None,
        media_type: str | None = None,
        background: Any = None,
    ) -> None:
        if status_code < 200 or status_code > 999:
            raise ValueError(f"not a final status: {status_code}")
        self.status_code, self.background = status_code, background
        lines = [] if headers is None else Headers(headers).multi_items()
        if isinstance(content, str):
            kind = "text/plain" if media_type is None else media_type
            if kind.startswith("text/") and not re.search("charset=", kind, re.IGNORECASE):
                kind += "; charset=utf-8"
        elif content is None or isinstance(content, bytes):
            kind = media_type if media_type is not None or content is None else "application/octet-stream"
        else:
            raise TypeError(f"content: {type(content)}")
        if kind is not None:
            Headers({"content-type": kind})  # is refused even where the caller's wins
            if not any(name.lower() == "content-type" for name, _ in lines):
                lines.insert(0, ("content-type", kind))
        self.headers = MutableHeaders(lines)
        self._fill(content)

    def _fill(self, content: Any) -> None:
        self.body = content.encode("utf-8") if isinstance(content, str) else content or b""

    def _get_body(self) -> bytes:
        return self.__dict__["body"]

    def _set_body(self, value: bytes) -> None:
        self.headers["content-length"] = str(len(value))
        self.__dict__["body"] = value

    body = property(_get_body, _set_body)

    @property
    def media_type(self) -> str | None:
        return self.headers.get("content-type", None)

    def set_cookie(self, key: str, value: str = "", **options: Any) -> None:
        self.headers.append("set-cookie", self._cookie(key, value, **options))

    def delete_cookie(
        self,
        key: str,
        *,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: str | None = "lax",
        partitioned: bool = False,
    ) -> None:
        attributes = {"path": path, "domain": domain, "secure": secure, "httponly": httponly}
        attributes |= {"samesite": samesite, "partitioned": partitioned}
        epoch = datetime.fromtimestamp(0, UTC)
        self.set_cookie(key, max_age=0, expires=epoch, **attributes)

    @staticmethod
    def _cookie(
        key: str,
        value: str,
        *,
        max_age: int | None = None,
        expires: datetime | None = None,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: str | None = "lax",
        partitioned: bool = False,
    ) -> str:
        Headers({key: ""})  # the name of a cookie is a token, as that of a header
        for text in (value, path or "", domain or ""):
            if not PLAIN_TEXT.match(text) or (text is not value and ";" in text):
                raise ValueError(f"{key}: {text!r}")
        if samesite not in {"lax", "strict", "none", None} or (expires and not expires.tzinfo):
            raise ValueError(f"{key}: {samesite!r}, {expires!r}")
        if secure < (partitioned or samesite == "none"):
            raise ValueError(f"{key} has to be secure")
        cookie = dump_cookie(
            key,
            value,
            max_age=max_age,
            expires=expires,
            path=None,
            secure=secure,
            httponly=httponly,
            max_size=0,
            sync_expires=False,
        )
        extra = {"Path": path, "Domain": domain, "SameSite": samesite and samesite.capitalize()}
        cookie += "".join(f"; {name}={text}" for name, text in extra.items() if text is not None)
        return cookie + "; Partitioned" * partitioned

    def start_message(self) -> Any:
        copy = MutableHeaders(self.headers)
        if status.has_no_body(self.status_code):
            del copy["content-length"]
        return dict(type="http.response.start", status=int(self.status_code), headers=list(copy.raw))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        asgi_types.require_type(scope, "http")
        await send(self.start_message())
        message: dict[str, Any] = {"type": "http.response.body"}
        if not self._empty(scope):
            message["body"] = self.body
        await send(message)
        await self._afterwards()

    def _empty(self, scope: Any) -> bool:
        return scope["method"] == "HEAD" or status.has_no_body(self.status_code)

    async def _afterwards(self) -> None:
        if self.background is not None:
            await self.background()


class Gone(Exception):
    """The client has left."""


class StreamingResponse(Response):
    def __init__(self, chunks: Any, *args: Any, **kwargs: Any) -> None:
        if isinstance(chunks, (str, bytes)) or not isinstance(chunks, (Iterable, AsyncIterable)):
            raise TypeError(f"chunks: {type(chunks)}")
        self.iterable = chunks
        self._described(*args, **kwargs)

    def _described(
        self,
        status_code: int = 200,
        headers: Any = None,
        media_type: str | None = None,
        background: Any = None,
    ) -> None:
        is_text = media_type is not None
        Response.__init__(self, "" if is_text else None, status_code, headers, media_type, background)

    def _fill(self, content: Any) -> None:
        """The length is not known, and no text of ours."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        asgi_types.require_type(scope, "http")
        async with AsyncExitStack() as at_the_end:
            at_the_end.push_async_callback(close, self.iterable)
            await send(self.start_message())
            if not self._empty(scope):
                steps = self.iterable
                if not isinstance(steps, AsyncIterable):
                    steps = concurrency.iterate_in_thread(steps)
                steps = steps.__aiter__()
                at_the_end.push_async_callback(close, steps)
                if not await self._stream(scope, steps, receive, send):
                    return
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        await self._afterwards()

    async def _stream(self, scope: Any, steps: Any, receive: Any, send: Any) -> bool:
        if asgi_types.spec_version(scope) >= (2, 4):
            await pump(steps, send)
            return True
        complete = False
        failed: Exception | None = None
        try:
            async with TaskGroup() as group:
                watching = group.create_task(watch(receive))
                try:
                    await pump(steps, send)
                    complete = True
                except Exception as error:
                    failed = error
                watching.cancel()
        except* Gone:
            pass
        if failed is not None:
            raise failed
        return complete


async def pump(steps: Any, send: Any) -> None:
    while True:
        try:
            chunk = await anext(steps)
        except StopAsyncIteration:
            return
        if isinstance(chunk, str):
            chunk = chunk.encode()
        if not isinstance(chunk, bytes):
            raise TypeError(f"a chunk of {type(chunk)}")
        if chunk:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def watch(receive: Any) -> None:
    while (await receive()).get("type") != "http.disconnect":
        continue
    raise Gone


async def close(opened: Any) -> None:
    for name in ("aclose", "close"):
        method = getattr(opened, name, None)
        if method is not None:
            await concurrency.call(method)
            return


def text_response(text: str, status_code: int = 200, headers: Any = None) -> Response:
    return Response(text, status_code, headers)


def html_response(html: str, status_code: int = 200, headers: Any = None) -> Response:
    return Response(html, status_code, headers, "text/html; charset=utf-8")


def json_response(value: Any, status_code: int = 200, headers: Any = None) -> Response:
    return Response("".join(ENCODER.iterencode(value)), status_code, headers, "application/json")


def redirect_response(url: Any, status_code: int = 307, headers: Any = None) -> Response:
    if status_code not in (301, 302, 303, 307, 308):
        raise ValueError(status_code)
    kept = set(b"-._~:/?#[]@!$&'()*+,;=%")
    location = "".join(
        chr(byte) if byte in kept or chr(byte).isalnum() and byte < 128 else f"%{byte:02X}"
        for byte in str(url).encode()
    )
    response = Response(b"", status_code, headers)
    if "content-type" not in Headers(headers or {}):
        del response.headers["content-type"]
    response.headers["location"] = location
    return response


def error_response(error: HTTPException) -> Response:
    return Response(error.detail, error.status_code, error.headers or {})


class BackgroundTasks:
    def __init__(self) -> None:
        self._waiting: deque[Any] = deque()

    def add_task(self, function: Any, /, *args: Any, **kwargs: Any) -> None:
        self._waiting.append((function, args, kwargs))

    async def __call__(self) -> None:
        for function, args, kwargs in tuple(self._waiting):
            if concurrency.is_async(function):
                await function(*args, **kwargs)
            else:
                await concurrency.call(function, *args, **kwargs)
