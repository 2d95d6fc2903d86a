"""No plan, however hostile, makes a lifecycle break a promise: on asyncio and on trio."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from hypothesis import given

from qrlifecycle.testing import Plan, socketio_peer
from qrlifecycle.testing.contract.check import PeerFactory
from qrlifecycle.testing.run_plan import run_plans_together
from qrlifecycle.testing.strategies import plans
from qrlifecycle.testing.suite import LifecyclePromises

from ..contract.peers import line_peer
from ..patience import patient_clock

SOME, MORE = 10, 60
"""Plans over a real wire: each takes half a second."""


class TestScripted(LifecyclePromises):
    """Scripted transports, on virtual clocks."""

    __test__ = True

    @pytest.fixture
    def peer(self) -> PeerFactory | None:
        return None


class TestSocketIO(LifecyclePromises):
    """The Socket.IO adapter and a server of raw bytes: real sockets, on asyncio."""

    __test__ = True
    max_examples: ClassVar[int | None] = SOME

    @pytest.fixture
    def anyio_backend(self) -> tuple[str, dict[str, Any]]:
        return patient_clock("asyncio")

    @pytest.fixture
    def peer(self) -> PeerFactory | None:
        return socketio_peer


class TestLineTransport(LifecyclePromises):
    """The transport of `examples/line_transport.py`, on asyncio and trio."""

    __test__ = True
    max_examples: ClassVar[int | None] = SOME

    @pytest.fixture(params=["asyncio", "trio"])
    def anyio_backend(self, request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
        return patient_clock(request.param)

    @pytest.fixture
    def peer(self) -> PeerFactory | None:
        return line_peer


@pytest.mark.slow
class TestSocketIOForLong(TestSocketIO):
    """The same with more plans."""

    max_examples: ClassVar[int | None] = MORE


@pytest.mark.slow
class TestLineTransportForLong(TestLineTransport):
    """The same with more plans."""

    max_examples: ClassVar[int | None] = MORE


@pytest.mark.anyio
@given(first=plans(), second=plans())
async def test_promises_hold_for_two_lifecycles_at_once(first: Plan, second: Plan) -> None:
    """In one event loop, each with its own plan: no promise of either is broken."""
    for judge in await run_plans_together([first, second]):
        assert judge.breaches == []
