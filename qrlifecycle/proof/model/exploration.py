"""Every situation that can be reached, and whether what must hold does hold.

Enumeration is breadth first, so a fault comes with a shortest way to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from ...states import Event, State, single_phase_rows
from .abilities import make_abilities
from .chart import CHART, Chart
from .facts import Ability, Fact, StepFact, make_facts
from .lifecycle import LifecycleRules
from .rules import Rule, holds
from .situation import FIELDS, Actor, Label, Pairing, Situation
from .step_facts import make_step_facts
from .world import WorldRules

__all__ = ["UNAIDED", "Counterexample", "Model", "Move"]

UNAIDED = frozenset({Actor.LIFECYCLE, Actor.CLOCK})
"""Those whose moves need nobody's help: they come sooner or later, whatever the world does."""

NOTHING = Situation(state=State.IDLE)
"""Where a lifecycle is to begin."""


@dataclass(frozen=True, slots=True)
class Move:
    """A rule that was taken, and where it led."""

    rule: Rule
    situation: Situation

    @property
    def label(self) -> Label:
        """What happened."""
        return self.rule.label

    @property
    def event(self) -> Event | None:
        """The table's word for it, if it has one."""
        return self.rule.event

    @property
    def by(self) -> Actor:
        """Who did it."""
        return self.rule.by


@dataclass(frozen=True)
class Counterexample:
    """Something that must hold and does not, with a shortest way there."""

    name: str
    says: str
    start: Situation
    trace: tuple[Move, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.name}: it is not so that {self.says}"]
        if self.trace:
            lines.append(f"      {'':22} {self.start}")
        for number, move in enumerate(self.trace, 1):
            by = f"({move.by})"
            lines.append(f"  {number:2}. {move.rule.name:22} {move.situation}  {by}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Model:
    """A lifecycle with its world, made from the lifecycle's data.

    Args:
        chart: the data.
        at_once: (source, event) of rows that do not wait for the transport to be gone: a lifecycle
            has none. It is there to show that the checks would notice.
    """

    chart: Chart = CHART
    at_once: frozenset[tuple[State, Event]] = frozenset()

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """What may happen."""
        world = WorldRules(self.chart).rules()
        return (*world, *LifecycleRules(self.chart, self.at_once).rules())

    @cached_property
    def facts(self) -> tuple[Fact, ...]:
        """What must hold in every situation."""
        return make_facts(self.chart)

    @cached_property
    def step_facts(self) -> tuple[StepFact, ...]:
        """What must hold of every step."""
        return make_step_facts()

    @cached_property
    def abilities(self) -> tuple[Ability, ...]:
        """What must be able to happen."""
        return make_abilities()

    @cached_property
    def _near(self) -> dict[tuple[object, ...], tuple[Rule, ...]]:
        return {}

    def _rules_near(self, situation: Situation) -> tuple[Rule, ...]:
        """The rules that these few fields do not exclude: there are far fewer of them."""
        fields = ("state", "pending", "transport", "phase", "final_check")
        key = tuple(getattr(situation, field) for field in fields)
        if (near := self._near.get(key)) is None:
            pairs = list(zip(fields, key, strict=True))
            near = self._near[key] = tuple(
                rule
                for rule in self.rules
                if all(
                    field not in rule.when or value in rule.when[field] for field, value in pairs
                )
            )
        return near

    def moves(self, situation: Situation) -> tuple[Move, ...]:
        """Everything that may happen next."""
        near = self._rules_near(situation)
        return tuple(Move(rule, rule.take(situation)) for rule in near if rule.allows(situation))

    def rest(self, situation: Situation) -> bool:
        """Whether only the world or the clock can move it on."""
        return not any(move.by is Actor.LIFECYCLE for move in self.moves(situation))

    def settled(self, situation: Situation) -> frozenset[Situation]:
        """Where the lifecycle, left alone at this very instant, may come to rest."""
        seen, frontier = {situation}, [situation]
        while frontier:
            own = (move for move in self.moves(frontier.pop()) if move.by is Actor.LIFECYCLE)
            new = {move.situation for move in own} - seen
            seen |= new
            frontier += new
        return frozenset(each for each in seen if self.rest(each))

    # The enumeration

    @cached_property
    def graph(self) -> dict[Situation, tuple[Move, ...]]:
        """Every situation that can be reached, nearest first, with everything that may follow."""
        graph: dict[Situation, tuple[Move, ...]] = {}
        layer = [self.chart.beginning]
        while layer:
            for situation in layer:
                graph[situation] = self.moves(situation)
            follow = (move.situation for situation in layer for move in graph[situation])
            layer = [each for each in dict.fromkeys(follow) if each not in graph]
        return graph

    @cached_property
    def _came_by(self) -> dict[Situation, tuple[Situation, Move]]:
        came_by: dict[Situation, tuple[Situation, Move]] = {}
        for situation, moves in self.graph.items():
            for move in moves:
                came_by.setdefault(move.situation, (situation, move))
        return came_by

    def trace(self, situation: Situation) -> tuple[Move, ...]:
        """A shortest way from the beginning to a situation that can be reached."""
        moves: list[Move] = []
        while situation != self.chart.beginning:
            situation, move = self._came_by[situation]
            moves.append(move)
        return tuple(reversed(moves))

    # The verdict

    def violations(self) -> Iterator[Counterexample]:
        """Whatever must hold and does not; none for a lifecycle that keeps its promises."""
        if self.chart.beginning != NOTHING:
            yield Counterexample("beginning", "a lifecycle begins idle", self.chart.beginning)
        yield from self._wrong_situations()
        yield from self._wrong_steps()
        yield from self._missing_moves()
        yield from self._endless_pending()
        yield from self._endless_runs()
        yield from self._never_seen()

    def _violation(self, name: str, says: str, at: Situation, *more: Move) -> Counterexample:
        return Counterexample(name, says, self.chart.beginning, (*self.trace(at), *more))

    def _wrong_situations(self) -> Iterator[Counterexample]:
        for fact in self.facts:
            for situation in self.graph:
                if holds(fact.when, situation) and not holds(fact.then, situation):
                    yield self._violation(fact.name, fact.says, situation)
                    break

    def _wrong_steps(self) -> Iterator[Counterexample]:
        steps: dict[int, list[tuple[Situation, Move]]] = {id(rule): [] for rule in self.rules}
        for situation, moves in self.graph.items():
            for move in moves:
                steps[id(move.rule)].append((situation, move))
        for fact in self.step_facts:
            concerned = (each for r in self.rules if fact.concerns(r) for each in steps[id(r)])
            for situation, move in concerned:
                if not (holds(fact.before, situation) and holds(fact.after, move.situation)):
                    yield self._violation(fact.name, fact.says, situation, move)
                    break

    def _missing_moves(self) -> Iterator[Counterexample]:
        for ability in self.abilities:
            for situation, moves in self.graph.items():
                if holds(ability.when, situation) and not any(
                    ability.grants(move.rule) for move in moves
                ):
                    yield self._violation(ability.name, ability.says, situation)
                    break

    def _endless_pending(self) -> Iterator[Counterexample]:
        if isinstance(end := self.longest_pending(), Situation):
            says = "what is pending is taken, by the lifecycle and the clock alone if need be"
            yield self._violation("pending_is_taken", says, end)

    def longest_pending(self) -> int | Situation:
        """The most steps from deciding on a row out of a state to the row being taken.

        The world may do what it likes meanwhile, and still the steps come to an end. Where they do
        not, the answer is a situation from which they do not.
        """
        steps: dict[Situation, int] = {}
        left = [situation for situation in self.graph if situation.pending is not None]
        while left:
            ready = {each: count for each in left if (count := self._steps(each, steps))}
            if not ready:
                return left[0]
            steps |= ready
            left = [each for each in left if each not in steps]
        return max(steps.values(), default=0)

    def _steps(self, situation: Situation, known: dict[Situation, int]) -> int | None:
        """The most steps left, if they are known of whatever may follow; None if not yet."""
        moves = self.graph[situation]
        if not any(move.by in UNAIDED for move in moves):
            return None
        follow = {move.situation for move in moves if move.situation.pending is not None}
        return (
            None if follow - known.keys() else 1 + max((known[each] for each in follow), default=0)
        )

    def _endless_runs(self) -> Iterator[Counterexample]:
        ending = {each for each in self.graph if each.pairing is Pairing.NOBODY}
        left = [each for each in self.graph if each not in ending]
        unaided = {s: [m.situation for m in self.graph[s] if m.by in UNAIDED] for s in left}
        while left:
            new = {each for each in left if not ending.isdisjoint(unaided[each])}
            if not new:
                says = "from everywhere a pair() can end by the lifecycle and the clock alone"
                yield self._violation("runs_end", says, left[0])
                return
            ending |= new
            left = [each for each in left if each not in ending]

    def _never_seen(self) -> Iterator[Counterexample]:
        """What is in the data, among the values or among the rules, and happens nowhere."""
        steps = [(s, move) for s, moves in self.graph.items() for move in moves]
        taken = list({id(move.rule): move.rule for _, move in steps}.values())
        rows = {(source, row.event) for source, row in self.chart.rows}
        unseen = [f"row {s}, {e}" for s, e in sorted(rows - {rule.row for rule in taken})]
        phase_rows = {(p, row.by) for p, row in single_phase_rows(self.chart.phase_rows)}
        used = {each for rule in taken for each in rule.phase_rows}
        unseen += [f"row {phase}, {by}" for phase, by in sorted(phase_rows - used)]
        replaced = {(s.state, move.event, s.pending) for s, move in steps if _replaces(s, move)}
        for source, row in self.chart.rows:
            missing = set(row.replaces) - {
                p for s, e, p in replaced if (s, e) == (source, row.event)
            }
            unseen += [f"{row.event} in place of {event} in {source}" for event in sorted(missing)]
        names = NAMES | {rule.name for rule in self.rules}
        unseen += [f"move {name}" for name in sorted(names - {rule.name for rule in taken})]
        counted = {id(rule) for rule in taken}
        unseen += [f"rule {rule.name}" for rule in self.rules if id(rule) not in counted]
        for field, values in FIELDS.items():
            expected = values if field != "pending" else ()  # its values are the moves' names
            there = {getattr(situation, field) for situation in self.graph}
            unseen += [f"{field} {value}" for value in expected if value not in there]
        for what in unseen:
            yield Counterexample(
                "nothing_is_vacuous", f"there is ever: {what}", self.chart.beginning
            )


def _replaces(situation: Situation, move: Move) -> bool:
    return situation.pending not in (None, move.situation.pending) and (
        move.situation.pending is not None
    )


NAMES = frozenset(rule.name for rule in Model().rules)
"""Of the moves that there are by the lifecycle's own data."""
