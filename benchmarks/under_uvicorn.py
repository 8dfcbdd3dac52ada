"""The application of `frameworks` under uvicorn, with wrk as its clients: FastASGI and Starlette in turn.

python benchmarks/under_uvicorn.py [--seconds 3] [--rounds 5]

Needs wrk (on Debian: the package of that name). Everything is on the loopback interface and ends by itself.
"""

from __future__ import annotations

import argparse
import re
import shutil
import socket
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FRAMEWORKS = ("fastasgi", "starlette")
PATHS = {
    "hello": "/hello",
    "JSON of 1 kB": "/json",
    "two parameters, 10 routes": "/r9/42/word",
    "1 MB out": "/down",
}
HERE = Path(__file__).resolve().parent


@contextmanager
def serving(framework: str, loop: str) -> Iterator[str]:
    """The address of a uvicorn that serves the application in `framework`; ended at the end."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(1024)
    program = (
        f"import socket, sys, uvicorn; sys.path[:0] = {[str(HERE), str(HERE.parent)]!r}; "
        f"from frameworks.{framework} import make; "
        f"config = uvicorn.Config(make(10, 0), loop={loop!r}, http='httptools', log_level='warning'); "
        f"uvicorn.Server(config).run([socket.socket(fileno={listening.fileno()})])"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", program],
        pass_fds=[listening.fileno()],
        stderr=subprocess.DEVNULL,  # it complains of the connections that wrk breaks off at its end
    )
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.close()
        server.terminate()
        server.wait(30)


def load(url: str, seconds: int) -> float:
    """Requests a second that wrk gets answered over 32 connections. Raises RuntimeError for any error answer."""
    command = ["wrk", "--threads", "1", "--connections", "32", "--duration", f"{seconds}s", url]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=True).stdout
    if "Non-2xx" in shown:
        raise RuntimeError(f"{url}: {shown}")
    found = re.search(r"Requests/sec:\s+([0-9.]+)", shown)
    if found is None:
        raise RuntimeError(f"wrk has printed no figure: {shown}")
    return float(found[1])


def report(seconds: int, rounds: int) -> None:
    """Print the figures, or that wrk is missing."""
    if shutil.which("wrk") is None:
        print("under uvicorn: not measured, since there is no wrk here (Debian: apt install wrk)")
        return
    for loop in ("asyncio", "uvloop"):
        print(f"under uvicorn (httptools, {loop}), 32 connections")
        with serving("fastasgi", loop) as own, serving("starlette", loop) as theirs:
            for name, path in PATHS.items():
                _show(name, own + path, theirs + path, seconds, rounds)


def _show(name: str, own: str, theirs: str, seconds: int, rounds: int) -> None:
    for url in (own, theirs):
        load(url, 1)
    pairs = [(load(own, seconds), load(theirs, seconds)) for _ in range(rounds)]
    mine, others = (statistics.median(values) for values in zip(*pairs, strict=True))
    ratio = statistics.median(first / second for first, second in pairs)
    print(f"  {name:<28}{mine:>10,.0f} a second, Starlette {others:>10,.0f}   {ratio:6.2f} times Starlette")


def main() -> int:
    """Print all figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    report(options.seconds, options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
