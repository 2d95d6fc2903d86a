"""The simulation of the leases' protocol, small: what must hold holds, and figures are derived."""

from __future__ import annotations

import gc
from typing import Any

import anyio
import pytest

from qrlifecycle.leases.redis.keeper import SAID_AT_ONCE
from qrlifecycle.leases.redis.lease import RedisLease

from .simulation.__main__ import main, play
from .simulation.scenarios import AWAY, SCENARIOS, Crowd, Figures, at, figures_of
from .simulation.server import ServiceTimes
from .simulation.world import CLOSING, Code, World

pytestmark = pytest.mark.anyio

RENEW_EVERY = 3.0


def holds(figures: Figures) -> bool:
    """Never two sockets for a user, tokens grow, and nobody lost a lease for nothing."""
    return figures.overlaps == figures.older == figures.lapsed == 0


async def test_each_process_sends_one_renewal_in_three_seconds() -> None:
    """However many leases it holds, and nothing else."""
    for leases in (1, 50):
        figures = await SCENARIOS["quiet"](Crowd(4, leases))
        assert holds(figures)
        assert figures.commands / figures.seconds == pytest.approx(4 / RENEW_EVERY, rel=0.05)


@pytest.mark.parametrize("ttl", [15.0, 30.0])
async def test_promise_9_a_keeper_that_is_back_empty_is_told_all_again(ttl: float) -> None:
    """In as many scripts as it takes, once, after at most a renewal's time; nothing lapses."""
    figures = await SCENARIOS["restart"](Crowd(3, SAID_AT_ONCE + 1, ttl=ttl))
    assert holds(figures)
    assert figures.displayed == 3 * (SAID_AT_ONCE + 1)
    assert figures.begun == 3 * 2
    assert AWAY < figures.seconds < AWAY + ttl / 5 + figures.busy + 0.5


async def test_promise_9_5_a_killed_process_blocks_its_users_for_a_ttl_at_most() -> None:
    """And a quarter of it more; then each of them has a code again."""
    figures = await SCENARIOS["killed"](Crowd(3, 20))
    assert holds(figures)
    assert len(figures.waits) == 20
    assert 10 < at(figures.waits, 0.5) <= at(figures.waits, 1) < 15 * 1.25


async def test_promise_9_3_in_a_deploy_users_wait_until_the_old_socket_is_closed() -> None:
    """Whoever comes again while it is closed waits for that, and no longer."""
    figures = await SCENARIOS["deploy"](Crowd(3, 20, replaced=3))
    assert holds(figures)
    assert figures.displayed == 60
    assert CLOSING * 0.9 < at(figures.waits, 1) < CLOSING * 1.1


@pytest.mark.slow
async def test_promise_9_nothing_lapses_while_more_come_than_a_keeper_can_serve() -> None:
    """They wait: of each process sixteen are asked for at a time, and renewals have their turn."""
    times = ServiceTimes(acquire=0.004)  # 250 a second
    figures = await SCENARIOS["rush"](Crowd(4, 0, rate=500, times=times))
    assert holds(figures)
    assert figures.share > 0.95
    assert at(figures.waits, 1) > 1


async def test_a_code_that_comes_and_goes_costs_three_commands_at_most() -> None:
    """It asks, confirms and gives back: the fewer, the more of them come at a time."""
    figures = await SCENARIOS["rush"](Crowd(4, 0, rate=10))
    assert holds(figures)
    assert at(figures.waits, 1) < 0.01
    assert 2 * 10 < figures.commands / figures.seconds < 3 * 1.3 * 10 + 4 / RENEW_EVERY


def test_nothing_of_a_scenario_stays_when_the_next_is_played() -> None:
    """A million leases are a gigabyte, of which circles would be left until much later."""
    gc.disable()
    try:
        assert holds(play("killed", Crowd(2, 5)))
        assert not [one for one in gc.get_objects() if isinstance(one, RedisLease)]
    finally:
        gc.enable()


async def test_two_sockets_and_a_lost_lease_are_seen() -> None:
    """By the judge: no figure of it is nothing because nothing is looked at."""
    crowd = Crowd(2, 2)
    async with World(crowd.times, crowd.ttl).running(2, 2) as world:
        again = Code(world.processes[1], "user-0")
        world.judge.opened(again, 1)
        assert (world.judge.overlaps, world.judge.older) == (1, 1)
        world.server.away = True
        await anyio.sleep(crowd.ttl)
        assert world.judge.lapsed == 4
        assert world.judge.open == {"user-0": again}


async def test_a_fault_of_the_simulated_keeper_is_no_keeper_that_is_away() -> None:
    """It comes out of the simulation."""
    async with World(Crowd(1, 0).times).running(1) as world:
        world.server.keeper.token = "no number"  # type: ignore[assignment]
        waiting = Code(world.processes[0], "one")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(waiting.display)
            await anyio.sleep(0.1)
            with pytest.raises(TypeError):
                figures_of(world, began=0)
            tasks.cancel_scope.cancel()


@pytest.mark.slow
def test_the_command_tells_of_each_scenario(capsys: Any) -> None:
    """With how many, and what must be nothing."""
    few = ["--processes", "3", "--leases", "20", "--rates", "20", "--replaced", "1"]
    assert main(few) == 0
    said = capsys.readouterr().out
    assert "3 processes with 20 leases each" in said
    assert "20 codes a second come" in said
    nothing = [line for line in said.splitlines() if "two sockets of one user" in line]
    assert nothing
    assert nothing[0].split()[-1] == "0"
    with pytest.raises(SystemExit):
        main(["--processes", "2"])
    assert "at most --processes" in capsys.readouterr().err
