"""Transports: how signals reach a lifecycle while a code is on screen.

`base` is the contract, `buffer` what push-style transports keep signals in. `socketio` is the
adapter for Socket.IO servers; it stands on `messages`, `handshake` and `ledger`. The lifecycle
knows `base` only.
"""
