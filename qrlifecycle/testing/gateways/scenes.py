"""What a gateway goes through: scenarios that do not depend on the service.

Each is a function whose docstring is the fact that it is about. What the emulator cannot do, and so
what the service has not, skips it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import anyio

from ...outcome import Cancelled, Connected, Reason
from ...states import State
from .emulator import CannotDo
from .stage import Stage, fail

__all__ = ["SCENARIOS", "Scenario"]

RESTART = 24.0
"""Seconds that a restart took (Evolution API 2.3.7)."""

FREEZE = 15.0
"""Seconds without an answer."""

ANOTHER = "+490005550000"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario: its name, what is so if the gateway is right, and how it is played."""

    name: str
    fact: str
    play: Callable[[Stage], Awaitable[None]] = field(repr=False)

    def __str__(self) -> str:
        return self.name


SCENARIOS: list[Scenario] = []


def scenario(play: Callable[[Stage], Awaitable[None]]) -> Callable[[Stage], Awaitable[None]]:
    """List a function among the scenarios."""
    name = getattr(play, "__name__", "").replace("_", " ")
    SCENARIOS.append(Scenario(name, " ".join((play.__doc__ or "").split()), play))
    return play


@scenario
async def success(stage: Stage) -> None:
    """The first code is scanned, and the pairing is a success, for the phone's account."""
    tab = stage.open_tab()
    await tab.until_code()
    await stage.pairs(tab)


@scenario
async def third_code(stage: Stage) -> None:
    """The third code is as good as the first, whoever asked for it."""
    tab = stage.open_tab()
    for number in (2, 3):
        await tab.until_code(number - 1)
        try:
            await stage.emulator.rotate()
        except CannotDo:
            tab.lifecycle.generate()
        await tab.until_code(number)
    await stage.pairs(tab)


@scenario
async def expiry(stage: Stage) -> None:
    """A code that runs out ends the attempt, if no other may be asked for."""
    tab = stage.open_tab(numbers={"max_refreshes": 0})
    await tab.until_code()
    await stage.emulator.expire()
    await stage.fails(tab, Reason.EXPIRED)


@scenario
async def expiry_with_another_code(stage: Stage) -> None:
    """A code that runs out is replaced, if the budget allows it, and the other one is good."""
    tab = stage.open_tab(numbers={"max_refreshes": 1})
    await tab.until_code()
    await stage.emulator.expire()
    await tab.until_code(2)
    await stage.pairs(tab)


@scenario
async def limit(stage: Stage) -> None:
    """Where the service makes no more codes, the attempt says so."""
    tab = stage.open_tab()
    await tab.until_code()
    await stage.emulator.limit()
    await stage.fails(tab, Reason.CODES_USED_UP)


@scenario
async def refusal(stage: Stage) -> None:
    """Who declines on the phone ends the attempt, as far as the service tells."""
    tab = stage.open_tab(numbers={"max_refreshes": 0})
    await stage.emulator.refuse(await tab.until_code())
    await stage.fails(tab, stage.emulator.refused_because)


@scenario
async def already_linked(stage: Stage) -> None:
    """An account that is linked is told at once, and no code is shown."""
    await stage.emulator.link()
    tab = stage.open_tab()
    outcome = await tab.until_end()
    if not isinstance(outcome, Connected) or not outcome.already_paired or tab.shown:
        fail(f"it should have been told at once, without a code; {tab.told()}")
    await stage.connects(tab)


@scenario
async def second_tab_at_once(stage: Stage) -> None:
    """Two that pair the same account in the same instant: the code on screen becomes a success."""
    first, second = stage.open_tab(), stage.open_tab()
    await first.until_code()
    await second.until_code()
    await stage.pairs(second)


@scenario
async def second_tab_a_second_later(stage: Stage) -> None:
    """The same a second later."""
    first = stage.open_tab()
    await first.until_code()
    await anyio.sleep(1)
    second = stage.open_tab()
    await second.until_code()
    await stage.pairs(second)


@scenario
async def killed_and_started_again(stage: Stage) -> None:
    """A service that is away for 24 s loses nobody who waits."""
    tab = stage.open_tab()
    await tab.until_code()
    await stage.emulator.stop()
    await anyio.sleep(RESTART)
    await stage.emulator.start()
    await stage.pairs(tab)


@scenario
async def killed_before_the_code(stage: Stage) -> None:
    """A service that restarts while a code is asked for is asked again."""
    await stage.emulator.stop()
    tab = stage.open_tab()
    await anyio.sleep(RESTART / 2)
    await stage.emulator.start()
    await tab.until_code()
    await stage.pairs(tab)


@scenario
async def frozen(stage: Stage) -> None:
    """A service that answers nobody for 15 s loses nobody who waits, nor a scan meanwhile."""
    tab = stage.open_tab()
    code = await tab.until_code()
    await stage.emulator.freeze()
    await anyio.sleep(FREEZE / 2)
    with suppress(KeyError):
        await stage.emulator.scan(code)
    await anyio.sleep(FREEZE / 2)
    await stage.emulator.thaw()
    if tab.outcome is None:
        with suppress(KeyError):
            await stage.emulator.scan(code)
    await stage.connects(tab)


@scenario
async def cut_off(stage: Stage) -> None:
    """A connection that breaks is made again, and the success is heard."""
    tab = stage.open_tab()
    await tab.until_code()
    await stage.emulator.drop()
    await stage.pairs(tab)


@scenario
async def wrong_key(stage: Stage) -> None:
    """Credentials that the service does not accept are the program's fault, said at once."""
    await stage.emulator.lock_out()
    tab = stage.open_tab()
    await stage.fails(tab, Reason.AUTHENTICATION_REFUSED)
    if tab.shown:
        fail("a code was shown all the same")


@scenario
async def withdrawn_key(stage: Stage) -> None:
    """Credentials that are withdrawn while a code is displayed are the program's fault, too."""
    tab = stage.open_tab()
    await tab.until_code()
    await stage.emulator.withdraw()
    await stage.fails(tab, Reason.AUTHENTICATION_REFUSED)


@scenario
async def unknown_account(stage: Stage) -> None:
    """An account that the service does not know is refused by it."""
    await stage.emulator.forget()
    tab = stage.open_tab()
    await stage.fails(tab, Reason.REFUSED_BY_SERVICE)


@scenario
async def late_scan(stage: Stage) -> None:
    """A scan after the end changes nothing any more, and leaves nothing."""
    tab = stage.open_tab()
    code = await tab.until_code()
    tab.lifecycle.cancel()
    outcome = await tab.until_end()
    with suppress(KeyError):
        await stage.emulator.scan(code)
    await anyio.sleep(2)
    if not isinstance(outcome, Cancelled) or tab.lifecycle.state is not State.IDLE:
        fail(f"it was left already; {tab.told()}")
    await stage.leaves_nothing()


@scenario
async def somebody_else(stage: Stage) -> None:
    """Somebody else's success is none of ours; ours comes after it."""
    tab = stage.open_tab()
    await tab.until_code()
    await stage.emulator.other(ANOTHER)
    await stage.nothing_happens(tab)
    await stage.pairs(tab)


@scenario
async def forged_success(stage: Stage) -> None:
    """A success that the status does not confirm is none."""
    tab = stage.open_tab()
    await tab.until_code()
    await stage.emulator.forge()
    await stage.nothing_happens(tab)
    await stage.pairs(tab)


@scenario
async def wrong_identity(stage: Stage) -> None:
    """Another phone than the one that is expected is let in nowhere."""
    if not stage.emulator.tells_identity:
        raise CannotDo("it does not say whose phone it was")
    tab = stage.open_tab(expect_identity=ANOTHER)
    await tab.until_code()
    await stage.scan(tab)
    await stage.fails(tab, Reason.WRONG_IDENTITY)


@scenario
async def left_while_it_answers_nobody(stage: Stage) -> None:
    """Who goes away while the service is frozen is gone within a second, and leaves nothing."""
    await stage.emulator.freeze()
    tab = stage.open_tab()
    await anyio.sleep(1)
    tab.lifecycle.cancel()
    began = anyio.current_time()
    await tab.until_end()
    if anyio.current_time() - began > 1:
        fail("leaving took more than a second")
    await stage.leaves_nothing()
    await stage.emulator.thaw()
