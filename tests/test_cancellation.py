"""`qrlifecycle.testing.cancel_everywhere`: what a cancelled coroutine leaves open is found."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import SocketAttribute, SocketStream, TaskGroup
from trio.testing import MockClock

from qrlifecycle import (
    InvalidValue,
    Paired,
    Policy,
    QRCode,
    QRLifecycle,
    Signal,
    SocketIOTransport,
    Transport,
)
from qrlifecycle.testing import PairingServer, VirtualClockEventLoop, cancel_everywhere
from qrlifecycle.testing.cancellation import NotCancellationSafe
from qrlifecycle.testing.leaks import CAN_SEE_SOCKETS

from .patience import patient_clock
from .sockets import needs_proc

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

from line_transport import LineTransport

BOT, USER = "bot-7", "user-123"

BACKENDS = ["asyncio", "trio"]

How = Literal["scope", "native"]

lost: list[socket.socket] = []
"""Sockets that a leaky transport has lost: they stay open, and are closed after the test."""


@pytest.fixture(autouse=True)
def _close_what_was_lost() -> Iterator[None]:
    yield
    while lost:
        lost.pop().close()


def trouble(attempt: Callable[..., Awaitable[object]], backend: str, **options: Any) -> str:
    """What `cancel_everywhere` says of an attempt that is not safe."""
    with pytest.raises(NotCancellationSafe) as caught:
        cancel_everywhere(attempt, backend=backend, **options)
    assert caught.value.report.findings
    return str(caught.value)


def virtual_clock(backend: str) -> dict[str, object]:
    """Options of a backend for attempts without sockets, whose time is to be judged."""
    if backend == "asyncio":
        return {"loop_factory": CountingLoop}
    return {"clock": MockClock(autojump_threshold=0)}


class CountingLoop(VirtualClockEventLoop):
    """Each step takes a tenth of a millisecond: time passes also while somebody is never at rest.

    A cancelled scope is not: anyio cancels its tasks anew in each turn.
    """

    def __init__(self) -> None:
        super().__init__()
        self.before_each_step = partial(self.jump, 0.0001)


# What is clean


@asynccontextmanager
async def a_silent_server() -> AsyncIterator[int]:
    """A server that takes connections and says nothing; its value is the port."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, hold)
        yield listener.extra(SocketAttribute.local_port)
        tasks.cancel_scope.cancel()


async def hold(stream: SocketStream) -> None:
    """Say nothing until the client goes."""
    async with stream:
        try:
            await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_polite_coroutine_passes(backend: str) -> None:
    """One that closes its socket and lets the cancellation go on is clean, children included."""
    steps_of_child = []

    async def child(port: int) -> None:
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            with anyio.move_on_after(0.01):
                await stream.receive()
        steps_of_child.append(1)

    async def polite(port: int) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(child, port)

    _, clock = patient_clock(backend)  # in which every run has the same steps
    report = cancel_everywhere(
        polite, within=a_silent_server, backend=backend, backend_options=clock
    )
    assert report.findings == ()
    assert report.backend == backend
    assert report.steps >= 4
    assert report.runs >= 2 * report.steps + 3
    assert len(steps_of_child) < report.runs


@needs_proc
@pytest.mark.parametrize("how", ["scope", "native"])
def test_promise_5_pair_is_clean_over_the_real_server(how: How) -> None:
    """Cancelled at every step, from the request to the success, `pair()` leaves nothing at once."""

    async def attempt(server: PairingServer) -> None:
        async def request_qr() -> QRCode:
            await anyio.lowlevel.checkpoint()
            return QRCode(server.make_code(BOT, USER), expires_in=60)

        async def scan(_qr: QRCode) -> None:
            await server.scan(BOT, USER)

        transport = partial(SocketIOTransport, server.url, bot_id=BOT, user_id=USER)
        outcome = await QRLifecycle(request_qr, transport, on_qr_updated=scan).pair()
        assert outcome.connected

    report = cancel_everywhere(attempt, within=PairingServer, how=how, patience=0)
    assert report.steps > 10


@pytest.mark.slow
@needs_proc
def test_promise_5_pair_is_clean_while_it_reconnects() -> None:
    """The connection is cut once, and there is another before the success: each step is clean."""

    async def attempt(server: PairingServer) -> None:
        async def request_qr() -> QRCode:
            return QRCode(server.make_code(BOT, USER), expires_in=60)

        async def check_status() -> Signal | None:
            if len(server.sockets) == 1:
                server.drop_connections()
            else:
                await server.scan(BOT, USER)
            return None

        lifecycle = QRLifecycle(
            request_qr,
            partial(SocketIOTransport, server.url, bot_id=BOT, user_id=USER),
            check_status=check_status,
            policy=Policy(reconnect_delay=0.002),
        )
        outcome = await lifecycle.pair()
        assert outcome.connected
        assert len(server.sockets) == 2

    cancel_everywhere(attempt, within=PairingServer, patience=0)


@asynccontextmanager
async def a_line_server() -> AsyncIterator[int]:
    """The server of the example's lines: silent, a new code, success; its value is the port."""

    async def serve(stream: SocketStream) -> None:
        async with stream:
            try:
                await stream.send(b"qr second\n")
                await stream.send(b"paired me\n")
                await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield listener.extra(SocketAttribute.local_port)
        tasks.cancel_scope.cancel()


@needs_proc
@pytest.mark.parametrize("backend", BACKENDS)
def test_promise_5_the_transport_of_ones_own_is_clean(backend: str) -> None:
    """`examples/line_transport.py` under a lifecycle leaves nothing, wherever it is cancelled."""

    async def attempt(port: int) -> None:
        async def request_qr() -> QRCode:
            return QRCode("first", expires_in=60)

        lifecycle = QRLifecycle(request_qr, partial(LineTransport, "127.0.0.1", port))
        assert (await lifecycle.pair()).connected

    cancel_everywhere(attempt, within=a_line_server, backend=backend, repeat=2)


@needs_proc
@pytest.mark.skipif(importlib.util.find_spec("uvloop") is None, reason="uvloop is not installed")
def test_uvloop_is_swept_as_well() -> None:
    """The event loop is the caller's choice."""

    async def attempt(port: int) -> None:
        async with await anyio.connect_tcp("127.0.0.1", port):
            await anyio.lowlevel.checkpoint()

    options = {"use_uvloop": True}
    assert cancel_everywhere(attempt, within=a_silent_server, backend_options=options).steps > 1


# What is found


@needs_proc
@pytest.mark.parametrize("backend", BACKENDS)
def test_each_await_is_cancelled_when_it_has_just_begun_and_when_it_is_over(backend: str) -> None:
    """A socket that is lost only while one waits is found, and one that is lost with a result."""

    async def while_waiting(port: int) -> None:
        made = socket.socket()
        lost.append(made)
        await anyio.sleep(0.001)  # waiting
        lost.remove(made)
        made.close()

    async def with_the_result(port: int) -> None:
        async def make() -> None:
            await anyio.sleep(0.001)
            lost.append(socket.socket())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(make)
        await anyio.lowlevel.checkpoint()  # the result
        lost.pop().close()

    waiting = trouble(while_waiting, backend, within=a_silent_server, patience=0)
    assert "right after step" in waiting
    assert "await anyio.sleep(0.001)  # waiting" in waiting
    result = trouble(with_the_result, backend, within=a_silent_server, patience=0)
    assert "checkpoint()  # the result" in result


class Leaky(Transport):
    """Makes a socket in `open()`, and loses it when the handshake is cancelled."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.stream: SocketStream | None = None

    async def open(self) -> None:
        stream = await anyio.connect_tcp("127.0.0.1", self.port)
        lost.append(stream.extra(SocketAttribute.raw_socket).dup())
        await self.shake_hands(stream)
        lost.pop().close()
        self.stream = stream

    async def shake_hands(self, stream: SocketStream) -> None:
        with anyio.move_on_after(0.02):
            await stream.receive()  # the handshake

    async def receive(self) -> Signal:
        return Paired("me")

    async def aclose(self) -> None:
        if self.stream is not None:
            await self.stream.aclose()

    def abort(self) -> None:
        """Too late for what `open()` did not note."""


@needs_proc
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_leaky_transport_is_found_with_its_line(backend: str) -> None:
    """The step, the line of the handshake and the lost socket are named."""

    async def attempt(port: int) -> None:
        async def request_qr() -> QRCode:
            return QRCode("first", expires_in=60)

        await QRLifecycle(request_qr, partial(Leaky, port)).pair()

    text = trouble(attempt, backend, within=a_silent_server, patience=0)
    assert f"{__file__}:" in text
    assert "in Leaky.shake_hands: await stream.receive()  # the handshake" in text
    assert "left open: socket 127.0.0.1:" in text


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_swallowed_cancellation_is_found(backend: str) -> None:
    """A coroutine that returns as if nothing had happened is named with its line."""

    async def deaf() -> None:
        try:
            await anyio.sleep(0.01)
        except BaseException:  # as people write it
            return

    text = trouble(deaf, backend)
    assert "await anyio.sleep(0.01)" in text
    assert "swallowed the cancellation" in text


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_error_in_place_of_the_cancellation_is_found(backend: str) -> None:
    """A cancellation that turns into an error is named with the error."""

    async def loud() -> None:
        try:
            await anyio.sleep(0.01)
        except BaseException as error:
            raise ConnectionError("lost") from error

    assert "it raised ConnectionError: lost in place of" in trouble(loud, backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_who_finished_by_himself_swallowed_nothing(backend: str) -> None:
    """A cancellation that finds nobody waiting any more, or a shield to the end, is no finding."""

    async def shielded() -> None:
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(0.005):
                await anyio.sleep_forever()
            await anyio.lowlevel.checkpoint()

    assert cancel_everywhere(shielded, backend=backend).findings == ()


def test_a_value_that_is_lost_to_a_native_cancellation_is_found() -> None:
    """What an await was about to give back is gone when the task itself is cancelled then."""

    async def make_socket() -> socket.socket:
        await asyncio.sleep(0.001)
        made = socket.socket()
        lost.append(made)
        return made

    async def attempt() -> None:
        made = await asyncio.create_task(make_socket())
        made.close()
        lost.clear()

    if CAN_SEE_SOCKETS:
        assert "left open: socket" in trouble(attempt, "asyncio", how="native", patience=0)


def test_a_task_that_is_left_behind_is_found() -> None:
    """A child that nobody waits for is named."""

    async def attempt() -> None:
        forgotten = asyncio.create_task(asyncio.sleep(60), name="forgotten")
        await asyncio.sleep(0.001)
        forgotten.cancel()

    assert "left open: task forgotten" in trouble(attempt, "asyncio", patience=0)


def test_a_complaint_of_the_event_loop_is_found() -> None:
    """An error that nobody looks at is named, though nothing is open."""

    async def fail() -> None:
        raise ConnectionError("unseen")

    async def attempt() -> None:
        failing = asyncio.create_task(fail())
        await asyncio.sleep(0.001)
        assert failing.exception() is not None

    assert "never retrieved: ConnectionError: unseen" in trouble(attempt, "asyncio")


def test_a_socket_that_is_dropped_is_found() -> None:
    """Python closes what nobody holds any more, and complains: that is no closing."""

    async def attempt() -> None:
        made = socket.socket()
        await asyncio.sleep(0.001)
        made.close()

    assert "ResourceWarning: unclosed <socket.socket" in trouble(attempt, "asyncio")


@pytest.mark.parametrize("backend", BACKENDS)
def test_who_does_not_end_is_found(backend: str) -> None:
    """A coroutine that goes on waiting when it is cancelled is given up after the timeout."""

    async def stubborn() -> None:
        try:
            await anyio.sleep(0.001)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.3)
            raise

    text = trouble(stubborn, backend, timeout=0.2, backend_options=virtual_clock(backend))
    assert "did not end when it was cancelled; it waited at" in text
    assert "await anyio.sleep(0.3)" in text


async def deaf() -> None:
    """Goes on for ever, whatever is raised in it."""
    while True:
        try:
            await anyio.sleep(0.01)  # here
        except BaseException:  # as people write it
            continue


async def deaf_when_cancelled() -> None:
    """Goes on for ever once it was cancelled."""
    try:
        await anyio.sleep(0.001)
    except BaseException:
        await deaf()


async def deaf_child() -> None:
    """Waits for a child that goes on for ever once both were cancelled."""
    try:
        await anyio.sleep(0.001)
    except BaseException:
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(deaf)
        raise


async def shielded_when_cancelled() -> None:
    """Waits for ever under a shield once it was cancelled."""
    try:
        await anyio.sleep(0.001)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await anyio.sleep_forever()  # here
        raise


@pytest.mark.parametrize("how", ["scope", "native"])
@pytest.mark.parametrize("attempt", [deaf_when_cancelled, deaf_child, shielded_when_cancelled])
def test_who_never_ends_is_thrown_away(attempt: Callable[[], Awaitable[None]], how: How) -> None:
    """On asyncio it is found with the line where it waited, and the sweep comes to its end."""
    clock = virtual_clock("asyncio")
    text = trouble(attempt, "asyncio", how=how, timeout=0.05, backend_options=clock)
    assert "did not end when it was cancelled; it waited at" in text
    assert "# here" in text


def test_a_task_that_never_ends_is_thrown_away() -> None:
    """One that nobody waits for, and that goes on for ever, is found, and gone afterwards."""

    async def attempt() -> None:
        forgotten = asyncio.create_task(deaf(), name="forgotten")
        await asyncio.sleep(0)
        assert not forgotten.done()

    clock = virtual_clock("asyncio")
    text = trouble(attempt, "asyncio", timeout=0.05, patience=0, backend_options=clock)
    assert "left open: task forgotten" in text


@needs_proc
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_place_is_never_within_a_package(backend: str) -> None:
    """Where only anyio's and asyncio's own tasks run, it is the line that started them."""

    async def attempt(port: int) -> None:
        lost.append(socket.socket())
        stream = await anyio.connect_tcp("localhost", port)  # tasks of its own
        lost.pop().close()
        await stream.aclose()

    with pytest.raises(NotCancellationSafe) as caught:
        cancel_everywhere(attempt, within=a_silent_server, backend=backend, patience=0)
    places = [finding.place for finding in caught.value.report.findings]
    assert len(places) > 2
    assert {place and place.file for place in places} == {__file__}


def test_a_task_without_a_line_of_ours_is_named_by_its_start() -> None:
    """A forgotten `asyncio.sleep()` says which line made a task of it."""

    async def attempt() -> None:
        forgotten = asyncio.ensure_future(asyncio.sleep(60))  # the start
        await asyncio.sleep(0.001)
        forgotten.cancel()

    text = trouble(attempt, "asyncio", patience=0)
    assert re.search(r"left open: task \S+, .*# the start", text)
    assert "tasks.py" not in text


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_error_is_told_without_its_group(backend: str) -> None:
    """What a task group wraps is named itself."""

    async def loud() -> None:
        async with anyio.create_task_group():
            try:
                await anyio.sleep(0.01)
            except BaseException as error:
                raise ConnectionError("lost") from error

    text = trouble(loud, backend)
    assert "it raised ConnectionError: lost in place of" in text
    assert "ExceptionGroup" not in text


# What cannot be swept


def test_what_there_is_not_is_said_before_anything_runs() -> None:
    """A way to cancel, or a backend, that nobody knows."""
    how: Any = "hard"
    with pytest.raises(InvalidValue, match="no how 'hard'; there are 'scope' and 'native'"):
        cancel_everywhere(anyio.sleep_forever, how=how)
    with pytest.raises(InvalidValue, match="no backend 'curio'"):
        cancel_everywhere(anyio.sleep_forever, backend="curio")


def test_an_attempt_that_fails_by_itself_is_not_swept() -> None:
    """Its error comes out as it is."""

    async def attempt() -> None:
        await anyio.lowlevel.checkpoint()
        raise ConnectionError("nobody there")

    with pytest.raises(ConnectionError, match="nobody there"):
        cancel_everywhere(attempt)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_attempt_that_never_ends_is_not_swept(backend: str) -> None:
    """It is said what is wrong with it."""
    with pytest.raises(TimeoutError, match="did not end by itself"):
        cancel_everywhere(anyio.sleep_forever, backend=backend, timeout=0.05)


def test_an_attempt_that_can_never_be_ended_is_not_swept() -> None:
    """It is said where it waits; on asyncio it is thrown away."""
    with pytest.raises(TimeoutError, match=r"did not end by itself .* in deaf: .*# here"):
        cancel_everywhere(deaf, timeout=0.05)


async def raises_a_cancellation() -> None:
    """Ends cancelled, by a library that raises it."""
    await anyio.sleep(0.001)
    raise asyncio.CancelledError  # the stray one


async def awaits_what_was_cancelled() -> None:
    """Ends cancelled, by a future that somebody had cancelled."""
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future  # the stray one


async def wraps_a_cancellation() -> None:
    """Ends cancelled within a task group."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.sleep, 0)
        await raises_a_cancellation()


@pytest.mark.parametrize(
    "attempt", [raises_a_cancellation, awaits_what_was_cancelled, wraps_a_cancellation]
)
@pytest.mark.parametrize("how", ["scope", "native"])
def test_an_attempt_that_ends_cancelled_by_itself_is_not_swept(
    attempt: Callable[[], Awaitable[None]], how: How
) -> None:
    """Nothing behind the line that raised it was ever run; the line is said."""
    with pytest.raises(RuntimeError, match=r"ended cancelled at .*# the stray one, though nobody"):
        cancel_everywhere(attempt, how=how)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_attempt_that_is_cancelled_by_what_it_is_within_is_not_swept(backend: str) -> None:
    """What the attempt needs may have cancelled it: that is no end of its own either."""

    async def attempt(tasks: TaskGroup) -> None:
        tasks.cancel_scope.cancel()
        await anyio.sleep(60)

    with pytest.raises(RuntimeError, match="ended cancelled"):
        cancel_everywhere(attempt, within=anyio.create_task_group, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_attempt_that_is_skipped_is_not_swept(backend: str) -> None:
    """What it raises comes out as it is, even where that is no `Exception`."""

    async def attempt() -> None:
        await anyio.lowlevel.checkpoint()
        pytest.skip("not here")

    with pytest.raises(pytest.skip.Exception, match="not here"):
        cancel_everywhere(attempt, backend=backend)


def test_there_is_no_native_cancellation_on_trio() -> None:
    """It is said so."""
    with pytest.raises(ValueError, match="native cancellation is asyncio's"):
        cancel_everywhere(anyio.sleep_forever, backend="trio", how="native")
