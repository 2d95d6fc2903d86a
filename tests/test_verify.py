"""`qrlifecycle verify`: what it finds, what it prints, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from qrlifecycle.cli import main, verify
from qrlifecycle.cli.verification import Explore, Findings, Properties, never_seen
from qrlifecycle.link import Link
from qrlifecycle.testing.exploration import replay
from qrlifecycle.testing.exploration.acts import Act
from qrlifecycle.testing.exploration.scene import World
from qrlifecycle.testing.exploration.worlds import EVEN

FEW = frozenset({Act.PAIR, Act.CODE, Act.OK, Act.PAIRED, Act.CANCELLED, Act.TICK})

TINY = World(name="tiny", policy=EVEN, without=frozenset(Act) - FEW, racing=1)

LINES = str(Path(__file__).parent.parent / "examples")

MODULE = f"""
import sys
sys.path.insert(0, {LINES!r})
from line_transport import LineTransport
from qrlifecycle import Paired, QRCode, QRUpdated
from qrlifecycle.testing import WirePeer

NUMBER = 7

class Leaky(LineTransport):
    opened = False

    async def open(self):
        await super().open()
        await self.stream.receive(7)  # a greeting; cancelled here
        self.opened = True

    def abort(self):
        if self.opened:
            super().abort()

    async def aclose(self):
        if self.opened:
            await super().aclose()

async def greet(wire):
    await wire.send(b"welcome")

def peer(make=LineTransport, **options):
    return WirePeer(
        lambda host, port: make(host, port, heartbeat=0.3),
        signals={{b"qr one\\n": QRUpdated(QRCode("one")), b"paired me\\n": Paired("me")}},
        heartbeat=0.3,
        **options,
    )

def broken():
    return peer(Leaky, greet=greet)
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A directory with a module in it."""
    (tmp_path / "my_peers.py").write_text(MODULE)
    (tmp_path / "faulty.py").write_text("1 / 0")
    return tmp_path


def run(here: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, in a directory."""
    return subprocess.run(
        [sys.executable, "-m", "qrlifecycle", "verify", *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=here,
        timeout=60,
    )


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs are done here, where a test may have broken something."""

    def work_off(
        lines: Sequence[deque[Any]], _stop: object, news: Callable[[Any, str], object]
    ) -> Iterator[tuple[Any, Findings]]:
        for line in lines:
            while line:
                job = line.popleft()
                yield job, job(lambda text, job=job: news(job, text))

    monkeypatch.setattr(verify, "work_off", work_off)
    monkeypatch.setattr(verify, "WORLDS", (TINY,))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("my_peers", "names no factory: give MODULE:FACTORY"),
        ("nowhere_at_all:peer", "cannot import 'nowhere_at_all'"),
        ("faulty:peer", "cannot import 'faulty': ZeroDivisionError"),
        ("my_peers:nobody", "module 'my_peers' has no 'nobody'"),
        ("my_peers:NUMBER", "my_peers:NUMBER cannot be called"),
    ],
)
def test_a_wrong_name_is_one_sentence(
    here: Path,
    name: str,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It says what is wrong, in one line, and ends with 2."""
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "my_peers", raising=False)
    assert main(["verify", name]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_a_good_transport_keeps_the_contract(here: Path) -> None:
    """Each clause is held, and what its peer cannot do is said to be skipped."""
    ended = run(here, "my_peers:peer", "--only", "contract", "--backend", "asyncio")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.search(r"^  T2  held +\d+ checks made", ended.stdout, re.MULTILINE)
    assert "skipped: T1" in ended.stdout
    assert ended.stdout.endswith("Everything held.\n")
    assert ended.stderr == ""


def test_a_leaky_transport_is_broken(here: Path) -> None:
    """The clause, what is left open and the line to mend are printed; it ends with 1."""
    ended = run(here, "my_peers:broken", "--only", "contract", "--backend", "trio")
    assert ended.returncode == 1
    assert re.search(r"^  T1  BROKEN", ended.stdout, re.MULTILINE)
    assert re.search(r"^  3  one socket +BROKEN", ended.stdout, re.MULTILINE)
    assert "still open: " in ended.stdout
    assert "my_peers.py:" in ended.stdout


@pytest.mark.usefixtures("in_this_process")
def test_what_was_never_seen_is_not_proved(capsys: pytest.CaptureFixture[str]) -> None:
    """A world too small shows nothing broken, and yet it ends with 1, and names what is missing."""
    assert main(["verify", "--only", "exploration"]) == 1
    printed = capsys.readouterr().out
    assert "On asyncio, nothing was proved about: row idle : " not in printed
    assert re.search(r"On trio, nothing was proved about: .*reason conflict", printed)
    assert re.search(
        r"^  tiny +asyncio +\d+ situations +\d+ moves +complete", printed, re.MULTILINE
    )
    assert "Everything held." not in printed


@pytest.mark.usefixtures("in_this_process")
def test_a_broken_lifecycle_comes_with_a_schedule(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The schedule that is printed shows the breach again."""
    whole = Link.close

    async def close(link: Link) -> None:
        """Close nothing that is open."""
        if not getattr(link.transport, "socket_exists", False):
            await whole(link)

    monkeypatch.setattr(Link, "close", close)
    assert main(["verify", "--only", "exploration", "--backend", "asyncio"]) == 1
    printed = capsys.readouterr().out
    assert "BROKEN: exploration of 'tiny' on asyncio" in printed
    schedule = re.search(r"replay\('([^']*)'", printed)
    assert schedule is not None
    assert any("promise" in line for line in replay(schedule[1], TINY))


def test_the_same_exploration_gives_the_same_numbers() -> None:
    """Situations, moves and what was seen are equal from run to run."""
    first, again = (Explore(TINY, "asyncio")(lambda _text: None) for _ in range(2))
    assert first == again
    assert first.complete
    assert never_seen(first.seen)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_seed_repeats(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same seed draws the same plans, and another one others."""
    drawn: list[str] = []
    perform = Properties._perform

    def note(self: Properties, plan: Any, factory: Any) -> Findings | None:
        drawn.append(repr(plan))
        return perform(self, plan, factory)

    monkeypatch.setattr(Properties, "_perform", note)
    runs = []
    for seed in (1, 1, 2):
        drawn.clear()
        for at_once in (1, 2):
            job = Properties(None, backend, seed, 10, at_once)
            assert not job(lambda _text: None).counterexample
        runs.append([*drawn])
    assert runs[0] == runs[1] != runs[2]


def test_ctrl_c_ends_at_once(here: Path) -> None:
    """It ends with 130, without a traceback, and its processes end with it."""
    command = [sys.executable, "-m", "qrlifecycle", "verify", "--only", "exploration"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=here,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        _, error = process.communicate(timeout=20)
    assert process.returncode == 130
    assert error == ""
