"""wppconnect-server goes through every scenario, with a token and with the server's secret."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from qrlifecycle.gateways import Gateway, WPPConnect
from qrlifecycle.testing.gateways import Emulator, WPPConnectEmulator

from .on_both import OnBoth


class OnItsEmulator(OnBoth):
    """The one that there is."""

    @pytest.fixture
    def emulator(self) -> Callable[[], Emulator]:
        return WPPConnectEmulator


class TestWPPConnect(OnItsEmulator):
    """With the session's token."""

    __test__ = True


@pytest.mark.slow
class TestWPPConnectWithTheSecret(OnItsEmulator):
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
