"""What everything else is about, as plain typed values: configurations, cards, results, verdicts.

Nothing here knows of torch, of pytest or of processes.
"""
