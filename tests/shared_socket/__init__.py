"""One socket for many displayed codes: who has it, and when it is open."""
