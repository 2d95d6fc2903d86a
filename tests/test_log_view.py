"""What somebody at a terminal reads of the log: each matter once, and the end once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from qrlifecycle import (
    Outcome,
    Paired,
    Policy,
    QRCode,
    QRLifecycle,
    Reason,
    ServiceUnavailable,
    Signal,
)
from qrlifecycle.cli.interactive import run_in_view
from qrlifecycle.cli.plain_view import PlainView
from qrlifecycle.cli.stopping import Stop
from qrlifecycle.testing import Fault, ScriptedPeer, VirtualClockEventLoop, settle

from .pairing import request_qr

TITLE = "qrlifecycle pair"


def watched(
    lifecycle: QRLifecycle, companion: Callable[[], Awaitable[object]] | None = None
) -> Outcome:
    """Pair at a terminal, on a virtual clock, with something done meanwhile."""

    async def beside() -> None:
        if companion is not None:
            await companion()

    async def run() -> Outcome:
        stop = Stop(owns_process=False)
        view = PlainView(stop, lambda _: (), title=TITLE)
        return await run_in_view(lifecycle, view, stop, beside)

    options = {"loop_factory": VirtualClockEventLoop}
    return anyio.run(run, backend="asyncio", backend_options=options)


def test_a_service_that_stays_away_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Not with each try, not again by the status, and the end does not stand there twice."""
    asked = 0

    async def down() -> QRCode:
        nonlocal asked
        asked += 1
        raise ServiceUnavailable("nobody is there")

    async def status() -> Signal | None:
        await down()
        return None

    assert not watched(QRLifecycle(down, ScriptedPeer(), check_status=status)).connected
    assert asked > 10
    assert capsys.readouterr().out.splitlines() == [
        TITLE,
        "nobody is there; asking for a code again, for 30 s at most",
        f"not paired: {Reason.GENERATING_TIMED_OUT.person}",
        "generating_timed_out: in state 'generating' request_qr gave no code within "
        "policy.generate_timeout (30 s); the service's last answer: nobody is there",
    ]


def test_what_breaks_is_said_again_once_it_was_well(capsys: pytest.CaptureFixture[str]) -> None:
    """The same cause in a row is said once; after a transport has listened it is news."""
    gone = Fault.UNREACHABLE
    peer = ScriptedPeer((gone, gone, gone, Fault.NONE, gone, gone))

    async def listens(transports: int) -> None:
        while not (peer.listening and len(peer.transports) == transports):  # noqa: ASYNC110
            await anyio.sleep(0.1)
        await settle()

    async def act() -> None:
        await listens(4)
        peer.break_connection()
        await listens(7)
        peer.send(Paired("me"))
        await anyio.sleep_forever()

    lifecycle = QRLifecycle(request_qr, peer, policy=Policy(qr_lifetime=600))
    assert watched(lifecycle, act).connected
    lines = capsys.readouterr().out.splitlines()
    said = [line.partition("; reconnecting in ")[0] for line in lines]
    assert said == [
        TITLE,
        "connecting for QR display",
        "transport closed",
        "nobody there, as the test wished",
        "connected for QR display",
        "transport closed",
        "the connection broke, as the test wished",
        "connecting for QR display",
        "nobody there, as the test wished",
        "connected for QR display",
        "pairing event received",
        "connected, immediate success",
        "transport closed",
        "paired: me",
    ]
