"""Each exchange with a real server is read back into what it means, none is passed over.

Those of WAHA and of oidc-provider are in the tests of these gateways.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import pytest

from qrlifecycle import Paired, PairingRefused, QRCode, QRExpired, QRUpdated, Reason, ServiceRefused
from qrlifecycle.gateways import EvolutionAPI, WPPConnect

from .recorded import Exchange, answer_to, exchanges_in
from .services import Canned, code_from, json_answer

pytestmark = pytest.mark.anyio

NOT_OURS = "the gateway never asks for it"
REFUSED, UNKNOWN = Reason.AUTHENTICATION_REFUSED, Reason.REFUSED_BY_SERVICE
CODE = QRCode("2@REF,NOISE,IDENTITY,ADV")
ASKED_AGAIN = QRCode("the next answer's")

Meaning = Callable[[Exchange], Awaitable[object]]
Expected = Sequence[tuple[str, object]]


async def check(exchanges: Sequence[Exchange], expected: Expected, meaning: Meaning) -> None:
    """Each is for this path, and means that."""
    for exchange, (path, meant) in zip(exchanges, expected, strict=True):
        assert exchange.asked.split(" -d ")[0].endswith(path)
        if meant is not NOT_OURS:
            assert await meaning(exchange) == meant, exchange


async def reason_or(asked: Awaitable[object]) -> object:
    """What is given back, or the reason of the refusal; `ServiceRefused` without one is a text."""
    try:
        return await asked
    except ServiceRefused as error:
        return error.reason


EVOLUTION = exchanges_in("evolution")
EVOLUTIONS_OWN = Paired("4915100000001@s.whatsapp.net", {"profileName": "Ada"})
STATE, CONNECT = "/instance/connectionState/bot-7", "/instance/connect/bot-7"
FIND, SET = "/websocket/find/bot-7", "/websocket/set/bot-7"

EVOLUTION_MEANS = [
    ("/", NOT_OURS),
    *[(STATE, UNKNOWN)] * 3,
    ("/instance/connect/nobody", UNKNOWN),
    ("/instance/create", NOT_OURS),
    (STATE, None),  # close
    (FIND, "set afresh"),  # null
    *[(SET, CODE)] * 2,
    (FIND, "left as it is"),
    (CONNECT, ASKED_AGAIN),
    (CONNECT, CODE),
    (STATE, QRUpdated(CODE)),
    *[(STATE, PairingRefused(REFUSED))] * 2,
    (CONNECT, REFUSED),
    (STATE, QRUpdated(CODE)),  # by the instance's own token
    (STATE, None),  # close, right after a scan
    (STATE, EVOLUTIONS_OWN),
    (CONNECT, EVOLUTIONS_OWN),
    ("/instance/fetchInstances", EVOLUTIONS_OWN),
    ("/instance/logout/bot-7", NOT_OURS),
    (STATE, None),
    (CONNECT, CODE),  # another round, whatever its count
]


async def evolution_means(exchange: Exchange) -> object:
    """What an answer is to whoever asks for what it was an answer to."""
    path = exchange.asked.split(" -d ")[0]
    code = answer_to(EVOLUTION, CONNECT, "2@REF")
    owner = answer_to(EVOLUTION, "/instance/fetchInstances")
    is_set = json_answer('{"enabled":true,"events":["QRCODE_UPDATED","CONNECTION_UPDATE"]}')
    if path.endswith(STATE):
        follows = owner if b'"open"' in exchange.answer.content else code
        answers = [exchange.answer, follows]
    elif path.endswith("fetchInstances"):
        answers = [answer_to(EVOLUTION, STATE, '"open"'), exchange.answer]
    elif path.endswith(SET):
        answers = [json_answer("null"), exchange.answer, code]
    elif path.endswith(FIND):
        answers = [exchange.answer, code]
    else:
        opened = b'"open"' in exchange.answer.content
        another = json_answer('{"code":"the next answer\'s"}')
        answers = [is_set, exchange.answer, owner if opened else another]
    client = Canned(*answers)
    gateway = EvolutionAPI("http://evo.example", api_key="k3y", instance="bot-7", http=client)
    if path.endswith((STATE, "fetchInstances")):
        return await reason_or(gateway.check_status())
    found = await reason_or(code_from(gateway))
    if path.endswith(FIND):
        sets = any(url.endswith(SET) for _, url, _ in client.asked)
        return "set afresh" if sets else "left as it is"
    return found


async def test_each_answer_of_evolution_api_means_something() -> None:
    """As the code, the signal or the refusal that it means; "not ready" is asked again."""
    await check(EVOLUTION, EVOLUTION_MEANS, evolution_means)


WPPCONNECT = exchanges_in("wppconnect")
WPPCONNECTS_OWN = Paired("4915100000001@c.us", {"pushname": "Ada"})
MAKE, STATUS, START = "/generate-token", "/bot-7/status-session", "/bot-7/start-session"
REFUSED_STATUS = PairingRefused(REFUSED)

WPPCONNECT_MEANS = [
    (MAKE, REFUSED),
    (MAKE, CODE),
    (STATUS, REFUSED_STATUS),
    (STATUS, REFUSED_STATUS),
    ("/other/status-session", REFUSED_STATUS),
    (STATUS, QRExpired()),  # with a code of before
    (START, ASKED_AGAIN),  # the same; what it says is not read
    *[(STATUS, QRUpdated(CODE))] * 2,
    (START, ASKED_AGAIN),
    ("/bot-7/check-connection-session", NOT_OURS),
    (STATUS, QRUpdated(CODE)),
    (STATUS, WPPCONNECTS_OWN),  # with a code of before
    ("/bot-7/check-connection-session", NOT_OURS),
    ("/bot-7/host-device", WPPCONNECTS_OWN),
    (START, ASKED_AGAIN),
    ("/bot-7/logout-session", NOT_OURS),
]


async def wppconnect_means(exchange: Exchange) -> object:
    """What an answer is to whoever asks for what it was an answer to."""
    path = exchange.asked.split(" -d ")[0]
    shown = answer_to(WPPCONNECT, STATUS, '"QRCODE"')
    connected = answer_to(WPPCONNECT, STATUS, '"CONNECTED"')
    if path.endswith(MAKE):
        client = Canned(exchange.answer, shown)
    elif path.endswith(START):
        closed = answer_to(WPPCONNECT, STATUS, '"CLOSED"')
        another = json_answer('{"status":"QRCODE","urlcode":"the next answer\'s"}')
        client = Canned(closed, exchange.answer, another)
    elif path.endswith("host-device"):
        client = Canned(connected, exchange.answer)
    else:
        client = Canned(exchange.answer, answer_to(WPPCONNECT, "/host-device"))
    secret, token = ("s3cret", None) if path.endswith(MAKE) else (None, "t0ken")
    gateway = WPPConnect(
        "http://wpp.example", session="bot-7", secret_key=secret, token=token, http=client
    )
    if path.endswith((MAKE, START)):
        return await reason_or(code_from(gateway))
    return await reason_or(gateway.check_status())


async def test_each_answer_of_wppconnect_server_means_something() -> None:
    """As the code, the signal or the refusal that it means; a code of before is none."""
    await check(WPPCONNECT, WPPCONNECT_MEANS, wppconnect_means)
