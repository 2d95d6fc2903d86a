"""Whoever watches a lifecycle: recorders, iterators over its changes, and hooks, in one queue.

An observer is told after the fact and can neither delay the lifecycle nor break it. A transition
makes up to three kinds of news (a record, a `Change`, and what one hook is for), and the socket
makes records of its own. All of it goes through one queue, in the order in which it happened.

Why a queue, when each of them is a plain call? An observer may call back: a hook that is told of
the code calls `cancel()`, and that is news too. Told at once, it would reach the other observers
before the news that it came from. So news that comes while news is being told waits its turn, and
every observer sees one order. The queue holds more than one item only then: nothing is put off.
"""

from __future__ import annotations

import weakref
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import anyio

from ..codes import PairingCode
from ..logs import About
from ..outcome import Outcome
from ..records import Recorder
from ..secrecy import shown_half_made
from ..states import OUTCOMES, Event, State
from ..waiting import wait_for
from .hooks import Hook, HookRunner, Settled, append_news
from .recording import Recording
from .unseen import Unseen
from .user_code import BackgroundTasks, reraise

__all__ = ["Change", "Changes", "Observers"]

HOOK_OF: Mapping[Event, str] = {
    Event.QR_UPDATED: "on_qr_updated",
    Event.SCANNED: "on_scanned",
    Event.ACTION_REQUIRED: "on_action_required",
    Event.PAIRED: "on_connected",
    Event.FAIL: "on_connection_failed",
}
"""Which hook an event is news for, beside `on_change`. A code to type is for `on_pairing_code`."""

SHOWING = frozenset({"on_qr_updated", "on_pairing_code", "on_action_required"})
"""Hooks that show the person something: when the state is left, it is past."""


@shown_half_made
@dataclass(frozen=True, slots=True)
class Change:
    """A row that was taken. ``outcome`` is there if it ended an attempt.

    ``source`` equals ``target`` for an internal row. What the code looks like now is the
    lifecycle's `qr`; a change never carries it.
    """

    source: State
    event: Event
    target: State
    outcome: Outcome | None = None

    @property
    def internal(self) -> bool:
        """Whether the state stayed as it was."""
        return self.source is self.target

    def supersedes(self, earlier: object) -> bool:
        """Whether this is the same change once more, as only an internal one can be."""
        return self == earlier


class Changes:
    """An async iterator over a lifecycle's changes, from the moment it was made.

    It ends with the attempt: the change that carries an outcome is the last one.
    """

    __slots__ = ("__weakref__", "_backlog", "_waiter", "outcome")

    def __init__(self) -> None:
        self._backlog: list[Change] = []
        self._waiter: anyio.Event | None = None
        self.outcome: Outcome | None = None
        """How the attempt ended, known when it has, also to who has not read so far."""

    def put(self, change: Change) -> None:
        """Add a change, unless the last one has been added."""
        if self.outcome is not None:
            return
        append_news(self._backlog, change)
        self.outcome = change.outcome
        if self._waiter is not None:
            self._waiter.set()
            self._waiter = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        while not self._backlog:
            if self.outcome is not None:
                raise StopAsyncIteration
            self._waiter = self._waiter or anyio.Event()
            await wait_for(self._waiter)
        return self._backlog.pop(0)


class News:
    """What has happened and is yet to be told, in order.

    By itself, so that who makes news does not hold those who hold it: a circle would be left to the
    garbage collector, one for each lifecycle.
    """

    __slots__ = ("_delivering", "_queue")

    def __init__(self) -> None:
        # Only while there are any: it takes most of a kilobyte, and there may be thousands.
        self._queue: deque[tuple[Callable[[Any], object], object]] | None = None
        self._delivering = False

    def put(self, deliver: Callable[[Any], object], item: object) -> None:
        """Add an item, and how it is delivered."""
        if self._queue is None:
            self._queue = deque()
        self._queue.append((deliver, item))

    def publish(self, deliver: Callable[[Any], object], item: object) -> None:
        """Add an item, and tell all that there is."""
        self.put(deliver, item)
        self.deliver()

    def deliver(self) -> None:
        """Tell all the news that there is; only then raise what is nobody's to handle here.

        A `SystemExit` of one observer must not keep the success from another.
        """
        if self._delivering:
            return
        self._delivering = True
        raised: BaseException | None = None
        try:
            while self._queue:
                deliver, item = self._queue.popleft()
                try:
                    deliver(item)
                except BaseException as error:
                    raised = raised or error
        finally:
            self._delivering, self._queue = False, None
        if raised is not None:
            reraise(raised)


class Observers:
    """All observers of one lifecycle.

    Args:
        hooks: by name; those that are not given are not there.
        recorders: each is told each record.
        hook_timeout: seconds that one call of an async hook may take.
    """

    __slots__ = (
        "_hooks",
        "_iterators",
        "_news",
        "_showing",
        "about",
        "dropped",
        "recording",
        "unseen",
    )

    def __init__(
        self, hooks: Mapping[str, Hook[Any]], recorders: Sequence[Recorder], hook_timeout: float
    ) -> None:
        self._hooks = {name: HookRunner(name, hook, hook_timeout) for name, hook in hooks.items()}
        self.about = About()
        """Which lifecycle it is, for its log and its records."""
        self._showing = [runner for name, runner in self._hooks.items() if name in SHOWING]
        self._iterators: list[weakref.ref[Changes]] = []
        news = self._news = News()
        recording = Recording(tuple(recorders), news.publish, self.about) if recorders else None
        self.recording = recording
        """Makes the records, if anybody keeps them."""
        self.dropped: Counter[str] | None = None
        """What became of nothing, by cause."""
        self.unseen: Unseen | None = None
        """Says so where nobody is given a code, if that can be known."""

    def warn_of_unseen_codes(self) -> None:
        """Say so from now on where no hook is told a code, and nobody reads it of the lifecycle."""
        self.unseen = Unseen(self._hooks)

    @property
    def hooked(self) -> bool:
        """Whether there is any hook at all."""
        return bool(self._hooks)

    def run_in(self, tasks: BackgroundTasks | None, settled: Settled | None = None) -> None:
        """Run async hooks in these tasks from now on; None for nowhere.

        Args:
            tasks: where they run.
            settled: told what becomes of the calls of hooks that show the person something. It is
                held no longer than the tasks are: it belongs to whoever owns these observers, and
                a circle would be left to the garbage collector, one for each lifecycle.
        """
        for runner in self._hooks.values():
            runner.tasks = tasks
        for showing in self._showing:
            showing.settled = settled

    def changes(self) -> Changes:
        """A new iterator, kept only as long as its owner keeps it."""
        iterator = Changes()
        self._iterators = [ref for ref in self._iterators if ref() is not None]
        self._iterators.append(weakref.ref(iterator))
        return iterator

    def notify(self, source: State, event: Event, target: State, carried: object) -> None:
        """A row was taken; ``carried`` is what its transition carried.

        All its news is queued before any of it is told: what one observer raises keeps it from no
        other.
        """
        if self.unseen is not None:
            self.unseen.note(event, carried)
        outcome: Any = carried if event in OUTCOMES else None
        news, hooks = self._news, self._hooks
        if source is not target:  # what the person was to be shown, and was not yet, is past
            for showing in self._showing:
                showing.forget()
        if (recording := self.recording) is not None:
            record = recording.change(source, event, target, outcome)
            if record is not None:
                news.put(recording.tell, record)
        if self._iterators or "on_change" in hooks:
            self._queue_change(Change(source, event, target, outcome))
        name = HOOK_OF.get(event, "")
        if event is Event.QR_UPDATED and isinstance(carried, PairingCode):
            name = "on_pairing_code"
        if (runner := hooks.get(name)) is not None:
            news.put(runner.deliver, carried)
        news.deliver()

    def _queue_change(self, change: Change) -> None:
        for ref in self._iterators:
            if (iterator := ref()) is not None:
                self._news.put(iterator.put, change)
        if (runner := self._hooks.get("on_change")) is not None:
            self._news.put(runner.deliver, change)

    def count(self, dropped: Mapping[str, int]) -> None:
        """Note what was dropped, by cause."""
        if dropped:
            self.dropped = self.dropped or Counter()
            self.dropped.update(dropped)
            if self.recording is not None:
                self.recording.drop(dropped)
