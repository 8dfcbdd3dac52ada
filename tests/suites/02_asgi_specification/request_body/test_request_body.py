"""What `stream_body` and `read_body` promise, in scripted conversations: the script is the server.

Rule 1: after the script's last event, `receive` gives `http.disconnect`: who reads on, sees the client go.
Rule 2: empty chunks, absent keys, disconnects and limits are tried apart, so that each mistake is told.
"""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from grader.suite import Script, Submission, Transcript, raised, requirement
from grader.suite import strategies as asgi

Events = list[asgi.Message]
DISCONNECT: asgi.Message = {"type": "http.disconnect"}
SEVERAL = st.lists(asgi.chunks().filter(bool), min_size=2, max_size=3)
THE_CLIENT_IS_THERE = "the client is still there: raise a RuntimeError, not a ClientDisconnect"


def converse(submission: Submission, function: str, events: Events, **options: Any) -> Transcript:
    """Call the function in a request whose events are `events`."""
    script = Script(scope=asgi.http_scope(method="POST"), events=events, end="disconnect")
    return submission.converse(script, maker=function, **options)


def body_of(transcript: Transcript) -> Any:
    """The body that `read_body` returned. Raises what it raised."""
    return transcript.returned


def chunks_of(transcript: Transcript) -> list[Any]:
    """The chunks that `stream_body` yielded. Raises what it raised."""
    _ = transcript.returned
    return [message["body"] for message in transcript.sent]


def together(submission: Submission, function: str, bodies: list[list[bytes]]) -> list[Any]:
    """What the function gives for each of several requests whose events come in turn."""
    scripts = [
        Script(scope=asgi.http_scope(method="POST"), events=asgi.request_events(parts), end="disconnect")
        for parts in bodies
    ]
    transcript = submission.converse(scripts, maker=function)
    results = [transcript.of(number) for number in range(len(bodies))]
    return [body_of(each) if function == "read_body" else chunks_of(each) for each in results]


# ---- BODY-01: read_body joins --------------------------------------------------------------------


@requirement("BODY-01")
@given(parts=asgi.chunks_and_gaps())
@example(parts=[b"Hello, ", b"ASGI!"])
@example(parts=[b"Hello, ", b"", b"ASGI!"])
@example(parts=[b"", b"late"])
@example(parts=[b"early", b""])
@example(parts=[b""])
@example(parts=[b"\x00", b" \r\n", b"\xff"])
@example(parts=[b"x" * 70_000, b"y"])
@example(parts=[b"z"] * 1_500)
def test_read_body_joins_the_chunks(submission: Submission, parts: list[bytes]) -> None:
    """`read_body` gives all chunks, joined in order, as bytes; an empty chunk does not end the body."""
    body = body_of(converse(submission, "read_body_unchanged", asgi.request_events(parts)))
    assert body == b"".join(parts)


@requirement("BODY-01")
@given(bodies=SEVERAL)
@example(bodies=[[b"one", b"two"], [b"three", b"four"]])
def test_bodies_that_are_read_at_the_same_time_stay_apart(
    submission: Submission, bodies: list[list[bytes]]
) -> None:
    """Several requests may be read at the same time: each call of `read_body` gives its own request's body."""
    assert together(submission, "read_body", bodies) == [b"".join(parts) for parts in bodies]


# ---- BODY-02: stream_body hands on ---------------------------------------------------------------


@requirement("BODY-02")
@given(parts=asgi.chunks_and_gaps())
@example(parts=[b"Hello, ", b"ASGI!"])
@example(parts=[b"Hello, ", b"", b"ASGI!"])
@example(parts=[b"", b"late"])
@example(parts=[b"early", b""])
@example(parts=[b"\x00", b" \r\n", b"\xff"])
@example(parts=[b"x" * 70_000, b"y"])
def test_stream_body_yields_the_chunks(submission: Submission, parts: list[bytes]) -> None:
    """`stream_body` yields each chunk as it came, in order, and leaves the empty ones out."""
    chunks = chunks_of(converse(submission, "stream_body", asgi.request_events(parts)))
    assert chunks == [part for part in parts if part]


@requirement("BODY-02")
@given(bodies=SEVERAL)
@example(bodies=[[b"one", b"two"], [b"three", b"four"]])
def test_bodies_that_are_streamed_at_the_same_time_stay_apart(
    submission: Submission, bodies: list[list[bytes]]
) -> None:
    """Several requests may be streamed at the same time: each stream yields its own request's chunks."""
    assert together(submission, "stream_body", bodies) == bodies


# ---- BODY-03: absent keys ------------------------------------------------------------------------


@requirement("BODY-03")
@given(events=asgi.chunks_and_gaps().flatmap(asgi.bare_request_events))
@example(events=[{"type": "http.request", "body": b"all"}])
@example(events=[{"type": "http.request", "more_body": True}, {"type": "http.request", "body": b"late"}])
@example(events=[{"type": "http.request"}])
def test_read_body_knows_the_defaults(submission: Submission, events: Events) -> None:
    """`read_body`: an absent `body` is empty, an absent `more_body` ends the body."""
    body = body_of(converse(submission, "read_body", events))
    assert body == b"".join(event.get("body", b"") for event in events)


@requirement("BODY-03")
@given(events=asgi.chunks_and_gaps().flatmap(asgi.bare_request_events))
@example(events=[{"type": "http.request", "body": b"all"}])
@example(events=[{"type": "http.request", "more_body": True}, {"type": "http.request", "body": b"late"}])
def test_stream_body_knows_the_defaults(submission: Submission, events: Events) -> None:
    """`stream_body`: an absent `body` is empty, an absent `more_body` ends the body."""
    chunks = chunks_of(converse(submission, "stream_body", events))
    assert [chunk for chunk in chunks if chunk != b""] == [
        event["body"] for event in events if event.get("body")
    ]


# ---- BODY-04: laziness ---------------------------------------------------------------------------


@requirement("BODY-04")
@given(taken=asgi.chunks(), waiting=asgi.chunks())
@example(taken=[b"one"], waiting=[])
@example(taken=[b"one", b"two"], waiting=[b"three"])
@example(taken=[], waiting=[b"one"])
def test_stream_body_asks_when_asked(
    submission: Submission, taken: list[bytes], waiting: list[bytes]
) -> None:
    """Each chunk is handed on before the next event is received; a consumer that stops causes no more."""
    events = asgi.request_events(taken + waiting, complete=False)
    transcript = converse(submission, "stream_body", events, take=len(taken))
    assert transcript.sequence == ["← http.request", "→ probe.chunk"] * len(taken) + ["returned"]


# ---- BODY-05: not after the last -----------------------------------------------------------------


@requirement("BODY-05")
@given(parts=asgi.chunks(min_size=1))
@example(parts=[b"all"])
@example(parts=[b"one", b"two"])
def test_read_body_stops_at_the_last(submission: Submission, parts: list[bytes]) -> None:
    """`read_body` receives up to the last chunk, and not once more."""
    events = asgi.request_events(parts)
    transcript = converse(submission, "read_body", events)
    assert transcript.received == events
    assert body_of(transcript), "the chunks were received, but read_body returned nothing of them"


@requirement("BODY-05")
@given(parts=asgi.chunks(min_size=1))
@example(parts=[b"all"])
@example(parts=[b"one", b"two"])
def test_stream_body_stops_at_the_last(submission: Submission, parts: list[bytes]) -> None:
    """`stream_body` receives up to the last chunk, and not once more."""
    events = asgi.request_events(parts)
    transcript = converse(submission, "stream_body", events)
    assert transcript.received == events
    assert chunks_of(transcript), "the chunks were received, but stream_body yielded none of them"


# ---- BODY-06: disconnect -------------------------------------------------------------------------


@requirement("BODY-06")
@given(parts=asgi.chunks())
@example(parts=[b"half"])
@example(parts=[])
def test_read_body_reports_a_disconnect(submission: Submission, parts: list[bytes]) -> None:
    """`read_body` gives a complete body, and raises ClientDisconnect if the client goes before that."""
    complete = [*parts, b"end"]
    assert body_of(converse(submission, "read_body", asgi.request_events(complete))) == b"".join(complete)
    broken = [*asgi.request_events(parts, complete=False), DISCONNECT]
    with raised("ClientDisconnect"):
        body_of(converse(submission, "read_body", broken))


@requirement("BODY-06")
@given(parts=asgi.chunks())
@example(parts=[b"half"])
@example(parts=[])
def test_stream_body_reports_a_disconnect(submission: Submission, parts: list[bytes]) -> None:
    """`stream_body` ends a complete body, and raises ClientDisconnect if the client goes before that."""
    complete = [*parts, b"end"]
    assert chunks_of(converse(submission, "stream_body", asgi.request_events(complete))) == complete
    broken = [*asgi.request_events(parts, complete=False), DISCONNECT]
    with raised("ClientDisconnect"):
        chunks_of(converse(submission, "stream_body", broken))


# ---- BODY-07: the limit --------------------------------------------------------------------------


@requirement("BODY-07")
@given(parts=asgi.chunks(min_size=1), short=st.integers(1, 9))
@example(parts=[b"abc"], short=1)
@example(parts=[b"abc"], short=3)
@example(parts=[b"ab", b"c", b"d"], short=2)
def test_a_body_over_the_limit_is_not_read_on(submission: Submission, parts: list[bytes], short: int) -> None:
    """A body of exactly `limit` bytes is given; over it BodyTooLarge is raised, and nothing more received."""
    events = asgi.request_events(parts)
    size = sum(map(len, parts))
    assert body_of(converse(submission, "read_body", events, limit=size)) == b"".join(parts)
    limit = max(0, size - short)
    refused = converse(submission, "read_body", events, limit=limit)
    with raised("BodyTooLarge"):
        body_of(refused)
    needed = next(count for count in range(1, len(parts) + 1) if sum(map(len, parts[:count])) > limit)
    assert refused.received == events[:needed]


@requirement("BODY-07")
@given(parts=asgi.chunks(), spare=st.integers(0, 9))
@example(parts=[b"abc"], spare=1)
@example(parts=[], spare=0)
def test_a_body_within_the_limit_is_given(submission: Submission, parts: list[bytes], spare: int) -> None:
    """A body below `limit` is given; with `limit=None` one of any length, with `limit=0` an empty one."""
    events = asgi.request_events(parts or [b""])
    whole = b"".join(parts)
    assert body_of(converse(submission, "read_body", events, limit=len(whole) + spare)) == whole
    assert body_of(converse(submission, "read_body", events, limit=None)) == whole


# ---- BODY-08: what is not known ------------------------------------------------------------------


def unknown_types() -> st.SearchStrategy[str]:
    """Types of events that do not belong to a request's body."""
    known = ("http.request", "http.disconnect")
    others = ["http.response.body", "http.requests", "http", "websocket.receive", "lifespan.shutdown"]
    return st.sampled_from(others) | st.text(max_size=8).filter(lambda kind: kind not in known)


@requirement("BODY-08")
@given(parts=asgi.chunks(), kind=unknown_types())
@example(parts=[], kind="websocket.receive")
@example(parts=[b"half"], kind="http.response.body")
@example(parts=[b"half"], kind="http.requests")
def test_read_body_refuses_other_events(submission: Submission, parts: list[bytes], kind: str) -> None:
    """`read_body` takes the events of a request, and raises RuntimeError on one of another type."""
    last = {"type": "http.request", "body": b"end", "more_body": False}
    before = asgi.request_events(parts, complete=False)
    assert body_of(converse(submission, "read_body", [*before, last])) == b"".join([*parts, b"end"])
    with raised("RuntimeError") as caught:
        body_of(converse(submission, "read_body", [*before, last | {"type": kind}]))
    assert "ClientDisconnect" not in caught.error.names, THE_CLIENT_IS_THERE


@requirement("BODY-08")
@given(parts=asgi.chunks(), kind=unknown_types())
@example(parts=[], kind="websocket.receive")
@example(parts=[b"half"], kind="http.response.body")
@example(parts=[b"half"], kind="http.requests")
def test_stream_body_refuses_other_events(submission: Submission, parts: list[bytes], kind: str) -> None:
    """`stream_body` takes the events of a request, and raises RuntimeError on one of another type."""
    last = {"type": "http.request", "body": b"end", "more_body": False}
    before = asgi.request_events(parts, complete=False)
    assert chunks_of(converse(submission, "stream_body", [*before, last])) == [*parts, b"end"]
    with raised("RuntimeError") as caught:
        chunks_of(converse(submission, "stream_body", [*before, last | {"type": kind}]))
    assert "ClientDisconnect" not in caught.error.names, THE_CLIENT_IS_THERE


@requirement("BODY-08")
@given(parts=asgi.chunks(min_size=1), extra=asgi.unknown_keys())
@example(parts=[b"all"], extra={"x.id": 1})
def test_other_keys_are_ignored(submission: Submission, parts: list[bytes], extra: dict[str, Any]) -> None:
    """Keys of an event that nobody knows change nothing."""
    events = [event | extra for event in asgi.request_events(parts)]
    assert body_of(converse(submission, "read_body", events)) == b"".join(parts)
    assert chunks_of(converse(submission, "stream_body", events)) == parts
