"""Is it still true what the ledger says of each claim? One test per claim.

The claims are those of ``nanocheck/claims/ledger`` and of any TOML file put into this folder. A test fails
where the verdict found is not the one that its file expects, and never because a claim is refuted.
``reports/claims-<card>.md`` is the ledger.
"""

from __future__ import annotations

import pytest

from nanocheck.claims.judging import Finding


def test_claim(claim_finding: Finding) -> None:
    claim, found = claim_finding.claim, claim_finding.verdict
    if claim_finding.same is None:
        pytest.skip(f"{claim.id}: {found} on {claim_finding.card}; nothing is expected of it there")
    if not claim_finding.same:
        figures = "\n".join(f"  {each.name} = {each.value}" for each in claim_finding.shown)
        why = f"\n{claim_finding.why}" if claim_finding.why else ""
        pytest.fail(
            f"{claim.id}: expected the verdict {claim.expected}, found {found}: {claim_finding.sentence}"
            f"{why}\n{figures}\n  hint: look at what changed; if it is right, edit {claim.where}",
            pytrace=False,
        )
