"""Evolution API v2, played: what its server really said on its socket, and each of its traps."""

from __future__ import annotations

import json
import logging
from typing import Any

import anyio
import pytest

from qrlifecycle import (
    Connected,
    Failed,
    Paired,
    PairingRefused,
    QRCode,
    QRUpdated,
    Reason,
    Signal,
    SocketIOTransport,
    TransportRefused,
    TransportUnreachable,
)
from qrlifecycle.errors import Ending
from qrlifecycle.gateways import EvolutionAPI
from qrlifecycle.testing.gateways import EvolutionEmulator
from qrlifecycle.testing.http_server import HTTPServer, Request, Response

from ..patience import HANGS, patient_clock
from .recorded import SAMPLES, heard_from, messages_in, saying

pytestmark = pytest.mark.anyio

CODE = QRCode("2@REF,NOISE,IDENTITY,ADV")
JID = "4915100000001@s.whatsapp.net"
OURS = Paired(JID, {"profileName": "Ada"})


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Real sockets, on a clock that waits for them."""
    return patient_clock(request.param)


def evolution(url: str, **options: Any) -> EvolutionAPI:
    """A gateway for the instance that the samples are of."""
    more: dict[str, Any] = {"api_key": "k3y", "instance": "bot-7", **options}
    return EvolutionAPI(url, **more)


# What the real server sent


async def test_the_messages_of_one_instance() -> None:
    """Pairing, a logout, a refusal on the phone, three codes, and the limit: as they came."""
    on_phone = PairingRefused(Reason.REFUSED_ON_PHONE, {"statusReason": 401})
    over = PairingRefused(Reason.CODES_USED_UP)
    code = QRUpdated(CODE)
    meant = [code, OURS, on_phone, code, on_phone, code, code, code, over, over, code]
    messages = messages_in("evolution", "frames.txt")
    async with saying(messages) as server:
        heard = await heard_from(evolution(server.url), len(meant))
    assert heard == meant
    assert all("apikey" in message for message in messages[2:])
    assert [dict(signal.data) for signal in heard if isinstance(signal, Paired)] == [
        {"profileName": "Ada"}
    ]


async def test_the_messages_of_everybody() -> None:
    """Another instance's success comes in between; it is none of ours."""
    code = QRUpdated(CODE)
    async with saying(messages_in("evolution", "frames-global.txt")) as server:
        gateway = evolution(server.url, global_events=True)
        assert await heard_from(gateway, 4) == [code, code, code, OURS]
        another = evolution(server.url, global_events=True, instance="bot-8")
        refused = PairingRefused(Reason.REFUSED_ON_PHONE, {"statusReason": 401})
        theirs = Paired("4999@s.whatsapp.net", {"profileName": "Ada"})
        assert await heard_from(another, 3) == [refused, code, theirs]


async def test_a_namespace_that_is_not_there_yet_may_come() -> None:
    """The real server's word for it is no refusal: it is waited for."""
    messages = messages_in("evolution", "frames-no-namespace.txt")
    async with saying(messages) as server:
        with pytest.raises(TransportUnreachable) as caught:
            await evolution(server.url, instance="never").transport().open()
    assert caught.value.ending is Ending.NOT_CONNECTED


async def test_the_real_servers_no_to_a_websocket_is_a_refusal() -> None:
    """HTTP 400 and a text to a WebSocket, 403 to the same without one."""
    polled, websocket = exchanges_of_the_wrong_key()

    async def answer(request: Request) -> Response | bytes:
        if request.query["transport"] == "websocket":
            return websocket
        assert (request.method, request.path) == ("GET", "/socket.io/")
        assert (request.query["EIO"], request.query["transport"]) == ("4", "polling")
        assert request.headers["apikey"] == "k3y"
        return polled

    async with HTTPServer(answer) as server:
        with pytest.raises(TransportRefused) as caught:
            await evolution(server.url).transport().open()
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


@pytest.mark.slow
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


@pytest.mark.slow
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


def shape_of(said: Any) -> Any:
    """What is there, without what it says."""
    if isinstance(said, dict):
        return {key: shape_of(value) for key, value in sorted(said.items()) if key != "sender"}
    return type(said).__name__


def kind_of(said: Any) -> tuple[str, object]:
    """What a message is about: its event, and the state in it or whether there is a code."""
    return said["event"], said["data"].get("state", "qrcode" in said["data"])


async def test_the_emulator_says_what_the_real_server_said() -> None:
    """A pairing, a refusal and the limit have the same fields in their messages, of those kinds."""
    frames = [message.partition(",")[2] for message in messages_in("evolution", "frames.txt")[2:]]
    said = [json.loads(frame)[1] for frame in frames]
    real = {kind_of(one): shape_of(one) for one in said if isinstance(one["data"], dict)}
    heard: list[Any] = []

    async def limit(server: EvolutionEmulator, _code: QRCode) -> None:
        await server.limit()

    for play in (EvolutionEmulator.scan, EvolutionEmulator.refuse, limit):
        async with EvolutionEmulator() as server:
            code = await server.gateway().request_qr()
            transport = SocketIOTransport(
                server.url,
                bot_id="bot-7",
                user_id="bot-7",
                namespace="/bot-7",
                headers={"apikey": server.ours.token},
                signals=dict.fromkeys(("qrcode.updated", "connection.update"), heard.append),
            )
            await transport.open()
            await server.rotate()
            newest = QRCode(server.ours.code or "")
            assert newest != code
            await play(server, newest)
            with anyio.move_on_after(5):
                await transport.receive()
            await transport.aclose()
    assert {kind_of(one): shape_of(one) for one in heard} == {
        kind: shape for kind, shape in real.items() if kind[0] != "status.instance"
    }
