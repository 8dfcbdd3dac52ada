"""The reference's trusted hosts: whether a request gets through to a spy application, and what it gets if not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastasgi_reference.middleware.trusted_host import TrustedHost
from fastasgi_reference.responses import text_response
from tests.reference.conversation import Log, http_scope, lifespan_scope, play, websocket_scope
from tests.reference.rules import enforces

CONNECT = {"type": "websocket.connect"}
DENIAL = {"websocket.http.response": {}}


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await text_response("hello")(scope, receive, send)


async def ask(
    host: bytes | Iterable[bytes], allowed: Iterable[str], *, www: bool = False, **keys: Any
) -> Log:
    hosts = [host] if isinstance(host, bytes) else host
    scope = http_scope(headers=[(b"host", each) for each in hosts], **keys)
    return await play(TrustedHost(hello, allowed=tuple(allowed), www_redirect=www), scope)


ALLOWED = ("Example.com", "*.example.org", "127.0.0.1", "[::1]", "2001:DB8::0:2")


@pytest.mark.parametrize(
    "host",
    [
        b"example.com",
        b"example.com:8000",
        b"example.com:",
        b"EXAMPLE.com",
        b"example.com.",
        b"example.com.:80",
        b"a.example.org",
        b"a.b.example.org:1",
        b"A.Example.Org",
        b"127.0.0.1",
        b"127.0.0.1:8000",
        b"[::1]",
        b"[::1]:8000",
        b"[0:0:0:0:0:0:0:1]:8000",
        b"[2001:db8::2]",
    ],
)
async def test_a_host_of_ours_gets_through_whatever_its_port(host: bytes) -> None:
    assert (await ask(host, ALLOWED)).body == b"hello"


@pytest.mark.parametrize(
    "host",
    [
        b"evil.com",
        b"www.example.com",
        b"example.com.evil.com",
        b"evil-example.com",
        b"examplexcom",
        b"example.org",
        b".example.org",
        b"evilexample.org",
        b"a.example.org.evil.com",
        b"a.examplexorg",
        b"a..example.org",
        b"evil.com/.example.org",
        b"evil.com#.example.org",
        b"evil.com\\.example.org",
        b"evil.com:80.example.org",
        b"evil.com:80@example.com",
        b"example.com@evil.com",
        b"user@example.com",
        b"example.com:80:80",
        b"example.com:http",
        b"example.com/",
        b"example.com,evil.com",
        b"example.com evil.com",
        b" example.com",
        b"example.com\n",
        b"[::1]evil.com",
        b"[::1].example.org",
        b"[::1",
        b"::1",
        b"[::2]",
        b"[:::]",
        b"[127.0.0.1]",
        b"[::1%25eth0]",
        b"127.0.0.1.evil.com",
        b"*",
        b"*.example.org",
        b"ex\xe4mple.com",
        b"\xff",
        b".",
        b":80",
        b"",
    ],
)
async def test_any_other_host_is_refused_in_plain_text(host: bytes) -> None:
    log = await ask(host, ALLOWED)
    assert (log.status, log.header("content-type")) == (400, "text/plain; charset=utf-8")
    assert b"hello" not in log.body


@pytest.mark.parametrize("hosts", [[], [b"example.com", b"example.com"], [b"example.com", b"evil.com"]])
@pytest.mark.parametrize("allowed", [["example.com"], ["*"]])
async def test_a_missing_or_repeated_host_is_refused(hosts: list[bytes], allowed: list[str]) -> None:
    assert (await ask(hosts, allowed)).status == 400


async def test_any_well_formed_host_may_be_allowed_and_no_other() -> None:
    assert (await ask(b"whatever.example:80", ["*"])).status == 200
    assert (await ask(b"evil.com/x", ["*"])).status == 400
    assert (await ask(b"example.com", [])).status == 400


@given(
    st.lists(st.sampled_from(["a.b", "a", "b", ".", "..", ":80", ":", "[", "]", "@", "/", " ", "\n"])).map(
        "".join
    )
)
async def test_no_other_text_passes_for_a_host_of_ours(host: str) -> None:
    ours = re.fullmatch(r"([a-z]+\.)*a\.b\.?(:[0-9]*)?", host) is not None
    assert ((await ask(host.encode(), ["a.b", "*.a.b"])).status == 200) is ours


@enforces("HTTP-SCOPE-11")
async def test_the_name_of_the_header_ignores_case() -> None:
    scope = http_scope(headers=[(b"Host", b"example.com")])
    assert (await play(TrustedHost(hello, allowed=["example.com"]), scope)).status == 200


async def test_a_forwarded_host_is_not_a_host() -> None:
    scope = http_scope(headers=[(b"host", b"evil.com"), (b"x-forwarded-host", b"example.com")])
    assert (await play(TrustedHost(hello, allowed=["example.com"]), scope)).status == 400


@enforces("HTTP-RESP-12")
async def test_a_refusal_of_head_has_no_body() -> None:
    log = await ask(b"evil.com", ["example.com"], method="HEAD")
    assert (log.status, log.body, log.header("content-length")) == (400, b"", "13")


# www


@pytest.mark.parametrize(
    ("host", "location"),
    [
        (b"example.com", "http://www.example.com/a%20b?c=d"),
        (b"EXAMPLE.com:8000", "http://www.example.com:8000/a%20b?c=d"),
        (b"example.org", "http://www.example.org/a%20b?c=d"),
    ],
)
async def test_a_host_that_lacks_its_www_is_sent_there(host: bytes, location: str) -> None:
    allowed = ["www.example.com", "*.example.org"]
    log = await ask(host, allowed, www=True, path="/a b", query_string=b"c=d")
    assert (log.status, log.header("location")) == (308, location)


@pytest.mark.parametrize(
    "host", [b"evil.com", b"www.evil.com", b"example.com@evil.com", b"[::1]", b"", b"example.com/"]
)
async def test_nobody_is_sent_to_a_host_that_is_not_ours(host: bytes) -> None:
    assert (await ask(host, ["www.example.com"], www=True)).status == 400


async def test_nobody_is_sent_anywhere_unless_asked_for() -> None:
    assert (await ask(b"example.com", ["www.example.com"])).status == 400


# WebSockets


def handshake(host: bytes, **keys: Any) -> dict[str, Any]:
    return websocket_scope(headers=[(b"host", host)], **keys)


@enforces("WS-CONN-01", "WS-CLOSE-01", "EXT-DENY-01")
@pytest.mark.parametrize("extensions", [{}, None, ...])
async def test_a_websocket_to_another_host_is_closed_before_it_is_accepted(extensions: Any) -> None:
    middleware = TrustedHost(hello, allowed=["example.com"], www_redirect=True)
    log = await play(middleware, handshake(b"evil.com", extensions=extensions), [CONNECT])
    assert log.types == ["websocket.close"]
    assert (log.received, log.raised) == (1, None)


@enforces("EXT-DENY-02")
async def test_a_websocket_to_another_host_gets_400_where_the_server_can_send_it() -> None:
    middleware = TrustedHost(hello, allowed=["example.com"])
    log = await play(middleware, handshake(b"evil.com", extensions=DENIAL), [CONNECT])
    assert (log.status, log.complete, log.raised) == (400, True, None)


@enforces("WS-CONN-02")
async def test_a_client_that_left_before_it_was_refused_gets_nothing() -> None:
    middleware = TrustedHost(hello, allowed=["example.com"])
    log = await play(middleware, handshake(b"evil.com"), [{"type": "websocket.disconnect", "code": 1006}])
    assert (log.sent, log.raised) == ([], None)


async def test_a_websocket_to_a_host_of_ours_gets_through() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive()) == CONNECT
        await send({"type": "websocket.accept"})

    log = await play(TrustedHost(app, allowed=["example.com"]), handshake(b"example.com:8000"), [CONNECT])
    assert (log.types, log.raised) == (["websocket.accept"], None)


# The rest


@enforces("APP-MW-03", "LIFE-APP-10")
async def test_other_kinds_of_connection_pass_through() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    seen: list[Any] = []
    scope = lifespan_scope()
    await play(TrustedHost(app, allowed=[]), scope, [])
    assert seen == [scope]


@enforces("APP-MW-01", "APP-MW-03", "HTTP-SCOPE-09")
async def test_what_gets_through_is_untouched_even_headers_that_can_be_read_once() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        raise LookupError("mine")

    seen: list[Any] = []
    lines = [(b"host", b"example.com"), (b"a", b"\xff"), (b"a", b"2")]
    given_scope = http_scope(headers=iter(lines))
    before = dict(given_scope)
    log = await play(TrustedHost(app, allowed=["example.com"]), given_scope)
    assert seen == [{**before, "headers": lines}]
    assert given_scope == before
    assert isinstance(log.raised, LookupError)


@pytest.mark.parametrize(
    "allowed",
    ["", "*.", "*example.com", "ex*mple.com", "a.*", "*.*", "http://example.com", "example.com:8000", "example.com/",
     "10.0.0.1:80", "[::1]:80", "[::1", "::1]", ".example.com", "bücher.example", "a b", "example..com"],
)  # fmt: skip
def test_what_no_host_could_match_is_refused(allowed: str) -> None:
    with pytest.raises(ValueError, match=r"^allowed: .* is no host\. Use a name in ASCII"):
        TrustedHost(hello, allowed=[allowed])


def test_a_str_is_no_sequence_of_hosts() -> None:
    with pytest.raises(TypeError, match=r"pass a sequence, such as \['example.com'\]"):
        TrustedHost(hello, allowed="example.com")
