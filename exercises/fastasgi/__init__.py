"""FastASGI: a small ASGI framework, built module by module.

A name is imported from its module when it is first used (PEP 562), so that one module can be used while
another is unfinished.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .applications import FastASGI as FastASGI
    from .exceptions import ClientDisconnect as ClientDisconnect
    from .exceptions import HTTPException as HTTPException
    from .file_responses import FileResponse as FileResponse
    from .formdata import FormData as FormData
    from .formdata import UploadFile as UploadFile
    from .paths import Converter as Converter
    from .paths import compile_path as compile_path
    from .radix import RadixRouter as RadixRouter
    from .requests import Request as Request
    from .responses import BackgroundTasks as BackgroundTasks
    from .responses import Response as Response
    from .responses import StreamingResponse as StreamingResponse
    from .responses import html_response as html_response
    from .responses import json_response as json_response
    from .responses import redirect_response as redirect_response
    from .responses import text_response as text_response
    from .routing import APIRouter as APIRouter
    from .sse import EventStream as EventStream
    from .sse import ServerSentEvent as ServerSentEvent
    from .staticfiles import StaticFiles as StaticFiles
    from .status import HTTPStatus as HTTPStatus
    from .urls import URL as URL
    from .websockets import WebSocket as WebSocket
    from .websockets import WebSocketDisconnect as WebSocketDisconnect

_MODULES = {
    "APIRouter": "routing",
    "BackgroundTasks": "responses",
    "ClientDisconnect": "exceptions",
    "Converter": "paths",
    "EventStream": "sse",
    "FastASGI": "applications",
    "FileResponse": "file_responses",
    "FormData": "formdata",
    "HTTPException": "exceptions",
    "HTTPStatus": "status",
    "RadixRouter": "radix",
    "Request": "requests",
    "Response": "responses",
    "ServerSentEvent": "sse",
    "StaticFiles": "staticfiles",
    "StreamingResponse": "responses",
    "URL": "urls",
    "UploadFile": "formdata",
    "WebSocket": "websockets",
    "WebSocketDisconnect": "websockets",
    "compile_path": "paths",
    "html_response": "responses",
    "json_response": "responses",
    "redirect_response": "responses",
    "text_response": "responses",
}

__all__ = [*_MODULES]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
