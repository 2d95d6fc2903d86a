"""The protocol of leases over machines, judged by Spin: it holds, and each part of it is needed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from qrlifecycle.leases.redis.keeper import Times

from ..patience import PROCESS_HANGS

MODELS = Path(__file__).parent.parent / "model"

PROTOCOL = MODELS / "lease.pml"
"""Two machines and a lease."""

IN_PARTS = MODELS / "lease_parts.pml"
"""A machine that says its leases in parts, and what is heard late; some seconds."""

MISSING = [tool for tool in ("spin", "gcc") if shutil.which(tool) is None]

needs_spin = pytest.mark.skipif(bool(MISSING), reason=f"not installed here: {', '.join(MISSING)}")

TTL, CLOSE, DRIFT, SLACK = 4, 1, 1, 1
"""Ticks."""


def kept(*, close: int = CLOSE, drift: int = DRIFT, slack: int = SLACK) -> int:
    """For how many ticks a lease is held after its renewal was sent, as the library has it."""
    times = Times(TTL, 1, 1, drift=drift / TTL, slack=slack, close_within=close)
    ticks = round(times.kept)
    assert times.kept == pytest.approx(ticks)
    return ticks


def judge(
    folder: Path, *defines: str, keep: int | None = None, model: Path = PROTOCOL
) -> tuple[int, int]:
    """How many errors Spin finds, and how many situations it looked at."""
    values = {"TTL": TTL, "CLOSE": CLOSE, "DRIFT": DRIFT, "KEEP": kept() if keep is None else keep}
    flags = [f"-D{name}={value}" for name, value in values.items()]
    flags += [f"-D{name}" for name in defines]

    def run(*command: str) -> str:
        return subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
            timeout=12 * PROCESS_HANGS,
        ).stdout

    run("spin", "-a", *flags, str(model))
    run("gcc", "-O2", "-w", "-DSAFETY", "-DNOFAIR", "-DCOLLAPSE", "-o", "pan", "pan.c")
    report = run("./pan", "-m3000000", "-w24")
    assert "max search depth too small" not in report
    errors, states = re.search(r"errors: (\d+)", report), re.search(r"(\d+) states, stored", report)
    assert errors is not None, report
    assert states is not None, report
    return int(errors[1]), int(states[1])


def test_promise_9_the_model_has_the_constants_of_the_code() -> None:
    """With the library's arithmetic one tick is left of four, and each room takes one away."""
    assert kept() == 1
    assert kept(close=0) == kept(drift=0) == kept(slack=0) == 2


@pytest.mark.slow
@needs_spin
def test_promise_9_the_protocol_holds(tmp_path: Path) -> None:
    """As designed never two machines have a transport, also if the keeper restarts empty."""
    errors, states = judge(tmp_path, "FORGETS")
    assert errors == 0
    assert states > 10_000_000


@pytest.mark.slow
@needs_spin
@pytest.mark.parametrize(
    "without",
    [
        "COUNTING_FROM_THE_SENDING",
        "GRACE",
        "CLOSING_FIRST",
        "NAMING_THE_HOLDER",
        "LOOKING_AT_THE_SESSION",
        "LOOKING_AT_THE_CLOCK",
        "WAITING_FOR_THE_BEGINNING",
    ],
)
def test_promise_9_each_part_of_the_protocol_is_needed(without: str, tmp_path: Path) -> None:
    """Without it Spin finds two transports at once."""
    errors, _ = judge(tmp_path, "FORGETS", f"WITHOUT_{without}")
    assert errors > 0


@pytest.mark.slow
@needs_spin
@pytest.mark.parametrize("room", ["close", "drift", "slack"])
def test_promise_9_each_room_is_needed(room: str, tmp_path: Path) -> None:
    """Without room for closing, for drift, or for being late, there are two transports at once."""
    errors, _ = judge(tmp_path, keep=kept(**{room: 0}))
    assert errors > 0


@pytest.mark.slow
@needs_spin
def test_a_machine_that_is_stopped_is_not_covered(tmp_path: Path) -> None:
    """Where a machine may be stopped (SIGSTOP), two have a transport: A3 is an assumption."""
    errors, _ = judge(tmp_path, "STOPS")
    assert errors > 0


@pytest.mark.slow
@needs_spin
def test_promise_9_a_session_that_is_begun_in_parts_holds(tmp_path: Path) -> None:
    """Never two transports, whenever the keeper restarts, and whatever is heard late."""
    errors, states = judge(tmp_path, model=IN_PARTS)
    assert errors == 0
    assert states > 200_000


@pytest.mark.slow
@needs_spin
@pytest.mark.parametrize(
    "without",
    [
        "WAITING_FOR_ALL_PARTS",
        "LOOKING_FOR_THE_SESSION",
        "THE_ORDER_OF_WHAT_IS_SAID",
        "THE_ORDER_OF_REQUESTS",
    ],
)
def test_promise_9_each_part_of_beginning_in_parts_is_needed(without: str, tmp_path: Path) -> None:
    """Used after its first part, begun by a later one, or put back by what is late: two at once."""
    errors, _ = judge(tmp_path, f"WITHOUT_{without}", model=IN_PARTS)
    assert errors > 0


@pytest.mark.slow
@needs_spin
def test_a_transport_is_kept_while_the_keeper_restarts(tmp_path: Path) -> None:
    """Some way leads there, so it is not for want of what can happen that nothing goes wrong."""
    errors, _ = judge(tmp_path, "REACHED", model=IN_PARTS)
    assert errors > 0
