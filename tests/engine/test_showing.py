"""A code that nobody can see: the attempt ends, unless it has succeeded all the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from qrlifecycle import (
    ActionRequired,
    Cancelled,
    Connected,
    Failed,
    Paired,
    PairingCode,
    Policy,
    QRCode,
    QRExpired,
    QRUpdated,
    Reason,
    Scanned,
    Signal,
    State,
)
from qrlifecycle.testing import settle

from ..pairing import ONCE, Pairing

pytestmark = pytest.mark.anyio

STEPS = ("raises", "raises, async", "raises, in disguise", "outlasts")
"""How a hook fails to show."""


class Screen:
    """A hook that shows what it is given, but for those calls that fail."""

    def __init__(self, how: str, *failing: int) -> None:
        self.how = how
        self.failing = failing
        self.given: list[object] = []
        self.failed = False

    def hook(self) -> Callable[[Any], object]:
        """The hook, plain or async or a plain one that gives back a coroutine."""
        plain, asynchronous = self._show, self._show_slowly
        return {
            "raises": plain,
            "raises, async": asynchronous,
            "raises, in disguise": lambda item: asynchronous(item),  # noqa: PLW0108 - a disguise
            "outlasts": asynchronous,
        }[self.how]

    def _show(self, item: object) -> None:
        self.given.append(item)
        if len(self.given) in self.failing:
            self.failed = True
            raise OSError("no screen")

    async def _show_slowly(self, item: object) -> None:
        self.given.append(item)
        number = len(self.given)
        await anyio.sleep(0.1)
        if number in self.failing:
            self.failed = True
            if self.how == "outlasts":
                await anyio.sleep_forever()
            raise OSError("no screen")


def check_shown_failure(pairing: Pairing, how: str) -> None:
    """The attempt ended because of the hook, with the hook's error."""
    failed = pairing.failed()
    assert failed.reason is Reason.SHOWING_FAILED
    assert isinstance(failed.error, TimeoutError if how == "outlasts" else OSError)
    assert pairing.lifecycle.state is State.FAILED
    assert pairing.peer.open_sockets == 0


@pytest.mark.parametrize("how", STEPS)
@pytest.mark.parametrize("name", ["on_qr_updated", "on_pairing_code"])
async def test_a_first_code_that_cannot_be_shown_ends_the_attempt(how: str, name: str) -> None:
    """At once, or when the hook's time is over; not after six codes that nobody saw."""

    async def request() -> Any:
        return QRCode("a code") if name == "on_qr_updated" else PairingCode("12345678")

    options: dict[str, Any] = {name: Screen(how, 1).hook(), "policy": Policy(hook_timeout=5)}
    began = anyio.current_time()
    async with Pairing(request, **options) as pairing:
        pass
    check_shown_failure(pairing, how)
    assert anyio.current_time() - began <= (5 if how == "outlasts" else 0.1)
    assert len(pairing.peer.transports) == 1


@pytest.mark.parametrize("how", STEPS)
async def test_an_action_that_cannot_be_shown_ends_the_attempt(how: str) -> None:
    """The person would never know of it."""
    screen = Screen(how, 1)
    async with Pairing(on_action_required=screen.hook(), policy=Policy(hook_timeout=5)) as pairing:
        pairing.peer.send(Scanned())
        pairing.peer.send(ActionRequired("passkey"))
    check_shown_failure(pairing, how)


@pytest.mark.parametrize("how", STEPS)
@pytest.mark.parametrize(
    ("failing", "ends"),
    [((2,), False), ((2, 4), False), ((2, 3), True), ((3, 4), True)],
)
async def test_of_the_codes_that_replace_another_one_may_fail(
    how: str, failing: tuple[int, ...], *, ends: bool
) -> None:
    """The code before is still on screen; after two in a row it is dead as well."""
    screen = Screen(how, *failing)
    async with Pairing(on_qr_updated=screen.hook(), policy=Policy(hook_timeout=1)) as pairing:
        for number in range(3):
            await anyio.sleep(2)
            pairing.peer.send(QRUpdated(QRCode(f"code {number}")))
        await anyio.sleep(2)
        pairing.peer.send(Paired("me"))
    if ends:
        check_shown_failure(pairing, how)
    else:
        assert pairing.outcome == Connected("me")


@pytest.mark.parametrize("how", STEPS)
async def test_two_codes_fail_in_a_row_although_an_action_was_shown_between(how: str) -> None:
    """An action is no code: that it was shown says nothing of the code on screen."""
    screen, shown = Screen(how, 2, 3), Screen("raises")
    async with Pairing(
        on_qr_updated=screen.hook(),
        on_action_required=shown.hook(),
        policy=Policy(hook_timeout=1),
    ) as pairing:
        await anyio.sleep(2)
        pairing.peer.send(QRUpdated(QRCode("second")))
        await anyio.sleep(2)
        pairing.peer.send(ActionRequired("passkey"))
        await anyio.sleep(2)
        pairing.peer.send(QRUpdated(QRCode("third")))
    assert len(shown.given) == 1
    check_shown_failure(pairing, how)


@pytest.mark.parametrize("how", STEPS)
async def test_the_first_code_after_a_refresh_must_be_shown_as_well(how: str) -> None:
    """What was on screen before was given up."""
    screen = Screen(how, 2)
    policy = Policy(hook_timeout=1, expiry_grace=0)
    async with Pairing(on_qr_updated=screen.hook(), policy=policy) as pairing:
        await anyio.sleep(2)
        pairing.peer.send(QRExpired())
    check_shown_failure(pairing, how)
    assert len(screen.given) == 2


@pytest.mark.parametrize("how", STEPS)
async def test_promise_4_a_success_that_the_status_knows_wins(how: str) -> None:
    """Before the attempt is given up the status is read, and it says that the account is paired."""

    async def check_status() -> Signal | None:
        return Paired("me") if screen.failed else None

    policy, screen = Policy(hook_timeout=5), Screen(how, 1)
    async with Pairing(
        on_qr_updated=screen.hook(), check_status=check_status, policy=policy
    ) as pairing:
        pass
    assert pairing.outcome == Connected("me")


async def test_promise_4_a_hook_that_fails_during_the_final_check_does_not_end_it() -> None:
    """The code ran out, the status is read once more, and takes its time to say yes."""
    asked: list[float] = []

    async def check_status() -> Signal | None:
        asked.append(anyio.current_time())
        if len(asked) == 1:
            return None
        await anyio.sleep(3)
        return Paired("me")

    policy = Policy(qr_lifetime=10, expiry_grace=0, hook_timeout=12)

    async def request() -> Any:
        return QRCode("a code")

    hook = Screen("outlasts", 1).hook()
    async with Pairing(
        request, on_qr_updated=hook, check_status=check_status, policy=policy
    ) as pairing:
        pass
    assert pairing.outcome == Connected("me")


async def test_promise_4_a_status_that_lags_is_asked_again_in_the_final_check() -> None:
    """The transport is lost for good, a claimed success not confirmed yet: there is time for it."""
    asked: list[float] = []
    paired_at = anyio.current_time() + 2.5

    async def check_status() -> Signal | None:
        asked.append(anyio.current_time())
        return Paired("me") if anyio.current_time() >= paired_at else None

    policy = Policy(max_reconnects=0, confirm_success=True)
    async with Pairing(check_status=check_status, policy=policy) as pairing:
        await anyio.sleep(1)
        pairing.peer.send(Paired("me"))
        await settle()
        pairing.peer.break_connection()
    assert pairing.outcome == Connected("me")
    assert len(asked) > 2


@pytest.mark.parametrize("how", STEPS[1:])
async def test_whoever_goes_away_while_a_hook_is_about_to_fail_has_gone_away(how: str) -> None:
    """What is decided stands; the hook's late failure is logged."""
    screen = Screen(how, 1)
    async with Pairing(on_qr_updated=screen.hook(), policy=Policy(hook_timeout=5)) as pairing:
        pairing.lifecycle.cancel()
    assert pairing.outcome == Cancelled()
    assert pairing.lifecycle.state is State.IDLE


@pytest.mark.parametrize("how", STEPS)
async def test_a_hook_that_goes_away_and_fails_has_gone_away(how: str) -> None:
    """`cancel()` came first."""

    def go(_qr: QRCode) -> None:
        pairing.lifecycle.cancel()
        raise OSError("no screen")

    async def go_async(qr: QRCode) -> None:
        go(qr)

    hooks: dict[str, Any] = {
        "raises": go,
        "raises, async": go_async,
        "raises, in disguise": lambda qr: go_async(qr),  # noqa: PLW0108 - a disguise
        "outlasts": go_async,
    }
    pairing = Pairing(on_qr_updated=hooks[how])
    async with pairing:
        pass
    assert pairing.outcome == Cancelled()


@pytest.mark.parametrize("how", STEPS[1:])
async def test_a_failure_of_a_code_that_was_given_up_does_not_count(how: str) -> None:
    """It comes when another code has been asked for; that one is shown, and is scanned."""
    screen = Screen(how, 1)
    options: dict[str, Any] = {"on_qr_updated": screen.hook(), "policy": Policy(hook_timeout=3)}
    async with Pairing(**options) as pairing:
        pairing.lifecycle.generate()
        await anyio.sleep(10)
        assert [type(code) for code in screen.given] == [QRCode, QRCode]
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")


async def test_a_disguised_hook_is_known_by_the_state_that_it_was_called_in() -> None:
    """Also if that is left before its coroutine has run its first step."""

    async def fail() -> None:
        raise OSError("no screen")

    calls: list[QRCode] = []

    def show(qr: QRCode) -> Any:
        calls.append(qr)
        if len(calls) > 1:
            return None
        pairing.lifecycle.generate()
        return fail()

    pairing = Pairing(on_qr_updated=show)
    async with pairing:
        await anyio.sleep(1)
        pairing.peer.send(Paired("me"))
    assert len(calls) == 2
    assert pairing.outcome == Connected("me")


@pytest.mark.parametrize("how", STEPS[1:])
@pytest.mark.parametrize("failing", [1, 2])
async def test_a_code_that_came_while_a_hook_was_slow_is_shown_or_counts(
    how: str, failing: int
) -> None:
    """If the first cannot be shown, that ends it; if only the second, the first is on screen."""
    screen = Screen(how, failing)
    async with Pairing(on_qr_updated=screen.hook(), policy=Policy(hook_timeout=2)) as pairing:
        pairing.peer.send(QRUpdated(QRCode("second")))
        await anyio.sleep(5)
        pairing.peer.send(Paired("me"))
    if failing == 1:
        check_shown_failure(pairing, how)
    else:
        assert pairing.outcome == Connected("me")


async def test_a_lost_transport_is_the_reason_even_if_the_hook_fails_later() -> None:
    """What went wrong first is what is said."""

    async def check_status() -> Signal | None:
        await anyio.sleep(3)
        return None

    screen = Screen("outlasts", 1)
    async with Pairing(
        on_qr_updated=screen.hook(),
        check_status=check_status,
        policy=Policy(hook_timeout=2, max_reconnects=ONCE.max_reconnects),
    ) as pairing:
        await anyio.sleep(1)
        pairing.peer.break_connection()
    assert isinstance(pairing.outcome, Failed)
    assert pairing.outcome.reason is Reason.TRANSPORT_LOST
