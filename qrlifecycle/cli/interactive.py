"""What `demo` and `pair` share: an attempt that a person watches and can stop at any moment."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import fields, replace
from typing import Any

import anyio

from ..codes import QRCode
from ..engine.service import Service
from ..errors import InvalidValue, UsageError
from ..gateways.base import Gateway
from ..lifecycle import QRLifecycle
from ..outcome import Cancelled, Outcome
from ..policy import Policy
from ..signals import ActionRequired
from ..spelling import did_you_mean
from ..states import State
from .drawing import can_draw, draws_blocks, draws_colours
from .log_view import log_to
from .plain_view import CANNOT_DRAW, Hints, PlainView
from .stopping import Stop

__all__ = [
    "exit_code",
    "make_lifecycle",
    "make_view",
    "policy_of",
    "require_drawing",
    "run_in_view",
    "service_of",
]

REFRESH_INTERVAL = 0.05
"""Seconds between two checks whether the screen must be drawn again."""

Require = Callable[[ActionRequired], None]
"""Is told what the service requires of the person."""

Companion = Callable[[], Coroutine[Any, Any, None]]
"""Runs during an attempt and is cancelled when that ends."""


def policy_of(arguments: argparse.Namespace, base: Policy | None = None) -> Policy:
    """The policy from the command line.

    Args:
        arguments: what was given.
        base: what is not given is as it is here.

    Raises:
        InvalidValue: a number out of its range.
    """
    names = ("attempt_timeout", "max_refreshes", "qr_lifetime")
    asked: dict[str, Any] = {name: getattr(arguments, name) for name in names}
    given = {name: value for name, value in asked.items() if value is not None}
    numbers = _numbers(arguments.policy, given)
    try:
        return replace(base or Policy(), **given, **numbers)
    except InvalidValue as error:
        said = str(error).replace("math.inf", "inf")
    for name in names:
        said = said.replace(f"Policy.{name}", f"--{name.replace('_', '-')}")
    raise InvalidValue(said.replace("Policy.", "--policy "))


def _numbers(pairs: Sequence[str], given: Collection[str]) -> dict[str, Any]:
    """The policy's numbers that have no option of their own."""
    kinds = {field.name: str(field.type) for field in fields(Policy)}
    numbers: dict[str, Any] = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        if name not in kinds:
            hint = did_you_mean(name, kinds) or f", with one of: {', '.join(kinds)}"
            raise InvalidValue(f"--policy takes NAME=NUMBER{hint}")
        if name in given or name in numbers:
            raise InvalidValue(f"the policy's {name} is given twice")
        try:
            words = {"true": True, "false": False}
            numbers[name] = words[text] if kinds[name] == "bool" else _number(text)
        except (ValueError, KeyError):
            raise InvalidValue(f"--policy {name}= takes a number, or true or false") from None
    return numbers


def _number(text: str) -> float:
    return int(text) if text.lstrip("+-").isdigit() else float(text)


def make_view(
    stop: Stop, hints: Hints, arguments: argparse.Namespace, *, title: str, lifetime: float
) -> PlainView:
    """The live view in a terminal that can show it, else plain lines.

    Raises:
        MissingExtra: a package that draws is not installed.
    """
    QRCode("x").matrix()  # a missing package is reported before anything is opened
    if arguments.plain or not draws_colours() or not draws_blocks():
        return PlainView(stop, hints, title=title, invert=arguments.invert)
    from .live_view import LiveView

    return LiveView(stop, hints, title=title, lifetime=lifetime)


def require_drawing() -> None:
    """Nothing is asked for where nobody would see it.

    Raises:
        UsageError: standard output cannot show a code.
    """
    if not can_draw():
        raise UsageError(CANNOT_DRAW.format(sys.stdout.encoding))


def make_lifecycle(
    service: Service, policy: Policy, view: PlainView, require: Require | None = None
) -> QRLifecycle:
    """A lifecycle with the hooks of the view; ``require`` is told of actions in its place."""
    lifecycle = QRLifecycle(
        service.request_qr,
        service.transport,
        policy=policy,
        check_status=service.check_status,
        on_qr_updated=view.show,
        on_pairing_code=view.spell,
        on_action_required=require or view.require,
        on_change=view.changed,
    )
    view.watch(lifecycle)
    return lifecycle


def service_of(gateway: Gateway) -> Service:
    """A gateway's own functions."""
    parts = gateway.parts()
    return Service(parts["request_qr"], parts["transport"], parts["check_status"])


async def run_in_view(
    lifecycle: QRLifecycle, view: PlainView, stop: Stop, companion: Companion | None = None
) -> Outcome:
    """Run one attempt and show it in the view, and how it ended."""
    with view, log_to(view):
        outcome = await _run(lifecycle, view, stop, companion)
        view.end(outcome)
    return outcome


def exit_code(outcome: Outcome, stop: Stop) -> int:
    """The exit code of the command: 0 if paired, even if a stop was asked for meanwhile."""
    if outcome.connected:
        return 0
    return 1 if stop.code is None else stop.code


async def _run(
    lifecycle: QRLifecycle, view: PlainView, stop: Stop, companion: Companion | None
) -> Outcome:
    outcome: Outcome = Cancelled()
    mistake: UsageError | None = None
    loop = asyncio.get_running_loop()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_keep_fresh, view)
        if companion is not None:
            tasks.start_soon(companion)
        scope = anyio.CancelScope()
        with scope, stop.asks(lambda: loop.call_soon_threadsafe(_cancel, lifecycle, scope)):
            if stop.code is not None:  # the first line had no reader
                scope.cancel()
            try:
                outcome = await lifecycle.pair()
            except UsageError as error:  # raised below: the task group would wrap it
                mistake = error
        tasks.cancel_scope.cancel()
    if mistake is not None:
        raise mistake
    return outcome


def _cancel(lifecycle: QRLifecycle, scope: anyio.CancelScope) -> None:
    # Before the first step of an attempt and after its last one, cancel() has no effect.
    if not lifecycle.cancel() and lifecycle.state is State.IDLE:
        scope.cancel()


async def _keep_fresh(view: PlainView) -> None:
    while True:
        await anyio.sleep(REFRESH_INTERVAL)
        view.refresh()
