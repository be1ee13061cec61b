"""Claims that people make about training on a card, decided by running them; see docs/add-a-claim.md."""

from nanocheck.claims.check import Check, Decision
from nanocheck.claims.claim import Claim, Note
from nanocheck.claims.interval import Interval, maximum, minimum, span

__all__ = ["Check", "Claim", "Decision", "Interval", "Note", "maximum", "minimum", "span"]
