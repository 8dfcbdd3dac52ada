"""Tasks and an exception of its own; it peeks at one event of the request, whatever that is."""

import asyncio


class NotSpoken(Exception):
    pass


class App:
    scope_type = "http"

    @classmethod
    async def serve(cls, scope, receive, send):
        if scope.get("type") != cls.scope_type:
            raise NotSpoken(scope.get("type"))
        first = asyncio.create_task(cls.peek(receive))
        await first
        await asyncio.sleep(0)
        respond = asyncio.ensure_future(
            send({"headers": cls.headers(), "status": 200, "type": "http.response.start"})
        )
        await respond
        await send({"more_body": False, "body": "Hello, ASGI!".encode(), "type": "http.response.body"})

    @staticmethod
    async def peek(receive):
        return await receive()

    @staticmethod
    def headers():
        return [tuple(word.encode("latin-1") for word in ("content-type", "text/plain; charset=utf-8"))]


app = App.serve
