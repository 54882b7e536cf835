"""Client networks: pure functions of a mapping name -> tensor, with a leading axis K of members trained together."""

from __future__ import annotations

from msmtrec.models.settings.base import ModelSettings
from msmtrec.models.settings.mmoe import MMoESettings
from msmtrec.models.settings.ple import PLESettings
from msmtrec.models.settings.star import STARSettings

MODELS: dict[str, type[ModelSettings]] = {"mmoe": MMoESettings, "ple": PLESettings, "star": STARSettings}
"""Names that a config's `model.name` may have."""
