"""The processes that a row is played with: each told and heard by lines of JSON, and ended."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

__all__ = ["HANGS", "Told", "running"]

HANGS = 120.0
"""Seconds after which what never comes is given up."""

LONGEST = 2**26
"""Bytes of a line: a judge tells of all its sockets in one."""


class Told:
    """A process of this package's. What it said is kept."""

    def __init__(self, name: str, process: Process) -> None:
        self.name = name
        self.said: list[dict[str, Any]] = []
        self.counts: Counter[str] = Counter()
        self.killed: float | None = None
        """When it was."""
        self._process = process
        self._heard = anyio.Event()
        self._over = False

    async def hear(self) -> None:
        """Keep what it says, until it ends."""
        assert self._process.stdout is not None
        lines = BufferedByteReceiveStream(self._process.stdout)
        while True:
            try:
                line = await lines.receive_until(b"\n", LONGEST)
            except (anyio.EndOfStream, anyio.IncompleteRead):
                self._over = True
                self._heard.set()
                return
            said = json.loads(line)
            self.said.append(said)
            self.counts[said["what"]] += 1
            self._heard.set()
            self._heard = anyio.Event()

    async def tell(self, **order: object) -> None:
        """Have it do something."""
        assert self._process.stdin is not None
        await self._process.stdin.send(json.dumps(order).encode() + b"\n")

    async def until(self, fact: Callable[[], bool]) -> None:
        """Wait until a fact about what it said is true.

        Raises:
            TimeoutError: it never was.
            RuntimeError: the process has ended.
        """
        with anyio.fail_after(HANGS):
            while not fact():
                if self._over:
                    raise RuntimeError(f"{self.name} has ended; its last words are above")
                await self._heard.wait()

    async def first(self, what: str, *, since: int = 0, **more: object) -> dict[str, Any]:
        """The first that it said of this, as soon as it has: of those after ``since`` others."""
        wanted = {"what": what, **more}.items()

        def found() -> dict[str, Any] | None:
            return next((one for one in self.said[since:] if wanted <= one.items()), None)

        await self.until(lambda: found() is not None)
        one = found()
        assert one is not None
        return one

    def all(self, what: str, **more: object) -> list[dict[str, Any]]:
        """All that it said of this."""
        wanted = {"what": what, **more}.items()
        return [one for one in self.said if wanted <= one.items()]

    def kill(self) -> None:
        """As the system does it, at any moment."""
        self._process.kill()
        self.killed = time.monotonic()

    def freeze(self) -> None:
        """It does nothing any more; its sockets stay."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        self._process.send_signal(signal.SIGCONT)

    async def end(self) -> None:
        """Whatever state it is in."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await self._process.aclose()


@asynccontextmanager
async def running(module: str, name: str, *arguments: object) -> AsyncIterator[Told]:
    """A process that has said that it is ready. The terminal's signals are not for it."""
    command = [sys.executable, "-m", f"{__package__}.{module}", *map(str, arguments)]
    process = await anyio.open_process(command, stderr=None, start_new_session=True)
    told = Told(name, process)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(told.hear)
            await told.first("ready")
            yield told
            tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await told.end()
