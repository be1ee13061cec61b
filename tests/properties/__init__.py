"""Properties of what PyTorch does with memory, for any configuration, run on the virtual GPU."""
