"""A small parser object without I/O, which both functions feed."""

import functools
import operator


class RequestError(Exception):
    pass


class ClientDisconnect(RequestError):
    pass


class BodyTooLarge(RequestError):
    pass


class Body:
    def __init__(self):
        self.complete = False

    def feed(self, event):
        name = event["type"].removeprefix("http.") if event["type"].startswith("http.") else None
        if name not in ("request", "disconnect"):
            raise RuntimeError("cannot handle " + event["type"])
        if name == "disconnect":
            raise ClientDisconnect
        if "more_body" not in event or not event["more_body"]:
            self.complete = True
        return event["body"] if "body" in event else b""


def stream_body(receive):
    async def generator():
        body = Body()
        while not body.complete:
            chunk = body.feed(await receive())
            if chunk:
                yield chunk

    return generator()


async def read_body(receive, *, limit=None):
    body, chunks = Body(), []
    while not body.complete:
        chunks.append(body.feed(await receive()))
        if limit is not None and sum(map(len, chunks)) > limit:
            raise BodyTooLarge(limit)
    return functools.reduce(operator.add, chunks, b"")
