"""Hold the transport of `line_transport.py` to its contract, on asyncio and trio."""

import anyio
from line_transport import LineTransport

from qrlifecycle import Paired, QRCode, QRUpdated
from qrlifecycle.testing import WirePeer, check_transport


def line_peer() -> WirePeer:
    return WirePeer(
        lambda host, port: LineTransport(host, port, heartbeat=0.5),
        signals={b"qr one\n": QRUpdated(QRCode("one")), b"paired me\n": Paired("me")},
        heartbeat=0.5,
        alive=b"\n",
        garbage={"no identity": b"paired\n", "no code": b"qr \n"},
    )


async def main(backend: str) -> None:
    report = await check_transport(line_peer, progress=print)
    print(f"on {backend}: {len(report.passed)} checks passed, {len(report.skipped)} skipped")


for backend in ("asyncio", "trio"):
    anyio.run(main, backend, backend=backend)
