"""A table of what is made of a scope, a future for the next event, and one word for what happened to the body."""

from __future__ import annotations

import asyncio
import json
from typing import Any, NamedTuple

from fastasgi.asgi_types import require_type
from fastasgi.datastructures import Headers, QueryParams, State
from fastasgi.exceptions import ClientDisconnect, HTTPException
from fastasgi.formdata import FormData, FormLimits, parse_urlencoded
from fastasgi.multipart import parse_multipart
from fastasgi.urls import URL


class Address(NamedTuple):
    host: str
    port: int


class InvalidJSON(HTTPException, ValueError):
    pass


def make_app(self):
    try:
        return self.scope["fastasgi.app"]
    except KeyError:
        raise RuntimeError("no application has put itself into the scope") from None


def make_headers(self):
    return Headers(raw=self.scope.get("headers") or [])


def make_query_params(self):
    return QueryParams(self.scope.get("query_string") or b"")


def make_cookies(self):
    cookies = {}
    for header in self.headers.getlist("cookie"):
        for field in header.split(";"):
            if "=" in field:
                name, value = (text.strip(" \t") for text in field.split("=", 1))
                if name and name not in cookies:
                    cookies[name] = without_quotes(value)
    return cookies


def without_quotes(value):
    if len(value) < 2 or not (value[0] == value[-1] == '"'):
        return value
    out, letters = [], iter(value[1:-1])
    for letter in letters:
        if letter != "\\":
            out.append(letter)
            continue
        digits = next(letters, "")
        if digits in ("0", "1", "2", "3"):
            digits += next(letters, "") + next(letters, "")
            if len(digits) == 3 and set(digits) <= set("01234567"):
                out.append(chr(int(digits, 8)))
                continue
            return "".join(out) + digits[0] + without_quotes('"' + digits[1:] + "".join(letters) + '"')
        out.append(digits)
    return "".join(out)


def make_url(self):
    return URL.from_scope(dict(self.scope, headers=self.headers.raw))


def make_base_url(self):
    scope = dict(self.scope, type="http", headers=self.headers.raw, query_string=b"")
    scope["path"] = self.scope.get("fastasgi.root_path", self.scope.get("root_path", ""))
    scope["scheme"] = (self.scope.get("scheme") or "http").replace("ws", "http")
    return URL.from_scope(scope)


def make_client(self):
    if not self.scope.get("client"):
        return None
    host, port = self.scope["client"]
    return Address(host, int(port))


def make_path_params(self):
    return self.scope.get("path_params", {})


def make_state(self):
    if "state" not in self.scope:
        self.scope["state"] = {}
    return State(self.scope["state"])


class HTTPConnection:
    def __init__(self, scope):
        self.scope = scope

    def __getattr__(self, name):
        make = globals().get("make_" + name)
        if make is None:
            raise AttributeError(name)
        value = self.__dict__[name] = make(self)
        return value

    def url_for(self, name, /, **params):
        path = self.app.url_for(name, **params)
        return self.base_url.replace(path=self.base_url.path.rstrip("/") + path)


async def nothing():
    raise RuntimeError("made without receive")


class Request(HTTPConnection):
    def __init__(self, scope, receive=None):
        require_type(scope, "http")
        self.scope = scope
        self.method = scope["method"]
        self.server = receive or nothing
        self.events = []
        self.complete = self.gone = False
        self.used = ""
        self.kept = None
        self.read_form = None
        self.news = None
        self.looking = None

    async def bring(self):
        """One receives; who comes meanwhile waits for that, and then looks again."""
        if self.news is not None:
            await asyncio.wait([self.news])
            return
        self.news = asyncio.get_running_loop().create_future()
        try:
            event = await self.server()
            if event["type"] == "http.disconnect":
                self.gone = True
            elif not self.complete:
                self.events.append(event)
                self.complete = event["type"] == "http.request" and not event.get("more_body")
        finally:
            self.news.set_result(None)
            self.news = None

    async def next_event(self):
        while not self.events:
            if self.complete:
                return None
            if self.gone:
                self.used = "broken"
                raise ClientDisconnect("the client is gone, and half of the body with it")
            await self.bring()
        return self.events.pop(0)

    async def stream(self):
        if self.kept is not None:
            for start in range(0, len(self.kept), 1000):
                yield self.kept[start : start + 1000]
            return
        if self.used not in ("", "broken"):
            raise RuntimeError(f"the body was {self.used} before")
        self.used = "streamed"
        event = await self.next_event()
        while event is not None:
            body = event.get("body", b"")
            if event["type"] != "http.request" or type(body) is not bytes:
                raise RuntimeError(f"no event of a request: {event}")
            if body:
                yield body
            event = await self.next_event()

    async def body(self):
        if self.kept is None:
            whole = b""
            async for chunk in self.stream():
                whole += chunk
            self.kept = whole
        return self.kept

    async def text(self):
        charset = ""
        for parameter in self.headers.get("content-type", "").split(";")[1:]:
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "charset":
                charset = charset or value.strip().strip('"')
        body = await self.body()
        try:
            return body.decode(charset or "utf-8", "replace")
        except LookupError:
            raise HTTPException(415, f"send another charset than {charset}") from None

    async def json(self):
        body = await self.body()
        try:
            return json.loads(body.decode("utf-8"), parse_constant=int)
        except json.JSONDecodeError as error:
            raise InvalidJSON(400, str(error)) from None
        except UnicodeDecodeError as error:
            raise InvalidJSON(400, f"byte {error.start} is no UTF-8") from None
        except (ValueError, RecursionError) as error:
            raise InvalidJSON(400, f"no JSON, or too much of it: {str(error)[:80]}") from None

    async def form(self, limits=None):
        if self.read_form is None:
            content_type = self.headers.get("content-type", "")
            kind = content_type.split(";")[0].strip().lower()
            limits = limits or FormLimits()
            if kind == "multipart/form-data":
                self.read_form = await parse_multipart(self.stream(), content_type, limits)
            elif kind == "application/x-www-form-urlencoded":
                self.read_form = await parse_urlencoded(self.stream(), limits)
            elif kind:
                raise HTTPException(415)
            else:
                self.read_form = FormData()
        return self.read_form

    async def close(self):
        if self.looking is not None:
            self.looking.cancel()
            await asyncio.wait([self.looking])
            self.looking = None
        if self.read_form is not None:
            await self.read_form.close()

    async def is_disconnected(self):
        while not self.gone:
            if self.looking is None:
                self.looking = asyncio.ensure_future(self.bring())
            for _ in range(3):
                await asyncio.sleep(0)
            looking = self.looking
            if looking is None or not looking.done():
                break
            self.looking = None
            looking.result()
        return self.gone

    async def receive(self):
        while not self.gone:
            await self.bring()
        return {"type": "http.disconnect"}

    async def forward(self):
        if self.kept is not None:
            if self.used == "forwarded":
                return await self.receive()
            self.used = "forwarded"
            return {"type": "http.request", "body": self.kept, "more_body": False}
        if self.used == "streamed":
            raise RuntimeError("the body was streamed away")
        if self.used != "broken":
            self.used = "forwarded"
            try:
                event: Any = await self.next_event()
            except ClientDisconnect:
                event = None
            if event is not None:
                return event
        return await self.receive()
