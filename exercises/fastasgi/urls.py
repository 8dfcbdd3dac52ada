"""URLs: the one that a request was made to, their components, and others made from them.

Rule 1: a URL is its text; components are read from that text, and `URL(str(url)) == url`.
Rule 2: a component that is replaced never spills into another: what cannot stand in it is percent-encoded, or refused.
Rule 3: what a client has sent is trusted only so far as it is well formed, and never makes `from_scope` fail.
Rule 4: a path stays a path: it becomes neither an authority nor a scheme, whatever it begins with.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .asgi_types import Scope


class URL:
    """A URL, absolute or relative (RFC 3986). It cannot be changed; what changes a component gives a new one.

    Two are equal if their texts are, and a URL is equal to its text. Raises ValueError where the authority is no
    `user:password@host:port`, and where a control character, a space or a backslash stands before the query:
    browsers drop or replace those (WHATWG URL, section 4.4), and would go elsewhere than its components say.
    """

    def __init__(self, url: str) -> None:
        raise NotImplementedError("urls: URL.__init__")

    @classmethod
    def from_scope(cls, scope: Scope) -> URL:
        """The URL that a request or a websocket handshake was made to (ASGI HTTP & WebSocket, Connection scope).

        The host is that of the `host` header if it is well formed, else that of `server`; without either, the URL
        is only a path and a query. The scheme's default port is left out. The path is percent-encoded, as UTF-8
        (it holds `root_path` already); the query is as it came, as latin-1, but for a `#`, which would end it.
        """
        raise NotImplementedError("urls: URL.from_scope")

    @property
    def scheme(self) -> str:
        """The scheme, in lower case; "" where there is none."""
        raise NotImplementedError("urls: URL.scheme")

    @property
    def netloc(self) -> str:
        """The authority as it is written, user, host and port; "" where there is none."""
        raise NotImplementedError("urls: URL.netloc")

    @property
    def username(self) -> str | None:
        """The user's name, still percent-encoded, or None."""
        raise NotImplementedError("urls: URL.username")

    @property
    def password(self) -> str | None:
        """The password, still percent-encoded, or None."""
        raise NotImplementedError("urls: URL.password")

    @property
    def hostname(self) -> str | None:
        """The host, in lower case and without the brackets of an IPv6 address, or None."""
        raise NotImplementedError("urls: URL.hostname")

    @property
    def port(self) -> int | None:
        """The port if one is written, or None: the scheme's default is not put in."""
        raise NotImplementedError("urls: URL.port")

    @property
    def path(self) -> str:
        """The path, still percent-encoded. (Without a host, `/.//a` is how the path `//a` is written.)"""
        raise NotImplementedError("urls: URL.path")

    @property
    def query(self) -> str:
        """The query without its `?`, still percent-encoded; `QueryParams(url.query)` reads it."""
        raise NotImplementedError("urls: URL.query")

    @property
    def fragment(self) -> str:
        """The fragment without its `#`, still percent-encoded."""
        raise NotImplementedError("urls: URL.fragment")

    @property
    def is_secure(self) -> bool:
        """Whether what goes to this URL is encrypted: by `https` or `wss`."""
        raise NotImplementedError("urls: URL.is_secure")

    def replace(self, /, **components: Any) -> URL:
        """The same URL with these components instead, by the names of the properties.

        They are texts as a URL has them: `%41` stays, and what cannot stand in a path, query, fragment, username or
        password is percent-encoded; only `port` is an int. None takes a component away (`netloc=None` all of the
        authority), and so does "". A path gets the `/` in front that it needs beside a host. Raises ValueError for
        a scheme, netloc, hostname or port that is none, and TypeError for a name that no component has.
        """
        raise NotImplementedError("urls: URL.replace")

    def include_query_params(self, /, **params: Any) -> URL:
        """The same URL with these fields at the end of its query, as `str` gives them, instead of any of those names.

        All other fields stay as they are written.
        """
        raise NotImplementedError("urls: URL.include_query_params")

    def replace_query_params(self, /, **params: Any) -> URL:
        """The same URL with these fields, as `str` gives them, as its whole query."""
        raise NotImplementedError("urls: URL.replace_query_params")

    def remove_query_params(self, names: str | Iterable[str]) -> URL:
        """The same URL without the fields of this name, or of any of these; the others stay as they are written."""
        raise NotImplementedError("urls: URL.remove_query_params")

    def __str__(self) -> str:
        raise NotImplementedError("urls: URL.__str__")

    def __eq__(self, other: object) -> bool:
        raise NotImplementedError("urls: URL.__eq__")

    def __hash__(self) -> int:
        raise NotImplementedError("urls: URL.__hash__")


def path_under_root(scope: Scope) -> str:
    """The part of `scope["path"]` below `root_path`: what a router or a mounted application matches.

    It begins with a `/`, or is "" for the root itself. A root ends where a segment does: `/foo` is no root of
    `/foobar`. A path that is not under `root_path` is given whole (ASGI HTTP, Connection scope, `root_path`).
    """
    raise NotImplementedError("urls: path_under_root")
