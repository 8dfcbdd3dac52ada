"""Judges uploads, forms, and the parser of urlencoded forms.

Rule 1: an upload must do what a file in the judge does, which is given the same steps.
Rule 2: a body is written from fields that are known; what is read must be these fields.
Rule 3: a test that demands a refusal or an absence first demands that the like of it is accepted, or done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from io import BytesIO
from itertools import pairwise, product
from typing import Any, TypeVar
from urllib.parse import quote_plus

from hypothesis import assume, example, given
from hypothesis import strategies as st

from grader.suite import Submission, raised, requirement

Test = TypeVar("Test", bound=Callable[..., None])
Step = list[Any]

MEGABYTE = 1 << 20
MEMORY, DISK, SPOOL = "a BytesIO", "a file on disk", "a SpooledTemporaryFile(max_size=10)"
KINDS = [MEMORY, DISK, SPOOL]
BROKEN = "a file that cannot be closed"


def each(**values: Sequence[Any]) -> Callable[[Test], Test]:
    """Pins one example for each combination of these values; the first ones are tried first."""

    def pin(test: Test) -> Test:
        for combination in reversed(list(product(*values.values()))):
            test = example(**dict(zip(values, combination, strict=True)))(test)
        return test

    return pin


# --- uploads ------------------------------------------------------------------------------------------------

HEADERS = [(b"content-disposition", b"form-data; name=a"), (b"x-a", b"1")]
CONTENT_TYPES = [
    (b"content-type", b"text/plain"),
    (b"Content-Type", b"Image/PNG; x=y"),
    (b"content-type", b""),
]


@requirement("FORM-01")
@given(
    content=st.binary(max_size=8),
    place=st.integers(0, 8),
    filename=st.text(max_size=8),
    size=st.integers(0, 8),
)
@example(content=b"data", place=2, filename="../../etc/passwd", size=4)
@example(content=b"", place=0, filename="a.txt", size=0)
def test_an_upload_has_what_it_was_made_with(
    submission: Submission, content: bytes, place: int, filename: str, size: int
) -> None:
    """File, name, headers and size are those that were given, and the file is left alone."""
    options = {"filename": filename, "headers": HEADERS, "size": size}
    assert submission.call("described", content=content, place=place, options=options) == {
        "file is the one that was given": True,
        "place": place,
        "filename": filename,
        "headers": [[name.decode(), value.decode()] for name, value in HEADERS],
        "content_type": None,
        "size": size,
    }


@requirement("FORM-01")
def test_an_upload_may_be_made_of_a_file_alone(submission: Submission) -> None:
    """Without more than a file, the name is "", there are no headers, and content type and size are None."""
    assert submission.call("described", content=b"data", place=0, options={}) == {
        "file is the one that was given": True,
        "place": 0,
        "filename": "",
        "headers": [],
        "content_type": None,
        "size": None,
    }


@requirement("FORM-01")
@given(header=st.sampled_from(CONTENT_TYPES), place=st.integers(0, 2))
@each(header=CONTENT_TYPES, place=[0, 2])
def test_the_content_type_is_that_of_the_headers(
    submission: Submission, header: tuple[bytes, bytes], place: int
) -> None:
    """`content_type` is the header's value as it stands there, whatever case its name has."""
    headers = [*HEADERS[:place], header, *HEADERS[place:]]
    found = submission.call("described", content=b"", place=0, options={"headers": headers})
    assert found["content_type"] == header[1].decode()


def steps(*, data: int = 8) -> st.SearchStrategy[list[Step]]:
    """Steps on a file: reading, writing, going to a place."""
    step = (
        st.just(["read"])
        | st.tuples(st.just("read"), st.integers(-1, data)).map(list)
        | st.tuples(st.just("write"), st.binary(max_size=data)).map(list)
        | st.tuples(st.just("seek"), st.integers(0, data)).map(list)
    )
    return st.lists(step, max_size=6)


def played(content: bytes, steps: Iterable[Step]) -> tuple[list[bytes | None], bytes, list[int]]:
    """What these steps read from a file, what it then holds, and how long it is after each step.

    No step goes behind the end of the file.
    """
    file = BytesIO(content)
    read: list[bytes | None] = []
    sizes = []
    for method, *args in steps:
        assume(method != "seek" or args[0] <= len(file.getvalue()))
        value = getattr(file, method)(*args)
        read.append(value if method == "read" else None)
        sizes.append(len(file.getvalue()))
    return read, file.getvalue(), sizes


@requirement("FORM-02")
@given(kind=st.sampled_from(KINDS), content=st.binary(max_size=12), steps=steps())
@each(
    kind=KINDS,
    content=[b"", b"0123456789abc"],
    steps=[
        [["write", b"abc"], ["seek", 1], ["read", 1], ["read"], ["read"]],
        [["write", b"abc"], ["write", b"0123456789"], ["seek", 0], ["read", -1], ["write", b"d"]],
        [
            ["read", 0],
            ["write", b""],
            ["seek", 0],
            ["write", b"01"],
            ["seek", 1],
            ["write", b"x"],
            ["seek", 0],
            ["read", 9],
        ],
    ],
)
def test_an_upload_does_what_its_file_does(
    submission: Submission, kind: str, content: bytes, steps: list[Step]
) -> None:
    """`read`, `write` and `seek` begin at the place where the last step has ended, as those of the file do."""
    read, end, _ = played(content, steps)
    found = submission.call("steps", kind=kind, content=content, steps=steps)
    assert found == {"read": read, "closed": False, "content": end}


@requirement("FORM-02")
@given(kind=st.sampled_from(KINDS), content=st.binary(max_size=12), times=st.integers(1, 3))
@each(kind=KINDS, content=[b"", b"0123456789abc"], times=[1, 2])
def test_closing_closes_the_file(submission: Submission, kind: str, content: bytes, times: int) -> None:
    """`close` closes the file, and does nothing if it is closed already."""
    closing = [["read"]] + [["close"]] * times
    found = submission.call("steps", kind=kind, content=content, steps=closing)
    assert found == {"read": [content] + [None] * times, "closed": True}


OVERWRITING: list[list[Step]] = [
    [["write", b"abc"], ["seek", 0], ["write", b"xyz"]],
    [["write", b"abc"], ["seek", 1], ["write", b"123"], ["seek", 2], ["read"]],
]


@requirement("FORM-03")
@given(kind=st.sampled_from(KINDS), content=st.binary(max_size=12), steps=steps())
@each(
    kind=KINDS, content=[b"", b"data", b"0123456789abc"], steps=[*OVERWRITING, [["read"], ["write", b"abc"]]]
)
def test_the_size_is_the_length_of_the_file(
    submission: Submission, kind: str, content: bytes, steps: list[Step]
) -> None:
    """After each step, the size is the length of the file: it grows at the end, not where bytes are written over."""
    _, _, sizes = played(content, steps)
    found = submission.call("sizes", kind=kind, content=content, size=len(content), steps=steps)
    assert found == sizes


@requirement("FORM-03")
@given(kind=st.sampled_from(KINDS), content=st.binary(max_size=12), steps=steps())
@each(kind=KINDS, content=[b"data"], steps=OVERWRITING)
def test_a_size_that_is_not_known_stays_none(
    submission: Submission, kind: str, content: bytes, steps: list[Step]
) -> None:
    """Where no size was given, it is None and stays so, whatever is written."""
    _, _, sizes = played(content, steps)
    found = submission.call("sizes", kind=kind, content=content, size=len(content), steps=steps)
    assert found == sizes
    found = submission.call("sizes", kind=kind, content=content, size=None, steps=steps)
    assert found == [None] * len(steps)


def in_threads(submission: Submission, kind: str, content: bytes, steps: list[Step]) -> set[str]:
    """What was done with a file on disk. Demands that none of it was done in the event loop's thread."""
    done = submission.call("steps_on_disk", kind=kind, content=content, steps=steps)
    blocking = {step for step, where in done if where != "in a thread"}
    assert not blocking, (
        f"{', '.join(sorted(blocking))}: called on the file in the event loop's thread, though it is on disk, or "
        "moves there: everybody else waits for the disk. Call it in a thread"
    )
    return {step for step, _ in done}


ALL_STEPS = [["read", 2], ["write", b"abc"], ["seek", 1], ["read"], ["close"]]


@requirement("FORM-04")
@given(steps=steps())
@each(steps=[*([step] for step in ALL_STEPS), ALL_STEPS])
def test_a_file_on_disk_is_used_in_threads(submission: Submission, steps: list[Step]) -> None:
    """Each of `read`, `write`, `seek` and `close` is done in a thread where the file is on disk."""
    played(b"data", [step for step in steps if step != ["close"]])
    done = in_threads(submission, DISK, b"data", steps)
    assert done >= {method for method, *_ in steps}


@requirement("FORM-04")
@given(sizes=st.lists(st.integers(0, 12), min_size=1, max_size=4), most=st.sampled_from([1, 10]))
@each(sizes=[[11], [10, 0, 1], [9, 2], [10], [5, 5, 5, 5], [0, 12, 1], [1, 1]], most=[10, 1])
def test_the_write_that_moves_a_file_to_disk_is_in_a_thread(
    submission: Submission, sizes: list[int], most: int
) -> None:
    """A SpooledTemporaryFile is moved to disk in a thread, and then used in threads."""
    writes: list[Step] = [["write", b"x" * size] for size in sizes]
    spool = f"a SpooledTemporaryFile(max_size={most})"
    done = in_threads(submission, spool, b"", [*writes, *ALL_STEPS[2:]])
    assert done >= ({"write", "seek", "read", "close"} if sum(sizes) > most else set())


@requirement("FORM-04")
@given(steps=steps())
@each(steps=[ALL_STEPS, [["seek", 2], ["write", b"x"]]])
def test_a_file_that_was_moved_to_disk_before_is_used_in_threads(
    submission: Submission, steps: list[Step]
) -> None:
    """A SpooledTemporaryFile that is on disk when the upload is made is used in threads."""
    content = b"0123456789abc"
    played(content, [step for step in steps if step != ["close"]])
    done = in_threads(submission, SPOOL, content, steps)
    assert done >= {method for method, *_ in steps}


@requirement("FORM-05")
@given(content=st.binary(max_size=12), steps=steps())
@each(content=[b"data"], steps=[*([step] for step in ALL_STEPS), ALL_STEPS])
def test_a_file_in_memory_is_used_at_once(submission: Submission, content: bytes, steps: list[Step]) -> None:
    """With an io.BytesIO, nothing has to be waited for, neither a thread nor another turn of the event loop."""
    closing = [step for step in steps if step == ["close"]]
    others = [step for step in steps if step != ["close"]]
    read, _, _ = played(content, others)
    found = submission.call("steps_that_wait", content=content, steps=others + closing)
    waiting = {step for step, value in found if value == "waits"}
    assert not waiting, (
        f"{', '.join(sorted(waiting))}: not done at once, though the file is a BytesIO: call its method directly"
    )
    assert found == [
        [step[0], value] for step, value in zip(others + closing, [*read, *map(none, closing)], strict=True)
    ]


def none(_: object) -> None:
    """Nothing."""


# --- forms --------------------------------------------------------------------------------------------------

VALUES = [
    [],
    [["a", "1"]],
    [["a", MEMORY]],
    [["title", "Holidays"], ["film", DISK], ["film", SPOOL], ["film", MEMORY]],
    [["a", "1"], ["a", MEMORY], ["a", "2"], ["a", DISK]],
    [["a", MEMORY], ["b", MEMORY], ["", MEMORY]],
]


def values(kinds: Sequence[str]) -> st.SearchStrategy[list[list[str]]]:
    """Names and values of a form; a value is a text, or a kind of file."""
    value = st.sampled_from(["1", "", *kinds])
    return st.lists(st.tuples(st.sampled_from("abc"), value).map(list), max_size=5)


@requirement("FORM-06")
@given(values=values(KINDS), times=st.integers(1, 2))
@each(values=VALUES, times=[1, 2])
def test_closing_a_form_closes_all_of_its_files(
    submission: Submission, values: list[list[str]], times: int
) -> None:
    """A form has texts and files as they are; closing it closes all files, also those of one name."""
    count = sum(value in KINDS for _, value in values)
    assert submission.call("closed_form", values=values, times=times) == {
        "is a MultiDict": True,
        "values": [[name, "file" if value in KINDS else value] for name, value in values],
        "closed before": [False] * count,
        "closed": [True] * count,
    }


@requirement("FORM-07")
@given(values=values(KINDS), error=st.none() | st.just("boom"))
@each(values=VALUES, error=[None, "boom"])
def test_a_form_is_closed_at_the_end_of_its_block(
    submission: Submission, values: list[list[str]], error: str | None
) -> None:
    """`async with` gives the form itself and closes it in the end; an exception in the block goes on."""
    count = sum(value in KINDS for _, value in values)
    assert submission.call("form_in_a_block", values=values, error=error) == {
        "entered is the form": True,
        "closed in the block": [False] * count,
        "raised": error,
        "closed": [True] * count,
    }


@requirement("FORM-08")
@given(values=values([*KINDS, BROKEN]))
@example(values=[["a", BROKEN], ["a", MEMORY]])
@example(values=[["a", MEMORY], ["b", BROKEN], ["c", DISK], ["a", BROKEN], ["a", SPOOL]])
@example(values=[["a", MEMORY], ["a", DISK], ["a", BROKEN]])
def test_a_file_that_cannot_be_closed_keeps_no_other_open(
    submission: Submission, values: list[list[str]]
) -> None:
    """If closing a file raises an OSError, all others are closed, and the OSError goes on to the caller."""
    assume(any(value == BROKEN for _, value in values))
    sound = [[name, value] for name, value in values if value != BROKEN]
    submission.call("closed_form", values=sound)
    assert submission.call("left_open") == 0
    with raised("OSError"):
        submission.call("closed_form", values=values)
    left = submission.call("left_open")
    assert left == 0, f"one file cannot be closed, and {left} of the others are left open"


# --- fields -------------------------------------------------------------------------------------------------

FIELDS: list[tuple[bytes, list[list[str]]]] = [
    (b"", []),
    (b"a=1&b=2&a=3", [["a", "1"], ["b", "2"], ["a", "3"]]),
    (b"a=&b&=c&=", [["a", ""], ["b", ""], ["", "c"], ["", ""]]),
    (b"&&a=1&&&b=2&&", [["a", "1"], ["b", "2"]]),
    (b"a=b=c==", [["a", "b=c=="]]),
    (b"a=1;b=2", [["a", "1;b=2"]]),
    (b"a+b=c+d%2B%20", [["a b", "c d+ "]]),
    (b"%61%26=%3D%26%253D", [["a&", "=&%3D"]]),
    (b"a=%&b=%4&c=%zz&d=%u20AC", [["a", "%"], ["b", "%4"], ["c", "%zz"], ["d", "%u20AC"]]),
    (b"caf%C3%a9=%E2%82%AC", [["caf\xe9", "\u20ac"]]),
    ("caf\xe9=\u20ac".encode(), [["caf\xe9", "\u20ac"]]),
    (b"a=%FF&b=\xff", [["a", "\ufffd"], ["b", "\ufffd"]]),
    (b"a=%00%0D%0A", [["a", "\0\r\n"]]),
    (b"a= 1 \r\n", [["a", " 1 \r\n"]]),
    (b'?a[]=1&a[b]="2"', [["?a[]", "1"], ["a[b]", '"2"']]),
]
TEXT = st.text(st.sampled_from("a1=&+%; \xe9\u20ac") | st.characters(exclude_categories=["Cs"]), max_size=6)
PAIRS = st.lists(st.tuples(TEXT, TEXT).map(list), max_size=4)
PLACES = st.lists(st.integers(0, 60), max_size=4)


def encoded(pairs: Iterable[Sequence[str]]) -> bytes:
    """A body with these fields."""
    return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs).encode()


def cut(body: bytes, places: Iterable[int]) -> list[bytes]:
    """The body in pieces, cut at these places as far as it reaches."""
    bounds = [0, *sorted(min(place, len(body)) for place in places), len(body)]
    return [body[start:end] for start, end in pairwise(bounds)]


def single_bytes(body: bytes) -> list[bytes]:
    """The body, a byte at a time."""
    return cut(body, range(1, len(body)))


@requirement("FORM-09")
@given(case=st.sampled_from(FIELDS))
@each(case=FIELDS)
def test_fields_are_read_as_those_of_a_query(
    submission: Submission, case: tuple[bytes, list[list[str]]]
) -> None:
    """A body is read as QueryParams reads a query string, and no body is an error."""
    body, pairs = case
    assert submission.call("parse", chunks=[body]) == pairs


@requirement("FORM-09")
@given(pairs=PAIRS)
@example(pairs=[])
@example(pairs=[["title", "Holidays"], ["tag", "sea & sun"], ["tag", "100%"]])
def test_what_a_browser_encodes_is_read_back(submission: Submission, pairs: list[list[str]]) -> None:
    """Any names and values, encoded, are read back in order."""
    assert submission.call("parse", chunks=[encoded(pairs)]) == pairs


@requirement("FORM-09")
def test_a_body_without_chunks_is_an_empty_form(submission: Submission) -> None:
    """No chunk at all is an empty form, and so are empty chunks."""
    assert submission.call("parse", chunks=[b"a=1"]) == [["a", "1"]]
    assert submission.call("parse", chunks=[]) == []
    assert submission.call("parse", chunks=[b"", b""]) == []


@requirement("FORM-10")
@given(pairs=PAIRS, places=PLACES)
@example(pairs=[["a", "1"]], places=[1, 2, 2, 3])
@example(pairs=[["a", "1"], ["b", "2"], ["a", "3"]], places=[3, 4, 8])
@example(pairs=[["\xe9", "\u20ac+ "], ["a&=", "%"]], places=[1, 4])
def test_cuts_change_nothing(submission: Submission, pairs: list[list[str]], places: list[int]) -> None:
    """Wherever the body is cut into chunks, also into single bytes, the form is the same."""
    body = encoded(pairs)
    for chunks in (cut(body, places), [*single_bytes(body), b""]):
        assert submission.call("parse", chunks=chunks) == pairs


@requirement("FORM-10")
@given(case=st.sampled_from(FIELDS), place=st.integers(0, 30))
@each(case=FIELDS, place=[1, 2, 3])
def test_cuts_change_nothing_where_fields_are_odd(
    submission: Submission, case: tuple[bytes, list[list[str]]], place: int
) -> None:
    """Empty fields, malformed escapes and raw bytes are read alike wherever the body is cut."""
    body, pairs = case
    for chunks in (cut(body, [place]), single_bytes(body)):
        assert submission.call("parse", chunks=chunks) == pairs


# --- limits -------------------------------------------------------------------------------------------------


def too_large(submission: Submission, chunks: list[bytes], **limits: int) -> None:
    """Demand an HTTPException with the status 413."""
    with raised("HTTPException") as caught:
        submission.call("parse", chunks=chunks, limits=limits)
    status = caught.error.attributes.get("status_code")
    assert status == 413, f"a form over a limit is answered with 413, but this is {caught.error}"


def is_taken(submission: Submission, chunks: list[bytes], **limits: int) -> None:
    """Demand that a form is as large as may be: these limits change nothing."""
    whole = submission.call("parse", chunks=chunks)
    assert submission.call("parse", chunks=chunks, limits=limits) == whole


@requirement("FORM-11")
@given(
    fields=st.lists(st.sampled_from([b"a", b"b=1", b"=", b"c="]), max_size=4),
    gaps=st.lists(st.integers(0, 2), min_size=5, max_size=5),
)
@example(fields=[b"a=1"], gaps=[0] * 5)
@example(fields=[b"a=1", b"a=2", b"a=3"], gaps=[0] * 5)
@example(fields=[b"a", b"=", b"c="], gaps=[2, 0, 1, 2, 2])
@example(fields=[b"a", b"b"], gaps=[0, 0, 1, 0, 0])
@example(fields=[], gaps=[0] * 5)
@example(fields=[], gaps=[2] * 5)
def test_a_form_has_at_most_as_many_fields_as_allowed(
    submission: Submission, fields: list[bytes], gaps: list[int]
) -> None:
    """As many fields as `max_fields` says are read, one more is a 413. What has no characters does not count."""
    body = b"&" * gaps[0] + b"".join(
        field + b"&" * (gap + 1) for field, gap in zip(fields, gaps[1:], strict=False)
    )
    body = body if gaps[-1] else body.removesuffix(b"&")
    count = len(fields)
    for chunks in ([body], single_bytes(body)):
        is_taken(submission, chunks, max_fields=count)
        too_large(submission, [*chunks, b"&d"], max_fields=count)
        if count:
            too_large(submission, chunks, max_fields=count - 1)


@requirement("FORM-11")
def test_the_limits_are_a_thousand_and_a_megabyte(submission: Submission) -> None:
    """Without other limits, a form may have 1,000 fields, 1,000 files and 1 MiB a part."""
    limits = {"max_fields": 1000, "max_files": 1000, "max_part_size": MEGABYTE}
    assert submission.call("default_limits") == limits
    form = {"start": b"a=1", "fill": b"&a=1", "times": 999}
    assert len(submission.call("repeated", **form, end=b"&")) == 1000
    with raised("HTTPException") as caught:
        submission.call("repeated", **form, end=b"&b")
    assert caught.error.attributes.get("status_code") == 413


SIZED: list[tuple[bytes, int]] = [
    (b"a=1234", 4),
    (b"name=a", 4),
    (b"name", 4),
    (b"names=", 5),
    (b"a=%C3%A9", 6),
    (b"%C3%A9=a", 6),
    (b"a=b+c%20", 6),
    (b"abcd=1234", 4),
    (b"a=1=2=3", 5),
    (b"a=====", 4),
    (b"a=123&b=1234&abc", 4),
    (b"a=1&name", 4),
    (b"=1234&1234=", 4),
]
"""Bodies, and how many bytes the longest of their names and values has."""


@requirement("FORM-12")
@given(case=st.sampled_from(SIZED), place=st.integers(0, 12))
@each(case=SIZED, place=[3])
def test_names_and_values_have_a_limit(submission: Submission, case: tuple[bytes, int], place: int) -> None:
    """A name or a value of `max_part_size` bytes as they are sent is read, one of more is a 413."""
    body, longest = case
    for chunks in ([body], cut(body, [place]), single_bytes(body)):
        is_taken(submission, chunks, max_part_size=longest)
        too_large(submission, chunks, max_part_size=longest - 1)


@requirement("FORM-12")
@given(limit=st.integers(0, 9), count=st.integers(1, 5))
@example(limit=4, count=3)
@example(limit=0, count=1)
def test_each_name_and_value_is_measured_by_itself(submission: Submission, limit: int, count: int) -> None:
    """There is no limit for a name and a value together, nor for the whole form."""
    body = b"&".join([b"n" * limit + b"=" + b"v" * limit] * count)
    for chunks in ([body], single_bytes(body)):
        is_taken(submission, chunks, max_part_size=limit)
        too_large(submission, [*chunks, b"v"], max_part_size=limit)


@requirement("FORM-12")
@given(start=st.sampled_from([b"a=", b""]))
@each(start=[b"a=", b""])
def test_a_name_or_a_value_has_at_most_a_megabyte(submission: Submission, start: bytes) -> None:
    """Without other limits, a name or a value may have 1 MiB."""
    form = {"start": start, "fill": b"x" * 65536, "times": 16}
    longest = [1, MEGABYTE] if start else [MEGABYTE, 0]
    assert submission.call("repeated", **form, end=b"&c=1") == [longest, [1, 1]]
    with raised("HTTPException") as caught:
        submission.call("repeated", **form, end=b"x&c=1")
    assert caught.error.attributes.get("status_code") == 413


def asked(submission: Submission) -> int:
    """How many chunks the submission asked for."""
    count: int = submission.call("chunks_asked_for")
    return count


@requirement("FORM-13")
@given(count=st.integers(0, 4), field=st.sampled_from([b"x", b"x=1", b"="]), more=st.integers(1, 3))
@example(count=0, field=b"x", more=1)
@example(count=2, field=b"x=1", more=1)
@example(count=2, field=b"=", more=2)
def test_a_field_too_many_is_not_read_on(submission: Submission, count: int, field: bytes, more: int) -> None:
    """The chunk with the first byte of a field too many is the last that is asked for."""
    chunks = [b"a=1&"] * count
    is_taken(submission, [*chunks, b"&&", b""], max_fields=count)
    assert asked(submission) == count + 2, "a form within its limits is read to its end"
    too_large(submission, [*chunks, field, *[b"y"] * more, b"&b=2"], max_fields=count)
    assert asked(submission) == count + 1, (
        "a field too many has begun: raise before you ask for another chunk, also if the field is not complete"
    )


@requirement("FORM-13")
@given(start=st.sampled_from([b"", b"a=", b"a=1&b="]), limit=st.integers(1, 6), more=st.integers(1, 3))
@each(start=[b"", b"a=", b"a=1&b="], limit=[4], more=[1])
def test_too_long_a_part_is_not_read_on(submission: Submission, start: bytes, limit: int, more: int) -> None:
    """The chunk with the first byte too much of a name or a value is the last that is asked for."""
    fits = [start, *[b"x"] * limit]
    is_taken(submission, [*fits, b"&", b"c=1"], max_part_size=limit)
    assert asked(submission) == len(fits) + 2, "a form within its limits is read to its end"
    too_large(submission, [*fits, b"y", *[b"z"] * more, b"&c=1"], max_part_size=limit)
    assert asked(submission) == len(fits) + 1, (
        "there are more bytes than allowed: raise before you ask for another chunk, also if the field is not complete"
    )


@requirement("FORM-14")
@given(length=st.integers(0, 7))
@each(length=[0, 4, 7])
def test_an_error_of_the_chunks_goes_on(submission: Submission, length: int) -> None:
    """What `chunks` raises goes on to the caller: what came before is not a form."""
    body = b"a=1&b=2"
    assert submission.call("parse", chunks=[body]) == [["a", "1"], ["b", "2"]]
    with raised("ConnectionError"):
        submission.call("parse_what_breaks", chunks=cut(body[:length], [2]))
