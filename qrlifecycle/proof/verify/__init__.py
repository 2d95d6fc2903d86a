"""What `qrlifecycle verify` runs, and how it reports the results."""
