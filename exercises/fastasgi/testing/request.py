"""The request: what a client asks for, and what it asks for next where it is sent elsewhere.

Rule 1: what the caller gives goes before what the client would put in by itself.
Rule 2: credentials stay with their origin (RFC 9110, section 15.4): a redirect to another does not take them along.
"""

from __future__ import annotations

import json as json_module
import re
from collections.abc import AsyncIterable, AsyncIterator, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from ..datastructures import Headers
from ..urls import URL
from .forms import Fields, Files, multipart, urlencoded
from .target import origin, redirect_url

Content: TypeAlias = bytes | AsyncIterable[bytes] | Iterable[bytes]
"""A body: whole, or in chunks that are sent as the application asks for them."""
HeaderSource: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]
"""Headers by name, or in order as pairs."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for: method, absolute URL, headers without `host`, and the content of the body."""

    method: str
    url: URL
    headers: Headers
    content: Content = b""


@dataclass(frozen=True, slots=True)
class Body:
    """The arguments that say what a body is: one of them, or `data` and `files` together."""

    content: Content | None = None
    json: Any = None
    data: Fields | None = None
    files: Files | None = None

    def encode(self) -> tuple[Content, str | None]:
        """The content, and its content type where there is one to be said."""
        given = [name for name in ("content", "json", "data", "files") if getattr(self, name) is not None]
        if len(given) > 1 and given != ["data", "files"]:
            raise ValueError(f"{' and '.join(given)} are bodies of different kinds: pass one of them")
        if self.json is not None:
            text = json_module.dumps(self.json, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            return text.encode(), "application/json"
        if self.files is not None:
            return multipart(self.data or (), self.files)
        if self.data is not None:
            return urlencoded(self.data), "application/x-www-form-urlencoded"
        return _checked(b"" if self.content is None else self.content), None


def make_request(
    method: str, url: URL, body: Body, headers: Headers, cookies: Mapping[str, str] | None = None
) -> Request:
    """Put a request together. What `headers` has is not put in again; `cookies` are put to those that it has."""
    if not _TOKEN.fullmatch(method):
        raise ValueError(f"{method!r} is no method of HTTP (RFC 9110, section 9.1)")
    method = method.upper()
    content, content_type = body.encode()
    own: list[tuple[str, str]] = []
    if content_type is not None:
        own.append(("content-type", content_type))
    if not isinstance(content, bytes):
        own.append(("transfer-encoding", "chunked"))
    elif content or method in _ALWAYS_WITH_LENGTH:
        own.append(("content-length", str(len(content))))
    cookies = cookies or {}
    for name, value in cookies.items():
        if ";" in name + value:
            raise ValueError(f"the cookie {name}={value} has a semicolon, which would end it: encode it")
    return Request(method, url, with_cookies(merge_headers(own, headers), cookies.items()), content)


def redirected(request: Request, status_code: int, answer: Headers) -> Request:
    """The request that follows a redirect with these headers (RFC 9110, section 15.4).

    303 asks with GET, and so do 301 and 302 after a POST; the body and what describes it stay behind then. All else,
    and always 307 and 308, is asked again as it was. Raises ValueError where that cannot be done.
    """
    url = redirect_url(request.url, answer["location"])
    set_now = {cookie_name(text) for text in answer.getlist("set-cookie")}
    headers, method, content = _without_cookies(request.headers, set_now), request.method, request.content
    if origin(url) != origin(request.url):
        headers = _without(headers, _BOUND_TO_ORIGIN)
    if (status_code == 303 and method != "HEAD") or (status_code in (301, 302) and method == "POST"):
        return Request("GET", url, _without(headers, _ABOUT_CONTENT))
    if isinstance(content, Iterator | AsyncIterator):
        raise ValueError(
            f"{method} {request.url} was redirected with {status_code}, and its body, an iterator, cannot be sent "
            "twice: pass bytes or a list, or follow_redirects=False"
        )
    return replace(request, url=url, headers=headers)


def merge_headers(defaults: HeaderSource, headers: HeaderSource) -> Headers:
    """Both, in this order, without the defaults that `headers` has, too."""
    first, second = Headers(defaults), Headers(headers)
    return Headers(raw=[pair for pair in first.raw if pair[0].decode("latin-1") not in second] + second.raw)


def with_cookies(headers: Headers, cookies: Iterable[tuple[str, str]]) -> Headers:
    """The headers with one `cookie` (RFC 6265, section 5.4): what it said, and these unless it said their names."""
    said = cookie_texts(headers)
    names = {cookie_name(text) for text in said}
    said += [f"{name}={value}" for name, value in cookies if name not in names]
    return merge_headers(headers, [("cookie", "; ".join(said))] if said else [])


def cookie_texts(headers: Headers) -> list[str]:
    """The cookies that the headers have, each as `name=value`."""
    return [text.strip() for value in headers.getlist("cookie") for text in value.split(";")]


def cookie_name(text: str) -> str:
    """The name of a cookie, from a `cookie` or `set-cookie` header."""
    return text.partition("=")[0].strip()


def _checked(content: Content) -> Content:
    if isinstance(content, str | Mapping | bytearray | memoryview):
        raise TypeError(
            f"a {type(content).__name__} is no content: pass bytes or chunks of them, or json= or data="
        )
    return content


def _without_cookies(headers: Headers, names: Collection[str]) -> Headers:
    """The headers without these cookies: whoever sets or deletes one goes before who said it earlier."""
    kept = [text for text in cookie_texts(headers) if cookie_name(text) not in names]
    others = _without(headers, [b"cookie"])
    return merge_headers(others, [("cookie", "; ".join(kept))]) if kept else others


def _without(headers: Headers, names: Collection[bytes]) -> Headers:
    return Headers(raw=[pair for pair in headers.raw if pair[0] not in names])


_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_ALWAYS_WITH_LENGTH = ("POST", "PUT", "PATCH")
"""Methods that are expected to have a body say that they have none (RFC 9110, section 8.6)."""
_BOUND_TO_ORIGIN = (b"authorization", b"proxy-authorization", b"cookie", b"host")
_ABOUT_CONTENT = (
    *(b"content-type", b"content-length", b"content-encoding", b"content-language", b"content-location"),
    *(b"digest", b"content-digest", b"last-modified", b"transfer-encoding"),
)
