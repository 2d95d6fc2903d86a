"""HTTP as gateways and the command line need it: one request, one connection, one answer.

It runs on asyncio and trio. There is no pool, for a pooled connection is a socket that outlives the
code; no redirect is followed, for the credentials would go along; an answer has a limit in bytes
and a deadline. No error holds a URL, a header or anything of an answer: a text is made of a status,
an error's kind and what the system says of it.

**Why h11 over anyio's streams.** aiohttp is asyncio only. httpx and httpcore are built around a
pool; the one logs each URL, query and all, at INFO, the other each header at DEBUG, keys included;
neither bounds an answer, and their errors carry the request. What is left of them without the pool
is h11, which both speak HTTP by, and which the WebSocket's handshake needs anyway: it is strict
about HTTP, does no I/O, and the rest is the hundred lines below. Whoever wants more (HTTP/2, a
proxy of another kind, a pool) gives a client of their own: `Client` is all that is asked of it, and
an ``httpx.AsyncClient`` is one as it is.
"""

from __future__ import annotations

import base64
import json
import math
import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol
from urllib.parse import SplitResult, quote, unquote, urlencode, urlsplit

import anyio
import h11
from anyio.abc import ByteStream

from ..errors import InvalidValue, QRLifecycleError, ServiceUnavailable

__all__ = ["MAX_ANSWER", "Answer", "Client", "ClientAnswer", "HTTPClient", "send", "split_http_url"]

MAX_ANSWER = 1_000_000
"""Bytes of the largest answer that is accepted."""

READ = 64 * 1024
"""Bytes taken from the connection at once."""

SAFE = "/:@!$&'()*+,;=-._~%?"
"""What stands for itself in a path or a query (RFC 3986), or is quoted already."""

BROKEN = (
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
    h11.RemoteProtocolError,
    OSError,
)
"""What a connection ends by."""


class ClientAnswer(Protocol):
    """An answer as a client gives it."""

    @property
    def status_code(self) -> int:
        """The status."""
        ...

    @property
    def content(self) -> bytes:
        """The body, decoded if it was compressed."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By name, in whatever case."""
        ...


class Client(Protocol):
    """What a client of one's own has to do: an ``httpx.AsyncClient`` does."""

    async def request(
        self, method: str, url: str, *, content: bytes | None, headers: Mapping[str, str]
    ) -> ClientAnswer:
        """Ask once, and follow no redirect. It may raise anything if there is no answer."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a request. It shows its status only, for the rest may hold secrets."""

    status_code: int
    content: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    """By lower-case name."""

    def json(self) -> object:
        """What the body says.

        Raises:
            ServiceUnavailable: it is no JSON: a proxy's page, say, while the service restarts.
        """
        try:
            found: object = json.loads(self.content)
        except (ValueError, RecursionError):
            pass
        else:
            return found
        raise ServiceUnavailable(f"the answer, HTTP {self.status_code}, is no JSON")

    def json_object(self) -> Mapping[str, object]:
        """The object in the body.

        Raises:
            ServiceUnavailable: there is none.
        """
        if isinstance(found := self.json(), dict):
            return found
        raise ServiceUnavailable(f"the answer, HTTP {self.status_code}, is no JSON object")


async def send(
    client: Client,
    method: str,
    url: str,
    *,
    params: Mapping[str, str] | None = None,
    json_body: object = None,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = math.inf,
) -> Answer:
    """Send one request by a client, and read its answer.

    Args:
        client: ours, or the program's.
        method: ``GET``, say.
        url: the whole URL; the query is added to.
        params: what to add to the query.
        json_body: what to send as JSON.
        form: what to send as a form.
        headers: what to send beside what the body needs.
        timeout: seconds for all of it.

    Raises:
        ServiceUnavailable: there was no answer, or one that is too large.
    """
    if params:
        url += f"{'&' if '?' in url else '?'}{urlencode(params)}"
    fields = {"Accept": "application/json", **(headers or {})}
    content = None
    if json_body is not None:
        content = json.dumps(json_body, separators=(",", ":")).encode()
        fields["Content-Type"] = "application/json"
    elif form is not None:
        content = urlencode(form).encode()
        fields["Content-Type"] = "application/x-www-form-urlencoded"
    answer: Answer | None = None
    failure: QRLifecycleError = ServiceUnavailable(f"no answer within {timeout:g} s")
    with anyio.move_on_after(timeout):
        try:
            answer = _checked(await client.request(method, url, content=content, headers=fields))
        except QRLifecycleError as error:
            error.__context__ = None
            failure = error.with_traceback(None)
        except Exception as error:
            failure = ServiceUnavailable(f"no answer ({type(error).__name__})")
    if answer is not None:
        return answer
    # What the error keeps is this frame.
    del client, url, fields, content, params, json_body, form, headers
    raise failure


def _checked(answer: ClientAnswer) -> Answer:
    headers = {str(name).lower(): str(value) for name, value in answer.headers.items()}
    checked = Answer(int(answer.status_code), bytes(answer.content), headers)
    if len(checked.content) > MAX_ANSWER:
        raise too_large()
    return checked


def too_large() -> ServiceUnavailable:
    """What is said of an answer beyond the limit."""
    return ServiceUnavailable(f"the server's answer is larger than {MAX_ANSWER:,} bytes")


def split_http_url(url: str, rule: str) -> SplitResult:
    """Take a URL apart.

    Raises:
        InvalidValue: it is none of HTTP; the text is ``rule``, for the URL may hold a token.
    """
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except (ValueError, AttributeError, TypeError):
        pass
    else:
        if valid:
            return parts
    raise InvalidValue(rule)


class HTTPClient:
    """Our own client: a connection for each request, closed with its answer.

    Args:
        ssl_context: how to trust servers; None trusts the system's authorities.
    """

    __slots__ = ("_ssl",)

    def __init__(self, *, ssl_context: ssl.SSLContext | None = None) -> None:
        self._ssl = ssl_context

    async def request(
        self, method: str, url: str, *, content: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        """Ask once.

        Raises:
            ServiceUnavailable: there is no answer; the text says why.
            InvalidValue: a URL that is none, or a header that cannot be sent.
        """
        parts = split_http_url(url, "a URL must look like http://host/path, or https")
        request = _request_of(method, parts, content, headers)
        try:
            stream = await self._connect(parts)
            try:
                return await _exchange(stream, request, content or b"")
            finally:
                await anyio.aclose_forcefully(stream)
        except h11.RemoteProtocolError as error:
            failure = ServiceUnavailable(_explain(error))
        except (
            anyio.BrokenResourceError,
            anyio.ClosedResourceError,
            anyio.EndOfStream,
            OSError,
        ) as error:
            failure = ServiceUnavailable(_explain(error))
        raise failure from None

    async def _connect(self, parts: SplitResult) -> ByteStream:
        host = parts.hostname or ""
        if parts.scheme == "http":
            return await anyio.connect_tcp(host, parts.port or 80)
        return await anyio.connect_tcp(
            host,
            parts.port or 443,
            ssl_context=self._ssl or _default_context(),
            tls=True,
            tls_standard_compatible=False,  # HTTP's own framing says whether an answer is whole
        )


@cache
def _default_context() -> ssl.SSLContext:
    """One for all requests: making one reads all of the system's authorities."""
    return ssl.create_default_context()


def _request_of(
    method: str, parts: SplitResult, content: bytes | None, headers: Mapping[str, str]
) -> h11.Request:
    target = quote(parts.path or "/", safe=SAFE)
    if parts.query:
        target += f"?{quote(parts.query, safe=SAFE)}"
    host = parts.netloc.rpartition("@")[2]
    fields: dict[str, str] = {"Host": host, "Connection": "close", "User-Agent": "qrlifecycle"}
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        fields["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    if content is not None or method not in {"GET", "HEAD"}:
        fields["Content-Length"] = str(len(content or b""))
    own = {name.lower() for name in headers}
    ours = {name: value for name, value in fields.items() if name.lower() not in own}
    every = [*ours.items(), *headers.items()]
    try:
        return h11.Request(method=method, target=target, headers=[*map(_encoded, every)])
    except (h11.LocalProtocolError, UnicodeError):
        pass
    raise InvalidValue("a header, or the URL's host, has characters that cannot be sent")


def _encoded(header: tuple[str, str]) -> tuple[bytes, bytes]:
    name, value = header
    return name.encode("ascii"), value.encode("latin-1")


async def _exchange(stream: ByteStream, request: h11.Request, content: bytes) -> Answer:
    """Send the request, and read one answer.

    Raises:
        RemoteProtocolError: the answer is no HTTP.
        ServiceUnavailable: it is too large.
    """
    http = h11.Connection(h11.CLIENT)
    sent = [http.send(event) for event in (request, h11.Data(data=content), h11.EndOfMessage())]
    await stream.send(b"".join(filter(None, sent)))
    head: h11.Response | None = None
    body = bytearray()
    while True:
        event: Any = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await _read(stream, began=head is not None))
        elif isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_ANSWER:
                raise too_large()
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None
            fields = {n.decode("latin-1"): v.decode("latin-1") for n, v in head.headers}
            return Answer(head.status_code, bytes(body), fields)


async def _read(stream: ByteStream, *, began: bool) -> bytes:
    """The next bytes; none at the end of an answer that began, which h11 then judges."""
    try:
        return await stream.receive(READ)
    except anyio.EndOfStream:
        if not began:
            raise
        return b""


def _explain(error: Exception) -> str:
    """What to say of an error whose own text may quote the URL."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "the server's certificate is not trusted"
    if isinstance(error, ssl.SSLError):
        return "the server does not speak TLS as it should"
    if isinstance(error, socket.gaierror):
        return "the server's name is not known"
    if isinstance(error, h11.RemoteProtocolError):
        return f"the server's answer is malformed ({type(error).__name__})"
    if not isinstance(error, OSError) or isinstance(error, ConnectionResetError):
        return "the server closed the connection without an answer"
    cause: object = error.__cause__ or error
    if isinstance(cause, BaseExceptionGroup):  # one of several addresses
        cause = cause.exceptions[0]
    number = cause.errno if isinstance(cause, OSError) else None
    return "the server cannot be reached" + (f": {os.strerror(number)}" if number else "")
