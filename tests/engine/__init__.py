"""The engine's modules by themselves: what a whole lifecycle shows only now and then."""
