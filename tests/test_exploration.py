"""The explorer: the real code in every situation, and that it would notice."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import anyio
import pytest

from qrlifecycle import Connected, InvalidValue, Reason, Signal
from qrlifecycle.engine.connection import Connection
from qrlifecycle.engine.incoming import Incoming
from qrlifecycle.errors import MissingExtra
from qrlifecycle.proof.exploration import (
    Exploration,
    NotCongruent,
    PromiseRefuted,
    explore,
    fingerprint,
    playing,
    replay,
)
from qrlifecycle.proof.exploration import conformance as conformance_room
from qrlifecycle.proof.exploration.conformance import seen_in
from qrlifecycle.proof.exploration.scene import World
from qrlifecycle.proof.exploration.worlds import EVEN, EVERYWHERE, WIDE_WORLDS, WORLDS
from qrlifecycle.proof.model import rest, situations
from qrlifecycle.states import Event, single_rows
from qrlifecycle.testing import backends
from qrlifecycle.testing.acts import Act, Schedule, ScheduledAct
from qrlifecycle.testing.clock import run_virtually

from .patience import PROCESS_HANGS

BACKENDS = ("asyncio", "trio")

BY_NAME = {world.name: world for world in (*WORLDS, *WIDE_WORLDS)}

ALONE = [world for world in BY_NAME.values() if world.racing == 1]
"""The worlds without races take seconds; `qrlifecycle verify` explores the others too."""

STATUS = replace(BY_NAME["every answer of a status"], without=frozenset())


QUICK = {
    "another transport, after a scan",
    "a code that nobody can see",
}
"""Those of them that take a second."""


@cache
def explored(world: str) -> tuple[Exploration, Exploration]:
    """A world on asyncio, and on trio."""
    return explore(world, backend="asyncio"), explore(world, backend="trio")


@pytest.mark.parametrize(
    "world",
    [
        pytest.param(world.name, marks=() if world.name in QUICK else pytest.mark.slow)
        for world in ALONE
    ],
)
def test_promises_1_to_8_hold_in_every_situation_on_both_backends(world: str) -> None:
    """Promises 1 to 8, as far as they can be seen: no breach, to the last situation."""
    on_asyncio, on_trio = explored(world)
    assert on_asyncio.complete
    assert on_trio.complete
    if not on_asyncio.world.status:  # with two tasks, asyncio may take them in either order
        assert len(on_asyncio.situations) == len(on_trio.situations)
        assert on_asyncio.moves == on_trio.moves


@pytest.mark.slow
def test_every_row_reason_and_resting_place_was_seen() -> None:
    """Nothing is proved about nothing: all rows and reasons, and wherever the model can rest."""
    explorations = [one for world in ALONE for one in explored(world.name)]
    explorations.append(explore(BY_NAME["races of deadlines"]))
    seen = set().union(*(one.seen for one in explorations))
    stood = set().union(*(one.stood for one in explorations))
    assert {(source, row.event) for source, row in single_rows()} <= seen
    assert {*Reason, Connected} <= seen
    # Only a status that is read makes a final check last; for the model none need be.
    resting = {place for place in stood if not place.final_check}
    assert resting == {seen_in(situation) for situation in situations() if rest(situation)}
    assert {place.final_check for place in stood} == {False, True}


@pytest.mark.slow
def test_races_are_explored_alike_from_run_to_run() -> None:
    """The same numbers each time, with races too."""
    world = BY_NAME["races of one code"]
    first, second = explore(world, most=600), explore(world, most=600)
    assert (len(first.situations), first.steps) == (len(second.situations), second.steps)
    assert any(move.racing for move in first.situations[0].leads_to)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_walk_begins_with_no_step_left_over_from_the_walk_before(
    backend: str,
) -> None:
    """One more would let something race with its first move that can race there in no other."""
    first: list[object] = []

    async def main() -> None:
        for _ in range(2):
            async with playing.on_stage(BY_NAME["every act"]) as scene:
                first.append(await playing.make(scene, ScheduledAct(Act.TICK)))
                await playing.make(scene, ScheduledAct(Act.PAIR))  # something to be cancelled

    run_virtually(main, backend)
    assert first[0] == first[1]


@pytest.mark.parametrize("backend", BACKENDS)
def test_promise_2_leaving_while_an_interrupted_opening_closes_takes_one_close_timeout(
    backend: str,
) -> None:
    """A cancellation in the middle of that close: no other transport is made and closed."""
    schedule = "pair; code; ok; ok; generate; broken; code; tick; says-rotated; cancel; tick"
    seen = replay(schedule, STATUS, backend=backend)
    assert seen[-1].endswith("idle, no socket")


@pytest.mark.parametrize("backend", BACKENDS)
def test_promise_4_a_newer_code_read_while_the_connection_closes_is_kept_back(backend: str) -> None:
    """The connection broke and is being closed: a code that is read meanwhile is not handed out."""
    seen = replay("pair; code; ok; ok; hang-up; ok; says-rotated", STATUS, backend=backend)
    assert "promise" not in seen[-1]


@pytest.mark.parametrize("backend", BACKENDS)
def test_promise_5_nobody_is_asked_for_a_code_once_the_caller_has_gone(backend: str) -> None:
    """Cancelled while the old code's transport closes: `request_qr` is not called any more."""
    seen = replay(
        "pair; code; generate; cancelled & ok@0; ok",
        BY_NAME["races for another code"],
        backend=backend,
    )
    assert seen[-1].endswith("idle, no socket")


async def _leave_it_open(connection: Connection) -> None:
    await anyio.lowlevel.checkpoint()
    connection.transport = None


@pytest.mark.parametrize("backend", BACKENDS)
def test_promise_1_broken_is_shown_by_a_shortest_schedule(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that is not closed: found, told, and seen again from what was printed."""
    monkeypatch.setattr(Connection, "close", _leave_it_open)
    monkeypatch.setattr(playing, "conforms", lambda situations, _scene: situations)
    with pytest.raises(PromiseRefuted, match="promise 1: a socket exists") as caught:
        explore(BY_NAME["every act"], backend=backend)
    assert len(caught.value.schedule.moves) <= 6
    text = str(caught.value)
    again = text[text.index("replay(") :]
    assert any("promise 1" in line for line in eval(again, {"replay": replay}))


@pytest.mark.parametrize("backend", BACKENDS)
def test_promise_1_broken_is_told_by_the_model_as_well(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model has no way to a state that is left before its transport is closed."""
    monkeypatch.setattr(Connection, "close", _leave_it_open)
    with pytest.raises(PromiseRefuted, match="by the model it can be in '") as caught:
        explore(BY_NAME["every act"], backend=backend)
    last = replay(caught.value.schedule, "every act", backend=backend)[-1]
    assert re.search(
        r"the code is in '\w+' with no transport; by the model .*, '\w+' pending", last
    )
    assert "<" not in str(caught.value)


@pytest.mark.parametrize(
    "backend", [BACKENDS[0], *(pytest.param(b, marks=pytest.mark.slow) for b in BACKENDS[1:])]
)
def test_promise_4_broken_by_an_opening_that_no_read_follows(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A status that is read on the first opening only: a break and an opening show it."""
    begin = Incoming._begin_listening

    def read_once(incoming: Incoming) -> None:
        assert incoming.connection is not None
        reader = incoming.reader
        incoming.reader = None if incoming.connection._reconnects._failures else reader
        try:
            begin(incoming)
        finally:
            incoming.reader = reader

    monkeypatch.setattr(Incoming, "_begin_listening", read_once)
    with pytest.raises(PromiseRefuted, match="listens, and the status was not read") as caught:
        explore("another transport, with a status", backend=backend)
    assert str(caught.value.schedule).startswith("pair; code; ok; ok; ")


@pytest.mark.parametrize("backend", BACKENDS)
def test_promise_4_broken_by_a_success_that_is_told_twice(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As soon as it is read, and once more when it is reached: it was told before there was one."""
    take = Incoming.take_status

    def tell_and_take(incoming: Incoming, signal: Signal, *, claimed: bool) -> None:
        take(incoming, signal, claimed=claimed)
        pending = incoming._progress.pending
        if pending is not None and pending.event is Event.PAIRED:
            incoming._progress.observers._hooks["on_connected"].deliver(pending.carried)

    monkeypatch.setattr(Incoming, "take_status", tell_and_take)
    with pytest.raises(PromiseRefuted, match="promise 4: on_connected was called 1 times for 0"):
        explore("another transport, with a status", backend=backend)


def test_a_fingerprint_that_misses_something_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Situations that count as one must behave alike: without the codes left, they do not."""
    monkeypatch.setattr(fingerprint, "PASSIVE", fingerprint.PASSIVE | {"codes_left"})
    monkeypatch.setattr(fingerprint, "_WITHOUT", {})  # what it knows of names until now
    with pytest.raises(NotCongruent):
        explore(BY_NAME["every answer of a status"])


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_two_moments_of_the_past_stay_apart_while_they_are_compared(backend: str) -> None:
    """How long a connection had held is asked after its close: by then both its ends lie back."""
    acts = (Act.SAYS_NOTHING, Act.HANG_UP, Act.ROTATED, *EVERYWHERE)
    world = World(
        name="transports that held for long and for short",
        policy=replace(EVEN, max_reconnects=1, qr_lifetime=1.5),
        status=True,
        without=frozenset(Act).difference(acts) | {Act.GENERATE, Act.CANCEL, Act.CANCELLED},
        racing=1,
    )
    assert explore(world, backend=backend).complete


def test_code_that_is_not_where_the_model_says_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If the model had it that a success leads nowhere, the code would be told apart from it."""
    says = {**conformance_room.SAYS, Act.PAIRED: ()}
    monkeypatch.setattr(conformance_room, "SAYS", says)
    with pytest.raises(PromiseRefuted, match="by the model it can be in '"):
        explore(BY_NAME["every act"])


def test_a_schedule_is_what_it_prints() -> None:
    """Text and back."""
    text = "pair; code; ok; paired & cancelled@2 & tick@3"
    schedule = Schedule.parse(text)
    assert schedule.moves[-1] == ScheduledAct(Act.PAIRED, ((2, Act.CANCELLED), (3, Act.TICK)))
    assert str(schedule) == text


def test_a_schedule_that_is_none_says_so() -> None:
    """An act that does not exist, and one that cannot happen where it is to happen."""
    with pytest.raises(InvalidValue, match="no move of a schedule: 'dance'"):
        Schedule.parse("pair; dance")
    with pytest.raises(InvalidValue, match="no move of a schedule: 'pair & ok@soon'"):
        Schedule.parse("pair & ok@soon")
    with pytest.raises(InvalidValue, match="'paired' cannot happen"):
        replay("pair; paired", BY_NAME["every act"])
    for nothing in ("", " ; "):
        with pytest.raises(InvalidValue, match="at least one move"):
            replay(nothing, "every act")
    for kind in (None, 3, b"pair"):
        schedule: Any = kind
        with pytest.raises(InvalidValue, match=r"a schedule is text, as in .*, not "):
            replay(schedule, "every act")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("written", ["pair & cancelled@999", "pair & paired@0"])
def test_a_schedule_that_cannot_be_played_says_so(written: str, backend: str) -> None:
    """One that was written by hand is at fault itself, not the exploration."""
    with pytest.raises(InvalidValue, match=f"'{written}' cannot happen there: what races with"):
        replay(written, "every act", backend=backend)


@pytest.mark.parametrize("most", [1, 300, 700])
def test_no_more_moves_are_made_than_asked_for(most: int) -> None:
    """`most` is exact, within a walk and beyond one."""
    explored = explore("every act", most=most)
    assert explored.moves == most
    assert not explored.complete


def test_what_was_explored_is_one_line() -> None:
    """`print(explore(...))` is a sentence, and its repr no wall."""
    explored = explore("every act", most=20)
    assert re.fullmatch(
        r"'every act' on asyncio: \d+ situations, 20 moves, not complete", str(explored)
    )
    assert "Event." not in repr(explored)


def test_what_there_is_not_is_said_before_anything_runs() -> None:
    """A backend or a world that nobody knows."""
    for call in (explore, lambda *given, **more: replay("pair", *given, **more)):
        with pytest.raises(
            InvalidValue, match="no backend 'curio'; there are 'asyncio' and 'trio'"
        ):
            call("every act", backend="curio")
        with pytest.raises(InvalidValue, match="no world called 'mine'; there are 'every act', "):
            call("mine")


def test_a_backend_that_is_not_installed_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without trio there is an error that says what to install."""
    monkeypatch.setattr(backends, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtra, match=r"'trio' needs an extra: pip install"):
        explore("every act", backend="trio")


@pytest.mark.slow
def test_the_page_on_exploring_does_what_it_says(tmp_path: Path) -> None:
    """Its listings run as one file, and print what the page shows."""
    page = Path(__file__).parents[1].joinpath("docs", "how-to", "explore.md").read_text()
    listings = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (shown,) = re.findall(r"^```text\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    script = tmp_path / "example.py"
    script.write_text("\n\n".join(listings))
    ran = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PROCESS_HANGS,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(shown)
    assert ran.stdout.rstrip().endswith("connected, no socket")
