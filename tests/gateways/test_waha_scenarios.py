"""WAHA goes through every scenario: the edition of today, and the core edition of 2024."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from qrlifecycle.gateways import WAHA, Gateway
from qrlifecycle.testing.gateways import Emulator, WAHAEmulator

from .on_both import OnBoth


class TestOfToday(OnBoth):
    """A key, a socket of the session's own, and a restart in order."""

    __test__ = True

    @pytest.fixture
    def emulator(self) -> Callable[[], Emulator]:
        return partial(WAHAEmulator, session="bot/7")


@pytest.mark.slow
class TestCoreOf2024(OnBoth):
    """No key, one session, a socket that hears all of them, and codes for ever."""

    __test__ = True

    @pytest.fixture
    def emulator(self) -> Callable[[], Emulator]:
        return partial(WAHAEmulator, edition="core")


@pytest.mark.slow
class TestKilledWithoutAWord(OnBoth):
    """It says no goodbye; the key comes fresh, and all sessions are listened to."""

    __test__ = True

    @pytest.fixture
    def emulator(self) -> Callable[[], Emulator]:
        return partial(WAHAEmulator, graceful=False)

    @pytest.fixture
    def gateway(self) -> Callable[[Any], Gateway]:
        async def key() -> str:
            return "k3y-of-the-service"

        return lambda served: WAHA(served.url, api_key=key, every_session=True)
