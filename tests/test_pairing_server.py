"""The played pairing server gives nothing away to whoever has no token."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from functools import partial
from html.parser import HTMLParser
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import aiohttp
import pytest
from aiohttp import web

from qrlifecycle import QRCode, QRLifecycle, Reason, Scanned, SocketIOTransport
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


@pytest.mark.parametrize("bearer", [None, "Bearer t0ken"])
async def test_what_is_not_there_is_no_question_of_the_token(bearer: str | None) -> None:
    """A wrong path is told as one, rather than as wrong credentials."""
    async with PairingServer(token="t0ken") as server, aiohttp.ClientSession() as http:
        headers = {} if bearer is None else {"Authorization": bearer}
        for path in ("/", "/phone", "/qr/", "/api/status", "/api/socket.io/"):
            async with http.get(server.url + path, headers=headers) as answer:
                assert answer.status == 404, path


@pytest.mark.parametrize(
    "bearer", [None, "Bearer wrong", "Bearer ", "Bearer \u00fc", "Basic t0ken"]
)
async def test_the_token_guards_all_of_it(bearer: str | None) -> None:
    """Each route; only a phone, which has the code, needs none."""
    async with PairingServer(token="t0ken") as server, aiohttp.ClientSession() as http:
        phone = server.make_code("b", "u")
        headers = {} if bearer is None else {"Authorization": bearer}
        seen = []
        for method, path in routes(server):
            if path.startswith("/phone/"):
                continue
            address = server.url + path
            async with http.request(method, address, json=OWNER, headers=headers) as answer:
                assert answer.status == 401, path
                assert phone not in await answer.text()
            seen.append(path)
        assert {"/qr", "/status", "/rotate", "/expire", "/sockets"} <= set(seen)
        async with http.post(phone, headers=headers) as answer:
            assert answer.status == 200
        good = {"Authorization": "Bearer t0ken"}
        async with http.get(f"{server.url}/status", params=OWNER, headers=good) as answer:
            assert (await answer.json())["status"] == "paired"


class Seen(HTMLParser):
    """What a page has: elements with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Note it."""
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of each such element."""
        return [attributes for name, attributes in self.found if name == tag]


@pytest.mark.parametrize(
    ("answer", "status", "says"),
    [("confirm", "paired", "Paired"), ("refuse", "refused", "Declined")],
)
async def test_the_phones_page_asks_and_takes_yes_or_no(
    answer: str, status: str, says: str
) -> None:
    """To look is to have scanned; only a POST decides. Names of others are text, and no more."""
    async with PairingServer() as server, aiohttp.ClientSession() as http:
        phone = server.make_code("<b>7</b>", "u&amp;")
        async with http.head(phone) as nothing:
            assert nothing.status == 405
        assert server.pairing("<b>7</b>", "u&amp;").status == "waiting"
        async with http.get(phone) as asked:
            page = Seen(await asked.text())
            assert asked.content_type == "text/html"
            assert "form-action 'self'" in asked.headers["Content-Security-Policy"]
            assert asked.headers["Cache-Control"] == "no-store"
        assert server.pairing("<b>7</b>", "u&amp;").status == "scanned"
        assert ("<b>7</b>" in page.text, "u&amp;" in page.text) == (True, True)
        assert page.all("html") == [{"lang": "en"}]
        assert page.all("title")
        assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all(
            "meta"
        )
        assert page.all("form") == [{"method": "post"}]
        assert [button["value"] for button in page.all("button")] == ["confirm", "refuse"]
        assert page.all("script") == page.all("link") == page.all("img") == []
        async with http.post(phone, data={"answer": "perhaps"}) as refused:
            assert refused.status == 400
        async with http.post(phone, data={"answer": answer}) as done:
            assert says in Seen(await done.text()).text
        assert server.pairing("<b>7</b>", "u&amp;").status == status
        async with http.get(phone) as late:
            assert late.status == 410
            assert "good no more" in Seen(await late.text()).text


async def test_failure_can_be_played_by_hand() -> None:
    """No on the phone's page is a refusal on the screen, after "now approve on your phone"."""
    async with PairingServer() as server, aiohttp.ClientSession() as http:

        async def request_qr() -> QRCode:
            return QRCode(server.make_code("b", "u"))

        async def look(qr: QRCode) -> None:
            await (await http.get(qr.reveal())).read()

        async def decline(_scanned: Scanned) -> None:
            code = server.url_of(server.pairing("b", "u"))
            await (await http.post(code, data={"answer": "refuse"})).read()

        make = partial(SocketIOTransport, server.url, bot_id="b", user_id="u")
        lifecycle = QRLifecycle(request_qr, make, on_qr_updated=look, on_scanned=decline)
        assert (await lifecycle.pair()).reason is Reason.REFUSED_ON_PHONE  # type: ignore[union-attr]


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
        with pytest.raises(HTTPError, match="401") as refused:
            urlopen(request, timeout=PROCESS_HANGS)
        refused.value.close()
        request.add_header("Authorization", f"Bearer {value}")
        with urlopen(request, timeout=PROCESS_HANGS) as answer:
            assert json.load(answer)["qr"]
    finally:
        process.terminate()
        process.communicate(timeout=PROCESS_HANGS)


async def test_its_help_lists_what_it_can_be_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each route, and nothing else, in a terminal of 80 columns."""
    monkeypatch.setattr(sys, "argv", ["x", "--help"])
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        runpy.run_module("qrlifecycle.testing", run_name="__main__")
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    async with PairingServer() as server:
        there = {(method, path.split("/")[1]) for method, path in routes(server)}
    assert set(re.findall(r"^(GET|POST) +/(\w+)", printed, re.MULTILINE)) == there
