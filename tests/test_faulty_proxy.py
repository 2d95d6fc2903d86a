"""`qrlifecycle.testing.faulty_proxy`: each fault does to a connection what it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from qrlifecycle.testing.connection_plan import ConnectionPlan, ProxyFault
from qrlifecycle.testing.faulty_proxy import FaultyProxy

HOST = "127.0.0.1"

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Real sockets; the proxy is for asyncio."""
    return "asyncio"


@asynccontextmanager
async def an_echo() -> AsyncIterator[int]:
    """A server that sends back what it is sent; its value is the port."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1000):
                writer.write(data)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(echo, HOST, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def a_client(
    plan: ConnectionPlan,
) -> AsyncIterator[tuple[FaultyProxy, asyncio.StreamReader, asyncio.StreamWriter]]:
    """A client of a proxy with this plan, and the proxy; a second at most for all of it."""
    async with (
        asyncio.timeout(10),
        an_echo() as port,
        FaultyProxy(HOST, port, lambda: plan) as proxy,
    ):
        reader, writer = await asyncio.open_connection(HOST, proxy.port)
        try:
            yield proxy, reader, writer
        finally:
            writer.transport.abort()


@pytest.mark.parametrize("delay", [0.0, 0.01])
async def test_without_a_fault_everything_is_passed_on_in_order(delay: float) -> None:
    """Late or not, what is sent comes back, and then the end."""
    async with a_client(ConnectionPlan(delay=delay)) as (proxy, reader, writer):
        for number in range(5):
            writer.write(f"{number}".encode())
        assert await reader.readexactly(5) == b"01234"
        assert (len(proxy.accepted), proxy.refused, proxy.cuts) == (1, 0, 0)
        proxy.cut(reset=False)
        assert await reader.read() == b""
        assert proxy.cuts == 1


@pytest.mark.parametrize("fault", [ProxyFault.REFUSE, ProxyFault.RESET_LATER])
async def test_a_reset_is_a_reset(fault: ProxyFault) -> None:
    """At once or later, the client's connection breaks."""
    async with a_client(ConnectionPlan(fault)) as (proxy, reader, _writer):
        with pytest.raises(ConnectionResetError):
            await reader.read()
        assert proxy.refused == (fault is ProxyFault.REFUSE)


async def test_an_end_is_in_order() -> None:
    """The client sees the end, and no error."""
    async with a_client(ConnectionPlan(ProxyFault.END_LATER)) as (_proxy, reader, _writer):
        assert await reader.read() == b""


@pytest.mark.parametrize("fault", [ProxyFault.BABBLE, ProxyFault.BABBLE_LATER])
async def test_garbage_comes_without_being_asked_for(fault: ProxyFault) -> None:
    """It is what the plan says."""
    async with a_client(ConnectionPlan(fault, garbage=b"\0\1")) as (_proxy, reader, _writer):
        assert await reader.readexactly(2) == b"\0\1"


@pytest.mark.parametrize("fault", [ProxyFault.STALL, ProxyFault.SILENCE_LATER])
async def test_silence_is_silence_and_the_clients_end_is_seen(fault: ProxyFault) -> None:
    """Nothing comes back, whatever is sent; when the client goes, its connection is gone."""
    async with a_client(ConnectionPlan(fault)) as (proxy, reader, writer):
        await asyncio.sleep(0.01)
        writer.write(b"anybody?")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await reader.read(1)
        writer.transport.abort()
        await proxy.news.until(lambda: not proxy.connections)


async def test_a_proxy_that_refuses_takes_nobody_in_until_it_does_not() -> None:
    """On command; and a server that is not there is a reset as well."""
    async with a_client(ConnectionPlan()) as (proxy, *_):
        proxy.refusing = True
        reader, writer = await asyncio.open_connection(HOST, proxy.port)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.transport.abort()
        assert (len(proxy.accepted), proxy.refused) == (1, 1)
        proxy.refusing, proxy.target = False, (HOST, 1)
        reader, writer = await asyncio.open_connection(HOST, proxy.port)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.transport.abort()
        assert (len(proxy.accepted), proxy.refused) == (2, 1)
