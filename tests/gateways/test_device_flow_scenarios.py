"""The device flow goes through every scenario, against servers of each kind."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import anyio
import pytest

from qrlifecycle import Outcome, QRCode
from qrlifecycle.gateways import DeviceFlow, Gateway
from qrlifecycle.testing.gateways import DeviceFlowEmulator, Emulator

from ..patience import patient_clock
from .authlib_server import AuthlibServer
from .on_both import OnBoth


@pytest.mark.slow
class TestLikeOIDCProvider(OnBoth):
    """No interval, never `slow_down`, the whole address, an ID token."""

    __test__ = True

    @pytest.fixture
    def emulator(self) -> Callable[[], Emulator]:
        return DeviceFlowEmulator

    @pytest.fixture
    def gateway(self) -> Callable[[Any], Gateway]:
        return lambda served: DeviceFlow(served.url, client_id="tv")


@pytest.mark.slow
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


A_BIT = 1.0
"""Seconds between two looks, which is how exactly the pace is known."""


class TestAuthlib(OnBoth):
    """A real server, Authlib's, with a secret. It insists on its interval."""

    __test__ = True

    @pytest.fixture
    def emulator(self) -> Callable[[], Emulator]:
        return partial(AuthlibServer, client_secret="s3cret")

    @pytest.fixture
    def gateway(self) -> Callable[[Any], Gateway]:
        return partial(authlib_gateway, client_secret="s3cret")

    @pytest.mark.slow
    @pytest.mark.anyio
    async def test_its_slow_down_is_not_heard_at_the_pace_that_it_asks_for(self) -> None:
        """And where it is, the pace is slower from then on."""
        async with AuthlibServer() as server:
            outcome = None
            gateway = authlib_gateway(server)
            shown: list[QRCode] = []
            async with anyio.create_task_group() as tasks:

                async def pair() -> None:
                    nonlocal outcome
                    outcome = await gateway.lifecycle(on_qr_updated=shown.append).pair()

                async def until_asked(times: int) -> float:
                    while len(server.server.requests) < times:  # noqa: ASYNC110 - nobody says it
                        await anyio.sleep(A_BIT)
                    return anyio.current_time()

                tasks.start_soon(pair)
                polls = [await until_asked(times) for times in (3, 4, 5)]
                assert server.slowed_down == 0
                await anyio.sleep(2)
                (credential,) = server.credentials.values()
                server.polls[credential["device_code"]] = anyio.current_time()  # somebody else's
                slower = [await until_asked(times) for times in (6, 7, 8)]
                assert server.slowed_down == 1
                assert all(later - poll > 5 - 2 * A_BIT for poll, later in pairwise(polls))
                assert all(later - poll > 10 - 2 * A_BIT for poll, later in pairwise(slower))
                await server.scan(shown[0])
            assert outcome is not None
            assert outcome.connected


def authlib_gateway(served: Any, **options: Any) -> DeviceFlow:
    """Authlib publishes nothing about itself by itself."""
    return DeviceFlow(
        served.url,
        client_id="tv",
        device_endpoint=f"{served.url}/device/auth",
        token_endpoint=f"{served.url}/token",
        **options,
    )


class TestSeveral:
    """One gateway, several lifecycles."""

    @pytest.fixture(params=["asyncio", "trio"])
    def anyio_backend(self, request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
        return patient_clock(request.param)

    @pytest.mark.anyio
    async def test_one_gateway_serves_several_and_mixes_up_nobody(self) -> None:
        """Each lifecycle polls for its own code, so nobody gets another's token."""
        async with DeviceFlowEmulator() as server, anyio.create_task_group() as tasks:
            gateway = DeviceFlow(server.url, client_id="tv")
            shown: list[QRCode] = []
            found: dict[int, Outcome] = {}

            async def pair(number: int) -> None:
                found[number] = await gateway.lifecycle(on_qr_updated=shown.append).pair()

            for number in range(3):
                tasks.start_soon(pair, number)
                await anyio.sleep(1)
            for number in (2, 0, 1):
                await server.scan(shown[number], f"user-{number}")
        assert [found[number].identity for number in range(3)] == ["user-0", "user-1", "user-2"]  # type: ignore[union-attr]
