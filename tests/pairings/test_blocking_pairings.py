"""`BlockingPairings`: tabs of a page whose requests are threads, over real sockets."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import pytest

from qrlifecycle import (
    BlockingPairings,
    Cancelled,
    Change,
    Connected,
    Event,
    Failed,
    Outcome,
    Policy,
    QRCode,
    QRLifecycle,
    SocketIOTransport,
    State,
    UsageError,
    WrongAnswer,
    blocking_pairings,
)
from qrlifecycle.blocking_pairings import Look
from qrlifecycle.errors import UnsupportedBackend, WrongThread
from qrlifecycle.testing import Fault, ScriptedPeer, ScriptedTransport

from ..far import BACKENDS, USER, Far, event_loop, far_away, until
from ..pairing import request_qr
from ..patience import HANGS, PROCESS_HANGS


@pytest.fixture
def far() -> Iterator[Far]:
    """A server; afterwards nothing is left."""
    with far_away() as server:
        yield server


def looks(pairings: BlockingPairings, tab: str) -> Look:
    """What a tab sees, which must be there."""
    look = pairings.look(USER, tab)
    assert look is not None
    return look


def shows(pairings: BlockingPairings, tab: str) -> QRCode:
    """The code that a tab shows, once it does."""
    until(lambda: looks(pairings, tab).lifecycle.qr)
    code = looks(pairings, tab).lifecycle.qr
    assert code is not None
    return code


def threads() -> list[threading.Thread]:
    """Those of pairings that run."""
    return [thread for thread in threading.enumerate() if "pairings" in thread.name]


@pytest.mark.parametrize("backend", BACKENDS)
def test_promise_3_a_second_tab_joins(far: Far, backend: str) -> None:
    """Both show one code over one socket, and are told one end; who asks again gets a fresh one."""
    with BlockingPairings(backend=backend) as pairings:
        for tab in ("one", "two"):
            pairings.join(USER, tab, far.lifecycle)
        assert shows(pairings, "one") == shows(pairings, "two")
        assert looks(pairings, "two").outcome is None
        far.scan()
        until(lambda: looks(pairings, "two").outcome)
        for tab in ("one", "two", "one"):
            assert isinstance(looks(pairings, tab).outcome, Connected)
        assert len(far.server.sockets) == 1
        pairings.join(USER, "two", far.lifecycle)
        shows(pairings, "two")
        assert isinstance(looks(pairings, "one").outcome, Connected)
        assert far.server.most_sockets() == 1


def test_who_joins_twice_before_it_has_looked_joins_one_attempt(far: Far) -> None:
    """A page that is loaded says so at once; what it has not seen yet is no end."""
    made: list[QRLifecycle] = []

    def make() -> QRLifecycle:
        made.append(far.lifecycle())
        return made[-1]

    with BlockingPairings() as pairings:
        for _ in range(2):
            pairings.join(USER, "one", make)
        shows(pairings, "one")
        assert len(made) == 1
        far.scan()
        until(lambda: made[0].state is State.CONNECTED)

        def joined_anew() -> bool:
            pairings.join(USER, "one", make)
            return len(made) == 2

        until(joined_anew)
        assert looks(pairings, "one").lifecycle is made[1]


def test_what_makes_no_lifecycle_is_refused_by_name(far: Far) -> None:
    """A lifecycle itself, above all, in place of what makes one; no thread is begun for it."""
    given: list[Any] = [far.lifecycle(), None, lambda _request: None]
    with BlockingPairings() as pairings:
        for wrong in given:
            with pytest.raises(WrongAnswer, match="make_lifecycle"):
                pairings.join(USER, "one", wrong)
        assert not threads()


@pytest.mark.parametrize("end", [Connected, Failed])
@pytest.mark.parametrize("backend", BACKENDS)
def test_an_end_is_seen_while_a_hook_is_still_told_of_it(
    far: Far, backend: str, end: type[Outcome]
) -> None:
    """A page is not blank for as long as a success is stored; who asks anew waits for that."""
    told, stored = threading.Event(), threading.Event()

    async def store(_outcome: Outcome) -> None:
        told.set()
        await anyio.to_thread.run_sync(stored.wait, HANGS)

    hooks = {"on_connected": store, "on_connection_failed": store}
    with BlockingPairings(backend=backend) as pairings:
        pairings.join(USER, "one", partial(far.lifecycle, **hooks))
        shows(pairings, "one")
        far.scan() if end is Connected else far.refuse()
        assert told.wait(HANGS)
        first = looks(pairings, "one")
        assert isinstance(first.outcome, end)
        with ThreadPoolExecutor() as others:
            anew = others.submit(pairings.join, USER, "one", far.lifecycle)
            assert isinstance(looks(pairings, "one").outcome, end)
            assert not anew.done()
            stored.set()
            anew.result(HANGS)
        assert looks(pairings, "one").lifecycle is not first.lifecycle
        shows(pairings, "one")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_mistake_is_raised_also_where_a_hook_is_still_told_of_the_failure(
    far: Far, backend: str
) -> None:
    """It is never seen as an outcome, which a page would be told instead."""
    told, done = threading.Event(), threading.Event()

    async def mourn(_failed: Failed) -> None:
        told.set()
        await anyio.to_thread.run_sync(done.wait, HANGS)

    def wrong() -> Any:
        return None

    make = partial(QRLifecycle, request_qr, wrong, on_connection_failed=mourn)
    with BlockingPairings(backend=backend) as pairings:
        pairings.join(USER, "one", make)
        assert told.wait(HANGS)
        assert looks(pairings, "one").outcome is None
        done.set()
        with pytest.raises(WrongAnswer):
            until(lambda: looks(pairings, "one").outcome)


@pytest.mark.parametrize("named", [{}, *({"backend": name} for name in BACKENDS)])
def test_the_event_loop_of_the_thread_is_the_one_that_is_named(
    far: Far, named: dict[str, Any]
) -> None:
    """It is asyncio where none is."""
    loops: list[str] = []
    show = lambda _qr: loops.append(event_loop())  # noqa: E731
    with BlockingPairings(**named) as pairings:
        pairings.join(USER, "one", partial(far.lifecycle, on_qr_updated=show))
        until(lambda: loops)
    assert loops == [named.get("backend", "asyncio")]


@pytest.mark.parametrize("backend", BACKENDS)
def test_promise_5_the_last_tab_to_leave_ends_it(far: Far, backend: str) -> None:
    """Its socket is closed by then; a tab that has joined twice leaves once."""
    with BlockingPairings(backend=backend) as pairings:
        for tab in ("one", "two", "two"):
            pairings.join(USER, tab, far.lifecycle)
        lifecycle = looks(pairings, "one").lifecycle
        shows(pairings, "two")
        pairings.leave(USER, "one")
        pairings.leave(USER, "one")
        assert pairings.look(USER, "one") is None
        assert looks(pairings, "two").lifecycle is lifecycle
        assert "socket open" in repr(lifecycle)
        pairings.leave(USER, "two")
        assert not lifecycle.socket_open
        assert lifecycle.state is State.IDLE


@pytest.mark.parametrize("backend", BACKENDS)
def test_promise_5_a_button_cancels_for_all_tabs(far: Far, backend: str) -> None:
    """Its socket is closed by then; each tab sees the outcome, and who has no attempt is none."""
    with BlockingPairings(backend=backend) as pairings:
        pairings.cancel(USER)
        for tab in ("one", "two"):
            pairings.join(USER, tab, far.lifecycle)
        pairings.join("another", "one", far.lifecycle)
        shows(pairings, "one")
        lifecycle = looks(pairings, "one").lifecycle
        pairings.cancel("nobody")
        assert "socket open" in repr(lifecycle)
        pairings.cancel(USER)
        assert not lifecycle.socket_open
        for tab in ("one", "two"):
            assert looks(pairings, tab).outcome == Cancelled()
        pairings.cancel(USER)
        other = pairings.look("another", "one")
        assert other is not None
        assert other.outcome is None


def test_how_long_the_code_is_good_is_read_by_the_look(far: Far) -> None:
    """For the lifecycle's own answer is its event loop's; elsewhere it says where to read it."""
    with BlockingPairings() as pairings:
        pairings.join(USER, "one", far.lifecycle)
        shows(pairings, "one")
        look = looks(pairings, "one")
        assert look.code_expires_in is not None
        assert 0 < look.code_expires_in <= 60
        with pytest.raises(WrongThread, match=r"read it there, or from BlockingPairings\.look\(\)"):
            _ = look.lifecycle.code_expires_in


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_tab_that_does_not_look_has_left(far: Far, backend: str) -> None:
    """Nobody has to say so."""
    events: list[Event] = []
    note = lambda change: events.append(change.event)  # noqa: E731
    with BlockingPairings(patience=0.2, backend=backend) as pairings:
        pairings.join(USER, "one", partial(far.lifecycle, on_change=note))
        until(lambda: Event.CANCEL in events)
        until(lambda: far.server.open_sockets() == 0)
        assert pairings.look(USER, "one") is None


def test_a_look_renews_the_patience(far: Far) -> None:
    """So does a tab that joins again; nobody else's is renewed."""
    with BlockingPairings(patience=HANGS) as pairings:
        for tab in ("one", "two"):
            pairings.join(USER, tab, far.lifecycle)
        assert pairings._thread is not None
        tabs = pairings._thread._tabs

        def deadline(tab: str) -> float:
            return tabs[USER, tab].scope.deadline

        before = deadline("one"), deadline("two")
        until(lambda: looks(pairings, "one") and deadline("one") > before[0])
        looked = deadline("one")
        pairings.join(USER, "one", far.lifecycle)
        assert deadline("one") > looked
        assert deadline("two") == before[1]


def test_the_first_two_requests_of_one_moment_begin_one_thread(
    far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes while it is being begun waits for it."""
    made, both = list[object](), threading.Barrier(2)
    begin = blocking_pairings._Thread.__init__

    def begin_slowly(thread: Any, patience: float, backend: str) -> None:
        made.append(thread)
        with suppress(threading.BrokenBarrierError):
            both.wait(0.05)
        begin(thread, patience, backend)

    monkeypatch.setattr(blocking_pairings._Thread, "__init__", begin_slowly)
    with BlockingPairings() as pairings, ThreadPoolExecutor(2) as requests:
        join = partial(pairings.join, USER, make_lifecycle=far.lifecycle)
        for each in [requests.submit(join, tab) for tab in ("one", "two")]:
            each.result(HANGS)
        assert len(made) == 1


def test_requests_of_one_moment_share_one_attempt(far: Far) -> None:
    """Also the first ones, and those of one tab: there is one thread, one code, one socket."""
    with BlockingPairings() as pairings, ThreadPoolExecutor(8) as requests:
        join = partial(pairings.join, USER, make_lifecycle=far.lifecycle)
        done = [requests.submit(join, f"tab {number % 4}") for number in range(8)]
        for each in done:
            each.result(HANGS)
        assert len({shows(pairings, f"tab {number}").reveal() for number in range(4)}) == 1
        for number in range(4):
            pairings.leave(USER, f"tab {number}")
        until(lambda: far.server.open_sockets() == 0)
        assert len(far.server.sockets) == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_makes_no_lifecycle_begins_nothing(far: Far, backend: str) -> None:
    """What was raised comes out in the request; others' attempts go on, and so may the next."""

    def fail() -> QRLifecycle:
        raise RuntimeError("no database")

    def leave() -> QRLifecycle:
        raise SystemExit(3)

    wrong: Callable[[], Any] = lambda: None  # noqa: E731
    with BlockingPairings(backend=backend) as pairings:
        pairings.join("bob", "one", far.lifecycle)
        for make, error in ((fail, RuntimeError), (leave, SystemExit), (wrong, WrongAnswer)):
            with pytest.raises(error):
                pairings.join(USER, "one", make)
            assert pairings.look(USER, "one") is None
        assert pairings.look("bob", "one") is not None
        pairings.join(USER, "one", far.lifecycle)
        shows(pairings, "one")


@pytest.mark.parametrize("mistake", [WrongAnswer, UnsupportedBackend])
def test_a_mistake_is_told_to_each_tab_once(far: Far, mistake: type[Exception]) -> None:
    """Another user's attempt goes on; so does the page's next question.

    What is a `RuntimeError` is not taken for the end of the thread.
    """

    def wrong() -> Any:
        raise mistake("no transport")

    with BlockingPairings() as pairings:
        pairings.join("bob", "one", far.lifecycle)
        for tab in ("one", "two"):
            pairings.join(USER, tab, partial(QRLifecycle, request_qr, wrong))

        for tab in ("one", "two"):
            with pytest.raises(mistake):
                until(lambda: looks(pairings, tab).outcome)  # noqa: B023 - called at once
            assert not getattr(looks(pairings, tab).outcome, "connected", True)
        bob = pairings.look("bob", "one")
        assert bob is not None
        assert bob.outcome is None


@pytest.mark.parametrize("backend", BACKENDS)
def test_promise_8_a_system_exit_comes_out_of_the_next_request(far: Far, backend: str) -> None:
    """It ended all attempts, closed; whoever comes then begins anew."""

    def leave(_change: Change) -> None:
        raise SystemExit(3)

    def ask(pairings: BlockingPairings) -> None:
        pairings.join(USER, "one", partial(far.lifecycle, on_change=leave))
        until(lambda: pairings.look(USER, "one") and False)  # the page asks and asks

    with BlockingPairings(backend=backend) as pairings:
        pairings.join("bob", "one", far.lifecycle)
        until(lambda: far.server.open_sockets() == 1)
        with pytest.raises(SystemExit) as left:
            ask(pairings)
        assert left.value.code == 3
        assert pairings.look("bob", "one") is None
        until(lambda: far.server.open_sockets() == 0)
        pairings.join(USER, "one", far.lifecycle)
        shows(pairings, "one")


def test_a_system_exit_is_waited_for(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ended the thread is known when it is gone, however late that is."""

    def run_and_linger(*arguments: Any, **options: Any) -> None:
        try:
            anyio_run(*arguments, **options)
        finally:
            time.sleep(0.2)

    def leave(_change: Change) -> None:
        raise SystemExit(3)

    anyio_run = anyio.run
    monkeypatch.setattr(anyio, "run", run_and_linger)

    def ask(pairings: BlockingPairings) -> None:
        pairings.join(USER, "one", partial(far.lifecycle, on_change=leave))
        until(lambda: pairings.look(USER, "one") and False)

    with BlockingPairings() as pairings, pytest.raises(SystemExit):
        ask(pairings)


def test_a_system_exit_comes_out_of_who_joins_next(far: Far) -> None:
    """Nobody has asked since; a fresh thread would let it vanish."""

    def leave(_qr: QRCode) -> None:
        raise SystemExit(3)

    with BlockingPairings() as pairings:
        pairings.join(USER, "one", partial(far.lifecycle, on_qr_updated=leave))
        until(lambda: not threads())
        with pytest.raises(SystemExit):
            pairings.join(USER, "one", far.lifecycle)
        pairings.join(USER, "one", far.lifecycle)
        shows(pairings, "one")


def test_closing_what_a_system_exit_has_ended_is_no_error(far: Far) -> None:
    """Nobody has asked since; whoever comes then begins anew, and is not told."""

    def leave(_change: Change) -> None:
        raise SystemExit(3)

    pairings = BlockingPairings()
    with suppress(SystemExit):  # the join may be what comes upon it
        pairings.join(USER, "one", partial(far.lifecycle, on_change=leave))
    until(lambda: not threads())
    pairings.close()
    with pairings:
        pairings.join(USER, "one", far.lifecycle)
        shows(pairings, "one")


def test_a_closing_that_was_interrupted_is_over_when_its_thread_is(
    far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while it is waited for: it ends all the same, and whoever comes then begins anew."""

    def interrupt(_thread: object) -> None:
        raise KeyboardInterrupt

    with BlockingPairings() as pairings:
        pairings.join(USER, "one", far.lifecycle)
        with monkeypatch.context() as patch:
            patch.setattr(blocking_pairings._Thread, "wait", interrupt)
            with pytest.raises(KeyboardInterrupt):
                pairings.close()
        until(lambda: not threads())
        pairings.join(USER, "one", far.lifecycle)
        shows(pairings, "one")


def test_an_event_loop_that_there_is_not_is_told_who_joins(far: Far) -> None:
    """And nothing has begun."""
    with BlockingPairings(backend="nope") as pairings, pytest.raises(LookupError, match="nope"):
        pairings.join(USER, "one", far.lifecycle)


def test_who_joins_an_attempt_that_comes_to_its_end_stays(far: Far) -> None:
    """A second click asks for no other attempt, as long as the tab has not seen the outcome."""
    go_on = threading.Event()

    async def store(_connected: Connected) -> None:
        await anyio.to_thread.run_sync(go_on.wait)

    with BlockingPairings() as pairings:
        pairings.join(USER, "one", partial(far.lifecycle, on_connected=store))
        lifecycle = looks(pairings, "one").lifecycle
        shows(pairings, "one")
        far.scan()
        until(lambda: lifecycle.state is State.CONNECTED)
        pairings.join(USER, "one", far.lifecycle)
        assert looks(pairings, "one").lifecycle is lifecycle
        go_on.set()
        until(lambda: looks(pairings, "one").outcome)


def test_who_leaves_an_attempt_that_a_mistake_ended_is_not_kept(far: Far) -> None:
    """What it raised is nobody's who leaves."""

    def wrong() -> Any:
        raise WrongAnswer("no transport")

    lifecycle = QRLifecycle(request_qr, wrong)
    with BlockingPairings() as pairings:
        pairings.join(USER, "one", lambda: lifecycle)
        until(lambda: lifecycle.state is State.FAILED)
        with ThreadPoolExecutor(1) as requests:
            requests.submit(pairings.leave, USER, "one").result(HANGS)
        assert pairings.look(USER, "one") is None
        pairings.join(USER, "one", far.lifecycle)
        shows(pairings, "one")


@pytest.mark.parametrize("backend", BACKENDS)
def test_promise_5_closing_ends_all_that_runs(far: Far, backend: str) -> None:
    """The sockets are closed by then; nobody is joined, and one who comes begins anew.

    The thread of them all is named, and holds up no process that ends without closing.
    """
    pairings = BlockingPairings(backend=backend)
    pairings.close()
    for user in (USER, "bob"):
        pairings.join(user, "one", far.lifecycle)
    assert [(thread.name, thread.daemon) for thread in threads()] == [
        ("qrlifecycle-pairings", True)
    ]
    lifecycle = looks(pairings, "one").lifecycle
    until(lambda: lifecycle.socket_open)
    pairings.close()
    assert not lifecycle.socket_open
    assert pairings.look(USER, "one") is None
    pairings.leave(USER, "one")
    assert not threads()
    with pairings:
        pairings.join(USER, "one", far.lifecycle)
        shows(pairings, "one")


@pytest.mark.parametrize("backend", BACKENDS)
def test_who_joins_while_it_is_closed_is_told(backend: str) -> None:
    """The tab waits for an attempt that is leaving slowly; nobody hangs."""
    peer = ScriptedPeer(closings=[Fault.HUNG])
    slow = Policy(close_timeout=1)
    make = partial(QRLifecycle, request_qr, peer, policy=slow)
    pairings = BlockingPairings(backend=backend)
    with ThreadPoolExecutor(2) as requests:
        pairings.join(USER, "one", make)
        until(lambda: looks(pairings, "one").lifecycle.qr)
        leaving = requests.submit(pairings.leave, USER, "one")
        until(lambda: pairings.look(USER, "one") is None)
        joining = requests.submit(pairings.join, USER, "two", make)
        assert not wait([joining], 0.05).done
        pairings.close()
        with pytest.raises(UsageError, match="closed while a tab joined"):
            joining.result(HANGS)
        leaving.result(HANGS)
    assert peer.open_sockets == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_promise_3_who_joins_while_it_is_closed_makes_no_second_socket(backend: str) -> None:
    """The one before is not gone yet: nobody begins anew until it is, and then anybody may."""
    peer, leaving, go_on = ScriptedPeer(), threading.Event(), threading.Event()

    class GoingSlowly(ScriptedTransport):
        async def aclose(self) -> None:
            leaving.set()
            await anyio.to_thread.run_sync(go_on.wait, HANGS)
            await super().aclose()

    make = partial(QRLifecycle, request_qr, lambda: GoingSlowly(peer, Fault.NONE, Fault.NONE))
    pairings = BlockingPairings(backend=backend)
    with ThreadPoolExecutor(2) as requests:
        pairings.join(USER, "one", make)
        until(lambda: looks(pairings, "one").lifecycle.qr)
        closing = requests.submit(pairings.close)
        assert leaving.wait(HANGS)
        with pytest.raises(UsageError, match="closed while a tab joined"):
            pairings.join(USER, "two", make)
        assert not closing.done()
        go_on.set()
        closing.result(HANGS)
        pairings.join(USER, "two", make)
        pairings.close()
    assert (peer.open_sockets, peer.most_sockets) == (0, 1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_a_hook_may_not_call_is_refused(far: Far, backend: str) -> None:
    """It would wait for its own thread; the attempts go on, and are closed as ever."""
    refused: list[UsageError] = []

    def hook(_qr: QRCode) -> None:
        for call in (
            pairings.close,
            partial(pairings.look, USER, "one"),
            partial(pairings.leave, USER, "one"),
            partial(pairings.join, USER, "one", far.lifecycle),
        ):
            with pytest.raises(UsageError) as raised:
                call()
            refused.append(raised.value)

    with BlockingPairings(backend=backend) as pairings:
        pairings.join(USER, "one", partial(far.lifecycle, on_qr_updated=hook))
        until(lambda: len(refused) == 4)
        shows(pairings, "one")


@pytest.mark.parametrize("backend", BACKENDS)
def test_promise_2_closing_does_not_wait_for_who_waits_for_it(far: Far, backend: str) -> None:
    """A worker thread of an attempt looks at these pairings, while they wait for that thread."""
    looked: list[object] = []
    in_worker = threading.Event()

    def work() -> None:
        in_worker.set()
        until(lambda: pairings.look(USER, "one") is None)  # they are being closed
        looked.append(pairings.look(USER, "one"))
        pairings.leave(USER, "one")

    async def hook(_qr: QRCode) -> None:
        await anyio.to_thread.run_sync(work)

    pairings = BlockingPairings(backend=backend)
    pairings.join(USER, "one", partial(far.lifecycle, on_qr_updated=hook))
    assert in_worker.wait(HANGS)
    with ThreadPoolExecutor(1) as requests:
        requests.submit(pairings.close).result(HANGS)
    assert looked == [None]


FORKS = """
import os, signal, sys
from functools import partial
from qrlifecycle import BlockingPairings, QRCode, QRLifecycle
from qrlifecycle.testing import ScriptedPeer

async def request_qr():
    return QRCode("x")

make = partial(QRLifecycle, request_qr, ScriptedPeer())
with BlockingPairings() as pairings:
    pairings.join("ada", "tab", make)
    if (child := os.fork()) == 0:
        signal.alarm(20)
        assert pairings.look("ada", "tab") is None
        pairings.leave("ada", "tab")
        pairings.join("ada", "tab", make)
        assert pairings.look("ada", "tab") is not None
        pairings.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert pairings.look("ada", "tab") is not None
print("well")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks there")
def test_a_forked_child_has_attempts_of_its_own() -> None:
    """It has none of its parent's threads, and would wait for them for ever."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS],
        capture_output=True,
        check=False,
        text=True,
        timeout=PROCESS_HANGS,
    )
    assert (done.stdout, done.stderr) == ("well\n", "")


def test_the_thread_of_another_process_is_none_of_ours(
    far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a forked child sees it, in which no thread of its parent's runs."""
    with BlockingPairings() as pairings:
        pairings.join(USER, "one", far.lifecycle)
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: 0)
            assert pairings.look(USER, "one") is None
            pairings.leave(USER, "one")
        assert pairings.look(USER, "one") is not None


@pytest.mark.anyio
async def test_where_an_event_loop_runs_it_is_refused() -> None:
    """It would block that."""

    def make() -> QRLifecycle:
        return QRLifecycle(
            request_qr, partial(SocketIOTransport, "http://h", bot_id="b", user_id="u")
        )

    with pytest.raises(UsageError, match="use Pairings there"):
        BlockingPairings().join(USER, "one", make)


@pytest.mark.parametrize("patience", [0, -1, float("nan"), True, "10"])
def test_a_patience_that_is_none_is_refused(patience: Any) -> None:
    """At once."""
    with pytest.raises(UsageError, match="patience"):
        BlockingPairings(patience=patience)
