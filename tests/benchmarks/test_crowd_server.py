"""The crowd's server says what a real one says, at its pace; and who hears of it is counted."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from threading import Thread
from typing import Any, TypeVar, cast

import pytest
import socketio
from aiohttp import web
from websockets.asyncio.client import connect

from ..patience import HANGS
from .crowds.crowd import AT_ONCE, KINDS, Measuring
from .crowds.server import NAME, Client, CrowdServer, Telling, said

Result = TypeVar("Result")

JOIN = '40{"botId":"b","userId":"u"}'


@contextmanager
def serving(**options: float) -> Iterator[tuple[str, Callable[[], None]]]:
    """The crowd's server in a thread: its URL, and what has it tell everybody at once."""
    reading, writing = os.pipe()
    server = CrowdServer(reading, lambda _took: None, **options)
    thread = Thread(target=server.serve)
    thread.start()

    def tell() -> None:
        os.write(writing, b"0.001\n")

    try:
        yield f"http://127.0.0.1:{server.port}", tell
    finally:
        os.close(writing)
        thread.join()
        os.close(reading)


def in_time(run: Coroutine[Any, Any, Result]) -> Result:
    """What it gives back, unless it hangs."""
    return asyncio.run(asyncio.wait_for(run, HANGS))


@asynccontextmanager
async def really_serving() -> AsyncIterator[tuple[str, Callable[[], Awaitable[None]]]]:
    """python-socketio's server, likewise."""
    sio = socketio.AsyncServer(async_mode="aiohttp")
    app = web.Application()
    sio.attach(app)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    message = json.loads(said(0.5).removeprefix("42"))[1]
    try:
        yield f"http://{host}:{port}", partial(sio.emit, NAME, message)
    finally:
        await runner.cleanup()


def joining(url: str) -> connect:
    """A WebSocket to where Socket.IO is."""
    return connect(f"ws{url[4:]}/socket.io/?transport=websocket&EIO=4", compression=None)


async def words(url: str, tell: Callable[[], Awaitable[None] | None]) -> list[object]:
    """All that a server says to one who joins, is told, and leaves; random ids are but texts."""
    async with joining(url) as client:
        welcome = await client.recv()
        await client.send(JOIN)
        joined = await client.recv()
        if (telling := tell()) is not None:
            await telling
        told = await client.recv()
        for goodbye in ("41", "1"):
            await client.send(goodbye)
        await client.close()
        return [*map(understood, (welcome, joined, told)), client.close_code]


def understood(text: str | bytes) -> tuple[str, object]:
    """The packet's numbers, and what comes with them."""
    assert isinstance(text, str)
    bare = text.lstrip("0123456789")
    content = json.loads(bare)
    fields: dict[str, Any] = content if isinstance(content, dict) else content[1]
    fields.pop("maxPayload", None)  # a limit of long polling's
    kinds = {key: str if key == "sid" else value for key, value in fields.items() if key != "at"}
    assert isinstance(fields.get("at", 0.5), float)
    assert isinstance(fields.get("sid", ""), str)
    return text.removesuffix(bare), kinds if isinstance(content, dict) else [content[0], kinds]


def test_it_says_what_a_real_server_says() -> None:
    """A welcome, an answer to joining, a success, a close for a close: all in the same words."""

    async def compare() -> None:
        with serving() as (url, tell):
            ours = await words(url, tell)
        async with really_serving() as (url, emit):
            assert ours == await words(url, emit)

    in_time(compare())


def test_whoever_is_connected_is_pinged() -> None:
    """Once in a heartbeat, and again."""

    async def hear(url: str) -> None:
        async with joining(url) as client:
            assert str(await client.recv()).startswith("0{")
            await client.send(JOIN)
            assert str(await client.recv()).startswith("40")
            assert [await client.recv() for _ in range(2)] == ["2", "2"]

    with serving(heartbeat=0.01) as (url, _):
        in_time(hear(url))


class Told:
    """A client that notes what it was sent."""

    def __init__(self, sent: list[bytes]) -> None:
        self.send = sent.append


def test_all_are_told_evenly_and_who_is_late_at_once() -> None:
    """In ten seconds ten; and each message says when it was sent, not when it was due."""
    sent: list[bytes] = []
    now = 100.0
    clients = [cast("Client", Told(sent)) for _ in range(10)]
    telling = Telling(clients, 10.0, now, clock=lambda: now)
    assert not telling.tell()
    assert len(sent) == 1
    assert telling.due == 101
    now = 100.9
    assert not telling.tell()
    assert len(sent) == 1
    now = 103.5
    assert not telling.tell()
    assert len(sent) == 4
    assert all(b'"at": 103.5' in one for one in sent[1:])
    now = 109
    assert telling.tell()
    assert len(sent) == 10


@pytest.mark.parametrize("kind", KINDS)
def test_twenty_are_measured(kind: str) -> None:
    """Opened, left alone and told; each hears once, and is later than it was sent."""
    with serving() as (url, tell):
        began = time.monotonic()
        measuring = Measuring(partial(KINDS[kind], url), tell, hundred=AT_ONCE, settle=0)
        figures = in_time(measuring.measure(AT_ONCE, 0))
        took = (time.monotonic() - began) * 1e3
    assert figures.size == len(figures.latencies) == 20
    assert figures.latencies == tuple(sorted(figures.latencies))
    assert figures.latencies[0] > 0
    assert figures.latencies[-1] < took
    assert len(figures.opening) == 1
    assert 0 < figures.opening[0] < took / 20 * 1e3
    assert 0 < figures.told < took / 20 * 1e3
    assert figures.objects > 50
    assert figures.lost == 0


@pytest.mark.parametrize("kind", KINDS)
def test_who_is_cut_off_is_counted(kind: str) -> None:
    """By a server that ends; and nobody is waited for any more."""

    async def lose() -> int:
        with serving() as (url, _):
            crowd = KINDS[kind](url)
            await crowd.open(3)
        await crowd.end()
        assert not crowd.latencies
        return crowd.lost

    assert in_time(lose()) == 3
