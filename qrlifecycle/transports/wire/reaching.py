"""From an address to a connection that bytes can be put on, by way of a proxy and TLS or not."""

from __future__ import annotations

import ssl

from ...errors import TransportError
from . import endings
from .address import Address
from .connecting import connect
from .proxy import Proxy, tunnel
from .stream import Stream
from .tls import default_context

__all__ = ["reach"]


async def reach(
    stream: Stream,
    address: Address,
    *,
    proxy: Proxy | None,
    ssl_context: ssl.SSLContext | None,
    tunnel_always: bool = True,
) -> None:
    """Connect to a server, and speak TLS if its URL has it.

    Args:
        stream: what to connect.
        address: the server's.
        proxy: where to connect to in its place.
        ssl_context: how to trust it; None trusts the system's authorities.
        tunnel_always: whether a proxy is to make a tunnel without TLS, too. It need not for HTTP,
            which it reads; many allow a tunnel to port 443 only.

    Raises:
        TransportUnreachable: it did not come about; the text and its ``ending`` say why.
        Aborted: our side closed meanwhile.
        OSError: the connection broke.
    """
    if proxy is None:
        await connect(stream, address.host, address.port, "the server")
    else:
        await connect(stream, proxy.host, proxy.port, "the proxy")
        if tunnel_always or address.secure:
            await tunnel(stream, proxy, address)
    if not address.secure:
        return
    failure: TransportError | None = None
    try:
        await stream.start_tls(ssl_context or default_context(), address.host)
    except ssl.SSLError as error:
        failure = endings.no_tls(address.place, error)
    if failure is not None:
        raise failure
