"""A class for each converter, an abstract base, and a NamedTuple for the public one."""

import abc
import re
from typing import Any, Callable, ClassVar, Dict, List, Mapping, NamedTuple, Optional, Type, Union
from urllib.parse import quote, unquote
from uuid import UUID


class Converter(NamedTuple):
    regex: str
    parse: Callable[[str], Any]
    format: Callable[[Any], str]


class _Builtin(abc.ABC):
    regex: ClassVar[str]
    kind: ClassVar[type]

    def parse(self, text: str) -> Any:
        return self.kind(text)

    def format(self, value: Any) -> str:
        if type(value) is not self.kind:
            raise ValueError(f"expected {self.kind.__name__}, got {value!r}")
        return self.text(value)

    @abc.abstractmethod
    def text(self, value: Any) -> str: ...


class _Str(_Builtin):
    regex = "[^/]+"
    kind = str

    def text(self, value: str) -> str:
        return value


class _Path(_Str):
    regex = r"(?:.|\n)*"


class _Int(_Builtin):
    regex = "[0-9]{1,18}"
    kind = int

    def text(self, value: int) -> str:
        return "%d" % value


class _Float(_Builtin):
    regex = r"[0-9]+(?:[.][0-9]+)?"
    kind = float

    def parse(self, text: str) -> float:
        value = float(text)
        if value == float("inf"):
            raise ValueError("too large")
        return value

    def format(self, value: Any) -> str:
        return super().format(float(value) if type(value) is int else value)

    def text(self, value: float) -> str:
        # 1074 decimals hold any float exactly; a path needs no more of them than do differ from 0.
        digits = f"{value:.1074f}".rstrip("0")
        return digits + "0" if digits.endswith(".") else digits


class _Uuid(_Builtin):
    regex = "-".join("[0-9A-Fa-f]{%d}" % size for size in (8, 4, 4, 4, 12))
    kind = UUID

    def text(self, value: UUID) -> str:
        return str(value).upper()


_BUILTINS: Dict[str, Type[_Builtin]] = {
    "str": _Str,
    "path": _Path,
    "int": _Int,
    "float": _Float,
    "uuid": _Uuid,
}


class CompiledPath:
    _declaration = re.compile(r"([A-Za-z_][A-Za-z_0-9]*)(?::(.*))?", re.DOTALL)

    def __init__(self, template: str, own: Mapping[str, Converter]) -> None:
        self._own = own
        self._parts: List[Union[str, str]] = []
        self._converters: Dict[str, Any] = {}
        rest = template
        pattern = ""
        while rest:
            literal, opened, rest = rest.partition("{")
            if "}" in literal:
                raise ValueError(f"{template}: '}}' without '{{'")
            pattern += re.escape(literal)
            self._parts.append(("literal", literal))
            if opened:
                declared, closed, rest = rest.partition("}")
                if not closed:
                    raise ValueError(f"{template}: '{{' without '}}'")
                name = self._declare(declared)
                pattern += f"(?P<{name}>{self._converters[name].regex})"
                self._parts.append(("name", name))
        self._regex = re.compile(rf"\A(?:{pattern})\Z")

    def _declare(self, declared: str) -> str:
        found = self._declaration.fullmatch(declared)
        if not found:
            raise ValueError(f"{declared!r} is no parameter")
        name, kind = found.group(1), found.group(2)
        if name in self._converters:
            raise ValueError(f"{name!r} occurs twice")
        if kind is None:
            kind = "str"
        if kind in _BUILTINS:
            self._converters[name] = _BUILTINS[kind]()
        elif kind in self._own:
            self._converters[name] = self._own[kind]
        else:
            raise ValueError(f"{kind!r} is unknown")
        return name

    def match(self, path: str) -> Optional[Dict[str, Any]]:
        found = self._regex.match(path)
        if found is None:
            return None
        values: Dict[str, Any] = {}
        for name, converter in self._converters.items():
            try:
                values[name] = converter.parse(found.group(name))
            except ValueError:
                return None
        return values

    def format(self, /, **values: Any) -> str:
        if set(values) != set(self._converters):
            raise ValueError(f"this path takes {sorted(self._converters)}, not {sorted(values)}")
        path = ""
        for what, text in self._parts:
            path += text if what == "literal" else self._converters[text].format(values[text])
        url = quote(path, safe="/~!$&'()*+,;=:@")
        if self.match(unquote(url)) != values:
            raise ValueError("these values cannot be read back")
        return url


def compile_path(template: str, converters: Optional[Mapping[str, Converter]] = None) -> CompiledPath:
    return CompiledPath(template, dict(converters or {}))
