"""Trees of every seed and scenario of a contender that boosts them: all its training, as there are no rounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from msmtrec.base.member import Member
from msmtrec.base.parameters import Parameters
from msmtrec.base.streams import stream_seed
from msmtrec.data.table import EncodedData, Rows, ScenarioTable
from msmtrec.evaluation.metrics import auc, counting, log_loss
from msmtrec.methods.boosting import Floats, Given, grow, inputs
from msmtrec.methods.settings.gbm import GBMSettings
from msmtrec.models.grown import packed
from msmtrec.models.trees import Categories


def boosted_trees(
    settings: GBMSettings, data: EncodedData, seeds: tuple[int, ...], dtype: torch.dtype
) -> dict[Member, Parameters]:
    """What each member serves; every seed draws rows and columns otherwise, a scenario and a task by its name.

    data: with the statistics that rows read.
    """
    found = dict[Member, Parameters]()
    for name, table in data.tables.items():
        for seed, parameters in _of_table(settings, data, table, seeds, dtype).items():
            found[Member(seed, name)] = parameters
    return {Member(seed, name): found[Member(seed, name)] for seed in seeds for name in data.tables}


def _of_table(
    settings: GBMSettings, data: EncodedData, table: ScenarioTable, seeds: tuple[int, ...], dtype: torch.dtype
) -> dict[int, Parameters]:
    layout, train, validation = data.layout, table.splits["train"], table.splits["validation"]
    categories = Categories.of(train, layout, settings.categories)
    M, x = layout.numeric, {}
    for split, rows in (("train", train), ("validation", validation)):
        x[split] = inputs(rows.numeric[:, :M], categories(rows))
    columns = range(M, x["train"].shape[1])
    forests: dict[int, list[Any]] = {seed: [] for seed in seeds}
    for number, task in enumerate(layout.tasks):
        given, held = (_given(rows, x[split], number) for split, rows in (("train", train), ("validation", validation)))
        score = _score(validation, number, held)
        for seed in seeds:
            drawn = stream_seed(seed, "trees", table.scenario, task) >> 32  # 31 bits
            grown = grow(settings, given, held, score, categories=columns, seed=drawn, threads=torch.get_num_threads())
            forests[seed].append(grown)
    return {seed: packed(own, M, categories, len(layout.scenarios), dtype) for seed, own in forests.items()}


def _given(rows: Rows, x: NDArray[np.float32], task: int) -> Given:
    known = counting(rows.labels[:, task], rows.weight)
    weight, offset = (None if one is None else one[known] for one in (rows.weight, rows.offset))
    return Given(
        x[known],
        rows.labels[known, task],
        weight=weight,
        offset=None if offset is None else np.ascontiguousarray(offset[:, task]),
    )


def _score(validation: Rows, task: int, held: Given) -> Callable[[Floats], float]:
    """The mean AUC over scenarios, as rounds are chosen by; without any, minus the log loss."""
    assert validation.scenario is not None
    scenario = validation.scenario[counting(validation.labels[:, task], validation.weight)]
    parts = [np.flatnonzero(scenario == number) for number in np.unique(scenario)]
    parts = [part for part in parts if len(np.unique(held.labels[part])) == 2]

    def score(probabilities: Floats) -> float:
        if not parts:
            ends = np.finfo(np.float64).eps
            p = np.clip(probabilities, ends, 1 - ends)
            return -log_loss(np.log(p / (1 - p)), held.labels, held.weight)
        weights = [None if held.weight is None else held.weight[part].astype(np.float64) for part in parts]
        each = [auc(probabilities[part], held.labels[part], own) for part, own in zip(parts, weights, strict=True)]
        return float(np.mean(each))

    return score
