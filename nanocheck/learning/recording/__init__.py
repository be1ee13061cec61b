"""What small trainings computed, for `nanocheck compare`: ``recorder`` asks, ``file`` keeps. No torch."""
