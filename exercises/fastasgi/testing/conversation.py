"""Conversations: which message may follow which, for each of the three protocols.

Rule 1: what is allowed stands in the tables below, and nowhere else. A state that no step leads out of is an end.
Rule 2: a message that is refused changes nothing but `fault`: the application may go on as if it had not sent it.
Rule 3: the first fault is the one that counts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, TypeAlias, TypeVar

from .failures import ProtocolError
from .messages import SHAPES, Shape, read_message

Step: TypeAlias = tuple[str, bool]
"""The type of a message, and whether it says that more is to follow."""
S = TypeVar("S", bound=Enum)
Steps: TypeAlias = Mapping[S, Mapping[Step, S]]
"""From each state, by each message that is allowed there, to the next state."""


class Http(Enum):
    """Where a response stands. The values finish the sentence: a message came ..."""

    NEW = "before the response's start"
    DEBUGGED = "after the debug information"
    STARTED = "after the response's start"
    BODY = "inside the response's body"
    TRAILED_START = "after the start of a response that announced trailers"
    TRAILED_BODY = "inside the body of a response that announced trailers"
    TRAILERS = "after the body, when the announced trailers were due"
    COMPLETE = "after the complete response"


class Ws(Enum):
    """Where a websocket stands."""

    CONNECTING = "before the handshake was answered"
    OPEN = "after websocket.accept"
    DENYING = "inside the response that denies the handshake"
    REFUSED = "after the handshake was refused by websocket.close"
    DENIED = "after the complete response that denies the handshake"
    CLOSED = "after websocket.close"


class Life(Enum):
    """Where a lifespan stands."""

    STARTING = "in answer to lifespan.startup"
    UP = "between lifespan.startup.complete and lifespan.shutdown"
    FAILED = "after lifespan.startup.failed"
    STOPPING = "in answer to lifespan.shutdown"
    DOWN = "after lifespan.shutdown.complete"
    BROKEN = "after lifespan.shutdown.failed"


@dataclass(frozen=True, slots=True)
class Protocol(Generic[S]):
    """A protocol: its name, which is the type of its scopes, the state it begins in, and its steps.

    `late` has the messages that reach nobody in a state, but are no fault there either.
    """

    name: str
    start: S
    steps: Steps[S]
    late: Mapping[S, Collection[str]] = field(default_factory=dict)


class Conversation(Generic[S]):
    """What the application says on one connection, held against its protocol."""

    def __init__(self, protocol: Protocol[S], label: str, offered: Collection[str] = ()) -> None:
        """Begin a conversation. `label` names it in errors; `offered` are the extensions that the scope offers."""
        self.state = protocol.start
        self.fault: ProtocolError | None = None
        self._protocol = protocol
        self._label = label
        self._offered = offered

    def take(
        self, message: object, prepare: Callable[[dict[str, Any]], None] = lambda _: None
    ) -> dict[str, Any]:
        """Take the next message and give all of its values. Raises ProtocolError where it is not allowed.

        `prepare` sees the values before anything changes. It may add to them, or refuse them by a ValueError.
        """
        known, shape = self._known(message)
        kind = known["type"]
        steps = self._protocol.steps.get(self.state, {})
        if all(kind != allowed for allowed, _ in steps):
            raise self.broken(
                f"{kind} came {self.state.value}; expected there: {self.expected()}", shape.section
            )
        try:
            values = read_message(known, shape)
            prepare(values)
        except ValueError as error:
            raise self.broken(f"{kind} {error}", shape.section) from None
        self.state = steps[kind, self._more(values, shape)]
        return values

    def is_late(self, message: object) -> bool:
        """Whether a message comes after the end, in a way that is no fault (ASGI 3.0, Error handling)."""
        late = self._protocol.late.get(self.state, ())
        return isinstance(message, dict) and message.get("type") in late

    def broken(self, problem: str, section: str) -> ProtocolError:
        """The error that tells of a fault; it is remembered if it is the first."""
        error = ProtocolError(f"{self._label}: {problem} ({section})")
        self.fault = self.fault or error
        return error

    def expected(self) -> str:
        """In words, which messages may come now; those of extensions only where there are no others."""
        kinds = dict.fromkeys(kind for kind, _ in self._protocol.steps.get(self.state, {}))
        return " or ".join([kind for kind in kinds if SHAPES[kind].extension is None] or kinds) or "nothing"

    def _known(self, message: object) -> tuple[Mapping[Any, Any], Shape]:
        """The message, if it is one that this protocol knows and this connection offers, and its shape."""
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise self.broken(
                f"{message!r:.200} is no message: send a dict with a str 'type'", "ASGI 3.0, Events"
            )
        kind, name = message["type"], self._protocol.name
        if not kind.startswith(f"{name}."):
            raise self.broken(
                f"{kind} does not belong to a connection of the type {name!r}: raise an exception, before anything "
                "is sent, for a scope of a type that you do not serve",
                "ASGI 3.0, Protocol specifications",
            )
        shape = SHAPES.get(kind)
        if shape is None or not self._has(shape):
            raise self.broken(
                f"{kind} is neither in the specification nor in an extension that scope['extensions'] offers; "
                f"expected there: {self.expected()}",
                "ASGI 3.0, Extensions",
            )
        return message, shape

    def _has(self, shape: Shape) -> bool:
        return shape.extension is None or shape.extension in self._offered

    def _more(self, values: Mapping[str, Any], shape: Shape) -> bool:
        """Whether more is to follow. Trailers that are announced where they are not offered are not expected."""
        if shape.more == "trailers" and "http.response.trailers" not in self._offered:
            return False
        return shape.more is not None and values[shape.more]


def _content(started: Http, body: Http, end: Http) -> Steps[Http]:
    """The steps of a response's content, from its start to its end."""
    parts = {
        ("http.response.body", True): body,
        ("http.response.body", False): end,
        ("http.response.zerocopysend", True): body,
        ("http.response.zerocopysend", False): end,
    }
    return {
        started: {**parts, ("http.response.pathsend", False): end, _HINT: started},
        body: {**parts, _HINT: body},
    }


_HINT = ("http.response.early_hint", False)
"""Allowed before the start too: that is where HTTP has it (RFC 8297), although the extension's text says after."""
_STARTS = {
    ("http.response.start", False): Http.STARTED,
    ("http.response.start", True): Http.TRAILED_START,
}

HTTP = Protocol(
    "http",
    Http.NEW,
    {
        Http.NEW: {**_STARTS, ("http.response.debug", False): Http.DEBUGGED, _HINT: Http.NEW},
        Http.DEBUGGED: {**_STARTS, _HINT: Http.DEBUGGED},
        **_content(Http.STARTED, Http.BODY, Http.COMPLETE),
        **_content(Http.TRAILED_START, Http.TRAILED_BODY, Http.TRAILERS),
        Http.TRAILERS: {
            ("http.response.trailers", True): Http.TRAILERS,
            ("http.response.trailers", False): Http.COMPLETE,
        },
    },
)

WEBSOCKET = Protocol(
    "websocket",
    Ws.CONNECTING,
    {
        Ws.CONNECTING: {
            ("websocket.accept", False): Ws.OPEN,
            ("websocket.close", False): Ws.REFUSED,
            ("websocket.http.response.start", False): Ws.DENYING,
        },
        Ws.OPEN: {("websocket.send", False): Ws.OPEN, ("websocket.close", False): Ws.CLOSED},
        Ws.DENYING: {
            ("websocket.http.response.body", True): Ws.DENYING,
            ("websocket.http.response.body", False): Ws.DENIED,
        },
    },
    # Two tasks of an application may race to close, or to send: that is no fault, but nobody gets it.
    late={
        Ws.CLOSED: ("websocket.send", "websocket.close"),
        Ws.REFUSED: ("websocket.close",),
        Ws.DENIED: ("websocket.http.response.start", "websocket.http.response.body"),
    },
)

LIFESPAN = Protocol(
    "lifespan",
    Life.STARTING,
    {
        Life.STARTING: {
            ("lifespan.startup.complete", False): Life.UP,
            ("lifespan.startup.failed", False): Life.FAILED,
        },
        Life.STOPPING: {
            ("lifespan.shutdown.complete", False): Life.DOWN,
            ("lifespan.shutdown.failed", False): Life.BROKEN,
        },
    },
)
