"""A shared socket tells of itself, once: its members are no sockets, in log, audit and timeline."""

from __future__ import annotations

import io
import logging
from functools import partial
from typing import Any

import anyio
import pytest

from qrlifecycle import Connected, Paired, QRLifecycle, Transport
from qrlifecycle.errors import Ending
from qrlifecycle.monitoring import Audit
from qrlifecycle.monitoring.audit import Limits, SecondSocket, Waste
from qrlifecycle.monitoring.journal import format_record, read_journal
from qrlifecycle.monitoring.timeline import draw, finding, read
from qrlifecycle.records import (
    Closing,
    Opening,
    Record,
    SharedClosed,
    SharedOpened,
    SharedOpening,
)
from qrlifecycle.signals import Addressed
from qrlifecycle.testing import Fault, ScriptedPeer, ScriptedTransport, settle
from qrlifecycle.transports.shared import SharedSocket

from ..pairing import request_qr
from ..records import Story

pytestmark = pytest.mark.anyio

SHARED = SharedOpening | SharedOpened | SharedClosed
USERS = [(f"bot-{number}", "user") for number in range(30)]


class Crowd:
    """Thirty lifecycles that share a socket, which breaks once; all of them pair in the end."""

    def __init__(self, *recorders: Any) -> None:
        self.peer = ScriptedPeer()
        self.recorders = recorders
        self.shared = SharedSocket(self.peer, recorders=recorders)
        self.figures: list[tuple[int, int]] = []

    async def run(self, audit: Audit) -> None:
        """Display, break, come back, pair."""

        def note() -> None:
            now = audit.figures()
            self.figures.append((now.sockets_open, now.shares_open))

        async with self.shared, anyio.create_task_group() as tasks:
            for key in USERS:
                member = partial(self.shared.member, *key)
                pairing = QRLifecycle(request_qr, member, recorders=self.recorders)
                tasks.start_soon(pairing.pair)
            await settle()
            note()
            self.peer.break_connection()
            await settle()
            note()
            await anyio.sleep(5)
            note()
            for key in USERS:
                self.peer.send(Addressed(key, Paired("me")))
        note()


async def test_a_socket_that_thirty_share_is_one_in_the_figures() -> None:
    """And while it is broken it is none; how it ended is told once for all."""
    audit, told = Audit(), list[Record]()
    crowd = Crowd(audit, told.append)
    await crowd.run(audit)
    assert crowd.figures == [(1, 30), (0, 0), (1, 30), (0, 0)]
    figures = audit.figures()
    assert (figures.openings, figures.sockets_most) == (2, 1)
    assert figures.closings == {"graceful": 2}
    assert figures.alerts == {}
    assert {record.shared for record in told if isinstance(record, Opening)} == {crowd.shared.name}
    of_socket = [record for record in told if isinstance(record, SHARED)]
    assert {record.lifecycle for record in of_socket} == {crowd.shared.name}
    assert [(type(record), record.attempt) for record in of_socket] == [
        (kind, number) for number in (1, 2) for kind in (SharedOpening, SharedOpened, SharedClosed)
    ]
    endings = [record.ending for record in of_socket if isinstance(record, SharedClosed)]
    assert endings == [Ending.OTHER, None]
    held = of_socket[-1].monotonic - of_socket[3].monotonic
    assert figures.socket_seconds == pytest.approx(
        held + of_socket[2].monotonic - of_socket[0].monotonic
    )


async def test_the_log_has_one_line_of_the_socket_and_not_one_for_each_share(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Above DEBUG; its lines name it."""
    caplog.set_level(logging.DEBUG, "qrlifecycle")
    crowd = Crowd()
    await crowd.run(Audit())
    said = [record for record in caplog.records if record.levelno > logging.DEBUG]
    words = ("connecting", "connected for", "closed", "next shared socket")
    of_sockets = [r for r in said if any(word in r.getMessage() for word in words)]
    texts = [record.getMessage().rsplit(" in ", 1)[0] for record in of_sockets]
    assert texts == [
        "connecting for all QR displays",
        "connected for all QR displays",
        "shared socket closed",
        "the connection broke, as the test wished; the next shared socket opens",
        "connecting for all QR displays",
        "connected for all QR displays",
        "shared socket closed",
    ]
    assert {vars(record)["lifecycle"] for record in of_sockets} == {crowd.shared.name}
    assert sum(r.levelno == logging.WARNING for r in caplog.records) == 1
    shares = [r.getMessage() for r in caplog.records if r.levelno == logging.DEBUG]
    assert sum(line == "transport closed" for line in shares) == 60
    assert sum("; reconnecting in " in line for line in shares) == 30


async def test_a_journal_of_it_is_judged_and_drawn_as_it_was() -> None:
    """Read back, it holds one socket at a time as well, and each lane shows its share."""
    told = list[Record]()
    await Crowd(told.append).run(Audit())
    journal = b"".join(format_record(record) + b"\n" for record in told)
    read_back = [entry.record for entry in read_journal(io.BytesIO(journal))]
    records = [record for record in read_back if record is not None]
    assert len(records) == len(told)
    audit = Audit(clock=None)
    for record in records:
        audit(record)
    figures = audit.figures()
    assert (figures.openings, figures.sockets_most, figures.sockets_open) == (2, 1, 0)
    timeline = read(records, last=30)
    assert finding(timeline) == "30 attempts, 2 shared sockets, all within 'displayed'"
    drawn = "\n".join("".join(piece.text for piece in line) for line in draw(timeline))
    assert "─ share of a shared socket" in drawn
    assert "━ socket open" not in drawn
    assert finding(read(records, last=1)).startswith("1 attempt, 2 shared sockets")


class Misbehaving(ScriptedTransport):
    """A transport whose `abort()` raises."""

    def abort(self) -> None:
        super().abort()
        raise OSError("no such descriptor")


async def test_a_socket_that_cannot_be_shut_is_told_of_as_broken() -> None:
    """It may still be open."""
    peer, told = ScriptedPeer(), list[Record]()
    feed = partial(Misbehaving, peer, Fault.NONE, Fault.NONE)
    async with SharedSocket(feed, recorders=[told.append]) as shared:
        member: Transport = shared.member("bot")
        await member.open()
        await member.aclose()
    assert [record.how for record in told if isinstance(record, SharedClosed)] == [Closing.BROKEN]


class Unsaid(ScriptedTransport):
    """A transport that cannot say what it is a share of; it hears of the success at once."""

    @property
    def shared(self) -> Any:
        raise ValueError("nobody knows")

    async def receive(self) -> Any:
        return Paired("me")


async def test_a_transport_that_cannot_say_what_it_shares_counts_as_a_socket(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its fault is logged, and the round goes on."""
    audit = Audit()
    transport = partial(Unsaid, ScriptedPeer(), Fault.NONE, Fault.NONE)
    outcome = await QRLifecycle(request_qr, transport, recorders=[audit]).pair()
    assert outcome == Connected("me")
    assert audit.figures().openings == 1
    assert "the transport broke its contract: shared raised ValueError" in caplog.text


SECONDS = [
    ("p-9", "p-9", 0),
    ("p-9", "p-8", 1),
    ("p-9", None, 1),
    (None, "p-9", 1),
]
"""Of what two lifecycles of one user have a share, and how many alerts that is."""


@pytest.mark.parametrize(("one", "other", "alerts"), SECONDS)
def test_one_user_with_two_sockets_is_told_of_and_two_shares_of_one_socket_are_not(
    one: str | None, other: str | None, alerts: int
) -> None:
    """What counts is how many sockets there are for the user."""
    heard: list[Any] = []
    audit = Audit(on_alert=heard.append, clock=None)
    first, second = Story("p-1", shared=one).display(), Story("p-2", at=1, shared=other).display()
    records = [*first.pair().records, *second.pair().records]
    for record in sorted(records, key=lambda record: record.monotonic):
        audit(record)
    assert [type(alert) for alert in heard[:1]] == [SecondSocket] * alerts
    assert {alert.others for alert in heard} == ({1} if alerts else set())
    assert audit.figures().shares_open == 0


@pytest.mark.parametrize("shared", [None, "p-9"])
def test_a_share_wastes_no_socket(shared: str | None) -> None:
    """What is counted for each success are seconds of sockets, and it has none."""
    heard: list[Any] = []
    limits = Limits(socket_seconds_per_success=1, window=1)
    audit = Audit(limits, on_alert=heard.append, clock=None)
    for record in Story(shared=shared).display().pair().records:
        audit(record)
    assert [type(alert) for alert in heard] == ([Waste] if shared is None else [])


def test_a_share_costs_no_socket_seconds() -> None:
    """They are the shared socket's, as long as it is known to have been held."""
    audit = Audit(clock=None)
    hub = Story("p-9").add(SharedOpening).add(SharedOpened)
    story = Story("p-1", shared="p-9").display().wait(7)
    for record in [*hub.records, *story.show().records]:
        audit(record)
    assert audit.figures().socket_seconds == pytest.approx(7.4)
    assert (audit.figures().sockets_open, audit.figures().shares_open) == (1, 1)
