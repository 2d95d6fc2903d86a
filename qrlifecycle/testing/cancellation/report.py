"""What was tried, and what was found."""

from __future__ import annotations

from dataclasses import dataclass

from .program_lines import ProgramLine

__all__ = ["CancellationReport", "Finding", "NotCancellationSafe"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one run left behind, or did wrong."""

    step: int | None
    """The step at which the coroutine was cancelled; None: nobody cancelled it."""
    after: bool
    """Whether the step was made first, and the coroutine waited for something again."""
    place: ProgramLine | None
    """Where it was then: the innermost line that is neither Python's nor a package's; for a task
    that runs only those, where it was started."""
    troubles: tuple[str, ...]
    """In words."""

    def __str__(self) -> str:
        moment = f"cancelled right {'after' if self.after else 'before'} step {self.step}"
        cancelled = "not cancelled" if self.step is None else moment
        where = "" if self.place is None else f", {self.place}"
        return "\n  ".join([f"{cancelled}{where}", *self.troubles])


@dataclass(frozen=True, slots=True)
class CancellationReport:
    """What was tried, and what was found."""

    backend: str
    how: str
    steps: int
    """How many steps the longest run had; it was cancelled before and after each of them."""
    runs: int
    findings: tuple[Finding, ...] = ()

    def __str__(self) -> str:
        return (
            f"{self.steps} steps, {self.runs} runs on {self.backend}, cancelled by "
            f"{'a scope' if self.how == 'scope' else 'the task itself'}"
        )


class NotCancellationSafe(AssertionError):
    """A cancelled coroutine left something behind, or kept the cancellation to itself."""

    def __init__(self, report: CancellationReport) -> None:
        self.report = report
        super().__init__(report)

    def __str__(self) -> str:
        findings = self.report.findings
        return "\n".join(
            [f"{len(findings)} of {self.report.runs} runs went wrong ({self.report}):"]
            + [str(finding) for finding in findings]
        )
