"""Messages: what each one that an application sends may hold, key by key.

Rule 1: one table says all of it: keys, types, defaults, and the section where ASGI says so.
Rule 2: what is read comes out as a new dict with every key of the table, so that nobody else knows the defaults.
Rule 3: an iterable is read once. A key that the table does not have is left out, and is no error (ASGI 3.0, Error
        handling).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from reprlib import Repr
from typing import Any, TypeAlias

Read: TypeAlias = Callable[[Any], Any]
"""Takes a value as it was sent, gives it in its plain form; raises ValueError with what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a message: how its value is read, and its value where it is absent; `...` if it must not be."""

    read: Read
    default: Any = ...


@dataclass(frozen=True, slots=True)
class Shape:
    """What ASGI says of one type of message.

    `section` is the place that says it; `more` the key which tells that more of the response follows than this message
    alone would mean; `extension` the extension to which it belongs; `whole` looks at all values together.
    """

    section: str
    keys: Mapping[str, Key]
    more: str | None = None
    extension: str | None = None
    whole: Callable[[Mapping[str, Any]], None] = lambda _: None


def read_message(message: Mapping[Any, Any], shape: Shape) -> dict[str, Any]:
    """The values of a message by key, with the defaults of those that are absent.

    Raises ValueError for a mandatory key that is absent and for a value that its key may not have.
    """
    values = {"type": message["type"]}
    for name, key in shape.keys.items():
        value = message.get(name, key.default)
        if value is ...:
            raise ValueError(f"has no {name!r}, which is mandatory")
        try:
            values[name] = key.read(value)
        except ValueError as error:
            raise ValueError(f"has a wrong {name!r}: {error}") from None
    shape.whole(values)
    return values


def _kind(value: object) -> str:
    return f"the {type(value).__name__} {_SHORT.repr(value)}"


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        cure = "encode it" if isinstance(value, str) else "pass bytes"
        raise ValueError(f"{_kind(value)} is not bytes: {cure}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        cure = "decode it" if isinstance(value, bytes) else "pass a str"
        raise ValueError(f"{_kind(value)} is not a str: {cure}")
    return value


def _utf8(value: Any) -> str:
    _text(value).encode()  # a lone surrogate raises UnicodeEncodeError, which is a ValueError
    return str(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{_kind(value)} is not a bool: pass True or False")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{_kind(value)} is not an int from 0 upwards")
    return int(value)


def _optional(read: Read) -> Read:
    return lambda value: None if value is None else read(value)


def _status(value: Any) -> int:
    """A final response's status: an interim one, 1xx, is not for the application (RFC 9110, section 15.2)."""
    if not 200 <= _number(value) <= 999:
        raise ValueError(f"{value} is no status of a final response: use 200 to 999")
    return int(value)


def _headers(value: Any) -> list[tuple[bytes, bytes]]:
    if isinstance(value, Mapping):
        raise ValueError("a mapping is no iterable of [name, value] pairs: pass list(headers.items())")
    try:
        return [_header(tuple(pair)) for pair in value]
    except TypeError:
        raise ValueError(f"{_kind(value)} is no iterable of [name, value] pairs") from None


def _header(pair: tuple[Any, ...]) -> tuple[bytes, bytes]:
    if len(pair) != 2:
        raise ValueError(f"{_SHORT.repr(pair)} is no pair of a name and a value")
    name, value = _bytes(pair[0]), _bytes(pair[1])
    if name.startswith(b":"):
        raise ValueError(f"{name!r} is a pseudo header, which must not be present")
    if name != name.lower():
        raise ValueError(f"the name {name!r} is not in lower case: send {name.lower()!r}")
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a header (RFC 9110, section 5.1)")
    if _ENDS_A_LINE.search(value):
        raise ValueError(f"the value of {name!r} has a CR, LF or NUL in it (RFC 9110, section 5.5)")
    return name, value


def _accept_headers(value: Any) -> list[tuple[bytes, bytes]]:
    headers = _headers(value)
    if any(name == b"sec-websocket-protocol" for name, _ in headers):
        raise ValueError("sec-websocket-protocol must not be among them: put its value into 'subprotocol'")
    return headers


def _close_code(value: Any) -> int:
    code = _number(value)
    if code not in _SENDABLE_CODES and not 3000 <= code <= 4999:
        raise ValueError(f"{code} never goes over the wire: use 1000 to 1003, 1007 to 1014 or 3000 to 4999 "
                         "(RFC 6455, section 7.4)")  # fmt: skip
    return code


def _close_reason(value: Any) -> str:
    reason = _text(value) if value is not None else ""
    if len(reason.encode()) > _LONGEST_REASON:
        raise ValueError(f"it has more than {_LONGEST_REASON} bytes of UTF-8 (RFC 6455, section 5.5)")
    return reason


def _one_of_bytes_and_text(values: Mapping[str, Any]) -> None:
    present = [name for name in ("bytes", "text") if values[name] is not None]
    if len(present) != 1:
        raise ValueError(
            f"has {' and '.join(present) or 'neither bytes nor text'}: exactly one must be there"
        )


def _info(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"{_kind(value)} is no dict whose keys are str")
    return value


def _links(value: Any) -> list[bytes]:
    if isinstance(value, bytes | str) or not isinstance(value, Iterable):
        raise ValueError(f"{_kind(value)} is no iterable of bytes")
    return [_bytes(link) for link in value]


def _absolute_path(value: Any) -> str:
    if not Path(_text(value)).is_absolute():
        raise ValueError(f"{value!r} is no absolute path")
    return str(value)


def _open_file(value: Any) -> Any:
    try:
        value.fileno()
    except (AttributeError, OSError):
        raise ValueError(f"{_kind(value)} has no file descriptor: pass a file that open() gave") from None
    return value


_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 60

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_ENDS_A_LINE = re.compile(rb"[\r\n\0]")
_SENDABLE_CODES = {*range(1000, 1004), *range(1007, 1015)}
_LONGEST_REASON = 123
"""A control frame carries 125 bytes, two of them the code."""

_WWW = "ASGI HTTP & WebSocket 2.5, "
_HEADERS = Key(_headers, ())
_START = {"status": Key(_status), "headers": _HEADERS, "trailers": Key(_flag, False)}
_BODY = {"body": Key(_bytes, b""), "more_body": Key(_flag, False)}

SHAPES: Mapping[str, Shape] = {
    "http.response.start": Shape(_WWW + "Response start", _START, more="trailers"),
    "http.response.body": Shape(_WWW + "Response body", _BODY, more="more_body"),
    "http.response.debug": Shape(
        "ASGI Extensions, Debug", {"info": Key(_info)}, extension="http.response.debug"
    ),
    "http.response.early_hint": Shape(
        "ASGI Extensions, Early hints", {"links": Key(_links)}, extension="http.response.early_hint"
    ),
    "http.response.pathsend": Shape(
        "ASGI Extensions, Path send", {"path": Key(_absolute_path)}, extension="http.response.pathsend"
    ),
    "http.response.zerocopysend": Shape(
        "ASGI Extensions, Zero copy send",
        {
            "file": Key(_open_file),
            "offset": Key(_optional(_number), None),
            "count": Key(_optional(_number), None),
            "more_body": Key(_flag, False),
        },
        more="more_body",
        extension="http.response.zerocopysend",
    ),
    "http.response.trailers": Shape(
        "ASGI Extensions, HTTP trailers",
        {"headers": Key(_headers), "more_trailers": Key(_flag, False)},
        more="more_trailers",
        extension="http.response.trailers",
    ),
    "websocket.accept": Shape(
        _WWW + "Accept",
        {"subprotocol": Key(_optional(_text), None), "headers": Key(_accept_headers, ())},
    ),
    "websocket.send": Shape(
        _WWW + "Send",
        {"bytes": Key(_optional(_bytes), None), "text": Key(_optional(_utf8), None)},
        whole=_one_of_bytes_and_text,
    ),
    "websocket.close": Shape(
        _WWW + "Close", {"code": Key(_close_code, 1000), "reason": Key(_close_reason, "")}
    ),
    "websocket.http.response.start": Shape(
        "ASGI Extensions, WebSocket denial response", _START, extension="websocket.http.response"
    ),
    "websocket.http.response.body": Shape(
        "ASGI Extensions, WebSocket denial response",
        _BODY,
        more="more_body",
        extension="websocket.http.response",
    ),
    "lifespan.startup.complete": Shape("ASGI Lifespan, Startup complete", {}),
    "lifespan.startup.failed": Shape("ASGI Lifespan, Startup failed", {"message": Key(_text, "")}),
    "lifespan.shutdown.complete": Shape("ASGI Lifespan, Shutdown complete", {}),
    "lifespan.shutdown.failed": Shape("ASGI Lifespan, Shutdown failed", {"message": Key(_text, "")}),
}
"""Every message that an application may send, by its type. (Server push is for HTTP/2, which is not spoken here.)"""

EXTENSIONS = frozenset(shape.extension for shape in SHAPES.values() if shape.extension is not None)
"""All extensions that the client knows."""
