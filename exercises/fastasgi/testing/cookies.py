"""Cookies: a jar that keeps them, and gives them back to those that they are for.

Rule 1: the algorithms are those of RFC 6265, section 5; a value is given back as it came, quotes included.
Rule 2: the time is asked of a clock that can be given, so that a test decides when a cookie expires.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from ipaddress import ip_address

from ..urls import URL


@dataclass(frozen=True, slots=True)
class Cookie:
    """One cookie. `domain` None: for every host; `is_host_only`: not for hosts below it; `expires` None: never."""

    name: str
    value: str
    domain: str | None = None
    path: str = "/"
    is_host_only: bool = True
    is_secure: bool = False
    expires: float | None = None


class CookieJar(Mapping[str, str]):
    """The cookies of one client: as a mapping, the values by name (of several, the one that was set last)."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        """Make an empty jar. `clock` gives the time in seconds since the epoch."""
        self._clock = clock
        self._cookies: dict[tuple[str, str | None, str], Cookie] = {}

    def set(self, name: str, value: str, *, domain: str | None = None, path: str = "/") -> None:
        """Put a cookie into the jar, for all hosts or for `domain` and those below it."""
        self._put(Cookie(name, value, domain and domain.lstrip(".").lower(), path, is_host_only=False))

    def discard(self, name: str) -> None:
        """Take all cookies of this name out of the jar."""
        self._cookies = {key: cookie for key, cookie in self._cookies.items() if cookie.name != name}

    def clear(self) -> None:
        """Empty the jar."""
        self._cookies.clear()

    def store(self, url: URL, set_cookies: Iterable[str]) -> dict[str, str]:
        """Keep what a response from `url` sets by its `set-cookie` headers (RFC 6265, section 5.3).

        Gives the values that it has set, by name, without those that it has deleted.
        """
        stored: dict[str, str] = {}
        for set_cookie in set_cookies:
            cookie = _parsed(set_cookie, url, self._clock())
            if cookie is None:
                continue
            self._put(cookie)
            stored.pop(cookie.name, None)
            if self._is_fresh(cookie):
                stored[cookie.name] = cookie.value
        return stored

    def for_url(self, url: URL) -> list[tuple[str, str]]:
        """The names and values to send to `url`: longer paths first, then those set earlier (section 5.4)."""
        fitting = [cookie for cookie in self._fresh() if _fits(cookie, url)]
        fitting.sort(key=lambda cookie: -len(cookie.path))
        return [(cookie.name, cookie.value) for cookie in fitting]

    def __getitem__(self, name: str) -> str:
        return {cookie.name: cookie.value for cookie in self._fresh()}[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(cookie.name for cookie in self._fresh()))

    def __len__(self) -> int:
        return len({cookie.name for cookie in self._fresh()})

    def _put(self, cookie: Cookie) -> None:
        self._cookies[cookie.name, cookie.domain, cookie.path] = cookie

    def _fresh(self) -> list[Cookie]:
        self._cookies = {key: cookie for key, cookie in self._cookies.items() if self._is_fresh(cookie)}
        return list(self._cookies.values())

    def _is_fresh(self, cookie: Cookie) -> bool:
        return cookie.expires is None or cookie.expires > self._clock()


def _parsed(set_cookie: str, url: URL, now: float) -> Cookie | None:
    """The cookie that a `set-cookie` header sets (RFC 6265, section 5.2), or None where it is to be ignored."""
    pair, *rest = set_cookie.split(";")
    name, equals, value = (part.strip(" \t") for part in pair.partition("="))
    if not equals or not name:
        return None
    attributes = dict(_attribute(text) for text in rest)
    host = url.hostname or ""
    domain = attributes.get("domain", "").removeprefix(".").lower()
    if domain and (not _is_below(host, domain) or ("." not in domain and domain != host)):
        return None  # another host's, or one for all of `com`
    path = attributes.get("path", "")
    return Cookie(
        name,
        value,
        domain=domain or host,
        path=path if path.startswith("/") else _default_path(url.path),
        is_host_only=not domain,
        is_secure="secure" in attributes,
        expires=_expiry(attributes, now),
    )


def _attribute(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip(" \t").lower(), value.strip(" \t")


def _expiry(attributes: Mapping[str, str], now: float) -> float | None:
    """When a cookie ends: `max-age` goes before `expires`, and what cannot be read does not count."""
    age = attributes.get("max-age", "")
    if re.fullmatch(r"-?[0-9]{1,15}", age):
        return now + int(age) if int(age) > 0 else 0.0
    try:
        date = parsedate_to_datetime(attributes.get("expires", ""))
    except ValueError:
        return None
    return date.replace(tzinfo=date.tzinfo or UTC).timestamp()


def _default_path(path: str) -> str:
    """The path of a cookie that names none (RFC 6265, section 5.1.4)."""
    return path[: path.rfind("/")] or "/"


def _fits(cookie: Cookie, url: URL) -> bool:
    host = url.hostname or ""
    for_host = cookie.domain is None or host == cookie.domain
    for_domain = not cookie.is_host_only and cookie.domain is not None and _is_below(host, cookie.domain)
    return (for_host or for_domain) and _is_path_below(url.path or "/", cookie.path) and (
        url.is_secure or not cookie.is_secure
    )  # fmt: skip


def _is_below(host: str, domain: str) -> bool:
    """Whether a cookie for `domain` is for `host`, too (RFC 6265, section 5.1.3)."""
    return host == domain or (host.endswith(f".{domain}") and not _is_address(host))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_path_below(path: str, prefix: str) -> bool:
    """Whether a cookie with the path `prefix` is for `path`, too (RFC 6265, section 5.1.4)."""
    return path == prefix or path.startswith(prefix if prefix.endswith("/") else prefix + "/")
