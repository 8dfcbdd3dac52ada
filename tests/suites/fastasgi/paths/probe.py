"""Runs beside the submission: turns values into calls on its path templates.

Rule 1: values in, values out; what the learner's code returns goes back as it is.
Rule 2: functions cannot cross the boundary, so the converters of one's own live here, by name.
"""

from __future__ import annotations

from typing import Any

from fastasgi import paths


def match(template: str, path: str) -> Any:
    return paths.compile_path(template).match(path)


def write(template: str, values: dict[str, Any]) -> Any:
    return paths.compile_path(template).format(**values)


def make(template: str) -> None:
    """Only make the template: what is wrong with it has to show here."""
    paths.compile_path(template)


def match_twice(template: str, path: str) -> Any:
    """The second answer, after the first was spoilt by its caller."""
    compiled = paths.compile_path(template)
    first = compiled.match(path)
    first.clear()
    first["spoilt"] = True
    return compiled.match(path)


def match_with(template: str, path: str) -> Any:
    return paths.compile_path(template, _converters()).match(path)


def write_with(template: str, values: dict[str, Any]) -> Any:
    return paths.compile_path(template, _converters()).format(**values)


def match_after(given: str, template: str, path: str) -> Any:
    """Match with a template that is given no converters, after another one (`given`) that was."""
    paths.compile_path(given, _converters())
    return paths.compile_path(template).match(path)


def match_both(template: str, path: str) -> list[Any]:
    """Two templates with converters of the same name, `number`: one reads hexadecimal digits, one octal."""
    hexadecimal = paths.Converter("[0-9a-f]+", _hexadecimal, _as_hexadecimal)
    octal = paths.Converter("[0-7]+", _octal, _as_octal)
    first = paths.compile_path(template, {"number": hexadecimal})
    second = paths.compile_path(template, {"number": octal})
    return [first.match(path), second.match(path)]


def names_after(template: str, path: str) -> list[str]:
    """The names in the mapping of converters after its use."""
    converters = _converters()
    paths.compile_path(template, converters).match(path)
    return sorted(converters)


def _converters() -> dict[str, Any]:
    return {
        "hex": paths.Converter("[0-9a-f]+", _hexadecimal, _as_hexadecimal),
        "language": paths.Converter("en|de|den", str, str),
        "line": paths.Converter(".+", str, str),
        "size": paths.Converter("([0-9]+)x([0-9]+)", _size, _as_size),
        "month": paths.Converter("[0-9]{2}", _month, _as_month),
        "place": paths.Converter("[a-z]+/[a-z]+", str, str),
        "lower": paths.Converter("[a-zé ]+", str, str.lower),
        "share": paths.Converter("[0-9]", _share, _as_share),
    }


def _hexadecimal(text: str) -> int:
    return int(text, 16)


def _as_hexadecimal(value: int) -> str:
    return f"{value:x}"


def _octal(text: str) -> int:
    return int(text, 8)


def _as_octal(value: int) -> str:
    return f"{value:o}"


def _size(text: str) -> list[int]:
    return [int(side) for side in text.split("x")]


def _as_size(value: list[int]) -> str:
    return "x".join(str(side) for side in value)


def _month(text: str) -> int:
    if not 1 <= int(text) <= 12:
        raise ValueError("a month is 01 to 12")
    return int(text)


def _share(text: str) -> int:
    """A parser with a bug: it did not think of 0."""
    return 100 // int(text)


def _as_share(value: int) -> str:
    return str(100 // value)


def _as_month(value: int) -> str:
    return f"{value:02}"
