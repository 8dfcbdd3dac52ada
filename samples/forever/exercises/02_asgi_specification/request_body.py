"""Waits for the client to leave before it believes that the body has ended."""


class ClientDisconnect(Exception):
    pass


class BodyTooLarge(Exception):
    pass


async def stream_body(receive):
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return
        yield event.get("body", b"")


async def read_body(receive, *, limit=None):
    return b"".join([chunk async for chunk in stream_body(receive)])
