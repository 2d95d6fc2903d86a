"""The formal model: enumerated, proved by induction, judged by Spin, and printed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from qrlifecycle import Signal
from qrlifecycle.cli import main
from qrlifecycle.errors import InvalidTable
from qrlifecycle.proof.model import (
    CHART,
    ENDINGS,
    FAIR_CLAIMS,
    FIELDS,
    MODEL,
    UNAIDED,
    Actor,
    Chart,
    Check,
    Label,
    Model,
    Pairing,
    Situation,
    document,
    initial,
    moves,
    promela,
    rest,
    settled,
    situations,
)
from qrlifecycle.states import TABLE, Deadline, Event, Phase, Region, Row, State, single_rows
from tests import test_states
from tests.model.alterations import Alteration, alterations
from tests.model.refuted import REFUTED_BY
from tests.model.spin import MISSING, Spin, figure, unused

TOP = Path(__file__).parent.parent
PAGE = TOP / "docs" / "model.md"
FENCED = re.MULTILINE | re.DOTALL
Table = tuple[Row, ...]

LEAKING = {
    f"{source} {row.event}": Model(at_once=frozenset({(source, row.event)}))
    for source, row in single_rows()
    if source is State.DISPLAYED and not row.internal
}
"""Lifecycles that take one row of `displayed` without closing their transport first."""

MISDIRECTED = tuple(
    replace(row, target=State.CONNECTED) if row.event is Event.QR_READY else row for row in TABLE
)
"""A table whose code leads to `connected`."""

MISPLACED = Chart(
    regions=dict(CHART.regions)
    | {
        State.GENERATING: dict(CHART.regions[State.GENERATING])
        | {Region.TRANSPORT: CHART.regions[State.DISPLAYED][Region.TRANSPORT]}
    }
)
"""Regions by which a transport is opened while a code is asked for."""

GOLDEN = {
    ("idle", "generate", "generating"),
    ("connected", "generate", "generating"),
    ("failed", "generate", "generating"),
    ("generating", "qr_ready", "displayed"),
    ("generating", "paired", "connected"),
    ("generating", "fail", "failed"),
    ("generating", "cancel", "idle"),
    ("displayed", "qr_updated", None),
    ("displayed", "scanned", None),
    ("displayed", "action_required", None),
    ("displayed", "paired", "connected"),
    ("displayed", "expired", "generating"),
    ("displayed", "generate", "generating"),
    ("displayed", "fail", "failed"),
    ("displayed", "cancel", "idle"),
    ("connected", "reset", "idle"),
    ("failed", "reset", "idle"),
}
"""The table once more, by hand: what no model can know is that a row means what it should."""

ALTERED: dict[str, Alteration] = {}
"""By each datum, the plainest alteration of it."""
for _each in alterations():
    ALTERED.setdefault(_each.datum, _each)


def triples(table: Table) -> set[tuple[str, str, str | None]]:
    """The rows, without their reasons."""
    return {(source, row.event, row.target) for source, row in single_rows(table)}


def mutants() -> dict[frozenset[tuple[str, str, str | None]], Table]:
    """Every table that differs from ours in one row, by its rows."""
    return {frozenset(triples(table)): table for table in changed()}


def changed() -> Iterator[Table]:
    """Every table that differs in one row: dropped, with another target, with one source more."""
    rows = [replace(row, sources=(source,)) for source, row in single_rows()]
    taken = {(row.sources, row.event) for row in rows}
    for number, row in enumerate(rows):
        others = (*rows[:number], *rows[number + 1 :])
        yield others
        for target in (None, *State):
            if target is not row.target:
                yield (*others, replace(row, target=target))
        for source in State:
            if ((source,), row.event) not in taken:
                yield (*rows, replace(row, sources=(source,)))


class TestEnumeration:
    """Every situation that can be reached."""

    def test_promise_1_2_3_5_8_hold_in_every_situation_and_step(self) -> None:
        """No situation and no step breaks what must hold, and nothing of it holds vacuously."""
        assert [str(violation) for violation in MODEL.violations()] == []

    def test_promise_1_a_socket_is_open_only_in_displayed(self) -> None:
        """Said once more in plain words, beside the facts that are data."""
        assert {s.state for s in situations() if s.socket} == {State.DISPLAYED}
        assert {s.transport for s in situations() if s.socket} == {
            Phase.OPENING,
            Phase.LISTENING,
            Phase.CLOSING,
        }

    def test_promise_2_leaving_takes_nine_steps_at_most(self) -> None:
        """From deciding to leave to the row, whatever the world does, it is nine steps."""
        assert MODEL.longest_pending() == 9

    def test_promise_8_when_pair_has_returned_nothing_is_left(self) -> None:
        """While no `pair()` runs, only the state tells one situation from another."""
        plain = {Situation(state) for state in (State.IDLE, State.CONNECTED, State.FAILED)}
        assert {s for s in situations() if s.pairing is Pairing.NOBODY} == plain

    def test_once_the_phone_has_the_code_its_own_lifetime_ends_nothing(self) -> None:
        """What runs out is the deadline of what the person owes, or that of the attempt."""
        over: dict[Phase | None, set[Deadline | Check | None]] = defaultdict(set)
        for situation in situations():
            over[situation.phase].add(situation.final_check)
        for_all = {None, Deadline.ATTEMPT, *Check}
        assert over == {
            None: {None},
            Phase.ACQUIRING: {None, Deadline.ATTEMPT, Deadline.LEASE},
            Phase.REQUESTING: {None, Deadline.ATTEMPT, Check.VERDICT, Deadline.REQUEST},
            Phase.SCANNING: {*for_all, Deadline.CODE},
            Phase.APPROVING: {*for_all, Deadline.APPROVAL},
            Phase.ACTING: {*for_all, Deadline.ACTION},
        }

    def test_each_kind_of_signal_may_come_by_the_wire_and_by_the_status(self) -> None:
        """Every kind of signal is among the moves, from the transport as from a read."""
        ours = (kind for kind in Signal.__subclasses__() if kind.__module__ == Signal.__module__)
        kinds = {kind.event for kind in ours} - {None}  # "changed" moves nothing
        for label in (Label.SIGNAL, Label.STATUS):
            came = {m.event for s in situations() for m in moves(s) if m.label is label}
            assert came == kinds

    def test_every_row_is_taken(self) -> None:
        """The rows that are taken are the rows of the table."""
        taken = {m.rule.row for s in situations() for m in moves(s)} - {None}
        assert taken == {(source, row.event) for source, row in single_rows()}

    def test_late_events_move_nothing_but_what_replaces_what_is_pending(self) -> None:
        """A cancellation or a failure replaces what ends no attempt; nothing else is taken."""
        late = [(s, m) for s in situations() for m in moves(s) if s.pending is not None]
        assert {m.label for _, m in late} & {Label.STATUS, Label.ANSWER, Label.NOT_SHOWN} == set()
        assert {m.event for _, m in late if m.label is Label.SIGNAL} == {Event.FAIL}
        assert {m.event for _, m in late if m.label is Label.TRIGGER} == {Event.CANCEL}
        replaced = {
            (s.pending, m.situation.pending)
            for s, m in late
            if m.situation.pending not in (None, s.pending)
        }
        assert {after for _, after in replaced} == {Event.CANCEL, Event.FAIL}
        assert {before for before, _ in replaced} & ENDINGS == set()

    def test_who_moves_is_told(self) -> None:
        """Each actor has labels, and the lifecycle and the clock need nobody's help."""
        assert {label.by for label in Label} == set(Actor)
        assert {Actor.LIFECYCLE, Actor.CLOCK} == UNAIDED

    def test_every_value_is_one_that_a_field_may_have(self) -> None:
        """No situation has a value that is not listed for its field."""
        for situation in situations():
            for field, values in FIELDS.items():
                assert getattr(situation, field) in values


class TestFollowing:
    """What somebody needs who follows the real code with the model."""

    def test_at_rest_only_the_world_moves(self) -> None:
        """Where the lifecycle rests it has no move; elsewhere it has one."""
        for situation in situations():
            assert rest(situation) is all(m.by is not Actor.LIFECYCLE for m in moves(situation))

    def test_settling_leads_to_rest(self) -> None:
        """Left alone, the lifecycle comes to rest, from wherever it is."""
        for situation in situations():
            calm = settled(situation)
            assert calm
            assert all(rest(each) for each in calm)
        assert settled(initial()) == {initial()}

    def test_a_round_can_be_followed(self) -> None:
        """A code is asked for, shown, scanned and confirmed; then the socket is gone."""
        round_ = [
            (Label.PAIR, Event.GENERATE),
            (Label.GRANTED, None),
            (Label.ANSWER, Event.QR_READY),
            (Label.SOCKET, None),
            (Label.OPENED, None),
            (Label.SIGNAL, Event.SCANNED),
            (Label.SIGNAL, Event.PAIRED),
            (Label.SHUT, None),
            (Label.CLOSED, None),
        ]
        seen = []
        here = initial()
        for label, event in round_:
            (move,) = (m for m in moves(here) if (m.label, m.event) == (label, event))
            (here,) = settled(move.situation)
            seen.append((here.state, here.socket))
        shown, gone = (State.DISPLAYED, True), (State.DISPLAYED, False)
        assert seen == [
            (State.GENERATING, False),
            (State.GENERATING, False),
            gone,
            *[shown] * 4,
            gone,
            (State.CONNECTED, False),
        ]
        assert here.pairing is Pairing.NOBODY


class TestBrokenLifecycles:
    """What a lifecycle with a fault is told."""

    @pytest.mark.parametrize("model", LEAKING.values(), ids=LEAKING.keys())
    def test_leaving_displayed_without_closing_is_refuted(self, model: Model) -> None:
        """Whoever leaves at once leaves a socket behind, and the trace shows it."""
        violations = {violation.name: violation for violation in model.violations()}
        assert {"exclusion", "gone_first"} <= violations.keys()
        trace = violations["exclusion"].trace
        assert trace[-1].situation.socket
        assert trace[-1].situation.state is not State.DISPLAYED

    def test_the_trace_is_a_shortest_one_and_can_be_read(self) -> None:
        """The counterexample names each step, who took it, and where it led."""
        violation = next(LEAKING["displayed paired"].violations())
        assert str(violation).splitlines()[-3:] == [
            "   6. status: paired         displayed, running, scanning, transport opening, "
            "pending: paired, leased  (service)",
            "   7. socket                 displayed, running, scanning, transport opening, socket, "
            "pending: paired, leased  (transport)",
            "   8. commit: paired         connected, returning, socket  (lifecycle)",
        ]

    def test_a_leaving_without_a_row_never_ends(self) -> None:
        """Where what is pending has no row, neither it nor the `pair()` comes to an end."""
        rows = [replace(row, sources=(source,)) for source, row in single_rows()]
        table = tuple(r for r in rows if (*r.sources, r.event) != (State.DISPLAYED, Event.FAIL))
        found = {violation.name: violation for violation in Model(Chart(table)).violations()}
        assert {"pending_is_taken", "runs_end", "row_from_displayed"} <= found.keys()
        assert found["pending_is_taken"].trace[-1].situation.pending is Event.FAIL
        assert "there is ever" in str(found["nothing_is_vacuous"])

    @pytest.mark.parametrize("owner", [state for state in State if state is not State.DISPLAYED])
    def test_another_owner_of_the_socket_is_refuted(self, owner: State) -> None:
        """The socket belongs to `displayed`, and to no other state."""
        assert "exclusion" in {v.name for v in Model(Chart(socket_owner=owner)).violations()}

    @pytest.mark.slow
    def test_a_table_with_one_row_changed_passes_unnoticed_by_nothing(self) -> None:
        """The model refutes each of them, and none has the rows that it should have."""
        assert triples(TABLE) == GOLDEN
        for rows, table in mutants().items():
            assert rows != GOLDEN
            assert next(Model(Chart(table)).violations(), None) is not None
        assert f"Each of the {len(mutants())} tables" in PAGE.read_text()


class TestAlteredData:
    """Every datum of the lifecycle, altered, and what refuses it."""

    @pytest.mark.parametrize(
        "datum",
        [
            pytest.param(datum, marks=pytest.mark.slow if number % 4 else ())
            for number, datum in enumerate(REFUTED_BY)
        ],
    )
    def test_each_datum_is_refuted_when_it_is_altered(self, datum: str) -> None:
        """The plainest alteration of each, by a fact of the model or a test of the data."""
        assert refuted_by(ALTERED[datum]) in REFUTED_BY[datum]

    def test_every_datum_is_in_the_list(self) -> None:
        """And nothing else is."""
        assert list(ALTERED) == list(REFUTED_BY)
        number = len(list(alterations()))
        assert f"{number} alterations of {len(REFUTED_BY)} data" in PAGE.read_text()

    @pytest.mark.slow
    def test_every_alteration_is_refuted(self) -> None:
        """All of them, and each line of the list is what refutes that datum's."""
        found: dict[str, set[str | None]] = defaultdict(set)
        for alteration in alterations():
            found[alteration.datum].add(refuted_by(alteration))
        assert found == {datum: set(names) for datum, names in REFUTED_BY.items()}


def refuted_by(alteration: Alteration) -> str | None:
    """The first fact that refuses the altered data, or else the first test of the data itself."""
    if (violation := next(Model(alteration.chart).violations(), None)) is not None:
        return violation.name
    for name, test in vars(test_states).items():
        if name.startswith("test_"):
            try:
                test(alteration.chart)
            except (AssertionError, InvalidTable):
                return name
    return None


class TestProof:
    """The facts, proved by induction."""

    def test_promise_1_2_3_5_8_are_inductive(self) -> None:
        """The facts hold at the beginning, and every rule keeps them, from any situation at all."""
        pytest.importorskip("z3", reason="the proof needs z3-solver, of qrlifecycle[dev]")
        from tests.model.proof import counterexamples

        assert list(counterexamples(MODEL)) == []

    @pytest.mark.parametrize(
        "row", [Event.PAIRED, pytest.param(Event.GENERATE, marks=pytest.mark.slow)]
    )
    def test_a_broken_lifecycle_cannot_be_proved(self, row: Event) -> None:
        """The counterexample names the fact, and the move that breaks it."""
        pytest.importorskip("z3", reason="the proof needs z3-solver, of qrlifecycle[dev]")
        from tests.model.proof import counterexamples

        found = list(counterexamples(LEAKING[f"displayed {row}"]))
        assert any(each.startswith(f"gone_first is broken by 'commit: {row}'") for each in found)

    @pytest.mark.slow
    def test_a_broken_table_cannot_be_proved(self) -> None:
        """A table that shows its code elsewhere is refuted at the row that leads there."""
        pytest.importorskip("z3", reason="the proof needs z3-solver, of qrlifecycle[dev]")
        from tests.model.proof import counterexamples

        found = list(counterexamples(Model(Chart(MISDIRECTED))))
        assert any(
            each.startswith("where_pair_runs is broken by 'commit: qr_ready'") for each in found
        )


@pytest.fixture(scope="module")
def spin(tmp_path_factory: pytest.TempPathFactory) -> Spin:
    """Spin, with our model."""
    return Spin(tmp_path_factory.mktemp("spin"), MODEL)


@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (apt: spin, gcc)")
class TestSpin:
    """What the independent judge says."""

    @pytest.mark.slow
    def test_it_sees_the_situations_that_the_enumeration_sees(self, spin: Spin) -> None:
        """No assertion fails, nothing stands still, no step is unused, and the counts are ours."""
        report = spin.steps()
        assert figure(report, "errors:") == 0
        assert "invalid end states\t+" in report
        assert unused(report) == []
        assert figure(report, "states, stored") == len(situations())
        steps = sum(len(moves(situation)) for situation in situations())
        assert figure(report, "transitions") == steps + 1  # the first is the beginning

    def test_promise_1_2_3_5_8_hold_as_claims(self, spin: Spin) -> None:
        """Every claim holds: safety always, progress as far as its fairness goes."""
        assert len(spin.claims) > len(FAIR_CLAIMS) + 1
        assert [c for c in spin.claims if figure(spin.claim(c), "errors:")] == []

    @pytest.mark.parametrize("claim", FAIR_CLAIMS)
    def test_fairness_is_needed_where_it_is_asked_for(self, spin: Spin, claim: str) -> None:
        """A world that never pauses could starve the lifecycle: so the claim is no empty one."""
        assert figure(spin.claim(claim, fair=False), "errors:") == 1

    @pytest.mark.slow
    @pytest.mark.parametrize("row", ["displayed paired", "displayed expired"])
    def test_a_leaking_lifecycle_is_refuted(self, tmp_path: Path, row: str) -> None:
        """Leaving `displayed` without closing fails an assertion, and the exclusion."""
        leaking = Spin(tmp_path, LEAKING[row])
        assert figure(leaking.steps(), "errors:") == 1
        assert figure(leaking.claim("exclusion"), "errors:") == 1

    @pytest.mark.slow
    def test_a_broken_table_is_refuted(self, tmp_path: Path) -> None:
        """A code that leads elsewhere, or a transport elsewhere, breaks what it should."""
        misdirected = Spin(tmp_path, Model(Chart(MISDIRECTED)))
        assert figure(misdirected.claim("where_pair_runs"), "errors:") == 1
        assert figure(Spin(tmp_path, Model(MISPLACED)).claim("exclusion"), "errors:") == 1

    @pytest.mark.slow
    def test_a_graceful_close_that_may_last_for_ever_is_refuted(self, tmp_path: Path) -> None:
        """If nothing ends it, what is pending is not taken, and everything stands still."""
        option = r"  /\* (closed|close timeout|shield broken)\..*?     }\n"
        endless = Spin(tmp_path, re.sub(option, "", promela(MODEL), flags=re.DOTALL))
        assert "invalid end state" in endless.steps().split("\n\n", 1)[0]
        assert figure(endless.claim("pending_is_taken"), "errors:") == 1


class TestPrinted:
    """`qrlifecycle model`."""

    def test_the_json_is_the_whole_model(self) -> None:
        """Situations, moves, rows and labels are all there, and every index leads somewhere."""
        read = json.loads(document(MODEL))
        assert (read["format"], read["version"]) == ("qrlifecycle-model", 1)
        assert len(read["situations"]) == len(situations())
        assert read["fields"].keys() | {"rest"} == read["situations"][0].keys()
        assert read["situations"][read["initial"]]["state"] == "idle"
        assert len(read["moves"]) == sum(len(moves(s)) for s in situations())
        for move in read["moves"]:
            assert {move["source"], move["target"]} <= set(range(len(read["situations"])))
        assert {move["label"] for move in read["moves"]} == {
            label["name"] for label in read["labels"]
        }
        assert {tuple(row.values()) for row in read["rows"]} == GOLDEN
        assert {"exclusion", "gone_first"} <= {fact["name"] for fact in read["properties"]}

    def test_another_table_is_another_model(self) -> None:
        """Whatever is printed is made from the table that it is given."""
        for write in (promela, document):
            assert write(Model(Chart(MISDIRECTED))) != write(MODEL)

    def test_promela_is_what_is_printed(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Without a format it is Promela, and every line fits a page."""
        assert main(["model"]) == 0
        printed = capsys.readouterr().out
        assert printed == promela(MODEL)
        assert max(map(len, printed.splitlines())) <= 200
        assert main(["model", "--format", "json"]) == 0
        assert capsys.readouterr().out == document(MODEL)

    @pytest.mark.parametrize(("name", "write"), [("m.pml", promela), ("m.json", document)])
    def test_a_file_s_suffix_tells_its_format(
        self, name: str, write: object, tmp_path: Path
    ) -> None:
        """What is written is in the format that the name tells."""
        assert callable(write)
        assert main(["model", "--output", str(tmp_path / name)]) == 0
        assert (tmp_path / name).read_text() == write(MODEL)

    @pytest.mark.parametrize(
        "arguments",
        ["--format tla", "--output model", "--output model.svg", "--output /nowhere/m.pml"],
    )
    def test_what_cannot_be_used_is_told_in_one_line(
        self, arguments: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """An unknown format, or a file that cannot be, ends with exit code 2."""
        assert main(["model", *arguments.split()]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("qrlifecycle: error: ")
        assert captured.err.count("\n") == 1

    def test_it_is_light(self) -> None:
        """Printing the model imports nothing that only a socket or a screen needs."""
        heavy = {"anyio", "asyncio", "aiohttp", "socketio", "ssl", "rich", "transitions", "z3"}
        script = (
            "import sys; from qrlifecycle.cli import main; main(['model']); "
            f"print(*({heavy} & sys.modules.keys()), file=sys.stderr)"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=False
        )
        assert done.stderr.strip() == ""


class TestPage:
    """What docs/model.md says."""

    def test_its_figures_are_the_model_s(self) -> None:
        """The numbers of situations, moves and steps on the page are the enumeration's."""
        page = PAGE.read_text()
        steps = sum(len(moves(situation)) for situation in situations())
        assert f"{len(situations())} situations and {steps} moves" in page
        assert f"the same {len(situations())} states" in page
        assert f"at most {MODEL.longest_pending()} steps" in page
        assert f"{len(MODEL.rules)} rules" in page
        assert f"{len(MODEL.facts)} facts of every situation" in page
        assert f"{len(MODEL.step_facts)} of every step" in page
        assert f"{len(MODEL.abilities)} of what must be able to happen" in page

    def test_its_listing_prints_what_it_says(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The Python listing of the page runs, and prints what stands below it."""
        (listing,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), FENCED)
        (printed,) = re.findall(r"^```text\n(.*?)^```", PAGE.read_text(), FENCED)
        exec(listing, {})
        assert capsys.readouterr().out == printed
