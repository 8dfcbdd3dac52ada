"""Judges the router by a slow one of our own, which tries every route and every way to read its template.

Rule 1: a table is plain data (see the probe); what it answers is decided by `answer`, from the same data.
Rule 2: a property of one requirement uses nothing of another: no mounts where priorities are judged, no redirects
where methods are. So a mistake costs the requirement that it is about.
Rule 3: parameters have names of their own in a whole table, so that templates may be put together in any way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, TypeVar
from urllib.parse import unquote

from hypothesis import assume, example, given
from hypothesis import strategies as st

from grader.suite import Script, Submission, Transcript, raised, requirement
from grader.suite import strategies as asgi

Entry = dict[str, Any]
Tables = dict[str, list[Entry]]
Test = TypeVar("Test", bound=Callable[..., None])
REQUEST = {"type": "http.request", "body": b"", "more_body": False}
APPLICATION = {"fastasgi.app": "the application"}
PCHARS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@%/")

# --- the oracle: a router that tries everything --------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """An entry in its place: with its whole template, and its whole name."""

    entry: Entry
    template: str
    name: str

    @property
    def kind(self) -> str:
        return next(iter(self.entry))

    @property
    def methods(self) -> set[str]:
        """The methods that it answers; none where it is no HTTP route."""
        if self.kind != "add_route":
            return set()
        methods = {method.upper() for method in self.entry.get("methods", ["GET"])}
        return methods | {"HEAD"} if "GET" in methods else methods

    def fits(self, path: str) -> dict[str, Any] | None:
        """The parameters, for a mount with what is below it as `path`; None where it does not fit."""
        if self.kind != "mount":
            return read(self.template, path)
        below = read(self.template + "/{path:path}", path)
        if below is not None:
            return below
        found = read(self.template, path)
        return None if found is None else {**found, "path": ""}


def lines(
    tables: Tables, prefixes: dict[str, str], table: str = "root", before: str = "", name: str = ""
) -> Iterator[Line]:
    """All routes of a table in order, with those of included tables at their places."""
    before += prefixes.get(table, "")
    for entry in sorted(tables[table], key=lambda entry: -entry.get("priority", 0)):
        path = before + next(iter(entry.values()))
        if "include_router" in entry:
            inner = f"{name}{entry['name']}:" if entry.get("name") else name
            yield from lines(tables, prefixes, entry["router"], path, inner)
        else:
            path = path.rstrip("/") if "mount" in entry else path
            yield Line(entry, path, name + entry.get("name", ""))


def read(template: str, path: str) -> dict[str, Any] | None:
    """The values of the parameters, by trying every length for each, the longest first."""
    if not template:
        return None if path else {}
    if template[0] != "{":
        return read(template[1:], path[1:]) if path[:1] == template[0] else None
    declared, _, rest = template[1:].partition("}")
    name, _, kind = declared.partition(":")
    for length in range(len(path), -1, -1):
        if takes(kind, path[:length]):
            others = read(rest, path[length:])
            if others is not None:
                return {name: int(path[:length]) if kind == "int" else path[:length], **others}
    return None


def takes(kind: str, text: str) -> bool:
    """Whether a parameter of a kind takes this text."""
    if kind == "int":
        return 1 <= len(text) <= 18 and text.strip("0123456789") == ""
    return kind == "path" or (text != "" and "/" not in text)


def answer(table: Sequence[Line], method: str, path: str) -> dict[str, Any]:
    """What a table answers to an HTTP request for a path below root_path, but for redirects."""
    allowed: set[str] = set()
    for line in table:
        params = line.fits(path)
        if params is None or line.kind == "add_websocket_route":
            continue
        if line.kind == "mount":
            rest = params.pop("path")
            root = path[: len(path) - len(rest)].removesuffix("/")
            return {"mount": line.name, "params": params, "root_path": root, "path": path}
        if method in line.methods:
            return {"route": line.name, "params": params}
        allowed |= line.methods
    return {"status": 405, "allow": ", ".join(sorted(allowed))} if allowed else {"status": 404}


# --- asking --------------------------------------------------------------------------------------------------


def request(path: str, method: str = "GET", **keys: Any) -> Script:
    """An HTTP request without a body."""
    return Script(scope=asgi.http_scope(path=path, method=method) | keys, events=[REQUEST])


def without_root_path(script: Script) -> Script:
    """The same connection from a server that gives no root_path."""
    return replace(script, scope={key: script.scope[key] for key in script.scope if key != "root_path"})


def socket(path: str, **keys: Any) -> Script:
    """The handshake of a WebSocket, whose client goes as soon as something was sent."""
    events = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}]
    return Script(scope=asgi.websocket_scope(path=path) | keys, events=events, after={1: 1}, end="disconnect")


def play(submission: Submission, script: Script, maker: str = "app", **config: Any) -> Transcript:
    """Play a connection to a router; the call that made it shows what was asked."""
    scope = script.scope
    asked = f"{scope.get('method', scope['type'])} {scope.get('path')}"
    for key in ("root_path", "query_string", "path_params", "fastasgi.app", "fastasgi.trace"):
        if scope.get(key):
            asked += f", {key}={scope[key]!r}"
    return submission.converse(script, maker=maker, asked=asked, **config)


def ask(submission: Submission, script: Script, **config: Any) -> Any:
    """What the router answers to one connection."""
    return told(play(submission, script, **config))


def told(transcript: Transcript) -> dict[str, Any]:
    """An answer, in the words of the oracle. Raises `Raised` with what the router raised."""
    _ = transcript.returned
    sent = [message for message in transcript.sent if kind_of(message) != "probe.closed"]
    kinds = [kind_of(message) for message in sent]
    if kinds[:1] != ["http.response.start"]:
        texts = [message.get("text") for message in sent if kind_of(message) == "websocket.send"]
        return decoded_json(texts[0]) if texts else {"sent": kinds}
    assert kinds.count("http.response.start") == 1, "a response begins once"
    status = status_of(transcript)
    if status == 200:
        return decoded_json(body_of(transcript))
    headers = headers_of(transcript)
    extra = {405: {"allow": headers.get("allow")}, 307: {"location": headers.get("location")}}
    return {"status": status, **extra.get(status, {})}


def kind_of(message: Any) -> str:
    """The type of a message."""
    return str(message.get("type")) if isinstance(message, dict) else f"no message: {message!r}"


def status_of(transcript: Transcript) -> Any:
    """The status of the response, or None where there is none."""
    return next((message.get("status") for message in transcript.sent if isinstance(message, dict)), None)


def body_of(transcript: Transcript) -> str:
    """The body of the response."""
    parts = [message.get("body", b"") for message in transcript.sent if isinstance(message, dict)]
    return b"".join(part for part in parts if isinstance(part, bytes)).decode(errors="replace")


def headers_of(transcript: Transcript) -> dict[str, str]:
    """The headers of the response, by lower-case name."""
    pairs = transcript.sent[0].get("headers", []) if transcript.sent else []
    return {readable(name).lower(): readable(value) for name, value in pairs}


def readable(text: Any) -> str:
    return text.decode("latin-1") if isinstance(text, bytes) else f"not bytes: {text!r}"


def decoded_json(text: Any) -> dict[str, Any]:
    """What a function of the probe has told; any other text as it is."""
    try:
        value = json.loads(text)
    except (ValueError, TypeError):
        value = None
    return value if isinstance(value, dict) else {"status": 200, "body": text}


def only(received: Any, expected: dict[str, Any]) -> dict[str, Any]:
    """Of what an application told, that which is expected to be there."""
    return (
        {key: received.get(key, "(absent)") for key in expected} if isinstance(received, dict) else received
    )


# --- what is drawn -------------------------------------------------------------------------------------------

KINDS = ("add_route", "add_websocket_route", "mount", "include_router")
SEGMENTS = ["/a", "/b", "/1", "/{}", "/{:int}", "/a-{}", "/{:path}"]
TEMPLATES = [*SEGMENTS, *map("".join, product(SEGMENTS, repeat=2))]
PREFIXES = ["", "/a", "/{}", "/b/{:int}"]
TEXTS = ["a", "b", "1", "07", "a-b", "x y", "é"]
METHODS = [["GET"], ["POST"], ["PUT"], ["POST", "PUT"]]
PRIORITIES = [0, 0, 0, 1, -1]


def entries(kind: str, paths: Sequence[str], **options: Sequence[Any]) -> st.SearchStrategy[Entry]:
    """Entries of one kind, with every combination of some options."""
    combinations = product(*options.values(), paths)
    chosen = [{kind: path} | dict(zip(options, values, strict=True)) for *values, path in combinations]
    return st.sampled_from(chosen)


ROUTES = entries("add_route", TEMPLATES, priority=PRIORITIES, methods=METHODS)
GET_ROUTES = entries("add_route", TEMPLATES, priority=PRIORITIES)
WITHIN_SEGMENTS = [template for template in TEMPLATES if ":path" not in template]
LINES_WITH_SLASHES = entries(
    "add_route", [template + slash for slash in ("", "/") for template in WITHIN_SEGMENTS], methods=METHODS
)
MOUNTS = entries("mount", ["/a", "/b", "/{}", "/a/b", "/a/", "", "/1/{:int}"])


def numbered(tables: Tables) -> Tables:
    """The tables with a name for each route, and for each parameter; what adds an entry stands first in it."""
    count = 0

    def named_entry(entry: Entry) -> Entry:
        nonlocal count
        kind = next(each for each in KINDS if each in entry)
        path = entry[kind]
        for parameter in ("{}", "{:int}", "{:path}"):
            while parameter in path:
                count += 1
                path = path.replace(parameter, f"{{p{count}{parameter[1:]}", 1)
        count += 1
        name = {} if kind == "include_router" else {"name": f"r{count}"}
        return (
            {kind: path} | {key: value for key, value in entry.items() if key != kind and value != 0} | name
        )

    return {table: [named_entry(entry) for entry in entries] for table, entries in tables.items()}


@st.composite
def nested_tables(draw: st.DrawFn) -> tuple[Tables, dict[str, str], str]:
    """Tables that include each other, some of them twice, their prefixes, and a path."""
    two = entries("include_router", PREFIXES, router=["two"])
    any_of_them = entries("include_router", PREFIXES, router=["one", "two"])
    tables = numbered(
        {
            "root": draw(st.lists(GET_ROUTES | any_of_them, min_size=1, max_size=3)),
            "one": draw(st.lists(GET_ROUTES | two, min_size=1, max_size=2)),
            "two": draw(st.lists(GET_ROUTES, min_size=1, max_size=2)),
        }
    )
    prefixes = {
        "root": draw(st.sampled_from(["", "/r"])),
        "two": draw(st.sampled_from(["", "/t", "/{q:int}"])),
    }
    return tables, prefixes, draw(paths_for(list(lines(tables, prefixes))))


@st.composite
def tables_with_path(draw: st.DrawFn, kind: st.SearchStrategy[Entry], most: int = 4) -> tuple[Tables, str]:
    """A table without included ones, and a path which one of its lines fits."""
    tables = numbered({"root": draw(st.lists(kind, min_size=1, max_size=most))})
    return tables, draw(paths_for(list(lines(tables, {}))))


@st.composite
def paths_for(draw: st.DrawFn, table: Sequence[Line]) -> str:
    """A path that one of the lines fits."""
    template = draw(st.sampled_from([line.template for line in table] or ["/a"]))
    path = "".join(
        piece
        if place % 2 == 0
        else draw(st.sampled_from(["1", "07"]) if ":int" in piece else st.sampled_from(TEXTS))
        for place, piece in enumerate(template.replace("}", "{").split("{"))
    )
    return path or "/"


def for_each(**values: Sequence[Any]) -> Callable[[Test], Test]:
    """Runs a test for each of some values, each an example of its own."""
    ((name, items),) = values.items()

    def pin(test: Test) -> Test:
        for item in reversed(items):
            test = example(**{name: item})(test)
        return given(**{name: st.sampled_from(items)})(test)

    return pin


# --- ROUTE-01: which route -----------------------------------------------------------------------------------

A_TABLE: Tables = {
    "root": [
        {"add_route": "/{p1}", "methods": ["POST"], "name": "first"},
        {"add_route": "/{p2}", "name": "second"},
        {"add_route": "/a", "name": "third"},
        {"add_route": "/{p3:int}", "name": "fourth", "priority": 1},
        {"add_route": "/{p4}", "name": "fifth", "priority": 1, "methods": ["PUT"]},
        {"add_route": "/{p5}", "name": "sixth", "priority": -1, "methods": ["PUT", "DELETE"]},
    ]
}


@requirement("ROUTE-01")
@given(asked=tables_with_path(ROUTES), method=st.sampled_from(["GET", "POST", "PUT"]))
def test_the_first_that_fits_path_and_method_answers(
    submission: Submission, asked: tuple[Tables, str], method: str
) -> None:
    """Of all routes that fit path and method, the one with the highest priority, and of these the first, answers."""
    tables, path = asked
    expected = answer(list(lines(tables, {})), method, path)
    assume("route" in expected)
    assert ask(submission, request(path, method), tables=tables) == expected


@requirement("ROUTE-01")
@for_each(
    asked=[
        ("GET", "/a", "second"),
        ("POST", "/a", "first"),
        ("GET", "/7", "fourth"),
        ("PUT", "/a", "fifth"),
        ("DELETE", "/7", "sixth"),
    ]
)
def test_a_route_for_another_method_does_not_stand_in_the_way(
    submission: Submission, asked: tuple[str, str, str]
) -> None:
    """A route that fits the path only is passed over; priority counts, then the order of registration."""
    method, path, name = asked
    assert ask(submission, request(path, method), tables=A_TABLE).get("route") == name


# --- ROUTE-02: methods ---------------------------------------------------------------------------------------


@requirement("ROUTE-02")
@given(methods=st.lists(st.sampled_from(["get", "Put", "DELETE", "purge"]), min_size=1, max_size=3))
@example(methods=["get"])
@example(methods=["Put", "purge"])
def test_methods_are_registered_in_any_case_and_compared_as_they_come(
    submission: Submission, methods: list[str]
) -> None:
    """Methods may be registered in any case; a request in lower case is another method."""
    tables = {"root": [{"add_route": "/a", "methods": methods, "name": "route"}]}
    right = methods[0].upper()
    wrong = right.lower()
    assert ask(submission, request("/a", right), tables=tables) == {"route": "route", "params": {}}
    came = ask(submission, request("/a", wrong), tables=tables)
    assert came.get("status") == 405, f"the method {wrong!r} is not {right!r}"


@requirement("ROUTE-02")
def test_who_answers_get_answers_head(submission: Submission) -> None:
    """HEAD is answered as GET is, without the body; a route of its own counts where it comes first."""
    tables = {
        "root": [
            {"add_route": "/a", "name": "get"},
            {"add_route": "/a", "methods": ["HEAD"], "name": "too late"},
            {"add_route": "/b", "methods": ["POST"], "name": "post"},
        ]
    }
    got = play(submission, request("/a", "GET"), tables=tables)
    head = play(submission, request("/a", "HEAD"), tables=tables)
    assert told(got) == {"route": "get", "params": {}}
    assert head.returned is None
    assert (status_of(head), headers_of(head)) == (200, headers_of(got))
    assert body_of(head) == "", "HEAD is answered without a body"
    assert ask(submission, request("/b", "HEAD"), tables=tables).get("status") == 405


DECORATORS = {
    "get": ["GET", "HEAD"],
    "head": ["HEAD"],
    "post": ["POST"],
    "put": ["PUT"],
    "patch": ["PATCH"],
    "delete": ["DELETE"],
    "options": ["OPTIONS"],
    "route": ["GET", "HEAD"],
}


@requirement("ROUTE-02")
@for_each(method=list(DECORATORS))
def test_each_method_has_its_decorator(submission: Submission, method: str) -> None:
    """Each decorator adds a route with its method, name and priority, and gives the function back."""
    names = DECORATORS[method]
    plain = submission.call("decorated", method=method, path="/x", options={})
    assert plain == [["add_route", "/x", True, names, None, 0], True]
    options = {"name": "n", "priority": 3}
    came = submission.call("decorated", method=method, path="/x", options=options)
    assert came == [["add_route", "/x", True, names, "n", 3], True]
    both = submission.call("decorated", method="route", path="/x", options={**options, "methods": ["A", "B"]})
    assert both == [["add_route", "/x", True, ["A", "B"], "n", 3], True]
    sockets = submission.call("decorated", method="websocket", path="/x", options=options)
    assert sockets == [["add_websocket_route", "/x", True, "n", 3], True]
    sockets = submission.call("decorated", method="websocket", path="/x", options={})
    assert sockets == [["add_websocket_route", "/x", True, None, 0], True]


# --- ROUTE-03: 404 and 405 -----------------------------------------------------------------------------------


@requirement("ROUTE-03")
@given(asked=tables_with_path(ROUTES), other=st.sampled_from(["", "/b", "x"]), inside=st.booleans())
def test_what_fits_not_at_all_or_by_its_path_only(
    submission: Submission, asked: tuple[Tables, str], other: str, inside: bool
) -> None:
    """No route for the method: 405 with the methods of all that fit the path. No route for the path: 404."""
    tables, path = asked
    path += other
    expected = answer(list(lines(tables, {})), "TRACE", path)
    script = request(path, "TRACE", **(APPLICATION if inside else {}))
    transcript = play(submission, script, tables=tables, redirect_slashes=False)
    assert (refusal_of(transcript) if inside else told(transcript)) == expected


def refusal_of(transcript: Transcript) -> dict[str, Any]:
    """The HTTPException that was raised, in the words of the oracle."""
    with raised("HTTPException") as caught:
        _ = transcript.returned
    assert transcript.sent == [], "inside an application the router raises, and sends nothing"
    status = caught.error.attributes.get("status_code")
    headers = caught.error.attributes.get("headers") or {}
    allow = next((value for name, value in headers.items() if name.lower() == "allow"), None)
    return {"status": status, "allow": allow} if status == 405 else {"status": status}


@requirement("ROUTE-03")
def test_allow_is_the_sorted_union_over_all_that_fit(submission: Submission) -> None:
    """Allow has the methods of each route that fits the path: once each, sorted, HEAD with GET."""
    tables = {
        "root": [
            {"add_route": "/{p1}", "methods": ["PUT", "delete"], "name": "first"},
            {"add_route": "/other", "methods": ["PATCH"], "name": "other"},
            {"add_route": "/{p2}", "methods": ["PUT"], "name": "second"},
            {"include_router": "", "router": "inner"},
        ],
        "inner": [{"add_route": "/{p3:int}", "name": "third"}],
    }
    for path, allow in (("/1", "DELETE, GET, HEAD, PUT"), ("/x", "DELETE, PUT")):
        came = ask(submission, request(path, "POST"), tables=tables)
        assert came == {"status": 405, "allow": allow}


@requirement("ROUTE-03")
def test_a_bare_router_answers_and_one_inside_an_application_raises(submission: Submission) -> None:
    """Called by itself, the router sends 404 and 405 as text/plain; with `fastasgi.app` in the scope it raises them."""
    tables = {"root": [{"add_route": "/a", "name": "a"}]}
    for path, method, phrase, refusal in (
        ("/b", "GET", "Not Found", {"status": 404}),
        ("/a", "POST", "Method Not Allowed", {"status": 405, "allow": "GET, HEAD"}),
    ):
        bare = play(submission, request(path, method), tables=tables)
        assert told(bare) == refusal
        assert headers_of(bare).get("content-type", "").partition(";")[0] == "text/plain"
        assert body_of(bare) == phrase
        inside = play(submission, request(path, method, **APPLICATION), tables=tables)
        assert refusal_of(inside) == refusal
    assert ask(submission, request("/a", **APPLICATION), tables=tables).get("route") == "a"
    assert ask(submission, request("/a"), tables={"root": []}) == {"status": 404}


# --- ROUTE-04: calling the function ---------------------------------------------------------------------------


@requirement("ROUTE-04")
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1, max_size=6))
@example(text="a%20b+c")
@example(text="é\n")
def test_the_function_learns_the_parameters(submission: Submission, text: str) -> None:
    """`request.path_params` has the values, beside those of a router around; nothing is decoded again."""
    tables = {"root": [{"add_route": "/{word}/{number:int}", "name": "route"}]}
    outer = {"outer": 1, "word": "of the router around"}
    script = request(f"/{text}/7", path_params=outer)
    transcript = play(submission, script, tables=tables)
    assert told(transcript) == {"route": "route", "params": {"outer": 1, "word": text, "number": 7}}
    assert transcript.scopes[0] == script.scope, "the scope that came must stay as it was: make a copy"


@requirement("ROUTE-04")
def test_what_the_function_gives_is_the_response(submission: Submission) -> None:
    """A plain function gets the parameters that it names; what a function returns is sent, what it raises is raised."""
    came = ask(submission, request("/plain/7/x"), maker="functions")
    assert came == {"status": 200, "body": '[7,"x","default"]'}
    assert ask(submission, request("/text"), maker="functions") == {"status": 200, "body": "some text"}
    came = ask(submission, request("/inner/x"), maker="functions")
    assert came == {"status": 200, "body": "x"}, "an object with an async __call__ answers, too"
    for path, name in (("/error", "LookupError"), ("/refusal", "HTTPException")):
        transcript = play(submission, request(path), maker="functions")
        with raised(name):
            _ = transcript.returned
        assert transcript.sent == [], "what a function raises is for others to answer"


@requirement("ROUTE-04")
def test_a_response_learns_that_the_client_is_gone(submission: Submission) -> None:
    """A response is handed `request.receive`: before ASGI 2.4 a stream learns by it that the client is gone."""
    scope = asgi.http_scope(path="/news", asgi={"version": "3.0", "spec_version": "2.3"})
    script = Script(scope=scope, events=[REQUEST], end="disconnect")
    transcript = play(submission, script, maker="functions")
    assert transcript.returned is None
    assert status_of(transcript) == 200


FORM = b'--b\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\ncontent\r\n--b--\r\n'


@requirement("ROUTE-04")
def test_a_form_is_closed_whatever_happens(submission: Submission) -> None:
    """`request.close()` is awaited when the function has returned, and when it has raised."""
    headers = [(b"content-type", b"multipart/form-data; boundary=b")]
    for fails in (0, 1):
        scope = asgi.http_scope(method="POST", path=f"/upload/{fails}", headers=headers)
        script = Script(scope=scope, events=[{**REQUEST, "body": FORM}])
        transcript = play(submission, script, maker="uploads")
        if fails:
            with raised("LookupError"):
                _ = transcript.returned
        else:
            assert told(transcript) == {"status": 200, "body": "done"}
        closed = transcript.sent[-1].get("closed")
        assert closed == [True], "the uploaded file is still open: await request.close()"


# --- ROUTE-05: WebSockets and others --------------------------------------------------------------------------

SOCKETS: Tables = {
    "root": [
        {"add_websocket_route": "/{room}", "name": "any"},
        {"add_websocket_route": "/b", "name": "b", "priority": 1},
        {"add_route": "/page/only", "name": "page"},
        {"add_websocket_route": "/chat/{n:int}", "name": "chat"},
    ]
}


@requirement("ROUTE-05")
def test_websockets_have_routes_of_their_own(submission: Submission) -> None:
    """A WebSocket goes to the first WebSocket route that fits; to an HTTP request, those are not there."""
    for script, name, params in (
        (socket("/a"), "any", {"room": "a"}),
        (socket("/b"), "b", {}),
        (socket("/chat/7", path_params={"outer": 1}), "chat", {"outer": 1, "n": 7}),
    ):
        assert ask(submission, script, tables=SOCKETS) == {"route": name, "params": params}
    assert ask(submission, request("/page/only"), tables=SOCKETS) == {"route": "page", "params": {}}
    for path, method in (("/chat/7", "GET"), ("/chat/7", "POST"), ("/chat/7/", "GET")):
        assert ask(submission, request(path, method), tables=SOCKETS) == {"status": 404}
    came = ask(submission, socket("/call/7/x"), maker="functions")
    assert came == {"number": 7, "word": "x", "other": "default"}, "its function gets what it names, too"


@requirement("ROUTE-05")
def test_a_websocket_to_nowhere_is_closed(submission: Submission) -> None:
    """A WebSocket that no route takes is closed before it is accepted, inside an application too."""
    assert ask(submission, socket("/a"), tables=SOCKETS) == {"route": "any", "params": {"room": "a"}}
    for path in ("/page/only", "/page/only/", "/no/where", "/chat/7/"):
        for keys in ({}, APPLICATION):
            came = ask(submission, socket(path, **keys), tables=SOCKETS)
            assert came == {"sent": ["websocket.close"]}


@requirement("ROUTE-05")
def test_other_kinds_of_connections_are_refused(submission: Submission) -> None:
    """A lifespan, or a protocol that nobody knows, raises RuntimeError, and nothing is sent."""
    assert ask(submission, request("/page/only"), tables=SOCKETS) == {"route": "page", "params": {}}
    for scope in (asgi.lifespan_scope(), {"type": "mqtt.5", "path": "/page/only"}):
        script = Script(scope=scope, events=[{"type": "lifespan.startup"}], end="raise")
        transcript = play(submission, script, tables=SOCKETS)
        assert transcript.sent == []
        with raised("RuntimeError"):
            _ = transcript.returned


# --- ROUTE-06: below root_path --------------------------------------------------------------------------------


@requirement("ROUTE-06")
@given(
    root=st.sampled_from([None, "", "/", "/api", "/api/", "/a.b", "/x"]),
    path=st.sampled_from(["/x", "/api/x", "/apix", "/api/api/x", "/aXb/x", "/a.b/x", "/x/x"]),
)
@example(root="/api", path="/api/x")
@example(root="/api", path="/x")
@example(root="/api", path="/apix")
@example(root="/x", path="/x/x")
@example(root=None, path="/x")
def test_a_template_stands_below_the_root_path(submission: Submission, root: str | None, path: str) -> None:
    """Templates are compared with the part of the path that is below root_path, for WebSockets too."""
    before = (root or "").rstrip("/")
    below = path.removeprefix(before)
    found = (below if below[:1] in ("", "/") else path) == "/x"
    options = {"redirect_slashes": False}
    http_tables = {"root": [{"add_route": "/x", "name": "http"}]}
    http = ask(submission, request(path, root_path=root), tables=http_tables, **options)
    socket_tables = {"root": [{"add_websocket_route": "/x", "name": "socket"}]}
    websocket = ask(submission, socket(path, root_path=root), tables=socket_tables, **options)
    assert http == ({"route": "http", "params": {}} if found else {"status": 404})
    assert websocket == ({"route": "socket", "params": {}} if found else {"sent": ["websocket.close"]})


# --- ROUTE-07: redirects --------------------------------------------------------------------------------------


@requirement("ROUTE-07")
@given(
    asked=tables_with_path(LINES_WITH_SLASHES, most=3),
    root=st.sampled_from(["", "/api"]),
    query=st.sampled_from([b"", b"x=1&y=%20+%2B&z"]),
    method=st.sampled_from(["GET", "POST"]),
)
def test_the_other_form_of_a_path_is_redirected_to(
    submission: Submission, asked: tuple[Tables, str], root: str, query: bytes, method: str
) -> None:
    """Where nothing fits a path, but something fits its other form, it is a 307 to that form, with the query."""
    tables, path = asked
    table = list(lines(tables, {}))
    path = toggled(path)
    assume(all(line.fits(path) is None for line in table))
    fits = any(line.fits(toggled(path)) is not None for line in table)
    script = request(root + path, method, root_path=root, query_string=query)
    expected = redirect(root + toggled(path), query) if fits else {"status": 404}
    assert decoded(ask(submission, script, tables=tables)) == expected


def toggled(path: str) -> str:
    """The other form of a path."""
    return path[:-1] if path.endswith("/") else path + "/"


def redirect(path: str, query: bytes = b"") -> dict[str, Any]:
    """A redirect to a path, not percent-encoded, in the words of the oracle."""
    return {"status": 307, "path": path, "query": query.decode() if query else None}


def decoded(came: dict[str, Any]) -> dict[str, Any]:
    """A redirect with its path decoded. Demands that the path was encoded by RFC 3986."""
    if came.get("status") != 307:
        return came
    path, mark, query = str(came["location"]).partition("?")
    bad = sorted(set(path) - PCHARS)
    assert bad == [], "these characters of the location must be percent-encoded"
    return {"status": 307, "path": unquote(path), "query": query if mark else None}


@requirement("ROUTE-07")
@for_each(
    asked=[
        ("/x/a/", "", "/x/a"),
        ("/é?#/a/", "", "/é?#/a"),
        ("/%41/a/", "", "/%41/a"),
        ("/a b/a/", "", "/a b/a"),
        ("/\r\nset-cookie:x/a/", "", "/\r\nset-cookie:x/a"),
        ("/api/x/a/", "/api", "/api/x/a"),
        ("/x/a/", "/api", "/api/x/a"),
        ("/x/a/", "/api/", "/api/x/a"),
        ("/b", "", "/b/"),
        ("/x/a/", None, "/x/a"),
        ("//evil.example/a/", "", "/evil.example/a"),
        ("///evil.example/a/", "", "/evil.example/a"),
        ("/X/x/a/", "/X", "/X/x/a"),
    ]
)
def test_where_a_redirect_leads(submission: Submission, asked: tuple[str, str | None, str]) -> None:
    """The location has root_path once, one slash at its beginning, the path encoded once, and the query as it came."""
    path, root, location = asked
    tables: Tables = {
        "root": [
            {"add_route": "/{rest:path}/a", "name": "route", "methods": ["DELETE"]},
            {"add_route": "/b/", "name": "slash"},
        ]
    }
    came = ask(submission, request(path, root_path=root), tables=tables)
    assert decoded(came) == redirect(location)
    query = b"x=1&y=%20+%2B;z=/:@!$'()*,?"
    came = ask(submission, request(path, root_path=root, query_string=query), tables=tables)
    assert decoded(came) == redirect(location, query)
    if not root:
        came = ask(submission, without_root_path(request(path)), tables=tables)
        assert decoded(came) == redirect(location), "root_path may be absent"
    inside = ask(submission, request(path, root_path=root, **APPLICATION), tables=tables)
    assert decoded(inside) == redirect(location), "a redirect is sent inside an application, too"


@requirement("ROUTE-07")
def test_when_nothing_is_redirected(submission: Submission) -> None:
    """No redirect: where a route fits the path (405), where it is switched off, and where no path would be left."""
    both: Tables = {
        "root": [
            {"add_route": "/a", "methods": ["POST"], "name": "post"},
            {"add_route": "/a/", "name": "slash"},
            {"add_route": "/b", "name": "b"},
        ]
    }
    assert decoded(ask(submission, request("/b/"), tables=both)) == redirect("/b")
    assert ask(submission, request("/a"), tables=both) == {"status": 405, "allow": "POST"}
    assert ask(submission, request("/b/"), tables=both, redirect_slashes=False) == {"status": 404}
    empty: Tables = {"root": [{"add_route": "", "name": "empty"}]}
    assert ask(submission, request("/"), tables=empty) == {"status": 404}
    assert decoded(ask(submission, request("/api/", root_path="/api"), tables=empty)) == redirect("/api")


# --- ROUTE-08: included routers -------------------------------------------------------------------------------

USERS: Tables = {
    "root": [
        {"add_route": "/{p1}/users/{p2}", "methods": ["PUT"], "name": "before"},
        {"include_router": "/v1", "router": "users"},
        {"include_router": "/{version}", "router": "users"},
        {"add_route": "/v1/users/{p3}", "methods": ["GET", "PUT"], "name": "after"},
    ],
    "users": [{"add_route": "/{user}", "name": "user"}, {"add_route": "", "name": "all", "priority": 9}],
}


@requirement("ROUTE-08")
@given(asked=nested_tables(), late=st.booleans())
def test_included_routes_stand_in_their_place(
    submission: Submission, asked: tuple[Tables, dict[str, str], str], late: bool
) -> None:
    """The routes of included routers stand at their places, below all prefixes; `late`: they came after inclusion."""
    tables, prefixes, path = asked
    expected = answer(list(lines(tables, prefixes)), "GET", path)
    assume("route" in expected)
    came = ask(submission, request(path), tables=tables, prefixes=prefixes, late=late)
    assert came == expected


@requirement("ROUTE-08")
def test_a_router_may_be_included_twice(submission: Submission) -> None:
    """One router in two places, each with all prefixes before its routes; its priorities count in it only."""
    kinds: Tables = {
        "root": [{"include_router": "/one", "router": "one"}, {"include_router": "", "router": "one"}],
        "one": [{"add_route": "/{p1}"}, {"add_websocket_route": "/{p2}"}, {"mount": "/{p3}"}],
    }
    own = ["/r/o/{p1}", "/r/o/{p2}", "/r/o/{p3}/{path:path}"]
    came = submission.call("templates", tables=kinds, prefixes={"root": "/r", "one": "/o"})
    assert came == [*(template.replace("/r", "/r/one") for template in own), *own]
    prefixes = {"users": "/users"}
    for path, method, expected in (
        ("/v1/users/7", "GET", {"route": "user", "params": {"user": "7"}}),
        ("/v2/users", "GET", {"route": "all", "params": {"version": "v2"}}),
        ("/v1/users/7", "PUT", {"route": "before", "params": {"p1": "v1", "p2": "7"}}),
        ("/users/7", "GET", {"status": 404}),
    ):
        for late in (False, True):
            came = ask(submission, request(path, method), tables=USERS, prefixes=prefixes, late=late)
            assert came == expected


@requirement("ROUTE-08")
def test_what_is_added_after_a_connection_counts(submission: Submission) -> None:
    """A route counts at once, also where it is added to an included router of an included one, after a connection."""
    tables: Tables = {
        "root": [{"include_router": "/one", "router": "one"}, {"add_route": "/{p1:path}", "name": "last"}],
        "one": [{"include_router": "/two", "router": "two"}],
        "two": [{"add_route": "/old", "name": "old"}],
    }
    new: Tables = {
        "two": [{"add_route": "/new", "name": "new"}],
        "one": [{"add_route": "/new", "name": "newer"}],
        "root": [{"add_route": "/{p2:path}", "name": "newest", "priority": 1, "methods": ["PUT"]}],
    }
    for method, path, table, first, then in (
        ("GET", "/one/two/old", "two", "old", "old"),
        ("GET", "/one/two/new", "two", "last", "new"),
        ("GET", "/one/new", "one", "last", "newer"),
        ("PUT", "/one/new", "root", None, "newest"),
    ):
        before = ask(submission, request(path, method), tables=tables)
        assert before.get("route") == first
        after = ask(submission, request(path, method), tables=tables, later={table: new[table]})
        assert after.get("route") == then, "the routes of `later` were added after a first connection"
    neighbours: Tables = {
        "root": [{"include_router": "/{p}", "router": "one"}, {"include_router": "/b", "router": "two"}],
        "one": [{"add_route": "/x", "name": "x"}],
        "two": [{"add_route": "/{p}", "name": "y"}],
    }
    came = ask(submission, request("/b/y"), tables=neighbours, late=True)
    assert came == {"route": "y", "params": {"p": "y"}}, (
        "`/{p}` stands below `/b`, not below the other's prefix"
    )


# --- ROUTE-09: mounts -----------------------------------------------------------------------------------------


@requirement("ROUTE-09")
@given(
    asked=tables_with_path(MOUNTS | GET_ROUTES | MOUNTS, most=3),
    below=st.sampled_from(["", "/", "/x", "/a/b/", "//", "x"]),
    root=st.sampled_from(["", "/api"]),
)
def test_a_mount_takes_its_path_and_all_below(
    submission: Submission, asked: tuple[Tables, str], below: str, root: str
) -> None:
    """A mount answers at its path and below, at its place in the table, with a root_path that has grown."""
    tables, path = asked
    path = path.rstrip("/") + below or "/"
    expected = answer(list(lines(tables, {})), "GET", path)
    assume("mount" in expected or "route" in expected)
    if "mount" in expected:
        expected |= {"root_path": root + expected["root_path"], "path": root + path}
    came = ask(submission, request(root + path, root_path=root), tables=tables)
    assert only(came, expected) == expected


MOUNTED: Tables = {
    "root": [
        {"add_route": "/m/own", "methods": ["DELETE"], "name": "own"},
        {"mount": "/m", "name": "m"},
        {"add_route": "/m/late", "name": "late"},
        {"add_route": "/m/urgent", "name": "urgent", "priority": 1},
        {"include_router": "/in/{p1}", "router": "inner"},
    ],
    "inner": [{"mount": "/n/{p2:int}/", "name": "n"}],
}


@requirement("ROUTE-09")
def test_a_mount_takes_whole_segments_and_every_method(submission: Submission) -> None:
    """`/m` takes `/m`, `/m/` and `/m/x`, any method and WebSockets, but not `/mx`, nor what stands before it."""
    for script in (request("/m", "PURGE"), request("/m/"), request("/m/late"), socket("/m/x")):
        assert ask(submission, script, tables=MOUNTED).get("mount") == "m"
    assert status_of(play(submission, request("/m/own", "HEAD"), tables=MOUNTED)) == 200
    assert ask(submission, request("/m/own", "DELETE"), tables=MOUNTED).get("route") == "own"
    assert ask(submission, request("/m/urgent"), tables=MOUNTED).get("route") == "urgent"
    for path in ("/mx", "/M/x"):
        assert ask(submission, request(path), tables=MOUNTED) == {"status": 404}
    for path in ("/X", "/s "):
        came = ask(submission, request(f"{path}/x"), tables={"root": [{"mount": path, "name": "odd"}]})
        assert (came.get("mount"), came.get("root_path")) == ("odd", path), "only slashes are dropped"


@requirement("ROUTE-09")
def test_the_scope_of_a_mounted_application(submission: Submission) -> None:
    """It is a copy with a root_path that has grown, the whole path, all parameters, and the outermost root_path."""
    for root, path in (
        ("/api", "/api/in/x/n/7/rest"),
        ("/api", "/in/x/n/7/rest"),
        ("/api/", "/api/in/x/n/7/rest"),
    ):
        script = request(path, root_path=root, path_params={"outer": 1}, **{"x.extra": "kept"})
        transcript = play(submission, script, tables=MOUNTED)
        expected = {
            "mount": "n",
            "root_path": "/api/in/x/n/7",
            "path": "/api/in/x/n/7/rest",
            "params": {"outer": 1, "p1": "x", "p2": 7},
            "fastasgi.root_path": root,
            "x.extra": "kept",
        }
        assert told(transcript) == expected
        assert transcript.scopes[0] == script.scope, "the scope that came must stay as it was: make a copy"
    tables: Tables = {
        "root": [
            {
                "mount": "/{p1}/o",
                "table": [{"mount": "/m/{p2:int}", "name": "inner"}, {"add_route": "/x", "name": "x"}],
            }
        ]
    }
    inner = {
        "mount": "inner",
        "root_path": "/a/o/m/7",
        "params": {"p1": "a", "p2": 7},
        "fastasgi.root_path": "",
    }
    for script, expected in (
        (request("/a/o/m/7/rest"), {**inner, "path": "/a/o/m/7/rest"}),
        (socket("/a/o/m/7", root_path=None), {**inner, "path": "/a/o/m/7"}),
        (without_root_path(request("/a/o/m/7")), {**inner, "path": "/a/o/m/7"}),
        (request("/a/o/x", root_path=None), {"route": "x", "params": {"p1": "a"}}),
        (request("/a/o/y"), {"status": 404}),
    ):
        assert only(ask(submission, script, tables=tables), expected) == expected


# --- ROUTE-10: url_for ----------------------------------------------------------------------------------------


@requirement("ROUTE-10")
@given(
    templates=st.lists(st.sampled_from(TEMPLATES), min_size=1, max_size=3),
    a=st.sampled_from([7, 0, "x", "a b/é", "7", "-1", ""]),
    b=st.sampled_from([None, 7, "x?#%"]),
)
@example(templates=["/a", "/{}", "/{:path}"], a="x/y", b=None)
@example(templates=["/{:int}", "/{}"], a="7", b=None)
@example(templates=["/a"], a="x", b=None)
def test_url_for_writes_what_the_route_would_read(
    submission: Submission, templates: list[str], a: Any, b: Any
) -> None:
    """The first route of that name that takes the parameters is written; ValueError where none does."""
    entries = [{"add_route": named(template), "name": "page"} for template in templates]
    tables = {"root": [{"add_route": "/other/{a}", "name": "other"}, *entries]}
    values = {"a": a} if b is None else {"a": a, "b": b}
    expected = next(
        (path for entry in entries if (path := written(entry["add_route"], values)) is not None), None
    )
    assert submission.call("url_for", tables=tables, url="other", values={"a": "x"}) == "/other/x"
    if expected is None:
        with raised("ValueError"):
            submission.call("url_for", tables=tables, url="page", values=values)
        return
    came = submission.call("url_for", tables=tables, url="page", values=values)
    assert sorted(set(str(came)) - PCHARS) == [], "these characters of a path must be percent-encoded"
    assert unquote(str(came)) == expected


def named(template: str) -> str:
    """A template whose parameters are called a and b."""
    names = iter("ab")
    return re.sub(r"\{(?=[:}])", lambda _: "{" + next(names), template)


def written(template: str, values: dict[str, Any]) -> str | None:
    """The path that a template gives for values, not percent-encoded; None where it cannot be read back."""
    path = template
    for name, value in values.items():
        for kind in ("", ":int", ":path"):
            path = path.replace(f"{{{name}{kind}}}", str(value))
    return path if read(template, path) == values else None


NAMED: Tables = {
    "root": [
        {"add_route": "/{a}/{name}", "function": "(a)"},
        {"add_websocket_route": "/call/{b}", "function": "(a)"},
        {"add_websocket_route": "/socket/{self}", "name": "socket"},
        {"add_route": "/late", "name": "page"},
        {"add_route": "/early", "name": "page", "priority": 1},
        {"add_route": "/a b/é", "name": "odd"},
        {"include_router": "/v1", "router": "one", "name": "v1"},
        {"include_router": "/v2/{version:int}", "router": "one", "name": "v2"},
    ],
    "one": [
        {"include_router": "/in", "router": "two", "name": "two"},
        {"include_router": "", "router": "three"},
    ],
    "two": [{"add_route": "/{a}", "name": "deep"}],
    "three": [{"add_route": "/{a}", "name": "plain"}],
}


@requirement("ROUTE-10")
@for_each(
    asked=[
        ("needs_a", {"a": "x", "name": "y"}, "/root/x/y"),
        ("needs_a", {"b": "x"}, "/root/call/x"),
        ("socket", {"self": "s"}, "/root/socket/s"),
        ("page", {}, "/root/early"),
        ("odd", {}, "/root/a%20b/%C3%A9"),
        ("v1:two:deep", {"a": "x"}, "/root/v1/in/two/x"),
        ("v2:two:deep", {"a": "x", "version": 3}, "/root/v2/3/in/two/x"),
        ("v2:plain", {"a": "x", "version": 3}, "/root/v2/3/x"),
    ]
)
def test_names_of_routes(submission: Submission, asked: tuple[str, dict[str, Any], str]) -> None:
    """Without a name, a route is called as its function is; of one name, the first counts; inclusion may add to it."""
    name, values, path = asked
    prefixes = {"root": "/root", "two": "/two"}
    assert submission.call("url_for", url=name, values=values, tables=NAMED, prefixes=prefixes) == path


@requirement("ROUTE-10")
@for_each(
    asked=[
        ("nobody", {}),
        ("page", {"a": 1}),
        ("needs_a", {"a": "x"}),
        ("", {}),
        ("deep", {"a": "x"}),
        ("two:deep", {"a": "x"}),
        ("v1:deep", {"a": "x"}),
        ("plain", {"a": "x"}),
    ]
)
def test_names_that_nobody_has(submission: Submission, asked: tuple[str, dict[str, Any]]) -> None:
    """A name that no route has in this table, or parameters that none of that name takes, are a ValueError."""
    name, values = asked
    assert submission.call("url_for", url="page", values={}, tables=NAMED) == "/early"
    with raised("ValueError"):
        submission.call("url_for", url=name, values=values, tables=NAMED)


# --- ROUTE-11: url_for into mounts ----------------------------------------------------------------------------


CHILD: list[Entry] = [
    {"add_route": "/{path:path}/file", "name": "file"},
    {"add_route": "/{tenant}/{x}", "name": "both"},
    {"mount": "/deep", "name": "deep", "table": [{"add_route": "/{x}", "name": "leaf"}]},
]
WITH_MOUNTS: Tables = {
    "root": [
        {"mount": "/files", "name": "files"},
        {"mount": "/t/{tenant}", "name": "child", "table": CHILD},
        {"mount": "/one", "table": [{"add_route": "/{x:int}", "name": "page"}]},
        {"mount": "/unnamed"},
        {"mount": "/two", "table": [{"add_route": "/{x}", "name": "page"}]},
        {"add_route": "/last", "name": "last"},
    ]
}


@requirement("ROUTE-11")
@for_each(
    asked=[
        ("files", {"path": "css/a b.css"}, "/files/css/a%20b.css"),
        ("files", {"path": "/css/a.css"}, "/files/css/a.css"),
        ("files", {"path": ""}, "/files/"),
        ("child", {"tenant": "t", "path": "x"}, "/t/t/x"),
        ("child:file", {"tenant": "a b", "path": "x/y"}, "/t/a%20b/x/y/file"),
        ("child:deep:leaf", {"tenant": "t", "x": "é"}, "/t/t/deep/%C3%A9"),
        ("page", {"x": 1}, "/one/1"),
        ("page", {"x": "a"}, "/two/a"),
        ("last", {}, "/last"),
        ("files", {}, None),
        ("files:file", {}, None),
        ("child:nobody", {"tenant": "t"}, None),
        ("file", {"tenant": "t", "path": "x"}, None),
        ("child:file", {"path": "x"}, None),
        ("child:both", {"tenant": "t", "x": "1"}, None),
        ("", {}, None),
        ("", {"path": "x"}, None),
        ("page", {"x": ""}, None),
    ]
)
def test_url_for_into_mounted_applications(
    submission: Submission, asked: tuple[str, dict[str, Any], str | None]
) -> None:
    """By the mount's name and a path, by `name:route`, by a name of a route in a mount without one; else ValueError."""
    name, values, path = asked
    if path is not None:
        assert submission.call("url_for", url=name, values=values, tables=WITH_MOUNTS) == path
        return
    control = {"tenant": "t", "path": "x"}
    assert submission.call("url_for", url="child:file", values=control, tables=WITH_MOUNTS) == "/t/t/x/file"
    with raised("ValueError"):
        submission.call("url_for", url=name, values=values, tables=WITH_MOUNTS)


# --- ROUTE-12: what cannot work -------------------------------------------------------------------------------

BASE: Tables = {
    "root": [{"add_route": "/here", "name": "here"}, {"include_router": "/s", "router": "spare"}],
    "spare": [{"add_route": "/{p1}", "name": "spare"}, {"include_router": "", "router": "deep"}],
    "deep": [],
}
WRONG: list[tuple[str, Entry]] = [
    ("root", {"add_route": "x"}),
    ("root", {"add_websocket_route": "x"}),
    ("root", {"mount": "x"}),
    ("root", {"include_router": "x", "router": "spare"}),
    ("root", {"include_router": "/x/", "router": "spare"}),
    ("root", {"include_router": "/", "router": "spare"}),
    ("root", {"APIRouter": "x"}),
    ("root", {"APIRouter": "/x/"}),
    ("root", {"APIRouter": "/"}),
    ("root", {"add_route": "/{x"}),
    ("root", {"add_route": "/{x:hex}"}),
    ("root", {"mount": "/{x}/{x}"}),
    ("root", {"add_route": "/x", "function": "None"}),
    ("root", {"add_websocket_route": "/x", "function": "a text"}),
    ("root", {"mount": "/x", "app": "None"}),
    ("root", {"add_route": "/x", "methods": "GET"}),
    ("root", {"add_route": "/x", "methods": []}),
    ("root", {"add_route": "/x", "methods": ["GET", "A B"]}),
    ("root", {"add_route": "/x", "methods": ["A\r\nx: y"]}),
    ("root", {"add_route": "/x", "methods": ["GET\n"]}),
    ("root", {"add_route": "/x", "methods": ["GET", ""]}),
    ("root", {"include_router": "/{p1}", "router": "spare"}),
    ("root", {"include_router": "", "router": "root"}),
    ("spare", {"include_router": "/x", "router": "root"}),
    ("deep", {"include_router": "/x", "router": "root"}),
    ("deep", {"include_router": "/x", "router": "spare"}),
]


@requirement("ROUTE-12")
@for_each(wrong=WRONG)
def test_what_cannot_work_is_refused_and_changes_nothing(
    submission: Submission, wrong: tuple[str, Entry]
) -> None:
    """A bad path, prefix, template, method, function, application or router is a ValueError, and changes nothing."""
    router, entry = wrong
    good: Entry = {"add_route": "/x", "methods": ["!#$%&'*+-.^_`|~a1"]}
    assert submission.call("added", entry=good, tables=BASE) == ["/here", "/s/{p1}", "/x"]
    with raised("ValueError"):
        submission.call("added", router=router, entry=entry, tables=BASE)
    left = submission.call("left", router=router, entry=entry, tables=BASE)
    assert left == ["/here", "/s/{p1}"], "the entry was refused, but the table has changed"


@requirement("ROUTE-12")
@for_each(kind=["add_route", "add_websocket_route"])
def test_check_finds_parameters_that_nobody_can_fill(submission: Submission, kind: str) -> None:
    """`check` and `attach` find a parameter that nobody can fill; after `attach`, whatever adds a route does."""

    def tables(function: str) -> Tables:
        return {
            "root": [{"mount": "/m"}, {"include_router": "/{a}", "router": "inner"}],
            "inner": [{kind: "/x", "function": function, "name": "x"}],
        }

    for method in ("check", "attach"):
        for function in ("(a)", "(a, b='default')"):
            submission.call("check", method=method, tables=tables(function))
        with raised("ValueError"):
            submission.call("check", method=method, tables=tables("(a, b)"))
    templates = ["/m/{path:path}", "/{a}/x"]
    fine = {kind: "/{a}/{b}", "function": "(a, b)"}
    came = submission.call("added", entry=fine, tables=tables("(a)"), attached=True)
    assert came == [*templates, "/{a}/{b}"]
    for entry in ({kind: "/y", "function": "(a)"}, {"include_router": "/y", "router": "inner"}):
        came = submission.call("added", entry=entry, tables=tables("(a)"))
        assert len(came) == 3, "before `attach` a prefix may still come"
        with raised("ValueError"):
            submission.call("added", entry=entry, tables=tables("(a)"), attached=True)
        assert submission.call("left", entry=entry, tables=tables("(a)"), attached=True) == templates


@requirement("ROUTE-12")
@for_each(where=["root", "inner", "root, later", "inner, later"])
def test_a_bare_router_finds_out_at_the_next_connection(submission: Submission, where: str) -> None:
    """What nobody has checked is checked when a connection comes, whichever it is: ValueError, and nothing is sent."""
    table, _, later = where.partition(", ")
    fine: Tables = {
        "root": [{"add_route": "/fine", "name": "fine"}, {"include_router": "/in", "router": "inner"}],
        "inner": [{"add_route": "/{a}", "function": "(a)", "name": "a"}],
    }
    wrong: Entry = {"add_route": "/x", "function": "(a)"}
    assert ask(submission, request("/fine"), tables=fine).get("route") == "fine"
    for script in (request("/fine"), socket("/nowhere")):
        if later:
            transcript = play(submission, script, tables=fine, later={table: [wrong]})
        else:
            transcript = play(submission, script, tables={**fine, table: [*fine[table], wrong]})
        assert transcript.sent == []
        with raised("ValueError"):
            _ = transcript.returned


# --- ROUTE-13: converters -------------------------------------------------------------------------------------


@requirement("ROUTE-13")
def test_converters_are_for_templates_and_prefixes(submission: Submission) -> None:
    """Converters work in a router's paths, prefix and mounts, and in prefixes of what it includes; not elsewhere."""
    params = {"a": 12, "b": 255, "c": "AB"}
    for script, expected in (
        (request("/ab/c/route/ff"), {"route": "route", "params": params}),
        (socket("/ab/c/socket/ff"), {"route": "socket", "params": params}),
        (request("/ab/c/mount/ff/rest"), {"root_path": "/ab/c/mount/ff", "params": params}),
    ):
        assert only(ask(submission, script, maker="with_converters"), expected) == expected
    assert submission.call("link_with_converters", values=params) == "/ab/c/route/ff"
    assert submission.call("changed_converters", path="/ff") == {"n": 255}
    with raised("ValueError"):
        submission.call("unknown_converter")


# --- ROUTE-14: what others see --------------------------------------------------------------------------------


@requirement("ROUTE-14")
def test_the_table_shows_its_routes(submission: Submission) -> None:
    """`routes` has all routes in order, and is one tuple until something is added, also to an included router."""
    came = submission.call("templates", tables=MOUNTED)
    mounts = ["/m/{path:path}", "/in/{p1}/n/{p2:int}/{path:path}"]
    assert came == ["/m/urgent", "/m/own", mounts[0], "/m/late", mounts[1]]
    unchanged = {"a tuple": True, "the same while nothing is added": True}
    for tables, table in ((MOUNTED, "inner"), (MOUNTED, "root"), ({"root": []}, "root")):
        later = {table: [{"add_route": "/new", "name": "new"}]}
        told_ = submission.call("same_objects", tables=tables, later=later)
        assert told_ == unchanged | {"the same after something was added": False}
    route = submission.call("route_of", tables={"root": [{"add_route": "/a/{n:int}"}]}, path="/a/7")
    assert route == {
        "template": "/a/{n:int}",
        "templates": ["/a/{n:int}"],
        "converters": [],
        "match": {"n": 7},
    }
    for path, rest in (("/m", ""), ("/m/", ""), ("/m/x/y", "x/y")):
        mount = submission.call("route_of", tables={"root": [{"mount": "/m"}]}, path=path)
        assert mount["template"] == "/m/{path:path}"
        assert sorted(mount["templates"]) == ["/m", "/m/{path:path}"]
        assert mount["match"] == {"path": rest}
    assert submission.call("route_of", tables={"root": [{"mount": "/m"}]}, path="/mx")["match"] is None


@requirement("ROUTE-14")
def test_lookup_gives_all_that_fit(submission: Submission) -> None:
    """`lookup` gives each route that fits, of any kind, in order; a subclass with another `lookup` answers by that."""
    assert submission.call("lookup", tables=MOUNTED, path="/m/urgent") == [
        ["/m/urgent", {}],
        ["/m/{path:path}", {"path": "urgent"}],
    ]
    found = submission.call("lookup", tables=SOCKETS, path="/b")
    assert found == [["/b", {}], ["/{room}", {"room": "b"}]]
    assert submission.call("lookup", tables=SOCKETS, path="/no/where") == []
    tables: Tables = {
        "root": [
            {"add_route": "/a", "name": "hidden"},
            {"add_route": "/{p1}", "name": "shown", "methods": ["GET", "PUT"]},
            {"add_route": "/x/y", "name": "a"},
        ]
    }
    config = {"maker": "choosy", "tables": tables}
    assert ask(submission, request("/a"), **config, without="/a").get("route") == "shown"
    assert ask(submission, request("/a"), **config, without="").get("route") == "hidden"
    assert decoded(ask(submission, request("/x/y/"), **config, without="/a")) == redirect("/x/y")
    assert ask(submission, request("/x/y/"), **config, without="/x/y") == {"status": 404}


@requirement("ROUTE-14")
def test_a_trace_learns_the_template(submission: Submission) -> None:
    """The template of the route is written to `fastasgi.trace`, behind what a router around has written."""
    tables: Tables = {
        "root": [
            {"include_router": "/i", "router": "inner"},
            {"mount": "/m/{z}", "table": [{"add_route": "/{x}", "name": "x"}]},
        ],
        "inner": [{"add_route": "/{y}", "name": "y"}, {"add_websocket_route": "/{y}/w", "name": "w"}],
    }
    for script, route in (
        (request("/i/1", **{"fastasgi.trace": {"other": 1}}), "/i/{y}"),
        (socket("/i/1/w", **{"fastasgi.trace": {"other": 1}}), "/i/{y}/w"),
        (request("/m/1/2", **{"fastasgi.trace": {"other": 1}}), "/m/{z}/{x}"),
        (request("/m/1/2/3", **{"fastasgi.trace": {"other": 1}}), "/m/{z}/{path:path}"),
        (request("/none", **{"fastasgi.trace": {"other": 1}}), None),
        (request("/i/1", "POST", **{"fastasgi.trace": {"other": 1}}), None),
    ):
        transcript = play(submission, script, tables=tables)
        assert transcript.scopes[0].get("fastasgi.trace") == {"other": 1} | (
            {"route": route} if route else {}
        )
