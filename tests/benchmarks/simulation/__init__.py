"""The leases' protocol at a size that no machine here has: the real code, on a virtual clock."""
