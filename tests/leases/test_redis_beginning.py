"""A process that holds many leases says them in parts when it begins a session anew."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from qrlifecycle.errors import LeaseLost
from qrlifecycle.leases import RedisLeases
from qrlifecycle.leases.redis.keeper import SAID_AT_ONCE, Keeper, Times

from ..patience import HANGS
from .clients import Meddling, over_coredis
from .redis_server import RedisServer

pytestmark = pytest.mark.anyio

TIMES = Times(
    ttl=15, renew_every=3, timeout=HANGS, drift=0.01, slack=0.25, close_within=1
)  # fmt: skip

MANY = 2 * SAID_AT_ONCE + 1


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Redis keeps the time: no clock of ours is of use."""
    return request.param, {}


@asynccontextmanager
async def keeper_of(server: RedisServer, process: str) -> AsyncIterator[tuple[Keeper, Meddling]]:
    """One process's way to Redis."""
    async with over_coredis(server.port) as client:
        meddling = Meddling(client)
        keeper = Keeper(meddling, TIMES, "{qrl}:", process, "machine")
        async with keeper.connected():
            yield keeper, meddling


def held(count: int) -> list[tuple[str, str, int]]:
    """Leases that a process says it holds."""
    return [(key(number), f"holder-{number}", number + 1) for number in range(count)]


def key(number: int) -> str:
    """Of one user."""
    return json.dumps(["bot", f"user-{number}"])


@pytest.mark.parametrize(
    ("count", "parts"), [(0, 1), (1, 1), (SAID_AT_ONCE, 1), (SAID_AT_ONCE + 1, 2), (MANY, 3)]
)
async def test_many_leases_are_said_again_in_parts(
    server: RedisServer, count: int, parts: int
) -> None:
    """Each part is short, so that a hundred processes have their turns; none is left out."""
    async with keeper_of(server, "one") as (keeper, client):
        assert await keeper.begin("a", held(count)) == []
        assert client.sent["begin"] == parts
        assert len(server.admin.keys("{qrl}:lease:*")) == count
        if count:
            last = server.admin.hgetall(f"{{qrl}}:lease:{key(count - 1)}")
            assert (last["holder"], last["session"]) == (f"holder-{count - 1}", "a")
            assert server.admin.get("{qrl}:token") == str(count)
        assert await keeper.renew("a") == []


async def test_promise_9_what_went_to_another_is_told_of_every_part(server: RedisServer) -> None:
    """The holders of all parts that hold nothing any more come back, and theirs is left alone."""
    theirs = [0, SAID_AT_ONCE, MANY - 1]
    async with keeper_of(server, "one") as (keeper, _), keeper_of(server, "two") as (other, _):
        taken = [(key(number), f"other-{number}", 10_000 + number) for number in theirs]
        await other.begin("b", taken)
        assert await keeper.begin("a", held(MANY)) == [f"holder-{number}" for number in theirs]
        for number in theirs:
            assert server.admin.hget(f"{{qrl}}:lease:{key(number)}", "holder") == f"other-{number}"
        assert server.admin.get("{qrl}:token") == str(10_000 + MANY - 1)


async def test_promise_9_a_keeper_that_forgets_between_two_parts_is_told_all_again(
    server: RedisServer,
) -> None:
    """What the first part said is gone then: the session does not count, whatever comes after."""
    async with keeper_of(server, "one") as (keeper, client):

        async def restarts(name: str, run: Callable[[], Awaitable[Any]]) -> Any:
            answer = await run()
            if client.sent["begin"] == 1:
                server.fresh()
            return answer

        client.around = restarts
        with pytest.raises(LeaseLost, match="has forgotten what it was just told"):
            await keeper.begin("a", held(MANY))
        assert client.sent["begin"] == 2
        assert await keeper.renew("a") is None
        assert await keeper.begin("b", held(MANY)) == []
        assert len(server.admin.keys("{qrl}:lease:*")) == MANY


async def test_promise_9_what_is_heard_late_takes_nothing_from_a_later_session(
    server: RedisServer,
) -> None:
    """Given up and heard all the same: the lease goes on with the session that is renewed."""
    name = f"{{qrl}}:lease:{key(0)}"
    async with keeper_of(server, "one") as (keeper, _):
        for session in ("a", "b", "a"):  # the last one is the first, on its way for so long
            assert await keeper.begin(session, held(1)) == []
        assert server.admin.hget(name, "session") == "b"
        late = await keeper.acquire("a", key(0), "holder-0", "take_over", claimed=False)
        assert late.word == "held"
        assert server.admin.hget(name, "session") == "b"
        server.admin.delete("{qrl}:session:b")
        await keeper.begin("a", held(1))  # what has run out is later than nothing
        assert server.admin.hget(name, "session") == "a"
        server.admin.delete("{qrl}:session:a")
        await keeper.begin("c", held(0))
        await keeper.acquire("c", key(0), "holder-0", "take_over", claimed=False)
        assert server.admin.hget(name, "session") == "c"


async def test_promise_9_the_name_of_a_session_is_greater_than_that_of_the_one_before(
    server: RedisServer,
) -> None:
    """By which the keeper tells what comes late, however often one was begun."""
    async with over_coredis(server.port) as client:
        meddling, begun = Meddling(client), 20
        async with RedisLeases(meddling, ttl=15) as leases:
            while meddling.sent["begin"] < begun:
                leases.session.doubt(leases.session.id)
                await leases.session.wait_until_good()
    names = [args[2] for name, args in meddling.args if name == "begin"]
    assert len(set(names)) == len(names) >= begun
    assert names == sorted(names)


async def test_when_a_lease_is_said_again_it_keeps_its_date(server: RedisServer) -> None:
    """Since when it is held is what it was; what the keeper has forgotten is held since now."""
    name = f"{{qrl}}:lease:{key(0)}"
    async with keeper_of(server, "one") as (keeper, _):
        await keeper.begin("a", held(1))
        first = server.admin.hget(name, "since")
        assert int(first) > 0
        server.admin.hset(name, "since", "5")
        await keeper.begin("b", held(1))
        assert server.admin.hget(name, "since") == "5"
