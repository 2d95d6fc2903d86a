"""The data of the lifecycle that a model is made from: `qrlifecycle.states`, or an altered copy.

Whoever judges the model must find fault with any copy in which one datum is another.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ...outcome import REASON_OF_DEADLINE
from ...states import (
    DEADLINE_OF,
    ENDS,
    INITIAL,
    OUTCOMES,
    PHASE_ROWS,
    REGIONS,
    SOCKET_OWNER,
    TABLE,
    Deadline,
    Event,
    Phase,
    PhaseRow,
    Region,
    Row,
    State,
    Step,
    single_phase_rows,
    single_rows,
)
from .situation import FIELD_OF, Situation, Value

__all__ = ["CHART", "Chart"]


@dataclass(frozen=True, eq=False)
class Chart:
    """All the data; what is not given is the lifecycle's own.

    Args:
        table: rows from state to state, with what a pending one may be replaced by.
        regions: what goes on inside each state, the first phase first.
        phase_rows: what leads from phase to phase.
        deadline_of: which deadline runs in which phase.
        failing: the deadlines that mean a failure; any other means another code, or a failure.
        outcomes: the events that end an attempt.
        ends: the states in which none is under way.
        socket_owner: the one state in which a socket may be open.
        initial: where a lifecycle begins.
    """

    table: tuple[Row, ...] = TABLE
    regions: Mapping[State, Mapping[Region, tuple[Phase, ...]]] = field(
        default_factory=lambda: REGIONS
    )
    phase_rows: tuple[PhaseRow, ...] = PHASE_ROWS
    deadline_of: Mapping[Phase, Deadline] = field(default_factory=lambda: DEADLINE_OF)
    failing: Collection[Deadline] = frozenset(REASON_OF_DEADLINE)
    outcomes: Collection[Event] = OUTCOMES
    ends: Collection[State] = ENDS
    socket_owner: State = SOCKET_OWNER
    initial: State = INITIAL

    @cached_property
    def rows(self) -> tuple[tuple[State, Row], ...]:
        """Each row of the table for each of its sources."""
        return tuple(single_rows(self.table))

    @cached_property
    def next_phase(self) -> dict[tuple[Phase, Step | Event], Phase]:
        """Where a step or an event leads from a phase."""
        return {(source, row.by): row.target for source, row in single_phase_rows(self.phase_rows)}

    def steps(self, step: Step) -> tuple[Phase, ...]:
        """The phases that a step leads from."""
        return tuple(source for source, by in self.next_phase if by is step)

    def owed(self, state: State) -> tuple[Phase, ...]:
        """The phases inside a state that are not the transport's."""
        regions = self.regions.get(state, {})
        return tuple(p for r in regions if r is not Region.TRANSPORT for p in regions[r])

    def with_region(self, region: Region) -> frozenset[State]:
        """The states that have a region."""
        return frozenset(state for state, regions in self.regions.items() if region in regions)

    def enter(self, state: State) -> dict[str, Value]:
        """What entering a state changes: each of its regions begins in its first phase."""
        begun: dict[str, Value] = {
            FIELD_OF[r]: phases[0] for r, phases in self.regions.get(state, {}).items()
        }
        return {"state": state, "pending": None, "transport": None, "phase": None} | begun

    @property
    def beginning(self) -> Situation:
        """Where every lifecycle begins."""
        return Situation()._replace(**self.enter(self.initial))  # type: ignore[arg-type]


CHART = Chart()
"""The lifecycle's own."""
