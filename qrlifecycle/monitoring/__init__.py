"""What watches lifecycles in production: journal, audit, metrics, timeline."""
