"""The reference's URLs: from scopes, from text, taken apart and changed; and the part of a path below its root."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urljoin, urlsplit

import pytest
import starlette.datastructures
from hypothesis import assume, example, given
from hypothesis import strategies as st

from fastasgi_reference.datastructures import QueryParams
from fastasgi_reference.urls import URL, path_under_root
from tests.reference.conversation import http_scope, websocket_scope
from tests.reference.rules import enforces

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
PATHS = st.text(st.sampled_from("/.:@%?#\\ab é☃\n\t ") | st.characters(exclude_categories=["Cs"]), max_size=8)
PORTS = st.none() | st.integers(0, 65535)
HOSTS = st.sampled_from(
    ["example.com", "a", "127.0.0.1", "[::1]", "[v1.a:b]", "A-b_c.~!$&'()*+,;=", "%C3%A9"]
)
URLS = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["", "http:", "HTTPS:", "a+b-c.1:"]),
    st.sampled_from(["", "//", "//h", "//u@h:1", "//u:p@[::1]:8000", "//:@h:", "//a:b@c@h"]),
    st.sampled_from(["", "/", "/a//b", "/./", "/a:b", "/%2F%zz;@"]),
    st.sampled_from(["", "?", "?a=1&b", "? \\?[é"]),
    st.sampled_from(["", "#", "#/?# é"]),
)
MALFORMED_HOSTS = [
    b"", b" ", b"a/b", b"a?b", b"a#b", b"a\\b", b"a b", b" a", b"a ", b"a\n", b"a\t", b"a\0", b"u@a", b"u:p@a", b"@a",
    b"a:x", b"a:-1", b"a:65536", b"a:99999999999", b"a: 80", b"a:80:80", b":80", b"a:\xb2", b"\xff", b"\xc3\xa9",
    b"::1", b"[::1", b"::1]", b"[::1]a", b"[]", b"[::g]", b"[1.2.3.4]", b"[::1%25lo]", b"[a]", b"a[::1]", b"%zz", b"%4",
    b"a<b", b'a"b', b"{a}", b"a, b", b"http://a",
]  # fmt: skip


class TestFromScope:
    @enforces("HTTP-SCOPE-15")
    @pytest.mark.parametrize(
        ("server", "expected"),
        [
            (("srv", 8000), "http://srv:8000/a?b=c"),
            (["srv", 80], "http://srv/a?b=c"),
            (("127.0.0.1", 1), "http://127.0.0.1:1/a?b=c"),
            (("::1", 8000), "http://[::1]:8000/a?b=c"),
            (("::1", 80), "http://[::1]/a?b=c"),
            (["/run/app.sock", None], "/a?b=c"),
            (("fe80::1%eth0", 8000), "/a?b=c"),
            (None, "/a?b=c"),
            (..., "/a?b=c"),
        ],
    )
    @pytest.mark.parametrize("headers", [[], ..., None])
    def test_without_a_host_header_the_server_is_the_host(
        self, server: Any, headers: Any, expected: str
    ) -> None:
        scope = http_scope(path="/a", query_string=b"b=c", server=server, headers=headers)
        assert URL.from_scope(scope) == expected

    @enforces("HTTP-SCOPE-09", "HTTP-SCOPE-11")
    @pytest.mark.parametrize("name", [b"host", b"Host", b"HOST"])
    @pytest.mark.parametrize("kind", [list, tuple, iter])
    @pytest.mark.parametrize("pair", [list, tuple, iter])
    def test_the_host_header_wins(self, name: bytes, kind: Any, pair: Any) -> None:
        headers = kind([pair([b"x", b"\xff"]), pair([name, b"example.com:8000"]), pair([b"host", b"second"])])
        assert URL.from_scope(http_scope(headers=headers)) == "http://example.com:8000/"

    @pytest.mark.parametrize(
        ("host", "expected"),
        [
            ("example.com", "example.com"),
            ("Example.COM.", "Example.COM."),
            ("a_b", "a_b"),
            ("127.0.0.1", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[::ffff:1.2.3.4]:8000", "[::ffff:1.2.3.4]:8000"),
            ("[v1.a:b]:1", "[v1.a:b]:1"),
            ("%C3%A9", "%C3%A9"),
            ("a:", "a"),
            ("a:0", "a:0"),
            ("a:0080", "a"),
            ("a:00008080", "a:8080"),
            ("a:" + "0" * 9000 + "81", "a:81"),
            ("a:65535", "a:65535"),
        ],
    )
    def test_a_well_formed_host(self, host: str, expected: str) -> None:
        scope = http_scope(headers=[(b"host", host.encode())])
        assert URL.from_scope(scope) == f"http://{expected}/"

    @pytest.mark.parametrize("host", MALFORMED_HOSTS)
    def test_a_malformed_host_is_ignored(self, host: bytes) -> None:
        headers = [(b"host", host)]
        assert URL.from_scope(http_scope(headers=headers, server=("srv", 1))) == "http://srv:1/"
        assert URL.from_scope(http_scope(headers=headers, server=None)) == "/"

    @pytest.mark.parametrize("host", [b"a/admin?x=", b"a/admin#", b"evil.com/../..", b"a?", b"a#"])
    def test_a_host_never_changes_the_path(self, host: bytes) -> None:
        url = URL.from_scope(http_scope(path="/public", headers=[(b"host", host)]))
        assert (url.hostname, url.path, url.query, url.fragment) == ("testserver", "/public", "", "")

    @enforces("HTTP-SCOPE-01")
    @pytest.mark.parametrize("scheme", [..., None, "", "http"])
    def test_the_scheme_is_http_where_none_is_told(self, scheme: Any) -> None:
        assert URL.from_scope(http_scope(scheme=scheme)) == "http://testserver/"

    @enforces("WS-SCOPE-01")
    @pytest.mark.parametrize("scheme", [..., "ws"])
    @pytest.mark.parametrize("query", [..., None, b""])
    def test_the_scheme_of_a_websocket_is_ws_and_it_may_have_no_query(self, scheme: Any, query: Any) -> None:
        url = URL.from_scope(websocket_scope(path="/chat", scheme=scheme, query_string=query))
        assert url == "ws://testserver/chat"

    @pytest.mark.parametrize(("scheme", "port"), [("http", 80), ("https", 443), ("ws", 80), ("wss", 443)])
    def test_only_the_default_port_of_the_scheme_is_left_out(self, scheme: str, port: int) -> None:
        for other in (80, 443, 8000):
            expected = f"{scheme}://a/" if other == port else f"{scheme}://a:{other}/"
            by_header = http_scope(scheme=scheme, headers=[(b"host", b"a:%d" % other)])
            by_server = http_scope(scheme=scheme, headers=[], server=("a", other))
            assert URL.from_scope(by_header) == URL.from_scope(by_server) == expected

    def test_a_scheme_without_a_known_port_keeps_any(self) -> None:
        assert URL.from_scope(http_scope(scheme="gopher")) == "gopher://testserver/"
        url = URL.from_scope(http_scope(scheme="gopher", headers=[(b"host", b"a:80")]))
        assert url == "gopher://a:80/"

    @enforces("HTTP-SCOPE-06")
    def test_root_path_is_part_of_the_path_and_not_added_again(self) -> None:
        assert URL.from_scope(http_scope(path="/api/x", root_path="/api")).path == "/api/x"

    @enforces("HTTP-SCOPE-03")
    @pytest.mark.parametrize("raw_path", [..., None, b"/other"])
    def test_the_path_is_that_of_path(self, raw_path: Any) -> None:
        assert URL.from_scope(http_scope(path="/é", raw_path=raw_path)).path == "/%C3%A9"

    @enforces("HTTP-SCOPE-02")
    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            ("/a b", "/a%20b"),
            ("/a%20b", "/a%2520b"),
            ("/a+b", "/a+b"),
            ("/é/☃", "/%C3%A9/%E2%98%83"),
            ("/?#[]\\", "/%3F%23%5B%5D%5C"),
            ("/:@!$&'()*+,;=-._~", "/:@!$&'()*+,;=-._~"),
            ("/\0\n", "/%00%0A"),
            ("//a//", "//a//"),
            ("", ""),
        ],
    )
    def test_the_path_is_percent_encoded(self, path: str, expected: str) -> None:
        url = URL.from_scope(http_scope(path=path))
        assert url.path == expected
        assert url == f"http://testserver{expected}"

    def test_a_path_that_is_no_unicode_is_no_error(self) -> None:
        assert URL.from_scope(http_scope() | {"path": "/\ud800"}).path == "/%ED%A0%80"

    @pytest.mark.parametrize("path", ["@evil.com/x", ":80@evil.com", ".evil.com", "evil.com", "*", "a:b"])
    def test_a_path_that_does_not_begin_with_a_slash_gets_one(self, path: str) -> None:
        url = URL.from_scope(http_scope(path=path))
        assert url.netloc == "testserver"
        assert unquote(url.path) == "/" + path
        assert URL.from_scope(http_scope(path=path, headers=[], server=None)) == url.path

    @pytest.mark.parametrize(
        "path",
        [
            "//evil.com/x",
            "///evil.com",
            "//",
            "/.//evil.com",
            "/././/evil.com",
            "//u:p@evil.com:80",
            "//evil.com:x",
        ],
    )
    def test_a_path_is_never_an_authority(self, path: str) -> None:
        url = URL.from_scope(http_scope(path=path, headers=[], server=None, query_string=b"a=1"))
        assert (url.scheme, url.netloc, url.path, url.query) == ("", "", path, "a=1")
        assert urlsplit(str(url)).netloc == ""
        assert urljoin("http://good.com/here", str(url)).startswith("http://good.com/")
        assert not str(url).startswith("//")

    @enforces("HTTP-SCOPE-04")
    @pytest.mark.parametrize("query", [b"a=%20&b=+&c", b"%zz&&;=", b"?/:@", b"q=\xff\xe9", b"a b\n\\"])
    def test_the_query_is_as_it_came(self, query: bytes) -> None:
        assert URL.from_scope(http_scope(query_string=query)).query == query.decode("latin-1")

    def test_a_hash_in_the_query_does_not_end_it(self) -> None:
        url = URL.from_scope(http_scope(query_string=b"a=#b"))
        assert (url.query, url.fragment) == ("a=%23b", "")

    @given(
        path=PATHS,
        query=st.binary(max_size=8),
        host=st.sampled_from(MALFORMED_HOSTS) | st.binary(max_size=8) | HOSTS.map(str.encode),
        server=st.none() | st.tuples(st.sampled_from(["srv", "::1", "a/b", "é"]), PORTS),
        scheme=st.sampled_from(["http", "https", "ws", "wss"]),
    )
    def test_it_never_fails_and_its_text_means_the_same(
        self, path: str, query: bytes, host: bytes, server: Any, scheme: str
    ) -> None:
        scope = http_scope(
            path=path, query_string=query, headers=[(b"host", host)], server=server, scheme=scheme
        )
        url = URL.from_scope(scope)
        again = URL(str(url))
        assert again == url
        assert unquote(url.path) in (path, "/" + path)
        assert url.query == query.decode("latin-1").replace("#", "%23")
        assert url.fragment == ""
        assert (url.scheme, bool(url.hostname)) == ((scheme, True) if url.netloc else ("", False))
        assert components(again) == components(url)

    @given(
        path=st.text("/abé %?#", max_size=8).map("/{}".format),
        host=HOSTS.filter(lambda host: "%" not in host),  # of a hostname with a %, they keep the case
        port=PORTS,
        query=st.text("a=&%2+", max_size=8),
    )
    def test_the_standard_library_reads_it_the_same(
        self, path: str, host: str, port: int | None, query: str
    ) -> None:
        header = host if port is None else f"{host}:{port}"
        scope = http_scope(path=path, query_string=query.encode(), headers=[(b"host", header.encode())])
        url = URL.from_scope(scope)
        theirs = urlsplit(str(url))
        assert (theirs.scheme, theirs.hostname) == ("http", host.strip("[]").lower())
        assert theirs.port == (None if port == 80 else port)
        assert unquote(theirs.path) == path
        assert theirs.query == query

    @pytest.mark.parametrize("path", ["/", "/a/b", "/é x"])
    @pytest.mark.parametrize("server", [("srv", 80), ("srv", 8000), None])
    @pytest.mark.parametrize("headers", [[], [(b"host", b"example.com:8000")]])
    def test_starlette_makes_the_same(self, path: str, server: Any, headers: Any) -> None:
        scope = http_scope(path=path, server=server, headers=headers, query_string=b"a=1")
        theirs = starlette.datastructures.URL(scope=scope)
        assert URL.from_scope(scope) == quote(str(theirs), safe=":/?=")


def components(url: URL | Any) -> dict[str, Any]:
    names = ["scheme", "netloc", "username", "password", "hostname", "port", "path", "query", "fragment"]
    return {name: getattr(url, name) for name in names}


class TestComponents:
    def test_all_of_them(self) -> None:
        assert components(URL("HTTPS://u%40:p:w@Example.COM:8000/a/b;c?d=e?f#g?h#i")) == {
            "scheme": "https",
            "netloc": "u%40:p:w@Example.COM:8000",
            "username": "u%40",
            "password": "p:w",
            "hostname": "example.com",
            "port": 8000,
            "path": "/a/b;c",
            "query": "d=e?f",
            "fragment": "g?h#i",
        }

    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("", {}),
            ("/a", {"path": "/a"}),
            ("a/b:c", {"path": "a/b:c"}),
            ("?a", {"query": "a"}),
            ("#a", {"fragment": "a"}),
            ("//h/a", {"netloc": "h", "hostname": "h", "path": "/a"}),
            ("mailto:a@b", {"scheme": "mailto", "path": "a@b"}),
            ("1a:b", {"path": "1a:b"}),
            ("file:///a", {"scheme": "file", "path": "/a"}),
            ("http://h", {"scheme": "http", "netloc": "h", "hostname": "h"}),
            ("http://h?a", {"scheme": "http", "netloc": "h", "hostname": "h", "query": "a"}),
            ("//[::1]", {"netloc": "[::1]", "hostname": "::1"}),
            ("//h:", {"netloc": "h:", "hostname": "h"}),
            ("//@h", {"netloc": "@h", "hostname": "h", "username": ""}),
            ("//:p@h", {"netloc": ":p@h", "hostname": "h", "username": "", "password": "p"}),
            ("//a@b@h", {"netloc": "a@b@h", "hostname": "h", "username": "a@b"}),
            ("//a:b@c@h:1", {
                "netloc": "a:b@c@h:1", "hostname": "h", "username": "a", "password": "b@c", "port": 1
            }),
        ],
    )  # fmt: skip
    def test_what_is_not_there_is_empty_or_none(self, url: str, expected: dict[str, Any]) -> None:
        nothing = {
            "scheme": "", "netloc": "", "username": None, "password": None, "hostname": None, "port": None,
            "path": "", "query": "", "fragment": "",
        }  # fmt: skip
        assert components(URL(url)) == nothing | expected

    @given(URLS)
    def test_the_standard_library_takes_it_apart_the_same(self, text: str) -> None:
        assert components(URL(text)) == components(urlsplit(text))

    @pytest.mark.parametrize(
        ("url", "path"),
        [("/.//x", "//x"), ("a:/.//x", "//x"), ("/././/x", "/.//x"), ("//h/.//x", "/.//x"), ("/./x", "/./x")],
    )
    def test_what_keeps_a_path_from_being_an_authority_is_no_part_of_it(self, url: str, path: str) -> None:
        assert URL(url).path == path

    @pytest.mark.parametrize(
        ("url", "secure"),
        [("https://h", True), ("WSS://h", True), ("http://h", False), ("ws://h", False), ("/a", False)],
    )
    def test_is_secure(self, url: str, secure: bool) -> None:
        assert URL(url).is_secure is secure

    @pytest.mark.parametrize(
        "url",
        ["//h:x", "//h:65536", "//h:1:2", "//[::1", "//[::g]", "//[a]", "//a[::1]", "//é", "//a\u2100.com", "//%zz",
         "//[fe80::1%25eth0]", "//u:p@h:x"],
    )  # fmt: skip
    def test_an_authority_that_is_none_is_refused_without_its_password(self, url: str) -> None:
        with pytest.raises(ValueError, match=r"no host of a URL|no port") as caught:
            URL(url)
        assert "u:p" not in str(caught.value)

    @pytest.mark.parametrize("character", ["\0", "\t", "\n", "\r", " ", "\x7f", "\\"])
    @pytest.mark.parametrize("url", ["/{}/evil.com", "{}//evil.com", "java{}script:x", "//a{}b", "//u{}p@h/"])
    def test_what_browsers_would_read_otherwise_is_refused(self, url: str, character: str) -> None:
        with pytest.raises(ValueError, match="percent-encode it"):
            URL(url.format(character))

    def test_in_query_and_fragment_any_character_may_stand(self) -> None:
        url = URL("/a?\n \\#\t")
        assert (url.query, url.fragment) == ("\n \\", "\t")


class TestEquality:
    @given(URLS)
    def test_a_url_is_its_text(self, text: str) -> None:
        url = URL(text)
        assert str(url) == text
        assert url == URL(text) == text
        assert hash(url) == hash(URL(text)) == hash(text)
        assert url != text + "#x"
        assert url != URL(text + "#x")

    def test_nothing_else_is_equal_to_it(self) -> None:
        assert URL("/a") != b"/a"
        assert URL("") is not None
        assert URL("/5") != 5

    def test_it_is_a_key_like_its_text(self) -> None:
        assert {URL("/a"): 1}["/a"] == 1  # type: ignore[index]

    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("http://user:secret@h:1/a?b#c", "URL('http://user:********@h:1/a?b#c')"),
            ("http://:secret@h", "URL('http://:********@h')"),
            ("http://user:secret@", "URL('http://user:********@')"),
            ("http://user:@[::1]/", "URL('http://user:********@[::1]/')"),
            ("http://user@h/", "URL('http://user@h/')"),
            ("/a'b", 'URL("/a\'b")'),
        ],
    )
    def test_repr_hides_the_password(self, url: str, shown: str) -> None:
        assert repr(URL(url)) == shown


class TestReplace:
    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({}, "http://u:p@h:1/a?b=c#d"),
            ({"scheme": "https"}, "https://u:p@h:1/a?b=c#d"),
            ({"netloc": "x:2"}, "http://x:2/a?b=c#d"),
            ({"netloc": "x", "port": 2, "username": "v"}, "http://v@x:2/a?b=c#d"),
            ({"hostname": "x"}, "http://u:p@x:1/a?b=c#d"),
            ({"hostname": "::1"}, "http://u:p@[::1]:1/a?b=c#d"),
            ({"hostname": "[::1]"}, "http://u:p@[::1]:1/a?b=c#d"),
            ({"port": 0}, "http://u:p@h:0/a?b=c#d"),
            ({"port": None}, "http://u:p@h/a?b=c#d"),
            ({"port": ""}, "http://u:p@h/a?b=c#d"),
            ({"username": "v"}, "http://v:p@h:1/a?b=c#d"),
            ({"username": None}, "http://:p@h:1/a?b=c#d"),
            ({"password": None}, "http://u@h:1/a?b=c#d"),
            ({"username": "", "password": ""}, "http://h:1/a?b=c#d"),
            ({"username": "a:@/b", "password": "c:@/é%20%"}, "http://a%3A%40%2Fb:c%3A%40%2F%C3%A9%20%25@h:1/a?b=c#d"),
            ({"path": "/x"}, "http://u:p@h:1/x?b=c#d"),
            ({"path": "x"}, "http://u:p@h:1/x?b=c#d"),
            ({"path": ""}, "http://u:p@h:1?b=c#d"),
            ({"path": None}, "http://u:p@h:1?b=c#d"),
            ({"path": "//x"}, "http://u:p@h:1//x?b=c#d"),
            ({"path": "/é?#[%41%]"}, "http://u:p@h:1/%C3%A9%3F%23%5B%41%25%5D?b=c#d"),
            ({"query": "x=#&y=?/%C3%A9é"}, "http://u:p@h:1/a?x=%23&y=?/%C3%A9%C3%A9#d"),
            ({"query": ""}, "http://u:p@h:1/a#d"),
            ({"query": None, "fragment": None}, "http://u:p@h:1/a"),
            ({"fragment": "/?:@x#y"}, "http://u:p@h:1/a?b=c#/?:@x%23y"),
            ({"scheme": "", "netloc": ""}, "/a?b=c#d"),
            ({"scheme": None, "netloc": None, "path": "//x"}, "/.//x?b=c#d"),
            ({"scheme": "", "netloc": "", "path": "x:y/z"}, "./x:y/z?b=c#d"),
        ],
    )  # fmt: skip
    def test_a_component_is_replaced_and_the_others_stay(self, changes: Any, expected: str) -> None:
        url = URL("http://u:p@h:1/a?b=c#d")
        assert url.replace(**changes) == expected
        assert url == "http://u:p@h:1/a?b=c#d"

    @pytest.mark.parametrize(
        ("url", "changes", "expected"),
        [
            ("https://[fe::2]:12345", {"port": 42}, "https://[fe::2]:42"),
            ("https://u:p@[fe::2]:12345/", {"username": None, "password": None}, "https://[fe::2]:12345/"),
            ("/a", {"scheme": "http", "hostname": "h", "port": 1}, "http://h:1/a"),
            ("/a", {"hostname": "h"}, "//h/a"),
            ("/a", {"port": None}, "/a"),
            ("a", {"netloc": "h"}, "//h/a"),
            ("/.//a", {"netloc": "h"}, "//h//a"),
            ("/.//a", {"query": "b"}, "/.//a?b"),
            ("/././/a", {"query": "b"}, "/././/a?b"),
            ("http://h/.//a", {"query": "b"}, "http://h/.//a?b"),
            ("//h//a", {"netloc": ""}, "/.//a"),
            ("file:///a", {"path": "/b"}, "file:///b"),
            ("http://h/a?", {"path": "/b"}, "http://h/b?"),
            ("http://h/a#", {"path": "/b"}, "http://h/b#"),
            ("/a?é\n", {"path": "/b"}, "/b?é\n"),
            ("mailto:a:b", {"scheme": ""}, "./a:b"),
        ],
    )
    def test_of_any_url(self, url: str, changes: Any, expected: str) -> None:
        assert URL(url).replace(**changes) == expected

    @given(URLS, st.sampled_from(["path", "query", "fragment"]), TEXTS)
    @example("http://h/", "path", "//evil.com")
    @example("", "path", "//evil.com")
    @example("", "path", "javascript:alert(1)")
    @example("http:/a", "path", "//evil.com")
    def test_what_is_replaced_never_spills_into_another(self, text: str, name: str, value: str) -> None:
        new = URL(text).replace(**{name: value})
        assert components(new) | {name: ""} == components(URL(text)) | {name: ""}
        written = getattr(new, name)
        assert written.isascii()
        assert unquote(written) in {prefix + unquote(value) for prefix in ("", "/", "./")}
        assert components(URL(str(new))) == components(new)

    @given(URLS, st.sampled_from(["username", "password"]), TEXTS)
    def test_a_name_or_password_never_becomes_a_host(self, text: str, name: str, value: str) -> None:
        url = URL(text)
        assume(url.hostname)
        new = url.replace(**{name: value})
        for other in ("scheme", "hostname", "port", "path", "query", "fragment"):
            assert getattr(new, other) == getattr(url, other)
        assert unquote(getattr(new, name) or "") == unquote(value)

    @given(URLS)
    def test_without_changes_it_is_the_same(self, text: str) -> None:
        assert URL(text).replace() == text

    @pytest.mark.parametrize(
        "changes",
        [
            {"scheme": "1x"}, {"scheme": "a b"}, {"scheme": "a:"}, {"scheme": "a/b"},
            {"netloc": "a/b"}, {"netloc": "a?b"}, {"netloc": "a#b"}, {"netloc": "a b"}, {"netloc": "a:x"},
            {"netloc": "é"}, {"hostname": "a/b"}, {"hostname": "a:80"}, {"hostname": "u@h"}, {"hostname": "a b"},
            {"hostname": "é"}, {"hostname": "::g"}, {"hostname": "[::1"}, {"hostname": "h\n"}, {"hostname": "a?b"},
            {"port": -1}, {"port": 65536}, {"hostname": None}, {"hostname": ""}, {"netloc": "", "port": 1},
            {"path": "\ud800"},
        ],
    )  # fmt: skip
    def test_what_is_none_is_refused(self, changes: Any) -> None:
        with pytest.raises(ValueError, match=r"scheme|host|port|percent-encode|surrogates") as caught:
            URL("http://u:secret@h:1/a").replace(**changes)
        assert "secret" not in str(caught.value)

    @pytest.mark.parametrize("changes", [{"port": 8080}, {"username": "u"}, {"password": "p"}])
    @pytest.mark.parametrize("url", ["/a", "", "http://"])
    def test_what_needs_a_host_says_so(self, url: str, changes: Any) -> None:
        with pytest.raises(ValueError, match="needs a host: pass hostname"):
            URL(url).replace(**changes)

    def test_a_name_that_no_component_has(self) -> None:
        with pytest.raises(TypeError, match="a URL has no host, self: it has scheme, netloc, username"):
            URL("/a").replace(host="h", self=1)


class TestQuery:
    @pytest.mark.parametrize(
        ("query", "params", "expected"),
        [
            ("", {"a": 1}, "a=1"),
            ("b=2", {"a": 1}, "b=2&a=1"),
            ("a=1&b=2&a=3", {"a": 4}, "b=2&a=4"),
            ("%61=1&b=%FF&&c+d=e%20f", {"a": "é &"}, "b=%FF&&c+d=e%20f&a=%C3%A9+%26"),
            ("a=1", {}, "a=1"),
            ("a", {"self": "x"}, "a&self=x"),
        ],
    )
    def test_included_fields_replace_those_of_their_names(
        self, query: str, params: Any, expected: str
    ) -> None:
        url = URL(f"http://h/a?{query}#f").include_query_params(**params)
        assert url == f"http://h/a?{expected}#f"

    def test_replacing_leaves_no_other_field(self) -> None:
        url = URL("/a?b=1&c=2#f")
        assert url.replace_query_params(d=3, e="x y") == "/a?d=3&e=x+y#f"
        assert url.replace_query_params() == "/a#f"
        assert url.replace_query_params(self=1) == "/a?self=1#f"

    @pytest.mark.parametrize(
        ("names", "expected"),
        [
            ("a", "/?bc=2&d=%FF"),
            (["a", "d"], "/?bc=2"),
            (iter(["bc"]), "/?a=1&d=%FF&%61=3"),
            ("abc", "/?a=1&bc=2&d=%FF&%61=3"),
            ([], "/?a=1&bc=2&d=%FF&%61=3"),
            ({"a", "bc", "d"}, "/"),
        ],
    )
    def test_removing(self, names: Any, expected: str) -> None:
        assert URL("/?a=1&bc=2&d=%FF&%61=3").remove_query_params(names) == expected

    @given(st.lists(st.tuples(TEXTS, TEXTS)), st.dictionaries(TEXTS, TEXTS | st.integers()))
    def test_included_fields_can_be_read(self, pairs: list[tuple[str, str]], params: dict[str, Any]) -> None:
        url = URL(f"//h/.//a?{QueryParams(pairs)}#f")
        new = url.include_query_params(**params)
        kept = [pair for pair in pairs if pair[0] not in params]
        added = [(name, str(value)) for name, value in params.items()]
        assert QueryParams(new.query).multi_items() == kept + added
        assert parse_qsl(new.query, keep_blank_values=True) == kept + added
        assert URL(f"//h/.//a?{QueryParams(kept)}#f".replace("?#", "#")) == url.remove_query_params(params)
        assert (new.netloc, new.path, new.fragment) == ("h", "/.//a", "f")


class TestPathUnderRoot:
    @enforces("HTTP-SCOPE-06", "HTTP-SCOPE-07")
    @pytest.mark.parametrize(
        ("root", "path", "expected"),
        [
            ("", "/a", "/a"),
            ("/api", "/api/x", "/x"),
            ("/api", "/api", ""),
            ("/api", "/api/", "/"),
            ("/api", "/api//x", "//x"),
            ("/api", "/api/api/x", "/api/x"),
            ("/a/b", "/a/b/c", "/c"),
            ("/foo", "/foobar", "/foobar"),
            ("/foo", "/bar/foo/x", "/bar/foo/x"),
            ("/foo", "/", "/"),
            ("/foo", "", ""),
            ("/a.b", "/aXb/c", "/aXb/c"),
            ("/a(b", "/a(b/c", "/c"),
            ("/é", "/é/x", "/x"),
            ("/API", "/api/x", "/api/x"),
            ("/a%20b", "/a b/c", "/a b/c"),
            ("/api/", "/api/x", "/x"),
            ("/api/", "/api", ""),
            ("/", "/x", "/x"),
            ("/x", "*", "*"),
        ],
    )
    def test_the_root_is_cut_off_at_the_end_of_a_segment(self, root: str, path: str, expected: str) -> None:
        assert path_under_root(http_scope(path=path, root_path=root)) == expected

    @enforces("HTTP-SCOPE-06", "WS-SCOPE-01")
    @pytest.mark.parametrize("root", [..., None])
    def test_without_a_root_the_path_is_whole(self, root: Any) -> None:
        assert path_under_root(http_scope(path="/a", root_path=root)) == "/a"
        assert path_under_root(websocket_scope(path="/a", root_path=root)) == "/a"

    @given(
        st.lists(st.text("ab.", min_size=1)).map(lambda names: "".join("/" + name for name in names)), TEXTS
    )
    def test_what_is_put_under_a_root_is_found_there(self, root: str, rest: str) -> None:
        below = path_under_root(http_scope(path=f"{root}/{rest}", root_path=root))
        assert below == f"/{rest}"

    @given(st.text("/ab", max_size=5), st.text("/ab", max_size=8))
    def test_it_begins_with_a_slash_or_is_the_root_or_the_whole_path(self, root: str, path: str) -> None:
        below = path_under_root(http_scope(path=path, root_path=root))
        assert below == path or (path == root.rstrip("/") + below and below[:1] in ("/", ""))
