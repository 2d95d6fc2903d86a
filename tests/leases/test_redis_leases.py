"""Leases over Redis, beyond the contract and the rules: when the keeper is away, and closing."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import anyio
import coredis
import coredis.exceptions
import pytest
import redis.exceptions

import qrlifecycle as q
from qrlifecycle import InvalidValue, QRCode, QRLifecycle, WrongAnswer
from qrlifecycle.errors import LeaseHeld, LeaseLost, LeaseTakenOver, UsageError
from qrlifecycle.leases import Lease
from qrlifecycle.leases.redis import KeeperClient, KeeperConnection, RedisLeases
from qrlifecycle.leases.redis.client import Published
from qrlifecycle.leases.redis.keeper import Times, read_hint
from qrlifecycle.leases.redis.leases import LISTEN_AGAIN
from qrlifecycle.leases.redis.outage import LISTENED, Deafness, Outage
from qrlifecycle.testing import ScriptedPeer

from ..pairing import request_qr
from ..patience import HANGS
from .clients import over_coredis, over_redis_py
from .redis_server import MISSING, RedisServer
from .test_redis_rules import KEY, TTL, machine, until, until_found

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Redis keeps the time: no clock of ours is of use."""
    return request.param, {}


def needs_asyncio() -> None:
    """Skip, on trio."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pytest.skip("redis.asyncio runs on asyncio")


# When the keeper is away


async def test_an_outage_that_is_shorter_than_the_time_closes_nothing(server: RedisServer) -> None:
    """A keeper that is cut off for a while is reached again, and nothing was lost."""
    async with machine(server, timeout=0.2) as one:
        lease = await one.hold()
        one.client.cut = True
        renewed = one.client.sent["renew"]
        await until(lambda: one.client.sent["renew"] > renewed + 1)
        one.client.cut = False
        now = one.clock()
        await until(lambda: one.session.good_until > now + one.leases.times.kept)
        assert one.lost == []
        assert lease.token is not None


async def test_who_wants_a_lease_waits_for_a_keeper_that_is_away(server: RedisServer) -> None:
    """While nobody answers nothing is granted; when somebody does, it is had."""
    async with machine(server, timeout=0.2) as one:
        one.client.cut = True
        one.clock.ahead += TTL
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.hold)
            renewed = one.client.sent["renew"]
            await until(lambda: one.client.sent["renew"] > renewed + 1)
            assert one.client.sent["acquire"] == 0  # nobody is asked who cannot answer
            one.client.cut = False
        assert one.lost == []


async def test_what_is_kept_goes_on_without_the_keeper(server: RedisServer) -> None:
    """With when_away="keep" what is held stays, and is said again when the keeper is back."""
    async with machine(server, timeout=0.2, when_away="keep") as one, machine(server) as other:
        lease = await one.hold()
        one.client.cut = True
        one.clock.ahead += 2 * TTL
        server.admin.delete(
            f"{{qrl}}:session:{one.session.id}", '{qrl}:lease:["bot-7", "user-123"]'
        )
        renewed = one.client.sent["renew"]
        await until(lambda: one.client.sent["renew"] > renewed + 1)
        assert one.lost == []
        one.client.cut = False
        await until_found(other, there=True)
        found = await other.leases.find_holder(*KEY)
        assert found is not None
        assert found.token == lease.token


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("taken", [False, True])
async def test_what_is_wanted_is_had_without_the_keeper(
    server: RedisServer, taken: bool, known: bool
) -> None:
    """With when_away="keep" one goes on without, and has the lease, or loses it, afterwards.

    Also as the keeper has just gone, and the session may still be good for all that is known.
    """
    async with machine(server, timeout=0.2, when_away="keep") as one, machine(server) as other:
        if taken:
            await other.hold()
        one.client.cut = True
        if known:
            one.clock.ahead += TTL
        lease = await one.hold()
        assert lease.token is None
        one.client.cut = False
        if taken:
            await until(lambda: one.lost)
            assert [type(error) for error in one.lost] == [LeaseHeld]
            assert other.lost == []
        else:
            await until(lambda: lease.token)
            assert await other.is_rejected()
            assert one.lost == []


async def test_one_answer_that_is_missing_is_no_outage(server: RedisServer) -> None:
    """With when_away="keep", who is answered again soon has the lease, and does not go on without.

    Each call fails at once, as where the connection was reset.
    """
    failing = [True, True]

    async def around(name: str, through: Callable[[], Awaitable[Any]]) -> Any:
        if name == "acquire" and failing:
            failing.pop()
            raise ConnectionResetError
        return await through()

    async with machine(server, when_away="keep") as one:
        one.client.around = around
        lease = await one.hold()
        assert not failing
        assert lease.token is not None


async def test_who_waits_for_its_turn_goes_on_when_the_keeper_goes(server: RedisServer) -> None:
    """With when_away="keep", whoever holds it can be told nothing any more."""
    async with machine(server, timeout=0.2, when_away="keep") as one, machine(server) as other:
        await other.hold()
        lease = one.lease()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lease.acquire, one.lost.append, 0.5)
            await until(lambda: other.lost)
            one.client.cut = True
        assert lease.token is None


async def test_what_was_kept_and_is_another_s_is_lost(server: RedisServer) -> None:
    """Of two that held one lease while the keeper was away, the one that comes back loses it."""
    async with machine(server, timeout=0.2, when_away="keep") as one, machine(server) as other:
        await one.hold()
        one.client.cut = True
        server.admin.delete(f"{{qrl}}:session:{one.session.id}")
        await other.hold()
        one.client.cut = False
        await until(lambda: one.lost)
        assert [type(error) for error in one.lost] == [LeaseTakenOver]


async def test_a_listener_whose_connection_broke_listens_again(server: RedisServer) -> None:
    """Whatever becomes of the connection on which it is told, it hears again."""
    async with machine(server, renew_every=2.0) as one, machine(server) as other:
        lease = await one.hold()
        for _ in range(2):
            assert server.admin.client_kill_filter(_type="pubsub") > 0
            await until(
                lambda: server.admin.pubsub_numsub(f"{{qrl}}:to:{one.leases._process}")[0][1]
            )
        assert await other.leases.ask_to_leave(*KEY)
        await until(lambda: one.lost)
        lease.release()


@pytest.mark.parametrize("over", [over_coredis, over_redis_py])
async def test_a_channel_that_cannot_be_listened_to_is_told_of_once(
    server: RedisServer,
    over: Callable[..., AbstractAsyncContextManager[Any]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """All else is done, also what would have been published; a take-over takes its time."""
    if over is over_redis_py:
        needs_asyncio()
    rules = ["reset", "on", ">pw", "~*", "resetchannels", "+@all"]
    server.admin.execute_command("ACL", "SETUSER", "deaf", *rules)
    async with (
        over(server.port, username="deaf", password="pw") as client,
        RedisLeases(client, renew_every=0.5, timeout=0.5) as leases,
    ):
        await until(lambda: "cannot be listened to" in caplog.text)
        await anyio.sleep(2 * LISTEN_AGAIN)
        held, wanted = leases.lease(*KEY), leases.lease(*KEY)
        await held.acquire(lambda _: held.release(), 0.5)
        with anyio.fail_after(HANGS):
            await wanted.acquire(lambda _: None, 0.5)
        wanted.release()
    (said,) = [record for record in caplog.records if record.name == "qrlifecycle"]
    assert said.levelname == "WARNING"
    assert "every 0.5 s" in said.getMessage()


def test_a_keeper_that_is_away_is_not_said_to_be_deaf_as_well(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing is answered then, and that is said. Once it has listened, it may be told of again."""
    clock = [100.0]
    outage = Outage(lambda: clock[0])
    deafness = Deafness(outage, Times(15, 3, 1, 0.01, 0.25, 1), lambda: clock[0])

    def fail(times: int, *, listened: float = 0.1) -> int:
        for _ in range(times):
            clock[0] += 1
            deafness.goes_on(OSError("hush"), clock[0] - listened)
        return caplog.text.count("heard only with a renewal, every 3 s")

    assert fail(4) == 0
    outage.goes_on(LeaseLost("away"))
    assert fail(20) == 0
    outage.is_over()
    assert fail(5) == 0
    assert fail(20) == 1
    fail(1, listened=LISTENED + 1)
    assert fail(20) == 2
    assert "hush" not in caplog.text


async def test_a_pool_without_a_third_connection_is_warned_of(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Renewals have one, the channel the other: nothing else says why nobody has a lease."""
    needs_asyncio()
    caplog.set_level(logging.WARNING, "qrlifecycle")
    async with (
        over_redis_py(server.port, max_connections=2) as client,
        RedisLeases(client, ttl=6) as leases,
    ):
        channel = f"{{qrl}}:to:{leases._process}"
        await until(lambda: leases.session.good and server.admin.pubsub_numsub(channel)[0][1])
        lease = partial(leases.lease, "bot-7", "user-1")
        policy = q.Policy(lease_timeout=1)
        outcome = await QRLifecycle(request_qr, ScriptedPeer(), lease=lease, policy=policy).pair()
    assert isinstance(outcome, q.Failed)
    assert outcome.reason is q.Reason.LEASE_LOST
    said = [line for line in caplog.messages if "its pool is too small" in line]
    assert said
    assert said[0].startswith("leases: none is had: ")


async def test_a_server_that_does_not_answer_uses_up_no_pool(server: RedisServer) -> None:
    """However often it is tried in vain; when the server goes on, so does everybody."""
    async with (
        over_coredis(server.port, max_connections=1) as client,
        RedisLeases(client, ttl=6, timeout=0.05, renew_every=0.05) as leases,
    ):
        await until(lambda: leases.session.good)
        try:
            server.pause()
            await until(lambda: leases.session.outage)
            for _ in range(5):
                with pytest.raises(LeaseLost):
                    await leases.keeper.renew("nobody's")
        finally:
            server.resume()
        await until(lambda: not leases.session.outage)
        channel = f"{{qrl}}:to:{leases._process}"
        await until(lambda: server.admin.pubsub_numsub(channel)[0][1])
        with anyio.fail_after(HANGS):
            assert await client.ping()


async def test_a_lease_that_is_released_while_it_is_said_again_is_given_back(
    server: RedisServer,
) -> None:
    """What a session began with, and was given back before the answer came, is given back again."""
    async with machine(server) as one, machine(server) as other:
        lease = await one.hold()

        async def meanwhile(name: str, run: Any) -> Any:
            if name == "begin":
                lease.release()
                await until(one.released)
                await until(lambda: not one.leases._outbox._words)
            return await run()

        one.client.around = meanwhile
        server.admin.delete(f"{{qrl}}:session:{one.session.id}")
        await until(lambda: one.client.sent["begin"] == 2 and len(one.released()) == 2)
        await until_found(other, there=False)


async def test_a_lease_that_is_held_for_days_is_confirmed_again(server: RedisServer) -> None:
    """What the server keeps for two days without a word is said once more after one."""
    async with machine(server) as one:
        await one.hold()
        await until(lambda: not one.leases._outbox._words)
        name = '{qrl}:lease:["bot-7", "user-123"]'
        server.admin.pexpire(name, 60_000)
        one.clock.ahead += 24 * 3600
        one.session.good_until += 24 * 3600
        await until(lambda: server.admin.pttl(name) > 24 * 3600 * 1000)
        assert one.lost == []


# Opening and closing


async def test_leases_that_are_closed_lose_what_is_held_and_leave_nothing(
    server: RedisServer,
) -> None:
    """Who holds one is told, who waits for one is refused; when all have left, no key is left."""
    told: list[Exception] = []
    raised: list[Exception] = []
    async with machine(server) as other:
        async with anyio.create_task_group() as tasks:

            async def wait() -> None:
                try:
                    await waiting.acquire(told.append, 0.5)
                except LeaseLost as error:
                    raised.append(error)

            async with machine(server) as one:
                await other.hold("bot-8", "user-1")
                waiting = one.leases.lease("bot-8", "user-1")
                lease = one.leases.lease(*KEY)

                def leave(error: Exception) -> None:
                    told.append(error)
                    lease.release()

                await lease.acquire(leave, 0.5)
                tasks.start_soon(wait)
                await until(lambda: other.lost)
        assert [str(error) for error in told + raised] == ["the program is closing its leases"] * 2
        other.release()
        await until(lambda: not other.leases._outbox._words)
        assert server.admin.keys("{qrl}:session:*") == [f"{{qrl}}:session:{other.session.id}"]
        assert server.admin.keys("{qrl}:lease:*") == []


@pytest.mark.parametrize("how", ["released", "closed"])
async def test_who_waits_for_a_keeper_that_is_away_is_told_that_it_is_over(
    server: RedisServer, how: str
) -> None:
    """A release, or the program's end, ends the wait at once: nobody has to answer for that."""
    raised: list[Exception] = []

    async def wait(lease: Lease) -> None:
        try:
            await lease.acquire(raised.append, 0.5)
        except LeaseLost as error:
            raised.append(error)

    async with anyio.create_task_group() as tasks:
        async with machine(server, timeout=0.2) as one:
            one.client.cut = True
            one.clock.ahead += TTL
            lease = one.leases.lease(*KEY)
            tasks.start_soon(wait, lease)
            renewed = one.client.sent["renew"]
            await until(lambda: one.client.sent["renew"] > renewed + 1)
            if how == "released":
                lease.release()
                await until(lambda: raised)
        await until(lambda: raised)
    (error,) = raised
    said = {"released": "it was released while", "closed": "the program is closing its leases"}
    assert said[how] in str(error)


async def test_what_the_program_raises_comes_out_as_it_is() -> None:
    """An error within `async with RedisLeases` is wrapped in no group."""
    with pytest.raises(ZeroDivisionError):
        async with RedisLeases(Failing(), timeout=0.1):
            raise ZeroDivisionError


async def test_a_cancellation_goes_through(server: RedisServer) -> None:
    """A scope around leases that is cancelled ends as it should."""
    with anyio.move_on_after(0.1) as scope:
        async with machine(server) as one:
            await one.hold()
            await anyio.sleep_forever()
    assert scope.cancelled_caught


@pytest.mark.slow
async def test_leases_that_are_cancelled_are_given_back(server: RedisServer) -> None:
    """Also where the scope that is cancelled is around them, and their tasks are cancelled too."""
    needs_asyncio()
    async with over_redis_py(server.port) as client:
        with anyio.CancelScope() as scope:
            async with RedisLeases(client) as leases:
                lease = leases.lease(*KEY)
                await lease.acquire(lambda _: lease.release(), 0.5)
                scope.cancel()
                await anyio.sleep_forever()
    assert server.admin.keys("{qrl}:session:*") == []
    assert server.admin.keys("{qrl}:lease:*") == []


async def test_leases_that_are_not_open_are_refused(server: RedisServer) -> None:
    """Outside of `async with` nothing is granted, and the error says what to do."""
    async with machine(server) as one:
        lease = one.leases.lease(*KEY)
    with pytest.raises(LeaseLost, match="use them within 'async with RedisLeases"):
        await lease.acquire(lambda _: None, 0.5)
    with pytest.raises(LeaseLost, match="use them within 'async with RedisLeases"):
        await one.leases.find_holder(*KEY)


async def test_leases_that_were_never_entered_are_a_mistake_of_the_program() -> None:
    """Whatever is asked of them, a `UsageError` says what to do; out of `pair()` as well."""
    leases = RedisLeases(Nothing())
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: leases.lease(*KEY).acquire(lambda _: None, 0.5),
        lambda: leases.find_holder(*KEY),
        lambda: leases.ask_to_leave(*KEY),
        QRLifecycle(no_code, ScriptedPeer(), lease=partial(leases.lease, *KEY)).pair,
    ]
    for call in calls:
        with pytest.raises(UsageError, match="use them within 'async with RedisLeases"):
            await call()


async def no_code() -> QRCode:
    """Is not asked."""
    raise NotImplementedError


async def test_a_keeper_that_is_away_at_first_is_waited_for() -> None:
    """A program starts without it; then it comes."""
    if MISSING:
        pytest.skip("there is no redis-server here, nor a valkey-server")
    server = RedisServer()
    try:
        async with machine(server, timeout=0.2) as one:
            server.start()
            server.end_grace()
            await one.hold()
    finally:
        server.__exit__(None, None, None)


async def test_a_holder_that_needs_longer_to_close_is_refused(server: RedisServer) -> None:
    """A close_timeout above what the leases allow for is a mistake of the program's."""
    async with machine(server) as one:
        with pytest.raises(InvalidValue, match=r"takes up to 2 s .* allows 0.5 s: raise the one"):
            await one.leases.lease(*KEY).acquire(lambda _: None, 2.0)


def test_times_that_cannot_be_meant_are_refused() -> None:
    """A time to live must leave room for a renewal beside everything else."""
    client = Nothing()
    with pytest.raises(InvalidValue, match=r"ttl is too short: of 2.5 s, 1.225 are left"):
        RedisLeases(client, ttl=2.5)
    with pytest.raises(InvalidValue, match="renew_every must be seconds above 0, not 0"):
        RedisLeases(client, renew_every=0)
    with pytest.raises(InvalidValue, match="ttl must be seconds above 0, not inf"):
        RedisLeases(client, ttl=float("inf"))
    with pytest.raises(InvalidValue, match="ttl must be seconds above 0, not str"):
        RedisLeases(client, ttl="15")  # type: ignore[arg-type]
    for wrong in (1.0, "0.01"):
        with pytest.raises(InvalidValue, match="drift must be from 0 to below 1"):
            RedisLeases(client, drift=wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidValue, match="when_away is 'close' or 'keep'"):
        RedisLeases(client, when_away="hush")  # type: ignore[arg-type]
    assert repr(RedisLeases(client)) == "<RedisLeases, 0 in use>"


def test_a_client_that_nobody_knows_is_refused() -> None:
    """The error says which are known."""
    with pytest.raises(
        WrongAnswer, match=r"a client of coredis or of redis.asyncio, .* not a dict"
    ):
        RedisLeases({})


class Nothing(KeeperClient):
    """Cannot be used."""

    def connection(self) -> Any:
        raise NotImplementedError

    def messages(self, channel: str) -> Any:
        raise NotImplementedError


# What goes wrong on the way


class Secretive(KeeperConnection):
    """Fails with what it was sent."""

    async def run(self, script: object, key: str, args: object) -> Any:
        raise OSError(f"redis://:hush@10.0.0.1 {args}")

    def drop(self) -> None:
        """Nothing."""


class Failing(Nothing):
    """Always fails."""

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[KeeperConnection]:
        yield Secretive()


async def test_promise_6_an_error_of_the_keepers_holds_no_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Of what a client raises only the kind is said, once; nothing of it is kept."""
    caplog.set_level("DEBUG", "qrlifecycle")
    async with RedisLeases(Failing(), timeout=0.1) as leases:
        with pytest.raises(LeaseLost) as lost:
            await leases.find_holder(*KEY)
        await anyio.sleep(0.5)
    assert str(lost.value) == "the keeper of the leases did not answer but with OSError"
    assert lost.value.__cause__ is None
    assert lost.value.__context__ is None
    assert "hush" not in caplog.text
    assert [record.levelname for record in caplog.records].count("WARNING") == 1


class Failed(Secretive):
    """Fails as a client does that was turned away."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def run(self, script: object, key: str, args: object) -> Any:
        await anyio.lowlevel.checkpoint()
        raise self.error


class FailingBy(Failing):
    """Always fails by one error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[KeeperConnection]:
        yield Failed(self.error)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            coredis.exceptions.AuthenticationFailureError("hush"),
            r"AuthenticationFailureError \(check the user and the password",
        ),
        (redis.exceptions.ResponseError("WRONGPASS hush"), r"ResponseError \(check the user and"),
        (redis.exceptions.NoPermissionError("hush"), r"NoPermissionError \(check what its user"),
        (redis.exceptions.ResponseError("NOPERM hush"), r"ResponseError \(check what its user may"),
        (redis.exceptions.MaxConnectionsError("hush"), r"MaxConnectionsError \(its pool is too"),
        (ExceptionGroup("hush", [OSError("hush")]), "OSError$"),
        (RuntimeError("hush"), r"RuntimeError \(has the program entered the client"),
        (ConnectionError("hush"), r"ConnectionError \(is it up, and at the address"),
        (coredis.exceptions.ConnectionError("hush"), r"ConnectionError \(is it up, and at the"),
        (redis.exceptions.ConnectionError("hush"), r"ConnectionError \(is it up, and at the"),
        (ValueError("hush"), r"ValueError$"),
    ],
)
async def test_promise_6_the_error_of_a_keeper_that_turns_us_away_says_what_to_mend(
    error: Exception, said: str
) -> None:
    """User and password, what the user may do, a client that was never entered; no word of it."""
    async with RedisLeases(FailingBy(error), timeout=0.01, close_within=0.01) as leases:
        with pytest.raises(LeaseLost, match=said) as lost:
            await leases.find_holder(*KEY)
    assert "hush" not in str(lost.value)


def test_an_outage_is_said_again_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """At first, then with how long it has been so; that it is over is said once."""
    clock = [100.0]
    outage = Outage(lambda: clock[0])
    caplog.set_level("INFO", "qrlifecycle")
    for clock[0] in (100.0, 101.0, 159.0, 160.0, 161.0, 221.0):
        outage.goes_on(LeaseLost("it did not answer"))
    assert str(outage) == "it did not answer, for 121 s by now"
    outage.is_over()
    outage.is_over()
    outage.goes_on(LeaseLost("nor this time"))
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "leases: it did not answer"),
        ("WARNING", "leases: it did not answer, for 60 s by now"),
        ("WARNING", "leases: it did not answer, for 121 s by now"),
        ("INFO", "leases: the keeper answers again"),
        ("WARNING", "leases: nor this time"),
    ]


class Telling(Secretive):
    """Answers one after another: an error, or what the keeper says; then always nothing."""

    def __init__(self, answers: list[Any]) -> None:
        self.answers = answers

    async def run(self, script: object, key: str, args: object) -> Any:
        await anyio.lowlevel.checkpoint()
        answer = self.answers.pop(0) if self.answers else []
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_that_the_keeper_answers_again_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """A keeper that came back and knows no session is here when another session has begun."""
    begun, no_session, away = list[str](), None, OSError()
    told = Telling([begun, away, no_session, away, begun])

    class Client(Failing):
        @asynccontextmanager
        async def connection(self) -> AsyncIterator[KeeperConnection]:
            yield told

    caplog.set_level("INFO", "qrlifecycle")
    async with RedisLeases(Client(), ttl=6, renew_every=0.02):
        await until(lambda: not told.answers and "again" in caplog.text)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_an_attempt_that_had_no_lease_says_what_the_keeper_answered() -> None:
    """The error of the outcome has the last answer's kind, and how long it has been so."""
    error = ConnectionError("hush")
    async with RedisLeases(FailingBy(error), timeout=0.01, close_within=0.01) as leases:
        outcome = await attempt(leases).pair()
    assert isinstance(outcome, q.Failed)
    assert outcome.reason is q.Reason.LEASE_LOST
    assert re.search(
        r"\(2 s\); the keeper of the leases did not answer but with ConnectionError \(.*\?\), "
        r"for \d s by now$",
        str(outcome.error),
    )


WITHIN = 2.0
"""Seconds for a lease; in them also the keeper of a busy machine answers."""


def attempt(leases: RedisLeases) -> QRLifecycle:
    """One that has little time."""
    policy = q.Policy(lease_timeout=WITHIN, close_timeout=0.01)
    lease = partial(leases.lease, *KEY)
    return QRLifecycle(no_code, ScriptedPeer(), lease=lease, policy=policy)


@pytest.mark.slow
async def test_what_is_waited_for_is_said_once_and_by_the_failure(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Who holds it, or that the keeper has just begun; in one line of the log for each wait."""
    caplog.set_level("INFO", "qrlifecycle")
    said = []
    async with machine(server, machine="pod-1") as other, machine(server) as one:
        lease = await other.hold()
        said.append(await attempt(one.leases).pair())
        lease.release()
        server.admin.delete("{qrl}:server")
        said.append(await attempt(one.leases).pair())
    errors = [outcome.error for outcome in said if isinstance(outcome, q.Failed)]
    texts = [str(error).partition("; ")[2] for error in errors]
    assert texts == [
        "machine 'pod-1' holds it, and was asked to leave",
        "the keeper has just begun, or lost its data, and grants nothing for one ttl (6 s), in "
        "which others may say what they hold",
    ]
    waits = [record.getMessage() for record in caplog.records if "waiting" in record.getMessage()]
    assert waits == [f"waiting for the lease, {WITHIN:g} s at most: {text}" for text in texts]


async def test_an_attempt_that_may_give_up_too_soon_is_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not above ttl + ttl / 4: nothing need be wrong, and it fails after a restart."""
    leases = RedisLeases(Nothing(), ttl=24)
    for seconds in (30.1, 30.0, 20.0):
        leases.lease(*KEY).expect(seconds)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "lease_timeout is 30 s" in caplog.text
    assert "ttl + ttl / 4, 30 s: allow more" in caplog.text


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '["leave"]', "[1, 2, 3]", "null", "7", '"abc"', "{}"]
)
def test_promise_7_what_is_published_and_none_of_ours_is_nothing(text: str) -> None:
    """Whatever else is said on the channel is passed over."""
    assert read_hint(text) is None


def test_a_hint_is_read() -> None:
    """A word, a key and a holder."""
    hint = read_hint(json.dumps(["leave", "k", "h"]))
    assert hint is not None
    assert (hint.word, hint.key, hint.holder, hint.by) == ("leave", "k", "h", None)
    assert "or asked its holder to leave" in str(hint.taken_over())


async def test_what_was_given_back_is_had_again_at_once(server: RedisServer) -> None:
    """By the same machine, a hundred times: nobody is told that somebody else holds it."""
    async with machine(server) as one, machine(server) as other:
        for number in range(100):
            lease = await one.hold()
            if number % 3 == 0:
                assert await other.leases.ask_to_leave(*KEY)
            lease.release()
        again = one.lease()
        await again.acquire(one.lost.append, 0.5)
        assert again.awaits == ""


async def test_who_took_a_lease_over_is_said(server: RedisServer) -> None:
    """To its holder and to whoever waited for it: the machine's name, or that somebody asked."""
    async with machine(server, machine="pod-1") as one, machine(server, machine="pod-2") as other:
        waited: list[str] = []

        async def wait() -> None:
            try:
                await one.lease().acquire(one.lost.append, 0.5)
            except LeaseTakenOver as error:
                waited.append(str(error))

        lease = await one.hold()
        assert await other.leases.ask_to_leave(*KEY)
        await until(lambda: one.lost)
        lease.release()
        lease = await one.hold()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await until(lambda: len(one.lost) == 2)
            claimant = other.lease()
            tasks.start_soon(claimant.acquire, other.lost.append, 0.5)
            await until(lambda: waited)
            lease.release()
        texts = [str(error).partition(";")[0] for error in one.lost]
        assert texts == [
            "the lease's holder was asked to leave",
            "machine 'pod-1' took the lease over",
        ]
        assert waited[0].startswith("machine 'pod-2' took the lease over; only a person")


async def test_a_flood_of_hints_shuts_out_no_cancellation() -> None:
    """Messages that are there at once, one after another, can be cancelled in the midst of."""

    async def at_once() -> dict[str, bytes]:
        scope.cancel()
        return {"data": b"x"}

    with anyio.fail_after(HANGS), anyio.CancelScope() as scope:
        async for text in Published(at_once):
            assert text == "x"
    assert scope.cancelled_caught


async def test_over_redis_py_a_connection_goes_back_closed(server: RedisServer) -> None:
    """On asyncio; nothing that leases took of the program's pool stays open."""
    needs_asyncio()
    before = len(server.admin.client_list())
    async with over_redis_py(server.port) as client:
        async with RedisLeases(client, machine="here") as leases:
            lease = leases.lease(*KEY)
            await lease.acquire(lambda _: None, 0.5)
            found = await leases.find_holder(*KEY)
            assert found is not None
            assert found.machine == "here"
            lease.release()
        await until(lambda: len(server.admin.client_list()) == before)
        assert await client.ping()
