"""The reference's rate limit: against a model in exact numbers, under a clock that the tests turn."""

from __future__ import annotations

import asyncio
import math
import weakref
from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastasgi_reference.middleware.rate_limit import RateLimit
from tests.reference.conversation import Log, Message, http_scope, lifespan_scope, play, websocket_scope
from tests.reference.rules import enforces


class Clock:
    """A clock that stands still until it is turned."""

    def __init__(self, now: Any = 0) -> None:
        self.now = now

    def __call__(self) -> Any:
        return self.now


async def answer(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"answer"})


async def ask(app: Any, host: str = "192.0.2.1") -> int:
    """One request: 0 if it was let through, else its Retry-After."""
    log = await play(app, http_scope(client=(host, 5000)))
    if log.status == 200:
        return 0
    assert log.status == 429
    return int(str(log.header("retry-after")))


class Bucket:
    """The model: tokens that come in with time, counted exactly."""

    def __init__(self, rate: Fraction, burst: int) -> None:
        self.rate, self.burst = rate, burst
        self.tokens, self.since = Fraction(burst), 0

    def take(self, now: int) -> int:
        self.tokens = min(Fraction(self.burst), self.tokens + self.rate * (now - self.since))
        self.since = now
        if self.tokens < 1:
            return math.ceil((1 - self.tokens) / self.rate)
        self.tokens -= 1
        return 0


RATES = st.fractions(Fraction(1, 100), 100, max_denominator=100)
VISITS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3) | st.integers(0, 200)), max_size=30)


@given(rate=RATES, burst=st.integers(1, 4), visits=VISITS)
@example(rate=Fraction(1, 10), burst=1, visits=[("a", 0), ("a", 3), ("a", 3), ("a", 4)])
@example(rate=Fraction(1, 3), burst=2, visits=[("a", 0), ("a", 0), ("a", 1), ("a", 1), ("a", 1)])
async def test_it_lets_through_just_what_the_model_does(
    rate: Fraction, burst: int, visits: list[tuple[str, int]]
) -> None:
    clock = Clock()
    app = RateLimit(answer, rate=float(rate), burst=burst, clock=clock)
    model = {client: Bucket(rate, burst) for client in "abc"}
    for client, step in visits:
        clock.now += step
        assert await ask(app, client) == model[client].take(clock.now)


@given(rate=RATES, burst=st.integers(1, 4), steps=st.lists(st.integers(0, 5), max_size=30))
async def test_in_no_window_of_time_there_is_more_than_burst_and_rate_allow(
    rate: Fraction, burst: int, steps: list[int]
) -> None:
    clock = Clock()
    app = RateLimit(answer, rate=float(rate), burst=burst, clock=clock)
    passed = []
    for step in steps:
        clock.now += step
        if await ask(app) == 0:
            passed.append(clock.now)
    for first, start in enumerate(passed):
        for last, end in enumerate(passed[first:], start=first):
            assert last - first + 1 <= burst + rate * (end - start)


@given(rate=RATES, burst=st.integers(1, 3))
@example(rate=Fraction(1, 60), burst=1)
async def test_who_waits_as_long_as_told_is_let_in_and_who_comes_earlier_is_not(
    rate: Fraction, burst: int
) -> None:
    clock = Clock(now=1_000_000)
    app = RateLimit(answer, rate=float(rate), burst=burst, clock=clock)
    for _ in range(burst):
        assert await ask(app) == 0
    wait = await ask(app)
    clock.now += wait - 1
    if wait > 1:
        assert await ask(app) == 1
    clock.now += 1
    assert await ask(app) == 0


@pytest.mark.parametrize(
    ("rate", "burst", "waits"),
    [
        (1 / 60, 1, [0, 60]),
        (1, 1, [0, 1]),
        (3, 2, [0, 0, 1]),
        (0.3, 1, [0, 4]),
        (1e-7, 1, [0, 10_000_000]),
        (1e-10, 1, [0, 10_000_000_000]),
        (1e9, 1, [0, 1]),
    ],
)
async def test_retry_after_is_in_whole_seconds_rounded_up(rate: float, burst: int, waits: list[int]) -> None:
    app = RateLimit(answer, rate=rate, burst=burst, clock=Clock())
    assert [await ask(app) for _ in waits] == waits


async def test_a_clock_of_floats_adds_no_errors_up() -> None:
    clock = Clock(now=0.0)
    app = RateLimit(answer, rate=10, burst=1, clock=clock)
    for _ in range(50):
        assert await ask(app) == 0
        assert await ask(app) == 1
        clock.now += 0.1  # fifty of them are not 5.0


async def test_a_refused_request_costs_nothing() -> None:
    clock = Clock()
    app = RateLimit(answer, rate=1, burst=1, clock=clock)
    assert [await ask(app) for _ in range(100)] == [0] + [1] * 99
    clock.now += 1
    assert await ask(app) == 0


@enforces("APP-CALL-03")
async def test_requests_that_come_together_share_what_there_is() -> None:
    inside, go = [], asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        inside.append(scope["path"])
        await go.wait()
        await answer(scope, receive, send)

    app = RateLimit(slow, rate=1, burst=3, clock=Clock())
    requests = [asyncio.ensure_future(play(app, http_scope(path=f"/{n}"))) for n in range(8)]
    refused = [(await log).status for log in islice(asyncio.as_completed(requests), 5)]
    assert (refused, inside) == ([429] * 5, ["/0", "/1", "/2"])
    go.set()
    assert [log.status for log in await asyncio.gather(*requests)] == [200] * 3 + [429] * 5


async def test_a_refusal_is_plain_text_and_does_not_reach_the_application() -> None:
    app = RateLimit(answer, rate=1, burst=1, clock=Clock())
    await ask(app)
    log = await play(app, http_scope(client=("192.0.2.1", 5000)))
    assert (log.status, log.header("content-type")) == (429, "text/plain; charset=utf-8")
    assert log.body == b"Too Many Requests"
    log = await play(app, http_scope("HEAD", client=("192.0.2.1", 5000)))
    assert (log.status, log.header("retry-after"), log.body) == (429, "1", b"")


# Who is who


async def test_clients_have_a_bucket_each_whatever_their_ports() -> None:
    app = RateLimit(answer, rate=1, burst=1, clock=Clock())
    hosts = [("192.0.2.1", 1), ("192.0.2.1", 2), ["192.0.2.1", 3], ("192.0.2.2", 1)]
    logs = [await play(app, http_scope(client=client)) for client in hosts]
    assert [log.status for log in logs] == [200, 429, 429, 200]


async def test_clients_that_are_not_known_share_a_bucket() -> None:
    app = RateLimit(answer, rate=1, burst=1, clock=Clock())
    logs = [await play(app, http_scope(client=client)) for client in (None, ..., None)]
    assert [log.status for log in logs] == [200, 429, 429]


@pytest.mark.parametrize("name", [b"x-forwarded-for", b"forwarded", b"x-real-ip"])
async def test_no_header_makes_another_client(name: bytes) -> None:
    app = RateLimit(answer, rate=1, burst=1, clock=Clock())
    logs = [await play(app, http_scope(headers=[(name, b"192.0.2.%d" % n)])) for n in range(2)]
    assert [log.status for log in logs] == [200, 429]


async def test_a_key_tells_clients_apart_and_is_called_once_with_the_scope() -> None:
    calls = []

    def by_path(scope: Any) -> str:
        calls.append(scope["path"])
        return str(scope["path"])

    app = RateLimit(answer, rate=1, burst=1, key=by_path, clock=Clock())
    logs = [await play(app, http_scope(path=path)) for path in ("/a", "/b", "/a")]
    assert [log.status for log in logs] == [200, 200, 429]
    assert calls == ["/a", "/b", "/a"]


async def test_two_limits_know_nothing_of_each_other() -> None:
    clock = Clock()
    apps = [RateLimit(answer, rate=1, burst=1, clock=clock) for _ in range(2)]
    assert [await ask(app) for app in apps] == [0, 0]


# Memory


class Name(str):
    """A key whose end can be seen."""

    __slots__ = ("__weakref__",)


def seen_keys() -> tuple[Callable[[Any], str], Callable[[], int]]:
    """A `key` by host, and how many of the keys that it made are still there."""
    made: list[weakref.ref[Name]] = []

    def key(scope: Any) -> str:
        name = Name(scope["client"][0])
        made.append(weakref.ref(name))
        return name

    return key, lambda: sum(ref() is not None for ref in made)


async def test_a_full_bucket_is_forgotten() -> None:
    clock = Clock()
    key, kept = seen_keys()
    app = RateLimit(answer, rate=2, burst=4, clock=clock, key=key)
    for n in range(50):
        await ask(app, f"client {n}")
        await ask(app, f"client {n}")
    assert kept() == 50
    clock.now += 1
    await ask(app, "last")
    assert kept() == 1


@given(visits=VISITS)
async def test_after_the_time_that_a_bucket_takes_to_fill_nothing_is_left_of_it(
    visits: list[tuple[str, int]],
) -> None:
    clock = Clock()
    key, kept = seen_keys()
    app = RateLimit(answer, rate=1, burst=3, clock=clock, key=key)
    for client, step in visits:
        clock.now += step
        await ask(app, client)
    clock.now += 3
    await ask(app, "last")
    assert kept() == 1


async def test_of_many_clients_those_that_came_last_are_kept() -> None:
    key, kept = seen_keys()
    app = RateLimit(answer, rate=1, burst=1, clock=Clock(), key=key, max_clients=10)
    for n in range(100):
        await ask(app, f"client {n}")
        assert kept() == min(n + 1, 10)
    assert [await ask(app, f"client {n}") for n in range(90, 100)] == [1] * 10
    assert await ask(app, "client 89") == 0


async def test_a_client_that_keeps_trying_is_not_forgotten() -> None:
    app = RateLimit(answer, rate=1, burst=1, clock=Clock(), max_clients=2)
    assert await ask(app, "stubborn") == 0
    for n in range(10):
        await ask(app, f"client {n}")
        assert await ask(app, "stubborn") == 1


# Other connections


def handshake(**keys: Any) -> dict[str, Any]:
    return websocket_scope(client=("192.0.2.1", 5000), **keys)


async def welcome(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close"})


async def too_many(scope: dict[str, Any], events: list[Message]) -> Log:
    """The second handshake where one is allowed."""
    app = RateLimit(welcome, rate=1, burst=1, clock=Clock())
    log = await play(app, scope, [{"type": "websocket.connect"}])
    assert log.types == ["websocket.accept", "websocket.close"]
    return await play(app, scope, events)


@enforces("EXT-DENY-01", "WS-CLOSE-01", "WS-404-01")
@pytest.mark.parametrize("extensions", [{}, None, ...])
async def test_a_websocket_too_many_is_closed_before_it_is_accepted(extensions: Any) -> None:
    log = await too_many(handshake(extensions=extensions), [{"type": "websocket.connect"}])
    assert (log.types, log.received) == (["websocket.close"], 1)


@enforces("EXT-DENY-01", "EXT-DENY-02")
async def test_a_websocket_too_many_is_denied_by_a_response_where_that_can_be_sent() -> None:
    scope = handshake(extensions={"websocket.http.response": {}})
    log = await too_many(scope, [{"type": "websocket.connect"}])
    assert log.types == ["websocket.http.response.start", "websocket.http.response.body"]
    assert (log.status, log.header("retry-after"), log.body) == (429, "1", b"Too Many Requests")


@enforces("WS-CONN-02", "WS-CLOSE-04")
async def test_to_a_websocket_that_is_gone_nothing_is_sent() -> None:
    log = await too_many(handshake(), [{"type": "websocket.disconnect", "code": 1006}])
    assert (log.types, log.raised) == ([], None)


async def test_requests_and_handshakes_are_counted_together() -> None:
    app = RateLimit(answer, rate=1, burst=1, clock=Clock())
    assert await ask(app) == 0
    assert (await play(app, handshake(), [{"type": "websocket.connect"}])).types == ["websocket.close"]


@enforces("APP-MW-03", "LIFE-APP-10")
@pytest.mark.parametrize("scope", [lifespan_scope(), http_scope(), websocket_scope()])
async def test_what_may_pass_passes_untouched(scope: dict[str, Any]) -> None:
    given: list[Any] = []

    async def inner(*arguments: Any) -> None:
        given.extend(arguments)

    async def receive() -> Message:
        raise AssertionError("not here")

    async def send(message: Message, /) -> None:
        raise AssertionError("not here")

    before = dict(scope)
    await RateLimit(inner, rate=1, burst=1, clock=Clock())(scope, receive, send)
    assert [each is other for each, other in zip(given, (scope, receive, send), strict=True)] == [True] * 3
    assert scope == before


@enforces("APP-MW-03")
async def test_a_lifespan_is_never_refused() -> None:
    calls = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        calls.append(scope)

    app = RateLimit(inner, rate=1, burst=1, clock=Clock())
    for _ in range(5):
        await play(app, lifespan_scope())
    assert len(calls) == 5


# Options


@pytest.mark.parametrize(
    "options",
    [
        {"rate": 0},
        {"rate": -1},
        {"rate": math.nan},
        {"rate": math.inf},
        {"burst": 0},
        {"max_clients": 0},
    ],
)
def test_options_under_which_nobody_or_everybody_would_pass_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="rate has to be positive and finite, the other two at least 1"):
        RateLimit(answer, **{"rate": 1, "burst": 1} | options)


async def test_without_a_clock_of_ones_own_it_still_counts() -> None:
    app = RateLimit(answer, rate=1e-6, burst=2)
    assert [min(await ask(app), 1) for _ in range(3)] == [0, 0, 1]
