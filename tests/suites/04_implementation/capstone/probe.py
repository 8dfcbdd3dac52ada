"""Applications made of the learner's modules, as a user of the framework would write them. Runs beside the submission.

Rule 1: nothing is used but what the sheets of the modules state, and the modules that are given.
Rule 2: what an application has seen, it tells in its responses or as the value that its call returns. Nothing is
judged here.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastasgi import (
    APIRouter,
    BackgroundTasks,
    Converter,
    FastASGI,
    FileResponse,
    HTTPException,
    Request,
    Response,
    StaticFiles,
    StreamingResponse,
    UploadFile,
    WebSocket,
    WebSocketDisconnect,
    html_response,
    json_response,
    redirect_response,
    text_response,
)
from fastasgi.middleware.https_redirect import HTTPSRedirect
from fastasgi.middleware.trusted_host import TrustedHost

App = Callable[..., Awaitable[Any]]
HERE = Path(__file__)
"""A file whose bytes both ends know."""


# --- what a connection tells of its scope -------------------------------------------------------------------


def told(connection: Request | WebSocket) -> dict[str, Any]:
    """All that a connection knows of its scope, as JSON can carry it."""
    return {
        "url": str(connection.url),
        "headers": [list(pair) for pair in connection.headers.multi_items()],
        "token": connection.headers.get("X-Token"),
        "tokens": connection.headers.getlist("x-token"),
        "query": [list(pair) for pair in connection.query_params.multi_items()],
        "cookies": dict(connection.cookies),
        "client": None if connection.client is None else list(connection.client),
        "params": dict(connection.path_params),
        "state": hasattr(connection.state, "nothing"),
    }


async def glance(request: Request, call_next: Any) -> Any:
    """Middleware that looks at everything first: whoever is further in must be able to look again."""
    told(request)
    return await call_next(request)


def telling(methods: Sequence[str] = ("GET",)) -> App:
    """Answers with what the request, or the websocket, tells."""
    app = FastASGI()
    app.middleware(glance)

    @app.route("/tell/{rest:path}", methods=methods)
    async def tell(request: Request, rest: str) -> dict[str, Any]:
        return {"method": request.method, "rest": rest, **told(request)}

    @app.websocket("/tell/{rest:path}")
    async def tell_socket(websocket: WebSocket, rest: str) -> None:
        await websocket.accept()
        await websocket.send_json(
            {"rest": rest, "subprotocols": list(websocket.subprotocols), **told(websocket)}
        )

    return app


def bare_router() -> App:
    """A router without an application around it."""
    router = APIRouter()

    @router.get("/")
    async def home() -> str:
        return "home"

    @router.websocket("/")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()

    return router


# --- the body of a request ----------------------------------------------------------------------------------


async def described(name: str, value: Any) -> list[Any]:
    """A field of a form as JSON: a text as it is, a file as its name, type and content."""
    if isinstance(value, UploadFile):
        return [name, [value.filename, value.content_type, (await value.read()).decode("latin-1")]]
    return [name, value]


async def fields_of(request: Request) -> list[Any]:
    """The fields of the request's form, in order."""
    return [await described(name, value) for name, value in (await request.form()).multi_items()]


def bodies(keeps: bool = False) -> App:
    """Reads bodies in each way that there is; with `keeps`, a middleware has read the whole body before."""
    app = FastASGI()
    if keeps:

        @app.middleware
        async def keep(request: Request, call_next: Any) -> Any:
            await request.body()
            return await call_next(request)

    @app.post("/body")
    async def body(request: Request) -> bytes:
        return await request.body()

    @app.post("/again")
    async def again(request: Request) -> bytes:
        first = await request.body()
        return first + b"|" + b"".join([chunk async for chunk in request.stream()])

    @app.post("/echo")
    async def echo(request: Request) -> StreamingResponse:
        return StreamingResponse(request.stream())

    @app.post("/json")
    async def value(request: Request) -> dict[str, Any]:
        return {"value": await request.json()}

    @app.post("/form")
    async def form(request: Request) -> dict[str, Any]:
        return {"fields": await fields_of(request)}

    @app.post("/unread")
    async def unread() -> str:
        return "unread"

    return app


# --- the kinds of responses ---------------------------------------------------------------------------------


async def some_chunks(count: int) -> AsyncIterator[bytes]:
    for number in range(count):
        yield b"%d," % number


def some_lines(count: int) -> Iterator[str]:
    for number in range(count):
        yield f"línea {number}\n"


def answers() -> App:
    """One route for each kind of response."""
    app = FastASGI()

    @app.get("/text")
    async def text() -> str:
        return "grüß dich"

    @app.get("/html")
    async def html() -> Response:
        return html_response("<p>ü</p>", 201)

    @app.get("/json")
    async def json() -> dict[str, Any]:
        return {"a": [1, "é", None]}

    @app.get("/list")
    async def items() -> list[int]:
        return [1, 2]

    @app.get("/bytes")
    async def data() -> bytes:
        return b"\x00\xff"

    @app.get("/nothing")
    async def nothing() -> None:
        return None

    @app.get("/thread")
    def thread() -> str:
        return "from a thread"

    @app.get("/redirect")
    async def redirect() -> Response:
        return redirect_response("/text?q=é", 303)

    @app.get("/stream/{count:int}")
    async def stream(count: int) -> Response:
        return StreamingResponse(some_chunks(count), media_type="text/plain")

    @app.get("/lines/{count:int}")
    async def lines(count: int) -> Response:
        return StreamingResponse(some_lines(count))

    @app.get("/file")
    async def file() -> Response:
        return FileResponse(HERE, media_type="text/plain", filename="probe.txt")

    @app.get("/status/{code:int}")
    async def status(code: int) -> Response:
        return Response("what for?", code)

    @app.get("/error/{code:int}")
    async def error(code: int) -> None:
        raise HTTPException(code, "told", {"X-Reason": "yes"})

    @app.get("/headers")
    async def headers() -> Response:
        response = text_response("h", headers={"X-First": "1", "Vary": "a"})
        response.headers.append("X-First", "2")
        response.set_cookie("one", "1", path="/a")
        response.set_cookie("two", "2, and 3")
        return response

    return app


def handing_over() -> App:
    """A file for servers that can send files themselves. Returns whether each open file was closed in the end."""
    app, opened = answers(), []

    async def watched(scope: Any, receive: Any, send: Any) -> list[Any]:
        async def look(message: Any) -> None:
            if "file" in message:
                opened.append((message["file"], type(message["file"].fileno()).__name__))
            await send(message)

        await app(scope, receive, look)
        return [[file.closed, number] for file, number in opened]

    return watched


# --- failures -----------------------------------------------------------------------------------------------


async def breaking(count: int) -> AsyncIterator[bytes]:
    for number in range(count):
        yield b"%d," % number
    raise ValueError("secret")


def failing(debug: bool = False, catches_all: bool = False) -> App:
    """Raises, in each place where one can."""
    app = FastASGI(debug=debug)

    @app.exception_handler(LookupError)
    async def missing(request: Request, error: LookupError) -> Response:
        return json_response({"missing": str(error.args[0]), "path": request.url.path}, 404)

    @app.exception_handler(410)
    def gone(request: Request, error: HTTPException) -> Response:
        return text_response("gone for good", error.status_code)

    if catches_all:

        @app.exception_handler(Exception)
        async def everything(request: Request, error: Exception) -> Response:
            return text_response(f"caught {type(error).__name__}", 503)

    @app.get("/raises")
    async def raises() -> None:
        raise ValueError("secret")

    @app.get("/lookup")
    async def lookup() -> None:
        raise KeyError("book")

    @app.get("/os-error")
    async def os_error() -> None:
        raise FileNotFoundError("secret")

    @app.get("/wrong-value")
    async def wrong_value() -> object:
        return object()

    @app.get("/http/{code:int}")
    async def http(code: int) -> None:
        raise HTTPException(code, "told", {"X-Reason": "yes"})

    @app.get("/breaks/{count:int}")
    async def breaks(count: int) -> Response:
        return StreamingResponse(breaking(count))

    return app


def going(layered: bool = False) -> App:
    """For a client that goes away. Returns what has happened by the end, in order."""
    seen: list[str] = []
    app = FastASGI()
    if layered:
        app.middleware(glance)

    async def handle(request: Request, error: Exception) -> Response:
        seen.append("handler")
        return text_response("handled", 500)

    app.add_exception_handler(Exception, handle)
    app.add_exception_handler(OSError, handle)

    async def chunks() -> AsyncIterator[bytes]:
        try:
            for number in range(5):
                seen.append("chunk")
                yield b"%d," % number
        finally:
            seen.append("closed")

    def tasks() -> BackgroundTasks:
        background = BackgroundTasks()
        background.add_task(seen.append, "background")
        return background

    @app.get("/stream")
    async def stream() -> Response:
        return StreamingResponse(chunks(), background=tasks())

    @app.get("/text")
    async def text() -> Response:
        return Response("text", background=tasks())

    @app.post("/body")
    async def body(request: Request) -> bytes:
        return await request.body()

    async def watched(scope: Any, receive: Any, send: Any) -> list[str]:
        try:
            await app(scope, receive, send)
        except OSError:
            seen.append("raised OSError")
        except Exception as error:  # noqa: BLE001 - it is told
            seen.append(f"raised {type(error).__name__}")
        return seen

    return watched


# --- several connections at a time --------------------------------------------------------------------------


def together() -> App:
    """Keeps things for its request in every place that there is, and tells them at the end."""
    app = FastASGI()

    @app.middleware
    async def mark(request: Request, call_next: Any) -> Any:
        request.state.mark = request.headers["x-mark"]
        response = await call_next(request)
        response.headers["x-mark"] = request.state.mark
        return response

    @app.post("/{name}")
    async def tell(request: Request, name: str) -> dict[str, Any]:
        fields = await fields_of(request)
        return {
            "name": name,
            "mark": request.state.mark,
            "query": request.query_params.get("q"),
            "fields": fields,
        }

    return app


# --- middleware ---------------------------------------------------------------------------------------------


class Plain:
    """ASGI middleware that changes nothing."""

    def __init__(self, app: App, *, name: str = "", trace: list[str] | None = None) -> None:
        self._app, self._name, self._trace = app, name, trace

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._trace is None or scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._trace.append(f"> {self._name}")
        try:
            await self._app(scope, receive, send)
        finally:
            self._trace.append(f"< {self._name}")


def passing(messages: Sequence[Any]) -> App:
    """An application of others, which sends these very messages each time, with middleware of every sort around it.

    Returns whether the scope that it was given is still as it was then.
    """
    given: list[tuple[Any, Any]] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        given.append((scope, dict(scope)))
        for message in messages:
            await send(message)

    app = FastASGI()

    @app.middleware
    async def label(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["x-layer"] = "seen"
        return response

    app.add_middleware(TrustedHost, allowed=["*"])
    app.add_middleware(HTTPSRedirect)
    app.add_middleware(Plain)
    app.mount("/inner", inner)

    async def watched(scope: Any, receive: Any, send: Any) -> bool:
        await app(scope, receive, send)
        return all(then == now for then, now in given)

    return watched


def onion(layers: Sequence[Sequence[str]], fails: bool = False) -> App:
    """Middleware in the order of `layers`, each a kind and a name. Returns the trace of one request."""
    trace: list[str] = []
    app = FastASGI()

    def function(name: str) -> Any:
        async def layer(request: Request, call_next: Any) -> Any:
            trace.append(f"> {name}")
            try:
                return await call_next(request)
            finally:
                trace.append(f"< {name}")

        return layer

    for kind, name in layers:
        if kind == "function":
            app.middleware(function(name))
        else:
            app.add_middleware(Plain, name=name, trace=trace)

    @app.get("/")
    async def core() -> str:
        trace.append("core")
        if fails:
            raise ValueError("out of the core")
        return "done"

    async def watched(scope: Any, receive: Any, send: Any) -> list[str]:
        try:
            await app(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - it is told
            trace.append(f"raised {type(error).__name__}: {error}")
        return trace

    return watched


# --- websockets ---------------------------------------------------------------------------------------------


def sockets() -> App:
    """One websocket of each kind, behind middleware."""
    app = FastASGI()
    app.middleware(glance)
    app.add_middleware(TrustedHost, allowed=["*"])

    @app.get("/page")
    async def page() -> str:
        return "a page"

    @app.websocket("/echo")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        while True:
            message = await websocket.receive()
            if isinstance(message, bytes):
                await websocket.send_bytes(message)
            else:
                await websocket.send_text(message)

    @app.websocket("/goodbye")
    async def goodbye(websocket: WebSocket) -> None:
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(text)
        await websocket.close()  # the client is gone: there is nothing to close

    @app.websocket("/shout")
    async def shout(websocket: WebSocket) -> None:
        await websocket.accept(subprotocol=["shout", "plain"], headers={"X-Voice": "1", "x-b": "2"})
        await websocket.close(4001, "enough")

    @app.websocket("/refuse")
    async def refuse(websocket: WebSocket) -> None:
        await websocket.close()

    @app.websocket("/silent")
    async def silent(websocket: WebSocket) -> None:
        return None

    @app.websocket("/returns")
    async def returns(websocket: WebSocket) -> None:
        await websocket.accept()

    @app.websocket("/raises/{accepts:int}")
    async def raises(websocket: WebSocket, accepts: int) -> None:
        if accepts:
            await websocket.accept()
        raise ValueError("secret")

    @app.websocket("/deny/{kind}")
    async def deny(websocket: WebSocket, kind: str) -> None:
        response = text_response("no", 401, {"X-Why": "because"})
        if kind == "stream":
            response = StreamingResponse(some_chunks(2), 403)
        if kind == "file":
            response = FileResponse(HERE)
        await websocket.deny(response)

    return app


def following(steps: Sequence[Sequence[Any]]) -> App:
    """A handler that takes these steps with its websocket, whatever comes of each.

    Returns code and reason of each WebSocketDisconnect that it has met.
    """
    app = FastASGI()
    met: list[Any] = []

    @app.websocket("/")
    async def follow(websocket: WebSocket) -> None:
        for name, *arguments in steps:
            try:
                if name == "deny":
                    await websocket.deny(text_response("no", 401))
                else:
                    await getattr(websocket, name)(*arguments)
            except WebSocketDisconnect as gone:
                met.append([gone.code, gone.reason])
            except Exception:  # noqa: BLE001 - that is the point: it goes on as if nothing were
                pass

    async def watched(scope: Any, receive: Any, send: Any) -> list[Any]:
        await app(scope, receive, send)
        return met

    return watched


# --- lifespan -----------------------------------------------------------------------------------------------


def living(fails: str = "", yields: bool = True) -> App:
    """Hooks and a context manager, behind middleware; the step called `fails` raises. Returns what ran, in order."""
    trace: list[str] = []

    def step(name: str) -> None:
        trace.append(name)
        if name == fails:
            raise ValueError(f"{name} failed")

    @asynccontextmanager
    async def manager(app: FastASGI) -> AsyncIterator[Mapping[str, Any] | None]:
        step("enter")
        yield {"hits": []} if yields else None
        step("exit")

    app = FastASGI(lifespan=manager)
    app.middleware(glance)
    app.add_middleware(Plain)
    for number in (1, 2):
        app.on_event("startup")(lambda number=number: step(f"startup {number}"))
        app.on_event("shutdown")(lambda number=number: step(f"shutdown {number}"))

    @app.get("/hit")
    async def hit(request: Request) -> dict[str, Any]:
        shared = getattr(request.state, "hits", None)
        if shared is not None:
            shared.append("hit")
        mine = hasattr(request.state, "mine")
        request.state.mine = True
        return {"hits": shared, "seen before": mine}

    @app.websocket("/hit")
    async def hit_socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_json({"hits": getattr(websocket.state, "hits", None)})

    async def watched(scope: Any, receive: Any, send: Any) -> list[str] | None:
        try:
            await app(scope, receive, send)
        except ValueError as error:
            trace.append(f"raised {error}")
        except RuntimeError:
            trace.append("raised RuntimeError")
        return trace if scope["type"] == "lifespan" else None

    return watched


# --- routing ------------------------------------------------------------------------------------------------


async def where(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI application of others that tells where it stands."""
    root = scope.get("root_path", "")
    response = json_response({"path": scope["path"], "root": root})
    await response(scope, receive, send)


def routed() -> App:
    """A table of routes in which several fit many a path: routers, mounts, converters, priorities."""
    app = FastASGI(
        converters={"hex": Converter("[0-9a-f]{2}", lambda text: int(text, 16), lambda value: f"{value:02x}")}
    )
    items = APIRouter("/items")

    def told_by(name: str) -> Any:
        async def tell(request: Request) -> dict[str, Any]:
            return {"route": name, "params": {key: str(value) for key, value in request.path_params.items()}}

        return tell

    items.add_route("/{name}", told_by("name"), methods=["GET", "PUT"], name="name")
    items.add_route("/{number:int}", told_by("number"), methods=["DELETE", "PROPFIND"], name="number")
    items.add_route("/first", told_by("first"), name="first", priority=1)
    app.include_router(items)
    app.include_router(items, "/v{version:int}", name="v")
    app.add_route("/slash/", told_by("slash"), methods=["GET", "POST"], name="slash")
    app.add_route("/colour/{rgb:hex}", told_by("colour"), name="colour")
    app.add_route("/files/{number:int}/{path:path}", told_by("file"), name="file")
    app.mount("/mounted", where)
    inner, innermost = FastASGI(), APIRouter()
    inner.add_route("/items/{number:int}", told_by("inner"), name="item")
    inner.mount("/deeper", where)
    innermost.mount("/deep", inner, name="deep")
    app.include_router(innermost)

    @app.get("/link/{name}")
    async def link(request: Request, name: str) -> dict[str, Any]:
        values: dict[str, Any] = dict(request.query_params)
        for key in ("number", "version", "rgb"):
            if key in values:
                values[key] = int(values[key])
        return {"link": str(request.url_for(name, **values))}

    items.add_route("/late", told_by("late"), methods=["POST"], name="late")  # included routers are live
    return app


# --- a whole application: a lending library -----------------------------------------------------------------


class BookNotFound(LookupError):
    """There is no book of this number."""


class Library:
    """Books by number, their covers, and who is logged in."""

    def __init__(self) -> None:
        self.books: dict[int, dict[str, Any]] = {}
        self.covers: dict[int, tuple[str, bytes]] = {}
        self.readers: dict[str, str] = {}
        self.mails: list[str] = []
        self._number = 0

    def add(self, book: dict[str, Any]) -> int:
        self._number += 1
        self.books[self._number] = book
        return self._number

    def __getitem__(self, number: int) -> dict[str, Any]:
        if number not in self.books:
            raise BookNotFound(number)
        return self.books[number]


def checked(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not isinstance(value.get("title"), str):
        raise HTTPException(422, "a book has a title")
    return {"title": value["title"], "author": value.get("author")}


def shown(request: Request, number: int) -> dict[str, Any]:
    link = str(request.url_for("show_book", number=number))
    return {**request.state.library[number], "number": number, "url": link}


async def list_books(request: Request) -> list[dict[str, Any]]:
    wanted = request.query_params.getlist("author")
    books = request.state.library.books
    return [shown(request, number) for number in books if not wanted or books[number]["author"] in wanted]


async def add_book(request: Request) -> Response:
    number = request.state.library.add(checked(await request.json()))
    location = str(request.url_for("show_book", number=number))
    return json_response(shown(request, number), 201, {"Location": location})


async def show_book(request: Request, number: int) -> dict[str, Any]:
    return shown(request, number)


async def replace_book(request: Request, number: int) -> dict[str, Any]:
    request.state.library[number].update(checked(await request.json()))
    return shown(request, number)


async def remove_book(request: Request, number: int) -> Response:
    library = request.state.library
    library[number]
    del library.books[number]
    library.covers.pop(number, None)
    return Response(status_code=204)


async def upload_cover(request: Request, number: int) -> dict[str, Any]:
    library = request.state.library
    library[number]
    form = await request.form()
    cover = form.get("cover")
    if not isinstance(cover, UploadFile):
        raise HTTPException(422, "send a file as `cover`")
    library.covers[number] = (cover.content_type or "", await cover.read())
    return {"file": cover.filename, "size": cover.size, "captions": form.getlist("caption")}


def show_cover(request: Request, number: int) -> Response:
    if number not in request.state.library.covers:
        raise HTTPException(404, "no cover")
    kind, data = request.state.library.covers[number]
    return Response(data, media_type=kind)


async def borrow(request: Request, number: int) -> Response:
    name, title = reader_of(request), request.state.library[number]["title"]
    tasks = BackgroundTasks()
    tasks.add_task(request.state.library.mails.append, f"{name} has {title}")
    return Response(status_code=202, background=tasks)


def reader_of(connection: Request | WebSocket) -> str:
    name: str | None = connection.state.library.readers.get(connection.cookies.get("session", ""))
    if name is None:
        raise HTTPException(401, "log in first", {"www-authenticate": "Cookie"})
    return name


async def log_in(request: Request) -> Response:
    name = (await request.form()).get("name", "")
    if not isinstance(name, str) or not name:
        raise HTTPException(422, "send your `name`")
    library = request.state.library
    token = f"reader {len(library.readers)}, please"
    library.readers[token] = name
    response = redirect_response(str(request.url_for("who_am_i")), 303)
    response.set_cookie("session", token, httponly=True)
    return response


async def who_am_i(request: Request) -> dict[str, str]:
    return {"name": reader_of(request)}


async def log_out(request: Request) -> Response:
    request.state.library.readers.pop(request.cookies.get("session", ""), None)
    response = redirect_response("/me", 303)
    response.delete_cookie("session", httponly=True)
    return response


async def list_mails(request: Request) -> list[str]:
    return list(request.state.library.mails)


def lines_of(books: Mapping[int, Mapping[str, Any]]) -> Iterator[str]:
    for number, book in books.items():
        line = io.StringIO()
        csv.writer(line).writerow([number, book["title"], book["author"]])
        yield line.getvalue()


async def export(request: Request) -> Response:
    return StreamingResponse(lines_of(dict(request.state.library.books)), media_type="text/csv")


async def echo_body(request: Request) -> Response:
    return StreamingResponse(request.stream(), media_type="application/octet-stream")


async def rules() -> Response:
    return FileResponse(HERE, media_type="text/plain", filename="rules of the library.txt")


async def crash() -> None:
    raise ZeroDivisionError("secret")


async def ask_about_books(websocket: WebSocket) -> None:
    try:
        name = reader_of(websocket)
    except HTTPException as error:
        await websocket.deny(text_response(error.detail, error.status_code, error.headers))
        return
    await websocket.accept(subprotocol=["json", "text"], headers={"x-reader": name})
    async for number in websocket.iter_json():
        if number not in websocket.state.library.books:
            await websocket.close(4004, f"there is no book {number}")
            return
        await websocket.send_json(websocket.state.library[number])


def books() -> APIRouter:
    """The routes of books."""
    router = APIRouter("/books")
    router.add_route("", list_books)
    router.add_route("", add_book, methods=["POST"])
    router.add_route("/{number:int}", show_book)
    router.add_route("/{number:int}", replace_book, methods=["PUT"])
    router.add_route("/{number:int}", remove_book, methods=["DELETE"])
    router.add_route("/{number:int}/cover", upload_cover, methods=["PUT"])
    router.add_route("/{number:int}/cover", show_cover)
    router.add_route("/{number:int}/loan", borrow, methods=["POST"])
    return router


async def explain(request: Request, error: BookNotFound) -> Response:
    return json_response({"error": f"there is no book {error}"}, 404)


async def never_sniff(request: Request, call_next: Any) -> Response:
    response: Response = await call_next(request)
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


@asynccontextmanager
async def open_library(app: FastASGI) -> AsyncIterator[Mapping[str, Any]]:
    yield {"library": Library()}


def app() -> App:
    """The library."""
    application = FastASGI(lifespan=open_library, exception_handlers={BookNotFound: explain})
    application.add_middleware(TrustedHost, allowed=["testserver", "127.0.0.1"])
    application.middleware(never_sniff)
    application.include_router(books())
    application.add_route("/login", log_in, methods=["POST"])
    application.add_route("/me", who_am_i)
    application.add_route("/logout", log_out, methods=["POST"])
    application.add_route("/mails", list_mails)
    application.add_route("/books.csv", export)
    application.add_route("/echo", echo_body, methods=["POST"])
    application.add_route("/rules", rules)
    application.add_route("/crash", crash)
    application.add_websocket_route("/ask", ask_about_books)
    application.mount("/static", StaticFiles(HERE.parent), name="static")
    return application
