"""The numbers: what is accepted, and what is told to whoever gives another."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from qrlifecycle import InvalidValue, Policy

TIMES = [f.name for f in fields(Policy) if f.name not in {"refreshes", "show_at_once"}]


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize("value", [0, -1, math.nan, "5", None, True])
def test_a_time_that_is_none_is_refused_by_name(name: str, value: Any) -> None:
    """A time must be a number above 0; the error names the field and the value."""
    with pytest.raises(InvalidValue, match=rf"Policy\.{name} must be a number of seconds above 0"):
        Policy(**{name: value})


@pytest.mark.parametrize("value", [-1, 1.5, True, None])
def test_a_budget_that_is_none_is_refused(value: Any) -> None:
    """Refreshes must be a whole number of at least 0."""
    with pytest.raises(InvalidValue, match="whole number"):
        Policy(refreshes=value)


def test_leaving_must_end() -> None:
    """Every time may be infinite but the closing's: leaving always ends."""
    unlimited: dict[str, Any] = {name: math.inf for name in TIMES if name != "close_timeout"}
    Policy(**unlimited)
    with pytest.raises(InvalidValue, match="close_timeout must be finite"):
        Policy(close_timeout=math.inf)


def test_a_switch_must_be_a_switch() -> None:
    """`show_at_once` is True or False."""
    with pytest.raises(InvalidValue, match="True or False"):
        Policy(show_at_once=1)  # type: ignore[arg-type]


def test_a_policy_cannot_be_changed() -> None:
    """A policy is frozen: what a lifecycle was given is what it has."""
    with pytest.raises(FrozenInstanceError):
        Policy().refreshes = 3  # type: ignore[misc]
