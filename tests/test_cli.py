"""The command line: what it prints, how it ends, and that nothing stops it from ending well."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from aiohttp import web
from rich.console import Console

import qrlifecycle
from qrlifecycle import (
    Connected,
    Failed,
    InvalidValue,
    Paired,
    PeerError,
    QRCode,
    QRLifecycleError,
    Reason,
    ServiceRefused,
    UsageError,
)
from qrlifecycle.cli import main, stopping
from qrlifecycle.cli.arguments import SHELLS, command_line
from qrlifecycle.cli.gateways import GATEWAYS
from qrlifecycle.cli.http_requests import CodeRequest, StatusRequest, default_qr_url
from qrlifecycle.cli.interactive import policy_of
from qrlifecycle.cli.live_view import LiveView
from qrlifecycle.cli.plain_view import PlainView, sentences
from qrlifecycle.cli.stopping import Stop
from qrlifecycle.errors import Malformed
from qrlifecycle.gateways.http import MAX_ANSWER
from qrlifecycle.monitoring.printable import printable
from qrlifecycle.testing.pairing_server import PairingServer

from . import terminal
from .patience import PROCESS_HANGS, patient_clock

OWNER = ("--bot-id", "bot-7", "--user-id", "user-123")
BOT_ID, USER_ID = OWNER[1], OWNER[3]

HEALTHY = [
    "connecting for QR display",
    "connected for QR display",
    "pairing event received",
    "connected, immediate success",
    "transport closed",
]

READY = """
import sys
from qrlifecycle import cli
from qrlifecycle.cli.stopping import Stop
enter = Stop.__enter__
def announce(self):
    enter(self)
    print("ready", flush=True)
    return self
Stop.__enter__ = announce
sys.exit(cli.main())
"""
"""The command line, with a first line that says that main() has begun."""


def environment(**more: str) -> dict[str, str]:
    """This process's environment, without what would change what a command does."""
    ours = {"NO_COLOR", "PYTHONUNBUFFERED", "QRLIFECYCLE_TOKEN"}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return {**kept, "PYTHONIOENCODING": "utf-8", "PYTHONWARNINGS": "error", **more}


def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A command from its start to its end."""
    command = [sys.executable, "-m", "qrlifecycle", *arguments]
    return subprocess.run(
        command,
        check=False,
        capture_output=True,
        encoding="utf-8",
        timeout=PROCESS_HANGS,
        env=environment(**more),
    )


async def start(*arguments: str, **more: str) -> asyncio.subprocess.Process:
    """A command that has reached main()."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", READY, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(**more),
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    return process


async def end(process: asyncio.subprocess.Process) -> tuple[int, str, str]:
    """The exit code, and what was written."""
    out, err = await asyncio.wait_for(process.communicate(), PROCESS_HANGS)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def strike(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Send a signal. asyncio's way may reap a process that has just ended, and lose its code."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


async def until(true: Callable[[], bool]) -> None:
    """Wait for what nobody announces."""
    async with asyncio.timeout(PROCESS_HANGS):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


def in_order(lines: list[str], text: str) -> bool:
    """Whether the text has these lines, in this order."""
    rest = iter(text.splitlines())
    return all(line in rest for line in lines)


# demo


def test_demo_plain() -> None:
    """A piped demo prints the healthy round in order, without escape codes, and the count."""
    done = run("demo", "--scan-after", "0.05")
    assert (done.returncode, done.stderr) == (0, "")
    assert in_order(HEALTHY, done.stdout)
    assert "\x1b" not in done.stdout
    assert re.fullmatch(
        r"server: 1 socket ever, 1 at most, 0 open now; "
        r"opened (\d+|under 1) ms after the code, closed (\d+|under 1) ms after the scan",
        done.stdout.splitlines()[-1],
    )


def test_demo_in_process(capsys: pytest.CaptureFixture[str]) -> None:
    """main() can be called: it returns the code, and puts signal handlers back."""
    before = signal.getsignal(signal.SIGTERM)
    assert main(["demo", "--scan-after", "0"]) == 0
    assert signal.getsignal(signal.SIGTERM) is before
    assert in_order(HEALTHY, capsys.readouterr().out)


@pytest.fixture
def on_a_patient_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that runs in this process, with its server, waits for nothing but sockets."""
    _, options = patient_clock("asyncio")
    monkeypatch.setattr(anyio, "run", partial(anyio.run, backend_options=options))


@pytest.mark.slow
@pytest.mark.usefixtures("on_a_patient_clock")
def test_demo_replaces_codes(capsys: pytest.CaptureFixture[str]) -> None:
    """A demo that nobody scans asks for as many codes as it may, and fails."""
    assert main(["demo", "--qr-lifetime", "0.1", "--max-refreshes", "1"]) == 1
    out = capsys.readouterr().out
    assert out.count("the code expired, asking for another") == 1
    assert "not paired: Nobody scanned the code." in out
    assert "server: 2 sockets ever, 1 at most, 0 open now" in out


@pytest.mark.slow
@pytest.mark.usefixtures("on_a_patient_clock")
def test_demo_scans_what_is_good(capsys: pytest.CaptureFixture[str]) -> None:
    """A demo that is to scan later than its code lives scans a later code."""
    assert main(["demo", "--qr-lifetime", "0.2", "--scan-after", "0.5"]) == 0
    printed = capsys.readouterr()
    assert printed.out.count("the code expired, asking for another") == 1
    assert printed.err == ""


def test_demo_without_packages(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing package is told in one line that names the extra."""
    monkeypatch.setitem(sys.modules, "segno", None)
    assert main(["demo"]) == 2
    assert "pip install '.[qr]'" in one_line(capsys.readouterr().err)


def test_demo_without_rich(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a terminal the live view's package is needed, and --plain does without."""
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.delitem(sys.modules, "qrlifecycle.cli.live_view", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["demo"]) == 2
    assert "pip install '.[cli]'" in one_line(capsys.readouterr().err)
    assert main(["demo", "--plain", "--scan-after", "0"]) == 0


def test_demo_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    """A port in use is told in one line."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["demo", "--port", str(port)]) == 2
    assert "Address already in use" in one_line(capsys.readouterr().err)


@pytest.mark.slow
def test_output_that_cannot_carry_blocks() -> None:
    """An output in ASCII says that it cannot carry the code; the demo goes on, by its address."""
    done = run("demo", "--scan-after", "0", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "the code cannot be drawn in ascii" in done.stdout


def answering(
    answer: object, *arguments: str, status: object = None, **more: str
) -> tuple[int, str, int]:
    """`pair` with a service that answers so when asked for a code, and when for the status.

    The exit code, what was written, and how many sockets there were.
    """

    async def scenario() -> tuple[int, str, int]:
        async with PairingServer() as server:
            app = web.Application()
            app.router.add_post("/qr", partial(answer_with, answer))
            app.router.add_get("/status", partial(answer_with, status))
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            here = f"http://127.0.0.1:{runner.addresses[0][1]}"
            asked = ["--qr-url", f"{here}/qr"]
            asked += [] if status is None else ["--status-url", f"{here}/status"]
            process = await start("pair", server.url, *OWNER, *asked, *arguments, **more)
            code, out, err = await end(process)
            await runner.cleanup()
            assert err == ""
            return code, out, len(server.sockets)

    return asyncio.run(scenario())


async def answer_with(what: object, _request: web.Request) -> web.Response:
    """An answer in JSON."""
    return web.json_response(what)


PICTURE = f"data:image/png;base64,{base64.b64encode(QRCode('2@of-a-phone').png()).decode()}"


@pytest.mark.slow
def test_where_no_code_can_be_drawn_none_is_asked_for() -> None:
    """`pair` writes no code as text, so it ends before anything is asked for or opened."""
    done = run("pair", "http://127.0.0.1:1", *OWNER, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout) == (2, "")
    assert "the code cannot be drawn in ascii; use UTF-8" in one_line(done.stderr)


@pytest.mark.slow
def test_what_can_be_typed_need_not_be_drawn() -> None:
    """A gateway is asked for a code that cannot be drawn only where there is one to type."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    gowa = ("pair", "gowa", f"http://127.0.0.1:{port}", "--device", "bot-7")
    brief = ("--policy", "generate_timeout=0.5")
    done = run(*gowa, *brief, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout) == (2, "")
    assert "use UTF-8" in one_line(done.stderr)
    phone = ("--phone-number", "+4915112345678")
    assert run(*gowa, *phone, *brief, PYTHONIOENCODING="ascii").returncode == 1
    assert run("pair", "device-flow", gowa[2], "--client-id", "tv", *brief,
               PYTHONIOENCODING="ascii").returncode == 1  # fmt: skip


def test_a_code_that_nobody_can_see_ends_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unless it can be read off a line beside it, or typed."""
    monkeypatch.setattr("qrlifecycle.cli.plain_view.can_draw", lambda: False)
    stop = Stop(owns_process=False)
    with pytest.raises(UsageError, match=r"the code cannot be drawn in .*; use UTF-8"):
        PlainView(stop, lambda _qr: ("Scan it.",), title="").show(QRCode("x"))
    PlainView(stop, lambda qr: (qr.reveal(),), title="").show(QRCode("a code"))
    PlainView(stop, lambda _qr: ("Scan it.",), title="").show(QRCode("x", typed="WDJB-MJHT"))
    assert {"a code", "Or type WDJB-MJHT"} <= set(capsys.readouterr().out.splitlines())


@pytest.mark.slow
def test_a_picture_is_drawn_in_a_terminal() -> None:
    """The code in it is read, and drawn as any other."""
    code, out, sockets = answering({"qr": PICTURE}, "--attempt-timeout", "1")
    assert (code, sockets) == (1, 1)
    assert QRCode("2@of-a-phone").text().rstrip() in out


@pytest.mark.parametrize(
    "answer",
    [
        {"qr": ""},
        pytest.param({"paired": True, "identity": []}, marks=pytest.mark.slow),
        pytest.param([{"qr": "x"}], marks=pytest.mark.slow),
    ],
)
def test_what_a_server_sends_is_its_own_fault(answer: object) -> None:
    """Told in one line, in the sentence of the failure; no traceback, and no socket."""
    code, out, sockets = answering(answer)
    assert (code, sockets) == (1, 0)
    assert out.splitlines()[-1].startswith("generating_failed: ")
    assert "payload must be text" in out or "text or a number" in out or "JSON object" in out
    assert "File" not in out
    assert "Traceback" not in out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "word"),
    [
        (True, "true"),
        (False, "false"),
        (1, "1"),
        (2.0, "2"),
        ("open", "open"),
    ],
)
def test_a_status_may_be_a_number_or_a_boolean(status: object, word: str) -> None:
    """It is compared as JSON spells it."""
    where = ("--status-field", "data.LoggedIn", "--paired-status", word)
    body = {"data": {"LoggedIn": status}, "identity": 491701234567}
    code, out, _ = answering({"qr": "x"}, *where, status=body)
    assert code == 0
    assert "paired: 491701234567" in out


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"status": ["paired"]}, "'status' must be text or a number, not a list"),
        pytest.param({"status": None}, "has nothing in 'status'", marks=pytest.mark.slow),
        pytest.param(
            *({"status": "paired", "identity": {}}, "'identity' must be text or a number"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_status_that_cannot_be_meant_says_where(body: object, said: str) -> None:
    """And it is no answer: it is asked again."""
    short = ("--attempt-timeout", "0.5", "--policy", "final_check_timeout=0.5")
    code, out, _ = answering({"qr": "x"}, *short, status=body)
    assert code == 1
    assert f"check_status failed: {said}" in out.replace("the server's answer ", "")
    assert "File" not in out


# pair


def serve(scenario: Callable[[PairingServer], Awaitable[None]], **options: Any) -> None:
    """Play a scenario beside a pairing server."""

    async def with_server() -> None:
        async with PairingServer(**options) as server:
            await scenario(server)

    asyncio.run(with_server())


def test_pair() -> None:
    """A pairing with a server of one's own never writes the payload."""

    async def scenario(server: PairingServer) -> None:
        process = await start("pair", server.url, *OWNER)
        await until(lambda: server.open_sockets() == 1)
        payload = server.pairing(BOT_ID, USER_ID).code
        await server.scan(BOT_ID, USER_ID)
        code, out, err = await end(process)
        assert (code, err) == (0, "")
        assert in_order([*HEALTHY, "paired: +490001234567"], out)
        assert payload not in out
        assert len(server.sockets) == 1

    serve(scenario)


@pytest.mark.slow
def test_pair_with_token() -> None:
    """The token of the environment goes over both ways and is in no text."""

    async def scenario(server: PairingServer) -> None:
        process = await start("pair", server.url, *OWNER, QRLIFECYCLE_TOKEN="s3cret")
        await until(lambda: server.open_sockets() == 1)
        await server.scan(BOT_ID, USER_ID)
        code, out, err = await end(process)
        assert (code, err) == (0, "")
        assert "s3cret" not in out
        refused = await start("pair", server.url, *OWNER, QRLIFECYCLE_TOKEN="wr0ng")
        code, out, err = await end(refused)
        assert (code, err) == (1, "")
        assert "refused_by_service" in out
        assert "wr0ng" not in out

    serve(scenario, token="s3cret")


@pytest.mark.slow
def test_pair_of_a_paired_account() -> None:
    """An account that is paired already needs no socket."""

    async def scenario(server: PairingServer) -> None:
        server.mark_paired(BOT_ID, USER_ID)
        assert (await end(await start("pair", server.url, *OWNER)))[:2] == (
            0,
            f"qrlifecycle pair: bot {BOT_ID}, user {USER_ID}\nconnected, already paired\n"
            "paired already: +490001234567\n",
        )
        assert not server.sockets

    serve(scenario)


@pytest.mark.slow
def test_pair_by_polling() -> None:
    """Where no WebSocket is let through, the success comes over HTTP."""

    async def scenario(server: PairingServer) -> None:
        process = await start("pair", server.url, *OWNER, "--polling")
        await until(lambda: server.open_sockets() == 1)
        await server.scan(BOT_ID, USER_ID)
        code, out, err = await end(process)
        assert (code, err) == (0, "")
        assert "paired" in out

    serve(scenario)


@pytest.mark.slow
def test_pair_where_everybody_is_told_everything() -> None:
    """With `--owner`, what does not say whose it is is nobody's success."""

    async def scenario(server: PairingServer) -> None:
        process = await start(
            "pair", server.url, *OWNER, "--owner", "session", "--attempt-timeout", "2"
        )
        await until(lambda: server.open_sockets() == 1)
        await server.scan(BOT_ID, USER_ID)
        code, out, _err = await end(process)
        assert code == 1
        assert "malformed" in out

    serve(scenario)


@pytest.mark.slow
def test_pair_with_events_of_the_servers_own() -> None:
    """`--event NAME=MEANING` teaches the command a server's words; what is unknown is counted."""

    async def scenario(server: PairingServer) -> None:
        words = ("--event", "whatsapp_qr_scanned=connected")
        process = await start("pair", server.url, *OWNER, *words)
        await until(lambda: server.open_sockets() == 1)
        await server.scan(*OWNER[1::2], confirm=False)
        code, out, err = await end(process)
        assert (code, err) == (0, "")
        assert "paired" in out

    serve(scenario)


def test_pair_with_an_event_that_means_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """One line says what an event can mean."""
    assert main(["pair", "http://127.0.0.1:1", *OWNER, "--event", "x=y"]) == 2
    assert "--event takes NAME=MEANING, with one of: connected," in capsys.readouterr().err


def test_pair_with_an_event_that_means_a_status_which_nobody_can_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is not dropped without a word."""
    assert main(["pair", "http://127.0.0.1:1", *OWNER, "--event", "x=status_changed"]) == 2
    assert "needs --status-url" in capsys.readouterr().err


@pytest.mark.slow
def test_pair_reads_the_status_when_an_event_says_that_it_has_changed() -> None:
    """With `--event NAME=status_changed`: the event itself says no more."""

    async def scenario(server: PairingServer) -> None:
        words = ("--event", "whatsapp_connected=status_changed")
        policy = ("--policy", "status_interval=3600")
        process = await start(
            "pair", server.url, *OWNER, *words, *policy, "--status-url", f"{server.url}/status"
        )
        await until(lambda: server.open_sockets() == 1)
        await server.scan(BOT_ID, USER_ID)
        code, out, err = await end(process)
        assert (code, err) == (0, "")
        assert "connected, confirmed by check_status" in out

    serve(scenario)


@pytest.mark.slow
def test_pair_reads_the_status() -> None:
    """`--status-url` finds a success that no event told, here one that the command cannot read."""

    async def scenario(server: PairingServer) -> None:
        words = ("--event", "whatsapp_connected=qr_scanned", "--status-url", f"{server.url}/status")
        process = await start("pair", server.url, *OWNER, *words, QRLIFECYCLE_TOKEN="s3cret")
        await until(lambda: server.open_sockets() == 1)
        await server.scan(BOT_ID, USER_ID)
        server.drop_connections()
        code, out, err = await end(process)
        assert (code, err) == (0, "")
        assert "the connection broke; reconnecting in" not in err
        assert "connected, found by check_status" in out
        assert "paired: +490001234567" in out

    serve(scenario, token="s3cret")


@pytest.mark.slow
def test_pair_says_what_else_is_wanted() -> None:
    """A code to type and an action that is required are told in words."""

    async def scenario(server: PairingServer) -> None:
        words = ("--event", "whatsapp_qr_updated=pairing_code")
        process = await start("pair", server.url, *OWNER, *words)
        await until(lambda: server.open_sockets() == 1)
        pairing = server.pairing(BOT_ID, USER_ID)
        await server._notify(pairing, "whatsapp_pairing_code", code="ABCD-\x1b[2J")
        await server.require_action(BOT_ID, USER_ID, "compare_code", code="123-456")
        await server.scan(BOT_ID, USER_ID)
        code, out, err = await end(process)
        assert (code, err) == (0, "")
        assert "type this code on the phone: ABCD-?[2J" in out
        assert "the service requires an action, compare_code: 123-456" in out

    serve(scenario)


@pytest.mark.slow
def test_pair_with_a_status_that_cannot_be_read() -> None:
    """An answer without the status in it is told in one line each time, and is not fatal."""

    async def scenario(server: PairingServer) -> None:
        words = ("--status-url", f"{server.url}/status", "--status-field", "a.b")
        process = await start("pair", server.url, *OWNER, *words)
        await until(lambda: server.open_sockets() == 1)
        assert process.stdout is not None
        async with asyncio.timeout(PROCESS_HANGS):
            while not (line := await process.stdout.readline()).startswith(b"check_status"):
                pass
        assert line == b"check_status failed: the server's answer has nothing in 'a.b'\n"
        await server.scan(BOT_ID, USER_ID)
        code, out, err = await end(process)
        assert (code, err) == (0, "")
        assert "File" not in out

    serve(scenario)


def test_pair_with_half_a_status(capsys: pytest.CaptureFixture[str]) -> None:
    """What tells how to read the status needs where to read it."""
    assert main(["pair", "http://127.0.0.1:1", *OWNER, "--paired-status", "open"]) == 2
    assert "need --status-url" in capsys.readouterr().err


@pytest.mark.slow
def test_pair_declined() -> None:
    """Declined on the phone is told as such."""

    async def scenario(server: PairingServer) -> None:
        process = await start("pair", server.url, *OWNER)
        await until(lambda: server.open_sockets() == 1)
        await server.refuse(BOT_ID, USER_ID)
        code, out, err = await end(process)
        assert (code, err) == (1, "")
        assert "not paired: Pairing was declined on the phone." in out

    serve(scenario)


def test_pair_unreachable(capsys: pytest.CaptureFixture[str]) -> None:
    """An unreachable server is a failed outcome whose text holds no query."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert main(["pair", f"http://127.0.0.1:{port}/?key=s3cret", *OWNER]) == 1
    captured = capsys.readouterr()
    assert f"cannot connect to the server 127.0.0.1:{port}: connection refused" in captured.out
    assert "s3cret" not in captured.out + captured.err


# Signals

SOME_MOMENTS = [0.0, 0.1, 0.4]

MORE_MOMENTS = [0.01, 0.2, 0.3, *(step / 10 for step in range(5, 13))]


@pytest.mark.parametrize(
    "delays",
    [
        pytest.param(SOME_MOMENTS, id="some moments"),
        pytest.param(MORE_MOMENTS, id="more moments", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("command", ["demo", "pair"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_sweep(command: str, number: signal.Signals, delays: list[float]) -> None:
    """A signal at any moment of demo and pair ends it: its code, no word on stderr, no socket."""

    async def attempt(server: PairingServer, delay: float, turns: asyncio.Semaphore) -> None:
        rest = ("demo",) if command == "demo" else ("pair", server.url, *OWNER)
        async with turns:
            process = await start(*rest)
            await asyncio.sleep(delay)
            strike(process, number)
            code, out, err = await end(process)
        assert (code, err) == (128 + number, ""), (delay, out)

    async def scenario(server: PairingServer) -> None:
        turns = asyncio.Semaphore(3)
        async with asyncio.TaskGroup() as tasks:
            for delay in delays:
                tasks.create_task(attempt(server, delay, turns))
        await until(lambda: server.open_sockets() == 0)

    serve(scenario)


@pytest.mark.slow
@pytest.mark.parametrize("gap", [0.0, 0.003, pytest.param(0.02, marks=pytest.mark.slow)])
def test_second_interrupt(gap: float) -> None:
    """A second Ctrl-C right after the first neither hangs nor says anything."""

    async def scenario(server: PairingServer) -> None:
        process = await start("pair", server.url, *OWNER)
        await until(lambda: server.open_sockets() == 1)
        strike(process, signal.SIGINT)
        await asyncio.sleep(gap)
        strike(process, signal.SIGINT)
        code, _, err = await end(process)
        assert (code, err) == (130, "")
        await until(lambda: server.open_sockets() == 0)

    serve(scenario)


HANGING = """
import time
from qrlifecycle.cli.stopping import Stop
with Stop(owns_process=True) as stop, stop.asks(lambda: None):
    print("ready", flush=True)
    time.sleep(600)
"""
"""A command that is asked to stop and does not."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_promise_2_a_second_interrupt_ends_what_hangs(number: signal.Signals) -> None:
    """At once, with the exit code of the first; nobody has to look for the process."""
    where = Path(qrlifecycle.__file__).parents[1]
    process = subprocess.Popen([sys.executable, "-c", HANGING], stdout=subprocess.PIPE, cwd=where)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)  # asked, and it hangs
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(PROCESS_HANGS)
        assert process.returncode == 128 + number
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_promise_2_a_second_interrupt_forces_the_exit(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first asks; the second waits for nobody, and restores the terminal."""
    ended: list[int] = []
    written: list[bytes] = []
    asked: list[None] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    monkeypatch.setattr(stopping, "_write", written.append)
    with Stop(owns_process=False) as stop, stop.screen(b"enter", b"leave"):
        with stop.asks(lambda: asked.append(None)):
            signal.raise_signal(number)
            assert (ended, len(asked), stop.code) == ([], 1, 128 + number)
            signal.raise_signal(number)
        assert (ended, written, len(asked)) == ([128 + number], [b"leave"], 1)


@pytest.mark.slow
def test_interrupt_says_how_it_ended() -> None:
    """After Ctrl-C the socket was closed in order, and the last lines say so."""

    async def scenario(server: PairingServer) -> None:
        process = await start("pair", server.url, *OWNER)
        assert process.stdout is not None
        while await process.stdout.readline() != b"connected for QR display\n":
            pass
        strike(process, signal.SIGINT)
        code, out, err = await end(process)
        assert (code, err) == (130, "")
        assert in_order(["transport closed", "not paired: Pairing was stopped."], out)
        await until(lambda: server.open_sockets() == 0)
        assert server.sockets[0].reason == "client disconnect"

    serve(scenario)


@pytest.mark.parametrize("command", ["demo", "diagram", "--help"])
def test_reader_goes_away(command: str) -> None:
    """When nobody reads any more, a command ends without a word."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "qrlifecycle", command],
            check=False,
            stdout=write,
            stderr=subprocess.PIPE,
            timeout=PROCESS_HANGS,
            env=environment(),
        )
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
@pytest.mark.parametrize(
    "command", [("demo",), ("demo", "--gateway", "waha", "--serve"), ("diagram",)]
)
def test_a_full_disk_is_no_reader_that_went_away(command: tuple[str, ...]) -> None:
    """It ends the command as well, and is said: nobody would look for it else."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "qrlifecycle", *command],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=PROCESS_HANGS,
            env=environment(),
        )
    said = b"qrlifecycle: error: cannot write the output: No space left on device\n"
    assert (done.returncode, done.stderr) == (2, said)


# Servers that fail


@pytest.mark.slow
@pytest.mark.parametrize(
    "delay",
    [
        0.0,
        0.2,
        0.4,
        0.6,
        None,
    ],
)
def test_server_killed(delay: float | None) -> None:
    """A server killed at any moment of pair: a reason, exit 1, no traceback."""

    async def scenario() -> None:
        server = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "qrlifecycle.testing"), stdout=asyncio.subprocess.PIPE
        )
        assert server.stdout is not None
        url = (await server.stdout.readline()).decode().strip()
        process = await start("pair", url, *OWNER, "--attempt-timeout", "3")
        if delay is None:
            joined = asyncio.ensure_future(server.stdout.readline())
            ended = asyncio.ensure_future(process.wait())
            await asyncio.wait({joined, ended}, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(delay)
        strike(server, signal.SIGKILL)
        await server.communicate()
        code, out, err = await end(process)
        assert (code, err) == (1, "")
        assert "not paired: " in out

    asyncio.run(scenario())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("silence", "timeout"),  # long enough to come to the silence
    [
        ("before HTTP", "0.5"),
        ("before 101", "5"),
        ("after 101", "5"),
        ("after OPEN", "5"),
    ],
)
def test_server_falls_silent(silence: str, timeout: str) -> None:
    """A server that stops reading and answering at any step: a reason, in time, exit 1."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        if head.startswith("POST") and silence != "before HTTP":
            body = json.dumps({"qr": "code", "expiresIn": 60}).encode()
            length = f"Content-Length: {len(body)}\r\n"
            writer.write(f"HTTP/1.1 200 OK\r\n{length}Connection: close\r\n\r\n".encode() + body)
        elif head.startswith("GET") and silence.startswith("after"):
            writer.write(switching(head))
            if silence == "after OPEN":
                packet = {"sid": "x", "upgrades": [], "pingInterval": 25000, "pingTimeout": 20000}
                text = b"0" + json.dumps(packet).encode()
                writer.write(bytes([0x81, len(text)]) + text)
        gone.append(writer)

    gone: list[asyncio.StreamWriter] = []

    async def scenario() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            host, port = server.sockets[0].getsockname()
            url = f"http://{host}:{port}"
            process = await start("pair", url, *OWNER, "--attempt-timeout", timeout)
            code, out, err = await end(process)
            assert (code, err) == (1, "")
            assert "not paired: " in out
            assert "attempt_timed_out" in out
            assert ("transport closed" in out) == (silence != "before HTTP")
            for writer in gone:
                writer.close()

    asyncio.run(scenario())


def switching(head: str) -> bytes:
    """The answer to a WebSocket handshake."""
    found = re.search(r"(?im)^sec-websocket-key: (\S+)", head)
    assert found is not None
    digest = hashlib.sha1(f"{found[1]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
    accept = base64.b64encode(digest).decode()
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\n\r\n"
    ).encode()


# The request behind a code


def ask(answer: web.StreamResponse | Exception, **options: Any) -> QRCode | Paired:
    """What a request makes of an answer."""

    async def respond(request: web.Request) -> web.StreamResponse:
        assert await request.json() == {"botId": "b", "userId": "u"}
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def scenario() -> QRCode | Paired:
        app = web.Application()
        app.router.add_post("/qr", respond)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        try:
            request = CodeRequest(f"http://127.0.0.1:{port}/qr?k=s3cret", "b", "u", **options)
            return await request()
        finally:
            assert runner.server is not None
            assert not runner.server.connections
            await runner.cleanup()

    return asyncio.run(scenario())


def test_request_reads_fields() -> None:
    """A code and its lifetime are read from dotted paths."""
    answer = web.json_response({"data": {"code": "x", "life": 20}})
    assert ask(answer, qr_field="data.code", expires_field="data.life") == QRCode("x")


def test_request_without_lifetime() -> None:
    """A lifetime that is not told is left to the policy."""
    qr = ask(web.json_response({"qr": "x"}))
    assert isinstance(qr, QRCode)
    assert qr.expires_in is None


def test_request_paired() -> None:
    """``paired`` means that no code is needed."""
    assert ask(web.json_response({"paired": True, "identity": "me"})) == Paired(
        "me", {"paired": True, "identity": "me"}
    )


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (web.Response(status=401), ServiceRefused),
        (web.Response(status=403, text="no"), ServiceRefused),
        (web.json_response({"error": "no"}, status=422), ServiceRefused),
        (web.json_response({"error": "later"}, status=429), PeerError),
        (web.Response(status=404, text="nothing here"), PeerError),
        (web.Response(status=500), PeerError),
        (web.Response(status=302, headers={"Location": "/qr"}), PeerError),
        (web.Response(text="<html>"), PeerError),
        (web.Response(text="[" * 100_000), PeerError),
        (web.json_response(["qr"]), PeerError),
        (web.json_response({"qr": 7}), Malformed),
        (web.json_response({"qr": "x", "expiresIn": "soon"}), Malformed),
        (web.json_response({"qr": "x", "expiresIn": -1}), Malformed),
        (web.json_response({"qr": ""}), Malformed),
        (web.Response(body=b" " * (MAX_ANSWER + 1)), PeerError),
    ],
)
def test_request_refuses(answer: web.Response, error: type[QRLifecycleError]) -> None:
    """An answer without a code is one typed error, which holds neither URL nor answer."""
    with pytest.raises(error) as raised:
        ask(answer)
    assert type(raised.value) is error
    assert "s3cret" not in str(raised.value) + repr(raised.value)
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"qr": 7}, "'qr' must be a code as text, not a number"),
        ({"qr": ""}, "'qr' is no code: a QR code's payload must be text that is not empty"),
        ({"qr": "x" * 3000}, "'qr' is no code: a QR code holds at most 2953 bytes, not 3000"),
        ({"qr": "\ud800"}, "'qr' is no code: "),
        ({"qr": "x", "expiresIn": "soon"}, "'expiresIn' must be seconds above 0, not text"),
        ({"qr": "x", "expiresIn": -1}, "'expiresIn' must be seconds above 0, not -1"),
        ({"qr": "x", "expiresIn": 10**400}, "'expiresIn' must be seconds above 0, not int"),
        ({"qr": "x", "expiresIn": True}, "'expiresIn' must be seconds above 0, not true or false"),
        ({"qr": "data:image/svg+xml;base64,PHN2Zy8+"}, "'qr' is no code: a picture must be"),
        ({"qr": PICTURE[:60]}, "'qr' is no code: a picture"),
        ({"paired": "yes"}, "'paired' must be true or false, not text"),
        ({"paired": True, "identity": []}, "'identity' must be text or a number, not a list"),
        ({}, "the server's answer has no code in 'qr'"),
    ],
)
def test_an_answer_that_cannot_be_meant_names_its_field(answer: object, said: str) -> None:
    """It is the peer's fault, in one line with the field and the kind of what was found."""
    with pytest.raises(PeerError) as raised:
        ask(web.json_response(answer))
    assert str(raised.value).startswith(said)


def failure_of(
    kind: type[CodeRequest | StatusRequest], status: int, headers: Mapping[str, str] | None = None
) -> str:
    """What is said of an answer that is a page with this status."""

    async def respond(_request: web.Request) -> web.Response:
        return web.Response(status=status, text="<html>", headers={"Location": "https://x/s3cret"})

    async def scenario() -> str:
        app = web.Application()
        app.router.add_route("*", "/", respond)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        with pytest.raises(PeerError) as raised:
            await kind(f"http://127.0.0.1:{runner.addresses[0][1]}/", "b", "u", headers or {})()
        await runner.cleanup()
        return str(raised.value)

    return asyncio.run(scenario())


@pytest.mark.parametrize("kind", [CodeRequest, StatusRequest])
@pytest.mark.parametrize("status", [401, 403])
def test_who_is_turned_away_is_told_where_a_token_is_given(
    kind: type[CodeRequest | StatusRequest], status: int
) -> None:
    """Or that the one that was given is not accepted."""
    assert failure_of(kind, status).endswith(
        ": if it wants a token, set QRLIFECYCLE_TOKEN; anything else goes into --header"
    )
    assert failure_of(kind, status, {"authorization": "Bearer s3cret"}).endswith(
        ": it does not accept what QRLIFECYCLE_TOKEN or --header says"
    )


@pytest.mark.parametrize(
    ("kind", "option"), [(CodeRequest, "--qr-url"), (StatusRequest, "--status-url")]
)
@pytest.mark.parametrize(
    ("status", "said"),
    [
        (302, "it redirects, which is not followed; give {} where it leads to"),
        (404, "is {} right?"),
        (503, "the server answered HTTP 503 when asked for"),
        (200, "is not a JSON object"),
    ],
)
def test_an_answer_that_is_none_says_what_to_mend(
    kind: type[CodeRequest | StatusRequest], option: str, status: int, said: str
) -> None:
    """By the option that says where to ask; it is HTTP 200, and no answer all the same."""
    failure = failure_of(kind, status)
    assert said.format(option) in failure
    assert "s3cret" not in failure


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--attempt-timeout nan", "--attempt-timeout must be"),
        ("--max-refreshes -1", "--max-refreshes must be"),
        ("--qr-lifetime 0", "--qr-lifetime must be"),
        ("--policy open_timeout=0", "--policy open_timeout must be"),
        ("--policy reconnect_delay=9", "--policy reconnect_delay must not be above"),
    ],
)
def test_a_number_that_cannot_be_meant_is_called_as_it_was_given(
    option: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And not by a class that only a program has."""
    assert main(["demo", *option.split()]) == 2
    error = one_line(capsys.readouterr().err)
    assert f"error: {said}" in error
    assert "Policy" not in error
    assert "math" not in error


def test_what_only_a_program_can_give_is_named_as_it_is_given_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the environment's name for it."""
    for name in ("QRLIFECYCLE_TOKEN", "QRLIFECYCLE_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert main(["pair", "wppconnect", "http://h", "--session", "s"]) == 2
    said = one_line(capsys.readouterr().err)
    assert "give QRLIFECYCLE_TOKEN or QRLIFECYCLE_SECRET_KEY, one of them" in said


def test_a_request_may_be_answered_with_a_picture() -> None:
    """As a data: URL where the text should be."""
    code = ask(web.json_response({"qr": PICTURE, "expiresIn": 20}))
    assert isinstance(code, QRCode)
    assert (code.has_text, code.reveal()) == (False, "2@of-a-phone")


def test_request_url() -> None:
    """The URL to ask is the server's and /qr, over HTTP also where the socket's is ws."""
    assert default_qr_url("wss://h/base/?k=1") == "https://h/base/qr?k=1"
    assert default_qr_url("http://h") == "http://h/qr"
    with pytest.raises(InvalidValue):
        CodeRequest("ftp://h/qr", "b", "u")
    assert "h/qr" not in repr(CodeRequest("http://h/qr", "b", "u"))


# The views


def test_blocks_are_the_matrix() -> None:
    """The half blocks are the code's modules, ink for dark, quiet zone and all."""
    for payload in ("x", "https://example.org/" + "y" * 90):
        qr = QRCode(payload)
        assert modules(qr.text(ink=True).splitlines())[: len(qr.matrix())] == qr.matrix()


def test_a_code_to_type_in_place_of_scanning_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """It stands below the picture and what else is said of it, without control characters."""
    view = PlainView(Stop(owns_process=False), lambda _qr: ("Scan it.",), title="")
    view.show(QRCode("x", typed="WDJB-\x1bMJHT"))
    view.show(QRCode("x", typed="WDJB-MJHT", typed_at="https://h/device"))
    view.show(QRCode("x"))
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.strip("█▀▄ ")] == [
        "Scan it.",
        "Or type WDJB-?MJHT",
        "Scan it.",
        "Or type WDJB-MJHT at https://h/device",
        "Scan it.",
    ]


def modules(lines: list[str]) -> list[list[bool]]:
    """The modules that half blocks show."""
    rows: list[list[bool]] = []
    for line in lines:
        rows.append([block in "█▀" for block in line])
        rows.append([block in "█▄" for block in line])
    return rows


def test_sentences_are_clean() -> None:
    """What a server said cannot move the cursor, and an unknown error's text is not repeated."""
    assert list(sentences(Connected("\x1b[2Jme\r"))) == ["paired: ?[2Jme?"]
    assert list(sentences(Connected())) == ["paired"]
    failed = Failed(Reason.GENERATING_FAILED, RuntimeError("s3cret"))
    assert "s3cret" not in " ".join(sentences(failed))


def test_an_error_of_ours_is_shown_to_its_end() -> None:
    """What to do stands there; the reason's own sentence is not said beside it."""
    error = PeerError(f"{'within policy.attempt_timeout (600 s); ' * 6}pair again")
    (_, line) = sentences(Failed(Reason.ATTEMPT_TIMED_OUT, error))
    assert line == f"attempt_timed_out: {error}"
    (_, line) = sentences(Failed(Reason.GENERATING_FAILED, RuntimeError("s3cret")))
    assert line == f"generating_failed: {Reason.GENERATING_FAILED.meaning} (RuntimeError)"


HARMFUL = [
    *map(chr, range(0x20)),
    *map(chr, range(0x7F, 0xA0)),  # DEL, and the C1 controls: CSI by itself is one of them
    *map(chr, range(0x202A, 0x202F)),  # what turns the direction of writing
    *map(chr, range(0x2066, 0x206A)),
    *"\u200b\u200e\u200f\u2028\u2029\u061c\ufeff\ud800\U000e0041",
]
"""What moves a terminal's cursor, hides text, or shows it in another order than it has."""


@pytest.mark.parametrize("harmful", HARMFUL, ids=lambda c: f"U+{ord(c):04X}")
def test_promise_7_foreign_text_does_nothing_to_a_terminal(harmful: str) -> None:
    """Each such character is a question mark, wherever it stands; words of the world are kept."""
    assert printable(f"a{harmful}b{harmful}") == "a?b?"
    assert list(sentences(Connected(f"me{harmful}"))) == ["paired: me?"]
    assert printable("Grüße, 你好, مرحبا") == "Grüße, 你好, مرحبا"


def in_terminal(
    *arguments: str, columns: int = 100, lines: int = 50, strike: bool = False, **more: str
) -> tuple[int, str]:
    """A command in a terminal of that size: its exit code, and all it wrote."""
    settings = environment(**{"TERM": "xterm-256color", **more})
    for name in ("COLUMNS", "LINES", "COLORTERM", "FORCE_COLOR"):
        settings.pop(name, None)
    struck: list[int] = []

    def watch(written: bytes, process: subprocess.Popen[bytes]) -> None:
        if strike and not struck and b"connected for QR display" in written:
            process.send_signal(signal.SIGINT)
            struck.append(process.pid)

    code, written = terminal.in_terminal(
        [sys.executable, "-m", "qrlifecycle", *arguments],
        columns=columns,
        lines=lines,
        environment=settings,
        watch=watch,
    )
    return code, written.decode()


def terminal_is_restored(written: str) -> bool:
    """Whether the cursor is shown, the first screen is back and colours are off."""
    return (
        written.rfind("\x1b[?25h") > written.rfind("\x1b[?25l") >= 0
        and written.rfind("\x1b[?1049l") > written.rfind("\x1b[?1049h") >= 0
    )


def test_live_view() -> None:
    """The live view draws the code in its own colours, and leaves the terminal as it was."""
    code, written = in_terminal("demo", "--scan-after", "0.3")
    assert code == 0
    assert terminal_is_restored(written)
    drawn = re.findall(r"\x1b\[38;5;16;48;5;231m([ ▀▄█]+)", written)
    url = re.search(r"http://[^\s\x1b]+/phone/[\w-]+", written)
    assert url is not None
    matrix = QRCode(url[0]).matrix()
    assert modules(drawn)[: len(matrix)] == matrix
    assert "state displayed   socket open   code valid for 60 s" in written
    summary = written[written.rindex("\x1b[?1049l") :]
    assert "paired: +490001234567" in summary
    assert "1 socket ever" in summary
    assert url[0] not in summary


def photographed(lines: list[str], paper: int) -> list[str]:
    """What a reader finds in lines of half blocks or coloured spaces on a terminal of that grey."""
    zxingcpp = pytest.importorskip("zxingcpp", reason="needs zxing-cpp, which reads the codes")
    image = pytest.importorskip("PIL.Image").new("L", (80 * 6, 40 * 12), paper)
    ink = {"█": (1, 1), "▀": (1, 0), "▄": (0, 1), " ": (0, 0)}
    for y, line in enumerate(lines):
        front, back, x = 255 - paper, paper, 12
        for said, char in re.findall(r"\x1b\[([\d;]*)m|(.)", line):
            if not char:
                front = 0 if "38;5;16" in said else 255 - paper
                back = {"231": 255, "16": 0}.get(said.rpartition("48;5;")[2], paper)
                continue
            for half, is_ink in enumerate(ink[char]):
                top = 12 + y * 12 + half * 6
                image.paste(front if is_ink else back, (x, top, x + 6, top + 6))
            x += 6
    return [found.text for found in zxingcpp.read_barcodes(image, try_invert=False)]


def code_lines(written: str) -> list[str]:
    """The lines of a code that is drawn in a terminal, from its first to its last, once."""
    found = (re.search(r"\x1b\[[\d;]*48;5;(16|231)m.*", line) for line in written.splitlines())
    return [line[0].rstrip() for line in found if line is not None]


@pytest.mark.parametrize(
    "paper",
    [pytest.param(0, id="dark"), pytest.param(255, id="light", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize(
    ("more", "options"),
    [({}, ("--plain",)), ({"PYTHONIOENCODING": "ascii"}, ())],
    ids=["half blocks", "no half blocks"],
)
def test_a_code_in_a_terminal_scans(
    paper: int, more: dict[str, Any], options: tuple[str, ...]
) -> None:
    """Whatever the theme, and without half blocks by spaces in two colours."""
    code, written = in_terminal("demo", "--scan-after", "0.1", *options, **more)
    assert code == 0
    url = re.search(r"http://[^\s\x1b]+/phone/[\w-]+", written)
    assert url is not None
    assert photographed(code_lines(written), paper) == [url[0]]


@pytest.mark.slow
@pytest.mark.parametrize(("invert", "paper"), [(False, 0), (True, 255)])
def test_a_piped_code_scans(invert: bool, paper: int) -> None:
    """On a dark background as it is, on a light one with `--invert`; without escape codes."""
    done = run("demo", "--scan-after", "0", *["--invert"] * invert)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    url = re.search(r"http://\S+/phone/[\w-]+", done.stdout)
    assert url is not None
    drawn = [line for line in done.stdout.splitlines() if not line.strip("█▀▄ ")]
    assert photographed(drawn, paper) == [url[0]]


def test_a_small_terminal_has_all_of_it() -> None:
    """At 60 by 20 the code with a narrow border, its address, and what goes on; and it scans."""
    code, written = in_terminal("demo", "--scan-after", "0.3", columns=60, lines=20)
    assert code == 0
    assert "this terminal has" not in written
    assert terminal_is_restored(written)
    screen = next(part for part in re.split(r"\x1b\[(?:H|\?25h)", written) if "/phone/" in part)
    assert len(screen.splitlines()) <= 20
    assert "state displayed   socket open   code valid for 60 s" in screen
    (url,) = set(re.findall(r"http://[^\s\x1b]+/phone/[\w-]+", screen))
    assert f";{url}\x1b\\" in screen  # a link that opens, also where its text is cut
    assert photographed(code_lines(screen), 0) == [url]


@pytest.mark.slow
def test_a_code_that_is_higher_than_the_terminal_is_said_to_be() -> None:
    """After the code, for what is written before it has left the screen."""
    code, written = in_terminal("demo", "--scan-after", "0", "--plain", lines=12)
    assert code == 0
    assert "lines high and this terminal has 12: make it higher" in written
    assert written.index("Its address:") < written.index("48;5;231m")
    needs = written.index("lines high and this terminal has 12")
    assert written.rindex("48;5;231m") < needs


ADVICE = "This code is scanned automatically after 3 s."


OF_130 = f"2@{'A' * 30},{'b' * 43},{'c' * 43}"
WHATSAPPS = f"2@{'a' * 88},{'b' * 43}=,{'c' * 43}=,{'d' * 43}="
"""As long as they are: some 220 characters."""


@pytest.mark.parametrize(
    ("text", "columns", "lines", "fits"),
    [
        (OF_130, 80, 24, True),
        (OF_130, 60, 25, True),
        (OF_130, 60, 24, False),
        (OF_130, 80, 23, False),
        (WHATSAPPS, 80, 31, True),
    ],
    ids=lambda value: len(value) if isinstance(value, str) else None,
)
def test_a_code_fits_into_80_by_24_and_one_of_whatsapps_into_80_by_31(
    text: str, columns: int, lines: int, fits: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """What to do with it stands at its right where there is no room below, or it is said."""
    code = QRCode(text)
    screen = Console(width=columns, height=lines, file=io.StringIO(), force_terminal=True)
    view = LiveView(Stop(owns_process=False), lambda _: (ADVICE,), title="a title", lifetime=60)
    view._console = screen
    with view:
        view.show(code)
        shown = [line.plain for line in view._lines()]
        assert (view._live is not None) is fits
    if fits:
        assert len(shown) == lines
        assert "state idle" in shown[-1]
        assert all(word in " ".join(shown) for word in ADVICE.split())
        assert max(map(len, shown)) <= columns
        assert code.text(ink=True, border=2).splitlines()[0] in shown[0]
    out = capsys.readouterr().out
    assert ("A live view of the code needs 45 columns and 25 lines" in out) is not fits
    if not fits:
        assert out.index("█") < out.index("A live view of the code")


def view_in(monkeypatch: pytest.MonkeyPatch, columns: int, lines: int) -> LiveView:
    """A live view in a terminal of this size."""
    monkeypatch.setattr("qrlifecycle.cli.drawing.draws_colours", lambda: True)
    monkeypatch.setattr("qrlifecycle.cli.plain_view.draws_colours", lambda: True)
    size = os.terminal_size((columns, lines))
    monkeypatch.setattr("qrlifecycle.cli.plain_view.terminal_size", lambda: size)
    view = LiveView(Stop(owns_process=False), lambda _: (ADVICE,), title="a title", lifetime=60)
    view._console = Console(width=columns, height=lines, file=io.StringIO(), force_terminal=True)
    return view


def test_what_can_be_typed_is_below_a_code_that_is_too_high(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What stands above such a code has left the screen, and it is all that is needed."""
    with view_in(monkeypatch, 60, 12) as view:
        view.show(QRCode(WHATSAPPS, typed="B58F-C5C0"))
    assert capsys.readouterr().out.splitlines()[-1] == "Or type B58F-C5C0"


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (60, 20)])
def test_a_code_of_whatsapps_is_too_high_and_that_is_said_once(
    columns: int, lines: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Below the code stands what to do, and not two sizes of it."""
    with view_in(monkeypatch, columns, lines) as view:
        view.show(QRCode(WHATSAPPS))
    *code, last = capsys.readouterr().out.splitlines()
    assert last == (
        f"the code is 29 lines high and this terminal has {lines}: "
        "make it higher, or its letters smaller, and all of it is seen."
    )
    assert "48;5;231m" in code[-1]
    assert not any("this terminal has" in line for line in code)


@pytest.mark.slow
def test_a_code_that_has_run_out_is_not_valid_for_0_s() -> None:
    """It is listened for a little longer, and that is what the live view says."""
    code, written = in_terminal("demo", "--qr-lifetime", "0.6", "--max-refreshes", "0")
    assert code == 1
    assert "code has run out" in written
    assert "valid for 0 s" not in written


@pytest.mark.slow
def test_a_dumb_terminal_is_sent_letters_only() -> None:
    """No colours, no cursor; also where progress is shown."""
    code, written = in_terminal("demo", "--scan-after", "0", TERM="dumb")
    assert code == 0
    assert "\x1b" not in written


@pytest.mark.slow
def test_live_view_interrupted() -> None:
    """After Ctrl-C the live view leaves the terminal as it was."""
    code, written = in_terminal("demo", strike=True)
    assert code == 130
    assert terminal_is_restored(written)
    assert "Pairing was stopped." in written
    assert "Traceback" not in written


@pytest.mark.slow
def test_live_view_without_colour() -> None:
    """With NO_COLOR only the code has colours."""
    code, written = in_terminal("demo", "--scan-after", "0.1", NO_COLOR="1")
    assert code == 0
    said = set(re.findall(r"\x1b\[([\d;]*)m", written))
    assert "38;5;16;48;5;231" in said
    assert not {style for style in said if re.search(r"(^|;)(3|4|9|10)[0-7](;|$)", style)}


@pytest.mark.parametrize(
    ("columns", "lines"),
    [
        (100, 12),
        pytest.param(20, 50, marks=pytest.mark.slow),
        pytest.param(1, 1, marks=pytest.mark.slow),
    ],
)
def test_small_terminal(columns: int, lines: int) -> None:
    """A terminal too small for the code is told so, and the code is never garbled."""
    code, written = in_terminal("demo", "--scan-after", "0.2", columns=columns, lines=lines)
    assert code == 0
    assert terminal_is_restored(written)
    assert "Traceback" not in written
    assert "this terminal has" in " ".join(written.split())
    drawn = re.findall(r"\x1b\[38;5;16;48;5;231m([ ▀▄█]+)\x1b\[0m", written)
    assert bool(drawn) == (columns >= 37)


@pytest.mark.slow
def test_a_terminal_that_stays_too_narrow_ends_it() -> None:
    """Nobody makes it wider: no socket is held for codes that nobody sees, one after another."""

    async def scenario(server: PairingServer) -> None:
        few = ("--policy", "expiry_grace=0", "--max-refreshes", "20")
        pairing = partial(in_terminal, "pair", server.url, *OWNER, *few, columns=20)
        code, written = await asyncio.to_thread(pairing)
        assert code == 1
        told = " ".join(written.split())
        assert "make it wider, or its letters smaller, and the code appears" in told
        assert "showing_failed" in told
        assert "columns wide and this terminal has 20" in told
        assert len(server.sockets) == 2

    serve(scenario, qr_lifetime=0.3)


def test_every_number_that_a_failure_names_can_be_set() -> None:
    """A sentence of a reason names a number of the policy: the command line takes each of them."""
    named = set(re.findall(r"policy\.(\w+)", " ".join(reason.meaning for reason in Reason)))
    assert len(named) > 6
    parser = command_line()
    for name in named:
        given = parser.parse_args(["demo", "--policy", f"{name}=7"])
        assert getattr(policy_of(given), name) == 7
    switched = parser.parse_args(["demo", "--policy", "confirm_success=true"])
    assert policy_of(switched).confirm_success is True
    endless = parser.parse_args(["demo", "--policy", "attempt_timeout=inf"])
    assert policy_of(endless).attempt_timeout == float("inf")


@pytest.mark.slow
def test_plain_in_terminal() -> None:
    """With --plain a terminal gets plain lines; only the code has colours."""
    code, written = in_terminal("demo", "--scan-after", "0", "--plain")
    assert code == 0
    assert "\x1b[?" not in written
    assert "paired: +490001234567" in written


# diagram and the rest


def test_diagram_is_light() -> None:
    """Drawing a diagram imports nothing that only a socket or a screen needs."""
    heavy = ["anyio", "asyncio", "aiohttp", "socketio", "ssl", "logging"]
    heavy += ["rich", "transitions", "segno", "pygraphviz"]
    script = (
        "import sys; from qrlifecycle.cli import main; code = main(['diagram']); "
        f"print([name for name in {heavy} if name in sys.modules], code, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=False,
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert done.stderr == "[] 0\n"
    assert "stateDiagram-v2" in done.stdout


@pytest.mark.parametrize("name", ["d.mmd", "d.md", "d.dot", "d.gv", "d.txt", "d.json"])
def test_diagram_check(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What --output wrote is up to date for --check; once changed it is not."""
    path = tmp_path / name
    assert main(["diagram", "--output", str(path)]) == 0
    assert main(["diagram", "--check", str(path)]) == 0
    assert capsys.readouterr().out == f"{path} is up to date\n"
    path.write_text(path.read_text().replace("displayed", "shown"))
    assert main(["diagram", "--check", str(path)]) == 1
    out = capsys.readouterr().out
    assert re.search(r"(?m)^-.*shown", out)
    assert re.search(r"(?m)^\+.*displayed", out)


@pytest.mark.parametrize("name", ["d.svg", "d.png", "d.pdf"])
def test_diagram_image(name: str, tmp_path: Path) -> None:
    """An image is written in the format that its name tells."""
    pytest.importorskip("pygraphviz")
    path = tmp_path / name
    assert main(["diagram", "--state", "displayed", "--output", str(path)]) == 0
    magic = {"d.svg": b"<?xml", "d.png": b"\x89PNG", "d.pdf": b"%PDF"}[name]
    assert path.read_bytes().startswith(magic)


def test_diagram_state(capsys: pytest.CaptureFixture[str]) -> None:
    """A state can be lit up."""
    assert main(["diagram", "--format", "json", "--state", "displayed"]) == 0
    states = json.loads(capsys.readouterr().out)["states"]
    assert [s["name"] for s in states if s["lit"]] == ["displayed"]


def test_diagram_spares_pages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A Markdown page that holds more than a diagram is not written over."""
    page = tmp_path / "README.md"
    page.write_text("# Mine\n")
    assert main(["diagram", "--output", str(page)]) == 2
    assert page.read_text() == "# Mine\n"
    assert "holds more than a diagram" in one_line(capsys.readouterr().err)


def one_line(text: str) -> str:
    """The text, which must be one line of ours."""
    assert text.startswith("qrlifecycle: error: ")
    assert text.count("\n") == 1
    assert text.endswith("\n")
    return text


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "paint",
        "completion",
        "completion csh",
        "--verbose",
        "demo --scan-after soon",
        "demo --scan-after -1",
        "demo --scan-after nan",
        "demo --sc 1",
        "demo --port 65536",
        "demo --host 0.0.0.0",
        "demo --host ::",
        "demo --host a/b",
        "demo --host 192.168.1..20",
        "demo --host .",
        "demo --host 192.0.2.1",
        "demo --max-refreshes -1",
        "demo --qr-lifetime nan",
        "demo --policy approval_timeout",
        "demo --policy approval_timeout=soon",
        "demo --policy approval_timeout=-1",
        "demo --policy approval_timeout=1 --policy approval_timeout=2",
        "demo --policy max_codes=true",
        "demo --policy confirm_success=1",
        "demo --policy nothing=1",
        "demo --policy max_refreshes=1 --max-refreshes 1",
        "pair",
        "pair http://h",
        "pair h --bot-id b --user-id u",
        "pair http://[ --bot-id b --user-id u",
        "pair http://h:x --bot-id b --user-id u",
        "pair http://h --bot-id= --user-id u",
        "pair http://h --bot-id b --user-id u --qr-url ws://h/qr",
        "pair http://h --bot-id b --user-id u --header X",
        "pair http://h --bot-id b --user-id u --namespace chat",
        "pair http://h --bot-id b --user-id u --heartbeat 0",
        "pair http://h --bot-id b --user-id u --max-message 0",
        "pair http://h --bot-id b --user-id u --ca-file /nowhere.pem",
        f"pair https://h --bot-id b --user-id u --ca-file {__file__}",
        "pair http://h --bot-id b --user-id u --owner=",
        "pair http://h --bot-id b --user-id u --namespace /a?b=c",
        "pair http://h --bot-id b --user-id u --namespace /a,b",
        "pair http://h --bot-id b --user-id u --socketio-path a?b",
        "pair http://h/#a --bot-id b --user-id u",
        "pair http://h/?EIO=3 --bot-id b --user-id u",
        "diagram --format gif",
        "diagram --state nowhere",
        "diagram --output diagram.gif",
        "diagram --output diagram",
        "diagram --output /nowhere/diagram.mmd",
        "diagram --check /nowhere/diagram.mmd",
        "diagram --check diagram.svg",
        "diagram --check=",
        "diagram --check a.mmd --output b.mmd",
        "diagram --check a.mmd --state idle",
        f"diagram --format mermaid --check {sys.executable}",
    ],
)
def test_unusable(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be used is told in one line on stderr, with exit code 2."""
    assert main(arguments.split()) == 2
    captured = capsys.readouterr()
    one_line(captured.err)
    assert captured.out == ""


OPTIONS = [
    *("--bot-id", "--user-id", "--qr-url", "--qr-field", "--expires-field", "--status-url"),
    *("--status-field", "--paired-status", "--namespace", "--socketio-path", "--header"),
    *("--event", "--owner", "--policy"),
]
"""Those of `pair` that take a text."""


@pytest.mark.parametrize("option", [*OPTIONS, "--ca-file"])
def test_an_option_that_is_given_nothing_is_not_as_if_it_were_not_there(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A shell's variable that is not set gives nothing."""
    assert main(["pair", "https://h", *OWNER, option, ""]) == 2
    said = one_line(capsys.readouterr().err)
    assert f"argument {option}: nothing is given to it; is a variable not set?" in said


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("value", ["\udcff", "\0"])
def test_what_is_no_text_is_told_by_name(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A terminal gives half of a pair for what is not UTF-8."""
    assert main(["pair", "https://h", *OWNER, option, f"/a=b{value}"]) == 2
    assert f"argument {option}: it is no text" in one_line(capsys.readouterr().err)


@pytest.mark.parametrize("value", ["\udcff", "\0", "/nowhere.pem"])
def test_a_certificate_authority_that_no_file_holds(
    value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever its name is."""
    assert main(["pair", "https://h", *OWNER, "--ca-file", value]) == 2
    assert "cannot read" in one_line(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("twice", "named"),
    [
        (["--header", "X-A=1", "--header", "x-a=2"], "--header x-a"),
        (["--event", "a=b=connected", "--event", "a=b=qr_expired"], "--event 'a=b'"),
    ],
)
def test_nothing_is_given_twice(
    twice: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of both would be dropped without a word."""
    assert main(["pair", "https://h", *OWNER, *twice]) == 2
    assert f"{named} is given twice" in one_line(capsys.readouterr().err)


def test_a_certificate_authority_for_no_url(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not dropped in silence where nothing has a certificate."""
    authority = tmp_path / "authority.pem"
    trustme.CA().cert_pem.write_to_path(str(authority))
    assert main(["pair", "http://h", *OWNER, "--ca-file", str(authority)]) == 2
    assert "--ca-file is for https and wss" in capsys.readouterr().err
    arguments = ["--client-id", "tv", "--ca-file", str(authority)]
    assert main(["pair", "device-flow", "http://h", *arguments]) == 2
    assert "--ca-file is for https, and the ISSUER has none" in capsys.readouterr().err


def test_token_that_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A token that no header can carry is told without being repeated."""
    monkeypatch.setenv("QRLIFECYCLE_TOKEN", "s3cret\n")
    assert main(["pair", "http://h", *OWNER]) == 2
    assert "s3cret" not in one_line(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("demmo", "demo"),
        ("compeltion bash", "completion"),
        ("demo --scan-afer 2", "--scan-after"),
        ("demo --scan-afer=2", "--scan-after"),
        ("demo --gateway device_flow", "device-flow"),
        ("diagram --state dispayed", "displayed"),
        ("pair devise-flow https://h --client-id tv", "device-flow"),
        ("pair device-flow https://h --client-id tv --scpe openid", "--scope"),
        ("pair device-flow https://h --client-id tv --policy maxcodes=3", "max_codes"),
        ("diagram -o lifecycle.svg", "--output"),
        ("demo -q", "--qr-lifetime"),
    ],
)
def test_a_mistyped_word(typed: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The nearest one that there is is named."""
    assert main(typed.split()) == 2
    assert f"did you mean {meant!r}?" in one_line(capsys.readouterr().err)


def test_a_word_that_is_near_none(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is guessed at."""
    for typed in ("xyzzy", "demo -p", "demo -x"):  # --port, --policy and --plain begin with p
        assert main(typed.split()) == 2
        assert "did you mean" not in one_line(capsys.readouterr().err)


def test_a_file_whose_name_tells_another_format_is_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Text in a file that is called a picture would be found out by whoever opens it."""
    picture, text = tmp_path / "x.svg", tmp_path / "x.txt"
    assert main(["diagram", "--format", "text", "--output", str(picture)]) == 2
    assert one_line(capsys.readouterr().err).endswith("tells the format svg, and --format text\n")
    assert not picture.exists()
    assert main(["diagram", "--format", "dot", "--output", str(text)]) == 0
    assert text.exists()


def test_a_file_that_is_named_in_the_wrong_place(capsys: pytest.CaptureFixture[str]) -> None:
    """Where the command writes one, the option for it is named; the word itself is not repeated."""
    assert main(["diagram", "lifecycle.svg"]) == 2
    assert one_line(capsys.readouterr().err).endswith("a file is named by --output\n")


def test_a_shell_completes_commands_and_options() -> None:
    """Bash, asked as it would when somebody presses Tab."""
    pytest.importorskip("shtab", reason="needs the extra 'cli'")
    script = run("completion", "bash").stdout
    for words, expected in (
        ("de", "demo"),
        ("demo --sc", "--scan-after"),
        ("mo", "model"),
        ("pair --bot", "--bot-id"),
        ("pair wa", "waha"),
        ("pair waha --sess", "--session"),
        ("diagram --format pn", "png"),
    ):
        typed = ["qrlifecycle", *words.split()]
        asked = f"COMP_WORDS=({' '.join(typed)}); COMP_CWORD={len(typed) - 1}\n"
        asked += "$(complete -p qrlifecycle | sed 's/.*-F \\([^ ]*\\).*/\\1/')\necho $COMPREPLY\n"
        done = subprocess.run(
            ["bash", "--norc"], input=script + asked, capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == [expected], done.stderr


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish here")
def test_fish_completes_and_says_of_each_command_what_it_is_for_in_one_line(tmp_path: Path) -> None:
    """The line that `--help` lists it with, and not all that its own help says."""
    pytest.importorskip("shtab", reason="needs the extra 'cli'")
    script = tmp_path / "qrlifecycle.fish"
    script.write_text(run("completion", "fish").stdout)

    def completed(line: str) -> dict[str, str]:
        asked = f"source {script}; complete --do-complete '{line}'"
        environment = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
        done = subprocess.run(
            ["fish", "--command", asked],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        lines = (line.partition("\t") for line in done.stdout.splitlines())
        return {word: said for word, _, said in lines}

    commands = completed("qrlifecycle ")
    assert set(command_line().commands) <= set(commands)
    assert all(said[0].islower() and len(said) < 110 for said in commands.values()), commands
    assert set(GATEWAYS) <= set(completed("qrlifecycle pair "))
    assert [*completed("qrlifecycle pair waha --sess")] == ["--session"]
    assert [*completed("qrlifecycle diagram --format pn")] == ["png"]


def test_a_shell_that_is_not_said_is_asked_for_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whoever forgot it need not look for help first."""
    assert main(["completion"]) == 2
    asked = capsys.readouterr().err
    assert f"required: SHELL (SHELL is one of {', '.join(SHELLS)})" in asked


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_is_printed_for_each_shell(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With every command in it."""
    pytest.importorskip("shtab", reason="needs the extra 'cli'")
    assert main(["completion", shell]) == 0
    printed = capsys.readouterr().out
    assert all(command in printed for command in command_line().commands)


def test_completion_without_its_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named, with the extra."""
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert "pip install '.[cli]'" in one_line(capsys.readouterr().err)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        ["--help"],
        *([name, "-h"] for name in command_line().commands),
        *(["pair", name, "-h"] for name in GATEWAYS),
    ],
    ids=" ".join,
)
def test_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Help and version go to stdout, with exit code 0; each help has an example."""
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "example" in out or re.fullmatch(r"qrlifecycle \d+\.\d+\.\d+\S*\n", out)


@pytest.mark.parametrize("columns", [80, 60])
@pytest.mark.parametrize(
    "arguments",
    [[], *([name] for name in command_line().commands), *(["pair", name] for name in GATEWAYS)],
    ids=" ".join,
)
def test_help_fits_into_a_terminal(
    arguments: list[str],
    columns: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of 80 columns nothing is cut; of 60 nothing but usage, and commands that are to be copied."""
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main([*arguments, "--help"]) == 0
    usage, _, rest = capsys.readouterr().out.partition("\n\n")
    long = [line for line in f"{usage}\n{rest}".splitlines() if len(line) > columns]
    if columns < 80:
        a_command = re.compile(r"  (zcat|export|QRLIFECYCLE_\w+=|qrlifecycle) ?\S.*")
        long = [line for line in long if line in rest and not a_command.fullmatch(line)]
    assert long == []


def test_no_stdout() -> None:
    """A command without any standard output still does its work."""
    done = subprocess.run(
        [sys.executable, "-m", "qrlifecycle", "diagram"],
        check=False,
        preexec_fn=lambda: os.close(1),
        stderr=subprocess.PIPE,
        timeout=PROCESS_HANGS,
        env=environment(),
    )
    assert (done.returncode, done.stderr) == (0, b"")
