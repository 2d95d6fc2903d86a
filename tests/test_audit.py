"""The audit: counts what happened, and cries when it should not have."""

from __future__ import annotations

import logging
import math
import os
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from hypothesis import given
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from qrlifecycle import Event, InvalidValue, Paired, Policy, QRLifecycle, Reason, State
from qrlifecycle.engine.connection import Connection
from qrlifecycle.monitoring.audit import (
    Alert,
    Audit,
    Limits,
    PromiseBroken,
    SecondSocket,
    SlowSuccess,
    SocketOutsideDisplayed,
    Waste,
    trail,
)
from qrlifecycle.monitoring.metrics import export_metrics
from qrlifecycle.records import Acquiring, Began, Closing, Dropped, LeaseEnd, Leaving, Opening
from qrlifecycle.states import Phase
from qrlifecycle.testing import Fault, Plan, ScriptedPeer, ScriptedTransport, run_plan, settle
from qrlifecycle.testing.strategies import plans

from .journals import together
from .pairing import Pairing, request_qr
from .patience import PROCESS_HANGS
from .records import UPTIME, Story, healthy


def alerts_of(*stories: Story, limits: Limits | None = None) -> list[Alert]:
    """What an audit cries when it is told these stories, their records in the order of time."""
    heard: list[Alert] = []
    audit = Audit(limits, on_alert=heard.append, clock=None)
    for record in together(*stories):
        audit(record)
    return heard


def breaches_of(story: Story) -> list[int | None]:
    """The promises that a story breaks."""
    alerts: list[Alert] = []
    audit = Audit(on_alert=alerts.append, clock=None)
    for record in story.records:
        audit(record)
    assert all(isinstance(alert, PromiseBroken) for alert in alerts)
    return [alert.promise for alert in alerts if isinstance(alert, PromiseBroken)]


# Promises, as records tell of them


def test_a_healthy_round_raises_no_alert() -> None:
    """Nothing is wrong with a round in which nothing was."""
    assert alerts_of(healthy()) == []


@pytest.mark.parametrize(
    ("story", "broken"),
    [
        pytest.param(
            Story()
            .display()
            .leave(Event.PAIRED)
            .change(Event.PAIRED, State.CONNECTED)
            .close()
            .end(),
            [1],
            id="1: the change before the closing",
        ),
        pytest.param(
            Story().begin().add(Opening, None).close().answer(),
            [1],
            id="1: an opening before the code",
        ),
        pytest.param(
            Story().display().close(Closing.BROKEN),
            [1],
            id="1: a socket that may still be open",
        ),
        pytest.param(
            Story().display().leave(Event.CANCEL).wait(1.6).close(),
            [2],
            id="2: a closing that took too long",
        ),
        pytest.param(
            Story().display().leave(Event.CANCEL).close().open().close(),
            [2],
            id="2: an opening after the leaving",
        ),
        pytest.param(
            Story().display().open().close().close(),
            [3],
            id="3: two sockets at once",
        ),
        pytest.param(
            Story().begin().answer().show(),
            [4],
            id="4: a code before anybody listens",
        ),
        pytest.param(
            Story().display().close().show(),
            [4],
            id="4: a code while nobody listens any more",
        ),
        pytest.param(
            Story()
            .display()
            .leave(Event.PAIRED)
            .close()
            .change(Event.PAIRED, State.CONNECTED)
            .change(Event.GENERATE, State.GENERATING)
            .change(Event.PAIRED, State.CONNECTED)
            .end(),
            [4],
            id="4: a success twice",
        ),
        pytest.param(
            Story().display().leave(Event.CANCEL).close().end(),
            [5],
            id="5: an end in a state that is none",
        ),
        pytest.param(
            Story().begin().end(),
            [5],
            id="5: an end before anything was decided",
        ),
        pytest.param(
            Story().display().begin(),
            [8],
            id="8: another attempt begins, and the socket of the one before is open",
        ),
        pytest.param(
            Story().display().end(),
            [8, 5],
            id="8: an end with a socket open",
        ),
        pytest.param(
            healthy().add(Opening, None).close(),
            [1],
            id="1: a socket after the end",
        ),
        pytest.param(
            healthy().change(Event.GENERATE, State.GENERATING, source=State.IDLE),
            [None],
            id="a step after the end, from where it does not stand",
        ),
        pytest.param(
            healthy().add(Began, 1.0).change(Event.GENERATE, State.GENERATING, source=State.IDLE),
            [None],
            id="another attempt, from where it does not stand",
        ),
        pytest.param(
            Story().begin().change(Event.SCANNED, State.DISPLAYED),
            [None],
            id="no row of the table",
        ),
        pytest.param(
            Story().begin().change(Event.GENERATE, State.GENERATING, source=State.IDLE),
            [None],
            id="a row from where it does not stand",
        ),
        pytest.param(Story().begin().close(), [None], id="a closing of nothing"),
        pytest.param(
            Story().begin().answer().wait(-9).add(Opening, None).close(),
            [None],
            id="time that runs backwards",
        ),
    ],
)
def test_each_broken_promise_is_named(story: Story, broken: list[int | None]) -> None:
    """What the records say against a promise is told under its number, and nothing else is."""
    assert breaches_of(story) == broken


def test_a_closing_may_take_what_the_policy_allows() -> None:
    """Its own `close_timeout` counts, and a busy event loop has some slack."""
    late = 5 + trail.SLACK / 2
    story = Story().begin(close_timeout=5).answer().open().show()
    assert breaches_of(story.leave(Event.CANCEL).wait(late).close()) == []


def test_what_may_come_after_an_end() -> None:
    """A reset, a code asked for beforehand, and another attempt from there break nothing."""
    story = healthy().change(Event.RESET, State.IDLE).display().pair()
    story.change(Event.GENERATE, State.GENERATING).display().pair()
    assert breaches_of(story) == []


def test_generate_after_the_end_is_for_the_next_attempt() -> None:
    """A hook that asks for the next code before `pair()` has returned breaks nothing."""
    story = Story().display().leave(Event.PAIRED).close()
    story.change(Event.PAIRED, State.CONNECTED).change(Event.GENERATE, State.GENERATING).end()
    assert breaches_of(story) == []


@pytest.mark.parametrize("cut", range(1, 11))
def test_a_journal_that_was_cut_accuses_nobody(cut: int) -> None:
    """Of what came before the first record that is there, nothing is held against anybody."""
    story = healthy()
    assert cut < len(story.records)
    del story.records[:cut]
    assert breaches_of(story) == []


@pytest.mark.parametrize("kept", range(1, 11))
def test_what_has_no_end_is_counted_and_no_breach(kept: int) -> None:
    """A process may die at any moment; the kernel shuts its sockets."""
    audit = Audit(clock=None)
    for record in healthy().records[:kept]:
        audit(record)
    assert audit.figures().unfinished == 1
    assert audit.figures().alerts == {}


# The four alerts


def test_alert_a_socket_while_no_code_is_displayed() -> None:
    """It says whose socket, in which state."""
    story = Story().display().change(Event.CANCEL, State.IDLE)
    (alert,) = alerts_of(story)
    assert isinstance(alert, SocketOutsideDisplayed)
    assert alert.subject == ("bot-7", "user-123")
    assert str(alert) == "promise 1: a socket was open in state 'idle'"


def test_alert_a_second_socket_for_one_user() -> None:
    """Two lifecycles, one bot and user, at the same time: the later one is told of."""
    first, second = Story("p-1").display(), Story("p-2", at=1).display()
    (alert,) = alerts_of(first.pair(), second.pair())
    assert isinstance(alert, SecondSocket)
    assert (alert.lifecycle, alert.others) == ("p-2", 1)


def merged(*stories: Story) -> list[Alert]:
    """What is found in a journal of several processes."""
    alerts: list[Alert] = []
    audit = Audit(on_alert=alerts.append, clock=None)
    for record in sorted((r for story in stories for r in story.records), key=lambda r: r.wall):
        audit(record)
    return alerts


def test_alert_a_second_socket_in_another_process() -> None:
    """One that was opened while the first was open, which is known as that one closes."""
    first, second = Story("p-1").display(), Story("q-2", at=3).display()
    (alert,) = merged(first.wait(10).pair(), second.wait(2).pair())
    assert isinstance(alert, SecondSocket)
    assert (alert.lifecycle, alert.others, alert.elsewhere) == ("p-1", 1, True)
    assert str(alert) == (
        "while a socket was open for bot-7 user-123, other processes opened 1 more; "
        "leases keep that from happening"
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Story("p-1").display().wait(10).pair(), Story("q-2", at=20).display().pair()),
        (Story("p-1").display(), Story("q-2", at=3).display().wait(9).pair()),
        (
            Story("p-1").display().wait(10).pair(),
            Story("q-2", at=3, subject=("bot-7", "user-2")).display().wait(9).pair(),
        ),
        (Story("p-1").display().wait(4).pair(), Story("q-2", at=8.3).display().wait(9).pair()),
    ],
    ids=["one after the other", "the first may have died", "another user", "within clocks' error"],
)
def test_what_is_no_second_socket_in_another_process(first: Story, second: Story) -> None:
    """What nobody can know, or machines' clocks may be wrong by, is no alert."""
    assert merged(first, second) == []


@pytest.mark.parametrize(
    "second",
    [
        Story("p-2", at=30),
        Story("p-2", subject=("bot-7", "user-2")),
        Story("p-2", subject=None),
        Story("q-2", at=30),
    ],
    ids=["later", "another user", "nobody named", "another process, later"],
)
def test_what_is_no_second_socket(second: Story) -> None:
    """One after the other, or for somebody else."""
    assert alerts_of(Story("p-1").display().pair(), second.display().pair()) == []


def test_alert_a_slow_success() -> None:
    """What is counted is the time from the signal until the change that tells of it."""
    story = Story().display().leave(Event.PAIRED).wait(0.6).close()
    story.wait(0.5).change(Event.PAIRED, State.CONNECTED)
    (alert,) = alerts_of(story)
    assert isinstance(alert, SlowSuccess)
    assert str(alert) == "success 1.100 s after the signal; the limit is 1 s"


def test_alert_a_slow_success_after_the_scan() -> None:
    """With a limit of its own: the phone's time is not ours."""
    (alert,) = alerts_of(healthy(), limits=Limits(scan_to_success=4))
    assert isinstance(alert, SlowSuccess)
    assert (alert.since, alert.limit) == ("scan", 4)
    assert alert.seconds == pytest.approx(5)


def test_alert_waste_of_openings() -> None:
    """The first opening beyond the limit is told of, in each attempt; what follows adds nothing."""
    story = Story().display().close()
    for _ in range(4):
        story.open().close()
    story.fail().display().close().open().close().open().close()
    alerts = alerts_of(story, limits=Limits(openings_per_attempt=2))
    assert [(alert.attempt, str(alert)) for alert in alerts if alert.kind == "waste"] == [
        (number, "openings per attempt: 3; the limit is 2") for number in (1, 2)
    ]


def test_a_limit_of_openings_may_be_a_fraction() -> None:
    """It is a number above 0 like the others."""
    story = Story().display().close().open().close().open()
    (alert,) = alerts_of(story, limits=Limits(openings_per_attempt=1.5))
    assert str(alert) == "openings per attempt: 2; the limit is 1.5"


def test_leases_that_are_held_and_waited_for_are_figures() -> None:
    """Each from the moment in which it is so until it is over, also where a process died."""
    audit = Audit(clock=None)
    seen = []
    story = Story().begin().lease(4).answer().open().show()
    for record in story.records:
        audit(record)
        figures = audit.figures()
        seen.append((figures.leases_awaited, figures.leases_held))
    assert list(dict.fromkeys(seen)) == [(0, 0), (1, 0), (0, 1)]
    given_back = Story("p-2").begin().lease(1).answer().open().show()
    given_back.lose(LeaseEnd.TAKEN_OVER)
    awaited = Story("p-3").begin().add(Acquiring)
    for record in (*given_back.records, *awaited.records):
        audit(record)
    assert (audit.figures().leases_awaited, audit.figures().leases_held) == (1, 1)
    audit(awaited.end().records[-1])
    assert audit.figures().leases_awaited == 0


@pytest.mark.parametrize(
    ("limits", "value"),
    [(Limits(socket_seconds_per_success=100, window=3), 125.1), (Limits(codes_per_success=2), 3)],
)
def test_alert_waste_for_each_success(limits: Limits, value: float) -> None:
    """What the last attempts used for each success is told once, until it is well again."""
    stories = []
    for number in range(limits.window + 3):
        story = Story(f"p-{number}", at=number * 100).display()
        stories.append(story.pair() if number % 3 == 2 else story.fail())
    found = [alert for alert in alerts_of(*stories, limits=limits) if isinstance(alert, Waste)]
    assert [alert.value for alert in found] == [pytest.approx(value, rel=0.2)]
    assert f"per success over the last {limits.window} attempts: " in str(found[0])


def test_alert_waste_without_any_success() -> None:
    """Attempts that all fail waste without a bound; those that opened nothing waste nothing."""
    limits = Limits(codes_per_success=10, window=2)
    failed = [Story(f"p-{n}", at=n * 100).display().fail() for n in range(2)]
    assert [
        alert.value for alert in alerts_of(*failed, limits=limits) if isinstance(alert, Waste)
    ] == [math.inf]
    paired = [Story(f"p-{n}").begin().change(Event.PAIRED, State.CONNECTED).end() for n in range(2)]
    assert alerts_of(*paired, limits=limits) == []


@pytest.mark.parametrize("name", ["success", "window", "codes_per_success"])
@pytest.mark.parametrize("value", [0, -1, math.nan, "1", None, True])
def test_a_limit_that_cannot_be_is_refused(name: str, value: Any) -> None:
    """A limit is a number above 0."""
    with pytest.raises(InvalidValue, match=f"Limits.{name}"):
        Limits(**{name: value})


def test_a_window_is_a_whole_number() -> None:
    """Attempts are counted."""
    with pytest.raises(InvalidValue, match="whole number"):
        Limits(window=1.5)  # type: ignore[arg-type]


# Figures


def test_the_figures_count_what_happened() -> None:
    """Sockets, seconds, codes, outcomes, causes, and how long it took."""
    audit = Audit(clock=None)
    lost = Story("p-2", at=100).display().wait(2).close().open().fail(reason=Reason.TRANSPORT_LOST)
    found = Story("p-3", at=200).display().wait(1).find_by_status().pair(0)
    for story in (healthy(), lost.add(Dropped, "foreign", 7), found):
        for record in story.records:
            audit(record)
    figures = audit.figures()
    assert (figures.sockets_open, figures.sockets_most) == (0, 1)
    assert figures.openings == 4
    assert figures.closings == {"graceful": 4}
    assert figures.socket_seconds == pytest.approx(8.11 + 2.1 + 60.11 + 1.11)
    assert (figures.attempts, figures.codes, figures.unfinished) == (3, 3, 0)
    assert figures.outcomes == {"connected": 2, "transport_lost": 1}
    assert {type(name) for name in (*figures.outcomes, *figures.closings)} == {str}
    assert figures.found_by_status == 1
    assert figures.dropped == {"foreign": 7}
    assert figures.success_to_closed.count == 2
    assert figures.success_to_closed.mean == pytest.approx(0.01)
    assert figures.scan_to_success.longest == pytest.approx(5.0)
    assert figures.alerts == {}


def test_a_socket_that_is_open_now_counts_its_seconds() -> None:
    """A socket that nobody closes does not look like none."""
    audit = Audit(clock=lambda: UPTIME + 1_000.0)
    for record in Story().display().records:
        audit(record)
    figures = audit.figures()
    assert (figures.sockets_open, figures.unfinished) == (1, 1)
    assert figures.socket_seconds == pytest.approx(999.7)


def test_the_memory_is_that_of_what_goes_on_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has ended is forgotten, but for the latest, whoever it was for."""
    monkeypatch.setattr("qrlifecycle.monitoring.audit.MOST_ENDED", 100)
    audit = Audit(clock=None)
    for number in range(1_000):
        for record in Story(f"p-{number}", subject=(f"user-{number}",)).display().pair().records:
            audit(record)
    assert audit._trails == {}
    assert audit._sockets._held == {}
    assert len(audit._past) == 100


def test_causes_without_end_are_counted_together() -> None:
    """A transport that makes causes of what it reads does not make the audit grow."""
    audit = Audit(clock=None)
    story = Story().begin()
    for number in range(1_000):
        story.add(Dropped, f"cause {number}", 1)
    for record in story.records:
        audit(record)
    dropped = audit.figures().dropped
    assert len(dropped) == 101
    assert dropped["other"] == 900


def test_attempts_without_end_are_forgotten_one_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that die leave no more than a bounded number behind; the oldest goes first."""
    monkeypatch.setattr("qrlifecycle.monitoring.audit.MOST_TRAILS", 10)
    audit = Audit(clock=None)
    for number in range(25):
        for record in Story(f"p-{number}", subject=(f"user-{number}",)).display().records:
            audit(record)
    assert len(audit._trails) == len(audit._sockets._held) == 10
    assert audit.figures().unfinished == 25
    assert audit.figures().sockets_open == 10


def test_an_audit_may_be_shared_between_threads() -> None:
    """No record is lost when event loops in several threads report at once."""
    audit = Audit(clock=None)

    def work(thread: int) -> None:
        for number in range(200):
            for record in (
                Story(f"p-{thread}{number:03}", subject=(f"{thread}",)).display().pair().records
            ):
                audit(record)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    figures = audit.figures()
    assert (figures.openings, figures.outcomes) == (800, {"connected": 800})
    assert (figures.sockets_open, figures.alerts) == (0, {})


def test_without_a_hook_an_alert_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody has to write a hook to hear of it."""
    audit = Audit()
    with caplog.at_level(logging.WARNING, logger="qrlifecycle.audit"):
        for record in Story().display().end().records[:-1]:
            audit(record)
        audit(Story().display().change(Event.CANCEL, State.IDLE).records[-1])
    assert [record.getMessage() for record in caplog.records] == [
        "promise 1: a socket was open in state 'idle' (lifecycle c0ffee0001-1, attempt 1)"
    ]


def test_a_hook_that_raises_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged with its place, and the alert as if there were no hook; the audit goes on."""

    def broken(_alert: Alert) -> None:
        raise RuntimeError("s3cret")

    audit = Audit(on_alert=broken)
    for record in Story().display().end().records:
        audit(record)
    place = f"{__file__}:{broken.__code__.co_firstlineno + 1}"
    assert f"on_alert raised RuntimeError ({place})" in caplog.text
    assert "promise 5: pair() ended in state 'displayed'" in caplog.text
    assert "s3cret" not in caplog.text
    assert audit.figures().alerts == {"promise_broken": 2}


def test_a_hook_in_disguise_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """What it gave back is closed, and the alert is logged as if there were no hook."""

    def told(alert: Alert) -> object:
        return _async(alert)

    audit = Audit(on_alert=told)
    for record in Story().display().end().records:
        audit(record)
    assert "on_alert gave back a coroutine, which was not run" in caplog.text
    assert "promise 5: pair() ended in state 'displayed'" in caplog.text


async def _async(_alert: Alert) -> None:
    raise AssertionError


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"limits": 0.5}, r"limits must be Limits\(\.\.\.\), not float"),
        ({"on_alert": _async}, "on_alert must be a plain function, not an async one"),
        ({"on_alert": "mail"}, "on_alert must be a function, not str"),
        ({"on_alert": lambda: None}, "on_alert cannot be called with one argument"),
    ],
)
def test_what_an_audit_cannot_use_is_refused(given: dict[str, Any], says: str) -> None:
    """When it is given, and not with the first alert."""
    with pytest.raises(InvalidValue, match=says):
        Audit(**given)


@pytest.mark.parametrize("given", [Audit, MeterProvider([])])
def test_what_is_exported_is_an_audit(given: Any) -> None:
    """Its class, or what should come second, is refused by name."""
    with pytest.raises(
        InvalidValue, match=r"audit must be an Audit\(\), not (Audit|MeterProvider)"
    ):
        export_metrics(given)


def test_a_listener_takes_a_name_and_seconds() -> None:
    """Another function is refused when it is given."""
    with pytest.raises(InvalidValue, match="a listener cannot be called with 2 arguments"):
        Audit().listen(lambda _name: None)  # type: ignore[arg-type, misc]


def test_a_hook_may_ask_for_the_figures() -> None:
    """It is called when the audit is not busy."""
    asked = []
    audit = Audit(on_alert=lambda _alert: asked.append(audit.figures()))
    for record in Story().display().end().records:
        audit(record)
    assert asked[0].alerts == {"promise_broken": 2}


def test_a_closing_that_nobody_saw_opened_counts_nothing() -> None:
    """A journal that was cut in the middle of an attempt has no absurd figures."""
    story = healthy()
    cut = next(n for n, record in enumerate(story.records) if isinstance(record, Leaving))
    audit = Audit(clock=None)
    for record in story.records[cut:]:
        audit(record)
    figures = audit.figures()
    assert (figures.sockets_open, figures.socket_seconds) == (0, 0.0)
    assert figures.outcomes == {}


def test_sockets_that_leak_stay_in_the_figures() -> None:
    """Live, a socket that was left behind is open until it is closed, whatever comes next."""
    audit = Audit(on_alert=lambda _alert: None, clock=lambda: UPTIME + 1_000)
    for number in range(3):
        for record in Story("p-1", at=number).display().end().records:
            audit(record)
    for record in Story("p-2", at=10).display().pair().records:
        audit(record)
    figures = audit.figures()
    assert (figures.sockets_open, figures.sockets_most) == (3, 4)
    assert figures.socket_seconds > 2_900
    assert figures.alerts["second_socket"] == 1


def test_a_socket_that_never_closes_is_found_by_who_asks() -> None:
    """No record will ever come of it; the alert does, once, also if it closes in the end."""
    now = UPTIME
    heard: list[Alert] = []
    audit = Audit(on_alert=heard.append, clock=lambda: now)
    story = Story().display().leave(Event.CANCEL)
    for record in story.records:
        audit(record)
    now = story.records[-1].monotonic + 1.4
    assert audit.figures().alerts == {}
    for seconds in (0.2, 60.0):
        now += seconds
        assert audit.figures().alerts == {"promise_broken": 1}
    (alert,) = heard
    assert str(alert).startswith("promise 2: leaving has taken 1.600 s so far")
    assert (alert.lifecycle, alert.attempt, alert.subject) == (
        "c0ffee0001-1",
        1,
        ("bot-7", "user-123"),
    )
    audit(story.wait(60.0).close().records[-1])
    assert len(heard) == 1


def test_socket_seconds_never_get_less() -> None:
    """Although a record may come late, and say that a socket was closed before somebody asked."""
    story = Story().display().leave(Event.CANCEL).close()
    *before, closed = story.records
    audit = Audit(clock=lambda: closed.monotonic + 0.5)
    for record in before:
        audit(record)
    asked = audit.figures().socket_seconds
    audit(closed)
    assert audit.figures().socket_seconds == asked


def test_an_attempt_has_one_outcome() -> None:
    """What a hook begins and gives up again before `pair()` has returned is no second one."""
    audit = Audit(clock=None)
    story = Story().display().leave(Event.PAIRED).close().change(Event.PAIRED, State.CONNECTED)
    story.change(Event.GENERATE, State.GENERATING)
    story.change(Event.CANCEL, State.IDLE, Reason.CANCELLED).end()
    for record in story.records:
        audit(record)
    assert audit.figures().outcomes == {"connected": 1}


def test_between_attempts_there_is_no_outcome() -> None:
    """A code that is asked for and given up before `pair()` is no attempt that was cancelled."""
    audit = Audit(clock=None)
    story = healthy()
    for _ in range(5):
        story.change(Event.GENERATE, State.GENERATING)
        story.change(Event.CANCEL, State.IDLE, Reason.CANCELLED)
    for record in story.records:
        audit(record)
    assert audit.figures().outcomes == {"connected": 1}


def test_the_first_scan_counts() -> None:
    """A service that repeats it does not make the success look quicker."""
    audit = Audit(clock=None)
    story = Story().display().scan(1.0).scan(1.0).scan(1.0).pair(0.5)
    for record in story.records:
        audit(record)
    assert audit.figures().scan_to_success.longest == pytest.approx(2.5, abs=0.05)


def test_a_socket_that_was_closed_before_the_success_is_timed_to_the_change() -> None:
    """While the graceful close of the old transport was hanging, a read found the success."""
    audit = Audit(clock=None)
    story = Story().display().leave(Event.PAIRED).wait(0.7).close()
    story.change(Event.PAIRED, State.CONNECTED).end()
    late = Story("p-2", at=100).display().close().leave(Event.PAIRED).wait(0.3)
    late.change(Event.PAIRED, State.CONNECTED).end()
    for record in story.records + late.records:
        audit(record)
    measured = audit.figures().success_to_closed
    assert measured.count == 2
    assert measured.total == pytest.approx(1.0)


def test_who_listens_to_durations_may_ask_for_the_figures() -> None:
    """It is told when the audit is not busy."""
    audit = Audit(clock=None)
    heard = []
    audit.listen(lambda name, _seconds: heard.append((name, audit.figures().attempts)))
    for record in healthy().records:
        audit(record)
    assert heard == [("scan_to_success", 1), ("success_to_closed", 1)]


def test_promise_6_a_hook_with_a_token_bound_is_not_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What is logged of a hook that raises is no repr of it."""

    def post(_alert: Alert, *, token: str) -> None:
        raise OSError(token)

    audit = Audit(on_alert=partial(post, token="s3cret"))
    for record in Story().display().end().records:
        audit(record)
    assert "on_alert raised OSError" in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork() here")
def test_a_forked_process_counts_its_own() -> None:
    """What the parent holds open is not the child's, nor is a lock that somebody held."""
    script = (
        "import os, sys\n"
        "from qrlifecycle.monitoring import Audit\n"
        "from tests.records import Story\n"
        "audit = Audit()\n"
        "for record in Story().display().records: audit(record)\n"
        "audit._lock.acquire()\n"
        "child = os.fork()\n"
        "if child: sys.exit(os.waitpid(child, 0)[1])\n"
        "for record in Story('p-2').display().pair().records: audit(record)\n"
        "now = audit.figures()\n"
        "sys.exit(not (now.attempts == 1 and now.sockets_open == 0))\n"
    )
    command = [sys.executable, "-c", script]
    subprocess.run(command, check=True, timeout=PROCESS_HANGS, cwd=Path(__file__).parent.parent)


# Live


@pytest.mark.anyio
async def test_live_a_socket_that_outlives_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lifecycle that leaves without closing is found out by what it reports."""

    async def forget(_connection: Connection) -> None:
        pass

    heard: list[Alert] = []
    async with Pairing(recorders=[Audit(on_alert=heard.append)]) as pairing:
        monkeypatch.setattr(Connection, "close", forget)
        monkeypatch.setattr(Connection, "abandon", lambda _connection: None)
        pairing.lifecycle.cancel()
    assert [type(alert) for alert in heard] == [SocketOutsideDisplayed, PromiseBroken]


@pytest.mark.anyio
async def test_live_a_connection_that_forgets_its_old_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A second socket beside the first breaks promise 3."""

    async def forget(connection: Connection) -> None:
        connection.phase, connection._broke = Phase.ABSENT, None

    heard: list[Alert] = []
    audit = Audit(on_alert=heard.append)
    async with Pairing(recorders=[audit]) as pairing:
        with monkeypatch.context() as patch:
            patch.setattr(Connection, "close", forget)
            pairing.peer.break_connection()
            await anyio.sleep(6)
        pairing.lifecycle.cancel()
    assert isinstance(heard[0], PromiseBroken)
    assert heard[0].promise == 3


class Named(ScriptedTransport):
    """A scripted transport that says whom it is for."""

    @property
    def subject(self) -> tuple[str, ...]:
        return "bot-7", "user-1"


@pytest.mark.anyio
async def test_live_two_tabs_of_one_user() -> None:
    """Two lifecycles for one bot and user, both with a code on screen."""
    heard: list[Alert] = []
    audit = Audit(on_alert=heard.append)
    transport = partial(Named, ScriptedPeer(), Fault.NONE, Fault.NONE)
    tabs = [QRLifecycle(request_qr, transport, recorders=[audit]) for _ in range(2)]
    async with anyio.create_task_group() as tasks:
        for tab in tabs:
            tasks.start_soon(tab.pair)
        await settle()
        assert audit.figures().sockets_open == 2
        for tab in tabs:
            tab.cancel()
    assert [type(alert) for alert in heard] == [SecondSocket]
    assert audit.figures().sockets_open == 0


@pytest.mark.anyio
async def test_live_a_peer_that_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A graceful close that hangs makes the success slow, and there is an alert."""
    clock = SimpleNamespace(monotonic=anyio.current_time, time=anyio.current_time)
    monkeypatch.setattr("qrlifecycle.engine.recording.time", clock)
    heard: list[Alert] = []
    audit = Audit(Limits(success=0.9), on_alert=heard.append)
    async with Pairing(closings=(Fault.HUNG,), recorders=[audit]) as pairing:
        pairing.peer.send(Paired("me"))
    assert [type(alert) for alert in heard] == [SlowSuccess]
    assert audit.figures().success_to_closed.longest == pytest.approx(1.0, abs=0.01)


@pytest.mark.anyio
async def test_live_a_connection_that_flaps(monkeypatch: pytest.MonkeyPatch) -> None:
    """More openings than the limit are told of, once."""
    heard: list[Alert] = []
    audit = Audit(Limits(openings_per_attempt=2), on_alert=heard.append)
    faults = (Fault.UNREACHABLE,) * 3
    async with Pairing(openings=faults, recorders=[audit]) as pairing:
        await anyio.sleep(30)
        pairing.peer.send(Paired("me"))
    assert [alert.kind for alert in heard] == ["waste"]


@pytest.mark.anyio
async def test_live_codes_that_nobody_scans() -> None:
    """Codes that run out one after the other are waste for who set the limit."""
    heard: list[Alert] = []
    audit = Audit(Limits(codes_per_success=2, window=1), on_alert=heard.append)
    async with Pairing(recorders=[audit], policy=Policy(max_refreshes=3)):
        await anyio.sleep(300)
    said = ["codes per success: there was no success; the limit is 2"]
    assert [str(alert) for alert in heard] == said
    assert audit.figures().codes == 4
    assert audit.figures().outcomes == {"codes_used_up": 1}


@pytest.mark.anyio
@given(plan=plans())
async def test_no_plan_makes_a_healthy_lifecycle_raise_an_alert(plan: Plan) -> None:
    """Whatever happens, the audit agrees with the judge: no promise was broken, no socket left."""
    heard: list[Alert] = []
    audit = Audit(Limits(success=math.inf), on_alert=heard.append)
    with pytest.MonkeyPatch.context() as patch:
        recorded = partial(QRLifecycle, recorders=[audit])
        patch.setattr("qrlifecycle.testing.judge.QRLifecycle", recorded)
        judge = await run_plan(plan)
    figures = audit.figures()
    assert (judge.breaches, heard) == ([], [])
    assert figures.openings == sum(figures.closings.values())
    assert sum(figures.outcomes.values()) >= len(judge.outcomes)
    assert (figures.sockets_open, figures.unfinished) == (0, 0)
    assert figures.sockets_most <= 1


# OpenTelemetry


def exported(reader: InMemoryMetricReader) -> dict[str, dict[str, Any]]:
    """Each metric's points, by the values of their attributes."""
    data = reader.get_metrics_data()
    assert data is not None
    return {
        metric.name: {
            " ".join(map(str, (point.attributes or {}).values())): getattr(point, "value", point)
            for point in metric.data.data_points
        }
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def test_figures_are_exported_as_metrics() -> None:
    """Each figure is observed, and durations are histograms."""
    reader = InMemoryMetricReader()
    audit = Audit(clock=None)
    export_metrics(audit, MeterProvider([reader]))
    for record in healthy().add(Dropped, "foreign", 7).records:
        audit(record)
    for record in Story("p-2", at=100).display().fail().records:
        audit(record)
    metrics = exported(reader)
    assert metrics["qrlifecycle.sockets.opened"] == {"": 2}
    assert metrics["qrlifecycle.sockets.closed"] == {"graceful": 2}
    assert metrics["qrlifecycle.sockets.open"] == {"": 0}
    assert metrics["qrlifecycle.sockets.time"][""] == pytest.approx(68.22)
    assert metrics["qrlifecycle.attempts.begun"] == {"": 2}
    assert metrics["qrlifecycle.attempts.ended"] == {"connected": 1, "expired": 1}
    assert metrics["qrlifecycle.codes.shown"] == {"": 2}
    assert metrics["qrlifecycle.dropped"] == {"foreign": 7}
    assert metrics["qrlifecycle.successes.found_by_status"] == {"": 0}
    assert metrics["qrlifecycle.scan_to_success"][""].sum == pytest.approx(5.0)
    assert metrics["qrlifecycle.success_to_closed"][""].count == 1


def test_a_process_that_keeps_an_audit_and_a_journal_ends_without_a_word(tmp_path: Path) -> None:
    """Both may live in a module for as long as the interpreter does: nothing is on its stderr."""
    script = (
        "import sys\n"
        "from qrlifecycle.monitoring import Audit, Journal\n"
        "audit, journal = Audit(), Journal(sys.argv[1])\n"
        "def holds_the_globals(): pass\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "journal.jsonl")]
    done = subprocess.run(
        command,
        check=True,
        capture_output=True,
        timeout=PROCESS_HANGS,
        cwd=Path(__file__).parent.parent,
    )
    assert done.stderr == b""
