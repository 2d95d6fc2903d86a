"""What things cost, as ratios measured side by side: ``python -m tests.benchmarks``."""
