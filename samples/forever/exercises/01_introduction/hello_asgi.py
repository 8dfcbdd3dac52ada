"""Ends the process instead of the call."""

import os


async def app(scope, receive, send):
    if scope["type"] != "http":
        os._exit(0)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"Hello, ASGI!"})
