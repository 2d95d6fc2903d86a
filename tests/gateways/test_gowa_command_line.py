"""`qrlifecycle pair gowa`: a device's code at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.from_thread import start_blocking_portal

from qrlifecycle import PairingCode, QRCode
from qrlifecycle.cli import main
from qrlifecycle.testing.gateways import GOWAEmulator

from .services import give_secret

PASSWORD = "passw0rd-of-the-service"

JID = "4915100000001@s.whatsapp.net"


@contextmanager
def service(**options: Any) -> Iterator[GOWAEmulator]:
    """A service in a thread of its own, where somebody scans or types whatever is there."""
    served = GOWAEmulator(password=PASSWORD, **options)

    async def scan() -> None:
        while not (served.sockets and (served.made or served.typed_made)):  # noqa: ASYNC110
            await anyio.sleep(0.01)
        if served.typed_made:
            await served.scan(PairingCode(served.typed_made[-1]), JID)
        else:
            await served.scan(QRCode(picture=served.picture), JID)

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(served):
        scanning = portal.start_task_soon(scan)
        yield served
        scanning.cancel()


def pair(served: GOWAEmulator, *more: str) -> int:
    """The command."""
    return main(["pair", "gowa", served.url, "--device", "bot-7", "--plain", *more])


@pytest.mark.parametrize("way", ["environment", pytest.param("file", marks=pytest.mark.slow)])
def test_pairing_a_device(
    way: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The picture is shown and the account named; neither password nor code is in the output."""
    more = ["--username", "admin"]
    more += give_secret(PASSWORD, "password", way, monkeypatch, tmp_path)
    with service() as served:
        assert pair(served, *more) == 0
        where, secrets = served.url, list(served.secrets())
    captured = capsys.readouterr()
    assert f"qrlifecycle pair gowa: bot-7 at {where}" in captured.out
    assert "█" in captured.out
    assert captured.out.rstrip().endswith(f"paired: {JID}")
    assert not [secret for secret in secrets if secret in captured.out + captured.err]


@pytest.mark.slow
def test_a_code_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    """For the phone of the number that was given; a service may ask for no password."""
    with service(username=None) as served:
        assert pair(served, "--phone-number", "+49 151 00000001") == 0
    assert f"type this code on the phone: {served.typed_made[0]}" in capsys.readouterr().out


def test_a_wrong_password_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its reason, and with exit code 1."""
    monkeypatch.setenv("QRLIFECYCLE_PASSWORD", "another")
    with service() as served:
        assert pair(served, "--username", "admin") == 1
    assert "authentication_refused" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["pair", "gowa", "http://127.0.0.1:9"], ["demo", "--gateway"]])
def test_what_reads_its_pictures_is_missed_before_a_code_is_asked_for(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line that names the extra: the service, which is not there, is not asked."""
    monkeypatch.setitem(sys.modules, "zxingcpp", None)
    more = ["--device", "bot-7"] if words[0] == "pair" else ["gowa"]
    assert main([*words, *more]) == 2
    assert "pip install '.[pictures]'" in capsys.readouterr().err
