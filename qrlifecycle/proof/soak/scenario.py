"""What one lifecycle is put through, and the verdict on it.

A plan is drawn from a seed: how the service answers, whether a faulty proxy is between, who does
what and when. Times are real, so the same plan need not go the same way twice.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from enum import Enum, auto
from random import Random
from typing import TYPE_CHECKING

import anyio

from ...codes import PairingCode, QRCode
from ...errors import EventRefused, ServiceRefused
from ...lifecycle import QRLifecycle
from ...outcome import Cancelled, Connected, Failed, Outcome, Reason
from ...policy import Policy
from ...signals import Paired, Signal
from ...states import State
from ...testing.judge import Breach
from ...testing.pairing_server import IDENTITY
from ...transports.base import Transport
from .monitor import Monitor

if TYPE_CHECKING:
    from .servers import SoakServers

__all__ = ["MakeTransport", "Scenario", "ScenarioAct"]

BOT = "bot-7"

MakeTransport = Callable[[str, str, str], Transport]
"""Makes a transport for a URL, a bot and a user."""

FAULT_RATE = 0.15
"""The share of requests to the service that go wrong, where any do."""


class ScenarioAct(Enum):
    """What somebody does."""

    SCAN = auto()
    SCAN_ONLY = auto()
    REFUSE = auto()
    ROTATE = auto()
    EXPIRE = auto()
    REQUIRE_ACTION = auto()
    CANCEL = auto()
    GENERATE = auto()
    CANCEL_SCOPE = auto()
    CANCEL_TASK = auto()


TimedAct = tuple[float | None, ScenarioAct]
"""An act, so many seconds after the one before; None: once a code is shown."""


class Care(Enum):
    """How much care a lifecycle is given."""

    ROUGH = auto()
    """Anything may happen to it."""
    STATUS = auto()
    """Only its connections are faulty, and the status is right: no success may be lost."""
    LISTENING = auto()
    """It cannot read the status, and its connections are good: it must receive what is sent."""


CALM_TIMEOUT = {Care.STATUS: 1.5, Care.LISTENING: 4.0}
"""Seconds of an attempt that nobody disturbs. The status ends what a faulty proxy keeps waiting;
who only listens must have received the success long before."""

STARVED = 1.0
"""Seconds. If the event loop stood still for longer while a lifecycle went on, its deadline may
have come before the success could be read; at least two seconds lie between them otherwise."""


class Scenario:
    """One lifecycle, from its making to the verdict.

    Args:
        servers: the server and what leads to it.
        dice: draw the plan.
        user_id: the user, of whom there is no other lifecycle.
    """

    def __init__(self, servers: SoakServers, dice: Random, user_id: str) -> None:
        self.servers = servers
        self.dice = dice
        self.user_id = user_id
        self.care = dice.choices(list(Care), [6, 2, 2])[0]
        self.paired = False
        """Whether the phone confirmed, and was answered that it was in time."""
        self.owed = False
        """Whether it must end connected."""
        self.excused = False
        """Whether it missed what was owed to it in a process that was starved."""
        self.outcome: Outcome | None = None
        self.monitor = Monitor()
        self._shown = anyio.Event()
        self._connected = 0
        self._scanned = False
        self._status_said_paired = False
        self._cancelled = False
        self._asked_again = False
        self._scope = anyio.CancelScope()
        self._task: asyncio.Task[None] | None = None
        self._begun = asyncio.get_running_loop().time()
        self._stood_still_before = servers.loop_lag.stood_still
        self._policy = self._make_policy()
        self._lifecycle = self._make_lifecycle()
        self.monitor.lifecycle = self._lifecycle

    @property
    def breaches(self) -> list[Breach]:
        """Promises that did not hold."""
        return self.monitor.breaches

    @property
    def result(self) -> str:
        """How it ended, in a word."""
        match self.outcome:
            case None:
                return "cancelled from outside"
            case Cancelled():
                return str(Reason.CANCELLED)
            case Connected():
                return "connected"
            case Failed(reason):
                return str(reason)

    async def run(self) -> None:
        """Pair while things happen, then judge."""
        self._task = self.monitor.start(self._pair())
        acting = asyncio.ensure_future(self._act())
        await asyncio.wait({self._task})
        self.monitor.check_afterwards(but=self._task)
        await asyncio.wait({acting}, timeout=self._policy.attempt_timeout)
        acting.cancel()
        await asyncio.wait({acting})
        for task in (self._task, acting):
            if not task.cancelled() and (error := task.exception()) is not None:
                self._breach(5, f"{task.get_coro()!r} raised {error!r}")
        self._judge()

    # The plan

    def _make_policy(self) -> Policy:
        dice, rough = self.dice, self.care is Care.ROUGH
        patience = dice.choice([0.05, 0.2]) if rough else 5.0
        return Policy(
            generate_timeout=0.1,
            open_timeout=dice.choice([0.05, 0.2, 1.0]) if rough else 1.0,
            close_timeout=dice.choice([0.02, 0.2]),
            attempt_timeout=dice.choice([0.2, 0.5, 1.0]) if rough else CALM_TIMEOUT[self.care],
            expiry_grace=dice.choice([0.0, 0.02]),
            max_refreshes=dice.choice([0, 1, 3]),
            approval_timeout=0.2,
            action_timeout=0.2,
            max_reconnects=dice.choice([0, 1, 5]),
            reconnect_delay=0.01,
            reconnect_delay_max=0.1,
            stable_after=0.1,
            status_retry_delay=0.01,
            status_retry_delay_max=0.1,
            status_timeout=patience,
            final_check_timeout=patience,
            confirm_success_timeout=patience,
            status_interval=math.inf,
            hook_timeout=0.1,
        )

    def _make_lifecycle(self) -> QRLifecycle:
        dice = self.dice
        asks = self.care is Care.STATUS or (self.care is Care.ROUGH and dice.random() < 0.6)
        faulty = self.care is not Care.LISTENING and dice.random() < 0.7
        url = self.servers.proxy_url if faulty else self.servers.server_url
        async_hooks = dice.random() < 0.3
        return QRLifecycle(
            self._request_qr,
            lambda: self.servers.make_transport(url, BOT, self.user_id),
            policy=self._policy,
            check_status=self._check_status if asks else None,
            on_change=self.monitor.check,
            on_qr_updated=self._show_slowly if async_hooks else lambda _qr: self._shown.set(),
            on_connected=self._count_success,
        )

    def _acts(self) -> list[TimedAct]:
        """What is done, in order."""
        dice = self.dice
        if self.care is not Care.ROUGH:
            calm: list[TimedAct] = [(None, ScenarioAct.ROTATE), (None, ScenarioAct.SCAN)]
            return calm[dice.choice([0, 1]) :]
        waits: list[float | None] = [None, None, 0, 0.001, 0.005, 0.02, 0.1]
        acts, count = list(ScenarioAct), dice.choice([1, 2, 4])
        return [(dice.choice(waits), dice.choice(acts)) for _ in range(count)]

    # The service

    async def _request_qr(self) -> QRCode | PairingCode | Paired:
        await self._answer_in_time(0.3)
        if self.paired:
            return Paired(IDENTITY)
        if self.care is Care.ROUGH and self.dice.random() < 0.02:
            raise ServiceRefused("not today")
        code = self.servers.server.make_code(BOT, self.user_id)
        lifetime = self.dice.choice([0.03, 0.1, 0.3, 5]) if self.care is Care.ROUGH else 60
        return QRCode(code, expires_in=lifetime)

    async def _check_status(self) -> Signal | None:
        await self._answer_in_time(0.1)
        if self.paired:
            self._status_said_paired = self.care is Care.STATUS
            return Paired(IDENTITY)
        return None

    async def _answer_in_time(self, longest: float) -> None:
        """Take a while, and sometimes for ever; or break."""
        if self.care is not Care.ROUGH or self.dice.random() > FAULT_RATE:
            await asyncio.sleep(self.dice.choice([0, 0, 0.005]))
        elif self.dice.random() < 0.5:
            raise ConnectionError("the service is down")
        else:
            await asyncio.sleep(longest)

    # Hooks

    async def _show_slowly(self, _qr: QRCode) -> None:
        self._shown.set()
        await asyncio.sleep(self.dice.choice([0, 0.01]))

    def _count_success(self, _outcome: Connected) -> None:
        self._connected += 1

    # What happens

    async def _pair(self) -> None:
        with self._scope:
            self.outcome = await self._lifecycle.pair()

    async def _act(self) -> None:
        for wait, act in self._acts():
            if wait is None:
                with anyio.move_on_after(0.3):
                    await self._shown.wait()
            else:
                await asyncio.sleep(wait)
            try:
                await self._do(act)
            except (EventRefused, KeyError):
                continue  # not the time for it, or the server has forgotten

    async def _do(self, act: ScenarioAct) -> None:
        server, owner = self.servers.server, (BOT, self.user_id)
        match act:
            case ScenarioAct.SCAN:
                await self._scan()
            case ScenarioAct.SCAN_ONLY:
                await server.scan(*owner, confirm=False)
            case ScenarioAct.REFUSE:
                await server.refuse(*owner)
            case ScenarioAct.ROTATE:
                await server.rotate(*owner)
            case ScenarioAct.EXPIRE:
                await server.expire(*owner)
            case ScenarioAct.REQUIRE_ACTION:
                await server.require_action(*owner, "passkey")
            case _:
                self._trigger(act)

    def _trigger(self, act: ScenarioAct) -> None:
        """What the embedding program does, or whoever holds its task."""
        match act:
            case ScenarioAct.GENERATE:
                ended = self._lifecycle.state not in {State.GENERATING, State.DISPLAYED}
                self._lifecycle.generate()
                self._asked_again = ended
            case ScenarioAct.CANCEL:
                self._cancelled = self._lifecycle.cancel() or self._cancelled
            case ScenarioAct.CANCEL_SCOPE:
                self._cancelled = True
                self._scope.cancel()
            case _:
                self._cancelled = True
                assert self._task is not None
                self._task.cancel()

    async def _scan(self) -> None:
        async with self.servers.spared():
            listened = self.care is Care.LISTENING and self._listens()
            self._scanned = True
            self.paired = await self.servers.server.scan(BOT, self.user_id) or self.paired
            self.owed = listened and self.paired
            if self.owed and self._task is not None:
                await asyncio.wait({self._task})

    def _listens(self) -> bool:
        """Whether a success that is sent now must be received."""
        return (
            self.servers.alive
            and self._lifecycle.qr is not None
            and self.monitor.open_sockets() == 1
            and self.servers.server.open_sockets(self.user_id) == 1
            and self._elapsed() < self._policy.attempt_timeout / 2
        )

    def _elapsed(self) -> float:
        return asyncio.get_running_loop().time() - self._begun

    # The verdict

    def _judge(self) -> None:
        lifecycle, outcome = self._lifecycle, self.outcome
        connected = isinstance(outcome, Connected)
        starved = self.servers.loop_lag.stood_still - self._stood_still_before > STARVED
        self.excused = self.owed and starved and not connected
        if (self.owed or self._status_said_paired) and not (connected or self.excused):
            how = "while a socket listened" if self.owed else "as the status said"
            self._breach(4, f"the phone confirmed {how}, and it ended as {outcome!r}")
        if connected and not self._scanned:
            self._breach(7, "it is connected, and no phone confirmed")
        if self._connected > 1 or (connected and self._connected != 1):
            self._breach(4, f"on_connected was called {self._connected} times")
        if outcome is None and not self._cancelled:
            self._breach(5, "pair() was cancelled, and nobody did")
        if isinstance(outcome, Failed) and outcome.reason not in Reason:
            self._breach(5, f"{outcome!r} is no outcome of the list")
        if lifecycle.socket_open:
            self._breach(8, "a transport is held after pair()")
        if lifecycle.state is not self._expected_state() and not self._asked_again:
            self._breach(5, f"it ended in state '{lifecycle.state}' as {outcome!r}")

    def _expected_state(self) -> State:
        match self.outcome:
            case Cancelled():
                return State.IDLE
            case Connected():
                return State.CONNECTED
            case Failed():
                return State.FAILED
            case _:  # cancelled while it was leaving for an end, perhaps
                ends = {State.CONNECTED, State.FAILED}
                return self._lifecycle.state if self._lifecycle.state in ends else State.IDLE

    def _breach(self, promise: int, what: str) -> None:
        self.breaches.append(Breach(promise, what))
