"""Copies of the lifecycle's data in which one datum is another: what a slip of the pen would make.

Every datum of `qrlifecycle.states` (and which deadlines are failures, of `qrlifecycle.outcome`) is
dropped, and pointed to everything else that it could be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from qrlifecycle.proof.model import CHART, Chart
from qrlifecycle.states import Deadline, Event, Phase, PhaseRow, Region, Row, State, Step

__all__ = ["Alteration", "alterations"]


@dataclass(frozen=True)
class Alteration:
    """One datum that is another.

    Attributes:
        datum: which one, as it stands in the data.
        how: what it is instead.
        chart: all the data, with it.
    """

    datum: str
    how: str
    chart: Chart


def alterations() -> Iterator[Alteration]:
    """Every one of them; the first of a datum is the plainest."""
    for number, row in enumerate(CHART.table):
        yield from _rows(number, row)
    for number, phase_row in enumerate(CHART.phase_rows):
        yield from _phase_rows(number, phase_row)
    yield from _regions()
    yield from _mappings()
    yield from _sets()
    for state in State:
        if state is not CHART.socket_owner:
            yield Alteration("SOCKET_OWNER", state, replace(CHART, socket_owner=state))
        if state is not CHART.initial:
            yield Alteration("INITIAL", state, replace(CHART, initial=state))


def _with(field: str, items: tuple[Any, ...], number: int, *instead: Any) -> Chart:
    changes: Any = {field: (*items[:number], *instead, *items[number + 1 :])}
    return replace(CHART, **changes)


def _without(items: tuple[Any, ...], item: object) -> tuple[Any, ...]:
    return tuple(each for each in items if each is not item)


def _rows(number: int, row: Row) -> Iterator[Alteration]:
    name = f"row {'/'.join(row.sources)}, {row.event}"

    def altered(**changes: Any) -> Chart:
        return _with("table", CHART.table, number, replace(row, **changes))

    yield Alteration(name, "dropped", _with("table", CHART.table, number))
    for source in row.sources if len(row.sources) > 1 else ():
        fewer = _without(row.sources, source)
        yield Alteration(f"{name}: from {source}", "dropped", altered(sources=fewer))
    for target in (None, *State):
        if target is not row.target:
            told = "nowhere" if target is None else target
            yield Alteration(f"{name}: target", told, altered(target=target))
    for source in State:
        taken = any(s is source and r.event is row.event for s, r in CHART.rows)
        if not taken:
            more = (*row.sources, source)
            yield Alteration(f"{name}: sources", f"and {source}", altered(sources=more))
    for event in row.replaces:
        fewer = _without(row.replaces, event)
        yield Alteration(f"{name}: replaces {event}", "dropped", altered(replaces=fewer))
    for event in Event:
        if event not in row.replaces:
            longer = (*row.replaces, event)
            yield Alteration(f"{name}: replaces", f"and {event}", altered(replaces=longer))


def _phase_rows(number: int, row: PhaseRow) -> Iterator[Alteration]:
    name = f"row {'/'.join(row.sources)}, {row.by}"

    def altered(**changes: Any) -> Chart:
        return _with("phase_rows", CHART.phase_rows, number, replace(row, **changes))

    yield Alteration(name, "dropped", _with("phase_rows", CHART.phase_rows, number))
    for source in row.sources if len(row.sources) > 1 else ():
        fewer = _without(row.sources, source)
        yield Alteration(f"{name}: from {source}", "dropped", altered(sources=fewer))
    for phase in Phase:
        if phase is not row.target:
            yield Alteration(f"{name}: target", phase, altered(target=phase))
        if (phase, row.by) not in CHART.next_phase:
            more = (*row.sources, phase)
            yield Alteration(f"{name}: sources", f"and {phase}", altered(sources=more))
    for by in (*Step, *Event):
        if by is not row.by:
            yield Alteration(f"{name}: by", by, altered(by=by))


def _regions() -> Iterator[Alteration]:
    everywhere = {
        region: row for inside in CHART.regions.values() for region, row in inside.items()
    }
    for state, inside in CHART.regions.items():
        for region, phases in everywhere.items():
            if region not in inside:
                more = dict(CHART.regions) | {state: dict(inside) | {region: phases}}
                yield Alteration("REGIONS", f"{region} in {state}", replace(CHART, regions=more))
    for state, regions in CHART.regions.items():
        for region, phases in regions.items():
            name = f"region {region} of {state}"

            def altered(instead: dict[Region, tuple[Phase, ...]], state: State = state) -> Chart:
                return replace(CHART, regions=dict(CHART.regions) | {state: instead})

            fewer = {each: row for each, row in regions.items() if each is not region}
            yield Alteration(name, "dropped", altered(fewer))
            for first in (phase for phase in Phase if phase is not phases[0]):
                others = (first, *_without(phases, first))
                instead = dict(regions) | {region: others}
                yield Alteration(f"{name}: first", first, altered(instead))
            for phase in phases[1:]:
                instead = dict(regions) | {region: _without(phases, phase)}
                yield Alteration(f"{name}: {phase}", "dropped", altered(instead))


def _mappings() -> Iterator[Alteration]:
    deadlines = dict(CHART.deadline_of)

    def altered(instead: dict[Phase, Deadline]) -> Chart:
        return replace(CHART, deadline_of=instead)

    for phase in Phase:
        name = f"deadline of {phase}"
        if phase in deadlines:
            fewer = {each: deadline for each, deadline in deadlines.items() if each is not phase}
            yield Alteration(name, "dropped", altered(fewer))
        for deadline in Deadline:
            if deadlines.get(phase) is not deadline:
                yield Alteration(name, deadline, altered(deadlines | {phase: deadline}))


def _sets() -> Iterator[Alteration]:
    charts: dict[str, tuple[str, type[Event | State | Deadline]]] = {
        "OUTCOMES": ("outcomes", Event),
        "ENDS": ("ends", State),
        "REASON_OF_DEADLINE": ("failing", Deadline),
    }
    for name, (field, kind) in charts.items():
        members = tuple(getattr(CHART, field))
        for item in kind:
            if item in members:
                changes: Any = {field: _without(members, item)}
                yield Alteration(f"{name}: {item}", "dropped", replace(CHART, **changes))
            else:
                changes = {field: (*members, item)}
                yield Alteration(name, f"and {item}", replace(CHART, **changes))
