"""One exception by itself: whose it is, what a log says of it, and how it is raised again."""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import pytest
import trio

from qrlifecycle.engine.user_code import (
    describe,
    fault_of,
    is_thrown_away,
    name_of,
    native_cancellations,
    place_of,
    raise_swallowed,
    reraise,
)
from qrlifecycle.errors import ForeignCancellation, ServiceRefused

from ..pairing import asyncio_only, suspended

SECRET = "5f0c1e9ad7b3"


async def caught_from(foreign: Callable[[], Awaitable[object]]) -> BaseException:
    """What it raises."""
    try:
        await foreign()
    except BaseException as error:
        return error
    raise AssertionError


def of_trio() -> BaseException:
    """A cancellation of trio's, as a program meets it that runs both event loops."""
    caught: list[BaseException] = []

    async def be_cancelled() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            caught.append(await caught_from(trio.lowlevel.checkpoint))

    trio.run(be_cancelled)
    return caught[0]


# Whose a cancellation is


@pytest.mark.anyio
async def test_promise_5_the_cancellation_of_a_scope_is_ours() -> None:
    """It goes on as it is, on either event loop."""
    with anyio.CancelScope() as scope:
        scope.cancel()
        error = await caught_from(anyio.lowlevel.checkpoint)
        with pytest.raises(type(error)) as raised:
            fault_of(error)
        assert raised.value is error


@asyncio_only
@pytest.mark.anyio
async def test_promise_5_the_cancellation_of_a_task_is_ours() -> None:
    """As long as nobody takes it back."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    error = await caught_from(anyio.lowlevel.checkpoint)
    with pytest.raises(asyncio.CancelledError):
        fault_of(error)
    task.uncancel()
    assert isinstance(fault_of(error), ForeignCancellation)


@pytest.mark.anyio
async def test_a_cancellation_of_the_other_event_loop_is_not_ours(
    anyio_backend_name: str,
) -> None:
    """Not even while we are being cancelled: what it ended is not what we wait for."""
    foreign = of_trio() if anyio_backend_name == "asyncio" else asyncio.CancelledError()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await caught_from(anyio.lowlevel.checkpoint)
        assert isinstance(fault_of(foreign), ForeignCancellation)


@pytest.mark.parametrize("make", [asyncio.CancelledError, of_trio])
def test_without_an_event_loop_no_cancellation_is_ours(make: Callable[[], BaseException]) -> None:
    """Whoever is called there is called by somebody whom nobody can have cancelled."""
    assert native_cancellations() == 0
    assert isinstance(fault_of(make()), ForeignCancellation)


def test_in_a_callback_of_the_event_loop_no_cancellation_is_ours() -> None:
    """There is a loop, and no task that could have been cancelled."""
    seen: list[object] = []

    async def call_back() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: seen.append(native_cancellations()))
        loop.call_soon(lambda: seen.append(type(fault_of(asyncio.CancelledError()))))
        await asyncio.sleep(0)

    asyncio.run(call_back())
    assert seen == [0, ForeignCancellation]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_program_that_never_imports_asyncio_is_cancelled_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of the event loops, anyio imports the one that runs."""
    monkeypatch.delitem(sys.modules, "asyncio")
    assert native_cancellations() == 0
    with anyio.CancelScope() as scope:
        scope.cancel()
        error = await caught_from(anyio.lowlevel.checkpoint)
        with pytest.raises(trio.Cancelled):
            fault_of(error)


@pytest.mark.anyio
async def test_promise_5_a_scope_whose_cancellation_was_swallowed_cancels_by_itself() -> None:
    """At the next await. Raised by hand, it would look like `Task.cancel()` and leave the scope."""
    went_on = False
    before = native_cancellations()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await caught_from(anyio.lowlevel.checkpoint)
        raise_swallowed(before)
        went_on = True
        await anyio.sleep_forever()
    assert went_on
    assert scope.cancelled_caught


# A coroutine that is closed


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_is_raised_right_there_closes_no_coroutine(error: type[BaseException]) -> None:
    """Only `GeneratorExit` does: after anything else there is time to await."""
    with pytest.raises(error) as raised:
        raise error
    assert not is_thrown_away(raised.value)


def test_a_coroutine_that_is_closed_knows_it() -> None:
    """`GeneratorExit` from further in is somebody else's coroutine."""
    seen: list[bool] = []

    async def foreign() -> None:
        raise GeneratorExit

    async def be_closed() -> None:
        seen.append(is_thrown_away(await caught_from(foreign)))
        try:
            await suspended()
        except GeneratorExit as error:
            seen.append(is_thrown_away(error))
            raise

    closed = be_closed()
    closed.send(None)
    closed.close()
    assert seen == [False, True]


# In a log


def refuse() -> None:
    """Raise one of ours, whose text holds no secret."""
    raise ServiceRefused("no")


def fail() -> None:
    """Raise what a program may."""
    raise ValueError(SECRET)


def test_a_log_says_what_was_raised_and_each_frame_it_came_through() -> None:
    """As a traceback does, which a program or an editor can read; and no text of anybody else's."""
    with pytest.raises(ValueError, match=SECRET) as raised:
        fail()
    first, *frames = describe(raised.value).split("\n")
    assert first == "ValueError"
    assert frames == "".join(traceback.format_tb(raised.tb)).rstrip().split("\n")


def test_a_log_says_one_of_ours_in_a_line_with_the_programs_own() -> None:
    """What a service answered is not to look like a mistake in here."""
    with pytest.raises(ServiceRefused) as raised:
        refuse()
    line = raised.traceback[-1].lineno + 1
    assert describe(raised.value) == f"ServiceRefused: no ({__file__}:{line})"
    assert describe(ServiceRefused("no")) == "ServiceRefused: no"


def test_an_error_that_is_raised_again_is_not_kept_on_the_way() -> None:
    """It holds its frames; the two are freed late where one of these holds it as well."""
    kept = ValueError("kept")
    with pytest.raises(ValueError, match="kept") as raised:
        reraise(kept)
    last = raised.traceback[-1].frame
    assert last.code.name == "reraise"
    assert last.f_locals == {}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError(2, SECRET, SECRET), "FileNotFoundError: No such file or directory"),
        (OSError(SECRET), "OSError"),
        (OSError([], SECRET), "OSError"),
        (OSError(-1, SECRET), "OSError"),
        (KeyError(2), "KeyError"),
    ],
)
def test_promise_6_of_an_error_of_the_systems_its_number_is_told(
    error: Exception, said: str
) -> None:
    """And nothing that somebody may have put into it."""
    assert name_of(error) == said


def test_the_place_of_an_error_is_the_programs_own() -> None:
    """Python's library is further in, and mends nothing."""
    with pytest.raises(ValueError, match="Expecting value") as caught:
        json.loads("no JSON")
    assert place_of(caught.value).startswith(f" ({__file__}:")
