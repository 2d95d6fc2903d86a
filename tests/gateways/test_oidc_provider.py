"""The device flow with a certified OpenID provider: `oidc-provider`, from npm, in its process."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from qrlifecycle import Connected, Failed, Outcome, QRCode, Reason
from qrlifecycle.gateways import DeviceFlow, Gateway
from qrlifecycle.testing.gateways import Emulator
from qrlifecycle.testing.suite import GatewayScenarios

from ..patience import HANGS
from .oidc_provider import OIDCProvider

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Both event loops, as they are: the server has a process of its own."""
    assert isinstance(request.param, str)
    return request.param


class TestEveryScenario(GatewayScenarios):
    """A client with a secret, and a server that keeps its codes over a restart."""

    __test__ = True

    @pytest.fixture
    def anyio_backend(self) -> str:
        """One: each takes the seconds that the RFC has between two questions; Authlib has both."""
        return "asyncio"

    @pytest.fixture
    def gateway(self) -> Callable[[Any], Gateway]:
        return lambda served: served.gateway()

    @pytest.fixture
    def emulator(self) -> Callable[[], Emulator]:
        return OIDCProvider


async def pair(lifetime: float = 600, does: str | None = None, **options: Any) -> Outcome:
    """Pair; the person does this with the first code, as soon as it is shown."""
    async with OIDCProvider(lifetime) as provider:

        async def show(qr: QRCode) -> None:
            assert qr.typed is not None
            assert qr.reveal().endswith(f"?user_code={qr.typed.reveal()}")
            assert qr.typed_at == f"{provider.url}/device"
            if does == "scan":
                await provider.scan(qr, "user-7")
            elif does == "refuse":
                await provider.refuse(qr)

        who: dict[str, Any] = {"client_id": "tv", **options}
        gateway = DeviceFlow(provider.url, **who)
        with anyio.fail_after(HANGS):
            return await gateway.lifecycle(on_qr_updated=show).pair()


@pytest.mark.parametrize(
    "options", [{}, {"client_id": "box", "client_secret": "s3cret"}], ids=["public", "secret"]
)
async def test_a_success(options: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """It publishes where it is asked, names no interval, and the token names the person."""
    caplog.set_level(logging.DEBUG)
    outcome = await pair(does="scan", **options)
    assert isinstance(outcome, Connected)
    assert outcome.identity == "user-7"
    assert {"access_token", "id_token"} <= set(outcome.data)
    for secret in (*map(str, outcome.data.values()), "s3cret"):
        assert len(secret) < 7 or secret not in caplog.text


async def test_a_refusal() -> None:
    """The person declines in the browser."""
    assert await pair(does="refuse") == Failed(
        Reason.REFUSED_ON_PHONE,
        data={"error": "access_denied", "error_description": "the person declined"},
    )


async def test_an_expiry() -> None:
    """Nobody comes while the code lives."""
    assert await pair(lifetime=6) == Failed(Reason.EXPIRED)


@pytest.mark.parametrize(
    "options",
    [{"client_id": "nobody"}, {"client_id": "box", "client_secret": "wrong"}],
    ids=["unknown", "wrong secret"],
)
async def test_a_client_that_is_not_let_in(options: dict[str, Any]) -> None:
    """It is the program's fault, and no code is shown."""
    outcome = await pair(**options)
    assert isinstance(outcome, Failed)
    assert outcome.reason is Reason.AUTHENTICATION_REFUSED
