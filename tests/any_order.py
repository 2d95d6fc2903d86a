"""What tests share that draw who does what in which order: each example is a whole program."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from hypothesis import settings
from hypothesis import strategies as st

from qrlifecycle.testing import Fault, VirtualClockEventLoop

from .patience import patient_clock

__all__ = ["FAULTS", "HALF_AS_MANY", "on_asyncio", "on_trio"]

FAULTS = st.lists(
    st.sampled_from([fault for fault in Fault if fault is not Fault.HELD]), max_size=8
)
HALF_AS_MANY = settings(max_examples=settings.get_profile("default").max_examples // 2)
"""Of the profile's examples: each is a whole program."""


def on_asyncio(follow: Callable[..., Awaitable[object]], *drawn: Any) -> None:
    """Follow what was drawn, on asyncio's virtual clock."""
    options = {"loop_factory": VirtualClockEventLoop}
    anyio.run(follow, *drawn, backend_options=options)


def on_trio(follow: Callable[..., Awaitable[object]], *drawn: Any) -> None:
    """The same on trio."""
    backend, options = patient_clock("trio")
    anyio.run(follow, *drawn, backend=backend, backend_options=options)
