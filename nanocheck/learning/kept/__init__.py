"""What was measured over seeds and is kept in ``baselines/``: spreads, golden curves. No torch."""
