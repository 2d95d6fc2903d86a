"""Evolution API v2: what its server really sent, and each of its traps."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
    QRUpdated,
    Reason,
    ServiceRefused,
    ServiceUnavailable,
    Signal,
    WrongAnswer,
)
from qrlifecycle.gateways import EvolutionAPI
from qrlifecycle.gateways.evolution import SIGNALS
from qrlifecycle.gateways.http import Answer
from qrlifecycle.transports.messages import Dropped, read_message

from .recorded import answer_to, exchanges_in
from .services import Canned, code_from, json_answer

pytestmark = pytest.mark.anyio

CODE = QRCode("2@REF,NOISE,IDENTITY,ADV")
JID = "4915100000001@s.whatsapp.net"
OURS = Paired(JID, {"profileName": "Ada"})
SET = json_answer('{"enabled":true,"events":["QRCODE_UPDATED","CONNECTION_UPDATE"]}')


def evolution(client: Any = None, url: str = "http://evo.example", **options: Any) -> EvolutionAPI:
    """A gateway for the instance that the samples are of."""
    more = {"api_key": "k3y", "instance": "bot-7", **options}
    return EvolutionAPI(url, http=client, **more) if client else EvolutionAPI(url, **more)


now = anyio.current_time


# What the real server sent


answered = partial(answer_to, exchanges_in("evolution"))

NOT_READY = answered("/instance/connect/bot-7", '"count":1}')
READY = answered("/instance/connect/bot-7", "2@REF", '"count":1}')
OPEN = answered("/instance/connect/bot-7", "open")
OWNED = answered("/instance/fetchInstances")


async def test_a_fresh_instance_has_no_code_yet_and_is_asked_again() -> None:
    """The real server's first answer has a count and no code; nothing was ever set before."""
    unset, done = answered("/websocket/find/bot-7"), answered("/websocket/set/bot-7")
    client = Canned(unset, done, NOT_READY, NOT_READY, READY)
    assert await code_from(evolution(client)) == CODE
    assert [asked[:2] for asked in client.asked] == [
        ("GET", "http://evo.example/websocket/find/bot-7"),
        ("POST", "http://evo.example/websocket/set/bot-7"),
        *[("GET", "http://evo.example/instance/connect/bot-7")] * 3,
    ]
    assert {asked[2]["apikey"] for asked in client.asked} == {"k3y"}
    assert json.loads(client.contents[1] or b"") == {
        "websocket": {"enabled": True, "events": ["CONNECTION_UPDATE", "QRCODE_UPDATED"]}
    }


async def test_an_instance_that_is_open_is_paired_and_no_token_is_kept() -> None:
    """The real server says whose it is in a list, beside the instance's token and much more."""
    assert await code_from(evolution(Canned(SET, OPEN, OWNED))) == OURS
    state = answered("/instance/connectionState/bot-7", "open")
    client = Canned(state, OWNED)
    assert await evolution(client).check_status() == OURS
    assert client.asked[-1][:2] == (
        "GET",
        "http://evo.example/instance/fetchInstances?instanceName=bot-7",
    )


@pytest.mark.parametrize(
    ("state", "then", "meant"),
    [
        ("close", None, None),
        ("connecting", READY, QRUpdated(CODE)),
        ("connecting", NOT_READY, None),
    ],
)
async def test_what_the_state_means(state: str, then: Answer | None, meant: Signal | None) -> None:
    """`close` is said of a fresh instance and right after a scan: it is no failure."""
    answer = answered("/instance/connectionState/bot-7", f'"{state}"')
    client = Canned(answer, *filter(None, [then]))
    assert await evolution(client).check_status() == meant
    assert len(client.asked) == 1 + (then is not None)


async def test_an_unknown_instance_and_a_wrong_key() -> None:
    """The real server looks for the instance first: 404 with any key, and then 401."""
    unknown = answered("/instance/connectionState/bot-7", "does not exist")
    with pytest.raises(ServiceRefused) as caught:
        await code_from(evolution(Canned(unknown)))
    assert caught.value.reason == Reason.REFUSED_BY_SERVICE
    with pytest.raises(ServiceRefused):
        await evolution(Canned(unknown)).check_status()
    wrong = answered("/instance/connect/bot-7", "Unauthorized")
    with pytest.raises(ServiceRefused) as caught:
        await code_from(evolution(Canned(wrong)))
    assert caught.value.reason == Reason.AUTHENTICATION_REFUSED
    refused = await evolution(Canned(wrong)).check_status()
    assert refused == PairingRefused(Reason.AUTHENTICATION_REFUSED)


def test_the_numbers_are_the_services_own() -> None:
    """Whoever changes one sees what it is for."""
    assert EvolutionAPI.policy == Policy(
        qr_lifetime=45, rotated_lifetime=45, generate_timeout=45, max_reconnects=20
    )


# What it means


def read(name: str, data: object, **envelope: object) -> Signal | Dropped | None:
    """What an event means to the instance."""
    message = {"event": name, "instance": "bot-7", "data": data, "apikey": "t0ken", **envelope}
    return read_message(SIGNALS, name, (message,), "bot-7", "bot-7", owner={"instance": "bot-7"})


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (401, Reason.REFUSED_ON_PHONE),
        (402, Reason.REFUSED_BY_SERVICE),
        (403, Reason.REFUSED_BY_SERVICE),
        (406, Reason.REFUSED_BY_SERVICE),
        (440, Reason.CONFLICT),
    ],
)
def test_why_a_connection_is_closed_for_good(number: int, reason: Reason) -> None:
    """By Baileys' number."""
    meant = PairingRefused(reason, {"statusReason": number})
    assert read("connection.update", {"state": "close", "statusReason": number}) == meant


@pytest.mark.parametrize(
    ("name", "data"),
    [
        *[("connection.update", {"state": "close", "statusReason": n}) for n in (408, 428, 515)],
        ("connection.update", {"state": "close"}),
        ("connection.update", {"state": "close", "statusReason": [401]}),
        ("connection.update", {"state": "connecting", "statusReason": 401}),
        ("connection.update", {"state": "a new word"}),
        ("qrcode.updated", {"qrcode": {"pairingCode": None, "count": 1}}),
        ("qrcode.updated", {"something": "else"}),
    ],
)
def test_what_says_nothing(name: str, data: Mapping[str, object]) -> None:
    """Closed for now, connecting, words that nobody knows, a code that is none."""
    assert read(name, data) is None


@pytest.mark.parametrize(
    ("name", "data", "where"),
    [
        ("qrcode.updated", None, "data"),
        ("qrcode.updated", [], "data"),
        ("qrcode.updated", {"qrcode": []}, "qrcode"),
        ("qrcode.updated", {"qrcode": {"code": ["x"]}}, "code"),
        ("qrcode.updated", {"qrcode": {"code": "2@A", "pairingCode": {}}}, "pairingCode"),
        ("connection.update", "x", "data"),
        ("connection.update", {"state": "open", "wuid": []}, "wuid"),
    ],
)
def test_what_cannot_be_meant_is_dropped(name: str, data: object, where: str) -> None:
    """It is counted as malformed; the field is named, its value is not."""
    dropped = read(name, data)
    assert isinstance(dropped, Dropped)
    assert dropped.why.startswith(f"'{where}' must be ")


@pytest.mark.parametrize("name", SIGNALS)
def test_a_message_that_is_no_object_is_dropped(name: str) -> None:
    """A bare text that is the instance's name, say."""
    dropped = read_message(SIGNALS, name, ("bot-7",), "bot-7", "bot-7", owner={"instance": "bot-7"})
    assert isinstance(dropped, Dropped)
    assert dropped.why.startswith("'payload' must be an object")


def test_what_is_not_known_is_not_handed_on() -> None:
    """A name that is null is none."""
    data = {"state": "open", "wuid": JID, "profileName": None, "profilePictureUrl": "https://x"}
    assert read("connection.update", data) == Paired(JID, {})


def test_a_code_has_two_faces() -> None:
    """With a phone's number, there is a text to type beside the picture."""
    data = {"qrcode": {"pairingCode": "WZYEH1YY", "code": "2@A", "base64": "data:image/png;x"}}
    assert read("qrcode.updated", data) == QRUpdated(QRCode("2@A", typed="WZYEH1YY"))


async def test_a_phones_number_is_sent_as_the_service_takes_it() -> None:
    """In digits."""
    client = Canned(SET, json_answer('{"code":"2@A","pairingCode":"WZYEH1YY"}'))
    code = await code_from(evolution(client, phone_number="+49 (151) 000-0001"))
    assert code == QRCode("2@A", typed="WZYEH1YY")
    assert client.asked[-1][1].endswith("/instance/connect/bot-7?number=491510000001")


@pytest.mark.parametrize(
    "number", ["", "4915", "bot", 4915100000001, "+49151x0000001", "٤٩١٥١٠٠٠٠"]
)
def test_a_number_that_is_none_is_refused(number: Any) -> None:
    """Before anything is asked for."""
    with pytest.raises(InvalidValue, match="phone_number must be the whole number"):
        evolution(phone_number=number)


def test_an_instance_that_can_have_no_namespace_is_refused() -> None:
    """Except where everybody is told everything, in one."""
    assert evolution().transport().subject == ("bot-7",)
    assert evolution(phone_number="+4915100").account == "bot-7"
    with pytest.raises(InvalidValue, match="namespace"):
        evolution(instance="a,b")
    assert evolution(instance="a,b", global_events=True).account == "a,b"
    with pytest.raises(InvalidValue, match=r"^api_key is empty"):
        evolution(api_key="")
    with pytest.raises(WrongAnswer, match=r"^api_key must be text"):
        evolution(api_key=7)


@pytest.mark.parametrize(
    ("found", "asked"),
    [
        ({"enabled": True, "events": ["CALL", "QRCODE_UPDATED", "CONNECTION_UPDATE"]}, None),
        (
            {"enabled": True, "events": ["CALL", "QRCODE_UPDATED"]},
            ["CALL", "CONNECTION_UPDATE", "QRCODE_UPDATED"],
        ),
        (
            {"enabled": False, "events": ["QRCODE_UPDATED", "CONNECTION_UPDATE"]},
            ["CONNECTION_UPDATE", "QRCODE_UPDATED"],
        ),
        ({"enabled": True, "events": None}, ["CONNECTION_UPDATE", "QRCODE_UPDATED"]),
    ],
)
async def test_what_an_instance_tells_already_stays_as_it_is(
    found: object, asked: list[str] | None
) -> None:
    """Only what is missing is added, and nothing is set that is set."""
    client = Canned(json_answer(json.dumps(found)), *[READY] * 2)
    await code_from(evolution(client))
    sent = [json.loads(content) for content in client.contents if content]
    assert [one["websocket"]["events"] for one in sent] == ([] if asked is None else [asked])


async def test_what_is_set_and_cannot_be_read_is_no_answer() -> None:
    """It names the part of the service that it is of."""
    with pytest.raises(ServiceUnavailable, match="cannot be read: 'websocket' must be an object"):
        await code_from(evolution(Canned(json_answer("[7]"))))


async def test_a_refusal_to_set_anything_is_one() -> None:
    """Though the next request might be answered."""
    wrong = answered("/instance/connect/bot-7", "Unauthorized")
    with pytest.raises(ServiceRefused):
        await code_from(evolution(Canned(wrong, READY)))


async def test_an_owner_that_cannot_be_read_is_no_answer() -> None:
    """It names what it is."""
    rows = json_answer('[{"name":"bot-7","connectionStatus":"open","ownerJid":{"x":1}}]')
    with pytest.raises(ServiceUnavailable, match="'ownerJid' must be text"):
        await code_from(evolution(Canned(SET, OPEN, rows)))


async def test_where_everybody_is_told_everything_nothing_is_set() -> None:
    """The first request is for the code."""
    client = Canned(READY)
    await code_from(evolution(client, global_events=True))
    assert [asked[1] for asked in client.asked] == ["http://evo.example/instance/connect/bot-7"]


async def test_a_server_without_websockets_answers_with_nothing() -> None:
    """Nothing at all is no trouble yet: the code is asked for."""
    client = Canned(Answer(200, b""), Answer(201, b""), READY)
    assert await code_from(evolution(client)) == CODE


async def test_an_error_with_http_200_is_about_the_moment() -> None:
    """The instance and the key were looked at before: it is not loaded yet, say."""
    client = Canned(SET, json_answer('{"error":true,"message":"Error: secret"}'))
    with pytest.raises(ServiceUnavailable, match="cannot connect the instance just now"):
        await code_from(evolution(client))


async def test_a_code_may_be_one_object_further_in() -> None:
    """So it is where the state is none of the three."""
    further = json_answer('{"instance":{"status":"x"},"qrcode":{"code":"2@A"}}')
    assert await code_from(evolution(Canned(SET, further))) == QRCode("2@A")


@pytest.mark.parametrize(
    "rows",
    [
        '[{"name":"bot-7","connectionStatus":"connecting","ownerJid":"last-year@x"}]',
        '[{"name":"bot-7","connectionStatus":"open","ownerJid":null}]',
        '[{"name":"bot-8","connectionStatus":"open","ownerJid":"another@x"}]',
        '{"bot-7":1}',
        "[7]",
    ],
)
async def test_whose_it_is_is_written_down_later_than_that_it_is_open(rows: str) -> None:
    """It is read again; whose it was before, and another's, is not whose it is."""
    client = Canned(json_answer('{"instance":{"state":"open"}}'), json_answer(rows), OWNED)
    assert await evolution(client).check_status() == OURS
    client, began = Canned(json_answer('{"instance":{"state":"open"}}'), json_answer(rows)), now()
    assert await evolution(client).check_status() == Paired()
    assert (len(client.asked), now() - began) == (5, pytest.approx(1.5))
