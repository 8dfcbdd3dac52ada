"""The wire: which values cross, as what, and that no payload harms the one who reads it."""

from __future__ import annotations

import array
import dataclasses
import datetime as dt
import decimal
import enum
import uuid
from collections import OrderedDict
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from grader import transcript
from grader.worker import wire

READER = wire.Reader()
ZONES = st.none() | st.integers(-23 * 60, 23 * 60).map(
    lambda minutes: dt.timezone(dt.timedelta(minutes=minutes))
)
ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(1 << 200), 1 << 200),
    st.floats(allow_nan=False),
    ANY_TEXT,
    st.binary(),
    st.uuids(),
    st.decimals(allow_nan=False),
    st.datetimes(timezones=ZONES),
    st.dates(),
    st.times(timezones=ZONES),
)
KEYS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=5,
)
VALUES = st.recursive(
    KEYS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.sets(KEYS, max_size=4),
        st.dictionaries(KEYS, inner, max_size=4),
    ),
    max_leaves=25,
)


def crossed(value: Any, **options: bool) -> Any:
    """The value as the other end gets it."""
    return READER.decode(wire.encode(value, **options))


def exact(value: Any) -> Any:
    """A value with the type of each of its parts, so that == tells 1 from True and (1,) from [1]."""
    kind = type(value)
    if kind is dict:
        return kind, [(exact(key), exact(item)) for key, item in value.items()]
    if kind in (list, tuple):
        return kind, [exact(item) for item in value]
    if kind in (set, frozenset):
        return kind, sorted(repr(exact(item)) for item in value)
    if kind in (dt.datetime, dt.time):
        return kind, value.isoformat()
    return kind, repr(value)


@given(VALUES)
@example([(), [], {}, set(), frozenset(), b"", ""])
@example({"\ud800": "\udfff", b"": 1 << 64, -(1 << 63) - 1: None, (1, "a"): {None: {True: 1.0}}})
@example(float("-0.0"))
def test_exact_types_cross(value: Any) -> None:
    assert exact(crossed(value)) == exact(value)


def test_nan_crosses() -> None:
    assert repr(crossed([float("nan"), decimal.Decimal("NaN")])) == "[nan, Decimal('NaN')]"


class Color(enum.Enum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


class Word(enum.StrEnum):
    START = "http.response.start"


class Text(str):
    __slots__ = ()


class AlwaysEqual:
    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 1


@dataclasses.dataclass
class Point:
    x: int = 1


FOREIGN = [
    bytearray(b"x"), Text("x"), type("Whole", (int,), {})(1), type("Items", (list,), {})(), OrderedDict(a=1),
    Point(), Color.RED, Number.ONE, Word.START, AlwaysEqual(), memoryview(b""), array.array("b"), len, int, ..., 1j,
    range(3), iter(()), (n for n in ()),
]  # fmt: skip


@pytest.mark.parametrize("value", FOREIGN, ids=lambda value: type(value).__name__)
def test_anything_else_arrives_as_a_description_that_equals_nothing(value: Any) -> None:
    arrived = crossed(value)
    assert type(arrived) is wire.Foreign
    assert arrived.names[0] == type(value).__name__
    assert arrived != value
    assert value != arrived or isinstance(value, AlwaysEqual)
    assert arrived != arrived


def test_a_description_tells_the_class_and_its_plain_base() -> None:
    assert repr(crossed(Text("x"))) == "<a Text, a subclass of str>"
    assert repr(crossed(Point())) == "<a Point object>"
    assert crossed(Number.ONE).names[:3] == ("Number", "IntEnum", "int")


def test_descriptions_may_stand_in_sets_and_as_keys() -> None:
    assert [type(item) for item in crossed({Color.RED})] == [wire.Foreign]
    assert [type(key) for key in crossed({Color.RED: 1})] == [wire.Foreign]


def test_enums_of_int_and_str_cross_as_their_values_where_that_is_asked_for() -> None:
    value = {"type": Word.START, "status": Number.ONE, "other": Color.RED}
    arrived = crossed(value, enums=True)
    assert exact(arrived["type"]) == exact("http.response.start")
    assert exact(arrived["status"]) == exact(1)
    assert type(arrived["other"]) is wire.Foreign


def test_a_lying_metaclass_does_not_change_the_names() -> None:
    class Meta(type):
        @property
        def __name__(cls) -> str:  # type: ignore[override]
            return "str"

    liar = Meta("Liar", (), {})
    assert crossed(liar()).names == ("Liar",)


def test_a_snapshot_does_not_change() -> None:
    message = {"body": [1]}
    snapshot = wire.packed(message)
    message["body"].append(2)
    assert READER.decode(wire.frame_of([7, snapshot])[wire.HEADER :]) == [7, {"body": [1]}]


def test_shapes_are_built_for_the_trusted_only() -> None:
    payload = wire.encode({"body": wire.Once([b"a", b"b"]), "object": wire.Opaque("Thing")})
    built = wire.Reader(trusted=True).decode(payload)
    assert next(built["body"]) == b"a"
    assert list(built["body"]) == [b"b"]
    assert type(built["object"]).__name__ == "Thing"
    with pytest.raises(wire.WireError):
        READER.decode(payload)


# --- limits


def nested(kind: type, depth: int) -> Any:
    """Containers in containers."""
    value: Any = 1
    for _ in range(depth):
        value = {"k": value} if kind is dict else {None: value} if kind is Pairs else kind([value])
    return value


class Pairs:
    """Stands for a dict whose keys MessagePack lacks."""


@pytest.mark.parametrize("kind", [list, tuple, dict, Pairs])
def test_values_cross_up_to_a_depth(kind: type) -> None:
    deepest = nested(kind, wire.MAX_DEPTH)
    assert crossed(deepest) == deepest
    with pytest.raises(wire.WireError, match="deeper"):
        wire.encode(nested(kind, wire.MAX_DEPTH + 1))


@pytest.mark.parametrize(
    "value",
    [
        list(range(wire.MAX_ITEMS - 1)),
        [(b"a", b"b")] * ((wire.MAX_ITEMS - 1) // 3),
        {str(number): None for number in range((wire.MAX_ITEMS - 1) // 2)},
        [object()] * 20_000,
        set(range(wire.MAX_ITEMS - 1)),
        [{None: 1}] * 10_000,
        list(range(1 << 70, (1 << 70) + 20_000)),
        b"\x93" * (wire.MAX_FRAME - 10),
        {b"\x93" * 50: b"\xdf" * 50_000},
        {number: (number,) for number in range(5_000)},
        {(number,): number for number in range(wire.MAX_ODD_KEYS)},
    ],
    ids=["ints", "pairs", "dict", "objects", "set", "odd", "large", "bytes", "mixed", "tuples", "keys"],
)
def test_what_may_be_written_can_be_read(value: Any) -> None:
    assert len(crossed(value)) == len(value)


@pytest.mark.parametrize(
    "value",
    [
        [None] * wire.MAX_ITEMS,
        [(1, 2)] * (wire.MAX_ITEMS // 2),
        bytes(wire.MAX_FRAME),
        "x" * wire.MAX_FRAME,
        {(number,): 1 for number in range(wire.MAX_ODD_KEYS + 1)},
        {number * ((1 << 61) - 1) << 64 for number in range(1, wire.MAX_ODD_KEYS + 2)},
    ],
    ids=["items", "pairs", "bytes", "text", "keys", "colliding"],
)
def test_what_is_too_large_cannot_be_written(value: Any) -> None:
    with pytest.raises(wire.WireError):
        wire.encode(value)


def test_a_snapshot_leaves_room_for_the_frame_around_it() -> None:
    largest = bytes(wire.MAX_FRAME - wire.ENVELOPE - 5)
    assert len(wire.frame_of([1 << 60, "send", 7, wire.packed(largest)])) <= wire.MAX_FRAME + wire.HEADER
    with pytest.raises(wire.WireError):
        wire.packed(largest + b"x")


def extension(code: int, data: bytes) -> bytes:
    """An extension of MessagePack, in its largest form."""
    return b"\xc9" + len(data).to_bytes(4, "big") + bytes([code]) + data


EMPTY_ARRAYS = b"\xdd" + (60_000).to_bytes(4, "big") + b"\x90" * 60_000
TUPLE, SET, PAIRS, BIG_INT, STRING, FOREIGN_CODE = 1, 2, 4, 5, 6, 20
HOSTILE = {
    "many items": b"\xdd" + (120_000).to_bytes(4, "big") + b"\x90" * 120_000,
    "many items in extensions": b"\x92" + extension(TUPLE, EMPTY_ARRAYS) * 2,
    "many items in an extension in an extension": b"\x92"
    + extension(TUPLE, b"\x91" + extension(TUPLE, EMPTY_ARRAYS)) * 2,
    "items in the names of a class": extension(FOREIGN_CODE, EMPTY_ARRAYS),
    "a hidden end": b"\x92" + extension(TUPLE, b"\xdb\xff\xff\xff\xff") + EMPTY_ARRAYS * 2,
    "deep arrays": b"\x91" * 300 + b"\x90",
    "very deep arrays": b"\x91" * 500_000 + b"\x90",
    "deep maps": b"\x81\xa1k" * 300 + b"\xc0",
    "an array that is not there": b"\xdd\xff\xff\xff\xff",
    "a map that is not there": b"\xdf\xff\xff\xff\xff",
    "a string that is not there": b"\xdb\xff\xff\xff\xff",
    "colliding keys": b"\xde\x07\xd0"
    + b"".join(
        extension(BIG_INT, (n * ((1 << 61) - 1) << 64).to_bytes(20, "big")) + b"\xc0" for n in range(2000)
    ),
    "colliding pairs": extension(
        PAIRS,
        b"\xdc\x07\xd0"
        + b"".join(
            b"\x92" + extension(BIG_INT, (n * ((1 << 61) - 1) << 64).to_bytes(20, "big")) + b"\xc0"
            for n in range(2000)
        ),
    ),
    "an unhashable key": extension(PAIRS, b"\x91\x92\x90\xc0"),
    "an unhashable member": extension(SET, b"\x91\x90"),
    "pairs that are none": extension(PAIRS, b"\x91\x93\x01\x02\x03"),
    "a tuple that is a number": extension(TUPLE, b"\x01"),
    "an unknown extension": extension(99, b""),
    "a time stamp out of range": extension(255, b"\xff" * 12),
    "a byte that MessagePack never uses": b"\xc1",
    "rest": b"\x01\x02",
    "nothing": b"",
    "text that is no UTF-8": b"\xa1\xff",
    "a UUID that is none": extension(7, b"x"),
    "a number that is none": extension(8, b"x"),
    "too many bytes": bytes(wire.MAX_FRAME + 1),
}


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=list(HOSTILE))
def test_a_hostile_payload_is_refused(payload: bytes) -> None:
    with pytest.raises(wire.WireError):
        READER.decode(payload)


def is_read_or_refused(payload: bytes) -> None:
    try:
        value = READER.decode(payload)
    except wire.WireError:
        return
    transcript.text(value)
    repr(wire.to_json(None))


@given(st.binary(max_size=300))
@settings(max_examples=500)
def test_any_bytes_are_read_or_refused(payload: bytes) -> None:
    is_read_or_refused(payload)


@given(VALUES, st.data())
@settings(max_examples=300)
def test_a_changed_payload_is_read_or_refused(value: Any, data: st.DataObject) -> None:
    payload = bytearray(wire.encode(value))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(payload) - 1))
        payload[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
        payload = payload or bytearray(b"\xc0")
    is_read_or_refused(bytes(payload))


@given(st.lists(st.binary(max_size=40), max_size=6), st.integers(1, 9))
def test_frames_are_cut_wherever_the_stream_is(payloads: list[bytes], size: int) -> None:
    stream = b"".join(map(wire.frame, payloads))
    frames, found = wire.Frames(), []
    for start in range(0, len(stream), size):
        frames.feed(stream[start : start + size])
        found.extend(frames)
    assert found == payloads


def test_a_frame_that_announces_too_much_is_refused_before_it_comes() -> None:
    frames = wire.Frames()
    frames.feed((wire.MAX_FRAME + 1).to_bytes(wire.HEADER, "big"))
    with pytest.raises(wire.WireError):
        next(iter(frames))


# --- in a report


@given(VALUES)
def test_values_survive_a_report(value: Any) -> None:
    stored = msgspec.json.decode(msgspec.json.encode(wire.to_json(value)))
    assert exact(wire.from_json(stored)) == exact(value)


def test_shapes_survive_a_report() -> None:
    again = wire.from_json(wire.to_json({"body": wire.Once([b"a"]), "object": wire.Opaque("Thing")}))
    assert repr(again) == "{'body': iter([b'a']), 'object': <some Thing>}"


@pytest.mark.parametrize(
    "stored", [{}, {"$msgpack": 1}, {"$msgpack": "zz"}, {"$msgpack": "c1"}, {"$msgpack": ""}]
)
def test_a_damaged_stored_value_is_refused(stored: Any) -> None:
    with pytest.raises(wire.WireError):
        wire.from_json(stored)


def test_uuid_and_datetime_arrive_as_what_they_are() -> None:
    value = [uuid.UUID(int=7), dt.datetime(2024, 2, 29, 1, 2, 3, 4, dt.UTC), dt.time(1, tzinfo=dt.UTC)]
    assert crossed(value) == value
