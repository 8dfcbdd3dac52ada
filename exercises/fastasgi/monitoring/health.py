"""Health: whether this process works, for those who route requests to it or restart it.

Rule 1: to be alive and to be ready are two questions. A process whose database is down is not helped by a restart.
Rule 2: a check that fails in any way is a check that has not passed. Why is for the log alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from ..asgi_types import Receive, Scope, Send, require_type
from ..concurrency import call
from ..responses import Response, json_response, text_response
from ..urls import path_under_root

Check = Callable[[], bool | Awaitable[bool]]


class Health:
    """An ASGI application to mount, which answers GET and HEAD at two paths, in JSON.

    `/health` is 200 as long as anything is answered at all, and calls no check. `/ready` calls all `checks` at the
    same time, plain functions in threads, and is 200 if each gave something true, else 503; it tells of each by
    name whether it passed. What a check raises goes to the log `fastasgi.health`. How long it may take is its own
    concern. Other paths are 404, other methods 405. Raises RuntimeError for connections that are not HTTP.
    """

    def __init__(self, checks: Mapping[str, Check] | None = None) -> None:
        self._checks = dict(checks or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; no answer is for a cache (RFC 9111, section 5.2.2.5)."""
        require_type(scope, "http")
        response = await self._answer(path_under_root(scope), scope["method"])
        response.headers["cache-control"] = "no-store"
        await response(scope, receive, send)

    async def _answer(self, path: str, method: str) -> Response:
        if path not in ("/health", "/ready"):
            return text_response("Not Found", 404)
        if method not in ("GET", "HEAD"):
            return text_response("Method Not Allowed", 405, {"allow": "GET, HEAD"})
        return json_response({"alive": True}) if path == "/health" else await self._readiness()

    async def _readiness(self) -> Response:
        passed = await asyncio.gather(*(_passes(name, check) for name, check in self._checks.items()))
        ready = all(passed)
        checks = dict(zip(self._checks, passed, strict=True))
        return json_response({"ready": ready, "checks": checks}, 200 if ready else 503)


async def _passes(name: str, check: Check) -> bool:
    try:
        return bool(await call(check))
    except Exception:  # whatever it is, the check has not passed
        logging.getLogger("fastasgi.health").exception("the check %r raised", name)
        return False
