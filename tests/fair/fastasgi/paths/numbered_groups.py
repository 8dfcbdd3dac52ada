"""Numbered groups instead of named ones, a tokenizer with finditer, frozen dataclasses, generics and protocols."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Callable, Final, Generic, Mapping, Protocol, TypeAlias, TypeVar
from urllib import parse as urls
from uuid import UUID

T = TypeVar("T")
Values: TypeAlias = "dict[str, Any]"


class Readable(Protocol):
    def match(self, path: str) -> Values | None: ...


@dataclass(slots=True)
class Converter(Generic[T]):
    regex: str
    parse: Callable[[str], T]
    format: Callable[[T], str]


def as_float(text: str) -> float:
    if (number := float(text)) - number != 0:
        raise ValueError(text)
    return number


def from_float(number: float) -> str:
    if type(number) not in (int, float):
        raise ValueError(number)
    mantissa, _, exponent = str(number).partition("e")
    if not exponent:
        return mantissa
    whole, _, fraction = mantissa.partition(".")
    shift = int(exponent)
    if shift < 0:
        return "0." + "0" * (-shift - 1) + whole + fraction
    return whole + fraction + "0" * (shift - len(fraction))


DEFAULTS: Final[Mapping[str, Converter[Any]]] = {
    "": Converter("[^/]+", str, str),
    ":str": Converter("[^/]+", str, str),
    ":int": Converter("[0-9]{1,18}", int, str),
    ":float": Converter(r"[0-9]+(?:\.[0-9]+)?", as_float, from_float),
    ":uuid": Converter(r"(?a:[\da-fA-F]{8}-(?:[\da-fA-F]{4}-){3}[\da-fA-F]{12})", UUID, str),
    ":path": Converter(r"[\s\S]*", str, str),
}


@dataclass(frozen=True)
class PathTemplate:
    literals: tuple[str, ...]
    names: tuple[str, ...]
    kinds: tuple[Converter[Any], ...] = field(repr=False)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        wrapped = [f"({kind.regex})" for kind in self.kinds]
        escaped = [re.escape(literal) for literal in self.literals]
        return re.compile("".join(a + b for a, b in zip(escaped, [*wrapped, ""])))

    @cached_property
    def groups(self) -> list[int]:
        numbers, number = [], 1
        for kind in self.kinds:
            numbers.append(number)
            number += 1 + re.compile(kind.regex).groups
        return numbers

    def match(self, path: str) -> Values | None:
        if found := self.pattern.fullmatch(path):
            try:
                return {n: k.parse(found[g]) for n, k, g in zip(self.names, self.kinds, self.groups)}
            except ValueError:
                pass
        return None

    def format(self, /, **values: Any) -> str:
        if sorted(values) != sorted(self.names):
            raise ValueError(f"give {self.names}, not {tuple(values)}")
        if any(isinstance(value, bool) for value in values.values()):
            raise ValueError("a bool is written as text")
        texts = [kind.format(values[name]) for name, kind in zip(self.names, self.kinds)]
        path = "".join(a + b for a, b in zip(self.literals, [*texts, ""]))
        if self.match(path) != values:
            raise ValueError(f"{values} are not what {path!r} says")
        return urls.quote(path, safe="/", encoding="utf-8", errors="strict")


def compile_path(template: str, converters: Mapping[str, Converter[Any]] | None = None) -> Readable:
    mine = {f":{name}": kind for name, kind in (converters or {}).items()} | DEFAULTS
    literals, names, kinds, last = [], [], [], 0
    for token in re.finditer(r"\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<kind>:[^{}]*)?\}", template):
        literals.append(template[last : token.start()])
        last = token.end()
        names.append(token["name"])
        try:
            kinds.append(mine[token["kind"] or ""])
        except KeyError:
            raise ValueError(f"no converter {token['kind']}; there are {', '.join(mine)}") from None
    literals.append(template[last:])
    if any(brace in literal for literal in literals for brace in "{}"):
        raise ValueError(f"{template!r}: braces are for {{name}} and {{name:converter}}")
    if any(times > 1 for times in Counter(names).values()):
        raise ValueError(f"{template!r}: a name occurs twice")
    return PathTemplate(tuple(literals), tuple(names), tuple(kinds))
