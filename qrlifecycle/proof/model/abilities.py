"""What must be able to happen in the model: by hand, as all that is demanded (`facts`)."""

from __future__ import annotations

from ...states import Event, Phase, State
from .facts import GOING_ON, Ability, of
from .situation import TRANSPORTS, Label, Pairing

__all__ = ["make_abilities"]


def make_abilities() -> tuple[Ability, ...]:
    """What must be able to happen."""
    running, displayed = {Pairing.RUNNING}, {State.DISPLAYED}
    undecided = of(pairing=running, state=displayed, pending={None})
    shown = undecided | of(transport={Phase.LISTENING})
    free = undecided | of(final_check={None}, fault={None}, cancelled={False})
    misused = "an error that comes out of pair() is a failure, unless an end is decided"
    asking = of(pairing=running, state={State.GENERATING}, final_check={None})
    listening = of(pairing=running, transport={Phase.LISTENING})
    going_on = of(pending=GOING_ON)
    return (
        Ability(
            "cancel_is_heeded",
            "cancel() is heeded, unless an end is decided",
            of(pairing=running, pending=GOING_ON),
            Label.TRIGGER,
            Event.CANCEL,
        ),
        Ability(
            "cancellation_is_heeded",
            "a task's cancellation is heeded, unless a transport is being closed",
            of(pairing=running, pending=GOING_ON, cancelled={True})
            | of(transport=TRANSPORTS - {Phase.CLOSING}),
            Label.CANCELLATION,
            Event.CANCEL,
        ),
        Ability("misuse_in_asking", misused, asking | going_on, Label.MISUSED, Event.FAIL),
        Ability("misuse_in_listening", misused, listening | going_on, Label.MISUSED, Event.FAIL),
        Ability(
            "a_code_is_asked_for",
            "pair() begins at any end",
            of(pairing={Pairing.NOBODY}),
            Label.PAIR,
            Event.GENERATE,
        ),
        Ability(
            "another_is_asked_for",
            "the person may ask for another code while one is displayed",
            undecided,
            Label.TRIGGER,
            Event.GENERATE,
        ),
        Ability(
            "a_transport_is_made",
            "where none is held and nothing keeps it from being made, one is made",
            free | of(transport={Phase.ABSENT, Phase.WAITING}),
            Label.MAKE,
        ),
        Ability("success_is_heard", "a success is heard", shown, Label.SIGNAL, Event.PAIRED),
        Ability("success_is_read", "a success is read", undecided, Label.STATUS, Event.PAIRED),
        Ability(
            "expiry_is_heard",
            "that a code ran out is heard, while it has yet to be scanned",
            shown | of(phase={Phase.SCANNING}),
            Label.SIGNAL,
            Event.EXPIRED,
        ),
        Ability("refusal_is_heard", "a refusal is heard", shown, Label.SIGNAL, Event.FAIL),
        Ability(
            "an_outcome_is_put_away",
            "reset() puts an outcome away",
            of(state={State.CONNECTED, State.FAILED}),
            Label.TRIGGER,
            Event.RESET,
        ),
    )
