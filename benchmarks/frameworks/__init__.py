"""The same application in several frameworks, a module each: what `benchmarks/reference.py` compares.

Each module has `make(routes, middleware) -> ASGI application` with

- `GET /hello`: the text `Hello, world!`
- `GET /json`: `DATA` as JSON
- `GET /r<n>/{number}/{word}` for n below `routes`: `number` is an int, and the answer is its text
- `GET /down`: `CHUNKS` chunks of `CHUNK`, streamed
- `POST /up`: the number of bytes of the body, which is streamed in
- `POST /form`: the size of the file in the field `file` of a multipart form
- `/echo`, a WebSocket: sends back each text that it gets

and `middleware` layers that each add a response header, written as the framework's users mostly do.
"""

DATA = {
    "items": [
        {"id": number, "name": f"item {number}", "tags": ["a", "b"], "price": 9.5} for number in range(17)
    ]
}
"""About 1 kB as compact JSON."""
CHUNK = bytes(64 * 1024)
CHUNKS = 16
