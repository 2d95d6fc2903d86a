"""One attempt of a key at a time, in any order of what tabs and services do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio import CancelScope
from anyio.abc import TaskGroup
from hypothesis import example, given
from hypothesis import strategies as st

from qrlifecycle import Cancelled, Paired, Pairings, Policy, QRLifecycle, UsageError
from qrlifecycle.testing import Fault, ScriptedPeer, settle

from ..any_order import FAULTS, HALF_AS_MANY, on_asyncio, on_trio
from ..pairing import request_qr

ACTS = [
    "join",
    "read",
    "wait for it",
    "mistake",
    "leave",
    "go",
    "paired",
    "break",
    "checkpoint",
    "wait",
]
PLANS = st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 2)), max_size=25)

LEFT_BY_THE_OUTCOME = [("read", 0), ("wait", 1), ("paired", 0), ("wait", 1)]
"""Hardly ever drawn."""

LEFT_AS_IT_COMES = [("join", 0), ("join", 0), ("wait", 1), ("paired", 0)]
"""Both tabs go in the turn in which the success arrives."""

POLICY = Policy(open_timeout=2, close_timeout=1, reconnect_delay=0.5, reconnect_delay_max=2)


@dataclass
class Tabs:
    """Tabs of three users, each in a task of its own."""

    pairings: Pairings
    tasks: TaskGroup
    peers: list[ScriptedPeer]
    joined: list[int] = field(default_factory=lambda: [0, 0, 0])
    broken: list[str] = field(default_factory=list)
    scopes: list[CancelScope] = field(default_factory=list)
    storing: int = 0

    def look(self) -> None:
        """Hold the pairings to what they promise, each time that a socket came or went."""
        for peer, joined in zip(self.peers, self.joined, strict=True):
            if peer.open_sockets > 1:
                self.broken.append("two attempts")
            if peer.open_sockets and not joined:
                self.broken.append("an attempt that nobody has joined")

    def make(self, user: int, *, mistaken: bool) -> QRLifecycle:
        """A lifecycle for this user."""
        wrong: Any = lambda: "no transport"  # noqa: E731
        transport = wrong if mistaken else self.peers[user]
        return QRLifecycle(request_qr, transport, policy=POLICY, on_connected=self.store)

    async def store(self, _outcome: object) -> None:
        """The program takes its time to keep a success."""
        self.storing += 1
        await anyio.sleep(1)
        self.storing -= 1

    async def live(self, scope: CancelScope, user: int, act: str) -> None:
        """One tab's life."""
        self.joined[user] += 1  # from before it joins until it has left
        try:
            with scope:
                async with self.pairings.join(
                    user, lambda: self.make(user, mistaken=act == "mistake")
                ) as pairing:
                    if act == "wait for it":
                        if isinstance(await pairing.result(), Cancelled):
                            self.broken.append("somebody else's leaving ended it")
                    elif act == "read":
                        async for _change in pairing.changes():
                            pass
                    else:
                        await anyio.sleep(3)
        except UsageError:
            pass
        finally:
            self.joined[user] -= 1
            self.look()

    async def act(self, act: str, number: int) -> None:
        """One step of the plan."""
        match act:
            case "join" | "read" | "wait for it" | "mistake":
                self.scopes.append(CancelScope())
                self.tasks.start_soon(self.live, self.scopes[-1], number, act)
            case "leave" if self.scopes:
                self.scopes.pop(number % len(self.scopes)).cancel()
            case "go":
                for scope in self.scopes:
                    scope.cancel()
                self.scopes.clear()
            case "paired":
                self.peers[number].send(Paired("+49"))
            case "break":
                self.peers[number].break_connection()
            case "checkpoint":
                await anyio.lowlevel.checkpoint()
            case "wait":
                await anyio.sleep(number)


async def follow(plan: list[tuple[str, int]], openings: list[Fault], closings: list[Fault]) -> None:
    """Follow a plan, and look whether the promise was kept."""
    peers = [ScriptedPeer(openings, closings) for _ in range(3)]
    async with Pairings() as pairings:
        tasks = anyio.create_task_group()
        tabs = Tabs(pairings, tasks, peers)
        async with tasks:
            for peer in peers:
                peer.watch = tabs.look
            for act, number in plan:
                await tabs.act(act, number)
            await tabs.act("go", 0)
        assert tabs.joined == [0, 0, 0]
        assert not tabs.broken
        assert len(pairings) == 0
        assert tabs.storing == 0, "whoever left cut off a success"
        assert [peer.open_sockets for peer in peers] == [0, 0, 0]
        # And they are none the worse for it.
        fresh = ScriptedPeer()
        async with pairings.join(0, lambda: QRLifecycle(request_qr, fresh)) as pairing:
            await settle()
            assert fresh.open_sockets == 1
            assert pairing.lifecycle.qr is not None
    assert fresh.open_sockets == 0


@HALF_AS_MANY
@example(plan=LEFT_BY_THE_OUTCOME, openings=[], closings=[])
@example(plan=LEFT_AS_IT_COMES, openings=[], closings=[])
@given(plan=PLANS, openings=FAULTS, closings=FAULTS)
def test_one_attempt_of_a_key_at_a_time_on_asyncio(plan: Any, openings: Any, closings: Any) -> None:
    """Never two, none that nobody has joined, and nothing is left at the end."""
    on_asyncio(follow, plan, openings, closings)


@HALF_AS_MANY
@example(plan=LEFT_BY_THE_OUTCOME, openings=[], closings=[])
@example(plan=LEFT_AS_IT_COMES, openings=[], closings=[])
@given(plan=PLANS, openings=FAULTS, closings=FAULTS)
def test_one_attempt_of_a_key_at_a_time_on_trio(plan: Any, openings: Any, closings: Any) -> None:
    """The same on trio."""
    on_trio(follow, plan, openings, closings)
