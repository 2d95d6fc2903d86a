"""The pairing server in a process of its own, with counters: what a day costs it.

Run as ``python -m tests.benchmarks.dashboard.server LOGFILE PATIENCE``. Its first line is its URL.
Then each line of its input is a request in JSON and each line of its output the answer; so all HTTP
is the clients' own. What phones and the service do is asked for here as well, and so is the time of
day: it stands still while something is done, and the server stamps its sockets with it. This room
must never know a design.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import resource
import socket
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from qrlifecycle.testing import PairingServer

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

HEARTBEAT = 25_000
"""Milliseconds between two heartbeats of an open socket: Engine.IO's default."""

FOREVER = 86_400.0
"""Seconds that the server thinks a code is good for: the day itself says when it runs out."""

logger = logging.getLogger("pairing")
access = logging.getLogger("pairing.access")


@dataclass(slots=True)
class Traffic:
    """What went over the server's sockets, without the headers of TCP and IP."""

    connections: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


TRAFFIC = Traffic()


class CountedSocket(socket.socket):
    """A server's end of a connection, which counts what the event loop reads and writes."""

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Read, and count."""
        data = super().recv(bufsize, flags)
        TRAFFIC.bytes_in += len(data)
        return data

    def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
        """Read, and count."""
        count = super().recv_into(buffer, nbytes, flags)
        TRAFFIC.bytes_in += count
        return count

    def send(self, data: ReadableBuffer, flags: int = 0, /) -> int:
        """Write, and count."""
        count = super().send(data, flags)
        TRAFFIC.bytes_out += count
        return count

    def sendmsg(
        self,
        buffers: Iterable[ReadableBuffer],
        ancdata: Iterable[tuple[int, int, ReadableBuffer]] = (),
        flags: int = 0,
        address: Any = None,
        /,
    ) -> int:
        """Write, and count."""
        count = super().sendmsg(buffers, ancdata, flags, address)
        TRAFFIC.bytes_out += count
        return count


class CountedListener(socket.socket):
    """A listening socket whose connections are counted."""

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept, and count."""
        accepted, address = super().accept()
        TRAFFIC.connections += 1
        return CountedSocket(fileno=accepted.detach()), address


class CountedLoop(asyncio.SelectorEventLoop):
    """An event loop whose servers count."""

    async def create_server(  # type: ignore[override]
        self, protocol_factory: Callable[[], asyncio.BaseProtocol], host: str, port: int
    ) -> asyncio.Server:
        """Listen, as `PairingServer` asks for it."""
        listener = CountedListener(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind((host, port))
        return await super().create_server(protocol_factory, sock=listener)


@dataclass(slots=True)
class Book:
    """Every socket that the server saw, by the time of day."""

    now: int = 0
    open: dict[str, int] = field(default_factory=dict)
    """When each socket that is open was opened."""
    openings: int = 0
    most: int = 0
    socket_milliseconds: int = 0
    heartbeats: int = 0

    def enter(self, server: PairingServer) -> None:
        """Take over what has happened.

        Records of closed sockets are dropped: the server walks through all of them whenever a
        socket closes, and no design is to pay for that.
        """
        for record in server.sockets:
            if record.socket_id not in self.open:
                self.open[record.socket_id] = self.now
                self.openings += 1
            if record.closed_at is not None:
                life = self.now - self.open.pop(record.socket_id)
                self.socket_milliseconds += life
                self.heartbeats += life // HEARTBEAT
        server.sockets[:] = [record for record in server.sockets if record.closed_at is None]
        self.most = max(self.most, len(self.open))


class Measured:
    """The server and its counters, and what can be asked of them.

    Args:
        log_file: where the server logs: sockets that come and go, and each HTTP request.
        patience: seconds after which a socket that should be there, or gone, is missed.
    """

    def __init__(self, log_file: Path, patience: float) -> None:
        self._patience = patience
        self.server = PairingServer(qr_lifetime=FOREVER, log=self._log)
        # Its access log is off, so that tests are quiet; a server in production has one.
        self.server._runner.app.on_response_prepare.append(_log_request)
        self._log_file = log_file
        self._news = asyncio.Event()
        self._book = Book()
        self._began_at = 0.0
        self._began_with = 0

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what a request asks for."""
        match request:
            case {"do": "begin"}:
                self._begin()
            case {"do": "clock", "at": int(at), "open": int(count)}:
                await self._set_clock(at, count)
            case {"do": "report"}:
                return self._report()
            case {"do": str(do), "owner": {"botId": str(bot_id), "userId": str(user_id)}}:
                return await self._serve(do, bot_id, user_id)
            case _:
                return {"error": f"nothing is known of {request}"}
        return {}

    async def _serve(self, do: str, bot_id: str, user_id: str) -> dict[str, Any]:
        """What phones and the service do."""
        match do:
            case "scan":
                began = time.monotonic()
                return {"good": await self.server.scan(bot_id, user_id), "at": began}
            case "rotate":
                await self.server.rotate(bot_id, user_id)
            case "expire":
                await self.server.expire(bot_id, user_id)
            case "unlink":
                self.server.make_code(bot_id, user_id)
        return {}

    def _begin(self) -> None:
        """Count from here on."""
        gc.collect()
        self._book = Book()
        self._log_file.write_text("")
        TRAFFIC.connections = TRAFFIC.bytes_in = TRAFFIC.bytes_out = 0
        self._began_with = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self._began_at = time.process_time()

    async def _set_clock(self, at: int, count: int) -> None:
        """It is later now; before, as many sockets were open as the clients say.

        Raises:
            TimeoutError: the server sees another number of them.
        """
        async with asyncio.timeout(self._patience):
            while self.server.open_sockets() != count:
                self._news.clear()
                await self._news.wait()
        self._book.enter(self.server)
        self._book.now = at

    def _report(self) -> dict[str, Any]:
        used = time.process_time() - self._began_at
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        lines = self._log_file.read_text().splitlines()
        return {
            "open": len(self._book.open),
            "openings": self._book.openings,
            "most": self._book.most,
            "socket_milliseconds": self._book.socket_milliseconds,
            "heartbeats": self._book.heartbeats,
            "log_lines": len(lines),
            "socket_log_lines": sum(" WebSocket client " in line for line in lines),
            "requests": sum(" HTTP/1.1" in line for line in lines),
            "connections": TRAFFIC.connections,
            "bytes_in": TRAFFIC.bytes_in,
            "bytes_out": TRAFFIC.bytes_out,
            "cpu_seconds": used,
            "memory_kilobytes": peak - self._began_with,
        }

    def _log(self, line: str) -> None:
        logger.info(line)
        self._news.set()


async def _log_request(request: web.Request, response: web.StreamResponse) -> None:
    access.info('%s "%s %s HTTP/1.1" %d', request.remote, request.method, request.path_qs,
                response.status)  # fmt: skip


async def main(log_file: Path, patience: float) -> None:
    """Serve until the input ends."""
    logging.basicConfig(
        filename=log_file, level="INFO", format="%(asctime)s %(levelname)s %(message)s"
    )
    measured = Measured(log_file, patience)
    requests = asyncio.StreamReader()
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(requests), sys.stdin
    )
    try:
        async with measured.server:
            print(measured.server.url, flush=True)
            async for line in requests:
                try:
                    answer = await measured.answer(json.loads(line))
                except TimeoutError:
                    seen = measured.server.open_sockets()
                    answer = {"error": f"{seen} sockets are open at the server: {line!r}"}
                print(json.dumps(answer), flush=True)
    finally:
        pipe.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=CountedLoop) as runner:
        runner.run(main(Path(sys.argv[1]), float(sys.argv[2])))
