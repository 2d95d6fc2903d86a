"""Transports that break the contract, each one clause of it, as a first try might."""

from __future__ import annotations

import asyncio
import select
import socket
import time
from collections import deque
from contextlib import suppress

import anyio
import anyio.lowlevel
from anyio import EndOfStream
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from qrlifecycle import (
    Paired,
    QRCode,
    QRUpdated,
    Signal,
    Transport,
    TransportLost,
    TransportRefused,
    TransportUnreachable,
)
from qrlifecycle.testing.contract import plain

from .peers import SIGNALS, GreetedLineTransport


async def connect(host: str, port: int) -> SocketStream:
    """Connect, or be the typed error."""
    try:
        return await anyio.connect_tcp(host, port)
    except OSError as error:
        raise TransportUnreachable("nobody there") from error


class NoCloseOnCancel(GreetedLineTransport):
    """T1: closes only what was opened to the end."""

    opened = False

    async def open(self) -> None:
        self.stream = await connect(self.host, self.port)
        self.lines = BufferedByteReceiveStream(self.stream)
        await self.be_welcomed(self.stream)  # cancelled here
        self.opened = True

    async def aclose(self) -> None:
        if self.opened:
            await super().aclose()

    def abort(self) -> None:
        if self.opened:
            super().abort()


class ConnectsWhenMade(GreetedLineTransport):
    """T1: a constructor that connects, where nobody closes what it leaves."""

    def __init__(self, host: str, port: int, heartbeat: float = 30) -> None:
        super().__init__(host, port, heartbeat)
        with socket.create_connection((host, port)):
            pass


class BlocksWhileOpening(GreetedLineTransport):
    """T8: waits without awaiting, as a client that is not async does."""

    async def be_welcomed(self, stream: SocketStream) -> None:
        time.sleep(0.15)  # noqa: ASYNC251 - that is the point
        await super().be_welcomed(stream)


class AsksTheKernel(GreetedLineTransport):
    """T8: waits for bytes as a program without an event loop does; where some are there, not."""

    async def receive(self) -> Signal:
        assert self.stream is not None
        raw = self.stream.extra(SocketAttribute.raw_socket)
        if raw.fileno() >= 0:
            select.select([raw], [], [], 0.3)
        return await super().receive()


class LeaksWhereItIsSentAway(GreetedLineTransport):
    """T1: looks at the answer when it has taken care already."""

    async def open(self) -> None:
        self.stream = await connect(self.host, self.port)
        self.lines = BufferedByteReceiveStream(self.stream)
        try:
            await self.be_welcomed(self.stream)  # refused here
        except TransportRefused:
            raise
        except BaseException:
            await anyio.aclose_forcefully(self.stream)
            raise

    def abort(self) -> None:
        self.closed = True


class TriesAgainWhereItIsSentAway(GreetedLineTransport):
    """T1: takes each answer that is no welcome for an outage."""

    async def be_welcomed(self, stream: SocketStream) -> None:
        try:
            await super().be_welcomed(stream)
        except TransportRefused as error:
            raise TransportUnreachable("no welcome") from error


class TakesALengthToComeWhole(GreetedLineTransport):
    """T7: as one does that reads a length first, and takes what is shorter for nothing."""

    def __init__(self, host: str, port: int, heartbeat: float = 30) -> None:
        super().__init__(host, port, heartbeat)
        self.rest = b""

    async def receive(self) -> Signal:
        while b"\n" not in self.rest:
            try:
                with anyio.fail_after(self.heartbeat):
                    came = await self.lines.receive()
            except (anyio.ClosedResourceError, EndOfStream) as end:
                raise EndOfStream from end
            except (TimeoutError, anyio.BrokenResourceError) as error:
                raise TransportLost("silent") from error
            self.rest += came if self.rest or len(came) > 1 else b""
        line, _, self.rest = self.rest.partition(b"\n")
        if line == b"ping":
            await self.pong()
            return await self.receive()
        return SIGNALS[line + b"\n"]


class BlocksOnEachSignal(GreetedLineTransport):
    """T8: as one does that looks into a database for each."""

    async def receive(self) -> Signal:
        signal = await super().receive()
        time.sleep(0.15)  # noqa: ASYNC251 - that is the point
        return signal


class BlocksAsItCloses(GreetedLineTransport):
    """T8: waits for the peer's answer to its close."""

    async def aclose(self) -> None:
        time.sleep(0.15)  # noqa: ASYNC251 - that is the point
        await super().aclose()


class ForgetsTheSocket(GreetedLineTransport):
    """T1: takes note of its socket when the handshake is done, and not when it is made."""

    async def open(self) -> None:
        stream = await connect(self.host, self.port)
        self.lines = BufferedByteReceiveStream(stream)
        await self.be_welcomed(stream)  # cancelled here
        self.stream = stream


class RaisesWhatItLikes(GreetedLineTransport):
    """T1: a failed opening is not the typed error."""

    async def open(self) -> None:
        self.stream = await anyio.connect_tcp(self.host, self.port)  # raises OSError
        self.lines = BufferedByteReceiveStream(self.stream)
        try:
            await self.be_welcomed(self.stream)
        except BaseException:
            await anyio.aclose_forcefully(self.stream)
            raise


class TurnsACancellationIntoAnError(GreetedLineTransport):
    """T1: `open()` takes a cancellation for a failure."""

    async def open(self) -> None:
        try:
            await super().open()
        except BaseException as error:
            raise TransportUnreachable("no") from error  # and the cancellation is gone


class WaitsOnRegardless(GreetedLineTransport):
    """T1: `receive()` takes a cancellation for a broken line."""

    async def receive(self) -> Signal:
        try:
            return await super().receive()
        except anyio.get_cancelled_exc_class() as error:
            raise TransportLost("the line broke") from error  # and the cancellation is gone


class ClosesRegardless(GreetedLineTransport):
    """T1: `aclose()` forgives everything."""

    async def aclose(self) -> None:
        with suppress(BaseException):
            await super().aclose()


class AbortIsPolite(GreetedLineTransport):
    """T2: `abort()` only takes note."""

    def abort(self) -> None:
        self.closed = True


class AbortIsPoliteAndPatient(AbortIsPolite):
    """T4: so nothing ever ends a wait."""

    def __init__(self, host: str, port: int, heartbeat: float = 30) -> None:
        super().__init__(host, port)


class AcloseLeavesIt(GreetedLineTransport):
    """T2: `aclose()` leaves the descriptor to the garbage collector."""

    async def aclose(self) -> None:
        self.abort()
        await anyio.lowlevel.checkpoint()


class SaysItIsClosed(GreetedLineTransport):
    """T2: it says that nothing is left, and has only forgotten to look."""

    def close_nowait(self) -> bool:
        return True


class DeafWhileOpening(GreetedLineTransport):
    """T2: what is connected after `abort()` stays connected."""

    async def open(self) -> None:
        self.stream = await connect(self.host, self.port)
        self.lines = BufferedByteReceiveStream(self.stream)
        try:
            await self.be_welcomed(self.stream)
        except BaseException:
            await anyio.aclose_forcefully(self.stream)
            raise


class LeavesATask(GreetedLineTransport):
    """T2: a task of its own outlives it. For asyncio."""

    async def open(self) -> None:
        await super().open()
        self.task = asyncio.create_task(asyncio.sleep(60), name="ping")


class LeavesItsKeepAlive(GreetedLineTransport):
    """T2: as above, but nobody gave the task a name. For asyncio."""

    async def open(self) -> None:
        await super().open()
        self.task = asyncio.create_task(self.keep_alive())

    async def keep_alive(self) -> None:
        """Say something now and then."""
        assert self.stream is not None
        while True:
            await asyncio.sleep(60)
            await self.stream.send(b"\n")


class ComplainsOfTheEnd(GreetedLineTransport):
    """T2: `aclose()` raises if it could not close in order."""

    async def aclose(self) -> None:
        await super().aclose()
        raise TransportLost("nobody got it")


class ClosesOnce(GreetedLineTransport):
    """T3: closing it twice raises."""

    async def aclose(self) -> None:
        self.abort()
        stream, self.stream = self.stream, None
        if stream is not None:
            await stream.aclose()
            return
        await anyio.lowlevel.checkpoint()
        raise RuntimeError("closed already")  # why not?


class Queued(GreetedLineTransport):
    """A base for culprits that read ahead; it keeps the contract."""

    def __init__(self, host: str, port: int, heartbeat: float = 30) -> None:
        super().__init__(host, port, heartbeat)
        self.queue: deque[Signal] = deque()

    async def read(self) -> None:
        """Read one signal and keep it, and what is there already behind it."""
        self.queue.append(await super().receive())
        while b"\n" in self.lines.buffer and not self.closed:
            self.queue.append(await super().receive())

    async def receive(self) -> Signal:
        if self.closed:
            raise anyio.EndOfStream
        if not self.queue:
            await self.read()
        return self.queue.popleft()


class DeliversAfterTheEnd(Queued):
    """T4: hands out what it read before it was closed."""

    async def receive(self) -> Signal:
        if not self.queue:
            await self.read()
        return self.queue.popleft()


class WaitsForEver(GreetedLineTransport):
    """T4: whoever waits in `receive()` is not notified of the closing."""

    async def receive(self) -> Signal:
        try:
            return await super().receive()
        except anyio.EndOfStream:
            await anyio.sleep_forever()
            raise


class NoHeartbeat(GreetedLineTransport):
    """T5: waits for a dead peer without end."""

    async def receive(self) -> Signal:
        self.heartbeat = 3600
        return await super().receive()  # and waits


class NoPong(GreetedLineTransport):
    """T5: what the server sends to say that it is there is no signal, and so it is passed over."""

    async def pong(self) -> None:
        await anyio.lowlevel.checkpoint()


class HeartbeatBySignal(GreetedLineTransport):
    """T5: has a deadline for the next signal, and none for the next message."""

    async def receive(self) -> Signal:
        try:
            with anyio.fail_after(self.heartbeat):
                return await super().receive()
        except TimeoutError:
            raise TransportLost("silence") from None  # on a healthy connection


class TrustsEveryByte(GreetedLineTransport):
    """T6: raises what decoding raises."""

    async def receive(self) -> Signal:
        while True:
            try:
                with anyio.fail_after(self.heartbeat):
                    line = (await self.lines.receive_until(b"\n", 200_000)).decode()  # not UTF-8
            except (anyio.IncompleteRead, anyio.ClosedResourceError):
                raise anyio.EndOfStream from None
            except (TimeoutError, anyio.BrokenResourceError) as error:
                raise TransportLost("the line broke") from error
            if line.startswith("qr "):
                return QRUpdated(QRCode(line[3:]))
            if line.startswith("paired "):
                return Paired(line[7:])


class RaisesInItsProtocol(Transport, asyncio.Protocol):
    """T6: an exception that only the event loop gets. For asyncio."""

    transport: asyncio.Transport | None = None

    def __init__(self, host: str, port: int, heartbeat: float = 30) -> None:
        self.host, self.port, self.heartbeat = host, port, heartbeat
        self.queue: asyncio.Queue[Signal] = asyncio.Queue()

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_connection(lambda: self, self.host, self.port)
        self.transport.write(b"hello\n")

    def data_received(self, data: bytes) -> None:
        for line in data.decode().splitlines():  # not UTF-8
            if line.startswith("paired "):
                self.queue.put_nowait(Paired(line[7:]))

    async def receive(self) -> Signal:
        try:
            return await asyncio.wait_for(self.queue.get(), self.heartbeat)
        except TimeoutError:
            raise TransportLost("silence") from None

    async def aclose(self) -> None:
        self.abort()
        await asyncio.sleep(0)

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class DropsWhatIsEarly(GreetedLineTransport):
    """T7: takes whatever comes with the welcome for the welcome."""

    async def be_welcomed(self, stream: SocketStream) -> None:
        with suppress(anyio.EndOfStream), anyio.move_on_after(self.heartbeat):
            await stream.send(b"hello\n")
            welcome = b""
            while b"welcome\n" not in welcome:
                welcome += await stream.receive()
            return
        raise TransportUnreachable("no welcome")


class GivesASuccessTwice(GreetedLineTransport):
    """T7: remembers the success, and gives it to whoever asks next as well."""

    again: Signal | None = None

    async def receive(self) -> Signal:
        signal, self.again = self.again, None
        if signal is None or self.closed:
            signal = await super().receive()
            self.again = signal if isinstance(signal, Paired) else None
        return signal


class LosesASuccess(GreetedLineTransport):
    """T7: has no word for it."""

    async def receive(self) -> Signal:
        while isinstance(signal := await super().receive(), Paired):
            pass
        return signal


class LosesASuccessAfterACode(GreetedLineTransport):
    """T7: expects a success in one of its states, and not in another."""

    rotated = False

    async def receive(self) -> Signal:
        while True:
            signal = await super().receive()
            if not (self.rotated and isinstance(signal, Paired)):
                self.rotated = self.rotated or isinstance(signal, QRUpdated)
                return signal


class TakesNoCancellation(GreetedLineTransport):
    """T1: goes on, whoever cancels it, until it is closed."""

    async def receive(self) -> Signal:
        while True:
            try:
                return await super().receive()  # and again
            except anyio.get_cancelled_exc_class():
                continue


class LetsNothingOut(GreetedLineTransport):
    """Not the end of its coroutine either, in a scope of its own; `abort()` ends it."""

    async def receive(self) -> Signal:
        while True:
            try:
                with anyio.fail_after(self.heartbeat):
                    return await super().receive()
            except Exception:
                raise
            except BaseException:
                if self.closed:
                    raise EndOfStream from None


class LatestEarlyFirst(GreetedLineTransport):
    """T7: keeps what is early, and hands out the newest first."""

    async def receive(self) -> Signal:
        if self.early and not self.closed:
            return self.early.pop()
        return await super().receive()


class LastInFirstOut(Queued):
    """T7: hands out the newest first."""

    async def receive(self) -> Signal:
        if self.closed:
            raise anyio.EndOfStream
        if not self.queue:
            await self.read()
        return self.queue.pop()


class ShieldsItself(GreetedLineTransport):
    """T2: `aclose()` waits for the peer's answer, shielded from whoever cannot wait so long."""

    async def aclose(self) -> None:
        with anyio.CancelScope(shield=True):
            if self.stream is not None and not self.closed:
                with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                    await self.stream.receive()  # an answer
        await super().aclose()


class RaisesOnAbort(GreetedLineTransport):
    """T3: `abort()` before `open()` raises."""

    def abort(self) -> None:
        if self.stream is None:
            raise RuntimeError("not open yet")  # nor ever, perhaps
        super().abort()

    async def aclose(self) -> None:
        if self.stream is not None:
            await super().aclose()


class Stray(GreetedLineTransport):
    """T4: `receive()` passes on a cancellation of its own making. For asyncio."""

    waiting: asyncio.Task[Signal] | None = None

    async def receive(self) -> Signal:
        self.waiting = asyncio.create_task(super().receive())
        return await self.waiting  # cancelled by abort()

    def abort(self) -> None:
        if self.waiting is not None:
            self.waiting.cancel()
        super().abort()


class AbortsInAMoment(GreetedLineTransport):
    """T2: `abort()` leaves it to the event loop, which comes to it a turn later. For asyncio."""

    def abort(self) -> None:
        self.closed = True
        asyncio.get_running_loop().call_soon(super().abort)


class ForgetsWhenCancelled(GreetedLineTransport):
    """T2: whoever gives up waiting takes the socket along."""

    async def receive(self) -> Signal:
        try:
            return await super().receive()
        except anyio.get_cancelled_exc_class():
            self.stream = None
            raise


class AnswersWhateverHappens(GreetedLineTransport):
    """T1: a cancellation in an answer is nothing to it. For asyncio, where it comes once."""

    async def pong(self) -> None:
        with suppress(anyio.get_cancelled_exc_class()):
            await super().pong()  # cancelled here


class DeliversWhatIsOnItsWay(GreetedLineTransport):
    """T4: looks whether it is closed before it reads, and not after."""

    async def receive(self) -> Signal:
        while not self.closed:
            try:
                with anyio.fail_after(self.heartbeat):
                    line = await self.lines.receive_until(b"\n", 2048)
            except (anyio.IncompleteRead, anyio.ClosedResourceError):
                break
            except (TimeoutError, anyio.BrokenResourceError) as error:
                raise TransportLost("the line broke") from error
            if line.startswith(b"qr "):
                return QRUpdated(QRCode(line[3:].decode()))
        raise anyio.EndOfStream


class HeartbeatUntilTheFirstSignal(GreetedLineTransport):
    """T5: once it has received a signal it waits without end."""

    async def receive(self) -> Signal:
        signal = await super().receive()  # and waits
        self.heartbeat = 3600
        return signal


class HeartbeatUntilTheFirstPing(GreetedLineTransport):
    """T5: once the peer said that it is there, it believes that for ever."""

    async def pong(self) -> None:
        await super().pong()
        self.heartbeat = 3600


class TakesAReadForAMessage(GreetedLineTransport):
    """T7: whatever comes in one read is a message."""

    async def receive(self) -> Signal:
        assert self.stream is not None
        while not self.closed:
            try:
                with anyio.fail_after(self.heartbeat):
                    text = (await self.stream.receive()).decode(errors="replace")
            except anyio.EndOfStream:
                break
            except (TimeoutError, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
                raise TransportLost("the line broke") from error
            if text.startswith("qr ") and text.endswith("\n"):
                return QRUpdated(QRCode(text[3:].strip()))
        raise anyio.EndOfStream


class LooksForTheEndAfterASuccess(GreetedLineTransport):
    """T5: sees whether the peer is still there before it gives a success, and nothing else."""

    async def receive(self) -> Signal:
        signal = await super().receive()
        if isinstance(signal, Paired) and not self.lines.buffer:
            with anyio.move_on_after(self.heartbeat / 5):
                return await super().receive()  # and the success is gone
        return signal


class DeliversASuccessAfterTheEnd(Queued):
    """T4: a success is too good to be forgotten."""

    async def receive(self) -> Signal:
        if self.closed and self.queue and isinstance(self.queue[0], Paired):
            return self.queue.popleft()
        return await super().receive()


class DropsASuccessBehindTheWelcome(GreetedLineTransport):
    """T7: what comes in the welcome's segment must be a code."""

    async def be_welcomed(self, stream: SocketStream) -> None:
        await super().be_welcomed(stream)
        if self.lines.buffer.startswith(b"paired "):
            await self.lines.receive_until(b"\n", 2048)


class ForgetsTheHalfWhenCancelled(GreetedLineTransport):
    """T7: whoever cancels it has it begin anew."""

    async def receive(self) -> Signal:
        try:
            return await super().receive()  # cancelled here
        except anyio.get_cancelled_exc_class():
            assert self.stream is not None
            self.lines = BufferedByteReceiveStream(self.stream)
            raise


class AwaitsWithASignalInHand(GreetedLineTransport):
    """T7: takes note of a signal somewhere before it gives it."""

    async def receive(self) -> Signal:
        signal = await super().receive()
        if not self.closed:
            await anyio.sleep(0.001)  # cancelled here
        return signal


class NeverYields(Transport):
    """T8: takes what the kernel has, and waits only where that is nothing."""

    def __init__(self, host: str, port: int, heartbeat: float = 30) -> None:
        self.host, self.port = host, port
        self.raw = socket.socket()
        self.raw.setblocking(False)
        self.lines: deque[bytes] = deque()
        self.rest = b""

    async def open(self) -> None:
        await plain.connect(self.raw, self.host, self.port)
        await plain.write_all(self.raw, b"hello\n")
        await self.read()

    async def read(self) -> None:
        """Read something; where there is something, that takes no turn."""
        *lines, self.rest = (self.rest + await plain.read(self.raw)).split(b"\n")
        self.lines += lines

    async def receive(self) -> Signal:
        while True:
            while not self.lines:
                await self.read()
            line = self.lines.popleft() + b"\n"
            if line in SIGNALS:
                return SIGNALS[line]

    async def aclose(self) -> None:
        self.abort()
        await anyio.lowlevel.checkpoint()

    def abort(self) -> None:
        self.raw.close()


class LooksAtADeque(RaisesInItsProtocol):
    """T8: hands out all that there is without a turn for others. For asyncio."""

    def __init__(self, host: str, port: int, heartbeat: float = 30) -> None:
        super().__init__(host, port, heartbeat)
        self.signals: deque[Signal] = deque()
        self.news = anyio.Event()
        self.rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self.take(line + b"\n")

    def take(self, line: bytes) -> None:
        """Take one message."""
        if line in SIGNALS:
            self.signals.append(SIGNALS[line])
            self.news.set()

    async def receive(self) -> Signal:
        while not self.signals:
            self.news = anyio.Event()
            await self.news.wait()
        return self.signals.popleft()


class WaitsForWhatAFloodSets(LooksAtADeque):
    """T8: takes a message a turn, out of politeness, and so there is one in each. For asyncio."""

    def __init__(self, host: str, port: int, heartbeat: float = 30) -> None:
        super().__init__(host, port, heartbeat)
        self.lines: deque[bytes] = deque()

    def take(self, line: bytes) -> None:
        """Take it later."""
        self.lines.append(line)
        if len(self.lines) == 1:
            asyncio.get_running_loop().call_soon(self.take_one)

    def take_one(self) -> None:
        """Take one, and the next one in the next turn."""
        super().take(self.lines.popleft())
        if self.lines:
            asyncio.get_running_loop().call_soon(self.take_one)

    async def receive(self) -> Signal:
        while not self.signals:
            self.news = anyio.Event()
            await self.news.wait()  # whoever cancels finds that it does not wait any more
        return self.signals.popleft()
