"""HTTPS redirect: whoever comes without encryption is sent to the same URL with it.

Rule 1: the redirect leads to the URL that was asked for: host, path and query stay, as they came, and so does the
        method (308, RFC 9110, section 15.4.9). What the body held has been sent in the clear already: let clients
        come by https at once the next time, by `Strict-Transport-Security` (RFC 6797).
Rule 2: the host is what the client wrote. Whether it is ours, `TrustedHost` knows: it belongs outside of this.
Rule 3: what is encrypted already passes through untouched, and so does every other kind of connection.
"""

from __future__ import annotations

from ..asgi_types import ASGIApp, Receive, Scope, Send
from ..responses import Response, redirect_response, text_response
from ..urls import URL
from ..websockets import WebSocket


class HTTPSRedirect:
    """Middleware that answers http by 308 to https, and refuses a WebSocket by ws before accepting it.

    The default ports of both schemes are left out; another port is kept, since whoever ends the encryption listens
    on it as the client knows it. A request that names no host gets 400. To a WebSocket the same answer, with a wss
    URL, is given where the server can send one (ASGI extension WebSocket Denial Response).
    Where a proxy ends the encryption, `ProxyHeaders` has to be outside of it, or every request is redirected for
    ever. The order is `ProxyHeaders`, `TrustedHost`, `HTTPSRedirect`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is encrypted, and every kind of scope but http and websocket (ASGI, Middleware)."""
        if scope["type"] not in ("http", "websocket") or scope.get("scheme") in ("https", "wss"):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await _redirect(scope, "https")(scope, receive, send)
        else:
            async with WebSocket(scope, receive, send) as websocket:
                await websocket.deny(_redirect(scope, "wss"))


def _redirect(scope: Scope, scheme: str) -> Response:
    # Without `server`, which is what a URL falls back on: its address is perhaps not for everybody to know.
    url = URL.from_scope({**scope, "server": None})
    if not url.hostname:
        return text_response("A Host header is needed.", 400)
    port = None if url.port in (80, 443) else url.port
    return redirect_response(url.replace(scheme=scheme, port=port), 308)
