"""The onion as nested functions; routes and names are handed on by attributes."""

from .datastructures import State
from .errors import ErrorBoundary, ExceptionHandlers
from .lifespan import Lifespan
from .middleware.chain import MiddlewareChain
from .routing import APIRouter, RouteDecorators


class FastASGI(RouteDecorators):
    def __init__(
        self,
        *,
        debug=False,
        lifespan=None,
        exception_handlers=None,
        converters=None,
        redirect_slashes=True,
        router=None,
    ):
        if router is None:
            router = APIRouter(converters=converters, redirect_slashes=redirect_slashes)
        elif converters or redirect_slashes is not True:
            raise ValueError("a router of your own has options of its own")
        router.attach()
        handlers = ExceptionHandlers(exception_handlers)
        steps = Lifespan(lifespan, app=self)
        answers = ErrorBoundary(router, handlers)

        async def innermost(scope, receive, send):
            if scope["type"] == "lifespan":
                await steps(scope, receive, send)
            else:
                await answers(scope, receive, send)

        chain = MiddlewareChain(innermost)
        onion = ErrorBoundary(chain, handlers, outermost=True, debug=debug)

        async def serve(scope, receive, send):
            own = dict(scope)
            own["fastasgi.app"] = self
            if own["type"] in ("http", "websocket"):
                own.pop("fastasgi.root_path", None)
                own["headers"] = [(name, value) for name, value in own.get("headers") or []]
                if "state" not in own:
                    own["state"] = {}
            await onion(own, receive, send)

        def add_middleware(factory, /, **options):
            chain.add(factory, **options)

        def middleware(function):
            chain.add_function(function)
            return function

        def on_event(event):
            try:
                return {"startup": steps.on_startup, "shutdown": steps.on_shutdown}[event]
            except KeyError:
                raise ValueError(f"{event} is neither startup nor shutdown") from None

        def exception_handler(key):
            def decorate(function):
                handlers.add(key, function)
                return function

            return decorate

        self.state = State()
        self.router = router
        self.serve = serve
        self.add_middleware = add_middleware
        self.middleware = middleware
        self.on_event = on_event
        self.exception_handler = exception_handler
        self.add_exception_handler = handlers.add
        self.include_router = router.include_router
        self.mount = router.mount
        self.url_for = router.url_for

    def add_route(self, *args, **kwargs):
        self.router.add_route(*args, **kwargs)

    def add_websocket_route(self, *args, **kwargs):
        self.router.add_websocket_route(*args, **kwargs)

    async def __call__(self, scope, receive, send):
        await self.serve(scope, receive, send)
