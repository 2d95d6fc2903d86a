"""What a check of the contract is, and what comes of running one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from inspect import iscoroutine
from typing import TypeVar

import anyio

from ...errors import WrongAnswer
from .breaches import ClauseBroken
from .harness import Harness, open_harness
from .peer import CannotDo, Peer, Unfinished
from .transport_lines import TransportLine

__all__ = [
    "LIMIT",
    "Check",
    "CheckResult",
    "ContractFailure",
    "PeerFactory",
    "listing",
    "run_with_peer",
]

LIMIT = 5.0
"""Seconds for a call that does not depend on a peer's silence: it takes milliseconds, or hangs."""

PATIENCES = 20
"""How many times as long as a call a whole check may take; the longest takes a heartbeat for each
step of a handshake."""

T = TypeVar("T")

CheckBody = Callable[[Harness], Awaitable[None]]
"""A check's work: it finds nothing, or raises."""

PeerFactory = Callable[[], Peer]
"""Makes a fresh peer; called once for each check."""


@dataclass(frozen=True, slots=True)
class ContractFailure:
    """How a transport broke a clause. `str()` of it says all of it."""

    clause: str
    check: str
    expected: str
    """The fact that the check is about."""
    happened: str
    """What was done, and what came of it."""
    left_open: tuple[str, ...]
    """What was still open, in words."""
    place: TransportLine | None
    """The line of the transport's own file to look at."""
    mend: str
    """What to do about it."""
    trouble: str = ""
    """What went wrong on the peer's side."""

    def __str__(self) -> str:
        parts = [f"{self.clause} ({self.check}): {self.expected} {self.happened}"]
        if self.left_open:
            parts.append(f"This is still open: {'; '.join(self.left_open)}.")
        parts.append(self.mend)
        if self.trouble:
            parts.append(f"(On the peer's side, {self.trouble}.)")
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What came of one check: kept, broken, skipped, or not finished."""

    check: Check
    failure: ContractFailure | None = None
    skipped: str | None = None
    """Why it was not made."""
    unfinished: str | None = None
    """What went wrong on the peer's side, so that nothing is known of the transport."""

    @property
    def passed(self) -> bool:
        """Whether the transport did what the clause asks for."""
        return self.failure is None and self.skipped is None and self.unfinished is None

    def __str__(self) -> str:
        if self.failure is not None:
            return f"broken   {self.failure}"
        if self.skipped is not None:
            return f"skipped  {self.check.clause} {self.check.name}: {self.skipped}"
        if self.unfinished is not None:
            return f"unfinished  {self.check.clause} {self.check.name}: {self.unfinished}"
        return f"kept     {self.check.clause} {self.check.name}: {self.check.fact}"


@dataclass(frozen=True, slots=True)
class Check:
    """One check of one clause; await `run()` with what makes the peer."""

    name: str
    clause: str
    """T1 to T8."""
    fact: str
    """What is so if the transport keeps the clause, in a sentence."""
    judge: CheckBody = field(repr=False)

    def __str__(self) -> str:
        return f"{self.clause} {self.name}"

    async def run(self, peer_factory: PeerFactory, *, limit: float = LIMIT) -> CheckResult:
        """Put a transport to this check.

        Args:
            peer_factory: makes a fresh peer, which makes the transports.
            limit: seconds for a call that does not depend on a peer's silence.

        Raises:
            WrongAnswer: ``peer_factory`` makes no peer.
            CannotCheck: the peer does not come to an end with what it is asked to do.
            BaseException: what the peer, or the making of a transport, raised.
        """

        async def work(harness: Harness) -> CheckResult:
            try:
                await self._judge_in_time(harness)
            except CannotDo as reason:
                return CheckResult(self, skipped=str(reason))
            except Unfinished as trouble:
                return CheckResult(self, unfinished=str(trouble))
            except ClauseBroken as breach:
                return CheckResult(self, failure=self._failure(breach, harness.peer.trouble()))
            return CheckResult(self)

        return await run_with_peer(peer_factory, limit, work)

    async def _judge_in_time(self, harness: Harness) -> None:
        longest = PATIENCES * harness.patience
        with anyio.move_on_after(longest) as scope:
            await self.judge(harness)
        if scope.cancelled_caught:
            raise ClauseBroken(
                f"It takes more than {longest:g} s to find out; there waited {harness.waits()}.",
                mend="Have these calls end, or end sooner.",
            )

    def _failure(self, breach: ClauseBroken, trouble: str) -> ContractFailure:
        return ContractFailure(
            clause=self.clause,
            check=self.name,
            expected=self.fact,
            happened=breach.happened,
            left_open=breach.left_open,
            place=breach.place,
            mend=breach.mend,
            trouble=trouble,
        )


async def run_with_peer(
    peer_factory: PeerFactory, limit: float, work: Callable[[Harness], Awaitable[T]]
) -> T:
    """Work in a harness with a fresh peer; what goes wrong comes out as it was raised, in no group.

    Raises:
        WrongAnswer: ``peer_factory`` makes no peer.
        BaseException: what ``work`` raised.
    """
    done: list[T] = []
    trouble: BaseException | None = None
    async with fresh_peer(peer_factory) as peer, open_harness(peer, limit) as harness:
        try:
            done.append(await work(harness))
        except (anyio.get_cancelled_exc_class(), GeneratorExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # the task groups around us would wrap a skipped test
            trouble = error
    if trouble is not None:
        raise trouble
    return done[0]


def fresh_peer(peer_factory: PeerFactory) -> Peer:
    """A fresh peer.

    Raises:
        WrongAnswer: what was given is no function that makes one.
    """
    if not callable(peer_factory):
        raise WrongAnswer(
            f"give the function that makes the peer, not a {type(peer_factory).__name__}: each "
            "check needs a fresh one; my_peer, not my_peer()"
        )
    peer: object = peer_factory()
    if isinstance(peer, Peer):
        return peer
    if iscoroutine(peer):
        peer.close()
    raise WrongAnswer(
        "what makes the peer must be a plain function that returns a Peer, such as a WirePeer, "
        f"not {'an async one' if iscoroutine(peer) else f'one that returns {type(peer).__name__}'}"
    )


def listing(checks: list[Check]) -> Callable[[str], Callable[[CheckBody], CheckBody]]:
    """A decorator, to be given a clause, that lists a function among these checks."""

    def of_clause(clause: str) -> Callable[[CheckBody], CheckBody]:
        def add(judge: CheckBody) -> CheckBody:
            fact = " ".join((judge.__doc__ or "").split())
            name = getattr(judge, "__name__", "").replace("_", " ")
            checks.append(Check(name, clause, fact, judge))
            return judge

        return add

    return of_clause
