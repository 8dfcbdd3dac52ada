"""Judges URLs by a reader of our own, which looks for the signs between components and knows no regular expression.

Rule 1: a URL that was built or changed is judged by its text, which `split` takes apart here.
Rule 2: what the sheet leaves open is compared decoded: which characters of a path are encoded, how a query is written.
Rule 3: a test that demands a refusal or an absence first demands that the like of it is there.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, unquote_to_bytes

from hypothesis import example, given
from hypothesis import strategies as st

from grader.suite import Once, Submission, raised, requirement

Test = TypeVar("Test", bound=Callable[..., None])
Scope = dict[str, Any]

UNRESERVED = string.ascii_letters + string.digits + "-._~"
SUB_DELIMS = "!$&'()*+,;="
PARTS = ("scheme", "netloc", "path", "query", "fragment")
IN_NETLOC = ("username", "password", "hostname", "port")
MAY_STAND = {"path": ":@/", "query": ":@/?", "fragment": ":@/?", "username": "", "password": ""}
"""What may stand in a component as it is, besides unreserved characters and sub-delimiters (RFC 3986, section 3)."""

# --- the oracle ---------------------------------------------------------------------------------------------


def split(url: str) -> dict[str, Any]:
    """All components of a URL, by name (RFC 3986, section 3)."""
    rest, _, fragment = url.partition("#")
    rest, _, query = rest.partition("?")
    scheme, colon, after = rest.partition(":")
    if (
        colon
        and scheme[:1] in string.ascii_letters
        and scheme.strip(string.ascii_letters + string.digits + "+-.") == ""
    ):
        rest = after
    else:
        scheme = ""
    netloc = ""
    if rest.startswith("//"):
        netloc, slash, rest = rest[2:].partition("/")
        rest = slash + rest
    parts = {"scheme": scheme.lower(), "netloc": netloc, "path": rest, "query": query, "fragment": fragment}
    return parts | split_netloc(netloc)


def split_netloc(netloc: str) -> dict[str, Any]:
    """The parts of a netloc, by name; None is one that is not there, or empty."""
    user, _, host = netloc.rpartition("@")
    username, _, password = user.partition(":")
    hostname, bracket, port = host.rpartition("]")
    if not bracket:
        hostname, _, port = host.partition(":")
    port = port.removeprefix(":")
    return {
        "username": username or None,
        "password": password or None,
        "hostname": hostname.removeprefix("[").lower() or None,
        "port": int(port) if port else None,
    }


def encoded(text: str, also: str) -> str:
    """A text with all percent-encoded but what may stand as it is, such as `also`, and what is encoded already."""
    out = ""
    for place, character in enumerate(text):
        digits = text[place + 1 : place + 3]
        is_encoded = character == "%" and len(digits) == 2 and digits.strip(string.hexdigits) == ""
        stays = is_encoded or character in UNRESERVED + SUB_DELIMS + also
        out += character if stays else "".join(f"%{byte:02X}" for byte in character.encode())
    return out


def fields(query: str) -> list[tuple[str, str]]:
    """The fields of a query, decoded."""
    return parse_qsl(query, keep_blank_values=True)


def check_encoded(written: str, expected: str, also: str) -> None:
    """What was written says what is expected, holds nothing that cannot stand there, and is written in upper case."""
    outside = re.sub(r"%[0-9A-Fa-f]{2}", "", written).strip(UNRESERVED + SUB_DELIMS + also)
    assert outside == "", f"{outside!r} must be percent-encoded in {written!r}"
    assert unquote_to_bytes(written) == unquote_to_bytes(expected), (
        f"{written!r} is {unquote(written)!r} when it is decoded; expected: {unquote(expected)!r}"
    )
    for found in re.findall("%[0-9A-Fa-f]{2}", written):
        assert found == found.upper() or found in expected, (
            f"{found} has its letters in lower case: {written!r}"
        )


def check_others(written: str, expected: Mapping[str, Any], changed: Sequence[str]) -> None:
    """All components but the changed ones are what is expected."""
    parts = split(written)
    for name, value in expected.items():
        if name not in changed:
            assert parts[name] == value, f"the {name} of {written!r} is {parts[name]!r}; expected: {value!r}"


# --- what is drawn ------------------------------------------------------------------------------------------

SCHEMES = st.sampled_from(["", "http:", "https:", "HTTPS:", "ws:", "a+b-c.1:"])
NETLOCS = st.sampled_from(
    ["//h", "//Example.ORG:8000", "//u@h:1", "//u:p@[::1]:8000", "//a%40:b:c@h", "//a@b@h"]
)
PATHS = st.sampled_from(["", "/", "/a//b", "/a:b@c", "/%2F%41;=", "/é"])
QUERIES = st.sampled_from(["", "?a=1&b", "?a?b/c", "?%3F"])
FRAGMENTS = st.sampled_from(["", "#a", "#/?#b", "#:@"])
URLS = st.builds("{}{}{}{}{}".format, SCHEMES, NETLOCS | st.just(""), PATHS, QUERIES, FRAGMENTS)
FULL_URLS = st.builds(
    "{}{}{}{}{}".format,
    SCHEMES,
    st.sampled_from(["//h", "//Example.ORG:8000", "//u@h:1", "//u:p@[::1]:8000"]),
    PATHS,
    st.sampled_from(["", "?a=1&b", "?%3F"]),
    st.sampled_from(["", "#a", "#:@"]),
)
TEXTS = st.text(
    st.sampled_from('aZ1-._~/:@%?#[]&=+ \\"<\n\té☃') | st.characters(exclude_categories=["Cs"]), max_size=8
)

FULL = "http://u:p@h:1/a?b=c#d"


def each(**values: Sequence[Any]) -> Callable[[Test], Test]:
    """Pins one example for each combination of these values, the first to be tried first."""

    def pin(test: Test) -> Test:
        for combination in reversed(list(product(*values.values()))):
            test = example(**dict(zip(values, combination, strict=True)))(test)
        return test

    return pin


def scope_of(kind: str = "http", host: str | None = None, **keys: Any) -> Scope:
    """A short scope of a request or a websocket for `/`, with this `host` header; a key that is `...` is absent."""
    headers = [] if host is None else [(b"host", host.encode("latin-1"))]
    scheme = "http" if kind == "http" else "ws"
    scope = {
        "type": kind,
        "scheme": scheme,
        "path": "/",
        "query_string": b"",
        "headers": headers,
        "server": None,
    }
    scope |= keys
    return {key: value for key, value in scope.items() if value is not ...}


# --- components ---------------------------------------------------------------------------------------------

WELL_KNOWN = [
    "http://example.org/a/b?c=d#e",
    "HTTP://example.org",
    "http://h?a",
    "http://h#a",
    "/a%20b/c;d",
    "/a?b?c#d#e",
    "/a#b?c",
    "?a",
    "#a",
    "",
    "a/b:c",
    "1a:b",
    "//h/a",
    "mailto:ada@example.org",
    "file:///a",
    "http://h//a",
    "/a://b",
    "http://h/?a=http://b/#c",
    "a+b-c.1://h/a",
    "x:a",
    "/a#",
    "/a?#",
    "/a//b",
    "http://h/a//b",
    "/.well-known//a",
    "http://h/.//a",
]


@requirement("URL-01")
@given(url=URLS)
@each(url=WELL_KNOWN)
def test_a_url_is_taken_apart(submission: Submission, url: str) -> None:
    """`scheme`, `netloc`, `path`, `query` and `fragment` are read from the text, and `""` where there is none."""
    expected = split(url)
    for name in PARTS:
        got = submission.call("component", url=url, name=name)
        assert got == expected[name], f"the {name} of {url!r} is {got!r}; expected: {expected[name]!r}"


@requirement("URL-02")
@given(url=URLS)
@each(
    url=[
        "http://ada:pw@example.org:8000/",
        "//Example.ORG",
        "//XN--BCHER-KVA.example",
        "//ada@h",
        "//h:80",
        "//[::1]:80/",
        "//[2001:DB8::1]",
        "//a:b:c@h",
        "//a@b:c@d@h:1",
        "//a%3A:%40@h",
        "/a@b:c",
        "mailto:ada@example.org",
        "http://h/@b:1",
        "http://h?@b:1",
    ]
)
def test_a_netloc_is_taken_apart(submission: Submission, url: str) -> None:
    """`username`, `password`, `hostname` and `port` are read from the netloc, and None where there is none."""
    expected = split(url)
    for name in IN_NETLOC:
        got = submission.call("component", url=url, name=name)
        assert got == expected[name], f"the {name} of {url!r} is {got!r}; expected: {expected[name]!r}"


@requirement("URL-02")
def test_only_https_and_wss_are_secure(submission: Submission) -> None:
    """`is_secure` is True for `https` and `wss`, in any case, and False for all others."""
    for scheme in ("https:", "wss:", "HTTPS:", "http:", "ws:", "", "httpsx:", "a:"):
        got = submission.call("component", url=f"{scheme}//h/https", name="is_secure")
        expected = scheme.lower() in ("https:", "wss:")
        assert got is expected, f"is_secure of {scheme + '//h/https'!r} is {got!r}; expected: {expected}"


@requirement("URL-03")
@given(url=URLS, other=URLS)
@example(url="http://h/a", other="http://h/b")
@example(url="HTTP://H", other="http://h")
@example(url="/a?", other="/a")
@example(url="", other="/")
def test_a_url_is_its_text(submission: Submission, url: str, other: str) -> None:
    """`str` gives the very text; two URLs are equal if their texts are, and a URL is equal to its text."""
    got = submission.call("text", url=url)
    assert got == url
    got = submission.call("equal", url=url, other=url)
    assert got == [True, False, True, False, True], _equality(url, url, got)
    same = url == other
    got = submission.call("equal", url=url, other=other)
    assert got[:4] == [same, not same, same, not same], _equality(url, other, got)


def _equality(url: str, other: str, got: Any) -> str:
    asked = ["URL == URL", "URL != URL", "URL == str", "URL != str", "hash(URL) == hash(URL)"]
    return f"of {url!r} and {other!r}: {dict(zip(asked, got, strict=True))!r}"


@requirement("URL-03")
def test_a_url_is_a_key_and_no_other_value(submission: Submission) -> None:
    """A URL is found in a dict by its text, and is unequal to anything but URLs and texts."""
    assert submission.call("value_of_key", url="http://h/a") == "found", "hash(url) is not hash(str(url))"
    for url, value in (("/5", b"/5"), ("b'/5'", b"/5"), ("None", None), ("5", 5)):
        got = submission.call("equal_to", url=url, value=value)
        assert got is False, f"URL({url!r}) == {value!r} gave {got!r}"


@requirement("URL-03")
@given(
    password=st.sampled_from(["secret", "s3cr:et", "s%40cret", "s@cret"]), user=st.sampled_from(["", "ada"])
)
@example(password="secret", user="ada")
@example(password="secret", user="")
@example(password="s@cret", user="ada")
def test_repr_hides_the_password(submission: Submission, password: str, user: str) -> None:
    """`repr(url)` shows the hostname, and does not hold the password."""
    got = submission.call("shown", url=f"http://{user}:{password}@example.org:8000/a?b")
    assert "example.org" in got, f"{got!r} does not show the hostname"
    assert password not in got, f"{got!r} shows the password"


BAD_NETLOCS = [
    "h:x", "h:65536", "h:99999999999", "h:123456", "h:-1", "h:+1", "h:1_0", "h:80:80", "h:٣", "[::g]", "[::1", "::1",
    "::1]", "[::1]a", "[]", "[h]", "a[::1]", "[1.2.3.4]", "é", "a\u2100b", "a<b", 'a"b', "a|b", "{a}", "u:p@h:x",
    "u@[h]",
]  # fmt: skip


@requirement("URL-04")
@given(netloc=st.sampled_from(BAD_NETLOCS), url=st.sampled_from(["http://{}/a?b", "//{}", "wss://{}#a"]))
@each(netloc=BAD_NETLOCS, url=["http://{}/a?b"])
@each(netloc=BAD_NETLOCS[:3], url=["//{}"])
def test_a_host_or_port_that_is_none_is_refused(submission: Submission, netloc: str, url: str) -> None:
    """`URL(text)` raises ValueError for a host or a port that is not well formed."""
    for good in ("h", "a_b-c.d~:65535", "u:p@[::1]:8000", "u:@h"):
        assert submission.call("text", url=url.format(good)) == url.format(good)
    with raised("ValueError"):
        submission.call("text", url=url.format(netloc))


MISREAD = ["\t", "\n", "\r", "\0", "\x1f", "\x7f", " ", "\\"]
PLACES = [
    "/{}/evil.com",
    "{}//evil.com",
    "/a{}",
    "java{}script:x",
    "//h{}",
    "//u{}p@h/",
    "//h/a{}?b",
    "//h/a{}#b",
]


@requirement("URL-04")
@given(character=st.sampled_from(MISREAD), place=st.sampled_from(PLACES))
@each(character=MISREAD, place=PLACES[:3])
@each(character=MISREAD[:1], place=PLACES)
def test_what_browsers_would_read_otherwise_is_refused(
    submission: Submission, character: str, place: str
) -> None:
    """A control character, a space or a backslash before query and fragment is a ValueError."""
    good = place.format("x")
    assert submission.call("text", url=good) == good
    with raised("ValueError"):
        submission.call("text", url=place.format(character))


# --- from a scope -------------------------------------------------------------------------------------------


def _made(submission: Submission, scope: Scope, expected: str) -> None:
    got = submission.call("from_scope", scope=scope)
    assert got == expected, f"the URL is {got!r}; expected: {expected!r}"


@requirement("URL-05")
@given(
    scheme=st.sampled_from(["http", "https"]),
    host=st.sampled_from(["example.org", "h:8000", "127.0.0.1:1", "[::1]:8000"]),
    path=st.sampled_from(["/", "/a", "/a/b/", "/a//b"]),
    query=st.sampled_from(["", "a", "a=1&b=2"]),
)
@example(scheme="http", host="example.org", path="/a", query="b=c")
@example(scheme="https", host="[::1]:8000", path="/", query="")
def test_it_is_put_together(submission: Submission, scheme: str, host: str, path: str, query: str) -> None:
    """`scheme://host/path?query`, without `?` where the query is empty."""
    keys = {"scheme": scheme, "path": path, "query_string": query.encode(), "server": ("srv", 9)}
    scope = scope_of(host=host, **keys)
    _made(submission, scope, f"{scheme}://{host}{path}" + (f"?{query}" if query else ""))


SHAPES: dict[str, Callable[[Any], Any]] = {"list": list, "tuple": tuple, "iterator": Once}


@requirement("URL-05")
@given(
    name=st.sampled_from([b"host", b"Host", b"HOST"]),
    outer=st.sampled_from(list(SHAPES)),
    inner=st.sampled_from(list(SHAPES)),
)
@each(name=[b"host", b"Host", b"HOST"], outer=["list"], inner=["tuple"])
@each(name=[b"host"], outer=list(SHAPES), inner=list(SHAPES))
def test_the_first_host_header_counts(submission: Submission, name: bytes, outer: str, inner: str) -> None:
    """The host is that of the first header called `host`, in any case; headers come in any iterables."""
    pairs = [(b"x-host", b"no"), (name, b"example.org:8000"), (b"host", b"second.org")]
    headers = SHAPES[outer]([SHAPES[inner](pair) for pair in pairs])
    _made(submission, scope_of(headers=headers, path="/a"), "http://example.org:8000/a")


SERVERS: list[tuple[Any, str]] = [
    (("srv", 8000), "http://srv:8000/a?b"),
    (["127.0.0.1", 8000], "http://127.0.0.1:8000/a?b"),
    (("::1", 8000), "http://[::1]:8000/a?b"),
    (["2001:db8::1", 1], "http://[2001:db8::1]:1/a?b"),
    (["/run/app.sock", None], "/a?b"),
    (("app.sock", None), "/a?b"),
    (None, "/a?b"),
]


@requirement("URL-05")
@given(case=st.sampled_from(SERVERS))
@each(case=SERVERS)
def test_without_a_host_header_the_server_is_the_host(submission: Submission, case: tuple[Any, str]) -> None:
    """The server is the host, an IPv6 address in brackets; a unix socket is none, and then there is a path only."""
    server, expected = case
    for headers in ([], [(b"x", b"1")]):
        scope = scope_of(headers=headers, server=server, path="/a", query_string=b"b")
        _made(submission, scope, expected)


ABSENT: list[tuple[dict[str, Any], str]] = [
    ({"scheme": ...}, "srv:9"),
    ({"scheme": None}, "srv:9"),
    ({"headers": ...}, "srv:9"),
    ({"query_string": ...}, "srv:9"),
    ({"query_string": None}, "srv:9"),
    ({"server": ...}, ""),
    ({"server": ..., "headers": ..., "query_string": ..., "scheme": ...}, ""),
]


@requirement("URL-05")
@given(kind=st.sampled_from(["http", "websocket"]), case=st.sampled_from(ABSENT))
@each(case=ABSENT, kind=["http", "websocket"])
def test_what_may_be_absent_may_be_absent(submission: Submission, kind: str, case: Any) -> None:
    """Without a scheme it is `http`, for a websocket `ws`; headers, server and query may be absent, too."""
    absent, host = case
    scheme = "http" if kind == "http" else "ws"
    scope = scope_of(kind, **({"path": "/a", "server": ("srv", 9)} | absent))
    _made(submission, scope, f"{scheme}://{host}/a" if host else "/a")


GOOD_HOSTS = [
    "h", "example.org", "a-b.c_d~e", "127.0.0.1", "127.0.0.1:8000", "h:1", "h:65535", "[::1]", "[::1]:8000",
    "[::ffff:1.2.3.4]:81", "1", "xn--bcher-kva.example", "a.", "-", "[2001:db8::1]",
]  # fmt: skip
BAD_HOSTS = [
    "evil.com/?x=", "a/b", "a?b", "a#b", "a\\b", "a b", " a", "a ", "a\n", "a\t", "a\0", "u@a", "u:p@a", "@a", "a:x",
    "a:-1", "a:+1", "a:65536", "a:99999999999", "a: 80", "a:80 ", "a:80\n", "a:80:80", ":80", "a:1_0", "a:\xb2", "\xff",
    "\xc3\xa9", "::1", "[::1", "::1]", "[::1]a", "[]", "[::g]", "[1.2.3.4]", "[a]", "a[::1]", "a<b", 'a"b', "{a}",
    "a, b", "http://a", "", " ",
]  # fmt: skip
HOST_TEXTS = st.text("ab.:/@?#[]1 \n\\\xe9", max_size=6)


def _is_well_formed(host: str) -> bool:
    """Whether a text of `HOST_TEXTS` is a host and perhaps a port."""
    return re.fullmatch(r"[ab.1]+(:[1]{1,4})?", host) is not None


@requirement("URL-06")
@given(host=HOST_TEXTS.filter(_is_well_formed) | st.sampled_from(GOOD_HOSTS))
@each(host=GOOD_HOSTS)
def test_a_well_formed_host_counts(submission: Submission, host: str) -> None:
    """A name, an IPv4 address, an IPv6 address in brackets, each perhaps with a port, is the host."""
    _made(submission, scope_of(host=host, server=("srv", 9)), f"http://{host}/")


@requirement("URL-06")
@given(host=st.sampled_from(BAD_HOSTS) | HOST_TEXTS.filter(lambda host: not _could_be_host(host)))
@each(host=BAD_HOSTS)
def test_a_malformed_host_does_not_count(submission: Submission, host: str) -> None:
    """A header that is not a host counts as if it were not there, and is no error."""
    _made(submission, scope_of(host="h", server=("srv", 9)), "http://h/")
    _made(submission, scope_of(host=host, server=("srv", 9), path="/a"), "http://srv:9/a")
    _made(submission, scope_of(host=host, path="/a"), "/a")


def _could_be_host(host: str) -> bool:
    """Whether the sheet allows that a text of `HOST_TEXTS` is taken for a host."""
    return re.fullmatch(r"([ab.1]+|\[[ab.:1]*\])(:1*)?", host) is not None


PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


@requirement("URL-07")
@given(scheme=st.sampled_from([*PORTS, "coap"]), port=st.sampled_from([80, 443, 8000, 8080, 1]))
@each(scheme=[*PORTS, "coap"], port=[80, 443, 8000])
def test_only_the_default_port_is_left_out(submission: Submission, scheme: str, port: int) -> None:
    """The default port of the scheme is left out, from the header as from the server; every other stays."""
    kind = "http" if scheme.startswith("http") else "websocket"
    for host, written in (("h", "h"), ("::1", "[::1]")):
        expected = f"{scheme}://{written}/" if port == PORTS.get(scheme) else f"{scheme}://{written}:{port}/"
        _made(submission, scope_of(kind, host=f"{written}:{port}", scheme=scheme), expected)
        _made(submission, scope_of(kind, server=(host, port), scheme=scheme), expected)


SCOPE_PATHS = [
    "/a b", "/a%20b", "/a+b", "/é/☃/𝄞", "/a?b#c", "/[a]", "/a\\b", "/a\n\0", "/-._~", "/a:@!$&'()*+,;=b", "/a//b/",
    "/%", '/"<>^`{|}', "/a/../b/.",
]  # fmt: skip


@requirement("URL-08")
@given(path=TEXTS.map("/x{}".format))
@each(path=SCOPE_PATHS)
def test_the_path_is_percent_encoded(submission: Submission, path: str) -> None:
    """The path of the scope is percent-encoded as UTF-8, once, a `%` too; letters, digits, `-._~` and `/` stay."""
    got = submission.call("from_scope", scope=scope_of(host="example.org", path=path))
    assert got.startswith("http://example.org/"), f"the URL is {got!r}"
    written = got.removeprefix("http://example.org")
    check_encoded(written, encoded(path.replace("%", "%25"), ":@/"), ":@/")
    needless = [
        found for found in re.findall("%[0-9A-Fa-f]{2}", written) if unquote(found) in UNRESERVED + "/"
    ]
    assert needless == [], f"{needless[0]} is {unquote(needless[0])!r}, which stays as it is: {written!r}"


@requirement("URL-08")
def test_nothing_is_added_to_the_path(submission: Submission) -> None:
    """`root_path` is part of the path already, `raw_path` does not count, and an empty path stays empty."""
    for path, keys in (
        ("/api/a", {"root_path": "/api"}),
        ("/a", {"root_path": "/api"}),
        ("/a", {"raw_path": b"/b"}),
        ("/a", {"raw_path": None}),
        ("", {}),
    ):
        _made(submission, scope_of(host="example.org", path=path, **keys), f"http://example.org{path}")


QUERY_CASES = [
    b"a=%20&b=+&c",
    b"%zz&&;=%",
    b"?/:@",
    b"q=%C3%A9&r=\xc3\xa9",
    b"\xff",
    b"a=#b",
    b"##",
    b"a[]=1&b={}|\\",
    b"%23",
]


@requirement("URL-08")
@given(query=st.text("ab=&+%;?/:@#[]", min_size=1, max_size=8).map(str.encode))
@each(query=QUERY_CASES)
def test_the_query_stays_as_it_came(submission: Submission, query: bytes) -> None:
    """The query is neither decoded nor encoded; only a `#`, which would end it, becomes `%23`."""
    expected = query.decode("latin-1").replace("#", "%23")
    _made(submission, scope_of(host="example.org", query_string=query), f"http://example.org/?{expected}")


# --- a path never becomes a host ----------------------------------------------------------------------------

SLASHES = ["//evil.com/x", "///evil.com", "//", "//u:p@evil.com:80", "//evil.com:x"]


@requirement("URL-09")
@given(path=st.sampled_from(SLASHES))
@each(path=SLASHES)
def test_a_path_is_never_a_netloc(submission: Submission, path: str) -> None:
    """Where a URL has no netloc, a path that begins with `//` has `/.` in front, from a scope and by `replace`."""
    _made(submission, scope_of(path="/a", query_string=b"b"), "/a?b")
    parts = encoded(path, ":@/")
    got = submission.call("from_scope", scope=scope_of(path=path, query_string=b"b"))
    _check_guarded(got, f"/.{parts}?b")
    got = submission.call("replaced", url="/a?b#c", changes={"path": parts})
    _check_guarded(got, f"/.{parts}?b#c")
    got = submission.call("replaced", url=f"http://h{parts}?b", changes={"scheme": "", "netloc": ""})
    _check_guarded(got, f"/.{parts}?b")
    got = submission.call("replaced", url=f"/.{parts}?a", changes={"query": "b"})
    _check_guarded(got, f"/.{parts}?b")
    _made(submission, scope_of(host="h", path="//a"), "http://h//a")


def _check_guarded(got: str, expected: str) -> None:
    found = split(got)["netloc"]
    assert not found, f"the URL is {got!r}, and {found!r} is its host; expected: {expected!r}"
    assert unquote(got) == unquote(expected), f"the URL is {got!r}; expected: {expected!r}"


SLASHLESS = ["@evil.com/x", ":80@evil.com", ".evil.com", "evil.com", "*", "a:b"]


@requirement("URL-09")
@given(path=st.sampled_from(SLASHLESS))
@each(path=SLASHLESS)
def test_a_path_gets_the_slash_that_it_needs(submission: Submission, path: str) -> None:
    """A path without a slash at its beginning gets one: from a scope, and beside a netloc by `replace`."""
    for host, before in (("h", "http://h"), (None, "")):
        got = submission.call("from_scope", scope=scope_of(host=host, path=path))
        assert unquote(got) == f"{before}/{path}", f"the URL is {got!r}; expected: {before + '/' + path!r}"
    got = submission.call("replaced", url="http://h/a?b", changes={"path": path})
    assert unquote(got) == f"http://h/{path}?b", (
        f"the URL is {got!r}; expected: {'http://h/' + path + '?b'!r}"
    )


# --- changing -----------------------------------------------------------------------------------------------

CHANGES: list[tuple[str, dict[str, Any], str]] = [
    (FULL, {}, FULL),
    (FULL, {"scheme": "https"}, "https://u:p@h:1/a?b=c#d"),
    (FULL, {"netloc": "x:2"}, "http://x:2/a?b=c#d"),
    (FULL, {"netloc": "[::1]"}, "http://[::1]/a?b=c#d"),
    (FULL, {"hostname": "x.org"}, "http://u:p@x.org:1/a?b=c#d"),
    (FULL, {"hostname": "::1"}, "http://u:p@[::1]:1/a?b=c#d"),
    (FULL, {"hostname": "[::1]"}, "http://u:p@[::1]:1/a?b=c#d"),
    (FULL, {"port": 8000}, "http://u:p@h:8000/a?b=c#d"),
    (FULL, {"port": 80}, "http://u:p@h:80/a?b=c#d"),
    (FULL, {"port": 0}, "http://u:p@h:0/a?b=c#d"),
    (FULL, {"port": 65535}, "http://u:p@h:65535/a?b=c#d"),
    (FULL, {"username": "v"}, "http://v:p@h:1/a?b=c#d"),
    (FULL, {"password": "q"}, "http://u:q@h:1/a?b=c#d"),
    (FULL, {"path": "/x/y"}, "http://u:p@h:1/x/y?b=c#d"),
    (FULL, {"path": "//x"}, "http://u:p@h:1//x?b=c#d"),
    (FULL, {"query": "x=1&y=2"}, "http://u:p@h:1/a?x=1&y=2#d"),
    (FULL, {"fragment": "x"}, "http://u:p@h:1/a?b=c#x"),
    (FULL, {"scheme": "https", "port": 8443, "path": "/x", "query": "y"}, "https://u:p@h:8443/x?y#d"),
    ("https://[::1]:8000/", {"port": 42}, "https://[::1]:42/"),
    ("http://h/a", {"hostname": "x"}, "http://x/a"),
    ("http://H/a", {"port": 1}, "http://H:1/a"),
    ("http://h/a", {"username": "u"}, "http://u@h/a"),
    ("http://a%40b@h/a%20", {"port": 1}, "http://a%40b@h:1/a%20"),
    ("/a?b", {"scheme": "http", "netloc": "h"}, "http://h/a?b"),
    ("/a", {"scheme": "http", "hostname": "h", "port": 1}, "http://h:1/a"),
    ("/a?é=%zz#é", {"path": "/b"}, "/b?é=%zz#é"),
    ("http://h", {"query": "a"}, "http://h?a"),
    ("/a/b", {"path": "/c"}, "/c"),
    ("/a//b", {"query": "c"}, "/a//b?c"),
    ("/a:b/c", {"query": "d"}, "/a:b/c?d"),
]


@requirement("URL-10")
@given(case=st.sampled_from(CHANGES))
@each(case=CHANGES)
def test_components_are_replaced(submission: Submission, case: tuple[str, dict[str, Any], str]) -> None:
    """`replace` puts the given components in the place of the old ones; the others stay, and so does the old URL."""
    url, changes, expected = case
    got = submission.call("replaced", url=url, changes=changes)
    assert got == expected, f"{url!r} with {changes!r} is {got!r}; expected: {expected!r}"
    assert submission.call("unchanged", url=url, changes=changes) == url, "the URL itself was changed"


TAKEN: list[tuple[dict[str, Any], str]] = [
    ({"port": None}, "http://u:p@h/a?b=c#d"),
    ({"username": None, "password": None}, "http://h:1/a?b=c#d"),
    ({"password": None}, "http://u@h:1/a?b=c#d"),
    ({"username": None}, "http://:p@h:1/a?b=c#d"),
    ({"path": None}, "http://u:p@h:1?b=c#d"),
    ({"query": None}, "http://u:p@h:1/a#d"),
    ({"fragment": None}, "http://u:p@h:1/a?b=c"),
    ({"scheme": None}, "//u:p@h:1/a?b=c#d"),
    ({"scheme": None, "netloc": None}, "/a?b=c#d"),
    ({"query": None, "fragment": None, "path": "/x"}, "http://u:p@h:1/x"),
]


@requirement("URL-10")
@given(case=st.sampled_from(TAKEN))
@each(case=TAKEN)
def test_components_are_taken_away(submission: Submission, case: tuple[dict[str, Any], str]) -> None:
    """None and `""` take a component away, with the sign that parts it from the others."""
    changes, expected = case
    for nothing in (None, ""):
        given_changes = {name: nothing if value is None else value for name, value in changes.items()}
        got = submission.call("replaced", url=FULL, changes=given_changes)
        assert got.rstrip("?#") == expected, (
            f"{FULL!r} with {given_changes!r} is {got!r}; expected: {expected!r}"
        )


SPILLS: list[tuple[str, str]] = [
    *(
        ("path", value)
        for value in ["/a?b", "/a#b", "/a b", "/é☃", "/%41%zz%", "/[a]", "/\\\n", "/a%20%2F", "/%c3%a9%4%4z"]
    ),
    *(("query", value) for value in ["a#b", "a b", "é=☃", "x=%41%zz%", "a=1&b=?/:@+", "[]"]),
    *(("fragment", value) for value in ["a#b", "a b", "é", "%41%zz%", "?/:@!"]),
    *(("username", value) for value in ["a:b", "a@b", "a/b", "é%20%", "a?b", "a#b", "a\\b", "[a]"]),
    *(("password", value) for value in ["a@b", "a/b", "é%20%", "a?b", "a#b", "a b"]),
]


@requirement("URL-10")
@given(
    url=FULL_URLS,
    change=st.tuples(st.sampled_from(list(MAY_STAND)), TEXTS).map(
        lambda change: (change[0], f"/x{change[1]}" if change[0] == "path" else change[1])
    ),
)
@each(url=[FULL], change=SPILLS)
def test_a_component_never_spills_into_another(
    submission: Submission, url: str, change: tuple[str, str]
) -> None:
    """What cannot stand in a component is percent-encoded, `%41` stays, and all other components stay, too."""
    name, value = change
    got = submission.call("replaced", url=url, changes={name: value})
    also, expected = MAY_STAND[name], encoded(value, MAY_STAND[name])
    changed = (name, "netloc") if name in IN_NETLOC else (name,)
    check_others(got, split(url), changed)
    written = split(got)[name] or ""
    check_encoded(written, expected, also)
    if name in ("query", "fragment"):
        assert written == expected, f"the {name} is {written!r}; expected: {expected!r}"
    for found in re.findall("%[0-9A-Fa-f]{2}", value):
        assert found in written, f"{found} is encoded already, and stays: {written!r}"


REFUSED: list[dict[str, Any]] = [
    *({"scheme": value} for value in ["1x", "a b", "a:", "a/b", "é", ":", "a\n"]),
    *({"netloc": value} for value in ["a/b", "a?b", "a#b", "a b", "a:x", "é", "a:65536", "[::g]", "a\\b"]),
    *(
        {"hostname": value}
        for value in ["a/b", "a:80", "u@h", "a b", "é", "::g", "[::1", "h\n", "a?b", "a#b", "a\\b"]
    ),
    *({"port": value} for value in [-1, 65536, 10**9]),
]


@requirement("URL-11")
@given(changes=st.sampled_from(REFUSED))
@each(changes=REFUSED)
def test_what_is_no_component_is_refused(submission: Submission, changes: dict[str, Any]) -> None:
    """A scheme, netloc, hostname or port that is none raises ValueError."""
    good = {"scheme": "ws", "netloc": "x:2", "hostname": "x", "port": 2}
    name = next(iter(changes))
    got = submission.call("replaced", url="http://h:1/a", changes={name: good[name]})
    assert split(got)[name] == good[name]
    for url in ("http://h:1/a", "/a") if name == "scheme" else ("http://h:1/a",):
        with raised("ValueError"):
            submission.call("replaced", url=url, changes=changes)


@requirement("URL-11")
def test_a_name_that_no_component_has_is_refused(submission: Submission) -> None:
    """A name that is no component raises TypeError, also beside one that is."""
    assert submission.call("replaced", url="/a", changes={"path": "/b"}) == "/b"
    for changes in ({"host": "h"}, {"path": "/b", "params": "x"}, {"is_secure": True}, {"self": 1}):
        with raised("TypeError"):
            submission.call("replaced", url="/a", changes=changes)


# --- the query ----------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c d", "é", "self", "A"])
VALUES = st.sampled_from(["1", "", "x y", "&=+#?%41", "é☃", 5, 0, True, None])
PARAMS = st.dictionaries(NAMES, VALUES, max_size=3)
WRITTEN = st.lists(
    st.sampled_from(
        [
            "a=1",
            "a",
            "%61=2",
            "b=%20+",
            "c+d=1",
            "c%20d",
            "%C3%A9=1",
            "=",
            "",
            "A=1",
            "ab=1",
            "b=%FF",
            "b=%zz",
        ]
    ),
    max_size=5,
).map("&".join)


def _check_query(got: str, expected: list[tuple[str, str]]) -> None:
    check_others(got, split("http://u@h:1/p/q#f"), ["query"])
    query = split(got)["query"]
    assert fields(query) == expected, (
        f"the query {query!r} has the fields {fields(query)!r}; expected: {expected!r}"
    )


@requirement("URL-12")
@given(query=WRITTEN, params=PARAMS)
@example(query="b=2", params={"a": 1})
@example(query="", params={"a": 1})
@example(query="a=1&b=2&a=3", params={"a": "4"})
@example(query="b=1&b=2", params={"a": 1})
@example(query="%61=1&ab=2", params={"a": "3"})
@example(query="b", params={"self": "x", "é &": "=+ %41"})
@example(query="b=%FF&&c+d=e%20f&g", params={})
def test_included_fields_stand_at_the_end(submission: Submission, query: str, params: dict[str, Any]) -> None:
    """`include_query_params` takes out the fields of its names, and puts its own at the end."""
    kept = [field for field in fields(query) if field[0] not in params]
    got = submission.call("included", url=f"http://u@h:1/p/q?{query}#f", params=params)
    _check_query(got, kept + [(name, str(value)) for name, value in params.items()])


@requirement("URL-12")
@given(query=WRITTEN, params=PARAMS)
@example(query="a=1&b=2", params={"c": 3})
@example(query="a=1", params={})
@example(query="", params={"self": 1, "a b": "é &"})
def test_replaced_fields_are_the_whole_query(
    submission: Submission, query: str, params: dict[str, Any]
) -> None:
    """`replace_query_params` makes its fields the whole query."""
    got = submission.call("with_query", url=f"http://u@h:1/p/q?{query}#f", params=params)
    _check_query(got, [(name, str(value)) for name, value in params.items()])


@requirement("URL-12")
@given(query=WRITTEN, names=st.lists(NAMES, max_size=2, unique=True) | NAMES)
@example(query="a=1&b=2&a=3&c=4", names="a")
@example(query="a=1&b=2&c=3", names=["a", "c"])
@example(query="a=1&b=2&ab=3", names="ab")
@example(query="%61=1&b", names="a")
@example(query="a=1", names=["a"])
@example(query="a=1&a=2&b=%FF", names=[])
def test_removed_fields_are_gone(submission: Submission, query: str, names: Any) -> None:
    """`remove_query_params` takes out all fields of one name, or of each of some names, and no other."""
    gone = [names] if isinstance(names, str) else names
    kept = [field for field in fields(query) if field[0] not in gone]
    for form in (names, Once(names)) if isinstance(names, list) else (names,):
        got = submission.call("removed", url=f"http://u@h:1/p/q?{query}#f", names=form)
        _check_query(got, kept)


# --- the path below the root --------------------------------------------------------------------------------

BELOW = [
    ("/api", "/api/x", "/x"), ("/api", "/api", ""), ("/api", "/api/", "/"), ("/api", "/api//x", "//x"),
    ("/api", "/api/api/x", "/api/x"), ("/a/b", "/a/b/c", "/c"), ("/é", "/é/x", "/x"), ("/a(b", "/a(b/c", "/c"),
    ("/api/", "/api/x", "/x"), ("/api/", "/api", ""), ("/api/", "/api/", "/"), ("/a", "/a/a", "/a"),
    ("/X", "/X/x", "/x"),
]  # fmt: skip
NOT_BELOW = [
    ("/api", "/apis"), ("/api", "/apis/x"), ("/api", "/x/api/y"), ("/api", "/"), ("/a.b", "/aXb/c"), ("/API", "/api/x"),
    ("/a%20b", "/a b/c"), ("/x", "*"), ("/api/x", "/api"), ("/pia", "/api/x"), ("/api", "/ap"),
]  # fmt: skip


def _below(submission: Submission, root: Any, path: str, expected: str) -> None:
    for kind in ("http", "websocket"):
        got = submission.call("path_under_root", scope=scope_of(kind, root_path=root, path=path))
        assert got == expected, f"of {path!r}, {got!r} is said to be below {root!r}; expected: {expected!r}"


@requirement("URL-13")
@given(
    case=st.tuples(st.sampled_from(["/a", "/a/b", "/a.b", "/é"]), TEXTS).map(
        lambda two: (two[0], f"{two[0]}/{two[1]}", f"/{two[1]}")
    )
)
@each(case=BELOW)
def test_the_root_is_cut_off(submission: Submission, case: tuple[str, str, str]) -> None:
    """What follows the root is given: it begins with a slash, or is `""` for the root itself."""
    _below(submission, *case)


@requirement("URL-13")
@given(case=st.sampled_from(NOT_BELOW))
@each(case=NOT_BELOW)
def test_a_path_elsewhere_is_given_whole(submission: Submission, case: tuple[str, str]) -> None:
    """A path that is not below the root is given whole: a root ends where a segment does."""
    root, path = case
    _below(submission, "/api", "/api/x", "/x")
    _below(submission, root, path, path)


@requirement("URL-13")
def test_without_a_root_the_path_is_whole(submission: Submission) -> None:
    """`root_path` may be absent, None, empty or `/`: then all of the path is below it."""
    _below(submission, "/api", "/api/x", "/x")
    for path in ("/a/b", "/", "//a", "", "*"):
        for root in ("", None, "/"):
            _below(submission, root, path, path)
        assert submission.call("path_under_root", scope=scope_of(path=path)) == path
