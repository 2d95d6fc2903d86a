"""Each gateway that can share a socket goes through every scenario with a share of one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Self

import pytest

from qrlifecycle.gateways import GOWA, WAHA, EvolutionAPI, WPPConnect
from qrlifecycle.testing.gateways import (
    Emulator,
    EvolutionEmulator,
    GOWAEmulator,
    WAHAEmulator,
    WPPConnectEmulator,
    check_gateway,
)
from qrlifecycle.testing.gateways.served import ServedEmulator
from qrlifecycle.transports.shared import SharedSocket

from ..patience import patient_clock
from .on_both import OnBoth


class WithASocket(ServedEmulator):
    """A service, and the socket that whoever pairs there has a share of."""

    shared: SharedSocket

    def feed(self) -> Any:
        """What the socket is."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.shared = await self._stack.enter_async_context(SharedSocket(self.feed()))
        return self


class SharedEvolution(WithASocket, EvolutionEmulator):
    """Global events."""

    def feed(self) -> Any:
        return EvolutionAPI.feed(self.url, api_key=self.api_key)

    def gateway(self) -> EvolutionAPI:
        return EvolutionAPI(self.url, **self.arguments(), shared=self.shared)


class SharedWPPConnect(WithASocket, WPPConnectEmulator):
    """Always."""

    def feed(self) -> Any:
        return WPPConnect.feed(self.url)

    def gateway(self) -> WPPConnect:
        return WPPConnect(self.url, **self.arguments(), shared=self.shared)


class SharedWAHA(WithASocket, WAHAEmulator):
    """Session ``*``."""

    def feed(self) -> Any:
        return WAHA.feed(self.url, api_key=self.api_key)

    def gateway(self) -> WAHA:
        return WAHA(self.url, **self.arguments(), shared=self.shared)


class SharedGOWA(WithASocket, GOWAEmulator):
    """Always; under the name of a device that stays."""

    def feed(self) -> Any:
        arguments = {**self.arguments(), "device": "listener"}
        return GOWA.feed(self.url, **arguments)

    def gateway(self) -> GOWA:
        return GOWA(self.url, **self.arguments(), shared=self.shared)

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.admit("listener", type(self)(device="listener"))
        return self


@pytest.mark.slow
class TestEvolution(OnBoth):
    """Everybody's namespace."""

    __test__ = True

    @pytest.fixture
    def emulator(self) -> Callable[[], Emulator]:
        return partial(SharedEvolution, global_events=True)


@pytest.mark.slow
class TestWPPConnect(OnBoth):
    """The one namespace that there is."""

    __test__ = True

    @pytest.fixture
    def emulator(self) -> Callable[[], Emulator]:
        return SharedWPPConnect


@pytest.mark.slow
class TestWAHA(OnBoth):
    """All sessions, a restart in order."""

    __test__ = True

    @pytest.fixture
    def emulator(self) -> Callable[[], Emulator]:
        return partial(SharedWAHA, session="bot/7")


@pytest.mark.slow
class TestGOWA(OnBoth):
    """Another device's name on the socket; pictures."""

    __test__ = True

    @pytest.fixture
    def emulator(self) -> Callable[[], Emulator]:
        return partial(SharedGOWA, device="bøt/7 +&", lifetime=40)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "emulator",
    [partial(SharedEvolution, global_events=True), SharedWPPConnect, SharedWAHA, SharedGOWA],
    ids=["Evolution", "WPPConnect", "WAHA", "GOWA"],
)
@pytest.mark.parametrize("anyio_backend", [patient_clock("asyncio")], ids=["asyncio"])
async def test_the_first_code_is_scanned_over_a_shared_socket(emulator: Any) -> None:
    """And leaves nothing, in no log either."""
    await check_gateway(lambda served: served.gateway(), emulator, names=["success"])
