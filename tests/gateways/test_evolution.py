"""Evolution API v2: what its server really sent, and each of its traps."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from qrlifecycle import (
    Connected,
    Failed,
    InvalidValue,
    Paired,
    PairingRefused,
    QRCode,
    QRUpdated,
    Reason,
    ServiceRefused,
    ServiceUnavailable,
    Signal,
    TransportRefused,
    TransportUnreachable,
    WrongAnswer,
)
from qrlifecycle.errors import Ending
from qrlifecycle.gateways import EvolutionAPI
from qrlifecycle.gateways.evolution import SIGNALS
from qrlifecycle.gateways.http import Answer
from qrlifecycle.testing.gateways import EvolutionEmulator
from qrlifecycle.testing.http_server import HTTPServer, Request, Response
from qrlifecycle.transports.messages import Dropped, read_message

from ..patience import HANGS, patient_clock
from .recorded import SAMPLES, exchanges_in, heard_from, messages_in, saying
from .services import Canned, json_answer

pytestmark = pytest.mark.anyio

CODE = QRCode("2@REF,NOISE,IDENTITY,ADV")
JID = "4915100000001@s.whatsapp.net"
OURS = Paired(JID, {"profileName": "Ada"})
SET = json_answer('{"enabled":true,"events":["QRCODE_UPDATED","CONNECTION_UPDATE"]}')


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Real sockets, on a clock that waits for them."""
    return patient_clock(request.param)


def evolution(client: Any = None, url: str = "http://evo.example", **options: Any) -> EvolutionAPI:
    """A gateway for the instance that the samples are of."""
    more = {"api_key": "k3y", "instance": "bot-7", **options}
    return EvolutionAPI(url, http=client, **more) if client else EvolutionAPI(url, **more)


# What the real server sent


EXCHANGES = exchanges_in("evolution")


def answered(path: str, *containing: str) -> Answer:
    """The first answer to a request for this path that has all of these in it."""
    return next(
        answer
        for asked, answer in EXCHANGES
        if asked.split(" -d ")[0].endswith(path)
        and all(one in answer.content.decode() for one in containing)
    )


NOT_READY = answered("/instance/connect/bot-7", '"count":1}')
READY = answered("/instance/connect/bot-7", "2@REF", '"count":1}')
OPEN = answered("/instance/connect/bot-7", "open")
OWNED = answered("/instance/fetchInstances")


async def test_a_fresh_instance_has_no_code_yet_and_is_asked_again() -> None:
    """The real server's first answer has a count and no code; nothing was ever set before."""
    unset, done = answered("/websocket/find/bot-7"), answered("/websocket/set/bot-7")
    client = Canned(unset, done, NOT_READY, NOT_READY, READY)
    assert await evolution(client).request_qr() == CODE
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
    assert await evolution(Canned(SET, OPEN, OWNED)).request_qr() == OURS
    state = answered("/instance/connectionState/bot-7", "open")
    client = Canned(state, OWNED)
    assert await evolution(client).check_status() == OURS
    assert client.asked[-1][1].endswith("/instance/fetchInstances?instanceName=bot-7")


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
        await evolution(Canned(unknown)).request_qr()
    assert caught.value.reason == Reason.REFUSED_BY_SERVICE
    with pytest.raises(ServiceRefused):
        await evolution(Canned(unknown)).check_status()
    wrong = answered("/instance/connect/bot-7", "Unauthorized")
    with pytest.raises(ServiceRefused) as caught:
        await evolution(Canned(wrong)).request_qr()
    assert caught.value.reason == Reason.AUTHENTICATION_REFUSED
    refused = await evolution(Canned(wrong)).check_status()
    assert refused == PairingRefused(Reason.AUTHENTICATION_REFUSED)


async def test_the_messages_of_one_instance() -> None:
    """Pairing, a logout, a refusal on the phone, three codes, and the limit: as they came."""
    on_phone = PairingRefused(Reason.REFUSED_ON_PHONE, {"statusReason": 401})
    over = PairingRefused(Reason.CODES_USED_UP)
    code = QRUpdated(CODE)
    meant = [code, OURS, on_phone, code, on_phone, code, code, code, over, over, code]
    messages = messages_in("evolution", "frames.txt")
    async with saying(messages) as server:
        heard = await heard_from(evolution(url=server.url), len(meant))
    assert heard == meant
    assert all("apikey" in message for message in messages[2:])
    assert [dict(signal.data) for signal in heard if isinstance(signal, Paired)] == [
        {"profileName": "Ada"}
    ]


async def test_the_messages_of_everybody() -> None:
    """Another instance's success comes in between; it is none of ours."""
    code = QRUpdated(CODE)
    async with saying(messages_in("evolution", "frames-global.txt")) as server:
        gateway = evolution(url=server.url, global_events=True)
        assert await heard_from(gateway, 4) == [code, code, code, OURS]
        another = evolution(url=server.url, global_events=True, instance="bot-8")
        refused = PairingRefused(Reason.REFUSED_ON_PHONE, {"statusReason": 401})
        theirs = Paired("4999@s.whatsapp.net", {"profileName": "Ada"})
        assert await heard_from(another, 3) == [refused, code, theirs]


async def test_a_namespace_that_is_not_there_yet_may_come() -> None:
    """The real server's word for it is no refusal: it is waited for."""
    messages = messages_in("evolution", "frames-no-namespace.txt")
    async with saying(messages) as server:
        with pytest.raises(TransportUnreachable) as caught:
            await evolution(url=server.url, instance="never").transport().open()
    assert caught.value.ending is Ending.NOT_CONNECTED


async def test_the_real_servers_no_to_a_websocket_is_a_refusal() -> None:
    """HTTP 400 and a text to a WebSocket, 403 to the same without one."""
    polled, websocket = exchanges_of_the_wrong_key()

    async def answer(request: Request) -> Response | bytes:
        return websocket if request.query["transport"] == "websocket" else polled

    async with HTTPServer(answer) as server:
        with pytest.raises(TransportRefused) as caught:
            await evolution(url=server.url).transport().open()
    assert (caught.value.ending, caught.value.status) == (Ending.REFUSED, 400)
    assert "HTTP 400 to WebSocket, and 403 without" in str(caught.value)


def exchanges_of_the_wrong_key() -> tuple[Response, bytes]:
    """The two answers, the first without its chunks."""
    text = (SAMPLES / "evolution" / "socket-wrong-key.txt").read_text()
    first, middle, second = text.partition("HTTP/1.1 400")
    body = first.partition("\n\n")[2]
    assert json.loads(body) == {"code": 4, "message": "Invalid global token"}
    head, _, said = f"{middle}{second}".partition("\n\n")
    raw = head.replace("\n", "\r\n") + "\r\n\r\n" + said.strip()
    return Response(json.loads(body), 403), raw.encode()


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


@pytest.mark.parametrize("data", [None, [], "x", {"qrcode": []}, {"qrcode": {"code": ["x"]}}])
def test_what_cannot_be_meant_is_dropped(data: object) -> None:
    """It is counted as malformed."""
    assert isinstance(read("qrcode.updated", data), Dropped)


def test_a_code_has_two_faces() -> None:
    """With a phone's number, there is a text to type beside the picture."""
    data = {"qrcode": {"pairingCode": "WZYEH1YY", "code": "2@A", "base64": "data:image/png;x"}}
    assert read("qrcode.updated", data) == QRUpdated(QRCode("2@A", typed="WZYEH1YY"))


async def test_a_phones_number_is_sent_as_the_service_takes_it() -> None:
    """In digits."""
    client = Canned(SET, json_answer('{"code":"2@A","pairingCode":"WZYEH1YY"}'))
    code = await evolution(client, phone_number="+49 (151) 000-0001").request_qr()
    assert code == QRCode("2@A", typed="WZYEH1YY")
    assert client.asked[-1][1].endswith("/instance/connect/bot-7?number=491510000001")


@pytest.mark.parametrize(
    "number", ["", "4915", "bot", 4915100000001, "+49151x0000001", "٤٩١٥١٠٠٠٠"]
)
def test_a_number_that_is_none_is_refused(number: Any) -> None:
    """Before anything is asked for."""
    with pytest.raises(InvalidValue, match="phone_number must be text: a number with"):
        evolution(phone_number=number)


def test_an_instance_that_can_have_no_namespace_is_refused() -> None:
    """Except where everybody is told everything, in one."""
    with pytest.raises(InvalidValue, match="namespace"):
        evolution(instance="a,b")
    assert evolution(instance="a,b", global_events=True).account == "a,b"
    with pytest.raises(InvalidValue, match="api_key is empty"):
        evolution(api_key="")
    with pytest.raises(WrongAnswer, match="api_key must be text"):
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
    await evolution(client).request_qr()
    sent = [json.loads(content) for content in client.contents if content]
    assert [one["websocket"]["events"] for one in sent] == ([] if asked is None else [asked])


async def test_where_everybody_is_told_everything_nothing_is_set() -> None:
    """The first request is for the code."""
    client = Canned(READY)
    await evolution(client, global_events=True).request_qr()
    assert [asked[1] for asked in client.asked] == ["http://evo.example/instance/connect/bot-7"]


async def test_a_server_without_websockets_answers_with_nothing() -> None:
    """Nothing at all is no trouble yet: the code is asked for."""
    client = Canned(Answer(200, b""), Answer(201, b""), READY)
    assert await evolution(client).request_qr() == CODE


async def test_an_error_with_http_200_is_about_the_moment() -> None:
    """The instance and the key were looked at before: it is not loaded yet, say."""
    client = Canned(SET, json_answer('{"error":true,"message":"Error: secret"}'))
    with pytest.raises(ServiceUnavailable, match="cannot connect the instance just now"):
        await evolution(client).request_qr()


async def test_a_code_may_be_one_object_further_in() -> None:
    """So it is where the state is none of the three."""
    further = json_answer('{"instance":{"status":"x"},"qrcode":{"code":"2@A"}}')
    assert await evolution(Canned(SET, further)).request_qr() == QRCode("2@A")


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
    client = Canned(json_answer('{"instance":{"state":"open"}}'), json_answer(rows))
    assert await evolution(client).check_status() == Paired()
    assert len(client.asked) == 5


# The traps, played


async def pairing(
    server: EvolutionEmulator, gateway: EvolutionAPI | None = None, **hooks: Any
) -> Any:
    """An attempt."""
    with anyio.fail_after(300):
        return await (gateway or server.gateway()).lifecycle(**hooks).pair()


async def test_right_after_a_scan_the_state_is_close_and_nothing_is_begun() -> None:
    """Who took it for a failure would end a pairing that succeeds; who connected, break it."""
    async with EvolutionEmulator() as server:
        gateway = server.gateway()
        code = await gateway.request_qr()
        assert isinstance(code, QRCode)
        await server.scan(code, JID)
        found: Signal | None = None
        states: list[str] = []
        while found is None:
            found = await gateway.check_status()
            states.append(server.ours.state)
            if isinstance(found, QRUpdated):
                assert found.qr == code
                found = None
            await anyio.sleep(0.05)
        assert found == OURS
        assert states[0] == "close"
        assert "connecting" in states
        assert len(server.ours.upstreams) == 1


async def test_two_that_ask_in_the_same_instant_make_one_connection() -> None:
    """Of two, the codes alternate, and a scan of the wrong one's never becomes a success."""
    async with EvolutionEmulator() as server:
        codes: list[object] = []

        async def ask() -> None:
            codes.append(await server.gateway().request_qr())

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(ask)
        assert len(server.ours.upstreams) == 1
        assert codes[0] == codes[1] == codes[2]


async def test_a_rotation_that_nobody_heard_is_found_when_it_listens_again() -> None:
    """The code that is on screen after a restart is one that is good."""
    async with EvolutionEmulator() as server, anyio.create_task_group() as tasks:
        shown: list[QRCode] = []

        async def pair() -> None:
            outcome = await pairing(server, on_qr_updated=shown.append)
            assert outcome == Connected(JID, {"profileName": "Ada"})
            tasks.cancel_scope.cancel()

        tasks.start_soon(pair)
        await anyio.sleep(10)
        await server.stop()
        await anyio.sleep(24)
        await server.start()
        await anyio.sleep(10)  # less than is left of the first code's time
        assert shown[-1].reveal() == server.ours.code
        await server.scan(shown[-1], JID)


async def test_where_nothing_is_resumed_another_code_is_asked_for() -> None:
    """The namespace is missing until then; it is waited for."""
    async with EvolutionEmulator(resumes=False) as server, anyio.create_task_group() as tasks:
        shown: list[QRCode] = []

        async def pair() -> None:
            outcome = await pairing(server, on_qr_updated=shown.append)
            assert outcome.connected

        tasks.start_soon(pair)
        await anyio.sleep(10)
        await server.stop()
        await anyio.sleep(24)
        await server.start()
        with anyio.fail_after(60):
            while len(shown) < 2:  # noqa: ASYNC110 - what is shown is a list
                await anyio.sleep(0.5)
        await server.scan(shown[-1], JID)


async def test_a_key_that_the_socket_alone_refuses_is_said_at_once() -> None:
    """Not "unreachable", after a minute of trying."""
    async with EvolutionEmulator() as server:
        await server.lock_out_of_socket()
        began = anyio.current_time()
        outcome = await pairing(server)
        assert isinstance(outcome, Failed)
        assert outcome.reason == Reason.AUTHENTICATION_REFUSED
        assert anyio.current_time() - began < 6  # the code takes its time


async def test_a_proxy_without_websockets_is_no_wrong_key() -> None:
    """It is answered with HTTP 400, too."""
    async with EvolutionEmulator(lets_websockets_through=False) as server:
        with pytest.raises(TransportUnreachable) as caught:
            await server.gateway().transport().open()
        assert caught.value.ending is Ending.NO_WEBSOCKET
        assert "must pass on the headers Upgrade and Connection" in str(caught.value)


async def test_a_server_that_is_gone_meanwhile_says_nothing_of_the_key() -> None:
    """What is asked after an HTTP 400 may go unanswered."""

    async def answer(request: Request) -> Response | None:
        return Response(status=400) if request.query["transport"] == "websocket" else None

    async with HTTPServer(answer) as server:
        with pytest.raises(TransportUnreachable) as caught:
            await evolution(url=server.url).transport().open()
    assert caught.value.ending is Ending.NO_WEBSOCKET


async def test_a_server_whose_websockets_are_off_is_told_of() -> None:
    """By the name of its setting."""
    async with EvolutionEmulator(websocket_enabled=False) as server:
        with pytest.raises(TransportUnreachable, match="WEBSOCKET_ENABLED say true"):
            await server.gateway().transport().open()


async def test_the_limit_is_one_end_though_it_is_told_twice_and_late_news_follow() -> None:
    """The verdict comes first, its news and older news after it."""
    async with EvolutionEmulator() as server, anyio.create_task_group() as tasks:
        outcomes: list[object] = []

        async def pair() -> None:
            outcomes.append(await pairing(server))

        tasks.start_soon(pair)
        await anyio.sleep(5)
        await server.limit()
        with anyio.fail_after(HANGS):
            while not outcomes:  # noqa: ASYNC110 - what has ended is a list
                await anyio.sleep(0.1)
        (outcome,) = outcomes
        assert isinstance(outcome, Failed)
        assert outcome.reason == Reason.CODES_USED_UP
        assert isinstance(await server.gateway().request_qr(), QRCode)  # another round


async def test_the_service_rotates_its_codes_by_itself() -> None:
    """Each is shown for its 45 s, no refresh is spent, and the sixth is the last."""
    async with EvolutionEmulator() as server:
        shown: list[QRCode] = []
        outcome = await pairing(server, on_qr_updated=shown.append)
        assert isinstance(outcome, Failed)
        assert outcome.reason == Reason.CODES_USED_UP
        assert [code.reveal() for code in shown] == server.ours.codes[:6]
        asked = [one.path for one in server.server.requests if "/connect/" in one.path]
        assert len(asked) <= 4


async def test_nothing_secret_is_told_of_a_whole_pairing(caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG of every logger: no key, no token, no code, nothing to type; nor in the outcome."""
    caplog.set_level(logging.DEBUG)
    async with EvolutionEmulator(phone_number="+49151000000") as server:
        gateway, outcomes, shown = server.gateway(), list[Any](), list[QRCode]()

        async def pair() -> None:
            outcomes.append(await pairing(server, gateway, on_qr_updated=shown.append))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pair)
            await anyio.sleep(5)
            await server.rotate()
            await anyio.sleep(1)
            assert shown[-1].typed is not None
            await server.scan(shown[-1].typed, JID)
        secrets = server.secrets()
    (outcome,) = outcomes
    assert outcome == Connected(JID, {"profileName": "Ada"})
    texts = [caplog.text, repr(gateway), repr(outcome), repr(outcome.data), repr(shown)]
    assert len(secrets) >= 7
    for secret in secrets:
        assert not any(secret in text for text in texts)
