"""The scenarios of a gateway over real sockets, on both event loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from qrlifecycle.gateways import Gateway
from qrlifecycle.testing.suite import GatewayScenarios

from ..patience import patient_clock

__all__ = ["OnBoth"]


class OnBoth(GatewayScenarios):
    """Real sockets, on asyncio and trio; the gateway is as its emulator has it."""

    @pytest.fixture(params=["asyncio", "trio"])
    def anyio_backend(self, request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
        return patient_clock(request.param)

    @pytest.fixture
    def gateway(self) -> Callable[[Any], Gateway]:
        return lambda served: served.gateway()
