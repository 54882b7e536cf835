"""What is served is measured on validation rows, and the best round is kept."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from msmtrec.base.member import Member
from msmtrec.base.packing import own_storage
from msmtrec.evaluation.metrics import Measure, mean_auc, measure
from msmtrec.federation.memory import Best, Memory
from msmtrec.federation.site import Site
from msmtrec.federation.stacks import stacks
from msmtrec.models.predict import BLOCK, predict_each


def validate(
    site: Site, memories: Mapping[Member, Memory], members: list[Member]
) -> Iterator[tuple[Member, list[Measure]]]:
    """Metrics of what the method serves on the validation rows; of each scenario, where a member is pooled."""
    tables, schema = site.data.tables, site.data.schema
    for stack in stacks(members, lambda m: len(tables[m.scenario].splits["validation"]), site.stack, most=BLOCK):
        rows = [tables[member.scenario].splits["validation"] for member in stack]
        served = [memories[m].weights(site.method.served, site.deck.used[m.scenario]) for m in stack]
        for member, own, logits in zip(stack, rows, predict_each(site.model, served, rows), strict=True):
            scores, present, found = logits.numpy(), schema.has_task(member.scenario), []
            for scenario, part in tables[member.scenario].parts["validation"].items():
                weights = None if own.weight is None else own.weight[part].astype(np.float64)
                found += measure(scenario, schema.task_names, present, scores[part], own.labels[part], weights)
            yield member, found


def keep_best(site: Site, member: Member, memory: Memory, round_number: int, found: Iterable[Measure]) -> Memory:
    """Remember what is served when the mean validation AUC rises (pooled: one model per scenario)."""
    best, held = dict(memory.best), list(found)
    for scenario in site.data.tables[member.scenario].parts["validation"]:
        score = mean_auc([m for m in held if m.scenario == scenario])
        before = best[scenario].score if scenario in best else math.nan
        if scenario not in best or score > before or (math.isnan(before) and not math.isnan(score)):
            served = memory.whole(site.method.served, site.deck.placed[member.scenario])
            best[scenario] = Best(round_number, score, own_storage(served), memory.steps)
    return replace(memory, best=best)
