"""Whether the real code is where the model says it can be, after every move.

The model (`qrlifecycle.proof.model`) is followed beside the code: from each situation that the code
may have been in, by what was done and by what the lifecycle and the clock do by themselves. Where
the code stands must be among those. This room must never know how a move was chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from ...states import ENDS, Event
from ...testing.acts import (
    Act,
    ScheduledAct,
)
from ..model import (
    Label,
    Phase,
    Situation,
    Walk,
    initial,
    moves,
)
from ..model.situation import Actor
from .scene import Scene

__all__ = ["BEGINNING", "Seen", "conforms", "differs", "may_be", "phrase", "seen_in", "stands"]

BEGINNING = frozenset({initial()})

Said = tuple[Label, Event | None]

Seen = tuple[object, ...]
"""What of a model's situation can be seen from outside: all but its plan and its socket."""

SIGNAL_EVENTS = {
    Act.ROTATED: Event.QR_UPDATED,
    Act.SCANNED: Event.SCANNED,
    Act.ACTION: Event.ACTION_REQUIRED,
    Act.PAIRED: Event.PAIRED,
    Act.STRANGER: Event.FAIL,
    Act.EXPIRED: Event.EXPIRED,
    Act.FAILED: Event.FAIL,
}

SAYS: dict[Act, tuple[Said, ...]] = {
    Act.PAIR: ((Label.PAIR, None), (Label.PAIR, Event.GENERATE)),
    Act.GENERATE: ((Label.TRIGGER, Event.GENERATE),),
    Act.CANCEL: ((Label.TRIGGER, Event.CANCEL),),
    Act.RESET: ((Label.TRIGGER, Event.RESET),),
    Act.CANCELLED: ((Label.CANCELLED, None),),
    Act.CODE: ((Label.ANSWER, Event.QR_READY),),
    Act.ALREADY_PAIRED: ((Label.ANSWER, Event.PAIRED),),
    Act.DENIED: ((Label.REFUSAL, Event.FAIL),),
    Act.FAILING: ((Label.REFUSAL, Event.FAIL),),
    Act.OK: tuple(
        (label, None) for label in (Label.SOCKET, Label.LISTENING, Label.SHUT, Label.GOODBYE)
    ),
    Act.UNREACHABLE: ((Label.BROKEN, None),),
    Act.REFUSED: ((Label.REFUSED, None),),
    Act.BROKEN: ((Label.BROKEN, None), (Label.GOODBYE, None)),
    **{act: ((Label.SIGNAL, event),) for act, event in SIGNAL_EVENTS.items()},
    Act.HANG_UP: ((Label.BROKEN, None),),
    Act.BREAK: ((Label.BROKEN, None),),
    Act.NONSENSE: ((Label.BROKEN, None),),
    Act.SAYS_NOTHING: (),
    Act.SAYS_PAIRED: ((Label.STATUS, Event.PAIRED),),
    Act.SAYS_ROTATED: ((Label.STATUS, Event.QR_UPDATED),),
    Act.SAYS_FAILED: ((Label.STATUS, Event.FAIL),),
    Act.SAYS_NONSENSE: (),
    Act.TICK: (),
}
"""What an act is in the model's words; one of them, or nothing if it is refused or too late."""


TIMELY = frozenset({Act.TICK, Act.EXPIRED})
"""With these a deadline may run out: without grace, a code that expired is over in that instant."""


def may_be(
    before: frozenset[Situation], move: ScheduledAct, pending: Iterable[Act]
) -> frozenset[Situation]:
    """Where the model can be after a move, everybody waiting.

    Args:
        before: where it can have been.
        move: what was done.
        pending: acts of earlier moves whose effect was still to come.
    """
    acts = (move.act, *(act for _, act in move.racing), *pending)
    return _reach(before, tuple(SAYS[act] for act in sorted(acts)), not TIMELY.isdisjoint(acts))


@lru_cache(maxsize=2**16)
def _reach(
    before: frozenset[Situation], said: tuple[tuple[Said, ...], ...], clock: bool
) -> frozenset[Situation]:
    """All that some order of these can lead to; each happens once, or not at all."""
    start = {(situation, frozenset(range(len(said)))) for situation in before}
    reached, frontier = set(start), list(start)
    while frontier:
        situation, left = frontier.pop()
        for follow in _steps(situation, left, said, clock):
            if follow not in reached:
                reached.add(follow)
                frontier.append(follow)
    return frozenset(situation for situation, _ in reached)


_moves = lru_cache(maxsize=None)(moves)


def _steps(
    situation: Situation, left: frozenset[int], said: tuple[tuple[Said, ...], ...], clock: bool
) -> Iterator[tuple[Situation, frozenset[int]]]:
    """What can come next: one of the acts that are left, or what nobody does."""
    for step in _moves(situation):
        if step.by is Actor.LIFECYCLE or (clock and step.by is Actor.CLOCK):
            yield step.situation, left
        for index in left:
            if (step.label, step.event) in said[index]:
                yield step.situation, left - {index}


def seen_in(situation: Situation) -> Seen:
    """What of a model's situation can be seen."""
    return (
        situation.state,
        situation.walk,
        situation.leaving,
        situation.phase,
        situation.cancelled and situation.walking,
    )


def stands(scene: Scene) -> Seen:
    """The same of the real code."""
    inside, scope = scene.judge.lifecycle.snapshot(), scene.judge.scope
    walk = Walk.RETURNING if inside.state in ENDS else Walk.WALKING
    if scene.walk is None:
        walk = Walk.NOBODY
    cancelled = scope is not None and scope.cancel_called
    return (inside.state, walk, inside.pending, scene.phase, cancelled)


def conforms(situations: Iterable[Situation], scene: Scene) -> frozenset[Situation]:
    """Those of the model's situations in which the real code can be now."""
    seen, socket = stands(scene), scene.peer.open_sockets > 0
    return frozenset(
        situation
        for situation in situations
        if seen_in(situation) == seen and (situation.socket or not socket)
    )


# In words

WALKS = {
    Walk.NOBODY: ", nobody in pair()",
    Walk.WALKING: "",
    Walk.RETURNING: ", pair() about to return",
}

PHASES = {
    Phase.NONE: " with no transport",
    Phase.OPENING: " with a transport that connects",
    Phase.HANDSHAKE: " with a transport in its handshake",
    Phase.LISTENING: " with a transport that listens",
    Phase.CLOSING: " with a transport that says goodbye",
}

MOST_PLACES = 4
"""Places that are told of where the model can be."""


def phrase(seen: Seen) -> str:
    """What can be seen of a situation, in words."""
    state, walk, leaving, phase, cancelled = seen
    assert isinstance(walk, Walk)
    assert isinstance(phase, Phase)
    by = f", leaving by '{leaving}'" if leaving else ""
    late = ", the caller cancelled" if cancelled else ""
    return f"'{state}'{PHASES[phase]}{by}{WALKS[walk]}{late}"


def differs(situations: Iterable[Situation], scene: Scene) -> str:
    """That the real code is in none of the model's situations, in a sentence."""
    seen = stands(scene)
    places = sorted({phrase(seen_in(situation)) for situation in situations})
    if phrase(seen) in places:  # all else is as it can be
        return f"the code is in {phrase(seen)} and has a socket; by the model it can have none"
    told = "; ".join(places[:MOST_PLACES])
    rest = len(places) - MOST_PLACES
    more = f"; or in {rest} other places" if rest > 0 else ""
    return f"the code is in {phrase(seen)}; by the model it can be in {told}{more}"
