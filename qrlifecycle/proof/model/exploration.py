"""Every situation that can be reached, and whether what must hold does hold.

Enumeration is breadth first, so a fault comes with a shortest way to it. This room must never know
a rule by name beyond who makes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from ...states import (
    SOCKET_OWNER,
    TABLE,
    Event,
    Row,
    State,
    single_rows,
)
from .facts import (
    Fact,
    StepFact,
    make_facts,
    make_step_facts,
)
from .rules import (
    Rule,
    holds,
    make_rules,
)
from .situation import (
    FIELDS,
    Actor,
    Label,
    Situation,
    Walk,
)

__all__ = ["INITIAL_SITUATION", "UNAIDED", "Model", "Move", "Violation"]

INITIAL_SITUATION = Situation()
"""Where every lifecycle begins."""

UNAIDED = frozenset({Actor.LIFECYCLE, Actor.CLOCK})
"""Those whose moves need nobody's help: they come sooner or later, whatever the world does."""


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
class Violation:
    """Something that must hold and does not, with a shortest way there."""

    name: str
    says: str
    trace: tuple[Move, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.name}: it is not so that {self.says}"]
        if self.trace:
            lines.append(f"      {'':22} {INITIAL_SITUATION}")
        for number, move in enumerate(self.trace, 1):
            by = f"({move.by})"
            lines.append(f"  {number:2}. {move.rule.name:22} {move.situation}  {by}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Model:
    """A lifecycle with its world, made from a table.

    Args:
        table: the rows that the lifecycle walks.
        socket_owner: the one state in which a socket may be open.
        at_once: (source, event) of rows that do not wait for the transport to be gone: a lifecycle
            has none. It is there to show that the checks would notice.
    """

    table: tuple[Row, ...] = TABLE
    socket_owner: State = SOCKET_OWNER
    at_once: frozenset[tuple[State, Event]] = frozenset()

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """What may happen."""
        return make_rules(self.table, self.at_once)

    @cached_property
    def facts(self) -> tuple[Fact, ...]:
        """What must hold in every situation."""
        return make_facts(self.table, self.socket_owner)

    @cached_property
    def step_facts(self) -> tuple[StepFact, ...]:
        """What must hold of every step."""
        return make_step_facts()

    def moves(self, situation: Situation) -> tuple[Move, ...]:
        """Everything that may happen next."""
        return tuple(
            Move(rule, rule.take(situation)) for rule in self.rules if rule.allows(situation)
        )

    def rest(self, situation: Situation) -> bool:
        """Whether only the world or the clock can move it on."""
        return not any(rule.by is Actor.LIFECYCLE and rule.allows(situation) for rule in self.rules)

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
        layer = [INITIAL_SITUATION]
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
        while situation != INITIAL_SITUATION:
            situation, move = self._came_by[situation]
            moves.append(move)
        return tuple(reversed(moves))

    # The verdict

    def violations(self) -> Iterator[Violation]:
        """Whatever must hold and does not; none for a lifecycle that keeps its promises."""
        yield from self._wrong_situations()
        yield from self._wrong_steps()
        yield from self._endless_leavings()
        yield from self._endless_walks()
        yield from self._never_seen()

    def _wrong_situations(self) -> Iterator[Violation]:
        for fact in self.facts:
            for situation in self.graph:
                if holds(fact.when, situation) and not holds(fact.then, situation):
                    yield Violation(fact.name, fact.says, self.trace(situation))
                    break

    def _wrong_steps(self) -> Iterator[Violation]:
        for fact in self.step_facts:
            for situation, moves in self.graph.items():
                wrong = (m for m in moves if fact.concerns(m.rule))
                if not holds(fact.before, situation) and (move := next(wrong, None)):
                    yield Violation(fact.name, fact.says, (*self.trace(situation), move))
                    break

    def _endless_leavings(self) -> Iterator[Violation]:
        if isinstance(end := self.longest_leaving(), Situation):
            says = "a leaving ends, whatever the world does, by the lifecycle and the clock alone"
            yield Violation("leaving_ends", says, self.trace(end))

    def longest_leaving(self) -> int | Situation:
        """The most steps from deciding to leave to the row being taken.

        The world may do what it likes meanwhile, and still the steps come to an end. Where they do
        not, the answer is a situation from which they do not.
        """
        steps: dict[Situation, int] = {}
        left = [situation for situation in self.graph if situation.leaving is not None]
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
        follow = {move.situation for move in moves if move.situation.leaving is not None}
        return (
            None if follow - known.keys() else 1 + max((known[each] for each in follow), default=0)
        )

    def _endless_walks(self) -> Iterator[Violation]:
        ending = {each for each in self.graph if each.walk is Walk.NOBODY}
        left = [each for each in self.graph if each not in ending]
        while left:
            unaided = {each: [m for m in self.graph[each] if m.by in UNAIDED] for each in left}
            new = {s for s, moves in unaided.items() if any(m.situation in ending for m in moves)}
            if not new:
                says = "from everywhere a walk can end by the lifecycle and the clock alone"
                yield Violation("walks_end", says, self.trace(left[0]))
                return
            ending |= new
            left = [each for each in left if each not in ending]

    def _never_seen(self) -> Iterator[Violation]:
        """What is in the table, among the values or among the rules, and happens nowhere."""
        taken = [move.rule for moves in self.graph.values() for move in moves]
        rows = {(source, row.event) for source, row in single_rows(self.table)}
        unseen = [f"row {s}, {e}" for s, e in sorted(rows - {rule.row for rule in taken})]
        names = {rule.name for rule in (*make_rules(), *self.rules)}
        unseen += [f"move {name}" for name in sorted(names - {rule.name for rule in taken})]
        counted = {id(rule) for rule in taken}
        unseen += [f"rule {rule.name}" for rule in self.rules if id(rule) not in counted]
        for field, values in FIELDS.items():
            expected = values if field != "leaving" else ()  # its values are the moves' names
            there = {getattr(situation, field) for situation in self.graph}
            unseen += [f"{field} {value}" for value in expected if value not in there]
        for what in unseen:
            yield Violation("nothing_is_vacuous", f"there is ever: {what}")
