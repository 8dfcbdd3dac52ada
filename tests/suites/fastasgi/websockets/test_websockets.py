"""What a `WebSocket` promises, in scripted conversations: the script is the server.

Rule 1: a handler is a list of steps, and `told` gives what happened in its order: messages, and what each step
        gave or raised. What is expected is told in the same words.
Rule 2: a script holds the events that are owed; who receives more, is given a disconnect, and it shows.
Rule 3: keys that the protocol lets one leave out are put in before anything is compared.
Rule 4: what the table allows is decided by `Model`, which knows nothing of messages' contents.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hypothesis import example, given
from hypothesis import strategies as st

from grader.suite import Script, Submission, Transcript, raised, requirement
from grader.suite import strategies as asgi

Test = TypeVar("Test", bound=Callable[..., None])
Step = list[Any]

CONNECT: asgi.Message = {"type": "websocket.connect"}
GONE: asgi.Message = {"type": "websocket.disconnect", "code": 1001, "reason": "away"}
DENIAL = {"websocket.http.response": {}}
RECEIVED, ACCEPTED = "← websocket.connect", "→ websocket.accept"
ACCEPT = [RECEIVED, ACCEPTED, "accept: done"]
VERSIONS = ["2.0", "2.1", "2.2", "2.3", "2.5", "2.10", "3.0"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
DATA = st.binary(max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=4,
)

# --- conversations ------------------------------------------------------------------------------------------


def text(data: str) -> asgi.Message:
    """A message of text from the client."""
    return {"type": "websocket.receive", "text": data}


def data(data: bytes) -> asgi.Message:
    """A message of bytes from the client."""
    return {"type": "websocket.receive", "bytes": data}


def scope_of(version: str | None = "2.5", **keys: Any) -> asgi.Scope:
    """A websocket's scope, of a server that speaks this version, or does not say which."""
    spoken = {"version": "3.0"} if version is None else {"version": "3.0", "spec_version": version}
    return asgi.websocket_scope(asgi=spoken, **keys)


def script_of(*events: asgi.Message, scope: asgi.Scope | None = None, **options: Any) -> Script:
    """A conversation with these events. After them, every receive gives a disconnect."""
    return Script(scope=scope or scope_of(), events=list(events), **{"end": "disconnect", **options})


def do(submission: Submission, steps: Sequence[Step], *events: asgi.Message, **options: Any) -> Transcript:
    """Do all steps with one WebSocket whose events are CONNECT and these."""
    return submission.converse(script_of(CONNECT, *events, **options), maker="handler", steps=list(steps))


def end(
    submission: Submission, steps: Sequence[Step], *events: asgi.Message, raises: str = "", **options: Any
) -> Transcript:
    """Do the steps in an `async with` block that ends so; its events are CONNECT and these."""
    config = {"steps": list(steps), "raises": raises}
    return submission.converse(script_of(CONNECT, *events, **options), maker="block", **config)


def told(transcript: Transcript) -> list[str]:
    """What happened, in order: each message by its type, each step by what it gave or raised."""
    _ = transcript.returned
    return [_told(event.kind, event.value) for event in transcript.events[:-1]]


def _told(kind: str, value: Any) -> str:
    if not isinstance(value, dict):
        return f"{kind} {value!r}"
    if value.get("type") == "probe.did":
        return outcome(value)
    arrow = {"received": "←", "sent": "→", "send_failed": "→ failed"}[kind]
    return f"{arrow} {value.get('type')}"


def outcome(did: dict[str, Any]) -> str:
    """What a step gave or raised, in words."""
    gave = did.get("gave")
    given = "done" if gave is None else f"gave {gave!r}"
    return f"{did['step']}: {did.get('raised', given)}"


def outcomes(transcript: Transcript) -> list[str]:
    """What each step gave or raised."""
    _ = transcript.returned
    return [outcome(message) for message in transcript.sent if _is_told(message)]


def reports(transcript: Transcript, step: str) -> list[dict[str, Any]]:
    """What the probe told of each step of this name."""
    _ = transcript.returned
    return [message for message in transcript.sent if _is_told(message) and message["step"] == step]


def messages(transcript: Transcript) -> list[dict[str, Any]]:
    """The messages to the client, with all that may be left out put in."""
    defaults = {
        "websocket.accept": {"type": None, "subprotocol": None, "headers": []},
        "websocket.send": {"type": None, "text": None, "bytes": None},
        "websocket.close": {"type": None, "code": 1000, "reason": ""},
    }
    return [
        _plain(defaults.get(message.get("type"), {}) | message) if isinstance(message, dict) else message
        for message in transcript.sent
        if not _is_told(message)
    ]


def _plain(message: dict[str, Any]) -> dict[str, Any]:
    if isinstance(message.get("headers"), list | tuple):
        message["headers"] = [tuple(pair) for pair in message["headers"]]
    if message.get("type") == "websocket.close":
        message["reason"] = message["reason"] or ""
    return message


def _is_told(message: Any) -> bool:
    return isinstance(message, dict) and message.get("type") == "probe.did"


def types(transcript: Transcript) -> list[str]:
    """The types of the messages to the client."""
    return [message.get("type", "") for message in messages(transcript)]


def sent(text: str | None = None, data: bytes | None = None) -> dict[str, Any]:
    """A message to the client."""
    return {"type": "websocket.send", "text": text, "bytes": data}


def closed(code: int, reason: str = "") -> dict[str, Any]:
    """A close."""
    return {"type": "websocket.close", "code": code, "reason": reason}


def pinned(**values: Any) -> Callable[[Test], Test]:
    """Pins an example for each value in the first list, the others being as they are."""
    name, *others = values
    rest = {other: values[other] for other in others}

    def decorate(test: Test) -> Test:
        for value in reversed(values[name]):
            test = example(**{name: value}, **rest)(test)
        return test

    return decorate


# --- SOCK-01: the handshake ---------------------------------------------------------------------------------


@requirement("SOCK-01")
def test_accept_answers_connect(submission: Submission) -> None:
    """Making a WebSocket receives and sends nothing; `accept` takes `websocket.connect` and sends one accept."""
    transcript = submission.converse(script_of(scope=scope_of(path="/chat")), maker="make")
    made = transcript.returned
    assert (made["is an HTTPConnection"], made["path"], made["subprotocol"]) == (True, "/chat", None)
    assert transcript.sequence == ["returned"]
    assert told(do(submission, [["accept"]])) == ACCEPT


@requirement("SOCK-01")
@given(kind=st.sampled_from(["http", "lifespan", "webtransport"]))
@pinned(kind=["http", "lifespan", "webtransport"])
def test_other_scopes_are_refused(submission: Submission, kind: str) -> None:
    """A WebSocket is made of a websocket's scope, and of another type's it raises RuntimeError."""
    assert submission.converse(script_of(), maker="make").returned["path"] == "/"
    other = submission.converse(script_of(scope=scope_of() | {"type": kind}), maker="make")
    with raised("RuntimeError"):
        _ = other.returned


@requirement("SOCK-01")
@given(
    first=st.sampled_from(["accept", "deny", "close"]),
    event=st.sampled_from([GONE, text("early"), {"type": "x"}]),
)
@example(first="accept", event=GONE)
@example(first="deny", event=GONE)
@example(first="close", event=GONE)
@example(first="accept", event=text("early"))
@example(first="deny", event={"type": "http.request"})
@example(first="close", event=text("early"))
def test_another_event_first(submission: Submission, first: str, event: asgi.Message) -> None:
    """Where the first event is not `websocket.connect`, nothing is sent, and what is right is raised."""
    assert told(do(submission, [["accept"]])) == ACCEPT
    script = script_of(event, scope=scope_of(extensions=DENIAL))
    gone = "done" if first == "close" else "WebSocketDisconnect"
    expected = [f"← {event['type']}", f"{first}: {gone if event == GONE else 'RuntimeError'}"]
    assert told(submission.converse(script, maker="handler", steps=[[first]])) == expected


# --- SOCK-02: the subprotocol -------------------------------------------------------------------------------

PROTOCOLS = st.lists(st.sampled_from(["a", "b", "c", "chat", "chat.v2"]), unique=True, max_size=4)


@requirement("SOCK-02")
@given(offered=st.none() | PROTOCOLS, known=st.none() | PROTOCOLS)
@example(offered=["a", "b"], known=["b", "a"])
@example(offered=["x", "b"], known=["a", "b"])
@example(offered=["a"], known=["b"])
@example(offered=["chat.v2"], known=["chat"])
@example(offered=["a"], known=[])
@example(offered=["a"], known=None)
@example(offered=[], known=["a"])
@example(offered=None, known=["a"])
def test_the_first_that_is_offered_and_known_is_chosen(
    submission: Submission, offered: list[str] | None, known: list[str] | None
) -> None:
    """Of a sequence, `accept` takes the first in the client's order that the application knows, or none."""
    scope = scope_of(subprotocols=offered)
    if offered is None and known:
        del scope["subprotocols"]
    assert submission.converse(script_of(scope=scope), maker="make").returned["subprotocols"] == (
        offered or []
    )
    chosen = next((one for one in offered or [] if one in (known or [])), None)
    transcript = do(submission, [["accept", known], ["subprotocol"]], scope=scope)
    result = "done" if chosen is None else f"gave {chosen!r}"
    assert outcomes(transcript) == ["accept: done", f"subprotocol: {result}"]
    assert [message["subprotocol"] for message in messages(transcript)] == [chosen]


@requirement("SOCK-02")
@given(offered=PROTOCOLS, wanted=st.sampled_from(["a", "chat", "", "A"]))
@example(offered=["chat", "a"], wanted="a")
@example(offered=["chat", "b"], wanted="a")
@example(offered=["abc"], wanted="a")
@example(offered=["a"], wanted="")
def test_one_that_is_not_offered_is_refused(submission: Submission, offered: list[str], wanted: str) -> None:
    """A str must be one that the client offers; else ValueError, nothing is sent, and one may accept again."""
    steps = [["accept", wanted], ["accept"]]
    transcript = do(submission, steps, scope=scope_of(subprotocols=offered))
    results = ["done", "RuntimeError"] if wanted in offered else ["ValueError", "done"]
    assert outcomes(transcript) == [f"accept: {result}" for result in results]
    chosen = wanted if wanted in offered else None
    assert [message["subprotocol"] for message in messages(transcript)] == [chosen]


# --- SOCK-03: headers of accept -----------------------------------------------------------------------------


@requirement("SOCK-03")
@given(
    version=st.none() | st.sampled_from(VERSIONS),
    headers=st.dictionaries(
        st.sampled_from(["X-A", "x-b", "Set-Cookie"]), st.text("aé 1", max_size=3).map(str.strip)
    ),
)
@example(version="2.5", headers={"X-A": "1", "set-cookie": "é"})
@example(version="2.1", headers={"X-A": "1"})
@example(version="2.0", headers={"X-A": "1"})
@example(version="2.10", headers={"X-A": "1"})
@example(version="10.0", headers={"X-A": "1"})
@example(version=None, headers={"X-A": "1"})
def test_headers_go_to_servers_that_know_them(
    submission: Submission, version: str | None, headers: dict[str, str]
) -> None:
    """Headers of `accept` are sent as lower-case bytes, from version 2.1 on."""
    transcript = do(submission, [["accept", None, headers]], scope=scope_of(version))
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    expected = raw if version not in (None, "2.0") else []
    assert told(transcript) == ACCEPT
    assert [message["headers"] for message in messages(transcript)] == [expected]


@requirement("SOCK-03")
@given(
    headers=st.sampled_from(
        [{"sec-websocket-protocol": "a"}, {"Sec-WebSocket-Protocol": "a"}, {"x": "1\r\ny: 2"}, {"x\n": "1"}]
    )
)
@pinned(
    headers=[
        {"sec-websocket-protocol": "a"},
        {"x-a": "1", "Sec-WebSocket-Protocol": "a"},
        {"x": "1\r\ny: 2"},
        {"x": "1\ny"},
        {"x\n": "1"},
    ]
)
def test_headers_that_may_not_stand_there_are_refused(
    submission: Submission, headers: dict[str, str]
) -> None:
    """Sec-WebSocket-Protocol, and CR or LF, are a ValueError: nothing is sent, and one may accept again."""
    steps = [["accept", None, headers], ["accept", None, {"X-A": "1"}]]
    transcript = do(submission, steps, scope=scope_of(subprotocols=["a"]))
    assert outcomes(transcript) == ["accept: ValueError", "accept: done"]
    assert [message["headers"] for message in messages(transcript)] == [[(b"x-a", b"1")]]


# --- SOCK-04, SOCK-05: messages -----------------------------------------------------------------------------


def came(message: str | bytes, *, whole: bool) -> asgi.Message:
    """A message from the client; its other key is None where it is `whole`, else absent."""
    event = text(message) if isinstance(message, str) else data(message)
    return {"text": None, "bytes": None, "x.id": 1, **event} if whole else event


@requirement("SOCK-04")
@given(said=st.lists(TEXTS | DATA, min_size=1, max_size=4), whole=st.booleans())
@example(said=["hello", b"\x00\xff"], whole=False)
@example(said=["", b""], whole=False)
@example(said=["a", b"a"], whole=True)
@example(said=["", b""], whole=True)
def test_a_message_is_text_or_bytes(submission: Submission, said: list[str | bytes], whole: bool) -> None:
    """`receive` gives each message as what it is, also an empty one; the other key may be absent or None."""
    events = [came(message, whole=whole) for message in said]
    transcript = do(submission, [["accept"], *[["receive"]] * len(said)], *events)
    steps = [["← websocket.receive", f"receive: gave {message!r}"] for message in said]
    assert told(transcript) == [*ACCEPT, *(line for step in steps for line in step)]


NO_MESSAGES: list[asgi.Message] = [
    {"type": "websocket.receive"},
    {"type": "websocket.receive", "text": None, "bytes": None},
    {"type": "websocket.receive", "text": "a", "bytes": b"a"},
    {"type": "websocket.receive", "text": "", "bytes": b""},
    {"type": "websocket.connect"},
    {"type": "http.request", "text": "a"},
]


@requirement("SOCK-04")
@given(event=st.sampled_from(NO_MESSAGES))
@pinned(event=NO_MESSAGES)
def test_what_is_no_message_raises(submission: Submission, event: asgi.Message) -> None:
    """An event that is no message is a RuntimeError, and one that is a message is given."""
    transcript = do(submission, [["accept"], ["receive"], ["receive"]], text("hello"), event)
    assert outcomes(transcript) == ["accept: done", "receive: gave 'hello'", "receive: RuntimeError"]


@requirement("SOCK-05")
@given(method=st.sampled_from(["receive_text", "receive_bytes"]), words=TEXTS)
@example(method="receive_text", words="hello")
@example(method="receive_bytes", words="hello")
@example(method="receive_text", words="")
@example(method="receive_bytes", words="")
def test_the_other_kind_raises(submission: Submission, method: str, words: str) -> None:
    """`receive_text` on bytes, and `receive_bytes` on text, is a RuntimeError with both words; one may go on."""
    kinds: list[tuple[asgi.Message, Any]] = [(text(words), words), (data(words.encode()), words.encode())]
    (right, given), (wrong, _) = kinds if method == "receive_text" else reversed(kinds)
    transcript = do(submission, [["accept"], [method], [method], ["send_text", "on"]], wrong, right)
    assert outcomes(transcript)[1:] == [
        f"{method}: RuntimeError",
        f"{method}: gave {given!r}",
        "send_text: done",
    ]
    says = reports(transcript, method)[0]["words"].lower()
    both = "text" in says and "bytes" in says
    assert both, f"the error must name both kinds, text and bytes, but it says {says!r}"


# --- SOCK-06, SOCK-07: sending, JSON ------------------------------------------------------------------------


@requirement("SOCK-06")
@given(words=TEXTS, raw=DATA)
@example(words="hello", raw=b"\x00\xff")
@example(words="", raw=b"")
def test_a_message_is_sent_as_what_it_is(submission: Submission, words: str, raw: bytes) -> None:
    """`send_text` sends a str as `text`, `send_bytes` bytes as `bytes`, and nothing under the other key."""
    transcript = do(submission, [["accept"], ["send_text", words], ["send_bytes", raw]])
    assert outcomes(transcript)[1:] == ["send_text: done", "send_bytes: done"]
    assert messages(transcript)[1:] == [sent(words), sent(None, raw)]


WRONG_KINDS: list[Step] = [
    ["send_text", b"a"],
    ["send_text", None],
    ["send_text", 1],
    ["send_bytes", "a"],
    ["send_bytes", bytearray(b"a")],
    ["send_bytes", None],
]


@requirement("SOCK-06")
@given(step=st.sampled_from(WRONG_KINDS))
@pinned(step=WRONG_KINDS)
def test_the_other_kind_is_not_sent(submission: Submission, step: Step) -> None:
    """Anything but a str for `send_text`, and but bytes for `send_bytes`, is a TypeError and is not sent."""
    transcript = do(submission, [["accept"], step, ["send_text", "on"]])
    assert outcomes(transcript)[1:] == [f"{step[0]}: TypeError", "send_text: done"]
    assert messages(transcript)[1:] == [sent("on")]


@requirement("SOCK-07")
@given(value=VALUES, mode=st.sampled_from([None, "text", "bytes"]))
@example(value={"é": [1, None, True]}, mode=None)
@example(value="é", mode="bytes")
@example(value=0, mode="text")
def test_json_is_sent(submission: Submission, value: Any, mode: str | None) -> None:
    """`send_json` sends JSON for a value, as text, or as bytes where `mode` says so."""
    transcript = do(submission, [["accept"], ["send_json", value, *([mode] if mode else [])]])
    assert outcomes(transcript)[1:] == ["send_json: done"]
    message = messages(transcript)[-1]
    kind, other = ("bytes", "text") if mode == "bytes" else ("text", "bytes")
    assert message[other] is None, f"with mode={mode!r} the JSON must go out as {kind}, not as {other}"
    written = message[kind].decode("utf-8") if kind == "bytes" else message[kind]
    assert json.loads(written) == value


@requirement("SOCK-07")
@given(value=VALUES, as_bytes=st.booleans())
@example(value={"é": [1, None, True]}, as_bytes=False)
@example(value="é", as_bytes=True)
def test_json_is_received_as_either_kind(submission: Submission, value: Any, as_bytes: bool) -> None:
    """`receive_json` reads a message of text, and one of bytes in UTF-8."""
    written = json.dumps(value, ensure_ascii=False)
    event = data(written.encode()) if as_bytes else text(written)
    transcript = do(submission, [["accept"], ["receive_json"]], event)
    assert [did.get("gave") for did in reports(transcript, "receive_json")] == [value]


NO_JSON = [
    *(text(words) for words in ("", "{", "hello", "NaN", "[-Infinity]", '{"a": Infinity}')),
    *(data(raw) for raw in (b"", b"\xff", b'"\xe9"', b"NaN")),
]


@requirement("SOCK-07")
@given(event=st.sampled_from(NO_JSON))
@pinned(event=NO_JSON)
def test_what_is_no_json_raises(submission: Submission, event: asgi.Message) -> None:
    """`receive_json` raises ValueError for what is no JSON, NaN and infinity too; the connection stays open."""
    steps = [["accept"], ["receive_json"], ["receive_json"], ["send_text", "on"]]
    transcript = do(submission, steps, event, text("[1]"))
    expected = ["receive_json: ValueError", "receive_json: gave [1]", "send_text: done"]
    assert outcomes(transcript)[1:] == expected


@requirement("SOCK-07")
@given(value=st.sampled_from([float("nan"), float("inf"), [float("-inf")], {"a": b"b"}, {1}]))
@pinned(value=[float("nan"), [float("inf")], {"a": float("-inf")}, b"a", {1}])
def test_what_json_has_no_form_for_is_not_sent(submission: Submission, value: Any) -> None:
    """`send_json` raises TypeError or ValueError for what is no JSON, NaN and infinity too, and sends nothing."""
    transcript = do(submission, [["accept"], ["send_json", value], ["send_json", 1]])
    first, second = outcomes(transcript)[1:]
    assert first in ("send_json: TypeError", "send_json: ValueError"), (
        f"expected TypeError or ValueError: {first}"
    )
    assert second == "send_json: done"
    assert len(messages(transcript)) == 2, "of the two values only the second can be sent as JSON"


# --- SOCK-08, SOCK-09: the client goes ----------------------------------------------------------------------


@requirement("SOCK-08")
@given(
    event=st.fixed_dictionaries(
        {}, optional={"code": st.none() | st.integers(1000, 4999), "reason": st.none() | TEXTS}
    ),
    method=st.sampled_from(["receive", "receive_text", "receive_bytes", "receive_json"]),
)
@example(event={"code": 1001, "reason": "away"}, method="receive_text")
@example(event={"code": 1000}, method="receive")
@example(event={"code": 4000, "reason": None}, method="receive_bytes")
@example(event={"code": None, "reason": ""}, method="receive_json")
@example(event={}, method="receive")
def test_a_disconnect_tells_why(submission: Submission, event: asgi.Message, method: str) -> None:
    """A client that goes is a WebSocketDisconnect with the event's code and reason, or 1005 and an empty text."""
    assert submission.call("disconnect", code=1001, reason="away") == [1001, "away"]
    assert submission.call("disconnect") == [1000, ""]
    transcript = do(submission, [["accept"], [method]], {"type": "websocket.disconnect", **event})
    assert outcomes(transcript)[1:] == [f"{method}: WebSocketDisconnect"]
    (told_of_it,) = reports(transcript, method)
    code = event.get("code") if event.get("code") is not None else 1005
    assert (told_of_it["code"], told_of_it["reason"]) == (code, event.get("reason") or "")


WRITE: dict[str, Callable[[str], asgi.Message]] = {
    "iter_text": text,
    "iter_bytes": lambda words: data(words.encode()),
    "iter_json": lambda words: text(json.dumps(words)),
}


def given_by(method: str, said: list[str]) -> list[Any]:
    """What an iterator gives of what a client said."""
    return [words.encode() for words in said] if method == "iter_bytes" else said


@requirement("SOCK-09")
@given(method=st.sampled_from(sorted(WRITE)), said=st.lists(TEXTS, max_size=4))
@example(method="iter_text", said=["hello", "", "again"])
@example(method="iter_bytes", said=["hello", "", "again"])
@example(method="iter_json", said=["hello", "", "again"])
@example(method="iter_text", said=[])
def test_iterators_give_all_until_the_client_goes(
    submission: Submission, method: str, said: list[str]
) -> None:
    """An iterator gives each message before it receives the next, and ends when the client goes."""
    transcript = do(submission, [["accept"], [method]], *map(WRITE[method], said), GONE)
    assert told(transcript) == [
        *ACCEPT,
        *["← websocket.receive", "→ websocket.send"] * len(said),
        "← websocket.disconnect",
        f"{method}: gave {given_by(method, said)!r}",
    ]


@requirement("SOCK-09")
@given(method=st.sampled_from(sorted(WRITE)), before=st.integers(0, 2))
@example(method="iter_text", before=0)
@example(method="iter_bytes", before=1)
@example(method="iter_json", before=1)
def test_iterators_end_where_this_side_closes(submission: Submission, method: str, before: int) -> None:
    """An iterator ends, and receives no more, when the loop's body has closed the connection."""
    events = [WRITE[method](words) for words in ("one", "two", "three")]
    transcript = do(submission, [["accept"], [method, before]], *events, text("too late"))
    said = given_by(method, ["one", "two", "three"][: before + 1])
    assert told(transcript) == [
        *ACCEPT,
        *["← websocket.receive"] * (before + 1),
        "→ websocket.close",
        f"{method}: gave {said!r}",
    ]


@requirement("SOCK-09")
@given(
    wrong=st.sampled_from([["iter_text", data(b"a")], ["iter_bytes", text("a")], ["iter_json", text("{")]])
)
@pinned(wrong=[["iter_text", data(b"a")], ["iter_bytes", text("a")], ["iter_json", text("{")]])
def test_iterators_raise_what_a_receive_raises(submission: Submission, wrong: list[Any]) -> None:
    """Only the end ends an iterator: a message of the other kind, or of no JSON, raises as elsewhere."""
    method, event = wrong
    error = "ValueError" if method == "iter_json" else "RuntimeError"
    transcript = do(submission, [["accept"], [method], [method]], WRITE[method]("a"), event, GONE)
    assert outcomes(transcript)[1:] == [f"{method}: {error}", f"{method}: gave []"]
    assert types(transcript) == ["websocket.accept", "websocket.send"], "the first message was to be given"


# --- SOCK-10: send fails ------------------------------------------------------------------------------------

OS_ERRORS = ["OSError", "ConnectionResetError", "BrokenPipeError", "TimeoutError"]


@requirement("SOCK-10")
@given(error=st.sampled_from(OS_ERRORS), step=st.sampled_from([["send_text", "a"], ["send_bytes", b"a"]]))
@example(error="OSError", step=["send_text", "a"])
@example(error="ConnectionResetError", step=["send_bytes", b"a"])
@example(error="TimeoutError", step=["send_json", [1]])
def test_an_oserror_is_a_disconnect(submission: Submission, error: str, step: Step) -> None:
    """An OSError out of `send` is WebSocketDisconnect(1006); after it nothing is sent or received."""
    steps = [["accept"], step, step, ["receive"], ["close"]]
    transcript = do(submission, steps, text("too late"), fail_sends={2: error})
    name = step[0]
    assert told(transcript) == [
        *ACCEPT,
        "→ failed websocket.send",
        *[f"{name}: WebSocketDisconnect"] * 2,
        "receive: RuntimeError",
        "close: done",
    ]
    assert [did["code"] for did in reports(transcript, name)] == [1006, 1006]


@requirement("SOCK-10")
@given(
    error=st.sampled_from(OS_ERRORS),
    steps=st.sampled_from([["accept"], ["deny"], ["close"], ["accept", "close"]]),
)
@pinned(steps=[["accept"], ["deny"], ["close"], ["accept", "close"]], error="ConnectionResetError")
def test_an_oserror_out_of_another_step(submission: Submission, error: str, steps: list[str]) -> None:
    """It is the same out of `accept`, and out of `deny`; a `close` that reaches nobody is done all the same."""
    last = steps[-1]
    kind = {"deny": "http.response.start"}.get(last, last)
    script = script_of(CONNECT, scope=scope_of(extensions=DENIAL), fail_sends={2 * len(steps) - 2: error})
    whole = [[step] for step in [*steps, "send_text", "close"]]
    whole[-2].append("a")
    transcript = submission.converse(script, maker="handler", steps=whole)
    assert told(transcript) == [
        *(ACCEPT if len(steps) > 1 else [RECEIVED]),
        f"→ failed websocket.{kind}",
        f"{last}: {'done' if last == 'close' else 'WebSocketDisconnect'}",
        "send_text: WebSocketDisconnect",
        "close: done",
    ]
    codes = [did["code"] for did in reports(transcript, last) if "code" in did]
    assert codes == ([] if last == "close" else [1006])


@requirement("SOCK-10")
@given(step=st.sampled_from(["accept", "deny", "close"]))
@pinned(step=["accept", "deny", "close"])
def test_another_error_goes_through(submission: Submission, step: str) -> None:
    """Only an OSError says that the client is gone: any other exception out of `send` goes through as it is."""
    script = script_of(CONNECT, scope=scope_of(extensions=DENIAL))
    transcript = submission.converse(script, maker="refused", steps=[[step]])
    assert outcomes(transcript) == [f"{step}: KeyError"]


# --- SOCK-11: close -----------------------------------------------------------------------------------------


def is_right(code: int, reason: str) -> bool:
    """Whether a close may be sent (RFC 6455, sections 5.5 and 7.4)."""
    of_the_protocol = 1000 <= code <= 1014 and code not in (1004, 1005, 1006)
    return (of_the_protocol or 3000 <= code <= 4999) and len(reason.encode()) <= 123


@requirement("SOCK-11")
@given(
    code=st.sampled_from([1000, 1001, 1011, 3000, 4999]) | st.integers(-1, 5100),
    reason=TEXTS | st.sampled_from(["é" * 61, "x" * 124]),
)
@pinned(
    code=[1000, 1003, 1007, 1014, 3000, 4999, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 0, -1],
    reason="bye",
)
@example(code=4000, reason="x" * 123)
@example(code=4000, reason="x" * 124)
@example(code=4000, reason="é" * 61 + "x")
@example(code=4000, reason="é" * 62)
def test_what_may_be_sent_is_sent(submission: Submission, code: int, reason: str) -> None:
    """A close goes out with its code and reason; one that may not be sent is a ValueError and changes nothing."""
    if is_right(code, reason):
        transcript = do(submission, [["accept"], ["close", code, reason]])
        assert outcomes(transcript)[1:] == ["close: done"]
        assert messages(transcript)[1:] == [closed(code, reason)]
    else:
        steps = [["accept"], ["close", code, reason], ["send_text", "on"], ["close", 4321]]
        transcript = do(submission, steps)
        assert outcomes(transcript)[1:] == ["close: ValueError", "send_text: done", "close: done"]
        assert messages(transcript)[1:] == [sent("on"), closed(4321)]


@requirement("SOCK-11")
@given(version=st.none() | st.sampled_from(VERSIONS))
@pinned(version=[None, "2.0", "2.2", "2.3", "2.10", "10.0"])
def test_a_reason_goes_to_servers_that_know_it(submission: Submission, version: str | None) -> None:
    """The code of a close is 1000 where nobody says another; its reason is sent from version 2.3 on."""
    scope = scope_of(version)
    assert messages(do(submission, [["accept"], ["close"]], scope=scope))[1:] == [closed(1000)]
    transcript = do(submission, [["accept"], ["close", 4000, "bye"]], scope=scope)
    known = version not in (None, "2.0", "2.1", "2.2")
    assert outcomes(transcript)[1:] == ["close: done"]
    assert messages(transcript)[1:] == [closed(4000, "bye" if known else "")]


# --- SOCK-12: the table -------------------------------------------------------------------------------------


class Model:
    """A connection as the table has it: what its steps give, and which events and failures that takes."""

    def __init__(self) -> None:
        self.state = "before accept"
        self.steps: list[Step] = []
        self.events: list[asgi.Message] = []
        self.fails: dict[int, str] = {}
        self.lines: list[str] = []

    def do(self, name: str, happens: str) -> None:
        """Do a step, at which this happens if it comes to that."""
        steps = {"accept": self._answer, "deny": self._deny, "close": self._close}
        steps.get(name, self._use)(name, happens)

    def _answer(self, name: str, happens: str) -> None:
        if self.state != "before accept":
            self._tell(name, "RuntimeError")
            return
        self._connect()
        self._send("websocket.accept", "open", happens)
        self._tell(name, "WebSocketDisconnect" if happens == FAILS else "done")

    def _deny(self, name: str, happens: str) -> None:
        if self.state != "before accept":
            self._tell(name, "RuntimeError")
            return
        self._connect()
        self._send("websocket.http.response.start", "closed")
        self._send("websocket.http.response.body", "closed")
        self._tell(name, "done")

    def _close(self, name: str, happens: str) -> None:
        if self.state in ("before accept", "open"):
            self._connect()
            self._send("websocket.close", "closed", happens)
        self._tell(name, "done")

    def _use(self, name: str, happens: str) -> None:
        """A step that needs an open connection."""
        if self.state == "open":
            kinds = {"send": self._say, "receive": self._receive, "iter": self._iterate}
            kinds[name.partition("_")[0]](name, happens)
        elif name.startswith("iter_") and self.state != "before accept":
            self._tell(name, "gave []")
        elif name.startswith("send_") and self.state == "gone":
            self._tell(name, "WebSocketDisconnect")
        else:
            self._tell(name, "RuntimeError")

    def _say(self, name: str, happens: str) -> None:
        self._send("websocket.send", "open", happens)
        self._tell(name, "WebSocketDisconnect" if happens == FAILS else "done")

    def _receive(self, name: str, happens: str) -> None:
        self._take(GONE if happens == LEAVES else text("hello"))
        self.state = "gone" if happens == LEAVES else "open"
        self._tell(name, "WebSocketDisconnect" if happens == LEAVES else "gave 'hello'")

    def _iterate(self, name: str, happens: str) -> None:
        """An iterator that ends with the client, after one message at most."""
        given = [] if happens == LEAVES else ["hello"]
        for words in given:
            self._take(text(words))
            self._send("websocket.send", "open")
        self._take(GONE)
        self.state = "gone"
        self._tell(name, f"gave {given!r}")

    def _connect(self) -> None:
        if not self.events:
            self._take(CONNECT)

    def _take(self, event: asgi.Message) -> None:
        self.events.append(event)
        self.lines.append(f"← {event['type']}")

    def _send(self, kind: str, state: str, happens: str = "") -> None:
        fails = happens == FAILS
        if fails:
            self.fails[self._sends] = "ConnectionResetError"
        self.lines.append(f"→ {'failed ' if fails else ''}{kind}")
        self.state = "gone" if fails else state

    def _tell(self, name: str, result: str) -> None:
        arguments = {"send_text": ["a"], "send_bytes": [b"a"]}
        self.steps.append([name, *arguments.get(name, [])])
        self.lines.append(f"{name}: {result}")

    @property
    def _sends(self) -> int:
        """How many messages were sent so far, those of the probe too."""
        return sum(not line.startswith("←") for line in self.lines)

    def script(self) -> Script:
        """The conversation in which all of this happens."""
        return script_of(*self.events, scope=scope_of(extensions=DENIAL), fail_sends=self.fails)


Plan = list[tuple[str, str]]
SENT, FAILS = "goes well", "send fails"
COMES, LEAVES = "a message comes", "the client goes"
ROWS: Plan = [
    *((name, SENT) for name in ("accept", "deny", "send_text", "send_bytes", "close")),
    *((name, COMES) for name in ("receive", "receive_text", "iter_text")),
]
"""Each row of the table, where nothing fails and the client is there."""
OTHERS: Plan = [
    *((name, FAILS) for name in ("accept", "send_text", "close")),
    *((name, LEAVES) for name in ("receive", "iter_text")),
]
"""What else may happen."""
COLUMNS: dict[str, Plan] = {
    "before accept": [],
    "open": [("accept", SENT)],
    "closed": [("accept", SENT), ("close", SENT)],
    "refused": [("close", SENT)],
    "denied": [("deny", SENT)],
    "gone": [("accept", SENT), ("receive", LEAVES)],
    "gone, as send has shown": [("accept", SENT), ("send_text", FAILS)],
}
"""How one comes to each state."""
ENTRIES: list[Plan] = [[*steps, row] for steps in COLUMNS.values() for row in ROWS]
"""The table, entry by entry."""


@requirement("SOCK-12")
@given(plan=st.lists(st.sampled_from(ROWS + OTHERS), min_size=1, max_size=8))
@pinned(plan=ENTRIES)
def test_each_state_allows_what_the_table_says(submission: Submission, plan: Plan) -> None:
    """Whatever is done in whatever order: what the state allows happens, anything else raises and sends nothing."""
    model = Model()
    for name, happens in plan:
        model.do(name, happens)
    assert told(submission.converse(model.script(), maker="handler", steps=model.steps)) == model.lines


@requirement("SOCK-12")
@given(lengths=st.lists(st.integers(0, 3), min_size=2, max_size=3))
@example(lengths=[1, 0])
@example(lengths=[2, 1, 3])
def test_connections_stay_apart(submission: Submission, lengths: list[int]) -> None:
    """Several connections at the same time: what one has come to does not show in the others."""
    said = [[f"{number}.{place}" for place in range(length)] for number, length in enumerate(lengths)]
    scripts = [script_of(CONNECT, *map(text, words), GONE) for words in said]
    transcript = submission.converse(
        scripts, maker="handler", steps=[["accept"], ["iter_text"], ["send_text", "too late"]]
    )
    for number, words in enumerate(said):
        one = transcript.of(number)
        expected = ["accept: done", f"iter_text: gave {words!r}", "send_text: WebSocketDisconnect"]
        assert outcomes(one) == expected


# --- SOCK-13: the block -------------------------------------------------------------------------------------

RAISES = st.sampled_from(["", "KeyError", "WebSocketDisconnect"])


def ended(transcript: Transcript, raises: str) -> None:
    """The block has ended quietly, or with the KeyError of its own."""
    if raises == "KeyError":
        with raised("KeyError"):
            _ = transcript.returned
    else:
        assert transcript.returned == "went on after the block"


@requirement("SOCK-13")
@given(raises=RAISES, state=st.sampled_from(["before accept", "open", "closed"]))
@example(raises="", state="open")
@example(raises="KeyError", state="open")
@example(raises="WebSocketDisconnect", state="open")
@example(raises="", state="before accept")
@example(raises="KeyError", state="before accept")
@example(raises="WebSocketDisconnect", state="before accept")
@example(raises="", state="closed")
@example(raises="KeyError", state="closed")
def test_a_block_ends_the_connection(submission: Submission, raises: str, state: str) -> None:
    """A block that returns closes with 1000, one that raises with 1011; before accept both refuse; never twice."""
    steps: dict[str, list[Step]] = {
        "before accept": [],
        "open": [["accept"]],
        "closed": [["accept"], ["close", 4000]],
    }
    transcript = end(submission, steps[state], raises=raises)
    ended(transcript, raises)
    assert [message["type"] for message in transcript.received] == ["websocket.connect"]
    if state == "before accept":
        assert types(transcript) == ["websocket.close"]
        return
    code = 4000 if state == "closed" else 1011 if raises == "KeyError" else 1000
    assert messages(transcript)[1:] == [closed(code)]


@requirement("SOCK-13")
@given(raises=RAISES, left=st.sampled_from(["by event", "by send", "first"]))
@example(raises="", left="by event")
@example(raises="KeyError", left="by event")
@example(raises="", left="by send")
@example(raises="KeyError", left="by send")
@example(raises="", left="first")
def test_a_client_that_has_gone_gets_nothing(submission: Submission, raises: str, left: str) -> None:
    """Where the client is gone, the block sends nothing; a WebSocketDisconnect ends in it, others go on."""
    if left == "first":
        transcript = submission.converse(script_of(GONE), maker="block", steps=[["accept"]], raises=raises)
        ended(transcript, "")
        assert messages(transcript) == []
        return
    if left == "by event":
        transcript = end(submission, [["accept"], ["iter_text"]], GONE, raises=raises)
        ended(transcript, raises)
        assert types(transcript) == ["websocket.accept"]
        assert len(transcript.received) == 2, "after websocket.disconnect nothing more is to be received"
        return
    transcript = end(submission, [["accept"], ["send_text", "a"]], raises=raises, fail_from=1)
    ended(transcript, "")
    assert types(transcript) == ["websocket.accept", "websocket.send"]


@requirement("SOCK-13")
def test_a_cancelled_block_stays_cancelled(submission: Submission) -> None:
    """A CancelledError goes on, too: whoever has cancelled the handler waits for it."""
    transcript = end(submission, [["accept"], ["receive"]], end="block", cancel_when_blocked=True)
    assert transcript.sequence[:2] == [RECEIVED, ACCEPTED]
    assert transcript.sequence[-1] == "cancelled", "the block has swallowed the CancelledError"


# --- SOCK-14: denial ----------------------------------------------------------------------------------------

START, BODY = "websocket.http.response.start", "websocket.http.response.body"


def deny(submission: Submission, kind: str, *events: asgi.Message, **keys: Any) -> Transcript:
    """Deny by a response of this kind, then try what must not come after it."""
    scope = scope_of(**{"extensions": DENIAL, **keys})
    return do(submission, [["deny", kind], ["close"], ["accept"]], *events, scope=scope)


@requirement("SOCK-14")
@given(kind=st.sampled_from(["text", "streamed"]))
@pinned(kind=["text", "streamed"])
def test_a_denial_is_a_response(submission: Submission, kind: str) -> None:
    """`deny` sends what the response sends, each message under its type, and nothing may come after it."""
    transcript = deny(submission, kind)
    assert outcomes(transcript) == ["deny: done", "close: done", "accept: RuntimeError"]
    start, *bodies = messages(transcript)
    assert [start["type"], *{message["type"] for message in bodies}] == [START, BODY]
    assert b"".join(message.get("body", b"") for message in bodies) == b"no"
    assert [message.get("more_body", False) for message in bodies] == [True] * (len(bodies) - 1) + [False]
    assert (start["status"], (b"www-authenticate", b"Basic") in start["headers"]) == (401, True)


@requirement("SOCK-14")
def test_a_denial_sees_a_request(submission: Submission) -> None:
    """The response is called as for a request: type http, method GET, no extensions, the rest as it is."""
    extensions = DENIAL | {"http.response.pathsend": {}}
    transcript = deny(submission, "of its scope", path="/secret", extensions=extensions)
    assert types(transcript) == [START, BODY]
    seen = json.loads(messages(transcript)[-1]["body"])
    assert seen["extensions"] in ({}, None), "what the extensions promise holds for HTTP only: offer none"
    assert (seen["type"], seen["method"], seen["path"]) == ("http", "GET", "/secret")
    assert transcript.scopes[0]["type"] == "websocket", "the scope itself must stay as it is: copy it"


@requirement("SOCK-14")
def test_a_denial_learns_that_the_client_goes(submission: Submission) -> None:
    """A response that starts, receives and then ends gets `http.disconnect` once the client is gone; all is sent on."""
    transcript = deny(submission, "waits", GONE)
    assert types(transcript) == [START, BODY]
    assert messages(transcript)[-1]["body"] == b"http.disconnect"


@requirement("SOCK-14")
@given(
    extensions=st.sampled_from([None, {}, {"tls": {}}, {"http.response.pathsend": {}}]), absent=st.booleans()
)
@example(extensions={}, absent=False)
@example(extensions={"tls": {}}, absent=False)
@example(extensions=None, absent=False)
@example(extensions=None, absent=True)
def test_a_server_without_denials_gets_a_close(
    submission: Submission, extensions: dict[str, Any] | None, absent: bool
) -> None:
    """Where the server does not offer the extension, `deny` refuses by a plain close; where it does, it is used."""
    assert types(deny(submission, "text")) == [START, BODY]
    scope = scope_of(extensions=extensions)
    if absent:
        del scope["extensions"]
    transcript = do(submission, [["deny", "breaks"], ["close"], ["accept"]], scope=scope)
    assert told(transcript) == [
        RECEIVED,
        "→ websocket.close",
        "deny: done",
        "close: done",
        "accept: RuntimeError",
    ]


@requirement("SOCK-14")
def test_a_denial_that_breaks(submission: Submission) -> None:
    """A response that raises half-way stays half; one that raises before its start has not answered yet."""
    half = deny(submission, "breaks half-way")
    assert outcomes(half) == ["deny: KeyError", "close: done", "accept: RuntimeError"]
    assert types(half) == [START]
    scope = scope_of(extensions=DENIAL)
    unbegun = do(submission, [["deny", "breaks"], ["accept"]], scope=scope)
    assert outcomes(unbegun) == ["deny: KeyError", "accept: done"]
    assert types(unbegun) == ["websocket.accept"]
