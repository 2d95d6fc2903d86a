"""HTTP as gateways and the command line need it: one request, one connection, one answer.

It runs on asyncio and trio. There is no pool, for a pooled connection is a socket that outlives the
code; no redirect is followed, for the credentials would go along; an answer has a limit in bytes
and a deadline. No error holds a URL, a header or anything of an answer: a text is made of a status,
an error's kind and what the system says of it.

**Why h11, on the wire of our own.** aiohttp is asyncio only. httpx and httpcore are built around a
pool; the one logs each URL, query and all, at INFO, the other each header at DEBUG, keys included;
neither bounds an answer, and their errors carry the request. What is left of them without the pool
is h11, which both speak HTTP by and which the WebSocket's handshake is made with: it is strict
about HTTP and does no I/O. Addresses, proxies, TLS and the socket, which can be shut at any moment,
are those of `transports.wire`; the rest is the hundred lines below. Whoever wants more (HTTP/2, a
proxy of another kind, a pool) gives a client of their own: `Client` is all that is asked of it, and
an ``httpx.AsyncClient`` is one as it is.
"""

from __future__ import annotations

import json
import math
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlencode

import anyio
import h11

from ..errors import InvalidValue, QRLifecycleError, ServiceUnavailable, TransportError, WrongAnswer
from ..secrecy import forgetful
from ..transports.wire.address import Address, address_of
from ..transports.wire.handshake import TOO_MUCH, not_http
from ..transports.wire.options import ENVIRONMENT, check_context, check_proxy
from ..transports.wire.proxy import Proxy, proxy_for
from ..transports.wire.reaching import reach
from ..transports.wire.stream import Stream
from ..values import seconds_to_wait

__all__ = ["MAX_ANSWER", "Answer", "Client", "ClientAnswer", "HTTPClient", "http_address", "send"]

MAX_ANSWER = 1_000_000
"""Bytes of the largest answer that is accepted."""


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
        raise ServiceUnavailable(
            f"the answer, HTTP {self.status_code}, is no JSON{self._what_else()}"
        )

    def _what_else(self) -> str:
        """What is there in place of JSON, as far as one can tell."""
        if not self.content:
            return ": it is empty"
        if self.headers.get("content-encoding", "identity") != "identity":
            return ": it is compressed, which was not asked for; what is on the way to the service?"
        if self.content.lstrip().startswith(b"<"):
            return ": it is a web page; does the URL lead to the service itself?"
        return ""

    @property
    def retry_after(self) -> float | None:
        """Seconds that the service asks to wait, if it says so in seconds."""
        return seconds_to_wait(self.headers.get("retry-after", ""))

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


def http_address(url: str, rule: str) -> Address:
    """Take a URL apart.

    Raises:
        InvalidValue: it is none of HTTP; the text is ``rule``, for the URL may hold a token.
    """
    if isinstance(url, str) and url.lower().startswith(("http://", "https://")):
        with suppress(InvalidValue):
            return address_of(url)
    raise InvalidValue(rule)


class HTTPClient:
    """Our own client: a connection for each request, closed with its answer.

    Args:
        ssl_context: how to trust servers; None trusts the system's authorities.
        proxy: an HTTP proxy's URL; None: none; "environment": what the environment names.

    Raises:
        InvalidValue: a proxy that is none.
    """

    __slots__ = ("_proxy", "_ssl")

    @forgetful
    def __init__(
        self, *, ssl_context: ssl.SSLContext | None = None, proxy: str | None = ENVIRONMENT
    ) -> None:
        if proxy is not None and proxy != ENVIRONMENT:
            check_proxy(proxy, "proxy")
        check_context(ssl_context)
        self._ssl = ssl_context
        self._proxy = proxy

    async def request(
        self, method: str, url: str, *, content: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        """Ask once.

        Raises:
            ServiceUnavailable: there is no answer; the text says why.
            InvalidValue: a URL that is none.
            WrongAnswer: a header that cannot be sent, which is the program's.
        """
        address = http_address(url, "a URL must look like http://host/path, or https")
        request = _request_of(method, address, content, headers)
        stream = Stream()
        try:
            proxy = proxy_for(address, self._proxy)
            if proxy is not None and not address.secure:
                request = _by_way_of(proxy, address, request)
            await reach(stream, address, proxy=proxy, ssl_context=self._ssl, tunnel_always=False)
            return await _exchange(stream, request, content or b"", secure=address.secure)
        except (TransportError, h11.RemoteProtocolError, OSError) as error:
            ending = error.ending if isinstance(error, TransportError) else None
            failure = ServiceUnavailable(_explain(error), ending=ending)
        finally:
            stream.abort()
        raise failure


def _request_of(
    method: str, address: Address, content: bytes | None, headers: Mapping[str, str]
) -> h11.Request:
    fields: dict[str, str] = {
        "Host": address.authority,
        "Connection": "close",
        "User-Agent": "qrlifecycle",
        "Accept-Encoding": "identity",
    }
    if address.credentials is not None:
        fields["Authorization"] = address.credentials.decode()
    if content is not None or method not in {"GET", "HEAD"}:
        fields["Content-Length"] = str(len(content or b""))
    own = {name.lower() for name in headers}
    ours = {name: value for name, value in fields.items() if name.lower() not in own}
    every = [*ours.items(), *headers.items()]
    try:
        return h11.Request(method=method, target=address.target, headers=[*map(_encoded, every)])
    except (h11.LocalProtocolError, UnicodeError):
        pass
    raise WrongAnswer("a header has characters that cannot be sent: a space around it, a line end?")


def _encoded(header: tuple[str, str]) -> tuple[bytes, bytes]:
    name, value = header
    return name.encode("ascii"), value.encode("latin-1")


def _by_way_of(proxy: Proxy, address: Address, request: h11.Request) -> h11.Request:
    """The request as a proxy takes it: with the whole address (RFC 9112, section 3.2.2)."""
    headers = list(request.headers)
    if proxy.credentials is not None:
        headers.append((b"Proxy-Authorization", proxy.credentials))
    target = f"http://{address.authority}{address.target}"
    return h11.Request(method=request.method, target=target, headers=headers)


async def _exchange(
    stream: Stream, request: h11.Request, content: bytes, *, secure: bool
) -> Answer:
    """Send the request, and read one answer.

    Raises:
        TransportUnreachable: what answers speaks something else than HTTP.
        RemoteProtocolError: the answer breaks HTTP's rules.
        ServiceUnavailable: it is too large.
        OSError: the connection broke.
    """
    http = h11.Connection(h11.CLIENT)
    sent = [http.send(event) for event in (request, h11.Data(data=content), h11.EndOfMessage())]
    stream.write(b"".join(filter(None, sent)), awaited=True)
    await stream.drain()
    head: h11.Response | None = None
    began, body = b"", bytearray()
    while True:
        event: Any = http.next_event()
        if event is h11.NEED_DATA:
            data = await stream.read()
            if head is None:
                if not data:
                    raise ConnectionResetError
                began = began or data
                if (failure := not_http(began, "the server", secure=secure)) is not None:
                    raise failure
            http.receive_data(data)
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


def _explain(error: Exception) -> str:
    """What to say of an error whose own text may quote the URL."""
    if isinstance(error, TransportError):  # of connecting: it is ours, and quotes nothing
        return str(error)
    if isinstance(error, h11.RemoteProtocolError) and error.error_status_hint == TOO_MUCH:
        return "the server answers with a head of more than 16 kB"
    if isinstance(error, h11.RemoteProtocolError):
        return f"the server's answer is malformed ({type(error).__name__})"
    return "the server closed the connection without an answer"
