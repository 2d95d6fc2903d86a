"""The hostile runs: some of them, and that they would notice what they are to notice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any

import anyio
import pytest

from qrlifecycle import TransportUnreachable
from qrlifecycle.transports.socketio import SocketIOTransport
from qrlifecycle.transports.wire import WebSocketConnection
from qrlifecycle.transports.wire.stream import Stream

from ..sockets import needs_proc
from .__main__ import main
from .acts import SECRET
from .plan import LOOPS, Interruption, Kind, Loop, Plan, Subject, draw
from .run import run

pytestmark = needs_proc

SOME = 40
"""Runs of the quick tests; each takes some hundredths of a second."""

DOZEN = 12

SEARCHED = 400
"""Runs among which what is looked for is found."""


def seeds(wanted: Callable[[Plan], bool]) -> list[int]:
    """The seeds of the first dozen plans that are wanted."""
    found: list[int] = []
    for seed in count(1):
        if wanted(draw(seed)):
            found.append(seed)
        if len(found) == DOZEN:
            break
    return found


def wrong(run_seeds: range) -> list[str]:
    """What was wrong with the runs of these seeds."""
    return [str(verdict) for verdict in map(run, run_seeds) if verdict.faults]


def test_a_seed_says_all_of_a_plan() -> None:
    """So each run can be had again, and each kind of run is drawn."""
    plans = [draw(seed) for seed in range(SEARCHED)]
    assert plans == [draw(seed) for seed in range(SEARCHED)]
    assert {plan.loop for plan in plans} == set(LOOPS)
    assert {plan.kind for plan in plans} == set(Kind)
    assert {plan.subject for plan in plans} == set(Subject)
    assert {plan.interruption for plan in plans} == set(Interruption)
    for name in ("tls", "proxied", "polling", "small_buffers", "from_the_kit"):
        assert {getattr(plan, name) for plan in plans} == {True, False}


def test_promises_7_8_some_hostile_runs() -> None:
    """Whatever a peer does and whoever is cancelled: nothing is left, nothing unnamed comes out."""
    assert wrong(range(SOME)) == []


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 2000, 250))
def test_promises_7_8_a_thousand_hostile_runs(first: int) -> None:
    """The same, for longer."""
    assert wrong(range(first, first + 250)) == []


def test_a_fault_says_how_to_have_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the seed of its run, whichever run of the command it was; and the command ends with 1."""

    async def break_off(_self: WebSocketConnection, _greet: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr(WebSocketConnection, "open", break_off)
    seed = next(s for s in seeds(_is_websocket) if draw(s).interruption is Interruption.NONE)
    assert main(["--runs", "2", "--seed", str(seed - 1)]) == 1
    said = capsys.readouterr().out
    assert f"python -m tests.hostile --runs 1 --seed {seed}\n" in said
    assert "KeyError" in said


def _is_websocket(plan: Plan) -> bool:
    return plan.kind is Kind.WEBSOCKET and plan.subject is Subject.TRANSPORT


def _forget_the_socket(self: Stream) -> None:
    self._closed = True


async def _swallow(self: SocketIOTransport) -> None:
    try:
        await anyio.sleep(1)
    except BaseException:
        raise TransportUnreachable("cancelled, and kept to itself") from None


async def _tell(_self: SocketIOTransport) -> None:
    raise TransportUnreachable(f"the token is {SECRET}")


async def _leave_a_task(_self: SocketIOTransport) -> None:
    _kept.append(asyncio.ensure_future(asyncio.sleep(60)))
    raise TransportUnreachable("a task is left")


_kept: list[Any] = []


@pytest.mark.parametrize(
    ("place", "name", "replacement", "wanted", "found"),
    [
        pytest.param(
            Stream, "_end", _forget_the_socket, lambda p: p.kind is Kind.SOCKETIO, "socket",
            id="a socket is left",
        ),
        pytest.param(
            SocketIOTransport, "open", _swallow,
            lambda p: p.kind is Kind.SOCKETIO and p.interruption is Interruption.NATIVE
            and p.loop is Loop.ASYNCIO, "did not come out",
            id="a cancellation is kept",
        ),
        pytest.param(
            SocketIOTransport, "open", _tell, lambda p: p.kind is Kind.SOCKETIO, "a secret",
            id="a secret is told",
        ),
        pytest.param(
            SocketIOTransport, "open", _leave_a_task,
            lambda p: p.kind is Kind.SOCKETIO and p.loop is Loop.ASYNCIO, "left: task",
            id="a task is left",
        ),
    ],
)  # fmt: skip
def test_a_wrong_transport_is_found_out(  # noqa: PLR0917 - a table's
    monkeypatch: pytest.MonkeyPatch,
    place: type,
    name: str,
    replacement: Callable[..., Any],
    wanted: Callable[[Plan], bool],
    found: str,
) -> None:
    """Each thing that is judged is noticed within a dozen runs."""
    monkeypatch.setattr(place, name, replacement)
    told: list[str] = []
    for seed in seeds(wanted):
        told += run(seed).faults
        if any(found in fault for fault in told):
            return
    pytest.fail(f"nothing of {found!r} in {told}")
