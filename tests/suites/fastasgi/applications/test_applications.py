"""Judges the application by what each of its parts has seen, in order.

Rule 1: the probe's functions, middleware and handlers write a journal; `simulate` tells what has to stand in it.
Rule 2: what the parts decide by themselves is not judged again; only how they are put together is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from hypothesis import example, given
from hypothesis import strategies as st

from grader.suite import Once, Script, Submission, Transcript, raised, requirement
from grader.suite import strategies as asgi

Test = TypeVar("Test", bound=Callable[..., None])
Layer = dict[str, Any]
REQUEST = {"type": "http.request", "body": b"", "more_body": False}

# --- asking --------------------------------------------------------------------------------------------------


def request(path: str, method: str = "GET", **keys: Any) -> Script:
    """An HTTP request without a body."""
    return Script(scope=asgi.http_scope(path=path, method=method) | keys, events=[REQUEST])


def socket(path: str, **keys: Any) -> Script:
    """The handshake of a WebSocket, whose client goes as soon as something was sent."""
    events = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}]
    return Script(scope=asgi.websocket_scope(path=path) | keys, events=events, after={1: 1}, end="disconnect")


def lifespan(**keys: Any) -> Script:
    """A whole lifespan."""
    events = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    return Script(scope=asgi.lifespan_scope(**keys), events=events, after={1: 1}, end="raise")


def without(script: Script, *keys: str, **changes: Any) -> Script:
    """A script whose scope lacks some keys, and has others."""
    scope = {key: value for key, value in (script.scope | changes).items() if key not in keys}
    return Script(scope=scope, events=script.events, after=script.after, end=script.end)


def play(submission: Submission, script: Script, maker: str = "app", **config: Any) -> Transcript:
    """Play a connection to an application; the call that made it shows what was asked."""
    return submission.converse(script, maker=maker, asked=shown(script.scope), **config)


def shown(scope: Mapping[str, Any]) -> str:
    """A scope in a few words: what is asked for, and what is special about it."""
    words = [f"{scope.get('method', scope['type'])} {scope.get('path', '')}".strip()]
    keys = ("root_path", "state", "fastasgi.app", "fastasgi.root_path")
    words += [f"{key}={scope[key]!r}" for key in keys if scope.get(key)]
    words += [f"without {key}" for key in ("state", "headers") if key not in scope]
    if isinstance(scope.get("headers"), Once):
        words.append("headers can be read only once")
    return ", ".join(words)


def ask(submission: Submission, script: Script, maker: str = "app", **config: Any) -> dict[str, Any]:
    """Status and body of the answer to a request. Raises `Raised` with what the application raised."""
    transcript = play(submission, script, maker, **config)
    _ = transcript.returned
    return answer_of(transcript)


def answer_of(transcript: Transcript) -> dict[str, Any]:
    """Status and body of a response, or None where there is none."""
    sent = of_type(transcript, "http.response.")
    status = next((message["status"] for message in sent if "status" in message), None)
    parts = [message.get("body", b"") for message in sent]
    return {
        "status": status,
        "body": b"".join(part for part in parts if isinstance(part, bytes)).decode(errors="replace"),
    }


def of_type(transcript: Transcript, prefix: str) -> list[dict[str, Any]]:
    """The messages that were sent whose type begins so."""
    messages = [message for message in transcript.sent if isinstance(message, dict)]
    return [message for message in messages if str(message.get("type")).startswith(prefix)]


def journal(transcript: Transcript) -> list[str]:
    """What functions, middleware and handlers have written down."""
    return [line for message in of_type(transcript, "probe.journal") for line in message["lines"]]


def data_of(transcript: Transcript) -> Any:
    """What a function of the probe has told, by HTTP or WebSocket."""
    _ = transcript.returned
    texts = [message.get("text") for message in of_type(transcript, "websocket.send")]
    text = texts[0] if texts else answer_of(transcript)["body"]
    try:
        return json.loads(text)
    except (ValueError, TypeError):
        return {"answer": text, "sent": [message.get("type") for message in of_type(transcript, "")]}


def for_each(**values: Sequence[Any]) -> Callable[[Test], Test]:
    """Runs a test for each of some values, each an example of its own."""
    ((name, items),) = values.items()

    def pin(test: Test) -> Test:
        for item in reversed(items):
            test = example(**{name: item})(test)
        return given(**{name: st.sampled_from(items)})(test)

    return pin


# --- the oracle ----------------------------------------------------------------------------------------------

CLASSES = {
    "Failure": ["Failure"],
    "ZeroDivisionError": ["ZeroDivisionError", "ArithmeticError"],
    "HTTPException": ["HTTPException"],
}
PHRASES = {403: "Forbidden", 404: "Not Found", 409: "Conflict"}


def handler_for(error: str, handlers: Sequence[str], *, outermost: bool) -> str | None:
    """The handler that answers an exception, by name; "" for the answer that an HTTPException is by itself."""
    name, _, status = error.partition(" ")
    keys = [status, *CLASSES[name], *(["Exception"] if outermost else [])]
    own = "" if name == "HTTPException" else None
    return next((key for key in keys if key in handlers), own)


def simulate(layers: Sequence[Layer], handlers: Sequence[str], path: str) -> dict[str, Any]:
    """What has to come of a request: the journal, the answer, and what is raised to the server."""
    lines: list[str] = []
    entered: list[str] = []
    error: str | None = None
    answer: dict[str, Any] = {}
    for layer in layers:
        lines.append(f"{layer['name']}: in")
        error = layer.get("raises")
        if error is not None:
            break
        entered.append(layer["name"])
    else:
        if path != "/nowhere":
            lines.append("function")
        error = "HTTPException 404" if path == "/nowhere" else path.partition("/raise/")[2] or None
        answer = {"status": 200, "body": "plain"} if error is None else {}
        handler = handler_for(error, handlers, outermost=False) if error else None
        if error is not None and handler is not None:
            answer, error = answered(error, handler, lines), None
    seen = answer["status"] if error is None else error.partition(" ")[0]
    lines.extend(f"{name}: {seen}" for name in reversed(entered))
    if error is not None:
        handler = handler_for(error, handlers, outermost=True)
        if handler is not None:
            answer, error = answered(error, handler, lines), None
        elif "500" in handlers:
            answer = answered(error, "500", lines)
        else:
            answer = {"status": 500, "body": "Internal Server Error"}
    return {"journal": lines, **answer, "raised": error}


def answered(error: str, handler: str, lines: list[str]) -> dict[str, Any]:
    """The answer of a handler, which writes its line."""
    if handler == "":
        status = int(error.split()[1])
        return {"status": status, "body": PHRASES[status]}
    lines.append(f"handler for {handler}")
    return {"status": 418, "body": f"handler for {handler}"}


def came(transcript: Transcript) -> dict[str, Any]:
    """What has come of a request, in the words of the oracle."""
    error = transcript.raised
    return {
        "journal": journal(transcript),
        **answer_of(transcript),
        "raised": None if error is None else error.name,
    }


PATHS = ["/plain", "/raise/Failure", "/raise/ZeroDivisionError", "/raise/HTTPException 409", "/nowhere"]
HANDLERS = ["Failure", "ArithmeticError", "HTTPException", "404", "409"]
KINDS = ["function", "class"]


def layers(*, raising: bool) -> st.SearchStrategy[list[Layer]]:
    """Middleware from the outside in; if `raising`, the innermost raises before it calls what is further in."""
    errors = ["Failure", "ZeroDivisionError", "HTTPException 403"]
    last = st.sampled_from([{"kind": kind, "raises": error} for kind in KINDS for error in errors])
    others = st.lists(st.sampled_from([{"kind": kind} for kind in KINDS]), max_size=2)
    drawn = st.tuples(others, last).map(lambda pair: [*pair[0], pair[1]]) if raising else others
    return drawn.map(lambda each: [{"name": f"m{number}", **layer} for number, layer in enumerate(each, 1)])


def chosen(names: Sequence[str]) -> st.SearchStrategy[list[str]]:
    """Some of these names, in order."""
    return st.sets(st.sampled_from(names)).map(lambda some: [name for name in names if name in some])


# --- APPL-01: routes -----------------------------------------------------------------------------------------


@requirement("APPL-01")
@for_each(
    asked=[
        ("GET", "/7", 200, "low"),
        ("PUT", "/7", 200, "high"),
        ("GET", "/inner/x", 200, "inner"),
        ("GET", "/child/x", 200, "child"),
        ("POST", "/posted", 200, "posted"),
        ("GET", "/later", 200, "later"),
        ("GET", "/bare", 200, "bare"),
        ("GET", "/unnamed/x", 200, "unnamed"),
        ("GET", "/tie/x", 200, "first"),
        ("GET", "/nowhere", 405, "Method Not Allowed"),
        ("GET", "/no/where", 404, "Not Found"),
    ]
)
def test_what_is_added_is_answered(submission: Submission, asked: tuple[str, str, int, str]) -> None:
    """Routes of every kind, with options and without, are answered; also those added after a first connection."""
    method, path, status, body = asked
    assert ask(submission, request(path, method), "everything") == {"status": status, "body": body}
    for place in ("/ws/7", "/tie/7"):
        room = data_of(play(submission, socket(place), "everything"))
        assert room == {"room": "7"}, f"the WebSocket route that comes first did not answer at {place}"


@requirement("APPL-01")
@for_each(
    asked=[
        ("number", {"n": 7}, "/7"),
        ("word", {"word": "a b"}, "/a%20b"),
        ("in:x", {}, "/inner/x"),
        ("child:x", {}, "/child/x"),
        ("bare", {}, "/bare"),
        ("x of a mount without a name", {}, "/unnamed/x"),
        ("ws", {"room": "r"}, "/ws/r"),
        ("posted", {}, "/posted"),
    ]
)
def test_url_for_is_the_routers(submission: Submission, asked: tuple[str, dict[str, Any], str]) -> None:
    """`url_for` writes the paths of all that was added, by the names that were given, and refuses others."""
    name, values, path = asked
    assert submission.call("url_for", name=name, values=values) == path
    with raised("ValueError"):
        submission.call("url_for", name="nobody", values=values)


@requirement("APPL-01")
def test_the_router_is_attached(submission: Submission) -> None:
    """A function with a parameter that nobody can fill is refused when it is added, in a router too."""
    submission.call("refused", what="a function that needs nothing")
    for what in (
        "a function that needs x",
        "an included function that needs x",
        "a router with a function that needs x",
    ):
        with raised("ValueError"):
            submission.call("refused", what=what)


# --- APPL-02 to 05: errors -----------------------------------------------------------------------------------

TWO: list[Layer] = [{"name": "m1", "kind": "function"}, {"name": "m2", "kind": "class"}]


@requirement("APPL-02")
@given(middleware=layers(raising=False), handlers=chosen(HANDLERS), path=st.sampled_from(PATHS))
@example(middleware=TWO, handlers=[], path="/plain")
@example(middleware=TWO, handlers=[], path="/nowhere")
@example(middleware=TWO, handlers=[], path="/raise/HTTPException 409")
@example(middleware=TWO, handlers=["Failure"], path="/raise/Failure")
@example(middleware=TWO, handlers=["Failure"], path="/raise/ZeroDivisionError")
@example(middleware=TWO, handlers=["ArithmeticError"], path="/raise/ZeroDivisionError")
@example(middleware=TWO, handlers=["404"], path="/nowhere")
def test_middleware_sees_responses_where_there_is_a_handler(
    submission: Submission, middleware: list[Layer], handlers: list[str], path: str
) -> None:
    """Middleware sees a response where the exception has a handler, and the exception itself where it has none."""
    transcript = play(submission, request(path), middleware=middleware, handlers=handlers)
    assert came(transcript) == simulate(middleware, handlers, path)


@requirement("APPL-03")
@given(middleware=layers(raising=True), handlers=chosen(HANDLERS))
@example(middleware=[*TWO, {"name": "m3", "kind": "function", "raises": "Failure"}], handlers=["Failure"])
@example(middleware=[*TWO, {"name": "m3", "kind": "class", "raises": "Failure"}], handlers=["Failure"])
@example(middleware=[{"name": "m1", "kind": "class", "raises": "HTTPException 403"}], handlers=[])
@example(middleware=[{"name": "m1", "kind": "function", "raises": "ZeroDivisionError"}], handlers=["Failure"])
def test_what_middleware_raises_meets_the_same_handlers(
    submission: Submission, middleware: list[Layer], handlers: list[str]
) -> None:
    """An exception out of a middleware goes through those around it, and is answered by the handlers at the end."""
    transcript = play(submission, request("/plain"), middleware=middleware, handlers=handlers)
    assert came(transcript) == simulate(middleware, handlers, "/plain")


@requirement("APPL-04")
@for_each(debug=[False, True])
def test_an_exception_without_a_handler_is_a_500_and_goes_on(submission: Submission, debug: bool) -> None:
    """The answer is a bare 500, or a page with the exception's class if `debug` is set; then it is raised."""
    assert ask(submission, request("/plain"), debug=debug) == {"status": 200, "body": "plain"}
    transcript = play(submission, request("/raise/Failure"), debug=debug)
    with raised("Failure"):
        _ = transcript.returned
    answer = answer_of(transcript)
    assert answer["status"] == 500
    if debug:
        assert "Failure" in answer["body"], "with debug=True the page shows the exception"
    else:
        assert answer["body"] == "Internal Server Error"


@requirement("APPL-05")
@given(
    how=st.sampled_from(["constructor", "decorator", "method", "later"]),
    handlers=chosen([*HANDLERS, "Exception", "500"]),
    path=st.sampled_from(PATHS),
)
@example(how="constructor", handlers=["Failure"], path="/raise/Failure")
@example(how="decorator", handlers=["Failure"], path="/raise/Failure")
@example(how="method", handlers=["409"], path="/raise/HTTPException 409")
@example(how="later", handlers=["404"], path="/nowhere")
@example(how="method", handlers=["Exception"], path="/raise/Failure")
@example(how="method", handlers=["500"], path="/raise/Failure")
@example(how="decorator", handlers=["Failure", "Exception"], path="/raise/ZeroDivisionError")
def test_handlers_are_given_in_three_ways(
    submission: Submission, how: str, handlers: list[str], path: str
) -> None:
    """By the constructor, the decorator and the method, also later; those for Exception and 500 act outermost."""
    layer = {"name": "m1", "kind": "function"}
    transcript = play(submission, request(path), middleware=[layer], handlers=handlers, given=how)
    assert came(transcript) == simulate([layer], handlers, path)


@requirement("APPL-05")
@for_each(what=["handler for 99", "decorator for a text", "constructor's handler for int"])
def test_other_keys_are_refused(submission: Submission, what: str) -> None:
    """A key of a handler is a status or a class of exceptions; any other is a ValueError."""
    submission.call("refused", what="handler for 404")
    submission.call("refused", what="decorator for KeyError")
    with raised("ValueError"):
        submission.call("refused", what=what)


# --- APPL-06: middleware -------------------------------------------------------------------------------------


SCRIPTS = {"http": request("/plain"), "websocket": socket("/socket/a"), "lifespan": lifespan()}
JOURNALS = {
    "http": ["m1: in", "m2: in", "m3: in", "function", "m3: 200", "m2: 200", "m1: 200"],
    "websocket": ["m2: in websocket", "function"],
    "lifespan": ["m2: in lifespan"],
}


@requirement("APPL-06")
@for_each(kind=list(SCRIPTS))
def test_every_connection_goes_through_the_onion(submission: Submission, kind: str) -> None:
    """The first added is outermost, functions and classes in one; classes see WebSockets and lifespan, too."""
    middleware = [
        {"name": "m1", "kind": "function"},
        {"name": "m2", "kind": "class"},
        {"name": "m3", "kind": "function"},
    ]
    transcript = play(submission, SCRIPTS[kind], middleware=middleware)
    _ = transcript.returned
    assert journal(transcript) == JOURNALS[kind]


@requirement("APPL-06")
@for_each(first=["http", "websocket", "lifespan"])
def test_after_the_first_connection_none_is_added(submission: Submission, first: str) -> None:
    """Before the first connection, of whatever kind, middleware of both kinds is added; after it, RuntimeError."""
    for kind in KINDS:
        assert submission.call("added_late", kind=kind, first="nothing") == "added"
        with raised("RuntimeError"):
            submission.call("added_late", kind=kind, first=first)


# --- APPL-07 and 08: lifespan --------------------------------------------------------------------------------


@requirement("APPL-07")
def test_a_lifespan_from_startup_to_shutdown(submission: Submission) -> None:
    """The manager is called with the application, hooks run in order and in reverse; the state is the server's own."""
    transcript = play(submission, lifespan(), "living", database="open")
    assert transcript.returned is None
    assert journal(transcript) == [
        "m: in lifespan",
        "enter with FastASGI",
        "startup 1",
        "startup 2",
        "shutdown 2",
        "shutdown 1",
        "exit",
    ]
    assert of_type(transcript, "probe.journal")[0]["app.state.ready"] is True
    types = [message["type"] for message in of_type(transcript, "lifespan.")]
    assert types == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert transcript.scopes[0].get("state") == {"database": "open"}
    assert transcript.identities[0].get("state"), "scope['state'] must stay the dict that the server gave"


@requirement("APPL-07")
def test_a_request_has_the_state_that_came_with_it(submission: Submission) -> None:
    """`request.state` reads and writes the very `scope["state"]` that the server gave."""
    transcript = play(submission, request("/state", state={"database": "open", "mine": 1}))
    assert data_of(transcript) == {"database": "open", "mine": 1}
    assert transcript.scopes[0].get("state") == {"database": "open", "mine": 2}


@requirement("APPL-07")
@for_each(event=["start", "Startup"])
def test_there_are_two_events(submission: Submission, event: str) -> None:
    """`on_event` knows `startup` and `shutdown`, and raises ValueError for any other name."""
    submission.call("refused", what="on_event startup")
    submission.call("refused", what="on_event shutdown")
    with raised("ValueError"):
        submission.call("refused", what=f"on_event {event}")


@requirement("APPL-08")
def test_requests_are_answered_without_a_lifespan(submission: Submission) -> None:
    """A server that runs no lifespan, gives no state and leaves out what it may, is served; each request by itself."""
    optional = (
        "state",
        "asgi",
        "scheme",
        "raw_path",
        "root_path",
        "client",
        "server",
        "extensions",
        "headers",
    )
    bare = without(request("/plain"), *optional)
    assert ask(submission, bare, "without_lifespan") == {"status": 200, "body": "plain"}
    for _ in range(2):
        assert data_of(play(submission, without(request("/state"), "state"), "without_lifespan")) == {}


@requirement("APPL-08")
def test_an_unknown_kind_of_connection_is_refused(submission: Submission) -> None:
    """A connection of a kind that nobody knows raises RuntimeError, and nothing is sent."""
    assert ask(submission, request("/plain"), "without_lifespan") == {"status": 200, "body": "plain"}
    transcript = play(submission, Script(scope={"type": "mqtt.5", "path": "/plain"}), "without_lifespan")
    assert transcript.sent == []
    with raised("RuntimeError"):
        _ = transcript.returned


# --- APPL-09: the scope --------------------------------------------------------------------------------------

PAIRS = [(b"host", b"example.org"), (b"x-twice", b"1"), (b"x-twice", b"2")]
READ = [["host", "example.org"], ["x-twice", "1"], ["x-twice", "2"]]


TELLING = {"http": request("/scope"), "websocket": socket("/socket/a")}


@requirement("APPL-09")
@for_each(kind=list(TELLING))
def test_what_everything_inside_sees(submission: Submission, kind: str) -> None:
    """The scope names the application; it has a state, and no root of another application; the rest is as it came."""
    keys = {"fastasgi.app": "another", "fastasgi.root_path": "/another", "x.extra": "kept", "headers": PAIRS}
    script = without(TELLING[kind], "state", **keys)
    transcript = play(submission, script)
    told = data_of(transcript)
    expected = {
        "its own application": True,
        "fastasgi.root_path": "(absent)",
        "state": [],
        "x.extra": "kept",
        "headers": READ,
        "headers, read again": READ,
    }
    assert {key: told.get(key) for key in expected} == expected
    assert transcript.scopes[0] == script.scope, "the server's scope must stay as it was: copy it on entry"


@requirement("APPL-09")
@for_each(kind=list(TELLING))
def test_headers_can_be_read_twice(submission: Submission, kind: str) -> None:
    """Headers that can be read only once are a list inside, in the same order; absent ones are an empty list."""
    for script, read in (
        (without(TELLING[kind], headers=PAIRS), READ),
        (without(TELLING[kind], headers=Once(PAIRS)), READ),
        (without(TELLING[kind], "headers"), []),
    ):
        told = data_of(play(submission, script))
        assert (told.get("headers"), told.get("headers, read again")) == (read, read)


@requirement("APPL-09")
@for_each(kind=list(SCRIPTS))
def test_middleware_sees_the_same_scope(submission: Submission, kind: str) -> None:
    """The outermost middleware sees what the functions see; for lifespan no `state` is made up."""
    is_lifespan = kind == "lifespan"
    headers = {} if is_lifespan else {"headers": PAIRS}
    transcript = play(submission, without(SCRIPTS[kind], "state", **headers), "seeing")
    _ = transcript.returned
    seen = [message["seen"] for message in of_type(transcript, "probe.scope")]
    assert seen == [
        {
            "names the application": True,
            "state": "(absent)" if is_lifespan else {},
            "headers": [] if is_lifespan else [list(pair) for pair in PAIRS],
        }
    ]


@requirement("APPL-09")
def test_each_connection_has_a_state_of_its_own(submission: Submission) -> None:
    """Where the server gave no state, each connection gets a new dict; nothing of one shows in the next."""
    scripts = [without(request("/state"), "state") for _ in range(2)]
    transcript = submission.converse(scripts)
    for number, script in enumerate(scripts):
        assert data_of(transcript.of(number)) == {}, "the state of another request shows in this one"
        assert transcript.of(number).scopes[0] == script.scope


# --- APPL-10: the router's options ---------------------------------------------------------------------------


@requirement("APPL-10")
def test_the_routers_options(submission: Submission) -> None:
    """`converters` and `redirect_slashes` are handed on; a `router` is taken, also one that counts as false."""
    for kind, status in (("redirects", 307), ("no redirects", 404), ("router", 307)):
        assert ask(submission, request("/abc"), "with_options", kind=kind) == {"status": 200, "body": "ABC"}
        assert ask(submission, request("/abc/"), "with_options", kind=kind)["status"] == status
        assert ask(submission, request("/ABC"), "with_options", kind=kind)["status"] == 404


@requirement("APPL-10")
@for_each(what=["a router and converters", "a router and no redirects"])
def test_a_router_has_its_own_options(submission: Submission, what: str) -> None:
    """`converters`, or `redirect_slashes=False`, beside a `router` are a ValueError; alone, each is fine."""
    for alone in ("a router alone", "converters alone", "no redirects alone"):
        submission.call("refused", what=alone)
    with raised("ValueError"):
        submission.call("refused", what=what)


# --- APPL-11: one application in another ---------------------------------------------------------------------


@requirement("APPL-11")
def test_an_application_in_another_has_its_own_links(submission: Submission) -> None:
    """In a mounted application, `request.app` is that one, and `request.url_for` begins at its root."""
    for root in ("", "/api"):
        script = request(f"{root}/child/link/7", root_path=root)
        came_ = ask(submission, script, "nested")
        assert came_ == {"status": 200, "body": f"http://example.org{root}/child/link/7"}


@requirement("APPL-11")
@for_each(
    asked=[
        ("Failure", ["Failure"], ["Failure"], 418, "handler for inner Failure", None),
        ("Failure", [], ["Failure"], 500, "Internal Server Error", "Failure"),
        ("Failure", [], ["Exception"], 500, "Internal Server Error", "Failure"),
        ("HTTPException 409", [], ["409"], 409, "Conflict", None),
    ]
)
def test_an_application_in_another_answers_its_own_errors(
    submission: Submission, asked: tuple[str, list[str], list[str], int, str, str | None]
) -> None:
    """Its own handlers answer; what they do not know is answered once, by its 500, and raised through the outer one."""
    error, inner, outer, status, body, raised_ = asked
    transcript = play(submission, request(f"/child/raise/{error}"), "nested", inner=inner, outer=outer)
    received = {**answer_of(transcript), "raised": transcript.raised.name if transcript.raised else None}
    assert received == {"status": status, "body": body, "raised": raised_}
    assert len(of_type(transcript, "http.response.start")) == 1
