"""The keeper of `examples/leases_in_postgres.py` on a real PostgreSQL, and what its page says."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

from qrlifecycle.errors import LeaseLost
from qrlifecycle.testing import check_leases
from qrlifecycle.testing.leases import LeasesBroken, lease_checks

from ..patience import HANGS, PROCESS_HANGS
from .postgres_server import PostgresServer, what_is_missing

pytest.importorskip("psycopg", reason="needs psycopg, with which the example speaks")

import psycopg

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

from leases_in_postgres import TABLE, PostgresLeases

if TYPE_CHECKING:
    from qrlifecycle.leases import Holder

MISSING = what_is_missing()

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(MISSING is not None, reason=str(MISSING)),
]

TOP = Path(__file__).parents[2]
EXAMPLES = TOP / "examples"
PAGE = TOP / "docs" / "how-to" / "write-a-keeper.md"


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """PostgreSQL keeps the time: no clock of ours is of use."""
    return request.param, {}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A real one."""
    with PostgresServer() as made:
        yield made


@pytest.fixture
def admin(server: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    """A connection to it, and a fresh table."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS qr_lease")
        connection.execute(TABLE)
        yield connection


def test_the_keeper_of_the_page_keeps_its_contract(server: PostgresServer) -> None:
    """The example's own check, as the page runs it: nothing is broken or skipped, on both loops."""
    script = EXAMPLES / "check_leases_in_postgres.py"
    result = subprocess.run(
        [sys.executable, "-W", "error", str(script), server.url],
        capture_output=True,
        text=True,
        check=False,
        timeout=PROCESS_HANGS,
    )
    assert (result.returncode, result.stderr) == (0, "")
    everything = len(lease_checks())
    assert re.findall(r"^on .*", result.stdout, re.MULTILINE) == [
        f"on {backend}: {everything} checks passed, 0 skipped" for backend in ("asyncio", "trio")
    ]


async def test_a_restart_of_postgres_loses_nothing(
    server: PostgresServer, admin: psycopg.Connection[Any]
) -> None:
    """What was held before it crashed is held after it, with the same token, by the same one."""
    losses: list[Exception] = []
    async with PostgresLeases(server.url, ttl=HANGS) as leases:
        lease = leases.lease("bot-7", "user-123")
        await lease.acquire(losses.append, 1)
        await anyio.to_thread.run_sync(server.restart)
        with anyio.fail_after(HANGS):
            while (found := await find(leases)) is None:  # noqa: ASYNC110 - nobody says when
                await anyio.sleep(0.05)
        assert found.token == lease.token
        assert losses == []


async def find(leases: PostgresLeases) -> Holder | None:
    """Who holds the lease, as far as is known."""
    with suppress(LeaseLost):
        return await leases.find_holder("bot-7", "user-123")
    return None


async def test_where_postgres_hangs_everything_ends(
    server: PostgresServer, admin: psycopg.Connection[Any]
) -> None:
    """No answer, and no error: a holder is told, whoever waits can be cancelled, and it closes."""
    lost = anyio.Event()
    with anyio.fail_after(HANGS):
        async with PostgresLeases(server.url, ttl=2) as leases:
            await leases.lease("bot-7", "user-123").acquire(lambda _: lost.set(), 0.25)
            admin.execute("BEGIN; LOCK TABLE qr_lease")  # until it closes
            with anyio.move_on_after(0.1) as waiting:
                await leases.lease("bot-7", "user-123").acquire(lambda _: None, 0.25)
            assert waiting.cancelled_caught
            await lost.wait()


async def test_the_permissions_that_the_page_names_are_enough(
    server: PostgresServer, admin: psycopg.Connection[Any]
) -> None:
    """A user with no more than those takes a lease, takes it over, and gives it back."""
    (grants,) = re.findall(r"^```sql\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    admin.execute("DO $$ BEGIN CREATE USER service; EXCEPTION WHEN duplicate_object THEN END $$")
    admin.execute(grants.encode())
    told = anyio.Event()
    url = server.url.replace("//postgres@", "//service@")
    async with PostgresLeases(url, ttl=HANGS) as leases:
        holder, later = (leases.lease("bot-7", "user-123") for _ in range(2))
        await holder.acquire(lambda _: told.set(), 1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(later.acquire, lambda _: None, 1)
            await told.wait()
            holder.release()
        assert later.token is not None
        assert holder.token is not None
        assert later.token > holder.token


MISTAKES = {
    "granted while it is held": ("claim = %(id)s AND until <= now()", "claim = %(id)s", "L2"),
    "free as soon as its holder was told": (
        "self._leases.held.pop(self.id, None)  #", "self._leases.say(RELEASE, id=self.id)  #", "L2"
    ),
    "`except Exception` around the wait": ("except BaseException:", "except Exception:", "L1"),
    "nobody looks whether the claim still stands": (
        "if not await self._ask(CLAIM_ON):", "if False:", "L6"
    ),
    "nobody looks whether it was released meanwhile": ("if self._released:", "if False:", "L5"),
    "the holder's clock begins with the first renewal": (
        "self.renewed(anyio.current_time())", "pass", "L4"
    ),
    "the clock is looked at after each answer": (", self._watch_the_clock)", ")", "L4"),
    "a room for closing of its own": ("- self._close_within - SLACK", "- SLACK", "L4"),
    "a token that is not counted": ("token = DEFAULT", "token = token", "L8"),
}  # fmt: skip
"""What is written in place of what, and by which clause it is found; named as on the page."""


def check_with(right: str, wrong: str) -> ModuleType:
    """The example's check, of the example with this mistake in it."""
    keeper, check = ModuleType("leases_in_postgres"), ModuleType("check_leases_in_postgres")
    source = (EXAMPLES / "leases_in_postgres.py").read_text()
    assert source.count(right) == 1
    exec(compile(source.replace(right, wrong), keeper.__name__, "exec"), vars(keeper))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, keeper.__name__, keeper)
        exec((EXAMPLES / "check_leases_in_postgres.py").read_text(), vars(check))
    return check


@pytest.mark.parametrize("name", MISTAKES)
async def test_a_mistake_that_the_page_names_is_found(server: PostgresServer, name: str) -> None:
    """Each of them breaks the clause that stands beside it."""
    right, wrong, clause = MISTAKES[name]
    check = check_with(right, wrong)
    with pytest.raises(LeasesBroken):
        await check_leases(lambda: check.two_machines(server.url), clauses=[clause])


def test_the_page_names_each_mistake_with_its_clause() -> None:
    """Its table has these, and no others."""
    _, section = PAGE.read_text().split("## The usual mistakes")
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| (L\d) \|$", section, re.MULTILINE)
    assert dict(rows) == {name: clause for name, (_, _, clause) in MISTAKES.items()}
