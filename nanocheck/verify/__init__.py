"""The virtual card beside the real one of the same kind: the same cases on both, and what differs."""
