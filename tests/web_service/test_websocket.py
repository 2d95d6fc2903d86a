"""The example for FastAPI, towards a page that looks by a WebSocket: who ends first ends both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from qrlifecycle import Paired, Pairings, QRCode, QRLifecycle
from qrlifecycle.testing import ScriptedPeer, settle

example: Any = pytest.importorskip("pair_behind_fastapi", reason="needs the extra 'examples'")

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


class Page:
    """A page that looks, at the other end of ASGI."""

    def __init__(self) -> None:
        self.peer = ScriptedPeer()
        self.lifecycles: list[QRLifecycle] = []
        self.read: list[str] = []
        self.gone = anyio.Event()
        self._says = self._script()

    async def visit(self) -> None:
        """Open a WebSocket, and stay until the service is through with it."""
        scope = {"type": "websocket", "path": "/pair", "query_string": b"", "subprotocols": []}
        headers = {"headers": [(b"x-user", b"ada")]}
        async with Pairings() as pairings:
            example.app.state.server, example.app.state.pairings = None, pairings
            await example.app({**scope, **headers}, self.receive, self.send)

    def make_lifecycle(self, _server: object, _user: str) -> QRLifecycle:
        """In place of the example's: no network."""

        async def request_qr() -> QRCode:
            return QRCode("a code", expires_in=60)

        self.lifecycles.append(QRLifecycle(request_qr, self.peer))
        return self.lifecycles[-1]

    def _script(self) -> Iterator[dict[str, Any]]:
        yield {"type": "websocket.connect"}
        yield {"type": "websocket.receive", "text": "hello"}
        yield {"type": "websocket.receive", "bytes": b"\xff"}

    async def receive(self) -> dict[str, Any]:
        """What the page does: it says things that nobody asked for, and goes away."""
        if (says := next(self._says, None)) is not None:
            return says
        await self.gone.wait()
        return {"type": "websocket.disconnect", "code": 1001}

    async def send(self, message: dict[str, Any]) -> None:
        """What the page is told; nobody can be told who is gone."""
        if self.gone.is_set() and message["type"] != "websocket.accept":
            raise OSError
        self.read.append(message.get("text", message["type"]))


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    """A page that has yet to come."""
    page = Page()
    monkeypatch.setattr(example, "make_lifecycle", page.make_lifecycle)
    return page


async def test_a_page_that_closes_takes_the_socket_along(page: Page) -> None:
    """At once, though there is nothing to send by which it would be noticed."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(page.visit)
        await settle()
        assert page.peer.open_sockets == 1
        assert page.read[0] == "websocket.accept"
        assert page.read[-1].startswith("<svg")
        (lifecycle,) = page.lifecycles
        changes, began = lifecycle.changes(), anyio.current_time()
        page.gone.set()
        await settle()
        assert page.peer.open_sockets == 0
        assert anyio.current_time() == began
        assert [str(change.event) async for change in changes] == ["cancel"]


async def test_a_success_is_the_last_that_a_page_reads(page: Page) -> None:
    """Then the service closes the WebSocket."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(page.visit)
        await settle()
        page.peer.send(Paired("+49"))
    assert page.read[-2:] == ["Paired with +49", "websocket.close"]


async def test_a_page_that_is_gone_when_something_is_sent_is_no_error(page: Page) -> None:
    """It closed in the moment in which it was let in."""
    page.gone.set()
    await page.visit()
    assert page.read == ["websocket.accept"]
    assert page.peer.open_sockets == 0
