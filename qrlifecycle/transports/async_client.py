"""For where no WebSocket is let through, or a session of one's own is needed: over `AsyncClient`.

Everybody else is better served by `SocketIOTransport`: this one runs on asyncio only, and takes
twice the memory and time. What it has beside it: long polling (``polling=True``), and aiohttp's
sessions, with cookies, proxies and credentials of any kind (``session=``).

On its own python-socketio's client leaks sockets and tasks when it is cancelled or its server
misbehaves. So it gets a session and a connector of its own for one opening
(`qrlifecycle.transports.ledger`), every task it starts is recorded, and closing shuts the sockets
first and then waits until the tasks are gone. Reconnecting and signal handlers of its own are off,
its log is silent (it would write payloads), TLS is verified.

Names touched here that python-socketio and python-engineio do not document: ``eio`` with its
``ping_interval``, ``ping_timeout``, ``read_loop_task``, ``external_http``, ``queue``, ``base_url``
and ``start_background_task``, and ``engineio.base_client.connected_clients``; and those that
`qrlifecycle.transports.client` lists.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

import aiohttp
import anyio
import engineio.base_client
import socketio

from ..errors import (
    Ending,
    InvalidValue,
    TransportError,
    TransportLost,
    TransportUnreachable,
    UnsupportedBackend,
)
from ..logs import SILENT
from ..secrecy import forgetful, shown_half_made
from .client import Client, Packet, explain
from .handshake import CLOSED_EARLY, check_auth, check_namespace, engineio_path, refusal
from .ledger import Ledger
from .messages import DEFAULT_SIGNALS, Drop, SignalMap
from .owner import Owner
from .pair import PairTransport, check_headers, pair_of
from .wire import WireOptions, endings
from .wire.address import address_of
from .wire.options import ENVIRONMENT, HEARTBEAT, MAX_MESSAGE_SIZE, check_context, check_flags
from .wire.proxy import proxy_for

__all__ = ["AsyncClientTransport", "require_asyncio"]

ANSWER_TO_CLOSE = 0.1
"""Seconds that the client itself waits for a server to confirm the close that the server asked for;
until then it does not say that the connection is gone. Our own closing waits for nobody."""

DISCONNECT = "41"
"""Engine.IO "message" and Socket.IO "disconnect": what servers log as the client's own leaving."""

CLOSE = "1"
"""Engine.IO's."""

ITS_HEARTBEAT = "its heartbeat"

RECORD_SEPARATOR = "\x1e"
"""What stands between two packets of Engine.IO in one request."""


@shown_half_made
class AsyncClientTransport(PairTransport):
    """Hears signals from a Socket.IO server (3 or newer) by python-socketio's client, on asyncio.

    For where no WebSocket is let through, or a session of one's own is needed; everybody else is
    better served by `SocketIOTransport`, whose arguments mean the same.

    Args:
        url: the server, ``http``, ``https``, ``ws`` or ``wss``, and the path where it lives, if it
            is not at the top; a query in it is sent along.
        bot_id: the bot to listen for; sent on connecting as ``botId``.
        user_id: the user to listen for; sent on connecting as ``userId``. Messages that name
            another bot or user are dropped.
        auth: sent on connecting beside the two ids; a token, usually.
        headers: HTTP headers of the handshake, and of each request when polling.
        namespace: the Socket.IO namespace.
        signals: from the name of a message to what makes a signal of its payload.
        owner: whose messages are meant, for a service that tells everybody everything: by where a
            message says it, what it says there if it is ours (``{"data.session": "bot-7"}``). One
            that names another there is dropped, and so is a signal that does not say each of the
            values, at one of its keys. In place of the two ids: unless given, ``botId`` and
            ``userId`` are looked for, and what names nobody is for everybody.
        socketio_path: where on the server Socket.IO is, below the URL's path.
        polling: poll over HTTP, and never speak WebSocket. The close is then a request as well,
            which is given a tenth of a second.
        session: makes an `aiohttp.ClientSession` with the arguments it is given, and others of
            one's own: ``partial(aiohttp.ClientSession, trust_env=True, cookie_jar=jar)``. Called
            once for each opening. Its connector is ours, which knows each socket.
        ssl_context: for servers with a certificate of their own; verification is the context's.
        proxy: an HTTP proxy's URL, None for none, or "environment" for what that says, unless there
            is a ``session`` of one's own, which may have a proxy of its own.
        max_message: bytes of the largest message to read, or of the largest answer when polling; a
            larger one breaks the connection.
        heartbeat: seconds of silence after which a peer counts as dead, also while opening.

    Raises:
        InvalidValue: an argument that cannot be meant; the text names it.
    """

    __slots__ = (
        "_auth",
        "_client",
        "_closing",
        "_gone",
        "_headers",
        "_heartbeat",
        "_joined",
        "_ledger",
        "_max_message",
        "_namespace",
        "_pair",
        "_path",
        "_polling",
        "_proxy",
        "_session",
        "_ssl",
        "_tasks",
        "_url",
    )

    @forgetful
    def __init__(
        self,
        url: str,
        *,
        bot_id: str,
        user_id: str,
        auth: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        namespace: str = "/",
        signals: SignalMap = DEFAULT_SIGNALS,
        owner: Owner | None = None,
        socketio_path: str = "socket.io",
        polling: bool = False,
        session: Callable[..., aiohttp.ClientSession] = aiohttp.ClientSession,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = ENVIRONMENT,
        max_message: int = MAX_MESSAGE_SIZE,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        self._path = engineio_path(url, socketio_path)
        self._pair = pair_of(url, bot_id, user_id, signals, owner)
        self._auth = check_auth(auth, {"botId": bot_id, "userId": user_id})
        check_namespace(namespace)
        check_headers(headers)
        check_flags(polling=polling)
        # What our own wire refuses is refused here.
        WireOptions(
            headers=headers or {},
            proxy=proxy,
            max_message_size=max_message,
            heartbeat=heartbeat,
        )
        check_context(ssl_context, address_of(url))
        super().__init__()
        self._url = url
        self._headers = dict(headers or {})
        self._namespace = namespace
        if not callable(session):
            raise InvalidValue(f"session must be a function, not {type(session).__name__}")
        self._polling = polling
        self._session = session
        self._ssl = ssl_context
        ours = session is aiohttp.ClientSession
        self._proxy = proxy if ours or proxy != ENVIRONMENT else None
        self._max_message = max_message
        self._heartbeat = heartbeat
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ledger: Ledger | None = None
        self._client: socketio.AsyncClient | None = None
        self._joined: asyncio.Future[TransportError | None] | None = None
        self._closing = False
        self._gone = False

    async def open(self) -> None:
        """Connect, join the namespace, and listen.

        Raises:
            TransportUnreachable: no server, not a Socket.IO server, no such namespace, or silence.
            TransportRefused: the server answered 401 or 403, or refused the namespace.
            UnsupportedBackend: the event loop is not asyncio's.
        """
        require_asyncio("AsyncClientTransport")
        if self._closing or self._client is not None:
            raise endings.abandoned("a transport is opened once; make a fresh one")
        self._joined = asyncio.get_running_loop().create_future()
        ledger = self._ledger = self._make_ledger()
        self._client = self._make_client(ledger)
        ledger.session()
        try:
            # A task of its own: connect() may swallow a cancellation or hang in one.
            connecting = self._start(self._connect(self._client))
            await asyncio.wait({connecting}, timeout=self._heartbeat)
            if self._closing:
                raise endings.abandoned("the transport was closed while it opened")
            if not connecting.done():
                raise endings.silent(self._heartbeat, "our heartbeat", opening=True)
            if (error := connecting.result()) is not None:
                raise error
            ledger.opening = False
        except BaseException:
            self.abort()
            await self._reap_whatever_happens(ledger)
            raise

    async def aclose(self) -> None:
        """Send "disconnect" without waiting for an answer, shut the socket, and reap the client."""
        self._closing = True
        self._buffer.close()
        client, ledger = self._client, self._ledger
        if client is None or ledger is None:
            return
        try:
            await self._say_goodbye(client, ledger)
            self._shut(client, ledger)
            await self._reap(ledger)
        except BaseException:
            self.abort()
            await self._reap_whatever_happens(ledger)
            raise
        self._gone = True

    def abort(self) -> None:
        """Shut the socket now; the client's tasks end as soon as the event loop runs."""
        self._closing = True
        with suppress(RuntimeError):  # the event loop is closed: nobody waits any more
            self._buffer.close()
        self._sum_up()
        if self._client is None or self._ledger is None or self._gone:
            return
        self._ledger.drop_unsent()
        self._shut(self._client, self._ledger)

    # Opening

    def _make_ledger(self) -> Ledger:
        failure: TransportError
        try:
            proxy = proxy_for(address_of(self._url), self._proxy)
            return Ledger(
                self._ssl,
                self._session,
                self._max_message,
                polling=self._polling,
                proxy=None if proxy is None else proxy.url,
            )
        except TransportError as error:
            failure = error.with_traceback(None)  # its frames have the proxy's URL
        raise failure

    def _make_client(self, ledger: Ledger) -> socketio.AsyncClient:
        options: dict[str, Any] = {
            "reconnection": False,
            "handle_sigint": False,
            "serializer": Packet,
            "logger": SILENT,
            "engineio_logger": SILENT,
            "http_session": ledger.session,
            "websocket_extra_options": {
                "max_msg_size": self._max_message,
                "timeout": aiohttp.ClientWSTimeout(ws_close=ANSWER_TO_CLOSE),  # pyright: ignore[reportCallIssue]
            },
        }
        client = Client(self._join, ledger.send, self._hear_message, **options)
        client.eio.start_background_task = self._start_client_task
        client.eio.external_http = True  # the session is the ledger's to close
        client.on("connect", self._on_connect, namespace=self._namespace)
        client.on("connect_error", self._on_refusal, namespace=self._namespace)
        client.on("disconnect", self._on_disconnect, namespace=self._namespace)
        return client

    async def _connect(self, client: socketio.AsyncClient) -> TransportError | None:
        """Connect; what went wrong is the result, so that nothing is raised with a URL in it."""
        assert self._joined is not None
        try:
            await client.connect(
                self._url,
                headers=dict(self._headers),
                auth=self._auth,
                transports=["polling" if self._polling else "websocket"],
                namespaces=[self._namespace],
                socketio_path=self._path,
                wait=False,
            )
        except Exception as error:  # garbage before OPEN raises anything
            return explain(error, None if self._ledger is None else self._ledger.failure)
        heartbeat = client.eio.ping_interval + client.eio.ping_timeout
        if not 0 < heartbeat <= self._heartbeat:  # NaN is neither
            client.eio.ping_interval, client.eio.ping_timeout = self._heartbeat, 0
        return await self._joined

    def _on_connect(self, *_args: object) -> None:
        self._join(None)

    def _on_refusal(self, *args: object) -> None:
        self._join(refusal(args))

    def _on_disconnect(self, *args: object) -> None:
        if engineio.AsyncClient.reason.SERVER_DISCONNECT in args:
            self._join(TransportUnreachable(CLOSED_EARLY, ending=Ending.HUNG_UP))
            self._end(anyio.EndOfStream())
        else:
            self._lose(self._broken())

    def _broken(self) -> TransportError:
        """How the connection broke, as far as the client lets on."""
        ledger, client = self._ledger, self._client
        assert ledger is not None
        assert client is not None
        code = ledger.close_code()
        if code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
            if not self._buffer.ended:
                self._take(Drop.TOO_LARGE)
            return endings.too_large(self._max_message)
        if (known := ledger.failure) is not None:
            return known if ledger.opening else known.retold(TransportLost, str(known))
        if code is not None and code != aiohttp.WSCloseCode.ABNORMAL_CLOSURE:
            return endings.closed_with(code)
        seconds = client.eio.ping_interval + client.eio.ping_timeout
        if anyio.current_time() >= ledger.heard_at + seconds:
            return endings.silent(seconds, ITS_HEARTBEAT, opening=False)
        return TransportLost("the connection broke", ending=Ending.HUNG_UP)

    def _join(self, error: TransportError | None) -> None:
        if self._joined is not None and not self._joined.done():
            self._joined.set_result(error)

    def _lose(self, error: TransportError) -> None:
        text = f"{error} before the namespace was joined"
        self._join(error.retold(TransportUnreachable, text))
        self._end(error)

    # Messages

    def _hear_message(self, namespace: str, name: str, args: tuple[object, ...]) -> None:
        if namespace != self._namespace:
            self._take(Drop.UNKNOWN)
        else:
            self._take_message(name, args)

    # The client's tasks

    def _start(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _start_client_task(self, target: Any, *args: Any, **kwargs: Any) -> asyncio.Task[Any]:
        task = self._start(target(*args, **kwargs))
        if isinstance(getattr(target, "__self__", None), Client):
            task.add_done_callback(self._took_message)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that nobody complains that it was not
        if self._client is not None and task is self._client.eio.read_loop_task:
            self._lose(self._broken())

    def _took_message(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._take(Drop.MALFORMED)

    # Closing

    async def _say_goodbye(self, client: socketio.AsyncClient, ledger: Ledger) -> None:
        """Say that we leave; and when polling, what the client has still to say, such as an ACK."""
        if not self._polling:
            await ledger.send_close(self._disconnect_text())
        elif client.connected:
            with anyio.move_on_after(ANSWER_TO_CLOSE):
                await client.eio.queue.join()
                farewells = (self._disconnect_text(), CLOSE)
                await ledger.post(client.eio.base_url, RECORD_SEPARATOR.join(farewells))

    async def _hear(self) -> None:
        """Wait for what the client hears; of a server that is polled, notice that it is silent."""
        ledger, client = self._ledger, self._client
        if not self._polling or ledger is None or client is None:
            return await super()._hear()
        seconds = client.eio.ping_interval + client.eio.ping_timeout
        with anyio.CancelScope(deadline=ledger.heard_at + seconds):
            await self._buffer.wait()
        if anyio.current_time() >= ledger.heard_at + seconds:
            self._end(endings.silent(seconds, ITS_HEARTBEAT, opening=False))
        return None

    def _disconnect_text(self) -> str:
        return DISCONNECT if self._namespace == "/" else f"{DISCONNECT}{self._namespace},"

    def _shut(self, client: socketio.AsyncClient, ledger: Ledger) -> None:
        ledger.shut()
        with suppress(RuntimeError):  # the event loop is closed: nothing runs on it any more
            for task in tuple(self._tasks):
                task.cancel()
        with suppress(ValueError):
            engineio.base_client.connected_clients.remove(client.eio)

    async def _reap(self, ledger: Ledger) -> None:
        """Wait until tasks and descriptors are gone; a cancellation may take several tellings."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=REAP_INTERVAL)
            for task in tuple(self._tasks):
                task.cancel()
        await ledger.reap()

    async def _reap_whatever_happens(self, ledger: Ledger) -> None:
        """Reap to the end even while this task is being cancelled, by anyio or natively."""
        reaping = asyncio.ensure_future(self._reap(ledger))
        interrupted: BaseException | None = None
        with anyio.CancelScope(shield=True):
            while not reaping.done():
                try:
                    await asyncio.wait({reaping})
                except asyncio.CancelledError as error:
                    interrupted = error
        reaping.result()
        if interrupted is not None:
            raise interrupted


REAP_INTERVAL = 0.05
"""Seconds between two tellings of a task that it is cancelled; one telling is the rule."""


def require_asyncio(what: str) -> None:
    """Say clearly what python-socketio itself says in riddles.

    Raises:
        UnsupportedBackend: the event loop is not asyncio's.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise UnsupportedBackend(
            f"{what} needs asyncio, because python-socketio does; "
            "run it with anyio.run(..., backend='asyncio') or bring a transport of your own"
        ) from None
