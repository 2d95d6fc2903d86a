"""What a job of `qrlifecycle verify` found, and what all jobs share.

A job can be pickled, and done in another process; its findings can be sent back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from ...errors import UnsupportedBackend
from ...testing.contract import CLAUSES
from ...testing.wording import innermost
from ..exploration.conformance import Seen
from .factories import error_with_place

__all__ = ["Findings", "Work"]


@dataclass(frozen=True)
class Findings:
    """What a job found.

    Attributes:
        broken: promises and clauses, as "promise 3" or "T1"; nothing if the job itself failed.
        counterexample: how to reproduce it; empty if nothing broke.
        alike: what is equal in two counterexamples of the same fault.
        failure: why the job did not finish, which refutes nothing.
        skipped: why it cannot be done here.
        counts: how many situations, moves, plans, scenarios and checks of each clause there were.
        complete: whether a world was explored to its end.
        seen: rows that were taken, and ends.
        visited: the situations of the lifecycle, as the model describes them.
        notes: further lines to print.
    """

    broken: frozenset[str] = frozenset()
    counterexample: str = ""
    alike: str = ""
    failure: str = ""
    skipped: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    complete: bool = False
    seen: frozenset[object] = frozenset()
    visited: frozenset[Seen] = frozenset()
    notes: tuple[str, ...] = ()

    @property
    def checked(self) -> bool:
        """Whether anything was tested."""
        return any(self.counts[what] for what in ("moves", "plans", "scenarios", *CLAUSES))


class Work:
    """What all jobs share: an error of the job itself becomes a finding, too."""

    def __call__(self, report: Callable[[str], object]) -> Findings:
        """Do it."""
        try:
            return self.work(report)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            errors = [*innermost(error)]
            if all(isinstance(inner, UnsupportedBackend) for inner in errors):
                return Findings(skipped=str(errors[0]))
            return Findings(failure=error_with_place(error))

    def undone(self, why: str) -> Findings:
        """The findings if it could not be done to its end."""
        return Findings(failure=why)

    def work(self, report: Callable[[str], object]) -> Findings:
        """Do it, and raise what goes wrong."""
        raise NotImplementedError
