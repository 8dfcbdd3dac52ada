"""Real servers: each kind of them that the tests run an application under, from its start to its end.

Rule 1: a server is a process of its own, started as a user would, on a free port of the loopback.
Rule 2: it is ready when it says so; nobody sleeps. That it never says so is an error, with all that it did say.
Rule 3: it is always ended: asked to, and if it does not listen, killed with all that it has started.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Thread
from typing import IO

import psutil

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0
"""Seconds after which a server that does not start, or does not end, fails its test."""
TRIES = 1000


class ServerFailed(AssertionError):
    """A server did not do what it was started for. The text holds its log."""


@dataclass(frozen=True)
class Peer:
    """A kind of server: how it is started, the line by which it says that it is ready, the code of an orderly exit.

    With `http2` it speaks that, without TLS, to whoever begins with it. `excused` are warnings of its own, as `-W`
    takes them.
    """

    name: str
    options: tuple[str, ...]
    root_path_option: str
    ready: str
    exit_code: int = 0
    http2: bool = False
    excused: tuple[str, ...] = ()

    def command(self, target: str, root_path: str) -> list[str]:
        """The command line that runs the application `target`, such as `package.module:app`.

        All warnings but the excused ones are errors, as they are in the tests.
        """
        filters = [part for each in ("error", *self.excused) for part in ("-W", each)]
        root = [self.root_path_option, root_path] if root_path else []
        return [sys.executable, *filters, "-m", *self.options, *root, target]


def _uvicorn(http: str, ws: str, *, excused: tuple[str, ...] = ()) -> Peer:
    """Uvicorn with these implementations. It ends as if by the signal that it was asked by."""
    options = ("--host=127.0.0.1", "--port=0", "--no-access-log", f"--http={http}", f"--ws={ws}")
    return Peer(
        f"uvicorn-{http}-{ws}",
        ("uvicorn", *options),
        "--root-path",
        "Uvicorn running on",
        exit_code=-signal.SIGTERM,
        excused=excused,
    )


PEERS = (
    _uvicorn("httptools", "websockets-sansio"),
    _uvicorn("h11", "wsproto"),
    _uvicorn(
        "h11",
        "websockets",
        # It is made of parts of `websockets` that are deprecated, and of parts of its own that are.
        excused=(
            "ignore:websockets.legacy is deprecated:DeprecationWarning",
            "ignore:websockets.server.WebSocketServerProtocol is deprecated:DeprecationWarning",
            "ignore:The `websockets` implementation is deprecated:UserWarning",
            "ignore:remove second argument of ws_handler:DeprecationWarning",
        ),
    ),
    Peer(
        "hypercorn",
        ("hypercorn", "--bind=127.0.0.1:0", "--workers=0"),
        "--root-path",
        "Running on http://",
        http2=True,
    ),
    Peer(
        "granian",
        ("granian", "--host=127.0.0.1", "--port=0", "--interface=asgi"),
        "--url-path-prefix",
        "Started worker-1",
        http2=True,
    ),
)


class Log:
    """What a process writes, line by line, as it comes."""

    def __init__(self, stream: IO[str]) -> None:
        self.lines: list[str] = []
        self._stream = stream
        self.ended = False
        self._news = Condition()
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        """All that was written so far."""
        return "".join(self.lines)

    def wait_for(self, wanted: str) -> None:
        """Wait until this was written. Raises ServerFailed where it was not, and never will be."""
        with self._news:
            self._news.wait_for(lambda: wanted in self.text or self.ended, PATIENCE)
            if wanted not in self.text:
                raise ServerFailed(f"the server never wrote {wanted!r}. What it wrote:\n{self.text}")

    def ends_within(self, seconds: float) -> bool:
        """Wait so long for the end of the output; gives whether it has come."""
        with self._news:
            return self._news.wait_for(lambda: self.ended, seconds)

    def finish(self) -> None:
        """Wait until the process, and all that it has started, has closed its output."""
        self._reader.join(PATIENCE)

    def _read(self) -> None:
        with self._stream:
            for line in self._stream:
                self._add(line)
        self._add("", ended=True)

    def _add(self, line: str, *, ended: bool = False) -> None:
        with self._news:
            self.lines.append(line)
            self.ended = ended
            self._news.notify_all()


class Server:
    """A server that runs."""

    def __init__(self, peer: Peer, command: list[str]) -> None:
        """Start it, in the process group of the tests: what ends them from outside ends it too."""
        self.peer = peer
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        assert self.process.stdout is not None
        self.log = Log(self.process.stdout)
        self.url = ""
        self._family = [psutil.Process(self.process.pid)]

    def wait_until_ready(self) -> None:
        """Wait until it says that it is, and find out its port: of port 0, the system has made a free one."""
        self.log.wait_for(self.peer.ready)
        for _ in range(TRIES):  # some say so just before they listen
            if port := self._port():
                self.url = f"http://127.0.0.1:{port}"
                return
            if self.log.ends_within(PATIENCE / TRIES):
                break
        raise ServerFailed(f"the server does not listen. What it wrote:\n{self.log.text}")

    def _port(self) -> int | None:
        """The port on which the process, or one that it has started, listens."""
        with suppress(psutil.NoSuchProcess):
            self._find_family()
            for each in self._family:
                for connection in each.net_connections("tcp"):
                    if connection.status == psutil.CONN_LISTEN:
                        return int(connection.laddr.port)
        return None

    def ask_to_stop(self) -> None:
        """Ask it to stop: to finish what it has begun, and to take nothing more."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Wait for its end. Gives its exit code. Raises ServerFailed where it has to be killed."""
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerFailed(f"the server does not end. What it wrote:\n{self.log.text}") from None
        self.log.finish()
        return code

    def kill(self) -> None:
        """End it and all that it has started, in any case."""
        with suppress(psutil.NoSuchProcess):
            self._find_family()
        for each in self._family:
            # It has ended, if it did as it was asked to; then its number is never taken for that of another process.
            with suppress(psutil.NoSuchProcess):
                each.kill()
        self.process.wait()
        self.log.finish()

    def _find_family(self) -> None:
        """Note which processes it has started. Raises NoSuchProcess where it has ended itself."""
        children = self._family[0].children(recursive=True)
        self._family += [child for child in children if child not in self._family]


@contextmanager
def starting(peer: Peer, target: str, *, root_path: str = "") -> Iterator[Server]:
    """Inside the block there is a server, which may not be ready yet; after it, there is none."""
    server = Server(peer, peer.command(target, root_path))
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def running(peer: Peer, target: str, *, root_path: str = "") -> Iterator[Server]:
    """Inside the block the server is ready; at its end it is asked to stop, and has to."""
    with starting(peer, target, root_path=root_path) as server:
        server.wait_until_ready()
        yield server
        server.ask_to_stop()
        server.wait()


def complaints(log: str, *, expected: str) -> list[str]:
    """The lines of a server's log that tell of a warning or an exception, but for those that `expected` matches."""
    return [line for line in log.splitlines() if _COMPLAINT.search(line) and not re.search(expected, line)]


_COMPLAINT = re.compile(
    r"Warning|never awaited|never retrieved|was destroyed|Exception ignored"
    r"|^[ |]*(?:\w+\.)*\w*(?:Error|Exception|Disconnect|Crash|Exit|Interrupt)(?::|$)"
)
