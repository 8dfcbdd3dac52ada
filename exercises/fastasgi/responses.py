"""Responses: what goes back to the client, and its way into ASGI messages.

Rule 1: a response is an ASGI application; called, it sends `http.response.start` once and its body, and ends.
Rule 2: what cannot go over the wire is refused when the response is made, while there is somebody to tell.
Rule 3: the status and the method decide what is sent of the body, and nobody else: HEAD gets the headers of GET
        (RFC 9110, section 9.3.2), 204 and 304 have neither a body nor its length (sections 8.6, 15.3.5, 15.4.5).
Rule 4: an iterator that was given is closed on every way out: at its end, on errors, when the client goes away.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, TypeAlias

from .asgi_types import Message, Receive, Scope, Send
from .datastructures import MutableHeaders
from .exceptions import HTTPException

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
        raise NotImplementedError("responses: Response.__init__")

    @property
    def body(self) -> bytes:
        """The body; setting it sets the Content-Length too (RFC 9110, section 8.6)."""
        raise NotImplementedError("responses: Response.body")

    @body.setter
    def body(self, body: bytes) -> None:
        raise NotImplementedError("responses: Response.body")

    @property
    def media_type(self) -> str | None:
        """The Content-Type as it will be sent, or None."""
        raise NotImplementedError("responses: Response.media_type")

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
        raise NotImplementedError("responses: Response.set_cookie")

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
        raise NotImplementedError("responses: Response.delete_cookie")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response to one HTTP connection (ASGI HTTP, Response start and Response body).

        Raises RuntimeError for a connection of another kind, and what `send` raises: OSError, when the client is
        gone. `background` then is not called.
        """
        raise NotImplementedError("responses: Response.__call__")

    def start_message(self) -> Message:
        """The message that begins the response, made anew at each call."""
        raise NotImplementedError("responses: Response.start_message")


def text_response(text: str, status_code: int = 200, headers: HeadersLike | None = None) -> Response:
    """A response of plain text: `text/plain; charset=utf-8`."""
    raise NotImplementedError("responses: text_response")


def html_response(html: str, status_code: int = 200, headers: HeadersLike | None = None) -> Response:
    """A response of HTML: `text/html; charset=utf-8`. Nothing is escaped."""
    raise NotImplementedError("responses: html_response")


def json_response(value: Any, status_code: int = 200, headers: HeadersLike | None = None) -> Response:
    """A response of JSON (RFC 8259): compact, UTF-8, `application/json`.

    Raises TypeError for a value that JSON has no form for, ValueError for NaN, infinity and lone surrogates.
    """
    raise NotImplementedError("responses: json_response")


def redirect_response(url: object, status_code: int = 307, headers: HeadersLike | None = None) -> Response:
    """An empty response that sends the client to `url`, a str or a `URL` (RFC 9110, section 15.4).

    What a URL may not hold is percent-encoded. Raises ValueError for a status that is no redirect.
    """
    raise NotImplementedError("responses: redirect_response")


def error_response(error: HTTPException) -> Response:
    """The answer that an HTTPException stands for: its detail as plain text, with its status and headers."""
    raise NotImplementedError("responses: error_response")


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
        raise NotImplementedError("responses: StreamingResponse.__init__")

    @property
    def body(self) -> bytes:
        """Raises RuntimeError, read or set: the body has not come yet."""
        raise NotImplementedError("responses: StreamingResponse.body")

    @body.setter
    def body(self, body: bytes) -> None:
        raise NotImplementedError("responses: StreamingResponse.body")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response to one HTTP connection; see `Response.__call__`.

        A server from 2.4 on tells by OSError out of `send` that the client is gone. Under an older one, `receive`
        is watched for `http.disconnect` meanwhile; the stream then ends early and quietly. Where the chunks are
        made of the request's body, let that be `Request.receive`, which takes none of it away.
        """
        raise NotImplementedError("responses: StreamingResponse.__call__")


class BackgroundTasks:
    """Work for after the response: functions that run in order. One that raises stops the rest.

    Give it as `background` of a response. Plain functions run in a thread.
    """

    def __init__(self) -> None:
        raise NotImplementedError("responses: BackgroundTasks.__init__")

    def add_task(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> None:
        """Have `function` called with these arguments, after those that were added before."""
        raise NotImplementedError("responses: BackgroundTasks.add_task")

    async def __call__(self) -> None:
        """Run the tasks. Raises what the first that fails raises."""
        raise NotImplementedError("responses: BackgroundTasks.__call__")
