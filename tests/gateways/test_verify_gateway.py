"""`qrlifecycle verify --gateway`: a guest's gateway, and ours, through the scenarios."""

from __future__ import annotations

import re
import shlex
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from qrlifecycle.cli import main, verify_gateway
from qrlifecycle.cli.gateways import GATEWAYS
from qrlifecycle.proof.verify.scenarios import Played
from qrlifecycle.testing.gateways import scenarios

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "write-a-gateway.md"

MODULE = """
from functools import partial
from qrlifecycle.gateways import DeviceFlow
from qrlifecycle.testing.gateways import DeviceFlowEmulator

class Good(DeviceFlowEmulator):
    def __init__(self):
        super().__init__(interval=0.05)

class Odd(Good):
    def gateway(self):
        return 7

class Wrong(Good):
    def gateway(self):
        return Deaf(self.url, client_id="tv")

class Deaf(DeviceFlow):
    async def ask_for_code(self):
        return 7

class Lacking(Good):
    gateway = vars(DeviceFlowEmulator.__mro__[2])["gateway"]

class Raising(Good):
    def gateway(self):
        raise RuntimeError("boom")

async def later():
    return Good()

def raises():
    raise RuntimeError("boom")

def number():
    return 7

NUMBER = 7
"""


@pytest.fixture(autouse=True)
def _a_guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A directory with a module and the page's, and jobs done in this process."""

    def work_off(
        queues: Sequence[deque[Any]], _stopped: object, news: Callable[[Any, str], object]
    ) -> Iterator[tuple[Any, Played]]:
        for queue in queues:
            for job in queue:
                yield job, job(partial(news, job))

    (tmp_path / "a_guest.py").write_text(MODULE)
    page = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "my_gateway.py").write_text("\n".join(page))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(verify_gateway, "work_off", work_off)
    yield
    for name in ("a_guest", "my_gateway"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a_guest", "names no factory: give MODULE:FACTORY, as in my_gateway:PlayedPlatform"),
        ("wahha", "there is no gateway 'wahha'; did you mean 'waha'?"),
        ("nowhere_at_all:peer", "cannot import 'nowhere_at_all'"),
        ("a_guest:nobody", "module 'a_guest' has no 'nobody'"),
        ("a_guest:NUMBER", "a_guest:NUMBER cannot be called; a factory makes a fresh emulator"),
        ("a_guest.py:Good", "give a module, not a file: a_guest:Good"),
        ("a_guest:number", "a_guest:number gave an int, which is no Emulator"),
        ("a_guest:raises", "a_guest:raises raised RuntimeError: boom (a_guest.py:"),
        ("a_guest:later", "a_guest:later is async; a factory is a plain function that gives an E"),
        ("a_guest:Lacking", "a_guest:Lacking gave a Lacking without gateway(): add Lacking.gatew"),
        ("a_guest:Deaf", "a_guest:Deaf raised TypeError: "),
    ],
)
def test_a_wrong_factory_is_one_sentence(
    name: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what is wrong, in one line, before anything is done, and ends with 2."""
    assert main(["verify", "--gateway", name]) == 2
    printed = capsys.readouterr()
    assert says in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--gateway", "waha", "--only", "contract"], "--only is for a transport"),
        (["--gateway", "waha", "--seed", "0"], "--seed is for a transport"),
        (["m:peer", "--gateway", "waha"], "a peer's MODULE:FACTORY is for a transport"),
        (["--scenario", "success"], "give --gateway as well"),
        (["--gateway", "waha", "--scenario", "sucess"], "no scenario 'sucess'; there are success"),
    ],
)
def test_what_does_not_go_together_is_said(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rather than passed over."""
    assert main(["verify", *arguments]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.slow
def test_rows_say_what_came_of_each_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    """On each event loop; what was skipped says why, and is not said to have held."""
    chosen = ["--scenario", "success", "--scenario", "limit"]
    assert main(["verify", "--gateway", "a_guest:Good", *chosen]) == 0
    out = capsys.readouterr().out
    assert "[2/2] scenarios of a_guest:Good on trio: 1 kept, 1 skipped\n" in out
    rows = [("limit", "asyncio", "skipped"), ("limit", "trio", "skipped")]
    rows += [("success", "asyncio", "kept"), ("success", "trio", "kept")]
    lines = [tuple(line.split()) for line in out.splitlines() if line.startswith("  ")]
    assert lines == rows
    assert out.count("skipped  limit: it has no limit of codes (its emulator has no limit())") == 1
    assert out.endswith("\nEverything that was tried held; what was skipped is named above.\n")
    assert main(["verify", "--gateway", "a_guest:Good", *chosen[2:]]) == 2
    assert "nothing was checked" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Wrong", "BROKEN: success on trio\n" + scenarios(["success"])[0].fact),
        ("Odd", "success: UsageError: Odd.gateway() gave an int, which is no Gateway"),
        ("Raising", "NOT FINISHED: scenarios of a_guest:Raising on trio: success: RuntimeError: b"),
    ],
)
def test_what_is_wrong_is_told(name: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With exit code 1, in words, without a traceback."""
    chosen = ["--backend", "trio", "--scenario", "success"]
    assert main(["verify", "--gateway", f"a_guest:{name}", *chosen]) == 1
    printed = capsys.readouterr()
    assert says in printed.out
    assert "Traceback" not in printed.out + printed.err


def test_the_pages_own_gateway_is_verified(capsys: pytest.CaptureFixture[str]) -> None:
    """By the command that the page names; what needs asyncio is skipped on trio, and said."""
    (command,) = re.findall(
        r"^\.venv/bin/qrlifecycle (verify --gateway .*)$", PAGE.read_text(), re.MULTILINE
    )
    chosen = ["--scenario", "success", "--scenario", "already linked"]
    assert main([*shlex.split(command), *chosen]) == 0
    out = capsys.readouterr().out
    assert "  success         asyncio  kept\n" in out
    assert "  already linked  asyncio  skipped\n" in out
    assert "on trio: PairingServer needs asyncio" in out


@pytest.mark.slow
@pytest.mark.parametrize("name", GATEWAYS)
def test_ours_are_known_by_name(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The name stands for what plays the service."""
    chosen = ["--backend", "asyncio", "--scenario", "success"]
    assert main(["verify", "--gateway", name, *chosen]) == 0
    assert "Everything held." in capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_completes_it(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The option, and the names of our gateways."""
    assert main(["completion", shell]) == 0
    out = capsys.readouterr().out
    assert "--gateway" in out
    for name in GATEWAYS:
        assert out.count(name) >= 2
    assert "FACTORY:(device-flow evolution" in out or "verify___gateway_choices=(device-flow" in out
