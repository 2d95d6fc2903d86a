"""Whether the real code is where the model says it can be, after every move.

The model (`qrlifecycle.proof.model`) is followed beside the code: from each situation that the code
may have been in, by what was done and by what the lifecycle and the clock do by themselves. Where
the code stands, by its own snapshot and by what its transport shows, must be among those.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from ...states import ENDS, SOCKET_OWNER, Event, Phase, State
from ...testing.acts import Act, ScheduledAct
from ..model import Actor, Label, Pairing, Situation, initial, moves
from .scene import Scene

__all__ = ["BEGINNING", "Seen", "conforms", "differs", "may_be", "phrase", "seen_in", "stands"]

BEGINNING = frozenset({initial()})

Said = tuple[Label, Event | None]


class Seen(NamedTuple):
    """What of a model's situation can be seen of the real code."""

    state: State
    pairing: Pairing
    pending: Event | None
    transport: Phase | None
    """Where the code says that its transport is."""
    found: Phase | None
    """Where the transport itself is; not whether another is waited for."""
    socket: bool
    """Whether there is one while the transport opens; afterwards it may be gone sooner."""
    phase: Phase | None
    final_check: bool
    """Whether it is under way, while nothing is pending: afterwards that matters no more."""
    cancelled: bool
    leased: bool | None = None
    """Whether the lease is held; None where there is none to be seen."""


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
    Act.GRANTED: ((Label.GRANTED, None),),
    Act.HELD_ELSEWHERE: ((Label.NOT_GRANTED, Event.FAIL),),
    Act.LOSE: ((Label.LOST, Event.FAIL), (Label.LOST, None)),
    Act.CODE: ((Label.ANSWER, Event.QR_READY),),
    Act.ALREADY_PAIRED: ((Label.ANSWER, Event.PAIRED),),
    Act.DENIED: ((Label.REFUSAL, Event.FAIL),),
    Act.BUSY: (),
    Act.FAILING: ((Label.REFUSAL, Event.FAIL),),
    Act.OK: tuple(
        (label, None) for label in (Label.SOCKET, Label.OPENED, Label.SHUT, Label.CLOSED)
    ),
    Act.UNREACHABLE: ((Label.BROKEN, None),),
    Act.REFUSED: ((Label.REFUSED, None),),
    Act.BROKEN: ((Label.BROKEN, None), (Label.CLOSED, None)),
    **{act: ((Label.SIGNAL, event),) for act, event in SIGNAL_EVENTS.items()},
    Act.CHANGED: (),
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
    before: frozenset[Situation],
    move: ScheduledAct,
    pending: Iterable[Act],
    *,
    blind: bool = False,
    unaided: frozenset[Label] = frozenset(),
) -> frozenset[Situation]:
    """Where the model can be after a move, everybody waiting.

    Args:
        before: where it can have been.
        move: what was done.
        pending: acts of earlier moves whose effect was still to come.
        blind: whether a code that is shown meanwhile cannot be seen.
        unaided: what happens there by itself, that elsewhere somebody has to do.
    """
    acts = (move.act, *(act for _, act in move.racing), *pending)
    said = tuple(SAYS[act] for act in sorted(acts))
    said += (((Label.NOT_SHOWN, Event.FAIL),),) * blind
    return _reach(before, said, not TIMELY.isdisjoint(acts), unaided)


@lru_cache(maxsize=2**16)
def _reach(
    before: frozenset[Situation],
    said: tuple[tuple[Said, ...], ...],
    clock: bool,
    unaided: frozenset[Label],
) -> frozenset[Situation]:
    """All that some order of these can lead to; each happens once, or not at all."""
    start = {(situation, frozenset(range(len(said)))) for situation in before}
    reached, frontier = set(start), list(start)
    while frontier:
        situation, left = frontier.pop()
        for follow in _steps(situation, left, said, clock, unaided):
            if follow not in reached:
                reached.add(follow)
                frontier.append(follow)
    return frozenset(situation for situation, _ in reached)


_moves = lru_cache(maxsize=None)(moves)


def _steps(
    situation: Situation,
    left: frozenset[int],
    said: tuple[tuple[Said, ...], ...],
    clock: bool,
    unaided: frozenset[Label],
) -> Iterator[tuple[Situation, frozenset[int]]]:
    """What can come next: one of the acts that are left, or what nobody does."""
    for step in _moves(situation):
        by_itself = step.by is Actor.LIFECYCLE or step.label in unaided
        if by_itself or (clock and step.by is Actor.CLOCK):
            yield step.situation, left
        for index in left:
            if (step.label, step.event) in said[index]:
                yield step.situation, left - {index}


def seen_in(situation: Situation, *, leases: bool = False) -> Seen:
    """What of a model's situation can be seen; also of its lease, where there is one."""
    transport = situation.transport
    checks = situation.final_check is not None and transport is not Phase.CLOSING
    return Seen(
        situation.state,
        situation.pairing,
        situation.pending,
        transport,
        Phase.ABSENT if transport is Phase.WAITING else transport,
        situation.socket and transport is Phase.OPENING,
        situation.phase,
        checks,
        situation.cancelled and situation.pairing is not Pairing.NOBODY,
        situation.lease if leases else None,
    )


def stands(scene: Scene) -> Seen:
    """The same of the real code."""
    inside, scope = scene.judge.lifecycle.snapshot(), scene.judge.scope
    pairing = Pairing.RETURNING if inside.state in ENDS else Pairing.RUNNING
    if scene.pairing is None:
        pairing = Pairing.NOBODY
    return Seen(
        inside.state,
        pairing,
        inside.pending,
        inside.transport,
        scene.phase if inside.state is SOCKET_OWNER else None,
        scene.phase is Phase.OPENING and scene.peer.open_sockets > 0,
        inside.phase,
        inside.final_check and inside.pending is None,
        scope is not None and scope.cancel_called,
        bool(inside.leased) if scene.leases else None,
    )


def conforms(situations: Iterable[Situation], scene: Scene) -> frozenset[Situation]:
    """Those of the model's situations in which the real code can be now."""
    seen, socket = stands(scene), scene.peer.open_sockets > 0
    return frozenset(
        situation
        for situation in situations
        if seen_in(situation, leases=scene.leases) == seen and (situation.socket or not socket)
    )


# In words

PAIRINGS = {
    Pairing.NOBODY: ", no pair() running",
    Pairing.RUNNING: "",
    Pairing.RETURNING: ", pair() about to return",
}

TRANSPORTS = {
    None: " with no transport",
    Phase.ABSENT: " with no transport",
    Phase.OPENING: " with a transport that opens",
    Phase.LISTENING: " with a transport that listens",
    Phase.CLOSING: " with a transport that closes",
    Phase.WAITING: " with no transport until another is made",
}

MOST_PLACES = 4
"""Places that are told of where the model can be."""


def phrase(seen: Seen) -> str:
    """What can be seen of a situation, in words."""
    said = [
        f"'{seen.state}'{TRANSPORTS[seen.transport]}",
        " and a socket" if seen.socket else "",
        f", the person {seen.phase}" if seen.state is SOCKET_OWNER and seen.phase else "",
        ", in the final check" if seen.final_check else "",
        f", '{seen.pending}' pending" if seen.pending else "",
        PAIRINGS[seen.pairing],
        ", the caller cancelled" if seen.cancelled else "",
        ", leased" if seen.leased else "",
    ]
    if seen.found is not (Phase.ABSENT if seen.transport is Phase.WAITING else seen.transport):
        said.append(f" (in truth{TRANSPORTS[seen.found]})")
    return "".join(said)


def differs(situations: Iterable[Situation], scene: Scene) -> str:
    """That the real code is in none of the model's situations, in a sentence."""
    seen = stands(scene)
    places = sorted({phrase(seen_in(each, leases=scene.leases)) for each in situations})
    if phrase(seen) in places:  # all else is as it can be
        return f"the code is in {phrase(seen)} and has a socket; by the model it can have none"
    told = "; ".join(places[:MOST_PLACES])
    rest = len(places) - MOST_PLACES
    more = f"; or in {rest} other places" if rest > 0 else ""
    return f"the code is in {phrase(seen)}; by the model it can be in {told}{more}"
