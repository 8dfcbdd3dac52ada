"""Failures: what a test is told when the application does not do what it should.

Rule 1: a ProtocolError is the application's fault. It comes out of the application's `send`, and the test gets it
        again afterwards, so that an application which swallows it fails all the same.
Rule 2: a ClientGone is nobody's fault. It comes out of `send` alone, and never reaches the test.
Rule 3: all others are for the test alone; the application never sees them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..datastructures import Headers
from ..status import phrase

if TYPE_CHECKING:
    from .response import Response


class ProtocolError(Exception):
    """The application broke ASGI. The text names the message, what was expected there, and the section."""


class ClientGone(ConnectionResetError):
    """The connection is closed: what was sent reaches nobody (ASGI HTTP & WebSocket 2.4, Disconnected client)."""


class Stalled(Exception):
    """The test waits for the application, which waits for something that will never come, or is silent too long."""


class TruncatedResponse(Exception):
    """The connection was cut before the response was complete, since the application raised an exception."""


class LifespanFailed(Exception):
    """The application reported `lifespan.startup.failed` or `lifespan.shutdown.failed`.

    `phase` is "startup" or "shutdown"; `message` is what the application says of it.
    """

    def __init__(self, phase: str, message: str) -> None:
        super().__init__(f"lifespan.{phase}.failed: {message or 'the application does not say why'}")
        self.phase = phase
        self.message = message


class TooManyRedirects(Exception):
    """A request was redirected more often than `max_redirects` allows."""


class StatusError(Exception):
    """`raise_for_status` met a status of 400 or above; `response` is the response that has it."""

    def __init__(self, response: Response) -> None:
        super().__init__(
            f"{response.status_code} {phrase(response.status_code)}".rstrip() + f" for {response.url}"
        )
        self.response = response


class WebSocketRefused(Exception):
    """The application refused the handshake, with `status_code`, `headers` and `body` as the client gets them.

    Without the denial response extension that is a bare 403 (ASGI HTTP & WebSocket, Close).
    """

    def __init__(self, status_code: int, headers: Headers, body: bytes) -> None:
        super().__init__(f"the handshake was answered with {status_code} {phrase(status_code)}".rstrip())
        self.status_code = status_code
        self.headers = headers
        self.body = body


class WebSocketClosed(Exception):
    """The websocket is closed, with this `code` and `reason` (RFC 6455, section 7.4)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the websocket was closed with {code}" + (f": {reason}" if reason else ""))
        self.code = code
        self.reason = reason
