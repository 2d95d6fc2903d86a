"""Our own WebSocket: what it says of each end, and what it leaves at each."""
