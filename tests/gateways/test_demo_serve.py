"""`qrlifecycle demo --gateway NAME --serve`: `pair NAME` is tried to its end with nothing else."""

from __future__ import annotations

import queue
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.from_thread import start_blocking_portal

from qrlifecycle.cli import main
from qrlifecycle.cli.demo_serve import Serving, command_for
from qrlifecycle.cli.gateways import GATEWAYS
from qrlifecycle.cli.stopping import Stop

TOP = Path(__file__).parent.parent.parent


class Keyboard:
    """A standard input on which Enter is pressed."""

    def __init__(self) -> None:
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def readline(self) -> str:
        """Wait for Enter, or for the end of the input."""
        return self.lines.get()


@contextmanager
def served(name: str, scan_after: float | None = None) -> Iterator[Any]:
    """The demo, in a thread of its own."""
    stop = Stop(owns_process=False)
    emulator = GATEWAYS[name].play()
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(emulator):
        serving = portal.start_task_soon(Serving(name, emulator, scan_after, stop).run)
        yield emulator
        stop.request(130)
        serving.result(30)


def obey(command: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run what the demo printed, as a shell would."""
    words = shlex.split(command)
    while "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        monkeypatch.setenv(name, value)
    assert words[:2] == ["qrlifecycle", "pair"]
    return main([*words[1:], "--plain"])


@pytest.mark.parametrize(
    "name",
    [
        name if name == "device-flow" else pytest.param(name, marks=pytest.mark.slow)
        for name in GATEWAYS
    ],
)
def test_what_the_demo_prints_pairs(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command is whole, environment and all, and the code is scanned."""
    with served(name, scan_after=0.0) as emulator:
        command = command_for(name, emulator)
        assert obey(command, monkeypatch) == 0
    out = capsys.readouterr().out
    assert f"\n  {command}\n" in out
    assert "Scanned." in out
    # It may be scanned before it is shown.
    (paired,) = re.findall("^paired(?: already)?: (.*)$", out, re.MULTILINE)
    assert paired == emulator.account


@pytest.mark.parametrize("name", GATEWAYS)
def test_a_played_account_is_spelt_as_the_services_page_has_it(name: str) -> None:
    """Whoever writes a program against the demo meets the same form at the service."""
    page = (TOP / "docs" / "gateways" / f"{name}.md").read_text()
    (documented,) = re.findall(r'outcome\.identity == "(.+)"', page)
    form = re.sub(r"\d+", "0", documented)
    assert re.sub(r"\d+", "0", GATEWAYS[name].play().account) == form


def test_enter_scans_the_code_that_is_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a code it says so; at the end of the input it serves on, until it is stopped."""
    keyboard = Keyboard()
    monkeypatch.setattr(sys, "stdin", keyboard)
    with served("waha") as emulator:
        for line in ("\n", ""):
            keyboard.lines.put(line)
        assert "QRLIFECYCLE_API_KEY=" in command_for("waha", emulator)

        async def seen() -> None:
            while "The input has ended" not in printed[0]:
                printed[0] += capsys.readouterr().out
                await anyio.sleep(0.01)

        printed = [""]
        anyio.run(seen)
    assert "There is no code to scan: run the command above first." in printed[0]
    assert printed[0].index("--session default") < printed[0].index("Press Enter")


@pytest.mark.parametrize(
    ("called", "on_path", "printed"),
    [
        (".venv/bin/qrlifecycle", None, ".venv/bin/qrlifecycle"),
        (".venv/bin/qrlifecycle", "/usr/bin/qrlifecycle", "qrlifecycle"),
        ("/x/qrlifecycle/__main__.py", None, "qrlifecycle"),
    ],
)
def test_the_command_is_found_by_a_shell_that_has_no_such_program(
    called: str, on_path: str | None, printed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the path with which the demo was called, where the name alone would not be found."""
    monkeypatch.setattr(sys, "argv", [called])
    monkeypatch.setattr("qrlifecycle.cli.demo_serve.which", lambda _name: on_path)
    assert f"{printed} pair waha http" in command_for("waha", GATEWAYS["waha"].play())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--serve"], "name it by --gateway"),
        (["--gateway", "waha", "--serve", "--plain"], "give --plain to its command"),
        (["--gateway", "waha", "--serve", "--attempt-timeout", "3"], "give --attempt-timeout to"),
        (["--gateway", "waha", "--serve", "--host", "10.0.0.1"], "listens on 127.0.0.1"),
    ],
)
def test_what_cannot_be_meant_is_said(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, before anything listens."""
    assert main(["demo", *arguments]) == 2
    assert said in capsys.readouterr().err
