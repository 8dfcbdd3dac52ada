"""The radix router against the plain one: the same routes, in the same order, for any table and any path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastasgi_reference.applications import FastASGI
from fastasgi_reference.paths import Converter
from fastasgi_reference.radix import RadixRouter
from fastasgi_reference.routing import APIRouter
from tests.reference.conversation import http_scope, play

ACROSS = Converter("[a-z]+(?:/[a-z]+)*", str, str)
"""A kind of parameter whose text may hold slashes."""
PIECES = st.sampled_from(
    [
        "a",
        "ab",
        "b",
        "{}",
        "{:str}",
        "{:int}",
        "{:float}",
        "{:uuid}",
        "{:path}",
        "{:across}",
        "/",
        "/",
        "-",
        ".",
    ]
)
PATHS = st.lists(
    st.sampled_from(["a", "ab", "b", "abc", "1", "12", "1.5", "/", "/", "-", ".", "\n"]), max_size=7
).map(lambda parts: "/" + "".join(parts))


@st.composite
def templates(draw: st.DrawFn) -> str:
    """A path template: literals and parameters of all kinds, anywhere."""
    pieces = draw(st.lists(PIECES, max_size=5))
    named = [piece.replace("{", f"{{p{place}") for place, piece in enumerate(pieces)]
    return "/" + "".join(named)


Line = tuple[str, str, int]
"""How a route is added: as a route, a mount or in an included router; its template; its priority."""
TABLES = st.lists(
    st.tuples(st.sampled_from(["route", "mount", "included"]), templates(), st.integers(-1, 1)), max_size=8
)


def filled(make: Callable[..., APIRouter], table: list[Line]) -> APIRouter:
    router = make(converters={"across": ACROSS})
    for kind, template, priority in table:
        if kind == "route":
            router.add_route(template, answer, priority=priority)
        elif kind == "mount":
            router.mount(template, application)
        else:
            inner = APIRouter(converters={"across": ACROSS})
            inner.add_route(template, answer)
            router.include_router(inner, "/a")
    return router


async def answer() -> str:
    return "here"


async def application(scope: Any, receive: Any, send: Any) -> None:
    """What is mounted: never called here."""


@given(table=TABLES, path=PATHS)
@example(table=[("mount", "/a", 0), ("route", "/{p1}", 0)], path="/a")
@example(table=[("route", "/{p1:across}/b", 0)], path="/a/ab/b")
@example(table=[("route", "/{p1:path}", 0), ("route", "/a{p1:path}", 1)], path="/ab/a")
@example(table=[("route", "/a-{p1}", 0), ("route", "/a{p1}{p2:int}", 0)], path="/a-12")
@example(table=[("route", "/a/", 0), ("route", "/a", 0)], path="/a/")
def test_it_finds_what_the_plain_router_finds(table: list[Line], path: str) -> None:
    plain, radix = filled(APIRouter, table), filled(RadixRouter, table)
    expected = [(route.template, params) for route, params in plain.lookup(path)]
    assert [(route.template, params) for route, params in radix.lookup(path)] == expected


def test_routes_that_are_added_after_a_lookup_count() -> None:
    router, inner = RadixRouter(), APIRouter()
    router.include_router(inner, "/inner")
    assert list(router.lookup("/inner/a")) == []
    inner.add_route("/a", answer)
    assert [route.template for route, _ in router.lookup("/inner/a")] == ["/inner/a"]


@pytest.mark.parametrize("place", [0, 500, 999])
def test_a_route_is_found_without_trying_the_others(place: int) -> None:
    router = RadixRouter()
    for number in range(1000):
        router.add_route(f"/r{number}/{{number:int}}", answer)
    tried = []
    for route in router.routes:
        route.match = counting(route.match, tried)  # type: ignore[method-assign]
    assert [params for _, params in router.lookup(f"/r{place}/7")] == [{"number": 7}]
    assert tried == [f"/r{place}/7"]


def counting(match: Any, tried: list[str]) -> Any:
    def noting(path: str) -> Any:
        tried.append(path)
        return match(path)

    return noting


async def test_an_application_stands_on_it() -> None:
    app = FastASGI(router=RadixRouter())
    app.add_route("/a/{word}", answer)
    assert (await play(app, http_scope(path="/a/b"))).body == b"here"
    assert (await play(app, http_scope("POST", path="/a/b"))).status == 405
    assert (await play(app, http_scope(path="/b"))).status == 404
    assert (await play(app, http_scope(path="/a/b/"))).header("location") == "/a/b"
