"""The 99 per cent, measured: one dashboard day, lived by several designs against a real server."""
