"""`python -m qrlifecycle.proof.soak`: many lifecycles under fire end where they began."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from qrlifecycle.proof.soak.loop_lag import LoopLag

from .patience import PROCESS_HANGS
from .sockets import needs_proc

pytestmark = needs_proc

SOAK = (sys.executable, "-W", "error", "-m", "qrlifecycle.proof.soak")


def run(*command: str) -> tuple[int, str]:
    """The exit code of a command and what it prints; it has nothing to complain of."""
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=PROCESS_HANGS
    )
    assert result.stderr == ""
    return result.returncode, result.stdout


def test_promises_1_3_4_5_8_hold_under_fire() -> None:
    """Some hundred lifecycles with faults, kills and cancellations leave the process as it was."""
    code, printed = run(*SOAK, "--lifecycles", "300", "--seed", "7")
    assert code == 0, printed
    assert "300 lifecycles" in printed
    assert "seed 7" in printed
    assert "connected" in printed
    assert printed.endswith("Every promise held.\n")


@pytest.mark.slow
def test_it_ends_when_the_time_is_over() -> None:
    """A soak of a second is one of a second, and what was given up is not counted as broken."""
    code, printed = run(*SOAK, "--seconds", "1", "--at-once", "5")
    assert code == 0, printed
    assert "Every promise held." in printed


@pytest.mark.slow
def test_the_help_says_what_can_be_asked_for() -> None:
    """All options are there."""
    _, printed = run(*SOAK, "--help")
    assert "``" not in printed
    assert printed.count("python -m qrlifecycle.proof.soak") == 1
    assert all(option in printed for option in ("--seconds", "--lifecycles", "--seed", "--at-once"))


BROKEN = """
import anyio, sys
from qrlifecycle import SocketIOTransport
from qrlifecycle.proof.soak import Soak
{starved}
class Broken(SocketIOTransport):
    __slots__ = ()
{methods}

def make(url, bot_id, user_id):
    return Broken(url, bot_id=bot_id, user_id=user_id)

report = anyio.run(Soak(lifecycles=100, seed=3, at_once=10, make_transport=make).run)
print(*report.breaches, *report.summary(), sep="\\n")
"""

NO_CLOSING = """
    async def aclose(self): pass
    def abort(self): pass
"""

DEAF = """
    async def receive(self):
        import anyio
        await anyio.sleep_forever()
"""

STARVED = """
from itertools import count
from qrlifecycle.proof.soak.loop_lag import LoopLag
LoopLag.stood_still = property(lambda self, beats=count(): 2.0 * next(beats), lambda self, _: None)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("methods", "promise"),
    [
        pytest.param(NO_CLOSING, "Promise 1 (exclusion)", id="no closing"),
        pytest.param(DEAF, "Promise 4 (no lost success)", id="deaf"),
    ],
)
def test_a_broken_transport_is_found_and_the_promise_named(
    tmp_path: Path, methods: str, promise: str
) -> None:
    """What breaks a promise is said in a sentence with the promise and the seed."""
    assert f"{promise} did not hold, seed 3, lifecycle " in soak(tmp_path, methods)


@pytest.mark.slow
def test_a_process_that_was_starved_is_excused_and_it_is_said(tmp_path: Path) -> None:
    """While the event loop stood still nobody could receive: no promise counts as broken by it."""
    printed = soak(tmp_path, DEAF, starved=STARVED)
    assert "did not hold" not in printed
    assert "not judged, for the event loop stood still: " in printed


def soak(tmp_path: Path, methods: str, *, starved: str = "") -> str:
    """What is printed of a soak with a broken transport."""
    script = tmp_path / "broken.py"
    script.write_text(BROKEN.format(methods=methods, starved=starved))
    result = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=True,
        timeout=PROCESS_HANGS,
    )
    return result.stdout


class SlowLoop:
    """An event loop whose clock and timers are at hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, Callable[[], object]]] = []

    def time(self) -> float:
        """The time."""
        return self.now

    def call_at(self, when: float, callback: Callable[..., object], *args: object) -> None:
        """Take note of a timer."""
        self.timers.append((when, partial(callback, *args)))

    def fire(self, late: float) -> None:
        """Let the next timer fire, so many seconds late."""
        when, callback = self.timers.pop(0)
        self.now = when + late
        callback()


def test_the_lag_is_for_how_long_the_loop_stood_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A timer that is late by more than an interval counts; a loop that is busy does not."""
    loop, loop_lag = SlowLoop(), LoopLag()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
    loop_lag.start()
    for late in (0.0, 0.04, 4.0, 0.01, 0.5):
        loop.fire(late)
    assert loop_lag.stood_still == pytest.approx(4.5)
