"""What a WebSocket of ours leaves, wherever it is cancelled, closed or aborted: nothing."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import threading
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from qrlifecycle import TransportLost, TransportUnreachable
from qrlifecycle.testing import cancel_everywhere
from qrlifecycle.testing.contract import plain
from qrlifecycle.testing.contract.websocket_peer import frame
from qrlifecycle.testing.leaks import Leaks
from qrlifecycle.transports.wire import WebSocketConnection, WireOptions, connecting

from ..patience import HANGS
from ..sockets import needs_proc
from .serving import Served, connection_to, full_backlog, hear_all, listening, opened, serve_quietly
from .test_proxy import tunnelling

pytestmark = [pytest.mark.anyio, needs_proc]

WAYS = [("asyncio", "scope"), ("asyncio", "native"), ("trio", "scope")]


async def chat(served: Served) -> None:
    """A ping, a message, a close."""
    await served.accept()
    await served.send(frame(b"", 9) + frame("x"))
    await served.read(6)
    await served.send(frame(b"\x03\xe8", 8))
    await served.read_to_the_end()


async def use(connection: WebSocketConnection) -> None:
    """Open, hear, say, close."""
    try:
        await connection.open()
        assert await connection.receive() == "x"
        await connection.send("y")
        with pytest.raises(anyio.EndOfStream):
            await connection.receive()
        await connection.aclose()
    finally:
        connection.abort()


@pytest.mark.parametrize(("backend", "how"), WAYS)
@pytest.mark.parametrize("over", ["plain", "tls", "proxy"])
def test_cancelled_at_each_step(
    over: str, backend: str, how: Any, certified: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    """From the first step of opening to the last of closing, nothing is left."""

    @asynccontextmanager
    async def server() -> AsyncIterator[dict[str, Any]]:
        async with listening(chat, tls=certified if over == "tls" else None) as port:
            if over != "proxy":
                yield {"port": port, "ssl": trusting if over == "tls" else None}
                return
            async with tunnelling(port, []) as proxy:
                yield {"port": 80, "proxy": f"http://127.0.0.1:{proxy}"}

    async def attempt(options: dict[str, Any]) -> None:
        await use(connection_to(**options))

    # The proxy's own socket to the server is not the connection's, but cannot be told from it.
    report = cancel_everywhere(attempt, within=server, backend=backend, how=how, patience=HANGS)
    assert report.steps >= 4


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "how"), WAYS)
def test_cancelled_while_addresses_are_tried(backend: str, how: Any) -> None:
    """Several sockets at a time."""

    async def attempt(port: int) -> None:
        patch = pytest.MonkeyPatch()
        one = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port))

        async def three(*_: object, **__: object) -> Any:
            return [one, one, one]

        patch.setattr(anyio, "getaddrinfo", three)
        patch.setattr(connecting, "NEXT_ADDRESS", 0.02)
        try:
            with anyio.move_on_after(0.1), pytest.raises(TransportUnreachable):
                await WebSocketConnection(f"ws://many.example:{port}", WireOptions()).open()
        finally:
            patch.undo()

    cancel_everywhere(attempt, within=full_backlog, backend=backend, how=how)


def sockets_of(connection: WebSocketConnection) -> list[socket.socket]:
    """Those that it holds."""
    return list(connection._stream._sockets)


async def test_abort_closes_the_descriptor_at_once_and_resets() -> None:
    """Nobody waits for it, so it waits for nobody; what is unsent is dropped. Again is fine."""
    ended: list[str] = []
    aborted = anyio.Event()

    async def handler(served: Served) -> None:
        await served.accept()
        await aborted.wait()
        try:
            while await plain.read(served.raw):
                pass
            ended.append("in order")
        except ConnectionResetError:
            ended.append("reset")

    served: list[Served] = []
    async with (
        listening(handler, served=served, small_buffers=True) as port,
        opened(port) as connection,
    ):
        (made,) = sockets_of(connection)
        connection.send_nowait("x" * 1_000_000)
        connection.abort()
        assert made.fileno() == -1
        connection.abort()
        await connection.aclose()
        connection.abort()
        aborted.set()
        await served[0].through.wait()
    assert ended == ["reset"]


async def test_closing_ends_a_receive_that_waits_elsewhere() -> None:
    """In order; and the descriptor is closed when closing has returned."""
    async with listening(serve_quietly) as port, opened(port) as connection:
        (made,) = sockets_of(connection)
        ended: list[str] = []

        async def receive() -> None:
            with pytest.raises(anyio.EndOfStream):
                await connection.receive()
            ended.append("receive")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            await anyio.sleep(1)
            await connection.aclose()
            assert made.fileno() == -1
            ended.append("aclose")
        assert sorted(ended) == ["aclose", "receive"]


async def test_aborting_harms_nobody_who_gets_the_descriptors_number_next() -> None:
    """The number is given away at once; who is still to wake must not end a stranger's wait."""
    async with listening(serve_quietly) as port, opened(port) as connection:
        (made,) = sockets_of(connection)
        number = made.fileno()

        async def receive() -> None:
            with pytest.raises(anyio.EndOfStream):
                await connection.receive()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            await anyio.sleep(1)
            connection.abort()
            one, other = socket.socketpair()
            with one, other:
                for end in (one, other):
                    end.setblocking(False)
                if other.fileno() == number:
                    one, other = other, one
                other.send(b"x")
                with anyio.fail_after(5):
                    await anyio.wait_readable(one)


class NotWoken(socket.socket):
    """As on systems where shutting a socket that is connecting wakes nobody."""

    def shutdown(self, how: int) -> None:
        """It is refused."""
        raise OSError(57, "Socket is not connected")


async def test_who_waits_is_woken_though_the_system_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the event loop itself."""
    async with full_backlog() as dead, anyio.create_task_group() as tasks:
        with monkeypatch.context() as patch:
            patch.setattr(socket, "socket", NotWoken)
            connection = connection_to(dead)

            async def abort() -> None:
                await anyio.sleep(1)
                connection.abort()

            tasks.start_soon(abort)
            began = anyio.current_time()
            with pytest.raises(TransportUnreachable):
                await connection.open()
            assert anyio.current_time() - began < 2


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("waiting", [False, True])
@pytest.mark.parametrize("way", ["callback", "thread"])
async def test_abort_may_be_called_from_anywhere(way: str, waiting: bool) -> None:
    """From a callback of the event loop, and from another thread; the peer sees it."""
    served: list[Served] = []
    async with listening(serve_quietly, served=served) as port, opened(port) as connection:
        ended = anyio.Event()

        async def receive() -> None:
            with pytest.raises(anyio.EndOfStream):
                await connection.receive()
            ended.set()

        async with anyio.create_task_group() as tasks:
            if waiting:
                tasks.start_soon(receive)
                await anyio.sleep(0.1)
            if way == "callback":
                asyncio.get_running_loop().call_soon(connection.abort)
            else:
                thread = threading.Thread(target=connection.abort)
                thread.start()
                thread.join()
            with anyio.fail_after(HANGS):
                await served[0].through.wait()
        assert sockets_of(connection) == []
        assert ended.is_set() is waiting


def test_a_connection_that_is_dropped_with_its_loop_can_still_be_aborted() -> None:
    """Nobody closed it while there was a loop; a warning says so unless it is aborted."""

    async def main() -> WebSocketConnection:
        async with listening(serve_quietly) as port:
            connection = connection_to(port)
            await connection.open()
            with anyio.move_on_after(0.1):
                await connection.receive()
            return connection

    for backend in ("asyncio", "trio"):
        connection = anyio.run(main, backend=backend)
        (made,) = sockets_of(connection)
        connection.abort()
        assert made.fileno() == -1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            del connection, made
            gc.collect()


async def test_closing_takes_few_turns_of_the_loop() -> None:
    """A healthy peer is not waited for, nor one that is away."""
    async with listening(serve_quietly) as port, opened(port) as connection:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count)
            await anyio.lowlevel.checkpoint()
            before = turns
            await connection.aclose()
            assert turns - before <= 2
            tasks.cancel_scope.cancel()


async def test_two_receives_at_once_are_told_apart_from_a_fault_of_the_peers() -> None:
    """One of them waits; the other is the program's mistake, and harms nothing."""
    async with listening(chat) as port, opened(port) as connection:
        assert await connection.receive() == "x"
        async with anyio.create_task_group() as tasks:

            async def receive() -> None:
                with pytest.raises((anyio.EndOfStream, anyio.BusyResourceError)):
                    await connection.receive()

            tasks.start_soon(receive)
            tasks.start_soon(receive)


@pytest.mark.parametrize(
    "anyio_backend", [("asyncio", {"use_uvloop": True})], ids=["uvloop"], indirect=False
)
@pytest.mark.parametrize("secure", [False, True])
async def test_it_runs_on_uvloop(
    secure: bool, certified: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    """The whole of it, and an abort in the middle."""
    theirs, ours = (certified, trusting) if secure else (None, None)
    async with listening(chat, tls=theirs) as port:
        assert type(asyncio.get_running_loop()).__module__ == "uvloop"
        leaks = Leaks(servers={port})
        with anyio.fail_after(HANGS):
            await use(connection_to(port, ssl=ours))
            async with opened(port, ssl=ours) as connection:
                assert await connection.receive() == "x"
        async with anyio.create_task_group() as tasks, opened(port, ssl=ours) as connection:

            async def receive() -> None:
                with pytest.raises((anyio.EndOfStream, TransportLost)):
                    await hear_all(connection)

            tasks.start_soon(receive)
            await anyio.sleep(0.05)
            connection.abort()
        assert leaks.sockets() == []
