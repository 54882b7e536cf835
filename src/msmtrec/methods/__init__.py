"""One federated algorithm per file, and the table of names a config may use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from msmtrec.methods.settings.apple import AppleSettings
from msmtrec.methods.settings.base import MethodSettings
from msmtrec.methods.settings.ditto import DittoSettings
from msmtrec.methods.settings.fedala import FedALASettings
from msmtrec.methods.settings.fedamp import FedAMPSettings
from msmtrec.methods.settings.fedavg import FedAvgSettings
from msmtrec.methods.settings.fedbn import FedBNSettings
from msmtrec.methods.settings.feddwa import FedDWASettings
from msmtrec.methods.settings.fedhca2 import FedHCA2Settings
from msmtrec.methods.settings.fedmtl import FedMTLSettings
from msmtrec.methods.settings.fedper import FedPerSettings
from msmtrec.methods.settings.fedprox import FedProxSettings
from msmtrec.methods.settings.fedrep import FedRepSettings
from msmtrec.methods.settings.gbm import GBMSettings
from msmtrec.methods.settings.item_mix import ItemMixSettings
from msmtrec.methods.settings.linear import BiasSettings, LinearSettings
from msmtrec.methods.settings.matfl import MaTFLSettings
from msmtrec.methods.settings.pf_msmtrec import PAPER, PFSettings
from msmtrec.methods.settings.pfedme import PFedMeSettings
from msmtrec.methods.settings.scaffold import ScaffoldSettings


@dataclass(frozen=True)
class Entry:
    """A name in a config.

    Args:
        settings: its options.
        defaults: options this name fixes as defaults.
        presets: preset name -> options.
        pooled: trains one model on all scenarios' rows (no privacy; a reference only).
        reference: what a method of interest must be better than; the best of them on validation is tested against.
        template: whether experts use the parameter template unless the contender says otherwise.
        alone: what it is called in model files (`models.alone`), where it has no network: nothing is trained in rounds.
        about: one line for `msmtrec list methods`.
    """

    settings: type[MethodSettings]
    about: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    _: KW_ONLY
    pooled: bool = False
    reference: bool = False
    template: bool = False
    alone: str = ""

    @property
    def boosted(self) -> bool:
        """Whether trees are grown in a network's place."""
        return issubclass(self.settings, GBMSettings)


METHODS: dict[str, Entry] = {
    "local": Entry(FedAvgSettings, "every scenario trains alone", {"average": "nothing"}, reference=True),
    "emb-only": Entry(
        FedAvgSettings,
        "shared-field embeddings averaged by touches, nothing else",
        {"average": "embeddings"},
        reference=True,
    ),
    "fedavg": Entry(FedAvgSettings, "everything but embeddings averaged by rows (McMahan et al. 2017)", reference=True),
    "fedavg-all": Entry(
        FedAvgSettings, "fedavg and shared-field embeddings", {"average": "everything"}, reference=True
    ),
    "pooled": Entry(FedAvgSettings, "one model on all rows: what privacy costs", {"average": "nothing"}, pooled=True),
    "bias": Entry(BiasSettings, "rates and shrunk means of ids; no network", reference=True, alone="means-alone"),
    "linear": Entry(LinearSettings, "the linear head of statistics; no network", reference=True, alone="head-alone"),
    "gbm": Entry(GBMSettings, "gradient boosting for every scenario; no network", reference=True, alone="trees"),
    "gbm-pooled": Entry(GBMSettings, "gradient boosting on all rows; no network", pooled=True, alone="trees"),
    "scaffold": Entry(ScaffoldSettings, "control variates, plain SGD (Karimireddy et al. 2020)", reference=True),
    "ditto": Entry(DittoSettings, "FedAvg beside a personal model held near it (Li et al. 2021)", reference=True),
    "fedrep": Entry(FedRepSettings, "gates and towers local, trained first (Collins et al. 2021)", reference=True),
    "fedala": Entry(FedALASettings, "towers mixed with the mean, learned (Zhang et al. 2023)", reference=True),
    "apple": Entry(AppleSettings, "own mixture of everybody's cores, learned (Luo & Wu 2022)", reference=True),
    "fedprox": Entry(FedProxSettings, "FedAvg with local steps held near the mean (Li et al. 2020)", reference=True),
    "fedper": Entry(FedPerSettings, "gates and towers local, trained with the rest (Arivazhagan 2019)", reference=True),
    "fedbn": Entry(FedBNSettings, "batch normalisation local, all else averaged (Li et al. 2021)", reference=True),
    "mat-fl": Entry(MaTFLSettings, "bodies mixed by the direction they deviate in (Cai et al. 2023)", reference=True),
    "fedamp": Entry(FedAMPSettings, "drawn to an attentive mixture of all models (Huang et al. 2021)", reference=True),
    "feddwa": Entry(FedDWASettings, "own mixture of the models that it nears (Liu et al. 2023)", reference=True),
    "pfedme": Entry(PFedMeSettings, "personal models near a common one that follows them (Dinh 2020)", reference=True),
    "fedmtl": Entry(FedMTLSettings, "own models held together as they are related (Smith et al. 2017)", reference=True),
    "fedhca2": Entry(FedHCA2Settings, "bodies coordinated, heads attend, both as learned (Lu 2024)", reference=True),
    "item-mix": Entry(ItemMixSettings, "shared and own embeddings mixed id by id, learned (Chen 2026)", reference=True),
    "pf-msmtrec": Entry(
        PFSettings,
        "PF-MSMTrec (arXiv 2406.18938)",
        presets={"paper": PAPER, "recommended": {}},
        template=True,
    ),
}

__all__ = ["METHODS", "Entry", "MethodSettings"]
