"""What is run against the misbehaving server: a transport by itself, or a whole lifecycle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import anyio
import anyio.lowlevel
from anyio import EndOfStream

from qrlifecycle import (
    AsyncClientTransport,
    Failed,
    Outcome,
    PeerError,
    Policy,
    QRCode,
    QRLifecycle,
    Reason,
    SocketIOTransport,
    Transport,
    TransportLost,
    TransportRefused,
    TransportUnreachable,
    WebSocketTransport,
)

from ..contract.peers import read_json
from .acts import BOT, SECRET, USER
from .plan import Interruption, Kind, Plan, Subject
from .server import trusted

__all__ = ["Running", "maker"]

OPENING = (TransportUnreachable, TransportRefused)
LISTENING = (EndOfStream, TransportLost, TransportRefused)
"""What the contract lets out."""

MOST_CALLS = 200
"""Calls of `receive()` in one run."""

CLOSES_WITHIN = 0.2
"""Seconds of a graceful close."""


def maker(plan: Plan, port: int) -> Callable[[], Transport]:
    """What makes the transports of a run."""
    scheme = "https" if plan.tls else "http"
    options: dict[str, Any] = {"heartbeat": plan.heartbeat, "headers": {"X-Token": SECRET}}
    if plan.tls:
        options["ssl_context"] = trusted()
    if plan.kind is not Kind.ASYNC_CLIENT:
        options["proxy"] = f"http://u:{SECRET}@127.0.0.1:{port}" if plan.proxied else None
    host = "example.org:4711" if plan.proxied else f"127.0.0.1:{port}"
    url = f"{scheme}://{host}/?token={SECRET}"
    options |= _uncommon(plan)
    if plan.kind is Kind.WEBSOCKET:
        return lambda: WebSocketTransport(url, read_json, greeting=SECRET, **options)
    options |= {"bot_id": BOT, "user_id": USER, "auth": {"token": SECRET}}
    if plan.kind is Kind.SOCKETIO:
        return lambda: SocketIOTransport(url, **options)
    return lambda: AsyncClientTransport(url, polling=plan.polling, **options)


def _uncommon(plan: Plan) -> dict[str, Any]:
    """Arguments that most programs leave alone."""
    dice = Random(f"{plan.seed}/options")
    options: dict[str, Any] = {}
    if dice.random() < 0.1:
        options["max_message"] = dice.choice([100, 1000, 100_000])
    if plan.kind is Kind.WEBSOCKET:
        options["owner"] = dice.choice([None, {"botId": BOT}, {"userId": USER}])
        if dice.random() < 0.3:
            options["welcome"] = lambda said: said["type"] in {"qr", "scanned"}
        if dice.random() < 0.2:
            options["subprotocols"] = ["chat"]
        return options
    if dice.random() < 0.2:
        options["owner"] = {"botId": BOT, "data.session": BOT}
    if dice.random() < 0.1:
        options["namespace"] = "/other"
    return options


@dataclass
class Running:
    """One subject, while it runs, and what it did that it must not.

    Args:
        plan: the run.
        make: makes a transport.
    """

    plan: Plan
    make: Callable[[], Transport]
    faults: list[str] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    """What came out, for a look at its text."""
    came_out: list[str] = field(default_factory=list)
    """How it went, in words."""
    ended: bool = False

    def __post_init__(self) -> None:
        self.dice = Random(f"{self.plan.seed}/subject")
        self.transport: Transport | None = None
        self.lifecycle: QRLifecycle | None = None

    async def run(self) -> None:
        """Run to the end."""
        try:
            if self.plan.subject is Subject.TRANSPORT:
                await self._use_transport()
            else:
                await self._pair()
        except Exception as error:
            self.faults.append(f"{type(error).__name__} came out: {error}")
            self.errors.append(error)
        finally:
            self.ended = True

    async def interrupt(self) -> None:
        """What this subject itself is told, if that is how it is interrupted."""
        if self.ended:
            return
        closes = self.plan.interruption is Interruption.CLOSE
        if self.lifecycle is not None:
            if closes:
                self.lifecycle.cancel()
        elif self.transport is not None and closes:
            await self.transport.aclose()
        elif self.transport is not None:
            self.transport.abort()

    async def _use_transport(self) -> None:
        transport = self.transport = self.make()
        try:
            await transport.open()
            self.came_out.append("it listened")
            await self._receive(transport)
        except OPENING + LISTENING as error:
            self.errors.append(error)
            self.came_out.append(f"{type(error).__name__} {getattr(error, 'ending', '')}")
        finally:
            await self._finish(transport)

    async def _receive(self, transport: Transport) -> None:
        """One signal after another; some calls are given up, and made again."""
        impatient = self.dice.random() < 0.3
        for _ in range(MOST_CALLS):
            limit = self.dice.choice([0, 0.001, 0.01]) if impatient else None
            with anyio.move_on_after(limit):
                signal = await transport.receive()
                self.came_out.append(f"signal {type(signal).__name__}")

    async def _finish(self, transport: Transport) -> None:
        """As a lifecycle does; or by `abort()` alone."""
        try:
            if self.dice.random() < 0.7:
                with anyio.move_on_after(CLOSES_WITHIN, shield=True):
                    await transport.aclose()
        finally:
            transport.abort()

    async def _pair(self) -> None:
        ends = self.plan.interruption is Interruption.ABORT
        policy = Policy(
            attempt_timeout=self.dice.uniform(0.001, 0.1) if ends else 0.3,
            open_timeout=self.dice.choice([0.02, 0.1]),
            close_timeout=self.dice.choice([0.02, CLOSES_WITHIN]),
            max_reconnects=self.dice.choice([0, 1, 3]),
            reconnect_delay=0.001,
            reconnect_delay_max=0.01,
            expiry_grace=0.01,
            approval_timeout=0.1,
            action_timeout=0.1,
            max_refreshes=1,
        )
        read_status = self.dice.random() < 0.3
        self.lifecycle = QRLifecycle(
            self._request_qr,
            self._make,
            policy=policy,
            check_status=self._check_status if read_status else None,
            on_change=self._change if self.dice.random() < 0.5 else None,
            on_qr_updated=self._show if self.dice.random() < 0.3 else None,
        )
        outcome = await self.lifecycle.pair()
        self.came_out.append(str(getattr(outcome, "reason", "connected")))
        self._judge(outcome)

    def _make(self) -> Transport:
        self.transport = self.make()
        return self.transport

    async def _request_qr(self) -> QRCode:
        return QRCode("a code", expires_in=self.dice.choice([0.02, 5]))

    async def _check_status(self) -> None:
        await anyio.sleep(self.dice.choice([0, 0.005]))

    async def _change(self, _change: object) -> None:
        await anyio.lowlevel.checkpoint()

    def _show(self, _qr: QRCode) -> None:
        if self.lifecycle is not None and self.dice.random() < 0.2:
            self.lifecycle.generate()

    def _judge(self, outcome: Outcome) -> None:
        if not isinstance(outcome, Failed):
            return
        if outcome.reason not in Reason:
            self.faults.append(f"{outcome!r} is no outcome of the list")
        error = outcome.error
        if error is not None:
            self.errors.append(error)
        if not isinstance(error, PeerError):
            self.faults.append(f"the outcome's error is {type(error).__name__}: {error}")
