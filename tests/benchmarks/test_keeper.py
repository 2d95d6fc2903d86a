"""The benchmarks of leases and of their keeper: small, on a real Redis."""

from __future__ import annotations

import pytest

from ..leases.redis_server import MISSING
from . import keeper, leases

pytestmark = pytest.mark.skipif(MISSING, reason="there is no redis-server, nor a valkey-server")


def test_all_processes_say_their_leases_again(capsys: pytest.CaptureFixture[str]) -> None:
    """Three of them with 600 each; what Redis was asked is told."""
    assert keeper.main(["--processes", "3", "--leases", "600"]) == 0
    said = capsys.readouterr().out
    assert "3 processes with 600 leases each" in said
    assert "renewals a second" in said


@pytest.mark.slow
@pytest.mark.parametrize("client", ["coredis", "redis-py"])
def test_what_a_lease_costs_is_told(client: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each kind of lease, and what is held; over both clients."""
    few = ["--rounds", "2", "--held", "20", "--idle", "0.1"]
    assert leases.main(["--client", client, *few]) == 0
    said = capsys.readouterr().out
    for row in ("no lease", "LocalLeases", "RedisLeases", "20 leases held", "B a lease"):
        assert row in said
