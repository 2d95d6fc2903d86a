"""HTTP: one request, one connection, one answer; and no secret in what goes wrong."""

from __future__ import annotations

import io
import logging
import math
import re
import socket
import ssl
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
import pytest
import trustme
from anyio.abc import SocketListener

from qrlifecycle import InvalidValue, ServiceUnavailable
from qrlifecycle.errors import Ending, WrongAnswer
from qrlifecycle.gateways.http import MAX_ANSWER, Answer, HTTPClient, send
from qrlifecycle.testing import cancel_everywhere
from qrlifecycle.testing.http_server import HTTPServer, Request, Response
from qrlifecycle.testing.leaks import CAN_SEE_SOCKETS

from ..patience import patient_clock
from ..sockets import client_sockets, needs_proc

pytestmark = pytest.mark.anyio

SECRET = "s3cret"


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Real sockets, on a clock that waits for them."""
    return patient_clock(request.param)


def answering(*answers: Response | bytes | None) -> Callable[[Request], Awaitable[Any]]:
    """What answers one request after another, the last for ever."""
    left = list(answers)

    async def answer(_request: Request) -> Response | bytes | None:
        return left.pop(0) if len(left) > 1 else left[0]

    return answer


async def listener() -> tuple[SocketListener, int]:
    """One on loopback, and its port; made without a thread, which a patient clock does not see."""
    made = socket.create_server(("127.0.0.1", 0))
    return await SocketListener.from_socket(made), made.getsockname()[1]


@pytest.fixture
def no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """No name is known. The system would be asked in a thread."""

    async def find_nothing(*_arguments: Any, **_options: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(anyio, "getaddrinfo", find_nothing)


async def ask(url: str, **options: Any) -> Answer:
    """One request, with secrets wherever there may be one."""
    client = HTTPClient(ssl_context=options.pop("ssl_context", None))
    return await send(
        client,
        "POST",
        f"{url}/{SECRET}?k={SECRET}",
        json_body={"key": SECRET},
        headers={"Authorization": SECRET},
        **options,
    )


async def failure(url: str, **options: Any) -> str:
    """The text of the error that a request ends by; with all its frames, it holds no secret."""
    with pytest.raises(ServiceUnavailable) as raised:
        await ask(url, **options)
    error = raised.value
    assert error.__context__ is None
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_name != "send":
        trace = trace.tb_next
    assert trace is not None
    lines = traceback.TracebackException(type(error), error, trace, capture_locals=True).format()
    assert SECRET not in "".join(lines)
    return str(error)


async def test_a_port_that_is_taken_is_refused() -> None:
    """Also where another of these servers has it: each would get some of what is asked."""
    async with HTTPServer(answering(Response())) as server:
        with pytest.raises(OSError, match="in use"):
            async with HTTPServer(answering(Response()), port=server.port):
                pass


async def test_a_request_says_what_it_is_told_to() -> None:
    """Method, path, query, body and headers arrive; the connection is for this request alone."""
    async with HTTPServer(answering(Response({"a": 1}))) as server:
        answer = await send(
            HTTPClient(),
            "PUT",
            f"{server.url}/base/x%2Fy?a=1",
            params={"b": "ü&"},
            form={"c": "1 2", "d": ""},
            headers={"X-Key": "k"},
        )
        (request,) = server.requests
    assert (answer.status_code, answer.json_object()) == (200, {"a": 1})
    assert (request.method, request.path) == ("PUT", "/base/x%2Fy")
    assert request.segments == ["base", "x/y"]
    assert request.query == {"a": "1", "b": "ü&"}
    assert request.form == {"c": "1 2", "d": ""}
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.headers["x-key"] == "k"
    assert request.headers["connection"] == "close"
    assert request.headers["accept-encoding"] == "identity"  # nothing that could be a bomb
    assert request.headers["host"] == f"127.0.0.1:{server.port}"


async def test_user_and_password_in_a_url_are_http_basic() -> None:
    """They are sent as a header; one that is given counts more, whatever its case."""
    async with HTTPServer(answering(Response())) as server:
        url = server.url.replace("//", "//me:p%40ss@")
        await send(HTTPClient(), "GET", url)
        await send(HTTPClient(), "GET", url, headers={"AUTHORIZATION": "mine"})
        sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Basic bWU6cEBzcw==", "mine"]


@needs_proc
async def test_promise_8_nothing_is_left_of_an_answered_request() -> None:
    """No socket leads to the server when the answer is there: there is no pool."""
    async with HTTPServer(answering(Response({"a": 1}))) as server:
        for _ in range(3):
            await ask(server.url)
            assert client_sockets(server.port) == 0
        assert server.connections == 3


async def test_a_redirect_is_not_followed() -> None:
    """It is an answer like any other: the credentials do not go along."""
    moved = Response(b"", 302, {"Location": "/elsewhere"})
    async with HTTPServer(answering(moved)) as server:
        answer = await ask(server.url)
        assert (answer.status_code, answer.headers["location"]) == (302, "/elsewhere")
        assert len(server.requests) == 1


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("raw", "content"),
    [
        (CHUNKED, b"abcde"),
        (HEAD + b"\r\nabc", b"abc"),
        (b"HTTP/1.0 200 OK\r\n\r\nabc", b"abc"),
        (HEAD + b"content-length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + CHUNKED, b"abcde"),
    ],
    ids=["chunked", "until the end", "HTTP/1.0", "empty", "no content", "early hints"],
)
async def test_each_way_to_frame_an_answer_is_read(raw: bytes, content: bytes) -> None:
    """Chunks, a length, or the end of the connection."""
    async with HTTPServer(answering(raw)) as server:
        assert (await ask(server.url)).content == content


TOO_LARGE = "the server's answer is larger than 1,000,000 bytes"
CLOSED = "the server closed the connection without an answer"
MALFORMED = "the server's answer is malformed (RemoteProtocolError)"
LARGE_HEAD = "the server answers with a head of more than 16 kB"
ALERT = b"\x15\x03\x03\x00\x02\x02\x46"
"""What a server of TLS says to HTTP."""


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (None, CLOSED),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "the server does not speak HTTP"),
        (ALERT, "the server speaks TLS there; is it https or wss?"),
        (HEAD[:10], CLOSED),
        (HEAD + b"content-length: 4\r\n\r\nabc", MALFORMED),
        (HEAD + b"content-length: x\r\n\r\nabc", MALFORMED),
        (CHUNKED[:-5], MALFORMED),
        (b"HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n", MALFORMED),
        (HEAD + b"x: " + b"y" * 100_000 + b"\r\n\r\n", LARGE_HEAD),
        (
            HEAD + b"content-length: 2000000\r\n\r\n" + b" " * 2_000_000,
            TOO_LARGE,
        ),
    ],
    ids=[
        "closed",
        "ssh",
        "tls",
        "cut-head",
        "cut",
        "length",
        "cut-chunks",
        "switch",
        "headers",
        "large",
    ],
)
async def test_promise_6_an_answer_that_is_none_is_one_error(raw: bytes | None, text: str) -> None:
    """Its text says what is wrong; it holds neither URL, header nor body, in no frame either."""
    async with HTTPServer(answering(raw)) as server:
        assert await failure(server.url) == text


async def test_promise_7_an_answer_without_end_is_read_no_further_than_the_limit() -> None:
    """Memory is bounded, whatever the server sends."""
    sent = 0

    async def babble(stream: Any) -> None:
        nonlocal sent
        async with stream:
            await stream.receive()
            await stream.send(HEAD + b"\r\n")
            with suppress(anyio.BrokenResourceError):
                while sent < 100 * MAX_ANSWER:
                    await stream.send(b" " * 65536)
                    sent += 65536

    made, port = await listener()
    async with made, anyio.create_task_group() as tasks:
        tasks.start_soon(made.serve, babble)
        assert await failure(f"http://127.0.0.1:{port}") == TOO_LARGE
        tasks.cancel_scope.cancel()
    assert sent < 20 * MAX_ANSWER


@pytest.mark.usefixtures("no_names")
async def test_nobody_is_there() -> None:
    """The system's word is passed on, for it holds nothing of the request."""
    async with HTTPServer(answering(None)) as server:
        url = server.url
    where = url.removeprefix("http://")
    assert await failure(url) == f"cannot connect to the server {where}: connection refused"
    assert (await failure("http://no-such-host.invalid")).startswith("no address is known for ")


@pytest.mark.usefixtures("no_names")
async def test_a_program_can_tell_how_no_connection_came_about() -> None:
    """By the error's `ending`, as of a transport; there is none where somebody answered badly."""
    endings: list[Ending | None] = []
    async with HTTPServer(answering(None)) as server:
        gone = server.url
    async with HTTPServer(answering(ALERT)) as tls, HTTPServer(answering(CHUNKED[:-5])) as cut:
        for url in (gone, "http://no-such-host.invalid", tls.url, cut.url):
            with pytest.raises(ServiceUnavailable) as raised:
                await ask(url)
            endings.append(raised.value.ending)
    assert endings == [Ending.NOT_CONNECTED, Ending.NAME_NOT_FOUND, Ending.ANOTHER_PROTOCOL, None]


async def test_a_deadline_ends_a_request() -> None:
    """A server that is frozen is given up after the time that was given."""
    async with HTTPServer(answering(Response())) as server:
        server.freeze()
        began = anyio.current_time()
        assert await failure(server.url, timeout=7.0) == "no answer within 7 s"
        assert 7 <= anyio.current_time() - began < 8
        server.thaw()


async def test_a_cancelled_request_leaves_nothing() -> None:
    """Whoever is cancelled has closed the connection."""
    async with HTTPServer(answering(Response())) as server:
        server.freeze()
        with anyio.move_on_after(1):
            await ask(server.url, timeout=math.inf)
        if CAN_SEE_SOCKETS:
            assert client_sockets(server.port) == 0
        server.thaw()


async def test_an_answer_before_the_request_was_read_counts() -> None:
    """A server may refuse a large body from its head."""
    made, port = await listener()

    async def refuse(stream: Any) -> None:
        async with stream:
            await stream.send(b"HTTP/1.1 413 No\r\ncontent-length: 0\r\n\r\n")
            with anyio.move_on_after(1):
                while True:
                    await stream.receive()

    async with made, anyio.create_task_group() as tasks:
        tasks.start_soon(made.serve, refuse)
        answer = await send(
            HTTPClient(), "POST", f"http://127.0.0.1:{port}/", form={"a": "b" * 100_000}
        )
        assert answer.status_code == 413
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("url", ["ftp://h", "http://", "h", "http://h:0", "http://[", "", 7])
async def test_a_url_that_is_none_is_a_mistake(url: Any) -> None:
    """It is refused before anything is opened, and not quoted."""
    with pytest.raises(InvalidValue, match="must look like"):
        await HTTPClient().request("GET", url, content=None, headers={})


@pytest.mark.parametrize("value", ["a\nb", "a\r\nX: y", "\N{SNOWMAN}", "\0", " k", "k "])
async def test_a_header_that_cannot_be_sent_is_a_mistake(value: str) -> None:
    """It is neither sent in parts nor quoted."""
    with pytest.raises(WrongAnswer, match="cannot be sent") as raised:
        await HTTPClient().request("GET", "http://h", content=None, headers={"K": value})
    assert value not in str(raised.value)
    assert raised.value.__context__ is None


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority that only the tests trust."""
    return trustme.CA()


def server_context(authority: trustme.CA, name: str) -> ssl.SSLContext:
    """A server's certificate of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """A context that trusts it."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_tls_with_the_callers_context(authority: trustme.CA) -> None:
    """It is spoken with whom the context trusts."""
    tls = server_context(authority, "127.0.0.1")
    async with HTTPServer(answering(Response({"a": 1})), tls=tls) as server:
        answer = await ask(server.url, ssl_context=trusting(authority))
        assert answer.json() == {"a": 1}


async def test_tls_with_somebody_else(authority: trustme.CA) -> None:
    """An unknown authority, another host's certificate, and no TLS at all are told apart."""
    for name, context in [("127.0.0.1", None), ("example.org", trusting(authority))]:
        tls = server_context(authority, name)
        async with HTTPServer(answering(Response()), tls=tls) as server:
            text = await failure(server.url, ssl_context=context)
            assert text.startswith(f"the certificate that 127.0.0.1:{server.port} shows is not")
            assert server.requests == []
    async with HTTPServer(answering(Response())) as server:
        url = server.url.replace("http:", "https:")
        assert (await failure(url)).endswith("it does not speak TLS; is it http or ws?")


# A client of the program's own


class Client:
    """A client as a program may have one: like httpx's."""

    def __init__(self, answer: Any) -> None:
        self.asked: list[Any] = []
        self._answer = answer

    async def request(self, method: str, url: str, **content: Any) -> Any:
        """Note what is asked for."""
        self.asked.append((method, url, content))
        if isinstance(self._answer, Exception):
            raise self._answer
        if self._answer is None:
            await anyio.sleep_forever()
        return self._answer


async def test_a_client_of_ones_own_is_asked() -> None:
    """It is given the whole request; names of headers come in whatever case."""
    client = Client(Answer(200, b"{}", {"Retry-After": "7"}))
    answer = await send(client, "POST", "http://h/x?a=1", params={"b": "2"}, json_body={"c": 3})
    assert answer == Answer(200, b"{}", {"retry-after": "7"})
    assert client.asked == [
        (
            "POST",
            "http://h/x?a=1&b=2",
            {
                "content": b'{"c":3}',
                "headers": {"Accept": "application/json", "Content-Type": "application/json"},
            },
        )
    ]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (RuntimeError(SECRET), "no answer (RuntimeError)"),
        (OSError(SECRET), "no answer (OSError)"),
        (object(), "no answer (AttributeError)"),
        (
            Answer(200, b"x" * (MAX_ANSWER + 1)),
            "the server's answer is larger than 1,000,000 bytes",
        ),
        (None, "no answer within 5 s"),
    ],
    ids=["error", "system's", "no answer", "large", "silent"],
)
async def test_whatever_a_client_of_ones_own_does_is_one_error(answer: Any, text: str) -> None:
    """Its own error may hold the URL: only its kind is told. The same limit and deadline hold."""
    with pytest.raises(ServiceUnavailable) as raised:
        await send(Client(answer), "GET", f"http://h/?k={SECRET}", timeout=5)
    assert str(raised.value) == text
    assert raised.value.__context__ is None


async def test_promise_6_what_is_behind_an_error_of_a_client_is_forgotten() -> None:
    """One of ours goes on, and the client's own, which may hold the URL, does not."""
    error = ServiceUnavailable("not now")
    error.__context__ = OSError(SECRET)
    with pytest.raises(ServiceUnavailable, match="not now") as raised:
        await send(Client(error), "GET", "http://h/")
    assert raised.value.__context__ is None


async def test_promise_6_no_logger_hears_of_a_request(caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG of every logger there is no URL, no header and no body."""
    caplog.set_level(logging.DEBUG)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    try:
        async with HTTPServer(answering(Response({"key": SECRET}))) as server:
            await ask(server.url)
    finally:
        logging.getLogger().removeHandler(handler)
    assert SECRET not in stream.getvalue()


async def test_an_answer_shows_nothing_of_itself() -> None:
    """Body and headers may hold secrets; what is no JSON, or no object, is the service's fault."""
    answer = Answer(200, SECRET.encode(), {"k": SECRET})
    assert SECRET not in repr(answer)
    for content in (SECRET.encode(), b"[" * 100_000, b"\xff"):
        with pytest.raises(ServiceUnavailable, match=r"HTTP 200, is no JSON$"):
            Answer(200, content).json()
    with pytest.raises(ServiceUnavailable, match=r"is no JSON object$"):
        Answer(502, b"[]").json_object()


GZIP = {"content-encoding": "gzip"}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(204, b""), "HTTP 204, is no JSON: it is empty"),
        (Answer(200, b" \n<!doctype html>"), "is no JSON: it is a web page; does the URL lead to "),
        (
            Answer(200, b"\x1f\x8b\x08", GZIP),
            "is no JSON: it is compressed, which was not asked for",
        ),
    ],
)
def test_what_is_there_in_place_of_json_is_said(answer: Answer, said: str) -> None:
    """Nothing, a page of a dashboard or a proxy, what was compressed on the way."""
    with pytest.raises(ServiceUnavailable, match=re.escape(said)):
        answer.json_object()


def test_what_a_client_has_decompressed_is_read() -> None:
    """The header says how it came."""
    assert Answer(200, b'{"a": 1}', GZIP).json_object() == {"a": 1}


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), (" 120 ", 120), ("0", 0), ("86401", None), ("-1", None), ("1.5", None), ("", None)],
)
def test_what_a_service_asks_to_wait(header: str, seconds: float | None) -> None:
    """In seconds; a date is no wait that anybody waits for here."""
    assert Answer(429, b"", {"retry-after": header}).retry_after == seconds
    date = "Wed, 21 Oct 2037 07:28:00 GMT"
    assert Answer(429, b"", {"retry-after": date}).retry_after is Answer(429, b"").retry_after


# Proxies


async def test_a_plain_request_goes_through_a_proxy_with_its_whole_address() -> None:
    """No tunnel is asked for, which many proxies make to port 443 only."""
    async with HTTPServer(answering(Response({"a": 1}))) as proxy:
        client = HTTPClient(proxy=proxy.url.replace("//", "//me:pass@"))
        answer = await send(client, "GET", "http://bots.example/x?a=1")
        (request,) = proxy.requests
    assert answer.json() == {"a": 1}
    assert (request.method, request.path, request.query) == ("GET", "/x", {"a": "1"})
    assert request.headers["host"] == "bots.example"
    assert request.headers["proxy-authorization"] == "Basic bWU6cGFzcw=="


async def test_tls_goes_through_a_tunnel_that_the_proxy_makes(authority: trustme.CA) -> None:
    """The proxy sees where it leads, and nothing else."""
    asked: list[bytes] = []
    answer: Answer | None = None
    async with HTTPServer(
        answering(Response({"a": 1})), tls=server_context(authority, "bots.example")
    ) as server:

        async def pass_on(stream: Any) -> None:
            async with stream:
                asked.append(await stream.receive())
                await stream.send(b"HTTP/1.1 200 OK\r\n\r\n")
                other = await anyio.connect_tcp("127.0.0.1", server.port)
                async with other, anyio.create_task_group() as both:
                    both.start_soon(pump, stream, other)
                    await pump(other, stream)
                    both.cancel_scope.cancel()

        made, port = await listener()
        async with made, anyio.create_task_group() as tasks:
            tasks.start_soon(made.serve, pass_on)
            client = HTTPClient(ssl_context=trusting(authority), proxy=f"http://127.0.0.1:{port}")
            answer = await send(client, "GET", f"https://bots.example/{SECRET}")
            tasks.cancel_scope.cancel()
    assert answer is not None
    assert answer.json() == {"a": 1}
    assert asked[0].startswith(b"CONNECT bots.example:443 HTTP/1.1\r\n")
    assert SECRET.encode() not in asked[0]


async def pump(source: Any, target: Any) -> None:
    """Pass on what comes."""
    with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
        while True:
            await target.send(await source.receive())


@pytest.mark.usefixtures("no_names")
async def test_the_environments_proxy_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless none is to be; and none is for this very machine."""
    async with HTTPServer(answering(Response({"a": 1}))) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert (await send(HTTPClient(), "GET", "http://bots.example/")).json() == {"a": 1}
        assert (await send(HTTPClient(), "GET", proxy.url)).json() == {"a": 1}
        assert [request.headers["host"] for request in proxy.requests] == [
            "bots.example",
            f"127.0.0.1:{proxy.port}",
        ]
        with pytest.raises(ServiceUnavailable, match="no address is known"):
            await send(HTTPClient(proxy=None), "GET", "http://bots.invalid/")
    with pytest.raises(InvalidValue, match="proxy must look like"):
        HTTPClient(proxy="socks5://h:1")


@pytest.mark.parametrize(
    ("backend", "how"), [("asyncio", "scope"), ("asyncio", "native"), ("trio", "scope")]
)
def test_promise_5_a_cancellation_at_any_step_leaves_nothing(backend: str, how: Any) -> None:
    """No socket, and the cancellation goes on."""

    async def attempt(server: HTTPServer) -> None:
        await ask(server.url)

    def within() -> HTTPServer:
        return HTTPServer(answering(CHUNKED))

    report = cancel_everywhere(attempt, within=within, backend=backend, how=how)
    assert report.steps >= 3
