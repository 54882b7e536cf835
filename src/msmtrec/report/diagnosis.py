"""Signatures of failure, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl

from msmtrec.record.reading import ContenderRecord, RunRecord
from msmtrec.record.relations import personalisation, plain_means
from msmtrec.record.standing import gains
from msmtrec.report.choices import at_chance, grid_edge, rounds_exhausted
from msmtrec.report.words import p_text

DROP = 0.02
"""AUC lost by aggregation, mean over rounds, that is worth a sentence."""
GAP = 1e-6
"""Duality gap of the conflict problem, in units of the mean update's squared norm, that is worth a sentence."""
GROWTH = 3.0
"""Update norm of the last quarter over that of the second, that is worth a sentence."""
REPEATS = 5
"""Sentences of one kind about one contender; the others are counted. The same for names in a sentence."""


def diagnose(run: RunRecord) -> list[str]:
    """Sentences for the report, contender by contender; empty where nothing looks wrong."""
    everywhere, chance = at_chance(run)
    return [
        *_first(everywhere),
        *(
            f"{contender.name}: {sentence}"
            for contender in run.contenders.values()
            for kind in (
                _below_reference(run, contender),
                *(() if run.repeats(contender.name) else _of_rounds(run, contender)),
                grid_edge(contender),
                chance[contender.name],
            )
            for sentence in _first(kind)
        ),
    ]


def _of_rounds(run: RunRecord, contender: ContenderRecord) -> Iterator[Iterable[str]]:
    """What the federation's rounds show, kind by kind."""
    yield _hurt_by_aggregation(contender)
    yield _degenerate(run, contender)
    yield _norms(run, contender)
    yield _left_out(contender)
    yield _plain_means(contender)
    yield rounds_exhausted(contender)


def _first(sentences: Iterable[str]) -> Iterator[str]:
    """The first of a kind, then how many more."""
    found = list(sentences)
    yield from found[:REPEATS]
    if len(found) > REPEATS:
        yield f"… and {len(found) - REPEATS:,} more like the one before"


def _names(names: Iterable[str]) -> str:
    found = sorted(set(names))
    more = f" and {len(found) - REPEATS:,} more" if len(found) > REPEATS else ""
    return ", ".join(found[:REPEATS]) + more


def _below_reference(run: RunRecord, contender: ContenderRecord) -> Iterator[str]:
    """Lines below the reference, Holm-corrected over the contender's lines: a report has many of them."""
    why = "" if run.results.ablation else ": too much sharing for it"  # of a variant the reference may share as much
    for gain in gains(run.results, contender.name):
        if gain.below:
            scenario, task = gain.line
            yield (
                f"scenario {scenario}, {task} is below {run.results.reference} by"
                f" {-100 * gain.compared.difference:.2f} points (p {p_text(gain.p_value)}, corrected over the"
                f" contender's lines){why}"
            )


def _hurt_by_aggregation(contender: ContenderRecord) -> Iterator[str]:
    both = contender.metrics.filter(pl.col("stage").is_in(("before", "after")), pl.col("auc").is_not_null())
    means = both.group_by("scenario", maintain_order=True).agg(
        *(pl.col("auc").filter(pl.col("stage") == stage).mean().alias(stage) for stage in ("before", "after"))
    )
    for scenario, before, after in means.iter_rows():
        if before is not None and after is not None and before - after > DROP:
            yield (
                f"scenario {scenario} loses {100 * (before - after):.1f} validation points in aggregation on average:"
                " bad normalisation or over-averaging"
            )


def _degenerate(run: RunRecord, contender: ContenderRecord) -> Iterator[str]:
    found = personalisation(contender, run.scenarios)
    if found is None or len(run.scenarios) < 2 or found[2].shape[1] < 3:
        return
    symbol, _, table = found
    several = table[:, (~np.isnan(table)).sum(0) > 1]
    spread = float(np.nanstd(several, 0).max(initial=0.0))
    if spread < 1e-3:
        yield f"{symbol} is the same for every scenario in every round: personalisation does nothing"
    elif symbol == "α" and spread < 0.02:
        yield f"all {symbol} move together (largest spread between scenarios {spread:.3f}): hardly any personalisation"


def _norms(run: RunRecord, contender: ContenderRecord) -> Iterator[str]:
    norms = [federation.norms for federation in contender.federations if federation.norms is not None]
    for scenario, column in zip(run.scenarios, np.array(norms).T, strict=False):
        values = column[~np.isnan(column)]
        quarter = len(values) // 4
        if quarter and values.min() > 0:
            growth = values[-quarter:].mean() / values[quarter : 2 * quarter].mean()
            if growth > GROWTH:
                yield f"updates of scenario {scenario} grow {growth:.1f}-fold: lower the learning rate"


def _left_out(contender: ContenderRecord) -> Iterator[str]:
    found = contender.federations
    rejected = sorted({reason for federation in found for reason in federation.rejected})
    stale = {name for federation in found for name in federation.stale}
    unchecked = {name for federation in found for name in federation.unchecked}
    gap = max((federation.conflict.gap for federation in found if federation.conflict), default=0.0)
    if gap > GAP:
        yield f"the conflict problem was solved to a duality gap of {gap:.0e} |m|² only"
    if rejected:
        yield f"{len(rejected):,} uploads were rejected, the first: {rejected[0]}"
    if stale:
        yield f"too old to count at least once: {_names(stale)}"
    if unchecked:
        yield f"mixture not checked for want of held-out rows: {_names(unchecked)}"


def _plain_means(contender: ContenderRecord) -> Iterator[str]:
    degenerate, problems = plain_means(contender)
    if degenerate:
        yield (
            f"conflict coordination gave way to the plain mean in {degenerate:,} of {problems:,} problems (one an"
            " expert, round and seed): the updates, or the worst mixture of them, cancel out"
        )
