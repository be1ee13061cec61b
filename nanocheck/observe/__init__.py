"""Inside a script's process: what the allocator did, when, for whom. Only records, never judges.

``nanocheck run`` puts ``site/`` on ``PYTHONPATH``; Python imports its ``sitecustomize`` at start, which waits
until the script imports torch. From then on a journal of this process grows in the folder ``$NANOCHECK_RUN``.
Everything that a number is made of is recorded from PyTorch itself: its allocator's history and statistics.
"""
