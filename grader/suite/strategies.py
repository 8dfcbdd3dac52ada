"""Hypothesis strategies for ASGI: scopes, headers, bodies, chunks and request events.

Rule 1: what is drawn is valid ASGI, as plain data. A suite spoils it where it must.
Rule 2: what a specification leaves open is drawn: keys that may be absent, chunks that may be empty.
Rule 3: the simplest value is the plainest one, so that a counterexample shrinks to what a person would write.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Scope = dict[str, Any]
Message = dict[str, Any]
Header = tuple[bytes, bytes]

METHODS: tuple[str, ...] = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE")
"""The methods of RFC 9110 section 9 and RFC 5789, but CONNECT."""
OPTIONAL_KEYS: Mapping[str, tuple[str, ...]] = {
    "http": ("asgi", "scheme", "raw_path", "root_path", "client", "server", "extensions", "state"),
    "websocket": (
        "asgi",
        "http_version",
        "scheme",
        "raw_path",
        "query_string",
        "root_path",
        "client",
        "server",
        "subprotocols",
        "extensions",
        "state",
    ),
    "lifespan": ("asgi", "state"),
}
"""The keys that a scope of each type may lack (ASGI HTTP & WebSocket 2.5, Lifespan 2.0)."""

_TOKEN = string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~"


def http_scope(**changes: Any) -> Scope:
    """A whole scope of `GET /`, as a server of today gives it, with `changes` made to it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"example.org")],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "extensions": {},
        "state": {},
    } | changes


def websocket_scope(**changes: Any) -> Scope:
    """A whole scope of a websocket at `/`, as a server of today gives it, with `changes` made to it."""
    scope = http_scope(type="websocket", scheme="ws", subprotocols=[]) | changes
    del scope["method"]
    return scope


def lifespan_scope(**changes: Any) -> Scope:
    """A whole scope of the lifespan, as a server of today gives it, with `changes` made to it."""
    return {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}} | changes


def methods(*, standard_only: bool = False) -> SearchStrategy[str]:
    """Request methods: those of the RFCs and, unless `standard_only`, any other upper-case token."""
    standard = st.sampled_from(METHODS)
    if standard_only:
        return standard
    return standard | st.text(string.ascii_uppercase + "-", min_size=1, max_size=12)


def paths() -> SearchStrategy[str]:
    """Paths as a scope has them: decoded, beginning with a slash, of any Unicode text but `?` and `#`."""
    letters = st.characters(exclude_categories=["Cs"], exclude_characters="?#")
    segments = st.text(letters, max_size=8).filter(lambda segment: segment not in (".", ".."))
    return st.lists(segments, max_size=4).map(lambda parts: "/" + "/".join(parts))


def query_strings() -> SearchStrategy[bytes]:
    """Query strings as a scope has them: percent-encoded bytes without the question mark."""
    return st.text(string.ascii_letters + string.digits + "=&+%;._~-", max_size=20).map(str.encode)


def header_names() -> SearchStrategy[bytes]:
    """Lower-case names of headers: tokens of RFC 9110 section 5.6.2."""
    return st.text(_TOKEN, min_size=1, max_size=12).map(lambda name: name.lower().encode())


def header_values() -> SearchStrategy[bytes]:
    """Values of headers: bytes of latin-1 without control characters, and no space at either end."""
    letters = st.characters(codec="latin-1", exclude_categories=["Cc"])
    return st.text(letters, max_size=20).map(lambda value: value.strip().encode("latin-1"))


def headers() -> SearchStrategy[list[Header]]:
    """Lists of headers, in which a name may stand more than once."""
    return st.lists(st.tuples(header_names(), header_values()), max_size=6)


def without_some(scope: Scope) -> SearchStrategy[Scope]:
    """`scope` without any of the keys that a scope of its type may lack."""
    present = [key for key in OPTIONAL_KEYS[scope["type"]] if key in scope]
    absent = st.lists(st.sampled_from(present), unique=True)
    return absent.map(lambda keys: {key: value for key, value in scope.items() if key not in keys})


@st.composite
def http_scopes(draw: st.DrawFn) -> Scope:
    """Scopes of http requests: any method, path, query and headers; any of the optional keys absent."""
    path = draw(paths())
    scope = http_scope(
        asgi=draw(st.sampled_from([{"version": "3.0", "spec_version": "2.5"}, {"version": "3.0"}])),
        method=draw(methods()),
        path=path,
        raw_path=quote(path).encode(),
        query_string=draw(query_strings()),
        headers=draw(headers()),
        http_version=draw(st.sampled_from(["1.1", "1.0", "2"])),
        client=draw(st.sampled_from([("127.0.0.1", 50000), ["::1", 50000], None])),
        server=draw(st.sampled_from([("127.0.0.1", 8000), ["/run/app.sock", None], None])),
    )
    return draw(without_some(scope))


@st.composite
def websocket_scopes(draw: st.DrawFn) -> Scope:
    """Scopes of websockets: any path, query, headers and subprotocols; any of the optional keys absent."""
    path = draw(paths())
    scope = websocket_scope(
        path=path,
        raw_path=quote(path).encode(),
        query_string=draw(query_strings()),
        headers=draw(headers()),
        subprotocols=draw(st.lists(st.sampled_from(["chat", "superchat"]), unique=True)),
    )
    return draw(without_some(scope))


def lifespan_scopes() -> SearchStrategy[Scope]:
    """Scopes of the lifespan; any of the optional keys absent."""
    return without_some(lifespan_scope())


def chunks(*, min_size: int = 0, max_size: int = 6) -> SearchStrategy[list[bytes]]:
    """The chunks in which a body may come: none of them empty. `min_size` to `max_size` of them."""
    return st.lists(st.binary(min_size=1, max_size=8), min_size=min_size, max_size=max_size)


def chunks_and_gaps(*, min_size: int = 1, max_size: int = 8) -> SearchStrategy[list[bytes]]:
    """The chunks in which a body may come, empty ones anywhere among them. Each stands for one event."""
    return st.lists(st.just(b"") | st.binary(max_size=8), min_size=min_size, max_size=max_size)


def request_events(parts: Sequence[bytes], *, complete: bool = True) -> list[Message]:
    """The `http.request` events which bring `parts`, one each, every key present.

    The last has `more_body` False, unless the body is not `complete`. No parts give no event.
    """
    last = len(parts) - 1 if complete else len(parts)
    return [
        {"type": "http.request", "body": part, "more_body": place != last} for place, part in enumerate(parts)
    ]


@st.composite
def bare_request_events(draw: st.DrawFn, parts: Sequence[bytes]) -> list[Message]:
    """The `http.request` events which bring `parts`; a key that has its default's value may be absent."""
    return [draw(without_defaults(event)) for event in request_events(parts)]


def without_defaults(event: Message) -> SearchStrategy[Message]:
    """An `http.request` event without any of the keys whose value is the default (`b""`, False)."""
    idle = [key for key, default in (("body", b""), ("more_body", False)) if event.get(key) == default]
    absent = st.lists(st.sampled_from(idle), unique=True) if idle else st.just([])
    return absent.map(lambda keys: {key: value for key, value in event.items() if key not in keys})


def unknown_keys() -> SearchStrategy[dict[str, Any]]:
    """Keys that no specification knows, with plain values: what a scope or an event may hold besides."""
    names = st.text(string.ascii_lowercase, min_size=1, max_size=6).map("x.".__add__)
    values = (
        st.none() | st.booleans() | st.integers(-9, 9) | st.binary(max_size=4) | st.text(_TOKEN, max_size=4)
    )
    return st.dictionaries(names, values, min_size=1, max_size=3)
