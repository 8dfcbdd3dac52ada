"""Full types, parts made when they are first needed, and the outer boundary as one more application with a method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any

from fastasgi import errors, lifespan, routing
from fastasgi.asgi_types import ASGIApp, Receive, Scope, Send
from fastasgi.datastructures import State
from fastasgi.middleware import chain
from fastasgi.paths import Converter

Function = Callable[..., Any]


class FastASGI(routing.RouteDecorators):
    def __init__(
        self,
        *,
        debug: bool = False,
        lifespan: lifespan.Manager | None = None,
        exception_handlers: Mapping[int | type[Exception], errors.ErrorHandler] | None = None,
        converters: Mapping[str, Converter] | None = None,
        redirect_slashes: bool = True,
        router: routing.APIRouter | None = None,
    ) -> None:
        self.debug = debug
        self.manager = lifespan
        self.state = State({})
        self.handlers = errors.ExceptionHandlers()
        for key, handler in dict(exception_handlers or {}).items():
            self.add_exception_handler(key, handler)
        options: dict[str, Any] = {}
        if converters:
            options["converters"] = converters
        if not redirect_slashes:
            options["redirect_slashes"] = False
        if options and router is not None:
            raise ValueError(f"{', '.join(options)}: give it to the router, not to the application")
        self.router = routing.APIRouter(**options) if router is None else router
        self.router.attach()

    @cached_property
    def lifetime(self) -> lifespan.Lifespan:
        return lifespan.Lifespan(self.manager, app=self)

    @cached_property
    def layers(self) -> chain.MiddlewareChain:
        return chain.MiddlewareChain(self.innermost)

    @cached_property
    def whole(self) -> ASGIApp:
        return errors.ErrorBoundary(self.layers, self.handlers, outermost=True, debug=self.debug)

    async def innermost(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "lifespan":
                await self.lifetime(scope, receive, send)
            case _:
                await errors.ErrorBoundary(self.router, self.handlers)(scope, receive, send)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        inside: dict[str, Any] = {key: scope[key] for key in scope if key != "fastasgi.root_path"}
        inside |= {"fastasgi.app": self}
        if scope["type"] != "lifespan":
            inside["state"] = scope["state"] if "state" in scope else {}
            inside["headers"] = list(scope.get("headers") or ())
        await self.whole(inside, receive, send)

    def add_route(self, path: str, endpoint: Function, **options: Any) -> None:
        self.router.add_route(path, endpoint, **options)

    def add_websocket_route(self, path: str, endpoint: Function, **options: Any) -> None:
        self.router.add_websocket_route(path, endpoint, **options)

    def include_router(self, router: routing.APIRouter, prefix: str = "", *, name: str = "") -> None:
        self.router.include_router(router, prefix, name=name)

    def mount(self, path: str, app: ASGIApp, *, name: str = "") -> None:
        self.router.mount(path, app, name=name)

    def url_for(self, name: str, /, **params: Any) -> str:
        return self.router.url_for(name, **params)

    def middleware(self, function: Function) -> Function:
        self.layers.add_function(function)
        return function

    def add_middleware(self, factory: Callable[..., ASGIApp], /, **options: Any) -> None:
        self.layers.add(factory, **options)

    def on_event(self, event: str) -> Callable[[Function], Function]:
        if event == "startup":
            return self.lifetime.on_startup
        if event == "shutdown":
            return self.lifetime.on_shutdown
        raise ValueError(event)

    def exception_handler(self, key: int | type[Exception]) -> Callable[[Function], Function]:
        return partial(self._keep, key)

    def _keep(self, key: int | type[Exception], handler: Function) -> Function:
        self.add_exception_handler(key, handler)
        return handler

    def add_exception_handler(self, key: int | type[Exception], handler: errors.ErrorHandler) -> None:
        self.handlers.add(key, handler)
