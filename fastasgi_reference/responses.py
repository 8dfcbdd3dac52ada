"""Responses: what goes back to the client, and its way into ASGI messages.

Rule 1: a response is an ASGI application; called, it sends `http.response.start` once and its body, and ends.
Rule 2: what cannot go over the wire is refused when the response is made, while there is somebody to tell.
Rule 3: the status and the method decide what is sent of the body, and nobody else: HEAD gets the headers of GET
        (RFC 9110, section 9.3.2), 204 and 304 have neither a body nor its length (sections 8.6, 15.3.5, 15.4.5).
Rule 4: an iterator that was given is closed on every way out: at its end, on errors, when the client goes away.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache, partial
from http.cookies import SimpleCookie
from itertools import cycle
from typing import Any, Literal, TypeAlias
from urllib.parse import quote

from .asgi_types import Message, Receive, Scope, Send, require_type, spec_version
from .concurrency import call, iterate_in_thread
from .datastructures import Headers, MutableHeaders
from .exceptions import HTTPException
from .status import has_no_body

HeadersLike: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]
"""Headers as a caller may give them."""
Background: TypeAlias = Callable[[], Awaitable[None]]
"""What is to be done after the last byte has been sent."""
SameSite: TypeAlias = Literal["lax", "strict", "none"]
"""With which requests of other sites a cookie goes along (RFC 6265bis, section 5.6.7)."""


class Response:
    """A response whose body is at hand.

    `content` is bytes, or text that is sent as UTF-8; None is an empty body. `status_code` is 200 to 999.
    `headers` are copied. `media_type` is the Content-Type (default: `text/plain` for text,
    `application/octet-stream` for bytes, none for None); text types of text get `charset=utf-8`.
    `background` is called after the last byte, unless the client went away before.
    Raises ValueError for a status or a header that cannot be sent, TypeError for content of another type.
    """

    status_code: int
    headers: MutableHeaders
    background: Background | None

    def __init__(
        self,
        content: bytes | str | None = None,
        status_code: int = 200,
        headers: HeadersLike | None = None,
        media_type: str | None = None,
        background: Background | None = None,
    ) -> None:
        self.status_code = _final(status_code)
        self.background = background
        self.headers = _headers(headers, _media_type(content, media_type))
        self.body = _encoded(b"" if content is None else content)

    @property
    def body(self) -> bytes:
        """The body; setting it sets the Content-Length too (RFC 9110, section 8.6)."""
        return self._body

    @body.setter
    def body(self, body: bytes) -> None:
        self._body = _encoded(body)
        if not has_no_body(self.status_code):
            self.headers["content-length"] = str(len(self._body))

    @property
    def media_type(self) -> str | None:
        """The Content-Type as it will be sent, or None."""
        return self.headers.get("content-type")

    def set_cookie(
        self,
        key: str,
        value: str = "",
        *,
        max_age: int | None = None,
        expires: datetime | None = None,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: SameSite | None = "lax",
        partitioned: bool = False,
    ) -> None:
        """Add a `set-cookie` header (RFC 6265, section 4.1); earlier ones stay.

        `max_age` is in seconds, `expires` an aware datetime. A value that holds more than a cookie may is quoted;
        `Request.cookies` reads it back. Raises ValueError for a name that is no token, for what would end the
        cookie or the header (control characters, `;` in an attribute), for text beyond ASCII, and for
        `samesite="none"` or `partitioned` without `secure`, which browsers would refuse.
        """
        if (samesite == "none" or partitioned) and not secure:
            raise ValueError(f"cookie {key!r}: samesite='none' and partitioned need secure=True as well")
        attributes = {
            "Max-Age": None if max_age is None else str(int(max_age)),
            "Expires": None if expires is None else _date(expires),
            "Path": path,
            "Domain": domain,
            "SameSite": None if samesite is None else _same_site(samesite),
        }
        flags = {"Secure": secure, "HttpOnly": httponly, "Partitioned": partitioned}
        pieces = [_cookie_pair(key, value)]
        pieces += [
            f"{name}={_attribute(name, text)}" for name, text in attributes.items() if text is not None
        ]
        pieces += [name for name, wanted in flags.items() if wanted]
        self.headers.append("set-cookie", "; ".join(pieces))

    def delete_cookie(
        self,
        key: str,
        *,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: SameSite | None = "lax",
        partitioned: bool = False,
    ) -> None:
        """Have the client forget a cookie; name it by the attributes that it was set with."""
        self.set_cookie(
            key, max_age=0, expires=_LONG_AGO, path=path, domain=domain,
            secure=secure, httponly=httponly, samesite=samesite, partitioned=partitioned,
        )  # fmt: skip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response to one HTTP connection (ASGI HTTP, Response start and Response body).

        Raises RuntimeError for a connection of another kind, and what `send` raises: OSError, when the client is
        gone. `background` then is not called.
        """
        require_type(scope, "http")
        await send(self.start_message())
        body = b"" if _sends_no_body(scope, self.status_code) else self._body
        await send({"type": "http.response.body", "body": body})
        if self.background is not None:
            await self.background()

    def start_message(self) -> Message:
        """The message that begins the response, made anew at each call."""
        headers = self.headers.raw
        if has_no_body(self.status_code):  # a middleware may have changed the status since
            headers = [header for header in headers if header[0] != b"content-length"]
        return {"type": "http.response.start", "status": int(self.status_code), "headers": headers}


def text_response(text: str, status_code: int = 200, headers: HeadersLike | None = None) -> Response:
    """A response of plain text: `text/plain; charset=utf-8`."""
    return Response(text, status_code, headers)


def html_response(html: str, status_code: int = 200, headers: HeadersLike | None = None) -> Response:
    """A response of HTML: `text/html; charset=utf-8`. Nothing is escaped."""
    return Response(html, status_code, headers, media_type="text/html")


def json_response(value: Any, status_code: int = 200, headers: HeadersLike | None = None) -> Response:
    """A response of JSON (RFC 8259): compact, UTF-8, `application/json`.

    Raises TypeError for a value that JSON has no form for, ValueError for NaN, infinity and lone surrogates.
    """
    return Response(_JSON.encode(value).encode(), status_code, headers, media_type="application/json")


def redirect_response(url: object, status_code: int = 307, headers: HeadersLike | None = None) -> Response:
    """An empty response that sends the client to `url`, a str or a `URL` (RFC 9110, section 15.4).

    What a URL may not hold is percent-encoded. Raises ValueError for a status that is no redirect.
    """
    if not 300 <= status_code <= 399 or status_code == 304:
        raise ValueError(f"{status_code} is no redirect: use 301, 302, 303, 307 or 308")
    response = Response(None, status_code, headers)
    response.headers["location"] = quote(str(url), safe=_URL_CHARACTERS)
    return response


def error_response(error: HTTPException) -> Response:
    """The answer that an HTTPException stands for: its detail as plain text, with its status and headers."""
    return Response(error.detail, error.status_code, error.headers)


class StreamingResponse(Response):
    """A response whose body comes in chunks, as an iterable gives them.

    `chunks` gives bytes, or text that is sent as UTF-8. A plain iterable is gone through in threads. Each chunk
    is taken when the one before has been sent, so that a slow client slows the iterator. There is no
    Content-Length, unless the caller gives it. The other parameters are those of `Response`.
    Raises TypeError for text or bytes as a whole, which are no stream.
    """

    def __init__(
        self,
        chunks: AsyncIterable[bytes | str] | Iterable[bytes | str],
        status_code: int = 200,
        headers: HeadersLike | None = None,
        media_type: str | None = None,
        background: Background | None = None,
    ) -> None:
        if isinstance(chunks, bytes | bytearray | memoryview | str) or not _is_iterable(chunks):
            raise TypeError(
                f"a stream is an iterable of bytes or str, not {type(chunks).__name__}: "
                "use Response for a body at hand, and call a generator function"
            )
        self.chunks = chunks
        self.status_code = _final(status_code)
        self.background = background
        self.headers = _headers(headers, media_type and _media_type("", media_type))

    @property
    def body(self) -> bytes:
        """Raises RuntimeError, read or set: the body has not come yet."""
        raise RuntimeError("the body of a stream is still to come: go through response.chunks")

    @body.setter
    def body(self, body: bytes) -> None:
        raise RuntimeError("the body of a stream cannot be set: set response.chunks, or make a Response")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response to one HTTP connection; see `Response.__call__`.

        A server from 2.4 on tells by OSError out of `send` that the client is gone. Under an older one, `receive`
        is watched for `http.disconnect` meanwhile; the stream then ends early and quietly. Where the chunks are
        made of the request's body, let that be `Request.receive`, which takes none of it away.
        """
        async with aclosing(_Chunks(self.chunks)) as chunks:
            complete = await self._send_all(scope, chunks, receive, send)
        if complete and self.background is not None:
            await self.background()

    async def _send_all(self, scope: Scope, chunks: _Chunks, receive: Receive, send: Send) -> bool:
        """Send start and body. False where the client was seen to go away."""
        require_type(scope, "http")
        await send(self.start_message())
        if not _sends_no_body(scope, self.status_code):
            if spec_version(scope) >= (2, 4):
                await _send_each(chunks, send)
            elif not await _unless_disconnected(_send_each(chunks, _in_turn(send)), receive):
                return False
        # No longer watched: after this message, a disconnect is how a server says that it has sent everything.
        await send({"type": "http.response.body", "body": b""})
        return True


class BackgroundTasks:
    """Work for after the response: functions that run in order. One that raises stops the rest.

    Give it as `background` of a response. Plain functions run in a thread.
    """

    def __init__(self) -> None:
        self._tasks: list[Callable[[], Any]] = []

    def add_task(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> None:
        """Have `function` called with these arguments, after those that were added before."""
        self._tasks.append(partial(function, *args, **kwargs))

    async def __call__(self) -> None:
        """Run the tasks. Raises what the first that fails raises."""
        for task in self._tasks:
            await call(task)


def _encoded(content: Any) -> bytes:
    if isinstance(content, str):
        return content.encode()
    if isinstance(content, (bytes, bytearray, memoryview)):
        return bytes(content)
    raise TypeError(
        f"a response's content is bytes or str, not {type(content).__name__}: "
        "use json_response for data, StreamingResponse for what comes in pieces"
    )


def _final(status_code: int) -> int:
    """The status as an int. Raises ValueError for one with which no exchange ends (RFC 9110, section 15)."""
    if not 200 <= status_code <= 999:
        raise ValueError(f"{status_code} is no status of a final response: use 200 to 999 (RFC 9110, 15)")
    return int(status_code)


def _sends_no_body(scope: Scope, status_code: int) -> bool:
    return scope["method"] == "HEAD" or has_no_body(status_code)


def _media_type(content: Any, given: str | None) -> str | None:
    """The Content-Type of a content: the one that was given, or else the one of its type."""
    if given is not None:
        return _with_charset(given, content)
    if content is None:
        return None
    return "text/plain; charset=utf-8" if isinstance(content, str) else "application/octet-stream"


def _headers(given: HeadersLike | None, media_type: str | None) -> MutableHeaders:
    """The headers that were given, and a Content-Type if there is none among them."""
    if given is None:
        return MutableHeaders(raw=() if media_type is None else (_content_type(media_type),))
    headers = MutableHeaders(given)
    if media_type is not None:
        headers.setdefault("content-type", media_type)
    return headers


@lru_cache(maxsize=256)
def _content_type(media_type: str) -> tuple[bytes, bytes]:
    """The header for a media type. Raises ValueError for one that cannot be sent."""
    return Headers({"content-type": media_type}).raw[0]


def _with_charset(media_type: str, content: Any) -> str:
    if isinstance(content, str) and media_type.startswith("text/") and "charset=" not in media_type.lower():
        return f"{media_type}; charset=utf-8"
    return media_type


def _is_iterable(chunks: object) -> bool:
    return hasattr(chunks, "__aiter__") or hasattr(chunks, "__iter__")


class _Chunks:
    """The chunks of a stream, to be gone through once. `aclose` closes what was given, begun or not."""

    def __init__(self, given: AsyncIterable[bytes | str] | Iterable[bytes | str]) -> None:
        self._given = given
        self._open: list[object] = [given]

    def __aiter__(self) -> AsyncIterator[bytes | str]:
        given = self._given
        chunks = aiter(given) if isinstance(given, AsyncIterable) else iterate_in_thread(given)
        # What is an iterator itself is closed by whoever goes through it; a thread may still be in one of its steps.
        self._open = [chunks] if isinstance(given, AsyncIterator | Iterator) else [chunks, given]
        return chunks

    async def aclose(self) -> None:
        async with AsyncExitStack() as stack:
            for each in reversed(self._open):
                stack.push_async_callback(_close, each)


async def _close(opened: Any) -> None:
    if hasattr(opened, "aclose"):
        await opened.aclose()
    elif hasattr(opened, "close"):
        await asyncio.shield(call(opened.close))


async def _send_each(chunks: _Chunks, send: Send) -> None:
    async for chunk in chunks:
        await send({"type": "http.response.body", "body": _encoded(chunk), "more_body": True})


def _in_turn(send: Send) -> Send:
    """A `send` that gives others a turn now and then: an iterator and a server that never wait would keep it."""
    until_rest = cycle(range(_RESTS_EVERY))

    async def send_and_rest(message: Message) -> None:
        await send(message)
        if next(until_rest) == 0:
            await asyncio.sleep(0)

    return send_and_rest


async def _unless_disconnected(sending: Awaitable[None], receive: Receive) -> bool:
    """Await `sending`, but stop it when the client goes away. Gives whether it came to its end."""
    limit = asyncio.timeout(None)  # no limit, until it is over at once: that stops `sending` in its own task
    watch = asyncio.create_task(_expire_on_disconnect(limit, receive))
    try:
        async with limit:
            await sending
    except TimeoutError:
        if not limit.expired():
            raise
    finally:
        watch.cancel()
        # Where `receive` failed, that tells nothing about the response: if it matters, `send` fails as well.
        await asyncio.gather(watch, return_exceptions=True)
    return not limit.expired()


async def _expire_on_disconnect(limit: asyncio.Timeout, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    limit.reschedule(0)


def _cookie_pair(key: str, value: str) -> str:
    if not _TOKEN.fullmatch(key):
        raise ValueError(
            f"{key!r} is no name for a cookie: use letters, digits and !#$%&'*+-.^_`|~ (RFC 6265, 4.1.1)"
        )
    if _CONTROL.search(value) or not value.isascii():
        raise ValueError(
            f"cookie {key!r}: {value!r} holds a control character or one beyond ASCII. Encode it, for example "
            "with urllib.parse.quote (RFC 6265, 4.1.1)"
        )
    return f"{key}={value if _COOKIE_OCTETS.fullmatch(value) else SimpleCookie().value_encode(value)[1]}"


def _attribute(name: str, text: str) -> str:
    if _CONTROL.search(text) or ";" in text or not text.isascii():
        raise ValueError(f"a cookie's {name} cannot be {text!r}: no control characters, no ';', ASCII only")
    return text


def _same_site(value: str) -> str:
    if value not in ("lax", "strict", "none"):
        raise ValueError(f"samesite is 'lax', 'strict', 'none' or None, not {value!r}")
    return value.capitalize()


def _date(moment: datetime) -> str:
    """A date by RFC 9110, section 5.6.7. Raises ValueError for a datetime that does not say where it is valid."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone: give an aware datetime, such as datetime.now(UTC)")
    return format_datetime(moment.astimezone(UTC), usegmt=True)


_RESTS_EVERY = 16
"""After how many chunks of a stream others have a turn, at the latest."""
_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_COOKIE_OCTETS = re.compile(r"[!#-+\--:<-\[\]-~]*")
"""A cookie's value as it may stand without quotes (RFC 6265, section 4.1.1)."""
_URL_CHARACTERS = ":/?#[]@!$&'()*+,;=%"
"""What a URL may hold beside the unreserved characters, `%` included: it is encoded already (RFC 3986)."""
