"""The reference beside other frameworks: requests a second in process, without and with uvloop, side by side; then
under uvicorn (`under_uvicorn.py`), and the memory that large bodies take (`big_bodies.py`).

Each framework runs the application of `frameworks`, driven by the least of servers: a scope, a `receive` and a
`send`. Rounds go in turn, A B C A B C ..., and each ratio is the median of those of paired rounds.

python benchmarks/reference.py [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

import uvloop
from frameworks import CHUNK, CHUNKS

FRAMEWORKS = ("fastasgi", "starlette", "fastapi", "litestar", "falcon", "raw")
BOUNDARY = b"boundary0123456789"
FORM = (
    b"--%b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n"
    b"Content-Type: application/octet-stream\r\n\r\n%b\r\n--%b--\r\n" % (BOUNDARY, CHUNK * CHUNKS, BOUNDARY)
)  # fmt: skip
Call = Callable[[Any], Awaitable[None]]
"""One exchange with an application."""


def request(method: str, path: str, body: bytes = b"", content_type: bytes = b"text/plain") -> Call:
    """One HTTP request, whose body comes in chunks; the answer is only counted."""
    headers = [(b"host", b"127.0.0.1:8000"), (b"accept", b"*/*"), (b"content-type", content_type),
               (b"content-length", str(len(body)).encode()), (b"user-agent", b"benchmark")]  # fmt: skip
    events = [
        {"type": "http.request", "body": body[at : at + len(CHUNK)], "more_body": at + len(CHUNK) < len(body)}
        for at in range(0, max(len(body), 1), len(CHUNK))
    ]

    async def call(app: Any) -> None:
        pending = iter(events)
        status = 0
        complete = asyncio.Event()

        async def receive() -> Any:
            event = next(pending, None)
            if event is None:
                await complete.wait()
                return {"type": "http.disconnect"}
            return event

        async def send(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                complete.set()

        await app(_scope("http", path) | {"method": method, "headers": list(headers)}, receive, send)
        if status != 200:
            raise RuntimeError(f"{method} {path}: {status}")

    return call


def websocket(messages: int) -> Call:
    """One WebSocket that has some messages sent back."""

    async def call(app: Any) -> None:
        events = [{"type": "websocket.connect"}]
        events += [{"type": "websocket.receive", "text": "hello", "bytes": None}] * messages
        pending = iter(events)
        echoed = 0
        complete = asyncio.Event()

        async def receive() -> Any:
            event = next(pending, None)
            if event is None:
                await complete.wait()
                return {"type": "websocket.disconnect", "code": 1000}
            return event

        async def send(message: Any) -> None:
            nonlocal echoed
            echoed += message["type"] == "websocket.send"
            if echoed == messages:
                complete.set()

        await app(_scope("websocket", "/echo") | {"headers": [], "subprotocols": []}, receive, send)
        if echoed != messages:
            raise RuntimeError(f"{echoed} of {messages} messages came back")

    return call


def _scope(kind: str, path: str) -> dict[str, Any]:
    return {
        "type": kind, "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000), "scheme": "http" if kind == "http" else "ws", "extensions": {}, "state": {},
    }  # fmt: skip


FORM_TYPE = b"multipart/form-data; boundary=" + BOUNDARY
SCENARIOS: dict[str, tuple[Call, int, int, int, tuple[str, ...]]] = {
    # name: the exchange, how often in a round, routes, middleware, which frameworks beside `fastasgi`
    "hello": (request("GET", "/hello"), 1000, 0, 0, FRAMEWORKS),
    "JSON of 1 kB": (request("GET", "/json"), 1000, 0, 0, FRAMEWORKS),
    "two parameters, 10 routes": (request("GET", "/r9/42/word"), 1000, 10, 0, (*FRAMEWORKS, "radix")),
    "two parameters, 100 routes": (request("GET", "/r99/42/word"), 500, 100, 0, (*FRAMEWORKS, "radix")),
    "two parameters, 1,000 routes": (request("GET", "/r999/42/word"), 100, 1000, 0, (*FRAMEWORKS, "radix")),
    "three middlewares": (request("GET", "/hello"), 300, 0, 3, FRAMEWORKS),
    "1 MB streamed out": (request("GET", "/down"), 300, 0, 0, FRAMEWORKS),
    "1 MB streamed in": (request("POST", "/up", CHUNK * CHUNKS), 300, 0, 0, FRAMEWORKS),
    "multipart of 1 MB": (request("POST", "/form", FORM, FORM_TYPE), 30, 0, 0, FRAMEWORKS[:-1]),
    "websocket, 100 messages": (websocket(100), 30, 0, 0, FRAMEWORKS),
}


def make(framework: str, routes: int, middleware: int) -> Any:
    """The application of `frameworks` in one of them."""
    if framework == "radix":
        return import_module("frameworks.fastasgi").make_radix(routes, middleware)
    return import_module(f"frameworks.{framework}").make(routes, middleware)


async def measure(name: str, rounds: int) -> dict[str, list[float]]:
    """Seconds for one exchange, by framework, a figure for each round."""
    call, times, routes, middleware, frameworks = SCENARIOS[name]
    apps = {framework: make(framework, routes, middleware) for framework in frameworks}
    taken: dict[str, list[float]] = {framework: [] for framework in apps}
    for number in range(rounds + 1):  # the first warms up
        for framework, app in apps.items():
            began = time.perf_counter()
            for _ in range(times):
                await call(app)
            if number:
                taken[framework].append((time.perf_counter() - began) / times)
    return taken


def show(name: str, taken: dict[str, list[float]]) -> None:
    """Print the figures of a scenario, and how they stand to Starlette's."""
    print(f"  {name}")
    for framework, values in taken.items():
        ratios = [theirs / own for theirs, own in zip(taken["starlette"], values, strict=True)]
        print(
            f"    {framework:<12}{1 / statistics.median(values):>12,.0f} a second"
            f"   {statistics.median(ratios):6.2f} times Starlette"
        )


def main() -> int:
    """Print all figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds, and no uvloop")
    parser.add_argument("--only", default="", help="only the scenarios in process whose name holds this")
    options = parser.parse_args()
    loops: dict[str, Any] = {"asyncio": None, "uvloop": uvloop.new_event_loop}
    for loop, factory in list(loops.items())[: 1 if options.quick else 2]:
        print(f"{loop}, Python {sys.version.split()[0]}")
        lookups: dict[str, float] = {}
        for name in (name for name in SCENARIOS if options.only in name):
            with asyncio.Runner(loop_factory=factory) as runner:
                taken = runner.run(measure(name, 3 if options.quick else 11))
            show(name, taken)
            if "radix" in taken:
                lookups[name] = statistics.median(taken["radix"])
        if len(lookups) > 1:
            first, *_, last = lookups.values()
            print(
                f"  radix: a request among 1,000 routes costs {last / first:.2f} times one among 10 (goal: 1.5)"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
