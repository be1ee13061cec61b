"""A language of known entropy: ``source`` is its closed forms, ``approach`` how near a run came to its floor.

``held_out`` scores a model on fresh text (torch); ``distances`` is the file of how near it must come.
"""
