"""Rate limit: how many requests a client may make, by a token bucket for each.

Rule 1: a bucket holds `burst` tokens and gains `rate` a second; a request takes one, or is refused where there is
        none. So nobody ever gets more than `burst + rate * t` requests through in any t seconds.
Rule 2: nothing is awaited between looking into a bucket and taking from it.
Rule 3: a full bucket is the same as none and is forgotten. Of the others, at most `max_clients` are kept, those
        of the clients that came last.
Rule 4: time is counted in whole ticks, so that no rounding adds up: a client that waits as long as it was told
        is let in.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from fractions import Fraction

from ..asgi_types import ASGIApp, Message, Receive, Scope, Send, extension
from ..responses import text_response


def client_host(scope: Scope) -> str:
    """The host of the client as the server has it; "" for all whose host is not known (ASGI, HTTP, `client`).

    No header has a say in it, since a client may send any. Behind a proxy, have middleware further out that trusts
    just that proxy put the client's own address into the scope.
    """
    host, _ = scope.get("client") or ("", None)
    return str(host)


class RateLimit:
    """Middleware that refuses requests that come too fast, by 429 with Retry-After (RFC 6585, section 4).

    `rate` is in requests a second, `burst` how many may come at once. `key` tells clients apart; whoever has
    many addresses has as many buckets, such as an IPv6 network, unless `key` makes one of them. `clock` is
    in seconds and never goes back; it is read to the nanosecond. Both are called once a request.
    At most `max_clients` buckets are kept; where more clients are active than that, the one that has been quiet
    longest starts anew.

    A WebSocket handshake is a request as well: it is refused before it is accepted, by the same response where
    the server can send one (ASGI, WebSocket Denial Response), else by a plain close. All else passes through.
    Raises ValueError for options by which nobody would get through, or everybody.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        rate: float,
        burst: int,
        key: Callable[[Scope], str] = client_host,
        clock: Callable[[], float] = time.monotonic,
        max_clients: int = 10_000,
    ) -> None:
        self._app = app
        self._buckets = _Buckets(rate, burst, max_clients)
        self._key = key
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the connection on if there is a token for it, else refuse it."""
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        wait = self._buckets.take(self._key(scope), self._clock())
        if wait == 0:
            return await self._app(scope, receive, send)
        response = text_response("Too Many Requests", 429, {"retry-after": str(wait)})
        if scope["type"] == "http":
            return await response(scope, receive, send)
        return await _deny(response, scope, receive, send)


async def _deny(response: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a WebSocket: by `response`, or by a close before accept, which the server answers by 403."""
    if (await receive())["type"] == "websocket.disconnect":
        return None
    if extension(scope, "websocket.http.response") is None:
        return await send({"type": "websocket.close"})

    async def send_denial(message: Message) -> None:
        await send({**message, "type": f"websocket.{message['type']}"})

    return await response({**scope, "type": "http", "method": "GET"}, receive, send_denial)


class _Buckets:
    """The buckets by client. Of each only this is kept: at which tick it will be full again.

    A bucket that is not here is full. The one that was used longest ago comes first. Ticks are so short that a
    nanosecond is a whole number of them, and so is the time in which a token comes.
    """

    def __init__(self, rate: float, burst: int, max_clients: int) -> None:
        if not (0 < rate < math.inf and burst >= 1 and max_clients >= 1):
            raise ValueError(
                f"rate={rate!r}, burst={burst!r}, max_clients={max_clients!r}: "
                "rate has to be positive and finite, the other two at least 1"
            )
        exact = _exact(rate)
        self._nano = exact.numerator
        self._second = self._nano * _NANO
        self._token = exact.denominator * _NANO
        self._capacity = burst * self._token
        self._max_clients = max_clients
        self._full_at: OrderedDict[str, int] = OrderedDict()  # a dict would look for its first item

    def take(self, client: str, seconds: float) -> int:
        """Take a token: 0, or in how many whole seconds there will be one."""
        now = round(seconds * _NANO) * self._nano
        full_at = max(self._full_at.pop(client, now), now)
        lacking = full_at + self._token - (now + self._capacity)
        self._full_at[client] = full_at + (self._token if lacking <= 0 else 0)
        self._forget(now)
        return max(0, -(-lacking // self._second))  # rounded up, since less would be too early

    def _forget(self, now: int) -> None:
        """Drop old buckets that are full, and the oldest where there are too many.

        A full one may stand behind one that is not; but none needs longer than `burst / rate` seconds to fill.
        """
        while len(self._full_at) > self._max_clients or next(iter(self._full_at.values())) <= now:
            self._full_at.popitem(last=False)


_NANO = 10**9


def _exact(rate: float) -> Fraction:
    """The number that is meant by `rate`: 1/60 rather than the float beside it, of which 61 s would be the wait."""
    simple = Fraction(rate).limit_denominator(10**9)
    return simple if float(simple) == rate else Fraction(rate)
