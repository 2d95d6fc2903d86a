"""Through an HTTP proxy: which one, and the tunnel that it makes (CONNECT; RFC 9110, 9.3.6)."""

from __future__ import annotations

import base64
import ipaddress
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote

import h11

from ...errors import InvalidValue, TransportError
from .address import Address, Split, credentials, place_of
from .endings import another_protocol, proxy_refused, unusable_proxy
from .handshake import answer_to, ask
from .options import ENVIRONMENT, check_proxy
from .stream import Stream

__all__ = ["Proxy", "proxy_for", "tunnel"]


THIS_MACHINE = frozenset({"localhost", "localhost.", "127.0.0.1", "::1"})
"""How it is called, as a rule."""


@dataclass(frozen=True, slots=True, repr=False)
class Proxy:
    """An HTTP proxy."""

    host: str
    port: int
    credentials: bytes | None

    @property
    def place(self) -> str:
        """Host and port."""
        return place_of(self.host, self.port)

    @property
    def url(self) -> str:
        """Its URL, with its credentials, for whoever is to speak with it in our place."""
        if self.credentials is None:
            return f"http://{self.place}"
        pair = base64.b64decode(self.credentials.removeprefix(b"Basic ")).decode()
        user, _, password = pair.partition(":")
        return f"http://{quote(user, safe='')}:{quote(password, safe='')}@{self.place}"


def proxy_for(address: Address, given: str | None) -> Proxy | None:
    """The proxy to a server: what was given, or what the environment says now.

    Raises:
        TransportUnreachable: the environment names one that is not spoken with.
    """
    url = _of_environment(address) if given == ENVIRONMENT else given
    if not url:
        return None
    split: Split | None = None
    with suppress(InvalidValue):
        split = check_proxy(url, "the environment's proxy")
    if split is None:
        raise unusable_proxy()
    return Proxy(split.host, split.port or 80, credentials(split.parts))


async def tunnel(stream: Stream, proxy: Proxy, address: Address) -> None:
    """Have the proxy connect us to the server.

    Raises:
        TransportUnreachable: it does not.
        Aborted: our side closed meanwhile.
        OSError: the connection broke.
    """
    headers = [(b"Host", address.place.encode())]
    if proxy.credentials is not None:
        headers.append((b"Proxy-Authorization", proxy.credentials))
    request = h11.Request(method=b"CONNECT", target=address.place.encode(), headers=headers)
    http = await ask(stream, request)
    answer = await answer_to(stream, http, f"the proxy {proxy.place}", secure=False)
    failure: TransportError | None = None
    if not 200 <= answer.status < 300:
        given = proxy.credentials is not None
        failure = proxy_refused(proxy.place, address.place, answer.status, given=given)
    elif answer.rest:
        said = f"the proxy {proxy.place} speaks before it is asked"
        failure = another_protocol(said, opening=True)
    if failure is not None:
        raise failure


def _of_environment(address: Address) -> str | None:
    """As `urllib.request` reads it: environment variables, and the system's settings elsewhere."""
    if _is_this_machine(address.host):
        return None
    asked = sys.platform in {"win32", "darwin"}
    if not asked and not any(name.lower().endswith("_proxy") for name in os.environ):
        return None  # without the 20 ms that the import takes
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415

    proxies = getproxies()
    url = proxies.get("https" if address.secure else "http") or proxies.get("all")
    if not url or proxy_bypass(address.place):
        return None
    return url if "://" in url else f"http://{url}"


def _is_this_machine(host: str) -> bool:
    """Whether a host is this machine, to which no proxy leads."""
    if host.lower() in THIS_MACHINE:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
