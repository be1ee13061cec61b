"""Records one step for the question how long it takes: what it launches, and how long this host needs for it.

It moves no memory of the card and changes nothing that the script computes: PyTorch's own execution trace
sees the operators, and our launcher of generated kernels says what it was given.
"""
