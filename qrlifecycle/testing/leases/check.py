"""What a check of leases is, what comes of running one, and all of them in a row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field

import anyio

from ...errors import InvalidValue, WrongAnswer
from ...policy import is_positive, number_or_kind
from ..contract.breaches import ClauseBroken
from ..contract.peer import CannotDo
from ..reports import Broken, Report, check_names, told
from . import clauses as bodies
from .machines import Bench, MakeTwo, TwoMachines

__all__ = [
    "CLAUSES",
    "LeaseCheck",
    "LeaseCheckResult",
    "LeaseReport",
    "LeasesBroken",
    "check_leases",
    "lease_checks",
]

CLAUSES = ("L1", "L2", "L3", "L4", "L5", "L6", "L7", "L8", "L9")

LIMIT = 5.0
"""Seconds for what happens at once: it takes milliseconds, or hangs."""

LONGEST = 20
"""How many times as long as a call a whole check may take, beside the time to live."""


@dataclass(frozen=True, slots=True)
class LeaseCheckResult:
    """What came of one check: kept, broken, or skipped."""

    check: LeaseCheck
    failure: str | None = None
    """What was done, what came of it, and what to do about it."""
    skipped: str | None = None
    """Why it was not made."""

    def __str__(self) -> str:
        return told(self.check, self.check.fact, self.failure, self.skipped)


class LeaseReport(Report[LeaseCheckResult]):
    """What came of each check; `str()` of it has one line for each."""

    __slots__ = ()


class LeasesBroken(Broken):
    """Leases that break their contract; ``report`` has every result."""

    report: LeaseReport


@dataclass(frozen=True, slots=True)
class LeaseCheck:
    """One check of one clause; await `run()` with what makes two machines."""

    name: str
    clause: str
    """L1 to L9."""
    fact: str
    """What is so if the leases keep the clause, in a sentence."""
    judge: Callable[[Bench], Awaitable[None]] = field(repr=False)

    def __str__(self) -> str:
        return f"{self.clause} {self.name}"

    async def run(self, make_two: MakeTwo, *, limit: float = LIMIT) -> LeaseCheckResult:
        """Put two machines to this check.

        Raises:
            WrongAnswer: ``make_two`` makes no `TwoMachines`.
            BaseException: what the making or the leaving of the machines raised.
        """
        trouble: list[Exception] = []
        async with make_two() as two, anyio.create_task_group() as tasks:
            try:  # the task group would wrap what is raised
                bench = Bench(_machines(two), tasks, _at_once(two, limit))
                try:
                    await self._judge_in_time(bench)
                finally:
                    bench.clear()
            except Exception as raised:
                trouble.append(raised)
            tasks.cancel_scope.cancel()
        match trouble:
            case [CannotDo() as reason]:
                return LeaseCheckResult(self, skipped=str(reason))
            case [ClauseBroken() as breach]:
                return LeaseCheckResult(self, failure=f"{breach.happened} {breach.mend}")
            case [error]:
                raise error
        return LeaseCheckResult(self)

    async def _judge_in_time(self, bench: Bench) -> None:
        longest = LONGEST * bench.limit + 2 * (bench.two.ttl or 0.0)
        with anyio.move_on_after(longest) as scope:
            await self.judge(bench)
        if scope.cancelled_caught:
            raise ClauseBroken(f"After {longest:g} s that is not known.", mend="Have calls end.")


def _machines(two: object) -> TwoMachines:
    if not isinstance(two, TwoMachines):
        raise WrongAnswer(f"make_two must make TwoMachines, not {type(two).__name__}")
    return two


def _at_once(two: TwoMachines, limit: float) -> float:
    """Seconds for what happens at once: well before whatever was forgotten runs out by itself."""
    return limit if two.ttl is None else min(limit, two.ttl / 2)


EVERY = tuple(
    LeaseCheck(
        body.__name__.replace("_", " "), clause, " ".join((body.__doc__ or "").split()), body
    )
    for clause, body in sorted(bodies.BODIES, key=lambda pair: pair[0])
)


def lease_checks(clauses: Collection[str] = CLAUSES) -> tuple[LeaseCheck, ...]:
    """The checks of these clauses, in order.

    Raises:
        InvalidValue: a clause that there is not, or no list of clauses.
    """
    check_names(clauses, CLAUSES, "clause")
    return tuple(check for check in EVERY if check.clause in clauses)


async def check_leases(
    make_two: MakeTwo,
    *,
    clauses: Collection[str] = CLAUSES,
    limit: float = LIMIT,
    progress: Callable[[LeaseCheckResult], object] | None = None,
) -> LeaseReport:
    """Put the leases of a keeper to the contract: every check, each with two fresh machines.

    ::

        @asynccontextmanager
        async def two():
            async with MyLeases(url) as first, MyLeases(url) as second:
                yield TwoMachines(first, second)

        await check_leases(two)

    Nothing is printed.

    Args:
        make_two: makes an async context manager of two machines with a fresh keeper.
        clauses: those to check.
        limit: seconds for what happens at once; half of the ``ttl`` if that is less.
        progress: called with each result as it comes.

    Raises:
        LeasesBroken: at least one check failed; all were made.
        InvalidValue: a clause that there is not, or a limit that is not above 0.
        WrongAnswer: ``make_two`` makes no `TwoMachines`.
        Exception: what the making of the machines raised.
    """
    chosen = lease_checks(clauses)
    if not is_positive(limit):
        raise InvalidValue(f"limit must be seconds above 0, not {number_or_kind(limit)}")
    results = []
    for check in chosen:
        results.append(await check.run(make_two, limit=limit))
        if progress is not None:
            progress(results[-1])
    report = LeaseReport(tuple(results))
    if report.failures:
        raise LeasesBroken(report)
    return report
