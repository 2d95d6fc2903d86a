"""Where the time of a success goes, and that of an opening, piece by piece.

The same rounds as in the table, with the moments noted in which the work passes from one part of
the library to the next. Noting one takes about a microsecond, which is in the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from qrlifecycle import Event
from qrlifecycle.engine.connection import Connection
from qrlifecycle.engine.progress import Progress
from qrlifecycle.transports.socketio import SocketIOTransport
from qrlifecycle.transports.wire import WebSocketConnection, connection
from qrlifecycle.transports.wire.stream import Stream

from .__main__ import listen, success_bare, success_ours
from .affinity import keep_apart
from .dashboard.tables import Table, number
from .page import fill_page, this_machine

SUCCESS: dict[str, tuple[Any, str, bool]] = {
    "the server, the kernel, the event loop": (Stream, "wait", True),
    "bytes, and the frame in them": (WebSocketConnection, "receive", True),
    "the message, and what it means": (Connection, "receive", True),
    "deciding": (Connection, "close", False),
    "the goodbye, framed": (Stream, "close", False),
    "the kernel: send, shut, close": (Stream, "close", True),
    "abort() after it, and the log": (Connection, "close", True),
    "the row is taken, everybody is told": (Progress, "commit", True),
}
"""What is done until a method begins, or has ended; what is left is `pair()` returning."""

LISTENING: dict[str, tuple[Any, str, bool]] = {
    "the transport is made, its arguments are checked": (SocketIOTransport, "__init__", True),
    "to a connected socket": (connection, "reach", True),
    "WebSocket's handshake": (connection, "upgrade", True),
    "Socket.IO's": (Connection, "receive", True),
}
"""The same for an opening; what is left is handing the code out."""

Moment = tuple[str, float, float]
"""What has been done, and the clock and this thread's CPU by then, in seconds."""


@contextmanager
def noted(marks: dict[str, tuple[Any, str, bool]]) -> Iterator[list[Moment]]:
    """The moments of what is done inside, in the list it gives."""
    moments: list[Moment] = []

    def note(piece: str) -> None:
        moments.append((piece, time.monotonic(), time.thread_time()))

    kept = {(place, name): getattr(place, name) for place, name, _ in marks.values()}
    for (place, name), function in kept.items():
        begun = [p for p, mark in marks.items() if mark == (place, name, False)]
        ended = [p for p, mark in marks.items() if mark == (place, name, True)]
        setattr(place, name, _noting(function, note, begun, ended))
    try:
        yield moments
    finally:
        for (place, name), function in kept.items():
            setattr(place, name, function)


def _noting(
    function: Any, note: Callable[[str], None], begun: list[str], ended: list[str]
) -> Callable[..., Any]:
    async def awaited(*args: Any, **named: Any) -> Any:
        result = await plain(*args, **named)
        for piece in ended:
            note(piece)
        return result

    def plain(*args: Any, **named: Any) -> Any:
        for piece in begun:
            note(piece)
        result = function(*args, **named)
        if not asyncio.iscoroutinefunction(function):
            for piece in ended:
                note(piece)
        return result

    return awaited if asyncio.iscoroutinefunction(function) else plain


class Pieces:
    """What each piece took, round by round, in microseconds: by the clock, and of CPU."""

    def __init__(self) -> None:
        self.clock: dict[str, list[float]] = {}
        self.cpu: dict[str, list[float]] = {}

    def add(self, began: float, moments: Sequence[Moment], rest: Moment) -> None:
        """Note a round: from when it began over its moments, the last of each, to the end."""
        last = {piece: (clock, cpu) for piece, clock, cpu in moments if clock >= began}
        before, cpu_before = began, None
        for piece, (clock, cpu) in sorted([*last.items(), (rest[0], rest[1:])], key=_by_clock):
            self.clock.setdefault(piece, []).append((clock - before) * 1e6)
            if cpu_before is not None:
                self.cpu.setdefault(piece, []).append((cpu - cpu_before) * 1e6)
            before, cpu_before = clock, cpu

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """Their medians."""
        for piece, taken in self.clock.items():
            cpu = self.cpu.get(piece)
            shown = "" if cpu is None else number(statistics.median(cpu))
            yield piece, number(statistics.median(taken)), shown


def _by_clock(piece: tuple[str, tuple[float, float]]) -> float:
    return piece[1][0]


async def measure(url: str, rounds: int) -> tuple[tuple[str, str, str], ...]:
    """The rows of the table."""
    success, listening, bare = Pieces(), Pieces(), list[float]()
    # Once around all rounds: a class that is changed makes the interpreter forget what it learned.
    with noted(SUCCESS) as moments:
        for _ in range(rounds):
            moments.clear()
            took = await success_ours(url)
            rest = "`pair()` returns", *_now()
            success.add(rest[1] - took / 1e3, moments, rest)
            bare.append(await success_bare(url) * 1e3)
    with noted(LISTENING) as moments:
        for _ in range(rounds):
            moments.clear()
            changes = await changes_of(url)
            began, shown = changes[Event.QR_READY], changes[Event.QR_UPDATED]
            within = [("", *began), *(moment for moment in moments if moment[1] <= shown[0])]
            listening.add(began[0], within, ("the code is handed out", *shown))
    return (
        ("**emit -> `pair()` returned**", "", ""),
        *success.rows(),
        ("the bare handler, between these rounds: all of it", number(statistics.median(bare)), ""),
        ("**displayed -> listening**", "", ""),
        *(row for row in listening.rows() if row[0]),
    )


async def changes_of(url: str) -> dict[Event, tuple[float, float]]:
    """Display a code until it is handed out; when each event came."""
    changes: dict[Event, tuple[float, float]] = {}
    await listen(url, lambda event: changes.setdefault(event, _now()))
    return changes


def _now() -> tuple[float, float]:
    return time.monotonic(), time.thread_time()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.pieces", description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--docs", action="store_true", help="fill docs/measured.md")
    given = parser.parse_args(arguments)
    command = [sys.executable, "-m", "tests.benchmarks.server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        keep_apart(os.getpid(), server.pid)
        try:
            url = server.stdout.readline().strip()
            rows = asyncio.run(measure(url, given.rounds))
        finally:
            server.kill()
    table, machine = Table("Piece by piece", ("", "us", "of CPU"), rows), this_machine()
    print(f"{table.plain()}\n{machine}")
    if given.docs:
        where = f"`.venv/bin/python -m tests.benchmarks.pieces`, on {machine}.\n"
        fill_page({"pieces": f"{table.markdown()}\n{where}"})
    return 0


if __name__ == "__main__":
    sys.exit(main())
