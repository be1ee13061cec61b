"""The reference step as one of several ranks: its process group, and what each way of sharding does to it."""
