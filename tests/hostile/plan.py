"""What one run is: drawn from its seed, and from nothing else."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import Enum, auto
from importlib.util import find_spec
from random import Random

__all__ = ["LOOPS", "Interruption", "Kind", "Loop", "Plan", "Subject", "draw"]


class Loop(Enum):
    """The event loops."""

    ASYNCIO = "asyncio"
    TRIO = "trio"
    UVLOOP = "uvloop"


class Kind(Enum):
    """The transports."""

    SOCKETIO = "SocketIOTransport"
    WEBSOCKET = "WebSocketTransport"
    ASYNC_CLIENT = "AsyncClientTransport"


class Subject(Enum):
    """What is run."""

    TRANSPORT = "a transport"
    LIFECYCLE = "a lifecycle"


class Interruption(Enum):
    """What befalls it in the middle."""

    NONE = auto()
    SCOPE = auto()
    """A scope around it is cancelled."""
    NATIVE = auto()
    """Its task is cancelled, as asyncio does it; on trio the scope is."""
    TWICE = auto()
    """The same, and again while it ends."""
    DEADLINE = auto()
    """A scope around it runs out."""
    ABORT = auto()
    """The transport is aborted; a lifecycle's deadline runs out."""
    CLOSE = auto()
    """The transport is closed; a lifecycle is told `cancel()`."""


LOOPS = [loop for loop in Loop if loop is not Loop.UVLOOP or find_spec("uvloop")]


@dataclass(frozen=True, slots=True)
class Plan:
    """One run."""

    seed: int
    loop: Loop
    kind: Kind
    subject: Subject
    interruption: Interruption
    turns: int
    """Turns of the event loop until it is interrupted."""
    seconds: float
    """Seconds until it is, beside the turns."""
    again: int
    """Turns until it is interrupted once more."""
    heartbeat: float
    tls: bool
    proxied: bool
    polling: bool
    small_buffers: bool
    from_the_kit: bool
    """Whether the peer is the kit's own, and not the one of this folder."""

    def __str__(self) -> str:
        words = [self.loop.value, self.kind.value, self.subject.value, self.interruption.name]
        words += [name for name in ("tls", "proxied", "polling", "from_the_kit")
                  if getattr(self, name)]  # fmt: skip
        python = ".".join(map(str, sys.version_info[:2]))
        return f"seed {self.seed} (Python {python}, {', '.join(words).lower()})"


def draw(seed: int) -> Plan:
    """The plan of a seed."""
    dice = Random(seed)
    kind = dice.choices(list(Kind), [5, 4, 2])[0]
    ours = kind is not Kind.ASYNC_CLIENT
    loop = dice.choice(LOOPS)
    if not ours and loop is Loop.TRIO:
        loop = Loop.ASYNCIO
    from_the_kit = dice.random() < 0.2
    tls = not from_the_kit and dice.random() < 0.25
    late = dice.random() < 0.2
    return Plan(
        seed=seed,
        loop=loop,
        kind=kind,
        subject=dice.choices(list(Subject), [3, 2])[0],
        interruption=dice.choices(list(Interruption), [4, 3, 3, 2, 2, 2, 3])[0],
        turns=int(dice.expovariate(1 / dice.choice([5, 20, 80, 300, 1000]))),
        seconds=dice.uniform(0, 0.1) if late else 0,
        again=dice.choice([0, 1, 2, 5]),
        heartbeat=dice.choice([0.05, 0.1]),
        tls=tls,
        proxied=ours and not from_the_kit and dice.random() < 0.1,
        polling=not ours and not from_the_kit and dice.random() < 0.4,
        small_buffers=dice.random() < 0.2,
        from_the_kit=from_the_kit,
    )
