"""Runs beside the submission: asks connections, and makes calls on a request in turn.

Rule 1: QUESTIONS has all that one can ask of a connection, STEPS all that one can do with a request. Both go by what
one would write.
Rule 2: values in, values out; what the learner's code returns goes back as it is, objects of the course's as values.
Rule 3: nothing is judged here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from fastasgi.formdata import FormLimits, UploadFile
from fastasgi.requests import HTTPConnection, Request

App = Callable[..., Awaitable[Any]]
LONG = 10
"""Seconds of the worker's clock, which costs no time: whatever can happen by itself has happened after that."""


class Application:
    """An application as `url_for` and `app` see it."""

    def url_for(self, name: str, /, **params: Any) -> str:
        """The path of the route `name`, percent-encoded. There is none called `nowhere`."""
        if name == "nowhere":
            raise ValueError("there is no route of that name")
        fields = [f"{quote(key)}={quote(str(value))}" for key, value in params.items()]
        return "/" + "/".join([quote(name), *fields])


APPLICATION = Application()

# --- what stands in the scope -------------------------------------------------------------------------------

QUESTIONS: dict[str, Callable[[Any], Any]] = {
    "method": lambda connection: connection.method,
    "headers": lambda connection: connection.headers.multi_items(),
    "headers['HOST']": lambda connection: connection.headers["HOST"],
    "query_params": lambda connection: connection.query_params.multi_items(),
    "url": lambda connection: str(connection.url),
    "base_url": lambda connection: str(connection.base_url),
    "cookies": lambda connection: connection.cookies,
    "client": lambda connection: connection.client,
    "client.host, client.port": lambda connection: [connection.client.host, connection.client.port],
    "path_params": lambda connection: connection.path_params,
    "state.user": lambda connection: connection.state.user,
    "state.database is scope['state']['database']": lambda connection: (
        connection.state.database is connection.scope["state"]["database"]
    ),
    "app": lambda connection: connection.app,
    "app is the application": lambda connection: connection.app is APPLICATION,
}


def ask(scope: dict[str, Any], what: list[str]) -> list[Any]:
    """What a Request (for a websocket: an HTTPConnection) of this scope answers to each question in turn."""
    connection = _connection(scope)
    return [QUESTIONS[each](connection) for each in what]


def ask_application(scope: dict[str, Any], what: list[str]) -> list[Any]:
    """The same, in an application."""
    return ask({**scope, "fastasgi.app": APPLICATION}, what)


def url_for(scope: dict[str, Any], route: str, params: dict[str, Any]) -> str:
    """The URL of a route of the application."""
    return str(_connection({**scope, "fastasgi.app": APPLICATION}).url_for(route, **params))


def make(scope: dict[str, Any]) -> str:
    """Make a Request of any scope, and an HTTPConnection beside it."""
    HTTPConnection(scope)
    Request(scope)
    return "made"


def set_user(scope: dict[str, Any], user: str) -> list[Any]:
    """Set `state.user`: what stands in the scope after that, and what another connection of the scope reads."""
    _connection(scope).state.user = user
    return [scope.get("state"), HTTPConnection(scope).state.user]


def _connection(scope: dict[str, Any]) -> Any:
    return Request(scope) if scope["type"] == "http" else HTTPConnection(scope)


# --- calls on a request -------------------------------------------------------------------------------------


def app(steps: list[str], slow: bool = False, limits: dict[str, int] | None = None) -> App:
    """An application that takes these steps with its Request in turn, and returns what each gave.

    A `slow` server has taken its event when it still needs a second to give it, and who cancels the call loses it.
    """

    async def run(scope: Any, receive: Any, send: Any) -> list[Any]:
        request = Request(scope, _slow(receive) if slow else receive)
        user = User(request, send, None if limits is None else FormLimits(**limits))
        return [await user.take(step) for step in steps]

    return run


def without_receive(steps: list[str]) -> App:
    """The same for a Request that was made without `receive`."""

    async def run(scope: Any, receive: Any, send: Any) -> list[Any]:
        user = User(Request(scope), send, None)
        return [await user.take(step) for step in steps]

    return run


def _slow(receive: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
    async def slowly() -> Any:
        event = await receive()
        await asyncio.sleep(1)
        return event

    return slowly


class User:
    """One who has a request and does things with it."""

    def __init__(self, request: Any, send: Any, limits: Any) -> None:
        self._request = request
        self._send = send
        self._limits = limits
        self._stream: Any = None
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        self._form: Any = None
        self._before = asyncio.all_tasks()

    async def take(self, step: str) -> Any:
        """Take one step; with `try` in front, an exception is what it gives, but for a slip of the pen."""
        if not step.startswith("try "):
            return await STEPS[step](self)
        try:
            return await STEPS[step.removeprefix("try ")](self)
        except (AttributeError, NameError):
            raise
        except Exception as error:  # noqa: BLE001 - the judge wants to see it
            return {"raised": [kind.__name__ for kind in type(error).__mro__]}

    async def next(self) -> Any:
        """The next chunk of the one stream; None at its end."""
        if self._stream is None:
            self._stream = aiter(self._request.stream())
        return await anext(self._stream, None)

    async def rest(self) -> list[Any]:
        """The rest of the one stream."""
        chunks = []
        while (chunk := await self.next()) is not None:
            chunks.append(chunk)
        return chunks

    async def stream(self) -> list[Any]:
        """The chunks of a new stream."""
        return [chunk async for chunk in self._request.stream()]

    async def form(self) -> Any:
        """Name and value of each field; a file is its name, content and whether it is closed."""
        self._form = await (
            self._request.form() if self._limits is None else self._request.form(self._limits)
        )
        return [[name, await _value(value)] for name, value in self._form.multi_items()]

    async def same_form(self) -> bool:
        """Whether the form is the same object as before."""
        return await self._request.form() is self._form

    async def files_closed(self) -> list[bool]:
        """Whether each file of the form is closed."""
        return [value.file.closed for _, value in self._form.multi_items() if isinstance(value, UploadFile)]

    async def send(self) -> None:
        """Send a message, for which later events of the script may wait."""
        await self._send({"type": "probe.sent"})

    async def begin(self, what: str) -> None:
        """Begin to do something in a task of its own."""
        self._tasks[what] = asyncio.ensure_future(STEPS[what](self))
        await asyncio.sleep(0.001)

    async def end(self, what: str) -> Any:
        """Wait for what was begun."""
        return await self._tasks[what]

    async def clock(self) -> float:
        """The time of the worker's clock, which goes on only when nothing else can happen."""
        return asyncio.get_running_loop().time()

    async def tasks_left(self) -> int:
        """How many tasks have come up since the request was made, and are still there."""
        return len(asyncio.all_tasks() - self._before)


async def _value(value: Any) -> Any:
    if not isinstance(value, UploadFile):
        return value
    return {"filename": value.filename, "content": await value.read(), "closed": value.file.closed}


STEPS: dict[str, Callable[[User], Awaitable[Any]]] = {
    "body()": lambda user: user._request.body(),
    "text()": lambda user: user._request.text(),
    "json()": lambda user: user._request.json(),
    "form()": User.form,
    "form() is the form": User.same_form,
    "files are closed": User.files_closed,
    "stream()": User.stream,
    "next chunk": User.next,
    "rest of the stream": User.rest,
    "is_disconnected()": lambda user: user._request.is_disconnected(),
    "receive()": lambda user: user._request.receive(),
    "forward()": lambda user: user._request.forward(),
    "close()": lambda user: user._request.close(),
    "send": User.send,
    "pause": lambda user: asyncio.sleep(LONG),
    "clock": User.clock,
    "tasks left": User.tasks_left,
    "begin receive()": lambda user: user.begin("receive()"),
    "end receive()": lambda user: user.end("receive()"),
    "begin stream()": lambda user: user.begin("stream()"),
    "end stream()": lambda user: user.end("stream()"),
    "begin body()": lambda user: user.begin("body()"),
    "end body()": lambda user: user.end("body()"),
}
