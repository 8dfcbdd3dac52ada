"""The limit sits in a wrapper around `receive`; the body is joined from an async comprehension."""


class ClientDisconnect(Exception):
    pass


class BodyTooLarge(Exception):
    pass


DEFAULTS = {"body": b"", "more_body": False}


async def next_chunk(receive):
    """One chunk, and whether it is the last."""
    event = DEFAULTS | await receive()
    try:
        chunk, last = {
            "http.request": lambda: (event["body"], not event["more_body"]),
            "http.disconnect": gone,
        }[event["type"]]()
    except KeyError:
        raise RuntimeError(f"no event of a request: {event['type']}") from None
    return chunk, last


def gone():
    raise ClientDisconnect("before the last chunk")


class stream_body:
    """Anything that `async for` takes: `__aiter__` is itself an async generator."""

    def __init__(self, receive):
        self._receive = receive

    async def __aiter__(self):
        last = False
        while not last:
            chunk, last = await next_chunk(self._receive)
            if chunk:
                yield chunk


def limited(receive, limit):
    total = 0

    async def counted():
        nonlocal total
        event = await receive()
        if event["type"] == "http.request":
            total += len(event.get("body", b""))
        if total > limit:
            raise BodyTooLarge
        return event

    return counted


async def read_body(receive, *, limit=None):
    source = receive if limit is None else limited(receive, limit)
    return b"".join([chunk async for chunk in stream_body(source)])
