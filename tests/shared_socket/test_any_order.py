"""Promise 10 in any order of what members do, with feeds that fail and hang anywhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio import CancelScope
from anyio.abc import TaskGroup
from hypothesis import given
from hypothesis import strategies as st

from qrlifecycle import Policy, Scanned
from qrlifecycle.errors import TransportError
from qrlifecycle.signals import Addressed
from qrlifecycle.testing import Fault, ScriptedPeer, settle
from qrlifecycle.transports.shared import SharedSocket

from ..any_order import FAULTS, HALF_AS_MANY, on_asyncio, on_trio

ACTS = ["come", "leave", "cancel", "break", "hang up", "let go", "signal", "wait a little", "wait"]
PLANS = st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 3)), max_size=25)

POLICY = Policy(open_timeout=2, close_timeout=1, reconnect_delay=0.5, reconnect_delay_max=2)


@dataclass
class Tabs:
    """What lifecycles do with members: make, open, receive, close and abort them, in a task each.

    Attributes:
        held: how many members are held, from before their opening until `abort()` has returned.
    """

    shared: SharedSocket
    peer: ScriptedPeer
    tasks: TaskGroup
    held: int = 0
    broken: list[str] = field(default_factory=list)
    scopes: list[CancelScope] = field(default_factory=list)

    def look(self) -> None:
        """Hold the socket to the promise, each time that one came or went."""
        if self.peer.open_sockets > 1:
            self.broken.append("two sockets")
        if self.peer.open_sockets and not self.held:
            self.broken.append("a socket that nobody needs")

    async def live(self, scope: CancelScope, key: str) -> None:
        """One member's life."""
        member = self.shared.member(key)
        self.held += 1
        try:
            with scope:
                await member.open()
                while True:
                    await member.receive()
        except (TransportError, anyio.EndOfStream):
            pass
        finally:
            with anyio.move_on_after(POLICY.close_timeout, shield=True):
                await member.aclose()
            member.abort()
            self.held -= 1
            if self.peer.open_sockets and not self.held:
                self.broken.append("abort() has returned, and the socket is there")

    async def act(self, act: str, number: int) -> None:  # noqa: C901 - one case for each act
        """One step of the plan."""
        match act:
            case "come":
                self.scopes.append(CancelScope())
                self.tasks.start_soon(self.live, self.scopes[-1], str(number))
            case "leave" if self.scopes:
                self.scopes.pop(number % len(self.scopes)).cancel()
            case "cancel":
                for scope in self.scopes:
                    scope.cancel()
                self.scopes.clear()
            case "break":
                self.peer.break_connection()
            case "hang up":
                self.peer.hang_up()
            case "let go":
                self.peer.let_go.set()
                self.peer.let_go = anyio.Event()
            case "signal":
                self.peer.send(Addressed((str(number),), Scanned()))
            case "wait a little":
                await anyio.lowlevel.checkpoint()
            case "wait":
                await anyio.sleep(number)


async def follow(plan: list[tuple[str, int]], openings: list[Fault], closings: list[Fault]) -> None:
    """Follow a plan, and look whether the promise was kept."""
    peer = ScriptedPeer(openings, closings)
    async with SharedSocket(peer, POLICY) as shared:
        tasks = anyio.create_task_group()
        tabs = Tabs(shared, peer, tasks)
        async with tasks:
            peer.watch = tabs.look
            for act, number in plan:
                await tabs.act(act, number)
            await tabs.act("cancel", 0)
        await settle()
        assert (tabs.held, shared.members, peer.open_sockets) == (0, 0, 0)
        assert not shared.is_open
        assert not tabs.broken
        # And it is none the worse for it.
        peer.watch = lambda: None
        peer.release()
        peer.let_go.set()
        with anyio.fail_after(60):
            while True:
                member = shared.member("last")
                try:
                    await member.open()
                    break
                except TransportError:
                    member.abort()
            await member.aclose()
    assert peer.open_sockets == 0


@HALF_AS_MANY
@given(plan=PLANS, openings=FAULTS, closings=FAULTS)
def test_promise_10_holds_in_any_order_on_asyncio(plan: Any, openings: Any, closings: Any) -> None:
    """There is a socket only while a member is held, and never a second one."""
    on_asyncio(follow, plan, openings, closings)


@HALF_AS_MANY
@given(plan=PLANS, openings=FAULTS, closings=FAULTS)
def test_promise_10_holds_in_any_order_on_trio(plan: Any, openings: Any, closings: Any) -> None:
    """The same on trio."""
    on_trio(follow, plan, openings, closings)
