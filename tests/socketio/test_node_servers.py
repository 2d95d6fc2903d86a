"""Servers on Node: the versions of socket.io that services run, from npm, each in its process."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import anyio
import pytest

from qrlifecycle import (
    AsyncClientTransport,
    Connected,
    Failed,
    Paired,
    Policy,
    QRCode,
    QRLifecycle,
    Reason,
    Scanned,
    SocketIOTransport,
    TransportLost,
    TransportRefused,
    TransportUnreachable,
)

from ..npm import from_npm
from ..patience import HANGS, PROCESS_HANGS
from .transport import BOT

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

HERE = Path(__file__).parent


@dataclass
class NodeServer:
    """A server that says what it gets to know."""

    url: str
    output: IO[str]

    async def says(self) -> dict[str, Any]:
        """The next fact."""
        with anyio.fail_after(HANGS):
            line = await anyio.to_thread.run_sync(self.output.readline, abandon_on_cancel=True)
        fact = json.loads(line)
        assert isinstance(fact, dict)
        return fact

    def transport(self, scene: str, **options: Any) -> SocketIOTransport:
        """Ours, to be shown a scene."""
        return SocketIOTransport(self.url, bot_id=BOT, user_id=scene, **options)

    @asynccontextmanager
    async def listening(self, scene: str, **options: Any) -> AsyncIterator[SocketIOTransport]:
        """Ours, once the server has said that it has joined."""
        async with self.transport(scene, **options) as transport:
            assert (await self.says())["joined"] == options.get("namespace", "/")
            yield transport


def installed(version: int) -> Path:
    """Where a version of socket.io is."""
    return from_npm(f"socket.io@{version}", "", "it runs socket.io's own servers")


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[int, subprocess.Popen[str]]]:
    """Servers that run, by version."""
    running: dict[int, subprocess.Popen[str]] = {}
    yield running
    for process in running.values():
        process.terminate()
        process.wait(PROCESS_HANGS)
        assert process.stdout is not None
        process.stdout.close()


def server_of(version: int, servers: dict[int, subprocess.Popen[str]]) -> NodeServer:
    """A fresh one of this version: nothing of another test's is in what it says."""
    if version in servers:
        old = servers.pop(version)
        old.kill()
        old.wait(PROCESS_HANGS)
        assert old.stdout is not None
        old.stdout.close()
    command = ["node", str(HERE / "node_server.js"), str(installed(version))]
    process = servers[version] = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port = json.loads(process.stdout.readline())["port"]
    return NodeServer(f"http://127.0.0.1:{port}", process.stdout)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Both event loops: the server has a process of its own."""
    assert isinstance(request.param, str)
    return request.param


@pytest.fixture(params=[3, 4])
def server(request: pytest.FixtureRequest, servers: Any) -> NodeServer:
    """A server of today."""
    return server_of(request.param, servers)


@pytest.fixture
def old_server(servers: Any) -> NodeServer:
    """A server of Socket.IO 2."""
    return server_of(2, servers)


async def receive(transport: SocketIOTransport) -> object:
    """The next signal."""
    with anyio.fail_after(HANGS):
        return await transport.receive()


@pytest.mark.parametrize("namespace", ["/", "/pairing"])
async def test_the_success_is_heard(server: NodeServer, namespace: str) -> None:
    """The ids and a token come as auth, the query as a query; leaving is told as one's own."""
    transport = server.transport("success", namespace=namespace, auth={"token": "t"})
    async with transport:
        joined = await server.says()
        assert joined["joined"] == namespace
        assert joined["auth"] == {"token": "t", "botId": BOT, "userId": "success"}
        assert await receive(transport) == Paired("+49", {"identity": "+49"})
    assert await server.says() == {"gone": "client namespace disconnect"}


async def test_signals_right_after_joining_come_in_order(server: NodeServer) -> None:
    """With an offset behind each, where the server can recover a connection's state."""
    async with server.listening("early") as transport:
        assert [await receive(transport) for _ in range(2)] == [
            Scanned(),
            Paired("+49", {"identity": "+49"}),
        ]


async def test_a_success_without_a_word_is_one(server: NodeServer) -> None:
    """An offset in place of a payload is none."""
    async with server.listening("bare") as transport:
        assert await receive(transport) == Paired(None, {})


async def test_a_function_is_given_what_the_service_said(server: NodeServer) -> None:
    """And no offset, which is between the server and its clients; whatever else is there is kept.

    A volatile message has none, and neither has one that is to be acknowledged.
    """
    seen: list[object] = []

    def note(payload: object) -> Scanned | None:
        seen.append(payload)
        return Scanned() if payload == "over and out" else None

    async with server.listening("worded", signals={"state": note}) as transport:
        assert await receive(transport) == Scanned()
    assert seen == ["scanned", "scanned", {"state": "scanned"}, {}, "over and out"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_adapter_takes_no_offset_for_a_payload_either(server: NodeServer) -> None:
    """It has a client of its own."""
    transport = AsyncClientTransport(server.url, bot_id=BOT, user_id="bare")
    async with transport:
        with anyio.fail_after(HANGS):
            assert await transport.receive() == Paired(None, {})


async def test_what_the_server_waits_for_comes_with_the_success(server: NodeServer) -> None:
    """A whole lifecycle, which leaves at once: the server knows that the success has come."""

    async def request_qr() -> QRCode:
        return QRCode("a code", expires_in=60)

    with anyio.fail_after(HANGS):
        outcome = await QRLifecycle(request_qr, partial(server.transport, "acknowledged")).pair()
    assert isinstance(outcome, Connected)
    facts = [await server.says() for _ in range(3)]
    assert facts[1:] == [{"acknowledged": True}, {"gone": "client namespace disconnect"}]


async def test_attachments_are_put_where_they_belong(server: NodeServer) -> None:
    """Bytes in a payload."""
    async with server.listening("picture") as transport:
        paired = await receive(transport)
        assert isinstance(paired, Paired)
        assert paired.data == {"identity": "+49", "pictures": [b"a", b"b"]}


async def test_a_quiet_server_is_alive_by_its_pings(server: NodeServer) -> None:
    """Each is answered: some pings later both ends are there still."""
    async with server.listening("quiet") as transport:
        assert isinstance(await receive(transport), Paired)


@pytest.mark.parametrize("scene", ["leaves", "closes"])
async def test_a_server_that_closes_is_gone_in_order(server: NodeServer, scene: str) -> None:
    """It leaves the namespace, or all of the connection."""
    async with server.listening(scene) as transport:
        with pytest.raises(anyio.EndOfStream):
            await receive(transport)


async def test_a_server_that_dies_is_lost(server: NodeServer) -> None:
    """Without a word."""
    async with server.listening("dies") as transport:
        with pytest.raises(TransportLost):
            await receive(transport)


async def test_what_is_anothers_is_dropped(server: NodeServer) -> None:
    """As an object, or as text that the service made of it."""
    async with server.listening("foreign") as transport:
        assert await receive(transport) == Paired("+49", {"identity": "+49"})
        assert transport.dropped == {"foreign": 2}


async def test_a_middleware_that_refuses(server: NodeServer) -> None:
    """For good, or with a number that says that it is for now."""
    with pytest.raises(TransportRefused, match="credentials"):
        await server.transport("unauthorized").open()
    with pytest.raises(TransportUnreachable, match=r"for now \(code 429\)"):
        await server.transport("busy").open()


async def test_a_namespace_that_is_not_there(server: NodeServer) -> None:
    """It may come."""
    with pytest.raises(TransportUnreachable, match="no such namespace"):
        await server.transport("success", namespace="/nowhere").open()


@pytest.mark.parametrize("namespace", ["/", "/pairing"])
async def test_a_server_of_socketio_2_is_told_at_once(
    old_server: NodeServer, namespace: str
) -> None:
    """Before it is taken for one that is healthy and has nothing to say."""
    with anyio.fail_after(HANGS), pytest.raises(TransportUnreachable, match=r"Socket\.IO 2; .*3"):
        await old_server.transport("success", namespace=namespace).open()


async def test_with_a_server_of_socketio_2_the_attempt_says_what_is_needed(
    old_server: NodeServer,
) -> None:
    """In the outcome of the lifecycle."""

    async def request_qr() -> QRCode:
        return QRCode("a code", expires_in=60)

    policy = Policy(max_reconnects=0)
    lifecycle = QRLifecycle(request_qr, partial(old_server.transport, "success"), policy=policy)
    with anyio.fail_after(HANGS):
        outcome = await lifecycle.pair()
    assert isinstance(outcome, Failed)
    assert outcome.reason is Reason.TRANSPORT_UNREACHABLE
    assert "3 or newer is needed" in str(outcome.error)
