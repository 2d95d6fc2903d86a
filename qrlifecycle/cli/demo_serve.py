"""`qrlifecycle demo --gateway NAME --serve`: an emulator that another terminal pairs with.

What it prints of its secrets are a played service's, on this machine: whoever reads them can pair
with nobody.
"""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from shutil import which

import anyio
import anyio.to_thread

from ..errors import UsageError
from ..testing.gateways.emulator import Emulator
from .gateways import GATEWAYS, Entry
from .stopping import Stop

__all__ = ["command_for", "run"]

PAIRS = ("attempt_timeout", "max_refreshes", "qr_lifetime", "policy", "plain", "invert")
"""Options of whoever pairs."""

NAME = "qrlifecycle"

LOOKING = 0.05
"""Seconds between two looks whether there is another code."""


def run(arguments: argparse.Namespace, stop: Stop) -> int:
    """Serve until a stop is asked for; return its exit code."""
    for name in PAIRS:
        if getattr(arguments, name):
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"--serve pairs nothing itself: give {option} to its command")
    return anyio.run(_serve, arguments, stop, backend="asyncio")


async def _serve(arguments: argparse.Namespace, stop: Stop) -> int:
    entry = GATEWAYS[arguments.gateway]
    try:
        async with entry.play(port=arguments.port) as emulator:
            await Serving(arguments.gateway, emulator, arguments.scan_after, stop).run()
    except OSError as error:
        raise UsageError(f"cannot listen on port {arguments.port}: {error.strerror}") from None
    return stop.leave(stop.code or 0)


def command_for(name: str, emulator: Emulator) -> str:
    """The command that pairs with it, for a shell, with what it needs in the environment."""
    entry, given = GATEWAYS[name], emulator.arguments()
    environment = [
        f"{secret.variable}={shlex.quote(str(given[secret.argument]))}"
        for secret in entry.secrets
        if given.get(secret.argument)
    ]
    words = [_program(), "pair", name, emulator.url, *_options(entry, given)]
    return " ".join([*environment, shlex.join(words)])


def _program() -> str:
    """What another terminal calls this program: its path, where no shell finds it by its name."""
    called = Path(sys.argv[0])
    if called.stem == NAME and which(NAME) is None:
        return str(called)
    return NAME


def _options(entry: Entry, given: Mapping[str, object]) -> Iterator[str]:
    for option in entry.options:
        if value := given.get(option.argument):
            yield f"--{option.name}"
            if not option.flag:
                yield str(value)


class Serving:
    """An emulator in one terminal, for a command in another.

    Args:
        name: the gateway that it is for.
        emulator: what listens already.
        scan_after: seconds after which each code is scanned by itself; None: when Enter is pressed.
        stop: ends it.
    """

    def __init__(self, name: str, emulator: Emulator, scan_after: float | None, stop: Stop) -> None:
        self._name = name
        self._emulator = emulator
        self._scan_after = scan_after
        self._stop = stop

    async def run(self) -> None:
        """Say how to pair, and scan, until a stop is asked for."""
        loop, scope = asyncio.get_running_loop(), anyio.CancelScope()
        with scope, self._stop.asks(lambda: loop.call_soon_threadsafe(scope.cancel)):
            self._say(f"{self._name} is played at {self._emulator.url}; pair in another terminal:")
            self._say("", f"  {command_for(self._name, self._emulator)}", "")
            if self._scan_after is None:
                self._say(
                    "Press Enter here to scan the code that it shows, once: what is paired stays "
                    "paired. Ctrl-C ends this."
                )
                await self._scan_on_enter()
            else:
                self._say(f"Each code is scanned after {self._scan_after:g} s; Ctrl-C ends this.")
                await self._scan_each(self._scan_after)

    async def _scan_on_enter(self) -> None:
        while await anyio.to_thread.run_sync(_read_line, abandon_on_cancel=True):
            await self._scan()
        self._say("The input has ended: --scan-after scans without it. Ctrl-C ends this.")
        await anyio.sleep_forever()

    async def _scan_each(self, seconds: float) -> None:
        scanned = 0
        while True:
            await anyio.sleep(LOOKING)
            if len(self._emulator.codes()) > scanned:
                await anyio.sleep(seconds)
                scanned = len(self._emulator.codes())
                await self._scan()

    async def _scan(self) -> None:
        try:
            await self._emulator.scan(self._emulator.shown(), self._emulator.account)
        except KeyError:
            self._say(
                "There is no code to scan: run the command above first. What was paired once stays "
                "paired: for another round start this again."
            )
        else:
            self._say("Scanned.")

    def _say(self, *lines: str) -> None:
        try:
            print(*lines, sep="\n", flush=True)
        except OSError as error:
            self._stop.output_failed(error)


def _read_line() -> bool:
    """Wait for a line; whether there was one."""
    try:
        return sys.stdin.readline() != ""
    except (AttributeError, OSError, ValueError):  # there is no input, or it was closed
        return False
