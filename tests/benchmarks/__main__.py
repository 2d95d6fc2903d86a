"""One command, one table: each row is ours beside what it is compared with, in the same rounds.

Client and server run on different cores, where that can be said: on one core, whoever is woken
waits until the other is done, and a row has two values. Absolute times are this machine's and this
minute's; the ratio is what can be compared. A row's two sides take turns, round by round, so that a
busy minute hits both; and its ratio is the median of several fresh processes, each with a server of
its own, so that what one process has by chance is not taken for what the row costs.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import socketio
from transitions import Machine

from qrlifecycle import Event, Policy, QRCode, QRLifecycle, SocketIOTransport, State
from qrlifecycle.engine.progress import Progress, Transition
from qrlifecycle.machine import MACHINE
from qrlifecycle.monitoring import Audit, Journal
from qrlifecycle.records import Recorder
from qrlifecycle.states import single_rows

from .affinity import keep_apart
from .page import fill_page, this_machine
from .rows import Comparison, Row, compare, markdown, median_of


async def request_qr() -> QRCode:
    """A service that answers at once: what is measured is the socket."""
    return QRCode("a code", expires_in=60)


def transport(url: str, user: str = "u") -> SocketIOTransport:
    """Our transport to the benchmark's server; any user but "u" is never told of a success."""
    return SocketIOTransport(url, bot_id="b", user_id=user)


# From the server's emit to knowing it


async def success_ours(url: str) -> float:
    """Milliseconds from the emit to `pair()` having returned, with the socket closed."""
    outcome = await QRLifecycle(request_qr, partial(transport, url)).pair()
    return (time.monotonic() - _sent_at(outcome.data)) * 1e3


async def success_bare(url: str) -> float:
    """Milliseconds from the emit to a bare handler that notes the time and closes nothing."""
    noted = asyncio.get_running_loop().create_future()
    client = socketio.AsyncClient()
    client.on("whatsapp_connected", lambda data: noted.set_result((time.monotonic(), data)))
    await client.connect(url, auth={"userId": "u"}, transports=["websocket"])
    when, data = await noted
    await client.disconnect()
    return float(when - _sent_at(data)) * 1e3


async def success_and_gone_bare(url: str) -> float:
    """Milliseconds from the emit to a hand-written client having disconnected."""
    noted = asyncio.get_running_loop().create_future()
    client = socketio.AsyncClient()
    client.on("whatsapp_connected", noted.set_result)
    await client.connect(url, auth={"userId": "u"}, transports=["websocket"])
    data = await noted
    await client.disconnect()
    return (time.monotonic() - _sent_at(data)) * 1e3


def _sent_at(data: object) -> float:
    assert isinstance(data, dict)
    return float(data["at"])


# From wanting to listen to listening


async def listening_ours(url: str) -> float:
    """Milliseconds from entering `displayed` to the code being handed out."""
    times: dict[Event, float] = {}
    await listen(url, lambda event: times.setdefault(event, time.perf_counter()))
    return (times[Event.QR_UPDATED] - times[Event.QR_READY]) * 1e3


async def listen(url: str, changed: Callable[[Event], object]) -> None:
    """Display a code until it is handed out; say each event as it comes."""
    lifecycle = QRLifecycle(
        request_qr,
        partial(transport, url, "nobody"),
        on_change=lambda change: changed(change.event),
        on_qr_updated=lambda _qr: lifecycle.cancel(),
    )
    await lifecycle.pair()


async def listening_default(url: str) -> float:
    """Milliseconds that `AsyncClient.connect()` takes with its defaults."""
    client = socketio.AsyncClient()
    began = time.perf_counter()
    await client.connect(url, auth={"userId": "nobody"})
    took = time.perf_counter() - began
    await client.disconnect()
    return took * 1e3


# A whole round


async def round_ours(url: str, *recorders: Recorder) -> float:
    """Milliseconds of a whole lifecycle, without the server's pause before the success."""
    began = time.monotonic()
    lifecycle = QRLifecycle(request_qr, partial(transport, url), recorders=recorders)
    outcome = await lifecycle.pair()
    return (time.monotonic() - began - _pause(outcome.data)) * 1e3


async def round_audited(url: str) -> float:
    """The same, reported to an audit."""
    return await round_ours(url, Audit())


async def round_journalled(url: str) -> float:
    """The same, written to a journal."""
    with TemporaryDirectory() as folder, Journal(Path(folder, "journal.jsonl")) as journal:
        return await round_ours(url, journal)


async def round_by_hand(url: str) -> float:
    """Milliseconds of connect, wait, disconnect, as written by hand with the client's defaults."""
    began = time.monotonic()
    noted = asyncio.get_running_loop().create_future()
    client = socketio.AsyncClient()
    client.on("whatsapp_connected", noted.set_result)
    await client.connect(url, auth={"userId": "u"})
    data = await noted
    await client.disconnect()
    return (time.monotonic() - began - _pause(data)) * 1e3


def _pause(data: object) -> float:
    assert isinstance(data, dict)
    return float(data["pause"])


# The machine


class Model:
    """What the machine moves."""

    __slots__ = ("_state",)

    def __init__(self) -> None:
        self._state = State.IDLE


WALK = (Event.GENERATE, Event.QR_READY, Event.QR_UPDATED, Event.PAIRED, Event.RESET) * 2000
TARGETS = {(s, e): (MACHINE.row(s, e).target or s) for s in State for e in MACHINE.accepted(s)}


async def event_ours(_url: str) -> float:
    """Microseconds of one event on the shared machine."""
    model = Model()
    began = time.perf_counter()
    for event in WALK:
        MACHINE.fire(model, event)
    return (time.perf_counter() - began) / len(WALK) * 1e6


async def event_by_dictionary(_url: str) -> float:
    """Microseconds of one look-up in a dictionary: the floor under any machine."""
    model = Model()
    began = time.perf_counter()
    for event in WALK:
        model._state = TARGETS[model._state, event]
    return (time.perf_counter() - began) / len(WALK) * 1e6


async def trigger_plain(_url: str) -> float:
    """Microseconds of one trigger of a plain `transitions.Machine`, on a model that it patched."""
    model = PlainModel()
    Machine(
        model,
        states=[state.value for state in State],
        initial=State.IDLE.value,
        transitions=[
            [row.event.value, source.value, row.target and row.target.value]
            for source, row in single_rows()
        ],
        auto_transitions=False,
    )
    triggers = [getattr(model, event.value) for event in WALK]
    began = time.perf_counter()
    for trigger in triggers:
        trigger()
    return (time.perf_counter() - began) / len(WALK) * 1e6


class PlainModel:
    """What a plain machine patches its triggers onto."""


async def commit_ours(_url: str) -> float:
    """Microseconds of one row taken: the machine, the phase, the deadlines, nobody notified."""
    progress = Progress(Policy(), {}, ())
    carried = {Event.QR_READY: QRCode("a code"), Event.QR_UPDATED: QRCode("another")}
    walk = [Transition(event, carried.get(event)) for event in WALK]
    began = time.perf_counter()
    for transition in walk:
        progress.commit(transition)
    return (time.perf_counter() - began) / len(WALK) * 1e6


# Memory

CROWD = 200


async def memory_idle(url: str) -> float:
    """Bytes of an idle lifecycle."""
    factory = partial(transport, url)
    with allocated() as taken:
        crowd = [QRLifecycle(request_qr, factory) for _ in range(CROWD)]
    del crowd
    return taken[0] / CROWD


async def memory_displayed(url: str) -> float:
    """Kilobytes of a lifecycle that displays a code, its socket and tasks included."""
    return (await displayed(url))[0] / 1024


async def objects_displayed(url: str) -> float:
    """Objects of such a lifecycle that the collector tracks."""
    return (await displayed(url))[1]


async def displayed(url: str) -> tuple[float, float]:
    """Bytes, and tracked objects, of a lifecycle that displays a code."""
    gc.collect()
    objects = len(gc.get_objects())
    with allocated() as taken:
        shown = asyncio.Semaphore(0)
        crowd = [
            QRLifecycle(
                request_qr,
                partial(transport, url, "nobody"),
                on_qr_updated=lambda _qr: shown.release(),
            )
            for _ in range(CROWD)
        ]
        tasks = [asyncio.ensure_future(lifecycle.pair()) for lifecycle in crowd]
        for _ in crowd:
            await shown.acquire()
        await asyncio.sleep(0.1)
    objects = len(gc.get_objects()) - objects
    for lifecycle in crowd:
        lifecycle.cancel()
    await asyncio.wait(tasks)
    return taken[0] / CROWD, objects / CROWD


async def memory_bare(url: str) -> float:
    """Kilobytes of a connected client with a session of its own."""
    with allocated() as taken:
        crowd = [socketio.AsyncClient() for _ in range(CROWD)]
        for client in crowd:
            client.on("whatsapp_connected", lambda _data: None)
        connect = [
            c.connect(url, auth={"userId": "nobody"}, transports=["websocket"]) for c in crowd
        ]
        await asyncio.gather(*connect)
        await asyncio.sleep(0.1)
    for client in crowd:
        await client.disconnect()
    return taken[0] / CROWD / 1024


async def two_kilobytes(_url: str) -> float:
    """What an idle lifecycle may weigh."""
    return 2048.0


async def seventeen(_url: str) -> float:
    """What a displayed one may weigh."""
    return 17.0


async def objects_aimed_at(_url: str) -> float:
    """How many objects it may have."""
    return 120.0


@contextmanager
def allocated() -> Iterator[list[int]]:
    """Bytes that were allocated inside and are still held at its end, in the list it gives."""
    taken: list[int] = []
    gc.collect()
    tracemalloc.start()
    yield taken
    gc.collect()
    taken.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()


COMPARISONS = [
    Comparison(
        "emit -> pair() returned, socket closed",
        "ms", success_ours, success_bare, "bare handler, still open", 1.5, 300,
    ),
    Comparison(
        "emit -> pair() returned, socket closed",
        "ms", success_ours, success_and_gone_bare, "bare client, disconnected", None, 300,
    ),
    Comparison(
        "entering displayed -> listening",
        "ms", listening_ours, listening_default, "AsyncClient.connect()", 0.6, 200,
    ),
    Comparison(
        "a whole lifecycle",
        "ms", round_ours, round_by_hand, "connect, wait, disconnect", None, 200,
    ),
    Comparison(
        "a whole lifecycle, with an audit",
        "ms", round_audited, round_ours, "without", None, 200,
    ),
    Comparison(
        "a whole lifecycle, with a journal",
        "ms", round_journalled, round_ours, "without", None, 200,
    ),
    Comparison("one event", "us", event_ours, event_by_dictionary, "a dictionary", None, 7),
    Comparison("one event", "us", event_ours, trigger_plain, "plain Machine, a trigger", 0.5, 7),
    Comparison("one commit", "us", commit_ours, trigger_plain, "plain Machine, a trigger", 1.5, 7),
    Comparison("an idle lifecycle", "B", memory_idle, two_kilobytes, "aim: 2 kB", 1.0, 5),
    Comparison("a displayed lifecycle", "kB", memory_displayed, memory_bare, "bare client", 0.6, 5),
    Comparison(
        "a displayed lifecycle", "kB", memory_displayed, seventeen, "aim: 17 kB", 1.0, 5,
    ),
    Comparison(
        "a displayed lifecycle, tracked objects",
        "", objects_displayed, objects_aimed_at, "aim: 120", 1.0, 5,
    ),
]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, or read what was measured; print the table, and write it."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of the rounds to run (1)")
    parser.add_argument(
        "--processes", type=int, default=5, help="among which the rounds are divided (5)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was measured")
    parser.add_argument("--read", type=Path, metavar="FILE", help="measure nothing: read such JSON")
    parser.add_argument("--docs", action="store_true", help="fill docs/measured.md")
    given = parser.parse_args(arguments)
    head = f"{'medians':<40} {'ours':>12} {'compared with':<35}{'':>3}{'ratio':>6}"
    print(f"{head}  {'from, to':<13} aim", flush=True)
    if given.read is not None:
        rows, machine = read(given.read)
    elif given.processes > 1:
        rows, machine = measure_afresh(given.share, given.processes), this_machine()
    else:
        rows, machine = [], this_machine()
        for row in measure(given.share):
            print(row, flush=True)
            rows.append(row)
    if given.read is not None or given.processes > 1:
        print(*rows, sep="\n")
    if given.json is not None:
        written = {"machine": machine, "rows": [asdict(row) for row in rows]}
        given.json.write_text(json.dumps(written) + "\n")
    if given.docs:
        fill_page({"costs": markdown(rows, ".venv/bin/python -m tests.benchmarks", machine)})
    return 0


def read(file: Path) -> tuple[list[Row], str]:
    """What was measured before, and on which machine."""
    said = json.loads(file.read_text())
    return [Row(**row) for row in said["rows"]], said["machine"]


def measure_afresh(share: float, processes: int) -> list[Row]:
    """Each row over so many processes, one after another."""
    runs: list[list[Row]] = []
    with TemporaryDirectory() as folder:
        file = Path(folder, "rows.json")
        command = [sys.executable, "-m", "tests.benchmarks", "--processes", "1"]
        command += ["--share", str(share / processes), "--json", str(file)]
        for number in range(1, processes + 1):
            print(f"process {number} of {processes}", file=sys.stderr, flush=True)
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            runs.append(read(file)[0])
    return [median_of(rows) for rows in zip(*runs, strict=True)]


def measure(share: float) -> Iterator[Row]:
    """Each row, measured in this process, as soon as it is there."""
    command = [sys.executable, "-m", "tests.benchmarks.server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        keep_apart(os.getpid(), server.pid)
        url = server.stdout.readline().strip()
        try:
            for comparison in COMPARISONS:
                yield asyncio.run(compare(comparison, url, share))
        finally:
            server.kill()


if __name__ == "__main__":
    sys.exit(main())
