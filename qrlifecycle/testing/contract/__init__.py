"""Any transport against the clauses T1 to T8 of `qrlifecycle.transports.base`.

`check_transport()` does it all; `checks()` gives the checks one by one. A breach is reported with
its clause, what was left open, and the line of the transport's own file to look at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from ...errors import InvalidValue
from ...policy import is_positive, number_or_kind
from ..reports import check_names
from . import blocking, closing, flooding, interrupted, malformed, opening, receiving
from .check import LIMIT, Check, CheckResult, ContractFailure, PeerFactory
from .peer import CannotCheck
from .smoke import smoke_test

__all__ = [
    "CLAUSES",
    "CannotCheck",
    "ContractBroken",
    "ContractReport",
    "check_transport",
    "checks",
    "smoke_test",
]

MODULES = (opening, closing, receiving, interrupted, malformed, flooding, blocking)

EVERY = sorted((one for module in MODULES for one in module.CHECKS), key=lambda one: one.clause)

CLAUSES = ("T1", "T2", "T3", "T4", "T5", "T6", "T7", "T8")


@dataclass(frozen=True, slots=True)
class ContractReport:
    """What came of each check; `str()` of it has one line for each."""

    results: tuple[CheckResult, ...]

    @property
    def failures(self) -> tuple[ContractFailure, ...]:
        """The breaches, in the order of the clauses."""
        return tuple(result.failure for result in self.results if result.failure is not None)

    @property
    def passed(self) -> tuple[CheckResult, ...]:
        """The checks that found nothing."""
        return tuple(result for result in self.results if result.passed)

    @property
    def skipped(self) -> tuple[CheckResult, ...]:
        """The checks that the peer could not take part in; each says why."""
        return tuple(result for result in self.results if result.skipped is not None)

    @property
    def unfinished(self) -> tuple[CheckResult, ...]:
        """The checks in which something failed that the peer was given; each says what."""
        return tuple(result for result in self.results if result.unfinished is not None)

    def __str__(self) -> str:
        return "\n".join(map(str, self.results))


class ContractBroken(AssertionError):
    """A transport broke the contract; ``failures`` has each breach, ``report`` every result."""

    def __init__(self, report: ContractReport) -> None:
        self.report = report
        self.failures = report.failures
        super().__init__(report)

    def __str__(self) -> str:
        return "\n".join(map(str, [*self.failures, *self.report.unfinished]))


def checks(clauses: Collection[str] = CLAUSES) -> tuple[Check, ...]:
    """The checks of these clauses, in order.

    Raises:
        InvalidValue: a clause that there is not, or no list of clauses.
    """
    check_names(clauses, CLAUSES, "clause")
    return tuple(check for check in EVERY if check.clause in clauses)


async def check_transport(
    peer_factory: PeerFactory,
    *,
    clauses: Collection[str] = CLAUSES,
    limit: float = LIMIT,
    progress: Callable[[CheckResult], object] | None = None,
) -> ContractReport:
    """Put a transport to the contract: every check, each with a fresh peer.

    Before all checks, one transport must open and give a signal. Nothing is printed. A transport
    that hangs breaks the clause at hand. One that shields itself from cancellation, and hangs
    although `abort()` was called and its peer is gone, nobody can end.

    Args:
        peer_factory: makes a fresh peer, which makes the transports: see `WirePeer`.
        clauses: those to check.
        limit: seconds for a call that does not depend on a peer's silence.
        progress: called with each result as it comes.

    Raises:
        ContractBroken: at least one check failed; all were made.
        CannotCheck: no transport came as far as a signal, a peer did not do what it was to do, or
            nothing is broken but a check was not finished, because ``send=`` raised; all were made.
        InvalidValue: a clause that there is not, or a limit that is not above 0.
        WrongAnswer: ``peer_factory`` is no function that makes a peer, or that makes no transports.
        Exception: what the peer, or the making of a transport, raised.
    """
    results = []
    chosen = checks(clauses)
    if not is_positive(limit):
        raise InvalidValue(f"limit must be seconds above 0, not {number_or_kind(limit)}")
    await smoke_test(peer_factory, limit=limit)
    for check in chosen:
        results.append(await check.run(peer_factory, limit=limit))
        if progress is not None:
            progress(results[-1])
    report = ContractReport(tuple(results))
    if report.failures:
        raise ContractBroken(report)
    if report.unfinished:
        raise CannotCheck("\n".join(map(str, report.unfinished)))
    return report
