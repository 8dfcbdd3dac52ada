"""Judges the middleware chain by the order of things that its description foretells.

Rule 1: whoever is called in a conversation notes it; `steps` is all that happened, in the order in which it happened.
Rule 2: what a test is not about is done by functions that only pass, and by an application that only answers.
Rule 3: where something is ended by force, only that it ended counts, not when in the order of things.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from grader.suite import Script, Submission, Transcript, raised, requirement
from grader.suite import strategies as asgi

Message = asgi.Message
Change = list[Any]

NOTHING_LEFT = "0 tasks are left running"
START: Message = {"type": "http.response.start", "status": 200, "headers": [(b"x-app", b"1")]}
PIECE: Message = {"type": "http.response.body", "body": b"piece", "more_body": True}
LAST: Message = {"type": "http.response.body", "body": b"last", "more_body": False}
HINT: Message = {"type": "http.response.early_hint", "links": [b"</style.css>; rel=preload"]}
PATH: Message = {"type": "http.response.pathsend", "path": "/srv/film"}
TRAILERS: Message = {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")], "more_trailers": False}
FORM = b'--b\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\ncontent of the file\r\n--b--\r\n'
KINDS = st.lists(st.sampled_from(["asgi", "function"]), min_size=1, max_size=4)
DEPTHS = st.integers(1, 3)


# --- what happened ------------------------------------------------------------------------------------------


def request(
    submission: Submission,
    maker: str,
    *,
    events: Sequence[Message] = (),
    scope: Message | None = None,
    fail_sends: dict[int, str] | None = None,
    cancel: bool = False,
    **config: Any,
) -> Transcript:
    """One conversation, of HTTP where no other scope is given. After the events the client is gone."""
    script = Script(
        scope=scope or asgi.http_scope(),
        events=events,
        end="disconnect",
        fail_sends=fail_sends or {},
        cancel_when_blocked=cancel,
    )
    return submission.converse(script, maker=maker, **config)


def steps(transcript: Transcript) -> list[str]:
    """All that happened: notes, the types of messages that were sent, and how the call ended."""
    found = []
    for event in transcript.events:
        if event.kind in ("sent", "send_failed"):
            found.append(event.value["text"] if is_note(event.value) else f"→ {event.value.get('type')}")
        elif event.kind == "raised":
            found.append(f"raised {event.value.name}")
        elif event.kind in ("returned", "cancelled"):
            found.append(event.kind)
    return found


def notes(transcript: Transcript) -> list[str]:
    """What was noted."""
    return [message["text"] for message in transcript.sent if is_note(message)]


def sent(transcript: Transcript) -> list[Any]:
    """The messages that were sent to the server, headers as a list of tuples. Raises what the call raised."""
    _ = transcript.returned
    return [shown(message) for message in transcript.sent if not is_note(message)]


def body(transcript: Transcript) -> bytes:
    """The body that was sent. Raises what the call raised."""
    return b"".join(message.get("body", b"") for message in sent(transcript))


def is_note(message: Any) -> bool:
    return isinstance(message, dict) and message.get("type") == "probe.note"


def shown(message: Message) -> Message:
    """A message, its headers as a list of tuples if it is a start."""
    if message.get("type") != "http.response.start":
        return message
    return message | {"headers": [tuple(pair) for pair in message.get("headers", ())]}


# --- what is drawn ------------------------------------------------------------------------------------------


STARTS: list[Message] = [
    START,
    START | {"status": 404, "headers": ((b"set-cookie", b"a"), (b"x-a", b"\xe9"), (b"set-cookie", b"b"))},
    START | {"headers": [[b"x-a", b""]], "trailers": True, "x.id": 1},
    {"type": "http.response.start", "status": 500},
]
PIECES: list[Message] = [
    PIECE,
    PIECE | {"body": b"\x00\xff"},
    PIECE | {"body": b""},
    PIECE | {"x.id": 1},
    {"type": "http.response.body", "more_body": True},
    {"type": "http.response.push", "path": "/a", "headers": []},
]
ENDS: list[list[Message]] = [
    [LAST],
    [LAST | {"body": b""}],
    [{"type": "http.response.body", "body": b"last"}],
    [{"type": "http.response.body"}],
    [PATH],
    [LAST, TRAILERS],
]


def responses() -> st.SearchStrategy[list[Message]]:
    """The messages of a response: hints before it, keys absent or unknown, empty chunks, trailers."""
    before = st.lists(st.just(HINT), max_size=1)
    start, pieces = (
        st.sampled_from(STARTS).map(lambda start: [start]),
        st.lists(st.sampled_from(PIECES), max_size=4),
    )
    return st.tuples(before, start, pieces, st.sampled_from(ENDS)).map(lambda parts: [*chain(*parts)])


NAMES = st.sampled_from(["x-a", "x-b", "set-cookie"])
VALUES = asgi.header_values().map(lambda value: value.decode("latin-1"))
PAIRS = st.lists(st.tuples(NAMES.map(str.encode), asgi.header_values()), max_size=5)
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("set"), NAMES, VALUES).map(list),
        st.tuples(st.just("append"), NAMES, VALUES).map(list),
        st.tuples(st.just("delete"), NAMES).map(list),
        st.tuples(st.just("status"), st.sampled_from([200, 418, 503])).map(list),
    ),
    max_size=4,
)


# ---- CHAIN-01: the onion -------------------------------------------------------------------------


@requirement("CHAIN-01")
@given(kinds=KINDS)
@example(kinds=["asgi", "asgi"])
@example(kinds=["function", "function"])
@example(kinds=["function", "asgi", "function"])
@example(kinds=["asgi", "function", "asgi"])
def test_the_first_added_is_outermost(submission: Submission, kinds: list[str]) -> None:
    """The first added gets a request before all others, and sees its response after all others."""
    transcript = request(submission, "onion", kinds=kinds)
    names = [f"{kind} {place}" for place, kind in enumerate(kinds)]
    assert notes(transcript) == [*names, "app", *(f"{name} sees the response" for name in reversed(names))]
    assert body(transcript) == b"app"


@requirement("CHAIN-01")
def test_a_chain_without_middleware_is_the_application(submission: Submission) -> None:
    """A chain to which nothing was added is the application itself."""
    transcript = request(submission, "passing", messages=[START, LAST], functions=0)
    assert notes(transcript) == ["app"]
    assert sent(transcript) == [START, LAST]


# ---- CHAIN-02: made once -------------------------------------------------------------------------


@requirement("CHAIN-02")
@given(
    kinds=st.lists(st.sampled_from(["http", "websocket", "lifespan"]), min_size=1, max_size=3),
    options=st.lists(
        st.dictionaries(
            st.sampled_from(["limit", "factory", "function", "name", "scope"]), st.integers(), max_size=2
        ),
        min_size=1,
        max_size=3,
    ),
)
@example(kinds=["http", "http"], options=[{"limit": 1}])
@example(kinds=["lifespan", "http"], options=[{}, {"limit": 2}])
@example(kinds=["websocket"], options=[{"factory": 1}])
@example(kinds=["http"], options=[{"function": 1}])
def test_a_factory_is_called_once(
    submission: Submission, kinds: list[str], options: list[dict[str, int]]
) -> None:
    """Each factory is called once, with the application further in and its options, before the first connection."""
    calls, given_app = submission.call("made", kinds=kinds, options=options)
    assert sorted(map(repr, calls)) == sorted(map(repr, options))
    assert given_app == len(options), "factory(app, **options) has to get what is further in as `app`"


# ---- CHAIN-03: closed ----------------------------------------------------------------------------


@requirement("CHAIN-03")
@given(
    kind=st.sampled_from(["http", "websocket", "lifespan", "mqtt"]), how=st.sampled_from(["add", "function"])
)
@example(kind="http", how="add")
@example(kind="http", how="function")
@example(kind="websocket", how="add")
@example(kind="lifespan", how="function")
@example(kind="lifespan", how="add")
@example(kind="mqtt", how="add")
def test_nothing_is_added_later(submission: Submission, kind: str, how: str) -> None:
    """Before the first connection all may be added; after it, whatever its kind, RuntimeError, and no change."""
    assert submission.call("add_after", kind=None, how=how) == ["first", "late", "app"]
    with raised("RuntimeError"):
        submission.call("add_after", kind=kind, how=how)
    assert submission.call("serve_after_refusal", kind=kind, how=how) == ["first", "app"]


# ---- CHAIN-04: what is no middleware -------------------------------------------------------------


@requirement("CHAIN-04")
@given(value=st.none() | st.text(max_size=3) | st.integers() | st.just({}))
@example(value=None)
@example(value="Middleware")
def test_what_cannot_be_called_is_refused(submission: Submission, value: Any) -> None:
    """`add` takes what can be called, and raises TypeError for anything else; `add_function` raises it too."""
    assert submission.call("add_after", kind=None, how="add") == ["first", "late", "app"]
    with raised("TypeError"):
        submission.call("add_value", value=value, how="add")
    with raised("TypeError"):
        submission.call("add_value", value=value, how="function")


@requirement("CHAIN-04")
@given(
    right=st.sampled_from(["async def", "partial", "object"]),
    wrong=st.sampled_from(["def", "method", "class"]),
)
@example(right="async def", wrong="def")
@example(right="partial", wrong="method")
@example(right="object", wrong="class")
def test_a_function_is_async(submission: Submission, right: str, wrong: str) -> None:
    """`add_function` takes async functions, partials of them and objects that are called like them; no others."""
    assert submission.call("add_kind", kind=right) == [right, "app"]
    with raised("TypeError"):
        submission.call("add_kind", kind=wrong)


# ---- CHAIN-05: what cannot be made ---------------------------------------------------------------


@requirement("CHAIN-05")
def test_a_lifespan_is_told_that_a_layer_cannot_be_made(submission: Submission) -> None:
    """A factory that raises fails the startup: `lifespan.startup.failed` is sent, then the exception is raised."""
    startup = {"type": "lifespan.startup"}
    scope = asgi.lifespan_scope()
    fine = request(submission, "unmakeable", scope=scope, events=[startup] * 2, breaks=False)
    assert fine.received == [startup] * 2
    failing = request(submission, "unmakeable", scope=scope, events=[startup])
    assert failing.sequence == ["← lifespan.startup", "→ lifespan.startup.failed", "raised"]
    assert str(failing.raised) == "Failure: no configuration"


@requirement("CHAIN-05")
@given(kinds=st.lists(st.sampled_from(["http", "websocket", "lifespan"]), min_size=1, max_size=3))
@example(kinds=["http", "http"])
@example(kinds=["lifespan", "http"])
def test_every_connection_learns_that_a_layer_cannot_be_made(
    submission: Submission, kinds: list[str]
) -> None:
    """What a factory raises comes out of every call of the chain, not of the first only."""
    assert submission.call("add_and_serve", kinds=kinds) == ["no configuration"] * len(kinds)


# ---- CHAIN-06: other kinds of connections --------------------------------------------------------


OTHER_SCOPES: list[asgi.Scope] = [
    asgi.websocket_scope(path="/chat", subprotocols=["chat"]),
    {"type": "websocket", "path": "/", "headers": []},
    asgi.lifespan_scope(),
    {"type": "lifespan"},
    {"type": "mqtt", "topic": "t"},
    {"type": "https", "method": "GET", "path": "/", "headers": []},
]


@requirement("CHAIN-06")
@given(
    scope=st.sampled_from(OTHER_SCOPES),
    functions=DEPTHS,
    extra=st.sampled_from([{}, {"text": "data"}, {"x.id": 1}]),
)
@example(scope=OTHER_SCOPES[0], functions=1, extra={})
@example(scope=OTHER_SCOPES[2], functions=1, extra={})
@example(scope=OTHER_SCOPES[4], functions=2, extra={"x.id": 1})
@example(scope=OTHER_SCOPES[5], functions=1, extra={})
def test_other_connections_go_past_functions(
    submission: Submission, scope: asgi.Scope, functions: int, extra: dict[str, Any]
) -> None:
    """A function is called for HTTP; a connection of another kind reaches the application as if it were not there."""
    whole = [{"type": "http.request"}, {"type": "http.disconnect"}]
    http = request(submission, "around_echo", functions=functions, events=whole)
    assert notes(http) == ["function"] * functions
    events = [{"type": f"{scope['type']}.first"} | extra, {"type": f"{scope['type']}.second"}]
    other = request(submission, "around_echo", functions=functions, scope=scope, events=events)
    assert notes(other) == [], "a function is for HTTP only"
    assert sent(other) == [
        {"type": "probe.scope", "scope": scope},
        *({"type": "probe.event", "event": event} for event in events),
    ]


# ---- CHAIN-07: values ----------------------------------------------------------------------------


@requirement("CHAIN-07")
@given(value=st.text(max_size=4) | st.binary(max_size=4), outside=st.integers(0, 2))
@example(value="text", outside=0)
@example(value=b"bytes", outside=1)
def test_what_a_function_returns_becomes_the_response(
    submission: Submission, value: str | bytes, outside: int
) -> None:
    """A function that returns a value answers with it, as a handler does; nothing further in runs."""
    transcript = request(submission, "returning", value=value, outside=outside)
    assert body(transcript) == (value.encode() if isinstance(value, str) else value)
    assert content_type(transcript) == (
        b"text/plain; charset=utf-8" if isinstance(value, str) else b"application/octet-stream"
    )
    assert notes(transcript) == [], "the application has run, although nobody called call_next"


def content_type(transcript: Transcript) -> bytes | None:
    start = sent(transcript)[0]
    return dict(start["headers"]).get(b"content-type")


@requirement("CHAIN-07")
@given(value=st.sampled_from([None, {}, {"a": 1}, {"a": "b", "c": True}, [], [1, None]]))
@example(value={"a": 1})
@example(value=None)
def test_a_dict_becomes_json(submission: Submission, value: Any) -> None:
    """A dict or list that a function returns becomes JSON, None an empty body."""
    transcript = request(submission, "returning", value=value)
    assert body(transcript) == (b"" if value is None else json.dumps(value, separators=(",", ":")).encode())
    assert content_type(transcript) == (None if value is None else b"application/json")


@requirement("CHAIN-07")
@given(
    outside=st.lists(st.sampled_from(["asgi", "function"]), max_size=2),
    kind=st.sampled_from(["asgi", "function"]),
)
@example(outside=[], kind="function")
@example(outside=["asgi"], kind="function")
@example(outside=["function"], kind="asgi")
def test_one_that_answers_hides_what_is_further_in(
    submission: Submission, outside: list[str], kind: str
) -> None:
    """A layer that answers by itself is answered through those outside of it, and no other layer runs."""
    kinds = [*outside, kind]
    transcript = request(submission, "onion", kinds=[*kinds, "function", "asgi"], answering=len(outside))
    names = [f"{kind} {number}" for number, kind in enumerate(kinds)]
    seen = [f"{name} sees the response" for name in reversed(names[:-1])]
    assert notes(transcript) == [*names, *seen]
    assert body(transcript) == names[-1].encode()


@requirement("CHAIN-07")
@given(status=st.sampled_from([200, 201, 404]), pairs=PAIRS, content=st.binary(max_size=4))
@example(status=201, pairs=[(b"set-cookie", b"a"), (b"set-cookie", b"b")], content=b"made")
def test_a_response_is_sent_as_it_is(
    submission: Submission, status: int, pairs: list[asgi.Header], content: bytes
) -> None:
    """A Response that a function returns is sent with its status, headers and body."""
    texts = [(name.decode(), value.decode("latin-1")) for name, value in pairs]
    transcript = request(submission, "returning_response", status=status, headers=texts, body=content)
    start = sent(transcript)[0]
    assert start["status"] == status
    assert [pair for pair in start["headers"] if pair[0] in (b"x-a", b"x-b", b"set-cookie")] == pairs
    assert body(transcript) == content


@requirement("CHAIN-07")
def test_a_stream_learns_that_the_client_is_gone(submission: Submission) -> None:
    """A response needs a `receive`: before ASGI 2.4 a stream learns by it that the client is gone."""
    scope = asgi.http_scope(asgi={"version": "3.0", "spec_version": "2.3"})
    transcript = request(submission, "streaming", scope=scope, events=asgi.request_events([b""]))
    assert transcript.returned is None
    assert sent(transcript)[0]["status"] == 200


# ---- CHAIN-08: the response of call_next ---------------------------------------------------------


@requirement("CHAIN-08")
@given(pairs=PAIRS, changes=CHANGES, functions=st.integers(1, 2))
@example(pairs=[], changes=[], functions=1)
@example(pairs=[(b"x-a", b"1")], changes=[["status", 418]], functions=1)
@example(pairs=[(b"x-a", b"1")], changes=[["set", "x-b", "2"]], functions=2)
@example(pairs=[(b"x-a", b"1")], changes=[["set", "x-a", "2"], ["delete", "x-a"]], functions=1)
@example(pairs=[(b"set-cookie", b"a"), (b"x-a", b"\xe9"), (b"set-cookie", b"b")], changes=[], functions=1)
def test_the_response_is_seen_and_changed(
    submission: Submission, pairs: list[asgi.Header], changes: list[Change], functions: int
) -> None:
    """A function sees status and headers as the application sent them, and what it changes is sent."""
    start = START | {"headers": pairs, "x.kept": 1}
    messages = [start, PIECE, LAST]
    transcript = request(submission, "changing", messages=messages, changes=changes, functions=functions)
    assert notes(transcript) == ["app", f"a Response 200 {pairs}"]
    status, headers = changed(200, pairs, changes)
    assert sent(transcript) == [start | {"status": status, "headers": headers}, PIECE, LAST]


@requirement("CHAIN-08")
@given(functions=DEPTHS)
@example(functions=1)
def test_a_response_may_have_no_headers(submission: Submission, functions: int) -> None:
    """A start message without `headers` is one without any; they may be set all the same."""
    start = {"type": "http.response.start", "status": 200}
    changes = [["set", "x-a", "1"]]
    transcript = request(submission, "changing", messages=[start, LAST], changes=changes, functions=functions)
    assert notes(transcript) == ["app", "a Response 200 []"]
    assert sent(transcript) == [start | {"headers": [(b"x-a", b"1")]}, LAST]


def changed(status: int, pairs: list[asgi.Header], changes: list[Change]) -> tuple[int, list[asgi.Header]]:
    """What status and headers are after these changes."""
    for change, *arguments in changes:
        if change == "status":
            status = arguments[0]
            continue
        name, *rest = (argument.encode("latin-1") for argument in arguments)
        places = [place for place, pair in enumerate(pairs) if pair[0] == name]
        if change == "append" or (change == "set" and not places):
            pairs = [*pairs, (name, rest[0])]
        elif change == "set":
            kept = [pair for place, pair in enumerate(pairs) if place not in places[1:]]
            kept[places[0]] = (name, rest[0])
            pairs = kept
        else:
            pairs = [pair for pair in pairs if pair[0] != name]
    return status, pairs


# ---- CHAIN-09: as it is, when it comes -----------------------------------------------------------


@requirement("CHAIN-09")
@given(messages=responses(), functions=DEPTHS)
@example(messages=[START, LAST], functions=1)
@example(messages=[START, PIECE, PIECE, LAST], functions=1)
@example(messages=[START, {"type": "http.response.body", "more_body": True}, LAST], functions=1)
@example(messages=[START, {"type": "http.response.body"}], functions=2)
@example(messages=[START, PATH], functions=1)
@example(messages=[HINT, START | {"trailers": True}, PIECE, LAST, TRAILERS], functions=2)
@example(messages=[START | {"x.id": 1}, LAST | {"x.id": 2}], functions=1)
def test_messages_pass_as_they_are(submission: Submission, messages: list[Message], functions: int) -> None:
    """Each message goes on as it came: none is left out, joined, cut, made up or changed in place."""
    transcript = request(submission, "passing", messages=messages, functions=functions)
    assert sent(transcript) == [shown(message) for message in messages]
    assert notes(transcript) == ["app"]


@requirement("CHAIN-09")
@given(messages=responses(), functions=DEPTHS)
@example(messages=[START, PIECE, PIECE, LAST], functions=1)
@example(messages=[START, PIECE, LAST], functions=3)
@example(messages=[HINT, START, LAST, TRAILERS], functions=1)
def test_the_application_waits_until_its_message_was_sent(
    submission: Submission, messages: list[Message], functions: int
) -> None:
    """A message goes on before the application makes the next one: nothing is collected, nobody runs ahead."""
    transcript = request(submission, "passing", messages=messages, functions=functions, notes=True)
    expected = ["app"]
    for number, message in enumerate(messages):
        expected += [f"makes {number}", f"→ {message['type']}"]
    assert steps(transcript) == [*expected, "returned"]


@requirement("CHAIN-09")
@given(paths=st.lists(st.text("abc", min_size=1, max_size=4), min_size=2, max_size=4), functions=DEPTHS)
@example(paths=["aaaa", "bb", "c"], functions=1)
def test_connections_at_the_same_time_stay_apart(
    submission: Submission, paths: list[str], functions: int
) -> None:
    """Several connections may be served at the same time: each gets its own response."""
    scripts = [Script(scope=asgi.http_scope(path=path)) for path in paths]
    transcript = submission.converse(scripts, maker="told_apart", functions=functions)
    bodies = [body(transcript.of(number)).decode() for number in range(len(paths))]
    assert bodies == paths


# ---- CHAIN-10: exceptions ------------------------------------------------------------------------


@st.composite
def failures(draw: st.DrawFn) -> dict[str, Any]:
    """After how many messages the application raises, in how many functions, and which of them catches that."""
    functions = draw(DEPTHS)
    return {
        "raises": draw(st.integers(0, 3)),
        "functions": functions,
        "catcher": draw(st.none() | st.integers(0, functions - 1)),
    }


@requirement("CHAIN-10")
@given(failure=failures())
@example(failure={"raises": 0, "functions": 1, "catcher": None})
@example(failure={"raises": 0, "functions": 1, "catcher": 0})
@example(failure={"raises": 0, "functions": 3, "catcher": 1})
@example(failure={"raises": 1, "functions": 1, "catcher": None})
@example(failure={"raises": 2, "functions": 2, "catcher": 0})
@example(failure={"raises": 3, "functions": 1, "catcher": None})
def test_what_the_application_raises_comes_out(submission: Submission, failure: dict[str, Any]) -> None:
    """Before the response begins `call_next` raises what the application raised; later, the call does."""
    messages = [START, PIECE, PIECE]
    transcript = request(submission, "catching", messages=messages, **failure)
    expected, fails = ["app"], failure["raises"] == 0
    for place in reversed(range(failure["functions"])):
        expected.append(f"{place} catches Failure: app" if fails else f"{place} sees the response")
        fails = fails and place != failure["catcher"]
    assert notes(transcript) == expected
    if failure["raises"] == 0 and not fails:
        assert body(transcript) == b"caught"
        return
    assert transcript.raised is not None, "what the application raised is lost"
    assert str(transcript.raised) == "Failure: app"
    assert [message for message in transcript.sent if not is_note(message)] == messages[: failure["raises"]]


@requirement("CHAIN-10")
@given(when=st.sampled_from(["before", "after"]), outside=st.integers(0, 2))
@example(when="before", outside=0)
@example(when="after", outside=0)
@example(when="after", outside=1)
def test_what_a_function_raises_comes_out(submission: Submission, when: str, outside: int) -> None:
    """What a function raises comes out of the call; of the response that it had, nothing is sent."""
    transcript = request(submission, "raising", when=when, outside=outside)
    assert str(transcript.raised) == "Failure: function"
    assert [message for message in transcript.sent if not is_note(message)] == []
    assert ("app" in notes(transcript)) == (when == "after")


# ---- CHAIN-11: exceptions of the server ----------------------------------------------------------


@requirement("CHAIN-11")
@given(
    place=st.integers(0, 3),
    functions=DEPTHS,
    error=st.sampled_from(["ConnectionResetError", "BrokenPipeError", "OSError"]),
)
@example(place=0, functions=1, error="ConnectionResetError")
@example(place=1, functions=1, error="OSError")
@example(place=3, functions=2, error="BrokenPipeError")
@example(place=2, functions=3, error="OSError")
def test_the_application_learns_that_sending_fails(
    submission: Submission, place: int, functions: int, error: str
) -> None:
    """Where the server's `send` raises, the application's own `send` raises that, and then the call does."""
    messages = [START, PIECE, PIECE, LAST]
    transcript = request(
        submission,
        "passing",
        messages=messages,
        functions=functions,
        fail_sends={place + 1: error},  # the first is the application's note
    )
    types = [f"→ {message['type']}" for message in messages[: place + 1]]
    assert steps(transcript) == ["app", *types, f"app's send raises {error}", f"raised {error}"]


# ---- CHAIN-12: twice, and not at all -------------------------------------------------------------


@requirement("CHAIN-12")
def test_call_next_is_called_once(submission: Submission) -> None:
    """A second `call_next` raises RuntimeError and runs nothing; the first response can still be returned."""
    transcript = request(submission, "calling_twice")
    assert notes(transcript) == ["app", "the second call_next raises RuntimeError"]
    assert body(transcript) == b"app"


@requirement("CHAIN-12")
def test_call_next_is_not_called_again_after_a_failure(submission: Submission) -> None:
    """Nor may it be called again where the first `call_next` has raised."""
    transcript = request(submission, "calling_twice", fails=True)
    assert notes(transcript) == ["app", "the second call_next raises RuntimeError"]
    assert body(transcript) == b"gave up"


@requirement("CHAIN-12")
@given(functions=DEPTHS, before=st.lists(st.just(HINT), max_size=1))
@example(functions=1, before=[])
@example(functions=2, before=[])
@example(functions=1, before=[HINT])
def test_an_application_without_a_response_is_an_error(
    submission: Submission, functions: int, before: list[Message]
) -> None:
    """Where the application returns without `http.response.start`, `call_next` raises RuntimeError."""
    answered = request(submission, "passing", messages=[*before, START, LAST], functions=functions)
    assert sent(answered) == [*before, START, LAST]
    with raised("RuntimeError"):
        _ = request(submission, "passing", messages=before, functions=functions).returned
    events = asgi.request_events([b"body"])
    with raised("RuntimeError"):
        _ = request(submission, "passing", messages=before, receives=1, events=events).returned
    gone = request(submission, "passing", messages=before, receives=2, events=events)
    assert gone.raised is not None, "without a response, call_next raises, whatever the reason"


# ---- CHAIN-13: the request -----------------------------------------------------------------------


@requirement("CHAIN-13")
@given(
    how=st.sampled_from(["not", "body", "text"]),
    parts=asgi.chunks_and_gaps(max_size=4),
    functions=st.integers(1, 2),
)
@example(how="not", parts=[b"Hello, ", b"", b"ASGI!"], functions=1)
@example(how="body", parts=[b"Hello, ", b"ASGI!"], functions=1)
@example(how="body", parts=[b"Hello, ", b"ASGI!"], functions=2)
@example(how="text", parts=[b"Hello"], functions=1)
def test_the_body_is_there_again(
    submission: Submission, how: str, parts: list[bytes], functions: int
) -> None:
    """A function may read the body, and the application gets it all the same, whole."""
    if how == "text":
        parts = [part.hex().encode() for part in parts]
    transcript = request(
        submission, "reading", how=how, functions=functions, events=asgi.request_events(parts)
    )
    whole = b"".join(parts)
    assert body(transcript) == whole
    assert notes(transcript) == ([] if how == "not" else [f"function reads {whole!r}"] * functions)
    assert transcript.received == asgi.request_events(parts)


@requirement("CHAIN-13")
@given(functions=DEPTHS)
@example(functions=1)
def test_nothing_is_received_before_somebody_asks(submission: Submission, functions: int) -> None:
    """Where neither a function nor the application reads the body, nothing is received."""
    events = asgi.request_events([b"one", b"two"])
    asked = request(submission, "reading", how="not", functions=functions, events=events)
    assert asked.received == events
    unasked = request(submission, "reading", how="not", functions=functions, events=events, wants=False)
    assert body(unasked) == b""
    assert unasked.received == []


@requirement("CHAIN-13")
@given(path=st.text("/ab", min_size=1, max_size=4), functions=st.integers(1, 2))
@example(path="/other", functions=1)
@example(path="/x", functions=2)
def test_a_function_may_hand_on_another_request(submission: Submission, path: str, functions: int) -> None:
    """The application gets the scope of the Request that `call_next` was given; the server's stays as it was."""
    scope = asgi.http_scope(path="/")
    events = asgi.request_events([b"body"])
    transcript = request(submission, "rewriting", path=path, functions=functions, scope=scope, events=events)
    assert body(transcript) == f"/{path * functions} {b'body'!r}".encode()
    assert transcript.scopes[0]["path"] == "/"


@requirement("CHAIN-13")
@given(value=st.sampled_from(["request 7", "request 8"]), functions=DEPTHS)
@example(value="request 7", functions=1)
def test_context_variables_go_in(submission: Submission, value: str, functions: int) -> None:
    """A context variable that a function sets before it calls `call_next` is seen further in."""
    assert body(request(submission, "with_variable", value=value, functions=functions)) == value.encode()


# ---- CHAIN-14: nothing is left -------------------------------------------------------------------


@requirement("CHAIN-14")
@given(outside=st.integers(0, 2), inside=st.integers(0, 2))
@example(outside=0, inside=0)
@example(outside=1, inside=0)
@example(outside=0, inside=1)
def test_a_response_that_is_not_wanted_ends_the_application(
    submission: Submission, outside: int, inside: int
) -> None:
    """Where a function returns another response, the application is cancelled, and has ended before the call does."""
    wanted = request(submission, "ending", messages=[START, PIECE, LAST], functions=outside + inside + 1)
    assert body(wanted) == b"piecelast"
    transcript = request(
        submission, "dropping", messages=[START, PIECE, LAST], outside=outside, inside=inside
    )
    assert body(transcript) == b"another"
    cancelled_and_ended(transcript)


def cancelled_and_ended(transcript: Transcript) -> None:
    """The application was cancelled, and nothing is left."""
    assert "app is cancelled" in notes(transcript), (
        "a response that is dropped stays in its first send, and is cancelled there"
    )
    assert notes(transcript)[-1] == NOTHING_LEFT


@requirement("CHAIN-14")
@given(inside=st.integers(0, 2))
@example(inside=0)
@example(inside=1)
def test_an_application_that_is_too_slow_is_cancelled(submission: Submission, inside: int) -> None:
    """Where a function gives up waiting for `call_next`, the application is cancelled."""
    transcript = request(submission, "giving_up", inside=inside)
    assert body(transcript) == b"too slow"
    cancelled_and_ended(transcript)


@requirement("CHAIN-14")
@given(messages=st.sampled_from([[], [START], [START, PIECE], [START, LAST]]), functions=DEPTHS)
@example(messages=[], functions=1)
@example(messages=[START], functions=1)
@example(messages=[START, PIECE], functions=2)
def test_a_cancelled_call_ends_the_application(
    submission: Submission, messages: list[Message], functions: int
) -> None:
    """Where the server cancels the call, the application is cancelled, and has ended before the call does."""
    transcript = request(
        submission, "ending", messages=messages, functions=functions, waits=True, cancel=True
    )
    assert [message for message in transcript.sent if not is_note(message)] == messages
    cancelled_and_ended(transcript)
    assert steps(transcript)[-1] == "cancelled", "let CancelledError go through to the server"


@requirement("CHAIN-14")
@given(functions=DEPTHS)
@example(functions=1)
@example(functions=2)
def test_work_after_the_last_message_is_done(submission: Submission, functions: int) -> None:
    """An application that goes on working after its last message comes to its end before the call does."""
    transcript = request(submission, "ending", messages=[START, LAST], functions=functions, works=True)
    types = ["→ http.response.start", "→ http.response.body"]
    assert steps(transcript) == ["app", *types, "app has worked", NOTHING_LEFT, "returned"]


@requirement("CHAIN-14")
@given(fails=st.booleans())
@example(fails=False)
@example(fails=True)
def test_the_request_is_closed(submission: Submission, fails: bool) -> None:
    """At the end of the call the request is closed, with the files of its form, also where the function raises."""
    scope = asgi.http_scope(method="POST", headers=[(b"content-type", b"multipart/form-data; boundary=b")])
    events = asgi.request_events([FORM])
    transcript = request(submission, "with_form", scope=scope, events=events, fails=fails)
    assert notes(transcript) == ["the file is open", "the file is closed"]
    assert (transcript.raised is not None) == fails
