"""Evolution API goes through every scenario, as it tells one instance's events, and everybody's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from qrlifecycle.gateways import EvolutionAPI, Gateway
from qrlifecycle.testing.gateways import Emulator, EvolutionEmulator

from .on_both import OnBoth


class TestEvolution(OnBoth):
    """A namespace for the instance, the global key."""

    __test__ = True

    @pytest.fixture
    def emulator(self) -> Callable[[], Emulator]:
        return EvolutionEmulator


@pytest.mark.slow
class TestEvolutionTellingEverybody(OnBoth):
    """Global events, the instance's own token from a function, a phone that can type."""

    __test__ = True

    @pytest.fixture
    def emulator(self) -> Callable[[], Emulator]:
        return partial(EvolutionEmulator, global_events=True, phone_number="+4900012345")

    @pytest.fixture
    def gateway(self) -> Callable[[Any], Gateway]:
        def make(served: EvolutionEmulator) -> Gateway:
            async def token() -> str:
                return served.ours.token

            return EvolutionAPI(
                served.url,
                api_key=token,
                instance="bot-7",
                phone_number=served.phone_number,
                global_events=True,
            )

        return make
