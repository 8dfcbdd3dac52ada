"""All modules together against the rules of ASGI, in scripted conversations: the script is the server.

Rule 1: whatever an application sends is held against the order and the form of ASGI's messages, by `complaint`.
Rule 2: after the last event of a script `receive` waits for ever, unless the client is gone.
Rule 3: what is expected of a scope, a body or a path is worked out here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from hypothesis import example, given
from hypothesis import strategies as st

from grader.suite import Foreign, Once, Script, Submission, Transcript, raised, requirement
from grader.suite import strategies as asgi

Message = dict[str, Any]
Pairs = list[tuple[str, str]]

FILE = (Path(__file__).parent / "probe.py").read_bytes()
"""The file that the applications send."""
DISCONNECT: Message = {"type": "http.disconnect"}
CONNECT: Message = {"type": "websocket.connect"}
GONE: Message = {"type": "websocket.disconnect", "code": 1001}
STARTUP: Message = {"type": "lifespan.startup"}
SHUTDOWN: Message = {"type": "lifespan.shutdown"}
EXTENSIONS = ("http.response.pathsend", "http.response.zerocopysend")

# --- what may be sent, and in which order -------------------------------------------------------------------

STEPS: Mapping[tuple[str, str], str] = {
    ("as the first", "http.response.debug"): "as the first",
    ("as the first", "http.response.start"): "after the start",
    ("after the start", "http.response.body, more"): "in the body",
    ("after the start", "http.response.body"): "after the end",
    ("after the start", "http.response.pathsend"): "after the end",
    ("after the start", "http.response.zerocopysend, more"): "in the body",
    ("after the start", "http.response.zerocopysend"): "after the end",
    ("in the body", "http.response.body, more"): "in the body",
    ("in the body", "http.response.body"): "after the end",
    ("in the body", "http.response.zerocopysend, more"): "in the body",
    ("in the body", "http.response.zerocopysend"): "after the end",
    ("as the first", "websocket.accept"): "after accept",
    ("as the first", "websocket.close"): "after the end",
    ("after accept", "websocket.send"): "after accept",
    ("after accept", "websocket.close"): "after the end",
    ("as the first", "websocket.http.response.start"): "after the start of a denial",
    ("after the start of a denial", "websocket.http.response.body, more"): "after the start of a denial",
    ("after the start of a denial", "websocket.http.response.body"): "after the end",
    ("as the first", "lifespan.startup.complete"): "after startup",
    ("as the first", "lifespan.startup.failed"): "after the end",
    ("after startup", "lifespan.shutdown.complete"): "after the end",
    ("after startup", "lifespan.shutdown.failed"): "after the end",
}
"""Where each message may stand, and where the next one then stands (ASGI 3.0 and its list of extensions)."""
NEEDS_EXTENSION = {
    "http.response.debug": "http.response.debug",
    "http.response.pathsend": "http.response.pathsend",
    "http.response.zerocopysend": "http.response.zerocopysend",
    "websocket.http.response.start": "websocket.http.response",
    "websocket.http.response.body": "websocket.http.response",
}


def complaint(scope: Mapping[str, Any], sent: Sequence[Any], *, complete: bool = True) -> str:
    """What is wrong with the messages of one call, in words; empty where nothing is."""
    place = "as the first"
    for message in sent:
        words = _ill_formed(scope, message)
        if words:
            return f"your application sent {_short(message)}: {words}"
        kind = message["type"] + (", more" if message.get("more_body") else "")
        if (place, kind) not in STEPS:
            return (
                f"your application sent {message['type']} {place}: "
                'it cannot stand there (see "the order of messages" in the rules)'
            )
        place = STEPS[place, kind]
    if complete and place != "after the end":
        return f"your application ended {place}: its last message is missing"
    return ""


def _short(message: Any) -> str:
    text = repr(message)
    return text if len(text) < 200 else text[:150] + " ..."


def _ill_formed(scope: Mapping[str, Any], message: Any) -> str:
    """What is wrong with one message by itself."""
    if type(message) is not dict or type(message.get("type")) is not str:
        return "a message is a dict with a str as `type`"
    kind = message["type"]
    if kind.split(".")[0] != scope["type"]:
        return f"it does not belong to a connection of type {scope['type']}"
    needed = NEEDS_EXTENSION.get(kind)
    if needed is not None and needed not in (scope.get("extensions") or {}):
        return f"the server does not offer the extension {needed}"
    if kind.endswith("http.response.zerocopysend") and not isinstance(message.get("file"), Foreign):
        return "`file` must be an open file"
    strange = _strange({key: value for key, value in message.items() if key != "file"})
    if strange:
        return strange
    return _FORMS.get(kind, _no_words)(message)


def _strange(value: Any) -> str:
    """What in a message is of no type that ASGI allows."""
    if isinstance(value, dict):
        odd = next((f"the key {key!r} is no str" for key in value if type(key) is not str), "")
        return odd or next(filter(None, map(_strange, value.values())), "")
    if isinstance(value, list | tuple):
        return next(filter(None, map(_strange, value)), "")
    if value is None or type(value) in (bytes, str, int, float, bool):
        return ""
    return f"{value!r} is of no type that a message may hold"


def _no_words(message: Message) -> str:
    return ""


def _start(message: Message) -> str:
    if type(message.get("status")) is not int or not 200 <= message["status"] <= 999:
        return "`status` must be an int from 200 to 999"
    return _headers(message)


def _headers(message: Message) -> str:
    for pair in message.get("headers") or ():
        if len(pair) != 2 or any(type(part) is not bytes for part in pair):
            return f"a header must be a pair of bytes, but one is {pair!r}"
        name, value = pair
        if name != name.lower() or not name or name.startswith(b":"):
            return f"the name of a header must be in lower case, and no pseudo header: {name!r}"
        if set(value) & set(b"\r\n\0"):
            return f"the header {name!r} has a line break in its value"
        if name == b"transfer-encoding":
            return "transfer-encoding is the server's business"
    return ""


def _body(message: Message) -> str:
    if type(message.get("body", b"")) is not bytes:
        return f"`body` must be bytes, but it is a {type(message['body']).__name__}"
    return "" if type(message.get("more_body", False)) is bool else "`more_body` must be a bool"


def _pathsend(message: Message) -> str:
    return "" if str(message.get("path", "")).startswith("/") else "`path` must be an absolute path"


def _accept(message: Message) -> str:
    if not isinstance(message.get("subprotocol"), str | None):
        return "`subprotocol` must be a str or None"
    if any(name == b"sec-websocket-protocol" for name, _ in message.get("headers") or ()):
        return "a subprotocol is chosen by `subprotocol`, not by a header"
    return _headers(message)


def _data(message: Message) -> str:
    texts = [message.get(key) for key in ("text", "bytes") if message.get(key) is not None]
    wrong = len(texts) != 1 or not isinstance(message.get("text"), str | None)
    return "exactly one of `text` (str) and `bytes` must be there" if wrong else ""


def _close(message: Message) -> str:
    code = message.get("code", 1000)
    if type(code) is not int or code in (1005, 1006, 1015):
        return "`code` must be an int that can go over the wire"
    return "" if isinstance(message.get("reason"), str | None) else "`reason` must be a str"


def _failed(message: Message) -> str:
    return "" if isinstance(message.get("message", ""), str) else "`message` must be a str"


_FORMS = {
    "http.response.start": _start,
    "http.response.body": _body,
    "http.response.pathsend": _pathsend,
    "websocket.http.response.start": _start,
    "websocket.http.response.body": _body,
    "websocket.accept": _accept,
    "websocket.send": _data,
    "websocket.close": _close,
    "lifespan.startup.failed": _failed,
    "lifespan.shutdown.failed": _failed,
}

# --- playing ------------------------------------------------------------------------------------------------


def play(
    submission: Submission, maker: str, script: Script, *, complete: bool = True, **config: Any
) -> Transcript:
    """One conversation, whose messages have to be right."""
    transcript = submission.converse(script, maker=maker, **config)
    words = complaint(script.scope, transcript.sent, complete=complete and transcript.raised is None)
    assert not words, words
    return transcript


def get(path: str, *, method: str = "GET", events: Sequence[Message] | None = None, **keys: Any) -> Script:
    """The script of a request; without `events` its body is empty."""
    scope = asgi.http_scope(method=method, path=path, raw_path=quote(path).encode(), **keys)
    return Script(scope=scope, events=list(asgi.request_events([b""]) if events is None else events))


def post(path: str, events: Sequence[Message], content_type: str = "", **options: Any) -> Script:
    """The script of a request with a body."""
    headers = [(b"host", b"example.org")]
    if content_type:
        headers.append((b"content-type", content_type.encode()))
    return Script(
        scope=asgi.http_scope(method="POST", path=path, headers=headers), events=list(events), **options
    )


def socket(path: str, *events: Message, end: Any = "block", **keys: Any) -> Script:
    """The script of a websocket."""
    return Script(scope=asgi.websocket_scope(path=path, **keys), events=[CONNECT, *events], end=end)


def status(transcript: Transcript) -> int:
    """The status of the response. Raises what the application raised."""
    _ = transcript.returned
    code: int = transcript.sent[0]["status"]
    return code


def body(transcript: Transcript) -> bytes:
    """The body of the response. Raises what the application raised."""
    _ = transcript.returned
    return b"".join(message.get("body", b"") for message in transcript.sent[1:])


def value(transcript: Transcript) -> Any:
    """The JSON of a response with status 200. Raises what the application raised."""
    assert status(transcript) == 200
    return json.loads(body(transcript))


def header(transcript: Transcript, name: bytes) -> bytes | None:
    """The first header of that name in the first message."""
    headers = transcript.sent[0].get("headers") or ()
    return next((item for key, item in headers if key == name), None)


def kinds(transcript: Transcript) -> list[str]:
    """The types of the messages that were sent."""
    return [message["type"] for message in transcript.sent]


def without(scope: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """The scope without these keys."""
    return {key: item for key, item in scope.items() if key not in keys}


# --- CAP-01: one callable, three kinds of connections -------------------------------------------------------


@requirement("CAP-01")
def test_each_kind_of_connection_is_answered_by_its_own_messages(submission: Submission) -> None:
    """An http connection gets a response, a websocket is accepted, a lifespan is started and ended."""
    page = play(submission, "sockets", get("/page"))
    echo = play(submission, "sockets", socket("/echo", GONE), complete=False)
    life = play(submission, "sockets", Script(scope=asgi.lifespan_scope(), events=[STARTUP, SHUTDOWN]))
    assert (status(page), body(page)) == (200, b"a page")
    assert kinds(echo)[:1] == ["websocket.accept"]
    assert kinds(life) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@requirement("CAP-01")
@given(kind=st.sampled_from(["mqtt", "http.5", "HTTP", "", "websockets", "lifespan2"]))
@example(kind="mqtt")
@example(kind="http.5")
@example(kind="HTTP")
@example(kind="")
def test_other_kinds_of_connections_are_refused(submission: Submission, kind: str) -> None:
    """For a kind that it does not know, the application, or a bare router, raises and sends nothing."""
    other = submission.converse(Script(scope=asgi.http_scope() | {"type": kind}), maker="sockets")
    assert other.sent == []
    assert other.raised is not None, "for a type that it does not know, your application has to raise"
    assert status(play(submission, "sockets", get("/page"))) == 200
    life = submission.converse(Script(scope=asgi.lifespan_scope(), events=[STARTUP]), maker="bare_router")
    assert life.sent == []
    assert life.raised is not None, "a router without an application has no lifespan: it raises"
    assert body(play(submission, "bare_router", get("/"))) == b"home"


# --- CAP-02: what a connection tells of its scope -----------------------------------------------------------


def pairs_of(headers: Sequence[Any]) -> list[list[str]]:
    """Headers as a connection tells them."""
    return [[name.lower().decode("latin-1"), item.decode("latin-1")] for name, item in headers]


@st.composite
def told_scopes(draw: st.DrawFn) -> dict[str, Any]:
    """Scopes below /tell, any of the optional keys absent, and unknown ones present."""
    whole = asgi.http_scope(
        path="/tell" + draw(asgi.paths()),
        query_string=draw(asgi.query_strings()),
        client=draw(st.sampled_from([("127.0.0.1", 50000), ["::1", 50000], None])),
        http_version=draw(st.sampled_from(["1.0", "1.1", "2", "3"])),
    )
    return without(draw(asgi.without_some(whole)), "root_path")


@requirement("CAP-02")
@given(scope=told_scopes())
@example(scope={"type": "http", "method": "GET", "path": "/tell/", "query_string": b"", "headers": []})
@example(scope=asgi.http_scope(path="/tell/a%20b+c", raw_path=None, query_string=b"a=%C3%A9&b=x+y%2B&c"))
@example(scope=asgi.http_scope(path="/tell/x", asgi={}, http_version="3", zzz=1, state={}))
@example(scope=asgi.http_scope(path="/tell/x", client=None, server=None, headers=[(b"x", b"\xff\xe9")]))
def test_a_request_tells_what_stands_in_its_scope(submission: Submission, scope: dict[str, Any]) -> None:
    """Path, query, headers and client are told as they stand in the scope, whatever optional keys are absent."""
    told = value(play(submission, "telling", Script(scope=scope, events=asgi.request_events([b""]))))
    assert told["rest"] == scope["path"].removeprefix("/tell/")
    assert told["headers"] == pairs_of(scope["headers"])
    query = scope["query_string"].decode()
    assert told["query"] == [list(pair) for pair in parse_qsl(query, keep_blank_values=True)]
    assert told["client"] == (None if scope.get("client") is None else list(scope["client"]))
    assert told["state"] is False


@requirement("CAP-02")
@given(
    headers=asgi.headers().map(lambda pairs: pairs[:2]),
    shape=st.sampled_from(["once", "tuples", "lists"]),
    tokens=st.lists(st.sampled_from([b"1", b"b, c", b"\xe9"]), max_size=3),
)
@example(headers=[(b"a", b"1")], shape="once", tokens=[b"1", b"2"])
@example(headers=[], shape="lists", tokens=[b"1"])
@example(headers=[], shape="tuples", tokens=[b"\xff", b"1"])
def test_headers_come_in_any_iterable_and_case(
    submission: Submission, headers: list[Any], shape: str, tokens: list[bytes]
) -> None:
    """Headers may be a generator that gives them once, tuples or lists, with names in any case."""
    pairs: list[Any] = [*headers, *((b"X-Token", token) for token in tokens)]
    given_as: Any = {
        "once": Once([list(pair) for pair in pairs]),
        "tuples": tuple(tuple(pair) for pair in pairs),
        "lists": [list(pair) for pair in pairs],
    }[shape]
    told = value(play(submission, "telling", get("/tell/", headers=given_as)))
    assert told["headers"] == pairs_of(pairs)
    found = [item.decode("latin-1") for name, item in pairs if name.lower() == b"x-token"]
    assert told["tokens"] == found
    assert told["token"] == (found[0] if found else None)


@requirement("CAP-02")
@given(cookies=st.lists(st.dictionaries(st.sampled_from("abc"), st.text("xyz,=1", max_size=3)), max_size=3))
@example(cookies=[{"a": "1,2"}, {"b": "3"}])
@example(cookies=[{"a": "1"}, {"a": "2", "b": "x=y"}])
def test_cookies_may_stand_in_several_headers(submission: Submission, cookies: list[dict[str, str]]) -> None:
    """The cookies of all Cookie headers are told; of several of one name, the first."""
    headers = [
        (b"cookie", "; ".join(f"{name}={item}" for name, item in each.items()).encode()) for each in cookies
    ]
    expected: dict[str, str] = {}
    for each in cookies:
        expected = each | expected
    assert value(play(submission, "telling", get("/tell/", headers=headers)))["cookies"] == expected


SERVERS: Sequence[Any] = (("10.0.0.1", 8000), ["10.0.0.1", 80], ["/run/app.sock", None], ("::1", 8443), None)


def url_of(scheme: str, host: str | None, server: Any) -> str:
    """What stands before the path in the URL of a request."""
    if host is None and server is not None and server[1] is not None:
        name = f"[{server[0]}]" if ":" in server[0] else server[0]
        host = f"{name}:{server[1]}"
    default = {"http": ":80", "https": ":443"}[scheme]
    return "" if host is None else f"{scheme}://{host.removesuffix(default)}"


@requirement("CAP-02")
@given(
    scheme=st.sampled_from(["http", "https", ""]),
    host=st.sampled_from([None, "example.org", "example.org:80", "example.org:8000", "[::1]:443"]),
    server=st.sampled_from(SERVERS),
    root=st.sampled_from(["", "/api"]),
    rest=st.sampled_from(["", "a b", "é%2F", "a/b?"]),
    query=st.sampled_from([b"", b"a=%20", b"x=/?"]),
)
@example(scheme="", host=None, server=SERVERS[0], root="", rest="", query=b"")
@example(scheme="https", host="[::1]:443", server=None, root="/api", rest="a b", query=b"a=1")
@example(scheme="http", host=None, server=SERVERS[2], root="", rest="x", query=b"")
@example(scheme="http", host=None, server=None, root="/api", rest="x", query=b"")
@example(scheme="http", host="example.org", server=None, root="", rest="\u00e9%2F", query=b"")
def test_the_url_is_put_together(
    submission: Submission, scheme: str, host: str | None, server: Any, root: str, rest: str, query: bytes
) -> None:
    """The URL has the Host header's host, else the server's, else none; the root path is in its path once."""
    headers = [] if host is None else [(b"host", host.encode())]
    path = f"{root}/tell/{rest}"
    script = get(path, scheme=scheme, headers=headers, server=server, root_path=root, query_string=query)
    if not scheme:
        script = Script(scope=without(script.scope, "scheme"), events=script.events)
    told = value(play(submission, "telling", script))
    before, question, after = told["url"].partition("?")
    assert unquote(before) == url_of(scheme or "http", host, server) + path
    assert "%20" in before or " " not in path
    assert question + after == ("?" + query.decode() if query else "")
    assert told["rest"] == rest


@requirement("CAP-02")
@given(
    scope=asgi.without_some(asgi.websocket_scope(subprotocols=["b", "a"])),
    query=st.sampled_from([None, b"", b"a=1"]),
)
@example(scope={"type": "websocket", "headers": []}, query=None)
@example(scope=asgi.websocket_scope(subprotocols=["b", "a"]), query=None)
def test_a_websocket_tells_what_stands_in_its_scope(
    submission: Submission, scope: dict[str, Any], query: bytes | None
) -> None:
    """A websocket's scope has no method, and its query string may be absent or None."""
    whole = without(scope, "root_path") | {"path": "/tell/x", "query_string": query}
    transcript = play(submission, "telling", Script(scope=whole, events=[CONNECT]), complete=False)
    assert kinds(transcript) == ["websocket.accept", "websocket.send", "websocket.close"]
    told = json.loads(transcript.sent[1]["text"])
    assert told["headers"] == pairs_of(whole["headers"])
    assert told["query"] == ([["a", "1"]] if query else [])
    assert told["subprotocols"] == whole.get("subprotocols", [])


# --- CAP-03: the body of a request --------------------------------------------------------------------------


@requirement("CAP-03")
@given(
    events=asgi.chunks_and_gaps().flatmap(asgi.bare_request_events),
    path=st.sampled_from(["/body", "/again", "/echo"]),
    keeps=st.booleans(),
)
@example(events=[{"type": "http.request"}], path="/body", keeps=False)
@example(events=asgi.request_events([b"a", b"", b"b"]), path="/body", keeps=False)
@example(events=asgi.request_events([b"", b"b"]), path="/echo", keeps=False)
@example(events=asgi.request_events([b"a", b"b"]), path="/again", keeps=True)
@example(events=[*asgi.request_events([b"a"], complete=False), {"type": "http.request", "zzz": 1}],
         path="/echo", keeps=True)  # fmt: skip
def test_a_body_is_the_same_in_any_split(
    submission: Submission, events: list[Message], path: str, keeps: bool
) -> None:
    """A body is read whole, streamed, read again, and read by middleware before, in whatever chunks it comes."""
    whole = b"".join(event.get("body", b"") for event in events)
    expected = whole + b"|" + whole if path == "/again" else whole
    assert body(play(submission, "bodies", post(path, events), keeps=keeps)) == expected


def multipart(fields: Sequence[tuple[str, str | None, bytes]]) -> bytes:
    """A multipart form of texts and (where there is a file name) files."""
    parts = []
    for name, filename, data in fields:
        more = "" if filename is None else f'; filename="{filename}"\r\nContent-Type: text/x'
        head = f'--XX\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
        parts.append(head.encode() + data + b"\r\n")
    return b"".join(parts) + b"--XX--\r\n"


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """The data, cut at these places."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(places)] or [b""]


FIELDS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "é"]),
        st.none() | st.sampled_from(["", "x.txt", "ü.bin"]),
        st.sampled_from([b"", b"1", b"x\r\ny", b"x--XX", b"\r\n--X", b"\r\n-", b"z" * 300]),
    ),
    max_size=2,
)
CUTS = st.lists(st.integers(0, 2000), max_size=3)


@requirement("CAP-03")
@given(fields=FIELDS, cuts=CUTS)
@example(fields=[("a", None, b"1"), ("a", "x.txt", b"\r\n--X"), ("b", "", b"")], cuts=[])
@example(fields=[("a", None, b"1"), ("b", None, b"2")], cuts=[1, 3, 66, 68])
@example(fields=[("a", "ü.bin", b"\x00\xff\r\n--X"), ("\u00e9", None, b"")], cuts=[90, 91])
@example(fields=[("a", "x.txt", b"x\r\ny")], cuts=range(200))
def test_a_form_with_files_is_the_same_in_any_split(
    submission: Submission, fields: list[tuple[str, str | None, bytes]], cuts: Sequence[int]
) -> None:
    """A multipart form has its fields and files, in order, wherever its body is cut."""
    events = asgi.request_events(pieces(multipart(fields), cuts))
    told = value(play(submission, "bodies", post("/form", events, "multipart/form-data; boundary=XX")))
    expected = [
        [name, data.decode("latin-1") if filename is None else [filename, "text/x", data.decode("latin-1")]]
        for name, filename, data in fields
    ]
    assert told["fields"] == expected


WORDS = st.sampled_from(["", "a", "b", "é&=", "1 +2", "%41"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 10**15) | st.text(st.characters(codec="utf-8"), max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("é"), inner),
    max_leaves=3,
)


@requirement("CAP-03")
@given(value_sent=VALUES, pairs=st.lists(st.tuples(WORDS, WORDS), max_size=2), cuts=CUTS)
@example(value_sent={"a": ["é"]}, pairs=[("a", "1 +2"), ("b", ""), ("a", "é&=")], cuts=[1, 6, 9])
@example(value_sent={"a": ["é"]}, pairs=[("a", "1 +2"), ("b", ""), ("a", "é&=")], cuts=range(60))
def test_json_and_fields_are_the_same_in_any_split(
    submission: Submission, value_sent: Any, pairs: list[tuple[str, str]], cuts: Sequence[int]
) -> None:
    """JSON and urlencoded fields are read whole, also where a character is cut in two."""
    data = json.dumps(value_sent, ensure_ascii=False).encode()
    events = asgi.request_events(pieces(data, cuts))
    assert value(play(submission, "bodies", post("/json", events))) == {"value": value_sent}
    events = asgi.request_events(pieces(urlencode(pairs).encode(), cuts))
    told = value(play(submission, "bodies", post("/form", events, "application/x-www-form-urlencoded")))
    assert told["fields"] == [list(pair) for pair in pairs]


@requirement("CAP-03")
@given(count=st.integers(1, 4), keeps=st.just(False))
@example(count=3, keeps=False)
def test_a_body_is_streamed(submission: Submission, count: int, keeps: bool) -> None:
    """A chunk is echoed before the next one comes, and a handler that does not read the body need not wait for it."""
    events = asgi.request_events([b"x"] * count)
    after = {number: number + 1 for number in range(1, count)}  # the start, and the chunks that came before
    echoed = play(submission, "bodies", post("/echo", events, after=after))
    assert body(echoed) == b"x" * count
    unread = play(submission, "bodies", post("/unread", asgi.request_events([b"x"], complete=False)))
    assert body(unread) == b"unread"


@requirement("CAP-03")
@given(
    parts=asgi.chunks(max_size=3),
    path=st.sampled_from(["/body", "/json", "/form", "/echo"]),
    keeps=st.booleans(),
)
@example(parts=[], path="/body", keeps=False)
@example(parts=[b"1"], path="/json", keeps=False)
@example(parts=[b"a=1"], path="/form", keeps=True)
@example(parts=[b"a"], path="/echo", keeps=False)
def test_a_body_that_breaks_off_is_no_body(
    submission: Submission, parts: list[bytes], path: str, keeps: bool
) -> None:
    """A disconnect before the end of the body raises ClientDisconnect; nothing is answered as if it were whole."""
    events = [*asgi.request_events(parts, complete=False), DISCONNECT]
    script = post(path, events, "application/x-www-form-urlencoded", end="disconnect")
    transcript = play(submission, "bodies", script, complete=False, keeps=keeps)
    assert [message for message in transcript.sent[1:] if not message.get("more_body")] == []
    if path != "/echo" or keeps:
        assert kinds(transcript) == []
    with raised("ClientDisconnect"):
        _ = transcript.returned


@requirement("CAP-03")
@given(
    event=st.sampled_from([{"type": "http.bogus"}, {"type": "http.request", "body": "text"}]),
    path=st.sampled_from(["/body", "/json"]),
)
@example(event={"type": "http.bogus"}, path="/body")
@example(event={"type": "http.request", "body": "text"}, path="/body")
def test_an_event_that_is_none_is_an_error(submission: Submission, event: Message, path: str) -> None:
    """An event of an unknown type, or with a str as body, raises where the body is read; unknown keys do not."""
    broken = play(submission, "bodies", post(path, [event, {"type": "http.request"}]))
    assert broken.raised is not None, "the server has broken the protocol: raise"
    right = play(submission, "bodies", post(path, [{"type": "http.request", "body": b"1", "zzz": None}]))
    assert status(right) == 200


# --- CAP-04: the messages of a response ---------------------------------------------------------------------

ANSWERS: Mapping[str, tuple[int, bytes | None, bytes]] = {
    "/text": (200, b"text/plain; charset=utf-8", "grüß dich".encode()),
    "/html": (201, b"text/html; charset=utf-8", "<p>ü</p>".encode()),
    "/json": (200, b"application/json", '{"a":[1,"é",null]}'.encode()),
    "/list": (200, b"application/json", b"[1,2]"),
    "/bytes": (200, b"application/octet-stream", b"\x00\xff"),
    "/nothing": (200, None, b""),
    "/thread": (200, b"text/plain; charset=utf-8", b"from a thread"),
    "/redirect": (303, None, b""),
    "/stream/0": (200, b"text/plain; charset=utf-8", b""),
    "/stream/3": (200, b"text/plain; charset=utf-8", b"0,1,2,"),
    "/lines/2": (200, None, "línea 0\nlínea 1\n".encode()),
    "/file": (200, b"text/plain", FILE),
    "/error/404": (404, b"text/plain; charset=utf-8", b"told"),
    "/headers": (200, b"text/plain; charset=utf-8", b"h"),
}
VERSIONS = st.sampled_from([{}, {"version": "3.0"}, {"version": "3.0", "spec_version": "2.5"}])


@requirement("CAP-04")
@given(path=st.sampled_from(sorted(ANSWERS)), about=VERSIONS)
@example(path="/text", about={})
@example(path="/stream/0", about={"version": "3.0", "spec_version": "2.5"})
@example(path="/stream/3", about={})
@example(path="/file", about={})
@example(path="/redirect", about={})
@example(path="/nothing", about={})
@example(path="/lines/2", about={"version": "3.0", "spec_version": "2.5"})
@example(path="/error/404", about={})
def test_each_kind_of_response_has_its_messages(
    submission: Submission, path: str, about: dict[str, Any]
) -> None:
    """Each kind of response is one start and a body that ends, to GET, and the same headers alone to HEAD."""
    got = play(submission, "answers", get(path, asgi=about))
    code, kind, content = ANSWERS[path]
    assert (status(got), body(got)) == (code, content)
    assert header(got, b"content-type") == kind
    length = None if path.startswith(("/stream", "/lines")) else b"%d" % len(content)
    assert header(got, b"content-length") == length
    head = play(submission, "answers", get(path, method="HEAD", asgi=about))
    assert body(head) == b""
    assert head.sent[0] == got.sent[0]


@requirement("CAP-04")
@given(code=st.sampled_from([200, 204, 205, 299, 304, 404, 599]), kind=st.sampled_from(["status", "error"]))
@example(code=204, kind="status")
@example(code=304, kind="status")
@example(code=204, kind="error")
@example(code=404, kind="error")
def test_some_statuses_have_no_body(submission: Submission, code: int, kind: str) -> None:
    """204 and 304 have no body, and 204 no Content-Length; every other status has both."""
    got = play(submission, "answers", get(f"/{kind}/{code}"))
    assert status(got) == code
    expected = {"status": b"what for?", "error": b"told"}[kind]
    assert body(got) == (b"" if code in (204, 304) else expected)
    if code == 204:
        assert header(got, b"content-length") is None
    elif code != 304:
        assert header(got, b"content-length") == b"%d" % len(expected)
    assert header(got, b"x-reason") == (b"yes" if kind == "error" else None)


@requirement("CAP-04")
def test_headers_keep_their_order_and_are_never_merged(submission: Submission) -> None:
    """Headers come in the order in which they were set, in lower case; two cookies are two headers."""
    headers = [tuple(pair) for pair in play(submission, "answers", get("/headers")).sent[0]["headers"]]
    assert [item for name, item in headers if name == b"x-first"] == [b"1", b"2"]
    cookies = [item.decode().split(";")[0] for name, item in headers if name == b"set-cookie"]
    assert [cookie.partition("=")[0] for cookie in cookies] == ["one", "two"]
    names = [name for name, _ in headers if name in (b"vary", b"x-first", b"set-cookie")]
    assert names == [b"x-first", b"vary", b"x-first", b"set-cookie", b"set-cookie"]


@requirement("CAP-04")
@given(extensions=st.sampled_from([None, {}, *({name: {}} for name in EXTENSIONS)]), ranged=st.booleans())
@example(extensions=None, ranged=False)
@example(extensions={EXTENSIONS[0]: {}}, ranged=False)
@example(extensions={EXTENSIONS[0]: {}}, ranged=True)
@example(extensions={EXTENSIONS[1]: {}}, ranged=True)
def test_a_file_is_handed_over_only_if_the_server_offers_it(
    submission: Submission, extensions: dict[str, Any] | None, ranged: bool
) -> None:
    """A file's length and type are told, also where the server sends it; what was opened for that is closed."""
    headers = [(b"range", b"bytes=10-19")] if ranged else []
    script = get("/file", extensions=extensions, headers=headers)
    sent = play(submission, "handing_over", script)
    assert sent.returned == [[True, "int"]] * len(sent.returned)
    assert sent.sent[0]["status"] == (206 if ranged else 200)
    assert header(sent, b"content-length") == (b"10" if ranged else b"%d" % len(FILE))
    assert header(sent, b"content-type") == b"text/plain"
    if kinds(sent)[1:] == ["http.response.body"] * (len(sent.sent) - 1):
        assert body(sent) == (FILE[10:20] if ranged else FILE)
    elif ranged:
        [copied] = sent.sent[1:]
        assert (copied["type"], copied.get("offset"), copied.get("count")) == (EXTENSIONS[1], 10, 10)


# --- CAP-05: when something fails ---------------------------------------------------------------------------


@requirement("CAP-05")
@given(path=st.sampled_from(["/raises", "/os-error", "/wrong-value"]), debug=st.booleans())
@example(path="/raises", debug=False)
@example(path="/os-error", debug=False)
@example(path="/wrong-value", debug=False)
@example(path="/raises", debug=True)
def test_an_exception_before_the_start_is_a_500_and_goes_on(
    submission: Submission, path: str, debug: bool
) -> None:
    """What nobody handles is answered by a complete 500 without details, unless debug is set, and then re-raised."""
    failed = play(submission, "failing", get(path), debug=debug)
    words = complaint(asgi.http_scope(), failed.sent)
    assert not words, words
    assert failed.sent[0]["status"] == 500
    assert (b"secret" in b"".join(m.get("body", b"") for m in failed.sent[1:])) == (
        debug and path != "/wrong-value"
    )
    assert failed.raised is not None, "the server has to learn of it: raise the exception again"
    expected = {"/raises": "ValueError", "/os-error": "FileNotFoundError", "/wrong-value": "TypeError"}[path]
    assert failed.raised.name == expected


@requirement("CAP-05")
@given(count=st.integers(0, 3), about=VERSIONS)
@example(count=1, about={})
@example(count=0, about={"version": "3.0", "spec_version": "2.5"})
def test_an_exception_after_the_start_leaves_the_body_open(
    submission: Submission, count: int, about: dict[str, Any]
) -> None:
    """A stream that fails half-way raises: no second start, and no last chunk that would make it look whole."""
    failed = play(submission, "failing", get(f"/breaks/{count}", asgi=about), complete=False)
    assert kinds(failed) == ["http.response.start"] + ["http.response.body"] * count
    assert all(message["more_body"] for message in failed.sent[1:])
    with raised("ValueError"):
        _ = failed.returned


HANDLED: Sequence[tuple[str, int, bytes]] = (
    ("/lookup", 404, b'{"missing":"book","path":"/lookup"}'),
    ("/http/410", 410, b"gone for good"),
    ("/http/451", 451, b"told"),
    ("/nowhere", 404, b"Not Found"),
)


@requirement("CAP-05")
@given(case=st.sampled_from(HANDLED), catches_all=st.booleans())
@example(case=HANDLED[0], catches_all=False)
@example(case=HANDLED[1], catches_all=False)
@example(case=HANDLED[2], catches_all=False)
@example(case=HANDLED[3], catches_all=False)
@example(case=("/raises", 503, b"caught ValueError"), catches_all=True)
@example(case=HANDLED[0], catches_all=True)
@example(case=HANDLED[2], catches_all=True)
def test_handlers_answer_exceptions(
    submission: Submission, case: tuple[str, int, bytes], catches_all: bool
) -> None:
    """Handlers answer by status and by class; an HTTPException without one is its detail; then nothing is raised."""
    path, code, content = case
    answered = play(submission, "failing", get(path), catches_all=catches_all)
    assert (status(answered), body(answered)) == (code, content)
    assert header(answered, b"x-reason") == (b"yes" if path == "/http/451" else None)


@requirement("CAP-05")
@given(
    path=st.sampled_from(["/stream", "/text"]),
    number=st.integers(0, 3),
    error=st.sampled_from(["ConnectionResetError", "BrokenPipeError", "OSError"]),
    layered=st.booleans(),
)
@example(path="/text", number=0, error="ConnectionResetError", layered=False)
@example(path="/text", number=1, error="OSError", layered=True)
@example(path="/stream", number=2, error="BrokenPipeError", layered=False)
@example(path="/stream", number=0, error="OSError", layered=True)
def test_a_send_that_fails_is_a_client_that_is_gone(
    submission: Submission, path: str, number: int, error: str, layered: bool
) -> None:
    """After an OSError of send: no more messages, no handler, no background task; the stream is closed."""
    number = min(number, 1) if path == "/text" else number
    script = get(path)
    whole = play(submission, "going", script, layered=layered)
    assert whole.returned[-1] == "background"
    failing = Script(scope=script.scope, events=script.events, fail_sends={number: error}, end="disconnect")
    cut = play(submission, "going", failing, complete=False, layered=layered)
    assert cut.sent == whole.sent[: number + 1]
    seen = cut.returned
    assert "handler" not in seen
    assert "background" not in seen
    assert ("closed" in seen) == ("chunk" in seen), "close the stream's iterator, wherever it has come to"
    assert seen[-1] == "raised OSError"


@requirement("CAP-05")
def test_a_client_that_leaves_is_nobodys_mistake(submission: Submission) -> None:
    """A ClientDisconnect is answered by no handler, and a call that is cancelled ends at once."""
    script = post("/body", [DISCONNECT], end="disconnect")
    left = play(submission, "going", script, complete=False)
    assert (left.sent, left.returned) == ([], ["raised ClientDisconnect"])
    waits = Script(
        scope=script.scope, events=asgi.request_events([b"x"], complete=False), cancel_when_blocked=True
    )
    cancelled = submission.converse(waits, maker="bodies")
    assert (cancelled.sent, cancelled.sequence[-1]) == ([], "cancelled")
    whole = post("/body", asgi.request_events([b"x"]))
    assert kinds(play(submission, "going", whole)) == ["http.response.start", "http.response.body"]


# --- CAP-06: several connections at a time ------------------------------------------------------------------


@requirement("CAP-06")
@given(forms=st.lists(st.tuples(FIELDS, CUTS), min_size=2, max_size=3))
@example(forms=[([("a", None, b"1")], []), ([("b", None, b"2")], [])])
@example(forms=[([], []), ([("a", None, b"1")], [3, 50])])
@example(
    forms=[([("a", "x.txt", b"1" * 9)], range(0, 150, 7)), ([("b", "y.txt", b"2" * 8)], range(0, 150, 7))]
)
def test_calls_do_not_mix(submission: Submission, forms: list[Any]) -> None:
    """Requests that are read and answered at the same time have each its own path, state, headers and body."""
    scripts, expected = [], []
    for number, (fields, cuts) in enumerate(forms):
        headers = [
            (b"content-type", b"multipart/form-data; boundary=XX"), (b"x-mark", b"mark %d" % number),
        ]  # fmt: skip
        scope = asgi.http_scope(
            method="POST", path=f"/call {number}", query_string=b"q=%d" % number, headers=headers
        )
        scripts.append(
            Script(scope=without(scope, "state"), events=asgi.request_events(pieces(multipart(fields), cuts)))
        )
        told = [
            [name, data.decode("latin-1") if file is None else [file, "text/x", data.decode("latin-1")]]
            for name, file, data in fields
        ]
        expected.append(
            {"name": f"call {number}", "mark": f"mark {number}", "query": str(number), "fields": told}
        )
    transcript = submission.converse(scripts, maker="together")
    for number, script in enumerate(scripts):
        call = transcript.of(number)
        words = complaint(script.scope, call.sent)
        assert not words, words
        assert value(call) == expected[number]
        assert header(call, b"x-mark") == b"mark %d" % number


# --- CAP-07: middleware -------------------------------------------------------------------------------------


def plain(message: Message) -> Message:
    """A message with its defaults filled in, as whoever takes it understands it."""
    if message["type"] == "http.response.start":
        return (
            {"trailers": False}
            | message
            | {"headers": [tuple(pair) for pair in message.get("headers") or ()]}
        )
    if message["type"] == "http.response.body":
        return {"body": b"", "more_body": False} | message
    return message


START: Message = {"type": "http.response.start", "status": 200}
STARTS = st.sampled_from(
    [
        START,
        START | {"status": 299, "headers": ((b"a", b"1"), (b"a", b"2"))},
        START | {"headers": [[b"content-length", b"2"]], "zzz": 1},
    ]
)
BODIES = st.lists(
    st.sampled_from(
        [
            {"type": "http.response.body", "more_body": True},
            {"type": "http.response.body", "body": b"x", "more_body": True, "zzz": "y"},
            {"type": "http.response.push", "path": "/p", "headers": []},
            {"type": "http.response.early_hint", "links": [b"<a>"]},
        ]
    ),
    max_size=3,
)
ENDS: Sequence[list[Message]] = (
    [{"type": "http.response.body"}],
    [{"type": "http.response.body", "body": b"ab"}],
    [{"type": "http.response.pathsend", "path": "/some/file"}],
    [{"type": "http.response.body"}, {"type": "http.response.trailers", "headers": [[b"t", b"1"]]}],
)


@requirement("CAP-07")
@given(start=STARTS, middle=BODIES, end=st.sampled_from(ENDS))
@example(start=START, middle=[], end=ENDS[0])
@example(start=START, middle=[{"type": "http.response.body", "more_body": True}], end=ENDS[1])
@example(start=START | {"trailers": True}, middle=[], end=ENDS[3])
@example(start=START | {"headers": ((b"a", b"1"), (b"a", b"2"))}, middle=[], end=ENDS[2])
@example(start=START, middle=[{"type": "http.response.early_hint", "links": [b"<a>"]}], end=ENDS[0])
def test_middleware_passes_messages_on(
    submission: Submission, start: Message, middle: list[Message], end: list[Message]
) -> None:
    """What an application sends passes middleware of each sort, unchanged but for what one of them adds."""
    messages = [start, *middle, *end]
    offered: dict[str, Any] = {m["type"]: {} for m in messages}
    scope = asgi.http_scope(path="/inner/x", scheme="https", extensions=offered, zzz=1)
    scripts = [Script(scope=scope, events=asgi.request_events([b""]))] * 2
    transcript = submission.converse(scripts, maker="passing", messages=messages)
    expected = [plain(message) for message in messages]
    expected[0]["headers"].append((b"x-layer", b"seen"))
    for number in range(2):
        call = transcript.of(number)
        assert call.returned is True, "the scope of an application further in has changed behind its back"
        assert [plain(message) for message in call.sent] == expected
        after = transcript.scopes[number]
        changed = {key for key in after.keys() | scope.keys() if after.get(key, ...) != scope.get(key, ...)}
        assert changed <= {"state"}, (
            f"your application has changed {sorted(changed)} in the server's scope: change a copy"
        )


@requirement("CAP-07")
@given(
    layers=st.lists(
        st.sampled_from([("function", "a"), ("function", "b"), ("asgi", "c"), ("asgi", "d")]),
        max_size=4,
        unique=True,
    ),
    fails=st.booleans(),
)
@example(layers=[("function", "a"), ("asgi", "c"), ("function", "b"), ("asgi", "d")], fails=False)
@example(layers=[("asgi", "c"), ("function", "b")], fails=True)
@example(layers=[], fails=True)
def test_middleware_is_an_onion(submission: Submission, layers: list[tuple[str, str]], fails: bool) -> None:
    """What was added first is outermost, of either sort; an exception passes all of them."""
    transcript = play(submission, "onion", get("/"), layers=[list(layer) for layer in layers], fails=fails)
    trace = transcript.returned
    assert trace[: len(layers) + 1] == [*(f"> {name}" for _, name in layers), "core"]
    for sort in ("function", "asgi"):  # a function is done when the response begins, the others at its end
        outwards = [f"< {name}" for kind, name in reversed(layers) if kind == sort]
        assert [each for each in trace if each in outwards] == outwards
    assert (trace[-1] == "raised ValueError: out of the core") == fails
    assert transcript.sent[0]["status"] == (500 if fails else 200)


# --- CAP-08: websockets -------------------------------------------------------------------------------------

ACTIONS: Sequence[list[Any]] = (
    ["accept"], ["accept", "chat"], ["receive"], ["receive_text"], ["receive_bytes"], ["send_text", "a"],
    ["send_text", ""], ["send_bytes", b"b"], ["send_json", {"a": 1}], ["close"], ["close", 3000, "bye"], ["deny"],
)  # fmt: skip
RECEIVED: Sequence[Message] = (
    {"type": "websocket.receive", "text": "t"},
    {"type": "websocket.receive", "bytes": b"b", "text": None},
    {"type": "websocket.receive", "text": "", "bytes": None},
    {"type": "websocket.receive"},
    {"type": "websocket.receive", "text": "t", "bytes": b"b"},
    {"type": "websocket.disconnect"},
    {"type": "websocket.disconnect", "code": 1000, "reason": None},
)


@requirement("CAP-08")
@given(
    steps=st.lists(st.sampled_from(ACTIONS), max_size=6),
    events=st.lists(st.sampled_from(RECEIVED), max_size=3),
    fail_from=st.none() | st.integers(0, 3),
)
@example(
    steps=[["send_text", "a"], ["accept"], ["accept"], ["close"], ["send_text", "a"]],
    events=[],
    fail_from=None,
)
@example(steps=[["accept"], ["close"], ["close"]], events=[], fail_from=None)
@example(steps=[["close"], ["accept"], ["deny"]], events=[], fail_from=None)
@example(steps=[["accept"], ["receive"], ["receive"], ["close"]], events=[RECEIVED[5]], fail_from=None)
@example(steps=[["accept"], ["send_text", "a"], ["send_text", "b"], ["close"]], events=[], fail_from=1)
@example(steps=[["receive"]], events=[RECEIVED[0]], fail_from=None)
@example(steps=[["deny"], ["accept"], ["send_text", "a"]], events=[], fail_from=None)
def test_a_server_never_sees_a_websocket_out_of_order(
    submission: Submission, steps: list[list[Any]], events: list[Message], fail_from: int | None
) -> None:
    """Whatever a handler tries, and whatever comes: at most one accept, data in between, at most one close."""
    scope = asgi.websocket_scope(subprotocols=["chat"])
    script = Script(scope=scope, events=[CONNECT, *events], end="disconnect", fail_from=fail_from)
    transcript = submission.converse(script, maker="following", steps=steps)
    gone = "← websocket.disconnect" in transcript.sequence or fail_from is not None
    words = complaint(scope, transcript.sent, complete=not gone)
    assert not words, words
    assert transcript.sent, "a websocket that has connected gets an answer"
    if fail_from is not None:
        assert len(transcript.sent) <= fail_from + 1, "after a send that failed, nothing more can be sent"
    if "← websocket.disconnect" in transcript.sequence:
        assert transcript.sequence[-1] == "returned"
        behind = transcript.sequence[transcript.sequence.index("← websocket.disconnect") + 1 :]
        assert [step for step in behind if step != "returned"] == []


MESSAGES = st.lists(st.text("aé", max_size=3) | st.binary(max_size=3), max_size=4)


@requirement("CAP-08")
@given(messages=MESSAGES, explicit=st.booleans())
@example(messages=["a", b"b", "", b""], explicit=True)
@example(messages=["a", b"b"], explicit=False)
def test_messages_of_either_kind_are_echoed(
    submission: Submission, messages: list[str | bytes], explicit: bool
) -> None:
    """Text and bytes come and go as what they are, empty ones too, whether the other key is absent or None."""
    sent = [("text" if isinstance(each, str) else "bytes", each) for each in messages]
    other = {"text": "bytes", "bytes": "text"}
    events = [
        {"type": "websocket.receive", kind: each, **({other[kind]: None} if explicit else {})}
        for kind, each in sent
    ]
    echoed = play(submission, "sockets", socket("/echo", *events, GONE), complete=False)
    assert kinds(echoed) == ["websocket.accept", *["websocket.send"] * len(sent)]
    data = [
        ("bytes", message["bytes"]) if message.get("text") is None else ("text", message["text"])
        for message in echoed.sent[1:]
    ]
    assert data == sent
    assert echoed.returned is None


COMINGS: Sequence[tuple[Message, list[Any]]] = (
    ({"type": "websocket.disconnect"}, [[1005, ""]]),
    ({"type": "websocket.disconnect", "code": 4000, "reason": None}, [[4000, ""]]),
    ({"type": "websocket.disconnect", "code": 1001, "reason": "away"}, [[1001, "away"]]),
    ({"type": "websocket.receive"}, []),
    ({"type": "websocket.receive", "text": "t", "bytes": b"b"}, []),
    ({"type": "websocket.bogus"}, []),
)


@requirement("CAP-08")
@given(coming=st.sampled_from(COMINGS))
@example(coming=COMINGS[0])
@example(coming=COMINGS[1])
@example(coming=COMINGS[3])
@example(coming=COMINGS[4])
@example(coming=COMINGS[5])
def test_what_comes_is_a_message_a_disconnect_or_an_error(
    submission: Submission, coming: tuple[Message, list[Any]]
) -> None:
    """A disconnect has code and reason, or 1005 and none; an event without text and bytes, or with both, raises."""
    event, met = coming
    transcript = play(
        submission, "following", socket("/", event), complete=False, steps=[["accept"], ["receive"]]
    )
    assert transcript.returned == met
    if not met:
        echoed = play(submission, "sockets", socket("/echo", event), complete=False)
        assert kinds(echoed) == ["websocket.accept", "websocket.close"]
        assert echoed.raised is not None, "the server has broken the protocol: raise"


SOCKET_ENDS: Mapping[str, tuple[list[str], int | None]] = {
    "/refuse": (["websocket.close"], None),
    "/silent": (["websocket.close"], None),
    "/nowhere": (["websocket.close"], None),
    "/page": (["websocket.close"], None),
    "/returns": (["websocket.accept", "websocket.close"], 1000),
    "/raises/1": (["websocket.accept", "websocket.close"], 1011),
    "/raises/0": (["websocket.close"], None),
    "/shout": (["websocket.accept", "websocket.close"], 4001),
}


@requirement("CAP-08")
@given(path=st.sampled_from(sorted(SOCKET_ENDS)), spec=st.sampled_from([None, "2.0", "2.3", "2.10"]))
@example(path="/shout", spec="2.0")
@example(path="/shout", spec="2.10")
@example(path="/raises/1", spec=None)
@example(path="/raises/0", spec="2.3")
@example(path="/returns", spec=None)
@example(path="/nowhere", spec=None)
@example(path="/page", spec=None)
@example(path="/silent", spec=None)
def test_a_websocket_ends_as_its_handler_does(submission: Submission, path: str, spec: str | None) -> None:
    """Refused before accept, closed by 1000 where the handler returns and by 1011 where it raises, which goes on."""
    about = {"version": "3.0"} if spec is None else {"version": "3.0", "spec_version": spec}
    script = socket(path, asgi=about, subprotocols=["plain", "shout"])
    transcript = play(submission, "sockets", script)
    expected, code = SOCKET_ENDS[path]
    assert kinds(transcript) == expected
    if code is not None:
        assert transcript.sent[-1].get("code", 1000) == code
    assert (transcript.raised is not None) == path.startswith("/raises")
    if path == "/shout":
        accept, close = transcript.sent
        assert accept["subprotocol"] == "plain"
        new = spec in ("2.3", "2.10")
        assert [tuple(pair) for pair in accept.get("headers") or ()] == (
            [(b"x-voice", b"1"), (b"x-b", b"2")] if new else []
        )
        assert (close.get("reason") or "") == ("enough" if new else "")


# --- CAP-09: denial -----------------------------------------------------------------------------------------


@requirement("CAP-09")
@given(
    kind=st.sampled_from(["text", "stream", "file"]),
    extensions=st.sampled_from(["none", "empty", "denial", "all"]),
)
@example(kind="text", extensions="denial")
@example(kind="stream", extensions="denial")
@example(kind="file", extensions="all")
@example(kind="text", extensions="none")
@example(kind="text", extensions="empty")
def test_a_websocket_is_denied_by_a_response(submission: Submission, kind: str, extensions: str) -> None:
    """Where the server offers it, a denial is a response of its own messages; elsewhere it is a plain close."""
    denial: dict[str, Any] = {"websocket.http.response": {}}
    offered: Any = {
        "none": None, "empty": {}, "denial": denial, "all": denial | {name: {} for name in EXTENSIONS},
    }[extensions]  # fmt: skip
    transcript = play(submission, "sockets", socket(f"/deny/{kind}", extensions=offered, end="disconnect"))
    assert transcript.returned is None
    if not offered:
        assert kinds(transcript) == ["websocket.close"]
        return
    code, content = {"text": (401, b"no"), "stream": (403, b"0,1,"), "file": (200, FILE)}[kind]
    assert transcript.sent[0]["status"] == code
    assert body(transcript) == content
    assert header(transcript, b"x-why") == (b"because" if kind == "text" else None)


# --- CAP-10: lifespan and state -----------------------------------------------------------------------------

UP = ["enter", "startup 1", "startup 2"]
DOWN = ["shutdown 2", "shutdown 1", "exit"]


def live(
    submission: Submission, events: Sequence[Message], scope: Mapping[str, Any], **config: Any
) -> Transcript:
    """A lifespan."""
    return play(submission, "living", Script(scope=scope, events=list(events)), complete=False, **config)


@requirement("CAP-10")
@given(scope=asgi.lifespan_scopes())
@example(scope={"type": "lifespan"})
@example(scope=asgi.lifespan_scope(zzz=1))
def test_startup_and_shutdown_run_in_one_call(submission: Submission, scope: dict[str, Any]) -> None:
    """Each message is answered when its steps have run, in one call, behind middleware; HTTP works without it."""
    lived = live(submission, [STARTUP, SHUTDOWN], scope, yields=False)
    assert lived.sequence == [
        "← lifespan.startup", "→ lifespan.startup.complete",
        "← lifespan.shutdown", "→ lifespan.shutdown.complete", "returned",
    ]  # fmt: skip
    assert lived.returned == UP + DOWN
    told = value(play(submission, "living", Script(scope=without(asgi.http_scope(path="/hit"), "state"))))
    assert told == {"hits": None, "seen before": False}


@requirement("CAP-10")
@given(fails=st.sampled_from([*UP, *DOWN]))
@example(fails="enter")
@example(fails="startup 2")
@example(fails="shutdown 2")
@example(fails="exit")
def test_a_step_that_fails_is_told_to_the_server(submission: Submission, fails: str) -> None:
    """A failed startup ends the call; a failed shutdown lets the other steps run; each has its message."""
    lived = live(submission, [STARTUP, SHUTDOWN], asgi.lifespan_scope(), fails=fails)
    phase = "startup" if fails in UP else "shutdown"
    assert kinds(lived)[-1] == f"lifespan.{phase}.failed"
    assert kinds(lived)[:-1] == ([] if phase == "startup" else ["lifespan.startup.complete"])
    assert f"{fails} failed" in lived.sent[-1]["message"]
    ran = lived.returned[:-1] if lived.returned[-1].startswith("raised") else lived.returned
    if phase == "shutdown":
        assert ran == UP + DOWN
    else:
        assert [name for name in ran if name != "exit"] == UP[: UP.index(fails) + 1]
    assert value(play(submission, "living", get("/hit")))["hits"] is None


@requirement("CAP-10")
async def test_state_goes_from_the_lifespan_to_each_request(submission: Submission) -> None:
    """What the lifespan yields is put into the server's own dict, and each request has it, and its own beside it."""
    lived = live(submission, [STARTUP, SHUTDOWN], asgi.lifespan_scope())
    assert lived.identities[0]["state"]
    assert lived.scopes[0]["state"] == {"hits": []}
    stateless = live(submission, [STARTUP, SHUTDOWN], without(asgi.lifespan_scope(), "state"))
    assert kinds(stateless) == ["lifespan.startup.failed"], (
        "this server cannot keep state: startup has failed"
    )
    async with submission.session(maker="living") as session, session.lifespan(), session.client() as client:
        told = [(await client.get("/hit")).json() for _ in range(2)]
    assert told == [{"hits": ["hit"] * number, "seen before": False} for number in (1, 2)]


@requirement("CAP-10")
@given(events=st.lists(st.sampled_from([STARTUP, SHUTDOWN]), min_size=1, max_size=3))
@example(events=[SHUTDOWN])
@example(events=[STARTUP, STARTUP])
def test_no_step_runs_twice(submission: Submission, events: list[Message]) -> None:
    """A shutdown before startup, or a second startup, raises, and no step runs twice."""
    script = Script(scope=asgi.lifespan_scope(), events=events, end="raise")
    lived = play(submission, "living", script, complete=False)
    trace = lived.returned
    assert [name for name in UP + DOWN if trace.count(name) > 1] == []
    if events[:2] == [STARTUP, SHUTDOWN]:
        assert trace == UP + DOWN
    else:
        assert trace[-1].startswith("raised"), "these events are out of order: raise"
        assert "startup 1" not in trace or events[0] == STARTUP


# --- CAP-11: routing ----------------------------------------------------------------------------------------

ITEMS: Sequence[tuple[str, str, frozenset[str]]] = (
    ("first", r"/items/first", frozenset({"GET", "HEAD"})),
    ("name", r"/items/(?P<name>[^/]+)", frozenset({"GET", "HEAD", "PUT"})),
    ("number", r"/items/(?P<number>[0-9]{1,18})", frozenset({"DELETE", "PROPFIND"})),
    ("late", r"/items/late", frozenset({"POST"})),
)
TABLE: Sequence[tuple[str, str, frozenset[str]]] = (
    *ITEMS,
    *((name, r"/v(?P<version>[0-9]{1,18})" + path, methods) for name, path, methods in ITEMS),
    ("slash", r"/slash/", frozenset({"GET", "HEAD", "POST"})),
    ("colour", r"/colour/(?P<rgb>[0-9a-f]{2})", frozenset({"GET", "HEAD"})),
    ("file", r"/files/(?P<number>[0-9]{1,18})/(?P<path>(?s:.*))", frozenset({"GET", "HEAD"})),
    ("inner", r"/deep/items/(?P<number>[0-9]{1,18})", frozenset({"GET", "HEAD"})),
)
PATHS = st.sampled_from(
    [
        "/items/first", "/items/late", "/items/7", "/items/007", "/items/x y", "/items/%20", "/items/", "/items/a/b",
        "/items/\u0663", "/items/7\n", "/items/" + "9" * 19, "/v3/items/7", "/v3/items/late", "/vx/items/7", "/slash",
        "/slash/", "/colour/ff", "/colour/fg", "/files/1/", "/files/1/a/b", "/files/1", "/files/1/a\nb", "/files/x/a",
        "/deep/items/5", "/deep/items/5/", "/deep/", "/", "", "/Items/7", "/items//7", "/items/first/",
    ]
)  # fmt: skip


def expected_of(method: str, path: str) -> Any:
    """The name of the route and its parameters; else a status, with Allow or the path to go to."""
    fitting = [
        (name, found.groupdict(), methods)
        for name, regex, methods in TABLE
        if (found := re.fullmatch(regex, path)) is not None
    ]
    for name, params, methods in fitting:
        if method in methods:
            number = {"number", "version"} & params.keys()
            told = params | {key: str(int(params[key])) for key in number}
            return name, told | ({"rgb": str(int(params["rgb"], 16))} if "rgb" in params else {})
    if fitting:
        return 405, ", ".join(sorted(frozenset[str]().union(*(methods for *_, methods in fitting))))
    other = path[:-1] if path.endswith("/") else path + "/"
    if any(re.fullmatch(regex, other) for _, regex, _ in TABLE):
        return 307, other
    return 404, None


METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "PROPFIND", "get"])


@requirement("CAP-11")
@given(method=METHODS, path=PATHS, root=st.sampled_from(["", "/api", "/a.b"]))
@example(method="GET", path="/items/first", root="")
@example(method="PUT", path="/items/first", root="/api")
@example(method="POST", path="/items/late", root="")
@example(method="DELETE", path="/v3/items/7", root="/a.b")
@example(method="PROPFIND", path="/items/x", root="")
@example(method="POST", path="/items/7", root="/api")
@example(method="get", path="/colour/ff", root="")
@example(method="GET", path="/slash", root="/api")
@example(method="GET", path="/colour/ff", root="")
@example(method="GET", path="/items/7\n", root="")
@example(method="DELETE", path="/items/7\n", root="")
@example(method="GET", path="/deep/items/5", root="/api")
@example(method="GET", path="/files/1/a\nb", root="")
@example(method="DELETE", path="/items/\u0663", root="")
def test_each_path_goes_to_its_route(submission: Submission, method: str, path: str, root: str) -> None:
    """The first route that fits path and method answers; else 405 with what is allowed, a redirect, or 404."""
    transcript = play(
        submission, "routed", get(root + path, method=method, root_path=root, query_string=b"q=%20")
    )
    expected, more = expected_of(method, path)
    if isinstance(expected, str):
        assert status(transcript) == 200
        if method != "HEAD":
            assert json.loads(body(transcript)) == {"route": expected, "params": more}
        return
    assert status(transcript) == expected
    if expected == 405:
        assert header(transcript, b"allow") == more.encode()
    if expected == 307:
        place = urlsplit((header(transcript, b"location") or b"").decode())
        assert (place.scheme, place.netloc, unquote(place.path), place.query) == (
            "",
            "",
            root + more,
            "q=%20",
        )


MOUNTED: Mapping[str, str] = {"/mounted": "/mounted", "/deep/deeper": "/deep/deeper"}


@requirement("CAP-11")
@given(
    root=st.sampled_from(["", "/api"]),
    place=st.sampled_from(sorted(MOUNTED)),
    rest=st.sampled_from(["", "/", "/a/b", "/a%20b c", "x", "/mounted"]),
)
@example(root="/api", place="/mounted", rest="/a/b")
@example(root="/api", place="/deep/deeper", rest="/a%20b c")
@example(root="", place="/mounted", rest="x")
@example(root="", place="/deep/deeper", rest="")
def test_a_mounted_application_sees_where_it_stands(
    submission: Submission, root: str, place: str, rest: str
) -> None:
    """Its root path has grown by the path at which it is mounted, its path is whole; it is found at segments only."""
    path = root + place + rest
    transcript = play(submission, "routed", get(path, root_path=root))
    if rest == "x":
        assert status(transcript) == 404
        path = root + place
        transcript = play(submission, "routed", get(path, root_path=root))
    assert value(transcript) == {"path": path, "root": root + place}
    beside = play(submission, "routed", get("/v3/items/late", method="POST", root_path="/v"))
    assert status(beside) == 200, "/v is no root path of /v3: a root path ends where a segment does"


NUMBERS = st.integers(0, 99)
LINKS = st.one_of(
    st.tuples(st.just("file"), st.fixed_dictionaries({"number": NUMBERS, "path": st.text("a/ %é?+;", max_size=5)})),
    st.tuples(st.just("name"), st.fixed_dictionaries({"name": st.text("ab %é?#+;:&", min_size=1, max_size=4)})),
    st.tuples(st.just("v:number"), st.fixed_dictionaries({"version": NUMBERS, "number": NUMBERS})),
    st.tuples(st.just("colour"), st.fixed_dictionaries({"rgb": st.integers(0, 255)})),
    st.tuples(st.just("deep:item"), st.fixed_dictionaries({"number": NUMBERS})),
)  # fmt: skip
ROUTE_OF = {"v:number": "number", "deep:item": "inner"}


@requirement("CAP-11")
@given(link=LINKS, root=st.sampled_from(["", "/api"]))
@example(link=("file", {"number": 7, "path": "a b/ü%20?"}), root="/api")
@example(link=("name", {"name": "a b%20\u00e9?#"}), root="")
@example(link=("v:number", {"version": 2, "number": 7}), root="")
@example(link=("colour", {"rgb": 10}), root="/api")
@example(link=("deep:item", {"number": 3}), root="/api")
def test_links_lead_back(submission: Submission, link: tuple[str, dict[str, Any]], root: str) -> None:
    """`request.url_for` gives a URL that leads to the route of that name, with these very parameters."""
    name, values = link
    query = urlencode(values).encode()
    made = play(submission, "routed", get(f"{root}/link/{name}", root_path=root, query_string=query))
    url = urlsplit(value(made)["link"])
    assert (url.scheme, url.netloc, url.query, url.fragment) == ("http", "example.org", "", "")
    method = "DELETE" if name == "v:number" else "GET"
    followed = value(play(submission, "routed", get(unquote(url.path), method=method, root_path=root)))
    if name == "name" and values["name"] in ("first", "late"):
        return
    assert followed == {
        "route": ROUTE_OF.get(name, name),
        "params": {key: str(item) for key, item in values.items()},
    }
