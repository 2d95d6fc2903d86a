"""What listens to a service, for one account or for all, reaches it as it was told to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from qrlifecycle import Transport, TransportRefused, TransportUnreachable
from qrlifecycle.errors import Ending
from qrlifecycle.gateways import GOWA, WAHA, EvolutionAPI, WPPConnect
from qrlifecycle.testing.http_server import HTTPServer, Request, Response, ServerWebSocket, Upgrade

from ..patience import patient_clock

pytestmark = pytest.mark.anyio

Make = Callable[..., Transport]

PINGING: dict[str, Make] = {
    "waha": lambda url, **more: WAHA(url, **more).transport(),
    "waha, all": lambda url, **more: WAHA.feed(url, **more)(),
    "gowa": lambda url, **more: GOWA(url, device="bot-7", **more).transport(),
    "gowa, all": lambda url, **more: GOWA.feed(url, device="bot-7", **more)(),
}
"""Those that ask a service by pings whether it lives; Socket.IO's are asked by theirs."""

ALL: dict[str, Make] = {
    **PINGING,
    "evolution": lambda url, **more: EvolutionAPI(
        url, api_key="k", instance="bot-7", **more
    ).transport(),
    "evolution, all": lambda url, **more: EvolutionAPI.feed(url, api_key="k", **more)(),
    "wppconnect": lambda url, **more: WPPConnect(
        url, session="bot-7", token="t", **more
    ).transport(),
    "wppconnect, all": lambda url, **more: WPPConnect.feed(url, **more)(),
}


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Real sockets, on a clock that waits for them."""
    return patient_clock(request.param)


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
async def test_a_socket_goes_by_the_proxy_that_requests_go_by(make: Make) -> None:
    """Also the one for all accounts; around it, there may be no way to the service."""

    async def refuse(request: Request) -> Response:
        assert request.method == "CONNECT"
        return Response(status=403)

    async with HTTPServer(refuse) as proxy:
        with pytest.raises(TransportUnreachable) as caught:
            await make("http://service.example", proxy=proxy.url).open()
    assert caught.value.ending is Ending.PROXY


@pytest.mark.parametrize("make", PINGING.values(), ids=PINGING)
async def test_a_service_that_lets_in_and_falls_silent_is_given_up_after_half_a_minute(
    make: Make,
) -> None:
    """No code is shown before it has answered a ping, for until then it may tell us nothing."""

    async def say_nothing(_socket: ServerWebSocket) -> None:
        await anyio.sleep_forever()

    async def accept(_request: Request) -> Upgrade:
        return Upgrade(say_nothing)

    async with HTTPServer(accept) as server:
        began = anyio.current_time()
        with pytest.raises(TransportUnreachable) as caught:
            await make(server.url).open()
        assert anyio.current_time() - began == pytest.approx(30, abs=1)
    assert caught.value.ending is Ending.SILENT


@pytest.mark.parametrize("code", [1008, 4001])
@pytest.mark.parametrize(("name", "session"), [("waha", "default"), ("waha, all", "*")])
async def test_who_is_turned_away_by_waha_is_refused(name: str, session: str, code: int) -> None:
    """By a code that all use, or one of its own; only the status is listened to, and no chats."""

    async def turn_away(socket: ServerWebSocket) -> None:
        await socket.close(code)

    async def accept(request: Request) -> Upgrade:
        assert request.query == {"session": session, "events": "session.status"}
        return Upgrade(turn_away)

    async with HTTPServer(accept) as server:
        with pytest.raises(TransportRefused) as caught:
            await ALL[name](server.url).open()
    assert caught.value.code == code
