"""What responses promise: what they say of themselves, the messages that they send, and how streams end.

Rule 1: `Sent` reads a transcript leniently, so that a message of a wrong form costs RESP-02 and no more.
Rule 2: headers are compared without those of the response's own, whose place among them is free.
Rule 3: streams are judged by the log that the probe keeps: the steps of their iterator, what was sent, in order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, timezone
from itertools import product
from typing import Any, TypeVar
from urllib.parse import quote

from hypothesis import example, given
from hypothesis import strategies as st

from grader.suite import Once, Script, Submission, Transcript, raised, requirement
from grader.suite import strategies as asgi

Test = TypeVar("Test", bound=Callable[..., Any])

TEXT = "text/plain; charset=utf-8"
TOKENS = st.text("abcXYZ019!#$%&'*+-.^_`|~", min_size=1, max_size=8)
NAMES = st.text("abXY-", min_size=1, max_size=3).map("x-".__add__)
VALUES = asgi.header_values().map(lambda value: value.decode("latin-1"))
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=5)
LETTERS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
CONTENT = st.none() | st.binary(max_size=12) | LETTERS
SOME = st.sampled_from(["x", "é", b"\xff", "", None])
STATUSES = st.sampled_from([200, 201, 206, 301, 404, 422, 500, 599, 600, 999])


class Sent:
    """What was sent in a transcript. Raises what the application raised."""

    def __init__(self, transcript: Transcript) -> None:
        _ = transcript.returned
        messages = transcript.sent
        self.start: dict[str, Any] = next(
            (each for each in messages if each["type"] == "http.response.start"), {}
        )
        self.status = self.start.get("status")
        self.headers = [(bytes(name), bytes(value)) for name, value in self.start.get("headers", ())]
        bodies = [each.get("body", b"") for each in messages if each["type"] == "http.response.body"]
        self.body = b"".join(bodies)
        assert self.start, "no http.response.start was sent"
        assert bodies, "no http.response.body was sent"

    def values(self, name: str) -> list[bytes]:
        """The values of all headers of a name."""
        return [value for each, value in self.headers if each.lower() == name.encode()]

    def given(self) -> list[tuple[bytes, bytes]]:
        """The headers but for those that a response has of its own."""
        return [header for header in self.headers if header[0] not in (b"content-type", b"content-length")]


def play(
    submission: Submission, maker: str = "response", *, scope: dict[str, Any] | None = None, **config: Any
) -> Transcript:
    """What happens when a response is sent; nobody has an event for it."""
    script = Script(scope=asgi.http_scope(**(scope or {})), end="raise")
    return submission.converse(script, maker=maker, **config)


def sent(submission: Submission, maker: str = "response", *, method: str = "GET", **config: Any) -> Sent:
    """What a response sends."""
    return Sent(play(submission, maker, scope={"method": method}, **config))


def each(**values: Iterable[Any]) -> Callable[[Test], Test]:
    """Pins one example for each combination of these values."""

    def pin(test: Test) -> Test:
        for combination in product(*values.values()):
            test = example(**dict(zip(values, combination, strict=True)))(test)
        return test

    return pin


def encoded(content: bytes | str | None) -> bytes:
    return content.encode() if isinstance(content, str) else content or b""


# --- RESP-01: content ---------------------------------------------------------------------------------------


@requirement("RESP-01")
@given(
    content=CONTENT,
    bad=st.integers() | st.booleans() | st.sampled_from([1.5, [b"x"], ("x",), {"a": 1}, {b"x"}]),
)
@example(content="Zoë", bad=5)
@example(content="", bad=0)
@example(content=b"\xff\x00", bad=False)
@example(content=b"", bad=[])
@example(content=None, bad={})
@example(content="x", bad=[b"x"])
@example(content="x", bad={"a": 1})
def test_content_becomes_the_body(submission: Submission, content: bytes | str | None, bad: Any) -> None:
    """Bytes go out as they are, text as UTF-8, None as nothing; anything else is a TypeError at once."""
    assert sent(submission, content=content).body == encoded(content)
    assert submission.call("attributes", content=content)["body"] == encoded(content)
    with raised("TypeError"):
        submission.call("attributes", content=bad)


TYPES = [
    ("é", None, TEXT),
    ("", None, TEXT),
    (b"x", None, "application/octet-stream"),
    (b"", None, "application/octet-stream"),
    (None, None, None),
    ("x", "text/csv", "text/csv; charset=utf-8"),
    ("x", "text/csv; Charset=latin-1", "text/csv; Charset=latin-1"),
    ("x", "application/xml", "application/xml"),
    (b"x", "text/html", "text/html"),
    (None, "text/html", "text/html"),
]


@requirement("RESP-01")
@given(case=st.sampled_from(TYPES))
@each(case=TYPES)
def test_the_content_type(submission: Submission, case: tuple[Any, str | None, str | None]) -> None:
    """The Content-Type follows from the content, unless a `media_type` is given."""
    content, media_type, expected = case
    arguments = {"content": content, "media_type": media_type}
    assert submission.call("attributes", **arguments)["media_type"] == expected
    types = [value.decode("latin-1") for value in sent(submission, **arguments).values("content-type")]
    assert types == ([] if expected is None else [expected])


# --- RESP-02: messages --------------------------------------------------------------------------------------


@requirement("RESP-02")
@given(content=CONTENT, status=STATUSES, claimed=st.sampled_from([None, "0", "1", "99"]))
@example(content="Zoë", status=201, claimed=None)
@example(content=None, status=200, claimed=None)
@example(content="abc", status=200, claimed="99")
@example(content=b"", status=200, claimed="7")
def test_two_messages_are_sent(
    submission: Submission, content: bytes | str | None, status: int, claimed: str | None
) -> None:
    """A response sends one start, with the number of bytes as its length, and one body, and does not receive."""
    headers = [("X-A", "1")] if claimed is None else [("X-A", "1"), ("Content-Length", claimed)]
    transcript = play(submission, content=content, status_code=status, headers=headers)
    assert transcript.sequence == ["→ http.response.start", "→ http.response.body", "returned"]
    start, body = transcript.sent
    assert start["status"] == status
    assert type(start["status"]) is int
    for name, value in start["headers"]:
        assert (type(name), type(value)) == (bytes, bytes), "a header's name and value are bytes"
        assert name == name.lower(), "names of headers go out in lower case"
    lengths = [value for name, value in start["headers"] if name == b"content-length"]
    assert lengths == [b"%d" % len(encoded(content))], "content-length is the number of bytes"
    assert type(body.get("body", b"")) is bytes
    assert body.get("more_body", False) is False, "there is one body message, and so it is the last"


@requirement("RESP-02")
@given(status=STATUSES, bad=st.sampled_from([-1, 0, 99, 100, 101, 103, 199, 1000]))
@each(status=[200, 999], bad=[199, 1000])
@example(status=599, bad=100)
@example(status=404, bad=0)
def test_only_final_statuses_are_taken(submission: Submission, status: int, bad: int) -> None:
    """A status from 200 to 999 is taken, any other raises ValueError when the response is made."""
    assert sent(submission, status_code=status).status == status
    assert sent(submission, "stream_of_list", status_code=status).status == status
    with raised("ValueError"):
        submission.call("attributes", status_code=bad)
    with raised("ValueError"):
        play(submission, "stream_of_list", status_code=bad)


OTHER_SCOPES = [asgi.websocket_scope(), asgi.lifespan_scope(), asgi.http_scope(type="mqtt")]


@requirement("RESP-02")
@given(scope=st.sampled_from(OTHER_SCOPES))
@each(scope=OTHER_SCOPES)
def test_only_http_is_answered(submission: Submission, scope: dict[str, Any]) -> None:
    """A connection that is not HTTP raises RuntimeError, and nothing is sent to it."""
    assert sent(submission, content="x").body == b"x"
    refused = submission.converse(Script(scope=scope, end="raise"), maker="response", content="x")
    streamed = submission.converse(Script(scope=scope, end="raise"), maker="stream_of_list")
    for transcript in (refused, streamed):
        assert transcript.sent == []
        with raised("RuntimeError"):
            _ = transcript.returned


# --- RESP-03: what has no body ------------------------------------------------------------------------------


@requirement("RESP-03")
@given(content=SOME, status=st.sampled_from([200, 404]), headers=st.sampled_from([[], [("x-a", "1")]]))
@example(content="Zoë", status=200, headers=[("x-a", "1")])
@example(content=b"abc", status=404, headers=[])
def test_head_gets_the_headers_of_get(
    submission: Submission, content: bytes | str | None, status: int, headers: list[tuple[str, str]]
) -> None:
    """HEAD gets the very start that GET gets, content-length included, and no bytes."""
    arguments: dict[str, Any] = {"content": content, "status_code": status, "headers": headers}
    head, get = sent(submission, method="HEAD", **arguments), sent(submission, **arguments)
    assert get.body == encoded(content)
    assert head.start == get.start
    assert head.body == b"", "HEAD gets no bytes"


@requirement("RESP-03")
@given(
    content=st.sampled_from(["é", b"x"]),
    status=st.sampled_from([204, 304]),
    when=st.sampled_from(["made", "set"]),
)
@example(content="x", status=204, when="made")
@example(content="x", status=304, when="made")
@example(content=b"x", status=204, when="set")
@example(content=b"x", status=304, when="set")
def test_204_and_304_have_nothing(
    submission: Submission, content: bytes | str, status: int, when: str
) -> None:
    """204 and 304 have no bytes and no content-length, also where the status is set later."""
    made_with: dict[str, Any] = {"content": content, "headers": {"content-length": "1", "x-a": "1"}}
    if when == "made":
        answer = sent(submission, status_code=status, **made_with)
    else:
        answer = sent(submission, "changed", arguments=made_with, changes=[["status_code", status]])
    assert answer.status == status
    assert (b"x-a", b"1") in answer.headers
    assert answer.body == b"", f"{status} has no body"
    assert answer.values("content-length") == [], f"{status} has no content-length"


# --- RESP-04: headers ---------------------------------------------------------------------------------------


def given_as(form: str, headers: list[tuple[str, str]]) -> Any:
    return {"list": list, "iterator": Once, "dict": dict}[form](headers)


@requirement("RESP-04")
@given(headers=HEADERS, form=st.sampled_from(["list", "iterator", "dict"]))
@example(headers=[("X-A", "1"), ("x-b", "2"), ("x-a", "3")], form="list")
@example(headers=[("X-A", "1"), ("x-b", "2"), ("x-a", "3")], form="iterator")
@example(headers=[("set-cookie", "a=1"), ("set-cookie", "b=2")], form="list")
@example(headers=[("X-A", "é ")], form="dict")
def test_headers_go_out_as_they_were_given(
    submission: Submission, headers: list[tuple[str, str]], form: str
) -> None:
    """The caller's headers go out in order, each as often as it was given, with names in lower case."""
    pairs = list(dict(headers).items()) if form == "dict" else headers
    expected = [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs]
    assert sent(submission, content="x", headers=given_as(form, headers)).given() == expected


@requirement("RESP-04")
@given(
    form=st.sampled_from(["dict", "list", "Headers", "MutableHeaders"]),
    name=st.sampled_from(["content-type", "Content-Type"]),
    media_type=st.sampled_from([None, "text/html"]),
)
@example(form="dict", name="Content-Type", media_type="text/html")
@example(form="list", name="content-type", media_type=None)
@example(form="Headers", name="content-type", media_type=None)
@example(form="MutableHeaders", name="content-type", media_type=None)
def test_the_callers_headers_win_and_are_never_changed(
    submission: Submission, form: str, name: str, media_type: str | None
) -> None:
    """The caller's `content-type` is the only one; what is done to `response.headers` stays there."""
    answer = sent(submission, content="x", headers={name: "text/x"}, media_type=media_type)
    assert answer.values("content-type") == [b"text/x"]
    headers = [("x-a", "1"), ("x-b", "2")]
    after = submission.call("given_after", form=form, headers=headers)
    assert after == headers, "the caller's own headers were changed"


BREAKS = [("x-a", "1\r\nset-cookie: a=1"), ("x-a", "1\n"), ("x-a", "\r"), ("x-a", "a\0b"), ("", "1")]
BREAKS += [("x-a\r\nx-b", "1"), ("x a", "1"), (":status", "200"), ("x:", "1"), ("x-a\n", "1")]


@requirement("RESP-04")
@given(header=st.sampled_from(BREAKS), media_type=st.sampled_from(["text/x\r\nx-a: 1", "text/x\n", "a/\0"]))
@each(header=BREAKS, media_type=["text/x\r\nx-a: 1"])
def test_what_would_be_another_header_is_refused(
    submission: Submission, header: tuple[str, str], media_type: str
) -> None:
    """A header or a media type that would break out of its line raises ValueError."""
    assert (b"x-a", b"1") in sent(submission, content="x", headers=[("x-a", "1")]).headers
    for content in ("x", b"x", None):
        with raised("ValueError"):
            submission.call("attributes", content=content, headers=[("x-z", "1"), header])
        with raised("ValueError"):
            submission.call("attributes", content=content, media_type=media_type)


# --- RESP-05: changes ---------------------------------------------------------------------------------------


@requirement("RESP-05")
@given(body=st.binary(max_size=20), status=STATUSES, value=VALUES)
@example(body=b"longer than before", status=404, value="2")
@example(body=b"", status=200, value="2")
def test_what_is_changed_before_it_is_sent_counts(
    submission: Submission, body: bytes, status: int, value: str
) -> None:
    """Status, headers and body go out as they are when the response is sent; the length follows the body."""
    arguments = {"content": b"abc", "headers": {"x-a": "1", "x-b": "1"}}
    assert submission.call("header_values", name="content-length", **arguments) == ["3"]
    changes = [["body", body], ["status_code", status], ["set header", "X-A", value]]
    changes += [["append header", "x-c", value], ["delete header", "x-b"]]
    answer = sent(submission, "changed", arguments=arguments, changes=changes)
    expected = value.encode("latin-1")
    assert answer.given() == [(b"x-a", expected), (b"x-c", expected)]
    assert (answer.status, answer.body) == (status, body)
    assert answer.values("content-length") == [b"%d" % len(body)], "content-length follows a new body"
    start = submission.call("derived", status_code=status, headers=[("x-a", value)])
    assert start["status"] == status, "start_message() takes the status as it is now"
    assert (b"x-a", expected) in [tuple(pair) for pair in start["headers"]]


@requirement("RESP-05")
@given(times=st.integers(2, 3), content=SOME)
@example(times=2, content="x")
def test_a_response_can_be_sent_again(
    submission: Submission, times: int, content: bytes | str | None
) -> None:
    """It sends the same to several connections at once, and whoever changes one message changes no other."""
    scripts = [Script(scope=asgi.http_scope(), end="raise") for _ in range(times)]
    transcript = submission.converse(scripts, maker="response", content=content, headers={"x-a": "1"})
    for number in range(times):
        answer = Sent(transcript.of(number))
        assert (answer.body, answer.given()) == (encoded(content), [(b"x-a", b"1")])
    answer = sent(submission, "after_message_changed")
    assert (answer.status, answer.given(), answer.body) == (200, [(b"x-a", b"1")], b"abc")
    first, second = submission.call("start_messages")
    assert (first["type"], first["status"]) == ("http.response.start", 201)
    assert (b"x-a", b"1") in first["headers"]
    assert [tuple(pair) for pair in second["headers"]] == first["headers"]
    assert second["status"] == 201, "start_message() gives the same message each time"


# --- RESP-06: text, HTML, JSON ------------------------------------------------------------------------------


def with_status(status: int | None) -> dict[str, int]:
    """The argument for a status; none for None, so that the default shows."""
    return {} if status is None else {"status_code": status}


@requirement("RESP-06")
@given(text=LETTERS, status=st.none() | STATUSES, value=st.sampled_from(["1", "é", ""]))
@example(text="<p>Zoë & co", status=404, value="1")
@example(text="x", status=None, value="1")
def test_text_and_html(submission: Submission, text: str, status: int | None, value: str) -> None:
    """`text_response` and `html_response` give the text as it is, with their Content-Type; their status is 200."""
    arguments: dict[str, Any] = {"headers": [("x-a", value)], **with_status(status)}
    for kind in ("text", "html"):
        answer = sent(submission, kind, **{kind: text}, **arguments)
        expected = TEXT if kind == "text" else "text/html; charset=utf-8"
        assert answer.values("content-type") == [expected.encode()]
        assert (answer.status, answer.body) == (status or 200, text.encode())
        assert answer.given() == [(b"x-a", value.encode("latin-1"))]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | LETTERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LETTERS, inner, max_size=3),
    max_leaves=8,
)


@requirement("RESP-06")
@given(value=JSON, status=st.sampled_from([None, 201]))
@example(value={"é": [1, 2.5, None, True], "b": {}}, status=201)
@example(value="☃", status=None)
@example(value=None, status=201)
@example(value=[], status=201)
@example(value=0, status=201)
def test_json_is_compact_and_utf_8(submission: Submission, value: Any, status: int | None) -> None:
    """`json_response` gives compact JSON in UTF-8, as `application/json`."""
    answer = sent(submission, "json", value=value, headers={"x-a": "1"}, **with_status(status))
    assert (answer.status, answer.values("content-type")) == (status or 200, [b"application/json"])
    assert answer.given() == [(b"x-a", b"1")]
    expected = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert answer.body.decode("utf-8", "backslashreplace") == expected
    assert json.loads(answer.body) == value


NO_NUMBERS = [float("nan"), float("inf"), float("-inf"), {"a": [float("nan")]}, "\ud800", ["a", "\udfff"]]


@requirement("RESP-06")
@given(no_number=st.sampled_from(NO_NUMBERS), no_json=st.sampled_from([{1, 2}, b"x", [b"x"], {"a": {1}}]))
@each(no_number=NO_NUMBERS, no_json=[b"x"])
@example(no_number=float("nan"), no_json={1, 2})
def test_json_refuses_what_it_has_no_form_for(submission: Submission, no_number: Any, no_json: Any) -> None:
    """NaN, infinities and lone surrogates raise ValueError, values that are no JSON raise TypeError."""
    assert sent(submission, "json", value=["a", 1.5]).body == b'["a",1.5]'
    with raised("ValueError"):
        play(submission, "json", value=no_number)
    with raised("TypeError"):
        play(submission, "json", value=no_json)
    with raised("TypeError"):
        play(submission, "json_of_object")


# --- RESP-07: redirects and errors --------------------------------------------------------------------------

IN_URLS = ":/?#[]@!$&'()*+,;=%"


@requirement("RESP-07")
@given(
    url=st.text(st.sampled_from('ab/?#%~ é☃\r\n\\"<^|+'), max_size=12).map("/".__add__),
    status=st.sampled_from([301, 302, 303, 307, 308]),
    bad=st.sampled_from([200, 201, 299, 304, 400, 404]),
)
@example(url="/a%20b?c=%2F+d#e", status=301, bad=304)
@example(url="https://[::1]:8000/b?c=d&e=!$'()*+,;@~#f", status=302, bad=200)
@example(url="/a b/é", status=303, bad=299)
@example(url="/a\r\nset-cookie: b=1", status=307, bad=400)
@example(url="/\\evil.example", status=308, bad=404)
@example(url='/<">^`{|}', status=308, bad=404)
def test_a_redirect_leads_to_the_url(submission: Submission, url: str, status: int, bad: int) -> None:
    """A redirect has the URL as its location, with what no URL may hold percent-encoded, and a status that is one."""
    answer = sent(submission, "redirect", url=url, headers={"x-a": "1"})
    assert answer.values("location") == [quote(url, safe=IN_URLS).encode()]
    assert sent(submission, "redirect_to_object", url=url).values("location") == answer.values("location")
    assert (answer.status, answer.body) == (307, b"")
    assert (b"x-a", b"1") in answer.headers
    assert sent(submission, "redirect", url=url, status_code=status).status == status
    with raised("ValueError"):
        play(submission, "redirect", url=url, status_code=bad)


@requirement("RESP-07")
@given(
    status=STATUSES,
    detail=LETTERS,
    headers=st.none() | st.dictionaries(NAMES.map(str.lower), VALUES, max_size=2),
)
@example(status=405, detail="no é", headers={"allow": "GET"})
@example(status=404, detail="", headers=None)
def test_an_error_is_an_answer(
    submission: Submission, status: int, detail: str, headers: dict[str, str] | None
) -> None:
    """`error_response` has the exception's status, headers and detail."""
    answer = sent(submission, "error", status_code=status, detail=detail, headers=headers)
    assert (answer.status, answer.body) == (status, detail.encode())
    assert answer.values("content-type") == [TEXT.encode()]
    expected = [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    assert answer.given() == expected


# --- RESP-08 to RESP-10: cookies ----------------------------------------------------------------------------

MOMENTS = st.builds(
    lambda seconds, hours: datetime.fromtimestamp(seconds, timezone(timedelta(hours=hours))),
    st.integers(0, 2**31),
    st.sampled_from([0, 5, -11]),
)
NAIVE = datetime(2030, 1, 2)  # noqa: DTZ001 - that is the mistake
ATTRIBUTES = {
    "max_age": "max-age",
    "expires": "expires",
    "path": "path",
    "domain": "domain",
    "samesite": "samesite",
}
"""The attributes of cookies that have a value, by their parameters."""
FLAGS = ["secure", "httponly", "partitioned"]
DEFAULTS = {"path": "/", "samesite": "lax"}


def parsed(cookie: str) -> tuple[str, dict[str, str | None]]:
    """`name=value` of a set-cookie header, and its attributes: names in lower case, no value for a word."""
    pair, *pieces = cookie.split("; ")
    attributes: dict[str, str | None] = {}
    for piece in pieces:
        name, equals, value = piece.partition("=")
        assert name.lower() not in attributes, f"the attribute {name} stands in the cookie twice"
        attributes[name.lower()] = value if equals else None
    return pair, attributes


def expected_attributes(options: dict[str, Any]) -> dict[str, str | None]:
    """The attributes that these arguments ask for."""
    asked = {**DEFAULTS, **options}
    found: dict[str, str | None] = {}
    for option, name in ATTRIBUTES.items():
        if asked.get(option) is not None:
            found[name] = _attribute(option, asked[option])
    return found | {flag: None for flag in FLAGS if asked.get(flag)}


def _attribute(option: str, value: Any) -> str:
    if option == "expires":
        return http_date(value)
    return value.capitalize() if option == "samesite" else str(value)


def http_date(moment: Any) -> str:
    """RFC 9110 section 5.6.7, without help of a locale."""
    utc = moment - moment.utcoffset()
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[utc.weekday()]
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    return f"{day}, {utc.day:02} {months[utc.month - 1]} {utc.year} {utc:%H:%M:%S} GMT"


def options() -> st.SearchStrategy[dict[str, Any]]:
    """Arguments of set_cookie that a browser takes."""
    texts = st.none() | st.text("ab/.-", min_size=1, max_size=8)
    values: dict[str, Any] = {
        "max_age": st.none() | st.integers(0, 10**9),
        "expires": st.none() | MOMENTS,
        "path": texts,
        "domain": texts,
        "httponly": st.booleans(),
        "samesite": st.sampled_from([None, "lax", "strict", "none"]),
        "partitioned": st.booleans(),
    }
    secure = st.fixed_dictionaries({"secure": st.just(True)}, optional=values)
    del values["partitioned"]
    values["samesite"] = st.sampled_from([None, "lax", "strict"])
    return secure | st.fixed_dictionaries({}, optional=values)


@requirement("RESP-08")
@given(options=options())
@example(options={})
@example(options={"samesite": None, "path": None})
@example(options={"max_age": 0})
@example(options={"max_age": 3600, "samesite": "strict"})
@example(options={"expires": datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)})
@example(options={"expires": datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=5)))})
@example(options={"domain": "a.example", "path": "/x"})
@example(options={"secure": True, "httponly": True, "samesite": "none", "partitioned": True})
def test_the_attributes_of_a_cookie(submission: Submission, options: dict[str, Any]) -> None:
    """A cookie has the attributes that were asked for, and no others."""
    [cookie] = submission.call("cookies", calls=[{"key": "k", "value": "v", **options}])
    pair, attributes = parsed(cookie)
    assert pair == "k=v"
    assert attributes == expected_attributes(options)


UNQUOTED = re.compile(r"[A-Za-z0-9!#$%&'()*+\-./:<=>?@\[\]^_`{|}~]*")
QUOTED = re.compile(r'"(?:[^"\\,;]|\\["\\]|\\[0-3][0-7]{2})*"')
ESCAPED = re.compile(r"\\([0-3][0-7]{2})|\\(.)")


def read(value: str) -> str:
    """A cookie's value as `http.cookies` reads it."""
    if not value.startswith('"'):
        return value
    return ESCAPED.sub(lambda found: chr(int(found[1], 8)) if found[1] else found[2], value[1:-1])


@requirement("RESP-08")
@given(key=TOKENS, value=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12))
@example(key="k", value="")
@example(key="k", value="abc+/==")
@example(key="k", value="!#$%&'()*+-./:<=>?@[]^_`{|}~")
@example(key="k", value="a b")
@example(key="k", value=" ")
@example(key="k", value="a; Domain=evil.example")
@example(key="k", value="a,b")
@example(key="k", value='"')
@example(key="k", value='"quoted"')
@example(key="k", value="\\054")
def test_any_printable_value_can_be_read_back(submission: Submission, key: str, value: str) -> None:
    """A value is quoted if it has to be, and only then; read back, it is what it was."""
    [cookie] = submission.call(
        "cookies", calls=[{"key": key, "value": value, "path": None, "samesite": None}]
    )
    name, _, written = cookie.partition("=")
    assert name == key
    if UNQUOTED.fullmatch(value):
        assert written == value, "a value that may stand as it is, is not quoted"
    else:
        assert QUOTED.fullmatch(written), f"{written} is no quoted value in which , and ; are escaped"
        assert read(written) == value


@requirement("RESP-08")
@given(keys=st.lists(st.sampled_from("ab"), min_size=1, max_size=3))
@example(keys=["b", "a", "b"])
def test_each_cookie_has_a_header_of_its_own(submission: Submission, keys: list[str]) -> None:
    """Each call adds a header at the end; those that were there stay."""
    calls = [{"key": key, "value": str(number)} for number, key in enumerate(keys)]
    found = submission.call("cookies", calls=calls, headers=[("set-cookie", "z=0")])
    pairs = [cookie.partition(";")[0] for cookie in found]
    assert pairs == ["z=0", *(f"{key}={number}" for number, key in enumerate(keys))]


REFUSED_BY_BROWSERS: list[dict[str, Any]] = [
    {"samesite": "none"},
    {"samesite": "none", "secure": False},
    {"partitioned": True},
    {"partitioned": True, "samesite": "strict"},
]
BAD_COOKIES: list[dict[str, Any]] = [
    *({"key": key} for key in ["", "a b", "a=b", "a;b", "a\r\n", "a\n", "é", 'a"', "a,b", "\x7f"]),
    *({"value": value} for value in ["a\r\nx: 1", "a\n", "a\0", "a\tb", "\x7f", "é", "☃", "\ud800"]),
    *({"path": path} for path in ["/; Domain=evil.example", "/\n", "/\x1f", "/é"]),
    *({"domain": domain} for domain in ["a.example; Secure", "a\0", "☃.example", "\x7f"]),
    *({"samesite": word} for word in ["whatever", "Lax; Secure", ""]),
    {"expires": NAIVE},
    *REFUSED_BY_BROWSERS,
]


@requirement("RESP-09")
@given(bad=st.sampled_from(BAD_COOKIES))
@each(bad=BAD_COOKIES)
def test_what_is_no_cookie_is_refused(submission: Submission, bad: dict[str, Any]) -> None:
    """What would end the cookie or its header, or what browsers refuse, raises ValueError, and adds no header."""
    taken = [{"key": "k", **refused, "secure": True} for refused in REFUSED_BY_BROWSERS]
    first, *others = submission.call("cookies", calls=[{"key": "k", "value": "v", "path": "/a b"}, *taken])
    assert parsed(first) == ("k=v", {"path": "/a b", "samesite": "Lax"})
    assert all("secure" in parsed(cookie)[1] for cookie in others)
    assert submission.call("refused_cookie", **{"key": "k", "value": "v", **bad}) == ["ValueError", []]


OF_A_COOKIE: list[dict[str, Any]] = [
    {},
    {"path": None, "samesite": None},
    {"path": "/x", "domain": "a.example"},
    {"samesite": "strict", "httponly": True},
    {"secure": True},
    {"secure": True, "partitioned": True},
    {"secure": True, "httponly": True, "samesite": "none", "partitioned": True},
]


@requirement("RESP-10")
@given(options=st.sampled_from(OF_A_COOKIE))
@each(options=OF_A_COOKIE)
def test_a_cookie_is_deleted_by_its_attributes(submission: Submission, options: dict[str, Any]) -> None:
    """`delete_cookie` adds an empty cookie that is over, with the attributes that it is given."""
    [cookie] = submission.call("deleted", key="k", **options)
    over = {"max-age": "0", "expires": "Thu, 01 Jan 1970 00:00:00 GMT"}
    assert parsed(cookie) == ("k=", over | expected_attributes(options))
    with raised("ValueError"):
        submission.call("deleted", key="k\n")


# --- RESP-11: background ------------------------------------------------------------------------------------


LEFT = "task left running"


def log_of(transcript: Transcript) -> list[str]:
    """What was done, in order, but for closings, and for what was left behind."""
    return [word for word in whole_log(transcript) if word not in ("closed", "iterable closed", LEFT)]


def whole_log(transcript: Transcript) -> list[str]:
    logs: list[list[str]] = [each["log"] for each in transcript.sent if each["type"] == "probe.log"]
    return logs[-1] if logs else []


def seconds_of(transcript: Transcript) -> float:
    """How long the call took."""
    return sum(each["seconds"] for each in transcript.sent if each["type"] == "probe.log")


@requirement("RESP-11")
@given(method=st.sampled_from(["GET", "HEAD"]), status=st.sampled_from([200, 204, 500]), fails=st.booleans())
@example(method="HEAD", status=200, fails=False)
@example(method="GET", status=200, fails=True)
def test_background_comes_after_the_last_byte(
    submission: Submission, method: str, status: int, fails: bool
) -> None:
    """The background is awaited once, after the last message; what it raises goes through."""
    arguments = {"content": "x", "status_code": status, "fails": fails}
    transcript = play(submission, "with_background", scope={"method": method}, **arguments)
    assert whole_log(transcript) == ["start sent", "end sent", "background run"]
    if fails:
        with raised("Failed"):
            _ = transcript.returned
    else:
        _ = transcript.returned


@requirement("RESP-11")
@given(place=st.sampled_from([0, 1]), kind=st.sampled_from(["ConnectionResetError", "BrokenPipeError"]))
@each(place=[0, 1], kind=["BrokenPipeError"])
def test_no_background_after_a_failed_send(submission: Submission, place: int, kind: str) -> None:
    """Where a `send` raises, the background is not called."""
    assert "background run" in whole_log(play(submission, "with_background", content="x"))
    script = Script(scope=asgi.http_scope(), end="raise", fail_sends={place: kind})
    transcript = submission.converse(script, maker="with_background", content="x")
    assert whole_log(transcript) == [["start failed"], ["start sent", "end failed"]][place]
    with raised(kind):
        _ = transcript.returned


STEPS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["coroutine function", "plain"]),
        "args": st.lists(st.integers(0, 9), max_size=2),
        "kwargs": st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 9), max_size=2),
        "fails": st.booleans(),
    }
)


def step(kind: str, *args: int, fails: bool = False, **kwargs: int) -> dict[str, Any]:
    return {"kind": kind, "args": list(args), "kwargs": kwargs, "fails": fails}


@requirement("RESP-11")
@given(steps=st.lists(STEPS, max_size=3), times=st.sampled_from([1, 2]))
@example(steps=[step("coroutine function", 1, a=2), step("plain", 3, b=4)], times=1)
@example(steps=[step("plain"), step("coroutine function")], times=2)
@example(steps=[step("plain"), step("plain", fails=True), step("coroutine function")], times=1)
@example(steps=[step("coroutine function", fails=True), step("plain")], times=2)
def test_tasks_run_in_order(submission: Submission, steps: list[dict[str, Any]], times: int) -> None:
    """Tasks run one after the other, plain ones in a thread, each time anew; one that raises stops the rest."""
    expected: list[Any] = []
    for number, task in enumerate(steps):
        where = "thread" if task["kind"] == "plain" else "event loop"
        expected += [[f"task {number}", where, task["args"], task["kwargs"]], [f"end of task {number}"]]
        if task["fails"]:
            break
    fails = any(task["fails"] for task in steps)
    found = submission.call("tasks", steps=steps, times=times)
    assert found["ran"] == expected * (1 if fails else times)
    assert found["raised"] == ("what the task raised" if fails else None)


# --- RESP-12: streams ---------------------------------------------------------------------------------------

FORMS = ["asynchronous generator", "asynchronous iterator", "generator", "iterator", "list"]
FORMS += ["asynchronous iterable with a generator", "iterable with a generator"]
ASYNC = [form for form in FORMS if form.startswith("asynchronous")]
CLOSABLE = [form for form in FORMS if form != "list"]
VERSIONS = ["2.0", "2.3", "2.4", "2.10"]
OLD = ["2.0", "2.3", None]
PARTS = st.sampled_from([[], [b"1"], [b"1", b"2"]])
NEW = ["2.4", "2.5", "2.10", "3.0"]
CHUNKS = st.lists(
    st.binary(min_size=1, max_size=4)
    | LETTERS.filter(lambda text: text not in ("", "wait", "fail", "time out")),
    max_size=4,
)


def server(version: str | None, **changes: Any) -> dict[str, Any]:
    """A scope by a server of that version of the specification; None: of one that does not say."""
    scope = asgi.http_scope(**changes)
    if version is None:
        del scope["asgi"]
        return scope
    return scope | {"asgi": {"version": "3.0", "spec_version": version}}


def stream(
    submission: Submission,
    form: str,
    chunks: list[Any],
    *,
    version: str | None = "2.5",
    method: str = "GET",
    script: dict[str, Any] | None = None,
    **config: Any,
) -> Transcript:
    """What happens when a stream is sent."""
    played = Script(**{"scope": server(version, method=method), "end": "block", **(script or {})})
    return submission.converse(played, maker="stream", form=form, chunks=chunks, **config)


def assert_closed(transcript: Transcript, form: str, *, begun: bool = True) -> None:
    """What can be closed of a stream was closed; a generator that was not begun has nothing to close."""
    log = whole_log(transcript)
    if form != "list" and (begun or "generator" not in form):
        assert "closed" in log, "the iterator was not closed"
    if "iterable" in form:
        assert "iterable closed" in log, "the iterable that was given was not closed"


@requirement("RESP-12")
@given(form=st.sampled_from(FORMS), chunks=CHUNKS)
@example(form="asynchronous generator", chunks=[b"a", "é", b"b"])
@example(form="generator", chunks=["a", b"b"])
@example(form="list", chunks=[b"a", "é"])
@example(form="asynchronous iterator", chunks=[])
@example(form="list", chunks=[])
def test_each_chunk_is_a_message(submission: Submission, form: str, chunks: list[Any]) -> None:
    """Each chunk is sent in a message of its own; the last message is empty."""
    transcript = stream(submission, form, chunks)
    _ = transcript.returned
    start, *bodies = [each for each in transcript.sent if each["type"] != "probe.log"]
    assert start["type"] == "http.response.start"
    assert [body["type"] for body in bodies] == ["http.response.body"] * (len(chunks) + 1)
    assert [body.get("body", b"") for body in bodies] == [*map(encoded, chunks), b""]
    assert [body.get("more_body", False) for body in bodies] == [True] * len(chunks) + [False]


@requirement("RESP-12")
@given(form=st.sampled_from(CLOSABLE), number=st.integers(0, 3), version=st.sampled_from(VERSIONS))
@example(form="asynchronous generator", number=2, version="2.4")
@example(form="asynchronous iterator", number=2, version="2.3")
@example(form="generator", number=2, version="2.4")
@example(form="iterator", number=2, version="2.3")
def test_each_chunk_is_sent_before_the_next_is_asked_for(
    submission: Submission, form: str, number: int, version: str
) -> None:
    """The start is sent first, then each chunk as it comes; plain iterables are gone through in threads."""
    transcript = stream(submission, form, [b"x"] * number, version=version)
    _ = transcript.returned
    assert log_of(transcript) == [
        "start sent",
        *["chunk asked for", "chunk sent"] * number,
        "chunk asked for",
        "end sent",
        "background run",
    ]


DESCRIBED = [
    (None, [], []),
    ("text/csv", [], [("content-type", "text/csv; charset=utf-8")]),
    ("text/csv; charset=ascii", [], [("content-type", "text/csv; charset=ascii")]),
    ("a/b", [("x-a", "1")], [("x-a", "1"), ("content-type", "a/b")]),
    ("a/b", [("content-type", "c/d")], [("content-type", "c/d")]),
    (None, [("content-length", "1")], [("content-length", "1")]),
]
NO_STREAMS = ["what is no iterable", "a generator function that nobody called", "str", "bytes"]


@requirement("RESP-12")
@given(case=st.sampled_from(DESCRIBED), no_stream=st.sampled_from(NO_STREAMS))
@each(case=DESCRIBED, no_stream=["str"])
@each(case=DESCRIBED[:1], no_stream=NO_STREAMS)
def test_what_a_stream_is_made_of(submission: Submission, case: tuple[Any, Any, Any], no_stream: str) -> None:
    """A stream has no length and no type unless the caller says so; what is no iterable of chunks is a TypeError."""
    media_type, headers, expected = case
    arguments = {"media_type": media_type, "headers": headers, **with_status(206 if media_type else None)}
    answer = Sent(stream(submission, "list", [b"x"], **arguments))
    assert answer.status == (206 if media_type else 200)
    assert sorted(answer.headers) == sorted((name.encode(), value.encode()) for name, value in expected)
    with raised("TypeError"):
        stream(submission, no_stream, [], **arguments)


# --- RESP-13: the ways out of a stream ----------------------------------------------------------------------

EACH_END = list(product(CLOSABLE, ["2.3", "2.5"]))


@requirement("RESP-13")
@given(
    end=st.sampled_from(EACH_END),
    number=st.integers(0, 2),
    bad=st.sampled_from(["fail", "time out", 5, [b"x"]]),
)
@example(end=("asynchronous generator", "2.5"), number=1, bad="fail")
@example(end=("asynchronous iterator", "2.5"), number=1, bad="fail")
@example(end=("iterator", "2.3"), number=1, bad="fail")
@example(end=("asynchronous generator", "2.3"), number=1, bad="time out")
@example(end=("asynchronous generator", "2.5"), number=1, bad=5)
@example(end=("iterator", "2.5"), number=0, bad=5)
@example(end=("asynchronous iterable with a generator", "2.5"), number=1, bad=5)
@example(end=("iterable with a generator", "2.3"), number=1, bad=5)
def test_a_stream_that_fails_is_not_ended(
    submission: Submission, end: tuple[str, str], number: int, bad: Any
) -> None:
    """An iterator that raises, or gives no bytes or text: that is raised, no last message is sent, it is closed."""
    form, version = end
    whole = stream(submission, form, [b"x"] * number, version=version)
    assert "end sent" in whole_log(whole)
    assert_closed(whole, form)
    transcript = stream(submission, form, [b"x"] * number + [bad], version=version)
    assert log_of(transcript) == [
        "start sent",
        *["chunk asked for", "chunk sent"] * number,
        "chunk asked for",
    ]
    assert_closed(transcript, form)
    with raised({"fail": "Failed", "time out": "TimeoutError"}.get(str(bad), "TypeError")):
        _ = transcript.returned


@requirement("RESP-13")
@given(end=st.sampled_from(EACH_END), place=st.integers(0, 3))
@example(end=("asynchronous generator", "2.5"), place=1)
@example(end=("asynchronous iterator", "2.5"), place=0)
@example(end=("asynchronous iterator", "2.3"), place=2)
@example(end=("generator", "2.5"), place=1)
@example(end=("iterator", "2.5"), place=0)
@example(end=("iterator", "2.3"), place=1)
@example(end=("iterator", "2.5"), place=3)
@example(end=("asynchronous iterable with a generator", "2.3"), place=1)
@example(end=("iterable with a generator", "2.5"), place=1)
def test_a_failed_send_stops_and_closes(submission: Submission, end: tuple[str, str], place: int) -> None:
    """When `send` raises, that goes through: nothing more is asked for or sent; the iterator is closed."""
    form, version = end
    whole = [
        "start sent",
        "chunk asked for",
        "chunk sent",
        "chunk asked for",
        "chunk sent",
        "chunk asked for",
        "end sent",
    ]
    assert log_of(stream(submission, form, [b"a", b"b"], version=version)) == [*whole, "background run"]
    script = {"fail_sends": {place: "BrokenPipeError"}}
    transcript = stream(submission, form, [b"a", b"b"], version=version, script=script)
    until = [0, 2, 4, 6][place]
    assert log_of(transcript) == [*whole[:until], whole[until].replace("sent", "failed")]
    assert_closed(transcript, form, begun=place > 0)
    with raised("BrokenPipeError"):
        _ = transcript.returned


@requirement("RESP-13")
@given(version=st.sampled_from(["2.3", "2.5"]), form=st.sampled_from(ASYNC))
@example(version="2.5", form="asynchronous iterator")
@example(version="2.3", form="asynchronous iterator")
def test_a_cancelled_stream_is_closed(submission: Submission, version: str, form: str) -> None:
    """When the call is cancelled while it waits for a chunk, the iterator is closed, and nothing more is sent."""
    assert "end sent" in whole_log(stream(submission, form, [b"a"], version=version))
    script = {"cancel_when_blocked": True}
    transcript = stream(submission, form, [b"a", "wait"], version=version, script=script)
    assert log_of(transcript) == ["start sent", "chunk asked for", "chunk sent", "chunk asked for"]
    assert_closed(transcript, form)
    assert transcript.sequence[-1] == "cancelled", "a call that was cancelled raises CancelledError"


@requirement("RESP-13")
@given(
    case=st.sampled_from([("HEAD", 200), ("GET", 204), ("GET", 304)]),
    form=st.sampled_from(FORMS),
    version=st.sampled_from(["2.3", "2.5"]),
)
@example(case=("HEAD", 200), form="asynchronous iterator", version="2.5")
@example(case=("HEAD", 200), form="iterator", version="2.5")
@example(case=("GET", 204), form="iterator", version="2.3")
@example(case=("GET", 304), form="asynchronous iterator", version="2.3")
def test_a_stream_that_nobody_wants_is_only_closed(
    submission: Submission, case: tuple[str, int], form: str, version: str
) -> None:
    """HEAD, 204 and 304 get no bytes: the iterator is asked for nothing, and closed."""
    method, status = case
    arguments: dict[str, Any] = {"status_code": status, "headers": {"x-a": "1", "content-length": "1"}}
    assert Sent(stream(submission, form, [b"a"])).body == b"a"
    transcript = stream(submission, form, [b"a"], version=version, method=method, **arguments)
    answer = Sent(transcript)
    assert (answer.status, answer.body) == (status, b"")
    assert answer.values("content-length") == ([b"1"] if status == 200 else [])
    assert log_of(transcript) == ["start sent", "end sent", "background run"]
    assert_closed(transcript, form, begun=False)


# --- RESP-14: clients that go away --------------------------------------------------------------------------

DISCONNECT: asgi.Message = {"type": "http.disconnect"}


@requirement("RESP-14")
@given(
    form=st.sampled_from(ASYNC), number=st.integers(0, 2), version=st.sampled_from(OLD), parts=asgi.chunks()
)
@example(form="asynchronous generator", number=1, version="2.3", parts=[])
@example(form="asynchronous iterator", number=0, version="2.0", parts=[b"1", b"2"])
@example(form="asynchronous generator", number=1, version=None, parts=[b"1"])
@example(form="asynchronous iterable with a generator", number=1, version="2.3", parts=[])
def test_a_stream_stops_when_the_client_is_gone(
    submission: Submission, form: str, number: int, version: str | None, parts: list[bytes]
) -> None:
    """`receive` is awaited beside the chunks: a disconnect ends a stream that waits for one, quietly, and closes it."""
    events = [*asgi.request_events(parts), DISCONNECT]
    script = {"events": events, "after": {len(parts): number + 1}}
    transcript = stream(submission, form, [b"x"] * number + ["wait"], version=version, script=script)
    _ = transcript.returned
    log = log_of(transcript)
    assert log[: 2 * number + 1] == ["start sent", *["chunk asked for", "chunk sent"] * number]
    assert log[2 * number + 1 :] in ([], ["chunk asked for"]), "the client is gone: nothing more is sent"
    assert_closed(transcript, form, begun="chunk asked for" in log)
    assert LEFT not in whole_log(transcript), "a task of yours outlives the call"


@requirement("RESP-14")
@given(form=st.sampled_from(FORMS), gone_after=st.integers(1, 3), version=st.sampled_from(OLD))
@example(form="asynchronous generator", gone_after=2, version="2.3")
@example(form="generator", gone_after=2, version="2.3")
def test_a_stream_that_does_not_wait_stops_too(
    submission: Submission, form: str, gone_after: int, version: str | None
) -> None:
    """A disconnect ends a stream that always has a next chunk, long before its end."""
    script = {"events": [DISCONNECT], "after": {0: gone_after}}
    transcript = stream(submission, form, [b"x"] * 40, version=version, script=script)
    _ = transcript.returned
    log = whole_log(transcript)
    assert "end sent" not in log, "a stream that was stopped is not complete"
    assert "background run" not in log
    assert log.count("chunk sent") < 30, "the client is gone since long: it must not be sent all chunks"


@requirement("RESP-14")
@given(form=st.sampled_from(FORMS), version=st.sampled_from([*OLD, *NEW]), parts=PARTS, told=st.booleans())
@example(form="asynchronous generator", version="2.3", parts=[], told=False)
@example(form="list", version=None, parts=[b"1"], told=False)
@example(form="asynchronous generator", version="2.3", parts=[], told=True)
@example(form="asynchronous iterator", version="2.0", parts=[b"1"], told=True)
@example(form="asynchronous generator", version="2.10", parts=[b"1", b"2"], told=False)
@example(form="list", version="2.4", parts=[b"1"], told=True)
def test_a_client_that_stays_gets_all(
    submission: Submission, form: str, version: str | None, parts: list[bytes], told: bool
) -> None:
    """All is sent, whatever `receive` gives, also a disconnect with the last message; from 2.4 on it is not called."""
    events = asgi.request_events(parts) + [DISCONNECT] * told
    script = {"events": events, "after": {len(parts): 4} if told else {}}
    transcript = stream(submission, form, [b"a", b"b"], version=version, script=script)
    assert Sent(transcript).body == b"ab"
    assert log_of(transcript)[-2:] == ["end sent", "background run"], "all was sent: the background is run"
    assert LEFT not in whole_log(transcript), "a task of yours outlives the call, and waits for receive()"
    if form in ASYNC:  # the clock stands still but for those who wait for it; beside threads it does not
        assert seconds_of(transcript) < 0.5, "the stream has waited, although nothing was to be waited for"
    if version in NEW:
        assert transcript.received == [], "under this server, receive() must not be called"
