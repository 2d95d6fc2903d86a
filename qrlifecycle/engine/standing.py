"""Where a lifecycle stands: its state, its stay there, and who is told when either changes.

An event is put to the table the moment it arrives. The first one that leads out of the state
decides the row; from then on the stay is being left, and what comes later is refused. The row is
taken, and told, when nothing of the stay is left. This room must never wait.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

from ..codes import (
    Code,
    PairingCode,
)
from ..errors import (
    EventRefused,
    WrongThread,
)
from ..machine import MACHINE
from ..outcome import (
    Connected,
    Failed,
)
from ..policy import Policy
from ..records import Reporter
from ..states import INITIAL, Event, State
from .stay import (
    Stay,
    Step,
)
from .watchers import (
    Change,
    Watchers,
)

__all__ = ["Standing"]

PRESENT = ("on_qr_updated", "on_pairing_code", "on_action_required")
"""Hooks that are told what the person sees now: when the state is left, it is past."""


class Standing:
    """State, stay and watchers of one lifecycle; the machine moves it along the table."""

    __slots__ = ("_state", "dropped", "policy", "reporter", "stay", "thread", "watchers")

    def __init__(
        self, policy: Policy, watchers: Watchers, reporter: Reporter | None = None
    ) -> None:
        self.policy = policy
        self.watchers = watchers
        self.reporter = reporter
        """Who keeps a record, if anybody does."""
        self.stay: Stay | None = None
        """The stay in `generating` or `displayed`, while there is one."""
        self.thread: int | None = None
        """The thread that walks, while one does."""
        self.dropped: Counter[str] | None = None
        """What became of nothing, by cause."""
        self._state = INITIAL

    @property
    def state(self) -> State:
        """The state, as everybody sees it."""
        return self._state

    @property
    def code(self) -> Code | None:
        """The code that has been handed out and is still good."""
        return self.stay.code if self.stay is not None and self.stay.shown else None

    def put(self, step: Step) -> None:
        """Put a step to the table, now: it is noted, it decides where to go, or it is refused."""
        if self.thread not in (None, threading.get_ident()):
            raise WrongThread(step.event)
        row = MACHINE.row(self._state, step.event)
        stay = self.stay
        if stay is None or (row.internal and stay.leaving is None):
            self.commit(step)
        elif not stay.leave(step):  # being left, it takes no internal row either
            raise EventRefused(self._state, step.event)

    def commit(self, step: Step) -> None:
        """Take the row, and tell."""
        source = self._state
        MACHINE.fire(self, step.event)
        if self._state is source:
            self._note(step)
        else:
            for hook in PRESENT:
                self.watchers.forget(hook)
            if self.stay is not None:
                self.stay.forget()
                self.stay = Stay(self.policy, self.reporter) if step.outcome is None else None
            if self.stay is not None and step.code is not None:
                self.stay.replace_code(step.code)
        self._tell(source, step)

    def count(self, dropped: Mapping[str, int]) -> None:
        """Note what was dropped, by cause."""
        if dropped:
            self.dropped = self.dropped or Counter()
            self.dropped.update(dropped)
            if self.reporter is not None:
                self.reporter.drop(dropped)

    def _note(self, step: Step) -> None:
        """What an internal row changes."""
        stay = self.stay
        assert stay is not None
        if step.code is not None:
            if step.code is not stay.code:
                stay.replace_code(step.code)
            stay.shown = True
        elif step.action is not None:
            stay.require(step.action)
        else:
            stay.confirm()

    def _tell(self, source: State, step: Step) -> None:
        if self.reporter is not None:
            reason = step.outcome.reason if isinstance(step.outcome, Failed) else None
            self.reporter.change(source, step.event, self._state, reason)
        self.watchers.tell("on_change", Change(source, step.event, self._state, step.outcome))
        if step.event is Event.QR_UPDATED:
            typed = isinstance(step.code, PairingCode)
            self.watchers.tell("on_pairing_code" if typed else "on_qr_updated", step.code)
        elif step.action is not None:
            self.watchers.tell("on_action_required", step.action)
        elif isinstance(step.outcome, Connected):
            self.watchers.tell("on_connected", step.outcome)
        elif step.event is Event.FAIL:
            self.watchers.tell("on_connection_failed", step.outcome)
