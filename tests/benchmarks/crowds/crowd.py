"""One crowd, in a process of its own: ours or bare clients, opened, left alone, and told.

Run as ``python -m tests.benchmarks.crowds.crowd KIND SIZE URL SECONDS SELDOM``. It prints "told?"
when it waits to be told of a success each, and then one line of JSON, the `Figures`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import sys
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

import socketio

from qrlifecycle import Connected, QRCode, QRLifecycle, SocketIOTransport
from qrlifecycle.policy import Policy

from ..seldom import collect_seldom
from .figures import Figures
from .limits import raise_limit

HUNDRED = 100
"""Of how many the cost is told."""

AT_ONCE = 20
"""How many are being opened at a time."""

PATIENCE = 60
"""Seconds that whoever opens may take: the server has one core for all of them."""

POLICY = Policy(attempt_timeout=3600, open_timeout=PATIENCE, max_reconnects=0)
"""Nobody's time is to run out while others open; and who is cut off is counted, on both sides."""


class Crowd(ABC):
    """Some that listen.

    Args:
        url: where the server is.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.latencies: list[float] = []
        self.lost = 0

    @abstractmethod
    async def open(self, count: int) -> None:
        """Open so many more."""

    @abstractmethod
    async def end(self) -> None:
        """Wait until all have heard, and are gone."""

    def note(self, data: object) -> None:
        """One knows of its success."""
        assert isinstance(data, dict)
        self.latencies.append((time.monotonic() - float(data["at"])) * 1e3)


class Ours(Crowd):
    """Lifecycles that display a code; a success is known when `pair()` has returned."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.shown = asyncio.Semaphore(0)
        self.tasks: list[asyncio.Task[None]] = []

    async def open(self, count: int) -> None:
        """Have each show its code."""
        transport = partial(SocketIOTransport, self.url, bot_id="b", user_id="u")
        for _ in range(count):
            lifecycle = QRLifecycle(
                request_qr, transport, policy=POLICY, on_qr_updated=self.note_shown
            )
            self.tasks.append(asyncio.ensure_future(self.pair(lifecycle)))
        for _ in range(count):
            await self.shown.acquire()

    def note_shown(self, _qr: QRCode) -> None:
        """One displays its code."""
        self.shown.release()

    async def pair(self, lifecycle: QRLifecycle) -> None:
        """Pair, and note when that has returned."""
        outcome = await lifecycle.pair()
        if isinstance(outcome, Connected):
            self.note(outcome.data)
        else:
            self.lost += 1

    async def end(self) -> None:
        """Every `pair()` has returned."""
        await asyncio.gather(*self.tasks)


class Bare(Crowd):
    """Clients of python-socketio's; a success is known when the handler is called."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.gone = asyncio.Semaphore(0)
        self.clients = 0

    async def open(self, count: int) -> None:
        """Connect each."""
        opening = []
        for _ in range(count):
            client = socketio.AsyncClient(reconnection=False, request_timeout=PATIENCE)
            client.on("whatsapp_connected", partial(self.hear, client))
            client.on("disconnect", self.leave)
            self.clients += 1
            opening.append(
                client.connect(
                    self.url,
                    auth={"botId": "b", "userId": "u"},
                    transports=["websocket"],
                    wait_timeout=PATIENCE,
                )
            )
        await asyncio.gather(*opening)

    async def hear(self, client: socketio.AsyncClient, data: object) -> None:
        """Note when, and leave."""
        self.note(data)
        await client.disconnect()
        self.gone.release()

    def leave(self, reason: str) -> None:
        """One is disconnected: does it leave by itself?"""
        if reason != socketio.AsyncClient.reason.CLIENT_DISCONNECT:
            self.lost += 1
            self.gone.release()

    async def end(self) -> None:
        """Every client is disconnected."""
        for _ in range(self.clients):
            await self.gone.acquire()


KINDS: Mapping[str, Callable[[str], Crowd]] = {"ours": Ours, "bare": Bare}


async def request_qr() -> QRCode:
    """A service that answers at once: what is measured is the socket."""
    return QRCode("a code", expires_in=3600)


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def waited() -> float:
    """Seconds for which this process has waited for a core that others had."""
    return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9


@contextmanager
def noting_passes(noted: list[float]) -> Iterator[None]:
    """Note in this list how many milliseconds each pass of the garbage collector took meanwhile."""
    began = 0.0

    def note(phase: str, _about: object) -> None:
        nonlocal began
        if phase == "start":
            began = time.process_time()
        else:
            noted.append((time.process_time() - began) * 1e3)

    gc.callbacks.append(note)
    try:
        yield
    finally:
        gc.callbacks.remove(note)


class Measuring:
    """How a crowd is measured.

    Args:
        crowd: makes one.
        ask: asks to have them told; nobody waits for it.
        hundred: of how many the cost is told; a size is a multiple of it.
        settle: seconds until what was just opened or closed has come to rest.
    """

    def __init__(
        self,
        crowd: Callable[[], Crowd],
        ask: Callable[[], None],
        *,
        hundred: int = HUNDRED,
        settle: float = 0.5,
    ) -> None:
        self._crowd = crowd
        self._ask = ask
        self._hundred = hundred
        self._settle = settle

    async def measure(self, size: int, idle: float) -> Figures:
        """Open so many, leave them alone for these seconds, and have them told."""
        await self._warm_up()
        crowd = self._crowd()
        before, objects = resident(), len(gc.get_objects())
        passes = [0.0]
        with noting_passes(passes):
            opening = [await self._open_hundred(crowd) for _ in range(size // self._hundred)]
        await self._come_to_rest()
        memory = (resident() - before) / size / 1024
        objects = len(gc.get_objects()) - objects
        began = time.process_time()
        await asyncio.sleep(idle)
        idled = (time.process_time() - began) / size / idle * 1e6 if idle else 0.0
        began, kept_waiting = time.process_time(), waited()
        with noting_passes(passes):
            self._ask()
            await crowd.end()
        told = (time.process_time() - began) / size * 1e6
        if not crowd.latencies:
            raise RuntimeError("everybody was cut off: the machine is too busy for that crowd")
        return Figures(
            size,
            tuple(opening),
            memory,
            objects / size,
            idled,
            told,
            tuple(sorted(crowd.latencies)),
            crowd.lost,
            waited() - kept_waiting,
            max(passes),
        )

    async def _warm_up(self) -> None:
        """Open what is thrown away: imports, caches and pools are nobody's cost."""
        crowd = self._crowd()
        await crowd.open(AT_ONCE)
        self._ask()
        await crowd.end()
        await self._come_to_rest()

    async def _come_to_rest(self) -> None:
        await asyncio.sleep(self._settle)
        gc.collect()

    async def _open_hundred(self, crowd: Crowd) -> float:
        """Open a hundred; microseconds of CPU for each."""
        began = time.process_time()
        for _ in range(self._hundred // AT_ONCE):
            await crowd.open(AT_ONCE)
        return (time.process_time() - began) / self._hundred * 1e6


def main() -> None:
    """Measure one crowd."""
    raise_limit()
    kind, size, url, idle, seldom = sys.argv[1:]
    collect_seldom(int(seldom))
    logging.disable()
    measuring = Measuring(partial(KINDS[kind], url), lambda: print("told?", flush=True))
    try:
        figures = asyncio.run(measuring.measure(int(size), float(idle)))
    except Exception:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)  # or each of thousands would have its last words
    print(json.dumps(asdict(figures)), flush=True)


if __name__ == "__main__":
    main()
