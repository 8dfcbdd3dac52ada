"""No regex and no urlsplit: partitions by hand, two frozen dataclasses, properties that are looked up by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from ipaddress import ip_address
from string import ascii_letters, digits, hexdigits
from typing import Any

from .datastructures import QueryParams

PLAIN = set(ascii_letters + digits + "-._~")
RESERVED = set("!$&'()*+,;=")
PATH = PLAIN | RESERVED | set(":@/")
QUERY = PATH | {"?"}
SCHEME = set(ascii_letters + digits + "+-.")


@dataclass(frozen=True)
class Authority:
    username: str = ""
    password: str = ""
    host: str = ""
    port: int | None = None

    @classmethod
    @lru_cache(256)
    def read(cls, netloc: str) -> Authority:
        user, _, place = netloc.rpartition("@")
        username, _, password = user.partition(":")
        end = place.rfind("]") + 1
        host, colon, port = (
            (place[:end], place[end : end + 1], place[end + 1 :]) if end else place.partition(":")
        )
        if colon not in ("", ":") or (host and not is_host(host)):
            raise ValueError(f"{place!r} holds no host")
        if port and (len(port) > 5 or set(port) - set(digits) or int(port) > 0xFFFF):
            raise ValueError(f"{place!r} holds no port")
        return cls(username, password, host, int(port) if port else None)

    def write(self) -> str:
        password = f":{self.password}" if self.password else ""
        user = f"{self.username}{password}@" if self.username or password else ""
        return f"{user}{self.host}" + ("" if self.port is None else f":{self.port}")


@dataclass(frozen=True)
class Pieces:
    scheme: str = ""
    netloc: str = ""
    path: str = ""
    query: str = ""
    fragment: str = ""

    @classmethod
    def read(cls, text: str) -> Pieces:
        text, _, fragment = text.partition("#")
        text, _, query = text.partition("?")
        if bad := [letter for letter in text if letter <= " " or letter in "\x7f\\"]:
            raise ValueError(f"{bad[0]!r} cannot stand in {text!r}")
        scheme, colon, rest = text.partition(":")
        if not colon or not is_scheme(scheme):
            scheme, rest = "", text
        netloc = ""
        if rest[:2] == "//":
            end = rest.find("/", 2)
            netloc, rest = (rest[2:], "") if end < 0 else (rest[2:end], rest[end:])
        elif rest[:4] == "/.//":
            rest = rest[2:]
        return cls(scheme, netloc, rest, query, fragment)

    def write(self) -> str:
        return "".join(self._written())

    def _written(self) -> Iterator[str]:
        if self.scheme:
            yield self.scheme + ":"
        if self.netloc:
            yield "//" + self.netloc
            yield "/" if self.path and self.path[0] != "/" else ""
        elif self.path[:2] == "//":
            yield "/."
        yield self.path
        for sign, piece in (("?", self.query), ("#", self.fragment)):
            if piece:
                yield sign + piece


class URL:
    __slots__ = ("_authority", "_pieces", "_text")

    def __init__(self, url: str) -> None:
        self._text = url
        self._pieces = Pieces.read(url)
        self._authority = Authority.read(self._pieces.netloc)

    @classmethod
    def from_scope(cls, scope: Any) -> URL:
        kind = {"websocket": "ws"}.get(scope["type"], "http")
        scheme = scope.get("scheme") or kind
        netloc = next(netlocs(scope, {"http": 80, "ws": 80, "https": 443, "wss": 443}.get(scheme)), "")
        path = escape(scope["path"].replace("%", "%25"), PLAIN | {"/"})
        if not path.startswith("/") and path:
            path = f"/{path}"
        query = str(scope.get("query_string") or b"", "latin-1").replace("#", "%23")
        return cls(Pieces(scheme if netloc else "", netloc, path, query).write())

    def __getattr__(self, name: str) -> Any:
        if name in ("netloc", "path", "query", "fragment"):
            return getattr(self._pieces, name)
        if name == "scheme":
            return self._pieces.scheme.lower()
        if name in ("username", "password"):
            return getattr(self._authority, name) or None
        if name == "hostname":
            return self._authority.host.lower().strip("[]") or None
        if name == "port":
            return self._authority.port
        if name == "is_secure":
            return self.scheme in ("https", "wss")
        raise AttributeError(name)

    def replace(self, /, **components: Any) -> URL:
        pieces = self._pieces
        inner = {
            name: components.pop(name)
            for name in ("username", "password", "hostname", "port")
            if name in components
        }
        given = {name: value or "" for name, value in components.items()}
        if given.keys() - asdict(pieces).keys():
            raise TypeError(f"{sorted(given.keys() - asdict(pieces).keys())} are no components")
        for name, allowed in (("path", PATH), ("query", QUERY), ("fragment", QUERY)):
            if name in given:
                given[name] = escape(given[name], allowed)
        if given.get("scheme") and not is_scheme(given["scheme"]):
            raise ValueError(f"{given['scheme']!r} is no scheme")
        if not set("/?#").isdisjoint(given.get("netloc", "")):
            raise ValueError(f"{given['netloc']!r} is more than a netloc")
        pieces = replace(pieces, **given)
        if inner:
            pieces = replace(pieces, netloc=changed(Authority.read(pieces.netloc), **inner).write())
        return URL(pieces.write())

    def _query(self, pairs: Iterable[tuple[str, Any]]) -> URL:
        return URL(replace(self._pieces, query=str(QueryParams([(a, str(b)) for a, b in pairs]))).write())

    def _without(self, names: Any) -> list[tuple[str, Any]]:
        return [pair for pair in QueryParams(self.query).multi_items() if pair[0] not in names]

    def include_query_params(self, /, **params: Any) -> URL:
        return self._query([*self._without(params), *params.items()])

    def replace_query_params(self, /, **params: Any) -> URL:
        return self._query(params.items())

    def remove_query_params(self, names: str | Iterable[str]) -> URL:
        return self._query(self._without({names} if isinstance(names, str) else frozenset(names)))

    def __str__(self) -> str:
        return self._text

    def __eq__(self, other: object) -> bool:
        match other:
            case URL():
                return self._text == other._text
            case str():
                return self._text == other
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        shown = replace(self._authority, password="").write()
        return f"URL of {replace(self._pieces, netloc=shown).write()}"


def netlocs(scope: Any, default: int | None) -> Iterator[str]:
    for name, value in scope.get("headers", ()):
        if str(name, "latin-1").lower() == "host":
            try:
                found = Authority.read(str(value, "latin-1"))
            except ValueError:
                break
            if found.host and b"@" not in value:
                yield (replace(found, port=None) if found.port == default else found).write()
            break
    host, port = scope.get("server") or ("", None)
    if port is not None:
        host = f"[{host}]" if ":" in host else host
        yield Authority(host=host, port=None if port == default else port).write()


def changed(old: Authority, **inner: Any) -> Authority:
    for name in ("username", "password"):
        if name in inner:
            inner[name] = escape(inner[name] or "", PLAIN)
    if "hostname" in inner:
        host = inner.pop("hostname") or ""
        inner["host"] = f"[{host}]" if ":" in host and host[0] != "[" else host
        if host and not is_host(inner["host"]):
            raise ValueError(f"{host!r} is no host")
    if "port" in inner:
        inner["port"] = None if inner["port"] in (None, "") else inner["port"]
        if inner["port"] not in (None, *range(1 << 16)):
            raise ValueError(f"{inner['port']} is no port")
    return replace(old, **inner)


def is_host(text: str) -> bool:
    if text[:1] == "[" and text[-1:] == "]":
        try:
            return ip_address(text[1:-1]).version == 6
        except ValueError:
            return False
    return bool(text) and set(text) <= PLAIN


def is_scheme(text: str) -> bool:
    return text[:1] in set(ascii_letters) and set(text) <= SCHEME


def escape(text: str, allowed: set[str]) -> str:
    def each() -> Iterator[str]:
        for place, letter in enumerate(text):
            after = text[place + 1 : place + 3]
            if letter in allowed or (letter == "%" and len(after) == 2 and set(after) <= set(hexdigits)):
                yield letter
            else:
                yield "".join(map("%{:02X}".format, letter.encode()))

    return "".join(each())


def path_under_root(scope: Any) -> str:
    path: str = scope["path"]
    root = (scope.get("root_path") or "").rstrip("/")
    head, tail = path[: len(root)], path[len(root) :]
    return tail if head == root and tail[:1] in ("", "/") else path
