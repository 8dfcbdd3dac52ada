"""Functions in functions: the object is a pair of closures, templates are taken apart by string.Formatter."""

from __future__ import annotations

import re
import string
from collections import namedtuple
from decimal import Decimal
from types import SimpleNamespace
from urllib.parse import quote_from_bytes
from uuid import UUID

Converter = namedtuple("Converter", "regex parse format")


def only(kind):
    def text(value):
        if not isinstance(value, kind):
            raise ValueError(f"{value!r} is no {kind.__name__}")
        return str(value)

    return text


def parse_float(text):
    found = float(text)
    if found in (float("inf"), float("-inf")):
        raise ValueError("infinite")
    return found


def write_float(value):
    if value is True or value is False or not isinstance(value, (float, int)):
        raise ValueError("no number")
    digits = "{:f}".format(Decimal(repr(value)))
    return digits[:-2] if digits.endswith(".0") else digits


def write_int(value):
    if type(value) is not int:
        raise ValueError("no int")
    return repr(value)


known = {
    "str": Converter("[^/]+", str, only(str)),
    "int": Converter("[0123456789]{1,18}", int, write_int),
    "float": Converter("[0-9]+([.][0-9]+)?", parse_float, write_float),
    "uuid": Converter("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", UUID, only(UUID)),
    "path": Converter("[^\\x00]*(\\x00[^\\x00]*)*", str, only(str)),
}


def take_apart(template):
    if "{{" in template or "}}" in template:
        raise ValueError("braces cannot be escaped")
    for literal, field, spec, conversion in string.Formatter().parse(template):
        yield literal, field, spec, conversion


def compile_path(template, converters=None):
    steps = []
    used = {}
    source = []
    for literal, field, spec, conversion in take_apart(template):
        steps.append(lambda values, literal=literal: literal)
        source.append(re.escape(literal))
        if field is None:
            continue
        if conversion or not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", field) or "{" + field + ":}" in template:
            raise ValueError(f"{template}: {field!r} is ill-formed")
        if field in used:
            raise ValueError(f"{template}: {field} twice")
        kind = spec or "str"
        if kind in known:
            used[field] = known[kind]
        elif converters and kind in converters:
            used[field] = converters[kind]
        else:
            raise ValueError(f"{template}: what is {kind!r}?")
        steps.append(lambda values, field=field: used[field].format(values[field]))
        source.append(f"(?P<{field}>{used[field].regex})")
    whole = re.compile("".join(source))

    def match(path):
        found = whole.fullmatch(path)
        if not found:
            return None
        try:
            return {field: used[field].parse(found[field]) for field in used}
        except ValueError:
            return None

    def format(**values):
        if values.keys() ^ used.keys():
            raise ValueError(f"missing or extra: {values.keys() ^ used.keys()}")
        path = "".join(step(values) for step in steps)
        if match(path) != values:
            raise ValueError("no way back")
        return quote_from_bytes(path.encode("utf-8"), safe="/")

    return SimpleNamespace(match=match, format=format)
