"""Multi-valued data: query parameters, headers, and the state of an application, as mappings.

Rule 1: nothing is lost: every pair is kept, in order; a lookup gives the first value, `getlist` gives all.
Rule 2: what is called immutable is: whatever goes in or comes out is copied, except the mapping of a State.
Rule 3: a header is bytes (latin-1, both ways) whose name ignores the case of ASCII letters; it is decoded when
        it is looked up, not before.
Rule 4: text becomes a header only if it can stand in a message: what could end a line early is refused.
Rule 5: reading never fails on what a client has sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any, TypeVar

V = TypeVar("V")


class MultiDict(Mapping[str, V]):
    """An immutable mapping whose keys may have several values each.

    `pairs` is a mapping or an iterable of (key, value); of a MultiDict, or of Headers, all pairs are taken.
    Item access and `get` give the first value of a key. Iteration gives each key once, in order of first sight,
    and `len` is the number of keys. Two are equal if each key has the same values in the same order in both,
    whatever the order of the keys.
    """

    def __init__(self, pairs: Mapping[str, V] | Iterable[tuple[str, V]] = ()) -> None:
        raise NotImplementedError("datastructures: MultiDict.__init__")

    def __getitem__(self, key: str) -> V:
        raise NotImplementedError("datastructures: MultiDict.__getitem__")

    def __contains__(self, key: object) -> bool:
        raise NotImplementedError("datastructures: MultiDict.__contains__")

    def __iter__(self) -> Iterator[str]:
        raise NotImplementedError("datastructures: MultiDict.__iter__")

    def __len__(self) -> int:
        raise NotImplementedError("datastructures: MultiDict.__len__")

    def getlist(self, key: str) -> list[V]:
        """All values of `key`, in order, in a new list; an empty one where there is no such key."""
        raise NotImplementedError("datastructures: MultiDict.getlist")

    def multi_items(self) -> list[tuple[str, V]]:
        """All pairs of key and value, in order, in a new list. (`items()` has the first value of each key.)"""
        raise NotImplementedError("datastructures: MultiDict.multi_items")

    def __eq__(self, other: object) -> bool:
        raise NotImplementedError("datastructures: MultiDict.__eq__")


class QueryParams(MultiDict[str]):
    """The fields of a query string, such as `scope["query_string"]`, as text.

    `source` is a query string without its `?` (bytes, or text), a mapping or pairs. A query string is read as
    URL-encoded form data (WHATWG URL, section 5.1): fields are parted by `&` alone, `+` is a space, a field
    without `=` has the value "". Malformed percent-encoding stays as it is, and bytes that are no UTF-8 become
    U+FFFD, so that no query string is an error. `str()` writes one, which reads back as these pairs.
    """

    def __init__(self, source: bytes | str | Mapping[str, str] | Iterable[tuple[str, str]] = b"") -> None:
        raise NotImplementedError("datastructures: QueryParams.__init__")

    def __str__(self) -> str:
        raise NotImplementedError("datastructures: QueryParams.__str__")


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
        raise NotImplementedError("datastructures: Headers.__init__")

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        """All headers as ASGI messages have them, in order, in a new list: lower-case name and value."""
        raise NotImplementedError("datastructures: Headers.raw")

    def __getitem__(self, name: str) -> str:
        raise NotImplementedError("datastructures: Headers.__getitem__")

    def __contains__(self, name: object) -> bool:
        raise NotImplementedError("datastructures: Headers.__contains__")

    def __iter__(self) -> Iterator[str]:
        raise NotImplementedError("datastructures: Headers.__iter__")

    def __len__(self) -> int:
        raise NotImplementedError("datastructures: Headers.__len__")

    def getlist(self, name: str) -> list[str]:
        """All values of the headers called `name`, in order; an empty list where there are none."""
        raise NotImplementedError("datastructures: Headers.getlist")

    def multi_items(self) -> list[tuple[str, str]]:
        """All headers as text, in order: lower-case name and value. (`items()` has the first of each name.)"""
        raise NotImplementedError("datastructures: Headers.multi_items")

    def __eq__(self, other: object) -> bool:
        raise NotImplementedError("datastructures: Headers.__eq__")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.multi_items()!r})"


class MutableHeaders(Headers):
    """Headers that can be changed, for a response. What they were made from never changes with them.

    What is set is checked as Headers checks it; where that raises ValueError, nothing has changed.
    """

    def __setitem__(self, name: str, value: str) -> None:
        raise NotImplementedError("datastructures: MutableHeaders.__setitem__")

    def __delitem__(self, name: str) -> None:
        raise NotImplementedError("datastructures: MutableHeaders.__delitem__")

    def append(self, name: str, value: str) -> None:
        """Add a header at the end, beside those of the same name, such as a second `set-cookie`."""
        raise NotImplementedError("datastructures: MutableHeaders.append")

    def setdefault(self, name: str, value: str) -> str:
        """Add a header unless there is one called `name`; give the value that the first one then has."""
        raise NotImplementedError("datastructures: MutableHeaders.setdefault")

    def update(self, headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> None:
        """Replace the headers of each name in `headers`, which is what `Headers` takes, by all of that name there."""
        raise NotImplementedError("datastructures: MutableHeaders.update")

    def add_vary(self, name: str) -> None:
        """Say that the response depends on the request header `name` (RFC 9110, section 12.5.5).

        Nothing changes if `vary` says so already, in any case, or has a `*`. Raises ValueError for what is no name.
        """
        raise NotImplementedError("datastructures: MutableHeaders.add_vary")


class State:
    """A mapping whose items are read, set and deleted as attributes: `state.database`.

    It stands on `mapping` itself, not on a copy: `State(scope["state"])` writes into the scope (ASGI lifespan,
    Lifespan state). Reading or deleting an attribute that is not there raises AttributeError.
    """

    def __init__(self, mapping: MutableMapping[str, Any] | None = None) -> None:
        raise NotImplementedError("datastructures: State.__init__")

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError("datastructures: State.__getattr__")

    def __setattr__(self, name: str, value: Any) -> None:
        raise NotImplementedError("datastructures: State.__setattr__")

    def __delattr__(self, name: str) -> None:
        raise NotImplementedError("datastructures: State.__delattr__")
