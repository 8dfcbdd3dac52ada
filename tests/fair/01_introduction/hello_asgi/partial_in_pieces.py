"""A `functools.partial`; the body in several messages, the last of them without a body."""

from functools import partial


async def greet(pieces, scope, receive, send):
    assert scope["type"] == "http", "only http is spoken here"
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": ((b"content-type", b"text/plain; charset=utf-8"),),
        }
    )
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body"})


app = partial(greet, (b"Hello", b", ", b"", b"ASGI!"))
