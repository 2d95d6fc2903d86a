"""Waiting so that no cancellation is passed over: neither in a flood of events, nor at the last."""

from __future__ import annotations

import anyio
import anyio.lowlevel

__all__ = ["sleep_for", "wait_for"]

# On asyncio, anyio delivers the cancellation of a scope by looking, once in each turn of the event
# loop, whether the task waits for a future that is not done; if it is done, the task is about to
# run, and anyio tries again in the next turn. (`Task.cancel()` itself is not so considerate: it is
# raised at the next step, whatever the task waits for.) The order of a turn is stable: whoever was
# scheduled earlier runs earlier. So a peer that sets our event once a turn, before anyio looks,
# has anyio find a future that is done, in this turn and in every other; our task wakes, takes what
# there is, and waits for a fresh future, after anyio has looked. Neither a cancel() nor a deadline
# comes through as long as the peer goes on. Before Python 3.12 `asyncio.wait_for()`, through which
# python-engineio reads, lost a turn on the way, and hid that.
#
# Hence the question before the wait, where nothing is held that could be lost. Of anyio's three
# checkpoints it is `checkpoint_if_cancelled()`: where no scope around us is cancelled it only walks
# up the scopes, a microsecond, and gives up no turn, so that a success is not delayed by what a
# turn takes in a flood. Where one is, it yields without a future until the cancellation is there.
# It would not help a loop that comes to no wait at all: there no timer runs, and nobody can cancel.
# What waits here cannot be such a loop, for nobody sets the event while nobody else has a turn.


async def wait_for(event: anyio.Event) -> None:
    """Wait until the event is set. A cancellation comes out, however often such events are set."""
    await anyio.lowlevel.checkpoint_if_cancelled()
    await event.wait()


# The same has another side. Where a sleep is over and its scope is cancelled before the sleeper has
# run, in the same turn of the event loop, anyio finds a future that is done as well: the sleeper
# goes on, and is cancelled at its next wait. What it does before that it does although somebody has
# decided otherwise: it asks for a code without a lease, or makes a transport that nobody needs. On
# trio it is alike among those whose sleep ends in the same instant.


async def sleep_for(seconds: float) -> None:
    """Sleep; a cancellation comes out, also one that comes when it is over and nothing is done."""
    await anyio.sleep(seconds)
    await anyio.lowlevel.checkpoint_if_cancelled()
