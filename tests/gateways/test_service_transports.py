"""What gateways listen by keeps the contract of transports, with each service's own messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from qrlifecycle import Paired, PairingRefused, QRExpired, Reason, StatusChanged, Transport
from qrlifecycle.gateways import GOWA, WAHA, gowa, waha
from qrlifecycle.testing.contract.check import PeerFactory
from qrlifecycle.testing.contract.websocket_peer import frame, greet_websocket, websocket_peer
from qrlifecycle.testing.contract.wire import Wire, WirePeer
from qrlifecycle.testing.suite import TransportContract

from ..patience import patient_clock

HEARTBEAT = 0.5


class OnBoth(TransportContract):
    """Real sockets, on asyncio and trio."""

    @pytest.fixture(params=["asyncio", "trio"])
    def anyio_backend(self, request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
        return patient_clock(request.param)

    @pytest.fixture(autouse=True)
    def a_short_heartbeat(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As short as the checks need it."""
        monkeypatch.setattr(waha, "HEARTBEAT", HEARTBEAT)
        monkeypatch.setattr(gowa, "HEARTBEAT", HEARTBEAT)


async def greet_and_answer(wire: Wire) -> None:
    """Take a client in, and answer its ping, whatever it asks by it."""
    await greet_websocket(wire)
    await wire.receive()
    await wire.send(frame(b"", 10))


def status(word: str, **more: object) -> dict[str, object]:
    """As WAHA says it."""
    payload = {"name": "bot-7", "status": word}
    return {"event": "session.status", "session": "bot-7", "payload": payload, **more}


def said(code: str, **result: object) -> dict[str, object]:
    """As GOWA says it."""
    return {"code": code, "message": "", "result": result or None}


def at(make: Callable[[str], Transport]) -> Callable[[str], Transport]:
    """Gateways are told where HTTP is."""
    return lambda url: make(url.replace("ws://", "http://").rstrip("/"))


class TestWAHA(OnBoth):
    """It waits for a pong."""

    __test__ = True

    @pytest.fixture
    def peer(self) -> PeerFactory:
        def make_peer() -> WirePeer:
            peer = websocket_peer(
                at(lambda url: WAHA(url, api_key="k", session="bot-7").transport()),
                [
                    (status("STOPPED"), QRExpired()),
                    (status("SCAN_QR_CODE"), StatusChanged()),
                    (status("WORKING", me={"id": "me"}), Paired("me", {"id": "me"})),
                ],
                heartbeat=HEARTBEAT,
                garbage={
                    "for another": {**status("WORKING"), "session": "another"},
                    "no status": {"event": "session.status", "session": "bot-7", "payload": {}},
                    "a list for a word": status(["WORKING"]),  # type: ignore[arg-type]
                    "no object": 7,
                },
            )
            peer.greet = greet_and_answer
            return peer

        return make_peer


@pytest.mark.slow
class TestGOWA(OnBoth):
    """It notices a restart."""

    __test__ = True

    @pytest.fixture
    def peer(self) -> PeerFactory:
        def make_peer() -> WirePeer:
            peer = websocket_peer(
                at(lambda url: GOWA(url, device="bot-7").transport()),
                [
                    (said("LOGIN_SUCCESS"), StatusChanged()),
                    (said("DEVICE_LOGGED_OUT", device_id="bot-7"), QRExpired()),
                    (
                        said("PASSKEY_ERROR", device_id="bot-7"),
                        PairingRefused(Reason.REFUSED_ON_PHONE),
                    ),
                ],
                heartbeat=HEARTBEAT,
                garbage={
                    "for another": said("PASSKEY_ERROR", device_id="another"),
                    "no challenge": said("PASSKEY_REQUEST", device_id="bot-7"),
                    "a list for a word": {"code": ["x"], "result": {"device_id": "bot-7"}},
                    "no object": 7,
                },
            )
            peer.greet = greet_and_answer
            return peer

        return make_peer
