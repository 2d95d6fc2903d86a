"""The device flow goes through every scenario, against servers of each kind."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from qrlifecycle.gateways import DeviceFlow, Gateway
from qrlifecycle.testing.gateways import DeviceFlowEmulator, Emulator
from qrlifecycle.testing.suite import GatewayScenarios

from ..patience import patient_clock


class OnBoth(GatewayScenarios):
    """Real sockets, on asyncio and trio."""

    @pytest.fixture(params=["asyncio", "trio"])
    def anyio_backend(self, request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
        return patient_clock(request.param)


class TestLikeOIDCProvider(OnBoth):
    """No interval, never `slow_down`, the whole address, an ID token."""

    __test__ = True

    @pytest.fixture
    def emulator(self) -> Callable[[], Emulator]:
        return DeviceFlowEmulator

    @pytest.fixture
    def gateway(self) -> Callable[[Any], Gateway]:
        return lambda served: DeviceFlow(served.url, client_id="tv")


class TestTheLeastThatTheRFCAsksFor(OnBoth):
    """An interval that is insisted on, a secret, no whole address, and errors with HTTP 200."""

    __test__ = True

    @pytest.fixture
    def emulator(self) -> Callable[[], Emulator]:
        return partial(
            DeviceFlowEmulator,
            client_secret="s3cret/+",
            interval=5,
            complete=False,
            error_status=200,
        )

    @pytest.fixture
    def gateway(self) -> Callable[[Any], Gateway]:
        async def secret() -> str:
            return "s3cret/+"

        return lambda served: DeviceFlow(served.url, client_id="tv", client_secret=secret)
