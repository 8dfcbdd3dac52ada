"""Access log: one line for each request, also for those that went wrong.

Rule 1: a line tells what stood in the scope when the request came, whatever the application makes of its scope.
Rule 2: a line stays one line (CWE-117): what a client has sent is percent-encoded.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from ..asgi_types import ASGIApp, Receive, Scope, Send
from .exchange import Exchange
from .request_ids import id_of
from .trace import harmless, origin_of, traced


class AccessLog:
    """Middleware that logs each request, and each WebSocket connection, at level INFO when it has ended.

    `logger` is `fastasgi.access` by default; `clock` is in seconds. These fields make a line, and a formatter finds
    them in the record's `args`:

    - `client`, `method` and `path`, percent-encoded; "-" is a client whose address is not known, "WEBSOCKET" the
      method of a WebSocket; the query is not logged, since it often holds secrets;
    - `status`: what the client sees: 500 where the application failed before it had begun to answer, 101 or
      403 for a WebSocket; "-" where the client had left before;
    - `bytes`: how many were sent as bodies or WebSocket messages; `seconds`: how long it took;
    - `request_id`: that of `RequestIDs`, be it further in or further out, or "-";
    - `outcome`: complete, disconnected, cancelled, incomplete, or "raised" and the class of an exception.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        logger: logging.Logger | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._app = app
        self._logger = logging.getLogger("fastasgi.access") if logger is None else logger
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the connection on, and log it when it has ended (ASGI, Middleware)."""
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        origin = origin_of(scope)
        scope = traced(scope)

        def log(exchange: Exchange) -> None:
            result = {
                "status": "-" if exchange.status is None else exchange.status,
                "bytes": exchange.size,
                "seconds": exchange.seconds,
                "request_id": harmless(id_of(scope)),
                "outcome": exchange.outcome,
            }
            self._logger.info(_LINE, origin | result)

        return await Exchange(scope, receive, send, self._clock, log).run(self._app)


_LINE = '%(client)s "%(method)s %(path)s" %(status)s %(bytes)d %(seconds).6f %(request_id)s %(outcome)s'
