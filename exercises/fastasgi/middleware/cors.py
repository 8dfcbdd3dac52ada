"""CORS: which other origins may read what this application answers (WHATWG Fetch, section 3.3, CORS protocol).

Rule 1: browsers enforce CORS, this only tells them: nobody is kept from sending a request, and no request that
        is not a preflight is refused here.
Rule 2: a preflight is answered here. It is allowed as a whole or refused as a whole: 403 and no allow header.
Rule 3: what one origin is told is decided from its own request and the options; nothing is remembered.
Rule 4: where the answer depends on the origin, each answer says so (`Vary: Origin`), also those to requests
        without one; otherwise a cache would give one client's answer to another.
Rule 5: with credentials a browser takes no `*` from a server, so none is sent then.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence

from ..asgi_types import ASGIApp, Message, Receive, Scope, Send
from ..datastructures import Headers, MutableHeaders
from ..responses import Response, text_response


class CORS:
    """Middleware that lets pages of other origins use the application.

    `allow_origins` are origins as browsers send them, such as `https://example.com` or `null`; `*` is any origin.
    `allow_origin_regex` allows those that it matches as a whole, but never `null`, which every sandboxed page is.
    `allow_methods` are case-sensitive, `allow_headers` are not; `*` allows all. `allow_credentials` lets pages
    send cookies and the like. `expose_headers` are the response headers that pages may read, beside the few
    that they always may (Fetch, section 2.2.2, CORS-safelisted response-header name). `max_age` is how many
    seconds a browser may keep the answer to a preflight.

    An allowed preflight is answered by 204. All other requests go to `app`, and headers are added to whatever
    response comes out of it, errors too. For an origin that is allowed they replace those that `app` set itself.
    WebSockets are not subject to CORS and pass through, as does all else.
    What is sent further out gets no headers, such as the 500 of an error boundary around this middleware: put
    the middleware around the whole application where pages have to read that, too.

    Raises ValueError for an origin that no browser would send, for methods and headers that are no tokens (RFC
    9110, section 5.6.2), and for a negative `max_age`; TypeError where a str stands in place of a sequence.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        allow_origins: Sequence[str] = (),
        allow_origin_regex: str | None = None,
        allow_methods: Sequence[str] = ("GET", "HEAD", "POST"),
        allow_headers: Sequence[str] = (),
        allow_credentials: bool = False,
        expose_headers: Sequence[str] = (),
        max_age: int = 600,
    ) -> None:
        if max_age < 0:
            raise ValueError(f"max_age={max_age!r} is negative: use 0 to have preflights asked each time")
        self._app = app
        self._origins = frozenset(_checked("allow_origins", allow_origins, _ORIGIN_OPTION, _ORIGIN_CURE))
        self._origin_regex = re.compile(allow_origin_regex or _NOTHING)
        self._methods = _checked("allow_methods", allow_methods, _TOKEN, _TOKEN_CURE)
        self._headers = _checked("allow_headers", allow_headers, _TOKEN, _TOKEN_CURE)
        self._lower_headers = {name.lower() for name in self._headers}
        self._exposed = _checked("expose_headers", expose_headers, _TOKEN, _TOKEN_CURE)
        self._credentials = allow_credentials
        self._max_age = max_age
        self._same_for_all = "*" in self._origins and not allow_credentials

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight, pass everything else through (ASGI, Middleware)."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        raw = list(scope.get("headers") or ())  # may be read once only, and the application wants them too
        headers = Headers(raw=raw)
        if scope["method"] == "OPTIONS" and "origin" in headers and _REQUEST_METHOD in headers:
            return await self._preflight(headers)(scope, receive, send)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = self._with_headers(message, headers)
            await send(message)

        return await self._app({**scope, "headers": raw}, receive, send_with_headers)

    def _with_headers(self, message: Message, request: Headers) -> Message:
        """The message that starts a response, with what the page's origin may do with that (Fetch, 3.3.3)."""
        headers = MutableHeaders(raw=message.get("headers") or ())
        granted = self._grant(request)
        if granted is not None:
            # Of the application's own headers, the one that is not replaced by ours in any case.
            if "access-control-allow-credentials" in headers:
                del headers["access-control-allow-credentials"]
            if self._exposed:
                headers["access-control-expose-headers"] = ", ".join(self._exposed_of(headers))
            headers.update(granted)
        self._vary(headers)
        return {**message, "headers": headers.raw}

    def _preflight(self, request: Headers) -> Response:
        """The answer to a preflight (Fetch, section 4.8, CORS-preflight fetch)."""
        method = request[_REQUEST_METHOD]
        names = list(_elements(request.getlist("access-control-request-headers")))
        granted = self._grant(request)
        refused = list(self._refusals(granted is not None, method, names))
        if granted is None or refused:
            response = text_response(f"CORS: not allowed: {', '.join(refused)}.", 403)
        else:
            response = Response(None, 204, granted | self._allowances(method, names))
        self._vary(response.headers)
        return response

    def _refusals(self, origin_allowed: bool, method: str, names: Iterable[str]) -> Iterator[str]:
        if not origin_allowed:
            yield "this origin"
        if not _listed(method, self._methods):
            yield "this method"
        if not all(_listed(name.lower(), self._lower_headers) for name in names):
            yield "these headers"

    def _allowances(self, method: str, names: Collection[str]) -> dict[str, str]:
        """What a preflight is granted beside its origin. In place of a `*` stands what was asked for.

        Browsers take no `*` for Authorization, and none at all with credentials (Fetch, section 4.8).
        """
        allowed_names = names if "*" in self._headers else self._headers
        return {
            "access-control-allow-methods": method if "*" in self._methods else ", ".join(self._methods),
            **({"access-control-allow-headers": ", ".join(allowed_names)} if allowed_names else {}),
            "access-control-max-age": str(self._max_age),
        }

    def _grant(self, request: Headers) -> dict[str, str] | None:
        """The headers by which a response may be read by the page that asked, or None if it may not."""
        if self._same_for_all:
            return {"access-control-allow-origin": "*"}
        origin = ", ".join(request.getlist("origin"))  # repeated, it is no origin, and matches nothing
        if not self._allows(origin):
            return None
        credentials = {"access-control-allow-credentials": "true"} if self._credentials else {}
        return {"access-control-allow-origin": origin} | credentials

    def _allows(self, origin: str) -> bool:
        if origin in self._origins:
            return origin != "*"
        if not _ORIGIN.fullmatch(origin):
            return False
        return "*" in self._origins or self._origin_regex.fullmatch(origin) is not None

    def _exposed_of(self, headers: Headers) -> Iterable[str]:
        return headers if "*" in self._exposed and self._credentials else self._exposed

    def _vary(self, headers: MutableHeaders) -> None:
        if not self._same_for_all:
            headers.add_vary("Origin")


_REQUEST_METHOD = "access-control-request-method"
_NOTHING = "(?!)"
"""A regex that matches nothing, not even an empty text."""
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TOKEN_CURE = "use a name such as DELETE or X-Token, or '*' (RFC 9110, section 5.6.2)"
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9._:\[\]-]*")
"""An origin as browsers write it (Fetch, section 3.2, Origin header), but for `null`."""
_ORIGIN_OPTION = re.compile(rf"\*|null|{_ORIGIN.pattern}")
_ORIGIN_CURE = "write scheme://host or scheme://host:port in lower-case ASCII, without a path or a last slash"


def _checked(option: str, values: Sequence[str], form: re.Pattern[str], cure: str) -> tuple[str, ...]:
    if isinstance(values, str):
        raise TypeError(f"{option}={values!r} is one str: pass a sequence, such as [{values!r}]")
    for value in values:
        if not form.fullmatch(value):
            raise ValueError(f"{option}: {value!r} would never be matched; {cure}")
    return tuple(values)


def _listed(name: str, names: Collection[str]) -> bool:
    return name in names or ("*" in names and _TOKEN.fullmatch(name) is not None)


def _elements(lines: Iterable[str]) -> Iterator[str]:
    """The elements of a header that is a list; empty ones do not count (RFC 9110, section 5.6.1)."""
    return (each.strip(" \t") for line in lines for each in line.split(",") if each.strip(" \t"))
