"""The reference's static files: which paths are files of the directory, and which are not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastasgi_reference.exceptions import HTTPException
from fastasgi_reference.staticfiles import StaticFiles
from tests.reference.conversation import Log, http_scope, lifespan_scope, play, websocket_scope
from tests.reference.rules import enforces

SECRET = b"not for everybody"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory to serve, in one that also holds what is not to be served."""
    root = tmp_path_factory.mktemp("root")
    files = {
        "site/index.html": b"home",
        "site/404.html": b"lost",
        "site/style.css": b"a {}",
        "site/docs/index.html": b"docs",
        "site/docs/a b+%20é.txt": b"odd",
        "site/docs/..hidden": b"dots",
        "site/empty/keep": b"",
        "site/c:/windows": b"no drive",
        "site/back\\slash": b"no name",
        "site-private/secret.txt": SECRET,
        "secret.txt": SECRET,
    }
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    links = {
        "inside.css": "style.css",
        "outside.txt": "../secret.txt",
        "away": "../site-private",
        "loop": "loop",
    }
    for name, target in links.items():
        (root / "site" / name).symlink_to(target)
    os.mkfifo(root / "site" / "pipe")
    return root / "site"


async def fetch(app: Any, path: str, method: str = "GET", /, **keys: Any) -> Log:
    log = await play(app, http_scope(method, **keys) | {"path": path})
    assert log.raised is None
    assert log.complete
    return log


def linked(path: Path, target: Path) -> Path:
    path.symlink_to(target)
    return path


def escapes(site: Path) -> list[str]:
    """Paths that lead out of the directory if one is careless."""
    return [
        "/../secret.txt",
        "/docs/../../secret.txt",
        "/../site-private/secret.txt",
        "/../site/style.css",
        "/docs/../style.css",
        "/./style.css",
        "/docs/.",
        "/docs/..",
        "/..",
        "/..\\secret.txt",
        "/docs\\..\\..\\secret.txt",
        "/%2e%2e/secret.txt",
        f"/{site.parent}/secret.txt",
        f"{site.parent}/secret.txt",
        "//etc/passwd",
        "/etc/passwd",
        "/c:/windows",
        "/C:windows",
        "/back\\slash",
        "/C:\\windows",
        "/\\\\host\\share",
        "//host/share",
        "/style.css\0",
        "/style.css\0.png",
        "/\0",
        "/style.css/",
        "/style.css/x",
        "//style.css",
        "/docs//index.html",
        "/outside.txt",
        "/away/secret.txt",
        "/loop",
        "/pipe",
        "/docs",
        "/docs/",
        "/",
        "",
        "/missing",
        "/STYLE.CSS.",
        "/" + "a" * 5000,
        "/" + "a/" * 5000,
        "/\ud800",
        "/~",
        "/-",
    ]


# --- what is served -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "media_type"),
    [
        ("/style.css", b"a {}", "text/css; charset=utf-8"),
        ("/docs/index.html", b"docs", "text/html; charset=utf-8"),
        ("/docs/a b+%20é.txt", b"odd", "text/plain; charset=utf-8"),
        ("/docs/..hidden", b"dots", "application/octet-stream"),
        ("/empty/keep", b"", "application/octet-stream"),
        ("/inside.css", b"a {}", "text/css; charset=utf-8"),
        ("style.css", b"a {}", "text/css; charset=utf-8"),
    ],
)
@enforces("HTTP-SCOPE-02")
async def test_a_file_is_served_under_its_path(path: str, body: bytes, media_type: str, site: Path) -> None:
    log = await fetch(StaticFiles(site), path)
    assert (log.status, log.body) == (200, body)
    assert log.header("content-type") == media_type
    assert log.header("content-disposition") is None


@enforces("HTTP-SCOPE-06", "HTTP-SCOPE-07")
@pytest.mark.parametrize(
    ("root_path", "path", "status"),
    [
        ("/static", "/static/style.css", 200),
        ("/a.b", "/a.b/style.css", 200),
        ("/static", "/style.css", 200),
        ("/static", "/staticstyle.css", 404),
        ("/static", "/static", 404),
        ("/static", "/static/../style.css", 404),
    ],
)
async def test_the_path_is_taken_below_root_path(root_path: str, path: str, status: int, site: Path) -> None:
    assert (await fetch(StaticFiles(site), path, root_path=root_path)).status == status


async def test_a_relative_directory_is_that_of_when_it_was_given(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(site.parent)
    app = StaticFiles("site")
    monkeypatch.chdir("/")
    assert (await fetch(app, "/style.css")).status == 200


async def test_the_directory_may_itself_be_a_link(site: Path, tmp_path: Path) -> None:
    app = StaticFiles(linked(tmp_path / "link", site))
    assert (await fetch(app, "/style.css")).body == b"a {}"
    assert (await fetch(app, "/outside.txt")).status == 404


async def test_preconditions_ranges_and_head_are_those_of_a_file_response(site: Path) -> None:
    app = StaticFiles(site)
    get = await fetch(app, "/style.css")
    etag = (get.header("etag") or "").encode()
    assert (await fetch(app, "/style.css", headers=[(b"if-none-match", etag)])).status == 304
    part = await fetch(app, "/style.css", headers=[(b"range", b"bytes=-2")])
    assert (part.status, part.body) == (206, b"{}")
    head = await fetch(app, "/style.css", "HEAD")
    assert (head.headers, head.body) == (get.headers, b"")


async def test_httpx_finds_its_way(site: Path) -> None:
    transport = httpx.ASGITransport(StaticFiles(site, html=True))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://test", follow_redirects=True
    ) as client:
        docs = await client.get("/docs?x=1")
        assert (docs.text, str(docs.url)) == ("docs", "http://test/docs/?x=1")
        assert (await client.get("/docs/a%20b%2B%2520%C3%A9.txt")).text == "odd"
        assert (await client.get("/docs/..%2f..%2fsecret.txt")).status_code == 404


def test_a_directory_that_is_none_is_refused_when_it_is_given(site: Path) -> None:
    for directory in (site / "missing", site / "style.css"):
        with pytest.raises(ValueError, match=r"is no directory: make it first"):
            StaticFiles(directory)


# --- what is not ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", range(44))
async def test_no_path_leads_out_of_the_directory_or_to_anything_but_a_file(place: int, site: Path) -> None:
    paths = escapes(site)
    assert len(paths) == 44
    for root_path in ("", "/static"):
        log = await fetch(StaticFiles(site), root_path + paths[place], root_path=root_path)
        assert log.status == 404
        assert (log.body, log.header("content-type")) == (b"Not Found", "text/plain; charset=utf-8")


@given(
    names=st.lists(
        st.sampled_from(
            ["..", ".", "", "site", "docs", "secret.txt", "site-private", "away", "\\", "c:", "..."]
        )
    ),
    follow=st.booleans(),
)
@example(names=["..", "secret.txt"], follow=True)
@example(names=["away", "..", "secret.txt"], follow=True)
async def test_no_path_made_of_tempting_names_leads_out(names: list[str], follow: bool, site: Path) -> None:
    log = await fetch(StaticFiles(site, follow_symlinks=follow, html=False), "/" + "/".join(names))
    if names != ["away", "secret.txt"] or not follow:
        assert log.body != SECRET


async def test_links_that_lead_out_are_followed_where_that_is_wanted(site: Path) -> None:
    app = StaticFiles(site, follow_symlinks=True)
    assert (await fetch(app, "/outside.txt")).body == SECRET
    assert (await fetch(app, "/away/secret.txt")).body == SECRET
    for path in (
        "/../secret.txt",
        "/away/../secret.txt",
        "/docs/../../secret.txt",
        "/loop",
        f"/{site.parent}/secret.txt",
    ):
        assert (await fetch(app, path)).status == 404


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
async def test_a_file_that_must_not_be_read_is_not_there(tmp_path: Path) -> None:
    os.close(os.open(tmp_path / "closed", os.O_CREAT, 0o000))
    assert (await fetch(StaticFiles(tmp_path), "/closed")).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "get", "PROPFIND"])
@enforces("HTTP-SCOPE-17")
async def test_other_methods_are_refused_with_those_that_are_allowed(method: str, site: Path) -> None:
    for path in ("/style.css", "/missing", "/../secret.txt"):
        log = await fetch(StaticFiles(site, html=True), path, method)
        assert log.status == 405
        assert log.header("allow") == "GET, HEAD"
        assert log.body == b"Method Not Allowed"


async def test_head_of_what_is_missing_has_no_body(site: Path) -> None:
    log = await fetch(StaticFiles(site), "/missing", "HEAD")
    assert (log.status, log.body) == (404, b"")


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/missing", "GET", 404), ("/style.css", "POST", 405)]
)
async def test_inside_an_application_errors_are_its_business(
    path: str, method: str, status: int, site: Path
) -> None:
    log = await play(StaticFiles(site), http_scope(method, path, **{"fastasgi.app": object()}))
    assert log.sent == []
    assert isinstance(log.raised, HTTPException)
    assert log.raised.status_code == status
    assert log.raised.headers == ({"allow": "GET, HEAD"} if status == 405 else None)


@enforces("APP-SCOPE-02", "APP-SCOPE-03")
@pytest.mark.parametrize("scope", [websocket_scope("/style.css"), lifespan_scope(), {"type": "mqtt"}])
async def test_only_http_is_answered(scope: dict[str, Any], site: Path) -> None:
    log = await play(StaticFiles(site), scope)
    assert isinstance(log.raised, RuntimeError)
    assert log.sent == []


# --- html -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/", 200, b"home"),
        ("/docs/", 200, b"docs"),
        ("/docs/index.html", 200, b"docs"),
        ("/empty/", 404, b"lost"),
        ("/empty", 404, b"lost"),
        ("/style.css/", 404, b"lost"),
        ("/missing", 404, b"lost"),
        ("/../secret.txt", 404, b"lost"),
        ("/..", 404, b"lost"),
        ("//", 404, b"lost"),
        ("//docs", 404, b"lost"),
        ("//docs/", 404, b"lost"),
        ("/docs//", 404, b"lost"),
        ("/away/", 404, b"lost"),
        ("/\0/", 404, b"lost"),
    ],
)
async def test_html_serves_the_index_of_a_directory_and_a_page_for_what_is_missing(
    path: str, status: int, body: bytes, site: Path
) -> None:
    log = await fetch(StaticFiles(site, html=True), path)
    assert (log.status, log.body) == (status, body)
    assert log.header("content-type") == "text/html; charset=utf-8"


async def test_the_page_for_what_is_missing_is_no_success_that_could_be_cached_or_parted(site: Path) -> None:
    headers = [(b"if-none-match", b"*"), (b"range", b"bytes=0-1")]
    log = await fetch(StaticFiles(site, html=True), "/missing", headers=headers)
    assert (log.status, log.body) == (404, b"lost")
    inside = await fetch(StaticFiles(site, html=True), "/missing", **{"fastasgi.app": object()})
    assert inside.status == 404


async def test_without_such_a_page_it_is_the_plain_error(site: Path) -> None:
    assert (await fetch(StaticFiles(site / "docs", html=True), "/missing")).body == b"Not Found"


@pytest.mark.parametrize(
    ("root_path", "path", "query", "location"),
    [
        ("", "/docs", b"", "/docs/"),
        ("", "/docs", b"a=%20b&c=d/?", "/docs/?a=%20b&c=d/?"),
        ("/static", "/static/docs", b"", "/static/docs/"),
        ("/static", "/static", b"", "/static/"),
        ("", "", b"", "/"),
        ("/é", "/é/docs", b"\xff \r\n#", "/%C3%A9/docs/?%FF%20%0D%0A%23"),
        ("//evil.example", "//evil.example/docs", b"", "/evil.example/docs/"),
        ("//evil.example", "//evil.example", b"", "/evil.example/"),
        ("/\\evil.example", "/\\evil.example/docs", b"", "/%5Cevil.example/docs/"),
    ],
)
async def test_html_redirects_a_directory_to_its_path_with_a_slash_on_the_same_host(
    root_path: str, path: str, query: bytes, location: str, site: Path
) -> None:
    log = await fetch(StaticFiles(site, html=True), path, root_path=root_path, query_string=query)
    assert log.status == 307
    assert log.header("location") == location


async def test_a_directory_without_an_index_is_not_redirected(site: Path) -> None:
    assert (await fetch(StaticFiles(site, html=True), "/empty")).status == 404
    assert (await fetch(StaticFiles(site), "/docs")).status == 404
