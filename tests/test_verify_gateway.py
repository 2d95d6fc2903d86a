"""`qrlifecycle verify --gateway`: a guest's gateway, put through the scenarios."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from qrlifecycle.cli import main, verify
from qrlifecycle.proof.verify.findings import Findings
from qrlifecycle.proof.verify.report import Results, tables, untried
from qrlifecycle.proof.verify.scenarios import Play
from qrlifecycle.proof.verify.schedule import played, queues
from qrlifecycle.testing.gateways import scenarios

from .patience import PROCESS_HANGS

DOCS = Path(__file__).parents[1] / "docs"

MODULE = """
import logging

from qrlifecycle import PairingRefused, Reason
from qrlifecycle.gateways import DeviceFlow
from qrlifecycle.testing.gateways import DeviceFlowEmulator, Emulator

NUMBER = 7

class Quick(DeviceFlowEmulator):
    def __init__(self):
        super().__init__(interval=0.05)

class Flow(DeviceFlow):
    async def ask_for_code(self):
        code = await super().ask_for_code()
        logging.getLogger("quiet").warning("a code was made")
        return code

class Played(Quick):
    def gateway(self):
        return Flow(self.url, client_id="tv")

class Vague(DeviceFlow):
    async def ask_for_status(self):
        found = await super().ask_for_status()
        return PairingRefused() if isinstance(found, PairingRefused) else found

class Talkative(DeviceFlow):
    async def ask_for_code(self):
        code = await super().ask_for_code()
        logging.getLogger("talkative").debug("here it is: %s", code.reveal())
        return code

class PlayedVague(Quick):
    def gateway(self):
        return Vague(self.url, client_id="tv")

class PlayedTalkative(Quick):
    def gateway(self):
        return Talkative(self.url, client_id="tv")

class Bare(Quick):
    gateway = Emulator.gateway

class Strange(Quick):
    def gateway(self):
        return "a gateway"

class Raising(Quick):
    def gateway(self):
        raise RuntimeError("no credentials")

class Async(Quick):
    async def gateway(self):
        return Flow(self.url, client_id="tv")

def raises():
    raise RuntimeError("boom")

def number():
    return 7

def none():
    return None

def gateway():
    return Flow("https://service.example", client_id="tv")

async def asynchronous():
    return Played()

def with_an_argument(url):
    return Played()
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory with a module in it."""
    (tmp_path / "my_services.py").write_text(MODULE)
    (tmp_path / "faulty.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "my_services", raising=False)
    return tmp_path


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs are done here."""

    def work_off(
        queues: Sequence[deque[Any]], _stopped: object, news: Callable[[Any, str], object]
    ) -> Iterator[tuple[Any, Findings]]:
        for queue in queues:
            while queue:
                job = queue.popleft()
                yield job, job(lambda text, job=job: news(job, text))

    monkeypatch.setattr(verify, "work_off", work_off)


def play(factory: str, *names: str, backend: str | None = "asyncio") -> int:
    """The command, with these scenarios."""
    given = [word for name in names for word in ("--scenario", name)]
    given += ["--backend", backend] if backend else []
    return main(["verify", "--gateway", f"my_services:{factory}", *given])


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("my_services", "names no factory: give MODULE:FACTORY, as in my_gateway:"),
        ("nowhere_at_all:Played", "cannot import 'nowhere_at_all': ModuleNotFoundError"),
        ("faulty:Played", "cannot import 'faulty': ZeroDivisionError"),
        ("my_services.py:Played", "give a module, not a file: my_services:Played"),
        ("my_services:Nobody", "module 'my_services' has no 'Nobody'"),
        ("my_services:NUMBER", "cannot be called; a factory makes a fresh emulator at each call"),
        ("my_services:raises", "my_services:raises raised RuntimeError: boom (my_services.py:"),
        ("my_services:number", "my_services:number gave an int, which is no Emulator; give one"),
        ("my_services:none", "my_services:none gave None, which is no Emulator"),
        ("my_services:gateway", "gave a Flow, which is no Emulator; give one, of a subclass of"),
        ("my_services:asynchronous", "is async; a factory is a plain function that gives an Emul"),
        ("my_services:with_an_argument", "missing 1 required positional argument: 'url'"),
        ("my_services:Bare", "gave a Bare, which has no gateway(); write one, which makes the"),
    ],
)
def test_a_wrong_name_is_one_sentence(
    name: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what is wrong, in one line, before anything is played, and ends with 2."""
    assert main(["verify", "--gateway", name]) == 2
    printed = capsys.readouterr()
    assert says in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""


@pytest.mark.usefixtures("here", "in_this_process")
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Strange", "my_services:Strange's gateway() gave a str, which is no Gateway"),
        ("Raising", "my_services:Raising's gateway() raised RuntimeError: no credentials (my_s"),
        ("Async", "my_services:Async's gateway() is async; a factory is a plain function that"),
    ],
)
def test_an_emulator_that_makes_no_gateway_refutes_nothing(
    name: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends with 2 and one sentence: nothing was checked."""
    assert play(name, "success") == 2
    printed = capsys.readouterr()
    assert f"error: nothing was checked: InvalidValue: {says}" in printed.err
    assert printed.err.count("\n") == 1
    assert "BROKEN" not in printed.out


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--scenario", "success"], "--scenario is for --gateway MODULE:FACTORY"),
        (["my_services:raises", "--gateway", "my_services:Played"], "without MODULE:FACTORY of a"),
        (["--gateway", "my_services:Played", "--only", "contract"], "nothing else: without --only"),
        (["--gateway", "my_services:Played", "--seed", "0"], "nothing else: without --seed"),
        (["--gateway", "my_services:Played", "--deep"], "nothing else: without --deep"),
        (
            ["--gateway", "my_services:Played", "--scenario", "nonsense"],
            "no scenario 'nonsense'; there are success, ",
        ),
    ],
)
def test_what_does_not_go_together_is_said(
    given: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, before anything is played."""
    assert main(["verify", *given]) == 2
    printed = capsys.readouterr()
    assert says in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""


@pytest.mark.usefixtures("here", "in_this_process")
def test_a_good_gateway_holds_on_both_loops(capsys: pytest.CaptureFixture[str]) -> None:
    """A row for each scenario says where it was played; what it logs is printed nowhere."""
    assert play("Played", "wrong key", "success", backend=None) == 0
    printed = capsys.readouterr()
    table = printed.out.partition("\nscenarios\n")[2].splitlines()
    assert table[:2] == [
        "  success    held  on asyncio and trio",
        "  wrong key  held  on asyncio and trio",
    ]
    assert re.fullmatch(r"total: 4 scenarios played, \d+ s", table[3])
    assert table[4:] == ["Everything held."]
    assert printed.err == ""
    assert "promises" not in printed.out


@pytest.mark.usefixtures("here", "in_this_process")
@pytest.mark.parametrize(
    ("name", "scenario", "says"),
    [
        pytest.param(
            "PlayedVague",
            "refusal",
            "it should have failed (refused_on_phone); it ended",
            marks=pytest.mark.slow,
        ),
        ("PlayedTalkative", "success", "the logger 'talkative' told a secret"),
    ],
)
def test_a_wrong_gateway_is_broken(
    name: str, scenario: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends with 1 and says what should be so, and what happened; logs are heard as well."""
    assert play(name, scenario, "limit") == 1
    printed = capsys.readouterr()
    assert (
        f"BROKEN: scenario '{scenario}' on asyncio\n{scenarios([scenario])[0].fact}" in printed.out
    )
    assert says in printed.out
    assert f"  {scenario}" in printed.out
    assert "skipped  it has no limit of codes" in printed.out
    assert "held." not in printed.out


@pytest.mark.usefixtures("here", "in_this_process")
def test_a_scenario_that_was_named_and_not_played_is_an_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As for all that is named."""
    assert play("Played", "wrong key", "limit") == 2
    assert "--scenario limit: nothing was checked: it has no limit" in capsys.readouterr().err


def test_every_scenario_is_played_on_each_loop_by_a_few_processes() -> None:
    """They share one queue, in order: whoever is free takes the next."""
    jobs = played("m:f", ["asyncio", "trio"])
    assert len(jobs) == len({*jobs}) == 2 * len(scenarios())
    several = queues(jobs)
    assert len(several) == 4
    assert all(queue is several[0] for queue in several)
    assert [*several[0]] == jobs
    assert len(queues(played("m:f", ["trio"], ["success"]))) == 1


def test_an_event_loop_that_does_not_fit_is_told_once() -> None:
    """A row for it in place of one for each scenario, and one word at the end."""
    names = ["limit", "success"]
    results: Results = {
        Play("m:f", name, backend): Findings(skipped=why)
        for name, why in zip(names, ["it has no limit", ""], strict=True)
        for backend in ["asyncio"]
    }
    results |= {Play("m:f", name, "trio"): Findings(skipped="needs asyncio") for name in names}
    ((title, rows),) = tables(results)
    assert title == "scenarios"
    assert rows == [
        ("limit", "skipped", "it has no limit"),
        ("success", "held", "on asyncio"),
        ("all on trio", "skipped", "needs asyncio"),
    ]
    assert untried(results) == ["trio", "'limit'"]


@pytest.mark.slow
def test_the_gateway_of_the_page_on_writing_one_is_verified_by_the_command(tmp_path: Path) -> None:
    """As the page says: every scenario that its emulator can play is held."""
    text = (DOCS / "how-to" / "write-a-gateway.md").read_text()
    listings = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "my_gateway.py").write_text("\n\n".join(listings))
    command = re.compile(r"^\.venv/bin/qrlifecycle verify --gateway (\S+)$", re.MULTILINE)
    (named,) = command.findall(text)
    ended = subprocess.run(
        [sys.executable, "-m", "qrlifecycle", "verify", "--gateway", named],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=PROCESS_HANGS,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    table = ended.stdout.partition("\nscenarios\n")[2]
    assert len(re.findall(r"^  .* held +on asyncio$", table, re.MULTILINE)) == 10
    assert "  all on trio " in table
    assert ended.stdout.splitlines()[-1].startswith("Everything that was tried held; not tried:")
