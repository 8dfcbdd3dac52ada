"""`while True` in both functions, neither of which uses the other."""


class ClientDisconnect(Exception):
    pass


class BodyTooLarge(Exception):
    def __init__(self, limit):
        super().__init__()
        self.limit = limit


async def stream_body(receive):
    while True:
        event = await receive()
        if event["type"] == "http.request":
            chunk = event.get("body", b"")
            if len(chunk) > 0:
                yield chunk
            if not event.get("more_body"):
                break
        elif event["type"] == "http.disconnect":
            raise ClientDisconnect
        else:
            raise RuntimeError(event)


async def read_body(receive, *, limit=None):
    parts = []
    size = 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ClientDisconnect()
        if event["type"] != "http.request":
            raise RuntimeError("unexpected " + repr(event["type"]))
        parts.append(event.get("body", b""))
        size += len(parts[-1])
        if limit is not None:
            if size > limit:
                raise BodyTooLarge(limit)
        if not event.get("more_body", False):
            return b"".join(parts)
