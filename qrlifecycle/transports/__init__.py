"""Transports: how signals reach a lifecycle while a code is on screen.

`base` is the contract, and the lifecycle knows nothing else. What is told things begins with
`push`: `buffer` keeps signals, `messages` and `owner` say what a message means and whose it is,
`drops` counts what became nothing. `wire` is a WebSocket of our own; `socketio` speaks Socket.IO on
it, and `websocket` whatever else. `async_client` is the adapter over python-socketio's client:
`client` is that client, mended, and `ledger` knows its sockets. `pair` and `handshake` check what
both that speak Socket.IO are given.
"""
