"""What crosses the boundary: values of exact types, in frames of bounded size.

Rule 1: a value is checked by a walk of our own before it is encoded; msgspec alone would change types in silence.
Rule 2: exact types cross. What is no plain value crosses as a `Foreign`, a description that equals nothing.
Rule 3: a frame has at most `MAX_FRAME` bytes, `MAX_ITEMS` items and a bounded depth, measured before it is decoded.
Rule 4: whatever is wrong with a frame is a `WireError`, and nothing else is raised.

Both ends use this module; it imports the standard library and msgspec only.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
from msgspec.msgpack import Decoder, Encoder, Ext

MAX_FRAME = 1 << 20
"""Bytes of one frame's payload."""
MAX_ITEMS = 100_000
"""Values in one frame, containers and their keys included."""
MAX_DEPTH = 64
"""How deep containers may nest."""
MAX_ODD_KEYS = 1_000
"""Keys of one dict, or members of one set, that are neither str, bytes nor ints of 64 bits: their hashes may be made
to collide, and then the time to decode them grows with the square of their number."""
ENVELOPE = 1 << 10
"""Bytes, and items, that a frame may hold around the one value that it carries."""
HEADER = 4
"""Bytes before the payload: its length, unsigned, big-endian."""

_TUPLE, _SET, _FROZENSET, _PAIRS = 1, 2, 3, 4
_INT, _STR, _UUID, _DECIMAL, _DATETIME, _DATE, _TIME = 5, 6, 7, 8, 9, 10, 11
_FOREIGN, _ONCE, _OPAQUE = 20, 30, 31


class WireError(Exception):
    """A value or a frame cannot cross."""


class Foreign:
    """An object that cannot cross: the class names along its MRO. It equals nothing, not even itself."""

    __slots__ = ("names",)

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = object.__hash__  # it may stand in a set, and as a key of a dict

    def __repr__(self) -> str:
        name = self.names[0]
        base = next((base for base in self.names[1:] if base in _PLAIN_NAMES), None)
        return f"<a {name}, a subclass of {base}>" if base else f"<a {name} object>"


class Once:
    """Stands for a one-shot iterable: the worker makes an iterator over `items` of it."""

    __slots__ = ("items",)

    def __init__(self, items: Any) -> None:
        self.items = list(items)

    def __repr__(self) -> str:
        return f"iter({self.items!r})"


class Opaque:
    """Stands for an object of an unknown class: the worker makes one."""

    __slots__ = ("name",)

    def __init__(self, name: str = "object") -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<some {self.name}>"


_PLAIN_NAMES = frozenset(
    {"str", "bytes", "bytearray", "int", "float", "bool", "list", "tuple", "dict", "set", "frozenset"}
)
_encoder = Encoder()
_encode = _encoder.encode


def encode(value: Any, *, enums: bool = False, exact: bool = False) -> bytes:
    """A value as the payload of a frame. With `enums`, members of IntEnum and StrEnum cross as their values.

    Raises WireError where it is too large, too deep or too many, and with `exact` where it would cross as a Foreign.
    """
    try:
        payload = _encode(_Walk(enums, exact).pack(value, 0))
    except (ValueError, OverflowError, TypeError, RecursionError) as error:
        raise WireError(f"it cannot be encoded: {error}") from error
    if len(payload) > MAX_FRAME:
        raise WireError(f"it has {len(payload)} bytes encoded, more than {MAX_FRAME}")
    return payload


def packed(value: Any, *, enums: bool = False) -> msgspec.Raw:
    """A value encoded now, to be put into a later frame: a snapshot. Raises WireError as `encode` does."""
    payload = encode(value, enums=enums)
    if len(payload) > MAX_FRAME - ENVELOPE:
        raise WireError(f"it has {len(payload)} bytes encoded, more than {MAX_FRAME - ENVELOPE}")
    return msgspec.Raw(payload)


def frame(payload: bytes) -> bytes:
    """A payload with its header."""
    return len(payload).to_bytes(HEADER, "big") + payload


def frame_of(parts: list[Any]) -> bytes:
    """A frame of parts that are plain already, or `packed`."""
    payload = _encode(parts)
    if len(payload) > MAX_FRAME:
        raise WireError(f"it has {len(payload)} bytes encoded, more than {MAX_FRAME}")
    return frame(payload)


class _Walk:
    """One walk over a value; counts what it meets."""

    __slots__ = ("enums", "exact", "items")

    def __init__(self, enums: bool, exact: bool) -> None:
        self.enums = enums
        self.exact = exact
        self.items = 0

    def pack(self, value: Any, depth: int) -> Any:
        self.items += 1
        if self.items > MAX_ITEMS:
            raise WireError(f"it has more than {MAX_ITEMS} values in it")
        kind = type(value)
        if kind in _SCALARS:
            return value
        if kind is str:
            return Ext(_STR, value.encode("utf-8", "surrogatepass")) if _has_surrogates(value) else value
        if kind is int:
            return value if -(1 << 63) <= value < 1 << 64 else Ext(_INT, _int_bytes(value))
        if depth >= MAX_DEPTH:
            raise WireError(f"it nests deeper than {MAX_DEPTH} levels")
        if kind is dict:
            return self._dict(value, depth + 1)
        if kind is list:
            return [self.pack(item, depth + 1) for item in value]
        special = _PACKERS.get(kind)
        if special is not None:
            return special(self, value, depth + 1)
        if self.enums and isinstance(value, enum.Enum) and isinstance(value, (int, str)):
            return self.pack(value.value, depth + 1)
        if self.exact:
            raise WireError(f"it holds a {class_names(kind)[0]}, which is no plain value")
        return Ext(_FOREIGN, _encode(list(class_names(kind))))

    def _dict(self, value: dict[Any, Any], depth: int) -> Any:
        self.items += len(value)
        if all(_is_plain_key(key) and not _has_surrogates(key) for key in value):
            return {key: self.pack(item, depth) for key, item in value.items()}
        _check_keys(value)
        pairs = [[self.pack(key, depth), self.pack(item, depth)] for key, item in value.items()]
        return Ext(_PAIRS, _encode(pairs))

    def _list(self, value: Any, depth: int) -> list[Any]:
        return [self.pack(item, depth) for item in value]


_SCALARS = frozenset({type(None), bool, float, bytes, msgspec.Raw})


def _packer(code: int, text: Callable[[Any], str]) -> Callable[[_Walk, Any, int], Any]:
    return lambda walk, value, depth: Ext(code, text(value).encode("ascii"))


def _sorted_set(code: int) -> Callable[[_Walk, Any, int], Any]:
    def pack(walk: _Walk, value: Any, depth: int) -> Any:
        _check_keys(value)
        items = sorted(_encode(item) for item in walk._list(value, depth))
        return Ext(code, _encode([msgspec.Raw(item) for item in items]))

    return pack


_PACKERS: dict[type, Callable[[_Walk, Any, int], Any]] = {
    tuple: lambda walk, value, depth: Ext(_TUPLE, _encode(walk._list(value, depth))),
    set: _sorted_set(_SET),
    frozenset: _sorted_set(_FROZENSET),
    uuid.UUID: _packer(_UUID, str),
    decimal.Decimal: _packer(_DECIMAL, str),
    datetime.datetime: _packer(_DATETIME, datetime.datetime.isoformat),
    datetime.date: _packer(_DATE, datetime.date.isoformat),
    datetime.time: _packer(_TIME, datetime.time.isoformat),
    Once: lambda walk, value, depth: Ext(_ONCE, _encode(walk._list(value.items, depth))),
    Opaque: lambda walk, value, depth: Ext(_OPAQUE, _encode(value.name)),
    Foreign: lambda walk, value, depth: Ext(_FOREIGN, _encode(list(value.names))),
}


def class_names(kind: type) -> tuple[str, ...]:
    """The names along a class's MRO without `object`, untouched by a metaclass."""
    name_of = type.__dict__["__name__"].__get__
    names = tuple(
        name_of(base)[:200] for base in type.__dict__["__mro__"].__get__(kind) if base is not object
    )
    return names[:20] or ("object",)


def _is_plain_key(key: Any) -> bool:
    kind = type(key)
    return kind is str or kind is bytes or (kind is int and -(1 << 63) <= key < 1 << 64)


def _check_keys(keys: Iterable[Any]) -> None:
    """Raise ValueError where too many keys are of types whose hashes may collide."""
    if sum(not _is_plain_key(key) for key in keys) > MAX_ODD_KEYS:
        raise ValueError(f"more than {MAX_ODD_KEYS} unusual keys")


def _has_surrogates(value: Any) -> bool:
    if type(value) is not str or value.isascii():
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False


def _int_bytes(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


class Reader:
    """Decodes payloads. With `trusted`, the sender may also order shapes (`Once`, `Opaque`) to be built."""

    def __init__(self, *, trusted: bool = False) -> None:
        self._trusted = trusted
        self._decoder = Decoder(ext_hook=self._ext)

    def decode(self, payload: bytes) -> Any:
        """The value of a payload. Raises WireError."""
        if len(payload) > MAX_FRAME:
            raise WireError(f"a frame of {len(payload)} bytes")
        try:
            if len(payload) > _SMALL or len(payload.translate(None, _NO_CONTAINERS)) > _MAX_LEVELS:
                _measure(payload)
            return self._decoder.decode(payload)
        except _DECODING_ERRORS as error:
            raise WireError(f"a malformed frame: {type(error).__name__}") from error

    def _ext(self, code: int, data: memoryview) -> Any:
        if code in _TEXTUAL:
            return _TEXTUAL[code](str(data, "ascii"))
        if code == _INT:
            return int.from_bytes(data, "big", signed=True)
        if code == _STR:
            return str(data, "utf-8", "surrogatepass")
        if code == _FOREIGN:
            return Foreign(tuple(_names.decode(data)) or ("object",))
        if code in (_SET, _FROZENSET):
            items = self._decoder.decode(data)
            _check_keys(items)
            return (set if code == _SET else frozenset)(items)
        if code == _TUPLE:
            return tuple(self._decoder.decode(data))
        if code == _PAIRS:
            pairs = self._decoder.decode(data)
            _check_keys(key for key, _ in pairs)
            return dict(pairs)
        if self._trusted and code == _ONCE:
            return iter(self._decoder.decode(data))
        if self._trusted and code == _OPAQUE:
            return type(str(self._decoder.decode(data)), (), {"__slots__": ()})()
        raise ValueError(f"unknown kind of value {code}")


_TEXTUAL: dict[int, Callable[[str], Any]] = {
    _UUID: uuid.UUID,
    _DECIMAL: decimal.Decimal,
    _DATETIME: datetime.datetime.fromisoformat,
    _DATE: datetime.date.fromisoformat,
    _TIME: datetime.time.fromisoformat,
}
_DECODING_ERRORS = (
    msgspec.MsgspecError,
    ValueError,
    TypeError,
    RecursionError,
    OverflowError,
    ArithmeticError,
    MemoryError,
    LookupError,
)


_names = Decoder(list[str])
_SMALL = 16 << 10
"""Bytes of a payload that can do no harm, unless it nests."""
_NO_CONTAINERS = bytes(
    {*range(0x80), *range(0xA0, 0xC7), *range(0xCA, 0xD4), *range(0xD9, 0xDC), *range(0xE0, 0x100)}
)
"""Bytes that are no header of a map, an array or an extension."""
_WRAPPERS = frozenset({_TUPLE, _SET, _FROZENSET, _PAIRS, _ONCE})
"""Extensions that hold one encoded array."""
_MAX_LEVELS = 2 * MAX_DEPTH + 8
"""Levels of arrays and maps in a frame: a dict as pairs takes two, the frame a few of its own."""


def _measure(payload: bytes) -> None:
    """Walk a payload, and what its extensions wrap, without decoding it.

    Raises ValueError for too many items, for too deep nesting, and for a key of a map that no end of ours writes.
    An extension whose length is not that of the value in it misleads this walk, but is then refused by the decoder
    before anything behind it is decoded.
    """
    position, items, end = 0, 0, len(payload)
    levels: list[list[int]] = []  # of each open container: items still to come, and 1 for a map
    while position < end:
        first = payload[position]
        code = _wrapper(payload, position)
        if code in _WRAPPERS:
            position += 2 + _EXT_SIZES.get(first, 0)
            continue
        items += 1
        if items > MAX_ITEMS + ENVELOPE:
            raise ValueError("too many items")
        while levels and not levels[-1][0]:
            levels.pop()
        if levels:
            remaining, is_map = levels[-1]
            if is_map and remaining % 2 == 0 and not _may_be_key(first):
                raise ValueError("an unusual key")
            levels[-1][0] -= 1
        inside, is_map = _contained(payload, position)
        if inside:
            levels.append([inside, is_map])
            if len(levels) > _MAX_LEVELS:
                raise ValueError("nested too deep")
        position += _width(payload, position)


def _wrapper(payload: bytes, position: int) -> int | None:
    """The code of the extension at `position`, or None if there is none."""
    first = payload[position]
    if first in _EXT_SIZES:
        return payload[position + 1 + _EXT_SIZES[first]]
    return None


def _contained(payload: bytes, position: int) -> tuple[int, int]:
    """How many items the container at `position` holds (0 if it is none), and 1 if it is a map."""
    first = payload[position]
    if 0x80 <= first < 0x90:
        return 2 * (first & 0x0F), 1
    if 0x90 <= first < 0xA0:
        return first & 0x0F, 0
    if 0xDC <= first <= 0xDF:
        is_map = int(first >= 0xDE)
        size = int.from_bytes(payload[position + 1 : position + _WIDTHS[first]], "big")
        return size << is_map, is_map
    return 0, 0


def _may_be_key(first: int) -> bool:
    """Whether the header byte is that of a str, a bytes or an int."""
    return first < 0x80 or 0xA0 <= first < 0xC0 or first >= 0xE0 or first in _KEY_HEADERS


def _width(payload: bytes, position: int) -> int:
    """Bytes of the item at `position`, without what a container holds. The table of the MessagePack format."""
    first = payload[position]
    if first < 0xA0 or first >= 0xE0:  # fixint, fixmap, fixarray
        return 1
    if first < 0xC0:  # fixstr
        return 1 + (first & 0x1F)
    fixed = _WIDTHS.get(first)
    if fixed is not None:
        return fixed
    size, extra = _SIZED[first]
    return 1 + size + extra + int.from_bytes(payload[position + 1 : position + 1 + size], "big")


_EXT_SIZES = {0xC7: 1, 0xC8: 2, 0xC9: 4, 0xD4: 0, 0xD5: 0, 0xD6: 0, 0xD7: 0, 0xD8: 0}
"""Bytes of an extension's length, by its header."""
_KEY_HEADERS = frozenset({*range(0xC4, 0xC7), *range(0xCC, 0xD4), *range(0xD9, 0xDC)})
_WIDTHS = {
    0xC0: 1, 0xC2: 1, 0xC3: 1, 0xCA: 5, 0xCB: 9, 0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9, 0xD0: 2, 0xD1: 3, 0xD2: 5,
    0xD3: 9, 0xD4: 3, 0xD5: 4, 0xD6: 6, 0xD7: 10, 0xD8: 18, 0xDC: 3, 0xDD: 5, 0xDE: 3, 0xDF: 5,
}  # fmt: skip
_SIZED = {
    0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0), 0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1),
    0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0),
}  # fmt: skip


class Frames:
    """Cuts a stream of bytes into payloads."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Take bytes as they came."""
        self._buffer += data

    def __iter__(self) -> Iterator[bytes]:
        """The payloads that are complete. Raises WireError for one that announces too many bytes."""
        while len(self._buffer) >= HEADER:
            size = int.from_bytes(self._buffer[:HEADER], "big")
            if size > MAX_FRAME:
                raise WireError(f"a frame of {size} bytes")
            if len(self._buffer) < HEADER + size:
                return
            payload = bytes(self._buffer[HEADER : HEADER + size])
            del self._buffer[: HEADER + size]
            yield payload


def to_json(value: Any) -> Any:
    """A value for a report in JSON; what JSON lacks stands as `{"$msgpack": hex}`. Raises WireError."""
    if value is None or (type(value) in (bool, str, int, float) and _json_plain(value)):
        return value
    return {"$msgpack": encode(value, exact=True).hex()}


def from_json(value: Any) -> Any:
    """The value that `to_json` wrote. Raises WireError."""
    if not isinstance(value, dict):
        return value
    try:
        return _REPLAY.decode(bytes.fromhex(value["$msgpack"]))
    except (ValueError, KeyError, TypeError) as error:
        raise WireError(f"no stored value: {error}") from error


def _json_plain(value: Any) -> bool:
    if type(value) is str:
        return not _has_surrogates(value)
    if type(value) is float:
        return value - value == 0.0
    return type(value) is not int or -(1 << 53) <= value <= 1 << 53


class _ReplayReader(Reader):
    """Reads back the judge's own values: shapes stay shapes."""

    def _ext(self, code: int, data: memoryview) -> Any:
        if code == _ONCE:
            return Once(self._decoder.decode(data))
        if code == _OPAQUE:
            return Opaque(self._decoder.decode(data))
        return super()._ext(code, data)


_REPLAY = _ReplayReader()
