"""What holds of the example application, whoever runs it: checks by an HTTP client, one conversation each.

Rule 1: a check gets a client, with the application's base URL, and nothing else; it fails by an assertion.
Rule 2: a check leaves nothing behind that another one would stumble over: they run in any order, on one server.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, TypeAlias

import httpx
import pytest

from tests.reference.rules import enforces

Check: TypeAlias = Callable[[httpx.AsyncClient], Awaitable[None]]
PICTURE = b"\x89PNG\r\n\x1a\n" + hashlib.shake_256(b"a cover").digest(3 * 1024 * 1024)
"""It is larger than what is kept in memory of a form, and than what a socket takes at once."""


def each_of(checks: Iterable[Callable[..., Any]]) -> pytest.MarkDecorator:
    """A test with the parameter `check` is run for each of these, by its name and with its marks."""
    return pytest.mark.parametrize(
        "check",
        [pytest.param(check, marks=getattr(check, "pytestmark", ()), id=check.__name__) for check in checks],
    )


def book(title: str = "Flatland", author: str = "Edwin Abbott", year: int = 1884) -> dict[str, Any]:
    """A book as JSON has it."""
    return {"title": title, "author": author, "year": year}


async def add(client: httpx.AsyncClient, **fields: Any) -> str:
    """Put a book in; gives its URL."""
    response = await client.post("/books", json=book(**fields))
    assert response.status_code == 201, response.text
    return response.headers["location"]


async def log_in(client: httpx.AsyncClient, name: str) -> httpx.Response:
    """Log in as `name`; the client keeps the cookie."""
    return await client.post("/login", data={"name": name})


async def a_book_is_added_shown_replaced_and_removed(client: httpx.AsyncClient) -> None:
    url = await add(client)
    number = int(url.removeprefix(str(client.base_url.join("/books/"))))
    shown = await client.get(url)
    assert (shown.status_code, shown.headers["content-type"]) == (200, "application/json")
    assert shown.json() == {**book(), "url": url}
    assert shown.json() in (await client.get("/books")).json()
    replaced = await client.put(url, json=book(year=1952))
    assert replaced.json()["year"] == 1952
    removed = await client.delete(url)
    assert (removed.status_code, removed.content) == (204, b"")
    assert "content-length" not in removed.headers
    again = await client.delete(url)
    assert (again.status_code, again.json()) == (404, {"error": f"there is no book {number}"})


async def what_is_no_book_is_refused_with_all_that_is_wrong(client: httpx.AsyncClient) -> None:
    response = await client.post("/books", json={"title": 5, "year": "MDCCCLXXXIV"})
    assert response.status_code == 422
    assert set(response.json()["problems"]) == {"title", "author", "year"}
    half_a_pair = b'{"title": "\\ud83d", "author": "A", "year": 1}'
    response = await client.post("/books", content=half_a_pair)
    assert (response.status_code, set(response.json()["problems"])) == (422, {"title"})
    response = await client.post(
        "/books", content=b'{"title": ', headers={"content-type": "application/json"}
    )
    assert (response.status_code, response.headers["content-type"]) == (400, "text/plain; charset=utf-8")


async def an_unknown_path_is_404_and_an_unknown_method_405(client: httpx.AsyncClient) -> None:
    assert (await client.get("/nowhere")).status_code == 404
    response = await client.patch("/books")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD, POST")


async def a_slash_too_many_is_redirected_with_the_query(client: httpx.AsyncClient) -> None:
    response = await client.get("/books/?author=a%20b")
    assert (response.status_code, response.headers["location"]) == (307, "/books?author=a%20b")


@enforces("HTTP-SCOPE-02", "HTTP-SCOPE-04")
async def paths_and_queries_may_hold_any_text(client: httpx.AsyncClient) -> None:
    author = "Ærøskøbing & Søn; 東京/+%20\N{GRINNING FACE}"
    url = await add(client, author=author)
    found = (await client.get("/books", params={"author": author})).json()
    assert url in [each["url"] for each in found]
    assert {each["author"] for each in found} == {author}
    assert (await client.get("/books/%30")).status_code == 404
    assert (await client.get("/b%6Foks")).status_code == 200
    assert (await client.get("/books%2F1")).status_code in (200, 404)
    missing = await client.get("/pages/%F0%9F%98%80.txt")
    assert missing.status_code == 404


@enforces("HTTP-RESP-12")
async def head_has_the_headers_of_get_and_no_body(client: httpx.AsyncClient) -> None:
    for path in ("/rules", "/books", "/pages/style.css"):
        plain = {"accept-encoding": "identity"}
        get, head = await client.get(path, headers=plain), await client.head(path, headers=plain)
        assert head.status_code == get.status_code == 200
        assert head.content == b""
        varying = {"date", "x-request-id"}
        assert {k: v for k, v in head.headers.items() if k not in varying} == {
            k: v for k, v in get.headers.items() if k not in varying
        }


async def a_reader_logs_in_by_a_form_and_out_again(client: httpx.AsyncClient) -> None:
    stranger = await client.get("/me")
    assert (stranger.status_code, stranger.headers["www-authenticate"]) == (401, "Cookie")
    response = await log_in(client, "Ada & Søn")
    assert (response.status_code, response.headers["location"]) == (303, str(client.base_url.join("/me")))
    assert "httponly" in response.headers["set-cookie"].lower()
    assert (await client.get("/me")).json() == {"name": "Ada & Søn"}
    response = await client.post("/logout")
    assert (response.status_code, response.headers["location"]) == (303, str(client.base_url.join("/pages/")))
    assert "session" not in client.cookies
    assert (await client.get("/me")).status_code == 401
    assert (await log_in(client, " ")).status_code == 422
    other_form = await client.post("/login", content=b"{}", headers={"content-type": "application/json"})
    assert other_form.status_code == 415


@enforces("HTTP-SCOPE-13")
async def cookies_may_come_in_several_headers(client: httpx.AsyncClient) -> None:
    await log_in(client, "Grace")
    session = client.cookies["session"]
    client.cookies.clear()
    headers = [("cookie", "other=1,2"), ("cookie", f"session={session}")]
    assert (await client.get("/me", headers=headers)).json() == {"name": "Grace"}


async def a_large_picture_is_uploaded_and_shown_in_whole_and_in_parts(client: httpx.AsyncClient) -> None:
    url = await add(client)
    name = 'Flächen"land".png'
    response = await client.put(
        f"{url}/cover", files={"cover": (name, PICTURE, "image/png")}, data={"caption": "In 2 D"}
    )
    assert response.json()["size"] == len(PICTURE)
    assert response.json()["caption"] == "In 2 D"
    shown = await client.get(f"{url}/cover")
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/png")
    assert shown.content == PICTURE
    assert shown.headers["x-content-type-options"] == "nosniff"
    part = await client.get(f"{url}/cover", headers={"range": "bytes=1000000-2999999"})
    assert (part.status_code, part.content) == (206, PICTURE[1_000_000:3_000_000])
    known = await client.get(f"{url}/cover", headers={"if-none-match": shown.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")


async def what_is_no_cover_is_refused(client: httpx.AsyncClient) -> None:
    url = await add(client)
    assert (await client.put(f"{url}/cover", data={"cover": "text"})).status_code == 422
    response = await client.put(f"{url}/cover", files={"cover": ("a.svg", b"<svg/>", "image/svg+xml")})
    assert response.status_code == 415
    assert (await client.get(f"{url}/cover")).status_code == 404
    broken = {"content-type": "multipart/form-data; boundary=x"}
    assert (await client.put(f"{url}/cover", content=b"--x\r\n", headers=broken)).status_code == 400
    assert (await client.put("/books/999999/cover", content=b"unread")).status_code == 404


@enforces("HTTP-REQ-03")
async def a_body_in_chunks_is_echoed(client: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for place in range(0, len(PICTURE), 100_000):
            yield PICTURE[place : place + 100_000]

    response = await client.post("/echo", content=chunks(), headers={"content-type": "image/png"})
    assert (response.status_code, response.headers["content-type"]) == (200, "application/octet-stream")
    assert response.content == PICTURE
    assert "content-length" not in response.headers
    assert (await client.post("/echo")).content == b""


async def a_table_is_streamed(client: httpx.AsyncClient) -> None:
    url = await add(client, title='The "Book", 2nd', author="R. Eader")
    response = await client.get("/books.csv")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert f'{url.rpartition("/")[2]},"The ""Book"", 2nd",R. Eader,1884' in response.text.splitlines()


async def a_file_is_sent_in_whole_in_parts_or_not_at_all(client: httpx.AsyncClient) -> None:
    whole = await client.get("/rules")
    assert whole.headers["content-disposition"] == 'attachment; filename="rules of the library.txt"'
    assert whole.headers["content-length"] == str(len(whole.content))
    tail = await client.get("/rules", headers={"range": "bytes=-10"})
    assert (tail.status_code, tail.content) == (206, whole.content[-10:])
    several = await client.get("/rules", headers={"range": "bytes=0-3,20-23"})
    assert several.headers["content-type"].startswith("multipart/byteranges; boundary=")
    assert several.headers["content-length"] == str(len(several.content))
    beyond = await client.get("/rules", headers={"range": "bytes=100000-"})
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == f"bytes */{len(whole.content)}"
    since = {"if-modified-since": whole.headers["last-modified"]}
    assert (await client.get("/rules", headers=since)).status_code == 304
    assert (await client.get("/rules", headers={"if-match": '"another"'})).status_code == 412


async def pages_are_served_and_nothing_beside_them(client: httpx.AsyncClient) -> None:
    front = await client.get("/pages/")
    assert front.headers["content-type"] == "text/html; charset=utf-8"
    assert "lending library" in front.text
    assert (await client.get("/pages")).headers["location"] == "/pages/"
    missing = await client.get("/pages/nothing")
    assert (missing.status_code, "no such page" in missing.text) == (404, True)
    assert (await client.post("/pages/style.css")).status_code == 405
    for path in ("/pages/..%2fexample.py", "/pages/%2e%2e/example.py", "/pages/.%00/"):
        assert (await client.get(path)).status_code == 404


async def the_old_application_is_asked_by_wsgi(client: httpx.AsyncClient) -> None:
    response = await client.post("/hours/t%C3%B8day/", content=b"x" * 200_000)
    assert response.status_code == 200
    thanks, hours = response.text.splitlines()
    assert thanks == "Thank you for 200000 bytes to /tøday/ below /hours."
    assert hours.startswith("We are open")


async def a_mail_is_written_after_the_response(client: httpx.AsyncClient) -> None:
    url = await add(client, title="Mail me")
    await log_in(client, "Grace")
    response = await client.post(f"{url}/loan")
    assert (response.status_code, response.content) == (202, b"")
    while "Grace has Mail me" not in (await client.get("/mails")).json():
        pass  # it may come after the next request; that it never comes is for whoever runs the check to see


async def large_answers_are_compressed_for_those_who_take_it(client: httpx.AsyncClient) -> None:
    for number in range(10):
        await add(client, title=f"Volume {number}")
    packed = await client.get("/books", headers={"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    plain = await client.get("/books", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content
    for response in (packed, plain):
        assert "accept-encoding" in response.headers["vary"].lower()


async def other_origins_are_told_what_they_may_do(client: httpx.AsyncClient) -> None:
    origin = {"origin": "https://example.org"}
    preflight = await client.options("/books", headers={**origin, "access-control-request-method": "PUT"})
    assert preflight.status_code == 204
    assert "PUT" in preflight.headers["access-control-allow-methods"].split(", ")
    for path in ("/books", "/nowhere"):
        response = await client.get(path, headers=origin)
        assert response.headers["access-control-allow-origin"] == "https://example.org"
    other = await client.get("/books", headers={"origin": "https://example.net"})
    assert "access-control-allow-origin" not in other.headers


async def each_request_has_an_id_of_its_own(client: httpx.AsyncClient) -> None:
    responses = await asyncio.gather(*(client.get(path) for path in ("/books", "/rules", "/nowhere") * 3))
    assert len({response.headers["x-request-id"] for response in responses}) == len(responses)


async def it_is_alive_and_ready(client: httpx.AsyncClient) -> None:
    assert (await client.get("/status/health")).json() == {"alive": True}
    assert (await client.get("/status/ready")).json()["ready"] is True


@enforces("APP-CALL-03")
async def bodies_at_the_same_time_stay_apart(client: httpx.AsyncClient) -> None:
    bodies = [bytes([number]) * (50_000 + number) for number in range(20)]
    responses = await asyncio.gather(*(client.post("/echo", content=body) for body in bodies))
    assert [response.content for response in responses] == bodies


CHECKS: tuple[Check, ...] = (
    a_book_is_added_shown_replaced_and_removed,
    what_is_no_book_is_refused_with_all_that_is_wrong,
    an_unknown_path_is_404_and_an_unknown_method_405,
    a_slash_too_many_is_redirected_with_the_query,
    paths_and_queries_may_hold_any_text,
    head_has_the_headers_of_get_and_no_body,
    a_reader_logs_in_by_a_form_and_out_again,
    cookies_may_come_in_several_headers,
    a_large_picture_is_uploaded_and_shown_in_whole_and_in_parts,
    what_is_no_cover_is_refused,
    a_body_in_chunks_is_echoed,
    a_table_is_streamed,
    a_file_is_sent_in_whole_in_parts_or_not_at_all,
    pages_are_served_and_nothing_beside_them,
    the_old_application_is_asked_by_wsgi,
    a_mail_is_written_after_the_response,
    large_answers_are_compressed_for_those_who_take_it,
    other_origins_are_told_what_they_may_do,
    each_request_has_an_id_of_its_own,
    it_is_alive_and_ready,
    bodies_at_the_same_time_stay_apart,
)
ANSWERED_EARLY: frozenset[Check] = frozenset(
    {
        an_unknown_path_is_404_and_an_unknown_method_405,
        a_reader_logs_in_by_a_form_and_out_again,
        what_is_no_cover_is_refused,
        pages_are_served_and_nothing_beside_them,
        a_mail_is_written_after_the_response,
    }
)
"""Those in which a response may come before the end of its request: nobody waits for a body that nobody wants."""
