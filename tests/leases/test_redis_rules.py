"""The ten rules that leases over Redis stand on: each left out cost a fault."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import anyio
import pytest

from qrlifecycle.errors import LeaseHeld, LeaseLost, LeaseTakenOver
from qrlifecycle.leases import Lease, WhenHeld
from qrlifecycle.leases.redis import RedisLeases
from qrlifecycle.leases.redis.keeper import MOST_AT_ONCE, Answer, Times, Word
from qrlifecycle.leases.redis.lease import RedisLease
from qrlifecycle.leases.redis.outbox import BATCH
from qrlifecycle.leases.redis.session import clock

from ..patience import HANGS
from .clients import Meddling, over_coredis
from .redis_server import RedisServer

pytestmark = pytest.mark.anyio

KEY = ("bot-7", "user-123")

LEASE = '{qrl}:lease:["bot-7", "user-123"]'

TTL = 6.0


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Redis keeps the time: no clock of ours is of use."""
    return request.param, {}


class Clock:
    """The machine's, which can be put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return clock() + self.ahead


class Machine:
    """One process's leases, what it sends, and its clock."""

    def __init__(self, leases: RedisLeases, client: Meddling, clock: Clock) -> None:
        self.leases, self.client, self.clock = leases, client, clock
        self.session = leases.session
        self.lost: list[Exception] = []
        self._made: list[Lease] = []

    def lease(self, *key: str, when_held: WhenHeld = "take_over") -> Lease:
        """One that is released in the end."""
        self._made.append(self.leases.lease(*(key or KEY), when_held=when_held))
        return self._made[-1]

    def release(self) -> None:
        """Whatever a test left."""
        for lease in self._made:
            lease.release()

    def released(self) -> list[str]:
        """The holders of which the server was told that they hold nothing any more."""
        said = [args[2:] for name, args in self.client.args if name == "update"]
        words = [word for one in said for word in zip(one[::3], one[1::3], one[2::3], strict=True)]
        return [holder for word, _, holder in words if word == "release"]

    async def hold(self, *key: str) -> Lease:
        """Have a lease that is free; what is lost is noted."""
        lease = self.lease(*key, when_held="reject")
        with anyio.fail_after(HANGS):
            await lease.acquire(self.lost.append, 0.5)
        return lease

    async def is_rejected(self) -> bool:
        """Whether somebody holds the lease."""
        lease = self.lease(when_held="reject")
        try:
            await lease.acquire(self.lost.append, 0.5)
        except LeaseHeld:
            return True
        return False


@asynccontextmanager
async def machine(server: RedisServer, **changes: Any) -> AsyncIterator[Machine]:
    """A machine that is up."""
    times: dict[str, Any] = {"ttl": TTL, "renew_every": 0.1, "timeout": 1.0, "close_within": 0.5}
    async with over_coredis(server.port) as client:
        meddling, own_clock = Meddling(client), Clock()
        async with RedisLeases(meddling, **(times | changes), clock=own_clock) as leases:
            made = Machine(leases, meddling, own_clock)
            try:
                yield made
            finally:
                made.release()


async def until(fact: Callable[[], object]) -> None:
    """Wait for something that happens soon."""
    with anyio.fail_after(HANGS):
        while not fact():  # noqa: ASYNC110 - a server in another process sets no event
            await anyio.sleep(0.01)


async def until_found(machine: Machine, *, there: bool) -> None:
    """Wait until there is a holder, or none."""
    with anyio.fail_after(HANGS):
        while (await machine.leases.find_holder(*KEY) is not None) is not there:  # noqa: ASYNC110 - as above
            await anyio.sleep(0.01)


# 1


@pytest.mark.parametrize("what", ["renew", "begin"])
async def test_promise_9_time_is_counted_from_the_sending(server: RedisServer, what: str) -> None:
    """An answer that took a second prolongs nothing by that second, nor does a beginning's."""
    sent: list[float] = []

    async with machine(server) as one:

        async def late(name: str, run: Callable[[], Awaitable[Any]]) -> Any:
            began = one.clock()
            answer = await run()
            if name == what:
                one.clock.ahead += 1.0
                sent.append(began)
            if what == "begin":
                server.admin.delete(f"{{qrl}}:session:{one.session.id}")
            return answer

        one.client.around = late
        await until(lambda: len(sent) > 2)
        one.client.around = None
        assert one.session.good_until <= sent[-1] + one.leases.times.kept + 0.5
        assert all(later - earlier >= 1.0 for earlier, later in pairwise(sent))


# 2


def test_promise_9_there_is_room_to_close_for_drift_and_for_being_late() -> None:
    """What is held is lost so long before the server gives it away, each of the three on top."""
    times = Times(15.0, 3.0, 1.0, drift=0.01, slack=0.25, close_within=1.0)
    assert times.kept == pytest.approx(15 - 0.15 - 0.25 - 1.0)


async def test_promise_9_at_a_loss_the_server_keeps_the_lease_for_long_enough(
    server: RedisServer,
) -> None:
    """When a machine that is cut off loses a lease, its session lives for the closing and more."""
    async with machine(server, drift=0.1, slack=0.25) as one:
        await one.hold()
        one.client.cut = True
        session = f"{{qrl}}:session:{one.session.id}"
        jump = one.session.good_until - one.clock()
        left = server.admin.pttl(session) / 1000 - jump
        assert one.lost == []
        one.clock.ahead += jump
        await until(lambda: one.lost)
        assert isinstance(one.lost[0], LeaseLost)
        assert "prolonged in time" in str(one.lost[0])
        assert left >= 0.5 + 0.25 + 0.1 * TTL - 0.1  # which is the time of the measurement


# 3


async def test_promise_9_a_release_gives_back_its_own_lease_only(server: RedisServer) -> None:
    """A release that comes late, of whoever held the lease before, changes nothing."""
    async with machine(server) as one:
        lease = await one.hold()
        await one.leases.keeper.update([Word("release", '["bot-7", "user-123"]', "somebody")])
        found = await one.leases.find_holder(*KEY)
        assert found is not None
        assert found.token == lease.token


# 4


async def test_promise_9_a_grant_of_another_session_counts_for_nothing(server: RedisServer) -> None:
    """An answer that comes after the session was begun anew is asked for once more."""
    async with machine(server) as one, machine(server) as other:
        first = one.session.id

        async def overtaken(name: str, run: Callable[[], Awaitable[Any]]) -> Any:
            answer = await run()
            if name == "acquire" and one.client.sent["acquire"] == 1:
                server.admin.delete(f"{{qrl}}:session:{first}")
                await until(lambda: one.session.id != first and one.session.good)
            return answer

        one.client.around = overtaken
        await one.hold()
        assert one.client.sent["acquire"] == 2
        assert server.admin.hget(LEASE, "session") == one.session.id
        assert await other.is_rejected()


async def test_promise_9_the_clock_is_looked_at_before_a_grant_counts(server: RedisServer) -> None:
    """An answer that took longer than the session lives is asked for once more."""
    async with machine(server) as one:

        async def slow(name: str, run: Callable[[], Awaitable[Any]]) -> Any:
            answer = await run()
            if name == "acquire" and one.client.sent["acquire"] == 1:
                one.clock.ahead += TTL
                assert not one.session.good
            return answer

        one.client.around = slow
        await one.hold()
        assert one.client.sent["acquire"] == 2
        assert one.lost == []


# 5


async def test_promise_9_a_session_is_used_when_its_beginning_was_answered(
    server: RedisServer,
) -> None:
    """If that answer is lost, it begins again, and hears what went to another meanwhile."""
    begun: list[str] = []

    async with machine(server) as one, machine(server) as other:
        await one.hold()

        async def unheard(name: str, run: Callable[[], Awaitable[Any]]) -> Any:
            answer = await run()
            if name == "begin":
                begun.append(one.session.id)
                if len(begun) == 1:
                    raise OSError("the answer is lost")
            return answer

        one.client.around = unheard
        one.client.deaf = True
        server.admin.delete(LEASE)
        await other.hold()
        server.admin.delete(f"{{qrl}}:session:{one.session.id}")
        await until(lambda: one.lost)
        assert [type(error) for error in one.lost] == [LeaseTakenOver]
        assert len(set(begun)) == 2
        assert other.lost == []


# 6


@pytest.mark.slow
async def test_promise_9_a_server_that_restarts_grants_nothing_for_a_time(
    redis_server: RedisServer,
) -> None:
    """After a restart without data what is held is said again, and nothing new is granted."""
    redis_server.fresh()
    async with machine(redis_server) as one, machine(redis_server) as other:
        lease = await one.hold()
        redis_server.kill()
        redis_server.start()
        wanted = other.lease()
        with anyio.move_on_after(0.75 * TTL) as scope:
            await wanted.acquire(other.lost.append, 0.5)
        assert scope.cancelled_caught
        found = await other.leases.find_holder(*KEY)
        assert found is not None
        assert found.token == lease.token
        assert one.lost == []


async def test_promise_9_another_server_grants_nothing_for_a_time(server: RedisServer) -> None:
    """Where another run granted before, as after a failover, there is a grace period."""
    async with machine(server) as one:
        server.admin.hset("{qrl}:server", "run", "another")
        with anyio.move_on_after(0.5) as scope:
            await one.hold()
        assert scope.cancelled_caught
        grace = int(server.admin.hget("{qrl}:server", "until")) / 1000 - time.time()
        assert TTL - 2 < grace <= TTL


async def test_in_the_grace_period_nobody_is_said_to_hold_nothing(server: RedisServer) -> None:
    """Who holds it may be about to say so: not "nobody" then, but that nobody knows."""
    async with machine(server) as one, machine(server) as other:
        await one.hold()
        server.admin.hset("{qrl}:server", "run", "another")
        assert await other.leases.find_holder(*KEY) is not None
        assert await other.leases.ask_to_leave(*KEY) is True
        told = r"^nobody knows: the keeper has just begun, or lost its data, and for \d+\.\d s more"
        with pytest.raises(LeaseLost, match=told):
            await other.leases.find_holder("another", "user")
        with pytest.raises(LeaseLost, match=told):
            await other.leases.ask_to_leave("another", "user")
        server.end_grace()
        assert await other.leases.find_holder("another", "user") is None
        assert await other.leases.ask_to_leave("another", "user") is False


# 7


async def test_promise_9_what_was_granted_to_nobody_is_given_back(server: RedisServer) -> None:
    """Who is cancelled before the answer is here gives back what it may have been granted."""
    async with machine(server) as one, machine(server) as other:
        granted = anyio.Event()

        async def unheard(name: str, run: Callable[[], Awaitable[Any]]) -> Any:
            answer = await run()
            if name == "acquire":
                granted.set()
                await anyio.sleep_forever()
            return answer

        one.client.around = unheard
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.hold)
            with anyio.fail_after(HANGS):
                await granted.wait()
            assert await other.leases.find_holder(*KEY) is not None
            tasks.cancel_scope.cancel()
        # The server would forget it by itself, after twice the time to live.
        await until(one.released)
        await until_found(other, there=False)


async def test_promise_9_a_holder_that_nobody_knows_is_given_back(server: RedisServer) -> None:
    """When somebody takes over what this machine does not know that it holds, it gives it back."""
    async with machine(server) as one, machine(server) as other:
        answer = await one.leases.keeper.acquire(
            one.session.id, '["bot-7", "user-123"]', "ghost", "reject", claimed=False
        )
        assert answer.word == "held"
        with anyio.fail_after(HANGS):
            await other.lease().acquire(other.lost.append, 0.5)
        assert "ghost" in one.released()


# 8


async def test_promise_9_who_waits_for_an_answer_delays_no_renewal(server: RedisServer) -> None:
    """A hundred that ask at once are asked for by sixteen at a time, and renewals go on."""
    async with machine(server, timeout=2.0) as one:

        async def hang(name: str, run: Callable[[], Awaitable[Any]]) -> Any:
            if name == "acquire":
                await anyio.sleep_forever()
            return await run()

        one.client.around = hang
        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(one.hold, "bot-7", str(number))
            await until(lambda: one.client.under_way["acquire"] == MOST_AT_ONCE)
            renewed = one.client.sent["renew"]
            await until(lambda: one.client.sent["renew"] > renewed + 3)
            assert one.client.most["acquire"] == MOST_AT_ONCE == 16
            assert one.session.good
            tasks.cancel_scope.cancel()


async def test_promise_9_renewals_have_a_connection_of_their_own(server: RedisServer) -> None:
    """One connection for renewals, one for all else, and one on which it is told."""
    before = len(server.admin.client_list())
    async with machine(server) as one:
        await one.hold()
        await until(lambda: one.client.sent["renew"])
        await until(lambda: len(server.admin.client_list()) == before + 3)
        used = one.client.connections
        assert used["renew"] == used["begin"]
        assert used["acquire"].isdisjoint(used["renew"])


# 9


async def test_promise_9_who_waits_does_not_poll_and_is_told(server: RedisServer) -> None:
    """Who waits asks a few times in a time to live, and is told at once when the lease is free."""
    async with machine(server, ttl=300.0) as one, machine(server, ttl=300.0) as other:
        lease = await one.hold()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other.lease().acquire, other.lost.append, 0.5)
            await until(lambda: one.lost)
            await anyio.sleep(0.6)
            assert other.client.sent["acquire"] == 1
            lease.release()
            await until(lambda: other.client.sent["acquire"] == 2)  # by itself after 45 s
        assert other.client.sent["acquire"] == 2


async def test_promise_9_who_is_not_told_gets_it_all_the_same(server: RedisServer) -> None:
    """What is published is a hint: where nothing of it is heard, renewals and asking again do."""
    async with machine(server, ttl=3.0) as one, machine(server, ttl=3.0) as other:
        one.client.deaf = other.client.deaf = True
        lease = await one.hold()
        with anyio.fail_after(HANGS):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(other.lease().acquire, other.lost.append, 0.5)
                await until(lambda: one.lost)
                lease.release()


async def test_promise_9_those_who_wait_do_not_ask_again_all_at_once(server: RedisServer) -> None:
    """Each asks after a fifth of the time to live, give or take a quarter of that; or sooner."""
    async with machine(server) as one:
        lease = one.leases.lease(*KEY)
        assert isinstance(lease, RedisLease)

        def pauses(left: float) -> list[float]:
            waiting = Answer("wait", seconds=left)
            return [lease._seconds_after(waiting, one.session.id) for _ in range(200)]

        long, short = pauses(TTL), pauses(0.1)
        assert 0.75 * TTL / 5 <= min(long) < 0.85 * TTL / 5
        assert 1.15 * TTL / 5 < max(long) <= 1.25 * TTL / 5
        assert max(short) < 0.15


# 10


async def test_promise_9_what_is_said_is_said_many_at_a_time(server: RedisServer) -> None:
    """Of three hundred releases, two hundred are in one script."""
    async with machine(server) as one:
        leases = [await one.hold("bot-7", str(number)) for number in range(300)]
        await until(lambda: not one.leases._outbox._words)
        before = one.client.sent["update"]
        for lease in leases:
            lease.release()
        await until(lambda: not one.leases._outbox._words)
        assert one.client.sent["update"] - before == 2 == -(-300 // BATCH)
        assert not server.admin.keys("{qrl}:lease:*")


async def test_promise_9_nothing_is_sent_for_a_lease_that_is_held(server: RedisServer) -> None:
    """A hundred leases are renewed by one command, and by no other."""
    async with machine(server) as one:
        for number in range(100):
            await one.hold("bot-7", str(number))
        await until(lambda: not one.leases._outbox._words)
        one.client.sent.clear()
        await until(lambda: one.client.sent["renew"] >= 5)
        assert set(one.client.sent) == {"renew"}
