"""Does the training step still compute the same? Real arithmetic only, on the CPU or a real GPU.

``plan`` says what to train, ``training`` trains it in a process of its own and hands back a ``trace``. What
decides (``tiers``, ``divergence``, ``properties``; ``golden`` curves and the ``language`` of known entropy
with the files that hold their figures) is pure functions of traces and imports no torch. ``cases`` are the
runs that the suites ask for; ``recording`` and ``compare`` serve the two verbs `record` and `compare`.
"""
