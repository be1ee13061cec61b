"""What must be said of a configuration, and what follows from the rest."""

from __future__ import annotations

import contextlib

from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError


def fewest_fields(config: StepConfig) -> dict[str, object]:
    """The fewest fields that make this configuration."""
    found = config.to_dict()
    for name in [each for each in found if each != "batch"]:
        without = {key: value for key, value in found.items() if key != name}
        with contextlib.suppress(RequestError):  # some go only together, such as width and heads
            if StepConfig.from_dict(without) == config:
                found = without
    return found
