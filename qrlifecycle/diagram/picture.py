"""What a picture says, whatever it is drawn with: chosen and put in order here, from data alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from ..states import (
    DEADLINE_OF,
    INITIAL,
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
    single_phase_rows,
    single_rows,
)
from .palette import Role

__all__ = ["INSIDE", "INTERNAL", "Inside", "Picture", "ends_after", "ends_of", "roles"]

TITLE = "QR pairing"
ENTRY = ("entry", "open transport")
EXIT = ("exit", "close transport")
INTERNAL = "internal"
RESTARTS = frozenset({Event.GENERATE, Event.RESET})

Place = TypeVar("Place", State, Phase)
Taken = TypeVar("Taken", Row, PhaseRow)


class Inside(NamedTuple):
    """What goes on inside the states, as data. The default is `qrlifecycle.states`' own."""

    regions: Mapping[State, Mapping[Region, tuple[Phase, ...]]] = REGIONS
    rows: tuple[PhaseRow, ...] = PHASE_ROWS
    deadline_of: Mapping[Phase, Deadline] = DEADLINE_OF


INSIDE = Inside()


def ends_after(deadline: Deadline) -> str:
    """The time of a deadline in words: what follows the colon of its meaning."""
    return f"ends after {deadline.meaning.partition(': ')[2].rstrip('.').replace('`', '')}"


def ends_of(table: tuple[Row, ...]) -> tuple[State, ...]:
    """The states that only a new attempt or a reset leads out of."""
    left_for_more = {source for source, row in single_rows(table) if row.event not in RESTARTS}
    return tuple(s for s in State if s not in left_for_more | {INITIAL, SOCKET_OWNER})


def roles(table: tuple[Row, ...] = TABLE) -> dict[State, Role]:
    """What each state means in a picture."""
    failures = {row.target for row in table if row.event is Event.FAIL}
    found = dict.fromkeys(State, Role.ORDINARY)
    for end in ends_of(table):
        found[end] = Role.FAILURE if end in failures else Role.SUCCESS
    found[SOCKET_OWNER] = Role.SOCKET
    return found


@dataclass(frozen=True, slots=True)
class Picture:
    """What is to be drawn: the rows, the state to highlight, and what goes on inside, or None."""

    table: tuple[Row, ...] = TABLE
    lit: State | None = None
    inside: Inside | None = None

    @property
    def title(self) -> str:
        """The title, which names the highlighted state."""
        return TITLE if self.lit is None else f"{TITLE}: {self.lit} now"

    @property
    def notes(self) -> list[str]:
        """What is true of every phase, and so stands beside them all."""
        if self.inside is None:
            return []
        return [
            f"an attempt {ends_after(Deadline.ATTEMPT)}",
            "a row that was decided on is pending until nothing of the state is left",
        ]

    # From state to state

    def arrows(self) -> dict[tuple[State, State], list[Row]]:
        """The rows of each (source, target), internal rows left out, in the order of the states."""
        order = list(State)
        singles = sorted(single_rows(self.table), key=lambda single: order.index(single[0]))
        return _gathered((s, row.target, row) for s, row in singles if row.target is not None)

    def lines_in(self, state: State) -> list[str]:
        """The lines in the box below the name of the state."""
        internal = [
            f"{row.event} / {INTERNAL}"
            for source, row in single_rows(self.table)
            if source is state and row.internal
        ]
        if state is SOCKET_OWNER:
            return [" / ".join(ENTRY), *internal, " / ".join(EXIT)]
        return internal

    def rows_in(self, state: State) -> list[tuple[str, str, str]]:
        """Event, target and why of each row of the state."""
        rows = [
            (row.event.value, row.target.value if row.target else f"({INTERNAL})", self._why(row))
            for source, row in single_rows(self.table)
            if source is state
        ]
        if state is SOCKET_OWNER:
            return [(ENTRY[0], "", ENTRY[1]), *rows, (EXIT[0], "", EXIT[1])]
        return rows

    def _why(self, row: Row) -> str:
        if replaced := self.replaced(row):
            return f"{row.why}; replaces a pending {' or '.join(replaced)}"
        return row.why

    def replaced(self, row: Row) -> tuple[Event, ...]:
        """The events whose pending row gives way to this one; they are told with the phases."""
        return () if self.inside is None else row.replaces

    # Inside a state

    def regions(self, state: State) -> Mapping[Region, tuple[Phase, ...]]:
        """The phases of each region of the state; nothing if phases are not drawn."""
        return {} if self.inside is None else self.inside.regions.get(state, {})

    def all_regions(self) -> Iterator[tuple[State, Region, tuple[Phase, ...]]]:
        """Each region with its state and its phases."""
        for state in State:
            for region, phases in self.regions(state).items():
                yield state, region, phases

    def phase_rows(self, phases: tuple[Phase, ...]) -> Iterator[tuple[Phase, PhaseRow]]:
        """Each (source, row) between these phases, in the order of the phases."""
        if self.inside is None:
            return
        for phase in phases:
            for source, row in single_phase_rows(self.inside.rows):
                if source is phase and row.target in phases:
                    yield source, row

    def phase_arrows(self, phases: tuple[Phase, ...]) -> dict[tuple[Phase, Phase], list[PhaseRow]]:
        """The rows of each (source, target) between these phases."""
        return _gathered((source, row.target, row) for source, row in self.phase_rows(phases))

    def deadline(self, phase: Phase) -> Deadline | None:
        """The deadline that runs in the phase, beside the attempt's."""
        return None if self.inside is None else self.inside.deadline_of.get(phase)

    def lines_of(self, phase: Phase) -> list[str]:
        """The lines in the box below the name of the phase."""
        deadline = self.deadline(phase)
        return [] if deadline is None else [ends_after(deadline)]


def _gathered(
    singles: Iterable[tuple[Place, Place, Taken]],
) -> dict[tuple[Place, Place], list[Taken]]:
    arrows: dict[tuple[Place, Place], list[Taken]] = {}
    for source, target, row in singles:
        arrows.setdefault((source, target), []).append(row)
    return arrows
