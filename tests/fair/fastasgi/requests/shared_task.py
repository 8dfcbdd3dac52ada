# imports: werkzeug, markupsafe
"""One task for each call of `receive`, which everybody who waits shares; content types are werkzeug's business."""

from __future__ import annotations

import asyncio
import codecs
import enum
import json as json_module
import re
from collections import deque
from dataclasses import dataclass, field
from typing import Any, AsyncIterator, NamedTuple

from werkzeug.http import parse_options_header

from fastasgi import datastructures, exceptions, formdata, multipart, urls
from fastasgi.asgi_types import Message, Receive, Scope


class Address(NamedTuple):
    host: str
    port: int


class InvalidJSON(exceptions.HTTPException, ValueError):
    def __init__(self, where: str) -> None:
        exceptions.HTTPException.__init__(self, 400, f"not JSON: {where}")


class HTTPConnection:
    _headers: datastructures.Headers | None = None

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    @property
    def app(self) -> Any:
        if (app := self.scope.get("fastasgi.app")) is None:
            raise RuntimeError("there is no application around this connection")
        return app

    @property
    def headers(self) -> datastructures.Headers:
        if self._headers is None:
            self._headers = datastructures.Headers(raw=self.scope.get("headers") or ())
        return self._headers

    @property
    def query_params(self) -> datastructures.QueryParams:
        return datastructures.QueryParams(self.scope.get("query_string") or "")

    @property
    def cookies(self) -> dict[str, str]:
        fields = [field for header in self.headers.getlist("cookie") for field in header.split(";")]
        pairs = [field.partition("=")[::2] for field in fields if "=" in field]
        stripped = [(name.strip("\t "), unquote(value.strip("\t "))) for name, value in pairs]
        return {name: value for name, value in reversed(stripped) if name}

    @property
    def url(self) -> urls.URL:
        return self._url_of({})

    @property
    def base_url(self) -> urls.URL:
        root = self.scope["fastasgi.root_path"] if "fastasgi.root_path" in self.scope else None
        if root is None:
            root = self.scope.get("root_path") or ""
        secure = self.scope.get("scheme") in ("https", "wss")
        changes = {"type": "http", "scheme": "https" if secure else "http", "query_string": b""}
        return self._url_of(changes | {"path": root.rstrip("/") + "/"})

    def url_for(self, name: str, /, **params: Any) -> urls.URL:
        root = self.base_url
        return root.replace(path=root.path[:-1] + self.app.url_for(name, **params))

    def _url_of(self, changes: dict[str, Any]) -> urls.URL:
        return urls.URL.from_scope({**self.scope, "headers": self.headers.raw, **changes})

    @property
    def client(self) -> Address | None:
        match self.scope.get("client"):
            case [host, port]:
                return Address(host, int(port))
        return None

    @property
    def path_params(self) -> dict[str, Any]:
        return self.scope.get("path_params") or {}

    @property
    def state(self) -> datastructures.State:
        return datastructures.State(self.scope.setdefault("state", {}))


def unquote(value: str) -> str:
    if not re.fullmatch(r'(?s:".*")', value):
        return value

    def plain(found: re.Match[str]) -> str:
        escaped = found.group(1)
        return chr(int(escaped, base=8)) if len(escaped) == 3 else escaped

    return re.sub(r"\\([0-3][0-7]{2}|(?s:.))", plain, value[1:-1])


class Use(enum.Enum):
    NONE = "untouched"
    STREAMED = "streamed"
    FORWARDED = "forwarded"


@dataclass
class Post:
    """What has come from the server, and the one call of `receive` that is under way."""

    receive: Receive
    events: deque[Message] = field(default_factory=deque)
    complete: bool = False
    gone: bool = False
    call: asyncio.Task[Message] | None = None
    waiting: int = 0
    watched: bool = False

    def begin(self) -> asyncio.Task[Message]:
        if self.call is None:
            self.call = asyncio.create_task(self.receive())  # type: ignore[arg-type]
            self.call.add_done_callback(self.arrived)
        return self.call

    def arrived(self, call: asyncio.Task[Message]) -> None:
        self.call = None
        self.watched = False
        if call.cancelled() or call.exception() is not None:
            return
        event = call.result()
        if event["type"] == "http.disconnect":
            self.gone = True
        elif not self.complete:
            self.events.append(event)
            self.complete = event["type"] == "http.request" and not event.get("more_body", False)

    async def more(self) -> None:
        call = self.begin()
        self.waiting += 1
        try:
            await asyncio.wait([call])
        except asyncio.CancelledError:
            if self.waiting == 1 and not self.watched:
                call.cancel()
            raise
        finally:
            self.waiting -= 1
        if not call.cancelled():
            call.result()

    async def next(self) -> Message | None:
        while not self.events and not self.complete:
            if self.gone:
                raise exceptions.ClientDisconnect("gone before its request was complete")
            await self.more()
        return self.events.popleft() if self.events else None

    async def end(self) -> None:
        if self.call is not None:
            self.call.cancel()
            await asyncio.gather(self.call, return_exceptions=True)


class Request(HTTPConnection):
    def __init__(self, scope: Scope, receive: Receive | None = None) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"a request is made of an http scope, not of {scope['type']}")
        super().__init__(scope)
        self._post = Post(receive or self._no_receive)
        self._use = Use.NONE
        self._whole: bytes | None = None
        self._fields: formdata.FormData | None = None

    async def _no_receive(self) -> Message:
        raise RuntimeError("pass `receive`, too")

    @property
    def method(self) -> str:
        return self.scope["method"]

    @property
    def _is_broken(self) -> bool:
        return self._post.gone and not self._post.complete and not self._post.events

    def stream(self) -> AsyncIterator[bytes]:
        return self._chunks() if self._whole is None else self._again(self._whole)

    async def _again(self, whole: bytes) -> AsyncIterator[bytes]:
        if whole:
            yield whole

    async def _chunks(self) -> AsyncIterator[bytes]:
        if self._use is not Use.NONE and not self._is_broken:
            raise RuntimeError(f"the body is {self._use.value} already")
        self._use = Use.STREAMED
        while (event := await self._post.next()) is not None:
            match event:
                case {"type": "http.request", "body": bytes(chunk)}:
                    if chunk:
                        yield chunk
                case {"type": "http.request", "body": _}:
                    raise RuntimeError("the body of an event is bytes")
                case {"type": "http.request"}:
                    pass
                case _:
                    raise RuntimeError(f"{event['type']} is none of a request")

    async def body(self) -> bytes:
        if self._whole is None:
            self._whole = b"".join([chunk async for chunk in self.stream()])
        return self._whole

    @property
    def _content_type(self) -> tuple[str, dict[str, str]]:
        kind, options = parse_options_header(self.headers.get("content-type"))
        return kind.lower(), options

    async def text(self) -> str:
        charset = self._content_type[1].get("charset") or "utf-8"
        try:
            known = codecs.lookup(charset)
        except LookupError:
            raise exceptions.HTTPException(415, "unknown charset") from None
        if not known._is_text_encoding:
            raise exceptions.HTTPException(415, "no charset")
        return str(await self.body(), charset, "replace")

    async def json(self) -> Any:
        whole = await self.body()
        try:
            return json_module.loads(str(whole, "utf-8"), parse_constant=self._no_number)
        except json_module.JSONDecodeError as error:
            raise InvalidJSON(f"{error.msg} (line {error.lineno}, column {error.colno})") from error
        except UnicodeDecodeError as error:
            raise InvalidJSON(f"not UTF-8 at {error.start}") from error
        except (RecursionError, ValueError) as error:
            raise InvalidJSON("too deep, too long, or no number") from error

    def _no_number(self, text: str) -> float:
        raise InvalidJSON(text)

    async def form(self, limits: formdata.FormLimits | None = None) -> formdata.FormData:
        if self._fields is None:
            limits = formdata.FormLimits() if limits is None else limits
            match self._content_type[0]:
                case "multipart/form-data":
                    header = self.headers["content-type"]
                    self._fields = await multipart.parse_multipart(self.stream(), header, limits)
                case "application/x-www-form-urlencoded":
                    self._fields = await formdata.parse_urlencoded(self.stream(), limits)
                case "":
                    self._fields = formdata.FormData()
                case other:
                    raise exceptions.HTTPException(415, f"{other} is no form")
        return self._fields

    async def close(self) -> None:
        await self._post.end()
        if self._fields is not None:
            await self._fields.close()

    async def is_disconnected(self) -> bool:
        post = self._post
        while not post.gone:
            call = post.begin()
            post.watched = True
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if not call.done():
                break
            call.result()
            await asyncio.sleep(0)
        return post.gone

    async def receive(self) -> Message:
        while not self._post.gone:
            await self._post.more()
        return {"type": "http.disconnect"}

    async def forward(self) -> Message:
        first, self._use = self._use is not Use.FORWARDED, self._forwarding()
        if self._whole is not None:
            if first:
                return {"type": "http.request", "body": self._whole, "more_body": False}
            return await self.receive()
        try:
            event = await self._post.next()
        except exceptions.ClientDisconnect:
            event = None
        return await self.receive() if event is None else event

    def _forwarding(self) -> Use:
        if self._use is Use.STREAMED and self._whole is None and not self._is_broken:
            raise RuntimeError("the body was streamed already, and an application would miss it")
        return Use.FORWARDED
