"""What the page on several machines shows for threads and for SIGTERM, over a real Redis."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ..patience import PROCESS_HANGS
from ..test_documents import HOW_TO, TOP, blocks, run
from .redis_server import RedisServer

pytestmark = pytest.mark.slow

BEGINNING = """
import sys, threading
from collections import Counter

URL = sys.argv[1]


def make_lifecycle(server, shown, **options):
    async def request_qr():
        return q.QRCode(server.make_code("bot-7", "user-123"), expires_in=60)

    transport = partial(q.SocketIOTransport, server.url, bot_id="bot-7", user_id="user-123")
    return q.QRLifecycle(request_qr, transport, on_qr_updated=shown, **options)
"""

THREADS = """
def work(portal, leases):
    ended = {}

    def one(name, shown):
        make = partial(make_lifecycle, server, shown)
        ended[name] = pair_in_portal(portal, leases, "user-123", make)

    with portal.wrap_async_context_manager(PairingServer()) as server:
        shown = threading.Event()
        first = threading.Thread(target=one, args=("first", lambda qr: shown.set()))
        first.start()
        assert shown.wait(30)

        async def scan(qr):
            await server.scan("bot-7", "user-123")

        one("second", scan)
        first.join()
        print(ended["first"].reason, ended["second"].connected, server.most_sockets())


with_leases(URL, work)
"""

STOPPED = """
async def program():
    async with PairingServer() as server, open_leases(URL) as leases:
        lease = partial(leases.lease, "bot-7", "user-123")
        shown = lambda qr: print("shown", flush=True)
        await until_stopped(make_lifecycle(server, shown, lease=lease).pair)


anyio.run(program)
print("stopped")
"""


def script(tmp_path: Path, ending: str) -> str:
    """The page's listings, and what uses them."""
    listings = blocks(HOW_TO / "several-machines.md", "python")
    path = tmp_path / "program.py"
    path.write_text("\n\n".join([*listings, BEGINNING, ending]))
    return str(path)


def test_threads_that_share_a_portal_share_its_leases(server: RedisServer, tmp_path: Path) -> None:
    """The second takes over, and there is one socket at a time."""
    printed = run(sys.executable, script(tmp_path, THREADS), f"redis://127.0.0.1:{server.port}")
    assert printed.splitlines()[-1] == "superseded True 1"


def test_a_program_that_is_stopped_gives_its_leases_back(
    server: RedisServer, tmp_path: Path
) -> None:
    """By SIGTERM, while its code is shown: Redis knows of no holder and no process any more."""
    program = subprocess.Popen(
        [sys.executable, script(tmp_path, STOPPED), f"redis://127.0.0.1:{server.port}"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=TOP,
    )
    try:
        assert program.stdout is not None
        assert any(line == "shown\n" for line in program.stdout)
        assert list(server.admin.scan_iter("{qrl}:lease:*"))
        program.send_signal(signal.SIGTERM)
        assert program.stdout.read() == "stopped\n"
        assert program.wait(PROCESS_HANGS) == 0
    finally:
        program.kill()
        program.communicate()
    assert not list(server.admin.scan_iter("{qrl}:lease:*"))
    assert not list(server.admin.scan_iter("{qrl}:session:*"))
