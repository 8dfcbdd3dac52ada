"""Proxy headers: who the client is and what it asked for, as the proxies before the application tell it.

Rule 1: a header proves nothing: it is read only where the connection itself comes from a trusted proxy, and from
        right to left only as far as trusted proxies have written it. What is further left, anybody may have sent.
Rule 2: one family of headers is read, the one that the proxies write. The other one may come from anybody, too.
Rule 3: all that counts is from one place in the headers: what was told by the proxy that the client came to.
Rule 4: a value that is malformed is ignored; the others still count.
Rule 5: the application sees a scope such as a server would make that the client had reached without proxies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote

from ..asgi_types import ASGIApp, Receive, Scope, Send
from ..datastructures import Headers, MutableHeaders


class ProxyHeaders:
    """Middleware that takes client, scheme, host and prefix from what trusted proxies say of them.

    `trusted` are the addresses of the proxies, networks of them as `10.0.0.0/8`, and `unix` for one that connects
    by a unix socket and so has no address. `*` trusts every hop, so that the leftmost value counts: only a proxy
    that overwrites the headers makes that safe, since anybody can write the left end.
    `header` is the family that the proxies write: `x-forwarded` (X-Forwarded-For, -Proto, -Host, -Port, -Prefix) or
    `forwarded` (RFC 7239). The proxies have to write or take away each header of it: what they let pass is the
    client's own.

    The client is the first hop from the right that is no trusted proxy, or the leftmost. Where the proxies do not
    know or tell its address (RFC 7239, section 6: `unknown`, or a name such as `_hidden`), `client` is None. A port
    that nobody tells is 0. The lists in the other X-Forwarded headers are aligned with X-Forwarded-For at their
    right ends; the leftmost value of a shorter one counts for all hops beyond.
    The scheme becomes https or http, for a WebSocket wss or ws. The host replaces the Host header; a port is added
    to a Host that names none, unless it is the scheme's own. A prefix is what the proxy took off the path: it comes
    before `root_path`, and before `path` and `raw_path`, which contain that (ASGI HTTP, Connection scope).

    Place it outside of all that asks for any of these, such as `TrustedHost`, `HTTPSRedirect` and `RateLimit`.
    Raises ValueError for what is no address, network or family, TypeError for a str in place of a sequence.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        trusted: Sequence[str] = ("127.0.0.1",),
        header: Literal["x-forwarded", "forwarded"] = "x-forwarded",
    ) -> None:
        if isinstance(trusted, str):
            raise TypeError(f"trusted={trusted!r} is one str: pass a sequence, such as [{trusted!r}]")
        if header not in _READERS:
            raise ValueError(f"header={header!r} is no family of headers: use {' or '.join(_READERS)}")
        self._app = app
        self._trusts_all = "*" in trusted
        self._trusts_unix = "unix" in trusted
        self._networks = [_network(each) for each in trusted if each not in ("*", "unix")]
        self._read = _READERS[header]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application with a scope as the client would have it; other kinds of scope pass through."""
        if scope["type"] in ("http", "websocket") and self._trusts((scope.get("client") or ("",))[0]):
            scope = self._seen_by_client(scope)
        return await self._app(scope, receive, send)

    def _trusts(self, host: str) -> bool:
        if self._trusts_all or (not host and self._trusts_unix):
            return True
        try:
            address = _plain_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    def _seen_by_client(self, scope: Scope) -> Scope:
        """A copy of the scope with what the proxies told put in."""
        headers = MutableHeaders(raw=scope.get("headers") or ())
        client, hop = self._client_hop(scope.get("client"), self._read(headers))
        scheme = _scheme(scope, hop.proto)
        host = _host(headers, hop, _DEFAULT_PORTS.get(scheme))
        if host is not None:
            headers["host"] = host
        told = {"client": client, "scheme": scheme, "headers": headers.raw}
        return {**scope, **told, **_below_prefix(scope, hop.prefix)}

    def _client_hop(self, peer: Any, hops: Iterable[_Hop]) -> tuple[Any, _Hop]:
        """The client's address, and the hop that tells of the client: walk left while hops are trusted proxies."""
        client, hop = peer, _Hop()
        for hop in hops:
            try:
                client = _address(hop.node)
            except ValueError:
                break  # whose hop this is cannot be read: the last known one has to do
            if client is None or not self._trusts(client[0]):
                break
        return client, hop


@dataclass(frozen=True, slots=True)
class _Hop:
    """What one proxy told of the connection that came to it, as it is written; "" where it told nothing."""

    node: str = ""
    proto: str = ""
    host: str = ""
    port: str = ""
    prefix: str = ""


def _x_forwarded(headers: Headers) -> Iterator[_Hop]:
    """The hops that X-Forwarded-For and its like tell of, the nearest one first."""
    lists = [_elements(headers.getlist(f"x-forwarded-{name}")) for name in _X_FORWARDED]
    for place in range(1, max(len(lists[0]), 1) + 1):
        yield _Hop(*(values[-min(place, len(values))] if values else "" for values in lists))


def _elements(lines: Iterable[str]) -> list[str]:
    """The elements of a header that is a list: its lines count as one, empty elements do not (RFC 9110, 5.6.1)."""
    return [each.strip(" \t") for line in lines for each in line.split(",") if each.strip(" \t")]


def _forwarded(headers: Headers) -> Iterator[_Hop]:
    """The hops that Forwarded tells of, the nearest one first (RFC 7239, section 4).

    The text is read from its right end, since its left end may be the client's: a quote that is opened there and
    never closed must not take in what a proxy has added. A comma may stand in quotes; but what begins within quotes
    ends with one quote too many, so that the shortest text that is an element is the right one.
    """
    text = ",".join(headers.getlist("forwarded"))
    start = end = len(text)
    while start >= 0:
        start = text.rfind(",", 0, start)
        if not _ELEMENT.fullmatch(text, start + 1, end):
            continue
        pairs = [(name.lower(), _unquoted(value)) for name, value in _PAIR.findall(text, start + 1, end)]
        told = dict(pairs)
        if len(told) < len(pairs):
            return  # a parameter must not occur twice: which one would it be?
        if told:
            yield _Hop(told.get("for", ""), told.get("proto", ""), told.get("host", ""))
        end = start


def _unquoted(value: str) -> str:
    """The value of a parameter without quotes and escapes (RFC 9110, section 5.6.4)."""
    return _ESCAPED.sub(r"\1", value[1:-1]) if value.startswith('"') else value


def _network(text: str) -> Any:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValueError(
            f"trusted: {error}. Use addresses such as 10.0.0.1, networks such as 10.0.0.0/8, 'unix' or '*'"
        ) from None


def _plain_address(text: str) -> IPv4Address | IPv6Address:
    """An address; an IPv4 one also where a socket for both gives it as IPv6 (RFC 4291, section 2.5.5.2)."""
    address = ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address


def _address(node: str) -> tuple[str, int] | None:
    """Host and port of a node (RFC 7239, section 6); None for one that is unknown or goes by another name.

    An IPv6 address may lack its brackets, as it does in X-Forwarded-For. Raises ValueError for what is no node.
    """
    found = _NODE.fullmatch(node)
    if found is None:
        raise ValueError(f"{node!r} is no node")
    name = found["bracketed"] or found["bare"] or found["name"]
    if name.startswith("_") or name.lower() == "unknown":
        return None
    port = _port(found["port"] or "")
    return str(_plain_address(name)), port or 0


def _port(text: str) -> int | None:
    """A port's number, or None for what is none, such as an obfuscated one (RFC 7239, section 6.3)."""
    return int(text) if _PORT.fullmatch(text) and 0 < int(text) <= 65535 else None


def _scheme(scope: Scope, proto: str) -> str:
    """The scheme that the client used. Proxies write http or https for WebSockets too, and some write ws or wss."""
    insecure, secure = ("ws", "wss") if scope["type"] == "websocket" else ("http", "https")
    now: str = scope.get("scheme") or insecure
    return {"http": insecure, "ws": insecure, "https": secure, "wss": secure}.get(proto.lower(), now)


def _host(headers: Headers, hop: _Hop, default_port: int | None) -> str | None:
    """What the Host header should be (RFC 9110, section 7.2), or None where it is right as it is."""
    told = _AUTHORITY.fullmatch(hop.host)
    present = headers.getlist("host")
    authority = told or _AUTHORITY.fullmatch(present[0] if len(present) == 1 else "")
    port = _port(hop.port)
    if authority is not None and not authority["port"] and port not in (None, default_port):
        return f"{authority['host']}:{port}"
    return None if told is None else told[0]


def _below_prefix(scope: Scope, prefix: str) -> Mapping[str, Any]:
    """The keys of the scope that change where a proxy took `prefix`, which is percent-encoded, off the path."""
    encoded = prefix.rstrip("/")
    text = unquote(encoded)
    if not (encoded.isascii() and _PREFIX.fullmatch(text)):
        return {}
    raw_path: bytes | None = scope.get("raw_path")
    return {
        "root_path": text + (scope.get("root_path") or ""),
        "path": text + scope["path"],
        **({} if raw_path is None else {"raw_path": encoded.encode() + raw_path}),
    }


_Reader: TypeAlias = Callable[[Headers], Iterator[_Hop]]
_READERS: Mapping[str, _Reader] = {"x-forwarded": _x_forwarded, "forwarded": _forwarded}
_X_FORWARDED = ("for", "proto", "host", "port", "prefix")
"""In the order of the fields of _Hop."""
_DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}

_TOKEN_CHARACTERS = r"!#$%&'*+\-.^_`|~0-9A-Za-z"
# Quotes may lack around an address with a port or brackets: RFC 7239 wants them, but not every proxy writes them.
_VALUE = rf'"(?:[^"\\]|\\.)*+"|[{_TOKEN_CHARACTERS}:\[\]]++'
_PAIR = re.compile(rf"([{_TOKEN_CHARACTERS}]++)=({_VALUE})")
_ELEMENT = re.compile(rf"[ \t]*+(?:{_PAIR.pattern}[ \t]*+)?+(?:;[ \t]*+(?:{_PAIR.pattern}[ \t]*+)?+)*+")
"""RFC 7239, section 4, forwarded-element. Possessive, so that no text takes more than one pass."""
_ESCAPED = re.compile(r"\\(.)")
_NODE = re.compile(
    r"(?:\[(?P<bracketed>[0-9A-Fa-f:.]+)\]|(?P<name>[\w.-]+))(?::(?P<port>[\w.-]+))?|(?P<bare>[0-9A-Fa-f:.]+)",
    re.ASCII,
)
_PORT = re.compile(r"[0-9]{1,5}")
_AUTHORITY = re.compile(r"(?P<host>[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?")
_PREFIX = re.compile(r"(?:/(?!\.\.?(?:/|\Z))[^/\\?#\x00-\x20\x7f\ufffd]+)+")
"""A decoded path that is nothing else for anybody: no empty, `.` or `..` segments, no backslash, query or fragment."""
