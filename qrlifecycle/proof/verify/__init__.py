"""What `qrlifecycle verify` runs, and what it says of it."""
