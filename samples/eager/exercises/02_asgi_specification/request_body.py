"""Takes an empty chunk for the end of the body."""


class ClientDisconnect(Exception):
    pass


class BodyTooLarge(Exception):
    pass


async def stream_body(receive):
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ClientDisconnect
        if event["type"] != "http.request":
            raise RuntimeError(event["type"])
        if not event["body"]:
            return
        yield event["body"]
        if not event["more_body"]:
            return


async def read_body(receive, *, limit=None):
    body = b"".join([chunk async for chunk in stream_body(receive)])
    if limit and len(body) > limit:
        raise BodyTooLarge
    return body
