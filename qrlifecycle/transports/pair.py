"""What each transport over Socket.IO is told, whoever speaks it: for whom, and what it understands.

Arguments are checked where a transport is made. Nothing in here is a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import InvalidValue
from ..policy import trouble_with_text
from .handshake import origin_of
from .messages import SignalMap, check_signals, read_message
from .owner import Owner, keys_of
from .push import PushTransport

__all__ = ["Pair", "PairTransport", "check_headers", "pair_of"]


@dataclass(frozen=True, slots=True)
class Pair:
    """A bot and a user, where they are heard of, and what their messages mean."""

    origin: str
    """The server's scheme, host and port, as they were given."""
    bot_id: str
    user_id: str
    signals: SignalMap
    owner: Owner | None


def pair_of(url: str, bot_id: str, user_id: str, signals: SignalMap, owner: Owner | None) -> Pair:
    """For whom a transport is, and what it understands; the URL was looked at already.

    Raises:
        InvalidValue: an argument that cannot be meant; the text names it.
    """
    for name, text in (("bot_id", bot_id), ("user_id", user_id)):
        if trouble := trouble_with_text(text):
            raise InvalidValue(f"{name} {trouble}")
    check_signals(signals)
    if owner is not None:
        keys_of(owner)
    return Pair(origin_of(url), bot_id, user_id, signals, owner)


def check_headers(headers: object) -> None:
    """Raise `InvalidValue` for what is no mapping, nor None."""
    if not isinstance(headers, Mapping | None):
        raise InvalidValue(f"headers must be a mapping, not {type(headers).__name__}")


class PairTransport(PushTransport):
    """A transport that hears of one bot and one user."""

    __slots__ = ()

    _pair: Pair
    """A subclass sets it."""

    def __repr__(self) -> str:
        pair = self._pair
        return f"<{type(self).__name__} {pair.origin} bot={pair.bot_id!r} user={pair.user_id!r}>"

    @property
    def subject(self) -> tuple[str, ...]:
        """The bot and the user; once, where both are the same, as a gateway's account is."""
        return tuple(dict.fromkeys((self._pair.bot_id, self._pair.user_id)))

    def _take_message(self, name: str, args: tuple[object, ...]) -> None:
        """Keep what an event means, or count it."""
        pair = self._pair
        meaning = read_message(
            pair.signals, name, args, pair.bot_id, pair.user_id, owner=pair.owner
        )
        self._take(meaning, name)
