"""The example application under real servers, asked by real clients.

What the servers do alike is checked by one table of checks. Where they go ways of their own, the framework has to
cope with each of them, and `OWN_WAYS` says which they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from tests.reference.example_checks import CHECKS, Check
from tests.reference.servers import PEERS, Server, complaints, running

APP = "tests.reference.probes:app"
LIMIT = 30.0
"""Seconds after which a conversation that hangs fails its test."""


@pytest.fixture(scope="module", params=PEERS, ids=lambda peer: peer.name)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """One server of each kind for all tests of this file. What it has complained of fails the last one."""
    with running(request.param, APP) as server:
        yield server
    assert complaints(server.log.text) == []


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_the_example_answers_alike_over_http_1(server: Server, check: Check) -> None:
    async with asyncio.timeout(LIMIT), httpx.AsyncClient(base_url=server.url) as client:
        await check(client)
