"""The page "Nothing happens when I scan": each line of the log that it explains comes about."""

from __future__ import annotations

import itertools
import logging
import re
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from qrlifecycle import (
    Failed,
    Paired,
    Policy,
    QRCode,
    QRLifecycle,
    Reason,
    ServiceRefused,
    SocketIOTransport,
    StatusChanged,
)
from qrlifecycle.engine.user_code import BLOCKS
from qrlifecycle.gateways import WAHA, EvolutionAPI, Gateway
from qrlifecycle.testing import Fault, PairingServer, ScriptedPeer
from qrlifecycle.testing.gateways import EvolutionEmulator, WAHAEmulator
from qrlifecycle.transports.messages import DEFAULT_SIGNALS

from .patience import HANGS, patient_clock

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "nothing-happens.md"
BOT, USER = "b", "u"
BRIEF = Policy(attempt_timeout=3, max_reconnects=1, reconnect_delay=0.01)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """The pairing server is asyncio's; what takes its time takes none."""
    return patient_clock("asyncio")


def rows() -> list[str]:
    """What the log says, row by row."""
    found = re.findall(r"^\| (.*?) \|", PAGE.read_text(), re.MULTILINE)
    return [row for row in found if row not in ("the log says", "---")]


def pattern_of(row: str) -> re.Pattern[str]:
    """What fits the line that a row shows first."""
    (line, *_) = re.findall(r"`([^`]+)`", row)
    return re.compile(".*".join(map(re.escape, line.split("..."))), re.DOTALL)


class Table:
    """A lifecycle and a server that does to it what a scenario wants."""

    def __init__(self, server: PairingServer) -> None:
        self.server = server
        self.shown = anyio.Event()

    async def request_qr(self) -> QRCode:
        """Ask for a code."""
        return QRCode(self.server.make_code(BOT, USER), expires_in=1)

    async def send(self, name: str, **fields: object) -> None:
        """A message of the server's."""
        message = {"botId": BOT, "userId": USER, **fields}
        await self.server._sio.emit(name, message)

    async def pair(
        self,
        then: Callable[[], Awaitable[object]] | None = None,
        *,
        url: str | None = None,
        options: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Pair; once a code is shown, something happens."""
        transport = partial(
            SocketIOTransport, url or self.server.url, bot_id=BOT, user_id=USER, **options or {}
        )
        more = {"policy": BRIEF, "on_qr_updated": lambda _: self.shown.set(), **more}
        lifecycle = QRLifecycle(self.request_qr, transport, **more)
        async with anyio.create_task_group() as tasks:

            async def act() -> None:
                await self.shown.wait()
                assert then is not None
                await then()

            if then is not None:
                tasks.start_soon(act)
            await lifecycle.pair()
            tasks.cancel_scope.cancel()


async def nobody_listens(table: Table) -> None:
    """The address of nobody."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    await table.pair(url=f"http://127.0.0.1:{port}")


async def another_path(table: Table) -> None:
    """HTTP, and no WebSocket."""
    await table.pair(options={"socketio_path": "elsewhere"})


async def a_wrong_token(table: Table) -> None:
    """Refused on connecting."""
    table.server.token = "t0ken"
    await table.pair(options={"auth": {"token": "wrong"}})


async def a_refusal(_table: Table) -> None:
    """The request for a code is refused for good."""

    async def request_qr() -> QRCode:
        raise ServiceRefused("no such bot")

    await QRLifecycle(request_qr, ScriptedPeer()).pair()


async def another_name(table: Table) -> None:
    """The success has a name of the server's own."""
    await table.pair(lambda: table.send("session-logged"))


async def anothers(table: Table) -> None:
    """The success is somebody else's."""
    await table.pair(lambda: table.send("whatsapp_connected", botId="B"))


async def a_wrong_field(table: Table) -> None:
    """The identity is a list."""
    await table.pair(lambda: table.send("whatsapp_connected", identity=["+49"]))


async def only_that_something_is_new(table: Table) -> None:
    """And nothing reads what."""
    signals = {**DEFAULT_SIGNALS, "update": lambda _payload: StatusChanged()}
    await table.pair(lambda: table.send("update"), options={"signals": signals})


async def no_status(table: Table) -> None:
    """The request for it fails."""

    async def check_status() -> Paired | None:
        raise OSError

    await table.pair(check_status=check_status)


async def not_confirmed(table: Table) -> None:
    """The status does not agree with the message."""

    async def check_status() -> Paired | None:
        return None

    policy = Policy(attempt_timeout=3, confirm_success=True)
    await table.pair(
        lambda: table.send("whatsapp_connected"), check_status=check_status, policy=policy
    )


async def the_wrong_account(table: Table) -> None:
    """Another one than was meant."""
    await table.pair(lambda: table.server.scan(BOT, USER), expect_identity="+1")


async def nobody_approves(table: Table) -> None:
    """Scanned, and left lying."""
    policy = Policy(approval_timeout=1)
    await table.pair(lambda: table.server.scan(BOT, USER, confirm=False), policy=policy)


async def nothing_comes(table: Table) -> None:
    """Open and silent."""
    await table.pair(policy=Policy(max_refreshes=1, expiry_grace=0))


async def a_hook_that_raises(table: Table) -> None:
    """It was to draw the code."""

    def show(_qr: QRCode) -> None:
        raise RuntimeError

    await table.pair(on_qr_updated=show)


async def a_hook_that_blocks(table: Table) -> None:
    """It asks a database, and waits for it where everybody has to."""

    def show(_qr: QRCode) -> None:
        time.sleep(BLOCKS + 0.05)

    await table.pair(on_qr_updated=show)


async def paired_before(_table: Table) -> None:
    """No code is needed."""

    async def request_qr() -> Paired:
        return Paired("me")

    await QRLifecycle(request_qr, ScriptedPeer()).pair()


async def found_by_the_status(table: Table) -> None:
    """The message was for nobody."""

    async def check_status() -> Paired | None:
        return Paired("me") if table.shown.is_set() else None

    policy = Policy(status_interval=0.5)
    await table.pair(check_status=check_status, policy=policy)


async def run(gateway: Gateway) -> None:
    """Pair by a gateway, for a short time."""
    numbers: dict[str, Any] = {"generate_timeout": 20, "attempt_timeout": 25, "max_reconnects": 1}
    numbers |= {"generate_retry_delay": 2.0, "generate_retry_delay_max": 2.0}
    await gateway.lifecycle(policy=replace(gateway.policy, **numbers)).pair()


async def no_session(_table: Table) -> None:
    """Nobody has created it."""
    async with WAHAEmulator(api_key="k3y") as served:
        await run(WAHA(served.url, api_key="k3y", session="nope"))


async def api_at_the_end(_table: Table) -> None:
    """The URL goes one word too far."""
    async with WAHAEmulator(api_key=None) as served:
        await run(WAHA(f"{served.url}/api"))


async def no_key(_table: Table) -> None:
    """It was forgotten."""
    async with WAHAEmulator(api_key="k3y") as served:
        await run(WAHA(served.url))


async def a_wrong_key(_table: Table) -> None:
    """Or another session's."""
    async with EvolutionEmulator() as served:
        await run(EvolutionAPI(served.url, api_key="wrong", instance="bot-7"))


async def no_websocket(_table: Table) -> None:
    """The server's own setting is off."""
    async with EvolutionEmulator(websocket_enabled=False) as served:
        await run(served.gateway())


async def not_every_session(_table: Table) -> None:
    """The core edition of 2024 lets nobody listen to one."""
    async with WAHAEmulator(edition="core") as served:
        await run(WAHA(served.url))


async def down(_table: Table) -> None:
    """Nobody listens there."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    await run(WAHA(f"http://127.0.0.1:{port}", timeout=1))  # asked again, one is answered in time


SCENARIOS: list[Callable[[Table], Awaitable[None]]] = [
    nobody_listens,
    another_path,
    a_wrong_token,
    a_refusal,
    another_name,
    anothers,
    a_wrong_field,
    only_that_something_is_new,
    no_status,
    not_confirmed,
    the_wrong_account,
    nobody_approves,
    nothing_comes,
    a_hook_that_raises,
    a_hook_that_blocks,
    paired_before,
    found_by_the_status,
    no_session,
    api_at_the_end,
    no_key,
    a_wrong_key,
    no_websocket,
    not_every_session,
    down,
]
"""In the order of the page's rows, from the third on."""


@asynccontextmanager
async def laid() -> AsyncIterator[Table]:
    """A table, on a server of its own."""
    async with PairingServer() as server:
        yield Table(server)


@pytest.mark.parametrize(
    "scenario", SCENARIOS, ids=lambda scenario: str(getattr(scenario, "__name__", ""))
)
async def test_the_log_says_what_the_page_explains(
    scenario: Callable[[Table], Awaitable[None]], caplog: pytest.LogCaptureFixture
) -> None:
    """Each row's line is logged, in these words; and no line before it in the table is."""
    caplog.set_level(logging.DEBUG, "qrlifecycle")
    with anyio.fail_after(HANGS):
        async with laid() as table:
            await scenario(table)
    said = [record.getMessage() for record in caplog.records if record.name == "qrlifecycle"]
    row = rows()[2 + SCENARIOS.index(scenario)]
    assert any(pattern_of(row).fullmatch(line) for line in said), said
    if "no `connected` after it" in row:
        assert not any(line.startswith("connected,") for line in said)


def test_every_row_is_brought_about() -> None:
    """But for the first, which is nothing, and the second, which each of them says."""
    assert len(rows()) == 2 + len(SCENARIOS)
    assert rows()[0] == "nothing at all"
    assert pattern_of(rows()[1]).fullmatch("connecting for QR display")


async def seconds_until(reason: Reason, lifecycle: QRLifecycle) -> float:
    """How long it takes to fail so, on the virtual clock; nothing is shown meanwhile."""
    changes, begun = lifecycle.changes(), anyio.current_time()
    outcome = await lifecycle.pair()
    assert isinstance(outcome, Failed)
    assert outcome.reason is reason
    events = [str(change.event) async for change in changes]
    assert events in (["generate", "fail"], ["generate", "qr_ready", "fail"])
    return anyio.current_time() - begun


@pytest.mark.parametrize(
    ("policy", "least", "most"), [(Policy(), 19, 38), (Policy(max_reconnects=3), 2, 4)]
)
async def test_how_long_a_server_is_waited_for(policy: Policy, least: int, most: int) -> None:
    """As the page says; a connection that is refused takes a moment itself."""
    assert f"{least} to {most} s" in PAGE.read_text()

    async def request_qr() -> QRCode:
        return QRCode("a code", expires_in=60)

    peer = ScriptedPeer(itertools.repeat(Fault.UNREACHABLE))
    lifecycle = QRLifecycle(request_qr, peer, policy=policy)
    seconds = await seconds_until(Reason.TRANSPORT_UNREACHABLE, lifecycle)
    assert least - 0.5 <= seconds <= most


async def test_how_long_a_gateways_service_is_waited_for() -> None:
    """As the page says."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    gateway = WAHA(f"http://127.0.0.1:{port}")
    soon = replace(gateway.policy, generate_timeout=10)
    for lifecycle, seconds in [(gateway.lifecycle(), 60), (gateway.lifecycle(policy=soon), 10)]:
        assert f"{seconds} s" in PAGE.read_text()
        waited = await seconds_until(Reason.GENERATING_TIMED_OUT, lifecycle)
        assert seconds <= waited <= seconds + 6
