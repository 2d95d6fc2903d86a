"""What runs beside `pair()`: waited for, or cancelled, and what it raises comes out as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

import anyio
import pytest

from qrlifecycle.engine.user_code import BackgroundTasks
from qrlifecycle.testing import settle

from ..pairing import asyncio_only, suspended


@pytest.mark.anyio
async def test_after_an_ordinary_error_in_the_body_the_tasks_are_waited_for() -> None:
    """Also if it was raised right there."""
    finished: list[bool] = []

    async def finish() -> None:
        await anyio.sleep(1)
        finished.append(True)

    async def fail() -> None:
        async with BackgroundTasks(needed=True) as tasks:
            tasks.start(finish)
            raise ValueError("right there")

    with pytest.raises(ValueError, match="right there"):
        await fail()
    assert finished == [True]


@pytest.mark.anyio
async def test_of_two_exits_the_first_is_raised() -> None:
    """What comes while the others are being cancelled is a consequence, or later at least."""
    exits: list[SystemExit] = []

    async def leave() -> None:
        exits.append(SystemExit(len(exits)))
        raise exits[-1]

    async def leave_twice() -> None:
        async with BackgroundTasks(needed=True) as tasks:
            tasks.start(leave)
            tasks.start(leave)

    with pytest.raises(SystemExit) as raised:
        await leave_twice()
    assert len(exits) == 2
    assert raised.value is exits[0]


@asyncio_only
@pytest.mark.anyio
async def test_promise_5_what_comes_out_of_a_cancelled_task_is_its_own_cancellation() -> None:
    """With the text that was given to `Task.cancel()`, whatever else is cancelled beside."""

    async def beside() -> None:
        async with BackgroundTasks(needed=True) as tasks:
            tasks.start(anyio.sleep_forever)
            await anyio.sleep_forever()

    task = asyncio.ensure_future(beside())
    await settle()
    task.cancel("the program shuts down")
    with pytest.raises(asyncio.CancelledError, match="the program shuts down"):
        await task


@asyncio_only
@pytest.mark.anyio
async def test_promise_5_a_task_beside_that_is_closed_cancels_nobody() -> None:
    """It is closed when its event loop is gone; its end is nothing that the program raised."""
    async with BackgroundTasks(needed=True) as tasks:
        guard = tasks._guard(suspended, ())
        guard.send(None)
        guard.close()


def test_promise_8_a_coroutine_that_is_closed_after_its_event_loop_raises_nothing() -> None:
    """Nobody runs any more who could be cancelled."""

    async def beside() -> None:
        async with BackgroundTasks(needed=True):
            await suspended()

    async def begin() -> Coroutine[None, None, None]:
        begun = beside()
        begun.send(None)
        return begun

    asyncio.run(begin()).close()
