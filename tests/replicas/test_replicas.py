"""The command of replicas: each of its rows, small; how overlaps are told; and its interruption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ..leases.redis_server import MISSING
from ..patience import PROCESS_HANGS
from .__main__ import main, markdown, plain
from .records import Overlaps, Socket, overlaps
from .rows import ROWS, Result, play
from .stage import Settings

SMALL = Settings(users=20, processes=2, ttl=6.0)
"""With this ttl a process that is 3 s late has lost nothing yet."""

needs_redis = pytest.mark.skipif(MISSING, reason="there is no redis-server, nor a valkey-server")


def socket(process: str, made: float, opened: float, closed: float | None) -> Socket:
    """Of one user, always the same."""
    return Socket("user", 1, process, made, opened, closed)


def test_two_sockets_at_once_are_an_overlap_unless_one_was_given_up() -> None:
    """What its client had let go of, before the other was made, is the judge's lateness."""
    held = [socket("a", 1, 2, 9), socket("b", 5, 6, None)]
    assert overlaps(held, {("a", 1): 9}) == Overlaps(1, 0, 3)
    assert overlaps(held, {("a", 1): 4}) == Overlaps(0, 1, 0)
    assert overlaps(held, {}) == Overlaps(1, 0, 3)
    late = [socket("b", 5, 6, None), socket("a", 1, 8, 9)]  # it stood in a queue
    assert overlaps(late, {("a", 1): 4}) == Overlaps(0, 1, 0)
    assert overlaps(late, {("a", 1): 7}) == Overlaps(1, 0, 1)
    assert overlaps([socket("a", 1, 2, 6), socket("b", 5, 6, None)], {}) == Overlaps(0, 0, 0)


def test_what_is_not_met_is_told() -> None:
    """In the terminal, and on the page."""
    result = Result("killed")
    result.never_two(Overlaps(1, 2, 3.0))
    assert not result.met
    assert plain(result) == (
        "killed: overlaps 1 (2 by the judge's lateness)\n  NOT MET: never two sockets for a user"
    )
    text = markdown([result], "a command", "a machine")
    assert "**not met:** never two sockets for a user" in text
    assert "`a command`, on a machine." in text


@pytest.mark.parametrize("arguments", [["--users", "5"], ["--processes", "1"], ["--only", "x"]])
def test_a_size_that_cannot_be_is_refused(arguments: list[str]) -> None:
    """Before anything is started."""
    with pytest.raises(SystemExit):
        main(arguments)


@needs_redis
@pytest.mark.anyio
@pytest.mark.parametrize(
    "row",
    [
        "ask_to_leave",
        *(pytest.param(row, marks=pytest.mark.slow) for row in ROWS if row != "ask_to_leave"),
    ],
)
@pytest.mark.parametrize("anyio_backend", [("asyncio", {})], ids=["asyncio"])
async def test_promise_9_of_real_processes(row: str, anyio_backend: object) -> None:
    """Each row meets what it demands, but for its time, which a busy machine decides."""
    result = await play(row, SMALL)
    assert [one.what for one in result.demands if not one.met and not one.of_time] == []


@needs_redis
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked for in /proc")
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_no_process(by: signal.Signals) -> None:
    """Whatever it had started is ended, also what it had frozen."""
    mark = f"REPLICAS_TEST={os.getpid()}-{by.name}"
    command = [sys.executable, "-m", "tests.replicas", "--users", "20", "--only", "ask_to_leave",
               "frozen"]  # fmt: skip
    name, value = mark.split("=")
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**os.environ, name: value},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()  # the first row is played; the second one begins
        process.send_signal(by)
        assert process.wait(PROCESS_HANGS) == 130
    assert _with(mark) == []


def _with(mark: str) -> list[str]:
    """The processes that have this in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:  # it is gone, or somebody else's
            continue
    return found
