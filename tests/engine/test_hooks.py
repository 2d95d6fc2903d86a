"""One hook by itself: what is waited for, in which order, and what is said of it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from qrlifecycle.engine.hooks import HookRunner
from qrlifecycle.engine.user_code import BackgroundTasks

pytestmark = pytest.mark.anyio

TIMEOUT = 5.0


class Answered:
    """Something to await that is no coroutine, as a task or a future is none."""

    def __init__(self) -> None:
        self.was_awaited = False

    def __await__(self) -> Generator[Any, Any, None]:
        self.was_awaited = True
        return anyio.lowlevel.checkpoint().__await__()


class Told:
    """What a runner says of the calls of its hook."""

    def __init__(self) -> None:
        self.settled: list[Exception | None] = []

    @asynccontextmanager
    async def runner(self, hook: Callable[[Any], object]) -> AsyncIterator[HookRunner[Any]]:
        """A runner whose calls are made while this lasts."""
        runner: HookRunner[Any] = HookRunner("on_change", hook, TIMEOUT)
        runner.settled = self.settle
        async with BackgroundTasks(needed=True) as tasks:
            runner.tasks = tasks
            yield runner

    def settle(self, name: str, error: Exception | None) -> None:
        """A call has ended."""
        assert name == "on_change"
        self.settled.append(error)


async def test_calls_of_an_async_hook_in_disguise_do_not_overlap() -> None:
    """From the first on: that one is known to be async only when it has begun."""
    heard: list[str] = []

    async def hear(item: str) -> None:
        heard.append(f"{item} begins")
        await anyio.sleep(1)
        heard.append(f"{item} ends")

    async with Told().runner(lambda item: hear(item)) as runner:  # noqa: PLW0108 - a disguise
        for item in ("one", "two", "three"):
            runner.deliver(item)
    assert heard == [
        f"{item} {what}" for item in ("one", "two", "three") for what in ("begins", "ends")
    ]


async def test_whatever_an_async_hook_gives_back_to_be_awaited_is_awaited() -> None:
    """A future of a wrapper's is as good as a coroutine; and nothing to await is no error."""
    told, future = Told(), Answered()
    answers: list[Awaitable[object] | None] = [anyio.lowlevel.checkpoint(), future, None]
    async with told.runner(lambda _item: answers.pop(0)) as runner:
        for item in range(3):
            runner.deliver(item)
    assert future.was_awaited
    assert told.settled == [None, None, None]


async def test_what_a_plain_hook_gives_back_is_its_own() -> None:
    """It may start a task and give it back, as a lambda does: nobody waits for that one."""
    told, task = Told(), Answered()
    async with told.runner(lambda _item: task) as runner:
        runner.deliver("news")
        assert told.settled == [None]
    assert not task.was_awaited


async def test_promise_8_a_hook_that_hangs_is_said_once_with_its_deadline(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """In one line of the log, and to whoever needs to know how the call ended."""

    async def hang(_item: object) -> None:
        await anyio.sleep_forever()

    told = Told()
    async with told.runner(hang) as runner:
        runner.deliver("news")
    assert caplog.record_tuples == [
        ("qrlifecycle", logging.ERROR, "on_change took longer than 5 s and was cancelled")
    ]
    (error,) = told.settled
    assert isinstance(error, TimeoutError)
    assert str(error) == "on_change took longer than 5 s"
