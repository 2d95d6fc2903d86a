"""wppconnect-server, played: what it really said on its socket, and each of its traps."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import anyio
import pytest

from qrlifecycle import (
    Connected,
    Failed,
    Paired,
    QRCode,
    Reason,
    StatusChanged,
    TransportUnreachable,
)
from qrlifecycle.errors import Ending
from qrlifecycle.gateways import WPPConnect
from qrlifecycle.testing.gateways import WPPConnectEmulator
from qrlifecycle.testing.http_server import HTTPServer, Request, Response

from ..patience import HANGS, patient_clock
from .recorded import heard_from, messages_in, saying

pytestmark = pytest.mark.anyio

CODE = QRCode("2@REF,NOISE,IDENTITY,ADV")
JID = "4915100000001@c.us"


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Real sockets, on a clock that waits for them."""
    return patient_clock(request.param)


def wppconnect(url: str, **options: Any) -> WPPConnect:
    """A gateway for the session that the samples are of."""
    more: dict[str, Any] = {"session": "bot-7", "token": "t0ken", **options}
    return WPPConnect(url, **more)


# What the real server sent


async def test_the_messages_of_a_session() -> None:
    """Pictures and claims, as they came; "whatsapp-status" names nobody, and says nothing."""
    news, claim = StatusChanged(), Paired()
    messages = messages_in("wppconnect", "frames.txt")
    async with saying(messages) as server:
        heard = await heard_from(wppconnect(server.url), 6)
        assert heard == [news, claim, news, news, news, claim]
        assert await heard_from(wppconnect(server.url, session="bot-8"), 0) == []


async def test_it_is_reached_as_it_was_told_to_be() -> None:
    """The socket goes by the proxy that the requests go by."""

    async def refuse(request: Request) -> Response:
        assert request.method == "CONNECT"
        return Response(status=403)

    async with HTTPServer(refuse) as proxy:
        with pytest.raises(TransportUnreachable) as caught:
            await wppconnect("http://wpp.example", proxy=proxy.url).transport().open()
    assert caught.value.ending is Ending.PROXY


# The traps, played


Play = Callable[[WPPConnectEmulator, list[QRCode]], Awaitable[object]]


async def pairing(server: WPPConnectEmulator, play: Play, **numbers: Any) -> Any:
    """An attempt, in which this is played once a code is shown."""
    shown: list[QRCode] = []
    gateway = server.gateway()
    policy = replace(gateway.policy, **numbers)
    outcome: Any = None
    with anyio.fail_after(300):
        async with anyio.create_task_group() as tasks:

            async def pair() -> None:
                nonlocal outcome
                lifecycle = gateway.lifecycle(policy=policy, on_qr_updated=shown.append)
                outcome = await lifecycle.pair()
                tasks.cancel_scope.cancel()

            tasks.start_soon(pair)
            while not shown:  # noqa: ASYNC110 - what is shown is a list
                await anyio.sleep(0.1)
            await play(server, shown)
            await anyio.sleep_forever()
    return outcome


async def test_a_code_that_is_replaced_is_shown_at_once() -> None:
    """Everybody hears of a picture; its text is read, and the scan of it counts."""

    async def rotate(server: WPPConnectEmulator, shown: list[QRCode]) -> None:
        await anyio.sleep(21)
        assert [code.reveal() for code in shown] == server.ours.codes[:2]
        await server.rotate()
        await anyio.sleep(1)  # less than until the status is read anyway
        assert shown[-1].reveal() == server.ours.code
        await server.scan(shown[-1], JID)

    async with WPPConnectEmulator() as server:
        assert await pairing(server, rotate) == Connected(JID, {"pushname": "Ada"})


@pytest.mark.slow
async def test_a_round_that_ends_is_noticed_though_nobody_is_told() -> None:
    """By the status, within 5 s and the grace; another code is from another round."""

    async def wait(server: WPPConnectEmulator, shown: list[QRCode]) -> None:
        await anyio.sleep(61)
        assert server.ours.status == "CLOSED"
        await anyio.sleep(5 + 3 + 4)
        assert server.ours.starts == 2
        await server.scan(shown[-1], JID)

    async with WPPConnectEmulator() as server:
        assert (await pairing(server, wait)).connected


@pytest.mark.parametrize("verb", ["expire", "refuse"])
async def test_a_refusal_looks_like_a_round_that_ended(verb: str) -> None:
    """Nothing on the socket, `CLOSED` in the status, with a code that is dead."""

    async def end(server: WPPConnectEmulator, shown: list[QRCode]) -> None:
        await getattr(server, verb)(*([shown[-1]] if verb == "refuse" else []))

    async with WPPConnectEmulator() as server:
        outcome = await pairing(server, end, max_refreshes=0)
    assert isinstance(outcome, Failed)
    assert outcome.reason == Reason.EXPIRED


async def test_a_success_that_the_status_does_not_confirm_is_none() -> None:
    """The socket asks nobody for a key; the attempt goes on, and a scan counts."""

    async def forge(server: WPPConnectEmulator, shown: list[QRCode]) -> None:
        await server.forge()
        await anyio.sleep(6)
        await server.scan(shown[-1], JID)

    async with WPPConnectEmulator() as server:
        outcome = await pairing(server, forge)
    assert outcome.identity == JID


@pytest.mark.slow
async def test_a_session_that_is_started_by_itself_is_found_connected() -> None:
    """It was scanned before the server restarted; its token's file is there."""

    async def restart(server: WPPConnectEmulator, shown: list[QRCode]) -> None:
        await server.scan(shown[-1], JID)
        await server.stop()
        await anyio.sleep(24)
        await server.start()

    async with WPPConnectEmulator() as server:
        await server.server.drop()
        outcome = await pairing(server, restart)
    assert outcome.identity == JID


async def test_nothing_secret_is_told_of_a_whole_pairing(caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG of every logger: no secret, no token, no code; nor in the outcome, nor to others."""
    caplog.set_level(logging.DEBUG)
    async with WPPConnectEmulator() as server:
        gateway = WPPConnect(server.url, session="bot-7", secret_key=server.secret_key)
        outcome, shown = None, list[QRCode]()

        async def pair() -> None:
            nonlocal outcome
            outcome = await gateway.lifecycle(on_qr_updated=shown.append).pair()

        with anyio.fail_after(HANGS):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(pair)
                await anyio.sleep(5)
                await server.rotate()
                await anyio.sleep(2)
                await server.scan(shown[-1], JID)
        handshakes = [one for one in server.server.requests if "upgrade" in one.headers]
        secrets = server.secrets()
    assert outcome == Connected(JID, {"pushname": "Ada"})
    texts = [caplog.text, repr(gateway), repr(outcome), repr(shown), *map(str, handshakes)]
    texts += [str(one.headers) for one in handshakes]
    assert handshakes
    assert len(secrets) >= 4
    for secret in secrets:
        assert not any(secret in text for text in texts)
