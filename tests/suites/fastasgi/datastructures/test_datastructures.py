"""Judges multi-valued data by plain lists of pairs, and query strings by a reader of our own.

Rule 1: what an object has to say is worked out here from the list of pairs that it was made from.
Rule 2: a test asks as few questions as it can, and makes its objects the plainest way, so that a mistake costs
the requirement that it is about: headers to be read or changed are made from `raw`, which is not checked.
Rule 3: a test that demands a refusal or an absence first demands that the like of it is there.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, TypeVar

from hypothesis import assume, example, given
from hypothesis import strategies as st

from grader.suite import Once, Submission, raised, requirement

Test = TypeVar("Test", bound=Callable[..., None])
Pairs = list[tuple[str, Any]]
Raw = list[tuple[bytes, bytes]]
Step = list[Any]

TCHAR = string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~"
"""The characters of a token (RFC 9110, section 5.6.2)."""

# --- the oracle ---------------------------------------------------------------------------------------------


def of(key: str, pairs: Pairs) -> list[Any]:
    """All values of a key."""
    return [value for each, value in pairs if each == key]


def keys_of(pairs: Pairs) -> list[str]:
    """Each key once, in the order in which they first come."""
    return list(dict.fromkeys(key for key, _ in pairs))


def lower(name: str) -> str:
    """A name in lower case, of its ASCII letters alone."""
    return "".join(letter.lower() if letter in string.ascii_uppercase else letter for letter in name)


def as_text(raw: Raw) -> Pairs:
    """Headers as text, names in lower case."""
    return [(lower(name.decode("latin-1")), value.decode("latin-1")) for name, value in raw]


def as_bytes(pairs: Pairs) -> Raw:
    """Headers as ASGI messages have them."""
    return [(lower(name).encode("latin-1"), value.encode("latin-1")) for name, value in pairs]


def fields(query: bytes) -> Pairs:
    """What a query string says."""
    found = []
    for field in query.split(b"&"):
        if field != b"":
            name, _, value = field.partition(b"=")
            found.append((unquoted(name), unquoted(value)))
    return found


def unquoted(text: bytes) -> str:
    """A name or a value as text: `+` is a space, `%` and two hexadecimal digits are a byte."""
    decoded = bytearray()
    rest = text
    while rest:
        digits = rest[1:3]
        if rest[:1] == b"%" and len(digits) == 2 and digits.strip(string.hexdigits.encode()) == b"":
            decoded.append(int(digits, 16))
            rest = rest[3:]
        else:
            decoded += rest[:1].replace(b"+", b" ")
            rest = rest[1:]
    return decoded.decode("utf-8", "replace")


def put(pairs: Pairs, name: str, values: Sequence[str]) -> Pairs:
    """The pairs with `values` where the first one of that name is, or at the end, instead of all of that name."""
    place = next((place for place, (each, _) in enumerate(pairs) if each == lower(name)), len(pairs))
    rest = [pair for pair in pairs[place:] if pair[0] != lower(name)]
    return pairs[:place] + [(lower(name), value) for value in values] + rest


def after(pairs: Pairs, steps: Sequence[Step]) -> Pairs:
    """The pairs after some steps."""
    for step in steps:
        pairs = _after(pairs, *step)
    return pairs


def _after(pairs: Pairs, step: str, *values: Any) -> Pairs:
    if step == "set":
        return put(pairs, values[0], [values[1]])
    if step == "del":
        return put(pairs, values[0], [])
    if step == "append":
        return [*pairs, (lower(values[0]), values[1])]
    if step == "setdefault":
        return pairs if of(lower(values[0]), pairs) else _after(pairs, "append", *values)
    given_pairs = [(lower(name), value) for name, value in values[0]]
    for name in keys_of(given_pairs):
        pairs = put(pairs, name, of(name, given_pairs))
    return pairs


# --- what is drawn ------------------------------------------------------------------------------------------

LETTERS_AND_SIGNS = "ab &=+%;#?é€𝄞\n\0"
TEXTS = st.text(LETTERS_AND_SIGNS, max_size=5)
KEYS = st.sampled_from(["a", "b", "c", "A", "", "é"])
VALUES = st.sampled_from([1, 2, 3, 0, None, "", "x", "é"])
PAIRS = st.lists(st.tuples(KEYS, VALUES), max_size=6)
TEXT_PAIRS = st.lists(st.tuples(KEYS, TEXTS), max_size=4)

NAMES = st.sampled_from(["x-a", "X-A", "x-A", "Host", "host", "set-cookie", "Set-Cookie"])
HEADER_TEXTS = st.sampled_from(["1", "2", "", "a b", "a=1; b", "x,y", "é\xff", " a "])
HEADERS = st.lists(st.tuples(NAMES | st.sampled_from(["a'b", "1", "~"]), HEADER_TEXTS), max_size=5)
RAW_NAMES = st.sampled_from([b"x-a", b"X-A", b"x-A", b"Host", b"host"])
RAW = st.lists(st.tuples(RAW_NAMES, st.sampled_from([b"1", b"2", b"3", b"", b"\xe9"])), max_size=5)
ANY_RAW = st.lists(st.tuples(RAW_NAMES | st.binary(max_size=3), st.binary(max_size=5)), max_size=4)

FEW_PAIRS = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("12")), max_size=4)
FEW_RAW = FEW_PAIRS.map(lambda pairs: [(name.encode(), value.encode()) for name, value in pairs])

FOUR: Raw = [(b"a", b"1"), (b"b", b"2"), (b"c", b"3"), (b"b", b"4")]
"""Headers of which the second and the fourth have one name."""
ABC: Pairs = [("a", 1), ("b", 2), ("a", 3)]
"""Pairs of which the first and the third have one key."""


def each(**values: Sequence[Any]) -> Callable[[Test], Test]:
    """Pins one example for each combination of these values, the first to be tried first."""

    def pin(test: Test) -> Test:
        for combination in reversed(list(product(*values.values()))):
            test = example(**dict(zip(values, combination, strict=True)))(test)
        return test

    return pin


EMPTIED = "what it was made from was emptied afterwards, and that shows: keep a copy"
SPOILT = "somebody has appended to the lists that it gave, and that shows: give copies"


# --- MultiDict ----------------------------------------------------------------------------------------------


@requirement("DATA-01")
@given(pairs=PAIRS.filter(bool), place=st.integers(0, 7))
@example(pairs=ABC, place=0)
@example(pairs=[("a", None), ("a", 1)], place=0)
@example(pairs=[("a", ""), ("a", "x")], place=0)
@example(pairs=[("a", 0)], place=0)
@example(pairs=[("", 5)], place=0)
def test_a_lookup_gives_the_first_value(submission: Submission, pairs: Pairs, place: int) -> None:
    """`data[key]` and `data.get(key)` give the first value of the key, also one that is false."""
    key = pairs[place % len(pairs)][0]
    first = of(key, pairs)[0]
    assert submission.call("item", made="MultiDict(source)", source=pairs, key=key) == first
    assert submission.call("get", made="MultiDict(source)", source=pairs, key=key) == first
    assert submission.call("get_or", made="MultiDict(source)", source=pairs, key=key, default=99) == first
    assert submission.call("contains", made="MultiDict(source)", source=pairs, key=key) is True


@requirement("DATA-01")
@given(pairs=PAIRS, key=KEYS)
@example(pairs=ABC, key="a")
@example(pairs=[("a", 1), ("a", 1)], key="a")
@example(pairs=[("b", 1), ("a", 1), ("b", 1)], key="b")
@example(pairs=ABC, key="c")
@example(pairs=[], key="a")
def test_all_pairs_are_kept(submission: Submission, pairs: Pairs, key: str) -> None:
    """`getlist(key)` gives all values of the key in order, none for a missing key; `multi_items()` all pairs."""
    assert submission.call("getlist", made="MultiDict(source)", source=ABC, key="a") == [1, 3]
    assert submission.call("getlist", made="MultiDict(source)", source=pairs, key=key) == of(key, pairs)
    assert submission.call("multi_items", made="MultiDict(source)", source=pairs) == pairs


@requirement("DATA-01")
@given(pairs=PAIRS)
@example(pairs=[("b", 1), ("a", 2), ("b", 3), ("a", 4)])
@example(pairs=[("b", None), ("b", 3)])
@example(pairs=[])
def test_iteration_gives_each_key_once(submission: Submission, pairs: Pairs) -> None:
    """Iteration, `items()` and `len` see each key once, in order of first sight, with its first value."""
    keys = keys_of(pairs)
    assert submission.call("keys", made="MultiDict(source)", source=ABC) == ["a", "b"]
    is_mapping = submission.call("is_mapping", made="MultiDict(source)", source=pairs)
    assert is_mapping is True, "MultiDict is not derived from collections.abc.Mapping"
    assert submission.call("keys", made="MultiDict(source)", source=pairs) == keys
    first = [(key, of(key, pairs)[0]) for key in keys]
    assert submission.call("items", made="MultiDict(source)", source=pairs) == first
    assert submission.call("length", made="MultiDict(source)", source=pairs) == len(keys)


@requirement("DATA-01")
@given(pairs=st.sampled_from([[], [("b", 1)], [("A", 1), ("b", None)]]), default=VALUES)
@example(pairs=[], default=5)
def test_a_missing_key_is_told(submission: Submission, pairs: Pairs, default: Any) -> None:
    """A key that is not there: KeyError from `data[key]`, None or the default from `get`, False from `in`."""
    assert submission.call("item", made="MultiDict(source)", source=ABC, key="b") == 2
    with raised("KeyError"):
        submission.call("item", made="MultiDict(source)", source=pairs, key="a")
    assert submission.call("get", made="MultiDict(source)", source=pairs, key="a") is None
    got = submission.call("get_or", made="MultiDict(source)", source=pairs, key="a", default=default)
    assert got == default
    assert submission.call("contains", made="MultiDict(source)", source=pairs, key="a") is False


@requirement("DATA-02")
@given(pairs=PAIRS)
@example(pairs=ABC)
@example(pairs=[("a", 1), ("b", 2)])
def test_it_is_made_from_pairs_or_a_dict(submission: Submission, pairs: Pairs) -> None:
    """It is made from a list, a dict, an iterator that can be gone through only once, or from nothing at all."""
    for source in (pairs, Once(pairs)):
        assert submission.call("multi_items", made="MultiDict(source)", source=source) == pairs
    assert submission.call("keys", made="MultiDict(source)", source=Once(pairs)) == keys_of(pairs)
    items = dict(pairs)
    got = submission.call("multi_items", made="MultiDict(source)", source=items)
    assert got == list(items.items())
    assert submission.call("multi_items", made="MultiDict()", source=None) == []
    assert submission.call("multi_items", made="QueryParams()", source=None) == []


RAW_CASES: list[Raw] = [
    [],
    [(b"a", b"1"), (b"b", b"2"), (b"A", b"3")],
    [(b"a", b"1"), (b"a", b"1")],
    [(b"Host", b"\xe9"), (b"x", b""), (b"X", b"1"), (b"host", b"2")],
]


@requirement("DATA-02")
@given(raw=st.sampled_from(RAW_CASES))
@each(raw=RAW_CASES)
def test_of_another_all_pairs_are_taken(submission: Submission, raw: Raw) -> None:
    """Made from another `MultiDict`, a `QueryParams` or a `Headers`, it takes all pairs, not only first values."""
    pairs = as_text(raw)
    for made in ("MultiDict(MultiDict(source))", "MultiDict(QueryParams(source))"):
        assert submission.call("multi_items", made=made, source=pairs) == pairs
    assert submission.call("multi_items", made="MultiDict(Headers(raw=source))", source=raw) == pairs


@requirement("DATA-02")
def test_it_can_be_the_base_of_a_class(submission: Submission) -> None:
    """`class Numbers(MultiDict[int])` is a class whose objects read like any `MultiDict`."""
    made = "a class Numbers(MultiDict[int])"
    assert submission.call("multi_items", made=made, source=ABC) == ABC
    assert submission.call("getlist", made=made, source=ABC, key="a") == [1, 3]


@requirement("DATA-02")
@given(pairs=PAIRS, key=KEYS)
@example(pairs=ABC, key="a")
@example(pairs=ABC, key="c")
def test_it_never_changes(submission: Submission, pairs: Pairs, key: str) -> None:
    """What is done to what it was made from, or to a list that it gave, does not show in it; no item can be set."""
    got = submission.call("after_source_changed", made="MultiDict(source)", source=pairs)
    assert got == pairs, EMPTIED
    items = dict(pairs)
    got = submission.call("after_source_changed", made="MultiDict(source)", source=items)
    assert got == list(items.items()), EMPTIED
    got = submission.call("after_results_changed", made="MultiDict(source)", source=pairs, key=key)
    assert got == [of(key, pairs), pairs], SPOILT
    with raised("TypeError"):
        submission.call("set_item", made="MultiDict(source)", source=pairs, key=key, value="2")
    with raised("TypeError"):
        submission.call("delete_item", made="MultiDict(source)", source=pairs, key=key)


# --- equality -----------------------------------------------------------------------------------------------

KINDS = ["MultiDict(source)", "QueryParams(source)"]
HEADER_KINDS = ["Headers(raw=source)", "MutableHeaders(raw=source)"]


@requirement("DATA-03")
@given(made=st.sampled_from(KINDS), other=st.sampled_from(KINDS), one=FEW_PAIRS, two=FEW_PAIRS)
@example(made=KINDS[0], other=KINDS[0], one=[("a", "1"), ("b", "2")], two=[("b", "2"), ("a", "1")])
@example(made=KINDS[0], other=KINDS[0], one=[("a", "1"), ("a", "2")], two=[("a", "2"), ("a", "1")])
@example(made=KINDS[0], other=KINDS[0], one=[("a", "1"), ("a", "2")], two=[("a", "1")])
@example(made=KINDS[0], other=KINDS[0], one=[("a", "1"), ("a", "1")], two=[("a", "1")])
@example(made=KINDS[0], other=KINDS[0], one=[("a", "1"), ("b", "1")], two=[("a", "1")])
@example(made=KINDS[0], other=KINDS[0], one=[("a", "1")], two=[("A", "1")])
@example(made=KINDS[0], other=KINDS[0], one=[], two=[("a", "1")])
@example(made=KINDS[0], other=KINDS[1], one=[("a", "1"), ("a", "2")], two=[("a", "1"), ("a", "2")])
@example(made=KINDS[1], other=KINDS[0], one=[("a", "1"), ("a", "2")], two=[("a", "1"), ("a", "3")])
def test_equal_is_who_has_the_same_values_for_each_key(
    submission: Submission, made: str, other: str, one: Pairs, two: Pairs
) -> None:
    """Two are equal if each key has the same values in the same order; the order of the keys is free."""
    same = all(of(key, one) == of(key, two) for key in keys_of(one + two))
    got = submission.call("equal", made=made, source=one, other_made=made, other_source=one)
    assert got == [True, False], _equality(got, True)
    got = submission.call("equal", made=made, source=one, other_made=other, other_source=two)
    assert got == [same, not same], _equality(got, same)


@requirement("DATA-03")
@given(
    made=st.sampled_from(HEADER_KINDS),
    other=st.sampled_from(HEADER_KINDS),
    one=FEW_RAW,
    two=FEW_RAW,
)
@example(made=HEADER_KINDS[0], other=HEADER_KINDS[0], one=[(b"A", b"1")], two=[(b"a", b"1")])
@example(made=HEADER_KINDS[0], other=HEADER_KINDS[0], one=[(b"a", b"x")], two=[(b"a", b"X")])
@example(
    made=HEADER_KINDS[0],
    other=HEADER_KINDS[1],
    one=[(b"a", b"1"), (b"b", b"2")],
    two=[(b"b", b"2"), (b"a", b"1")],
)
@example(
    made=HEADER_KINDS[1],
    other=HEADER_KINDS[0],
    one=[(b"a", b"1"), (b"a", b"2")],
    two=[(b"a", b"2"), (b"a", b"1")],
)
@example(made=HEADER_KINDS[0], other=HEADER_KINDS[0], one=[(b"a", b"1"), (b"a", b"2")], two=[(b"a", b"1")])
def test_headers_are_equal_without_case(
    submission: Submission, made: str, other: str, one: Raw, two: Raw
) -> None:
    """Two `Headers` are compared in the same way, their names without case and their values with it."""
    same = all(of(name, as_text(one)) == of(name, as_text(two)) for name in keys_of(as_text(one + two)))
    got = submission.call("equal", made=made, source=one, other_made=made, other_source=one)
    assert got == [True, False], _equality(got, True)
    got = submission.call("equal", made=made, source=one, other_made=other, other_source=two)
    assert got == [same, not same], _equality(got, same)


def _equality(got: Any, same: bool) -> str:
    """What `==` and `!=` said, and what they had to say."""
    said = f"`==` and `!=` gave {got!r}"
    return f"these two are {'equal' if same else 'not equal'}, but {said}"


# --- QueryParams --------------------------------------------------------------------------------------------

LETTERS = [
    ("a", "a"), ("Z", "Z"), ("1", "1"), ("-", "-"), ("+", " "), ("%20", " "), ("%2B", "+"), ("%2b", "+"),
    ("%26", "&"), ("%3D", "="), ("%3d", "="), ("%41", "A"), ("%25", "%"), ("%252B", "%2B"), ("%25C3", "%C3"),
    ("%C3%A9", "é"), ("%c3%a9", "é"), ("%E2%82%AC", "€"), ("%F0%9D%84%9E", "𝄞"), ("%00", "\0"), ("%0A", "\n"),
]  # fmt: skip
"""Characters as a query string has them, and what they mean."""
WORDS = st.lists(st.sampled_from(LETTERS), min_size=1, max_size=4)
FIELDS = st.lists(st.tuples(WORDS, WORDS), max_size=4)


def _written(words: list[Any]) -> tuple[str, Pairs]:
    """A query string, and the pairs that it says."""
    query = "&".join("=".join("".join(wire for wire, _ in word) for word in field) for field in words)
    pairs = [tuple("".join(letter for _, letter in word) for word in field) for field in words]
    return query, pairs


def _check_fields(submission: Submission, query: bytes | str, expected: Pairs) -> None:
    got = submission.call("multi_items", made="QueryParams(source)", source=query)
    assert got == expected, f"QueryParams({query!r}) has the pairs {got!r}; expected: {expected!r}"


QUERIES: list[tuple[str, Pairs]] = [
    ("", []),
    ("a=1", [("a", "1")]),
    ("a=1&b=2&a=3", [("a", "1"), ("b", "2"), ("a", "3")]),
    ("b=1&a=1&b=1", [("b", "1"), ("a", "1"), ("b", "1")]),
    ("q=x=y", [("q", "x=y")]),
    ("q=x%3Dy%26z", [("q", "x=y&z")]),
    ("a%3Db=c", [("a=b", "c")]),
    ("a+b=c+d", [("a b", "c d")]),
    ("a%20b=c%20d", [("a b", "c d")]),
    ("q=1%2B1", [("q", "1+1")]),
    ("q=1%2b1", [("q", "1+1")]),
    ("q=%252B", [("q", "%2B")]),
    ("name=%C3%A9t%C3%A9", [("name", "été")]),
    ("%C3%A9=1", [("é", "1")]),
    ("é=a€&b=𝄞", [("é", "a€"), ("b", "𝄞")]),
]


@requirement("DATA-04")
@given(case=FIELDS.map(_written))
@each(case=QUERIES)
def test_a_query_string_is_read(submission: Submission, case: tuple[str, Pairs]) -> None:
    """Fields are parted first, then name and value, then each is decoded, once; in bytes as in text."""
    query, expected = case
    if query.isascii():
        _check_fields(submission, query.encode(), expected)
    _check_fields(submission, query, expected)


@requirement("DATA-04")
@given(pairs=TEXT_PAIRS)
@example(pairs=[("a", "1"), ("b", "2"), ("a", "3")])
@example(pairs=[("a+b", "%41&c=d")])
def test_pairs_are_taken_as_they_are(submission: Submission, pairs: Pairs) -> None:
    """Made from pairs, a dict or another one, nothing is decoded."""
    for made in ("QueryParams(source)", "QueryParams(QueryParams(source))", "QueryParams(MultiDict(source))"):
        assert submission.call("multi_items", made=made, source=pairs) == pairs
    got = submission.call("multi_items", made="QueryParams(source)", source=Once(pairs))
    assert got == pairs
    got = submission.call("multi_items", made="QueryParams(source)", source=dict(pairs))
    assert got == list(dict(pairs).items())


ODD = [
    b"a", b"=", b"&", b"+", b"%", b"%4", b"%zz", b"%C3%A9", b"%c3", b"%FF", b"%ED%A0%80", b";", b"?", b"%41", b" ",
    b"\0", "é".encode(), b"\xc3", b"\xff", b"\xe2\x82",
]  # fmt: skip
ODD_CASES = [
    b"q=", b"q", b"q&r=1", b"=1", b"=", b"&&a=1&&b=2&", b"&", b"a=1;b=2", b"a;b", b"?a=1", b"a=100%", b"a=100%&b=%4",
    b"a=%zz", b"a=%%41", b"a=%4%41", b"%=%", b"a=%FF", b"a=%C3&b=1", b"a=%C3%A9%FF", b"a=%ED%A0%80", b"a=%u0041",
    b"a=%+1", b"a=% 1", b"a=%-1", b"a=%\xc3\xa91", b"a=\xc3\xa9", b"\xc3\xa9=1&a=2", b"a=\xff", b"a=\xe2\x82&b=1",
]  # fmt: skip


@requirement("DATA-05")
@given(query=st.lists(st.sampled_from(ODD), max_size=8).map(b"".join))
@each(query=ODD_CASES)
def test_an_odd_query_string_loses_nothing(submission: Submission, query: bytes) -> None:
    """Blank values and names, a malformed `%`, bytes that are no UTF-8, `;` and `?`: all of it is kept."""
    _check_fields(submission, b"ok=1", [("ok", "1")])
    _check_fields(submission, query, fields(query))


@requirement("DATA-05")
def test_there_may_be_many_fields(submission: Submission) -> None:
    """A query string may have any number of fields."""
    query = b"&".join(b"n=%d" % number for number in range(3000))
    got = submission.call("getlist", made="QueryParams(source)", source=query, key="n")
    assert len(got) == 3000, f"of 3000 fields, {len(got)} are there"


ANY_TEXT = st.text(st.sampled_from(LETTERS_AND_SIGNS) | st.characters(exclude_categories=["Cs"]), max_size=4)


@requirement("DATA-06")
@given(pairs=st.lists(st.tuples(ANY_TEXT, ANY_TEXT), max_size=4))
@example(pairs=[("a", "1"), ("b", "2"), ("a", "3")])
@example(pairs=[("a", "")])
@example(pairs=[("", "")])
@example(pairs=[("a", "1"), ("", ""), ("", "1")])
@example(pairs=[("a b", "c d")])
@example(pairs=[("a+b", "c+d")])
@example(pairs=[("a&b=c", "d&e=f")])
@example(pairs=[("a=b", "c=d")])
@example(pairs=[("%41", "100%")])
@example(pairs=[("é", "€ 𝄞")])
@example(pairs=[("#", '"<>[]{}|\\^`\n\0')])
@example(pairs=[])
def test_what_is_written_reads_back(submission: Submission, pairs: Pairs) -> None:
    """`str(params)` is a well-formed query string that says the same pairs."""
    written = submission.call("text", made="QueryParams(source)", source=pairs)
    outside = re.sub(r"[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2}", "", written)
    assert outside == "", f"str() gave {written!r}, in which {outside!r} must be percent-encoded"
    got = fields(written.encode())
    assert got == pairs, f"str() gave {written!r}, which reads as {got!r}; expected: {pairs!r}"


# --- Headers ------------------------------------------------------------------------------------------------


CASES: dict[str, Callable[[bytes], bytes]] = {
    "as it is": bytes,
    "lower": bytes.lower,
    "upper": bytes.upper,
    "title": bytes.title,
}
"""How a name may be asked for; these know ASCII letters only."""


@requirement("DATA-07")
@given(raw=RAW.filter(bool), case=st.sampled_from(list(CASES)))
@each(
    raw=[
        [(b"X-Token", b"1"), (b"x-token", b"2")],
        [(b"x-token", b"1")],
        [(b"X-TOKEN", b"")],
        [(b"\xc9t\xc9", b"1"), (b"\xe9t\xe9", b"2")],
        [(b"\xe9t\xe9", b"1"), (b"\xc9t\xc9", b"2")],
    ],
    case=list(CASES),
)
def test_a_name_is_found_in_any_case(submission: Submission, raw: Raw, case: str) -> None:
    """`headers[name]`, `get`, `getlist` and `in` ignore the case of the name that is asked for, and of those there."""
    name = raw[0][0]
    asked = CASES[case](name).decode("latin-1")
    values = of(lower(name.decode("latin-1")), as_text(raw))
    assert submission.call("item", made="Headers(raw=source)", source=raw, key=asked) == values[0]
    assert submission.call("get", made="Headers(raw=source)", source=raw, key=asked) == values[0]
    assert submission.call("getlist", made="Headers(raw=source)", source=raw, key=asked) == values
    assert submission.call("contains", made="Headers(raw=source)", source=raw, key=asked) is True


@requirement("DATA-07")
@given(raw=RAW)
@example(raw=[(b"B", b"1"), (b"a", b"2"), (b"b", b"3")])
@example(raw=[(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")])
def test_all_headers_are_kept_in_order(submission: Submission, raw: Raw) -> None:
    """`multi_items()` gives all headers in order; iteration, `items()` and `len` see each name once, in lower case."""
    pairs = as_text(raw)
    names = keys_of(pairs)
    is_mapping = submission.call("is_mapping", made="Headers(raw=source)", source=raw)
    assert is_mapping is True, "Headers is not derived from collections.abc.Mapping"
    assert submission.call("multi_items", made="Headers(raw=source)", source=raw) == pairs
    assert submission.call("keys", made="Headers(raw=source)", source=raw) == names
    first = [(name, of(name, pairs)[0]) for name in names]
    assert submission.call("items", made="Headers(raw=source)", source=raw) == first
    assert submission.call("length", made="Headers(raw=source)", source=raw) == len(names)


MISSING = ["b", "aa", "", "☃", "a☃", "\u212a", "\xc9", "a\n", "x-a"]


@requirement("DATA-07")
@given(name=st.sampled_from(MISSING))
@each(name=MISSING)
def test_a_missing_name_is_told(submission: Submission, name: str) -> None:
    """A name that is not there, whatever text it is, is missing: KeyError, None, the default, `[]`, False."""
    raw = [(b"a", b"1"), (b"k", b"2"), (b"\xe9", b"3")]
    assert submission.call("item", made="Headers(raw=source)", source=raw, key="A") == "1"
    with raised("KeyError"):
        submission.call("item", made="Headers(raw=source)", source=raw, key=name)
    assert submission.call("get", made="Headers(raw=source)", source=raw, key=name) is None
    assert submission.call("get_or", made="Headers(raw=source)", source=raw, key=name, default="x") == "x"
    assert submission.call("getlist", made="Headers(raw=source)", source=raw, key=name) == []
    assert submission.call("contains", made="Headers(raw=source)", source=raw, key=name) is False


SHAPES: dict[str, Callable[[Any], Any]] = {"list": list, "tuple": tuple, "iterator": Once}


@requirement("DATA-08")
@given(raw=ANY_RAW, outer=st.sampled_from(list(SHAPES)), inner=st.sampled_from(list(SHAPES)))
@each(raw=RAW_CASES[1:2], outer=list(SHAPES), inner=list(SHAPES))
@each(
    raw=[
        [(b"x", b"\xff"), (b"X", b"")],
        [(b"x", b"\xc3\xa9")],
        [(b"x", b"a\r\nb\0")],
        [(b"", b"1"), (b"a b\n", b"2")],
        [(b"\xc9", b"1"), (b"\xe9", b"2")],
        [(b"x", b" a ")],
    ],
    outer=["list"],
    inner=["tuple"],
)
def test_any_pairs_of_bytes_are_headers(submission: Submission, raw: Raw, outer: str, inner: str) -> None:
    """`raw` takes any iterables, also iterators, of any bytes, which are read as latin-1; it gives them again."""
    pairs = as_text(raw)
    for made in HEADER_KINDS:
        source = SHAPES[outer]([SHAPES[inner](pair) for pair in raw])
        assert submission.call("multi_items", made=made, source=source) == pairs
        assert submission.call("raw_twice", made=made, source=source) == [as_bytes(pairs)] * 2


@requirement("DATA-08")
@given(made=st.sampled_from(["Headers(source)", "MutableHeaders(source)"]), pairs=HEADERS)
@each(
    made=["Headers(source)", "MutableHeaders(source)"],
    pairs=[[], [("Host", "a"), ("x", "1"), ("X", "2")], [("x", "é\xff")]],
)
def test_headers_come_as_text(submission: Submission, made: str, pairs: Pairs) -> None:
    """Headers are made from pairs of text, or from a dict; `raw` has them as bytes, names in lower case."""
    assert submission.call("raw", made=made, source=Once(pairs)) == as_bytes(pairs)
    source = dict(pairs)
    assert submission.call("raw", made=made, source=source) == as_bytes(list(source.items()))
    empty = made.replace("source", "")
    assert submission.call("raw", made=empty, source=None) == [], f"{empty} is not empty"


TEXT_CASES: list[Pairs] = [
    [],
    [("a", "1"), ("b", "2"), ("A", "3")],
    [("a", "1"), ("a", "2")],
    [("x", "é"), ("x", "é")],
]


@requirement("DATA-08")
@given(pairs=st.sampled_from(TEXT_CASES))
@each(pairs=TEXT_CASES)
def test_of_others_all_headers_are_taken(submission: Submission, pairs: Pairs) -> None:
    """Made from another `Headers` or a `MultiDict`, it takes all of its pairs, not only first values."""
    raw = as_bytes(pairs)
    for made in ("Headers(Headers(raw=source))", "MutableHeaders(Headers(raw=source))"):
        assert submission.call("raw", made=made, source=raw) == raw
    assert submission.call("raw", made="Headers(MultiDict(source))", source=pairs) == raw


@requirement("DATA-08")
@given(raw=st.sampled_from(RAW_CASES[1:]))
@each(raw=RAW_CASES[1:])
def test_headers_never_change(submission: Submission, raw: Raw) -> None:
    """What is done to what they were made from, or to a list that they gave, does not show; no item can be set."""
    pairs, name = as_text(raw), raw[0][0].decode()
    lists = [list(pair) for pair in raw]
    made = "Headers(raw=source)"
    for source in (raw, lists):
        assert submission.call("after_source_changed", made=made, source=source) == pairs, EMPTIED
    got = submission.call("after_pair_changed", made=made, source=lists)
    assert got == as_bytes(pairs), (
        "the first pair of `raw` was changed afterwards, and that shows: keep a copy"
    )
    assert submission.call("after_raw_changed", made=made, source=raw) == as_bytes(pairs), SPOILT
    got = submission.call("after_results_changed", made=made, source=raw, key=name)
    assert got == [of(lower(name), pairs), pairs], SPOILT
    with raised("TypeError"):
        submission.call("set_item", made=made, source=raw, key=name, value="2")
    with raised("TypeError"):
        submission.call("delete_item", made=made, source=raw, key=name)


# --- text that cannot be a header ---------------------------------------------------------------------------

BAD_NAMES = [
    "", " ", "a b", "a ", " a", "a\n", "\na", "a\r\nb", "a\0", "a:", ":path", "é", "a\u212a", "☃", "a\tb", "(a)", "a/b",
    "a,b", "a=b", "a@", '"a"', "a;b", "٣", "\x7f",
]  # fmt: skip
BAD_VALUES = [
    "\r\n", "\r", "\n", "\0", "a\rb", "a\nb", "a\0b", "a\n", "\na", "a\r\nset-cookie: b=1", "☃", "a€", "Ā", "\u2028",
]  # fmt: skip
BAD_LETTERS = st.sampled_from(' \t\r\n\0:;,/()[]{}<>=?@\\"\x7fé٣☃\u212a')
BAD_NAME = st.tuples(st.sampled_from(["", "a", "x-a"]), BAD_LETTERS, st.sampled_from(["", "a"])).map("".join)
BAD_VALUE = st.tuples(HEADER_TEXTS, st.sampled_from("\r\n\0☃Ā\u2028"), HEADER_TEXTS).map("".join)
MADE = ["Headers(source)", "MutableHeaders(source)", "Headers(MultiDict(source))"]
METHODS = ["set", "append", "setdefault", "update"]
WAYS = [*MADE, "Headers(source), a dict", *METHODS]
"""The ways on which text becomes a header."""


def _add(submission: Submission, way: str, name: str, value: str) -> Any:
    """`raw` of headers which have one that is good, and then this one."""
    pairs = [("ok", "1"), (name, value)]
    if way in MADE:
        return submission.call("raw", made=way, source=pairs)
    if way not in METHODS:
        return submission.call("raw", made="Headers(source)", source=dict(pairs))
    step = [way, [(name, value)]] if way == "update" else [way, name, value]
    return submission.call("changed", made="MutableHeaders(raw=source)", source=[(b"ok", b"1")], steps=[step])


@requirement("DATA-09")
@given(way=st.sampled_from(WAYS), bad=BAD_NAME)
@each(way=MADE[:1], bad=BAD_NAMES)
@each(way=WAYS, bad=["", "a b", "a\n"])
def test_a_name_must_be_a_token(submission: Submission, way: str, bad: str) -> None:
    """A name that is no token is a ValueError, however it comes in as text."""
    assert _add(submission, way, "x-Good", "v") == [(b"ok", b"1"), (b"x-good", b"v")]
    with raised("ValueError"):
        _add(submission, way, bad, "v")


@requirement("DATA-09")
@given(way=st.sampled_from(WAYS), bad=BAD_VALUE)
@each(way=MADE[:1], bad=BAD_VALUES)
@each(way=WAYS, bad=["a\nb", "☃"])
def test_a_value_must_fit_into_a_line(submission: Submission, way: str, bad: str) -> None:
    """A value with a CR, LF or NUL anywhere, or a character beyond latin-1, is a ValueError."""
    assert _add(submission, way, "x", "good \xe9") == [(b"ok", b"1"), (b"x", b"good \xe9")]
    with raised("ValueError"):
        _add(submission, way, "x", bad)


@requirement("DATA-09")
@given(
    way=st.sampled_from(WAYS),
    name=st.text(TCHAR, min_size=1, max_size=4).map("x".__add__),
    value=st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=6),
)
@each(
    way=MADE[:1],
    name=[TCHAR],
    value=["", " a b ", "\t", "\x01\x7f\x80\x85\xa0\xff", "a\x0bb\x0c\x1c", "\x85"],
)
@each(way=WAYS, name=[TCHAR], value=[" a\x1c\x7f "])
def test_all_other_text_is_taken(submission: Submission, way: str, name: str, value: str) -> None:
    """Every token is a name, and every other text of latin-1 is a value, which stays as it is."""
    got = _add(submission, way, name, value)
    assert got == as_bytes([("ok", "1"), (name, value)])


# --- MutableHeaders -----------------------------------------------------------------------------------------

STEPS = st.one_of(
    st.tuples(st.just("set"), NAMES, HEADER_TEXTS).map(list),
    st.tuples(st.just("append"), NAMES, HEADER_TEXTS).map(list),
    st.tuples(st.just("del"), NAMES | st.just("☃")).map(list),
)
MUTABLE = "MutableHeaders(raw=source)"


def _check_changed(submission: Submission, raw: Raw, steps: Sequence[Step]) -> None:
    got = submission.call("changed", made=MUTABLE, source=raw, steps=list(steps))
    assert got == as_bytes(after(as_text(raw), steps))


def _check_read(submission: Submission, raw: Raw, steps: Sequence[Step]) -> None:
    """What was changed reads so, also if it was read before."""
    name = steps[-1][1]
    pairs = after(as_text(raw), steps)
    found = of(lower(name), pairs)
    got = submission.call("changed_and_read", made=MUTABLE, source=raw, steps=list(steps), key=name)
    expected = [keys_of(pairs), bool(found), found, len(keys_of(pairs))]
    assert got == expected, (
        f"[names, whether {name!r} is in, its values, len] are {got!r} after {steps!r}; expected: {expected!r}"
    )


@requirement("DATA-10")
@given(raw=RAW, steps=st.lists(STEPS, min_size=1, max_size=4))
@example(raw=FOUR, steps=[["set", "B", "5"]])
@example(raw=FOUR, steps=[["set", "a", "5"]])
@example(raw=FOUR, steps=[["set", "d", "5"]])
@example(raw=FOUR, steps=[["append", "B", "5"]])
@example(raw=FOUR, steps=[["append", "D", "5"]])
@example(raw=FOUR, steps=[["del", "B"]])
@example(raw=FOUR, steps=[["del", "c"]])
@example(raw=FOUR, steps=[["del", "d"]])
@example(raw=FOUR, steps=[["del", "☃"], ["set", "a", "5"]])
@example(raw=[(b"B", b"1")], steps=[["del", "b"], ["set", "b", "2"]])
@example(raw=[(b"b", b"1")], steps=[["set", "b", "1"], ["append", "b", "1"]])
@example(raw=[(b"set-cookie", b"a=1")], steps=[["append", "Set-Cookie", "b=2"]])
def test_headers_are_set_appended_and_deleted(submission: Submission, raw: Raw, steps: list[Step]) -> None:
    """Setting leaves one header in place of all of its name, `append` adds one at the end, `del` takes out all."""
    _check_changed(submission, raw, steps)
    _check_read(submission, raw, steps)


@requirement("DATA-11")
@given(raw=RAW, name=NAMES, value=HEADER_TEXTS)
@example(raw=FOUR, name="B", value="5")
@example(raw=FOUR, name="D", value="5")
@example(raw=[(b"a", b"")], name="a", value="5")
@example(raw=[], name="a", value="")
def test_setdefault_adds_only_what_is_missing(
    submission: Submission, raw: Raw, name: str, value: str
) -> None:
    """`setdefault` appends a header if there is none of its name, and returns the first value there is then."""
    step = ["setdefault", name, value]
    _check_changed(submission, raw, [step])
    first = of(lower(name), after(as_text(raw), [step]))[0]
    assert submission.call("returned", made=MUTABLE, source=raw, step=step) == first


UPDATES = st.lists(st.tuples(NAMES, HEADER_TEXTS), max_size=4)
UPDATE_CASES: list[Pairs] = [
    [],
    [("B", "5")],
    [("b", "5"), ("B", "6"), ("b", "7")],
    [("d", "5"), ("c", "6")],
    [("e", "5"), ("d", "6"), ("E", "7")],
    [("c", "5"), ("a", "6")],
]


SOURCES: dict[str, Callable[[Pairs], Step]] = {
    "pairs": lambda pairs: ["update", pairs],
    "an iterator": lambda pairs: ["update", Once(pairs)],
    "Headers": lambda pairs: ["update with Headers", pairs],
    "a dict": lambda pairs: ["update", dict(pairs)],
}


@requirement("DATA-11")
@given(raw=RAW, pairs=UPDATES, source=st.sampled_from(list(SOURCES)))
@each(raw=[FOUR], pairs=UPDATE_CASES, source=list(SOURCES))
def test_update_replaces_name_by_name(submission: Submission, raw: Raw, pairs: Pairs, source: str) -> None:
    """`update` puts all values given for a name where the first header of that name stood, or at the end."""
    step = SOURCES[source](pairs)
    given_pairs = list(dict(pairs).items()) if source == "a dict" else pairs
    expected = as_bytes(after(as_text(raw), [["update", given_pairs]]))
    assert submission.call("changed", made=MUTABLE, source=raw, steps=[step]) == expected


VARY = st.lists(
    st.lists(st.sampled_from(["Accept", "origin", "Accept-Encoding", "Cookie", "", "*"]), max_size=3).map(
        " ,\t".join
    ),
    max_size=3,
)
VARY_CASES: list[tuple[list[str], str]] = [
    ([], "Origin"),
    (["Accept"], "Origin"),
    (["Accept"], "accept"),
    (["Accept , origin"], "Origin"),
    (["Accept", "Origin"], "ORIGIN"),
    (["Accept-Encoding"], "Accept"),
    (["X-Origin-Id"], "Origin"),
    (["*"], "Origin"),
    (["Accept, *"], "Origin"),
    (["Accept", "Cookie"], "Origin"),
    (["", " ,"], "Origin"),
    (["a,b,\tc"], "D"),
    (["a, ,b"], "c"),
    (["a,,origin,"], "Origin"),
]


@requirement("DATA-12")
@given(case=st.tuples(VARY, st.sampled_from(["Origin", "Accept", "accept-encoding", "X-Origin"])))
@each(case=VARY_CASES)
def test_vary_lists_each_header_once(submission: Submission, case: tuple[list[str], str]) -> None:
    """`add_vary` adds a name at the end of one `vary`, unless it is listed in any case, or `*` is."""
    before, name = case
    pairs: Pairs = [("a", "1"), *(("vary", value) for value in before), ("b", "2")]
    listed = [element.strip(" \t") for value in before for element in value.split(",")]
    listed = [element for element in listed if element]
    said = "*" in listed or name.lower() in [element.lower() for element in listed]
    expected = pairs if said else put(pairs, "vary", [", ".join([*listed, name])])
    got = submission.call("changed", made=MUTABLE, source=as_bytes(pairs), steps=[["add_vary", name]])
    assert got == as_bytes(expected)


@requirement("DATA-12")
@given(bad=st.sampled_from(BAD_NAMES))
@each(bad=["", "a, b", "a b", "a\r\nb", "a\n"])
def test_vary_takes_one_name(submission: Submission, bad: str) -> None:
    """`add_vary` with what is no token is a ValueError, and changes nothing."""
    raw = [(b"vary", b"Accept")]
    got = submission.call("changed", made=MUTABLE, source=raw, steps=[["add_vary", "Origin"]])
    assert got == [(b"vary", b"Accept, Origin")]
    got = submission.call("refused", made=MUTABLE, source=raw, step=["add_vary", bad])
    assert got == ["ValueError", raw]


def _check_that_it_changes(submission: Submission, steps: list[Step]) -> None:
    got = submission.call("changed", made=MUTABLE, source=FOUR, steps=steps)
    assert got != FOUR, f"nothing changed by {steps!r}"


BAD_PAIRS = [("b", "5\n"), ("b", "5\r\n"), ("a b", "5"), ("b", "☃"), ("d", "\0"), ("a", "\n")]
REFUSED: list[Step] = [
    *([step, *bad] for step in ("set", "append") for bad in BAD_PAIRS),
    *(["setdefault", *bad] for bad in BAD_PAIRS if bad[0] not in ("a", "b")),
    *(["update", [*before, bad]] for bad in BAD_PAIRS for before in ([("a", "6")], [("b", "6"), ("e", "7")])),
    *(["update", [bad, ("a", "6")]] for bad in BAD_PAIRS),
]
"""Changes of `FOUR` that are refused: what `setdefault` need not add need not be checked."""


@requirement("DATA-13")
@given(step=st.sampled_from(REFUSED))
@each(step=REFUSED)
def test_a_refused_change_changes_nothing(submission: Submission, step: Step) -> None:
    """After a ValueError, the headers are what they were: also those that were given before the bad one."""
    name = step[0]
    _check_that_it_changes(submission, [[name, [("d", "5")]] if name == "update" else [name, "d", "5"]])
    got = submission.call("refused", made=MUTABLE, source=FOUR, step=step)
    assert got == ["ValueError", FOUR], f"[what {name} raised, the headers after it] are {got!r}"


CHANGES: list[list[Step]] = [
    [["set", "b", "5"]],
    [["append", "b", "5"]],
    [["del", "a"]],
    [["setdefault", "d", "5"]],
    [["update", [("a", "6"), ("d", "7")]]],
    [["set", "b", "5"], ["append", "b", "6"], ["del", "a"]],
]


@requirement("DATA-13")
@given(steps=st.sampled_from(CHANGES))
@each(steps=CHANGES)
def test_nothing_is_shared(submission: Submission, steps: list[Step]) -> None:
    """Changes do not show in what it was made from, nor in what was made from it before, nor in a list it gave."""
    _check_that_it_changes(submission, steps)
    for source in (FOUR, [list(pair) for pair in FOUR]):
        assert submission.call("origin_after", made=MUTABLE, source=source, steps=steps) == source
    for made in HEADER_KINDS:
        got = submission.call("made_from_after", made=made, source=FOUR, steps=steps)
        assert got == FOUR, f"the headers that it was made from became {got!r}; expected: {FOUR!r}"
    got = submission.call("made_before_after", source=FOUR, steps=steps)
    assert got == FOUR, f"the headers that were made from it before became {got!r}; expected: {FOUR!r}"
    got = submission.call("given_after", source=FOUR, steps=steps)
    assert got == FOUR, f"the list that `raw` had given became {got!r}; expected: {FOUR!r}"
    assert submission.call("after_raw_changed", made=MUTABLE, source=FOUR) == FOUR


# --- State --------------------------------------------------------------------------------------------------

ATTRIBUTES = [
    "user", "database", "x", "get", "set", "items", "keys", "values", "pop", "update", "clear", "copy", "mapping",
    "state", "data", "name", "self", "dict", "setdefault", "d", "m",
]  # fmt: skip
ATTRIBUTE = st.sampled_from(ATTRIBUTES)
STATE_CASES: list[dict[str, Any]] = [{}, {"a": 1}, {"user": "ada", "b": None}]
STATES = st.sampled_from(STATE_CASES)


@requirement("DATA-14")
@given(mapping=STATES, name=ATTRIBUTE, value=st.just(5))
@each(mapping=[{}], name=ATTRIBUTES, value=[5])
@each(mapping=STATE_CASES, name=["user"], value=[5, None, [1]])
def test_attributes_are_the_items_of_the_mapping(
    submission: Submission, mapping: dict[str, Any], name: str, value: Any
) -> None:
    """`state.x` reads `mapping["x"]`, and setting or deleting it changes the mapping itself, also an empty one."""
    whole = {**mapping, name: value}
    assert submission.call("state_gives", mapping=whole, name=name) == value
    got = submission.call("mapping_after_set", mapping=mapping, name=name, value=value)
    assert got == whole, f"after state.{name} = {value!r}, the mapping is {got!r}; expected: {whole!r}"
    rest = {key: item for key, item in whole.items() if key != name}
    got = submission.call("mapping_after_del", mapping=whole, name=name)
    assert got == rest, f"after del state.{name}, the mapping is {got!r}; expected: {rest!r}"
    got = submission.call("state_after_others", mapping=mapping, name=name, value=value)
    assert got == value, f"after mapping[{name!r}] = {value!r}, state.{name} is {got!r}"
    itself = submission.call("state_gives_the_object", name=name)
    assert itself is True, f"state.{name} is another object than mapping[{name!r}]"


@requirement("DATA-14")
@given(name=st.sampled_from(ATTRIBUTES[:4]), value=st.sampled_from([1, None]))
@example(name="user", value=1)
def test_without_a_mapping_each_has_its_own(submission: Submission, name: str, value: Any) -> None:
    """`State()` and `State(None)` work without a mapping, and two of them share nothing."""
    for given_none in (False, True):
        got = submission.call("state_of_its_own", given_none=given_none, name=name, value=value)
        assert got == [value, False], f"[what the one gives, whether the other has it too] is {got!r}"


@requirement("DATA-14")
@given(mapping=STATES, name=ATTRIBUTE)
@each(mapping=[{}, {"a": 1}], name=ATTRIBUTES)
def test_what_is_not_there_is_an_attribute_error(
    submission: Submission, mapping: dict[str, Any], name: str
) -> None:
    """Reading or deleting what is not there raises AttributeError, so that `hasattr` and `getattr` work."""
    assume(name not in mapping)
    assert submission.call("state_has", mapping={**mapping, name: None}, name=name) is True
    assert submission.call("state_has", mapping=mapping, name=name) is False
    assert submission.call("state_gives_or", mapping=mapping, name=name, default=5) == 5
    with raised("AttributeError"):
        submission.call("state_gives", mapping=mapping, name=name)
    with raised("AttributeError"):
        submission.call("mapping_after_del", mapping=mapping, name=name)
