"""PyTorch's process groups where ranks of a run are left out (``absent_ranks``), as if all were there."""
