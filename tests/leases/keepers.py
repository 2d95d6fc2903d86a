"""A keeper in memory with two machines that can be cut off from it, as it should be."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import anyio
import anyio.lowlevel

from qrlifecycle.errors import LeaseHeld, LeaseLost, LeaseTakenOver
from qrlifecycle.leases import Holder, Lease, Leases, Lost, WhenHeld
from qrlifecycle.testing import TwoMachines

TTL = 4.0
"""Seconds for which a machine that is cut off holds what it held."""


class Keeper:
    """Who holds which key, and who claims it."""

    def __init__(self) -> None:
        self.holder: dict[tuple[str, ...], KeptLease] = {}
        self.claimant: dict[tuple[str, ...], KeptLease] = {}
        self.tokens = count(1)
        self.ever: list[KeptLease] = []
        self.heard: list[str] = []
        self.changed = anyio.Event()

    def change(self) -> None:
        """Wake whoever waits."""
        self.changed.set()
        self.changed = anyio.Event()

    def holds(self, key: tuple[str, ...]) -> KeptLease | None:
        """Whoever does, unless it was cut off so long ago that it is taken for dead."""
        holder = self.holder.get(key)
        if holder is None:
            return None
        ends = min(holder.machine.dies_at, holder.runs_out_at)
        return None if anyio.current_time() >= ends else holder


class KeptLeases(Leases):
    """One machine."""

    lease_class: type[KeptLease]

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self.dies_at = float("inf")

    @property
    def is_cut_off(self) -> bool:
        """Whether it cannot reach the keeper."""
        return self.dies_at < float("inf")

    def lease(self, *key: str, when_held: WhenHeld = "take_over") -> Lease:
        return self.lease_class(self, key, when_held)

    async def find_holder(self, *key: str) -> Holder | None:
        await anyio.lowlevel.checkpoint()
        holder = self.keeper.holds(key)
        return None if holder is None else Holder("", time.time(), self.token_of(holder))

    def token_of(self, holder: KeptLease) -> int:
        """What it says of a holder's token."""
        assert holder.token is not None
        return holder.token

    async def ask_to_leave(self, *key: str) -> bool:
        await anyio.lowlevel.checkpoint()
        holder = self.keeper.holds(key)
        if holder is not None:
            holder.hear(LeaseTakenOver())
        return holder is not None

    def die(self) -> None:
        """Be cut off."""
        self.dies_at = anyio.current_time() + TTL


class KeptLease(Lease):
    """One attempt's."""

    room = 0.5
    """Seconds on top of what closing takes."""

    def __init__(self, machine: KeptLeases, key: tuple[str, ...], when_held: WhenHeld) -> None:
        self.machine, self.key, self.when_held = machine, key, when_held
        self.keeper = machine.keeper
        self.close_within = 0.0
        self.lost: Lost | None = None
        self.released = False
        self.given: int | None = None
        self.runs_out_at = float("inf")

    @property
    def token(self) -> int | None:
        return self.given

    async def acquire(self, lost: Lost, close_within: float) -> None:
        await anyio.lowlevel.checkpoint_if_cancelled()
        self.close_within = close_within
        self.keeper.heard.append(self.speak_of(lost))
        if self.released:
            raise LeaseLost("released")
        await self.reach_keeper()
        taken = self.keeper.holds(self.key) or self.keeper.claimant.get(self.key)
        if taken and self.when_held == "reject":
            raise self.rejection()
        self.claim()
        try:
            await self.wait()
        finally:
            if self.keeper.claimant.get(self.key) is self:
                del self.keeper.claimant[self.key]
        self.keeper.holder[self.key] = self
        self.lost, self.given = lost, self.next_token()
        self.keeper.ever.append(self)

    async def reach_keeper(self) -> None:
        """Nothing is to be had where it cannot be reached."""
        if self.machine.is_cut_off:
            raise LeaseLost("the keeper cannot be reached")

    def speak_of(self, lost: Lost) -> str:
        """What the keeper hears of it."""
        return f"{self.key}"

    def rejection(self) -> LeaseHeld:
        """What is raised if somebody else holds it."""
        return LeaseHeld()

    def next_token(self) -> Any:
        """The next one."""
        return next(self.keeper.tokens)

    def claim(self) -> None:
        """Be the one that takes over, and have the holder told."""
        self.keeper.claimant[self.key] = self
        self.keeper.change()
        if (holder := self.keeper.holds(self.key)) is not None:
            holder.hear(LeaseTakenOver())

    async def wait(self) -> None:
        """Until nobody holds it."""
        while (holder := self.keeper.holds(self.key)) is not None:
            with anyio.CancelScope(
                deadline=min(holder.machine.dies_at, anyio.current_time() + TTL / 4)
            ):
                await self.keeper.changed.wait()
            if self.released:
                raise LeaseLost("released")
            if self.keeper.claimant.get(self.key) is not self:
                raise LeaseTakenOver

    def hear(self, error: Exception) -> None:
        """What the keeper says, if it is heard."""
        if not self.machine.is_cut_off:
            self.lose(error)

    def lose(self, error: Exception) -> None:
        """Tell whoever holds it."""
        lost, self.lost = self.lost, None
        if lost is not None:
            lost(error)

    def release(self) -> Any:
        self.released, self.lost = True, None
        if self.machine.is_cut_off:
            return
        for held in (self.keeper.holder, self.keeper.claimant):
            if held.get(self.key) is self:
                del held[self.key]
        self.keeper.change()

    @property
    def must_close_at(self) -> float:
        """When it must have begun to let go."""
        return self.machine.dies_at - self.close_within - self.room


KeptLeases.lease_class = KeptLease


@asynccontextmanager
async def two_machines(kind: type[KeptLeases] = KeptLeases) -> AsyncIterator[TwoMachines]:
    """Two machines with a keeper in memory; the first tells its holders when it is cut off."""
    keeper = Keeper()
    first, second = kind(keeper), kind(keeper)

    async def watch() -> None:
        while True:
            await anyio.sleep(0.05)
            for lease in list(keeper.ever):
                if lease.must_close_at <= anyio.current_time():
                    lease.lose(LeaseLost("cut off"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        yield TwoMachines(first, second, TTL, first.die, lambda: keeper.heard)
        tasks.cancel_scope.cancel()
