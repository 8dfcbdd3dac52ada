"""An object with an async `__call__`, which reads the request's body before it answers."""


class Greeter:
    def __init__(self, greeting: str):
        self.body = greeting.encode("utf-8")

    async def __call__(self, scope, receive, send):
        kind = scope["type"]
        if kind == "http":
            return await self.http(receive, send)
        raise RuntimeError("I do not speak " + kind)

    async def http(self, receive, send):
        while True:
            event = await receive()
            if event["type"] == "http.disconnect":
                return
            if not event.get("more_body"):
                break
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [
                    [b"content-length", b"%d" % len(self.body)],
                    [b"content-type", b"text/plain; charset=utf-8"],
                ],
            }
        )
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


app = Greeter("Hello, ASGI!")
