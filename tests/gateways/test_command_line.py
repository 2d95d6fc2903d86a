"""`qrlifecycle pair GATEWAY` and `qrlifecycle demo --gateway`: known services at a terminal."""

from __future__ import annotations

import inspect
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import AsyncMock

import anyio
import pytest
from anyio.from_thread import start_blocking_portal

from qrlifecycle import PeerError, QRCode, Reason, ServiceUnavailable
from qrlifecycle.cli import main
from qrlifecycle.cli.arguments import command_line
from qrlifecycle.cli.gateways import GATEWAYS, Entry
from qrlifecycle.cli.pair_gateway import TOLD_AT_ONCE, AskedByAPerson
from qrlifecycle.engine.service import Service
from qrlifecycle.errors import Ending
from qrlifecycle.testing import ScriptedPeer
from qrlifecycle.testing.gateways import (
    DeviceFlowEmulator,
    EvolutionEmulator,
    WPPConnectEmulator,
)

from .services import give_secret

SECRET = "s3cret"


@contextmanager
def provider(**options: Any) -> Iterator[DeviceFlowEmulator]:
    """A server in a thread of its own, where somebody agrees to whatever is asked for."""
    served = DeviceFlowEmulator(interval=0.1, **options)

    async def agree() -> None:
        while True:
            for grant in served.grants:
                grant.identity = "user-7"
            await anyio.sleep(0.01)

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(served):
        agreeing = portal.start_task_soon(agree)
        yield served
        agreeing.cancel()


def pair(served: DeviceFlowEmulator, *more: str) -> int:
    """The command, its policy quick."""
    quick = ["--policy", "status_interval=0.05", "--policy", "status_retry_delay=0.01", "--plain"]
    return main(["pair", "device-flow", served.url, "--client-id", "tv", *quick, *more])


def test_pairing_by_the_device_flow(capsys: pytest.CaptureFixture[str]) -> None:
    """The picture and what to type are shown, the person is named, and no token is."""
    with provider() as served:
        assert pair(served) == 0
        (grant,), (token,) = served.grants, served.tokens
        where = served.url
    out = capsys.readouterr().out
    assert f"qrlifecycle pair device-flow: tv at {where}" in out
    assert f"Or type {grant.user_code} at {where}/device" in out
    assert "█" in out
    assert out.rstrip().endswith("paired: user-7")
    assert token not in out
    assert grant.device_code not in out


@pytest.mark.parametrize("way", ["environment", "file"])
def test_a_secret_comes_from_the_environment_or_a_file(
    way: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A file's line end is none of it; it is in no output."""
    more = give_secret(SECRET, "client-secret", way, monkeypatch, tmp_path)
    with provider(client_secret=SECRET) as served:
        assert pair(served, *more) == 0
    captured = capsys.readouterr()
    assert SECRET not in captured.out + captured.err


def test_a_wrong_secret_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its reason, and with exit code 1."""
    monkeypatch.setenv("QRLIFECYCLE_CLIENT_SECRET", SECRET)
    with provider(client_secret="right") as served:
        assert pair(served) == 1
    out = capsys.readouterr().out
    assert "authentication_refused" in out
    assert SECRET not in out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        (b"", "the file that --client-secret-file names is empty"),
        (b"\n", "the file that --client-secret-file names is empty"),
        (b"x" * 20_000, "no file with a key: it is too long"),
        (b"\xff\xfe", "it is no text"),
        (b"a\nb", "client_secret has characters that none has: a line end?"),
    ],
    ids=["missing", "empty", "blank", "long", "bytes", "lines"],
)
def test_a_file_that_has_no_secret_is_a_mistake(
    content: bytes | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said before anything is asked for, in one line."""
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    arguments = ["pair", "device-flow", "https://h", "--client-id", "tv"]
    assert main([*arguments, "--client-secret-file", str(file)]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


@contextmanager
def whatsapp(served: Any) -> Iterator[None]:
    """A service in a thread of its own, where somebody scans whatever is shown."""

    async def scan() -> None:
        while True:
            for code in served.codes()[-1:]:
                with suppress(KeyError):
                    await served.scan(QRCode(code), "4915100000001")
            await anyio.sleep(0.1)

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(served):
        scanning = portal.start_task_soon(scan)
        yield
        scanning.cancel()


class WhatsApp(NamedTuple):
    """A service, what plays it, and what it is told on the command line."""

    name: str
    make: Callable[[], Any]
    option: str
    secret: str


WHATSAPP = [
    WhatsApp("evolution", EvolutionEmulator, "--instance", "api_key"),
    WhatsApp("wppconnect", WPPConnectEmulator, "--session", "secret_key"),
]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["environment", "file"])
@pytest.mark.parametrize("service", WHATSAPP, ids=lambda service: service.name)
def test_pairing_whatsapp(
    service: WhatsApp,
    way: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The picture is shown and the account named; the key is in no output, and no code is."""
    served = service.make()
    key, more = getattr(served, service.secret), list[str]()
    if way == "environment":
        monkeypatch.setenv(f"QRLIFECYCLE_{service.secret.upper()}", key)
    else:
        file = tmp_path / "secret"
        file.write_text(f"{key}\n")
        more = [f"--{service.secret.replace('_', '-')}-file", str(file)]
    with whatsapp(served):
        arguments = [served.url, service.option, "bot-7", "--plain", *more]
        assert main(["pair", service.name, *arguments]) == 0
        secrets, where = served.secrets(), served.url
    captured = capsys.readouterr()
    assert f"qrlifecycle pair {service.name}: bot-7 at {where}" in captured.out
    assert "█" in captured.out
    assert captured.out.rstrip().endswith("paired: 4915100000001")
    for one in secrets:
        assert one not in captured.out + captured.err


@pytest.mark.parametrize("service", WHATSAPP, ids=lambda service: service.name)
def test_a_wrong_key_of_whatsapps_services_is_said(
    service: WhatsApp, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its reason, and with exit code 1; without a key nothing is asked for."""
    served = service.make()
    with whatsapp(served):
        arguments = ["pair", service.name, served.url, service.option, "bot-7", "--plain"]
        assert main(arguments) == 2
        assert capsys.readouterr().out == ""
        monkeypatch.setenv(f"QRLIFECYCLE_{service.secret.upper()}", SECRET)
        assert main(arguments) == 1
    out = capsys.readouterr().out
    assert "authentication_refused" in out
    assert SECRET not in out


def failing_at_once(url: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Why nothing was paired: all that is said, beside the title and the person's sentence."""
    assert main(["pair", "waha", url, "--plain"]) == 1
    title, sentence, why = capsys.readouterr().out.splitlines()
    assert title == f"qrlifecycle pair waha: default at {url}"
    assert sentence == f"not paired: {Reason.GENERATING_FAILED.person}"
    return why.removeprefix("generating_failed: ")


def test_a_name_that_nobody_knows_is_said_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever typed it sits there; nobody waits for it to be right in a minute."""
    unknown = AsyncMock(side_effect=socket.gaierror(socket.EAI_NONAME, "unknown"))
    monkeypatch.setattr(anyio, "getaddrinfo", unknown)
    why = failing_at_once("http://no-such.invalid", capsys)
    assert why == "no address is known for the server 'no-such.invalid': is it spelt right?"
    unknown.assert_awaited_once()


def test_https_for_http_is_said_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    """And where the certificate is wrong, or the proxy wants a password: see below."""
    with provider() as served:
        place = served.url.removeprefix("http://")
        why = failing_at_once(f"https://{place}", capsys)
    assert why == f"no TLS with {place}: it does not speak TLS; is it http or ws?"


@pytest.mark.anyio
@pytest.mark.parametrize("ending", [None, *Ending], ids=str)
async def test_what_may_mend_itself_is_asked_for_again_at_a_terminal_too(
    ending: Ending | None,
) -> None:
    """A server that starts, a network that comes back; what else failed, fails at once."""
    asked: list[str] = []

    async def request_qr() -> QRCode:
        asked.append("code")
        raise ServiceUnavailable("so it ended", ending=ending)

    async def check_status() -> None:
        asked.append("status")

    by_a_person = AskedByAPerson(Service(request_qr, ScriptedPeer(), check_status))
    to_mend = ending in TOLD_AT_ONCE
    with pytest.raises(PeerError, match="so it ended") as raised:
        await by_a_person.request_qr()
    assert isinstance(raised.value, ServiceUnavailable) is not to_mend
    assert await by_a_person.check_status() is None
    assert asked == (["code"] if to_mend else ["code", "status"])


def test_the_server_of_ones_own_is_selected_as_before(capsys: pytest.CaptureFixture[str]) -> None:
    """A first word that is no gateway's name is a URL; a misspelt option is named as one."""
    assert main(["pair", "device-flows", "--bot-id", "b", "--user-id", "u"]) == 2
    assert "must look like" in capsys.readouterr().err
    assert main(["pair", "device-flow"]) == 2
    assert "the following arguments are required" in capsys.readouterr().err
    assert main(["pair", "evolution", "http://127.0.0.1:1", "--instnace", "bot-7"]) == 2
    assert "unrecognized arguments: --instnace; did you mean" in capsys.readouterr().err
    assert "pair device-flow" not in command_line().commands
    assert main(["pair", "--help"]) == 0
    assert "qrlifecycle pair device-flow ISSUER ..." in capsys.readouterr().out


def test_the_gateways_are_named_where_the_commands_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who has one of these services finds it in the first help that there is."""
    monkeypatch.setenv("COLUMNS", "200")  # narrower, it is broken in the middle of a name
    assert main(["--help"]) == 0
    commands = " ".join(capsys.readouterr().out.partition("examples:")[0].split())
    assert f"by one of: {', '.join(GATEWAYS)}" in commands


@pytest.mark.parametrize(
    "name",
    [
        name if name == "device-flow" else pytest.param(name, marks=pytest.mark.slow)
        for name in GATEWAYS
    ],
)
def test_the_demo_plays_each_service(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its emulator makes a code, which is scanned, and the pairing is a success."""
    assert main(["demo", "--gateway", name, "--scan-after", "0.1", "--plain"]) == 0
    out = capsys.readouterr().out
    assert f"qrlifecycle demo: {name}, played at http://127.0.0.1:" in out
    assert "paired" in out.splitlines()[-1]


def test_the_demo_of_a_service_listens_on_loopback(capsys: pytest.CaptureFixture[str]) -> None:
    """The toy server's options are refused rather than passed over."""
    assert main(["demo", "--gateway", "device-flow", "--port", "8080"]) == 2
    assert "an emulator listens on 127.0.0.1" in capsys.readouterr().err


def class_of(entry: Entry) -> Any:
    """The gateway's class."""
    module, _, name = entry.gateway.partition(":")
    return getattr(import_module(f"qrlifecycle.gateways.{module}"), name)


@pytest.mark.parametrize("name", GATEWAYS)
def test_an_entry_is_what_the_gateway_takes(name: str) -> None:
    """Each option is an argument of its constructor, each that it needs is required."""
    entry = GATEWAYS[name]
    arguments = inspect.signature(class_of(entry)).parameters
    for option in entry.options:
        argument = arguments[option.name.replace("-", "_")]
        needed = argument.default is inspect.Parameter.empty
        assert needed is option.required
    for secret in entry.secrets:
        assert secret.name.replace("-", "_") in arguments


@pytest.mark.parametrize("name", GATEWAYS)
def test_promise_6_no_secret_is_taken_from_the_command_line(name: str) -> None:
    """Every list of processes would have it: there is an option for its file only."""
    parser: Any = command_line()
    (commands,) = (one.choices for one in parser._actions if one.dest == "command")
    options = commands[f"pair {name}"]._option_string_actions
    for secret in GATEWAYS[name].secrets:
        assert f"--{secret.name}-file" in options
        assert f"--{secret.name}" not in options
    words = ("key", "secret", "token", "password")
    named = [option for option in options if option.endswith(words)]
    assert named == []
