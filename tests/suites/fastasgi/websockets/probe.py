"""Runs beside the submission: handlers that do to a `WebSocket` what a list of steps says.

Rule 1: a step is a list: the name of a method, and its arguments. What it gives is told by a message
        `probe.did`, sent behind whatever the step has sent, so that a transcript shows what caused what.
Rule 2: an exception is told by its class in the sheet's words; one that is a slip of the pen in any program goes
        through, with its line. Nothing is judged here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from fastasgi import responses, websockets
from fastasgi.requests import HTTPConnection

App = Callable[..., Awaitable[Any]]
Step = list[Any]
NAMED = (RuntimeError, ValueError, TypeError, OSError)
"""The classes that are told by name, whatever class derived from them was raised."""


def handler(steps: list[Step]) -> App:
    """An application that does all steps, one after the other, and tells of each what it gave or raised."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        websocket = websockets.WebSocket(scope, receive, send)
        for step in steps:
            message = {"type": "probe.did", "step": step[0], **await _outcome(websocket, step)}
            with suppress(OSError):  # of a script in which somebody else's message was to fail
                await send(message)

    return app


def refused(steps: list[Step]) -> App:
    """The same, under a server that raises a KeyError out of `send`, but for the probe's messages."""
    app = handler(steps)

    async def under_a_server(scope: Any, receive: Any, send: Any) -> None:
        async def refusing(message: Any) -> None:
            await send(message)
            if message["type"] != "probe.did":
                raise KeyError("of the server's own")

        await app(scope, receive, refusing)

    return under_a_server


def block(steps: list[Step], raises: str = "") -> App:
    """An application whose `async with` block does the steps and lets out what they raise.

    In the end it raises an exception, if any: a `KeyError`, or a `WebSocketDisconnect`. Gives what the block bound.
    """

    async def app(scope: Any, receive: Any, send: Any) -> str:
        made = websockets.WebSocket(scope, receive, send)
        async with made as websocket:
            if websocket is not made:
                raise TypeError("`async with websocket as same:` does not give the WebSocket itself")
            for step in steps:
                await _do(websocket, step)
            if raises == "KeyError":
                raise KeyError("of the handler's own")
            if raises:
                raise websockets.WebSocketDisconnect(1006)
        return "went on after the block"

    return app


def make() -> App:
    """An application that only makes a WebSocket; gives what it says of the scope."""

    async def app(scope: Any, receive: Any, send: Any) -> dict[str, Any]:
        websocket = websockets.WebSocket(scope, receive, send)
        return {
            "subprotocols": websocket.subprotocols,
            "subprotocol": websocket.subprotocol,
            "is an HTTPConnection": isinstance(websocket, HTTPConnection),
            "path": websocket.url.path,
        }

    return app


def disconnect(*, code: int | None = None, reason: str | None = None) -> list[Any]:
    """Code and reason of an exception that is made with these, where they are given."""
    given = {"code": code, "reason": reason}
    error = websockets.WebSocketDisconnect(**{key: it for key, it in given.items() if it is not None})
    return [error.code, error.reason]


async def _outcome(websocket: Any, step: Step) -> dict[str, Any]:
    try:
        return {"gave": await _do(websocket, step)}
    except (NotImplementedError, AttributeError, NameError):
        raise
    except websockets.WebSocketDisconnect as error:
        return {"raised": "WebSocketDisconnect", "code": error.code, "reason": error.reason}
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        kinds = [kind.__name__ for kind in NAMED if isinstance(error, kind)]
        return {"raised": kinds[0] if kinds else type(error).__name__, "words": str(error)}


async def _do(websocket: Any, step: Step) -> Any:
    name, *arguments = step
    if name == "subprotocol":
        return websocket.subprotocol
    if name.startswith("iter_"):
        return await _iterate(websocket, name, *arguments)
    if name == "deny":
        return await websocket.deny(DENIALS[arguments[0] if arguments else "text"])
    return await getattr(websocket, name)(*arguments)


async def _iterate(websocket: Any, name: str, closes_at: int = -1) -> list[Any]:
    """All that an iterator gives; each message is also echoed as it comes, and at one of them this side closes."""
    given: list[Any] = []
    async for message in getattr(websocket, name)():
        if len(given) == closes_at:
            await websocket.close()
        given.append(message)
        if closes_at < 0:
            await websocket.send_text("echo")
    return given


CHALLENGE = {"www-authenticate": "Basic"}


async def _text(scope: Any, receive: Any, send: Any) -> None:
    await responses.text_response("no", 401, CHALLENGE)(scope, receive, send)


async def _streamed(scope: Any, receive: Any, send: Any) -> None:
    await responses.StreamingResponse(iter(["n", "o"]), 401, CHALLENGE)(scope, receive, send)


async def _of_its_scope(scope: Any, receive: Any, send: Any) -> None:
    """Answers with what it sees of the scope."""
    seen = {key: scope.get(key) for key in ("type", "method", "path", "extensions")}
    await responses.json_response(seen)(scope, receive, send)


async def _waits(scope: Any, receive: Any, send: Any) -> None:
    """Begins, waits for the next event, and ends with its type."""
    await send({"type": "http.response.start", "status": 403, "headers": []})
    event = await receive()
    await send({"type": "http.response.body", "body": str(event.get("type")).encode()})


async def _breaks(scope: Any, receive: Any, send: Any) -> None:
    raise KeyError("before anything is sent")


async def _breaks_half_way(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 403, "headers": []})
    raise KeyError("after the start")


DENIALS = {
    "text": _text,
    "streamed": _streamed,
    "of its scope": _of_its_scope,
    "waits": _waits,
    "breaks": _breaks,
    "breaks half-way": _breaks_half_way,
}
