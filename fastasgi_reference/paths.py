"""Path templates: which paths a route answers, the values in them, and the way back from values to a path.

Rule 1: a path arrives decoded (ASGI, HTTP connection scope, `path`): nothing here decodes it again.
Rule 2: whatever is wrong with a template is said when it is made; after that a path matches or does not.
Rule 3: no state: a template knows the converters that it was given, and no other.
Rule 4: what `format` writes, `match` reads back; a value for which that would not hold is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import quote
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Converter:
    """How parameters of one kind are read from a path and written into one.

    `regex` describes the whole text of a parameter; it alone decides whether that may be empty or hold a `/`.
    It may hold alternatives and unnamed groups; named groups, back-references and flags for the whole of a
    regex are not for converters.
    `parse` makes the value from that text; if it raises ValueError, the path does not match. Any other
    exception goes through to the caller.
    `format` makes the text from a value, before percent-encoding.
    """

    regex: str
    parse: Callable[[str], Any]
    format: Callable[[Any], str]


class CompiledPath:
    """A path template, ready to match paths and to write them. `compile_path` makes it."""

    def __init__(self, template: str, converters: Mapping[str, Converter]) -> None:
        """Compile `template`, whose parameters may be of the kinds that `converters` names.

        Raises ValueError for a template that is ill-formed, or names a converter that is not in `converters`.
        """
        pieces = tuple(_pieces(template, converters))
        self._template = template
        self._pieces = pieces
        self._regex = re.compile("".join(_pattern(piece) for piece in pieces))

    def match(self, path: str) -> dict[str, Any] | None:
        """The parameters' values by name if the template matches the whole of `path`, else None.

        `path` is `scope["path"]`: the server has already decoded percent-encoding and UTF-8. Where it
        can be split in several ways, the first parameter takes as much as it can, then the second, and so on.
        Each call gives a new dict; one for a template without parameters is empty.
        """
        found = self._regex.fullmatch(path)
        if found is None:
            return None
        try:
            return {each.name: each.converter.parse(found[each.name]) for each in self._parameters()}
        except ValueError:
            return None

    def format(self, /, **values: Any) -> str:
        """The path that these values give, percent-encoded (RFC 3986, sections 2.1 and 3.3).

        What is returned can be read back: `match(unquote(format(**values))) == values`. Raises ValueError for
        values of which that would not be true, for a missing value, and for one that no parameter takes.
        """
        self._check_names(values)
        path = "".join(_text(piece, values) for piece in self._pieces)
        if self.match(path) != values:
            raise ValueError(
                f"{self._template!r} cannot be written with {values!r}: matching {path!r} does not give them "
                "back. Give each parameter a value of its converter's type that fits its place."
            )
        return quote(path, safe=_PATH_CHARACTERS)

    def _parameters(self) -> Iterator[_Parameter]:
        return (piece for piece in self._pieces if isinstance(piece, _Parameter))

    def _check_names(self, values: Mapping[str, Any]) -> None:
        names = {each.name for each in self._parameters()}
        if values.keys() != names:
            raise ValueError(
                f"{self._template!r} was given values for {', '.join(sorted(values)) or 'nothing'}. "
                f"Pass one by name for each of its parameters: {', '.join(sorted(names)) or 'it has none'}."
            )


def compile_path(template: str, converters: Mapping[str, Converter] | None = None) -> CompiledPath:
    """Make a path template: literal text, and parameters written `{name}` or `{name:converter}`.

    `converters` maps further names to converters, beside str (the default), int, float, uuid and path. It is
    only read, and counts for this template alone.
    Raises ValueError for an unknown converter, a name that occurs twice or is ill-formed, and a stray brace.
    """
    return CompiledPath(template, {**_CONVERTERS, **(converters or {})})


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    converter: Converter


def _pieces(template: str, converters: Mapping[str, Converter]) -> Iterator[str | _Parameter]:
    """The literals and parameters of a template, in turn: `re.split` puts what is in braces at odd places."""
    seen: set[str] = set()
    for place, part in enumerate(re.split(r"\{([^{}]*)\}", template)):
        if place % 2 == 0:
            yield _literal(part, template)
            continue
        parameter = _parameter(part, template, converters)
        if parameter.name in seen:
            raise ValueError(f"{template!r}: two parameters are called {parameter.name!r}. Rename one.")
        seen.add(parameter.name)
        yield parameter


def _literal(text: str, template: str) -> str:
    if "{" in text or "}" in text:
        raise ValueError(f"{template!r}: a brace stands alone. Write {{name}} or {{name:converter}}.")
    return text


def _parameter(declared: str, template: str, converters: Mapping[str, Converter]) -> _Parameter:
    name, colon, kind = declared.partition(":")
    if not (name.isascii() and name.isidentifier()):
        raise ValueError(
            f"{template!r}: {name!r} is no name for a parameter. "
            "Use ASCII letters, digits and underscores, with no digit first."
        )
    converter = converters.get(kind if colon else "str")
    if converter is None:
        raise ValueError(
            f"{template!r}: there is no converter {kind!r}. "
            f"Use one of {', '.join(sorted(converters))}, or pass yours in `converters`."
        )
    return _Parameter(name, converter)


def _pattern(piece: str | _Parameter) -> str:
    if isinstance(piece, str):
        return re.escape(piece)
    return f"(?P<{piece.name}>{piece.converter.regex})"


def _text(piece: str | _Parameter, values: Mapping[str, Any]) -> str:
    return piece if isinstance(piece, str) else piece.converter.format(values[piece.name])


def _finite(text: str) -> float:
    """The float that is nearest to a decimal number. Raises ValueError where that is infinity."""
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} is too large for a float")
    return number


def _decimal(value: Any) -> str:
    """The shortest decimal text of a number, without an exponent. Raises ValueError for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is no float: pass a number")
    return f"{Decimal(str(value)):f}"


_CONVERTERS: Mapping[str, Converter] = {
    "str": Converter(r"[^/]+", str, str),
    "int": Converter(r"[0-9]{1,18}", int, str),
    "float": Converter(r"[0-9]+(?:\.[0-9]+)?", _finite, _decimal),
    "uuid": Converter(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", UUID, str),
    "path": Converter(r"(?s:.*)", str, str),
}

_PATH_CHARACTERS = "/:@!$&'()*+,;="
"""What a path may hold as it is, besides the unreserved characters (RFC 3986, section 3.3: pchar and `/`)."""
