"""Trusted hosts: only requests whose Host header names a host of ours get through.

Rule 1: links, redirects and cookies are made from the Host header, and a client can write any host into it: whoever
        asks for another one than ours is refused before anything is made from it.
Rule 2: a host is compared as a whole and by its value: letter case, a last dot, a port and the spelling of an IPv6
        address do not count. What is no host at all is never a host of ours.
Rule 3: exactly one host is asked for (RFC 9112, section 3.2): none is refused, and so are two, even if alike.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv6Address

from ..asgi_types import ASGIApp, Receive, Scope, Send
from ..datastructures import Headers
from ..responses import Response, redirect_response, text_response
from ..urls import URL
from ..websockets import WebSocket


class TrustedHost:
    """Middleware that answers 400 to requests for other hosts, and refuses WebSockets to them before accepting.

    `allowed` are hosts, such as `example.com`, `127.0.0.1` or `[::1]`; `*.example.com` is any host below that one,
    but not that one itself, and `*` is any host. With `www_redirect`, a request for a host that is allowed only with
    `www.` before it is sent there (308, RFC 9110, section 15.4.9).
    Behind proxies, `ProxyHeaders` has to be outside of it; all that makes links or redirects, inside.

    Raises ValueError for what no Host header could match, TypeError for a str in place of a sequence.
    """

    def __init__(self, app: ASGIApp, *, allowed: Sequence[str], www_redirect: bool = False) -> None:
        if isinstance(allowed, str):
            raise TypeError(f"allowed={allowed!r} is one str: pass a sequence, such as [{allowed!r}]")
        self._app = app
        self._any = "*" in allowed
        entries = [_checked(each) for each in allowed if each != "*"]
        self._hosts = frozenset(entries)
        self._suffixes = tuple(each for each in entries if each.startswith("."))
        self._www_redirect = www_redirect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what asks for an allowed host, and every other kind of scope (ASGI, Middleware)."""
        if scope["type"] in ("http", "websocket"):
            await self._guard(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _guard(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(raw=scope.get("headers") or ())
        scope = {**scope, "headers": headers.raw}  # the server's may be read once only
        host = _host(headers.getlist("host"))
        if host is not None and self._allows(host):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._refusal(scope, host)(scope, receive, send)
        else:
            async with WebSocket(scope, receive, send) as websocket:
                await websocket.deny(text_response("Invalid host.", 400))

    def _allows(self, host: str) -> bool:
        return self._any or host in self._hosts or host.endswith(self._suffixes)

    def _refusal(self, scope: Scope, host: str | None) -> Response:
        if self._www_redirect and host is not None and self._allows(f"www.{host}"):
            return redirect_response(URL.from_scope(scope).replace(hostname=f"www.{host}"), 308)
        return text_response("Invalid host.", 400)


def _host(values: Sequence[str]) -> str | None:
    """The host that the Host headers name, in the form in which hosts are compared; None if that is not one host."""
    found = _HOST.fullmatch(values[0]) if len(values) == 1 else None
    return None if found is None else _comparable(found["host"])


def _comparable(host: str) -> str | None:
    if not host.startswith("["):
        return host.lower().removesuffix(".")
    try:
        return f"[{IPv6Address(host[1:-1])}]"
    except ValueError:
        return None


def _checked(allowed: str) -> str:
    """An entry of `allowed` in the form in which hosts are compared; `.example.com` for `*.example.com`.

    An IPv6 address may lack its brackets here.
    """
    name = allowed.removeprefix("*.")
    host = f"[{name}]" if ":" in name and not name.startswith("[") else name
    comparable = _host([host])
    if comparable is None or host.startswith("[") is not host.endswith("]"):
        raise ValueError(
            f"allowed: {allowed!r} is no host. Use a name in ASCII or an address, without a scheme or a port, such as "
            "example.com or [::1]; '*.example.com' for all hosts below one, or '*' for any"
        )
    return comparable if name == allowed else f".{comparable}"


_HOST = re.compile(r"(?P<host>[\w-]+(?:\.[\w-]+)*\.?|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?", re.ASCII)
"""RFC 9110, section 7.2. Of names, only those that are in use: RFC 3986 would allow much that is none."""
