"""What the Socket.IO transport and the libraries below it say of a token: nothing."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from qrlifecycle import QRCode, QRUpdated, TransportError
from qrlifecycle.testing.contract.socketio_peer import event

from ..raw_peer import RawPeer
from .transport import OWNER, TOKEN, MakeTransport, receive, texts_of

pytestmark = pytest.mark.anyio


class Everything(logging.Handler):
    """All that any logger says."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text, the arguments and the exception."""
        self.texts.append(self.format(record) + repr(record.args))


@pytest.fixture
def everything() -> Any:
    """Every logger at DEBUG, python-socketio's and aiohttp's too."""
    handler = Everything()
    names = ("", "socketio", "engineio", "socketio.client", "engineio.client", "aiohttp", "asyncio")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    loggers[0].addHandler(handler)
    yield handler
    loggers[0].removeHandler(handler)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.mark.parametrize("end", ["refused", "http", "garbage", "unreachable", "lost", "fine"])
async def test_no_secret_is_shown(
    transport_to: MakeTransport, everything: Everything, end: str
) -> None:
    """Neither token, nor URL's query or password, nor payload: in no log, repr or error."""
    secrets = ["t0ken", "qu3ry", "passw0rd", "h3ader", "payl0ad"]
    texts: list[str] = []
    evil: dict[str, dict[str, Any]] = {
        "refused": {"answer": '44{"message":"payl0ad"}'},
        "http": {"status": 500},
        "garbage": {"intervals": ("payl0ad", 1)},
    }
    async with RawPeer(**evil.get(end, {})) as peer:
        port = 1 if end == "unreachable" else peer.port
        transport = transport_to(
            f"http://me:passw0rd@127.0.0.1:{port}/?key=qu3ry",
            auth={"token": "t0ken"},
            headers={"X-Key": "h3ader"},
            heartbeat=0.5,
        )
        texts.append(repr(transport))
        try:
            await transport.open()
            peer.wire.send(
                event("whatsapp_qr_updated", {**OWNER, "qr": "payl0ad"}),
                event("whatsapp_qr_updated", {**OWNER, "qr": ["payl0ad"]}),
                event(["payl0ad"]),
                event("nobody", "payl0ad"),
            )
            signal = await receive(transport)
            assert signal == QRUpdated(QRCode("payl0ad"))
            texts.append(repr(signal))
            if end == "lost":
                peer.wire.send_raw(b"\xf1payl0ad")
                await receive(transport)
        except TransportError as error:
            texts += texts_of(error)
            assert end != "fine"
        else:
            assert end == "fine"
        texts.append(repr(transport) + repr(transport.dropped))
        await transport.aclose()
    texts += everything.texts
    assert [(s, text) for s in secrets for text in texts if s in text] == []


async def test_the_net_for_secrets_has_no_hole(everything: Everything) -> None:
    """What python-socketio would say, had it a log of its own, is heard."""
    logging.getLogger("engineio.client").info("Received packet %s", TOKEN)
    assert any(TOKEN in text for text in everything.texts)


def test_the_repr_says_where_and_for_whom(transport_to: MakeTransport) -> None:
    """Scheme, host, port and the two ids; no more."""
    transport = transport_to("https://me:pw@example.org:8443/a?b=c")
    whom = "bot='bot-7' user='user-1'"
    assert repr(transport) == f"<{type(transport).__name__} https://example.org:8443 {whom}>"
    transport = transport_to("wss://example.org/a")
    assert repr(transport) == f"<{type(transport).__name__} wss://example.org {whom}>"
    transport = transport_to("ws://[::1]:8443/a")
    assert repr(transport) == f"<{type(transport).__name__} ws://[::1]:8443 {whom}>"
