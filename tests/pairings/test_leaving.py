"""`Pairings`: an end is told to the last hook, whoever leaves; and whoever is stopped reads so."""

from __future__ import annotations

import inspect
from contextvars import ContextVar
from functools import partial
from typing import Any

import anyio
import pytest

from qrlifecycle import (
    Cancelled,
    Connected,
    JoinedPairing,
    Paired,
    Pairings,
    QRLifecycle,
    SocketIOTransport,
    UsageError,
    WrongAnswer,
)
from qrlifecycle.engine.observers import Change
from qrlifecycle.testing import Fault, ScriptedPeer, settle

from ..pairing import request_qr

pytestmark = pytest.mark.anyio


async def read(pairing: JoinedPairing) -> list[Change]:
    """The changes to the last one."""
    return [change async for change in pairing.changes()]


class Store:
    """An `on_connected` that takes its time, and what became of it."""

    def __init__(self, seconds: float = 3.0) -> None:
        self.said: list[str] = []
        self.seconds = seconds

    async def __call__(self, outcome: Connected) -> None:
        self.said.append("begun")
        try:
            await anyio.sleep(self.seconds)
        except BaseException:
            self.said.append("cut off")
            raise
        self.said.append(f"stored {outcome.identity}")


def paired_at_once(**options: Any) -> QRLifecycle:
    """A lifecycle whose code is scanned when it is shown."""
    peer = ScriptedPeer()
    show = lambda _qr: peer.send(Paired("+49"))  # noqa: E731
    return QRLifecycle(request_qr, peer, on_qr_updated=show, **options)


@pytest.mark.parametrize("tabs", [1, 2])
async def test_who_leaves_by_the_outcome_cuts_off_no_hook(tabs: int) -> None:
    """The change with the outcome is read before `on_connected` has stored it."""
    store = Store()
    make = partial(paired_at_once, on_connected=store)

    async def tab() -> None:
        async with pairings.join("ada", make) as pairing:
            assert (await read(pairing))[-1].outcome == Connected("+49")
            assert store.said in ([], ["begun"])
        assert store.said == ["begun", "stored +49"]

    async with Pairings() as pairings, anyio.create_task_group() as tasks:
        for _ in range(tabs):
            tasks.start_soon(tab)


async def test_who_is_cancelled_after_the_outcome_cuts_off_no_hook() -> None:
    """A page that reads "linked" and goes away: the program knows it as well."""
    store = Store()
    async with Pairings() as pairings:
        with anyio.CancelScope() as request:
            async with pairings.join("ada", partial(paired_at_once, on_connected=store)) as pairing:
                await read(pairing)
                request.cancel()
                await anyio.sleep_forever()
        assert request.cancelled_caught
        assert store.said == ["begun", "stored +49"]


async def test_who_leaves_while_the_socket_closes_cuts_off_no_hook() -> None:
    """The end is decided, and nobody has been told so far."""
    store, peer = Store(), ScriptedPeer(closings=(Fault.SLOW,))
    make = partial(QRLifecycle, request_qr, peer, on_connected=store)
    async with Pairings() as pairings:
        async with pairings.join("ada", make) as pairing:
            await settle()
            peer.send(Paired("+49"))
            await settle()
            assert pairing.lifecycle.snapshot().pending == "paired"
        assert store.said == ["begun", "stored +49"]


async def test_leaving_the_pairings_cuts_off_no_hook() -> None:
    """The program stops in the moment of a success."""
    store, outcomes = Store(), list[object]()

    async def tab() -> None:
        async with pairings.join("ada", partial(paired_at_once, on_connected=store)) as pairing:
            outcomes.append(await pairing.result())

    async with anyio.create_task_group() as tasks, Pairings() as pairings:
        tasks.start_soon(tab)
        await settle()
        assert store.said == ["begun"]
    assert store.said == ["begun", "stored +49"]
    assert outcomes == [Connected("+49")]


@pytest.mark.parametrize(("how", "stored"), [("task", False), ("cancel()", True)])
async def test_who_ends_a_pair_of_its_own_by_the_outcome_cuts_off_its_hooks(
    how: str, stored: bool
) -> None:
    """If its task is cancelled, that is; `cancel()` leaves an end as it is."""
    store = Store()
    lifecycle = paired_at_once(on_connected=store)
    async with anyio.create_task_group() as tasks:
        changes = lifecycle.changes()
        tasks.start_soon(lifecycle.pair)
        assert [change.outcome async for change in changes][-1] == Connected("+49")
        if how == "task":
            await settle()
            tasks.cancel_scope.cancel()
        else:
            assert not lifecycle.cancel()
    assert ("stored +49" in store.said) is stored


async def test_a_hook_that_hangs_is_waited_for_as_long_as_pair_does() -> None:
    """For `policy.hook_timeout`, and no longer."""
    store = Store(1000.0)
    async with Pairings() as pairings:
        before = anyio.current_time()
        async with pairings.join("ada", partial(paired_at_once, on_connected=store)) as pairing:
            await read(pairing)
        assert anyio.current_time() - before == pytest.approx(30, abs=1)
    assert store.said == ["begun", "cut off"]


@pytest.mark.parametrize("tabs", [1, 2])
async def test_a_mistake_is_raised_at_the_end_of_the_block_also_beside_a_status(tabs: int) -> None:
    """While reads of the status are waited for, `pair()` has told an end and not yet raised."""
    told: list[str] = []
    wrong: Any = lambda: "no transport"  # noqa: E731

    async def check_status() -> None:
        await anyio.sleep(0.1)

    async def tab() -> None:
        with pytest.raises(WrongAnswer, match="str"):
            async with pairings.join("ada", make) as pairing:
                await read(pairing)
        told.append("a mistake")

    make = partial(QRLifecycle, request_qr, wrong, check_status=check_status)
    async with Pairings() as pairings, anyio.create_task_group() as tasks:
        for _ in range(tabs):
            tasks.start_soon(tab)
    assert told == ["a mistake"] * tabs


async def test_one_of_two_who_waits_for_the_end_may_be_cancelled() -> None:
    """Who stays waits on, and is the last one then."""
    store, left = Store(), list[int]()
    make = partial(paired_at_once, on_connected=store)

    async def tab(number: int, scope: anyio.CancelScope) -> None:
        with scope:
            async with pairings.join("ada", make) as pairing:
                await read(pairing)
        left.append(number)

    scopes = [anyio.CancelScope(), anyio.CancelScope()]
    async with Pairings() as pairings, anyio.create_task_group() as tasks:
        for number, scope in enumerate(scopes):
            tasks.start_soon(tab, number, scope)
        await settle()
        scopes[0].cancel()
        await settle()
        assert left == [0]
        scopes[1].cancel()
        await settle()
        assert left == [0]
    assert left == [0, 1]
    assert store.said == ["begun", "stored +49"]


@pytest.mark.parametrize("turns", range(4))
async def test_changes_end_also_if_the_pairings_are_left_at_once(turns: int) -> None:
    """Before the first step of the attempt, and before each of the next."""
    said: list[object] = []
    peer, joined = ScriptedPeer(), anyio.Event()

    async def tab() -> None:
        async with pairings.join("ada", lambda: QRLifecycle(request_qr, peer)) as pairing:
            joined.set()
            said.extend(change.outcome for change in await read(pairing))

    async with anyio.create_task_group() as tasks, Pairings() as pairings:
        tasks.start_soon(tab)
        await joined.wait()
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()
    assert said[-1] == Cancelled()
    assert peer.open_sockets == 0


async def test_cancel_right_after_joining_cancels() -> None:
    """The attempt has not taken its first step: it asks for no code, and says how it ended."""
    asked: list[int] = []

    async def ask() -> Any:
        asked.append(1)
        return await request_qr()

    peer = ScriptedPeer()
    async with Pairings() as pairings, pairings.join("ada", partial(QRLifecycle, ask, peer)) as one:
        assert one.lifecycle.cancel()
        async with pairings.join("ada", partial(QRLifecycle, ask, peer)) as other:
            assert other.lifecycle is not one.lifecycle
        assert [str(change.event) for change in await read(one)] == ["generate", "cancel"]
        assert await one.result() == Cancelled()
        assert not one.lifecycle.cancel()
        async with pairings.join("ada", partial(QRLifecycle, ask, peer)) as other:
            await settle()
            assert other.lifecycle.qr is not None
    assert asked == [1]


async def test_cancel_all_ends_what_runs_and_what_is_joined_from_then_on() -> None:
    """Each reads `Cancelled`, and nothing is asked for any more; entered again they are fresh."""
    peer, pairings = ScriptedPeer(), Pairings()
    join = partial(pairings.join, make_lifecycle=partial(QRLifecycle, request_qr, peer))
    async with pairings:
        async with join("ada") as ada, join("ada") as too, join("bob") as bob:
            await settle()
            assert peer.open_sockets == 2
            pairings.cancel_all()
            for pairing in (ada, too, bob):
                assert (await read(pairing))[-1].outcome == Cancelled()
            assert peer.open_sockets == 0
        before = len(peer.transports)
        async with join("ada") as late:
            assert (await read(late))[-1].outcome == Cancelled()
        assert len(peer.transports) == before
    async with pairings, join("ada") as again:
        await settle()
        assert again.lifecycle.qr is not None


async def test_a_program_that_stops_waits_for_its_pages() -> None:
    """Until the last has left, however often that was waited for; where nobody is, at once."""
    pairings, left = Pairings(), list[str]()
    make = partial(QRLifecycle, request_qr, ScriptedPeer())

    async def page(name: str, seconds: float) -> None:
        async with pairings.join(name, make) as pairing:
            await read(pairing)
            await anyio.sleep(seconds)
            left.append(name)

    async with pairings, anyio.create_task_group() as tasks:
        await pairings.wait_until_left()
        for name, seconds in (("quick", 1.0), ("slow", 3.0)):
            tasks.start_soon(page, name, seconds)
        await settle()
        with anyio.move_on_after(2) as impatient:
            await pairings.wait_until_left()
        assert impatient.cancelled_caught
        pairings.cancel_all()
        await pairings.wait_until_left()
        assert left == ["quick", "slow"]
        tasks.start_soon(page, "late", 1.0)
        await settle()
        await pairings.wait_until_left()
        assert left[-1] == "late"


async def test_who_is_cancelled_as_it_leaves_has_left() -> None:
    """Nobody waits for it as the program stops."""
    peer, stored = ScriptedPeer(), anyio.Event()

    async def store(_connected: Connected) -> None:
        await stored.wait()

    make = partial(QRLifecycle, request_qr, peer, on_connected=store)
    async with Pairings() as pairings, anyio.create_task_group() as tasks:

        async def page(scope: anyio.CancelScope) -> None:
            with scope:
                async with pairings.join("ada", make) as pairing:
                    await read(pairing)

        scopes = [anyio.CancelScope() for _ in range(2)]
        for scope in scopes:
            tasks.start_soon(page, scope)
        await settle()
        peer.send(Paired("me"))
        await settle()
        scopes[0].cancel()
        await settle()
        stored.set()
        with anyio.fail_after(1):
            await pairings.wait_until_left()


async def test_cancel_all_leaves_an_end_as_it_is() -> None:
    """A success in the moment in which the program stops is told, and stored."""
    store = Store()
    make = partial(paired_at_once, on_connected=store)
    async with Pairings() as pairings, pairings.join("ada", make) as pairing:
        await settle()
        pairings.cancel_all()
        assert await pairing.result() == Connected("+49")
    assert store.said == ["begun", "stored +49"]


async def test_who_reads_after_having_left_is_told_so() -> None:
    """As a stream does whose dependency was left before it: it would read of a stop, or nothing."""
    async with Pairings() as pairings:
        async with pairings.join("ada", partial(QRLifecycle, request_qr, ScriptedPeer())) as one:
            await settle()
        told = r"which is left: join in a dependency with yield .*, or in the generator"
        with pytest.raises(UsageError, match=told):
            one.changes()


async def test_a_wait_for_the_next_change_may_be_given_up() -> None:
    """As a page does that sends something every few seconds: no change is lost."""
    peer, heard, given_up = ScriptedPeer(), list[str](), 0
    make = partial(QRLifecycle, request_qr, peer)
    async with Pairings() as pairings, pairings.join("ada", make) as pairing:
        changes, outcome = pairing.changes(), None
        while outcome is None:
            with anyio.move_on_after(0.5) as patience:
                change = await anext(changes)
                heard.append(str(change.event))
                outcome = change.outcome
            given_up += patience.cancelled_caught
            if given_up == 20 and patience.cancelled_caught:
                peer.send(Paired("+49"))
    assert heard == ["generate", "qr_ready", "qr_updated", "paired"]
    assert given_up == 20


async def test_joining_is_a_block() -> None:
    """Who awaits it is told so, and so is who gives a lifecycle in place of a function."""
    async with Pairings() as pairings:
        made: Any = QRLifecycle(request_qr, ScriptedPeer())
        joining: Any = pairings.join("ada", made)
        with pytest.raises(UsageError, match=r"it is a block: async with pairings\.join"):
            await joining
        with pytest.raises(WrongAnswer, match=r"must be a function .*, not QRLifecycle"):
            async with joining:
                pass
        assert len(pairings) == 0


async def test_context_variables_of_who_begins_it_reach_the_attempt() -> None:
    """Its functions and its hooks; who joins later has a context of its own."""
    user: ContextVar[str] = ContextVar("user")
    seen: list[str] = []

    async def ask() -> Any:
        seen.append(user.get())
        return await request_qr()

    async def show(_qr: object) -> None:
        seen.append(user.get())

    async with Pairings() as pairings:
        make = partial(QRLifecycle, ask, ScriptedPeer(), on_qr_updated=show)
        user.set("ada")
        async with pairings.join(1, make):
            user.set("bob")
            async with pairings.join(1, make):
                await settle()
    assert seen == ["ada", "ada"]


def test_what_help_shows_is_of_use() -> None:
    """That joining is a context manager, what was joined, and no addresses of functions."""
    assert "AbstractAsyncContextManager[JoinedPairing]" in str(inspect.signature(Pairings.join))
    assert "state" in (inspect.getdoc(JoinedPairing.lifecycle) or "")
    assert "signals: 'SignalMap' = DEFAULT_SIGNALS" in str(inspect.signature(SocketIOTransport))
