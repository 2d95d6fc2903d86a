"""A gateway's scenarios as jobs of `qrlifecycle verify`: one for each event loop."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio

from ...errors import UnsupportedBackend, UsageError
from ...gateways.base import Gateway
from ...testing.gateways import Emulator, ScenarioResult, play, scenarios
from ...testing.wording import kind_of
from .factories import emulator_factory, error_with_place
from .work import Work

__all__ = ["Played", "Scenarios"]


@dataclass(frozen=True)
class Played:
    """What came of the scenarios on one event loop.

    Attributes:
        results: one for each that was played, in order.
        failure: why the others were not played, which says nothing of the gateway's conduct.
        skipped: why none can be played here.
    """

    results: tuple[ScenarioResult, ...] = ()
    failure: str = ""
    skipped: str = ""


@dataclass(frozen=True)
class Scenarios(Work[Played]):
    """Scenarios with the gateways of a factory's emulators, on one event loop, on its own clock.

    Attributes:
        factory: makes an emulator, as ``MODULE:FACTORY``.
        backend: the event loop.
        names: the scenarios; None for all.
        options: what the factory is called with, by name.
    """

    factory: str
    backend: str
    names: tuple[str, ...] | None = None
    options: tuple[tuple[str, Any], ...] = ()

    length = math.inf

    def __str__(self) -> str:
        return f"scenarios of {self.factory} on {self.backend}"

    def work(self, report: Callable[[str], object]) -> Played:
        """Play them."""
        with _logs_heard():
            return anyio.run(self._play, report, backend=self.backend)

    def undone(self, why: str) -> Played:
        """What there is if they were not played to their end."""
        return Played(failure=why)

    def skipped(self, why: str) -> Played:
        """What there is if none can be played here."""
        return Played(skipped=why)

    async def _play(self, report: Callable[[str], object]) -> Played:
        emulator = partial(emulator_factory(self.factory), **dict(self.options))
        results: list[ScenarioResult] = []
        for scenario in scenarios(self.names):
            report(scenario.name)
            try:
                results.append(await play(scenario, self._gateway, emulator))
            except (UnsupportedBackend, KeyboardInterrupt, anyio.get_cancelled_exc_class()):
                raise
            except BaseException as error:  # the others would raise it, too
                return Played(tuple(results), f"{scenario}: {error_with_place(error)}")
        return Played(tuple(results))

    def _gateway(self, emulator: Emulator) -> Gateway:
        gateway: object = emulator.gateway()
        if not isinstance(gateway, Gateway):
            name = f"{type(emulator).__name__}.gateway()"
            raise UsageError(f"{name} gave {kind_of(gateway)}, which is no Gateway")
        return gateway


@contextmanager
def _logs_heard() -> Iterator[None]:
    """Whatever is logged, for a scenario looks for secrets in it; a process of jobs hears none."""
    before = logging.root.manager.disable
    logging.disable(logging.NOTSET)
    try:
        yield
    finally:
        logging.disable(before)
