"""One WebSocket of ours: a socket that is owned from `socket()` on, and protocols without I/O.

It runs on asyncio, uvloop and trio, has no task of its own and no queue, and can be shut at any
moment by a plain call. `WebSocketConnection` is all of it, `WireOptions` is what it is told, and
`WiredTransport` is what a transport over it begins with. A module each: `address`, `connecting`,
`proxy`, `tls`, `handshake` (h11), `frames` (websockets), over `stream`, the socket; `endings` has
what is said of each end.

Why it is built of these parts, and not of others. Figures are of one displayed code, with the task
that listens, on CPython 3.11 and asyncio; the machine was busy, so of times only the ratio counts.

**The socket** is made here, and waited for by `anyio.wait_readable`. `anyio.connect_tcp()` with
`TLSStream` keeps the contract too, as far as that can be seen; but until it has connected, its
sockets are nobody's, and `abort()` could not shut them; and it costs 11.1 kB where this costs 8.2
(over TLS, without the task that listens, 35 and 29), a third more of CPU to open, and more than
twice as much to close. A message takes one turn of the event loop, from the socket's being readable
to `receive()` having returned.

**The handshake** is h11's: strict about HTTP, and the head of an answer is an answer. A library for
the whole of WebSocket waits for a refusal's body, and a 401 without a length becomes a silence.

**The frames** are `websockets`' `Protocol`: it refuses a message that is too large from its head,
masks at C's speed, and is maintained from week to week. wsproto is a little stricter, and nearly
three times as slow for a short text (14 us against 5); its limit would be ours to count, after the
bytes are there. It is the oracle of our tests. Frames by hand would be faster still (1.4 us), and
had ten faults when they were compared.

**Windows' Proactor event loop** cannot wait for sockets; anyio has a thread that can, so there a
message takes a wake-up between threads more. It has been reasoned out, and not been run.
"""

from .connection import WebSocketConnection
from .options import WireOptions
from .transport import WiredTransport

__all__ = ["WebSocketConnection", "WireOptions", "WiredTransport"]
