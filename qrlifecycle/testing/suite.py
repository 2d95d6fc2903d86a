"""The contract, the promises and a gateway's scenarios as pytest classes: subclass one.

This is a module by itself because it imports pytest and Hypothesis; nothing else here imports
pytest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import anyio

from ..errors import MissingExtra
from .backends import other_loop

try:
    import pytest
    from hypothesis import HealthCheck, example, given, settings
except ImportError:
    raise MissingExtra("the contract and the promises as pytest classes", "testing") from None

from ..engine.service import QRRequest
from ..gateways.base import Gateway
from ..logs import logger
from ..policy import Policy
from .contract import checks, smoke_test
from .contract.check import LIMIT, Check, PeerFactory, fresh_peer
from .gateways import Emulator, Scenario, play, scenarios
from .plans import Plan
from .run_plan import run_plan
from .strategies import plans

__all__ = ["GatewayScenarios", "LifecyclePromises", "TransportContract"]


SCRIPTED = ("run_plan.py", "scripted_leases.py", "scripted.py")
"""The files whose errors are a plan's: a log tells the place of each."""


class _OnOwnLoop:
    """Tests that run on the event loop that they say they run on."""

    _asked_for: tuple[str, Mapping[str, Any]] | None = None

    @pytest.fixture(autouse=True)
    def _loop_is_asked_for(
        self, anyio_backend_name: str, anyio_backend_options: Mapping[str, Any]
    ) -> None:
        """What your ``anyio_backend`` fixture names."""
        self._asked_for = anyio_backend_name, anyio_backend_options

    def _refuse_another_loop(self) -> None:
        """Fail if the test runs on another event loop than it was to.

        Another plugin than anyio's may have taken it: pytest-asyncio in its auto mode takes every
        async test, and runs what is called trio on asyncio, or on another clock.
        """
        found = None if self._asked_for is None else other_loop(*self._asked_for)
        if found is not None:
            pytest.fail(
                f"this test was to run on {found[0]}, by your anyio_backend fixture, and runs on "
                f"{found[1]}: another plugin has taken it, such as pytest-asyncio in auto mode. "
                "Set asyncio_mode = strict, or run these tests with -p no:asyncio",
                pytrace=False,
            )


class TransportContract(_OnOwnLoop):
    """The clauses T1 to T8 as tests, on whatever event loops your ``anyio_backend`` fixture names.

    Override `peer`, and say ``__test__ = True``. Sockets are real: the event loop's clock must be.
    """

    __test__: ClassVar[bool] = False

    @pytest.fixture
    def peer(self) -> PeerFactory:
        """What makes a fresh peer: a `WirePeer`, or a `Peer` of your own."""
        raise NotImplementedError(
            "override the fixture 'peer': it gives a function that makes a fresh WirePeer"
        )

    @pytest.mark.anyio
    @pytest.mark.parametrize("check", checks(), ids=str)
    async def test_contract(self, check: Check, peer: PeerFactory) -> None:
        """The transport keeps the clause; before that, one opens and a signal comes through."""
        self._refuse_another_loop()
        await smoke_test(peer)
        result = await check.run(peer)
        if result.skipped is not None:
            pytest.skip(result.skipped)
        if result.failure is not None:
            pytest.fail(str(result.failure), pytrace=False)
        if result.unfinished is not None:
            pytest.fail(f"nothing is known of the transport: {result.unfinished}", pytrace=False)


class GatewayScenarios(_OnOwnLoop):
    """What a gateway goes through, as tests, on your ``anyio_backend``'s event loops.

    Override `gateway` and `emulator`, and say ``__test__ = True``. Sockets are real.
    """

    __test__: ClassVar[bool] = False

    @pytest.fixture
    def gateway(self) -> Callable[[Any], Gateway]:
        """What makes a gateway for the emulator that it is given."""
        raise NotImplementedError(
            "override the fixture 'gateway': it gives a function that makes one for an emulator"
        )

    @pytest.fixture
    def emulator(self) -> Callable[[], Emulator]:
        """What makes a fresh emulator."""
        raise NotImplementedError(
            "override the fixture 'emulator': it gives a function that makes a fresh one"
        )

    @pytest.mark.anyio
    @pytest.mark.parametrize("scenario", scenarios(), ids=str)
    async def test_scenario(
        self,
        scenario: Scenario,
        gateway: Callable[[Any], Gateway],
        emulator: Callable[[], Emulator],
    ) -> None:
        """The gateway does in it what it is about."""
        self._refuse_another_loop()
        result = await play(scenario, gateway, emulator)
        if result.skipped is not None:
            pytest.skip(result.skipped)
        if result.failure is not None:
            pytest.fail(str(result), pytrace=False)


class LifecyclePromises(_OnOwnLoop):
    """The promises under plans that Hypothesis finds, on your ``anyio_backend``'s event loops.

    Override `peer`, and say ``__test__ = True``; override `policy` and `request_qr` if you like.
    With a peer, the event loop's clock must be real; without one, virtual: see `run_plan()`.
    """

    __test__: ClassVar[bool] = False

    max_examples: ClassVar[int | None] = None
    """How many plans are tried; None: as many as your Hypothesis profile says."""

    examples: ClassVar[Sequence[Plan]] = ()
    """Plans to try first, such as those that once broke a promise."""

    test_promises_1_2_3_4_5_8_9_hold_under_every_plan: ClassVar[Callable[..., Any]]
    """Made for each subclass, with its ``max_examples`` and ``examples``."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.test_promises_1_2_3_4_5_8_9_hold_under_every_plan = _promises(
            cls.max_examples, cls.examples
        )

    @pytest.fixture
    def peer(self) -> PeerFactory | None:
        """What makes a fresh peer of your transports'; None: they are scripted, time is virtual."""
        raise NotImplementedError(
            "override the fixture 'peer': it gives a function that makes a fresh WirePeer, or None"
        )

    @pytest.fixture
    def policy(self) -> Policy | None:
        """The lifecycle's; None: each plan's own."""
        return None

    @pytest.fixture
    def request_qr(self) -> QRRequest | None:
        """The lifecycle's; None: it answers as each plan has it."""
        return None

    @pytest.mark.anyio
    async def test_the_peer_takes_a_transport_in(self, peer: PeerFactory | None) -> None:
        """A transport opens; if none did, no plan would get far, and none would fail."""
        self._refuse_another_loop()
        if peer is None:
            pytest.skip("without a peer the transports are scripted, and nothing is reached")
        with anyio.fail_after(LIMIT):
            async with fresh_peer(peer) as contract_peer, contract_peer.make():
                await contract_peer.wait_until_connected()


@contextmanager
def _quiet_log() -> Iterator[None]:
    """Without what a lifecycle says of the faults that a plan has, a dozen lines for each plan."""
    logger.addFilter(_is_of_no_plan)
    try:
        yield
    finally:
        logger.removeFilter(_is_of_no_plan)


def _is_of_no_plan(record: logging.LogRecord) -> bool:
    """Whether it is an error, and none that a plan raises."""
    text = record.getMessage()
    return record.levelno >= logging.ERROR and not any(name in text for name in SCRIPTED)


def _promises(max_examples: int | None, examples: Sequence[Plan]) -> Callable[..., Any]:
    """A test of its own for each class: Hypothesis keeps settings and examples on the function."""

    @pytest.mark.anyio
    async def test_promises(
        self: LifecyclePromises,
        plan: Plan,
        peer: PeerFactory | None,
        policy: Policy | None,
        request_qr: QRRequest | None,
    ) -> None:
        """Promises 1, 2, 3, 5, 8 and 4's first half hold at every change and at the end."""
        self._refuse_another_loop()
        with _quiet_log():
            judge = await run_plan(plan, peer, policy=policy, request_qr=request_qr)
        if judge.breaches:
            breaches = "\n".join(dict.fromkeys(map(str, judge.breaches)))
            given = "" if peer is None else ", peer"
            again = f"To see it again: await run_plan({plan!r}{given})"
            pytest.fail(f"{breaches}\n{again}", pytrace=False)

    test: Callable[..., Any] = given(plan=plans())(test_promises)
    for plan in examples:
        test = example(plan=plan)(test)
    profile = settings()
    return settings(
        max_examples=max_examples or profile.max_examples,
        deadline=None,  # a timed assertion is a flaky test
        suppress_health_check={
            *profile.suppress_health_check,
            HealthCheck.too_slow,
            HealthCheck.function_scoped_fixture,
        },
    )(test)
