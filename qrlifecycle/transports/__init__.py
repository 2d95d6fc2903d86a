"""Transports: how signals reach a lifecycle while a code is on screen.

`base` is the contract, `buffer` what push-style transports keep signals in, `socketio` the adapter
for Socket.IO servers. Only `base` is known to the lifecycle.
"""
