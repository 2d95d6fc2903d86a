"""Where a scenario is played: an emulator, gateways for it, and lifecycles that run."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, NoReturn
from urllib.parse import urlsplit

import anyio
from anyio.abc import TaskGroup

from ...codes import Code
from ...engine.observers import Change
from ...gateways.base import Gateway
from ...monitoring.journal import format_record
from ...outcome import Connected, Failed, Outcome, Reason
from ...records import Record
from ..leaks import Leaks
from .emulator import CannotDo, Emulator

__all__ = ["PATIENCE", "ScenarioFailed", "Stage", "Tab"]

PATIENCE = 60.0
"""Seconds for whatever must happen: more than the longest series of reconnects takes."""

A_WHILE = 7.0
"""Seconds in which nothing may happen: longer than a claimed success is being confirmed."""

BETWEEN = 0.25
"""Seconds between two looks at what tells nobody that it has changed."""

SETTLING = 2.0
"""Seconds for a closed socket to be gone."""


class ScenarioFailed(Exception):
    """What should have happened did not."""


class Tab:
    """One lifecycle of the gateway, as a browser's tab would have it."""

    def __init__(self, stage: Stage, **options: Any) -> None:
        gateway = stage.make_gateway()
        numbers = options.pop("numbers", {})
        policy = replace(gateway.policy, **numbers) if numbers else None
        self.shown: list[Code] = []
        self.records: list[Record] = []
        self.outcome: Outcome | None = None
        self.error: BaseException | None = None
        self.lifecycle = gateway.lifecycle(
            policy=policy,
            on_qr_updated=self.shown.append,
            on_pairing_code=self.shown.append,
            on_change=self._note,
            recorders=[self.records.append],
            **options,
        )
        self._gateway = gateway
        self._news = anyio.Event()
        self._scope = anyio.CancelScope()
        self._left = anyio.Event()

    def _note(self, _change: Change) -> None:
        self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, anyio.Event()
        news.set()

    async def pair(self) -> None:
        """Run it to its end."""
        try:
            with self._scope:
                self.outcome = await self.lifecycle.pair()
        except Exception as error:
            self.error = error
        finally:
            self._left.set()
            self._wake()

    async def close(self) -> None:
        """Leave it by both ways there are, and wait until it is left."""
        self.lifecycle.cancel()
        self._scope.cancel()
        await self._left.wait()

    @property
    def code(self) -> Code | None:
        """What is on screen now."""
        return self.lifecycle.qr or self.lifecycle.pairing_code

    async def until(self, happened: Callable[[], bool], what: str) -> None:
        """Wait until something has happened.

        Raises:
            ScenarioFailed: it has not, in time, or the attempt ended before.
        """
        with anyio.move_on_after(PATIENCE) as scope:
            while not happened() and self.outcome is None and self.error is None:
                await self._news.wait()
        if not happened():
            when = f"within {PATIENCE:g} s" if scope.cancelled_caught else "before the end"
            fail(f"{what} {when}; {self.told()}")

    async def until_code(self, number: int = 1) -> Code:
        """Wait until so many codes were shown; the newest, which is on screen."""
        await self.until(lambda: len(self.shown) >= number, f"code {number} was not shown")
        return self.shown[-1]

    async def until_end(self) -> Outcome:
        """Wait until the attempt has ended."""
        await self.until(lambda: self.outcome is not None, "the attempt did not end")
        assert self.outcome is not None
        return self.outcome

    def texts(self) -> Iterator[str]:
        """Whatever a program may print of it, or keep: none may have a secret in it."""
        yield from map(repr, (self._gateway, self.lifecycle, self.outcome, *self.shown))
        yield str(self.outcome)
        failure = self.outcome.error if isinstance(self.outcome, Failed) else self.error
        if failure is not None:
            yield from traceback.format_exception(failure)
        for record in self.records:
            yield repr(record)
            yield format_record(record).decode()

    def told(self) -> str:
        """How far it is, in words."""
        if self.error is not None:
            return f"pair() raised {type(self.error).__name__}: {self.error}"
        ended = f"it ended: {self.outcome!r}" if self.outcome is not None else "it goes on"
        return f"{ended}; state {self.lifecycle.state}, {len(self.shown)} codes shown"


class Stage:
    """One scenario's.

    Args:
        emulator: the service, which listens already.
        make: makes a gateway for it.
        tasks: where lifecycles run.
    """

    def __init__(
        self, emulator: Emulator, make: Callable[[Any], Gateway], tasks: TaskGroup
    ) -> None:
        self.emulator = emulator
        self._make = make
        self._tasks = tasks
        self._tabs: list[Tab] = []
        self._leaks = Leaks({urlsplit(emulator.url).port or 0})

    def make_gateway(self) -> Gateway:
        """A fresh gateway."""
        return self._make(self.emulator)

    def open_tab(self, **options: Any) -> Tab:
        """A lifecycle of a gateway of its own, whose `pair()` runs from now on."""
        tab = Tab(self, **options)
        self._tabs.append(tab)
        self._tasks.start_soon(tab.pair)
        return tab

    async def scan(self, tab: Tab, identity: str | None = None) -> None:
        """Scan what is on screen; if it is not good, what comes next.

        Args:
            tab: whose screen.
            identity: whose phone; the service's ordinary `account`, unless told otherwise.
        """
        identity = identity or self.emulator.account
        with anyio.move_on_after(PATIENCE):
            while True:
                try:
                    if (code := tab.code) is not None:
                        await self.emulator.scan(code, identity)
                        return
                except KeyError:
                    pass
                if tab.outcome is not None or tab.error is not None:
                    break
                await anyio.sleep(BETWEEN)
        fail(f"no code could be scanned; {tab.told()}")

    async def pairs(self, tab: Tab, identity: str | None = None) -> None:
        """Scan what is on screen; it must become a success, and nothing is left."""
        await self.scan(tab, identity)
        await self.connects(tab, identity)

    async def connects(self, tab: Tab, identity: str | None = None) -> None:
        """The attempt must end in success, for this account, and leave nothing."""
        outcome = await tab.until_end()
        if not isinstance(outcome, Connected):
            fail(f"a scan did not become a success; {tab.told()}")
        if self.emulator.tells_identity and outcome.identity != (identity or self.emulator.account):
            fail("another identity was told than that of the phone")
        await self.leaves_nothing()

    async def fails(self, tab: Tab, *reasons: Reason) -> None:
        """The attempt must end with one of these reasons, and leave nothing."""
        outcome = await tab.until_end()
        if not isinstance(outcome, Failed) or outcome.reason not in reasons:
            fail(f"it should have failed ({' or '.join(reasons)}); {tab.told()}")
        await self.leaves_nothing()

    async def nothing_happens(self, tab: Tab) -> None:
        """Wait a while, in which the attempt goes on."""
        await anyio.sleep(A_WHILE)
        if tab.outcome is not None or tab.error is not None:
            fail(f"nothing should have come of that; {tab.told()}")

    async def leaves_nothing(self) -> None:
        """No socket leads to the service any more, unless a tab is still open."""
        if any(tab.outcome is None and tab.error is None for tab in self._tabs):
            return
        with anyio.move_on_after(SETTLING):
            while self._leaks.sockets():  # noqa: ASYNC110 - a socket that is left tells nobody
                await anyio.sleep(BETWEEN)
        if left := self._leaks.sockets():
            fail(f"this is still open: {'; '.join(left)}")

    def tells(self, secrets: Collection[str]) -> bool:
        """Whether any text of a tab has one of these in it."""
        texts = [text for tab in self._tabs for text in tab.texts()]
        return any(secret and secret in text for secret in secrets for text in texts)

    def told(self) -> str:
        """How far each tab is, in words."""
        return "; ".join(tab.told() for tab in self._tabs) or "nobody had begun to pair"

    async def close_tabs(self) -> None:
        """Leave every lifecycle that still runs.

        Raises:
            ScenarioFailed: one does not end. The service is stopped then, so that nobody is left
                who waits for its answer.
        """
        with anyio.move_on_after(PATIENCE) as scope:
            for tab in self._tabs:
                await tab.close()
        if scope.cancelled_caught:
            with suppress(CannotDo), anyio.move_on_after(SETTLING):
                await self.emulator.stop()
            fail(f"pair() did not end within {PATIENCE:g} s of its being cancelled; {self.told()}")


def fail(text: str) -> NoReturn:
    """Say what did not happen.

    Raises:
        ScenarioFailed: always.
    """
    raise ScenarioFailed(text)


class LogKeeper(logging.Handler):
    """Keeps what every logger says, but the test kit's own."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it, with the traceback that goes with it."""
        if record.name.startswith("qrlifecycle.testing"):
            return
        self.lines.append(f"{record.name}: {record.getMessage()}")
        if record.exc_info:
            self.lines.extend(traceback.format_exception(*record.exc_info))

    def leaked(self, secrets: Collection[str], but: Collection[str]) -> str | None:
        """The logger that said one of these, if any did but those."""
        for line in self.lines:
            if not line.startswith(tuple(but)) and any(
                secret and secret in line for secret in secrets
            ):
                return line.partition(":")[0]
        return None


@contextmanager
def listening_to_logs() -> Iterator[LogKeeper]:
    """Every logger at DEBUG, and one that keeps what they say."""
    root, keeper = logging.getLogger(), LogKeeper()
    loggers = [one for one in root.manager.loggerDict.values() if isinstance(one, logging.Logger)]
    before = {one: (one.level, one.disabled) for one in (root, *loggers)}
    for one in loggers:
        one.setLevel(logging.NOTSET)
        one.disabled = False
    root.setLevel(logging.DEBUG)
    root.addHandler(keeper)
    try:
        yield keeper
    finally:
        root.removeHandler(keeper)
        for one, (level, disabled) in before.items():
            one.setLevel(level)
            one.disabled = disabled
