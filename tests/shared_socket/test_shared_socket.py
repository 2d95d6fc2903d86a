"""Promise 10: a socket that many share is open while one of them needs it, and at no other time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from qrlifecycle import (
    Connected,
    Paired,
    Policy,
    QRLifecycle,
    Scanned,
    Transport,
    TransportLost,
    TransportRefused,
    TransportUnreachable,
    UsageError,
)
from qrlifecycle.errors import Ending, WrongAnswer
from qrlifecycle.signals import Addressed
from qrlifecycle.testing import Fault, ScriptedPeer, ScriptedTransport, settle
from qrlifecycle.transports.shared import SharedSocket

from ..pairing import asyncio_only, hang, request_qr

pytestmark = pytest.mark.anyio

A, B = ("bot-1", "user-1"), ("bot-2", "user-2")


async def opened(shared: SharedSocket, *key: str) -> Transport:
    """A member that is open."""
    member = shared.member(*key)
    await member.open()
    return member


async def test_promise_10_it_is_open_from_the_first_member_to_the_last() -> None:
    """Ten members have one socket, opened by the first one and closed by the last one."""
    peer = ScriptedPeer()
    async with SharedSocket(peer) as shared:
        await settle()
        assert not shared.is_open
        members = [await opened(shared, "bot", str(number)) for number in range(10)]
        assert (peer.open_sockets, len(peer.transports), shared.members) == (1, 1, 10)
        for member in members[1:]:
            await member.aclose()
            assert peer.open_sockets == 1
        await members[0].aclose()
        assert peer.open_sockets == 0
        assert not shared.is_open
        assert shared.openings == 1


async def test_promise_10_the_last_one_s_abort_shuts_it_at_once() -> None:
    """`abort()` is a plain call, and when it returns there is no socket."""
    peer = ScriptedPeer()
    async with SharedSocket(peer) as shared:
        one, other = await opened(shared, *A), await opened(shared, *B)
        one.abort()
        assert peer.open_sockets == 1
        other.abort()
        assert peer.open_sockets == 0


@pytest.mark.parametrize("leave", ["aclose", "abort"])
async def test_promise_10_who_comes_while_it_closes_gets_a_fresh_one(leave: str) -> None:
    """There are never two: the next one is made when the last one is gone."""
    peer = ScriptedPeer(closings=[Fault.SLOW])
    async with SharedSocket(peer) as shared, anyio.create_task_group() as tasks:
        last = await opened(shared, *A)
        if leave == "aclose":
            tasks.start_soon(last.aclose)
            await settle()
            assert peer.open_sockets == 1
        else:
            last.abort()
        next_one = await opened(shared, *B)
        assert (peer.most_sockets, peer.open_sockets, len(peer.transports)) == (1, 1, 2)
        peer.send(Addressed(B, Scanned()))
        assert await next_one.receive() == Scanned()
        await next_one.aclose()


async def test_who_left_last_does_not_wait_for_a_socket_that_another_one_needs() -> None:
    """A goodbye that hangs holds up its own lifecycle, until somebody else has come."""
    peer = ScriptedPeer(closings=[Fault.HUNG])
    async with SharedSocket(peer) as shared, anyio.create_task_group() as tasks:
        last = await opened(shared, *A)
        gone = anyio.Event()

        async def leave() -> None:
            await last.aclose()
            gone.set()

        tasks.start_soon(leave)
        await settle()
        assert not gone.is_set()
        newcomer = shared.member(*B)
        tasks.start_soon(newcomer.open)
        await settle()
        assert gone.is_set()
        peer.let_go.set()
        await settle()
        assert (len(peer.transports), peer.open_sockets, peer.most_sockets) == (2, 1, 1)
        newcomer.abort()


async def test_a_member_that_leaves_while_it_opens_leaves_nothing() -> None:
    """An opening that nobody waits for any more is ended, and its socket is gone."""
    for fault in (Fault.HUNG, Fault.HUNG_HALFWAY):
        peer = ScriptedPeer(openings=[fault])
        async with SharedSocket(peer) as shared:
            member = shared.member(*A)
            with anyio.move_on_after(1) as scope:
                await member.open()
            assert scope.cancelled_caught
            await settle()
            assert (peer.open_sockets, shared.members, shared.is_open) == (0, 0, False)
            await (await opened(shared, *A)).aclose()  # and the next one need not wait


async def test_a_signal_reaches_all_members_that_it_is_for_and_no_other() -> None:
    """What is for nobody is counted."""
    peer = ScriptedPeer()
    async with SharedSocket(peer) as shared:
        one, twin, other = [await opened(shared, *key) for key in (A, A, B)]
        peer.send(Addressed(A, Paired("me")))
        peer.send(Addressed(("bot-3",), Paired("nobody")))
        peer.send(Addressed(B, Scanned()))
        assert await one.receive() == await twin.receive() == Paired("me")
        assert await other.receive() == Scanned()
        assert shared.dropped == {"nobody": 1}
        for member in (one, twin, other):
            await member.aclose()


async def test_what_comes_with_the_opening_is_kept() -> None:
    """T7: a member hears from the moment in which the socket listens, before its own task runs."""
    peer = ScriptedPeer()
    peer.watch = lambda: peer.send(Addressed(A, Paired("early")))
    async with SharedSocket(peer) as shared:
        member = await opened(shared, *A)
        assert await member.receive() == Paired("early")
        await member.aclose()


async def test_a_break_ends_every_member_and_all_come_back_over_one_opening() -> None:
    """Each has an error of its own, and what was heard before it is still good."""
    peer = ScriptedPeer()
    async with SharedSocket(peer) as shared, anyio.create_task_group() as tasks:
        members = [await opened(shared, "bot", str(number)) for number in range(9)]
        peer.send(Addressed(("bot", "0"), Scanned()))
        await settle()
        peer.break_connection()
        await settle()
        assert await members[0].receive() == Scanned()
        errors = []
        for member in members:
            with pytest.raises(TransportLost, match="the connection broke") as caught:
                await member.receive()
            errors.append(caught.value)
            await member.aclose()
        assert len({id(error) for error in errors}) == 9
        assert (shared.members, peer.open_sockets) == (0, 0)
        again = [shared.member("bot", str(number)) for number in range(9)]
        for member in again:
            tasks.start_soon(member.open)
        await anyio.sleep(2)
        assert (peer.open_sockets, len(peer.transports)) == (1, 2)
        for member in again:
            await member.aclose()


@pytest.mark.parametrize(
    ("fault", "kind", "text"),
    [
        (Fault.REFUSED, TransportRefused, "turned away"),
        (Fault.UNREACHABLE, TransportUnreachable, "nobody there"),
        (Fault.BROKEN, TransportUnreachable, "before it was listened to: the feed raised OSError"),
    ],
)
async def test_an_opening_that_fails_is_told_to_all_who_wait(
    fault: Fault, kind: type[Exception], text: str
) -> None:
    """Each of them is told why, and nobody is left."""
    peer = ScriptedPeer(openings=[fault])
    told: list[BaseException] = []

    async def try_to_open(member: Transport) -> None:
        try:
            await member.open()
        except Exception as error:
            told.append(error)

    async with SharedSocket(peer) as shared:
        async with anyio.create_task_group() as tasks:
            for key in (A, B):
                tasks.start_soon(try_to_open, shared.member(*key))
        assert [type(error) for error in told] == [kind, kind]
        assert all(text in str(error) for error in told)
        assert told[0] is not told[1]
        assert (shared.members, peer.open_sockets) == (0, 0)


async def test_an_opening_that_takes_too_long_ends_as_unreachable() -> None:
    """The limit is the policy's `open_timeout`."""
    peer = ScriptedPeer(openings=[Fault.HUNG])
    async with SharedSocket(peer, Policy(open_timeout=3)) as shared:
        began = anyio.current_time()
        with pytest.raises(TransportUnreachable, match="did not open within 3 s") as caught:
            await shared.member(*A).open()
        assert anyio.current_time() - began == pytest.approx(3)
        assert caught.value.ending is Ending.SILENT


async def test_openings_in_a_row_that_fail_are_ever_further_apart() -> None:
    """However many come and ask: the delay doubles, and a socket that held sets it back."""
    policy = Policy(reconnect_delay=1, reconnect_delay_max=8, stable_after=5)
    times: list[float] = []
    peer = ScriptedPeer(openings=[Fault.UNREACHABLE] * 4)

    def feed() -> Transport:
        times.append(anyio.current_time())
        return peer()

    async with SharedSocket(feed, policy) as shared:
        for _ in range(4):
            with pytest.raises(TransportUnreachable):
                await shared.member(*A).open()
        member = await opened(shared, *A)
        gaps = [later - earlier for earlier, later in pairwise(times)]
        for gap, most in zip(gaps, (1, 2, 4, 8), strict=True):
            assert most / 2 <= gap <= most
        await anyio.sleep(6)
        peer.break_connection()
        await settle()
        broke_at = anyio.current_time()
        member.abort()
        await (await opened(shared, *A)).aclose()
        assert times[-1] - broke_at <= 1


async def test_a_member_that_left_in_order_makes_nobody_wait() -> None:
    """Only what broke is followed by a delay."""
    peer = ScriptedPeer()
    async with SharedSocket(peer) as shared:
        began = anyio.current_time()
        for _ in range(5):
            await (await opened(shared, *A)).aclose()
            (await opened(shared, *A)).abort()
        assert anyio.current_time() == began


async def test_a_factory_that_raises_is_told_and_the_owner_goes_on() -> None:
    """The next opening is none the worse for it."""
    peer = ScriptedPeer()
    answers: list[Callable[[], Any]] = [partial(divmod, 1, 0), lambda: "no transport", peer]

    def feed() -> Transport:
        made: Transport = answers.pop(0)()
        return made

    async with SharedSocket(feed) as shared:
        with pytest.raises(TransportUnreachable, match="the feed raised ZeroDivisionError"):
            await shared.member(*A).open()
        with pytest.raises(WrongAnswer, match="gave back str, no Transport"):
            await shared.member(*A).open()
        await (await opened(shared, *A)).aclose()


async def test_a_signal_that_says_not_whose_it_is_is_a_mistake_in_the_feed() -> None:
    """It is told to the members, by name."""
    peer = ScriptedPeer()
    async with SharedSocket(peer) as shared:
        member = await opened(shared, *A)
        peer.send(Paired("whose?"))
        with pytest.raises(WrongAnswer, match="signals are Addressed, and Paired is not"):
            await member.receive()
        member.abort()
        assert peer.open_sockets == 0


class CancelledElsewhere(ScriptedTransport):
    """A feed that lets out a cancellation which nobody asked this task for."""

    async def receive(self) -> Any:
        await anyio.lowlevel.checkpoint()
        raise anyio.get_cancelled_exc_class()


@asyncio_only
async def test_somebody_else_s_cancellation_does_not_end_the_owner() -> None:
    """Were the one task gone that listens, all would be deaf from then on, and nobody told."""
    peer = ScriptedPeer()
    feeds = iter([CancelledElsewhere(peer, Fault.NONE, Fault.NONE), peer()])
    async with SharedSocket(partial(next, feeds)) as shared:
        member = await opened(shared, *A)
        with pytest.raises(TransportLost, match="the feed raised ForeignCancellation"):
            await member.receive()
        member.abort()
        assert peer.open_sockets == 0
        other = await opened(shared, *A)
        peer.send(Addressed(A, Paired("me")))
        assert await other.receive() == Paired("me")
        await other.aclose()
        came_to_its_end = True
    assert came_to_its_end  # a group whose task let out a cancellation would have cut it short


async def test_leaving_the_block_ends_all_and_leaves_nothing() -> None:
    """Members that are left are told; what they do afterwards is harmless."""
    peer = ScriptedPeer()
    async with SharedSocket(peer) as shared:
        member = await opened(shared, *A)
    assert peer.open_sockets == 0
    with pytest.raises(TransportLost, match="block was left"):
        await member.receive()
    await member.aclose()
    member.abort()
    with pytest.raises(UsageError, match="within the SharedSocket's own block"):
        await shared.member(*A).open()


async def test_it_can_be_entered_again() -> None:
    """One object serves a program for its life, but not in two places at once."""
    peer = ScriptedPeer()
    shared = SharedSocket(peer)
    for _ in range(2):
        async with shared:
            await (await opened(shared, *A)).aclose()
            with pytest.raises(UsageError, match="once at a time"):
                await shared.__aenter__()


async def test_a_member_of_another_thread_is_refused() -> None:
    """The socket belongs to one event loop."""
    async with SharedSocket(ScriptedPeer()) as shared:
        member, caught = shared.member(*A), []

        def elsewhere() -> None:
            try:
                anyio.run(member.open)
            except UsageError as error:
                caught.append(error)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()  # it blocks this loop for a moment, and needs nothing of it
        assert len(caught) == 1
        assert shared.members == 0


async def test_an_exception_in_the_block_comes_out_as_it_is_and_leaves_nothing() -> None:
    """Not in a group, and the socket is closed."""
    peer = ScriptedPeer()
    with pytest.raises(KeyError, match="mine"):  # noqa: PT012 - the block is what it is about
        async with SharedSocket(peer) as shared:
            await opened(shared, *A)
            raise KeyError("mine")
    assert peer.open_sockets == 0


async def test_two_lifecycles_pair_over_one_socket(caplog: pytest.LogCaptureFixture) -> None:
    """Each hears its own success, and one line of the log tells of the socket."""
    caplog.set_level(logging.INFO)
    peer = ScriptedPeer()
    outcomes: dict[str, Any] = {}

    async def pair(*key: str) -> None:
        lifecycle = QRLifecycle(request_qr, partial(shared.member, *key))
        outcomes[key[0]] = await lifecycle.pair()

    async with SharedSocket(peer) as shared:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pair, *A)
            tasks.start_soon(pair, *B)
            await settle()
            assert (peer.open_sockets, shared.members) == (1, 2)
            peer.send(Addressed(A, Paired("one")))
            await settle()
            assert peer.open_sockets == 1
            peer.send(Addressed(B, Paired("two")))
        assert peer.open_sockets == 0
    assert [outcomes[key[0]] for key in (A, B)] == [Connected("one"), Connected("two")]


async def test_a_lifecycle_whose_socket_breaks_comes_back_and_reads_its_status() -> None:
    """What was said while nobody listened is found by the status."""
    peer = ScriptedPeer()
    reads = 0

    async def check_status() -> Paired | None:
        nonlocal reads
        reads += 1
        return Paired("found") if reads > 1 else None

    async with SharedSocket(peer) as shared, anyio.create_task_group() as tasks:
        lifecycle = QRLifecycle(request_qr, partial(shared.member, *A), check_status=check_status)
        outcomes: list[Any] = []

        async def pair() -> None:
            outcomes.append(await lifecycle.pair())

        tasks.start_soon(pair)
        await settle()
        peer.break_connection()
        await anyio.sleep(5)
        assert outcomes == [Connected("found")]
    assert (len(peer.transports), peer.open_sockets, peer.most_sockets) == (2, 0, 1)


async def test_a_lifecycle_that_is_cancelled_hurts_no_other() -> None:
    """Its cancellation is its own; the socket stays with those that are left."""
    peer = ScriptedPeer()
    async with SharedSocket(peer) as shared, anyio.create_task_group() as tasks:
        kept = await opened(shared, *B)
        with anyio.CancelScope() as scope:
            tasks.start_soon(QRLifecycle(hang, partial(shared.member, *A)).pair)
            tasks.start_soon(QRLifecycle(request_qr, partial(shared.member, *A)).pair)
            await settle()
            scope.cancel()
        tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            peer.send(Addressed(B, Scanned()))
            assert await kept.receive() == Scanned()
            await kept.aclose()
    assert peer.open_sockets == 0


async def test_who_comes_while_a_broken_one_closes_gets_a_fresh_one() -> None:
    """The break is the news of those who were there."""
    peer = ScriptedPeer(closings=[Fault.SLOW])
    async with SharedSocket(peer) as shared:
        await opened(shared, *A)
        peer.break_connection()
        await settle()
        assert peer.open_sockets == 1
        newcomer = await opened(shared, *B)
        peer.send(Addressed(B, Scanned()))
        assert await newcomer.receive() == Scanned()
        assert (len(peer.transports), peer.most_sockets) == (2, 1)
        newcomer.abort()


class Stubborn(ScriptedTransport):
    """A feed that makes an error of whatever ends its `receive()`."""

    async def receive(self) -> Any:
        try:
            return await super().receive()
        except BaseException:
            raise TransportLost("it was cut off") from None


async def test_a_feed_that_nobody_needs_any_more_may_end_as_it_likes() -> None:
    """What it raises is nobody's news, least of all of who came since."""
    peer = ScriptedPeer()
    feeds = iter([Stubborn(peer, Fault.NONE, Fault.NONE), peer()])
    async with SharedSocket(partial(next, feeds)) as shared:
        last = await opened(shared, *A)
        last.abort()
        began = anyio.current_time()
        newcomer = await opened(shared, *B)
        assert anyio.current_time() == began
        newcomer.abort()


class Relentless(ScriptedTransport):
    """A feed that breaks T8: it has always something to say, and lets nobody have a turn."""

    async def receive(self) -> Any:
        return Addressed(A, Scanned())


async def test_a_feed_that_never_waits_shuts_nobody_out() -> None:
    """Members hear it, and can leave."""
    peer = ScriptedPeer()
    feeds = iter([Relentless(peer, Fault.NONE, Fault.NONE), peer()])
    async with SharedSocket(partial(next, feeds)) as shared:
        member = await opened(shared, *A)
        assert await member.receive() == Scanned()
        await member.aclose()
        await (await opened(shared, *B)).aclose()


@pytest.mark.parametrize("leave", ["aclose", "abort"])
async def test_a_member_that_is_closed_while_it_opens_says_so(leave: str) -> None:
    """Whoever waits in `open()` is told, and not left waiting."""
    peer = ScriptedPeer(openings=[Fault.HUNG])
    async with SharedSocket(peer) as shared, anyio.create_task_group() as tasks:
        member = shared.member(*A)

        async def close() -> None:
            await settle()
            if leave == "abort":
                member.abort()
            else:
                await member.aclose()

        tasks.start_soon(close)
        with pytest.raises(TransportUnreachable, match="closed while it opened"):
            await member.open()
        assert shared.members == 0
        with pytest.raises(TransportUnreachable, match="opened once"):
            await member.open()


class Unshuttable(ScriptedTransport):
    """A feed that cannot even be shut, nor say what it dropped."""

    def abort(self) -> None:
        super().abort()
        raise OSError("no such descriptor")

    @property
    def dropped(self) -> Any:
        raise ValueError("nobody counted")


async def test_a_feed_that_breaks_its_contract_while_closing_is_told_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And the next one is none the worse for it."""
    peer = ScriptedPeer()
    feeds = iter([Unshuttable(peer, Fault.NONE, Fault.BROKEN), peer()])
    async with SharedSocket(partial(next, feeds)) as shared:
        await (await opened(shared, *A)).aclose()
        await settle()
        await (await opened(shared, *A)).aclose()
    assert "the feed broke its contract: abort() raised OSError" in caplog.text
    assert "the feed broke its contract: dropped raised ValueError" in caplog.text


async def test_what_feeds_dropped_is_counted_once() -> None:
    """However it ended, and also over several of them."""

    class Dropping(ScriptedTransport):
        @property
        def dropped(self) -> Any:
            return {"unknown": 2}

    peer = ScriptedPeer()
    async with SharedSocket(partial(Dropping, peer, Fault.NONE, Fault.NONE)) as shared:
        await (await opened(shared, *A)).aclose()
        (await opened(shared, *A)).abort()
        await settle()
        assert shared.dropped == {"unknown": 4}


async def test_a_goodbye_that_hangs_ends_with_the_last_one_s_abort() -> None:
    """By then it is shut, so nobody waits for it any more."""
    peer = ScriptedPeer(closings=[Fault.HUNG])
    async with SharedSocket(peer, Policy(close_timeout=60)) as shared:
        last = await opened(shared, *A)
        began = anyio.current_time()
        with anyio.move_on_after(1):
            await last.aclose()
        last.abort()
        await settle()
        assert not shared.is_open
        await (await opened(shared, *B)).aclose()
        assert anyio.current_time() - began == pytest.approx(1)
