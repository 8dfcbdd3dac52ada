"""Headers as text in lists of two, the query string by parse_qsl, tuples of pairs that every question goes through."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from types import SimpleNamespace
from typing import Generic, TypeVar
from urllib.parse import parse_qsl, quote

T = TypeVar("T")
ALLOWED = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~")
LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def lowered(name):
    return name.translate(LOWER)


def pairs_of(source):
    if isinstance(source, (MultiDict, Headers)):
        return source.multi_items()
    return [(key, value) for key, value in (source.items() if isinstance(source, Mapping) else source)]


def in_groups(pairs):
    groups = {}
    for key, value in pairs:
        groups[key] = [*groups.get(key, []), value]
    return groups


class MultiDict(Mapping, Generic[T]):
    def __init__(self, pairs=()):
        self.__pairs = tuple(pairs_of(pairs))

    def __getitem__(self, key):
        for each, value in self.__pairs:
            if each == key:
                return value
        raise KeyError(key)

    def __iter__(self):
        return iter(in_groups(self.__pairs))

    def __len__(self):
        return len(in_groups(self.__pairs))

    def __eq__(self, other):
        return isinstance(other, MultiDict) and in_groups(self.multi_items()) == in_groups(
            other.multi_items()
        )

    def getlist(self, key):
        return [value for each, value in self.__pairs if each == key]

    def multi_items(self):
        return [*self.__pairs]


class QueryParams(MultiDict):
    def __init__(self, source=b""):
        if isinstance(source, bytes):
            source = source.decode("utf-8", "replace")
        if isinstance(source, str):
            source = parse_qsl(source, keep_blank_values=True)
        super().__init__(source)

    def __str__(self):
        return "&".join(
            f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in self.multi_items()
        )


def checked(name, value):
    if not name or set(name) - ALLOWED:
        raise ValueError(f"a header cannot be called {name!r}")
    if any(letter in "\r\n\0" or ord(letter) > 255 for letter in value):
        raise ValueError(f"{name}: {value!r}")
    return [lowered(name), value]


class Headers(Mapping):
    def __init__(self, headers=(), *, raw=None):
        if raw is None:
            self._lines = [checked(name, value) for name, value in pairs_of(headers)]
        else:
            decoded = ([part.decode("iso-8859-1") for part in pair] for pair in raw)
            self._lines = [[lowered(name), value] for name, value in decoded]

    @property
    def raw(self):
        return [(name.encode("iso-8859-1"), value.encode("iso-8859-1")) for name, value in self._lines]

    def multi_items(self):
        return [(name, value) for name, value in self._lines]

    def getlist(self, name):
        return [value for each, value in self._lines if each == lowered(name)]

    def __getitem__(self, name):
        found = self.getlist(name)
        if not found:
            raise KeyError(name)
        return found[0]

    def __iter__(self):
        yield from in_groups(self._lines)

    def __len__(self):
        return sum(1 for _ in self)

    def __eq__(self, other):
        return isinstance(other, Headers) and in_groups(self._lines) == in_groups(other._lines)


class MutableHeaders(Headers):
    def __setitem__(self, name, value):
        self.update([(name, value)])

    def __delitem__(self, name):
        self._lines = [line for line in self._lines if line[0] != lowered(name)]

    def append(self, name, value):
        self._lines.append(checked(name, value))

    def setdefault(self, name, value):
        if name not in self:
            self.append(name, value)
        return self[name]

    def update(self, headers):
        new = in_groups(Headers(headers).multi_items())
        old = in_groups(self._lines)
        lines, done = [], set()
        for name, value in [*self.multi_items(), *((name, None) for name in new if name not in old)]:
            if name not in new:
                lines.append([name, value])
            elif name not in done:
                done.add(name)
                lines += [[name, each] for each in new[name]]
        self._lines = lines

    def add_vary(self, name):
        checked(name, "")
        said = chain.from_iterable(value.split(",") for value in self.getlist("Vary"))
        said = [each for each in (each.strip() for each in said) if each]
        if not any(each in ("*", name) or each.lower() == name.lower() for each in said):
            self["Vary"] = ", ".join(said + [name])


class State:
    def __init__(self, mapping=None):
        object.__setattr__(self, "_own", SimpleNamespace(mapping={} if mapping is None else mapping))

    def __getattr__(self, name):
        if name not in self._own.mapping:
            raise AttributeError(name)
        return self._own.mapping[name]

    def __setattr__(self, name, value):
        self._own.mapping[name] = value

    def __delattr__(self, name):
        if self._own.mapping.pop(name, self) is self:
            raise AttributeError(name)
