"""Every network, small."""

from __future__ import annotations

from msmtrec.models import MODELS
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

NETWORKS: dict[str, ModelSettings] = {
    one.name: one
    for one in (
        MMoESettings(embedding_dim=2, experts=2, expert_layers=(5, 4), tower_layers=(3,), dropout=0.2),
        PLESettings(embedding_dim=2, shared_experts=1, task_experts=2, expert_layers=(4, 3), dropout=0.2),
        STARSettings(embedding_dim=2, layers=(5, 4), tower_layers=(), auxiliary_layer=3),
        SingleTaskSettings(embedding_dim=2, layers=(5, 4), tower_layers=(3,), dropout=0.2),
        SharedBottomSettings(embedding_dim=2, layers=(5, 4), tower_layers=(3,), dropout=0.2),
        ESMMSettings(embedding_dim=2, layers=(5, 4), tower_layers=(), dropout=0.2),
        AITMSettings(embedding_dim=2, layers=(5, 4), tower_layers=(3,), dropout=0.2),
        PEPNetSettings(embedding_dim=2, layers=(5, 4), gate_layer=3, dropout=0.2),
        HiNetSettings(embedding_dim=2, expert_layers=(5, 4), task_layers=(3,), dropout=0.2),
        STEMSettings(embedding_dim=2, expert_layers=(5, 4), tower_layers=(3,), dropout=0.2),
        M2MSettings(embedding_dim=2, experts=2, expert_layers=(5, 4), attention_layer=3, dropout=0.2),
        M3oESettings(embedding_dim=2, star_layer=4, fused_layer=5, experts=2, expert_layers=(4,), dropout=0.2),
    )
}
assert NETWORKS.keys() == MODELS.keys()
