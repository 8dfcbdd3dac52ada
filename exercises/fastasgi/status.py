"""Numbers of the protocols that have names: HTTP statuses and WebSocket close codes.

Rule 1: HTTP's are the standard library's; only what it does not tell is here.
"""

from __future__ import annotations

from enum import IntEnum
from http import HTTPStatus

__all__ = ["CloseCode", "HTTPStatus", "has_no_body", "phrase"]


class CloseCode(IntEnum):
    """Why a WebSocket was closed (RFC 6455, section 7.4.1). 1005, 1006 and 1015 never go over the wire."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005
    ABNORMAL = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015


def phrase(status_code: int) -> str:
    """The reason phrase of a status, such as "Not Found"; "" where it has none (RFC 9110, section 15)."""
    try:
        return HTTPStatus(status_code).phrase
    except ValueError:
        return ""


def has_no_body(status_code: int) -> bool:
    """Whether a response of this status never has a body: 1xx, 204 and 304 (RFC 9110, section 6.4.1)."""
    return status_code < 200 or status_code in (204, 304)
