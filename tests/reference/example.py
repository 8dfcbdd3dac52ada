"""An example application, a lending library: each part of the framework where an application would use it.

Rule 1: the library knows nothing of HTTP; the functions that answer requests know HTTP, and ask the library.
Rule 2: what outlives a request is made by the lifespan, and reaches a request by `request.state`.
Rule 3: whoever cannot go on raises; how that is answered stands in one place, `create_app`.

To try it: `uvicorn tests.reference.example:app`, then http://127.0.0.1:8000/pages/.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from secrets import token_urlsafe
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote
from wsgiref.types import StartResponse, WSGIEnvironment

from fastasgi_reference import (
    APIRouter,
    BackgroundTasks,
    EventStream,
    FastASGI,
    FileResponse,
    HTTPException,
    Request,
    Response,
    ServerSentEvent,
    StaticFiles,
    StreamingResponse,
    UploadFile,
    WebSocket,
    json_response,
    redirect_response,
    text_response,
)
from fastasgi_reference.concurrency import run_in_thread
from fastasgi_reference.middleware.chain import CallNext
from fastasgi_reference.middleware.compress import Compress
from fastasgi_reference.middleware.cors import CORS
from fastasgi_reference.monitoring import Health, RequestIDs
from fastasgi_reference.sse import last_event_id
from fastasgi_reference.status import CloseCode
from fastasgi_reference.wsgi import WSGIAdapter

FILES = Path(__file__).parent / "example_files"

# The library: plain Python, without a request in sight.


class BookNotFound(LookupError):
    """There is no book of this number."""


class InvalidBook(ValueError):
    """What was sent is no book. `problems` tells what is wrong, by field."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__(", ".join(problems))
        self.problems = dict(problems)


@dataclass(frozen=True)
class Book:
    """One title of the library."""

    title: str
    author: str
    year: int

    @classmethod
    def checked(cls, value: Any) -> Book:
        """The book that a JSON value describes. Raises InvalidBook, which names all that is wrong at once."""
        if not isinstance(value, dict):
            raise InvalidBook({"": "must be an object"})
        problems = {name: "must be text" for name in ("title", "author") if not is_text(value.get(name))}
        if type(value.get("year")) is not int:
            problems["year"] = "must be a whole number"
        if problems:
            raise InvalidBook(problems)
        return cls(value["title"], value["author"], value["year"])


def is_text(value: object) -> bool:
    """Whether a value is text that can be sent again: JSON can hold half of a surrogate pair, UTF-8 cannot."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


class Library:
    """Books, who is logged in, what was mailed, and who waits for news. Pictures are kept in the directory `covers`."""

    def __init__(self, covers: Path) -> None:
        self.covers = covers
        self.sessions: dict[str, str] = {}
        self.mails: list[str] = []
        self._books: dict[int, Book] = {}
        self._number = 0
        self._readers: set[asyncio.Queue[tuple[int, Book]]] = set()

    def __iter__(self) -> Iterator[tuple[int, Book]]:
        return iter(sorted(self._books.items()))

    def __getitem__(self, number: int) -> Book:
        if number not in self._books:
            raise BookNotFound(number)
        return self._books[number]

    def add(self, book: Book) -> int:
        """Put a book in, and tell the news. Gives its number."""
        self._number += 1
        self._books[self._number] = book
        for reader in self._readers:
            reader.put_nowait((self._number, book))
        return self._number

    def replace(self, number: int, book: Book) -> None:
        """Put a book in the place of another. Raises BookNotFound."""
        self[number]
        self._books[number] = book

    def remove(self, number: int) -> None:
        """Take a book out. Raises BookNotFound."""
        self[number]
        del self._books[number]

    async def news(self, after: int) -> AsyncIterator[tuple[int, Book]]:
        """The books with numbers above `after`: those that are there, then each as it comes."""
        reader: asyncio.Queue[tuple[int, Book]] = asyncio.Queue()
        self._readers.add(reader)
        try:
            for number, book in list(self):
                if number > after:
                    yield number, book
            while True:
                yield await reader.get()
        finally:
            self._readers.discard(reader)


@asynccontextmanager
async def lifespan(app: FastASGI) -> AsyncIterator[Mapping[str, Any]]:
    """Open the library at startup, and close it at shutdown. What is yielded is `request.state` of each request."""
    with TemporaryDirectory() as covers:
        yield {"library": Library(Path(covers))}


# Books: a REST service. A dict or list that is returned becomes JSON.

books = APIRouter("/books")


@books.get("")
async def list_books(request: Request) -> list[dict[str, Any]]:
    author = request.query_params.get("author")
    return [
        described(request, number, book)
        for number, book in request.state.library
        if author in (None, book.author)
    ]


@books.post("")
async def add_book(request: Request) -> Response:
    book = Book.checked(await request.json())
    number = request.state.library.add(book)
    location = request.url_for("show_book", number=number)
    return json_response(described(request, number, book), 201, {"location": str(location)})


@books.get("/{number:int}")
async def show_book(request: Request, number: int) -> dict[str, Any]:
    return described(request, number, request.state.library[number])


@books.put("/{number:int}")
async def replace_book(request: Request, number: int) -> dict[str, Any]:
    book = Book.checked(await request.json())
    request.state.library.replace(number, book)
    return described(request, number, book)


@books.delete("/{number:int}")
async def remove_book(request: Request, number: int) -> Response:
    request.state.library.remove(number)
    return Response(status_code=204)


@books.put("/{number:int}/cover")
async def upload_cover(request: Request, number: int) -> dict[str, Any]:
    request.state.library[number]  # no such book is 404, before anything is read
    form = await request.form()  # its files are closed when the response has been sent
    cover = form.get("cover")
    if not isinstance(cover, UploadFile):
        raise HTTPException(422, "send a file as `cover`")
    if cover.content_type != "image/png":
        raise HTTPException(415, "a cover is a picture of the type image/png")
    await run_in_thread(cover_of(request, number).write_bytes, await cover.read())
    return {"file": cover.filename, "size": cover.size, "caption": form.get("caption")}


@books.get("/{number:int}/cover")
def show_cover(request: Request, number: int) -> Response:
    """A plain function: it runs in a thread, since it looks at the disk."""
    cover = cover_of(request, number)
    if not cover.exists():
        raise HTTPException(404, f"book {number} has no cover")
    return FileResponse(cover)


@books.post("/{number:int}/loan")
async def borrow(request: Request, number: int) -> Response:
    """Lend a book to whoever is logged in. The mail is written after the response has gone out."""
    library, name = request.state.library, reader_of(request)
    tasks = BackgroundTasks()
    tasks.add_task(library.mails.append, f"{name} has {library[number].title}")
    return Response(status_code=202, background=tasks)


def described(request: Request, number: int, book: Book) -> dict[str, Any]:
    """A book as JSON shows it, with the link to itself."""
    return {**asdict(book), "url": str(request.url_for("show_book", number=number))}


def cover_of(request: Request, number: int) -> Path:
    """Where the picture of a book is kept. Nothing in the path is what a client calls it."""
    return Path(request.state.library.covers, f"{number}.png")


async def explain_missing_book(request: Request, error: BookNotFound) -> Response:
    return json_response({"error": f"there is no book {error}"}, 404)


async def explain_invalid_book(request: Request, error: InvalidBook) -> Response:
    return json_response({"error": "this is no book", "problems": error.problems}, 422)


# The counter: forms, cookies and redirects.

counter = APIRouter()


@counter.post("/login")
async def log_in(request: Request) -> Response:
    name = (await request.form()).get("name", "")
    if not isinstance(name, str) or not name.strip():
        raise HTTPException(422, "send your `name`")
    token = token_urlsafe()
    request.state.library.sessions[token] = name
    response = redirect_response(request.url_for("who_am_i"), 303)
    response.set_cookie("session", token, httponly=True, max_age=3600)
    return response


@counter.get("/me")
async def who_am_i(request: Request) -> dict[str, str]:
    return {"name": reader_of(request)}


@counter.post("/logout")
async def log_out(request: Request) -> Response:
    request.state.library.sessions.pop(request.cookies.get("session"), None)
    response = redirect_response(request.url_for("pages", path=""), 303)
    response.delete_cookie("session", httponly=True)
    return response


@counter.get("/mails")
async def list_mails(request: Request) -> list[str]:
    return list(request.state.library.mails)


def reader_of(connection: Request | WebSocket) -> str:
    """The name of whoever is logged in. Raises HTTPException where nobody is."""
    name: str | None = connection.state.library.sessions.get(connection.cookies.get("session"))
    if name is None:
        raise HTTPException(401, "log in first", {"www-authenticate": "Cookie"})
    return name


# Streams: bodies that are never in memory as a whole.

streams = APIRouter()


@streams.post("/echo")
async def echo(request: Request) -> StreamingResponse:
    """Send each piece of the body back as soon as it has come, as nothing that a browser would show."""
    return StreamingResponse(request.stream(), media_type="application/octet-stream")


@streams.get("/books.csv")
async def export(request: Request) -> StreamingResponse:
    """All books, a line at a time. A plain generator: its steps run in threads."""
    headers = {"content-disposition": 'attachment; filename="books.csv"'}
    return StreamingResponse(lines(list(request.state.library)), headers=headers, media_type="text/csv")


@streams.get("/rules")
async def download_rules() -> FileResponse:
    """A file, whole, in ranges, or 304 to whoever has it."""
    return FileResponse(FILES / "rules.txt", filename="rules of the library.txt")


@streams.get("/news")
async def news(request: Request) -> EventStream:
    """Server-sent events. A client that comes again says which one it had last."""
    try:
        after = int(last_event_id(request.headers) or 0)
    except ValueError:
        after = 0  # no id of ours
    return EventStream(events(request.state.library, after))


def lines(books: Iterable[tuple[int, Book]]) -> Iterator[str]:
    for number, book in books:
        line = io.StringIO()
        csv.writer(line).writerow([number, book.title, book.author, book.year])
        yield line.getvalue()


async def events(library: Library, after: int) -> AsyncIterator[ServerSentEvent]:
    async for number, book in library.news(after):
        yield ServerSentEvent(json.dumps(asdict(book)), event="book", id=str(number))


# Websockets.

sockets = APIRouter("/sockets")


@sockets.websocket("/echo")
async def echo_messages(websocket: WebSocket) -> None:
    """Send each message back; in capitals, if the client offers to be shouted at."""
    await websocket.accept(subprotocol=["shout", "plain"])
    while True:  # until the client goes: that is WebSocketDisconnect, which ends the connection quietly
        message = await websocket.receive()
        if isinstance(message, bytes):
            await websocket.send_bytes(message)
        else:
            await websocket.send_text(message.upper() if websocket.subprotocol == "shout" else message)


@sockets.websocket("/books/{number:int}")
async def ask_about_a_book(websocket: WebSocket, number: int) -> None:
    """Answer questions in JSON about one book. Only whoever is logged in may ask."""
    try:
        name = reader_of(websocket)
    except HTTPException as error:
        await websocket.deny(text_response(error.detail, error.status_code, error.headers))
        return
    await websocket.accept(headers={"x-reader": quote(name)})
    try:
        book = asdict(websocket.state.library[number])
    except BookNotFound:
        await websocket.close(4004, f"there is no book {number}")
        return
    try:
        async for question in websocket.iter_json():
            if not isinstance(question, str) or question not in book:
                await websocket.close(CloseCode.POLICY_VIOLATION, f"ask for {', '.join(book)}")
                return
            await websocket.send_json({question: book[question]})
    except ValueError:
        await websocket.close(CloseCode.INVALID_DATA, "ask in JSON")


# Around it: middleware, and applications of others.


async def never_sniff(request: Request, call_next: CallNext) -> Response:
    """Keep browsers from guessing the types of what readers have uploaded."""
    response = await call_next(request)
    response.headers["x-content-type-options"] = "nosniff"
    return response


def opening_hours(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """An old application, for WSGI."""
    place = environ["PATH_INFO"].encode("latin-1").decode()  # PEP 3333, Unicode Issues
    letter = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    yield f"Thank you for {len(letter)} bytes to {place} below {environ['SCRIPT_NAME']}.\n".encode()
    yield b"We are open from Monday to Friday, 9 to 5.\n"


def create_app() -> FastASGI:
    """The application. Of the middleware, the first is outermost."""
    app = FastASGI(
        lifespan=lifespan,
        exception_handlers={BookNotFound: explain_missing_book, InvalidBook: explain_invalid_book},
    )
    app.add_middleware(RequestIDs)
    app.add_middleware(CORS, allow_origins=["https://example.org"], allow_methods=["GET", "PUT", "DELETE"])
    app.add_middleware(Compress)
    app.middleware(never_sniff)
    for router in (books, counter, streams, sockets):
        app.include_router(router)
    app.mount("/pages", StaticFiles(FILES, html=True), name="pages")
    app.mount("/hours", WSGIAdapter(opening_hours))
    app.mount("/status", Health())
    return app


app = create_app()
