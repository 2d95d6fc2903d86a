"""From a host's name to a connected socket, by whichever of its addresses answers first.

The addresses are tried as RFC 8305 ("happy eyeballs") has it: IPv6 and IPv4 in turn, the next one a
quarter of a second after the last if that has not answered, and whoever is first wins. So a dead
address costs that quarter, and not the whole deadline. `anyio.connect_tcp()` does the same, but its
sockets are nobody's until they are connected: `abort()` could not shut them.
"""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from itertools import chain, zip_longest
from typing import Any

import anyio

from ...errors import TransportError
from .address import place_of
from .endings import name_not_found, not_connected
from .stream import Aborted, Stream

__all__ = ["NEXT_ADDRESS", "connect", "in_turn"]

NEXT_ADDRESS = 0.25
"""Seconds until the next address is tried as well (RFC 8305, section 8)."""

Found = tuple[int, int, int, Any]
"""An address: family, kind, protocol, and what `socket.connect()` takes."""

UNDER_WAY = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY, 0})


async def connect(stream: Stream, host: str, port: int, what: str) -> None:
    """Connect a stream to a host; ``what`` the host is, for the texts.

    Raises:
        TransportUnreachable: no such name, or nobody answers at any of its addresses.
        Aborted: our side closed meanwhile.
    """
    found = _numbers(host, port) or in_turn(await _look_up(host, port, what))
    error = await _connect_first(stream, found)
    if error is not None:
        raise not_connected(place_of(host, port), what, error, len(found))


def _numbers(host: str, port: int) -> list[Found]:
    """The address that a host is, if it is no name. It needs no thread, in which one is looked up.

    It is given as bytes: text would first be encoded as a name, which raises over what is none.
    """
    try:
        return _told(
            socket.getaddrinfo(
                host.encode(), port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
            )
        )
    except (OSError, UnicodeError):
        return []


async def _look_up(host: str, port: int, what: str) -> list[Found]:
    """The addresses of a name, as the system orders them; there is one at least."""
    failure: TransportError | None = None
    listed: list[Any] = []
    try:
        listed = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        failure = name_not_found(host, what, for_now=error.errno == socket.EAI_AGAIN)
    except (OSError, UnicodeError):
        pass
    if not listed:
        raise failure or name_not_found(host, what, for_now=False)
    return _told(listed)


def _told(listed: list[Any]) -> list[Found]:
    return [(family, kind, proto, address) for family, kind, proto, _, address in listed]


def in_turn(found: list[Found]) -> list[Found]:
    """One of each family in turn, the system's first choice first."""
    first = [one for one in found if one[0] == found[0][0]]
    others = [one for one in found if one[0] != found[0][0]]
    return [one for one in chain(*zip_longest(first, others)) if one is not None]


async def _connect_first(stream: Stream, found: list[Found]) -> OSError | None:
    """Connect to the first that answers; the last failure, if none does."""
    race = Race(stream)
    for number, (family, kind, protocol, address) in enumerate(found, 1):
        try:
            made = stream.make_socket(family, kind, protocol)
        except OSError as error:  # no IPv6 here, or no descriptor left
            race.failure = error
            continue
        race.begin(made, made.connect_ex(address))
        if number < len(found) and await race.won(NEXT_ADDRESS):
            return None
    while race.running:
        if await race.won(None):
            return None
    return race.failure or OSError(errno.EADDRNOTAVAIL, "")


class Race:
    """Sockets of one stream that are connecting."""

    def __init__(self, stream: Stream) -> None:
        self.running: list[socket.socket] = []
        self.failure: OSError | None = None
        self._stream = stream

    def begin(self, made: socket.socket, code: int) -> None:
        """One more has begun, with this answer of the system's."""
        if code in UNDER_WAY:
            self.running.append(made)
        else:
            self._drop(made, code)

    async def won(self, patience: float | None) -> bool:
        """Whether one is connected within a while; at once False when one has failed.

        Raises:
            Aborted: our side closed meanwhile.
        """
        if not self.running or (ready := await self._first_ready(patience)) is None:
            return False
        self.running.remove(ready)
        if code := ready.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._drop(ready, code)
            return False
        for other in self.running:
            self._stream.discard(other)
        return True

    def _drop(self, made: socket.socket, code: int) -> None:
        self.failure = OSError(code, "")
        self._stream.discard(made)

    async def _first_ready(self, patience: float | None) -> socket.socket | None:
        """The first that is connected, or cannot be."""
        if len(self.running) > 1:
            return await self._first_of_several(patience)
        [made] = self.running
        if patience is None:  # a server has one address as a rule, and a timer is not for nothing
            await self._stream.wait(anyio.wait_writable, made)
            return made
        with anyio.move_on_after(patience):
            await self._stream.wait(anyio.wait_writable, made)
            return made
        return None

    async def _first_of_several(self, patience: float | None) -> socket.socket | None:
        first: list[socket.socket] = []

        async def watch(made: socket.socket) -> None:
            with suppress(Aborted):
                await self._stream.wait(anyio.wait_writable, made)
                first.append(made)
            scope.cancel()

        with anyio.move_on_after(patience) as scope:
            async with anyio.create_task_group() as tasks:
                for made in self.running:
                    tasks.start_soon(watch, made)
        if self._stream.closed:
            raise Aborted
        return first[0] if first else None
