"""What must hold of every step of the model: by hand, as all that is demanded (`facts`)."""

from __future__ import annotations

from collections.abc import Iterator

from ...states import Deadline, Event, Phase, State
from .facts import GOING_ON, NO_TRANSPORT, StepFact, of
from .rules import Guard
from .situation import Actor, Check, Fault

__all__ = ["make_step_facts"]

NEVER = of(state=())
"""What holds nowhere."""


def make_step_facts() -> tuple[StepFact, ...]:
    """What must hold of every step."""
    return (*_leaving(), *_entering(), *_lease(), *_transport(), *_phases(), *_time())


def _leaving() -> Iterator[StepFact]:
    yield StepFact(
        "gone_first",
        "a state is left only when the transport and its socket are gone",
        sets="state",
        values=frozenset(State),
        before=of(transport=NO_TRANSPORT, socket={False}),
    )
    yield StepFact(
        "an_end_is_kept",
        "once a success, a failure or a cancellation is decided, nothing replaces it",
        sets="pending",
        values=frozenset(Event),
        before=of(pending=GOING_ON),
    )
    yield StepFact(
        "only_an_end_replaces",
        "what is pending gives way to a failure or a cancellation, and to nothing else",
        sets="pending",
        values=frozenset(Event) - {Event.FAIL, Event.CANCEL},
        before=of(pending={None}),
    )
    yield StepFact(
        "another_code",
        "another code is asked for by itself only once a code ran out that nobody had scanned",
        sets="pending",
        values=frozenset({Event.EXPIRED}),
        before=of(final_check={Deadline.CODE}, phase={Phase.SCANNING}),
    )
    yield StepFact(
        "a_fresh_code",
        "otherwise only the person asks for another code",
        sets="pending",
        values=frozenset({Event.GENERATE}),
        actors=frozenset(Actor) - {Actor.PERSON},
        before=NEVER,
    )


def _entering() -> Iterator[StepFact]:
    """Each state is entered for its own reasons."""
    reasons: dict[State, set[Event | None]] = {
        State.IDLE: {Event.CANCEL, None},  # None: by reset()
        State.GENERATING: {Event.EXPIRED, Event.GENERATE, None},  # None: by pair()
        State.DISPLAYED: {Event.QR_READY},
        State.CONNECTED: {Event.PAIRED},
        State.FAILED: {Event.FAIL},
    }
    for state, events in reasons.items():
        told = " or ".join(sorted(event or "the person" for event in events))
        yield StepFact(
            f"to_{state}",
            f"only {told} leads to {state}",
            sets="state",
            values=frozenset({state}),
            before=of(pending=events),
        )
    yield StepFact(
        "put_away",
        "reset() puts an outcome away, and nothing else",
        events=frozenset({Event.RESET}),
        before=of(state={State.CONNECTED, State.FAILED}),
        after=of(state={State.IDLE}),
    )


def _lease() -> Iterator[StepFact]:
    """It is had before the service is asked, and given back when no transport is left."""
    yield StepFact(
        "leased_first",
        "the service is asked for a code only with the lease held",
        sets="phase",
        values=frozenset({Phase.REQUESTING}),
        after=of(lease={True}),
    )
    yield StepFact(
        "granted_once",
        "a lease is granted where it is waited for",
        sets="lease",
        values=frozenset({True}),
        before=of(phase={Phase.ACQUIRING}, pending={None}, lease={False}),
    )
    yield StepFact(
        "released_last",
        "a lease is given back only when no transport is held",
        sets="lease",
        values=frozenset({False}),
        actors=frozenset({Actor.LIFECYCLE}),
        before=of(transport=NO_TRANSPORT, socket={False}),
    )


def _transport() -> Iterator[StepFact]:
    transport: dict[Phase, tuple[str, str, Guard]] = {
        Phase.OPENING: (
            "one_socket",
            "a transport is made only with the lease held, when no other is held, the delay is "
            "over and nobody leaves",
            of(
                state={State.DISPLAYED},
                transport={Phase.ABSENT, Phase.WAITING},
                socket={False},
                fault={None},
                pending={None},
                final_check={None},
                cancelled={False},
                lease={True},
            ),
        ),
        Phase.LISTENING: (
            "listening",
            "a transport listens when it has opened",
            of(transport={Phase.OPENING}, socket={True}),
        ),
        Phase.CLOSING: (
            "closing",
            "a transport is closed when one is held",
            of(transport={Phase.OPENING, Phase.LISTENING}),
        ),
        Phase.ABSENT: (
            "gone",
            "a transport is gone when it was closed",
            of(transport={None, Phase.CLOSING}),
        ),
        Phase.WAITING: (
            "waiting",
            "another transport is waited for when the last one broke and is gone",
            of(transport={Phase.ABSENT}, fault={Fault.BROKEN}),
        ),
    }
    for phase, (name, says, before) in transport.items():
        values = frozenset({phase})
        yield StepFact(name, says, sets="transport", values=values, before=before)


def _phases() -> Iterator[StepFact]:
    """What a person owes follows from what happened."""
    scanning = frozenset({Event.QR_READY, Event.QR_UPDATED, Event.EXPIRED})
    only: dict[Phase, frozenset[Event | None]] = {
        Phase.ACQUIRING: frozenset({Event.GENERATE, Event.EXPIRED}),
        Phase.REQUESTING: frozenset({None}),
        Phase.SCANNING: scanning,
        Phase.APPROVING: frozenset({Event.SCANNED}),
        Phase.ACTING: frozenset({Event.ACTION_REQUIRED}),
    }
    for phase, events in only.items():
        told = " or ".join(sorted(event or "the lease" for event in events))
        yield StepFact(
            f"to_{phase}",
            f"only {told} leads to {phase}",
            sets="phase",
            values=frozenset({phase}),
            events=frozenset({None, *Event}) - events,
            before=NEVER,
        )
    yield StepFact(
        "scanned_once",
        "to be scanned again gives no more time",
        sets="phase",
        values=frozenset({Phase.APPROVING}),
        before=of(phase={Phase.SCANNING, Phase.ACTING}),
    )
    yield StepFact(
        "expiry_of_a_code",
        "once the phone has the code, that it ran out changes nothing",
        sets="phase",
        values=frozenset(Phase),
        events=frozenset({Event.EXPIRED}),
        before=of(phase={Phase.SCANNING}),
    )


def _time() -> Iterator[StepFact]:
    """What each internal row leads to, and that it has time of its own."""
    kept = frozenset({None, *Check, Deadline.ATTEMPT})
    owes = {
        Event.QR_UPDATED: ("a code to scan, with its whole lifetime", Phase.SCANNING, kept),
        Event.SCANNED: (
            "an approval, with time of its own",
            Phase.APPROVING,
            kept | {Deadline.APPROVAL},
        ),
        Event.ACTION_REQUIRED: ("an action, with time of its own", Phase.ACTING, kept),
    }
    for event, (says, phase, checks) in owes.items():
        yield StepFact(
            f"owed_after_{event}",
            f"after {event} the person owes {says}",
            events=frozenset({event}),
            rows=True,
            after=of(phase={phase}, final_check=checks),
        )
