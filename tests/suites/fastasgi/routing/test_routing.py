"""Judges the router by a slow one of our own, which tries every route and every way to read its template.

Rule 1: a table is plain data (see the probe); what it answers is decided by `answer`, from the same data.
Rule 2: a property of one requirement uses nothing of another: no mounts where priorities are judged, no redirects
where methods are. So a mistake costs the requirement that it is about.
Rule 3: parameters have names of their own in a whole table, so that templates may be put together in any way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from hypothesis import assume, example, given
from hypothesis import strategies as st

from grader.suite import Script, Submission, Transcript, raised, requirement
from grader.suite import strategies as asgi

Entry = dict[str, Any]
Tables = dict[str, list[Entry]]
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


def socket(path: str, **keys: Any) -> Script:
    """The handshake of a WebSocket, whose client goes as soon as something was sent."""
    events = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}]
    return Script(scope=asgi.websocket_scope(path=path) | keys, events=events, after={1: 1}, end="disconnect")


def answers(
    submission: Submission, scripts: Sequence[Script], maker: str = "app", **config: Any
) -> list[Any]:
    """What the router answers to each of several connections."""
    transcript = submission.converse(scripts, maker=maker, **config)
    return [told(transcript.of(number)) for number in range(len(scripts))]


def ask(submission: Submission, script: Script, **config: Any) -> Any:
    """What the router answers to one connection."""
    return told(submission.converse(script, **config))


def told(transcript: Transcript) -> dict[str, Any]:
    """An answer, in the words of the oracle. Raises `Raised` with what the router raised."""
    _ = transcript.returned
    sent = [message for message in transcript.sent if message["type"] != "probe.closed"]
    if not sent:
        return {"sent": []}
    if sent[0]["type"].startswith("websocket"):
        texts = [json.loads(each["text"]) for each in sent if each["type"] == "websocket.send"]
        return texts[0] if texts else {"sent": [message["type"] for message in sent]}
    status = sent[0]["status"]
    headers = headers_of(transcript)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    if status == 200:
        return json.loads(body) if body.startswith(b"{") else {"status": 200, "body": body.decode()}
    extra = {405: {"allow": headers.get("allow")}, 307: {"location": headers.get("location")}}
    return {"status": status, **extra.get(status, {})}


def headers_of(transcript: Transcript) -> dict[str, str]:
    """The headers of the response, by lower-case name."""
    pairs = transcript.sent[0].get("headers", [])
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in pairs}


def only(received: Any, expected: dict[str, Any]) -> dict[str, Any]:
    """Of what an application told, that which is expected to be there."""
    return (
        {key: received.get(key, "(absent)") for key in expected} if isinstance(received, dict) else received
    )


# --- what is drawn -------------------------------------------------------------------------------------------

KINDS = ("add_route", "add_websocket_route", "mount", "include_router")
SEGMENTS = st.sampled_from(["/a", "/b", "/1", "/{}", "/{:int}", "/a-{}", "/{:path}"])
TEMPLATES = st.lists(SEGMENTS, min_size=1, max_size=2).map("".join)
PREFIXES = st.sampled_from(["", "", "/a", "/{}", "/b/{:int}"])
TEXTS = st.sampled_from(["a", "b", "1", "07", "a-b", "x y", "é"])
PATHS = st.lists(TEXTS, min_size=1, max_size=3).map(lambda texts: "/" + "/".join(texts))
METHODS = st.sampled_from([["GET"], ["POST"], ["PUT"], ["POST", "PUT"]])
PRIORITIES = st.sampled_from([0, 0, 0, 1, -1])
ROUTES = st.fixed_dictionaries({"add_route": TEMPLATES, "methods": METHODS, "priority": PRIORITIES})
GET_ROUTES = st.fixed_dictionaries({"add_route": TEMPLATES, "priority": PRIORITIES})
MOUNTS = st.fixed_dictionaries(
    {"mount": st.sampled_from(["/a", "/b", "/{}", "/a/b", "/a/", "", "/1/{:int}"])}
)


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


def one_table(entries: st.SearchStrategy[Entry], most: int = 4) -> st.SearchStrategy[Tables]:
    """A table without included ones."""
    return st.lists(entries, min_size=1, max_size=most).map(lambda drawn: numbered({"root": drawn}))


@st.composite
def nested_tables(draw: st.DrawFn) -> tuple[Tables, dict[str, str]]:
    """Tables that include each other, some of them twice, and their prefixes."""
    includes = st.fixed_dictionaries({"include_router": PREFIXES, "router": st.sampled_from(["one", "two"])})
    tables = {
        "root": draw(st.lists(GET_ROUTES | includes, min_size=1, max_size=3)),
        "one": draw(
            st.lists(
                GET_ROUTES | st.fixed_dictionaries({"include_router": PREFIXES, "router": st.just("two")}),
                min_size=1,
                max_size=2,
            )
        ),
        "two": draw(st.lists(GET_ROUTES, min_size=1, max_size=2)),
    }
    prefixes = {
        "root": draw(st.sampled_from(["", "/r"])),
        "two": draw(st.sampled_from(["", "/t", "/{q:int}"])),
    }
    return numbered(tables), prefixes


@st.composite
def paths_for(draw: st.DrawFn, table: Sequence[Line]) -> str:
    """A path that one of the lines fits, or another one."""
    template = draw(st.sampled_from([line.template for line in table] or ["/a"]))
    path = "".join(
        piece if place % 2 == 0 else draw(st.sampled_from(["1", "07"]) if ":int" in piece else TEXTS)
        for place, piece in enumerate(template.replace("}", "{").split("{"))
    )
    return path or "/"


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
@given(data=st.data(), tables=one_table(ROUTES))
def test_the_first_that_fits_path_and_method_answers(
    submission: Submission, data: st.DataObject, tables: Tables
) -> None:
    """Of all routes that fit path and method, the one with the highest priority, and of these the first, answers."""
    table = list(lines(tables, {}))
    path = data.draw(paths_for(table), label="path")
    method = data.draw(st.sampled_from(["GET", "POST", "PUT"]), label="method")
    expected = answer(table, method, path)
    assume("route" in expected)
    assert ask(submission, request(path, method), tables=tables) == expected


@requirement("ROUTE-01")
def test_a_route_for_another_method_does_not_stand_in_the_way(submission: Submission) -> None:
    """A route that fits the path only is passed over; priority counts, then the order of registration."""
    asked = [("GET", "/a"), ("POST", "/a"), ("GET", "/7"), ("PUT", "/a"), ("DELETE", "/7")]
    came = answers(submission, [request(path, method) for method, path in asked], tables=A_TABLE)
    names = {f"{method} {path}": each.get("route") for (method, path), each in zip(asked, came, strict=True)}
    assert names == {
        "GET /a": "second",
        "POST /a": "first",
        "GET /7": "fourth",
        "PUT /a": "fifth",
        "DELETE /7": "sixth",
    }


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
    came = answers(submission, [request("/a", right), request("/a", wrong)], tables=tables)
    assert came[0] == {"route": "route", "params": {}}
    assert came[1].get("status") == 405, f"the method {wrong!r} is not {right!r}"


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
    transcript = submission.converse([request("/a", "GET"), request("/a", "HEAD")], tables=tables)
    got, head = transcript.of(0), transcript.of(1)
    assert told(got) == {"route": "get", "params": {}}
    assert head.returned is None
    assert head.sent[0]["status"] == 200
    assert headers_of(head) == headers_of(got)
    assert b"".join(message.get("body", b"") for message in head.sent[1:]) == b""
    assert ask(submission, request("/b", "HEAD"), tables=tables)["status"] == 405


DECORATORS = {
    "get": ["GET"],
    "head": ["HEAD"],
    "post": ["POST"],
    "put": ["PUT"],
    "patch": ["PATCH"],
    "delete": ["DELETE"],
    "options": ["OPTIONS"],
}


@requirement("ROUTE-02")
def test_each_method_has_its_decorator(submission: Submission) -> None:
    """Each decorator calls `add_route` of its class with its method, name and priority, and gives the function back."""
    options = {"name": "n", "priority": 3}
    for method, names in DECORATORS.items():
        calls = submission.call("decorated", method=method, path="/x", options=options)
        calls[0][3] = [name.upper() for name in calls[0][3]]
        assert calls == [["add_route", "/x", True, names, "n", 3], True]
        plain = submission.call("decorated", method=method, path="/y", options={})
        assert (plain[0][1], plain[0][4:]) == ("/y", [None, 0])


@requirement("ROUTE-02")
def test_route_and_websocket_are_decorators_too(submission: Submission) -> None:
    """`route` hands its methods on, GET without any; `websocket` calls `add_websocket_route`."""
    options = {"name": "n", "priority": 3}
    both = submission.call("decorated", method="route", path="/x", options={**options, "methods": ["A", "B"]})
    assert both == [["add_route", "/x", True, ["A", "B"], "n", 3], True]
    plain = submission.call("decorated", method="route", path="/x", options={})
    assert plain == [["add_route", "/x", True, ["GET"], None, 0], True]
    sockets = submission.call("decorated", method="websocket", path="/x", options=options)
    assert sockets == [["add_websocket_route", "/x", True, "n", 3], True]


# --- ROUTE-03: 404 and 405 -----------------------------------------------------------------------------------


@requirement("ROUTE-03")
@given(data=st.data(), tables=one_table(ROUTES), inside=st.booleans())
def test_what_fits_not_at_all_or_by_its_path_only(
    submission: Submission, data: st.DataObject, tables: Tables, inside: bool
) -> None:
    """No route for the method: 405 with the methods of all that fit the path. No route for the path: 404."""
    table = list(lines(tables, {}))
    path = data.draw(paths_for(table) | PATHS, label="path")
    expected = answer(table, "TRACE", path)
    keys = APPLICATION if inside else {}
    script = request(path, "TRACE", **keys)
    if not inside:
        assert ask(submission, script, tables=tables, redirect_slashes=False) == expected
        return
    transcript = submission.converse(script, tables=tables, redirect_slashes=False)
    assert refusal_of(transcript) == expected


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
    came = answers(submission, [request("/1", "POST"), request("/x", "POST")], tables=tables)
    assert came[0] == {"status": 405, "allow": "DELETE, GET, HEAD, PUT"}
    assert came[1] == {"status": 405, "allow": "DELETE, PUT"}


@requirement("ROUTE-03")
def test_a_bare_router_answers_in_plain_text(submission: Submission) -> None:
    """Called by itself, the router sends its 404 and 405 as text/plain, with the status's phrase."""
    tables = {"root": [{"add_route": "/a", "name": "a"}]}
    for script, status, phrase in (
        (request("/b"), 404, b"Not Found"),
        (request("/a", "POST"), 405, b"Method Not Allowed"),
    ):
        transcript = submission.converse(script, tables=tables)
        assert transcript.returned is None
        assert transcript.sent[0]["status"] == status
        assert headers_of(transcript)["content-type"].startswith("text/plain")
        assert b"".join(message.get("body", b"") for message in transcript.sent[1:]) == phrase


@requirement("ROUTE-03")
def test_inside_an_application_it_raises(submission: Submission) -> None:
    """With `fastasgi.app` in the scope, 404 and 405 are raised as HTTPException, and nothing is sent."""
    tables = {"root": [{"add_route": "/a", "name": "a"}]}
    assert ask(submission, request("/a", **APPLICATION), tables=tables)["route"] == "a"
    missing = submission.converse(request("/b", **APPLICATION), tables=tables)
    assert refusal_of(missing) == {"status": 404}
    wrong = submission.converse(request("/a", "POST", **APPLICATION), tables=tables)
    assert refusal_of(wrong) == {"status": 405, "allow": "GET, HEAD"}


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
    transcript = submission.converse(script, tables=tables)
    assert told(transcript) == {"route": "route", "params": {"outer": 1, "word": text, "number": 7}}
    assert transcript.scopes[0] == script.scope, "the scope that came must stay as it was: make a copy"


@requirement("ROUTE-04")
def test_what_the_function_gives_is_the_response(submission: Submission) -> None:
    """A plain function gets the parameters that it names; what a function returns is sent, what it raises is raised."""
    came = answers(submission, [request("/plain/7/x"), request("/text")], maker="functions")
    assert came[0] == {"status": 200, "body": '[7,"x","default"]'}
    assert came[1] == {"status": 200, "body": "some text"}
    for path, name in (("/error", "LookupError"), ("/refusal", "HTTPException")):
        transcript = submission.converse(request(path), maker="functions")
        with raised(name):
            _ = transcript.returned
        assert transcript.sent == [], "what a function raises is for others to answer"


FORM = b'--b\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\ncontent\r\n--b--\r\n'


@requirement("ROUTE-04")
def test_a_form_is_closed_whatever_happens(submission: Submission) -> None:
    """`request.close()` is awaited when the function has returned, and when it has raised."""
    headers = [(b"content-type", b"multipart/form-data; boundary=b")]
    for fails in (0, 1):
        scope = asgi.http_scope(method="POST", path=f"/upload/{fails}", headers=headers)
        script = Script(scope=scope, events=[{**REQUEST, "body": FORM}])
        transcript = submission.converse(script, maker="uploads")
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
    """A WebSocket goes to the first WebSocket route that fits, and its function learns the parameters."""
    scripts = [socket("/a"), socket("/b"), socket("/chat/7", path_params={"outer": 1})]
    assert answers(submission, scripts, tables=SOCKETS) == [
        {"route": "any", "params": {"room": "a"}},
        {"route": "b", "params": {}},
        {"route": "chat", "params": {"outer": 1, "n": 7}},
    ]


@requirement("ROUTE-05")
def test_a_websocket_to_nowhere_is_closed(submission: Submission) -> None:
    """A WebSocket that no route takes is closed before it is accepted, inside an application too."""
    assert ask(submission, socket("/a"), tables=SOCKETS) == {"route": "any", "params": {"room": "a"}}
    for path in ("/page/only", "/page/only/", "/no/where", "/chat/7/"):
        for keys in ({}, APPLICATION):
            came = ask(submission, socket(path, **keys), tables=SOCKETS)
            assert came == {"sent": ["websocket.close"]}


@requirement("ROUTE-05")
def test_a_websocket_route_is_not_there_for_http(submission: Submission) -> None:
    """An HTTP request for the path of a WebSocket gets a 404, not a 405, and no redirect to it."""
    scripts = [request("/page/only"), request("/chat/7"), request("/chat/7", "POST"), request("/chat/7/")]
    page, *others = answers(submission, scripts, tables=SOCKETS)
    assert page == {"route": "page", "params": {}}
    assert others == [{"status": 404}] * 3


@requirement("ROUTE-05")
def test_other_kinds_of_connections_are_refused(submission: Submission) -> None:
    """A lifespan, or a protocol that nobody knows, raises RuntimeError, and nothing is sent."""
    assert ask(submission, request("/page/only"), tables=SOCKETS) == {"route": "page", "params": {}}
    for scope in (asgi.lifespan_scope(), {"type": "mqtt.5", "path": "/page/only"}):
        script = Script(scope=scope, events=[{"type": "lifespan.startup"}], end="raise")
        transcript = submission.converse(script, tables=SOCKETS)
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

LINES_WITH_SLASHES = st.fixed_dictionaries(
    {"add_route": st.builds("{}{}".format, TEMPLATES, st.sampled_from(["", "/"])), "methods": METHODS}
)


@requirement("ROUTE-07")
@given(
    data=st.data(),
    tables=one_table(LINES_WITH_SLASHES, most=3),
    root=st.sampled_from(["", "/api"]),
    query=st.sampled_from([b"", b"x=1&y=%20+%2B&z"]),
    method=st.sampled_from(["GET", "POST"]),
)
def test_the_other_form_of_a_path_is_redirected_to(
    submission: Submission, data: st.DataObject, tables: Tables, root: str, query: bytes, method: str
) -> None:
    """Where nothing fits a path, but something fits its other form, it is a 307 to that form, with the query."""
    table = list(lines(tables, {}))
    path = data.draw(paths_for(table), label="path")
    path = toggled(path)
    assume(all(line.fits(path) is None for line in table))
    fits = any(line.fits(toggled(path)) is not None for line in table)
    script = request(root + path, method, root_path=root, query_string=query)
    came = ask(submission, script, tables=tables)
    if fits:
        assert decoded(came) == redirect(root + toggled(path), query)
    else:
        assert came == {"status": 404}


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
    path, mark, query = came["location"].partition("?")
    bad = sorted(set(path) - PCHARS)
    assert bad == [], "these characters of the location must be percent-encoded"
    return {"status": 307, "path": unquote(path, errors="strict"), "query": query if mark else None}


@requirement("ROUTE-07")
def test_a_redirect_keeps_path_and_query(submission: Submission) -> None:
    """The location has the whole path, encoded once, and the query as it came; no `?` without a query."""
    tables = {"root": [{"add_route": "/{word}/a", "name": "route", "methods": ["DELETE"]}]}
    for word in ("x", "é?#", "%41", "a b", "\r\nset-cookie:x"):
        came = ask(submission, request(f"/{word}/a/", query_string=b"x=1&y=%20+%2B"), tables=tables)
        assert decoded(came) == redirect(f"/{word}/a", b"x=1&y=%20+%2B")
        came = ask(submission, request(f"/{word}/a/"), tables=tables)
        assert decoded(came) == redirect(f"/{word}/a")
    inside = ask(submission, request("/x/a/", **APPLICATION), tables=tables)
    assert decoded(inside) == redirect("/x/a"), "a redirect is sent inside an application, too"


@requirement("ROUTE-07")
def test_a_redirect_knows_the_root_path(submission: Submission) -> None:
    """The location begins with root_path, once, also where the server has left that out of the path."""
    tables = {"root": [{"add_route": "/a", "name": "route"}, {"add_route": "/b/", "name": "slash"}]}
    for path, root, location in (
        ("/api/a/", "/api", "/api/a"),
        ("/a/", "/api", "/api/a"),
        ("/a/", "/api/", "/api/a"),
        ("/b", "", "/b/"),
        ("/a/", None, "/a"),
    ):
        came = ask(submission, request(path, root_path=root), tables=tables)
        assert decoded(came) == redirect(location)


@requirement("ROUTE-07")
def test_a_redirect_never_leaves_the_server(submission: Submission) -> None:
    """The location begins with one slash: `//host/` would be another server."""
    tables = {"root": [{"add_route": "/{rest:path}/a", "name": "route"}]}
    for path, location in (
        ("/x/a/", "/x/a"),
        ("//evil.example/a/", "/evil.example/a"),
        ("///evil.example/a/", "/evil.example/a"),
    ):
        assert decoded(ask(submission, request(path), tables=tables)) == redirect(location)


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
@given(data=st.data(), nested=nested_tables(), late=st.booleans())
def test_included_routes_stand_in_their_place(
    submission: Submission, data: st.DataObject, nested: tuple[Tables, dict[str, str]], late: bool
) -> None:
    """The routes of included routers stand at their places, below all prefixes; `late`: they came after inclusion."""
    tables, prefixes = nested
    table = list(lines(tables, prefixes))
    path = data.draw(paths_for(table), label="path")
    expected = answer(table, "GET", path)
    assume("route" in expected)
    came = ask(submission, request(path), tables=tables, prefixes=prefixes, late=late)
    assert came == {**expected, "route": expected["route"].rpartition(":")[2]}


@requirement("ROUTE-08")
def test_a_router_may_be_included_twice(submission: Submission) -> None:
    """One router below two prefixes, one with a parameter; its priorities count in it only."""
    prefixes = {"users": "/users"}
    asked = [request("/v1/users/7"), request("/v2/users"), request("/v1/users/7", "PUT"), request("/users/7")]
    for late in (False, True):
        came = answers(submission, asked, tables=USERS, prefixes=prefixes, late=late)
        assert came == [
            {"route": "user", "params": {"user": "7"}},
            {"route": "all", "params": {"version": "v2"}},
            {"route": "before", "params": {"p1": "v1", "p2": "7"}},
            {"status": 404},
        ]


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


@requirement("ROUTE-08")
def test_a_router_that_was_included_answers_as_before(submission: Submission) -> None:
    """Being included changes nothing about a router: its own templates stay as they are."""
    tables: Tables = {
        "root": [{"include_router": "/one", "router": "one"}, {"include_router": "", "router": "one"}],
        "one": [{"add_route": "/{p1}", "name": "route"}],
    }
    came = submission.call("templates", tables=tables)
    assert came == ["/one/{p1}", "/{p1}"]


# --- ROUTE-09: mounts -----------------------------------------------------------------------------------------


@requirement("ROUTE-09")
@given(
    data=st.data(), tables=one_table(MOUNTS | GET_ROUTES | MOUNTS, most=3), root=st.sampled_from(["", "/api"])
)
def test_a_mount_takes_its_path_and_all_below(
    submission: Submission, data: st.DataObject, tables: Tables, root: str
) -> None:
    """A mount answers at its path and below, at its place in the table, with a root_path that has grown."""
    table = list(lines(tables, {}))
    below = data.draw(st.sampled_from(["", "/", "/x", "/a/b/", "//", "x"]), label="below")
    path = data.draw(paths_for(table), label="path").rstrip("/") + below or "/"
    expected = answer(table, "GET", path)
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
    taken = [
        request("/m", "PURGE"),
        request("/m/"),
        request("/m/own", "HEAD"),
        request("/m/late"),
        socket("/m/x"),
    ]
    came = answers(submission, [*taken[:2], *taken[3:]], tables=MOUNTED)
    assert [each.get("mount") for each in came] == ["m"] * 4
    assert submission.converse(taken[2], tables=MOUNTED).sent[0]["status"] == 200
    others = [request("/m/own", "DELETE"), request("/m/urgent"), request("/mx"), request("/M/x")]
    assert [each.get("route", each) for each in answers(submission, others, tables=MOUNTED)] == [
        "own",
        "urgent",
        {"status": 404},
        {"status": 404},
    ]


@requirement("ROUTE-09")
def test_the_scope_of_a_mounted_application(submission: Submission) -> None:
    """It gets a copy with a grown root_path, the whole path, all parameters, and where the outermost root was."""
    for root, path in (
        ("/api", "/api/in/x/n/7/rest"),
        ("/api", "/in/x/n/7/rest"),
        ("/api/", "/api/in/x/n/7/rest"),
    ):
        script = request(path, root_path=root, path_params={"outer": 1}, **{"x.extra": "kept"})
        transcript = submission.converse(script, tables=MOUNTED)
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


@requirement("ROUTE-09")
def test_mounts_in_mounts_add_up(submission: Submission) -> None:
    """In a mounted router, the next mount goes on from there; `fastasgi.root_path` stays where it began."""
    tables: Tables = {
        "root": [
            {
                "mount": "/{p1}/o",
                "table": [{"mount": "/m/{p2:int}", "name": "inner"}, {"add_route": "/x", "name": "x"}],
            }
        ]
    }
    scripts = [
        request("/a/o/m/7/rest"),
        request("/a/o/x", root_path=None),
        socket("/a/o/m/7", root_path=None),
        request("/a/o/y"),
    ]
    one, two, three, four = answers(submission, scripts, tables=tables)
    expected = {
        "mount": "inner",
        "root_path": "/a/o/m/7",
        "path": "/a/o/m/7/rest",
        "params": {"p1": "a", "p2": 7},
        "fastasgi.root_path": "",
    }
    assert only(one, expected) == expected
    assert two == {"route": "x", "params": {"p1": "a"}}
    assert only(three, expected) == {**expected, "path": "/a/o/m/7"}
    assert four == {"status": 404}


# --- ROUTE-10: url_for ----------------------------------------------------------------------------------------


@requirement("ROUTE-10")
@given(
    templates=st.lists(TEMPLATES, min_size=1, max_size=3),
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
    assert [character for character in came if character not in PCHARS] == []
    assert unquote(came) == expected


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


@requirement("ROUTE-10")
def test_names_of_routes(submission: Submission) -> None:
    """Without a name, a route is called as its function is; of several of one name, the first counts."""
    tables: Tables = {
        "root": [
            {"add_route": "/{a}/{name}", "function": "(a)"},
            {"add_websocket_route": "/socket/{self}", "name": "socket"},
            {"add_route": "/late", "name": "page"},
            {"add_route": "/early", "name": "page", "priority": 1},
            {"add_route": "/a b/é", "name": "odd"},
        ]
    }
    for name, values, path in (
        ("needs_a", {"a": "x", "name": "y"}, "/x/y"),
        ("socket", {"self": "s"}, "/socket/s"),
        ("page", {}, "/early"),
        ("odd", {}, "/a%20b/%C3%A9"),
    ):
        assert submission.call("url_for", tables=tables, url=name, values=values) == path
    for name, values in (("nobody", {}), ("page", {"a": 1}), ("needs_a", {"a": "x"}), ("", {})):
        with raised("ValueError"):
            submission.call("url_for", tables=tables, url=name, values=values)


@requirement("ROUTE-10")
def test_names_in_included_routers(submission: Submission) -> None:
    """`include_router(name="one")` puts `one:` before the names; without a name they stay as they are."""
    tables: Tables = {
        "root": [
            {"include_router": "/v1", "router": "one", "name": "v1"},
            {"include_router": "/v2/{version:int}", "router": "one", "name": "v2"},
        ],
        "one": [
            {"include_router": "/in", "router": "two", "name": "two"},
            {"include_router": "", "router": "three"},
        ],
        "two": [{"add_route": "/{a}", "name": "page"}],
        "three": [{"add_route": "/{a}", "name": "plain"}],
    }
    prefixes = {"root": "/root", "two": "/two"}
    for name, values, path in (
        ("v1:two:page", {"a": "x"}, "/root/v1/in/two/x"),
        ("v2:two:page", {"a": "x", "version": 3}, "/root/v2/3/in/two/x"),
        ("v2:plain", {"a": "x", "version": 3}, "/root/v2/3/x"),
    ):
        assert submission.call("url_for", tables=tables, url=name, values=values, prefixes=prefixes) == path
    for name in ("page", "two:page", "v1:page", "plain"):
        with raised("ValueError"):
            submission.call("url_for", tables=tables, url=name, values={"a": "x"}, prefixes=prefixes)


# --- ROUTE-11: url_for into mounts ----------------------------------------------------------------------------


@requirement("ROUTE-11")
def test_url_for_into_mounted_applications(submission: Submission) -> None:
    """By the mount's name and a path, by `name:route`, and through a mount without a name by the route's own name."""
    child = [
        {"add_route": "/{path:path}/file", "name": "file"},
        {"add_route": "/{tenant}/{x}", "name": "both"},
        {"mount": "/deep", "name": "deep", "table": [{"add_route": "/{x}", "name": "leaf"}]},
    ]
    tables: Tables = {
        "root": [
            {"mount": "/files", "name": "files"},
            {"mount": "/t/{tenant}", "name": "child", "table": child},
            {"mount": "/plain", "table": [{"add_route": "/page/{x}", "name": "page"}]},
            {"add_route": "/other/{x}", "name": "page"},
            {"mount": "/unnamed"},
        ]
    }
    for name, values, path in (
        ("files", {"path": "css/a b.css"}, "/files/css/a%20b.css"),
        ("files", {"path": "/css/a.css"}, "/files/css/a.css"),
        ("files", {"path": ""}, "/files/"),
        ("child", {"tenant": "t", "path": "x"}, "/t/t/x"),
        ("child:file", {"tenant": "a b", "path": "x/y"}, "/t/a%20b/x/y/file"),
        ("child:deep:leaf", {"tenant": "t", "x": "é"}, "/t/t/deep/%C3%A9"),
        ("page", {"x": "1"}, "/plain/page/1"),
    ):
        assert submission.call("url_for", tables=tables, url=name, values=values) == path
    for name, values in (
        ("files", {}),
        ("files:file", {}),
        ("child:nobody", {"tenant": "t"}),
        ("file", {"tenant": "t", "path": "x"}),
        ("child:file", {"path": "x"}),
        ("child:both", {"tenant": "t", "x": "1"}),
        ("", {}),
    ):
        with raised("ValueError"):
            submission.call("url_for", tables=tables, url=name, values=values)


@requirement("ROUTE-11")
def test_a_mount_that_cannot_write_it_is_passed_over(submission: Submission) -> None:
    """Where a mount before it does not know the name, or not the parameters, the next one is asked."""
    tables: Tables = {
        "root": [
            {"mount": "/one", "table": [{"add_route": "/{x:int}", "name": "page"}]},
            {"mount": "/two", "table": [{"add_route": "/{x}", "name": "page"}]},
            {"add_route": "/three", "name": "last"},
        ]
    }
    for name, values, path in (
        ("page", {"x": 1}, "/one/1"),
        ("page", {"x": "a"}, "/two/a"),
        ("last", {}, "/three"),
    ):
        assert submission.call("url_for", tables=tables, url=name, values=values) == path


# --- ROUTE-12: what cannot work -------------------------------------------------------------------------------

WRONG: list[Entry] = [
    {"add_route": "x"},
    {"add_websocket_route": "x"},
    {"mount": "x"},
    {"include_router": "x", "router": "spare"},
    {"include_router": "/x/", "router": "spare"},
    {"include_router": "/", "router": "spare"},
    {"add_route": "/{x"},
    {"add_route": "/{x:hex}"},
    {"mount": "/{x}/{x}"},
    {"add_route": "/x", "function": "None"},
    {"add_websocket_route": "/x", "function": "a text"},
    {"mount": "/x", "app": "None"},
    {"add_route": "/x", "methods": "GET"},
    {"add_route": "/x", "methods": []},
    {"add_route": "/x", "methods": ["GET", "A B"]},
    {"add_route": "/x", "methods": ["A\r\nx: y"]},
    {"add_route": "/x", "methods": ["GET\n"]},
    {"add_route": "/x", "methods": ["GET", ""]},
    {"include_router": "/{p1}", "router": "spare"},
    {"include_router": "", "router": "root"},
]
BASE: Tables = {
    "root": [{"add_route": "/here", "name": "here"}, {"include_router": "/s", "router": "spare"}],
    "spare": [{"add_route": "/{p1}", "name": "spare"}],
}


@requirement("ROUTE-12")
def test_what_cannot_work_is_refused_and_changes_nothing(submission: Submission) -> None:
    """A bad path, prefix, template, method, function or application is a ValueError, and the table stays as it was."""
    good: Entry = {"add_route": "/x", "methods": ["!#$%&'*+-.^_`|~a1"]}
    assert submission.call("refused", tables=BASE, entry=good) == ["/here", "/s/{p1}", "/x"]
    for entry in WRONG:
        with raised("ValueError"):
            submission.call("refused", tables=BASE, entry=entry)
        left = submission.call("left_after", tables=BASE, entry=entry)
        assert left == ["/here", "/s/{p1}"], f"after this was refused: {entry}"


@requirement("ROUTE-12")
def test_a_prefix_begins_with_a_slash_and_ends_with_none(submission: Submission) -> None:
    """`APIRouter(prefix)` raises ValueError for a prefix without a slash before it, or with one behind it."""
    submission.call("refused_prefix", prefix="/x")
    submission.call("refused_prefix", prefix="")
    for prefix in ("x", "/x/", "/"):
        with raised("ValueError"):
            submission.call("refused_prefix", prefix=prefix)


@requirement("ROUTE-12")
def test_a_router_is_not_included_in_itself(submission: Submission) -> None:
    """A router that includes itself, directly or through others, is a ValueError."""
    submission.call("included_in", chain=["a", "b", "c"], last=["a", "c"])
    for last in (["a", "a"], ["b", "a"], ["c", "a"], ["c", "b"]):
        with raised("ValueError"):
            submission.call("included_in", chain=["a", "b", "c"], last=last)


@requirement("ROUTE-12")
def test_check_finds_parameters_that_nobody_can_fill(submission: Submission) -> None:
    """`check` and `attach` raise ValueError where a function needs what its whole template does not have."""
    for kind in ("add_route", "add_websocket_route"):
        for function, fine in (("(a)", True), ("(a, b='default')", True), ("(a, b)", False)):
            tables: Tables = {
                "root": [{"mount": "/m"}, {"include_router": "/{a}", "router": "inner"}],
                "inner": [{kind: "/x", "function": function}],
            }
            for method in ("check", "attach"):
                if fine:
                    submission.call("check", tables=tables, method=method)
                    continue
                with raised("ValueError"):
                    submission.call("check", tables=tables, method=method)


@requirement("ROUTE-12")
def test_after_attach_it_is_found_at_once(submission: Submission) -> None:
    """After `attach`, what is added to that router is checked when it is added; before, prefixes may still come."""
    tables: Tables = {
        "root": [
            {"add_route": "/{a}", "function": "(a)", "name": "a"},
            {"include_router": "/{a}", "router": "fine"},
        ],
        "fine": [{"add_route": "/x", "function": "(a)", "name": "x"}],
    }
    fine = {"add_route": "/{a}/{b}", "function": "(a, b)"}
    templates = ["/{a}", "/{a}/x"]
    came = submission.call("refused", tables=tables, entry=fine, attached=True)
    assert came == [*templates, "/{a}/{b}"]
    for entry in (
        {"add_route": "/y", "function": "(a)"},
        {"add_websocket_route": "/y", "function": "(a)"},
        {"include_router": "/y", "router": "fine"},
    ):
        assert len(submission.call("refused", tables=tables, entry=entry)) == 3
        with raised("ValueError"):
            submission.call("refused", tables=tables, entry=entry, attached=True)
        assert submission.call("left_after", tables=tables, entry=entry, attached=True) == templates


@requirement("ROUTE-12")
def test_a_bare_router_finds_out_at_the_next_connection(submission: Submission) -> None:
    """What nobody has checked is checked when a connection comes, whichever it is: ValueError, and nothing is sent."""
    fine: Tables = {"root": [{"add_route": "/fine", "name": "fine"}]}
    wrong: Tables = {"root": [*fine["root"], {"add_route": "/x", "function": "(a)"}]}
    assert ask(submission, request("/fine"), tables=fine)["route"] == "fine"
    later: Tables = {"root": [wrong["root"][1]]}
    for script in (request("/fine"), socket("/nowhere")):
        for transcript in (
            submission.converse(script, tables=wrong),
            submission.converse(script, tables=fine, later=later),
        ):
            assert transcript.sent == []
            with raised("ValueError"):
                _ = transcript.returned


# --- ROUTE-13: converters -------------------------------------------------------------------------------------


@requirement("ROUTE-13")
def test_converters_are_for_templates_and_prefixes(submission: Submission) -> None:
    """A router's converters work in its paths, its prefix, its mounts, and in the prefixes of what it includes."""
    scripts = [request("/ab/c/route/ff"), socket("/ab/c/socket/ff"), request("/ab/c/mount/ff/rest")]
    params = {"a": 12, "b": 255, "c": "AB"}
    route, websocket, mount = answers(submission, scripts, maker="with_converters")
    assert route == {"route": "route", "params": params}
    assert websocket == {"route": "socket", "params": params}
    assert only(mount, {"root_path": "", "params": {}}) == {"root_path": "/ab/c/mount/ff", "params": params}
    assert submission.call("link_with_converters", values=params) == "/ab/c/route/ff"


@requirement("ROUTE-13")
def test_converters_are_a_routers_own(submission: Submission) -> None:
    """Another router does not know them; later changes to the mapping do not count."""
    assert submission.call("changed_converters", path="/ff") == {"n": 255}
    with raised("ValueError"):
        submission.call("unknown_converter")


# --- ROUTE-14: what others see --------------------------------------------------------------------------------


@requirement("ROUTE-14")
def test_the_table_shows_its_routes(submission: Submission) -> None:
    """`routes` has all routes in order; it is one tuple until something is added, to an included router too."""
    came = submission.call("templates", tables=MOUNTED)
    mounts = ["/m/{path:path}", "/in/{p1}/n/{p2:int}/{path:path}"]
    assert came == ["/m/urgent", "/m/own", mounts[0], "/m/late", mounts[1]]
    unchanged = {"a tuple": True, "the same while nothing is added": True}
    for table in ("inner", "root"):
        later = {table: [{"add_route": "/new", "name": "new"}]}
        told_ = submission.call("same_objects", tables=MOUNTED, later=later)
        assert told_ == unchanged | {"the same after something was added": False}


@requirement("ROUTE-14")
def test_a_route_tells_of_itself(submission: Submission) -> None:
    """`template`, `templates`, `converters` and `match` of a route, and of a mount."""
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
    """`lookup` gives each route that fits a path, of any kind and method, in order, with its parameters."""
    assert submission.call("lookup", tables=MOUNTED, path="/m/urgent") == [
        ["/m/urgent", {}],
        ["/m/{path:path}", {"path": "urgent"}],
    ]
    found = submission.call("lookup", tables=SOCKETS, path="/b")
    assert found == [["/b", {}], ["/{room}", {"room": "b"}]]
    assert submission.call("lookup", tables=SOCKETS, path="/no/where") == []


@requirement("ROUTE-14")
def test_the_router_asks_lookup(submission: Submission) -> None:
    """A subclass with another `lookup` answers by that, also where it is about redirects and Allow."""
    tables: Tables = {
        "root": [
            {"add_route": "/a", "name": "hidden"},
            {"add_route": "/{p1}", "name": "shown", "methods": ["GET", "PUT"]},
            {"add_route": "/x/y", "name": "a"},
        ]
    }
    config = {"maker": "choosy", "tables": tables}
    assert ask(submission, request("/a"), **config, without="/a")["route"] == "shown"
    assert ask(submission, request("/a"), **config, without="")["route"] == "hidden"
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
        transcript = submission.converse(script, tables=tables)
        assert transcript.scopes[0]["fastasgi.trace"] == {"other": 1} | ({"route": route} if route else {})
