"""A regex that is not quite right."""

import re
from dataclasses import dataclass
from typing import Any, Callable
from uuid import UUID


@dataclass(frozen=True)
class Converter:
    regex: str
    parse: Callable[[str], Any]
    format: Callable[[Any], str]


CONVERTERS = {
    "str": Converter(r"[^/]+", str, str),
    "int": Converter(r"\d+", int, str),
    "float": Converter(r"\d+(\.\d+)?", float, str),
    "uuid": Converter(r"[0-9a-f-]{36}", UUID, str),
    "path": Converter(r".*", str, str),
}


class CompiledPath:
    def __init__(self, template, converters):
        self.converters = {}
        pattern = ""
        position = 0
        for match in re.finditer(r"{(\w+)(?::(\w+))?}", template):
            pattern += template[position : match.start()]
            name = match[1]
            if name in self.converters:
                raise ValueError(f"{name} occurs twice")
            if (match[2] or "str") not in converters:
                raise ValueError(f"unknown converter {match[2]}")
            self.converters[name] = converters[match[2] or "str"]
            pattern += f"(?P<{name}>{self.converters[name].regex})"
            position = match.end()
        self.template = template
        self.regex = re.compile("^" + pattern + template[position:] + "$")

    def match(self, path):
        match = self.regex.match(path)
        if not match:
            return None
        return {name: converter.parse(match[name]) for name, converter in self.converters.items()}

    def format(self, /, **values):
        path = re.sub(r":\w+}", "}", self.template)
        return path.format(**values)


def compile_path(template, converters=None):
    return CompiledPath(template, CONVERTERS | dict(converters or {}))
