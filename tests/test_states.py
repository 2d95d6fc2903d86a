"""The lifecycle's data in itself: what no model and no machine would notice.

Each test can be given other data: so whoever alters a datum is told by name which test refuses it.
"""

from __future__ import annotations

import pytest

from qrlifecycle.machine import TableMachine
from qrlifecycle.proof.model import CHART, Chart
from qrlifecycle.states import (
    Deadline,
    Event,
    Phase,
    Region,
    State,
    Step,
    Word,
    single_phase_rows,
)


@pytest.fixture
def chart() -> Chart:
    """The data as it is."""
    return CHART


def test_it_makes_a_machine(chart: Chart) -> None:
    """No two rows for one event in a state, and every state is led to."""
    TableMachine(chart.table, chart.initial)


def test_each_phase_belongs_to_one_region(chart: Chart) -> None:
    """Each is listed, and none twice."""
    regions = list(chart.regions.values())
    listed = [phase for inside in regions for phases in inside.values() for phase in phases]
    assert sorted(listed) == sorted(Phase)


def test_a_phase_row_stays_in_its_region_and_has_no_double(chart: Chart) -> None:
    """The regions are independent of each other, and of two rows one would never be taken."""
    regions = [phases for inside in chart.regions.values() for phases in inside.values()]
    rows = list(single_phase_rows(chart.phase_rows))
    for source, row in rows:
        assert any(source in phases and row.target in phases for phases in regions)
    assert len({(source, row.by) for source, row in rows}) == len(rows)


def test_what_ends_an_attempt_is_what_leads_from_under_way_to_an_end(chart: Chart) -> None:
    """And after nothing else is there an outcome."""
    ending: set[Event] = set()
    for source, row in chart.rows:
        if source not in chart.ends:
            assert (row.target in chart.ends) == (row.event in chart.outcomes)
            ending |= {row.event} if row.event in chart.outcomes else set()
    assert ending == set(chart.outcomes)


def test_an_internal_row_changes_a_phase(chart: Chart) -> None:
    """What is noted and leads to no phase would be noted for nothing."""
    for source, row in chart.rows:
        if row.internal:
            assert any((phase, row.event) in chart.next_phase for phase in chart.owed(source))


@pytest.mark.parametrize("kind", [State, Event, Region, Phase, Step, Deadline])
def test_a_word_is_spelled_as_its_name_and_explained_in_a_sentence(kind: type[Word]) -> None:
    """Whoever reads one in a log, a journal or a picture finds it by that name in the code."""
    for word in kind:
        assert word.value == word.name.lower()
        assert " " in word.meaning
        assert word.meaning.endswith(".")
