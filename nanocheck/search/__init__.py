"""What to train with: the fastest configurations that fit a card, and how far each way of training reaches.

``nanocheck.search.advisor.advise`` and ``nanocheck.search.frontier.search`` are the doors. Every figure was
run; arithmetic only chooses what to run next and in which order answers are listed. Imports no torch.
"""
