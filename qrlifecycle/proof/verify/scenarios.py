"""A gateway's scenario, as a job of `qrlifecycle verify`."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio

from .factories import emulator_factory, made_gateway
from .findings import Findings, Work

if TYPE_CHECKING:
    from ...gateways.base import Gateway

__all__ = ["Play"]


@dataclass(frozen=True)
class Play(Work):
    """One scenario, on one event loop, with the emulator that a factory makes."""

    factory: str
    scenario: str
    backend: str

    length = 1.0

    def __str__(self) -> str:
        return f"scenario '{self.scenario}' on {self.backend}"

    def work(self, report: Callable[[str], object]) -> Findings:
        """Play it; what is logged meanwhile is searched for secrets."""
        from ...testing.gateways import play, scenarios

        make, (scenario,) = emulator_factory(self.factory), scenarios([self.scenario])
        report("being played")
        with _logging():
            result = anyio.run(play, scenario, self._gateway, make, backend=self.backend)
        if result.skipped is not None:
            return Findings(skipped=result.skipped)
        counts = Counter(scenarios=1)
        if result.failure is None:
            return Findings(counts=counts)
        text = f"{scenario.fact} {result.failure}"
        return Findings(
            frozenset({f"{self.scenario!r}"}), text, f"{scenario} {text}", counts=counts
        )

    def _gateway(self, emulator: Any) -> Gateway:
        return made_gateway(self.factory, emulator)


@contextmanager
def _logging() -> Iterator[None]:
    """Have logs, which the processes that do jobs have not."""
    root = logging.getLogger()
    before = root.manager.disable
    logging.disable(logging.NOTSET)
    try:
        yield
    finally:
        logging.disable(before)
