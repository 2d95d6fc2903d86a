"""A service that is hostile, or merely odd; and what a program gives that is odd."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import pytest

from qrlifecycle import InvalidValue, PeerError, ServiceRefused, TransportError, UsageError
from qrlifecycle.gateways import GOWA, WAHA, DeviceFlow, EvolutionAPI, Gateway, WPPConnect
from qrlifecycle.gateways.http import Answer
from qrlifecycle.testing.http_server import HTTPServer, Request, Response

from ..patience import patient_clock
from .services import Canned, Toy, json_answer

pytestmark = pytest.mark.anyio

SECRET = "s3cret"

URL = "http://service.example"


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Real sockets, on a clock that waits for them."""
    return patient_clock(request.param)


def endpoints(url: str) -> dict[str, str]:
    """Where a server without discovery is asked."""
    return {"device_endpoint": f"{url}/device", "token_endpoint": f"{url}/token"}


Make = Callable[..., Gateway]


def given(more: Mapping[str, Any], **own: Any) -> dict[str, Any]:
    """What a gateway is made with."""
    return {**own, **more}


EACH: dict[str, Make] = {
    "waha": lambda url, **more: WAHA(url, **given(more, api_key=SECRET, session="bot-7")),
    "evolution": lambda url, **more: EvolutionAPI(
        url, **given(more, api_key=SECRET, instance="bot-7")
    ),
    "wppconnect": lambda url, **more: WPPConnect(url, **given(more, token=SECRET, session="bot-7")),
    "gowa": lambda url, **more: GOWA(
        url, **given(more, username="u", password=SECRET, device="bot-7")
    ),
    "device-flow": lambda url, **more: DeviceFlow(
        url, **given(more, client_id="tv", client_secret=SECRET, **endpoints(url))
    ),
}
"""A gateway for each service, at a URL."""

each_gateway = pytest.mark.parametrize("make", EACH.values(), ids=EACH)


# A redirect


@each_gateway
@pytest.mark.parametrize("status", [301, 307])
async def test_promise_6_no_key_follows_a_redirect(make: Make, status: int) -> None:
    """Nobody connects to the other host, neither to ask nor to listen; the error says so."""

    async def redirect(_request: Request) -> Response:
        return Response(status=status, headers={"Location": f"{other.url}/taken"})

    async def take(_request: Request) -> Response:
        return Response({"status": "WORKING"})

    async with HTTPServer(take) as other, HTTPServer(redirect) as server:
        gateway = make(server.url)
        with pytest.raises(ServiceRefused, match=f"HTTP {status}: it redirects.*correct the URL"):
            await gateway.request_qr()
        with suppress(PeerError):
            await gateway.check_status()
        transport = gateway.transport()
        with suppress(TransportError):
            await transport.open()
        await transport.aclose()
        assert server.connections > 0
        assert other.connections == 0


# Wrong answers


@pytest.mark.parametrize(
    "uri", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "service.example", ""]
)
@pytest.mark.parametrize("field", ["verification_uri", "verification_uri_complete"])
async def test_promise_7_a_person_is_sent_to_pages_only(uri: str, field: str) -> None:
    """A screen may make a link of the address; one with another scheme may be a script."""
    body = {
        "device_code": "d",
        "user_code": "ABCD",
        "verification_uri": f"{URL}/device",
        "verification_uri_complete": f"{URL}/device?ABCD",
        field: uri,
    }
    gateway = EACH["device-flow"](URL, http=Canned(json_answer(json.dumps(body))))
    with pytest.raises(PeerError, match=f"'{field}' must be") as raised:
        await gateway.request_qr()
    assert "javascript" not in str(raised.value)


async def test_promise_6_a_token_that_is_made_up_goes_into_no_header() -> None:
    """What the service gives as a token could end the header, and begin another."""
    client = Canned(json_answer('{"token": "a\\r\\nX-Other: b"}', 201))
    gateway = WPPConnect(URL, session="bot-7", secret_key=SECRET, http=client)
    with pytest.raises(PeerError, match="'token' has characters that none has: a line end"):
        await gateway.request_qr()
    assert len(client.asked) == 1


async def test_a_refusal_that_no_service_knows_of_says_where_to_look() -> None:
    """There is no advice on HTTP 418."""
    with pytest.raises(ServiceRefused, match=r"HTTP 418: .* its own log says why"):
        await Toy(Canned(json_answer("{}", 418))).request_qr()


async def test_a_service_that_asks_to_wait_is_told_of() -> None:
    """Its seconds are in the error, for the lifecycle to wait, and in its words."""
    client = Canned(Answer(429, b"", {"retry-after": "7"}))
    with pytest.raises(PeerError, match="HTTP 429, and asks to wait 7 s") as raised:
        await Toy(client).request_qr()
    assert raised.value.retry_after == 7  # type: ignore[attr-defined]


# What a program gives


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "must look like"),
        (None, "must look like"),
        ("service.example", "must look like"),
        ("ftp://service.example", "must look like"),
        ("http://[::1", "must look like"),
        ("http://service.example:99999", "must look like"),
        ("http://service.example\n", "must look like"),
        (
            f"http://service.example/dashboard/#/{SECRET}",
            "must end with its path: no '?...', no '#",
        ),
        (f"http://service.example?key={SECRET}", "must end with its path: no '?...', no '#"),
        (f"http://{SECRET}@service.example", "must hold no user and no password"),
    ],
)
@each_gateway
def test_promise_6_a_url_that_cannot_be_meant_is_not_repeated(
    make: Make, url: Any, said: str
) -> None:
    """It is said what is wrong with it."""
    with pytest.raises(InvalidValue) as raised:
        make(url, **({} if make is not EACH["device-flow"] else endpoints(URL)))
    assert said in str(raised.value)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("HTTP://Service.Example/Base/", "http://service.example/Base"),
        ("http://[::1]:8080/base", "http://[::1]:8080/base"),
        ("https://ümlaut.example/ü", "https://xn--mlaut-jva.example/%C3%BC"),
    ],
)
@each_gateway
def test_a_url_may_be_odd(make: Make, url: str, place: str) -> None:
    """Capitals, an IPv6 address, another script, a path before the service's own."""
    assert make(url).place == place


async def test_a_service_at_an_ipv6_address_and_below_a_path_is_asked_there() -> None:
    """Whatever is in front of the path stays there."""

    async def answer(request: Request) -> Response:
        found.append(request.path)
        return Response({"status": "SCAN_QR_CODE", "value": "2@x"})

    found: list[str] = []
    try:
        server = await HTTPServer(answer, host="::1").__aenter__()
    except OSError:
        pytest.skip("this machine has no IPv6")
    try:
        await WAHA(f"{server.url}/behind/proxy/", session="bot-7").request_qr()
    finally:
        await server.__aexit__(None, None, None)
    assert found[0] == "/behind/proxy/api/sessions/bot-7"


ACCOUNTS = ["a/b", "a?b=c", "a#b", "a b", "%2e%2e", "ü", "\N{SNOWMAN}", "a&b=c", "...", "x" * 500]


@pytest.mark.parametrize("account", ACCOUNTS)
@pytest.mark.parametrize(
    ("name", "argument"), [("waha", "session"), ("wppconnect", "session"), ("gowa", "device")]
)
async def test_an_account_is_one_segment_whatever_it_is_called(
    name: str, argument: str, account: str
) -> None:
    """Or one value of the query: as it was given, and it changes nothing beside it."""

    async def answer(request: Request) -> Response:
        requests.append(request)
        return Response({"status": "STARTING", "results": {}})

    requests: list[Request] = []
    async with HTTPServer(answer) as server:
        with suppress(PeerError):
            await EACH[name](server.url, **{argument: account}).check_status()
    first = requests[0]
    asked = {
        "waha": ["api", "sessions", account],
        "wppconnect": ["api", account, "status-session"],
        "gowa": ["app", "status"],
    }
    assert first.segments == asked[name]
    assert first.query == ({"device_id": account} if name == "gowa" else {})


@pytest.mark.parametrize(
    ("account", "said"),
    [
        ("", "text that is not empty"),
        (None, "text that is not empty, not NoneType"),
        (7, "text that is not empty, not int"),
        (".", "must not be '.' or '..'"),
        ("..", "must not be '.' or '..'"),
        ("a\nb", "has characters that no name has"),
        ("\0", "has characters that no name has"),
        ("\x85", "has characters that no name has"),
        ("\ud800", "has characters that no name has"),
    ],
)
@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("waha", "session"),
        ("evolution", "instance"),
        ("wppconnect", "session"),
        ("gowa", "device"),
        ("device-flow", "client_id"),
    ],
)
def test_an_account_that_would_lead_elsewhere_is_refused(
    name: str, argument: str, account: Any, said: str
) -> None:
    """Before anything is asked: a proxy makes ``/api/sessions/../start`` another question."""
    with pytest.raises(InvalidValue, match=said):
        EACH[name](URL, **{argument: account})


async def test_a_segment_that_would_lead_elsewhere_is_the_programs_mistake() -> None:
    """Of a gateway of its own, too."""
    client = Canned(json_answer("{}"))
    for segment in (".", ".."):
        with pytest.raises(UsageError, match=r"a segment of a path is '\.' or '\.\.'"):
            await Toy(client).fetch("GET", "users", segment)
    await Toy(client).fetch("GET", "users", "...")
    assert len(client.asked) == 1


IN_HEADERS = [("waha", "api_key"), ("evolution", "api_key"), ("wppconnect", "token")]

ELSEWHERE = [("gowa", "password"), ("device-flow", "client_secret")]

TROUBLES = [
    (" k3y", "begins or ends with a space"),
    ("k3y ", "begins or ends with a space"),
    ("\N{SNOWMAN}", "has characters that no HTTP header can have"),
    ("\u0100", "has characters that no HTTP header can have"),
]


@pytest.mark.parametrize(("key", "said"), TROUBLES)
@pytest.mark.parametrize(("name", "argument"), IN_HEADERS)
async def test_promise_6_a_key_that_no_header_can_have_is_a_mistake(
    name: str, argument: str, key: str, said: str
) -> None:
    """It is named at once, or when a function gives it; it is no answer of the service's."""
    with pytest.raises(InvalidValue, match=f"^{argument} {said}") as raised:
        EACH[name](URL, **{argument: key})
    assert key not in str(raised.value)

    async def give() -> str:
        return key

    client = Canned(json_answer("{}"))
    gateway = EACH[name](URL, http=client, **{argument: give})
    with pytest.raises(UsageError, match=f"what a credential's function gave back {said}"):
        await gateway.request_qr()
    with pytest.raises(UsageError, match=f"what a credential's function gave back {said}"):
        await gateway.check_status()
    assert client.asked == []


@pytest.mark.parametrize("key", ["\xff", "a b", "x" * 2000])
@pytest.mark.parametrize(("name", "argument"), IN_HEADERS)
def test_what_a_header_can_have_may_be_a_key(name: str, argument: str, key: str) -> None:
    """Latin-1, a space within, any length."""
    EACH[name](URL, **{argument: key})


@pytest.mark.parametrize("key", [" key ", "\N{SNOWMAN}"])
@pytest.mark.parametrize(("name", "argument"), [*ELSEWHERE, ("wppconnect", "secret_key")])
def test_what_is_encoded_may_be_anything_that_can_be_written(
    name: str, argument: str, key: str
) -> None:
    """HTTP's Basic, a form, a segment of a path."""
    EACH[name](URL, **{"token": None, argument: key} if name == "wppconnect" else {argument: key})


@pytest.mark.parametrize("username", ["", "a:b", "a\nb", 7, b"u", "\ud800"])
def test_a_username_that_is_none_is_refused(username: Any) -> None:
    """HTTP's Basic puts a colon behind it."""
    with pytest.raises(InvalidValue, match="username must be text that is not empty"):
        EACH["gowa"](URL, username=username)
