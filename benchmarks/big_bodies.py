"""What a gigabyte costs in memory: streamed in, as a multipart upload, and streamed out, in a process of its own each.

python benchmarks/big_bodies.py [--megabytes 1024]
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from frameworks import CHUNK

GOAL = 50
"""MB by which the process may grow."""


async def stream_in(app: Any, chunks: int) -> None:
    """A body of that many chunks, read by the application as it comes."""
    await _exchange(app, "POST", "/up", [], (CHUNK for _ in range(chunks)))


async def upload(app: Any, chunks: int) -> None:
    """A file of that many chunks in a multipart form."""
    boundary = b"boundary0123456789"

    def body() -> Any:
        yield b'--%b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n' % boundary
        yield from (CHUNK for _ in range(chunks))
        yield b"\r\n--%b--\r\n" % boundary

    await _exchange(
        app, "POST", "/form", [(b"content-type", b"multipart/form-data; boundary=" + boundary)], body()
    )


async def stream_out(app: Any, chunks: int) -> None:
    """A response of that many chunks."""
    await _exchange(app, "GET", "/down", [], iter(()))


async def _exchange(app: Any, method: str, path: str, headers: Any, chunks: Any) -> None:
    async def receive() -> Any:
        chunk = next(chunks, None)
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

    async def send(message: Any) -> None:
        if message.get("status", 200) != 200:
            raise RuntimeError(f"{method} {path}: {message['status']}")

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "method": method,
        "path": path,
    }
    await app(scope | {"query_string": b"", "headers": headers}, receive, send)


WORKS = {"streamed in": stream_in, "multipart upload": upload, "streamed out": stream_out}


def grown(framework: str, work: str, chunks: int) -> float:
    """MB by which a new process grows for one exchange, beyond what a small one takes."""
    command = [sys.executable, __file__, "--child", framework, work, str(chunks)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def child(framework: str, work: str, chunks: int) -> None:
    """Print the MB of growth in this process."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    import frameworks

    module = __import__(f"frameworks.{framework}", fromlist=["make"])
    app = module.make(0, 0)
    asyncio.run(WORKS[work](app, 1))
    before = _peak()
    module.CHUNKS = frameworks.CHUNKS = chunks
    asyncio.run(WORKS[work](app, chunks))
    print(_peak() - before)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def report(megabytes: int) -> None:
    """Print the figures of FastASGI and Starlette side by side."""
    print(f"memory: growth for {megabytes:,} MB (goal: under {GOAL} MB)")
    chunks = megabytes * 1024 * 1024 // len(CHUNK)
    for work in WORKS:
        own, theirs = (grown(framework, work, chunks) for framework in ("fastasgi", "starlette"))
        print(f"  {work:<28}{own:>8.1f} MB, Starlette {theirs:>8.1f} MB")


def main() -> int:
    """Print all figures, or those of one child."""
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], sys.argv[3], int(sys.argv[4]))
        return 0
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=1024)
    report(parser.parse_args().megabytes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
