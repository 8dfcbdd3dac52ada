"""What a connection tells of its scope, and what a request does with its events: the script is the server.

Rule 1: what is read of a scope is worked out here from the scope, cookies by a reader of our own.
Rule 2: after the last event of a script, `receive` gives `http.disconnect` where the client is gone by then, and waits
for ever where it is not: who waits for what cannot come is told so.
Rule 3: a test takes as few steps as it can, so that a mistake costs the requirement that it is about.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grader.suite import Once, Script, Submission, Transcript, raised, requirement
from grader.suite import strategies as asgi

Events = Sequence[asgi.Message]
Pairs = list[tuple[str, str]]

DISCONNECT: asgi.Message = {"type": "http.disconnect"}
URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=XX"


# --- talking to the submission ------------------------------------------------------------------------------


def ask(submission: Submission, scope: Mapping[str, Any], *what: str, inside: bool = False) -> list[Any]:
    """What the connection of a scope answers to each question; `inside` of an application or not."""
    answers: list[Any] = submission.call(
        "ask_application" if inside else "ask", scope=dict(scope), what=list(what)
    )
    return answers


def take(
    submission: Submission,
    steps: Sequence[str],
    events: Events,
    *,
    content_type: str | None = None,
    after: Mapping[int, int] | None = None,
    gone: bool = False,
    **config: Any,
) -> Transcript:
    """Take steps with a request that has these events; is the client `gone` behind them?"""
    headers = [(b"host", b"example.org")]
    if content_type is not None:
        headers.append((b"content-type", content_type.encode("latin-1")))
    script = Script(
        scope=asgi.http_scope(method="POST", headers=headers),
        events=list(events),
        after=after or {},
        end="disconnect" if gone else "block",
    )
    return submission.converse(script, steps=list(steps), **config)


def given_by(submission: Submission, steps: Sequence[str], events: Events, **options: Any) -> list[Any]:
    """What each step gives. Raises what the first step raises that does."""
    given_values: list[Any] = take(submission, steps, events, **options).returned
    return given_values


def body(*chunks: bytes) -> list[asgi.Message]:
    """The events of a body in these chunks; without any, of an empty one."""
    return asgi.request_events(chunks or [b""])


def broken(*chunks: bytes) -> list[asgi.Message]:
    """The events of a body that breaks off behind these chunks."""
    return [*asgi.request_events(chunks, complete=False), DISCONNECT]


def names(outcome: Any) -> list[str]:
    """The classes of the exception that a `try` has given."""
    assert isinstance(outcome, dict), f"an exception is due here, not {outcome!r}"
    found: list[str] = outcome["raised"]
    return found


def split(whole: bytes) -> st.SearchStrategy[list[bytes]]:
    """The body in any chunks, empty ones among them."""
    places = st.lists(st.integers(0, len(whole)), max_size=4).map(sorted)
    return places.map(
        lambda cuts: [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    )


# --- REQ-01: kinds of scopes, and the method ----------------------------------------------------------------


@requirement("REQ-01")
@pytest.mark.parametrize("method", ["GET", "POST", "get", "Post", "PROPFIND", "M-SEARCH", "X"])
@pytest.mark.parametrize("extra", [{}, {"x.id": 1}])
def test_the_method_is_that_of_the_scope(submission: Submission, method: str, extra: dict[str, Any]) -> None:
    """`method` is the scope's, unchanged; nothing else has to be in a scope but `type` and `path`."""
    scope = {"type": "http", "path": "/", "method": method, **extra}
    assert ask(submission, scope, "method") == [method]


@requirement("REQ-01")
@pytest.mark.parametrize("kind", ["websocket", "lifespan", "mqtt.5"])
def test_only_http_makes_a_request(submission: Submission, kind: str) -> None:
    """A Request of an http scope can be made, one of any other raises RuntimeError."""
    assert submission.call("make", scope=asgi.http_scope()) == "made"
    with raised("RuntimeError"):
        submission.call("make", scope=asgi.http_scope(type=kind))


# --- REQ-02: headers and query ------------------------------------------------------------------------------


def as_text(headers: Sequence[asgi.Header]) -> Pairs:
    """Headers as `multi_items` gives them."""
    return [(name.lower().decode("latin-1"), value.decode("latin-1")) for name, value in headers]


@requirement("REQ-02")
@given(
    headers=asgi.headers().filter(lambda headers: not {b"host", b"cookie"} & {name for name, _ in headers}),
    once=st.booleans(),
    pairs_once=st.booleans(),
    order=st.permutations(["headers", "cookies", "url", "base_url"]),
)
@example(
    headers=[(b"X-Token", b"1"), (b"b", b"\xff"), (b"x-token", b"3")],
    once=False,
    pairs_once=False,
    order=["headers"],
)
@example(headers=[(b"x", b"1")], once=True, pairs_once=True, order=["headers"])
@example(headers=[(b"x", b"1")], once=True, pairs_once=False, order=["url", "headers", "cookies", "base_url"])
@example(headers=[], once=True, pairs_once=False, order=["cookies", "base_url", "url"])
@example(headers=[], once=False, pairs_once=True, order=["base_url", "headers", "cookies", "url"])
def test_headers_can_be_read_as_often_as_one_likes(
    submission: Submission, headers: list[asgi.Header], once: bool, pairs_once: bool, order: list[str]
) -> None:
    """`headers`, and all that needs them, can be asked for in any order, also where the scope's are an iterator."""
    headers = [(b"Host", b"a.test"), *headers, (b"cookie", b"a=1")]
    pairs: list[Any] = [Once(pair) for pair in headers] if pairs_once else list(headers)
    scope = asgi.http_scope(headers=Once(pairs) if once else pairs)
    expected = {
        "headers": as_text(headers),
        "cookies": {"a": "1"},
        "url": "http://a.test/",
        "base_url": "http://a.test",
        "headers['HOST']": "a.test",
    }
    asked = [*order, "headers", "headers['HOST']"]
    for question, answer in zip(asked, ask(submission, scope, *asked), strict=True):
        found = answer.removesuffix("/") if question == "base_url" else answer
        assert found == expected[question], f"this is the answer to {question}, asked in the order {asked}"


@requirement("REQ-02")
@given(
    params=st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=4),
    kind=st.sampled_from(["http", "websocket"]),
    absent=st.booleans(),
)
@example(params=[("a", "é"), ("b", "x y+"), ("a", "2"), ("c", "")], kind="http", absent=True)
@example(params=[("a", "1")], kind="http", absent=False)
@example(params=[("a", "1")], kind="websocket", absent=True)
@example(params=[("a", "1")], kind="websocket", absent=False)
def test_query_params_are_those_of_the_scope(
    submission: Submission, params: Pairs, kind: str, absent: bool
) -> None:
    """`query_params` is the query string, decoded; absent or None, it is empty, and so are the headers."""
    scope = {"type": kind, "path": "/", "method": "GET"}
    query = urlencode(params, errors="replace").encode()
    there = scope | {"headers": [(b"a", b"1")], "query_string": query}
    expected = [tuple(text.encode("utf-8", "replace").decode() for text in pair) for pair in params]
    assert ask(submission, there, "headers", "query_params") == [[("a", "1")], expected]
    missing = scope if absent else scope | {"headers": None, "query_string": None}
    assert ask(submission, missing, "headers", "query_params", "cookies") == [[], [], {}]


# --- REQ-03: URLs -------------------------------------------------------------------------------------------


@requirement("REQ-03")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"path": "/a b", "query_string": b"q=%20"}, "http://example.org/a%20b?q=%20"),
        ({"path": "/api/a%20b", "root_path": "/api"}, "http://example.org/api/a%2520b"),
        ({"scheme": "https", "headers": [(b"Host", b"a.test:8443")]}, "https://a.test:8443/"),
        ({"headers": [], "server": ["a", 81]}, "http://a:81/"),
        ({"headers": [], "server": None}, "/"),
        ({"headers": [], "server": ["/run/app.sock", None], "query_string": b"a"}, "/?a"),
    ],
)
def test_the_url_is_that_of_the_scope(submission: Submission, changes: dict[str, Any], expected: str) -> None:
    """`url` is what `URL.from_scope` makes of the scope."""
    assert ask(submission, asgi.http_scope(**changes), "url") == [expected]


ROOTS = [
    ({}, "http://example.org"),
    ({"path": "/api/x", "root_path": "/api", "query_string": b"q=1"}, "http://example.org/api"),
    (
        {"path": "/api/sub/x", "root_path": "/api/sub", "fastasgi.root_path": "/api"},
        "http://example.org/api",
    ),
    ({"path": "/sub/x", "root_path": "/sub", "fastasgi.root_path": ""}, "http://example.org"),
    ({"path": "/a é%/x", "root_path": "/a é%"}, "http://example.org/a%20%C3%A9%25"),
    ({"path": "/X/x", "root_path": "/X/"}, "http://example.org/X"),
    ({"scheme": "https"}, "https://example.org"),
    ({"type": "websocket", "scheme": "ws"}, "http://example.org"),
    ({"type": "websocket", "scheme": "wss", "query_string": b"q=1"}, "https://example.org"),
    ({"headers": [], "server": None, "path": "/api/x", "root_path": "/api"}, "/api"),
    ({"scheme": None, "root_path": None}, "http://example.org"),
    ({"type": "websocket", "scheme": None, "root_path": None, "query_string": None}, "http://example.org"),
]
"""What a scope has (None: it lacks that), and the URL of its application's root, without a slash at the end."""


def plain(url: str) -> str:
    """A URL with its percent-encoding in upper case: `%c3` and `%C3` are the same (RFC 3986, section 6.2.2.1)."""
    return re.sub("%[0-9A-Fa-f]{2}", lambda found: found[0].upper(), url)


def scope_with(changes: Mapping[str, Any]) -> asgi.Scope:
    """A scope with these changes; what is None is not there."""
    gone = {key for key, value in changes.items() if value is None}
    return {key: value for key, value in asgi.http_scope(**changes).items() if key not in gone}


@requirement("REQ-03")
@pytest.mark.parametrize(("changes", "expected"), ROOTS)
def test_the_base_url_is_that_of_the_root(
    submission: Submission, changes: dict[str, Any], expected: str
) -> None:
    """`base_url` is the application's root, without a query; http or https for a websocket, too."""
    [found] = ask(submission, scope_with(changes), "base_url")
    assert plain(found.removesuffix("/")) == expected


@requirement("REQ-03")
@pytest.mark.parametrize(("changes", "base"), ROOTS)
@pytest.mark.parametrize("params", [{}, {"id": 7}, {"name": "x", "app": "é"}])
def test_url_for_puts_the_route_below_the_root(
    submission: Submission, changes: dict[str, Any], base: str, params: dict[str, Any]
) -> None:
    """`url_for` is the path that the application gives, below the root; its ValueError goes through."""
    scope = scope_with(changes)
    fields = [f"{name}={quote(str(value))}" for name, value in params.items()]
    expected = "/".join([base, quote("ä b"), *fields])
    assert plain(submission.call("url_for", scope=scope, route="ä b", params=params)) == expected
    with raised("ValueError"):
        submission.call("url_for", scope=scope, route="nowhere", params=params)


# --- REQ-04: cookies ----------------------------------------------------------------------------------------


def cookies_of(headers: Sequence[str]) -> dict[str, str]:
    """What `cookie` headers say, where nothing is quoted."""
    found: dict[str, str] = {}
    for header in headers:
        for field in header.split(";"):
            name, equals, value = field.partition("=")
            name, value = name.strip(" \t"), value.strip(" \t")
            if equals and name and name not in found:
                found[name] = value
    return found


def cookies(submission: Submission, headers: Sequence[str]) -> Any:
    """The cookies of a request with these `cookie` headers, among others."""
    raw = [(b"cookie", header.encode("latin-1")) for header in headers]
    scope = asgi.http_scope(headers=[*raw[:1], (b"host", b"a"), *raw[1:]])
    return ask(submission, scope, "cookies")[0]


@requirement("REQ-04")
@given(headers=st.lists(st.text("abA= \t;,%x\xa0\xe9\x1f", max_size=12), max_size=3))
@example(headers=["a=1; b=2"])
@example(headers=["a=1; b=x,y", "c=3"])
@example(headers=["a=1; a=2", "a=3; A=4"])
@example(headers=["a=1;b=2;;  c=3 ;"])
@example(headers=["a = 1 ;\tb\t=\t2"])
@example(headers=["a=b=c==; d="])
@example(headers=["a; =b; c=1"])
@example(headers=["a=%20+"])
@example(headers=["Xa=1; aX=X2X"])
@example(headers=["\xa0a=1; b=2\xa0; \x1fb=3"])
@example(headers=[])
def test_cookies_of_all_headers_come_together(submission: Submission, headers: list[str]) -> None:
    """All `cookie` headers count, and in them the first value of each name; no header is an error."""
    assert cookies(submission, headers) == cookies_of(headers)


def unquoted(value: str) -> str:
    """A value without its quotes and escapes."""
    if len(value) < 2 or not (value.startswith('"') and value.endswith('"')):
        return value
    found, rest = "", value[1:-1]
    while rest:
        taken = 1
        if rest[0] == "\\" and re.fullmatch("[0-3][0-7][0-7]", rest[1:4]):
            found, taken = found + chr(int(rest[1:4], 8)), 4
        elif rest[0] == "\\":
            found, taken = found + rest[1], 2
        else:
            found += rest[0]
        rest = rest[taken:]
    return found


def written(value: str) -> str:
    """A value as `http.cookies` writes it."""
    jar: SimpleCookie = SimpleCookie()
    jar["a"] = value
    return jar["a"].coded_value


def raw_values() -> st.SearchStrategy[str]:
    """Values of cookies: what `http.cookies` writes, and other text with quotes and escapes."""
    quoted = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12).map(written)
    pieces = st.lists(st.sampled_from([*"019ax,", '\\"', "\\\\", "\\073", "\\400", "\\x"]), max_size=4).map(
        "".join
    )
    return quoted | pieces | pieces.map('"{}"'.format)


@requirement("REQ-04")
@given(value=raw_values())
@example(value='"x y"')
@example(value=r'"x\073 \"y\" \\"')
@example(value='""')
@example(value='"')
@example(value='"x')
@example(value='x"y"')
@example(value=r'"\400\08\x"')
@example(value=r'"\377"')
@example(value=r"\073")
def test_only_a_value_in_two_quotes_is_unquoted(submission: Submission, value: str) -> None:
    """A value in double quotes is given without them and without escapes; any other stays as it is."""
    assert cookies(submission, [f"a={value}; b=1"]) == {"a": unquoted(value), "b": "1"}


# --- REQ-05: client, path_params, state, app ----------------------------------------------------------------


@requirement("REQ-05")
@pytest.mark.parametrize("client", [("1.2.3.4", 5), ["::1", 0], ("1.2.3.4", "5")])
def test_client_path_params_and_app_are_what_was_put_there(submission: Submission, client: Any) -> None:
    """`client`, `path_params` and `app` are what was put there; else None, `{}`, and a RuntimeError."""
    scope = asgi.http_scope(client=client, path_params={"id": 7, "name": "x"})
    questions = ("client.host, client.port", "path_params", "app is the application")
    asked = ask(submission, scope, *questions, inside=True)
    assert asked == [[client[0], int(client[1])], {"id": 7, "name": "x"}, True]
    bare = {"type": "http", "path": "/", "method": "GET"}
    assert ask(submission, bare, "client", "path_params") == [None, {}]
    assert ask(submission, bare | {"client": None}, "client") == [None]
    with raised("RuntimeError"):
        ask(submission, bare, "app")


@requirement("REQ-05")
@pytest.mark.parametrize("state", [{"user": "nobody"}, {}, None])
def test_state_stands_on_that_of_the_scope(submission: Submission, state: dict[str, Any] | None) -> None:
    """What is set in `state` is in the scope, for other connections of that scope, too; what was there can be read."""
    there = asgi.http_scope(state={"user": "ada", "database": ["a", "b"]})
    questions = ("state.user", "state.database is scope['state']['database']")
    assert ask(submission, there, *questions) == ["ada", True]
    scope = asgi.http_scope(state=state)
    if state is None:
        del scope["state"]
    assert submission.call("set_user", scope=scope, user="ada") == [{"user": "ada"}, "ada"]


# --- REQ-06: body -------------------------------------------------------------------------------------------


@requirement("REQ-06")
@given(
    requests=st.lists(
        asgi.chunks_and_gaps(max_size=3).flatmap(asgi.bare_request_events), min_size=1, max_size=2
    )
)
@example(requests=[body(b"Hello, ", b"ASGI!")])
@example(requests=[body(b"", b"late")])
@example(requests=[[{"type": "http.request", "more_body": True}, {"type": "http.request", "body": b"x"}]])
@example(requests=[[{"type": "http.request"}]])
@example(requests=[body(b"x" * 70_000, b"y")])
@example(requests=[body(b"one", b"two"), body(b"three", b"four")])
def test_body_is_all_chunks(submission: Submission, requests: list[Events]) -> None:
    """`body()` gives all chunks, joined, as bytes, each time; nothing is received before it, and no more than them."""
    scope = asgi.http_scope(method="POST")
    scripts = [Script(scope=scope, events=events, end="disconnect") for events in requests]
    transcript = submission.converse(scripts, steps=["send", "body()", "body()"])
    for number, events in enumerate(requests):
        whole = b"".join(event.get("body", b"") for event in events)
        own = transcript.of(number)
        assert own.returned == [None, whole, whole]
        received = ["← http.request"] * len(events)
        assert own.sequence == ["→ probe.sent", *received, "returned"], (
            "receive once for each event of the body"
        )


@requirement("REQ-06")
@given(parts=asgi.chunks_and_gaps())
@example(parts=[b"a", b"b"])
@example(parts=[b""])
def test_a_stream_after_body_gives_it_again(submission: Submission, parts: list[bytes]) -> None:
    """After `body()`, each `stream()` gives the body once more, and no empty chunk."""
    whole = b"".join(parts)
    steps = ["body()", "stream()", "stream()", "body()"]
    transcript = take(submission, steps, body(*parts), gone=True)
    first, one, two, last = transcript.returned
    assert [first, b"".join(one), b"".join(two), last] == [whole] * 4
    assert b"" not in one + two, "a stream gives no empty chunk"
    assert len(transcript.received) == len(parts)


# --- REQ-07: stream -----------------------------------------------------------------------------------------


@requirement("REQ-07")
@given(parts=asgi.chunks_and_gaps())
@example(parts=[b"Hello, ", b"", b"ASGI!"])
@example(parts=[b"one", b"two"])
@example(parts=[b"early", b""])
@example(parts=[b""])
def test_a_stream_gives_the_chunks_as_they_come(submission: Submission, parts: list[bytes]) -> None:
    """`stream()` gives each chunk as it came, before the next is received, and leaves out the empty ones."""
    chunks = [part for part in parts if part]
    steps = [*["next chunk", "send"] * len(chunks), "next chunk"]
    transcript = take(submission, steps, body(*parts), gone=True)
    assert transcript.returned[::2] == [*chunks, None]
    expected = []
    for part in parts:
        expected += ["← http.request", "→ probe.sent"] if part else ["← http.request"]
    assert transcript.sequence == [*expected, "returned"]


@requirement("REQ-07")
@given(parts=asgi.chunks(min_size=1), whole=st.booleans(), again=st.sampled_from(["body()", "stream()"]))
@example(parts=[b"a", b"b"], whole=True, again="body()")
@example(parts=[b"a", b"b"], whole=True, again="stream()")
@example(parts=[b"a", b"b"], whole=False, again="body()")
@example(parts=[b"a", b"b"], whole=False, again="stream()")
def test_what_was_streamed_is_gone(
    submission: Submission, parts: list[bytes], whole: bool, again: str
) -> None:
    """Once a chunk of a stream was asked for, `body()` and another `stream()` raise RuntimeError; it goes on itself."""
    if whole:
        steps = ["stream()", f"try {again}"]
        chunks, refused = given_by(submission, steps, body(*parts), gone=True)
    else:
        steps = ["next chunk", f"try {again}", "rest of the stream"]
        first, refused, rest = given_by(submission, steps, body(*parts), gone=True)
        chunks = [first, *rest]
    assert "RuntimeError" in names(refused)
    assert chunks == parts


# --- REQ-08: disconnects and bad events ---------------------------------------------------------------------


@requirement("REQ-08")
@given(parts=asgi.chunks(), read=st.sampled_from(["body()", "stream()"]))
@example(parts=[b"half"], read="body()")
@example(parts=[b"half"], read="stream()")
@example(parts=[], read="body()")
@example(parts=[], read="stream()")
def test_a_body_that_breaks_off_is_no_body(submission: Submission, parts: list[bytes], read: str) -> None:
    """A complete body is given; one that breaks off raises ClientDisconnect, whoever reads it, however often."""
    [whole] = given_by(submission, [read], body(*parts, b"end"))
    assert (whole if read == "body()" else b"".join(whole)) == b"".join([*parts, b"end"])
    steps = [f"try {read}", "try body()", "try stream()"]
    for number, outcome in enumerate(given_by(submission, steps, broken(*parts), gone=True)):
        words = f"{steps[number]} must raise ClientDisconnect, but it raised {names(outcome)[0]}"
        assert "ClientDisconnect" in names(outcome), words


@requirement("REQ-08")
@pytest.mark.parametrize("read", ["body()", "stream()"])
@pytest.mark.parametrize(
    "event",
    [
        {"type": "http.bogus"},
        {"type": "websocket.receive", "bytes": b"x"},
        {"type": "http.request", "body": "text"},
        {"type": "http.request", "body": None},
        None,
    ],
    ids=["http.bogus", "websocket.receive", "str", "None", "without receive"],
)
def test_an_event_that_is_none_of_a_request(submission: Submission, read: str, event: asgi.Message) -> None:
    """An event of another type, or whose body is not bytes, raises RuntimeError; other keys are ignored."""
    before = asgi.request_events([b"a"], complete=False)
    good = {"type": "http.request", "body": b"b", "x.id": 1}
    [whole] = given_by(submission, [read], [*before, good])
    assert whole == (b"ab" if read == "body()" else [b"a", b"b"])
    with raised("RuntimeError") as caught:
        if event is None:
            given_by(submission, [read], [], maker="without_receive")
        else:
            given_by(submission, [read], [*before, event])
    assert "ClientDisconnect" not in caught.error.names, "the client is still there"
    for step in ("is_disconnected()", "receive()", "forward()") if event is None else ():
        refused, _ = given_by(submission, [f"try {step}", "close()"], [], maker="without_receive")
        assert "RuntimeError" in names(refused), f"without `receive`, {step} must raise RuntimeError"


# --- REQ-09: text -------------------------------------------------------------------------------------------


@requirement("REQ-09")
@pytest.mark.parametrize(
    ("content_type", "content", "expected"),
    [
        (None, "é".encode(), "é"),
        ("text/plain", b"a\xff", "a\ufffd"),
        ("text/plain; charset=latin-1", b"\xff", "ÿ"),
        ('TEXT/PLAIN;a=b ; CHARSET="ISO-8859-1"', b"\xff", "ÿ"),
        ("text/plain; charset=windows-1252", b"\x80", "€"),
        ("text/plain;charset=utf-16-le", b"a\0b", "a\ufffd"),
        ("text/plain; charset=KOI8-R", b"\xe0", "\u042e"),
        ("text/plain; charset=Latin1", b"\xff", "ÿ"),
        ("text/plain; charset=utf8; a=b", "é".encode(), "é"),
        ("text/plain; charset=utf-16le", b"a\0", "a"),
        ("text/plain; charset=", "é".encode(), "é"),
        ('text/plain; charset=""', "é".encode(), "é"),
        ("text/plain; xcharset=latin-1", "é".encode(), "é"),
    ],
)
def test_text_has_the_charset_of_its_content_type(
    submission: Submission, content_type: str | None, content: bytes, expected: str
) -> None:
    """`text()` is decoded by the charset of the content type, else as UTF-8; `body()` stays what it is."""
    steps = ["text()", "body()", "text()"]
    found = given_by(submission, steps, body(content[:1], content[1:]), content_type=content_type)
    assert found == [expected, content, expected]


@requirement("REQ-09")
@pytest.mark.parametrize(
    "charset", ["klingon", "iso-8859-99", "hex", "base64", "../etc", "Xutf-8", "x" * 1000]
)
def test_a_charset_that_is_not_known_is_the_client_s_mistake(submission: Submission, charset: str) -> None:
    """A charset that Python does not know, or that is no codec of text, is an HTTPException(415)."""
    events = body(b"abc")
    assert given_by(submission, ["text()"], events, content_type="text/plain; charset=ascii") == ["abc"]
    with raised("HTTPException") as caught:
        given_by(submission, ["text()"], events, content_type=f"text/plain; charset={charset}")
    assert caught.error.attributes.get("status_code") == 415


# --- REQ-10: JSON -------------------------------------------------------------------------------------------


def json_values() -> st.SearchStrategy[Any]:
    """What JSON can hold."""
    leaves = (
        st.none()
        | st.booleans()
        | st.integers(-(2**70), 2**70)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=6)
    )
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=8,
    )


@requirement("REQ-10")
@given(value=json_values(), escaped=st.booleans(), content_type=st.sampled_from([None, "text/plain", "a/b"]))
@example(value={"n": [1, 2.5, "é", None, True]}, escaped=False, content_type=None)
@example(value={"n": "é"}, escaped=False, content_type="text/plain; charset=latin-1")
def test_json_is_read_whatever_the_content_type(
    submission: Submission, value: Any, escaped: bool, content_type: str | None
) -> None:
    """`json()` is the value that the body holds, in UTF-8, as often as it is asked for."""
    whole = json.dumps(value, ensure_ascii=escaped).encode("utf-8", "replace")
    expected = json.loads(whole)
    steps = ["json()", "body()", "json()"]
    found = given_by(submission, steps, body(whole[:3], whole[3:]), content_type=content_type)
    assert found == [expected, whole, expected]


def place_of(text: str) -> set[str]:
    """Line and column where a text is no JSON; nothing where it is."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return {str(error.lineno), str(error.colno)}
    return set()


def refused_json(submission: Submission, content: bytes) -> str:
    """The detail of the exception that `json()` must raise for a body."""
    with raised("HTTPException") as caught:
        given_by(submission, ["json()"], body(content))
    assert "ValueError" in caught.error.names, "the exception must be a ValueError, too"
    assert caught.error.attributes.get("status_code") == 400
    return str(caught.error.attributes.get("detail"))


@requirement("REQ-10")
@given(text=st.text('[]{},:"1ae\n ', max_size=9).filter(place_of))
@example(text="")
@example(text="{")
@example(text='{"a": 1,\n "b" 2}')
@example(text='[1,\n2,\n3,\n"é", x]')
@example(text="[1] x")
@example(text="'a'")
def test_what_is_no_json_is_told_with_its_place(submission: Submission, text: str) -> None:
    """What is no JSON raises an HTTPException(400) that is a ValueError; its `detail` has line and column."""
    assert given_by(submission, ["json()"], body(b'{"a": 1}')) == [{"a": 1}]
    detail = refused_json(submission, text.encode())
    missing = place_of(text) - set(re.findall(r"\d+", detail))
    assert not missing, f"line or column is not in the detail: {sorted(missing)}"


@requirement("REQ-10")
@pytest.mark.parametrize(
    ("content", "index"),
    [
        pytest.param(b"\xff", "0", id="no UTF-8"),
        pytest.param(b'["abc", "\xe9"]', "9", id="latin-1"),
        pytest.param(b'"\xed\xa0\x80"', "1", id="a surrogate"),
        pytest.param('{"a": 1}'.encode("utf-16-le"), None, id="UTF-16"),
        pytest.param('{"a": 1}'.encode("utf-32"), "0", id="UTF-32"),
        pytest.param(b"NaN", None, id="NaN"),
        pytest.param(b'{"a": [1, Infinity]}', None, id="Infinity"),
        pytest.param(b"[-Infinity]", None, id="-Infinity"),
        pytest.param(b'["", NaNx, ""]', None, id="NaNx"),
        pytest.param(b'["\\\\", NaN, "b"]', None, id="NaN behind a backslash"),
        pytest.param(b"[" * 100_000, None, id="nested lists"),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, None, id="nested dicts"),
        pytest.param(b"[" + b"1" * 10_000 + b"]", None, id="digits"),
    ],
)
def test_what_python_would_read_or_stumble_over_is_refused(
    submission: Submission, content: bytes, index: str | None
) -> None:
    """No UTF-8 (`detail` has the index), NaN, infinity, endless nesting and digits are refused likewise."""
    fine = '[12345678901234567890, -1.5e300, "é"]'.encode()
    assert given_by(submission, ["json()"], body(fine)) == [[12345678901234567890, -1.5e300, "é"]]
    detail = refused_json(submission, content)
    assert index is None or index in re.findall(r"\d+", detail), f"the index {index} is not in: {detail}"


# --- REQ-11: forms ------------------------------------------------------------------------------------------


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    """A part of a multipart body."""
    file = b"" if filename is None else b'; filename="%s"' % filename.encode()
    head = b'Content-Disposition: form-data; name="%s"%s' % (name.encode(), file)
    return b"--XX\r\n" + head + b"\r\n\r\n" + content + b"\r\n"


UPLOAD = part("a", b"1") + part("f", b"hello", "x.txt") + part("a", b"2") + b"--XX--\r\n"
UPLOADED = [
    ["a", "1"],
    ["f", {"filename": "x.txt", "content": b"hello", "closed": False}],
    ["a", "2"],
]


@requirement("REQ-11")
@given(parts=split(b"a=1&b=x+y&a=2"), kind=st.sampled_from([URLENCODED, URLENCODED.title()]))
@example(parts=[b"a=1&b=x+y&a=2"], kind=URLENCODED)
@example(parts=[b"a=", b"", b"1&b=x+y&a=2"], kind=URLENCODED.upper() + " ; charset=utf-8")
def test_an_urlencoded_form_is_read_once(submission: Submission, parts: list[bytes], kind: str) -> None:
    """`form()` reads an urlencoded form, once, whatever the case of its type; without a type, the form is empty."""
    found = given_by(submission, ["form()", "form() is the form"], body(*parts), content_type=kind)
    assert found == [[["a", "1"], ["b", "x y"], ["a", "2"]], True]
    for absent in (None, ""):
        assert given_by(submission, ["form()"], body(*parts), content_type=absent) == [[]]


@requirement("REQ-11")
@given(parts=split(UPLOAD), kind=st.sampled_from([MULTIPART, 'Multipart/Form-Data ;Boundary="XX"']))
@example(parts=[UPLOAD], kind=MULTIPART)
@example(parts=[UPLOAD[:50], UPLOAD[50:]], kind='MULTIPART/form-data;boundary="XX"')
def test_a_multipart_form_has_files_that_close_closes(
    submission: Submission, parts: list[bytes], kind: str
) -> None:
    """`form()` reads a multipart form; its files are open until `close()`, which may be called twice."""
    steps = ["form()", "files are closed", "close()", "files are closed", "close()"]
    form, before, _, after, _ = given_by(submission, steps, body(*parts), content_type=kind)
    assert form == UPLOADED
    assert [before, after] == [[False], [True]], "close() closes the files, and nothing before does"


@requirement("REQ-11")
def test_a_form_streams_the_body_unless_it_was_read(submission: Submission) -> None:
    """After `body()` there can be `form()`; after `form()` alone, `body()` raises RuntimeError."""
    steps = ["body()", "form()", "body()"]
    found = given_by(submission, steps, body(b"a=1"), content_type=URLENCODED)
    assert found == [b"a=1", [["a", "1"]], b"a=1"]
    form, refused = given_by(
        submission, ["form()", "try body()"], body(b"a=1"), content_type=URLENCODED, gone=True
    )
    assert form == [["a", "1"]]
    assert "RuntimeError" in names(refused)


@requirement("REQ-11")
@pytest.mark.parametrize(
    ("content_type", "content", "limits", "status"),
    [
        ("application/json", b"{}", None, 415),
        ("multipart/mixed; boundary=XX", UPLOAD, None, 415),
        ("multipart/form-data", UPLOAD, None, 400),
        (MULTIPART, UPLOAD[:-6], None, 400),
        (MULTIPART, UPLOAD, {"max_files": 0}, 413),
        (URLENCODED, b"a=1&b=2", {"max_fields": 1}, 413),
        (URLENCODED, b"&".join([b"a=1"] * 1001), None, 413),
    ],
    ids=["json", "mixed", "no boundary", "cut off", "too many files", "too many fields", "1001 fields"],
)
def test_what_is_no_form_or_too_large_a_one(
    submission: Submission, content_type: str, content: bytes, limits: dict[str, int] | None, status: int
) -> None:
    """A form within its limits is read; what is none is a 415, a malformed one a 400, one over its limits a 413."""
    within = {"max_fields": 2, "max_files": 1, "max_part_size": 5}
    fine = given_by(submission, ["form()", "close()"], body(UPLOAD), content_type=MULTIPART, limits=within)
    assert fine == [UPLOADED, None]
    with raised("HTTPException") as caught:
        given_by(submission, ["form()"], body(content), content_type=content_type, limits=limits)
    assert caught.error.attributes.get("status_code") == status


# --- REQ-12: is_disconnected --------------------------------------------------------------------------------


LOOK = "is_disconnected()"


@requirement("REQ-12")
@given(
    parts=asgi.chunks_and_gaps(max_size=4),
    steps=st.lists(st.sampled_from([LOOK, "next chunk", "pause"]), max_size=8),
    slow=st.booleans(),
)
@example(parts=[b"a", b"b"], steps=[LOOK], slow=False)
@example(parts=[b"a", b"b"], steps=[LOOK, LOOK, LOOK], slow=True)
@example(parts=[b"a", b"b"], steps=[LOOK, "pause", LOOK, "pause", LOOK], slow=False)
@example(parts=[b"a", b"b"], steps=[LOOK, "next chunk", LOOK, "pause"], slow=True)
@example(parts=[b"a", b"b"], steps=["next chunk", LOOK, "next chunk"], slow=False)
def test_a_look_takes_nothing_of_the_body_away(
    submission: Submission, parts: list[bytes], steps: list[str], slow: bool
) -> None:
    """However often one looks, the body is read whole, in order; the client is there until it goes."""
    events = [*body(*parts), DISCONNECT]
    steps = [*steps, "rest of the stream", LOOK, "send", LOOK, "pause", LOOK]
    found = given_by(submission, steps, events, after={len(parts): 1}, slow=slow)
    read = [value for step, value in zip(steps, found, strict=True) if step == "next chunk"]
    looks = [value for step, value in zip(steps, found, strict=True) if step == LOOK]
    chunks = [chunk for chunk in read if chunk is not None] + found[steps.index("rest of the stream")]
    assert b"".join(chunks) == b"".join(parts), "a part of the body is missing, or out of order"
    assert looks[:-2] == [False] * (len(looks) - 2), "the client was still there"
    assert looks[-1] is True, "the client has gone, and the look after that must see it"


@requirement("REQ-12")
@pytest.mark.parametrize("slow", [False, True])
def test_a_disconnect_is_seen_behind_chunks_that_nobody_read(submission: Submission, slow: bool) -> None:
    """Look by look, the disconnect comes nearer: it is seen in the end, and the chunks are still there."""
    steps = [LOOK, "pause"] * 4 + [LOOK, LOOK, "try body()"]
    *_, first, second, content = given_by(submission, steps, [*body(b"a", b"b"), DISCONNECT], slow=slow)
    assert [first, second] == [True, True]
    assert content == b"ab", "chunks that came before the disconnect are read after it"
    *_, gone, _, refused = given_by(submission, steps, broken(b"a"), slow=slow)
    assert gone is True
    assert "ClientDisconnect" in names(refused)
    large = [*body(b"a" * 60_000, b"b" * 40_000, b"c" * 10_000, b"d" * 10_000), DISCONNECT]
    steps = [LOOK, "pause", "next chunk", *[LOOK, "pause"] * 4, LOOK, "rest of the stream"]
    *_, gone, rest = given_by(submission, steps, large, slow=slow)
    assert gone is True, "the chunk that was read does not count any more"
    assert rest == [b"b" * 40_000, b"c" * 10_000, b"d" * 10_000]


@requirement("REQ-12")
@pytest.mark.parametrize("size", [0, 65_535])
def test_a_look_does_not_wait_and_close_ends_what_it_began(submission: Submission, size: int) -> None:
    """While the client is silent, `is_disconnected()` is False at once; `close()` leaves no task behind."""
    bare: asgi.Message = {"type": "http.request", "more_body": True}
    events = [bare, *asgi.request_events([bytes(size)], complete=False)]
    steps = ["clock", LOOK, "clock", *["pause", LOOK, LOOK] * 3, "close()", "tasks left", "close()"]
    begun, first, ended, *looks, _, left, _ = given_by(submission, steps, events)
    assert [first, *looks] == [False, *[None, False, False] * 3]
    assert begun == ended, "is_disconnected() must not let time pass"
    assert left == 0, "close() must end the task that is_disconnected() has begun, and wait for its end"
    steps = [*[LOOK, "pause"] * 3, LOOK, "close()"]
    assert given_by(submission, steps, [*events, DISCONNECT])[-2] is True


# --- REQ-13: receive ----------------------------------------------------------------------------------------


@requirement("REQ-13")
@given(parts=asgi.chunks_and_gaps(max_size=4), slow=st.booleans())
@example(parts=[b"a", b"", b"b"], slow=False)
@example(parts=[b"a"], slow=True)
@example(parts=[b"x" * 60_000, b"y"], slow=False)
def test_who_waits_for_the_client_to_go_takes_no_chunk(
    submission: Submission, parts: list[bytes], slow: bool
) -> None:
    """`receive()` leaves the chunks to the body's reader; once the client is gone, it says so each time."""
    events = [*body(*parts), DISCONNECT]
    steps = ["receive()", "receive()", "rest of the stream", "receive()"]
    one, two, chunks, three = given_by(submission, steps, events, slow=slow)
    assert [one, two, three] == [DISCONNECT] * 3
    assert b"".join(chunks) == b"".join(parts), "receive() must keep the chunks that it comes across"


@requirement("REQ-13")
def test_receive_waits_until_the_client_goes(submission: Submission) -> None:
    """Where the body was read, `receive()` waits for the disconnect; where it breaks off, nobody gets a body."""
    events = [*body(b"a", b"b"), DISCONNECT]
    steps = ["body()", "begin receive()", "send", "end receive()", "body()"]
    found = given_by(submission, steps, events, after={2: 1})
    assert [found[0], found[3], found[4]] == [b"ab", DISCONNECT, b"ab"]
    large = [b"a" * 70_000, b"b" * 70_000, b"c" * 70_000]
    steps = ["begin receive()", *["pause", "next chunk"] * 3, "end receive()"]
    found = given_by(submission, steps, [*body(*large), DISCONNECT])
    assert [chunk for chunk in found if chunk is not None] == [*large, DISCONNECT]
    *_, refused = given_by(submission, ["stream()", "receive()", "try body()"], events)
    assert "RuntimeError" in names(refused), "the body was complete, and was streamed away"
    gone, refused = given_by(submission, ["receive()", "try body()"], broken(b"a"))
    assert gone == DISCONNECT
    assert "ClientDisconnect" in names(refused)


@requirement("REQ-13")
@given(
    parts=asgi.chunks(min_size=1, max_size=4),
    begin=st.permutations(["begin reading", "begin receive()", LOOK]),
    reading=st.sampled_from(["stream()", "body()"]),
    slow=st.booleans(),
)
@example(parts=[b"a", b"b"], begin=["begin reading", "begin receive()"], reading="stream()", slow=False)
@example(parts=[b"a", b"b"], begin=["begin receive()", "begin reading"], reading="stream()", slow=False)
@example(parts=[b"a"], begin=["begin receive()", "begin reading"], reading="body()", slow=False)
@example(parts=[b"a"], begin=["begin reading", LOOK, "begin receive()"], reading="body()", slow=False)
@example(
    parts=[b"a", b"b"], begin=[LOOK, "begin receive()", LOOK, "begin reading"], reading="body()", slow=True
)
def test_one_may_wait_while_another_reads(
    submission: Submission, parts: list[bytes], begin: list[str], reading: str, slow: bool
) -> None:
    """One task waits in `receive()` while another reads and a third looks, whoever began: each gets what is due."""
    trickle = ["send", "pause"] * len(parts)
    first = [step.replace("reading", reading) for step in begin]
    steps = [*first, *trickle, f"end {reading}", "send", "end receive()"]
    events = [*body(*parts), DISCONNECT]
    found = given_by(
        submission, steps, events, after={place: place + 1 for place in range(len(events))}, slow=slow
    )
    assert found[-3] == (parts if reading == "stream()" else b"".join(parts))
    assert found[-1] == DISCONNECT
    looks = [value for step, value in zip(steps, found, strict=True) if step == LOOK]
    assert looks == [False] * len(looks), "the client was still there"


# --- REQ-14: forward ----------------------------------------------------------------------------------------


@requirement("REQ-14")
@given(
    events=asgi.chunks_and_gaps(max_size=3).flatmap(asgi.bare_request_events),
    extra=asgi.unknown_keys(),
    before=st.sampled_from([[], [LOOK], [LOOK, "pause", LOOK], ["receive()"]]),
)
@example(events=body(b"a", b"b"), extra={}, before=[])
@example(events=body(b"a", b"", b"b"), extra={"x.id": 1}, before=[LOOK, "pause", LOOK])
@example(events=[{"type": "http.request"}], extra={"x.id": 1}, before=["receive()"])
def test_events_are_forwarded_as_they_came(
    submission: Submission, events: list[asgi.Message], extra: dict[str, Any], before: list[str]
) -> None:
    """Where nothing was read of the body, its events pass as they came, also those that somebody has come across."""
    events = [event | extra for event in events]
    steps = [*before, *["forward()"] * (len(events) + 2)]
    found = given_by(submission, steps, [*events, DISCONNECT])
    assert found[len(before) :] == [*events, DISCONNECT, DISCONNECT]


@requirement("REQ-14")
@given(parts=asgi.chunks_and_gaps(max_size=4))
@example(parts=[b"a", b"b"])
@example(parts=[b""])
def test_a_body_that_was_read_is_forwarded_whole(submission: Submission, parts: list[bytes]) -> None:
    """After `body()`, `forward()` gives the whole body in one event, then waits for the client; the body stays."""
    events = [*body(*parts), DISCONNECT]
    whole = b"".join(parts)
    steps = ["body()", "forward()", "send", "forward()", "forward()", "body()"]
    found = given_by(submission, steps, events, after={len(parts): 1})
    assert found[1] == {"type": "http.request", "body": whole, "more_body": False}
    assert [found[0], *found[3:]] == [whole, DISCONNECT, DISCONNECT, whole]


@requirement("REQ-14")
@pytest.mark.parametrize("read", ["stream()", "next chunk", "form()", "body()"])
def test_a_body_is_read_or_forwarded(submission: Submission, read: str) -> None:
    """What was streamed away cannot be forwarded, what was forwarded cannot be read: RuntimeError, either way."""
    events = body(b"a=", b"1")
    _, kept = given_by(submission, ["body()", "forward()"], events, content_type=URLENCODED)
    assert kept["body"] == b"a=1"
    if read != "body()":
        steps = [read, "try forward()"]
        _, refused = given_by(submission, steps, events, content_type=URLENCODED, gone=True)
        assert "RuntimeError" in names(refused)
    for steps in (["forward()", "forward()", f"try {read}"], ["forward()", f"try {read}", "forward()"]):
        found = given_by(submission, steps, events, content_type=URLENCODED, gone=True)
        outcomes = dict(zip(steps[::-1], found[::-1], strict=True))
        assert "RuntimeError" in names(outcomes[f"try {read}"])
        assert [each for step, each in zip(steps, found, strict=True) if step == "forward()"] == events


@requirement("REQ-14")
@pytest.mark.parametrize("read", ["body()", "stream()"])
def test_a_body_that_broke_off_is_forwarded_as_a_disconnect(submission: Submission, read: str) -> None:
    """After a ClientDisconnect, and where the body breaks off as it is forwarded, `forward()` gives the disconnect."""
    steps = [f"try {read}", "forward()", "forward()"]
    refused, one, two = given_by(submission, steps, broken(b"a"))
    assert "ClientDisconnect" in names(refused)
    assert [one, two] == [DISCONNECT, DISCONNECT]
    chunks = broken(b"a", b"b")
    assert given_by(submission, ["forward()"] * 4, chunks) == [*chunks, DISCONNECT]
