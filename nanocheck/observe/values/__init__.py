"""Values and sizes on the virtual GPU: what is known of them, and what stands for the rest.

A kernel is never executed there. But labels, masks, positions and lengths are integers and booleans that
the host wrote, and what PyTorch makes of them decides sizes: so operators over known ones are computed, by
PyTorch's own CPU kernels (``known_operators``). Sizes that hang on values nobody computes are decided by a
policy and counted (``unknown_sizes``).
"""
