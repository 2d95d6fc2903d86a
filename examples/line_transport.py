"""A transport of one's own: a TCP server that sends a line for each signal, or a blank one."""

import socket
from contextlib import suppress

import anyio.lowlevel
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

import qrlifecycle as q


class LineTransport(q.Transport):
    def __init__(self, host: str, port: int, heartbeat: float = 30) -> None:
        self.host, self.port, self.heartbeat, self.closed = host, port, heartbeat, False
        self.stream: SocketStream | None = None

    async def open(self) -> None:
        try:
            self.stream = await anyio.connect_tcp(self.host, self.port)
        except OSError as error:
            raise q.TransportUnreachable("no line server there") from error
        self.lines = BufferedByteReceiveStream(self.stream)
        if self.closed:  # abort() came in the middle
            await self.aclose()
            raise q.TransportUnreachable("closed while opening")

    async def receive(self) -> q.Signal:
        while True:
            try:
                with anyio.fail_after(self.heartbeat):
                    line = await self.lines.receive_until(b"\n", 2048)
            except (anyio.IncompleteRead, anyio.ClosedResourceError) as end:
                raise anyio.EndOfStream from end
            except (TimeoutError, anyio.BrokenResourceError, anyio.DelimiterNotFound) as error:
                raise q.TransportLost(f"the line broke: {type(error).__name__}") from error
            if self.closed:
                raise anyio.EndOfStream
            match line.decode(errors="replace").split(maxsplit=1):
                case ["qr", code] if not code.lower().startswith("data:"):  # no picture, in a line
                    return q.QRUpdated(q.QRCode(code))
                case ["paired", identity]:
                    return q.Paired(identity)
            await anyio.lowlevel.checkpoint()  # many lines in a row must not keep others waiting

    async def aclose(self) -> None:
        self.abort()
        if self.stream is not None:
            await self.stream.aclose()

    def abort(self) -> None:
        self.closed = True
        if self.stream is not None:
            with suppress(OSError):
                self.stream.extra(SocketAttribute.raw_socket).shutdown(socket.SHUT_RDWR)
