"""Readers as generators: each yields the ends that it could take, the longest first; no class but the public ones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import quote
from uuid import UUID


@dataclass(frozen=True)
class Converter:
    regex: object
    parse: object
    format: object


def text_reader(path, start):
    slash = path.find("/", start)
    yield from range(len(path) if slash < 0 else slash, start, -1)


def path_reader(path, start):
    yield from range(len(path), start - 1, -1)


def run_of(characters, path, start):
    end = start
    while end < len(path) and path[end] in characters:
        end += 1
    return end


def int_reader(path, start):
    yield from range(min(run_of("0123456789", path, start), start + 18), start, -1)


def float_reader(path, start):
    whole = run_of("0123456789", path, start)
    if start < whole < len(path) and path[whole] == ".":
        yield from range(run_of("0123456789", path, whole + 1), whole + 1, -1)
    yield from range(whole, start, -1)


def uuid_reader(path, start):
    end = start
    for size in (8, 4, 4, 4, 12):
        if end != start:
            if path[end : end + 1] != "-":
                return
            end += 1
        if run_of("0123456789abcdefABCDEF", path[: end + size], end) != end + size:
            return
        end += size
    yield end


def own_reader(regex):
    compiled = re.compile(regex)

    def reader(path, start):
        for end in range(len(path), start - 1, -1):
            if compiled.fullmatch(path[start:end]):
                yield end

    return reader


def literal_reader(literal):
    def reader(path, start):
        if path[start : start + len(literal)] == literal:
            yield start + len(literal)

    return reader


def finite(text):
    number = float(text)
    if number == number * 2 and number:
        raise ValueError(text)
    return number


def plain(number):
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise ValueError(number)
    return format(Decimal(str(number)), "f")


BUILT_IN = {
    "str": (text_reader, str, str),
    "int": (int_reader, int, str),
    "float": (float_reader, finite, plain),
    "uuid": (uuid_reader, UUID, str),
    "path": (path_reader, str, str),
}


class CompiledPath:
    def __init__(self):
        self.steps = []  # (name or None, reader, parse, format)

    def ends(self, path):
        """Depth first over the choices of all readers, with a stack of generators."""
        if not self.steps:
            return [] if path == "" else None
        stack = [self.steps[0][1](path, 0)]
        ends = [0]
        while stack:
            end = next(stack[-1], None)
            if end is None:
                stack.pop()
                ends.pop()
            elif len(stack) < len(self.steps):
                ends.append(end)
                stack.append(self.steps[len(stack)][1](path, end))
            elif end == len(path):
                return [*ends[1:], end]
        return None

    def match(self, path):
        ends = self.ends(path)
        if ends is None:
            return None
        values = {}
        start = 0
        for (name, _, parse, _), end in zip(self.steps, ends):
            if name is not None:
                try:
                    values[name] = parse(path[start:end])
                except ValueError:
                    return None
            start = end
        return values

    def format(self, /, **values):
        given = dict(values)
        out = ""
        for name, _, _, write in self.steps:
            if name is None:
                out += write
            else:
                try:
                    out += write(given.pop(name))
                except KeyError as error:
                    raise ValueError(f"no value for {name}") from error
        if given:
            raise ValueError(f"too many: {given}")
        back = self.match(out)
        if back is None or any(back[name] != values[name] for name in back):
            raise ValueError(f"{values!r}: {out!r} would give {back!r}")
        return quote(out)


def compile_path(template: str, converters: Any = None) -> CompiledPath:
    made = CompiledPath()
    seen = []
    for number, chunk in enumerate(template.split("{")):
        if number:
            declared, closing, chunk = chunk.partition("}")
            if not closing:
                raise ValueError(f"{template}: a brace is not closed")
            name, *kind = declared.split(":")
            if not (name.isidentifier() and name.isascii()) or name in seen:
                raise ValueError(f"{template}: {name!r} is not a new and proper name")
            seen.append(name)
            kind = ":".join(kind) if kind else "str"
            if converters is not None and kind in converters:
                own = converters[kind]
                made.steps.append((name, own_reader(own.regex), own.parse, own.format))
            elif kind in BUILT_IN:
                made.steps.append((name, *BUILT_IN[kind]))
            else:
                raise ValueError(f"{template}: {kind!r} is not a converter")
        if "}" in chunk:
            raise ValueError(f"{template}: a brace is not opened")
        if chunk:
            made.steps.append((None, literal_reader(chunk), None, chunk))
    return made
