"""Gateways: the base, HTTP, and each service."""
