"""Observers: bounded backlogs in which nothing that matters is lost."""

from __future__ import annotations

import gc
from functools import partial
from typing import Any

import anyio
import pytest

from qrlifecycle import (
    ActionRequired,
    Change,
    Connected,
    Event,
    Paired,
    Policy,
    QRCode,
    QRLifecycle,
    Scanned,
    State,
)
from qrlifecycle.engine.hooks import BACKLOG, append_news
from qrlifecycle.engine.observers import Changes, News, Observers
from qrlifecycle.engine.user_code import BackgroundTasks
from qrlifecycle.records import Changed, Record
from qrlifecycle.testing import ScriptedPeer, settle

from ..pairing import hang, request_qr

ROTATED = Change(State.DISPLAYED, Event.QR_UPDATED, State.DISPLAYED)
SCANNED = Change(State.DISPLAYED, Event.SCANNED, State.DISPLAYED)
EXPIRED = Change(State.DISPLAYED, Event.EXPIRED, State.GENERATING)
PAIRED = Change(State.DISPLAYED, Event.PAIRED, State.CONNECTED, Connected("me"))


def observers_of(hooks: dict[str, Any]) -> Observers:
    """Observers without recorders."""
    return Observers(hooks, (), 30)


def show_to(observers: Observers, code: QRCode) -> None:
    """A rotation."""
    observers.notify(State.DISPLAYED, Event.QR_UPDATED, State.DISPLAYED, code)


def pair(observers: Observers) -> None:
    """The success."""
    observers.notify(State.DISPLAYED, Event.PAIRED, State.CONNECTED, Connected("me"))


def test_news_takes_no_room_when_all_of_it_is_told() -> None:
    """Also what came while other news was being told, and whatever one of them raised."""
    news, told = News(), list[object]()

    def tell_more(item: object) -> None:
        news.publish(told.append, "more")
        told.append(item)
        raise ValueError(item)

    for item in ("first", "second"):
        with pytest.raises(ValueError, match=item):
            news.publish(tell_more, item)
        assert news._queue is None
    assert told == ["first", "more", "second", "more"]


@pytest.mark.anyio
async def test_a_flood_of_rotations_is_one_change_to_whoever_is_slow() -> None:
    """Promise 7: the same internal change again and again takes no more room than once."""
    changes = Changes()
    for change in [EXPIRED, *[ROTATED] * 100_000, SCANNED, ROTATED, PAIRED]:
        changes.put(change)
    assert [change async for change in changes] == [EXPIRED, ROTATED, SCANNED, ROTATED, PAIRED]


@pytest.mark.anyio
async def test_promise_7_a_backlog_forgets_the_oldest_and_keeps_the_end() -> None:
    """Whoever lags too far behind misses the oldest changes, never the last."""
    changes = Changes()
    for change in [*[SCANNED, EXPIRED] * BACKLOG, PAIRED]:
        changes.put(change)
    seen = [change async for change in changes]
    assert len(seen) == BACKLOG
    assert seen[-1] is PAIRED


@pytest.mark.anyio
async def test_two_may_wait_on_one_iterator() -> None:
    """Each change goes to one of them, and the end to both."""
    changes = Changes()
    seen: list[Change] = []

    async def watch() -> None:
        seen.extend([change async for change in changes])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        tasks.start_soon(watch)
        await settle()
        changes.put(PAIRED)
    assert seen == [PAIRED]


@pytest.mark.anyio
async def test_a_slow_hook_is_given_the_newest_code() -> None:
    """Codes that came while a hook was busy are not shown one after another: the newest is."""
    shown: list[str] = []
    go = anyio.Event()

    async def show(qr: QRCode) -> None:
        shown.append(qr.reveal())
        await go.wait()

    observers = observers_of({"on_qr_updated": show})
    async with BackgroundTasks(needed=True) as tasks:
        observers.run_in(tasks)
        show_to(observers, QRCode("first"))
        await settle()
        for number in range(1000):
            show_to(observers, QRCode(f"code {number}"))
        go.set()
    assert shown == ["first", "code 999"]


@pytest.mark.anyio
async def test_promise_6_codes_that_were_not_shown_are_forgotten() -> None:
    """What a hook has not been told yet is dropped when the state is left."""
    shown: list[QRCode] = []

    async def show(qr: QRCode) -> None:
        shown.append(qr)

    observers = observers_of({"on_qr_updated": show})
    show_to(observers, QRCode("secret"))
    observers.notify(State.DISPLAYED, Event.EXPIRED, State.GENERATING, None)
    async with BackgroundTasks(needed=True) as tasks:
        observers.run_in(tasks)
        show_to(observers, QRCode("next"))
    assert shown == [QRCode("next")]


def test_promise_8_an_iterator_that_nobody_keeps_is_gone() -> None:
    """Promise 8: a forgotten iterator is no place where changes pile up."""
    observers = observers_of({})
    for _ in range(100):
        observers.changes()
    gc.collect()
    kept = observers.changes()
    assert len(observers._iterators) == 1
    pair(observers)
    assert kept._backlog == [PAIRED]


class AsyncObject:
    """A callable object whose call is async."""

    def __init__(self, heard: list[Any]) -> None:
        self.heard = heard

    async def __call__(self, item: object) -> None:
        await anyio.lowlevel.checkpoint()
        self.heard.append(item)


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["object", "partial", "lambda", "method"])
async def test_an_async_hook_is_known_in_every_guise(kind: str) -> None:
    """A coroutine function, an object, a partial, a method, even a lambda that returns one."""
    heard: list[Any] = []
    hook = AsyncObject(heard)
    guises: dict[str, Any] = {
        "object": hook,
        "partial": partial(hook.__call__),
        "lambda": lambda item: hook(item),  # noqa: PLW0108 - a disguise
        "method": hook.__call__,
    }
    observers = observers_of({"on_change": guises[kind]})
    async with BackgroundTasks(needed=True) as tasks:
        observers.run_in(tasks)
        pair(observers)
    assert heard == [PAIRED]


def test_an_async_hook_in_disguise_is_not_run_without_an_owner(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A lambda that returns a coroutine, told outside `pair()`, is closed with a word of advice."""
    heard: list[Any] = []
    hook = AsyncObject(heard)
    pair(observers_of({"on_change": lambda item: hook(item)}))  # noqa: PLW0108
    assert heard == []
    assert "make it an async function" in caplog.text


@pytest.mark.anyio
async def test_promise_1_every_observer_is_told_in_one_order() -> None:
    """Whoever cancels as it is told of `displayed` is not told sooner than the others are."""
    told: list[str] = []

    def leave(record: Record) -> None:
        if isinstance(record, Changed) and record.event is Event.QR_READY:
            lifecycle.cancel()

    def note(record: Record) -> None:
        told.append(record.event if isinstance(record, Changed) else type(record).__name__)

    lifecycle = QRLifecycle(request_qr, ScriptedPeer(), recorders=[leave, note])
    await lifecycle.pair()
    assert told == ["Began", "generate", "qr_ready", "Leaving", "cancel", "Ended"]


@pytest.mark.anyio
async def test_promise_8_a_hook_that_hangs_is_cancelled() -> None:
    """`pair()` waits for `hook_timeout` seconds for it, and leaves no task behind."""
    began = anyio.current_time()
    with anyio.move_on_after(100):
        await QRLifecycle(
            request_qr,
            ScriptedPeer(),
            policy=Policy(max_refreshes=0, expiry_grace=0, hook_timeout=5),
            on_connection_failed=lambda _failed: hang(),
        ).pair()
    assert anyio.current_time() - began == pytest.approx(60 + 5)


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["function", "object"])
async def test_what_an_async_hook_is_told_without_tasks_waits_for_them(kind: str) -> None:
    """It is known to be async before its first call, and so none is lost."""
    heard: list[Change] = []

    async def hear(change: Change) -> None:
        heard.append(change)

    observers = observers_of({"on_change": hear if kind == "function" else AsyncObject(heard)})
    observers.notify(State.DISPLAYED, Event.SCANNED, State.DISPLAYED, None)
    async with BackgroundTasks(needed=True) as tasks:
        observers.run_in(tasks)
        pair(observers)
    assert heard == [SCANNED, PAIRED]


@pytest.mark.parametrize(
    ("items", "kept"),
    [
        ([Scanned(), Scanned()], [Scanned(), Scanned()]),
        ([ActionRequired("one"), ActionRequired("two")], [ActionRequired("two")]),
        ([QRCode("one"), QRCode("two")], [QRCode("two")]),
        ([SCANNED, SCANNED], [SCANNED]),
    ],
    ids=["signal", "action", "code", "change"],
)
def test_of_what_is_present_now_a_backlog_keeps_the_newest(
    items: list[object], kept: list[object]
) -> None:
    """Codes, actions and internal changes replace the one before; what else comes is kept."""
    backlog: list[object] = []
    for item in items:
        append_news(backlog, item)
    assert backlog == kept


def test_a_change_that_stays_in_its_state_is_internal() -> None:
    """And no other is."""
    assert [change.internal for change in (ROTATED, SCANNED, EXPIRED, PAIRED)] == [
        *(True, True, False, False)
    ]


def test_of_two_interruptions_the_first_is_raised_and_the_next_news_is_told() -> None:
    """Whoever stands behind them in the queue is told, and so is what comes later."""
    told: list[object] = []

    def interrupt(_item: object) -> None:
        raise KeyboardInterrupt

    def leave(_item: object) -> None:
        raise SystemExit

    observers = observers_of({"on_change": interrupt, "on_connected": leave})
    changes = observers.changes()
    with pytest.raises(KeyboardInterrupt):
        pair(observers)
    assert changes._backlog == [PAIRED]
    observers._hooks.clear()
    observers._news.publish(told.append, "later")
    assert told == ["later"]


@pytest.mark.anyio
async def test_promise_4_a_recorder_that_exits_keeps_no_news_from_others() -> None:
    """Ctrl-C in a recorder of the success comes out, and hooks and iterators are told of it."""
    told: list[object] = []

    def exit_at_success(record: Record) -> None:
        if isinstance(record, Changed) and record.target is State.CONNECTED:
            raise KeyboardInterrupt

    peer = ScriptedPeer()
    lifecycle = QRLifecycle(
        request_qr,
        peer,
        on_connected=told.append,
        on_change=lambda change: told.append(change.event),
        recorders=[exit_at_success],
    )
    changes = lifecycle.changes()
    ended: list[BaseException] = []

    async def pair() -> None:
        try:
            await lifecycle.pair()
        except KeyboardInterrupt as error:
            ended.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pair)
        await settle()
        peer.send(Paired("me"))
    assert [type(error) for error in ended] == [KeyboardInterrupt]
    assert told[-2:] == [Event.PAIRED, Connected("me")]
    assert [change.event async for change in changes][-1] is Event.PAIRED
