"""The contract of leases, clause by clause, and culprits for each of its checks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from threading import Thread
from typing import Any

import anyio
import pytest

from qrlifecycle import InvalidValue, WrongAnswer
from qrlifecycle.errors import LeaseHeld, LeaseLost, LeaseTakenOver
from qrlifecycle.leases import Holder, LocalLeases, Lost
from qrlifecycle.testing import TwoMachines, check_leases
from qrlifecycle.testing.leases import LeasesBroken, lease_checks
from qrlifecycle.testing.leases.check import CLAUSES

from .keepers import TTL, KeptLease, KeptLeases, two_machines

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def one_process() -> AsyncIterator[TwoMachines]:
    """Two names for the leases of one process."""
    leases = LocalLeases()
    yield TwoMachines(leases, leases, heard=list)


async def test_promise_9_the_leases_of_a_process_keep_their_contract() -> None:
    """`LocalLeases` pass every check that one process can be put to."""
    report = await check_leases(one_process)
    assert [str(result.check) for result in report.skipped] == [
        "L4 a holder that is cut off is told in time",
        "L5 released while cut off",
        "L7 a dead holder is none",
    ]
    assert str(report).count("kept ") == len(report.passed) == len(report.results) - 3


async def test_two_machines_with_a_keeper_pass_every_check(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A keeper as it should be breaks nothing, nothing is skipped, and nothing is printed."""
    told: list[Any] = []
    report = await check_leases(two_machines, progress=told.append)
    assert report.skipped == ()
    assert tuple(told) == report.results == report.passed
    assert {result.check.clause for result in told} == set(CLAUSES)
    assert capsys.readouterr() == ("", "")


class LeftToTheKeeper(KeptLease):
    """L1: has no token."""

    def next_token(self) -> Any:
        return None


class TakesOverAnyway(KeptLease):
    """L1: tells the holder, although it takes nothing over."""

    def rejection(self) -> LeaseHeld:
        holder = self.keeper.holds(self.key)
        if holder is not None:
            holder.lose(LeaseTakenOver())
        return super().rejection()


class RejectsInWrongWords(KeptLease):
    """L1: says that somebody took over."""

    def rejection(self) -> LeaseHeld:
        return LeaseTakenOver()


class EatsACancellation(KeptLease):
    """L1: makes an error of a cancellation."""

    async def wait(self) -> None:
        try:
            await super().wait()
        except anyio.get_cancelled_exc_class():
            raise LeaseLost("cancelled") from None


class ClaimsOn(KeptLease):
    """L1: a cancelled claim goes on."""

    async def wait(self) -> None:
        try:
            await super().wait()
        except BaseException:
            self.keeper.claimant[self.key] = KeptLease(self.machine, self.key, "reject")
            raise


class LeavesItBehind(KeptLease):
    """L1: it holds the lease, and a cancellation finds it on the way back."""

    async def acquire(self, lost: Lost, close_within: float) -> None:
        await super().acquire(lost, close_within)
        await anyio.sleep(0.1)


class Impatient(KeptLease):
    """L2: waits for the holder for a moment."""

    async def wait(self) -> None:
        with anyio.move_on_after(0.1):
            await super().wait()


class LetsACrowdIn(KeptLease):
    """L2: lets whoever comes as the third in."""

    async def wait(self) -> None:
        if len(self.keeper.heard) < 3:
            await super().wait()


class LetsNobodyIn(KeptLease):
    """L2: whoever comes waits, although nobody holds it."""

    async def wait(self) -> None:
        await anyio.sleep_forever()


class Nags(KeptLease):
    """L3: tells the holder again and again."""

    def lose(self, error: Exception) -> None:
        if self.lost is not None:
            self.lost(error)


class TellsInAThread(KeptLease):
    """L3: has a thread tell the holder."""

    def lose(self, error: Exception) -> None:
        thread = Thread(target=super().lose, args=(error,))
        thread.start()
        thread.join()


class TellsItWrongly(KeptLease):
    """L3: says the wrong thing to the holder."""

    def lose(self, error: Exception) -> None:
        super().lose(LeaseLost("who knows"))


class TellsWhoIsGone(KeptLease):
    """L3: remembers whom it told, over the release."""

    def release(self) -> None:
        lost = self.lost
        super().release()
        self.lost = lost

    def claim(self) -> None:
        for lease in self.keeper.ever:
            lease.lose(LeaseTakenOver())
        super().claim()


class NobodyIsAsked(KeptLeases):
    """L3: says so, and asks nobody."""

    lease_class = KeptLease

    async def ask_to_leave(self, *key: str) -> bool:
        return await self.find_holder(*key) is not None


class SaysNothingOfIt(KeptLeases):
    """L3: does not say whether there is a holder."""

    lease_class = KeptLease

    async def ask_to_leave(self, *key: str) -> bool:
        await super().ask_to_leave(*key)
        return False


class Late(KeptLease):
    """L4: leaves no room for closing."""

    room = -0.25


class RoomOfItsOwn(KeptLease):
    """L4: leaves as much room for closing as it likes, whatever was asked for."""

    @property
    def must_close_at(self) -> float:
        return self.machine.dies_at - 0.3


class Unaware(KeptLease):
    """L4: does not look at the clock."""

    room = -100.0


class MistakesTheLoss(KeptLease):
    """L4: says that somebody took over, when it was cut off."""

    def lose(self, error: Exception) -> None:
        super().lose(LeaseTakenOver())


class Reusable(KeptLease):
    """L5: a release is forgotten by the next acquire."""

    async def acquire(self, lost: Lost, close_within: float) -> None:
        self.released = False
        await super().acquire(lost, close_within)


class Asynchronous(KeptLease):
    """L5: has its release awaited, behind a plain function."""

    def release(self) -> Any:
        async def later() -> None:
            super(Asynchronous, self).release()

        return later()


class ReleasesLoudly(KeptLease):
    """L5: complains of a second release."""

    def release(self) -> None:
        assert not self.released
        super().release()


class LeavesItToTime(KeptLease):
    """L5: what was released runs out after the time to live, and not before."""

    def release(self) -> Any:
        if not self.released:
            self.released, self.lost = True, None
            self.runs_out_at = anyio.current_time() + TTL


class SaysItLater(KeptLease):
    """L5: the keeper hears of a release a little later, and is asked for the lease before."""

    def release(self) -> Any:
        if not self.released:
            self.released, self.lost = True, None
            self.runs_out_at = anyio.current_time() + 0.05


class ReleasesAnybodys(KeptLease):
    """L5: gives back whatever is held."""

    def release(self) -> None:
        super().release()
        self.keeper.holder.pop(self.key, None)


class WaitsAfterRelease(KeptLease):
    """L5: goes on waiting."""

    async def wait(self) -> None:
        while self.keeper.holds(self.key) is not None:
            await self.keeper.changed.wait()
            if self.keeper.claimant.get(self.key, self) is not self:
                raise LeaseTakenOver


class WaitsForItsKeeper(KeptLease):
    """L5: waits until the keeper can be reached, whoever wants what by then."""

    async def reach_keeper(self) -> None:
        while self.machine.is_cut_off:
            await self.keeper.changed.wait()


class TellsNobody(KeptLease):
    """L2: a release wakes nobody who waits."""

    def release(self) -> None:
        self.keeper.change = lambda: None  # type: ignore[method-assign]
        super().release()

    async def wait(self) -> None:
        while self.keeper.holds(self.key) is not None:
            await self.keeper.changed.wait()


class FirstComeFirstServed(KeptLease):
    """L6: the first that takes over gets it."""

    def claim(self) -> None:
        if self.key in self.keeper.claimant:
            raise LeaseHeld
        super().claim()


class Undying(KeptLeases):
    """L7: who is dead holds on."""

    lease_class = KeptLease

    def die(self) -> None:
        self.dies_at = anyio.current_time() + 1e6


class Backwards(KeptLease):
    """L8: counts down."""

    def next_token(self) -> Any:
        return -next(self.keeper.tokens)


class TellsAnotherToken(KeptLeases):
    """L8: finds another token."""

    lease_class = KeptLease

    def token_of(self, holder: KeptLease) -> int:
        return super().token_of(holder) + 1


class NamesItself(KeptLease):
    """L9: its name with the keeper is what it was given to call."""

    def speak_of(self, lost: Lost) -> str:
        return f"{self.key} {lost!r}"


class ShowsIt(KeptLease):
    """L9: shows what it was given to call."""

    def __repr__(self) -> str:
        return f"<of {self.lost!r}>"


CULPRITS = [
    (LeftToTheKeeper, "L1", "a free lease is had at once"),
    (TakesOverAnyway, "L1", "a held lease is rejected"),
    (RejectsInWrongWords, "L1", "a held lease is rejected"),
    (EatsACancellation, "L1", "a cancellation comes out of acquire"),
    (ClaimsOn, "L1", "a cancellation comes out of acquire"),
    (LeavesItBehind, "L1", "a cancellation in the middle leaves nothing"),
    (Impatient, "L2", "nobody else has it before release"),
    (TellsNobody, "L2", "nobody else has it before release"),
    (LetsACrowdIn, "L2", "a crowd has it one at a time"),
    (LetsNobodyIn, "L2", "a crowd has it one at a time"),
    (Nags, "L3", "lost is called once"),
    (TellsInAThread, "L3", "lost is called once"),
    (TellsItWrongly, "L3", "lost is called once"),
    (TellsWhoIsGone, "L3", "nothing is lost after release"),
    (NobodyIsAsked, "L3", "whoever is asked to leave is told"),
    (SaysNothingOfIt, "L3", "whoever is asked to leave is told"),
    (Late, "L4", "a holder that is cut off is told in time"),
    (RoomOfItsOwn, "L4", "a holder that is cut off is told in time"),
    (Unaware, "L4", "a holder that is cut off is told in time"),
    (MistakesTheLoss, "L4", "a holder that is cut off is told in time"),
    (Reusable, "L5", "released before it is acquired"),
    (Asynchronous, "L5", "released before it is acquired"),
    (ReleasesLoudly, "L5", "released before it is acquired"),
    (WaitsAfterRelease, "L5", "released in the middle of acquire"),
    (WaitsForItsKeeper, "L5", "released while cut off"),
    (SaysItLater, "L5", "had again at once"),
    (LeavesItToTime, "L5", "released any number of times"),
    (ReleasesAnybodys, "L5", "released any number of times"),
    (FirstComeFirstServed, "L6", "the last that takes over gets it"),
    (Undying, "L7", "a dead holder is none"),
    (Backwards, "L8", "tokens grow"),
    (TellsAnotherToken, "L8", "tokens grow"),
    (NamesItself, "L9", "the keeper hears no secret"),
    (ShowsIt, "L9", "the keeper hears no secret"),
]


def machines_of(culprit: type[KeptLease | KeptLeases]) -> type[KeptLeases]:
    """The machines of a culprit, be it a machine or a lease."""
    if issubclass(culprit, KeptLeases):
        return culprit
    return type("Machines", (KeptLeases,), {"lease_class": culprit})


@pytest.mark.parametrize(
    ("culprit", "clause", "name"), CULPRITS, ids=lambda one: getattr(one, "__name__", None)
)
async def test_a_culprit_is_found(culprit: Any, clause: str, name: str) -> None:
    """Leases that break a clause are found by it, and the report says what happened."""
    with pytest.raises(LeasesBroken) as broken:
        await check_leases(partial(two_machines, machines_of(culprit)), clauses=[clause])
    failed = {result.check.name: result for result in broken.value.report.failures}
    assert name in failed
    assert f"{clause} {name}: {failed[name].check.fact}" in str(broken.value)


async def test_a_crowd_of_which_nobody_has_it_in_time_is_told_so() -> None:
    """It is no crowd of which many have it: a machine may be too busy."""
    with pytest.raises(LeasesBroken, match=rf"None of them had it within {TTL / 2:g} s\."):
        await check_leases(partial(two_machines, machines_of(LetsNobodyIn)), clauses=["L2"])


def test_every_check_has_its_culprit() -> None:
    """No check is without one that it finds."""
    assert {check.name for check in lease_checks()} == {name for _, _, name in CULPRITS}


async def test_what_cannot_be_checked_is_said() -> None:
    """A clause that there is not, a limit that is none, and machines that are none are refused."""
    with pytest.raises(InvalidValue, match="no clause 'L10'"):
        await check_leases(one_process, clauses=["L10"])
    with pytest.raises(InvalidValue, match=r"give a list of clauses: \['L1'\]"):
        await check_leases(one_process, clauses="L1")
    with pytest.raises(InvalidValue, match="limit must be seconds above 0, not 0"):
        await check_leases(one_process, limit=0)

    @asynccontextmanager
    async def none() -> AsyncIterator[Any]:
        yield (LocalLeases(), LocalLeases())

    with pytest.raises(WrongAnswer, match="must make TwoMachines, not tuple"):
        await check_leases(none)


async def test_what_machines_raise_comes_out_as_it_is() -> None:
    """An error of the leases' own that no clause is about is no breach, and is in no group."""

    class Broken(KeptLeases):
        lease_class = KeptLease

        async def find_holder(self, *key: str) -> Holder | None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await check_leases(partial(two_machines, Broken), clauses=["L8"])
