"""ASGI applications by name: `app(name)`."""

import asyncio
import enum
import sys
import threading

import learner

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
BODY = {"type": "http.response.body", "body": b"Hello"}
APPS = {}
stored = []


def app(name="hello", **config):
    return (
        APPS[name] if not config else lambda scope, receive, send: APPS[name](scope, receive, send, **config)
    )


def named(function):
    APPS[function.__name__] = function
    return function


class Word(enum.StrEnum):
    START = "http.response.start"


class Status(enum.IntEnum):
    OK = 200


@named
async def hello(scope, receive, send):
    await receive()
    await send(START)
    await send(BODY)


@named
async def returns(scope, receive, send):
    return (1, "two")


@named
async def raises(scope, receive, send, what="ValueError"):
    learner.raise_it(what)


@named
def no_coroutine(scope, receive, send):
    return None


@named
async def echo(scope, receive, send):
    """Every event back, until a disconnect."""
    while True:
        event = await receive()
        if event["type"].endswith("disconnect"):
            return
        await send({"type": "echo", "event": event})


@named
async def reads(scope, receive, send, times):
    for _ in range(times):
        await receive()


@named
async def sends(scope, receive, send, times, size=1):
    for number in range(times):
        await send({"type": "number", "number": number, "body": b"x" * size})


@named
async def stubborn(scope, receive, send, times=1):
    """Swallows `times` cancellations."""
    for _ in range(times):
        try:
            await receive()
        except asyncio.CancelledError:
            await send({"type": "swallowed"})


@named
async def never_ends(scope, receive, send):
    stored.append(asyncio.ensure_future(receive()))  # it asks once this task waits
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


@named
async def swallows_everything(scope, receive, send):
    while True:
        try:
            await send({"type": "flood", "body": b"x" * 100_000})
        except OSError:
            return
        except BaseException:
            return


@named
async def changes_what_it_sent(scope, receive, send):
    message = {"type": "first", "headers": [[b"a", b"b"]]}
    await send(message)
    message["headers"].append(1)
    message["type"] = "second"
    await send(message)
    event = await receive()
    event["changed"] = True
    scope["headers"].append((b"new", b"1"))


@named
async def enums(scope, receive, send):
    await send({"type": Word.START, "status": Status.OK, "headers": [], "raw": bytearray(b"x")})


@named
async def fills_the_scope(scope, receive, send):
    scope["app"] = app
    scope["pair"] = (1, [2])
    scope["state"]["db"] = stored
    scope["path"] = scope["path"] + "x"
    scope["headers"] = list(scope["headers"])


@named
async def huge_scope(scope, receive, send):
    scope["huge"] = bytes(2 << 20)


@named
async def send_failed(scope, receive, send):
    failures = []
    for number in range(4):
        try:
            await send({"type": "number", "number": number})
        except OSError as error:
            failures.append(type(error).__name__)
    return failures


@named
async def cleans_up(scope, receive, send):
    try:
        await receive()
        await receive()
    finally:
        await send({"type": "cleaned"})


@named
async def leaves_a_task(scope, receive, send):
    async def later():
        await asyncio.sleep(1)
        stored.append("late")
        await send({"type": "late"})

    stored.append(asyncio.create_task(later()))
    stored.append(send)
    await send({"type": "sent"})


@named
async def what_was_left(scope, receive, send):
    await asyncio.sleep(100)
    for entry in stored:
        if callable(entry):
            await entry({"type": "old", "body": b"x" * 100_000})
    return [entry for entry in stored if isinstance(entry, str)]


@named
async def leaves_a_generator(scope, receive, send):
    async def chunks():
        try:
            yield b"a"
            yield b"b"
        finally:
            stored.append("closed")

    generator = chunks()
    stored.append([await anext(generator), generator])


@named
async def task_that_exits(scope, receive, send):
    async def leave():
        sys.exit(0)

    await asyncio.create_task(leave())


@named
async def task_after_the_end(scope, receive, send):
    async def later():
        await send({"type": "late"})

    stored.append(asyncio.create_task(later()))
    return "early"


@named
async def heartbeat(scope, receive, send):
    while True:
        await asyncio.sleep(3600)


@named
async def polls(scope, receive, send):
    """Asks for an event, gives up, asks again: none may be lost."""
    got, empty = [], 0
    while len(got) < 3:
        try:
            got.append((await asyncio.wait_for(receive(), 10))["n"])
        except TimeoutError:
            empty += 1
            await send({"type": "empty"})
    return got, empty


@named
async def races(scope, receive, send):
    """Listens for a disconnect while it answers, as frameworks do, and leaves the listener behind."""
    await receive()
    listener = asyncio.ensure_future(receive())
    await send(START)
    await send(BODY)
    listener.cancel()


@named
async def sleeps(scope, receive, send, seconds=100_000):
    await receive()
    await asyncio.sleep(seconds)
    await hello(scope, _nothing, send)


@named
async def in_a_thread(scope, receive, send):
    await receive()
    name = await asyncio.to_thread(lambda: threading.current_thread().name)
    stored.append(name)
    await hello(scope, _nothing, send)


async def _nothing():
    return {}


@named
async def state(scope, receive, send):
    """Lifespan with a state; http tells the identity of what it got."""
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["seen"] = stored
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await receive()
    seen = scope["state"]["seen"]
    scope["state"]["mine"] = 1
    seen.append("request")
    answer = f"{len(seen)} {seen is stored} {sorted(scope['state'])}"
    await send(START)
    await send({"type": "http.response.body", "body": answer.encode()})


@named
async def lifespan(scope, receive, send, startup="complete", shutdown="complete", end=None):
    await receive()
    if startup is None:
        return
    if startup == "raise":
        learner.raise_it("Teapot")
    await send({"type": f"lifespan.startup.{startup}"} if startup != "odd" else ["odd"])
    if end == "early":
        return
    await receive()
    if shutdown == "raise":
        learner.raise_it("ValueError")
    await send({"type": f"lifespan.shutdown.{shutdown}", "message": "no"})
    if end == "stay":
        await asyncio.Event().wait()


@named
async def protocol(scope, receive, send, messages, crash=False):
    for message in messages:
        await send(message)
    if crash:
        learner.raise_it("ValueError")


@named
async def gate(scope, receive, send):
    """Streams; remembers how far it got."""
    if scope["path"] == "/progress":
        await receive()
        await send(START)
        await send({"type": "http.response.body", "body": str(len(stored)).encode()})
        return
    await send(START)
    for number in range(5):
        stored.append(number)
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
    await send({"type": "http.response.body"})


@named
async def tells_cancel(scope, receive, send):
    if scope["path"] == "/seen":
        await receive()
        await send(START)
        await send({"type": "http.response.body", "body": ",".join(stored).encode()})
        return
    try:
        await receive()
        await receive()
    except asyncio.CancelledError:
        stored.append("cancelled")
        await send({"type": "too late"})
        stored.append("went on")
        raise


@named
async def dies(scope, receive, send):
    import os

    await receive()
    await send(START)
    os._exit(0)


@named
async def exits_in_a_task(scope, receive, send):
    await receive()
    stored.append(asyncio.create_task(_leave()))
    await asyncio.sleep(1)


async def _leave():
    sys.exit(0)


@named
async def computes(scope, receive, send):
    while True:
        pass


@named
async def endless(scope, receive, send):
    await send(START)
    while True:
        await send({"type": "http.response.body", "body": b"x", "more_body": True})


@named
async def slow_reader(scope, receive, send):
    """Leaves events in the channel, and sends large ones itself."""
    for _ in range(20):
        await send({"type": "large", "body": b"x" * 900_000})


@named
async def websocket(scope, receive, send):
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"].upper()})


@named
async def stub(scope, receive, send):
    raise NotImplementedError("apps: app")
