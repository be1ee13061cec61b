"""What may decide a size that hangs on values nobody computes, and how an observed process learns of it."""

from __future__ import annotations

#: The first is the default. What each means: ``unknown_sizes``.
POLICIES = ("worst", "balanced", "least")
#: Names the policy to an observed process.
VARIABLE = "NANOCHECK_RUN_SIZES"
