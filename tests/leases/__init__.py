"""Leases: their contract, in one process, and over several machines."""
