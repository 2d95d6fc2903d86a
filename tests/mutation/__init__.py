"""Changes of one place of the core's source, each of which some test must notice."""
