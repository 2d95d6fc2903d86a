"""A gateway against an emulator: every scenario, each with a fresh one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import anyio

from ...errors import UsageError
from ...gateways.base import Gateway
from ..reports import Broken, Report, check_names, told
from .emulator import CannotDo, Emulator
from .scenes import SCENARIOS, Scenario
from .stage import ScenarioFailed, Stage, fail, listening_to_logs

__all__ = ["GatewayBroken", "GatewayReport", "ScenarioResult", "check_gateway", "play", "scenarios"]

E = TypeVar("E", bound=Emulator)

LONGEST = 420.0
"""Seconds for a whole scenario: more than all that it waits for takes together, each with the
patience of `.stage`. It ends where an emulator's verb hangs, which has no limit of its own."""


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """What came of one scenario."""

    scenario: Scenario
    failure: str | None = None
    """What did not happen."""
    skipped: str | None = None
    """Why it was not played to its end."""

    def __str__(self) -> str:
        return told(self.scenario, self.scenario.fact, self.failure, self.skipped)


class GatewayReport(Report[ScenarioResult]):
    """What came of each scenario; `str()` of it has one line for each."""

    __slots__ = ()


class GatewayBroken(Broken):
    """A gateway does not do what a scenario is about; ``report`` has every result."""

    report: GatewayReport


def scenarios(names: Collection[str] | None = None) -> tuple[Scenario, ...]:
    """The scenarios of these names; all of them if none are given.

    Raises:
        InvalidValue: a name that there is not.
    """
    if names is None:
        return tuple(SCENARIOS)
    known = {one.name: one for one in SCENARIOS}
    check_names(names, known, "scenario")
    return tuple(known[name] for name in names)


async def play(
    scenario: Scenario, gateway: Callable[[E], Gateway], emulator: Callable[[], E]
) -> ScenarioResult:
    """Play one scenario with a fresh emulator.

    Args:
        scenario: which.
        gateway: makes a gateway for the emulator that it is given.
        emulator: makes a fresh emulator.

    Raises:
        UsageError: the gateway or the emulator is used wrongly.
        Exception: what making either of them raised.
    """
    trouble: list[Exception] = []
    stage: Stage | None = None
    with listening_to_logs() as logs:
        async with emulator() as service, anyio.create_task_group() as tasks:
            stage = Stage(service, gateway, tasks)
            try:
                with anyio.move_on_after(LONGEST) as limit:
                    await scenario.play(stage)
                if limit.cancelled_caught:
                    fail(f"it did not end within {LONGEST:g} s; {stage.told()}")
                await stage.close_tabs()
            except Exception as raised:  # the task group would wrap it
                trouble.append(raised)
                with suppress(ScenarioFailed):  # it has failed already
                    await stage.close_tabs()
            finally:
                tasks.cancel_scope.cancel()
        secrets = set[str]() if trouble else set(service.secrets())
    match trouble:
        case [CannotDo() as reason]:
            return ScenarioResult(scenario, skipped=str(reason))
        case [ScenarioFailed() as failure]:
            return ScenarioResult(scenario, failure=str(failure))
        case [error]:
            raise error
    if stage is not None and stage.tells(secrets):
        text = "an outcome, an error, a repr or a record told a secret"
        return ScenarioResult(scenario, failure=text)
    if (logger := logs.leaked(secrets, service.own_loggers)) is not None:
        return ScenarioResult(scenario, failure=f"the logger {logger!r} told a secret")
    return ScenarioResult(scenario)


async def check_gateway(
    gateway: Callable[[E], Gateway],
    emulator: Callable[[], E],
    *,
    names: Collection[str] | None = None,
    progress: Callable[[ScenarioResult], object] | None = None,
) -> GatewayReport:
    """Put a gateway through every scenario, each with a fresh emulator. Nothing is printed.

    ::

        await check_gateway(lambda served: MyGateway(served.url, key="k"), MyEmulator)

    On an ordinary event loop it takes minutes, for a service is away for 24 s in two of them; each
    ends by itself. At DEBUG of every logger no secret of the emulator's may be in any text: of the
    log, an error, an outcome, a repr, or a record.

    Args:
        gateway: makes a gateway for the emulator that it is given.
        emulator: makes a fresh emulator, which is entered and left here.
        names: the scenarios to play; all of them if none are given.
        progress: called with each result as it comes.

    Raises:
        GatewayBroken: at least one went wrong; all were played.
        InvalidValue: a scenario that there is not.
        UsageError: nothing could be played: every scenario was skipped.
    """
    results = []
    for scenario in scenarios(names):
        results.append(await play(scenario, gateway, emulator))
        if progress is not None:
            progress(results[-1])
    report = GatewayReport(tuple(results))
    if report.failures:
        raise GatewayBroken(report)
    if len(report.skipped) == len(results):
        raise UsageError("nothing was checked: the emulator can do nothing that a scenario needs")
    return report
