"""The reference's CORS middleware: against a browser that follows the Fetch standard, a cache, and applications."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastasgi_reference.middleware.cors import CORS
from tests.reference.conversation import (
    Log,
    Message,
    body_events,
    http_scope,
    lifespan_scope,
    play,
    websocket_scope,
)
from tests.reference.rules import enforces

SITE = "https://site.example"
OTHER = "https://other.example"
SAFELISTED = ("GET", "HEAD", "POST")


class Answer:
    """An application that answers each request alike, with messages that it keeps."""

    def __init__(self, headers: Any = ((b"content-type", b"text/plain"),), status: int = 200) -> None:
        self.scopes: list[Any] = []
        self.start = {"type": "http.response.start", "status": status, "headers": headers}
        self.body = {"type": "http.response.body", "body": b"answer"}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        await send(self.start)
        await send(self.body)


async def ask(app: Any, method: str = "GET", origin: str | None = SITE, **headers: str) -> Log:
    """One request; a header's name is written with underscores."""
    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    if origin is not None:
        raw.append((b"origin", origin.encode("latin-1")))
    return await play(app, http_scope(method, headers=raw))


async def preflight(
    app: Any, method: str = "GET", origin: str | None = SITE, names: str | None = None
) -> Log:
    asked = {} if names is None else {"access_control_request_headers": names}
    return await ask(app, "OPTIONS", origin, access_control_request_method=method, **asked)


def cors_headers(log: Log) -> dict[str, str]:
    """The headers that CORS adds, without their common beginning; none of them may be there twice."""
    found = [
        (name.removeprefix("access-control-"), value)
        for name, value in log.headers
        if name.startswith("access-")
    ]
    assert len(found) == len(dict(found))
    return dict(found)


def elements(log: Log, name: str) -> list[str]:
    return [
        each.strip() for key, value in log.headers if key == name for each in value.split(",") if each.strip()
    ]


# A browser


async def page_reads(app: Any, origin: str, method: str, names: Sequence[str], *, credentials: bool) -> bool:
    """Whether a page of `origin` gets to see the response to its request (Fetch, 4.8 and 4.10)."""
    if method not in SAFELISTED or names:
        asked = ",".join(sorted(name.lower() for name in names)) if names else None
        log = await preflight(app, method, origin, asked)
        if not (passes_cors_check(log, origin, credentials) and 200 <= log.status <= 299):
            return False
        methods = elements(log, "access-control-allow-methods")
        allowed = [name.lower() for name in elements(log, "access-control-allow-headers")]
        if method not in methods and method not in SAFELISTED and (credentials or "*" not in methods):
            return False
        if "authorization" in names and "authorization" not in allowed:
            return False
        if any(name.lower() not in allowed and (credentials or "*" not in allowed) for name in names):
            return False
    return passes_cors_check(await ask(app, method, origin), origin, credentials)


def passes_cors_check(log: Log, origin: str, credentials: bool) -> bool:
    values = [value for name, value in log.headers if name == "access-control-allow-origin"]
    if len(values) != 1:
        return False
    if not credentials and values == ["*"]:
        return True
    return values == [origin] and (
        not credentials or log.header("access-control-allow-credentials") == "true"
    )


OPTIONS = st.fixed_dictionaries(
    {
        "allow_origins": st.lists(st.sampled_from([SITE, "http://site.example", "null", "*"]), max_size=2),
        "allow_origin_regex": st.sampled_from([None, r"https://[a-z]+\.example", r".*"]),
        "allow_methods": st.sampled_from([(*SAFELISTED,), ("GET", "PUT"), ("*",), ("POST", "*"), ()]),
        "allow_headers": st.sampled_from([(), ("X-Token",), ("*",), ("Authorization", "x-token")]),
        "allow_credentials": st.booleans(),
    }
)
ORIGINS = st.sampled_from([SITE, OTHER, "http://site.example", "https://site.example.evil.org", "null"])


def origin_is_allowed(options: dict[str, Any], origin: str) -> bool:
    anyone = "*" in options["allow_origins"]
    if origin in options["allow_origins"] or (anyone and not options["allow_credentials"]):
        return True
    if origin == "null":
        return False
    in_domain = origin in (SITE, OTHER)
    return (
        anyone
        or options["allow_origin_regex"] == ".*"
        or (options["allow_origin_regex"] is not None and in_domain)
    )


@given(
    options=OPTIONS,
    origin=ORIGINS,
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "patch"]),
    names=st.lists(st.sampled_from(["x-token", "authorization", "content-type"]), unique=True, max_size=2),
    credentials=st.booleans(),
)
async def test_a_browser_lets_a_page_do_what_the_options_say_and_no_more(
    options: dict[str, Any], origin: str, method: str, names: list[str], credentials: bool
) -> None:
    allowed = origin_is_allowed(options, origin) and (options["allow_credentials"] or not credentials)
    if method not in SAFELISTED or names:
        methods, headers = options["allow_methods"], [name.lower() for name in options["allow_headers"]]
        allowed = allowed and (method in methods or "*" in methods)
        allowed = allowed and (set(names) <= set(headers) or "*" in headers)
    app = CORS(Answer(), **options)
    assert await page_reads(app, origin, method, names, credentials=credentials) is allowed


@given(options=OPTIONS, origins=st.lists(st.none() | ORIGINS, min_size=2, max_size=2), early=st.booleans())
@example(options={"allow_origins": [SITE]}, origins=[None, SITE], early=False)
async def test_a_cache_never_gives_the_answer_for_one_origin_to_another(
    options: dict[str, Any], origins: list[str | None], early: bool
) -> None:
    app = CORS(Answer(), **options)
    method = "OPTIONS" if early else "GET"
    first, second = [
        await ask(app, method, origin, access_control_request_method="GET") for origin in origins
    ]
    if "Origin" not in elements(first, "vary"):
        assert "Origin" not in elements(second, "vary")
        assert early or first.sent == second.sent


@given(options=OPTIONS, origins=st.lists(st.none() | ORIGINS, max_size=4), last=ORIGINS)
async def test_what_came_before_does_not_matter(
    options: dict[str, Any], origins: list[str | None], last: str
) -> None:
    used, fresh = CORS(Answer(), **options), CORS(Answer(), **options)
    for origin in origins:
        await ask(used, origin=origin)
        await preflight(used, origin=origin)
    assert (await ask(used, origin=last)).sent == (await ask(fresh, origin=last)).sent
    assert (await preflight(used, origin=last)).sent == (await preflight(fresh, origin=last)).sent


@given(options=OPTIONS, origin=ORIGINS, names=st.sampled_from([None, "x-token", "x-token,authorization"]))
async def test_no_star_goes_out_where_credentials_are_allowed(
    options: dict[str, Any], origin: str, names: str | None
) -> None:
    app = CORS(Answer(), **options | {"allow_credentials": True}, expose_headers=("*",))
    for log in (await ask(app, origin=origin), await preflight(app, "PUT", origin, names)):
        assert not any("*" in value for name, value in log.headers if name.startswith("access-"))


# Preflights


async def test_an_allowed_preflight_is_answered_without_the_application() -> None:
    inner = Answer()
    app = CORS(
        inner,
        allow_origins=[OTHER, SITE],
        allow_methods=["GET", "PUT"],
        allow_headers=["X-Token", "X-Other"],
        expose_headers=["x-total"],
        max_age=5,
    )
    log = await preflight(app, "PUT", names="x-token")
    assert (log.status, log.body, inner.scopes) == (204, b"", [])
    assert cors_headers(log) == {
        "allow-origin": SITE,
        "allow-methods": "GET, PUT",
        "allow-headers": "X-Token, X-Other",
        "max-age": "5",
    }
    assert elements(log, "vary") == ["Origin"]
    assert log.header("content-length") is None


async def test_credentials_are_granted_by_the_preflight_as_well() -> None:
    log = await preflight(CORS(Answer(), allow_origins=[SITE], allow_credentials=True))
    assert cors_headers(log)["allow-credentials"] == "true"


@pytest.mark.parametrize(
    ("origin", "method", "names", "words"),
    [
        (OTHER, "GET", None, b"this origin"),
        (SITE, "PATCH", None, b"this method"),
        (SITE, "put", None, b"this method"),
        (SITE, "PUT ", None, b"this method"),
        (SITE, "GET", "x-other", b"these headers"),
        (SITE, "GET", "x-token, x-other", b"these headers"),
        (OTHER, "put", "x-other", b"this origin, this method, these headers"),
    ],
)
async def test_a_refused_preflight_says_why_and_allows_nothing(
    origin: str, method: str, names: str | None, words: bytes
) -> None:
    inner = Answer()
    app = CORS(
        inner,
        allow_origins=[SITE],
        allow_methods=["GET", "PUT"],
        allow_headers=["X-Token"],
        allow_credentials=True,
    )
    log = await preflight(app, method, origin, names)
    assert (log.status, inner.scopes, cors_headers(log)) == (403, [], {})
    assert words in log.body
    assert log.header("content-type") == "text/plain; charset=utf-8"
    assert elements(log, "vary") == ["Origin"]


@pytest.mark.parametrize("names", ["X-TOKEN", "x-token", " x-token\t, ,X-Other,", ""])
async def test_names_of_headers_ignore_case_and_the_list_may_have_gaps(names: str) -> None:
    app = CORS(Answer(), allow_origins=[SITE], allow_headers=["x-Token", "x-other"])
    assert (await preflight(app, names=names)).status == 204


@enforces("HTTP-SCOPE-10", "HTTP-SCOPE-11")
async def test_a_list_of_headers_may_come_in_several_lines_and_names_in_any_case() -> None:
    app = CORS(Answer(), allow_origins=[SITE], allow_headers=["x-a"])
    request = [
        (b"Origin", SITE.encode()),
        (b"Access-Control-Request-Method", b"GET"),
        (b"Access-Control-Request-Headers", b"x-a"),
    ]
    assert (await play(app, http_scope("OPTIONS", headers=request))).status == 204
    request.append((b"Access-Control-Request-Headers", b"x-b"))
    assert (await play(app, http_scope("OPTIONS", headers=request))).status == 403


async def test_a_star_allows_by_name_what_was_asked_for() -> None:
    app = CORS(Answer(), allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])
    assert cors_headers(await preflight(app, "PROPFIND", names="Authorization,x-1")) == {
        "allow-origin": "*",
        "allow-methods": "PROPFIND",
        "allow-headers": "Authorization, x-1",
        "max-age": "600",
    }
    assert "allow-headers" not in cors_headers(await preflight(app, "PROPFIND"))


@pytest.mark.parametrize(
    ("method", "names"), [("P\xdcT", None), ("GET,PUT", None), ("", None), ("GET", "x y")]
)
async def test_a_star_does_not_allow_what_is_no_name(method: str, names: str | None) -> None:
    app = CORS(Answer(), allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])
    log = await preflight(app, method, names=names)
    assert (log.status, cors_headers(log)) == (403, {})


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("OPTIONS", {"origin": SITE}),
        ("OPTIONS", {"access-control-request-method": "GET"}),
        ("options", {"origin": SITE, "access-control-request-method": "GET"}),
        ("GET", {"origin": SITE, "access-control-request-method": "GET"}),
    ],
)
async def test_what_is_no_preflight_reaches_the_application(method: str, headers: dict[str, str]) -> None:
    inner = Answer()
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    log = await play(CORS(inner, allow_origins=[SITE]), http_scope(method, headers=raw))
    assert (log.status, log.body, len(inner.scopes)) == (200, b"answer", 1)


async def test_the_private_network_is_not_opened() -> None:
    app = CORS(Answer(), allow_origins=[SITE])
    log = await ask(
        app, "OPTIONS", access_control_request_method="GET", access_control_request_private_network="true"
    )
    assert "allow-private-network" not in cors_headers(log)


# Responses


@pytest.mark.parametrize("origin", [SITE, OTHER, "null", None])
async def test_for_any_origin_without_credentials_all_answers_are_the_same(origin: str | None) -> None:
    log = await ask(CORS(Answer(), allow_origins=["*"]), origin=origin, cookie="a=b", authorization="Basic x")
    assert cors_headers(log) == {"allow-origin": "*"}
    assert log.header("vary") is None


async def test_for_any_origin_with_credentials_the_origin_is_named() -> None:
    app = CORS(Answer(), allow_origins=["*"], allow_credentials=True)
    assert cors_headers(await ask(app)) == {"allow-origin": SITE, "allow-credentials": "true"}
    assert cors_headers(await ask(app, origin=OTHER)) == {"allow-origin": OTHER, "allow-credentials": "true"}
    assert cors_headers(await ask(app, origin="null")) == {}
    assert cors_headers(await ask(app, origin="*")) == {}


@pytest.mark.parametrize(
    "origin", [None, OTHER, "null", "https://SITE.example", SITE + "/", SITE + ":443", "*", ""]
)
async def test_an_origin_that_is_not_allowed_gets_no_header_but_vary(origin: str | None) -> None:
    app = CORS(Answer(), allow_origins=[SITE], allow_credentials=True, expose_headers=["x-total"])
    log = await ask(app, origin=origin)
    assert (log.status, log.body, cors_headers(log)) == (200, b"answer", {})
    assert elements(log, "vary") == ["Origin"]


async def test_two_origins_are_none() -> None:
    app = CORS(Answer(), allow_origins=[SITE], allow_origin_regex="(?s).*")
    raw = [(b"origin", OTHER.encode()), (b"origin", SITE.encode())]
    assert cors_headers(await play(app, http_scope(headers=raw))) == {}


@pytest.mark.parametrize(
    "origin",
    [
        "https://a.example.evil.org",
        "https://evil.org/https://a.example",
        "xhttps://a.example",
        "https://a\xb2.example",
    ],
)
async def test_a_regex_matches_the_whole_origin(origin: str) -> None:
    app = CORS(Answer(), allow_origin_regex=r"https://\w+\.example|http://\w+\.example")
    assert cors_headers(await ask(app, origin="https://a.example")) == {"allow-origin": "https://a.example"}
    assert cors_headers(await ask(app, origin=origin)) == {}


@pytest.mark.parametrize(
    "origin", ["https://site.example\x0b", "a b", "https://u@site.example", "https://a/b"]
)
async def test_a_generous_regex_meets_only_origins(origin: str) -> None:
    app = CORS(Answer(), allow_origin_regex=r"(?s).*")
    assert cors_headers(await ask(app, origin=origin)) == {}


async def test_a_dot_in_an_allowed_origin_is_a_dot() -> None:
    app = CORS(Answer(), allow_origins=["https://a.example"])
    assert cors_headers(await ask(app, origin="https://axexample")) == {}


async def test_null_is_allowed_by_name_alone() -> None:
    assert cors_headers(await ask(CORS(Answer(), allow_origins=["null"]), origin="null")) == {
        "allow-origin": "null"
    }
    assert cors_headers(await ask(CORS(Answer(), allow_origin_regex=".*"), origin="null")) == {}


async def test_pages_may_read_the_headers_that_are_exposed() -> None:
    app = CORS(Answer(), allow_origins=[SITE], expose_headers=["X-Total", "etag"])
    assert cors_headers(await ask(app))["expose-headers"] == "X-Total, etag"
    everything = CORS(Answer(), allow_origins=[SITE], expose_headers=["*"])
    assert cors_headers(await ask(everything))["expose-headers"] == "*"


async def test_with_credentials_all_headers_are_exposed_by_name() -> None:
    inner = Answer([(b"x-a", b"1"), (b"x-b", b"2"), (b"x-a", b"3")])
    app = CORS(inner, allow_origins=[SITE], expose_headers=["*"], allow_credentials=True)
    assert cors_headers(await ask(app))["expose-headers"] == "x-a, x-b"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], ["Origin"]),
        ([(b"vary", b"Accept-Encoding")], ["Accept-Encoding", "Origin"]),
        ([(b"vary", b"Cookie"), (b"vary", b"Accept")], ["Cookie", "Accept", "Origin"]),
        ([(b"vary", b"origin")], ["origin"]),
        ([(b"vary", b"*")], ["*"]),
    ],
)
async def test_vary_keeps_what_it_says_already(before: list[tuple[bytes, bytes]], after: list[str]) -> None:
    for origin in (SITE, OTHER):
        assert elements(await ask(CORS(Answer(before), allow_origins=[SITE]), origin=origin), "vary") == after


async def test_the_headers_of_an_application_are_replaced_for_an_origin_that_is_allowed() -> None:
    inner = Answer(
        [
            (b"access-control-allow-origin", b"*"),
            (b"access-control-allow-credentials", b"true"),
            (b"access-control-expose-headers", b"x-a"),
        ]
    )
    app = CORS(inner, allow_origins=[SITE], expose_headers=["x-b"])
    assert cors_headers(await ask(app)) == {"allow-origin": SITE, "expose-headers": "x-b"}
    twice = CORS(CORS(Answer(), allow_origins=[SITE]), allow_origins=[SITE])
    assert cors_headers(await ask(twice)) == {"allow-origin": SITE}


@pytest.mark.parametrize("status", [304, 404, 500])
async def test_errors_can_be_read_too(status: int) -> None:
    log = await ask(CORS(Answer(status=status), allow_origins=[SITE]))
    assert (log.status, cors_headers(log)) == (status, {"allow-origin": SITE})


@enforces("APP-MW-04")
async def test_an_exception_comes_out_after_the_answer_to_it() -> None:
    error = LookupError("bug")

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        await Answer(status=500)(scope, receive, send)
        raise error

    log = await ask(CORS(failing, allow_origins=[SITE]))
    assert (log.raised, log.status, cors_headers(log)) == (error, 500, {"allow-origin": SITE})


@enforces("HTTP-RESP-06")
@pytest.mark.parametrize("start", [{}, {"headers": ()}, {"headers": [[b"x-a", b"1"]]}])
async def test_a_response_may_have_no_headers_or_have_them_in_tuples(start: dict[str, Any]) -> None:
    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, **start})
        await send({"type": "http.response.body"})

    log = await ask(CORS(inner, allow_origins=[SITE]))
    assert cors_headers(log) == {"allow-origin": SITE}
    assert log.sent[1] == {"type": "http.response.body"}


@enforces("APP-MW-05")
async def test_messages_that_the_application_keeps_stay_as_they_are() -> None:
    inner = Answer([(b"vary", b"Cookie")])
    app = CORS(inner, allow_origins=[SITE, OTHER])
    for origin in (SITE, OTHER, None):
        log = await ask(app, origin=origin)
        assert log.header("access-control-allow-origin") == origin
    assert inner.start == {"type": "http.response.start", "status": 200, "headers": [(b"vary", b"Cookie")]}


@enforces("APP-MW-03")
async def test_messages_that_do_not_start_a_response_go_through_unchanged() -> None:
    early = {"type": "http.response.debug", "info": {"template": "page"}}
    later = [
        {"type": "http.response.body", "more_body": True, "zzz": 1},
        {"type": "http.response.body", "body": b"b"},
        {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")], "more_trailers": False},
    ]

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send(early)
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True, "zzz": 1})
        for message in later:
            await send(message)

    scope = http_scope(
        headers=[(b"origin", SITE.encode())],
        extensions={"http.response.debug": {}, "http.response.trailers": {}},
    )
    log = await play(CORS(inner, allow_origins=[SITE]), scope)
    assert [log.sent[0], *log.sent[2:]] == [early, *later]
    assert (log.start["trailers"], log.start["zzz"]) == (True, 1)


@enforces("APP-MW-03")
async def test_the_body_of_a_request_goes_through() -> None:
    seen: list[Message] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.extend([await receive(), await receive()])
        await Answer()(scope, receive, send)

    events = body_events(b"a", b"b")
    await play(CORS(inner, allow_origins=[SITE]), http_scope("POST"), events)
    assert seen == events


@enforces("APP-MW-03", "LIFE-APP-10")
@pytest.mark.parametrize("scope", [websocket_scope(headers=[(b"origin", SITE.encode())]), lifespan_scope()])
async def test_other_connections_pass_through_untouched(scope: dict[str, Any]) -> None:
    given: list[Any] = []

    async def inner(*arguments: Any) -> None:
        given.extend(arguments)

    async def receive() -> Message:
        raise AssertionError("not here")

    async def send(message: Message, /) -> None:
        raise AssertionError("not here")

    await CORS(inner, allow_origins=[OTHER])(scope, receive, send)
    assert [each is other for each, other in zip(given, (scope, receive, send), strict=True)] == [True] * 3


@enforces("APP-MW-01")
async def test_the_scope_of_the_caller_is_not_changed() -> None:
    async def inner(scope: Any, receive: Any, send: Any) -> None:
        scope["mine"] = True
        scope["headers"].append((b"x-mine", b"1"))
        await Answer()(scope, receive, send)

    async def receive() -> Message:
        return body_events()[0]

    async def send(message: Message, /) -> None:
        return None

    scope = http_scope(headers=[(b"origin", SITE.encode())])
    await CORS(inner, allow_origins=[SITE])(scope, receive, send)
    assert scope == http_scope(headers=[(b"origin", SITE.encode())])


@enforces("HTTP-SCOPE-09")
async def test_headers_that_can_be_read_once_reach_the_application() -> None:
    inner = Answer()
    pairs = ([b"Origin", SITE.encode()], [b"X-Token", b"1"])
    log = await play(CORS(inner, allow_origins=[SITE]), http_scope(headers=iter(pairs)))
    assert cors_headers(log) == {"allow-origin": SITE}
    assert [tuple(pair) for pair in inner.scopes[0]["headers"]] == [tuple(pair) for pair in pairs]


async def test_a_scope_may_have_no_headers() -> None:
    log = await play(CORS(Answer(), allow_origins=[SITE]), http_scope(headers=...))
    assert (log.status, cors_headers(log)) == (200, {})


async def test_a_client_that_is_gone_is_not_sent_to_again() -> None:
    request = [(b"origin", SITE.encode()), (b"access-control-request-method", b"GET")]
    log = await play(
        CORS(Answer(), allow_origins=[SITE]), http_scope("OPTIONS", headers=request), fail_send_at=0
    )
    assert isinstance(log.raised, OSError)
    assert log.types == ["http.response.start"]


# Options


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"allow_origins": ["https://site.example/"]},
            "'https://site.example/' would never be matched; .* slash",
        ),
        ({"allow_origins": ["https://Site.example"]}, "lower-case"),
        ({"allow_origins": ["site.example"]}, "scheme://host"),
        ({"allow_origins": ["https://*.site.example"]}, "would never be matched"),
        ({"allow_origins": ["https://b\xfccher.example"]}, "ASCII"),
        ({"allow_methods": ["GET, POST"]}, "allow_methods: 'GET, POST'"),
        ({"allow_headers": [""]}, "allow_headers: ''"),
        ({"expose_headers": ["x\r\nset-cookie: a=b"]}, "expose_headers"),
        ({"max_age": -1}, "max_age=-1 is negative"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        CORS(Answer(), **options)


@pytest.mark.parametrize("option", ["allow_origins", "allow_methods", "allow_headers", "expose_headers"])
def test_a_str_is_not_taken_for_a_sequence(option: str) -> None:
    with pytest.raises(TypeError, match=rf"{option}='\*' is one str: pass a sequence, such as \['\*'\]"):
        CORS(Answer(), **{option: "*"})


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:3000",
        "http://[::1]:8000",
        "chrome-extension://abc",
        "capacitor://localhost",
        "file://",
    ],
)
async def test_origins_of_all_kinds_can_be_allowed(origin: str) -> None:
    assert cors_headers(await ask(CORS(Answer(), allow_origins=[origin]), origin=origin)) == {
        "allow-origin": origin
    }


@pytest.mark.parametrize("origin", [SITE, "null", None])
async def test_without_options_nobody_is_allowed(origin: str | None) -> None:
    app = CORS(Answer())
    assert cors_headers(await ask(app, origin=origin)) == {}
    assert cors_headers(await preflight(app, origin=SITE)) == {}
