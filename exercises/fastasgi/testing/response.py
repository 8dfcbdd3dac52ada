"""The response: what came back for one request.

Rule 1: it shows what is there: headers before the body, the body's chunks as they are sent, nothing decoded but text.
Rule 2: a body is read once, whole or chunk by chunk: `read` gives what is left of it, and `content` what `read` gave.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from ..asgi_types import Message
from ..datastructures import Headers
from ..status import phrase
from ..urls import URL
from .call import Call
from .exchange import Exchange, Head
from .failures import StatusError, TruncatedResponse


class Response:
    """A response: status, headers and body, and the ways to read them.

    `history` are the redirects that led to it, oldest first; `cookies` the values that it set, by name.
    """

    def __init__(self, url: URL, head: Head, exchange: Exchange, call: Call) -> None:
        """Show what `exchange` gets from `call`. The client makes responses."""
        self.url = url
        self.status_code = head.status
        self.headers = Headers(raw=head.headers)
        self.cookies: dict[str, str] = {}
        self.history: list[Response] = []
        self._exchange = exchange
        self._call = call
        self._content: bytes | None = None

    @property
    def is_success(self) -> bool:
        """Whether the status is one of 2xx (RFC 9110, section 15.3)."""
        return 200 <= self.status_code <= 299

    @property
    def is_redirect(self) -> bool:
        """Whether the status says to go elsewhere, and `location` where (RFC 9110, section 15.4)."""
        return self.status_code in (301, 302, 303, 307, 308) and "location" in self.headers

    @property
    def content(self) -> bytes:
        """The body. Raises RuntimeError while it has not been read."""
        if self._content is None:
            raise RuntimeError("the body has not been read: `await response.read()` first")
        return self._content

    @property
    def text(self) -> str:
        """The body as text, in the charset that content-type names, else UTF-8; what is no text becomes U+FFFD."""
        charset = _charset(self.headers.get("content-type", ""))
        try:
            return self.content.decode(charset, "replace")
        except LookupError:
            return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The value of a body in JSON. Raises ValueError for any other."""
        return json.loads(self.content)

    def raise_for_status(self) -> Response:
        """The response itself. Raises StatusError for a status of 400 or above."""
        if self.status_code >= 400:
            raise StatusError(self)
        return self

    async def read(self) -> bytes:
        """Read what is left of the body, and give it.

        Raises what the application raised, or TruncatedResponse, if the body has no end.
        """
        if self._content is None:
            self._content = b"".join([chunk async for chunk in self.iter_bytes()])
        return self._content

    def iter_bytes(self) -> AsyncIterator[bytes]:
        """The chunks of the body as the application sends them, without empty ones, from the first that is not read.

        Raises what `read` raises, and RuntimeError once `read` has read them, or after the block of `stream`.
        """
        if self._content is not None:
            raise RuntimeError("the body has been read: it is in `response.content`")
        return _Chunks(self._exchange, self._call)

    @property
    def debug(self) -> Mapping[str, Any] | None:
        """The information of `http.response.debug`, or None (ASGI Extensions, Debug)."""
        return self._exchange.extras.debug

    @property
    def early_hints(self) -> list[str]:
        """The `link` values of early hints, in order (ASGI Extensions, Early hints)."""
        return [link.decode("latin-1") for link in self._exchange.extras.early_hints]

    @property
    def trailers(self) -> Headers:
        """The trailers, once the body was read; none without `te: trailers` (ASGI Extensions, HTTP trailers)."""
        return Headers(raw=self._exchange.extras.trailers)

    @property
    def ignored(self) -> list[Message]:
        """What the application sent after the end of its response (ASGI HTTP, Response body)."""
        return self._exchange.extras.ignored

    def __repr__(self) -> str:
        return f"<Response {self.status_code} {phrase(self.status_code)}>"


class _Chunks(AsyncIterator[bytes]):
    """What is left of a body. (A generator that is left half-way would need somebody to close it.)"""

    def __init__(self, exchange: Exchange, call: Call) -> None:
        self._exchange = exchange
        self._call = call

    async def __anext__(self) -> bytes:
        exchange = self._exchange
        await self._call.until(lambda: exchange.readable or exchange.over)
        if exchange.gone:
            raise exchange.cause or RuntimeError(
                "the response was left: read it inside the block of `stream`"
            )
        if exchange.readable:
            chunk = exchange.read()
            self._call.changed()
            return chunk
        if exchange.complete:
            raise StopAsyncIteration
        raise self._call.failure() or TruncatedResponse(
            f"{exchange.label}: the connection was cut before the response was complete"
        )


def _charset(content_type: str) -> str:
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip("\"'")
    return "utf-8"
