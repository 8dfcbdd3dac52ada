"""Probes: the example application with peepholes, so that a client learns what a handler saw of it.

Rule 1: each connection that is watched has a token, which the client makes up; what is seen is noted under it.
Rule 2: whoever asks for a note waits until it is there. Nobody guesses how long that takes.
"""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

from fastasgi_reference import (
    APIRouter,
    ClientDisconnect,
    EventStream,
    FastASGI,
    Request,
    StreamingResponse,
    WebSocket,
    WebSocketDisconnect,
)
from tests.reference.example import create_app

CHUNK = bytes(64 * 1024)
FAREWELL = "probes: the shutdown hook has run"
"""What the last hook writes to standard error."""


class Crash(Exception):
    """What no handler is for. No other exception belongs in the log of a server."""


class Notes:
    """What has been seen of one connection, by name."""

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}
        self._news = asyncio.Event()

    def note(self, **facts: Any) -> None:
        """Take down facts, in place of earlier ones of the same names."""
        self.facts.update(facts)
        self._news.set()
        self._news = asyncio.Event()

    async def until(self, name: str) -> None:
        """Wait for a fact of this name."""
        while name not in self.facts:
            await self._news.wait()


notes: defaultdict[str, Notes] = defaultdict(Notes)
probes = APIRouter("/probes")


@probes.get("/notes/{token}")
async def read_notes(request: Request, token: str) -> dict[str, Any]:
    if name := request.query_params.get("until"):
        await notes[token].until(name)
    return notes[token].facts


@probes.post("/notes/{token}")
async def write_notes(request: Request, token: str) -> None:
    notes[token].note(**await request.json())


@probes.get("/download/{token}/{size:int}")
async def download(token: str, size: int) -> StreamingResponse:
    """So many chunks, each made when it is asked for."""

    async def chunks() -> AsyncIterator[bytes]:
        try:
            for made in range(size):
                notes[token].note(made=made + 1)
                yield CHUNK
        finally:
            notes[token].note(closed=True)

    return StreamingResponse(chunks())


@probes.get("/steps/{token}")
async def steps(token: str) -> StreamingResponse:
    """One chunk; another one when the client has asked for it by the note `go`."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        await notes[token].until("go")
        yield b"two"

    return StreamingResponse(chunks())


@probes.get("/events/{token}")
async def tell_events(token: str) -> EventStream:
    """One event, and then none any more."""

    async def events() -> AsyncIterator[str]:
        try:
            yield "hello"
            await asyncio.Event().wait()
        finally:
            notes[token].note(closed=True)

    return EventStream(events())


@probes.post("/upload/{token}")
async def upload(request: Request, token: str) -> dict[str, int]:
    read = 0
    notes[token].note(begun=True)
    try:
        async for chunk in request.stream():
            read += len(chunk)
            notes[token].note(read=read)
    except ClientDisconnect:
        notes[token].note(ended="ClientDisconnect")
        raise
    notes[token].note(ended="complete")
    return {"read": read}


@probes.post("/unread")
async def leave_unread() -> str:
    return "unread"


@probes.get("/wait/{token}")
async def wait(request: Request, token: str) -> dict[str, Any]:
    """Answered once the client is seen to be gone, which it cannot read, or has noted `go`."""
    gone = asyncio.create_task(request.receive())
    go = asyncio.create_task(notes[token].until("go"))
    notes[token].note(begun=True)
    try:
        await asyncio.wait({gone, go}, return_when=asyncio.FIRST_COMPLETED)
        notes[token].note(gone=await request.is_disconnected())
    finally:
        for task in (gone, go):
            task.cancel()
        await asyncio.wait({gone, go})
    return notes[token].facts


@probes.get("/meet/{token}/{size:int}")
async def meet(request: Request, token: str, size: int) -> dict[str, Any]:
    """Answered as soon as so many are here at once."""
    here = notes[token].facts.get("here", 0) + 1
    notes[token].note(here=here, **({"all": True} if here == size else {}))
    await notes[token].until("all")
    return {"name": request.headers["x-name"], "query": request.query_params["name"]}


@probes.get("/crash")
async def crash() -> None:
    raise Crash("before the response")


@probes.get("/crash-midway")
async def crash_midway() -> StreamingResponse:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        raise Crash("in the middle of the response")

    return StreamingResponse(chunks())


@probes.get("/scope")
async def show_scope(request: Request) -> dict[str, Any]:
    return shown(request.scope)


@probes.websocket("/scope")
async def show_websocket_scope(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_json(shown(websocket.scope))


@probes.websocket("/listen/{token}")
async def listen(websocket: WebSocket, token: str) -> None:
    """Take what comes, until the client goes."""
    await websocket.accept()
    try:
        while True:
            await websocket.receive()
    except WebSocketDisconnect as disconnect:
        notes[token].note(code=disconnect.code, reason=disconnect.reason, ended=True)


@probes.websocket("/flood/{token}")
async def flood(websocket: WebSocket, token: str) -> None:
    """Send without end, until the client goes. Not every server lets `send` fail then, so `receive` is watched too."""
    await websocket.accept()
    sending = asyncio.create_task(send_on(websocket, token))
    try:
        await websocket.receive()
    finally:
        sending.cancel()
        await asyncio.wait({sending})
        notes[token].note(ended=True)


@probes.websocket("/send-only/{token}")
async def send_only(websocket: WebSocket, token: str) -> None:
    """Send until `send` tells that the client is gone."""
    await websocket.accept()
    try:
        await send_on(websocket, token)
    except WebSocketDisconnect as disconnect:
        notes[token].note(ended=True, code=disconnect.code)


async def send_on(websocket: WebSocket, token: str) -> None:
    for sent in count(1):
        await websocket.send_bytes(CHUNK)
        notes[token].note(sent=sent)
        await asyncio.sleep(0)


@probes.websocket("/crash")
async def crash_websocket(websocket: WebSocket) -> None:
    await websocket.accept()
    raise Crash("in a websocket")


@probes.websocket("/crash-early")
async def crash_handshake(websocket: WebSocket) -> None:
    raise Crash("in a handshake")


@probes.websocket("/silent")
async def say_nothing(websocket: WebSocket) -> None:
    """Return without an answer."""


def shown(scope: Any) -> dict[str, Any]:
    """What JSON can show of a scope; bytes as latin-1."""
    names = ("type", "http_version", "scheme", "path", "root_path", "asgi", "client", "server", "method")
    return {
        **{name: scope.get(name) for name in names},
        "raw_path": (scope.get("raw_path") or b"").decode("latin-1"),
        "query_string": (scope.get("query_string") or b"").decode("latin-1"),
        "headers": [[text.decode("latin-1") for text in pair] for pair in scope["headers"]],
        "extensions": sorted(scope.get("extensions") or ()),
        "subprotocols": scope.get("subprotocols"),
        "covers": str(scope["state"]["library"].covers),
    }


def create_probed_app() -> FastASGI:
    """The example with the probes."""
    app = create_app()
    app.include_router(probes)

    @app.on_event("shutdown")
    def say_farewell() -> None:
        print(FAREWELL, file=sys.stderr, flush=True)

    return app


def create_broken_app() -> FastASGI:
    """An application that does not start."""
    app = FastASGI()

    @app.on_event("startup")
    async def fail() -> None:
        raise Crash("the library is on fire")

    return app


app = create_probed_app()
broken = create_broken_app()
