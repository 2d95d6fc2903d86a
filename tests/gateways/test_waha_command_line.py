"""`qrlifecycle pair waha`: a session's code at a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.from_thread import start_blocking_portal

from qrlifecycle import PairingCode, QRCode
from qrlifecycle.cli import main
from qrlifecycle.testing.gateways import WAHAEmulator

from .services import give_secret

KEY = "k3y-of-the-service"


@contextmanager
def service(**options: Any) -> Iterator[WAHAEmulator]:
    """A service in a thread of its own, where somebody scans or types whatever is there."""
    served = WAHAEmulator(session="bot-7", api_key=KEY, **options)

    async def scan() -> None:
        while True:
            await anyio.sleep(0.01)
            if served.typed_made and served.sockets:
                await served.scan(PairingCode(served.typed_made[-1]), "4915100000001@c.us")
                return
            if served.made and served.sockets and not options:
                await served.scan(QRCode(served.made[-1]), "4915100000001@c.us")
                return

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(served):
        scanning = portal.start_task_soon(scan)
        yield served
        scanning.cancel()


@pytest.mark.parametrize("way", ["environment", pytest.param("file", marks=pytest.mark.slow)])
def test_pairing_a_session(
    way: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The picture is shown and the account named; neither the key nor the code is in the output."""
    more = give_secret(KEY, "api-key", way, monkeypatch, tmp_path)
    with service() as served:
        arguments = ["pair", "waha", served.url, "--session", "bot-7", "--plain", *more]
        assert main(arguments) == 0
        where = served.url
        assert served.opened[0].query["session"] == "bot-7"
    captured = capsys.readouterr()
    assert f"qrlifecycle pair waha: bot-7 at {where}" in captured.out
    assert "█" in captured.out
    assert captured.out.rstrip().endswith("paired: 4915100000001@c.us")
    for secret in (KEY, *served.made):
        assert secret not in captured.out + captured.err


@pytest.mark.slow
def test_a_code_to_type_is_shown_beside_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """For the phone of the number that was given; all sessions may be listened to."""
    monkeypatch.setenv("QRLIFECYCLE_API_KEY", KEY)
    with service(typed=True) as served:
        arguments = ["pair", "waha", served.url, "--session", "bot-7", "--plain"]
        assert main([*arguments, "--every-session", "--phone-number", "+49 151 00000001"]) == 0
        assert served.numbers == ["4915100000001"]
        assert served.opened[0].query["session"] == "*"
    assert f"Or type {served.typed_made[0]}" in capsys.readouterr().out


def test_a_wrong_key_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its reason, and with exit code 1."""
    monkeypatch.setenv("QRLIFECYCLE_API_KEY", "another")
    with service() as served:
        assert main(["pair", "waha", served.url, "--session", "bot-7", "--plain"]) == 1
    out = capsys.readouterr().out
    assert "authentication_refused" in out
    assert KEY not in out


class Typing:
    """Somebody at a terminal, who types these lines, each when one is waited for."""

    def __init__(self, *lines: str, terminal: bool = True) -> None:
        self.lines = list(lines)
        self._terminal = terminal

    def isatty(self) -> bool:
        """Whether it is one."""
        return self._terminal

    def readline(self) -> str:
        """The next line; nothing when there are no more."""
        return self.lines.pop(0) if self.lines else ""


@contextmanager
def with_a_passkey() -> Iterator[WAHAEmulator]:
    """A service that asks for a passkey, which somebody signs elsewhere, and a code to compare."""
    served = WAHAEmulator(session="bot-7", api_key=KEY, passkey="compared")

    async def elsewhere() -> None:
        for number in range(2):
            while not (len(served.made) > number and served.sockets):  # noqa: ASYNC110
                await anyio.sleep(0.01)
            await served.scan(QRCode(served.made[number]), "4915100000001@c.us")
            while served.status != "PASSKEY_REQUIRED":  # noqa: ASYNC110
                await anyio.sleep(0.01)
            await anyio.sleep(0.2)  # what the command is told comes to it meanwhile
            await served.gateway().fetch(
                "POST", "api", "bot-7", "auth", "passkey", json_body={"id": "AX8b"}
            )

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(served):
        signing = portal.start_task_soon(elsewhere)
        yield served
        signing.cancel()


def test_a_code_is_compared_at_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is neither yes nor no is asked again; after a no another code is scanned."""
    monkeypatch.setenv("QRLIFECYCLE_API_KEY", KEY)
    typed = Typing("perhaps\n", "N\n", "yes\n")
    monkeypatch.setattr("sys.stdin", typed)
    with with_a_passkey() as served:
        assert main(["pair", "waha", served.url, "--session", "bot-7", "--plain"]) == 0
        first, second = served.challenges[1::2]
    out = capsys.readouterr().out
    assert typed.lines == []
    assert out.count("do both screens show it?") == 3
    assert 0 < out.index(f"compare_code: {first}") < out.index(f"compare_code: {second}")
    assert "a passkey is signed in a browser, so not here" in out
    assert out.rstrip().endswith("paired: 4915100000001@c.us")
    assert not [one for one in served.challenges[::2] if one in out]


def test_what_stands_in_a_pipe_confirms_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody has seen the code: it takes a terminal."""
    monkeypatch.setenv("QRLIFECYCLE_API_KEY", KEY)
    typed = Typing("y\n", terminal=False)
    monkeypatch.setattr("sys.stdin", typed)
    with with_a_passkey() as served:
        arguments = ["pair", "waha", served.url, "--session", "bot-7", "--plain"]
        assert main([*arguments, "--policy", "action_timeout=1"]) == 1
    assert typed.lines == ["y\n"]
    assert "it takes a terminal to type in" in capsys.readouterr().out
