"""The reference's compression: what goes out as gzip, to whom, and what is left alone."""

from __future__ import annotations

import asyncio
import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastasgi_reference.middleware.compress import Compress
from tests.reference.conversation import Log, http_scope, lifespan_scope, play, websocket_scope
from tests.reference.rules import enforces

LONG = b"All work and no play makes Jack a dull boy. " * 50
TEXT = (b"content-type", b"text/plain")


def start(*headers: tuple[bytes, bytes], status: int = 200, **keys: Any) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers), **keys}


def body(data: bytes = b"", *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def sends(*messages: dict[str, Any]) -> Any:
    """An application that sends these very messages."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return app


def asks(accepts: str | None = "gzip", method: str = "GET", **keys: Any) -> dict[str, Any]:
    """An HTTP scope with this Accept-Encoding."""
    headers = [] if accepts is None else [(b"accept-encoding", accepts.encode())]
    return http_scope(method, headers=headers, **keys)


async def through(*messages: dict[str, Any], scope: dict[str, Any] | None = None, **options: Any) -> Log:
    """What a client gets of these messages behind the middleware."""
    log = await play(Compress(sends(*messages), **options), asks() if scope is None else scope)
    assert log.raised is None
    return log


# --- what is compressed ---------------------------------------------------------------------------------------


async def test_a_whole_body_is_compressed_and_measured() -> None:
    log = await through(start(TEXT, (b"content-length", str(len(LONG)).encode())), body(LONG))
    assert gzip.decompress(log.body) == LONG
    assert log.types == ["http.response.start", "http.response.body"]
    assert log.headers == [
        ("content-type", "text/plain"),
        ("content-length", str(len(log.body))),
        ("vary", "Accept-Encoding"),
        ("content-encoding", "gzip"),
    ]


async def test_a_stream_is_compressed_without_a_length_and_can_be_read_as_it_comes() -> None:
    chunks = [b"one", b"", b"two" * 300, b"three"]
    log = await through(
        start(TEXT, (b"content-length", b"911")), *(body(chunk, more=True) for chunk in chunks), body()
    )
    assert log.header("content-length") is None
    assert [message.get("more_body") for message in log.sent[1:]] == [True] * 4 + [False]
    reader = zlib.decompressobj(16 + zlib.MAX_WBITS)
    assert [reader.decompress(message["body"]) for message in log.sent[1:]] == [*chunks, b""]
    assert reader.eof
    assert reader.unused_data == b""


@given(chunks=st.lists(st.binary(max_size=2000), min_size=1, max_size=8), level=st.integers(0, 9))
async def test_any_body_in_any_pieces_can_be_read_back(chunks: list[bytes], level: int) -> None:
    pieces = [body(chunk, more=place < len(chunks)) for place, chunk in enumerate(chunks, start=1)]
    log = await through(start(), *pieces, minimum_size=0, level=level)
    if log.header("content-encoding") == "gzip":
        assert gzip.decompress(log.body) == b"".join(chunks)
    else:
        assert log.body == b"".join(chunks) == b""
    assert log.header("content-length") in (None, str(len(log.body)))


@enforces("HTTP-RESP-18")
async def test_each_chunk_is_out_before_the_next_is_made() -> None:
    seen: list[bytes] = []
    reader = zlib.decompressobj(16 + zlib.MAX_WBITS)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(TEXT))
        await send(body(b"tick", more=True))
        assert seen == [b"tick"]
        await send(body(b"tock"))

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            seen.append(reader.decompress(message["body"]))

    await Compress(app)(asks(), None, send)
    assert seen == [b"tick", b"tock"]


async def test_others_have_their_turn_while_a_large_body_is_compressed() -> None:
    turns: list[None] = []

    async def count() -> None:
        while True:
            turns.append(None)
            await asyncio.sleep(0)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(TEXT))
        before = len(turns)
        await send(body(os.urandom(1000) * 1000))
        assert len(turns) > before

    counter = asyncio.ensure_future(count())
    log = await play(Compress(app), asks())
    counter.cancel()
    assert log.raised is None
    assert len(gzip.decompress(log.body)) == 1_000_000


async def test_httpx_reads_it() -> None:
    app = Compress(sends(start(TEXT), body(LONG, more=True), body(LONG)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        response = await client.get("/")
        assert response.headers["content-encoding"] == "gzip"
        assert response.content == LONG + LONG
        plain = await client.get("/", headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.content == LONG + LONG
        assert plain.headers["vary"] == response.headers["vary"] == "Accept-Encoding"


async def test_the_level_is_zlibs() -> None:
    sizes = [len((await through(start(), body(LONG), level=level)).body) for level in (0, 9)]
    assert sizes[0] > len(LONG) > sizes[1]


@pytest.mark.parametrize("options", [{"level": -1}, {"level": 10}, {"minimum_size": -1}])
def test_an_option_that_cannot_be_is_refused_with_what_to_use(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="use 0"):
        Compress(sends(), **options)


# --- for whom: Accept-Encoding --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "accepts",
    [
        "gzip",
        "GZip",
        "x-gzip",
        "deflate, gzip;q=1.0, *;q=0.5",
        "gzip;q=0.001",
        "gzip ; q=0.5",
        "br,gzip",
        "*",
        "*;q=0.1",
        "gzip, *;q=0",
        "identity;q=0, gzip",
        "identity;q=0.5, gzip;q=0.5",
        "identity;q=0, *",
        "gzip;Q=0.5",
        ",, gzip ,",
    ],
)
async def test_a_client_gets_gzip_if_it_takes_it(accepts: str) -> None:
    log = await through(start(TEXT), body(LONG), scope=asks(accepts))
    assert log.header("content-encoding") == "gzip"
    assert gzip.decompress(log.body) == LONG


@pytest.mark.parametrize(
    "accepts",
    [
        None,
        "",
        "identity",
        "br, deflate",
        "gzip;q=0",
        "gzip;q=0.000",
        "gzip;q=0, *",
        "x-gzip;q=0, *;q=1",
        "*;q=0",
        "identity;q=0",
        "identity, gzip;q=0.5",
        "gzip;q=0.1, identity;q=0.2",
        "gzip;q=abc",
        "gzip;q=nan",
        "gzip;q=",
        "gzip;level=9",
        "notgzip",
        "gzip2",
        "gzip\xb2",
    ],
)
async def test_a_client_gets_no_gzip_if_it_does_not_take_it_or_likes_it_less(accepts: str | None) -> None:
    log = await through(start(TEXT, (b"etag", b'"1"')), body(LONG), scope=asks(accepts))
    assert log.header("content-encoding") is None
    assert log.header("vary") == "Accept-Encoding"
    assert log.header("etag") == '"1"'
    assert log.body == LONG


@enforces("HTTP-SCOPE-09", "HTTP-SCOPE-11", "HTTP-SCOPE-12")
async def test_request_headers_of_any_form_are_read_and_handed_on() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend(map(tuple, scope["headers"]))
        await send(start(TEXT))
        await send(body(LONG))

    pairs = ([b"Accept-Encoding", b"br"], (b"accept-encoding", b"gzip"), (b"x", b"\xff"))
    log = await play(Compress(app), http_scope(headers=(pair for pair in pairs)))
    assert log.header("content-encoding") == "gzip"
    assert seen == [tuple(pair) for pair in pairs]


# --- what is left alone ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        [(b"content-type", b"text/event-stream")],
        [(b"content-type", b"Text/Event-Stream; charset=utf-8")],
        [(b"content-type", b"image/png")],
        [(b"content-type", b"video/mp4")],
        [(b"content-type", b"audio/ogg")],
        [(b"content-type", b"font/woff2")],
        [(b"content-type", b"application/zip")],
        [(b"content-type", b"application/grpc+proto")],
        [TEXT, (b"content-encoding", b"br")],
        [TEXT, (b"Content-Encoding", b"identity")],
        [TEXT, (b"content-digest", b"sha-256=:abc=:")],
        [TEXT, (b"repr-digest", b"sha-256=:abc=:")],
        [TEXT, (b"digest", b"sha-256=abc=")],
        [TEXT, (b"content-md5", b"abc=")],
    ],
)
async def test_what_is_encoded_already_or_live_stays_as_it_is(headers: list[tuple[bytes, bytes]]) -> None:
    messages = (
        start(*headers, (b"etag", b'"1"'), (b"content-length", b"4400")),
        body(LONG, more=True),
        body(LONG),
    )
    log = await play(Compress(sends(*messages)), asks(), checked=False)
    assert log.sent == list(messages)


@pytest.mark.parametrize(
    "media_type",
    [b"image/svg+xml", b"image/bmp", b"application/json", b"application/octet-stream", b"font/ttf", b""],
)
async def test_other_media_types_are_compressed(media_type: bytes) -> None:
    log = await through(start((b"content-type", media_type)), body(LONG))
    assert gzip.decompress(log.body) == LONG


async def test_a_short_body_stays_as_it_is_for_any_client() -> None:
    messages = start(TEXT, (b"etag", b'"1"')), body(b"x" * 499)
    assert (await through(*messages)).sent == list(messages)
    assert (await through(*messages, scope=asks("identity;q=0, gzip"))).sent == list(messages)
    longer = await through(start(TEXT), body(b"x" * 500))
    assert gzip.decompress(longer.body) == b"x" * 500


async def test_the_declared_length_counts_where_a_short_body_comes_in_pieces() -> None:
    messages = start(TEXT, (b"content-length", b"4")), body(b"ab", more=True), body(b"cd")
    assert (await through(*messages)).sent == list(messages)


@pytest.mark.parametrize("length", [b"", b"many", b"-1", "²".encode("latin-1")])
async def test_a_length_that_is_no_number_counts_for_nothing(length: bytes) -> None:
    log = await through(start(TEXT, (b"content-length", length)), body(LONG))
    assert gzip.decompress(log.body) == LONG


async def test_an_empty_body_stays_empty_whatever_the_minimum() -> None:
    messages = start(TEXT, (b"content-length", b"0")), body()
    assert (await through(*messages, minimum_size=0)).sent == list(messages)


@enforces("HTTP-RESP-11")
@pytest.mark.parametrize("status", [204, 205])
async def test_a_status_without_content_is_left_alone(status: int) -> None:
    messages = start((b"etag", b'"1"'), status=status), body()
    assert (await through(*messages, minimum_size=0)).sent == list(messages)


async def test_a_304_describes_what_a_200_would_have_been() -> None:
    messages = start((b"etag", b'"1"'), status=304), body()
    log = await through(*messages, minimum_size=0)
    assert log.headers == [("etag", 'W/"1"'), ("vary", "Accept-Encoding")]
    assert log.body == b""
    plain = await through(*messages, scope=asks("identity"))
    assert plain.headers == [("etag", '"1"'), ("vary", "Accept-Encoding")]


async def test_a_part_of_a_file_stays_as_it_is_but_varies() -> None:
    headers = TEXT, (b"content-range", b"bytes 0-999/5000"), (b"content-length", b"1000"), (b"etag", b'"1"')
    log = await through(start(*headers, status=206), body(b"x" * 1000))
    assert log.sent[0]["headers"] == [*headers, (b"vary", b"Accept-Encoding")]
    assert log.body == b"x" * 1000


# --- how it is described --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"), [('"abc"', 'W/"abc"'), ('W/"abc"', 'W/"abc"'), ("abc", "abc"), ('""', 'W/""')]
)
async def test_the_etag_of_a_compressed_body_is_weak(before: str, after: str) -> None:
    log = await through(start(TEXT, (b"etag", before.encode())), body(LONG))
    assert log.header("etag") == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Cookie", "Cookie, Accept-Encoding"),
        ("accept-encoding", "accept-encoding"),
        ("Cookie, ACCEPT-ENCODING", "Cookie, ACCEPT-ENCODING"),
        ("*", "*"),
    ],
)
async def test_vary_grows_and_says_nothing_twice(before: str, after: str) -> None:
    log = await through(start(TEXT, (b"vary", before.encode())), body(LONG))
    assert [value for name, value in log.headers if name == "vary"] == [after]


async def test_ranges_of_a_compressed_body_are_not_offered() -> None:
    headers = TEXT, (b"accept-ranges", b"bytes")
    assert (await through(start(*headers), body(LONG))).header("accept-ranges") is None
    assert (await through(start(*headers), body(LONG), scope=asks(None))).header("accept-ranges") == "bytes"


@enforces("HTTP-RESP-04")
async def test_other_headers_keep_their_order_and_their_doubles() -> None:
    cookies = (b"set-cookie", b"a=1"), (b"x", b"y"), (b"set-cookie", b"b=2")
    log = await through(start(*cookies), body(LONG))
    assert log.sent[0]["headers"][:3] == list(cookies)


# --- HEAD -----------------------------------------------------------------------------------------------------


@enforces("HTTP-RESP-12")
@pytest.mark.parametrize("sent", [b"", LONG])
async def test_head_has_the_headers_of_get_but_for_the_length_and_no_body(sent: bytes) -> None:
    headers = TEXT, (b"content-length", str(len(LONG)).encode()), (b"etag", b'"1"')
    get = await through(start(*headers), body(LONG))
    head = await through(start(*headers), body(sent), scope=asks(method="HEAD"))
    assert head.headers == [header for header in get.headers if header[0] != "content-length"]
    assert head.body == b""


@enforces("HTTP-RESP-12")
async def test_head_of_what_is_too_short_for_get_is_left_alone() -> None:
    messages = start(TEXT, (b"content-length", b"400")), body()
    assert (await through(*messages, scope=asks(method="HEAD"))).sent == list(messages)
    with_body = start(TEXT), body(b"x" * 400)
    assert (await through(*with_body, scope=asks(method="HEAD"))).sent == list(with_body)


@enforces("HTTP-RESP-12")
async def test_head_of_a_stream_is_described_as_get_is() -> None:
    get = await through(start(TEXT), body(LONG, more=True), body())
    head = await through(start(TEXT), body(), scope=asks(method="HEAD"))
    assert head.headers == get.headers
    assert head.body == b""


@enforces("HTTP-RESP-12")
async def test_head_for_a_client_without_gzip_keeps_its_length() -> None:
    headers = TEXT, (b"content-length", str(len(LONG)).encode())
    log = await through(start(*headers), body(), scope=asks(None, "HEAD"))
    assert log.headers == [
        ("content-type", "text/plain"), ("content-length", str(len(LONG))), ("vary", "Accept-Encoding"),
    ]  # fmt: skip


# --- ASGI -----------------------------------------------------------------------------------------------------


@enforces("APP-MW-03")
@pytest.mark.parametrize(
    "scope", [lifespan_scope(), websocket_scope(headers=[(b"accept-encoding", b"gzip")])]
)
async def test_other_connections_pass_through_untouched(scope: dict[str, Any]) -> None:
    seen: list[Any] = []

    async def app(*args: Any) -> None:
        seen.extend(args)

    async def nothing(*args: Any) -> Any: ...

    await Compress(app)(scope, nothing, nothing)
    assert seen[0] is scope
    assert seen[1:] == [nothing, nothing]


@enforces("APP-MW-03", "HTTP-RESP-18")
@pytest.mark.parametrize(
    "messages",
    [
        (start(TEXT), {"type": "http.response.pathsend", "path": "/tmp/x"}),
        (start(TEXT), {"type": "http.response.made.up", "zzz": 1}, body(LONG)),
        (
            start(TEXT),
            {"type": "http.response.early_hint", "links": [b"</a.css>"]},
            body(LONG, more=True),
            body(),
        ),
        ({"type": "http.response.debug", "info": {"template": "t"}}, start(), body(b"short")),
        (start(TEXT),),
        (start(TEXT), start(TEXT)),
        (body(LONG),),
    ],
)
async def test_what_it_does_not_know_passes_through_untouched_and_nothing_is_kept(messages: Any) -> None:
    log = await play(Compress(sends(*messages)), asks(), checked=False)
    assert log.sent == list(messages)


@enforces("APP-MW-03")
async def test_a_file_that_the_server_copies_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(LONG)
    with (tmp_path / "x").open("rb") as file:
        messages = start(TEXT), {"type": "http.response.zerocopysend", "file": file}
        log = await through(*messages, scope=asks(extensions={"http.response.zerocopysend": {}}))
    assert log.sent == list(messages)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, LONG[100:]),
        ({"offset": 10, "count": 20}, LONG[10:30]),
        ({"offset": 10, "count": None}, LONG[10:]),
        ({"offset": None, "count": 5}, LONG[100:105]),
    ],
)
async def test_a_file_in_the_middle_of_a_compressed_body_is_compressed_too(
    keys: dict[str, Any], expected: bytes, tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(LONG)
    with (tmp_path / "x").open("rb", buffering=0) as file:
        file.seek(100)
        copied = {"type": "http.response.zerocopysend", "file": file, **keys}
        log = await through(start(), body(b"<", more=True), {**copied, "more_body": True}, body(b">"))
        assert gzip.decompress(log.body) == b"<" + expected + b">"
        file.seek(100)
        last = await through(start(), body(b"<", more=True), copied)
        assert gzip.decompress(last.body) == b"<" + expected
    assert set(last.types[1:]) == {"http.response.body"}
    assert last.complete


@enforces("APP-MW-03", "EXT-TRAIL-01")
async def test_trailers_follow_a_compressed_body_which_then_has_no_length() -> None:
    trailers = {"type": "http.response.trailers", "headers": [(b"x", b"y")], "more_trailers": False}
    headers = TEXT, (b"trailer", b"x"), (b"content-length", str(len(LONG)).encode())
    log = await through(
        start(*headers, trailers=True), body(LONG), trailers,
        scope=asks(extensions={"http.response.trailers": {}}),
    )  # fmt: skip
    assert gzip.decompress(log.body) == LONG
    assert log.start["trailers"] is True
    assert log.header("content-length") is None
    assert log.sent[-1] == trailers


@enforces("HTTP-RESP-06", "HTTP-RESP-07")
async def test_messages_may_lack_what_they_may_lack() -> None:
    bare = {"type": "http.response.start", "status": 200}
    chunk = {"type": "http.response.body", "more_body": True}
    log = await through(bare, chunk, {"type": "http.response.body", "body": LONG})
    assert gzip.decompress(log.body) == LONG
    assert (await through(bare, {"type": "http.response.body"})).body == b""
    ended = await through(bare, body(LONG, more=True), {"type": "http.response.body"})
    assert gzip.decompress(ended.body) == LONG
    without = await play(Compress(sends(bare, body(LONG))), http_scope(headers=...))
    assert without.body == LONG


@enforces("HTTP-RESP-06")
@pytest.mark.parametrize("pair", [tuple, list])
async def test_headers_may_be_of_any_iterables(pair: Any) -> None:
    def headers() -> Iterator[Any]:
        yield pair((b"Content-Type", b"text/plain"))
        yield pair((b"x", b"\xff"))

    for given_headers in (headers(), tuple(headers())):
        log = await through(
            {"type": "http.response.start", "status": 200, "headers": given_headers}, body(LONG)
        )
        assert log.headers[:2] == [("content-type", "text/plain"), ("x", "\xff")]
        assert gzip.decompress(log.body) == LONG


@enforces("APP-MW-05", "APP-CALL-03")
async def test_messages_are_not_changed_and_can_be_sent_again() -> None:
    messages = start(TEXT, (b"etag", b'"1"')), body(LONG, more=True), body(LONG)
    kept = start(TEXT, (b"etag", b'"1"')), body(LONG, more=True), body(LONG)
    app = Compress(sends(*messages))
    first, second = await asyncio.gather(play(app, asks()), play(app, asks()))
    assert messages == kept
    assert first.sent == second.sent
    assert gzip.decompress(first.body) == LONG + LONG


async def test_a_message_that_the_application_changes_later_is_sent_as_it_was() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        message = start(TEXT)
        await send(message)
        message["headers"].clear()
        message.update(type="http.response.body", body=LONG)
        await send(message)

    log = await play(Compress(app), asks())
    assert log.header("content-type") == "text/plain"
    assert gzip.decompress(log.body) == LONG


@enforces("APP-MW-01")
async def test_the_scope_is_not_changed() -> None:
    scope = asks()
    kept = {**scope, "headers": list(scope["headers"])}

    async def app(inner: Any, receive: Any, send: Any) -> None:
        inner["mine"] = True

    await play(Compress(app), scope)
    assert scope == kept


@enforces("APP-EVT-02")
async def test_unknown_keys_of_messages_are_kept() -> None:
    log = await through({**start(TEXT), "zzz": 1}, {**body(LONG), "yyy": 2})
    assert log.sent[0]["zzz"] == 1
    assert log.sent[1]["yyy"] == 2


@enforces("APP-MW-04", "HTTP-RESP-14")
async def test_an_error_before_the_body_leaves_room_for_another_answer() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(TEXT))
        raise LookupError("broken")

    log = await play(Compress(app), asks())
    assert isinstance(log.raised, LookupError)
    assert log.sent == []


@enforces("APP-MW-04", "HTTP-RESP-16")
async def test_an_error_in_the_middle_of_the_body_does_not_end_it() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(TEXT))
        await send(body(LONG, more=True))
        raise LookupError("broken")

    log = await play(Compress(app), asks())
    assert isinstance(log.raised, LookupError)
    assert not log.complete
    with pytest.raises(EOFError):
        gzip.decompress(log.body)


@enforces("APP-ERR-01")
@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_client_that_goes_away_is_told_to_the_application(place: int) -> None:
    app = Compress(sends(start(TEXT), body(LONG, more=True), body(LONG)))
    log = await play(app, asks(), fail_send_at=place)
    assert isinstance(log.raised, ConnectionResetError)
    assert len(log.sent) == place + 1


async def test_what_comes_after_the_end_is_no_business_of_its() -> None:
    messages = start(TEXT), body(LONG), body(b"late")
    log = await play(Compress(sends(*messages)), asks(), checked=False)
    assert gzip.decompress(log.sent[1]["body"]) == LONG
    assert log.sent[2] == body(b"late")
