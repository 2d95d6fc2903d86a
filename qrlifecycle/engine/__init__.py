"""One `pair()`: the loop, what it decides on, and who is told. It knows no adapter."""
