"""Local variables and closures for one request; handlers in two dicts; no other class than the two."""

import contextlib
import html
import inspect
import traceback

from fastasgi.concurrency import run_in_thread
from fastasgi.exceptions import ClientDisconnect, HTTPException
from fastasgi.handlers import to_response
from fastasgi.requests import Request
from fastasgi.responses import Response

ErrorHandler = object


class ExceptionHandlers:
    def __init__(self, handlers=None):
        self.statuses = {}
        self.classes = {}
        for key in handlers or ():
            self.add(key, handlers[key])

    def add(self, key, handler):
        if isinstance(key, type):
            if not issubclass(key, Exception):
                raise ValueError(f"{key.__name__} is not derived from Exception")
            self.classes[key] = handler
        elif isinstance(key, int) and key is not True and key is not False and key in range(200, 1000):
            self.statuses[int(key)] = handler
        else:
            raise ValueError(f"neither a status nor a class: {key!r}")

    def find(self, error, *, outermost=False):
        if isinstance(error, HTTPException) and error.status_code in self.statuses:
            if error.status_code == 500 and not outermost:
                return None
            return self.statuses[error.status_code]
        for each in type(error).__mro__:
            if each in self.classes and (each is not Exception or outermost):
                return self.classes[each]
            if each is HTTPException:
                return answer_by_itself
        return None


async def answer_by_itself(request, error):
    return Response(error.detail, error.status_code, error.headers)


async def bare_page(request, error):
    return Response("Internal Server Error", 500, media_type="text/plain; charset=utf-8")


async def debug_page(request, error):
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    text = "<html><body><pre>" + html.escape("".join(lines), quote=True) + "</pre></body></html>"
    return Response(text.encode("utf-8", "replace"), 500, {"content-type": "text/html; charset=utf-8"})


class ErrorBoundary:
    def __init__(self, app, handlers, *, outermost=False, debug=False):
        self.app, self.handlers, self.outermost = app, handlers, outermost
        self.page = debug_page if debug else bare_page

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        begun = gone = read = False

        async def watched_receive():
            nonlocal read
            read = True
            return await receive()

        async def watched_send(message):
            nonlocal begun, gone
            if message["type"] == "http.response.start":
                begun = True
            try:
                await send(message)
            except OSError:
                gone = True
                raise

        async def read_before():
            raise RuntimeError("somebody has begun to read this body")

        async def answer(handler, error):
            request = Request(scope, read_before if read else watched_receive)
            async with contextlib.AsyncExitStack() as stack:
                stack.push_async_callback(request.close)
                if inspect.iscoroutinefunction(handler):
                    value = await handler(request, error)
                else:
                    value = await run_in_thread(handler, request, error)
                    if inspect.isawaitable(value):
                        value = await value
                await to_response(value)(scope, watched_receive, watched_send)

        def hopeless(error):
            return begun or gone or isinstance(error, ClientDisconnect)

        try:
            await self.app(scope, watched_receive, watched_send)
            return None
        except Exception as error:
            if hopeless(error):
                raise
            handler = self.handlers.find(error, outermost=self.outermost)
            if handler is None and not self.outermost:
                raise
            try:
                await answer(handler or self.handlers.statuses.get(500) or self.page, error)
            except Exception as second:
                if self.outermost and not hopeless(second):
                    await answer(self.page, second)
                raise
            if handler is None:
                raise
