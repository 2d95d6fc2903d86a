"""Services whose socket carries all accounts: one socket, given to as many gateways as there are.

::

    async with SharedSocket(WAHA.feed(url, api_key=KEY)) as shared:
        gateway = WAHA(url, api_key=KEY, session="bot-7", shared=shared)
        outcome = await gateway.lifecycle(on_qr_updated=show).pair()

What comes over such a socket is read without knowing whose code is on which screen: a feed says of
each message whose it is and what. What depends on more (what was told already, which code of a
round it is) is decided by the account's own transport, which is a share of the socket.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Unpack

from ..errors import WrongAnswer
from ..transports.base import Transport
from ..transports.shared import SharedSocket
from .base import Gateway, Reaching

__all__ = ["Feed", "SharingGateway"]

EVERYBODY = "everybody"
"""Whom a gateway is for that only makes feeds."""


class Feed:
    """What a `SharedSocket` opens to such a service; ``WAHA.feed(url, ...)`` gives one.

    Args:
        gateway: of the service, for nobody.
    """

    __slots__ = ("_gateway",)

    def __init__(self, gateway: SharingGateway) -> None:
        self._gateway = gateway

    def __repr__(self) -> str:
        return f"<feed of {type(self._gateway).__name__} at {self._gateway.place}>"

    def __call__(self) -> Transport:
        """A fresh one, not yet opened."""
        return self._gateway.transport_for_all()

    def serves(self, gateway: Gateway) -> bool:
        """Whether it hears what is told to this gateway's account."""
        kind = type(self._gateway)
        alike = isinstance(gateway, kind) or issubclass(kind, type(gateway))
        return alike and gateway.place == self._gateway.place


class SharingGateway(Gateway):
    """One account of a service that tells everything of all accounts over one socket, if asked to.

    Args:
        url: where the service is.
        account: the account there.
        shared: the socket for all of them, over the service's own feed, or one of yours whose
            signals are addressed to ``(account,)``. None: a socket of its own.
        options: how to reach it, see `Reaching`.

    Raises:
        WrongAnswer: ``shared`` is no `SharedSocket`, or one that leads to another service.
        Exception: as `Gateway`.
    """

    def __init__(
        self,
        url: str,
        account: str,
        *,
        shared: SharedSocket | None = None,
        **options: Unpack[Reaching],
    ) -> None:
        super().__init__(url, account, **options)
        if not isinstance(shared, SharedSocket | None):
            raise WrongAnswer(f"shared must be a SharedSocket, not {type(shared).__name__}")
        if shared is not None and isinstance(feed := shared.feed, Feed) and not feed.serves(self):
            raise WrongAnswer(
                f"shared has a {feed!r}, and this is {self!r}; "
                f"give it {type(self).__name__}.feed() with the same URL"
            )
        self._shared = shared

    @abstractmethod
    def transport_for_all(self) -> Transport:
        """A fresh transport whose signals are `Addressed`, each to ``(account,)``."""

    @property
    def shared(self) -> str | None:
        """The name of the shared socket; None if it has one of its own."""
        return None if self._shared is None else self._shared.name

    async def join(self) -> Transport:
        """A share of the shared socket, not yet opened."""
        assert self._shared is not None
        return self._shared.member(self.account)
