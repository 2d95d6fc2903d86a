"""wppconnect-server: what it really sent, and each of its traps."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import pytest

from qrlifecycle import (
    InvalidValue,
    Paired,
    PairingRefused,
    Policy,
    QRCode,
    QRExpired,
    QRUpdated,
    Reason,
    ServiceRefused,
    ServiceUnavailable,
    Signal,
    StatusChanged,
    WrongAnswer,
)
from qrlifecycle.gateways import WPPConnect
from qrlifecycle.gateways.http import Answer
from qrlifecycle.gateways.wppconnect import SIGNALS
from qrlifecycle.transports.messages import Dropped, read_message

from .recorded import answer_to, exchanges_in
from .services import Canned, code_from, json_answer

pytestmark = pytest.mark.anyio

CODE = QRCode("2@REF,NOISE,IDENTITY,ADV")
JID = "4915100000001@c.us"
OURS = Paired(JID, {"pushname": "Ada"})
NO = Answer(404, b'{"response":null,"status":"Disconnected"}')


def wppconnect(client: Any = None, url: str = "http://wpp.example", **options: Any) -> WPPConnect:
    """A gateway for the session that the samples are of."""
    more: dict[str, Any] = {
        "session": "bot-7",
        **({} if "secret_key" in options else {"token": "t0ken"}),
    }
    return WPPConnect(url, http=client, **{**more, **options})


def asked_for(client: Canned) -> list[str]:
    """What was asked for, without where."""
    return [f"{how} {url.removeprefix('http://wpp.example')}" for how, url, _ in client.asked]


# What the real server sent


answered = partial(answer_to, exchanges_in("wppconnect"))

CLOSED = answered("/status-session", "CLOSED")
STARTED = answered("/start-session", "CLOSED")
SHOWN = answered("/status-session", '"QRCODE"')
CONNECTED = answered("/status-session", "CONNECTED")
DEVICE = answered("/host-device")
WRONG_TOKEN = answered("/api/bot-7/status-session", "Session and Token are correct")
INITIALIZING = json_answer('{"status":"INITIALIZING","qrcode":null,"urlcode":""}')
UNKNOWN = json_answer('{"status":"CLOSED","qrcode":null}')


async def test_a_code_of_before_is_none() -> None:
    """The real server's answers have one beside `CLOSED`, also the answer to the start."""
    assert b"2@REF" in CLOSED.content
    assert b"2@REF" in STARTED.content
    client = Canned(CLOSED, STARTED, CLOSED, INITIALIZING, SHOWN)
    assert await code_from(wppconnect(client)) == CODE
    assert asked_for(client) == [
        "GET /api/bot-7/status-session",
        "POST /api/bot-7/start-session",
        *["GET /api/bot-7/status-session"] * 3,
    ]
    assert client.contents[1] == b'{"waitQrCode":false}'
    assert {asked[2]["Authorization"] for asked in client.asked} == {"Bearer t0ken"}


async def test_a_session_that_shows_a_code_is_not_started_again() -> None:
    """Another tab has begun."""
    client = Canned(SHOWN)
    assert await code_from(wppconnect(client)) == CODE
    assert asked_for(client) == ["GET /api/bot-7/status-session"]


async def test_a_session_that_is_connected_is_paired_though_a_code_is_there() -> None:
    """The real server keeps the code of before; whose it is the device says."""
    assert b"2@REF" in CONNECTED.content
    assert await code_from(wppconnect(Canned(CONNECTED, DEVICE))) == OURS
    client = Canned(CONNECTED, DEVICE)
    assert await wppconnect(client).check_status() == OURS
    assert asked_for(client)[-1] == "GET /api/bot-7/host-device"


@pytest.mark.parametrize(
    ("status", "meant"),
    [
        (CLOSED, QRExpired()),
        (UNKNOWN, QRExpired()),
        (SHOWN, QRUpdated(CODE)),
        (INITIALIZING, None),
        (json_answer('{"status":"A NEW WORD","urlcode":"2@A"}'), None),
        (json_answer('{"status":"QRCODE","urlcode":null}'), None),
    ],
)
async def test_what_the_status_means(status: Answer, meant: Signal | None) -> None:
    """Closed is an expiry, whatever it came of."""
    assert await wppconnect(Canned(status)).check_status() == meant


async def test_a_status_with_a_picture_only() -> None:
    """It is the code, drawn by the service."""
    picture = "data:image/png;base64,iVBORw0KGgo="
    client = Canned(json_answer(f'{{"status":"QRCODE","qrcode":"{picture}"}}'))
    code = await code_from(wppconnect(client))
    assert code == QRCode(picture)
    assert isinstance(code, QRCode)
    assert code.picture is not None


@pytest.mark.parametrize(
    "answer", [WRONG_TOKEN, answered("/api/bot-7/status-session", "Token is not present")]
)
async def test_a_wrong_token(answer: Answer) -> None:
    """The real server says 401, also of another session's token."""
    assert answer.status_code == 401
    with pytest.raises(ServiceRefused) as caught:
        await code_from(wppconnect(Canned(answer)))
    assert caught.value.reason == Reason.AUTHENTICATION_REFUSED
    refused = await wppconnect(Canned(answer)).check_status()
    assert refused == PairingRefused(Reason.AUTHENTICATION_REFUSED)


MADE = json_answer('{"status":"success","session":"bot-7","token":"m4de","full":"bot-7:m4de"}', 201)


async def test_a_wrong_secret() -> None:
    """The real server says 400 to that, which elsewhere is the request's fault."""
    wrong = answered("/wrong/generate-token")
    assert wrong.status_code == 400
    with pytest.raises(ServiceRefused, match="does not accept the secret key") as caught:
        await code_from(wppconnect(Canned(wrong), secret_key="wr/ng"))
    assert caught.value.reason == Reason.AUTHENTICATION_REFUSED
    refused = await wppconnect(Canned(wrong), secret_key="wr/ng").check_status()
    assert refused == PairingRefused(Reason.AUTHENTICATION_REFUSED)


async def test_a_token_is_made_by_the_secret_and_kept() -> None:
    """Once; and once more, with the secret as it is then, if it is not accepted any more."""
    secrets = iter(["one/+", "two"])

    async def secret() -> str:
        return next(secrets)

    again = json_answer('{"token":"ag4in"}', 201)
    client = Canned(MADE, SHOWN, SHOWN, WRONG_TOKEN, again, SHOWN)
    gateway = wppconnect(client, secret_key=secret)
    for _ in range(3):
        assert await gateway.check_status() == QRUpdated(CODE)
    assert asked_for(client) == [
        "POST /api/bot-7/one%2F%2B/generate-token",
        *["GET /api/bot-7/status-session"] * 3,
        "POST /api/bot-7/two/generate-token",
        "GET /api/bot-7/status-session",
    ]
    used = [asked[2].get("Authorization") for asked in client.asked]
    assert used == [None, *["Bearer m4de"] * 3, None, "Bearer ag4in"]


async def test_a_token_that_was_just_made_and_is_refused_is_the_end() -> None:
    """No more are made by the same secret."""
    client = Canned(MADE, WRONG_TOKEN)
    refused = await wppconnect(client, secret_key="s").check_status()
    assert refused == PairingRefused(Reason.AUTHENTICATION_REFUSED)
    assert len(client.asked) == 2


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (json_answer("{}", 201), "'token' must be text that is not empty"),
        (json_answer('{"token":""}', 201), "'token' must be text that is not empty"),
        (json_answer('{"token":[]}', 201), "'token' must be text or a number"),
        (json_answer('{"token":"m4de"}', 502), "HTTP 502"),
    ],
)
async def test_no_token_is_no_answer(answer: Answer, said: str) -> None:
    """It is asked for again."""
    with pytest.raises(ServiceUnavailable, match=said):
        await code_from(wppconnect(Canned(answer, SHOWN), secret_key="s"))


async def test_a_start_that_is_made_once_more_says_the_same() -> None:
    """With the token that was made meanwhile."""
    client = Canned(MADE, CLOSED, WRONG_TOKEN, MADE, STARTED, SHOWN)
    assert await code_from(wppconnect(client, secret_key="s")) == CODE
    assert [content for content in client.contents if content] == [b'{"waitQrCode":false}'] * 2


@pytest.mark.parametrize(
    ("status", "field"),
    [
        ('{"status":"QRCODE","urlcode":[]}', "urlcode"),
        ('{"status":"QRCODE","urlcode":"","qrcode":{}}', "qrcode"),
    ],
)
async def test_a_code_that_cannot_be_read_is_no_answer(status: str, field: str) -> None:
    """The field is named."""
    with pytest.raises(ServiceUnavailable, match=f"'{field}' must be text"):
        await wppconnect(Canned(json_answer(status))).check_status()


async def test_an_owner_that_cannot_be_read_is_no_answer() -> None:
    """And what is not known is not handed on."""
    owner = '{"response":{"pushname":null,"phoneNumber":{"_serialized":%s}}}'
    gateway = wppconnect(Canned(CONNECTED, json_answer(owner % "[]")))
    with pytest.raises(ServiceUnavailable, match="'_serialized' must be text"):
        await gateway.check_status()
    gateway = wppconnect(Canned(CONNECTED, json_answer(owner % f'"{JID}"')))
    assert await gateway.check_status() == Paired(JID, {})


async def test_a_fresh_token_for_each_request() -> None:
    """Where it is a function that gives it."""
    tokens = iter(["one", "two"])

    async def token() -> str:
        return next(tokens)

    client = Canned(UNKNOWN)
    gateway = wppconnect(client, token=token)
    await gateway.check_status()
    await gateway.check_status()
    assert [asked[2]["Authorization"] for asked in client.asked] == ["Bearer one", "Bearer two"]


def test_the_numbers_are_the_services_own() -> None:
    """Whoever changes one sees what it is for."""
    assert WPPConnect.policy == Policy(
        generate_timeout=60, status_interval=5, confirm_success=True, max_reconnects=15
    )


# What it means


def read(name: str, *args: object) -> Signal | Dropped | None:
    """What an event means to the session."""
    return read_message(SIGNALS, name, args, "bot-7", "bot-7", owner={"session": "bot-7"})


def test_an_error_is_told_by_the_sessions_bare_name() -> None:
    """The status says what became of it; another's is another's."""
    assert read("session-error", "bot-7") == StatusChanged()
    assert isinstance(read("session-error", "bot-8"), Dropped)


def test_who_is_logged_out_is_not_logged_in() -> None:
    """Only the word for it is a claim, and only with its owner's name."""
    assert read("session-logged", {"status": False, "session": "bot-7"}) == StatusChanged()
    for said in ({"status": True}, {"status": True, "session": "bot-8"}, True, "x"):
        assert isinstance(read("session-logged", said), Dropped)
    dropped = read("session-logged", "bot-7")
    assert isinstance(dropped, Dropped)
    assert dropped.why.startswith("'payload' must be an object")


def test_one_of_the_token_and_the_secret() -> None:
    """Not both, and not none."""
    make: Any = WPPConnect
    for options in ({}, {"token": "a", "secret_key": "b"}):
        with pytest.raises(
            WrongAnswer, match=r"^give token= or secret_key=, one of them"
        ) as caught:
            make("http://wpp.example", session="bot-7", **options)
        assert "QRLIFECYCLE_TOKEN or QRLIFECYCLE_SECRET_KEY" in str(caught.value)
    for name in ("token", "secret_key"):
        with pytest.raises(InvalidValue, match=rf"^{name} is empty"):
            make("http://wpp.example", session="bot-7", **{name: ""})


@pytest.mark.parametrize("device", [NO, Answer(500, b""), json_answer('{"response":{}}')])
async def test_whose_it_is_is_known_a_moment_later(device: Answer) -> None:
    """The page in the browser is not there yet; what it never says is not known."""
    client = Canned(CONNECTED, device, DEVICE)
    assert await wppconnect(client).check_status() == OURS
    client, began = Canned(CONNECTED, device), anyio.current_time()
    assert await wppconnect(client).check_status() == Paired()
    assert (len(client.asked), anyio.current_time() - began) == (5, pytest.approx(1.5))


async def test_a_token_that_is_withdrawn_meanwhile_is_no_account_without_a_name() -> None:
    """It is read again, and the status is refused as well."""
    with pytest.raises(ServiceRefused):
        await wppconnect(Canned(CONNECTED, WRONG_TOKEN)).check_status()


async def test_a_session_that_is_starting_is_not_started() -> None:
    """Somebody has started it already, or it does by itself after a restart."""
    client = Canned(INITIALIZING, INITIALIZING, SHOWN)
    assert await code_from(wppconnect(client)) == CODE
    assert {one.partition(" ")[0] for one in asked_for(client)} == {"GET"}


async def test_another_refusal_of_the_status_is_no_answer() -> None:
    """A proxy's 404, say, while the service restarts: it is read again."""
    with pytest.raises(ServiceRefused, match="HTTP 404"):
        await wppconnect(Canned(NO)).check_status()


async def test_a_browser_that_cannot_start_is_not_started_twice_a_second() -> None:
    """The session is closed again at once."""
    client = Canned(CLOSED)
    with anyio.move_on_after(26):
        await code_from(wppconnect(client))
    started = [one for one in asked_for(client) if one.startswith("POST")]
    assert len(started) == 6
