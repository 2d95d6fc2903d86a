"""The example service as several processes behind an nginx, with a Redis between them."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import anyio

from qrlifecycle.errors import LeaseLost
from qrlifecycle.leases import RedisLeases
from qrlifecycle.testing import PairingServer

from ..leases.clients import over_redis_py
from ..leases.redis_server import RedisServer
from ..nginx import OWN_PORT, Nginx
from ..patience import PROCESS_HANGS
from .serving import BOT, Place

__all__ = ["PAGE", "SAYING_WHERE", "TOP", "Stage", "nginx_of_the_page", "stage"]

TOP = Path(__file__).parents[2]
PAGE = TOP / "docs" / "how-to" / "several-machines.md"


SAYING_WHERE = "add_header X-Replica $upstream_addr always;\n"
"""What has each answer say which process it is of; it goes before the page's configuration."""


def nginx_of_the_page(ports: tuple[int, int]) -> str:
    """The configuration that the page shows, for these two processes and a port of its own."""
    (text,) = re.findall(r"^```nginx\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    for shown, port in zip(("8001", "8002", "8080"), (*ports, OWN_PORT), strict=True):
        assert text.count(shown) == 1
        text = text.replace(shown, str(port))
    return str(text)


@dataclass
class Stage:
    """Two processes, and what is around them; made by `stage()`."""

    redis: RedisServer
    pairing: PairingServer
    leases: RedisLeases
    """The tests' own look at the keeper."""
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    """By where each listens."""
    place: Place = field(init=False)
    """What a person sees of it."""

    async def start(self, port: int = 0) -> int:
        """Start a process, by the command that people use; it listens when this returns."""
        named = [name for name in os.environ if name.startswith("QRLIFECYCLE_")]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "examples.web_service", "--port", str(port), self.pairing.url),
            stdout=asyncio.subprocess.PIPE,
            cwd=TOP,
            env={
                **{name: value for name, value in os.environ.items() if name not in named},
                "QRLIFECYCLE_REDIS": f"redis://127.0.0.1:{self.redis.port}",
                "QRLIFECYCLE_COOKIE_KEY": KEY,
            },
        )
        assert process.stdout is not None
        with anyio.fail_after(PROCESS_HANGS):
            url = (await process.stdout.readline()).decode().strip()
        self.processes[url] = process
        return int(url.rpartition(":")[2])

    async def end(self, url: str, by: signal.Signals) -> None:
        """End the process that listens there, and wait until it has ended."""
        process = self.processes.pop(url)
        process.send_signal(by)
        with anyio.fail_after(PROCESS_HANGS):
            await process.wait()

    def other(self, url: str) -> str:
        """Where the other process listens."""
        (other,) = self.processes.keys() - {url}
        return other

    async def send_next_to(self, url: str) -> None:
        """Have nginx send the next request to the process that listens there: it takes turns."""
        with anyio.fail_after(PROCESS_HANGS):
            async with aiohttp.ClientSession() as http:
                while True:
                    async with http.get(f"{self.place.url}/icon.svg") as answer:
                        if answer.headers["X-Replica"] != url.removeprefix("http://"):
                            return

    async def start_again(self, url: str) -> None:
        """A process where another was."""
        await self.start(int(url.rpartition(":")[2]))

    async def holder(self, user_id: str) -> str | None:
        """Where the process listens that holds a user's lease; None if the keeper names none."""
        try:
            found = await self.leases.find_holder(BOT, user_id)
        except LeaseLost:
            return None
        return None if found is None else found.machine

    async def until_held_by(self, url: str | None, user_id: str) -> None:
        """Wait until the keeper says so."""
        with anyio.fail_after(PROCESS_HANGS):
            while await self.holder(user_id) != url:  # noqa: ASYNC110 - the keeper is asked
                await anyio.sleep(0.05)


KEY = secrets.token_hex(32)


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[Stage]:
    """Set it up; on leaving all of it is gone."""
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        redis.end_grace()
        pairing = await stack.enter_async_context(PairingServer())
        client = await stack.enter_async_context(over_redis_py(redis.port))
        leases = await stack.enter_async_context(RedisLeases(client, machine="the tests"))
        made = Stage(redis, pairing, leases)
        stack.push_async_callback(_end_all, made)
        ports = await made.start(), await made.start()
        nginx = stack.enter_context(Nginx(folder, SAYING_WHERE + nginx_of_the_page(ports)))
        made.place = Place(nginx.url, pairing)
        yield made


async def _end_all(made: Stage) -> None:
    for url in tuple(made.processes):
        await made.end(url, signal.SIGKILL)
