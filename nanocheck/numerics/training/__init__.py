"""Training with real arithmetic: a plan becomes a trace, in a process of its own.

``runs`` (the caller's side, no torch) asks for ``job`` in a process of the harness; ``figures`` and ``text``
serve it, ``killing`` is the job that dies while it saves.
"""
