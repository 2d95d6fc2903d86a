"""Records: what happened to the socket, told in the instant, and free where nobody listens."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import anyio
import pytest

from qrlifecycle import (
    Event,
    Paired,
    PairingCode,
    PairingRefused,
    Policy,
    QRLifecycle,
    QRUpdated,
    Reason,
    Scanned,
    State,
    WrongAnswer,
)
from qrlifecycle.monitoring.journal import format_record
from qrlifecycle.records import (
    Began,
    Changed,
    Closed,
    Closing,
    Dropped,
    Ended,
    Leaving,
    Opening,
    Record,
)
from qrlifecycle.testing import Fault, ScriptedPeer, ScriptedTransport, settle

from .pairing import ONCE, Pairing, request_qr

pytestmark = pytest.mark.anyio


def told(records: list[Record]) -> Iterator[str]:
    """What was told, in short: the event of a change, the kind of anything else."""
    for record in records:
        yield str(record.event) if isinstance(record, Changed) else type(record).__name__


async def test_a_healthy_round_tells_of_the_socket_between_the_changes() -> None:
    """The socket is made after `displayed` is entered, and gone before `connected` is."""
    records: list[Record] = []
    async with Pairing(recorders=[records.append]) as pairing:
        pairing.peer.send(Scanned())
        pairing.peer.send(Paired("me"))
    assert " ".join(told(records)) == (
        "Began generate qr_ready Opening Opened qr_updated scanned Leaving Closed paired Ended"
    )
    assert {record.attempt for record in records} == {1}
    assert len({record.lifecycle for record in records}) == 1
    assert sorted(record.monotonic for record in records) == [r.monotonic for r in records]


async def test_an_opening_tells_whom_its_socket_is_for() -> None:
    """If the transport says."""

    class Named(ScriptedTransport):
        @property
        def subject(self) -> tuple[str, ...]:
            return ("bot-7", "user-123")

    records: list[Record] = []
    for kind in (ScriptedTransport, Named):
        lifecycle = QRLifecycle(
            request_qr,
            partial(kind, ScriptedPeer(), Fault.NONE, Fault.NONE),
            policy=Policy(attempt_timeout=1.0),
            recorders=[records.append],
        )
        await lifecycle.pair()
    openings = [record for record in records if isinstance(record, Opening)]
    assert [opening.subject for opening in openings] == [None, ("bot-7", "user-123")]


async def test_each_lifecycle_and_each_attempt_has_its_own_number() -> None:
    """Two lifecycles of one process have two identifiers; a second `pair()`, a second attempt."""
    records: list[Record] = []
    for _ in range(2):
        lifecycle = QRLifecycle(_paired_already, ScriptedPeer(), recorders=[records.append])
        await lifecycle.pair()
        await lifecycle.pair()
    begun = [(record.lifecycle, record.attempt) for record in records if isinstance(record, Began)]
    first, second = begun[0][0], begun[2][0]
    assert begun == [(first, 1), (first, 2), (second, 1), (second, 2)]
    assert first != second
    assert {record.process for record in records} == {first.split("-")[0]}


async def _paired_already() -> Paired:
    return Paired("me")


async def test_what_happens_between_attempts_is_told_too() -> None:
    """A `reset()` is a change of the attempt before it."""
    records: list[Record] = []
    async with Pairing(policy=ONCE, recorders=[records.append]) as pairing:
        pairing.peer.hang_up()
    records.clear()
    pairing.lifecycle.reset()
    assert [(record.attempt, *told([record])) for record in records] == [(1, "reset")]


@pytest.mark.parametrize(
    ("closing", "how"),
    [
        (Fault.NONE, Closing.GRACEFUL),
        (Fault.SLOW, Closing.GRACEFUL),
        (Fault.HUNG, Closing.FORCED),
        (Fault.BROKEN, Closing.FORCED),
    ],
)
async def test_how_the_socket_was_closed_is_told(closing: Fault, how: Closing) -> None:
    """Politely in time, or by force."""
    records: list[Record] = []
    async with Pairing(closings=(closing,), recorders=[records.append]) as pairing:
        pairing.peer.send(Paired("me"))
    assert [record.how for record in records if isinstance(record, Closed)] == [how]


async def test_a_transport_that_cannot_be_aborted_may_have_left_its_socket() -> None:
    """That `abort()` raised is told: nobody can say that the socket is gone."""

    class Stubborn(ScriptedTransport):
        def abort(self) -> None:
            super().abort()
            raise RuntimeError

    records: list[Record] = []
    lifecycle = QRLifecycle(
        request_qr,
        lambda: Stubborn(ScriptedPeer(), Fault.NONE, Fault.NONE),
        recorders=[records.append],
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lifecycle.pair)
        await settle()
        lifecycle.cancel()
    assert [record.how for record in records if isinstance(record, Closed)] == [Closing.BROKEN]


async def test_a_failed_opening_and_each_reopening_are_told() -> None:
    """Each transport that was made has its opening and its closing, whether it listened or not."""
    records: list[Record] = []
    faults = (Fault.UNREACHABLE, Fault.BROKEN)
    async with Pairing(openings=faults, recorders=[records.append]) as pairing:
        await anyio.sleep(20)
        pairing.peer.send(Paired("me"))
    assert " ".join(list(told(records))[3:]) == (
        "Opening Closed Opening Closed Opening Opened qr_updated Leaving Closed paired Ended"
    )


async def test_why_it_failed_is_told() -> None:
    """The change that ends the attempt carries the reason; what led out of `displayed` is told."""
    records: list[Record] = []
    async with Pairing(recorders=[records.append]) as pairing:
        pairing.peer.send(PairingRefused(Reason.REFUSED_BY_SERVICE))
    changes = [record for record in records if isinstance(record, Changed)]
    assert [change.reason for change in changes if change.reason] == [Reason.REFUSED_BY_SERVICE]
    assert [record.event for record in records if isinstance(record, Leaving)] == [Event.FAIL]


async def test_a_success_found_by_reading_is_told_as_such() -> None:
    """Beside the leaving stands that a read of the status found the success."""
    records: list[Record] = []

    async def check_status() -> Paired:
        return Paired("me")

    lifecycle = QRLifecycle(
        request_qr, ScriptedPeer(), check_status=check_status, recorders=[records.append]
    )
    await lifecycle.pair()
    assert " ".join(told(records)).endswith("Leaving FoundByStatus Closed paired Ended")


async def test_a_success_that_was_only_confirmed_was_not_found_by_reading() -> None:
    """With ``confirm_success`` the transport told first, and the read agreed."""
    records: list[Record] = []
    paired = False

    async def check_status() -> Paired | None:
        return Paired("me") if paired else None

    async with Pairing(
        recorders=[records.append], check_status=check_status, policy=Policy(confirm_success=True)
    ) as pairing:
        paired = True
        pairing.peer.send(Paired("me"))
    assert "FoundByStatus" not in list(told(records))
    assert list(told(records))[-2:] == ["paired", "Ended"]


async def test_leaving_is_told_when_it_is_decided() -> None:
    """A success that is read while the old connection's close hangs is told before the closing."""
    records: list[Record] = []
    answers: list[Paired | None] = [None]

    async def check_status() -> Paired | None:
        return answers[-1]

    policy = Policy(status_interval=0.1, status_retry_delay=0.1)
    async with Pairing(
        closings=(Fault.HUNG,), recorders=[records.append], check_status=check_status, policy=policy
    ) as pairing:
        pairing.peer.break_connection()
        await anyio.sleep(0.2)
        answers.append(Paired("me"))
    assert list(told(records))[-5:] == ["Leaving", "FoundByStatus", "Closed", "paired", "Ended"]


async def test_what_a_peer_repeats_is_told_once() -> None:
    """A flood of the same internal change fills no disk; each other code is news."""
    records: list[Record] = []
    async with Pairing(recorders=[records.append]) as pairing:
        for number in range(3):
            for _ in range(5):
                pairing.peer.send(Scanned())
                await settle()
            pairing.peer.send(QRUpdated(PairingCode(f"{number}")))
            await settle()
        pairing.lifecycle.cancel()
    assert list(told(records)).count("scanned") == 3
    assert list(told(records)).count("qr_updated") == 1 + 3


async def test_promise_7_internal_changes_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that shows codes without end is told of so many times, and heard all the same."""
    monkeypatch.setattr("qrlifecycle.engine.recording.MOST_INTERNAL", 5)
    records: list[Record] = []
    async with Pairing(recorders=[records.append], policy=Policy(max_codes=99)) as pairing:
        for number in range(20):
            pairing.peer.send(QRUpdated(PairingCode(f"{number}")))
            await settle()
        assert pairing.lifecycle.pairing_code == PairingCode("19")
        pairing.lifecycle.cancel()
    assert list(told(records)).count("qr_updated") == 5
    assert list(told(records))[-1] == "Ended"


class Interruption(BaseException):
    """Ctrl-C, for a test."""


@pytest.mark.parametrize(
    "moment",
    ["Began", "generate", "qr_ready", "Opening", "Opened", "qr_updated", "Leaving", "paired"],
)
async def test_promises_1_5_8_hold_when_a_recorder_is_interrupted(moment: str) -> None:
    """Ctrl-C in a recorder comes out of `pair()`, and leaves no socket; the next attempt works."""
    struck = False

    def scan(record: Record) -> None:
        if list(told([record])) == ["qr_updated"]:
            peer.send(Paired("me"))

    def interrupt(record: Record) -> None:
        nonlocal struck
        if not struck and [moment] == list(told([record])):
            struck = True
            raise Interruption

    peer = ScriptedPeer()
    lifecycle = QRLifecycle(request_qr, peer, recorders=[scan, interrupt])
    with pytest.raises(Interruption):
        await lifecycle.pair()
    assert peer.open_sockets == 0
    assert not lifecycle.socket_open
    assert lifecycle.state in {State.IDLE, State.CONNECTED, State.FAILED}
    outcome = await lifecycle.pair()
    assert outcome.connected


async def test_what_was_dropped_is_told_by_cause() -> None:
    """A signal that the state does not accept is told under its event."""
    records: list[Record] = []

    async def check_status() -> None:
        raise OSError

    policy = Policy(status_timeout=1)
    async with Pairing(
        recorders=[records.append], check_status=check_status, policy=policy
    ) as pairing:
        pairing.peer.send(Paired("me"))
    dropped = [(record.cause, record.count) for record in records if isinstance(record, Dropped)]
    assert dropped == [("check_status", 1)]


async def test_promise_5_a_cancellation_is_told_to_its_end() -> None:
    """After a cancellation from outside, the socket's closing, the change and the end are told."""
    records: list[Record] = []
    async with anyio.create_task_group() as tasks:
        lifecycle = QRLifecycle(request_qr, ScriptedPeer(), recorders=[records.append])
        tasks.start_soon(lifecycle.pair)
        await settle()
        tasks.cancel_scope.cancel()
    assert list(told(records))[-4:] == ["Leaving", "Closed", "cancel", "Ended"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError("No space left, and a s3cret"), "OSError"),
        (OSError(errno.ENOSPC, "a s3cret", "s3cret.jsonl"), "OSError: No space left on device"),
        (OSError(10**6, "a s3cret"), "OSError"),
        (ValueError("a s3cret"), "ValueError"),
    ],
)
async def test_a_recorder_that_raises_changes_nothing(
    error: Exception, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once, with what its number means and no other text; the others are told all."""

    def broken(_record: Record) -> None:
        raise error

    records: list[Record] = []
    with caplog.at_level(logging.ERROR, logger="qrlifecycle"):
        async with Pairing(recorders=[broken, records.append]) as pairing:
            pairing.peer.send(Paired("me"))
    assert pairing.outcome is not None
    assert pairing.outcome.connected
    assert isinstance(records[-1], Ended)
    assert [record.getMessage() for record in caplog.records] == [
        f"a recorder raised {said} ({__file__}:{broken.__code__.co_firstlineno + 1}); "
        "it is not said again"
    ]


async def test_a_recorder_that_pulls_a_trigger_is_told_in_order() -> None:
    """What follows from a recorder's own call comes after, for every recorder."""
    records: list[Record] = []
    lifecycles: list[QRLifecycle] = []

    def impatient(record: Record) -> None:
        if isinstance(record, Changed) and record.event is Event.SCANNED:
            lifecycles[0].generate()

    async with Pairing(recorders=[impatient, records.append]) as pairing:
        lifecycles.append(pairing.lifecycle)
        pairing.peer.send(Scanned())
        await settle()
        pairing.lifecycle.cancel()
    kinds = list(told(records))
    scanned = kinds.index("scanned")
    assert kinds[scanned : scanned + 4] == ["scanned", "Leaving", "Closed", "generate"]


async def test_without_recorders_nothing_is_kept() -> None:
    """Off means free: nothing makes a record at all."""
    lifecycle = QRLifecycle(request_qr, ScriptedPeer())
    assert lifecycle._progress.observers.recording is None


@pytest.mark.parametrize("recorders", [print, "print", [None], [_paired_already]])
async def test_what_is_no_recorder_is_refused_at_once(recorders: Any) -> None:
    """A recorder is a plain function in a list; an async one would record nothing."""
    with pytest.raises(WrongAnswer, match="recorder"):
        QRLifecycle(request_qr, ScriptedPeer(), recorders=recorders)


async def test_promise_6_no_secret_is_in_a_record() -> None:
    """Payloads, typed codes, what came along, and texts of errors are in no record and no line."""
    records: list[Record] = []
    async with Pairing(recorders=[records.append]) as pairing:
        pairing.peer.send(QRUpdated(PairingCode("S3CR-ET")))
        pairing.peer.send(Paired("me", {"token": "S3CR-ET"}))
    written = b"".join(map(format_record, records)) + repr(records).encode()
    assert b"S3CR-ET" not in written
    assert b"first" not in written


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork() here")
def test_a_forked_process_is_another_process() -> None:
    """Workers forked from one parent never share identifiers."""
    script = (
        "import os\n"
        "from qrlifecycle import Policy\n"
        "from qrlifecycle.engine.recording import Recording\n"
        "from qrlifecycle.logs import About\n"
        "os.fork()\n"
        "print_it = lambda record: os.write(1, f'{record.process}\\n'.encode())\n"
        "tell = lambda deliver, item: deliver(item)\n"
        "Recording((print_it,), tell, About()).begin(Policy())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    parent, child = done.stdout.split()
    assert parent != child


async def test_a_state_is_told_by_its_word() -> None:
    """A record of a change carries members of `State` and `Event`, not mere text."""
    records: list[Record] = []
    async with Pairing(recorders=[records.append]) as pairing:
        pairing.lifecycle.cancel()
    last = [record for record in records if isinstance(record, Changed)][-1]
    assert (last.source, last.event, last.target) == (State.DISPLAYED, Event.CANCEL, State.IDLE)
    assert last.reason is Reason.CANCELLED
