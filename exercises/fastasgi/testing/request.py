"""The request: what a client asks for, from the caller's arguments to the scope that the application gets.

Rule 1: a path goes out as it is written: what cannot stand in a URL is percent-encoded, and nothing is normalised.
Rule 2: what the caller gives goes before what the client would put in by itself.
Rule 3: credentials stay with their origin (RFC 9110, section 15.4): a redirect to another does not take them along.
"""

from __future__ import annotations

import json as json_module
import re
from collections.abc import AsyncIterable, AsyncIterator, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias
from urllib.parse import quote, unquote, urlencode, urljoin

from ..datastructures import Headers
from ..urls import URL
from .forms import Fields, Files, multipart, pairs, urlencoded

Content: TypeAlias = bytes | AsyncIterable[bytes] | Iterable[bytes]
"""A body: whole, or in chunks that are sent as the application asks for them."""
HeaderSource: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for: method, absolute URL, headers without `host`, and the content of the body."""

    method: str
    url: URL
    headers: Headers
    content: Content = b""


@dataclass(frozen=True, slots=True)
class Body:
    """The arguments that say what a body is: one of them, or `data` and `files` together."""

    content: Content | None = None
    json: Any = None
    data: Fields | None = None
    files: Files | None = None

    def encode(self) -> tuple[Content, str | None]:
        """The content, and its content type where there is one to be said."""
        given = [name for name in ("content", "json", "data", "files") if getattr(self, name) is not None]
        if len(given) > 1 and given != ["data", "files"]:
            raise ValueError(f"{' and '.join(given)} are bodies of different kinds: pass one of them")
        if self.json is not None:
            text = json_module.dumps(self.json, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            return text.encode(), "application/json"
        if self.files is not None:
            return multipart(self.data or (), self.files)
        if self.data is not None:
            return urlencoded(self.data), "application/x-www-form-urlencoded"
        return _checked(b"" if self.content is None else self.content), None


def make_request(
    method: str, url: URL, body: Body, *, headers: Headers, cookies: Mapping[str, str] | None = None
) -> Request:
    """Put a request together. What `headers` has is not put in again."""
    if not _TOKEN.fullmatch(method):
        raise ValueError(f"{method!r} is no method of HTTP (RFC 9110, section 9.1)")
    method = method.upper()
    content, content_type = body.encode()
    own: list[tuple[str, str]] = []
    if content_type is not None:
        own.append(("content-type", content_type))
    if not isinstance(content, bytes):
        own.append(("transfer-encoding", "chunked"))
    elif content or method in _ALWAYS_WITH_LENGTH:
        own.append(("content-length", str(len(content))))
    merged = merge_headers(own, headers)
    if cookies:
        merged = with_cookies(merged, cookies.items())
    return Request(method, url, merged, content)


def resolve_url(url: str, base: URL, root_path: str, params: Fields | None = None) -> URL:
    """The URL that is meant by `url`: an absolute one, or a path below `root_path` and the path of `base`.

    `params` go to the end of its query. The fragment is dropped: it is never sent (RFC 9110, section 7.1).
    Raises ValueError for a scheme other than http, https, ws and wss, and for a user name in the URL.
    """
    found = _URL.match(url)
    assert found is not None  # it matches any text
    path, query = _quoted(found["path"], "/"), _quoted(found["query"] or "", "/?")
    if found["scheme"] is None:
        below = path if path.startswith("/") or not path else f"/{path}"
        path = quote(root_path) + base.path.rstrip("/") + below
        origin = f"{base.scheme}://{base.netloc}"
    else:
        origin = f"{found['scheme'].lower()}://{_ascii(found['authority'])}"
    if params is not None:
        query = "&".join(filter(None, [query, urlencode(list(pairs(params)), quote_via=quote)]))
    made = URL(f"{origin}{path or '/'}" + (f"?{query}" if query else ""))
    if made.username is not None or made.hostname is None:
        raise ValueError(f"{url!r} needs a host, and no user: send credentials in an authorization header")
    return made


def checked_root(root_path: str) -> str:
    """A root path: "", or a path without a slash at its end. Raises ValueError for any other."""
    if root_path and (not root_path.startswith("/") or root_path.endswith("/")):
        raise ValueError(f"{root_path!r} is no root_path: write it as '/api', or '' for none")
    return root_path


def redirected(request: Request, status_code: int, answer: Headers) -> Request:
    """The request that follows a redirect with these headers (RFC 9110, section 15.4).

    303 asks with GET, and so do 301 and 302 after a POST; the body and what describes it stay behind then. All else,
    and always 307 and 308, is asked again as it was. Raises ValueError where that cannot be done.
    """
    url = _redirect_url(request.url, answer["location"])
    headers = _without_cookies(
        request.headers, {text.partition("=")[0].strip() for text in answer.getlist("set-cookie")}
    )
    method, content = request.method, request.content
    if _origin(url) != _origin(request.url):
        headers = _without(headers, _BOUND_TO_ORIGIN)
    if (status_code == 303 and method != "HEAD") or (status_code in (301, 302) and method == "POST"):
        return Request("GET", url, _without(headers, _ABOUT_CONTENT))
    if isinstance(content, Iterator | AsyncIterator):
        raise ValueError(
            f"{request.method} {request.url} was redirected with {status_code}, and its body, an iterator, cannot be "
            "sent twice: pass bytes or a list, or follow_redirects=False"
        )
    return replace(request, url=url, headers=headers)


def with_kind(url: URL, kind: str) -> URL:
    """The URL with the scheme that a connection of this type has: http and https, or ws and wss."""
    plain, secure = ("ws", "wss") if kind == "websocket" else ("http", "https")
    return url.replace(scheme=secure if url.is_secure else plain)


def merge_headers(defaults: HeaderSource, headers: HeaderSource) -> Headers:
    """Both, in this order, without the defaults that `headers` has, too."""
    first, second = Headers(defaults), Headers(headers)
    return Headers(raw=[pair for pair in first.raw if pair[0].decode("latin-1") not in second] + second.raw)


def with_cookies(headers: Headers, cookies: Iterable[tuple[str, str]]) -> Headers:
    """The headers with one `cookie`, which also has these cookies (RFC 6265, section 5.4)."""
    cookies = list(cookies)
    for name, value in cookies:
        if ";" in name + value:
            raise ValueError(
                f"the cookie {name}={value} holds a semicolon, which would end it: percent-encode it"
            )
    said = [*headers.getlist("cookie"), *(f"{name}={value}" for name, value in cookies)]
    return merge_headers(headers, [("cookie", "; ".join(said))] if said else [])


def said_cookies(headers: Headers) -> list[tuple[str, str]]:
    """The names and values of the cookies in the headers."""
    texts = [text for value in headers.getlist("cookie") for text in value.split(";")]
    return [(name.strip(), value.strip()) for name, _, value in (text.partition("=") for text in texts)]


def connection_scope(
    kind: str,
    request: Request,
    *,
    root_path: str,
    client: tuple[str, int] | None,
    extensions: Collection[str],
    state: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The scope of a connection of the type `kind` (ASGI HTTP & WebSocket, Connection scope).

    The state is copied one level deep (ASGI Lifespan, Lifespan state); None is a server that has none.
    Raises ValueError for a URL that does not lie under `root_path`.
    """
    url = request.url
    path = unquote(url.path)
    if not f"{path}/".startswith(f"{root_path}/"):
        raise ValueError(
            f"{url} does not lie under root_path {root_path!r}: this application does not serve it"
        )
    scope: dict[str, Any] = {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "scheme": url.scheme,
        "path": path,
        "raw_path": url.path.encode("ascii"),
        "query_string": url.query.encode("ascii"),
        "root_path": root_path,
        "headers": merge_headers([("host", _host(url))], request.headers).raw,
        "client": client,
        "server": (url.hostname, url.port or _DEFAULT_PORTS[url.scheme]),
        "extensions": {name: {} for name in sorted(extensions)},
    }
    return scope if state is None else scope | {"state": dict(state)}


def _checked(content: Content) -> Content:
    if isinstance(content, str | Mapping | bytearray | memoryview):
        raise TypeError(
            f"a {type(content).__name__} is no content: pass bytes or chunks of them, or json= or data="
        )
    return content


def _quoted(text: str, also: str) -> str:
    """Percent-encode what cannot stand in a URL; what is encoded stays as it is (RFC 3986, section 2)."""
    return _STRAY_PERCENT.sub("%25", quote(text, safe=f"%!$&'()*+,;=:@{also}"))


def _ascii(authority: str) -> str:
    return authority if authority.isascii() else authority.encode("idna").decode("ascii")


def _redirect_url(base: URL, location: str) -> URL:
    # What a header holds beside ASCII are bytes of UTF-8, as browsers take it (WHATWG URL, section 4.4).
    target = urljoin(str(base), quote(location.encode("latin-1"), safe=_PRINTABLE))
    if not _HTTP.match(target):
        raise ValueError(f"{base} redirects to {target!r}, which is not HTTP: pass follow_redirects=False")
    return resolve_url(target, base, "")


def _origin(url: URL) -> tuple[str, str | None, int]:
    return url.scheme, url.hostname, url.port or _DEFAULT_PORTS[url.scheme]


def _host(url: URL) -> str:
    """The value of `host`: with the port if it is not the scheme's default (RFC 9110, section 7.2)."""
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname or ""
    return host if url.port in (None, _DEFAULT_PORTS[url.scheme]) else f"{host}:{url.port}"


def _without_cookies(headers: Headers, names: Collection[str]) -> Headers:
    """The headers without these cookies: whoever sets or deletes one goes before who said it earlier."""
    kept = [cookie for cookie in said_cookies(headers) if cookie[0] not in names]
    return with_cookies(_without(headers, (b"cookie",)), kept)


def _without(headers: Headers, names: Collection[bytes]) -> Headers:
    return Headers(raw=[pair for pair in headers.raw if pair[0] not in names])


_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_ALWAYS_WITH_LENGTH = ("POST", "PUT", "PATCH")
"""Methods that are expected to have a body say that they have none (RFC 9110, section 8.6)."""
_BOUND_TO_ORIGIN = (b"authorization", b"proxy-authorization", b"cookie", b"host")
_ABOUT_CONTENT = (
    *(b"content-type", b"content-length", b"content-encoding", b"content-language", b"content-location"),
    *(b"digest", b"content-digest", b"last-modified", b"transfer-encoding"),
)
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HTTP = re.compile("https?://", re.IGNORECASE)
_URL = re.compile(
    r"(?:(?P<scheme>https?|wss?)://(?P<authority>[^/?#]*))?(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?",
    re.IGNORECASE,
)
