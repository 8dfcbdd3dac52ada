"""Path templates: which paths a route answers, the values in them, and the way back from values to a path.

Rule 1: a path arrives decoded (ASGI, HTTP connection scope, `path`): nothing here decodes it again.
Rule 2: whatever is wrong with a template is said when it is made; after that a path matches or does not.
Rule 3: no state: a template knows the converters that it was given, and no other.
Rule 4: what `format` writes, `match` reads back; a value for which that would not hold is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


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
        raise NotImplementedError("paths: CompiledPath.__init__")

    def match(self, path: str) -> dict[str, Any] | None:
        """The parameters' values by name if the template matches the whole of `path`, else None.

        `path` is `scope["path"]`: the server has already decoded percent-encoding and UTF-8. Where it
        can be split in several ways, the first parameter takes as much as it can, then the second, and so on.
        Each call gives a new dict; one for a template without parameters is empty.
        """
        raise NotImplementedError("paths: CompiledPath.match")

    def format(self, /, **values: Any) -> str:
        """The path that these values give, percent-encoded (RFC 3986, sections 2.1 and 3.3).

        What is returned can be read back: `match(unquote(format(**values))) == values`. Raises ValueError for
        values of which that would not be true, for a missing value, and for one that no parameter takes.
        """
        raise NotImplementedError("paths: CompiledPath.format")


def compile_path(template: str, converters: Mapping[str, Converter] | None = None) -> CompiledPath:
    """Make a path template: literal text, and parameters written `{name}` or `{name:converter}`.

    `converters` maps further names to converters, beside str (the default), int, float, uuid and path. It is
    only read, and counts for this template alone.
    Raises ValueError for an unknown converter, a name that occurs twice or is ill-formed, and a stray brace.
    """
    raise NotImplementedError("paths: compile_path")
