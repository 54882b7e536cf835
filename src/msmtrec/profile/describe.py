"""What is in the logs: rows, label rates, vocabularies, unknown ids; and features that know too much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass

import numpy as np
import polars as pl

from msmtrec.base.feature import Feature
from msmtrec.base.schema import Schema
from msmtrec.data.encoding.derived import derive
from msmtrec.data.logs import SPLIT, SPLITS, Logs
from msmtrec.data.table import EncodedData, ScenarioTable
from msmtrec.evaluation.metrics import auc
from msmtrec.profile.norms import with_norms

LEAKAGE_AUC = 0.99
LEAKAGE_LABELS = 10
"""Validation rows of either class that it takes: fewer are ranked perfectly by chance."""
LEAKAGE_ROWS = 1_000_000
"""Rows of all scenarios that are looked at, at most a tenth of them of one scenario and split."""
OUTSIDE_SHARE = 0.5
"""Of a shared field's test values, from which a warning is due."""


@dataclass(frozen=True)
class ScenarioProfile:
    """One scenario.

    Args:
        rows: split -> rows.
        rates: task -> share of positives over all its labelled rows (absent where the scenario lacks the task).
        groups: distinct users or sessions in all splits.
        vocabulary: ids over all fields; unknown: mean share of unknown values in test rows over fields.
    """

    scenario: str
    rows: dict[str, int]
    rates: dict[str, float]
    groups: int
    _: KW_ONLY
    vocabulary: int
    unknown: float


def describe(data: EncodedData) -> list[ScenarioProfile]:
    """Profiles in table order."""
    return [_profile(data, table) for table in data.tables.values()]


def _profile(data: EncodedData, table: ScenarioTable) -> ScenarioProfile:
    labels = np.concatenate([table.splits[split].labels for split in SPLITS])
    groups = np.concatenate([table.splits[split].group for split in SPLITS])
    present = data.schema.has_task(table.scenario)
    unknown = [shares["test"] for shares in table.encoding["unknown"].values()]
    return ScenarioProfile(
        table.scenario,
        {split: len(table.splits[split]) for split in SPLITS},
        {task: float(np.nanmean(labels[:, t])) for t, task in enumerate(data.schema.task_names) if present[t]},
        len(np.unique(groups)),
        vocabulary=sum(table.encoding["vocabulary"].values()),
        unknown=float(np.mean(unknown)) if unknown else 0.0,
    )


def shared_unknown(data: EncodedData) -> dict[str, dict[str, float]]:
    """Scenario -> shared field -> the share of its test values that are outside the id space, highest first."""
    names = [field.name for field in data.layout.fields if field.shared]
    found = {}
    for scenario, table in data.tables.items():
        shares = {name: table.encoding["unknown"][name]["test"] for name in names}
        found[scenario] = dict(sorted(shares.items(), key=lambda share: -share[1]))
    return found


def outside(data: EncodedData) -> Iterator[str]:
    """A sentence for every shared field most of whose test values are outside the id space."""
    features = {feature.name: feature for feature in data.schema.categorical}
    for scenario, shares in shared_unknown(data).items():
        for name, share in shares.items():
            space = features[name].shared
            if share > OUTSIDE_SHARE and space is not None:
                remedy = f"ids are integers from 0 to {space.size - 1}" if space.kind == "ids" else "check the list"
                yield (
                    f"shared field '{name}' of scenario '{scenario}': {100 * share:.0f} % of test values are outside"
                    f" its id space; {remedy}, or share it by hash"
                )


def leaks(logs: Logs) -> Iterator[str]:
    """A sentence for every feature that alone separates a task's classes (AUC above .99 on validation rows).

    Of a vector only its length is looked at.
    """
    logs = with_norms(logs)
    for scenario, (train, held) in _samples(logs).items():
        yield from leaking(logs.schema, scenario, train, held)


def leaking(schema: Schema, scenario: str, train: pl.DataFrame, held: pl.DataFrame) -> Iterator[str]:
    """The same for one scenario, from training and validation rows."""
    for task in schema.tasks:
        if task.name not in schema.scenarios[scenario]:
            continue
        positives = int((held[task.label].cast(pl.Float64) == 1).sum())
        if not LEAKAGE_LABELS <= positives <= held[task.label].count() - LEAKAGE_LABELS:
            continue
        for feature in schema.features:
            found = _alone(feature, task.label, train, held)
            if not np.isnan(found) and max(found, 1 - found) > LEAKAGE_AUC:
                yield (
                    f"feature '{feature.name}' alone reaches AUC {max(found, 1 - found):.4f} for task '{task.name}'"
                    f" in scenario '{scenario}': is it known before the impression?"
                )


def _samples(logs: Logs) -> dict[str, tuple[pl.DataFrame, pl.DataFrame]]:
    """Scenario -> its first training and validation rows."""
    most = min(LEAKAGE_ROWS // 10, LEAKAGE_ROWS // (2 * len(logs.schema.scenarios)))
    kept: dict[str, tuple[list[pl.DataFrame], list[pl.DataFrame]]] = {}
    for scenario, rows in logs.stream():
        for frames, split in zip(kept.setdefault(scenario, ([], [])), ("train", "validation"), strict=True):
            room = most - sum(frame.height for frame in frames)
            frames.append(rows.filter(pl.col(SPLIT) == split).head(room))
    return {
        name: (derive(logs.schema, pl.concat(train), name), derive(logs.schema, pl.concat(held), name))
        for name, (train, held) in kept.items()
    }


def _alone(feature: Feature, label: str, train: pl.DataFrame, held: pl.DataFrame) -> float:
    """AUC of one feature on validation rows: the value itself, or the (mean) training label rate of its values."""
    held = held.filter(pl.col(label).is_not_null())
    truth = held[label].cast(pl.Float64).to_numpy()
    if feature.kind == "numeric":
        return auc(held[feature.name].cast(pl.Float64).fill_null(0).to_numpy(), truth)
    seen, asked = (
        rows.select(pl.col(feature.name).alias("value"), pl.col(label).cast(pl.Float64)).with_row_index("row")
        for rows in (train, held)
    )
    if feature.has_lists:
        seen, asked = (rows.explode("value", empty_as_null=True) for rows in (seen, asked))
    rate = seen.group_by("value").agg(pl.col(label).mean().alias("rate"))
    known = asked.join(rate, on="value", how="left", nulls_equal=True)
    scores = known.group_by("row").agg(pl.col("rate").fill_null(seen[label].mean() or 0.0).mean()).sort("row")
    return auc(scores["rate"].to_numpy(), truth)
