"""The same things on several releases of PyTorch: environments, runs, and what parts two of them."""
