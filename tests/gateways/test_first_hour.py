"""What a newcomer gets wrong in the first hour: each is told by name, and what to do."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from qrlifecycle import Failed, PeerError, Reason, UsageError
from qrlifecycle.cli import main
from qrlifecycle.gateways import GOWA, WAHA, DeviceFlow, EvolutionAPI, Gateway, WPPConnect
from qrlifecycle.gateways.base import Reaching
from qrlifecycle.gateways.http import Answer
from qrlifecycle.testing.gateways import WAHAEmulator

from ..patience import patient_clock
from .services import Canned, json_answer

URL = "http://service.example"

SECRET = "s3cret"


# Misspelt


@pytest.mark.parametrize(
    ("kind", "given", "word", "meant"),
    [
        (WAHA, {"key": SECRET}, "key", "api_key"),
        (WAHA, {"api_key": SECRET, "sesion": "a"}, "sesion", "session"),
        (WAHA, {"time_out": 3}, "time_out", "timeout"),
        (EvolutionAPI, {"apikey": SECRET, "instance": "a"}, "apikey", "api_key"),
        (EvolutionAPI, {"api_key": SECRET, "instanse": "a"}, "instanse", "instance"),
        (WPPConnect, {"sesion": "a", "token": SECRET}, "sesion", "session"),
        (WPPConnect, {"session": "a", "secret": SECRET}, "secret", "secret_key"),
        (GOWA, {"device_id": "a"}, "device_id", "device"),
        (GOWA, {"device": "a", "user": "u", "password": SECRET}, "user", "username"),
        (DeviceFlow, {"client": "tv"}, "client", "client_id"),
        (DeviceFlow, {"client_id": "tv", "proxies": None}, "proxies", "proxy"),
    ],
)
def test_promise_6_a_misspelt_argument_is_named(
    kind: Any, given: dict[str, Any], word: str, meant: str
) -> None:
    """Also where another is missing because of it; it is Python's kind of error, and ours."""
    with pytest.raises(UsageError, match=f"{kind.__name__} takes no argument '{word}'") as raised:
        kind(URL, **given)
    assert f"did you mean '{meant}'?" in str(raised.value)
    assert isinstance(raised.value, TypeError)
    assert SECRET not in str(raised.value)


def test_an_argument_like_none_there_is_is_answered_with_those_there_are() -> None:
    """All of them; what is only missing is said in Python's words."""
    with pytest.raises(UsageError, match=r"takes no argument 'x'; it takes: api_key, .*timeout"):
        WAHA(URL, x=1)  # type: ignore[call-arg]
    with pytest.raises(UsageError, match=r"'session'; it takes: [^,]*, http, [^']*") as raised:
        GOWA(URL, session="a")  # type: ignore[call-arg]
    assert "self" not in str(raised.value)
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'instance'"):
        EvolutionAPI(URL, api_key=SECRET)  # type: ignore[call-arg]


def test_a_gateway_of_ones_own_may_take_what_it_likes() -> None:
    """What its constructor takes out of its options for itself is not misspelt."""

    class Own(WAHA):
        def __init__(self, url: str, *, colour: str, **options: Any) -> None:
            self.colour, self.size = colour, options.pop("size")
            super().__init__(url, **options)

    assert Own(URL, colour="red", size=3, session="a").account == "a"
    with pytest.raises(TypeError, match="'colour'"):
        Own(URL, size=3)  # type: ignore[call-arg]
    with pytest.raises(UsageError, match="Own takes no argument 'colours'; did you mean 'colour'"):
        Own(URL, colour="red", size=3, colours=4)


def test_how_a_service_is_reached_is_taken_by_each() -> None:
    """Each of these names, and no other."""
    for name in Reaching.__annotations__:
        given: Any = {name: 3.0 if name == "timeout" else None}
        assert WAHA(URL, **given).account == "default"


# A password in the URL


@pytest.mark.parametrize("url", [f"http://{SECRET}@service.example", f"https://a:{SECRET}@s:1/p"])
def test_promise_6_a_password_in_the_url_is_refused_as_a_query_is(url: str) -> None:
    """The key was put in the wrong place: it would be sent as something else."""
    with pytest.raises(UsageError, match="must hold no user and no password") as raised:
        WAHA(url)
    assert SECRET not in str(raised.value)


# What the service answered, and what to do


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Nothing is waited for."""
    return patient_clock(request.param)


NO_SESSION = json_answer(f'{{"statusCode": 404, "message": "{SECRET}", "error": "Not Found"}}', 404)
NO_DEVICE = json_answer(f'{{"code": "DEVICE_NOT_FOUND", "message": "{SECRET}"}}', 404)
NO_KEY = json_answer(f'{{"statusCode": 401, "message": "{SECRET}"}}', 401)
PAGE = Answer(404, b"s3cret")
NO_CLIENT = json_answer('{"error": "invalid_client", "error_description": "s3cret"}', 401)
ENDPOINTS: Any = {"device_endpoint": f"{URL}/device", "token_endpoint": f"{URL}/token"}
REFUSED, TURNED_AWAY = Reason.REFUSED_BY_SERVICE, Reason.AUTHENTICATION_REFUSED

Make = Callable[[Any], Gateway]

ANSWERED: list[tuple[str, Make, Answer, Reason, str]] = [
    (
        "waha, no session",
        lambda http: WAHA(URL, session="nope", http=http),
        NO_SESSION,
        REFUSED,
        f"HTTP 404: there is no session 'nope' at {URL}; create it first, if its URL does lead to",
    ),
    (
        "waha, /api",
        lambda http: WAHA(f"{URL}/api", http=http),
        NO_SESSION,
        REFUSED,
        f"HTTP 404: there is no session 'default' at {URL}/api; its URL ends before /api",
    ),
    (
        "waha, its dashboard",
        lambda http: WAHA(f"{URL}/dashboard", http=http),
        NO_SESSION,
        REFUSED,
        f"no session 'default' at {URL}/dashboard; create it first, if its URL does end in /dash",
    ),
    (
        "waha, a page",
        lambda http: WAHA(URL, session="nope", http=http),
        PAGE,
        REFUSED,
        f"HTTP 404: there is no session 'nope' at {URL}; create it first",
    ),
    (
        "waha, no key",
        lambda http: WAHA(URL, http=http),
        NO_KEY,
        TURNED_AWAY,
        "HTTP 401: no api_key was given; give api_key= (on the command line, QRLIFECYCLE_API_KEY",
    ),
    (
        "waha, a wrong key",
        lambda http: WAHA(URL, api_key=SECRET, http=http),
        NO_KEY,
        TURNED_AWAY,
        "HTTP 401: the api_key is not accepted",
    ),
    (
        "evolution, no instance",
        lambda http: EvolutionAPI(URL, api_key=SECRET, instance="nope", http=http),
        PAGE,
        REFUSED,
        f"HTTP 404: there is no instance 'nope' at {URL}; create it first",
    ),
    (
        "evolution, a wrong key",
        lambda http: EvolutionAPI(URL, api_key=SECRET, instance="bot-7", http=http),
        NO_KEY,
        TURNED_AWAY,
        "HTTP 401: the api_key is not accepted",
    ),
    (
        "wppconnect, a wrong token",
        lambda http: WPPConnect(URL, session="bot-7", token=SECRET, http=http),
        NO_KEY,
        TURNED_AWAY,
        f"not accepted for 'bot-7'; each session has its own token, and {URL} must lead to wppc",
    ),
    (
        "wppconnect, another server",
        lambda http: WPPConnect(URL, session="bot-7", token=SECRET, http=http),
        PAGE,
        REFUSED,
        f"HTTP 404: is {URL} the server's URL?",
    ),
    (
        "gowa, no device",
        lambda http: GOWA(URL, device="nope", http=http),
        NO_DEVICE,
        REFUSED,
        f"HTTP 404: there is no device 'nope' at {URL}; create it first",
    ),
    (
        "gowa, another path",
        lambda http: GOWA(URL, device="nope", http=http),
        PAGE,
        REFUSED,
        f"HTTP 404: is {URL} its URL, with its base path?",
    ),
    (
        "gowa, no password",
        lambda http: GOWA(URL, device="bot-7", http=http),
        NO_KEY,
        TURNED_AWAY,
        "HTTP 401: no password was given; give password= (on the command line, QRLIFECYCLE_PASSW",
    ),
    (
        "gowa, a wrong password",
        lambda http: GOWA(URL, device="bot-7", username="u", password=SECRET, http=http),
        NO_KEY,
        TURNED_AWAY,
        "HTTP 401: the password is not accepted",
    ),
    (
        "device flow, another server",
        lambda http: DeviceFlow(URL, client_id="tv", http=http),
        PAGE,
        REFUSED,
        f"publishes nothing about itself (HTTP 404): is {URL} its URL?",
    ),
    (
        "device flow, no secret",
        lambda http: DeviceFlow(URL, client_id="tv", http=http, **ENDPOINTS),
        NO_CLIENT,
        TURNED_AWAY,
        "no code: invalid_client (HTTP 401); the client_id is 'tv'; no client_secret was given",
    ),
    (
        "device flow, a wrong secret",
        lambda http: DeviceFlow(URL, client_id="tv", client_secret=SECRET, http=http, **ENDPOINTS),
        NO_CLIENT,
        TURNED_AWAY,
        "the client_id is 'tv'; the client_secret is not accepted",
    ),
]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("make", "answer", "reason", "text"),
    [case[1:] for case in ANSWERED],
    ids=[case[0] for case in ANSWERED],
)
async def test_promise_6_a_refusal_says_what_was_answered_and_what_to_do(
    make: Make, answer: Answer, reason: Reason, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In the outcome and once in the log, also where the final check finds it; never the body."""
    caplog.set_level(logging.DEBUG)
    outcome = await make(Canned(answer)).lifecycle().pair()
    assert isinstance(outcome, Failed)
    assert outcome.reason is reason
    assert isinstance(outcome.error, PeerError)
    assert outcome.error.__traceback__ is outcome.error.__context__ is None
    assert text in str(outcome.error)
    told = [record.getMessage() for record in caplog.records if text in record.getMessage()]
    assert told == [f"failed, {reason}: {outcome.error}"]
    assert SECRET not in caplog.text


# At a terminal


@pytest.mark.parametrize(
    "arguments",
    [
        ["pair", "waha", URL, "--api-key", SECRET],
        ["pair", "waha", URL, f"--api-key={SECRET}"],
        ["pair", "waha", URL, "--key", SECRET],
        ["pair", "waha", "--apikey", SECRET, URL],
        ["pair", "evolution", URL, "--instance", "a", "--api_key", SECRET],
    ],
    ids=" ".join,
)
def test_promise_6_a_key_on_the_command_line_is_refused_and_not_repeated(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor is a file recommended by a word that would repeat it."""
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert "keys are not taken on the command line" in said
    assert "set QRLIFECYCLE_API_KEY, or give --api-key-file the name of a file" in said
    assert SECRET not in said


def test_promise_6_a_token_on_the_command_line_is_refused_and_not_repeated(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of a server of one's own; there is no file for it."""
    assert main(["pair", URL, "--bot-id", "b", "--user-id", "u", "--token", SECRET]) == 2
    said = capsys.readouterr().err
    assert said.endswith("set QRLIFECYCLE_TOKEN\n")
    assert SECRET not in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["pair", "waha", URL, "--api-key-file", SECRET],
        ["pair", "waha", URL, SECRET],
        ["pair", "waha", URL, f"--colour={SECRET}"],
    ],
    ids=" ".join,
)
def test_promise_6_what_may_be_a_key_is_not_repeated(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a file's name, or nothing, should stand."""
    assert main(arguments) == 2
    assert SECRET not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pair", "WAHA", URL], "there is no gateway 'WAHA'; did you mean 'waha'?"),
        (["pair", URL, "waha"], "the gateway comes first; did you mean 'pair waha URL'?"),
        (["pair", URL, "WAHA", "--session", "a"], "did you mean 'pair waha URL'?"),
        (["pair", "baileys", URL], "there is no gateway 'baileys'; there are: device-flow, evol"),
        (["waha", URL], "a gateway is no command; did you mean 'pair waha URL'?"),
        (["GOWA", URL], "did you mean 'pair gowa URL'?"),
    ],
)
def test_a_gateway_in_the_wrong_place_is_told_the_right_one(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also one in capitals, and one that there is none of."""
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


# A first round


@pytest.mark.anyio
async def test_a_healthy_round_drops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """What WAHA says between the scan and the success is known: no line says that it is not."""
    caplog.set_level(logging.DEBUG)
    async with WAHAEmulator(session="ada") as service:
        lifecycle = service.gateway().lifecycle(on_qr_updated=service.scan)
        assert (await lifecycle.pair()).connected
    assert "dropped" not in caplog.text
    assert lifecycle.dropped == {}
