"""Client networks: pure functions of a mapping name -> tensor, with a leading axis K of members trained together."""

from __future__ import annotations

from msmtrec.models.settings.aitm import AITMSettings
from msmtrec.models.settings.base import ModelSettings
from msmtrec.models.settings.esmm import ESMMSettings
from msmtrec.models.settings.hinet import HiNetSettings
from msmtrec.models.settings.m2m import M2MSettings
from msmtrec.models.settings.m3oe import M3oESettings
from msmtrec.models.settings.mmoe import MMoESettings
from msmtrec.models.settings.pepnet import PEPNetSettings
from msmtrec.models.settings.ple import PLESettings
from msmtrec.models.settings.shared_bottom import SharedBottomSettings
from msmtrec.models.settings.single_task import SingleTaskSettings
from msmtrec.models.settings.star import STARSettings
from msmtrec.models.settings.stem import STEMSettings

MODELS: dict[str, type[ModelSettings]] = {
    "mmoe": MMoESettings,
    "ple": PLESettings,
    "star": STARSettings,
    "single-task": SingleTaskSettings,
    "shared-bottom": SharedBottomSettings,
    "esmm": ESMMSettings,
    "aitm": AITMSettings,
    "pepnet": PEPNetSettings,
    "hinet": HiNetSettings,
    "stem": STEMSettings,
    "m2m": M2MSettings,
    "m3oe": M3oESettings,
}
"""Names that a config's `model.name` may have."""
