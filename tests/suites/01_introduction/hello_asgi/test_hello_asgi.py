"""What `hello_asgi` promises: over a live session through httpx, and message by message.

Rule 1: free is how many body messages there are, whether there is a content-length, whether the body of the
request is read, and whether HEAD is answered with a body.
Rule 2: the application's own words are compared by type before anything is done with them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx
from hypothesis import example, given
from hypothesis import strategies as st

from grader.suite import Script, Submission, Transcript, requirement
from grader.suite import strategies as asgi

GREETING = b"Hello, ASGI!"
MEDIA_TYPE = "text/plain; charset=utf-8"
START, BODY = "→ http.response.start", "→ http.response.body"
FIRST_EVENTS = {
    "websocket": {"type": "websocket.connect"},
    "lifespan": {"type": "lifespan.startup"},
}
"""What a server says first, on a scope that is not http."""


@asynccontextmanager
async def browser(submission: Submission) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the live application."""
    async with submission.session() as session, session.client() as client:
        yield client


def address(path: str, query: bytes = b"") -> httpx.URL:
    """The URL of a path and a query as a scope has them."""
    return httpx.URL("http://example.org").copy_with(raw_path=quote(path).encode() + b"?" + query)


def converse(submission: Submission, scope: asgi.Scope, parts: list[bytes]) -> Transcript:
    """One request of `scope`, whose body comes in `parts`."""
    return submission.converse(Script(scope=scope, events=asgi.request_events(parts), end="disconnect"))


def sent_steps(transcript: Transcript) -> list[str]:
    """The kinds of the messages that were sent, in order."""
    return [step for step in transcript.sequence if step.startswith("→")]


def is_answered(transcript: Transcript) -> bool:
    """Whether one response came: a start, and then a body."""
    steps = sent_steps(transcript)
    return steps[:2] == [START, BODY] and steps.count(START) == 1


def fields(message: Any) -> dict[str, Any]:
    """The message's keys and values; none, if it is no dict."""
    return message if type(message) is dict else {}


def outline(message: Any) -> str:
    """The message's type and, of a body, whether more will come."""
    kind, more = fields(message).get("type"), fields(message).get("more_body", False)
    if kind != "http.response.body":
        return kind if type(kind) is str else "a message without a type"
    if type(more) is not bool:
        return f"{kind}, more_body is no bool"
    return f"{kind}, more to come" if more else f"{kind}, the last"


def header_pairs(start: Any) -> list[tuple[Any, ...]]:
    """The headers of a start message as tuples. Fails if they are no list of pairs."""
    found = fields(start).get("headers", [])
    assert isinstance(found, list | tuple), "`headers` is no list of pairs (name, value)"
    assert all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in found), (
        "`headers` holds something that is no pair (name, value)"
    )
    return [tuple(pair) for pair in found]


# ---- HELLO-01 ------------------------------------------------------------------------------------


@requirement("HELLO-01")
@given(
    method=asgi.methods(),
    path=asgi.paths(),
    query=asgi.query_strings(),
    content=st.binary(max_size=20),
)
@example(method="GET", path="/", query=b"", content=b"")
@example(method="POST", path="/any/where", query=b"name=you", content=b"ping")
@example(method="HEAD", path="/", query=b"", content=b"")
async def test_any_request_is_greeted(
    submission: Submission, method: str, path: str, query: bytes, content: bytes
) -> None:
    """Any method, path, query and body: the answer is 200 and `Hello, ASGI!`."""
    async with browser(submission) as client:
        response = await client.request(method, address(path, query), content=content)
    body = GREETING if method == "HEAD" else response.content
    assert (response.status_code, body) == (200, GREETING)


@requirement("HELLO-01")
async def test_the_next_request_is_greeted_too(submission: Submission) -> None:
    """The second request to the same application is answered like the first."""
    async with browser(submission) as client:
        answers = [await client.get(path) for path in ("/", "/again", "/")]
    assert [(answer.status_code, answer.content) for answer in answers] == [(200, GREETING)] * 3


# ---- HELLO-02 ------------------------------------------------------------------------------------


@requirement("HELLO-02")
@given(method=asgi.methods(standard_only=True), path=asgi.paths())
@example(method="GET", path="/")
async def test_content_type(submission: Submission, method: str, path: str) -> None:
    """There is one content-type, and it is `text/plain; charset=utf-8`."""
    async with browser(submission) as client:
        response = await client.request(method, address(path))
    pairs = response.headers.multi_items()
    assert [pair for pair in pairs if pair[0] == "content-type"] == [("content-type", MEDIA_TYPE)]


# ---- HELLO-03 ------------------------------------------------------------------------------------


@requirement("HELLO-03")
@given(
    method=asgi.methods().filter(lambda method: method != "HEAD"),
    path=asgi.paths(),
    parts=asgi.chunks_and_gaps(max_size=3),
)
@example(method="GET", path="/", parts=[b""])
@example(method="POST", path="/", parts=[b"half ", b"and half"])
def test_messages_are_one_whole_response(
    submission: Submission, method: str, path: str, parts: list[bytes]
) -> None:
    """One start, then one or more body messages of which only the last has no `more_body`."""
    transcript = converse(submission, asgi.http_scope(method=method, path=path), parts)
    _ = transcript.returned
    not_last = max(0, len(transcript.sent) - 2)
    assert [outline(message) for message in transcript.sent] == [
        "http.response.start",
        *["http.response.body, more to come"] * not_last,
        "http.response.body, the last",
    ]


@requirement("HELLO-03")
@given(path=asgi.paths(), headers=asgi.headers())
@example(path="/", headers=[])
def test_values_have_the_types_of_asgi(submission: Submission, path: str, headers: list[asgi.Header]) -> None:
    """The status is an int; header names and values and the body are bytes; names are lower-case."""
    transcript = converse(submission, asgi.http_scope(path=path, headers=headers), [b""])
    assert transcript.sent, "nothing was sent"
    start, *bodies = transcript.sent
    assert type(fields(start).get("status")) is int, "`status` is no int"
    pairs = header_pairs(start)
    assert all(type(word) is bytes for pair in pairs for word in pair), (
        "a header's name or value is not bytes: write b'...'"
    )
    assert all(name for name, _ in pairs), "a header's name is empty"
    assert [name for name, _ in pairs] == [name.lower() for name, _ in pairs], (
        "a header's name is not lower-case"
    )
    assert bodies, "no body message was sent"
    assert all(type(fields(message).get("body", b"")) is bytes for message in bodies), (
        "a `body` is not bytes: write b'...'"
    )


@requirement("HELLO-03")
@given(method=asgi.methods().filter(lambda method: method != "HEAD"))
@example(method="GET")
def test_content_length_if_any_is_right(submission: Submission, method: str) -> None:
    """A content-length, if there is one, is the number of bytes of the body that was sent."""
    transcript = converse(submission, asgi.http_scope(method=method), [b""])
    assert transcript.sent, "nothing was sent"
    start, *bodies = transcript.sent
    assert bodies, "no body message was sent"
    chunks = [fields(message).get("body", b"") for message in bodies]
    size = sum(len(chunk) for chunk in chunks if type(chunk) is bytes)
    lengths = [
        (name, value)
        for name, value in header_pairs(start)
        if type(name) is bytes and name.lower() == b"content-length"
    ]
    assert lengths == [(name, str(size).encode()) for name, _ in lengths], f"the body has {size} bytes"


# ---- HELLO-04 ------------------------------------------------------------------------------------


def unknown_scopes() -> st.SearchStrategy[asgi.Scope]:
    """Scopes of a type that no application knows yet."""
    kinds = st.sampled_from(["mqtt", "https", "http.request", "HTTP", "h", ""]) | st.text(
        min_size=1, max_size=8
    )
    known = ("http", "websocket", "lifespan")
    return kinds.filter(lambda kind: kind not in known).map(lambda kind: asgi.http_scope(type=kind))


@requirement("HELLO-04")
@given(scope=asgi.websocket_scopes() | asgi.lifespan_scopes() | unknown_scopes())
@example(scope=asgi.websocket_scope())
@example(scope=asgi.lifespan_scope())
@example(scope={"type": "mqtt", "asgi": {"version": "3.0"}})
@example(scope=asgi.http_scope(type="https"))
def test_other_kinds_are_refused(submission: Submission, scope: asgi.Scope) -> None:
    """http is answered; on any other scope type the application raises, and sends nothing."""
    greeted = converse(submission, asgi.http_scope(), [b""])
    assert is_answered(greeted), "a request of the type http was not answered"
    first = FIRST_EVENTS.get(scope["type"], {"type": scope["type"] + ".hello"})
    refused = submission.converse(Script(scope=scope, events=[first], end="block"))
    assert refused.sent == [], f"something was sent on the scope type {scope['type']!r}"
    assert refused.raised is not None, f"the application returned on the scope type {scope['type']!r}: raise"


# ---- HELLO-05 ------------------------------------------------------------------------------------


@requirement("HELLO-05")
@given(scope=asgi.http_scopes(), extra=asgi.unknown_keys())
@example(
    scope={
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [],
    },
    extra={"x.id": 1},
)
@example(scope=asgi.http_scope(client=None, server=None), extra={"x.id": 1})
def test_scope_may_hold_less_or_more(
    submission: Submission, scope: asgi.Scope, extra: dict[str, Any]
) -> None:
    """Optional keys of the scope may be absent, and keys that nobody knows may be there."""
    transcript = converse(submission, scope | extra, [b""])
    _ = transcript.returned
    assert is_answered(transcript), "the request was not answered"


@requirement("HELLO-05")
@given(parts=asgi.chunks_and_gaps(max_size=3), extra=asgi.unknown_keys())
@example(parts=[b"ping"], extra={"x.id": 1})
def test_events_may_hold_more(submission: Submission, parts: list[bytes], extra: dict[str, Any]) -> None:
    """Keys that nobody knows may be in the events, too."""
    events = [event | extra for event in asgi.request_events(parts)]
    script = Script(scope=asgi.http_scope(method="POST"), events=events, end="disconnect")
    transcript = submission.converse(script)
    _ = transcript.returned
    assert is_answered(transcript), "the request was not answered"


# ---- HELLO-06 ------------------------------------------------------------------------------------


@requirement("HELLO-06")
@given(bodies=st.lists(asgi.chunks_and_gaps(max_size=3), min_size=2, max_size=4))
@example(bodies=[[b""], [b""]])
@example(bodies=[[b"one ", b"two"], [b"three"]])
def test_interleaved_requests_get_an_answer_each(submission: Submission, bodies: list[list[bytes]]) -> None:
    """Several requests at the same time: each gets its own whole answer."""
    alone = converse(submission, asgi.http_scope(method="POST"), [b""])
    assert is_answered(alone), "a request by itself was not answered"
    together = submission.converse(
        [
            Script(scope=asgi.http_scope(method="POST"), events=asgi.request_events(parts), end="disconnect")
            for parts in bodies
        ]
    )
    for number in range(len(bodies)):
        assert sent_steps(together.of(number)) == sent_steps(alone), (
            f"request {number + 1} got another answer"
        )


@requirement("HELLO-06")
async def test_live_requests_at_once(submission: Submission) -> None:
    """Eight live requests at once are answered like one."""
    async with browser(submission) as client:
        alone = await client.get("/")
        together = await asyncio.gather(*(client.get(f"/{number}") for number in range(8)))
    assert alone.content, "a request by itself got no body"
    assert [answer.content for answer in together] == [alone.content] * 8
