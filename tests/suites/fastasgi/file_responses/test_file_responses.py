"""What file responses promise: how a file is described, what is sent of it, and when it is not.

Rule 1: the content of a file follows from its size (`content`, as in the probe), and it was changed at DATE.
Rule 2: `<etag>` in a request's header stands for the file's own tag; the probe asks for it before.
Rule 3: preconditions are judged by a model that asks them in the order of RFC 9110, section 13.2.2.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Callable, Iterable
from itertools import product
from typing import Any, TypeVar
from urllib.parse import unquote

from hypothesis import assume, example, given
from hypothesis import strategies as st

from grader.suite import Script, Submission, Transcript, raised, requirement
from grader.suite import strategies as asgi

Test = TypeVar("Test", bound=Callable[..., Any])
Headers = list[tuple[str, str]]

DATE = "Tue, 14 Nov 2023 22:13:20 GMT"
EARLIER, LATER = "Tue, 14 Nov 2023 22:13:19 GMT", "Tue, 14 Nov 2023 22:13:21 GMT"
CHUNK = 65_536
SIZE = 1024


def content(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def each(**values: Iterable[Any]) -> Callable[[Test], Test]:
    """Pins one example for each combination of these values."""

    def pin(test: Test) -> Test:
        for combination in product(*values.values()):
            test = example(**dict(zip(values, combination, strict=True)))(test)
        return test

    return pin


class Sent:
    """What was sent in a transcript. Raises what the application raised."""

    def __init__(self, transcript: Transcript) -> None:
        _ = transcript.returned
        messages = [message for message in transcript.sent if message["type"] != "probe.log"]
        assert messages, "nothing was sent"
        start, *self.rest = messages
        self.status = start.get("status")
        self.headers = [(bytes(name), bytes(value)) for name, value in start.get("headers", ())]
        self.body = b"".join(message.get("body", b"") for message in self.rest)

    def values(self, name: str) -> list[str]:
        """The values of all headers of a name."""
        return [value.decode("latin-1") for each, value in self.headers if each.lower() == name.encode()]

    def named(self) -> dict[str, str]:
        """The headers by name."""
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in self.headers}


def play(submission: Submission, maker: str = "served", **config: Any) -> Transcript:
    """What happens when a file is served; nobody has an event for it."""
    return submission.converse(Script(scope=asgi.http_scope(), end="block"), maker=maker, **config)


def served(submission: Submission, size: int = SIZE, **config: Any) -> Sent:
    """What is sent for one request."""
    return Sent(play(submission, size=size, **config))


# --- FILE-01 to FILE-04: the file and its description -------------------------------------------------------

SIZES = [0, 1, 1000, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK]
OTHER_SCOPES = [asgi.websocket_scope(), asgi.lifespan_scope(), asgi.http_scope(type="mqtt")]


@requirement("FILE-01")
@given(size=st.sampled_from([*SIZES, 2, 500]), path_as=st.sampled_from(["Path", "str"]))
@each(size=SIZES, path_as=["Path"])
@example(size=10, path_as="str")
def test_the_whole_file_is_sent(submission: Submission, size: int, path_as: str) -> None:
    """The bytes of the file are sent with their number as length; only the last message is final."""
    transcript = play(submission, size=size, path_as=path_as, options={"headers": {"content-length": "7"}})
    answer = Sent(transcript)
    assert answer.status == 200
    assert answer.values("content-length") == [str(size)]
    assert {message["type"] for message in answer.rest} == {"http.response.body"}
    assert [message.get("more_body", False) for message in answer.rest] == [True] * (len(answer.rest) - 1) + [
        False
    ], "all messages but the last say more_body"
    assert answer.body == content(size)


@requirement("FILE-01")
@given(times=st.integers(2, 3), scope=st.sampled_from(OTHER_SCOPES))
@each(times=[2], scope=OTHER_SCOPES)
def test_any_number_of_http_connections(submission: Submission, times: int, scope: dict[str, Any]) -> None:
    """Several are served at once, also a file that comes after the response was made; other scopes are refused."""
    scripts = [Script(scope=asgi.http_scope()) for _ in range(times)]
    transcript = submission.converse(scripts, maker="served", size=SIZE)
    assert [Sent(transcript.of(number)).body for number in range(times)] == [content(SIZE)] * times
    assert Sent(play(submission, "late")).body == content(10)
    old = Script(scope=asgi.http_scope(asgi={"version": "3.0"}), events=[{"type": "http.request"}])
    assert Sent(submission.converse(old, maker="served", size=SIZE)).body == content(SIZE)
    refused = submission.converse(Script(scope=scope), maker="served")
    assert refused.sent == []
    with raised("RuntimeError"):
        _ = refused.returned


@requirement("FILE-02")
@given(size=st.sampled_from(SIZES))
@each(size=[10, 3 * CHUNK])
def test_the_file_is_read_in_threads_and_in_pieces(submission: Submission, size: int) -> None:
    """The file is opened in a thread, not in the event loop's; no message has more than 64 KiB of it."""
    answer = served(submission, size)
    assert answer.body == content(size)
    largest = max(len(message.get("body", b"")) for message in answer.rest)
    assert largest <= CHUNK, f"a message holds {largest} bytes"
    threads = submission.call("opened_in", size=size)
    assert threads == ["another"], "the file is opened in the event loop's own thread"


NAMES = ["a.txt", "A.HTML", "a.css", "a.csv", "a.json", "a.PNG", "a.jpg", "a.pdf", "a.svg", "a.b.txt"]
NAMES += ["a.unknown", "Makefile", "txt"]


def type_of(name: str) -> str:
    found = mimetypes.MimeTypes(()).guess_type(name.lower())[0] or "application/octet-stream"
    return f"{found}; charset=utf-8" if found.startswith("text/") else found


NAMED = [*((name, None) for name in NAMES), ("a.png", "b.txt"), ("a.txt", "b.unknown"), ("a.txt", "b.PNG")]


@requirement("FILE-03")
@given(named=st.sampled_from(NAMED))
@each(named=NAMED)
def test_the_type_follows_from_the_name(submission: Submission, named: tuple[str, str | None]) -> None:
    """Content-Type follows from the last suffix of `filename`, or else of the path; text is UTF-8."""
    name, filename = named
    answer = served(submission, 10, name=name, options={"filename": filename})
    assert answer.values("content-type") == [type_of(filename or name)]


OWN: list[Headers] = [
    [],
    [("etag", '"own"'), ("Last-Modified", EARLIER), ("Content-Type", "a/b"), ("X-A", "1")],
    [("ETag", 'W/"own"')],
    [("Accept-Ranges", "none")],
    [("last-modified", LATER)],
]


@requirement("FILE-03")
@given(own=st.sampled_from(OWN), media_type=st.sampled_from([None, "text/x"]))
@each(own=OWN, media_type=[None])
@each(own=OWN[:2], media_type=["text/x"])
def test_the_file_is_described_and_the_caller_wins(
    submission: Submission, own: Headers, media_type: str | None
) -> None:
    """The response says type, date, tag and unit of ranges, each once; what the caller says of the file wins."""
    answer = served(submission, options={"headers": own, "media_type": media_type})
    found = answer.named()
    assert len(found) == len(answer.headers), "a header stands there twice"
    from_caller = {name.lower(): value for name, value in own}
    tag = found.pop("etag")
    assert tag == from_caller.pop("etag", tag)
    expected = {
        "content-type": media_type or "application/octet-stream",
        "content-length": "1024",
        "last-modified": DATE,
        "accept-ranges": "bytes",
    }
    assert found == expected | from_caller


@requirement("FILE-03")
def test_the_tag_names_a_state_of_the_file(submission: Submission) -> None:
    """The ETag is strong, stays while the file does, and changes with its size and its time to the nanosecond."""
    tags = submission.call("tags")
    assert re.fullmatch(r'"[\x21\x23-\x7e]+"', tags["first"]), "a strong tag is a text between double quotes"
    assert tags["again"] == tags["first"]
    assert tags["a nanosecond later"] != tags["first"], "the file was changed, but its tag is the same"
    assert tags["of another size"] not in (tags["first"], tags["a nanosecond later"])
    others = [tags[f"of {size} bytes"] for size in (0x5A, 910, 101)]
    assert tags["first"] not in others, "another size and another time, but the same tag: what parts the two?"


BY_THE_CALLER: list[tuple[Headers, int]] = [
    ([("if-none-match", '"own"')], 304),
    ([("if-none-match", "<etag>")], 304),
    ([("if-match", 'W/"own"')], 412),
    ([("if-modified-since", EARLIER)], 304),
    ([("if-unmodified-since", EARLIER)], 200),
    ([("range", "bytes=0-1"), ("if-range", 'W/"own"')], 200),
    ([("range", "bytes=0-1"), ("if-range", EARLIER)], 206),
    ([("range", "bytes=0-1"), ("if-range", DATE)], 200),
]


@requirement("FILE-03")
@given(case=st.sampled_from(BY_THE_CALLER))
@each(case=BY_THE_CALLER)
def test_conditions_go_by_what_the_caller_says(submission: Submission, case: tuple[Headers, int]) -> None:
    """Preconditions and If-Range are compared with the tag and the date that are sent, the caller's."""
    headers, status = case
    own = {"etag": 'W/"own"', "last-modified": EARLIER}
    assert served(submission, headers=headers, options={"headers": own}).status == status


PLAIN = st.text("abcXYZ019 -._()", min_size=1, max_size=10)
ANY_NAME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10)
PARAMETER = re.compile(
    r'; (filename|filename\*)=(?:"([ !#-\[\]-~]*)"|UTF-8\'\'((?:[\w!#$&+.^`|~-]|%[0-9A-Fa-f]{2})*))', re.ASCII
)


@requirement("FILE-04")
@given(name=PLAIN | ANY_NAME, kind=st.sampled_from(["attachment", "inline"]))
@example(name="my report (2).pdf", kind="attachment")
@example(name="a.txt", kind="inline")
@example(name="é€.txt", kind="attachment")
@example(name="é.txt", kind="attachment")
@example(name='a"; filename="b.exe', kind="attachment")
@example(name="a\\", kind="attachment")
@example(name="100%25.txt", kind="attachment")
@example(name="a\r\nset-cookie: b", kind="attachment")
@example(name="../../etc/passwd", kind="attachment")
@example(name="it's;*.txt\x7f", kind="attachment")
@example(name="{a+b}.txt", kind="inline")
@example(name="😀", kind="inline")
def test_any_name_can_be_read_back(submission: Submission, name: str, kind: str) -> None:
    """The name stands in Content-Disposition so that it can be read back, and is nothing but a name."""
    value = submission.call("disposition", filename=name, disposition=kind)
    assert type(value) is str
    is_kind, rest = value[: len(kind)], value[len(kind) :]
    found: dict[str, str] = {}
    for parameter in PARAMETER.finditer(rest):
        found[parameter[1]] = unquote(parameter[3]) if parameter[2] is None else parameter[2]
    written = "".join(parameter[0] for parameter in PARAMETER.finditer(rest))
    assert (is_kind, written) == (kind, rest), "this is no kind with filename= and filename*= after it"
    if re.fullmatch(r"[A-Za-z0-9 ._()-]+", name):
        assert found == {"filename": name}, "a plain name is written in double quotes, and that is all"
    else:
        assert found.get("filename*") == name


@requirement("FILE-04")
@given(bad=st.sampled_from(["", "form-data", "Attachment", 'attachment; filename="x"']))
@each(bad=["form-data", 'attachment; filename="x"'])
def test_a_disposition_is_one_of_two(submission: Submission, bad: str) -> None:
    """Without a file name there is no Content-Disposition; one that is no disposition raises ValueError."""
    assert submission.call("disposition") is None
    assert submission.call("disposition", filename="a") == 'attachment; filename="a"'
    with raised("ValueError"):
        submission.call("made", disposition=bad)
    with raised("ValueError"):
        submission.call("made", filename="a", disposition=bad)


# --- FILE-05: which requests count --------------------------------------------------------------------------

CONDITIONS: list[Headers] = [
    [("if-none-match", "<etag>")],
    [("if-modified-since", LATER)],
    [("if-match", '"other"')],
    [("if-unmodified-since", EARLIER)],
    [("range", "bytes=0-1")],
    [("range", "bytes=9999-")],
]


@requirement("FILE-05")
@given(size=st.sampled_from([0, 10, 1024]), headers=st.sampled_from([[], *CONDITIONS[4:]]))
@each(size=[1024], headers=[[], *CONDITIONS[4:]])
def test_head_gets_the_headers_of_get(submission: Submission, size: int, headers: Headers) -> None:
    """HEAD gets the start that GET without a range gets, and no bytes."""
    get, head = served(submission, size), served(submission, size, method="HEAD", headers=headers)
    assert get.body == content(size)
    ours = [header for header in get.headers if header[0] != b"etag"]  # which may name the very file
    assert [header for header in head.headers if header[0] != b"etag"] == ours
    assert (head.status, head.body) == (200, b"")
    assert head.values("content-length") == [str(size)]


@requirement("FILE-05")
@given(headers=st.sampled_from(CONDITIONS), case=st.sampled_from([("POST", 200), ("PUT", 200), ("GET", 404)]))
@each(headers=CONDITIONS, case=[("POST", 200), ("GET", 404)])
def test_other_methods_and_errors_have_no_conditions(
    submission: Submission, headers: Headers, case: tuple[str, int]
) -> None:
    """To a method other than GET and HEAD, and with an error status, the whole file is sent."""
    method, status = case
    assert served(submission, headers=headers).status != 200, "to a GET, this header counts"
    answer = served(submission, method=method, headers=headers, options={"status_code": status})
    assert answer.status == status
    assert answer.body == content(SIZE)


# --- FILE-06 to FILE-08: preconditions ----------------------------------------------------------------------

NONE_MATCH = {
    "<etag>": 304,
    "W/<etag>": 304,
    '"a", <etag>': 304,
    '"a" ,W/"b,c",W/<etag>': 304,
    "*": 304,
    '"a"': 200,
    '"a", W/"b"': 200,
    "<bare etag>": 200,
    '"*"': 200,
    '"a,<bare etag>"': 200,
}


@requirement("FILE-06")
@given(value=st.sampled_from(list(NONE_MATCH)), method=st.sampled_from(["GET", "HEAD"]))
@each(value=NONE_MATCH, method=["GET"])
@example(value="<etag>", method="HEAD")
def test_if_none_match(submission: Submission, value: str, method: str) -> None:
    """A tag of the file among those of If-None-Match, weak or strong, or a `*`, gives a bare 304."""
    options = {"headers": {"cache-control": "no-cache"}, "filename": "a.txt"}
    answer = served(submission, method=method, headers=[("if-none-match", value)], options=options)
    assert answer.status == NONE_MATCH[value]
    if answer.status == 304:
        assert answer.body == b""
        assert answer.values("content-length") == [], "a 304 has no content-length"
        assert answer.values("cache-control") == ["no-cache"]
        assert len(answer.values("etag")) == 1, "a 304 has the etag"
    elif method == "GET":
        assert answer.body == content(SIZE)


NO_DATES = ["", "yesterday", "1700000000", "Tue, 31 Feb 2023 22:13:20 GMT"]
SINCE = {DATE: 304, LATER: 304, EARLIER: 200, "Mon, 01 Jan 2300 00:00:00 GMT": 304}
SINCE |= dict.fromkeys(NO_DATES, 200)


@requirement("FILE-07")
@given(value=st.sampled_from(list(SINCE)), tag=st.sampled_from([None, '"a"']))
@each(value=SINCE, tag=[None])
@example(value=DATE, tag='"a"')
def test_if_modified_since(submission: Submission, value: str, tag: str | None) -> None:
    """A file that is no newer than the date gives 304; beside If-None-Match the date means nothing."""
    headers = [("if-modified-since", value)] + ([] if tag is None else [("if-none-match", tag)])
    answer = served(submission, headers=headers)
    assert answer.status == (SINCE[value] if tag is None else 200)
    assert answer.body == (content(SIZE) if answer.status == 200 else b"")


ZONED = {f"Sun, 26 Mar 2023 {time} GMT": 304 for time in ("02:30:00", "03:10:00")}
ZONED |= {f"Sun, 26 Mar 2023 {time} GMT": 200 for time in ("01:50:00", "02:29:59")}


@requirement("FILE-07")
@given(value=st.sampled_from(list(ZONED)))
@each(value=ZONED)
def test_the_time_zone_of_the_machine_does_not_matter(submission: Submission, value: str) -> None:
    """Dates are times in GMT, also those that no clock shows where the machine stands."""
    config: dict[str, Any] = {
        "headers": [("if-modified-since", value)],
        "options": {"headers": {"last-modified": "Sun, 26 Mar 2023 02:30:00 GMT"}},
    }
    assert Sent(play(submission, "served_in_a_zone", size=10, **config)).status == ZONED[value]


def precondition(headers: dict[str, str]) -> int:
    """The status by RFC 9110, section 13.2.2, for headers whose tags are `<etag>`, weak or not, `*`, or others."""
    if "if-match" in headers:
        if headers["if-match"] not in ("<etag>", "*", '"a", <etag>'):
            return 412
    elif headers.get("if-unmodified-since") == EARLIER:
        return 412
    if "if-none-match" in headers:
        return 304 if "<etag>" in headers["if-none-match"] or headers["if-none-match"] == "*" else 200
    return 304 if headers.get("if-modified-since") in (DATE, LATER) else 200


PRECONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "if-match": st.sampled_from(["<etag>", "*", '"a", <etag>', '"a"', "W/<etag>", "<bare etag>"]),
        "if-unmodified-since": st.sampled_from([DATE, LATER, EARLIER, "yesterday"]),
        "if-none-match": st.sampled_from(["<etag>", "*", '"a"', "W/<etag>"]),
        "if-modified-since": st.sampled_from([DATE, LATER, EARLIER, "yesterday"]),
    },
)


@requirement("FILE-08")
@given(headers=PRECONDITIONS, ranged=st.booleans(), method=st.sampled_from(["GET", "HEAD"]))
@example(headers={"if-match": "<etag>"}, ranged=False, method="GET")
@example(headers={"if-match": '"a"'}, ranged=False, method="GET")
@example(headers={"if-match": '"a"'}, ranged=False, method="HEAD")
@example(headers={"if-match": '"a", <etag>'}, ranged=True, method="GET")
@example(headers={"if-match": "*"}, ranged=False, method="GET")
@example(headers={"if-match": "W/<etag>"}, ranged=False, method="GET")
@example(headers={"if-unmodified-since": EARLIER}, ranged=False, method="GET")
@example(headers={"if-unmodified-since": DATE}, ranged=False, method="GET")
@example(headers={"if-unmodified-since": "yesterday"}, ranged=False, method="GET")
@example(headers={"if-unmodified-since": EARLIER, "if-match": "<etag>"}, ranged=False, method="GET")
@example(headers={"if-match": '"a"', "if-none-match": "<etag>"}, ranged=True, method="GET")
@example(headers={"if-match": "<etag>", "if-none-match": "<etag>"}, ranged=True, method="GET")
@example(headers={"if-unmodified-since": EARLIER, "if-modified-since": DATE}, ranged=False, method="GET")
@example(headers={"if-unmodified-since": DATE, "if-none-match": "<etag>"}, ranged=True, method="GET")
@example(headers={"if-match": "<etag>", "if-modified-since": DATE}, ranged=True, method="GET")
@example(headers={"if-none-match": '"a"', "if-modified-since": LATER}, ranged=False, method="GET")
def test_preconditions_in_their_order(
    submission: Submission, headers: dict[str, str], ranged: bool, method: str
) -> None:
    """The first precondition that fails decides, in the order of RFC 9110, and all before the range."""
    asked = [*headers.items(), *([("range", "bytes=0-1")] if ranged else [])]
    answer = served(submission, method=method, headers=asked)
    whole = 206 if ranged and method == "GET" else 200
    expected = precondition(headers)
    assert answer.status == (whole if expected == 200 else expected)
    if expected == 412:
        assert answer.values("content-length") in ([], ["0"]), "a 412 has an empty body"
    if expected == 412 or method == "HEAD":
        assert answer.body == b""


# --- FILE-09 to FILE-11: ranges -----------------------------------------------------------------------------


def places(asked: str, size: int) -> range:
    """What a range names, the slow and simple way."""
    first, _, last = asked.partition("-")
    if not first:
        return range(size)[-int(last) :] if int(last) else range(0)
    return range(size)[int(first) : int(last) + 1 if last else size]


NUMBERS = st.integers(0, 40)
RANGES = (
    st.tuples(NUMBERS, NUMBERS).map(lambda pair: f"{pair[0]}-{sum(pair)}")
    | NUMBERS.map("{}-".format)
    | NUMBERS.map("-{}".format)
)


@requirement("FILE-09")
@given(size=st.integers(1, 30), asked=RANGES, spelt=st.sampled_from([("range", "bytes"), ("Range", "BYTES")]))
@example(size=1024, asked="0-0", spelt=("range", "bytes"))
@example(size=1024, asked="10-19", spelt=("Range", "Bytes"))
@example(size=1024, asked="1000-", spelt=("range", "bytes"))
@example(size=1024, asked="-24", spelt=("range", "bytes"))
@example(size=1024, asked="1000-2000", spelt=("range", "bytes"))
@example(size=1024, asked="-5000", spelt=("range", "bytes"))
@example(size=1024, asked="0-1023", spelt=("range", "bytes"))
@example(size=200_000, asked="1-199998", spelt=("range", "bytes"))
def test_one_range(submission: Submission, size: int, asked: str, spelt: tuple[str, str]) -> None:
    """One range that the file has is answered by 206 with just these bytes."""
    wanted = places(asked, size)
    assume(wanted)
    name, unit = spelt
    answer = served(submission, size, headers=[(name, f"{unit}={asked}")], options={"headers": {"x-a": "1"}})
    assert answer.status == 206
    assert answer.values("content-range") == [f"bytes {wanted[0]}-{wanted[-1]}/{size}"]
    assert answer.values("content-length") == [str(len(wanted))]
    assert answer.body == content(size)[wanted.start : wanted.stop]
    assert answer.values("content-type") == ["application/octet-stream"]
    assert (len(answer.values("etag")), answer.values("x-a")) == (1, ["1"])


NO_RANGES = [
    "",
    "bytes",
    "bytes=",
    "bytes=-",
    "bytes=a-b",
    "bytes=1-0",
    "bytes=5",
    "bytes=--5",
    "bytes=-5-10",
]
NO_RANGES += [
    "bytes=0-1;2-3",
    "bytes=+1-2",
    "bytes=1_0-20",
    "bytes=0x1-0x2",
    "bytes=\xb2-\xb3",
    "items=0-1",
    "bytes: 0-1",
    "bytes=0-1 4-5",
]


BEYOND = [(1024, "1024-"), (1024, "1024-1033"), (1024, "5000-9000"), (1024, "-0"), (1, "1-"), (1, "-0")]


@requirement("FILE-10")
@given(beyond=st.sampled_from(BEYOND), no_range=st.sampled_from(NO_RANGES))
@each(beyond=BEYOND, no_range=["bytes=a-b"])
@each(beyond=BEYOND[:1], no_range=NO_RANGES)
def test_a_range_that_is_not_there_or_is_none(
    submission: Submission, beyond: tuple[int, str], no_range: str
) -> None:
    """A range beyond the end gets 416 with the size; what is no range of bytes counts for nothing."""
    size, asked = beyond
    answer = served(submission, size, headers=[("range", f"bytes={asked}")])
    assert (answer.status, answer.body) == (416, b"")
    assert answer.values("content-range") == [f"bytes */{size}"]
    assert answer.values("content-length") in ([], ["0"])
    answer = served(submission, headers=[("range", no_range)])
    assert answer.status == 200
    assert answer.body == content(SIZE)


@requirement("FILE-10")
@given(digits=st.sampled_from([19, 30, 5000]))
@each(digits=[30, 5000])
def test_no_range_makes_it_raise(submission: Submission, digits: int) -> None:
    """A range with very many digits is answered somehow, as is one of an empty file; nothing is raised."""
    assert served(submission, headers=[("range", "bytes=0-1")]).status == 206
    number = "9" * digits
    for odd in (f"bytes={number}-", f"bytes=-{number}", f"bytes=0-{number}"):
        assert served(submission, headers=[("range", odd)]).status in (200, 206, 416)
    for odd in ("bytes=-5", "bytes=0-", "bytes=0-0"):
        assert served(submission, 0, headers=[("range", odd)]).body == b""


SEVERAL = [
    "40-41,44-45",
    "44-45,40-41",
    "40-49,45-54,70-79",
    "70-79,40-60,45-49",
    "0-0,-1",
    "2000-,40-41",
    "40-41,50-59,55-64",
]


def parts_of(answer: Sent) -> list[tuple[str, bytes]]:
    """The content range and the bytes of each part of a 206 (RFC 9110, section 14.6)."""
    (kind,) = answer.values("content-type")
    if not kind.startswith("multipart/byteranges"):
        return [(answer.values("content-range")[0], answer.body)]
    boundary = re.search(r'boundary="?([^";]+)', kind)
    assert boundary is not None, "the boundary is missing in content-type"
    _, *parts, end = (b"\r\n" + answer.body).split(b"\r\n--" + boundary[1].encode())
    assert end.startswith(b"--"), "the last boundary ends with --"
    found = []
    for part in parts:
        assert part.lstrip(b" \t").startswith(b"\r\n"), "after the boundary, the headers begin on a new line"
        head, _, data = part.partition(b"\r\n\r\n")
        ranges = re.findall(r"(?i)\r\ncontent-range:[ \t]*([^\r\n]+)", head.decode("latin-1"))
        assert len(ranges) == 1, "each part has a content-range"
        found.append((ranges[0], data))
    return found


@requirement("FILE-10")
@given(asked=st.sampled_from(SEVERAL))
@each(asked=SEVERAL)
def test_several_ranges(submission: Submission, asked: str) -> None:
    """Several ranges get the whole file, or 206 with parts that are just what was asked for."""
    answer = served(submission, headers=[("range", f"bytes={asked}")])
    assert answer.status in (200, 206)
    assert {message["type"] for message in answer.rest} == {"http.response.body"}
    assert answer.values("content-length") in ([], [str(len(answer.body))])
    if answer.status == 200:
        assert answer.body == content(SIZE)
        return
    sent: set[int] = set()
    for named, data in parts_of(answer):
        found = re.fullmatch(rf"bytes ([0-9]+)-([0-9]+)/{SIZE}", named)
        assert found is not None, f"{named!r} is no content-range of this file"
        place = range(int(found[1]), int(found[2]) + 1)
        assert data == content(SIZE)[place.start : place.stop]
        sent.update(place)
    assert sent == {place for each in asked.split(",") for place in places(each, SIZE)}


IF_RANGE = {"<etag>": 206, DATE: 206, "W/<etag>": 200, '"a"': 200, EARLIER: 200, LATER: 200}
IF_RANGE |= {"<bare etag>": 200, "*": 200, "": 200, "yesterday": 200}


@requirement("FILE-11")
@given(value=st.sampled_from(list(IF_RANGE)))
@each(value=IF_RANGE)
def test_if_range(submission: Submission, value: str) -> None:
    """The range counts if If-Range is the file's strong tag or its very date; else the whole file is sent."""
    answer = served(submission, headers=[("range", "bytes=0-9"), ("if-range", value)])
    assert answer.status == IF_RANGE[value]
    assert answer.body == (content(SIZE) if answer.status == 200 else content(10))
    beyond = served(submission, headers=[("range", "bytes=9999-"), ("if-range", value)])
    assert beyond.status == (200 if IF_RANGE[value] == 200 else 416)
    assert served(submission, headers=[("if-range", value)]).status == 200


# --- FILE-12 to FILE-14: what can go wrong, and who sends ---------------------------------------------------


@requirement("FILE-12")
@given(what=st.sampled_from(["nothing", "a directory"]), method=st.sampled_from(["GET", "HEAD"]))
@each(what=["nothing", "a directory"], method=["GET", "HEAD"])
def test_what_is_no_file_is_an_error(submission: Submission, what: str, method: str) -> None:
    """Without a file, an OSError is raised (FileNotFoundError if there is nothing), and nothing is sent."""
    assert Sent(play(submission, "missing", what="a file", method=method)).status == 200
    transcript = play(submission, "missing", what=what, method=method)
    assert transcript.sent == [], "what was sent cannot be taken back: find out before that"
    with raised("FileNotFoundError" if what == "nothing" else "OSError"):
        _ = transcript.returned


OFFER: dict[str, Any] = {"http.response.pathsend": {}}


def log_of(transcript: Transcript) -> list[str]:
    """What was done, in order."""
    logs: list[list[str]] = [each["log"] for each in transcript.sent if each["type"] == "probe.log"]
    return logs[-1] if logs else []


@requirement("FILE-13")
@given(place=st.integers(0, 2), kind=st.sampled_from(["ConnectionResetError", "BrokenPipeError"]))
@each(place=[0, 1, 2], kind=["BrokenPipeError"])
def test_when_send_raises_the_file_is_closed(submission: Submission, place: int, kind: str) -> None:
    """What `send` raises goes through: nothing more is sent, no background is run, the file is closed."""
    whole = log_of(play(submission, "watched", size=3 * CHUNK))
    assert whole[0] == "start sent"
    assert whole[-3:] == ["end sent", "background run", "file closed"]
    script = Script(scope=asgi.http_scope(), fail_sends={place: kind})
    transcript = submission.converse(script, maker="watched", size=3 * CHUNK)
    failed = whole[place].replace("sent", "failed")
    assert log_of(transcript) == [*whole[:place], failed, "file closed"]
    with raised(kind):
        _ = transcript.returned


@requirement("FILE-13")
@given(becomes=st.sampled_from([0, CHUNK // 2, CHUNK, 2 * CHUNK, 9 * CHUNK]))
@each(becomes=[0, CHUNK, 9 * CHUNK])
def test_a_file_that_changes_its_size(submission: Submission, becomes: int) -> None:
    """A file that has shrunk raises RuntimeError instead of an end; of one that has grown, no more is sent."""
    transcript = play(submission, "watched", size=3 * CHUNK, becomes=becomes)
    log = log_of(transcript)
    if becomes < 3 * CHUNK:
        assert "end sent" not in log, "the client must not take what it got for the whole file"
        assert log[-1] == "file closed"
        assert "background run" not in log
        with raised("RuntimeError"):
            _ = transcript.returned
    else:
        assert len(Sent(transcript).body) == 3 * CHUNK
        assert log[-3:] == ["end sent", "background run", "file closed"]


@requirement("FILE-13")
@given(case=st.sampled_from([("GET", []), ("HEAD", []), ("GET", CONDITIONS[1])]))
@each(case=[("GET", []), ("HEAD", []), ("GET", CONDITIONS[1])])
def test_a_small_answer_and_a_cancelled_one_leave_nothing_open(
    submission: Submission, case: tuple[str, Headers]
) -> None:
    """The file is closed after every kind of answer, and when the call is cancelled; then no background is run."""
    left = log_of(play(submission, "watched", size=10, extensions=OFFER))
    assert left == ["start sent", "pathsend sent", "background run", "file closed"]
    method, headers = case
    log = log_of(play(submission, "watched", size=10, method=method, headers=headers))
    others = [word for word in log if word != "chunk sent"]
    assert others == ["start sent", "end sent", "background run", "file closed"]
    script = Script(scope=asgi.http_scope(), cancel_when_blocked=True)
    transcript = submission.converse(script, maker="watched", size=3 * CHUNK, hangs=True)
    assert log_of(transcript) == ["start sent", "chunk sent", "file closed"]
    assert transcript.sequence[-1] == "cancelled", "a call that was cancelled raises CancelledError"


PARTS = [("HEAD", [], 200), ("GET", CONDITIONS[1], 304), ("GET", CONDITIONS[2], 412)]
PARTS += [("GET", CONDITIONS[4], 206), ("GET", CONDITIONS[5], 416)]


FORMS: list[tuple[str, int, Any]] = [
    ("Path", 200, None),
    ("str", 200, {"http.response.push": {}}),
    ("relative", 404, {}),
]


@requirement("FILE-14")
@given(form=st.sampled_from(FORMS), part=st.sampled_from(PARTS))
@each(form=FORMS[:1], part=PARTS)
@each(form=FORMS[1:], part=PARTS[:1])
def test_a_whole_file_is_left_to_the_server(
    submission: Submission, form: tuple[str, int, Any], part: tuple[str, Headers, int]
) -> None:
    """Where path send is offered, a whole file is sent by its absolute path; nothing else is, nor without the offer."""
    path_as, status, no_offer = form
    whole = served(submission, path_as=path_as, extensions=OFFER, options={"status_code": status})
    assert whole.status == status
    assert whole.rest == [{"type": "http.response.pathsend", "path": "<the file>"}]
    assert whole.values("content-length") == ["1024"]
    method, headers, expected = part
    answer = served(submission, method=method, headers=headers, extensions=OFFER)
    assert answer.status == expected
    assert {message["type"] for message in answer.rest} == {"http.response.body"}
    assert served(submission, extensions=no_offer).body == content(SIZE), "path send was not offered"
    assert served(submission, 0, extensions=OFFER).values("content-length") == ["0"]
