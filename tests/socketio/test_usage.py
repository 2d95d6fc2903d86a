"""What a Socket.IO transport can be made with, and where it can be used."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from qrlifecycle import AsyncClientTransport, InvalidValue
from qrlifecycle.errors import UnsupportedBackend

from .transport import BOT, USER, MakeTransport, texts_of

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "url",
    [
        "",
        "s3cret",
        "127.0.0.1:8000/s3cret",
        "ftp://s3cret",
        "http://",
        "http://:80/s3cret",
        "http://host:s3cret",
        "http://host:99999/?s3cret",
        "http://[::s3cret",
        None,
        b"http://s3cret",
    ],
)
def test_a_bad_url_is_an_invalid_value_that_is_not_shown(
    transport_to: MakeTransport, url: Any
) -> None:
    """The URL itself may hold a token."""
    with pytest.raises(InvalidValue, match="http://host:port") as caught:
        transport_to(url)
    assert "s3cret" not in "".join(map(str, texts_of(caught.value)[:3]))


@pytest.mark.parametrize("name", ["bot_id", "user_id"])
@pytest.mark.parametrize("value", ["", None, 7])
def test_a_bad_id_is_an_invalid_value(transport_to: MakeTransport, name: str, value: Any) -> None:
    """Empty, or no text."""
    with pytest.raises(InvalidValue, match=f"^{name} must be text that is not empty"):
        transport_to("http://host", **{name: value})


@pytest.mark.parametrize(
    "options",
    [
        {"namespace": "pairing"},
        {"max_message": 0},
        {"max_message": -1},
        {"heartbeat": 0},
        {"heartbeat": -1},
        {"heartbeat": math.inf},
        {"heartbeat": math.nan},
    ],
)
def test_bad_options_are_invalid_values(
    transport_to: MakeTransport, options: dict[str, Any]
) -> None:
    """Numbers that are not above 0 and finite, a namespace without its stroke."""
    with pytest.raises(InvalidValue):
        transport_to("http://host", **options)


def test_without_asyncio_the_adapter_says_what_to_do() -> None:
    """On trio, `open()` raises the typed error; closing what never opened is fine there, too."""

    async def main() -> None:
        transport = AsyncClientTransport("http://127.0.0.1:1", bot_id=BOT, user_id=USER)
        with pytest.raises(UnsupportedBackend, match=r"^AsyncClientTransport needs asyncio"):
            await transport.open()
        transport.abort()
        await transport.aclose()
        with pytest.raises(anyio.EndOfStream):
            await transport.receive()

    check: Callable[[], Any] = main
    anyio.run(check, backend="trio")
