"""`stream_body` is a class with `__aiter__` and `__anext__`."""

from dataclasses import dataclass, field


class ClientDisconnect(Exception):
    """Gone."""


class BodyTooLarge(ValueError):
    """Too much."""


class ProtocolError(RuntimeError):
    """An event that has no business here."""


@dataclass
class stream_body:
    receive: object
    complete: bool = field(default=False, init=False)

    def __aiter__(self):
        return self

    async def __anext__(self) -> bytes:
        while not self.complete:
            event = await self.receive()
            kind = event["type"]
            if kind == "http.disconnect":
                raise ClientDisconnect("in mid-body")
            if kind != "http.request":
                raise ProtocolError(kind)
            self.complete = not event.get("more_body", False)
            if body := event.get("body"):
                return body
        raise StopAsyncIteration


async def read_body(receive, *, limit=None):
    left = float("inf") if limit is None else limit
    whole = b""
    async for chunk in stream_body(receive):
        left -= len(chunk)
        if left < 0:
            raise BodyTooLarge
        whole += chunk
    return whole
