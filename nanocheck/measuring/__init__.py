"""Run a configuration or a command and hand back what its memory did; what that means is said elsewhere."""
