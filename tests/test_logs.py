"""Whose line of the log it is, and that nobody can make lines without end."""

from __future__ import annotations

import logging
import re
from collections import Counter
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import anyio
import pytest

from qrlifecycle import (
    Pairings,
    Policy,
    QRCode,
    QRLifecycle,
    Reason,
    Scanned,
    Signal,
    SocketIOTransport,
    TransportLost,
    logs,
)
from qrlifecycle.logs import MOST_ALIKE, MOST_SHARED, About, AddLifecycle, error_once, logger
from qrlifecycle.monitoring import Audit, Limits
from qrlifecycle.records import Record
from qrlifecycle.testing import Fault, ScriptedPeer, ScriptedTransport, settle
from qrlifecycle.testing.contract.socketio_peer import event
from qrlifecycle.transports.drops import MOST_SAID, Drops
from qrlifecycle.transports.messages import Drop, Dropped

from .pairing import Pairing, asyncio_only, request_qr
from .patience import HANGS
from .raw_peer import RawPeer

pytestmark = pytest.mark.anyio


class Told(ScriptedTransport):
    """A transport with a subject, which logs in its own task and by its own logger."""

    def __init__(self, peer: ScriptedPeer, user: str) -> None:
        super().__init__(peer, Fault.NONE, Fault.NONE)
        peer.transports.append(self)
        self.user = user

    @property
    def subject(self) -> tuple[str, ...]:
        """A bot and a user."""
        return "bot-7", self.user

    async def open(self) -> None:
        """Say so in a task beside, as a client library would."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._say)
        await super().open()

    async def _say(self) -> None:
        await anyio.lowlevel.checkpoint()
        logger.info("the transport's own line")


def about(record: logging.LogRecord) -> tuple[Any, Any]:
    """Which lifecycle a record is about, and whom its transport is for."""
    fields: dict[str, Any] = vars(record)
    return fields["lifecycle"], fields["subject"]


async def test_each_line_says_which_lifecycle_it_is_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Of two users at once, from the owner's task, from hooks and from the transport's tasks."""
    caplog.set_level(logging.DEBUG, "qrlifecycle")
    kept: dict[str, list[Record]] = {"ada": [], "bob": []}

    async def fail(_scanned: Scanned) -> None:
        await anyio.lowlevel.checkpoint()
        raise ValueError

    def plain(_change: object) -> None:
        raise LookupError

    async def pair(user: str) -> None:
        peer = ScriptedPeer()
        lifecycle = QRLifecycle(
            request_qr,
            lambda: Told(peer, user),
            on_scanned=fail,
            on_change=plain,
            recorders=[kept[user].append],
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lifecycle.pair)
            while not peer.listening:
                await anyio.lowlevel.checkpoint()
            peer.transports[0].buffer.put(Scanned())
            await anyio.sleep(0.1)
            lifecycle.cancel()  # from a task that is not the owner's

    async with anyio.create_task_group() as tasks:
        for user in kept:
            tasks.start_soon(pair, user)
    lines = [record for record in caplog.records if record.name == "qrlifecycle"]
    for user, records in kept.items():
        (identifier,) = {record.lifecycle for record in records}
        own = [line.getMessage() for line in lines if about(line)[0] == identifier]
        assert [line.partition("\n")[0] for line in own] == [
            "on_change raised LookupError",
            "awaiting request_qr, for 30 s at most",
            "connecting for QR display",
            "the transport's own line",
            "connected for QR display",
            "on_scanned raised ValueError",
            "transport closed",
            "cancelled",
            own[-1].partition("\n")[0],
        ]
        assert "times in all: on_change raised LookupError" in own[-1]
        subjects = [about(line)[1] for line in lines if about(line)[0] == identifier]
        assert subjects == [None, None, *[("bot-7", user)] * 7]
    assert all(about(line)[0] for line in lines)


async def test_a_line_that_comes_of_a_call_between_two_attempts_names_the_lifecycle(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nobody pairs, so no task is about one; the call is."""

    def plain(_change: object) -> None:
        raise LookupError

    kept: list[Record] = []
    options: dict[str, Any] = {"on_change": plain, "recorders": [kept.append]}
    async with Pairing(openings=(Fault.REFUSED,), **options) as pairing:
        pass
    caplog.clear()
    pairing.lifecycle.reset()
    (line,) = caplog.records
    assert line.getMessage().startswith("on_change raised LookupError")
    assert about(line) == (kept[0].lifecycle, None)


async def test_each_line_of_an_attempt_that_was_joined_has_its_key(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Also of one that fails before there is a transport, and of an error that nobody hears."""
    caplog.set_level(logging.DEBUG, "qrlifecycle")

    async def broken() -> Any:
        raise LookupError

    async def leave(pairings: Pairings) -> None:
        wrong: Any = lambda: "no transport"  # noqa: E731
        async with pairings.join(("bot-7", "bob"), partial(QRLifecycle, request_qr, wrong)):
            await settle()
            raise LookupError

    async with Pairings() as pairings:
        async with pairings.join("ada", partial(QRLifecycle, broken, ScriptedPeer())) as pairing:
            await pairing.result()
        said = [(vars(line)["key"], vars(line)["subject"]) for line in caplog.records]
        assert len(said) >= 2
        assert set(said) == {("ada", None)}
        caplog.clear()
        with pytest.raises(LookupError):
            await leave(pairings)
    assert "everybody had left" in caplog.text
    assert {vars(line)["key"] for line in caplog.records} == {("bot-7", "bob")}


async def test_a_line_about_nobody_has_the_attributes_as_well(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A formatter may name them always; after a `pair()` the task is about nobody again."""
    async with Pairing() as pairing:
        pairing.lifecycle.cancel()
    logger.warning("about nobody")
    assert about(caplog.records[-1]) == (None, None)
    assert logging.Formatter("%(lifecycle)s %(key)s %(subject)s").format(caplog.records[-1]) == (
        "None None None"
    )


async def test_a_filter_names_the_lifecycle_for_other_loggers_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What `request_qr` logs elsewhere is about the lifecycle that asked."""
    caplog.handler.addFilter(names := AddLifecycle())

    async def asking() -> QRCode:
        logging.getLogger("a.client").warning("asked")
        return QRCode("x")

    lifecycle = QRLifecycle(asking, ScriptedPeer(), policy=Policy(qr_lifetime=1, max_refreshes=0))
    await lifecycle.pair()
    caplog.handler.removeFilter(names)
    (asked,) = (record for record in caplog.records if record.name == "a.client")
    assert about(asked)[0] is not None


PACKAGE = Path(logs.__file__).parent

LOGGERS = [
    (path, name)
    for path in sorted(PACKAGE.rglob("*.py"))
    for name in re.findall(
        r'^logger = logging\.getLogger\("([\w.]+)"\)', path.read_text(), re.MULTILINE
    )
]


@pytest.mark.parametrize(("path", "name"), LOGGERS, ids=[name for _, name in LOGGERS])
def test_every_logger_of_ours_says_whose_its_lines_are(path: Path, name: str) -> None:
    """A logger's filter is not its children's, and a format that names the fields would fail."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    import_module(".".join(parts).removesuffix(".__init__"))
    assert any(isinstance(one, AddLifecycle) for one in logging.getLogger(name).filters)


async def test_an_alert_is_about_its_lifecycle(caplog: pytest.LogCaptureFixture) -> None:
    """On the logger of the audit, also where nobody pairs at that moment."""
    kept: list[Record] = []
    audit = Audit(Limits(openings_per_attempt=0.5))
    peer = ScriptedPeer()
    lifecycle = QRLifecycle(
        request_qr,
        lambda: Told(peer, "ada"),
        recorders=[audit, kept.append],
        policy=Policy(qr_lifetime=1, max_refreshes=0),
    )
    await lifecycle.pair()
    (alert,) = (record for record in caplog.records if record.name == "qrlifecycle.audit")
    assert about(alert) == (kept[0].lifecycle, ("bot-7", "ada"))


def test_a_coroutine_that_is_thrown_away_elsewhere_is_no_trouble() -> None:
    """The context that it ends in may be another than that in which it began."""
    import contextvars

    one = About()
    within = contextvars.copy_context()
    within.run(one.__enter__)
    one.__exit__(None, None, None)


# Bounds


@asyncio_only
async def test_promise_7_ten_thousand_bad_messages_make_two_lines(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The first is said, with the field; the rest when the transport is gone, as a number."""
    caplog.set_level(logging.DEBUG, "qrlifecycle")
    async with RawPeer() as peer:
        transport = SocketIOTransport(peer.url, bot_id="b", user_id="u")
        async with transport:
            bad = event("whatsapp_qr_updated", {"qr": 7})
            for _ in range(100):
                peer.wire.send(*[bad] * 100)
            peer.wire.send(event("whatsapp_qr_scanned", {}))
            with anyio.fail_after(HANGS):
                assert await transport.receive() == Scanned()
    lines = [record.getMessage() for record in caplog.records if "dropped" in record.getMessage()]
    assert lines == [
        "a message was dropped: malformed (event 'whatsapp_qr_updated'): "
        "'qr' must be a code as text, not a number",
        "9999 more messages were dropped: malformed",
    ]
    assert transport.dropped == {"malformed": 10_000}


def test_promise_7_messages_that_all_differ_are_bounded_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Of each cause some few are said, and none is said at the cost of another cause."""
    caplog.set_level(logging.DEBUG, "qrlifecycle")
    drops = Drops()
    for number in range(10_000):
        drops.note(Dropped(Drop.UNKNOWN), f"event {number}")
    drops.note(Dropped(Drop.MALFORMED, "'qr' must be text"), "whatsapp_qr_updated")
    drops.note(Dropped(Drop.FOREIGN), ["x" * 1_000_000])
    drops.sum_up()
    drops.sum_up()
    assert len(caplog.records) == MOST_SAID + 3
    assert caplog.records[-1].getMessage() == "9992 more messages were dropped: unknown"
    assert max(len(record.getMessage()) for record in caplog.records) < 200
    levels = Counter(record.levelname for record in caplog.records)
    assert levels == {"DEBUG": MOST_SAID + 2, "WARNING": 1}
    assert drops.counts == {"unknown": 10_000, "malformed": 1, "foreign": 1}


async def test_promise_7_what_comes_again_in_an_attempt_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A hook that always raises, a status that is never readable: a line each, and a sum each."""

    async def check_status() -> Signal | None:
        raise TransportLost("the status is down")

    def broken(_change: object) -> None:
        raise ValueError

    policy = Policy(qr_lifetime=60, max_refreshes=0, status_interval=1)
    lifecycle = QRLifecycle(
        request_qr, ScriptedPeer(), check_status=check_status, on_change=broken, policy=policy
    )
    for _ in range(2):  # each attempt says it
        caplog.clear()
        await lifecycle.pair()
        lines = [record.getMessage().partition("\n")[0] for record in caplog.records
                 if record.levelno >= logging.WARNING]  # fmt: skip
        assert len(lines) == 4
        assert "on_change raised ValueError" in lines
        assert "check_status failed: the status is down" in lines
        assert "4 times in all: on_change raised ValueError" in lines
        assert lines[-1].endswith(" times in all: check_status failed: the status is down")


def test_promise_7_lines_that_all_differ_are_bounded_in_an_attempt(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A peer that makes an error with another text each time fills no disk."""
    one = About()
    with one:
        for number in range(10_000):
            error_once("a fault: %s", number)
        one.sum_up()
        error_once("a fault: %s", 3)
    assert len(caplog.records) == MOST_ALIKE + 2
    assert caplog.records[-2].getMessage() == f"and {10_000 - MOST_ALIKE} other lines"


@pytest.mark.slow
async def test_a_break_of_a_thousand_lifecycles_is_some_lines(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Some few say it, then every tenfold, with the number; the others say it at DEBUG."""
    caplog.set_level(logging.DEBUG, "qrlifecycle")
    peer = ScriptedPeer()
    policy = Policy(max_reconnects=1, reconnect_delay=0.01)
    lifecycles = [QRLifecycle(request_qr, peer, policy=policy) for _ in range(1000)]
    async with anyio.create_task_group() as tasks:
        for lifecycle in lifecycles:
            tasks.start_soon(lifecycle.pair)
        while sum(transport.listening for transport in peer.transports) < 1000:
            await anyio.lowlevel.checkpoint()
        for transport in list(peer.transports):
            transport.buffer.end(TransportLost("the connection broke"))
        await anyio.sleep(1)
        assert len(peer.transports) == 2000
        for lifecycle in lifecycles:
            lifecycle.cancel()
    breaks = [record for record in caplog.records if "the connection broke" in record.getMessage()]
    said = [record.getMessage() for record in breaks if record.levelno == logging.WARNING]
    assert len(breaks) == 1000
    assert len(said) == MOST_SHARED + 2
    assert said[-2].endswith("(the 100th in 10 s)")
    assert said[-1].endswith("(the 1000th in 10 s)")
    assert len({about(record)[0] for record in breaks}) == 1000


async def test_a_line_is_where_it_was_written(caplog: pytest.LogCaptureFixture) -> None:
    """What is said once names the module that says it, not the one that counts."""

    async def refusing() -> QRCode:
        raise ValueError

    outcome = await QRLifecycle(partial(refusing), ScriptedPeer()).pair()
    assert outcome.reason is Reason.GENERATING_FAILED  # type: ignore[union-attr]
    (record,) = (record for record in caplog.records if "request_qr" in record.getMessage())
    assert record.module == "request"
