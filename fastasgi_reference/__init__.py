"""FastASGI: a small ASGI framework, built module by module.

A name is imported from its module when it is first used (PEP 562), so that one module can be used while
another is unfinished.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .paths import Converter, compile_path

__all__ = ["Converter", "compile_path"]

_MODULES = {
    "Converter": "paths",
    "compile_path": "paths",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
