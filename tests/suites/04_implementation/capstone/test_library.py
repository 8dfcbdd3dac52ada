"""A whole application, asked by real clients: in a session, against a model, and under a real server.

Rule 1: the model is a dict of books; whatever the sequence of requests, the library answers as the model does.
Rule 2: the real server runs here, in the judge, on a free port of the loopback; it is ended in any case.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from grader.suite import Submission, requirement

FILE = (Path(__file__).parent / "probe.py").read_bytes()
"""What the library gives out as its rules."""
TEXTS = st.sampled_from(["Flatland", "é & ü", "\N{GRINNING FACE}", ""])

Step = tuple[str, int, str]
STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "show", "replace", "remove", "list", "find", "upload", "cover"]),
              st.integers(1, 3), TEXTS),
    max_size=5,
)  # fmt: skip


class Model:
    """What the library must answer: its books and covers by number."""

    def __init__(self) -> None:
        self.books: dict[int, dict[str, Any]] = {}
        self.covers: dict[int, bytes] = {}
        self.number = 0

    def shown(self, number: int) -> dict[str, Any]:
        """A book as JSON shows it."""
        return {**self.books[number], "number": number, "url": f"http://testserver/books/{number}"}


async def take(client: httpx.AsyncClient, model: Model, step: Step) -> None:
    """Take one step with both, and hold the answer against the model's."""
    what, number, text = step
    book = {"title": text, "author": text[:1]}
    if what == "add":
        model.number += 1
        model.books[model.number] = book
        added = await ask(client, "POST /books", 201, json=book)
        assert added.json() == model.shown(model.number)
        assert added.headers["location"] == f"http://testserver/books/{model.number}"
        return
    if what in ("list", "find"):
        query = {"author": text[:1]} if what == "find" else None
        listed = await ask(client, "GET /books", 200, params=query)
        wanted = [n for n, each in model.books.items() if query is None or each["author"] == query["author"]]
        assert listed.json() == [model.shown(n) for n in wanted]
        return
    response = await _one_book(client, what, number, book)
    if number not in model.books and what != "cover":
        assert (response.status_code, response.json()) == (404, {"error": f"there is no book {number}"})
        return
    _hold(model, what, number, book, response)


async def _one_book(
    client: httpx.AsyncClient, what: str, number: int, book: dict[str, Any]
) -> httpx.Response:
    url = f"/books/{number}"
    if what == "show":
        return await client.get(url)
    if what == "replace":
        return await client.put(url, json=book)
    if what == "remove":
        return await client.delete(url)
    if what == "cover":
        return await client.get(f"{url}/cover")
    files = {"cover": ("ü.png", book["title"].encode() * 100, "image/png")}
    return await client.put(f"{url}/cover", files=files, data={"caption": ["one", book["title"]]})


def _hold(model: Model, what: str, number: int, book: dict[str, Any], response: httpx.Response) -> None:
    """Hold the answer about a book, or a cover, that there is (a cover may be missing) against the model's."""
    if what == "remove":
        del model.books[number]
        model.covers.pop(number, None)
        assert (response.status_code, response.content) == (204, b"")
    elif what == "upload":
        data = model.covers[number] = book["title"].encode() * 100
        assert response.status_code == 200
        assert response.json() == {"file": "ü.png", "size": len(data), "captions": ["one", book["title"]]}
    elif what == "cover":
        cover = model.covers.get(number)
        expected = (404, b"no cover") if cover is None else (200, cover)
        assert (response.status_code, response.content) == expected
    else:
        if what == "replace":
            model.books[number] = book
        assert (response.status_code, response.json()) == (200, model.shown(number))


@requirement("CAP-12")
@given(steps=STEPS)
@example(steps=[("add", 1, "Flatland"), ("show", 1, ""), ("list", 1, ""), ("remove", 1, ""), ("show", 1, "")])
@example(steps=[("add", 1, "é & ü"), ("add", 1, "Flatland"), ("find", 1, "é & ü"), ("replace", 2, "\N{GRINNING FACE}"),
                ("list", 1, ""), ("remove", 3, "")])  # fmt: skip
@example(steps=[("upload", 1, "x"), ("add", 1, ""), ("upload", 1, "é & ü"), ("cover", 1, ""), ("upload", 1, ""),
                ("cover", 1, ""), ("cover", 2, "")])  # fmt: skip
async def test_the_library_does_as_its_model(submission: Submission, steps: list[Step]) -> None:
    """Books and covers are added, shown, found, replaced and removed as in a dict, in any order."""
    model = Model()
    async with submission.session() as session, session.lifespan(), session.client() as client:
        for step in steps:
            await take(client, model, step)
        assert (await client.get("/books")).json() == [model.shown(number) for number in model.books]


async def ask(client: httpx.AsyncClient, asked: str, status: int, **options: Any) -> httpx.Response:
    """The answer to `asked`, a method and a URL, which has to have this status."""
    method, _, url = asked.partition(" ")
    response = await client.request(method, url, **options)
    assert response.status_code == status, (
        f"{asked} must be answered by {status}: {response.text[:100]!r} was sent"
    )
    return response


async def reads_and_logs_in(client: httpx.AsyncClient, base: str) -> None:
    """Log in by a form, borrow a book, and log out."""
    stranger = await ask(client, "GET /me", 401)
    assert stranger.headers["www-authenticate"] == "Cookie"
    welcome = await ask(client, "POST /login", 303, data={"name": "Ada & Søn"})
    assert welcome.headers["location"] == f"{base}/me"
    cookie = client.cookies["session"]
    client.cookies.clear()
    split = [("cookie", "other=1,2"), ("Cookie", f"session={cookie}")]
    assert (await ask(client, "GET /me", 200, headers=split)).json() == {"name": "Ada & Søn"}
    url = (await ask(client, "POST /books", 201, json={"title": "Lent"})).headers["location"]
    assert (await ask(client, f"POST {url}/loan", 202, headers=split)).content == b""
    assert await mails(client) == ["Ada & Søn has Lent"]
    goodbye = await ask(client, "POST /logout", 303, headers=split)
    assert goodbye.headers["set-cookie"].lower().count("max-age=0") == 1
    await ask(client, "GET /me", 401, headers=split)
    await ask(client, "POST /login", 422, data={"name": ""})
    await ask(client, "POST /login", 415, json={"name": "Ada"})


async def mails(client: httpx.AsyncClient) -> Any:
    """The mails that were written. One is written after its response, which may be after the next one."""
    written: Any = []
    for _ in range(100):
        if not written:
            written = (await ask(client, "GET /mails", 200)).json()
    return written


@requirement("CAP-12")
async def test_readers_log_in_by_a_form_and_a_cookie(submission: Submission) -> None:
    """A form logs in, a cookie remembers it, a redirect leads on, a background task writes a mail."""
    async with submission.session() as session, session.lifespan(), session.client() as client:
        await reads_and_logs_in(client, "http://testserver")


async def asks_for_files(client: httpx.AsyncClient) -> None:
    """Whole, in parts, on conditions; nothing but files."""
    whole = await ask(client, "GET /rules", 200)
    assert whole.content == FILE
    assert whole.headers["content-disposition"] == 'attachment; filename="rules of the library.txt"'
    assert whole.headers["x-content-type-options"] == "nosniff"
    head = await ask(client, "HEAD /rules", 200)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(FILE)))
    part = await ask(client, "GET /rules", 206, headers={"range": "bytes=5-14"})
    assert (part.content, part.headers["content-range"]) == (FILE[5:15], f"bytes 5-14/{len(FILE)}")
    current = {"range": "bytes=-10", "if-range": whole.headers["etag"]}
    assert (await ask(client, "GET /rules", 206, headers=current)).content == FILE[-10:]
    beyond = await ask(client, "GET /rules", 416, headers={"range": f"bytes={len(FILE)}-"})
    assert beyond.headers["content-range"] == f"bytes */{len(FILE)}"
    for name, known in (("if-none-match", "etag"), ("if-modified-since", "last-modified")):
        assert (await ask(client, "GET /rules", 304, headers={name: whole.headers[known]})).content == b""
    await ask(client, "GET /rules", 412, headers={"if-match": '"another"'})
    assert (await ask(client, "GET /static/probe.py", 200)).content == FILE
    await ask(client, "GET /static/nothing.py", 404)
    await ask(client, "POST /static/probe.py", 405)


@requirement("CAP-12")
async def test_files_go_whole_in_parts_or_not_at_all(submission: Submission) -> None:
    """A file is sent whole, in ranges, or not at all to whoever has it; so it is below a mount."""
    async with submission.session() as session, session.lifespan(), session.client() as client:
        await asks_for_files(client)


async def asks_for_much_else(client: httpx.AsyncClient) -> None:
    """Streams, redirects, refusals."""
    for title in ("A, B", 'The "Book"'):
        await ask(client, "POST /books", 201, json={"title": title, "author": "X"})
    table = await ask(client, "GET /books.csv", 200)
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert [line.partition(",")[2] for line in table.text.splitlines()][-2:] == [
        '"A, B",X',
        '"The ""Book""",X',
    ]

    async def chunks() -> AsyncIterator[bytes]:
        for number in range(20):
            yield bytes([number]) * 1000

    echoed = await ask(client, "POST /echo", 200, content=chunks())
    assert echoed.content == b"".join([chunk async for chunk in chunks()])
    toggled = await ask(client, "GET /books/?author=a%20b", 307)
    assert toggled.headers["location"] == "/books?author=a%20b"
    assert (await ask(client, "PATCH /books", 405)).headers["allow"] == "GET, HEAD, POST"
    await ask(client, "GET /nowhere", 404)
    await ask(client, "POST /books", 400, content=b'{"title": ')
    await ask(client, "POST /books", 422, json={"title": 5})
    await ask(client, "GET /books", 400, headers={"host": "evil.example"})
    asked = (client.post("/echo", content=b"%d" % number * 1000) for number in range(5))
    assert [each.content for each in await asyncio.gather(*asked)] == [
        b"%d" % number * 1000 for number in range(5)
    ]


@requirement("CAP-12")
async def test_streams_redirects_and_refusals(submission: Submission) -> None:
    """A table is streamed, a body echoed, a slash mended; what is wrong is refused with its own status."""
    async with submission.session() as session, session.lifespan(), session.client() as client:
        await asks_for_much_else(client)


# --- under a real server ------------------------------------------------------------------------------------


class Guarded:
    """The application as the server calls it; keeps what ends a test at once, which a server would only log."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.broken: BaseException | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception:
            raise
        except BaseException as error:
            if not isinstance(error, asyncio.CancelledError):
                self.broken = error
            raise RuntimeError("the session has ended") from error


class Server(uvicorn.Server):
    """A server that tells when it has started, and leaves the judge's signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and tell it."""
        await super().startup(sockets=sockets)
        self.up.set()


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """The application under uvicorn, on a free port of the loopback; gives its address."""
    guarded = Guarded(app)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            guarded, log_level="critical", lifespan="on", ws="websockets-sansio", timeout_graceful_shutdown=5
        )
        server = Server(config)
        running = asyncio.ensure_future(server._serve(sockets=[listener]))
        started = asyncio.ensure_future(server.up.wait())
        try:
            await asyncio.wait({running, started}, return_when=asyncio.FIRST_COMPLETED)
            if guarded.broken is None:
                assert server.started, "your application's startup failed under a real server"
                yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            started.cancel()
            server.should_exit = True
            await asyncio.wait({running})
            if guarded.broken is not None:
                raise guarded.broken


async def runs_in_memory(submission: Submission) -> None:
    """What waits for ever is seen at once here; under a real server, where time is real, only after a long while."""
    async with submission.session() as session, session.lifespan(), session.client() as client:
        await ask(client, "POST /login", 303, data={"name": "Ada"})
        await ask(client, "GET /me", 200)
        await ask(client, "GET /rules", 200)


@requirement("CAP-13")
async def test_the_library_runs_under_a_real_server(submission: Submission) -> None:
    """Under uvicorn, httpx finds all that it found in the session, and a crash costs one response."""
    await runs_in_memory(submission)
    async with (
        submission.session(real_time=True) as session,
        serving(session) as address,
        httpx.AsyncClient(base_url=f"http://{address}", timeout=60) as client,
    ):
        await reads_and_logs_in(client, f"http://{address}")
        await asks_for_files(client)
        await asks_for_much_else(client)
        async with httpx.AsyncClient(
            base_url=f"http://{address}", timeout=60
        ) as other:  # it may be hung up on
            assert (await ask(other, "GET /crash", 500)).text == "Internal Server Error"
        url = (await ask(client, "GET /books", 200)).json()[0]["url"]
        cover = b"\x00\xff" * 100_000
        sent = await ask(client, f"PUT {url}/cover", 200, files={"cover": ("c", cover, "image/png")})
        assert sent.json() == {"file": "c", "size": len(cover), "captions": []}
        assert (await ask(client, f"GET {url}/cover", 200)).content == cover


async def refusal(address: str) -> int:
    """The status by which a websocket is refused; 101 where it is not."""
    try:
        async with connect(f"ws://{address}/ask", open_timeout=60):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code
    except InvalidHandshake as refused:
        raise AssertionError(
            f"a websocket must be refused by a response, but the client says: {refused}"
        ) from None


@asynccontextmanager
async def reading(address: str, headers: dict[str, str]) -> AsyncIterator[ClientConnection]:
    """A websocket of whoever these headers belong to, which has to be accepted and to stay open."""
    protocols = [Subprotocol("text"), Subprotocol("json")]
    try:
        async with connect(
            f"ws://{address}/ask", subprotocols=protocols, additional_headers=headers, open_timeout=60
        ) as reader:
            yield reader
    except (InvalidHandshake, ConnectionClosed) as error:
        raise AssertionError(f"a real client could not go on with its websocket: {error}") from error


async def next_of(reader: ClientConnection) -> Any:
    """The next message; where the server closes instead, the code and the reason."""
    try:
        return await reader.recv()
    except ConnectionClosed as closed:
        return closed.rcvd and (closed.rcvd.code, closed.rcvd.reason)


@requirement("CAP-13")
async def test_websockets_work_under_a_real_server(submission: Submission) -> None:
    """A real client is denied by 401, then asks about books in JSON, and is told why the socket closes."""
    await runs_in_memory(submission)
    async with (
        submission.session(real_time=True) as session,
        serving(session) as address,
        httpx.AsyncClient(base_url=f"http://{address}", timeout=60) as client,
    ):
        await ask(client, "POST /books", 201, json={"title": "é", "author": None})
        await ask(client, "POST /login", 303, data={"name": "Ada"})
        headers = {"cookie": f"session={client.cookies['session']}"}
        assert await refusal(address) == 401
        async with reading(address, headers) as reader:
            assert reader.subprotocol == "text"
            assert reader.response is not None
            assert reader.response.headers["x-reader"] == "Ada"
            await reader.send("1")
            answer = await next_of(reader)
            assert isinstance(answer, str), f"an answer in JSON must come, but {answer!r} came"
            assert json.loads(answer) == {"title": "é", "author": None}
            await reader.send(b"2")
            assert await next_of(reader) == (4004, "there is no book 2")
