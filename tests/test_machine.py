"""The table and the machine made of it: every state and event against each other."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import pytest

from qrlifecycle import Event, EventRefused, State
from qrlifecycle.errors import InvalidTable
from qrlifecycle.machine import MACHINE, TableMachine
from qrlifecycle.states import INITIAL, SOCKET_OWNER, TABLE, Row, single_rows

LISTED = {(source, row.event): row for source, row in single_rows()}
MATRIX = [(state, event) for state in State for event in Event]


class Model:
    """Anything with a state can be driven."""

    __slots__ = ("__weakref__", "_state")

    def __init__(self, state: State) -> None:
        self._state = state


@pytest.mark.parametrize(("state", "event"), LISTED)
def test_a_listed_pair_reaches_its_target(state: State, event: Event) -> None:
    """A listed (state, event) leads to its target, or stays where it is if it is internal."""
    model = Model(state)
    MACHINE.fire(model, event)
    assert model._state is (LISTED[state, event].target or state)
    assert isinstance(model._state, State)


@pytest.mark.parametrize(("state", "event"), [pair for pair in MATRIX if pair not in LISTED])
def test_an_unlisted_pair_raises_and_changes_nothing(state: State, event: Event) -> None:
    """An unlisted (state, event) raises the typed error, with both as fields, and moves nothing."""
    model = Model(state)
    with pytest.raises(EventRefused) as caught:
        MACHINE.fire(model, event)
    assert (caught.value.state, caught.value.event) == (state, event)
    assert model._state is state
    with pytest.raises(EventRefused):
        MACHINE.row(state, event)


def test_the_refusal_says_what_would_be_accepted() -> None:
    """The error names the state, the event, what is accepted, and the calls that send it."""
    with pytest.raises(EventRefused) as caught:
        MACHINE.row(State.IDLE, Event.PAIRED)
    assert caught.value.accepted == (Event.GENERATE,)
    text = "'paired' is not accepted in state 'idle'; what may be called there: pair()"
    assert str(caught.value) == text


def test_every_state_leads_to_an_end_and_back_to_the_beginning() -> None:
    """From every state both ends and the initial state can be reached."""
    for start in State:
        seen, frontier = {start}, [start]
        while frontier:
            state = frontier.pop()
            targets = {row.target for (source, _), row in LISTED.items() if source is state}
            new = {target for target in targets if target is not None} - seen
            seen |= new
            frontier += new
        assert {State.CONNECTED, State.FAILED, INITIAL} <= seen


def test_only_qr_ready_enters_the_state_that_owns_the_socket() -> None:
    """There is one way into `displayed`: a code that the service made."""
    ways_in = {
        (source, event) for (source, event), row in LISTED.items() if row.target is SOCKET_OWNER
    }
    assert ways_in == {(State.GENERATING, Event.QR_READY)}


def test_every_row_has_a_reason_of_its_own() -> None:
    """Every row says why it is there."""
    assert all(row.why for row in TABLE)


def test_a_duplicate_row_is_refused_when_the_machine_is_built() -> None:
    """A table with two rows for one (state, event) makes no machine."""
    twice = (*TABLE, Row((State.DISPLAYED,), Event.PAIRED, State.FAILED, "again"))
    with pytest.raises(InvalidTable, match="two rows for 'paired' in state 'displayed'"):
        TableMachine(twice)


@pytest.mark.parametrize(
    "row",
    [
        Row(("nowhere",), Event.FAIL, State.FAILED, "from nowhere"),  # type: ignore[arg-type]
        Row((State.IDLE,), Event.FAIL, "nowhere", "to nowhere"),  # type: ignore[arg-type]
        Row((State.IDLE,), "explode", State.FAILED, "unknown event"),  # type: ignore[arg-type]
    ],
)
def test_an_unknown_name_is_refused_when_the_machine_is_built(row: Row) -> None:
    """A table that names a state or event that does not exist makes no machine."""
    with pytest.raises(InvalidTable, match="unknown"):
        TableMachine((*TABLE, row))


def test_an_unreachable_state_is_refused_when_the_machine_is_built() -> None:
    """A table that leads nowhere near some state makes no machine."""
    cut = tuple(row for row in TABLE if row.target is not State.CONNECTED)
    to_itself = Row((State.CONNECTED,), Event.PAIRED, State.CONNECTED, "round in a circle")
    for table in (cut, (*cut, to_itself)):
        with pytest.raises(InvalidTable, match="no row leads to: connected"):
            TableMachine(table)


def test_a_changed_row_changes_the_machine() -> None:
    """The machine is made of the table it is given, not of another."""
    changed = tuple(
        replace(row, target=State.FAILED) if row.event is Event.EXPIRED else row for row in TABLE
    )
    model = Model(State.DISPLAYED)
    TableMachine(changed).fire(model, Event.EXPIRED)
    assert model._state is State.FAILED


def test_an_event_that_has_no_row_at_all_is_refused() -> None:
    """A table may do without an event: then no state accepts it."""
    fewer = TableMachine(tuple(row for row in TABLE if row.event is not Event.SCANNED))
    model = Model(State.DISPLAYED)
    with pytest.raises(EventRefused, match="'scanned' is not accepted in state 'displayed'"):
        fewer.fire(model, Event.SCANNED)
    assert model._state is State.DISPLAYED


def test_the_machine_is_made_of_the_table_and_of_nothing_else() -> None:
    """`transitions` adds no state, no event (it has a ``to_idle`` of its own) and no object."""
    made = MACHINE._machine
    assert [state.value for state in made.states.values()] == list(State)
    assert set(made.events) == {row.event for row in TABLE}
    assert made.models == []


def test_the_shared_machine_keeps_no_object_alive() -> None:
    """An object that was driven is registered nowhere: it goes when its owner lets it go."""
    model = Model(State.IDLE)
    MACHINE.fire(model, Event.GENERATE)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_the_machine_writes_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """The lines of transitions about callbacks that do not exist are not written."""
    caplog.set_level(0)
    MACHINE.fire(Model(State.IDLE), Event.GENERATE)
    assert [r for r in caplog.records if r.levelno >= 20] == []
