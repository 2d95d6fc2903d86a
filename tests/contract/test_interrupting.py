"""What a peer raises that is no `Exception`, as a test that is skipped does."""

from __future__ import annotations

import pytest

from qrlifecycle import Paired, QRCode, QRUpdated, Transport
from qrlifecycle.testing import WirePeer, checks
from qrlifecycle.testing.contract import smoke_test

pytestmark = pytest.mark.anyio


class Interruption(BaseException):
    """No `Exception`; pytest's own, which says that a test is skipped, would skip these."""


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Real sockets and real time."""
    return str(request.param)


def interrupting_peer() -> WirePeer:
    """A peer that cannot make a transport."""

    def make(_host: str, _port: int) -> Transport:
        raise Interruption

    return WirePeer(make, signals={b"1": QRUpdated(QRCode("one")), b"2": Paired("me")}, heartbeat=1)


async def test_an_interruption_of_a_check_comes_out_as_it_is() -> None:
    """No task group wraps it: pytest would not know it for a skipped test."""
    with pytest.raises(Interruption):
        await checks()[0].run(interrupting_peer)


async def test_an_interruption_before_all_checks_comes_out_as_it_is() -> None:
    """Nor where one transport is tried before all."""
    with pytest.raises(Interruption):
        await smoke_test(interrupting_peer)
