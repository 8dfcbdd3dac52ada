"""Judges the multipart parser and the forms that are made of its events.

Rule 1: bodies are written by `Part.encoded` from parts that are known; what is read must be these parts.
Rule 2: data that is nearly a delimiter occurs in the tests of delimiters alone, and odd names in those of names,
so that a mistake costs the requirement that it is about.
Rule 3: a test that demands a refusal first demands that the like of it is accepted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise, product
from typing import Any, TypeVar

from hypothesis import assume, example, given
from hypothesis import strategies as st

from grader.suite import Submission, raised, requirement

Test = TypeVar("Test", bound=Callable[..., None])

BOUNDARY = b"XX"
END = b"--XX--\r\n"
HELD_BACK = 256
MEGABYTE = 1 << 20

# --- bodies -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """A part of a form, and how it is written."""

    name: str
    data: bytes
    filename: str | None = None
    headers: Sequence[tuple[str, str]] = ()

    def head(self, boundary: bytes = BOUNDARY, padding: bytes = b"") -> bytes:
        """The delimiter, the headers and the empty line."""
        value = f'form-data; name="{self.name}"'
        if self.filename is not None:
            value += f'; filename="{self.filename}"'
        lines = [f"{name}: {value}" for name, value in [("Content-Disposition", value), *self.headers]]
        return b"\r\n".join([b"--" + boundary + padding, *map(str.encode, lines), b"", b""])

    def encoded(self, boundary: bytes = BOUNDARY, padding: bytes = b"") -> bytes:
        """The whole part, up to the CR LF before the next delimiter."""
        return self.head(boundary, padding) + self.data + b"\r\n"


def encoded(parts: Iterable[Part], boundary: bytes = BOUNDARY, padding: bytes = b"") -> bytes:
    """A whole body."""
    lines = [part.encoded(boundary, padding) for part in parts]
    return b"".join(lines) + b"--" + boundary + b"--\r\n"


def part_with(*lines: bytes) -> bytes:
    """A body of one part with these lines for headers, and `data` for data."""
    return b"\r\n".join([b"--XX", *lines, b"", b"data", END])


def part_named(disposition: str | bytes) -> bytes:
    """A body of one part with that Content-Disposition."""
    value = disposition.encode() if isinstance(disposition, str) else disposition
    return part_with(b"Content-Disposition: " + value)


def events_of(parts: Iterable[Part]) -> list[list[Any]]:
    """The events that parts become, the data of each in one."""
    events: list[list[Any]] = []
    for part in parts:
        events.append(["PartBegin", part.name, part.filename])
        events += [["PartData", part.data]] if part.data else []
        events.append(["PartEnd"])
    return events


def cut(body: bytes, places: Iterable[int]) -> list[bytes]:
    """The body in pieces, cut at these places as far as it reaches."""
    bounds = [0, *sorted(min(place, len(body)) for place in places), len(body)]
    return [body[start:end] for start, end in pairwise(bounds)]


def single_bytes(body: bytes) -> list[bytes]:
    """The body, a byte at a time."""
    return cut(body, range(1, len(body)))


def in_chunks(part: Part, size: int) -> list[bytes]:
    """A body of one part, whose data comes in chunks of that size: no cut in a header or delimiter."""
    data = cut(part.data, range(size, len(part.data), size))
    return [part.head(), *data, b"\r\n" + END]


def each(**values: Sequence[Any]) -> Callable[[Test], Test]:
    """Pins one example for each combination of these values."""

    def pin(test: Test) -> Test:
        for combination in product(*values.values()):
            test = example(**dict(zip(values, combination, strict=True)))(test)
        return test

    return pin


# --- what is drawn ------------------------------------------------------------------------------------------

PLACES = st.lists(st.integers(0, 250), max_size=4)
SIMPLE = st.sampled_from(["a", "b", "title", "X_1", "file.txt"])
BOUNDARIES = st.sampled_from([b"XX", b"----WebKitFormBoundaryA1", b"-", b"a'b(c)+_,./:=?", b"y" * 70])


def delimiter_in(data: bytes, boundary: bytes = BOUNDARY) -> bool:
    """Whether a delimiter stands in a part's data, or would together with the CR LF around it."""
    line = rb"\r\n--%s(--|[ \t]*\r\n)" % re.escape(boundary)
    return re.search(line, b"\r\n" + data + b"\r\n") is not None


def harmless(boundary: bytes) -> st.SearchStrategy[bytes]:
    """Data with line ends, hyphens and beginnings of the boundary, but without the boundary itself."""
    near = [b"\r", b"\n", b"\r\n", b"-", b"--", b"x", b"\0", b"\xff", (b"\r\n--" + boundary)[:-1]]
    pieces = st.lists(st.sampled_from(near), max_size=4).map(b"".join)
    return pieces.filter(lambda data: b"--" + boundary not in data)


@st.composite
def forms(draw: st.DrawFn) -> tuple[bytes, list[Part]]:
    """A boundary and up to two parts."""
    boundary = draw(BOUNDARIES)
    part = st.builds(Part, SIMPLE, harmless(boundary), st.none() | SIMPLE)
    return boundary, draw(st.lists(part, max_size=2))


NEAR_DELIMITERS = [
    b"--XX--",
    b"x--XX\r\n",
    b"\n--XX\r\n",
    b"\n--XX\n",
    b"\r--XX\r\n",
    b"\r\n--XX\n",
    b"\r\n--XX\r",
    b"\r\n--XX\r\r\n",
    b"\r\n--XX \n",
    b"\r\n--XX Y\r\n",
    b"\r\n--XXY\r\n",
    b"\r\n--XX-\r\n",
    b"\r\n--XX-Y\r\n",
    b"\r\n--XX -- \r\n",
    b"\r\n--xx\r\n",
    b"\r\n -- XX\r\n",
    b"\r\n-XX\r\n",
    b"\r\n---XX\r\n",
    b"\r\nXX\r\n",
]


def near_delimiters() -> st.SearchStrategy[bytes]:
    """Data made of what is nearly a delimiter, but in which there is none."""
    bits = [*NEAR_DELIMITERS, b"\r\n--XX", b"\r", b"\n", b"\r\n", b"-", b"--", b"XX", b" ", b"\t", b"Y"]
    pieces = st.lists(st.sampled_from(bits), max_size=5).map(lambda bits: b"1" + b"".join(bits))
    return pieces.filter(lambda data: not delimiter_in(data))


# --- the events of a body -----------------------------------------------------------------------------------


@requirement("PART-01")
@given(form=forms())
@example(form=(b"XX", []))
@example(form=(b"XX", [Part("title", b"Holidays")]))
@example(form=(b"XX", [Part("title", b"Holidays"), Part("film", b"\x00\xff", "sea.mp4")]))
@example(form=(b"XX", [Part("a", b""), Part("b", b"", "f")]))
@example(form=(b"XX", [Part("a", b"\r\n"), Part("b", b"\n"), Part("c", b"\r\n\r\n-")]))
@example(form=(b"XX", [Part("a", b" lines\r\nof text \r\n")]))
def test_a_body_becomes_events(submission: Submission, form: tuple[bytes, list[Part]]) -> None:
    """Fed a whole body, the parser gives PartBegin, the data and PartEnd for each part."""
    boundary, parts = form
    body = encoded(parts, boundary)
    assert submission.call("events", boundary=boundary, chunks=[body]) == events_of(parts)


@requirement("PART-01")
@given(data=harmless(BOUNDARY), size=st.integers(1, 5))
@example(data=b"", size=1)
@example(data=b"data", size=4)
@example(data=b"data", size=1)
def test_no_data_is_empty_and_all_is_bytes(submission: Submission, data: bytes, size: int) -> None:
    """A PartData holds one byte or more, as bytes; a part without data has none."""
    chunks = in_chunks(Part("a", data), size)
    begin, *datas, end = submission.call("events_as_they_are", boundary=BOUNDARY, chunks=chunks)
    assert [begin, end] == [["PartBegin", "a", None], ["PartEnd"]]
    kinds = {type(event[-1]).__name__ for event in datas}
    assert kinds <= {"bytes"}, f"the data of a PartData must be bytes, but it is {kinds}"
    assert b"".join(event[-1] for event in datas) == data
    assert ["PartData", b""] not in datas, "a PartData without data: leave it out"


@requirement("PART-02")
@given(form=forms(), places=PLACES)
@example(form=(b"XX", [Part("a", b"data")]), places=[1])
@example(form=(b"XX", [Part("a", b"data")]), places=[30])
@example(form=(b"XX", [Part("a", b"1"), Part("b", b"2", "f")]), places=[7, 7, 90, 100])
@example(form=(b"XX", [Part("a", b"\r\n--X"), Part("b", b"\r", "f"), Part("c", b"")]), places=[55, 60])
@example(form=(b"-", [Part("a", b"--\r\n-")]), places=[50, 51])
@example(form=(b"XX", []), places=[1, 2, 3, 4, 5])
@example(form=(b"XX", [Part("a", b"\r\n--X\r"), Part("b", b"\r\r\n", "f")]), places=[])
@example(form=(b"XX", [Part("a", b"\r\n\r\n--\r\n--X\r\n--\r\n-")]), places=[])
def test_cuts_change_nothing(
    submission: Submission, form: tuple[bytes, list[Part]], places: list[int]
) -> None:
    """Wherever the body is cut into chunks, also into single bytes, the parts are the same."""
    boundary, parts = form
    body = encoded(parts, boundary)
    for chunks in (cut(body, places), single_bytes(body)):
        assert submission.call("events", boundary=boundary, chunks=chunks) == events_of(parts)


@requirement("PART-02")
@given(place=st.integers(0, 250))
@each(place=range(170))
def test_one_cut_anywhere_changes_nothing(submission: Submission, place: int) -> None:
    """A body that is cut once, at any place, has the same parts."""
    parts = [Part("a", b"1\r\n"), Part("f", b"2\n\r\n3", "f.txt")]
    chunks = cut(encoded(parts, padding=b" \t"), [place])
    assert submission.call("events", boundary=BOUNDARY, chunks=chunks) == events_of(parts)


@requirement("PART-02")
@given(datas=st.lists(st.sampled_from([b"one", b"two", b"", b"\r\n--X"]), min_size=2, max_size=3))
@example(datas=[b"one", b"two"])
def test_parsers_side_by_side_stay_apart(submission: Submission, datas: list[bytes]) -> None:
    """Several parsers may be at work at the same time: each reads its own body."""
    forms = [[Part(f"a{number}", data)] for number, data in enumerate(datas)]
    bodies = [cut(encoded(parts), [30, 51]) for parts in forms]
    found = submission.call("events_of_each", boundary=BOUNDARY, bodies=bodies)
    assert found == [events_of(parts) for parts in forms]


# --- delimiters ---------------------------------------------------------------------------------------------


@requirement("PART-03")
@given(data=near_delimiters())
@example(data=b"1\r\n--XX \t\r")
@each(data=[b"1" + near + b"2" for near in NEAR_DELIMITERS])
def test_what_is_nearly_a_delimiter_is_data(submission: Submission, data: bytes) -> None:
    """Only a line that is exactly a delimiter ends a part."""
    parts = [Part("a", data), Part("b", b"2")]
    for chunks in ([encoded(parts)], single_bytes(encoded(parts))):
        assert submission.call("events", boundary=BOUNDARY, chunks=chunks) == events_of(parts)


@requirement("PART-03")
@given(padding=st.text(" \t", max_size=4) | st.sampled_from([" " * 99, "\t" * 100]))
@example(padding="")
@example(padding=" ")
@example(padding="\t")
@example(padding=" \t" * 50)
def test_blanks_may_follow_the_boundary(submission: Submission, padding: str) -> None:
    """Up to 100 spaces and tabs may stand between the boundary and the end of its line."""
    parts = [Part("a", b"1"), Part("b", b"2", "f")]
    body = encoded(parts, padding=padding.encode())
    for chunks in ([body], single_bytes(body)):
        assert submission.call("events", boundary=BOUNDARY, chunks=chunks) == events_of(parts)


@requirement("PART-03")
@given(boundary=st.from_regex(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]", fullmatch=True))
@example(boundary=b".")
@example(boundary=b"a+(b)?")
@example(boundary=b"--")
@example(boundary=b"a--")
@example(boundary=b"a b")
@example(boundary=b"y" * 70)
def test_a_boundary_means_itself(submission: Submission, boundary: bytes) -> None:
    """The characters of a boundary have no other meaning, and count all."""
    other = boundary[:-1] + (b"A" if boundary[-1:] != b"A" else b"B")
    data = b"1\r\n--" + other + b"\r\n2"
    assume(not delimiter_in(data, boundary))
    parts = [Part("a", data), Part("b", b"")]
    body = encoded(parts, boundary)
    assert submission.call("events", boundary=boundary, chunks=[body]) == events_of(parts)


@requirement("PART-04")
@given(preamble=near_delimiters())
@example(preamble=b"This is a message with several parts.")
@example(preamble=b"--XX")
@example(preamble=b"Content-Disposition: form-data; name=a\r\n\r\ndata")
@example(preamble=b"1\r\n\r\n")
def test_what_comes_before_the_first_delimiter_is_ignored(submission: Submission, preamble: bytes) -> None:
    """A preamble gives no event and no error, and a body needs none."""
    parts = [Part("a", b"1")]
    assert submission.call("events", boundary=BOUNDARY, chunks=[encoded(parts)]) == events_of(parts)
    for start in (b"\r\n", b"x" + preamble + b"\r\n"):
        body = start + encoded(parts)
        assert submission.call("events", boundary=BOUNDARY, chunks=[body]) == events_of(parts)


@requirement("PART-04")
@given(epilogue=st.lists(near_delimiters() | st.just(encoded([Part("b", b"2")])), max_size=3))
@example(epilogue=[])
@example(epilogue=[b"\r\n"])
@example(epilogue=[b"\r\nThis is the epilogue."])
@example(epilogue=[b"-"])
@example(epilogue=[b"x", b"\r\n--XX\r\nno header\r\n\r\n"])
@example(epilogue=[b"\r\n", encoded([Part("b", b"2")])])
@example(epilogue=[b"\r\n--XX--\r\n"])
def test_what_comes_after_the_closing_delimiter_is_ignored(
    submission: Submission, epilogue: list[bytes]
) -> None:
    """An epilogue gives no event and no error; the closing delimiter needs nothing after it, no CR LF either."""
    parts = [Part("a", b"1")]
    body = encoded(parts)[: -len("\r\n")]
    for chunks in ([body, *epilogue], [body + b"".join(epilogue)]):
        assert submission.call("events", boundary=BOUNDARY, chunks=chunks) == events_of(parts)


# --- streaming ----------------------------------------------------------------------------------------------


@requirement("PART-05")
@given(datas=st.lists(st.tuples(near_delimiters(), st.integers(1, 60)), min_size=1, max_size=5))
@example(datas=[(b"x", 1000)])
@example(datas=[(b"\r\n", 500), (b"x", 600)])
@example(datas=[(b"x", 300), (b"\r\n--X", 100), (b"--XX", 100)])
@example(datas=[(b"\r", 1000)])
@example(datas=[(b"x", 300), (b"\r\n--XX Y", 200)])
@example(datas=[(b"x", 1)] * 400)
def test_data_is_handed_on_in_the_call_that_brings_it(
    submission: Submission, datas: list[tuple[bytes, int]]
) -> None:
    """After each feed, all data that has come is handed on, but for at most 256 bytes."""
    chunks = [piece * times for piece, times in datas]
    assume(not delimiter_in(b"".join(chunks)))
    begin, *calls = submission.call(
        "events_after", boundary=BOUNDARY, chunks=[Part("a", b"").head(), *chunks]
    )
    assert begin == [["PartBegin", "a", None]], "the headers are complete: that feed must give the PartBegin"
    handed_on = list(accumulate((data_of(events) for events in calls), initial=b""))[1:]
    for came, out in zip(accumulate(chunks), handed_on, strict=True):
        assert out == came[: len(out)]
        late = len(came) - len(out)
        assert late <= HELD_BACK, (
            f"{late} bytes of data are held back: hand on what can be no delimiter any more"
        )


def data_of(events: list[list[Any]]) -> bytes:
    """The data in these events. Demands that nothing else is there."""
    assert [event[0] for event in events if event[0] != "PartData"] == []
    return b"".join(event[1] for event in events)


@requirement("PART-05")
@given(data=harmless(BOUNDARY), filename=st.none() | SIMPLE)
@example(data=b"", filename=None)
@example(data=b"data\r\n", filename="f")
def test_beginnings_and_ends_come_at_once(submission: Submission, data: bytes, filename: str | None) -> None:
    """The feed that brings an empty line gives the PartBegin, the one that ends a delimiter the PartEnd."""
    part = Part("a", data, filename)
    chunks = [part.head()[:-1], b"\n", data, b"\r\n--XX\r", b"\n", part.head()[6:], data, b"\r\n--XX-", b"-"]
    calls = submission.call("events_after", boundary=BOUNDARY, chunks=chunks)
    begin, end = ["PartBegin", "a", filename], ["PartEnd"]
    assert calls[0] == [], "the empty line is not yet complete"
    assert calls[1] == [begin], "this feed completes the empty line after the headers"
    assert calls[4][-1:] == [end], "this feed completes the delimiter after the first part"
    assert calls[5] == [begin], "this feed completes the empty line after the headers of the second part"
    assert calls[8][-1:] == [end], "this feed completes the closing delimiter"
    assert data_of(calls[2] + calls[3] + calls[4][:-1]) == data


FLOODS = [b"x" * 1024, b"\r\n" * 512, b"\r" * 1024, b"\r\n--X" * 200, b"\r\n--XXY" * 150, b"--" * 512]


@requirement("PART-05")
@given(
    start=st.sampled_from([b"", Part("a", b"").head() + b"x", Part("a", b"", "f").head() + b"x", END]),
    fill=st.sampled_from(FLOODS),
)
@example(start=b"", fill=FLOODS[0])
@example(start=Part("a", b"").head() + b"x", fill=FLOODS[0])
@example(start=END, fill=FLOODS[0])
@example(start=b"", fill=FLOODS[1])
def test_what_is_done_with_is_not_kept(submission: Submission, start: bytes, fill: bytes) -> None:
    """The parser keeps nothing of what it has handed on, and nothing of preamble and epilogue."""
    parts = [Part("a", fill)]
    assert submission.call("events", boundary=BOUNDARY, chunks=[encoded(parts)]) == events_of(parts)
    kept = submission.call("bytes_kept", boundary=BOUNDARY, start=start, fill=fill, times=150)
    assert kept < 100_000, (
        f"fed {150 * len(fill)} bytes, the parser keeps {kept}: let go of what is done with"
    )


# --- the headers of a part ----------------------------------------------------------------------------------

TOKENS = st.text("ABCxyz019-_.!#$%&'*+^`|~", min_size=1, max_size=8)
VALUES = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=12).map(
    lambda text: text.strip().strip("\x85\xa0")
)
DISPOSITION = ("Content-Disposition", "form-data; name=a")


@requirement("PART-06")
@given(
    others=st.lists(st.tuples(TOKENS, VALUES, st.sampled_from([" ", "", "\t", "  \t"])), max_size=15),
    place=st.integers(0, 15),
)
@example(others=[], place=0)
@example(others=[("Content-Type", "text/plain", " ")], place=0)
@example(others=[("Content-Type", "text/plain; charset=utf-8", "")], place=1)
@example(others=[("X-A", "1", " "), ("x-a", "2", " "), ("X-B", "", "")], place=2)
@example(others=[("X-Time", "12:30:00", " ")], place=0)
@example(others=[("X-Latin", "\xe9", " "), ("X-Latin", "\xc3\xa9\xa0\xff", " ")], place=0)
@example(others=[("X-A", "1", "\t \t")], place=0)
@example(others=[("X-A", "X1X", " "), ("X-B", "\x0b\x0c1\x0c\x0b", " ")], place=0)
@example(others=[(f"X-{number}", "1", " ") for number in range(15)], place=7)
def test_all_headers_are_kept_in_order(
    submission: Submission, others: list[tuple[str, str, str]], place: int
) -> None:
    """A PartBegin has all headers of its part, in order, without the blanks around their values."""
    assume(all(name.lower() != "content-disposition" for name, _, _ in others))
    lines = [*others[:place], (*DISPOSITION, " "), *others[place:]]
    body = part_with(*[f"{name}:{blank}{value}{blank}".encode("latin-1") for name, value, blank in lines])
    found = submission.call("headers", boundary=BOUNDARY, chunks=[body])
    assert found == [[[name.lower(), value] for name, value, _ in lines]]


@requirement("PART-06")
@given(capitals=st.sets(st.integers(0, 30)), asked=st.sampled_from(["content-type", "Content-Type"]))
@example(capitals=set(), asked="Content-Type")
@example(capitals=set(range(31)), asked="content-type")
def test_names_of_headers_ignore_case(submission: Submission, capitals: set[int], asked: str) -> None:
    """Headers are found in any case, the Content-Disposition too."""
    names = ["content-disposition", "content-type"]
    first, second = (
        "".join(char.upper() if place in capitals else char for place, char in enumerate(name))
        for name in names
    )
    body = part_with(f"{first}: form-data; name=a".encode(), f"{second}: text/plain".encode())
    assert submission.call("header", boundary=BOUNDARY, chunks=[body], name=asked) == "text/plain"


def head_of(size: int) -> bytes:
    """A delimiter and that many bytes of headers, in lines of two thousand at most, without an empty line."""
    head = b"Content-Disposition: form-data; name=a\r\n"
    while size - len(head) > 2000:
        head += b"X-Long: " + b"x" * 1990 + b"\r\n"
    return b"--XX\r\n" + head + b"X-Long: " + b"x" * (size - len(head) - 10) + b"\r\n"


@requirement("PART-06")
@given(fits=st.integers(1_000, 16_000), over=st.integers(17_000, 20_000), step=st.sampled_from([100, 5000]))
@example(fits=16_000, over=17_000, step=17_006)
@example(fits=16_000, over=17_000, step=100)
@example(fits=16_000, over=19_999, step=100)
@example(fits=16_000, over=17_000, step=30_000)
def test_headers_have_a_limit(submission: Submission, fits: int, over: int, step: int) -> None:
    """16,000 bytes of headers are read; from 17,000 on they are refused, whether their end has come or not."""
    head = head_of(fits)
    chunks = [*cut(head, range(step, len(head), step)), b"\r\ndata\r\n" + END]
    assert submission.call("events", boundary=BOUNDARY, chunks=chunks) == events_of([Part("a", b"data")])
    endless = head_of(over)[:-2]
    for head in (endless, endless + b"\r\n\r\n"):
        chunks = cut(head, range(step, len(head), step))
        with raised("MultipartError"):
            submission.call("events_after", boundary=BOUNDARY, chunks=chunks)


# --- names --------------------------------------------------------------------------------------------------

ANY_TEXT = st.text(
    st.sampled_from("a;=\"\\%', \t&é€") | st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    max_size=10,
)
NAMES: list[tuple[str | bytes, str, str | None]] = [
    ('form-data; name="a"', "a", None),
    ("form-data; name=a", "a", None),
    ("form-data; name=a; filename=b.txt", "a", "b.txt"),
    ('form-data; name=""', "", None),
    ('form-data; name=""; filename=""', "", ""),
    ('form-data; name=" a;b=c, d "', " a;b=c, d ", None),
    ('form-data; name="a;filename=b"', "a;filename=b", None),
    ("form-data; name=\"it's\"; filename='b'", "it's", "'b'"),
    ('form-data;name="a";filename="b"', "a", "b"),
    ('form-data \t; \tname="a" ;  filename=b\t', "a", "b"),
    ('form-data; filename="b"; name="a"', "a", "b"),
    ('form-data; filename="name=c"; name="a"', "a", "name=c"),
    ('Form-Data; NAME="a"; FileName="B"', "a", "B"),
    ('form-data; name="a"; size=3; x="y; filename=z"', "a", None),
    ('form-data; xname="b"; name="a"', "a", None),
    ('form-data; name="a"; filename="../../etc/passwd"', "a", "../../etc/passwd"),
    ('form-data; name="é"; filename="€\u2028\U0001d11e.txt"', "é", "€\u2028\U0001d11e.txt"),
    ("form-data; name=é", "é", None),
    (b'form-data; name="\xe9"; filename="\xff\xfe.txt"', "\ufffd", "\ufffd\ufffd.txt"),
    ('form-data; name="a%22b"; filename="%0D%0a%0d%0A"', 'a"b', "\r\n\r\n"),
    ('form-data; name="%20%41%"; filename="100%.txt"', "%20%41%", "100%.txt"),
    ('form-data; name="%2522"; filename="a+b"', "%2522", "a+b"),
    ('form-data; name="&#8364;"', "&#8364;", None),
    (r'form-data; name="a\"b"; filename="\"; x=\""', 'a"b', '"; x="'),
    (r'form-data; name="a\\b"; filename="b\\\\"', "a\\b", "b\\\\"),
    (r'form-data; name="a\\"; filename="b"', "a\\", "b"),
    (r'form-data; name="a"; filename="C:\temp\a.txt"', "a", r"C:\temp\a.txt"),
    ("form-data; name=\"a\"; filename*=UTF-8''b.txt", "a", None),
    ('form-data; name="a"; filename="b"; filename*=UTF-8\'\'c', "a", "b"),
    ('form-data; name="a"; filename*=UTF-8\'\'c; filename="b"', "a", "b"),
]


def check_names(submission: Submission, disposition: str | bytes, name: str, filename: str | None) -> None:
    """One part with that Content-Disposition has these names."""
    found = submission.call("events", boundary=BOUNDARY, chunks=[part_named(disposition)])
    assert found == events_of([Part(name, b"data", filename)])


@requirement("PART-07")
@given(case=st.sampled_from(NAMES))
@each(case=NAMES)
def test_names_are_read(submission: Submission, case: tuple[str | bytes, str, str | None]) -> None:
    """`name` and `filename` are those of the Content-Disposition, in any of the ways to write it."""
    check_names(submission, *case)


@requirement("PART-07")
@given(name=ANY_TEXT, filename=st.none() | ANY_TEXT)
@example(name="title", filename="sea.mp4")
@example(name='"', filename="\r\n")
@example(name="a; filename=b", filename="a\\b")
def test_what_browsers_write_is_read_back(submission: Submission, name: str, filename: str | None) -> None:
    """Any name that a browser writes, with `%22`, `%0D` and `%0A`, is read back."""
    for text in (name, filename or ""):
        assume(not re.search(r'%(22|0[AaDd])|\\["\\]|\\$', text))
    disposition = f'form-data; name="{escaped(name)}"'
    if filename is not None:
        disposition += f'; filename="{escaped(filename)}"'
    check_names(submission, disposition, name, filename)


def escaped(text: str) -> str:
    """A text as browsers write it in quotes."""
    return text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")


@requirement("PART-07")
@given(name=ANY_TEXT, filename=ANY_TEXT)
@example(name='"', filename='\\"')
@example(name="\\", filename='"; filename="\\')
def test_what_other_clients_write_is_read_back(submission: Submission, name: str, filename: str) -> None:
    """Any name in which each quote and backslash has a backslash before it is read back."""
    assume(not re.search("[\r\n%]", name + filename))
    quoted, quoted_file = (re.sub(r'(["\\])', r"\\\1", text) for text in (name, filename))
    check_names(submission, f'form-data; name="{quoted}"; filename="{quoted_file}"', name, filename)


# --- bodies that are refused --------------------------------------------------------------------------------

GOOD = b"Content-Disposition: form-data; name=a"
MALFORMED: list[tuple[bytes, ...]] = [
    (),
    (b"Content-Type: text/plain",),
    (GOOD, GOOD),
    (GOOD, b"Content-Type: text/plain", b"content-disposition: form-data; name=b"),
    (b"Content-Disposition: form-data",),
    (b"Content-Disposition: form-data; filename=b",),
    (b'Content-Disposition: form-data; xname="a"; filename="name=a"',),
    (b"Content-Disposition: form-data; name*=UTF-8''a",),
    (b'Content-Disposition: attachment; name="a"',),
    (b'Content-Disposition: form-data-x; name="a"',),
    (b'Content-Disposition: X form-data; name="a"',),
    (b"Content-Disposition:",),
    (GOOD, b"no colon"),
    (b"no colon", GOOD),
    (GOOD, b": no name"),
    (GOOD, b"X : 1"),
    (GOOD, b"X Y: 1"),
]


def refused(submission: Submission, chunks: list[bytes]) -> None:
    """Demand a MultipartError with the status 400, from `feed` or `finish`."""
    with raised("MultipartError") as caught:
        submission.call("events", boundary=BOUNDARY, chunks=chunks)
    assert caught.error.attributes.get("status_code") == 400
    assert "HTTPException" in caught.error.names, "a MultipartError must be an HTTPException"


@requirement("PART-08")
@given(lines=st.sampled_from(MALFORMED))
@each(lines=MALFORMED)
def test_a_malformed_part_is_refused(submission: Submission, lines: tuple[bytes, ...]) -> None:
    """A part with ill-formed headers, or without its one Content-Disposition, is a MultipartError, status 400."""
    good = [Part("a", b"data")]
    body = part_with(GOOD, b"X-A: 1")
    assert submission.call("events", boundary=BOUNDARY, chunks=[body]) == events_of(good)
    refused(submission, [part_with(*lines)])


@requirement("PART-08")
@given(lines=st.sampled_from(MALFORMED), before=st.integers(1, 3))
@example(lines=(), before=1)
def test_a_malformed_part_after_good_ones_is_refused(
    submission: Submission, lines: tuple[bytes, ...], before: int
) -> None:
    """Every part must be well-formed, not only the first."""
    good = [Part("a", b"data")] * before
    assert submission.call("events", boundary=BOUNDARY, chunks=[encoded(good)]) == events_of(good)
    refused(submission, [encoded(good)[: -len(END)] + part_with(*lines)])


TWO_PARTS = [Part("a", b"1"), Part("f", b"2", "f.txt")]
CLOSED = len(encoded(TWO_PARTS)) - len("\r\n")


@requirement("PART-09")
@given(length=st.integers(0, CLOSED - 1))
@each(length=range(CLOSED))
def test_a_truncated_body_is_refused(submission: Submission, length: int) -> None:
    """A body that is cut off before the end of its closing delimiter is a MultipartError; a whole one is none."""
    body = encoded(TWO_PARTS)
    assert submission.call("events", boundary=BOUNDARY, chunks=[body[:CLOSED]]) == events_of(TWO_PARTS)
    refused(submission, [body[:length]])


@requirement("PART-09")
@given(body=st.binary(max_size=30))
@each(
    body=[
        b"",
        b"\r\n",
        b"a=1&b=2",
        encoded([Part("a", b"1")], b"YY"),
        encoded([Part("a", b"1")]).replace(b"\r\n", b"\n"),
        b"x--XX--",
        b"--XX-",
    ]
)
def test_a_body_without_its_delimiters_is_refused(submission: Submission, body: bytes) -> None:
    """A body in which the closing delimiter does not occur at all is a MultipartError; one with no part is none."""
    assume(b"--XX--" not in body or body.startswith(b"x"))
    assert submission.call("events", boundary=BOUNDARY, chunks=[END]) == []
    refused(submission, [body])


# --- the form -----------------------------------------------------------------------------------------------


def values_of(parts: Iterable[Part]) -> list[list[Any]]:
    """The names and values of the form that these parts become."""
    return [[part.name, file_of(part) if part.filename is not None else text_of(part)] for part in parts]


def text_of(part: Part) -> str:
    """The text of a part that is no file."""
    return part.data.decode("utf-8", "replace")


def file_of(part: Part) -> dict[str, Any]:
    """All that is known of a file."""
    disposition = f'form-data; name="{part.name}"; filename="{part.filename}"'
    return {
        "filename": part.filename,
        "headers": [["content-disposition", disposition], *([n.lower(), value] for n, value in part.headers)],
        "size": len(part.data),
        "data": part.data,
    }


CONTENT_TYPES = st.sampled_from(
    [(), (("Content-Type", "text/plain"),), (("Content-Type", "a/b"), ("X-A", "1"))]
)


@requirement("PART-10")
@given(
    parts=st.lists(
        st.builds(Part, SIMPLE, harmless(BOUNDARY), st.none() | SIMPLE | st.just(""), CONTENT_TYPES),
        max_size=3,
    )
)
@example(parts=[])
@example(parts=[Part("title", b"Holidays"), Part("film", b"\x00\xff", "sea.mp4")])
@example(parts=[Part("film", b"data", "a.png", [("Content-Type", "image/png"), ("X-A", "1")])])
@example(parts=[Part("film", b"", ""), Part("film", b"x", ""), Part("film", b"")])
@example(parts=[Part("a", b"1"), Part("b", b"x", "f"), Part("a", b"2"), Part("b", b"y")])
def test_parts_become_a_form(submission: Submission, parts: list[Part]) -> None:
    """The form has a str or an UploadFile for each part, in order; a file has its data, size and headers."""
    assert submission.call("form", chunks=[encoded(parts)]) == values_of(parts)


@requirement("PART-10")
@given(data=harmless(BOUNDARY), size=st.integers(1, 5))
@example(data=b"\x00\xff\r\n\x00", size=2)
@example(data=b"", size=1)
def test_a_file_may_come_in_chunks(submission: Submission, data: bytes, size: int) -> None:
    """A file has all of its data, also where it comes in many chunks, and is read from its start."""
    file = Part("film", data, "sea.mp4")
    assert submission.call("form", chunks=in_chunks(file, size)) == values_of([file])


@requirement("PART-10")
@given(text=st.text(max_size=10), bad=st.sampled_from([b"", b"\xff", b"\xe9"]), latin=st.booleans())
@example(text="é€\U0001d11e", bad=b"", latin=False)
@example(text="é€\U0001d11e", bad=b"", latin=True)
@example(text="é", bad=b"\xe9\xff", latin=False)
@example(text="\ufeffx\r\n", bad=b"", latin=False)
def test_text_is_utf_8(submission: Submission, text: str, bad: bytes, latin: bool) -> None:
    """A text is decoded as UTF-8 as a whole, also where a chunk ends in the middle of a character."""
    headers = [("Content-Type", "text/plain; charset=iso-8859-1")] if latin else []
    part = Part("a", text.encode() + bad, headers=headers)
    assume(not delimiter_in(part.data))
    for size in (100, 1):
        assert submission.call("form", chunks=in_chunks(part, size)) == values_of([part])


ACCEPTED = [
    (b"XX", "multipart/form-data; boundary=XX"),
    (b"XX", 'multipart/form-data; boundary="XX"'),
    (b"XX", "Multipart/Form-Data;BOUNDARY=XX"),
    (b"xX", "multipart/form-data; boundary=xX"),
    (b"XX", "multipart/form-data; charset=utf-8; boundary=XX; x=y"),
    (b"XX", 'multipart/form-data; x="a; boundary=YY"; boundary="XX"'),
    (b"a b", 'multipart/form-data; boundary="a b"'),
    (b"a=b", 'multipart/form-data; boundary="a=b"'),
    (b"a'()+_,-./:=?b", 'multipart/form-data; boundary="a\'()+_,-./:=?b"'),
    (b"----WebKitFormBoundaryA1", "multipart/form-data; boundary=----WebKitFormBoundaryA1"),
    (b"y", "multipart/form-data; boundary=y"),
    (b"y" * 70, "multipart/form-data; boundary=" + "y" * 70),
]
REFUSED = [
    "",
    "multipart/form-data",
    "multipart/form-data; charset=utf-8",
    "multipart/form-data; xboundary=XX",
    "multipart/form-data; boundary=",
    'multipart/form-data; boundary=""',
    "multipart/form-data; boundary=" + "y" * 71,
    "multipart/mixed; boundary=XX",
    "application/x-www-form-urlencoded",
    "application/x-www-form-urlencoded; boundary=XX",
]


@requirement("PART-11")
@given(case=st.sampled_from(ACCEPTED))
@each(case=ACCEPTED)
def test_the_boundary_comes_from_the_content_type(submission: Submission, case: tuple[bytes, str]) -> None:
    """The boundary is the parameter of the content type, bare or in quotes, wherever it stands."""
    boundary, content_type = case
    parts = [Part("a", b"1")]
    found = submission.call("form", chunks=[encoded(parts, boundary)], content_type=content_type)
    assert found == values_of(parts)


@requirement("PART-11")
@given(content_type=st.sampled_from(REFUSED))
@each(content_type=REFUSED)
def test_another_content_type_is_refused(submission: Submission, content_type: str) -> None:
    """Another type, or one without a boundary of 1 to 70 characters, is a MultipartError, status 400."""
    parts = [Part("a", b"1")]
    assert submission.call("form", chunks=[encoded(parts)]) == values_of(parts)
    for boundary in (b"XX", b"", b"y" * 71):
        with raised("MultipartError") as caught:
            submission.call("form", chunks=[encoded(parts, boundary)], content_type=content_type)
        assert caught.error.attributes.get("status_code") == 400


# --- limits -------------------------------------------------------------------------------------------------


def too_large(submission: Submission, chunks: list[bytes], limits: dict[str, int]) -> None:
    """Demand an HTTPException with the status 413."""
    with raised("HTTPException") as caught:
        submission.call("form", chunks=chunks, limits=limits)
    status = caught.error.attributes.get("status_code")
    assert status == 413, f"a form over a limit is answered with 413, but this is {caught.error}"


@requirement("PART-12")
@given(files=st.lists(st.booleans(), min_size=1, max_size=4))
@example(files=[False])
@example(files=[True])
@example(files=[True, False, True, True, False])
def test_fields_and_files_are_counted_apart(submission: Submission, files: list[bool]) -> None:
    """As many fields and files as the limits say are read; one more of either is a 413."""
    parts = [Part("a", b"1", "f" if file else None) for file in files]
    limits = {"max_fields": files.count(False), "max_files": files.count(True)}
    assert submission.call("form", chunks=[encoded(parts)], limits=limits) == values_of(parts)
    for name, count in limits.items():
        if count:
            too_large(submission, [encoded(parts)], limits | {name: count - 1})


@requirement("PART-12")
@given(data=harmless(BOUNDARY).filter(bool))
@example(data=b"12345678")
@example(data=b"\r\n--X\r\n--X")
@example(data="éé".encode())
def test_a_text_has_at_most_as_many_bytes_as_allowed(submission: Submission, data: bytes) -> None:
    """A text of `max_part_size` bytes is read, one more is a 413, in whatever chunks they come."""
    text, limit = Part("a", data), len(data)
    for size in (100, 1):
        chunks = in_chunks(text, size)
        assert submission.call("form", chunks=chunks, limits={"max_part_size": limit}) == values_of([text])
        too_large(submission, chunks, {"max_part_size": limit - 1})


@requirement("PART-12")
@given(size=st.integers(0, 3))
@example(size=0)
def test_each_text_is_measured_by_itself_and_files_are_not(submission: Submission, size: int) -> None:
    """`max_part_size` holds for each text, not for all of them together, and not for files."""
    parts = [Part("a", b"x" * size), Part("f", b"x" * 9, "f"), Part("b", b"y" * size), Part("c", b"z" * size)]
    limits = {"max_part_size": size}
    assert submission.call("form", chunks=[encoded(parts)], limits=limits) == values_of(parts)
    too_large(submission, [encoded([*parts, Part("d", b"x" * (size + 1))])], limits)


@requirement("PART-12")
def test_the_limits_are_a_thousand_and_a_megabyte(submission: Submission) -> None:
    """Without other limits, a form may have 1,000 fields, 1,000 files and texts of 1 MiB."""
    field, file = Part("a", b"1").encoded(), Part("f", b"1", "f").encoded()
    found = submission.call("repeated", start=b"", fill=field + file, times=1000, end=END)
    assert len(found) == 2000
    text = {"start": Part("a", b"").head(), "fill": b"x" * 4096, "times": 256}
    assert submission.call("repeated", **text, end=b"\r\n" + END) == [["a", MEGABYTE]]
    over = [
        {"start": field, "fill": field, "times": 1000, "end": END},
        {"start": file, "fill": file, "times": 1000, "end": END},
        {**text, "end": b"x\r\n" + END},
    ]
    for form in over:
        with raised("HTTPException") as caught:
            submission.call("repeated", **form)
        assert caught.error.attributes.get("status_code") == 413


@requirement("PART-12")
@given(limit=st.integers(0, 300), more=st.integers(1, 3))
@example(limit=10, more=1)
def test_a_text_over_the_limit_is_not_read_on(submission: Submission, limit: int, more: int) -> None:
    """As soon as more bytes of a text have come than allowed, no further chunk is asked for."""
    head, rest = Part("a", b"").head(), b"\r\n" + END
    fits = [head, b"x" * limit, rest]
    limits = {"max_part_size": limit}
    assert submission.call("form", chunks=fits, limits=limits) == [["a", "x" * limit]]
    assert submission.call("chunks_asked_for") >= 2
    too_large(submission, [head, b"x" * (limit + 1 + HELD_BACK), *[b"y" * 100] * more, rest], limits)
    assert submission.call("chunks_asked_for") == 2, "the second chunk brought too much: ask for no other"


@requirement("PART-12")
@given(count=st.integers(0, 3), filename=st.none() | st.just("f"))
@example(count=0, filename=None)
@example(count=1, filename="f")
def test_a_part_too_many_is_not_read(submission: Submission, count: int, filename: str | None) -> None:
    """As soon as the head of a part too many has come, no further chunk is asked for."""
    part = Part("a", b"1", filename)
    limits = {"max_fields" if filename is None else "max_files": count}
    fits = [*[part.encoded()] * count, END]
    assert submission.call("form", chunks=fits, limits=limits) == values_of([part] * count)
    too_large(submission, [*[part.encoded()] * count, part.head(), b"x" * 500, b"\r\n" + END], limits)
    asked = submission.call("chunks_asked_for")
    assert asked == count + 1, "the head of a part too many has come: ask for no other chunk"


# --- files --------------------------------------------------------------------------------------------------

FILES = [Part("f", b"x" * 100, "f"), Part("g", b"y" * 1000, "g")]
BEGUN = encoded(FILES)[: -len(END)]
OPEN_FILES = "of the files that were opened for this form are not closed"
ENDINGS: list[tuple[bytes, str]] = [
    (b"", "MultipartError"),
    (Part("h", b"", "h").head() + b"zzz", "MultipartError"),
    (b"--XX\r\nContent-Type: text/plain\r\n\r\n1\r\n" + END, "MultipartError"),
    (Part("a", b"").encoded() * 2 + END, "HTTPException"),
    (Part("h", b"", "h").encoded() * 2 + END, "HTTPException"),
    (Part("a", b"1" * 400).encoded() + END, "HTTPException"),
]


def all_closed(submission: Submission) -> None:
    """Demand that no file of the last form is open."""
    left = submission.call("left_open")
    assert left == 0, f"{left} {OPEN_FILES}"


@requirement("PART-13")
@given(ending=st.sampled_from(ENDINGS))
@each(ending=ENDINGS)
def test_an_error_closes_all_files(submission: Submission, ending: tuple[bytes, str]) -> None:
    """A malformed or truncated body, or one over a limit, leaves no file open."""
    assert submission.call("form", chunks=[BEGUN + END]) == values_of(FILES)
    rest, error = ending
    limits = {"max_fields": 1, "max_files": 3, "max_part_size": 10}
    with raised(error):
        submission.call("form", chunks=[BEGUN + rest], limits=limits)
    all_closed(submission)


@requirement("PART-13")
@given(length=st.integers(0, len(BEGUN)))
@example(length=len(BEGUN))
@example(length=len(BEGUN) - 100)
def test_an_error_of_the_chunks_closes_all_files(submission: Submission, length: int) -> None:
    """What `chunks` raises goes on to the caller, and leaves no file open."""
    assert submission.call("form", chunks=[BEGUN + END]) == values_of(FILES)
    with raised("ConnectionError"):
        submission.call("form_that_breaks", chunks=[BEGUN[:length]])
    all_closed(submission)


@requirement("PART-13")
@given(length=st.integers(0, len(BEGUN)))
@example(length=len(BEGUN))
@example(length=len(BEGUN) - 100)
def test_a_cancellation_closes_all_files(submission: Submission, length: int) -> None:
    """Cancelled while it waits for a chunk, `parse_multipart` leaves no file open."""
    assert submission.call("form", chunks=[BEGUN + END]) == values_of(FILES)
    ended = submission.call("form_that_is_cancelled", chunks=[BEGUN[:length]])
    assert ended == "cancelled", "a cancellation must go on to the caller"
    all_closed(submission)


@requirement("PART-14")
def test_a_large_file_is_not_in_memory(submission: Submission) -> None:
    """While a file of 8 MiB is read, no more than 4 MiB of memory are in use."""
    start, end = Part("f", b"", "f").head(), b"\r\n" + END
    found = submission.call("large_file", start=start, times=128, end=end)
    assert found["size"] == found["zeros"] == 8 * MEGABYTE
    peak = found["peak"]
    assert peak < 4 * MEGABYTE, f"{peak >> 20} MiB of memory were in use: keep a large file on disk"


@requirement("PART-14")
def test_a_file_of_more_than_a_megabyte_does_not_stay_in_memory(submission: Submission) -> None:
    """When a file of 1 MiB and a byte has been read, it is on disk."""
    start, end = Part("f", b"", "f").head(), b"\0\r\n" + END
    found = submission.call("large_file", start=start, times=16, end=end)
    assert found["size"] == found["zeros"] == MEGABYTE + 1
    kept = found["kept"]
    assert kept < MEGABYTE // 2, f"{kept >> 10} KiB of memory are in use: move the file to disk"
