"""No plan, however hostile, makes a lifecycle break a promise: on asyncio and on trio."""

from __future__ import annotations

import pytest
from hypothesis import given

from .judge import Judge
from .plans import Plan, plans

pytestmark = pytest.mark.anyio


@given(plan=plans())
async def test_promises_1_2_3_5_8_hold_under_every_plan(anyio_backend: object, plan: Plan) -> None:
    """Promises 1, 2, 3, 5 and 8 hold at every change and at the end, whatever happens."""
    judge = Judge(plan)
    await judge.perform()
    assert judge.breaches == []
