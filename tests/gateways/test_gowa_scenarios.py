"""GOWA goes through every scenario."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from qrlifecycle.gateways import GOWA, Gateway
from qrlifecycle.testing.gateways import CannotDo, Emulator, GOWAEmulator

from .on_both import OnBoth


class ShortLived(OnBoth):
    """A scenario waits for 60 s, so codes live less."""

    @pytest.fixture
    def emulator(self) -> Callable[[], Emulator]:
        return partial(GOWAEmulator, lifetime=40)


class TestPictures(ShortLived):
    """A password, and pictures to scan."""

    __test__ = True


class Unhurried(GOWAEmulator):
    """What it is like with codes to type."""

    async def expire(self) -> None:
        raise CannotDo("a code to type lives longer than a scenario waits")


@pytest.mark.slow
class TestCodesToType(OnBoth):
    """A fresh password each time, an odd id, and codes to type."""

    __test__ = True

    @pytest.fixture
    def emulator(self) -> Callable[[], Emulator]:
        return partial(Unhurried, device="bøt/7 +&", knows_passkeys=False)

    @pytest.fixture
    def gateway(self) -> Callable[[Any], Gateway]:
        async def password() -> str:
            return "passw0rd-of-the-service"

        return lambda served: GOWA(
            served.url,
            username="admin",
            password=password,
            device=served.device,
            phone_number="+49 151 00000001",
        )
