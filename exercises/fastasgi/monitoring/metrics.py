"""Metrics: numbers about all requests so far, in the text format of Prometheus (version 0.0.4).

Rule 1: no client can add a time series: a label's values are methods of HTTP, templates of routes, and statuses.
Rule 2: what has begun ends: the gauge goes down on every way out.
Rule 3: same numbers, same page: series are sorted.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from http import HTTPMethod
from itertools import accumulate

from ..asgi_types import ASGIApp, Receive, Scope, Send, require_type
from ..responses import text_response
from .exchange import Exchange
from .trace import TRACE, traced


class Metrics:
    """Counts and durations of HTTP requests.

    Make one, add `metrics.middleware` to the application as middleware, and mount `metrics.endpoint`, out of reach
    of strangers. `clock` is in seconds; `buckets` are upper bounds of durations, in seconds, ascending.

    - `requests_total{method, route, status}` counts requests that have ended. A method that is none of HTTP's is
      "other"; a route is its template, or "unmatched" where no router has named one; the status is what the client
      sees, or "none" where it left before there was one.
    - `request_duration_seconds{method, route}` is a histogram of how long they took.
    - `requests_in_progress` is how many have not ended.

    Raises ValueError for buckets that are not finite and ascending, or none.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.perf_counter,
        buckets: Sequence[float] = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    ) -> None:
        if not buckets or sorted(set(buckets)) != list(buckets) or not all(map(math.isfinite, buckets)):
            raise ValueError(f"buckets={buckets!r}: give finite numbers in ascending order; +Inf is added")
        self._clock = clock
        self._buckets = tuple(float(bound) for bound in buckets)
        self._in_progress = 0
        self._requests: Counter[tuple[str, str, str]] = Counter()
        self._durations: dict[tuple[str, str], _Histogram] = {}

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """`app`, with its HTTP requests counted here. All else passes through (ASGI, Middleware)."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                return await app(scope, receive, send)
            method = scope["method"] if scope["method"] in _METHODS else "other"
            scope = traced(scope)

            def count(exchange: Exchange) -> None:
                self._count(method, str(scope[TRACE].get("route", "unmatched")), exchange)

            exchange = Exchange(scope, receive, send, self._clock, count)
            self._in_progress += 1
            return await exchange.run(app)

        return counted

    def render(self) -> str:
        """The page that Prometheus reads."""
        return "".join(f"{line}\n" for line in self._lines())

    async def endpoint(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application that answers GET and HEAD by the page. Raises RuntimeError for what is not HTTP."""
        require_type(scope, "http")
        if scope["method"] in ("GET", "HEAD"):
            response = text_response(self.render(), headers={"content-type": _CONTENT_TYPE})
        else:
            response = text_response("Method Not Allowed", 405, {"allow": "GET, HEAD"})
        await response(scope, receive, send)

    def _count(self, method: str, route: str, exchange: Exchange) -> None:
        status = "none" if exchange.status is None else str(exchange.status)
        self._in_progress -= 1
        self._requests[method, route, status] += 1
        self._durations.setdefault((method, route), _Histogram(self._buckets)).observe(exchange.seconds)

    def _lines(self) -> Iterator[str]:
        yield from _heading("requests_total", "counter", "HTTP requests that have ended.")
        for (method, route, status), count in sorted(self._requests.items()):
            yield _sample("requests_total", count, method=method, route=route, status=status)
        yield from _heading("request_duration_seconds", "histogram", "How long HTTP requests took.")
        for (method, route), histogram in sorted(self._durations.items()):
            yield from histogram.lines("request_duration_seconds", method=method, route=route)
        yield from _heading("requests_in_progress", "gauge", "HTTP requests that have not ended.")
        yield _sample("requests_in_progress", self._in_progress)


class _Histogram:
    """How many values there were up to each of some bounds, and their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = (*bounds, math.inf)
        self._counts = [0] * len(self._bounds)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1  # a bound belongs to the bucket below it
        self._sum += value

    def lines(self, name: str, **labels: str) -> Iterator[str]:
        for bound, count in zip(self._bounds, accumulate(self._counts), strict=True):
            yield _sample(f"{name}_bucket", count, **labels, le=_number(bound))
        yield _sample(f"{name}_sum", self._sum, **labels)
        yield _sample(f"{name}_count", sum(self._counts), **labels)


def _heading(name: str, kind: str, text: str) -> tuple[str, str]:
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"


def _sample(name: str, value: float, **labels: str) -> str:
    pairs = ",".join(f'{label}="{text.translate(_ESCAPES)}"' for label, text in labels.items())
    return f"{name}{{{pairs}}} {_number(value)}" if pairs else f"{name} {_number(value)}"


def _number(value: float) -> str:
    return "+Inf" if value == math.inf else repr(value)


_METHODS = frozenset(method.value for method in HTTPMethod)
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
"""What a label's value cannot hold as it is (Prometheus, Exposition formats, Comments, help text, and type)."""
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
