"""Multi-valued data: query parameters, headers, and the state of an application, as mappings.

Rule 1: nothing is lost: every pair is kept, in order; a lookup gives the first value, `getlist` gives all.
Rule 2: what is called immutable is: whatever goes in or comes out is copied, except the mapping of a State.
Rule 3: a header is bytes (latin-1, both ways) whose name ignores the case of ASCII letters; it is decoded when
        it is looked up, not before.
Rule 4: text becomes a header only if it can stand in a message: what could end a line early is refused.
Rule 5: reading never fails on what a client has sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from functools import lru_cache
from typing import Any, TypeVar, cast
from urllib.parse import unquote_to_bytes, urlencode

K = TypeVar("K")
V = TypeVar("V")


class MultiDict(Mapping[str, V]):
    """An immutable mapping whose keys may have several values each.

    `pairs` is a mapping or an iterable of (key, value); of a MultiDict, or of Headers, all pairs are taken.
    Item access and `get` give the first value of a key. Iteration gives each key once, in order of first sight,
    and `len` is the number of keys. Two are equal if each key has the same values in the same order in both,
    whatever the order of the keys.
    """

    def __init__(self, pairs: Mapping[str, V] | Iterable[tuple[str, V]] = ()) -> None:
        self._pairs = [(key, value) for key, value in _pairs(pairs)]
        self._values = _grouped(self._pairs)

    def __getitem__(self, key: str) -> V:
        return self._values[key][0]

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def getlist(self, key: str) -> list[V]:
        """All values of `key`, in order, in a new list; an empty one where there is no such key."""
        return list(self._values.get(key, ()))

    def multi_items(self) -> list[tuple[str, V]]:
        """All pairs of key and value, in order, in a new list. (`items()` has the first value of each key.)"""
        return list(self._pairs)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MultiDict):
            return NotImplemented
        return self._values == other._values

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._pairs!r})"


class QueryParams(MultiDict[str]):
    """The fields of a query string, such as `scope["query_string"]`, as text.

    `source` is a query string without its `?` (bytes, or text), a mapping or pairs. A query string is read as
    URL-encoded form data (WHATWG URL, section 5.1): fields are parted by `&` alone, `+` is a space, a field
    without `=` has the value "". Malformed percent-encoding stays as it is, and bytes that are no UTF-8 become
    U+FFFD, so that no query string is an error. `str()` writes one, which reads back as these pairs.
    """

    def __init__(self, source: bytes | str | Mapping[str, str] | Iterable[tuple[str, str]] = b"") -> None:
        if isinstance(source, str):
            source = source.encode("utf-8", "surrogatepass")
        super().__init__(_fields(source) if isinstance(source, bytes) else source)

    def __str__(self) -> str:
        return urlencode(self._pairs)


class Headers(Mapping[str, str]):
    """The immutable header fields of a message (RFC 9110, section 5). Names ignore case; values are latin-1.

    `headers` is a mapping or an iterable of (name, value), as text. Raises ValueError for a name that is no
    token (RFC 9110, section 5.6.2), and for a value with a CR, LF or NUL, or with a character beyond latin-1.
    `raw`, where given, is taken instead: an iterable of 2-item iterables of bytes such as `scope["headers"]`.
    It is gone through once, and not checked.
    Item access and `get` give the first value of a name; iteration gives each name once, in lower case, in order
    of first sight. Two are equal if each name has the same values in the same order in both.
    """

    def __init__(
        self,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        *,
        raw: Iterable[Iterable[bytes]] | None = None,
    ) -> None:
        self._raw: list[tuple[bytes, bytes]]
        if raw is None:
            self._raw = _encoded(headers) if headers else []
        else:
            self._raw = [(name.lower(), value) for name, value in raw]

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        """All headers as ASGI messages have them, in order, in a new list: lower-case name and value."""
        return list(self._raw)

    def __getitem__(self, name: str) -> str:
        value = self._find(name)
        if value is None:
            raise KeyError(name)
        return value.decode("latin-1")

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._find(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.decode("latin-1") for name, _ in self._raw))

    def __len__(self) -> int:
        return len({name for name, _ in self._raw})

    def getlist(self, name: str) -> list[str]:
        """All values of the headers called `name`, in order; an empty list where there are none."""
        if name not in self:
            return []
        key = _key(name)
        return [value.decode("latin-1") for each, value in self._raw if each == key]

    def multi_items(self) -> list[tuple[str, str]]:
        """All headers as text, in order: lower-case name and value. (`items()` has the first of each name.)"""
        return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self._raw]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return _grouped(self._raw) == _grouped(other._raw)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.multi_items()!r})"

    def _find(self, name: str) -> bytes | None:
        try:
            key = _key(name)
        except UnicodeEncodeError:
            return None  # beyond latin-1: no header is called so
        for each, value in self._raw:
            if each == key:
                return value
        return None


class MutableHeaders(Headers):
    """Headers that can be changed, for a response. What they were made from never changes with them.

    What is set is checked as Headers checks it; where that raises ValueError, nothing has changed.
    """

    def __setitem__(self, name: str, value: str) -> None:
        if name in self:
            key, encoded = _encode(name, value)
            self._replace(key, [encoded])
        else:
            self.append(name, value)

    def __delitem__(self, name: str) -> None:
        if name in self:
            self._replace(_key(name), [])

    def append(self, name: str, value: str) -> None:
        """Add a header at the end, beside those of the same name, such as a second `set-cookie`."""
        self._raw.append(_encode(name, value))

    def setdefault(self, name: str, value: str) -> str:
        """Add a header unless there is one called `name`; give the value that the first one then has."""
        if name not in self:
            self.append(name, value)
        return self[name]

    def update(self, headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> None:
        """Replace the headers of each name in `headers`, which is what `Headers` takes, by all of that name there."""
        for key, values in _grouped(_encoded(headers)).items():
            self._replace(key, values)

    def add_vary(self, name: str) -> None:
        """Say that the response depends on the request header `name` (RFC 9110, section 12.5.5).

        Nothing changes if `vary` says so already, in any case, or has a `*`. Raises ValueError for what is no name.
        """
        _check_name(name)
        listed = [each.strip() for value in self.getlist("vary") for each in value.split(",") if each.strip()]
        if not {"*", name.lower()} & {each.lower() for each in listed}:
            self["vary"] = ", ".join([*listed, name])

    def _replace(self, key: bytes, values: list[bytes]) -> None:
        """Put headers with these values where the first one called `key` is, or at the end, instead of all."""
        place = next((place for place, (each, _) in enumerate(self._raw) if each == key), len(self._raw))
        kept = [pair for pair in self._raw[place:] if pair[0] != key]
        self._raw[place:] = [(key, value) for value in values] + kept


class State:
    """A mapping whose items are read, set and deleted as attributes: `state.database`.

    It stands on `mapping` itself, not on a copy: `State(scope["state"])` writes into the scope (ASGI lifespan,
    Lifespan state). Reading or deleting an attribute that is not there raises AttributeError.
    """

    def __init__(self, mapping: MutableMapping[str, Any] | None = None) -> None:
        self.__dict__[_MAPPING] = {} if mapping is None else mapping

    def __getattr__(self, name: str) -> Any:
        items: Mapping[str, Any] = self.__dict__.get(_MAPPING, {})  # not there yet while a copy is being made
        try:
            return items[name]
        except KeyError:
            raise AttributeError(_missing(name, items)) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self.__dict__[_MAPPING][name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self.__dict__[_MAPPING][name]
        except KeyError:
            raise AttributeError(_missing(name, self.__dict__[_MAPPING])) from None

    def __repr__(self) -> str:
        return f"State({self.__dict__[_MAPPING]!r})"


_MAPPING = "the mapping"
"""Where a State keeps its mapping: a name that no attribute of the user's can have."""


def _missing(name: str, items: Iterable[str]) -> str:
    return (
        f"the state has no {name!r}; it has {', '.join(map(repr, items)) or 'nothing'}. "
        f"Set it before it is read: at startup by the lifespan, or in middleware."
    )


def _pairs(source: Mapping[str, V] | Iterable[tuple[str, V]]) -> Iterable[tuple[str, V]]:
    if isinstance(source, Mapping):
        return cast(Iterable[tuple[str, V]], getattr(source, "multi_items", source.items)())
    return source


def _grouped(pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    """The values of each key in order, the keys in order of first sight."""
    grouped: dict[K, list[V]] = {}
    for key, value in pairs:
        grouped.setdefault(key, []).append(value)
    return grouped


def _fields(query: bytes) -> Iterator[tuple[str, str]]:
    """The fields of a query string (WHATWG URL, section 5.1).

    `urllib.parse.parse_qsl` will not do: it raises on bytes that are not ASCII.
    """
    for field in query.replace(b"+", b" ").split(b"&"):
        if field:
            name, _, value = field.partition(b"=")
            yield _unquoted(name), _unquoted(value)


def _unquoted(text: bytes) -> str:
    return unquote_to_bytes(text).decode("utf-8", "replace")


@lru_cache(maxsize=1024)
def _key(name: str) -> bytes:
    """The name by which a header is found. Bytes first: `lower` of text would take a Kelvin sign for a k."""
    return name.encode("latin-1").lower()


def _encoded(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [_encode(name, value) for name, value in _pairs(headers)]


def _encode(name: str, value: str) -> tuple[bytes, bytes]:
    """A header as bytes. Raises ValueError for one that must not go into a message (RFC 9110, section 5.5)."""
    key = _checked_key(name)
    if _ENDS_A_LINE.search(value):
        raise ValueError(
            f"header {name!r}: CR, LF and NUL cannot stand in a value: take them out of {value!r}"
        )
    try:
        return key, value.encode("latin-1")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"header {name!r}: {value[error.start]!r} is not in latin-1: percent-encode it in {value!r}"
        ) from None


@lru_cache(maxsize=1024)
def _checked_key(name: str) -> bytes:
    """The name under which a header is sent, in lower case. Raises ValueError for one that is no name."""
    _check_name(name)
    return _key(name)


def _check_name(name: str) -> None:
    if not _TOKEN.fullmatch(name):
        raise ValueError(
            f"{name!r} is no name of a header: use ASCII letters, digits and !#$%&'*+-.^_`|~, at least one of them"
        )


_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_ENDS_A_LINE = re.compile(r"[\r\n\0]")
