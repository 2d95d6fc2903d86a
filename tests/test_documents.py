"""What is written is true: every example runs, every command and picture is what it says."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import json
import os
import re
import subprocess
import sys
from functools import partial, reduce
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any
from xml.etree import ElementTree as ET

import anyio
import pytest
from aiohttp import web

import qrlifecycle
import qrlifecycle.gateways
import qrlifecycle.leases
import qrlifecycle.monitoring
import qrlifecycle.testing
import qrlifecycle.testing.gateways
import qrlifecycle.testing.leases
from qrlifecycle import Connected, Failed, Outcome, QRCode, QRLifecycle, Reason, SocketIOTransport
from qrlifecycle.cli.gateways import GATEWAYS
from qrlifecycle.diagram import difference
from qrlifecycle.testing import Fault, ScriptedPeer, settle
from qrlifecycle.transports.websocket import REFUSING

from .pairing import Pairing, asyncio_only, request_qr
from .patience import PROCESS_HANGS

TOP = Path(__file__).parent.parent
DOCS = TOP / "docs"
README = TOP / "README.md"
TUTORIAL = DOCS / "tutorial.md"
HOW_TO = DOCS / "how-to"


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of a language in a Markdown file."""
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)


def run(*command: str, **env: str) -> str:
    """What a command prints; it must succeed, warnings being errors, and complain of nothing."""
    result = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=TOP,
        timeout=PROCESS_HANGS,
        env={**os.environ, "PYTHONWARNINGS": "error", **env},
    )
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    return result.stdout


def pages() -> list[Path]:
    """Every page that somebody wrote."""
    made = {DOCS / "_build", DOCS / "_generated"}
    return [README, *(page for page in DOCS.rglob("*.md") if made.isdisjoint(page.parents))]


@pytest.mark.parametrize(
    "path",
    [
        README,
        TUTORIAL,
        *(
            pytest.param(page, marks=pytest.mark.slow)
            for page in (
                DOCS / "security.md",
                HOW_TO / "read-the-status.md",
                HOW_TO / "share-a-socket.md",
                HOW_TO / "when-a-connection-ends.md",
                HOW_TO / "several-machines.md",
                DOCS / "coming-from-the-react-hook.md",
                *sorted((DOCS / "gateways").glob("[!i]*.md")),
            )
        ),
    ],
    ids=lambda path: path.name,
)
def test_the_listings_of_a_page_run_one_after_another(path: Path, tmp_path: Path) -> None:
    """All Python listings of a page, put together, run as they stand."""
    listings = blocks(path, "python")
    assert listings
    script = tmp_path / "listings.py"
    script.write_text("\n\n".join(listings))
    run(sys.executable, str(script))


@pytest.mark.slow
def test_the_page_on_transports_finds_its_mistake_and_mends_it(tmp_path: Path) -> None:
    """Its listings run as one file; they print the failure that the page explains, then success."""
    page = TOP / "docs" / "how-to" / "test-your-transport.md"
    (failure,) = blocks(page, "text")
    script = tmp_path / "my_transport.py"
    script.write_text("\n\n".join(blocks(page, "python")))
    printed = run(sys.executable, str(script))
    port = re.compile(r"127\.0\.0\.1:\d+")
    assert port.sub("PORT", failure) in port.sub("PORT", printed)
    for backend in ("asyncio", "trio"):
        assert re.search(rf"^on {backend}: \d+ checks passed, 1 skipped$", printed, re.MULTILINE)


@pytest.mark.slow
def test_the_page_on_writing_a_transport_ends_with_a_good_one(tmp_path: Path) -> None:
    """Its listings run as one file: every check passes, on both backends, and a phone is paired."""
    page = HOW_TO / "write-a-transport.md"
    (named,) = set(re.findall(r"\bmy_\w+\.py\b", page.read_text()))
    script = tmp_path / named
    script.write_text("\n\n".join(blocks(page, "python")))
    printed = run(sys.executable, str(script))
    assert re.fullmatch(r"(on (asyncio|trio): \d+ checks passed, 0 skipped\n){2}", printed)


@pytest.mark.slow
def test_the_page_on_writing_a_gateway_ends_with_a_good_one(tmp_path: Path) -> None:
    """Its listings run as one file: a gateway of some forty lines keeps what is played to it."""
    listings = blocks(HOW_TO / "write-a-gateway.md", "python")
    script = tmp_path / "my_gateway.py"
    script.write_text("\n\n".join(listings))
    (gateway,) = (
        node
        for node in ast.parse(listings[0]).body
        if isinstance(node, ast.ClassDef) and node.name == "BotPlatform"
    )
    lines = listings[0].splitlines()[gateway.lineno - 1 : gateway.end_lineno]
    assert len([line for line in lines if line.strip()]) <= 40
    assert run(sys.executable, str(script)) == "8 scenarios kept\n"


def test_every_gateway_has_a_page_and_a_column() -> None:
    """What each service can say stands in one table, and each has a page of its own."""
    index = (DOCS / "gateways" / "index.md").read_text()
    for name in GATEWAYS:
        assert (DOCS / "gateways" / f"{name}.md").exists()
        assert f"]({name}.md)" in index


VISITORS = """
import asyncio, json, sys

from django.conf import settings
from django.urls import path

import qrlifecycle
from qrlifecycle.testing import PairingServer

urlpatterns = []


async def visit(application, user, on_picture):
    gone = asyncio.Event()
    request = [{"type": "http.request", "body": b"", "more_body": False}]
    news = []

    async def receive():
        if request:
            return request.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        for line in message.get("body", b"").splitlines():
            if line.startswith(b"data: "):
                news.append(json.loads(line.removeprefix(b"data: ")))
                if news[-1].get("picture", "").startswith("<svg"):
                    await on_picture(gone)

    scope = {"type": "http", "method": "POST", "path": "/pair", "query_string": b""}
    await application({**scope, "headers": [(b"x-user", user.encode())]}, receive, send)
    return news


async def main():
    async with PairingServer() as server:

        async def request_code(user):
            return qrlifecycle.QRCode(server.make_code("bot-7", user), expires_in=60)

        async def scan(gone):
            await server.scan("bot-7", "ada")

        async def go_away(gone):
            gone.set()

        platform = type(sys)("myproject.platform")
        platform.request_code = request_code
        sys.modules |= {"myproject": type(sys)("myproject"), "myproject.platform": platform}
        settings.configure(ROOT_URLCONF="__main__", ALLOWED_HOSTS="*", BOT_PLATFORM=server.url)
        from asgi import application
        from views import pair

        urlpatterns.append(path("pair", pair))
        ending, steps = asyncio.Event(), iter(["startup"])

        async def receive():
            if next(steps, None) is None:
                await ending.wait()
            return {}

        async def send(message):
            told.put_nowait(message["type"])

        told = asyncio.Queue()
        server_runs = asyncio.create_task(application({"type": "lifespan"}, receive, send))
        print(await told.get())
        tabs = [asyncio.create_task(visit(application, "ada", scan)) for _ in range(2)]
        print([news[-1] for news in await asyncio.gather(*tabs)])
        print(len(server.sockets))
        await visit(application, "bob", go_away)
        while server.open_sockets():
            await asyncio.sleep(0.01)
        print(len(server.sockets))
        ending.set()
        await server_runs
        print(await told.get())


asyncio.run(main())
"""
"""Visitors of the page's view, behind Django's own handler: two tabs are paired, one goes away."""


@pytest.mark.slow
def test_the_page_on_embedding_shows_a_view_for_django(tmp_path: Path) -> None:
    """Behind Django's own handler tabs share a socket, and the last one that goes away takes it."""
    pytest.importorskip("django", reason="needs Django, which nothing here depends on")
    _, view, asgi, *_ = blocks(HOW_TO / "embed.md", "python")
    (tmp_path / "views.py").write_text(view)
    (tmp_path / "asgi.py").write_text(asgi)
    (tmp_path / "visitors.py").write_text(VISITORS)
    printed = run(sys.executable, str(tmp_path / "visitors.py"))
    started, ended, bobs, gone, stopped = printed.splitlines()
    assert (started, stopped) == ("lifespan.startup.complete", "lifespan.shutdown.complete")
    assert ended == str([{"paired": "+490001234567"}] * 2)
    assert (bobs, gone) == ("1", "2")


PEOPLE = """
import os


class Watched(Kiosk):
    rounds = 0

    async def show(self, qr):
        self.rounds += 1
        match self.rounds:
            case 1:
                await self.server.scan("kiosk-1", "anybody")
            case 2:
                await self.server.refuse("kiosk-1", "anybody")
            case _:
                print("sockets", len(self.server.sockets), "at most", self.server.most_sockets())
                os.kill(os.getpid(), signal.SIGTERM)


Kiosk, PAUSE = Watched, 0.01
anyio.run(main)
print("stopped")
"""
"""Whoever comes to the kiosk of the page: one pairs, one declines, and then it is told to stop."""


@pytest.mark.slow
def test_the_page_on_a_kiosk_goes_on_until_it_is_told_to_stop(tmp_path: Path) -> None:
    """Each round has one socket; a signal ends it in order."""
    listing, _ = blocks(HOW_TO / "kiosk.md", "python")
    assert listing.endswith("anyio.run(main)\n")
    script = tmp_path / "kiosk.py"
    script.write_text(listing.replace("anyio.run(main)", PEOPLE))
    printed = run(sys.executable, str(script)).splitlines()
    assert printed == [
        "Hello, '+490001234567'!",
        Reason.REFUSED_ON_PHONE.person,
        "sockets 3 at most 1",
        "stopped",
    ]


@pytest.mark.anyio
async def test_the_page_on_a_kiosk_tells_the_person_what_goes_on() -> None:
    """Nothing while all is well, and else what is waited for."""
    _, listing = blocks(HOW_TO / "kiosk.md", "python")
    page: dict[str, Any] = {}
    exec(listing, page)
    told: list[str] = []

    async def request_qr() -> QRCode:
        told.append(page["meanwhile"](lifecycle))
        return QRCode("code", expires_in=60)

    peer = ScriptedPeer(openings=(Fault.NONE, Fault.UNREACHABLE))
    lifecycle = QRLifecycle(request_qr, peer)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lifecycle.pair)
        await settle()
        told.append(page["meanwhile"](lifecycle))
        peer.break_connection()
        await settle()
        told.append(page["meanwhile"](lifecycle))
        lifecycle.cancel()
    assert told == [
        "A code is being made.",
        "",
        "The connection is being restored. Please scan in a moment.",
    ]


WORKER = """
import sys
from functools import partial

from anyio.from_thread import start_blocking_portal

import qrlifecycle
from qrlifecycle.testing import PairingServer

with (
    start_blocking_portal("asyncio") as portal,
    portal.wrap_async_context_manager(PairingServer()) as server,
):

    async def request_qr():
        return qrlifecycle.QRCode(portal.call(server.make_code, "bot-7", "ada"), expires_in=60)

    def make_lifecycle(user):
        return qrlifecycle.QRLifecycle(
            request_qr,
            partial(qrlifecycle.SocketIOTransport, server.url, bot_id="bot-7", user_id=user),
            on_qr_updated=lambda _qr: portal.call(server.scan, "bot-7", user),
        )

    pairing = type(sys)("myproject.pairing")
    pairing.make_lifecycle = make_lifecycle
    sys.modules |= {"myproject": type(sys)("myproject"), "myproject.pairing": pairing}
    from tasks import pair

    print(pair.apply(args=["ada"]).get(), len(server.sockets))
"""
"""The page's task, run as a worker runs it, in this process."""


@pytest.mark.slow
def test_the_page_on_embedding_shows_a_task_for_celery(tmp_path: Path) -> None:
    """It blocks until the account is paired."""
    pytest.importorskip("celery", reason="needs Celery, which nothing here depends on")
    *_, task = blocks(HOW_TO / "embed.md", "python")
    (tmp_path / "tasks.py").write_text(task)
    (tmp_path / "worker.py").write_text(WORKER)
    printed = run(sys.executable, str(tmp_path / "worker.py"), PYTHONWARNINGS="default")
    assert printed == "{'connected': True, 'reason': None} 1\n"


@pytest.mark.slow
def test_the_page_on_embedding_shows_tabs_that_join(tmp_path: Path) -> None:
    """Two of them see one attempt, over one socket."""
    listing, *_ = blocks(HOW_TO / "embed.md", "python")
    script = tmp_path / "listing.py"
    script.write_text(listing)
    *told, sockets = run(sys.executable, str(script)).splitlines()
    assert sorted(line.split(":")[0] for line in told) == ["the first tab", "the second tab"]
    assert sockets == "Sockets ever opened: 1"


PAGES = """
import os, sys

from anyio.from_thread import start_blocking_portal

from qrlifecycle import pair_blocking
from qrlifecycle.testing.gateways import WAHAEmulator

with (
    start_blocking_portal() as portal,
    portal.wrap_async_context_manager(WAHAEmulator(session="ada")) as service,
):

    def publish(user, picture):
        assert (user, picture[:4]) == ("ada", "<svg")
        portal.start_task_soon(service.scan, service.shown())

    pages = type(sys)("myproject.pages")
    pages.publish = publish
    sys.modules |= {"myproject": type(sys)("myproject"), "myproject.pages": pages}
    os.environ |= {"WAHA_URL": service.url, "WAHA_API_KEY": service.api_key}
    from pairing import make_lifecycle

    print(pair_blocking(make_lifecycle("ada")))
"""
"""The page's lifecycle for a worker, and a service beside it."""


@pytest.mark.slow
def test_the_page_on_embedding_shows_a_program_without_async(tmp_path: Path) -> None:
    """An emulator beside it, and where a task's lifecycle comes from: each pairs."""
    *_, beside, pairing, _ = blocks(HOW_TO / "embed.md", "python")
    (tmp_path / "beside.py").write_text(beside)
    assert "paired: 490001234567@c.us" in run(sys.executable, str(tmp_path / "beside.py"))
    (tmp_path / "pairing.py").write_text(pairing)
    (tmp_path / "pages.py").write_text(PAGES)
    printed = run(sys.executable, str(tmp_path / "pages.py"))
    assert printed.startswith("Connected(identity='490001234567@c.us'")


def test_the_page_on_embedding_has_the_three_lines_of_the_example() -> None:
    """What it says of Flask in short is what the example does at length."""
    lines = blocks(HOW_TO / "embed.md", "text")[1].splitlines()
    source = (TOP / "examples" / "pair_behind_flask.py").read_text()
    assert [line.split()[-1] for line in lines] == ["/pair"] * 3
    for line in lines:
        called = line.split("#")[0].strip()
        as_there = called.replace("look(user, tab", "look(current_user(), current_tab()")
        as_there = as_there.replace("leave(user, tab", "leave(current_user(), current_tab()")
        assert as_there.replace("user, tab,", "user, current_tab(),") in source
    assert "BlockingPairings(patience=10)" in source


def test_the_page_on_security_has_the_headers_of_the_example() -> None:
    """The policy that it prints is the one that `examples/web_service` sends."""
    (policy,) = blocks(DOCS / "security.md", "text")
    source = (TOP / "examples" / "web_service" / "app.py").read_text()
    (headers,) = (
        ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "HEADERS"
    )
    assert policy.strip() == headers["Content-Security-Policy"]


KEYED = """
import uuid

fields = {"lifecycle": None, "key": uuid.UUID(int=7), "subject": None}
print(JSONFormatter().format(logging.makeLogRecord(fields)))
"""
"""A line of an attempt that was joined by a key of another type."""


@pytest.mark.slow
def test_the_page_on_logging_tells_whose_line_it_is(tmp_path: Path) -> None:
    """Its listing pairs: each line of ours names one lifecycle, and so does the service's own."""
    (listing,) = blocks(HOW_TO / "logging.md", "python")
    (healthy,) = blocks(HOW_TO / "logging.md", "text")
    script = tmp_path / "listing.py"
    script.write_text(listing + KEYED)
    *lines, keyed = map(json.loads, run(sys.executable, str(script)).splitlines())
    assert keyed["key"] == "00000000-0000-0000-0000-000000000007"
    assert [line["text"] for line in lines] == ["asking for a code", *healthy.splitlines()]
    assert {line["logger"] for line in lines} == {"myservice", "qrlifecycle"}
    assert len({line["lifecycle"] for line in lines} - {None}) == 1
    assert all(line["lifecycle"] for line in lines)
    assert [line["subject"] for line in lines] == [None, *[["bot-7", "user-123"]] * 5]


@pytest.mark.slow
def test_the_page_on_cancellation_finds_what_it_says(tmp_path: Path) -> None:
    """Its listings run as one file: the attempt is clean, and the leak is found at its line."""
    page = TOP / "docs" / "how-to" / "cancel-everywhere.md"
    listings = "\n\n".join(blocks(page, "python"))
    assert listings.count("within=PairingServer)") == 2
    script = tmp_path / "example.py"
    script.write_text(
        listings.replace("within=PairingServer)", "within=PairingServer, patience=0)")
    )
    printed = run(sys.executable, str(script))
    assert re.search(
        r"^\d+ steps, \d+ runs on asyncio, cancelled by a scope$", printed, re.MULTILINE
    )
    (finding,) = blocks(page, "text")
    found = re.search(r"example\.py:\d+ in connect: .*", finding)
    assert found is not None
    assert found[0] in printed


@pytest.mark.slow
def test_the_page_on_testing_ones_own_service_passes_its_own(tmp_path: Path) -> None:
    """Its listings are a file of tests, as they stand, and all of them pass."""
    script = tmp_path / "test_mine.py"
    script.write_text("\n\n".join(blocks(HOW_TO / "test-your-service.md", "python")))
    plugins = ("-p", "no:cacheprovider", "-p", "no:asyncio")  # anyio's plugin runs them
    pytest_alone = (sys.executable, "-m", "pytest", "-q", "-W", "error", *plugins)
    printed = run(*pytest_alone, "--rootdir", str(tmp_path), str(script))
    assert re.search(r"^9 passed", printed, re.MULTILINE)


@pytest.mark.slow
def test_the_page_on_property_tests_passes_its_own(tmp_path: Path) -> None:
    """Its listings are a file of tests, as they stand, and all of them pass."""
    page = TOP / "docs" / "how-to" / "property-tests.md"
    script = tmp_path / "test_mine.py"
    script.write_text("\n\n".join(blocks(page, "python")))
    (tmp_path / "conftest.py").write_text(
        "from hypothesis import settings\n"
        "settings.register_profile('brief', max_examples=10, database=None)\n"
        "settings.load_profile('brief')\n"
    )
    plugins = ("-p", "no:cacheprovider", "-p", "no:asyncio")  # anyio's plugin runs them
    pytest_alone = (sys.executable, "-m", "pytest", "-q", *plugins)
    printed = run(*pytest_alone, "--rootdir", str(tmp_path), str(script))
    assert re.search(r"^8 passed, 4 skipped", printed, re.MULTILINE)


def test_the_readmes_example_prints_the_success() -> None:
    """The README's example draws a code and ends connected, with the log that the page prints."""
    (listing,) = blocks(README, "python")
    (log,) = blocks(HOW_TO / "logging.md", "text")
    setup = "import logging, sys\n"
    setup += "logging.basicConfig(level='INFO', stream=sys.stdout, format='LOG %(message)s')\n"
    printed = run(sys.executable, "-c", setup + listing)
    assert "Connected(identity='+490001234567'" in printed
    assert "█▀▀▀" in printed or "▄▄▄▄" in printed
    lines = [line for line in printed.splitlines() if line.startswith("LOG ")]
    assert [line.removeprefix("LOG ") for line in lines] == log.splitlines()


def test_the_readmes_example_has_ten_lines_below_the_imports() -> None:
    """As it says: with the call of main, and without blank lines."""
    (listing,) = blocks(README, "python")
    lines = [line for line in listing.splitlines() if line.strip()]
    assert len([line for line in lines if not line.startswith(("import", "from"))]) == 10
    assert "Ten lines below the imports" in README.read_text()


def test_the_readme_has_a_line_for_each_gateway() -> None:
    """With arguments that it takes; and for each transport that there is."""
    rows = re.findall(r"^\| .* \| `(\w+)\((.*?)\)\.lifecycle", README.read_text(), re.MULTILINE)
    kinds = {
        name: kind
        for name in qrlifecycle.gateways.__all__
        if inspect.isclass(kind := getattr(qrlifecycle.gateways, name))
        and issubclass(kind, qrlifecycle.gateways.Gateway)
        and kind is not qrlifecycle.gateways.Gateway
    }
    assert {name for name, _ in rows} == kinds.keys()
    for name, arguments in rows:
        (call,) = ast.parse(f"f({arguments})").body
        assert isinstance(call, ast.Expr)
        assert isinstance(call.value, ast.Call)
        given = {keyword.arg or "": None for keyword in call.value.keywords}
        inspect.signature(kinds[name]).bind(*call.value.args, **given)
    for transport in ("SocketIOTransport", "WebSocketTransport", "NoTransport"):
        assert f"{transport}," in README.read_text()


def test_the_readmes_picture_is_a_code_that_scans() -> None:
    """What a reader finds in it is the address that stands below the code."""
    zxingcpp = pytest.importorskip("zxingcpp", reason="needs zxing-cpp, which reads the codes")
    picture = ET.parse(DOCS / "images" / "demo.svg").getroot()
    scene = picture.find(".//*[@id='displayed']")
    assert scene is not None
    image = pytest.importorskip("PIL.Image").new("RGB", (640, 560), "#0f172a")
    for shape in scene.findall("{*}rect"):
        left, top, width, height = (int(shape.attrib[of]) for of in ("x", "y", "width", "height"))
        image.paste(shape.attrib["fill"], (left, top, left + width, top + height))
    (code,) = zxingcpp.read_barcodes(image, try_invert=False)
    assert code.text in {text.text or "" for text in scene.findall("{*}text")}
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/phone/[\w-]+", code.text)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pair.py", r"Paired with \+490001234567; sockets ever opened: 1"),
        ("pair_over_lines.py", r"Connected\(identity='\+490001234567'"),
        *(
            pytest.param(name, expected, marks=pytest.mark.slow)
            for name, expected in (
                ("pair_over_lines.py trio", r"Connected\(identity='\+490001234567'"),
                ("pair_over_websocket.py", r"Connected\(identity='\+490001234567'"),
                ("pair_over_websocket.py trio", r"Connected\(identity='\+490001234567'"),
                ("check_line_transport.py", r"on trio: \d+ checks passed, 7 skipped"),
                ("pair_in_a_terminal.py scan", r"Paired with \+490001234567"),
                ("pair_synchronously.py", r"Paired with \+490001234567\nSockets ever opened: 1"),
                ("pair_behind_fastapi.py", "was stopped.\nSockets ever opened: 4; open now: 0"),
                ("pair_behind_flask.py", r"\+490001234567'}\nSockets open at once: 1; open now: 0"),
            )
        ),
    ],
)
def test_an_example_runs_offline(name: str, expected: str) -> None:
    """Each example runs as it stands and ends in success."""
    script, *arguments = name.split()
    if "fastapi" in script:
        pytest.importorskip("fastapi", reason="needs the extra 'examples'")
    if "flask" in script:
        pytest.importorskip("flask", reason="needs the extra 'examples'")
    assert re.search(expected, run(sys.executable, str(TOP / "examples" / script), *arguments))


def test_every_example_is_run_or_used_by_one_that_is() -> None:
    """No example stands there untried."""
    names = {path.name for path in (TOP / "examples").glob("*.py")}
    assert names == {
        "check_leases_in_postgres.py",
        "check_line_transport.py",
        "leases_in_postgres.py",
        "line_transport.py",
        "pair.py",
        "pair_behind_fastapi.py",
        "pair_behind_flask.py",
        "pair_in_a_terminal.py",
        "pair_over_lines.py",
        "pair_over_websocket.py",
        "pair_synchronously.py",
    }


def test_the_transport_of_ones_own_is_as_short_as_the_readme_says() -> None:
    """The class of the example, blank lines and all, has fewer lines than the README says."""
    (limit,) = re.findall(r"line_transport\.py\) has under (\d+) lines", README.read_text())
    source = (TOP / "examples" / "line_transport.py").read_text()
    (transport,) = (n for n in ast.parse(source).body if isinstance(n, ast.ClassDef))
    assert transport.end_lineno is not None
    assert transport.end_lineno - transport.lineno + 1 < int(limit)


def test_the_page_on_writing_a_transport_knows_which_close_codes_refuse() -> None:
    """Those that do unless others are given."""
    first, *others, last = sorted(REFUSING)
    said = f"{', '.join(map(str, (first, *others)))} and {last} unless given"
    assert said in (HOW_TO / "write-a-transport.md").read_text()


def test_the_tutorial_knows_how_many_codes_there_are() -> None:
    """Its seconds of grace and its number of codes are the default policy's."""
    policy, words = qrlifecycle.Policy(), {"three": 3, "six": 6}
    (grace,) = re.findall(r"(\w+) seconds more, the \*grace\*", TUTORIAL.read_text())
    (codes,) = re.findall(r"(\w+) codes are shown in all", TUTORIAL.read_text())
    assert words[grace] == policy.expiry_grace
    assert words[codes.lower()] == 1 + policy.max_refreshes


@pytest.mark.anyio
@asyncio_only
async def test_the_tutorials_server_lets_in_who_has_the_token_and_tells_a_success() -> None:
    """Its listing, served: it pairs, and turns away who has another token."""
    (listing,) = (block for block in blocks(TUTORIAL, "python") if "AsyncServer" in block)
    server: dict[str, Any] = {}
    exec(listing, server)
    runner = web.AppRunner(server["app"], access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"

        async def tell(_qr: QRCode) -> None:
            await server["tell_linked"]("bot-7", "user-123", "+49")

        async def outcome_with(token: str) -> Outcome:
            return await QRLifecycle(
                request_qr,
                partial(
                    SocketIOTransport,
                    url,
                    bot_id="bot-7",
                    user_id="user-123",
                    auth={"token": token},
                ),
                on_qr_updated=tell,
            ).pair()

        refused = await outcome_with("another")
        assert isinstance(refused, Failed)
        assert refused.reason is Reason.AUTHENTICATION_REFUSED
        paired = await outcome_with("a token of yours")
        assert isinstance(paired, Connected)
        assert paired.identity == "+49"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("page", pages(), ids=lambda path: path.stem)
def test_a_command_is_the_environments(page: Path) -> None:
    """No page needs a `python` or `pip` of the system's: there may be none, or none that installs.

    A page shows the path, or says first that the environment is to be activated.
    """
    if "`. .venv/bin/activate` first" in page.read_text():
        return
    lines = [line for block in blocks(page, "console") for line in block.splitlines()]
    inline = re.findall(r"`([^`\n]+)`", page.read_text())
    ours = r"(qrlifecycle|pytest|sphinx-build) "
    bare = [line for line in lines if re.match(ours, line)]
    bare += [command for command in (*lines, *inline) if re.match(r"(python|pip) ", command)]
    assert bare == []


def test_the_readmes_picture_is_the_tables() -> None:
    """The README's diagram is what the table draws today."""
    assert difference(README.read_text(), "mermaid", "README.md") == ""


def test_the_page_of_rows_is_the_codes() -> None:
    """`docs/lifecycle.md` says what `python docs/generate.py` would write today."""
    spec = importlib.util.spec_from_file_location("generate", TOP / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert (TOP / "docs" / "lifecycle.md").read_text() == generate.lifecycle_page()


def test_the_readme_has_two_commands_and_ci_runs_the_second() -> None:
    """There are two commands, each one paste, and CI takes the second from the README itself."""
    commands = blocks(README, "console")
    assert len(commands) == 2
    assert all(len(command.splitlines()) == 1 for command in commands)
    assert "qrlifecycle demo" in commands[0]
    assert "pytest" in commands[1]
    assert "README.md" in (TOP / ".ci" / "run").read_text()


@pytest.mark.parametrize("page", pages(), ids=lambda path: path.stem)
def test_what_a_page_includes_has_where_it_begins_and_ends(page: Path) -> None:
    """The marks of a listing out of a file are found there, in that order."""
    text = page.read_text()
    included = re.findall(r"^```{literalinclude} (\S+)\n((?:^:.*\n)*)```", text, re.MULTILINE)
    assert len(included) == text.count("{literalinclude}")
    for name, options in included:
        lines = (page.parent / name).read_text().splitlines()
        marks = re.findall(r"^:(?:start-at|end-before): (.*)$", options, re.MULTILINE)
        places = [next(n for n, line in enumerate(lines) if mark in line) for mark in marks]
        assert places == sorted(set(places))


def test_every_page_that_is_linked_exists() -> None:
    """No connection between our own files leads nowhere."""
    for page in pages():
        for target in re.findall(r"\]\(([^)#:]+)[^):]*\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links {target}"


@pytest.mark.parametrize(
    ("word", "where"),
    [
        ("Evolution", "gateways/evolution.md"),
        ("Baileys", "gateways/evolution.md"),
        ("WPPConnect", "gateways/wppconnect.md"),
        ("WAHA", "gateways/waha.md"),
        ("GOWA", "gateways/gowa.md"),
        ("Prometheus", "how-to/watch-in-production.md"),
        ("Grafana", "how-to/watch-in-production.md"),
        ("OpenTelemetry", "how-to/watch-in-production.md"),
        ("Windows", "platforms.md"),
        ("macOS", "platforms.md"),
        ("Celery", "how-to/embed.md"),
        ("Flask", "how-to/embed.md"),
        ("FastAPI", "how-to/embed.md"),
        ("Django", "how-to/embed.md"),
        ("PostgreSQL", "how-to/write-a-keeper.md"),
        ("Nothing happens", "how-to/nothing-happens.md"),
        ("JSON", "how-to/logging.md"),
        ("logging", "how-to/logging.md"),
        ("Report a hole", "security.md"),
        ("useEffect", "coming-from-the-react-hook.md"),
        ("Telethon", "compared.md"),
    ],
)
def test_who_greps_for_a_word_finds_its_page(word: str, where: str) -> None:
    """The page has it, is in a table of contents, and is linked from the front or its index."""
    page = DOCS / where
    assert word in page.read_text()
    tables = "".join(
        (DOCS / folder / "index.md").read_text() for folder in ("", "how-to", "gateways")
    )
    assert re.search(rf"^{page.stem}$", tables, re.MULTILINE)
    assert f"{page.stem}.md" in tables


def test_every_example_that_a_page_names_exists() -> None:
    """No page sends anybody to an example that is not there."""
    for page in pages():
        for name in re.findall(r"`(examples/[\w./]*)`", page.read_text()):
            assert (TOP / name).exists(), f"{page.name} names {name}"


def test_every_test_that_a_page_names_exists() -> None:
    """What a page says is shown by a test is shown by one that there is."""
    sources = "".join(path.read_text() for path in (TOP / "tests").rglob("test_*.py"))
    known = set(re.findall(r"def (test_\w+)\(", sources))
    for page in pages():
        named = set(re.findall(r"`(test_\w+)`", page.read_text()))
        assert named <= known, f"{page.name} names {sorted(named - known)}"


def in_the_reference() -> list[object]:
    """What the reference is made from: the objects of its directives, and those of its modules."""
    page = (DOCS / "reference.md").read_text()
    found: list[object] = []
    for kind, name, options in re.findall(r"\.\. auto(\w+):: (\S+)\n((?:   :.*\n)*)", page):
        if kind == "module":
            module = importlib.import_module(name)
            listed = re.search(r":members: (\S.*)", options)
            names = listed[1].split(", ") if listed else module.__all__
            found += [getattr(module, member) for member in names]
        else:
            room, _, last = name.rpartition(".")
            found.append(getattr(importlib.import_module(room), last))
    return found


DOORS = [
    qrlifecycle,
    qrlifecycle.gateways,
    qrlifecycle.leases,
    qrlifecycle.monitoring,
    qrlifecycle.testing,
    qrlifecycle.testing.gateways,
    qrlifecycle.testing.leases,
]


@pytest.mark.parametrize("door", DOORS, ids=lambda m: m.__name__)
def test_the_reference_has_every_public_name(door: ModuleType) -> None:
    """Whatever `__all__` lists is in the reference, made from its docstring."""
    there = in_the_reference()
    missing = [
        name
        for name in door.__all__
        if not any(getattr(door, name) is documented for documented in there)
    ]
    assert missing == []


ARCHITECTURE = DOCS / "architecture.md"


def test_the_page_on_architecture_has_each_part_and_each_module_of_the_engine() -> None:
    """Its drawing names what stands at the top of the package, its table what is in the engine."""
    page = ARCHITECTURE.read_text()
    package = TOP / "qrlifecycle"
    (drawing,) = blocks(ARCHITECTURE, "text")
    folders = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    modules = {path.stem for path in package.glob("*.py") if not path.stem.startswith("_")}
    assert (folders | modules) - set(re.findall(r"\w+/?", drawing)) <= {"diagram/"}
    engine = {path.stem for path in package.glob("engine/*.py")} - {"__init__"}
    (table,) = re.findall(r"^## The engine\n(.*?)^\*\*Each fact", page, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == engine


def stands(name: str) -> bool:
    """Whether a dotted name leads somewhere in the package; a method may leave out its class."""
    parts, found = name.split("."), qrlifecycle
    while parts:
        try:
            found = importlib.import_module(f"{found.__name__}.{parts[0]}")
        except ModuleNotFoundError:
            break
        del parts[0]
    classes = [kind for kind in vars(found).values() if inspect.isclass(kind)]
    if found is qrlifecycle:
        return False
    roots = (found, *classes)
    return any(reduce(lambda one, part: getattr(one, part, None), parts, root) for root in roots)


def test_what_the_page_on_architecture_names_is_there() -> None:
    """Each dotted name on it is a module, or something in one."""
    named = set(re.findall(r"`([a-z_]+(?:\.\w+)+)(?:\(\))?`", ARCHITECTURE.read_text()))
    assert len(named) > 30
    assert {name for name in named if not stands(name)} == {"task.cancel"}


def walk(name: str) -> list[str]:
    """The functions that a walk through the code names, in its order."""
    (text,) = re.findall(
        rf"<!-- walk: {name} -->(.*?)<!-- end -->", ARCHITECTURE.read_text(), re.DOTALL
    )
    return re.findall(r"^\d+\. `([\w.]+)`", text, re.MULTILINE)


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["success", "expiry", "cancel"])
async def test_the_page_on_architecture_walks_where_the_code_does(name: str) -> None:
    """Each function that it names is called, in that order."""
    called: list[str] = []

    def note(frame: FrameType, event: str, _argument: object) -> None:
        room = str(frame.f_globals.get("__name__"))
        if event == "call" and room.startswith("qrlifecycle."):
            called.append(f"{room.removeprefix('qrlifecycle.')}.{frame.f_code.co_name}")

    options: dict[str, Any] = {"on_change": lambda _: None, "on_connected": lambda _: None}
    async with Pairing(**options) as pairing:
        before = sys.getprofile()
        sys.setprofile(note)
        try:
            if name == "cancel":
                pairing.lifecycle.cancel()
            elif name == "expiry":
                await anyio.sleep(63)  # the lifetime of `Pairing`'s code, and the grace
            else:
                pairing.peer.send(qrlifecycle.Paired())
            await settle()
        finally:
            sys.setprofile(before)
            pairing.lifecycle.cancel()
    steps = iter(called)
    assert walk(name)
    for step in walk(name):
        assert step in steps, f"{step} is not called there, or in another order"
