"""The table, built into a `transitions.Machine` that decides and never waits.

One shared instance, `MACHINE`, serves every lifecycle: it drives objects that were never registered
with it (`machine.events[name].trigger(obj)`), so nothing is patched onto them and nothing keeps
them alive.

The rows are kept twice. `transitions`, the library that the state machine stands on, has its own
form of them and is asked for one thing, to move an object (`fire()`); ours are asked before that,
by `row()` and `accepted()`, for what a row of its cannot tell: the target before anything moves,
what is replaced, and a refusal with its type.
"""

from __future__ import annotations

from typing import Any

import transitions

from .errors import EventRefused, InvalidTable
from .states import INITIAL, TABLE, Event, Row, State, single_rows

__all__ = ["MACHINE", "TableMachine"]

MODEL_ATTRIBUTE = "_state"
"""Where a driven object keeps its state."""


class _Trigger(transitions.Event):
    """An event as the machine keeps it: it moves a model along the row that it has for its state.

    `transitions` would make an object of each triggering, look for conditions and for callbacks
    before, after, on leaving and on entering, and write a log line for each; the table has none of
    these. Replacing `trigger()` is its own way to change what an event does.
    """

    def trigger(self, model: Any, *_args: Any, **_kwargs: Any) -> bool:
        """Move the model; an internal row moves nothing.

        Returns:
            True, as `transitions` says of a row that was taken.

        Raises:
            KeyError: its state has no such row; it has not moved.
        """
        state = getattr(model, MODEL_ATTRIBUTE)
        if state not in self.transitions:
            raise KeyError(state)
        [row] = self.transitions[state]
        if row.dest is not None:
            setattr(model, MODEL_ATTRIBUTE, STATES[row.dest])
        return True


class _Machine(transitions.Machine):
    """A machine of such events. States are text, as its keys are."""

    event_cls = _Trigger


STATES = {state.value: state for state in State}


class TableMachine:
    """A checked table that can be asked, and that moves objects along its rows.

    Raises:
        InvalidTable: the table has two rows for one (state, event), names a state or event that
            does not exist, or has a state that no row leads to.
    """

    def __init__(self, table: tuple[Row, ...] = TABLE, initial: State = INITIAL) -> None:
        self._rows = _checked(table, initial)
        self._machine = _Machine(
            model=None,
            states=list(STATES),
            initial=initial.value,
            transitions=[
                {
                    "trigger": row.event.value,
                    "source": source.value,
                    "dest": row.target and row.target.value,
                }
                for source, row in single_rows(table)
            ],
            auto_transitions=False,
        )

    def row(self, state: State, event: Event) -> Row:
        """The row for this event in this state.

        Raises:
            EventRefused: there is none.
        """
        try:
            return self._rows[state, event]
        except KeyError:
            raise EventRefused(state, event, self.accepted(state)) from None

    def accepted(self, state: State) -> tuple[Event, ...]:
        """The events that have a row in this state."""
        return tuple(event for source, event in self._rows if source is state)

    def fire(self, model: Any, event: Event) -> None:
        """Move ``model`` (any object with a ``_state``) along the row for this event.

        Raises:
            EventRefused: its state has no such row; it has not moved.
        """
        try:
            self._machine.events[event].trigger(model)
        except KeyError:
            state = getattr(model, MODEL_ATTRIBUTE)
            raise EventRefused(state, event, self.accepted(state)) from None


def _checked(table: tuple[Row, ...], initial: State) -> dict[tuple[State, Event], Row]:
    rows: dict[tuple[State, Event], Row] = {}
    for source, row in single_rows(table):
        unknown = [s for s in (source, row.target) if s is not None and not isinstance(s, State)]
        if unknown:
            raise InvalidTable(f"row '{row.why}' names an unknown state: {unknown[0]!r}")
        if not isinstance(row.event, Event):
            raise InvalidTable(f"row '{row.why}' names an unknown event: {row.event!r}")
        if (source, row.event) in rows:
            raise InvalidTable(f"two rows for '{row.event}' in state '{source}'")
        rows[source, row.event] = row
    _check_reachable(rows, initial)
    return rows


def _check_reachable(rows: dict[tuple[State, Event], Row], initial: State) -> None:
    seen = {initial}
    frontier = [initial]
    while frontier:
        state = frontier.pop()
        for (source, _), row in rows.items():
            if source is state and row.target is not None and row.target not in seen:
                seen.add(row.target)
                frontier.append(row.target)
    if unreachable := [state.value for state in State if state not in seen]:
        raise InvalidTable(f"no row leads to: {', '.join(unreachable)}")


MACHINE = TableMachine()
"""The machine of the table, shared by all lifecycles."""
