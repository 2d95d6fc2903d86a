"""An emulator: a service, played for a gateway's tests, with every trap of the real one.

Its verbs are what a person with a phone and the service's operator can do to it. A service that
has no such thing says so by `CannotDo`, and the scenarios that need it are skipped with that text.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any, ClassVar, Self

from ...codes import Code, QRCode
from ...gateways.base import Gateway
from ...outcome import Reason
from ..contract.peer import CannotDo

__all__ = ["IDENTITY", "CannotDo", "Emulator"]

IDENTITY = "+490001234567"
"""The account that a played phone belongs to, unless told otherwise."""


class Emulator(ABC):
    """One service with one account that a gateway is for; an async context manager.

    It listens on loopback from entering until leaving. It is made afresh for each scenario.
    """

    refused_because: ClassVar[Reason] = Reason.REFUSED_ON_PHONE
    """What a refusal on the phone comes to; some services do not tell it from an expiry."""

    account: ClassVar[str] = IDENTITY
    """An account, spelt as the service spells those that it tells of."""

    tells_identity: ClassVar[bool] = True
    """Whether the service says whose phone it was."""

    own_loggers: ClassVar[Collection[str]] = ()
    """Loggers of the service's own, where it runs in this process: what they say is its affair."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it listens: what its gateway is given."""

    @abstractmethod
    async def __aenter__(self) -> Self:
        """Listen."""

    @abstractmethod
    async def __aexit__(self, *error: object) -> None:
        """Be gone, and leave nothing."""

    def gateway(self) -> Gateway:
        """A gateway for its account, with the right credentials."""
        raise NotImplementedError

    def arguments(self) -> Mapping[str, Any]:
        """What such a gateway is made with, beside the URL; what is None is left out."""
        raise NotImplementedError

    def shown(self) -> Code:
        """The newest code, as a phone sees it on screen.

        Raises:
            KeyError: there is none yet.
        """
        if not (codes := self.codes()):
            raise KeyError("there is no code yet")
        return QRCode(codes[-1])

    # What is asked of it

    @abstractmethod
    def codes(self) -> list[str]:
        """The codes that it has made for the account, the newest last, as they are revealed."""

    @abstractmethod
    def secrets(self) -> Collection[str]:
        """Whatever must be in no text: keys, tokens, codes, what is typed, so far."""

    # The person, with a phone

    @abstractmethod
    async def scan(self, code: Code, identity: str = IDENTITY) -> None:
        """Scan a code, or type it, and agree.

        Raises:
            KeyError: no such code is good any more.
        """

    async def refuse(self, code: Code) -> None:  # noqa: ARG002 - for who can
        """Scan a code, and decline."""
        raise _without("refuse", "nobody can decline there")

    # The service

    async def rotate(self) -> None:
        """Replace the code by a newer one, by itself."""
        raise _without("rotate", "it replaces no code by itself")

    async def expire(self) -> None:
        """Let the code run out, and say so as far as the service does."""
        raise _without("expire", "no code runs out there before its time")

    async def limit(self) -> None:
        """Make no more codes: nobody scanned any."""
        raise _without("limit", "it has no limit of codes")

    async def link(self, identity: str = IDENTITY) -> None:  # noqa: ARG002
        """Have the account linked already, before anybody asks for a code."""
        raise _without("link", "nothing is linked there without a code")

    async def lock_out(self) -> None:
        """Accept the gateway's credentials no more."""
        raise _without("lock_out", "it checks no credentials")

    async def withdraw(self) -> None:
        """Accept the gateway's credentials no more, while it listens."""
        await self.lock_out()
        with suppress(CannotDo):
            await self.drop()

    async def forget(self) -> None:
        """Know the gateway's account no more."""
        raise _without("forget", "it knows no accounts")

    async def other(self, identity: str = "+490009999999") -> None:  # noqa: ARG002
        """Let somebody else pair, and everybody hear of it who can."""
        raise _without("other", "nobody hears of anybody else there")

    async def forge(self) -> None:
        """Send a success to the account's sockets that is none."""
        raise _without("forge", "nobody else can speak there")

    # The operator, and the network between

    async def stop(self) -> None:
        """Kill it: its port is closed, and whoever is connected is cut off."""
        raise _without("stop", "it cannot be stopped")

    async def start(self) -> None:
        """Start it again on its port, with what it had stored."""
        raise _without("start", "it cannot be started")

    async def freeze(self) -> None:
        """Take connections and requests, and answer none."""
        raise _without("freeze", "it cannot freeze")

    async def thaw(self) -> None:
        """Go on, also with what was asked meanwhile."""
        raise _without("thaw", "it cannot freeze")

    async def drop(self) -> None:
        """Cut off whoever is connected."""
        raise _without("drop", "nobody stays connected there")


def _without(method: str, what: str) -> CannotDo:
    """Why a scenario is skipped; whoever wrote the emulator may know better."""
    return CannotDo(f"{what} (its emulator has no {method}())")
