"""A server that is stopped while a tab is open: the example for FastAPI, under uvicorn itself."""

from __future__ import annotations

import asyncio
import http.client
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from ..patience import PROCESS_HANGS

pytest.importorskip("fastapi", reason="needs the extra 'examples'")

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
OURS = "import uvicorn, pair_behind_fastapi as e; e.Server(uvicorn.Config(e.app, port=0)).run()"
UVICORNS = ("-m", "uvicorn", "pair_behind_fastapi:app", "--port=0", "--timeout-graceful-shutdown=1")


@contextmanager
def an_open_tab(*command: str) -> Iterator[tuple[subprocess.Popen[str], http.client.HTTPResponse]]:
    """A server, and a tab that shows a code."""
    discard, pipe = subprocess.DEVNULL, subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, *command], cwd=EXAMPLES, stdout=discard, stderr=pipe, text=True
    ) as server:
        try:
            assert server.stderr is not None
            lines = iter(server.stderr.readline, "")
            ports = (re.search(r"running on http://127\.0\.0\.1:(\d+)", line) for line in lines)
            port = next(found[1] for found in ports if found is not None)
            tab = http.client.HTTPConnection("127.0.0.1", int(port), timeout=PROCESS_HANGS)
            with closing(tab):
                tab.request("POST", "/pair", headers={"X-User": "ada"})
                with tab.getresponse() as answer:
                    while not answer.readline().startswith(b"data: <svg"):
                        pass
                    answer.port = int(port)  # type: ignore[attr-defined]
                    yield server, answer
        finally:
            server.kill()


def test_a_server_ends_at_once_with_a_tab_open() -> None:
    """The tab reads that it was stopped; the log has no error, and everything is closed."""
    with an_open_tab("-c", OURS) as (server, answer):
        server.send_signal(signal.SIGTERM)
        _, log = server.communicate(timeout=PROCESS_HANGS)
        assert b"data: Pairing was stopped." in answer.read()
    assert "Application shutdown complete" in log
    assert "ERROR" not in log
    assert "Traceback" not in log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_page_over_a_websocket_reads_it_as_well(number: signal.Signals) -> None:
    """Uvicorn closes it otherwise with code 1012 before the news is sent."""

    async def read(port: int, stop: Callable[[], object]) -> tuple[list[str], int | None]:
        url = f"http://127.0.0.1:{port}/pair"
        headers = {"X-User": "bob"}
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(url, headers=headers) as page,
        ):
            while not (await page.receive_str()).startswith("<svg"):
                pass
            stop()
            said = [
                message.data async for message in page if message.type is aiohttp.WSMsgType.TEXT
            ]
            return said, page.close_code

    with an_open_tab("-c", OURS) as (server, answer):
        stop = partial(server.send_signal, number)
        said, code = asyncio.run(read(answer.port, stop))  # type: ignore[attr-defined]
        _, log = server.communicate(timeout=PROCESS_HANGS)
    assert (said[-1], code) == ("Pairing was stopped.", 1000)
    assert "ERROR" not in log


def test_a_server_that_was_not_told_ends_by_its_own_deadline() -> None:
    """As `uvicorn service:app` does: its streams are cut off, and it says so as an error."""
    with an_open_tab(*UVICORNS) as (server, _):
        server.send_signal(signal.SIGTERM)
        _, log = server.communicate(timeout=PROCESS_HANGS)
    assert "timeout graceful shutdown exceeded" in log
    assert "Application shutdown complete" in log
