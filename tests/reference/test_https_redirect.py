"""The reference's HTTPS redirect: where requests are sent, and which get through to an application."""

from __future__ import annotations

from typing import Any

import pytest

from fastasgi_reference.middleware.https_redirect import HTTPSRedirect
from fastasgi_reference.middleware.proxy_headers import ProxyHeaders
from fastasgi_reference.middleware.trusted_host import TrustedHost
from fastasgi_reference.responses import text_response
from tests.reference.conversation import Log, http_scope, lifespan_scope, play, websocket_scope
from tests.reference.rules import enforces

CONNECT = {"type": "websocket.connect"}
DENIAL = {"websocket.http.response": {}}


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await text_response("hello")(scope, receive, send)


async def ask(host: bytes = b"example.com", **keys: Any) -> Log:
    return await play(HTTPSRedirect(hello), http_scope(headers=[(b"host", host)], **keys))


@pytest.mark.parametrize(
    ("host", "location"),
    [
        (b"example.com", "https://example.com/"),
        (b"example.com:80", "https://example.com/"),
        (b"example.com:443", "https://example.com/"),
        (b"example.com:8080", "https://example.com:8080/"),
        (b"127.0.0.1:8000", "https://127.0.0.1:8000/"),
        (b"[::1]", "https://[::1]/"),
        (b"[::1]:80", "https://[::1]/"),
        (b"[::1]:8000", "https://[::1]:8000/"),
    ],
)
async def test_http_is_sent_to_https_at_the_same_host(host: bytes, location: str) -> None:
    log = await ask(host)
    assert (log.status, log.header("location"), log.body) == (308, location, b"")


@enforces("HTTP-SCOPE-02", "HTTP-SCOPE-04")
@pytest.mark.parametrize(
    ("path", "query", "target"),
    [
        ("/a/b", b"", "/a/b"),
        ("/a", b"x=1&y=%C3%A9+%2B", "/a?x=1&y=%C3%A9+%2B"),
        ("/a%20b/c d/é", b"", "/a%2520b/c%20d/%C3%A9"),
        ("/a?b#c", b"d", "/a%3Fb%23c?d"),
        ("//evil.com/x", b"", "//evil.com/x"),
        ("/\\evil.com", b"", "/%5Cevil.com"),
        ("/a\r\nset-cookie: b", b"", "/a%0D%0Aset-cookie:%20b"),
        ("/a", b"b\r\nset-cookie: c", "/a?b%0D%0Aset-cookie:%20c"),
    ],
)
async def test_path_and_query_stay(path: str, query: bytes, target: str) -> None:
    log = await ask(path=path, query_string=query, raw_path=...)
    assert log.header("location") == f"https://example.com{target}"


@enforces("HTTP-SCOPE-06")
async def test_a_root_path_is_in_the_path_already() -> None:
    assert (await ask(root_path="/api", path="/api/x")).header("location") == "https://example.com/api/x"


@enforces("HTTP-SCOPE-01")
async def test_a_scope_without_scheme_is_http() -> None:
    assert (await ask(scheme=...)).status == 308


@pytest.mark.parametrize("method", ["POST", "PUT", "PROPFIND", "HEAD", "OPTIONS"])
async def test_the_method_is_kept_by_the_status(method: str) -> None:
    assert (await ask(method=method)).status == 308


@pytest.mark.parametrize(
    "host", [b"", b"a b", b"example.com/evil", b"user@example.com", b"[::1", b"example.com:port", b"\xff"]
)
async def test_without_a_host_nobody_is_sent_anywhere_least_to_the_servers_own_address(host: bytes) -> None:
    log = await ask(host, server=("10.0.3.7", 8000))
    assert (log.status, log.header("location")) == (400, None)
    absent = await play(HTTPSRedirect(hello), http_scope(headers=..., server=("10.0.3.7", 8000)))
    assert (absent.status, absent.header("location")) == (400, None)


@pytest.mark.parametrize("scheme", ["https", "wss"])
@enforces("APP-MW-03")
async def test_what_is_encrypted_passes_through_untouched(scheme: str) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    for scope in (
        http_scope(scheme=scheme),
        websocket_scope(scheme=scheme),
        lifespan_scope(),
        {"type": "mqtt"},
    ):
        await play(HTTPSRedirect(app), scope, [])
        assert seen.pop() == scope


@enforces("WS-CONN-01", "WS-CLOSE-01", "EXT-DENY-01", "WS-SCOPE-01")
@pytest.mark.parametrize("keys", [{}, {"scheme": ...}, {"extensions": None}, {"extensions": ...}])
async def test_a_websocket_without_encryption_is_closed_before_it_is_accepted(keys: dict[str, Any]) -> None:
    log = await play(HTTPSRedirect(hello), websocket_scope(**keys), [CONNECT])
    assert (log.types, log.received, log.raised) == (["websocket.close"], 1, None)


@enforces("EXT-DENY-02")
async def test_a_websocket_is_sent_to_wss_where_the_server_can_send_that() -> None:
    scope = websocket_scope(
        "/chat", query_string=b"a=b", headers=[(b"host", b"example.com:80")], extensions=DENIAL
    )
    log = await play(HTTPSRedirect(hello), scope, [CONNECT])
    assert (log.status, log.header("location")) == (308, "wss://example.com/chat?a=b")
    assert (log.complete, log.raised) == (True, None)


@enforces("WS-CONN-02")
async def test_a_websocket_whose_client_is_gone_gets_nothing() -> None:
    log = await play(
        HTTPSRedirect(hello), websocket_scope(), [{"type": "websocket.disconnect", "code": 1006}]
    )
    assert (log.sent, log.raised) == ([], None)


@enforces("APP-MW-01")
async def test_the_scope_is_not_changed() -> None:
    scope = http_scope()
    before = dict(scope)
    await play(HTTPSRedirect(hello), scope)
    assert scope == before


async def test_in_the_right_order_neither_forged_hosts_nor_proxies_lead_astray() -> None:
    app = ProxyHeaders(TrustedHost(HTTPSRedirect(hello), allowed=["example.com"]))
    forged = await play(app, http_scope(headers=[(b"host", b"evil.com")]))
    assert (forged.status, forged.header("location")) == (400, None)
    proxied = [(b"host", b"example.com"), (b"x-forwarded-proto", b"https")]
    assert (await play(app, http_scope(headers=proxied))).body == b"hello"
