"""The first copy: one snapshot, many workers."""
