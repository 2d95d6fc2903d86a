"""`Pairings`: who joins, who leaves, and who is told what."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import anyio
import pytest
from anyio.from_thread import start_blocking_portal

from qrlifecycle import (
    Cancelled,
    Connected,
    Failed,
    JoinedPairing,
    Paired,
    PairingInProgress,
    Pairings,
    QRCode,
    QRLifecycle,
    Reason,
    State,
    Transport,
    UsageError,
    WrongAnswer,
)
from qrlifecycle.leases import LocalLeases
from qrlifecycle.records import Began, Record
from qrlifecycle.testing import Fault, ScriptedPeer, settle

from ..pairing import asyncio_only, request_qr

pytestmark = pytest.mark.anyio


class Tabs:
    """What is behind the tabs of one program: a peer, and how many lifecycles were made."""

    def __init__(self, closings: tuple[Fault, ...] = (), **options: Any) -> None:
        self.peer = ScriptedPeer(closings=closings)
        self.made: list[QRLifecycle] = []
        self.options = options

    def make(self) -> QRLifecycle:
        """A fresh lifecycle."""
        self.made.append(QRLifecycle(request_qr, self.peer, **self.options))
        return self.made[-1]


async def test_who_comes_while_an_attempt_runs_joins_it() -> None:
    """All see one code, and hear one outcome; the socket is there until the last has left."""
    tabs = Tabs()
    async with Pairings() as pairings:
        async with pairings.join("ada", tabs.make) as one:
            await settle()
            async with pairings.join("ada", tabs.make) as other:
                assert other.lifecycle is one.lifecycle
                assert other.lifecycle.qr is not None
            await settle()
            assert tabs.peer.open_sockets == 1
            assert len(pairings) == 1
        assert tabs.peer.open_sockets == 0
        assert len(pairings) == 0
        assert await one.result() == Cancelled()
    assert len(tabs.made) == 1


async def test_each_who_joined_is_told_the_outcome_and_the_changes_since() -> None:
    """Also who has read nothing so far."""
    tabs = Tabs()
    async with Pairings() as pairings, pairings.join("ada", tabs.make) as one:
        await settle()
        async with pairings.join("ada", tabs.make) as other:
            tabs.peer.send(Paired("+49"))
            assert await one.result() == Connected("+49")
            assert await other.result() == Connected("+49")
            assert tabs.peer.open_sockets == 0
            events = [[c.event async for c in each.changes()] for each in (one, other)]
    assert events == [["generate", "qr_ready", "qr_updated", "paired"], ["paired"]]


async def test_the_outcome_is_there_when_nothing_of_the_attempt_is_left() -> None:
    """Not before, also where the last hook is still told of it."""
    peer, stored = ScriptedPeer(), anyio.Event()

    async def store(_connected: Connected) -> None:
        await stored.wait()

    make = partial(QRLifecycle, request_qr, peer, on_connected=store)
    async with Pairings() as pairings, pairings.join("ada", make) as pairing:
        await settle()
        assert pairing.outcome is None
        peer.send(Paired("me"))
        await settle()
        assert pairing.lifecycle.state is State.CONNECTED
        assert pairing.outcome is None
        stored.set()
        assert await pairing.result() == pairing.outcome == Connected("me")


async def test_keys_have_nothing_to_do_with_each_other() -> None:
    """Each has an attempt of its own."""
    tabs = Tabs()
    async with Pairings() as pairings, pairings.join("ada", tabs.make):
        async with pairings.join("bob", tabs.make):
            await settle()
            assert tabs.peer.open_sockets == 2
            assert repr(pairings) == "<Pairings, 2 under way>"
        assert tabs.peer.open_sockets == 1


async def test_pairings_are_there_also_while_nothing_is_under_way() -> None:
    """``if pairings:`` asks whether there are any pairings to join, not how many run."""
    async with Pairings() as pairings:
        assert len(pairings) == 0
        assert pairings


async def test_who_comes_after_the_end_gets_a_fresh_attempt() -> None:
    """Who still looks at the one that has ended goes on doing so, and ends nothing by leaving."""
    tabs = Tabs()
    async with Pairings() as pairings, AsyncExitStack() as early:
        one = await early.enter_async_context(pairings.join("ada", tabs.make))
        await settle()
        tabs.peer.send(Paired("+49"))
        await settle()
        async with pairings.join("ada", tabs.make) as other:
            await settle()
            assert one.lifecycle.state is State.CONNECTED
            assert other.lifecycle.qr is not None
            await early.aclose()
            assert tabs.peer.open_sockets == 1
        assert await one.result() == Connected("+49")


async def test_who_comes_between_the_end_and_its_last_hook_waits_for_a_fresh_attempt() -> None:
    """An end that was told is not told again, and `pair()` has not returned."""
    tabs = Tabs(on_connected=lambda _outcome: anyio.sleep(3))
    async with Pairings() as pairings, pairings.join("ada", tabs.make):
        await settle()
        tabs.peer.send(Paired("+49"))
        await settle()
        before = anyio.current_time()
        async with pairings.join("ada", tabs.make) as other:
            assert anyio.current_time() - before == pytest.approx(3)
            await settle()
            assert other.lifecycle.qr is not None


async def test_who_comes_after_somebody_cancelled_gets_a_fresh_attempt() -> None:
    """The end is decided, and the socket still open: that end is not for who comes now."""
    tabs = Tabs()
    async with Pairings() as pairings, pairings.join("ada", tabs.make) as one:
        await settle()
        one.lifecycle.cancel()
        async with pairings.join("ada", tabs.make) as other:
            await settle()
            assert await one.result() == Cancelled()
            assert other.lifecycle.qr is not None
    assert tabs.peer.most_sockets == 1


async def test_who_comes_while_the_last_one_leaves_waits_for_a_fresh_attempt() -> None:
    """The old socket closes slowly, and there are never two; of two who wait one makes it."""
    tabs = Tabs((Fault.HUNG,))
    shown: list[JoinedPairing] = []

    async def join(pairings: Pairings) -> None:
        async with pairings.join("ada", tabs.make) as pairing:
            shown.append(pairing)
            await anyio.sleep(60)

    async with Pairings() as pairings, anyio.create_task_group() as tasks:
        with anyio.move_on_after(1):
            await join(pairings)  # the leaver is cancelled itself, and waits all the same
        assert tabs.peer.open_sockets == 0
        tabs.peer._closings = iter([Fault.HUNG])
        first = anyio.CancelScope()

        async def leave_slowly() -> None:
            with first:
                await join(pairings)

        tasks.start_soon(leave_slowly)
        await settle()
        first.cancel()
        await settle()
        assert tabs.peer.open_sockets == 1
        tasks.start_soon(join, pairings)
        tasks.start_soon(join, pairings)
        await settle()
        assert (len(tabs.made), len(shown)) == (2, 2)
        await anyio.sleep(10)
        assert (len(tabs.made), len(shown), tabs.peer.open_sockets) == (3, 4, 1)
        assert shown[2].lifecycle is shown[3].lifecycle
        tasks.cancel_scope.cancel()
    assert tabs.peer.most_sockets == 1


async def test_what_make_lifecycle_raises_leaves_nothing() -> None:
    """The next one may make another."""
    tabs = Tabs()

    def fail() -> QRLifecycle:
        raise LookupError("ada")

    async def late() -> QRLifecycle:
        return tabs.make()

    async with Pairings() as pairings:
        with pytest.raises(LookupError, match="ada"):
            async with pairings.join("ada", fail):
                pass
        wrong: Any = late
        with pytest.raises(WrongAnswer, match="make_lifecycle gave back coroutine"):
            async with pairings.join("ada", wrong):
                pass
        wants: Any = lambda user: tabs.make()  # noqa: E731
        with pytest.raises(WrongAnswer, match="make_lifecycle cannot be called without arguments"):
            async with pairings.join("ada", wants):
                pass
        unhashable: list[Any] = [[], ("ada", [])]
        for key in unhashable:
            with pytest.raises(WrongAnswer, match="key must be hashable, as text or a tuple"):
                pairings.join(key, tabs.make)
        assert len(pairings) == 0
        async with pairings.join("ada", tabs.make):
            await settle()
            assert tabs.peer.open_sockets == 1


def mistaken() -> QRLifecycle:
    """A lifecycle whose transport factory is a mistake in the program."""
    wrong: Any = lambda: "no transport"  # noqa: E731
    return QRLifecycle(request_qr, wrong)


async def test_what_pair_raises_reaches_each_who_joined_it_and_nobody_else() -> None:
    """By `result()`, or by leaving the block."""
    tabs = Tabs()

    async def ask(pairings: Pairings) -> None:
        async with pairings.join("ada", mistaken) as pairing:
            await pairing.result()

    async def leave(pairings: Pairings) -> None:
        async with pairings.join("ada", mistaken) as pairing:
            assert [c.outcome async for c in pairing.changes()][-1] is not None

    async def expect(run: Callable[[Pairings], Awaitable[None]]) -> None:
        with pytest.raises(WrongAnswer, match="str"):
            await run(pairings)
        told.append(run)

    told: list[object] = []
    async with Pairings() as pairings, pairings.join("bob", tabs.make) as bob:
        async with anyio.create_task_group() as tasks:
            for run in (ask, leave, leave):
                tasks.start_soon(expect, run)
        assert len(told) == 3
        assert bob.lifecycle.qr is not None


async def test_what_pair_raises_is_told_once_to_each() -> None:
    """Who has caught it leaves in peace."""
    async with Pairings() as pairings, pairings.join("ada", mistaken) as pairing:
        with pytest.raises(WrongAnswer):
            await pairing.result()
        assert isinstance(await pairing.result(), Cancelled | Failed)


async def refusing() -> QRCode:
    """No code, and no transport therefore."""
    raise LookupError


class Unspeakable:
    """A key without a text."""

    def __str__(self) -> str:
        raise ValueError("of no text")


@pytest.mark.parametrize(
    ("key", "words"),
    [("ada", ("ada",)), (7, ("7",)), (("bot-7", 1), ("bot-7", "1")), (Unspeakable(), None)],
)
async def test_a_record_of_the_beginning_has_the_key(
    key: Hashable, words: tuple[str, ...] | None
) -> None:
    """As text, where it has one: by it an operator finds an attempt that made no transport."""
    records: list[Record] = []

    def make() -> QRLifecycle:
        return QRLifecycle(refusing, ScriptedPeer(), recorders=[records.append])

    async with Pairings() as pairings, pairings.join(key, make) as pairing:
        assert isinstance(await pairing.result(), Failed)
    assert [record.key for record in records if isinstance(record, Began)] == [words]


class Peculiar(UsageError):
    """A program's own, which cannot be copied: it is made of more than it holds."""

    def __init__(self, text: str, more: str) -> None:
        super().__init__(f"{text}, {more}")


async def test_what_cannot_be_copied_is_raised_all_the_same() -> None:
    """Nothing that `pair()` raised is lost."""

    def transport() -> Transport:
        raise Peculiar("a mistake", "of mine")

    async with Pairings() as pairings:
        with pytest.raises(Peculiar, match="a mistake, of mine"):
            async with pairings.join("ada", lambda: QRLifecycle(request_qr, transport)) as pairing:
                await pairing.result()


async def leave_by_another_error(pairings: Pairings) -> None:
    """Join what raises, and leave it by something else."""
    async with pairings.join("ada", mistaken):
        await settle()
        raise LookupError


async def test_what_pair_raises_is_logged_where_nobody_can_be_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The only one who joined it leaves by something else; the line says whose attempt it was."""
    async with Pairings() as pairings:
        with pytest.raises(LookupError):
            await leave_by_another_error(pairings)
    assert "everybody had left raised WrongAnswer" in caplog.text
    assert getattr(caplog.records[-1], "key", None) == "ada"


async def test_what_pair_raises_is_not_logged_where_somebody_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One leaves by something else, and the last one is told later."""

    async def be_told(pairings: Pairings) -> None:
        async with pairings.join("ada", mistaken) as one:
            with pytest.raises(LookupError):
                await leave_by_another_error(pairings)
            await one.result()

    async with Pairings() as pairings:
        with pytest.raises(WrongAnswer):
            await be_told(pairings)
    assert "everybody had left" not in caplog.text


async def test_a_lifecycle_that_runs_elsewhere_is_told_so() -> None:
    """`make_lifecycle` makes a fresh one each time; the one that runs goes on, and is its own."""
    tabs = Tabs()
    async with Pairings() as pairings, pairings.join("ada", tabs.make) as one:
        await settle()
        with pytest.raises(PairingInProgress):
            async with pairings.join("bob", lambda: one.lifecycle):
                pytest.fail("it was joined")
        assert len(pairings) == 1
        await settle()
        assert tabs.peer.open_sockets == 1
        assert one.lifecycle._progress.observers.about.key == "ada"
        tabs.peer.send(Paired("me"))
        assert await one.result() == Connected("me")


@asyncio_only  # trio does not say which of two tasks begins first
async def test_two_keys_with_one_lifecycle_in_one_breath() -> None:
    """Neither runs yet; the later is told so, and its leaving is none of the other's business."""
    tabs = Tabs()
    lifecycle = tabs.make()
    async with Pairings() as pairings, pairings.join("ada", lambda: lifecycle) as one:
        async with pairings.join("bob", lambda: lifecycle) as other:
            with pytest.raises(PairingInProgress):
                await other.result()
        await settle()
        assert tabs.peer.open_sockets == 1
        tabs.peer.send(Paired("me"))
        assert await one.result() == Connected("me")


async def test_leaving_an_end_does_nothing_to_a_fresh_attempt_of_the_same_lifecycle() -> None:
    """A program may keep one for each user, which pairs again and again."""
    tabs = Tabs()
    lifecycle = tabs.make()
    async with Pairings() as pairings, AsyncExitStack() as early:
        await early.enter_async_context(pairings.join("ada", lambda: lifecycle))
        await settle()
        tabs.peer.send(Paired("+49"))
        await settle()
        async with pairings.join("ada", lambda: lifecycle) as other:
            await settle()
            await early.aclose()
            await settle()
            assert other.lifecycle.qr is not None
            assert tabs.peer.open_sockets == 1


async def test_a_system_exit_comes_out_of_the_block_as_it_is() -> None:
    """It is the program's end, and nobody's pairing alone: every socket is closed.

    Who catches it may enter them anew.
    """
    tabs, pairings = Tabs(), Pairings()

    def leave(_qr: object) -> None:
        raise SystemExit(3)

    async def program() -> None:
        async with pairings, pairings.join("bob", tabs.make):
            await settle()
            make = partial(QRLifecycle, request_qr, tabs.peer, on_qr_updated=leave)
            async with pairings.join("ada", make):
                await anyio.sleep_forever()

    with pytest.raises(SystemExit):
        await program()
    assert tabs.peer.open_sockets == 0
    async with pairings, pairings.join("bob", tabs.make) as again:
        await settle()
        assert again.lifecycle.qr is not None


async def test_leaving_the_block_ends_what_runs_for_those_who_joined() -> None:
    """They are told so; nobody hangs."""
    tabs, outcomes = Tabs(), list[object]()
    stop = anyio.Event()

    async def program(started: anyio.Event) -> None:
        async with pairings:
            started.set()
            await stop.wait()

    async def tab() -> None:
        async with pairings.join("ada", tabs.make) as pairing:
            outcomes.append(await pairing.result())

    pairings = Pairings()
    async with anyio.create_task_group() as tasks:
        started = anyio.Event()
        tasks.start_soon(program, started)
        await started.wait()
        tasks.start_soon(tab)
        await settle()
        stop.set()
    assert outcomes == [Cancelled()]
    assert tabs.peer.open_sockets == 0


async def test_an_exception_of_the_block_comes_out_as_it_is() -> None:
    """In no group, after everything is closed."""
    tabs = Tabs()

    async def program() -> None:
        async with Pairings() as pairings, pairings.join("ada", tabs.make):
            await settle()
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await program()
    assert tabs.peer.open_sockets == 0


async def test_pairings_are_joined_within_their_block_only() -> None:
    """Before, after, entered twice, and in another event loop: each is told."""
    tabs, pairings = Tabs(), Pairings()

    async def join() -> None:
        async with pairings.join("ada", tabs.make):
            pass

    with pytest.raises(UsageError, match="within the block"):
        await join()
    async with pairings:
        with pytest.raises(UsageError, match="entered once at a time"):
            await pairings.__aenter__()
        elsewhere = pytest.raises(UsageError, match="in the event loop in which")
        with start_blocking_portal("asyncio") as portal, elsewhere:
            portal.call(join)
    with pytest.raises(UsageError, match="within the block"):
        await join()
    async with pairings:  # another time
        await join()
    assert tabs.peer.open_sockets == 0


async def test_an_attempt_that_nobody_waited_for_asks_for_no_code() -> None:
    """Who came has left before it began."""
    tabs = Tabs()
    async with Pairings() as pairings:
        async with pairings.join("ada", tabs.make) as pairing:
            pass
        assert await pairing.result() == Cancelled()
        assert pairing.lifecycle.state is State.IDLE
    assert tabs.peer.transports == []


async def test_leases_say_whose_turn_it_is_beyond_the_pairings() -> None:
    """An attempt that loses its lease ends for everybody who joined; the next one may have it."""
    leases = LocalLeases()
    lease = partial(leases.lease, "bot-7", "ada")
    here, there = Tabs(lease=lease), Tabs(lease=lease)
    join = partial(Pairings.join, key="ada", make_lifecycle=here.make)
    async with Pairings() as pairings, join(pairings) as one, join(pairings) as two:
        await settle()
        async with Pairings() as others, others.join("ada", there.make):
            await settle()
            assert (here.peer.open_sockets, there.peer.open_sockets) == (0, 1)
            for each in (one, two):
                outcome = await each.result()
                assert isinstance(outcome, Failed)
                assert outcome.reason is Reason.SUPERSEDED
        async with join(pairings):
            await settle()
            assert here.peer.open_sockets == 1
    assert repr(leases) == "<LocalLeases, 0 in use>"


@asyncio_only
async def test_a_leaver_who_is_cancelled_natively_leaves_the_attempt_to_its_end() -> None:
    """`Task.cancel()` breaks through a shield; who comes next waits all the same."""
    tabs = Tabs((Fault.HUNG,))

    async def tab() -> None:
        async with pairings.join("ada", tabs.make):
            await anyio.sleep_forever()

    async with Pairings() as pairings:
        leaver = asyncio.ensure_future(tab())
        for _ in range(2):  # the first has it leave, the second has it leave at once
            await settle()
            assert not leaver.done()
            leaver.cancel()
        await asyncio.wait({leaver})
        assert tabs.peer.open_sockets == 1
        async with pairings.join("ada", tabs.make):
            await settle()
            assert tabs.peer.open_sockets == 1
    assert tabs.peer.most_sockets == 1


@asyncio_only
async def test_what_pair_raises_after_the_last_has_left_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Who left was cancelled natively, while the attempt had told its end and not yet raised."""

    async def tab() -> None:
        wrong: Any = lambda: "no transport"  # noqa: E731
        store = lambda _failed: anyio.sleep(3)  # noqa: E731
        make = partial(QRLifecycle, request_qr, wrong, on_connection_failed=store)
        async with pairings.join("ada", make):
            await anyio.sleep_forever()

    async with Pairings() as pairings:
        leaver = asyncio.ensure_future(tab())
        for _ in range(2):
            await settle()
            leaver.cancel()
        await asyncio.wait({leaver})
        assert (len(pairings), caplog.text.count("everybody had left")) == (1, 0)
    assert caplog.text.count("everybody had left raised WrongAnswer") == 1
