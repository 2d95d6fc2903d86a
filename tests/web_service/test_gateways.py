"""The example service with a gateway, which the environment names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from web_service.__main__ import platform_of
from web_service.news import News
from web_service.service import GatewayPlatform, Platform
from web_service.streams import Streams

from qrlifecycle import QRLifecycle, UsageError
from qrlifecycle.cli.gateways import GATEWAYS
from qrlifecycle.leases import LeaseFactory

from ..patience import HANGS, patient_clock

pytestmark = pytest.mark.anyio

SETTINGS: dict[str, dict[str, str]] = {
    "waha": {"SESSION": "default", "API_KEY": "k3y-of-the-service"},
    "gowa": {"DEVICE": "bot-7", "USERNAME": "admin"},
    "evolution": {"INSTANCE": "bot-7", "API_KEY": "global-key-of-the-test"},
    "wppconnect": {"SESSION": "bot-7", "SECRET_KEY": "secret-of-the-test"},
    "device-flow": {"CLIENT_ID": "tv"},
}
"""What the emulator of each expects."""

QUICK = ("waha", "device-flow")
EACH = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in sorted(GATEWAYS)
]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """The example is asyncio's, as uvicorn is."""
    return patient_clock("asyncio")


def describe(monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
    """Have the environment say it."""
    for name, value in settings.items():
        monkeypatch.setenv(f"QRLIFECYCLE_{name}", value)


@dataclass
class Watched:
    """A platform whose lifecycles a test can look at: a phone sees the code on the page."""

    platform: Platform
    made: list[QRLifecycle] = field(default_factory=list)

    def lifecycle(self, user_id: str, *, lease: LeaseFactory | None = None) -> QRLifecycle:
        """The platform's, kept."""
        self.made.append(self.platform.lifecycle(user_id, lease=lease))
        return self.made[-1]

    def key(self, user_id: str) -> tuple[str, str]:
        """The platform's."""
        return self.platform.key(user_id)


@pytest.mark.parametrize("name", EACH)
async def test_a_gateways_account_is_paired(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page shows the service's code and is told the success; what it says is in the picture."""
    told: list[News] = []
    shown = anyio.Event()

    async def tell(news: News | None) -> None:
        if news is not None:
            told.append(news)
            if "picture" in news:
                shown.set()

    async with GATEWAYS[name].play() as emulator:
        password = getattr(emulator, "password", None)
        more = {} if name != "gowa" else {"PASSWORD": str(password)}
        describe(monkeypatch, GATEWAY=name, URL=emulator.url, **SETTINGS[name], **more)
        platform = platform_of(None)
        assert platform is not None
        watched = Watched(platform)
        with anyio.fail_after(HANGS):
            async with Streams(watched) as streams, anyio.create_task_group() as tasks:
                tasks.start_soon(streams.pair, "ada", tell)
                await shown.wait()
                code = watched.made[0].qr
                assert code is not None
                await emulator.scan(code)
    assert told[-1].get("ended") == "paired"
    assert emulator.account in told[-1].get("sentence", "") or not emulator.tells_identity
    assert not any("address" in news for news in told)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"GATEWAY": "whats"}, "QRLIFECYCLE_GATEWAY must be one of: .*waha"),
        ({"GATEWAY": "waha"}, "needed: set QRLIFECYCLE_URL$"),
        (
            {"GATEWAY": "gowa", "URL": "http://gowa.example"},
            "id is needed: set QRLIFECYCLE_DEVICE$",
        ),
        (
            {"GATEWAY": "evolution", "URL": "http://evolution.example", "INSTANCE": "bot-7"},
            "needed: set QRLIFECYCLE_API_KEY$",
        ),
        (
            {"GATEWAY": "waha", "URL": "http://waha.example", "EVERY_SESSION": "perhaps"},
            "QRLIFECYCLE_EVERY_SESSION must be yes or no",
        ),
        ({"GATEWAY": "waha", "URL": "waha.example"}, "URL must look like http://host:port"),
    ],
)
def test_what_is_missing_is_said_at_the_start(
    settings: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its name, with what to do."""
    describe(monkeypatch, **settings)
    with pytest.raises(UsageError, match=said):
        platform_of(None)


def test_what_is_so_and_what_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag is yes or no; a gateway and another platform are one too many."""
    describe(monkeypatch, GATEWAY="waha", URL="http://waha.example", EVERY_SESSION="yes")
    platform = platform_of(None)
    assert isinstance(platform, GatewayPlatform)
    assert platform.key("ada") == platform.key("bob") == ("http://waha.example", "default")
    with pytest.raises(UsageError, match="leave out the other one"):
        platform_of("http://platform.example")
    monkeypatch.delenv("QRLIFECYCLE_GATEWAY")
    assert platform_of(None) is None
