"""How long a real Redis takes for each script: the time of its one thread, with what it reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qrlifecycle.leases.redis.keeper import SAID_AT_ONCE
from qrlifecycle.leases.redis.outbox import BATCH
from qrlifecycle.leases.redis.scripts import ACQUIRE, BEGIN, RENEW, UPDATE, Script

from ...leases.redis_server import RedisServer
from .server import ServiceTimes

__all__ = ["measure"]

TTL = str(3600 * 1000)
"""Milliseconds."""

SESSION = ("session", "process", "machine")


def measure(batches: int = 20) -> ServiceTimes:
    """On this machine, now: so many scripts of each kind that has many leases in it."""
    with RedisServer() as server:
        server.end_grace()
        rounds = batches * BATCH

        def cost(times: int, script: Script, args: Callable[[int], Sequence[str]]) -> float:
            sha = server.admin.script_load(script.text)
            before = _worked(server)
            for number in range(times):
                server.admin.evalsha(sha, 1, "{qrl}:server", "{qrl}:", TTL, *args(number))
            return (_worked(server) - before) / times

        begin = cost(rounds, BEGIN, lambda _: (*SESSION, "first"))
        begin_all = cost(batches, BEGIN, lambda part: (*SESSION, "more", *_said(part)))
        renew = cost(rounds, RENEW, lambda _: SESSION[:2])
        acquire = cost(
            rounds, ACQUIRE, lambda n: (*SESSION, f"key-{n}", f"holder-{n}", "take_over", "0")
        )
        update = cost(rounds, UPDATE, lambda n: ("confirm", f"key-{n}", f"holder-{n}"))
        update_all = cost(2 * batches, UPDATE, lambda n: _updates(*divmod(n, 2)))
    each_updated = max(0.0, (update_all - update) / (BATCH - 1))
    return ServiceTimes(
        acquire=acquire,
        renew=renew,
        begin=begin,
        each_begun=max(0.0, (begin_all - begin) / SAID_AT_ONCE),
        update=max(0.0, update - each_updated),
        each_updated=each_updated,
    )


def _said(part: int) -> list[str]:
    """Leases that the server has never heard of."""
    numbers = range(part * SAID_AT_ONCE, (part + 1) * SAID_AT_ONCE)
    return [word for n in numbers for word in (f'["bot-7", "user-{n}"]', f"{n:016x}", "1")]


def _updates(batch: int, released: int) -> list[str]:
    """Of leases that were granted: confirmed, and released by the next."""
    numbers = range(batch * BATCH, (batch + 1) * BATCH)
    word = "release" if released else "confirm"
    return [part for n in numbers for part in (word, f"key-{n}", f"holder-{n}")]


def _worked(server: RedisServer) -> float:
    """Seconds that its main thread was at work since it was started."""
    said = server.admin.info("cpu")
    user, system = said["used_cpu_user_main_thread"], said["used_cpu_sys_main_thread"]
    return float(user) + float(system)
