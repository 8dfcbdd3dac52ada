"""Exceptions that more than one module knows.

Rule 1: an HTTPException is an answer: whoever raises it has chosen the status, and an error boundary sends it.
Rule 2: a ClientDisconnect is nobody's fault: nothing is sent for it, since nobody is left to read it.
"""

from __future__ import annotations

from collections.abc import Mapping

from .status import phrase


class HTTPException(Exception):
    """Raise it to answer with an error status.

    `status_code` is at least 200; `detail` is the answer's text (default: the status's phrase, RFC 9110,
    section 15); `headers` go out with it, such as `{"allow": "GET"}` or `{"www-authenticate": "Basic"}`.
    Raises ValueError for a status that no final response can have.
    """

    def __init__(
        self, status_code: int, detail: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        if not 200 <= status_code <= 999:
            raise ValueError(f"{status_code} is no status of a final response: use 200 to 999")
        self.status_code = int(status_code)
        self.detail = phrase(status_code) if detail is None else detail
        self.headers = None if headers is None else dict(headers)
        super().__init__(self.status_code, self.detail)

    def __str__(self) -> str:
        return f"{self.status_code}: {self.detail}"


class ClientDisconnect(Exception):
    """The client went away before its request was complete (ASGI HTTP, Disconnect)."""
