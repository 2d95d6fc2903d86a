"""From a name to a socket: several addresses, dead ones, IPv6, and names that take long."""

from __future__ import annotations

import socket
from typing import Any
from unittest.mock import AsyncMock

import anyio
import pytest

from qrlifecycle import TransportUnreachable
from qrlifecycle.errors import Ending
from qrlifecycle.testing.leaks import Leaks
from qrlifecycle.transports.wire import WebSocketConnection, WireOptions
from qrlifecycle.transports.wire.connecting import NEXT_ADDRESS, in_turn

from ..patience import HANGS
from .serving import Served, full_backlog, listening, opened, serve_quietly

pytestmark = pytest.mark.anyio

Found = tuple[int, int, int, str, Any]


def found(port: int, host: str = "127.0.0.1") -> Found:
    """An address, as the system gives it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return family, socket.SOCK_STREAM, 0, "", (host, port)


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> list[Found]:
    """What a name stands for."""
    listed: list[Found] = []
    monkeypatch.setattr(anyio, "getaddrinfo", AsyncMock(return_value=listed))
    return listed


def connection(**options: Any) -> WebSocketConnection:
    """To that name."""
    return WebSocketConnection("ws://many.example/", WireOptions(**options))


async def closed_port() -> int:
    """One at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port: int = gone.getsockname()[1]
    return port


async def test_a_dead_first_address_costs_a_quarter_of_a_second(addresses: list[Found]) -> None:
    """And not the whole deadline; its socket is gone."""
    async with full_backlog() as dead, listening(serve_quietly) as port:
        addresses[:] = [found(dead), found(port)]
        leaks, made = Leaks(servers={port}), connection()
        began = anyio.current_time()
        await made.open()
        assert NEXT_ADDRESS <= anyio.current_time() - began < 2 * NEXT_ADDRESS
        assert len(leaks.sockets()) == 1
        await made.aclose()
        assert leaks.sockets() == []


async def test_two_dead_ones_cost_two_quarters(addresses: list[Found]) -> None:
    """Each is tried as well, while the ones before are waited for."""
    async with full_backlog() as dead, listening(serve_quietly) as port:
        addresses[:] = [found(dead), found(dead), found(port)]
        leaks, made = Leaks(servers={port}), connection()
        began = anyio.current_time()
        await made.open()
        assert 2 * NEXT_ADDRESS <= anyio.current_time() - began < 3 * NEXT_ADDRESS
        assert len(leaks.sockets()) == 1
        await made.aclose()


async def test_an_address_that_refuses_costs_nothing(addresses: list[Found]) -> None:
    """The next one is tried at once."""
    async with listening(serve_quietly) as port:
        addresses[:] = [found(await closed_port()), found(port)]
        made, began = connection(), anyio.current_time()
        await made.open()
        assert anyio.current_time() - began < NEXT_ADDRESS
        await made.aclose()


async def test_a_slow_address_still_wins_if_the_others_refuse(
    addresses: list[Found], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is waited for as long as there is time."""
    async with full_backlog() as dead:
        addresses[:] = [found(dead), found(await closed_port())]
        leaks, made = Leaks(), connection(heartbeat=20)
        with pytest.raises(TransportUnreachable) as raised:
            await made.open()
        assert raised.value.ending is Ending.SILENT
        assert leaks.sockets() == []


async def test_when_all_refuse_the_text_says_how_many(addresses: list[Found]) -> None:
    """And the last one's answer."""
    port = await closed_port()
    addresses[:] = [found(port), found(port, "::1"), found(port)]
    with pytest.raises(TransportUnreachable) as raised:
        await connection().open()
    assert raised.value.ending is Ending.NOT_CONNECTED
    assert str(raised.value) == (
        "cannot connect to the server many.example:80: connection refused, and at 2 more of its "
        "addresses"
    )


async def test_a_system_without_ipv6_is_no_hindrance(
    addresses: list[Found], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No socket can be made for that address."""
    real = socket.socket

    def without(family: int = -1, *more: Any, **named: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported")
        return real(family, *more, **named)

    async with listening(serve_quietly) as port:
        addresses[:] = [found(port, "::1"), found(port)]
        with monkeypatch.context() as patch:
            patch.setattr(socket, "socket", without)
            made = connection()
            await made.open()
        await made.aclose()


async def test_a_name_without_an_address(addresses: list[Found]) -> None:
    """The system found nothing, and raised nothing."""
    with pytest.raises(TransportUnreachable) as raised:
        await connection().open()
    assert raised.value.ending is Ending.NAME_NOT_FOUND


def test_addresses_are_tried_in_turn() -> None:
    """IPv6 and IPv4, the system's first choice first, each family in its order."""
    four, six = socket.AF_INET, socket.AF_INET6
    listed: list[Any] = [(six, 0, 0, 1), (six, 0, 0, 2), (six, 0, 0, 3), (four, 0, 0, 4)]
    assert [one[3] for one in in_turn(listed)] == [1, 4, 2, 3]
    assert [one[3] for one in in_turn(listed[::-1])] == [4, 3, 2, 1]


async def test_ipv6() -> None:
    """As a number in the URL; the brackets are in the request."""
    served: list[Served] = []
    async with listening(serve_quietly, host="::1", served=served) as port:
        made = WebSocketConnection(f"ws://[::1]:{port}/", WireOptions())
        await made.open()
        assert served[0].header(b"host") == [f"[::1]:{port}".encode()]
        assert repr(made) == f"<WebSocketConnection ws://[::1]:{port}>"
        await made.aclose()


async def test_what_is_written_is_sent_at_once() -> None:
    """Without waiting for more to send along (Nagle's algorithm)."""
    async with listening(serve_quietly) as port, opened(port) as made:
        (raw,) = made._stream._sockets
        assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_a_name_of_this_machine() -> None:
    """Looked up by the system."""
    async with listening(serve_quietly) as port:
        made = WebSocketConnection(f"http://localhost:{port}", WireOptions())
        with anyio.fail_after(HANGS):
            await made.open()
        await made.aclose()


@pytest.mark.parametrize("way", ["cancelled", "aborted", "silent"])
async def test_a_name_that_takes_long_is_waited_for_no_longer_than_asked(
    monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """It can be cancelled, and has the heartbeat's time; no socket is made for whom is gone."""
    asked, answered = anyio.Event(), anyio.Event()

    async def slow(*_: object, **__: object) -> Any:
        asked.set()
        await answered.wait()
        return [found(1)]

    monkeypatch.setattr(anyio, "getaddrinfo", slow)
    leaks, made = Leaks(), connection(heartbeat=20)
    raised: list[BaseException] = []

    async def work() -> None:
        try:
            await made.open()
        except Exception as error:
            raised.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        await asked.wait()
        if way == "cancelled":
            tasks.cancel_scope.cancel()
        elif way == "aborted":
            made.abort()
            answered.set()
    endings = {"cancelled": [], "aborted": [Ending.ABANDONED], "silent": [Ending.SILENT]}
    assert [getattr(error, "ending", None) for error in raised] == endings[way]
    assert leaks.sockets() == []


async def test_aborting_while_several_are_tried_leaves_none(addresses: list[Found]) -> None:
    """Each of them is this connection's own from its making on."""
    async with full_backlog() as dead:
        addresses[:] = [found(dead), found(dead), found(dead)]
        leaks, made = Leaks(), connection()
        async with anyio.create_task_group() as tasks:

            async def abort() -> None:
                await anyio.sleep(1)
                assert len(leaks.sockets()) == 3
                made.abort()

            tasks.start_soon(abort)
            with pytest.raises(TransportUnreachable) as raised:
                await made.open()
            assert raised.value.ending is Ending.ABANDONED
        assert leaks.sockets() == []
