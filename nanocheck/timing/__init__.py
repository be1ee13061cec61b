"""From a step's kernels to seconds on a card that is not there: pure arithmetic, provenance *modelled*.

It runs nothing and knows no torch. ``constants.toml`` holds all it was fitted to, ``docs/time.md`` says how.
"""
