"""The numbers: what is accepted, and what is told to whoever gives another."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from qrlifecycle import InvalidValue, Policy
from qrlifecycle.policy import FINITE

TIMES = [f.name for f in fields(Policy) if f.type == "float" and f.name != "expiry_grace"]
BUDGETS = [f.name for f in fields(Policy) if f.type == "int"]
SWITCHES = [f.name for f in fields(Policy) if f.type == "bool"]


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize("value", [0, -1, math.nan, "5", None, True])
def test_a_time_that_is_none_is_refused_by_name(name: str, value: Any) -> None:
    """A time must be a number above 0; the error names the field and the value."""
    with pytest.raises(InvalidValue, match=rf"Policy\.{name} must be a number of seconds above 0"):
        Policy(**{name: value})


@pytest.mark.parametrize("name", BUDGETS)
@pytest.mark.parametrize("value", [-1, 1.5, True, None])
def test_a_budget_that_is_none_is_refused(name: str, value: Any) -> None:
    """A budget must be a whole number of at least 0."""
    with pytest.raises(InvalidValue, match=rf"Policy\.{name} must be a whole number"):
        Policy(**{name: value})


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, "5", None, True])
def test_a_grace_may_be_nothing_but_not_less(value: Any) -> None:
    """The grace may be 0, but neither negative nor endless."""
    assert Policy(expiry_grace=0).expiry_grace == 0
    with pytest.raises(InvalidValue, match=r"Policy\.expiry_grace must be"):
        Policy(expiry_grace=value)


def test_leaving_must_end() -> None:
    """Every time may be infinite but those that leaving needs: leaving always ends."""
    unlimited: dict[str, Any] = {name: math.inf for name in TIMES if name not in FINITE}
    Policy(**unlimited)
    for name in FINITE:
        endless: dict[str, Any] = {name: math.inf}
        with pytest.raises(InvalidValue, match=f"{name} must be"):
            Policy(**endless)


def test_waits_do_not_begin_above_their_limit() -> None:
    """The first wait before reconnecting is at most the longest."""
    with pytest.raises(InvalidValue, match="reconnect_delay must not be above reconnect_delay_max"):
        Policy(reconnect_delay=6.0)


@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_must_be_a_switch(name: str) -> None:
    """A switch is True or False."""
    value: Any = 1
    with pytest.raises(InvalidValue, match="True or False"):
        Policy(**{name: value})


def test_a_policy_cannot_be_changed() -> None:
    """A policy is frozen: what a lifecycle was given is what it has."""
    with pytest.raises(FrozenInstanceError):
        Policy().max_refreshes = 3  # type: ignore[misc]


def test_at_least_one_code_may_be_shown() -> None:
    """An attempt without any code is none."""
    with pytest.raises(InvalidValue, match=r"max_codes must be a whole number of at least 1"):
        Policy(max_codes=0)
