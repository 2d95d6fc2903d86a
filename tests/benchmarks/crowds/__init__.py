"""What a crowd costs: many codes displayed in one process, beside as many bare clients."""
