"""Programs that use the public API, in every way that is meant: mypy and pyright read them.

Nothing here runs. What a type checker must refuse has a ``type: ignore`` with the error's name, and
mypy complains of each that is not needed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, assert_type

import qrlifecycle as q
from qrlifecycle.gateways import CodeCompared, DeviceFlow, Gateway, PasskeySigned, PasswordGiven
from qrlifecycle.monitoring import Audit, Journal, Limits
from qrlifecycle.monitoring.audit import Alert

assert_type(q.__version__, str)


# What a program brings


async def request_qr() -> q.QRCode:
    """The simplest."""
    return q.QRCode("code", expires_in=60)


async def request_any() -> q.QRCode | q.PairingCode | q.Paired:
    """Everything that a service may give."""
    raise q.ServiceRefused("closed", reason=q.Reason.CONFLICT)


async def check_status() -> q.Paired | None:
    """A narrower answer than any signal."""
    return None


async def check_all() -> q.Signal | None:
    """Any signal."""
    return q.StatusChanged()


async def nothing() -> None:
    """No code."""


def plain() -> q.QRCode:
    """Not async."""
    return q.QRCode("code")


class Owner:
    """A program's own class."""

    async def ask(self, user: str) -> q.QRCode:
        """With an argument."""
        return q.QRCode(user)

    def show(self, qr: q.QRCode) -> None:
        """A plain hook."""
        assert_type(qr.svg(), str)
        assert_type(qr.png(), bytes)
        assert_type(qr.text(ink=True, border=2), str)
        assert_type(qr.reveal(), str)
        assert_type(qr.expires_in, float | None)
        assert_type(qr.typed, q.PairingCode | None)

    async def tell(self, change: q.Change) -> int:
        """An async hook; what it gives back is of no interest."""
        assert_type(change.event, q.Event)
        assert_type(change.target, q.State)
        assert_type(change.outcome, q.Connected | q.Failed | q.Cancelled | None)
        return 0


# Transports

socketio = partial(q.SocketIOTransport, "https://h", bot_id="b", user_id="u", auth={"token": "t"})
polling = partial(q.AsyncClientTransport, "https://h", bot_id="b", user_id="u", polling=True)


def read(message: Any) -> q.Signal | None:
    """A message over a WebSocket."""
    match message:
        case {"type": "qr", "qr": str(code)}:
            return q.QRUpdated(q.QRCode(code))
        case {"type": "action", "number": number}:
            return q.ActionRequired("compare_code", {"code": number})
        case {"type": "no"}:
            return q.PairingRefused()
        case {"type": "scanned"}:
            return q.Scanned()
        case {"type": "expired"}:
            return q.QRExpired()
    return None


websocket = partial(q.WebSocketTransport, "wss://h", read)


class OwnTransport(q.Transport):
    """A guest's."""

    async def open(self) -> None:
        """Open."""
        raise q.TransportUnreachable("not there")

    async def receive(self) -> q.Signal:
        """Receive."""
        raise q.TransportLost("gone")

    async def aclose(self) -> None:
        """Close."""

    def abort(self) -> None:
        """Abort."""


def chosen(token: str) -> q.Transport:
    """A factory that is a function."""
    if not token:
        raise q.TransportRefused("no token")
    return q.NoTransport()


# Lifecycles

owner = Owner()
q.QRLifecycle(request_qr, socketio)
q.QRLifecycle(request_any, polling, check_status=check_status, on_qr_updated=owner.show)
q.QRLifecycle(partial(owner.ask, "ada"), websocket, check_status=check_all, on_change=owner.tell)
q.QRLifecycle(lambda: owner.ask("ada"), OwnTransport, expect_identity="+49")
q.QRLifecycle(request_qr, lambda: chosen("t"), expect_identity=lambda number: number is not None)
q.QRLifecycle(
    request_qr,
    q.NoTransport,
    check_status=check_status,
    policy=dataclasses.replace(q.WHATSAPP, status_interval=2),
    recorders=[Audit(Limits(success=1)), Journal("pairings.jsonl"), print],
)
q.QRLifecycle(plain, socketio)  # type: ignore[arg-type]
q.QRLifecycle(nothing, socketio)  # type: ignore[arg-type]
q.QRLifecycle(request_qr, OwnTransport())  # type: ignore[arg-type]
q.QRLifecycle(request_qr, socketio, policy=60)  # type: ignore[arg-type]
q.QRLifecycle(request_qr, socketio, on_qr_updated=owner.tell)  # type: ignore[arg-type]
q.QRLifecycle(request_qr, socketio, on_nothing=print)  # type: ignore[call-arg]
q.Policy(max_refreshes=3, qr_lifetime=20.5, confirm_success=True)
q.Policy(refreshes=3)  # type: ignore[call-arg]


async def use(lifecycle: q.QRLifecycle) -> q.Outcome:
    """What is done with one."""
    assert_type(lifecycle.state, q.State)
    assert_type(lifecycle.qr, q.QRCode | None)
    assert_type(lifecycle.pairing_code, q.PairingCode | None)
    assert_type(lifecycle.action, q.ActionRequired | None)
    assert_type(lifecycle.socket_open, bool)
    assert_type(lifecycle.dropped, Mapping[str, int])
    assert_type(lifecycle.cancel(), bool)
    async for change in lifecycle.changes():
        assert_type(change, q.Change)
    outcome = await lifecycle.pair()
    assert_type(outcome, q.Connected | q.Failed | q.Cancelled)
    assert_type(outcome.connected, bool)
    match outcome:
        case q.Connected(identity):
            assert_type(identity, str | None)
        case q.Failed(reason, error):
            assert_type(reason, q.Reason)
            assert_type(error, Exception | None)
        case q.Cancelled():
            assert_type(outcome.reason, Literal[q.Reason.CANCELLED])
    if not isinstance(outcome, q.Connected):
        assert_type(outcome.reason.person, str)
        assert_type(outcome.retryable, bool)
    return outcome


def use_from_a_plain_program(lifecycle: q.QRLifecycle) -> None:
    """In a thread of its own."""
    assert_type(q.pair_blocking(lifecycle), q.Connected | q.Failed | q.Cancelled)
    with q.PairingThread(lifecycle) as pairing:
        for change in pairing.changes():
            assert_type(change, q.Change)
        assert_type(pairing.result(), q.Connected | q.Failed | q.Cancelled)
    with q.BlockingPairings(patience=10) as pairings:
        pairings.join(("bot-7", 1), "a tab", lambda: lifecycle)
        if (look := pairings.look(("bot-7", 1), "a tab")) is not None:
            assert_type(look.lifecycle, q.QRLifecycle)
            assert_type(look.outcome, q.Connected | q.Failed | q.Cancelled | None)
        pairings.leave(("bot-7", 1), "a tab")


async def join_a_pairing(lifecycle: q.QRLifecycle) -> None:
    """What several look at."""
    await q.Pairings().wait_until_left()
    async with q.Pairings() as pairings, pairings.join(("bot-7", 1), lambda: lifecycle) as pairing:
        assert_type(pairing, q.JoinedPairing)
        assert_type(pairing.lifecycle, q.QRLifecycle)
        assert_type(pairing.lifecycle.code_expires_in, float | None)
        async for change in pairing.changes():
            assert_type(change, q.Change)
        assert_type(pairing.outcome, q.Connected | q.Failed | q.Cancelled | None)
        assert_type(await pairing.result(), q.Connected | q.Failed | q.Cancelled)
        pairings.join([], lambda: lifecycle)  # type: ignore[arg-type]
        pairings.join("ada", lifecycle)  # type: ignore[arg-type]


def alerted(alert: Alert) -> None:
    """An audit's."""
    assert_type(str(alert), str)


Audit(on_alert=alerted)


async def use_a_gateway() -> None:
    """Ready-made ones."""
    gateway = DeviceFlow("https://login.example", client_id="tv")
    general: Gateway = gateway
    await general.lifecycle(on_qr_updated=owner.show, on_scanned=print).pair()
    await gateway.lifecycle(policy=dataclasses.replace(gateway.policy, attempt_timeout=60)).pair()
    q.QRLifecycle(**gateway.parts(), on_connected=print)
    gateway.lifecycle(on_nothing=print)  # type: ignore[call-arg]
    for reply in (CodeCompared(same=True), PasskeySigned({}), PasswordGiven("s3cret")):
        await gateway.answer(q.ActionRequired("password", {}), reply)
    await gateway.answer(q.ActionRequired("password", {}), "s3cret")  # type: ignore[arg-type]


def what_is_raised(error: q.QRLifecycleError) -> str:
    """Two branches, and what is in them."""
    match error:
        case q.EventRefused() | q.PairingInProgress() | q.InvalidValue() | q.WrongAnswer():
            assert_type(
                error, q.EventRefused | q.PairingInProgress | q.InvalidValue | q.WrongAnswer
            )
            mistake: q.UsageError = error
            return str(mistake)
        case q.ServiceUnavailable() | q.TransportUnreachable() | q.TransportLost():
            peer: q.PeerError = error
            return str(peer)
        case q.PairingFailed() | q.TransportError():
            return str(error)
    return ""
