"""Every key that a config may have, in groups: what `msmtrec list settings` prints and the documentation holds."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from msmtrec.base.explain import Setting, explain
from msmtrec.base.settings import Settings
from msmtrec.config.ablation import AblateSettings
from msmtrec.config.bench import BenchSettings
from msmtrec.config.expected import Expected
from msmtrec.config.keys import CONTENDER, TOP
from msmtrec.config.parse import SOURCES
from msmtrec.config.space import Range
from msmtrec.config.train import Balance, FineTune, TrainSettings
from msmtrec.logs.reading.csv_form import CsvForm
from msmtrec.logs.sources.settings.columns import Column, Label, Shared
from msmtrec.logs.sources.settings.kuairand import Window
from msmtrec.logs.sources.settings.split import Split
from msmtrec.logs.sources.settings.tables import Table
from msmtrec.logs.synthetic.power_law import PowerLaw
from msmtrec.methods import METHODS
from msmtrec.models import MODELS
from msmtrec.statistics.settings import StatisticsSettings


@dataclass(frozen=True)
class Group:
    """Keys that stand together.

    Args:
        place: where they stand in a config; `{}` is the key: `train.{}`.
        settings: the keys.
        of: what has them, where that is a choice: `mmoe`.
        kind: the class they are read from; None for the keys of a file and of a contender.
    """

    place: str
    settings: tuple[Setting, ...]
    _: KW_ONLY
    of: str = ""
    kind: type[Settings] | None = None

    def key(self, setting: Setting) -> str:
        """As one writes it, with what has it in brackets."""
        return f"{self.place.format(setting.name)}{f' ({self.of})' if self.of else ''}"


def groups() -> tuple[Group, ...]:
    """All of them: of the file, the contenders, the training, the networks, the methods and the logs."""
    methods = {entry.settings: name for name, entry in reversed(METHODS.items())}  # local and others are fedavg's
    methods |= {METHODS["fedavg"].settings: "fedavg"}
    return (
        Group("{}", TOP),
        Group("methods.NAME.{}", CONTENDER),
        _group("train.{}", TrainSettings),
        _group("train.balance.{}", Balance),
        *(_group("model.{}", kind, name) for name, kind in MODELS.items()),
        _group("fine_tune.{}", FineTune),
        _group("statistics.{}", StatisticsSettings),
        _group("bench.{}", BenchSettings),
        _group("bench.space.KEY.{}", Range),
        _group("ablate.{}", AblateSettings),
        _group("expected.{}", Expected),
        *(_group("options.{}", kind, methods[kind]) for kind in reversed(methods)),
        Group("data.{}", (Setting("source", "required", f"Which logs: {', '.join(SOURCES)}."),)),
        *(_group("data.{}", kind, name) for name, kind in SOURCES.items()),
        _group("data.tasks.NAME.{}", Label, "tabular, sql"),
        _group("data.features.NAME.{}", Column, "tabular, sql"),
        _group("data.features.NAME.shared.{}", Shared, "tabular, sql"),
        _group("data.tables.NAME.{}", Table, "tabular, sql"),
        _group("data.split.{}", Split, "tabular, sql"),
        _group("data.csv.{}", CsvForm, "tabular"),
        _group("data.window.{}", Window, "kuairand"),
        _group("data.rows.{}", PowerLaw, "synthetic"),
    )


def _group(place: str, kind: type[Settings], of: str = "") -> Group:
    return Group(place, tuple(one for one in explain(kind) if one.name != "source"), of=of, kind=kind)
