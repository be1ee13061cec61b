"""What to train with: the fastest configurations that fit a card, and how far each way of training reaches.

``nanocheck.advise.search.advise`` and ``nanocheck.advise.frontier.chart`` are the doors. What is told was
run; arithmetic only chooses what to run next and in which order answers are told. Imports no torch.
"""
