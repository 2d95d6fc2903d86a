"""The played pairing server gives nothing away to whoever has no token."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import aiohttp
import pytest
from aiohttp import web

from qrlifecycle import QRCode, QRLifecycle, Reason, SocketIOTransport
from qrlifecycle.cli import main
from qrlifecycle.testing import PairingServer, pairing_server
from qrlifecycle.testing.listening import is_loopback

from .patience import PROCESS_HANGS

pytestmark = pytest.mark.anyio

OWNER = {"botId": "b", "userId": "u"}


@pytest.fixture
def anyio_backend() -> str:
    """Python-socketio's server is for asyncio."""
    return "asyncio"


def routes(server: PairingServer) -> list[tuple[str, str]]:
    """The method and path of each route but the socket's."""
    app: web.Application = server._runner.app
    found = {(route.method, str(route.resource and route.resource.canonical))
             for route in app.router.routes()}  # fmt: skip
    return sorted(
        (m, path) for m, path in found if m in ("GET", "POST") and "socket.io" not in path
    )


@pytest.mark.parametrize(
    "bearer", [None, "Bearer wrong", "Bearer ", "Bearer \u00fc", "Basic t0ken"]
)
async def test_the_token_guards_all_of_it(bearer: str | None) -> None:
    """Each route, also one that is not there; only a phone, which has the code, needs none."""
    async with PairingServer(token="t0ken") as server, aiohttp.ClientSession() as http:
        phone = server.make_code("b", "u")
        headers = {} if bearer is None else {"Authorization": bearer}
        seen = []
        for method, path in [*routes(server), ("GET", "/"), ("GET", "/phone"), ("POST", "/qr/")]:
            if path.startswith("/phone/"):
                continue
            address = server.url + path
            async with http.request(method, address, json=OWNER, headers=headers) as answer:
                assert answer.status == 401, path
                assert phone not in await answer.text()
            seen.append(path)
        assert {"/qr", "/status", "/rotate", "/expire", "/sockets"} <= set(seen)
        async with http.get(phone, headers=headers) as answer:
            assert answer.status == 200
        good = {"Authorization": "Bearer t0ken"}
        async with http.get(f"{server.url}/status", params=OWNER, headers=good) as answer:
            assert (await answer.json())["status"] == "paired"


@pytest.mark.parametrize("auth", [None, {"token": "wrong"}, {"token": "\u00fc"}, {"token": 7}])
async def test_a_socket_without_the_token_is_turned_away(auth: dict[str, object] | None) -> None:
    """It would be told everything."""
    async with PairingServer(token="t0ken") as server:

        async def request_qr() -> QRCode:
            return QRCode(server.make_code("b", "u"))

        make = partial(SocketIOTransport, server.url, bot_id="b", user_id="u", auth=auth)
        outcome = await QRLifecycle(request_qr, make).pair()
        assert outcome.reason is Reason.AUTHENTICATION_REFUSED  # type: ignore[union-attr]
        assert server.sockets == []


async def test_where_others_can_reach_it_there_is_a_token() -> None:
    """One is made up, a good one, and another each time; on loopback there is none unless given."""
    made = {PairingServer(host=host).token for host in ("0.0.0.0", "::", "192.168.1.20", "a.lan")}
    assert len(made) == 4
    assert all(token is not None and len(token) >= 22 for token in made)
    for host in ("127.0.0.1", "::1", "127.1.2.3", "localhost"):
        assert PairingServer(host=host).token is None
        assert PairingServer(host=host, token="t0ken").token == "t0ken"
    assert not is_loopback("")


def test_the_demo_knows_its_servers_token(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Listening where a phone can reach it, it is let in, reads the status, and shows no token."""
    monkeypatch.setattr(pairing_server, "is_loopback", lambda _host: False)
    made: list[str | None] = []
    inside = PairingServer.__aenter__

    async def enter(server: PairingServer) -> PairingServer:
        made.append(server.token)
        return await inside(server)

    monkeypatch.setattr(PairingServer, "__aenter__", enter)
    assert main(["demo", "--scan-after", "0"]) == 0
    printed = capsys.readouterr().out
    assert made[0] is not None
    assert made[0] not in printed
    assert "check_status failed" not in printed


def test_by_itself_it_says_its_token() -> None:
    """`python -m qrlifecycle.testing` prints what `qrlifecycle pair` needs, below its address."""
    code = (
        "import runpy, sys; from qrlifecycle.testing import pairing_server\n"
        "pairing_server.is_loopback = lambda host: False\n"
        "sys.argv = ['x']\nrunpy.run_module('qrlifecycle.testing', run_name='__main__')\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url, token = process.stdout.readline().strip(), process.stdout.readline().strip()
        name, _, value = token.partition("=")
        assert name == "QRLIFECYCLE_TOKEN"
        headers = {"Content-Type": "application/json"}
        request = Request(f"{url}/qr", json.dumps(OWNER).encode(), headers)
        with pytest.raises(HTTPError, match="401"):
            urlopen(request, timeout=PROCESS_HANGS)
        request.add_header("Authorization", f"Bearer {value}")
        with urlopen(request, timeout=PROCESS_HANGS) as answer:
            assert json.load(answer)["qr"]
    finally:
        process.terminate()
        process.communicate(timeout=PROCESS_HANGS)
