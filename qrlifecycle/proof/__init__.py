"""What proves this library itself: exploration, formal model, soak, and what `verify` runs."""
