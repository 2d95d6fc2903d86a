"""The leases of one process, beyond their contract."""

from __future__ import annotations

import gc
import pickle
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from qrlifecycle import InvalidValue
from qrlifecycle.errors import LeaseHeld, LeaseLost, LeaseTakenOver
from qrlifecycle.leases import Holder, Lease, LocalLeases
from qrlifecycle.testing import settle

pytestmark = pytest.mark.anyio

KEY = ("bot-7", "user-123")


def nobody_is_told(error: Exception) -> None:
    """For leases that nobody is to lose."""
    raise AssertionError(error)


async def held(leases: LocalLeases, lost: Callable[[Exception], object] = nobody_is_told) -> Lease:
    """A lease that was free."""
    lease = leases.lease(*KEY, when_held="reject")
    await lease.acquire(lost, 1.0)
    return lease


async def test_a_lease_is_for_one_key() -> None:
    """Another user's lease, and another bot's, are free while one is held."""
    leases = LocalLeases()
    await held(leases)
    for key in (("bot-7", "user-124"), ("bot-8", "user-123"), ("bot-7",), ("bot-7user-123",)):
        await leases.lease(*key, when_held="reject").acquire(nobody_is_told, 1.0)


async def test_promise_9_nobody_slips_in_between_a_release_and_whoever_waits() -> None:
    """Between a release and the turn in which the claimant has it, who rejects is rejected."""
    leases = LocalLeases()
    told: list[Exception] = []
    holder = await held(leases, told.append)
    claimant = leases.lease(*KEY)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(claimant.acquire, nobody_is_told, 1.0)
        await settle()
        assert [type(error) for error in told] == [LeaseTakenOver]
        holder.release()
        assert claimant.token is None  # it has not run yet
        with pytest.raises(LeaseHeld, match="ask again later, or take it over"):
            await leases.lease(*KEY, when_held="reject").acquire(nobody_is_told, 1.0)
    assert claimant.token is not None


async def test_whoever_comes_later_in_that_moment_takes_over() -> None:
    """One that takes over between a release and the claimant's turn has the lease."""
    leases = LocalLeases()
    holder = await held(leases, lambda _: None)
    earlier, later = leases.lease(*KEY), leases.lease(*KEY)
    raised: list[Exception] = []

    async def claim() -> None:
        try:
            await earlier.acquire(nobody_is_told, 1.0)
        except LeaseTakenOver as error:
            raised.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(claim)
        await settle()
        holder.release()
        await later.acquire(nobody_is_told, 1.0)
    assert raised
    assert "only a person" in str(raised[0])
    assert earlier.token is None
    assert later.token is not None


async def test_who_took_a_lease_over_is_said() -> None:
    """Another attempt of this process, or that somebody asked its holder to leave."""
    leases, told = LocalLeases(), list[str]()

    def leave(error: Exception) -> None:
        told.append(str(error))
        holder.release()

    holder = await held(leases, leave)
    await leases.ask_to_leave(*KEY)
    holder = await held(leases, leave)
    await leases.lease(*KEY).acquire(nobody_is_told, 1.0)
    ending = "; only a person should ask for it again"
    assert told == [
        f"the lease's holder was asked to leave{ending}",
        f"another attempt of this process took the lease over{ending}",
    ]


async def test_a_holder_may_give_back_while_it_is_told() -> None:
    """A release() from within lost gives the lease to whoever takes it over, at once."""
    leases = LocalLeases()
    gone: list[Lease] = []
    gone.append(await held(leases, lambda _: gone[0].release()))
    with anyio.fail_after(1):
        await leases.lease(*KEY).acquire(nobody_is_told, 1.0)


async def test_a_lost_that_raises_spoils_nobody_elses_lease() -> None:
    """What the holder's function raises comes out of who takes over, and claims nothing."""
    leases = LocalLeases()
    holder = await held(leases, nobody_is_told)
    with pytest.raises(AssertionError):
        await leases.lease(*KEY).acquire(nobody_is_told, 1.0)
    holder.release()
    await held(leases)


async def test_the_holder_is_found() -> None:
    """find_holder() tells the machine, since when, and the token; afterwards nobody."""
    leases = LocalLeases("pod-3")
    assert await leases.find_holder(*KEY) is None
    lease = await held(leases)
    found = await leases.find_holder(*KEY)
    assert found is not None
    assert found == Holder("pod-3", found.since, 1)
    assert found.since > 1.6e9
    lease.release()
    assert await leases.find_holder(*KEY) is None


async def test_a_released_lease_is_no_more() -> None:
    """A factory that gives out one lease twice is told what to do."""
    lease = await held(LocalLeases())
    lease.release()
    with pytest.raises(LeaseLost, match="make a fresh lease for each attempt"):
        await lease.acquire(nobody_is_told, 1.0)


async def test_nothing_is_kept_of_keys_that_nobody_holds() -> None:
    """A thousand users later the book is empty, whatever became of their attempts."""
    leases = LocalLeases()
    for number in range(1000):
        holder, claimant = leases.lease("bot", str(number)), leases.lease("bot", str(number))
        await holder.acquire(lambda _: None, 1.0)
        with anyio.move_on_after(0.01) as scope:
            await claimant.acquire(nobody_is_told, 1.0)
        assert scope.cancelled_caught
        holder.release()
    assert repr(leases) == "<LocalLeases, 0 in use>"
    gc.collect()


@pytest.mark.parametrize("key", [(), ("",), (7,), ("bot", None)])
async def test_a_key_that_cannot_be_meant_is_refused(key: Any) -> None:
    """No key, an empty part or one that is no text: everywhere the same."""
    leases = LocalLeases()
    with pytest.raises(InvalidValue, match="one or more texts"):
        leases.lease(*key)
    ask: Callable[..., Awaitable[object]]
    for ask in (leases.find_holder, leases.ask_to_leave):
        with pytest.raises(InvalidValue, match="one or more texts"):
            await ask(*key)


def test_a_secret_given_for_a_key_is_in_no_text() -> None:
    """Of a wrong key only the kinds are said, and of a wrong mode nothing."""
    leases = LocalLeases()
    with pytest.raises(InvalidValue) as refused:
        leases.lease("hush", 5)  # type: ignore[arg-type]
    assert "hush" not in str(refused.value)
    with pytest.raises(InvalidValue, match=r"^when_held is 'take_over' or 'reject'$"):
        leases.lease("bot", when_held="hush")  # type: ignore[arg-type]


def test_a_lease_is_neither_pickled_nor_written_with_an_async_release() -> None:
    """A lease is no value to send elsewhere; and its release() is plain."""
    with pytest.raises(TypeError, match="cannot be pickled or copied"):
        pickle.dumps(LocalLeases().lease("bot"))
    with pytest.raises(TypeError, match=r"Late.release\(\) must be a plain function"):
        type("Late", (Lease,), {"release": anyio.sleep_forever})


@pytest.mark.parametrize("seed", range(100))
async def test_promise_9_never_two_at_once_in_any_order(seed: int) -> None:
    """Attempts that come, wait, are cancelled, and leave at random: one at a time has the lease."""
    random, leases = Random(seed), LocalLeases()
    holding: set[int] = set()
    tokens: list[int] = []

    async def attempt(number: int) -> None:
        await anyio.sleep(random.choice([0, 0, 0.1, 0.2]))
        lease = leases.lease(*KEY, when_held=random.choice(["take_over", "reject"]))
        told = anyio.Event()
        try:
            with anyio.move_on_after(random.choice([0, 0.1, 5])):
                await lease.acquire(lambda _: told.set(), 1.0)
                holding.add(number)
                assert holding == {number}
                assert lease.token is not None
                tokens.append(lease.token)
                with anyio.CancelScope(shield=random.random() < 0.5):
                    with anyio.move_on_after(random.choice([0, 0.1, 1])):
                        await told.wait()
                    for _ in range(random.randrange(4)):
                        await anyio.lowlevel.checkpoint()
        except LeaseHeld:
            pass
        finally:
            holding.discard(number)
            for _ in range(random.randrange(1, 3)):
                lease.release()

    async with anyio.create_task_group() as tasks:
        for number in range(6):
            tasks.start_soon(attempt, number)
    assert tokens == sorted(set(tokens))
    assert repr(leases) == "<LocalLeases, 0 in use>"
