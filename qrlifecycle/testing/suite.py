"""The contract as a pytest class: subclass it, override one fixture, and each check is a test.

This is a module by itself because it imports pytest; nothing else here does.
"""

from __future__ import annotations

from typing import ClassVar

import pytest

from .contract import checks
from .contract.checks import Check, PeerFactory

__all__ = ["TransportContract"]


class TransportContract:
    """The clauses T1 to T7 as tests, on whatever event loops your ``anyio_backend`` fixture names.

    Override `peer`, and say ``__test__ = True``. Sockets are real: the event loop's clock must be.
    """

    __test__: ClassVar[bool] = False

    @pytest.fixture
    def peer(self) -> PeerFactory:
        """What makes a fresh peer: a `WirePeer`, or a `Peer` of your own."""
        raise NotImplementedError(
            "override the fixture 'peer': it gives a function that makes a fresh WirePeer"
        )

    @pytest.mark.anyio
    @pytest.mark.parametrize("check", checks(), ids=str)
    async def test_contract(self, check: Check, peer: PeerFactory) -> None:
        """The transport keeps the clause."""
        result = await check.run(peer)
        if result.skipped is not None:
            pytest.skip(result.skipped)
        if result.failure is not None:
            pytest.fail(str(result.failure), pytrace=False)
