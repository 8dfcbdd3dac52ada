"""A scanner by hand: no regex for templates or for the five, every split is tried from the longest on."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from typing import Any, Callable, Mapping
from urllib.parse import quote, unquote

DIGITS = frozenset("0123456789")
LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
HEX = frozenset("0123456789abcdefABCDEF")


@dataclass(frozen=True)
class Converter:
    regex: str
    parse: Callable[[str], Any]
    format: Callable[[Any], str]


@dataclass
class Hole:
    name: str
    takes: Callable[[str], bool]
    parse: Callable[[str], Any]
    format: Callable[[Any], str]


def _digits(text, most=None):
    return bool(text) and set(text) <= DIGITS and (most is None or len(text) <= most)


def _is_float(text):
    whole, point, rest = text.partition(".")
    return _digits(whole) and (not point or _digits(rest)) and isfinite(float(text))


def _is_uuid(text):
    return [len(part) for part in text.split("-")] == [8, 4, 4, 4, 12] and set(text) - {"-"} <= HEX


def _need(value, *kinds):
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise ValueError(f"{value!r} has the wrong type, it must be {kinds}")
    return value


def _int_text(value):
    _need(value, int)
    if not 0 <= value < 10**18:
        raise ValueError("an int in a path has 1 to 18 digits and no sign")
    return str(value)


def _float_text(value):
    value = float(_need(value, float, int))
    if not isfinite(value) or value < 0:
        raise ValueError("a float in a path is finite and not negative")
    return format(Decimal(repr(value)), "f")


def _str_text(value):
    _need(value, str)
    if not value or "/" in value:
        raise ValueError("a str in a path is one segment")
    return value


FIVE = {
    "str": (lambda text: text != "" and "/" not in text, str, _str_text),
    "int": (lambda text: _digits(text, 18), int, _int_text),
    "float": (_is_float, float, _float_text),
    "uuid": (_is_uuid, uuid.UUID, lambda value: str(_need(value, uuid.UUID))),
    "path": (lambda text: True, str, lambda value: _need(value, str)),
}


class Template:
    def __init__(self, parts):
        self.parts = parts

    def match(self, path):
        texts = {}
        if not self._fill(0, path, 0, texts):
            return None
        try:
            return {hole.name: hole.parse(texts[hole.name]) for hole in self.parts if isinstance(hole, Hole)}
        except ValueError:
            return None

    def _fill(self, index, path, start, texts):
        if index == len(self.parts):
            return start == len(path)
        part = self.parts[index]
        if isinstance(part, str):
            return path.startswith(part, start) and self._fill(index + 1, path, start + len(part), texts)
        for end in range(len(path), start - 1, -1):
            if part.takes(path[start:end]) and self._fill(index + 1, path, end, texts):
                texts[part.name] = path[start:end]
                return True
        return False

    def format(self, /, **values):
        rest = dict(values)
        written = ""
        for part in self.parts:
            if isinstance(part, str):
                written += quote(part)
                continue
            if part.name not in rest:
                raise ValueError(f"{part.name} is missing")
            written += quote(part.format(rest.pop(part.name)))
        if rest:
            raise ValueError(f"nobody takes {list(rest)}")
        if self.match(unquote(written)) != values:
            raise ValueError(f"{values} would be read otherwise")
        return written


def compile_path(template: str, converters: Mapping[str, Converter] | None = None) -> Template:
    parts: list[Any] = []
    names = set()
    literal = ""
    position = 0
    while position < len(template):
        char = template[position]
        if char == "}":
            raise ValueError(f"{template!r}: a }} at {position} closes nothing")
        if char != "{":
            literal += char
            position += 1
            continue
        end = template.find("}", position)
        if end < 0 or "{" in template[position + 1 : end]:
            raise ValueError(f"{template!r}: the {{ at {position} is not closed")
        if literal:
            parts.append(literal)
            literal = ""
        parts.append(_hole(template[position + 1 : end], converters or {}))
        if parts[-1].name in names:
            raise ValueError(f"{template!r}: {parts[-1].name} stands there twice")
        names.add(parts[-1].name)
        position = end + 1
    if literal:
        parts.append(literal)
    return Template(parts)


def _hole(declared, converters):
    name, kind = declared.split(":", 1) if ":" in declared else (declared, "str")
    if not name or name[0] in DIGITS or not set(name) <= LETTERS | DIGITS:
        raise ValueError(f"{name!r} is no name")
    if kind in FIVE:
        return Hole(name, *FIVE[kind])
    if kind not in converters:
        raise ValueError(f"{kind!r} is no converter")
    own = converters[kind]
    return Hole(name, lambda text: re.fullmatch(own.regex, text) is not None, own.parse, own.format)
