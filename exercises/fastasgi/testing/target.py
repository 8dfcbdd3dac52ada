"""The target: the URL that a request is for, made from what the caller wrote.

Rule 1: a path goes out as it is written: what cannot stand in a URL is percent-encoded, and nothing is normalised.
Rule 2: only what begins with a scheme and `//` names a host; all else is a path, whatever it begins with.
"""

from __future__ import annotations

import re
from urllib.parse import quote, urlencode, urljoin

from ..urls import URL
from .forms import Fields, pairs

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
"""The port of each scheme (RFC 9110, section 4.2; RFC 6455, section 3)."""


def make_url(url: str, base: URL | None = None, root_path: str = "", params: Fields | None = None) -> URL:
    """The URL that is meant by `url`: an absolute one, or a path below `root_path` and the path of `base`.

    `params` go to the end of its query. The fragment is dropped: it is never sent (RFC 9110, section 7.1).
    Raises ValueError for a URL without a host, with a user, or with a host or port that is none.
    """
    found = _URL.match(url)
    assert found is not None  # it matches any text
    path, query = _quoted(found["path"], "/"), _quoted(found["query"] or "", "/?")
    if found["scheme"] is not None:
        origin = f"{found['scheme'].lower()}://{_ascii(found['authority'])}"
    elif base is not None:
        below = path if path.startswith("/") or not path else f"/{path}"
        path = quote(root_path) + base.path.rstrip("/") + below
        origin = f"{base.scheme}://{base.netloc}"
    else:
        raise ValueError(f"{url!r} is no whole URL: begin it with http:// or https://")
    if params is not None:
        query = "&".join(filter(None, [query, urlencode(list(pairs(params)), quote_via=quote)]))
    made = URL(f"{origin}{path or '/'}" + (f"?{query}" if query else ""))
    if made.username is not None or made.hostname is None:
        raise ValueError(f"{url!r} needs a host, and no user: send credentials in an authorization header")
    return made


def redirect_url(url: URL, location: str) -> URL:
    """The URL that `location`, in a response from `url`, leads to (RFC 9110, section 10.2.2).

    Raises ValueError where it leads out of HTTP.
    """
    # What such a header holds beside ASCII are bytes of UTF-8, as browsers take it (WHATWG URL, section 4.4).
    target = urljoin(str(url), quote(location.encode("latin-1"), safe=_PRINTABLE))
    if not _HTTP.match(target):
        raise ValueError(f"{url} redirects to {target!r}, which is not HTTP: pass follow_redirects=False")
    return make_url(target)


def with_scheme_for(kind: str, url: URL) -> URL:
    """The URL with the scheme that connections of this type have: http and https, or ws and wss."""
    plain, secure = ("ws", "wss") if kind == "websocket" else ("http", "https")
    return url.replace(scheme=secure if url.is_secure else plain)


def origin(url: URL) -> tuple[str, str | None, int]:
    """Scheme, host and port: what two URLs of one origin share (RFC 9110, section 4.3.1)."""
    return url.scheme, url.hostname, url.port or DEFAULT_PORTS[url.scheme]


def host_header(url: URL) -> str:
    """The value of `host`: with the port if it is not the scheme's default (RFC 9110, section 7.2)."""
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname or ""
    return host if url.port in (None, DEFAULT_PORTS[url.scheme]) else f"{host}:{url.port}"


def _quoted(text: str, also: str) -> str:
    """Percent-encode what cannot stand in a URL; what is encoded stays as it is (RFC 3986, section 2)."""
    return _STRAY_PERCENT.sub("%25", quote(text, safe=f"%!$&'()*+,;=:@{also}"))


def _ascii(authority: str) -> str:
    return authority if authority.isascii() else authority.encode("idna").decode("ascii")


_URL = re.compile(
    r"(?:(?P<scheme>https?|wss?)://(?P<authority>[^/?#]*))?(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?",
    re.IGNORECASE,
)
_HTTP = re.compile("https?://", re.IGNORECASE)
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
