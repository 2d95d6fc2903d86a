"""A verdict that is no HTTP status has words too: what the service said, and what to do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from qrlifecycle import PairingRefused, QRExpired, Reason, ServiceRefused, Signal
from qrlifecycle.gateways import GOWA, WAHA, DeviceFlow, WPPConnect
from qrlifecycle.gateways.evolution import SIGNALS

from ..patience import patient_clock
from .services import Canned, json_answer

pytestmark = pytest.mark.anyio

URL = "http://service.example"

SECRET = "s3cret"


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Nothing is waited for."""
    return patient_clock(request.param)


async def evolution(name: str, **data: object) -> Signal | None:
    """What an event of Evolution API's means."""
    payload = {"event": name, "instance": "bot-7", "apikey": SECRET, "data": data}
    signal: Any = SIGNALS[name](payload)
    return signal  # type: ignore[no-any-return]


async def waha(status: str, *, codes: int = 0, engine: str = "NOWEB") -> Signal | None:
    """What WAHA's session comes to after so many codes of a round that was begun here."""
    client = Canned(
        json_answer('{"status": "STOPPED"}'),
        json_answer("{}", 201),
        *[
            answer
            for number in range(codes)
            for answer in (
                json_answer('{"status": "SCAN_QR_CODE"}'),
                json_answer(f'{{"value": "{SECRET}{number}"}}'),
            )
        ],
        json_answer(f'{{"status": "{status}", "engine": {{"engine": "{engine}"}}}}'),
    )
    gateway = WAHA(URL, session="bot-7", http=client)
    if codes:
        await gateway.request_qr()
        for _ in range(codes - 1):
            await gateway.check_status()
    else:
        client._answers = client._answers[-1:]
    return await gateway.check_status()


async def wppconnect() -> Signal | None:
    """What WPPConnect's session comes to that is closed."""
    client = Canned(json_answer(f'{{"status": "CLOSED", "urlcode": "{SECRET}"}}'))
    return await WPPConnect(URL, session="bot-7", token=SECRET, http=client).check_status()


async def gowa(code: str, *, asked: bool = False) -> Signal | None:
    """What a message of GOWA's means."""
    gateway = GOWA(URL, device="bot-7", http=Canned(json_answer("{}")))
    result = {"device_id": "bot-7", "challenge": {"challenge": SECRET}}
    meant: Signal | None = None
    for each in ("PASSKEY_REQUEST", code) if asked else (code,):
        said = gateway._read({"code": each, "message": SECRET, "result": result})
        assert said is not None
        meant = gateway._mine.meaning(said)
    return meant


async def device_flow(error: str) -> Signal | None:
    """What a poll comes to that is answered so."""
    client = Canned(
        json_answer(
            f'{{"device_code": "{SECRET}", "user_code": "ABCD", "interval": 0.01,'
            f'"verification_uri": "{URL}", "expires_in": 600}}'
        ),
        json_answer(f'{{"error": "{error}", "error_description": "{SECRET}"}}', 400),
    )
    gateway = DeviceFlow(
        URL,
        client_id="tv",
        device_endpoint=f"{URL}/device",
        token_endpoint=f"{URL}/token",
        http=client,
    )
    await gateway.request_qr()
    assert gateway._grant is not None
    gateway._grant.due = 0.0
    return await gateway.check_status()


LIMIT = "the instance makes no more codes: nobody scanned any of a round (QRCODE_LIMIT); ask again"
LOG = "the service's own log says why"
UPDATE = "connection.update"
UNTOLD = "which the service does not tell apart"

Ask = Callable[[], Awaitable[Signal | None]]

TOLD: list[tuple[str, Ask, Reason | None, str]] = [
    (
        "evolution, limit",
        lambda: evolution("qrcode.updated", statusCode=500),
        Reason.CODES_USED_UP,
        LIMIT,
    ),
    ("evolution, refused", lambda: evolution(UPDATE, state="refused"), Reason.CODES_USED_UP, LIMIT),
    (
        "evolution, 401",
        lambda: evolution(UPDATE, state="close", statusReason=401),
        Reason.REFUSED_ON_PHONE,
        "closed its connection for good (401): WhatsApp has logged it out",
    ),
    (
        "evolution, 403",
        lambda: evolution(UPDATE, state="close", statusReason=403),
        Reason.REFUSED_BY_SERVICE,
        "closed its connection for good (403): WhatsApp does not allow it for this account; look",
    ),
    (
        "evolution, 440",
        lambda: evolution(UPDATE, state="close", statusReason=440),
        Reason.CONFLICT,
        "closed its connection for good (440): another connection of this instance",
    ),
    ("waha, stopped", lambda: waha("STOPPED"), None, "the session 'bot-7' is STOPPED: somebody"),
    (
        "waha, no code",
        lambda: waha("FAILED"),
        Reason.REFUSED_BY_SERVICE,
        f"the session 'bot-7' is FAILED: it made no code; {LOG}",
    ),
    (
        "waha, between codes",
        lambda: waha("FAILED", codes=2, engine="WEBJS"),
        Reason.REFUSED_BY_SERVICE,
        f"is FAILED: its codes had not run out; {LOG}",
    ),
    (
        "waha, logged out",
        lambda: waha("FAILED", codes=2),
        Reason.REFUSED_ON_PHONE,
        "is FAILED: WhatsApp has logged it out, or it was declined there",
    ),
    (
        "waha, used up",
        lambda: waha("FAILED", codes=6),
        Reason.CODES_USED_UP,
        "is FAILED: nobody scanned any code of its round; ask again",
    ),
    ("wppconnect", wppconnect, None, "the session is CLOSED: its round of codes is over, or it"),
    ("wppconnect, which", wppconnect, None, UNTOLD),
    (
        "gowa, passkey",
        lambda: gowa("PASSKEY_ERROR"),
        Reason.REFUSED_ON_PHONE,
        "the passkey was not accepted (PASSKEY_ERROR); ask for another code",
    ),
    (
        "gowa, logged out",
        lambda: gowa("DEVICE_LOGGED_OUT"),
        None,
        "the device 'bot-7' was logged out (DEVICE_LOGGED_OUT)",
    ),
    (
        "gowa, logged out in between",
        lambda: gowa("DEVICE_LOGGED_OUT", asked=True),
        Reason.REFUSED_ON_PHONE,
        "(DEVICE_LOGGED_OUT) while an answer was waited for; ask for another code",
    ),
    (
        "device flow, declined",
        lambda: device_flow("access_denied"),
        Reason.REFUSED_ON_PHONE,
        "the person has declined: the server says access_denied",
    ),
    (
        "device flow, expired",
        lambda: device_flow("expired_token"),
        None,
        "the server says expired_token",
    ),
    (
        "device flow, refused",
        lambda: device_flow("unauthorized_client"),
        Reason.REFUSED_BY_SERVICE,
        "the server gives no token: unauthorized_client (HTTP 400)",
    ),
]


@pytest.mark.parametrize(
    ("ask", "reason", "said"), [row[1:] for row in TOLD], ids=[row[0] for row in TOLD]
)
async def test_promise_6_what_a_service_says_is_in_the_error(
    ask: Ask, reason: Reason | None, said: str
) -> None:
    """In words of ours, with the name of what it is about, and nothing else of what it sent."""
    signal = await ask()
    assert isinstance(signal, QRExpired if reason is None else PairingRefused)
    assert said in str(signal.error)
    assert SECRET not in str(signal.error)
    if isinstance(signal, PairingRefused):
        assert signal.reason is reason
        assert isinstance(signal.error, ServiceRefused)
        assert signal.error.reason is reason
