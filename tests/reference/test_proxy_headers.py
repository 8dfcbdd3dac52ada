"""The reference's proxy headers: a spy application tells which scope it sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastasgi_reference.middleware.proxy_headers import ProxyHeaders
from tests.reference.conversation import http_scope, lifespan_scope, play, websocket_scope
from tests.reference.rules import enforces

PROXY = ("127.0.0.1", 5000)
INNER, OUTER = "10.0.0.1", "10.0.0.2"
CHAIN = ("127.0.0.1", INNER, OUTER)
EVIL = "6.6.6.6"


async def seen(scope: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    """The scope that the application gets."""
    scopes: list[dict[str, Any]] = []

    async def spy(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)

    log = await play(ProxyHeaders(spy, **options), scope)
    assert log.raised is None
    return scopes[0]


def headers(*lines: tuple[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for name, value in lines]


def x_forwarded(**values: str) -> list[tuple[bytes, bytes]]:
    """A request's headers: `Host: testserver`, and X-Forwarded-* with these values (`For` for `for`)."""
    return headers(
        ("host", "testserver"), *((f"x-forwarded-{name.lower()}", value) for name, value in values.items())
    )


async def told(trusted: Iterable[str] = ("127.0.0.1",), **values: str) -> dict[str, Any]:
    return await seen(http_scope(headers=x_forwarded(**values), client=PROXY), trusted=tuple(trusted))


async def forwarded(*lines: str, trusted: Iterable[str] = ("127.0.0.1",)) -> dict[str, Any]:
    scope = http_scope(
        headers=headers(("host", "testserver"), *(("forwarded", line) for line in lines)), client=PROXY
    )
    return await seen(scope, trusted=tuple(trusted), header="forwarded")


def host_of(scope: Mapping[str, Any]) -> list[bytes]:
    return [value for name, value in scope["headers"] if name == b"host"]


# Whom to believe


async def test_what_a_trusted_proxy_tells_is_what_the_application_sees() -> None:
    scope = await told(For="1.2.3.4", Proto="https", Host="example.com", Port="8443", Prefix="/api")
    assert scope["client"] == ("1.2.3.4", 0)
    assert scope["scheme"] == "https"
    assert host_of(scope) == [b"example.com:8443"]
    assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("/api", "/api/", b"/api/")


ALL = {"For": "1.2.3.4", "Proto": "https", "Host": "example.com", "Port": "8443", "Prefix": "/api"}


@pytest.mark.parametrize(
    "client", [(EVIL, 1), ("127.0.0.2", 1), ("testclient", 50000), ("", 0), [EVIL, 1], None, ...]
)
async def test_an_untrusted_client_is_not_believed(client: Any) -> None:
    scope = http_scope(headers=x_forwarded(**ALL), client=client)
    assert await seen(scope) == scope


@pytest.mark.parametrize(
    ("trusted", "client"),
    [
        ("10.0.0.1", ("10.0.0.1", 1)),
        ("10.0.0.0/8", ("10.200.3.4", 1)),
        ("127.0.0.1", ["127.0.0.1", 1]),
        ("127.0.0.1", ("::ffff:127.0.0.1", 1)),
        ("::1", ("0:0:0:0:0:0:0:1", 1)),
        ("fd00::/8", ("fd12::1", 1)),
        ("fe80::/10", ("fe80::1%eth0", 1)),
        ("unix", None),
        ("unix", ("", 0)),
        ("unix", ...),
        ("*", ("203.0.113.7", 1)),
        ("*", ("testclient", 1)),
        ("*", None),
    ],
)
async def test_a_proxy_is_known_by_its_address_its_network_or_its_socket(trusted: str, client: Any) -> None:
    scope = http_scope(headers=x_forwarded(For="1.2.3.4"), client=client)
    assert (await seen(scope, trusted=[trusted]))["client"] == ("1.2.3.4", 0)


async def test_nobody_is_trusted_where_nobody_is_named() -> None:
    scope = http_scope(headers=x_forwarded(**ALL), client=PROXY)
    assert await seen(scope, trusted=()) == scope


async def test_without_any_header_a_trusted_proxy_is_the_client() -> None:
    scope = http_scope(client=PROXY)
    assert await seen(scope) == scope


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("1.2.3.4", "1.2.3.4"),
        (f"{EVIL}, 1.2.3.4", "1.2.3.4"),
        (f"1.2.3.4, {OUTER}, {INNER}", "1.2.3.4"),
        (f"{EVIL}, 1.2.3.4, {OUTER}, {INNER}", "1.2.3.4"),
        (f"{OUTER}, 1.2.3.4, {INNER}", "1.2.3.4"),
        (f"127.0.0.1, {EVIL}, 1.2.3.4", "1.2.3.4"),
        (f"{OUTER}, {INNER}", OUTER),
        ("127.0.0.1", "127.0.0.1"),
        (f"1.2.3.4 ,\t{INNER}", "1.2.3.4"),
        (f"1.2.3.4,, {INNER}, ,", "1.2.3.4"),
        ("", "127.0.0.1"),
        (" , ", "127.0.0.1"),
    ],
)
async def test_the_client_is_the_first_from_the_right_that_is_no_trusted_proxy(
    value: str, client: str
) -> None:
    assert (await told(CHAIN, For=value))["client"][0] == client


@pytest.mark.parametrize("family", ["x-forwarded", "forwarded"])
async def test_a_header_that_occurs_twice_is_one_list_in_order(family: str) -> None:
    name, prefix = ("x-forwarded-for", "") if family == "x-forwarded" else ("forwarded", "for=")
    lines = headers((name, f"{prefix}{EVIL}, {prefix}1.2.3.4"), (name, f"{prefix}{INNER}"))
    scope = await seen(http_scope(headers=lines, client=PROXY), trusted=CHAIN, header=family)
    assert scope["client"] == ("1.2.3.4", 0)


async def test_with_everybody_trusted_the_leftmost_counts() -> None:
    assert (await told("*", For=f"1.2.3.4, {EVIL}"))["client"] == ("1.2.3.4", 0)


async def test_only_one_family_of_headers_is_read() -> None:
    lines = headers(("x-forwarded-for", "1.1.1.1"), ("forwarded", "for=2.2.2.2;proto=https"))
    scope = http_scope(headers=lines, client=PROXY)
    by_default = await seen(scope)
    assert (by_default["client"], by_default["scheme"]) == (("1.1.1.1", 0), "http")
    by_choice = await seen(scope, header="forwarded")
    assert (by_choice["client"], by_choice["scheme"]) == (("2.2.2.2", 0), "https")


@given(
    claims=st.lists(
        st.sampled_from([EVIL, INNER, "127.0.0.1", "unknown", "_x", "?", "", '"', "for=1.1.1.1"])
    ),
    proxies=st.lists(st.sampled_from([INNER, OUTER, "127.0.0.1"])),
    family=st.sampled_from(["x-forwarded", "forwarded"]),
)
async def test_whatever_a_client_claims_its_address_is_what_the_first_proxy_saw(
    claims: list[str], proxies: list[str], family: str
) -> None:
    name, form = ("x-forwarded-for", "{}") if family == "x-forwarded" else ("forwarded", "for={}")
    lines = [(name, ", ".join(form.format(claim) for claim in claims))]
    lines += [(name, form.format(each)) for each in ("1.2.3.4", *proxies)]
    scope = await seen(http_scope(headers=headers(*lines), client=PROXY), trusted=CHAIN, header=family)
    assert scope["client"] == ("1.2.3.4", 0)


# Addresses


@pytest.mark.parametrize(
    ("node", "client"),
    [
        ("1.2.3.4:1024", ("1.2.3.4", 1024)),
        ("2001:db8::1", ("2001:db8::1", 0)),
        ("2001:DB8:0:0:0:0:0:1", ("2001:db8::1", 0)),
        ("[2001:db8::1]", ("2001:db8::1", 0)),
        ("[2001:db8::1]:8080", ("2001:db8::1", 8080)),
        ("::ffff:1.2.3.4", ("1.2.3.4", 0)),
        ("1.2.3.4:_port", ("1.2.3.4", 0)),
        ("1.2.3.4:65536", ("1.2.3.4", 0)),
        ("1.2.3.4:" + "9" * 5000, ("1.2.3.4", 0)),
        ("1.2.3.4:0", ("1.2.3.4", 0)),
        ("unknown", None),
        ("Unknown", None),
        ("unknown:47011", None),
        ("_hidden", None),
        ("_SEVKISEK:_x.y-z", None),
    ],
)
async def test_a_node_has_an_address_and_perhaps_a_port_or_is_not_told(node: str, client: Any) -> None:
    assert (await told(For=node))["client"] == client
    assert (await forwarded(f'for="{node}"'))["client"] == client


@pytest.mark.parametrize(
    "node",
    ["example.com", "1.2.3", "1.2.3.4.5", "010.0.0.1", "::1::", "[::1", "::1]", "[1.2.3.4", "1.2.3.4:", "1.2.3.4:a b",
     "fe80::1%eth0", "[fe80::1%<b>]", "<script>", "\u00b2.1.1.1", "-", ":80", "[]", "unknown!", "1"],
)  # fmt: skip
async def test_what_is_no_node_is_ignored(node: str) -> None:
    assert (await told(For=node, Proto="https"))["client"] == PROXY
    assert (await told(CHAIN, For=f"{node}, {INNER}"))["client"] == (INNER, 0)
    assert (await forwarded(f'for="{node}"'))["client"] == PROXY


async def test_nobody_beyond_an_unknown_or_unreadable_hop_is_believed() -> None:
    assert (await told(CHAIN, For=f"{EVIL}, unknown, {INNER}"))["client"] is None
    assert (await told(CHAIN, For=f"{EVIL}, _hidden"))["client"] is None
    assert (await told(CHAIN, For=f"{EVIL}, ?, {INNER}"))["client"] == (INNER, 0)


async def test_a_proxy_in_the_list_is_known_with_its_port_and_in_any_spelling() -> None:
    value = "1.2.3.4:99, 10.0.0.1:4711, [::FFFF:10.0.0.2]:80"
    assert (await told(CHAIN, For=value))["client"] == ("1.2.3.4", 99)


# Scheme


@pytest.mark.parametrize(
    ("proto", "http", "websocket"),
    [
        ("https", "https", "wss"),
        ("http", "http", "ws"),
        ("wss", "https", "wss"),
        ("ws", "http", "ws"),
        ("HTTPS", "https", "wss"),
        ("http, https", "https", "wss"),
        ("https, http", "http", "ws"),
        ("ftp", "http", "ws"),
        ("https://", "http", "ws"),
        ("", "http", "ws"),
    ],
)
@enforces("WS-SCOPE-01", "HTTP-SCOPE-01")
async def test_the_scheme_is_one_of_the_connections_own_kind(proto: str, http: str, websocket: str) -> None:
    lines = x_forwarded(Proto=proto)
    assert (await seen(http_scope(headers=lines, scheme=...)))["scheme"] == http
    assert (await seen(websocket_scope(headers=lines, scheme=...)))["scheme"] == websocket


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_may_tell_that_the_client_came_without_encryption(scheme: str) -> None:
    scope = http_scope(headers=x_forwarded(Proto="http"), scheme=scheme)
    assert (await seen(scope))["scheme"] == "http"


@pytest.mark.parametrize(
    ("nodes", "proto", "scheme"),
    [
        (f"1.2.3.4, {OUTER}, {INNER}", "https, http, http", "https"),
        (f"{EVIL}, 1.2.3.4, {INNER}", "https, http, http", "http"),
        (f"1.2.3.4, {INNER}", "https", "https"),
        (f"{OUTER}, {INNER}", "https, http", "https"),
        ("1.2.3.4", "https, http", "http"),
    ],
)
async def test_the_other_lists_are_aligned_with_the_clients_hop(nodes: str, proto: str, scheme: str) -> None:
    assert (await told(CHAIN, For=nodes, Proto=proto))["scheme"] == scheme


# Host and port


@pytest.mark.parametrize(
    ("host", "port", "proto", "expected"),
    [
        ("example.com", "", "", b"example.com"),
        ("example.com:8080", "", "", b"example.com:8080"),
        ("[::1]:8080", "", "", b"[::1]:8080"),
        ("evil.com, example.com", "", "", b"example.com"),
        ("example.com", "8443", "https", b"example.com:8443"),
        ("[::1]", "8443", "https", b"[::1]:8443"),
        ("example.com:8080", "443", "https", b"example.com:8080"),
        ("example.com", "443", "https", b"example.com"),
        ("example.com", "80", "", b"example.com"),
        ("example.com", "80", "https", b"example.com:80"),
        ("", "8443", "https", b"testserver:8443"),
        ("", "443", "https", b"testserver"),
        ("example.com", "0", "", b"example.com"),
        ("example.com", "65536", "", b"example.com"),
        ("example.com", "+8", "", b"example.com"),
        ("example.com", "8443, 8444", "", b"example.com:8444"),
        ("ex ample.com", "", "", b"testserver"),
        ("example.com/evil", "", "", b"testserver"),
        ("user@example.com", "", "", b"testserver"),
        ("example.com:port", "", "", b"testserver"),
        ("::1", "", "", b"testserver"),
        ("ex\xe4mple.com", "", "", b"testserver"),
        ("example.com?", "8443", "", b"testserver:8443"),
    ],
)
async def test_the_host_header_is_the_clients(host: str, port: str, proto: str, expected: bytes) -> None:
    assert host_of(await told(Host=host, Port=port, Proto=proto)) == [expected]


async def test_the_host_is_replaced_where_it_stands_and_however_often_and_added_where_it_lacks() -> None:
    lines = [
        (b"a", b"1"),
        (b"Host", b"x"),
        (b"b", b"2"),
        (b"host", b"y"),
        (b"x-forwarded-host", b"example.com"),
    ]
    scope = await seen(http_scope(headers=lines))
    assert scope["headers"] == [(b"a", b"1"), (b"host", b"example.com"), (b"b", b"2"), lines[-1]]
    assert host_of(await seen(http_scope(headers=lines[-1:]))) == [b"example.com"]


@pytest.mark.parametrize("hosts", [[], [b"a", b"b"], [b"a b"]])
async def test_a_port_alone_mends_no_missing_repeated_or_malformed_host(hosts: list[bytes]) -> None:
    lines = [(b"host", host) for host in hosts] + [(b"x-forwarded-port", b"8443")]
    assert (await seen(http_scope(headers=lines)))["headers"] == lines


# Prefix


@enforces("HTTP-SCOPE-06")
async def test_a_prefix_comes_before_root_path_and_path_contains_it() -> None:
    lines = x_forwarded(Prefix="/api")
    scope = await seen(http_scope(path="/sub/x", root_path="/sub", headers=lines))
    assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("/api/sub", "/api/sub/x", b"/api/sub/x")


@enforces("HTTP-SCOPE-06")
async def test_a_prefix_was_taken_off_the_path_even_if_the_rest_begins_like_it() -> None:
    scope = await seen(http_scope(path="/api/x", headers=x_forwarded(Prefix="/api")))
    assert (scope["root_path"], scope["path"]) == ("/api", "/api/api/x")


@enforces("HTTP-SCOPE-03")
@pytest.mark.parametrize("raw_path", [None, ...])
async def test_a_prefix_needs_neither_root_path_nor_raw_path(raw_path: Any) -> None:
    given = http_scope(path="/x", root_path=..., raw_path=raw_path, headers=x_forwarded(Prefix="/api"))
    scope = await seen(given)
    assert (scope["root_path"], scope["path"]) == ("/api", "/api/x")
    assert scope.get("raw_path", ...) is raw_path


@pytest.mark.parametrize(
    ("prefix", "root_path", "raw"),
    [
        ("/api/", "/api", b"/api/x"),
        ("/a/b.c", "/a/b.c", b"/a/b.c/x"),
        ("/caf%C3%A9", "/café", b"/caf%C3%A9/x"),
        ("/100%25", "/100%", b"/100%25/x"),
        ("/evil, /api", "/api", b"/api/x"),
    ],
)
@enforces("HTTP-SCOPE-02")
async def test_a_prefix_is_decoded_once_as_paths_are(prefix: str, root_path: str, raw: bytes) -> None:
    scope = await seen(http_scope(path="/x", headers=x_forwarded(Prefix=prefix)))
    assert (scope["root_path"], scope["path"], scope["raw_path"]) == (root_path, f"{root_path}/x", raw)


@pytest.mark.parametrize(
    "prefix",
    ["/", "", "api", "//evil.com", "/%2Fevil.com", "/a//b", "/\\evil.com", "/%5Cevil.com", "/..", "/a/../b", "/.",
     "/%2e%2e/b", "/a?b", "/a#b", "/a b", "/a%0Ab", "/%ff", "/caf\xe9", "http://evil.com"],
)  # fmt: skip
async def test_a_prefix_that_could_lead_elsewhere_is_ignored(prefix: str) -> None:
    scope = await seen(http_scope(path="/x", headers=x_forwarded(Prefix=prefix)))
    assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("", "/x", b"/x")


async def test_a_websocket_is_seen_as_the_client_sees_it_too() -> None:
    scope = await seen(websocket_scope(path="/chat", headers=x_forwarded(**ALL)))
    assert (scope["client"], scope["scheme"], scope["path"]) == (("1.2.3.4", 0), "wss", "/api/chat")
    assert host_of(scope) == [b"example.com:8443"]


# Forwarded


@pytest.mark.parametrize(
    ("line", "client", "scheme", "host"),
    [
        ("for=1.2.3.4;proto=https;host=example.com", ("1.2.3.4", 0), "https", b"example.com"),
        ("For=1.2.3.4;PROTO=HTTPS", ("1.2.3.4", 0), "https", b"testserver"),
        ('proto=https;by=10.9.9.9;host="example.com:8080";for="[2001:db8::1]:47"',
         ("2001:db8::1", 47), "https", b"example.com:8080"),
        (" for=1.2.3.4 ; proto=https ;; ", ("1.2.3.4", 0), "https", b"testserver"),
        (";for=1.2.3.4", ("1.2.3.4", 0), "http", b"testserver"),
        ('for=1.2.3.4;x="a, for=6.6.6.6";proto=https', ("1.2.3.4", 0), "https", b"testserver"),
        ('for=1.2.3.4;x="a\\", for=6.6.6.6; \\\\";proto=https', ("1.2.3.4", 0), "https", b"testserver"),
        ('for="1.2.\\3.4";proto="\\https"', ("1.2.3.4", 0), "https", b"testserver"),
        ("for=1.2.3.4:80;host=example.com:8080", ("1.2.3.4", 80), "http", b"example.com:8080"),
        ("for=[::1]:80", ("::1", 80), "http", b"testserver"),
        ("proto=https", PROXY, "https", b"testserver"),
        ("", PROXY, "http", b"testserver"),
        (" , ;, ", PROXY, "http", b"testserver"),
    ],
)  # fmt: skip
async def test_forwarded(line: str, client: Any, scheme: str, host: bytes) -> None:
    scope = await forwarded(line)
    assert (scope["client"], scope["scheme"], host_of(scope)) == (client, scheme, [host])


@pytest.mark.parametrize(
    "line",
    ["for=1.2.3.4;proto", "for", "for=", "=1.2.3.4", "for=1.2.3.4 proto=https", "for = 1.2.3.4", 'for="1.2.3.4',
     'for=1.2.3.4"', "for=1.2.3.4;for=6.6.6.6;proto=https", "for=1.2.3.4;FOR=1.2.3.4;proto=https", "{}",
     'x="', 'proto=https;x="\\"'],
)  # fmt: skip
async def test_forwarded_that_is_malformed_is_ignored(line: str) -> None:
    scope = await forwarded(line)
    assert (scope["client"], scope["scheme"]) == (PROXY, "http")


async def test_all_that_forwarded_tells_is_told_of_the_clients_hop() -> None:
    line = f"for={EVIL};host=evil.com, for=1.2.3.4;host=example.com, for={OUTER};proto=https, for={INNER}"
    scope = await forwarded(line, trusted=CHAIN)
    assert (scope["client"], scope["scheme"], host_of(scope)) == (("1.2.3.4", 0), "http", [b"example.com"])


@pytest.mark.parametrize(
    "claim", ['for=127.0.0.1;by="', 'a="\\', '"', 'x=",', ",,,", 'for="[', "for=127.0.0.1;"]
)
async def test_what_a_client_leaves_open_does_not_swallow_what_the_proxy_adds(claim: str) -> None:
    for line in (f'{claim}, for="[2001:db8::1]:47";proto=https', f"{claim}, for=1.2.3.4;proto=https"):
        scope = await forwarded(line)
        assert scope["client"] in (("2001:db8::1", 47), ("1.2.3.4", 0))
        assert scope["scheme"] == "https"


TOKENS = st.text("abcfor_-!", min_size=1)
VALUES = st.text('abc ,;="\\', max_size=8)


def quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(
    elements=st.lists(st.dictionaries(TOKENS.map(lambda name: f"x{name}"), VALUES, max_size=3), max_size=4),
    left=st.text('abc ,;="\\', max_size=12),
)
async def test_commas_in_quotes_part_no_elements(elements: list[dict[str, str]], left: str) -> None:
    hops = [f"for={INNER}" + "".join(f";{name}={quoted(each[name])}" for name in each) for each in elements]
    scope = await forwarded(", ".join([left, "for=1.2.3.4;proto=https", *hops]), trusted=CHAIN)
    assert (scope["client"], scope["scheme"]) == (("1.2.3.4", 0), "https")


# The rest of the scope


@enforces("APP-MW-01", "HTTP-SCOPE-09")
async def test_the_scope_given_is_not_changed_and_headers_may_be_read_once_only() -> None:
    lines = x_forwarded(**ALL)
    given = http_scope(headers=lines)
    before = {**given, "headers": list(lines)}
    scope = await seen(given)
    assert given == before
    assert scope["state"] is given["state"]
    once = await seen(http_scope(headers=(iter(line) for line in lines)))
    assert once["headers"] == scope["headers"]


@enforces("APP-MW-03")
async def test_another_kind_of_scope_passes_through_untouched() -> None:
    scope = lifespan_scope()
    assert await seen(scope, trusted=("*",)) == scope
    odd = {"type": "mqtt", "client": PROXY, "headers": x_forwarded(**ALL)}
    assert await seen(odd) == odd


@enforces("HTTP-SCOPE-11", "HTTP-SCOPE-12")
async def test_names_ignore_case_and_values_need_not_be_ascii() -> None:
    lines = [(b"X-Forwarded-For", b"1.2.3.4"), (b"x-other", b"\xff"), (b"x-forwarded-proto", b"\xff")]
    scope = await seen(http_scope(headers=lines))
    assert (scope["client"], scope["scheme"]) == (("1.2.3.4", 0), "http")
    assert (b"x-other", b"\xff") in scope["headers"]


async def test_headers_may_be_absent() -> None:
    assert (await seen(http_scope(headers=...)))["headers"] == []


@enforces("APP-MW-03", "APP-MW-04")
async def test_events_messages_and_exceptions_pass_through() -> None:
    message = {"type": "http.response.start", "status": 200, "headers": ((b"a", b"b"),), "zzz": 1}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "http.request"
        await send(message)
        raise LookupError("mine")

    log = await play(ProxyHeaders(app), http_scope(headers=x_forwarded(**ALL)))
    assert log.sent == [message]
    assert isinstance(log.raised, LookupError)


# Options


@pytest.mark.parametrize("trusted", ["proxy.local", "10.0.0.1/8", "", "127.0.0.1,10.0.0.1", "10.0.0.0/33"])
def test_what_is_neither_address_nor_network_is_refused(trusted: str) -> None:
    with pytest.raises(ValueError, match=r"^trusted: .*Use addresses such as"):
        ProxyHeaders(seen, trusted=[trusted])  # type: ignore[arg-type]


def test_a_str_is_no_sequence_of_proxies() -> None:
    with pytest.raises(TypeError, match=r"pass a sequence, such as \['10.0.0.1'\]"):
        ProxyHeaders(seen, trusted="10.0.0.1")  # type: ignore[arg-type]


def test_an_unknown_family_of_headers_is_refused() -> None:
    with pytest.raises(ValueError, match="use x-forwarded or forwarded"):
        ProxyHeaders(seen, header="x-real-ip")  # type: ignore[arg-type]
