"""Leases of several machines, kept by one Redis or Valkey."""

from __future__ import annotations

from .client import KeeperClient, KeeperConnection
from .leases import RedisLeases

__all__ = ["KeeperClient", "KeeperConnection", "RedisLeases"]
