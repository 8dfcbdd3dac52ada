"""A table of handlers by kind; a missing kind is a KeyError. The messages are made once and never changed."""

MESSAGES = (
    {
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")],
        "trailers": False,
    },
    *({"type": "http.response.body", "body": bytes([byte]), "more_body": True} for byte in b"Hello, ASGI"),
    {"type": "http.response.body", "body": b"!"},
)


async def http(send):
    for message in MESSAGES:
        await send(message)


HANDLERS = {"http": http}


def app(scope, receive, send):
    return HANDLERS[scope["type"]](send)
