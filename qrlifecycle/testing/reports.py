"""What a row of checks came to, for whatever is checked: a keeper's leases, a gateway, a transport.

Each has checks of its own; that one is kept, broken or skipped, and how that is told, is the same.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from ..errors import InvalidValue

__all__ = ["Broken", "Report", "check_names", "told"]


class Result(Protocol):
    """What came of one check."""

    @property
    def failure(self) -> str | None:
        """What went wrong."""

    @property
    def skipped(self) -> str | None:
        """Why it was not made."""


R = TypeVar("R", bound=Result)


@dataclass(frozen=True, slots=True)
class Report(Generic[R]):
    """What came of each check; `str()` of it has one line for each."""

    results: tuple[R, ...]

    @property
    def failures(self) -> tuple[R, ...]:
        """Those that went wrong, in the order of the checks."""
        return tuple(result for result in self.results if result.failure is not None)

    @property
    def passed(self) -> tuple[R, ...]:
        """Those that found nothing wrong."""
        return tuple(
            result for result in self.results if result.failure is None and result.skipped is None
        )

    @property
    def skipped(self) -> tuple[R, ...]:
        """Those that could not be made; each says why."""
        return tuple(result for result in self.results if result.skipped is not None)

    def __str__(self) -> str:
        return "\n".join(map(str, self.results))


class Broken(AssertionError):
    """At least one check went wrong; ``report`` has every result."""

    def __init__(self, report: Report[Any]) -> None:
        self.report = report
        super().__init__(report)

    def __str__(self) -> str:
        return "\n".join(map(str, self.report.failures))


def told(check: object, fact: str, failure: str | None, skipped: str | None) -> str:
    """The line of a report for one check.

    Args:
        check: which.
        fact: what is so if it is kept, in a sentence.
        failure: what went wrong.
        skipped: why it was not made.
    """
    if failure is not None:
        return f"broken   {check}: {fact} {failure}"
    if skipped is not None:
        return f"skipped  {check}: {skipped}"
    return f"kept     {check}: {fact}"


def check_names(given: Collection[str], known: Collection[str], kind: str) -> None:
    """See to it that somebody chose from what there is.

    Args:
        given: what was chosen.
        known: what there is, in order.
        kind: what each of them is.

    Raises:
        InvalidValue: a name that there is not, or a text in place of a list.
    """
    if isinstance(given, str):
        raise InvalidValue(f"give a list of {kind}s: [{given!r}], not {given!r}")
    if unknown := set(given) - set(known):
        raise InvalidValue(f"no {kind} {min(unknown)!r}; there are {', '.join(known)}")
