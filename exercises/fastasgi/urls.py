"""URLs: the one that a request was made to, their components, and others made from them.

Rule 1: a URL is its text; components are read from that text, and `URL(str(url)) == url`.
Rule 2: a component that is replaced never spills into another: what cannot stand in it is percent-encoded, or refused.
Rule 3: what a client has sent is trusted only so far as it is well formed, and never makes `from_scope` fail.
Rule 4: a path stays a path: it becomes neither an authority nor a scheme, whatever it begins with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import AddressValueError, IPv6Address
from typing import Any, NamedTuple
from urllib.parse import quote

from .asgi_types import Scope
from .datastructures import QueryParams


class URL:
    """A URL, absolute or relative (RFC 3986). It cannot be changed; what changes a component gives a new one.

    Two are equal if their texts are, and a URL is equal to its text. Raises ValueError where the authority is no
    `user:password@host:port`, and where a control character, a space or a backslash stands before the query:
    browsers drop or replace those (WHATWG URL, section 4.4), and would go elsewhere than its components say.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._parts = _split(url)
        self._authority = _parse_authority(self._parts.authority or "")

    @classmethod
    def from_scope(cls, scope: Scope) -> URL:
        """The URL that a request or a websocket handshake was made to (ASGI HTTP & WebSocket, Connection scope).

        The host is that of the `host` header if it is well formed, else that of `server`; without either, the URL
        is only a path and a query. The scheme's default port is left out. The path is percent-encoded, as UTF-8
        (it holds `root_path` already); the query is as it came, as latin-1, but for a `#`, which would end it.
        """
        scheme = scope.get("scheme") or ("ws" if scope["type"] == "websocket" else "http")
        authority = _host_of(scope, _DEFAULT_PORTS.get(scheme))
        path = quote(scope["path"], safe=_SUB_DELIMS + ":@/", errors="surrogatepass")
        query = (scope.get("query_string") or b"").decode("latin-1").replace("#", "%23")
        parts = _Parts(
            scheme=None if authority is None else scheme,
            authority=authority,
            path=path if path.startswith("/") or not path else "/" + path,
            query=query or None,
            fragment=None,
        )
        return cls(_joined(parts))

    @property
    def scheme(self) -> str:
        """The scheme, in lower case; "" where there is none."""
        return (self._parts.scheme or "").lower()

    @property
    def netloc(self) -> str:
        """The authority as it is written, user, host and port; "" where there is none."""
        return self._parts.authority or ""

    @property
    def username(self) -> str | None:
        """The user's name, still percent-encoded, or None."""
        return self._authority.username

    @property
    def password(self) -> str | None:
        """The password, still percent-encoded, or None."""
        return self._authority.password

    @property
    def hostname(self) -> str | None:
        """The host, in lower case and without the brackets of an IPv6 address, or None."""
        return self._authority.host.strip("[]").lower() or None

    @property
    def port(self) -> int | None:
        """The port if one is written, or None: the scheme's default is not put in."""
        return self._authority.port

    @property
    def path(self) -> str:
        """The path, still percent-encoded. (Without a host, `/.//a` is how the path `//a` is written.)"""
        return self._parts.path

    @property
    def query(self) -> str:
        """The query without its `?`, still percent-encoded; `QueryParams(url.query)` reads it."""
        return self._parts.query or ""

    @property
    def fragment(self) -> str:
        """The fragment without its `#`, still percent-encoded."""
        return self._parts.fragment or ""

    @property
    def is_secure(self) -> bool:
        """Whether what goes to this URL is encrypted: by `https` or `wss`."""
        return self.scheme in ("https", "wss")

    def replace(self, /, **components: Any) -> URL:
        """The same URL with these components instead, by the names of the properties.

        They are texts as a URL has them: `%41` stays, and what cannot stand in a path, query, fragment, username or
        password is percent-encoded; only `port` is an int. None takes a component away (`netloc=None` all of the
        authority), and so does "". A path gets the `/` in front that it needs beside a host. Raises ValueError for
        a scheme, netloc, hostname or port that is none, and TypeError for a name that no component has.
        """
        if unknown := components.keys() - _COMPONENTS:
            raise TypeError(f"a URL has no {', '.join(sorted(unknown))}: it has {', '.join(_COMPONENTS)}")
        parts = self._parts._replace(
            scheme=components.get("scheme", self._parts.scheme) or None,
            authority=_changed_authority(self._parts.authority, components),
            path=_changed("path", components, self._parts.path) or "",
            query=_changed("query", components, self._parts.query),
            fragment=_changed("fragment", components, self._parts.fragment),
        )
        made = URL(_joined(parts))
        if made._parts[:2] != parts[:2]:
            raise ValueError(
                "this scheme and netloc would be read as something else: write them as https and example.com:8000"
            )
        return made

    def include_query_params(self, /, **params: Any) -> URL:
        """The same URL with these fields at the end of its query, as `str` gives them, instead of any of those names.

        All other fields stay as they are written.
        """
        kept = self.remove_query_params(params)
        return kept._with_query("&".join(filter(None, [kept.query, _encoded(params)])))

    def replace_query_params(self, /, **params: Any) -> URL:
        """The same URL with these fields, as `str` gives them, as its whole query."""
        return self._with_query(_encoded(params))

    def remove_query_params(self, names: str | Iterable[str]) -> URL:
        """The same URL without the fields of this name, or of any of these; the others stay as they are written."""
        gone = {names} if isinstance(names, str) else set(names)
        fields = self.query.split("&")
        return self._with_query("&".join(field for field in fields if gone.isdisjoint(QueryParams(field))))

    def _with_query(self, query: str) -> URL:
        return URL(_joined(self._parts._replace(query=query or None)))

    def __str__(self) -> str:
        return self._url

    def __eq__(self, other: object) -> bool:
        return self._url == str(other) if isinstance(other, URL | str) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._url)

    def __repr__(self) -> str:
        if self.password is None:
            return f"URL({self._url!r})"
        hidden = self._authority._replace(password="********")
        return f"URL({_joined(self._parts._replace(authority=hidden.text()))!r})"


def path_under_root(scope: Scope) -> str:
    """The part of `scope["path"]` below `root_path`: what a router or a mounted application matches.

    It begins with a `/`, or is "" for the root itself. A root ends where a segment does: `/foo` is no root of
    `/foobar`. A path that is not under `root_path` is given whole (ASGI HTTP, Connection scope, `root_path`).
    """
    path: str = scope["path"]
    root = (scope.get("root_path") or "").rstrip("/")
    below = path.removeprefix(root)
    return below if below.startswith("/") or not below else path


class _Parts(NamedTuple):
    """A URL taken apart (RFC 3986, section 3). None is a part that is not there, "" one that is empty."""

    scheme: str | None
    authority: str | None
    path: str
    query: str | None
    fragment: str | None


class _Authority(NamedTuple):
    """An authority taken apart (RFC 3986, section 3.2). An IPv6 address as host has its brackets."""

    username: str | None
    password: str | None
    host: str
    port: int | None

    def text(self) -> str:
        password = "" if self.password is None else f":{self.password}"
        at = "" if self.username is None and self.password is None else "@"
        port = "" if self.port is None else f":{self.port}"
        return f"{self.username or ''}{password}{at}{self.host}{port}"


def _split(url: str) -> _Parts:
    """Take a URL apart, and off its path what `_joined` has put in front to keep it from being an authority."""
    found = _URL.fullmatch(url)
    if found is None:
        raise ValueError(
            "the URL has a control character, a space or a backslash before its query: "
            "percent-encode it (a space is %20, a backslash %5C)"
        )
    parts = _Parts(**found.groupdict())
    guarded = parts.authority is None and parts.path.startswith("/.") and _LIKE_AUTHORITY.match(parts.path, 2)
    return parts._replace(path=parts.path[2:]) if guarded else parts


def _joined(parts: _Parts) -> str:
    """The text of a URL (RFC 3986, section 5.3), with what keeps its path from being read as something else."""
    path = parts.path
    if parts.authority is not None:
        path = path if path.startswith("/") or not path else "/" + path
    elif _LIKE_AUTHORITY.match(path):
        path = "/." + path  # the same path (RFC 3986, section 5.2.4), but no authority
    elif parts.scheme is None and ":" in path.partition("/")[0]:
        path = "./" + path  # the same path, but no scheme (RFC 3986, section 4.2)
    scheme = "" if parts.scheme is None else f"{parts.scheme}:"
    authority = "" if parts.authority is None else f"//{parts.authority}"
    query = "" if parts.query is None else f"?{parts.query}"
    fragment = "" if parts.fragment is None else f"#{parts.fragment}"
    return scheme + authority + path + query + fragment


def _parse_authority(text: str) -> _Authority:
    found = _AUTHORITY.fullmatch(text)
    if found is None or (found["host"] and not _is_host(found["host"])):
        raise ValueError(
            f"{text.rpartition('@')[2]!r} is no host of a URL: write it as example.com, example.com:8000 or "
            "[::1]:8000, in ASCII"
        )  # what stands before the @ may be a password
    return _Authority(found["username"], found["password"], found["host"], _port(found["port"]))


def _port(digits: str | None) -> int | None:
    """The number of a port; after a colon there may be no digits, or zeros before them (RFC 3986, section 3.2.3)."""
    if not digits:
        return None
    return _checked_port(int(digits.lstrip("0")[:6] or "0"))  # six tell that it is too large; int has a limit


def _checked_port(port: int) -> int:
    if not 0 <= port <= 65535:
        raise ValueError(f"{port} is no port: use 0 to 65535")
    return port


def _is_host(text: str) -> bool:
    """Whether `text` is a host, and not empty; an IPv6 address has brackets and no zone (RFC 3986, section 3.2.2)."""
    if _NAME_OR_FUTURE.fullmatch(text):
        return True
    if not (text.startswith("[") and text.endswith("]")) or "%" in text:
        return False
    try:
        IPv6Address(text[1:-1])
    except AddressValueError:
        return False
    return True


def _host_of(scope: Scope, default_port: int | None) -> str | None:
    """Host and port of the first source that has them well formed, without the default port; None if none has."""
    for source in (_host_header(scope), _server(scope)):
        try:
            authority = _parse_authority(source)
        except ValueError:
            continue
        if authority.host and authority.username is None:
            port = None if authority.port == default_port else authority.port
            return authority._replace(port=port).text()
    return None


def _host_header(scope: Scope) -> str:
    for name, value in scope.get("headers") or ():
        if name.lower() == b"host":
            return str(value, "latin-1")
    return ""


def _server(scope: Scope) -> str:
    """The `server` of a scope as an authority; "" where there is none, or it is a unix socket: it has no port."""
    host, port = scope.get("server") or ("", None)
    if port is None:
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _encoded(params: Mapping[str, Any]) -> str:
    return str(QueryParams((name, str(value)) for name, value in params.items()))


def _changed(name: str, components: Mapping[str, Any], old: str | None) -> str | None:
    """The component `name` as `components` has it, percent-encoded where it must be, else the old one."""
    if name not in components:
        return old
    encoded = quote(components[name] or "", safe=f"%{_SUB_DELIMS}{_ALSO.get(name, '')}")
    return _STRAY_PERCENT.sub("%25", encoded) or None


def _changed_authority(old: str | None, components: Mapping[str, Any]) -> str | None:
    if "netloc" in components:
        old = components["netloc"] or None
    if components.keys().isdisjoint(_IN_AUTHORITY):
        return old
    before = _parse_authority(old or "")
    port = components.get("port", before.port)
    after = _Authority(
        username=_changed("username", components, before.username),
        password=_changed("password", components, before.password),
        host=_checked_host(components["hostname"] or "") if "hostname" in components else before.host,
        port=None if port in (None, "") else _checked_port(port),
    )
    if not after.host and after.text():
        raise ValueError("a username, password or port needs a host: pass hostname, too")
    return after.text() or None


def _checked_host(hostname: str) -> str:
    host = f"[{hostname}]" if ":" in hostname and not hostname.startswith("[") else hostname
    if host and not _is_host(host):
        raise ValueError(
            f"{hostname!r} is no hostname: use a name of ASCII letters, digits, hyphens and dots, or an IP address"
        )
    return host


_COMPONENTS = ("scheme", "netloc", "username", "password", "hostname", "port", "path", "query", "fragment")
_IN_AUTHORITY = ("username", "password", "hostname", "port")
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

_SUB_DELIMS = "!$&'()*+,;="
"""What any component may hold as it is, besides the unreserved characters (RFC 3986, section 2.2)."""
_ALSO = {"path": ":@/", "query": ":@/?", "fragment": ":@/?"}
"""What some components may hold besides (RFC 3986, sections 3.3 to 3.5)."""
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")

_URL = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*):)?"
    r"(?://(?P<authority>[^/?#\\\x00-\x20\x7f]*))?"
    r"(?P<path>[^?#\\\x00-\x20\x7f]*)"
    r"(?s:\?(?P<query>[^#]*))?"
    r"(?s:#(?P<fragment>.*))?"
)
"""RFC 3986, appendix B, without the characters that browsers misread."""
_LIKE_AUTHORITY = re.compile(r"(?:/\.)*//")
"""How a path begins that would be an authority, or that has been kept from it already."""
_AUTHORITY = re.compile(
    r"(?:(?P<username>[^:]*)(?::(?P<password>.*))?@)?(?P<host>\[[^\[\]@]*\]|[^\[\]:@]*)(?::(?P<port>[0-9]*))?"
)
_NAME_OR_FUTURE = re.compile(
    r"(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+|\[[vV][0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+\]"
)
"""RFC 3986, section 3.2.2: reg-name (which IPv4 addresses are, too) and IPvFuture."""
