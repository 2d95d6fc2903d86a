"""A small HTTP server on loopback for emulators: real sockets, asyncio and trio.

WebSockets are on the same port, for whoever answers a request by an `Upgrade`. It has the moods of
a service in the field: it can be stopped and started again on its port, freeze, and drop whoever is
connected.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

import anyio
import h11
from anyio.abc import ByteStream, Listener, SocketListener, TaskGroup, TaskStatus
from anyio.streams.tls import TLSListener

from ..transports.wire.address import place_of
from .leaks import KIT
from .server_websocket import BROKEN, ServerWebSocket, Upgrade

__all__ = ["HTTPServer", "Request", "Response", "ServerWebSocket", "Upgrade"]


REUSE_PORT = hasattr(socket, "SO_REUSEPORT")
"""Whether the system lets two sockets be bound to one port."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request, as it came."""

    method: str
    path: str
    """Without its query; quoted as it came."""
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    """By lower-case name."""
    body: bytes = field(repr=False)

    @property
    def segments(self) -> list[str]:
        """The parts of the path between its slashes, each without its quotes."""
        return [unquote(part) for part in self.path.strip("/").split("/")]

    @property
    def form(self) -> dict[str, str]:
        """The fields of a form."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    def json(self) -> Any:
        """What a body of JSON says."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Response:
    """What is answered: bytes as they are, anything else as JSON."""

    body: object = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Awaitable[Response | Upgrade | bytes | None]]
"""Answers a request: with a `Response`, with the bytes of one, by an `Upgrade`, or by hanging up.
"""


class HTTPServer:
    """The server; an async context manager that listens on entering and is gone on leaving.

    Args:
        handle: async function that answers a request. Bytes are sent as they are, an `Upgrade` lets
            a WebSocket's client in, and None hangs up.
        host: the address to listen on.
        port: the port; 0 takes a free one.
        tls: the server's certificate.
    """

    def __init__(
        self,
        handle: Handler,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.requests: list[Request] = []
        """Every request there ever was."""
        self.connections = 0
        """How many there ever were."""
        self._handle = handle
        self._tls = tls
        self._tasks: TaskGroup | None = None
        self._kept: socket.socket | None = None
        self._serving: anyio.CancelScope | None = None
        self._stopped = anyio.Event()
        self._open: set[ByteStream] = set()
        self._thawed = anyio.Event()
        self._thawed.set()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http{'s' if self._tls else ''}://{place_of(self.host, self.port)}"

    @property
    def listens(self) -> bool:
        """Whether it was started, and not stopped since."""
        return self._serving is not None

    @property
    def open_connections(self) -> int:
        """How many are open now."""
        return len(self._open)

    async def __aenter__(self) -> Self:
        self._kept = self._keep_port()
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        await self.start()
        return self

    async def __aexit__(self, *error: Any) -> None:  # noqa: PYI036 - passed on
        assert self._tasks is not None
        await self.stop()
        if self._kept is not None:
            self._kept.close()
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(*error)

    def _keep_port(self) -> socket.socket | None:
        """Have the port kept while nobody listens on it, where the system can.

        A socket that is bound and does not listen has connections refused, as if there were none;
        and the system gives its port to nobody else, not even to a client as its own.

        Raises:
            OSError: somebody else has it. Another of these servers would share it otherwise.
        """
        if not REUSE_PORT:
            return None
        if self.port:
            socket.create_server((self.host, self.port), family=self._family).close()
        kept = socket.socket(self._family)
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kept.bind((self.host, self.port))
        self.port = kept.getsockname()[1]
        return kept

    @property
    def _family(self) -> socket.AddressFamily:
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    # Its moods

    async def start(self) -> None:
        """Listen, on the same port as before if it was stopped."""
        assert self._tasks is not None
        await self._tasks.start(self._listen, name=KIT)

    async def stop(self) -> None:
        """Listen no more, and drop whoever is connected: the service is killed."""
        if self._serving is not None:
            self._serving.cancel()
            await self._stopped.wait()
        await self.drop()

    async def drop(self) -> None:
        """Break every connection."""
        for stream in tuple(self._open):
            await anyio.aclose_forcefully(stream)

    def freeze(self) -> None:
        """Take connections and requests, and answer none."""
        self._thawed = anyio.Event()

    def thaw(self) -> None:
        """Answer again, also what was asked meanwhile."""
        self._thawed.set()

    # Serving

    async def _listen(self, *, task_status: TaskStatus[None]) -> None:
        # Without a look-up of names, which asyncio does in a thread: that is no clock's to see.
        made = socket.create_server(
            (self.host, self.port), family=self._family, reuse_port=REUSE_PORT
        )
        self.port = made.getsockname()[1]
        listener: Listener[Any] = await SocketListener.from_socket(made)
        if self._tls is not None:
            listener = TLSListener(listener, self._tls, standard_compatible=False)
        self._stopped = anyio.Event()
        with anyio.CancelScope() as self._serving:
            async with listener:
                task_status.started()
                await listener.serve(self._serve, self._tasks)
        self._serving = None
        self._stopped.set()

    async def _serve(self, stream: ByteStream) -> None:
        self._open.add(stream)
        self.connections += 1
        try:
            with suppress(*BROKEN):
                await self._serve_request(stream)
        finally:
            self._open.discard(stream)
            await anyio.aclose_forcefully(stream)

    async def _serve_request(self, stream: ByteStream) -> None:
        answer: Response | Upgrade | bytes | None
        try:
            request = await _read(stream)
        except h11.RemoteProtocolError:
            await stream.send(_encoded(Response(status=400)))
            return
        self.requests.append(request)
        await self._thaws()
        answer = await self._handle(request)
        if isinstance(answer, Upgrade):
            websocket = ServerWebSocket(stream, self._thaws)
            await websocket.open(request.headers.get("sec-websocket-key", ""))
            await answer.serve(websocket)
        elif answer is not None:
            await stream.send(answer if isinstance(answer, bytes) else _encoded(answer))

    async def _thaws(self) -> None:
        """Wait while it is frozen."""
        await self._thawed.wait()


async def _read(stream: ByteStream) -> Request:
    http, head, body = h11.Connection(h11.SERVER), None, bytearray()
    while True:
        event: Any = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await stream.receive())
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            break
    assert head is not None
    target = urlsplit(head.target.decode())
    return Request(
        head.method.decode(),
        target.path,
        dict(parse_qsl(target.query, keep_blank_values=True)),
        {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers},
        bytes(body),
    )


def _encoded(response: Response) -> bytes:
    body, headers = response.body, {"Content-Type": "application/json", **response.headers}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers |= {"Content-Length": str(len(content)), "Connection": "close"}
    lines = [f"HTTP/1.1 {response.status} X", *(f"{n}: {v}" for n, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + content
