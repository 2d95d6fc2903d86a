"""Many codes displayed over one shared socket: what each costs, and what a break does."""
