"""Leases: who may hold a transport for a bot and a user, in a process or over several machines."""

from __future__ import annotations

from .base import Holder, Lease, LeaseFactory, Leases, Lost, WhenHeld
from .local import LocalLeases
from .redis import RedisLeases

__all__ = [
    "Holder",
    "Lease",
    "LeaseFactory",
    "Leases",
    "LocalLeases",
    "Lost",
    "RedisLeases",
    "WhenHeld",
]
