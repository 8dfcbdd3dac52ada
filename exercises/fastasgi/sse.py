"""Server-sent events: a response that stays open and tells the client what happens (WHATWG HTML, section 9.2).

Rule 1: an event's text never ends a line early: a newline of any kind in data begins a further line of data, and one
        in a field that has only one line is refused.
Rule 2: the next event is asked for when the one before has been sent: a slow client slows its source, and nothing
        piles up.
Rule 3: a silent source is not disturbed: while it takes its time, comments keep the connection open.
Rule 4: the source runs in one task from its first step to its last, so that what it opens there, it can close there;
        and it is closed on every way out: at its end, on errors, when the client goes away.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass

from .asgi_types import Receive, Scope, Send
from .responses import StreamingResponse


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event, as the page's EventSource gets it.

    `data` may have any number of lines, and None is no data: such an event the page does not see, but its `id`,
    `retry` and `comment` count. `event` is the type that the page listens for (default: `message`). `id` is what
    the client sends as Last-Event-ID when it connects anew; "" makes it forget the last one. `retry` is after how
    many milliseconds it does. `comment` is for whoever looks at the stream.
    Raises TypeError for data that is no text, ValueError for CR, LF or NUL in `event` or `id` and for a negative
    `retry` (WHATWG HTML, section 9.2.6).
    """

    data: str | None
    _: KW_ONLY
    event: str | None = None
    id: str | None = None
    retry: int | None = None
    comment: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.data, str | None):
            raise TypeError(
                f"data is text, not {type(self.data).__name__}: encode it, for example by json.dumps"
            )
        for name in ("event", "id"):
            value = getattr(self, name)
            if value is not None and _NOT_IN_A_LINE.search(value):
                raise ValueError(
                    f"{name}={value!r} holds CR, LF or NUL: it has to be one line, so take them out"
                )
        if self.retry is not None and (type(self.retry) is not int or self.retry < 0):
            raise ValueError(f"retry={self.retry!r} is no time: give whole milliseconds, 0 or more")

    def encode(self) -> bytes:
        """The event as it stands in the stream: UTF-8, with the blank line that ends it."""
        return "".join(f"{line}\n" for line in self._lines()).encode() + b"\n"

    def _lines(self) -> Iterator[str]:
        if self.comment is not None:
            yield from (f": {line}" for line in _NEWLINE.split(self.comment))
        if self.event is not None:
            yield f"event: {self.event}"
        if self.id is not None:
            yield f"id: {self.id}"
        if self.retry is not None:
            yield f"retry: {self.retry}"
        if self.data is not None:
            yield from (f"data: {line}" for line in _NEWLINE.split(self.data))


class EventStream(StreamingResponse):
    """A response that sends events as they come.

    `events` gives ServerSentEvents, or texts that become the data of one. After each `heartbeat` seconds without any
    (None: never) a comment is sent, since proxies close what is silent (WHATWG HTML, section 9.2.7). The stream ends
    with `events`; the client then connects anew, unless `status_code` is 204, by which it stays away.
    `headers` win over those that are set here: no cache may keep the stream, and no nginx hold it back.
    The other parameters are those of `StreamingResponse`.
    Raises TypeError for events that are no asynchronous iterable, ValueError for a heartbeat that is not above 0.
    """

    def __init__(
        self,
        events: AsyncIterable[ServerSentEvent | str],
        *,
        heartbeat: float | None = 15.0,
        status_code: int = 200,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        background: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        if not isinstance(events, AsyncIterable):
            raise TypeError(
                f"events is an asynchronous iterable, not {type(events).__name__}: "
                "call an `async def` that yields, and pass what it returns"
            )
        if heartbeat is not None and not heartbeat > 0:
            raise ValueError(f"heartbeat={heartbeat!r}: give seconds above 0, or None for no heartbeat")
        frames = _Frames(events, heartbeat)
        super().__init__(frames, status_code, headers, "text/event-stream; charset=utf-8", background)
        self.headers.setdefault("cache-control", "no-store")
        self.headers.setdefault("x-accel-buffering", "no")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream to one HTTP connection; see `StreamingResponse.__call__`.

        `receive` is watched for `http.disconnect` under every server. A new one tells by an OSError out of `send`
        too, but a stream that has nothing to send would not hear of that.
        """
        as_before = {**(scope.get("asgi") or {}), "spec_version": "2.3"}  # when `send` did not tell
        await super().__call__({**scope, "asgi": as_before}, receive, send)


def last_event_id(request_headers: Mapping[str, str]) -> str | None:
    """The id of the last event that the client got before it connected anew, or None (WHATWG HTML, section 9.2.4).

    Clients send it as UTF-8, while header values are decoded as latin-1. It is what a client says: look it up with
    care.
    """
    value = request_headers.get("last-event-id") or None
    try:
        return value and value.encode("latin-1").decode()
    except UnicodeError:
        return value  # no UTF-8, then, or not out of a request


class _Frames:
    """The bytes of an event stream, each when it is asked for: the events, and heartbeats while there are none."""

    def __init__(self, events: AsyncIterable[ServerSentEvent | str], heartbeat: float | None) -> None:
        self._events = aiter(events)
        self._heartbeat = heartbeat
        self._source: asyncio.Task[None] | None = None
        self._ready: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._wanted = asyncio.Event()
        self._closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._source is None:
            self._source = asyncio.create_task(self._run())
            self._source.add_done_callback(lambda _: self._ready.put_nowait(None))
        if self._ready.empty():
            self._wanted.set()
        try:
            async with asyncio.timeout(self._heartbeat):
                frame = await self._ready.get()
        except TimeoutError:
            return _HEARTBEAT
        if frame is None:
            self._ready.put_nowait(None)  # the end stays the end, however often it is asked for
            self._source.result()
            raise StopAsyncIteration
        return frame

    async def aclose(self) -> None:
        """Stop the source and close it. Raises what it raises meanwhile."""
        if self._source is not None:
            self._source.cancel()
            await asyncio.wait({self._source})
        await self._close_events()
        if self._source is not None and not self._source.cancelled():
            self._source.result()

    async def _run(self) -> None:
        """Go through the events, one step each time that a frame is wanted."""
        try:
            async for event in self._events:
                self._wanted.clear()
                self._ready.put_nowait(_encoded(event))
                await self._wanted.wait()
        finally:
            await self._close_events()

    async def _close_events(self) -> None:
        """Close the events, once. Generators have a way to be closed; other iterators need none."""
        close = None if self._closed else getattr(self._events, "aclose", None)
        self._closed = True
        if close is not None:
            await close()


def _encoded(event: ServerSentEvent | str) -> bytes:
    if isinstance(event, str):
        event = ServerSentEvent(event)
    if not isinstance(event, ServerSentEvent):
        raise TypeError(f"an event is a ServerSentEvent or a str, not {type(event).__name__}: make one of it")
    return event.encode()


_NEWLINE = re.compile(r"\r\n|\r|\n")
"""Only these end a line (WHATWG HTML, section 9.2.5); `str.splitlines` would split at others, too."""
_NOT_IN_A_LINE = re.compile(r"[\r\n\0]")
_HEARTBEAT = ServerSentEvent(None, comment="heartbeat").encode()
