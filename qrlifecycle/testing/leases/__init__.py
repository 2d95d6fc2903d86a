"""Leases of any keeper against the clauses L1 to L9 of `qrlifecycle.leases.base`."""

from __future__ import annotations

from .check import LeaseCheckResult, LeaseReport, LeasesBroken, check_leases, lease_checks
from .machines import MakeTwo, TwoMachines

__all__ = [
    "LeaseCheckResult",
    "LeaseReport",
    "LeasesBroken",
    "MakeTwo",
    "TwoMachines",
    "check_leases",
    "lease_checks",
]
