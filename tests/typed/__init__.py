"""The public API as programs use it, for type checkers."""
