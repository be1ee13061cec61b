"""What moved between two days, two versions or two machines? Two recordings, or two memory reports. No torch.

``training`` and ``memory`` judge, ``training_told`` and ``memory_told`` put it into words; ``sides`` and
``words`` are what both comparisons are made of.
"""
