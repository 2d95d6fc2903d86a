"""Misbehaving peers against cancelled transports, at random: ``python -m tests.hostile``."""
