"""Does the training step still compute the same? Real arithmetic only, on the CPU or a real GPU.

``plan`` says what to train, ``job`` trains it in a process of its own and hands back a ``trace``; everything
that judges (``tiers``, ``parting``, ``golden``, ``properties``) is a pure function of traces and imports no
torch.
"""
