"""Judges of the formal model that are not its own enumeration."""
