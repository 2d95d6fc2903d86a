"""Treacherous changes of the library, each of which a promise's own test must catch."""
