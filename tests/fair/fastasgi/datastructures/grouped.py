"""No list of pairs: values by key, each with its place; a mixin for all; the query string by a regex."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any, Callable, Generic, Iterable, Iterator, Mapping, MutableMapping, TypeVar

V = TypeVar("V")


class _Grouped(Mapping):
    """Values by key, as (place, value); a place is any number, and grows from left to right."""

    _groups: dict[Any, list[tuple[int, Any]]]

    def _fill(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        groups: dict[Any, list[tuple[int, Any]]] = defaultdict(list)
        for place, (key, value) in enumerate(pairs):
            groups[key].append((place, value))
        self._groups = dict(groups)

    def _flat(self) -> list[tuple[Any, Any]]:
        placed = [(place, key, value) for key, group in self._groups.items() for place, value in group]
        return [(key, value) for _, key, value in sorted(placed, key=lambda each: each[0])]

    def _values(self, key: Any) -> list[Any]:
        return [value for _, value in self._groups.get(key, ())]

    def _same(self, other: _Grouped) -> bool:
        return self._groups.keys() == other._groups.keys() and all(
            self._values(key) == other._values(key) for key in self._groups
        )

    def __len__(self) -> int:
        return len(self._groups)


def _multi(source: Any) -> Iterable[tuple[Any, Any]]:
    for way in ("multi_items", "items"):
        if hasattr(source, way):
            return list(getattr(source, way)())
    return source


class MultiDict(_Grouped, Generic[V]):
    def __init__(self, pairs: Mapping[str, V] | Iterable[tuple[str, V]] = ()) -> None:
        self._fill(_multi(pairs))

    def __getitem__(self, key: str) -> V:
        return self._groups[key][0][1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._groups)

    def getlist(self, key: str) -> list[V]:
        return self._values(key)

    def multi_items(self) -> list[tuple[str, V]]:
        return self._flat()

    def __eq__(self, other: object) -> bool:
        return self._same(other) if isinstance(other, MultiDict) else NotImplemented


_FIELD = re.compile(rb"([^=&]*)(?:=([^&]*))?(?:&|\Z)")
_ESCAPE = re.compile(rb"%([0-9a-fA-F]{2})")


class QueryParams(MultiDict[str]):
    def __init__(self, source: Any = b"") -> None:
        if isinstance(source, str):
            source = source.encode()
        if isinstance(source, bytes):
            source = [
                (_plain(field[1]), _plain(field[2] or b""))
                for field in _FIELD.finditer(source)
                if field[0].strip(b"&")
            ]
        super().__init__(source)

    def __str__(self) -> str:
        return "&".join("=".join(map(_encoded, pair)) for pair in self.multi_items())


def _plain(wire: bytes) -> str:
    data = _ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()), wire.replace(b"+", b" "))
    return str(data, "utf-8", "replace")


def _encoded(text: str) -> str:
    return "".join(
        chr(byte) if chr(byte).isalnum() and byte < 128 else f"%{byte:02x}" for byte in text.encode()
    )


class Headers(_Grouped):
    def __init__(self, headers: Any = (), *, raw: Iterable[Iterable[bytes]] | None = None) -> None:
        if raw is not None:
            self._fill((name.lower(), value) for name, value in raw)
        else:
            self._fill([_line(name, value) for name, value in _multi(headers)])

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        return self._flat()

    def _group(self, name: str) -> list[tuple[int, bytes]]:
        return self._groups.get(
            name.encode("latin-1", "replace").lower() if name.isascii() else _beyond(name), []
        )

    def __getitem__(self, name: str) -> str:
        for _, value in self._group(name):
            return value.decode("latin-1")
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        seen = sorted(self._groups, key=lambda key: min(place for place, _ in self._groups[key]))
        return (key.decode("latin-1") for key in seen)

    def getlist(self, name: str) -> list[str]:
        return [value.decode("latin-1") for _, value in self._group(name)]

    def multi_items(self) -> list[tuple[str, str]]:
        return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.raw]

    def __eq__(self, other: object) -> bool:
        return self._same(other) if isinstance(other, Headers) else NotImplemented


def _beyond(name: str) -> bytes | None:
    return None if max(name) > "\xff" else name.encode("latin-1").lower()


def _line(name: str, value: str) -> tuple[bytes, bytes]:
    if re.fullmatch(r"[!#$%&'*+.^_`|~0-9a-zA-Z-]+", name) is None or not {"\r", "\n", "\0"}.isdisjoint(value):
        raise ValueError(f"{name!r}: {value!r} is no header")
    return name.lower().encode("ascii"), value.encode("latin-1")


class MutableHeaders(Headers):
    def __setitem__(self, name: str, value: str) -> None:
        self._change(lambda old, new: [new[0]] if old is None else [], [_line(name, value)])

    def __delitem__(self, name: str) -> None:
        self._fill([pair for pair in self._flat() if pair[0] != _beyond(name or "\0")])

    def append(self, name: str, value: str) -> None:
        self._fill([*self._flat(), _line(name, value)])

    def setdefault(self, name: str, value: str) -> str:
        if not self._group(name):
            self.append(name, value)
        return self[name]

    def update(self, headers: Any) -> None:
        self._change(lambda old, new: new if old is None else [], Headers(headers).raw)

    def add_vary(self, name: str) -> None:
        _line(name, "")
        listed = re.findall(r"[^\s,](?:[^,]*[^\s,])?", ",".join(self.getlist("vary")))
        if {"*", name.lower()}.isdisjoint(map(str.lower, listed)):
            self["vary"] = ", ".join((*listed, name))

    def _change(
        self, choose: Callable[[Any, Any], list[tuple[bytes, bytes]]], pairs: list[tuple[bytes, bytes]]
    ) -> None:
        """Put what is chosen of the new pairs of a name in the place of the first old one."""
        waiting: dict[bytes, list[tuple[bytes, bytes]]] = {}
        for key, value in pairs:
            waiting.setdefault(key, []).append((key, value))
        keys, out = set(waiting), []
        for pair in self._flat():
            out += (
                choose(None, waiting.pop(pair[0]))
                if pair[0] in waiting
                else [pair]
                if pair[0] not in keys
                else []
            )
        for group in waiting.values():
            out += choose(None, group)
        self._fill(out)


class State:
    __slots__ = ("_mapping",)

    def __init__(self, mapping: MutableMapping[str, Any] | None = None) -> None:
        object.__setattr__(self, "_mapping", dict() if mapping is None else mapping)

    def __getattr__(self, name: str) -> Any:
        try:
            return self._mapping[name]
        except KeyError as missing:
            raise AttributeError(f"no {name} in {sorted(self._mapping)}") from missing

    def __setattr__(self, name: str, value: Any) -> None:
        self._mapping[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self._mapping[name]
        except KeyError as missing:
            raise AttributeError(name) from missing
