"""One sending routine for all responses, bodies as async generators, a task for the sending and one for the watching."""

from __future__ import annotations

import asyncio
import inspect
import json
import string
from contextlib import suppress
from datetime import timezone
from email.utils import format_datetime
from urllib.parse import quote

from fastasgi.asgi_types import require_type, spec_version
from fastasgi.concurrency import iterate_in_thread, run_in_thread
from fastasgi.datastructures import MutableHeaders
from fastasgi.status import has_no_body

TOKEN = frozenset(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~")
UNQUOTED = frozenset(map(chr, range(33, 127))) - frozenset('",;\\')


def to_bytes(chunk):
    if isinstance(chunk, bytes):
        return chunk
    if isinstance(chunk, str):
        return str.encode(chunk, "utf-8")
    raise TypeError(f"bytes or str are wanted here, not {chunk!r}")


class Response:
    media_type = property(lambda self: self.headers.get("content-type"))
    streams = False

    def __init__(self, content=None, status_code=200, headers=None, media_type=None, background=None):
        self._begin(status_code, headers, background)
        self._describe(self._type(content, media_type))
        self.body = b"" if content is None else to_bytes(content)

    def _begin(self, status_code, headers, background):
        if status_code not in range(200, 1000):
            raise ValueError(f"the status {status_code} cannot be the last word")
        self.status_code = status_code
        self.background = background
        self.headers = MutableHeaders(headers or ())

    def _describe(self, media_type):
        if media_type is not None and "content-type" not in self.headers:
            self.headers.append("content-type", media_type)
        elif media_type is not None:
            MutableHeaders([("content-type", media_type)])

    @staticmethod
    def _type(content, media_type):
        if media_type is None:
            return {str: "text/plain; charset=utf-8", bytes: "application/octet-stream"}.get(type(content))
        if isinstance(content, str) and media_type[:5] == "text/" and "charset=" not in media_type.lower():
            media_type += "; charset=utf-8"
        return media_type

    @property
    def body(self):
        return self._whole

    @body.setter
    def body(self, whole):
        self._whole = to_bytes(whole)
        self.headers["content-length"] = f"{len(self._whole)}"

    def start_message(self):
        headers = [
            (name, value)
            for name, value in self.headers.raw
            if name != b"content-length" or not has_no_body(self.status_code)
        ]
        return {"type": "http.response.start", "status": int(self.status_code), "headers": headers}

    async def __call__(self, scope, receive, send):
        require_type(scope, "http")
        silent = scope["method"] == "HEAD" or has_no_body(self.status_code)
        if await self._answer(scope, receive, send, silent) and self.background:
            await self.background()

    async def _answer(self, scope, receive, send, silent):
        await send(self.start_message())
        await send({"type": "http.response.body", "body": b"" if silent else self._whole, "more_body": False})
        return True

    def set_cookie(
        self,
        key,
        value="",
        *,
        max_age=None,
        expires=None,
        path="/",
        domain=None,
        secure=False,
        httponly=False,
        samesite="lax",
        partitioned=False,
    ):
        if not key or not TOKEN.issuperset(key):
            raise ValueError(f"{key!r} cannot be a cookie's name")
        if samesite not in (None, "lax", "strict", "none"):
            raise ValueError(f"samesite={samesite!r}")
        if not secure and (partitioned or samesite == "none"):
            raise ValueError("this needs secure=True")
        cookie = f"{key}={quoted(printable(value))}"
        if path is not None:
            cookie += f"; path={no_semicolon(path)}"
        if domain is not None:
            cookie += f"; domain={no_semicolon(domain)}"
        if max_age is not None:
            cookie += f"; max-age={max_age:d}"
        if expires is not None:
            if expires.utcoffset() is None:
                raise ValueError("expires needs a time zone")
            cookie += "; expires=" + format_datetime(expires.astimezone(timezone.utc), usegmt=True)
        if secure:
            cookie += "; secure"
        if httponly:
            cookie += "; httponly"
        if samesite is not None:
            cookie += "; samesite=" + samesite.title()
        if partitioned:
            cookie += "; partitioned"
        self.headers.append("Set-Cookie", cookie)

    def delete_cookie(self, key, **attributes):
        unknown = attributes.keys() - {"path", "domain", "secure", "httponly", "samesite", "partitioned"}
        if unknown:
            raise TypeError(f"delete_cookie takes no {unknown}")
        there = self.headers.getlist("set-cookie")
        self.set_cookie(key, max_age=0, **attributes)
        new = self.headers.getlist("set-cookie")[-1] + "; expires=Thu, 01 Jan 1970 00:00:00 GMT"
        self.headers.update([("set-cookie", each) for each in [*there, new]])


def printable(text):
    if any(not " " <= character <= "~" for character in text):
        raise ValueError(f"{text!r} has characters that no cookie can have")
    return text


def no_semicolon(text):
    if ";" in text:
        raise ValueError(f"{text!r} would be two attributes")
    return printable(text)


def quoted(value):
    if UNQUOTED.issuperset(value):
        return value
    escapes = {'"': '\\"', "\\": "\\\\"} | {bad: f"\\{ord(bad):03o}" for bad in ",; "}
    return '"' + value.translate(str.maketrans(escapes)) + '"'


class StreamingResponse(Response):
    streams = True

    def __init__(self, chunks, status_code=200, headers=None, media_type=None, background=None):
        self._begin(status_code, headers, background)
        self._describe(self._type("", media_type) if media_type is not None else None)
        if isinstance(chunks, (str, bytes)):
            raise TypeError("one text is no stream of texts")
        if not hasattr(chunks, "__aiter__"):
            iterable = hasattr(type(chunks), "__iter__")
            if not iterable:
                raise TypeError(f"nobody can go through {chunks!r}")
        self._given = chunks

    @property
    def body(self):
        raise RuntimeError("later")

    async def _answer(self, scope, receive, send, silent):
        steps = None
        try:
            await send(self.start_message())
            if not silent:
                steps = (
                    aiter(self._given)
                    if hasattr(self._given, "__aiter__")
                    else iterate_in_thread(self._given)
                )
                sending = self._each(steps, send)
                if spec_version(scope) < (2, 4):
                    if not await either(sending, gone(receive)):
                        return False
                else:
                    await sending
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return True
        finally:
            await closed(steps)
            await closed(self._given)

    @staticmethod
    async def _each(steps, send):
        async for chunk in steps:
            await send({"type": "http.response.body", "body": to_bytes(chunk), "more_body": True})


async def closed(what):
    if hasattr(what, "aclose"):
        await what.aclose()
    elif hasattr(what, "close"):
        result = await asyncio.shield(run_in_thread(what.close))
        if inspect.isawaitable(result):
            await result


async def gone(receive):
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return


async def either(sending, leaving):
    """Whether the first came to its end before the second did."""
    first, second = asyncio.create_task(sending), asyncio.create_task(leaving)
    try:
        watched = {first, second}
        while not first.done():
            done, watched = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            if second in done and not first.done() and not second.exception():
                return False
        await first
        return True
    finally:
        for task in (first, second):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


def text_response(text, status_code=200, headers=None):
    return Response(text, status_code, headers, "text/plain")


def html_response(html, status_code=200, headers=None):
    return Response(html, status_code, headers, "text/html")


def json_response(value, status_code=200, headers=None):
    written = json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    return Response(written.encode("utf-8", "strict"), status_code, headers, "application/json")


def redirect_response(url, status_code=307, headers=None):
    if status_code not in {300, 301, 302, 303, 305, 306, 307, 308}:
        raise ValueError(f"{status_code} does not redirect")
    made = Response(status_code=status_code, headers=headers)
    made.headers["Location"] = quote(f"{url}", safe="-._~:/?#[]@!$&'()*+,;=%")
    return made


def error_response(error):
    return text_response(error.detail, error.status_code, error.headers)


class BackgroundTasks:
    def __init__(self):
        self.queue = []

    def add_task(self, function, /, *args, **kwargs):
        self.queue += [(function, args, kwargs)]

    async def __call__(self):
        for function, args, kwargs in self.queue:
            if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
                getattr(function, "__call__", None)
            ):
                await function(*args, **kwargs)
            else:
                result = await run_in_thread(function, *args, **kwargs)
                if inspect.isawaitable(result):
                    await result
