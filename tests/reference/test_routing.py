"""The reference's router: against a slow one that tries everything, and rule by rule."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastasgi_reference.applications import FastASGI
from fastasgi_reference.exceptions import HTTPException
from fastasgi_reference.paths import Converter, compile_path
from fastasgi_reference.requests import Request
from fastasgi_reference.routing import APIRouter, HTTPRoute, Mount
from fastasgi_reference.websockets import WebSocket
from tests.reference.conversation import (
    Log,
    body_events,
    http_scope,
    lifespan_scope,
    play,
    websocket_scope,
)
from tests.reference.rules import enforces

CONNECT = {"type": "websocket.connect"}
HEX = Converter("[0-9a-f]+", lambda text: int(text, 16), lambda value: f"{value:x}")


class Echo:
    """An ASGI application that tells what it was called with; it answers HTTP, and refuses WebSockets."""

    def __init__(self, tag: str = "echo") -> None:
        self.tag = tag
        self.scopes: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4000, "reason": self.tag})
            return
        params = {name: str(value) for name, value in scope.get("path_params", {}).items()}
        told = {"tag": self.tag, "root": scope["root_path"], "path": scope["path"], "params": params}
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(told).encode()})


def handler(tag: str = "") -> Callable[[Request], Awaitable[Any]]:
    async def endpoint(request: Request) -> Any:
        return {"tag": tag, "params": {name: str(value) for name, value in request.path_params.items()}}

    return endpoint


def refuser(tag: str) -> Callable[[WebSocket], Awaitable[None]]:
    async def endpoint(websocket: WebSocket) -> None:
        params = {name: str(value) for name, value in websocket.path_params.items()}
        await websocket.close(4000, json.dumps({"tag": tag, "params": params}))

    return endpoint


async def get(app: Any, path: str, method: str = "GET", /, **keys: Any) -> Log:
    scope = http_scope(method, raw_path=..., **keys) | {"path": path}
    log = await play(app, scope)
    assert log.raised is None
    return log


async def connect(app: Any, path: str, /, **keys: Any) -> Log:
    log = await play(app, websocket_scope(path, **keys), [CONNECT])
    assert log.raised is None
    return log


# ----------------------------------------------------------------------------------------------------------------
# The slow router. A table is a list of entries; it is asked by trying every way to read every template.


@dataclass
class Entry:
    """A line of a table: a route, a WebSocket route, a mount, or another table."""

    kind: str
    path: str
    tag: str
    methods: tuple[str, ...] = ()
    priority: int = 0
    table: Table | None = None


@dataclass
class Table:
    prefix: str
    entries: list[Entry] = field(default_factory=list)


@dataclass
class Line:
    """An entry with its whole template."""

    entry: Entry
    template: str


def flattened(table: Table, prefix: str = "") -> Iterator[Line]:
    prefix += table.prefix
    for priority in sorted({entry.priority for entry in table.entries}, reverse=True):
        for entry in table.entries:
            if entry.priority != priority:
                continue
            if entry.table is not None:
                yield from flattened(entry.table, prefix + entry.path)
            else:
                yield Line(entry, prefix + entry.path)


def read(template: str, path: str) -> dict[str, str] | None:
    """The texts of the parameters, by trying every length for each, the longest first."""
    if not template:
        return None if path else {}
    if template[0] != "{":
        return read(template[1:], path[1:]) if path[:1] == template[0] else None
    declared, _, rest = template[1:].partition("}")
    name, _, kind = declared.partition(":")
    for length in range(len(path), -1, -1):
        text = path[:length]
        right = {
            "": text != "" and "/" not in text,
            "int": text.isascii() and text.isdigit() and len(text) <= 18,
            "path": True,
        }[kind]
        others = read(rest, path[length:]) if right else None
        if others is not None:
            return {name: text, **others}
    return None


def fits(line: Line, path: str) -> tuple[str, dict[str, str]] | None:
    """The path's root for a mount, and the parameters; None where the line does not fit."""
    if line.entry.kind != "mount":
        params = read(line.template, path)
        return None if params is None else ("", params)
    params = read(line.template + "/{rest:path}", path)
    if params is not None:
        rest = params.pop("rest")
        return path[: len(path) - len(rest) - 1], params
    params = read(line.template, path)
    return None if params is None else (path.removesuffix("/"), params)


def shown(params: Mapping[str, str]) -> dict[str, str]:
    """The parameters as handlers tell them: an int has lost its zeros in front."""
    return {name: str(int(text)) if name.startswith("n") else text for name, text in params.items()}


def answer(table: Table, kind: str, method: str, path: str, root: str) -> Any:
    """What the table answers."""
    found = [(line, fit) for line in flattened(table) if (fit := fits(line, path)) is not None]
    allowed: set[str] = set()
    for line, (mounted, params) in found:
        entry = line.entry
        if entry.kind == "mount" and kind == "http":
            told = {"tag": entry.tag, "root": root + mounted, "path": root + path, "params": shown(params)}
            return 200, told
        if entry.kind == "mount":
            return 4000, entry.tag
        if entry.kind == kind == "websocket":
            return 4000, {"tag": entry.tag, "params": shown(params)}
        if entry.kind == kind and method in served(entry):
            return 200, {"tag": entry.tag, "params": shown(params)}
        allowed |= set(served(entry))
    if kind == "websocket":
        return 1000, ""
    if allowed:
        return 405, ", ".join(sorted(allowed))
    other = path[:-1] if path.endswith("/") else path + "/"
    if root + other and any(
        fits(line, other) is not None for line in flattened(table) if line.entry.kind != "websocket"
    ):
        return 307, "/" + (root + other).lstrip("/")
    return 404, "Not Found"


def served(entry: Entry) -> tuple[str, ...]:
    return (*entry.methods, "HEAD") if "GET" in entry.methods else entry.methods


async def asked(app: Any, kind: str, method: str, path: str, root: str) -> Any:
    """What the router answers, in the same words."""
    if kind == "websocket":
        log = await connect(app, root + path, root_path=root)
        close = log.sent[-1]
        told = close.get("reason", "")
        return close["code"], json.loads(told) if told.startswith("{") else told
    log = await get(app, root + path, method, root_path=root)
    if log.status == 405:
        return 405, log.header("allow")
    if log.status == 307:
        return 307, log.header("location")
    if method == "HEAD" and not log.body:
        return log.status, None
    return log.status, json.loads(log.body) if log.body.startswith(b"{") else log.body.decode()


SEGMENTS = ["a", "b", "1", "{}", "n{:int}", "{:path}", "a-{}", ""]
TEXTS = ["a", "b", "1", "07", "a-b", "ä b", ""]


@st.composite
def templates(draw: st.DrawFn, place: str, most: int = 2) -> str:
    """A path of some segments, whose parameters have names of this place alone; `n` begins those of numbers."""
    path = ""
    for number, segment in enumerate(draw(st.lists(st.sampled_from(SEGMENTS), max_size=most))):
        name = f"{'n' if segment.startswith('n') else 'p'}{place}{number}"
        path += "/" + segment.removeprefix("n").replace("{", "{" + name)
    return path


@st.composite
def tables(draw: st.DrawFn, depth: int = 0, place: str = "_") -> Table:
    table = Table(draw(templates(place + "r", 1)).rstrip("/"))
    kinds = st.sampled_from(
        ["http", "http", "http", "websocket", "mount", "include"][: 6 if depth < 2 else 5]
    )
    for number in range(draw(st.integers(1, 4))):
        here = f"{place}{number}"
        kind = draw(kinds)
        path = draw(templates(here))
        entry = Entry(kind, path, here)
        if kind == "include":
            entry.path = path.rstrip("/")
            entry.table = draw(tables(depth + 1, here))
        elif kind == "mount":
            entry.path = path.rstrip("/")
        else:
            entry.priority = draw(st.sampled_from([0, 0, 0, 1, -1]))
        if kind == "http":
            entry.methods = draw(st.sampled_from([("GET",), ("POST",), ("GET", "PUT"), ("HEAD",)]))
        table.entries.append(entry)
    return table


def built(table: Table, root: APIRouter, choose: Callable[[list[int]], int]) -> APIRouter:
    """Register everything, the entries of each table in order, and the tables in whatever order `choose` likes."""
    routers = {id(table): root}
    pending: list[tuple[APIRouter, list[Entry]]] = []

    def collect(each: Table) -> None:
        pending.append((routers[id(each)], list(each.entries)))
        for entry in each.entries:
            if entry.table is not None:
                routers[id(entry.table)] = APIRouter(entry.table.prefix)
                collect(entry.table)

    collect(table)
    while pending := [(router, entries) for router, entries in pending if entries]:
        router, entries = pending[choose(list(range(len(pending))))]
        add(router, entries.pop(0), routers)
        assert (
            root.routes is root.routes
        )  # whatever is remembered of a table is remembered in the middle of it, too
    return root


def add(router: APIRouter, entry: Entry, routers: Mapping[int, APIRouter]) -> None:
    if entry.table is not None:
        router.include_router(routers[id(entry.table)], entry.path)
    elif entry.kind == "mount":
        router.mount(entry.path, Echo(entry.tag))
    elif entry.kind == "websocket":
        router.add_websocket_route(entry.path, refuser(entry.tag), name=entry.tag, priority=entry.priority)
    else:
        router.add_route(
            entry.path, handler(entry.tag), methods=entry.methods, name=entry.tag, priority=entry.priority
        )


PATHS = st.lists(st.sampled_from(TEXTS), min_size=1, max_size=4).map(lambda texts: "/" + "/".join(texts))


@enforces("HTTP-SCOPE-06", "HTTP-SCOPE-08", "HTTP-SCOPE-17", "WS-404-01", "APP-SCOPE-01")
@given(data=st.data(), table=tables(), inside=st.booleans())
async def test_a_router_answers_as_one_that_tries_everything(
    data: st.DataObject, table: Table, inside: bool
) -> None:
    root = APIRouter(table.prefix)
    app = FastASGI(router=root) if inside else root
    built(table, root, lambda places: data.draw(st.sampled_from(places)))
    for path in data.draw(st.lists(PATHS, min_size=1, max_size=3, unique=True)):
        prefix = data.draw(st.sampled_from(["", "", "/api", "/api/v1"]))
        for kind, method in (("http", "GET"), ("http", "HEAD"), ("http", "POST"), ("websocket", "")):
            expected = answer(table, kind, method, path, prefix)
            got = await asked(app, kind, method, path, prefix)
            if expected[0] == 307:
                got = (got[0], unquote(got[1]))
            if method == "HEAD" and got[1] is None:
                expected = (expected[0], None)
            assert got == expected, (kind, method, path, [line.template for line in flattened(table)])


@given(data=st.data(), table=tables())
def test_the_order_of_registration_among_routers_does_not_matter(data: st.DataObject, table: Table) -> None:
    router = built(table, APIRouter(table.prefix), lambda places: data.draw(st.sampled_from(places)))
    assert [route.template.removesuffix("/{path:path}") for route in router.routes] == [
        line.template.removesuffix("/{path:path}") for line in flattened(table)
    ]


@given(data=st.data(), table=tables())
def test_url_for_writes_what_the_route_reads(data: st.DataObject, table: Table) -> None:
    router = built(table, APIRouter(table.prefix), lambda places: places[0])
    lines = [line for line in flattened(table) if line.entry.kind in ("http", "websocket")]
    for line in lines:
        template = compile_path(line.template)
        names = [part.partition("}")[0].partition(":")[0] for part in line.template.split("{")[1:]]
        values = {
            name: data.draw(st.integers(-1, 10**18) if name.startswith("n") else st.text(max_size=3))
            for name in names
        }
        try:
            expected = template.format(**values)
        except ValueError:
            with pytest.raises(ValueError, match=r"cannot be written|surrogates"):
                router.url_for(line.entry.tag, **values)
        else:
            assert router.url_for(line.entry.tag, **values) == expected
            assert template.match(unquote(expected)) == values


# ----------------------------------------------------------------------------------------------------------------
# Which route answers


async def test_what_fits_path_and_method_wins_over_an_earlier_one_that_fits_the_path_only() -> None:
    router = APIRouter()
    router.add_route("/{name}", handler("post"), methods=["POST"])
    router.add_route("/{other}", handler("get"))
    log = await get(router, "/x")
    assert json.loads(log.body) == {"tag": "get", "params": {"other": "x"}}


async def test_a_higher_priority_comes_first_and_then_the_order_of_registration() -> None:
    router = APIRouter()
    router.add_route("/{a}", handler("a"))
    router.add_route("/{b}", handler("b"))
    assert json.loads((await get(router, "/x")).body)["tag"] == "a"
    router.add_route("/{c}", handler("c"), priority=1)
    assert json.loads((await get(router, "/x")).body)["tag"] == "c"
    router.add_route("/{d}", handler("d"), priority=1)
    assert json.loads((await get(router, "/x")).body)["tag"] == "c"


async def test_a_priority_counts_in_its_own_router_only() -> None:
    inner, outer = APIRouter(), APIRouter()
    outer.add_route("/{a}", handler("first"))
    outer.include_router(inner)
    inner.add_route("/{a}", handler("inner"), priority=10)
    assert json.loads((await get(outer, "/x")).body)["tag"] == "first"


@enforces("HTTP-SCOPE-17")
@pytest.mark.parametrize(
    ("method", "status"),
    [("GET", 200), ("HEAD", 200), ("POST", 405), ("get", 405), ("PROPFIND", 405), ("", 405)],
)
async def test_methods_are_case_sensitive(method: str, status: int) -> None:
    router = APIRouter()
    router.add_route("/", handler(), methods=["get"])
    log = await get(router, "/", method)
    assert log.status == status
    assert log.header("allow") == (None if status == 200 else "GET, HEAD")
    assert (await get(router, "/x", method)).status == 404


async def test_allow_is_the_sorted_union_over_all_that_fit() -> None:
    inner = APIRouter()
    inner.delete("/{x}")(handler())
    router = APIRouter()
    router.put("/{y}")(handler())
    router.include_router(inner)
    router.websocket("/{z}")(refuser("ws"))
    router.get("/{n:int}")(handler())
    log = await get(router, "/abc", "POST")
    assert (log.status, log.header("allow"), log.body) == (405, "DELETE, PUT", b"Method Not Allowed")
    assert (await get(router, "/1", "POST")).header("allow") == "DELETE, GET, HEAD, PUT"


@enforces("HTTP-RESP-12")
async def test_head_gets_the_headers_of_get_and_no_body() -> None:
    router = APIRouter()
    router.get("/")(handler("x"))
    got, head = await get(router, "/"), await get(router, "/", "HEAD")
    assert head.headers == got.headers
    assert (head.body, got.body != b"") == (b"", True)


async def test_head_of_its_own_counts_where_it_comes_before_get() -> None:
    router = APIRouter()

    @router.head("/")
    async def own(request: Request) -> Any:
        raise HTTPException(418)

    router.get("/")(handler())
    assert (await play(router, http_scope("GET"))).status == 200
    log = await play(router, http_scope("HEAD"))
    assert isinstance(log.raised, HTTPException)
    assert log.sent == []


@pytest.mark.parametrize("method", ["get", "head", "post", "put", "patch", "delete", "options"])
async def test_each_method_has_its_decorator(method: str) -> None:
    async def endpoint() -> str:
        return "here"

    for target in (APIRouter(), FastASGI()):
        assert getattr(target, method)("/x", name="n")(endpoint) is endpoint
        assert target.url_for("n") == "/x"
        assert (await get(target, "/x", method.upper())).status == 200
        other = await get(target, "/x", "TRACE")
        assert other.header("allow") == ("GET, HEAD" if method == "get" else method.upper())


@enforces("HTTP-SCOPE-02")
async def test_a_parameter_of_the_path_is_not_decoded_again() -> None:
    router = APIRouter()
    router.get("/{x}")(handler())
    log = await get(router, "/a%20b+c")
    assert json.loads(log.body)["params"] == {"x": "a%20b+c"}


@pytest.mark.parametrize("path", ["//a", "/a//", "/a\n", "/A", "a", "", "/./a", "*"])
async def test_no_slash_or_letter_is_forgiven(path: str) -> None:
    router = APIRouter(redirect_slashes=False)
    router.get("/a")(handler())
    assert (await get(router, path)).status == 404


async def test_a_route_without_a_path_answers_the_prefix_itself() -> None:
    router = APIRouter("/items")
    router.get("")(handler("all"))
    assert (await get(router, "/items")).status == 200
    assert (await get(router, "/items/")).header("location") == "/items"
    assert (await get(router, "/api/items", root_path="/api")).status == 200


@enforces("APP-SCOPE-02", "APP-SCOPE-03")
@pytest.mark.parametrize("scope", [lifespan_scope(), {"type": "mqtt.5"}, http_scope(type="HTTP")])
async def test_connections_of_other_kinds_are_refused_by_raising(scope: dict[str, Any]) -> None:
    router = APIRouter()
    router.get("/")(handler())
    log = await play(router, scope)
    assert isinstance(log.raised, RuntimeError)
    assert (log.sent, log.received) == ([], 0)


# ----------------------------------------------------------------------------------------------------------------
# What fits nothing


async def test_a_bare_router_answers_by_itself() -> None:
    log = await get(APIRouter(), "/")
    assert (log.status, log.body) == (404, b"Not Found")
    assert log.header("content-type") == "text/plain; charset=utf-8"


@pytest.mark.parametrize(("method", "status", "allow"), [("GET", 404, None), ("POST", 405, {"allow": "PUT"})])
async def test_inside_an_application_it_raises(method: str, status: int, allow: Any) -> None:
    router = APIRouter()
    router.put("/there")(handler())
    log = await play(router, http_scope(method, "/there" if allow else "/x", **{"fastasgi.app": object()}))
    assert isinstance(log.raised, HTTPException)
    assert (log.raised.status_code, log.raised.headers, log.sent) == (status, allow, [])


@enforces("WS-404-01", "WS-CONN-01", "WS-CLOSE-01")
@pytest.mark.parametrize("keys", [{}, {"fastasgi.app": object()}])
async def test_a_websocket_to_nowhere_is_closed_before_accept(keys: dict[str, Any]) -> None:
    router = APIRouter()
    router.get("/page")(handler())
    for path in ("/page", "/page/", "/nowhere"):
        log = await connect(router, path, **keys)
        assert log.types == ["websocket.close"]
        assert log.received == 1


@enforces("WS-CONN-02")
async def test_a_websocket_to_nowhere_that_has_gone_gets_nothing() -> None:
    log = await play(APIRouter(), websocket_scope(), [{"type": "websocket.disconnect", "code": 1006}])
    assert (log.raised, log.sent) == (None, [])


async def test_a_path_for_websockets_only_is_no_405() -> None:
    router = APIRouter()
    router.websocket("/chat")(refuser("chat"))
    for path in ("/chat", "/chat/"):
        assert (await get(router, path)).status == 404


@pytest.mark.parametrize(
    ("route", "path", "location"),
    [
        ("/a", "/a/", "/a"),
        ("/a/", "/a", "/a/"),
        ("/a/{x}", "/a/b/", "/a/b"),
        ("/a/{x}/", "/a/é:@?#", "/a/%C3%A9:@%3F%23/"),
        ("/a/{x}/", "/a/%41", "/a/%2541/"),
        ("/a/{x}/", "/a/\ud800", "/a/%ED%A0%80/"),
        ("/{x:path}/", "//evil.example", "/evil.example/"),
        ("/{x:path}/", "///evil.example/a", "/evil.example/a/"),
        ("/{x:path}/x/", "//evil.example/x", "/evil.example/x/"),
        ("/{x}/", "/\\evil.example", "/%5Cevil.example/"),
        ("/{x}/", "/\r\nset-cookie: a", "/%0D%0Aset-cookie:%20a/"),
        ("/", "", "/"),
    ],
)
async def test_the_other_form_of_a_path_is_redirected_to(route: str, path: str, location: str) -> None:
    router = APIRouter()
    router.get(route)(handler())
    for method in ("GET", "HEAD", "POST"):
        log = await get(router, path, method)
        assert (log.status, log.header("location"), log.body) == (307, location, b"")


@pytest.mark.parametrize(
    ("query", "location"),
    [
        (b"", "/a"),
        (b"x=1&y=%20+%2B&z", "/a?x=1&y=%20+%2B&z"),
        (b"x[]=1;y=/:@!$'()*,?", "/a?x[]=1;y=/:@!$'()*,?"),
        (b"\xc3\xa9=\xe9", "/a?%C3%A9=%E9"),
        (b'x#y\r\n "<>', "/a?x%23y%0D%0A%20%22%3C%3E"),
        (b"//evil.example", "/a?//evil.example"),
        (None, "/a"),
    ],
)
async def test_a_redirect_keeps_the_query(query: bytes | None, location: str) -> None:
    router = APIRouter()
    router.get("/a")(handler())
    assert (await get(router, "/a/", query_string=query)).header("location") == location


@given(path=st.text("/\\a.:@é\t", max_size=8), query=st.binary(max_size=6))
@example(path="//evil.example/", query=b"")
async def test_a_redirect_never_leaves_the_server(path: str, query: bytes) -> None:
    router = APIRouter()
    for template in ("/{x:path}/a", "/{x:path}/.", "/é/{x:path}/"):
        router.get(template)(handler())
    log = await get(router, "/" + path, query_string=query)
    location = log.header("location") or "/"
    assert location.isascii()
    assert location.startswith("/")
    assert not location.startswith(("//", "/\\"))


async def test_the_other_form_counts_by_its_path_alone() -> None:
    router = APIRouter()
    router.post("/a/")(handler())
    log = await get(router, "/a")
    assert (log.status, log.header("location")) == (307, "/a/")
    assert (await get(router, "/a/")).status == 405


async def test_what_is_there_for_another_method_is_not_redirected() -> None:
    router = APIRouter()
    router.post("/a")(handler())
    router.get("/a/")(handler())
    assert (await get(router, "/a")).status == 405


async def test_redirects_can_be_switched_off() -> None:
    router = APIRouter(redirect_slashes=False)
    router.get("/a")(handler())
    assert (await get(router, "/a/")).status == 404
    assert (await get(FastASGI(router=router), "/a/")).status == 404


@enforces("HTTP-SCOPE-06")
async def test_a_redirect_holds_the_root_path_once() -> None:
    router = APIRouter()
    router.get("/")(handler())
    router.get("/a")(handler())
    router.get("")(handler())
    assert (await get(router, "/api/a/", root_path="/api")).header("location") == "/api/a"
    only = APIRouter()
    only.get("/")(handler())
    assert (await get(only, "/api", root_path="/api")).header("location") == "/api/"
    assert (await get(router, "/api", root_path="/api")).status == 200


async def test_where_there_is_no_path_left_nothing_is_redirected_to() -> None:
    router = APIRouter()
    router.get("")(handler())
    assert (await get(router, "/")).status == 404


# ----------------------------------------------------------------------------------------------------------------
# root_path


@enforces("HTTP-SCOPE-06", "HTTP-SCOPE-07")
@pytest.mark.parametrize(
    ("root", "path", "found"),
    [
        ("", "/x", True),
        ("/", "/x", True),
        ("/api", "/api/x", True),
        ("/api/", "/api/x", True),
        ("/api", "/x", True),
        ("/api", "/apix", False),
        ("/ap", "/api/x", False),
        ("/a.b", "/aXb/x", False),
        ("/a.b", "/a.b/x", True),
        ("/api", "/api/api/x", False),
        (..., "/x", True),
        (None, "/x", True),
    ],
)
async def test_a_route_stands_below_the_root_path(root: Any, path: str, found: bool) -> None:
    router = APIRouter()
    router.get("/x")(handler())
    router.websocket("/x")(refuser("ws"))
    assert (await get(router, path, root_path=root)).status == (200 if found else 404)
    assert (await connect(router, path, root_path=root)).sent[0]["code"] == (4000 if found else 1000)


# ----------------------------------------------------------------------------------------------------------------
# Mounts


@enforces("HTTP-SCOPE-08", "APP-MW-01")
@pytest.mark.parametrize(
    ("root", "path", "expected"),
    [
        ("", "/m", "/m"),
        ("", "/m/", "/m"),
        ("", "/m/x", "/m"),
        ("", "/m//x/", "/m"),
        ("", "/m/m/x", "/m"),
        ("/api", "/api/m/x", "/api/m"),
        ("/api/", "/api/m", "/api/m"),
    ],
)
async def test_a_mount_grows_the_root_path_and_leaves_the_path(root: str, path: str, expected: str) -> None:
    echo = Echo()
    router = APIRouter()
    router.mount("/m", echo)
    scope = http_scope(path=path, root_path=root)
    before = dict(scope)
    log = await play(router, scope)
    told = json.loads(log.body)
    assert (told["root"], told["path"], told["params"]) == (expected, path, {})
    assert scope == before
    assert echo.scopes[0].keys() == before.keys() | {"path_params", "fastasgi.root_path"}
    assert echo.scopes[0]["fastasgi.root_path"] == root


@enforces("HTTP-SCOPE-06")
@pytest.mark.parametrize("path", ["/shelf/books/", "/books/"])
async def test_a_redirect_keeps_a_root_path_that_the_server_has_left_out(path: str) -> None:
    router = APIRouter()
    router.add_route("/books", handler())
    assert (await play(router, http_scope(path=path, root_path="/shelf"))).header(
        "location"
    ) == "/shelf/books"


def test_the_path_below_a_mount_may_be_written_with_its_slash() -> None:
    router = APIRouter()
    router.mount("/static", Echo(), name="static")
    assert router.url_for("static", path="/css/a.css") == router.url_for("static", path="css/a.css")
    with pytest.raises(ValueError, match="static"):
        router.url_for("static")


@pytest.mark.parametrize(
    ("root", "path"), [("/api", "/m/x"), ("/foo", "/m/x"), ("/m", "/mm/x"), (None, "/m/x")]
)
async def test_a_path_without_its_root_path_gets_it_back_below_a_mount(root: Any, path: str) -> None:
    router, inner = APIRouter(), APIRouter()
    router.mount("/m", inner)
    router.mount("/mm", inner)
    inner.get("/x")(handler("inner"))
    assert json.loads((await get(router, path, root_path=root)).body)["tag"] == "inner"


async def test_a_mount_takes_whole_segments_only() -> None:
    router = APIRouter(redirect_slashes=False)
    router.mount("/m", Echo())
    for path in ("/mx", "/", "/x/m", "/M"):
        assert (await get(router, path)).status == 404


@pytest.mark.parametrize("path", ["", "/"])
async def test_a_mount_at_the_root_takes_everything_that_is_left(path: str) -> None:
    router = APIRouter()
    router.get("/own")(handler("own"))
    router.mount(path, Echo("mounted"))
    assert json.loads((await get(router, "/own")).body)["tag"] == "own"
    for each in ("/", "/x", "/own/", "//"):
        told = json.loads((await get(router, each)).body)
        assert (told["tag"], told["root"], told["path"]) == ("mounted", "", each)
    assert json.loads((await get(router, "/api", root_path="/api")).body)["root"] == "/api"


@enforces("HTTP-SCOPE-08")
async def test_mounts_in_mounts_add_up_and_keep_their_parameters() -> None:
    outer, middle = APIRouter(), APIRouter()
    outer.mount("/{a}/o", middle)
    middle.mount("/m/{b:int}", Echo())
    told = json.loads((await get(outer, "/r/x/o/m/7/rest", root_path="/r")).body)
    assert (told["root"], told["path"], told["params"]) == (
        "/r/x/o/m/7",
        "/r/x/o/m/7/rest",
        {"a": "x", "b": "7"},
    )


async def test_a_mount_serves_every_method_and_the_websocket() -> None:
    router = APIRouter()
    router.add_route("/m/{x}", handler("own"), methods=["DELETE"])
    router.mount("/m", Echo("mounted"))
    for method in ("GET", "HEAD", "PURGE"):
        assert json.loads((await get(router, "/m/x", method)).body)["tag"] == "mounted"
    assert json.loads((await get(router, "/m/x", "DELETE")).body)["tag"] == "own"
    assert (await connect(router, "/m/x")).sent[0]["reason"] == "mounted"


async def test_a_mount_stands_at_its_place() -> None:
    router = APIRouter()
    router.mount("/m", Echo("mounted"))
    router.get("/m/late")(handler("late"))
    router.get("/m/urgent", priority=1)(handler("urgent"))
    assert json.loads((await get(router, "/m/late")).body)["tag"] == "mounted"
    assert json.loads((await get(router, "/m/urgent")).body)["tag"] == "urgent"


async def test_a_mounted_router_raises_its_404_to_the_application() -> None:
    app, inner = FastASGI(), APIRouter()
    app.mount("/m", inner)
    inner.get("/x")(handler())
    inner.get("/")(handler("root"))

    @app.exception_handler(404)
    async def missing(request: Request, error: HTTPException) -> str:
        return "the application's 404"

    assert (await get(app, "/m/y")).body == b"the application's 404"
    assert (await get(app, "/m/x/")).header("location") == "/m/x"
    assert (await get(app, "/m")).header("location") == "/m/"


def test_a_route_tells_what_it_is() -> None:
    echo = Echo()
    mount, route = (
        Mount("/m", echo, name="n"),
        HTTPRoute("/{a}", handler(), methods=["put"], name="r", priority=3),
    )
    assert (mount.app, mount.name, mount.templates) == (echo, "n", ("/m", "/m/{path:path}"))
    assert (route.name, route.templates, route.methods, route.priority) == ("r", ("/{a}",), {"PUT"}, 3)
    assert (mount.kinds, route.kinds) == ({"http", "websocket"}, {"http"})
    mount.check()


# ----------------------------------------------------------------------------------------------------------------
# Included routers


@given(data=st.data())
async def test_a_router_is_included_live_and_as_often_as_one_likes(data: st.DataObject) -> None:
    leaf, middle, root = APIRouter("/leaf"), APIRouter("/{m}"), APIRouter("/all")
    steps = [
        lambda: middle.include_router(leaf, "/in/{p:int}"),
        lambda: root.include_router(middle, "/one", name="one"),
        lambda: root.include_router(middle, "/two", name="two"),
        lambda: leaf.add_route("/{x}", handler("leaf"), name="page"),
    ]
    for step in data.draw(st.permutations(steps)):
        step()
        await get(root, "/all/one/a/in/1/leaf/b")
    for name in ("one", "two"):
        path = f"/all/{name}/a/in/1/leaf/b"
        log = await get(root, path)
        assert json.loads(log.body)["params"] == {"m": "a", "p": "1", "x": "b"}
        assert root.url_for(f"{name}:page", m="a", p=1, x="b") == path
    with pytest.raises(ValueError, match="no route is called 'page'"):
        root.url_for("page", m="a", p=1, x="b")


def test_a_router_is_not_included_in_itself() -> None:
    a, b, c = APIRouter(), APIRouter(), APIRouter()
    a.include_router(b)
    b.include_router(c)
    for outer, inner in ((a, a), (c, a), (b, a), (c, b)):
        with pytest.raises(ValueError, match="a router cannot include itself"):
            outer.include_router(inner)
    a.include_router(c)
    assert a.routes == ()


def test_an_included_router_keeps_nobody_alive() -> None:
    inner, outer = APIRouter(), APIRouter()
    outer.include_router(inner)
    watched = weakref.ref(outer)
    del outer
    gc.collect()
    assert watched() is None
    inner.get("/{x}")(handler())


def test_a_route_that_cannot_work_in_one_of_its_places_is_not_added() -> None:
    inner, middle, app = APIRouter(), APIRouter(), FastASGI()
    middle.include_router(inner, "/{a}")
    app.include_router(middle, "/{b}")

    async def needs(a: str, b: str, c: str) -> None:
        pass

    with pytest.raises(
        ValueError, match=r"needs needs c, but the path '/\{b\}/\{a\}/x' has no such parameter"
    ):
        inner.get("/x")(needs)
    with pytest.raises(ValueError, match="two parameters are called 'b'"):
        inner.get("/{b}")(handler())
    with pytest.raises(ValueError, match="needs c"):
        inner.websocket("/x")(needs)
    assert (inner.routes, middle.routes, app.router.routes) == ((), (), ())
    inner.get("/{c}")(needs)
    assert [route.template for route in app.router.routes] == ["/{b}/{a}/{c}"]


def test_a_router_that_cannot_work_in_its_place_is_not_included() -> None:
    inner, app = APIRouter(), FastASGI()

    async def needs(a: str) -> None:
        pass

    inner.get("/x")(needs)
    with pytest.raises(ValueError, match="needs a"):
        app.include_router(inner, "/{b}")
    with pytest.raises(ValueError, match="needs a"):
        FastASGI(router=inner)
    assert app.router.routes == ()
    inner.get("/{b}")(
        handler()
    )  # nothing is left of the failed inclusion, under whose prefix this would be wrong
    app.include_router(inner, "/{a}")
    assert len(app.router.routes) == 2


async def test_a_bare_router_finds_out_at_the_first_event_what_nobody_can_fill() -> None:
    router = APIRouter()

    async def needs(a: str, b: str = "") -> str:
        return a

    router.get("/x")(needs)
    for scope in (http_scope(), websocket_scope()):
        log = await play(router, scope)
        assert isinstance(log.raised, ValueError)
        assert log.sent == []
    outer = APIRouter()
    outer.include_router(router, "/{a}")
    assert (await get(outer, "/hello/x")).body == b"hello"


# ----------------------------------------------------------------------------------------------------------------
# Converters


async def test_converters_are_handed_on_to_each_route() -> None:
    inner = APIRouter("/{a:hex}", converters={"hex": HEX})
    inner.get("/{b:hex}")(handler("inner"))
    inner.mount("/m/{c:hex}", Echo("mounted"))
    inner.websocket("/w/{d:hex}")(refuser("ws"))
    outer = APIRouter(converters={"hex": HEX, "HEX": HEX})
    outer.include_router(inner, "/{e:HEX}")
    assert json.loads((await get(outer, "/e/a/b")).body)["params"] == {"e": "14", "a": "10", "b": "11"}
    assert json.loads((await get(outer, "/e/a/m/c/rest")).body)["root"] == "/e/a/m/c"
    assert json.loads((await connect(outer, "/e/a/w/d")).sent[0]["reason"])["params"]["d"] == "13"
    assert outer.url_for("endpoint", e=1, a=2, b=255) == "/1/2/ff"
    app = FastASGI(converters={"hex": HEX})
    app.get("/{a:hex}")(handler())
    assert json.loads((await get(app, "/ff")).body)["params"] == {"a": "255"}


def test_a_converter_means_one_thing_in_a_path() -> None:
    inner = APIRouter(converters={"hex": HEX})
    outer = APIRouter(converters={"hex": Converter("[0-9]", int, str)})
    outer.include_router(inner)
    with pytest.raises(ValueError, match="converter 'hex' means one thing in a prefix and another below it"):
        inner.get("/{a:hex}")(handler())
    assert inner.routes == ()


def test_a_routers_converters_are_its_own() -> None:
    known = {"hex": HEX}
    router = APIRouter(converters=known)
    known.clear()
    router.get("/{a:hex}")(handler())
    with pytest.raises(ValueError, match="no converter 'hex'"):
        APIRouter().get("/{a:hex}")(handler())


# ----------------------------------------------------------------------------------------------------------------
# url_for


def test_the_first_of_a_name_that_takes_the_parameters_is_written() -> None:
    router = APIRouter()
    router.add_route("/all", handler(), name="items")
    router.add_route("/{n:int}", handler(), name="items")
    router.add_route("/{n}", handler(), name="items")
    assert router.url_for("items") == "/all"
    assert router.url_for("items", n=1) == "/1"
    assert router.url_for("items", n="x") == "/x"
    with pytest.raises(ValueError, match=r"'/all' was given values for n.*; '/\{n:int\}' cannot.*; '/\{n\}'"):
        router.url_for("items", n="")


def test_a_parameter_may_be_called_name_or_self() -> None:
    router = APIRouter()
    router.add_route("/{name}/{self}", handler(), name="page")
    router.mount("/m", router, name="again")
    assert router.url_for("page", name="a b", self="c/d".partition("/")[0]) == "/a%20b/c"


def test_a_name_that_nobody_has_is_an_error() -> None:
    router = APIRouter()
    router.mount("/m", Echo())
    router.mount("/n", APIRouter(), name="n")
    for name in ("x", "n:x", "m", ""):
        with pytest.raises(ValueError, match="no route is called"):
            router.url_for(name)


def test_a_mount_writes_paths_of_its_application() -> None:
    router, child, grandchild = APIRouter(), FastASGI(), APIRouter()
    router.mount("/{tenant}/c", child, name="child")
    router.mount("/plain", grandchild)
    router.mount("/files", Echo(), name="files")
    child.get("/{path:path}", name="file")(handler())
    child.mount("/g", grandchild, name="g")
    grandchild.get("/{x}", name="leaf")(handler())
    assert router.url_for("child:file", tenant="a", path="b/c") == "/a/c/b/c"
    assert router.url_for("child:g:leaf", tenant="a b", x="ü") == "/a%20b/c/g/%C3%BC"
    assert router.url_for("leaf", x="1") == "/plain/1"
    assert router.url_for("files", path="css/a b.css") == "/files/css/a%20b.css"
    assert router.url_for("child", tenant="a", path="") == "/a/c/"
    for name, params in {
        "child:file": {"path": "b"},
        "child:leaf": {"tenant": "a", "x": "1"},
        "files": {},
        "files:x": {},
        "leaf": {"x": ""},
    }.items():
        with pytest.raises(ValueError, match=r"given values for|no route is called|cannot be written"):
            router.url_for(name, **params)


def test_a_mount_in_a_named_router_is_called_as_its_routes_are() -> None:
    outer, inner, child = APIRouter(), APIRouter(), APIRouter()
    child.get("/x", name="page")(handler())
    inner.mount("/unnamed", child)
    inner.mount("/named", child, name="child")
    outer.include_router(inner, name="api")
    assert outer.url_for("api:page") == "/unnamed/x"
    assert outer.url_for("api:child:page") == "/named/x"


async def test_a_request_knows_the_url_of_a_route_wherever_it_stands() -> None:
    app, child = FastASGI(), FastASGI()

    async def link(request: Request) -> str:
        return str(request.url_for("link"))

    app.get("/link")(link)
    child.get("/link")(link)
    app.mount("/c", child)
    assert (await get(app, "/api/link", root_path="/api")).body == b"http://testserver/api/link"
    assert (await get(app, "/api/c/link", root_path="/api")).body == b"http://testserver/api/c/link"


# ----------------------------------------------------------------------------------------------------------------
# What is wrong is said when it is added


async def nothing() -> None:
    pass


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda router: router.get("x")(nothing), "'x' does not begin with a slash: write '/x'"),
        (lambda router: router.websocket("x")(nothing), "does not begin with a slash"),
        (lambda router: router.mount("x", Echo()), "does not begin with a slash"),
        (lambda router: router.include_router(APIRouter(), "x"), "does not begin with a slash"),
        (lambda router: router.include_router(APIRouter(), "/x/"), "'/x/' ends in a slash"),
        (lambda router: router.include_router(APIRouter(), "/"), "ends in a slash"),
        (lambda router: APIRouter("/x/"), "ends in a slash"),
        (lambda router: APIRouter("x"), "does not begin with a slash"),
        (lambda router: router.get("/{x")(nothing), "a brace stands alone"),
        (lambda router: router.mount("/{x}/{x}", Echo()), "two parameters are called 'x'"),
        (lambda router: router.mount("/{path}", Echo()), "two parameters are called 'path'"),
        (lambda router: router.mount("/x", None), "None cannot be called: mount an ASGI application"),
        (lambda router: router.get("/{x:hex}")(nothing), "no converter 'hex'"),
        (lambda router: router.get("/")(object()), "cannot be called"),
        (lambda router: router.websocket("/")(None), "cannot be called"),
        (lambda router: router.add_route("/", nothing, methods="GET"), r"write methods=\['GET'\]"),
        (lambda router: router.add_route("/", nothing, methods=[]), "a route without methods"),
        (lambda router: router.add_route("/", nothing, methods=["GET", "A B"]), "'A B' is no method"),
        (lambda router: router.add_route("/", nothing, methods=["A\r\nx: y"]), "is no method"),
        (lambda router: router.add_route("/", nothing, methods=[""]), "'' is no method"),
        (lambda router: router.add_route("/", nothing, methods=["\u00df"]), "is no method"),
    ],
)
def test_what_cannot_work_is_refused_and_changes_nothing(
    wrong: Callable[[APIRouter], Any], words: str
) -> None:
    router = APIRouter()
    with pytest.raises(ValueError, match=words):
        wrong(router)
    assert router.routes == ()


async def test_methods_may_come_from_anything_that_gives_them() -> None:
    router = APIRouter()
    router.route("/", methods=(method for method in ["get", "purge"]))(handler())
    assert (await get(router, "/", "PURGE")).status == 200
    assert (await get(router, "/", "POST")).header("allow") == "GET, HEAD, PURGE"


def test_a_route_is_called_as_its_function_is() -> None:
    class Callable_:  # noqa: N801 - the name shows
        async def __call__(self) -> None:
            pass

    router = APIRouter()
    router.get("/a")(nothing)
    router.get("/b")(Callable_())
    router.get("/c", name="")(nothing)
    assert [route.name for route in router.routes] == ["nothing", "Callable_", ""]


# ----------------------------------------------------------------------------------------------------------------
# Answering


@enforces("APP-CALL-02", "APP-SCOPE-07")
async def test_what_a_handler_returns_is_the_response() -> None:
    router = APIRouter()

    @router.get("/{a}/{b:int}")
    def plain(b: int, a: str) -> list[Any]:
        return [a, b]

    assert (await get(router, "/x/7")).body == b'["x",7]'


async def test_a_form_that_a_handler_has_read_is_closed_whatever_happens() -> None:
    files = []
    router = APIRouter()

    @router.post("/{fails:int}")
    async def upload(request: Request, fails: int) -> str:
        form = await request.form()
        files.append(form["file"])
        if fails:
            raise LookupError
        return "done"

    body = b'--b\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\ncontent\r\n--b--\r\n'
    for fails in (0, 1):
        scope = http_scope(
            "POST", f"/{fails}", headers=[(b"content-type", b"multipart/form-data; boundary=b")]
        )
        await play(router, scope, body_events(body))
    assert len(files) == 2
    assert all(file.file.closed for file in files)


async def test_whoever_watches_from_outside_learns_the_template() -> None:
    router, inner, child = APIRouter(), APIRouter(), APIRouter()
    child.get("/{x}")(handler())
    inner.get("/{y}")(handler())
    router.include_router(inner, "/i")
    router.mount("/m/{z}", child)
    for path, template in (
        ("/i/1", "/i/{y}"),
        ("/m/1/2", "/m/{z}/{x}"),
        ("/m/1/2/3", "/m/{z}/{path:path}"),
        ("/none", None),
    ):
        trace: dict[str, str] = {}
        await get(router, path, **{"fastasgi.trace": trace})
        assert trace.get("route") == template


@enforces("APP-MW-01")
async def test_the_callers_scope_stays_as_it_was() -> None:
    router = APIRouter()
    router.get("/{x}")(handler())
    scope = http_scope(path="/a", path_params={"outer": 1})
    before = {**scope, "path_params": {"outer": 1}}
    log = await play(router, scope)
    assert json.loads(log.body)["params"] == {"outer": "1", "x": "a"}
    assert scope == before
