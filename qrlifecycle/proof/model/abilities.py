"""What must be able to happen in the model: by hand, as all that is demanded (`facts`)."""

from __future__ import annotations

from collections.abc import Iterator

from ...states import Event, Phase, State
from .facts import GOING_ON, Ability, of
from .situation import TRANSPORTS, Label, Pairing

__all__ = ["make_abilities"]

RUNNING = of(pairing={Pairing.RUNNING})

UNDECIDED = RUNNING | of(state={State.DISPLAYED}, pending={None})
"""A code is displayed, and nothing leads out of that yet."""

LISTENING = of(transport={Phase.LISTENING})


def make_abilities() -> tuple[Ability, ...]:
    """What must be able to happen."""
    return (*_leaving(), *_beginning(), *_hearing(), *_afterwards())


def _leaving() -> Iterator[Ability]:
    """Whoever goes away is heeded, and so is a mistake of the program's."""
    going_on = of(pending=GOING_ON)
    yield Ability(
        "cancel_is_heeded",
        "cancel() is heeded, unless an end is decided",
        RUNNING | going_on,
        Label.TRIGGER,
        Event.CANCEL,
    )
    yield Ability(
        "cancellation_is_heeded",
        "a task's cancellation is heeded, unless a transport is being closed",
        RUNNING | going_on | of(cancelled={True}, transport=TRANSPORTS - {Phase.CLOSING}),
        Label.CANCELLATION,
        Event.CANCEL,
    )
    misused = "an error that comes out of pair() is a failure, unless an end is decided"
    asking = RUNNING | going_on | of(state={State.GENERATING}, final_check={None})
    yield Ability("misuse_in_asking", misused, asking, Label.MISUSED, Event.FAIL)
    yield Ability(
        "a_loss_is_heeded",
        "a lease that is lost ends the attempt, unless an end is decided",
        RUNNING | going_on | of(lease={True}),
        Label.LOST,
        Event.FAIL,
    )
    listening = RUNNING | going_on | LISTENING
    yield Ability("misuse_in_listening", misused, listening, Label.MISUSED, Event.FAIL)


def _beginning() -> Iterator[Ability]:
    """An attempt, another code, and a transport can be begun."""
    yield Ability(
        "a_code_is_asked_for",
        "pair() begins at any end",
        of(pairing={Pairing.NOBODY}),
        Label.PAIR,
        Event.GENERATE,
    )
    yield Ability(
        "another_is_asked_for",
        "the person may ask for another code while one is displayed",
        UNDECIDED,
        Label.TRIGGER,
        Event.GENERATE,
    )
    waiting = RUNNING | of(
        state={State.GENERATING},
        phase={Phase.ACQUIRING},
        pending={None},
        final_check={None},
        cancelled={False},
    )
    yield Ability(
        "a_lease_is_granted",
        "where a lease is waited for, it can be had",
        waiting | of(lease={False}),
        Label.GRANTED,
    )
    yield Ability(
        "a_lease_is_kept",
        "where a lease is held already, another code is asked for with it",
        waiting | of(lease={True}),
        Label.HELD_ON,
    )
    free = UNDECIDED | of(final_check={None}, fault={None}, cancelled={False})
    yield Ability(
        "a_transport_is_made",
        "where none is held and nothing keeps it from being made, one is made",
        free | of(transport={Phase.ABSENT, Phase.WAITING}),
        Label.MAKE,
    )


def _hearing() -> Iterator[Ability]:
    """What is said while a code is displayed is heard, or read."""
    shown = UNDECIDED | LISTENING
    yield Ability("success_is_heard", "a success is heard", shown, Label.SIGNAL, Event.PAIRED)
    yield Ability("success_is_read", "a success is read", UNDECIDED, Label.STATUS, Event.PAIRED)
    yield Ability(
        "expiry_is_heard",
        "that a code ran out is heard, while it has yet to be scanned",
        shown | of(phase={Phase.SCANNING}),
        Label.SIGNAL,
        Event.EXPIRED,
    )
    yield Ability("refusal_is_heard", "a refusal is heard", shown, Label.SIGNAL, Event.FAIL)


def _afterwards() -> Iterator[Ability]:
    """An outcome that has been seen is put away."""
    yield Ability(
        "an_outcome_is_put_away",
        "reset() puts an outcome away",
        of(state={State.CONNECTED, State.FAILED}),
        Label.TRIGGER,
        Event.RESET,
    )
