"""Does the training step still compute the same? Real arithmetic only, on the CPU or a real GPU.

``plan`` says what to train, ``training`` trains it in a process of its own and hands back a ``trace``. What
judges (``tiers``, ``divergence``, ``properties``, and ``kept`` and ``language`` with their files) is pure
functions of traces and imports no torch; ``cases`` are the runs that the suites ask for, ``section`` is what
the card's report says of them, ``recording`` is for `nanocheck compare`.
"""
