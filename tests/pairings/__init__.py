"""Tests of attempts that several join."""
