"""Messages, pings and silence on a WebSocket of ours; and peers that do not read."""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from qrlifecycle import TransportError, TransportLost
from qrlifecycle.errors import Ending
from qrlifecycle.testing.contract.websocket_peer import frame, upgrade
from qrlifecycle.transports.wire.stream import MAX_OWED, READ

from ..patience import HANGS
from .serving import Served, hear_all, listening, opened, serve_quietly

pytestmark = pytest.mark.anyio

PARTS = b"\x01\x02sp\x00\x02li\x89\x01p\x80\x01t"
"""A text in three parts, with a ping among them."""

LARGE = b"\x82\x7f" + (1 << 19).to_bytes(8, "big") + b"x" * (1 << 19)


def unmasked(data: bytes) -> list[tuple[int, bytes]]:
    """The frames that a client has sent: opcode and payload. All of them must be whole."""
    found = []
    while data:
        kind, size, at = data[0] & 15, data[1] & 127, 2
        if size >= 126:
            width = 2 if size == 126 else 8
            size, at = int.from_bytes(data[2 : 2 + width], "big"), 2 + width
        mask, body = data[at : at + 4], data[at + 4 : at + 4 + size]
        assert len(mask) == 4
        assert len(body) == size
        found.append((kind, bytes(byte ^ mask[i % 4] for i, byte in enumerate(body))))
        data = data[at + 4 + size :]
    return found


async def test_messages_of_every_kind_come_whole_and_in_order() -> None:
    """Text, bytes, parts, many in one segment, one in many."""

    async def handler(served: Served) -> None:
        await served.accept(frame("with the handshake"))
        await served.send(frame("a") + frame(b"\xff", 2) + PARTS + frame("") + LARGE)
        for byte in frame("slowly"):
            await served.send(bytes([byte]))
            await anyio.sleep(1)
        await served.read_to_the_end()

    served: list[Served] = []
    async with listening(handler, served=served) as port, opened(port) as connection:
        with anyio.fail_after(HANGS):
            came = [await connection.receive() for _ in range(7)]
        expected = ["with the handshake", "a", b"\xff", "split", "", b"x" * (1 << 19), "slowly"]
        assert came == expected
        await connection.aclose()
        await served[0].through.wait()
        assert unmasked(bytes(served[0].received)) == [(10, b"p"), (8, b"\x03\xe8")]


async def test_what_is_sent_arrives() -> None:
    """Text and bytes, small and large, from two tasks at a time; then the close, with its code."""
    served: list[Served] = []
    async with listening(serve_quietly, served=served) as port, opened(port) as connection:
        assert connection.send_nowait("now")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.send, "x" * 1_000_000)
            tasks.start_soon(connection.send, b"\0" * 1_000_000)
        await connection.aclose(4000)
        await served[0].through.wait()
        said = unmasked(bytes(served[0].received))
    # Trio starts tasks in any order.
    assert said[0] == (1, b"now")
    assert sorted(said[1:3]) == [(1, b"x" * 1_000_000), (2, b"\0" * 1_000_000)]
    assert said[3:] == [(8, (4000).to_bytes(2, "big"))]


async def test_a_goodbye_that_was_framed_ahead_is_said_once_and_last() -> None:
    """The first that was framed, after all that was sent; whoever closes again says nothing."""
    served: list[Served] = []
    async with listening(serve_quietly, served=served) as port, opened(port) as connection:
        connection.frame_goodbye(["bye"])
        connection.frame_goodbye(["another"])
        assert connection.send_nowait("before")
        assert connection.close_nowait()
        await connection.aclose()
        await served[0].through.wait()
        said = unmasked(bytes(served[0].received))
    assert said == [(1, b"before"), (1, b"bye"), (8, b"\x03\xe8")]


async def test_a_goodbye_is_not_said_to_who_has_closed() -> None:
    """A close was answered by a close, and after that nothing may be sent."""

    async def handler(served: Served) -> None:
        await served.accept()
        await served.send(b"\x88\x02\x03\xe8")
        await served.read_to_the_end()

    served: list[Served] = []
    async with listening(handler, served=served) as port, opened(port) as connection:
        connection.frame_goodbye(["bye"])
        with pytest.raises(anyio.EndOfStream):
            await connection.receive()
        assert connection.close_nowait()
        await served[0].through.wait()
        assert unmasked(bytes(served[0].received)) == [(8, b"\x03\xe8")]


# The heartbeat


async def trickle(served: Served, data: bytes) -> None:
    """Send a byte every quarter of a minute."""
    for byte in data:
        await anyio.sleep(15)
        await served.send(bytes([byte]))
    await served.read_to_the_end()


async def test_any_byte_is_a_sign_of_life() -> None:
    """Also one that is but a part of a frame."""

    async def handler(served: Served) -> None:
        await served.accept()
        await trickle(served, frame("slow"))

    async with listening(handler) as port, opened(port, heartbeat=20) as connection:
        assert await connection.receive() == "slow"
        with pytest.raises(TransportLost) as raised:
            await connection.receive()
        assert raised.value.ending is Ending.SILENT
        await connection.aclose()


async def test_any_byte_of_tls_is_a_sign_of_life(
    certified: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    """Also one that is but a part of a record."""

    async def handler(served: Served) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = certified.wrap_bio(incoming, outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await served.send(outgoing.read())
                incoming.write(await served.stream.receive())
        request = b""
        while b"\r\n\r\n" not in request:
            try:
                request += tls.read()
            except ssl.SSLWantReadError:
                if said := outgoing.read():
                    await served.send(said)
                incoming.write(await served.stream.receive())
        tls.write(upgrade(request))
        tls.write(frame("early"))
        await served.send(outgoing.read())
        tls.write(frame("slow"))
        await trickle(served, outgoing.read())

    async with listening(handler) as port, opened(port, heartbeat=20, ssl=trusting) as connection:
        assert await connection.receive() == "early"
        assert await connection.receive() == "slow"
        await connection.aclose()


@pytest.mark.parametrize("answers", [True, False])
async def test_who_is_silent_is_asked(answers: bool) -> None:
    """By one ping for each silence; a pong is enough to go on, and without one it ends."""
    served: list[Served] = []

    async def handler(one: Served) -> None:
        await one.accept()
        while answers:
            asked = await one.read(len(one.received) + 6)
            assert asked[-6:-4] == b"\x89\x80"
            await one.send(b"\x8a\x00")
        await one.read_to_the_end()

    async with (
        listening(handler, served=served) as port,
        opened(port, heartbeat=20, ping_after=8) as connection,
    ):
        began = anyio.current_time()
        with anyio.move_on_after(100), pytest.raises(TransportLost) as raised:
            await connection.receive()
        if answers:
            assert 10 <= len(served[0].received) / 6 <= 12
        else:
            assert raised.value.ending is Ending.SILENT
            assert 20 <= anyio.current_time() - began < 21
            assert len(served[0].received) == 6
        await connection.aclose()


async def test_whoever_receives_late_finds_what_came_in_time() -> None:
    """The heartbeat counts from the last byte, but what lies there was said."""

    async def handler(served: Served) -> None:
        await served.accept()
        await anyio.sleep(1)
        await served.send(frame("in time"))
        await served.read_to_the_end()

    async with listening(handler) as port, opened(port, heartbeat=20) as connection:
        await anyio.sleep(1000)
        assert await connection.receive() == "in time"
        await connection.aclose()


# Out of time, and in a flood


async def test_who_is_out_of_time_gets_what_has_arrived() -> None:
    """The loop may have been blocked across the deadline: one look is taken, and then it leaves."""

    async def handler(served: Served) -> None:
        await served.accept()
        await served.send(frame("one") + frame("two"))
        await served.read_to_the_end()

    async with listening(handler) as port, opened(port) as connection:
        await anyio.sleep(1)
        with anyio.CancelScope() as scope:
            scope.cancel()
            assert await connection.receive() == "one"
            assert connection.receive_nowait() == "two"
            assert connection.receive_nowait() is None
            await connection.receive()
        assert scope.cancelled_caught
        await connection.aclose()


async def test_who_is_out_of_time_leaves_though_there_is_more() -> None:
    """A flood that is there already is looked into once: 16 kB."""
    fits = READ // len(frame("x"))

    async def handler(served: Served) -> None:
        await served.accept()
        await anyio.sleep(0.5)
        await served.send(frame("x") * (4 * fits))
        await served.read_to_the_end()

    async with listening(handler) as port, opened(port) as connection:
        await anyio.sleep(1)
        count = 0
        with anyio.CancelScope() as scope:
            scope.cancel()
            while True:
                await connection.receive()
                count += 1
        assert scope.cancelled_caught
        assert 0 < count <= fits + 1
        await connection.aclose()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("secure", [False, True])
async def test_a_message_takes_one_turn_of_the_event_loop(
    secure: bool, certified: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    """From the socket's being readable to the message in hand."""
    theirs, ours = (certified, trusting) if secure else (None, None)
    served: list[Served] = []
    async with (
        listening(serve_quietly, served=served, tls=theirs) as port,
        opened(port, ssl=ours) as connection,
    ):
        loop: Any = asyncio.get_running_loop()
        turns: list[int] = []

        async def receive() -> None:
            await connection.receive()
            turns.append(loop.turns)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            await anyio.sleep(0.1)
            await served[0].send(frame("x"))
            # The bytes are in our socket's buffer: loopback hands them over at once.
            loop.turns = 0
            real = loop._run_once

            def counted() -> None:
                loop.turns += 1
                real()

            loop._run_once = counted
            await anyio.sleep(0.1)
            del loop._run_once
        # The turn that is under way, in which this is written, is not counted.
        assert turns[0] <= 2
        await connection.aclose()


# Peers that do not read


async def test_an_answer_that_is_half_written_is_finished_when_the_peer_reads() -> None:
    """It asks, does not read, and reads later: every answer arrives whole, without a word of it."""
    pings = 1800
    served: list[Served] = []
    read = anyio.Event()

    async def handler(one: Served) -> None:
        await one.accept()
        for number in range(pings):
            await one.send(frame(b"%0120d" % number, 9))
        await read.wait()
        await one.read(pings * 126)
        await one.send(frame("done"))
        await one.read_to_the_end()

    async with (
        listening(handler, served=served, small_buffers=True) as port,
        opened(port, small_buffers=True) as connection,
    ):
        async with anyio.create_task_group() as tasks:

            async def let_read() -> None:
                await anyio.sleep(5)
                assert connection._stream._unsent
                read.set()

            tasks.start_soon(let_read)
            with anyio.fail_after(HANGS):
                assert await connection.receive() == "done"
        answers = unmasked(bytes(served[0].received))
        assert answers == [(10, b"%0120d" % number) for number in range(pings)]
        await connection.aclose()


async def test_a_peer_that_asks_for_ever_and_never_reads() -> None:
    """What waits for it is bounded; then it has ended, by its own words."""

    async def handler(served: Served) -> None:
        await served.accept()
        while True:
            await served.send(frame(b"x" * 125, 9) * 100)

    async with (
        listening(handler, small_buffers=True) as port,
        opened(port, small_buffers=True) as connection,
    ):
        with anyio.fail_after(HANGS), pytest.raises(TransportLost) as raised:
            await connection.receive()
        assert raised.value.ending is Ending.NOT_READING
        assert str(raised.value) == "the server does not read what it is sent"
        assert len(connection._stream._unsent) < MAX_OWED + 2 * READ
        await connection.aclose()


async def deaf(served: Served) -> None:
    """Take the client in, and read no more."""
    await served.accept()
    await anyio.sleep_forever()


async def test_sending_to_a_peer_that_does_not_read() -> None:
    """It waits as long as the heartbeat, and no longer; meanwhile others are heard."""

    async def handler(served: Served) -> None:
        await served.accept()
        await anyio.sleep(5)
        await served.send(frame("heard"))
        await anyio.sleep_forever()

    async with (
        listening(handler, small_buffers=True) as port,
        opened(port, heartbeat=20, small_buffers=True) as connection,
    ):
        heard = []

        async def hear() -> None:
            heard.append(await connection.receive())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hear)
            with pytest.raises(TransportLost) as raised:
                await connection.send(b"x" * 5_000_000)
            assert raised.value.ending is Ending.NOT_READING
        assert heard == ["heard"]
        await connection.aclose()


async def test_a_send_that_is_cancelled_halfway_spoils_nothing() -> None:
    """The rest of it goes out before what is sent next."""
    served: list[Served] = []
    read = anyio.Event()

    async def handler(one: Served) -> None:
        await one.accept()
        await read.wait()
        await one.read_to_the_end()

    async with (
        listening(handler, served=served, small_buffers=True) as port,
        opened(port, small_buffers=True) as connection,
    ):
        with anyio.move_on_after(1) as scope:
            await connection.send("x" * 3_000_000)
        assert scope.cancelled_caught
        assert not connection.send_nowait("y")
        read.set()
        with anyio.fail_after(HANGS):
            await connection.send("z")
        await connection.aclose()
        await served[0].through.wait()
        said = unmasked(bytes(served[0].received))
    assert said == [(1, b"x" * 3_000_000), (1, b"y"), (1, b"z"), (8, b"\x03\xe8")]


async def test_closing_waits_for_nobody_who_does_not_read() -> None:
    """A few turns of the loop, whatever waits to be sent."""
    async with (
        listening(deaf, small_buffers=True) as port,
        opened(port, small_buffers=True) as connection,
    ):
        connection.send_nowait("x" * 3_000_000)
        began = anyio.current_time()
        await connection.aclose()
        assert anyio.current_time() - began < 0.01


async def test_last_words_arrive_though_something_was_unread() -> None:
    """A socket that is closed with something unread drops what is still under way, and resets."""
    served: list[Served] = []

    async def handler(one: Served) -> None:
        await one.accept()
        await anyio.sleep(0.5)
        await one.send(frame("unread") * 1000)
        await anyio.sleep(10)
        await one.read_to_the_end()

    async with (
        listening(handler, served=served, small_buffers=True) as port,
        opened(port) as connection,
    ):
        await anyio.sleep(1)
        assert connection.send_nowait("goodbye" * 100_000)  # more than the peer's buffer takes
        await connection.aclose()
        await served[0].through.wait()
    assert unmasked(bytes(served[0].received)) == [(1, b"goodbye" * 100_000), (8, b"\x03\xe8")]


async def test_a_success_that_lies_there_is_heard_though_our_answer_cannot_be_sent() -> None:
    """The peer has gone; what it said before it went counts."""

    async def handler(served: Served) -> None:
        await served.accept()
        await served.send(frame(b"", 9) + frame("success"))

    async with listening(handler) as port, opened(port) as connection:
        await anyio.sleep(1)
        connection.send_nowait("into the void")
        await anyio.sleep(1)
        connection.send_nowait("into the void")
        assert await connection.receive() == "success"
        with pytest.raises(TransportError):
            await hear_all(connection)
        await connection.aclose()


@pytest.mark.slow
async def test_a_flood_of_empty_parts_grows_nothing() -> None:
    """A message of a million parts without a byte is no million objects."""

    async def handler(served: Served) -> None:
        await served.accept()
        await served.send(b"\x01\x00" + b"\x00\x00" * 300_000 + b"\x80\x01x")
        await served.read_to_the_end()

    async with listening(handler) as port, opened(port) as connection:
        began = time.process_time()
        assert await connection.receive() == "x"
        assert time.process_time() - began < 30
        await connection.aclose()
