"""The crowd's server, in a process of its own: raw bytes, so that it keeps the pace asked for.

Run as ``python -m tests.benchmarks.crowds.server``. Its first line is its URL; for each line that
it reads, a number of seconds, it tells every client of a success, evenly over that time, and prints
how long it took. What it says is what python-socketio's server says, and so is how it closes: a
test compares them. That one needs a millisecond and more for each of ten thousand, so that they
would hear of it by and by, and nobody would learn what a crowd does that is told at once.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from struct import unpack

from qrlifecycle.testing.contract.socketio_peer import PING, ServerHandshake, event, frame

from .limits import raise_limit

__all__ = ["HEARTBEAT", "NAME", "Client", "CrowdServer", "Telling", "said"]

HEARTBEAT = 25.0
"""Seconds between two pings, as python-engineio's server has it."""

PING_TIMEOUT = 20_000
"""Milliseconds in which a ping is to be answered, likewise."""

NAME = "whatsapp_connected"

BACKLOG = 4096

READ = 64 * 1024

AT_ONCE = 64
"""Sockets that are taken from the kernel at a time."""

FINE = 0.0005
"""Seconds before its time from which the next one is waited for by looking at the clock: the
kernel's time-outs are whole milliseconds."""

CLOSE = 8


def said(at: float) -> str:
    """What tells a client of its success: an event, as Socket.IO has it.

    Args:
        at: when it is sent, on the monotonic clock, which all processes of a machine share.
    """
    return event(NAME, {"botId": "b", "userId": "u", "at": at})


class Client:
    """One of those that are connected."""

    __slots__ = ("_handshake", "_unread", "left", "socket")

    def __init__(self, made: socket.socket, heartbeat: float) -> None:
        self.socket = made
        self.left = False
        """Whether it is gone, or says that it goes."""
        milliseconds = (int(heartbeat * 1000), PING_TIMEOUT)
        self._handshake: ServerHandshake | None = ServerHandshake(intervals=milliseconds)
        self._unread = b""

    @property
    def joined(self) -> bool:
        """Whether it was let into the namespace."""
        return self._handshake is None

    def send(self, data: bytes) -> None:
        """Send; who is gone is told by the next read."""
        try:
            self.socket.send(data)
        except OSError:
            self.left = True

    def read(self) -> None:
        """Take what it said, and answer."""
        try:
            data = self.socket.recv(READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.left = True
        elif (handshake := self._handshake) is not None:
            self.send(b"".join(handshake.answers(data)))
            if handshake.joined:
                self._handshake = None
        else:
            self._take(self._unread + data)

    def _take(self, data: bytes) -> None:
        """Look for a close among the frames, which are short: pongs and goodbyes."""
        while len(data) >= 6 and not self.left:
            size, start = data[1] & 127, 2
            if size == 126 and len(data) >= 8:
                (size,), start = unpack("!H", data[2:4]), 4
            if len(data) < start + 4 + size:
                break
            mask, body = data[start : start + 4], data[start + 4 : start + 4 + size]
            if data[0] & 15 == CLOSE:
                code = bytes(byte ^ mask[place % 4] for place, byte in enumerate(body))
                self.send(frame(code, CLOSE))
                self.left = True
            data = data[start + 4 + size :]
        self._unread = data


@dataclass
class Telling:
    """Clients that are being told, evenly over some seconds; who is late is told at once."""

    clients: list[Client]
    seconds: float
    began: float
    told: int = 0
    clock: Callable[[], float] = time.monotonic

    @property
    def due(self) -> float:
        """When the next one is to be told."""
        return self.began + self.told * self.seconds / len(self.clients)

    def tell(self) -> bool:
        """Tell whoever is to be told by now; whether that was everybody."""
        while self.told < len(self.clients) and self.due <= (now := self.clock()):
            self.clients[self.told].send(frame(said(now)))
            self.told += 1
        return self.told == len(self.clients)


class CrowdServer:
    """A Socket.IO server for as many as there are, in one loop of its own; listening from now on.

    Args:
        commands: a file descriptor that the orders come from.
        answer: given the seconds that a telling took.
        heartbeat: seconds between two pings.
    """

    def __init__(
        self, commands: int, answer: Callable[[float], None], *, heartbeat: float = HEARTBEAT
    ) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._commands = commands
        self._answer = answer
        self._heartbeat = heartbeat
        self._poll = select.epoll()
        self._poll.register(self._listener, select.EPOLLIN)
        self._poll.register(commands, select.EPOLLIN)
        self._clients: dict[int, Client] = {}
        self._pings: deque[tuple[float, Client]] = deque()
        self._telling: Telling | None = None
        self._over = False

    def serve(self) -> None:
        """Serve until there are no more orders."""
        while not self._over:
            for descriptor, _ in self._poll.poll(self._seconds(), AT_ONCE):
                self._take(descriptor)
                self._tell()
            self._tell()
            self._ping()
        for client in self._clients.values():
            client.socket.close()
        self._poll.close()
        self._listener.close()

    def _seconds(self) -> float:
        """How long nothing has to be done, unless something comes."""
        now = time.monotonic()
        if self._telling is not None:
            return max(0.0, self._telling.due - FINE - now)
        return max(0.0, self._pings[0][0] - now) if self._pings else self._heartbeat

    def _take(self, descriptor: int) -> None:
        """Something can be read there."""
        if (client := self._clients.get(descriptor)) is not None:
            self._hear(client)
        elif descriptor == self._commands:
            self._obey(os.read(descriptor, READ))
        else:
            made, _ = self._listener.accept()
            made.setblocking(False)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._clients[made.fileno()] = Client(made, self._heartbeat)
            self._poll.register(made, select.EPOLLIN)

    def _hear(self, client: Client) -> None:
        joined = client.joined
        client.read()
        if client.left:
            del self._clients[client.socket.fileno()]
            client.socket.close()
        elif client.joined and not joined:
            self._pings.append((time.monotonic() + self._heartbeat, client))

    def _obey(self, order: bytes) -> None:
        """Begin to tell; or stop, when nobody gives orders any more."""
        if not order:
            self._over = True
            return
        joined = [client for client in self._clients.values() if client.joined]
        self._telling = Telling(joined, float(order), time.monotonic())

    def _tell(self) -> None:
        telling = self._telling
        if telling is not None and telling.tell():
            self._telling = None
            self._answer(time.monotonic() - telling.began)

    def _ping(self) -> None:
        """Ping whose turn it is. All have the same interval, so whoever joined first is first."""
        now = time.monotonic()
        while self._pings and self._pings[0][0] <= now:
            _, client = self._pings.popleft()
            if not client.left:
                client.send(PING)
                self._pings.append((now + self._heartbeat, client))


def main() -> None:
    """Serve until nothing more can be read."""
    raise_limit()
    server = CrowdServer(sys.stdin.fileno(), lambda took: print(json.dumps(took), flush=True))
    print(f"http://127.0.0.1:{server.port}", flush=True)
    server.serve()


if __name__ == "__main__":
    main()
