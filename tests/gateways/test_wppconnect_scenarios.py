"""wppconnect-server goes through every scenario, with a token and with the server's secret."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from qrlifecycle.gateways import Gateway, WPPConnect
from qrlifecycle.testing.gateways import Emulator, WPPConnectEmulator
from qrlifecycle.testing.suite import GatewayScenarios

from ..patience import patient_clock


class OnBoth(GatewayScenarios):
    """Real sockets, on asyncio and trio."""

    @pytest.fixture(params=["asyncio", "trio"])
    def anyio_backend(self, request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
        return patient_clock(request.param)

    @pytest.fixture
    def emulator(self) -> Callable[[], Emulator]:
        return WPPConnectEmulator

    @pytest.fixture
    def gateway(self) -> Callable[[Any], Gateway]:
        return WPPConnectEmulator.gateway


class TestWPPConnect(OnBoth):
    """With the session's token."""

    __test__ = True


@pytest.mark.slow
class TestWPPConnectWithTheSecret(OnBoth):
    """With the server's secret, from a function."""

    __test__ = True

    @pytest.fixture
    def gateway(self) -> Callable[[Any], Gateway]:
        def make(served: WPPConnectEmulator) -> Gateway:
            known = served.secret_key

            async def secret() -> str:
                return known

            return WPPConnect(served.url, session="bot-7", secret_key=secret)

        return make
