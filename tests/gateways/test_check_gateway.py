"""The suite for gateways has teeth: a wrong one is found out, by the scenario that it breaks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import anyio
import pytest

from qrlifecycle import (
    InvalidValue,
    Paired,
    PairingRefused,
    QRExpired,
    ServiceRefused,
    ServiceUnavailable,
    Signal,
    UsageError,
    WrongAnswer,
)
from qrlifecycle.gateways import DeviceFlow
from qrlifecycle.testing import check_gateway
from qrlifecycle.testing.gateways import (
    CannotDo,
    DeviceFlowEmulator,
    GatewayBroken,
    ScenarioResult,
    check,
    scenarios,
)

from ..patience import patient_clock

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Real sockets, on a clock that waits for them."""
    return patient_clock(request.param)


class Flow(DeviceFlow):
    """Right so far."""

    def __init__(self, served: DeviceFlowEmulator) -> None:
        super().__init__(served.url, client_id="tv")


class Deaf(Flow):
    """Never finds a success."""

    async def ask_for_status(self) -> Signal | None:
        found = await super().ask_for_status()
        return None if isinstance(found, Paired) else found


class Nameless(Flow):
    """Tells nobody's name."""

    async def ask_for_status(self) -> Signal | None:
        found = await super().ask_for_status()
        return Paired() if isinstance(found, Paired) else found


class Patient(Flow):
    """Takes an expiry for nothing new."""

    async def ask_for_status(self) -> Signal | None:
        found = await super().ask_for_status()
        return None if isinstance(found, QRExpired) else found


class Vague(Flow):
    """Takes a refusal on the phone for the service's."""

    async def ask_for_status(self) -> Signal | None:
        found = await super().ask_for_status()
        return PairingRefused() if isinstance(found, PairingRefused) else found


class Hopeful(Flow):
    """Takes wrong credentials for a service that restarts."""

    async def ask_for_code(self) -> Any:
        try:
            return await super().ask_for_code()
        except Exception:
            raise ServiceUnavailable from None


class Talkative(Flow):
    """Logs what it should not."""

    async def ask_for_code(self) -> Any:
        code = await super().ask_for_code()
        logging.getLogger("talkative").debug("here it is: %s", code.reveal())
        return code


class Quoting(Flow):
    """Repeats the code in an error."""

    async def ask_for_code(self) -> Any:
        self.code = await super().ask_for_code()
        return self.code

    async def ask_for_status(self) -> Signal | None:
        found = await super().ask_for_status()
        if not isinstance(found, PairingRefused):
            return found
        return replace(found, error=ServiceRefused(f"they said no to {self.code.reveal()}"))


class Open(Flow):
    """Shows what it was given."""

    def __init__(self, served: DeviceFlowEmulator) -> None:
        super().__init__(served)
        self.served = served

    def __repr__(self) -> str:
        return f"<flow with {self.served.secrets()}>"


class Hoarder(Flow):
    """Keeps a connection."""

    async def ask_for_code(self) -> Any:
        host, port = self.url.removeprefix("http://").split(":")
        KEPT.append(await anyio.connect_tcp(host, int(port)))
        return await super().ask_for_code()


KEPT: list[Any] = []


class Mistaken(Flow):
    """Is used wrongly."""

    async def ask_for_code(self) -> Any:
        return 7


class Stubborn(Flow):
    """Shields itself from a cancellation."""

    async def ask_for_code(self) -> Any:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(8)
        return await super().ask_for_code()


class Immovable(Flow):
    """Waits for an answer, and shields itself from everything else."""

    async def ask_for_code(self) -> Any:
        host, port = self.url.removeprefix("http://").split(":")
        with anyio.CancelScope(shield=True):
            async with await anyio.connect_tcp(host, int(port)) as stream:
                await stream.receive()
        raise WrongAnswer


class Impatient(Flow):
    """Gives up where a service restarts."""

    async def ask_for_code(self) -> Any:
        try:
            return await super().ask_for_code()
        except ServiceUnavailable:
            raise WrongAnswer("nobody there") from None


@pytest.mark.parametrize(
    ("gateway", "scenario", "said"),
    [
        (Deaf, "success", "the attempt did not end"),
        (Nameless, "success", "another identity was told"),
        (Patient, "expiry", "the attempt did not end within 60 s"),
        (Vague, "refusal", "it should have failed (refused_on_phone); it ended"),
        (Hopeful, "wrong key", "reason='generating_timed_out'"),
        (Talkative, "success", "the logger 'talkative' told a secret"),
        (Quoting, "refusal", "an outcome, an error, a repr or a record told a secret"),
        (Open, "success", "an outcome, an error, a repr or a record told a secret"),
        (Hoarder, "success", "this is still open: socket 127.0.0.1"),
        (Mistaken, "success", "pair() raised WrongAnswer"),
        (Stubborn, "left while it answers nobody", "leaving took more than a second"),
        (Immovable, "success", "code 1 was not shown within 60 s"),
        (Immovable, "left while it answers nobody", "the attempt did not end within 60 s"),
        (Impatient, "killed before the code", "code 1 was not shown before the end"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_a_wrong_gateway_is_found_out(
    gateway: Callable[[Any], DeviceFlow], scenario: str, said: str
) -> None:
    """By the scenario that it breaks, in words that say what did not happen."""
    try:
        with pytest.raises(GatewayBroken, match="broken ") as raised:
            await check_gateway(gateway, DeviceFlowEmulator, names=[scenario])
    finally:
        for stream in KEPT:
            await anyio.aclose_forcefully(stream)
        KEPT.clear()
    assert said in str(raised.value)
    assert scenario in str(raised.value)


async def test_what_cannot_be_checked_is_said() -> None:
    """A scenario that there is not, no list of them, and an emulator that can do nothing."""
    with pytest.raises(InvalidValue, match="no scenario 'nonsense'; there are success,"):
        await check_gateway(Flow, DeviceFlowEmulator, names=["success", "nonsense"])
    with pytest.raises(InvalidValue, match=r"give a list of scenarios: \['success'\]"):
        await check_gateway(Flow, DeviceFlowEmulator, names="success")
    with pytest.raises(UsageError, match="nothing was checked"):
        await check_gateway(Flow, DeviceFlowEmulator, names=["limit", "cut off"])


async def test_what_an_emulator_raises_comes_out_as_it_is() -> None:
    """It is no failure of the gateway's, and in no group."""

    class Broken(DeviceFlowEmulator):
        async def scan(self, code: Any, identity: str = "") -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await check_gateway(Flow, Broken, names=["success"])


async def test_a_scenario_ends_though_the_emulator_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it waits for: it fails, and says how far it was."""
    monkeypatch.setattr(check, "LONGEST", 10.0)

    class Stuck(DeviceFlowEmulator):
        async def expire(self) -> None:
            await anyio.sleep_forever()

    with pytest.raises(GatewayBroken, match=r"did not end within 10 s; .*1 codes shown"):
        await check_gateway(Flow, Stuck, names=["expiry"])


async def test_who_cannot_be_cancelled_is_found_out_at_the_end() -> None:
    """Also where the scenario itself was kept."""
    made: list[Flow] = []  # copies of them are asked

    class Lingering(Flow):
        def __init__(self, served: DeviceFlowEmulator) -> None:
            super().__init__(served)
            self.lingers = not made
            made.append(self)

        async def ask_for_status(self) -> Signal | None:
            if not self.lingers:
                return await super().ask_for_status()
            with anyio.CancelScope(shield=True):
                await anyio.sleep(100)
            return None

    with pytest.raises(GatewayBroken, match="did not end within 60 s of its being cancelled"):
        await check_gateway(Lingering, DeviceFlowEmulator, names=["second tab at once"])


async def test_an_emulator_need_have_no_secrets_yet() -> None:
    """They are asked for only where a scenario was kept: else what it came to would be hidden."""

    class Secretive(DeviceFlowEmulator):
        def secrets(self) -> list[str]:
            raise ZeroDivisionError

    with pytest.raises(UsageError, match="nothing was checked"):
        await check_gateway(Flow, Secretive, names=["limit"])


async def test_each_result_is_told_as_it_comes() -> None:
    """In one line: kept, broken, or skipped and why."""
    told: list[ScenarioResult] = []
    report = await check_gateway(
        Flow, DeviceFlowEmulator, names=["success", "limit"], progress=told.append
    )
    assert report.results == tuple(told)
    assert str(report).splitlines() == [
        f"kept     success: {scenarios(['success'])[0].fact}",
        "skipped  limit: it has no limit of codes (its emulator has no limit())",
    ]


async def test_an_emulator_says_what_it_cannot_do() -> None:
    """Each verb that it has not, in words for whoever reads why a scenario was skipped."""
    async with DeviceFlowEmulator() as server:
        for verb in ("rotate", "limit", "link", "forge", "drop"):
            with pytest.raises(CannotDo):
                await getattr(server, verb)()


def test_every_scenario_has_a_name_and_a_fact() -> None:
    """They are told to whoever reads a report."""
    every = scenarios()
    assert len({one.name for one in every}) == len(every) > 20
    assert all(one.fact.endswith(".") for one in every)
