"""A match statement, a status by name, and no body for HEAD."""

from http import HTTPStatus

TEXT = b"Hello, ASGI!"


async def app(scope, receive, send):
    match scope:
        case {"type": "http", "method": method}:
            headers = {
                b"content-type": b"text/plain; charset=utf-8",
                b"content-length": b"12",
                b"x-powered-by": b"ASGI",
            }
            await send(dict(type="http.response.start", status=HTTPStatus.OK, headers=list(headers.items())))
            await send(dict(type="http.response.body", body=b"" if method == "HEAD" else TEXT))
        case _:
            raise NotImplementedError(f"no answer to {scope['type']!r}")
