"""What a newcomer gets wrong in the first hour: each is told by name, and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from qrlifecycle import UsageError
from qrlifecycle.gateways import GOWA, WAHA, DeviceFlow, EvolutionAPI, WPPConnect
from qrlifecycle.gateways.base import Reaching

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
