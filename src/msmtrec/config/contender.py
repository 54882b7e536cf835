"""A contender of the result table: its settings, resolved, for each of its candidates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msmtrec.base.errors import UserError, nearest
from msmtrec.base.sentences import build, known, one_of, optional_group
from msmtrec.config.keys import CONTENDER
from msmtrec.config.switched import WITHOUT, fine_tune_group, statistics_group, statistics_of
from msmtrec.config.train import FineTune, TrainSettings
from msmtrec.config.tune import Grid, candidates, clashes, joined, parse_grid, paths, size, without
from msmtrec.methods import METHODS, Entry, MethodSettings
from msmtrec.models import MODELS
from msmtrec.models.settings.base import ModelSettings
from msmtrec.record.columns import AS_IT_WAS, FINE_TUNED, POOLED, REFERENCE
from msmtrec.statistics.settings import StatisticsSettings

_KEYS = tuple(setting.name for setting in CONTENDER)


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One candidate for a column of the result table: a method with everything resolved.

    Args:
        name: the column.
        candidate: what tells it from the column's other candidates ("" where nothing is tuned).
        fine_tune: not None gives a second column, fine-tuned from the best rounds of the same training.
        statistics: what its rows read of their ids in earlier training rows; None nothing.
        grid: what the candidates of this contender differ in.
        start: the finished run whose contender of this name it goes on from; its column there is a column here too.
    """

    name: str
    candidate: str
    method: str
    preset: str | None
    settings: MethodSettings
    model: ModelSettings
    train: TrainSettings
    fine_tune: FineTune | None
    statistics: StatisticsSettings | None = None
    grid: Grid
    start: Path | None = None

    @property
    def entry(self) -> Entry:
        return METHODS[self.method]

    @property
    def shares_ids(self) -> bool:
        """Whether its rows have the ids of fields that scenarios agreed on, and not their own."""
        summed = self.statistics.summed if self.statistics else False
        return self.settings.shares_embeddings or (bool(self.entry.alone) if summed is None else bool(summed))

    @property
    def needs_common_ids(self) -> bool:
        """Whether it makes no sense where scenarios agreed on no ids."""
        return self.shares_ids and not self.entry.alone

    @property
    def has_head(self) -> bool:
        """Whether a linear head is fitted first, and the network learns what it leaves over."""
        return self.statistics is not None and self.statistics.wide == "offset"

    @property
    def title(self) -> str:
        """Its name, and the candidate's where there are several."""
        return f"{self.name}/{self.candidate}" if self.candidate else self.name

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table that its training fills."""
        return (self.name, *((self.tuned,) if self.fine_tune else ()), *((self.as_it_was,) if self.start else ()))

    @property
    def tuned(self) -> str:
        """The column of fine-tuned models."""
        return f"{self.name}{FINE_TUNED}"

    @property
    def as_it_was(self) -> str:
        """The column of the models that training goes on from."""
        return f"{self.name}{AS_IT_WAS}"

    @property
    def kind(self) -> str:
        """REFERENCE, POOLED or "": whether the others are tested against it."""
        return POOLED if self.entry.pooled else REFERENCE if self.entry.reference else ""

    @property
    def rounds(self) -> int:
        """At most, those of fine-tuning among them."""
        trained = 0 if self.entry.alone else self.train.rounds
        return trained + (self.fine_tune.rounds if self.fine_tune else 0)

    def as_dict(self) -> dict[str, Any]:
        """In the form a config file has, with nothing left to defaults but what the grid sets."""
        return {**without(self.resolved, self.grid), "tune": self.grid} if self.grid else self.resolved

    @property
    def resolved(self) -> dict[str, Any]:
        """Its settings with nothing left to defaults, those of its place in the grid among them."""
        return {
            "method": self.method,
            **({"preset": self.preset} if self.preset else {}),
            "options": self.settings.model_dump(mode="json"),
            "model": self.model.model_dump(mode="json"),
            "train": self.train.model_dump(mode="json"),
            "fine_tune": self.fine_tune.model_dump(mode="json") if self.fine_tune else False,
            "statistics": self.statistics.model_dump(mode="json") if self.statistics else False,
        }


def parse_contender(
    name: str, raw: dict[str, Any], whole: Mapping[str, Any], common: Grid, limit: int
) -> tuple[Contender, ...]:
    """All candidates of a contender."""
    place = f"methods.{name}"
    if not re.fullmatch(r"[A-Za-z0-9][\w.+-]*", name):
        raise UserError(f"{place}: a contender's name is a folder; use letters, digits, '.', '_', '+' and '-'")
    if name.endswith(FINE_TUNED):
        raise UserError(
            f"{place}: '{FINE_TUNED}' is for the column of fine-tuned models; call the contender"
            f" '{name.removesuffix(FINE_TUNED)}': with fine_tune it has both columns, from one training"
        )
    if name.endswith(AS_IT_WAS):
        raise UserError(
            f"{place}: '{AS_IT_WAS}' is for the column of models as they were in the run that training goes on from"
        )
    known(raw, _KEYS, place)
    if raw.get("space") is not None:
        raise UserError(f"{place}.space is for `msmtrec bench`, in a config with bench; elsewhere it is {place}.tune")
    method = one_of(raw.get("method", name), METHODS, f"{place}.method")
    entry, preset = METHODS[method], raw.get("preset")
    if entry.pooled and whole.get("start") is not None:
        raise UserError(f"{place}: a pooled model cannot go on from a run, which keeps it as one model per scenario")
    if entry.boosted and whole.get("start") is not None:
        raise UserError(f"{place}: trees do not go on from a run, they are grown anew; leave it out: --contender NAME")
    if preset is not None:
        preset = one_of(preset, entry.presets, f"{place}.preset")
    switched = {
        "fine_tune": fine_tune_group(whole.get("fine_tune"), raw.get("fine_tune"), entry, place),
        "statistics": statistics_group(whole.get("statistics"), raw.get("statistics"), method, place),
    }
    grid = _contender_grid(common, raw, entry, preset, switched, place)
    if size(grid) > limit:
        raise UserError(
            f"{place}: {size(grid)} candidates, but a contender may have {limit}; list fewer values, or set"
            f" tune_candidates: {size(grid)}, so that every contender may have as many"
        )
    resolved = {**raw, **switched}
    return tuple(
        _candidate(name, label, method, preset, own, whole, grid) for label, own in candidates(grid, resolved, place)
    )


def _contender_grid(
    common: Grid,
    raw: Mapping[str, Any],
    entry: Entry,
    preset: str | None,
    switched: Mapping[str, Mapping[str, Any] | None],
    place: str,
) -> Grid:
    """The common grid and the contender's own.

    Raises:
        UserError: it sets what the contender sets itself, or does not have.
    """
    own = parse_grid(raw.get("tune"), f"{place}.tune")
    grid = joined(common, own, place)
    for key, values in grid.items():
        where = f"{place}.tune.{key}" if key in own else f"tune.{key}"
        for path in paths(key, values):
            head, option = path.split(".")[:2]
            if head == "options" and option not in entry.settings.model_fields:
                hint = nearest(option, entry.settings.model_fields)
                if key in own:
                    raise UserError(f"{where}: there is no option '{option}'; {hint}")
                raise UserError(
                    f"{where}: not every contender has the option: {place} has none of that name; move it to"
                    " methods.NAME.tune of those that have it"
                )
            if head in switched and switched[head] is None:
                raise UserError(f"{where}: {place} {WITHOUT[head]}")
    for key, setting in clashes(grid, raw, place):
        where = f"{place}.tune.{key}" if key in own else f"tune.{key}"
        more = "" if key in own else f", or give the contender values of its own: {place}.tune.{key}"
        raise UserError(f"{where} would overwrite {setting}; remove one of the two{more}")
    fixed = {"options": {**entry.defaults, **(entry.presets[preset] if preset else {})}}
    for key, setting in clashes({k: v for k, v in grid.items() if k not in own}, fixed, place):
        raise UserError(
            f"tune.{key} would overwrite {setting}, which its method or preset sets; give the contender values of its"
            f" own: {place}.tune.{key}"
        )
    return grid


def _candidate(
    name: str,
    label: str,
    method: str,
    preset: str | None,
    raw: Mapping[str, Any],
    whole: Mapping[str, Any],
    grid: Grid,
) -> Contender:
    place, entry = f"methods.{name}", METHODS[method]
    options = {
        **entry.defaults,
        **(entry.presets[preset] if preset else {}),
        **optional_group(raw.get("options"), f"{place}.options"),
    }
    settings: MethodSettings = build(entry.settings, options, f"{place}.options")
    train = optional_group(whole.get("train"), "train")
    own = optional_group(raw.get("train"), f"{place}.train")
    if "local_steps" in own or "local_epochs" in own:
        train = {k: v for k, v in train.items() if k not in ("local_steps", "local_epochs")}
    return Contender(
        name=name,
        candidate=label,
        method=method,
        preset=preset,
        settings=settings,
        model=_parse_model(whole.get("model"), raw.get("model"), place).for_method(template=entry.template),
        train=build(TrainSettings, {**train, **own}, "train"),
        fine_tune=None if raw["fine_tune"] is None else build(FineTune, raw["fine_tune"], f"{place}.fine_tune"),
        statistics=statistics_of(raw["statistics"], entry, place),
        grid=grid,
        start=None if whole.get("start") is None else Path(whole["start"]),
    )


def _parse_model(common: Any, own: Any, place: str) -> ModelSettings:
    """The network's settings: the common group's, then the contender's own.

    A contender that names another network than the common group takes from that group what its network has too.
    """
    shared, mine = optional_group(common, "model"), optional_group(own, f"{place}.model")
    usual = one_of(shared.get("name", "mmoe"), MODELS, "model.name")
    build(MODELS[usual], shared, "model")
    name = one_of(mine.get("name", usual), MODELS, f"{place}.model.name")
    if name != usual:
        shared = {key: value for key, value in shared.items() if key in MODELS[name].model_fields}
    return build(MODELS[name], {**shared, **mine, "name": name}, f"{place}.model" if mine else "model")
